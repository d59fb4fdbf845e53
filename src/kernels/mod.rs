//! The kernels that expressions are built from, one family a file.

mod by_index;
mod categorical;
mod constant;
mod coregionalization;
mod equal;
mod gp_convolution;
mod graph;
mod linear;
mod low_rank_linear;
mod matern;
mod periodic;
mod radial;
mod rational_quadratic;
mod rbf;
pub mod registry;
mod variance;
mod white;
mod white_by_value;

pub use by_index::{ByIndex, IndexMatrix};
pub use categorical::Categorical;
pub use constant::Constant;
pub use coregionalization::{Coregionalization, LowRank};
pub use gp_convolution::GpConvolution;
pub use graph::{GraphHeat, GraphMatern, GraphSpectrum, HeatSpectrum, Laplacian, MaternSpectrum, OfGraph};
pub use linear::Linear;
pub use low_rank_linear::LowRankLinear;
pub use matern::{Matern12, Matern32, Matern52};
pub use periodic::Periodic;
pub use radial::{Profile, Radial};
pub use rational_quadratic::RationalQuadratic;
pub use rbf::Rbf;
pub use white::White;
pub use white_by_value::WhiteByValue;
