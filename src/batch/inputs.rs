//! Sets of points for the members of a batch.

use faer::{Mat, MatRef};

use crate::{Error, Result, Scalar};

/// One set of points for all members of a batch, or one for each; in a batch of batches, sets for each
/// of the outer members may in turn be one for all of the inner ones.
///
/// # Examples
///
/// ```
/// use mercer::batch::BatchPoints;
/// use mercer::prelude::*;
///
/// let (a, b) = (mat![[1.0], [2.0]], mat![[3.0], [4.0]]);
/// let shared: BatchPoints<'_, f64> = a.as_ref().into();
/// let each: BatchPoints<'_, f64> = vec![a.as_ref(), b.as_ref()].into();
/// assert!(matches!(shared, BatchPoints::Shared(_)));
/// assert!(matches!(each, BatchPoints::Each(sets) if sets.len() == 2));
/// ```
#[derive(Clone, Debug)]
pub enum BatchPoints<'a, T: Scalar> {
    /// One set for all members: N × D.
    Shared(MatRef<'a, T>),
    /// A set for each member: B × N × D.
    Each(Vec<BatchPoints<'a, T>>),
}

impl<'a, T: Scalar> From<MatRef<'a, T>> for BatchPoints<'a, T> {
    fn from(points: MatRef<'a, T>) -> Self {
        Self::Shared(points)
    }
}

impl<'a, T: Scalar, I: Into<BatchPoints<'a, T>>> From<Vec<I>> for BatchPoints<'a, T> {
    fn from(sets: Vec<I>) -> Self {
        Self::Each(sets.into_iter().map(Into::into).collect())
    }
}

impl<'a, T: Scalar> BatchPoints<'a, T> {
    /// The inputs of one of so many members.
    pub(crate) fn of_member(&self, what: &str, member: usize, members: usize) -> Result<Self> {
        match self {
            Self::Shared(_) => Ok(self.clone()),
            Self::Each(sets) if sets.len() == members => Ok(sets[member].clone()),
            Self::Each(sets) => {
                let expected = format!("one set of points for all members, or one for each of {members}");
                Err(Error::shape(what, expected, (sets.len(), 1)))
            }
        }
    }

    /// The points themselves, where no batch is left to choose from.
    pub(crate) fn points(&self, what: &str) -> Result<MatRef<'a, T>> {
        match self {
            Self::Shared(points) => Ok(*points),
            Self::Each(sets) => {
                Err(Error::shape(what, "one set of points: the batch has no further level", (sets.len(), 1)))
            }
        }
    }
}

/// Gradients in sets of points, arranged as the [`BatchPoints`] are.
#[derive(Clone, Debug, PartialEq)]
pub enum InputGradients<T: Scalar> {
    /// Summed over the members that share the set.
    Shared(Mat<T>),
    /// Of each set.
    Each(Vec<InputGradients<T>>),
}

impl<T: Scalar> InputGradients<T> {
    /// Arranges the gradients of all members, in order, as the inputs are arranged.
    pub(super) fn arrange(
        inputs: &BatchPoints<'_, T>,
        sizes: &[usize],
        of_members: &mut impl Iterator<Item = Mat<T>>,
    ) -> Self {
        match (inputs, sizes.split_first()) {
            (BatchPoints::Each(sets), Some((_, rest))) => {
                Self::Each(sets.iter().map(|set| Self::arrange(set, rest, of_members)).collect())
            }
            _ => {
                let members: usize = sizes.iter().product();
                let sum = of_members.take(members).reduce(|sum, gradient| sum + gradient);
                Self::Shared(sum.unwrap_or_else(Mat::new))
            }
        }
    }

    /// The gradient in a set of points that all members share.
    pub fn shared(&self) -> Option<MatRef<'_, T>> {
        match self {
            Self::Shared(gradient) => Some(gradient.as_ref()),
            Self::Each(_) => None,
        }
    }

    /// The gradients in the sets of the members.
    pub fn each(&self) -> &[Self] {
        match self {
            Self::Shared(_) => &[],
            Self::Each(gradients) => gradients,
        }
    }
}
