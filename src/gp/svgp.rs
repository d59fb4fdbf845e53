//! Sparse variational Gaussian processes.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::ControlFlow;

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::checks::{check_data, check_psd};
use super::conditional::Conditional;
use super::latents::PerLatent;
use super::posterior::Posterior;
use super::process::{Latent, Process};
use super::settings::model_settings;
use super::terms::{Term, expected_log_likelihood, gather, prior_mean};
use super::variational::Variational;
use crate::inducing::{InducingFeatures, InducingPoints};
use crate::kernel::Kernel;
use crate::kernel::dynamic::DynKernel;
use crate::likelihood::{Gaussian, Likelihood};
use crate::linalg::Jitter;
use crate::mean::{AnyMean, DynMean, MeanExpr, Zero};
use crate::optim::{Batch, History, Minimizer, Minimum, Progress, Train, fit};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::tape::{KernelVar, Pool, Tape, Var};
use crate::{Error, Expr, Result, Scalar};

/// A bound on the log evidence, and its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elbo {
    /// `expected_log_likelihood − kl`
    pub value: f64,
    /// Σᵢ E log p(yᵢ | fᵢ) under the variational marginals, scaled to all data for a minibatch.
    pub expected_log_likelihood: f64,
    /// KL(q ‖ p) of the inducing variables, summed over latent functions.
    pub kl: f64,
    /// The jitter that was added to the diagonal of K_uu: the largest, if there are several.
    pub jitter: f64,
}

/// A sparse variational Gaussian process: M inducing variables stand for the function, for any
/// kernel, any likelihood, any [inducing features](InducingFeatures), and minibatches of any amount of
/// data.
///
/// # Definition
///
/// With inducing variables u of covariance K_uu = LLᵀ (K(Z, Z) for values at points Z), whitened
/// v = L⁻¹u, and q(v) = N(m, S), the marginals at a batch of inputs X are, with A = L⁻¹ K_uf and
/// diagonals taken column by column,
///
/// μ = m(X) + Aᵀ m, σ² = diag K(X, X) + diag Aᵀ(S − I)A
///
/// and the bound on the log evidence of N observations, from a batch of B, is
///
/// (N/B) Σᵢ E log p(yᵢ | fᵢ) − KL, with KL = ½ (‖m‖² + tr S − M − log |S|)
///
/// [`Variational`] has the forms that S can have, and q of u itself.
///
/// A likelihood with L > 1 latent functions gets as many, independent a priori and under q, on the
/// same inducing features: with a q each, and one kernel and one mean function for all
/// or [one](Self::with_kernels) [each](Self::with_means). The bound then has the KL of each.
///
/// # Parameters
///
/// `kernel.…`, `mean.…`, `likelihood.…`, `inducing.…` (`inducing.inputs[i, d]` of points) and
/// `variational.…` (`variational.mean[i]` and `variational.factor[i, j]` for i ≥ j of a full q), in this
/// order. What each latent function has of its own is numbered: `kernel[0].…`, `variational[1].mean[i]`.
/// q starts at the prior.
///
/// # Complexity
///
/// O(B·M² + M³) time and O(B·M + M²) memory a step, and for each further latent function of the same
/// kernel what its q costs; O(B·M) for features of diagonal covariance with a diagonal q.
///
/// # Examples
///
/// ```
/// use mercer::gp::Svgp;
/// use mercer::inducing::start::subset;
/// use mercer::optim::{Adam, Train};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let x = Mat::from_fn(200, 1, |i, _| 0.03 * i as f64);
/// let y: Vec<f64> = (0..200).map(|i| (0.03 * i as f64).sin()).collect();
///
/// let z = subset(x.as_ref(), 12, &mut rng)?;
/// let mut gp = Svgp::new(1.0 * Rbf::new(1.0), z.as_ref())?.with_likelihood(mercer::likelihood::Gaussian::new(0.1));
/// let train = Train { steps: 300, batch: Some(50), adam: Adam { rate: 0.03, ..Adam::default() }, ..Train::default() };
/// gp.train(x.as_ref(), &y, &train, &mut rng)?;
///
/// let at = gp.posterior()?.predict(mat![[2.0]].as_ref())?;
/// assert!((at.mean[0] - 2.0f64.sin()).abs() < 0.05);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Titsias (2009), *Variational learning of inducing variables in sparse Gaussian processes*, AISTATS 5;
/// Hensman, Fusi & Lawrence (2013), *Gaussian processes for big data*, UAI, eq. 4; Hensman, Matthews &
/// Ghahramani (2015), *Scalable variational Gaussian process classification*, AISTATS 18, eq. 18, for the
/// bound with any likelihood.
#[derive(Clone, Debug)]
pub struct Svgp<K = DynKernel, F = InducingPoints> {
    kernels: PerLatent<K>,
    means: PerLatent<DynMean>,
    likelihood: Box<dyn Likelihood>,
    inducing: F,
    variational: PerLatent<Variational>,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl<K: Expr + Clone> Svgp<K> {
    /// A process of zero mean with this kernel and these inducing inputs, one a row, seen with
    /// Gaussian noise of variance 1; q is the prior.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for inducing inputs that cannot work;
    /// [`Error::Dimension`] if the kernel cannot read them.
    pub fn new(kernel: K, inducing_inputs: MatRef<'_, f64>) -> Result<Self> {
        Self::with_features(kernel, InducingPoints::new(inducing_inputs)?)
    }
}

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    model_settings!();

