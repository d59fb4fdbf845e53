//! The Laplace likelihood.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

use rand::{Rng, RngExt};

use super::average::Turn;
use super::draws;
use super::expectation::{Expected, Terms};
use super::one_latent::OneLatent;
use super::quadrature::deviation;
use super::solve::Support;
use super::special::{HALF_LN_TAU, Normal, log_sum_exp, normal_cdf, normal_density};
use super::tails::Tails;

crate::declare! {
    /// Noise whose log density falls linearly: its best constant fit is the median.
    ///
    /// # Definition
    ///
    /// With scale b, f ~ N(μ, v), s = √v and m = y − μ,
    ///
    /// - log p(y | f) = −log 2b − |y − f|/b;
    /// - E |y − f| = 2 s φ(m/s) + m erf(m/(s√2)), so that no
    ///   quadrature meets the kink; its derivatives are −erf(m/(s√2)) in μ and φ(m/s)/s in v;
    /// - a new observation has the mean μ, the variance v + 2b², and the density
    ///   φ(m/s) (M(s/b − m/s) + M(s/b + m/s)) / 2b with Mills' ratio M(x) = Φ(−x)/φ(x).
    ///
    /// At v = 0 the derivative in v at m = 0 is infinite; what is given there is that of a deviation of 1e-100.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `scale` | b | that of the outputs | positive |
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Laplace, Likelihood};
    ///
    /// let noise = Laplace::new(0.5);
    /// // −log(2b) − |y − f|/b = 0 − 3
    /// assert_eq!(noise.log_density(&[2.0], &[0.5])?, [-3.0]);
    /// assert_eq!(noise.predict(&[1.0], &[0.25])?.variance, [0.75]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Koenker & Bassett (1978), "Regression quantiles", *Econometrica* 46(1), 33–50, for the median as an estimate.
    pub Laplace as "laplace" {
        /// The scale b.
        scale: Scalar = Positive,
    }
}

#[cfg(feature = "serde")]
crate::save::saved!(Laplace as "laplace": try_new(scale));

/// log (exp(s²/2b² − m/b) Φ(m/s − s/b)) with z = m/s, and the ratio s/b. It is φ(z)/φ(u) Φ(u) with u = z − s/b: the first form loses
/// nothing for u > 0, where its exponent is below m/2b, the second for u < 0.
fn side(z: f64, ratio: f64) -> f64 {
    let u = z - ratio;
    let normal = Normal::new(u);
    if u > 0.0 { ratio * (0.5 * ratio - z) + normal.ln_cdf } else { -0.5 * z * z - HALF_LN_TAU + normal.ln_mills }
}

impl OneLatent for Laplace {
    type Gradient = [f64; 1];

    fn expected(&self) -> String {
        "a Laplace likelihood takes finite numbers".to_owned()
    }

    fn supports(&self, y: f64) -> bool {
        y.is_finite()
    }

    fn terms(&self, _row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 1]> {
        let scale = self.scale();
        move |f| {
            let miss = y - f;
            let slope = if miss == 0.0 { 0.0 } else { miss.signum() / scale };
            let value = -LN_2 - scale.ln() - miss.abs() / scale;
            Terms { value, slope, curvature: 0.0, gradient: [(miss.abs() / scale - 1.0) / scale] }
        }
    }

    fn expectation(&self, _row: usize, y: f64, mean: f64, variance: f64) -> Expected<[f64; 1]> {
        let (scale, miss) = (self.scale(), y - mean);
        let deviation = deviation(variance).max(1e-100);
        let z = miss / deviation;
        let sign = libm::erf(z * FRAC_1_SQRT_2);
        let distance = 2.0 * deviation * normal_density(z) + miss * sign;
        Expected {
            value: -LN_2 - scale.ln() - distance / scale,
            d_mean: sign / scale,
            d_variance: -normal_density(z) / deviation / scale,
            gradient: [(distance / scale - 1.0) / scale],
        }
    }

    fn predict_one(&self, _row: usize, mean: f64, variance: f64) -> (f64, f64) {
        (mean, variance + 2.0 * self.scale() * self.scale())
    }

