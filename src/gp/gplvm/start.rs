//! Where latents start from.

use faer::{Mat, MatRef};

use crate::Result;
use crate::data::{Components, Pca, PcaSettings};

/// The first Q principal components of the outputs Y, N × D, each scaled to variance 1: N × Q, where a search for
/// latents usually starts.
///
/// They are those of [`Pca`], which centres the columns but does not scale them: of the outputs in the units that they come
/// in. O(N·D·min(N, D)).
///
/// # Errors
///
/// As [`Pca::fit`]: for data that is not finite, less than two rows, a Q of 0, or more than the rank of the centred
/// outputs.
///
/// # Examples
///
/// ```
/// use mercer::gp::gplvm::principal_latents;
/// use mercer::prelude::*;
///
/// // All rows on a line.
/// let y = mat![[1.0, 3.0], [2.0, 5.0], [3.0, 7.0]];
/// let x = principal_latents(y.as_ref(), 1)?;
/// let scale = 1.5f64.sqrt();
/// assert!((x - mat![[-scale], [0.0], [scale]]).norm_max() < 1e-14);
/// assert!(principal_latents(y.as_ref(), 2).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Lawrence (2005), "Probabilistic non-linear principal component analysis with Gaussian process latent variable
/// models", *Journal of Machine Learning Research* 6, 1783–1816: the solution for a linear kernel.
pub fn principal_latents(y: MatRef<'_, f64>, q: usize) -> Result<Mat<f64>> {
    let pca = Pca::fit(y, &PcaSettings { components: Components::Count(q), ..PcaSettings::default() })?;
    let (weights, root) = (pca.weights(), (y.nrows() as f64).sqrt());
    Ok(Mat::from_fn(y.nrows(), q, |row, col| root * weights[(row, col)] / pca.singular_values()[col]))
}
