//! Emulation of spectra: a linear basis, a Gaussian process for each of its weights, and the covariance of the weights
//! carried forward to the pixels.
//!
//! An [`Emulator`] is a [model](crate::gp::Model) that learns from [`Spectra`]; its [`Posterior`] predicts weights and
//! [`FluxDistribution`]s. The basis is [`data::Basis`](crate::data::Basis), of [principal components](crate::data::Pca)
//! usually.

mod evidence;
mod fit;
mod flux;
mod hull;
mod kernels;
mod posterior;
mod predict;
#[cfg(feature = "serde")]
mod saved;
mod search;
mod spectra;
mod structure;

use std::sync::Arc;

use faer::{Mat, Par};

pub use self::evidence::{Evidence, LogEvidence};
pub use self::flux::FluxDistribution;
use self::kernels::Kernels;
pub use self::posterior::{JointWeights, Outside, Posterior, Weights};
#[cfg(feature = "serde")]
pub use self::saved::Saved;
pub use self::spectra::Spectra;
pub use self::structure::Structure;
use crate::gp::checks::check_psd;
use crate::gp::settings::model_settings;
use crate::linalg::Jitter;
use crate::params::{Constraint, Parameter, ParameterArray, ParameterizedExt, Shape};
use crate::{DynKernel, Error, Expr, Kernel, Result};

/// A map from d parameters θ to spectra of P pixels, learned from M [`Spectra`]: a few components, and a Gaussian process
/// for the weight of each.
///
/// # Definition
///
/// The standardised spectra F (M × P) are weighted sums of the components E (m × P) with white noise of precision λ,
///
/// f(θⱼ) = Σᵢ wᵢ(θⱼ) Eᵢ + ε, with ε ~ N(0, λ⁻¹ I), wᵢ ~ GP(0, kᵢ) independent of each other.
///
/// Its likelihood is Gaussian in the weights of least squares ŵ = F Eᵀ G⁻¹, with G = E Eᵀ. As a vector of mM elements,
/// all spectra of the first component first, they have the covariance
///
/// V = N ⊗ I + blockdiag(K₁, …, K_m), with N = G⁻¹/λ + diag(ν),
///
/// where νᵢ is a variance of its own, the [nugget](Self::with_nugget), if there is one. [`Evidence`] states what may be
/// maximised. Orthogonal components make V block-diagonal; [`Structure`] says what else there is.
///
/// An objective has many maxima, some far below others. [`fit`](crate::gp::Model::fit) looks for the best: it climbs
/// [from where the parameters are](Self::refine), then searches for better parameters of each component alone, from where it
/// is, from what the data suggest (the variance of the weight for the factor of a kernel, the median distances of the θ for
/// lengthscales) and from random places about both, and climbs from the best. That is repeated as long as it brings
/// anything, three times at most. The random places are the same each time. In all, it takes some three times as long as
/// [`refine`](Self::refine), than whose its result is never worse. Where the first climb takes no step, there is no search.
/// The result is that of the climb to the parameters that are left, with the evaluations of all climbs.
///
/// # Parameters
///
/// `precision` (λ, in units of the squared inverse of the standardised flux), `nugget[i]` (νᵢ, in squared units of the
/// weights), `kernel[i].…`, in this order. Freezing, ties and [priors](crate::params::Prior) work on all of them.
///
/// # Complexity
///
/// O(MPm) once, for the [`Spectra`]. From there on nothing depends on P: an objective with its gradient takes O(mM³) time and
/// O(mM²) memory for orthogonal components.
///
/// # Examples
///
/// Spectra with one line whose depth and width depend on the parameters:
///
/// ```
/// use mercer::data::{Components, Pca, PcaSettings};
/// use mercer::emulator::{Emulator, Spectra};
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// let spectrum = |depth: f64, width: f64, pixel: usize| {
///     let x = (pixel as f64 - 20.0) / (5.0 * width);
///     1.0 - depth * (-x * x).exp()
/// };
/// let depth = |j: usize| 0.3 + 0.1 * (j % 4) as f64;
/// let width = |j: usize| 1.0 + 0.05 * (j / 4) as f64;
/// let theta = Mat::from_fn(36, 2, |j, dim| if dim == 0 { depth(j) } else { width(j) });
/// let fluxes = Mat::from_fn(36, 40, |j, pixel| spectrum(depth(j), width(j), pixel));
///
/// let pca = Pca::fit(fluxes.as_ref(), &PcaSettings { components: Components::Count(3), ..PcaSettings::default() })?;
/// let spectra = Spectra::new(&theta, &fluxes, &pca)?;
/// let mut emulator = Emulator::new(&spectra)?;
/// emulator.fit(&spectra, &Lbfgs::default())?;
///
/// let posterior = emulator.condition(&spectra)?;
/// let flux = &posterior.fluxes(mat![[0.45, 1.18]].as_ref())?[0];
/// for pixel in 0..40 {
///     let error = flux.mean()[pixel] - spectrum(0.45, 1.18, pixel);
///     assert!(error.abs() < 1e-4 && error.abs() < 3.0 * flux.variance()[pixel].sqrt());
/// }
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Czekala, Andrews, Mandel, Hogg & Green (2015), "Constructing a flexible likelihood function for spectroscopic
/// inference", The Astrophysical Journal 812, 128, appendix, [doi:10.1088/0004-637X/812/2/128](https://doi.org/10.1088/0004-637X/812/2/128).
/// Habib, Heitmann, Higdon, Nakhleh & Williams (2007), "Cosmic calibration: constraints from the matter power spectrum
/// and the cosmic microwave background", Physical Review D 76, 083503,
/// [doi:10.1103/PhysRevD.76.083503](https://doi.org/10.1103/PhysRevD.76.083503).
#[derive(Clone, Debug)]
pub struct Emulator<K = DynKernel> {
    precision: Parameter,
    nugget: ParameterArray,
    kernel: Kernels<K>,
    evidence: Evidence,
    structure: Option<Structure>,
    outside: Outside,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl Emulator {
    /// An emulator with a start that suits these spectra: for each component, 10⁴ times a squared exponential whose
    /// lengthscale in each dimension is three times the largest gap between neighbouring values of the parameter; and a
    /// precision of 1. That is for spectra that are standardised, with residuals below one and weights of tens or hundreds;
    /// for spectra in other units, set the [precision](Self::with_precision), that of the
    /// [residuals](Spectra::residual_precision) say, and the [kernels](Self::with_kernels).
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] for a gap that overflows.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Spectra};
    /// use mercer::prelude::*;
    ///
    /// let theta = mat![[0.0], [0.5], [0.7]];
    /// let spectra = Spectra::new(&theta, mat![[2.0, 0.1], [1.0, 0.3], [0.0, 0.2]], Basis::new(mat![[1.0, 0.0]])?)?;
    /// let emulator = Emulator::new(&spectra)?;
    /// assert_eq!(emulator.precision(), 1.0);
    /// assert_eq!(emulator.kernels()[0].to_string(), "10000 * rbf(lengthscale=[1.5])");
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn new(spectra: &Spectra) -> Result<Self> {
        Ok(Self {
            precision: Parameter::new("precision", 1.0, Constraint::Positive)?,
            nugget: ParameterArray::new("nugget", Vec::new(), Shape::Vector(0), Constraint::Positive)?,
            kernel: Kernels::start(spectra.theta(), spectra.basis().len())?,
            evidence: Evidence::default(),
            structure: None,
            outside: Outside::default(),
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        })
    }
}

