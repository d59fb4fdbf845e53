//! Brownian motion and its fractional form.

mod law;
mod passes;

use law::{Fractional, Plain};

use super::markov::motion;
use crate::kernel::{
    DiagVjp, Expr, Features, Kernel, Markov, MarkovTerm, Pairs, Points, Properties, Psd, Scratch, Structure, TileParts,
    TileVjp, Variable, Views,
};
use crate::{Real, Scalar};

/// Makes a type with a variance and a law at every precision a kernel.
macro_rules! motion_kernel {
    ($type:ty $(, $view:ident)?) => {
        impl Expr for $type {
            $(fn structure(&self) -> Structure<'_> {
                Structure::Leaf(Views::none().$view(self))
            })?

            fn properties(&self) -> Properties {
                Properties::unknown().psd(Psd::Always).differentiable()
            }
        }

        impl<T: Scalar> Kernel<T> for $type {
            fn pairwise(&self, x: &[T], y: &[T]) -> T {
                passes::pairwise(self.law::<T>(), x, y)
            }

            fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
                passes::embed(self.law::<T>(), points)
            }

            fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
                passes::tile(self.law::<T>(), pairs, out, scratch);
            }

            fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
                passes::tile_diag(self.law::<T>(), features, out);
            }

            fn tile_vjp(&self, to: TileVjp<'_, T>) {
                let TileParts { pairs, value, cotangent, theta, scratch } = to.with_value(self);
                passes::tile_vjp(self.law::<T>(), self.variance(), pairs, value, cotangent, theta, scratch);
            }

            fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
                let DiagVjp { features, cotangent, theta, gradients } = to;
                passes::tile_diag_vjp(self.law::<T>(), self.variance(), features, cotangent, theta, gradients);
            }
        }
    };
}

crate::kernel! {
    /// Brownian motion that is 0 at the origin, to both sides of it; in more than one dimension, Lévy's.
    ///
    /// # Definition
    ///
    /// k(x, y) = σ²/2 (|x| + |y| − |x − y|), which is σ² min(x, y) for positive numbers, and 0 for numbers on
    /// opposite sides of the origin.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `variance` | σ² | that of the outputs squared, over that of the inputs | positive |
    ///
    /// # Properties
    ///
    /// Not stationary, but of stationary increments: E (f(x) − f(y))² = σ² |x − y|. Samples are continuous
    /// and nowhere differentiable; positive semi-definite in any dimension (Lévy 1965). The kinks at x = y and at
    /// the origin have no derivative: the gradient of |x − y| and of |x| is 0 there.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Brownian::new(2.0);
    /// assert_eq!(kernel.eval(&[1.5], &[4.0])?, 3.0);
    /// assert_eq!(kernel.eval(&[-1.5], &[4.0])?, 0.0);
    /// // Started at a random height.
    /// assert_eq!((kernel + 0.5).eval(&[1.5], &[4.0])?, 3.5);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// P. Lévy (1965), *Processus stochastiques et mouvement brownien*, second edition, Gauthier-Villars.
    #[doc(alias = "Wiener process")]
    pub Brownian as "brownian" {
        /// The variance σ².
        variance: Scalar = Positive,
    }
}

motion_kernel!(Brownian, markov);

impl Markov for Brownian {
    fn terms(&self, theta: &[Variable], _: Option<f64>) -> Result<Vec<MarkovTerm>, String> {
        let one = Variable::from_f64(1.0);
        Ok(vec![MarkovTerm::of(motion::brownian(one)).scaled(theta[0])])
    }
}

impl Brownian {
    fn law<T: Scalar>(&self) -> Plain<T> {
        Plain { variance: T::from_f64(self.variance()) }
    }
}

