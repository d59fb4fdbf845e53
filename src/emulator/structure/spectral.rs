//! Eigendecompositions: one correlation that components share, on any points or on a grid.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef};

use super::form::{check_product, refused, variances};
use super::grid::Grid;
use super::{Cotangents, Covariance, Problem, Structure, is_diagonal};
use crate::linalg::{Jitter, NoisyKronecker, Operator, column, steady};
use crate::{Error, Result};

/// How far a kernel may be from what its expression says, relative to its variance.
const ROUNDING: f64 = 1e-10;

/// V as one N ⊗ I + diag(v) ⊗ R, or, for diagonal N, as one of a single component each, with R = R₁ ⊗ … ⊗ R_d on a
/// grid.
#[derive(Debug)]
pub(super) struct Spectral {
    problem: Problem,
    structure: Structure,
    grid: Grid,
    parts: Vec<Part>,
}

/// Components that are solved for together.
#[derive(Debug)]
struct Part {
    components: Range<usize>,
    /// v
    variances: Vec<f64>,
    /// The indices of the point at which R is 1.
    reference: Vec<usize>,
    operator: NoisyKronecker<f64>,
    /// What was added to the diagonal of N.
    jitter: f64,
}

impl Spectral {
    /// For kernels that are multiples of one.
    pub(super) fn shared(problem: Problem) -> Result<Self> {
        let grid = Grid::single(problem.spectra());
        let part = Part::new(&problem, &grid, 0..problem.components())?;
        Ok(Self { problem, structure: Structure::SharedCorrelation, grid, parts: vec![part] })
    }

    /// For parameters on a grid, and kernels that are products of kernels of one parameter, and multiples of one unless
    /// N is diagonal.
    pub(super) fn grid(problem: Problem) -> Result<Self> {
        let grid = Grid::detect(problem.theta())?;
        let varying = grid.varying(problem.theta().ncols());
        problem.kernels.iter().try_for_each(|kernel| check_product(&**kernel, &varying))?;
        let m = problem.components();
        let size = if is_diagonal(problem.noise.as_ref()) { 1 } else { m };
        let groups = (0..m).step_by(size).map(|first| first..first + size);
        let parts = groups.map(|group| Part::new(&problem, &grid, group)).collect::<Result<_>>()?;
        Ok(Self { problem, structure: Structure::Grid, grid, parts })
    }

    /// The columns of a part, in the order of the grid, below each other.
    fn stacked(&self, part: &Part, b: MatRef<'_, f64>) -> Mat<f64> {
        let b = self.grid.ordered(b.subcols(part.components.start, part.components.len()));
        let rows = b.nrows();
        Mat::from_fn(rows * b.ncols(), 1, |at, _| b[(at % rows, at / rows)])
    }

    /// The gradient in the parameters of kernel i, with Vᵀaᵢ and the diagonal of Vᵀ(V⁻¹)ᵢᵢV.
    ///
    /// Kernel i is s₁₋ₙ times the product of its values along n axes through the reference, where it is s; that s has its
    /// own part in the gradient.
    fn kernel_gradient(&self, part: &Part, component: usize, rotated: &[f64], inverse: &[f64]) -> Result<Vec<f64>> {
        let problem = &self.problem;
        let axes = self.grid.sizes().len();
        let mut gradient = Vec::new();
        for axis in 0..axes {
            let mut cotangent = part.operator.in_axis(axis, rotated, inverse, problem.par);
            if axis == 0 && axes > 1 {
                let terms = part.operator.correlation_spectrum().into_iter().zip(rotated.iter().zip(inverse));
                let in_scale: f64 = terms.map(|(value, (a, inverse))| 0.5 * value * (a * a - inverse)).sum();
                let at = part.reference[0];
                cotangent[(at, at)] -= (axes - 1) as f64 * in_scale;
            }
            let line = self.grid.line(problem.theta(), &part.reference, axis);
            let theta = problem.pull_back_at(component, line.as_ref(), cotangent.as_ref(), problem.par)?;
            gradient.resize(theta.len(), 0.0);
            gradient.iter_mut().zip(theta).for_each(|(sum, value)| *sum += value);
        }
        Ok(gradient)
    }

    /// VᵀR(θ, θ*) of a part.
    fn rotated_cross(&self, part: &Part, cross: &[Mat<f64>]) -> Result<Mat<f64>> {
        let base = part.base();
        let k = self.grid.ordered(cross[part.components.start + base].as_ref());
        let inverse = 1.0 / part.variances[base];
        part.operator.rotate_points((k * faer::Scale(inverse)).as_ref(), self.problem.par)
    }
}

