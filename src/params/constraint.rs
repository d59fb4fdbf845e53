//! The set that a parameter lives in, and its map to the real line.

use std::fmt;

use super::interval::Interval;

/// The set of values that a parameter may take, with a smooth map to and from the real line, on
/// which optimisers work.
///
/// To the real line and back, a value v comes back to 4 ε max(1, |ln |v||) of itself. The maps do not overflow: values
/// stay finite and in the set.
///
/// # Examples
///
/// ```
/// use mercer::params::Constraint;
///
/// let positive = Constraint::Positive;
/// assert_eq!(positive.unconstrain(1.0), 0.0);
/// assert!((positive.constrain(positive.unconstrain(0.3)) - 0.3).abs() < 1e-15);
/// assert!(positive.constrain(1e9).is_finite());
/// assert!(!positive.admits(-1.0));
///
/// let up_to_2 = Constraint::UpTo { upper: 2.0 };
/// assert_eq!(up_to_2.constrain(up_to_2.unconstrain(2.0)), 2.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// Any finite number; the map is the identity.
    Real,
    /// Positive and finite, by the exponential: `x = exp(u)`. Steps in `u` are relative steps in `x`.
    Positive,
    /// Positive and finite, by the softplus: `x = log(1 + exp(u))`. Steps in `u` are absolute steps
    /// in `x` where `x` is large.
    Softplus,
    /// Positive, up to and including a bound: `x = 2 exp(u) / (1 + (exp(u) / upper)²)`, which has its largest value
    /// `upper` at `u = log(upper)` and falls again beyond. A search may reach the bound, pass it, and come back.
    UpTo {
        /// The largest value.
        upper: f64,
    },
    /// Strictly between two bounds, either of which may be infinite: where both are of one sign, by the logistic function of
    /// `u`, less a constant; where 0 is in between, by `x = upper (1 − exp(−u / upper))` above 0, and likewise below.
    Interval {
        /// The lower bound, excluded.
        lower: f64,
        /// The upper bound, excluded.
        upper: f64,
    },
}

/// The gradient in the logarithm from which on a search is to leave a bound: by less it gains less than it has to for a step.
const PULL: f64 = 2e-3;
/// What counts as next to a bound, relative to it.
const NEAR: f64 = 1e-8;
/// The logarithm from which on downwards exponentials lose digits.
const SUBNORMAL: f64 = -708.0;
/// The least positive number.
const LEAST: f64 = f64::from_bits(1);

impl Constraint {
    /// Positive for values that all are; else any finite number. For coefficients that keep the kernel a
    /// covariance where they are positive, and may be anything where it is none.
    pub(super) fn by_sign(values: &[f64]) -> Self {
        if values.iter().all(|&value| value > 0.0) { Self::Positive } else { Self::Real }
    }

    /// Whether the value is in the set.
    pub fn admits(self, value: f64) -> bool {
        match self {
            Self::Real => value.is_finite(),
            Self::Positive | Self::Softplus => value > 0.0 && value.is_finite(),
            Self::UpTo { upper } => value > 0.0 && value <= upper && value.is_finite(),
            Self::Interval { lower, upper } => Interval { lower, upper }.admits(value),
        }
    }

    /// The value `x` for the unconstrained `u`; NaN for NaN, and where the set is empty.
    pub fn constrain(self, u: f64) -> f64 {
        match self {
            Self::Real => u,
            Self::Positive => u.exp().clamp(LEAST, f64::MAX),
            // log(1 + e^u) = max(u, 0) + log(1 + e^-|u|), where nothing overflows.
            Self::Softplus => (u.max(0.0) + (-u.abs()).exp().ln_1p()).clamp(LEAST, f64::MAX),
            Self::UpTo { upper } if upper > 0.0 => {
                let top = upper.ln();
                let u = if u > top { 2.0 * top - u } else { u };
                // By the root, as e^u may overflow where its quotient with the bound does not.
                let root = (0.5 * u).exp();
                let ratio = root / upper * root;
                let x = if ratio < 0.5 {
                    let twice = if u < SUBNORMAL { 2.0 * root * root } else { 2.0 * u.exp() };
                    twice / (1.0 + ratio * ratio)
                } else {
                    // To the last bit at the bound.
                    upper - upper * ((1.0 - ratio) * (1.0 - ratio) / (1.0 + ratio * ratio))
                };
                x.clamp(LEAST, upper.min(f64::MAX))
            }
            Self::UpTo { .. } => f64::NAN,
            Self::Interval { lower, upper } => Interval { lower, upper }.constrain(u),
        }
    }

