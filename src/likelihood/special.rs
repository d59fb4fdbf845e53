//! Functions of the logistic, gamma and normal families, arranged for their tails.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

pub(super) use crate::scalar::special::{digamma, ln_gamma_half_step};

/// ½ log 2π
pub(super) const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// 1 / (1 + e⁻ˣ), to full relative precision on both sides.
pub(super) fn logistic(x: f64) -> f64 {
    if x < 0.0 {
        let e = x.exp();
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + (-x).exp())
    }
}

/// log(1 + eˣ)
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// What 1/(1 + e⁻ˣ) is made of, from one exponential.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logistic {
    /// 1/(1 + e⁻ˣ) and 1/(1 + eˣ), to full relative precision on both sides.
    pub(super) right: f64,
    pub(super) wrong: f64,
    /// log of the first
    pub(super) ln_right: f64,
}

impl Logistic {
    pub(super) fn new(x: f64) -> Self {
        let e = (-x.abs()).exp();
        let larger = 1.0 / (1.0 + e);
        let (right, wrong) = if x < 0.0 { (e * larger, larger) } else { (larger, e * larger) };
        Self { right, wrong, ln_right: x.min(0.0) - e.ln_1p() }
    }
}

/// For f ~ N(mean, variance), the mean M of scale · exp(f), and M² (relative · eᵛ + eᵛ − 1): the variance of an
/// observation whose deviation is √relative times scale · exp(f). Infinite where they overflow.
pub(super) fn log_normal_moments(scale: f64, mean: f64, variance: f64, relative: f64) -> (f64, f64) {
    let variance = if variance < 0.0 { 0.0 } else { variance };
    // Halves, since a scale below 1 may bring back what has overflowed.
    let times_exp = |exponent: f64| scale * (0.5 * exponent).exp() * (0.5 * exponent).exp();
    let root = times_exp(mean + variance);
    let share = relative - (-variance).exp_m1();
    (times_exp(mean + 0.5 * variance), if share == 0.0 { 0.0 } else { root * share * root })
}

/// log Σ exp of some numbers; −∞ for none.
pub(super) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    // Unlike `f64::max`, which passes over a NaN.
    let larger = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
    let largest = values.clone().fold(f64::NEG_INFINITY, larger);
    if largest.is_infinite() {
        return largest;
    }
    largest + values.map(|value| (value - largest).exp()).sum::<f64>().ln()
}

/// Below, asymptotic series are entered by the recurrence.
const ASYMPTOTIC: f64 = 12.0;

/// ψ′(x) for x > 0: a few ulps off. Abramowitz & Stegun (1964), eq. 6.4.6 and 6.4.12.
pub(super) fn trigamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < ASYMPTOTIC {
        shift += 1.0 / (x * x);
        x += 1.0;
    }
    let s = 1.0 / (x * x);
    let series = 1.0 / 6.0
        - s * (1.0 / 30.0
            - s * (1.0 / 42.0 - s * (1.0 / 30.0 - s * (5.0 / 66.0 - s * (691.0 / 2730.0 - s * 7.0 / 6.0)))));
    shift + 1.0 / x + s * (0.5 + series / x)
}

/// log Γ(1 + x) − x log x + x for x ≥ 0: what Stirling's formula leaves, ½ log 2πx + …, from 20 on by its series, whose
/// first term left out is below 1e-15.
pub(super) fn ln_gamma_rest(x: f64) -> f64 {
    if x < 20.0 {
        let product = if x > 0.0 { x * x.ln() } else { 0.0 };
        return libm::lgamma(1.0 + x) - product + x;
    }
    let s = 1.0 / (x * x);
    let series = (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0)))) / x;
    HALF_LN_TAU + 0.5 * x.ln() + series
}

/// log(1 + x) − x / (1 + x) for x > 0: with p = x / (1 + x) it is Σ pᵏ/k from k = 2 on, all of one sign.
pub(super) fn ln_1p_excess(x: f64) -> f64 {
    let p = 1.0 / (1.0 + 1.0 / x);
    if p > 0.1 {
        return x.ln_1p() - p;
    }
    p * p * (2..=18).rev().fold(0.0, |sum, k| sum * p + 1.0 / f64::from(k))
}

