//! Sparse regression with the inducing variables integrated out.

mod condition;
mod from_statistics;
#[cfg(feature = "serde")]
mod saved;
mod variational;

use faer::{Mat, MatRef, Par};

use super::checks::{check_data, check_psd};
use super::collapsed::{Approximation, CollapsedEvidence, Recorded, record_evidence};
use super::conditional::Conditional;
use super::data::Data;
use super::fit::{Warning, examine_one};
use super::model::{Memory, Model, Scales};
use super::posterior::Posterior;
use super::rounding::gradient_and_rounding;
use super::settings::{model_settings, one_kernel};
use super::starts::Suggested;
use super::terms::{features_on, noise_variances, prior_mean};
use super::{starts, units};
use crate::inducing::{InducingFeatures, InducingPoints, InducingPrior};
use crate::kernel::DynKernel;
use crate::kernel::Kernel;
use crate::likelihood::{Gaussian, GaussianNoise};
use crate::linalg::Jitter;
use crate::mean::{DynMean, MeanExpr, Zero};
use crate::tape::{KernelVar, Tape, Var};
use crate::{Error, Expr, Result, Scalar};

/// Sparse Gaussian-process regression: M inducing variables stand for the function, and for Gaussian
/// noise the best distribution of them is known in closed form, so that kernel, mean, noise and
/// inducing inputs are all that is left to learn.
///
/// # Definition
///
/// With inducing variables u of covariance K_uu = LLᵀ (K(Z, Z) for values at inputs Z, but any
/// [features](InducingFeatures) will do), A = L⁻¹ K_uf, residuals r = y − m(X) and a diagonal Λ, which
/// is σ²I, or diag(K − AᵀA) + σ²I for [`Approximation::Fitc`], with diag(σᵢ²) for σ²I where noise is known, the whitened v = L⁻¹u, less the prior mean, have the
/// posterior
///
/// q(v) = N(B⁻¹AΛ⁻¹r, B⁻¹) with B = I + AΛ⁻¹Aᵀ
///
/// and the log evidence is log N(r; 0, AᵀA + Λ), less tr(K − AᵀA)/2σ² for [`Approximation::Vfe`], which
/// makes it a lower bound. An element of diag(K − AᵀA) that rounding leaves below 0 counts as 0. Where a dense K_uu is
/// singular to rounding, AᵀA has errors of that size, which count by the noise:
/// [`rounding`](CollapsedEvidence::rounding) tells what they do to the evidence. A fixed jitter above them, some M·ε·k,
/// keeps the bound below the exact one.
///
/// # Parameters
///
/// `kernel.…`, `mean.…`, `likelihood.gaussian.variance` (σ², in units of y squared; none of known noise) and
/// `inducing.…` (`inducing.inputs[i, d]` of points), in this order.
///
/// # Complexity
///
/// O(N·M² + M³) time and O(N·M + M²) memory, for everything here but a prediction, which is
/// [`Posterior`](super::Posterior)'s. There is no N × N matrix. With features of a fixed basis, O(N·M²) once and O(M³) a
/// step, by [`Statistics`](super::Statistics). [`recommend`](super::recommend) tells when this beats
/// [`ExactGp`](super::ExactGp) and [`Svgp`](super::Svgp).
///
/// # Examples
///
/// Five inducing inputs, moved to where they serve best; the truth is between two bounds:
///
/// ```
/// use mercer::gp::{ExactGp, Sgpr};
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(60, 1, |i, _| 0.1 * i as f64);
/// let y: Vec<f64> = (0..60).map(|i| (0.1 * i as f64).sin() + 0.1 * (7.0 * i as f64).cos()).collect();
/// let z = Mat::from_fn(5, 1, |i, _| i as f64);
///
/// let mut gp = Sgpr::new(1.0 * Rbf::new(1.0), z.as_ref())?.with_noise(0.1)?;
/// gp.fit(&Data::new(&x, &y), &Lbfgs::default())?;
/// let noise = gp.likelihood().variance();
/// let data = Data::new(&x, &y);
/// let exact = ExactGp::new(gp.kernel().clone()).with_noise(noise)?.objective(&data)?;
/// let bound = gp.objective(&data)?.value;
/// assert!(bound < exact && exact < gp.upper_bound(&data)?);
/// assert!(exact - bound < 0.5);
///
/// let at = gp.condition(&data)?.predict(mat![[2.0]].as_ref())?;
/// assert!((at.mean[(0, 0)] - 2.0f64.sin()).abs() < 0.05);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Titsias (2009), *Variational learning of inducing variables in sparse Gaussian processes*, AISTATS 5,
/// eqs. 9 and 10.
#[derive(Clone, Debug)]
#[doc(alias = "SGPR", alias = "VFE", alias = "FITC", alias = "DTC", alias = "Nyström", alias = "sparse GP")]
pub struct Sgpr<K = DynKernel, F = InducingPoints, N = Gaussian> {
    kernel: K,
    mean: DynMean,
    likelihood: N,
    inducing: F,
    approximation: Approximation,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl<K: Expr + Clone> Sgpr<K> {
    /// Sparse zero-mean GP regression with this kernel, these inducing inputs, one a row, and Gaussian noise of variance 1.
    /// The objective is the variational bound.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for inducing inputs that cannot work;
    /// [`Error::Dimension`] if the kernel cannot read them.
    pub fn new(kernel: K, inducing_inputs: MatRef<'_, f64>) -> Result<Self> {
        Self::with_features(kernel, InducingPoints::new(inducing_inputs)?)
    }
}

impl<K: Expr + Clone, N: GaussianNoise + Clone> Sgpr<K, InducingPoints, N> {
    /// Replaces the inducing inputs Z, M × D, for any M; they can be trained.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_inducing_inputs(mut self, inputs: MatRef<'_, f64>) -> Result<Self> {
        self.kernel.inputs(inputs.ncols())?;
        self.inducing = InducingPoints::new(inputs)?;
        Ok(self)
    }
}

