//! What independent processes have learned from data.

use std::sync::Arc;

use faer::{Mat, Par};

use super::group::{Group, map};
use super::{BatchGp, BatchPosterior};
use crate::gp::data::Outputs;
use crate::gp::latents::PerLatent;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::posterior::Posterior;
use crate::gp::predict::Predict;
use crate::gp::prior::{Observed, Prior};
use crate::gp::process::{Latent, Process};
use crate::kernel::{Kernel, gram_into};
use crate::likelihood::Gaussian;
use crate::linalg::Cholesky;
use crate::mean::Mean;
use crate::{Expr, Result, Scalar};

impl<K: Expr + Clone> BatchGp<K> {
    /// The prior of the model: predictions and draws before data.
    pub fn prior<T: Scalar>(&self) -> Prior<T>
    where
        K: Kernel<T>,
    {
        let (kernels, means) = (self.kernel.members(), PerLatent::each(self.mean.members().to_vec()));
        let seen = Observed::with(self.likelihood.members().iter().map(Gaussian::variance));
        Prior::independent(kernels, means, self.outputs(), seen, self.par).allowing_indefinite(self.allow_indefinite)
    }

    pub(super) fn posterior<T: Scalar>(&self, data: &impl Outputs<T>) -> Result<BatchPosterior<T>>
    where
        K: Kernel<T>,
    {
        let groups = self.groups(&data.points(), data.values())?;
        let posteriors = map(&groups, self.par, |group| self.posterior_of(group))?;
        let noise = self.likelihood.members().iter().map(Gaussian::variance).collect();
        let groups = groups.into_iter().map(|group| group.outputs).zip(posteriors).collect();
        Ok(BatchPosterior { groups, noise, par: self.par })
    }

    /// Predictions of each observation from all others of its output, in closed form, for each output.
    /// Where an observation is missing, this is the prediction of one from all that there are, and the log
    /// density is 0.
    ///
    /// # Errors
    ///
    /// As [`objectives`](Self::objectives).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{BatchGp, ExactGp};
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.0], [0.5], [2.0]], mat![[0.3, 1.0], [0.4, f64::NAN], [-0.7, 0.2]]);
    /// let gp = BatchGp::new(Rbf::new(0.8).batched(2)?);
    /// let data = Data::new(&x, &y);
    /// let left_out = gp.leave_one_out(&data)?;
    ///
    /// let alone = ExactGp::new(Rbf::new(0.8)).leave_one_out(&Data::new(&x, &[0.3, 0.4, -0.7]))?;
    /// assert!((left_out[0].log_pseudo_likelihood() - alone.log_pseudo_likelihood()).abs() < 1e-14);
    /// let unseen = gp.condition(&data)?.predict_observations(x.subrows(1, 1))?;
    /// assert!((left_out[1].mean[1] - unseen.mean[(0, 1)]).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn leave_one_out<T: Scalar>(&self, data: &impl Outputs<T>) -> Result<Vec<LeaveOneOut<T>>>
    where
        K: Kernel<T>,
    {
        let groups = self.groups(&data.points(), data.values())?;
        let by_group = map(&groups, self.par, |group| self.left_out_of(group))?;
        let outputs = groups.iter().flat_map(|group| &group.outputs);
        let mut all: Vec<_> = outputs.zip(by_group.into_iter().flatten()).collect();
        all.sort_by_key(|(output, _)| **output);
        Ok(all.into_iter().map(|(_, left_out)| left_out).collect())
    }

    fn posterior_of<T: Scalar>(&self, group: &Group<T>) -> Result<Posterior<T>>
    where
        K: Kernel<T>,
    {
        let (factor, weights) = self.solve(group)?;
        self.posterior_from(group, factor, weights)
    }

    fn left_out_of<T: Scalar>(&self, group: &Group<T>) -> Result<Vec<LeaveOneOut<T>>>
    where
        K: Kernel<T>,
    {
        let (factor, weights) = self.solve(group)?;
        let precisions = LeaveOneOut::precisions(factor.factor(), Par::Seq);
        let columns = (0..group.outputs.len()).map(|col| (weights.col_as_slice(col), group.y.col_as_slice(col)));
        let seen: Vec<_> = columns.map(|(weights, y)| LeaveOneOut::of_exact(&precisions, weights, y)).collect();
        if group.missing.is_empty() {
            return Ok(seen);
        }
        let unseen = self.posterior_from(group, factor, weights)?.predict(group.missing_x.as_ref())?;
        let noise = self.likelihood.members()[group.outputs[0]].variance();
        let unseen = unseen.with_noise(|_| noise);
        let zero = T::from_f64(0.0);
        let merged = seen.iter().enumerate().map(|(col, seen)| LeaveOneOut {
            mean: group.merge(&seen.mean, unseen.mean.col_as_slice(col), zero),
            variance: group.merge(&seen.variance, unseen.variance.col_as_slice(col), zero),
            log_density: group.merge(&seen.log_density, &[], 0.0),
        });
        Ok(merged.collect())
    }

    fn posterior_from<T: Scalar>(&self, group: &Group<T>, factor: Cholesky<T>, weights: Mat<T>) -> Result<Posterior<T>>
    where
        K: Kernel<T>,
    {
        let first = group.outputs[0];
        let roots: Arc<[_]> = Arc::new([]);
        let of_output = |&output: &usize| Latent { mean: self.mean.members()[output].clone(), roots: roots.clone() };
        let (kernel, latents) = (Arc::new(self.kernel.members()[first].clone()), group.outputs.iter().map(of_output));
        let (basis, process) = Process::on_data(kernel, latents.collect(), group.x.as_ref(), factor, weights);
        // The noise of a group is added where its outputs are put together.
        Ok(Posterior::of(basis, [process], None, Par::Seq))
    }

    /// The factor of the covariance of a group, and its solve with the residuals.
    fn solve<T: Scalar>(&self, group: &Group<T>) -> Result<(Cholesky<T>, Mat<T>)>
    where
        K: Kernel<T>,
    {
        let (first, n) = (group.outputs[0], group.x.nrows());
        let mut covariance = Mat::zeros(n, n);
        gram_into(&self.kernel.members()[first], group.x.as_ref(), covariance.as_mut(), Par::Seq)?;
        let noise = T::from_f64(self.likelihood.members()[first].variance());
        (0..n).for_each(|i| covariance[(i, i)] += noise);
        let factor = Cholesky::new(covariance.as_ref(), self.jitter, Par::Seq)?;
        let mut weights = Mat::zeros(n, group.outputs.len());
        for (col, &output) in group.outputs.iter().enumerate() {
            let column = weights.col_as_slice_mut(col);
            self.mean.members()[output].mean_into(group.x.as_ref(), column);
            column.iter_mut().zip(group.y.col_as_slice(col)).for_each(|(entry, &y)| *entry = y - *entry);
        }
        factor.solve_in_place(weights.as_mut(), Par::Seq)?;
        Ok((factor, weights))
    }
}
