//! What leaves share while a block of pairs is evaluated.

mod sweeps;

use std::ops::Range;

use super::features::{Embedding, FeatureGradients, Features};
use super::points::Points;
use super::tile::Pairs;
use crate::Scalar;
use crate::simd::elementwise::add;
use crate::simd::pairs::{
    Packed, inner_products, moments_of_inner_products, moments_of_squared_distances, pull_back_inner_products,
    pull_back_squared_distances, squared_distances,
};
use crate::simd::transpose::transpose;

/// What leaves share while a block is evaluated: buffers, squared distances and inner products that
/// are computed once however many leaves ask, and the gradients that flow back through them.
#[derive(Debug)]
pub struct Scratch<T: Scalar> {
    pool: Vec<Vec<T>>,
    /// What passes over a panel keep between them.
    room: Vec<T>,
    /// The pairs of slots that nodes of the expression have, in order: far fewer than there are pairs of any two slots,
    /// where each leaf has points of its own. The place of a pair is its key.
    pairs: Vec<Slots>,
    /// What is known of each.
    shared: Vec<Shared<T>>,
    gradients: Option<(FeatureGradients<T>, FeatureGradients<T>)>,
    /// The slopes that leaves have computed with their values in the present block.
    slopes: Vec<(Place, Vec<T>)>,
}

/// The slots of a node in the first and the second set, and whether the node is a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slots {
    pair: (usize, usize),
    leaf: bool,
}

/// A leaf and the block that it was evaluated on.
type Place = (usize, usize, Range<usize>, Range<usize>);

/// What is known of one pair of slots in the present block.
#[derive(Debug)]
struct Shared<T> {
    /// Whether more than one reader may ask for the squared distances.
    keep: bool,
    squared: Kept<T>,
    squared_gradient: Kept<T>,
    inner_gradient: Kept<T>,
    wants_gradient: bool,
    /// The points that the gradients of the present block belong to.
    rows: Range<usize>,
    cols: Range<usize>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            keep: false,
            squared: Kept::default(),
            squared_gradient: Kept::default(),
            inner_gradient: Kept::default(),
            wants_gradient: false,
            rows: 0..0,
            cols: 0..0,
        }
    }
}

impl<T: Scalar> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            pool: Vec::new(),
            room: Vec::new(),
            pairs: Vec::new(),
            shared: Vec::new(),
            gradients: None,
            slopes: Vec::new(),
        }
    }
}

/// A buffer that outlives the block, with contents that do not.
#[derive(Debug)]
struct Kept<T> {
    buffer: Vec<T>,
    valid: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { buffer: Vec::new(), valid: false }
    }
}

impl<T: Scalar> Scratch<T> {
    /// Scratch for values alone.
    pub(crate) fn new(x: &Embedding<'_, T>, y: &Embedding<'_, T>) -> Self {
        let mut scratch = Self::default();
        scratch.reset(x, y);
        scratch
    }

    /// Scratch for the values of other points, or of another kernel; buffers are kept.
    pub(crate) fn reset(&mut self, x: &Embedding<'_, T>, y: &Embedding<'_, T>) {
        self.begin_block();
        self.gradients = None;
        self.pairs.clear();
        find_pairs(&x.features, &y.features, &mut self.pairs);
        self.pairs.sort_unstable();
        let nodes = self.pairs.chunk_by(|a, b| a.pair == b.pair);
        self.shared.resize_with(nodes.clone().count(), Shared::default);
        for (shared, nodes) in self.shared.iter_mut().zip(nodes) {
            shared.keep = nodes.iter().filter(|node| node.leaf).count() > 1;
            shared.wants_gradient = false;
        }
        self.pairs.dedup_by_key(|node| node.pair);
    }

