//! A Gaussian process before data.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::checks::{check_inputs, check_psd};
use super::latents::PerLatent;
use super::multioutput::JointPrediction;
use super::predict::{Predict, missing_function, normal_cumulative_of, normal_quantiles_of};
use super::prediction::{Prediction, Samples};
use super::seen::{cumulative, draw_observations, log_density, observe, quantiles};
use crate::kernel::{Kernel, diag_into, gram_into};
use crate::likelihood::Likelihood;
use crate::mean::{DynMean, Mean};
use crate::scalar::by_precision;
use crate::simd::elementwise::scale;
use crate::{Result, Scalar};

/// The prior of a model: functions m_p(x) + Σ_l W_pl g_l(x) of independent processes g_l ~ GP(0, k_l).
/// W is the identity but in models that mix.
///
/// From the `prior` of a model. It holds all that it needs, and is cheap to clone.
///
/// # Examples
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::mean::ConstantMean;
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let prior = ExactGp::new(4.0 * Rbf::new(1.0)).with_mean(ConstantMean::new(3.0)).with_noise(0.5)?.prior();
/// let at = mat![[0.0], [0.01], [9.0]];
/// let seen = prior.predict_observations(at.as_ref())?;
/// assert_eq!((seen.mean[(0, 0)], seen.variance[(0, 0)]), (3.0, 4.5));
///
/// let draws = prior.sample(at.as_ref(), 100, &mut rand_pcg::Pcg64::seed_from_u64(1))?.values;
/// let step = |a, b| (0..100).map(|draw| (draws[(a, draw)] - draws[(b, draw)]).powi(2)).sum::<f64>() / 100.0;
/// assert!(step(0, 1) < 0.01 && step(0, 2) > 4.0); // 2 k(0) (1 − k(r)/k(0))
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prior<T: Scalar> {
    pub(super) kernels: Arc<[Arc<dyn Kernel<T>>]>,
    pub(super) means: Arc<PerLatent<DynMean>>,
    /// W
    pub(super) mixing: Arc<Mat<T>>,
    pub(super) seen: Observed<T>,
    pub(super) allow_indefinite: bool,
    par: Par,
}

/// How functions are observed.
#[derive(Clone, Debug)]
pub(super) enum Observed<T: Scalar> {
    Through(Arc<dyn Likelihood>),
    /// With noise of this covariance between the outputs.
    WithNoise(Arc<Mat<T>>),
}

impl<T: Scalar> Observed<T> {
    /// With independent noise of these variances.
    pub(super) fn with(variances: impl IntoIterator<Item = f64>) -> Self {
        let variances: Vec<f64> = variances.into_iter().collect();
        let count = variances.len();
        let entry = |row: usize, col: usize| T::from_f64(if row == col { variances[row] } else { 0.0 });
        Self::WithNoise(Mat::from_fn(count, count, entry).into())
    }
}

impl<T: Scalar> Prior<T> {
    /// Independent functions, of one kernel or of one each.
    pub(super) fn independent<K: Kernel<T> + Clone>(
        kernels: &[K],
        means: PerLatent<DynMean>,
        functions: usize,
        seen: Observed<T>,
        par: Par,
    ) -> Self {
        Self::mixed(kernels, means, Mat::identity(functions, functions), seen, par)
    }

    /// Mixtures W g.
    pub(super) fn mixed<K: Kernel<T> + Clone>(
        kernels: &[K],
        means: PerLatent<DynMean>,
        mixing: Mat<T>,
        seen: Observed<T>,
        par: Par,
    ) -> Self {
        let kernels = kernels.iter().map(|kernel| Arc::new(kernel.clone()) as _).collect();
        Self { kernels, means: means.into(), mixing: mixing.into(), seen, allow_indefinite: false, par }
    }

    /// Whether kernels that are not known to be covariances are taken.
    pub(super) fn allowing_indefinite(self, allow_indefinite: bool) -> Self {
        Self { allow_indefinite, ..self }
    }

    fn kernel(&self, process: usize) -> &dyn Kernel<T> {
        &*self.kernels[if self.kernels.len() == 1 { 0 } else { process }]
    }

    fn check(&self, x: MatRef<'_, T>) -> Result<()> {
        check_inputs(x, self.kernels.iter().map(|kernel| &**kernel), self.means.all())?;
        self.kernels.iter().try_for_each(|kernel| {
            kernel.inputs(x.ncols())?;
            check_psd(&**kernel, x.ncols(), self.allow_indefinite)
        })
    }

    /// The functions with their covariance at each point.
    fn joint(&self, x: MatRef<'_, T>) -> Result<JointPrediction<T>> {
        self.check(x)?;
        let (functions, processes) = self.mixing.shape();
        let mut latent_variance = Mat::zeros(x.nrows(), processes);
        for process in 0..processes {
            diag_into(self.kernel(process), x, latent_variance.col_as_slice_mut(process))?;
        }
        let (mean, mixing, noise) = (self.mean(x), (*self.mixing).clone(), Mat::zeros(functions, functions));
        Ok(JointPrediction { mean, mixing, latent_variance, noise, clamped: 0 })
    }