    /// A process of zero mean with this kernel and these inducing features, seen with Gaussian noise
    /// of variance 1; q is the prior.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without features; [`Error::Dimension`] and whatever else
    /// [`InducingFeatures::check_kernel`] gives for a kernel that does not fit them.
    pub fn with_features(kernel: K, features: F) -> Result<Self> {
        features.check_kernel(&kernel)?;
        Ok(Self {
            kernels: PerLatent::one(kernel),
            means: PerLatent::one(DynMean::new(Zero)),
            likelihood: Box::new(Gaussian::new(1.0)),
            variational: PerLatent::one(Variational::prior(features.len())?),
            inducing: features,
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        })
    }

    /// The same with a likelihood, and as many latent functions as it has: further ones start with the
    /// q of the last there is.
    #[must_use]
    pub fn with_likelihood(mut self, likelihood: impl Likelihood + 'static) -> Self {
        self.variational.resize(likelihood.latents());
        self.likelihood = Box::new(likelihood);
        self
    }

    /// The same with a kernel for each latent function of the likelihood.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for no kernels; those of [`with_features`](Self::with_features). Another
    /// number than the likelihood's, or 1, is refused where the model is used.
    pub fn with_kernels(mut self, kernels: Vec<K>) -> Result<Self> {
        for kernel in &kernels {
            self.inducing.check_kernel(kernel)?;
        }
        self.kernels = PerLatent::try_new("kernels", kernels)?;
        Ok(self)
    }

    /// The same with a mean function, of all latent functions.
    #[must_use]
    pub fn with_mean(mut self, mean: impl AnyMean + 'static) -> Self {
        self.means = PerLatent::one(DynMean::new(mean));
        self
    }

    /// The same with a mean function for each latent function of the likelihood.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for none. Another number than the likelihood's, or 1, is refused where the
    /// model is used.
    pub fn with_means(mut self, means: Vec<DynMean>) -> Result<Self> {
        self.means = PerLatent::try_new("mean functions", means)?;
        Ok(self)
    }

    /// The same with a variational distribution, of each latent function.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it does not have one variable for each inducing feature.
    pub fn with_variational(self, variational: Variational) -> Result<Self> {
        let latents = self.likelihood.latents();
        self.with_variationals(vec![variational; latents])
    }

    /// The same with a variational distribution for each latent function of the likelihood.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is not one for each; [`Error::Shape`] if one does not have one
    /// variable for each inducing feature.
    pub fn with_variationals(mut self, variationals: Vec<Variational>) -> Result<Self> {
        let (expected, latents) = (self.inducing.len(), self.likelihood.latents());
        if variationals.len() != latents {
            let expected = format!("must be {latents}, as the likelihood has {latents} latent function(s)");
            return Err(Error::setting("the number of variational distributions", variationals.len(), &expected));
        }
        if let Some(other) = variationals.iter().find(|q| q.len() != expected) {
            return Err(Error::shape("the variational mean", format!("{expected} value(s)"), (other.len(), 1)));
        }
        self.variational = PerLatent::try_new("variational distributions", variationals)?;
        Ok(self)
    }

