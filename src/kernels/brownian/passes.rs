//! Loops over points and tiles for the two motions.

use faer::Mat;
use num_traits::Float;

use super::law::{Law, Pair, Point, by_length, opposite};
use crate::Scalar;
use crate::kernel::{FeatureGradients, Features, Pairs, Points, Scratch};
use crate::kernels::directions::Augmented;
use crate::kernels::radial::slope_bounded;
use crate::simd::sum::lane_sum;
use crate::simd::{Pass, dispatch, dot, elementwise};

/// Below this cosine, 1 + cos θ has lost digits to the rounding of the cosine.
const NEARLY_OPPOSITE: f64 = -0.9;

fn point<T: Scalar>(law: impl Law<T>, x: impl Iterator<Item = T> + Clone) -> Point<T> {
    let length = Augmented::PLAIN.length(x);
    let log = if length == T::from_f64(0.0) { length } else { Float::ln(length) };
    Point { length, root: law.root(length), log }
}

pub(super) fn pairwise<T: Scalar>(law: impl Law<T>, x: &[T], y: &[T]) -> T {
    let (of_x, of_y) = (point(law, x.iter().copied()), point(law, y.iter().copied()));
    let (shorter, longer) = by_length(of_x, of_y);
    if let (&[x], &[y]) = (x, y) {
        let pair = Pair::on_line(opposite(x, y), shorter.length, longer.length);
        return law.value::<false, true>(shorter, longer, pair);
    }
    let coordinates = || x.iter().copied().zip(y.iter().copied());
    let squared = coordinates().map(|(x, y)| (x - y) * (x - y)).sum();
    let inner = coordinates().map(|(x, y)| x * y).sum();
    let cosine = cosine(inner, of_x.length, of_y.length);
    let versine = if cosine < T::from_f64(NEARLY_OPPOSITE) {
        versine(coordinates(), cosine, of_x.length, of_y.length)
    } else {
        T::from_f64(1.0) + cosine
    };
    law.value::<false, false>(shorter, longer, Pair::in_space(squared, versine, shorter.length, longer.length))
}

/// The cosine of the angle of two points, between −1 and 1; 0 at the origin.
#[inline(always)]
fn cosine<T: Scalar>(inner: T, x: T, y: T) -> T {
    let (zero, one, product) = (T::from_f64(0.0), T::from_f64(1.0), x * y);
    let cosine = if product == zero { zero } else { inner / product };
    let cosine = if cosine > one { one } else { cosine };
    if cosine < -one { -one } else { cosine }
}

/// 1 + cos θ = sin² θ/(1 − cos θ) for points that are nearly opposite.
///
/// |y| sin θ is the length of what is left of y without its part along x. That is taken off twice: the first time leaves
/// the error of the share, and products are exact within the fused operation, so that the rest has all its digits. Which
/// point is which does not depend on their order.
fn versine<T: Scalar>(coordinates: impl Iterator<Item = (T, T)> + Clone, cosine: T, x: T, y: T) -> T {
    let swap = x < y || x == y && coordinates.clone().map(|(a, _)| a).lt(coordinates.clone().map(|(_, b)| b));
    let ordered = coordinates.map(|(a, b)| if swap { (b, a) } else { (a, b) });
    let shorter = if swap { x } else { y };
    let square: T = ordered.clone().map(|(a, _)| a * a).sum();
    let first = ordered.clone().map(|(a, b)| a * b).sum::<T>() / square;
    let rest = ordered.map(|(a, b)| (a, Float::mul_add(-first, a, b)));
    let second = rest.clone().map(|(a, b)| a * b).sum::<T>() / square;
    let sine: T = rest.map(|(a, b)| Float::mul_add(-second, a, b) / shorter).map(|left| left * left).sum();
    sine / (T::from_f64(1.0) - cosine)
}

/// The points, and beside them their length, its power and its logarithm.
pub(super) fn embed<'a, T: Scalar>(law: impl Law<T>, points: &Points<'a, T>) -> Features<'a, T> {
    let matrix = points.matrix();
    let mut made = Mat::zeros(points.len(), 3);
    for row in 0..points.len() {
        let Point { length, root, log } = point(law, (0..points.dim()).map(|d| matrix[(row, d)]));
        [length, root, log].into_iter().enumerate().for_each(|(col, value)| made[(row, col)] = value);
    }
    Features::mapped(Points::made(made), Features::leaf(points.clone()))
}

/// The three features of some points.
#[derive(Clone, Copy)]
struct Columns<'a, T>([&'a [T]; 3]);

