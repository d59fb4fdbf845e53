//! The closed forms that a leaf may have.

use std::any::Any;
use std::fmt;

use super::variables::Variable;
use super::{FrequencyLaw, MarkovTerm};

/// The closed forms of a leaf, each a trait that it implements. A leaf names those that it has in
/// [`Expr::structure`](super::Expr::structure), and every combinator passes them on.
///
/// # Examples
///
/// ```
/// use mercer::kernel::{Spectral, Structure, Variable, Views};
/// use mercer::prelude::*;
/// use mercer::views::spectral_density;
///
/// /// exp(−|x − y|)
/// #[derive(Clone, Debug)]
/// struct Decay;
/// mercer::parameterized!(Decay as "decay", parameters: []);
/// mercer::kernel_ops!(Decay);
///
/// impl Expr for Decay {
///     fn structure(&self) -> Structure<'_> {
///         Structure::Leaf(Views::none().spectral(self))
///     }
/// }
///
/// impl<T: Scalar> Kernel<T> for Decay {
///     fn pairwise(&self, x: &[T], y: &[T]) -> T {
///         (-(x[0] - y[0]).abs()).exp()
///     }
/// }
///
/// impl Spectral for Decay {
///     fn density(&self, _: &[Variable], frequency: &[Variable]) -> Option<Variable> {
///         Some((frequency[0] * frequency[0] + 1.0).recip() * 2.0)
///     }
/// }
///
/// // Twice the kernel at x/3: 2 · 3 S(3ω).
/// let density = spectral_density(&(2.0 * Decay.stretch(3.0)), &[0.5]);
/// assert_eq!(density, Some(12.0 / 3.25));
/// ```
#[derive(Clone, Copy, Default)]
pub struct Views<'k> {
    pub(crate) spectral: Option<&'k dyn Spectral>,
    pub(crate) on_sphere: Option<&'k dyn OnSphere>,
    pub(crate) on_graph: Option<&'k dyn OnGraph>,
    pub(crate) markov: Option<&'k dyn Markov>,
    pub(crate) constant: bool,
    pub(crate) white: bool,
}

impl<'k> Views<'k> {
    /// None is known.
    pub fn none() -> Self {
        Self::default()
    }

    /// With a spectrum.
    #[must_use]
    pub fn spectral(self, view: &'k dyn Spectral) -> Self {
        Self { spectral: Some(view), ..self }
    }

    /// With coefficients on spheres.
    #[must_use]
    pub fn on_sphere(self, view: &'k dyn OnSphere) -> Self {
        Self { on_sphere: Some(view), ..self }
    }

    /// With weights on a graph.
    #[must_use]
    pub fn on_graph(self, view: &'k dyn OnGraph) -> Self {
        Self { on_graph: Some(view), ..self }
    }

    /// With a state-space form in one dimension.
    #[must_use]
    pub fn markov(self, view: &'k dyn Markov) -> Self {
        Self { markov: Some(view), ..self }
    }

    /// k(x, y) is the kernel's only parameter, whatever the points are.
    #[must_use]
    pub fn constant(self) -> Self {
        Self { constant: true, ..self }
    }

    /// k is the kernel's only parameter on the diagonal of a Gram matrix, and 0 elsewhere.
    #[must_use]
    pub fn white(self) -> Self {
        Self { white: true, ..self }
    }
}

impl fmt::Debug for Views<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views")
            .field("spectral", &self.spectral.is_some())
            .field("on_sphere", &self.on_sphere.is_some())
            .field("on_graph", &self.on_graph.is_some())
            .field("markov", &self.markov.is_some())
            .field("constant", &self.constant)
            .field("white", &self.white)
            .finish()
    }
}

/// The spectrum of a stationary kernel k(x − y). θ are the kernel's parameters, in their order; their derivatives, and
/// those in the frequency, go through the arithmetic.
pub trait Spectral {
    /// The spectral density S(ω) = ∫ k(r) exp(−i ωᵀr) dr at an angular frequency of as many dimensions as the points, which
    /// the kernel can read; `None` if it is not known.
    fn density(&self, theta: &[Variable], frequency: &[Variable]) -> Option<Variable> {
        let _ = (theta, frequency);
        None
    }

