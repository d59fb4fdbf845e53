//! A kernel behind a map of its inputs.

use super::differences::{Differences, loses};
use super::{Warp, WarpExpr};
use crate::kernel::variables::with_buffer;
use crate::kernel::{
    AnyKernel, AnyWarp, Arguments, Construct, DiagVjp, EmbedVjp, Expr, Features, Kernel, Pairs, Points, Scratch,
    Structure, Target, TileParts, TileVjp, split_theta,
};
use crate::params::{Label, Parameterized, ParameterizedExt, Visitor, VisitorMut};
use crate::simd::elementwise::add;
use crate::{DynKernel, Result, Scalar, kernel_ops};

/// The kernel k(f(x), f(y)), for a warp f: what [`on`](crate::algebra::Compose::on) and
/// [`ard`](crate::algebra::Compose::ard) make.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::warp::{Ard, Warped};
///
/// let kernel = Warped::new(Ard::new([0.5, 4.0]), Linear::new(1.0));
/// assert_eq!(kernel.eval(&[1.0, 8.0], &[2.0, 4.0])?, 2.0 * 4.0 + 2.0 * 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Warped<W, K> {
    warp: W,
    kernel: K,
}

kernel_ops!([W, K] Warped<W, K>);

impl<W, K> Warped<W, K> {
    /// The kernel behind the warp.
    pub fn new(warp: W, kernel: K) -> Self {
        Self { warp, kernel }
    }

    /// The map of the inputs.
    pub fn map(&self) -> &W {
        &self.warp
    }

    /// The kernel on what the map makes.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }
}

impl<W: Construct + WarpExpr> Construct for Warped<W, DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        // That it is missing is told after wrong names, which the warp knows.
        let kernel = arguments.take_optional("kernel")?;
        let warp = W::construct(arguments)?;
        let Some(kernel) = kernel else { return Err(arguments.missing::<DynKernel>("kernel")) };
        // Where the number of columns is not fixed by the text, one column more makes so many more.
        if let (Ok(one), Ok(two)) = (warp.output_dim(1), warp.output_dim(2)) {
            arguments.multiply_columns(two.saturating_sub(one).max(1))?;
        }
        Ok(Self::new(warp, kernel))
    }
}

impl<W: Parameterized, K: Parameterized> Parameterized for Warped<W, K> {
    fn name(&self) -> &str {
        self.warp.name()
    }

    // The warp's own parameters belong to this node: the path is `ard.lengthscale[0]`.
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.warp.visit(visitor);
        visitor.child(Label::Only, &self.kernel);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.warp.visit_mut(visitor);
        visitor.child(Label::Only, &mut self.kernel);
    }
}

impl<W: Warp<f32> + Warp<f64> + Clone + 'static> AnyWarp for W {
    fn around(&self, kernel: DynKernel) -> DynKernel {
        Warped::new(self.clone(), kernel).into_dynamic()
    }
}

impl<W: AnyWarp + Clone, K: AnyKernel + Clone> Expr for Warped<W, K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Warped(&self.warp, self.kernel.node())
    }
}