/// Φ(z) and what belongs to it, without underflow: from the continued fraction of Mills' ratio,
/// Φ(−x)/φ(x) = 1/(x + 1/(x + 2/(x + …))), in the left tail; from erfc elsewhere.
/// Abramowitz & Stegun (1964), eq. 26.2.14.
#[derive(Clone, Copy, Debug)]
pub(super) struct Normal {
    /// log Φ(z)
    pub(super) ln_cdf: f64,
    /// log (Φ(z)/φ(z)): no cancellation in the left tail, where log Φ and log φ agree in most digits.
    pub(super) ln_mills: f64,
    /// h = φ(z)/Φ(z), the derivative of log Φ
    pub(super) hazard: f64,
    /// h + z > 0: the second derivative of log Φ is −h (h + z). In the left tail h and z cancel; there
    /// it comes from the fraction itself.
    pub(super) excess: f64,
}

impl Normal {
    /// Where the continued fraction takes over.
    const TAIL: f64 = -5.0;

    /// Beyond, two terms are exact, and products of more would overflow.
    const FAR: f64 = -1e9;

    /// 2/(x + 3/(x + …)) for x = −z, with as many terms as all digits need: 31 at −5, 13 at −12.
    fn rest(z: f64) -> f64 {
        if z < Self::FAR {
            return -2.0 / z;
        }
        let terms = (8.0 + 580.0 / (z * z)).ceil() as u32;
        // As one quotient, since each division would wait for the one before.
        let (mut above, mut below) = (0.0, 1.0);
        for k in (2..=terms).rev() {
            (above, below) = (f64::from(k) * below, above - z * below);
        }
        above / below
    }

    pub(super) fn new(z: f64) -> Self {
        let ln_density = -0.5 * z * z - HALF_LN_TAU;
        if z < Self::TAIL {
            let excess = 1.0 / (Self::rest(z) - z);
            let hazard = excess - z;
            let ln_mills = -hazard.ln();
            return Self { ln_cdf: ln_density + ln_mills, ln_mills, hazard, excess };
        }
        let ln_cdf = if z > 0.0 {
            (-0.5 * libm::erfc(z * FRAC_1_SQRT_2)).ln_1p()
        } else {
            (0.5 * libm::erfc(-z * FRAC_1_SQRT_2)).ln()
        };
        let hazard = (ln_density - ln_cdf).exp();
        Self { ln_cdf, ln_mills: ln_cdf - ln_density, hazard, excess: hazard + z }
    }
}

