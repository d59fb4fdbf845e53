//! Exact Gaussian-process regression.

mod observed;
#[cfg(feature = "serde")]
mod saved;

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

pub(super) use observed::residuals;
use observed::{Observed, observed};

use crate::engine::Weights;
use crate::gp::checks::{check_inputs, check_psd};
use crate::gp::data::Data;
use crate::gp::engine::{self, Engine, Explanation, Problem, Solver};
use crate::gp::fit::{Warning, examine_one};
use crate::gp::latents::PerLatent;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::model::{Memory, Model, Scales};
use crate::gp::posterior::{Form, Given, Posterior};
use crate::gp::prior::{Observed as Seen, Prior};
use crate::gp::process::{Latent, Process};
use crate::gp::settings::{model_settings, one_kernel};
use crate::gp::starts::{self, Suggested};
use crate::gp::terms::{gather, noise_variances_of, prior_mean};
use crate::gp::units;
use crate::kernel::DynKernel;
use crate::kernel::{Kernel, gram_into};
use crate::likelihood::{Gaussian, GaussianNoise, Likelihood};
use crate::linalg::{Cholesky, Jitter};
use crate::mean::{DynMean, Mean, MeanExpr, Zero};
use crate::params::ParameterizedExt;
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
/// An observation that is NaN is missing: it says nothing, and takes no part.
///
/// # Complexity
///
/// O(n³) time and O(n²) memory for the evidence, its gradient and [`condition`](Model::condition), but for kernels and points with
/// a structure that an [`Engine`] knows, which the model finds by itself: series of a million observations are then a matter of
/// a second. For others, the sparse [`Svgp`](super::Svgp) is for more than some thousand points.
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
    engine: Engine,
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
            engine: Engine::Auto,
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
        let Self { kernel, mean, likelihood: _, jitter, allow_indefinite, engine, par } = self;
        ExactGp { kernel, mean, likelihood, jitter, allow_indefinite, engine, par }
    }

    /// Sets the engine: the algebra that it does its work with. By default the quickest of those that apply.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Engine, ExactGp};
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.0], [0.3], [2.0]], [0.1, 0.4, f64::NAN]); // the last was not observed
    /// let gp = ExactGp::new(Matern32::new(1.0));
    /// let of = |engine| gp.clone().with_engine(engine).objective(&data);
    /// assert!((of(Engine::markov())? - of(Engine::Dense)?).abs() < 1e-14);
    /// assert!(of(Engine::Toeplitz).is_err()); // a gap
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Which [engines](Engine) apply to the kernel and these data, why others do not, what each costs, and which is taken.
    ///
    /// # Errors
    ///
    /// Those of data that do not fit the model, as in [`objective`](Model::objective); [`Error::Setting`](crate::Error::Setting)
    /// for an engine set by name that does not apply.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::ExactGp;
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new((0..600).map(f64::from).collect::<Vec<_>>(), vec![0.3; 600]);
    /// let found = ExactGp::new(Rbf::new(2.0)).explain(&data)?;
    /// assert_eq!(found.chosen(), "Toeplitz");
    /// println!("{found}"); // a line for each engine
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn explain<T: Scalar>(&self, data: &Data<T>) -> Result<Explanation>
    where
        K: Kernel<T>,
    {
        T::select::<ExplanationOf<'_>>((self.core(), data.x(), &data.stacked(1)?))
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
        Prior::independent(kernel, mean, 1, Seen::Through(Arc::new(self.likelihood.clone())), self.par)
            .allowing_indefinite(self.allow_indefinite)
    }

    /// Predictions of each observation from all others, in closed form. O(n³) once, not n times; less by other engines. A
    /// missing observation has none.
    ///
    /// # Errors
    ///
    /// As [`objective`](Model::objective).
    pub fn leave_one_out<T: Scalar>(&self, data: &Data<T>) -> Result<LeaveOneOut<T>>
    where
        K: Kernel<T>,
    {
        let y = data.stacked(1)?;
        let Inverse { precisions, weights, .. } = T::select::<InverseOf<'_>>((self.core(), data.x(), &y))?;
        Ok(LeaveOneOut::of_exact(&precisions, &weights, Observed::of(data.x(), &y).y()))
    }

    fn core<T: Scalar>(&self) -> Core<'_, T>
    where
        K: Kernel<T>,
    {
        let Self { kernel, mean, likelihood, jitter, allow_indefinite, engine, par } = self;
        let (jitter, allow_indefinite, engine, par) = (*jitter, *allow_indefinite, *engine, *par);
        Core { kernel, mean, likelihood, jitter, allow_indefinite, engine, par }
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
        Ok(Scales { noise: starts::noise_units(self, &starts::variances(observed(data)?.y())), ..scales })
    }

    fn suggest(&self, data: &Data<T>) -> Result<Suggested> {
        self.core().check(data.x(), &data.stacked(1)?)?;
        let data = observed(data)?;
        Ok(starts::suggested(self, &[&self.kernel], std::slice::from_ref(&self.mean), data.x(), Some(data.y())))
    }

    fn degrees_of_freedom(&self, data: &Data<T>) -> Result<Option<f64>> {
        let Inverse { precisions, noise, .. } = T::select::<InverseOf<'_>>((self.core(), data.x(), &data.stacked(1)?))?;
        // K A⁻¹ = 1 − Σ A⁻¹
        let of_each = noise.iter().zip(precisions).map(|(noise, precision)| 1.0 - noise * precision.as_f64());
        Ok(Some(of_each.sum()))
    }

    fn examine(&self, data: &Data<T>) -> Result<Vec<Warning>> {
        let parts = (&self.kernel as &dyn Expr, &self.mean, &self.likelihood as &dyn GaussianNoise);
        examine_one(self, parts, &*observed(data)?, self.condition(data)?.jitter())
    }
}

