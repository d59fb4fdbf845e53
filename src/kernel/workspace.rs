//! Memory that the drivers work in.

use super::features::Embedding;
use super::scratch::Scratch;
use super::write::Writer;
use crate::Scalar;

/// The memory that a driver works in: some tiles. Whoever evaluates many matrices, of one kernel or of many,
/// keeps one for [`gram_into_with`](super::gram_into_with) and [`cross_into_with`](super::cross_into_with)
/// and spares the allocations, which show with small matrices.
///
/// # Examples
///
/// ```
/// use mercer::kernel::{Workspace, cross_into_with};
/// use mercer::prelude::*;
///
/// let mut workspace = Workspace::new();
/// let (x, z) = (mat![[1.0], [2.0]], mat![[3.0]]);
/// let mut out = Mat::zeros(2, 1);
/// cross_into_with(&Linear::new(0.5), x.as_ref(), z.as_ref(), out.as_mut(), &mut workspace)?;
/// assert_eq!(out, mat![[1.5], [3.0]]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct Workspace<T: Scalar> {
    pub(super) scratch: Scratch<T>,
    pub(super) writer: Writer<T>,
    /// A tile of values, for drivers that write none.
    pub(super) tile: Vec<T>,
}

impl<T: Scalar> Workspace<T> {
    /// A workspace without memory yet: it takes what it needs, and keeps it, whatever kernel and points come next.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernel::{Workspace, gram_into_with};
    /// use mercer::prelude::*;
    ///
    /// let mut workspace = Workspace::new();
    /// let (wide, narrow) = (mat![[1.0, 2.0], [0.5, 0.0], [3.0, 1.0]], mat![[1.0], [4.0]]);
    /// let (mut first, mut second) = (Mat::zeros(3, 3), Mat::zeros(2, 2));
    /// gram_into_with(&Rbf::new(0.7), wide.as_ref(), first.as_mut(), &mut workspace)?;
    /// gram_into_with(&Linear::new(0.5), narrow.as_ref(), second.as_mut(), &mut workspace)?;
    /// assert_eq!(first, Rbf::new(0.7).gram(wide.as_ref())?);
    /// assert_eq!(second, mat![[0.5, 2.0], [2.0, 8.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn new() -> Self {
        Self { scratch: Scratch::default(), writer: Writer::default(), tile: Vec::new() }
    }

    /// A workspace for matrices that together take so many bytes.
    pub(crate) fn of_many(bytes: usize) -> Self {
        Self { writer: Writer::of_many(bytes), ..Self::new() }
    }

    /// Makes ready for the pairs of two sets of points.
    pub(super) fn reset(&mut self, x: &Embedding<'_, T>, y: &Embedding<'_, T>) {
        self.scratch.reset(x, y);
        self.writer.reset(x.input.len(), y.input.len());
    }
}

impl<T: Scalar> Default for Workspace<T> {
    fn default() -> Self {
        Self::new()
    }
}