impl<K: Expr + Clone, F: InducingFeatures> Sgpr<K, F> {
    /// Sparse zero-mean GP regression with this kernel, these inducing features and Gaussian noise of variance 1. The
    /// objective is the variational bound.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without features; [`Error::Dimension`] and whatever else
    /// [`InducingFeatures::check_kernel`] gives for a kernel that does not fit them.
    ///
    /// # Examples
    ///
    /// All harmonics to degree 1 are all that the linear kernel has on a sphere:
    ///
    /// ```
    /// use mercer::gp::{ExactGp, Sgpr};
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.6, 0.8], [1.0, 0.0], [-0.28, 0.96]], [0.7, 0.1, 1.1]);
    /// let features = SphericalHarmonicFeatures::new(2, 1)?;
    /// let sparse = Sgpr::with_features(Linear::new(2.0), features)?.with_noise(0.1)?;
    /// let data = Data::new(&x, &y);
    /// let exact = ExactGp::new(Linear::new(2.0)).with_noise(0.1)?.objective(&data)?;
    /// assert!((sparse.objective(&data)?.value - exact).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_features(kernel: K, features: F) -> Result<Self> {
        features.check_kernel(&kernel)?;
        if features.is_empty() {
            return Err(Error::Empty { what: "the inducing features".to_owned() });
        }
        Ok(Self {
            kernel,
            mean: DynMean::new(Zero),
            likelihood: Gaussian::new(1.0),
            inducing: features,
            approximation: Approximation::Vfe,
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        })
    }

    crate::gp::settings::noise_setting!();
}

impl<K: Expr + Clone, F: InducingFeatures, N: GaussianNoise + Clone> Sgpr<K, F, N> {
    model_settings!();
    one_kernel!(K);