/// A model whose types are lost, so that what follows is compiled once for each precision.
struct Core<'a, T: Scalar> {
    kernel: &'a dyn Kernel<T>,
    mean: &'a DynMean,
    likelihood: &'a dyn GaussianNoise,
    jitter: Jitter,
    allow_indefinite: bool,
    engine: Engine,
    par: Par,
}

/// What a posterior keeps of the model.
type Owned<T> = (Arc<dyn Kernel<T>>, Arc<dyn Likelihood>);

type On<'a, T> = (Core<'a, T>, MatRef<'a, T>, &'a [T]);

/// The same with the memory of the evaluation before.
type Remembered<'a, T> = (Core<'a, T>, MatRef<'a, T>, &'a [T], &'a Memory);

/// The factor of A, A⁻¹ r, n × 1, and the variances of the noise.
type Solved<T> = Result<(Cholesky<T>, Mat<T>, Vec<f64>)>;

/// For each observation, (A⁻¹)ᵢᵢ, (A⁻¹ r)ᵢ and the variance of the noise.
struct Inverse<T> {
    precisions: Vec<T>,
    weights: Vec<T>,
    noise: Vec<f64>,
}

by_precision!(ScalesOf<'a, T>(On<'a, T>) -> Result<Scales> = scales);
by_precision!(Evidence<'a, T>(On<'a, T>) -> Result<f64> = evidence);
by_precision!(Gradient<'a, T>(Remembered<'a, T>) -> Result<(f64, Vec<f64>)> = gradient);
by_precision!(InverseOf<'a, T>(On<'a, T>) -> Result<Inverse<T>> = inverse);
by_precision!(ExplanationOf<'a, T>(On<'a, T>) -> Result<Explanation> = explain);
by_precision!(Conditioned<'a, T>((Core<'a, T>, &'a Data<T>, Owned<T>)) -> Result<Posterior<T>> = condition);

fn scales<T: Scalar>((model, x, y): On<'_, T>) -> Result<Scales> {
    model.check(x, y)?;
    let spread = units::spread(y.iter().copied().filter(|y| !y.is_nan()));
    let mean = units::of_mean(model.mean, x, spread);
    Ok(Scales { parameters: [units::ones(model.kernel), mean].concat(), ..Scales::default() })
}

fn explain<T: Scalar>((model, x, y): On<'_, T>) -> Result<Explanation> {
    model.check(x, y)?;
    engine::explain(model.engine, &model.problem(x, y, &model.noise(y.len())?))
}

fn condition<T: Scalar>(
    (model, data, (kernel, likelihood)): (Core<'_, T>, &Data<T>, Owned<T>),
) -> Result<Posterior<T>> {
    let (mean, par, y) = (model.mean.clone(), model.par, data.stacked(1)?);
    model.check(data.x(), &y)?;
    let noise = model.noise(y.len())?;
    let problem = model.problem(data.x(), &y, &noise);
    let residual = residuals(&mean, data.x(), &y);
    if let Some(solution) = engine::choose(model.engine, &problem)?.solution(&problem, &kernel, residual)? {
        let form = Form::Engine(Given { mean, solution, jitter: model.fixed_jitter() });
        return Ok(Posterior { form, likelihood: Some(likelihood), par });
    }
    let seen = Observed::of(data.x(), &y);
    let (factor, weights, variances) = model.solve(&seen)?;
    let (basis, mut process) = Process::on_data(kernel, vec![Latent::known(mean)], seen.x(), factor, weights);
    if let Some(values) = &mut process.values {
        values.noise.iter_mut().zip(variances).for_each(|(noise, variance)| *noise += variance);
    }
    Ok(Posterior::of(basis, [process], Some(likelihood), par))
}

fn evidence<T: Scalar>((model, x, y): On<'_, T>) -> Result<f64> {
    model.check(x, y)?;
    let noise = model.noise(y.len())?;
    let problem = model.problem(x, y, &noise);
    if let Some(mut solver) = engine::choose(model.engine, &problem)?.solver(&problem)? {
        return solver.density(residuals(model.mean, x, y), false);
    }
    let seen = Observed::of(x, y);
    let tape = Tape::new(model.par);
    let recorded = model.record(&tape, (x, y), &seen, None, false)?;
    tape.scalar(recorded.evidence)
}

fn gradient<T: Scalar>((model, x, y, memory): Remembered<'_, T>) -> Result<(f64, Vec<f64>)> {
    model.check(x, y)?;
    let (noise, seen) = (model.noise(y.len())?, Observed::of(x, y));
    let problem = model.problem(x, y, &noise);
    let solver = engine::choose(model.engine, &problem)?.solver(&problem)?;
    memory.on_tape_that_watches(false, model.par, |tape| {
        let recorded = model.record(tape, (x, y), &seen, solver, true)?;
        let gradients = tape.backward(recorded.evidence)?;
        let gradient = gather(&gradients, tape, &recorded.parameters)?;
        tape.recycle(gradients);
        Ok((tape.scalar(recorded.evidence)?, gradient))
    })
}

fn inverse<T: Scalar>((model, x, y): On<'_, T>) -> Result<Inverse<T>> {
    model.check(x, y)?;
    let (all, seen) = (model.noise(y.len())?, Observed::of(x, y));
    let problem = model.problem(x, y, &all);
    if let Some(mut solver) = engine::choose(model.engine, &problem)?.solver(&problem)? {
        solver.density(residuals(model.mean, x, y), true)?;
        let found = solver.gradient(&mut vec![0.0; model.kernel.num_params()])?;
        let of = |of: Vec<f64>| seen.take(of).into_iter().map(T::from_f64).collect();
        let noise = seen.take(model.likelihood.noise_variances(y.len())?);
        return Ok(Inverse { precisions: of(found.precisions), weights: of(found.solved), noise });
    }
    let (factor, weights, noise) = model.solve(&seen)?;
    let precisions = LeaveOneOut::precisions(factor.factor(), model.par);
    Ok(Inverse { precisions, weights: weights.col_as_slice(0).to_vec(), noise })
}

impl<'a, T: Scalar> Core<'a, T> {
    fn check(&self, x: MatRef<'_, T>, y: &[T]) -> Result<()> {
        check_inputs(x, [self.kernel], [self.mean])?;
        observed::check(x, y)?;
        self.kernel.inputs(x.ncols())?;
        self.mean.check_dim(x.ncols())?;
        check_psd(self.kernel, x.ncols(), self.allow_indefinite)
    }

    /// The jitter that there is whether it is needed or not.
    fn fixed_jitter(&self) -> f64 {
        if let Jitter::Fixed(amount) = self.jitter { amount } else { 0.0 }
    }

    /// The variances of the noise, with the jitter that there always is.
    fn noise(&self, n: usize) -> Result<Vec<f64>> {
        let mut noise = self.likelihood.noise_variances(n)?;
        noise.iter_mut().for_each(|noise| *noise += self.fixed_jitter());
        Ok(noise)
    }

    fn problem<'b>(&self, x: MatRef<'b, T>, y: &'b [T], noise: &'b [f64]) -> Problem<'a, 'b, T> {
        let tolerance = if let Engine::Markov { tolerance } = self.engine { tolerance } else { None };
        Problem { kernel: self.kernel, x, y, noise, tolerance, par: self.par }
    }

    fn solve(&self, seen: &Observed<'_, T>) -> Solved<T> {
        let (n, par) = (seen.y().len(), self.par);
        let mut covariance = Mat::zeros(n, n);
        gram_into(self.kernel, seen.x(), covariance.as_mut(), par)?;
        let variances = seen.take(self.likelihood.noise_variances(seen.of_all())?);
        for (i, &variance) in variances.iter().enumerate() {
            covariance[(i, i)] += T::from_f64(variance);
        }
        let factor = Cholesky::new(covariance.as_ref(), self.jitter, par)?;
        let mut weights = Mat::zeros(n, 1);
        self.mean.mean_into(seen.x(), weights.col_as_slice_mut(0));
        weights.col_as_slice_mut(0).iter_mut().zip(seen.y()).for_each(|(entry, &y)| *entry = y - *entry);
        factor.solve_in_place(weights.as_mut(), par)?;
        Ok((factor, weights, variances))
    }

    /// With a solver where an engine has one.
    fn record<'t>(
        &self,
        tape: &'t Tape<'a, T>,
        (x, y): (MatRef<'a, T>, &[T]),
        seen: &'a Observed<'a, T>,
        solver: Option<Box<dyn Solver + 'a>>,
        differentiable: bool,
    ) -> Result<Recorded<'t, T>> {
        let kernel = tape.kernel_var(self.kernel, differentiable)?;
        let n = y.len();
        let (x, y, rows) = if solver.is_some() { (x, y, None) } else { (seen.x(), seen.y(), seen.rows()) };
        let x = tape.constant(x);
        let noise = noise_variances_of(tape, self.likelihood, n, rows)?;
        let mean = prior_mean(tape, self.mean, x)?;
        let residual = tape.constant_owned(Mat::from_fn(y.len(), 1, |row, _| y[row])) - mean.value;
        let evidence = match solver {
            Some(solver) => log_density_by(tape, solver, kernel.theta(), residual, noise.value)?,
            None => residual.gaussian_log_density_of_sum(kernel.gram(x)?, noise.value, self.jitter)?.0,
        };
        Ok(Recorded { evidence, parameters: [kernel.theta(), mean.theta, noise.theta] })
    }
}

