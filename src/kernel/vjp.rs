//! Gradients of Σ cotangent ∘ K: vector-Jacobian products, tile by tile.

use std::ops::Range;

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use super::contexts::{DiagVjp, EmbedVjp, Rooms, Source, TileVjp};
use super::features::{Embedding, FeatureGradients};
use super::scratch::Scratch;
use super::span::Ranges;
use super::tile::{COLS, Pairs, ROWS};
use super::{Kernel, check_differentiable, check_others, check_points};
use crate::params::ParameterizedExt;
use crate::scalar::by_precision;
use crate::{Error, Result, Scalar};

/// Which inputs a gradient is wanted in, besides the hyperparameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GradientRequest {
    /// In the first set of points.
    pub x: bool,
    /// In the second set of points, where there is one.
    pub z: bool,
}

impl GradientRequest {
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
/// use mercer::kernel::{GradientRequest, gram_vjp};
///
/// let x = mat![[0.0], [1.0]];
/// let w = mat![[0.0, 1.0], [0.0, 0.0]];
/// let gradients = gram_vjp(&Rbf::new(1.0), x.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq)?;
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
    wanted: GradientRequest,
    par: Par,
) -> Result<Gradients<T>> {
    T::select::<GramVjp<'_>>((kernel, [x, cotangent], None, Part::Whole, wanted, par))
}

/// As [`gram_vjp`], for a matrix K(X, X) that is at hand: kernels whose derivatives follow from their values are not
/// evaluated again. The gradients are the same to rounding.
///
/// # Errors
///
/// As [`gram_vjp`], and [`Error::Shape`] if the matrix is not n × n.
pub(crate) fn gram_vjp_with_values<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    values: MatRef<'_, T>,
    (cotangent, part): (MatRef<'_, T>, Part),
    wanted: GradientRequest,
    par: Par,
) -> Result<Gradients<T>> {
    T::select::<GramVjp<'_>>((kernel, [x, cotangent], Some(values), part, wanted, par))
}

/// What there is of a matrix of cotangents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    Whole,
    /// The lower triangle of a symmetric one.
    Lower,
}

type Square<'a, T> = (&'a dyn Kernel<T>, [MatRef<'a, T>; 2], Option<MatRef<'a, T>>, Part, GradientRequest, Par);

by_precision!(GramVjp<'a, T>(Square<'a, T>) -> Result<Gradients<T>> = gram_gradient);

fn gram_gradient<T: Scalar>((kernel, [x, cotangent], known, of, wanted, par): Square<'_, T>) -> Result<Gradients<T>> {
    let n = x.nrows();
    check_differentiable(kernel)?;
    check_points(kernel, "x", x)?;
    if (cotangent.nrows(), cotangent.ncols()) != (n, n) {
        return Err(Error::shape("the cotangent", format!("{n} x {n}"), (cotangent.nrows(), cotangent.ncols())));
    }
    check_known(known, (n, n))?;
    let ranges = Ranges::of(x);
    let embedding = Embedding::new(kernel, x, &ranges, wanted.x);
    let job = Job { kernel, x: &embedding, z: &embedding, known, same_set: true };
    let (mut theta, gradients) = job.run(&lower_blocks(n), par, |block| match of {
        Part::Whole => Source::of_matrix(cotangent, block),
        Part::Lower => Source::of_half(cotangent, block),
    });
    let mut x = gradients.and_then(|(mut x, z)| {
        x.merge(&z);
        finish(kernel, &embedding, x, &mut theta)
    });
    if of == Part::Lower {
        let two = T::from_f64(2.0);
        theta.iter_mut().for_each(|entry| *entry *= 2.0);
        x.iter_mut().for_each(|x| *x *= faer::Scale(two));
    }
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
/// use mercer::kernel::{GradientRequest, cross_vjp};
///
/// let (x, z, w) = (mat![[2.0]], mat![[3.0]], mat![[10.0]]);
/// let gradients = cross_vjp(&Linear::new(0.5), x.as_ref(), z.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq)?;
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
    wanted: GradientRequest,
    par: Par,
) -> Result<Gradients<T>> {
    T::select::<CrossVjp<'_>>((kernel, [x, z, cotangent], None, wanted, par))
}

