//! The kernels that expressions are built from, one family a file.

mod cauchy;
mod constant;
mod cosine;
mod gamma_exponential;
mod linear;
mod locally_periodic;
mod matern;
mod multiquadric;
mod periodic;
mod piecewise_polynomial;
mod radial;
mod radial_periodic;
mod rational_quadratic;
mod rbf;
pub mod registry;
mod spectral_mixture;
mod variance;
mod white;

pub use cauchy::Cauchy;
pub use constant::Constant;
pub use cosine::Cosine;
pub use gamma_exponential::GammaExponential;
pub use linear::Linear;
pub use locally_periodic::LocallyPeriodic;
pub use matern::{Matern, Matern12, Matern32, Matern52};
pub use multiquadric::Multiquadric;
pub use periodic::Periodic;
pub use piecewise_polynomial::PiecewisePolynomial;
pub use radial::{Profile, Radial};
pub use radial_periodic::{RadialCosine, RadialPeriodic};
pub use rational_quadratic::RationalQuadratic;
pub use rbf::Rbf;
pub use spectral_mixture::SpectralMixture;
pub use white::White;
