//! Gauss–Legendre rules, and the rule in the angle between two points of a sphere.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use faer::Mat;

use super::measure::area;
use super::recurrence::Recurrence;
use crate::simd::LANES;

/// How often the panel at θ = 0 is halved: its width is then 10⁻⁷, below lengthscales of any use and below
/// what is left of a singularity like θ^γ.
const HALVINGS: i32 = 24;

/// The phase of the highest harmonic that a panel may turn through.
const PHASE: f64 = 12.0;

/// Nodes in (−1, 1) and weights of the Gauss–Legendre rule with so many nodes, by Newton's method on the
/// three-term recurrence.
pub(crate) fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let node = |index: usize| {
        // Tricomi's estimate of the root.
        let count = n as f64;
        let mut x =
            (1.0 - (1.0 - 1.0 / count) / (8.0 * count * count)) * (PI * (index as f64 + 0.75) / (count + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..8 {
            let (mut value, mut before) = (1.0, 0.0);
            for k in 1..=n {
                let k = k as f64;
                (value, before) = (((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k, value);
            }
            slope = count * (before - x * value) / (1.0 - x * x);
            x -= value / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).collect()
}

/// A rule for ∫ κ(θ) G_l(cos θ) sin^{d−2}θ dθ from 0 to π, for the degrees l to a highest.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// The nodes as points on the great circle of the first two axes, n × d.
    pub(crate) points: Mat<f64>,
    /// n × (l_max + 1): |S^{d−2}| times weight, sine and G_l at each node.
    pub(crate) zonal: Mat<f64>,
}

impl Rule {
    /// With so many nodes a panel.
    pub(crate) fn new(dim: usize, l_max: usize, nodes: usize) -> Self {
        let nodes = placed_nodes(l_max, nodes);
        let mut points = Mat::zeros(nodes.len(), dim);
        let mut zonal = Mat::zeros(nodes.len(), l_max + 1);
        for (first, part) in (0..).step_by(LANES).zip(nodes.chunks(LANES)) {
            let mut h = [0.0; LANES];
            for (h, node) in h.iter_mut().zip(part) {
                // 1 − cos θ
                *h = 2.0 * (0.5 * node.angle).sin().powi(2);
            }
            let mut recurrence = Recurrence::new(dim as f64 - 2.0, h);
            for degree in 0..=l_max {
                for (lane, node) in part.iter().enumerate() {
                    // G_l(−t) = (−1)^l G_l(t)
                    let sign = if node.opposite && degree % 2 == 1 { -1.0 } else { 1.0 };
                    let measure = area(dim - 1) * node.weight * node.angle.sin().powi(dim as i32 - 2);
                    zonal[(first + lane, degree)] = sign * measure * recurrence.value[lane];
                }
                recurrence.step(degree);
            }
            for (lane, node) in part.iter().enumerate() {
                points[(first + lane, 0)] = if node.opposite { -node.angle.cos() } else { node.angle.cos() };
                points[(first + lane, 1)] = node.angle.sin();
            }
        }
        Self { points, zonal }
    }
}

/// A node by its angle from the nearer of the two poles, which keeps its digits at both.
struct Node {
    angle: f64,
    opposite: bool,
    weight: f64,
}

/// Panels of equal width from π to π/2 and of halved widths from there to 0, none so wide that the highest degree
/// turns too far in it.
fn placed_nodes(l_max: usize, per_panel: usize) -> Vec<Node> {
    let widest = FRAC_PI_4.min(PHASE / l_max.max(1) as f64);
    let rule = gauss_legendre(per_panel);
    let mut nodes = Vec::new();
    let mut cover = |from: f64, to: f64, opposite: bool| {
        let panels = ((to - from) / widest).ceil().max(1.0);
        let half = 0.5 * (to - from) / panels;
        for panel in 0..panels as usize {
            let middle = from + half * (2 * panel + 1) as f64;
            nodes.extend(rule.iter().map(|(x, weight)| Node {
                angle: middle + half * x,
                opposite,
                weight: half * weight,
            }));
        }
    };
    cover(0.0, FRAC_PI_2, true);
    for halving in 0..HALVINGS {
        let to = FRAC_PI_2 * 0.5f64.powi(halving);
        cover(0.5 * to, to, false);
    }
    cover(0.0, FRAC_PI_2 * 0.5f64.powi(HALVINGS), false);
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrates_polynomials_exactly() {
        for n in [1, 2, 5, 28, 40] {
            let rule = gauss_legendre(n);
            for power in 0..2 * n as i32 {
                let found: f64 = rule.iter().map(|(x, weight)| weight * x.powi(power)).sum();
                let expected = if power % 2 == 0 { 2.0 / f64::from(power + 1) } else { 0.0 };
                assert!((found - expected).abs() < 1e-15 * n as f64, "{n} nodes, power {power}");
            }
        }
    }

    #[test]
    fn zonal_functions_are_orthogonal() {
        for (dim, l_max) in [(2, 60), (3, 60), (9, 40)] {
            let rule = Rule::new(dim, l_max, 40);
            for degree in [1, 7, l_max] {
                let integral: f64 = (0..rule.points.nrows()).map(|node| rule.zonal[(node, degree)]).sum();
                assert!(integral.abs() < 2e-14 * area(dim), "{dim} {degree} {integral:e}");
            }
            let total: f64 = (0..rule.points.nrows()).map(|node| rule.zonal[(node, 0)]).sum();
            assert!((total / area(dim) - 1.0).abs() < 1e-14);
        }
    }
}
