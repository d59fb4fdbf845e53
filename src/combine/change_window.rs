//! A change to another kernel and back.

use super::gated::{Gate, GateCurve, Gated, Sigmoid};
use crate::kernel::{Arguments, Construct};
use crate::{DynKernel, Result};

/// A change from one kernel to another and back: what
/// [`change_window`](crate::algebra::Compose::change_window) makes.
///
/// # Definition
///
/// k(x, y) = (1 − g(x)) a(x, y) (1 − g(y)) + g(x) b(x, y) g(y), g(x) = s((x_d − c₁)/w) s((c₂ − x_d)/w),
/// s(u) = 1/(1 + exp(−u))
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `start` | c₁ | that of input dimension d | any finite number |
/// | `stop` | c₂ | that of input dimension d | any finite number |
/// | `width` | w | that of input dimension d | positive |
///
/// Then those of a (outside the window) and of b (inside). The dimension d is part of the expression:
/// the first, unless [`in_dimension`](Self::in_dimension) says another. Where the window is not much
/// wider than w, or stops before it starts, g stays below 1 everywhere.
///
/// # Properties
///
/// Positive semi-definite where a and b are, as the covariance of (1 − g) f_a + g f_b; not stationary.
/// The window is evaluated once for each point.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Constant::new(1.0).change_window(Constant::new(9.0), 2.0, 4.0, 0.01);
/// let variance = |x: f64| kernel.eval(&[x], &[x]);
/// assert!((variance(3.0)? - 9.0).abs() < 1e-12);
/// assert!((variance(0.0)? - 1.0).abs() < 1e-12 && (variance(6.0)? - 1.0).abs() < 1e-12);
/// assert_eq!(
///     kernel.on([1]).to_string(),
///     "on(change_window(constant(value=1), constant(value=9), start=2, stop=4, width=0.01), [1])",
/// );
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Lloyd, Duvenaud, Grosse, Tenenbaum & Ghahramani (2014), "Automatic construction and
/// natural-language description of nonparametric regression models", AAAI, appendix A.
pub type ChangeWindow<A, B> = Gated<Window, A, B>;

crate::declare! {
    /// g(x) = s((x_d − c₁)/w) s((c₂ − x_d)/w)
    pub Window as "change_window" {
        /// Where the window begins.
        start: Scalar = Real,
        /// Where the window ends.
        stop: Scalar = Real,
        /// The width of the two changes.
        width: Scalar = Positive,
        state dim: usize,
    }
}

/// The function of a [`Window`] at its present parameters.
///
/// # Examples
///
/// ```
/// use mercer::combine::{Gate, GateCurve, WindowCurve};
/// use mercer::prelude::*;
///
/// let curve: WindowCurve = Rbf::new(1.0).change_window(Rbf::new(0.1), 2.0, 4.0, 0.1).gate().curve();
/// let inside = |x| curve.weights::<false>(x)[1];
/// assert!((inside(2.0) - 0.5).abs() < 1e-8 && (inside(3.0) - 1.0).abs() < 1e-4 && inside(5.0) < 1e-4);
/// // As it begins, so it ends.
/// assert!((curve.slopes::<false>(2.1).0 + curve.slopes::<false>(3.9).0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WindowCurve {
    start: f64,
    stop: f64,
    width: f64,
}

impl WindowCurve {
    /// The sigmoids at the beginning and at the end, both rising: g = s₁ (1 − s₂).
    #[inline(always)]
    fn sigmoids(self, x: f64) -> [Sigmoid; 2] {
        [Sigmoid::at(x, self.start, self.width), Sigmoid::at(x, self.stop, self.width)]
    }
}

impl GateCurve for WindowCurve {
    #[inline(always)]
    fn weights<const FMA: bool>(self, x: f64) -> [f64; 2] {
        let [start, stop] = self.sigmoids(x);
        let (after_start, after_stop) = (start.value::<FMA>(), stop.value::<FMA>());
        // 1 − s₁ (1 − s₂) = (1 − s₁) + s₁ s₂
        [start.complement::<FMA>() + after_start * after_stop, after_start * stop.complement::<FMA>()]
    }

    #[inline(always)]
    fn slopes<const FMA: bool>(self, x: f64) -> (f64, [f64; 3]) {
        let [start, stop] = self.sigmoids(x);
        let (after_start, before_stop) = (start.value::<FMA>(), stop.complement::<FMA>());
        let (at_start, at_stop) = (start.slope::<FMA>() * before_stop, after_start * stop.slope::<FMA>());
        let in_width = start.in_width::<FMA>() * before_stop - after_start * stop.in_width::<FMA>();
        (at_start - at_stop, [-at_start, at_stop, in_width])
    }
}

impl Gate for Window {
    type Curve = WindowCurve;

    fn dim(&self) -> usize {
        self.dim
    }

    fn curve(&self) -> WindowCurve {
        WindowCurve { start: self.start(), stop: self.stop(), width: self.width() }
    }
}

impl<A, B> ChangeWindow<A, B> {
    /// The kernel `inside` between two places, `outside` elsewhere.
    ///
    /// # Panics
    ///
    /// If a place is not finite, or the width not positive and finite; the checked form is
    /// [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(outside: A, inside: B, start: f64, stop: f64, width: f64) -> Self {
        crate::error::literal(Self::try_new(outside, inside, start, stop, width))
    }

    /// The kernel `inside` between two places, `outside` elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if a place is not finite, or the width not
    /// positive and finite.
    pub fn try_new(outside: A, inside: B, start: f64, stop: f64, width: f64) -> Result<Self> {
        Ok(Self::of(Window::try_new(start, stop, width)?, outside, inside))
    }

    /// The same window, along another dimension of the points than the first.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Constant::new(1.0).change_window(Constant::new(9.0), 0.0, 2.0, 0.01).in_dimension(1);
    /// let variance: f64 = kernel.eval(&[50.0, 1.0], &[50.0, 1.0])?;
    /// assert!((variance - 9.0).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn in_dimension(mut self, dim: usize) -> Self {
        self.gate_mut().dim = dim;
        self
    }
}

impl Construct for ChangeWindow<DynKernel, DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["outside", "inside", "start", "stop", "width", "dim"])?;
        let (outside, inside): (DynKernel, DynKernel) = (arguments.take("outside")?, arguments.take("inside")?);
        let (start, stop) = (arguments.take("start")?, arguments.take("stop")?);
        let width = arguments.take("width")?;
        let dim = arguments.take_optional("dim")?.unwrap_or(0);
        Ok(Self::try_new(outside, inside, start, stop, width)?.in_dimension(dim))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let (outside, inside) = (Rbf::new(0.7), Linear::new(0.4));
        let kernel = outside.clone().change_window(inside.clone(), -0.5, 0.8, 0.3);
        let s = |u: f64| 1.0 / (1.0 + (-u / 0.3).exp());
        let g = |x: f64| s(x + 0.5) * s(0.8 - x);
        for (x, y) in [(-2.0, 0.1), (0.3, 0.4), (0.2, 1.5)] {
            let [a, b]: [f64; 2] = [outside.eval(&[x], &[y]).unwrap(), inside.eval(&[x], &[y]).unwrap()];
            let expected = (1.0 - g(x)) * a * (1.0 - g(y)) + g(x) * b * g(y);
            let value: f64 = kernel.eval(&[x], &[y]).unwrap();
            assert!((value - expected).abs() < 4e-16, "{x}, {y}");
        }
    }
}