    /// Scratch for values and gradients.
    pub(crate) fn with_gradients(x: &Embedding<'_, T>, y: &Embedding<'_, T>) -> Self {
        let mut scratch = Self::new(x, y);
        for (&Slots { pair: (i, j), .. }, shared) in scratch.pairs.iter().zip(&mut scratch.shared) {
            shared.wants_gradient = x.slot(i).needs_gradient() || y.slot(j).needs_gradient();
            shared.keep = true;
        }
        scratch.gradients = Some((x.gradients(), y.gradients()));
        scratch
    }

    /// Lends a buffer of so many elements, with unspecified contents.
    pub fn take(&mut self, len: usize) -> Vec<T> {
        let mut buffer = self.pool.pop().unwrap_or_default();
        buffer.resize(len, T::from_f64(0.0));
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, buffer: Vec<T>) {
        self.pool.push(buffer);
    }

    /// Forgets what was shared in the last block.
    pub(crate) fn begin_block(&mut self) {
        for shared in &mut self.shared {
            shared.squared.valid = false;
            shared.squared_gradient.valid = false;
            shared.inner_gradient.valid = false;
        }
        while let Some((_, slope)) = self.slopes.pop() {
            self.pool.push(slope);
        }
    }

    /// Whether gradients are wanted: leaves then compute their slopes with their values.
    pub(crate) fn keeps_slopes(&self) -> bool {
        self.gradients.is_some()
    }

    /// Keeps the slopes of a leaf for its VJP in the same block.
    pub(crate) fn keep_slope(&mut self, leaf: usize, pairs: &Pairs<'_, T>, slope: Vec<T>) {
        let place = self.place(leaf, pairs);
        self.slopes.push((place, slope));
    }

    /// The slopes of a leaf, if it has been evaluated in this block.
    pub(crate) fn take_slope(&mut self, leaf: usize, pairs: &Pairs<'_, T>) -> Option<Vec<T>> {
        let place = self.place(leaf, pairs);
        let found = self.slopes.iter().position(|(known, _)| *known == place)?;
        Some(self.slopes.swap_remove(found).1)
    }

    fn place(&self, leaf: usize, pairs: &Pairs<'_, T>) -> Place {
        (leaf, self.key(pairs), pairs.rows.clone(), pairs.cols.clone())
    }

    /// # Panics
    ///
    /// If there are no points at this node: a mistake in the kernel's `embed`, not in data.
    #[track_caller]
    fn key(&self, pairs: &Pairs<'_, T>) -> usize {
        let slots = (pairs.x.slot(), pairs.y.slot());
        match self.pairs.binary_search_by_key(&slots, |node| node.pair) {
            Ok(key) => key,
            Err(_) => unreachable!("this kernel's `embed` gave a branch where its `tile` expects points"),
        }
    }

    /// Whether a leaf that reads these points has to compute how its values depend on them.
    pub fn wants_feature_gradient(&self, pairs: &Pairs<'_, T>) -> bool {
        self.shared[self.key(pairs)].wants_gradient
    }

    /// Fills `out` with the squared Euclidean distances of a leaf's points: Σ_d (x_d − y_d)².
    pub fn squared_distances(&mut self, pairs: &Pairs<'_, T>, out: &mut [T]) {
        self.with_squared_distances(pairs, |squared| out.copy_from_slice(squared));
    }

    /// Shows the squared Euclidean distances of a leaf's points.
    pub(crate) fn with_squared_distances<R>(&mut self, pairs: &Pairs<'_, T>, see: impl FnOnce(&[T]) -> R) -> R {
        let key = self.compute_squared_distances(pairs);
        see(&self.shared[key].squared.buffer)
    }

    /// Sees to it that the squared distances of a leaf's points are there, and says where.
    fn compute_squared_distances(&mut self, pairs: &Pairs<'_, T>) -> usize {
        let key = self.key(pairs);
        if !self.shared[key].squared.valid {
            let packed = self.pack(pairs);
            squared_distances(&packed, self.shared[key].squared.unfilled(pairs.len()));
            self.give(packed.into_buffer());
        }
        key
    }

