//! When to stop before the last step.

use std::ops::ControlFlow;

/// Stops when something that should fall has stopped to: a loss on validation data, say.
///
/// A value improves on the least one so far if it is below it by more than
/// `tolerance` · max(|least|, 1); one that is not finite does not. After `patience` values in a row without
/// improvement it is time to stop.
///
/// # Examples
///
/// The error on data held out, every twentieth step; what was best is kept:
///
/// ```
/// use mercer::data::metrics::rmse;
/// use mercer::gp::Svgp;
/// use mercer::likelihood::Gaussian;
/// use mercer::optim::{Patience, Stopped, Train};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let x = Mat::from_fn(60, 1, |i, _| 0.1 * i as f64);
/// let data = Data::new(&x, (0..60).map(|i| (0.1 * i as f64).sin()).collect::<Vec<_>>());
/// let (held_out, truth) = (mat![[0.75], [2.25], [4.05]], [0.75f64.sin(), 2.25f64.sin(), 4.05f64.sin()]);
///
/// let mut gp = Svgp::new(1.0 * Rbf::new(1.0), mat![[0.5], [2.0], [3.5], [5.0]].as_ref())?;
/// gp = gp.with_likelihood(Gaussian::new(0.1));
/// let (mut patience, mut best) = (Patience::new(3, 0.0), gp.clone());
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(0);
/// let mut run = gp.run(&data, &Train::new(2000).with_rate(0.02))?;
/// while let Some(progress) = run.step(&mut rng)? {
///     if progress.step % 20 != 0 {
///         continue;
///     }
///     let mean = run.model().posterior()?.mean(held_out.as_ref())?;
///     let next = patience.sees(rmse(&truth, mean.col_as_slice(0))?);
///     if patience.improved() {
///         best = run.model().clone();
///     }
///     if next.is_break() {
///         break;
///     }
/// }
/// assert_eq!(run.history().stopped, Stopped::Caller);
/// let mean = best.posterior()?.mean(held_out.as_ref())?;
/// assert_eq!(Some(rmse(&truth, mean.col_as_slice(0))?), patience.least());
/// assert!(patience.least() < Some(0.05));
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Patience {
    patience: usize,
    tolerance: f64,
    course: Course,
}

impl Patience {
    /// The rule before its first value. A patience of 0 counts as 1; a tolerance of 0 takes whatever is less
    /// for an improvement.
    pub fn new(patience: usize, tolerance: f64) -> Self {
        Self { patience, tolerance, course: Course::default() }
    }

    /// Takes note of the next value: breaks if it is time to stop.
    pub fn sees(&mut self, value: f64) -> ControlFlow<()> {
        self.course.sees(value, self.tolerance);
        if self.course.idle >= self.patience.max(1) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether the last value improved on all before it.
    pub fn improved(&self) -> bool {
        self.course.least.is_some() && self.course.idle == 0
    }

    /// The least value so far; none before the first that is finite.
    pub fn least(&self) -> Option<f64> {
        self.course.least
    }
}

/// The least of some values, and how many after it did not improve on it.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Course {
    pub(super) least: Option<f64>,
    pub(super) idle: usize,
}

impl Course {
    fn sees(&mut self, value: f64, tolerance: f64) {
        let below = |least: f64| value < least - tolerance * least.abs().max(1.0);
        let improved = value.is_finite() && self.least.is_none_or(below);
        self.idle = if improved { 0 } else { self.idle + 1 };
        if value.is_finite() {
            self.least = Some(self.least.map_or(value, |least| least.min(value)));
        }
    }
}

/// Stops when the loss has stopped to fall.
///
/// Losses of minibatches scatter, so means over `window` steps are compared: training stops after
/// `patience` windows in a row whose mean is not below the least one so far by more than
/// `tolerance` · max(|least|, 1). For anything but the loss, a loop asks [`Patience`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStop {
    /// Steps averaged over; at least 1. By default 50.
    pub window: usize,
    /// Windows without improvement; at least 1. By default 5.
    pub patience: usize,
    /// Relative improvement that counts, not negative. By default 1e-4.
    pub tolerance: f64,
}

impl Default for EarlyStop {
    fn default() -> Self {
        Self { window: 50, patience: 5, tolerance: 1e-4 }
    }
}

/// What [`EarlyStop`] has seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plateau {
    pub(super) sum: f64,
    pub(super) seen: usize,
    pub(super) course: Course,
}

impl Plateau {
    /// Whether this loss ends the training.
    pub(super) fn sees(&mut self, loss: f64, rule: EarlyStop) -> bool {
        self.sum += loss;
        self.seen += 1;
        if self.seen < rule.window {
            return false;
        }
        let mean = self.sum / self.seen as f64;
        (self.sum, self.seen) = (0.0, 0);
        self.course.sees(mean, rule.tolerance);
        self.course.idle >= rule.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_count_from_the_least_mean() {
        let rule = EarlyStop { window: 1, patience: 2, tolerance: 0.0 };
        let mut plateau = Plateau::default();
        let losses = [3.0, 2.0, 2.5, 1.0, 1.0, 1.5, 0.0];
        assert_eq!(losses.iter().position(|&loss| plateau.sees(loss, rule)), Some(5));
    }

    #[test]
    fn what_is_not_finite_does_not_improve() {
        let mut patience = Patience::new(2, 0.1);
        let stops: Vec<bool> =
            [f64::NAN, 5.0, 4.6, f64::NEG_INFINITY].iter().map(|&v| patience.sees(v).is_break()).collect();
        // 4.6 is less than 5 by less than a tenth of it.
        assert_eq!(stops, [false, false, false, true]);
        assert_eq!((patience.least(), patience.improved()), (Some(4.6), false));
        assert_eq!((patience.sees(4.0), patience.improved()), (ControlFlow::Continue(()), true));
    }
}
