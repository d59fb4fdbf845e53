//! The evidence of a group of outputs, and its gradient.

use faer::{Mat, MatRef, Par};

use super::group::{Group, map};
use super::{BatchGp, BatchPosterior};
use crate::gp::data::{Data, Outputs, Separate};
use crate::gp::exact::ExactGp;
use crate::gp::model::{Memory, Model, Scales};
use crate::gp::starts::Suggested;
use crate::gp::terms::{gather, prior_mean};
use crate::gp::{starts, units};
use crate::kernel::Kernel;
use crate::params::ParameterizedExt;
use crate::tape::{Tape, Var};
use crate::{Expr, Result, Scalar};

/// A group on a tape.
struct Recorded<'t, T: Scalar> {
    /// The evidence of each output, g × 1.
    evidences: Var<'t, T>,
    /// Parameters of the kernel and of the noise, which the group shares.
    kernel: Var<'t, T>,
    noise: Var<'t, T>,
    /// Those of each mean.
    means: Vec<Var<'t, T>>,
}

impl<K: Expr + Clone> BatchGp<K> {
    /// The log marginal likelihood log p(y_b) of each output.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) for inputs or observations that do not fit the outputs or each other;
    /// [`Error::NonFinite`](crate::Error::NonFinite) for inputs that are not finite and an infinite observation;
    /// [`Error::Empty`](crate::Error::Empty) for an output without any observation; [`Error::Dimension`](crate::Error::Dimension) if a kernel
    /// cannot read the points; [`Error::Indefinite`](crate::Error::Indefinite) for one that is not guaranteed positive
    /// semi-definite; [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite) if no jitter that the policy allows is enough.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{BatchGp, ExactGp};
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.0], [1.0], [2.5]], mat![[0.3, 1.0], [f64::NAN, -0.5], [0.7, 0.2]]);
    /// let gp = BatchGp::new(Rbf::new(0.8).batched(2)?);
    /// let alone = ExactGp::new(Rbf::new(0.8)).objective(&Data::new(mat![[0.0], [2.5]], [0.3, 0.7]))?;
    /// assert!((gp.objectives(&data)?[0] - alone).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn objectives<T: Scalar>(&self, data: &impl Outputs<T>) -> Result<Vec<f64>>
    where
        K: Kernel<T>,
    {
        let groups = self.groups(&data.points(), data.values())?;
        let by_group = map(&groups, self.par, |group| self.evidences_of(group))?;
        let mut all = vec![0.0; self.outputs()];
        for (group, evidences) in groups.iter().zip(by_group) {
            group.outputs.iter().zip(evidences).for_each(|(&output, evidence)| all[output] = evidence);
        }
        Ok(all)
    }

    /// The units of the parameters that may be any finite number, in visiting order of all scalars.
    fn units<T: Scalar>(&self, groups: &[Group<T>]) -> Vec<f64> {
        let mut of_members = vec![Vec::new(); self.outputs()];
        for group in groups {
            for (col, &output) in group.outputs.iter().enumerate() {
                let spread = units::spread(group.y.col(col).iter().copied());
                of_members[output] = units::of_mean(&self.mean.members()[output], group.x.as_ref(), spread);
            }
        }
        // As `units::together`, of what is shared or of one.
        let fold = |of: fn(f64) -> f64| {
            let members: Vec<Vec<f64>> =
                of_members.iter().map(|units| units.iter().map(|&unit| of(unit)).collect()).collect();
            self.mean.fold(&members)
        };
        let means = fold(f64::ln).into_iter().zip(fold(|_| 1.0)).map(|(sum, count)| (sum / count).exp());
        [units::ones(&self.kernel), means.collect(), units::ones(&self.likelihood)].concat()
    }

    /// What the data of each output suggest; of what outputs share, the mean.
    fn suggested<T: Scalar>(&self, groups: &[Group<T>]) -> Suggested
    where
        K: Kernel<T>,
    {
        let mut parts = [(); 3].map(|()| vec![Vec::new(); self.outputs()]);
        for group in groups {
            for (col, &output) in group.outputs.iter().enumerate() {
                let kernel = &self.kernel.members()[output];
                let (mean, likelihood) = (&self.mean.members()[output], &self.likelihood.members()[output]);
                let alone = ExactGp::new(kernel.clone()).with_mean(mean.clone()).with_likelihood(likelihood.clone());
                let y = group.y.as_ref().subcols(col, 1);
                let values =
                    starts::suggested(&alone, &[kernel], std::slice::from_ref(mean), group.x.as_ref(), Some(y)).values;
                let (of_kernel, rest) = values.split_at(kernel.num_params());
                let (of_mean, of_noise) = rest.split_at(mean.num_params());
                for (part, own) in parts.iter_mut().zip([of_kernel, of_mean, of_noise]) {
                    part[output] = own.to_vec();
                }
            }
        }
        let ones = |part: &[Vec<f64>]| part.iter().map(|own| vec![1.0; own.len()]).collect::<Vec<_>>();
        let [kernel, mean, noise] = &parts;
        let mut values = mean_of(self.kernel.fold(kernel), self.kernel.fold(&ones(kernel)));
        values.extend(mean_of(self.mean.fold(mean), self.mean.fold(&ones(mean))));
        values.extend(mean_of(self.likelihood.fold(noise), self.likelihood.fold(&ones(noise))));
        Suggested { values, ranges: Vec::new() }
    }

    fn evidences_of<T: Scalar>(&self, group: &Group<T>) -> Result<Vec<f64>>
    where
        K: Kernel<T>,
    {
        let tape = Tape::new(Par::Seq);
        let recorded = self.record(&tape, group, false)?;
        let evidences = tape.value(recorded.evidences)?;
        Ok(evidences.as_mat().col(0).iter().map(|value| value.as_f64()).collect())
    }

    /// The evidence of all groups and its gradient in all parameters.
    fn gradient_of<T: Scalar>(&self, groups: &[Group<T>]) -> Result<(f64, Vec<f64>)>
    where
        K: Kernel<T>,
    {
        let by_group = map(groups, self.par, |group| self.group_gradient(group))?;
        let zeros = |len: usize| vec![0.0; len];
        let mut of_kernels = vec![zeros(self.kernel.members()[0].num_params()); self.outputs()];
        let mut of_means = vec![zeros(self.mean.members()[0].num_params()); self.outputs()];
        let mut of_noises = vec![zeros(1); self.outputs()];
        let mut evidences = zeros(self.outputs());
        for (group, found) in groups.iter().zip(by_group) {
            // What a group shares all outputs share, so that any of them may stand for it.
            of_kernels[group.outputs[0]] = found.kernel;
            of_noises[group.outputs[0]] = found.noise;
            for ((&output, mean), evidence) in group.outputs.iter().zip(found.means).zip(found.evidences) {
                of_means[output] = mean;
                evidences[output] = evidence;
            }
        }
        let parts = [self.kernel.fold(&of_kernels), self.mean.fold(&of_means), self.likelihood.fold(&of_noises)];
        Ok((evidences.iter().sum(), parts.concat()))
    }

    fn group_gradient<T: Scalar>(&self, group: &Group<T>) -> Result<GroupGradient>
    where
        K: Kernel<T>,
    {
        let tape = Tape::new(Par::Seq);
        let recorded = self.record(&tape, group, true)?;
        let evidences = tape.value(recorded.evidences)?;
        let gradients = tape.backward(recorded.evidences.sum())?;
        let of = |part| gather(&gradients, &tape, &[part]);
        Ok(GroupGradient {
            evidences: evidences.as_mat().col(0).iter().map(|value| value.as_f64()).collect(),
            kernel: of(recorded.kernel)?,
            noise: of(recorded.noise)?,
            means: recorded.means.into_iter().map(of).collect::<Result<_>>()?,
        })
    }

    fn record<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        group: &'a Group<T>,
        differentiable: bool,
    ) -> Result<Recorded<'t, T>>
    where
        K: Kernel<T>,
    {
        let (first, x) = (group.outputs[0], tape.constant(group.x.as_ref()));
        let kernel = &self.kernel.members()[first];
        let kernel = tape.kernel_var(kernel, differentiable)?;
        let noise = tape.scalar_parameter(self.likelihood.members()[first].variance());
        let terms = group.outputs.iter().map(|&output| prior_mean(tape, &self.mean.members()[output], x));
        let (values, means): (Vec<_>, Vec<_>) =
            terms.collect::<Result<Vec<_>>>()?.into_iter().map(|term| (term.value, term.theta)).unzip();
        let residuals = residuals(tape, group, &values)?;
        let covariance = kernel.gram(x)?.add_to_diagonal(noise);
        let (evidences, _) = residuals.gaussian_log_density(covariance, self.jitter)?;
        Ok(Recorded { evidences, kernel: kernel.theta(), noise, means })
    }
}