/// φ(z)
pub(crate) fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Φ(z)
pub(super) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EULER: f64 = 0.577_215_664_901_532_9;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1e-300), "{found} is not {expected}");
    }

    #[test]
    fn digamma_at_known_points() {
        close(digamma(1.0), -EULER, 1e-15);
        close(digamma(0.5), -EULER - 2.0 * 2f64.ln(), 1e-15);
        close(digamma(0.25), -EULER - PI / 2.0 - 3.0 * 2f64.ln(), 1e-15);
        close(digamma(11.0), (1..=10).map(|k| 1.0 / f64::from(k)).sum::<f64>() - EULER, 1e-15);
        close(digamma(1e-8), -1e8 - EULER, 1e-15);
        // ψ(2x) = ½ψ(x) + ½ψ(x + ½) + log 2
        for x in [0.3, 2.7, 6.2, 15.0, 400.0] {
            close(digamma(2.0 * x), 0.5 * (digamma(x) + digamma(x + 0.5)) + 2f64.ln(), 3e-15);
        }
        close(trigamma(1.0), PI * PI / 6.0, 1e-15);
        close(trigamma(0.5), PI * PI / 2.0, 1e-15);
        for x in [0.3, 2.7, 6.2, 15.0, 400.0] {
            close(trigamma(2.0 * x), 0.25 * (trigamma(x) + trigamma(x + 0.5)), 2e-15);
        }
    }

    /// Both branches of the normal tail against each other, and the leading terms of the asymptotic
    /// expansion, Φ(−x)/φ(x) = 1/x (1 − 1/x² + 3/x⁴ − …), far out.
    #[test]
    fn normal_tails() {
        let (before, after) = (Normal::new(-5.0), Normal::new(-5f64.next_up()));
        close(after.ln_cdf, before.ln_cdf, 1e-15);
        close(after.hazard, before.hazard, 3e-15);
        close(after.excess, before.excess, 1e-13);
        // log Φ(−5) and Φ(1), from tables.
        close(before.ln_cdf, -15.064_998_393_988_726, 1e-15);
        close(normal_cdf(1.0), 0.841_344_746_068_542_9, 1e-15);
        for z in [-5.1, -5.5, -6.0, -7.0, -8.0, -10.0, -12.0, -15.0, -20.0, -30.0, -50.0, -100.0, -1e4] {
            let rest = (2..=400).rev().fold(0.0, |tail, k| f64::from(k) / (tail - z));
            close(Normal::new(z).excess, 1.0 / (rest - z), 1e-15);
        }
        for x in [1e3, 1e6, 1e12, 1e150] {
            let tail = Normal::new(-x);
            let s = 1.0 / (x * x);
            close(tail.ln_cdf, -0.5 * x * x - HALF_LN_TAU - x.ln() + (-s + 3.0 * s * s).ln_1p(), 1e-15);
            close(tail.excess, (1.0 - 2.0 * s + 10.0 * s * s) / x, 1e-15);
            close(tail.hazard, x + (1.0 - 2.0 * s) / x, 1e-15);
        }
        let right = Normal::new(1e3);
        assert_eq!((right.ln_cdf, right.hazard, right.excess), (0.0, 0.0, 1e3));
    }

    #[test]
    fn differences_that_cancel() {
        // Γ(x + ½)/Γ(x) by products from where the logarithms are still accurate.
        for steps in [0, 1, 40] {
            let x = 19.5 + f64::from(steps);
            let product: f64 = (0..steps).map(|i| (19.5 + 0.5 + f64::from(i)) / (19.5 + f64::from(i))).product();
            let from_below = libm::lgamma(20.0) - libm::lgamma(19.5) + product.ln();
            close(ln_gamma_half_step(x).0, from_below, 2e-14);
            close(ln_gamma_half_step(x).1, digamma(x + 0.5) - digamma(x), 1e-12);
        }
        // x − ½x² + … − x (1 − x + …) = ½x² − ⅔x³
        close(ln_1p_excess(1e-6), 0.5e-12 - 2e-18 / 3.0, 1e-11);
        let (below, above) = (0.1 / 0.9 * (1.0 - 1e-9), 0.1 / 0.9 * (1.0 + 1e-9));
        close(ln_1p_excess(below), ln_1p_excess(above), 5e-9);
        close(ln_1p_excess(below), below.ln_1p() - below / (1.0 + below), 1e-13);
    }

    #[test]
    fn what_is_left_of_log_gamma() {
        // Γ(1) and Γ(2) are 1.
        assert_eq!((ln_gamma_rest(0.0), ln_gamma_rest(1.0)), (0.0, 1.0));
        close(ln_gamma_rest(20.0), ln_gamma_rest(20f64.next_down()), 1e-14);
        for x in [25.0, 300.0] {
            close(ln_gamma_rest(x), libm::lgamma(1.0 + x) - x * x.ln() + x, 1e-12);
        }
    }

    #[test]
    fn logistic_family() {
        close(logistic(-800.0), 0.0, 0.0);
        close(logistic(-700.0), (-700f64).exp(), 1e-15);
        close(logistic(0.3) + logistic(-0.3), 1.0, 1e-15);
        for x in [-800.0, -30.0, -0.4, 0.0, 0.4, 3.0, 800.0] {
            let found = Logistic::new(x);
            close(found.right, logistic(x), 5e-16);
            close(found.wrong, logistic(-x), 5e-16);
            close(found.ln_right, -softplus(-x), 0.0);
        }
        assert_eq!((softplus(1e3), softplus(-1e3)), (1e3, 0.0));
        close(log_sum_exp([1e3, 1e3].into_iter()), 1e3 + 2f64.ln(), 1e-15);
        assert_eq!(log_sum_exp(std::iter::empty()), f64::NEG_INFINITY);
        assert!(log_sum_exp([f64::NAN, f64::NEG_INFINITY].into_iter()).is_nan());
    }
}
