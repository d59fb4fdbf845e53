//! How the values of a block get into a matrix.

use std::fmt::Debug;

use faer::prelude::ReborrowMut;
use faer::{ColMut, MatMut};

use super::Kernel;
use super::scratch::Scratch;
use super::tile::Pairs;
use crate::Scalar;
use crate::simd::elementwise::scale;
use crate::simd::stream;
use crate::simd::sweep::{OfSquaredDistance, Order};
use crate::simd::transpose::{transpose, transpose_into_lines};
use crate::simd::window::Window;

/// Matrices of more bytes than this are written past the caches: a few times the second-level cache of
/// present machines. Below, writing through the caches costs little more, and pays when the matrix is
/// read.
const LARGE: usize = 4 << 20;

/// Matrices of more bytes than this are not in the caches nearby when they are written: half of a second-level cache.
const NEAR: usize = 512 << 10;

/// Fills a tile. One type for all kernels: what is called once a tile is not compiled again for each.
type FillTile<'f, T> = &'f mut dyn FnMut(&Pairs<'_, T>, &mut [T], &mut Scratch<T>);

/// Writes the blocks of one matrix, past the caches if it is large.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer<T> {
    past_caches: bool,
    /// Bytes of all matrices that this is one of.
    of_all: usize,
    tile: Vec<T>,
    mirrored: Vec<T>,
}

impl<T: Scalar> Writer<T> {
    /// Of matrices that together take so many bytes.
    pub(super) fn of_many(bytes: usize) -> Self {
        Self { of_all: bytes, ..Self::default() }
    }

    /// Makes ready for a matrix of this shape; buffers are kept.
    pub(super) fn reset(&mut self, rows: usize, cols: usize) {
        self.past_caches = rows * cols * size_of::<T>() > LARGE;
    }

    /// Makes what was written visible to other threads.
    pub(super) fn finish(&mut self) {
        if std::mem::take(&mut self.past_caches) {
            stream::fence();
        }
    }

    /// A block of the matrix.
    pub(super) fn target<'a>(&'a mut self, block: MatMut<'a, T>) -> Target<'a, T> {
        Target { factor: None, symmetric: false, block, mirrored: None, offer: None, writer: self }
    }

    /// Offers a kernel a whole matrix, to be written without tiles; says whether it took it.
    pub(super) fn offer(
        &mut self,
        kernel: &dyn Kernel<T>,
        pairs: &Pairs<'_, T>,
        block: MatMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) -> bool {
        let mut target = Target { offer: Some(Offer::Open), symmetric: pairs.is_square(), ..self.target(block) };
        scratch.begin_block();
        kernel.write_block(pairs, &mut target, scratch);
        target.offer == Some(Offer::Taken)
    }
}

/// What became of a matrix that is offered whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Open,
    Taken,
}

/// A block of a matrix that a kernel writes its values to, with their mirror image where it is a Gram
/// matrix. See [`Kernel::write_block`](super::Kernel::write_block), and hand it on to the only child of a combinator
/// that changes no value.
///
/// # Examples
///
/// ```
/// use mercer::kernel::{Expr, Kernel, Pairs, Scratch, Target, TileVjp, GradientRequest};
/// use mercer::params::{Parameterized, Visitor, VisitorMut};
/// use mercer::prelude::*;
///
/// /// A squared exponential by another name, as fast as it is.
/// #[derive(Clone, Debug)]
/// struct Renamed(Rbf);
///
/// impl Parameterized for Renamed {
///     fn name(&self) -> &str {
///         "renamed"
///     }
///     fn visit(&self, visitor: &mut dyn Visitor) {
///         self.0.visit(visitor);
///     }
///     fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
///         self.0.visit_mut(visitor);
///     }
/// }
///
/// impl Expr for Renamed {
///     fn properties(&self) -> Properties {
///         Properties::unknown().differentiable()
///     }
/// }
///
/// impl<T: Scalar> Kernel<T> for Renamed {
///     fn pairwise(&self, x: &[T], y: &[T]) -> T {
///         self.0.pairwise(x, y)
///     }
///     fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
///         self.0.tile(pairs, out, scratch);
///     }
///     fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
///         self.0.write_block(pairs, target, scratch);
///     }
///     fn tile_vjp(&self, to: TileVjp<'_, T>) {
///         let pairs = to.pairs();
///         to.hand_on(&self.0, pairs, 0);
///     }
/// }
///
/// let (plain, renamed) = (Rbf::new(0.7), Renamed(Rbf::new(0.7)));
/// let x = mat![[0.0], [0.4], [1.5]];
/// assert_eq!(renamed.gram(x.as_ref())?, plain.gram(x.as_ref())?);
/// let w = mat![[1.0, 2.0, 0.0], [0.5, 1.0, 3.0], [0.0, 1.0, 1.0]];
/// let gradient = |kernel: &dyn Kernel<f64>| {
///     mercer::kernel::gram_vjp(kernel, x.as_ref(), w.as_ref(), GradientRequest::PARAMETERS, Par::Seq)
/// };
/// assert_eq!(gradient(&renamed)?.theta, gradient(&plain)?.theta);
/// assert!(gradient(&plain)?.theta[0] > 0.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct Target<'a, T: Scalar> {
    block: MatMut<'a, T>,
    mirrored: Option<MatMut<'a, T>>,
    symmetric: bool,
    factor: Option<T>,
    /// Of a whole matrix, which no tile is written to.
    offer: Option<Offer>,
    writer: &'a mut Writer<T>,
}

