//! A Gaussian process given what a model has learned at some inputs.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::checks::check_inputs;
use super::engine::{Solution, not_by};
use super::few_points;
use super::predict::{Predict, missing_function};
use super::prediction::{Prediction, Samples, clamp};
use super::process::Process;
use super::seen::{cumulative, draw_observations, log_density, observe, quantiles};
use crate::inducing::Basis;
use crate::likelihood::Likelihood;
use crate::mean::{DynMean, Mean};
use crate::scalar::by_precision;
use crate::simd::elementwise::add;
use crate::{Error, Result, Scalar};

/// The posterior of a Gaussian process: ready to predict anywhere, its factors computed once.
///
/// # Definition
///
/// With inducing features u (the values at the data and their noise, for an exact process) of
/// covariance K_uu = LLᵀ, weights α, and A = L⁻¹ K_uf:
///
/// mean(x) = m(x) + K_fu α
///
/// covariance(x, x′) = k(x, x′) − AᵀA′ + AᵀSA′
///
/// where S is the covariance of the whitened inducing variables, and is absent for an exact
/// process. A [basis of the mean](super::MeanBasis) adds K(x, Γ) a to it. A variance is the difference of norms of triangular solves. One that is negative by
/// rounding is set to 0 and counted; one that is negative by more is an error.
///
/// A model with L latent functions, which are independent, has a column of means and variances for each.
///
/// It holds all that it needs, so that it outlives the model, goes to other threads, and is cheap to clone: what was computed
/// is shared.
///
/// From [`Model::condition`](super::Model::condition), or [`Svgp::posterior`](super::Svgp::posterior).
///
/// # Examples
///
/// One observation y = 3 of a process of variance 1, with noise of variance 0.5: at the same place the
/// mean is y/(1 + 0.5) and the variance 1 − 1/(1 + 0.5).
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::prelude::*;
///
/// let x = mat![[2.0]];
/// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.5)?;
/// let posterior = gp.condition(&Data::new(&x, &[3.0]))?;
///
/// let latent = posterior.predict(x.as_ref())?;
/// assert!((latent.mean[(0, 0)] - 2.0f64).abs() < 1e-15);
/// assert!((latent.variance[(0, 0)] - 1.0f64 / 3.0).abs() < 1e-15);
/// let seen = posterior.predict_observations(x.as_ref())?;
/// assert!((seen.variance[(0, 0)] - (1.0f64 / 3.0 + 0.5)).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Posterior<T: Scalar> {
    pub(super) form: Form<T>,
    /// `None` of processes that were not observed themselves.
    pub(super) likelihood: Option<Arc<dyn Likelihood>>,
    pub(super) par: Par,
}

/// What is known of latent functions.
#[derive(Clone, Debug)]
pub(super) enum Form<T: Scalar> {
    /// By inducing variables, which are the observations of an exact process.
    Inducing(Inducing<T>),
    /// One function by an engine that has no matrix of them.
    Engine(Given<T>),
}

/// A function given its observations.
#[derive(Clone, Debug)]
pub(super) struct Given<T: Scalar> {
    pub(super) mean: DynMean,
    pub(super) solution: Arc<dyn Solution<T>>,
    /// What was added to the variance of the noise.
    pub(super) jitter: f64,
}

/// Processes given inducing variables.
#[derive(Clone, Debug)]
pub(super) struct Inducing<T: Scalar> {
    pub(super) basis: Arc<dyn Basis<T>>,
    pub(super) processes: Arc<[Process<T>]>,
}

impl<T: Scalar> Posterior<T> {
    /// Of processes on a basis.
    pub(super) fn of(
        basis: Arc<dyn Basis<T>>,
        processes: impl Into<Arc<[Process<T>]>>,
        likelihood: Option<Arc<dyn Likelihood>>,
        par: Par,
    ) -> Self {
        Self { form: Form::Inducing(Inducing { basis, processes: processes.into() }), likelihood, par }
    }

    /// The processes given inducing variables.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where an engine has none, by the name of what it does not give.
    pub(super) fn inducing(&self, what: &str) -> Result<&Inducing<T>> {
        match &self.form {
            Form::Inducing(inducing) => Ok(inducing),
            Form::Engine(given) => Err(not_by(given.solution.engine(), what)),
        }
    }

    fn processes(&self) -> &[Process<T>] {
        match &self.form {
            Form::Inducing(inducing) => &inducing.processes,
            Form::Engine(_) => &[],
        }
    }

