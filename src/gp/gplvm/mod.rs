//! Gaussian-process latent variable models (GPLVM): unobserved inputs of outputs that are Gaussian processes of them.
//!
//! N rows of D outputs are explained by N latent inputs in Q dimensions, Q usually much smaller: a non-linear principal
//! component analysis. [`Gplvm`] finds the most probable inputs; [`BayesianGplvm`] a Gaussian distribution of them, and
//! with it how many dimensions are needed, and how certain each input is.
//!
//! # Examples
//!
//! Rows near a curve, unrolled into one dimension:
//!
//! ```
//! use mercer::gp::BayesianGplvm;
//! use mercer::gp::gplvm::principal_latents;
//! use mercer::optim::Lbfgs;
//! use mercer::prelude::*;
//!
//! let noise = |i: usize, d: usize| 0.05 * ((7 * i + 3 * d) as f64).cos();
//! let y = Mat::from_fn(12, 3, |i, d| (0.3 * i as f64 + d as f64).sin() + noise(i, d));
//! let x = principal_latents(y.as_ref(), 1)?;
//! let z = Mat::from_fn(6, 1, |j, _| x[(2 * j, 0)]);
//! let mut model = BayesianGplvm::new(1.0 * Rbf::new(1.0), x.as_ref(), Mat::full(12, 1, 0.1).as_ref(), z.as_ref())?
//!     .with_noise(0.1)?;
//! let before = model.objective(&y)?.value;
//! model.fit(&y, &Lbfgs { max_steps: 60, ..Lbfgs::default() })?;
//! assert!(model.objective(&y)?.value > before + 10.0);
//!
//! // The latent inputs are in the order of the curve.
//! let found = model.latents(y.as_ref())?.mean;
//! let steps: Vec<f64> = (1..12).map(|i| found[(i, 0)] - found[(i - 1, 0)]).collect();
//! assert!(steps.iter().all(|step| *step > 0.0) || steps.iter().all(|step| *step < 0.0));
//! # Ok::<(), mercer::Error>(())
//! ```

mod back_constraint;
mod bayesian;
mod bound;
mod closed_form;
mod elbo;
mod expectations;
mod gaussian_expectations;
mod infer;
mod joint;
mod latents;
mod most_probable;
mod posterior;
mod psi1;
mod psi2;
mod quadrature;
#[cfg(feature = "serde")]
mod saved;
mod start;

pub use back_constraint::BackConstraint;
pub use bayesian::BayesianGplvm;
pub use closed_form::ClosedForm;
pub use elbo::GplvmElbo;
pub use expectations::{GaussianInputs, KernelExpectations, PsiStatistics};
pub use infer::InferredLatents;
pub use joint::LogJoint;
pub use latents::LatentMarginals;
pub use most_probable::Gplvm;
pub use posterior::GplvmPosterior;
pub use quadrature::Nodes;
#[cfg(feature = "serde")]
pub use saved::register;
pub use start::principal_latents;
