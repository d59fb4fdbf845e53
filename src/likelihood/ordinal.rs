//! The ordinal likelihood.

use rand::Rng;

use super::average::Turn;
use super::bend::Bend;
use super::draws;
use super::expectation::Terms;
use super::one_latent::{OneLatent, quadrature_setting};
use super::poisson::is_count;
use super::quadrature::{GaussHermite, deviation};
use super::solve::Support;
use super::special::{Normal, normal_cdf, normal_density};
use super::tails::Tails;
use crate::params::{Constraint, Parameter, ParameterArray, Shape};
use crate::{Error, Result, parameterized};

/// Ordered categories 0, 1, …, C − 1: which of the intervals between C − 1 cut points f and noise of
/// variance 1 fall into.
///
/// # Definition
///
/// With cut points c₁ < … < c_{C−1}, c₀ = −∞ and c_C = ∞,
///
/// - p(y = k | f) = Φ(c_{k+1} − f) − Φ(c_k − f);
/// - a new observation has the same probabilities with √(1 + v) dividing both differences; the mean and the
///   variance predicted are those of the category's number.
///
/// The scale of the latent function belongs to the kernel: a factor in front of it is the only one that is
/// needed. Expectations are by quadrature that follows the variance of f, within 1e-9 · (1 + |E|).
///
/// The parameters are the first cut point and the positive gaps to the next ones, so that the order holds
/// throughout. Differences of Φ are formed where Φ is small, through Mills' ratio, with the gap as it
/// stands: log densities keep their digits in both tails, but for a relative ε / gap of narrow categories.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `first_cut` | c₁ | that of f | any finite number |
/// | `gaps[i]` | c_{i+2} − c_{i+1} | that of f | positive |
///
/// # Examples
///
/// ```
/// use mercer::likelihood::{Likelihood, Ordinal};
/// use mercer::prelude::*;
///
/// let likelihood = Ordinal::new(&[-1.0, 1.0]);
/// assert_eq!(likelihood.get("ordinal.gaps[0]")?, 2.0);
/// // Within one deviation of 0: Φ(1) − Φ(−1).
/// assert!((likelihood.log_density(&[1.0], &[0.0])?[0].exp() - 0.6826894921370859).abs() < 1e-15);
/// assert!((likelihood.probabilities(0.0, 0.0).iter().sum::<f64>() - 1.0).abs() < 1e-15);
///
/// let error = likelihood.log_density(&[3.0], &[0.0]).unwrap_err();
/// assert_eq!(error.to_string(), "y[0] is 3, but an ordinal likelihood of 3 categories takes 0, 1, ..., 2");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Chu & Ghahramani (2005), "Gaussian processes for ordinal regression", *Journal of Machine Learning
/// Research* 6, 1019–1041 (there with a noise variance).
#[derive(Clone, Debug, PartialEq)]
pub struct Ordinal {
    pub(super) first_cut: Parameter,
    pub(super) gaps: ParameterArray,
    pub(super) quadrature: Option<GaussHermite>,
}

parameterized!(Ordinal as "ordinal", parameters: [first_cut, gaps]);

