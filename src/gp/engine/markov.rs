//! Markov processes as an engine.

use std::sync::Arc;

use faer::{Mat, MatRef};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{Engine, Method, Problem, Solution, Solver, Weights};
use crate::engine::markov::{MarkovProcess, NAME, Size, check_times, size, terms};
use crate::gp::recommend::Cost;
use crate::kernel::{Expr, Kernel};
use crate::linalg::cast;
use crate::{DynKernel, Result, Scalar};

#[derive(Debug)]
pub(super) struct Markov;

impl Markov {
    fn size<T: Scalar>(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<Size, String> {
        size(problem.expr(), problem.x.ncols(), problem.tolerance).map_err(|why| why.0)
    }
}

impl<T: Scalar> Method<T> for Markov {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is(&self, engine: Engine) -> bool {
        matches!(engine, Engine::Markov { .. })
    }

    fn cost(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<Cost, String> {
        let Size { states, .. } = self.size(problem)?;
        let (n, j) = (problem.y.len() as f64, states as f64);
        // Five products a step with matrices that are in part blocks, and the leaves.
        let flops = n * (10.0 * j * j * j.min(8.0) + 400.0);
        let bytes = 8.0 * n * (6.0 + (3.0 * j * j + 3.0 * j) / 64.0);
        Ok(Cost::of_engine(flops, bytes))
    }

    fn fits(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<(), String> {
        check_times(problem.x, self.size(problem)?.column).map_err(|error| error.to_string())
    }

    fn is_exact(&self, problem: &Problem<'_, '_, T>) -> bool {
        problem.tolerance.is_none()
    }

    fn solver<'k>(&self, problem: &Problem<'k, '_, T>) -> Result<Option<Box<dyn Solver + 'k>>> {
        let kernel = problem.expr();
        let process = MarkovProcess::new(kernel, problem.x, problem.noise, problem.tolerance)?;
        Ok(Some(Box::new(MarkovSolver { kernel, process })))
    }

    fn solution(
        &self,
        problem: &Problem<'_, '_, T>,
        kernel: &Arc<dyn Kernel<T>>,
        residual: Vec<f64>,
    ) -> Result<Option<Arc<dyn Solution<T>>>> {
        let expr: &dyn Kernel<T> = &**kernel;
        let mut process = MarkovProcess::new(expr, problem.x, problem.noise, problem.tolerance)?;
        process.density(residual, true)?;
        Ok(Some(Arc::new(MarkovSolution::of(kernel.clone(), process))))
    }
}

#[derive(Debug)]
struct MarkovSolver<'a> {
    kernel: &'a dyn Expr,
    process: MarkovProcess,
}

impl Solver for MarkovSolver<'_> {
    fn density(&mut self, residual: Vec<f64>, gradient: bool) -> Result<f64> {
        self.process.density(residual, gradient)
    }

    fn gradient(&self, theta: &mut [f64]) -> Result<Weights> {
        Ok(self.process.gradient(self.kernel, theta))
    }
}

/// A Markov process given observations, or the sum of some of its terms.
#[derive(Clone, Debug)]
pub(in crate::gp) struct MarkovSolution<T: Scalar> {
    kernel: Arc<dyn Kernel<T>>,
    process: Arc<MarkovProcess>,
    wanted: Option<Vec<usize>>,
    /// The variance of white noise among what is asked for.
    white: f64,
}

impl<T: Scalar> MarkovSolution<T> {
    fn of(kernel: Arc<dyn Kernel<T>>, process: MarkovProcess) -> Self {
        let white = process.white();
        Self { kernel, process: process.into(), wanted: None, white }
    }

    /// Of observations at these times.
    fn given(&self, times: Vec<f64>, values: Vec<f64>, noise: Vec<f64>) -> Result<Arc<dyn Solution<T>>> {
        let (expr, tolerance): (&dyn Kernel<T>, _) = (&*self.kernel, self.process.tolerance());
        let mut process = MarkovProcess::at_times(expr, self.process.dim(), times, noise, tolerance)?;
        process.density(values, true)?;
        Ok(Arc::new(Self::of(self.kernel.clone(), process)))
    }