    /// Shows the squared distances of a leaf's points, and the gradient in them, to add to: empty if
    /// nobody wants it.
    pub(crate) fn with_squared_distance_gradient<R>(
        &mut self,
        pairs: &Pairs<'_, T>,
        see: impl FnOnce(&[T], &mut [T]) -> R,
    ) -> R {
        let key = self.compute_squared_distances(pairs);
        let shared = self.shared[key].of_block(pairs);
        let Shared { squared, squared_gradient, wants_gradient, .. } = shared;
        let gradient = if *wants_gradient { squared_gradient.zeroed(pairs.len()) } else { &mut [] };
        see(&squared.buffer, gradient)
    }

    /// Whether the squared distances of these points are already there, or will be asked for again.
    fn shares_squared_distances(&self, pairs: &Pairs<'_, T>) -> bool {
        self.shared[self.key(pairs)].keep
    }

    /// Fills `out` with the inner products of a leaf's points: Σ_d x_d y_d.
    pub fn inner_products(&mut self, pairs: &Pairs<'_, T>, out: &mut [T]) {
        let packed = self.pack(pairs);
        inner_products(&packed, out);
        self.give(packed.into_buffer());
    }

    /// Adds to dL/dr², the gradient in the squared distances of a leaf's points. `add` gets the tile
    /// to add to, and is not called if nobody wants the gradient.
    pub fn add_squared_distance_gradient(&mut self, pairs: &Pairs<'_, T>, add: impl FnOnce(&mut [T])) {
        let key = self.key(pairs);
        if self.shared[key].wants_gradient {
            add(self.shared[key].of_block(pairs).squared_gradient.zeroed(pairs.len()));
        }
    }

    /// Adds to dL/d(xᵀy), the gradient in the inner products of a leaf's points. `add` gets the tile
    /// to add to, and is not called if nobody wants the gradient.
    pub fn add_inner_product_gradient(&mut self, pairs: &Pairs<'_, T>, add: impl FnOnce(&mut [T])) {
        let key = self.key(pairs);
        if self.shared[key].wants_gradient {
            add(self.shared[key].of_block(pairs).inner_gradient.zeroed(pairs.len()));
        }
    }

    /// Adds to the gradients in a leaf's points directly: `add` gets, for one coordinate at a time,
    /// its index and the gradients in the block's rows and in its columns. For leaves that depend on
    /// their points otherwise than through distances and inner products. Not called for
    /// coordinates that nobody wants the gradient of.
    pub fn add_point_gradient(&mut self, pairs: &Pairs<'_, T>, mut add: impl FnMut(usize, &mut [T], &mut [T])) {
        let (x_slot, y_slot) = (pairs.x.slot(), pairs.y.slot());
        let (mut unread_rows, mut unread_cols) = (self.take(pairs.nrows()), self.take(pairs.ncols()));
        if let Some((x, y)) = &mut self.gradients {
            let (mut x, mut y) = (x.slot_mut(x_slot), y.slot_mut(y_slot));
            if x.is_some() || y.is_some() {
                for dim in 0..pairs.dim() {
                    let in_rows = x.as_mut().map(|x| &mut x.col_as_slice_mut(dim)[pairs.rows.clone()]);
                    let in_cols = y.as_mut().map(|y| &mut y.col_as_slice_mut(dim)[pairs.cols.clone()]);
                    add(dim, in_rows.unwrap_or(&mut unread_rows), in_cols.unwrap_or(&mut unread_cols));
                }
            }
        }
        self.give(unread_rows);
        self.give(unread_cols);
    }

    /// Adds to the gradient in all points of the first set at this node: for features that are a table
    /// in which any pair may look up any entry. Not called if nobody wants the gradient.
    pub(crate) fn add_table_gradient(&mut self, pairs: &Pairs<'_, T>, add: impl FnOnce(&mut faer::Mat<T>)) {
        if let Some(gradient) = self.gradients.as_mut().and_then(|(x, _)| x.slot_mut(pairs.x.slot())) {
            add(gradient);
        }
    }

