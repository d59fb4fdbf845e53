//! Gradients of Σ cotangent ∘ K: vector-Jacobian products, tile by tile.

use std::ops::Range;

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use super::features::{Embedding, FeatureGradients};
use super::scratch::Scratch;
use super::span::Ranges;
use super::tile::{COLS, Pairs, ROWS};
use super::{Kernel, check_differentiable, check_others, check_points};
use crate::params::ParameterizedExt;
use crate::simd::dot;
use crate::simd::elementwise::scale;
use crate::simd::fused::{GradientInSquaredDistance, Weights};
use crate::simd::window::View;
use crate::{Error, Result, Scalar};

/// Which inputs a gradient is wanted in, besides the hyperparameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// In the first set of points.
    pub x: bool,
    /// In the second set of points, where there is one.
    pub z: bool,
}

impl Wanted {
    /// No inputs: hyperparameters alone.
    pub const PARAMETERS: Self = Self { x: false, z: false };
    /// All inputs.
    pub const ALL: Self = Self { x: true, z: true };
}

/// Gradients of a loss through a kernel.
#[derive(Clone, Debug)]
pub struct Gradients<T: Scalar> {
    /// In the hyperparameters, frozen ones included, in natural units, in visiting order.
    pub theta: Vec<f64>,
    /// In the first set of points, one row a point, if wanted.
    pub x: Option<Mat<T>>,
    /// In the second set of points, one row a point, if wanted.
    pub z: Option<Mat<T>>,
}

/// The most parts that a matrix is cut into. The number depends on the shape alone and the parts
/// are summed in order, so that the bits do not depend on the number of threads.
const PARTS: usize = 16;

/// Gradients of Σᵢⱼ Wᵢⱼ k(xᵢ, xⱼ), for any n × n matrix W of cotangents.
///
/// O(n²·D) time for most kernels; no n × n intermediate is stored.
///
/// # Errors
///
/// [`Error::NotDifferentiable`] with the path of the first node without vector-Jacobian product;
/// [`Error::Shape`] if W is not n × n; [`Error::Dimension`] if the kernel cannot read the points.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::kernel::{Wanted, gram_vjp};
///
/// let x = mat![[0.0], [1.0]];
/// let w = mat![[0.0, 1.0], [0.0, 0.0]];
/// let gradients = gram_vjp(&Rbf::new(1.0), x.as_ref(), w.as_ref(), Wanted::ALL, Par::Seq)?;
/// // k = exp(-r²/2ℓ²): dk/dℓ = k r²/ℓ³ and dk/dx₀ = k (x₁ - x₀)/ℓ².
/// let k = (-0.5f64).exp();
/// assert!((gradients.theta[0] - k).abs() < 1e-15);
/// assert!((gradients.x.unwrap()[(0, 0)] - k).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn gram_vjp<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    cotangent: MatRef<'_, T>,
    wanted: Wanted,
    par: Par,
) -> Result<Gradients<T>> {
    let n = x.nrows();
    check_differentiable(kernel)?;
    check_points(kernel, "x", x)?;
    if (cotangent.nrows(), cotangent.ncols()) != (n, n) {
        return Err(Error::shape("the cotangent", format!("{n} x {n}"), (cotangent.nrows(), cotangent.ncols())));
    }
    let ranges = Ranges::of(x);
    let embedding = Embedding::new(kernel, x, &ranges, wanted.x);
    let job = Job { kernel, x: &embedding, z: &embedding, same_set: true };
    let (mut theta, gradients) = job.run(&lower_blocks(n), par, |block| Source::of_matrix(cotangent, block));
    let x = gradients.and_then(|(mut x, z)| {
        x.merge(&z);
        finish(kernel, &embedding, x, &mut theta)
    });
    Ok(Gradients { theta, x, z: None })
}

/// Gradients of Σᵢⱼ Wᵢⱼ k(xᵢ, zⱼ), for any n × m matrix W of cotangents.
///
/// # Errors
///
/// As [`gram_vjp`], with W of n × m, and [`Error::Shape`] if the two sets differ in dimension.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::kernel::{Wanted, cross_vjp};
///
/// let (x, z, w) = (mat![[2.0]], mat![[3.0]], mat![[10.0]]);
/// let gradients = cross_vjp(&Linear::new(0.5), x.as_ref(), z.as_ref(), w.as_ref(), Wanted::ALL, Par::Seq)?;
/// assert_eq!(gradients.theta, [60.0]);
/// assert_eq!(gradients.x.unwrap()[(0, 0)], 15.0);
/// assert_eq!(gradients.z.unwrap()[(0, 0)], 10.0);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn cross_vjp<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
    cotangent: MatRef<'_, T>,
    wanted: Wanted,
    par: Par,
) -> Result<Gradients<T>> {
    let shape = (x.nrows(), z.nrows());
    if (cotangent.nrows(), cotangent.ncols()) != shape {
        let found = (cotangent.nrows(), cotangent.ncols());
        return Err(Error::shape("the cotangent", format!("{} x {}", shape.0, shape.1), found));
    }
    rectangle_vjp(kernel, x, z, wanted, par, |block| Source::of_matrix(cotangent, block))
}

