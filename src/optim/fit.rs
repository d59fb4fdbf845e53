//! Minimising a loss over the free parameters of anything that has them.

use super::objective::penalised;
use super::{Minimizer, Minimum};
use crate::Result;
use crate::params::{Parameterized, ParameterizedExt};

/// Minimises a loss, less the log prior of the model's parameters, over the free parameters of a
/// model, on the real line of their constraints.
///
/// `loss` returns its value and its gradient in *all* natural parameters, in visiting order, frozen
/// ones included; the gradient is converted here. The model ends with the best parameters seen, also
/// if the minimiser fails half-way. [`Minimum::x`] is in unconstrained coordinates, and
/// [`Minimum::value`] is the loss less [`log_prior`](ParameterizedExt::log_prior).
///
/// # Errors
///
/// Those of the minimiser: for [`Lbfgs`](super::Lbfgs), those of the loss at the starting point, and [`Error::Parameter`](crate::Error::Parameter) if a
/// parameter starts where its prior has no finite log density.
///
/// # Examples
///
/// The lengthscale at which k(0, 1) is a half, ℓ² = 1 / (2 log 2):
///
/// ```
/// use mercer::optim::{Lbfgs, fit};
/// use mercer::prelude::*;
///
/// let mut kernel = Rbf::new(3.0);
/// let minimum = fit(&mut kernel, &Lbfgs::default(), |kernel| {
///     let (value, l) = (kernel.eval(&[0.0], &[1.0])?, kernel.lengthscale()[0]);
///     let miss = value - 0.5;
///     Ok((miss * miss, vec![2.0 * miss * value / l.powi(3)]))
/// })?;
/// assert!(minimum.converged);
/// assert!((kernel.lengthscale()[0].powi(-2) - 2.0 * 2f64.ln()).abs() < 1e-5);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn fit<M: Parameterized + Clone>(
    model: &mut M,
    minimizer: &dyn Minimizer,
    mut loss: impl FnMut(&M) -> Result<(f64, Vec<f64>)>,
) -> Result<Minimum> {
    let mut trial = model.clone();
    let mut best: Option<(f64, Vec<f64>)> = None;
    let mut objective = |x: &[f64]| {
        trial.set_unconstrained(x)?;
        let (value, mut natural) = loss(&trial)?;
        let (value, gradient) = penalised(&trial, value, &mut natural)?;
        let sound = value.is_finite() && gradient.iter().all(|g| g.is_finite());
        if sound && best.as_ref().is_none_or(|(least, _)| value < *least) {
            best = Some((value, x.to_vec()));
        }
        Ok((value, gradient))
    };
    let outcome = minimizer.minimize(&mut objective, &model.unconstrained());
    if let Some((_, x)) = best {
        model.set_unconstrained(&x)?;
    }
    outcome
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Error;
    use crate::optim::{Lbfgs, Objective};
    use crate::prelude::*;

    /// A bowl in the logarithms of the natural parameters, with its minimum at `target`.
    fn bowl<M: Parameterized>(model: &M, target: &[f64]) -> (f64, Vec<f64>) {
        let values = model.values();
        let logs: Vec<f64> = values.iter().zip(target).map(|(x, t)| (x / t).ln()).collect();
        let gradient = logs.iter().zip(&values).map(|(log, x)| 2.0 * log / x).collect();
        (logs.iter().map(|log| log * log).sum(), gradient)
    }

    #[test]
    fn frozen_parameters_stay() {
        let mut kernel = 2.0 * Rbf::new(0.7) + Periodic::new(1.0, 3.0);
        kernel.freeze("sum[1].periodic.period").unwrap();
        let minimum = fit(&mut kernel, &Lbfgs::default(), |k| Ok(bowl(k, &[0.5, 0.1, 4.0, 9.0]))).unwrap();
        assert!(minimum.converged);
        let fitted = kernel.values();
        assert_eq!(fitted[3], 3.0);
        for (found, expected) in fitted.iter().zip([0.5, 0.1, 4.0]) {
            assert!((found / expected - 1.0).abs() < 1e-5, "{fitted:?}");
        }
    }

    #[test]
    fn everything_frozen_returns_at_once() {
        let mut kernel = Rbf::new(0.7);
        kernel.freeze("rbf").unwrap();
        let minimum = fit(&mut kernel, &Lbfgs::default(), |k| Ok(bowl(k, &[1.0]))).unwrap();
        assert_eq!((minimum.evaluations, minimum.x.len(), kernel.values()[0]), (1, 0, 0.7));
    }

    #[test]
    fn a_failing_minimizer_leaves_the_best_parameters() {
        struct Breaks;
        impl Minimizer for Breaks {
            fn minimize(&self, objective: &mut Objective<'_>, start: &[f64]) -> Result<Minimum> {
                for x in [start[0], 0.1, 5.0] {
                    objective(&[x])?;
                }
                Err(Error::Optimisation { step: 3, reason: "broken".into() })
            }
        }
        let mut kernel = Rbf::new(0.5);
        assert!(fit(&mut kernel, &Breaks, |k| Ok(bowl(k, &[1.0]))).is_err());
        assert!((kernel.values()[0] - 0.1f64.exp()).abs() < 1e-15);
    }
}