impl<'a, T: Scalar> Target<'a, T> {
    /// The same block, to be made exactly symmetric: one on the diagonal of a Gram matrix.
    pub(super) fn symmetric(self) -> Self {
        Self { symmetric: true, ..self }
    }

    /// The same block, with its mirror image.
    pub(super) fn with_mirrored(self, mirrored: MatMut<'a, T>) -> Self {
        Self { mirrored: Some(mirrored), ..self }
    }

    /// Writes the values of a kernel times a number: on their way, but for a second number, since numbers
    /// multiplied beforehand would round differently from the tiles that `tile` fills.
    pub(crate) fn write_scaled(
        &mut self,
        factor: f64,
        kernel: &dyn Kernel<T>,
        pairs: &Pairs<'_, T>,
        scratch: &mut Scratch<T>,
        tile: FillTile<'_, T>,
    ) {
        if self.factor.is_none() {
            self.factor = Some(T::from_f64(factor));
            kernel.write_block(pairs, self, scratch);
        } else {
            self.write_tile(pairs, scratch, tile);
        }
    }

    /// Writes the values that `tile` fills a tile with.
    pub(crate) fn write_tile(&mut self, pairs: &Pairs<'_, T>, scratch: &mut Scratch<T>, tile: FillTile<'_, T>) {
        if pairs.is_empty() || self.offer.is_some() {
            return;
        }
        let Writer { past_caches, tile: values, mirrored, .. } = &mut *self.writer;
        let rows = pairs.nrows();
        values.resize(values.len().max(pairs.len()), T::from_f64(0.0));
        let values = &mut values[..pairs.len()];
        tile(pairs, values, scratch);
        if let Some(factor) = self.factor {
            scale(values, factor);
        }
        if self.symmetric || (self.mirrored.is_some() && *past_caches) {
            mirrored.resize(mirrored.len().max(values.len()), T::from_f64(0.0));
            transpose(values, rows, &mut mirrored[..values.len()]);
        }
        let mirrored = &mirrored[..values.len().min(mirrored.len())];
        if self.symmetric {
            symmetrize(values, rows, mirrored);
        }
        write_columns(values, rows, self.block.rb_mut(), *past_caches);
        match self.mirrored.as_mut().map(MatMut::rb_mut) {
            Some(block) if *past_caches => write_columns(mirrored, pairs.ncols(), block, true),
            Some(block) => write_transposed(values, rows, block),
            None => {}
        }
    }

    /// Writes a function of the squared distances of a leaf's points straight into a matrix that is offered whole,
    /// where that is possible. `function` is called with the factor.
    pub(crate) fn take_as_function_of_squared_distance<F: OfSquaredDistance<T>>(
        &mut self,
        pairs: &Pairs<'_, T>,
        scratch: &mut Scratch<T>,
        function: impl FnOnce(T) -> F,
    ) {
        if self.offer != Some(Offer::Open) {
            return;
        }
        let function = function(self.factor.unwrap_or(T::from_f64(1.0)));
        // To compute a simple value of `f32` twice takes less than to wait for the memory of a large matrix.
        let bytes = pairs.len() * size_of::<T>();
        let waits = bytes > LARGE && size_of::<T>() < size_of::<f64>();
        let order = Order {
            mirrored: self.symmetric && (!waits || pairs.dim() > 8),
            past_caches: self.writer.past_caches,
            ahead: bytes.max(self.writer.of_all) > NEAR,
        };
        // The function of x and y is that of y and x: a matrix that is stored by rows is the transpose of one by columns.
        let taken = if let Some(mut out) = Window::new(self.block.rb_mut()) {
            scratch.sweep(pairs, function, &mut out, (false, order))
        } else if let Some(mut out) = Window::new(self.block.rb_mut().transpose_mut()) {
            scratch.sweep(pairs, function, &mut out, (true, order))
        } else {
            false
        };
        if taken {
            self.offer = Some(Offer::Taken);
        }
    }
}

/// Writes a tile into a block of the same shape.
fn write_columns<T: Scalar>(tile: &[T], rows: usize, mut out: MatMut<'_, T>, past_caches: bool) {
    for (col, values) in tile.chunks_exact(rows).enumerate().take(out.ncols()) {
        let column = out.rb_mut().col_mut(col);
        match column.try_as_col_major_mut() {
            Some(column) if past_caches => stream::copy(values, column.as_slice_mut()),
            Some(column) => column.as_slice_mut().copy_from_slice(values),
            None => values.iter().enumerate().for_each(|(row, &value)| out[(row, col)] = value),
        }
    }
}

/// Writes the transpose of a tile.
fn write_transposed<T: Scalar>(tile: &[T], rows: usize, mut out: MatMut<'_, T>) {
    if out.row_stride() == 1 {
        let columns = out.col_iter_mut().filter_map(ColMut::try_as_col_major_mut).map(ColMut::as_slice_mut);
        transpose_into_lines(tile, rows, columns);
        return;
    }
    for row in 0..out.ncols() {
        for col in 0..out.nrows() {
            out[(col, row)] = tile[row + col * rows];
        }
    }
}

/// Makes a square tile exactly symmetric, by its lower half, given its transpose: a kernel whose code
/// rounds k(x, y) and k(y, x) differently still gets a symmetric matrix.
fn symmetrize<T: Scalar>(tile: &mut [T], rows: usize, mirrored: &[T]) {
    for (col, column) in tile.chunks_exact_mut(rows).enumerate() {
        column[..col].copy_from_slice(&mirrored[col * rows..][..col]);
    }
}