impl Ordinal {
    /// Categories between these cut points, one more than there are cut points.
    ///
    /// # Panics
    ///
    /// If the cut points are not finite and ascending; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(cuts: &[f64]) -> Self {
        crate::error::literal(Self::try_new(cuts))
    }

    /// Categories between these cut points, one more than there are cut points.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] for none; [`Error::Parameter`], by its number, for a cut point that is not finite or
    /// not above the one before.
    pub fn try_new(cuts: &[f64]) -> Result<Self> {
        let Some(&first) = cuts.first() else {
            return Err(Error::Empty { what: "the list of cut points".to_owned() });
        };
        if let Some(i) = cuts.windows(2).position(|pair| !Constraint::Positive.admits(pair[1] - pair[0])) {
            let expected = format!("finite and above cuts[{i}] = {}", cuts[i]);
            return Err(Error::Parameter { path: format!("cuts[{}]", i + 1), value: cuts[i + 1], expected });
        }
        let gaps: Vec<f64> = cuts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let shape = Shape::Vector(gaps.len());
        Ok(Self {
            first_cut: Parameter::new("first_cut", first, Constraint::Real)?,
            gaps: ParameterArray::new("gaps", gaps, shape, Constraint::Positive)?,
            quadrature: None,
        })
    }

    quadrature_setting!(
        "Takes Gauss–Hermite quadrature of this order for expectations at all variances, as other libraries do."
    );

    /// The cut points, ascending.
    pub fn cuts(&self) -> Vec<f64> {
        let mut cuts = vec![self.first_cut.value()];
        cuts.extend(self.gaps.values().iter().scan(self.first_cut.value(), |cut, gap| {
            *cut += gap;
            Some(*cut)
        }));
        cuts
    }

    /// The number of categories, C.
    pub fn categories(&self) -> usize {
        self.gaps.values().len() + 2
    }

    /// The probability of each category for f ~ N(mean, variance); they sum to 1.
    pub fn probabilities(&self, mean: f64, variance: f64) -> Vec<f64> {
        (0..self.categories()).map(|category| self.interval(category, mean, variance).ln_probability.exp()).collect()
    }

    /// The cut point with so many gaps before it.
    fn cut(&self, gaps: usize) -> f64 {
        self.first_cut.value() + self.gaps.values()[..gaps].iter().sum::<f64>()
    }

    /// The category whose interval a value falls into.
    fn category_of(&self, value: f64) -> f64 {
        (0..self.categories() - 1).filter(|&gaps| self.cut(gaps) < value).count() as f64
    }

    /// The interval of a category, of f ~ N(mean, variance) and noise together.
    fn interval(&self, category: usize, mean: f64, variance: f64) -> Interval {
        let scale = (1.0 + deviation(variance).powi(2)).sqrt();
        let at = |gaps: usize| (self.cut(gaps) - mean) / scale;
        match category {
            0 => Interval::below(at(0)),
            k if k + 1 == self.categories() => Interval::below(-at(k - 1)).mirrored(),
            k => Interval::new(at(k - 1), at(k), self.gaps.values()[k - 1] / scale),
        }
    }
}

/// P = Φ(b) − Φ(a), and the densities at its ends in units of P.
#[derive(Clone, Copy, Debug)]
struct Interval {
    ln_probability: f64,
    /// φ(a)/P
    lower: f64,
    /// φ(b)/P
    upper: f64,
    /// d² log P, both ends moving together.
    curvature: f64,
}

impl Interval {
    /// From −∞ to b.
    fn below(b: f64) -> Self {
        let normal = Normal::new(b);
        let curvature = -normal.hazard * normal.excess;
        Self { ln_probability: normal.ln_cdf, lower: 0.0, upper: normal.hazard, curvature }
    }

    /// The same of −f.
    fn mirrored(self) -> Self {
        Self { lower: self.upper, upper: self.lower, ..self }
    }

    fn new(a: f64, b: f64, width: f64) -> Self {
        if a + b > 0.0 {
            return Self::new(-b, -a, width).mirrored();
        }
        let (ln_probability, lower, upper) = if b > 0.0 {
            // The ends are on both sides of 0: nothing cancels.
            let p = normal_cdf(b) - normal_cdf(a);
            (p.ln(), normal_density(a) / p, normal_density(b) / p)
        } else {
            // P = Φ(b) (1 − Φ(a)/Φ(b)), where the squares in log Φ(b) − log Φ(a) leave width (a + b)/2.
            let (lower, upper) = (Normal::new(a), Normal::new(b));
            let exponent = 0.5 * width * (a + b);
            let share = -(exponent + lower.ln_mills - upper.ln_mills).exp_m1();
            let at_upper = upper.hazard / share;
            (upper.ln_cdf + share.ln(), exponent.exp() * at_upper, at_upper)
        };
        let curvature = a * lower - b * upper - (lower - upper) * (lower - upper);
        Self { ln_probability, lower, upper, curvature }
    }
}

