//! Dense algebra at twice the digits, which right values are found with: matrices by their rows.

use faer::{Mat, MatRef};

use super::Twofold;

/// A matrix by its rows.
pub(crate) type Rows = Vec<Vec<Twofold>>;

pub(crate) fn rows(a: MatRef<'_, f64>) -> Rows {
    (0..a.nrows()).map(|i| (0..a.ncols()).map(|j| Twofold::from(a[(i, j)])).collect()).collect()
}

pub(crate) fn to_f64(a: &Rows) -> Mat<f64> {
    Mat::from_fn(a.len(), a.first().map_or(0, Vec::len), |i, j| a[i][j].value())
}

pub(crate) fn column(values: &[f64]) -> Rows {
    values.iter().map(|&value| vec![Twofold::from(value)]).collect()
}

pub(crate) fn transpose(a: &Rows) -> Rows {
    (0..a.first().map_or(0, Vec::len)).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

pub(crate) fn product(a: &Rows, b: &Rows) -> Rows {
    let columns = transpose(b);
    a.iter().map(|row| columns.iter().map(|col| inner(row, col)).collect()).collect()
}

pub(crate) fn inner(a: &[Twofold], b: &[Twofold]) -> Twofold {
    a.iter().zip(b).fold(Twofold::ZERO, |sum, (&a, &b)| sum + a * b)
}

/// Σ A ∘ A
pub(crate) fn squares(a: &Rows) -> Twofold {
    a.iter().fold(Twofold::ZERO, |sum, row| sum + inner(row, row))
}

/// [A B]
pub(crate) fn beside(a: &Rows, b: &Rows) -> Rows {
    a.iter().zip(b).map(|(a, b)| a.iter().chain(b).copied().collect()).collect()
}

/// The lower triangular L with LLᵀ = BBᵀ, by rotations of the columns of B: the product is not formed.
pub(crate) fn lower_of(b: &Rows) -> Rows {
    let mut b = b.clone();
    let m = b.len();
    for pivot in 0..m {
        for col in pivot + 1..b[pivot].len() {
            let (x, y) = (b[pivot][pivot], b[pivot][col]);
            if y == Twofold::ZERO {
                continue;
            }
            let radius = (x * x + y * y).sqrt();
            let (cos, sin) = (x / radius, y / radius);
            for row in b.iter_mut().skip(pivot) {
                let (left, right) = (row[pivot], row[col]);
                row[pivot] = cos * left + sin * right;
                row[col] = cos * right - sin * left;
            }
        }
    }
    b.iter_mut().for_each(|row| row.truncate(m));
    b
}

/// The Cholesky factor.
pub(crate) fn cholesky(a: &Rows) -> Rows {
    let n = a.len();
    let mut l = vec![vec![Twofold::ZERO; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let rest = a[i][j] - inner(&l[i][..j], &l[j][..j]);
            l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
        }
    }
    l
}

/// L⁻¹B
pub(crate) fn solve_lower(l: &Rows, b: &Rows) -> Rows {
    let mut x: Rows = Vec::new();
    for (i, row) in l.iter().enumerate() {
        let solved = (0..b[i].len()).map(|col| {
            let known = (0..i).fold(Twofold::ZERO, |sum, k| sum + row[k] * x[k][col]);
            (b[i][col] - known) / row[i]
        });
        let solved = solved.collect();
        x.push(solved);
    }
    x
}

/// L⁻ᵀB
pub(crate) fn solve_lower_transpose(l: &Rows, b: &Rows) -> Rows {
    let reversed = |a: &Rows| -> Rows { a.iter().rev().map(|row| row.iter().rev().copied().collect()).collect() };
    let flipped = |a: &Rows| -> Rows { a.iter().rev().cloned().collect() };
    flipped(&solve_lower(&reversed(&transpose(l)), &flipped(b)))
}

/// Σ ln|Lᵢᵢ|
pub(crate) fn half_log_det(l: &Rows) -> f64 {
    (0..l.len()).map(|i| if l[i][i].value() < 0.0 { (-l[i][i]).ln() } else { l[i][i].ln() }.value()).sum()
}