    fn log_predictive(&self, row: usize, y: f64, mean: f64, variance: f64) -> f64 {
        let (scale, miss, deviation) = (self.scale(), y - mean, deviation(variance));
        if deviation == 0.0 {
            return self.terms(row, y)(mean).value;
        }
        let (z, ratio) = (miss / deviation, deviation / scale);
        log_sum_exp([side(z, ratio), side(-z, ratio)].into_iter()) - LN_2 - scale.ln()
    }

    fn support(&self) -> Support {
        Support::Real
    }

    fn tails(&self, row: usize, y: f64) -> impl Fn(f64) -> Tails {
        move |f| self.predictive_tails(row, y, f, 0.0)
    }

    fn turn(&self, _row: usize, y: f64) -> Turn {
        Turn { at: y, width: self.scale() }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        f
    }

    /// With z = m/s > 0 the upper tail is Φ(−z) + (exp(s²/2b² − m/b) Φ(z − s/b) − exp(s²/2b² + m/b) Φ(−z − s/b)) / 2, whose last
    /// term is at most half of the first.
    fn predictive_tails(&self, _row: usize, y: f64, mean: f64, variance: f64) -> Tails {
        let (distance, deviation) = ((y - mean).abs(), deviation(variance));
        let above = if deviation == 0.0 {
            0.5 * (-distance / self.scale()).exp()
        } else {
            let (z, ratio) = (distance / deviation, deviation / self.scale());
            normal_cdf(-z) + 0.5 * (side(z, ratio).exp() - side(-z, ratio).exp())
        };
        if y > mean { Tails::of_above(above) } else { Tails::of_above(above).mirrored() }
    }

    fn draw_one(&self, _row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        let distance = self.scale() * draws::exponential(rng);
        if rng.random() { f + distance } else { f - distance }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::likelihood::Likelihood;
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        for scale in [0.3, 1.0, 5.0] {
            let likelihood = Laplace::new(scale);
            // The trapezoid rule meets the kink, and is off by a few squares of its step.
            Oracle::of(&likelihood)
                .within(2e-5)
                .at(&[3.0, 0.01, -0.8], &[0.4, -1.3, 0.9], &[0.3, 1.2, 0.8])
                .check()
                .unwrap();
        }
        let weighted: Vec<(f64, f64)> = (-30_000..=30_000).map(|i| (0.7 + 1e-3 * f64::from(i), 1e-3)).collect();
        Oracle::of(&Laplace::new(0.8)).within(1e-6).integrates_to_one(&weighted).unwrap();
    }

    /// At the centre the density of a new observation is M(s/b)/b · φ(0), and far out it is exponential.
    #[test]
    fn predictive_density_at_extremes() {
        let density = |scale: f64, y: f64, variance: f64| {
            Laplace::new(scale).log_predictive_density(&[y], &[0.0], &[variance]).unwrap()[0]
        };
        // Noise far narrower than f: N(0, v).
        close("narrow", density(1e-6, 0.0, 4.0), -HALF_LN_TAU - LN_2, 1e-11);
        close("narrow", density(1e-6, 3.0, 4.0), -HALF_LN_TAU - LN_2 - 9.0 / 8.0, 1e-11);
        // Far out: exp(v/2b² − |y|/b)/2b.
        close("far", density(0.5, 1e3, 1.0), 2.0 - 2e3, 1e-15);
        close("far", density(0.5, -1e3, 1.0), 2.0 - 2e3, 1e-15);
        // f far narrower than the noise.
        close("sharp", density(0.5, 1.0, 1e-20), -2.0, 1e-15);
        close("sharp", density(0.5, 1.0, 0.0), -2.0, 1e-15);
    }

    #[test]
    fn tails_and_support() {
        let likelihood = Laplace::new(0.5);
        assert_eq!(likelihood.log_density(&[0.0], &[1e3]).unwrap(), [-2e3]);
        let at = likelihood.variational_expectations(&[0.0, 0.0], &[1e3, 0.0], &[1.0, 0.0]).unwrap();
        assert_eq!((at.values[0], at.d_mean[0], at.d_variance[0]), (-2e3, -2.0, 0.0));
        assert!(at.values[1].abs() < 1e-99 && at.d_mean[1] == 0.0 && at.d_variance[1].is_finite());
        for bad in [f64::NAN, f64::INFINITY] {
            assert_refused(&likelihood, &[0.5], bad);
        }
        assert!(Laplace::try_new(0.0).is_err());
    }
}