    /// The unconstrained `u` for a value `x` of the set.
    pub fn unconstrain(self, x: f64) -> f64 {
        match self {
            Self::Real => x,
            Self::Positive => x.ln(),
            // log(e^x - 1) = x + log(1 - e^-x)
            Self::Softplus => x + (-(-x).exp_m1()).ln(),
            // ln (x / (1 + √(1 − (x/b)²))), the branch below the bound.
            Self::UpTo { upper } => {
                let ratio = x / upper;
                x.ln() - ((1.0 - ratio) * (1.0 + ratio)).sqrt().ln_1p()
            }
            Self::Interval { lower, upper } => Interval { lower, upper }.unconstrain(x),
        }
    }

    /// The derivative `dx/du` at the value `x`, where `u` is the one that [`unconstrain`](Self::unconstrain) gives.
    pub fn slope(self, x: f64) -> f64 {
        match self {
            Self::Real => 1.0,
            Self::Positive => x,
            Self::Softplus => -(-x).exp_m1(),
            Self::UpTo { upper } => {
                let ratio = x / upper;
                x * ((1.0 - ratio) * (1.0 + ratio)).sqrt()
            }
            Self::Interval { lower, upper } => Interval { lower, upper }.slope(x),
        }
    }

    /// The gradient of a loss in `u` from its gradient in `x`, for a search that is at `u`.
    ///
    /// Beyond the largest value the map falls. At it, the slope is 0, and next to it as small as a root of the distance; there
    /// a loss that falls into the set counts as one that falls to the side of smaller `u`, by as much as for the
    /// exponential: a stationary point that a search is to leave.
    pub(super) fn pull(self, u: f64, x: f64, gradient: f64) -> f64 {
        match self {
            Self::UpTo { upper } if x >= upper * (1.0 - NEAR) && gradient * x > PULL => gradient * x,
            Self::UpTo { upper } if u > upper.ln() => -gradient * self.slope(x),
            _ => gradient * self.slope(x),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("finite"),
            Self::Positive | Self::Softplus => f.write_str("positive and finite"),
            Self::UpTo { upper } => write!(f, "positive and at most {upper}"),
            Self::Interval { lower, upper } => write!(f, "between {lower} and {upper}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    const ALL: [Constraint; 9] = [
        Constraint::Real,
        Constraint::Positive,
        Constraint::Softplus,
        Constraint::Interval { lower: -2.0, upper: 3.0 },
        Constraint::Interval { lower: 0.0, upper: 1.0 },
        Constraint::Interval { lower: -7.0, upper: -2.0 },
        Constraint::Interval { lower: 3.0, upper: f64::INFINITY },
        Constraint::Interval { lower: f64::NEG_INFINITY, upper: f64::INFINITY },
        Constraint::UpTo { upper: 1e12 },
    ];

    /// Bounds and values of all sizes.
    fn size(rng: &mut Pcg64) -> f64 {
        let ends = [f64::INFINITY, f64::MAX, LEAST, f64::MIN_POSITIVE, 1e300, 1e-300, 1.0, 2.0, 0.0];
        let size = match rng.random_range(0..10) {
            0..2 => ends[rng.random_range(0..ends.len())],
            2..5 => rng.random_range(0.0..3.0),
            _ => rng.random_range(-1074.0f64..1023.9).exp2(),
        };
        if rng.random_range(0..2) == 0 { size } else { -size }
    }

    /// The law: to the real line and back is the identity to 4 ε max(1, |ln |v||). The errors of the coordinate, of half an ε of
    /// its size and of few of the numbers that it is made of, enter v by at most their own size. Subnormal numbers are
    /// no closer to each other than the least.
    #[test]
    fn values_come_back() {
        let mut rng = Pcg64::seed_from_u64(crate::testkit::seed(71));
        let mut tried = [0; 5];
        for _ in 0..crate::testkit::trials(40_000) {
            let (a, b) = (size(&mut rng), size(&mut rng));
            let kind = rng.random_range(0..10).min(4);
            let constraint = match kind {
                0 => Constraint::Real,
                1 => Constraint::Positive,
                2 => Constraint::Softplus,
                3 => Constraint::UpTo { upper: a },
                _ => Constraint::Interval { lower: a.min(b), upper: a.max(b) },
            };
            let mut value = match rng.random_range(0..4) {
                0 => size(&mut rng),
                1 => a.min(b) + (a.max(b) - a.min(b)) * rng.random_range(0.0..1.0),
                2 => a,
                _ => b,
            };
            for _ in 0..rng.random_range(0..4) {
                value = if rng.random_range(0..2) == 0 { value.next_up() } else { value.next_down() };
            }
            if !constraint.admits(value) {
                continue;
            }
            tried[kind] += 1;
            let u = constraint.unconstrain(value);
            assert!(u.is_finite(), "{constraint:?} at {value:e}");
            let back = constraint.constrain(u);
            assert!(constraint.admits(back), "{constraint:?} at {value:e}: {back:e}");
            let logarithm = if value == 0.0 { 0.0 } else { value.abs().ln().abs() };
            let tolerance = (4.0 * f64::EPSILON * logarithm.max(1.0) * value.abs()).max(LEAST);
            approx::assert_abs_diff_eq!(back, value, epsilon = tolerance);
        }
        assert!(tried.iter().all(|&count| count > 100), "{tried:?}");
    }

    #[test]
    fn a_bound_is_reached_passed_and_left() {
        for upper in [2.0, 1e-300, 1e300, LEAST, f64::MAX, 0.7] {
            let constraint = Constraint::UpTo { upper };
            let top = constraint.unconstrain(upper);
            assert_eq!(constraint.constrain(top), upper);
            assert_eq!(constraint.slope(upper), 0.0);
            for away in [0.1, 1.0, 20.0] {
                let (below, beyond) = (constraint.constrain(top - away), constraint.constrain(top + away));
                assert!(constraint.admits(below) && (below < upper || upper == LEAST), "{upper} {away}");
                approx::assert_relative_eq!(below, beyond, max_relative = 1e-12, epsilon = LEAST);
            }
            // A loss that falls into the set, and one that falls out of it.
            assert!(constraint.pull(top, upper, upper.recip()) > 0.0 && constraint.pull(top, upper, -1.0) == 0.0);
        }
        let constraint = Constraint::UpTo { upper: 2.0 };
        let x = constraint.constrain(1.5);
        let difference = (constraint.constrain(1.5 + 1e-6) - constraint.constrain(1.5 - 1e-6)) / 2e-6;
        approx::assert_relative_eq!(constraint.pull(1.5, x, 1.0), difference, max_relative = 1e-8);
    }

    #[test]
    fn empty_sets_have_no_values() {
        for (lower, upper) in [(1.0, 1.0), (2.0, 1.0), (1.0, 1.0f64.next_up()), (f64::NAN, 1.0), (0.0, f64::NAN)] {
            let constraint = Constraint::Interval { lower, upper };
            assert!(constraint.constrain(0.3).is_nan() && !constraint.admits(1.0), "{constraint:?}");
        }
        for upper in [0.0, -1.0, f64::NAN] {
            let constraint = Constraint::UpTo { upper };
            assert!(constraint.constrain(0.3).is_nan() && !constraint.admits(0.1), "{constraint:?}");
        }
    }

    #[test]
    fn maps_invert_each_other() {
        for constraint in ALL {
            for u in [-20.0, -3.0, -0.1, 0.0, 0.5, 4.0, 20.0] {
                let x = constraint.constrain(u);
                assert!(constraint.admits(x), "{constraint:?} at {u}");
                // Near the ends of the interval, x has lost digits of u: the error is eps / slope.
                let tolerance = 8.0 * f64::EPSILON * (x.abs().max(1.0) / constraint.slope(x) + u.abs());
                assert!((constraint.unconstrain(x) - u).abs() <= tolerance, "{constraint:?} at {u}");
            }
        }
    }

    #[test]
    fn slope_is_the_derivative() {
        for constraint in ALL {
            for u in [-3.0, -0.1, 0.5, 4.0] {
                let step = 1e-6;
                let difference = (constraint.constrain(u + step) - constraint.constrain(u - step)) / (2.0 * step);
                let slope = constraint.slope(constraint.constrain(u));
                assert!((difference - slope).abs() < 1e-8 * (1.0 + slope), "{constraint:?} at {u}");
            }
        }
    }

    #[test]
    fn extremes_stay_admissible() {
        for constraint in ALL {
            for u in [-1e6, -800.0, 800.0, 1e6] {
                let x = constraint.constrain(u);
                assert!(constraint.admits(x), "{constraint:?} at {u} gave {x}");
                assert!(constraint.unconstrain(x).is_finite(), "{constraint:?} at {u}");
            }
        }
        assert!(Constraint::Positive.constrain(f64::NAN).is_nan());
    }

    #[test]
    fn refuses_what_is_outside() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(!Constraint::Positive.admits(value));
            assert!(!Constraint::Softplus.admits(value));
        }
        assert!(!Constraint::Real.admits(f64::NEG_INFINITY));
        assert!(!Constraint::Interval { lower: 0.0, upper: 1.0 }.admits(1.0));
    }
}
