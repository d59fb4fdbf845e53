//! Incomplete gamma and beta functions, at all sizes of their arguments.
//!
//! What they are multiplied by, xᵃ e⁻ˣ / Γ(1 + a) and xᵃ (1 − x)ᵇ / B(a, b), is formed as the exponential of how far x is from the
//! centre: differences of logarithms of gamma functions, as libraries take them, leave nine digits at counts of 10⁶.

use super::gauss_kronrod::Panel;
use super::special::ln_gamma_rest;
use super::tails::Tails;

/// From here on integrals are by quadrature, whose work does not grow as √a.
const LARGE: f64 = 1e4;

/// More terms than any argument needs that is not [large](LARGE).
const MOST_TERMS: u32 = 100_000;

/// r − 1 − log r, given δ = r − 1 too: all digits near 1, by log r = 2 artanh(δ/(2 + δ)).
fn excess(ratio: f64, delta: f64) -> f64 {
    if delta.abs() > 0.3 {
        return delta - ratio.ln();
    }
    let root = delta / (2.0 + delta);
    let square = root * root;
    let series = (1..=11).rev().fold(0.0, |sum, k| (sum + 1.0 / f64::from(2 * k + 1)) * square);
    root * (delta - 2.0 * series)
}

/// Shares of Γ(a) from below x and from above: P(a, x) and Q(a, x), for a > 0.
///
/// By the series and the continued fraction of Abramowitz & Stegun (1964), eq. 6.5.29 and 6.5.31, whose terms are all of one
/// sign; for large a by quadrature.
pub(super) fn gamma_tails(a: f64, x: f64) -> Tails {
    if x.is_nan() || a.is_nan() {
        return Tails::NAN;
    }
    if x <= 0.0 {
        return Tails::NONE;
    }
    if x == f64::INFINITY || a == 0.0 {
        return Tails::ALL;
    }
    let miss = x - a;
    let rest = ln_gamma_rest(a);
    if a > LARGE && miss.abs() < 0.3 * a {
        let density = |miss: f64| {
            let delta = miss / a;
            (-a * excess(1.0 + delta, delta) - rest).exp() / (1.0 + delta)
        };
        return beyond(density, miss, a.sqrt());
    }
    // xᵃ e⁻ˣ / Γ(1 + a)
    let density = (-a * excess(x / a, miss / a) - rest).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..MOST_TERMS {
            term *= x / (a + f64::from(k));
            sum += term;
            if term < 1e-17 * sum {
                break;
            }
        }
        return Tails::of_below((density * sum).min(1.0));
    }
    let fraction = fraction(x + 1.0 - a, |k| (-k * (k - a), x + 2.0 * k + 1.0 - a));
    Tails::of_above((density * a / fraction).min(1.0))
}

/// b₀ + a₁/(b₁ + a₂/(b₂ + …)) by the method of Lentz, from aₖ and bₖ.
fn fraction(first: f64, terms: impl Fn(f64) -> (f64, f64)) -> f64 {
    const TINY: f64 = 1e-300;
    let nonzero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut value = nonzero(first);
    let (mut c, mut d) = (value, 0.0);
    for k in 1..MOST_TERMS {
        let (a, b) = terms(f64::from(k));
        d = nonzero(b + a * d).recip();
        c = nonzero(b + a / c);
        value *= c * d;
        if (c * d - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}

/// The shares of a density about 0 on both sides of a point, the one beyond it by quadrature: to nine deviations further.
fn beyond(density: impl Fn(f64) -> f64, from: f64, deviation: f64) -> Tails {
    const ENDS: [f64; 5] = [0.0, 1.0, 2.5, 5.0, 9.0];
    let outwards = |distance: f64| density(if from > 0.0 { from + distance } else { from - distance });
    let panel = |ends: &[f64]| Panel::new(&outwards, deviation * ends[0], deviation * ends[1]);
    let panels: Vec<Panel> = ENDS.windows(2).map(panel).collect();
    let rough: f64 = panels.iter().map(|panel| panel.value).sum();
    let mut spare = 60;
    let share: f64 = panels.iter().map(|panel| panel.refined(&outwards, 1e-8 * rough, &mut spare)).sum();
    if from > 0.0 { Tails::of_above(share.min(1.0)) } else { Tails::of_below(share.min(1.0)) }
}

/// Shares of B(a, b), for a and b ≥ 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct BetaTails {
    a: f64,
    b: f64,
    /// log of B(a, b)⁻¹ (a + b)/ab, without the powers that belong to x.
    rest: f64,
}

impl BetaTails {
    pub(super) fn new(a: f64, b: f64) -> Self {
        Self { a, b, rest: ln_gamma_rest(a + b) - ln_gamma_rest(a) - ln_gamma_rest(b) }
    }

    /// The shares from below x and from above, I_x(a, b) and I_y(b, a), with y = 1 − x given too: where x is near 1, all
    /// digits are in y.
    ///
    /// By the continued fraction of Abramowitz & Stegun (1964), eq. 26.5.8, on the side where it converges fast; for large a
    /// and b by quadrature.
    pub(super) fn at(&self, x: f64, y: f64) -> Tails {
        let Self { a, b, rest } = *self;
        if (x + y + a + b).is_nan() {
            return Tails::NAN;
        }
        if x <= 0.0 || b == 0.0 {
            return Tails::NONE;
        }
        if y <= 0.0 || a == 0.0 {
            return Tails::ALL;
        }
        let total = a + b;
        // (a + b) x − a
        let miss = x * b - y * a;
        let exponent = |miss: f64, x_ratio: f64, y_ratio: f64| {
            rest - a * excess(x_ratio, miss / a) - b * excess(y_ratio, -miss / b)
        };
        if a.min(b) > LARGE && miss.abs() < 0.3 * a.min(b) {
            let density = |miss: f64| {
                let (x_ratio, y_ratio) = (1.0 + miss / a, 1.0 - miss / b);
                exponent(miss, x_ratio, y_ratio).exp() / (x_ratio * y_ratio)
            };
            return beyond(density, miss, (a * (b / total)).sqrt());
        }
        let density = exponent(miss, x * (total / a), y * (total / b)).exp();
        if x * (total + 2.0) < a + 1.0 {
            Tails::of_below((density * (b / total) / beta_fraction(a, b, x)).min(1.0))
        } else {
            Tails::of_above((density * (a / total) / beta_fraction(b, a, y)).min(1.0))
        }
    }
}

/// 1 + d₁/(1 + d₂/(1 + …)) of the incomplete beta function.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    fraction(1.0, |k| {
        let m = (0.5 * k).floor();
        let d = if k == 2.0 * m {
            m * (b - m) / ((a + k - 1.0) * (a + k))
        } else {
            -((a + m) / (a + k - 1.0)) * ((a + b + m) / (a + k))
        };
        (d * x, 1.0)
    })
}

