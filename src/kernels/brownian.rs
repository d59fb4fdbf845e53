//! Brownian motion and its fractional form.

use super::variance::variance_kernel;
use super::{DotProduct, DotProfile, Reads, Slopes};
use crate::kernel::Psd;
use crate::params::{Constraint, Parameter};
use crate::{Result, Scalar, construct, dot_product_kernel, kernel_ops, parameterized};

/// Brownian motion that is 0 at the origin, to both sides of it; in more than one dimension, Lévy's.
///
/// # Definition
///
/// k(x, y) = σ²/2 (|x| + |y| − |x − y|), which is σ² min(x, y) for positive numbers.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `variance` | σ² | that of the outputs squared, over that of the inputs | positive |
///
/// # Properties
///
/// Not stationary, but of stationary increments: E (f(x) − f(y))² = σ² |x − y|. Samples are continuous
/// and nowhere differentiable; positive semi-definite in any dimension (Lévy 1965). The kinks at x = y and at
/// the origin have no derivative: the gradient of |x − y| and of |x| is 0 there.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Brownian::new(2.0);
/// assert_eq!(kernel.eval(&[1.5], &[4.0])?, 3.0);
/// assert_eq!(kernel.eval(&[-1.5], &[4.0])?, 0.0);
/// // Started at a random height.
/// assert_eq!((kernel + 0.5).eval(&[1.5], &[4.0])?, 3.5);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// P. Lévy (1965), *Processus stochastiques et mouvement brownien*, second edition, Gauthier-Villars.
#[derive(Clone, Debug, PartialEq)]
pub struct Brownian {
    variance: Parameter,
}

variance_kernel!(Brownian as "brownian");
dot_product_kernel!(Brownian);

impl DotProduct for Brownian {
    type Profile<T: Scalar> = BrownianProfile<T>;

    fn profile<T: Scalar>(&self) -> BrownianProfile<T> {
        BrownianProfile { variance: T::from_f64(self.variance()) }
    }

    fn reads(&self) -> Reads {
        Reads::SquaredDistance
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }
}

/// Brownian motion as a function of r², |x| and |y|.
#[derive(Clone, Copy, Debug)]
pub struct BrownianProfile<T> {
    variance: T,
}

/// `slope`, or 0 where its argument is 0; NaN for NaN.
#[inline(always)]
fn unless_zero<T: Scalar>(argument: T, slope: T) -> T {
    if argument == T::from_f64(0.0) { T::from_f64(0.0) } else { slope }
}

impl<T: Scalar> DotProfile<T> for BrownianProfile<T> {
    fn point(self, squared_norm: T) -> T {
        num_traits::Float::sqrt(squared_norm)
    }

    fn point_slopes(self, squared_norm: T, feature: T) -> (T, [T; 3]) {
        (unless_zero(squared_norm, T::from_f64(0.5) / feature), [T::from_f64(0.0); 3])
    }

    #[inline(always)]
    fn value<const FMA: bool>(self, pair: T, x: T, y: T) -> T {
        T::from_f64(0.5) * self.variance * (x + y - num_traits::Float::sqrt(pair))
    }

    #[inline(always)]
    fn slopes<const FMA: bool>(self, pair: T, _: T, _: T, value: T) -> Slopes<T> {
        let (zero, half) = (T::from_f64(0.0), T::from_f64(0.5) * self.variance);
        let in_pair = unless_zero(pair, T::from_f64(-0.5) * half / num_traits::Float::sqrt(pair));
        Slopes { pair: in_pair, x: half, y: half, theta: [value / self.variance, zero, zero] }
    }
}

/// Fractional Brownian motion that is 0 at the origin; in more than one dimension, Lévy's.
///
/// # Definition
///
/// k(x, y) = σ²/2 (|x|²ᴴ + |y|²ᴴ − |x − y|²ᴴ)
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `variance` | σ² | that of the outputs squared, over that of the inputs to the power 2H | positive |
/// | `hurst` | H | none | between 0 and 1 |
///
/// # Properties
///
/// Not stationary, but of stationary increments: E (f(x) − f(y))² = σ² |x − y|²ᴴ. Samples are
/// Hölder-continuous of every order below H; H = 1/2 is [`Brownian`]. Increments are positively
/// correlated for H > 1/2. Positive semi-definite in any dimension, because |x − y|²ᴴ is
/// conditionally negative definite for H ≤ 1. At x = y and at the origin, where there is no derivative
/// for H ≤ 1/2, gradients are 0.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = FractionalBrownian::new(2.0, 0.75);
/// let expected = 4f64.powf(1.5) + 1.0 - 3f64.powf(1.5);
/// assert!((kernel.eval(&[4.0], &[1.0])? - expected).abs() < 1e-14);
/// assert!(((0.5 * kernel).eval(&[4.0], &[1.0])? - 0.5 * expected).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// B. B. Mandelbrot & J. W. Van Ness (1968), "Fractional Brownian motions, fractional noises and
/// applications", *SIAM Review* 10(4), 422–437.
#[derive(Clone, Debug, PartialEq)]
pub struct FractionalBrownian {
    variance: Parameter,
    hurst: Parameter,
}

