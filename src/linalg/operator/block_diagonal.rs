//! Block-diagonal matrices.

use faer::{Mat, MatRef, Par};

use super::{Operator, check_rows};
use crate::linalg::padded;
use crate::{Result, Scalar};

/// A block-diagonal matrix diag(A₁, …, A_b) of operators, each of its own size.
///
/// Products and solves take what those of the blocks take.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{BlockDiagonal, Dense, Diagonal, Jitter, Operator};
/// use mercer::prelude::{Mat, Par, mat};
///
/// let first = Dense::new(mat![[4.0, 2.0], [2.0, 5.0]].as_ref(), Jitter::default(), Par::Seq)?;
/// let blocks: Vec<Box<dyn Operator<f64>>> = vec![Box::new(first), Box::new(Diagonal::new(vec![2.0])?)];
/// let a = BlockDiagonal::new(blocks);
/// assert_eq!(a.solve(mat![[6.0], [7.0], [8.0]].as_ref(), Par::Seq)?, mat![[1.0], [1.0], [4.0]]);
/// assert!((a.log_det() - 32f64.ln()).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockDiagonal<A> {
    blocks: Vec<A>,
}

impl<A> BlockDiagonal<A> {
    /// From the blocks, in order. Without any, the matrix has no rows.
    pub fn new(blocks: Vec<A>) -> Self {
        Self { blocks }
    }

    /// The blocks.
    pub fn blocks(&self) -> &[A] {
        &self.blocks
    }

    /// B with the rows of each block replaced by what the block makes of them.
    fn by_block<T: Scalar>(&self, b: MatRef<'_, T>, f: impl Fn(&A, MatRef<'_, T>) -> Result<Mat<T>>) -> Result<Mat<T>>
    where
        A: Operator<T>,
    {
        check_rows(self.dim(), b)?;
        let mut out = padded(b.nrows(), b.ncols());
        let mut first = 0;
        for block in &self.blocks {
            let size = block.dim();
            out.subrows_mut(first, size).copy_from(f(block, b.subrows(first, size))?);
            first += size;
        }
        Ok(out)
    }
}

impl<T: Scalar, A: Operator<T>> Operator<T> for BlockDiagonal<A> {
    fn dim(&self) -> usize {
        self.blocks.iter().map(Operator::dim).sum()
    }

    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.by_block(b, |block, b| block.matmul(b, par))
    }

    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.by_block(b, |block, b| block.solve(b, par))
    }

    fn solve_lower(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.by_block(b, |block, b| block.solve_lower(b, par))
    }

    fn solve_upper(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.by_block(b, |block, b| block.solve_upper(b, par))
    }

    fn log_det(&self) -> f64 {
        self.blocks.iter().map(Operator::log_det).sum()
    }
}
