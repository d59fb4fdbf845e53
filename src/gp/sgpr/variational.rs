//! From collapsed models to those with a q of their own.

use faer::Mat;

use super::Sgpr;
use crate::gp::collapsed::Approximation;
use crate::gp::data::Data;
use crate::gp::low_rank::LowRank;
use crate::gp::posterior::to_f64;
use crate::gp::svgp::Svgp;
use crate::gp::variational::Variational;
use crate::inducing::InducingFeatures;
use crate::kernel::Kernel;
use crate::likelihood::GaussianNoise;
use crate::linalg::{cast, cast_column};
use crate::{Error, Expr, Result, Scalar};

impl<K: Expr + Clone, F: InducingFeatures, N: GaussianNoise + Clone> Sgpr<K, F, N> {
    /// The q(v) that is best for [`Svgp`] with this kernel, mean, noise and these inducing features:
    /// N(B⁻¹AΛ⁻¹r, B⁻¹) with B = I + AΛ⁻¹Aᵀ, where Λ is σ²I or diag(σᵢ²). At it, the bound of [`Svgp`] is that of
    /// [`Approximation::Vfe`], whatever the approximation of this model.
    ///
    /// # Errors
    ///
    /// As [`objective`](crate::gp::Model::objective).
    ///
    /// # References
    ///
    /// Titsias (2009), eq. 10, in whitened coordinates.
    pub fn optimal_variational<T: Scalar>(&self, data: &Data<T>) -> Result<Variational>
    where
        K: Kernel<T>,
    {
        let LowRank { mean, root, .. } = self.infer(&self.see(data.x(), &data.stacked(1)?)?, Approximation::Vfe)?;
        let root = Mat::from_fn(root.nrows(), root.ncols(), |row, col| root[(row, col)].as_f64());
        Variational::new(&to_f64(mean.col_as_slice(0)), root.as_ref())
    }

    /// The [`Svgp`] with the same kernel, mean, noise and inducing features, at its
    /// [best q](Self::optimal_variational): for minibatches of more data, or another likelihood, from there.
    /// What is frozen or tied, and priors, go along.
    ///
    /// # Errors
    ///
    /// As [`objective`](crate::gp::Model::objective).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Sgpr;
    /// use mercer::prelude::*;
    ///
    /// let x = mat![[0.0], [0.7], [1.9], [3.1]];
    /// let y = [0.2, 0.9, 0.3, -0.8];
    /// let sgpr = Sgpr::new(1.0 * Rbf::new(1.0), x.subrows(0, 2))?.with_noise(0.1)?;
    /// let data = Data::new(&x, &y);
    /// let bound = sgpr.objective(&data)?.value;
    /// let svgp = sgpr.into_svgp(&data)?;
    /// assert!((svgp.objective(&data)?.value - bound).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn into_svgp<T: Scalar>(self, data: &Data<T>) -> Result<Svgp<K, F>>
    where
        K: Kernel<T>,
    {
        let variational = self.optimal_variational(data)?;
        let mut svgp = Svgp::with_features(self.kernel, self.inducing)?
            .with_likelihood(self.likelihood)
            .with_mean(self.mean)
            .with_jitter(self.jitter)
            .with_par(self.par)
            .with_variational(variational)?;
        if self.allow_indefinite {
            svgp = svgp.allow_indefinite();
        }
        Ok(svgp)
    }

    /// By how much the bound of [`Svgp`] at a q lies below the best for these hyperparameters and
    /// inducing features: KL(q ‖ best q), which is the difference of the two bounds, without the
    /// cancellation of subtracting them.
    ///
    /// # Errors
    ///
    /// As [`objective`](crate::gp::Model::objective); [`Error::Shape`] if q does not have one variable for
    /// each inducing feature; [`Error::Setting`] for a q that is not whitened.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Sgpr, Svgp, Variational};
    /// use mercer::likelihood::Gaussian;
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.0], [0.7], [1.9], [3.1]], [0.2, 0.9, 0.3, -0.8]);
    /// let sgpr = Sgpr::new(Rbf::new(1.0), x.subrows(0, 2))?.with_noise(0.1)?;
    /// let svgp = Svgp::new(Rbf::new(1.0), x.subrows(0, 2))?.with_likelihood(Gaussian::new(0.1));
    /// let gap = sgpr.gap(&Data::new(&x, &y), svgp.variational())?;
    /// let data = Data::new(&x, &y);
    /// let (best, elbo) = (sgpr.objective(&data)?.value, svgp.objective(&data)?.value);
    /// assert!((gap - (best - elbo)).abs() < 1e-12 * gap);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn gap<T: Scalar>(&self, data: &Data<T>, q: &Variational) -> Result<f64>
    where
        K: Kernel<T>,
    {
        let (m, found) = (self.inducing.len(), q.len());
        if m != found {
            return Err(Error::shape("the variational mean", format!("{m} value(s)"), (found, 1)));
        }
        if !q.is_whitened() {
            return Err(Error::setting(
                "q",
                "of the inducing variables themselves",
                "must be of whitened variables here",
            ));
        }
        let best = self.infer(&self.see(data.x(), &data.stacked(1)?)?, Approximation::Vfe)?;
        let (mean, root) = (cast_column::<T>(q.mean()), cast::<T>(q.lower_root().as_ref()));
        Ok(best.divergence_of(mean.as_ref(), root.as_ref(), self.par))
    }
}
