//! Numbers of twice the digits, as sums of two `f64`, and the dense algebra that right values are found with.

use std::ops::{Add, Div, Mul, Neg, Sub};

use faer::{Mat, MatRef};

/// An unevaluated sum hi + lo, with |lo| at most half a unit in the last place of hi: 106 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Double {
    hi: f64,
    lo: f64,
}

impl Double {
    pub(crate) const ZERO: Self = Self { hi: 0.0, lo: 0.0 };

    pub(crate) fn new(value: f64) -> Self {
        Self { hi: value, lo: 0.0 }
    }

    pub(crate) fn value(self) -> f64 {
        self.hi + self.lo
    }

    pub(crate) fn sqrt(self) -> Self {
        if self.hi == 0.0 {
            return Self::ZERO;
        }
        // A step of Newton's method from the root in `f64`.
        let root = Self::new(self.hi.sqrt());
        root + (self - root * root) / (root + root)
    }

    /// The natural logarithm, to the precision of `f64`.
    pub(crate) fn ln(self) -> f64 {
        self.hi.ln() + self.lo / self.hi
    }

    fn sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        let part = hi - a;
        Self { hi, lo: (a - (hi - part)) + (b - part) }
    }
}

impl Add for Double {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (high, low) = (Self::sum(self.hi, other.hi), Self::sum(self.lo, other.lo));
        let first = Self::sum(high.hi, high.lo + low.hi);
        Self::sum(first.hi, first.lo + low.lo)
    }
}

impl Neg for Double {
    type Output = Self;

    fn neg(self) -> Self {
        Self { hi: -self.hi, lo: -self.lo }
    }
}

impl Sub for Double {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Double {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let hi = self.hi * other.hi;
        let lo = self.hi.mul_add(other.hi, -hi) + (self.hi * other.lo + self.lo * other.hi);
        Self::sum(hi, lo)
    }
}

impl Div for Double {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let first = Self::new(self.hi / other.hi);
        let rest = self - first * other;
        let second = Self::new(rest.hi / other.hi);
        let rest = rest - second * other;
        first + second + Self::new(rest.hi / other.hi)
    }
}

/// A matrix by its rows.
pub(crate) type Rows = Vec<Vec<Double>>;

pub(crate) fn rows(a: MatRef<'_, f64>) -> Rows {
    (0..a.nrows()).map(|i| (0..a.ncols()).map(|j| Double::new(a[(i, j)])).collect()).collect()
}

pub(crate) fn to_f64(a: &Rows) -> Mat<f64> {
    Mat::from_fn(a.len(), a.first().map_or(0, Vec::len), |i, j| a[i][j].value())
}

pub(crate) fn column(values: &[f64]) -> Rows {
    values.iter().map(|&value| vec![Double::new(value)]).collect()
}

pub(crate) fn transpose(a: &Rows) -> Rows {
    (0..a.first().map_or(0, Vec::len)).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

pub(crate) fn product(a: &Rows, b: &Rows) -> Rows {
    let columns = transpose(b);
    a.iter().map(|row| columns.iter().map(|col| inner(row, col)).collect()).collect()
}

pub(crate) fn inner(a: &[Double], b: &[Double]) -> Double {
    a.iter().zip(b).fold(Double::ZERO, |sum, (&a, &b)| sum + a * b)
}

/// Σ A ∘ A
pub(crate) fn squares(a: &Rows) -> Double {
    a.iter().fold(Double::ZERO, |sum, row| sum + inner(row, row))
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
            if y == Double::ZERO {
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
    let mut l = vec![vec![Double::ZERO; n]; n];
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
            let known = (0..i).fold(Double::ZERO, |sum, k| sum + row[k] * x[k][col]);
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
    (0..l.len()).map(|i| if l[i][i].value() < 0.0 { (-l[i][i]).ln() } else { l[i][i].ln() }).sum()
}
