//! Periodic functions of the Euclidean distance, as some libraries have them.

use super::radial::inverse_square;
use super::{Profile, Radial};
use crate::kernel::Psd;
use crate::params::{Constraint, OneOrEach, Parameter, PerDimension};
use crate::simd::Lanes;
use crate::{Result, Scalar, construct, kernel_ops, parameterized};

/// The periodic kernel of the Euclidean distance, as scikit-learn and others define it. In more than one
/// dimension you want [`Periodic`](super::Periodic).
///
/// # Definition
///
/// k(x, y) = exp(−2 sin²(π r)/ℓ²), with r² = Σ_d (x_d − y_d)²/p_d²
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `period` | p | that of the inputs | positive; one, or one for each dimension |
/// | `lengthscale` | ℓ | none (of the circle of radius 1) | positive |
///
/// # Properties
///
/// Stationary, isotropic with one period; smooth. Positive semi-definite in one dimension only, where it
/// is [`Periodic`](super::Periodic): in more, models refuse it unless told to allow indefinite kernels.
/// Unlike `Periodic`, it loses digits over many periods, because it sees nothing but the distance.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = RadialPeriodic::new(0.8, 10.0);
/// let sine2 = (std::f64::consts::PI * 0.5).sin().powi(2);
/// assert!((kernel.eval(&[0.0, 0.0], &[3.0, 4.0])? - (-2.0 * sine2 / 0.64).exp()).abs() < 1e-16);
/// assert_eq!((2.0 * kernel.clone() + 1.0).eval(&[1.0], &[1.0])?, 3.0);
/// assert_eq!(kernel.properties().psd, Psd::UpTo(1));
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// MacKay (1998), *Introduction to Gaussian processes*, section 5.2, for one dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct RadialPeriodic {
    period: PerDimension,
    lengthscale: Parameter,
}

parameterized!(RadialPeriodic as "radial_periodic", parameters: [period, lengthscale]);
kernel_ops!(RadialPeriodic);
construct!(RadialPeriodic: try_new(lengthscale: f64, period: OneOrEach));

impl RadialPeriodic {
    /// The kernel with a lengthscale, and one period or one for each dimension.
    ///
    /// # Panics
    ///
    /// If a hyperparameter is not positive and finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(lengthscale: f64, period: impl Into<OneOrEach>) -> Self {
        crate::error::literal(Self::try_new(lengthscale, period))
    }

    /// The kernel with a lengthscale, and one period or one for each dimension.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if a hyperparameter is not positive and finite.
    pub fn try_new(lengthscale: f64, period: impl Into<OneOrEach>) -> Result<Self> {
        Ok(Self {
            period: PerDimension::new("period", period, Constraint::Positive)?,
            lengthscale: Parameter::new("lengthscale", lengthscale, Constraint::Positive)?,
        })
    }

    /// The lengthscale on the circle.
    pub fn lengthscale(&self) -> f64 {
        self.lengthscale.value()
    }

    /// The period: one, or one for each dimension.
    pub fn period(&self) -> &[f64] {
        self.period.values()
    }
}

impl Radial for RadialPeriodic {
    type Profile<T: Scalar> = RadialPeriodicProfile<T>;
    const SCALE: &'static str = "period";

    fn lengthscale(&self) -> &PerDimension {
        &self.period
    }

    fn profile<T: Scalar>(&self) -> RadialPeriodicProfile<T> {
        let lengthscale = self.lengthscale.value();
        RadialPeriodicProfile { inverse_square: inverse_square(lengthscale), inverse: T::from_f64(1.0 / lengthscale) }
    }

    fn psd(&self) -> Psd {
        Psd::UpTo(1)
    }

    fn written_last(&self) -> &'static [&'static str] {
        &["period"]
    }
}

/// √s, and the part of it that whole turns leave over.
#[inline(always)]
fn turns<T: Scalar, L: Lanes<T>>(s: L) -> (L, L) {
    let turns = s.sqrt();
    (turns, turns - turns.floor())
}

/// sin(2π√s)/√s, with its limit at 0.
#[inline(always)]
fn sine_over_root<T: Scalar, L: Lanes<T>>(s: L) -> L {
    let (root, part) = turns(s);
    let ratio = (part * std::f64::consts::TAU).sin() / root;
    s.if_equal(s.all(T::from_f64(0.0)), s.all(T::TAU()), ratio)
}

/// exp(−2 sin²(π√s)/ℓ²)
#[derive(Clone, Copy, Debug)]
pub struct RadialPeriodicProfile<T> {
    /// 1/ℓ², finite.
    inverse_square: T,
    inverse: T,
}

impl<T: Scalar> RadialPeriodicProfile<T> {
    /// sin²(π√s)/ℓ²
    #[inline(always)]
    fn scaled<L: Lanes<T>>(self, s: L) -> L {
        let sine = (turns(s).1 * std::f64::consts::PI).sin();
        sine * sine * s.all(self.inverse_square)
    }
}

