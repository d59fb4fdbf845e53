//! Likelihoods p(y | f): observation models.
//!
//! | likelihood | observations | latent functions | expectations | of a new observation | its distribution |
//! |---|---|---|---|---|---|
//! | [`Gaussian`] | numbers | 1 | closed form | closed form | closed form |
//! | [`FixedNoise`]: known variances | numbers | 1 | closed form | closed form, with the noise that it has | closed form |
//! | [`Heteroscedastic`] | numbers | 2: mean, log deviation | closed form | closed form; density by quadrature | trapezoid rule |
//! | [`StudentT`] | numbers | 1 | quadrature | closed form; density by quadrature | trapezoid rule |
//! | [`Laplace`] | numbers | 1 | closed form | closed form | closed form |
//! | [`Gamma`] | positive numbers | 1: log mean | closed form | closed form; density by quadrature | trapezoid rule |
//! | [`Beta`] | numbers between 0 and 1 | 1: logit of the mean | quadrature | quadrature | trapezoid rule |
//! | [`Poisson`], with exposures | counts | 1: log rate | closed form | closed form; density by quadrature | trapezoid rule |
//! | [`NegativeBinomial`] | counts | 1: log mean | quadrature | closed form; density by quadrature | trapezoid rule |
//! | [`Bernoulli`], logit or probit | 0 and 1 | 1 | quadrature | quadrature; closed form for the probit | trapezoid rule; closed form for the probit |
//! | [`Ordinal`] | 0, 1, …, C − 1, in order | 1 | quadrature | closed form | closed form |
//! | [`Softmax`] | classes 0, 1, …, C − 1 | C | one integral of Gauss–Hermite sums | the same | draws alone |
//! | [`LinearMixing`] | those of each of P outputs; NaN where one was not observed | any number, mixed linearly | those of each output | those of each output | those of each output |
//! | [`RobustMax`] | classes 0, 1, …, C − 1 | C | Gauss–Hermite | Gauss–Hermite | draws alone |
//! | your own [`Pointwise`], from log p(y \| f) | what it supports | 1 | Gauss–Hermite | Gauss–Hermite; density by quadrature | adaptive quadrature of your P(Y ≤ y \| f) |
//!
//! Each says how far off its quadrature is. That over one latent value follows the variance and where the likelihood bends:
//! few points where f is all but certain, and some ten more for each factor of 10 in the variance, to 1e-9 at any variance
//! and however far out the observation is; derivatives are as accurate, so that optimisers see the gradient of what they
//! are given. `with_quadrature` sets a Gauss–Hermite rule of one order instead. What overflows is infinite, and the
//! gradient of a bound that is so an [`Error::Overflow`]. A variance that
//! rounding left below 0 counts as 0. An observation that a likelihood gives no density is an
//! [`Error::Observation`] with its row.
//!
//! The distribution of a new observation is there as P(Y ≤ y), within 1e-10 at any variance of f and for counts of any size; as quantiles,
//! within 1e-9 of its spread, and exact for counts; and as draws given f. Classes without an order have draws alone.
//!
//! [`GaussianNoise`] is what the two of Gaussian noise have in common, for models in closed form.
//!
//! A likelihood of your own with one latent value needs its log density alone ([`Pointwise`]); any other implements
//! [`Likelihood`]. The [guide](crate::docs::guides::own_likelihood) has examples of both.
//!
//! A likelihood of several latent functions needs a model of as many: [`Svgp`](crate::gp::Svgp) has those that the
//! likelihood asks for.

#[cfg(test)]
mod assertions;
mod average;
mod bend;
mod bernoulli;
mod beta;
mod draws;
mod expectation;
mod fixed_noise;
mod gamma;
mod gauss_kronrod;
mod gaussian;
mod gaussian_noise;
mod heteroscedastic;
mod in_lanes;
mod incomplete;
mod jet;
mod laplace;
mod latents;
mod linear_mixing;
mod log_mean_exp;
mod log_sum;
mod many_points;
mod negative_binomial;
mod one_latent;
mod ordinal;
mod per_observation;
mod pointwise;
mod poisson;
mod quadrature;
mod robust_max;
#[cfg(feature = "serde")]
mod saved;
mod softmax;
mod solve;
mod special;
mod student_t;
mod tails;

