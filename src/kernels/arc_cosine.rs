//! The arc-cosine kernels.

use std::f64::consts::FRAC_1_PI;

use super::dot_product::versines;
use super::{DotProduct, DotProfile, Reads, Slopes};
use crate::kernel::{Arguments, Construct, Psd};
use crate::params::{Constraint, Parameter, Parameterized, Visitor, VisitorMut};
use crate::simd::Lanes;
use crate::{Error, Result, Scalar, dot_product_kernel, kernel_ops};

/// The arc-cosine kernel: the covariance of an infinitely wide layer of units max(0, wᵀx)ⁿ with
/// Gaussian weights.
///
/// # Definition
///
/// k(x, y) = 1/π (|x̃| |ỹ|)ⁿ Jₙ(θ), where x̃ᵀỹ = w xᵀy + b, |x̃|² = w |x|² + b, θ is the angle between x̃ and
/// ỹ, and
///
/// - J₀ = π − θ
/// - J₁ = sin θ + (π − θ) cos θ
/// - J₂ = 3 sin θ cos θ + (π − θ) (1 + 2 cos² θ)
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `weight_variance` | w | one over that of the inputs squared | positive |
/// | `bias_variance` | b | none | positive; absent (b = 0) unless given |
///
/// The order n, 0 to 2, is part of the expression. In text, `weight_variance` is 1 if it is left out.
///
/// # Properties
///
/// Not stationary; positive semi-definite in any dimension. Samples of order 0 are as rough as
/// Brownian motion, those of order n are differentiable n times. Order 0 without a bias is zonal, and does not
/// depend on w.
///
/// Angles come from the difference of directions, so that they are exact for the closest points and
/// the most nearly opposite ones. Limits: at
/// θ = 0, k = (|x̃| |ỹ|)ⁿ (1, 1 and 3 for the three orders) and dJₙ/d cos θ is π (n = 1) and 4π
/// (n = 2); at θ = π, value and slope are 0 for n = 1 and 2. For n = 0, J₀ has a kink at 0 and π, where its slope
/// is taken as 0. A zero vector x̃ has the direction of the first axis and the gradient 0.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = ArcCosine::new(1, 1.0);
/// // At a right angle, J₁ = 1.
/// let value: f64 = kernel.eval(&[2.0, 0.0], &[0.0, 3.0])?;
/// assert!((value - 6.0 / std::f64::consts::PI).abs() < 1e-15);
/// let value: f64 = kernel.clone().with_bias(0.5).eval(&[2.0], &[2.0])?;
/// assert!((value - 4.5).abs() < 1e-14);
/// assert_eq!((kernel + 1.0).to_string(), "arc_cosine(order=1, weight_variance=1) + constant(value=1)");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Y. Cho & L. K. Saul (2009), "Kernel methods for deep learning", *Advances in Neural Information
/// Processing Systems* 22, 342–350, eq. 1 to 6. Weight and bias variances as in GPflow.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "NNGP")]
pub struct ArcCosine {
    order: u32,
    weight_variance: Parameter,
    bias_variance: Option<Parameter>,
}

kernel_ops!(ArcCosine);
dot_product_kernel!(ArcCosine);

impl ArcCosine {
    /// The kernel of an order with a weight variance, without a bias.
    ///
    /// # Panics
    ///
    /// If the order is beyond 2 or the variance not positive and finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(order: u32, weight_variance: f64) -> Self {
        crate::error::literal(Self::try_new(order, weight_variance, None))
    }

    /// The kernel of an order with a weight variance and, if wanted, a bias variance.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the order is beyond 2; [`Error::Parameter`] if a variance is not
    /// positive and finite.
    pub fn try_new(order: u32, weight_variance: f64, bias_variance: Option<f64>) -> Result<Self> {
        if order > 2 {
            return Err(Error::setting("the order of an arc-cosine kernel", order, "must be 0, 1 or 2"));
        }
        let positive = |name, value| Parameter::new(name, value, Constraint::Positive);
        Ok(Self {
            order,
            weight_variance: positive("weight_variance", weight_variance)?,
            bias_variance: bias_variance.map(|value| positive("bias_variance", value)).transpose()?,
        })
    }

    /// Sets the variance of the bias.
    ///
    /// # Panics
    ///
    /// If it is not positive and finite; the checked form is [`try_new`](Self::try_new).
    #[must_use]
    #[track_caller]
    pub fn with_bias(self, bias_variance: f64) -> Self {
        crate::error::literal(Self::try_new(self.order, self.weight_variance(), Some(bias_variance)))
    }

    /// The order n.
    pub fn order(&self) -> u32 {
        self.order
    }

    /// The weight variance w.
    pub fn weight_variance(&self) -> f64 {
        self.weight_variance.value()
    }

    /// The bias variance b, if there is one.
    pub fn bias_variance(&self) -> Option<f64> {
        self.bias_variance.as_ref().map(Parameter::value)
    }
}

impl Parameterized for ArcCosine {
    fn name(&self) -> &str {
        "arc_cosine"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.parameter(self.weight_variance.view("weight_variance"));
        if let Some(bias) = &self.bias_variance {
            visitor.parameter(bias.view("bias_variance"));
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.parameter(self.weight_variance.view_mut("weight_variance"));
        if let Some(bias) = &mut self.bias_variance {
            visitor.parameter(bias.view_mut("bias_variance"));
        }
    }
}

impl Construct for ArcCosine {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["order", "weight_variance", "bias_variance"])?;
        let order = arguments.take("order")?;
        let weight_variance = arguments.take_optional("weight_variance")?.unwrap_or(1.0);
        Self::try_new(order, weight_variance, arguments.take_optional("bias_variance")?)
    }
}

