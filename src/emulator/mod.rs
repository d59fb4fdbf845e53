//! Emulation of spectra: a linear basis, a Gaussian process for each of its weights, and the covariance of the weights
//! carried forward to the pixels.
//!
//! [`Emulator`] holds what is trained, its [`Posterior`] predicts weights and [`FluxDistribution`]s. The basis is
//! [`data::Basis`](crate::data::Basis), of [principal components](crate::data::Pca) usually.

mod evidence;
mod flux;
mod hull;
mod kernels;
mod posterior;
#[cfg(feature = "serde")]
mod saved;
mod search;
mod structure;
mod training;

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

pub use self::evidence::Evidence;
pub use self::flux::FluxDistribution;
use self::kernels::Kernels;
pub use self::posterior::{JointWeights, Outside, Posterior, Weights};
pub use self::structure::Structure;
use self::training::Data;
use crate::data::{Basis, check_finite};
use crate::gp::checks::check_psd;
use crate::gp::settings::model_settings;
use crate::linalg::Jitter;
use crate::params::{Constraint, Parameter, ParameterArray, ParameterizedExt, Shape};
use crate::{DynKernel, Error, Expr, Kernel, Result};

/// A map from d parameters θ to spectra of P pixels, learned from M spectra: a few components, and a Gaussian process
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
/// where νᵢ is a variance of its own, the [nugget](Self::with_nugget), if there is one. [`Evidence`] states the
/// objectives. Orthogonal components make V block-diagonal; [`Structure`] says what else there is.
///
/// # Parameters
///
/// `precision` (λ, in units of the squared inverse of the standardised flux), `nugget[i]` (νᵢ, in squared units of the
/// weights), `kernel[i].…`, in this order. Freezing, ties and [priors](crate::params::Prior) work on all of them.
///
/// # Complexity
///
/// O(MPm) once, to make it. From there on nothing depends on P: an evidence with its gradient takes O(mM³) time and
/// O(mM²) memory for orthogonal components.
///
/// # Examples
///
/// Spectra with one line whose depth and width depend on the parameters:
///
/// ```
/// use mercer::data::{Components, Pca, PcaSettings};
/// use mercer::emulator::{Emulator, Evidence};
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
/// let spectra = Mat::from_fn(36, 40, |j, pixel| spectrum(depth(j), width(j), pixel));
///
/// let pca = Pca::fit(spectra.as_ref(), &PcaSettings { components: Components::Count(3), ..PcaSettings::default() })?;
/// let mut emulator = Emulator::new(theta.as_ref(), spectra.as_ref(), &pca)?;
/// emulator.fit(Evidence::Fluxes, &Lbfgs::default())?;
///
/// let posterior = emulator.condition()?;
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
    data: Arc<Data>,
    precision: Parameter,
    nugget: ParameterArray,
    kernel: Kernels<K>,
    structure: Option<Structure>,
    outside: Outside,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl Emulator {
    /// An emulator of these spectra, M × P, at these parameters, M × d, with a start that can be fitted: for each
    /// component, 10⁴ times a squared exponential whose lengthscale in each dimension is three times the largest
    /// gap between neighbouring values of the parameter; and a precision of 1. That suits spectra that are standardised,
    /// with residuals below one and weights of tens or hundreds; for spectra in other units, set the
    /// [precision](Self::with_precision), that of the [residuals](Self::residual_precision) say, and the
    /// [kernels](Self::with_kernels).
    ///
    /// Of the spectra, it keeps the weights and what is left of them beside the components; spectra are [normalised and
    /// standardised](Basis) as the basis says.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for parameters or spectra that do not fit; those of
    /// [`Basis::factors`]; [`Error::NonFinite`] and [`Error::Setting`] for weights or residuals that overflow.
    pub fn new(theta: MatRef<'_, f64>, spectra: MatRef<'_, f64>, basis: impl Into<Basis>) -> Result<Self> {
        let basis = basis.into();
        check_finite("theta", theta)?;
        if theta.nrows() != spectra.nrows() {
            let expected = format!("{} row(s), one for each spectrum", spectra.nrows());
            return Err(Error::shape("theta", expected, (theta.nrows(), theta.ncols())));
        }
        let residuals = basis.residuals(spectra)?;
        let truncation = residuals.truncation(&basis);
        check_finite("the weights of the spectra", residuals.weights.as_ref())?;
        for &size in truncation.iter().flatten().chain([&residuals.total]) {
            if !size.is_finite() {
                let expected = "must be finite: the spectra are too large for the scales of the basis";
                return Err(Error::setting("the sum of squares of the residuals", size, expected));
            }
        }
        let kernel = Kernels::start(theta, basis.len())?;
        Ok(Self {
            data: Arc::new(Data::new(theta.to_owned(), basis, residuals.weights, residuals.total, truncation)),
            precision: Parameter::new("precision", 1.0, Constraint::Positive)?,
            nugget: ParameterArray::new("nugget", Vec::new(), Shape::Vector(0), Constraint::Positive)?,
            kernel,
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
    /// use mercer::emulator::{Emulator, Evidence};
    /// use mercer::prelude::*;
    ///
    /// // One spectrum of two pixels, one component: ŵ = 2, V = 1/λ + 3.
    /// let basis = Basis::new(mat![[1.0, 0.0]])?;
    /// let emulator = Emulator::new(mat![[0.5]].as_ref(), mat![[2.0, 0.1]].as_ref(), basis)?;
    /// let emulator = emulator.with_kernels(vec![3.0 * Matern32::new(1.0)])?;
    /// let evidence = emulator.log_marginal_likelihood(Evidence::Weights)?;
    /// assert!((evidence + 0.5 * (4f64.ln() + 2.0 * 2.0 / 4.0)).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_kernels<L: Expr + Clone>(self, kernels: Vec<L>) -> Result<Emulator<L>> {
        let components = self.data.basis.len();
        if kernels.len() != components {
            let expected = format!("must be {components}, one for each component");
            return Err(Error::setting("the number of kernels", kernels.len(), &expected));
        }
        let Self { data, precision, nugget, structure, outside, jitter, allow_indefinite, par, .. } = self;
        let kernel = Kernels(kernels);
        Ok(Emulator { data, precision, nugget, kernel, structure, outside, jitter, allow_indefinite, par })
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
    /// use mercer::emulator::{Emulator, Evidence};
    /// use mercer::prelude::*;
    ///
    /// // V = 1/λ + ν + 3
    /// let emulator = Emulator::new(mat![[0.5]].as_ref(), mat![[2.0]].as_ref(), Basis::new(mat![[1.0]])?)?;
    /// let emulator = emulator.with_kernels(vec![3.0 * Rbf::new(1.0)])?.with_nugget(&[0.5])?;
    /// let evidence = emulator.log_marginal_likelihood(Evidence::Weights)?;
    /// assert!((evidence + 0.5 * (4.5f64.ln() + 4.0 / 4.5)).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_nugget(mut self, variances: &[f64]) -> Result<Self> {
        let components = self.data.basis.len();
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

    /// Sets the structure of the covariance, or, by default, with the cheapest that holds for the values of the
    /// parameters; a [fit](Self::fit) takes one that holds throughout.
    ///
    /// Where one that is asked for does not hold, evidence and posterior are errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Structure};
    /// use mercer::prelude::*;
    ///
    /// let (theta, spectra) = (mat![[0.0], [1.0]], mat![[1.0, 2.0], [2.0, 1.0]]);
    /// let orthogonal = Emulator::new(theta.as_ref(), spectra.as_ref(), Basis::new(mat![[1.0, 1.0], [1.0, -1.0]])?)?;
    /// assert_eq!(orthogonal.condition()?.structure(), Structure::Independent);
    ///
    /// let not = Emulator::new(theta.as_ref(), spectra.as_ref(), Basis::new(mat![[1.0, 1.0], [1.0, 0.0]])?)?;
    /// assert_eq!(not.condition()?.structure(), Structure::SharedCorrelation); // all kernels are equal
    ///
    /// let not = not.with_kernels(vec![Rbf::new(1.0), Rbf::new(2.0)])?;
    /// assert_eq!(not.condition()?.structure(), Structure::Dense);
    /// assert!(not.with_structure(Structure::Independent).condition().is_err());
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

    fn check(&self) -> Result<()> {
        let dim = self.data.theta.ncols();
        for kernel in &self.kernel.0 {
            kernel.inputs(dim)?;
            if !self.allow_indefinite {
                check_psd(kernel, dim)?;
            }
        }
        Ok(())
    }

    /// V, factorised.
    fn covariance(&self) -> Result<Box<dyn structure::Covariance + '_>>
    where
        K: Kernel<f64>,
    {
        self.problem()?.factorise(self.structure)
    }

    /// What V is made of.
    fn problem(&self) -> Result<structure::Problem<'_>>
    where
        K: Kernel<f64>,
    {
        self.check()?;
        let kernels = self.kernel.0.iter().map(|kernel| kernel as &dyn Kernel<f64>).collect();
        let theta = self.data.theta.as_ref();
        Ok(structure::Problem { kernels, theta, noise: self.noise(), jitter: self.jitter, par: self.par })
    }

    /// N = G⁻¹/λ + diag(ν).
    fn noise(&self) -> Mat<f64> {
        let mut noise = &self.data.inverse_gram * faer::Scale(1.0 / self.precision.value());
        for (component, &nugget) in self.nugget.values().iter().enumerate() {
            noise[(component, component)] += nugget;
        }
        noise
    }
}

crate::parameterized!([K] Emulator<K> as "", parameters: [precision, nugget], children: [kernel]);
