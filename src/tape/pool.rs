//! Matrices that outlive the tape that used them.

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
    /// By shape, in order: there are few, and they are looked up often.
    shelves: Vec<Shelf<T>>,
    /// The cotangents of the last gradient, all taken out.
    cotangents: Vec<Option<Mat<T>>>,
    /// How many values the last tape recorded.
    recorded: usize,
}

#[derive(Debug)]
struct Shelf<T: Scalar> {
    shape: (usize, usize),
    free: Vec<Mat<T>>,
    in_use: usize,
    most_in_use: usize,
}

impl<T: Scalar> Default for Pool<T> {
    fn default() -> Self {
        Self { shelves: Vec::new(), cotangents: Vec::new(), recorded: 0 }
    }
}

impl<T: Scalar> Pool<T> {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of matrices that it holds.
    pub fn len(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.free.len()).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shelf(&mut self, shape: (usize, usize)) -> &mut Shelf<T> {
        let place = match self.shelves.binary_search_by_key(&shape, |shelf| shelf.shape) {
            Ok(place) => place,
            Err(place) => {
                self.shelves.insert(place, Shelf { shape, free: Vec::new(), in_use: 0, most_in_use: 0 });
                place
            }
        };
        &mut self.shelves[place]
    }

    /// A matrix to be overwritten: its elements are arbitrary.
    pub(super) fn take(&mut self, nrows: usize, ncols: usize) -> Mat<T> {
        let shelf = self.shelf((nrows, ncols));
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
        let shelf = self.shelf((matrix.nrows(), matrix.ncols()));
        shelf.in_use = shelf.in_use.saturating_sub(1);
        shelf.free.push(matrix);
    }

    /// So many cotangents that are not there yet.
    pub(super) fn take_cotangents(&mut self, count: usize) -> Vec<Option<Mat<T>>> {
        let mut cotangents = std::mem::take(&mut self.cotangents);
        cotangents.resize_with(count, || None);
        cotangents
    }

    pub(super) fn give_cotangents(&mut self, mut cotangents: Vec<Option<Mat<T>>>) {
        cotangents.drain(..).flatten().for_each(|matrix| self.give(matrix));
        self.cotangents = cotangents;
    }

    /// How many values the next tape may record.
    pub(super) fn expected(&self) -> usize {
        self.recorded
    }

    /// Lets go of what the tape that ends, of so many values, did not need.
    pub(super) fn settle(&mut self, recorded: usize) {
        self.recorded = recorded;
        self.shelves.retain_mut(|shelf| {
            shelf.free.truncate(shelf.most_in_use);
            let used = shelf.most_in_use > 0;
            (shelf.in_use, shelf.most_in_use) = (0, 0);
            used
        });
    }
}