/// Gradients of Σ W ∘ (K(X, Z) V), for a matrix W of cotangents in the shape of the product,
/// without storing K.
///
/// The gradient in V is K(Z, X) W: [`matmul_into`](super::matmul_into) with the sets exchanged.
///
/// # Errors
///
/// As [`cross_vjp`], with [`Error::Shape`] if V or W do not fit.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::kernel::{Wanted, matmul_vjp};
///
/// let (x, z, v, w) = (mat![[2.0]], mat![[3.0]], mat![[5.0]], mat![[2.0]]);
/// let wanted = Wanted::PARAMETERS;
/// let gradients = matmul_vjp(&Linear::new(0.5), x.as_ref(), z.as_ref(), v.as_ref(), w.as_ref(), wanted, Par::Seq)?;
/// assert_eq!(gradients.theta, [60.0]);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn matmul_vjp<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
    v: MatRef<'_, T>,
    cotangent: MatRef<'_, T>,
    wanted: Wanted,
    par: Par,
) -> Result<Gradients<T>> {
    if v.nrows() != z.nrows() {
        return Err(Error::shape("v", format!("{} rows, one for each point of z", z.nrows()), (v.nrows(), v.ncols())));
    }
    if (cotangent.nrows(), cotangent.ncols()) != (x.nrows(), v.ncols()) {
        let expected = format!("{} x {}", x.nrows(), v.ncols());
        return Err(Error::shape("the cotangent", expected, (cotangent.nrows(), cotangent.ncols())));
    }
    rectangle_vjp(kernel, x, z, wanted, par, |block| Source::Product {
        left: cotangent.subrows(block.rows.start, block.rows.len()),
        right: v.subrows(block.cols.start, block.cols.len()),
    })
}

/// Gradients of Σᵢ wᵢ k(xᵢ, xᵢ).
///
/// # Errors
///
/// As [`gram_vjp`], with one cotangent for each point.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::kernel::{Wanted, diag_vjp};
///
/// let gradients = diag_vjp(&Linear::new(0.5), mat![[3.0]].as_ref(), &[2.0], Wanted::ALL)?;
/// assert_eq!(gradients.theta, [18.0]);
/// assert_eq!(gradients.x.unwrap()[(0, 0)], 6.0);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn diag_vjp<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    cotangent: &[T],
    wanted: Wanted,
) -> Result<Gradients<T>> {
    check_differentiable(kernel)?;
    check_points(kernel, "x", x)?;
    if cotangent.len() != x.nrows() {
        return Err(Error::shape("the cotangent", format!("{} element(s)", x.nrows()), (cotangent.len(), 1)));
    }
    let ranges = Ranges::of(x);
    let embedding = Embedding::new(kernel, x, &ranges, wanted.x);
    let mut theta = vec![0.0; kernel.num_params()];
    let mut gradients = embedding.gradients();
    kernel.tile_diag_vjp(&embedding.features, cotangent, &mut theta, &mut gradients);
    let x = finish(kernel, &embedding, gradients, &mut theta);
    Ok(Gradients { theta, x, z: None })
}

fn rectangle_vjp<'w, T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
    wanted: Wanted,
    par: Par,
    cotangent: impl Fn(&Block) -> Source<'w, T> + Sync,
) -> Result<Gradients<T>> {
    check_differentiable(kernel)?;
    check_points(kernel, "x", x)?;
    check_others(kernel, z, x.ncols())?;
    let ranges = Ranges::of(z);
    let (x, z) = (Embedding::new(kernel, x, &ranges, wanted.x), Embedding::new(kernel, z, &ranges, wanted.z));
    let job = Job { kernel, x: &x, z: &z, same_set: false };
    let (mut theta, gradients) = job.run(&Blocks::Rectangle { n: x.input.len(), m: z.input.len() }, par, cotangent);
    let Some((in_x, in_z)) = gradients else { return Ok(Gradients { theta, x: None, z: None }) };
    let in_x = finish(kernel, &x, in_x, &mut theta);
    let in_z = finish(kernel, &z, in_z, &mut theta);
    Ok(Gradients { theta, x: in_x, z: in_z })
}

