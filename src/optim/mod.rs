//! Optimisers, and the loops that fit anything [`Parameterized`](crate::params::Parameterized).
//!
//! Optimisers work on plain slices of real numbers. [`fit`] and [`Run`] connect them to models:
//! they pack the free parameters, mapped to the real line by their constraints, and convert
//! gradients from natural units. They add the [priors](crate::params::Prior) of the parameters: what is
//! minimised is the loss less [`log_prior`](crate::params::ParameterizedExt::log_prior), so a loss that is
//! a negative log likelihood of all the data, or a bound on it, leads to the maximum a posteriori.
//!
//! The models of [`gp`](crate::gp) count the parameters of mean functions in the spread of the outputs, and inducing inputs in
//! that of their columns, so that their fits do not depend on the units of the data; rates of Adam are in these units. Inducing
//! inputs that coincide are parted before the first step, where that is no loss: no gradient would do it.
//!
//! A [`Run`] is stepped in a loop, which may look at the model, and goes on from a [`Checkpoint`] to the same bits. It ends
//! where the loss has stopped to fall ([`EarlyStop`]); a loop leaves it where anything else has ([`Patience`]).
//!
//! | | gradient | step |
//! |---|---|---|
//! | [`Lbfgs`] with [`fit`] | of the whole loss, exact | quasi-Newton with a line search |
//! | [`Adam`] with [`Train`] | of the whole loss or of minibatches | first order, one evaluation each |
//! | [`NaturalGradient`] | in a Gaussian, of the whole loss or of minibatches | in the metric of its Fisher information |

pub mod adam;
mod batch;
pub mod checkpoint;
mod coordinates;
mod fit;
mod history;
pub mod lbfgs;
mod line_search;
mod minimizer;
pub mod natural;
mod objective;
pub mod patience;
mod resolution;
pub mod run;
#[cfg(feature = "serde")]
mod saved;
pub mod schedule;
pub mod train;

pub use adam::{Adam, AdamState};
pub use batch::Batch;
pub use checkpoint::Checkpoint;
pub(crate) use coordinates::Measures;
pub use fit::fit;
pub(crate) use fit::fit_by;
pub use history::{History, Progress, Stopped};
pub use lbfgs::Lbfgs;
pub use minimizer::{Minimized, Minimizer, Minimum};
pub use natural::NaturalGradient;
pub use patience::{EarlyStop, Patience};
pub use run::{Loss, Run};
pub use schedule::Schedule;
pub use train::Train;

/// The Euclidean norm, without overflow where the result is representable.
fn norm(v: &[f64]) -> f64 {
    let largest = largest(v);
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * v.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
}

/// The largest magnitude; NaN if any element is.
fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |largest: f64, x| if x.is_nan() || x.abs() > largest { x.abs() } else { largest })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
