//! Sparse variational Gaussian processes.

use std::cell::RefCell;
use std::ops::ControlFlow;

use faer::{Mat, MatRef, Par};
use rand::Rng;

use super::checks::{check_data, check_one_latent, check_psd};
use super::posterior::{Posterior, to_f64};
use super::settings::model_settings;
use super::terms::{expected_log_likelihood, gather, parameter_column, prior_mean};
use super::variational::Variational;
use crate::inducing::InducingPoints;
use crate::kernel::dynamic::DynKernel;
use crate::kernel::{Kernel, gram_into};
use crate::likelihood::{Gaussian, Likelihood};
use crate::linalg::{Cholesky, Jitter};
use crate::mean::{DynMean, MeanExpr, Zero};
use crate::optim::{Batch, History, Minimizer, Minimum, Progress, Train, fit};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::tape::{Pool, Tape, Var};
use crate::{Error, Expr, Result, Scalar};

/// A bound on the log evidence, and its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elbo {
    /// `expected_log_likelihood − kl`
    pub value: f64,
    /// Σᵢ E log p(yᵢ | fᵢ) under the variational marginals, scaled to all data for a minibatch.
    pub expected_log_likelihood: f64,
    /// KL(q(v) ‖ p(v))
    pub kl: f64,
    /// The jitter that was added to the diagonal of K(Z, Z).
    pub jitter: f64,
}