/// As [`cross_vjp`], for a matrix K(X, Z) that is at hand: see [`gram_vjp_with_values`].
///
/// # Errors
///
/// As [`cross_vjp`], and [`Error::Shape`] if the matrix is not n × m.
pub(crate) fn cross_vjp_with_values<T: Scalar>(
    kernel: &dyn Kernel<T>,
    [x, z]: [MatRef<'_, T>; 2],
    values: MatRef<'_, T>,
    cotangent: MatRef<'_, T>,
    wanted: GradientRequest,
    par: Par,
) -> Result<Gradients<T>> {
    T::select::<CrossVjp<'_>>((kernel, [x, z, cotangent], Some(values), wanted, par))
}

type Rectangle<'a, T> = (&'a dyn Kernel<T>, [MatRef<'a, T>; 3], Option<MatRef<'a, T>>, GradientRequest, Par);

by_precision!(CrossVjp<'a, T>(Rectangle<'a, T>) -> Result<Gradients<T>> = cross_gradient);

fn cross_gradient<T: Scalar>(
    (kernel, [x, z, cotangent], known, wanted, par): Rectangle<'_, T>,
) -> Result<Gradients<T>> {
    let shape = (x.nrows(), z.nrows());
    if (cotangent.nrows(), cotangent.ncols()) != shape {
        let found = (cotangent.nrows(), cotangent.ncols());
        return Err(Error::shape("the cotangent", format!("{} x {}", shape.0, shape.1), found));
    }
    check_known(known, shape)?;
    rectangle_vjp(kernel, [x, z], known, wanted, par, |block| Source::of_matrix(cotangent, block))
}

fn check_known<T: Scalar>(known: Option<MatRef<'_, T>>, expected: (usize, usize)) -> Result<()> {
    match known.map(|known| known.shape()).filter(|&found| found != expected) {
        Some(found) => Err(Error::shape("the matrix of values", format!("{} x {}", expected.0, expected.1), found)),
        None => Ok(()),
    }
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
/// use mercer::kernel::{GradientRequest, matmul_vjp};
///
/// let (x, z, v, w) = (mat![[2.0]], mat![[3.0]], mat![[5.0]], mat![[2.0]]);
/// let wanted = GradientRequest::PARAMETERS;
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
    wanted: GradientRequest,
    par: Par,
) -> Result<Gradients<T>> {
    T::select::<MatmulVjp<'_>>((kernel, [x, z, v, cotangent], wanted, par))
}

type Factors<'a, T> = (&'a dyn Kernel<T>, [MatRef<'a, T>; 4], GradientRequest, Par);

by_precision!(MatmulVjp<'a, T>(Factors<'a, T>) -> Result<Gradients<T>> = matmul_gradient);

fn matmul_gradient<T: Scalar>((kernel, [x, z, v, cotangent], wanted, par): Factors<'_, T>) -> Result<Gradients<T>> {
    if v.nrows() != z.nrows() {
        return Err(Error::shape("v", format!("{} rows, one for each point of z", z.nrows()), (v.nrows(), v.ncols())));
    }
    if (cotangent.nrows(), cotangent.ncols()) != (x.nrows(), v.ncols()) {
        let expected = format!("{} x {}", x.nrows(), v.ncols());
        return Err(Error::shape("the cotangent", expected, (cotangent.nrows(), cotangent.ncols())));
    }
    rectangle_vjp(kernel, [x, z], None, wanted, par, |block| Source::Product {
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
/// use mercer::kernel::{GradientRequest, diag_vjp};
///
/// let gradients = diag_vjp(&Linear::new(0.5), mat![[3.0]].as_ref(), &[2.0], GradientRequest::ALL)?;
/// assert_eq!(gradients.theta, [18.0]);
/// assert_eq!(gradients.x.unwrap()[(0, 0)], 6.0);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn diag_vjp<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    cotangent: &[T],
    wanted: GradientRequest,
) -> Result<Gradients<T>> {
    T::select::<Diagonal<'_>>((kernel, x, cotangent, wanted))
}

type Points<'a, T> = (&'a dyn Kernel<T>, MatRef<'a, T>, &'a [T], GradientRequest);

by_precision!(Diagonal<'a, T>(Points<'a, T>) -> Result<Gradients<T>> = diag_gradient);

fn diag_gradient<T: Scalar>((kernel, x, cotangent, wanted): Points<'_, T>) -> Result<Gradients<T>> {
    check_differentiable(kernel)?;
    check_points(kernel, "x", x)?;
    if cotangent.len() != x.nrows() {
        return Err(Error::shape("the cotangent", format!("{} element(s)", x.nrows()), (cotangent.len(), 1)));
    }
    let ranges = Ranges::of(x);
    let embedding = Embedding::new(kernel, x, &ranges, wanted.x);
    let mut theta = vec![0.0; kernel.num_params()];
    let mut gradients = embedding.gradients();
    kernel.tile_diag_vjp(DiagVjp::new(&embedding.features, cotangent, &mut theta, &mut gradients));
    let x = finish(kernel, &embedding, gradients, &mut theta);
    Ok(Gradients { theta, x, z: None })
}

