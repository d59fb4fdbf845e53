//! The integral of Brownian motion.

use num_traits::Float;

use super::markov::motion;
use crate::kernel::{
    DiagVjp, Expr, Features, Inputs, Kernel, Markov, MarkovTerm, Pairs, Properties, Psd, Scratch, Structure, TileParts,
    TileVjp, Variable, Views, text,
};
use crate::simd::sum::lane_sum;
use crate::simd::{Pass, dispatch, dot};
use crate::{Error, Result, Scalar};

crate::kernel! {
    /// The integral of [`Brownian`](super::Brownian) motion from 0, to both sides of the origin: value and slope are 0
    /// there. Its posterior means are cubic splines.
    ///
    /// # Definition
    ///
    /// k(x, y) = σ² (l³/3 + |x − y| l²/2), with l = min(|x|, |y|) for numbers on one side of the origin, and 0 for numbers
    /// on opposite sides
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `variance` | σ² | that of the outputs squared, over that of the inputs to the power 3 | positive |
    ///
    /// # Properties
    ///
    /// Of numbers, points with one coordinate; of more, [`on`](crate::algebra::Compose::on) takes one. Not stationary;
    /// once differentiable samples, whose slope is Brownian motion of variance σ². Positive semi-definite: it is the
    /// integral of σ² (x − u)₊ (y − u)₊ over u > 0 for positive x and y, and the two sides are independent. Started at a random
    /// height with a random slope, by `+ Linear::new(…) + 1.0`, it smooths by a cubic spline (Wahba 1990).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = IntegratedBrownian::new(6.0);
    /// assert_eq!(kernel.eval(&[1.0], &[3.0])?, 8.0); // 6 (1/3 + 2 · 1/2)
    /// assert_eq!(kernel.eval(&[-1.0], &[3.0])?, 0.0);
    /// assert_eq!((0.5 * kernel.clone()).eval(&[-2.0], &[-2.0])?, 8.0);
    ///
    /// assert!(kernel.eval(&[1.0, 2.0], &[3.0, 4.0]).is_err());
    /// assert_eq!(kernel.on([1]).eval(&[7.0, 1.0], &[0.0, 3.0])?, 8.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// - Wahba (1990), *Spline Models for Observational Data*, chapter 1,
    ///   [doi:10.1137/1.9781611970128](https://doi.org/10.1137/1.9781611970128).
    /// - Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 6.28.
    #[doc(alias = "Wiener velocity")]
    #[doc(alias = "integrated Wiener process")]
    #[doc(alias = "cubic spline kernel")]
    pub IntegratedBrownian as "integrated_brownian" {
        /// The variance σ² of the Brownian motion.
        variance: Scalar = Positive,
    }
}

impl IntegratedBrownian {
    fn half_variance<T: Scalar>(&self) -> T {
        T::from_f64(0.5 * self.variance())
    }
}

impl Markov for IntegratedBrownian {
    fn terms(&self, theta: &[Variable], _: Option<f64>) -> std::result::Result<Vec<MarkovTerm>, String> {
        Ok(vec![MarkovTerm::of(motion::integrated_brownian(Variable::constant(1.0))).scaled(theta[0])])
    }
}

impl Expr for IntegratedBrownian {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().markov(self))
    }

    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::UpTo(1)).differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        if dim == 1 {
            return Ok(Inputs::all(dim));
        }
        let needs = "reads one coordinate, which `.on([…])` takes out of more,".to_owned();
        Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim })
    }
}

/// |x| and |y| by size, the smaller first, which is 0 if they are on opposite sides; NaN for both if one is NaN.
#[inline(always)]
fn by_size<T: Scalar>(x: T, y: T) -> (T, T) {
    let zero = T::from_f64(0.0);
    let (a, b) = (Float::abs(x), Float::abs(y));
    let (least, most) = if a < b { (a, b) } else { (b, a) };
    let opposite = (x < zero) & (y > zero) | (x > zero) & (y < zero);
    let least = if opposite { zero } else { least };
    let lost = least + most;
    if Float::is_nan(lost) { (lost, lost) } else { (least, most) }
}

