//! The locally periodic kernel.

use faer::Mat;

use super::periodic::Chord;
use super::radial;
use super::rbf::{Rbf, RbfProfile};
use crate::kernel::span::{Span, farthest};
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Psd, Scratch, Target, TileParts,
    TileVjp, add_own_differences_vjp, fill_diag,
};
use crate::params::PerDimension;
use crate::simd::elementwise;
use crate::warp::ard::{divide, divide_backward, divide_difference, divide_difference_backward, divided};
use crate::warp::circle;
use crate::warp::differences::Differences;
use crate::{Result, Scalar};

crate::kernel! {
    /// The locally periodic kernel: a periodic pattern that changes slowly.
    ///
    /// # Definition
    ///
    /// k(x, y) = exp(−2 Σ_d sin²(π (x_d − y_d)/p_d)/ℓ_d² − ½ Σ_d (x_d − y_d)²/λ_d²)
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | none (of the circle of radius 1) | positive; one, or one for each dimension |
    /// | `period` | p | that of the inputs | positive; one, or one for each dimension |
    /// | `decay` | λ | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary; infinitely differentiable samples; positive semi-definite in any dimension. It is
    /// `Periodic::new(ℓ, p) * Rbf::new(λ)` in one leaf: one exponential of one squared distance, between
    /// points on the circle with a coordinate more.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = LocallyPeriodic::new(0.8, 3.0, 20.0);
    /// let product = Periodic::new(0.8, 3.0) * Rbf::new(20.0);
    /// let (value, expected): (f64, f64) = (kernel.eval(&[1.0], &[5.5])?, product.eval(&[1.0], &[5.5])?);
    /// assert!((value - expected).abs() < 1e-15);
    /// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 5.4.3, eq. 5.16.
    pub LocallyPeriodic as "locally_periodic" {
        /// The lengthscale on the circle: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
        /// The period: one, or one for each dimension.
        period: PerDimension = Positive,
        /// The length over which the pattern changes: one, or one for each dimension.
        decay: PerDimension = Positive,
    }
}

impl LocallyPeriodic {
    /// What each of the 3 D columns of the features is divided by: cosines and sines, then coordinates.
    fn scales(&self, dim: usize) -> Vec<f64> {
        let on_circle = (0..2 * dim).map(|column| self.lengthscale.at(column / 2));
        on_circle.chain((0..dim).map(|dim| self.decay.at(dim))).collect()
    }

    fn chord<T: Scalar>(&self, dim: usize, x: T, y: T) -> Chord<'_> {
        Chord::new(x, y, [&self.lengthscale, &self.period], dim)
    }

    /// Shows the kernel as a squared exponential of scaled chords and of scaled differences, in this order.
    fn with_differences<T: Scalar>(&self, dims: usize, see: impl FnOnce(Differences<'_, T>)) {
        see(Differences {
            kernel: &Rbf::new(1.0),
            made: 2 * dims,
            difference: &|[x, y], out| {
                let (chords, moved) = out.split_at_mut(dims);
                chords.iter_mut().enumerate().for_each(|(dim, out)| *out = self.chord(dim, x[dim], y[dim]).value());
                divide_difference([x, y], |dim| self.decay.at(dim), moved);
            },
            backward: &|[x, y], in_differences, [in_x, in_y], theta| {
                let (in_lengthscale, rest) = theta.split_at_mut(self.lengthscale.values().len());
                let (in_period, in_decay) = rest.split_at_mut(self.period.values().len());
                let (in_chords, in_moved) = in_differences.split_at(dims);
                for (dim, &gradient) in in_chords.iter().enumerate() {
                    let in_points = [&mut in_x[dim], &mut in_y[dim]];
                    let in_parameters = [&mut *in_lengthscale, &mut *in_period];
                    self.chord(dim, x[dim], y[dim]).backward(gradient, in_points, in_parameters);
                }
                divide_difference_backward(
                    [x, y],
                    |dim| self.decay.at(dim),
                    in_moved,
                    [in_x, in_y],
                    |dim, more| {
                        in_decay[if self.decay.dim().is_some() { dim } else { 0 }] += more;
                    },
                );
            },
        });
    }
}

impl Expr for LocallyPeriodic {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).stationary().differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        radial::check_dim(self, "lengthscale", &self.lengthscale, dim)?;
        radial::check_dim(self, "period", &self.period, dim)?;
        radial::check_dim(self, "decay", &self.decay, dim)
    }
}

