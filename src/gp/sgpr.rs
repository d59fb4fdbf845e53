//! Sparse regression with the inducing variables integrated out.

use std::cell::RefCell;

use faer::{Mat, MatRef, Par};

use super::checks::{check_data, check_psd};
use super::collapsed::{Approximation, CollapsedEvidence, check_positive, record_evidence};
use super::diagnostics::{Bounds, Diagnostics, diagnose};
use super::leave_one_out::LeaveOneOut;
use super::low_rank::LowRank;
use super::posterior::{Posterior, to_f64};
use super::projection::{project, record_projection};
use super::settings::model_settings;
use super::svgp::Svgp;
use super::terms::{gather, prior_mean};
use super::variational::Variational;
use crate::inducing::InducingPoints;
use crate::kernel::dynamic::DynKernel;
use crate::kernel::{Kernel, diag_into};
use crate::likelihood::Gaussian;
use crate::linalg::{Cholesky, Jitter};
use crate::mean::{DynMean, Mean, MeanExpr, Zero};
use crate::optim::{Minimizer, Minimum, fit};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::tape::{Pool, Tape, Var};
use crate::{Error, Expr, Result, Scalar};

/// Sparse Gaussian-process regression: M inducing variables stand for the function, and for Gaussian
/// noise the best distribution of them is known in closed form, so that kernel, mean, noise and
/// inducing inputs are all that is left to learn.
///
/// # Definition
///
/// With inducing inputs Z, K(Z, Z) = LLᵀ, A = L⁻¹ K(Z, X), residuals r = y − m(X) and a diagonal Λ, which
/// is σ²I, or diag(K − AᵀA) + σ²I for [`Approximation::Fitc`], the whitened inducing variables v, with
/// u = m(Z) + L v, have the posterior
///
/// q(v) = N(B⁻¹AΛ⁻¹r, B⁻¹) with B = I + AΛ⁻¹Aᵀ
///
/// and the log evidence is log N(r; 0, AᵀA + Λ), less tr(K − AᵀA)/2σ² for [`Approximation::Vfe`], which
/// makes it a lower bound.
///
/// # Parameters
///
/// `kernel.…`, `mean.…`, `likelihood.gaussian.variance` (σ², in units of y squared) and
/// `inducing.inputs[i, d]`, in this order.
///
/// # Complexity
///
/// O(N·M² + M³) time and O(N·M + M²) memory, for everything here but a prediction, which is
/// [`Posterior`]'s. There is no N × N matrix. [`recommend`](super::recommend) tells when this beats
/// [`ExactGp`](super::ExactGp) and [`Svgp`].
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
/// gp.fit(x.as_ref(), &y, &Lbfgs::default())?;
/// let noise = gp.likelihood().variance();
/// let exact = ExactGp::new(gp.kernel().clone()).with_noise(noise)?.log_evidence(x.as_ref(), &y)?;
/// let bound = gp.log_evidence(x.as_ref(), &y)?.value;
/// assert!(bound < exact && exact < gp.upper_bound(x.as_ref(), &y)?);
/// assert!(exact - bound < 0.5);
///
/// let at = gp.condition(x.as_ref(), &y)?.predict(mat![[2.0]].as_ref())?;
/// assert!((at.mean[0] - 2.0f64.sin()).abs() < 0.05);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Titsias (2009), *Variational learning of inducing variables in sparse Gaussian processes*, AISTATS 5,
/// eqs. 9 and 10.
#[derive(Clone, Debug)]
pub struct Sgpr<K = DynKernel> {
    kernel: K,
    mean: DynMean,
    likelihood: Gaussian,
    inducing: InducingPoints,
    approximation: Approximation,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl<K: Expr + Clone> Sgpr<K> {
    model_settings!(K);

    /// A process of zero mean with this kernel and these inducing inputs, one a row, seen with
    /// noise of variance 1; its evidence is the variational bound.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for inducing inputs that cannot work;
    /// [`Error::Dimension`] if the kernel cannot read them.
    pub fn new(kernel: K, inducing_inputs: MatRef<'_, f64>) -> Result<Self> {
        let inducing = InducingPoints::new(inducing_inputs)?;
        kernel.check_dim(inducing_inputs.ncols())?;
        Ok(Self {
            kernel,
            mean: DynMean::new(Zero),
            likelihood: Gaussian::new(1.0),
            inducing,
            approximation: Approximation::Vfe,
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        })
    }

    /// The same with a noise variance σ².
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if it is not positive and finite.
    pub fn with_noise(mut self, variance: f64) -> Result<Self> {
        self.likelihood = Gaussian::try_new(variance)?;
        Ok(self)
    }

    /// The same with another approximation.
    #[must_use]
    pub fn with_approximation(mut self, approximation: Approximation) -> Self {
        self.approximation = approximation;
        self
    }

    /// The same with other inducing inputs, one a row, as many as one likes; they are free.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_inducing_inputs(mut self, inputs: MatRef<'_, f64>) -> Result<Self> {
        self.kernel.check_dim(inputs.ncols())?;
        self.inducing = InducingPoints::new(inputs)?;
        Ok(self)
    }

