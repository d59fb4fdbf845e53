//! Sparse posteriors of more observations, or fewer.

use std::sync::Arc;

use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};

use super::{Change, UPDATES};
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::low_rank::{LowRank, Solved};
use crate::gp::posterior::Posterior;
use crate::gp::predict::Predict;
use crate::gp::process::{Latent, MeanBasisWeights, Process};
use crate::linalg::Root;
use crate::tape::Tape;
use crate::{Error, Result, Scalar};

/// With v = m + Pw and w ~ N(0, I), new observations are y − μ(x) = (PᵀA)ᵀw + ε: the posterior N(m_w, RRᵀ) of w gives
/// that of v, of mean m + Pm_w and root PR.
pub(super) fn with<T: Scalar>(change: &Change<'_, T>) -> Result<Posterior<T>> {
    let New { root, projected, residual, noise, .. } = New::of(change)?;
    let LowRank { mean, root: of_w, .. } = LowRank::new(projected.as_ref(), &residual, &noise, change.posterior.par)?;
    updated(change, root, Solved::of(mean, of_w))
}

/// What the observations have added to the precision of w is taken away: I − GGᵀ for G = PᵀAΛ^(−½).
pub(super) fn without<T: Scalar>(change: &Change<'_, T>) -> Result<Posterior<T>> {
    let New { root, projected, residual, noise, .. } = New::of(change)?;
    let (m, par, one) = (projected.nrows(), change.posterior.par, T::from_f64(1.0));
    let scale = |col: usize| one / num_traits::Float::sqrt(noise[col]);
    let g = Mat::from_fn(m, noise.len(), |row, col| projected[(m - 1 - row, col)] * scale(col));
    let target = Mat::from_fn(noise.len(), 1, |row, _| -residual[row] / noise[row]);
    let mut precision = Mat::identity(m, m);
    matmul(precision.as_mut(), Accum::Add, g.as_ref(), g.transpose(), -one, par);
    let mut wanted = Mat::zeros(m, 1);
    matmul(wanted.as_mut(), Accum::Replace, projected.as_ref(), target.as_ref(), one, par);
    let solved = match Solved::certain(precision.as_ref(), wanted.as_ref(), par) {
        Err(Error::NotPositiveDefinite { .. }) => {
            let expected = "say more than the posterior knows: it has not seen them";
            return Err(Error::setting("the observations to forget", noise.len(), expected));
        }
        other => other?,
    };
    updated(change, root, solved)
}

/// Each observation that has been seen from all others: what it has added to the precision of w is taken away, for one after
/// the other.
pub(super) fn left_out<T: Scalar>(change: &Change<'_, T>) -> Result<LeaveOneOut<T>> {
    let New { projected, residual, noise, left, .. } = New::of(change)?;
    let conditional: Vec<T> = noise.iter().zip(&left).map(|(&noise, &left)| noise + left).collect();
    LeaveOneOut::of_spread(projected.as_ref(), &change.y, &residual, &noise, &conditional)
}

/// New observations, as the posterior sees them.
struct New<T: Scalar> {
    /// P
    root: Root<Mat<T>>,
    /// PᵀA
    projected: Mat<T>,
    /// y − μ(x)
    residual: Vec<T>,
    noise: Vec<T>,
    /// k(x, x) − ‖a‖²
    left: Vec<T>,
}

impl<T: Scalar> New<T> {
    fn of(change: &Change<'_, T>) -> Result<Self> {
        let &Change { posterior, process, x, ref y, ref noise } = change;
        let mean = posterior.predict(x)?.mean;
        let residual = y.iter().zip(mean.col_as_slice(0)).map(|(&y, &mean)| y - mean).collect();
        let root = joined(&process.latents[0].roots, posterior.par);
        let tape = Tape::new(posterior.par);
        let (a, left) = process.whitened_with_left(&tape, &*posterior.inducing(UPDATES)?.basis, x)?;
        let mut noise: Vec<T> = noise.iter().map(|&variance| T::from_f64(variance)).collect();
        if process.fitc {
            let zero = T::from_f64(0.0);
            noise.iter_mut().zip(&left).for_each(|(noise, &left)| *noise += if left > zero { left } else { zero });
        }
        if let Some(row) = noise.iter().position(|&variance| variance.as_f64().is_nan() || variance <= T::from_f64(0.0))
        {
            let expected = "must be positive, for a sparse process to take observations in";
            return Err(Error::setting(&format!("the noise of row {row}"), noise[row].as_f64(), expected));
        }
        let projected = tape.value(root.on(&tape).project(a))?.as_mat().to_owned();
        drop(tape);
        Ok(Self { root, projected, residual, noise, left })
    }
}

/// One root of the covariance that several have together.
fn joined<T: Scalar>(roots: &[Root<Mat<T>>], par: Par) -> Root<Mat<T>> {
    if let [one] = roots {
        return one.clone();
    }
    let mut parts = Vec::new();
    for root in roots {
        let rows = root.get().nrows();
        let count = if let Root::Diagonal(_) = root { rows } else { root.get().ncols() };
        parts.push(times(root, Mat::identity(count, count).as_ref(), par));
    }
    let rows = parts.first().map_or(0, Mat::nrows);
    let mut all = Mat::zeros(rows, parts.iter().map(Mat::ncols).sum());
    let mut first = 0;
    for part in &parts {
        all.as_mut().subcols_mut(first, part.ncols()).copy_from(part);
        first += part.ncols();
    }
    Root::Columns(all)
}

/// PB.
fn times<T: Scalar>(root: &Root<Mat<T>>, b: MatRef<'_, T>, par: Par) -> Mat<T> {
    let mut product = Mat::zeros(root.get().nrows(), b.ncols());
    root.add_times(product.as_mut(), &mut |_| b.to_owned(), par);
    product
}

/// From P and the distribution of w.
fn updated<T: Scalar>(
    &Change { posterior, process, .. }: &Change<'_, T>,
    root: Root<Mat<T>>,
    Solved { mean, root: of_w, .. }: Solved<T>,
) -> Result<Posterior<T>> {
    let (product, moved) = (times(&root, of_w.as_ref(), posterior.par), times(&root, mean.as_ref(), posterior.par));
    let triangular = !matches!(root, Root::Columns(_));
    let weights = {
        let tape = Tape::new(posterior.par);
        let moved = process.prior.on(&tape).whiten_transpose(tape.constant(moved.as_ref()));
        &process.weights + tape.value(moved)?.as_mat()
    };
    let roots = [if triangular { Root::Lower(product) } else { Root::Columns(product) }].into();
    let further = process.further.as_ref().map(|MeanBasisWeights { points, weights }| MeanBasisWeights {
        points: points.clone(),
        weights: weights.clone(),
    });
    let found = Process {
        kernel: process.kernel.clone(),
        prior: process.prior.clone(),
        latents: vec![Latent { mean: process.latents[0].mean.clone(), roots }],
        weights,
        further,
        values: process.values.clone(),
        fitc: process.fitc,
    };
    let basis = Arc::clone(&posterior.inducing(UPDATES)?.basis);
    Ok(Posterior::of(basis, [found], posterior.likelihood.clone(), posterior.par))
}
