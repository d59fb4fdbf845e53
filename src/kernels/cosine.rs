//! The cosine kernel.

use std::f64::consts::TAU;

use super::markov::turning::Turning;
use super::radial::check_dim;
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, FrequencyLaw, Inputs, Kernel, Markov, MarkovFactor, MarkovTerm, Pairs, Points,
    Properties, Psd, Scratch, Spectral, Structure, TileParts, TileVjp, Variable, Views, add_own_differences_vjp,
    fill_diag,
};
use crate::simd::{Pass, dispatch, elementwise, sum::lane_sum};
use crate::warp::circle;
use crate::{Result, Scalar};

crate::kernel! {
    /// The cosine kernel: one frequency in each dimension, correlated for ever.
    ///
    /// # Definition
    ///
    /// k(x, y) = Π_d cos(2π (x_d − y_d)/p_d)
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `period` | p | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary; samples are sine waves, exactly periodic; positive semi-definite in any dimension, of
    /// rank 2^D. Exact far from the origin: inputs are reduced by the period without rounding. The cosine of
    /// the Euclidean distance, which other libraries have under this name, is
    /// [`RadialCosine`](super::RadialCosine).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Cosine::new(6.0);
    /// let close = |value: f64, expected: f64| (value - expected).abs() < 1e-15;
    /// assert!(close(kernel.eval(&[1.0], &[2.0])?, 0.5));
    /// assert!(close(kernel.eval(&[1.0, 0.0], &[2.0, 3.0])?, -0.5));
    /// assert!(close(kernel.eval(&[1.0], &[6e12 + 2.0])?, 0.5));
    /// assert_eq!((2.0 * kernel * Rbf::new(1.0)).eval(&[1.0], &[1.0])?, 2.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.1: the covariance
    /// whose spectral measure is one frequency (Bochner's theorem, eq. 4.5).
    pub Cosine as "cosine" {
        /// The period: one, or one for each dimension.
        period: PerDimension = Positive,
    }
}

impl Expr for Cosine {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().spectral(self).markov(self))
    }

    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).stationary().differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        check_dim(self, "period", &self.period, dim)
    }
}

impl Spectral for Cosine {
    fn frequencies(&self, dim: usize) -> Option<(FrequencyLaw, Vec<f64>)> {
        Some((FrequencyLaw::Signs, (0..dim).map(|d| TAU / self.period.at(d)).collect()))
    }
}

impl Markov for Cosine {
    fn terms(&self, theta: &[Variable], _: Option<f64>) -> std::result::Result<Vec<MarkovTerm>, String> {
        match theta {
            [period] => Ok(vec![MarkovTerm::of(MarkovFactor::new(Turning, *period, &[]))]),
            _ => Err("reads more than one column of the inputs".to_owned()),
        }
    }
}

impl<T: Scalar> Kernel<T> for Cosine {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let factor =
            |(dim, (&x, &y)): (usize, (&T, &T))| T::from_f64((TAU * circle::turn(x, y, self.period.at(dim))).cos());
        x.iter().zip(y).enumerate().map(factor).fold(T::from_f64(1.0), |product, factor| product * factor)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        Features::leaf(circle::embed(points, &self.period))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], _: &mut Scratch<T>) {
        tile(pairs, out);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        fill_diag(features.points(), T::from_f64(1.0), out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, scratch, .. } = to.dense(self);
        tile_vjp(pairs, cotangent, scratch);
    }

    // k(x, x) = 1.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        add_own_differences_vjp(features.points(), cotangent, theta, gradients);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        circle::embed_backward(points, features.points(), &self.period, gradients, theta);
    }
}

/// The points of a block on the circle of one dimension.
#[derive(Clone, Copy)]
struct Circle<'a, T> {
    x: [&'a [T]; 2],
    y: [&'a [T]; 2],
}

impl<'a, T: Scalar> Circle<'a, T> {
    fn new(pairs: &Pairs<'a, T>, dim: usize) -> Self {
        let (cos, sin) = (2 * dim, 2 * dim + 1);
        Self { x: [pairs.x_column(cos), pairs.x_column(sin)], y: [pairs.y_column(cos), pairs.y_column(sin)] }
    }

    /// out ∘= cos(a − b), for the angles a of the rows and b of the columns.
    fn multiply(self, out: &mut [T]) {
        dispatch(Multiply { circle: self, out });
    }
}

struct Multiply<'a, T> {
    circle: Circle<'a, T>,
    out: &'a mut [T],
}