pub use bernoulli::Bernoulli;
pub use beta::Beta;
pub use fixed_noise::FixedNoise;
pub use gamma::Gamma;
pub use gaussian::Gaussian;
pub(crate) use gaussian::log_normal;
pub use gaussian_noise::GaussianNoise;
pub use heteroscedastic::Heteroscedastic;
pub use laplace::Laplace;
pub use linear_mixing::LinearMixing;
pub use negative_binomial::NegativeBinomial;
pub use ordinal::Ordinal;
pub use pointwise::Pointwise;
pub use poisson::Poisson;
pub use quadrature::GaussHermite;
pub use robust_max::RobustMax;
#[cfg(feature = "serde")]
pub use saved::register;
pub use softmax::Softmax;
pub(crate) use special::normal_density;
pub use student_t::StudentT;
pub(crate) use tails::{normal_cumulative, normal_quantile};

use std::any::Any;
use std::fmt::Debug;

use faer::MatRef;
use rand::Rng;

use crate::params::Parameterized;
use crate::{Error, Result};

/// A likelihood p(y | f) that factorises over observations.
///
/// Each observation has [`latents`](Self::latents) latent values. With N observations and L latents,
/// slices of latent values, means and variances have N·L elements, all observations of the first
/// latent first; slices of observations have N, and those of several [outputs](Self::outputs) as many for each. Gradients in
/// parameters are in visiting order.
///
/// # Examples
///
/// ```
/// use mercer::likelihood::{Gaussian, Likelihood};
///
/// let likelihood: Box<dyn Likelihood> = Box::new(Gaussian::new(0.25));
/// // Without uncertainty in f, the expectation is the log density.
/// let expected = likelihood.variational_expectations(&[1.0], &[0.4], &[0.0])?;
/// assert_eq!(expected.values, likelihood.log_density(&[1.0], &[0.4])?);
/// # Ok::<(), mercer::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a likelihood",
    note = "implement `mercer::likelihood::Pointwise` for it, which asks for the log density of one observation, or `Likelihood`"
)]
pub trait Likelihood: Parameterized + dyn_clone::DynClone + Debug + Send + Sync + Any {
    /// The number of latent values of an observation.
    fn latents(&self) -> usize {
        1
    }

    /// P, the number of observations that a row of the data has: of several outputs. Slices of observations and what is
    /// given for each then have N·P elements, all rows of the first output first; an observation that is NaN was not
    /// made, and counts as 0 in every density, of several outputs and of one that is a [mixture](Self::mixing).
    fn outputs(&self) -> usize {
        1
    }

    /// The same likelihood for these rows of the data alone, in this order; `None` if it is the same for
    /// all rows. What a likelihood with something of its own for each observation (fixed noise, exposures)
    /// needs for a minibatch.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{FixedNoise, Gaussian, Likelihood};
    ///
    /// let noise = FixedNoise::new(&[0.1, 0.2, 0.4])?;
    /// let whole = noise.log_density(&[1.0, 2.0, 3.0], &[0.0; 3])?;
    /// let batch = noise.rows(&[2, 0])?.map(|batch| batch.log_density(&[3.0, 1.0], &[0.0; 2]));
    /// assert_eq!(batch, Some(Ok(vec![whole[2], whole[0]])));
    /// assert!(Gaussian::new(0.1).rows(&[2, 0])?.is_none());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] for a row that it has nothing for.
    fn rows(&self, _rows: &[usize]) -> Result<Option<Box<dyn Likelihood>>> {
        Ok(None)
    }

    /// σ² of Gaussian noise, the same for all observations, if that is what this is and the one parameter that it
    /// has; `None`, the default, otherwise. What bounds in closed form need.
    fn gaussian_noise(&self) -> Option<f64> {
        None
    }

