//! A basis of the mean of q, beside that of its covariance.

mod record;
#[cfg(feature = "serde")]
mod saved;

pub(super) use record::Recorded;

use faer::{Mat, MatRef};

use crate::inducing::InducingPoints;
use crate::params::{Constraint, ParameterArray, Shape};
use crate::{Error, Result};

/// G inputs Γ with a weight each, for the posterior mean of an [`Svgp`](super::Svgp) alone: a mean is cheap, a
/// covariance is not, so that a few inducing variables can serve the one and many more points the other.
///
/// # Definition
///
/// Let m and S be those of the model's q of its whitened inducing variables, with A = L⁻¹K_uf and B = L⁻¹K(u, Γ), and a
/// the weights. The covariance of f under q is that without the basis, and the mean and KL(q ‖ p) are
///
/// | made by | mean | KL beyond ½ (‖m‖² + tr S − M − log \|S\|) |
/// |---|---|---|
/// | [`new`](Self::new) | m(x) + Aᵀm + K(x, Γ) a | mᵀBa + ½ aᵀK(Γ, Γ)a |
/// | [`orthogonal`](Self::orthogonal) | m(x) + Aᵀm + (K(x, Γ) − AᵀB) a | ½ aᵀ(K(Γ, Γ) − BᵀB)a |
///
/// Both KL are exact: ½ the squared norm of the mean in the space of the kernel, and what the covariance adds. Both
/// forms reach the same processes. In the first, `variational.mean` frozen at 0 leaves the decoupled bases of Cheng & Boots,
/// in which Γ alone has the mean. In the second, what a adds is what u does not determine: it is orthogonal to the mean by
/// m, q of u is N(m, S) whatever a is, and a natural gradient step of q keeps its meaning.
///
/// # Parameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `inputs[i, d]` | Γ | that of the inputs | any finite number |
/// | `weights[i]`, or `weights[i, l]` of several latent functions | a | that of the outputs by that of the kernel | any finite number |
///
/// Weights start at 0: at the model without the basis. Inputs that must not move, on a sphere or of indices, are
/// to be frozen.
///
/// # Complexity
///
/// O(B·G·D + G²·D + G·M²) time and O(B·G + G² + G·M) memory for a batch of B in D dimensions: linear in G but
/// for K(Γ, Γ), of which nothing is factorised.
///
/// # Examples
///
/// Five inducing inputs are too few for eight periods of a sine; its mean has a basis of its own.
///
/// ```
/// use mercer::gp::{MeanBasis, Svgp};
/// use mercer::likelihood::Gaussian;
/// use mercer::optim::{Lbfgs, NaturalGradient};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(100, 1, |i, _| 0.5 * i as f64);
/// let y: Vec<f64> = (0..100).map(|i| (0.5 * i as f64).sin()).collect();
/// let z = Mat::from_fn(5, 1, |i, _| 10.0 * i as f64);
/// let gamma = Mat::from_fn(50, 1, |i, _| i as f64);
///
/// let mut coupled = Svgp::new(Rbf::new(1.0), z.as_ref())?.with_likelihood(Gaussian::new(0.1));
/// let mut decoupled = coupled.clone().with_mean_basis(MeanBasis::orthogonal(gamma.as_ref())?)?;
/// for gp in [&mut coupled, &mut decoupled] {
///     for path in ["kernel", "likelihood", "inducing"] {
///         gp.freeze(path)?;
///     }
/// }
/// decoupled.freeze("mean_basis.inputs")?;
/// coupled.natural_step(&Data::new(&x, &y).part_of(100), &NaturalGradient::default())?;
/// decoupled.fit_profiled(&Data::new(&x, &y), &Lbfgs::default(), &NaturalGradient::default())?;
/// let data = Data::new(&x, &y);
/// assert!(decoupled.objective(&data)?.value > coupled.objective(&data)?.value + 100.0);
///
/// let at = mat![[23.2]];
/// let (without, with) = (coupled.posterior()?.predict(at.as_ref())?, decoupled.posterior()?.predict(at.as_ref())?);
/// assert!((with.mean[(0, 0)] - 23.2f64.sin()).abs() < 0.1 && (without.mean[(0, 0)] - 23.2f64.sin()).abs() > 0.5);
/// assert!((with.variance[(0, 0)] - without.variance[(0, 0)]).abs() < 1e-9);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Cheng & Boots (2017), *Variational inference for Gaussian process models with linear complexity*, NIPS 30; Salimbeni,
/// Cheng, Boots & Deisenroth (2018), *Orthogonally decoupled variational Gaussian processes*, NeurIPS 31.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "decoupled GP", alias = "ODVGP")]
pub struct MeanBasis {
    points: InducingPoints,
    weights: ParameterArray,
    orthogonal: bool,
}

