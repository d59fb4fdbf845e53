//! What a minimiser of a deterministic function is.

use crate::Result;

/// A function to minimise: its value and its gradient at a point.
pub type Minimized<'a> = dyn FnMut(&[f64]) -> Result<(f64, Vec<f64>)> + 'a;

/// A method that minimises a smooth deterministic function of real numbers from its value and its
/// gradient.
///
/// # Examples
///
/// A method of one's own, here gradient descent with a fixed rate:
///
/// ```
/// use mercer::optim::{Minimizer, Minimum, Minimized};
///
/// struct Descent;
///
/// impl Minimizer for Descent {
///     fn minimize(&self, objective: &mut Minimized<'_>, start: &[f64]) -> mercer::Result<Minimum> {
///         let mut x = start.to_vec();
///         for _ in 0..50 {
///             let (_, gradient) = objective(&x)?;
///             x.iter_mut().zip(&gradient).for_each(|(x, g)| *x -= 0.4 * g);
///         }
///         let (value, gradient) = objective(&x)?;
///         let gradient_norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
///         let reason = "all steps done".to_owned();
///         Ok(Minimum { x, value, gradient_norm, steps: 50, evaluations: 51, converged: true, reason })
///     }
/// }
///
/// let minimum = Descent.minimize(&mut |x| Ok(((x[0] - 3.0).powi(2), vec![2.0 * (x[0] - 3.0)])), &[0.0])?;
/// assert!((minimum.x[0] - 3.0).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Minimizer: Sync {
    /// The best point found from a start.
    ///
    /// # Errors
    ///
    /// Those of the objective at the start, and those of the method's settings.
    fn minimize(&self, objective: &mut Minimized<'_>, start: &[f64]) -> Result<Minimum>;
}

/// What a [`Minimizer`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The best point seen.
    pub x: Vec<f64>,
    /// The objective there.
    pub value: f64,
    /// The Euclidean norm of the gradient there.
    pub gradient_norm: f64,
    /// Steps taken, each a line search for methods that have one.
    pub steps: usize,
    /// How often the objective was evaluated.
    pub evaluations: usize,
    /// Whether a tolerance was reached, rather than a limit.
    pub converged: bool,
    /// Why the method stopped, in words.
    pub reason: String,
}
