//! Regular grids as an engine: covariances that depend on the lag alone.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::{Engine, Method, Problem, Solution, Solver, Weights, not_by};
use crate::gp::recommend::Cost;
use crate::kernel::{Expr, GradientRequest, Kernel, cross_into, cross_vjp, diag_into, diag_vjp, gram_into, text};
use crate::linalg::toeplitz::Toeplitz as Inverse;
use crate::{DynKernel, Result, Scalar};

#[derive(Debug)]
pub(super) struct Toeplitz;

impl Toeplitz {
    const NAME: &'static str = "Toeplitz";
}

impl<T: Scalar> Method<T> for Toeplitz {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn is(&self, engine: Engine) -> bool {
        engine == Engine::Toeplitz
    }

    fn examine(&self, problem: &Problem<'_, '_, T>) -> std::result::Result<Cost, String> {
        if let Some(row) = problem.y.iter().position(|y| y.is_nan()) {
            return Err(format!("the observation of row {row} is missing, which leaves a gap in the grid"));
        }
        Grid::of(problem.kernel, problem.x)?;
        one_noise(problem.noise)?;
        let n = problem.y.len() as f64;
        Ok(Cost::of_engine(10.0 * n * n, 100.0 * n))
    }

    fn solver<'k>(&self, problem: &Problem<'k, '_, T>) -> Result<Option<Box<dyn Solver + 'k>>> {
        let (kernel, par) = (problem.kernel, problem.par);
        let grid = Grid::of(kernel, problem.x).map_err(|why| super::refusal(Self::NAME, &why))?;
        let noise = one_noise(problem.noise).map_err(|why| super::refusal(Self::NAME, &why))?;
        let points = grid.sorted(problem.x);
        Ok(Some(Box::new(ToeplitzSolver { kernel, points, order: grid.order, noise, par, inverse: None })))
    }

    fn solution(
        &self,
        problem: &Problem<'_, '_, T>,
        kernel: &Arc<dyn Kernel<T>>,
        residual: Vec<f64>,
    ) -> Result<Option<Arc<dyn Solution<T>>>> {
        let given = Given::new(kernel.clone(), problem.x, &residual, problem.noise, problem.par)
            .map_err(|why| why.into_error())??;
        Ok(Some(Arc::new(ToeplitzSolution { kernel: kernel.clone(), given: given.into() })))
    }
}

/// The one variance of the noise of all observations.
fn one_noise(noise: &[f64]) -> std::result::Result<f64, String> {
    let first = noise.first().copied().unwrap_or(0.0);
    match noise.iter().position(|&noise| noise != first) {
        None => Ok(first),
        Some(row) => Err(format!("the noise of row {row} is not that of row 0: a Toeplitz matrix has one diagonal")),
    }
}

/// The order of points that are a regular grid in one column.
struct Grid {
    order: Vec<usize>,
}

impl Grid {
    /// Why a kernel, or points, are not of that kind.
    fn of<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> std::result::Result<Self, String> {
        if !kernel.properties().stationary {
            return Err(format!("`{}` is not stationary", text(unlike(kernel))));
        }
        let inputs = kernel.inputs(x.ncols()).map_err(|error| error.to_string())?;
        let read: Vec<usize> =
            inputs.reads().iter().enumerate().filter(|(_, read)| **read).map(|(col, _)| col).collect();
        let column = match *read {
            [] => 0,
            [column] => column,
            _ => return Err(format!("`{}` reads {} columns of the inputs", text(kernel), read.len())),
        };
        let time = |row: usize| x[(row, column)].as_f64();
        let mut order: Vec<usize> = (0..x.nrows()).collect();
        if let Some(&row) = order.iter().find(|&&row| !time(row).is_finite()) {
            return Err(format!("the input of row {row} in column {column} is {}", time(row)));
        }
        order.sort_by(|&a, &b| time(a).total_cmp(&time(b)));
        if let Some(pair) = order.windows(2).find(|pair| time(pair[0]) == time(pair[1])) {
            return Err(format!("row {} has the place of row {}: a grid has none twice", pair[1], pair[0]));
        }
        let (first, last) = (time(order[0]), time(order[order.len() - 1]));
        let step = (last - first) / (order.len() as f64 - 1.0).max(1.0);
        // Where coordinates are rounded, distances are off; by so little that no result is.
        let unit = if size_of::<T>() == 8 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let most = (4.0 * unit * first.abs().max(last.abs())).min(1e6 * unit * step);
        for (place, &row) in order.iter().enumerate() {
            let off = time(row) - (first + step * place as f64);
            if off.abs() > most {
                let at = first + step * place as f64;
                return Err(format!("the points are no regular grid: row {row} is at {} and not at {at}", time(row)));
            }
        }
        Ok(Self { order })
    }