fn rectangle_vjp<'w, T: Scalar>(
    kernel: &dyn Kernel<T>,
    [x, z]: [MatRef<'_, T>; 2],
    known: Option<MatRef<'_, T>>,
    wanted: GradientRequest,
    par: Par,
    cotangent: impl Fn(&Block) -> Source<'w, T> + Sync,
) -> Result<Gradients<T>> {
    check_differentiable(kernel)?;
    check_points(kernel, "x", x)?;
    check_others(kernel, z, x.ncols())?;
    let ranges = Ranges::of(z);
    let (x, z) = (Embedding::new(kernel, x, &ranges, wanted.x), Embedding::new(kernel, z, &ranges, wanted.z));
    let job = Job { kernel, x: &x, z: &z, known, same_set: false };
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
    kernel.embed_vjp(EmbedVjp::new(&embedding.input, &embedding.features, &mut gradients, theta));
    gradients.take(&embedding.input)
}

/// A block of the matrix.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) rows: Range<usize>,
    pub(super) cols: Range<usize>,
    /// Whether each entry also stands for its mirror image.
    pub(super) mirrored: bool,
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

/// Blocks have whole multiples of so many columns, as many as loops over pairs take at a time.
const COLUMNS_AT_ONCE: usize = 4;

/// Rows and columns of a block of an n × m matrix: all rows, where they are few, so that none is short.
fn block_shape(n: usize) -> (usize, usize) {
    let rows = if n <= 2 * ROWS { n.max(1) } else { ROWS };
    (rows, (ROWS * COLS / rows / COLUMNS_AT_ONCE).max(1) * COLUMNS_AT_ONCE)
}

impl Blocks {
    fn len(&self) -> usize {
        match self {
            Self::Rectangle { n, m } => {
                let (rows, cols) = block_shape(*n);
                n.div_ceil(rows) * m.div_ceil(cols)
            }
            Self::List(blocks) => blocks.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Block> {
        match self {
            Self::Rectangle { n, m } => (index < self.len()).then(|| {
                let (rows, cols) = block_shape(*n);
                let across = m.div_ceil(cols);
                let (row, col) = (index / across * rows, index % across * cols);
                Block { rows: row..(row + rows).min(*n), cols: col..(col + cols).min(*m), mirrored: false }
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

struct Job<'a, T: Scalar> {
    kernel: &'a dyn Kernel<T>,
    x: &'a Embedding<'a, T>,
    z: &'a Embedding<'a, T>,
    /// The matrix, if it is at hand.
    known: Option<MatRef<'a, T>>,
    same_set: bool,
}

/// Bytes of a matrix that a second-level cache has room for.
const NEAR: usize = 256 << 10;

type BothGradients<T> = (FeatureGradients<T>, FeatureGradients<T>);

impl<T: Scalar> Job<'_, T> {
    fn run<'w>(
        &self,
        blocks: &Blocks,
        par: Par,
        cotangent: impl Fn(&Block) -> Source<'w, T> + Sync,
    ) -> (Vec<f64>, Option<BothGradients<T>>) {
        let parts = (blocks.len() / 16).clamp(1, PARTS);
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
        let (mut scratch, mut rooms) = (Scratch::with_gradients(self.x, self.z), Rooms::default());
        // What the caches hold is not asked for.
        let far = self.x.input.len() * self.z.input.len() * size_of::<T>() > NEAR;
        for index in part.clone() {
            let Some(block) = blocks.get(index) else { break };
            let (rows, cols) = (block.rows.clone(), block.cols.clone());
            let pairs = Pairs::new(&self.x.features, &self.z.features, rows, cols, self.same_set);
            scratch.begin_block();
            let next = blocks.get(index + 1).filter(|_| far && index + 1 < part.end);
            let next = next.and_then(|next| cotangent(&next).ahead(self.known_in(&next)));
            let read = (cotangent(&block), self.known_in(&block), next);
            TileVjp::of_matrix(self.kernel, &pairs, read, &mut theta, (&mut scratch, &mut rooms));
            scratch.pull_back(self.x, self.z);
        }
        (theta, scratch.into_gradients())
    }

    fn known_in(&self, Block { rows, cols, .. }: &Block) -> Option<MatRef<'_, T>> {
        self.known.map(|known| known.submatrix(rows.start, cols.start, rows.len(), cols.len()))
    }
}
