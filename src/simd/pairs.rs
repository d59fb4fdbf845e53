//! Squared distances and inner products of a block of pairs, and their derivatives.
//!
//! Distances are sums of squared differences, never ‖x‖² + ‖y‖² − 2xᵀy, which loses all digits for
//! close points far from the origin. Blocks of rows by four columns are held in registers, so that
//! each coordinate is loaded once for several pairs.

use super::sum::lane_sum;
use super::{Pass, dispatch};
use crate::Scalar;

/// Columns that are computed together: with 16 rows of `f64`, the partial results fill eight of the
/// 32 registers of AVX-512; more columns made the compiler spill them.
const TOGETHER: usize = 4;

/// The points of a block, copied into the order in which the loops read them: rows in groups of
/// [`GROUP`] by dimension, columns by dimension; both filled up to whole groups with zeros.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    buffer: Vec<T>,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) dim: usize,
    /// What differences are to be multiplied by; empty if by nothing.
    weights: Vec<T>,
}

/// Rows in a group: two vector registers of `f64` in AVX-512, one of `f32`.
const GROUP: usize = 16;

impl<T: Scalar> Packed<T> {
    /// Packs the coordinates that `x(d)` and `y(d)` give, into a recycled buffer.
    pub(crate) fn new<'a>(
        mut buffer: Vec<T>,
        dim: usize,
        x: impl Fn(usize) -> &'a [T],
        y: impl Fn(usize) -> &'a [T],
    ) -> Self {
        let (rows, cols) = if dim == 0 { (0, 0) } else { (x(0).len(), y(0).len()) };
        let groups = rows.div_ceil(GROUP);
        let y_stride = cols.next_multiple_of(GROUP);
        buffer.resize((groups * GROUP + y_stride) * dim, T::from_f64(0.0));
        let (packed_x, packed_y) = buffer.split_at_mut(groups * GROUP * dim);
        for d in 0..dim {
            for (index, part) in x(d).chunks(GROUP).enumerate() {
                let group = &mut packed_x[(index * dim + d) * GROUP..][..GROUP];
                group[..part.len()].copy_from_slice(part);
                group[part.len()..].fill(T::from_f64(0.0));
            }
            let packed = &mut packed_y[d * y_stride..][..y_stride];
            packed[..cols].copy_from_slice(y(d));
            packed[cols..].fill(T::from_f64(0.0));
        }
        Self { buffer, rows, cols, dim, weights: Vec::new() }
    }

    /// The same points, whose differences are to be multiplied by these weights.
    pub(crate) fn weighted(self, weights: Option<&[T]>) -> Self {
        Self { weights: weights.map_or_else(Vec::new, <[T]>::to_vec), ..self }
    }

    /// The weight of a dimension, for terms that have one.
    #[inline(always)]
    fn weight<O: Term>(&self, dim: usize) -> T {
        if O::WEIGHTED { self.weights[dim] } else { T::from_f64(1.0) }
    }

    pub(crate) fn into_buffer(self) -> Vec<T> {
        self.buffer
    }

    /// How far apart the columns' coordinates in two dimensions are.
    #[inline(always)]
    pub(super) fn y_stride(&self) -> usize {
        self.cols.next_multiple_of(GROUP)
    }

    /// The coordinates of the rows, and those of the columns.
    #[inline(always)]
    pub(super) fn split(&self) -> (&[T], &[T]) {
        self.buffer.split_at(self.rows.div_ceil(GROUP) * GROUP * self.dim)
    }
}

/// One term of a distance or an inner product, added to what has been summed so far.
trait Term {
    /// Whether the weight is read.
    const WEIGHTED: bool = false;

    fn add<T: Scalar, const FMA: bool>(x: T, y: T, weight: T, sum: T) -> T;
}

struct SquaredDifference;

impl Term for SquaredDifference {
    #[inline(always)]
    fn add<T: Scalar, const FMA: bool>(x: T, y: T, _: T, sum: T) -> T {
        let difference = x - y;
        difference.lane_mul_add::<FMA>(difference, sum)
    }
}

/// A difference is scaled after it is taken: as exact as its operands, wherever they are.
struct WeightedDifference;