impl<K: Expr + Clone> Emulator<K> {
    model_settings!();

    /// Sets the kernels, one for each component, on the parameters θ.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless there are m of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Evidence, Spectra};
    /// use mercer::prelude::*;
    ///
    /// // One spectrum of two pixels, one component: ŵ = 2, V = 1/λ + 3.
    /// let spectra = Spectra::new(mat![[0.5]], mat![[2.0, 0.1]], Basis::new(mat![[1.0, 0.0]])?)?;
    /// let emulator = Emulator::new(&spectra)?.with_evidence(Evidence::Weights);
    /// let emulator = emulator.with_kernels(vec![3.0 * Matern32::new(1.0)])?;
    /// let evidence = emulator.objective(&spectra)?.value;
    /// assert!((evidence + 0.5 * (4f64.ln() + 2.0 * 2.0 / 4.0)).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_kernels<L: Expr + Clone>(self, kernels: Vec<L>) -> Result<Emulator<L>> {
        let components = self.kernel.0.len();
        if kernels.len() != components {
            let expected = format!("must be {components}, one for each component");
            return Err(Error::setting("the number of kernels", kernels.len(), &expected));
        }
        let Self { precision, nugget, evidence, structure, outside, jitter, allow_indefinite, par, .. } = self;
        let kernel = Kernels(kernels);
        Ok(Emulator { precision, nugget, kernel, evidence, structure, outside, jitter, allow_indefinite, par })
    }

    /// Sets the precision λ of what the components leave of the standardised spectra. Whether it is frozen, its
    /// prior and its tie stay; what is tied to it is set too.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if it is not positive and finite.
    pub fn with_precision(mut self, precision: f64) -> Result<Self> {
        self.set("precision", precision)?;
        Ok(self)
    }

    /// Sets a variance νᵢ of each weight beside its process, one for each component: what the parameters θ do not
    /// determine. It is part of the weights of new spectra as it is of those of the training spectra. Where there are
    /// nuggets already, which are frozen, priors and ties stay; what is tied to one is set too.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless there are m of them; [`Error::Parameter`] for one that is not positive and finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Evidence, Spectra};
    /// use mercer::prelude::*;
    ///
    /// // V = 1/λ + ν + 3
    /// let spectra = Spectra::new(mat![[0.5]], mat![[2.0]], Basis::new(mat![[1.0]])?)?;
    /// let emulator = Emulator::new(&spectra)?.with_evidence(Evidence::Weights);
    /// let emulator = emulator.with_kernels(vec![3.0 * Rbf::new(1.0)])?.with_nugget(&[0.5])?;
    /// let evidence = emulator.objective(&spectra)?.value;
    /// assert!((evidence + 0.5 * (4.5f64.ln() + 4.0 / 4.5)).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_nugget(mut self, variances: &[f64]) -> Result<Self> {
        let components = self.kernel.0.len();
        if variances.len() != components {
            let expected = format!("must be {components}, one for each component");
            return Err(Error::setting("the number of nuggets", variances.len(), &expected));
        }
        if !self.nugget.values().is_empty() {
            for (component, &variance) in variances.iter().enumerate() {
                self.set(&format!("nugget[{component}]"), variance)?;
            }
            return Ok(self);
        }
        let shape = Shape::Vector(components);
        self.nugget = ParameterArray::new("nugget", variances.to_vec(), shape, Constraint::Positive)?;
        Ok(self)
    }

    /// Sets what is maximised: by default, [`Evidence::Fluxes`].
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    /// Sets the structure of the covariance, or, with `None`, takes the cheapest that holds for the values of the parameters,
    /// which is the default.
    ///
    /// A fit chooses once, before the search, a structure that holds throughout: kernels are multiples of one for it only if
    /// what they have in common is [tied](crate::params::ParameterizedExt::tie), or frozen at equal values. Kernels that only
    /// start out equal are factorised as different ones.
    ///
    /// Where one that is asked for does not hold, objective and posterior are errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Spectra, Structure};
    /// use mercer::prelude::*;
    ///
    /// let (theta, fluxes) = (mat![[0.0], [1.0]], mat![[1.0, 2.0], [2.0, 1.0]]);
    /// let orthogonal = Spectra::new(&theta, &fluxes, Basis::new(mat![[1.0, 1.0], [1.0, -1.0]])?)?;
    /// let emulator = Emulator::new(&orthogonal)?;
    /// assert_eq!(emulator.objective(&orthogonal)?.structure, Structure::Independent);
    ///
    /// let not = Spectra::new(&theta, &fluxes, Basis::new(mat![[1.0, 1.0], [1.0, 0.0]])?)?;
    /// assert_eq!(emulator.objective(&not)?.structure, Structure::SharedCorrelation); // all kernels are equal
    ///
    /// let emulator = emulator.with_kernels(vec![Rbf::new(1.0), Rbf::new(2.0)])?;
    /// assert_eq!(emulator.objective(&not)?.structure, Structure::Dense);
    /// assert!(emulator.with_structure(Structure::Independent).objective(&not).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn with_structure(mut self, structure: impl Into<Option<Structure>>) -> Self {
        self.structure = structure.into();
        self
    }

    /// Sets the extrapolation policy: for parameters outside the convex hull of those of the training spectra.
    #[must_use]
    pub fn with_outside(mut self, outside: Outside) -> Self {
        self.outside = outside;
        self
    }

    /// The kernels, one for each component.
    pub fn kernels(&self) -> &[K] {
        &self.kernel.0
    }

    /// The precision λ.
    pub fn precision(&self) -> f64 {
        self.precision.value()
    }

    fn check(&self, spectra: &Spectra) -> Result<()> {
        let (kernels, components, dim) = (self.kernel.0.len(), spectra.basis().len(), spectra.theta().ncols());
        if kernels != components {
            let expected = format!("must be {components}, one for each component of the spectra");
            return Err(Error::setting("the number of kernels", kernels, &expected));
        }
        for kernel in &self.kernel.0 {
            kernel.inputs(dim)?;
            check_psd(kernel, dim, self.allow_indefinite)?;
        }
        Ok(())
    }

    /// V, factorised.
    fn covariance(&self, spectra: &Spectra) -> Result<Arc<dyn structure::Covariance>>
    where
        K: Kernel<f64>,
    {
        self.problem(spectra)?.factorise(self.structure)
    }

    /// What V is made of.
    fn problem(&self, spectra: &Spectra) -> Result<structure::Problem>
    where
        K: Kernel<f64>,
    {
        self.check(spectra)?;
        let kernels = self.kernel.0.iter().map(|kernel| Arc::new(kernel.clone()) as Arc<dyn Kernel<f64>>).collect();
        let (theta, noise) = (spectra.shared_theta(), self.noise(spectra));
        Ok(structure::Problem { kernels, theta, noise, jitter: self.jitter, par: self.par })
    }

    /// N = G⁻¹/λ + diag(ν).
    fn noise(&self, spectra: &Spectra) -> Mat<f64> {
        let mut noise = spectra.inverse_gram() * faer::Scale(1.0 / self.precision.value());
        for (component, &nugget) in self.nugget.values().iter().enumerate() {
            noise[(component, component)] += nugget;
        }
        noise
    }
}

crate::parameterized!([K] Emulator<K> as "", parameters: [precision, nugget], children: [kernel]);