    /// The kernel; of several, the first.
    pub fn kernel(&self) -> &K {
        self.kernels.of(0)
    }

    /// The kernel of all latent functions, or those of each.
    pub fn kernels(&self) -> &[K] {
        self.kernels.all()
    }

    /// The likelihood.
    pub fn likelihood(&self) -> &dyn Likelihood {
        &*self.likelihood
    }

    /// The inducing features.
    pub fn inducing(&self) -> &F {
        &self.inducing
    }

    /// q of the inducing variables; of several latent functions, the first's.
    pub fn variational(&self) -> &Variational {
        self.variational.of(0)
    }

    /// q of the inducing variables of each latent function.
    pub fn variationals(&self) -> &[Variational] {
        self.variational.all()
    }

    /// The bound, from all data.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for data that does not fit;
    /// [`Error::Dimension`] if the kernel cannot read the points; [`Error::Indefinite`] for a kernel
    /// that is not guaranteed positive semi-definite; [`Error::NotPositiveDefinite`] if no jitter
    /// that the policy allows is enough; [`Error::Setting`] if the likelihood has another number of
    /// latent functions than there are kernels or mean functions.
    pub fn elbo<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Elbo>
    where
        K: Kernel<T>,
    {
        self.elbo_of_batch(x, y, y.len())
    }