    /// How the outputs are mixed from the latent functions, if they are linear mixtures; `None`, the default, otherwise.
    fn mixing(&self) -> Option<Mixing<'_>> {
        None
    }

    /// log p(yᵢ | fᵢ) for each observation.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together; [`Error::Observation`] for an observation that has no
    /// density.
    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>>;

    /// E\[log p(yᵢ | f)\] under f ~ N(μᵢ, vᵢ) for each observation, with its derivatives: the data term of
    /// a variational bound.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together; [`Error::Observation`] for an observation that has no
    /// density.
    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations>;

    /// Mean and variance of a new observation where f ~ N(μᵢ, vᵢ).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together; [`Error::Setting`] where a mean does not exist, or what
    /// new observations need is unknown.
    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted>;

    /// log ∫ p(yᵢ | f) N(f; μᵢ, vᵢ) df for each observation.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together; [`Error::Observation`] for an observation that has no
    /// density; [`Error::Setting`] where what new observations need is unknown.
    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>>;

    /// P(Y ≤ yᵢ) of a new observation Y where f ~ N(μᵢ, vᵢ), for each yᵢ: any number, also one that is not observed; NaN
    /// for NaN.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for slices that do not fit together; [`Error::Setting`] for observations without an order, where
    /// what new observations need is unknown, and, the default, of a likelihood that does not implement it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Gaussian, Likelihood, Poisson};
    ///
    /// // A quarter of the normal distribution lies 0.6745 deviations or more below its mean.
    /// let below = Gaussian::new(0.75).cumulative(&[2.3255102498], &[3.0], &[0.25])?;
    /// assert!((below[0] - 0.25).abs() < 1e-8);
    /// // Of counts of mean 1, 0 and 1: 2/e.
    /// let below = Poisson::new().cumulative(&[1.5], &[0.0], &[0.0])?;
    /// assert!((below[0] - 2.0 * (-1f64).exp()).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn cumulative(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        let _ = (y, mean, variance);
        Err(missing(self.name(), "`Likelihood::cumulative` for the distribution of new observations"))
    }

    /// The smallest y with P(Y ≤ y) ≥ p for a new observation Y where f ~ N(μᵢ, vᵢ), for each point, and each output. Of
    /// the probabilities 0 and 1, the ends of what may be observed.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a probability outside \[0, 1\], and as [`cumulative`](Self::cumulative);
    /// [`Error::Shape`] for slices that do not fit together.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Gaussian, Likelihood, Poisson};
    ///
    /// assert!((Gaussian::new(0.75).quantile(0.25, &[3.0], &[0.25])?[0] - 2.3255102).abs() < 1e-7);
    /// // Of counts of mean 1: P(Y ≤ 0) = 0.37 and P(Y ≤ 1) = 0.74.
    /// assert_eq!(Poisson::new().quantile(0.5, &[0.0], &[0.0])?, [1.0]);
    /// assert_eq!(Poisson::new().quantile(0.3, &[0.0], &[0.0])?, [0.0]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn quantile(&self, probability: f64, mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        let _ = (probability, mean, variance);
        Err(missing(self.name(), "`Likelihood::quantile` for quantiles of new observations"))
    }

    /// Draws y ~ p(y | fᵢ), one for each point, and each output.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] and [`Error::NonFinite`] for latent values that do not fit or are not finite;
    /// [`Error::Overflow`] for a draw beyond all numbers; [`Error::Setting`] where what new observations need is
    /// unknown, and, the default, of a likelihood that does not implement it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{Likelihood, Poisson};
    /// use rand::SeedableRng;
    ///
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    /// let counts = Poisson::new().draw(&[3f64.ln(); 1000], &mut rng)?;
    /// assert!(counts.iter().all(|count| *count >= 0.0 && count.fract() == 0.0));
    /// // Three standard errors of the mean, √(3/1000) each.
    /// assert!((counts.iter().sum::<f64>() / 1000.0 - 3.0).abs() < 0.17);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn draw(&self, f: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        let _ = (f, rng);
        Err(missing(self.name(), "`Likelihood::draw` for draws of observations"))
    }
}

/// The error of a likelihood that lacks a method.
fn missing(likelihood: &str, what: &str) -> Error {
    Error::setting("the likelihood", likelihood, &format!("must implement {what}"))
}

dyn_clone::clone_trait_object!(Likelihood);

