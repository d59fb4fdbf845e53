//! The algebra that an exact model does its work with.

mod dense;
mod explain;
mod markov;
#[cfg(feature = "serde")]
mod saved;
mod solution;
mod toeplitz;

use std::fmt::Debug;
use std::sync::Arc;

use faer::{MatRef, Par};

pub use explain::{Explanation, Verdict};
pub(super) use solution::{Solution, not_by};

use crate::engine::{Weights, refusal};
use crate::gp::recommend::Cost;
use crate::kernel::{Expr, Kernel};
use crate::{Error, Result, Scalar};

/// The algebra that an [`ExactGp`](super::ExactGp) does its work with. All give the same log marginal likelihood, gradient and
/// predictions, to rounding; what they differ in is which kernels and points they take, and how time grows with the number n of
/// observations. [`ExactGp::explain`](super::ExactGp::explain) says for each whether it applies, and why not.
///
/// | engine | takes | time | memory |
/// |---|---|---|---|
/// | `Dense` | everything | O(n³) | O(n²) |
/// | `Markov` | kernels of one column that have a state-space form of J numbers | O(n J²) to O(n J³) | O(n) |
/// | `Toeplitz` | stationary kernels of one column on a regular grid, with one noise | O(n²) | O(n) |
///
/// # Examples
///
/// ```
/// use mercer::gp::{Engine, ExactGp};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(2000, 1, |row, _| 0.01 * row as f64);
/// let y: Vec<f64> = (0..2000).map(|row| (0.05 * row as f64).sin()).collect();
/// let data = Data::new(&x, &y);
/// let gp = ExactGp::new(1.5 * Matern32::new(1.0) + Cosine::new(1.0) * Matern12::new(9.0)).with_noise(0.1)?;
/// assert_eq!(gp.explain(&data)?.chosen(), "Markov");
///
/// // The same with an engine by name.
/// let by_name = gp.clone().with_engine(Engine::markov());
/// assert_eq!(gp.objective(&data)?, by_name.objective(&data)?);
///
/// // A kernel that is no Markov process, and what is in the way.
/// let error = ExactGp::new(Rbf::new(1.0)).with_engine(Engine::markov()).objective(&data).unwrap_err();
/// assert!(error.to_string().contains("`rbf(lengthscale=1)` is not known to be a Markov process"), "{error}");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Hartikainen & Särkkä (2010), "Kalman filtering and smoothing solutions to temporal Gaussian process regression models", MLSP,
/// [doi:10.1109/MLSP.2010.5589113](https://doi.org/10.1109/MLSP.2010.5589113); Levinson (1946), "The Wiener (root mean square)
/// error criterion in filter design and prediction",
/// [doi:10.1002/sapm1946251261](https://doi.org/10.1002/sapm1946251261).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Engine {
    /// The quickest of those that apply and are exact; `Dense` for up to 512 observations.
    #[default]
    Auto,
    /// Cholesky factors of n × n matrices.
    Dense,
    /// Kernels of one dimension as Markov processes: a Kalman filter and its reverse. Observations may come in any order, at
    /// any times, which may repeat, and be missing.
    ///
    /// It takes the Matérn kernels of half-integer smoothness up to 9⁄2, [`Cosine`](crate::kernels::Cosine),
    /// [`DampedOscillator`](crate::kernels::DampedOscillator), [`Constant`](crate::kernels::Constant),
    /// [`Linear`](crate::kernels::Linear), [`Polynomial`](crate::kernels::Polynomial), [`Brownian`](crate::kernels::Brownian),
    /// [`IntegratedBrownian`](crate::kernels::IntegratedBrownian), [`White`](crate::kernels::White), kernels of one's own
    /// ([`Markov`](crate::kernel::Markov)), and their sums, products, multiples, powers and stretches, of one column of the
    /// inputs.
    #[doc(alias = "state space", alias = "Kalman filter", alias = "SDE", alias = "celerite", alias = "quasiseparable")]
    Markov {
        /// The largest error that the correlation k(x, x′)/k(x, x) of a leaf may have where its form is not exact, as that of
        /// [`Periodic`](crate::kernels::Periodic): between 10⁻¹⁵ and 0.1. Without, such kernels are not taken.
        tolerance: Option<f64>,
    },
    /// Stationary kernels on a regular grid of one column, in any order: Levinson's recursion. No point twice, none missing, and
    /// one variance of noise. Predictions at points of the grid take O(1) each, and at others O(n²).
    #[doc(alias = "Levinson", alias = "regular grid")]
    Toeplitz,
}

impl Engine {
    /// [`Markov`](Self::Markov) for kernels that it has an exact form of.
    pub fn markov() -> Self {
        Self::Markov { tolerance: None }
    }

