//! Funk–Hecke coefficients.

use super::constant::{constant, scaled_part};
use super::{constants, pull_back, with_theta};
use crate::Real;
use crate::kernel::variables::Variable;
use crate::kernel::{Expr, Structure};
use crate::sphere::area;

/// The Funk–Hecke coefficients a₀, …, a_{l_max} of a kernel that depends on the angle alone on the unit sphere in `dim` ≥ 2
/// dimensions, where they are known in closed form; `None` if not.
/// [`ZonalSpectrum`](crate::views::ZonalSpectrum) states what they are, and integrates where there is none.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::views::funk_hecke;
///
/// // xᵀy is ∫ = 4π/3 times the projection on the harmonics of degree 1.
/// let kernel = 2.0 * Linear::new(0.5);
/// assert_eq!(funk_hecke(&kernel, 3, 2), Some(vec![0.0, 4.0 * std::f64::consts::PI / 3.0, 0.0]));
/// assert!(funk_hecke(&Matern32::new(1.0), 3, 2).is_none());
/// ```
pub fn funk_hecke(kernel: &dyn Expr, dim: usize, l_max: usize) -> Option<Vec<f64>> {
    Some(coefficients(kernel, &constants(kernel), dim, l_max)?.into_iter().map(|a| a.value).collect())
}

/// Adds to `theta` the gradient of Σ_l c_l a_l in the kernel's parameters, in their order, for as many coefficients as
/// cotangents; nothing where they are not known.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::views::funk_hecke_vjp;
///
/// let mut theta = [0.0; 2];
/// funk_hecke_vjp(&(2.0 * Linear::new(0.5)), 3, &[5.0, 1.0], &mut theta);
/// let third = 4.0 * std::f64::consts::PI / 3.0;
/// assert!((theta[0] - 0.5 * third).abs() < 1e-15 && (theta[1] - 2.0 * third).abs() < 1e-15);
/// ```
pub fn funk_hecke_vjp(kernel: &dyn Expr, dim: usize, cotangent: &[f64], theta: &mut [f64]) {
    let Some(l_max) = cotangent.len().checked_sub(1) else { return };
    pull_back(kernel, cotangent, theta, |theta| coefficients(kernel, theta, dim, l_max));
}

fn coefficients(kernel: &dyn Expr, theta: &[Variable], dim: usize, l_max: usize) -> Option<Vec<Variable>> {
    let zeros = || vec![Variable::from_f64(0.0); l_max + 1];
    let times = |factor: Variable, mut all: Vec<Variable>| {
        all.iter_mut().for_each(|a| *a = factor * *a);
        all
    };
    if let Some(value) = constant(kernel, theta) {
        let mut all = zeros();
        all[0] = value * area(dim);
        return Some(all);
    }
    Some(match kernel.structure() {
        Structure::Leaf(views) if views.white => zeros(),
        Structure::Leaf(views) => views.on_sphere?.coefficients(theta, dim, l_max)?,
        Structure::Same(kernel) | Structure::Boxed(kernel) | Structure::Power(1, kernel) => {
            coefficients(kernel, theta, dim, l_max)?
        }
        Structure::Scaled(_, kernel) => times(theta[0], coefficients(kernel, &theta[1..], dim, l_max)?),
        Structure::Negated(kernel) => times(Variable::from_f64(-1.0), coefficients(kernel, theta, dim, l_max)?),
        Structure::Sum(parts) => with_theta(parts, theta).try_fold(zeros(), |mut sum, (part, own)| {
            let other = coefficients(part, own, dim, l_max)?;
            sum.iter_mut().zip(other).for_each(|(sum, a)| *sum += a);
            Some(sum)
        })?,
        Structure::Product(parts) => {
            let (factor, (part, own)) = scaled_part(parts, theta)?;
            times(factor, coefficients(part, own, dim, l_max)?)
        }
        _ => return None,
    })
}
