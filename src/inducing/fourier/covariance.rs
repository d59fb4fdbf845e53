//! K_uu of waves on the tape.

use faer::{Mat, MatRef};

use super::fit::Fit;
use super::matern::{Order, Wave};
use crate::inducing::box_basis::{Axis, Waves};
use crate::linalg::cast;
use crate::tape::{Tape, Var};
use crate::{Dual, Result, Scalar};

/// A number with its derivatives in σ² and λ.
type Jet = Dual<f64, 2>;

/// d and U with K_uu = diag(d) + UUᵀ, for the sum of a kernel of each coordinate: M × 1, and M × Σ (p + 1) with the
/// columns of each coordinate in its rows alone.
pub(super) fn of_sum<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    waves: &Waves,
    fit: &Fit<'t, T>,
) -> Result<(Var<'t, T>, Var<'t, T>)> {
    let values = tape.value(fit.parameters)?;
    let (mut axes, mut blocks) = (Vec::new(), Vec::new());
    for (axis, &order) in fit.orders.iter().enumerate() {
        axes.extend(std::iter::repeat_n(axis, waves.count(axis)));
        blocks.push(of_axis(&waves.axes()[axis], order, waves.count(axis), values.as_mat(), axis));
    }
    let width = blocks.iter().map(|(_, columns)| columns.ncols()).sum();
    let zero = Jet::constant(0.0);
    let (mut diagonal, mut columns) = (vec![vec![zero]; waves.len()], vec![vec![zero; width]; waves.len()]);
    let (mut row, mut col) = (0, 0);
    for (entries, block) in &blocks {
        for index in 0..block.nrows() {
            diagonal[row + index][0] = entries[index];
            (0..block.ncols()).for_each(|j| columns[row + index][col + j] = block.at(index, j));
        }
        (row, col) = (row + block.nrows(), col + block.ncols());
    }
    Ok((push(tape, fit.parameters, &axes, diagonal)?, push(tape, fit.parameters, &axes, columns)?))
}

/// K_uu for the product of a kernel of each coordinate: the Kronecker product of theirs.
pub(super) fn of_product<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    waves: &Waves,
    fit: &Fit<'t, T>,
) -> Result<Var<'t, T>> {
    let values = tape.value(fit.parameters)?;
    let mut product = None;
    for (axis, &order) in fit.orders.iter().enumerate() {
        let count = waves.count(axis);
        let (diagonal, columns) = of_axis(&waves.axes()[axis], order, count, values.as_mat(), axis);
        let axes = vec![axis; count];
        let diagonal = push(tape, fit.parameters, &axes, diagonal.into_iter().map(|entry| vec![entry]).collect())?;
        let columns = push(tape, fit.parameters, &axes, columns.rows)?;
        let factor = columns.matmul_nt(columns).add_diagonal(diagonal);
        product = Some(match product {
            None => factor,
            Some(product) => kronecker(tape, product, factor)?,
        });
    }
    Ok(product.unwrap_or_else(|| tape.scalar_constant(1.0)))
}

/// Columns with derivatives, by rows.
struct Columns {
    rows: Vec<Vec<Jet>>,
}

impl Columns {
    fn nrows(&self) -> usize {
        self.rows.len()
    }

    fn ncols(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    fn at(&self, row: usize, col: usize) -> Jet {
        self.rows[row][col]
    }
}

/// d and U for the functions of one coordinate.
fn of_axis<T: Scalar>(
    interval: &Axis,
    order: Order,
    count: usize,
    parameters: MatRef<'_, T>,
    axis: usize,
) -> (Vec<Jet>, Columns) {
    let variable = |row: usize| Jet::variable(parameters[(row, axis)].as_f64(), row);
    let (variance, decay) = (variable(0), variable(1));
    let fundamental = std::f64::consts::TAU / interval.length();
    let waves = (0..count).map(|index| Wave::of(index, fundamental));
    let diagonal = waves.clone().map(|wave| order.interior(wave, interval.length(), variance, decay)).collect();
    let row = |wave| (0..=order.degree()).map(|column| order.boundary(wave, column, variance, decay)).collect();
    (diagonal, Columns { rows: waves.map(row).collect() })
}

/// A matrix of functions of the parameters, 2 × D, on the tape: each row of those of one coordinate.
fn push<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    parameters: Var<'t, T>,
    axes: &[usize],
    rows: Vec<Vec<Jet>>,
) -> Result<Var<'t, T>> {
    let shape = tape.shape(parameters)?;
    let width = rows.first().map_or(0, Vec::len);
    let value = Mat::from_fn(rows.len(), width, |row, col| T::from_f64(rows[row][col].value));
    let axes = axes.to_vec();
    let backward = move |c: MatRef<'_, T>| {
        let mut gradient = Mat::<f64>::zeros(shape.0, shape.1);
        for (row, (entries, &axis)) in rows.iter().zip(&axes).enumerate() {
            for (col, entry) in entries.iter().enumerate() {
                let c = c[(row, col)].as_f64();
                gradient[(0, axis)] += c * entry.partials[0];
                gradient[(1, axis)] += c * entry.partials[1];
            }
        }
        vec![Some(cast(gradient.as_ref()))]
    };
    Ok(tape.custom(&[parameters], value, Box::new(backward)))
}

/// A ⊗ B, the index of B running fastest.
fn kronecker<'t, 'a, T: Scalar>(tape: &'t Tape<'a, T>, a: Var<'t, T>, b: Var<'t, T>) -> Result<Var<'t, T>> {
    let (left, right) = (tape.value(a)?, tape.value(b)?);
    let (m, n) = (left.as_mat().nrows(), right.as_mat().nrows());
    let value = Mat::from_fn(m * n, m * n, |i, j| left.as_mat()[(i / n, j / n)] * right.as_mat()[(i % n, j % n)]);
    let backward = move |c: MatRef<'_, T>| {
        let (mut in_a, mut in_b) = (Mat::<T>::zeros(m, m), Mat::<T>::zeros(n, n));
        for j in 0..m * n {
            for i in 0..m * n {
                let (outer, inner) = ((i / n, j / n), (i % n, j % n));
                in_a[outer] += c[(i, j)] * right.as_mat()[inner];
                in_b[inner] += c[(i, j)] * left.as_mat()[outer];
            }
        }
        vec![Some(in_a), Some(in_b)]
    };
    Ok(tape.custom(&[a, b], value, Box::new(backward)))
}
