//! Likelihoods of one's own, from the log density of one observation.

use std::fmt::Debug;
use std::sync::LazyLock;

use rand::{Rng, SeedableRng};

use super::average::{Turn, average_of_any};
use super::expectation::{Expected, SMALL, Terms, by_quadrature};
use super::missing;
use super::one_latent::OneLatent;
use super::quadrature::{GaussHermite, deviation};
use super::solve::{Support, quantile};
use super::tails::Tails;
use crate::kernel::variables::{CHUNK, Variable, hyperparameters};
use crate::params::{Parameterized, ParameterizedExt};
use crate::{Dual, Error, Real, Result};

/// The parameters that fit into a [`Variable`] beside the latent value.
const MOST: usize = CHUNK - 1;

/// A likelihood of one's own with one latent value: log p(y | f), written once as a formula over [`Real`] numbers.
/// Implementing it makes a type a [`Likelihood`](super::Likelihood).
///
/// Derivatives in f and in the parameters are exact, by dual numbers; at most 7 parameters, in visiting order.
/// Expectations under f ~ N(μ, v) are Gauss–Hermite sums, of order 40 unless [`rule`](Self::rule) says otherwise, which
/// is accurate where log p is smooth on the scale of √v; densities of new observations are by adaptive quadrature about
/// the maxima of p(y | f) N(f; μ, v).
///
/// # Examples
///
/// The Laplace distribution, smoothed: log p = −√((y − f)²/s² + 1) − log s, up to a constant.
///
/// ```
/// use mercer::likelihood::{Likelihood, Pointwise};
/// use mercer::prelude::*;
///
/// mercer::declare! {
///     /// Noise that is normal near 0 and exponential far out.
///     pub Robust as "robust" {
///         /// The scale s.
///         scale: Scalar = Positive,
///     }
/// }
///
/// impl Pointwise for Robust {
///     fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R {
///         let miss = (f - y) / theta[0];
///         -(miss * miss + 1.0).sqrt() - theta[0].ln()
///     }
/// }
///
/// let noise = Robust::new(0.5);
/// let expected = noise.variational_expectations(&[2.0], &[2.0], &[0.0])?;
/// assert!((expected.values[0] - (-1.0 - 0.5f64.ln())).abs() < 1e-14);
/// assert!(expected.d_mean[0].abs() < 1e-14 && (expected.d_params[0] + 2.0).abs() < 1e-14);
/// assert!((expected.d_variance[0] - 0.5 * -4.0).abs() < 1e-8); // half the second derivative, −1/s²
/// # Ok::<(), Error>(())
/// ```
pub trait Pointwise: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// log p(y | f). `theta` holds the parameters in visiting order: take them from there and not from `self`, or they
    /// have no gradient. Called only for observations that are [supported](Self::supports).
    fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R;

    /// Whether the observation has a density. By default every finite number has.
    fn supports(&self, y: f64) -> bool {
        y.is_finite()
    }

    /// Mean and variance of y given f: what `predict` and `predict_observations` need; `None`, the default, where they do
    /// not exist or are not known.
    fn moments(&self, f: f64) -> Option<(f64, f64)> {
        let _ = f;
        None
    }

    /// P(Y ≤ y | f), for every number y: 0 below all that may be observed, and 1 above. It is what `cumulative`, `quantile`
    /// and the quantiles of models need; `None`, the default, where it is not known. Observations are taken to be whole numbers if
    /// none of ±½, 1½ and 2½ is [supported](Self::supports).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Likelihood, Pointwise};
    /// use mercer::prelude::*;
    /// use rand::{Rng, RngExt};
    ///
    /// mercer::declare! {
    ///     /// y is exponential with mean s·exp(f).
    ///     pub Waiting as "waiting" {
    ///         /// The mean s at f = 0.
    ///         scale: Scalar = Positive,
    ///     }
    /// }
    ///
    /// impl Pointwise for Waiting {
    ///     fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R {
    ///         -(f + theta[0].ln()) - (-f).exp() * y / theta[0]
    ///     }
    ///
    ///     fn p_below(&self, y: f64, f: f64) -> Option<f64> {
    ///         Some(if y > 0.0 { -(-y / (self.scale() * f.exp())).exp_m1() } else { 0.0 })
    ///     }
    ///
    ///     fn draw_one(&self, f: f64, rng: &mut dyn Rng) -> Option<f64> {
    ///         Some(-self.scale() * f.exp() * rng.random::<f64>().ln())
    ///     }
    /// }
    ///
    /// // The median is 2 log 2, and is exceeded by half of the draws.
    /// let likelihood = Waiting::new(2.0);
    /// let median = likelihood.quantile(0.5, &[0.0], &[0.0])?[0];
    /// assert!((median - 2.0 * 2f64.ln()).abs() < 1e-12);
    /// assert!((likelihood.cumulative(&[median], &[0.0], &[0.0])?[0] - 0.5).abs() < 1e-12);
    /// use rand::SeedableRng;
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    /// let draws = likelihood.draw(&[0.0; 1000], &mut rng)?;
    /// let above = draws.iter().filter(|&&y| y > median).count();
    /// assert!((450..550).contains(&above)); // three standard errors
    /// # Ok::<(), Error>(())
    /// ```
    fn p_below(&self, y: f64, f: f64) -> Option<f64> {
        let _ = (y, f);
        None
    }

    /// One draw of y given f: what `draw` and observations drawn from models need; `None`, the default, where nobody knows how.
    fn draw_one(&self, f: f64, rng: &mut dyn Rng) -> Option<f64> {
        let _ = (f, rng);
        None
    }

    /// The rule for expectations under N(μ, v): by default that of order 40.
    fn rule(&self) -> &GaussHermite {
        static RULE: LazyLock<GaussHermite> = LazyLock::new(|| GaussHermite::of_order(40));
        &RULE
    }
}

