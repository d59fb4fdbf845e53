//! Several outputs, each a linear mixture of latent functions.

mod observed;

use faer::MatRef;
use rand::Rng;

use self::observed::{Observed, observed};
use super::latents::observations;
use super::{Expectations, Gaussian, Likelihood, Mixing, Predicted};
use crate::params::{Constraint, Label, ParameterArray, Parameterized, ParameterizedExt, Shape, Visitor, VisitorMut};
use crate::{Error, Result};

/// P outputs, each a linear mixture of L latent functions seen through a likelihood of its own: the linear model of
/// coregionalization, for a sparse variational process.
///
/// # Definition
///
/// f_p(x) = c_p + Σ_l W_pl g_l(x), p(y | g) = Π_p p_p(y_p | f_p)
///
/// where the product is over the outputs that were observed at x. With independent g_l ~ N(μ_l, v_l), f_p is
/// N(c_p + Σ_l W_pl μ_l, Σ_l W_pl² v_l), and the expectations are those of the outputs' likelihoods there, exactly.
///
/// With [`Svgp::with_kernels`](crate::gp::Svgp::with_kernels) each latent function has its own kernel k_l, and the
/// covariance of the outputs is Σ_l W_pl W_ql k_l(x, x′); latent functions of one kernel share the work on their inducing
/// inputs. The scale of a column of W and that of its kernel are one: leave the kernels without a factor.
///
/// The observations of N rows of data are N·P numbers, all rows of the first output first. A NaN is a value that was not
/// observed: it contributes nothing to a density or its gradients. Predictions are of all outputs, N·P.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `weights` | W, P × L | that of the outputs | finite |
/// | `offset` | c, P | that of the outputs | finite |
///
/// and then those of the likelihoods: `linear_mixing[p].gaussian.variance`.
///
/// # Complexity
///
/// O(N·P·L), and the likelihoods of the outputs.
///
/// # Examples
///
/// Two outputs of one latent function: a number, and a class that follows its sign. At the second row the class was not
/// observed.
///
/// ```
/// use mercer::likelihood::{Bernoulli, Gaussian, Likelihood, LinearMixing};
/// use mercer::prelude::*;
///
/// let outputs: Vec<Box<dyn Likelihood>> = vec![Box::new(Gaussian::new(0.1)), Box::new(Bernoulli::logit())];
/// let mixing = LinearMixing::new(mat![[2.0], [-3.0]].as_ref(), outputs)?;
/// assert_eq!((mixing.latents(), mixing.outputs()), (1, 2));
///
/// let y = [1.0, 0.8, 1.0, f64::NAN];
/// let found = mixing.variational_expectations(&y, &[0.4, 0.5], &[0.2, 0.3])?;
/// let number = Gaussian::new(0.1).variational_expectations(&y[..2], &[0.8, 1.0], &[0.8, 1.2])?;
/// let class = Bernoulli::logit().variational_expectations(&y[2..3], &[-1.2], &[1.8])?;
/// assert!((found.values[1] - number.values[1]).abs() < 1e-14);
/// assert!((found.values[2] - class.values[0]).abs() < 1e-14);
/// assert_eq!(found.values[3], 0.0);
/// assert!((found.d_mean[0] - (2.0 * number.d_mean[0] - 3.0 * class.d_mean[0])).abs() < 1e-13);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Álvarez, Rosasco & Lawrence (2012), Kernels for vector-valued functions: a review, section 4,
/// <https://doi.org/10.1561/2200000036>; Nguyen & Bonilla (2014), "Collaborative multi-output Gaussian processes", UAI.
#[derive(Clone, Debug)]
pub struct LinearMixing {
    pub(super) weights: ParameterArray,
    pub(super) offset: ParameterArray,
    pub(super) outputs: Vec<Box<dyn Likelihood>>,
}

fn offset(values: &[f64]) -> Result<ParameterArray> {
    ParameterArray::new("offset", values.to_vec(), Shape::Vector(values.len()), Constraint::Real)
}

