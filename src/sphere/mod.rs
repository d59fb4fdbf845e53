//! Harmonic analysis on spheres: what inducing features of spherical harmonics are made of.
//!
//! On the unit sphere S^{d−1} in d dimensions a zonal kernel κ(xᵀy) has the expansion (Mercer 1909, Funk 1915,
//! Hecke 1917)
//!
//! κ(xᵀy) = Σ_l a_l Σ_i Y_{l,i}(x) Y_{l,i}(y),
//!
//! with the [spherical harmonics](SphericalHarmonics) of degree l and one coefficient a_l for each
//! degree, its [zonal spectrum](ZonalSpectrum). Data from Euclidean space get there by the
//! [lift](crate::warp::SphereLift).

pub(crate) mod bessel;
mod block;
mod funk_hecke;
mod harmonics;
mod level;
mod measure;
mod quadrature;
mod rotations;

pub use funk_hecke::{Spectrum, ZonalSpectrum};
pub use harmonics::SphericalHarmonics;
pub use measure::{area, harmonics_of_degree};
