//! The cross-covariance of two sets of points, and its product with a matrix.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::features::Embedding;
use super::span::Ranges;
use super::tile::{COLS, Pairs, ROWS};
use super::workspace::Workspace;
use super::{Kernel, check_others, check_points};
use crate::scalar::by_precision;
use crate::{Error, Result, Scalar};

/// Blocks with fewer entries than this are not worth a task of their own.
const TASK: usize = 1 << 15;

/// Writes K(X, Z) into `out`: n × m for n points X and m points Z.
///
/// # Errors
///
/// [`Error::Shape`] if `out` is not n × m, or the two sets differ in dimension; [`Error::Dimension`]
/// if the kernel cannot read points of this dimension. `out` is then untouched.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let (x, z) = (mat![[1.0, 2.0], [3.0, 4.0]], mat![[1.0, 1.0]]);
/// let mut out = Mat::zeros(2, 1);
/// mercer::kernel::cross_into(&Linear::new(0.5), x.as_ref(), z.as_ref(), out.as_mut(), Par::Seq)?;
/// assert_eq!(out, mat![[1.5], [3.5]]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn cross_into<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
    out: MatMut<'_, T>,
    par: Par,
) -> Result<()> {
    T::select::<Cross<'_>>((kernel, [x, z], out, !matches!(par, Par::Seq), &mut Workspace::new()))
}

/// Writes K(X, Z) into `out` on this thread, in the memory of a workspace: see
/// [`gram_into_with`](super::gram_into_with). The bits are those of [`cross_into`].
///
/// # Errors
///
/// As [`cross_into`].
///
/// # Examples
///
/// ```
/// use mercer::kernel::{Workspace, cross_into_with};
/// use mercer::prelude::*;
///
/// let (x, z) = (mat![[1.0], [2.0]], mat![[1.0], [3.0]]);
/// let (mut workspace, mut out) = (Workspace::new(), Mat::zeros(2, 2));
/// cross_into_with(&Linear::new(1.0), x.as_ref(), z.as_ref(), out.as_mut(), &mut workspace)?;
/// assert_eq!(out, mat![[1.0, 3.0], [2.0, 6.0]]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn cross_into_with<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
    out: MatMut<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<()> {
    T::select::<Cross<'_>>((kernel, [x, z], out, false, workspace))
}

type Arguments<'a, T> = (&'a dyn Kernel<T>, [MatRef<'a, T>; 2], MatMut<'a, T>, bool, &'a mut Workspace<T>);

by_precision!(Cross<'a, T>(Arguments<'a, T>) -> Result<()> = cross);

fn cross<T: Scalar>((kernel, [x, z], out, parallel, workspace): Arguments<'_, T>) -> Result<()> {
    let ranges = Ranges::of(z);
    let (x, z) = embed_both(kernel, x, z, &ranges)?;
    let shape = (x.input.len(), z.input.len());
    if (out.nrows(), out.ncols()) != shape {
        return Err(Error::shape("the output", format!("{} x {}", shape.0, shape.1), (out.nrows(), out.ncols())));
    }
    let job = Job { kernel, x: &x, z: &z, parallel };
    workspace.reset(&x, &z);
    job.rectangle(0..shape.0, 0..shape.1, out, workspace);
    workspace.writer.finish();
    Ok(())
}

/// Writes K(X, Z) V into `out`, without storing K: n × p for n points X, m points Z and V of m × p.
///
/// Takes O(n·m·(D + p)) time for most kernels, and a few tiles and p columns of scratch.
///
/// # Errors
///
/// As [`cross_into`], and [`Error::Shape`] if V does not have m rows.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let (x, z, v) = (mat![[1.0], [2.0]], mat![[1.0], [3.0]], mat![[10.0], [1.0]]);
/// let mut out = Mat::zeros(2, 1);
/// mercer::kernel::matmul_into(&Linear::new(1.0), x.as_ref(), z.as_ref(), v.as_ref(), out.as_mut(), Par::Seq)?;
/// assert_eq!(out, mat![[13.0], [26.0]]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn matmul_into<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
    v: MatRef<'_, T>,
    out: MatMut<'_, T>,
    par: Par,
) -> Result<()> {
    T::select::<Product<'_>>((kernel, [x, z, v], out, par))
}

type Factors<'a, T> = (&'a dyn Kernel<T>, [MatRef<'a, T>; 3], MatMut<'a, T>, Par);

by_precision!(Product<'a, T>(Factors<'a, T>) -> Result<()> = product);

fn product<T: Scalar>((kernel, [x, z, v], out, par): Factors<'_, T>) -> Result<()> {
    let ranges = Ranges::of(z);
    let (x, z) = embed_both(kernel, x, z, &ranges)?;
    if v.nrows() != z.input.len() {
        return Err(Error::shape(
            "v",
            format!("{} rows, one for each point of z", z.input.len()),
            (v.nrows(), v.ncols()),
        ));
    }
    let shape = (x.input.len(), v.ncols());
    if (out.nrows(), out.ncols()) != shape {
        return Err(Error::shape("the output", format!("{} x {}", shape.0, shape.1), (out.nrows(), out.ncols())));
    }
    let job = Job { kernel, x: &x, z: &z, parallel: !matches!(par, Par::Seq) };
    job.product(0..shape.0, v, out);
    Ok(())
}