/// The value where it is finite, else the largest number of its sign; NaN for NaN.
#[inline(always)]
fn finite<T: Scalar, L: Lanes<T>>(value: L) -> L {
    let largest = <T as num_traits::Float>::max_value();
    -(-value.at_most(largest)).at_most(largest)
}

impl<T: Scalar> Profile<T> for RadialPeriodicProfile<T> {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        self.scaled(s).decay(2.0)
    }

    // dk/d√s = −2π sin(2π√s)/ℓ² k, and d√s/ds = 1/(2√s).
    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, value: L) -> L {
        finite(sine_over_root(s) * -std::f64::consts::PI * (value * s.all(self.inverse_square)))
    }

    // 4 sin²(π√s)/ℓ³ k
    #[inline(always)]
    fn shape_slope<L: Lanes<T>>(self, s: L, value: L) -> Option<L> {
        Some(finite(self.scaled(s) * value * 4.0 * s.all(self.inverse)))
    }
}

crate::kernel! {
    /// The cosine of the Euclidean distance, as GPyTorch and others define it. In more than one dimension you
    /// want [`Cosine`](super::Cosine).
    ///
    /// # Definition
    ///
    /// k(x, y) = cos(2π r), with r² = Σ_d (x_d − y_d)²/p_d²
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `period` | p | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary, isotropic with one period; smooth. Positive semi-definite in one dimension only, where it
    /// is [`Cosine`](super::Cosine): in more, models refuse it unless told to allow indefinite kernels.
    /// Unlike `Cosine`, it loses digits over many periods, because it sees nothing but the distance.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = RadialCosine::new(30.0);
    /// let value: f64 = kernel.eval(&[0.0, 0.0], &[3.0, 4.0])?;
    /// assert!((value - 0.5).abs() < 1e-15);
    /// assert_eq!((2.0 * kernel.clone() + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    /// assert_eq!(kernel.properties().psd, Psd::UpTo(1));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub RadialCosine as "radial_cosine" {
        /// The period: one, or one for each dimension.
        period: PerDimension = Positive,
    }
}

impl Radial for RadialCosine {
    type Profile<T: Scalar> = RadialCosineProfile;
    const SCALE: &'static str = "period";

    fn lengthscale(&self) -> &PerDimension {
        &self.period
    }

    fn profile<T: Scalar>(&self) -> RadialCosineProfile {
        RadialCosineProfile
    }

    fn psd(&self) -> Psd {
        Psd::UpTo(1)
    }
}

/// cos(2π√s)
#[derive(Clone, Copy, Debug)]
pub struct RadialCosineProfile;

impl<T: Scalar> Profile<T> for RadialCosineProfile {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        (turns(s).1 * std::f64::consts::TAU).cos()
    }

    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, _: L) -> L {
        sine_over_root(s) * -std::f64::consts::PI
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::radial::{shape_slope_at, slope_at};
    use crate::prelude::*;

    #[test]
    fn closed_forms() {
        let (x, y) = ([1.0, 1.0], [2.0, 5.0]);
        let r = (1.0 / 9.0 + 16.0 / 49.0f64).sqrt();
        let periodic: f64 = RadialPeriodic::new(0.7, [3.0, 7.0]).eval(&x, &y).unwrap();
        let sine = (std::f64::consts::PI * r).sin();
        assert!((periodic - (-2.0 * sine * sine / 0.49f64).exp()).abs() < 1e-16);
        let cosine: f64 = RadialCosine::new([3.0, 7.0]).eval(&x, &y).unwrap();
        assert!((cosine - (std::f64::consts::TAU * r).cos()).abs() < 4e-16);
    }

    #[test]
    fn one_dimension_is_as_without_the_norm() {
        let (x, y) = ([0.3], [2.0]);
        let radial: f64 = RadialPeriodic::new(0.7, 1.3).eval(&x, &y).unwrap();
        let periodic: f64 = Periodic::new(0.7, 1.3).eval(&x, &y).unwrap();
        assert!((radial - periodic).abs() < 2e-15);
        let radial: f64 = RadialCosine::new(1.3).eval(&x, &y).unwrap();
        let cosine: f64 = Cosine::new(1.3).eval(&x, &y).unwrap();
        assert!((radial - cosine).abs() < 2e-15);
    }

    #[test]
    fn slopes_have_limits_at_coincident_points() {
        let near = slope_at(RadialCosineProfile, 1e-12, 1.0);
        let at: f64 = slope_at(RadialCosineProfile, 0.0, 1.0);
        assert!((at - near).abs() < 1e-9 && (at + 2.0 * std::f64::consts::PI.powi(2)).abs() < 1e-14);
        let profile: RadialPeriodicProfile<f64> = RadialPeriodic::new(0.5, 1.0).profile();
        assert!((slope_at(profile, 0.0, 1.0) + 8.0 * std::f64::consts::PI.powi(2)).abs() < 1e-13);
        assert_eq!(shape_slope_at(profile, 0.0, 1.0), Some(0.0));
    }
}
