//! Gradients of Σ cotangent ∘ K: vector-Jacobian products, tile by tile.

use std::ops::Range;

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use super::features::{Embedding, FeatureGradients, Points};
use super::tile::{COLS, Pairs, ROWS, Scratch};
use super::{Kernel, check_differentiable, check_others, check_points};
use crate::params::ParameterizedExt;
use crate::simd::elementwise::add;
use crate::simd::transpose::transpose;
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
    let embedding = Embedding::new(kernel, Points::new(x).with_gradient(wanted.x));
    let job = Job { kernel, x: &embedding, z: &embedding, same_set: true };
    let (mut theta, gradients) = job.run(lower_blocks(n), par, |block, out, scratch| {
        symmetric_cotangent(cotangent, block, out, scratch);
    });
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
    rectangle_vjp(kernel, x, z, wanted, par, |block, out, _| copy_block(cotangent, block, out))
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
    rectangle_vjp(kernel, x, z, wanted, par, |block, out, _| {
        let (rows, cols) = (block.rows.len(), block.cols.len());
        faer::linalg::matmul::matmul(
            faer::MatMut::from_column_major_slice_mut(out, rows, cols),
            faer::Accum::Replace,
            cotangent.subrows(block.rows.start, rows),
            v.subrows(block.cols.start, cols).transpose(),
            T::from_f64(1.0),
            Par::Seq,
        );
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
    let embedding = Embedding::new(kernel, Points::new(x).with_gradient(wanted.x));
    let mut theta = vec![0.0; kernel.num_params()];
    let mut gradients = embedding.gradients();
    kernel.tile_diag_vjp(&embedding.features, cotangent, &mut theta, &mut gradients);
    let x = finish(kernel, &embedding, gradients, &mut theta);
    Ok(Gradients { theta, x, z: None })
}

fn rectangle_vjp<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
    wanted: Wanted,
    par: Par,
    cotangent: impl Fn(&Block, &mut [T], &mut Scratch<T>) + Sync,
) -> Result<Gradients<T>> {
    check_differentiable(kernel)?;
    check_points(kernel, "x", x)?;
    check_others(kernel, z, x.ncols())?;
    let x = Embedding::new(kernel, Points::new(x).with_gradient(wanted.x));
    let z = Embedding::new(kernel, Points::new(z).with_gradient(wanted.z));
    let job = Job { kernel, x: &x, z: &z, same_set: false };
    let (mut theta, gradients) = job.run(all_blocks(x.input.len(), z.input.len()), par, cotangent);
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

/// A block of the matrix. Below `mirrored`, each entry stands for itself and its mirror image.
#[derive(Clone, Debug)]
struct Block {
    rows: Range<usize>,
    cols: Range<usize>,
    /// First row whose entries also stand for those above the diagonal.
    mirrored: usize,
}

fn all_blocks(n: usize, m: usize) -> Vec<Block> {
    let starts = (0..n).step_by(ROWS);
    starts
        .flat_map(|row| {
            (0..m).step_by(COLS).map(move |col| Block {
                rows: row..n.min(row + ROWS),
                cols: col..m.min(col + COLS),
                mirrored: usize::MAX,
            })
        })
        .collect()
}

/// The blocks on and below the diagonal of an n × n matrix.
fn lower_blocks(n: usize) -> Vec<Block> {
    let starts = (0..n).step_by(ROWS);
    starts
        .flat_map(|row| {
            let end = n.min(row + ROWS);
            (0..end).step_by(COLS).map(move |col| Block {
                rows: row.max(col)..end,
                cols: col..n.min(col + COLS),
                mirrored: col + COLS,
            })
        })
        .collect()
}

/// Copies a block of a matrix into a tile.
fn copy_block<T: Scalar>(matrix: MatRef<'_, T>, block: &Block, out: &mut [T]) {
    for (col, column) in block.cols.clone().zip(out.chunks_exact_mut(block.rows.len())) {
        let source = matrix.col(col).subrows(block.rows.start, block.rows.len());
        match source.try_as_col_major() {
            Some(source) => column.copy_from_slice(source.as_slice()),
            None => column.iter_mut().enumerate().for_each(|(row, value)| *value = source[row]),
        }
    }
}

/// The cotangent of a block on or below the diagonal: of each entry, plus that of its mirror image.
fn symmetric_cotangent<T: Scalar>(matrix: MatRef<'_, T>, block: &Block, out: &mut [T], scratch: &mut Scratch<T>) {
    copy_block(matrix, block, out);
    let first = block.mirrored.max(block.rows.start);
    if first >= block.rows.end {
        return;
    }
    let (height, width) = (block.rows.end - first, block.cols.len());
    let image = Block { rows: block.cols.clone(), cols: first..block.rows.end, mirrored: usize::MAX };
    let (mut above, mut mirrored) = (scratch.take(height * width), scratch.take(height * width));
    copy_block(matrix, &image, &mut above);
    transpose(&above, width, &mut mirrored);
    let skipped = first - block.rows.start;
    for (column, mirrored) in out.chunks_exact_mut(block.rows.len()).zip(mirrored.chunks_exact(height)) {
        add(&mut column[skipped..], mirrored);
    }
    scratch.give(above);
    scratch.give(mirrored);
}

struct Job<'a, T: Scalar> {
    kernel: &'a dyn Kernel<T>,
    x: &'a Embedding<'a, T>,
    z: &'a Embedding<'a, T>,
    same_set: bool,
}

type BothGradients<T> = (FeatureGradients<T>, FeatureGradients<T>);

impl<T: Scalar> Job<'_, T> {
    fn run(
        &self,
        blocks: Vec<Block>,
        par: Par,
        cotangent: impl Fn(&Block, &mut [T], &mut Scratch<T>) + Sync,
    ) -> (Vec<f64>, Option<BothGradients<T>>) {
        let parts = (blocks.len() / 32).clamp(1, PARTS);
        let part = |index: usize| {
            let part = &blocks[blocks.len() * index / parts..blocks.len() * (index + 1) / parts];
            self.part(part, &cotangent)
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

    fn part(
        &self,
        blocks: &[Block],
        cotangent: &impl Fn(&Block, &mut [T], &mut Scratch<T>),
    ) -> (Vec<f64>, Option<BothGradients<T>>) {
        let mut theta = vec![0.0; self.kernel.num_params()];
        let mut scratch = Scratch::with_gradients(self.x, self.z);
        let zero = T::from_f64(0.0);
        let (mut value, mut weights) = (vec![zero; ROWS * COLS], vec![zero; ROWS * COLS]);
        for block in blocks {
            let (rows, cols) = (block.rows.clone(), block.cols.clone());
            let pairs = Pairs::new(&self.x.features, &self.z.features, rows, cols, self.same_set);
            let (value, weights) = (&mut value[..pairs.len()], &mut weights[..pairs.len()]);
            scratch.begin_block();
            cotangent(block, weights, &mut scratch);
            if self.kernel.vjp_reads_value() {
                self.kernel.tile(&pairs, value, &mut scratch);
            }
            self.kernel.tile_vjp(&pairs, value, weights, &mut theta, &mut scratch);
            scratch.pull_back(self.x, self.z);
        }
        (theta, scratch.into_gradients())
    }
}
