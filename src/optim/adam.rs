//! Adam: first-order steps scaled by running moments of the gradient.

use super::norm;
use crate::{Error, Result};

/// The settings of Adam.
///
/// # Definition
///
/// With gradient gₜ at step t = 1, 2, …, elementwise,
///
/// - mₜ = (1 − β₁) gₜ + β₁ mₜ₋₁ and vₜ = (1 − β₂) gₜ² + β₂ vₜ₋₁, from zero;
/// - xₜ = xₜ₋₁ − α m̂ₜ / (√v̂ₜ + ε), where m̂ₜ = mₜ / (1 − β₁ᵗ) and v̂ₜ = vₜ / (1 − β₂ᵗ).
///
/// ε is outside the square root, as in the paper's algorithm 1 and in `optax.adam`. With
/// [`clip`](Self::clip) c, a gradient with ‖g‖ ≥ c is first replaced by c g / ‖g‖.
///
/// One gradient out of all proportion would stop the search for 1/(1 − β₂) steps and more, by what it leaves in v. In a
/// coordinate where |gₜ| is above 10⁸ √v̂ₜ₋₁ > 0 it counts as 0, and v is multiplied by 4, so that a gradient which stays is
/// soon believed. And where gₜ ≠ 0 and both |gₜ| and |m̂ₜ| have come to be below 10⁻²⁰ √v̂ₜ, as after a first gradient of that
/// kind and never by convergence in double precision, √v̂ₜ becomes 10³ times the larger of them. Nothing else departs
/// from the definition.
///
/// # Examples
///
/// The first step has length α in each coordinate, whatever the gradient:
///
/// ```
/// use mercer::optim::Adam;
///
/// let mut state = Adam { rate: 0.1, ..Adam::default() }.start(2)?;
/// let mut x = [1.0, 1.0];
/// state.step(&mut x, &[1e-3, -1e3])?;
/// assert!((x[0] - 0.9).abs() < 1e-5 && (x[1] - 1.1).abs() < 1e-5);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Kingma & Ba (2015), "Adam: a method for stochastic optimization", ICLR, algorithm 1,
/// [arXiv:1412.6980](https://arxiv.org/abs/1412.6980).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Adam {
    /// The step size α; positive. By default 0.001.
    pub rate: f64,
    /// The decay β₁ of the first moment, in [0, 1). By default 0.9.
    pub beta1: f64,
    /// The decay β₂ of the second moment, in [0, 1). By default 0.999.
    pub beta2: f64,
    /// The constant ε, not negative. By default 1e-8.
    pub epsilon: f64,
    /// The largest norm of a gradient, all coordinates together; longer ones are scaled down.
    pub clip: Option<f64>,
}

impl Default for Adam {
    fn default() -> Self {
        Self { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: None }
    }
}

impl Adam {
    /// The optimiser before its first step, for so many coordinates.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a setting outside its range.
    pub fn start(&self, len: usize) -> Result<AdamState> {
        self.check()?;
        Ok(AdamState { settings: *self, first: vec![0.0; len], second: vec![0.0; len], steps: 0 })
    }

    /// Refuses settings outside their ranges.
    fn check(&self) -> Result<()> {
        let decay = |name, value: f64| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::setting(name, value, "must be at least 0 and less than 1")),
        };
        let positive = |name, value: f64| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(Error::setting(name, value, "must be positive and finite")),
        };
        positive("rate", self.rate)?;
        decay("beta1", self.beta1)?;
        decay("beta2", self.beta2)?;
        if !(self.epsilon >= 0.0 && self.epsilon.is_finite()) {
            return Err(Error::setting("epsilon", self.epsilon, "must be finite and not negative"));
        }
        self.clip.map_or(Ok(()), |clip| positive("clip", clip))
    }
}

/// The largest gradient that has a finite square.
const LARGEST: f64 = 1e150;
/// Times the root of the second moment that a gradient is not believed.
const DISPROPORTION: f64 = 1e8;
/// The fraction of the root of the second moment below which gradients are lost in what is left of others.
const FORGOTTEN: f64 = 1e-20;
/// What the root of the second moment becomes then, in units of the gradients: steps stay short, and grow.
const LEFT: f64 = 1e3;

/// Adam under way: the settings and the two running moments. Made by [`Adam::start`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdamState {
    pub(super) settings: Adam,
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
    pub(super) steps: usize,
}

impl AdamState {
    /// The number of steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Moves `x` one step against the gradient.
    ///
    /// # Errors
    ///
    /// [`Error::Optimisation`] for a gradient that is not finite, [`Error::Shape`] if `x` or the
    /// gradient has another length than at the start. Neither `x` nor the moments change then.
    pub fn step(&mut self, x: &mut [f64], gradient: &[f64]) -> Result<()> {
        self.step_at(self.settings.rate, x, gradient)
    }