/// Log p(y | f) and its derivatives; the second one in f, which few need, only if asked for.
fn terms<L: Pointwise>(likelihood: &L, y: f64, curved: bool) -> impl Fn(f64) -> Terms<[f64; CHUNK]> {
    let count = likelihood.num_params().min(MOST);
    let mut theta = [Variable::from_f64(0.0); MOST];
    hyperparameters(likelihood, &mut theta, |index, value| Dual::variable(value, (index + 1).min(MOST)));
    let fixed = theta.map(|parameter| Dual::<f64, 1>::constant(parameter.value));
    move |f| {
        let all = likelihood.log_p(&theta[..count], y, Dual::variable(f, 0));
        let slope = |f: f64| likelihood.log_p(&fixed[..count], y, Dual::variable(f, 0)).partials[0];
        // The slopes are exact, so that their difference over this step is good to some ten digits.
        let step = f64::EPSILON.cbrt() * f.abs().max(1.0);
        let curvature = if curved { (slope(f + step) - slope(f - step)) / (2.0 * step) } else { 0.0 };
        let mut gradient = [0.0; CHUNK];
        gradient[..MOST].copy_from_slice(&all.partials[1..]);
        Terms { value: all.value, slope: all.partials[0], curvature, gradient }
    }
}

#[diagnostic::do_not_recommend]
impl<L: Pointwise> OneLatent for L {
    type Gradient = [f64; CHUNK];

    fn expected(&self) -> String {
        format!("the likelihood `{}` gives it no density", self.name())
    }

    fn supports(&self, y: f64) -> bool {
        Pointwise::supports(self, y)
    }

    fn terms(&self, _row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; CHUNK]> {
        terms(self, y, true)
    }

    fn check_count(&self, _: usize) -> Result<()> {
        match self.num_params() {
            0..=MOST => Ok(()),
            count => Err(Error::setting("the number of parameters of the likelihood", count, "must be at most 7")),
        }
    }

