//! Many kernels of one structure, on many sets of points.
//!
//! One rule, named and not guessed: a hyperparameter is shared by all members of a [`Batched`] kernel
//! or has a value for each ([`Batched::per_batch`]), path by path; each argument is one set of points
//! for all members or a set for each ([`BatchPoints`]); the result has a matrix for each
//! ([`BatchMatrix`], B × N × M). Nothing is broadcast: a shape that does not fit is an error that says which.
//!
//! # Examples
//!
//! ```
//! use mercer::prelude::*;
//!
//! let kernel = (2.0 * Rbf::new(1.0)).batched(3)?.per_batch("scaled.rbf.lengthscale", &[0.5, 1.0, 2.0])?;
//! let x = mat![[0.0], [1.0]];
//!
//! // One set of points for all members.
//! let grams = kernel.gram(x.as_ref())?;
//! assert_eq!(grams.shape(), [3, 2, 2]);
//! assert_eq!(grams.get(&[2])?[(0, 1)], 2.0 * (-0.125f64).exp());
//!
//! // A set for each, against one for all.
//! let sets = [mat![[0.0]], mat![[1.0]], mat![[2.0]]];
//! let each: Vec<MatRef<'_, f64>> = sets.iter().map(Mat::as_ref).collect();
//! let cross = kernel.cross(each, x.as_ref())?;
//! assert_eq!(cross.shape(), [3, 1, 2]);
//! assert_eq!(cross.get(&[1])?[(0, 1)], 2.0);
//! # Ok::<(), mercer::Error>(())
//! ```

mod batched;
mod drivers;
mod inputs;
mod matrix;
mod member;
mod shared;

pub use batched::{Batched, IntoBatch};
pub use drivers::BatchGradients;
pub use inputs::{BatchPoints, InputGradients};
pub use matrix::BatchMatrix;
pub use member::Member;