/// Pulls feature gradients back to the points, and takes the gradient in the points out.
fn finish<T: Scalar>(
    kernel: &dyn Kernel<T>,
    embedding: &Embedding<'_, T>,
    mut gradients: FeatureGradients<T>,
    theta: &mut [f64],
) -> Option<Mat<T>> {
    kernel.embed_vjp(&embedding.input, &embedding.features, &mut gradients, theta);
    gradients.take(&embedding.input)
}

/// A block of the matrix.
#[derive(Clone, Debug)]
struct Block {
    rows: Range<usize>,
    cols: Range<usize>,
    /// Whether each entry also stands for its mirror image.
    mirrored: bool,
}

/// The blocks of a matrix, in order.
#[derive(Debug)]
enum Blocks {
    /// All of an n × m matrix, by rows of blocks. Not as a list: a product without its matrix may have more
    /// blocks than its operands have entries.
    Rectangle {
        n: usize,
        m: usize,
    },
    List(Vec<Block>),
}

impl Blocks {
    fn len(&self) -> usize {
        match self {
            Self::Rectangle { n, m } => n.div_ceil(ROWS) * m.div_ceil(COLS),
            Self::List(blocks) => blocks.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Block> {
        match self {
            Self::Rectangle { n, m } => (index < self.len()).then(|| {
                let across = m.div_ceil(COLS);
                let (row, col) = (index / across * ROWS, index % across * COLS);
                Block { rows: row..(row + ROWS).min(*n), cols: col..(col + COLS).min(*m), mirrored: false }
            }),
            Self::List(blocks) => blocks.get(index).cloned(),
        }
    }
}

/// The blocks on and below the diagonal of an n × n matrix; those on it are squares.
fn lower_blocks(n: usize) -> Blocks {
    let mut blocks = Vec::new();
    for row in (0..n).step_by(ROWS) {
        let end = n.min(row + ROWS);
        for col in (0..end).step_by(COLS) {
            let cols = col..n.min(col + COLS);
            if col >= row {
                blocks.push(Block { rows: cols.clone(), cols: cols.clone(), mirrored: false });
            }
            let rows = if col >= row { cols.end..end } else { row..end };
            if !rows.is_empty() {
                blocks.push(Block { rows, cols, mirrored: true });
            }
        }
    }
    Blocks::List(blocks)
}

/// Where the cotangents of a block come from.
#[derive(Clone, Copy, Debug)]
enum Source<'a, T: Scalar> {
    /// A block of a matrix, and its mirror image, if that is to be added.
    Matrix { block: MatRef<'a, T>, mirrored: Option<MatRef<'a, T>> },
    /// The product of the first with the second transposed.
    Product { left: MatRef<'a, T>, right: MatRef<'a, T> },
}

impl<'a, T: Scalar> Source<'a, T> {
    fn of_matrix(matrix: MatRef<'a, T>, Block { rows, cols, mirrored }: &Block) -> Self {
        let part =
            |rows: &Range<usize>, cols: &Range<usize>| matrix.submatrix(rows.start, cols.start, rows.len(), cols.len());
        Self::Matrix { block: part(rows, cols), mirrored: mirrored.then(|| part(cols, rows)) }
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

/// Fills a tile.
type FillTile<'f, T> = &'f mut dyn FnMut(&mut [T], &mut Scratch<T>);

/// Pulls a tile's cotangent back, given its values.
type PullTileBack<'f, T> = &'f mut dyn FnMut(&[T], &[T], &mut Scratch<T>);

/// The cotangents of a block: see [`Kernel::block_vjp`], and the example of [`Target`](super::Target), which hands
/// them on.
#[derive(Debug)]
pub struct Cotangent<'a, T: Scalar> {
    source: Source<'a, T>,
    /// Where those of the next block are.
    next: Option<Source<'a, T>>,
    factor: Option<T>,
    /// Σ cotangent · value, before the factor.
    value_sum: f64,
}

impl<T: Scalar> Cotangent<'_, T> {
    /// Has the cotangents multiplied by a number, and Σ cotangent · value summed for the gradient in that
    /// number; says whether it will, which it does not for a second one.
    pub(crate) fn scale_by(&mut self, factor: T) -> bool {
        let first = self.factor.is_none();
        if first {
            self.factor = Some(factor);
        }
        first
    }

    /// Σ cotangent · value, of cotangents as they were before they were scaled.
    pub(crate) fn value_sum(&self) -> f64 {
        self.value_sum
    }

    /// Goes through a tile of cotangents.
    pub(crate) fn by_tile<K: Kernel<T> + ?Sized>(
        &mut self,
        kernel: &K,
        pairs: &Pairs<'_, T>,
        theta: &mut [f64],
        scratch: &mut Scratch<T>,
    ) {
        let reads_value = kernel.vjp_reads_value();
        self.through_tile(
            pairs,
            reads_value,
            scratch,
            &mut |out, scratch| kernel.tile(pairs, out, scratch),
            &mut |value, weights, scratch| kernel.tile_vjp(pairs, value, weights, theta, scratch),
        );
    }