    /// The name of the [engine](super::Engine) that it is from: `Dense` also of sparse models.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, Engine, ExactGp};
    /// use mercer::prelude::*;
    ///
    /// let gp = ExactGp::new(Matern32::new(1.0)).with_engine(Engine::markov());
    /// let posterior = gp.condition(&Data::new(mat![[0.0], [1.0]], [0.3, 1.0]))?;
    /// assert_eq!(posterior.engine(), "Markov");
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn engine(&self) -> &'static str {
        match &self.form {
            Form::Inducing(_) => "Dense",
            Form::Engine(given) => given.solution.engine(),
        }
    }

    /// The largest jitter that was added to the diagonal of a covariance of the inducing variables.
    pub fn jitter(&self) -> f64 {
        match &self.form {
            Form::Inducing(inducing) => {
                inducing.processes.iter().map(|process| process.prior.jitter()).fold(0.0, f64::max)
            }
            Form::Engine(given) => given.jitter,
        }
    }

    /// M − tr S, for the covariance S of the M whitened inducing variables of a process.
    pub(super) fn degrees_of_freedom(&self) -> f64 {
        let of = |process: &Process<T>| {
            let roots = process.latents.iter().take(1).flat_map(|latent| &*latent.roots);
            process.weights.nrows() as f64 - roots.map(|root| root.get().squared_norm_l2().as_f64()).sum::<f64>()
        };
        self.processes().iter().map(of).sum()
    }

    /// L, the number of latent functions.
    pub fn latents(&self) -> usize {
        match &self.form {
            Form::Inducing(inducing) => inducing.processes.iter().map(|process| process.latents.len()).sum(),
            Form::Engine(_) => 1,
        }
    }

    /// Sets the likelihood of observations: one with the noise, or the exposures, of the points that are predicted next.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a likelihood of another number of latent functions than there are.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Svgp;
    /// use mercer::likelihood::FixedNoise;
    /// use mercer::prelude::*;
    ///
    /// let noise = FixedNoise::new(&[0.1, 0.2, 0.4])?;
    /// let x = mat![[0.0], [1.0], [2.0]];
    /// let gp = Svgp::new(Rbf::new(1.0), x.as_ref())?.with_likelihood(noise.clone());
    ///
    /// // Two new observations, of known noise; q is the prior, of variance 1.
    /// let new = noise.for_new(&[0.5, 2.0])?;
    /// let at = mat![[0.5], [7.0]];
    /// let seen = gp.posterior::<f64>()?.with_likelihood(new)?.predict_observations(at.as_ref())?;
    /// assert!((seen.variance[(0, 0)] - 1.5).abs() < 1e-12 && (seen.variance[(1, 0)] - 3.0).abs() < 1e-12);
    /// assert!(gp.posterior::<f64>()?.predict_observations(at.as_ref()).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_likelihood(mut self, likelihood: impl Likelihood) -> Result<Self> {
        self.likelihood = Some(Arc::new(likelihood));
        self.fitting()?;
        Ok(self)
    }

    /// The mean of the latent function: O(n·M·D) time; no matrix stored, if the inducing variables are
    /// values at points.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] and [`Error::Dimension`] for points of another dimension,
    /// [`Error::NonFinite`] and [`Error::Empty`] for points that cannot be predicted.
    pub fn mean(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        self.check(x)?;
        let mut means = Mat::zeros(x.nrows(), self.latents());
        let mut first = 0;
        let inducing = match &self.form {
            Form::Inducing(inducing) => inducing,
            Form::Engine(_) => return Ok(self.predict(x)?.mean),
        };
        for process in &*inducing.processes {
            let shifts = process.shifts(&*inducing.basis, x, self.par)?;
            for (col, latent) in process.latents.iter().enumerate() {
                let mean = means.col_as_slice_mut(first + col);
                latent.mean.mean_into(x, mean);
                add(mean, shifts.col_as_slice(col));
            }
            first += process.latents.len();
        }
        Ok(means)
    }

    /// The covariance of observations of a function at all pairs of the points, n × n: [that](Predict::covariance) of the
    /// function, with the variance of the noise in the diagonal.
    ///
    /// # Errors
    ///
    /// As [`Predict::covariance`]; [`Error::Setting`] for a likelihood that is not Gaussian noise, of which observations can be
    /// [drawn](Predict::sample), and for known noise that is not [that](Self::with_likelihood) of the points.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::ExactGp;
    /// use mercer::prelude::*;
    ///
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.5)?;
    /// let posterior = gp.condition(&Data::new(mat![[0.0]], [3.0]))?;
    /// let at = mat![[0.3], [0.4]];
    /// let (seen, function) = (posterior.covariance_of_observations(at.as_ref())?, posterior.covariance(at.as_ref(), 0)?);
    /// assert_eq!((seen[(1, 1)], seen[(0, 1)]), (function[(1, 1)] + 0.5, function[(0, 1)]));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn covariance_of_observations(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        let noise = self.noise_of(x.nrows())?;
        let mut covariance = self.covariance(x, 0)?;
        noise.iter().enumerate().for_each(|(row, &variance)| covariance[(row, row)] += T::from_f64(variance));
        Ok(covariance)
    }

    /// The likelihood, if it is one of as many latent functions as there are.
    pub(super) fn fitting(&self) -> Result<&dyn Likelihood> {
        let Some(likelihood) = self.likelihood.as_deref() else {
            let expected = "is needed for observations: of a mixture of processes, ask the posterior of the mixture";
            return Err(Error::setting("the likelihood of the latent functions", "missing", expected));
        };
        let (expected, found) = (self.latents(), likelihood.latents());
        if found == expected {
            return Ok(likelihood);
        }
        let expected = format!("must be {expected}, as the posterior has");
        Err(Error::setting("the number of latent functions of the likelihood", found, &expected))
    }

    pub(super) fn check(&self, x: MatRef<'_, T>) -> Result<()> {
        let dim = match &self.form {
            Form::Inducing(Inducing { basis, processes }) => {
                let means = processes.iter().flat_map(|process| process.latents.iter().map(|latent| &latent.mean));
                check_inputs(x, processes.iter().map(|process| &*process.kernel), means)?;
                basis.dim()
            }
            Form::Engine(Given { mean, solution, .. }) => {
                check_inputs(x, [&**solution.kernel()], [mean])?;
                solution.dim()
            }
        };
        if x.ncols() != dim {
            let expected = format!("{dim} column(s), as the model's inputs have");
            return Err(Error::shape("x", expected, (x.nrows(), x.ncols())));
        }
        match &self.form {
            Form::Inducing(inducing) => inducing.basis.check_points(x),
            Form::Engine(given) => given.solution.check(x),
        }
    }

    /// With the diagonal a priori.
    pub(super) fn covariance_of(&self, x: MatRef<'_, T>, latent: usize) -> Result<(Mat<T>, Vec<T>)> {
        let inducing = match &self.form {
            Form::Inducing(inducing) => inducing,
            Form::Engine(given) if latent == 0 => return given.solution.covariance(x),
            Form::Engine(_) => return Err(missing_function("the latent function", latent, 1)),
        };
        let (process, index) = self.process_of(latent)?;
        process.covariance(&*inducing.basis, index, x, self.par)
    }

    /// The process of a latent function, and which of its functions that is.
    pub(super) fn process_of(&self, latent: usize) -> Result<(&Process<T>, usize)> {
        let mut index = latent;
        for process in &*self.inducing("matrices of the observations")?.processes {
            if index < process.latents.len() {
                return Ok((process, index));
            }
            index -= process.latents.len();
        }
        Err(missing_function("the latent function", latent, self.latents()))
    }
}

