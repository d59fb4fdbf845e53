//! A function of a kernel's value.

use std::fmt::Debug;

use crate::kernel::{
    AnyKernel, DiagVjp, EmbedVjp, Expr, Features, Kernel, Node, Pairs, Points, Properties, Psd, Scratch, Structure,
    Target, TileParts, TileVjp,
};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::simd::elementwise::scale;
use crate::simd::{Pass, dispatch};
use crate::{Scalar, kernel_ops};

/// A function of one number that is applied to the values of a kernel: a power, the exponential, the
/// logarithm, the opposite.
///
/// `value` and `slope` are called in vectorised loops: mark them `#[inline(always)]`. NaN has to give NaN.
pub trait Transform: Clone + Debug + Send + Sync + 'static {
    /// The word for the node in paths and, by default, in text.
    const NAME: &'static str;

    /// h(k)
    fn value<T: Scalar, const FMA: bool>(&self, k: T) -> T;

    /// dh/dk, given k and h(k).
    fn slope<T: Scalar, const FMA: bool>(&self, k: T, value: T) -> T;

    /// The guarantee of the new kernel, from that of the inner one.
    fn psd(&self, inner: Psd) -> Psd;

    /// Which operation it is, if it is one that [`Structure`] knows.
    fn structure<'k>(&self, kernel: &'k Node) -> Structure<'k> {
        Structure::Function(kernel)
    }
}

/// The kernel h(k(x, y)), for a [`Transform`] h: what [`pow`](crate::algebra::Compose::pow),
/// [`exp`](crate::algebra::Compose::exp) and [`log`](crate::algebra::Compose::log) make, and `-k`:
/// [`Neg`](super::Neg) is one too.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Linear::new(0.5).exp();
/// assert_eq!(kernel.eval(&[1.0], &[2.0])?, 1.0f64.exp());
/// assert_eq!(kernel.kernel().eval(&[1.0], &[2.0])?, 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Transformed<H, K> {
    transform: H,
    kernel: K,
}

kernel_ops!([H, K] Transformed<H, K>);

impl<H, K> Transformed<H, K> {
    /// The kernel h(k(x, y)).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::combine::{Transform, Transformed};
    /// use mercer::prelude::*;
    ///
    /// /// sinh k = (eᵏ − e⁻ᵏ)/2, all of whose Taylor coefficients are at least 0.
    /// #[derive(Clone, Debug)]
    /// struct Sinh;
    ///
    /// impl Transform for Sinh {
    ///     const NAME: &'static str = "sinh";
    ///     #[inline(always)]
    ///     fn value<T: Scalar, const FMA: bool>(&self, k: T) -> T {
    ///         (k.lane_exp::<FMA>() - (-k).lane_exp::<FMA>()) * T::from_f64(0.5)
    ///     }
    ///     #[inline(always)]
    ///     fn slope<T: Scalar, const FMA: bool>(&self, k: T, _: T) -> T {
    ///         (k.lane_exp::<FMA>() + (-k).lane_exp::<FMA>()) * T::from_f64(0.5)
    ///     }
    ///     fn psd(&self, inner: Psd) -> Psd {
    ///         inner
    ///     }
    /// }
    ///
    /// let kernel = Transformed::of(Sinh, Linear::new(0.5));
    /// let value: f64 = kernel.eval(&[2.0], &[1.0])?;
    /// assert!((value - 1f64.sinh()).abs() < 1e-15);
    /// assert_eq!(kernel.to_string(), "sinh(linear(variance=0.5))");
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn of(transform: H, kernel: K) -> Self {
        Self { transform, kernel }
    }

    /// The function.
    pub fn transform(&self) -> &H {
        &self.transform
    }

    /// The kernel whose values it is applied to.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }
}

impl<H: Transform, K: Parameterized> Parameterized for Transformed<H, K> {
    fn name(&self) -> &str {
        H::NAME
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.child(Label::Only, &self.kernel);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.child(Label::Only, &mut self.kernel);
    }
}

impl<H: Transform, K: AnyKernel + Clone> Expr for Transformed<H, K> {
    fn structure(&self) -> Structure<'_> {
        self.transform.structure(self.kernel.node())
    }

    fn properties(&self) -> Properties {
        let inner = self.kernel.properties();
        inner.psd(self.transform.psd(inner.psd))
    }
}

struct Values<'a, T, H> {
    transform: &'a H,
    out: &'a mut [T],
}

impl<T: Scalar, H: Transform> Pass for Values<'_, T, H> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for out in self.out {
            *out = self.transform.value::<T, FMA>(*out);
        }
    }
}

/// inner cotangent = cotangent · dh/dk
struct Slopes<'a, T, H> {
    transform: &'a H,
    inner: &'a [T],
    /// The cotangent on entry, that of the inner kernel on return.
    cotangent: &'a mut [T],
}

impl<T: Scalar, H: Transform> Pass for Slopes<'_, T, H> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (cotangent, &k) in self.cotangent.iter_mut().zip(self.inner) {
            let value = self.transform.value::<T, FMA>(k);
            *cotangent *= self.transform.slope::<T, FMA>(k, value);
        }
    }
}

impl<T: Scalar, H: Transform, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Transformed<H, K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.transform.value::<T, false>(self.kernel.pairwise(x, y))
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        self.kernel.node().at::<T>().embed(points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.kernel.node().at::<T>().tile(pairs, out, scratch);
        dispatch(Values { transform: &self.transform, out });
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        let mut tile = |pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>| self.tile(pairs, out, scratch);
        match self.structure() {
            Structure::Negated(kernel) => target.write_scaled(-1.0, kernel.at::<T>(), pairs, scratch, &mut tile),
            _ => target.write_tile(pairs, scratch, &mut tile),
        }
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.kernel.node().at::<T>().tile_diag(features, out);
        dispatch(Values { transform: &self.transform, out });
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let kernel = self.kernel.node().at::<T>();
        let mut inner = scratch.take(pairs.len());
        inner.copy_from_slice(cotangent);
        if let Structure::Negated(_) = self.structure() {
            scale(&mut inner, T::from_f64(-1.0));
            TileVjp::through(kernel, pairs, &inner, theta, scratch);
        } else {
            let mut value = scratch.take(pairs.len());
            kernel.tile(pairs, &mut value, scratch);
            dispatch(Slopes { transform: &self.transform, inner: &value, cotangent: &mut inner });
            kernel.tile_vjp(TileVjp::new(pairs, &value, &inner, theta, scratch));
            scratch.give(value);
        }
        scratch.give(inner);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let mut value = vec![T::from_f64(0.0); cotangent.len()];
        self.kernel.node().at::<T>().tile_diag(features, &mut value);
        let mut inner = cotangent.to_vec();
        dispatch(Slopes { transform: &self.transform, inner: &value, cotangent: &mut inner });
        self.kernel.node().at::<T>().tile_diag_vjp(DiagVjp::new(features, &inner, theta, gradients));
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        self.kernel.node().at::<T>().embed_vjp(EmbedVjp::new(points, features, gradients, theta));
    }
}
