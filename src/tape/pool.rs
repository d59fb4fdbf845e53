//! Matrices that outlive the tape that used them.

use std::collections::HashMap;

use faer::Mat;

use crate::Scalar;
use crate::linalg::padded;

/// Matrices for the next tape, so that a training loop allocates in its first step alone.
///
/// Fresh memory costs more than it seems, as the system clears each page: in a sparse model's step
/// over a batch of 1024 it was a third of the time. A pool keeps, of each shape, as many matrices as
/// the last tape had in use at once; shapes that it did not use are let go.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::tape::{Pool, Tape};
///
/// let mut pool = Pool::new();
/// let mut a = mat![[1.0, 2.0], [3.0, 4.0]];
/// for _ in 0..60 {
///     let tape = Tape::with_pool(Par::Seq, pool);
///     let parameter = tape.parameter_ref(a.as_ref());
///     let loss = (parameter * parameter).sum_of_squares();
///     let gradients = tape.backward(loss)?;
///     let step = gradients.get(parameter).unwrap() * 1e-3;
///     tape.recycle(gradients);
///     pool = tape.into_pool();
///     a -= step;
/// }
/// assert!((&a * &a).norm_l2() < 2.0);
/// assert_eq!(pool.len(), 5); // two 1 x 1 and three 2 x 2
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool<T: Scalar> {
    shelves: HashMap<(usize, usize), Shelf<T>>,
}

#[derive(Debug)]
struct Shelf<T: Scalar> {
    free: Vec<Mat<T>>,
    in_use: usize,
    most_in_use: usize,
}

impl<T: Scalar> Default for Shelf<T> {
    fn default() -> Self {
        Self { free: Vec::new(), in_use: 0, most_in_use: 0 }
    }
}

impl<T: Scalar> Default for Pool<T> {
    fn default() -> Self {
        Self { shelves: HashMap::new() }
    }
}

impl<T: Scalar> Pool<T> {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of matrices that it holds.
    pub fn len(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.free.len()).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A matrix to be overwritten: its elements are arbitrary.
    pub(super) fn take(&mut self, nrows: usize, ncols: usize) -> Mat<T> {
        let shelf = self.shelves.entry((nrows, ncols)).or_default();
        shelf.in_use += 1;
        shelf.most_in_use = shelf.most_in_use.max(shelf.in_use);
        let mut matrix = shelf.free.pop().unwrap_or_else(|| padded(nrows, ncols));
        if cfg!(debug_assertions) {
            // Whoever reads what it did not write shall see it.
            matrix.fill(T::from_f64(f64::NAN));
        }
        matrix
    }

    pub(super) fn give(&mut self, matrix: Mat<T>) {
        let shelf = self.shelves.entry((matrix.nrows(), matrix.ncols())).or_default();
        shelf.in_use = shelf.in_use.saturating_sub(1);
        shelf.free.push(matrix);
    }

    /// Lets go of what the tape that ends did not need.
    pub(super) fn settle(&mut self) {
        self.shelves.retain(|_, shelf| {
            shelf.free.truncate(shelf.most_in_use);
            let used = shelf.most_in_use > 0;
            (shelf.in_use, shelf.most_in_use) = (0, 0);
            used
        });
    }
}
