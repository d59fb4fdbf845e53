//! From the model to its posterior.

use std::sync::Arc;

use faer::Mat;

use super::Svgp;
use crate::gp::data::Data;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::posterior::Posterior;
use crate::gp::prior::{Observed, Prior};
use crate::gp::process::{Latent, MeanBasisWeights, Process, Values};
use crate::gp::terms::features_on;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::tape::Tape;
use crate::{Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    /// The prior of the model: predictions and draws before data.
    pub fn prior<T: Scalar>(&self) -> Prior<T>
    where
        K: Kernel<T>,
    {
        let functions = self.variational.all().len();
        let seen = Observed::Through(self.likelihood.clone().into());
        Prior::independent(self.kernel.all(), self.mean.clone(), functions, seen, self.par)
            .allowing_indefinite(self.allow_indefinite)
    }

    /// The posterior, ready to predict.
    ///
    /// # Errors
    ///
    /// [`Error::Indefinite`](crate::Error::Indefinite) and [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite) as for [`objective`](crate::gp::Model::objective).
    pub fn posterior<T: Scalar>(&self) -> Result<Posterior<T>>
    where
        K: Kernel<T>,
    {
        self.check_model()?;
        let tape = Tape::new(self.par);
        let parameter = features_on(&tape, &self.inducing, false)?;
        let basis = self.mean_basis.as_ref().map(|basis| basis.record(&tape, false)).transpose()?;
        let latents = self.variational.all().len();
        let shared = self.kernel.all().len() == 1;
        let mut processes = Vec::new();
        for (index, kernel) in self.kernel.all().iter().enumerate() {
            let on_tape = tape.fixed_kernel(kernel);
            let prior = self.inducing.prior(&tape, on_tape, parameter, self.jitter)?;
            let beside = basis.map(|basis| basis.of_kernel(&tape, &self.inducing, on_tape, &prior)).transpose()?;
            let of_kernel = if shared { 0..latents } else { index..index + 1 };
            let mut weights = Mat::zeros(self.inducing.len(), of_kernel.len());
            let mut further =
                self.mean_basis.as_ref().map(|basis| MeanBasisWeights::new(basis.inputs(), of_kernel.len()));
            let mut functions = Vec::new();
            for latent in of_kernel {
                let q = self.variational.of(latent).record(&tape, &prior)?;
                let mut mean = q.mean;
                if let (Some(beside), Some(further)) = (&beside, &mut further) {
                    let own = beside.weights(latent);
                    mean = beside.whitened_mean(mean, beside.seen(own));
                    further.weights.col_mut(functions.len()).copy_from(tape.value(own)?.as_mat().col(0));
                }
                let alpha = tape.value(prior.whiten_transpose(mean))?;
                weights.col_mut(functions.len()).copy_from(alpha.as_mat().col(0));
                let roots = q.roots.iter().map(|root| root.store(&tape)).collect::<Result<_>>()?;
                functions.push(Latent { mean: self.mean.of(latent).clone(), roots });
            }
            let values = Values::of(&self.inducing, prior.jitter());
            let prior = Arc::new(prior.store(&tape)?);
            let kernel = Arc::new(kernel.clone());
            processes.push(Process { kernel, prior, latents: functions, weights, further, values, fitc: false });
        }
        let likelihood = Some(self.likelihood.clone().into());
        Ok(Posterior::of(Arc::new(self.inducing.clone()), processes, likelihood, self.par))
    }

    /// Predictions of each observation from all others, for Gaussian noise: what it has told q is taken out of q again, in closed
    /// form. Those of the model for a q at its optimum for these data, and hyperparameters and inducing features that stay. O(N·M²).
    ///
    /// # Errors
    ///
    /// As [`posterior`](Self::posterior) and [`Model::objective`](crate::gp::Model::objective); [`Error::Setting`](crate::Error::Setting) for a
    /// likelihood that is not Gaussian noise; [`Error::NegativeVariance`](crate::Error::NegativeVariance) for observations that q has not seen, or that tell
    /// all of a direction of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, Sgpr};
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.0], [1.0], [2.0]], [0.3, 1.0, 0.7]);
    /// let collapsed = Sgpr::new(Rbf::new(1.0), mat![[0.2], [1.5]].as_ref())?.with_noise(0.1)?;
    /// let expected = collapsed.leave_one_out(&data)?;
    /// let left_out = collapsed.into_svgp(&data)?.leave_one_out(&data)?;
    /// assert!((left_out.mean[1] - expected.mean[1]).abs() < 1e-13);
    /// assert!((left_out.log_pseudo_likelihood() - expected.log_pseudo_likelihood()).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn leave_one_out<T: Scalar>(&self, data: &Data<T>) -> Result<LeaveOneOut<T>>
    where
        K: Kernel<T>,
    {
        self.posterior()?.left_out(data)
    }
}
