//! What the vector-Jacobian products of a kernel are handed: where gradients come from, and where they go.

use std::ops::Range;

use faer::{MatRef, Par};

use super::Kernel;
use super::features::{FeatureGradients, Features};
use super::points::Points;
use super::scratch::Scratch;
use super::tile::Pairs;
use super::vjp::Block;
use crate::Scalar;
use crate::simd::cotangents::{Ahead, Weights};
use crate::simd::dot;
use crate::simd::elementwise::scale;
use crate::simd::sweep_gradient::{GradientInSquaredDistance, Known};
use crate::simd::window::View;

/// The backward pass of a block: see [`Kernel::tile_vjp`].
///
/// A leaf takes it apart by [`dense`](Self::dense) or [`with_value`](Self::with_value). A combinator that changes
/// no value, or only by a factor, hands it on to its child as it is: the cotangents of a block are then read straight from
/// the matrix that they stand in.
///
/// # Examples
///
/// ```
/// use mercer::kernel::{TileParts, Features, Kernel, Pairs, Scratch, TileVjp, GradientRequest};
/// use mercer::prelude::*;
/// use mercer::params::{Constraint, Parameter};
///
/// /// k = v·x·y, in one dimension.
/// #[derive(Clone, Debug)]
/// struct Product1 {
///     variance: Parameter,
/// }
/// mercer::parameterized!(Product1 as "product1", parameters: [variance]);
/// mercer::kernel_ops!(Product1);
///
/// impl Expr for Product1 {
///     fn properties(&self) -> Properties {
///         Properties::unknown().psd(Psd::Always).differentiable()
///     }
/// }
///
/// impl<T: Scalar> Kernel<T> for Product1 {
///     fn pairwise(&self, x: &[T], y: &[T]) -> T {
///         T::from_f64(self.variance.value()) * x[0] * y[0]
///     }
///
///     fn tile_vjp(&self, to: TileVjp<'_, T>) {
///         let TileParts { value, cotangent, theta, .. } = to.with_value(self);
///         for (value, cotangent) in value.iter().zip(cotangent) {
///             theta[0] += (*value * *cotangent).as_f64() / self.variance.value();
///         }
///     }
/// }
///
/// let kernel = Product1 { variance: Parameter::new("variance", 2.0, Constraint::Positive)? };
/// let (x, w) = (mat![[1.0], [3.0]], mat![[0.0, 1.0], [0.0, 0.0]]);
/// let gradients = mercer::kernel::gram_vjp(&kernel, x.as_ref(), w.as_ref(), GradientRequest::PARAMETERS, Par::Seq)?;
/// assert_eq!(gradients.theta, [3.0]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct TileVjp<'a, T: Scalar> {
    pairs: &'a Pairs<'a, T>,
    theta: &'a mut [f64],
    scratch: &'a mut Scratch<T>,
    cotangent: Cotangent<'a, T>,
}

/// The backward pass of a block, taken apart.
#[derive(Debug)]
pub struct TileParts<'a, T: Scalar> {
    /// The pairs of the block.
    pub pairs: &'a Pairs<'a, T>,
    /// The kernel's own values, by columns; empty unless asked for by [`TileVjp::with_value`].
    pub value: &'a [T],
    /// The gradient of the loss in each value, by columns.
    pub cotangent: &'a [T],
    /// To add to: the gradient of the loss in the kernel's parameters, in their order.
    pub theta: &'a mut [f64],
    /// Buffers, and through them the gradients of the features.
    pub scratch: &'a mut Scratch<T>,
}

/// The gradient of the loss in the values of a block.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and a box would be an allocation for each block"
)]
enum Cotangent<'a, T: Scalar> {
    Tile { value: Option<&'a [T]>, cotangent: &'a [T], room: Option<&'a mut Vec<T>> },
    Matrix(Matrix<'a, T>),
}

/// Cotangents that stand in a matrix.
#[derive(Debug)]
struct Matrix<'a, T: Scalar> {
    source: Source<'a, T>,
    /// What will be read for the next block.
    next: Option<Ahead<'a, T>>,
    /// The values of the block times the factor, if they are known.
    known: Option<MatRef<'a, T>>,
    /// What they are to be multiplied by.
    factor: Option<T>,
    /// To add to: Σ cotangent · value, before the factor.
    value_sum: &'a mut f64,
    rooms: &'a mut Rooms<T>,
}

/// Room for the values and the cotangents of a tile.
#[derive(Debug, Default)]
pub(super) struct Rooms<T> {
    value: Vec<T>,
    cotangent: Vec<T>,
}