/// σ²/2 l² (m − l/3): nothing cancels, and no part overflows or vanishes before the whole but by the variance.
#[inline(always)]
fn value<T: Scalar>(half_variance: T, x: T, y: T) -> T {
    let (least, most) = by_size(x, y);
    (half_variance * least) * (least * (most - least * T::from_f64(1.0 / 3.0)))
}

/// dk/dx and dk/dy: σ² l (m − l/2) in the smaller, and σ² l²/2 in the larger, to the side that they are on.
#[inline(always)]
fn slopes<T: Scalar>(half_variance: T, x: T, y: T) -> (T, T) {
    let (least, most) = by_size(x, y);
    let signed = if x < T::from_f64(0.0) { -half_variance } else { half_variance } * least;
    let (in_least, in_most) = (signed * (most + (most - least)), signed * least);
    if Float::abs(x) < Float::abs(y) { (in_least, in_most) } else { (in_most, in_least) }
}

struct Values<'a, T> {
    half_variance: T,
    x: &'a [T],
    y: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> Pass for Values<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (column, &y) in self.out.chunks_exact_mut(self.x.len()).zip(self.y) {
            for (out, &x) in column.iter_mut().zip(self.x) {
                *out = value(self.half_variance, x, y);
            }
        }
    }
}

/// Adds cotangent · dk/dx to the rows and cotangent · dk/dy to the columns, summed over the block.
struct Gradients<'a, T> {
    half_variance: T,
    x: &'a [T],
    y: &'a [T],
    cotangent: &'a [T],
    in_rows: &'a mut [T],
    in_cols: &'a mut [T],
}

impl<T: Scalar> Pass for Gradients<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let columns = self.cotangent.chunks_exact(self.x.len()).zip(self.y).zip(self.in_cols);
        for ((cotangent, &y), in_col) in columns {
            for ((in_row, &c), &x) in self.in_rows.iter_mut().zip(cotangent).zip(self.x) {
                *in_row += c * slopes(self.half_variance, x, y).0;
            }
            *in_col += lane_sum([cotangent, self.x], |[c, x]| c * slopes(self.half_variance, x, y).1);
        }
    }
}

