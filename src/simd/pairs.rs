//! Squared distances and inner products of a block of pairs, and their derivatives.
//!
//! Distances are sums of squared differences, never ‖x‖² + ‖y‖² − 2xᵀy, which loses all digits for
//! close points far from the origin. Blocks of rows by four columns are held in registers, so that
//! each coordinate is loaded once for several pairs.

use super::{Pass, dispatch};
use crate::Scalar;

/// Columns that are computed together: with 16 rows of `f64`, the partial results fill eight of the
/// 32 registers of AVX-512; more columns made the compiler spill them.
const TOGETHER: usize = 4;

/// The points of a block, copied into the order in which the loops read them: rows in groups of
/// [`GROUP`] by dimension, columns by dimension; both filled up to whole groups with anything.
#[derive(Debug)]
pub struct Packed<T> {
    buffer: Vec<T>,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) dim: usize,
}

/// Rows in a group: two vector registers of `f64` in AVX-512, one of `f32`.
pub(super) const GROUP: usize = 16;

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
                packed_x[(index * dim + d) * GROUP..][..part.len()].copy_from_slice(part);
            }
            packed_y[d * y_stride..][..cols].copy_from_slice(y(d));
        }
        Self { buffer, rows, cols, dim }
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
    fn add<T: Scalar, const FMA: bool>(x: T, y: T, sum: T) -> T;
}

struct SquaredDifference;

impl Term for SquaredDifference {
    #[inline(always)]
    fn add<T: Scalar, const FMA: bool>(x: T, y: T, sum: T) -> T {
        let difference = x - y;
        difference.lane_mul_add::<FMA>(difference, sum)
    }
}

struct ProductTerm;

impl Term for ProductTerm {
    #[inline(always)]
    fn add<T: Scalar, const FMA: bool>(x: T, y: T, sum: T) -> T {
        x.lane_mul_add::<FMA>(y, sum)
    }
}

/// Σ_d term(x_d, y_d) for `N` columns, starting at `col`, and one group of rows.
#[inline(always)]
fn columns<O: Term, T: Scalar, const N: usize, const FMA: bool>(
    x: &[[T; GROUP]],
    y: &[T],
    y_stride: usize,
    col: usize,
) -> [[T; GROUP]; N] {
    let mut sums = [[T::from_f64(0.0); GROUP]; N];
    for (x, y) in x.iter().zip(y.chunks_exact(y_stride)) {
        let y = &y[col..col + N];
        for n in 0..N {
            let y = y[n];
            for r in 0..GROUP {
                sums[n][r] = O::add::<T, FMA>(x[r], y, sums[n][r]);
            }
        }
    }
    sums
}

#[inline(always)]
fn fill<O: Term, T: Scalar, const FMA: bool>(packed: &Packed<T>, out: &mut [T]) {
    let (x, y) = packed.split();
    let (x, _) = x.as_chunks::<GROUP>();
    let (rows, cols, dim, y_stride) = (packed.rows, packed.cols, packed.dim, packed.y_stride());
    for (index, x) in x.chunks_exact(dim).enumerate() {
        let first = index * GROUP;
        let valid = GROUP.min(rows - first);
        let mut col = 0;
        while col + TOGETHER <= cols {
            let sums = columns::<O, T, TOGETHER, FMA>(x, y, y_stride, col);
            for (n, sums) in sums.iter().enumerate() {
                store(sums, &mut out[(col + n) * rows + first..], valid);
            }
            col += TOGETHER;
        }
        while col < cols {
            let [sums] = columns::<O, T, 1, FMA>(x, y, y_stride, col);
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

/// Σ_d (x_d − y_d)² for every pair, by columns.
pub(crate) fn squared_distances<T: Scalar>(packed: &Packed<T>, out: &mut [T]) {
    dispatch(Fill::<SquaredDifference, T> { packed, out, term: std::marker::PhantomData });
}

/// Σ_d x_d y_d for every pair, by columns.
pub(crate) fn inner_products<T: Scalar>(packed: &Packed<T>, out: &mut [T]) {
    dispatch(Fill::<ProductTerm, T> { packed, out, term: std::marker::PhantomData });
}

/// How a gradient in a term's sum becomes a gradient in one coordinate of x.
trait Derivative {
    /// gradient · dterm/dx, added to what has been summed so far. Squared differences leave their
    /// factor of 2 to the end.
    fn add<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, sum: T) -> T;
    /// gradient · ½(x · dterm/dx + y · dterm/dy), added to what has been summed so far.
    fn add_moment<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, sum: T) -> T;
    /// The factor left to the end.
    const FACTOR: f64;
}

impl Derivative for SquaredDifference {
    #[inline(always)]
    fn add<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, sum: T) -> T {
        gradient.lane_mul_add::<FMA>(x - y, sum)
    }

    #[inline(always)]
    fn add_moment<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, sum: T) -> T {
        let difference = x - y;
        (gradient * difference).lane_mul_add::<FMA>(difference, sum)
    }

    const FACTOR: f64 = 2.0;
}

