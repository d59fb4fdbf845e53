//! Spectral densities.

use super::matern::of_manhattan_distance;
use super::{constants, of_coordinates, pull_back, with_theta};
use crate::kernel::variables::Variable;
use crate::kernel::{Expr, Structure};
use crate::params::ParameterizedExt;
use crate::{Dual, Real};

/// The spectral density S(ω) = ∫ k(r) exp(−i ωᵀr) dr of a stationary kernel k(x − y) at an angular
/// frequency ω of as many dimensions as the points, which the kernel can read; `None` if there is none or it is not known.
/// k(r) = (2π)^(−D) ∫ S(ω) exp(i ωᵀr) dω (Bochner). White noise has the density 0: its variance is
/// [`white_variance`].
///
/// A product has one where its factors read disjoint columns, a sum where its terms read the same.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::views::spectral_density;
///
/// let kernel = 2.0 * Rbf::new(1.0).ard([0.5]) + White::new(0.1);
/// let expected = 2.0 * (2.0 * std::f64::consts::PI).sqrt() * 0.5 * (-0.5f64 * 0.25 * 9.0).exp();
/// assert!((spectral_density(&kernel, &[3.0]).unwrap() - expected).abs() < 1e-15);
/// assert!(spectral_density(&Linear::new(1.0), &[3.0]).is_none());
/// assert!(spectral_density(&(Rbf::new(1.0) + 1.0), &[3.0]).is_none()); // a delta at 0
/// ```
pub fn spectral_density(kernel: &dyn Expr, frequency: &[f64]) -> Option<f64> {
    let omega: Vec<Variable> = frequency.iter().map(|&omega| Dual::constant(omega)).collect();
    Some(everywhere(kernel, &constants(kernel), &omega)?.value)
}

/// Adds to `theta` the gradient of c S(ω) in the kernel's parameters, in their order, for a cotangent c; nothing where
/// S is not known.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::views::{spectral_density, spectral_density_vjp};
///
/// // S = σ² √(2π) ℓ exp(−ℓ²ω²/2): dS/dσ² = S/σ², dS/dℓ = S (1/ℓ − ℓω²).
/// let kernel = 2.0 * Rbf::new(0.5);
/// let density = spectral_density(&kernel, &[3.0]).unwrap();
/// let mut theta = [0.0; 2];
/// spectral_density_vjp(&kernel, &[3.0], 10.0, &mut theta);
/// assert!((theta[0] - 5.0 * density).abs() < 1e-14);
/// assert!((theta[1] - 10.0 * density * (2.0 - 4.5)).abs() < 1e-14);
/// ```
pub fn spectral_density_vjp(kernel: &dyn Expr, frequency: &[f64], cotangent: f64, theta: &mut [f64]) {
    let omega: Vec<Variable> = frequency.iter().map(|&omega| Dual::constant(omega)).collect();
    pull_back(kernel, &[cotangent], theta, |theta| Some(vec![everywhere(kernel, theta, &omega)?]));
}

/// The variance of the white noise in a kernel that is a sum of it and of kernels that have none.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::views::white_variance;
///
/// assert_eq!(white_variance(&(Rbf::new(1.0) + 2.0 * White::new(0.1))), Some(0.2));
/// assert_eq!(white_variance(&Rbf::new(1.0)), Some(0.0));
/// assert_eq!(white_variance(&White::new(0.1).exp()), None);
/// ```
pub fn white_variance(kernel: &dyn Expr) -> Option<f64> {
    Some(noise(kernel, &constants(kernel))?.value)
}

/// Adds to `theta` the gradient of c times the [`white_variance`].
pub(crate) fn white_variance_vjp(kernel: &dyn Expr, cotangent: f64, theta: &mut [f64]) {
    pull_back(kernel, &[cotangent], theta, |theta| Some(vec![noise(kernel, theta)?]));
}

