//! Latent functions off the tape, ready to be predicted.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::conditional::Conditional;
use super::few_points::Ready;
use crate::inducing::{Basis, InducingFeatures, InducingPrior, PartPrior, StoredPrior};
use crate::kernel::{Kernel, gram_into, matmul_into};
use crate::linalg::Root;
use crate::linalg::{Cholesky, cast};
use crate::mean::DynMean;
use crate::tape::{Head, KernelVar, Pool, Tape, Var};
use crate::{Result, Scalar};

/// Points that are predicted at a time: bounds the scratch, at full speed of the solves.
pub(super) const CHUNK: usize = 1024;

/// The values at these points, which are data.
#[cfg(feature = "serde")]
pub(super) fn on_data<T: Scalar>(points: Mat<T>) -> Arc<dyn Basis<T>> {
    Arc::new(Data { points })
}

/// The points, if it is of values at data.
#[cfg(feature = "serde")]
pub(super) fn data_of<T: Scalar>(basis: &dyn Basis<T>) -> Option<&Mat<T>> {
    let basis: &dyn std::any::Any = basis;
    basis.downcast_ref::<Data<T>>().map(|data| &data.points)
}

/// Values at the points of the data: as [`InducingPoints`](crate::inducing::InducingPoints), but no parameters, so that a
/// point may be missing.
#[derive(Debug)]
struct Data<T: Scalar> {
    points: Mat<T>,
}

impl<T: Scalar> Basis<T> for Data<T> {
    fn dim(&self) -> usize {
        self.points.ncols()
    }

    #[cfg(feature = "serde")]
    fn len(&self) -> usize {
        self.points.nrows()
    }

    #[cfg(feature = "serde")]
    fn called(&self) -> String {
        "data".to_owned()
    }

    #[cfg(feature = "serde")]
    fn check_kernel(&self, kernel: &dyn crate::Expr) -> Result<()> {
        kernel.inputs(self.points.ncols()).map(drop)
    }

    #[cfg(feature = "serde")]
    fn parameter_shape(&self) -> Result<(usize, usize)> {
        Ok(self.points.shape())
    }

    fn check_points(&self, _: MatRef<'_, T>) -> Result<()> {
        Ok(())
    }

    fn cross<'t, 'a>(
        &'a self,
        _: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        prior: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>> {
        kernel.cross(prior.parameter(), x)
    }

    fn of_part(&self, _: &dyn Kernel<T>, prior: &Arc<StoredPrior<T>>) -> Result<PartPrior<T>> {
        Ok(PartPrior { prior: prior.clone(), remainder: None })
    }

    fn cross_times(
        &self,
        kernel: &dyn Kernel<T>,
        x: MatRef<'_, T>,
        weights: MatRef<'_, T>,
        par: Par,
    ) -> Result<Option<Mat<T>>> {
        let mut product = Mat::zeros(x.nrows(), weights.ncols());
        matmul_into(kernel, x, self.points.as_ref(), weights, product.as_mut(), par)?;
        Ok(Some(product))
    }
}

/// The roots of a covariance, whose sum of squares it is.
pub(super) type Roots<T> = Arc<[Root<Mat<T>>]>;

/// A latent function: its mean function, and the roots of the covariance of its whitened inducing
/// variables, none if they are known. Functions that share them have the same variances.
#[derive(Debug)]
pub(super) struct Latent<T: Scalar> {
    pub(super) mean: DynMean,
    pub(super) roots: Roots<T>,
}

impl<T: Scalar> Latent<T> {
    /// Of inducing variables that are known.
    pub(super) fn known(mean: DynMean) -> Self {
        Self { mean, roots: Arc::new([]) }
    }
}

/// The points whose values the inducing variables are, and the variance of what is added to each value: noise and
/// jitter.
#[derive(Clone, Debug)]
pub(super) struct Values<T: Scalar> {
    pub(super) points: Mat<T>,
    pub(super) noise: Vec<f64>,
    /// Made when first asked for.
    pub(super) ready: OnceLock<Ready<T>>,
}

impl<T: Scalar> Values<T> {
    pub(super) fn new(points: Mat<T>, noise: Vec<f64>) -> Self {
        Self { points, noise, ready: OnceLock::new() }
    }

