//! Exact posteriors of more rows, or fewer.

use faer::diag::Diag;
use faer::linalg::cholesky::llt::update::rank_r_update_clobber;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatRef};

use super::Change;
use crate::gp::posterior::Posterior;
use crate::gp::process::{Latent, Process};
use crate::inducing::StoredPrior;
use crate::kernel::{cross_into, gram_into};
use crate::linalg::{Cholesky, Jitter};
use crate::mean::Mean;
use crate::{Error, Result, Scalar};

/// With LLᵀ = A, B = L⁻¹K(X, X*) and CCᵀ = K(X*, X*) + Σ* − BᵀB, the factor of all rows is L beside Bᵀ and C. What is left
/// of new residuals, z* = C⁻¹(r* − Bᵀz), follows the z = L⁻¹r = Lᵀα of those before.
pub(super) fn with<T: Scalar>(change: &Change<'_, T>) -> Result<Posterior<T>> {
    let Change { posterior, process, x, y, noise } = change;
    let (par, one) = (posterior.par, T::from_f64(1.0));
    let (points, factor) = seen(process)?;
    let (n, m, jitter) = (points.nrows(), x.nrows(), process.prior.jitter());
    let mut cross = Mat::zeros(n, m);
    cross_into(&*process.kernel, points, *x, cross.as_mut(), par)?;
    solve_lower_triangular_in_place(factor, cross.as_mut(), par);
    let mut own = Mat::zeros(m, m);
    gram_into(&*process.kernel, *x, own.as_mut(), par)?;
    (0..m).for_each(|row| own[(row, row)] += T::from_f64(noise[row] + jitter));
    let lower = BlockStructure::TriangularLower;
    let all = BlockStructure::Rectangular;
    triangular::matmul(own.as_mut(), lower, Accum::Add, cross.transpose(), all, cross.as_ref(), all, -one, par);
    let own = Cholesky::new(own.as_ref(), Jitter::Fixed(0.0), par)?;

    let z = half_solved(factor, process, par);
    let mut residual = Mat::zeros(m, 1);
    process.latents[0].mean.mean_into(*x, residual.col_as_slice_mut(0));
    residual.col_as_slice_mut(0).iter_mut().zip(&**y).for_each(|(entry, &y)| *entry = y - *entry);
    residual -= cross.transpose() * &z;
    own.solve_lower_in_place(residual.as_mut(), par)?;

    let mut joined = Mat::zeros(n + m, n + m);
    joined.as_mut().submatrix_mut(0, 0, n, n).copy_from(factor);
    joined.as_mut().submatrix_mut(n, 0, m, n).copy_from(cross.transpose());
    joined.as_mut().submatrix_mut(n, n, m, m).copy_from(own.factor());
    let z = Mat::from_fn(n + m, 1, |row, _| if row < n { z[(row, 0)] } else { residual[(row - n, 0)] });
    let points =
        Mat::from_fn(n + m, x.ncols(), |row, col| if row < n { points[(row, col)] } else { x[(row - n, col)] });
    let before = process.values.as_ref().map_or(&[][..], |values| &values.noise);
    let noise = before.iter().copied().chain(noise.iter().map(|variance| variance + jitter)).collect();
    of_factor(posterior, process, points, joined, z, noise)
}

