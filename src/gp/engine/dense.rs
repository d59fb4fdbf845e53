//! Cholesky factors of n × n matrices, which the model itself works with.

use std::sync::Arc;

use super::{Engine, Method, Problem, Solution, Solver};
use crate::gp::recommend::Cost;
use crate::kernel::Kernel;
use crate::{Result, Scalar};

#[derive(Debug)]
pub(super) struct Dense;

impl<T: Scalar> Method<T> for Dense {
    fn name(&self) -> &'static str {
        "Dense"
    }

    fn is(&self, engine: Engine) -> bool {
        engine == Engine::Dense
    }

    // A factor, an inverse and what the kernel takes.
    fn cost(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<Cost, String> {
        let n = problem.y.len() as f64;
        Ok(Cost::of_engine(n * n * n + 50.0 * n * n, 3.0 * n * n * size_of::<T>() as f64))
    }

    fn fits(&self, _: &Problem<'_, '_, T>) -> std::result::Result<(), String> {
        Ok(())
    }

    fn solver<'k>(&self, _: &Problem<'k, '_, T>) -> Result<Option<Box<dyn Solver + 'k>>> {
        Ok(None)
    }

    fn solution(
        &self,
        _: &Problem<'_, '_, T>,
        _: &Arc<dyn Kernel<T>>,
        _: Vec<f64>,
    ) -> Result<Option<Arc<dyn Solution<T>>>> {
        Ok(None)
    }
}