    /// Pulls the gradients in distances and inner products of the present block back to the features.
    pub(crate) fn pull_back(&mut self, x: &Embedding<'_, T>, y: &Embedding<'_, T>) {
        let Some((mut x_gradients, mut y_gradients)) = self.gradients.take() else { return };
        for key in 0..self.shared.len() {
            let (i, j) = self.pairs[key].pair;
            let (x_points, y_points) = (x.slot(i), y.slot(j));
            let (rows, cols) = (self.shared[key].rows.clone(), self.shared[key].cols.clone());
            for term in [Term::SquaredDistance, Term::InnerProduct] {
                let Some(gradient) = self.shared[key].take_gradient(term) else { continue };
                let by_pairs = moments_mut(&mut x_gradients, &mut y_gradients, (i, j)).is_some();
                if let Some(moments) = moments_mut(&mut x_gradients, &mut y_gradients, (i, j)) {
                    let buffer = self.pool.pop().unwrap_or_default();
                    let packed = pack(buffer, x_points, rows.clone(), y_points, cols.clone());
                    match term {
                        Term::SquaredDistance => moments_of_squared_distances(&packed, &gradient, moments),
                        Term::InnerProduct => moments_of_inner_products(&packed, &gradient, moments),
                    }
                    self.give(packed.into_buffer());
                }
                // Moments that have been summed pair by pair are not to be made of a gradient again.
                let out_of = if by_pairs { FeatureGradients::by_pairs_mut } else { FeatureGradients::slot_mut };
                if let Some(out) = out_of(&mut x_gradients, i) {
                    self.pull_back_rows(term, &gradient, (x_points, rows.clone()), (y_points, cols.clone()), out);
                }
                if let Some(out) = out_of(&mut y_gradients, j) {
                    let mut transposed = self.take(gradient.len());
                    transpose(&gradient, rows.len(), &mut transposed);
                    self.pull_back_rows(term, &transposed, (y_points, cols.clone()), (x_points, rows.clone()), out);
                    self.give(transposed);
                }
                self.shared[key].give_gradient(term, gradient);
            }
        }
        self.gradients = Some((x_gradients, y_gradients));
    }

    /// Adds to the gradient in some rows of a set of points, paired with some of another.
    fn pull_back_rows(
        &mut self,
        term: Term,
        gradient: &[T],
        (points, rows): (&Points<'_, T>, Range<usize>),
        (others, cols): (&Points<'_, T>, Range<usize>),
        out: &mut faer::Mat<T>,
    ) {
        let buffer = self.pool.pop().unwrap_or_default();
        let packed = pack(buffer, points, rows.clone(), others, cols);
        let mut amounts = self.take(rows.len() * points.dim());
        match term {
            Term::SquaredDistance => pull_back_squared_distances(&packed, gradient, &mut amounts),
            Term::InnerProduct => pull_back_inner_products(&packed, gradient, &mut amounts),
        }
        for (dim, amounts) in amounts.chunks_exact(rows.len()).enumerate() {
            add(&mut out.col_as_slice_mut(dim)[rows.clone()], amounts);
        }
        self.give(amounts);
        self.give(packed.into_buffer());
    }

    /// The feature gradients that were gathered, of the first and of the second set.
    pub(crate) fn into_gradients(self) -> Option<(FeatureGradients<T>, FeatureGradients<T>)> {
        self.gradients
    }

    fn pack(&mut self, pairs: &Pairs<'_, T>) -> Packed<T> {
        let buffer = self.pool.pop().unwrap_or_default();
        pack(buffer, pairs.x.points(), pairs.rows.clone(), pairs.y.points(), pairs.cols.clone())
    }
}

/// Where to add the moments of two sets, if they are summed pair by pair for both. They come in one
/// sum, and both go to the same parameters.
fn moments_mut<'g, T: Scalar>(
    x: &'g mut FeatureGradients<T>,
    y: &mut FeatureGradients<T>,
    (i, j): (usize, usize),
) -> Option<&'g mut [f64]> {
    y.moments_mut(j)?;
    x.moments_mut(i).map(Vec::as_mut_slice)
}

