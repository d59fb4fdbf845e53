//! A kernel behind a map of its inputs.

use std::fmt;

use super::{Warp, WarpExpr};
use crate::kernel::variables::with_buffer;
use crate::kernel::{
    Arguments, Construct, Cotangent, Expr, FeatureGradients, Features, IndexColumn, Kernel, Pairs, Points, Precedence,
    Psd, Scratch, SpectralMeasure, Target, Text, no_spectrum, split_theta, text,
};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::{DynKernel, Error, Result, Scalar, kernel_ops};

/// The kernel k(f(x), f(y)), for a warp f: what [`on`](crate::kernel::ops::Compose::on) and
/// [`ard`](crate::kernel::ops::Compose::ard) make.
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

impl<W: Construct> Construct for Warped<W, DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        let kernel = arguments.take("kernel")?;
        Ok(Self::new(W::construct(arguments)?, kernel))
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

impl<W: WarpExpr, K: Expr + Clone> Expr for Warped<W, K> {
    fn children(&self) -> Vec<&dyn Expr> {
        vec![&self.kernel]
    }

    fn psd(&self) -> Psd {
        self.warp.psd(self.kernel.psd())
    }

    fn stationary(&self) -> bool {
        self.warp.is_linear() && self.kernel.stationary()
    }

    fn spectral_measure(&self, dim: usize) -> Result<SpectralMeasure> {
        let matrix = self.warp.matrix(dim).ok_or_else(|| no_spectrum(self))?;
        let measure = self.kernel.spectral_measure(matrix.nrows())?;
        let keeps_axes = self.warp.keeps_axes();
        Ok(if keeps_axes { measure.mapped_along_axes(matrix.as_ref()) } else { measure.mapped(matrix.as_ref()) })
    }

    fn differentiable(&self) -> bool {
        self.warp.differentiable() && self.kernel.differentiable()
    }

    fn reads(&self, dim: usize) -> Vec<bool> {
        let made = self.warp.output_dim(dim).unwrap_or(0);
        self.warp.reads(dim, &self.kernel.reads(made))
    }

    fn check_dim(&self, dim: usize) -> Result<()> {
        let made = self.warp.output_dim(dim).map_err(|error| match error {
            Error::Dimension { needs, found, .. } => Error::Dimension { kernel: text(self).to_string(), needs, found },
            other => other,
        })?;
        if made == 0 {
            let needs = "maps points to points without coordinates".to_owned();
            return Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim });
        }
        self.kernel.check_dim(made)?;
        let indices = self.kernel.index_columns(made);
        match indices.iter().find(|index| self.warp.source(index.column()).is_none()) {
            None => Ok(()),
            Some(lost) => {
                Err(Error::WarpedIndex { kernel: text(self).to_string(), reader: text(lost.kernel()).to_string() })
            }
        }
    }

    fn index_columns(&self, dim: usize) -> Vec<IndexColumn<'_>> {
        let indices = self.kernel.index_columns(self.warp.output_dim(dim).unwrap_or(0));
        indices
            .into_iter()
            .filter_map(|index| self.warp.source(index.column()).map(|source| index.at(source)))
            .collect()
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.warp.write_text(&Text::within(&self.kernel, Precedence::Sum), f)
    }
}

impl<T: Scalar, W: Warp<T>, K: Kernel<T> + Clone> Kernel<T> for Warped<W, K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        // A dimension that the warp refuses has been refused by `check_dim` before.
        let dim = self.warp.output_dim(x.len()).unwrap_or(0);
        with_buffer(2 * dim, T::from_f64(0.0), |warped| {
            let (fx, fy) = warped.split_at_mut(dim);
            self.warp.point(x, fx);
            self.warp.point(y, fy);
            self.kernel.pairwise(fx, fy)
        })
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let made = self.warp.forward(points);
        let child = self.kernel.embed(&made);
        Features::mapped(made, child)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.kernel.tile(&pairs.child(0), out, scratch);
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        self.kernel.write_block(&pairs.child(0), target, scratch);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.kernel.tile_diag(features.child(0), out);
    }

    fn tile_vjp(
        &self,
        pairs: &Pairs<'_, T>,
        value: &[T],
        cotangent: &[T],
        theta: &mut [f64],
        scratch: &mut Scratch<T>,
    ) {
        let (_, in_kernel) = split_theta(&self.warp, theta);
        self.kernel.tile_vjp(&pairs.child(0), value, cotangent, in_kernel, scratch);
    }

    fn block_vjp(
        &self,
        pairs: &Pairs<'_, T>,
        cotangent: &mut Cotangent<'_, T>,
        theta: &mut [f64],
        scratch: &mut Scratch<T>,
    ) {
        let (_, in_kernel) = split_theta(&self.warp, theta);
        self.kernel.block_vjp(&pairs.child(0), cotangent, in_kernel, scratch);
    }

    fn vjp_reads_value(&self) -> bool {
        self.kernel.vjp_reads_value()
    }

    fn tile_diag_vjp(
        &self,
        features: &Features<'_, T>,
        cotangent: &[T],
        theta: &mut [f64],
        gradients: &mut FeatureGradients<T>,
    ) {
        let (_, in_kernel) = split_theta(&self.warp, theta);
        self.kernel.tile_diag_vjp(features.child(0), cotangent, in_kernel, gradients);
    }

    fn embed_vjp(
        &self,
        points: &Points<'_, T>,
        features: &Features<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let (in_warp, in_kernel) = split_theta(&self.warp, theta);
        let made = features.points();
        self.kernel.embed_vjp(made, features.child(0), gradients, in_kernel);
        self.warp.backward(points, made, gradients, in_warp);
    }
}
