//! What happens between the layers of a network.

use std::fmt;

use faer::Mat;
use num_traits::Float;

use crate::kernel::{Argument, FromArgument};
use crate::simd::trig::{cos_each, sin_each};
use crate::simd::{Pass, dispatch};
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

#[inline(always)]
fn sigmoid<T: Scalar, const FMA: bool>(u: T) -> T {
    T::from_f64(1.0) / (T::from_f64(1.0) + (-u).lane_exp::<FMA>())
}

#[inline(always)]
fn rectified<T: Scalar>(u: T) -> T {
    let zero = T::from_f64(0.0);
    // This way round, NaN stays NaN.
    if u <= zero { zero } else { u }
}

#[inline(always)]
fn rectified_slope<T: Scalar>(u: T) -> T {
    let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
    let slope = if u <= zero { zero } else { u };
    if u > zero { one } else { slope }
}

#[inline(always)]
fn softplus<T: Scalar, const FMA: bool>(u: T) -> T {
    // log(1 + e^u) = max(u, 0) + log(1 + e^−|u|), where nothing overflows.
    rectified(u) + (-Float::abs(u)).lane_exp::<FMA>().lane_ln_1p::<FMA>()
}

#[inline(always)]
fn tanh_slope<T: Scalar, const FMA: bool>(u: T) -> T {
    let (one, value) = (T::from_f64(1.0), u.lane_tanh::<FMA>());
    (one - value) * (one + value)
}

#[inline(always)]
fn silu_slope<T: Scalar, const FMA: bool>(u: T) -> T {
    sigmoid::<T, FMA>(u) * (T::from_f64(1.0) + u * sigmoid::<T, FMA>(-u))
}

/// Replaces every number by the function of it.
struct Values<'a, T> {
    activation: Activation,
    values: &'a mut [T],
}

/// A loop for each function: a choice within the loop would keep it from being vectorised.
macro_rules! each {
    ($values:expr, $u:ident => $value:expr) => {
        for value in $values {
            let $u = *value;
            *value = $value;
        }
    };
}

impl<T: Scalar> Pass for Values<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        match self.activation {
            Activation::Tanh => each!(self.values, u => u.lane_tanh::<FMA>()),
            Activation::Relu => each!(self.values, u => rectified(u)),
            Activation::Sigmoid => each!(self.values, u => sigmoid::<T, FMA>(u)),
            Activation::Softplus => each!(self.values, u => softplus::<T, FMA>(u)),
            Activation::Silu => each!(self.values, u => u * sigmoid::<T, FMA>(u)),
            Activation::Sine => sin_each::<T, FMA>(self.values),
        }
    }
}

/// Replaces every number by the slope of the function there.
struct Slopes<'a, T> {
    activation: Activation,
    values: &'a mut [T],
}

impl<T: Scalar> Pass for Slopes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        match self.activation {
            Activation::Tanh => each!(self.values, u => tanh_slope::<T, FMA>(u)),
            Activation::Relu => each!(self.values, u => rectified_slope(u)),
            Activation::Sigmoid => each!(self.values, u => sigmoid::<T, FMA>(u) * sigmoid::<T, FMA>(-u)),
            Activation::Softplus => each!(self.values, u => sigmoid::<T, FMA>(u)),
            Activation::Silu => each!(self.values, u => silu_slope::<T, FMA>(u)),
            Activation::Sine => cos_each::<T, FMA>(self.values),
        }
    }
}

impl Activation {
    /// h(u)
    pub fn value<T: Scalar>(self, u: T) -> T {
        match self {
            Self::Tanh => Float::tanh(u),
            Self::Relu => rectified(u),
            Self::Sigmoid => sigmoid::<T, false>(u),
            Self::Softplus => softplus::<T, false>(u),
            Self::Silu => u * sigmoid::<T, false>(u),
            Self::Sine => Float::sin(u),
        }
    }

    /// dh/du
    pub fn slope<T: Scalar>(self, u: T) -> T {
        match self {
            Self::Tanh => tanh_slope::<T, false>(u),
            Self::Relu => rectified_slope(u),
            Self::Sigmoid => sigmoid::<T, false>(u) * sigmoid::<T, false>(-u),
            Self::Softplus => sigmoid::<T, false>(u),
            Self::Silu => silu_slope::<T, false>(u),
            Self::Sine => Float::cos(u),
        }
    }

    /// Replaces every entry by h of it.
    pub(super) fn apply<T: Scalar>(self, values: &mut Mat<T>) {
        for column in 0..values.ncols() {
            dispatch(Values { activation: self, values: values.col_as_slice_mut(column) });
        }
    }

    /// Replaces every entry by the slope of h there.
    pub(super) fn apply_slope<T: Scalar>(self, values: &mut Mat<T>) {
        for column in 0..values.ncols() {
            dispatch(Slopes { activation: self, values: values.col_as_slice_mut(column) });
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

    #[test]
    fn matrices_are_mapped_by_entry() {
        let given = Mat::from_fn(37, 2, |row, col| [0.3, 1e12][col] * (row as f64 - 18.0));
        for (activation, name) in NAMES {
            let (mut values, mut slopes) = (given.clone(), given.clone());
            activation.apply(&mut values);
            activation.apply_slope(&mut slopes);
            for (row, col) in (0..37).flat_map(|row| [(row, 0), (row, 1)]) {
                let u = given[(row, col)];
                let (value, slope) = (activation.value(u), activation.slope(u));
                assert!((values[(row, col)] - value).abs() <= 4e-16 * (1.0 + value.abs()), "{name} at {u}");
                assert!((slopes[(row, col)] - slope).abs() <= 4e-16, "{name} at {u}");
            }
        }
    }
}