impl<'a, T: Scalar> Columns<'a, T> {
    fn of_rows(pairs: &Pairs<'a, T>) -> Self {
        Self([0, 1, 2].map(|d| pairs.x_column(d)))
    }

    fn of_cols(pairs: &Pairs<'a, T>) -> Self {
        Self([0, 1, 2].map(|d| pairs.y_column(d)))
    }

    #[inline(always)]
    fn first(self, len: usize) -> Self {
        Self(self.0.map(|column| &column[..len]))
    }

    #[inline(always)]
    fn at(&self, index: usize) -> Point<T> {
        let [length, root, log] = self.0;
        Point { length: length[index], root: root[index], log: log[index] }
    }
}

/// What a tile reads beside the lengths.
#[derive(Clone, Copy)]
enum Between<'a, T> {
    /// The coordinates on a line, of rows and of columns.
    Line(&'a [T], &'a [T]),
    /// 1 + cos θ, where |x − y|² is where the pass writes.
    Space(&'a [T]),
}

struct Values<'a, T, L> {
    law: L,
    x: Columns<'a, T>,
    y: Columns<'a, T>,
    between: Between<'a, T>,
    out: &'a mut [T],
}

impl<T: Scalar, L: Law<T>> Pass for Values<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { law, x, y, between, out } = self;
        let rows = x.0[0].len();
        let x = x.first(rows);
        for (col, out) in out.chunks_exact_mut(rows).enumerate() {
            let y = y.at(col);
            match between {
                Between::Line(on_rows, on_cols) => {
                    let (on_rows, on_col) = (&on_rows[..rows], on_cols[col]);
                    for row in 0..rows {
                        let (shorter, longer) = by_length(x.at(row), y);
                        let pair = Pair::on_line(opposite(on_rows[row], on_col), shorter.length, longer.length);
                        out[row] = law.value::<FMA, true>(shorter, longer, pair);
                    }
                }
                Between::Space(versines) => {
                    let versines = &versines[col * rows..][..rows];
                    for row in 0..rows {
                        let (shorter, longer) = by_length(x.at(row), y);
                        let pair = Pair::in_space(out[row], versines[row], shorter.length, longer.length);
                        out[row] = law.value::<FMA, false>(shorter, longer, pair);
                    }
                }
            }
        }
    }
}

/// Inner products to 1 + cos θ.
struct Versines<'a, T> {
    x: &'a [T],
    y: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> Pass for Versines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (column, &y) in self.out.chunks_exact_mut(self.x.len()).zip(self.y) {
            for (out, &x) in column.iter_mut().zip(self.x) {
                *out = T::from_f64(1.0) + cosine(*out, x, y);
            }
        }
    }
}

fn fill_versines<T: Scalar>(pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
    let (points, x, y) = (pairs.child(0), pairs.x_column(0), pairs.y_column(0));
    scratch.inner_products(&points, out);
    dispatch(Versines { x, y, out });
    let lost = T::from_f64(1.0 + NEARLY_OPPOSITE);
    for (entry, out) in out.iter_mut().enumerate().filter(|(_, versine)| **versine < lost) {
        let (row, col) = (entry % x.len(), entry / x.len());
        let coordinate = |d| (points.x_column(d)[row], points.y_column(d)[col]);
        *out = versine((0..points.dim()).map(coordinate), *out - T::from_f64(1.0), x[row], y[col]);
    }
}

pub(super) fn tile<T: Scalar>(law: impl Law<T>, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
    let (x, y, points) = (Columns::of_rows(pairs), Columns::of_cols(pairs), pairs.child(0));
    if points.dim() == 1 {
        let between = Between::Line(points.x_column(0), points.y_column(0));
        dispatch(Values { law, x, y, between, out });
        return;
    }
    let mut versines = scratch.take(pairs.len());
    fill_versines(pairs, &mut versines, scratch);
    scratch.squared_distances(&points, out);
    dispatch(Values { law, x, y, between: Between::Space(&versines), out });
    scratch.give(versines);
}

/// A point with itself: nothing lies between.
fn with_itself<T: Scalar>(features: &Features<'_, T>, row: usize) -> (Point<T>, Pair<T>) {
    let columns = Columns([0, 1, 2].map(|d| features.points().column(d)));
    let point = columns.at(row);
    (point, Pair::on_line(false, point.length, point.length))
}

pub(super) fn tile_diag<T: Scalar>(law: impl Law<T>, features: &Features<'_, T>, out: &mut [T]) {
    for (row, out) in out.iter_mut().enumerate() {
        let (point, pair) = with_itself(features, row);
        *out = law.value::<false, true>(point, point, pair);
    }
}

