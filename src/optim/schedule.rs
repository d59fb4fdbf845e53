//! How the learning rate changes from step to step.

use std::f64::consts::PI;

use crate::{Error, Result};

/// A factor on the learning rate, as a function of the step t = 0, 1, 2, ….
///
/// # Examples
///
/// ```
/// use mercer::optim::Schedule;
///
/// let schedule = Schedule::Cosine { steps: 100, last: 0.1 }.warm_up(10);
/// assert_eq!(schedule.factor(0), 0.1); // a tenth of the way up
/// assert_eq!(schedule.factor(9), 1.0);
/// assert!((schedule.factor(60) - 0.55).abs() < 1e-15); // half-way down
/// assert_eq!(schedule.factor(500), 0.1);
/// ```
///
/// # References
///
/// The cosine is that of Loshchilov & Hutter (2017), "SGDR: stochastic gradient descent with warm
/// restarts", ICLR, equation 5, without restarts.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// 1 at every step.
    #[default]
    Constant,
    /// `factor`^(t / `steps`): shrinks smoothly, by `factor` every `steps` steps.
    Exponential {
        /// Steps to which one factor is spread out; at least 1.
        steps: usize,
        /// The factor, in (0, 1].
        factor: f64,
    },
    /// From 1 to `last` along half a cosine wave, `last` + (1 − `last`)(1 + cos(π t / `steps`)) / 2,
    /// and `last` after that.
    Cosine {
        /// Steps from 1 to `last`; at least 1.
        steps: usize,
        /// The factor at the end, in [0, 1].
        last: f64,
    },
    /// (t + 1) / `steps` for the first `steps` steps; then another schedule from its beginning.
    WarmUp {
        /// Steps of the ascent; at least 1.
        steps: usize,
        /// What comes after.
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// This schedule after a linear ascent of so many steps.
    pub fn warm_up(self, steps: usize) -> Self {
        Self::WarmUp { steps, then: Box::new(self) }
    }

    /// The factor at a step, counted from 0.
    pub fn factor(&self, step: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Exponential { steps, factor } => factor.powf(step as f64 / *steps as f64),
            Self::Cosine { steps, last } if step >= *steps => *last,
            Self::Cosine { steps, last } => {
                last + (1.0 - last) * 0.5 * (1.0 + (PI * step as f64 / *steps as f64).cos())
            }
            Self::WarmUp { steps, .. } if step < *steps => (step + 1) as f64 / *steps as f64,
            Self::WarmUp { steps, then } => then.factor(step - steps),
        }
    }

    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`].
    pub fn check(&self) -> Result<()> {
        let at_least_one = |steps: usize| match steps {
            0 => Err(Error::setting("steps of the schedule", steps, "must be at least 1")),
            _ => Ok(()),
        };
        match self {
            Self::Constant => Ok(()),
            Self::Exponential { steps, factor } => {
                if !(*factor > 0.0 && *factor <= 1.0) {
                    return Err(Error::setting("factor of the schedule", factor, "must be in (0, 1]"));
                }
                at_least_one(*steps)
            }
            Self::Cosine { steps, last } => {
                if !(0.0..=1.0).contains(last) {
                    return Err(Error::setting("last factor of the schedule", last, "must be in [0, 1]"));
                }
                at_least_one(*steps)
            }
            Self::WarmUp { steps, then } => at_least_one(*steps).and_then(|()| then.check()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_hold_at_chosen_steps() {
        let exponential = Schedule::Exponential { steps: 10, factor: 0.25 };
        for (step, expected) in [(0, 1.0), (5, 0.5), (10, 0.25), (20, 0.0625)] {
            assert!((exponential.factor(step) - expected).abs() < 1e-15);
        }
        let cosine = Schedule::Cosine { steps: 6, last: 0.0 };
        for (step, expected) in [(0, 1.0), (2, 0.75), (3, 0.5), (4, 0.25), (6, 0.0), (7, 0.0)] {
            assert!((cosine.factor(step) - expected).abs() < 1e-15);
        }
        let warm = exponential.warm_up(4);
        for (step, expected) in [(0, 0.25), (3, 1.0), (4, 1.0), (14, 0.25)] {
            assert!((warm.factor(step) - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn settings_are_checked() {
        for schedule in [
            Schedule::Exponential { steps: 0, factor: 0.5 },
            Schedule::Exponential { steps: 1, factor: 0.0 },
            Schedule::Cosine { steps: 1, last: f64::NAN },
            Schedule::Cosine { steps: 0, last: 0.1 },
            Schedule::Constant.warm_up(0),
            Schedule::Cosine { steps: 0, last: 0.1 }.warm_up(3),
        ] {
            assert!(matches!(schedule.check(), Err(Error::Setting { .. })), "{schedule:?}");
        }
        assert_eq!(Schedule::Cosine { steps: 5, last: 0.0 }.warm_up(3).check(), Ok(()));
    }
}