    /// The law of z and the scales s of random frequencies ω_d = s_d z_d for points of this dimension, with k(r) =
    /// E cos(ωᵀr), at the present parameters; `None` if it is not known.
    fn frequencies(&self, dim: usize) -> Option<(FrequencyLaw, Vec<f64>)> {
        let _ = dim;
        None
    }

    /// The smoothness ν if this is a Matérn kernel of variance 1 with one lengthscale, its first parameter.
    fn matern(&self) -> Option<f64> {
        None
    }
}

/// The Funk–Hecke coefficients of a kernel on the unit sphere that depends on the angle alone.
pub trait OnSphere {
    /// a₀, …, a_{l_max} on the sphere in `dim` ≥ 2 dimensions; `None` if they are not known.
    /// [`ZonalSpectrum`](crate::views::ZonalSpectrum) states what they are.
    fn coefficients(&self, theta: &[Variable], dim: usize, l_max: usize) -> Option<Vec<Variable>>;
}

/// The weights of a kernel on the nodes of a graph that is diagonal in the eigenvectors of its Laplacian.
pub trait OnGraph {
    /// w of K = Σ_k w_k φ_k φ_kᵀ by ascending eigenvalue, if this [`Laplacian`](crate::kernels::Laplacian) is that of the
    /// kernel's graph.
    fn weights(&self, theta: &[Variable], laplacian: &dyn Any) -> Option<Vec<Variable>>;
}

/// A kernel of one dimension as a sum of Markov processes: what inference in time that grows with the number of observations,
/// not with its cube, goes by.
///
/// # Examples
///
/// A kernel of one's own, exp(−|x − y|/ℓ): an A and a Q for each step, from formulas.
///
/// ```
/// use mercer::gp::{Data, Engine, ExactGp};
/// use mercer::kernel::{ByFormula, Markov, MarkovFactor, MarkovTerm, StepFormula, Structure, Variable, Views};
/// use mercer::prelude::*;
///
/// mercer::kernel! {
///     /// exp(−|x − y|/ℓ)
///     pub Decay as "decay" {
///         /// The lengthscale ℓ.
///         lengthscale: Scalar = Positive,
///     }
/// }
///
/// impl Expr for Decay {
///     fn structure(&self) -> Structure<'_> {
///         Structure::Leaf(Views::none().markov(self))
///     }
///     fn properties(&self) -> mercer::kernel::Properties {
///         mercer::kernel::Properties::unknown().psd(mercer::kernel::Psd::UpTo(1)).stationary()
///     }
/// }
///
/// impl<T: Scalar> Kernel<T> for Decay {
///     fn pairwise(&self, x: &[T], y: &[T]) -> T {
///         (-(x[0] - y[0]).abs() / T::from_f64(self.lengthscale())).exp()
///     }
/// }
///
/// /// In units of ℓ.
/// #[derive(Clone, Debug)]
/// struct Step;
///
/// impl StepFormula for Step {
///     fn states(&self) -> usize {
///         1
///     }
///     fn start(&self, _: &[Variable], _: Variable, covariance: &mut [Variable]) {
///         covariance[0] = Variable::from_f64(1.0);
///     }
///     fn step(&self, _: &[Variable], [_, _, length]: [Variable; 3], a: &mut [Variable], q: &mut [Variable]) {
///         a[0] = (-length).exp();
///         q[0] = -(length * -2.0).exp_m1(); // 1 − A², without its cancellation
///     }
/// }
///
/// impl Markov for Decay {
///     fn terms(&self, theta: &[Variable], _: Option<f64>) -> Result<Vec<MarkovTerm>, String> {
///         Ok(vec![MarkovTerm::of(MarkovFactor::new(ByFormula(Step), theta[0], &[]))])
///     }
/// }
///
/// let data = Data::new(mat![[0.0], [0.3], [2.0]], [0.1, 0.4, -1.0]);
/// let of = |engine| ExactGp::new(2.0 * Decay::new(0.7)).with_engine(engine).with_noise(0.1)?.objective(&data);
/// assert!((of(Engine::markov())? - of(Engine::Dense)?).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Markov {
    /// The terms, given the kernel's parameters in their order. A form that is not exact needs a tolerance, the largest error of
    /// a correlation that it may have.
    ///
    /// # Errors
    ///
    /// Why there is no such form, as what follows the text of the kernel: "has no exact form".
    fn terms(&self, theta: &[Variable], tolerance: Option<f64>) -> Result<Vec<MarkovTerm>, String>;
}