crate::kernel! {
    /// Fractional Brownian motion that is 0 at the origin; in more than one dimension, Lévy's.
    ///
    /// # Definition
    ///
    /// k(x, y) = σ²/2 (|x|²ᴴ + |y|²ᴴ − |x − y|²ᴴ)
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `variance` | σ² | that of the outputs squared, over that of the inputs to the power 2H | positive |
    /// | `hurst` | H | none | between 0 and 1 |
    ///
    /// # Properties
    ///
    /// Not stationary, but of stationary increments: E (f(x) − f(y))² = σ² |x − y|²ᴴ. Samples are
    /// Hölder-continuous of every order below H; H = 1/2 is [`Brownian`]. Increments are positively
    /// correlated for H > 1/2. Positive semi-definite in any dimension, because |x − y|²ᴴ is
    /// conditionally negative definite for H ≤ 1. At x = y and at the origin, where there is no derivative
    /// for H ≤ 1/2, gradients are 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = FractionalBrownian::new(2.0, 0.75);
    /// let expected = 4f64.powf(1.5) + 1.0 - 3f64.powf(1.5);
    /// assert!((kernel.eval(&[4.0], &[1.0])? - expected).abs() < 1e-14);
    /// assert!(((0.5 * kernel).eval(&[4.0], &[1.0])? - 0.5 * expected).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// B. B. Mandelbrot & J. W. Van Ness (1968), "Fractional Brownian motions, fractional noises and
    /// applications", *SIAM Review* 10(4), 422–437.
    #[doc(alias = "fBm")]
    pub FractionalBrownian as "fractional_brownian" {
        /// The variance σ².
        variance: Scalar = Positive,
        /// The Hurst index H.
        hurst: Scalar = Interval { lower: 0.0, upper: 1.0 },
    }
}

motion_kernel!(FractionalBrownian);

