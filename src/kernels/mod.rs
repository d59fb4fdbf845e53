//! The kernels that expressions are built from, one family a file.

mod affine;
mod arc_cosine;
mod brownian;
mod constant;
pub(crate) mod directions;
#[doc(hidden)]
pub mod dot_product;
mod gegenbauer;
mod gibbs;
mod linear;
mod matern;
mod neural_network;
mod periodic;
mod polynomial;
mod radial;
mod random_fourier_features;
mod rational_quadratic;
mod rbf;
pub mod registry;
mod sphere_heat;
mod tanh;
mod variance;
mod white;
mod zonal;

pub use affine::Affine;
pub use arc_cosine::{ArcCosine, ArcCosineProfile};
pub use brownian::{Brownian, BrownianProfile, FractionalBrownian, FractionalBrownianProfile};
pub use constant::Constant;
pub use dot_product::{DotProduct, DotProfile, Reads, Slopes, versines};
pub use gibbs::{ConstantLengthscale, DynLengthscale, ExponentialLengthscale, Gibbs, LengthscaleFunction};
pub use linear::Linear;
pub use matern::{Matern12, Matern32, Matern52};
pub use neural_network::{NeuralNetwork, NeuralNetworkProfile};
pub use periodic::Periodic;
pub use polynomial::{Polynomial, PolynomialProfile};
pub use radial::{Profile, Radial};
pub use random_fourier_features::{RandomFourierFeatures, Spectrum};
pub use rational_quadratic::RationalQuadratic;
pub use rbf::Rbf;
pub use sphere_heat::SphereHeat;
pub use tanh::{Tanh, TanhProfile};
pub use white::White;
pub use zonal::Zonal;