/// What the passes for derivatives share.
struct Given<'a, T, L> {
    law: L,
    x: Columns<'a, T>,
    y: Columns<'a, T>,
    value: &'a [T],
    cotangent: &'a [T],
}

/// Where the derivatives in points go, times the cotangents: those in coordinates on a line, in |x|² in space.
struct Sums<'a, T> {
    in_rows: &'a mut [T],
    in_cols: &'a mut [T],
    /// For the terms of one column, to be added up apart from the loop that makes them.
    of_col: &'a mut [T],
    of_shape: &'a mut [T],
}

/// One pass over a tile on a line for all derivatives.
struct LinePass<'a, T, L> {
    given: Given<'a, T, L>,
    sums: Sums<'a, T>,
    on_rows: &'a [T],
    on_cols: &'a [T],
}

/// −1, 0 or 1.
#[inline(always)]
fn sign<T: Scalar>(x: T) -> T {
    let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
    let positive = if x > zero { one } else { zero };
    if x < zero { -one } else { positive }
}

impl<T: Scalar, L: Law<T>> Pass for LinePass<'_, T, L> {
    /// Σ cotangent · dk/dθ for the second parameter.
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let Given { law, x, y, value, cotangent } = self.given;
        let Sums { in_rows, in_cols, of_col, of_shape } = self.sums;
        let rows = in_rows.len();
        let (x, on_rows) = (x.first(rows), &self.on_rows[..rows]);
        let (of_col, of_shape) = (&mut of_col[..rows], &mut of_shape[..rows]);
        let mut shape = T::from_f64(0.0);
        for (col, in_col) in in_cols.iter_mut().enumerate() {
            let (col_point, on_col) = (y.at(col), self.on_cols[col]);
            let (value, cotangent) = (&value[col * rows..][..rows], &cotangent[col * rows..][..rows]);
            for row in 0..rows {
                let (row_point, on_row, c) = (x.at(row), on_rows[row], cotangent[row]);
                let (shorter, longer) = by_length(row_point, col_point);
                let opposite = opposite(on_row, on_col);
                let pair = Pair::on_line(opposite, shorter.length, longer.length);
                let slopes = law.line_slopes::<FMA>(shorter, longer, pair, value[row]);
                let swapped = row_point.length < col_point.length;
                // Of the longer one: the shorter may be at the origin, and is then on no side.
                let side = sign(if swapped { on_col } else { on_row });
                let side = if Float::is_nan(shorter.length) { shorter.length } else { side };
                let in_longer = c * (side * slopes.longer);
                let in_shorter = c * (side * if opposite { -slopes.shorter } else { slopes.shorter });
                in_rows[row] += if swapped { in_shorter } else { in_longer };
                of_col[row] = if swapped { in_longer } else { in_shorter };
                of_shape[row] = c * slopes.shape;
            }
            *in_col += lane_sum([&*of_col], |[term]| term);
            shape += lane_sum([&*of_shape], |[term]| term);
        }
        shape
    }
}

/// One pass over a tile in space for all derivatives.
struct SpacePass<'a, T, L> {
    given: Given<'a, T, L>,
    sums: Sums<'a, T>,
    /// |x − y|² on entry, cotangent · the slope in it on return.
    squared: &'a mut [T],
    /// 1 + cos θ on entry, cotangent · the slope in xᵀy on return.
    versine: &'a mut [T],
}

impl<T: Scalar, L: Law<T>> Pass for SpacePass<'_, T, L> {
    /// Σ cotangent · dk/dθ for the second parameter.
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let Given { law, x, y, value, cotangent } = self.given;
        let Sums { in_rows, in_cols, of_col, of_shape } = self.sums;
        let rows = in_rows.len();
        let x = x.first(rows);
        let (of_col, of_shape) = (&mut of_col[..rows], &mut of_shape[..rows]);
        let mut shape = T::from_f64(0.0);
        for (col, in_col) in in_cols.iter_mut().enumerate() {
            let (col_point, part) = (y.at(col), col * rows..(col + 1) * rows);
            let (squared, versine) = (&mut self.squared[part.clone()], &mut self.versine[part.clone()]);
            let (value, cotangent) = (&value[part.clone()], &cotangent[part]);
            for row in 0..rows {
                let (row_point, c) = (x.at(row), cotangent[row]);
                let (shorter, longer) = by_length(row_point, col_point);
                let pair = Pair::in_space(squared[row], versine[row], shorter.length, longer.length);
                let slopes = law.space_slopes::<FMA>(shorter, longer, pair, squared[row], value[row]);
                squared[row] = slope_bounded(c * slopes.squared);
                versine[row] = slope_bounded(c * slopes.inner);
                let (in_shorter, in_longer) = (slope_bounded(c * slopes.shorter), slope_bounded(c * slopes.longer));
                let swapped = row_point.length < col_point.length;
                in_rows[row] += if swapped { in_shorter } else { in_longer };
                of_col[row] = if swapped { in_longer } else { in_shorter };
                of_shape[row] = c * slopes.shape;
            }
            *in_col += lane_sum([&*of_col], |[term]| term);
            shape += lane_sum([&*of_shape], |[term]| term);
        }
        shape
    }
}