/// A sparse variational Gaussian process: M inducing variables stand for the function, for any
/// kernel, any likelihood, and minibatches of any amount of data.
///
/// # Definition
///
/// With inducing inputs Z, K(Z, Z) = LLᵀ, whitened inducing variables u = m(Z) + L v, and
/// q(v) = N(m, RRᵀ) with R lower triangular, the marginals at a batch of inputs X are, with
/// A = L⁻¹ K(Z, X) and diagonals taken column by column,
///
/// μ = m(X) + Aᵀ m, σ² = diag K(X, X) − diag AᵀA + diag (RᵀA)ᵀ(RᵀA)
///
/// and the bound on the log evidence of N observations, from a batch of B, is
///
/// (N/B) Σᵢ E log p(yᵢ | fᵢ) − KL, with KL = ½ (‖m‖² + ‖R‖² − M − 2 Σᵢ log |Rᵢᵢ|)
///
/// # Parameters
///
/// `kernel.…`, `mean.…`, `likelihood.…`, `inducing.inputs[i, d]`, `variational.mean[i]` and
/// `variational.factor[i, j]` for i ≥ j, in this order. q starts at the prior.
///
/// # Complexity
///
/// O(B·M² + M³) time and O(B·M + M²) memory a step.
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
pub struct Svgp<K = DynKernel> {
    kernel: K,
    mean: DynMean,
    likelihood: Box<dyn Likelihood>,
    inducing: InducingPoints,
    variational: Variational,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl<K: Expr + Clone> Svgp<K> {
    model_settings!(K);

    /// A process of zero mean with this kernel and these inducing inputs, one a row, seen with
    /// Gaussian noise of variance 1; q is the prior.
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
            likelihood: Box::new(Gaussian::new(1.0)),
            variational: Variational::prior(inducing.len())?,
            inducing,
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        })
    }

    /// The same with a likelihood.
    #[must_use]
    pub fn with_likelihood(mut self, likelihood: impl Likelihood + 'static) -> Self {
        self.likelihood = Box::new(likelihood);
        self
    }

    /// The same with a variational distribution.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it does not have one variable for each inducing input.
    pub fn with_variational(mut self, variational: Variational) -> Result<Self> {
        let (expected, found) = (self.inducing.len(), variational.len());
        if expected != found {
            return Err(Error::shape("the variational mean", format!("{expected} value(s)"), (found, 1)));
        }
        self.variational = variational;
        Ok(self)
    }

    /// The likelihood.
    pub fn likelihood(&self) -> &dyn Likelihood {
        &*self.likelihood
    }

    /// The inducing inputs.
    pub fn inducing(&self) -> &InducingPoints {
        &self.inducing
    }

    /// q(v).
    pub fn variational(&self) -> &Variational {
        &self.variational
    }

    /// The bound, from all data.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for data that does not fit;
    /// [`Error::Dimension`] if the kernel cannot read the points; [`Error::Indefinite`] for a kernel
    /// that is not guaranteed positive semi-definite; [`Error::NotPositiveDefinite`] if no jitter
    /// that the policy allows is enough; [`Error::Setting`] for a likelihood that needs several
    /// latent functions.
    pub fn elbo<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Elbo>
    where
        K: Kernel<T>,
    {
        self.elbo_of_batch(x, y, y.len())
    }

    /// The bound on `total` observations, estimated from a batch of them. A likelihood with something for each
    /// observation must be that of the batch; [`train`](Self::train) sees to it by itself.
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
        self.record(&tape, &*self.likelihood, x, y, total, false)?.elbo(&tape)
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
        self.gradient_through(&*self.likelihood, x, y, total, pool)
    }

    /// The bound and its gradient, the observations seen through a likelihood with the parameters of the model's.
    fn gradient_through<T: Scalar>(
        &self,
        likelihood: &dyn Likelihood,
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
        let recorded = self.record(&tape, likelihood, x, y, total, true)?;
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
        // An observation that has no density is refused here by its row of the data, and a likelihood for other rows
        // than these; a batch would name the row of the batch, if it came to it.
        self.likelihood.log_density(&to_f64(y), &vec![0.0; n])?;
        let pool = RefCell::default();
        let loss = |model: &Self, batch: Batch<'_>| match batch {
            Batch::All => negative(model.elbo_gradient_with(x, y, n, &pool)?),
            Batch::Rows(rows) => {
                let batch_x = Mat::from_fn(rows.len(), x.ncols(), |row, col| x[(rows[row], col)]);
                let batch_y: Vec<T> = rows.iter().map(|&row| y[row]).collect();
                let of_rows = model.likelihood.rows(rows)?;
                let likelihood = of_rows.as_deref().unwrap_or(&*model.likelihood);
                negative(model.gradient_through(likelihood, batch_x.as_ref(), &batch_y, n, &pool)?)
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
        let inputs: Mat<T> = self.inducing.at();
        let m = inputs.nrows();
        let mut gram = Mat::zeros(m, m);
        gram_into(&self.kernel, inputs.as_ref(), gram.as_mut(), self.par)?;
        let factor = Cholesky::new(gram.as_ref(), self.jitter, self.par)?;
        let mean = self.variational.mean();
        let mut weights = Mat::from_fn(m, 1, |row, _| T::from_f64(mean[row]));
        factor.half_solve_transpose_in_place(weights.as_mut(), self.par)?;
        let mut root = Mat::zeros(m, m);
        let mut packed = self.variational.packed_factor().iter();
        for col in 0..m {
            for (entry, &value) in root.col_as_slice_mut(col)[col..].iter_mut().zip(&mut packed) {
                *entry = T::from_f64(value);
            }
        }
        Ok(Posterior {
            kernel: &self.kernel,
            mean: &self.mean,
            likelihood: &*self.likelihood,
            inputs,
            factor,
            weights,
            root: Some(root),
            par: self.par,
        })
    }

    fn check<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<()> {
        check_data(x, y)?;
        let dim = self.inducing.inputs().ncols();
        if x.ncols() != dim {
            let expected = format!("{dim} column(s), as the inducing inputs have");
            return Err(Error::shape("x", expected, (x.nrows(), x.ncols())));
        }
        self.check_model()
    }

    fn check_model(&self) -> Result<()> {
        let dim = self.inducing.inputs().ncols();
        self.mean.check_dim(dim)?;
        check_one_latent(&*self.likelihood)?;
        if self.allow_indefinite { Ok(()) } else { check_psd(&self.kernel, dim) }
    }

    /// The bound, as in the definition.
    fn record<'a, T: Scalar>(
        &'a self,
        tape: &Tape<'a, T>,
        likelihood: &'a dyn Likelihood,
        x: MatRef<'a, T>,
        y: &[T],
        total: usize,
        differentiable: bool,
    ) -> Result<Recorded>
    where
        K: Kernel<T>,
    {
        let (m, batch) = (self.inducing.len(), y.len());
        let x = tape.constant(x);
        let z = tape.parameter(self.inducing.at());
        let q_mean = parameter_column(tape, self.variational.mean());
        let q_packed = parameter_column(tape, self.variational.packed_factor());
        let kernel = if differentiable { tape.kernel(&self.kernel)? } else { tape.fixed_kernel(&self.kernel) };

        let (l, jitter) = tape.cholesky(tape.gram(kernel, z)?, self.jitter)?;
        let a = tape.solve_lower(l, tape.cross(kernel, z, x)?)?;
        let r = tape.lower_triangle(q_packed, m)?;
        let prior = prior_mean(tape, &self.mean, x)?;
        let mean = tape.add(prior.value, tape.matmul_tn(a, q_mean)?)?;
        let explained = tape.column_sums_of_squares(a)?;
        let uncertain = tape.column_sums_of_squares(tape.lower_matmul_tn(r, a)?)?;
        let variance = tape.add(tape.diag(kernel, x)?, tape.sub(uncertain, explained)?)?;

        let fit = expected_log_likelihood(tape, likelihood, y, mean, variance)?;
        let expected = tape.scale(fit.value, total as f64 / batch as f64)?;
        let norms = tape.add(tape.sum_of_squares(q_mean)?, tape.sum_of_squares(r)?)?;
        let kl = tape.sub(tape.scale(norms, 0.5)?, tape.log_diagonal_sum(r)?)?;
        let bound = tape.sub(expected, kl)?;
        let parameters = [kernel.theta(), prior.theta, fit.theta, z, q_mean, q_packed];
        Ok(Recorded { bound, expected, kl, kl_offset: -0.5 * m as f64, jitter, parameters })
    }
}

/// The bound on a tape. `kl` lacks its constant.
struct Recorded {
    bound: Var,
    expected: Var,
    kl: Var,
    kl_offset: f64,
    jitter: f64,
    parameters: [Var; 6],
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

impl<K: Parameterized> Parameterized for Svgp<K> {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Part("kernel"), &self.kernel);
        visitor.child(Label::Part("mean"), &self.mean);
        visitor.child(Label::Part("likelihood"), &*self.likelihood as &dyn Likelihood as &dyn Parameterized);
        visitor.child(Label::Part("inducing"), &self.inducing);
        visitor.child(Label::Part("variational"), &self.variational);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Part("kernel"), &mut self.kernel);
        visitor.child(Label::Part("mean"), &mut self.mean);
        visitor
            .child(Label::Part("likelihood"), &mut *self.likelihood as &mut dyn Likelihood as &mut dyn Parameterized);
        visitor.child(Label::Part("inducing"), &mut self.inducing);
        visitor.child(Label::Part("variational"), &mut self.variational);
    }
}