impl Derivative for ProductTerm {
    #[inline(always)]
    fn add<T: Scalar, const FMA: bool>(gradient: T, _: T, y: T, sum: T) -> T {
        gradient.lane_mul_add::<FMA>(y, sum)
    }

    #[inline(always)]
    fn add_moment<T: Scalar, const FMA: bool>(gradient: T, x: T, y: T, sum: T) -> T {
        (gradient * x).lane_mul_add::<FMA>(y, sum)
    }

    const FACTOR: f64 = 1.0;
}

/// Columns whose coordinates are laid out together for the loops below.
const STRIP: usize = 32;

/// Calls `each` for every column of a tile, with the gradients in one group of rows and the column's
/// coordinates in `N` dimensions from `dim` on.
#[inline(always)]
fn for_columns<T: Scalar, const N: usize>(
    packed: &Packed<T>,
    gradient: &[T],
    dim: usize,
    first: usize,
    mut each: impl FnMut(&[T; GROUP], &[T; N]),
) {
    let (_, y) = packed.split();
    let (rows, cols, y_stride) = (packed.rows, packed.cols, packed.y_stride());
    let valid = GROUP.min(rows - first);
    for (strip, columns) in gradient.chunks(rows * STRIP).enumerate() {
        let width = STRIP.min(cols - strip * STRIP);
        let mut coordinates = [[T::from_f64(0.0); N]; STRIP];
        for n in 0..N {
            let y = &y[(dim + n) * y_stride + strip * STRIP..][..width];
            for (coordinates, &y) in coordinates.iter_mut().zip(y) {
                coordinates[n] = y;
            }
        }
        for (column, y) in columns.chunks_exact(rows).zip(&coordinates) {
            match column[first..].first_chunk::<GROUP>() {
                Some(whole) => each(whole, y),
                None => {
                    let mut part = [T::from_f64(0.0); GROUP];
                    part[..valid].copy_from_slice(&column[first..]);
                    each(&part, y);
                }
            }
        }
    }
}

struct PullBack<'a, O, T> {
    packed: &'a Packed<T>,
    gradient: &'a [T],
    out: &'a mut [T],
    term: std::marker::PhantomData<O>,
}

impl<O: Derivative, T: Scalar> PullBack<'_, O, T> {
    /// The gradients in `N` coordinates, from `dim` on, of one group of rows.
    #[inline(always)]
    fn coordinates<const N: usize, const FMA: bool>(&mut self, x: &[[T; GROUP]; N], dim: usize, first: usize) {
        let mut sums = [[T::from_f64(0.0); GROUP]; N];
        for_columns::<T, N>(self.packed, self.gradient, dim, first, |gradient, y| {
            for n in 0..N {
                for r in 0..GROUP {
                    sums[n][r] = O::add::<T, FMA>(gradient[r], x[n][r], y[n], sums[n][r]);
                }
            }
        });
        let rows = self.packed.rows;
        let factor = T::from_f64(O::FACTOR);
        for (n, sums) in sums.iter().enumerate() {
            for (out, &sum) in self.out[(dim + n) * rows..][..rows][first..].iter_mut().zip(sums) {
                *out = factor * sum;
            }
        }
    }
}

