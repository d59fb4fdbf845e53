//! Minibatches.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::{Error, Result};

/// The rows of the data that a step looks at.
///
/// # Examples
///
/// ```
/// use mercer::optim::Batch;
///
/// let batch = Batch::Rows(&[4, 0]);
/// assert_eq!(batch.len(10), 2);
/// assert_eq!(batch.scale(10), 5.0);
/// assert_eq!(Batch::All.scale(10), 1.0);
/// assert_eq!(batch.rows(10).collect::<Vec<_>>(), [4, 0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch<'a> {
    /// Every row.
    All,
    /// These rows, all different.
    Rows(&'a [usize]),
}

impl<'a> Batch<'a> {
    /// The number of rows in the batch, from data of `n` rows.
    pub fn len(self, n: usize) -> usize {
        match self {
            Self::All => n,
            Self::Rows(rows) => rows.len(),
        }
    }

    /// N / B: what a sum over the batch is multiplied with to estimate the sum over all `n` rows
    /// without bias.
    pub fn scale(self, n: usize) -> f64 {
        match self {
            Self::All => 1.0,
            Self::Rows(rows) => n as f64 / rows.len() as f64,
        }
    }

    /// The indices of the rows, from data of `n` rows.
    pub fn rows(self, n: usize) -> impl Iterator<Item = usize> + 'a {
        let (all, some) = match self {
            Self::All => (0..n, [].as_slice()),
            Self::Rows(rows) => (0..0, rows),
        };
        all.chain(some.iter().copied())
    }
}

/// Deals batches of one size, from a new shuffle whenever fewer rows than that are left.
///
/// A short batch at the end of an epoch would estimate as well without bias, but with more variance
/// than the rest, and matrices of a second size; its rows are in other batches of other epochs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Deck {
    pub(super) order: Vec<usize>,
    pub(super) dealt: usize,
    pub(super) size: usize,
}

impl Deck {
    pub(super) fn new(n: usize, size: usize) -> Self {
        Self { order: (0..n).collect(), dealt: n, size }
    }

    /// Refuses a deck that is not one of `n` rows, dealt `size` at a time.
    pub(super) fn check(&self, n: usize, size: usize) -> Result<()> {
        if self.size != size {
            let expected = format!("must be {}, as before", self.size);
            return Err(Error::setting("batch", size, &expected));
        }
        let mut seen = vec![false; n];
        let fresh = |&row: &usize| row < n && !std::mem::replace(&mut seen[row], true);
        if self.order.len() == n && self.dealt <= n && self.order.iter().all(fresh) {
            return Ok(());
        }
        Err(Error::shape("the order of the rows", format!("each of {n} row(s) once"), (self.order.len(), 1)))
    }

    /// The rows that were dealt last.
    pub(super) fn last(&self) -> &[usize] {
        &self.order[self.dealt.saturating_sub(self.size)..self.dealt]
    }

    pub(super) fn deal(&mut self, rng: &mut (impl Rng + ?Sized)) -> &[usize] {
        if self.dealt + self.size > self.order.len() {
            self.order.shuffle(rng);
            self.dealt = 0;
        }
        let batch = &self.order[self.dealt..self.dealt + self.size];
        self.dealt += self.size;
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn epochs_are_shuffles_without_replacement() {
        let mut rng = Pcg64::seed_from_u64(1);
        let mut deck = Deck::new(10, 3);
        let mut left_out = Vec::new();
        for _ in 0..40 {
            let mut seen = [0; 10];
            for _ in 0..3 {
                let batch = deck.deal(&mut rng);
                assert_eq!(batch.len(), 3);
                batch.iter().for_each(|&row| seen[row] += 1);
            }
            assert!(seen.iter().all(|&times| times <= 1));
            assert_eq!(seen.iter().sum::<usize>(), 9);
            left_out.extend(seen.iter().position(|&times| times == 0));
        }
        // The row that is left out is another one each time: each has its turn.
        assert!((0..10).all(|row| left_out.contains(&row)));
    }
}