    fn sorted<T: Scalar>(&self, x: MatRef<'_, T>) -> Mat<T> {
        Mat::from_fn(x.nrows(), x.ncols(), |row, col| x[(self.order[row], col)])
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
    order: Vec<usize>,
    noise: f64,
    par: Par,
    inverse: Option<Inverse>,
}

impl<T: Scalar> Solver for ToeplitzSolver<'_, T> {
    fn density(&mut self, residual: Vec<f64>, _: bool) -> Result<f64> {
        let values: Vec<f64> = self.order.iter().map(|&row| residual[row]).collect();
        let (inverse, _) = inverse(self.kernel, self.points.as_ref(), self.noise, &values, self.par)?;
        let constant = values.len() as f64 * std::f64::consts::TAU.ln();
        let density = -0.5 * (inverse.quadratic() + inverse.log_det() + constant);
        self.inverse = Some(inverse);
        Ok(density)
    }

    fn gradient(&self, theta: &mut [f64]) -> Result<Weights> {
        let n = self.order.len();
        let Some(inverse) = &self.inverse else {
            return Ok(Weights { solved: vec![0.0; n], precisions: vec![0.0; n] });
        };
        let by_lag = inverse.log_density_weights();
        let (points, wanted) = (self.points.as_ref(), GradientRequest::PARAMETERS);
        let first = points.subrows(0, 1);
        let cotangent = Mat::from_fn(n - 1, 1, |row, _| T::from_f64(by_lag[row + 1]));
        let others = cross_vjp(self.kernel, points.subrows(1, n - 1), first, cotangent.as_ref(), wanted, self.par);
        let own = diag_vjp(self.kernel, first, &[T::from_f64(by_lag[0])], wanted)?;
        theta.iter_mut().zip(&own.theta).for_each(|(theta, own)| *theta += own);
        if n > 1 {
            theta.iter_mut().zip(&others?.theta).for_each(|(theta, other)| *theta += other);
        }
        let given = |of: &[f64]| {
            let mut given = vec![0.0; n];
            self.order.iter().zip(of).for_each(|(&row, &of)| given[row] = of);
            given
        };
        Ok(Weights { solved: given(inverse.solution()), precisions: given(&inverse.inverse_diagonal()) })
    }
}

/// Observations on a grid.
#[derive(Debug)]
struct Given<T: Scalar> {
    kernel: Arc<dyn Kernel<T>>,
    /// In the order of the grid, and where each was given.
    points: Mat<T>,
    order: Vec<usize>,
    values: Vec<f64>,
    noise: f64,
    white: f64,
    inverse: Inverse,
    precisions: Vec<f64>,
    par: Par,
}

/// Why points are no grid.
struct NoGrid(String);

impl NoGrid {
    fn into_error(self) -> crate::Error {
        super::refusal(Toeplitz::NAME, &self.0)
    }
}

impl<T: Scalar> Given<T> {
    fn new(
        kernel: Arc<dyn Kernel<T>>,
        x: MatRef<'_, T>,
        residual: &[f64],
        noise: &[f64],
        par: Par,
    ) -> std::result::Result<Result<Self>, NoGrid> {
        let grid = Grid::of(&*kernel, x).map_err(NoGrid)?;
        if let Some(row) = residual.iter().position(|value| value.is_nan()) {
            return Err(NoGrid(format!("the observation of row {row} is missing")));
        }
        let noise = one_noise(noise).map_err(NoGrid)?;
        let (points, values) = (grid.sorted(x), grid.order.iter().map(|&row| residual[row]).collect::<Vec<_>>());
        Ok(inverse(&*kernel, points.as_ref(), noise, &values, par).map(|(inverse, white)| {
            let precisions = inverse.inverse_diagonal();
            Self { kernel, points, order: grid.order, values, noise, white, inverse, precisions, par }
        }))
    }

