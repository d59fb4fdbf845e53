//! Regular grids as an engine: covariances that depend on the lag alone.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::{Engine, Method, Problem, Solution, Solver, Weights, not_by};
use crate::engine::{Order, refusal};
use crate::gp::recommend::Cost;
use crate::kernel::{Expr, GradientRequest, Kernel, cross_into, cross_vjp, diag_into, diag_vjp, gram_into, text};
use crate::linalg::toeplitz::Toeplitz as Inverse;
use crate::{DynKernel, Result, Scalar};

/// The name of the engine.
const NAME: &str = "Toeplitz";

#[derive(Debug)]
pub(super) struct Toeplitz;

impl<T: Scalar> Method<T> for Toeplitz {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is(&self, engine: Engine) -> bool {
        engine == Engine::Toeplitz
    }

    fn cost(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<Cost, String> {
        column_of(problem.kernel, problem.x.ncols())?;
        let n = problem.y.len() as f64;
        Ok(Cost::of_engine(10.0 * n * n, 100.0 * n))
    }

    fn fits(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<(), String> {
        let missing = problem.y.iter().position(|y| y.is_nan());
        Grid::fitting(problem.kernel, problem.x, missing, problem.noise).map(|_| ())
    }

    fn solver<'k>(&self, problem: &Problem<'k, '_, T>) -> Result<Option<Box<dyn Solver + 'k>>> {
        let (kernel, par) = (problem.kernel, problem.par);
        let (grid, noise) = Grid::fitting(kernel, problem.x, None, problem.noise).map_err(|why| refusal(NAME, &why))?;
        let points = grid.sorted(problem.x);
        Ok(Some(Box::new(ToeplitzSolver { kernel, points, grid, noise, par, inverse: None })))
    }

    fn solution(
        &self,
        problem: &Problem<'_, '_, T>,
        kernel: &Arc<dyn Kernel<T>>,
        residual: Vec<f64>,
    ) -> Result<Option<Arc<dyn Solution<T>>>> {
        let Problem { x, noise, par, .. } = *problem;
        let grid = Grid::fitting(&**kernel, x, None, noise).map_err(|why| refusal(NAME, &why))?;
        Ok(Some(ToeplitzSolution::of(OnGrid::new(kernel.clone(), grid, x, residual, par)?)))
    }
}

/// The column that a stationary kernel reads.
fn column_of<T: Scalar>(kernel: &dyn Kernel<T>, dim: usize) -> std::result::Result<usize, String> {
    if !kernel.properties().stationary {
        return Err(format!("`{}` is not stationary", text(unlike(kernel))));
    }
    let reads = kernel.inputs(dim).map_err(|error| error.to_string())?.reads();
    let read: Vec<usize> = (0..dim).filter(|&column| reads[column]).collect();
    match *read {
        [] => Ok(0),
        [column] => Ok(column),
        _ => Err(format!("`{}` reads {} columns of the inputs", text(kernel), read.len())),
    }
}

/// Points at equal distances in one column, in this order.
#[derive(Debug)]
struct Grid {
    order: Order,
    column: usize,
    first: f64,
    step: f64,
}

impl Grid {
    /// That of points, and the one variance of the noise, for a kernel that is stationary in one column and observations of
    /// which none is missing; or what is in the way.
    fn fitting<T: Scalar>(
        kernel: &dyn Kernel<T>,
        x: MatRef<'_, T>,
        missing: Option<usize>,
        noise: &[f64],
    ) -> std::result::Result<(Self, f64), String> {
        let column = column_of(kernel, x.ncols())?;
        if let Some(row) = missing {
            return Err(format!("the observation of row {row} is missing, which leaves a gap in the grid"));
        }
        let first = noise.first().copied().unwrap_or(0.0);
        if let Some(row) = noise.iter().position(|&noise| noise != first) {
            return Err(format!("the noise of row {row} is not that of row 0: a Toeplitz matrix has one diagonal"));
        }
        Ok((Self::of(x, column)?, first))
    }

    fn of<T: Scalar>(x: MatRef<'_, T>, column: usize) -> std::result::Result<Self, String> {
        let given: Vec<f64> = x.col(column).iter().map(|time| time.as_f64()).collect();
        if let Some(row) = given.iter().position(|time| !time.is_finite()) {
            return Err(format!("the input of row {row} in column {column} is {}", given[row]));
        }
        let order = Order::of(&given);
        let times = order.sorted(given);
        if let Some(at) = (1..times.len()).find(|&at| times[at - 1] == times[at]) {
            let [before, row] = [at - 1, at].map(|at| order.place(at));
            return Err(format!("row {row} has the place of row {before}: a grid has none twice"));
        }
        let (first, last) = (times[0], times[times.len() - 1]);
        let step = (last - first) / (times.len() as f64 - 1.0).max(1.0);
        // Where coordinates are rounded, distances are off; by so little that no result is.
        let unit = if size_of::<T>() == 8 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let most = (4.0 * unit * first.abs().max(last.abs())).min(1e6 * unit * step);
        for (place, time) in times.iter().enumerate() {
            let at = first + step * place as f64;
            if (time - at).abs() > most {
                let row = order.place(place);
                return Err(format!("the points are no regular grid: row {row} is at {time} and not at {at}"));
            }
        }
        Ok(Self { order, column, first, step })
    }

    fn sorted<T: Scalar>(&self, x: MatRef<'_, T>) -> Mat<T> {
        Mat::from_fn(x.nrows(), x.ncols(), |row, col| x[(self.order.place(row), col)])
    }

    /// The place of a point among those of the grid, in order, if it is one of them.
    fn place<T: Scalar>(&self, points: MatRef<'_, T>, x: MatRef<'_, T>, row: usize) -> Option<usize> {
        let steps = (x[(row, self.column)].as_f64() - self.first) / self.step.max(f64::MIN_POSITIVE);
        let place = steps.round().clamp(0.0, points.nrows() as f64 - 1.0) as usize;
        (x[(row, self.column)] == points[(place, self.column)]).then_some(place)
    }
}

/// The smallest part of a kernel that keeps it from being stationary.
fn unlike(kernel: &dyn Expr) -> &dyn Expr {
    match kernel.children().into_iter().find(|child| !child.properties().stationary) {
        Some(child) => unlike(child),
        None => kernel,
    }
}

/// k at each lag, with that of a point and itself apart, which has the white noise of a Gram matrix.
fn by_lag<T: Scalar>(kernel: &dyn Kernel<T>, points: MatRef<'_, T>, par: Par) -> Result<(Vec<f64>, f64)> {
    let mut lags = Mat::zeros(points.nrows(), 1);
    cross_into(kernel, points, points.subrows(0, 1), lags.as_mut(), par)?;
    let mut own = [T::from_f64(0.0)];
    diag_into(kernel, points.subrows(0, 1), &mut own)?;
    Ok((lags.col_as_slice(0).iter().map(|lag| lag.as_f64()).collect(), own[0].as_f64()))
}

fn inverse<T: Scalar>(
    kernel: &dyn Kernel<T>,
    points: MatRef<'_, T>,
    noise: f64,
    values: &[f64],
    par: Par,
) -> Result<(Inverse, f64)> {
    let (mut column, own) = by_lag(kernel, points, par)?;
    let white = own - column[0];
    column[0] = own + noise;
    Ok((Inverse::factor(&column, values)?, white))
}

#[derive(Debug)]
struct ToeplitzSolver<'k, T: Scalar> {
    kernel: &'k dyn Kernel<T>,
    points: Mat<T>,
    grid: Grid,
    noise: f64,
    par: Par,
    inverse: Option<Inverse>,
}

impl<T: Scalar> Solver for ToeplitzSolver<'_, T> {
    fn density(&mut self, residual: Vec<f64>, _: bool) -> Result<f64> {
        let values = self.grid.order.sorted(residual);
        let (inverse, _) = inverse(self.kernel, self.points.as_ref(), self.noise, &values, self.par)?;
        let constant = values.len() as f64 * std::f64::consts::TAU.ln();
        let density = -0.5 * (inverse.quadratic() + inverse.log_det() + constant);
        self.inverse = Some(inverse);
        Ok(density)
    }

