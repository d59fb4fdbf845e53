//! Predictions of a few points.

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{MatMut, MatRef, Par};

use super::posterior::{Form, Inducing, Posterior};
use super::prediction::{Prediction, clamp};
use super::process::{Process, Values};
use crate::kernel::{Kernel, diag_into};
use crate::linalg::Root;
use crate::mean::Mean;
use crate::simd::dot;
use crate::{Result, Scalar};

/// So many points are predicted one by one: for more, panels of points are faster.
const FEW: usize = 8;

/// What predictions of a few points have in common.
#[derive(Clone, Debug)]
pub(super) struct Ready<T: Scalar> {
    /// The inducing points, one after the other.
    rows: Box<[T]>,
    /// k(x, x), if it is the same everywhere.
    variance: Option<T>,
}

impl<T: Scalar> Ready<T> {
    fn of(kernel: &dyn Kernel<T>, points: MatRef<'_, T>) -> Self {
        let rows = points.row_iter().flat_map(|row| row.iter().copied()).collect();
        let mut variance = [T::from_f64(0.0)];
        let known = kernel.properties().stationary && diag_into(kernel, points.subrows(0, 1), &mut variance).is_ok();
        Self { rows, variance: known.then_some(variance[0]) }
    }
}

/// Predicts few points without a tape, point by point, in the memory of `out`; false if there are more, or inducing
/// variables are not values at points with a Cholesky factor.
pub(super) fn predict<T: Scalar>(posterior: &Posterior<T>, x: MatRef<'_, T>, out: &mut Prediction<T>) -> Result<bool> {
    let fits =
        |process: &Process<T>| process.values.is_some() && process.prior.lower().is_some() && process.further.is_none();
    // Coordinates that are missing are for kernels to make sense of.
    let whole = || (0..x.ncols()).all(|col| x.col(col).iter().all(|value| value.as_f64().is_finite()));
    let Form::Inducing(Inducing { processes, .. }) = &posterior.form else { return Ok(false) };
    if x.nrows() > FEW || !processes.iter().all(fits) || !whole() {
        return Ok(false);
    }
    out.resize(x.nrows(), posterior.latents());
    let mut columns = std::mem::take(&mut out.room.columns);
    let mut first = 0;
    let mut predicted = Ok(());
    for process in &**processes {
        let (Some(values), Some(lower)) = (&process.values, process.prior.lower()) else { continue };
        let each =
            (0..x.nrows()).try_for_each(|row| of_process((process, values, lower), (x, row), first, &mut columns, out));
        predicted = predicted.and(each);
        first += process.latents.len();
    }
    out.room.columns = columns;
    predicted.map(|()| true)
}

fn of_process<T: Scalar>(
    (process, values, lower): (&Process<T>, &Values<T>, MatRef<'_, T>),
    (x, row): (MatRef<'_, T>, usize),
    first: usize,
    columns: &mut Vec<T>,
    out: &mut Prediction<T>,
) -> Result<()> {
    let (m, dim, zero) = (lower.nrows(), x.ncols(), T::from_f64(0.0));
    let ready = values.ready.get_or_init(|| Ready::of(&*process.kernel, values.points.as_ref()));
    columns.resize((2 * m + dim).max(columns.len()), zero);
    let (point, rest) = columns.split_at_mut(dim);
    let (k, projected) = rest.split_at_mut(m);
    point.iter_mut().enumerate().for_each(|(col, value)| *value = x[(row, col)]);
    k.iter_mut().zip(ready.rows.chunks_exact(dim.max(1))).for_each(|(k, z)| *k = process.kernel.pairwise(z, point));
    let prior = match ready.variance {
        Some(variance) => variance,
        None => {
            let mut variance = [zero];
            diag_into(&*process.kernel, x.subrows(row, 1), &mut variance)?;
            variance[0]
        }
    };
    for (index, latent) in process.latents.iter().enumerate() {
        let mut mean = [zero];
        latent.mean.mean_into(x.subrows(row, 1), &mut mean);
        out.mean[(row, first + index)] = mean[0] + dot(k, process.weights.col_as_slice(index));
    }
    solve_lower_triangular_in_place(lower, MatMut::from_column_major_slice_mut(k, m, 1), Par::Seq);
    let explained = dot(k, k);
    for (index, latent) in process.latents.iter().enumerate() {
        let mut uncertain = zero;
        for root in &*latent.roots {
            uncertain += squared_projection(root, k, &mut projected[..m]);
        }
        let variance = if latent.roots.is_empty() { prior - explained } else { prior + (uncertain - explained) };
        out.variance[(row, first + index)] = clamp(variance, prior, row, &mut out.clamped)?;
    }
    Ok(())
}

/// ‖PᵀA‖², by room for M numbers.
fn squared_projection<T: Scalar>(root: &Root<faer::Mat<T>>, a: &[T], room: &mut [T]) -> T {
    match root {
        Root::Diagonal(p) => {
            room.iter_mut().zip(p.col_as_slice(0)).zip(a).for_each(|((out, &p), &a)| *out = p * a);
            dot(room, room)
        }
        Root::Columns(p) => {
            (0..p.ncols()).map(|col| dot(p.col_as_slice(col), a)).fold(T::from_f64(0.0), |sum, part| sum + part * part)
        }
        Root::Lower(p) => (0..p.ncols())
            .map(|col| dot(&p.col_as_slice(col)[col..], &a[col..]))
            .fold(T::from_f64(0.0), |sum, part| sum + part * part),
    }
}
