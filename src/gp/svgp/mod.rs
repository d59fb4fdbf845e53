//! Sparse variational Gaussian processes.

mod bound;
mod from_statistics;
mod natural;
mod predict;
#[cfg(feature = "serde")]
mod saved;
mod train;

pub use bound::Elbo;
pub use from_statistics::StatisticsLoss;
pub use natural::NaturalStep;
pub use train::BatchLoss;

use faer::{MatRef, Par};

use super::checks::{check_data_of, check_psd};
use super::latents::PerLatent;
use super::mean_basis::MeanBasis;
use super::settings::model_settings;
use super::variational::Variational;
use crate::inducing::{InducingFeatures, InducingPoints};
use crate::kernel::DynKernel;
use crate::kernel::Kernel;
use crate::likelihood::{Gaussian, Likelihood};
use crate::linalg::Jitter;
use crate::mean::{AnyMean, DynMean, MeanExpr, Zero};
use crate::{Error, Expr, Result, Scalar};

/// A sparse variational Gaussian process: M inducing variables stand for the function, for any
/// kernel, any likelihood, any [inducing features](InducingFeatures), and minibatches of any amount of
/// data.
///
/// # Definition
///
/// With inducing variables u of covariance K_uu = LLᵀ (K(Z, Z) for values at points Z), whitened
/// v = L⁻¹u, and q(v) = N(m, S), the marginals at a batch of inputs X are, with A = L⁻¹ K_uf and
/// diagonals taken column by column,
///
/// μ = m(X) + Aᵀ m, σ² = diag K(X, X) + diag Aᵀ(S − I)A
///
/// and the bound on the log evidence of N observations, from a batch of B, is
///
/// (N/B) Σᵢ E log p(yᵢ | fᵢ) − KL, with KL = ½ (‖m‖² + tr S − M − log |S|)
///
/// [`Variational`] has the forms that S can have, and q of u itself; [`MeanBasis`] gives the mean more inputs than
/// the covariance has.
///
/// A likelihood with L > 1 latent functions gets as many, independent a priori and under q, on the
/// same inducing features: with a q each, and one kernel and one mean function for all
/// or [one](Self::with_kernels) [each](Self::with_means). The bound then has the KL of each.
///
/// # Parameters
///
/// `kernel.…`, `mean.…`, `likelihood.…`, `inducing.…` (`inducing.inputs[i, d]` of points), `mean_basis.…` if there is one, and
/// `variational.…` (`variational.mean[i]` and `variational.factor[i, j]` for i ≥ j of a full q), in this
/// order. What each latent function has of its own is numbered: `kernel[0].…`, `variational[1].mean[i]`.
/// q starts at the prior.
///
/// # Complexity
///
/// O(B·M² + M³) time and O(B·M + M²) memory a step, and for each further latent function of the same
/// kernel what its q costs; O(B·M) for features of diagonal covariance with a diagonal q. With Gaussian noise and
/// features of a fixed basis, O(M³) a step on all data, by [`Statistics`](super::Statistics).
///
/// # Examples
///
/// ```
/// use mercer::gp::Svgp;
/// use mercer::inducing::start::subset;
/// use mercer::optim::{Adam, Train};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let x = Mat::from_fn(200, 1, |i, _| 0.03 * i as f64);
/// let y: Vec<f64> = (0..200).map(|i| (0.03 * i as f64).sin()).collect();
///
/// let z = subset(x.as_ref(), 12, &mut rng)?;
/// let mut gp = Svgp::new(1.0 * Rbf::new(1.0), z.as_ref())?.with_likelihood(mercer::likelihood::Gaussian::new(0.1));
/// let train = Train::new(300).with_batch(50).with_rate(0.03);
/// gp.train(&Data::new(&x, &y), &train, &mut rng)?;
///
/// let at = gp.posterior()?.predict(mat![[2.0]].as_ref())?;
/// assert!((at.mean[(0, 0)] - 2.0f64.sin()).abs() < 0.05);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Titsias (2009), *Variational learning of inducing variables in sparse Gaussian processes*, AISTATS 5;
/// Hensman, Fusi & Lawrence (2013), *Gaussian processes for big data*, UAI, eq. 4; Hensman, Matthews &
/// Ghahramani (2015), *Scalable variational Gaussian process classification*, AISTATS 18, eq. 18, for the
/// bound with any likelihood.
#[derive(Clone, Debug)]
#[doc(alias = "SVGP", alias = "stochastic variational GP", alias = "variational GP")]
pub struct Svgp<K = DynKernel, F = InducingPoints> {
    kernel: PerLatent<K>,
    mean: PerLatent<DynMean>,
    likelihood: Box<dyn Likelihood>,
    inducing: F,
    mean_basis: Option<MeanBasis>,
    variational: PerLatent<Variational>,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl<K: Expr + Clone> Svgp<K> {
    /// A zero-mean sparse variational GP with this kernel, these inducing inputs, one a row, and Gaussian noise of
    /// variance 1; q is the prior.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for inducing inputs that cannot work;
    /// [`Error::Dimension`] if the kernel cannot read them.
    pub fn new(kernel: K, inducing_inputs: MatRef<'_, f64>) -> Result<Self> {
        Self::with_features(kernel, InducingPoints::new(inducing_inputs)?)
    }
}

impl<K: Expr + Clone, F: InducingFeatures> Svgp<K, F> {
    model_settings!();