fn pack<T: Scalar>(
    buffer: Vec<T>,
    x: &Points<'_, T>,
    rows: Range<usize>,
    y: &Points<'_, T>,
    cols: Range<usize>,
) -> Packed<T> {
    Packed::new(buffer, x.dim(), |d| &x.column(d)[rows.clone()], |d| &y.column(d)[cols.clone()]).weighted(x.weights())
}

impl<T: Scalar> Kept<T> {
    /// The buffer, with unspecified contents, to be filled.
    fn unfilled(&mut self, len: usize) -> &mut [T] {
        self.buffer.resize(len, T::from_f64(0.0));
        self.valid = true;
        &mut self.buffer
    }

    /// The buffer, zero at the first use in a block.
    fn zeroed(&mut self, len: usize) -> &mut [T] {
        if !self.valid {
            self.buffer.clear();
            self.buffer.resize(len, T::from_f64(0.0));
            self.valid = true;
        }
        &mut self.buffer
    }
}

/// What the values of a block depend on the points through.
#[derive(Clone, Copy)]
enum Term {
    SquaredDistance,
    InnerProduct,
}

impl<T: Scalar> Shared<T> {
    /// Notes which points the gradients to come belong to: for a kernel on some of the points, not
    /// those of the whole block.
    fn of_block(&mut self, pairs: &Pairs<'_, T>) -> &mut Self {
        (self.rows, self.cols) = (pairs.rows.clone(), pairs.cols.clone());
        self
    }

    fn gradient(&mut self, term: Term) -> &mut Kept<T> {
        match term {
            Term::SquaredDistance => &mut self.squared_gradient,
            Term::InnerProduct => &mut self.inner_gradient,
        }
    }

    /// Lends the gradient of the present block, if there is one.
    fn take_gradient(&mut self, term: Term) -> Option<Vec<T>> {
        let kept = self.gradient(term);
        kept.valid.then(|| std::mem::take(&mut kept.buffer))
    }

    fn give_gradient(&mut self, term: Term, buffer: Vec<T>) {
        self.gradient(term).buffer = buffer;
    }
}

/// The slots of every node that has points.
fn find_pairs<T: Scalar>(x: &Features<'_, T>, y: &Features<'_, T>, pairs: &mut Vec<Slots>) {
    let (pair, leaf) = ((x.slot(), y.slot()), x.children().is_empty());
    if pair.0 != usize::MAX && pair.1 != usize::MAX {
        pairs.push(Slots { pair, leaf });
    }
    for (x, y) in x.children().iter().zip(y.children()) {
        find_pairs(x, y, pairs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn what_is_kept_grows_as_the_number_of_leaves() {
        let terms: Vec<DynKernel> =
            (0..200).map(|term| Rbf::new(1.0).ard([1.0 + 0.01 * f64::from(term)]).dynamic()).collect();
        let kernel = Sum::flat(terms).unwrap();
        let x = mat![[0.0], [1.0]];
        let ranges = crate::kernel::span::Ranges::of(x.as_ref());
        let embedding = Embedding::<f64>::new(&kernel, x.as_ref(), &ranges, false);
        let scratch = Scratch::new(&embedding, &embedding);
        // One for each leaf, and one for each map's own points, which are the leaf's.
        assert_eq!(scratch.shared.len(), 200);
        assert!((kernel.gram(x.as_ref()).unwrap()[(0, 0)] - 200.0f64).abs() < 1e-12);
    }
}