    fn check_moments(&self) -> Result<()> {
        match self.moments(0.0) {
            Some(_) => Ok(()),
            None => Err(missing(self.name(), "`Pointwise::moments` for means of new observations")),
        }
    }

    fn expectation(&self, _row: usize, y: f64, mean: f64, variance: f64) -> Expected<[f64; CHUNK]> {
        // By second derivatives where the variance is next to nothing, and by first ones elsewhere.
        by_quadrature(self.rule(), terms(self, y, variance < SMALL), mean, variance)
    }

    // The law of total variance.
    fn predict_one(&self, _row: usize, mean: f64, variance: f64) -> (f64, f64) {
        let moments = |f: f64| self.moments(f).unwrap_or((f64::NAN, f64::NAN));
        let rule = self.rule();
        let expected = rule.expectation(mean, variance, |f| moments(f).0);
        let spread = |f: f64| {
            let (m, v) = moments(f);
            v + (m - expected) * (m - expected)
        };
        (expected, rule.expectation(mean, variance, spread))
    }

    fn support(&self) -> Support {
        let between = [-0.5, 0.5, 1.5, 2.5].iter().any(|&y| Pointwise::supports(self, y));
        if between || !Pointwise::supports(self, 1.0) {
            return Support::Real;
        }
        let first = if Pointwise::supports(self, -1.0) { f64::NEG_INFINITY } else { 0.0 };
        Support::Whole { first, last: f64::INFINITY }
    }

    fn tails(&self, _row: usize, y: f64) -> impl Fn(f64) -> Tails {
        move |f| Tails::of_below(Pointwise::p_below(self, y, f).unwrap_or(f64::NAN))
    }

    fn turn(&self, _row: usize, y: f64) -> Turn {
        Turn { at: y, width: f64::INFINITY }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        self.moments(f).map_or(f, |(mean, _)| mean)
    }

    /// Where the hook turns is not known, so that the quadrature has to look for it.
    fn predictive_tails(&self, row: usize, y: f64, mean: f64, variance: f64) -> Tails {
        let tails = self.tails(row, y);
        average_of_any(|f| tails(f).below, mean, variance)
    }

    fn predictive_quantile(&self, row: usize, p: f64, mean: f64, variance: f64) -> f64 {
        let of_f = deviation(variance);
        let likely = |f: f64| self.likely(row, f);
        let given = self.moments(mean).map_or(1.0, |(_, variance)| variance.sqrt());
        let spread = given.hypot(0.5 * (likely(mean + of_f) - likely(mean - of_f)).abs());
        quantile(self.support(), p, likely(mean), spread, |y| self.predictive_tails(row, y, mean, variance))
    }

    fn draw_one(&self, _row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        Pointwise::draw_one(self, f, rng).unwrap_or(f64::NAN)
    }

    fn check_cumulative(&self) -> Result<()> {
        match Pointwise::p_below(self, 1.0, 0.0) {
            Some(_) => Ok(()),
            None => Err(missing(self.name(), "`Pointwise::p_below` for the distribution of new observations")),
        }
    }