impl WeightedDifference {
    #[inline(always)]
    fn of<T: Scalar>(x: T, y: T, weight: T) -> T {
        squarable((x - y) * weight)
    }

    /// The same, and 0 where the difference is held at a bound: what is held has no slope.
    #[inline(always)]
    fn moving<T: Scalar>(x: T, y: T, weight: T) -> T {
        let difference = Self::of(x, y, weight);
        let held = num_traits::Float::abs(difference) >= largest_squarable();
        if held { T::from_f64(0.0) } else { difference }
    }
}

impl Term for WeightedDifference {
    const WEIGHTED: bool = true;

    #[inline(always)]
    fn add<T: Scalar, const FMA: bool>(x: T, y: T, weight: T, sum: T) -> T {
        let difference = Self::of(x, y, weight);
        difference.lane_mul_add::<FMA>(difference, sum)
    }
}

#[inline(always)]
fn largest_squarable<T: Scalar>() -> T {
    num_traits::Float::sqrt(<T as num_traits::Float>::max_value()) * T::from_f64(0.125)
}

/// A scaled difference, or half of one, where its square is far below overflow, so that it times a slope of 0 is 0;
/// NaN for NaN.
#[inline(always)]
pub(crate) fn squarable<T: Scalar>(difference: T) -> T {
    let largest = largest_squarable();
    let difference = if difference > largest { largest } else { difference };
    if difference < -largest { -largest } else { difference }
}

struct ProductTerm;

impl Term for ProductTerm {
    #[inline(always)]
    fn add<T: Scalar, const FMA: bool>(x: T, y: T, _: T, sum: T) -> T {
        x.lane_mul_add::<FMA>(y, sum)
    }
}

/// Σ_d term(x_d, y_d) for `N` columns, starting at `col`, and one group of rows.
#[inline(always)]
fn columns<O: Term, T: Scalar, const N: usize, const FMA: bool>(
    packed: &Packed<T>,
    x: &[[T; GROUP]],
    col: usize,
) -> [[T; GROUP]; N] {
    let (_, y) = packed.split();
    let mut sums = [[T::from_f64(0.0); GROUP]; N];
    for (dim, (x, y)) in x.iter().zip(y.chunks_exact(packed.y_stride())).enumerate() {
        let (y, weight) = (&y[col..col + N], packed.weight::<O>(dim));
        for n in 0..N {
            let y = y[n];
            for r in 0..GROUP {
                sums[n][r] = O::add::<T, FMA>(x[r], y, weight, sums[n][r]);
            }
        }
    }
    sums
}

#[inline(always)]
fn fill<O: Term, T: Scalar, const FMA: bool>(packed: &Packed<T>, out: &mut [T]) {
    let (x, _) = packed.split();
    let (x, _) = x.as_chunks::<GROUP>();
    let (rows, cols, dim) = (packed.rows, packed.cols, packed.dim);
    for (index, x) in x.chunks_exact(dim).enumerate() {
        let first = index * GROUP;
        let valid = GROUP.min(rows - first);
        let mut col = 0;
        while col + TOGETHER <= cols {
            let sums = columns::<O, T, TOGETHER, FMA>(packed, x, col);
            for (n, sums) in sums.iter().enumerate() {
                store(sums, &mut out[(col + n) * rows + first..], valid);
            }
            col += TOGETHER;
        }
        while col < cols {
            let [sums] = columns::<O, T, 1, FMA>(packed, x, col);
            store(&sums, &mut out[col * rows + first..], valid);
            col += 1;
        }
    }
}

/// Stores the valid part of a group; whole groups by a copy of constant length.
#[inline(always)]
fn store<T: Copy>(sums: &[T; GROUP], out: &mut [T], valid: usize) {
    match out.first_chunk_mut::<GROUP>() {
        Some(whole) if valid == GROUP => *whole = *sums,
        _ => out[..valid].copy_from_slice(&sums[..valid]),
    }
}

struct Fill<'a, O, T> {
    packed: &'a Packed<T>,
    out: &'a mut [T],
    term: std::marker::PhantomData<O>,
}

impl<O: Term, T: Scalar> Pass for Fill<'_, O, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        fill::<O, T, FMA>(self.packed, self.out);
    }
}

