//! Independent exact processes for several outputs.

mod condition;
mod evidence;
mod group;
mod posterior;
#[cfg(feature = "serde")]
mod saved;

pub use posterior::BatchPosterior;

use faer::Par;

use super::settings::model_settings;
use crate::batch::Batched;
use crate::kernel::DynKernel;
use crate::likelihood::Gaussian;
use crate::linalg::Jitter;
use crate::mean::{AnyMean, DynMean, Zero};
use crate::{Error, Expr, Result};

/// Exact regression of m outputs, a priori independent: y_b = f_b(x) + ε_b, with f_b ~ GP(m_b, k_b) and
/// ε_b ~ N(0, σ_b²) for b = 0, …, m − 1.
///
/// # Definition
///
/// The log evidence is the sum over the outputs of that of an [`ExactGp`](super::ExactGp) for each,
///
/// log p(Y) = Σ_b log N(y_b; m_b(X), K_b(X, X) + σ_b² I)
///
/// Kernels, means and noises are [`Batched`]: each of their parameters is shared by all outputs or has a
/// value for each. What is shared learns from all outputs.
///
/// Y is n × m, a column for each output. A NaN in it is a missing observation, and its output does as if
/// the row were not there. The inputs are n × D, one set for all outputs or [one for each](crate::batch::BatchPoints).
///
/// # Parameters
///
/// `kernel.batch.…` (what is shared) and `kernel.batch[b].…` (what is not), `mean.batch.…` likewise, and
/// `likelihood.batch.gaussian.variance` or `likelihood.batch[b].gaussian.variance` (σ², in units of y
/// squared), in this order.
///
/// # Complexity
///
/// O(m·n³) time and at most O(m·n²) memory. Outputs that share inputs, all of the kernel and the noise
/// have one factorisation for each pattern of missing rows, O(n³ + m·n²) where nothing is missing. What
/// is left is done in parallel, each factorisation on one thread: the bits of all results are the same
/// for any number of threads.
///
/// # Examples
///
/// Two outputs that share a lengthscale and differ in scale; of the second, the value at 1.0 is missing:
///
/// ```
/// use mercer::gp::BatchGp;
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(30, 1, |i, _| 0.2 * i as f64);
/// let mut y = Mat::from_fn(30, 2, |i, b| if b == 0 { x[(i, 0)].sin() } else { 5.0 * x[(i, 0)].cos() });
/// y[(5, 1)] = f64::NAN;
///
/// let kernel = (1.0 * Rbf::new(1.0)).batched(2)?.per_batch("scaled.factor", &[1.0, 25.0])?;
/// let mut gp = BatchGp::new(kernel).with_noises(&[0.01, 0.1])?;
/// let data = Data::new(&x, &y);
/// let before = gp.objective(&data)?;
/// gp.fit(&data, &Lbfgs::default())?;
/// assert!(gp.objective(&data)? > before + 10.0);
///
/// let at = gp.condition(&data)?.predict(mat![[1.0]].as_ref())?;
/// assert!((at.mean[(0, 0)] - 1.0f64.sin()).abs() < 1e-2);
/// assert!((at.mean[(0, 1)] - 5.0 * 1.0f64.cos()).abs() < 5e-2);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 2.2 and eq. 5.8.
#[derive(Clone, Debug)]
pub struct BatchGp<K = DynKernel> {
    kernel: Batched<K>,
    mean: Batched<DynMean>,
    likelihood: Batched<Gaussian>,
    jitter: Jitter,
    allow_indefinite: bool,
    par: Par,
}

impl<K: Expr + Clone> BatchGp<K> {
    model_settings!();

    /// Zero-mean GP regression of several outputs with these kernels, one for each output, and one Gaussian noise variance,
    /// which is 1.
    pub fn new(kernel: Batched<K>) -> Self {
        let outputs = kernel.members().len();
        Self {
            kernel,
            mean: Batched::of_copies(DynMean::new(Zero), outputs),
            likelihood: Batched::of_copies(Gaussian::new(1.0), outputs),
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        }
    }

    /// Sets one noise variance σ² for all outputs.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if it is not positive and finite.
    pub fn with_noise(mut self, variance: f64) -> Result<Self> {
        self.likelihood = Batched::of_copies(Gaussian::try_new(variance)?, self.outputs());
        Ok(self)
    }

    /// Sets a noise variance σ_b² for each output.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if one is not positive and finite; [`Error::Shape`] if there is not one for each.
    pub fn with_noises(mut self, variances: &[f64]) -> Result<Self> {
        self.check_outputs("the noise variances", variances.len())?;
        let members = variances.iter().map(|&variance| Gaussian::try_new(variance)).collect::<Result<_>>()?;
        self.likelihood = Batched::of(members, &[])?;
        Ok(self)
    }

    /// Sets a mean function whose parameters all outputs share.
    #[must_use]
    pub fn with_mean(mut self, mean: impl AnyMean + 'static) -> Self {
        self.mean = Batched::of_copies(DynMean::new(mean), self.outputs());
        self
    }

    /// Sets a mean function for each output.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is not one for each.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::batch::Batched;
    /// use mercer::gp::BatchGp;
    /// use mercer::mean::{ConstantMean, DynMean};
    /// use mercer::prelude::*;
    ///
    /// let means = Batched::new(DynMean::new(ConstantMean::new(0.0)), 2)?;
    /// let means = means.per_batch("constant.value", &[-1.0, 3.0])?;
    /// let gp = BatchGp::new(Rbf::new(1.0).batched(2)?).with_means(means)?;
    /// let far = gp.condition(&Data::new(mat![[0.0]].as_ref(), mat![[5.0, 5.0]].as_ref()))?.mean(mat![[50.0]].as_ref())?;
    /// assert_eq!(far, mat![[-1.0, 3.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_means(mut self, means: Batched<DynMean>) -> Result<Self> {
        self.check_outputs("the mean functions", means.members().len())?;
        self.mean = means;
        Ok(self)
    }

    /// m, the number of outputs.
    pub fn outputs(&self) -> usize {
        self.kernel.members().len()
    }

    /// The kernels, one for each output.
    pub fn kernel(&self) -> &Batched<K> {
        &self.kernel
    }

    /// The likelihoods, one for each output, which hold the noise variances.
    pub fn likelihood(&self) -> &Batched<Gaussian> {
        &self.likelihood
    }

    fn check_outputs(&self, what: &str, found: usize) -> Result<()> {
        if found == self.outputs() {
            return Ok(());
        }
        Err(Error::shape(what, format!("one for each of {} output(s)", self.outputs()), (found, 1)))
    }
}

crate::parameterized!([K] BatchGp<K> as "", parameters: [], children: [kernel, mean, likelihood]);
