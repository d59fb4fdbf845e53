//! A change from one kernel to another.

use super::gated::{Gate, GateCurve, Gated, Sigmoid};
use crate::kernel::{Arguments, Construct};
use crate::{DynKernel, Result};

/// A change from one kernel to another, over some width around a location: what
/// [`change_point`](crate::algebra::Compose::change_point) makes.
///
/// # Definition
///
/// k(x, y) = (1 − s(x)) a(x, y) (1 − s(y)) + s(x) b(x, y) s(y), s(x) = 1/(1 + exp(−(x_d − c)/w))
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `location` | c | that of input dimension d | any finite number |
/// | `width` | w | that of input dimension d | positive |
///
/// Then those of a and of b. The dimension d is part of the expression: the first, unless
/// [`in_dimension`](Self::in_dimension) says another.
///
/// # Properties
///
/// Positive semi-definite where a and b are, as the covariance of (1 − s) f_a + s f_b; not stationary.
/// The sigmoid is evaluated once for each point. It goes from 0.12 to 0.88 between c − 2 w and c + 2 w.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// // Smooth before 3, rough after.
/// let kernel = Rbf::new(1.0).change_point(0.5 * Matern12::new(0.2), 3.0, 0.1);
/// let value = |x: f64, y: f64| kernel.eval(&[x], &[y]);
/// assert!((value(0.0, 1.0)? - (-0.5f64).exp()).abs() < 1e-8);
/// assert!((value(5.0, 5.2)? - 0.5 * (-1.0f64).exp()).abs() < 1e-8);
/// assert!(value(0.0, 6.0)?.abs() < 1e-8);
/// assert_eq!(
///     (kernel + 0.1).to_string(),
///     "change_point(rbf(lengthscale=1), 0.5 * matern12(lengthscale=0.2), location=3, width=0.1) + constant(value=0.1)",
/// );
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Lloyd, Duvenaud, Grosse, Tenenbaum & Ghahramani (2014), "Automatic construction and
/// natural-language description of nonparametric regression models", AAAI, appendix A.
pub type ChangePoint<A, B> = Gated<Step, A, B>;

crate::declare! {
    /// g(x) = 1/(1 + exp(−(x_d − c)/w))
    pub Step as "change_point" {
        /// Where s is ½.
        location: Scalar = Real,
        /// The width of the change.
        width: Scalar = Positive,
        state dim: usize,
    }
}

/// The sigmoid of a [`Step`] at its present parameters.
///
/// # Examples
///
/// ```
/// use mercer::combine::{Gate, GateCurve, StepCurve};
/// use mercer::prelude::*;
///
/// let curve: StepCurve = Rbf::new(1.0).change_point(Rbf::new(0.1), 3.0, 0.5).gate().curve();
/// // One width after the change.
/// let [before, after] = curve.weights::<false>(3.5);
/// assert!((after - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-15 && (before + after - 1.0).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StepCurve {
    location: f64,
    width: f64,
}

impl GateCurve for StepCurve {
    #[inline(always)]
    fn weights<const FMA: bool>(self, x: f64) -> [f64; 2] {
        let sigmoid = Sigmoid::at(x, self.location, self.width);
        [sigmoid.complement::<FMA>(), sigmoid.value::<FMA>()]
    }

    #[inline(always)]
    fn slopes<const FMA: bool>(self, x: f64) -> (f64, [f64; 3]) {
        let sigmoid = Sigmoid::at(x, self.location, self.width);
        let slope = sigmoid.slope::<FMA>();
        (slope, [-slope, sigmoid.in_width::<FMA>(), 0.0])
    }
}

impl Gate for Step {
    type Curve = StepCurve;

    fn dim(&self) -> usize {
        self.dim
    }

    fn curve(&self) -> StepCurve {
        StepCurve { location: self.location(), width: self.width() }
    }
}

impl<A, B> ChangePoint<A, B> {
    /// The change from `before` to `after`.
    ///
    /// # Panics
    ///
    /// If the location is not finite, or the width not positive and finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(before: A, after: B, location: f64, width: f64) -> Self {
        crate::error::literal(Self::try_new(before, after, location, width))
    }

    /// The change from `before` to `after`.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the location is not finite, or the width not
    /// positive and finite.
    pub fn try_new(before: A, after: B, location: f64, width: f64) -> Result<Self> {
        Ok(Self::of(Step::try_new(location, width)?, before, after))
    }

    /// The same change, along another dimension of the points than the first.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Constant::new(1.0).change_point(Constant::new(9.0), 0.0, 0.1).in_dimension(1);
    /// assert_eq!(kernel.eval(&[100.0, -100.0], &[100.0, -100.0])?, 1.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn in_dimension(mut self, dim: usize) -> Self {
        self.gate_mut().dim = dim;
        self
    }
}

impl Construct for ChangePoint<DynKernel, DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["before", "after", "location", "width", "dim"])?;
        let (before, after): (DynKernel, DynKernel) = (arguments.take("before")?, arguments.take("after")?);
        let (location, width) = (arguments.take("location")?, arguments.take("width")?);
        let dim = arguments.take_optional("dim")?.unwrap_or(0);
        Ok(Self::try_new(before, after, location, width)?.in_dimension(dim))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let (a, b) = (Rbf::new(0.7), Linear::new(0.4));
        let kernel = a.clone().change_point(b.clone(), 0.3, 0.5).in_dimension(1);
        let (x, y) = ([0.2, -0.6], [1.1, 0.9]);
        let s = |x: f64| 1.0 / (1.0 + (-(x - 0.3) / 0.5).exp());
        let (sx, sy) = (s(x[1]), s(y[1]));
        let [a, b]: [f64; 2] = [a.eval(&x, &y).unwrap(), b.eval(&x, &y).unwrap()];
        let expected = (1.0 - sx) * a * (1.0 - sy) + sx * b * sy;
        let value: f64 = kernel.eval(&x, &y).unwrap();
        assert!((value - expected).abs() < 4e-16);
    }

    #[test]
    fn both_tails_keep_their_digits() {
        let kernel = Constant::new(1.0).change_point(Constant::new(1.0), 0.0, 1.0);
        // At −40 the second weight is e⁻⁴⁰, and at +40 the first.
        let across: f64 = kernel.eval(&[-40.0], &[40.0]).unwrap();
        assert!((across / (2.0 * (-40.0f64).exp()) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn a_dimension_that_is_not_there_is_named() {
        let kernel = Rbf::new(1.0).change_point(Rbf::new(2.0), 0.0, 1.0).in_dimension(2);
        let error = kernel.eval(&[1.0, 2.0], &[1.0, 2.0]).unwrap_err().to_string();
        assert!(error.contains("dim=2") && error.contains("reads dimension 2"), "{error}");
    }
}
