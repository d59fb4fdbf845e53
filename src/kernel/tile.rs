//! Blocks of pairs of points, and what is done with them pair by pair.

use std::ops::Range;
use std::sync::Arc;

use super::features::{Embedding, FeatureGradients, Features};
use super::points::Points;
use super::scratch::Scratch;
use crate::Scalar;

/// Rows of a tile. With [`COLS`], a tile of `f64` is 16 KiB: three of them stay in a first-level cache.
pub(crate) const ROWS: usize = 64;
/// Columns of a tile.
pub(crate) const COLS: usize = 32;

/// A block of pairs of points: some rows of one set against some rows of another.
#[derive(Clone, Debug)]
pub struct Pairs<'a, T: Scalar> {
    pub(super) x: &'a Features<'a, T>,
    pub(super) y: &'a Features<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) cols: Range<usize>,
    same_set: bool,
    /// The entries on the diagonal, where they do not follow from rows and columns.
    on_diagonal: Option<Arc<[usize]>>,
}

impl<'a, T: Scalar> Pairs<'a, T> {
    pub(crate) fn new(
        x: &'a Features<'a, T>,
        y: &'a Features<'a, T>,
        rows: Range<usize>,
        cols: Range<usize>,
        same_set: bool,
    ) -> Self {
        Self { x, y, rows, cols, same_set, on_diagonal: None }
    }

    /// One point for each entry of a block, in its order, against one point. Entries that stand on the diagonal do so
    /// here too.
    pub(crate) fn column(x: &'a Features<'a, T>, y: &'a Features<'a, T>, of: &Pairs<'_, T>) -> Self {
        let on_diagonal: Vec<usize> = of.diagonal().collect();
        let on_diagonal = (!on_diagonal.is_empty()).then(|| on_diagonal.into());
        Self { x, y, rows: 0..of.len(), cols: 0..1, same_set: false, on_diagonal }
    }

    /// The number of rows of the block.
    #[inline]
    pub fn nrows(&self) -> usize {
        self.rows.len()
    }

    /// The number of columns of the block.
    #[inline]
    pub fn ncols(&self) -> usize {
        self.cols.len()
    }