    /// The likelihood, which holds the noise variance.
    pub fn likelihood(&self) -> &Gaussian {
        &self.likelihood
    }

    /// The inducing inputs.
    pub fn inducing(&self) -> &InducingPoints {
        &self.inducing
    }

    /// The approximation.
    pub fn approximation(&self) -> Approximation {
        self.approximation
    }

    /// The log evidence of the approximation: for [`Approximation::Vfe`], a lower bound of the
    /// exact one.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for data that does not fit;
    /// [`Error::Dimension`] if the kernel cannot read the points; [`Error::Indefinite`] for a kernel
    /// that is not guaranteed positive semi-definite; [`Error::NotPositiveDefinite`] if no jitter
    /// that the policy allows is enough; [`Error::NegativeVariance`] if rounding leaves a
    /// diagonal of Λ that is not positive.
    pub fn log_evidence<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<CollapsedEvidence>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let tape = Tape::new(self.par);
        let (recorded, jitter, _) = self.record(&tape, x, y, false)?;
        recorded.evidence(&tape, jitter)
    }

    /// The log evidence, and its gradient in all natural parameters in visiting order.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence), and [`Error::NotDifferentiable`] for a kernel
    /// without gradients.
    pub fn log_evidence_gradient<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<(CollapsedEvidence, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        self.log_evidence_gradient_with(x, y, &RefCell::default())
    }

    /// The same, with matrices from a pool and back into it: what a loop of one's own calls.
    ///
    /// # Errors
    ///
    /// As [`log_evidence_gradient`](Self::log_evidence_gradient).
    pub fn log_evidence_gradient_with<T: Scalar>(
        &self,
        x: MatRef<'_, T>,
        y: &[T],
        pool: &RefCell<Pool<T>>,
    ) -> Result<(CollapsedEvidence, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let tape = Tape::with_pool(self.par, pool.take());
        let (recorded, jitter, parameters) = self.record(&tape, x, y, true)?;
        let gradients = tape.backward(recorded.value)?;
        let result = (recorded.evidence(&tape, jitter)?, gather(&gradients, &tape, &parameters)?);
        tape.recycle(gradients);
        pool.replace(tape.into_pool());
        Ok(result)
    }

    /// Maximises the log evidence over the free parameters; with [priors](crate::params::Prior), its sum
    /// with their [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// # Errors
    ///
    /// As [`log_evidence_gradient`](Self::log_evidence_gradient) at the start; later failures end
    /// the search at the best parameters found.
    pub fn fit<T: Scalar>(&mut self, x: MatRef<'_, T>, y: &[T], minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<T>,
    {
        let pool = RefCell::default();
        fit(self, minimizer, |model| {
            let (evidence, mut gradient) = model.log_evidence_gradient_with(x, y, &pool)?;
            gradient.iter_mut().for_each(|entry| *entry = -*entry);
            Ok((-evidence.value, gradient))
        })
    }

    /// An upper bound on the exact log evidence, whatever the approximation of this model:
    ///
    /// log p(y) ≤ −½ rᵀ(Q + (σ² + t) I)⁻¹r − ½ log|Q + σ²I| − (N/2) log 2π, with t = tr(K − Q),
    ///
    /// because Q ⪯ K ⪯ Q + t I. With the variational bound it brackets the truth: the two meet as t goes
    /// to 0.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence).
    ///
    /// # References
    ///
    /// Titsias (2014), *Variational inference for Gaussian and determinantal point processes*, workshop on
    /// advances in variational inference, NIPS.
    pub fn upper_bound<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<f64>
    where
        K: Kernel<T>,
    {
        let seen = self.see(x, y)?;
        let noise = T::from_f64(self.likelihood.variance());
        let least = LowRank::new(seen.a.as_ref(), &seen.residual, &vec![noise; y.len()], self.par)?;
        // Where nothing is left to explain, rounding may leave less than nothing.
        let trace = seen.unexplained.iter().map(|value| value.as_f64()).sum::<f64>().max(0.0);
        let noisier = vec![noise + T::from_f64(trace); y.len()];
        let most = LowRank::new(seen.a.as_ref(), &seen.residual, &noisier, self.par)?;
        let log_det = least.log_det + y.len() as f64 * (self.likelihood.variance().ln() + std::f64::consts::TAU.ln());
        Ok(-0.5 * (most.quadratic + log_det))
    }

    /// The posterior given data.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence).
    pub fn condition<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Posterior<'_, T>>
    where
        K: Kernel<T>,
    {
        let seen = self.see(x, y)?;
        let LowRank { mean: mut weights, root, .. } = self.infer(&seen, self.approximation)?;
        seen.factor.half_solve_transpose_in_place(weights.as_mut(), self.par)?;
        Ok(Posterior {
            kernel: &self.kernel,
            mean: &self.mean,
            likelihood: &self.likelihood,
            inputs: self.inducing.at(),
            factor: seen.factor,
            weights,
            root: Some(root),
            par: self.par,
        })
    }

    /// Predictions of each observation from all others, in closed form; inducing inputs and
    /// hyperparameters stay. O(N·M²).
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence); [`Error::NegativeVariance`] too where rounding
    /// leaves nothing of what the others say, which takes a noise some 10⁻¹⁶ of the process's
    /// variance.
    pub fn leave_one_out<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<LeaveOneOut<T>>
    where
        K: Kernel<T>,
    {
        let seen = self.see(x, y)?;
        let posterior = self.infer(&seen, self.approximation)?;
        let (noise, sigma2) = (self.noise(&seen, self.approximation)?, T::from_f64(self.likelihood.variance()));
        let conditional: Vec<T> = seen.unexplained.iter().map(|&left| left + sigma2).collect();
        LeaveOneOut::of_low_rank(seen.a.as_ref(), y, &seen.residual, &noise, &conditional, &posterior, self.par)
    }

    /// The q(v) that is best for [`Svgp`] with this kernel, mean, noise and these inducing inputs:
    /// N(B⁻¹Ar/σ², B⁻¹) with B = I + AAᵀ/σ². At it, the bound of [`Svgp`] is that of
    /// [`Approximation::Vfe`], whatever the approximation of this model.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence).
    ///
    /// # References
    ///
    /// Titsias (2009), eq. 10, in whitened coordinates.
    pub fn optimal_variational<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Variational>
    where
        K: Kernel<T>,
    {
        let LowRank { mean, root, .. } = self.infer(&self.see(x, y)?, Approximation::Vfe)?;
        let root = Mat::from_fn(root.nrows(), root.ncols(), |row, col| root[(row, col)].as_f64());
        Variational::new(&to_f64(mean.col_as_slice(0)), root.as_ref())
    }

    /// The [`Svgp`] with the same kernel, mean, noise and inducing inputs, at its
    /// [best q](Self::optimal_variational): for minibatches of more data, or another likelihood, from there.
    /// What is frozen or tied, and priors, go along.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Sgpr;
    /// use mercer::prelude::*;
    ///
    /// let x = mat![[0.0], [0.7], [1.9], [3.1]];
    /// let y = [0.2, 0.9, 0.3, -0.8];
    /// let sgpr = Sgpr::new(1.0 * Rbf::new(1.0), x.subrows(0, 2))?.with_noise(0.1)?;
    /// let bound = sgpr.log_evidence(x.as_ref(), &y)?.value;
    /// let svgp = sgpr.into_svgp(x.as_ref(), &y)?;
    /// assert!((svgp.elbo(x.as_ref(), &y)?.value - bound).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn into_svgp<T: Scalar>(self, x: MatRef<'_, T>, y: &[T]) -> Result<Svgp<K>>
    where
        K: Kernel<T>,
    {
        let variational = self.optimal_variational(x, y)?;
        let mut svgp = Svgp::with_features(self.kernel, self.inducing)?
            .with_likelihood(self.likelihood)
            .with_mean(self.mean)
            .with_jitter(self.jitter)
            .with_par(self.par)
            .with_variational(variational)?;
        if self.allow_indefinite {
            svgp = svgp.allow_indefinite();
        }
        Ok(svgp)
    }

    /// By how much the bound of [`Svgp`] at a q lies below the best for these hyperparameters and
    /// inducing inputs: KL(q ‖ best q), which is the difference of the two bounds, without the
    /// cancellation of subtracting them.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence); [`Error::Shape`] if q does not have one variable for
    /// each inducing input.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Sgpr, Svgp, Variational};
    /// use mercer::likelihood::Gaussian;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.0], [0.7], [1.9], [3.1]], [0.2, 0.9, 0.3, -0.8]);
    /// let sgpr = Sgpr::new(Rbf::new(1.0), x.subrows(0, 2))?.with_noise(0.1)?;
    /// let svgp = Svgp::new(Rbf::new(1.0), x.subrows(0, 2))?.with_likelihood(Gaussian::new(0.1));
    /// let gap = sgpr.gap(x.as_ref(), &y, svgp.variational())?;
    /// let (best, elbo) = (sgpr.log_evidence(x.as_ref(), &y)?.value, svgp.elbo(x.as_ref(), &y)?.value);
    /// assert!((gap - (best - elbo)).abs() < 1e-12 * gap);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn gap<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T], q: &Variational) -> Result<f64>
    where
        K: Kernel<T>,
    {
        let (m, found) = (self.inducing.len(), q.len());
        if m != found {
            return Err(Error::shape("the variational mean", format!("{m} value(s)"), (found, 1)));
        }
        let best = self.infer(&self.see(x, y)?, Approximation::Vfe)?;
        let mean = Mat::from_fn(m, 1, |row, _| T::from_f64(q.mean()[row]));
        let mut root = Mat::zeros(m, m);
        let mut packed = q.packed_factor().iter();
        for col in 0..m {
            for (entry, &value) in root.col_as_slice_mut(col)[col..].iter_mut().zip(&mut packed) {
                *entry = T::from_f64(value);
            }
        }
        Ok(best.divergence_of(mean.as_ref(), root.as_ref(), self.par))
    }

    /// What is worth knowing about the inducing inputs and the bounds; with a q of [`Svgp`], its
    /// [gap](Self::gap) too.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence) and [`gap`](Self::gap).
    pub fn diagnose(&self, x: MatRef<'_, f64>, y: &[f64], q: Option<&Variational>) -> Result<Diagnostics>
    where
        K: Kernel<f64>,
    {
        let lower = self.clone().with_approximation(Approximation::Vfe).log_evidence(x, y)?;
        let upper = self.upper_bound(x, y)?;
        let gap = q.map(|q| self.gap(x, y, q)).transpose()?;
        let mut diagnostics = diagnose(&self.kernel, self.inducing.inputs(), self.jitter, self.par)?;
        diagnostics.bounds = Some(Bounds { lower: lower.value, upper, trace: lower.trace, gap });
        Ok(diagnostics)
    }

    fn check<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<()> {
        check_data(x, y)?;
        let dim = self.inducing.inputs().ncols();
        if x.ncols() != dim {
            let expected = format!("{dim} column(s), as the inducing inputs have");
            return Err(Error::shape("x", expected, (x.nrows(), x.ncols())));
        }
        self.mean.check_dim(dim)?;
        if self.allow_indefinite { Ok(()) } else { check_psd(&self.kernel, dim) }
    }

    /// The log evidence on a tape, the jitter of K(Z, Z), and the parameters.
    fn record<'a, T: Scalar>(
        &'a self,
        tape: &Tape<'a, T>,
        x: MatRef<'a, T>,
        y: &[T],
        differentiable: bool,
    ) -> Result<(super::collapsed::Recorded, f64, [Var; 4])>
    where
        K: Kernel<T>,
    {
        let (x, z) = (tape.constant(x), tape.parameter(self.inducing.at()));
        let kernel = if differentiable { tape.kernel(&self.kernel)? } else { tape.fixed_kernel(&self.kernel) };
        let noise = tape.scalar_parameter(self.likelihood.variance());
        let mean = prior_mean(tape, &self.mean, x)?;
        let residual = tape.sub(tape.constant_owned(Mat::from_fn(y.len(), 1, |row, _| y[row])), mean.value)?;
        let (a, jitter) = record_projection(tape, kernel, z, x, self.jitter)?;
        let recorded = record_evidence(tape, self.approximation, a, tape.diag(kernel, x)?, residual, noise)?;
        Ok((recorded, jitter, [kernel.theta(), mean.theta, noise, z]))
    }

    fn see<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Seen<T>>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let (factor, a) = project(&self.kernel, self.inducing.at().as_ref(), x, self.jitter, self.par)?;
        let mut unexplained = vec![T::from_f64(0.0); y.len()];
        diag_into(&self.kernel, x, &mut unexplained)?;
        for (col, left) in unexplained.iter_mut().enumerate() {
            *left -= crate::simd::dot(a.col_as_slice(col), a.col_as_slice(col));
        }
        let mut residual = vec![T::from_f64(0.0); y.len()];
        self.mean.mean_into(x, &mut residual);
        residual.iter_mut().zip(y).for_each(|(entry, &y)| *entry = y - *entry);
        Ok(Seen { factor, a, unexplained, residual })
    }

    /// The diagonal of Λ.
    fn noise<T: Scalar>(&self, seen: &Seen<T>, approximation: Approximation) -> Result<Vec<T>> {
        let sigma2 = T::from_f64(self.likelihood.variance());
        let noise: Vec<T> = match approximation {
            Approximation::Fitc => seen.unexplained.iter().map(|&left| left + sigma2).collect(),
            Approximation::Vfe | Approximation::Dtc => vec![sigma2; seen.residual.len()],
        };
        check_positive(MatRef::from_column_major_slice(&noise, noise.len(), 1))?;
        Ok(noise)
    }

    fn infer<T: Scalar>(&self, seen: &Seen<T>, approximation: Approximation) -> Result<LowRank<T>> {
        LowRank::new(seen.a.as_ref(), &seen.residual, &self.noise(seen, approximation)?, self.par)
    }
}

/// The data as the inducing variables see it.
struct Seen<T: Scalar> {
    /// L
    factor: Cholesky<T>,
    /// A, M × N.
    a: Mat<T>,
    /// diag(K − AᵀA)
    unexplained: Vec<T>,
    /// y − m(X)
    residual: Vec<T>,
}

impl<K: Parameterized> Parameterized for Sgpr<K> {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Part("kernel"), &self.kernel);
        visitor.child(Label::Part("mean"), &self.mean);
        visitor.child(Label::Part("likelihood"), &self.likelihood);
        visitor.child(Label::Part("inducing"), &self.inducing);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Part("kernel"), &mut self.kernel);
        visitor.child(Label::Part("mean"), &mut self.mean);
        visitor.child(Label::Part("likelihood"), &mut self.likelihood);
        visitor.child(Label::Part("inducing"), &mut self.inducing);
    }
}