    /// The inputs, values and noise of the rows that stay, as they were given, with more after them.
    fn changed(
        &self,
        stays: &dyn Fn(usize) -> bool,
        (x, residual, noise): (MatRef<'_, T>, &[f64], &[f64]),
    ) -> Result<Self> {
        let n = self.order.len();
        let mut place = vec![0; n];
        self.order.iter().enumerate().for_each(|(at, &row)| place[row] = at);
        let kept: Vec<usize> = (0..n).filter(|&row| stays(row)).map(|row| place[row]).collect();
        let points = Mat::from_fn(kept.len() + x.nrows(), self.points.ncols(), |row, col| match kept.get(row) {
            Some(&at) => self.points[(at, col)],
            None => x[(row - kept.len(), col)],
        });
        let values: Vec<f64> = kept.iter().map(|&at| self.values[at]).chain(residual.iter().copied()).collect();
        let noise: Vec<f64> = kept.iter().map(|_| self.noise).chain(noise.iter().copied()).collect();
        let why = |NoGrid(why)| not_by(Toeplitz::NAME, &format!("updates to points that are no grid ({why})"));
        Self::new(self.kernel.clone(), points.as_ref(), &values, &noise, self.par).map_err(why)?
    }

    /// The place of a point of the grid, if it is one.
    fn place(&self, x: MatRef<'_, T>, row: usize) -> Option<usize> {
        let key =
            |at: MatRef<'_, T>, row: usize| (0..at.ncols()).map(|col| at[(row, col)].as_f64()).collect::<Vec<_>>();
        let (wanted, points) = (key(x, row), self.points.as_ref());
        let column = (0..points.ncols()).find(|&col| points[(0, col)] != points[(points.nrows() - 1, col)])?;
        let time = |at: usize| points[(at, column)].as_f64();
        let found = (0..points.nrows()).collect::<Vec<_>>().partition_point(|&at| time(at) < wanted[column]);
        (found < points.nrows() && key(points, found) == wanted).then_some(found)
    }
}

/// So many columns of the inverse are taken at a time.
const CHUNK: usize = 64;

/// A function given observations on a grid, or a term of it.
#[derive(Clone, Debug)]
pub(super) struct ToeplitzSolution<T: Scalar> {
    kernel: Arc<dyn Kernel<T>>,
    given: Arc<Given<T>>,
}

impl<T: Scalar> ToeplitzSolution<T> {
    /// K(X, x) and T⁻¹K(X, x).
    fn projected(&self, x: MatRef<'_, T>) -> Result<[Mat<f64>; 2]> {
        let Given { points, inverse, par, .. } = &*self.given;
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
        let given = Given::new(kernel.clone(), points.as_ref(), &values, &noise, Par::rayon(0));
        Ok(Arc::new(Self { kernel, given: given.map_err(NoGrid::into_error)??.into() }))
    }
}

impl<T: Scalar> Solution<T> for ToeplitzSolution<T> {
    fn engine(&self) -> &'static str {
        Toeplitz::NAME
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
        let Given { kernel, values, noise, white, inverse, precisions, .. } = &*self.given;
        let whole = Arc::ptr_eq(kernel, &self.kernel);
        let mut others = Vec::new();
        for row in 0..n {
            match if whole { self.given.place(x, row) } else { None } {
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
        let given = self.given.changed(&|_| true, (x, residual, noise))?;
        Ok(Arc::new(Self { kernel: self.kernel.clone(), given: given.into() }))
    }

    fn without(&self, stays: &dyn Fn(usize) -> bool) -> Result<Arc<dyn Solution<T>>> {
        let nothing = self.given.points.as_ref().subrows(0, 0);
        let given = self.given.changed(stays, (nothing, &[], &[]))?;
        Ok(Arc::new(Self { kernel: self.kernel.clone(), given: given.into() }))
    }

    fn observations(&self) -> usize {
        self.given.order.len()
    }

    #[cfg(feature = "serde")]
    fn write(&self, to: &mut crate::save::Writer) -> Result<()> {
        let kernel: &dyn Kernel<T> = &*self.kernel;
        let Given { points, order, values, noise, .. } = &*self.given;
        // As they were given.
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, &row)| place[row] = at);
        let residuals: Vec<f64> = place.iter().map(|&at| values[at]).collect();
        to.put("kernel", kernel as &dyn Expr)?;
        to.put("points", &Mat::from_fn(points.nrows(), points.ncols(), |row, col| points[(place[row], col)]))?;
        to.put("residuals", residuals.as_slice())?;
        to.put("noise", noise)
    }
}
