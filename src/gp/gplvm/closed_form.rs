//! Psi statistics of a squared exponential, in closed form.

use faer::{Mat, Par};

use super::expectations::{GaussianInputs, KernelExpectations, PsiStatistics};
use super::gaussian_expectations::{BumpGradients, View};
use super::{psi1, psi2};
use crate::kernel::text;
use crate::linalg::column;
use crate::tape::{KernelVar, Tape, Value, Var};
use crate::views::spectral_measure;
use crate::{Error, Result};

/// Expectations in closed form, for a kernel that is a squared exponential with a lengthscale for each dimension:
/// k(x, y) = σ² exp(−½ Σ_q (x_q − y_q)²/ℓ_q²), however it is written.
///
/// `2.0 * Rbf::new([0.5, 3.0])`, `Rbf::new(1.0).ard([0.5, 3.0])`, a product of such kernels, and one on some of the
/// dimensions alone are all recognised, by their spectrum; gradients go through the kernel's own, into whatever its
/// parameters are. A kernel that can turn away from the axes is not one of them, also while it is along them: one over a
/// [linear map](crate::warp::LinearMap) of more than one dimension takes [`Nodes`](super::Nodes).
///
/// # Definition
///
/// With w = ℓ⁻², Ψ₁ has σ² Π_q (1 + w_q S_q)^(−½) exp(−½ w_q (μ_q − z_q)²/(1 + w_q S_q)), Ψ₂ the sum over the inputs of
///
/// σ⁴ Π_q (1 + 2 w_q S_q)^(−½) exp(−¼ w_q (z_q − z′_q)² − w_q (μ_q − ½(z_q + z′_q))²/(1 + 2 w_q S_q))
///
/// # Complexity
///
/// O(N·M²·Q) time, vectorised and on all threads, with the same bits on any number of them; O(N·M + M²) memory.
///
/// # Examples
///
/// ```
/// use mercer::gp::BayesianGplvm;
/// use mercer::gp::gplvm::ClosedForm;
/// use mercer::prelude::*;
///
/// let (x, s, z) = (mat![[0.1], [0.9]], mat![[0.2], [0.3]], mat![[0.0]]);
/// let model = |kernel: DynKernel| {
///     BayesianGplvm::new(kernel, x.as_ref(), s.as_ref(), z.as_ref())?.with_expectations(ClosedForm).objective(&x)
/// };
/// // A product of two squared exponentials is one, of precisions that add up.
/// let product = model((3.0 * Rbf::new(1.0) * Rbf::new(1.0)).dynamic())?;
/// assert!((product.value - model((3.0 * Rbf::new(0.5f64.sqrt())).dynamic())?.value).abs() < 1e-14);
/// assert!(model(Matern32::new(1.0).dynamic()).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Titsias & Lawrence (2010), *Bayesian Gaussian process latent variable model*, AISTATS, section 3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosedForm;

impl KernelExpectations for ClosedForm {
    fn record<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        kernel: KernelVar<'t, 'a, f64>,
        inputs: GaussianInputs<'t>,
        z: Var<'t, f64>,
    ) -> Result<PsiStatistics<'t>> {
        let (n, q) = tape.shape(inputs.mean)?;
        let (variance, precision) = squared_exponential(tape, kernel, q)?;
        let operands = [inputs.mean, inputs.variance, z, variance, precision];
        let data = Data::new(tape, operands)?;
        let psi0 = n as f64 * variance;
        let psi1 = {
            let data = data.clone();
            let value = psi1::value(&data.view());
            tape.custom(&operands, value, Box::new(move |c| data.give(&psi1::vjp(&data.view(), c))))
        };
        let value = psi2::value(&data.view());
        let psi2 = tape.custom(&operands, value, Box::new(move |c| data.give(&psi2::vjp(&data.view(), c))));
        Ok(PsiStatistics { psi0, psi1, psi2 })
    }
}

/// Whether a kernel is one that has the closed form, on inputs of a dimension that it can read.
pub(super) fn is_squared_exponential(kernel: &dyn crate::Expr, dim: usize) -> bool {
    axes(kernel, dim).is_some()
}

/// The precisions along the axes.
fn axes(kernel: &dyn crate::Expr, dim: usize) -> Option<Vec<f64>> {
    let (variance, precision) = spectral_measure(kernel, dim).ok()?.squared_exponential()?;
    (variance > 0.0).then_some(precision)
}

/// σ², 1 × 1, and w, Q × 1.
///
/// Both are functions of values of the kernel: σ² = k(0, 0), w_q = −2 log(k(0, d_q e_q)/σ²)/d_q². At a distance
/// d_q of one lengthscale the logarithm is −½: no digit is lost. So the gradients are those of the kernel.
fn squared_exponential<'t, 'a>(
    tape: &'t Tape<'a, f64>,
    kernel: KernelVar<'t, 'a, f64>,
    dim: usize,
) -> Result<(Var<'t, f64>, Var<'t, f64>)> {
    let axes = axes(kernel.kernel(), dim).ok_or_else(|| {
        let found = format!("asked of `{}`", text(kernel.kernel()));
        let expected =
            "only a squared exponential with a lengthscale for each dimension has it: take `Nodes` for another kernel";
        Error::setting("the closed form of expectations", found, expected)
    })?;
    let distance = |q: usize| if axes[q] > 0.0 { axes[q].sqrt().recip() } else { 1.0 };
    let probes = Mat::from_fn(1 + dim, dim, |row, q| if row == q + 1 { distance(q) } else { 0.0 });
    let origin = tape.constant_owned(Mat::zeros(1, dim));
    let values = kernel.cross(tape.constant_owned(probes), origin)?;
    let variance = values.rows(0..1);
    let logarithms = values.rows(1..1 + dim).ln();
    let decline = logarithms.add_scalar(-variance.ln());
    let factors = tape.constant_owned(Mat::from_fn(dim, 1, |q, _| -2.0 / distance(q).powi(2)));
    Ok((variance, decline.scale_rows(factors)))
}

/// The operands, held for the way back.
#[derive(Clone)]
struct Data<'a> {
    mean: Value<'a, f64>,
    variance: Value<'a, f64>,
    z: Value<'a, f64>,
    amplitude: f64,
    precision: Value<'a, f64>,
    par: Par,
}

impl<'a> Data<'a> {
    fn new<'t>(tape: &'t Tape<'a, f64>, [mean, variance, z, amplitude, precision]: [Var<'t, f64>; 5]) -> Result<Self> {
        Ok(Self {
            mean: tape.value(mean)?,
            variance: tape.value(variance)?,
            z: tape.value(z)?,
            amplitude: tape.scalar(amplitude)?,
            precision: tape.value(precision)?,
            par: tape.par(),
        })
    }

    fn view(&self) -> View<'_> {
        View {
            mean: self.mean.as_mat(),
            input_variance: self.variance.as_mat(),
            z: self.z.as_mat(),
            variance: self.amplitude,
            precision: column(self.precision.as_mat(), 0),
            par: self.par,
        }
    }

    /// In the order of the operands.
    fn give(&self, gradients: &BumpGradients) -> Vec<Option<Mat<f64>>> {
        let BumpGradients { mean, input_variance, z, variance, precision } = gradients.clone();
        let precision = Mat::from_fn(precision.len(), 1, |q, _| precision[q]);
        vec![Some(mean), Some(input_variance), Some(z), Some(faer::mat![[variance]]), Some(precision)]
    }
}
