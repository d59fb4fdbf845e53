//! Exact Gaussian-process regression.

#[cfg(feature = "serde")]
mod saved;

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use crate::gp::checks::{check_data, check_psd};
use crate::gp::data::Data;
use crate::gp::fit::{Warning, examine_one};
use crate::gp::latents::PerLatent;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::model::{Memory, Model, Scales};
use crate::gp::posterior::Posterior;
use crate::gp::prior::{Observed, Prior};
use crate::gp::process::{Latent, Process};
use crate::gp::settings::{model_settings, one_kernel};
use crate::gp::starts::{self, Suggested};
use crate::gp::terms::{gather, noise_variances, prior_mean};
use crate::gp::units;
use crate::kernel::DynKernel;
use crate::kernel::{Kernel, gram_into};
use crate::likelihood::{Gaussian, GaussianNoise, Likelihood};
use crate::linalg::{Cholesky, Jitter};
use crate::mean::{DynMean, Mean, MeanExpr, Zero};
use crate::scalar::by_precision;
use crate::tape::{Tape, Var};
use crate::{Expr, Result, Scalar};

/// Exact Gaussian-process regression: y = f(x) + ε, with f ~ GP(m, k) and ε ~ N(0, σ²), or of a known variance σᵢ² for
/// each observation.
///
/// # Definition
///
/// The log evidence of n observations:
///
/// log p(y) = −½ rᵀ A⁻¹ r − ½ log|A| − (n/2) log 2π, with r = y − m(X) and A = K(X, X) + σ² I,
/// or K(X, X) + diag(σᵢ²)
///
/// # Parameters
///
/// `kernel.…`, `mean.…` and `likelihood.gaussian.variance` (σ², in units of y squared; none of known noise), in this
/// order.
///
/// # Complexity
///
/// O(n³) time and O(n²) memory for the evidence, its gradient and [`condition`](Model::condition);
/// the sparse [`Svgp`](super::Svgp) is for more than some thousand points.
///
/// # Examples
///
/// Fit a kernel to data, and predict:
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(30, 1, |i, _| 0.2 * i as f64);
/// let y: Vec<f64> = (0..30).map(|i| (0.2 * i as f64).sin()).collect();
///
/// let mut gp = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.01)?;
/// let data = Data::new(&x, &y);
/// let before = gp.objective(&data)?;
/// gp.fit(&data, &Lbfgs::default())?;
/// assert!(gp.objective(&data)? > before + 10.0);
///
/// let posterior = gp.condition(&data)?;
/// let at = posterior.predict(mat![[2.1]].as_ref())?;
/// assert!((at.mean[(0, 0)] - 2.1f64.sin()).abs() < 1e-3);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 2.2 and eq. 5.8.
#[derive(Clone, Debug)]
#[doc(alias = "GPR", alias = "GaussianProcessRegressor", alias = "Kriging")]
pub struct ExactGp<K = DynKernel, N = Gaussian> {
    kernel: K,
    mean: DynMean,
    likelihood: N,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl<K: Expr + Clone> ExactGp<K> {
    /// Gaussian-process regression with this kernel, zero mean and Gaussian noise of variance 1.
    pub fn new(kernel: K) -> Self {
        Self {
            kernel,
            mean: DynMean::new(Zero),
            likelihood: Gaussian::new(1.0),
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        }
    }

    crate::gp::settings::noise_setting!();
}

impl<K: Expr + Clone, N: GaussianNoise + Clone> ExactGp<K, N> {
    model_settings!();
    one_kernel!(K);

    /// Sets the likelihood: one noise variance, or known variances for each observation.
    ///
    /// Known variances are those of the rows of the data. `predict` needs no more; `predict_observations` needs the noise variances
    /// of the test points, by [`Posterior::with_likelihood`].
    ///
    /// # Examples
    ///
    /// Of two observations at one place, the mean weighs each by its precision: f ~ N(0, 1) is one more, of 0.
    ///
    /// ```
    /// use mercer::Error;
    /// use mercer::gp::ExactGp;
    /// use mercer::likelihood::FixedNoise;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.0], [0.0]], [3.0, -1.0]);
    /// let noise = FixedNoise::new(&[0.5, 0.1])?;
    /// let gp = ExactGp::new(Rbf::new(1.0)).with_likelihood(noise.clone());
    /// let posterior = gp.condition(&Data::new(&x, &y))?;
    ///
    /// let at = mat![[0.0]];
    /// let latent = posterior.predict(at.as_ref())?;
    /// let precision = 1.0 + 1.0 / 0.5 + 1.0 / 0.1;
    /// assert!((latent.mean[(0, 0)] - (3.0 / 0.5 - 1.0 / 0.1) / precision).abs() < 1e-14);
    /// assert!((latent.variance[(0, 0)] - 1.0 / precision).abs() < 1e-14);
    ///
    /// assert!(matches!(posterior.predict_observations(at.as_ref()), Err(Error::Setting { .. })));
    /// let new = noise.for_new(&[0.2])?;
    /// let seen = posterior.with_likelihood(new)?.predict_observations(at.as_ref())?;
    /// assert!((seen.variance[(0, 0)] - (1.0 / precision + 0.2)).abs() < 1e-14);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn with_likelihood<P: GaussianNoise + Clone>(self, likelihood: P) -> ExactGp<K, P> {
        let Self { kernel, mean, likelihood: _, jitter, allow_indefinite, par } = self;
        ExactGp { kernel, mean, likelihood, jitter, allow_indefinite, par }
    }

