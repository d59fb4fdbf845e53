//! What happens between the layers of a network.

use std::fmt;

use num_traits::Float;

use crate::kernel::{Argument, FromArgument};
use crate::{Result, Scalar};

/// The function of each number between two layers of an [`Mlp`](super::Mlp).
///
/// # Examples
///
/// ```
/// use mercer::warp::Activation;
///
/// assert_eq!(Activation::Relu.value(-3.0), 0.0);
/// assert_eq!(Activation::Tanh.slope(0.0), 1.0);
/// assert_eq!(Activation::Silu.to_string(), "silu");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// tanh u
    Tanh,
    /// max(0, u); its derivative at 0 is taken as 0.
    Relu,
    /// 1/(1 + exp(−u))
    Sigmoid,
    /// log(1 + exp(u))
    Softplus,
    /// u/(1 + exp(−u))
    Silu,
    /// sin u
    Sine,
}

/// Every function with its name in text.
const NAMES: [(Activation, &str); 6] = [
    (Activation::Tanh, "tanh"),
    (Activation::Relu, "relu"),
    (Activation::Sigmoid, "sigmoid"),
    (Activation::Softplus, "softplus"),
    (Activation::Silu, "silu"),
    (Activation::Sine, "sine"),
];

fn sigmoid<T: Scalar>(u: T) -> T {
    T::from_f64(1.0) / (T::from_f64(1.0) + Float::exp(-u))
}

impl Activation {
    /// h(u)
    pub fn value<T: Scalar>(self, u: T) -> T {
        let zero = T::from_f64(0.0);
        match self {
            Self::Tanh => Float::tanh(u),
            // This way round, NaN stays NaN.
            Self::Relu if u <= zero => zero,
            Self::Relu => u,
            Self::Sigmoid => sigmoid(u),
            // log(1 + e^u) = max(u, 0) + log(1 + e^−|u|), where nothing overflows.
            Self::Softplus => Float::max(u, zero) + Float::ln_1p(Float::exp(-Float::abs(u))),
            Self::Silu => u * sigmoid(u),
            Self::Sine => Float::sin(u),
        }
    }

    /// dh/du
    pub fn slope<T: Scalar>(self, u: T) -> T {
        let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
        match self {
            Self::Tanh => {
                let value = Float::tanh(u);
                (one - value) * (one + value)
            }
            Self::Relu if u <= zero => zero,
            Self::Relu if u > zero => one,
            Self::Relu => u,
            Self::Sigmoid => sigmoid(u) * sigmoid(-u),
            Self::Softplus => sigmoid(u),
            Self::Silu => sigmoid(u) * (one + u * sigmoid(-u)),
            Self::Sine => Float::cos(u),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(activation, _)| activation == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromArgument for Activation {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let named = |word: &str| NAMES.iter().find(|(_, name)| *name == word).map(|(activation, _)| *activation);
        Ok(argument.word().and_then(named))
    }

    fn describe() -> String {
        let names: Vec<String> = NAMES.iter().map(|(_, name)| format!("`{name}`")).collect();
        format!("one of {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives_and_extremes_finite() {
        for (activation, name) in NAMES {
            for u in [-4.0, -0.7, 0.3, 5.0] {
                let step = 1e-5;
                let difference = (activation.value(u + step) - activation.value(u - step)) / (2.0 * step);
                assert!((difference - activation.slope(u)).abs() < 1e-9, "{name} at {u}");
            }
            for u in [-1e30f32, 1e30] {
                assert!(activation.value(u).is_finite() && activation.slope(u).is_finite(), "{name} at {u}");
            }
            assert!(activation.value(f64::NAN).is_nan() && activation.slope(f64::NAN).is_nan(), "{name}");
        }
    }
}
