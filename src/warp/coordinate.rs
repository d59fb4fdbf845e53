//! Maps of each coordinate by itself, in `f64` at either precision: there are only as many values as
//! coordinates, and their derivatives cost more digits than they do.

use faer::Mat;

use crate::kernel::{FeatureGradients, Points};
use crate::params::PerDimension;
use crate::simd::sum::lane_sum;
use crate::simd::{Pass, dispatch, elementwise};
use crate::{Error, Result, Scalar};

/// A map of one coordinate with its N parameters, to be called in vectorised loops: free of branches.
pub(super) trait Coordinate<const N: usize>: Copy {
    fn value<const FMA: bool>(self, x: f64) -> f64;

    /// The derivatives in the coordinate and in each parameter.
    fn slopes<const FMA: bool>(self, x: f64) -> (f64, [f64; N]);
}

struct Forward<'a, T, M, const N: usize> {
    map: M,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar, M: Coordinate<N>, const N: usize> Pass for Forward<'_, T, M, N> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = T::from_f64(self.map.value::<FMA>(x.as_f64()));
        }
    }
}

/// The points that a map for each dimension makes.
pub(super) fn map<'a, T: Scalar, M: Coordinate<N>, const N: usize>(
    points: &Points<'a, T>,
    of: impl Fn(usize) -> M,
) -> Points<'a, T> {
    let mut made = Mat::zeros(points.len(), points.dim());
    for dim in 0..points.dim() {
        dispatch(Forward::<T, M, N> { map: of(dim), x: points.column(dim), out: made.col_as_slice_mut(dim) });
    }
    Points::made(made).with_gradient(true)
}

/// The point that a map for each dimension makes of one point.
pub(super) fn map_point<T: Scalar, M: Coordinate<N>, const N: usize>(x: &[T], out: &mut [T], of: impl Fn(usize) -> M) {
    for (dim, (out, &x)) in out.iter_mut().zip(x).enumerate() {
        *out = T::from_f64(of(dim).value::<false>(x.as_f64()));
    }
}

struct Backward<'a, T, M, const N: usize> {
    map: M,
    x: &'a [T],
    /// Gradient in what was made.
    cotangent: &'a [T],
    /// Gradient in the coordinate.
    in_x: &'a mut [T],
    /// In each parameter, what each point adds.
    in_parameters: [&'a mut [f64]; N],
}

impl<T: Scalar, M: Coordinate<N>, const N: usize> Pass for Backward<'_, T, M, N> {
    type Output = [f64; N];

    #[inline(always)]
    fn run<const FMA: bool>(self) -> [f64; N] {
        let Self { map, x, cotangent, in_x, in_parameters } = self;
        let len = x.len();
        let (cotangent, in_x) = (&cotangent[..len], &mut in_x[..len]);
        let in_parameters = in_parameters.map(|terms| &mut terms[..len]);
        for row in 0..len {
            let c = cotangent[row].as_f64();
            let (slope, slopes) = map.slopes::<FMA>(x[row].as_f64());
            // Where nothing depends on it, a coordinate may be anything.
            let times = |slope: f64| if c == 0.0 { 0.0 } else { c * slope };
            in_x[row] = T::from_f64(times(slope));
            for parameter in 0..N {
                in_parameters[parameter][row] = times(slopes[parameter]);
            }
        }
        in_parameters.map(|terms| lane_sum([terms], |[term]| term))
    }
}

/// From the gradient in what was made: adds to that in the points and in the parameters.
pub(super) fn map_backward<T: Scalar, M: Coordinate<N>, const N: usize>(
    points: &Points<'_, T>,
    made: &Points<'_, T>,
    parameters: [&PerDimension; N],
    gradients: &mut FeatureGradients<T>,
    theta: &mut [f64],
    of: impl Fn(usize) -> M,
) {
    let Some(in_made) = gradients.take(made) else { return };
    let mut in_x = vec![T::from_f64(0.0); points.len()];
    let mut terms = [(); N].map(|()| vec![0.0; points.len()]);
    let mut in_points = gradients.at_mut(points);
    for dim in 0..points.dim() {
        let (x, cotangent) = (points.column(dim), in_made.col_as_slice(dim));
        let in_parameters = terms.each_mut().map(Vec::as_mut_slice);
        let sums = dispatch(Backward { map: of(dim), x, cotangent, in_x: &mut in_x, in_parameters });
        if let Some(in_points) = &mut in_points {
            elementwise::add(in_points.col_as_slice_mut(dim), &in_x);
        }
        let mut first = 0;
        for (parameter, sum) in parameters.iter().zip(sums) {
            theta[first + if parameter.dim().is_some() { dim } else { 0 }] += sum;
            first += parameter.values().len();
        }
    }
}

/// Makes a struct a warp whose `at` gives the [`Coordinate`] of a dimension, from the parameters that it is made of.
macro_rules! coordinate_warp {
    ($type:ident, [$($parameter:ident),+]) => {
        impl crate::warp::WarpExpr for $type {
            fn output_dim(&self, dim: usize) -> crate::Result<usize> {
                let name = crate::params::Parameterized::name(self);
                $(crate::warp::coordinate::check_dim(name, stringify!($parameter), &self.$parameter, dim)?;)+
                Ok(dim)
            }

            fn psd(&self, kernel: crate::kernel::Psd) -> crate::kernel::Psd {
                kernel
            }

            fn reads(&self, _: usize, made: &[bool]) -> Vec<bool> {
                made.to_vec()
            }

            fn differentiable(&self) -> bool {
                true
            }
        }

        impl<T: crate::Scalar> crate::warp::Warp<T> for $type {
            fn forward<'a>(&self, points: &crate::kernel::Points<'a, T>) -> crate::kernel::Points<'a, T> {
                crate::warp::coordinate::map(points, |dim| self.at(dim))
            }

            fn point(&self, x: &[T], out: &mut [T]) {
                crate::warp::coordinate::map_point(x, out, |dim| self.at(dim));
            }

            fn backward(
                &self,
                points: &crate::kernel::Points<'_, T>,
                made: &crate::kernel::Points<'_, T>,
                gradients: &mut crate::kernel::FeatureGradients<T>,
                theta: &mut [f64],
            ) {
                let parameters = [$(&self.$parameter),+];
                crate::warp::coordinate::map_backward(points, made, parameters, gradients, theta, |dim| self.at(dim));
            }
        }
    };
}

pub(super) use coordinate_warp;

/// Refuses points without a value for each dimension.
pub(super) fn check_dim(warp: &str, name: &str, values: &PerDimension, dim: usize) -> Result<()> {
    match values.dim() {
        Some(expected) if expected != dim => {
            let needs = format!("has {expected} value(s) of `{name}`, one for each dimension");
            Err(Error::Dimension { kernel: format!("{warp}(…)"), needs, found: dim })
        }
        _ => Ok(()),
    }
}