/// Models take likelihoods whose type is known at run time as they take all others.
impl Likelihood for Box<dyn Likelihood> {
    fn latents(&self) -> usize {
        (**self).latents()
    }

    fn outputs(&self) -> usize {
        (**self).outputs()
    }

    fn rows(&self, rows: &[usize]) -> Result<Option<Box<dyn Likelihood>>> {
        (**self).rows(rows)
    }

    fn gaussian_noise(&self) -> Option<f64> {
        (**self).gaussian_noise()
    }

    fn mixing(&self) -> Option<Mixing<'_>> {
        (**self).mixing()
    }

    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>> {
        (**self).log_density(y, f)
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations> {
        (**self).variational_expectations(y, mean, variance)
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted> {
        (**self).predict(mean, variance)
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        (**self).log_predictive_density(y, mean, variance)
    }

    fn cumulative(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        (**self).cumulative(y, mean, variance)
    }

    fn quantile(&self, probability: f64, mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        (**self).quantile(probability, mean, variance)
    }

    fn draw(&self, f: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        (**self).draw(f, rng)
    }
}

/// Outputs f = c + W g of latent functions g.
#[derive(Clone, Copy, Debug)]
pub struct Mixing<'a> {
    /// W, P × L.
    pub weights: MatRef<'a, f64>,
    /// c, one number for each output.
    pub offset: &'a [f64],
}

/// What [`Likelihood::variational_expectations`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectations {
    /// The expectation for each observation.
    pub values: Vec<f64>,
    /// Its derivative in each mean.
    pub d_mean: Vec<f64>,
    /// Its derivative in each variance.
    pub d_variance: Vec<f64>,
    /// The gradient of the sum of the expectations in the parameters, in visiting order.
    pub d_params: Vec<f64>,
}

impl Expectations {
    /// No values yet, room for so many, and gradients in parameters of 0.
    fn with_capacity(observations: usize, latent_values: usize, params: usize) -> Self {
        Self {
            values: Vec::with_capacity(observations),
            d_mean: Vec::with_capacity(latent_values),
            d_variance: Vec::with_capacity(latent_values),
            d_params: vec![0.0; params],
        }
    }
}

/// Means and variances of new observations: N of each. Of classes without an order, those of the N·C
/// indicators of C classes, all observations of the first class first.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// The mean of each.
    pub mean: Vec<f64>,
    /// The variance of each.
    pub variance: Vec<f64>,
}

impl Predicted {
    /// Of what is 1 with these probabilities and else 0.
    fn of_indicators(probabilities: Vec<f64>) -> Self {
        let variance = probabilities.iter().map(|p| p * (1.0 - p)).collect();
        Self { mean: probabilities, variance }
    }
}

/// Refuses what is no probability.
pub(crate) fn check_probability(probability: f64) -> Result<()> {
    if (0.0..=1.0).contains(&probability) {
        return Ok(());
    }
    Err(Error::setting("the probability", probability, "must be between 0 and 1"))
}

/// Refuses latent values that are not finite.
fn check_latent_values(f: &[f64]) -> Result<()> {
    match f.iter().position(|f| !f.is_finite()) {
        Some(row) => Err(Error::NonFinite { what: "the latent values".to_owned(), row, col: 0, value: f[row] }),
        None => Ok(()),
    }
}

/// Refuses draws that are beyond all numbers, of these latent values.
fn check_draws(likelihood: &str, f: &[f64], draws: Vec<f64>) -> Result<Vec<f64>> {
    match draws.iter().position(|y| !y.is_finite()) {
        Some(row) => {
            let mean = f.get(row).copied().unwrap_or(f64::NAN);
            Err(Error::Overflow { likelihood: likelihood.to_owned(), row, mean, variance: 0.0 })
        }
        None => Ok(draws),
    }
}

/// Refuses slices whose lengths differ from the one expected.
pub(crate) fn check_len(expected: usize, slices: &[(&str, &[f64])]) -> Result<()> {
    for (what, slice) in slices {
        if slice.len() != expected {
            return Err(Error::shape(what, format!("{expected} value(s)"), (slice.len(), 1)));
        }
    }
    Ok(())
}