impl FractionalBrownian {
    fn law<T: Scalar>(&self) -> Fractional<T> {
        Fractional::new(self.variance(), self.hurst())
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use crate::kernel::{GradientRequest, cross_vjp};
    use crate::prelude::*;
    use crate::testkit::{seed, trials};

    /// The rows of a kind in the file of reference values, which says what they are.
    fn reference(kind: &str) -> Vec<[f64; 8]> {
        let number = |field: &str| field.parse::<f64>().unwrap();
        let rows = include_str!("../../../tests/data/brownian.csv").lines().filter_map(|line| line.strip_prefix(kind));
        let rows = rows.map(|row| row.split(',').skip(1).map(number).collect::<Vec<_>>().try_into().unwrap());
        rows.collect()
    }

    /// k, its gradient in x, in z, and in the parameters, for two points.
    fn evaluate<T: Scalar>(kernel: &DynKernel, x: &[f64], z: &[f64]) -> (f64, Vec<f64>, Vec<f64>, Vec<f64>) {
        let points = |x: &[f64]| Mat::from_fn(1, x.len(), |_, d| T::from_f64(x[d]));
        let (x, z, one) = (points(x), points(z), Mat::from_fn(1, 1, |_, _| T::from_f64(1.0)));
        let value: Mat<T> = kernel.cross(x.as_ref(), z.as_ref()).unwrap();
        let gradients =
            cross_vjp(kernel, x.as_ref(), z.as_ref(), one.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
        let row = |matrix: Option<Mat<T>>| matrix.unwrap().row(0).iter().map(|v| v.as_f64()).collect();
        (value[(0, 0)].as_f64(), row(gradients.x), row(gradients.z), gradients.theta)
    }

    fn line<T: Scalar>() {
        // 16 rounding units of the type; a power has up to 3, and goes through some ten operations.
        let most = 8.0 * T::epsilon().as_f64();
        for [hurst, x, y, k, in_x, in_y, in_hurst, terms] in reference("line") {
            let kernel = FractionalBrownian::new(1.0, hurst).dynamic();
            let (value, by_x, by_y, theta) = evaluate::<T>(&kernel, &[x], &[y]);
            assert_relative_eq!(value, k, epsilon = 0.0, max_relative = most);
            let eval: T = kernel.eval(&[T::from_f64(x)], &[T::from_f64(y)]).unwrap();
            assert_relative_eq!(eval.as_f64(), k, epsilon = 0.0, max_relative = most);
            assert_relative_eq!(by_x[0], in_x, epsilon = 0.0, max_relative = 2.0 * most);
            assert_relative_eq!(by_y[0], in_y, epsilon = 0.0, max_relative = 2.0 * most);
            assert_relative_eq!(theta[0], k, epsilon = 0.0, max_relative = most);
            assert_abs_diff_eq!(theta[1], in_hurst, epsilon = 4.0 * most * terms);
        }
    }

    #[test]
    fn fractional_motion_on_a_line_is_right_to_the_last_digits() {
        line::<f64>();
        line::<f32>();
    }

    #[test]
    fn in_a_plane_too() {
        let (unit, single) = (16.0 * f64::EPSILON, 16.0 * f64::from(f32::EPSILON));
        for [hurst, x0, x1, y0, y1, k, in_x0, in_x1] in reference("plane") {
            let (x, y) = ([x0, x1], [y0, y1]);
            let kernel = match hurst {
                0.5 => Brownian::new(1.0).dynamic(),
                _ => FractionalBrownian::new(1.0, hurst).dynamic(),
            };
            let (value, by_x, _, _) = evaluate::<f64>(&kernel, &x, &y);
            assert_relative_eq!(value, k, epsilon = 0.0, max_relative = unit);
            let eval: f64 = kernel.eval(&x, &y).unwrap();
            assert_relative_eq!(eval, k, epsilon = 0.0, max_relative = unit);
            // It is H (x |x|^(p−2) − (x − y) |x − y|^(p−2)), right to rounding of the larger term.
            let terms = [x0.hypot(x1), (x0 - y0).hypot(x1 - y1)].map(|length| length.powf(2.0 * hurst - 1.0));
            let epsilon = 16.0 * f64::EPSILON * terms[0].max(terms[1]);
            assert_abs_diff_eq!(by_x[0], in_x0, epsilon = epsilon);
            assert_abs_diff_eq!(by_x[1], in_x1, epsilon = epsilon);
            let (value, ..) = evaluate::<f32>(&kernel, &x, &y);
            assert_relative_eq!(value, k, epsilon = 0.0, max_relative = single);
        }
    }

    #[test]
    fn far_points_in_a_plane_have_gradients() {
        // H, k and dk/dx for x = (10⁸, 2 · 10⁷), y = (0.3, 0.4), from 120 digits.
        for [hurst, k, in_x0, in_x1] in [
            [0.3, 0.32994695891388953, -3.8957157274496376e-13, 5.482334529657222e-13],
            [0.5, 0.43631032810878656, -3.2057445021943554e-10, 1.6028722647215918e-09],
            [0.8, 19031.397424300874, 7.704952457063377e-05, 0.000185689354155957],
        ] {
            let (value, by_x, _, theta) =
                evaluate::<f64>(&FractionalBrownian::new(1.0, hurst).dynamic(), &[1e8, 2e7], &[0.3, 0.4]);
            assert_relative_eq!(value, k, epsilon = 0.0, max_relative = 16.0 * f64::EPSILON);
            assert_relative_eq!(theta[0], k, epsilon = 0.0, max_relative = 16.0 * f64::EPSILON);
            assert_relative_eq!(by_x[0], in_x0, epsilon = 0.0, max_relative = 1e-14);
            assert_relative_eq!(by_x[1], in_x1, epsilon = 0.0, max_relative = 1e-14);
        }
    }

    fn single_and_double(x: f32, y: f32, hurst: f64) {
        let kernel = FractionalBrownian::new(0.7, hurst).dynamic();
        let (x, y) = ([f64::from(x)], [f64::from(y)]);
        let (exact, single) = (evaluate::<f64>(&kernel, &x, &y), evaluate::<f32>(&kernel, &x, &y));
        let most = 8.0 * f64::from(f32::EPSILON);
        // What is below the normal numbers of f32 has fewer digits.
        let within = |most: f64, found: f64, exact: f64| {
            (exact.abs() < 1e-36 && found.abs() < 2e-36)
                || exact.abs() > 3e38
                || (found - exact).abs() <= most * exact.abs()
        };
        let close = |found: f64, exact: f64| within(2.0 * most, found, exact);
        assert!(within(most, single.0, exact.0), "k({x:?}, {y:?}), H = {hurst}: {} {}", single.0, exact.0);
        assert!(close(single.1[0], exact.1[0]), "dk/dx({x:?}, {y:?}), H = {hurst}: {:?} {:?}", single.1, exact.1);
        assert!(close(single.2[0], exact.2[0]), "dk/dy({x:?}, {y:?}), H = {hurst}: {:?} {:?}", single.2, exact.2);
    }

    #[test]
    fn single_precision_is_double_precision_rounded() {
        let mut rng = Pcg64::seed_from_u64(seed(41));
        for trial in 0..trials(300) {
            let side = |rng: &mut Pcg64| if rng.random_bool(0.5) { 1.0 } else { -1.0 };
            let x = side(&mut rng) * 10f32.powf(rng.random_range(-25.0..25.0));
            let y = match trial % 3 {
                0 => side(&mut rng) * 10f32.powf(rng.random_range(-25.0..25.0)),
                1 => x * (1.0 + 10f32.powf(rng.random_range(-6.0..0.0))),
                _ => side(&mut rng) * x * 10f32.powf(rng.random_range(-3.0..3.0)),
            };
            let hurst = match trial % 4 {
                0 => rng.random_range(0.01..0.99),
                1 => 0.5 + side(&mut rng) as f64 * 10f64.powf(rng.random_range(-12.0..-0.5)),
                2 => 10f64.powf(rng.random_range(-6.0..-0.5)),
                _ => 1.0 - 10f64.powf(rng.random_range(-6.0..-0.5)),
            };
            single_and_double(x, y, hurst.clamp(1e-6, 1.0 - 1e-6));
        }
    }

    #[test]
    fn motion_on_a_line_is_the_smaller_number_or_nothing() {
        let sizes = [5e-324, 1e-308, 1e-200, 1e-45, 1e-3, 0.1, 1.0, 1.0f64.next_up(), 3.3, 1e6, 1e38, 1e200, f64::MAX];
        let x: Vec<f64> = sizes.iter().flat_map(|&x| [x, -x]).chain([0.0]).collect();
        let exact = |x: f64, y: f64| if x * y.signum() > 0.0 { x.abs().min(y.abs()) } else { 0.0 };
        let points = Mat::from_fn(x.len(), 1, |row, _| x[row]);
        let gram: Mat<f64> = Brownian::new(1.0).gram(points.as_ref()).unwrap();
        assert_eq!(gram, Mat::from_fn(x.len(), x.len(), |i, j| exact(x[i], x[j])));
        let single = |row: usize| (x[row] as f32).clamp(f32::MIN, f32::MAX);
        let points = Mat::from_fn(x.len(), 1, |row, _| single(row));
        let gram: Mat<f32> = Brownian::new(1.0).gram(points.as_ref()).unwrap();
        let exact = |i: usize, j: usize| exact(f64::from(single(i)), f64::from(single(j))) as f32;
        assert_eq!(gram, Mat::from_fn(x.len(), x.len(), exact));
    }

    #[test]
    fn the_row_of_the_origin_is_0() {
        for kernel in [
            Brownian::new(0.8).dynamic(),
            FractionalBrownian::new(0.8, 0.2).dynamic(),
            FractionalBrownian::new(0.8, 0.8).dynamic(),
        ] {
            for x in [mat![[0.0], [2.2], [-1e8], [1e-30]], mat![[0.0, 0.0], [2.2, 0.1], [-1e8, 3.0], [1e-9, 1e-8]]] {
                let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
                let single = Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] as f32);
                let single: Mat<f32> = kernel.gram(single.as_ref()).unwrap();
                for row in 0..4 {
                    assert_eq!((gram[(row, 0)], single[(row, 0)]), (0.0, 0.0));
                }
            }
        }
    }

    #[test]
    fn index_one_half_is_brownian_motion() {
        let x = mat![[0.0, 0.0], [0.25, -1.0], [1.5, 0.3], [-7.0, 2.0]];
        let gram: Mat<f64> = Brownian::new(0.8).gram(x.as_ref()).unwrap();
        let fractional: Mat<f64> = FractionalBrownian::new(0.8, 0.5).gram(x.as_ref()).unwrap();
        assert!((&gram - &fractional).norm_max() < 1e-14);
    }
}