    /// A zero-mean sparse variational GP with this kernel, these inducing features and Gaussian noise of variance 1; q is
    /// the prior.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without features; [`Error::Dimension`] and whatever else
    /// [`InducingFeatures::check_kernel`] gives for a kernel that does not fit them.
    pub fn with_features(kernel: K, features: F) -> Result<Self> {
        features.check_kernel(&kernel)?;
        Ok(Self {
            kernel: PerLatent::one(kernel),
            mean: PerLatent::one(DynMean::new(Zero)),
            likelihood: Box::new(Gaussian::new(1.0)),
            variational: PerLatent::one(Variational::prior(features.len())?),
            inducing: features,
            mean_basis: None,
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        })
    }

    /// Sets the likelihood, and as many latent functions as it has: further ones start with the
    /// q of the last there is, and its weights of a mean basis.
    #[must_use]
    pub fn with_likelihood(mut self, likelihood: impl Likelihood + 'static) -> Self {
        self.variational.resize(likelihood.latents());
        self.mean_basis = self.mean_basis.map(|basis| basis.resize(likelihood.latents()));
        self.likelihood = Box::new(likelihood);
        self
    }

    /// Sets a kernel for each latent function of the likelihood.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for no kernels; those of [`with_features`](Self::with_features). Another
    /// number than the likelihood's, or 1, is refused where the model is used.
    pub fn with_kernels(mut self, kernels: Vec<K>) -> Result<Self> {
        for kernel in &kernels {
            self.inducing.check_kernel(kernel)?;
        }
        self.kernel = PerLatent::try_new("kernels", kernels)?;
        Ok(self)
    }

    /// Sets the mean function of all latent functions.
    #[must_use]
    pub fn with_mean(mut self, mean: impl AnyMean + 'static) -> Self {
        self.mean = PerLatent::one(DynMean::new(mean));
        self
    }

    /// Sets a mean function for each latent function of the likelihood.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for none. Another number than the likelihood's, or 1, is refused where the
    /// model is used.
    pub fn with_means(mut self, means: Vec<DynMean>) -> Result<Self> {
        self.mean = PerLatent::try_new("mean functions", means)?;
        Ok(self)
    }

    /// Adds a [basis for the mean](MeanBasis) of q beside that for its covariance; weights of one latent
    /// function are those that all start with.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if its inputs do not have the columns of the points, [`Error::Dimension`] if the kernel cannot
    /// read them, [`Error::Setting`] if it has weights for another number of latent functions than 1 or the
    /// likelihood's. Inputs that the inducing features do not cover, and features that leave it nothing, are refused
    /// where the model is used.
    pub fn with_mean_basis(mut self, basis: MeanBasis) -> Result<Self> {
        let (dim, inputs) = (self.inducing.dim(), basis.inputs());
        if inputs.ncols() != dim {
            let expected = format!("{dim} column(s), as the points have");
            return Err(Error::shape("the inputs of the mean basis", expected, (inputs.nrows(), inputs.ncols())));
        }
        self.kernel.all().iter().try_for_each(|kernel| kernel.inputs(dim).map(drop))?;
        let (found, latents) = (basis.latents(), self.likelihood.latents());
        if found != 1 && found != latents {
            let expected = format!("must be 1 or {latents}, as the likelihood has {latents} latent function(s)");
            return Err(Error::setting("the number of columns of weights of the mean basis", found, &expected));
        }
        self.mean_basis = Some(basis.resize(latents));
        Ok(self)
    }