    /// Those of inducing features, if that is what they are.
    pub(super) fn of<F: InducingFeatures>(features: &F, jitter: f64) -> Option<Self> {
        let z = features.points()?;
        Some(Self::new(cast(z), vec![jitter; z.nrows()]))
    }
}

/// Points whose functions K(·, Γ) are in the means alone, with a column of weights for each latent function.
#[derive(Debug)]
pub(super) struct MeanBasisWeights<T: Scalar> {
    pub(super) points: Mat<T>,
    pub(super) weights: Mat<T>,
}

impl<T: Scalar> MeanBasisWeights<T> {
    /// Of weights 0.
    pub(super) fn new(points: MatRef<'_, f64>, latents: usize) -> Self {
        Self { points: cast(points), weights: Mat::zeros(points.nrows(), latents) }
    }
}

/// The latent functions of one kernel.
#[derive(Debug)]
pub(super) struct Process<T: Scalar> {
    pub(super) kernel: Arc<dyn Kernel<T>>,
    pub(super) prior: Arc<StoredPrior<T>>,
    pub(super) latents: Vec<Latent<T>>,
    /// α on K_uf, a column for each latent function.
    pub(super) weights: Mat<T>,
    /// None if the means have no basis of their own.
    pub(super) further: Option<MeanBasisWeights<T>>,
    /// None if the inducing variables are something else.
    pub(super) values: Option<Values<T>>,
    /// Whether what inducing variables leave of the variance of an observation counts as its noise.
    pub(super) fitc: bool,
}

impl<T: Scalar> Process<T> {
    /// Latent functions on their values at points, by the root of their covariance (with noise, if
    /// they were seen with it), with the features for it. Their values are taken to be without noise; jitter is told
    /// by the prior.
    pub(super) fn on_points(
        kernel: Arc<dyn Kernel<T>>,
        latents: Vec<Latent<T>>,
        points: Mat<T>,
        prior: StoredPrior<T>,
        weights: Mat<T>,
    ) -> (Arc<dyn Basis<T>>, Self) {
        let values = Some(Values::new(points.clone(), vec![prior.jitter(); points.nrows()]));
        let process = Self { kernel, prior: Arc::new(prior), latents, weights, further: None, values, fitc: false };
        (Arc::new(Data { points }), process)
    }

    /// Latent functions that were seen at points, by the factor of the covariance of what was seen.
    pub(super) fn on_data(
        kernel: Arc<dyn Kernel<T>>,
        latents: Vec<Latent<T>>,
        x: MatRef<'_, T>,
        factor: Cholesky<T>,
        weights: Mat<T>,
    ) -> (Arc<dyn Basis<T>>, Self) {
        let jitter = factor.jitter();
        let prior = StoredPrior::dense(x.to_owned(), factor.into_factor(), jitter);
        Self::on_points(kernel, latents, x.to_owned(), prior, weights)
    }

    /// What is added to the prior means, n × latents: K_fu α and what further points add.
    pub(super) fn shifts(&self, basis: &dyn Basis<T>, x: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        let mut shifts = self.seen_shifts(basis, x, par)?;
        self.add_further(x, shifts.as_mut(), par)?;
        Ok(shifts)
    }

    fn add_further(&self, x: MatRef<'_, T>, mut shifts: MatMut<'_, T>, par: Par) -> Result<()> {
        if let Some(MeanBasisWeights { points, weights }) = &self.further {
            let mut more = Mat::zeros(x.nrows(), weights.ncols());
            matmul_into(&*self.kernel, x, points.as_ref(), weights.as_ref(), more.as_mut(), par)?;
            shifts += more;
        }
        Ok(())
    }

    /// K_fu α, n × latents.
    fn seen_shifts(&self, basis: &dyn Basis<T>, x: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        if let Some(product) = basis.cross_times(&*self.kernel, x, self.weights.as_ref(), par)? {
            return Ok(product);
        }
        let mut shifts = Mat::zeros(x.nrows(), self.latents.len());
        let pool = RefCell::new(Pool::new());
        for start in (0..x.nrows()).step_by(CHUNK) {
            let chunk = x.subrows(start, CHUNK.min(x.nrows() - start));
            let tape = Tape::with_pool(par, pool.take());
            let (kernel, prior) = (tape.fixed_kernel(&*self.kernel), self.prior.on(&tape));
            let k_uf = basis.cross(&tape, kernel, &prior, tape.constant(chunk))?;
            let product = k_uf.matmul_tn(tape.constant(self.weights.as_ref()));
            shifts.as_mut().subrows_mut(start, chunk.nrows()).copy_from(tape.value(product)?.as_mat());
            pool.replace(tape.into_pool());
        }
        Ok(shifts)
    }