/// Checks and embeds two sets of points for the same kernel, given the ranges of the second.
pub(super) fn embed_both<'a, T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'a, T>,
    z: MatRef<'a, T>,
    ranges: &'a Ranges<'a, T>,
) -> Result<(Embedding<'a, T>, Embedding<'a, T>)> {
    check_points(kernel, "x", x)?;
    check_others(kernel, z, x.ncols())?;
    Ok((Embedding::new(kernel, x, ranges, false), Embedding::new(kernel, z, ranges, false)))
}

/// Rows of a tile that is multiplied at once: several tiles, for a product with one vector is short.
const PRODUCT_ROWS: usize = 4 * ROWS;

struct Job<'a, T: Scalar> {
    kernel: &'a dyn Kernel<T>,
    x: &'a Embedding<'a, T>,
    z: &'a Embedding<'a, T>,
    parallel: bool,
}

/// Rows of a tile with so many columns: the usual number of entries, also where columns are few.
fn tile_rows(cols: usize) -> usize {
    if cols >= COLS { ROWS } else { (ROWS * COLS / cols.max(1)).next_multiple_of(ROWS) }
}

impl<T: Scalar> Job<'_, T> {
    fn rectangle(&self, rows: Range<usize>, cols: Range<usize>, mut out: MatMut<'_, T>, workspace: &mut Workspace<T>) {
        if self.parallel && rows.len() * cols.len() >= TASK {
            let by_rows = rows.len() >= cols.len();
            let longer = if by_rows { rows.clone() } else { cols.clone() };
            let half = (longer.len() / 2).next_multiple_of(ROWS);
            let (first, last) = (longer.start..longer.start + half, longer.start + half..longer.end);
            let (a, b) = if by_rows { out.split_at_row_mut(half) } else { out.split_at_col_mut(half) };
            let order = |part: Range<usize>| if by_rows { (part, cols.clone()) } else { (rows.clone(), part) };
            let ((rows_a, cols_a), (rows_b, cols_b)) = (order(first), order(last));
            rayon::join(
                || self.rectangle(rows_a, cols_a, a, workspace),
                || {
                    let mut own = Workspace::new();
                    own.reset(self.x, self.z);
                    self.rectangle(rows_b, cols_b, b, &mut own);
                    own.writer.finish();
                },
            );
            return;
        }
        let Workspace { scratch, writer, .. } = workspace;
        let all = Pairs::new(&self.x.features, &self.z.features, rows.clone(), cols.clone(), false);
        if writer.offer(self.kernel, &all, out.rb_mut(), scratch) {
            return;
        }
        let step = tile_rows(cols.len());
        for col in (0..cols.len()).step_by(COLS) {
            let width = COLS.min(cols.len() - col);
            for row in (0..rows.len()).step_by(step) {
                let height = step.min(rows.len() - row);
                let (first_row, first_col) = (rows.start + row, cols.start + col);
                let mut target = writer.target(out.rb_mut().submatrix_mut(row, col, height, width));
                let (rows, cols) = (first_row..first_row + height, first_col..first_col + width);
                let pairs = Pairs::new(&self.x.features, &self.z.features, rows, cols, false);
                scratch.begin_block();
                self.kernel.write_block(&pairs, &mut target, scratch);
            }
        }
    }

    /// K(X, Z) V for some rows of X; each row is summed over tiles in order, whatever the threads.
    fn product(&self, rows: Range<usize>, v: MatRef<'_, T>, mut out: MatMut<'_, T>) {
        if self.parallel && rows.len() > PRODUCT_ROWS && rows.len() * self.z.input.len() >= TASK {
            let half = (rows.len() / 2).next_multiple_of(PRODUCT_ROWS);
            let (a, b) = out.split_at_row_mut(half);
            let middle = rows.start + half;
            rayon::join(|| self.product(rows.start..middle, v, a), || self.product(middle..rows.end, v, b));
            return;
        }
        let mut workspace = Workspace::new();
        workspace.reset(self.x, self.z);
        for row in (0..rows.len()).step_by(PRODUCT_ROWS) {
            let height = PRODUCT_ROWS.min(rows.len() - row);
            let mut sum = Mat::<T>::zeros(height, v.ncols());
            for col in (0..self.z.input.len()).step_by(COLS) {
                let width = COLS.min(self.z.input.len() - col);
                let first = rows.start + row;
                self.evaluate(first..first + height, col..col + width, &mut workspace);
                let tile = MatRef::from_column_major_slice(&workspace.tile[..height * width], height, width);
                matmul(sum.as_mut(), Accum::Add, tile, v.subrows(col, width), T::from_f64(1.0), Par::Seq);
            }
            out.rb_mut().subrows_mut(row, height).copy_from(&sum);
        }
    }

    fn evaluate(&self, rows: Range<usize>, cols: Range<usize>, workspace: &mut Workspace<T>) {
        let pairs = Pairs::new(&self.x.features, &self.z.features, rows, cols, false);
        workspace.scratch.begin_block();
        workspace.tile.resize(pairs.len().max(workspace.tile.len()), T::from_f64(0.0));
        self.kernel.tile(&pairs, &mut workspace.tile[..pairs.len()], &mut workspace.scratch);
    }
}
