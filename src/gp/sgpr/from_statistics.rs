//! Collapsed models from statistics of the data.

use super::Sgpr;
use crate::gp::collapsed::{CollapsedEvidence, Recorded, record_evidence_of};
use crate::gp::data::Data;
use crate::gp::low_rank::Solved;
use crate::gp::model::{Memory, Model, Scales};
use crate::gp::moments::Moments;
use crate::gp::posterior::Posterior;
use crate::gp::rounding::gradient_and_rounding;
use crate::gp::starts::noise_units;
use crate::gp::statistics::Statistics;
use crate::gp::terms::parameter_column;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::params::ParameterizedExt;
use crate::tape::{Tape, Var};
use crate::{Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures> Sgpr<K, F> {
    /// What the bound needs of the data, for features of a [basis](InducingFeatures::basis) that no hyperparameter
    /// moves: O(N·M²) once, and no N × M matrix.
    ///
    /// # Errors
    ///
    /// As [`objective`](Model::objective); [`Error::Setting`](crate::Error::Setting) for features without such a basis.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, Sgpr};
    /// use mercer::inducing::SphericalHarmonicFeatures;
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.6, 0.8], [1.0, 0.0], [-0.28, 0.96]], [0.7, 0.1, 1.1]);
    /// let gp = Sgpr::with_features(Rbf::new(0.9), SphericalHarmonicFeatures::new(2, 3)?)?;
    /// let (at, statistics) = (mat![[0.0, 1.0]], gp.statistics(&data)?);
    /// let (plain, fast) = (gp.condition(&data)?, gp.condition(&statistics)?); // the second in O(M³), whatever N
    /// let (plain, fast) = (plain.predict(at.as_ref())?, fast.predict(at.as_ref())?);
    /// assert!((plain.mean[(0, 0)] - fast.mean[(0, 0)]).abs() < 1e-14);
    /// assert!((gp.objective(&data)?.value - gp.objective(&statistics)?.value).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn statistics<T: Scalar>(&self, data: &Data<T>) -> Result<Statistics>
    where
        K: Kernel<T>,
    {
        let y = data.stacked(1)?;
        self.check(data.x(), &y)?;
        Statistics::new(&self.inducing, &self.mean, data.x(), &y, self.par)
    }

    fn evaluate_statistics(
        &self,
        statistics: &Statistics,
        memory: &Memory,
        differentiable: bool,
    ) -> Result<(CollapsedEvidence, Vec<f64>)>
    where
        K: Kernel<f64>,
    {
        memory.on_tape(self.par, |tape| {
            let (recorded, moments, parameters) = self.record_statistics(tape, statistics, differentiable)?;
            let (gradient, rounding) = gradient_and_rounding(tape, recorded.value, &parameters, self)?;
            Ok((recorded.evidence(tape, moments.prior.jitter(), rounding)?, gradient))
        })
    }

    fn record_statistics<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        statistics: &'a Statistics,
        differentiable: bool,
    ) -> Result<(Recorded<'t, f64>, Moments<'t, 'a>, [Var<'t, f64>; 4])>
    where
        K: Kernel<f64>,
    {
        self.check_model()?;
        statistics.check(&self.inducing, &self.mean)?;
        let kernel = tape.kernel_var(&self.kernel, differentiable)?;
        let noise = tape.scalar_parameter(self.likelihood.variance());
        let mean = parameter_column(tape, &self.mean.values());
        let moments = Moments::new(tape, statistics, &self.inducing, kernel, differentiable, self.jitter)?;
        let recorded = record_evidence_of(tape, self.approximation, &moments, noise)?;
        let parameters = [kernel.theta(), mean, noise, moments.parameter];
        Ok((recorded, moments, parameters))
    }
}

// O(M³), whatever the number of observations. In the mean function's parameters, which have to be frozen, the gradient is 0.
impl<K: Kernel<f64> + Clone, F: InducingFeatures> Model<Statistics> for Sgpr<K, F> {
    type Objective = CollapsedEvidence;
    type Posterior = Posterior<f64>;

    fn objective(&self, statistics: &Statistics) -> Result<CollapsedEvidence> {
        let differentiable = self.kernel.properties().differentiable;
        // Features may have values for a kernel, and no gradients.
        let evaluate = |differentiable| self.evaluate_statistics(statistics, &Memory::default(), differentiable);
        Ok(evaluate(differentiable).or_else(|_| evaluate(false))?.0)
    }

    fn evaluate(&self, statistics: &Statistics, memory: &Memory) -> Result<(CollapsedEvidence, Vec<f64>)> {
        Statistics::check_frozen(&self.mean)?;
        self.evaluate_statistics(statistics, memory, true)
    }

    fn scales(&self, statistics: &Statistics) -> Result<Scales> {
        Ok(Scales { noise: noise_units(self, &[statistics.mean_square()]), ..Scales::default() })
    }

    fn condition(&self, statistics: &Statistics) -> Result<Posterior<f64>> {
        let tape = Tape::new(self.par);
        let (_, moments, _) = self.record_statistics(&tape, statistics, false)?;
        let (outer, target) = (tape.value(moments.outer)?, tape.value(moments.target(&tape))?);
        let noise = self.likelihood.variance();
        let Solved { mean, root, .. } = Solved::of_moments(outer.as_mat(), target.as_mat(), noise, self.par)?;
        let weights = moments.prior.whiten_transpose(tape.constant_owned(mean));
        let weights = tape.value(weights)?.as_mat().to_owned();
        let jitter = moments.prior.jitter();
        self.posterior_of(moments.prior.store(&tape)?, root, weights, jitter)
    }
}