    fn check_drawn(&self) -> Result<()> {
        // Whether the hook is there does not depend on what it draws.
        match Pointwise::draw_one(self, 0.0, &mut rand_pcg::Pcg64::seed_from_u64(0)) {
            Some(_) => Ok(()),
            None => Err(missing(self.name(), "`Pointwise::draw_one` for draws of observations")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::likelihood::{Gamma, Likelihood, StudentT};
    use crate::testkit::likelihoods::Oracle;

    // Student-t with 4 degrees of freedom: Γ(5/2)/Γ(2) = 3√π/4.
    crate::declare! {
        Heavy as "heavy" {
            scale: Scalar = Positive,
        }
    }

    impl Pointwise for Heavy {
        fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R {
            let z = (f - y) / theta[0];
            let constant = (0.75 * std::f64::consts::PI.sqrt()).ln() - 0.5 * (4.0 * std::f64::consts::PI).ln();
            (z * z / 4.0 + 1.0).ln() * -2.5 - theta[0].ln() + constant
        }

        fn moments(&self, f: f64) -> Option<(f64, f64)> {
            Some((f, 2.0 * self.scale() * self.scale()))
        }
    }

    /// All that a likelihood says, against the one that is built in.
    #[test]
    fn agrees_with_student_t() {
        let (own, built_in) = (Heavy::new(0.7), StudentT::new(0.7, 4.0));
        let (y, mean, variance) = ([3.0, 0.01, -0.8], [0.4, -1.3, 0.9], [0.1, 0.05, 0.0]);
        assert_eq!(own.latents(), 1);
        let (a, b) = (own.log_density(&y, &mean).unwrap(), built_in.log_density(&y, &mean).unwrap());
        a.iter().zip(b).for_each(|(a, b)| close("log density", *a, b, 1e-14));
        let of = |likelihood: &dyn Likelihood| likelihood.variational_expectations(&y, &mean, &variance).unwrap();
        let (a, b) = (of(&own), of(&built_in));
        for row in 0..3 {
            close("value", a.values[row], b.values[row], 1e-8);
            close("in the mean", a.d_mean[row], b.d_mean[row], 1e-7);
            close("in the variance", a.d_variance[row], b.d_variance[row], 1e-6);
        }
        close("in the scale", a.d_params[0], b.d_params[0], 1e-7);
        let of = |likelihood: &dyn Likelihood| likelihood.log_predictive_density(&y, &mean, &variance).unwrap();
        of(&own).into_iter().zip(of(&built_in)).for_each(|(a, b)| close("predictive density", a, b, 1e-9));
        let of = |likelihood: &dyn Likelihood| likelihood.predict(&mean, &variance).unwrap();
        let (a, b) = (of(&own), of(&built_in));
        for row in 0..3 {
            close("mean", a.mean[row], b.mean[row], 1e-12);
            close("variance", a.variance[row], b.variance[row], 1e-12);
        }
    }

    crate::declare! {
        Waiting as "waiting" {
            shape: Scalar = Positive,
            scale: Scalar = Positive,
        }
    }

    impl Pointwise for Waiting {
        fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R {
            // Up to ln Γ(shape), which is 0 at 1 and 2.
            let rate = theta[0] / (theta[1] * f.exp());
            theta[0] * rate.ln() + (theta[0] - 1.0) * y.ln() - rate * y
        }

        fn supports(&self, y: f64) -> bool {
            y > 0.0 && y.is_finite()
        }
    }

    #[test]
    fn agrees_with_quadrature_and_differences() {
        let likelihood = Waiting::new(2.0, 0.7);
        assert_eq!((likelihood.shape(), likelihood.scale()), (2.0, 0.7));
        Oracle::of(&likelihood).within(1e-6).at(&[3.0, 0.2], &[0.4, -1.3], &[0.3, 0.2]).check().unwrap();
        let gamma = Gamma::new(2.0);
        let own = Waiting::new(2.0, 1.0).log_predictive_density(&[3.0], &[0.4], &[0.5]).unwrap();
        close("gamma", own[0], gamma.log_predictive_density(&[3.0], &[0.4], &[0.5]).unwrap()[0], 1e-9);
    }

    #[test]
    fn refusals_say_what_is_missing() {
        assert_refused(&Waiting::new(1.0, 1.0), &[0.5], -1.0);
        let refused = Waiting::new(1.0, 1.0).predict(&[0.0], &[1.0]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the likelihood is waiting, but must implement `Pointwise::moments` for means of new observations"
        );
    }

    crate::declare! {
        Decay as "decay" {
            scale: Scalar = Positive,
        }
    }

    impl Pointwise for Decay {
        fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R {
            -(f + theta[0].ln()) - (-f).exp() * y / theta[0]
        }

        fn supports(&self, y: f64) -> bool {
            y > 0.0 && y.is_finite()
        }

        fn p_below(&self, y: f64, f: f64) -> Option<f64> {
            Some(if y > 0.0 { -(-y / (self.scale() * f.exp())).exp_m1() } else { 0.0 })
        }

        fn draw_one(&self, f: f64, rng: &mut dyn Rng) -> Option<f64> {
            Some(self.scale() * f.exp() * crate::likelihood::draws::exponential(rng))
        }
    }

    crate::declare! {
        Rare as "rare" {
            exposure: Scalar = Positive,
        }
    }

    impl Pointwise for Rare {
        fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R {
            let log_rate = f + theta[0].ln();
            log_rate * y - log_rate.exp() - libm::lgamma(y + 1.0)
        }

        fn supports(&self, y: f64) -> bool {
            y >= 0.0 && y.fract() == 0.0 && y.is_finite()
        }

        fn p_below(&self, y: f64, f: f64) -> Option<f64> {
            let rate = self.exposure() * f.exp();
            let terms = (0..=y.min(1e3) as i32).scan((-rate).exp(), |term, k| {
                let this = *term;
                *term *= rate / f64::from(k + 1);
                Some(this)
            });
            Some(if y < 0.0 { 0.0 } else { terms.sum() })
        }

        fn draw_one(&self, f: f64, rng: &mut dyn Rng) -> Option<f64> {
            Some(crate::likelihood::draws::count(self.exposure() * f.exp(), rng))
        }
    }

    /// Hooks, against the likelihoods that are built in: at all uncertainties, continuous and whole.
    #[test]
    fn distributions_from_hooks() {
        use crate::likelihood::Poisson;
        let oracle = |likelihood: &dyn Likelihood, y: &[f64]| {
            Oracle::of(likelihood).at(y, &[0.4, -0.3], &[0.3, 1.2]).within(1e-8).check_distribution().unwrap();
        };
        let (decay, rare) = (Decay::new(2.0), Rare::new(3.0));
        oracle(&decay, &[3.0, 0.2]);
        oracle(&rare, &[3.0, 0.0]);
        let (gamma, poisson) = (Gamma::new(1.0), Poisson::new().with_exposure(3.0).unwrap());
        for variance in [0.0, 1e-6, 0.5, 9.0, 1e4, 1e12] {
            for (y, mean) in [(0.3, 0.4), (2.0, 1.0), (15.0, 0.0)] {
                let of = |likelihood: &dyn Likelihood, mean: f64| {
                    likelihood.cumulative(&[y], &[mean], &[variance]).unwrap()[0]
                };
                close("decay", of(&decay, mean), of(&gamma, mean + 2f64.ln()), 1e-9);
                if variance < 1e3 {
                    close("rare", of(&rare, mean), of(&poisson, mean), 1e-9);
                }
            }
            let median =
                |likelihood: &dyn Likelihood, mean: f64| likelihood.quantile(0.5, &[mean], &[variance]).unwrap()[0];
            // Beyond, P(Y ≤ y) is all but flat.
            if variance < 10.0 {
                close("median", median(&decay, 0.4), median(&gamma, 0.4 + 2f64.ln()), 1e-7);
            }
        }
        assert_eq!(rare.quantile(0.7, &[0.4], &[0.5]), poisson.quantile(0.7, &[0.4], &[0.5]));
        // Heavy has no hooks.
        let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
        let heavy = Heavy::new(1.0);
        let errors = [
            heavy.cumulative(&[0.0], &[0.0], &[1.0]).unwrap_err(),
            heavy.quantile(0.5, &[0.0], &[1.0]).unwrap_err(),
            heavy.draw(&[0.0], &mut rng).unwrap_err(),
        ];
        for (error, hook) in errors.iter().zip(["p_below", "p_below", "draw_one"]) {
            assert!(error.to_string().contains(&format!("must implement `Pointwise::{hook}`")), "{error}");
        }
    }
}