impl<O: Derivative, T: Scalar> Pass for PullBack<'_, O, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let dims = self.packed.dim;
        let (x, _) = self.packed.split();
        let (x, _) = x.as_chunks::<GROUP>();
        for (index, x) in x.chunks_exact(dims).enumerate() {
            let (blocks, rest) = x.as_chunks::<TOGETHER>();
            for (block, x) in blocks.iter().enumerate() {
                self.coordinates::<TOGETHER, FMA>(x, block * TOGETHER, index * GROUP);
            }
            for (d, &x) in rest.iter().enumerate() {
                self.coordinates::<1, FMA>(&[x], blocks.len() * TOGETHER + d, index * GROUP);
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

impl<O: Derivative, T: Scalar> Moments<'_, O, T> {
    #[inline(always)]
    fn coordinates<const N: usize, const FMA: bool>(&mut self, x: &[[T; GROUP]; N], dim: usize, first: usize) {
        let mut sums = [[T::from_f64(0.0); GROUP]; N];
        for_columns::<T, N>(self.packed, self.gradient, dim, first, |gradient, y| {
            for n in 0..N {
                for r in 0..GROUP {
                    sums[n][r] = O::add_moment::<T, FMA>(gradient[r], x[n][r], y[n], sums[n][r]);
                }
            }
        });
        // Rows that only fill up the last group have no gradient, but may hold anything, also NaN.
        let valid = GROUP.min(self.packed.rows - first);
        for (n, sums) in sums.iter().enumerate() {
            self.out[dim + n] += 2.0 * sums[..valid].iter().map(|sum| sum.as_f64()).sum::<f64>();
        }
    }
}

impl<O: Derivative, T: Scalar> Pass for Moments<'_, O, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let dims = self.packed.dim;
        let (x, _) = self.packed.split();
        let (x, _) = x.as_chunks::<GROUP>();
        for (index, x) in x.chunks_exact(dims).enumerate() {
            let (blocks, rest) = x.as_chunks::<TOGETHER>();
            for (block, x) in blocks.iter().enumerate() {
                self.coordinates::<TOGETHER, FMA>(x, block * TOGETHER, index * GROUP);
            }
            for (d, &x) in rest.iter().enumerate() {
                self.coordinates::<1, FMA>(&[x], blocks.len() * TOGETHER + d, index * GROUP);
            }
        }
    }
}

/// The gradients in the rows' coordinates, `out[row + rows · dim]`, from that in squared distances.
pub(crate) fn pull_back_squared_distances<T: Scalar>(packed: &Packed<T>, gradient: &[T], out: &mut [T]) {
    dispatch(PullBack::<SquaredDifference, T> { packed, gradient, out, term: std::marker::PhantomData });
}

/// The gradients in the rows' coordinates, `out[row + rows · dim]`, from that in inner products.
pub(crate) fn pull_back_inner_products<T: Scalar>(packed: &Packed<T>, gradient: &[T], out: &mut [T]) {
    dispatch(PullBack::<ProductTerm, T> { packed, gradient, out, term: std::marker::PhantomData });
}

/// Σ over both points of coordinate · gradient in the coordinate, for each dimension, added to `out`: from
/// the gradient in squared distances.
pub(crate) fn moments_of_squared_distances<T: Scalar>(packed: &Packed<T>, gradient: &[T], out: &mut [f64]) {
    dispatch(Moments::<SquaredDifference, T> { packed, gradient, out, term: std::marker::PhantomData });
}

/// The same, from the gradient in inner products.
pub(crate) fn moments_of_inner_products<T: Scalar>(packed: &Packed<T>, gradient: &[T], out: &mut [f64]) {
    dispatch(Moments::<ProductTerm, T> { packed, gradient, out, term: std::marker::PhantomData });
}
