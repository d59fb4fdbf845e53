//! What a bound needs of a kernel at inputs that are not known exactly.

use std::any::Any;
use std::fmt::Debug;

use crate::Result;
use crate::tape::{KernelVar, Tape, Var};

/// Inputs xₙ ~ N(μₙ, diag Sₙ), independent of each other, on a tape.
#[derive(Clone, Copy, Debug)]
pub struct GaussianInputs<'t> {
    /// μ, N × Q.
    pub mean: Var<'t, f64>,
    /// S, N × Q, positive.
    pub variance: Var<'t, f64>,
}

/// Expectations of a kernel between uncertain inputs xₙ and M fixed ones zⱼ, on a tape: the psi statistics.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "psi0", alias = "kernel expectations")]
pub struct PsiStatistics<'t> {
    /// ψ₀ = Σₙ E k(xₙ, xₙ), 1 × 1.
    pub psi0: Var<'t, f64>,
    /// Ψ₁ with E k(xₙ, zⱼ), N × M.
    pub psi1: Var<'t, f64>,
    /// Ψ₂ with Σₙ E k(zⱼ, xₙ) k(xₙ, zₖ), M × M, symmetric.
    pub psi2: Var<'t, f64>,
}

/// A way to get the [psi statistics](PsiStatistics) of a kernel.
///
/// # Examples
///
/// Of a squared exponential of lengthscale 1 at x ~ N(0, 2), E k(x, 0) = (1 + 2)^(−½):
///
/// ```
/// use mercer::gp::gplvm::{ClosedForm, GaussianInputs, KernelExpectations, Nodes};
/// use mercer::prelude::*;
/// use mercer::tape::Tape;
///
/// let kernel = Rbf::new(1.0);
/// for (way, tolerance) in [(&ClosedForm as &dyn KernelExpectations, 1e-15), (&Nodes::gauss_hermite(60, 1)?, 1e-10)] {
///     let tape = Tape::new(Par::Seq);
///     let inputs =
///         GaussianInputs { mean: tape.parameter(mat![[0.0]]), variance: tape.parameter(mat![[2.0]]) };
///     let z = tape.constant_owned(mat![[0.0]]);
///     let psi = way.record(&tape, tape.kernel(&kernel)?, inputs, z)?;
///     assert!((tape.scalar(psi.psi1)? - 3f64.powf(-0.5)).abs() < tolerance);
///     assert!((tape.scalar(psi.psi2)? - 5f64.powf(-0.5)).abs() < tolerance);
///
///     // d/dS (1 + S)^(−½) = −½ (1 + S)^(−3/2)
///     let gradients = tape.backward(psi.psi1)?;
///     assert!((gradients.scalar(inputs.variance).unwrap() + 0.5 * 3f64.powf(-1.5)).abs() < 100.0 * tolerance);
/// }
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Titsias & Lawrence (2010), *Bayesian Gaussian process latent variable model*, AISTATS, section 3.1.
pub trait KernelExpectations: Any + Debug + Send + Sync {
    /// Records the statistics for inputs of N × Q and a z of M × Q, differentiable in all that has gradients.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for a kernel or a dimension that this way has no expectations
    /// for; [`Error::Dimension`](crate::Error::Dimension) if the kernel cannot read the inputs.
    fn record<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        kernel: KernelVar<'t, 'a, f64>,
        inputs: GaussianInputs<'t>,
        z: Var<'t, f64>,
    ) -> Result<PsiStatistics<'t>>;
}
