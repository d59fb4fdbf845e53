//! Where latents start from.

use faer::{Mat, MatRef};

use crate::data::check_finite;
use crate::{Error, Result};

/// The first Q principal components of the outputs Y, N × D, each scaled to variance 1: N × Q, where a search for
/// latents usually starts.
///
/// The columns are centred here, but not scaled: the components are of the outputs in the units that they come in. The
/// largest loading of each is positive, so that the signs are reproducible. O(N·D·min(N, D)).
///
/// # Errors
///
/// [`Error::Empty`] and [`Error::NonFinite`] for such data; [`Error::Setting`] for a Q of 0, or more components than
/// the centred outputs have.
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
    check_finite("y", y)?;
    let (n, outputs) = (y.nrows(), y.ncols());
    let means: Vec<f64> = y.col_iter().map(|col| col.iter().map(|y| y / n as f64).sum()).collect();
    let centred = Mat::from_fn(n, outputs, |row, col| y[(row, col)] - means[col]);
    let failed = |_| Error::setting("the singular value decomposition", "without result", "must converge");
    let svd = centred.thin_svd().map_err(failed)?;
    let values = svd.S().column_vector();
    let floor = values.get(0) * f64::EPSILON * n.max(outputs) as f64;
    let rank = values.iter().filter(|&&value| value > floor).count();
    if q == 0 || q > rank {
        let expected = format!("must be at least 1, and at most the {rank} that the centred outputs have");
        return Err(Error::setting("the number of principal components", q, &expected));
    }
    let scale = (n as f64).sqrt();
    let sign = |col: usize| {
        let largest = svd.V().col(col).iter().fold(0.0, |largest: f64, &v| if v.abs() > largest.abs() { v } else { largest });
        largest.signum()
    };
    Ok(Mat::from_fn(n, q, |row, col| sign(col) * scale * svd.U()[(row, col)]))
}
