//! The covariance of outputs: low rank plus a diagonal.

use faer::{Mat, MatRef};

use super::{ByIndex, IndexMatrix};
use crate::kernel::{Arguments, Construct, Psd};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::{Error, Result};

/// The coregionalization kernel: a covariance between the values of an index, of low rank plus a
/// diagonal. Times a kernel of the other columns, it makes a process with several correlated outputs:
/// see [`icm`](crate::algebra::icm).
///
/// # Definition
///
/// k(i, j) = (W Wᵀ + diag(κ))ᵢⱼ, for i, j = 0, 1, … P − 1
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `weights` | W, P × R | that of the outputs | finite |
/// | `diagonal` | κ, P | that of the outputs squared | positive |
///
/// # Properties
///
/// Reads one column, an [index](crate::kernel::IndexColumn) below P. Not stationary; positive
/// semi-definite. W is determined up to a rotation of its columns.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Coregionalization::new(mat![[1.0], [-0.5], [2.0]], [0.1, 0.2, 0.3]);
/// assert_eq!(kernel.eval(&[1.0], &[1.0])?, 0.45);
/// assert_eq!(kernel.eval(&[1.0], &[2.0])?, -1.0);
///
/// let of_time_and_output = Rbf::new(1.0).on([0]) * kernel.on([1]);
/// assert_eq!(of_time_and_output.eval(&[0.3, 0.0], &[0.3, 1.0])?, -0.5);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// - Goovaerts (1997), *Geostatistics for Natural Resources Evaluation*.
/// - Bonilla, Chai & Williams (2007), Multi-task Gaussian process prediction, NIPS 20.
/// - Álvarez, Rosasco & Lawrence (2012), Kernels for vector-valued functions: a review, section 4,
///   <https://doi.org/10.1561/2200000036>.
pub type Coregionalization = ByIndex<LowRank>;

impl Construct for Coregionalization {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["weights", "diagonal"])?;
        let weights: Mat<f64> = arguments.take("weights")?;
        arguments.check_entries(weights.nrows(), weights.nrows())?;
        Self::try_new(weights, arguments.take::<Vec<f64>>("diagonal")?)
    }
}

impl Coregionalization {
    /// The kernel with these weights, one row an output, and this diagonal.
    ///
    /// # Panics
    ///
    /// If [`try_new`](Self::try_new) gives an error.
    #[track_caller]
    pub fn new(weights: Mat<f64>, diagonal: impl Into<Vec<f64>>) -> Self {
        crate::error::literal(Self::try_new(weights, diagonal))
    }

    /// The kernel with these weights, one row an output, and this diagonal.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without weights; [`Error::Shape`] if the diagonal has not one element for each
    /// row of the weights; [`Error::Parameter`] for a weight that is not finite or an element that is not
    /// positive and finite.
    pub fn try_new(weights: Mat<f64>, diagonal: impl Into<Vec<f64>>) -> Result<Self> {
        LowRank::try_new(weights, diagonal).map(Self::of)
    }

    /// The weights W.
    pub fn weights(&self) -> MatRef<'_, f64> {
        self.index_matrix().weights()
    }

    /// The diagonal κ.
    pub fn diagonal(&self) -> &[f64] {
        self.index_matrix().diagonal()
    }
}

/// A matrix W Wᵀ + diag(κ).
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    weights: ParameterArray,
    diagonal: ParameterArray,
}

crate::parameterized!(LowRank as "coregionalization", parameters: [weights, diagonal]);

