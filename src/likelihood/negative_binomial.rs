//! The negative binomial likelihood.

use std::f64::consts::PI;

use rand::Rng;

use super::average::Turn;
use super::bend::Bend;
use super::draws;
use super::expectation::Terms;
use super::incomplete::BetaTails;
use super::one_latent::{OneLatent, quadrature_setting};
use super::poisson::is_count;
use super::quadrature::GaussHermite;
use super::solve::Support;
use super::special::{digamma, ln_1p_excess, log_normal_moments, logistic, softplus};
use super::tails::Tails;

crate::declare! {
    /// Counts that scatter more than Poisson ones about the mean exp(f).
    ///
    /// # Definition
    ///
    /// With dispersion α, r = 1/α and m = exp(f),
    ///
    /// p(y | f) = Γ(y + r) / (Γ(r) y!) · (αm)ʸ / (1 + αm)^(y + r), of mean m and variance m + α m².
    ///
    /// As α → 0 it is [`Poisson`](super::Poisson), and stays accurate on the way: Γ(y + r) αʸ / Γ(r) is formed as the
    /// product of 1 + αi over i < y for small counts, and as one Stirling series for large r.
    ///
    /// A new observation has the mean M = exp(μ + v/2) and the variance M + M² (α exp(v) + exp(v) − 1).
    /// Expectations, and log densities of new observations, are by quadrature that follows the variance of f, within 1e-9 of
    /// themselves or of 1.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `dispersion` | α | 1 / count | positive |
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Likelihood, NegativeBinomial};
    ///
    /// let likelihood = NegativeBinomial::new(0.5);
    /// // α = ½, m = 2: p(0) = (1 + αm)^(−1/α) = ¼
    /// assert!((likelihood.log_density(&[0.0], &[2f64.ln()])?[0] - 0.25f64.ln()).abs() < 1e-15);
    /// let predicted = likelihood.predict(&[0.0], &[0.0])?;
    /// assert_eq!((predicted.mean[0], predicted.variance[0]), (1.0, 1.5));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Hilbe (2011), *Negative Binomial Regression*, second edition: the parametrisation NB2.
    pub NegativeBinomial as "negative_binomial" {
        /// The dispersion α.
        dispersion: Scalar = Positive,
        state quadrature: Option<GaussHermite>,
    }
}

#[cfg(feature = "serde")]
crate::save::saved!(NegativeBinomial as "negative_binomial": try_new(dispersion), quadrature);

impl NegativeBinomial {
    quadrature_setting!(
        "Takes Gauss–Hermite quadrature of this order in all that has no closed form, at all variances, as other libraries do."
    );
}

/// log (Γ(y + r) / (Γ(r) rʸ)) with r = 1/α, which is Σ log(1 + αi) over i < y, and its derivative in α.
fn log_rising(y: f64, alpha: f64) -> (f64, f64) {
    if y <= 64.0 {
        let terms = (0..y as u32).map(|i| (alpha * f64::from(i), f64::from(i)));
        return terms.fold((0.0, 0.0), |(value, slope), (u, i)| (value + u.ln_1p(), slope + i / (1.0 + u)));
    }
    let r = 1.0 / alpha;
    if r < 1e3 {
        let value = libm::lgamma(y + r) - libm::lgamma(r) - y * r.ln();
        return (value, r * (y - r * (digamma(y + r) - digamma(r))));
    }
    // Stirling: log Γ(x) = (x − ½) log x − x + ½ log 2π + 1/(12x) − …, the next term below 3e-12 of 1.
    let (q, total) = (y / r, y + r);
    let value = (total - 0.5) * q.ln_1p() - y + (1.0 / total - 1.0 / r) / 12.0;
    // −r² (log(1 + q) − q), where log(1 + q) − q = excess − q²/(1 + q)
    let leading = r * r * (q * y / total - ln_1p_excess(q));
    let slope = leading - 0.5 * y * r / total - (1.0 - (r / total) * (r / total)) / 12.0;
    (value, slope)
}

impl OneLatent for NegativeBinomial {
    type Gradient = [f64; 1];
    const LOG_CONCAVE: bool = true;

    fn expected(&self) -> String {
        "a negative binomial likelihood takes counts: whole numbers, at least 0".to_owned()
    }

    fn supports(&self, y: f64) -> bool {
        is_count(y)
    }

    fn fixed_rule(&self) -> Option<&GaussHermite> {
        self.quadrature.as_ref()
    }

    fn terms(&self, _row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 1]> {
        let alpha = self.dispersion();
        let r = 1.0 / alpha;
        let log_alpha = alpha.ln();
        let (log_rising, d_log_rising) = log_rising(y, alpha);
        let constant = log_rising - libm::lgamma(y + 1.0);
        move |f| {
            // log(1 + αm), and p = αm / (1 + αm)
            let (log_total, p) = (softplus(f + log_alpha), logistic(f + log_alpha));
            let wrong = logistic(-f - log_alpha);
            // log(1 + αm) − p, small beside both where αm is.
            let excess = if p < 0.1 { ln_1p_excess((f + log_alpha).exp()) } else { log_total - p };
            Terms {
                value: constant + y * f - (y + r) * log_total,
                slope: y * wrong - r * p,
                curvature: -(y + r) * p * wrong,
                gradient: [d_log_rising + r * (r * excess - y * p)],
            }
        }
    }