/// Those of Student's t with ν degrees of freedom.
#[derive(Clone, Copy, Debug)]
pub(super) struct StudentTails {
    nu: f64,
    beta: BetaTails,
}

impl StudentTails {
    pub(super) fn new(nu: f64) -> Self {
        Self { nu, beta: BetaTails::new(0.5 * nu, 0.5) }
    }

    pub(super) fn at(&self, t: f64) -> Tails {
        let nu = self.nu;
        let below = if nu > LARGE {
            self.nearly_normal(t.abs())
        } else {
            // ν/(ν + t²) and t²/(ν + t²), which are 0 and 1 where t² overflows.
            let ratio = t * t / nu;
            let tail = 0.5 * self.beta.at(1.0 / (1.0 + ratio), 1.0 / (1.0 + 1.0 / ratio)).below;
            Tails::of_below(tail)
        };
        if t > 0.0 { below.mirrored() } else { below }
    }

    /// P(T ≤ −t) for many degrees of freedom: that of a normal variable, with a correction whose next term is below 1e-13.
    ///
    /// Hill (1970), "Algorithm 395: Student's t-distribution", *Communications of the ACM* 13(10), 617–619.
    fn nearly_normal(&self, t: f64) -> Tails {
        let a = self.nu - 0.5;
        let square = a * (t * (t / self.nu)).ln_1p();
        let (z, b) = (square.sqrt(), 48.0 * a * a);
        let first = (square + 3.0) / b;
        let second = (((4.0 * square + 33.0) * square + 240.0) * square + 855.0) / (10.0 * b * (b + 0.8 * square * square + 100.0));
        Tails::normal(-z * (1.0 + first - second))
    }
}

/// The share of Γ(a) from below x for x → 0 is xᵃ/Γ(1 + a): log Γ(1 + a), as tests need it.
#[cfg(test)]
fn ln_factorial(a: f64) -> f64 {
    libm::lgamma(1.0 + a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance * expected.abs(), "{what}: {found:e} is not {expected:e}");
    }

    #[test]
    fn excess_keeps_its_digits() {
        for delta in [1e-9f64, -1e-6, 0.01, -0.299, 0.299] {
            // δ²/2 − δ³/3 + …
            let series: f64 = (2..200).rev().map(|k| (-delta).powi(k) / f64::from(k)).sum();
            close("series", excess(1.0 + delta, delta), series, 1e-15);
        }
        close("ends", excess(1.3, 0.3), 0.3 - 1.3f64.ln(), 1e-15);
        close("far", excess(1e-300, -1.0), -1.0 + 300.0 * 10f64.ln(), 1e-15);
    }

    /// Against closed forms: exponential, half-integer and whole shapes.
    #[test]
    fn gamma_functions_in_closed_form() {
        for x in [1e-300, 1e-9, 0.3, 1.0, 2.5, 40.0, 700.0] {
            let found = gamma_tails(1.0, x);
            close("P(1, x)", found.below, -f64::exp_m1(-x), 3e-15);
            close("Q(1, x)", found.above, (-x).exp(), 2e-13);
            let found = gamma_tails(0.5, x);
            close("P(½, x)", found.below, libm::erf(x.sqrt()), 1e-14);
            close("Q(½, x)", found.above, libm::erfc(x.sqrt()), 2e-13);
            // Q(5, x) = e⁻ˣ Σ xᵏ/k!
            let sum = 1.0 + x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0)));
            close("Q(5, x)", gamma_tails(5.0, x).above, (-x).exp() * sum, 2e-13);
        }
        close("small", gamma_tails(3.3, 1e-9).below, (-20.7 * 3.3 + 0.0 - ln_factorial(3.3)).exp() * (1e-9f64.ln() * 3.3 + 20.7 * 3.3).exp(), 1e-8);
        let ends = [gamma_tails(2.0, 0.0), gamma_tails(2.0, f64::INFINITY), gamma_tails(0.0, 1.0)];
        assert_eq!(ends, [Tails::NONE, Tails::ALL, Tails::ALL]);
        assert!(gamma_tails(2.0, f64::NAN).below.is_nan());
    }
}
