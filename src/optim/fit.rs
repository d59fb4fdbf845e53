//! Minimising a loss over the free parameters of anything that has them.

use super::coordinates::{Coordinates, Measures};
use super::objective::penalised;
use super::{Minimizer, Minimum};
use crate::Result;
use crate::params::{Constraint, Entry, Parameterized, ParameterizedExt, places};

/// Minimises a loss, less the log prior of the model's parameters, over the free parameters of a
/// model, on the real line of their constraints.
///
/// `loss` returns its value and its gradient in *all* natural parameters, in visiting order, frozen
/// ones included; the gradient is converted here. The model ends with the best parameters seen, also
/// if the minimiser fails half-way. [`Minimum::x`] is in unconstrained coordinates, and
/// [`Minimum::value`] is the loss less [`log_prior`](ParameterizedExt::log_prior).
///
/// A search that has ended within a tolerance has not converged if at none of its points the loss depended on some positive
/// parameter: a lengthscale far below the distance of any two inputs, say. [`Minimum::reason`] names it then.
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
    loss: impl FnMut(&M) -> Result<(f64, Vec<f64>)>,
) -> Result<Minimum> {
    fit_by(model, Measures::default(), minimizer, loss)
}

/// [`fit`], with parameters counted in these units and above these floors: the steps do not depend on the units of the data if
/// they come from them.
pub(crate) fn fit_by<M: Parameterized + Clone>(
    model: &mut M,
    measures: Measures<'_>,
    minimizer: &dyn Minimizer,
    loss: impl FnMut(&M) -> Result<(f64, Vec<f64>)>,
) -> Result<Minimum> {
    let mut trial = Of { model: model.clone(), loss };
    search(model, &mut trial, measures, minimizer)
}

/// A copy of a model to try parameters with, whose type is lost: the search is compiled once, and not again for each model.
trait Trial {
    fn parameters(&mut self) -> &mut dyn Parameterized;
    fn loss(&mut self) -> Result<(f64, Vec<f64>)>;
}

struct Of<M, L> {
    model: M,
    loss: L,
}

impl<M: Parameterized, L: FnMut(&M) -> Result<(f64, Vec<f64>)>> Trial for Of<M, L> {
    fn parameters(&mut self) -> &mut dyn Parameterized {
        &mut self.model
    }

    fn loss(&mut self) -> Result<(f64, Vec<f64>)> {
        (self.loss)(&self.model)
    }
}

fn search(
    model: &mut dyn Parameterized,
    trial: &mut dyn Trial,
    measures: Measures<'_>,
    minimizer: &dyn Minimizer,
) -> Result<Minimum> {
    let mut best: Option<(f64, Vec<f64>)> = None;
    let coordinates = Coordinates::of(model, measures);
    let start = &coordinates.start;
    let mut silent = vec![true; start.len()];
    let mut objective = |at: &[f64]| {
        let x = coordinates.on_the_line(at);
        trial.parameters().set_unconstrained(&x)?;
        let (value, mut natural) = trial.loss()?;
        let (value, mut gradient) = penalised(trial.parameters(), &x, value, &mut natural)?;
        coordinates.pull(at, &mut gradient);
        silent.iter_mut().zip(&gradient).for_each(|(silent, entry)| *silent &= entry.abs() < AUDIBLE);
        let sound = value.is_finite() && gradient.iter().all(|g| g.is_finite());
        if sound && best.as_ref().is_none_or(|(least, _)| value < *least) {
            best = Some((value, x));
        }
        Ok((value, gradient))
    };
    let outcome = minimizer.minimize(&mut objective, start);
    if let Some((_, x)) = best {
        model.set_unconstrained(&x)?;
    }
    let mut minimum = outcome?;
    minimum.x = coordinates.on_the_line(&minimum.x);
    if minimum.converged
        && let Some(path) = first_silent(model, &silent)
    {
        minimum.converged = false;
        minimum.reason += &format!(
            ", but the value never depended on `{path}`: start it on the scale of the data (or scale these), or freeze it"
        );
    }
    Ok(minimum)
}