fn mean_of(sums: Vec<f64>, counts: Vec<f64>) -> Vec<f64> {
    sums.into_iter().zip(counts).map(|(sum, count)| sum / count).collect()
}

macro_rules! batch_model {
    ($data:ident) => {
        impl<T: Scalar, K: Kernel<T> + Clone> Model<$data<T>> for BatchGp<K> {
            type Objective = f64;
            type Posterior = BatchPosterior<T>;

            fn objective(&self, data: &$data<T>) -> Result<f64> {
                Ok(self.objectives(data)?.iter().sum())
            }

            fn evaluate(&self, data: &$data<T>, _: &Memory) -> Result<(f64, Vec<f64>)> {
                self.gradient_of(&self.groups(&data.points(), data.values())?)
            }

            fn condition(&self, data: &$data<T>) -> Result<BatchPosterior<T>> {
                self.posterior(data)
            }

            fn scales(&self, data: &$data<T>) -> Result<Scales> {
                let groups = self.groups(&data.points(), data.values())?;
                let noise = starts::noise_units(self, &starts::variances(data.values()));
                Ok(Scales { parameters: self.units(&groups), columns: Vec::new(), noise })
            }

            fn suggest(&self, data: &$data<T>) -> Result<Suggested> {
                Ok(self.suggested(&self.groups(&data.points(), data.values())?))
            }
        }
    };
}

batch_model!(Data);
batch_model!(Separate);

struct GroupGradient {
    evidences: Vec<f64>,
    kernel: Vec<f64>,
    noise: Vec<f64>,
    means: Vec<Vec<f64>>,
}

/// Y − M, for columns of M that are variables of their own.
fn residuals<'t, 'a, T: Scalar>(
    tape: &'t Tape<'a, T>,
    group: &'a Group<T>,
    means: &[Var<'t, T>],
) -> Result<Var<'t, T>> {
    let mut residuals = group.y.clone();
    for (col, &mean) in means.iter().enumerate() {
        let mean = tape.value(mean)?;
        let mean = mean.as_mat().col(0).iter();
        residuals.col_as_slice_mut(col).iter_mut().zip(mean).for_each(|(entry, &mean)| *entry -= mean);
    }
    let reverse = |c: MatRef<'_, T>| {
        (0..c.ncols()).map(|col| Some(Mat::from_fn(c.nrows(), 1, |row, _| -c[(row, col)]))).collect()
    };
    Ok(tape.custom(means, residuals, Box::new(reverse)))
}