impl<T: Scalar> Pass for Multiply<'_, T> {
    type Output = ();

    // cos(a − b) = cos a cos b + sin a sin b = 1 − ½ ‖f(a) − f(b)‖²: the same for points on the circle,
    // and exactly 1 where they coincide.
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Circle { x: [cos_x, sin_x], y: [cos_y, sin_y] } = self.circle;
        let rows = cos_x.len();
        for ((column, &cos_y), &sin_y) in self.out.chunks_exact_mut(rows).zip(cos_y).zip(sin_y) {
            for ((out, &cos_x), &sin_x) in column.iter_mut().zip(cos_x).zip(sin_x) {
                let (cos, sin) = (cos_x - cos_y, sin_x - sin_y);
                let squared = cos.lane_mul_add::<FMA>(cos, sin * sin);
                *out *= squared.lane_mul_add::<FMA>(T::from_f64(-0.5), T::from_f64(1.0));
            }
        }
    }
}

/// Adds weight · (y − x) to the rows and weight · (x − y) to the columns, summed over the block.
struct AddDifferences<'a, T> {
    x: &'a [T],
    y: &'a [T],
    weight: &'a [T],
    in_rows: &'a mut [T],
    in_cols: &'a mut [T],
}

impl<T: Scalar> Pass for AddDifferences<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let rows = self.x.len();
        for ((weight, &y), in_col) in self.weight.chunks_exact(rows).zip(self.y).zip(self.in_cols) {
            for ((in_row, &weight), &x) in self.in_rows.iter_mut().zip(weight).zip(self.x) {
                *in_row += weight * (y - x);
            }
            *in_col += lane_sum([weight, self.x], |[weight, x]| weight * (x - y));
        }
    }
}

/// Π_d cos of the differences of angles, for points on circles.
pub(super) fn tile<T: Scalar>(pairs: &Pairs<'_, T>, out: &mut [T]) {
    out.fill(T::from_f64(1.0));
    for dim in 0..pairs.dim() / 2 {
        Circle::new(pairs, dim).multiply(out);
    }
}

/// Adds the gradient of [`tile`] to that in the points on circles. The product over all dimensions but
/// one is that of the dimensions before and after it: nothing is divided by a cosine, which may be 0.
pub(super) fn tile_vjp<T: Scalar>(pairs: &Pairs<'_, T>, cotangent: &[T], scratch: &mut Scratch<T>) {
    if !scratch.wants_feature_gradient(pairs) {
        return;
    }
    let (dims, len) = (pairs.dim() / 2, pairs.len());
    let mut after = scratch.take(dims * len);
    for dim in (0..dims).rev() {
        let (this, next) = after[dim * len..].split_at_mut(len);
        match next.get(..len) {
            None => this.fill(T::from_f64(1.0)),
            Some(next) => {
                this.copy_from_slice(next);
                Circle::new(pairs, dim + 1).multiply(this);
            }
        }
    }
    // cotangent times the factors before this dimension.
    let mut before = scratch.take(len);
    before.copy_from_slice(cotangent);
    scratch.add_point_gradient(pairs, |column, in_rows, in_cols| {
        let dim = column / 2;
        let weight = &mut after[dim * len..][..len];
        if column % 2 == 0 {
            elementwise::multiply(weight, &before);
            Circle::new(pairs, dim).multiply(&mut before);
        }
        let (x, y) = (pairs.x_column(column), pairs.y_column(column));
        dispatch(AddDifferences { x, y, weight, in_rows, in_cols });
    });
    scratch.give(before);
    scratch.give(after);
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn closed_form() {
        let kernel = Cosine::new([3.0, 4.0]);
        let (x, y) = ([0.2, 1.0], [1.0, -3.5]);
        let cosine = |delta: f64, period: f64| (std::f64::consts::TAU * delta / period).cos();
        let expected = cosine(0.8, 3.0) * cosine(4.5, 4.0);
        let value: f64 = kernel.eval(&x, &y).unwrap();
        assert!((value - expected).abs() < 1e-15);
        let cross: Mat<f64> =
            kernel.cross(MatRef::from_row_major_slice(&x, 1, 2), MatRef::from_row_major_slice(&y, 1, 2)).unwrap();
        assert!((cross[(0, 0)] - expected).abs() < 1e-15);
    }

    #[test]
    fn exact_far_from_the_origin_and_on_the_diagonal() {
        let kernel = Cosine::new(0.5);
        let near = kernel.gram(mat![[0.125], [0.3125]].as_ref()).unwrap();
        let far = kernel.gram(mat![[1e12 + 0.125], [0.3125]].as_ref()).unwrap();
        let difference: f64 = near[(1, 0)] - far[(1, 0)];
        assert!(difference.abs() < 1e-15);
        assert_eq!((far[(0, 0)], far[(1, 1)]), (1.0, 1.0));
    }
}
