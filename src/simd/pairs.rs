//! Squared distances and inner products of a block of pairs, and their derivatives.
//!
//! Distances are sums of squared differences, never ‖x‖² + ‖y‖² − 2xᵀy, which loses all digits for
//! close points far from the origin. Blocks of rows by four columns are held in registers, so that
//! each coordinate is loaded once for several pairs.

use super::{LANES, Pass, dispatch};
use crate::Scalar;

/// Columns that are computed together: with 16 rows of `f64`, the partial results fill eight of the
/// 32 registers of AVX-512; more columns made the compiler spill them.
const TOGETHER: usize = 4;

/// The points of a block, copied into the order in which the loops read them: rows in groups of
/// [`GROUP`] by dimension, the last group filled up with anything; columns by dimension.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    buffer: Vec<T>,
    rows: usize,
    cols: usize,
    dim: usize,
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
        buffer.resize(groups * GROUP * dim + cols * dim, T::from_f64(0.0));
        let (packed_x, packed_y) = buffer.split_at_mut(groups * GROUP * dim);
        for d in 0..dim {
            for (index, part) in x(d).chunks(GROUP).enumerate() {
                packed_x[(index * dim + d) * GROUP..][..part.len()].copy_from_slice(part);
            }
            packed_y[d * cols..][..cols].copy_from_slice(y(d));
        }
        Self { buffer, rows, cols, dim }
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn into_buffer(self) -> Vec<T> {
        self.buffer
    }

    #[inline(always)]
    fn split(&self) -> (&[T], &[T]) {
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
    cols: usize,
    col: usize,
) -> [[T; GROUP]; N] {
    let mut sums = [[T::from_f64(0.0); GROUP]; N];
    for (x, y) in x.iter().zip(y.chunks_exact(cols)) {
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
    let (rows, cols, dim) = (packed.rows, packed.cols, packed.dim);
    for (index, x) in x.chunks_exact(dim).enumerate() {
        let first = index * GROUP;
        let valid = GROUP.min(rows - first);
        let mut col = 0;
        while col + TOGETHER <= cols {
            let sums = columns::<O, T, TOGETHER, FMA>(x, y, cols, col);
            for (n, sums) in sums.iter().enumerate() {
                store(sums, &mut out[(col + n) * rows + first..], valid);
            }
            col += TOGETHER;
        }
        while col < cols {
            let [sums] = columns::<O, T, 1, FMA>(x, y, cols, col);
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

/// How a gradient in a term's sum becomes a gradient in one coordinate of x and of y.
trait Derivative {
    /// For one pair: the amounts to add for x and for y.
    fn at<T: Scalar>(gradient: T, x: T, y: T) -> (T, T);
}

impl Derivative for SquaredDifference {
    #[inline(always)]
    fn at<T: Scalar>(gradient: T, x: T, y: T) -> (T, T) {
        let difference = x - y;
        let amount = gradient * (difference + difference);
        (amount, -amount)
    }
}

impl Derivative for ProductTerm {
    #[inline(always)]
    fn at<T: Scalar>(gradient: T, x: T, y: T) -> (T, T) {
        (gradient * y, gradient * x)
    }
}

struct PullBackPass<'a, O, T> {
    packed: &'a Packed<T>,
    dim: usize,
    gradient: &'a [T],
    x_gradient: Option<&'a mut [T]>,
    y_gradient: Option<&'a mut [T]>,
    term: std::marker::PhantomData<O>,
}

impl<O: Derivative, T: Scalar> Pass for PullBackPass<'_, O, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { packed, dim, gradient, mut x_gradient, mut y_gradient, .. } = self;
        let (x, y) = packed.split();
        let zero = T::from_f64(0.0);
        for (index, x) in x.chunks_exact(GROUP * packed.dim).enumerate() {
            let first = index * GROUP;
            let valid = GROUP.min(packed.rows - first);
            let x = &x[dim * GROUP..][..GROUP];
            let mut in_rows = [zero; GROUP];
            for col in 0..packed.cols {
                let y = y[dim * packed.cols + col];
                let gradient = &gradient[col * packed.rows + first..][..valid];
                let mut in_col = [zero; LANES];
                let (whole, _) = gradient.as_chunks::<LANES>();
                for (part, gradient) in whole.iter().enumerate() {
                    for lane in 0..LANES {
                        let (for_x, for_y) = O::at(gradient[lane], x[part * LANES + lane], y);
                        in_rows[part * LANES + lane] += for_x;
                        in_col[lane] += for_y;
                    }
                }
                for row in whole.len() * LANES..valid {
                    let (for_x, for_y) = O::at(gradient[row], x[row], y);
                    in_rows[row] += for_x;
                    in_col[row % LANES] += for_y;
                }
                if let Some(out) = &mut y_gradient {
                    out[col] += super::sum::lane_sum(LANES, |lane| in_col[lane]);
                }
            }
            if let Some(out) = &mut x_gradient {
                for (out, &amount) in out[first..first + valid].iter_mut().zip(&in_rows) {
                    *out += amount;
                }
            }
        }
    }
}

/// Adds to the gradients in one coordinate of the rows and columns, from that in squared distances.
pub(crate) fn pull_back_squared_distances<T: Scalar>(
    packed: &Packed<T>,
    dim: usize,
    gradient: &[T],
    x_gradient: Option<&mut [T]>,
    y_gradient: Option<&mut [T]>,
) {
    let term = std::marker::PhantomData::<SquaredDifference>;
    dispatch(PullBackPass { packed, dim, gradient, x_gradient, y_gradient, term });
}

/// Adds to the gradients in one coordinate of the rows and columns, from that in inner products.
pub(crate) fn pull_back_inner_products<T: Scalar>(
    packed: &Packed<T>,
    dim: usize,
    gradient: &[T],
    x_gradient: Option<&mut [T]>,
    y_gradient: Option<&mut [T]>,
) {
    let term = std::marker::PhantomData::<ProductTerm>;
    dispatch(PullBackPass { packed, dim, gradient, x_gradient, y_gradient, term });
}