    /// The likelihood, which holds the variance of the noise.
    pub fn likelihood(&self) -> &N {
        &self.likelihood
    }

    /// The prior of the model: predictions and draws before data.
    pub fn prior<T: Scalar>(&self) -> Prior<T>
    where
        K: Kernel<T>,
    {
        let (kernel, mean) = (std::slice::from_ref(&self.kernel), PerLatent::one(self.mean.clone()));
        Prior::independent(kernel, mean, 1, Observed::Through(Arc::new(self.likelihood.clone())), self.par)
            .allowing_indefinite(self.allow_indefinite)
    }

    /// Predictions of each observation from all others, in closed form. O(n³) once, not n times.
    ///
    /// # Errors
    ///
    /// As [`objective`](Model::objective).
    pub fn leave_one_out<T: Scalar>(&self, data: &Data<T>) -> Result<LeaveOneOut<T>>
    where
        K: Kernel<T>,
    {
        let y = data.stacked(1)?;
        let (factor, weights, _) = T::select::<Solve<'_>>((self.core(), data.x(), &y))?;
        Ok(LeaveOneOut::of_exact(&LeaveOneOut::precisions(factor.factor(), self.par), weights.col_as_slice(0), &y))
    }

    fn core<T: Scalar>(&self) -> Core<'_, T>
    where
        K: Kernel<T>,
    {
        let Self { kernel, mean, likelihood, jitter, allow_indefinite, par } = self;
        Core { kernel, mean, likelihood, jitter: *jitter, allow_indefinite: *allow_indefinite, par: *par }
    }
}

impl<T: Scalar, K: Kernel<T> + Clone, N: GaussianNoise + Clone> Model<Data<T>> for ExactGp<K, N> {
    type Objective = f64;
    type Posterior = Posterior<T>;

    fn objective(&self, data: &Data<T>) -> Result<f64> {
        T::select::<Evidence<'_>>((self.core(), data.x(), &data.stacked(1)?))
    }

    fn evaluate(&self, data: &Data<T>, memory: &Memory) -> Result<(f64, Vec<f64>)> {
        T::select::<Gradient<'_>>((self.core(), data.x(), &data.stacked(1)?, memory))
    }

    fn condition(&self, data: &Data<T>) -> Result<Posterior<T>> {
        let owned: Owned<T> = (Arc::new(self.kernel.clone()), Arc::new(self.likelihood.clone()));
        T::select::<Conditioned<'_>>((self.core(), data, owned))
    }

    fn scales(&self, data: &Data<T>) -> Result<Scales> {
        let scales = T::select::<ScalesOf<'_>>((self.core(), data.x(), &data.stacked(1)?))?;
        Ok(Scales { noise: starts::noise_units(self, &starts::variances(data.y())), ..scales })
    }

    fn suggest(&self, data: &Data<T>) -> Result<Suggested> {
        self.core().check(data.x(), &data.stacked(1)?)?;
        Ok(starts::suggested(self, &[&self.kernel], std::slice::from_ref(&self.mean), data.x(), Some(data.y())))
    }

    fn degrees_of_freedom(&self, data: &Data<T>) -> Result<Option<f64>> {
        let (factor, _, noise) = T::select::<Solve<'_>>((self.core(), data.x(), &data.stacked(1)?))?;
        // K A⁻¹ = 1 − Σ A⁻¹
        let precisions = LeaveOneOut::precisions(factor.factor(), self.par);
        let of_each = noise.iter().zip(precisions).map(|(noise, precision)| 1.0 - noise * precision.as_f64());
        Ok(Some(of_each.sum()))
    }

    fn examine(&self, data: &Data<T>) -> Result<Vec<Warning>> {
        let parts = (&self.kernel as &dyn Expr, &self.mean, &self.likelihood as &dyn GaussianNoise);
        examine_one(self, parts, data, self.condition(data)?.jitter())
    }
}

/// A model whose types are lost, so that what follows is compiled once for each precision.
struct Core<'a, T: Scalar> {
    kernel: &'a dyn Kernel<T>,
    mean: &'a DynMean,
    likelihood: &'a dyn GaussianNoise,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

/// What a posterior keeps of the model.
type Owned<T> = (Arc<dyn Kernel<T>>, Arc<dyn Likelihood>);

type Given<'a, T> = (Core<'a, T>, MatRef<'a, T>, &'a [T]);

/// The same with the memory of the evaluation before.
type Remembered<'a, T> = (Core<'a, T>, MatRef<'a, T>, &'a [T], &'a Memory);