    fn check(self) -> Result<()> {
        match self {
            Self::Markov { tolerance: Some(tolerance) } if !(1e-15..=0.1).contains(&tolerance) => {
                Err(Error::setting("the tolerance of `Engine::Markov`", tolerance, "must be between 1e-15 and 0.1"))
            }
            _ => Ok(()),
        }
    }
}

/// What an engine is asked about: n observations, some of which may be missing.
pub(super) struct Problem<'k, 'a, T: Scalar> {
    pub(super) kernel: &'k dyn Kernel<T>,
    pub(super) x: MatRef<'a, T>,
    /// NaN where nothing was observed.
    pub(super) y: &'a [T],
    /// The variance of the noise of each observation.
    pub(super) noise: &'a [f64],
    pub(super) tolerance: Option<f64>,
    pub(super) par: Par,
}

impl<'k, T: Scalar> Problem<'k, '_, T> {
    fn expr(&self) -> &'k dyn Expr {
        self.kernel
    }
}

/// An algebra.
pub(super) trait Method<T: Scalar>: Sync {
    /// Its name, as in [`Engine`].
    fn name(&self) -> &'static str;

    /// Whether it is meant by this setting.
    fn is(&self, engine: Engine) -> bool;

    /// What it costs, or why it does not take the kernel: a sentence that names what is in the way. Points are not looked at.
    fn cost(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<Cost, String>;

    /// Why it does not take the points, in the same way.
    fn fits(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<(), String>;

    /// Whether its results are those of dense matrices, to rounding.
    fn is_exact(&self, problem: &Problem<'_, '_, T>) -> bool {
        let _ = problem;
        true
    }

    /// What solves the problem, if it is not that of dense matrices.
    fn solver<'k>(&self, problem: &Problem<'k, '_, T>) -> Result<Option<Box<dyn Solver + 'k>>>;

    /// The function given the observations, less their mean, if it is not that of dense matrices.
    fn solution(
        &self,
        problem: &Problem<'_, '_, T>,
        kernel: &Arc<dyn Kernel<T>>,
        residual: Vec<f64>,
    ) -> Result<Option<Arc<dyn Solution<T>>>>;
}

/// The log density of residuals, and its gradient.
pub(super) trait Solver: Debug {
    /// log N(residual; 0, K + noise), of what was observed. Whether the rest will be asked.
    fn density(&mut self, residual: Vec<f64>, gradient: bool) -> Result<f64>;

    /// After a density with a gradient: weights, and adds to `theta` the gradient in the parameters of the kernel.
    fn gradient(&self, theta: &mut [f64]) -> Result<Weights>;
}

fn methods<T: Scalar>() -> [&'static dyn Method<T>; 3] {
    [&dense::Dense, &markov::Markov, &toeplitz::Toeplitz]
}

/// The method that a setting means for a problem.
///
/// # Errors
///
/// [`Error::Setting`] for an engine that does not apply, with the reason.
pub(super) fn choose<T: Scalar>(engine: Engine, problem: &Problem<'_, '_, T>) -> Result<&'static dyn Method<T>> {
    engine.check()?;
    let Some(method) = methods().into_iter().find(|method| method.is(engine)) else { return Ok(quickest(problem)) };
    method.cost(problem).and_then(|_| method.fits(problem)).map_err(|why| refusal(method.name(), &why))?;
    Ok(method)
}

/// Up to so many observations dense matrices take no time that is worth a thought, and what is asked of a posterior later may
/// not be known to other engines.
const FEW: usize = 512;

/// The quickest that is exact.
fn quickest<T: Scalar>(problem: &Problem<'_, '_, T>) -> &'static dyn Method<T> {
    let dense: &dyn Method<T> = &dense::Dense;
    if problem.y.len() <= FEW {
        return dense;
    }
    let exact = methods().into_iter().filter(|method| method.is_exact(problem));
    let mut by_cost: Vec<_> = exact.filter_map(|method| Some((method.cost(problem).ok()?.flops, method))).collect();
    by_cost.sort_by(|a, b| a.0.total_cmp(&b.0));
    by_cost.into_iter().map(|(_, method)| method).find(|method| method.fits(problem).is_ok()).unwrap_or(dense)
}

/// See [`ExactGp::explain`](super::ExactGp::explain).
pub(super) fn explain<T: Scalar>(engine: Engine, problem: &Problem<'_, '_, T>) -> Result<Explanation> {
    let chosen = choose(engine, problem)?.name();
    let of = |method: &dyn Method<T>| Verdict {
        engine: method.name(),
        cost: method.cost(problem).and_then(|cost| method.fits(problem).map(|()| cost)),
        exact: method.is_exact(problem),
    };
    Ok(Explanation::new(problem.y.len(), methods().into_iter().map(of).collect(), chosen))
}
