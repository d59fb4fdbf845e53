//! Several correlated outputs, from kernels and coregionalization matrices.

use super::Compose;
use crate::combine::{Product, Sum};
use crate::kernels::Coregionalization;
use crate::warp::{Select, Warped};
use crate::{DynKernel, Error, Result};

/// The intrinsic coregionalization model: a kernel of the inputs times a covariance of the outputs.
///
/// The points are (x, p): `dims` coordinates that the kernel reads, and after them a column with the
/// output p.
///
/// # Definition
///
/// k((x, p), (y, q)) = k(x, y) (W Wᵀ + diag(κ))_pq
///
/// This is a name for the product `kernel.on([0, …, dims − 1]) * coregionalization.on([dims])`: write
/// that product where the output is in another column. [Which model when](crate::docs::outputs) says what takes it.
///
/// # Panics
///
/// If `dims` is 0.
///
/// # Examples
///
/// ```
/// use mercer::algebra::icm;
/// use mercer::prelude::*;
///
/// let outputs = Coregionalization::new(mat![[1.0], [-0.5], [2.0]], [0.1, 0.2, 0.3]);
/// let kernel = icm(Rbf::new(0.7), 2, outputs);
/// let expected = -1.0 * (-0.5f64 * 2.0 / 0.49).exp();
/// assert!((kernel.eval(&[0.0, 0.0, 1.0], &[1.0, 1.0, 2.0])? - expected).abs() < 1e-15);
/// assert_eq!(
///     kernel.clone().dynamic().to_string(),
///     "on(rbf(lengthscale=0.7), [0, 1]) * \
///      on(coregionalization(weights=[[1], [-0.5], [2]], diagonal=[0.1, 0.2, 0.3]), [2])",
/// );
///
/// // With noise of its own for each output.
/// let noisy = kernel + BlockDiagonal::new([0.1, 0.2, 0.3].map(White::new));
/// let gram: Mat<f64> = noisy.gram(mat![[0.0, 0.0, 1.0]].as_ref())?;
/// assert!((gram[(0, 0)] - 0.65).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// - Bonilla, Chai & Williams (2007), Multi-task Gaussian process prediction, NIPS 20.
/// - Álvarez, Rosasco & Lawrence (2012), Kernels for vector-valued functions: a review, section 4,
///   <https://doi.org/10.1561/2200000036>.
#[track_caller]
#[doc(alias = "intrinsic coregionalization model")]
pub fn icm<K>(
    kernel: K,
    dims: usize,
    outputs: Coregionalization,
) -> Product<(Warped<Select, K>, Warped<Select, Coregionalization>)> {
    let inputs = Select::new((0..dims).collect::<Vec<_>>());
    Product::new(Warped::new(inputs, kernel), Warped::new(Select::new([dims]), outputs))
}

/// The linear model of coregionalization: a sum of [`icm`] kernels, of processes with different kernels
/// that each output mixes in its own way.
///
/// # Definition
///
/// k((x, p), (y, q)) = Σ_r k_r(x, y) (W_r W_rᵀ + diag(κ_r))_pq
///
/// # Errors
///
/// [`Error::Empty`] without terms; [`Error::Setting`] if `dims` is 0 or the terms differ in their number
/// of outputs.
///
/// # Examples
///
/// ```
/// use mercer::algebra::lcm;
/// use mercer::prelude::*;
///
/// let smooth = Coregionalization::new(mat![[1.0], [2.0]], [0.1, 0.1]);
/// let rough = Coregionalization::new(mat![[0.5], [-0.5]], [0.2, 0.3]);
/// let kernel = lcm([(Rbf::new(3.0).dynamic(), smooth), (Matern12::new(0.5).dynamic(), rough)], 1)?;
/// let expected = 2.0 * (-0.5f64 / 9.0).exp() - 0.25 * (-2.0f64).exp();
/// assert!((kernel.eval(&[0.0, 0.0], &[1.0, 1.0])? - expected).abs() < 1e-15);
/// assert_eq!((kernel + 1.0).num_params(), 1 + 4 + 1 + 4 + 1);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// - Journel & Huijbregts (1978), *Mining Geostatistics*.
/// - Álvarez, Rosasco & Lawrence (2012), Kernels for vector-valued functions: a review, section 4,
///   <https://doi.org/10.1561/2200000036>.
#[doc(alias = "LMC", alias = "linear model of coregionalization")]
pub fn lcm(terms: impl IntoIterator<Item = (DynKernel, Coregionalization)>, dims: usize) -> Result<DynKernel> {
    if dims == 0 {
        return Err(Error::setting("the number of dimensions", dims, "must be at least 1"));
    }
    let terms: Vec<_> = terms.into_iter().collect();
    if let Some(pair) = terms.windows(2).find(|pair| pair[0].1.diagonal().len() != pair[1].1.diagonal().len()) {
        let found = format!("{} and {}", pair[0].1.diagonal().len(), pair[1].1.diagonal().len());
        return Err(Error::setting("the number of outputs", found, "must be the same in all terms"));
    }
    let terms = terms.into_iter().map(|(kernel, outputs)| icm(kernel, dims, outputs).dynamic()).collect();
    Sum::flat(terms).map(Compose::dynamic).ok_or_else(|| Error::Empty { what: "the sum".to_owned() })
}