    /// The number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.rows.len() * self.cols.len()
    }

    /// Whether they are all pairs of some points of one set.
    pub(super) fn is_square(&self) -> bool {
        self.same_set && self.rows == self.cols
    }

    /// Whether the block has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same block, with the features of a child; where the child knows only some of the points,
    /// the block of those.
    #[inline]
    #[track_caller]
    pub fn child(&self, index: usize) -> Pairs<'a, T> {
        let within = |features: &Features<'_, T>, points: &Range<usize>| match features.present() {
            None => points.clone(),
            Some(present) => present.within(points.clone()),
        };
        Pairs {
            x: self.x.child(index),
            y: self.y.child(index),
            rows: within(self.x, &self.rows),
            cols: within(self.y, &self.cols),
            same_set: self.same_set,
            on_diagonal: self.on_diagonal.as_ref().map(|entries| match self.x.present() {
                None => entries.clone(),
                Some(present) => {
                    let known = present.indices(self.rows.clone()).enumerate();
                    known
                        .filter(|(_, row)| entries.contains(&(row - self.rows.start)))
                        .map(|(entry, _)| entry)
                        .collect()
                }
            }),
        }
    }

    /// Whether the node takes differences of the points as they are.
    pub(crate) fn is_differenced(&self) -> bool {
        self.x.is_differenced()
    }

    /// The rows of the block whose points the child knows, and the columns.
    pub(crate) fn present(&self) -> (Vec<usize>, Vec<usize>) {
        let of = |features: &Features<'_, T>, points: &Range<usize>| match features.present() {
            None => (0..points.len()).collect(),
            Some(present) => present.indices(points.clone()).map(|point| point - points.start).collect(),
        };
        (of(self.x, &self.rows), of(self.y, &self.cols))
    }

    /// How many children the features of this node have.
    pub(crate) fn children(&self) -> usize {
        self.x.children().len()
    }

    /// The dimension of the points at this node.
    pub fn dim(&self) -> usize {
        self.x.points().dim()
    }

    /// One coordinate of the points in the block's rows.
    #[inline]
    pub fn x_column(&self, dim: usize) -> &'a [T] {
        &self.x.points().column(dim)[self.rows.clone()]
    }

    /// One coordinate of the points in the block's columns.
    #[inline]
    pub fn y_column(&self, dim: usize) -> &'a [T] {
        &self.y.points().column(dim)[self.cols.clone()]
    }

    /// What differences of the points are to be multiplied by, if by anything.
    #[inline]
    pub(crate) fn weights(&self) -> Option<&'a [T]> {
        self.x.points().weights()
    }

    /// All points of the first set, beyond those in the block's rows.
    pub(crate) fn x_points(&self) -> &'a Points<'a, T> {
        self.x.points()
    }

    /// The entries of the block, as indices into a tile, that stand on the diagonal of the Gram
    /// matrix of a set with itself; none in a cross-covariance, even between equal points.
    pub fn diagonal(&self) -> impl Iterator<Item = usize> + use<T> {
        let (rows, cols) = (self.rows.clone(), self.cols.clone());
        let common = if self.same_set { rows.start.max(cols.start)..rows.end.min(cols.end) } else { 0..0 };
        let listed = self.on_diagonal.clone();
        let listed = (0..listed.as_ref().map_or(0, |entries| entries.len()))
            .filter_map(move |index| listed.as_ref().map(|entries| entries[index]));
        common.map(move |point| (point - rows.start) + (point - cols.start) * rows.len()).chain(listed)
    }
}

/// Fills a tile by calling a function of two points for every pair, in the order of the tile.
pub(crate) fn tile_by_pairs<T: Scalar>(
    pairs: &Pairs<'_, T>,
    out: &mut [T],
    scratch: &mut Scratch<T>,
    mut value: impl FnMut(&[T], &[T]) -> T,
) {
    let dim = pairs.dim();
    let (rows, cols) = (pairs.nrows(), pairs.ncols());
    let mut points = scratch.take(dim * (rows + cols));
    let (x, y) = points.split_at_mut(dim * rows);
    for d in 0..dim {
        pairs.x_column(d).iter().enumerate().for_each(|(row, &coordinate)| x[row * dim + d] = coordinate);
        pairs.y_column(d).iter().enumerate().for_each(|(col, &coordinate)| y[col * dim + d] = coordinate);
    }
    for (column, y) in out.chunks_exact_mut(rows).zip(y.chunks_exact(dim)) {
        for (entry, x) in column.iter_mut().zip(x.chunks_exact(dim)) {
            *entry = value(x, y);
        }
    }
    scratch.give(points);
}

/// The VJP of a diagonal by that of tiles: every point is a block with itself.
pub(super) fn diag_vjp_by_blocks<T: Scalar>(
    features: &Features<'_, T>,
    cotangent: &[T],
    gradients: &mut FeatureGradients<T>,
    mut tile_vjp: impl FnMut(&Pairs<'_, T>, &[T], &mut Scratch<T>),
) {
    let Some(embedding) = Embedding::again(features, gradients) else { return };
    let mut scratch = Scratch::with_gradients(&embedding, &embedding);
    for point in 0..cotangent.len() {
        let block = point..point + 1;
        let pairs = Pairs::new(&embedding.features, &embedding.features, block.clone(), block.clone(), true);
        scratch.begin_block();
        tile_vjp(&pairs, &cotangent[block.clone()], &mut scratch);
        scratch.pull_back(&embedding, &embedding);
    }
    if let Some((x, y)) = scratch.into_gradients() {
        gradients.merge(&x);
        gradients.merge(&y);
    }
}
