//! Categories that are the same or not.

use super::equal;
use crate::kernel::index::index;
use crate::kernel::{
    DiagVjp, Expr, Features, IndexColumn, Inputs, Kernel, Pairs, Properties, Psd, Scratch, TileParts, TileVjp, text,
};
use crate::params::{Constraint, OneOrEach, PerDimension};
use crate::simd::sum;
use crate::{Error, Result, Scalar};

/// The categorical kernel: 1 for the same category, a correlation for different ones.
///
/// # Definition
///
/// k(x, y) = Π_d (1 if x_d = y_d, else ρ_d)
///
/// With one ρ it is ρʰ, for the Hamming distance h. ρ = 0 is the overlap kernel. BoTorch's
/// `CategoricalKernel` with lengthscales ℓ_d is ρ_d = exp(−1/(D ℓ_d)) in D dimensions. For a mean over
/// columns in place of the product, and for columns with different counts, add up or multiply kernels
/// of single columns.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `correlation` | ρ, or ρ_d for each dimension | 1 | between −1/(c − 1) and 1, for c categories |
///
/// # Properties
///
/// Every column is an [index](crate::kernel::IndexColumn) below the count c. Not stationary; positive
/// semi-definite: between the categories of one column the matrix has the eigenvalues 1 − ρ and
/// 1 + (c − 1) ρ.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Categorical::new(4, 0.5);
/// assert_eq!(kernel.eval(&[3.0], &[3.0])?, 1.0);
/// assert_eq!(kernel.eval(&[3.0, 1.0, 2.0], &[0.0, 1.0, 1.0])?, 0.25);
///
/// let mixed = Rbf::new(1.0).on([0]) * (Categorical::new(2, 0.3).on([1]) + Categorical::new(5, 0.0).on([2]));
/// assert_eq!(mixed.eval(&[0.7, 0.0, 4.0], &[0.7, 1.0, 4.0])?, 1.3);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// - Hutter (2009), *Automated Configuration of Algorithms for Solving Hard Computational Problems*,
///   PhD thesis, University of British Columbia.
/// - Roustant et al. (2020), Group kernels for Gaussian process metamodels with categorical inputs,
///   SIAM/ASA *Journal on Uncertainty Quantification* 8.
#[derive(Clone, Debug, PartialEq)]
pub struct Categorical {
    count: usize,
    correlation: PerDimension,
}

crate::parameterized!(Categorical as "categorical", parameters: [correlation]);
crate::kernel_ops!(Categorical);

impl Categorical {
    /// The kernel for so many categories, with one correlation for all columns or one for each.
    ///
    /// # Panics
    ///
    /// If [`try_new`](Self::try_new) gives an error.
    #[track_caller]
    pub fn new(count: usize, correlation: impl Into<OneOrEach>) -> Self {
        crate::error::literal(Self::try_new(count, correlation))
    }

    /// The kernel for so many categories, with one correlation for all columns or one for each.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there are fewer than two categories; [`Error::Parameter`] if a correlation is
    /// not between −1/(count − 1) and 1; [`Error::Shape`] for an empty list.
    pub fn try_new(count: usize, correlation: impl Into<OneOrEach>) -> Result<Self> {
        if count < 2 {
            return Err(Error::setting("the count of categories", count, "must be at least 2"));
        }
        let constraint = Constraint::Interval { lower: -1.0 / (count - 1) as f64, upper: 1.0 };
        Ok(Self { count, correlation: PerDimension::new("correlation", correlation, constraint)? })
    }

    /// The number of categories.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The correlation of different categories: one, or one for each column.
    pub fn correlations(&self) -> &[f64] {
        self.correlation.values()
    }
}

crate::construct!(Categorical: try_new(count: usize, correlation: OneOrEach));

impl Expr for Categorical {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        match self.correlation.dim() {
            Some(expected) if expected != dim => {
                let needs = format!("has {expected} correlation(s), one for each dimension");
                Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim })
            }
            _ => Ok(Inputs::all(dim).with_indices((0..dim).map(|column| IndexColumn::new(self, column, self.count)))),
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("count", self.count.to_string())]
    }
}

impl<T: Scalar> Kernel<T> for Categorical {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        if x.iter().chain(y).any(|&coordinate| index(coordinate, self.count).is_none()) {
            return T::nan();
        }
        let factor = |(dim, (&x, &y))| equal::factor(x, y, T::from_f64(self.correlation.at(dim)));
        x.iter().zip(y).enumerate().map(factor).fold(T::from_f64(1.0), |product, factor| product * factor)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], _: &mut Scratch<T>) {
        out.fill(T::from_f64(1.0));
        for dim in 0..pairs.dim() {
            let correlation = T::from_f64(self.correlation.at(dim));
            equal::multiply(out, pairs.x_column(dim), pairs.y_column(dim), correlation);
        }
    }

    fn tile_diag(&self, _: &Features<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(1.0));
    }

    // The derivative in one factor is the product of the others. Dividing the value by the factor would
    // not give it where that is 0, so products are taken from both ends.
    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let (dims, rows) = (pairs.dim(), pairs.nrows());
        let zero = T::from_f64(0.0);
        let mut after = scratch.take(dims + 1);
        for (entry, &c) in cotangent.iter().enumerate() {
            let (row, col) = (entry % rows, entry / rows);
            let factor = |dim: usize| {
                let otherwise = T::from_f64(self.correlation.at(dim));
                equal::factor(pairs.x_column(dim)[row], pairs.y_column(dim)[col], otherwise)
            };
            after[dims] = T::from_f64(1.0);
            for dim in (0..dims).rev() {
                after[dim] = after[dim + 1] * factor(dim);
            }
            let mut before = c;
            for dim in 0..dims {
                let differ = T::from_f64(1.0) - equal::factor(pairs.x_column(dim)[row], pairs.y_column(dim)[col], zero);
                let place = if theta.len() == 1 { 0 } else { dim };
                theta[place] += (before * differ * after[dim + 1]).as_f64();
                before *= factor(dim);
            }
        }
        scratch.give(after);
    }

    // k(x, x) = 1: a gradient of 0, but NaN for a cotangent of NaN.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { cotangent, theta, .. } = to;
        let nothing = (T::from_f64(0.0) * sum(cotangent)).as_f64();
        theta.iter_mut().for_each(|slot| *slot += nothing);
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn one_correlation_to_the_hamming_distance() {
        let kernel = Categorical::new(3, -0.4);
        for (x, y, hamming) in
            [([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], 0), ([0.0; 3], [2.0, 0.0, 1.0], 2), ([1.0; 3], [0.0; 3], 3)]
        {
            assert!((kernel.eval(&x, &y).unwrap() - (-0.4f64).powi(hamming)).abs() < 1e-16);
        }
    }

    #[test]
    fn at_the_bounds_the_matrix_is_singular() {
        let all = mat![[0.0], [1.0], [2.0]];
        for (correlation, within) in
            [(-0.5, false), ((-0.5f64).next_down(), false), (-0.49, true), (0.99, true), (1.0, false)]
        {
            assert_eq!(Categorical::try_new(3, correlation).is_ok(), within, "{correlation}");
        }
        let gram: Mat<f64> = Categorical::new(3, (-0.5f64).next_up()).gram(all.as_ref()).unwrap();
        assert!(gram.determinant().abs() < 1e-14);
    }
}