impl Part {
    fn new(problem: &Problem, grid: &Grid, components: Range<usize>) -> Result<Self> {
        let kernels = &problem.kernels[components.clone()];
        let relative = variances(kernels)?;
        let base = largest(&relative);
        let kernel = components.start + base;
        let prior = grid.ordered(MatRef::from_column_major_slice(
            &problem.variances(kernel, problem.theta())?,
            problem.spectra(),
            1,
        ));
        let at = largest(column(prior.as_ref(), 0));
        let scale = prior[(at, 0)];
        if !(scale > 0.0 && relative[base] > 0.0) {
            let name = if grid.sizes().len() > 1 { "grid" } else { "shared correlation" };
            return Err(refused(name, "all variances are 0"));
        }
        let reference = grid.indices(at);
        let axis = |axis| {
            let line = grid.line(problem.theta(), &reference, axis);
            Ok(problem.gram_at(kernel, line.as_ref())? * faer::Scale(1.0 / scale))
        };
        let axes: Vec<Mat<f64>> = (0..grid.sizes().len()).map(axis).collect::<Result<_>>()?;
        let variances: Vec<f64> = relative.iter().map(|value| scale * value / relative[base]).collect();

        let (first, m) = (components.start, components.len());
        let signal = Mat::from_fn(m, m, |i, j| if i == j { variances[i] } else { 0.0 });
        let noise = problem.noise.as_ref().submatrix(first, first, m, m);
        let mean_variance = column(prior.as_ref(), 0).iter().sum::<f64>() / prior.nrows() as f64;
        let mean_diagonal =
            (0..m).map(|i| noise[(i, i)] + variances[i] * (mean_variance / scale)).sum::<f64>() / m as f64;
        let (operator, jitter) = factorised(problem, signal.as_ref(), noise, &axes, mean_diagonal)?;
        let part = Self { components, variances, reference, operator, jitter };
        part.check(problem, grid, &axes, at)?;
        Ok(part)
    }

    /// Whether the kernels are what was read from their expressions, in the column of the reference, which is at this
    /// place.
    fn check(&self, problem: &Problem, grid: &Grid, axes: &[Mat<f64>], at: usize) -> Result<()> {
        if self.components.len() == 1 && axes.len() == 1 {
            return Ok(());
        }
        let point = grid.line(problem.theta(), &self.reference, 0);
        let point = point.as_ref().subrows(self.reference[0], 1);
        let product = |place: usize| -> f64 {
            let indices = grid.indices(place);
            axes.iter().zip(indices.iter().zip(&self.reference)).map(|(k, (&i, &j))| k[(i, j)]).product()
        };
        for (component, &variance) in self.components.clone().zip(&self.variances) {
            let mut column = grid.ordered(problem.cross(component, point)?.as_ref());
            // White kernels are of the diagonal alone.
            column[(at, 0)] = problem.variances(component, point)?[0];
            let holds = |place: usize| (column[(place, 0)] - variance * product(place)).abs() <= ROUNDING * variance;
            if !(0..column.nrows()).all(holds) {
                let name = if axes.len() > 1 { "grid" } else { "shared correlation" };
                let reason = format!("the values of kernel {component} are not those of a product or a multiple");
                return Err(refused(name, &reason));
            }
        }
        Ok(())
    }

    /// The component with the largest variance.
    fn base(&self) -> usize {
        largest(&self.variances)
    }

    /// The diagonal of Vᵀ(V⁻¹)ᵢⱼV: Σ_l W_il W_jl / (1 + β_l κ).
    fn inverse(&self, i: usize, j: usize) -> Vec<f64> {
        let w = self.operator.whitener();
        let mut sums = vec![0.0; self.operator.points()];
        for l in 0..w.ncols() {
            let factor = w[(i, l)] * w[(j, l)];
            sums.iter_mut().zip(self.operator.spectrum(l)).for_each(|(sum, scale)| *sum += factor / scale);
        }
        sums
    }
}

impl Covariance for Spectral {
    fn structure(&self) -> Structure {
        self.structure
    }

    fn jitter(&self) -> f64 {
        self.parts.iter().map(|part| part.jitter).fold(0.0, f64::max)
    }

    fn problem(&self) -> &Problem {
        &self.problem
    }

    fn log_det(&self) -> f64 {
        self.parts.iter().map(|part| part.operator.log_det()).sum()
    }

    fn solve_in_place(&self, mut b: MatMut<'_, f64>) -> Result<()> {
        let rows = b.nrows();
        for part in &self.parts {
            let solved = part.operator.solve(self.stacked(part, b.as_ref()).as_ref(), self.problem.par)?;
            let solved = MatRef::from_column_major_slice(column(solved.as_ref(), 0), rows, part.components.len());
            let target = b.as_mut().subcols_mut(part.components.start, part.components.len());
            { target }.copy_from(self.grid.by_rows(solved));
        }
        Ok(())
    }