    /// Sets the variational distribution of all latent functions.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it does not have one variable for each inducing feature.
    pub fn with_variational(self, variational: Variational) -> Result<Self> {
        let latents = self.likelihood.latents();
        self.with_variationals(vec![variational; latents])
    }

    /// Sets a variational distribution for each latent function of the likelihood.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is not one for each; [`Error::Shape`] if one does not have one
    /// variable for each inducing feature.
    pub fn with_variationals(mut self, variationals: Vec<Variational>) -> Result<Self> {
        let (expected, latents) = (self.inducing.len(), self.likelihood.latents());
        if variationals.len() != latents {
            let expected = format!("must be {latents}, as the likelihood has {latents} latent function(s)");
            return Err(Error::setting("the number of variational distributions", variationals.len(), &expected));
        }
        if let Some(other) = variationals.iter().find(|q| q.len() != expected) {
            return Err(Error::shape("the variational mean", format!("{expected} value(s)"), (other.len(), 1)));
        }
        self.variational = PerLatent::try_new("variational distributions", variationals)?;
        Ok(self)
    }

    /// The kernel; of several, the first.
    pub fn kernel(&self) -> &K {
        self.kernel.of(0)
    }

    /// The kernel of all latent functions, or those of each.
    pub fn kernels(&self) -> &[K] {
        self.kernel.all()
    }

    /// The likelihood.
    pub fn likelihood(&self) -> &dyn Likelihood {
        &*self.likelihood
    }

    /// The inducing features.
    pub fn inducing(&self) -> &F {
        &self.inducing
    }

    /// The basis of the mean of q, if it has one of its own.
    pub fn mean_basis(&self) -> Option<&MeanBasis> {
        self.mean_basis.as_ref()
    }

    /// q of the inducing variables; of several latent functions, the first's.
    pub fn variational(&self) -> &Variational {
        self.variational.of(0)
    }

    /// q of the inducing variables of each latent function.
    pub fn variationals(&self) -> &[Variational] {
        self.variational.all()
    }

    fn check<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T]) -> Result<()>
    where
        K: Kernel<T>,
    {
        let kernels = self.kernel.all().iter().map(|kernel| kernel as &dyn Kernel<T>);
        check_data_of(x, y, kernels, self.mean.all(), &*self.likelihood)?;
        let dim = self.inducing.dim();
        if x.ncols() != dim {
            let expected = format!("{dim} column(s), as the inducing inputs have");
            return Err(Error::shape("x", expected, (x.nrows(), x.ncols())));
        }
        self.inducing.check_points(x)?;
        self.check_model()
    }

    /// Refuses data in which an output was never observed, unless they are a batch of more.
    fn check_observed<T: Scalar>(&self, x: MatRef<'_, T>, y: &[T], total: usize) -> Result<()> {
        let never = |y: &[T]| y.iter().all(|y| y.as_f64().is_nan());
        match y.chunks_exact(x.nrows()).position(never) {
            Some(output) if total == x.nrows() => {
                Err(Error::Empty { what: format!("y of output {output}, but for missing values,") })
            }
            _ => Ok(()),
        }
    }

    fn check_model(&self) -> Result<()> {
        let (dim, latents) = (self.inducing.dim(), self.likelihood.latents());
        self.kernel.check("kernels", latents)?;
        self.mean.check("mean functions", latents)?;
        for mean in self.mean.all() {
            mean.check_dim(dim)?;
        }
        if let Some(basis) = &self.mean_basis {
            self.inducing.check_points(basis.inputs())?;
        }
        self.kernel.all().iter().try_for_each(|kernel| check_psd(kernel, dim, self.allow_indefinite))
    }
}

crate::parameterized!(
    [K, F] Svgp<K, F> as "",
    parameters: [],
    children: [kernel, mean, likelihood, inducing, mean_basis, variational]
);
