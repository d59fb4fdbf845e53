//! The linear kernel whose weights are correlated.

use faer::{Mat, MatRef};

use super::LowRank;
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Psd, Scratch, TileParts, TileVjp,
    text,
};
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::{Error, Result, Scalar};

/// The linear kernel with a covariance of low rank plus a diagonal between its weights.
///
/// Of points that are unit vectors (one-hot codes of an index) it is
/// [`Coregionalization`](super::Coregionalization): in Pyro, `Coregionalize` is this kernel.
///
/// # Definition
///
/// k(x, y) = xᵀ (W Wᵀ + diag(κ)) y, for D-dimensional x, y
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `weights` | W, D × R | that of the outputs over that of the inputs | finite |
/// | `diagonal` | κ, D | that of the outputs squared, over that of the inputs squared | positive |
///
/// # Properties
///
/// Not stationary; positive semi-definite, of rank D.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = LowRankLinear::new(mat![[1.0], [-0.5]], [0.5, 0.25]);
/// // (2 − 0.5)(4) + 0.5 · 2 · 4
/// assert_eq!(kernel.eval(&[2.0, 1.0], &[4.0, 0.0])?, 10.0);
/// assert_eq!((kernel + 0.5).eval(&[2.0, 1.0], &[4.0, 0.0])?, 10.5);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 2.12.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankLinear {
    covariance: LowRank,
}

crate::kernel_ops!(LowRankLinear);
crate::construct!(LowRankLinear: try_new(weights: Mat<f64>, diagonal: Vec<f64>));

impl Parameterized for LowRankLinear {
    fn name(&self) -> &str {
        "low_rank_linear"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.covariance.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.covariance.visit_mut(visitor);
    }
}

impl LowRankLinear {
    /// The kernel with these weights, one row a dimension, and this diagonal.
    ///
    /// # Panics
    ///
    /// If [`try_new`](Self::try_new) gives an error.
    #[track_caller]
    pub fn new(weights: Mat<f64>, diagonal: impl Into<Vec<f64>>) -> Self {
        crate::error::literal(Self::try_new(weights, diagonal))
    }

    /// The kernel with these weights, one row a dimension, and this diagonal.
    ///
    /// # Errors
    ///
    /// As [`Coregionalization::try_new`](super::Coregionalization::try_new).
    pub fn try_new(weights: Mat<f64>, diagonal: impl Into<Vec<f64>>) -> Result<Self> {
        Ok(Self { covariance: LowRank::try_new(weights, diagonal)? })
    }

    /// The weights W.
    pub fn weights(&self) -> MatRef<'_, f64> {
        self.covariance.weights()
    }

    /// The diagonal κ.
    pub fn diagonal(&self) -> &[f64] {
        self.covariance.diagonal()
    }

    /// The factor F = (W | diag(√κ)): xᵀ F Fᵀ y is the kernel.
    fn factor(&self) -> Mat<f64> {
        let (weights, diagonal) = (self.weights(), self.diagonal());
        let rank = weights.ncols();
        let own = |row: usize, col: usize| if row == col { diagonal[row].sqrt() } else { 0.0 };
        Mat::from_fn(diagonal.len(), rank + diagonal.len(), |row, col| {
            if col < rank { weights[(row, col)] } else { own(row, col - rank) }
        })
    }
}

impl Expr for LowRankLinear {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        let expected = self.diagonal().len();
        if dim == expected {
            return Ok(Inputs::all(dim));
        }
        let needs = format!("has weights for {expected} dimension(s)");
        Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim })
    }
}

impl<T: Scalar> Kernel<T> for LowRankLinear {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let weights = self.weights();
        let along = |point: &[T], rank: usize| -> T {
            point.iter().enumerate().map(|(dim, &x)| T::from_f64(weights[(dim, rank)]) * x).sum()
        };
        let correlated: T = (0..weights.ncols()).map(|rank| along(x, rank) * along(y, rank)).sum();
        let own: T = self.diagonal().iter().zip(x).zip(y).map(|((&kappa, &x), &y)| T::from_f64(kappa) * x * y).sum();
        correlated + own
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let (factor, rank) = (self.factor(), self.weights().ncols());
        let factor = Mat::from_fn(factor.nrows(), factor.ncols(), |row, col| T::from_f64(factor[(row, col)]));
        let mut made = Mat::zeros(points.len(), factor.ncols());
        for (col, column) in factor.col_iter().enumerate() {
            // Dimension by dimension, so that a row does not depend on the rows beside it.
            // A column of the diagonal has one dimension, and nothing of the others.
            for (dim, &factor) in column.iter().enumerate().filter(|(dim, _)| col < rank || *dim == col - rank) {
                for (out, &x) in made.col_as_slice_mut(col).iter_mut().zip(points.column(dim)) {
                    *out += factor * x;
                }
            }
        }
        Features::mapped(points.clone(), Features::leaf(Points::made(made).with_gradient(true)))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        scratch.inner_products(&pairs.child(0), out);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let made = features.child(0).points();
        out.fill(T::from_f64(0.0));
        for col in 0..made.dim() {
            out.iter_mut().zip(made.column(col)).for_each(|(out, &f)| *out += f * f);
        }
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, scratch, .. } = to.dense(self);
        scratch.add_inner_product_gradient(&pairs.child(0), |gradient| {
            gradient.iter_mut().zip(cotangent).for_each(|(gradient, &c)| *gradient += c);
        });
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, gradients, .. } = to;
        let made = features.child(0).points();
        let Some(gradient) = gradients.at_mut(made) else { return };
        for col in 0..made.dim() {
            let terms = made.column(col).iter().zip(cotangent);
            for (out, (&f, &c)) in gradient.col_as_slice_mut(col).iter_mut().zip(terms) {
                *out += (c + c) * f;
            }
        }
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let Some(in_made) = gradients.take(features.child(0).points()) else { return };
        let (factor, dims) = (self.factor(), self.diagonal().len());
        let rank = factor.ncols() - dims;
        for dim in 0..dims {
            for col in (0..rank).chain([rank + dim]) {
                let (in_made, factor) = (in_made.col_as_slice(col), factor[(dim, col)]);
                let terms = points.column(dim).iter().zip(in_made);
                let in_factor: f64 = terms.map(|(&x, &g)| x.as_f64() * g.as_f64()).sum();
                // √κ has the derivative 1/(2√κ).
                match col < rank {
                    true => theta[dim + dims * col] += in_factor,
                    false => theta[dims * rank + dim] += in_factor / (2.0 * factor),
                }
                if let Some(in_points) = gradients.at_mut(points) {
                    let factor = T::from_f64(factor);
                    for (out, &g) in in_points.col_as_slice_mut(dim).iter_mut().zip(in_made) {
                        *out += factor * g;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn unit_vectors_are_indices() {
        let (weights, diagonal) = (mat![[1.0, 0.2], [0.4, -0.8], [-0.3, 0.5]], [0.3, 0.8, 1.4]);
        let linear = LowRankLinear::new(weights.clone(), diagonal);
        let by_index = Coregionalization::new(weights, diagonal);
        let found: Mat<f64> = linear.gram(Mat::<f64>::identity(3, 3).as_ref()).unwrap();
        let expected: Mat<f64> = by_index.gram(mat![[0.0], [1.0], [2.0]].as_ref()).unwrap();
        assert!((found - expected).norm_max() < 1e-15);
    }
}
