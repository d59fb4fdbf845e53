//! Harmonic analysis on spheres: what inducing features of spherical harmonics are made of.
//!
//! On the unit sphere S^{d−1} in d dimensions a zonal kernel, one that depends on the angle alone, is
//!
//! κ(xᵀy) = Σ_l a_l Σ_i Y_{l,i}(x) Y_{l,i}(y),
//!
//! with the [spherical harmonics](SphericalHarmonics) of degree l and one coefficient a_l for each
//! degree, its [spectrum](crate::views::ZonalSpectrum). Points of Euclidean space get there by the
//! [lift](crate::warp::SphereLift). For inducing variables u = ∫ f Y dω, K_uu is diagonal with a_l and K_uf is a_l Y;
//! for u = ∫ f Y dω/a_l, they are 1/a_l and Y.
//!
//! # Examples
//!
//! The kernel again, from its first degrees:
//!
//! ```
//! use mercer::prelude::*;
//! use mercer::sphere::SphericalHarmonics;
//! use mercer::views::ZonalSpectrum;
//!
//! let kernel = 2.0 * Rbf::new(0.9);
//! let x = mat![[0.6, 0.0, 0.8], [0.0, 1.0, 0.0], [-0.48, 0.64, 0.6]];
//!
//! let a = ZonalSpectrum::new(3, 12)?.coefficients(&kernel)?;
//! let harmonics = SphericalHarmonics::new(3, 12)?;
//! let y = harmonics.values(x.as_ref())?;
//! let scaled = Mat::from_fn(y.nrows(), y.ncols(), |i, j| a[harmonics.degrees()[i]] * y[(i, j)]);
//! let error: f64 = (y.transpose() * scaled - kernel.gram(x.as_ref())?).norm_max();
//! assert!(error < 1e-10);
//! # Ok::<(), mercer::Error>(())
//! ```
//!
//! # References
//!
//! V. Dutordoir, N. Durrande & J. Hensman (2020), "Sparse Gaussian processes with spherical harmonic features", *ICML*,
//! [doi:10.48550/arXiv.2006.16649](https://doi.org/10.48550/arXiv.2006.16649).

pub(crate) mod bessel;
mod block;
mod harmonics;
mod level;
mod measure;
pub(crate) mod quadrature;
pub(crate) mod recurrence;

pub use harmonics::SphericalHarmonics;
pub use measure::{area, harmonics_of_degree};
