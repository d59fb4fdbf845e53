//! log E exp l(f), however far out its mass is.

use super::gauss_kronrod::Panel;
use super::jet::Jet;
use super::quadrature::deviation;
use super::special::HALF_LN_TAU;

/// What is below exp(−DROP) of the largest value of the integrand is left out.
const DROP: f64 = 38.0;

/// The largest difference of the two rules on a panel, in parts of the integral: the error is some 1e-11.
const TOLERANCE: f64 = 1e-8;

/// The most halvings of panels; some ten are usual.
const HALVINGS: usize = 500;

/// Ratio of the distances from a landmark at which panels end.
const GRADE: f64 = 4.0;

/// log E exp l(f) under f ~ N(mean, variance), by adaptive quadrature about the maxima of exp l(f) N(f; μ, v), wherever
/// these are.
///
/// `landmarks` are centres and scales of what l may hide between points much further apart: where l bends, or where
/// exp l has a narrow peak that the normal density outweighs. Points at distances from each landmark and from μ that grow
/// fourfold show each maximum by a change of the sign of the slope; Newton's method within its bracket finds it, and
/// the curvature there its scale. Panels end at the maxima, and at distances from maxima and landmarks that grow fourfold; those
/// that hold less than e⁻³⁸ are left out.
pub(super) fn log_mean_exp(l: impl Fn(f64) -> Jet, landmarks: &[(f64, f64)], mean: f64, variance: f64) -> f64 {
    let deviation = deviation(variance);
    if deviation == 0.0 || !(mean + deviation).is_finite() {
        return l(mean).value + 0.0 * variance;
    }
    // In deviations from μ.
    let h = |z: f64| {
        let jet = l(mean + deviation * z);
        Jet {
            value: jet.value - 0.5 * z * z,
            slope: deviation * jet.slope - z,
            curvature: variance * jet.curvature - 1.0,
        }
    };
    let landmarks: Vec<(f64, f64)> = landmarks
        .iter()
        .map(|&(center, scale)| ((center - mean) / deviation, scale / deviation))
        .filter(|(center, scale)| center.is_finite() && scale.is_finite() && *scale > 0.0)
        .collect();
    let peaks = Peaks::find(&h, &landmarks);
    let top = peaks.top;
    if !top.is_finite() {
        return top;
    }
    let edges = peaks.edges(&landmarks);
    let integrand = |z: f64| (h(z).value - top).exp();
    let matters = |z: f64| h(z).value > top - DROP;
    let mut panels = Vec::with_capacity(edges.len());
    let mut before = matters(edges[0]);
    for pair in edges.windows(2) {
        let after = matters(pair[1]);
        if before || after {
            panels.push(Panel::new(&integrand, pair[0], pair[1]));
        }
        before = after;
    }
    let total: f64 = panels.iter().map(|panel| panel.value).sum();
    let mut spare = HALVINGS;
    let total: f64 = panels.iter().map(|panel| panel.refined(&integrand, TOLERANCE * total, &mut spare)).sum();
    top + total.ln() - HALF_LN_TAU
}

/// The maxima of a function that falls off on both sides.
struct Peaks {
    /// The largest value.
    top: f64,
    /// Places and scales.
    peaks: Vec<(f64, f64)>,
    /// Beyond, nothing matters.
    lower: f64,
    upper: f64,
}

impl Peaks {
    fn find(h: &impl Fn(f64) -> Jet, landmarks: &[(f64, f64)]) -> Self {
        let all = || landmarks.iter().copied().chain([(0.0, 1.0)]);
        let lower = all().map(|(center, scale)| center - scale).fold(f64::INFINITY, f64::min);
        let upper = all().map(|(center, scale)| center + scale).fold(f64::NEG_INFINITY, f64::max);
        let mut points: Vec<f64> = all().flat_map(|(center, scale)| graded(center, scale, lower, upper)).collect();
        points.sort_by(f64::total_cmp);
        points.dedup();
        let mut seen: Vec<(f64, Jet)> = points.into_iter().map(|z| (z, h(z))).collect();
        let mut found = Self { top: f64::NEG_INFINITY, peaks: Vec::new(), lower, upper };
        for (_, jet) in &seen {
            found.raise(jet.value);
        }
        // Outwards until it falls, and is low.
        for sign in [-1.0, 1.0] {
            let mut end = if sign < 0.0 { seen[0] } else { seen[seen.len() - 1] };
            let mut step = 1.0;
            while sign * end.1.slope > 0.0 || end.1.value > found.top - DROP {
                let z = end.0 + sign * step;
                if !z.is_finite() {
                    break;
                }
                end = (z, h(z));
                found.raise(end.1.value);
                step *= 1.5;
                if sign < 0.0 {
                    found.lower = z;
                    seen.insert(0, end);
                } else {
                    found.upper = z;
                    seen.push(end);
                }
            }
        }
        for pair in seen.windows(2) {
            if pair[0].1.slope > 0.0 && pair[1].1.slope <= 0.0 {
                let (z, jet) = maximum(h, pair[0].0, pair[1].0);
                found.raise(jet.value);
                let scale = (-jet.curvature).max(0.0).sqrt().recip();
                found.peaks.push((z, scale.min(pair[1].0 - pair[0].0)));
            }
        }
        found
    }

    fn raise(&mut self, value: f64) {
        // Unlike `f64::max`, which passes over a NaN.
        if value.is_nan() || value > self.top {
            self.top = value;
        }
    }

    /// The ends of panels, ascending.
    fn edges(&self, landmarks: &[(f64, f64)]) -> Vec<f64> {
        // Two scales of a peak, and then eight, are as far as 15 points see well.
        let peaks = self.peaks.iter().map(|&(center, scale)| (center, 2.0 * scale));
        let all = peaks.chain(landmarks.iter().copied());
        let mut edges: Vec<f64> =
            all.flat_map(|(center, scale)| graded(center, scale, self.lower, self.upper)).collect();
        edges.extend([self.lower, self.upper]);
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        edges
    }
}

/// The centre, and the points at distances scale · 4ᵏ from it, within an interval.
fn graded(center: f64, scale: f64, lower: f64, upper: f64) -> impl Iterator<Item = f64> {
    let far = (upper - center).max(center - lower);
    let distances = std::iter::successors(Some(scale), |distance| Some(GRADE * distance));
    let distances = distances.take_while(move |distance| *distance <= far);
    distances
        .flat_map(move |distance| [center - distance, center + distance])
        .chain([center])
        .filter(move |z| (lower..=upper).contains(z))
}

/// A maximum between two points, at which the function rises and falls: Newton's method within a bracket.
fn maximum(h: &impl Fn(f64) -> Jet, mut lower: f64, mut upper: f64) -> (f64, Jet) {
    let mut z = 0.5 * (lower + upper);
    let mut step = upper - lower;
    let mut jet = h(z);
    for _ in 0..100 {
        if jet.slope > 0.0 {
            lower = z
        } else {
            upper = z
        }
        let newton = if jet.curvature < 0.0 { -jet.slope / jet.curvature } else { f64::NAN };
        // A step of Newton's method that is not far below the last one is not yet near the maximum.
        let sound = z + newton > lower && z + newton < upper && 2.0 * f64::abs(newton) < step;
        let next = if sound { z + newton } else { 0.5 * (lower + upper) };
        step = f64::abs(next - z);
        z = next;
        jet = h(z);
        // A hundredth of its scale is near enough: there it is below its top by 5e-5.
        if step * step * f64::abs(jet.curvature) < 1e-4 || step <= f64::EPSILON * f64::abs(z) {
            break;
        }
    }
    (z, jet)
}