    fn gradient(&self, theta: &mut [f64]) -> Result<Weights> {
        let n = self.points.nrows();
        let Some(inverse) = &self.inverse else {
            return Ok(Weights { solved: vec![0.0; n], precisions: vec![0.0; n] });
        };
        let by_lag = inverse.log_density_weights();
        let (points, wanted) = (self.points.as_ref(), GradientRequest::PARAMETERS);
        let first = points.subrows(0, 1);
        let mut add = |of: Vec<f64>| theta.iter_mut().zip(of).for_each(|(theta, of)| *theta += of);
        add(diag_vjp(self.kernel, first, &[T::from_f64(by_lag[0])], wanted)?.theta);
        if n > 1 {
            let cotangent = Mat::from_fn(n - 1, 1, |row, _| T::from_f64(by_lag[row + 1]));
            let others = points.subrows(1, n - 1);
            add(cross_vjp(self.kernel, others, first, cotangent.as_ref(), wanted, self.par)?.theta);
        }
        let order = &self.grid.order;
        let solved = order.given(inverse.solution().to_vec());
        Ok(Weights { solved, precisions: order.given(inverse.inverse_diagonal()) })
    }
}

/// Observations on a grid.
#[derive(Debug)]
struct OnGrid<T: Scalar> {
    kernel: Arc<dyn Kernel<T>>,
    grid: Grid,
    /// In the order of the grid.
    points: Mat<T>,
    values: Vec<f64>,
    noise: f64,
    white: f64,
    inverse: Inverse,
    precisions: Vec<f64>,
    par: Par,
}