impl OneLatent for Ordinal {
    /// In the cut below and in the cut above.
    type Gradient = [f64; 2];

    fn expected(&self) -> String {
        let categories = self.categories();
        format!("an ordinal likelihood of {categories} categories takes 0, 1, ..., {}", categories - 1)
    }

    fn supports(&self, y: f64) -> bool {
        is_count(y) && y < self.categories() as f64
    }

    fn fixed_rule(&self) -> Option<&GaussHermite> {
        self.quadrature.as_ref()
    }

    fn terms(&self, _row: usize, y: f64) -> impl Fn(f64) -> Terms<[f64; 2]> {
        move |f| {
            let at = self.interval(y as usize, f, 0.0);
            Terms {
                value: at.ln_probability,
                slope: at.lower - at.upper,
                curvature: at.curvature,
                gradient: [-at.lower, at.upper],
            }
        }
    }

    fn bend(&self, _row: usize, y: f64) -> Bend {
        match y as usize {
            0 => Bend { at: self.cut(0), ..Bend::PROBIT },
            k if k + 1 == self.categories() => Bend { at: self.cut(k - 1), ..Bend::PROBIT },
            k => Bend {
                at: 0.5 * (self.cut(k - 1) + self.cut(k)),
                span: 0.5 * self.gaps.values()[k - 1],
                ..Bend::PROBIT
            },
        }
    }

    fn scatter(&self, y: f64, &[below, above]: &[f64; 2], all: &mut [f64]) {
        // A cut point moves with the first one and with every gap before it.
        let category = y as usize;
        all[0] += below + above;
        for (i, gap) in all[1..].iter_mut().enumerate() {
            if i + 1 < category {
                *gap += below;
            }
            if i < category {
                *gap += above;
            }
        }
    }

    fn predict_one(&self, _row: usize, mean: f64, variance: f64) -> (f64, f64) {
        let probabilities = self.probabilities(mean, variance);
        let moment = |of: &dyn Fn(f64) -> f64| -> f64 {
            probabilities.iter().enumerate().map(|(category, p)| p * of(category as f64)).sum()
        };
        let center = moment(&|category| category);
        (center, moment(&|category| (category - center).powi(2)))
    }

    fn log_predictive(&self, _row: usize, y: f64, mean: f64, variance: f64) -> f64 {
        self.interval(y as usize, mean, variance).ln_probability
    }

    fn support(&self) -> Support {
        Support::Whole { first: 0.0, last: (self.categories() - 1) as f64 }
    }

    fn tails(&self, _row: usize, y: f64) -> impl Fn(f64) -> Tails {
        let cut = self.cut(y as usize);
        move |f| Tails::normal(cut - f)
    }

    fn turn(&self, _row: usize, y: f64) -> Turn {
        Turn { at: self.cut((y as usize).min(self.categories() - 2)), width: 1.0 }
    }

    fn likely(&self, _row: usize, f: f64) -> f64 {
        self.category_of(f)
    }

    fn predictive_tails(&self, _row: usize, y: f64, mean: f64, variance: f64) -> Tails {
        Tails::normal((self.cut(y as usize) - mean) / 1f64.hypot(deviation(variance)))
    }

