//! A function of a kernel's value.

use std::fmt::{self, Debug};

use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, Kernel, Pairs, Points, Precedence, Psd, Scratch, Text, TileParts, TileVjp,
};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::simd::{Pass, dispatch};
use crate::{Scalar, kernel_ops};

/// A function of one number that is applied to the values of a kernel: a power, the exponential, the
/// logarithm.
///
/// `value` and `slope` are called in vectorised loops: mark them `#[inline(always)]`. NaN has to give NaN.
pub trait Transform: Clone + Debug + Send + Sync {
    /// The word for the node in paths and, by default, in text.
    const NAME: &'static str;

    /// h(k)
    fn value<T: Scalar, const FMA: bool>(&self, k: T) -> T;

    /// dh/dk, given k and h(k).
    fn slope<T: Scalar, const FMA: bool>(&self, k: T, value: T) -> T;

    /// The guarantee of the new kernel, from that of the inner one.
    fn psd(&self, inner: Psd) -> Psd;

    /// How the text of the new kernel binds.
    const PRECEDENCE: Precedence = Precedence::Call;

    /// Writes the new kernel, given the text of the inner one with the parentheses that it needs.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn write_text(&self, inner: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({inner})", Self::NAME)
    }
}

/// The kernel h(k(x, y)), for a [`Transform`] h: what [`pow`](crate::kernel::ops::Compose::pow),
/// [`exp`](crate::kernel::ops::Compose::exp) and [`log`](crate::kernel::ops::Compose::log) make.
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
    pub(super) fn of(transform: H, kernel: K) -> Self {
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

impl<H: Transform, K: Expr + Clone> Expr for Transformed<H, K> {
    fn children(&self) -> Vec<&dyn Expr> {
        vec![&self.kernel]
    }

    fn psd(&self) -> Psd {
        self.transform.psd(self.kernel.psd())
    }

    inherit!(kernel: stationary, zonal, isotropic, differentiable);

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binding = if H::PRECEDENCE == Precedence::Call { Precedence::Sum } else { Precedence::Call };
        self.transform.write_text(&Text::within(&self.kernel, binding), f)
    }

    fn precedence(&self) -> Precedence {
        H::PRECEDENCE
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

impl<T: Scalar, H: Transform, K: Kernel<T> + Clone> Kernel<T> for Transformed<H, K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.transform.value::<T, false>(self.kernel.pairwise(x, y))
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        self.kernel.embed(points)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.kernel.tile(pairs, out, scratch);
        dispatch(Values { transform: &self.transform, out });
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.kernel.tile_diag(features, out);
        dispatch(Values { transform: &self.transform, out });
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let (mut value, mut inner) = (scratch.take(pairs.len()), scratch.take(pairs.len()));
        self.kernel.tile(pairs, &mut value, scratch);
        inner.copy_from_slice(cotangent);
        dispatch(Slopes { transform: &self.transform, inner: &value, cotangent: &mut inner });
        self.kernel.tile_vjp(TileVjp::new(pairs, &value, &inner, theta, scratch));
        scratch.give(value);
        scratch.give(inner);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let mut value = vec![T::from_f64(0.0); cotangent.len()];
        self.kernel.tile_diag(features, &mut value);
        let mut inner = cotangent.to_vec();
        dispatch(Slopes { transform: &self.transform, inner: &value, cotangent: &mut inner });
        self.kernel.tile_diag_vjp(DiagVjp::new(features, &inner, theta, gradients));
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        self.kernel.embed_vjp(EmbedVjp::new(points, features, gradients, theta));
    }
}