impl DotProduct for ArcCosine {
    type Profile<T: Scalar> = ArcCosineProfile;

    fn profile<T: Scalar>(&self) -> ArcCosineProfile {
        ArcCosineProfile { order: self.order }
    }

    fn reads(&self) -> Reads {
        Reads::SquaredChord { weight: self.weight_variance(), bias: self.bias_variance() }
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }

    fn zonal(&self) -> bool {
        self.order == 0 && self.bias_variance.is_none()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("order", self.order.to_string())]
    }
}

/// The arc-cosine kernel as a function of the squared chord and the lengths.
#[derive(Clone, Copy, Debug)]
pub struct ArcCosineProfile {
    order: u32,
}

/// π − θ, sin θ and cos θ, from 1 − cos θ and 1 + cos θ: tan(θ/2) is the root of their quotient.
#[inline(always)]
fn angle<T: Scalar, L: Lanes<T>>((less, more): (L, L)) -> (L, L, L) {
    let zero = less.all(T::from_f64(0.0));
    // Below 0 by rounding alone.
    let more = more.if_less(zero, zero, more);
    let (across, along) = (less.sqrt(), more.sqrt());
    (along.atan2(across) * 2.0, across * along, -less + 1.0)
}

impl ArcCosineProfile {
    /// lengthⁿ
    #[inline(always)]
    fn power<T: Scalar, L: Lanes<T>>(self, length: L) -> L {
        match self.order {
            0 => length.all(T::from_f64(1.0)),
            1 => length,
            _ => length * length,
        }
    }

    /// Jₙ/π
    #[inline(always)]
    fn angular<T: Scalar, L: Lanes<T>>(self, (rest, sin, cos): (L, L, L)) -> L {
        let j = match self.order {
            0 => rest,
            1 => sin + rest * cos,
            _ => sin * 3.0 * cos + rest * (cos * 2.0 * cos + 1.0),
        };
        j * FRAC_1_PI
    }

    /// dJₙ/dh/π, for h = 1 − cos θ: of dJₙ/dθ = (−1, −(π − θ) sin θ, −4 sin² θ − 4 (π − θ) sin θ cos θ), over dh/dθ = sin θ.
    /// `more` is 1 + cos θ.
    #[inline(always)]
    fn angular_slope<T: Scalar, L: Lanes<T>>(self, more: L, (rest, sin, cos): (L, L, L)) -> L {
        let slope = match self.order {
            0 => {
                let zero = sin.all(T::from_f64(0.0));
                let slope = sin.if_equal(zero, zero, -sin.recip());
                // Closer to the kink at π than directions are known, the slope would be rounding.
                let epsilon = sin.all(<T as num_traits::Float>::epsilon());
                more.if_less(epsilon * epsilon, zero, slope)
            }
            1 => -rest,
            _ => (sin + rest * cos) * -4.0,
        };
        slope * FRAC_1_PI
    }
}

impl<T: Scalar> DotProfile<T> for ArcCosineProfile {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, pair: L, x: L, y: L) -> L {
        self.angular(angle(versines(pair))) * (self.power(x) * self.power(y))
    }

    #[inline(always)]
    fn slopes<L: Lanes<T>>(self, pair: L, x: L, y: L, _: L) -> Slopes<L> {
        let versines = versines(pair);
        let angle = angle(versines);
        let (px, py) = (self.power(x), self.power(y));
        let angular = self.angular(angle);
        let zero = pair.all(T::from_f64(0.0));
        let [in_x, in_y] = match self.order {
            0 => [zero; 2],
            1 => [angular * py, angular * px],
            _ => [angular * 2.0 * x * py, angular * 2.0 * y * px],
        };
        Slopes { pair: self.angular_slope(versines.1, angle) * 0.5 * (px * py), x: in_x, y: in_y, theta: [zero; 3] }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use std::f64::consts::PI;

    #[test]
    fn closed_forms_at_sixty_degrees() {
        let (x, y) = ([2.0, 0.0], [0.5, 0.75f64.sqrt()]);
        let (sin, cos, rest) = (0.75f64.sqrt(), 0.5, 2.0 * PI / 3.0);
        let expected = [rest / PI, 2.0 * (sin + rest * cos) / PI, 4.0 * (3.0 * sin * cos + 1.5 * rest) / PI];
        for (order, expected) in (0..).zip(expected) {
            let value: f64 = ArcCosine::new(order, 1.0).eval(&x, &y).unwrap();
            assert!((value - expected).abs() < 1e-14, "{order}: {value}");
        }
    }

    #[test]
    fn a_bias_is_one_more_coordinate() {
        let value: f64 = ArcCosine::new(1, 0.7).with_bias(0.3).eval(&[1.2, -0.4], &[0.5, 2.0]).unwrap();
        let (w, b) = (0.7f64.sqrt(), 0.3f64.sqrt());
        let longer: f64 = ArcCosine::new(1, 1.0).eval(&[1.2 * w, -0.4 * w, b], &[0.5 * w, 2.0 * w, b]).unwrap();
        assert!((value - longer).abs() < 1e-15);
    }

    #[test]
    fn order_0_keeps_its_digits_at_both_ends() {
        let value: f64 = ArcCosine::new(0, 1.0).eval(&[1.0, 0.0], &[1.0, 1e-9]).unwrap();
        assert!((1.0 - value - 1e-9 / PI).abs() < 2e-16);
        let value: f64 = ArcCosine::new(0, 1.0).eval(&[1.0, 0.0], &[-1.0, 1e-9]).unwrap();
        assert!((value - 1e-9 / PI).abs() < 1e-24);
    }
}
