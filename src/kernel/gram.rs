//! The Gram matrix of one set of points: half is computed, the other half mirrored.

use std::ops::Range;

use faer::prelude::ReborrowMut;
use faer::{MatMut, MatRef, Par};

use super::features::Embedding;
use super::scratch::Scratch;
use super::span::Ranges;
use super::tile::{COLS, Pairs, ROWS};
use super::workspace::Workspace;
use super::write::Target;
use super::{Kernel, check_points};
use crate::scalar::by_precision;
use crate::{Error, Result, Scalar};

/// Blocks smaller than this are not worth a task of their own.
const TASK: usize = 512;

/// Writes K(X, X) into `out`: n × n for n points, exactly symmetric.
///
/// Half of the matrix is computed, in O(n²·D) time for most kernels, and a few tiles of scratch are
/// needed whatever n. The bits do not depend on `par`.
///
/// # Errors
///
/// [`Error::Shape`] if `out` is not n × n or the points have no coordinates; [`Error::Dimension`] if
/// the kernel cannot read points of this dimension. `out` is then untouched.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let x = mat![[0.0], [1.0], [3.0]];
/// let mut out = Mat::zeros(3, 3);
/// mercer::kernel::gram_into(&Rbf::new(1.0), x.as_ref(), out.as_mut(), Par::Seq)?;
/// assert_eq!(out[(0, 0)], 1.0);
/// assert!((out[(2, 0)] - (-4.5f64).exp()).abs() < 1e-16);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn gram_into<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>, out: MatMut<'_, T>, par: Par) -> Result<()> {
    T::select::<Gram<'_>>((kernel, x, out, !matches!(par, Par::Seq), &mut Workspace::new()))
}

/// Writes K(X, X) into `out` on this thread, in the memory of a workspace: the second call with it allocates
/// nothing but what the kernel embeds the points in, which for leaves on the points themselves is nothing.
/// The bits are those of [`gram_into`].
///
/// # Errors
///
/// As [`gram_into`].
///
/// # Examples
///
/// ```
/// use mercer::kernel::{Workspace, gram_into_with};
/// use mercer::prelude::*;
///
/// let (mut workspace, mut out) = (Workspace::new(), Mat::zeros(3, 3));
/// let x = mat![[0.0], [1.0], [3.0]];
/// for lengthscale in [0.5, 1.0, 2.0] {
///     gram_into_with(&Rbf::new(lengthscale), x.as_ref(), out.as_mut(), &mut workspace)?;
///     assert_eq!(out, Rbf::new(lengthscale).gram(x.as_ref())?);
/// }
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn gram_into_with<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    out: MatMut<'_, T>,
    workspace: &mut Workspace<T>,
) -> Result<()> {
    T::select::<Gram<'_>>((kernel, x, out, false, workspace))
}

type Arguments<'a, T> = (&'a dyn Kernel<T>, MatRef<'a, T>, MatMut<'a, T>, bool, &'a mut Workspace<T>);

by_precision!(Gram<'a, T>(Arguments<'a, T>) -> Result<()> = gram);

fn gram<T: Scalar>((kernel, x, out, parallel, workspace): Arguments<'_, T>) -> Result<()> {
    let n = x.nrows();
    check_points(kernel, "x", x)?;
    if (out.nrows(), out.ncols()) != (n, n) {
        return Err(Error::shape("the output", format!("{n} x {n}"), (out.nrows(), out.ncols())));
    }
    let ranges = Ranges::of(x);
    let embedding = Embedding::new(kernel, x, &ranges, false);
    let job = Job { kernel, embedding: &embedding, parallel };
    workspace.reset(&embedding, &embedding);
    job.square(0..n, out, workspace);
    workspace.writer.finish();
    Ok(())
}

struct Job<'a, T: Scalar> {
    kernel: &'a dyn Kernel<T>,
    embedding: &'a Embedding<'a, T>,
    parallel: bool,
}