/// The size of an element of the gradient below which nothing is to be heard of a parameter.
const AUDIBLE: f64 = 1e-20;

/// The first parameter with a scale of its own, by its path, of which a search has heard nothing.
fn first_silent(model: &dyn Parameterized, silent: &[bool]) -> Option<String> {
    let positive = |entry: &Entry| matches!(entry.constraint, Constraint::Positive | Constraint::Softplus);
    let entries = model.parameters().into_iter().zip(places(model));
    let mut entries = entries.filter(|(entry, place)| positive(entry) && place.is_some_and(|place| silent[place]));
    entries.next().map(|(entry, _)| entry.path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Error;
    use crate::optim::{Lbfgs, Minimized};
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

    /// From the bound of a set, if the loss falls into it, a search gets where one from within does; if not, it stays there.
    #[test]
    fn bounds_are_left() {
        for (target, expected) in [(1.0, 1.0), (0.01, 0.01), (1.99, 1.99), (2.0, 2.0), (3.0, 2.0)] {
            for start in [2.0, 1.9, 2.0f64.next_down(), 0.1] {
                let mut kernel = GammaExponential::new(5.0, start);
                let minimum = fit(&mut kernel, &Lbfgs::default(), |k| Ok(bowl(k, &[1.0, target]))).unwrap();
                let gamma = kernel.gamma();
                assert!((gamma / expected - 1.0).abs() < 1e-4, "{start} to {target}: {gamma}, {}", minimum.reason);
                assert!((kernel.lengthscale()[0] - 1.0).abs() < 1e-4, "{start} to {target}");
            }
        }
    }

    /// A constant that is added to the loss, and the units of real parameters, do not change the steps.
    #[test]
    fn steps_do_not_depend_on_units() {
        let run = |shift: f64, unit: f64| {
            let mut kernel = Tanh::new(3.0, 2.0 * unit);
            let loss = |kernel: &Tanh| {
                let (a, b) = (kernel.values()[0], kernel.values()[1] / unit);
                let across = b - a * a;
                let gradient = vec![-2.0 * (1.0 - a) - 40.0 * a * across, 20.0 * across / unit];
                Ok(((1.0 - a).powi(2) + 10.0 * across * across + shift, gradient))
            };
            let minimum = {
                let measures = Measures { units: &[7.0, unit], floors: &[] };
                fit_by(&mut kernel, measures, &Lbfgs::default(), loss)
            }
            .unwrap();
            (kernel.values()[0], kernel.values()[1] / unit, minimum.steps)
        };
        let (a, b, steps) = run(0.0, 1.0);
        assert!(((a - 1.0).abs() + (b - 1.0).abs()) < 1e-5);
        for (shift, unit) in [(3e3, 1.0), (-3e3, 1e-12), (1.0, 1e12), (0.0, 1e6)] {
            let (c, d, others) = run(shift, unit);
            assert!((a - c).abs() + (b - d).abs() < 1e-6 && steps.abs_diff(others) <= 1, "{shift} {unit}: {c} {d}");
        }
    }

    /// A search that has heard nothing of a parameter says so.
    #[test]
    fn what_does_not_matter_is_named() {
        let mut kernel = 2.0 * Rbf::new(0.7);
        let flat = |k: &_| {
            let (value, gradient) = bowl(k, &[1.0, 1.0]);
            Ok((value, vec![gradient[0], 0.0]))
        };
        let minimum = fit(&mut kernel, &Lbfgs::default(), flat).unwrap();
        assert!(!minimum.converged && minimum.reason.contains("`scaled.rbf.lengthscale`"), "{}", minimum.reason);
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
            fn minimize(&self, objective: &mut Minimized<'_>, start: &[f64]) -> Result<Minimum> {
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
