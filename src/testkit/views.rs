//! Laws of what a kernel is besides a function of two points: of a view that does not know the kernel there is nothing to
//! check.

use faer::{Mat, Par};

use super::difference;
use super::sample::points_for;
use super::violation::{Law, Violation};
use crate::algebra::{Compose, terms};
use crate::graph::Laplacian;
use crate::kernel::{diag_into, gram_into};
use crate::kernels::Zonal;
use crate::params::ParameterizedExt;
use crate::views::{
    ZonalSpectrum, funk_hecke, funk_hecke_vjp, graph_weights, graph_weights_vjp, spectral_density,
    spectral_density_vjp, white_variance,
};
use crate::{DynKernel, Expr};

type Checked = Result<(), Violation>;

/// What a gradient may differ by from differences of a step of 10⁻³ and fourth order, relative to the largest part.
const GRADIENT: f64 = 1e-8;

/// Nodes of the integral over a spectral density, and what it may be off by: frequencies ω = c tan(πu/2) make a function of
/// u of a density that falls by a power, with an end of (1 − u)^(2ν − 1) for a Matérn kernel, ν > ½.
const NODES: usize = 4000;
const INTEGRAL: f64 = 1e-3;

/// A spectral density on points of one dimension integrates to the variance, k(0) = (2π)⁻¹ ∫ S(ω) dω, white noise aside;
/// in any dimension its gradient is that of differences.
///
/// # Errors
///
/// The [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 2.0 * Matern52::new(0.3).stretch(2.0) + White::new(0.1);
/// mercer::testkit::views::spectral(&kernel.dynamic(), 1)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn spectral(kernel: &DynKernel, dim: usize) -> Checked {
    let law = Law { name: "the spectral density is that of the kernel", kernel };
    let at = |scale: f64| (0..dim).map(|d| scale * (1.0 - 0.3 * d as f64)).collect::<Vec<f64>>();
    let Some(peak) = spectral_density(kernel, &at(0.0)).filter(|peak| *peak != 0.0) else { return Ok(()) };
    let half = |scale: f64| spectral_density(kernel, &at(scale)).unwrap_or_default().abs() < 0.5 * peak.abs();
    let mut width = 1.0;
    while half(width) && width > 1e-12 {
        width *= 0.5;
    }
    while !half(width) && width < 1e12 {
        width *= 2.0;
    }
    if dim == 1 {
        let step = std::f64::consts::FRAC_PI_2 / NODES as f64;
        let term = |node: usize| {
            let angle = step * (node as f64 + 0.5);
            let density = spectral_density(kernel, &[width * angle.tan()]).unwrap_or_default();
            density * width * step / angle.cos().powi(2)
        };
        let terms: Vec<f64> = (0..NODES).map(term).collect();
        let integral = terms.iter().sum::<f64>() / std::f64::consts::PI;
        let size = terms.iter().map(|term| term.abs()).sum::<f64>() / std::f64::consts::PI;
        let x = points_for::<f64>(kernel, 1, 1, 1);
        let mut variance = [0.0];
        law.evaluated(diag_into(kernel, x.as_ref(), &mut variance))?;
        let expected = variance[0] - white_variance(kernel).unwrap_or_default();
        law.close(|| "the variance".to_owned(), integral, expected, INTEGRAL * size)?;
    }
    let frequency = at(0.7 * width);
    let mut theta = vec![0.0; kernel.num_params()];
    spectral_density_vjp(kernel, &frequency, 1.0, &mut theta);
    gradient(law, kernel, &theta, |kernel| spectral_density(kernel, &frequency))
}

/// Funk–Hecke coefficients in closed form are those of the integral, and their gradient that of differences.
///
/// # Errors
///
/// The [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// mercer::testkit::views::on_sphere(&(2.0 * Rbf::new(0.8) + 0.5 * Linear::new(0.3)).dynamic(), 3)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn on_sphere(kernel: &DynKernel, dim: usize) -> Checked {
    const L_MAX: usize = 6;
    let law = Law { name: "the Funk–Hecke coefficients are those of the kernel", kernel };
    if dim < 2 || kernel.inputs(dim).is_err() {
        return Ok(());
    }
    let Some(found) = funk_hecke(kernel, dim, L_MAX) else { return Ok(()) };
    // The series of the one term 1 hides the closed form.
    let hidden = (kernel.clone() * Zonal::new([1.0])).dynamic();
    let plan = law.evaluated(ZonalSpectrum::new(dim, L_MAX))?;
    let integrated = law.evaluated(plan.spectrum(&hidden))?;
    for (degree, &a) in found.iter().enumerate() {
        law.close(|| format!("degree {degree}"), a, integrated.values[degree], integrated.errors[degree])?;
    }
    let weights: Vec<f64> = (0..=L_MAX).map(|l| 1.0 - 0.3 * l as f64).collect();
    let mut theta = vec![0.0; kernel.num_params()];
    funk_hecke_vjp(kernel, dim, &weights, &mut theta);
    let sum = |kernel: &DynKernel| {
        Some(funk_hecke(kernel, dim, L_MAX)?.iter().zip(&weights).map(|(a, weight)| a * weight).sum())
    };
    gradient(law, kernel, &theta, sum)
}