// O(n·M²) time, and scratch for some thousand points whatever n; a covariance of n points O(n·M² + n²·M).
impl<T: Scalar> Predict<T> for Posterior<T> {
    fn functions(&self) -> usize {
        self.latents()
    }

    fn outputs(&self) -> usize {
        self.likelihood.as_ref().map_or(self.latents(), |likelihood| likelihood.outputs())
    }

    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        T::select::<PredictAt<'_>>((self, x))
    }

    fn predict_into(&self, x: MatRef<'_, T>, out: &mut Prediction<T>) -> Result<()> {
        T::select::<PredictInto<'_>>((self, x, out))
    }

    /// Rounding is told from variances in units of those a priori, which are the size of what was subtracted.
    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        T::select::<SampleAt<'_>>((self, x, draws, rng))
    }

    fn covariance(&self, x: MatRef<'_, T>, function: usize) -> Result<Mat<T>> {
        Ok(T::select::<CovarianceAt<'_>>((self, x, function))?.0)
    }

    fn predict_observations(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let likelihood = self.fitting()?;
        observe(likelihood, self.predict(x)?)
    }

    fn log_predictive_density(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Vec<f64>> {
        log_density(self.fitting()?, x, y, |x| self.predict(x))
    }

    fn quantiles(&self, x: MatRef<'_, T>, probabilities: &[f64]) -> Result<Vec<Mat<T>>> {
        quantiles(self.fitting()?, probabilities, || self.predict(x))
    }

    fn cumulative(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<Mat<T>> {
        cumulative(self.fitting()?, x, y, || self.predict(x))
    }

    fn sample_observations(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let likelihood = self.fitting()?;
        draw_observations(likelihood, self.sample(x, draws, rng)?, rng)
    }
}

by_precision!(PredictAt<'a, T>((&'a Posterior<T>, MatRef<'a, T>)) -> Result<Prediction<T>> = predict);
by_precision!(PredictInto<'a, T>((&'a Posterior<T>, MatRef<'a, T>, &'a mut Prediction<T>)) -> Result<()> = predict_into);
by_precision!(CovarianceAt<'a, T>((&'a Posterior<T>, MatRef<'a, T>, usize)) -> Result<(Mat<T>, Vec<T>)> = covariance);
by_precision!(SampleAt<'a, T>((&'a Posterior<T>, MatRef<'a, T>, usize, &'a mut dyn Rng)) -> Result<Samples<T>> = sample);