    /// Means, without the prior ones, and variances from one evaluation of K(x, Z): calls `see` with each latent function,
    /// the row of its first point, and the shifts of the means, the prior and the posterior variances from there on.
    pub(super) fn moments(
        &self,
        basis: &dyn Basis<T>,
        x: MatRef<'_, T>,
        par: Par,
        mut see: impl FnMut(usize, usize, [MatRef<'_, T>; 3]) -> Result<()>,
    ) -> Result<()> {
        let pool = RefCell::new(Pool::new());
        for start in (0..x.nrows()).step_by(CHUNK) {
            let chunk = x.subrows(start, CHUNK.min(x.nrows() - start));
            let tape = Tape::with_pool(par, pool.take());
            let (k_uf, given) = self.given(&tape, basis, chunk)?;
            let shifts = tape.value(k_uf.matmul_tn(tape.constant(self.weights.as_ref())))?;
            let mut shifts = shifts.as_mat().to_owned();
            self.add_further(chunk, shifts.as_mut(), par)?;
            // Latent functions that have the same variances come one after the other.
            let groups: Vec<_> = self.latents.chunk_by(|a, b| Arc::ptr_eq(&a.roots, &b.roots)).collect();
            let mut heads = Vec::new();
            for group in &groups {
                heads.push(Head { mean: None, roots: group[0].roots.iter().map(|root| root.on(&tape)).collect() });
            }
            let (marginals, variances) = given.marginals(&tape, &heads);
            let by_latent =
                groups.iter().zip(marginals).flat_map(|(group, (_, variance))| group.iter().map(move |_| variance));
            for (index, variance) in by_latent.enumerate() {
                let (prior, variance) = (tape.value(variances.prior)?, tape.value(variance)?);
                see(index, start, [shifts.as_ref().subcols(index, 1), prior.as_mat(), variance.as_mat()])?;
            }
            pool.replace(tape.into_pool());
        }
        Ok(())
    }

    /// The full covariance of a latent function at n points, exactly symmetric, and the diagonal that it has a priori.
    pub(super) fn covariance(
        &self,
        basis: &dyn Basis<T>,
        latent: usize,
        x: MatRef<'_, T>,
        par: Par,
    ) -> Result<(Mat<T>, Vec<T>)> {
        let n = x.nrows();
        let mut covariance = Mat::zeros(n, n);
        let tape = Tape::new(par);
        let (a, variances) = self.given(&tape, basis, x)?.1.whitened();
        let prior = tape.value(variances.prior)?.as_mat().col(0).iter().copied().collect();
        if self.prior.has_remainder() {
            gram_into(&*self.kernel, x, covariance.as_mut(), par)?;
            add_gram(covariance.as_mut(), tape.value(a)?.as_mat(), -1.0, par);
        }
        if let Some(white) = self.prior.white() {
            (0..n).for_each(|row| covariance[(row, row)] += white);
        }
        for root in &*self.latents[latent].roots {
            let projected = root.on(&tape).project(a);
            add_gram(covariance.as_mut(), tape.value(projected)?.as_mat(), 1.0, par);
        }
        Ok((covariance, prior))
    }

    /// A = L⁻¹K(Z, x), M × n.
    pub(super) fn whitened<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, T>,
        basis: &'a dyn Basis<T>,
        x: MatRef<'a, T>,
    ) -> Result<Var<'t, T>> {
        Ok(self.given(tape, basis, x)?.1.whitened().0)
    }

    /// The same with what A does not explain of the variance at each point.
    pub(super) fn whitened_with_left<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, T>,
        basis: &'a dyn Basis<T>,
        x: MatRef<'a, T>,
    ) -> Result<(Var<'t, T>, Vec<T>)> {
        let (a, variances) = self.given(tape, basis, x)?.1.whitened();
        Ok((a, variances.remainders(tape)?))
    }

    /// K(Z, x), and the process given it.
    fn given<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, T>,
        basis: &'a dyn Basis<T>,
        x: MatRef<'a, T>,
    ) -> Result<(Var<'t, T>, Conditional<'t, T>)> {
        let (kernel, prior, x) = (tape.fixed_kernel(&*self.kernel), self.prior.on(tape), tape.constant(x));
        let k_uf = basis.cross(tape, kernel, &prior, x)?;
        Ok((k_uf, Conditional::new(kernel, &prior, k_uf, x)?))
    }
}

/// covariance += sign · BᵀB, exactly symmetric.
fn add_gram<T: Scalar>(mut covariance: MatMut<'_, T>, b: MatRef<'_, T>, sign: f64, par: Par) {
    use BlockStructure::{Rectangular, TriangularLower};
    let (out, sign) = (covariance.rb_mut(), T::from_f64(sign));
    matmul(out, TriangularLower, Accum::Add, b.transpose(), Rectangular, b, Rectangular, sign, par);
    crate::linalg::mirror_lower(covariance);
}