    fn cotangents(&self, a: MatRef<'_, f64>) -> Result<Cotangents> {
        let m = self.problem.components();
        let (mut noise, mut kernels) = (Mat::zeros(m, m), Vec::with_capacity(m));
        for part in &self.parts {
            let own = self.grid.ordered(a.subcols(part.components.start, part.components.len()));
            let rotated = part.operator.rotate_points(own.as_ref(), self.problem.par)?;
            for (i, component) in part.components.clone().enumerate() {
                for (j, other) in part.components.clone().enumerate() {
                    let trace: f64 = part.inverse(i, j).iter().sum();
                    noise[(component, other)] = 0.5 * (own.col(i).transpose() * own.col(j) - trace);
                }
                let inverse = part.inverse(i, i);
                kernels.push(self.kernel_gradient(part, component, column(rotated.as_ref(), i), &inverse)?);
            }
        }
        Ok(Cotangents { kernels, noise })
    }

    fn explained(&self, cross: &[Mat<f64>]) -> Result<Vec<Mat<f64>>> {
        let (m, n) = (cross.len(), cross.first().map_or(0, Mat::ncols));
        let mut explained = vec![Mat::zeros(m, m); n];
        for part in &self.parts {
            let rotated = self.rotated_cross(part, cross)?;
            for (i, component) in part.components.clone().enumerate() {
                for (j, other) in part.components.clone().enumerate() {
                    let inverse = part.inverse(i, j);
                    let factor = part.variances[i] * part.variances[j];
                    for (new, explained) in explained.iter_mut().enumerate() {
                        let terms = column(rotated.as_ref(), new).iter().zip(&inverse);
                        explained[(component, other)] = factor * terms.map(|(p, inverse)| p * p * inverse).sum::<f64>();
                    }
                }
            }
        }
        Ok(explained)
    }

    fn explained_jointly(&self, cross: &[Mat<f64>]) -> Result<Mat<f64>> {
        let (m, n) = (cross.len(), cross.first().map_or(0, Mat::ncols));
        let mut explained = Mat::zeros(m * n, m * n);
        for part in &self.parts {
            let rotated = self.rotated_cross(part, cross)?;
            for (i, component) in part.components.clone().enumerate() {
                for (j, other) in part.components.clone().enumerate() {
                    let inverse = part.inverse(i, j);
                    let scaled = Mat::from_fn(rotated.nrows(), n, |at, new| inverse[at] * rotated[(at, new)]);
                    let block = explained.as_mut().submatrix_mut(component * n, other * n, n, n);
                    let factor = part.variances[i] * part.variances[j];
                    let par = steady(n, self.problem.par);
                    matmul(block, Accum::Replace, rotated.transpose(), scaled.as_ref(), factor, par);
                }
            }
        }
        Ok(explained)
    }
}

/// The eigendecomposition of B ⊗ R + (N + jitter·I) ⊗ I, with the first jitter that the policy allows and that is enough.
///
/// Rounding changes the eigenvalues κ of R by up to nε κ_max, with n points on all axes. An output of which a
/// 1 + βκ is less than that of the largest has lost its digits, which an adaptive policy takes for a failure.
fn factorised(
    problem: &Problem,
    signal: MatRef<'_, f64>,
    noise: MatRef<'_, f64>,
    axes: &[Mat<f64>],
    mean_diagonal: f64,
) -> Result<(NoisyKronecker<f64>, f64)> {
    let rounding = f64::EPSILON * axes.iter().map(Mat::nrows).sum::<usize>() as f64;
    let fixed = matches!(problem.jitter, Jitter::Fixed(_));
    let lost = |operator: &NoisyKronecker<f64>| {
        (0..operator.outputs()).find(|&output| {
            let values = operator.spectrum(output);
            let [least, most] = [f64::min, f64::max].map(|of| values.iter().copied().fold(values[0], of));
            least < rounding * most
        })
    };
    let views: Vec<_> = axes.iter().map(Mat::as_ref).collect();
    let axes = NoisyKronecker::decomposed(&views)?;
    let mut failure = (0, 0.0);
    for amount in problem.jitter.amounts::<f64>(mean_diagonal)? {
        let mut noise = noise.to_owned();
        noise.diagonal_mut().column_vector_mut().iter_mut().for_each(|entry| *entry += amount);
        match NoisyKronecker::from_axes(signal, noise.as_ref(), axes.clone(), problem.par) {
            Ok(operator) => match lost(&operator).filter(|_| !fixed) {
                Some(output) => failure = (output * operator.points(), amount),
                None => return Ok((operator, amount)),
            },
            // N is singular, or so small that 1 + βκ overflows.
            Err(Error::NotPositiveDefinite { .. } | Error::NonFinite { .. }) => failure = (0, amount),
            Err(other) => return Err(other),
        }
    }
    Err(problem.jitter.exhausted::<f64>(Error::NotPositiveDefinite {
        pivot: failure.0,
        jitter: failure.1,
        mean_diagonal,
    }))
}

fn largest(values: &[f64]) -> usize {
    let larger = |best: usize, at: usize| if values[at] > values[best] { at } else { best };
    (0..values.len()).fold(0, larger)
}