/// The factor of A, A⁻¹ r, n × 1, and the variances of the noise.
type Solved<T> = Result<(Cholesky<T>, Mat<T>, Vec<f64>)>;

by_precision!(ScalesOf<'a, T>(Given<'a, T>) -> Result<Scales> = scales);
by_precision!(Evidence<'a, T>(Given<'a, T>) -> Result<f64> = evidence);
by_precision!(Gradient<'a, T>(Remembered<'a, T>) -> Result<(f64, Vec<f64>)> = gradient);
by_precision!(Solve<'a, T>(Given<'a, T>) -> Solved<T> = solve);
by_precision!(Conditioned<'a, T>((Core<'a, T>, &'a Data<T>, Owned<T>)) -> Result<Posterior<T>> = condition);

fn scales<T: Scalar>((model, x, y): Given<'_, T>) -> Result<Scales> {
    model.check(x, y)?;
    let mean = units::of_mean(model.mean, x, units::spread(y.iter().copied()));
    Ok(Scales { parameters: [units::ones(model.kernel), mean].concat(), ..Scales::default() })
}

fn condition<T: Scalar>(
    (model, data, (kernel, likelihood)): (Core<'_, T>, &Data<T>, Owned<T>),
) -> Result<Posterior<T>> {
    let (mean, par) = (model.mean.clone(), model.par);
    let (factor, weights, variances) = solve((model, data.x(), &data.stacked(1)?))?;
    let (basis, mut process) = Process::on_data(kernel, vec![Latent::known(mean)], data.x(), factor, weights);
    if let Some(values) = &mut process.values {
        values.noise.iter_mut().zip(variances).for_each(|(noise, variance)| *noise += variance);
    }
    Ok(Posterior { basis, processes: [process].into(), likelihood: Some(likelihood), par })
}

fn evidence<T: Scalar>((model, x, y): Given<'_, T>) -> Result<f64> {
    model.check(x, y)?;
    let tape = Tape::new(model.par);
    let recorded = model.record(&tape, x, y, false)?;
    tape.scalar(recorded.evidence)
}

fn gradient<T: Scalar>((model, x, y, memory): Remembered<'_, T>) -> Result<(f64, Vec<f64>)> {
    model.check(x, y)?;
    memory.on_tape_that_watches(false, model.par, |tape| {
        let recorded = model.record(tape, x, y, true)?;
        let gradients = tape.backward(recorded.evidence)?;
        let gradient = gather(&gradients, tape, &recorded.parameters)?;
        tape.recycle(gradients);
        Ok((tape.scalar(recorded.evidence)?, gradient))
    })
}

fn solve<T: Scalar>((model, x, y): Given<'_, T>) -> Solved<T> {
    model.check(x, y)?;
    let (n, par) = (x.nrows(), model.par);
    let mut covariance = Mat::zeros(n, n);
    gram_into(model.kernel, x, covariance.as_mut(), par)?;
    let variances = model.likelihood.noise_variances(n)?;
    for (i, &variance) in variances.iter().enumerate() {
        covariance[(i, i)] += T::from_f64(variance);
    }
    let factor = Cholesky::new(covariance.as_ref(), model.jitter, par)?;
    let mut weights = Mat::zeros(n, 1);
    model.mean.mean_into(x, weights.col_as_slice_mut(0));
    weights.col_as_slice_mut(0).iter_mut().zip(y).for_each(|(entry, &y)| *entry = y - *entry);
    factor.solve_in_place(weights.as_mut(), par)?;
    Ok((factor, weights, variances))
}

impl<'a, T: Scalar> Core<'a, T> {
    fn check(&self, x: MatRef<'_, T>, y: &[T]) -> Result<()> {
        check_data(x, y, [self.kernel], [self.mean])?;
        self.kernel.inputs(x.ncols())?;
        self.mean.check_dim(x.ncols())?;
        check_psd(self.kernel, x.ncols(), self.allow_indefinite)
    }

    fn record<'t>(
        &self,
        tape: &'t Tape<'a, T>,
        x: MatRef<'a, T>,
        y: &[T],
        differentiable: bool,
    ) -> Result<Recorded<'t, T>> {
        let x = tape.constant(x);
        let kernel = tape.kernel_var(self.kernel, differentiable)?;
        let noise = noise_variances(tape, self.likelihood, y.len())?;
        let mean = prior_mean(tape, self.mean, x)?;
        let residual = tape.constant_owned(Mat::from_fn(y.len(), 1, |row, _| y[row])) - mean.value;
        let (evidence, _) = residual.gaussian_log_density_of_sum(kernel.gram(x)?, noise.value, self.jitter)?;
        Ok(Recorded { evidence, parameters: [kernel.theta(), mean.theta, noise.theta] })
    }
}

struct Recorded<'t, T: Scalar> {
    evidence: Var<'t, T>,
    parameters: [Var<'t, T>; 3],
}

crate::parameterized!([K, N] ExactGp<K, N> as "", parameters: [], children: [kernel, mean, likelihood]);