/// Σ_d (x_d − y_d)² for every pair, by columns; of weighted differences, if there are weights.
pub(crate) fn squared_distances<T: Scalar>(packed: &Packed<T>, out: &mut [T]) {
    if packed.weights.is_empty() {
        dispatch(Fill::<SquaredDifference, T> { packed, out, term: std::marker::PhantomData });
    } else {
        dispatch(Fill::<WeightedDifference, T> { packed, out, term: std::marker::PhantomData });
    }
}

/// Σ_d x_d y_d for every pair, by columns.
pub(crate) fn inner_products<T: Scalar>(packed: &Packed<T>, out: &mut [T]) {
    dispatch(Fill::<ProductTerm, T> { packed, out, term: std::marker::PhantomData });
}

/// How a gradient in a term's sum becomes a gradient in one coordinate of x.
trait Derivative: Term {
    /// gradient · dterm/dx, added to what has been summed so far. Squared differences leave their
    /// factor of 2 to the end. Where differences are weighted, x is the weighted coordinate.
    fn add_slope<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, weight: T, sum: T) -> T;
    /// gradient · ½(x · dterm/dx + y · dterm/dy), added to what has been summed so far.
    fn add_moment<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, weight: T, sum: T) -> T;
    /// The factor left to the end.
    const FACTOR: f64;
}

impl Derivative for SquaredDifference {
    #[inline(always)]
    fn add_slope<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, _: T, sum: T) -> T {
        gradient.lane_mul_add::<FMA>(x - y, sum)
    }

    #[inline(always)]
    fn add_moment<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, _: T, sum: T) -> T {
        let difference = x - y;
        (gradient * difference).lane_mul_add::<FMA>(difference, sum)
    }

    const FACTOR: f64 = 2.0;
}

impl Derivative for WeightedDifference {
    #[inline(always)]
    fn add_slope<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, weight: T, sum: T) -> T {
        gradient.lane_mul_add::<FMA>(Self::moving(x, y, weight), sum)
    }

    #[inline(always)]
    fn add_moment<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, weight: T, sum: T) -> T {
        let difference = Self::moving(x, y, weight);
        (gradient * difference).lane_mul_add::<FMA>(difference, sum)
    }

    const FACTOR: f64 = 2.0;
}

impl Derivative for ProductTerm {
    #[inline(always)]
    fn add_slope<T: Scalar, const FMA: bool>(gradient: T, _: T, y: T, _: T, sum: T) -> T {
        gradient.lane_mul_add::<FMA>(y, sum)
    }

    #[inline(always)]
    fn add_moment<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, _: T, sum: T) -> T {
        (gradient * x).lane_mul_add::<FMA>(y, sum)
    }

    const FACTOR: f64 = 1.0;
}

/// Sums over the columns of a tile, for one group of rows, whose coordinates in one dimension are given:
/// of the gradients in the rows' coordinates, or of their moments. One dimension at a time: the compiler
/// keeps these sums in whole registers, and those of several not.
#[inline(always)]
fn column_sums<O: Derivative, T: Scalar, const MOMENTS: bool, const FMA: bool>(
    packed: &Packed<T>,
    gradient: &[T],
    x: &[T; GROUP],
    dim: usize,
    first: usize,
) -> [T; GROUP] {
    let (_, y) = packed.split();
    let (rows, weight) = (packed.rows, packed.weight::<O>(dim));
    let columns = gradient.chunks_exact(rows).zip(&y[dim * packed.y_stride()..][..packed.cols]);
    let mut sums = [T::from_f64(0.0); GROUP];
    // Two loops, so that the usual one has no branch.
    if rows - first >= GROUP {
        for (column, &y) in columns {
            if let Some(gradient) = column[first..].first_chunk::<GROUP>() {
                add_column::<O, T, MOMENTS, FMA>(gradient, x, y, weight, &mut sums);
            }
        }
    } else {
        for (column, &y) in columns {
            let mut gradient = [T::from_f64(0.0); GROUP];
            gradient[..rows - first].copy_from_slice(&column[first..]);
            add_column::<O, T, MOMENTS, FMA>(&gradient, x, y, weight, &mut sums);
        }
    }
    sums
}