fn noise(kernel: &dyn Expr, theta: &[Variable]) -> Option<Variable> {
    let zero = Variable::from_f64(0.0);
    match kernel.structure() {
        Structure::Leaf(views) => {
            if views.white {
                theta.first().copied()
            } else {
                Some(zero)
            }
        }
        Structure::Sum(parts) => {
            with_theta(parts, theta).try_fold(zero, |sum, (part, own)| Some(sum + noise(part, own)?))
        }
        Structure::Scaled(_, kernel) => Some(theta[0] * noise(kernel, &theta[1..])?),
        Structure::Negated(kernel) => Some(-noise(kernel, theta)?),
        Structure::Same(kernel)
        | Structure::Boxed(kernel)
        | Structure::Power(1, kernel)
        | Structure::Distance(_, kernel) => noise(kernel, theta),
        Structure::Warped(warp, kernel) => noise(kernel, theta.get(warp.num_params()..)?),
        structure => structure.children().into_iter().all(has_none).then_some(zero),
    }
}

/// Whether there is no white noise in a kernel.
pub(super) fn has_none(kernel: &crate::kernel::Node) -> bool {
    match kernel.structure() {
        Structure::Leaf(views) => !views.white,
        structure => structure.children().into_iter().all(has_none),
    }
}

/// A density over some columns of the points, in the others of which the kernel does not change: there it is a delta.
enum Spectrum {
    Zero,
    Over(Vec<usize>, Variable),
}

impl Spectrum {
    fn times(self, factor: Variable) -> Self {
        match self {
            Self::Zero => Self::Zero,
            Self::Over(columns, value) => Self::Over(columns, factor * value),
        }
    }
}

/// A density over all columns.
fn everywhere(kernel: &dyn Expr, theta: &[Variable], omega: &[Variable]) -> Option<Variable> {
    match spectrum(kernel, theta, omega)? {
        Spectrum::Zero => Some(Variable::from_f64(0.0)),
        Spectrum::Over(columns, value) => (columns.len() == omega.len()).then_some(value),
    }
}

fn spectrum(kernel: &dyn Expr, theta: &[Variable], omega: &[Variable]) -> Option<Spectrum> {
    use Spectrum::{Over, Zero};
    Some(match kernel.structure() {
        Structure::Leaf(views) if views.white => Zero,
        Structure::Leaf(views) if views.constant => Over(Vec::new(), *theta.first()?),
        Structure::Leaf(views) => Over((0..omega.len()).collect(), views.spectral?.density(theta, omega)?),
        Structure::Same(kernel) | Structure::Boxed(kernel) | Structure::Power(1, kernel) => {
            spectrum(kernel, theta, omega)?
        }
        Structure::Power(0, _) => Over(Vec::new(), Variable::from_f64(1.0)),
        Structure::Scaled(_, kernel) => spectrum(kernel, &theta[1..], omega)?.times(theta[0]),
        Structure::Negated(kernel) => spectrum(kernel, theta, omega)?.times(Variable::from_f64(-1.0)),
        Structure::Sum(parts) => {
            let mut sum = Zero;
            for (part, own) in with_theta(parts, theta) {
                sum = match (sum, spectrum(part, own, omega)?) {
                    (sum, Zero) => sum,
                    (Zero, other) => other,
                    (Over(columns, a), Over(others, b)) if columns == others => Over(columns, a + b),
                    // A density beside a delta.
                    _ => return None,
                };
            }
            sum
        }
        Structure::Product(parts) => {
            let (mut columns, mut value) = (Vec::new(), Variable::from_f64(1.0));
            for (part, own) in with_theta(parts, theta) {
                let Over(others, factor) = spectrum(part, own, omega)? else { return Some(Zero) };
                // A convolution.
                if others.iter().any(|column| columns.contains(column)) {
                    return None;
                }
                columns.extend(others);
                value *= factor;
            }
            columns.sort_unstable();
            Over(columns, value)
        }
        // With A of x ↦ Ax: S(A⁻ᵀω)/|det A|, over the columns that A does not map to 0.
        Structure::Warped(warp, kernel) => {
            let (of_warp, of_kernel) = theta.split_at(warp.num_params());
            let rows = warp.matrix(of_warp, omega.len())?;
            if warp.keeps_axes() {
                along_axes(&rows, kernel, of_kernel, omega)?
            } else {
                mapped(rows, kernel, of_kernel, omega)?
            }
        }
        Structure::Distance(Some(norm), kernel) => {
            if omega.len() == 1 || (norm == 2.0 && kernel.properties().isotropic) {
                spectrum(kernel, theta, omega)?
            } else if norm == 1.0 {
                let axes = of_manhattan_distance(kernel, theta, omega.len())?.zip(omega);
                let one = Variable::from_f64(1.0);
                let density = axes.fold(one, |density, ((variance, lengthscale), &omega)| {
                    let turned = lengthscale * omega;
                    density * (variance * lengthscale * Variable::from_f64(2.0) / (one + turned * turned))
                });
                Over((0..omega.len()).collect(), density)
            } else {
                return None;
            }
        }
        // White noise in a base kernel has a part in every order.
        Structure::Additive(bases) if omega.len() == 1 && bases.iter().all(has_none) => {
            let (variances, mut parts) = of_coordinates(bases, theta, 1);
            let ([variance], Some((base, own))) = (variances, parts.next()) else { return None };
            spectrum(base, own, omega)?.times(*variance)
        }
        _ => return None,
    })
}