impl LowRank {
    /// The matrix with these weights and this diagonal.
    ///
    /// # Errors
    ///
    /// As [`Coregionalization::try_new`].
    pub fn try_new(weights: Mat<f64>, diagonal: impl Into<Vec<f64>>) -> Result<Self> {
        let ((rows, cols), diagonal) = (weights.shape(), diagonal.into());
        if rows == 0 || cols == 0 {
            return Err(Error::Empty { what: "the matrix of weights".to_owned() });
        }
        if diagonal.len() != rows {
            let expected = format!("{rows} element(s), one for each row of the weights");
            return Err(Error::shape("the diagonal", expected, (diagonal.len(), 1)));
        }
        let weights = weights.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()).collect();
        Ok(Self {
            weights: ParameterArray::new("weights", weights, Shape::Matrix(rows, cols), Constraint::Real)?,
            diagonal: ParameterArray::new("diagonal", diagonal, Shape::Vector(rows), Constraint::Positive)?,
        })
    }

    /// The weights W.
    pub fn weights(&self) -> MatRef<'_, f64> {
        let (rows, all) = (self.diagonal.values().len(), self.weights.values());
        MatRef::from_column_major_slice(all, rows, all.len() / rows)
    }

    /// The diagonal κ.
    pub fn diagonal(&self) -> &[f64] {
        self.diagonal.values()
    }
}

impl IndexMatrix for LowRank {
    fn count(&self) -> usize {
        self.diagonal().len()
    }

    fn matrix(&self) -> Mat<f64> {
        Mat::from_fn(self.count(), self.count(), |i, j| self.entry(i, j))
    }

    fn entry(&self, i: usize, j: usize) -> f64 {
        let (weights, own) = (self.weights(), if i == j { self.diagonal()[i] } else { 0.0 });
        (0..weights.ncols()).map(|rank| weights[(i, rank)] * weights[(j, rank)]).sum::<f64>() + own
    }

    fn matrix_vjp(&self, gradient: MatRef<'_, f64>, theta: &mut [f64]) {
        // dW = (G + Gᵀ) W, dκ = diag G
        let weights = self.weights();
        let in_weights = gradient * weights + gradient.transpose() * weights;
        let (of_weights, of_diagonal) = theta.split_at_mut(self.weights.values().len());
        for (theta, column) in of_weights.chunks_exact_mut(weights.nrows()).zip(in_weights.col_iter()) {
            theta.iter_mut().zip(column.iter()).for_each(|(theta, amount)| *theta += amount);
        }
        of_diagonal.iter_mut().enumerate().for_each(|(i, theta)| *theta += gradient[(i, i)]);
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn gram_is_the_matrix() {
        let weights = mat![[1.0, 0.2], [0.4, -0.8], [-0.3, 0.5]];
        let kernel = Coregionalization::new(weights.clone(), [0.3, 0.8, 1.4]);
        let mut expected = &weights * weights.transpose();
        [0.3, 0.8, 1.4].iter().enumerate().for_each(|(i, kappa)| expected[(i, i)] += kappa);
        let found: Mat<f64> = kernel.gram(mat![[0.0], [1.0], [2.0]].as_ref()).unwrap();
        assert!((found - expected).norm_max() < 1e-15);
    }

    #[test]
    fn gradients_in_the_index_are_zero() {
        use crate::kernel::{GradientRequest, cross_vjp};
        let kernel = Coregionalization::new(mat![[1.0], [0.4]], [0.3, 0.8]);
        let (x, w) = (mat![[0.0], [1.0]], mat![[1.0, 2.0], [3.0, 4.0]]);
        let gradients = cross_vjp(&kernel, x.as_ref(), x.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
        assert_eq!(gradients.x.unwrap(), Mat::<f64>::zeros(2, 1));
        assert_eq!(gradients.z.unwrap(), Mat::<f64>::zeros(2, 1));
        assert_eq!(gradients.theta, [2.0 + 5.0 * 0.4, 8.0 * 0.4 + 5.0, 1.0, 4.0]);
    }

    #[test]
    fn mistakes_are_refused() {
        assert!(Coregionalization::try_new(Mat::zeros(0, 0), []).is_err());
        assert!(Coregionalization::try_new(mat![[1.0], [2.0]], [1.0]).is_err());
        assert!(Coregionalization::try_new(mat![[1.0], [2.0]], [1.0, 0.0]).is_err());
    }
}
