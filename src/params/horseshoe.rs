//! The exponential integral behind the density of the horseshoe.

/// Euler's constant.
const GAMMA: f64 = 0.577_215_664_901_532_9;

/// The horseshoe of scale 1 without its normalisation, h(z) = eᵃ E₁(a) with a = z²/2: log h, and
/// −z h′(z) / (2 h(z)) = 1/h − a, which lies between 0 and 1.
///
/// `log_z` is log |z|: with it both are right where z² underflows or overflows. Both are NaN for NaN.
///
/// # References
///
/// DLMF 6.6.2 (series) and 6.9.1, of which this is the even part (continued fraction).
pub(super) fn log_and_decline(z: f64, log_z: f64) -> (f64, f64) {
    let a = 0.5 * z * z;
    let log_a = 2.0 * log_z - std::f64::consts::LN_2;
    if a <= 1.0 {
        // E₁(a) = −γ − log a − Σₖ (−a)ᵏ / (k k!)
        let (mut power, mut sum) = (1.0, 0.0);
        for k in 1..=20 {
            power *= -a / f64::from(k);
            sum += power / f64::from(k);
        }
        let integral = -GAMMA - log_a - sum;
        return (a + integral.ln(), (-a).exp() / integral - a);
    }
    // 1/h = a + 1 − c with c = 1²/(a + 3 − 2²/(a + 5 − 3²/(a + 7 − …))): 1/h − a without cancellation.
    // The error after n terms is that of exp(−4 √(n a)).
    let terms = 20 + (100.0 / a) as u32;
    let c = (1..=terms).rev().map(f64::from).fold(0.0, |rest, k| k * k / (a + 2.0 * k + 1.0 - rest));
    let log = if a.is_infinite() { -log_a } else { -(a + 1.0 - c).ln() };
    (log, 1.0 - c)
}

#[cfg(test)]
mod tests {
    use super::log_and_decline;

    /// From 40 digits of E₁ (mpmath).
    #[test]
    fn known_values() {
        // log h = log p + log √(2 π³), and h′/h = d log p / dz.
        let constant = 0.5 * (2.0 * std::f64::consts::PI.powi(3)).ln();
        for (z, log_density, gradient) in [
            (1e-8, 1.5460945837915536, -5411651.76737152),
            (0.3, -1.0753946676139206, -2.18145785803686),
            (1.0, -2.1438912910988606, -1.16705705797062),
            (1.41, -2.576563347135755, -0.958963231213786),
            (1.42, -2.586132622827631, -0.954898055868087),
            (5.0, -4.661493739665927, -0.37379621396156),
            (30.0, -8.175130863759048, -0.0665194967758854),
        ] {
            let (log, decline) = log_and_decline(z, f64::ln(z));
            assert!((log - constant - log_density).abs() < 4e-15 * (1.0 + log_density.abs()), "{z}");
            assert!((-2.0 * decline / z / gradient - 1.0).abs() < 5e-14, "{z}");
        }
    }

    #[test]
    fn squares_may_underflow_and_overflow() {
        let (log, decline) = log_and_decline(1e-200, f64::ln(1e-200));
        let constant = 0.5 * (2.0 * std::f64::consts::PI.powi(3)).ln();
        assert!((log - constant - 4.761954436424593).abs() < 1e-14);
        assert!(decline > 0.0 && decline < 2e-3);
        let (log, decline) = log_and_decline(1e200, f64::ln(1e200));
        assert!((log + 400.0 * std::f64::consts::LN_10 - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(decline, 1.0);
    }
}