impl<T: Scalar> Kernel<T> for IntegratedBrownian {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        value(self.half_variance(), x[0], y[0])
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], _: &mut Scratch<T>) {
        let (x, y) = (pairs.x_column(0), pairs.y_column(0));
        dispatch(Values { half_variance: self.half_variance(), x, y, out });
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        for (out, &x) in out.iter_mut().zip(features.points().column(0)) {
            *out = value(self.half_variance(), x, x);
        }
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, value, cotangent, theta, scratch } = to.with_value(self);
        theta[0] += dot(cotangent, value).as_f64() / self.variance();
        let (half_variance, x, y) = (self.half_variance(), pairs.x_column(0), pairs.y_column(0));
        scratch.add_point_gradient(pairs, |_, in_rows, in_cols| {
            dispatch(Gradients { half_variance, x, y, cotangent, in_rows, in_cols });
        });
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let (points, half_variance) = (features.points(), self.half_variance::<T>());
        for (&x, &c) in points.column(0).iter().zip(cotangent) {
            theta[0] += (c * value(half_variance, x, x)).as_f64() / self.variance();
        }
        if let Some(in_points) = gradients.at_mut(points) {
            for ((out, &x), &c) in in_points.col_as_slice_mut(0).iter_mut().zip(points.column(0)).zip(cotangent) {
                let (in_x, in_y) = slopes(half_variance, x, x);
                *out += c * (in_x + in_y);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::kernel::{GradientRequest, cross_vjp};
    use crate::prelude::*;

    /// σ² ∫ (x − u)₊ (y − u)₊ du over u > 0 by Simpson's rule, which is exact for it; 0 for opposite sides.
    fn integral(variance: f64, x: f64, y: f64) -> f64 {
        let end = if x * y > 0.0 { x.abs().min(y.abs()) } else { 0.0 };
        let term = |u: f64| (x.abs() - u) * (y.abs() - u);
        variance * end / 6.0 * (term(0.0) + 4.0 * term(0.5 * end) + term(end))
    }

    const POINTS: [f64; 9] = [0.0, 0.3, -0.3, 1.7, 1.700001, -2.5, 1e-12, -1e8, 1e8];

    #[test]
    fn it_is_the_integral() {
        let points = Mat::from_fn(9, 1, |row, _| POINTS[row]);
        let gram: Mat<f64> = IntegratedBrownian::new(0.7).gram(points.as_ref()).unwrap();
        let single = Mat::from_fn(9, 1, |row, _| POINTS[row] as f32);
        let single: Mat<f32> = IntegratedBrownian::new(0.7).gram(single.as_ref()).unwrap();
        for (i, x) in POINTS.into_iter().enumerate() {
            for (j, y) in POINTS.into_iter().enumerate() {
                let expected = integral(0.7, x, y);
                assert_relative_eq!(gram[(i, j)], expected, epsilon = 0.0, max_relative = 8.0 * f64::EPSILON);
                let expected = integral(0.7, f64::from(x as f32), f64::from(y as f32));
                let most = 8.0 * f64::from(f32::EPSILON);
                assert_relative_eq!(f64::from(single[(i, j)]), expected, epsilon = 0.0, max_relative = most);
            }
        }
    }

    #[test]
    fn gradients_are_those_of_the_integral() {
        let kernel = IntegratedBrownian::new(0.7).dynamic();
        let one = mat![[1.0]];
        for x in POINTS {
            for y in POINTS {
                let (x_row, y_row) = (mat![[x]], mat![[y]]);
                let all = GradientRequest::ALL;
                let found = cross_vjp(&kernel, x_row.as_ref(), y_row.as_ref(), one.as_ref(), all, Par::Seq).unwrap();
                // σ² ∫ (y − u) du up to the smaller, for positive numbers.
                let slope = |x: f64, y: f64| {
                    let end = if x * y > 0.0 { x.abs().min(y.abs()) } else { 0.0 };
                    0.7 * x.signum() * end * (y.abs() - 0.5 * end)
                };
                let most = 8.0 * f64::EPSILON;
                let (in_x, in_y) = (found.x.unwrap()[(0, 0)], found.z.unwrap()[(0, 0)]);
                assert_relative_eq!(in_x, slope(x, y), epsilon = 0.0, max_relative = most);
                assert_relative_eq!(in_y, slope(y, x), epsilon = 0.0, max_relative = most);
                assert_relative_eq!(found.theta[0], integral(1.0, x, y), epsilon = 0.0, max_relative = most);
            }
        }
    }

    #[test]
    fn what_is_between_does_not_overflow() {
        for (x, y, expected) in [(1e-15, 1e30, 0.5), (1e-22, 1e38, 5e-7), (2e-19, 3e38, 6.0)] {
            let value: f32 = IntegratedBrownian::new(1.0).eval(&[x], &[y]).unwrap();
            assert_relative_eq!(value, expected, epsilon = 0.0, max_relative = 4e-7);
        }
    }

    #[test]
    fn the_slope_is_brownian_motion() {
        let h = 1e-4;
        let kernel = IntegratedBrownian::new(0.7);
        for (x, y) in [(1.0, 2.5), (2.5, 1.0), (-1.5, -0.3), (-1.5, 0.3)] {
            let at = |dx: f64, dy: f64| -> f64 { kernel.eval(&[x + dx], &[y + dy]).unwrap() };
            let mixed = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4.0 * h * h);
            let motion: f64 = Brownian::new(0.7).eval(&[x], &[y]).unwrap();
            assert!((mixed - motion).abs() < 1e-6, "{x} {y}: {mixed}, {motion}");
        }
    }
}
