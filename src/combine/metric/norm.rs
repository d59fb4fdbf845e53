//! Metrics that come from norms.

use std::fmt;

use super::Metric;
use crate::kernel::{Argument, Expr, FromArgument, Number, Psd, Structure};
use crate::{Error, Result, Scalar};

/// The metrics ‖x − y‖ of the usual norms.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Norm {
    /// √(Σ_d Δ_d²); `euclidean` in text.
    Euclidean,
    /// Σ_d |Δ_d|; `manhattan` in text.
    Manhattan,
    /// max_d |Δ_d|; `chebyshev` in text. It has a kink where two coordinates are as far apart.
    Chebyshev,
    /// (Σ_d |Δ_d|^p)^(1/p); `minkowski(p=3)` in text. See [`Norm::minkowski`].
    Minkowski {
        /// The exponent, at least 1.
        p: f64,
    },
}

impl Norm {
    /// The Minkowski metric of an exponent.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if p is below 1, where it is no metric, or not finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::combine::{Metric, Norm};
    ///
    /// assert_eq!(Norm::minkowski(3.0)?.distance(&[0.0, 0.0], &[1.0, 0.0]), 1.0);
    /// assert!(Norm::minkowski(0.5).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn minkowski(p: f64) -> Result<Self> {
        if p >= 1.0 && p.is_finite() {
            return Ok(Self::Minkowski { p });
        }
        Err(Error::setting("`p` of a Minkowski metric", Number(p), "must be at least 1 and finite"))
    }
}

fn differences<'a, T: Scalar>(x: &'a [T], y: &'a [T]) -> impl Iterator<Item = T> + Clone + 'a {
    x.iter().zip(y).map(|(&x, &y)| num_traits::Float::abs(x - y))
}

/// The largest number, or NaN if there is one.
fn largest<T: Scalar>(values: impl Iterator<Item = T>) -> T {
    values.fold(T::from_f64(0.0), |largest, value| if value <= largest || largest.is_nan() { largest } else { value })
}

/// Whether a kernel is made, by sums and products, of exponential ones: over ‖x − y‖₁ each of these is a product of kernels.
fn is_exponential(kernel: &dyn Expr) -> bool {
    match kernel.structure() {
        Structure::Leaf(views) => {
            views.constant || views.white || views.spectral.and_then(|view| view.matern()) == Some(0.5)
        }
        Structure::Sum(parts) | Structure::Product(parts) => parts.iter().all(|part| is_exponential(part)),
        Structure::Scaled(_, kernel) | Structure::Power(_, kernel) | Structure::Boxed(kernel) => is_exponential(kernel),
        _ => false,
    }
}

impl Metric for Norm {
    fn distance<T: Scalar>(&self, x: &[T], y: &[T]) -> T {
        match *self {
            Self::Euclidean => num_traits::Float::sqrt(differences(x, y).map(|d| d * d).sum::<T>()),
            Self::Manhattan => differences(x, y).sum(),
            Self::Chebyshev => largest(differences(x, y)),
            Self::Minkowski { p } => {
                // By the largest, so that no power overflows.
                let (most, p) = (largest(differences(x, y)), T::from_f64(p));
                if most == T::from_f64(0.0) {
                    return most;
                }
                let sum: T = differences(x, y).map(|d| num_traits::Float::powf(d / most, p)).sum();
                most * num_traits::Float::powf(sum, T::from_f64(1.0) / p)
            }
        }
    }