/// Without a row, the factor of those that stay is L without it, but that the rows below owe what its column had told of
/// them: L₃₃L₃₃ᵀ + l₃₂l₃₂ᵀ is factorised again, by an update of rank 1.
pub(super) fn without<T: Scalar>(
    posterior: &Posterior<T>,
    process: &Process<T>,
    rows: &[usize],
) -> Result<Posterior<T>> {
    let (points, factor) = seen(process)?;
    let (n, par, zero, one) = (points.nrows(), posterior.par, T::from_f64(0.0), T::from_f64(1.0));
    let stays = staying(rows, n)?;
    let kept: Vec<usize> = (0..n).filter(|&row| stays[row]).collect();
    let residual = {
        let z = half_solved(factor, process, par);
        let all = factor * z;
        Mat::from_fn(kept.len(), 1, |row, _| all[(kept[row], 0)])
    };
    let mut lower = factor.to_owned();
    for row in (0..n).rev().filter(|&row| !stays[row]) {
        let below = n - row - 1;
        let mut column = lower.as_ref().submatrix(row + 1, row, below, 1).to_owned();
        let mut weight = Diag::<T>::zeros(1);
        weight[0] = one;
        let rest = lower.as_mut().submatrix_mut(row + 1, row + 1, below, below);
        if rank_r_update_clobber(rest, column.as_mut(), weight.as_mut()).is_err() {
            let (jitter, mean_diagonal) = (process.prior.jitter(), factor.squared_norm_l2().as_f64() / n as f64);
            return Err(Error::NotPositiveDefinite { pivot: row, jitter, mean_diagonal });
        }
        // Decoupled, so that rows above have nothing to tell it.
        (0..row).for_each(|col| lower[(row, col)] = zero);
        (row + 1..n).for_each(|other| lower[(other, row)] = zero);
        lower[(row, row)] = one;
    }
    let lower =
        Mat::from_fn(kept.len(), kept.len(), |row, col| if col > row { zero } else { lower[(kept[row], kept[col])] });
    let points = Mat::from_fn(kept.len(), points.ncols(), |row, col| points[(kept[row], col)]);
    let noise = process.values.as_ref().map_or(&[][..], |values| &values.noise);
    let noise = kept.iter().filter_map(|&row| noise.get(row).copied()).collect();
    let mut z = residual;
    solve_lower_triangular_in_place(lower.as_ref(), z.as_mut(), par);
    of_factor(posterior, process, points, lower, z, noise)
}

/// Which of n rows stay, of which there is one at least.
pub(super) fn staying(forget: &[usize], n: usize) -> Result<Vec<bool>> {
    let mut stays = vec![true; n];
    for &row in forget {
        if row >= n || !std::mem::replace(&mut stays[row], false) {
            let expected = if row < n { "is named twice".to_owned() } else { format!("there are {n}, counted from 0") };
            return Err(Error::setting("the row to forget", row, &expected));
        }
    }
    if stays.contains(&true) { Ok(stays) } else { Err(Error::Empty { what: "what is left of the data".to_owned() }) }
}

/// The points that were seen, and the factor of the covariance of the observations there.
fn seen<T: Scalar>(process: &Process<T>) -> Result<(MatRef<'_, T>, MatRef<'_, T>)> {
    match (process.prior.lower(), &process.further) {
        (Some(lower), None) => Ok((process.prior.parameter().as_ref(), lower)),
        _ => {
            let expected = "must be that of an exact process, for its data to change";
            Err(Error::setting("the posterior", "another", expected))
        }
    }
}

/// z = Lᵀα.
fn half_solved<T: Scalar>(factor: MatRef<'_, T>, process: &Process<T>, par: faer::Par) -> Mat<T> {
    let mut z = Mat::zeros(process.weights.nrows(), 1);
    triangular::matmul(
        z.as_mut(),
        BlockStructure::Rectangular,
        Accum::Replace,
        factor.transpose(),
        BlockStructure::TriangularUpper,
        process.weights.as_ref(),
        BlockStructure::Rectangular,
        T::from_f64(1.0),
        par,
    );
    z
}

/// From the points, the factor L, and z, of which the weights are L⁻ᵀz.
fn of_factor<T: Scalar>(
    posterior: &Posterior<T>,
    process: &Process<T>,
    points: Mat<T>,
    lower: Mat<T>,
    z: Mat<T>,
    noise: Vec<f64>,
) -> Result<Posterior<T>> {
    let mut weights = z;
    solve_upper_triangular_in_place(lower.transpose(), weights.as_mut(), posterior.par);
    let prior = StoredPrior::dense(points.clone(), lower, process.prior.jitter());
    let latents = vec![Latent::known(process.latents[0].mean.clone())];
    let (basis, mut found) = Process::on_points(process.kernel.clone(), latents, points, prior, weights);
    if let Some(values) = &mut found.values {
        values.noise = noise;
    }
    Ok(Posterior::of(basis, [found], posterior.likelihood.clone(), posterior.par))
}