impl<T: Scalar> OnGrid<T> {
    fn new(
        kernel: Arc<dyn Kernel<T>>,
        (grid, noise): (Grid, f64),
        x: MatRef<'_, T>,
        residual: Vec<f64>,
        par: Par,
    ) -> Result<Self> {
        let (points, values) = (grid.sorted(x), grid.order.sorted(residual));
        let (inverse, white) = inverse(&*kernel, points.as_ref(), noise, &values, par)?;
        let precisions = inverse.inverse_diagonal();
        Ok(Self { kernel, grid, points, values, noise, white, inverse, precisions, par })
    }

    /// Given the rows that stay, in the order in which they were given, and more after them.
    fn changed(
        &self,
        stays: &dyn Fn(usize) -> bool,
        (x, residual, noise): (MatRef<'_, T>, &[f64], &[f64]),
    ) -> Result<Arc<dyn Solution<T>>> {
        let places = self.grid.order.places(self.points.nrows());
        let kept: Vec<usize> =
            places.into_iter().enumerate().filter(|(row, _)| stays(*row)).map(|(_, at)| at).collect();
        let points = Mat::from_fn(kept.len() + x.nrows(), self.points.ncols(), |row, col| match kept.get(row) {
            Some(&at) => self.points[(at, col)],
            None => x[(row - kept.len(), col)],
        });
        let values: Vec<f64> = kept.iter().map(|&at| self.values[at]).chain(residual.iter().copied()).collect();
        let noise: Vec<f64> = kept.iter().map(|_| self.noise).chain(noise.iter().copied()).collect();
        let missing = values.iter().position(|value| value.is_nan());
        let grid = Grid::fitting(&*self.kernel, points.as_ref(), missing, &noise)
            .map_err(|why| not_by(NAME, &format!("updates to points that are no grid ({why})")))?;
        Ok(ToeplitzSolution::of(Self::new(self.kernel.clone(), grid, points.as_ref(), values, self.par)?))
    }
}

/// So many columns of the inverse are taken at a time.
const CHUNK: usize = 64;

/// A function given observations on a grid, or a term of it.
#[derive(Clone, Debug)]
pub(super) struct ToeplitzSolution<T: Scalar> {
    kernel: Arc<dyn Kernel<T>>,
    given: Arc<OnGrid<T>>,
}

impl<T: Scalar> ToeplitzSolution<T> {
    fn of(given: OnGrid<T>) -> Arc<dyn Solution<T>> {
        Arc::new(Self { kernel: given.kernel.clone(), given: given.into() })
    }

    /// K(X, x) and T⁻¹K(X, x).
    fn projected(&self, x: MatRef<'_, T>) -> Result<[Mat<f64>; 2]> {
        let OnGrid { points, inverse, par, .. } = &*self.given;
        let mut cross = Mat::zeros(points.nrows(), x.nrows());
        cross_into(&*self.kernel, points.as_ref(), x, cross.as_mut(), *par)?;
        let cross = Mat::from_fn(cross.nrows(), cross.ncols(), |row, col| cross[(row, col)].as_f64());
        let mut solved = cross.clone();
        inverse.solve_in_place(solved.as_mut(), *par)?;
        Ok([cross, solved])
    }

    #[cfg(feature = "serde")]
    pub(super) fn read(from: &mut crate::save::Reader<'_>) -> Result<Arc<dyn Solution<T>>> {
        use crate::save::Numbers;
        let kernel: DynKernel = from.take("kernel")?;
        let points: Mat<T> = from.take("points")?;
        let Numbers(values) = from.take("residuals")?;
        let noise: f64 = from.take("noise")?;
        if values.is_empty() || values.len() != points.nrows() {
            return Err(from.error("has no observations, or not as many points as residuals"));
        }
        let kernel: Arc<dyn Kernel<T>> = Arc::new(kernel);
        let noise = vec![noise; values.len()];
        let missing = values.iter().position(|value| value.is_nan());
        let grid = Grid::fitting(&*kernel, points.as_ref(), missing, &noise).map_err(|why| refusal(NAME, &why))?;
        Ok(Self::of(OnGrid::new(kernel, grid, points.as_ref(), values, Par::rayon(0))?))
    }
}

impl<T: Scalar> Solution<T> for ToeplitzSolution<T> {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn kernel(&self) -> &Arc<dyn Kernel<T>> {
        &self.kernel
    }

