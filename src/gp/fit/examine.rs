//! What to doubt of a model on its data.

use std::collections::HashMap;

use faer::MatRef;

use super::Warning;
use crate::gp::data::Data;
use crate::gp::starts::lengthscales;
use crate::gp::units::spread;
use crate::likelihood::GaussianNoise;
use crate::mean::{DynMean, MeanExpr};
use crate::params::{Parameterized, ParameterizedExt};
use crate::{Expr, Result, Scalar};

/// A model and its data, to be examined.
pub(in crate::gp) struct Examined<'m, T: Scalar> {
    pub(in crate::gp) model: &'m dyn Parameterized,
    /// In visiting order, before all other parameters.
    pub(in crate::gp) kernels: &'m [&'m dyn Expr],
    pub(in crate::gp) x: MatRef<'m, T>,
    /// Where the mean function of what was observed is zero.
    pub(in crate::gp) of_zero_mean: Option<MatRef<'m, T>>,
    /// The variance of Gaussian noise, the least of several.
    pub(in crate::gp) noise: Option<f64>,
    /// What a factorisation needed.
    pub(in crate::gp) jitter: f64,
}

/// How many times the range of the inputs is far.
const FAR: f64 = 10.0;
/// Which part of the distance of neighbours is short.
pub(super) const SHORT: f64 = 0.5;
/// How many times the spread of one column another may have.
const UNEVEN: f64 = 100.0;
/// How many times its deviation a mean may be.
const OFFSET: f64 = 10.0;

/// What to doubt of a model of one function with Gaussian noise, whose factorisation needed a jitter.
pub(in crate::gp) fn examine_one<T: Scalar>(
    model: &dyn Parameterized,
    (kernel, mean, likelihood): (&dyn Expr, &DynMean, &dyn GaussianNoise),
    data: &Data<T>,
    jitter: f64,
) -> Result<Vec<Warning>> {
    let noise = likelihood.noise_variances(data.x().nrows())?.into_iter().reduce(f64::min);
    let of_zero_mean = mean.is_zero().then_some(data.y());
    Ok(Examined { model, kernels: &[kernel], x: data.x(), of_zero_mean, noise, jitter }.warnings())
}

impl<T: Scalar> Examined<'_, T> {
    pub(in crate::gp) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.of_inputs();
        self.of_lengthscales(&mut warnings);
        if let Some(y) = self.of_zero_mean {
            warnings.extend(y.col_iter().filter_map(|column| offset(column.iter().map(|value| value.as_f64()))));
        }
        if let Some(noise) = self.noise.filter(|noise| self.jitter > *noise) {
            warnings.push(Warning::Jitter { jitter: self.jitter, noise });
        }
        warnings
    }

    fn of_inputs(&self) -> Vec<Warning> {
        let x = self.x;
        let reads =
            |col: usize| self.kernels.iter().any(|kernel| kernel.inputs(x.ncols()).is_ok_and(|read| read.read(col)));
        let read: Vec<usize> = (0..x.ncols()).filter(|&col| reads(col)).collect();
        let constant = |&col: &usize| x.nrows() > 1 && x.col(col).iter().all(|value| *value == x[(0, col)]);
        let mut warnings: Vec<_> =
            read.iter().copied().filter(constant).map(|column| Warning::ConstantColumn { column }).collect();
        let mut seen = HashMap::new();
        let duplicates = (0..x.nrows()).filter(|&row| {
            // −0 and 0 are one input.
            let bits = |&col: &usize| (x[(row, col)].as_f64() + 0.0).to_bits();
            seen.insert(read.iter().map(bits).collect::<Vec<u64>>(), row).is_some()
        });
        let duplicates: Vec<usize> = duplicates.collect();
        if let Some(&row) = duplicates.first() {
            warnings.push(Warning::DuplicateRows { count: duplicates.len(), row });
        }
        warnings
    }

    fn of_lengthscales(&self, warnings: &mut Vec<Warning>) {
        let entries = self.model.parameters();
        let mut first = 0;
        for kernel in self.kernels {
            for lengthscale in lengthscales(*kernel, self.x) {
                let Some(entry) = entries.get(first + lengthscale.position) else { continue };
                let (path, value, [near, _, range]) = (entry.path.clone(), entry.value, lengthscale.distances);
                if let Some([(least, a), (greatest, b)]) = lengthscale.spreads.filter(|[a, b]| b.1 > UNEVEN * a.1) {
                    let columns = [least, greatest];
                    warnings.push(Warning::Unscaled { path: path.clone(), columns, ratio: b / a });
                }
                if value > FAR * range {
                    warnings.push(Warning::LongLengthscale { path, value, range });
                } else if value < SHORT * near {
                    warnings.push(Warning::ShortLengthscale { path, value, spacing: near });
                }
            }
            first += kernel.num_params();
        }
    }
}

fn offset(values: impl Iterator<Item = f64>) -> Option<Warning> {
    let seen: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let (mean, deviation) =
        (seen.iter().map(|value| value / seen.len() as f64).sum::<f64>(), spread(seen.iter().copied()));
    (seen.len() > 1 && mean.abs() > OFFSET * deviation).then_some(Warning::Offset { mean, deviation })
}