impl<T: Scalar, W: AnyWarp + Warp<T> + Clone, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Warped<W, K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        // A dimension that the warp refuses has been refused by `check_dim` before.
        let dim = self.warp.output_dim(x.len()).unwrap_or(0);
        with_buffer(2 * dim, T::from_f64(0.0), |warped| {
            let (fx, fy) = warped.split_at_mut(dim);
            if !(self.kernel.properties().stationary && self.warp.difference([x, y], fx)) {
                self.warp.point(x, fx);
                self.warp.point(y, fy);
            }
            self.kernel.pairwise(fx, fy)
        })
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        if self.loses_differences(points) {
            return Features::differenced(points.clone());
        }
        let made = self.warp.forward(&self.read(points));
        let child = self.kernel.node().at::<T>().embed(&made);
        Features::mapped(made, child)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        if pairs.is_differenced() {
            self.with_differences(pairs.x_points(), |differences| differences.tile(pairs, out, scratch));
        } else {
            self.kernel.node().at::<T>().tile(&pairs.child(0), out, scratch);
        }
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        if pairs.is_differenced() {
            target.write_tile(pairs, scratch, &mut |pairs, out, scratch| self.tile(pairs, out, scratch));
        } else {
            self.kernel.node().at::<T>().write_block(&pairs.child(0), target, scratch);
        }
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        if features.is_differenced() {
            self.with_differences(features.points(), |differences| differences.tile_diag(features, out));
        } else {
            self.kernel.node().at::<T>().tile_diag(features.child(0), out);
        }
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        if !to.pairs().is_differenced() {
            let child = to.pairs().child(0);
            return to.hand_on(self.kernel.node().at(), &child, self.warp.num_params());
        }
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let (in_warp, in_kernel) = split_theta(&self.warp, theta);
        self.with_differences(pairs.x_points(), |differences| {
            differences.tile_vjp(pairs, cotangent, [in_warp, in_kernel], scratch);
        });
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let (in_warp, in_kernel) = split_theta(&self.warp, theta);
        if features.is_differenced() {
            let points = features.points();
            self.with_differences(points, |differences| {
                let own = differences.tile_diag_vjp(features, cotangent, in_kernel);
                let total: T = own.iter().copied().sum();
                in_warp.iter_mut().for_each(|sum| *sum += total.as_f64());
                let Ok(inputs) = self.inputs(points.dim()) else { return };
                if let Some(in_points) = gradients.at_mut(points) {
                    for dim in (0..points.dim()).filter(|&dim| inputs.read(dim)) {
                        add(in_points.col_as_slice_mut(dim), &own);
                    }
                }
            });
        } else {
            self.kernel.node().at::<T>().tile_diag_vjp(DiagVjp::new(
                features.child(0),
                cotangent,
                in_kernel,
                gradients,
            ));
        }
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        // Tiles of differences have added to all gradients themselves.
        if features.is_differenced() {
            return;
        }
        let (in_warp, in_kernel) = split_theta(&self.warp, theta);
        let made = features.points();
        self.kernel.node().at::<T>().embed_vjp(EmbedVjp::new(made, features.child(0), gradients, in_kernel));
        self.warp.backward(&self.read(points), made, gradients, in_warp);
    }
}

impl<W, K> Warped<W, K> {
    /// The points as the warp reads them: from any origin, where only their differences matter.
    fn read<'a, T: Scalar>(&self, points: &Points<'a, T>) -> Points<'a, T>
    where
        W: Warp<T>,
        K: AnyKernel + Kernel<T>,
    {
        if self.warp.properties(self.kernel.properties()).stationary { points.clone() } else { points.clone().fixed() }
    }

    /// Whether points mapped each by itself lack digits that the kernel would show.
    fn loses_differences<T: Scalar>(&self, points: &Points<'_, T>) -> bool
    where
        W: Warp<T>,
        K: AnyKernel + Kernel<T>,
    {
        let rounding = || self.kernel.properties().stationary.then(|| self.warp.rounding(points)).flatten();
        rounding().is_some_and(|errors| loses::<T>(self.kernel.node().at(), &errors))
    }

    /// Shows the kernel on differences of these points and others.
    fn with_differences<T: Scalar>(&self, points: &Points<'_, T>, see: impl FnOnce(Differences<'_, T>))
    where
        W: Warp<T>,
        K: AnyKernel + Kernel<T>,
    {
        let points = self.read(points);
        let origin: Vec<T> = (0..points.dim()).map(|dim| points.origin(dim)).collect();
        see(Differences {
            kernel: self.kernel.node().at(),
            made: self.warp.output_dim(points.dim()).unwrap_or(0),
            difference: &|points, out| {
                self.warp.difference(points, out);
            },
            backward: &|points, in_difference, in_points, theta| {
                self.warp.difference_backward(points, &origin, in_difference, in_points, theta);
            },
        });
    }
}
