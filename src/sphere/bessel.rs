//! The squared exponential on the sphere, by modified Bessel functions.
//!
//! With z = 1/ℓ², exp(−|x − y|²/2ℓ²) = e^(−z) e^(z xᵀy) on the sphere, whose coefficients are
//!
//! a_l = (2π)^{d/2} ℓ^{d−2} e^(−z) I_{l+α}(z), α = (d − 2)/2.
//!
//! The ratios r_ν = I_{ν+1}/I_ν = z/(2ν + 2 + z r_{ν+1}) are run downwards, where errors shrink by r² a
//! step, in terms of s_ν = z (1 − r_ν) = z (2ν + 2 − s_{ν+1})/(2ν + 2 + z − s_{ν+1}), which is all that the slope
//!
//! da_l/dℓ = (2/ℓ) (s_{l+α} − l) a_l
//!
//! needs and which keeps its digits where r → 1. All terms are positive: a_l has full relative accuracy,
//! however small.

use std::f64::consts::TAU;

/// For l = 0, …, l_max: the coefficient a_l and its derivative in ℓ.
pub(crate) fn squared_exponential(dim: usize, lengthscale: f64, l_max: usize) -> Vec<[f64; 2]> {
    // Beyond, everything has reached its limit.
    let z = (1.0 / lengthscale / lengthscale).clamp(1e-300, 1e300);
    let even = dim.is_multiple_of(2);
    let (below, lowest) = ((dim - 2) / 2, if even { 0.0 } else { 0.5 });
    let (gaps, denominators) = ratios(lowest, z, below + l_max);
    let base = if even { order_zero(z, &denominators) } else { -(-2.0 * z).exp_m1() / (z * TAU.sqrt()) };
    // z^(−ν) I_ν from one order to the next, up to α; then I_ν itself.
    let mut value = TAU.powf(0.5 * dim as f64) * base;
    denominators[..below].iter().for_each(|denominator| value /= denominator);
    let mut coefficients = Vec::with_capacity(l_max + 1);
    for (degree, (gap, denominator)) in gaps[below..].iter().zip(&denominators[below..]).take(l_max + 1).enumerate() {
        coefficients.push([value, 2.0 / lengthscale * (gap - degree as f64) * value]);
        value *= z / denominator;
    }
    coefficients
}

/// s_ν and z/r_ν for ν = lowest, lowest + 1, …, at least so many steps up.
fn ratios(lowest: f64, z: f64, steps: usize) -> (Vec<f64>, Vec<f64>) {
    // So far up that the error of the start is gone. It is small from the first for large z: below
    // (ν + 1)/2z² (Amos 1974).
    let start = steps + 40 + (6.5 * z.sqrt()).min(2e4) as usize;
    let top = lowest + start as f64 + 0.5;
    // 1 − r for the bound r ≥ z/(ν + ½ + √((ν + 3/2)² + z²)).
    let root = (top + 1.0).hypot(z);
    let mut gap = z * (top + (top + 1.0) * ((top + 1.0) / (root + z))) / (top + root);
    let (mut gaps, mut denominators) = (vec![0.0; start], vec![0.0; start]);
    for step in (0..start).rev() {
        let twice = 2.0 * (lowest + step as f64) + 2.0;
        denominators[step] = twice + (z - gap);
        gap = z * ((twice - gap) / denominators[step]);
        gaps[step] = gap;
    }
    (gaps, denominators)
}

/// e^(−z) I₀(z): by Hankel's expansion, all of whose terms are positive, or by e^z = I₀ + 2 Σ I_k.
fn order_zero(z: f64, denominators: &[f64]) -> f64 {
    if z > 30.0 {
        let (mut sum, mut term) = (0.0, 1.0);
        for k in 1..40 {
            sum += term;
            let odd = f64::from(2 * k - 1);
            term *= odd * odd / (8.0 * z * f64::from(k));
        }
        return sum / (TAU * z).sqrt();
    }
    let (mut sum, mut ratio) = (0.0, 1.0);
    for denominator in denominators {
        ratio *= z / denominator;
        sum += ratio;
    }
    1.0 / (1.0 + 2.0 * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_sphere_in_three_dimensions() {
        // a₀ = 2π ℓ² (1 − e^(−2/ℓ²)), a₁ = 2π ℓ² ((1 + e^(−2z)) − ℓ² (1 − e^(−2z))).
        for lengthscale in [0.05, 0.4, 1.0, 2.0] {
            let found = squared_exponential(3, lengthscale, 3);
            let (square, tail) = (lengthscale * lengthscale, (-2.0 / (lengthscale * lengthscale)).exp());
            let expected = [TAU * square * (1.0 - tail), TAU * square * ((1.0 + tail) - square * (1.0 - tail))];
            for degree in 0..2 {
                let error = found[degree][0] / expected[degree] - 1.0;
                assert!(error.abs() < 1e-14, "{lengthscale}, degree {degree}: {error:e}");
            }
        }
    }

    /// Σ_l N a_l/|S| = κ(1) = 1 with no sum of signs, over lengthscales on both sides of each formula's border.
    #[test]
    fn sums_to_one() {
        use crate::sphere::{area, harmonics_of_degree};
        for dim in 2..=10 {
            for lengthscale in [0.06, 0.17, 0.182, 0.183, 0.5, 3.0, 40.0, 1e9, 1e200] {
                let terms = squared_exponential(dim, lengthscale, 200).into_iter().enumerate();
                let total: f64 =
                    terms.map(|(l, a)| harmonics_of_degree(dim, l).unwrap() as f64 * a[0] / area(dim)).sum();
                assert!((total - 1.0).abs() < 2e-13, "{dim} dimensions, {lengthscale}: {total}");
            }
        }
    }

    #[test]
    fn extremes_are_limits() {
        for dim in 2..8 {
            let short = squared_exponential(dim, 1e-7, 3);
            // (2π)^((d − 1)/2) ℓ^(d − 1): the integral over the tangent plane.
            let plane = TAU.powf(0.5 * (dim as f64 - 1.0)) * 1e-7f64.powi(dim as i32 - 1);
            assert!((short[2][0] / plane - 1.0).abs() < 1e-12);
            assert!((short[2][1] * 1e-7 / plane - (dim as f64 - 1.0)).abs() < 1e-9);
            assert!(
                squared_exponential(dim, 1e-170, 3).iter().flatten().all(|value| *value == 0.0 || value.is_finite())
            );
        }
    }
}
