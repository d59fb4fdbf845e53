//! Dense factorisations with one jitter policy, and linear operators that models solve with.

mod axes;
mod checks;
mod cholesky;
mod conjugate_gradients;
mod eigen;
mod jitter;
mod lanczos;
pub mod operator;
pub(crate) mod panels;
mod product;
mod root;
mod semidefinite;
pub(crate) mod series;
mod stacked;
mod storage;
pub(crate) mod toeplitz;

pub use cholesky::Cholesky;
pub(crate) use cholesky::{LEAST_KNOWN_PIVOT, LEAST_PIVOT, factorize, inverse_from_factor};
pub use conjugate_gradients::{ConjugateGradients, Converged};
pub use eigen::Eigendecomposition;
pub use jitter::Jitter;
pub(crate) use lanczos::random_signs;
pub use lanczos::{LogDetEstimate, StochasticLogDet};
#[cfg(feature = "serde")]
pub(crate) use operator::KroneckerParts;
pub use operator::{
    BlockDiagonal, Dense, Diagonal, Kronecker, LowRank, NoisyKronecker, NoisyKroneckerGradient, Operator,
};
pub(crate) use product::product;
pub(crate) use root::Root;
pub(crate) use semidefinite::semidefinite_root;
pub(crate) use stacked::Stacked;
pub use storage::padded;
pub(crate) use storage::{
    cast, cast_column, clear_strict_upper, column, column_mut, mirror_lower, steady, transpose_into,
};