impl<T: Scalar> Job<'_, T> {
    /// Runs a part of the job on another thread, in a workspace of its own.
    fn apart(&self, run: impl FnOnce(&mut Workspace<T>)) {
        let mut workspace = Workspace::new();
        workspace.reset(self.embedding, self.embedding);
        run(&mut workspace);
        workspace.writer.finish();
    }

    fn splits(&self, n: usize) -> bool {
        self.parallel && n >= TASK
    }

    /// A block on the diagonal, by quadrants: recursion lets threads write to disjoint parts.
    fn square(&self, points: Range<usize>, mut out: MatMut<'_, T>, workspace: &mut Workspace<T>) {
        let n = points.len();
        if !self.splits(n) {
            let features = &self.embedding.features;
            let pairs = Pairs::new(features, features, points.clone(), points.clone(), true);
            if workspace.writer.offer(self.kernel, &pairs, out.rb_mut(), &mut workspace.scratch) {
                return;
            }
        }
        if n <= COLS {
            let target = workspace.writer.target(out).symmetric();
            self.block(points.clone(), points, target, &mut workspace.scratch);
            return;
        }
        let half = n.div_ceil(2).next_multiple_of(if n > ROWS { ROWS } else { COLS });
        let (first, last) = (points.start..points.start + half, points.start + half..points.end);
        let (top, upper, lower, bottom) = out.split_at_mut(half, half);
        if self.splits(n) {
            rayon::join(
                || self.square(first.clone(), top, workspace),
                || {
                    rayon::join(
                        || self.apart(|own| self.rectangle(last.clone(), first.clone(), lower, upper, own)),
                        || self.apart(|own| self.square(last.clone(), bottom, own)),
                    )
                },
            );
        } else {
            self.square(first.clone(), top, workspace);
            self.rectangle(last.clone(), first, lower, upper, workspace);
            self.square(last, bottom, workspace);
        }
    }

    /// A block below the diagonal, and its mirror image above.
    fn rectangle(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        mut lower: MatMut<'_, T>,
        mut upper: MatMut<'_, T>,
        workspace: &mut Workspace<T>,
    ) {
        if self.splits(rows.len().max(cols.len())) {
            let by_rows = rows.len() >= cols.len();
            let (longer, other) = if by_rows { (rows.clone(), cols.clone()) } else { (cols.clone(), rows.clone()) };
            let half = (longer.len() / 2).next_multiple_of(ROWS);
            let (first, last) = (longer.start..longer.start + half, longer.start + half..longer.end);
            let (lower_parts, upper_parts) = if by_rows {
                (lower.split_at_row_mut(half), upper.split_at_col_mut(half))
            } else {
                (lower.split_at_col_mut(half), upper.split_at_row_mut(half))
            };
            let order = |part: Range<usize>| if by_rows { (part, other.clone()) } else { (other.clone(), part) };
            let ((rows_a, cols_a), (rows_b, cols_b)) = (order(first), order(last));
            rayon::join(
                || self.rectangle(rows_a, cols_a, lower_parts.0, upper_parts.0, workspace),
                || self.apart(|own| self.rectangle(rows_b, cols_b, lower_parts.1, upper_parts.1, own)),
            );
            return;
        }
        for col in (0..cols.len()).step_by(COLS) {
            let width = COLS.min(cols.len() - col);
            for row in (0..rows.len()).step_by(ROWS) {
                let height = ROWS.min(rows.len() - row);
                let (first_row, first_col) = (rows.start + row, cols.start + col);
                let target = workspace
                    .writer
                    .target(lower.rb_mut().submatrix_mut(row, col, height, width))
                    .with_mirrored(upper.rb_mut().submatrix_mut(col, row, width, height));
                let (rows, cols) = (first_row..first_row + height, first_col..first_col + width);
                self.block(rows, cols, target, &mut workspace.scratch);
            }
        }
    }

    fn block(&self, rows: Range<usize>, cols: Range<usize>, mut target: Target<'_, T>, scratch: &mut Scratch<T>) {
        let features = &self.embedding.features;
        scratch.begin_block();
        self.kernel.write_block(&Pairs::new(features, features, rows, cols, true), &mut target, scratch);
    }
}