fn room<T: Scalar>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    buffer.resize(len.max(buffer.len()), T::from_f64(0.0));
    &mut buffer[..len]
}

impl<'a, T: Scalar> TileVjp<'a, T> {
    /// Of a tile whose values are known.
    pub fn new(
        pairs: &'a Pairs<'a, T>,
        value: &'a [T],
        cotangent: &'a [T],
        theta: &'a mut [f64],
        scratch: &'a mut Scratch<T>,
    ) -> Self {
        Self { pairs, theta, scratch, cotangent: Cotangent::Tile { value: Some(value), cotangent, room: None } }
    }

    /// Pulls the cotangents of a tile back through a kernel, which evaluates itself if it has to.
    pub fn through(
        kernel: &dyn Kernel<T>,
        pairs: &Pairs<'_, T>,
        cotangent: &[T],
        theta: &mut [f64],
        scratch: &mut Scratch<T>,
    ) {
        let mut room = scratch.take(0);
        let cotangent = Cotangent::Tile { value: None, cotangent, room: Some(&mut room) };
        kernel.tile_vjp(TileVjp { pairs, theta, scratch: &mut *scratch, cotangent });
        scratch.give(room);
    }

    /// Pulls the cotangents of a block of a matrix back through a kernel, whose values in the block may be known.
    pub(super) fn of_matrix(
        kernel: &dyn Kernel<T>,
        pairs: &Pairs<'_, T>,
        (source, known, next): (Source<'_, T>, Option<MatRef<'_, T>>, Option<Ahead<'_, T>>),
        theta: &mut [f64],
        (scratch, rooms): (&mut Scratch<T>, &mut Rooms<T>),
    ) {
        let cotangent = Cotangent::Matrix(Matrix { source, next, known, factor: None, value_sum: &mut 0.0, rooms });
        kernel.tile_vjp(TileVjp { pairs, theta, scratch, cotangent });
    }

    /// The pairs of the block.
    pub fn pairs(&self) -> &'a Pairs<'a, T> {
        self.pairs
    }

    /// Hands the pass on to a kernel of the same values, which reads these pairs and has the parameters behind the
    /// first `own`.
    pub fn hand_on(self, kernel: &dyn Kernel<T>, pairs: &Pairs<'_, T>, own: usize) {
        let theta = self.theta.get_mut(own..).unwrap_or_default();
        kernel.tile_vjp(TileVjp { pairs, theta, scratch: self.scratch, cotangent: self.cotangent });
    }

    /// The cotangents in a tile.
    pub fn dense<K: Kernel<T> + ?Sized>(self, kernel: &K) -> TileParts<'a, T> {
        self.open(kernel, false)
    }