    fn through_tile(
        &mut self,
        pairs: &Pairs<'_, T>,
        reads_value: bool,
        scratch: &mut Scratch<T>,
        tile: FillTile<'_, T>,
        tile_vjp: PullTileBack<'_, T>,
    ) {
        let (mut value, mut weights) = (scratch.take(pairs.len()), scratch.take(pairs.len()));
        self.source.fill(pairs.nrows(), &mut weights);
        // Those of the next block come from memory while this one is worked on.
        if let Some(next) = self.next.and_then(|next| next.weights()) {
            next.prefetch();
        }
        if self.factor.is_some() || reads_value {
            tile(&mut value, scratch);
        }
        if let Some(factor) = self.factor {
            self.value_sum += dot(&weights, &value).as_f64();
            scale(&mut weights, factor);
        }
        tile_vjp(&value, &weights, scratch);
        scratch.give(value);
        scratch.give(weights);
    }

    /// Goes through the gradient of a function of a leaf's squared distances, straight from the cotangents,
    /// where that is possible. `function` is called with the factor; the two sums of its gradient are of
    /// what the leaf wants, which are returned, and of cotangent · value, before the factor.
    pub(crate) fn by_squared_distance<F: GradientInSquaredDistance<T>>(
        &mut self,
        pairs: &Pairs<'_, T>,
        scratch: &mut Scratch<T>,
        function: impl FnOnce(T) -> F,
    ) -> Option<T> {
        let weights = self.source.weights()?;
        let next = self.next.and_then(|next| next.weights());
        let function = function(self.factor.unwrap_or(T::from_f64(1.0)));
        let [sum, value_sum] = scratch.fused_gradient(pairs, function, &weights, next.as_ref())?;
        self.value_sum += value_sum.as_f64();
        Some(sum)
    }
}

struct Job<'a, T: Scalar> {
    kernel: &'a dyn Kernel<T>,
    x: &'a Embedding<'a, T>,
    z: &'a Embedding<'a, T>,
    same_set: bool,
}

type BothGradients<T> = (FeatureGradients<T>, FeatureGradients<T>);

impl<T: Scalar> Job<'_, T> {
    fn run<'w>(
        &self,
        blocks: &Blocks,
        par: Par,
        cotangent: impl Fn(&Block) -> Source<'w, T> + Sync,
    ) -> (Vec<f64>, Option<BothGradients<T>>) {
        let parts = (blocks.len() / 32).clamp(1, PARTS);
        let part = |index: usize| {
            self.part(blocks, blocks.len() * index / parts..blocks.len() * (index + 1) / parts, &cotangent)
        };
        let results: Vec<_> = match par {
            Par::Seq => (0..parts).map(part).collect(),
            _ => (0..parts).into_par_iter().map(part).collect(),
        };
        let mut theta = vec![0.0; self.kernel.num_params()];
        let mut gradients: Option<BothGradients<T>> = None;
        for (part_theta, part_gradients) in results {
            theta.iter_mut().zip(part_theta).for_each(|(sum, amount)| *sum += amount);
            match (&mut gradients, part_gradients) {
                (Some((x, z)), Some((part_x, part_z))) => {
                    x.merge(&part_x);
                    z.merge(&part_z);
                }
                (gradients, part) => *gradients = part,
            }
        }
        (theta, gradients)
    }

    fn part<'w>(
        &self,
        blocks: &Blocks,
        part: Range<usize>,
        cotangent: &impl Fn(&Block) -> Source<'w, T>,
    ) -> (Vec<f64>, Option<BothGradients<T>>) {
        let mut theta = vec![0.0; self.kernel.num_params()];
        let mut scratch = Scratch::with_gradients(self.x, self.z);
        for index in part.clone() {
            let Some(block) = blocks.get(index) else { break };
            let (rows, cols) = (block.rows.clone(), block.cols.clone());
            let pairs = Pairs::new(&self.x.features, &self.z.features, rows, cols, self.same_set);
            scratch.begin_block();
            let mut cotangent = Cotangent {
                source: cotangent(&block),
                next: blocks.get(index + 1).filter(|_| index + 1 < part.end).map(|next| cotangent(&next)),
                factor: None,
                value_sum: 0.0,
            };
            self.kernel.block_vjp(&pairs, &mut cotangent, &mut theta, &mut scratch);
            scratch.pull_back(self.x, self.z);
        }
        (theta, scratch.into_gradients())
    }
}
