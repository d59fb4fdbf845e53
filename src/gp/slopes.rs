//! How predictions change with the point.

use std::cell::RefCell;

use faer::{Mat, MatRef};

use super::conditional::Conditional;
use super::posterior::Posterior;
use super::process::{CHUNK, Process};
use super::terms::prior_mean;
use crate::scalar::by_precision;
use crate::tape::{Head, Pool, Tape};
use crate::{Error, Result, Scalar};

/// Gradients of the mean and of the variance of a function in the point: from [`Posterior::slopes`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Slopes<T: Scalar> {
    /// ∂mean/∂x: a row for each point, a column for each coordinate.
    pub mean: Mat<T>,
    /// ∂variance/∂x, in the same shape.
    pub variance: Mat<T>,
}

impl<T: Scalar> Posterior<T> {
    /// The gradients of the mean and of the variance of a latent function in the point, at n points: n × D each. What
    /// optimisers of acquisition functions and sensitivity analyses need. O(n·M²) time.
    ///
    /// # Errors
    ///
    /// As [`mean`](Self::mean); [`Error::Setting`] for a function that there is not, and for a kernel without derivatives in its
    /// inputs, such as [`Matern12`](crate::kernels::Matern12) has none where points meet.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::ExactGp;
    /// use mercer::prelude::*;
    ///
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.1)?;
    /// let posterior = gp.condition(&Data::new(mat![[0.0], [1.0]], [0.3, 1.0]))?;
    /// let found = posterior.slopes(mat![[0.4]].as_ref(), 0)?;
    /// let at = |x: f64| posterior.predict(mat![[x]].as_ref());
    /// let (above, below) = (at(0.4 + 1e-5)?, at(0.4 - 1e-5)?);
    /// assert!((found.mean[(0, 0)] - (above.mean[(0, 0)] - below.mean[(0, 0)]) / 2e-5).abs() < 1e-8);
    /// assert!((found.variance[(0, 0)] - (above.variance[(0, 0)] - below.variance[(0, 0)]) / 2e-5).abs() < 1e-8);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn slopes(&self, x: MatRef<'_, T>, function: usize) -> Result<Slopes<T>> {
        T::select::<SlopesAt<'_>>((self, x, function))
    }
}

by_precision!(SlopesAt<'a, T>((&'a Posterior<T>, MatRef<'a, T>, usize)) -> Result<Slopes<T>> = slopes);

fn slopes<T: Scalar>((posterior, x, function): (&Posterior<T>, MatRef<'_, T>, usize)) -> Result<Slopes<T>> {
    posterior.check(x)?;
    let (process, latent) = posterior.process_of(function)?;
    if !process.kernel.properties().differentiable {
        let expected = "has no derivatives in its inputs";
        return Err(Error::setting("the kernel", crate::kernel::text(&*process.kernel), expected));
    }
    let mut found = Slopes { mean: Mat::zeros(x.nrows(), x.ncols()), variance: Mat::zeros(x.nrows(), x.ncols()) };
    let pool = RefCell::new(Pool::new());
    for start in (0..x.nrows()).step_by(CHUNK) {
        let rows = CHUNK.min(x.nrows() - start);
        let tape = Tape::with_pool(posterior.par, pool.take());
        let [mean, variance] = of_chunk(posterior, process, latent, x.subrows(start, rows), &tape)?;
        found.mean.as_mut().subrows_mut(start, rows).copy_from(mean);
        found.variance.as_mut().subrows_mut(start, rows).copy_from(variance);
        pool.replace(tape.into_pool());
    }
    Ok(found)
}

/// Each point has a mean and a variance of its own: the gradient of their sums has its row for each.
fn of_chunk<'a, T: Scalar>(
    posterior: &'a Posterior<T>,
    process: &'a Process<T>,
    latent: usize,
    x: MatRef<'a, T>,
    tape: &Tape<'a, T>,
) -> Result<[Mat<T>; 2]> {
    let (kernel, prior) = (tape.fixed_kernel(&*process.kernel), process.prior.on(tape));
    let points = tape.parameter_ref(x);
    let k_uf = posterior.inducing("slopes")?.basis.cross(tape, kernel, &prior, points)?;
    let weights = tape.constant(process.weights.subcols(latent, 1));
    let mut mean = prior_mean(tape, &process.latents[latent].mean, points)?.value + k_uf.matmul_tn(weights);
    if let Some(further) = &process.further {
        let cross = kernel.cross(tape.constant(further.points.as_ref()), points)?;
        mean = mean + cross.matmul_tn(tape.constant(further.weights.subcols(latent, 1)));
    }
    let head = Head { mean: None, roots: process.latents[latent].roots.iter().map(|root| root.on(tape)).collect() };
    let (marginals, variances) = Conditional::new(kernel, &prior, k_uf, points)?.marginals(tape, &[head]);
    let variance = marginals.first().map_or(variances.prior, |(_, variance)| *variance);
    let of = |value| -> Result<Mat<T>> {
        let gradients = tape.backward(value)?;
        Ok(gradients.get(points).map_or_else(|| Mat::zeros(x.nrows(), x.ncols()), |found| found.to_owned()))
    };
    Ok([of(mean.sum())?, of(variance.sum())?])
}