impl LinearMixing {
    /// Outputs of these weights, a row each, and these likelihoods.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without weights; [`Error::Shape`] if there is not one likelihood for each row of the weights;
    /// [`Error::Parameter`] for a weight that is not finite; [`Error::Setting`] for a likelihood of several latent
    /// functions, which would be correlated once mixed, or of several outputs.
    pub fn new(weights: MatRef<'_, f64>, outputs: Vec<Box<dyn Likelihood>>) -> Result<Self> {
        let (rows, cols) = weights.shape();
        if rows == 0 || cols == 0 {
            return Err(Error::Empty { what: "the matrix of weights".to_owned() });
        }
        if outputs.len() != rows {
            let expected = format!("{rows} element(s), one for each row of the weights");
            return Err(Error::shape("the list of likelihoods", expected, (outputs.len(), 1)));
        }
        if let Some(output) = outputs.iter().find(|output| output.latents() != 1 || output.outputs() != 1) {
            let found = format!("`{}`", output.name());
            return Err(Error::setting("the likelihood of an output", found, "must be of one latent function"));
        }
        Ok(Self {
            weights: ParameterArray::of_matrix("weights", weights, Constraint::Real)?,
            offset: offset(&vec![0.0; rows])?,
            outputs,
        })
    }

    /// Outputs of these weights, a row each, with Gaussian noise of these variances.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`Error::Parameter`] for a variance that is not positive and finite.
    pub fn gaussian(weights: MatRef<'_, f64>, variances: &[f64]) -> Result<Self> {
        let noise = |&variance: &f64| Ok(Box::new(Gaussian::try_new(variance)?) as Box<dyn Likelihood>);
        Self::new(weights, variances.iter().map(noise).collect::<Result<_>>()?)
    }

    /// Sets the offset, by default 0: one number for each output.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of them; [`Error::Parameter`] for one that is not finite.
    pub fn with_offset(mut self, values: &[f64]) -> Result<Self> {
        super::check_len(self.outputs.len(), &[("the offset", values)])?;
        self.offset = offset(values)?;
        Ok(self)
    }

    /// The weights W, P × L.
    pub fn weights(&self) -> MatRef<'_, f64> {
        self.weights.as_matrix()
    }

    /// The offset c.
    pub fn offset(&self) -> &[f64] {
        self.offset.values()
    }

    /// The likelihood of each output.
    pub fn likelihoods(&self) -> &[Box<dyn Likelihood>] {
        &self.outputs
    }

    /// Means and variances of an output at some of N rows.
    fn mixed(&self, output: usize, rows: &[usize], n: usize, mean: &[f64], variance: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let weights = self.weights();
        let at = |row: usize| {
            (0..weights.ncols()).fold((self.offset()[output], 0.0), |(sum, squares), latent| {
                let (weight, index) = (weights[(output, latent)], latent * n + row);
                (sum + weight * mean[index], squares + weight * weight * variance[index].max(0.0))
            })
        };
        rows.iter().map(|&row| at(row)).unzip()
    }

    /// A number for each observation, and another one for those that were not made.
    fn for_each(
        &self,
        y: &[f64],
        n: usize,
        missing: f64,
        of: impl Fn(&Observed<'_>) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        let mut all = vec![missing; y.len()];
        for observed in observed(&self.outputs, y, n)? {
            let found = observed.placed(of(&observed), n)?;
            observed.rows.iter().zip(found).for_each(|(&row, value)| all[observed.output * n + row] = value);
        }
        Ok(all)
    }
}

impl Parameterized for LinearMixing {
    fn name(&self) -> &str {
        "linear_mixing"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.parameter(self.weights.view("weights"));
        visitor.parameter(self.offset.view("offset"));
        for (index, output) in self.outputs.iter().enumerate() {
            visitor.child(Label::Index(index), output);
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.parameter(self.weights.view_mut("weights"));
        visitor.parameter(self.offset.view_mut("offset"));
        for (index, output) in self.outputs.iter_mut().enumerate() {
            visitor.child(Label::Index(index), output);
        }
    }
}

impl Likelihood for LinearMixing {
    fn latents(&self) -> usize {
        self.weights().ncols()
    }

    fn outputs(&self) -> usize {
        self.outputs.len()
    }

    fn mixing(&self) -> Option<Mixing<'_>> {
        Some(Mixing { weights: self.weights(), offset: self.offset() })
    }

    fn rows(&self, rows: &[usize]) -> Result<Option<Box<dyn Likelihood>>> {
        let of_rows: Vec<_> = self.outputs.iter().map(|output| output.rows(rows)).collect::<Result<_>>()?;
        if of_rows.iter().all(Option::is_none) {
            return Ok(None);
        }
        let outputs = of_rows.into_iter().zip(&self.outputs).map(|(own, all)| own.unwrap_or_else(|| all.clone()));
        Ok(Some(Box::new(Self { outputs: outputs.collect(), ..self.clone() })))
    }

    fn log_density(&self, y: &[f64], f: &[f64]) -> Result<Vec<f64>> {
        let n = observations(self.latents(), f, f)?;
        let certain = vec![0.0; f.len()];
        self.for_each(y, n, 0.0, |observed| {
            let (f, _) = self.mixed(observed.output, &observed.rows, n, f, &certain);
            observed.likelihood().log_density(&observed.y, &f)
        })
    }

