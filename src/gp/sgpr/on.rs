//! Collapsed models from statistics of the data.

use std::cell::RefCell;
use std::sync::Arc;

use faer::MatRef;

use super::Sgpr;
use crate::gp::collapsed::{CollapsedEvidence, Recorded, record_evidence_of};
use crate::gp::low_rank::Solved;
use crate::gp::moments::Moments;
use crate::gp::posterior::Posterior;
use crate::gp::process::{Latent, Process, Values};
use crate::gp::rounding::{gradient_and_rounding, loss};
use crate::gp::statistics::Statistics;
use crate::gp::terms::parameter_column;
use crate::gp::variational::Root;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::optim::{Minimizer, Minimum, fit};
use crate::params::ParameterizedExt;
use crate::tape::{Pool, Tape, Var};
use crate::{Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures> Sgpr<K, F> {
    /// What the bound needs of the data, for features of a [basis](InducingFeatures::basis) that no hyperparameter
    /// moves: O(N·M²) once, and no N × M matrix.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence); [`Error::Setting`](crate::Error::Setting) for features without such a basis.
    pub fn statistics<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<Statistics>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        Statistics::new(&self.inducing, &self.mean, x, y, self.par)
    }

    /// [`log_evidence`](Self::log_evidence) from statistics: O(M³), whatever N.
    ///
    /// # Errors
    ///
    /// As [`log_evidence`](Self::log_evidence); [`Error::Setting`](crate::Error::Setting) for statistics of other features or another mean
    /// function, and for [`Approximation::Fitc`](crate::gp::Approximation::Fitc), which sees single points.
    pub fn log_evidence_on(&self, statistics: &Statistics) -> Result<CollapsedEvidence>
    where
        K: Kernel<f64>,
    {
        let differentiable = self.kernel.properties().differentiable;
        // Features may have values for a kernel, and no gradients.
        let evaluate = |differentiable| self.evaluate_on(statistics, &RefCell::default(), differentiable);
        Ok(evaluate(differentiable).or_else(|_| evaluate(false))?.0)
    }

    /// [`log_evidence_gradient`](Self::log_evidence_gradient) from statistics: O(M³), whatever N. In the mean
    /// function's parameters, which have to be frozen, it is 0.
    ///
    /// # Errors
    ///
    /// As [`log_evidence_on`](Self::log_evidence_on); [`Error::Setting`](crate::Error::Setting) for a mean function that is free;
    /// [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) for a kernel without gradients.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Sgpr;
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.6, 0.8], [1.0, 0.0], [-0.28, 0.96]], [0.7, 0.1, 1.1]);
    /// let gp = Sgpr::with_features(Rbf::new(0.9), SphericalHarmonicFeatures::new(2, 3)?)?;
    /// let (_, plain) = gp.log_evidence_gradient(x.as_ref(), &y)?;
    /// let (_, fast) = gp.log_evidence_gradient_on(&gp.statistics(x.as_ref(), &y)?)?;
    /// assert!(plain.iter().zip(&fast).all(|(a, b)| (a - b).abs() < 1e-13));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn log_evidence_gradient_on(&self, statistics: &Statistics) -> Result<(CollapsedEvidence, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        self.gradient_on(statistics, &RefCell::default())
    }

    /// [`fit`](Self::fit) from statistics: each evaluation costs O(M³), whatever N.
    ///
    /// # Errors
    ///
    /// As [`log_evidence_gradient_on`](Self::log_evidence_gradient_on) and [`fit`](Self::fit) at the start; later failures
    /// end the search at the best parameters found.
    pub fn fit_on(&mut self, statistics: &Statistics, minimizer: &dyn Minimizer) -> Result<Minimum>
    where
        K: Kernel<f64>,
    {
        let pool = RefCell::default();
        fit(self, minimizer, |model| {
            let (evidence, gradient) = model.gradient_on(statistics, &pool)?;
            loss("the log evidence", evidence.value, evidence.rounding, gradient)
        })
    }

    /// [`condition`](Self::condition) on the data of the statistics: O(M³), whatever N.
    ///
    /// # Errors
    ///
    /// As [`log_evidence_on`](Self::log_evidence_on).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Sgpr;
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.6, 0.8], [1.0, 0.0], [-0.28, 0.96]], [0.7, 0.1, 1.1]);
    /// let gp = Sgpr::with_features(Rbf::new(0.9), SphericalHarmonicFeatures::new(2, 3)?)?;
    /// let (at, statistics) = (mat![[0.0, 1.0]], gp.statistics(x.as_ref(), &y)?);
    /// let plain = gp.condition(x.as_ref(), &y)?.predict(at.as_ref())?;
    /// let fast = gp.condition_on(&statistics)?.predict(at.as_ref())?;
    /// assert!((plain.mean[(0, 0)] - fast.mean[(0, 0)]).abs() < 1e-14);
    /// assert!((plain.variance[(0, 0)] - fast.variance[(0, 0)]).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn condition_on(&self, statistics: &Statistics) -> Result<Posterior<f64>>
    where
        K: Kernel<f64>,
    {
        let tape = Tape::new(self.par);
        let (_, moments, _) = self.record_on(&tape, statistics, false)?;
        let (outer, target) = (tape.value(moments.outer)?, tape.value(moments.target(&tape)?)?);
        let noise = self.likelihood.variance();
        let Solved { mean, root, .. } = Solved::of_moments(outer.as_mat(), target.as_mat(), noise, self.par)?;
        let weights = moments.prior.whiten_transpose(&tape, tape.constant_owned(mean))?;
        let weights = tape.value(weights)?.as_mat().to_owned();
        let latents = vec![Latent { mean: self.mean.clone(), roots: [Root::Lower(root)].into() }];
        let values = Values::of(&self.inducing, moments.prior.jitter());
        let prior = moments.prior.store(&tape)?;
        let process = Process { kernel: Arc::new(self.kernel.clone()), prior, latents, weights, further: None, values };
        Ok(Posterior {
            basis: Arc::new(self.inducing.clone()),
            processes: [process].into(),
            likelihood: Some(Arc::new(self.likelihood.clone())),
            par: self.par,
        })
    }

    fn gradient_on(&self, statistics: &Statistics, pool: &RefCell<Pool<f64>>) -> Result<(CollapsedEvidence, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        Statistics::check_frozen(&self.mean)?;
        self.evaluate_on(statistics, pool, true)
    }

    fn evaluate_on(
        &self,
        statistics: &Statistics,
        pool: &RefCell<Pool<f64>>,
        differentiable: bool,
    ) -> Result<(CollapsedEvidence, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        let tape = Tape::with_pool(self.par, pool.take());
        tape.watch_rounding();
        let (recorded, moments, parameters) = self.record_on(&tape, statistics, differentiable)?;
        let (gradient, rounding) = gradient_and_rounding(&tape, recorded.value, &parameters, self)?;
        let evidence = recorded.evidence(&tape, moments.prior.jitter(), rounding)?;
        pool.replace(tape.into_pool());
        Ok((evidence, gradient))
    }

    fn record_on<'a>(
        &'a self,
        tape: &Tape<'a, f64>,
        statistics: &'a Statistics,
        differentiable: bool,
    ) -> Result<(Recorded, Moments<'a>, [Var; 4])>
    where
        K: Kernel<f64>,
    {
        self.check_model()?;
        statistics.check(&self.inducing, &self.mean)?;
        let kernel = if differentiable { tape.kernel(&self.kernel)? } else { tape.fixed_kernel(&self.kernel) };
        let noise = tape.scalar_parameter(self.likelihood.variance());
        let mean = parameter_column(tape, &self.mean.values());
        let moments = Moments::new(tape, statistics, &self.inducing, kernel, differentiable, self.jitter)?;
        let recorded = record_evidence_of(tape, self.approximation, &moments, noise)?;
        let parameters = [kernel.theta(), mean, noise, moments.parameter];
        Ok((recorded, moments, parameters))
    }
}
