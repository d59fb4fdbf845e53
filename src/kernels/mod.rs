//! The kernels that expressions are built from, one family a file.

mod constant;
mod linear;
mod matern;
mod periodic;
mod radial;
mod rational_quadratic;
mod rbf;
pub mod registry;
mod variance;
mod white;

pub use constant::Constant;
pub use linear::Linear;
pub use matern::{Matern12, Matern32, Matern52};
pub use periodic::Periodic;
pub use radial::{Profile, Radial};
pub use rational_quadratic::RationalQuadratic;
pub use rbf::Rbf;
pub use white::White;