    fn variational_expectations(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Expectations> {
        let n = observations(self.latents(), mean, variance)?;
        let weights = self.weights();
        let count = weights.nrows() * weights.ncols();
        let mut all = Expectations::with_capacity(y.len(), mean.len(), self.num_params());
        all.values.resize(y.len(), 0.0);
        all.d_mean.resize(mean.len(), 0.0);
        all.d_variance.resize(mean.len(), 0.0);
        let starts: Vec<usize> = self
            .outputs
            .iter()
            .scan(count + self.outputs.len(), |next, output| Some(std::mem::replace(next, *next + output.num_params())))
            .collect();
        for observed in observed(&self.outputs, y, n)? {
            let output = observed.output;
            let (mixed, spread) = self.mixed(output, &observed.rows, n, mean, variance);
            let found = observed.likelihood().variational_expectations(&observed.y, &mixed, &spread);
            let found = observed.placed(found, n)?;
            let slopes = found.values.iter().zip(&found.d_mean).zip(&found.d_variance);
            all.d_params[count + output] += found.d_mean.iter().sum::<f64>();
            for (&row, ((&value, &d_mean), &d_variance)) in observed.rows.iter().zip(slopes) {
                all.values[output * n + row] = value;
                for latent in 0..weights.ncols() {
                    let (weight, index) = (weights[(output, latent)], latent * n + row);
                    all.d_mean[index] += weight * d_mean;
                    all.d_variance[index] += weight * weight * d_variance;
                    all.d_params[latent * weights.nrows() + output] +=
                        d_mean * mean[index] + 2.0 * weight * d_variance * variance[index].max(0.0);
                }
            }
            let own = all.d_params[starts[output]..].iter_mut();
            own.zip(&found.d_params).for_each(|(sum, slope)| *sum += slope);
        }
        Ok(all)
    }

    fn predict(&self, mean: &[f64], variance: &[f64]) -> Result<Predicted> {
        let n = observations(self.latents(), mean, variance)?;
        let rows: Vec<usize> = (0..n).collect();
        let mut all = Predicted { mean: Vec::new(), variance: Vec::new() };
        for (output, likelihood) in self.outputs.iter().enumerate() {
            let (mean, variance) = self.mixed(output, &rows, n, mean, variance);
            let found = likelihood.predict(&mean, &variance)?;
            all.mean.extend(found.mean);
            all.variance.extend(found.variance);
        }
        Ok(all)
    }

    fn log_predictive_density(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        let n = observations(self.latents(), mean, variance)?;
        self.for_each(y, n, 0.0, |observed| {
            let (mean, variance) = self.mixed(observed.output, &observed.rows, n, mean, variance);
            observed.likelihood().log_predictive_density(&observed.y, &mean, &variance)
        })
    }

    fn cumulative(&self, y: &[f64], mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        let n = observations(self.latents(), mean, variance)?;
        self.for_each(y, n, f64::NAN, |observed| {
            let (mean, variance) = self.mixed(observed.output, &observed.rows, n, mean, variance);
            observed.likelihood().cumulative(&observed.y, &mean, &variance)
        })
    }

    fn quantile(&self, probability: f64, mean: &[f64], variance: &[f64]) -> Result<Vec<f64>> {
        let n = observations(self.latents(), mean, variance)?;
        let rows: Vec<usize> = (0..n).collect();
        let mut all = Vec::with_capacity(n * self.outputs.len());
        for (output, likelihood) in self.outputs.iter().enumerate() {
            let (mean, variance) = self.mixed(output, &rows, n, mean, variance);
            all.extend(likelihood.quantile(probability, &mean, &variance)?);
        }
        Ok(all)
    }

    fn draw(&self, f: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        let n = observations(self.latents(), f, f)?;
        let (rows, certain) = ((0..n).collect::<Vec<usize>>(), vec![0.0; f.len()]);
        let mut all = Vec::with_capacity(n * self.outputs.len());
        for (output, likelihood) in self.outputs.iter().enumerate() {
            all.extend(likelihood.draw(&self.mixed(output, &rows, n, f, &certain).0, rng)?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assertions::close;
    use super::*;
    use crate::likelihood::{FixedNoise, Heteroscedastic, Poisson, StudentT};
    use crate::testkit::likelihoods::Oracle;
    use faer::{Mat, mat};

    const MEAN: [f64; 4] = [0.4, 0.1, -0.3, 0.6];
    const VARIANCE: [f64; 4] = [0.3, 1.2, 0.2, 0.05];

    fn weights() -> Mat<f64> {
        mat![[1.0, 0.5], [-0.7, 0.3], [0.2, 2.0]]
    }

    fn several() -> LinearMixing {
        let outputs: Vec<Box<dyn Likelihood>> =
            vec![Box::new(Gaussian::new(0.3)), Box::new(Poisson::new()), Box::new(StudentT::new(0.8, 4.0))];
        LinearMixing::new(weights().as_ref(), outputs).unwrap().with_offset(&[0.1, -0.4, 2.0]).unwrap()
    }

    #[test]
    fn derivatives_are_those_of_the_values() {
        let full = [1.0, -0.5, 2.0, 3.0, 0.4, 0.1];
        let missing = [1.0, f64::NAN, 2.0, 3.0, f64::NAN, f64::NAN];
        for y in [full, missing] {
            Oracle::of(&several()).at(&y, &MEAN, &VARIANCE).check_derivatives().unwrap();
        }
    }

    /// One output of weight 1 is its likelihood.
    #[test]
    fn mixing_nothing_changes_nothing() {
        let (y, mean, variance) = ([1.0, -0.5], [0.4, 0.1], [0.3, 1.2]);
        let mixing = LinearMixing::gaussian(mat![[1.0]].as_ref(), &[0.3]).unwrap();
        let noise = Gaussian::new(0.3);
        let found = mixing.variational_expectations(&y, &mean, &variance).unwrap();
        let expected = noise.variational_expectations(&y, &mean, &variance).unwrap();
        assert_eq!((&found.values, &found.d_mean), (&expected.values, &expected.d_mean));
        assert_eq!(found.d_params[2], expected.d_params[0]);
        assert_eq!(mixing.predict(&mean, &variance), noise.predict(&mean, &variance));
    }

    #[test]
    fn rows_and_missing_values_keep_their_noise() {
        let noises = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]];
        let outputs = noises.iter().map(|noise| Box::new(FixedNoise::new(noise).unwrap()) as Box<dyn Likelihood>);
        let mixing = LinearMixing::new(weights().as_ref(), outputs.collect()).unwrap();
        let whole = mixing.log_density(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &MEAN).unwrap();
        let some = mixing.log_density(&[1.0, 2.0, f64::NAN, 4.0, 5.0, f64::NAN], &MEAN).unwrap();
        assert_eq!(some, [whole[0], whole[1], 0.0, whole[3], whole[4], 0.0]);
        // Of one row, where there are two: missing or not, another row's noise is not taken.
        for third in [5.0, f64::NAN] {
            let error = mixing.log_density(&[1.0, 3.0, third], &[MEAN[0], MEAN[2]]).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{error}");
        }
        let (long, latent) = ([1.0, f64::NAN, 3.0].repeat(3), [0.0; 6]);
        assert!(mixing.log_density(&long, &latent).is_err());
        let second = mixing.rows(&[1]).unwrap().unwrap();
        let of_second = second.log_density(&[2.0, 4.0, 6.0], &[MEAN[1], MEAN[3]]).unwrap();
        assert_eq!(of_second, [whole[1], whole[3], whole[5]]);
        assert!(several().rows(&[1]).unwrap().is_none());
        close("mean", mixing.mixed(0, &[1], 2, &MEAN, &VARIANCE).0[0], 0.1 + 0.5 * 0.6, 1e-15);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let none: Vec<Box<dyn Likelihood>> = Vec::new();
        assert!(matches!(LinearMixing::new(Mat::zeros(0, 1).as_ref(), none), Err(Error::Empty { .. })));
        assert!(matches!(LinearMixing::gaussian(weights().as_ref(), &[0.1]), Err(Error::Shape { .. })));
        assert!(LinearMixing::gaussian(mat![[f64::NAN]].as_ref(), &[0.1]).is_err());
        let two: Vec<Box<dyn Likelihood>> = vec![Box::new(Heteroscedastic::new())];
        assert!(matches!(LinearMixing::new(mat![[1.0]].as_ref(), two), Err(Error::Setting { .. })));
        let mixing = several();
        assert!(matches!(mixing.log_density(&[0.0; 5], &MEAN), Err(Error::Shape { .. })));
        assert!(matches!(mixing.predict(&[0.0; 3], &[0.0; 3]), Err(Error::Shape { .. })));
        // A count that is none, in the second row of the second output.
        let error = mixing.log_density(&[0.0, 0.0, f64::NAN, 0.5, 0.0, 0.0], &MEAN).unwrap_err();
        assert!(matches!(error, Error::Observation { row: 3, .. }), "{error}");
    }
}
