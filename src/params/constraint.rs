//! The set that a parameter lives in, and its map to the real line.

use std::fmt;

/// The set of values that a parameter may take, with a smooth map to and from the real line, on
/// which optimisers work.
///
/// The maps never overflow: values are clamped to finite, strictly admissible numbers.
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
    /// Strictly between two finite bounds, by the logistic function.
    Interval {
        /// The lower bound, excluded.
        lower: f64,
        /// The upper bound, excluded.
        upper: f64,
    },
}

/// Bounds of what the exponential map gives: its logarithm and its square stay finite.
const SMALLEST: f64 = 1e-150;
const LARGEST: f64 = 1e150;

impl Constraint {
    /// Positive for a value that is; else any finite number. For coefficients that keep the kernel a
    /// covariance where they are positive, and may be anything where it is none.
    pub(crate) fn by_sign(value: f64) -> Self {
        if value > 0.0 { Self::Positive } else { Self::Real }
    }

    /// Whether the value is in the set.
    pub fn admits(self, value: f64) -> bool {
        match self {
            Self::Real => value.is_finite(),
            Self::Positive | Self::Softplus => value > 0.0 && value.is_finite(),
            Self::Interval { lower, upper } => value > lower && value < upper,
        }
    }

    /// The value `x` for the unconstrained `u`; NaN for NaN.
    pub fn constrain(self, u: f64) -> f64 {
        match self {
            Self::Real => u,
            Self::Positive => u.exp().clamp(SMALLEST, LARGEST),
            // log(1 + e^u) = max(u, 0) + log(1 + e^-|u|), where nothing overflows.
            Self::Softplus => (u.max(0.0) + (-u.abs()).exp().ln_1p()).clamp(SMALLEST, LARGEST),
            Self::Interval { lower, upper } => {
                let fraction = 1.0 / (1.0 + (-u).exp());
                // next_up/next_down keep the ends out of the set even where the fraction rounds.
                (lower + (upper - lower) * fraction).clamp(lower.next_up(), upper.next_down())
            }
        }
    }

    /// The unconstrained `u` for a value `x` of the set.
    pub fn unconstrain(self, x: f64) -> f64 {
        match self {
            Self::Real => x,
            Self::Positive => x.ln(),
            // log(e^x - 1) = x + log(1 - e^-x)
            Self::Softplus => x + (-(-x).exp_m1()).ln(),
            Self::Interval { lower, upper } => ((x - lower) / (upper - x)).ln(),
        }
    }

    /// The derivative `dx/du` at the value `x`.
    pub fn slope(self, x: f64) -> f64 {
        match self {
            Self::Real => 1.0,
            Self::Positive => x,
            Self::Softplus => -(-x).exp_m1(),
            Self::Interval { lower, upper } => (x - lower) * ((upper - x) / (upper - lower)),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("finite"),
            Self::Positive | Self::Softplus => f.write_str("positive and finite"),
            Self::Interval { lower, upper } => write!(f, "between {lower} and {upper}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Constraint; 4] = [
        Constraint::Real,
        Constraint::Positive,
        Constraint::Softplus,
        Constraint::Interval { lower: -2.0, upper: 3.0 },
    ];

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