    fn dim(&self) -> usize {
        self.given.points.ncols()
    }

    fn check(&self, _: MatRef<'_, T>) -> Result<()> {
        Ok(())
    }

    fn moments(&self, x: MatRef<'_, T>) -> Result<[Vec<f64>; 3]> {
        let n = x.nrows();
        let mut prior = vec![T::from_f64(0.0); n];
        diag_into(&*self.kernel, x, &mut prior)?;
        let prior: Vec<f64> = prior.iter().map(|prior| prior.as_f64()).collect();
        let (mut mean, mut variance) = (vec![0.0; n], prior.clone());
        let OnGrid { kernel, grid, points, values, noise, white, inverse, precisions, .. } = &*self.given;
        let whole = Arc::ptr_eq(kernel, &self.kernel);
        let mut others = Vec::new();
        for row in 0..n {
            match if whole { grid.place(points.as_ref(), x, row) } else { None } {
                // K T⁻¹y = y − R T⁻¹y and K − K T⁻¹K = R − R² T⁻¹, for the R = T − K that is noise.
                Some(place) => {
                    let all = noise + white;
                    mean[row] = values[place] - all * inverse.solution()[place];
                    variance[row] = all - all * all * precisions[place] + white;
                }
                None => others.push(row),
            }
        }
        for rows in others.chunks(CHUNK) {
            let points = Mat::from_fn(rows.len(), x.ncols(), |row, col| x[(rows[row], col)]);
            let [cross, solved] = self.projected(points.as_ref())?;
            for (col, &row) in rows.iter().enumerate() {
                let (k, solved) = (cross.col_as_slice(col), solved.col_as_slice(col));
                mean[row] = crate::simd::dot(k, inverse.solution());
                variance[row] -= crate::simd::dot(k, solved);
            }
        }
        Ok([mean, variance, prior])
    }

    fn covariance(&self, x: MatRef<'_, T>) -> Result<(Mat<T>, Vec<T>)> {
        let mut covariance = Mat::zeros(x.nrows(), x.nrows());
        gram_into(&*self.kernel, x, covariance.as_mut(), self.given.par)?;
        let prior = (0..x.nrows()).map(|row| covariance[(row, row)]).collect();
        let [cross, solved] = self.projected(x)?;
        for col in 0..x.nrows() {
            for row in 0..=col {
                let explained = T::from_f64(crate::simd::dot(cross.col_as_slice(row), solved.col_as_slice(col)));
                covariance[(row, col)] -= explained;
                covariance[(col, row)] = covariance[(row, col)];
            }
        }
        Ok((covariance, prior))
    }

    fn terms(&self, kernels: &[DynKernel]) -> Result<Vec<Arc<dyn Solution<T>>>> {
        let term = |kernel: &DynKernel| {
            Arc::new(Self { kernel: Arc::new(kernel.clone()), given: self.given.clone() }) as Arc<dyn Solution<T>>
        };
        Ok(kernels.iter().map(term).collect())
    }

    fn with(&self, x: MatRef<'_, T>, residual: &[f64], noise: &[f64]) -> Result<Arc<dyn Solution<T>>> {
        self.given.changed(&|_| true, (x, residual, noise))
    }

    fn without(&self, stays: &dyn Fn(usize) -> bool) -> Result<Arc<dyn Solution<T>>> {
        let nothing = self.given.points.as_ref().subrows(0, 0);
        self.given.changed(stays, (nothing, &[], &[]))
    }

    fn observations(&self) -> usize {
        self.given.points.nrows()
    }

    #[cfg(feature = "serde")]
    fn write(&self, to: &mut crate::save::Writer) -> Result<()> {
        let kernel: &dyn Kernel<T> = &*self.kernel;
        let OnGrid { points, grid, values, noise, .. } = &*self.given;
        // As they were given.
        let place = grid.order.places(points.nrows());
        let residuals = grid.order.given(values.clone());
        to.put("kernel", kernel as &dyn Expr)?;
        to.put("points", &Mat::from_fn(points.nrows(), points.ncols(), |row, col| points[(place[row], col)]))?;
        to.put("residuals", residuals.as_slice())?;
        to.put("noise", noise)
    }
}