/// The weights on a graph give its Gram matrix, white noise aside, and their gradient is that of differences.
///
/// # Errors
///
/// The [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::kernels::Laplacian;
/// use mercer::prelude::*;
///
/// let graph = Laplacian::from_edges(4, &[(0, 1, 1.0), (1, 2, 0.4), (2, 3, 2.0)])?;
/// let kernel = 3.0 * GraphHeat::new(graph.clone(), 0.5).on([0]) + White::new(0.1);
/// mercer::testkit::views::on_graph(&kernel.dynamic(), &graph)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn on_graph(kernel: &DynKernel, laplacian: &Laplacian) -> Checked {
    let law = Law { name: "the weights on the graph are those of the kernel", kernel };
    let Some(weights) = graph_weights(kernel, laplacian) else { return Ok(()) };
    let (nodes, vectors) = (laplacian.nodes(), laplacian.eigenvectors());
    let (x, mut gram) = (Mat::from_fn(nodes, 1, |row, _| row as f64), Mat::zeros(nodes, nodes));
    law.evaluated(gram_into(kernel, x.as_ref(), gram.as_mut(), Par::Seq))?;
    let white = white_variance(kernel).unwrap_or_default();
    let scale = weights.iter().fold(white, |sum, weight| sum + weight.abs());
    for (row, col) in (0..nodes).flat_map(|row| (0..=row).map(move |col| (row, col))) {
        let smooth: f64 = (0..nodes).map(|k| weights[k] * vectors[(row, k)] * vectors[(col, k)]).sum();
        let expected = smooth + if row == col { white } else { 0.0 };
        law.close(|| format!("K[{row}, {col}]"), gram[(row, col)], expected, 1e-13 * scale)?;
    }
    let cotangent: Vec<f64> = (0..nodes).map(|k| 1.0 - 0.3 * k as f64).collect();
    let mut theta = vec![0.0; kernel.num_params()];
    graph_weights_vjp(kernel, laplacian, &cotangent, &mut theta);
    let sum =
        |kernel: &DynKernel| Some(graph_weights(kernel, laplacian)?.iter().zip(&cotangent).map(|(a, c)| a * c).sum());
    gradient(law, kernel, &theta, sum)
}

/// The terms of a kernel add up to it.
///
/// # Errors
///
/// The [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 2.0 * (Rbf::new(1.0) + Linear::new(0.5)).ard([0.5, 3.0]) - White::new(0.1);
/// mercer::testkit::views::sum_of_terms(&kernel.dynamic(), 2)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sum_of_terms(kernel: &DynKernel, dim: usize) -> Checked {
    let law = Law { name: "the terms add up to the kernel", kernel };
    let x = points_for::<f64>(kernel, 9, dim, 1);
    let gram = |kernel: &DynKernel| {
        let mut out = Mat::<f64>::zeros(9, 9);
        law.evaluated(gram_into(kernel, x.as_ref(), out.as_mut(), Par::Seq)).map(|()| out)
    };
    let whole = gram(kernel)?;
    let (mut sum, mut size) = (Mat::<f64>::zeros(9, 9), 0.0f64);
    for term in law.evaluated(terms(kernel, dim))? {
        let part = gram(&term.kernel)?;
        size += part.norm_max();
        sum += part;
    }
    for (row, col) in (0..9).flat_map(|row| (0..9).map(move |col| (row, col))) {
        let (found, expected) = (sum[(row, col)], whole[(row, col)]);
        if !(found.is_nan() && expected.is_nan()) && found != expected {
            law.close(|| format!("K[{row}, {col}]"), found, expected, 1e-14 * size)?;
        }
    }
    Ok(())
}

fn gradient(law: Law<'_>, kernel: &DynKernel, found: &[f64], value: impl Fn(&DynKernel) -> Option<f64>) -> Checked {
    let at = kernel.values();
    let expected =
        difference(&at, |theta| kernel.with_params(theta).ok().and_then(|moved| value(&moved)).unwrap_or(f64::NAN));
    let largest = expected.iter().chain(found).fold(0.0f64, |largest, part| largest.max(part.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate().filter(|(_, (_, e))| !e.is_nan()) {
        law.close(|| format!("the gradient in parameter {index}"), *found, expected, GRADIENT * largest)?;
    }
    Ok(())
}