    fn draw_one(&self, _row: usize, f: f64, rng: &mut dyn Rng) -> f64 {
        self.category_of(f + draws::normal(rng))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::{assert_refused, close};
    use super::*;
    use crate::likelihood::{Bernoulli, Likelihood};
    use crate::testkit::likelihoods::Oracle;

    #[test]
    fn matches_quadrature() {
        let likelihood = Ordinal::new(&[-0.7, 0.1, 1.5]).with_quadrature(100).unwrap();
        let (mean, variance) = ([0.4, -1.3, 0.9, 2.0], [0.3, 1.2, 0.8, 0.1]);
        Oracle::of(&likelihood).at(&[0.0, 1.0, 2.0, 3.0], &mean, &variance).check().unwrap();
        Oracle::of(&likelihood).at(&[3.0, 2.0, 1.0, 0.0], &mean, &variance).check().unwrap();
        Oracle::of(&likelihood).sums_to_one(&[0.0, 1.0, 2.0, 3.0]).unwrap();
        for y in [0.0, 1.0, 2.0, 3.0] {
            for (variance, tolerance) in [(1.0, 1e-9), (10.0, 1e-3)] {
                let likelihood = Ordinal::new(&[-0.7, 0.1, 1.5]);
                Oracle::of(&likelihood).within(tolerance).at(&[y], &[0.5], &[variance]).check_values().unwrap();
            }
        }
    }

    #[test]
    fn one_cut_point_is_a_probit() {
        let (y, mean, variance) = ([0.0, 1.0], [0.4, -2.0], [0.3, 1.0]);
        let ordinal = Ordinal::new(&[0.0]).variational_expectations(&y, &mean, &variance).unwrap();
        for row in 0..2 {
            let probit = Bernoulli::probit().expectation(row, y[row], mean[row], variance[row]);
            assert_eq!((ordinal.values[row], ordinal.d_mean[row]), (probit.value, probit.d_mean));
        }
        assert_eq!(ordinal.d_params.len(), 1);
    }

    /// Far from an interval its nearer end has all: log P → log Φ of it, plus log(1 − exp(−x·gap)).
    #[test]
    fn tails() {
        for x in [1e3, 1e5] {
            let gap = 1e-3;
            let likelihood = Ordinal::new(&[0.0, gap]);
            let at = likelihood.variational_expectations(&[1.0, 1.0], &[x, -x], &[0.0; 2]).unwrap();
            let near = (-0.5 * (x - gap) * (x - gap)) - (x - gap).ln() - 0.918_938_533_204_672_8;
            close("above", at.values[0], near + (-(-gap * (x - 0.5 * gap)).exp_m1()).ln(), 1e-9);
            // Beyond the upper end the slope is that of N(f; 0, 1), nearly.
            assert!(at.d_mean[0] < -0.99 * x && at.d_mean[0] > -1.01 * (x + 1.0 / gap));
            close(
                "below",
                at.values[1],
                -0.5 * x * x - x.ln() - 0.918_938_533_204_672_8 + (-(-gap * (x + 0.5 * gap)).exp_m1()).ln(),
                1e-9,
            );
            assert!(at.d_params.iter().all(|entry| entry.is_finite()));
        }
    }

    /// Where the two forms of P meet, and near a narrow interval.
    #[test]
    fn forms_agree() {
        let at = |cuts: &[f64]| Ordinal::new(cuts).variational_expectations(&[1.0], &[0.0], &[0.0]).unwrap();
        let (one, other) = (at(&[-0.5, -1e-13]), at(&[-0.5, 1e-13]));
        close("value", one.values[0], other.values[0], 1e-12);
        close("slope", one.d_mean[0], other.d_mean[0], 1e-12);
        let narrow = at(&[1.0, 1.0 + 1e-7]);
        close("narrow", narrow.values[0], -0.5 - 0.918_938_533_204_672_8 + 1e-7f64.ln() - 0.5e-7, 1e-8);
        close("narrow slope", narrow.d_mean[0], 1.0, 1e-5);
    }

    #[test]
    fn what_is_refused() {
        for bad in [-1.0, 0.5, 3.0, f64::NAN] {
            assert_refused(&Ordinal::new(&[-1.0, 1.0]), &[0.0, 2.0], bad);
        }
        assert!(matches!(Ordinal::try_new(&[]), Err(Error::Empty { .. })));
        for cuts in [[0.0, 0.0], [0.0, -1.0], [0.0, f64::NAN], [f64::NAN, 0.0]] {
            assert!(matches!(Ordinal::try_new(&cuts), Err(Error::Parameter { path, .. }) if path == "cuts[1]"));
        }
        assert!(Ordinal::try_new(&[f64::INFINITY]).is_err());
    }
}