/// The log density of residuals by an engine, as a primitive of the tape: with α = A⁻¹r, its derivative in r is −α, that in the
/// noise of observation i ½ (α_i² − (A⁻¹)_ii), and that in the kernel the engine's.
fn log_density_by<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    mut solver: Box<dyn Solver + 'a>,
    theta: Var<'t, T>,
    residual: Var<'t, T>,
    noise: Var<'t, T>,
) -> Result<Var<'t, T>> {
    let values: Vec<f64> = tape.value(residual)?.as_mat().col(0).iter().map(|value| value.as_f64()).collect();
    let density = solver.density(values, true)?;
    let params = tape.shape(theta)?.0;
    let wants = [tape.needs_gradient(residual)?, tape.needs_gradient(noise)?];
    let reverse = move |cotangent: MatRef<'_, T>| {
        let c = cotangent[(0, 0)].as_f64();
        let mut in_theta = vec![0.0; params];
        let Weights { solved, precisions } = solver.gradient(&mut in_theta)?;
        let column = |of: &dyn Fn(usize) -> f64| Mat::from_fn(solved.len(), 1, |row, _| T::from_f64(c * of(row)));
        let in_residual = wants[0].then(|| column(&|row| -solved[row]));
        let in_noise = wants[1].then(|| column(&|row| 0.5 * (solved[row] * solved[row] - precisions[row])));
        Ok(vec![Some(Mat::from_fn(params, 1, |row, _| T::from_f64(c * in_theta[row]))), in_residual, in_noise])
    };
    Ok(tape.fallible(&[theta, residual, noise], Mat::full(1, 1, T::from_f64(density)), Box::new(reverse)))
}

struct Recorded<'t, T: Scalar> {
    evidence: Var<'t, T>,
    parameters: [Var<'t, T>; 3],
}

crate::parameterized!([K, N] ExactGp<K, N> as "", parameters: [], children: [kernel, mean, likelihood]);