    /// Moves `x` one step with this rate in place of the setting's, as a schedule asks.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn step_at(&mut self, rate: f64, x: &mut [f64], gradient: &[f64]) -> Result<()> {
        self.check_step(x, gradient)?;
        self.advance(x, gradient, |_| rate);
        Ok(())
    }

    /// Moves `x` one step with a rate for each coordinate, all times a factor. A coordinate whose rate is 0
    /// stays where it is, and its gradient does not count in the norm that is clipped: it is as if it were
    /// not there.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step); [`Error::Shape`] also if there is not one rate for each coordinate.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::optim::Adam;
    ///
    /// let mut state = Adam::default().start(3)?;
    /// let mut x = [1.0, 1.0, 1.0];
    /// state.step_each(&[0.1, 0.0, 0.2], 0.5, &mut x, &[1.0, 1.0, -1.0])?;
    /// assert!((x[0] - 0.95).abs() < 1e-8 && x[1] == 1.0 && (x[2] - 1.1).abs() < 1e-8);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn step_each(&mut self, rates: &[f64], factor: f64, x: &mut [f64], gradient: &[f64]) -> Result<()> {
        self.check_step(x, gradient)?;
        if rates.len() != x.len() {
            return Err(Error::shape("the rates", format!("{} value(s)", x.len()), (rates.len(), 1)));
        }
        let moving = |(&rate, &g): (&f64, &f64)| if rate == 0.0 { 0.0 } else { g };
        let gradient: Vec<f64> = rates.iter().zip(gradient).map(moving).collect();
        self.advance(x, &gradient, |coordinate| rates[coordinate] * factor);
        Ok(())
    }

    /// Goes on with other settings, after so many steps of so many coordinates.
    pub(super) fn resume(&mut self, settings: &Adam, len: usize) -> Result<()> {
        settings.check()?;
        for moments in [&self.first, &self.second] {
            if moments.len() != len {
                return Err(Error::shape("the moments of Adam", format!("{len} value(s)"), (moments.len(), 1)));
            }
        }
        self.settings = *settings;
        Ok(())
    }

    fn check_step(&self, x: &[f64], gradient: &[f64]) -> Result<()> {
        let len = self.first.len();
        for (what, found) in [("the point", x.len()), ("the gradient", gradient.len())] {
            if found != len {
                return Err(Error::shape(what, format!("{len} value(s)"), (found, 1)));
            }
        }
        if let Some(position) = gradient.iter().position(|g| !g.is_finite()) {
            let reason = format!("element {position} of the gradient is {}", gradient[position]);
            return Err(Error::Optimisation { step: self.steps, reason });
        }
        Ok(())
    }

    fn advance(&mut self, x: &mut [f64], gradient: &[f64], rate: impl Fn(usize) -> f64) {
        self.steps += 1;
        let Adam { beta1, beta2, epsilon, clip, .. } = self.settings;
        let length = clip.map_or(0.0, |_| norm(gradient));
        let clip = clip.filter(|&clip| length >= clip);
        let steps = self.steps as f64;
        let (correction1, correction2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
        // In squares, which need no roots. At the first step there is no moment to be out of proportion to.
        let disproportion = DISPROPORTION * DISPROPORTION / (1.0 - beta2.powf(steps - 1.0));
        let forgotten = (FORGOTTEN * correction1).powi(2) / correction2;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for (coordinate, ((x, &g), (first, second))) in x.iter_mut().zip(gradient).zip(moments).enumerate() {
            // Larger ones have no square.
            let g = clip.map_or(g, |clip| g / length * clip).clamp(-LARGEST, LARGEST);
            if *second > 0.0 && g * g > disproportion * *second {
                *first *= beta1;
                *second *= 4.0;
            } else {
                *first = (1.0 - beta1) * g + beta1 * *first;
                *second = (1.0 - beta2) * (g * g) + beta2 * *second;
                let heard = (g * correction1).abs().max(first.abs());
                if g != 0.0 && heard * heard < forgotten * *second {
                    *second = correction2 * (LEFT * heard / correction1).powi(2);
                }
            }
            let (first, second) = (*first / correction1, *second / correction2);
            // 0/0 where epsilon is 0 and the gradient has always been 0: nothing to do there.
            if first != 0.0 {
                *x -= rate(coordinate) * (first / (second.sqrt() + epsilon));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rosenbrock_gradient(x: &[f64]) -> [f64; 2] {
        let across = x[1] - x[0] * x[0];
        [-2.0 * (1.0 - x[0]) - 400.0 * x[0] * across, 200.0 * across]
    }

    fn run(adam: Adam, steps: usize) -> [f64; 2] {
        let mut x = [-1.2, 1.0];
        let mut state = adam.start(2).unwrap();
        for _ in 0..steps {
            let gradient = rosenbrock_gradient(&x);
            state.step(&mut x, &gradient).unwrap();
        }
        assert_eq!(state.steps(), steps);
        x
    }

    /// The definition, iterated in 40-digit arithmetic.
    #[test]
    fn follows_the_definition_for_hundreds_of_steps() {
        let adam = Adam { rate: 0.05, ..Adam::default() };
        for (steps, expected) in [
            (1, [-1.1500000000023192, 1.0499999999943181]),
            (10, [-1.01499120693675, 1.157308978123362]),
            (100, [-0.9076330090692838, 0.8290034093531098]),
            (300, [-0.10365556629934329, 0.011269707696573691]),
        ] {
            let x = run(adam, steps);
            assert!((0..2).all(|i| (x[i] - expected[i]).abs() < 1e-12), "{steps}: {x:?}");
        }
    }

    #[test]
    fn long_gradients_are_clipped() {
        let x = run(Adam { rate: 0.05, clip: Some(1.0), ..Adam::default() }, 40);
        let expected = [-0.6836511488767527, 0.47246385262113566];
        assert!((0..2).all(|i| (x[i] - expected[i]).abs() < 1e-12), "{x:?}");
    }

    #[test]
    fn gradients_that_are_not_finite_change_nothing() {
        let mut state = Adam::default().start(2).unwrap();
        let mut x = [1.0, 2.0];
        state.step(&mut x, &[1.0, 1.0]).unwrap();
        let (before, x_before) = (state.clone(), x);
        for bad in [f64::NAN, f64::INFINITY] {
            let error = state.step(&mut x, &[0.0, bad]).unwrap_err();
            assert!(matches!(error, Error::Optimisation { step: 1, .. }));
        }
        assert!(matches!(state.step(&mut x, &[0.0]), Err(Error::Shape { .. })));
        assert_eq!((state, x), (before, x_before));
    }

    /// A gradient out of all proportion, first or later, of any size: the search goes on at a slope, as fast as before in
    /// the end, and the moments are finite.
    #[test]
    fn one_absurd_gradient_does_not_end_the_search() {
        for (ordinary, size) in [0, 1, 50].into_iter().flat_map(|k| [1e12, 1e60, 1e160, 1e200, 1e300].map(|s| (k, s))) {
            let mut state = Adam::default().start(1).unwrap();
            let mut x = [0.0];
            (0..ordinary).for_each(|_| state.step(&mut x, &[1.0]).unwrap());
            state.step(&mut x, &[size]).unwrap();
            let steps = if ordinary == 0 { 100_000 } else { 4_000 };
            (0..steps).for_each(|_| state.step(&mut x, &[1.0]).unwrap());
            let before = x[0];
            state.step(&mut x, &[1.0]).unwrap();
            assert!((before - x[0]) / 1e-3 > 0.5, "{size:e} after {ordinary}: {}", before - x[0]);
            assert!(x[0].abs() < 1e-3 * (steps + ordinary + 20) as f64, "{size:e} after {ordinary}: {}", x[0]);
        }
    }

    /// What stays is believed soon, however small the gradients were before.
    #[test]
    fn gradients_that_grow_are_followed() {
        let mut state = Adam::default().start(1).unwrap();
        let mut x = [0.0];
        (0..100).for_each(|_| state.step(&mut x, &[1e-17]).unwrap());
        let before = x[0];
        (0..100).for_each(|_| state.step(&mut x, &[1.0]).unwrap());
        assert!((before - x[0]) / 1e-3 > 50.0, "{}", before - x[0]);
    }

    #[test]
    fn settings_are_checked() {
        for adam in [
            Adam { rate: 0.0, ..Adam::default() },
            Adam { rate: f64::NAN, ..Adam::default() },
            Adam { beta1: 1.0, ..Adam::default() },
            Adam { beta2: -0.1, ..Adam::default() },
            Adam { epsilon: f64::NAN, ..Adam::default() },
            Adam { clip: Some(0.0), ..Adam::default() },
        ] {
            assert!(matches!(adam.start(1), Err(Error::Setting { .. })), "{adam:?}");
        }
    }

    #[test]
    fn an_idle_coordinate_stays_without_epsilon() {
        let mut state = Adam { epsilon: 0.0, ..Adam::default() }.start(1).unwrap();
        let mut x = [3.0];
        state.step(&mut x, &[0.0]).unwrap();
        assert_eq!(x, [3.0]);
    }
}