/// Of rows with one entry each: x_j = a_j x_source(j).
fn along_axes(rows: &[Vec<Variable>], kernel: &dyn Expr, theta: &[Variable], omega: &[Variable]) -> Option<Spectrum> {
    let entry = |row: &Vec<Variable>| row.iter().position(|a| a.value != 0.0).map(|source| (source, row[source]));
    let entries: Vec<(usize, Variable)> = rows.iter().map(entry).collect::<Option<_>>()?;
    let inner: Vec<Variable> = entries.iter().map(|&(source, a)| omega[source] / a).collect();
    let Spectrum::Over(columns, value) = spectrum(kernel, theta, &inner)? else { return Some(Spectrum::Zero) };
    let mut sources: Vec<usize> = columns.iter().map(|&column| entries[column].0).collect();
    let volume = columns.iter().fold(Variable::from_f64(1.0), |volume, &column| volume * entries[column].1.abs());
    sources.sort_unstable();
    // Two columns of which one is a copy of the other have a density nowhere.
    let distinct = sources.windows(2).all(|pair| pair[0] != pair[1]);
    distinct.then(|| Spectrum::Over(sources, value / volume))
}

/// Of a square matrix that has an inverse, by elimination in Aᵀu = ω.
fn mapped(rows: Vec<Vec<Variable>>, kernel: &dyn Expr, theta: &[Variable], omega: &[Variable]) -> Option<Spectrum> {
    let dim = omega.len();
    if rows.len() != dim {
        return None;
    }
    let mut system: Vec<Vec<Variable>> =
        (0..dim).map(|col| rows.iter().map(|row| row[col]).chain([omega[col]]).collect()).collect();
    let mut determinant = Variable::from_f64(1.0);
    for col in 0..dim {
        let pivot = (col..dim).max_by(|&a, &b| system[a][col].value.abs().total_cmp(&system[b][col].value.abs()))?;
        system.swap(col, pivot);
        if system[col][col].value == 0.0 {
            return None;
        }
        determinant *= system[col][col].abs();
        let (above, below) = system.split_at_mut(col + 1);
        for row in below {
            let factor = row[col] / above[col][col];
            for (entry, &pivot) in row.iter_mut().zip(&above[col]).skip(col) {
                *entry -= factor * pivot;
            }
        }
    }
    let mut u = vec![Variable::from_f64(0.0); dim];
    for row in (0..dim).rev() {
        let known = (row + 1..dim).fold(system[row][dim], |left, col| left - system[row][col] * u[col]);
        u[row] = known / system[row][row];
    }
    match spectrum(kernel, theta, &u)? {
        Spectrum::Over(columns, value) if columns.len() == dim => Some(Spectrum::Over(columns, value / determinant)),
        Spectrum::Over(columns, value) if columns.is_empty() => Some(Spectrum::Over(columns, value)),
        Spectrum::Zero => Some(Spectrum::Zero),
        Spectrum::Over(..) => None,
    }
}