parameterized!(FractionalBrownian as "fractional_brownian", parameters: [variance, hurst]);
kernel_ops!(FractionalBrownian);
construct!(FractionalBrownian: try_new(variance: f64, hurst: f64));
dot_product_kernel!(FractionalBrownian);

impl FractionalBrownian {
    /// The kernel with a variance and a Hurst index.
    ///
    /// # Panics
    ///
    /// If the variance is not positive and finite, or the index not between 0 and 1; the checked form
    /// is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(variance: f64, hurst: f64) -> Self {
        crate::error::literal(Self::try_new(variance, hurst))
    }

    /// The kernel with a variance and a Hurst index.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the variance is not positive and finite, or
    /// the index not between 0 and 1.
    pub fn try_new(variance: f64, hurst: f64) -> Result<Self> {
        Ok(Self {
            variance: Parameter::new("variance", variance, Constraint::Positive)?,
            hurst: Parameter::new("hurst", hurst, Constraint::Interval { lower: 0.0, upper: 1.0 })?,
        })
    }

    /// The variance σ².
    pub fn variance(&self) -> f64 {
        self.variance.value()
    }

    /// The Hurst index H.
    pub fn hurst(&self) -> f64 {
        self.hurst.value()
    }
}

impl DotProduct for FractionalBrownian {
    type Profile<T: Scalar> = FractionalBrownianProfile<T>;

    fn profile<T: Scalar>(&self) -> FractionalBrownianProfile<T> {
        FractionalBrownianProfile { variance: T::from_f64(self.variance()), hurst: T::from_f64(self.hurst()) }
    }

    fn reads(&self) -> Reads {
        Reads::SquaredDistance
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }
}

/// Fractional Brownian motion as a function of r², |x|²ᴴ and |y|²ᴴ. Not vectorised: the power is the
/// standard library's.
#[derive(Clone, Copy, Debug)]
pub struct FractionalBrownianProfile<T> {
    variance: T,
    hurst: T,
}

impl<T: Scalar> DotProfile<T> for FractionalBrownianProfile<T> {
    fn point(self, squared_norm: T) -> T {
        num_traits::Float::powf(squared_norm, self.hurst)
    }

    fn point_slopes(self, squared_norm: T, feature: T) -> (T, [T; 3]) {
        let zero = T::from_f64(0.0);
        let in_norm = unless_zero(squared_norm, self.hurst * feature / squared_norm);
        let in_hurst = unless_zero(squared_norm, feature * num_traits::Float::ln(squared_norm));
        (in_norm, [zero, in_hurst, zero])
    }

    #[inline(always)]
    fn value<const FMA: bool>(self, pair: T, x: T, y: T) -> T {
        T::from_f64(0.5) * self.variance * (x + y - pair.lane_pow::<FMA>(self.hurst))
    }

    #[inline(always)]
    fn slopes<const FMA: bool>(self, pair: T, _: T, _: T, value: T) -> Slopes<T> {
        let half = T::from_f64(0.5) * self.variance;
        let zero = T::from_f64(0.0);
        // Gradients need no more digits of the power than the logarithm gives.
        let log = pair.lane_ln::<FMA>();
        let power = (self.hurst * log).lane_exp::<FMA>();
        let in_power = unless_zero(pair, self.hurst * power / pair);
        let in_hurst = unless_zero(pair, power * log);
        Slopes { pair: -half * in_power, x: half, y: half, theta: [value / self.variance, -half * in_hurst, zero] }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn one_sided_brownian_motion_is_the_minimum() {
        let x = mat![[0.0], [0.25], [1.5], [7.0]];
        let gram: Mat<f64> = Brownian::new(3.0).gram(x.as_ref()).unwrap();
        assert_eq!(gram, Mat::from_fn(4, 4, |i, j| 3.0 * x[(i.min(j), 0)]));
    }

    #[test]
    fn index_one_half_is_brownian_motion() {
        let x = mat![[0.0, 0.0], [0.25, -1.0], [1.5, 0.3], [-7.0, 2.0]];
        let gram: Mat<f64> = Brownian::new(0.8).gram(x.as_ref()).unwrap();
        let fractional: Mat<f64> = FractionalBrownian::new(0.8, 0.5).gram(x.as_ref()).unwrap();
        assert!((&gram - &fractional).norm_max() < 1e-14);
    }
}