impl MeanBasis {
    /// Inputs in the rows of a matrix, whose functions K(·, Γ) are added to the mean as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without rows or columns; [`Error::NonFinite`] for a NaN or an infinity.
    ///
    /// # Examples
    ///
    /// With Γ the inducing inputs themselves and q of mean 0, a = K(Z, Z)⁻¹E\[u\] is the mean that q would have:
    ///
    /// ```
    /// use mercer::gp::{MeanBasis, Svgp, Variational};
    /// use mercer::prelude::*;
    ///
    /// let z = mat![[0.0], [2.0]];
    /// let q = Variational::new(&[0.6, 0.8], Mat::identity(2, 2).as_ref())?;
    /// let coupled = Svgp::new(Rbf::new(1.0), z.as_ref())?.with_variational(q)?;
    ///
    /// // a = L⁻ᵀm
    /// let (k, root) = ((-2f64).exp(), (1.0 - (-4f64).exp()).sqrt());
    /// let weights = mat![[0.6 - 0.8 * k / root], [0.8 / root]];
    /// let basis = MeanBasis::new(z.as_ref())?.with_weights(weights.as_ref())?;
    /// let decoupled = Svgp::new(Rbf::new(1.0), z.as_ref())?.with_mean_basis(basis)?;
    ///
    /// let (x, y) = (mat![[0.5], [1.0]], [0.3, -0.2]);
    /// let data = Data::new(&x, &y);
    /// let (one, other) = (coupled.objective(&data)?, decoupled.objective(&data)?);
    /// assert!((one.value - other.value).abs() < 1e-14 && (one.kl - other.kl).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn new(inputs: MatRef<'_, f64>) -> Result<Self> {
        let points = InducingPoints::new(inputs)?;
        let weights = weights_of(Mat::zeros(points.len(), 1).as_ref())?;
        Ok(Self { points, weights, orthogonal: false })
    }

    /// Inputs in the rows of a matrix, whose functions lose their part in the span of the inducing variables.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// At an inducing input the mean is that of q, whatever the weights are:
    ///
    /// ```
    /// use mercer::gp::{MeanBasis, Svgp};
    /// use mercer::prelude::*;
    ///
    /// let basis = MeanBasis::orthogonal(mat![[0.5]].as_ref())?.with_weights(mat![[2.0]].as_ref())?;
    /// let gp = Svgp::new(Rbf::new(1.0), mat![[0.0]].as_ref())?.with_mean_basis(basis)?;
    /// let mean = gp.posterior()?.mean(mat![[0.0], [0.5]].as_ref())?;
    /// // 2 (k(x, γ) − k(x, 0) k(0, γ))
    /// assert!(mean[(0, 0)].abs() < 1e-15 && (mean[(1, 0)] - 2.0 * (1.0 - (-0.25f64).exp())).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn orthogonal(inputs: MatRef<'_, f64>) -> Result<Self> {
        Ok(Self { orthogonal: true, ..Self::new(inputs)? })
    }

    /// Sets the weights, G × L for L latent functions.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is not a row for each input, or no column; [`Error::Parameter`] for a weight that is
    /// not finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::MeanBasis;
    /// use mercer::prelude::*;
    ///
    /// let (inputs, weights) = (mat![[0.0], [1.0], [2.0]], mat![[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]);
    /// let basis = MeanBasis::orthogonal(inputs.as_ref())?.with_weights(weights.as_ref())?;
    /// assert_eq!((basis.len(), basis.is_orthogonal()), (3, true));
    /// assert_eq!((basis.inputs(), basis.weights()), (inputs.as_ref(), weights.as_ref()));
    /// assert_eq!(basis.get("weights[2, 1]")?, 0.6);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_weights(mut self, weights: MatRef<'_, f64>) -> Result<Self> {
        if weights.nrows() != self.len() || weights.ncols() == 0 {
            let expected = format!("{} row(s), and a column for each latent function", self.len());
            return Err(Error::shape("the weights of the mean basis", expected, (weights.nrows(), weights.ncols())));
        }
        self.weights = weights_of(weights)?;
        Ok(self)
    }

    /// G, the number of inputs.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none: never, as constructed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the basis is orthogonal to the inducing variables.
    pub fn is_orthogonal(&self) -> bool {
        self.orthogonal
    }

    /// The inputs, one a row.
    pub fn inputs(&self) -> MatRef<'_, f64> {
        self.points.inputs()
    }

    /// The weights, G × L.
    pub fn weights(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(self.weights.values(), self.len(), self.latents())
    }

    pub(super) fn latents(&self) -> usize {
        self.weights.values().len() / self.len().max(1)
    }

    /// Drops weights beyond those of `latents` functions, or repeats the last.
    pub(super) fn resize(mut self, latents: usize) -> Self {
        self.weights.resize_columns(self.points.len(), latents.max(1));
        self
    }
}

fn weights_of(weights: MatRef<'_, f64>) -> Result<ParameterArray> {
    let (rows, cols) = (weights.nrows(), weights.ncols());
    let shape = if cols == 1 { Shape::Vector(rows) } else { Shape::Matrix(rows, cols) };
    let values = (0..cols).flat_map(|col| (0..rows).map(move |row| weights[(row, col)])).collect();
    ParameterArray::new("weights", values, shape, Constraint::Real)
}

crate::parameterized!(MeanBasis as "", inner: points, parameters: [weights]);
