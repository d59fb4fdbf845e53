//! A function given observations, by an engine that is not that of dense matrices.

use std::fmt::Debug;
use std::sync::Arc;

use faer::{Mat, MatRef};
use rand::Rng;

use crate::kernel::Kernel;
use crate::{DynKernel, Error, Result, Scalar};

/// A function of mean 0 given observations of it. In place of the factor that dense matrices have, an engine keeps what it takes.
pub(in crate::gp) trait Solution<T: Scalar>: Debug + Send + Sync {
    /// The name of the engine.
    fn engine(&self) -> &'static str;

    /// The kernel.
    fn kernel(&self) -> &Arc<dyn Kernel<T>>;

    /// How many columns the inputs have.
    fn dim(&self) -> usize;

    /// Refuses inputs that nothing is known at.
    fn check(&self, x: MatRef<'_, T>) -> Result<()>;

    /// The mean and the variance at each point, and the variance a priori.
    fn moments(&self, x: MatRef<'_, T>) -> Result<[Vec<f64>; 3]>;

    /// The covariance of all pairs of points, and the variances a priori.
    fn covariance(&self, x: MatRef<'_, T>) -> Result<(Mat<T>, Vec<T>)>;

    /// Draws at many points, one in a column, without the mean; `None` where there is no quicker way than by their covariance.
    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Option<Result<Mat<f64>>> {
        let _ = (x, draws, rng);
        None
    }

    /// The terms of a kernel that is a sum, each as a function given the same observations.
    fn terms(&self, kernels: &[DynKernel]) -> Result<Vec<Arc<dyn Solution<T>>>>;

    /// Given more observations too: their inputs, what the mean leaves of them, and the variance of their noise.
    fn with(&self, x: MatRef<'_, T>, residual: &[f64], noise: &[f64]) -> Result<Arc<dyn Solution<T>>>;

    /// Given only the observations that stay.
    fn without(&self, stays: &dyn Fn(usize) -> bool) -> Result<Arc<dyn Solution<T>>>;

    /// How many observations there are.
    fn observations(&self) -> usize;

    /// What a file keeps of it.
    #[cfg(feature = "serde")]
    fn write(&self, to: &mut crate::save::Writer) -> Result<()>;
}

/// The error for what an engine does not do.
pub(in crate::gp) fn not_by(engine: &str, what: &str) -> Error {
    let expected = format!("does not give {what}: condition a model `with_engine(Engine::Dense)`");
    Error::setting("the engine of the posterior", engine, &expected)
}