    /// The cotangents in a tile, and the values of the kernel, which is evaluated if they are not known.
    pub fn with_value<K: Kernel<T> + ?Sized>(self, kernel: &K) -> TileParts<'a, T> {
        self.open(kernel, true)
    }

    fn open<K: Kernel<T> + ?Sized>(self, kernel: &K, reads_value: bool) -> TileParts<'a, T> {
        let Self { pairs, theta, scratch, cotangent } = self;
        let (value, cotangent): (&[T], &[T]) = match cotangent {
            Cotangent::Tile { value: Some(value), cotangent, .. } => (value, cotangent),
            Cotangent::Tile { value: None, cotangent, room: Some(buffer) } if reads_value => {
                let value = room(buffer, pairs.len());
                kernel.tile(pairs, value, scratch);
                (value, cotangent)
            }
            Cotangent::Tile { value: None, cotangent, .. } => (&[], cotangent),
            Cotangent::Matrix(Matrix { source, next, known, factor, value_sum, rooms }) => {
                let cotangent = room(&mut rooms.cotangent, pairs.len());
                source.fill(pairs.nrows(), cotangent);
                // Those of the next block come from memory while this one is worked on.
                if let Some(next) = next {
                    next.prefetch(0, 1);
                }
                let mut value: &[T] = &[];
                if factor.is_some() || reads_value {
                    let values = room(&mut rooms.value, pairs.len());
                    match known.filter(|_| keeps_digits(factor)) {
                        Some(known) => fill_with_known(values, known, factor),
                        None => kernel.tile(pairs, values, scratch),
                    }
                    value = values;
                }
                if let Some(factor) = factor {
                    *value_sum += dot(cotangent, value).as_f64();
                    scale(cotangent, factor);
                }
                (value, cotangent)
            }
        };
        TileParts { pairs, value, cotangent, theta, scratch }
    }

    /// Hands the pass on to a kernel whose values are multiplied by a factor, which is the first parameter, and adds to
    /// the gradient in it. For pairs in a matrix, and a first factor: a second one rounds by itself. Gives the pass back
    /// where it did not.
    pub(crate) fn hand_on_scaled(mut self, kernel: &dyn Kernel<T>, factor: f64) -> Option<Self> {
        match &mut self.cotangent {
            Cotangent::Matrix(matrix) if matrix.factor.is_none() => {
                let mut sum = 0.0;
                let Self { pairs, theta, scratch, cotangent: Cotangent::Matrix(matrix) } = self else { return None };
                let Matrix { source, next, known, rooms, .. } = matrix;
                let (in_factor, theta) = theta.split_first_mut()?;
                let factor = Some(T::from_f64(factor));
                let cotangent = Cotangent::Matrix(Matrix { source, next, known, factor, value_sum: &mut sum, rooms });
                kernel.tile_vjp(TileVjp { pairs, theta, scratch, cotangent });
                *in_factor += sum;
                None
            }
            _ => Some(self),
        }
    }

    /// Goes through the gradient of a function of a leaf's squared distances on these pairs, straight from the cotangents,
    /// where that is possible. `function` is called with the factor; if the leaf wants it, Σ cotangent · slope · argument
    /// goes to `sum`. Gives the pass back where it did not.
    pub(crate) fn by_squared_distance<F: GradientInSquaredDistance<T>>(
        mut self,
        pairs: &Pairs<'_, T>,
        function: impl FnOnce(T) -> F,
        sum: Option<impl FnOnce(T, &mut [f64])>,
    ) -> Option<Self> {
        let Cotangent::Matrix(matrix) = &mut self.cotangent else { return Some(self) };
        if pairs.weights().is_some() {
            return Some(self);
        }
        let factor = matrix.factor.unwrap_or(T::from_f64(1.0));
        let cotangent = match matrix.source.weights() {
            Some(Weights { block, mirrored: None }) => block,
            _ => {
                let tile = room(&mut matrix.rooms.cotangent, pairs.len());
                matrix.source.fill(pairs.nrows(), tile);
                View::of_tile(tile, pairs.nrows())
            }
        };
        let known = matrix.known.filter(|_| keeps_digits(matrix.factor)).and_then(View::new);
        // Slopes of values times the factor, if they are proportional, have it already.
        let one = T::from_f64(1.0);
        let (before, after) = if F::PROPORTIONAL && known.is_some() { (factor, one) } else { (one, factor) };
        let known = known.map(|values| Known { values, factor: before / factor });
        let function = (function(after), sum.is_some());
        let [own, value_sum] = self.scratch.sweep_gradient(pairs, function, (cotangent, known), matrix.next.as_ref());
        *matrix.value_sum += value_sum.as_f64() / before.as_f64();
        if let Some(sum) = sum {
            sum(after * own, self.theta);
        }
        None
    }
}

/// Whether values times a factor still have the digits of the values, down to a rounding unit times the smallest normal
/// number or so: dividing them by the factor gives them to two roundings then, and not at all if it is 0.
fn keeps_digits<T: Scalar>(factor: Option<T>) -> bool {
    let size = factor.map_or(1.0, |factor| factor.as_f64().abs());
    let epsilon = T::epsilon().as_f64();
    (epsilon..=1.0 / epsilon).contains(&size)
}

/// Values, from a matrix that has them times a factor. By a division, which leaves those that are at most 1 at most 1.
fn fill_with_known<T: Scalar>(out: &mut [T], known: MatRef<'_, T>, factor: Option<T>) {
    Source::Matrix { block: known, mirrored: None }.fill(known.nrows(), out);
    if let Some(factor) = factor {
        out.iter_mut().for_each(|value| *value /= factor);
    }
}

/// The backward pass of a diagonal: see [`Kernel::tile_diag_vjp`].
#[derive(Debug)]
pub struct DiagVjp<'a, T: Scalar> {
    /// The features of the points.
    pub features: &'a Features<'a, T>,
    /// The gradient of the loss in each value.
    pub cotangent: &'a [T],
    /// To add to: the gradient of the loss in the kernel's parameters, in their order.
    pub theta: &'a mut [f64],
    /// To add to: the gradient of the loss in the features.
    pub gradients: &'a mut FeatureGradients<T>,
}

