//! Functions of the gamma family.

/// From here on the asymptotic series of ψ has all digits.
const ASYMPTOTIC: f64 = 12.0;

/// ψ(x) = d log Γ/dx for x > 0: a few ulps off, near the zero at 1.46 of 1 rather than of the value.
///
/// ψ(x) = ψ(x + 1) − 1/x up to 12, and there ln x − 1/(2x) − Σ B₂ₖ/(2k x²ᵏ), whose first term left out
/// is below 4e-17. Abramowitz & Stegun (1964), *Handbook of Mathematical Functions*, eq. 6.3.5 and 6.3.18.
pub(crate) fn digamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < ASYMPTOTIC {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let s = 1.0 / (x * x);
    let series = s
        * (1.0 / 12.0
            - s * (1.0 / 120.0
                - s * (1.0 / 252.0 - s * (1.0 / 240.0 - s * (1.0 / 132.0 - s * (691.0 / 32760.0 - s / 12.0))))));
    shift + x.ln() - 0.5 / x - series
}

/// log Γ(x + ½) − log Γ(x) for x > 0, and its derivative: by the asymptotic series from 20 on, where the
/// two logarithms agree in their leading digits. Its first term left out is below 1e-16.
///
/// Tricomi & Erdélyi (1951), "The asymptotic expansion of a ratio of gamma functions", *Pacific Journal of
/// Mathematics* 1(1), 133–142.
pub(crate) fn ln_gamma_half_step(x: f64) -> (f64, f64) {
    if x < 20.0 {
        return (libm::lgamma(x + 0.5) - libm::lgamma(x), digamma(x + 0.5) - digamma(x));
    }
    let s = 1.0 / (x * x);
    let value = (-1.0 / 8.0 + s * (1.0 / 192.0 + s * (-1.0 / 640.0 + s * (17.0 / 14336.0 - s * 31.0 / 18432.0)))) / x;
    let slope = s * (1.0 / 8.0 + s * (-1.0 / 64.0 + s * (1.0 / 128.0 + s * (-17.0 / 2048.0 + s * 31.0 / 2048.0))));
    (0.5 * x.ln() + value, 0.5 / x + slope)
}