impl<T: Scalar> Kernel<T> for LocallyPeriodic {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let term = |(dim, (&x, &y)): (usize, (&T, &T))| {
            let chord: T = self.chord(dim, x, y).value();
            let moved = divided(x, y, self.decay.at(dim));
            chord * chord + moved * moved
        };
        let sum: T = x.iter().zip(y).enumerate().map(term).sum();
        num_traits::Float::exp(T::from_f64(-0.5) * sum)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let dim = points.dim();
        let short = |lengthscale: f64| 1.0 / lengthscale > farthest::<T>() && !points.against_zero();
        let far = |dim| points.reach(dim).is_some_and(|reach| reach / self.decay.at(dim) > farthest::<T>());
        if self.lengthscale.values().iter().any(|&lengthscale| short(lengthscale)) || (0..dim).any(far) {
            return Features::differenced(points.clone());
        }
        let circle = circle::embed(points, &self.period);
        let joined = Mat::from_fn(points.len(), 3 * dim, |row, col| match col.checked_sub(2 * dim) {
            None => circle.matrix()[(row, col)],
            Some(coordinate) => points.matrix()[(row, coordinate)],
        });
        let ranges =
            circle.span().zip(points.span()).map(|(circle, points)| [circle.ranges(), points.ranges()].concat());
        let joined = Points::made(joined).with_gradient(true).against(ranges.map(Span::known));
        let divided = divide(&joined, &self.scales(dim));
        Features::mapped(joined, Features::leaf(divided))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        if pairs.is_differenced() {
            self.with_differences(pairs.dim(), |differences| differences.tile(pairs, out, scratch));
        } else {
            radial::scaled_tile(RbfProfile, T::from_f64(1.0), &pairs.child(0), out, scratch);
        }
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        if pairs.is_differenced() {
            target.write_tile(pairs, scratch, &mut |pairs, out, scratch| self.tile(pairs, out, scratch));
        } else {
            radial::write_block(RbfProfile, T::from_f64(1.0), &pairs.child(0), target, scratch);
        }
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        fill_diag(features.points(), T::from_f64(1.0), out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, value, cotangent, theta, scratch } = to.with_value(self);
        if pairs.is_differenced() {
            self.with_differences(pairs.dim(), |differences| {
                differences.tile_vjp(pairs, cotangent, [theta, &mut [0.0]], scratch);
            });
            return;
        }
        radial::scaled_tile_vjp(RbfProfile, T::from_f64(1.0), &pairs.child(0), value, cotangent, scratch);
    }

    // k(x, x) = 1.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        add_own_differences_vjp(features.points(), cotangent, theta, gradients);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        // Tiles of differences have added to all gradients themselves.
        if features.is_differenced() {
            return;
        }
        let dim = points.dim();
        let (in_lengthscale, rest) = theta.split_at_mut(self.lengthscale.values().len());
        let (in_period, in_decay) = rest.split_at_mut(self.period.values().len());
        let joined = features.points();
        let mut in_scales = vec![0.0; 3 * dim];
        divide_backward(joined, features.child(0).points(), &self.scales(dim), gradients, &mut in_scales);
        let each = |values: &PerDimension, dim: usize| if values.dim().is_some() { dim } else { 0 };
        for (column, in_scale) in in_scales.into_iter().enumerate() {
            match column.checked_sub(2 * dim) {
                None => in_lengthscale[each(&self.lengthscale, column / 2)] += in_scale,
                Some(coordinate) => in_decay[each(&self.decay, coordinate)] += in_scale,
            }
        }
        let Some(in_joined) = gradients.take(joined) else { return };
        circle::backward(points, joined, &in_joined, &self.period, gradients, in_period);
        if let Some(in_points) = gradients.at_mut(points) {
            for coordinate in 0..dim {
                let more = in_joined.col_as_slice(2 * dim + coordinate);
                elementwise::add(in_points.col_as_slice_mut(coordinate), more);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_product_in_one_leaf() {
        let leaf = LocallyPeriodic::new([0.5, 2.0], 3.0, [4.0, 1.5]);
        let product = Periodic::new([0.5, 2.0], 3.0) * Rbf::new([4.0, 1.5]);
        let x = mat![[0.2, 1.0], [1.0, -3.5], [-2.0, 0.4], [7.0, 2.2]];
        let (leaf, product): (Mat<f64>, Mat<f64>) = (leaf.gram(x.as_ref()).unwrap(), product.gram(x.as_ref()).unwrap());
        assert!((leaf - product).norm_max() < 1e-15);
    }
}
