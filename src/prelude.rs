//! The names that most programs need: `use mercer::prelude::*;`.

pub use faer::{Mat, MatRef, Par, mat};

pub use crate::combine::{Additive, ChangePoint, ChangeWindow, Neg, Product, Scaled, Sum};
pub use crate::kernel::dynamic::DynKernel;
pub use crate::kernel::ops::Compose;
pub use crate::kernel::{Expr, Kernel, KernelExt, Psd};
pub use crate::kernels::{Constant, Linear, Matern12, Matern32, Matern52, Periodic, RationalQuadratic, Rbf, White};
pub use crate::params::{Parameterized, ParameterizedExt};
pub use crate::warp::{Ard, Select, Warped};
pub use crate::{Error, Scalar};