    fn mean(&self, x: MatRef<'_, T>) -> Mat<T> {
        let mut mean = Mat::zeros(x.nrows(), self.functions());
        (0..self.functions()).for_each(|function| {
            self.means.of(function).mean_into(x, mean.col_as_slice_mut(function));
        });
        mean
    }
}

impl<T: Scalar> Predict<T> for Prior<T> {
    fn functions(&self) -> usize {
        self.mixing.nrows()
    }

    fn outputs(&self) -> usize {
        match &self.seen {
            Observed::Through(likelihood) => likelihood.outputs(),
            Observed::WithNoise(noise) => noise.nrows(),
        }
    }

    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        T::select::<PredictAt<'_>>((self, x))
    }

    fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let functions = self.predict(x)?;
        match &self.seen {
            Observed::Through(likelihood) => observe(&**likelihood, functions),
            Observed::WithNoise(noise) => Ok(functions.with_noise(|output| noise[(output, output)].as_f64())),
        }
    }

    fn covariance(&self, x: MatRef<'_, T>, function: usize) -> Result<Mat<T>> {
        T::select::<CovarianceAt<'_>>((self, x, function))
    }

    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        T::select::<SampleAt<'_>>((self, x, draws, rng))
    }

    fn log_predictive_density(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Vec<f64>> {
        match &self.seen {
            Observed::Through(likelihood) => log_density(&**likelihood, x, y, |x| self.predict(x)),
            Observed::WithNoise(noise) => self.joint(x)?.with_noise((**noise).as_ref())?.log_density(y),
        }
    }

    fn quantiles(&self, x: MatRef<'_, T>, probabilities: &[f64]) -> Result<Vec<Mat<T>>> {
        match &self.seen {
            Observed::Through(likelihood) => quantiles(&**likelihood, probabilities, || self.predict(x)),
            Observed::WithNoise(_) => normal_quantiles_of(probabilities, || self.predict_observations(x)),
        }
    }

    fn cumulative(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Mat<T>> {
        match &self.seen {
            Observed::Through(likelihood) => cumulative(&**likelihood, x, y, || self.predict(x)),
            Observed::WithNoise(_) => normal_cumulative_of(x, y, self.outputs(), || self.predict_observations(x)),
        }
    }

    fn sample_observations(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let functions = self.sample(x, draws, rng)?;
        match &self.seen {
            Observed::Through(likelihood) => draw_observations(&**likelihood, functions, rng),
            Observed::WithNoise(noise) => functions.with_correlated_noise((**noise).as_ref(), rng),
        }
    }
}

by_precision!(PredictAt<'a, T>((&'a Prior<T>, MatRef<'a, T>)) -> Result<Prediction<T>> = predict);
by_precision!(CovarianceAt<'a, T>((&'a Prior<T>, MatRef<'a, T>, usize)) -> Result<Mat<T>> = covariance);
by_precision!(SampleAt<'a, T>((&'a Prior<T>, MatRef<'a, T>, usize, &'a mut dyn Rng)) -> Result<Samples<T>> = sample);

fn predict<T: Scalar>((prior, x): (&Prior<T>, MatRef<'_, T>)) -> Result<Prediction<T>> {
    prior.joint(x)?.marginals()
}

fn covariance<T: Scalar>((prior, x, function): (&Prior<T>, MatRef<'_, T>, usize)) -> Result<Mat<T>> {
    prior.check(x)?;
    if function >= prior.functions() {
        return Err(missing_function("the function", function, prior.functions()));
    }
    let n = x.nrows();
    let (mut covariance, mut own) = (Mat::zeros(n, n), Mat::zeros(n, n));
    for process in 0..prior.mixing.ncols() {
        let weight = prior.mixing[(function, process)];
        if weight != T::from_f64(0.0) {
            gram_into(prior.kernel(process), x, own.as_mut(), prior.par)?;
            (0..n).for_each(|col| scale(own.col_as_slice_mut(col), weight * weight));
            covariance += &own;
        }
    }
    Ok(covariance)
}

fn sample<T: Scalar>((prior, x, draws, rng): (&Prior<T>, MatRef<'_, T>, usize, &mut dyn Rng)) -> Result<Samples<T>> {
    prior.check(x)?;
    let (n, processes) = (x.nrows(), prior.mixing.ncols());
    let of_process = |process| {
        let mut gram = Mat::zeros(n, n);
        gram_into(prior.kernel(process), x, gram.as_mut(), prior.par)?;
        let units = (0..n).map(|row| gram[(row, row)]).collect();
        Ok((gram, units))
    };
    let samples = Samples::draw(Mat::zeros(n, processes).as_ref(), draws, rng, prior.par, of_process)?;
    Ok(samples.mixed((*prior.mixing).as_ref(), prior.mean(x).as_ref()))
}
