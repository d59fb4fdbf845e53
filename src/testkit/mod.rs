//! Laws that every kernel must obey, and every likelihood, for the tests of this crate and of kernels elsewhere.
//!
//! The laws come in tiers: a kernel as data ([`expressions`]), its values ([`matrices`], [`bits`]), its
//! derivatives ([`gradients`]), points that are no ordinary numbers ([`special`]), and as a part of others ([`composition`], [`keeps_fast_paths`]).
//!
//! Each law is a function that takes a kernel and points and returns the first [`Violation`]. Some
//! laws are about what the kernel claims: [`matrices::positive_semidefinite`] asks nothing of a kernel
//! that promises nothing. [`conforms`] runs them all at points that have caught mistakes before.
//!
//! Of a likelihood, [`likelihoods::Oracle`] checks expectations, predictions and derivatives against brute force.
//!
//! A [`Workload`] is a piece of work to time a kernel on.
//!
//! Behind the cargo feature `testkit`, for `[dev-dependencies]`.
//!
//! # Examples
//!
//! The test that a kernel of one's own needs:
//!
//! ```
//! use mercer::prelude::*;
//! use mercer::testkit::conforms;
//!
//! let kernel = 0.5 * Rbf::new(0.7) + Linear::new(2.0);
//! for dim in [1, 3] {
//!     conforms(&kernel.clone().dynamic(), dim)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bits;
pub mod composition;
mod distributions;
pub mod expressions;
pub mod gradients;
pub mod likelihoods;
pub mod matrices;
mod probe;
mod rounding;
mod sample;
pub mod special;
pub mod translation;
mod trials;
pub mod views;
mod violation;
mod workload;

pub use gradients::{difference, directional_difference};
pub use probe::{Calls, Probe, keeps_fast_paths};
pub use sample::{coincident_points_for, few_dims, points, points_for, with_coincident_points};
pub use trials::{seed, trials};
pub use violation::Violation;
pub use workload::{Task, Workload};

use crate::{DynKernel, Expr, Result};

/// Runs every law at points of one dimension, at both precisions.
///
/// The kernel's values should be of order 1 on points of order 1: absolute errors are measured
/// against the larger of 1 and the largest value.
///
/// # Errors
///
/// The first [`Violation`], also if the kernel refuses points of this dimension.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// mercer::testkit::conforms(&Matern52::new([0.5, 2.0]).dynamic(), 2)?;
/// let refused = mercer::testkit::conforms(&Matern52::new([0.5, 2.0]).dynamic(), 3);
/// assert_eq!(refused.unwrap_err().law, "can be evaluated");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn conforms(kernel: &DynKernel, dim: usize) -> Result<(), Violation> {
    expressions::text(kernel)?;
    expressions::parameters(kernel)?;

    // More than a tile has rows, and no multiple of its columns.
    let (x, z) = (points_for::<f64>(kernel, 70, dim, 1), points_for::<f64>(kernel, 41, dim, 2));
    let (x, z) = (x.as_ref(), z.as_ref());
    matrices::symmetric(kernel, x, z)?;
    matrices::gram_is_cross(kernel, x)?;
    matrices::diag_is_gram_diagonal(kernel, x)?;
    matrices::positive_semidefinite(kernel, x)?;
    matrices::stationary(kernel, x)?;
    matrices::zonal(kernel, x)?;
    let (few_x, few_z) = (x.subrows(0, 21), z.subrows(0, 13));
    matrices::isotropic(kernel, few_x)?;
    matrices::tile_is_pairwise(kernel, few_x, few_z)?;
    bits::thread_independent::<f64>(kernel, x, z)?;
    composition::operators(kernel, few_x, few_z)?;

    let (x32, z32) = (points_for::<f32>(kernel, 70, dim, 1), points_for::<f32>(kernel, 41, dim, 2));
    let (x32, z32) = (x32.as_ref(), z32.as_ref());
    matrices::symmetric(kernel, x32, z32)?;
    matrices::tile_is_pairwise(kernel, x32.subrows(0, 21), z32.subrows(0, 13))?;
    matrices::single_precision(kernel, x32.subrows(0, 21), z32.subrows(0, 13))?;
    bits::thread_independent::<f32>(kernel, x32, z32)?;

    let coincident = coincident_points_for::<f64>(kernel, 35, dim, 3, 0.0);
    matrices::finite(kernel, coincident.as_ref(), z)?;
    matrices::positive_semidefinite(kernel, coincident.as_ref())?;
    let far = coincident_points_for::<f64>(kernel, 35, dim, 3, 1e8);
    matrices::finite(kernel, far.as_ref(), far.as_ref())?;
    let far = coincident_points_for::<f32>(kernel, 35, dim, 3, 1e8);
    matrices::finite(kernel, far.as_ref(), far.as_ref())?;

    if kernel.properties().differentiable {
        gradients::elementwise(kernel, x.subrows(0, 6), z.subrows(0, 4))?;
        gradients::directional(kernel, x, z)?;
    }

    special::nan_spreads::<f64>(kernel, dim)?;
    special::nan_spreads::<f32>(kernel, dim)?;
    special::diagonals_agree::<f64>(kernel, dim)?;
    special::diagonals_agree::<f32>(kernel, dim)?;
    special::unread_columns_change_nothing::<f64>(kernel, dim)?;
    special::masks::<f64>(kernel, dim)?;
    special::indices_are_checked::<f64>(kernel, dim)?;

    views::spectral(kernel, dim)?;
    views::on_sphere(kernel, dim)?;
    views::sum_of_terms(kernel, dim)
}