/// Adds to the gradients of the points, and to `theta` for the variance and for the second parameter, if there is one.
pub(super) fn tile_vjp<T: Scalar>(
    law: impl Law<T>,
    variance: f64,
    pairs: &Pairs<'_, T>,
    value: &[T],
    cotangent: &[T],
    theta: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    let points = pairs.child(0);
    let (value, cotangent) = (&value[..pairs.len()], &cotangent[..pairs.len()]);
    let given = Given { law, x: Columns::of_rows(pairs), y: Columns::of_cols(pairs), value, cotangent };
    let [mut in_rows, mut of_col, mut of_shape] = [(); 3].map(|()| scratch.take(pairs.nrows()));
    let mut in_cols = scratch.take(pairs.ncols());
    in_rows.fill(T::from_f64(0.0));
    in_cols.fill(T::from_f64(0.0));
    let sums = Sums { in_rows: &mut in_rows, in_cols: &mut in_cols, of_col: &mut of_col, of_shape: &mut of_shape };
    let shape = if points.dim() == 1 {
        let shape = dispatch(LinePass { given, sums, on_rows: points.x_column(0), on_cols: points.y_column(0) });
        scratch.add_point_gradient(&points, |_, rows, cols| {
            elementwise::add(rows, &in_rows);
            elementwise::add(cols, &in_cols);
        });
        shape
    } else {
        let (mut squared, mut versine) = (scratch.take(pairs.len()), scratch.take(pairs.len()));
        fill_versines(pairs, &mut versine, scratch);
        scratch.squared_distances(&points, &mut squared);
        let shape = dispatch(SpacePass { given, sums, squared: &mut squared, versine: &mut versine });
        scratch.add_squared_distance_gradient(&points, |gradient| elementwise::add(gradient, &squared));
        scratch.add_inner_product_gradient(&points, |gradient| elementwise::add(gradient, &versine));
        // d|x|²/dx = 2x
        scratch.add_point_gradient(&points, |dim, rows, cols| {
            add_doubled(rows, points.x_column(dim), &in_rows);
            add_doubled(cols, points.y_column(dim), &in_cols);
        });
        [squared, versine].into_iter().for_each(|buffer| scratch.give(buffer));
        shape
    };
    [in_rows, in_cols, of_col, of_shape].into_iter().for_each(|buffer| scratch.give(buffer));
    add_parameters(theta, dot(cotangent, value).as_f64() / variance, shape.as_f64());
}

fn add_doubled<T: Scalar>(sums: &mut [T], x: &[T], in_squares: &[T]) {
    for ((sum, &x), &slope) in sums.iter_mut().zip(x).zip(in_squares) {
        *sum += (x + x) * slope;
    }
}

fn add_parameters(theta: &mut [f64], in_variance: f64, in_shape: f64) {
    theta.iter_mut().zip([in_variance, in_shape]).for_each(|(sum, slope)| *sum += slope);
}

/// The derivatives of k(x, x), a function of |x|: both arguments move.
pub(super) fn tile_diag_vjp<T: Scalar>(
    law: impl Law<T>,
    variance: f64,
    features: &Features<'_, T>,
    cotangent: &[T],
    theta: &mut [f64],
    gradients: &mut FeatureGradients<T>,
) {
    let points = features.child(0).points();
    for (row, &c) in cotangent.iter().enumerate() {
        let (point, pair) = with_itself(features, row);
        let value = law.value::<false, true>(point, point, pair);
        let slopes = law.line_slopes::<false>(point, point, pair, value);
        add_parameters(theta, (c * value).as_f64() / variance, (c * slopes.shape).as_f64());
        if let Some(in_points) = gradients.at_mut(points).filter(|_| point.length != T::from_f64(0.0)) {
            let slope = c * (slopes.shorter + slopes.longer);
            for dim in 0..points.dim() {
                in_points[(row, dim)] += slope * (points.column(dim)[row] / point.length);
            }
        }
    }
}