#[inline(always)]
fn add_column<O: Derivative, T: Scalar, const MOMENTS: bool, const FMA: bool>(
    gradient: &[T; GROUP],
    x: &[T; GROUP],
    y: T,
    weight: T,
    sums: &mut [T; GROUP],
) {
    for r in 0..GROUP {
        sums[r] = if MOMENTS {
            O::add_moment::<T, FMA>(gradient[r], x[r], y, weight, sums[r])
        } else {
            O::add_slope::<T, FMA>(gradient[r], x[r], y, weight, sums[r])
        };
    }
}

struct PullBack<'a, O, T> {
    packed: &'a Packed<T>,
    gradient: &'a [T],
    out: &'a mut [T],
    term: std::marker::PhantomData<O>,
}

impl<O: Derivative, T: Scalar> Pass for PullBack<'_, O, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let rows = self.packed.rows;
        let factor = T::from_f64(O::FACTOR);
        let (x, _) = self.packed.split();
        let (x, _) = x.as_chunks::<GROUP>();
        for (index, x) in x.chunks_exact(self.packed.dim).enumerate() {
            let first = index * GROUP;
            for (dim, x) in x.iter().enumerate() {
                let sums = column_sums::<O, T, false, FMA>(self.packed, self.gradient, x, dim, first);
                for (out, &sum) in self.out[dim * rows..][..rows][first..].iter_mut().zip(&sums) {
                    *out = factor * sum;
                }
            }
        }
    }
}

struct Moments<'a, O, T> {
    packed: &'a Packed<T>,
    gradient: &'a [T],
    out: &'a mut [f64],
    term: std::marker::PhantomData<O>,
}

impl<O: Derivative, T: Scalar> Pass for Moments<'_, O, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (x, _) = self.packed.split();
        let (x, _) = x.as_chunks::<GROUP>();
        for (index, x) in x.chunks_exact(self.packed.dim).enumerate() {
            for (moment, (dim, x)) in self.out.iter_mut().zip(x.iter().enumerate()) {
                let first = index * GROUP;
                add_lanes(
                    std::slice::from_mut(moment),
                    &[column_sums::<O, T, true, FMA>(self.packed, self.gradient, x, dim, first)],
                );
            }
        }
    }
}

/// Adds the moments of each dimension, summed in lanes. Those of both points of a pair are equal.
#[inline(always)]
fn add_lanes<T: Scalar>(moments: &mut [f64], lanes: &[[T; GROUP]]) {
    for (moment, lanes) in moments.iter_mut().zip(lanes) {
        *moment += 2.0 * lane_sum([lanes], |[sum]| sum).as_f64();
    }
}

/// The gradients in the rows' coordinates, `out[row + rows · dim]`, from that in squared distances.
pub(crate) fn pull_back_squared_distances<T: Scalar>(packed: &Packed<T>, gradient: &[T], out: &mut [T]) {
    if packed.weights.is_empty() {
        dispatch(PullBack::<SquaredDifference, T> { packed, gradient, out, term: std::marker::PhantomData });
    } else {
        dispatch(PullBack::<WeightedDifference, T> { packed, gradient, out, term: std::marker::PhantomData });
    }
}

/// The gradients in the rows' coordinates, `out[row + rows · dim]`, from that in inner products.
pub(crate) fn pull_back_inner_products<T: Scalar>(packed: &Packed<T>, gradient: &[T], out: &mut [T]) {
    dispatch(PullBack::<ProductTerm, T> { packed, gradient, out, term: std::marker::PhantomData });
}

/// Σ over both points of coordinate · gradient in the coordinate, for each dimension, added to `out`: from
/// the gradient in squared distances.
pub(crate) fn moments_of_squared_distances<T: Scalar>(packed: &Packed<T>, gradient: &[T], out: &mut [f64]) {
    if packed.weights.is_empty() {
        dispatch(Moments::<SquaredDifference, T> { packed, gradient, out, term: std::marker::PhantomData });
    } else {
        dispatch(Moments::<WeightedDifference, T> { packed, gradient, out, term: std::marker::PhantomData });
    }
}

/// The same, from the gradient in inner products.
pub(crate) fn moments_of_inner_products<T: Scalar>(packed: &Packed<T>, gradient: &[T], out: &mut [f64]) {
    dispatch(Moments::<ProductTerm, T> { packed, gradient, out, term: std::marker::PhantomData });
}