    /// The bound on `total` observations, estimated from a batch of them.
    ///
    /// # Errors
    ///
    /// As [`elbo`](Self::elbo).
    pub fn elbo_of_batch<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T], total: usize) -> Result<Elbo>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let tape = Tape::new(self.par);
        self.record(&tape, x, y, total, false)?.elbo(&tape)
    }

    /// The bound on `total` observations, estimated from a batch of them, and its gradient in all
    /// natural parameters in visiting order.
    ///
    /// # Errors
    ///
    /// As [`elbo`](Self::elbo), and [`Error::NotDifferentiable`] for a kernel without gradients.
    pub fn elbo_gradient<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T], total: usize) -> Result<(Elbo, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        self.elbo_gradient_with(x, y, total, &RefCell::default())
    }

    /// The same, with matrices from a pool and back into it: what a training loop calls.
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient`](Self::elbo_gradient).
    pub fn elbo_gradient_with<T: Scalar>(
        &self,
        x: MatRef<'_, T>,
        y: &[T],
        total: usize,
        pool: &RefCell<Pool<T>>,
    ) -> Result<(Elbo, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let tape = Tape::with_pool(self.par, pool.take());
        let recorded = self.record(&tape, x, y, total, true)?;
        let gradients = tape.backward(recorded.bound)?;
        let result = (recorded.elbo(&tape)?, gather(&gradients, &tape, &recorded.parameters)?);
        tape.recycle(gradients);
        pool.replace(tape.into_pool());
        Ok(result)
    }

    /// Maximises the bound from all data over the free parameters; with
    /// [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// # Errors
    ///
    /// As [`elbo_gradient`](Self::elbo_gradient) at the start; later failures end the search at the
    /// best parameters found.
    pub fn fit<T: Scalar>(&mut self, x: MatRef<'_, T>, y: &[T], minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<T>,
    {
        let pool = RefCell::default();
        fit(self, minimizer, |model| negative(model.elbo_gradient_with(x, y, y.len(), &pool)?))
    }

    /// Maximises the bound by stochastic gradients; with [priors](crate::params::Prior), its sum with
    /// their [`log_prior`](crate::params::ParameterizedExt::log_prior), of which each step takes the
    /// whole.
    ///
    /// # Errors
    ///
    /// As [`Train::run`] and [`elbo_gradient`](Self::elbo_gradient).
    pub fn train<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<History>
    where
        K: Kernel<T>,
    {
        self.train_with(x, y, train, rng, |_| ControlFlow::Continue(()))
    }

    /// The same, with a callback after each step, which may stop the training.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train).
    pub fn train_with<T: Scalar>(
        &mut self,
        x: MatRef<'_, T>,
        y: &[T],
        train: &Train,
        rng: &mut (impl Rng + ?Sized),
        callback: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<History>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let n = x.nrows();
        let pool = RefCell::default();
        let loss = |model: &Self, batch: Batch<'_>| match batch {
            Batch::All => negative(model.elbo_gradient_with(x, y, n, &pool)?),
            Batch::Rows(rows) => {
                let batch_x = Mat::from_fn(rows.len(), x.ncols(), |row, col| x[(rows[row], col)]);
                let batch_y: Vec<T> = rows.iter().map(|&row| y[row]).collect();
                negative(model.elbo_gradient_with(batch_x.as_ref(), &batch_y, n, &pool)?)
            }
        };
        train.run(self, n, loss, rng, callback)
    }

    /// The posterior, ready to predict.
    ///
    /// # Errors
    ///
    /// [`Error::Indefinite`] and [`Error::NotPositiveDefinite`] as for [`elbo`](Self::elbo).
    pub fn posterior<T: Scalar>(&self) -> Result<Posterior<'_, T>>
    where
        K: Kernel<T>,
    {
        self.check_model()?;
        let tape = Tape::new(self.par);
        let parameter = self.features_on(&tape, false)?;
        let latents = self.variational.all().len();
        let shared = self.kernels.all().len() == 1;
        let mut processes = Vec::new();
        for (index, kernel) in self.kernels.all().iter().enumerate() {
            let prior = self.inducing.prior(&tape, tape.fixed_kernel(kernel), parameter, self.jitter)?;
            let of_kernel = if shared { 0..latents } else { index..index + 1 };
            let mut weights = Mat::zeros(self.inducing.len(), of_kernel.len());
            let mut functions = Vec::new();
            for latent in of_kernel {
                let q = self.variational.of(latent).record(&tape, &prior)?;
                let alpha = tape.value(prior.whiten_transpose(&tape, q.mean)?)?;
                weights.col_mut(functions.len()).copy_from(alpha.as_mat().col(0));
                let roots = q.roots.iter().map(|root| root.store(&tape)).collect::<Result<_>>()?;
                functions.push(Latent { mean: self.means.of(latent), roots });
            }
            processes.push(Process { kernel, prior: prior.store(&tape)?, latents: functions, weights });
        }
        Ok(Posterior {
            basis: Box::new(Cow::Borrowed(&self.inducing)),
            processes,
            likelihood: &*self.likelihood,
            par: self.par,
        })
    }

    fn check<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<()> {
        check_data(x, y)?;
        let dim = self.inducing.dim();
        if x.ncols() != dim {
            let expected = format!("{dim} column(s), as the inducing inputs have");
            return Err(Error::shape("x", expected, (x.nrows(), x.ncols())));
        }
        self.check_model()
    }

    fn check_model(&self) -> Result<()> {
        let (dim, latents) = (self.inducing.dim(), self.likelihood.latents());
        self.kernels.check("kernels", latents)?;
        self.means.check("mean functions", latents)?;
        for mean in self.means.all() {
            mean.check_dim(dim)?;
        }
        if self.allow_indefinite {
            return Ok(());
        }
        self.kernels.all().iter().try_for_each(|kernel| check_psd(kernel, dim))
    }

    /// The features' parameters, with or without gradient.
    fn features_on<'a, T: Scalar>(&'a self, tape: &Tape<'a, T>, differentiable: bool) -> Result<Var> {
        let parameter = self.inducing.parameter(tape);
        if differentiable {
            return Ok(parameter);
        }
        Ok(tape.constant_owned(tape.value(parameter)?.as_mat().to_owned()))
    }

    /// The bound, as in the definition.
    fn record<'a, T: Scalar>(
        &'a self,
        tape: &Tape<'a, T>,
        x: MatRef<'a, T>,
        y: &[T],
        total: usize,
        differentiable: bool,
    ) -> Result<Recorded>
    where
        K: Kernel<T>,
    {
        let x = tape.constant(x);
        let features = self.features_on(tape, differentiable)?;
        let mut kernels = Vec::new();
        for kernel in self.kernels.all() {
            kernels.push(if differentiable { tape.kernel(kernel)? } else { tape.fixed_kernel(kernel) });
        }
        let prior_means =
            self.means.all().iter().map(|mean| prior_mean(tape, mean, x)).collect::<Result<Vec<Term>>>()?;
        let marginals = self.marginals(tape, x, features, &kernels, &prior_means)?;

        let fit = expected_log_likelihood(tape, &*self.likelihood, y, &marginals.means, &marginals.variances)?;
        let expected = tape.scale(fit.value, total as f64 / y.len() as f64)?;
        let bound = tape.sub(expected, marginals.kl)?;
        let kernels = kernels.iter().map(|kernel| kernel.theta());
        let before = kernels.chain(prior_means.iter().map(|mean| mean.theta)).chain([fit.theta, features]);
        Ok(Recorded {
            bound,
            expected,
            kl: marginals.kl,
            kl_offset: -0.5 * (self.inducing.len() * marginals.means.len()) as f64,
            jitter: marginals.jitter,
            parameters: before.chain(marginals.parameters).collect(),
        })
    }

    /// q(f) at the points x, latent function by latent function.
    fn marginals<'a, T: Scalar>(
        &'a self,
        tape: &Tape<'a, T>,
        x: Var,
        features: Var,
        kernels: &[KernelVar<'a, T>],
        prior_means: &[Term],
    ) -> Result<Marginals> {
        let mut given = Vec::new();
        let mut jitter = 0.0f64;
        for &kernel in kernels {
            let prior = self.inducing.prior(tape, kernel, features, self.jitter)?;
            let k_uf = self.inducing.cross(tape, kernel, &prior, x)?;
            given.push((prior, Conditional::new(tape, kernel, &prior, k_uf, x)?));
            jitter = jitter.max(prior.jitter());
        }
        let (mut means, mut variances, mut parameters) = (Vec::new(), Vec::new(), Vec::new());
        let mut kl = None;
        for (latent, q) in self.variational.all().iter().enumerate() {
            let (prior, given) = &given[if given.len() == 1 { 0 } else { latent }];
            let prior_mean = &prior_means[if prior_means.len() == 1 { 0 } else { latent }];
            let q = q.record(tape, prior)?;
            means.push(tape.add(prior_mean.value, given.mean(tape, q.mean)?)?);
            variances.push(given.variance(tape, &q.roots)?);
            parameters.extend(q.parameters);
            kl = Some(match kl {
                None => q.kl,
                Some(sum) => tape.add(sum, q.kl)?,
            });
        }
        let kl = kl.unwrap_or_else(|| tape.scalar_constant(0.0));
        Ok(Marginals { means, variances, kl, jitter, parameters })
    }
}

/// The marginals of the latent functions, with what belongs to q. `kl` lacks its constant.
struct Marginals {
    means: Vec<Var>,
    variances: Vec<Var>,
    kl: Var,
    jitter: f64,
    parameters: Vec<Var>,
}

/// The bound on a tape. `kl` lacks its constant.
struct Recorded {
    bound: Var,
    expected: Var,
    kl: Var,
    kl_offset: f64,
    jitter: f64,
    parameters: Vec<Var>,
}

impl Recorded {
    fn elbo<T: Scalar>(&self, tape: &Tape<'_, T>) -> Result<Elbo> {
        let expected_log_likelihood = tape.scalar(self.expected)?;
        let kl = tape.scalar(self.kl)? + self.kl_offset;
        Ok(Elbo { value: expected_log_likelihood - kl, expected_log_likelihood, kl, jitter: self.jitter })
    }
}

/// The loss to minimise: −ELBO and its gradient.
fn negative((elbo, mut gradient): (Elbo, Vec<f64>)) -> Result<(f64, Vec<f64>)> {
    gradient.iter_mut().for_each(|entry| *entry = -*entry);
    Ok((-elbo.value, gradient))
}

impl<K: Parameterized, F: Parameterized> Parameterized for Svgp<K, F> {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Part("kernel"), &self.kernels);
        visitor.child(Label::Part("mean"), &self.means);
        visitor.child(Label::Part("likelihood"), &*self.likelihood as &dyn Likelihood as &dyn Parameterized);
        visitor.child(Label::Part("inducing"), &self.inducing);
        visitor.child(Label::Part("variational"), &self.variational);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Part("kernel"), &mut self.kernels);
        visitor.child(Label::Part("mean"), &mut self.means);
        visitor
            .child(Label::Part("likelihood"), &mut *self.likelihood as &mut dyn Likelihood as &mut dyn Parameterized);
        visitor.child(Label::Part("inducing"), &mut self.inducing);
        visitor.child(Label::Part("variational"), &mut self.variational);
    }
}
