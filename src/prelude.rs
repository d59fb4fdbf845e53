//! The names that most programs need: `use mercer::prelude::*;`.

pub use faer::{Mat, MatRef, Par, mat};

pub use crate::algebra::Compose;
pub use crate::batch::IntoBatch;
pub use crate::combine::{
    Additive, BlockDiagonal, ChangePoint, ChangeWindow, Neg, Normalized, Product, Scaled, Sum, Vertical,
};
pub use crate::gp::{Data, Model, NaturalGradients, Objective, Predict, Trainable};
// Their methods are there where a program has a type of the same name, too.
pub use crate::gp::{Model as _, Predict as _, Trainable as _};
pub use crate::kernel::DynKernel;
pub use crate::kernel::{AnyKernel, Expr, Kernel, KernelExt, Properties, Psd};
pub use crate::kernels::{
    Affine, ArcCosine, Brownian, Categorical, Cauchy, Constant, Coregionalization, Cosine, DampedOscillator,
    FractionalBrownian, GammaExponential, Gibbs, GpConvolution, GraphHeat, GraphMatern, IntegratedBrownian,
    InverseMultiquadric, Linear, LocallyPeriodic, LowRankLinear, Matern, Matern12, Matern32, Matern52, Multiquadric,
    NeuralNetwork, Periodic, PiecewisePolynomial, Polynomial, RadialCosine, RadialPeriodic, RandomFourierFeatures,
    RationalQuadratic, Rbf, SpectralMixture, SphereHeat, Tanh, White, WhiteByValue, Zonal,
};
pub use crate::params::{Parameterized, ParameterizedExt};
pub use crate::warp::{Ard, Select, Warped};
pub use crate::{Error, Real, Scalar};