fn predict<T: Scalar>((posterior, x): (&Posterior<T>, MatRef<'_, T>)) -> Result<Prediction<T>> {
    posterior.check(x)?;
    let mut found = Prediction::zeros(x.nrows(), posterior.latents());
    let mut first = 0;
    let Inducing { basis, processes } = match &posterior.form {
        Form::Inducing(inducing) => inducing,
        Form::Engine(Given { mean, solution, .. }) => {
            let [shifts, variances, priors] = solution.moments(x)?;
            let Prediction { mean: means, variance, clamped, .. } = &mut found;
            mean.mean_into(x, means.col_as_slice_mut(0));
            means.col_as_slice_mut(0).iter_mut().zip(shifts).for_each(|(mean, shift)| *mean += T::from_f64(shift));
            for (row, out) in variance.col_as_slice_mut(0).iter_mut().enumerate() {
                *out = T::from_f64(clamp(variances[row], priors[row], row, clamped)?);
            }
            return Ok(found);
        }
    };
    for process in &**processes {
        for (col, latent) in process.latents.iter().enumerate() {
            latent.mean.mean_into(x, found.mean.col_as_slice_mut(first + col));
        }
        let Prediction { mean, variance, clamped, .. } = &mut found;
        process.moments(&**basis, x, posterior.par, |latent, start, [shift, prior, value]| {
            let (rows, col) = (start..start + value.nrows(), first + latent);
            let means = mean.col_as_slice_mut(col)[rows.clone()].iter_mut();
            means.zip(shift.col(0).iter()).for_each(|(mean, &shift)| *mean += shift);
            for (row, out) in variance.col_as_slice_mut(col)[rows].iter_mut().enumerate() {
                *out = clamp(value[(row, 0)], prior[(row, 0)], start + row, clamped)?;
            }
            Ok(())
        })?;
        first += process.latents.len();
    }
    Ok(found)
}

fn predict_into<T: Scalar>((posterior, x, out): (&Posterior<T>, MatRef<'_, T>, &mut Prediction<T>)) -> Result<()> {
    posterior.check(x)?;
    if !few_points::predict(posterior, x, out)? {
        let Prediction { mean, variance, clamped, .. } = predict((posterior, x))?;
        (out.mean, out.variance, out.clamped) = (mean, variance, clamped);
    }
    Ok(())
}

fn covariance<T: Scalar>((posterior, x, function): (&Posterior<T>, MatRef<'_, T>, usize)) -> Result<(Mat<T>, Vec<T>)> {
    posterior.check(x)?;
    posterior.covariance_of(x, function)
}

/// For more points than so many, engines draw without a covariance of all of them.
const MANY: usize = 1024;

fn sample<T: Scalar>(
    (posterior, x, draws, rng): (&Posterior<T>, MatRef<'_, T>, usize, &mut dyn Rng),
) -> Result<Samples<T>> {
    posterior.check(x)?;
    if let Form::Engine(given) = &posterior.form
        && x.nrows() > MANY
        && let Some(drawn) = given.solution.sample(x, draws, rng)
    {
        let (drawn, mut mean) = (drawn?, vec![T::from_f64(0.0); x.nrows()]);
        given.mean.mean_into(x, &mut mean);
        let values = Mat::from_fn(x.nrows(), draws, |row, draw| mean[row] + T::from_f64(drawn[(row, draw)]));
        return Ok(Samples { values, jitter: 0.0 });
    }
    let mean = posterior.mean(x)?;
    Samples::draw(mean.as_ref(), draws, rng, posterior.par, |latent| posterior.covariance_of(x, latent))
}

pub(super) fn to_f64<T: Scalar>(values: &[T]) -> Vec<f64> {
    values.iter().map(|&value| value.as_f64()).collect()
}

pub(super) fn from_f64<T: Scalar>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::from_f64(value)).collect()
}