    /// Sets the likelihood: one noise variance, or known variances for each row of the data, as
    /// [`ExactGp`](super::ExactGp::with_likelihood) takes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{ExactGp, Sgpr};
    /// use mercer::likelihood::FixedNoise;
    /// use mercer::prelude::*;
    ///
    /// // All inputs are inducing ones.
    /// let (x, y, noise) = (mat![[0.0], [1.0], [2.5]], [0.3, 1.0, -0.4], FixedNoise::new(&[0.1, 0.5, 0.02])?);
    /// let sparse = Sgpr::new(Rbf::new(1.0), x.as_ref())?.with_likelihood(noise.clone());
    /// let exact = ExactGp::new(Rbf::new(1.0)).with_likelihood(noise);
    /// let data = Data::new(&x, &y);
    /// let evidence = exact.objective(&data)?;
    /// assert!((sparse.objective(&data)?.value - evidence).abs() < 1e-13);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn with_likelihood<P: GaussianNoise + Clone>(self, likelihood: P) -> Sgpr<K, F, P> {
        let Self { kernel, mean, likelihood: _, inducing, approximation, jitter, allow_indefinite, par } = self;
        Sgpr { kernel, mean, likelihood, inducing, approximation, jitter, allow_indefinite, par }
    }

    /// Sets the approximation.
    #[must_use]
    pub fn with_approximation(mut self, approximation: Approximation) -> Self {
        self.approximation = approximation;
        self
    }

    /// The likelihood, which holds the variance of the noise.
    pub fn likelihood(&self) -> &N {
        &self.likelihood
    }

    /// The inducing features.
    pub fn inducing(&self) -> &F {
        &self.inducing
    }

    /// The approximation.
    pub fn approximation(&self) -> Approximation {
        self.approximation
    }

    /// The evidence, with the rounding error that its cotangents tell, and its gradient; without that in kernel and
    /// features, unless it is differentiable.
    fn evaluate_rows<T: Scalar>(
        &self,
        x: MatRef<'_, T>,
        y: &[T],
        memory: &Memory,
        differentiable: bool,
    ) -> Result<(CollapsedEvidence, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        memory.on_tape(self.par, |tape| {
            let (recorded, jitter, parameters) = self.record(tape, x, y, differentiable)?;
            let (gradient, rounding) = gradient_and_rounding(tape, recorded.value, &parameters, self)?;
            Ok((recorded.evidence(tape, jitter, rounding)?, gradient))
        })
    }

    fn check<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<()>
    where
        K: Kernel<T>,
    {
        check_data(x, y, [&self.kernel as &dyn Kernel<T>], [&self.mean])?;
        let dim = self.inducing.dim();
        if x.ncols() != dim {
            let expected = format!("{dim} column(s), as the inducing features have");
            return Err(Error::shape("x", expected, (x.nrows(), x.ncols())));
        }
        self.inducing.check_points(x)?;
        self.check_model()
    }

    fn check_model(&self) -> Result<()> {
        let dim = self.inducing.dim();
        self.mean.check_dim(dim)?;
        check_psd(&self.kernel, dim, self.allow_indefinite)
    }

    /// The log evidence on a tape, the jitter of K_uu, and the parameters.
    fn record<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        x: MatRef<'a, T>,
        y: &[T],
        differentiable: bool,
    ) -> Result<(Recorded<'t, T>, f64, [Var<'t, T>; 4])>
    where
        K: Kernel<T>,
    {
        let (x, features) = (tape.constant(x), features_on(tape, &self.inducing, differentiable)?);
        let kernel = tape.kernel_var(&self.kernel, differentiable)?;
        let noise = noise_variances(tape, &self.likelihood, y.len())?;
        let mean = prior_mean(tape, &self.mean, x)?;
        let residual = tape.constant_owned(Mat::from_fn(y.len(), 1, |row, _| y[row])) - mean.value;
        let (prior, given) = self.given(tape, kernel, features, x)?;
        let recorded = record_evidence(tape, self.approximation, given.whitened(), residual, noise.value)?;
        Ok((recorded, prior.jitter(), [kernel.theta(), mean.theta, noise.theta, features]))
    }

    /// The covariance of the inducing variables, and the process at the points given them.
    fn given<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        features: Var<'t, T>,
        x: Var<'t, T>,
    ) -> Result<(InducingPrior<'t, T>, Conditional<'t, T>)> {
        let prior = self.inducing.prior(tape, kernel, features, self.jitter)?;
        let k_uf = self.inducing.cross(tape, kernel, &prior, x)?;
        let given = Conditional::new(kernel, &prior, k_uf, x)?.bounded();
        Ok((prior, given))
    }
}

impl<T: Scalar, K: Kernel<T> + Clone, F: InducingFeatures, N: GaussianNoise + Clone> Model<Data<T>> for Sgpr<K, F, N> {
    type Objective = CollapsedEvidence;
    type Posterior = Posterior<T>;

    fn objective(&self, data: &Data<T>) -> Result<CollapsedEvidence> {
        let y = data.stacked(1)?;
        let differentiable = self.kernel.properties().differentiable;
        // Features may have values for a kernel, and no gradients.
        let evaluate = |differentiable| self.evaluate_rows(data.x(), &y, &Memory::default(), differentiable);
        Ok(evaluate(differentiable).or_else(|_| evaluate(false))?.0)
    }

    fn evaluate(&self, data: &Data<T>, memory: &Memory) -> Result<(CollapsedEvidence, Vec<f64>)> {
        self.evaluate_rows(data.x(), &data.stacked(1)?, memory, true)
    }

    fn condition(&self, data: &Data<T>) -> Result<Posterior<T>> {
        self.posterior(data)
    }

    fn scales(&self, data: &Data<T>) -> Result<Scales> {
        let y = data.stacked(1)?;
        self.check(data.x(), &y)?;
        let mean = units::of_mean(&self.mean, data.x(), units::spread(y.iter().copied()));
        let columns = units::of_columns(data.x());
        let inducing = units::of_inducing(&self.inducing, &columns);
        let parameters = [units::ones(&self.kernel), mean, units::ones(&self.likelihood), inducing].concat();
        Ok(Scales { parameters, columns, noise: starts::noise_units(self, &starts::variances(data.y())) })
    }

    fn suggest(&self, data: &Data<T>) -> Result<Suggested> {
        self.check(data.x(), &data.stacked(1)?)?;
        Ok(starts::suggested(self, &[&self.kernel], std::slice::from_ref(&self.mean), data.x(), Some(data.y())))
    }

    fn degrees_of_freedom(&self, data: &Data<T>) -> Result<Option<f64>> {
        Ok(Some(self.condition(data)?.degrees_of_freedom()))
    }

    fn examine(&self, data: &Data<T>) -> Result<Vec<Warning>> {
        let parts = (&self.kernel as &dyn Expr, &self.mean, &self.likelihood as &dyn GaussianNoise);
        examine_one(self, parts, data, self.condition(data)?.jitter())
    }
}

crate::parameterized!([K, F, N] Sgpr<K, F, N> as "", parameters: [], children: [kernel, mean, likelihood, inducing]);