    /// From what a file has.
    #[cfg(feature = "serde")]
    pub(in crate::gp) fn read(from: &mut crate::save::Reader<'_>) -> Result<Arc<dyn Solution<T>>> {
        use crate::save::Numbers;
        let kernel: DynKernel = from.take("kernel")?;
        let (dim, tolerance): (usize, Option<f64>) = (from.take("dim")?, from.take_optional("tolerance")?);
        let Numbers(times) = from.take("times")?;
        let Numbers(values) = from.take("residuals")?;
        let Numbers(noise) = from.take("noise")?;
        if times.is_empty() || values.len() != times.len() || noise.len() != times.len() {
            return Err(from.error("has no observations, or not as many times, residuals and variances of noise"));
        }
        let kernel: Arc<dyn Kernel<T>> = Arc::new(kernel);
        let expr: &dyn Kernel<T> = &*kernel;
        if let Some(row) = times.iter().position(|time| !time.is_finite()) {
            return Err(crate::Error::NonFinite { what: "the times".to_owned(), row, col: 0, value: times[row] });
        }
        let mut process = MarkovProcess::at_times(expr, dim, times, noise, tolerance)?;
        process.density(values, true)?;
        Ok(Arc::new(Self::of(kernel, process)))
    }
}

impl<T: Scalar> Solution<T> for MarkovSolution<T> {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn kernel(&self) -> &Arc<dyn Kernel<T>> {
        &self.kernel
    }

    fn dim(&self) -> usize {
        self.process.dim()
    }

    fn check(&self, x: MatRef<'_, T>) -> Result<()> {
        check_times(x, self.process.column())
    }

    fn moments(&self, x: MatRef<'_, T>) -> Result<[Vec<f64>; 3]> {
        let [mean, mut variance, mut prior] = self.process.moments(x, self.wanted.as_deref());
        if self.white > 0.0 {
            variance.iter_mut().chain(&mut prior).for_each(|variance| *variance += self.white);
        }
        Ok([mean, variance, prior])
    }

    fn covariance(&self, x: MatRef<'_, T>) -> Result<(Mat<T>, Vec<T>)> {
        let (mut covariance, prior) = self.process.covariance(x, self.wanted.as_deref());
        (0..covariance.nrows()).for_each(|row| covariance[(row, row)] += self.white);
        Ok((cast(covariance.as_ref()), prior.iter().map(|&prior| T::from_f64(prior + self.white)).collect()))
    }

    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Option<Result<Mat<f64>>> {
        let deviation = self.white.sqrt();
        let mut values = Mat::zeros(x.nrows(), draws);
        for draw in 0..draws {
            let drawn = match self.process.draw(x, self.wanted.as_deref(), rng) {
                Ok(drawn) => drawn,
                Err(error) => return Some(Err(error)),
            };
            for (value, drawn) in values.col_as_slice_mut(draw).iter_mut().zip(drawn) {
                let noise = if deviation > 0.0 { deviation * rng.sample::<f64, _>(StandardNormal) } else { 0.0 };
                *value = drawn + noise;
            }
        }
        Some(Ok(values))
    }

    fn terms(&self, kernels: &[DynKernel]) -> Result<Vec<Arc<dyn Solution<T>>>> {
        let (dim, tolerance) = (self.process.dim(), self.process.tolerance());
        let mut next = 0;
        let mut found: Vec<Arc<dyn Solution<T>>> = Vec::with_capacity(kernels.len());
        for kernel in kernels {
            let (count, white) = terms(kernel, dim, tolerance)?;
            let kernel: Arc<dyn Kernel<T>> = Arc::new(kernel.clone());
            let wanted = Some((next..next + count).collect());
            found.push(Arc::new(Self { kernel, process: self.process.clone(), wanted, white }));
            next += count;
        }
        Ok(found)
    }

    fn with(&self, x: MatRef<'_, T>, residual: &[f64], noise: &[f64]) -> Result<Arc<dyn Solution<T>>> {
        let [mut times, mut values, mut variances] = self.process.observations();
        times.extend(x.col(self.process.column()).iter().map(|time| time.as_f64()));
        values.extend(residual);
        variances.extend(noise);
        self.given(times, values, variances)
    }

    fn without(&self, stays: &dyn Fn(usize) -> bool) -> Result<Arc<dyn Solution<T>>> {
        let kept = |of: Vec<f64>| of.into_iter().enumerate().filter(|(row, _)| stays(*row)).map(|(_, of)| of).collect();
        let [times, values, noise]: [Vec<f64>; 3] = self.process.observations().map(kept);
        self.given(times, values, noise)
    }

    fn observations(&self) -> usize {
        self.process.observed()
    }

    #[cfg(feature = "serde")]
    fn write(&self, to: &mut crate::save::Writer) -> Result<()> {
        let kernel: &dyn Kernel<T> = &*self.kernel;
        let [times, values, noise] = self.process.observations();
        to.put("kernel", kernel as &dyn Expr)?;
        to.put("dim", &self.process.dim())?;
        to.put_optional("tolerance", self.process.tolerance().as_ref())?;
        to.put("times", times.as_slice())?;
        to.put("residuals", values.as_slice())?;
        to.put("noise", noise.as_slice())
    }
}