impl<'a, T: Scalar> DiagVjp<'a, T> {
    /// All parts together.
    pub fn new(
        features: &'a Features<'a, T>,
        cotangent: &'a [T],
        theta: &'a mut [f64],
        gradients: &'a mut FeatureGradients<T>,
    ) -> Self {
        Self { features, cotangent, theta, gradients }
    }
}

/// The backward pass of an embedding: see [`Kernel::embed_vjp`].
#[derive(Debug)]
pub struct EmbedVjp<'a, T: Scalar> {
    /// The points that were embedded.
    pub points: &'a Points<'a, T>,
    /// What was made of them.
    pub features: &'a Features<'a, T>,
    /// The gradient of the loss in the features, to read, and in the points, to add to.
    pub gradients: &'a mut FeatureGradients<T>,
    /// To add to: the gradient of the loss in the kernel's parameters, in their order.
    pub theta: &'a mut [f64],
}

impl<'a, T: Scalar> EmbedVjp<'a, T> {
    /// All parts together.
    pub fn new(
        points: &'a Points<'a, T>,
        features: &'a Features<'a, T>,
        gradients: &'a mut FeatureGradients<T>,
        theta: &'a mut [f64],
    ) -> Self {
        Self { points, features, gradients, theta }
    }
}

/// Where the cotangents of a block come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a, T: Scalar> {
    /// A block of a matrix, and its mirror image, if that is to be added.
    Matrix { block: MatRef<'a, T>, mirrored: Option<MatRef<'a, T>> },
    /// A block on the diagonal, of which the lower triangle counts: half of the diagonal, and what is below.
    Triangle(MatRef<'a, T>),
    /// The product of the first with the second transposed.
    Product { left: MatRef<'a, T>, right: MatRef<'a, T> },
}

impl<'a, T: Scalar> Source<'a, T> {
    pub(super) fn of_matrix(matrix: MatRef<'a, T>, Block { rows, cols, mirrored }: &Block) -> Self {
        let part =
            |rows: &Range<usize>, cols: &Range<usize>| matrix.submatrix(rows.start, cols.start, rows.len(), cols.len());
        Self::Matrix { block: part(rows, cols), mirrored: mirrored.then(|| part(cols, rows)) }
    }

    /// Half of a symmetric matrix: what is below the diagonal, and half of that.
    pub(super) fn of_half(matrix: MatRef<'a, T>, Block { rows, cols, mirrored }: &Block) -> Self {
        let block = matrix.submatrix(rows.start, cols.start, rows.len(), cols.len());
        if *mirrored { Self::Matrix { block, mirrored: None } } else { Self::Triangle(block) }
    }

    /// The same, to be read in registers, if it is stored by contiguous columns.
    fn weights(&self) -> Option<Weights<'a, T>> {
        let Self::Matrix { block, mirrored } = self else { return None };
        let block = View::new(*block)?;
        match mirrored {
            None => Some(Weights { block, mirrored: None }),
            Some(mirrored) => Some(Weights { block, mirrored: Some(View::new(*mirrored)?) }),
        }
    }

    /// What is to be asked for ahead of the block, whose values may be known.
    pub(super) fn ahead(&self, known: Option<MatRef<'a, T>>) -> Option<Ahead<'a, T>> {
        let Weights { block, mirrored } = self.weights()?;
        Some(Ahead([Some(block), mirrored, known.and_then(View::new)]))
    }

    fn fill(&self, rows: usize, out: &mut [T]) {
        match *self {
            Self::Product { left, right } => faer::linalg::matmul::matmul(
                faer::MatMut::from_column_major_slice_mut(out, rows, right.nrows()),
                faer::Accum::Replace,
                left,
                right.transpose(),
                T::from_f64(1.0),
                Par::Seq,
            ),
            Self::Triangle(block) => {
                for (col, column) in out.chunks_exact_mut(rows).enumerate() {
                    column[..col].fill(T::from_f64(0.0));
                    for (row, value) in column.iter_mut().enumerate().skip(col) {
                        *value = block[(row, col)];
                    }
                    column[col] *= T::from_f64(0.5);
                }
            }
            Self::Matrix { block, mirrored } => {
                if self.weights().is_some_and(|weights| T::read_weights(&weights, rows, out)) {
                    return;
                }
                for (col, column) in out.chunks_exact_mut(rows).enumerate() {
                    for (row, value) in column.iter_mut().enumerate() {
                        *value = block[(row, col)];
                        if let Some(mirrored) = mirrored {
                            *value += mirrored[(col, row)];
                        }
                    }
                }
            }
        }
    }
}