    fn gradient<T: Scalar>(&self, x: &[T], y: &[T], distance: T, in_x: &mut [T], in_y: &mut [T]) {
        let zero = T::from_f64(0.0);
        in_x.fill(zero);
        if distance != zero {
            for (in_x, (&x, &y)) in in_x.iter_mut().zip(x.iter().zip(y)) {
                let difference = x - y;
                let sign = if difference == zero { zero } else { num_traits::Float::signum(difference) };
                *in_x = match *self {
                    Self::Euclidean => difference / distance,
                    Self::Manhattan => sign,
                    // Where several are the largest, the first is taken.
                    Self::Chebyshev => zero,
                    Self::Minkowski { p } => {
                        let ratio = num_traits::Float::abs(difference) / distance;
                        sign * num_traits::Float::powf(ratio, T::from_f64(p - 1.0))
                    }
                };
            }
            if *self == Self::Chebyshev
                && let Some(first) = differences(x, y).position(|difference| difference == distance)
            {
                in_x[first] = num_traits::Float::signum(x[first] - y[first]);
            }
        }
        in_y.iter_mut().zip(in_x).for_each(|(in_y, in_x)| *in_y = -*in_x);
    }

    fn psd(&self, profile: &dyn Expr) -> Psd {
        // In one dimension all norms are |x − y|.
        let in_one = profile.properties().psd.min(Psd::UpTo(1));
        match self {
            Self::Euclidean if profile.properties().isotropic => profile.properties().psd,
            Self::Manhattan if is_exponential(profile) => profile.properties().psd,
            _ => in_one,
        }
    }

    fn translation_invariant(&self) -> bool {
        true
    }

    fn norm(&self) -> Option<f64> {
        Some(match *self {
            Self::Euclidean => 2.0,
            Self::Manhattan => 1.0,
            Self::Chebyshev => f64::INFINITY,
            Self::Minkowski { p } => p,
        })
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Euclidean => f.write_str("euclidean"),
            Self::Manhattan => f.write_str("manhattan"),
            Self::Chebyshev => f.write_str("chebyshev"),
            Self::Minkowski { p } => write!(f, "minkowski(p={})", Number(p)),
        }
    }
}

impl FromArgument for Norm {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        if let Some(("minkowski", mut arguments)) = argument.call() {
            arguments.check_names(&["p"])?;
            let p = arguments.take("p")?;
            arguments.finish()?;
            return Self::minkowski(p).map(Some).map_err(|error| argument.error(error.to_string()));
        }
        Ok(match argument.word() {
            Some("euclidean") => Some(Self::Euclidean),
            Some("manhattan") => Some(Self::Manhattan),
            Some("chebyshev") => Some(Self::Chebyshev),
            _ => None,
        })
    }

    fn describe() -> String {
        "`euclidean`, `manhattan`, `chebyshev` or `minkowski(p=…)`".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: [Norm; 5] =
        [Norm::Euclidean, Norm::Manhattan, Norm::Chebyshev, Norm::Minkowski { p: 3.0 }, Norm::Minkowski { p: 1.5 }];

    #[test]
    fn closed_forms() {
        let (x, y) = ([1.0, -2.0, 0.5], [2.0, 1.0, 0.5]);
        let expected = [10.0f64.sqrt(), 4.0, 3.0, 28.0f64.cbrt(), (1.0 + 3.0f64.powf(1.5)).powf(1.0 / 1.5)];
        for (metric, expected) in METRICS.into_iter().zip(expected) {
            assert!((metric.distance(&x, &y) - expected).abs() < 1e-15 * 4.0, "{metric:?}");
            assert!(metric.distance(&[0.0, f64::NAN, 1.0], &y).is_nan(), "{metric:?}");
            assert_eq!(metric.distance(&x, &x), 0.0, "{metric:?}");
        }
    }

    #[test]
    fn gradients_are_derivatives() {
        let (x, y) = ([1.0, -2.0, 0.5], [2.0, 1.0, 0.8]);
        for metric in METRICS {
            let (mut in_x, mut in_y) = ([0.0; 3], [0.0; 3]);
            metric.gradient(&x, &y, metric.distance(&x, &y), &mut in_x, &mut in_y);
            let expected = crate::testkit::difference(&x, |x| metric.distance(x, &y));
            for d in 0..3 {
                assert!((in_x[d] - expected[d]).abs() < 1e-8, "{metric:?}");
                assert_eq!(in_y[d], -in_x[d]);
            }
        }
    }
}