    fn bend(&self, _row: usize, y: f64) -> Bend {
        // 1 + α exp(f) is 0 at −log α + iπ. Below it log p falls as exp(f).
        let alpha = self.dispersion();
        Bend { size: y + 1.0 / alpha, growth: 1.0, ..Bend::new(-alpha.ln(), PI) }
    }

    fn predict_one(&self, _row: usize, mean: f64, variance: f64) -> (f64, f64) {
        let (rate, spread) = log_normal_moments(1.0, mean, variance, self.dispersion());
        (rate, rate + spread)
    }

    fn support(&self) -> Support {
        Support::COUNTS
    }

    fn tails(&self, _row: usize, y: f64) -> impl Fn(f64) -> Tails {
        // P(Y ≤ y) = I_x(r, y + 1) with x = 1/(1 + αm).
        let (beta, log_alpha) = (BetaTails::new(1.0 / self.dispersion(), y + 1.0), self.dispersion().ln());
        move |f| beta.at(logistic(-f - log_alpha), logistic(f + log_alpha))
    }

    fn turn(&self, _row: usize, y: f64) -> Turn {
        Turn { at: (y + 0.7).ln(), width: (self.dispersion() + 1.0 / (y + 1.0)).sqrt().min(Turn::LOGISTIC) }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        f.exp().floor()
    }

    fn draw_one(&self, _row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        // A Poisson count whose rate is m times a gamma variable of mean 1 and variance α.
        let alpha = self.dispersion();
        draws::count((f + alpha.ln() + draws::ln_gamma(1.0 / alpha, rng)).exp(), rng)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::assert_refused;
    use super::*;
    use crate::likelihood::{Likelihood, Poisson};
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        for dispersion in [0.01, 0.5, 3.0] {
            let likelihood = NegativeBinomial::new(dispersion).with_quadrature(100).unwrap();
            Oracle::of(&likelihood).at(&[3.0, 0.0, 90.0], &[0.4, 1.3, 2.0], &[0.3, 1.2, 0.8]).check().unwrap();
        }
        let support: Vec<f64> = (0..3000).map(f64::from).collect();
        Oracle::of(&NegativeBinomial::new(0.4)).within(2e-6).sums_to_one(&support).unwrap();
    }

    #[test]
    fn the_default_order_is_as_accurate_as_documented() {
        for y in [0.0, 1.0, 7.0, 1e3] {
            for mean in [-2.0, 0.0, 3.0, 8.0] {
                Oracle::of(&NegativeBinomial::new(0.4)).within(1e-7).at(&[y], &[mean], &[1.0]).check_values().unwrap();
                Oracle::of(&NegativeBinomial::new(0.4))
                    .within(1e-4)
                    .at(&[y], &[mean], &[4.0])
                    .check_predictive()
                    .unwrap();
            }
        }
    }

    /// The three ways to the product agree where they meet, and end at the Poisson likelihood.
    #[test]
    fn small_dispersions_and_large_counts() {
        for (y, alpha) in [(64.0, 1e-2), (65.0, 1e-2), (65.0, 1.0001e-3), (65.0, 0.9999e-3), (200.0, 1e-7), (5e3, 1e-5)]
        {
            let terms = (0..y as u32).map(f64::from);
            let value: f64 = terms.clone().map(|i| (alpha * i).ln_1p()).sum();
            let slope: f64 = terms.map(|i| i / (1.0 + alpha * i)).sum();
            let found = log_rising(y, alpha);
            // Differences of logarithms of the order of y lose as much.
            assert!(
                (found.0 - value).abs() < 1e-15 * y * y.ln() * (1.0 + (1.0 / alpha).ln()),
                "{y} {alpha}: {found:?} {value}"
            );
            assert!((found.1 / slope - 1.0).abs() < 1e-9, "{y} {alpha}: {found:?} {slope}");
        }
        for y in [0.0, 5.0, 300.0] {
            let few = NegativeBinomial::new(1e-13).log_density(&[y], &[1.5]).unwrap()[0];
            let poisson = Poisson::new().log_density(&[y], &[1.5]).unwrap()[0];
            assert!((few - poisson).abs() < 1e-8, "{y}: {few} {poisson}");
        }
        // At α → 0 the derivative is ½ ((y − m)² − y).
        let slope = NegativeBinomial::new(1e-9).variational_expectations(&[5.0], &[0.3], &[0.0]).unwrap().d_params[0];
        assert!((slope / (0.5 * ((5.0 - 0.3f64.exp()).powi(2) - 5.0)) - 1.0).abs() < 1e-7, "{slope}");
    }

    /// Far out log p is linear in f: −f/α to the right, y f to the left.
    #[test]
    fn tails() {
        let at = |f: f64| NegativeBinomial::new(0.5).log_density(&[3.0], &[f]).unwrap()[0];
        assert!((at(1e3) - at(2e3) - 2e3).abs() < 1e-9 && (at(-1e3) - at(-2e3) - 3e3).abs() < 1e-9);
        for bad in [-1.0, 0.5, f64::NAN] {
            assert_refused(&NegativeBinomial::new(0.5), &[0.0, 3.0], bad);
        }
        assert!(NegativeBinomial::try_new(0.0).is_err());
    }
}
