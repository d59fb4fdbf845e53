//! Models in standardised units, whose data and predictions are in the user's.

mod changes;
mod posterior;
#[cfg(feature = "serde")]
mod saved;
mod standardization;

use std::sync::Arc;

pub use posterior::StandardizedPosterior;
pub use standardization::Standardization;

use super::data::Data;
use super::fit::Warning;
use super::model::{Memory, Model, Objective, Scales};
use super::predict::Predict;
use super::starts::Suggested;
use crate::{Result, Scalar};

/// A model of [`Data`] in standardised units: it sees inputs and observations of mean 0 and deviation 1, and is given and gives those of the
/// data. From [`Standardization::around`].
///
/// # Definition
///
/// With z = (x − m)/s for each column of the inputs and v = (y − a)/b for each output, the model learns v at z. Its log marginal
/// likelihood is that of y, log p(v) − Σ log b over all observations, and means, variances, draws and log densities are in the
/// units of y. m, s, a and b are taken from the data once, and are no parameters.
///
/// Parameters are those of the model, under the same paths and in standardised units: a lengthscale of 2 is two
/// deviations of its column. So are its inducing inputs: [`Standardization::inputs`] makes them.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, Fit, Standardization};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(40, 1, |i, _| 1.7e9 + 3600.0 * i as f64); // Unix time
/// let y: Vec<f64> = (0..40).map(|i| 101_325.0 + 300.0 * (0.3 * i as f64).sin()).collect(); // pascal
/// let data = Data::new(&x, y);
///
/// let mut gp = Standardization::of(&data)?.around(ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1)?);
/// gp.fit(&data, Fit::default())?;
/// let between = gp.condition(&data)?.predict(mat![[1.7e9 + 3600.0 * 20.5]].as_ref())?;
/// assert!((between.mean[(0, 0)] - 101_325.0 - 300.0 * (0.3f64 * 20.5).sin()).abs() < 1.0);
/// assert!(between.variance[(0, 0)] < 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "StandardScaler", alias = "normalize_y", alias = "Standardize")]
pub struct Standardized<M> {
    model: M,
    standardization: Arc<Standardization>,
}

impl<M> Standardized<M> {
    fn new(model: M, standardization: Standardization) -> Self {
        Self { model, standardization: standardization.into() }
    }

    /// The model, which is in standardised units.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The model, for what learns otherwise than by [`fit`](Model::fit): from [`Standardization::data`].
    ///
    /// # Examples
    ///
    /// Minibatches:
    ///
    /// ```
    /// use mercer::gp::{Data, Standardization, Svgp};
    /// use mercer::likelihood::Gaussian;
    /// use mercer::optim::Train;
    /// use mercer::prelude::*;
    /// use rand::SeedableRng;
    ///
    /// let x = Mat::from_fn(60, 1, |i, _| 2000.0 + 0.1 * i as f64);
    /// let data = Data::new(&x, (0..60).map(|i| 500.0 + 80.0 * (0.1 * i as f64).sin()).collect::<Vec<_>>());
    /// let units = Standardization::of(&data)?;
    /// let (there, z) = (units.data(&data)?, units.inputs(x.subrows(0, 6))?);
    /// let mut gp = units.around(Svgp::new(1.0 * Rbf::new(1.0), z.as_ref())?.with_likelihood(Gaussian::new(0.1)));
    /// let before = gp.objective(&data)?.value();
    /// gp.model_mut().train(&there, &Train::new(50).with_batch(20), &mut rand_pcg::Pcg64::seed_from_u64(1))?;
    /// assert!(gp.objective(&data)?.value() > before + 10.0);
    /// # use mercer::gp::Objective;
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }

    /// The units.
    pub fn standardization(&self) -> &Standardization {
        &self.standardization
    }
}

crate::parameterized!([M] Standardized<M> as "", inner: model, parameters: []);

/// The objective of a model in standardised units, in those of the data.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, Objective, Standardization};
/// use mercer::prelude::*;
///
/// // The density of data that are twice as wide is half as high.
/// let narrow = Data::new(mat![[0.0], [1.0], [3.0]], [0.3, 1.0, -0.7]);
/// let wide = Data::new(mat![[0.0], [1.0], [3.0]], [0.6, 2.0, -1.4]);
/// let value = |data: &Data<f64>| {
///     Ok::<f64, Error>(Standardization::of(data)?.around(ExactGp::new(Rbf::new(1.0))).objective(data)?.value())
/// };
/// assert!((value(&narrow)? - value(&wide)? - 3.0 * 2f64.ln()).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandardizedObjective<O> {
    /// The objective of the model.
    pub inner: O,
    /// What is added to it: −Σ log b.
    pub shift: f64,
}

impl<O: Objective> Objective for StandardizedObjective<O> {
    fn value(&self) -> f64 {
        self.inner.value() + self.shift
    }

    fn rounding(&self) -> f64 {
        self.inner.rounding()
    }
}

impl<T: Scalar, M: Model<Data<T>>> Model<Data<T>> for Standardized<M>
where
    M::Posterior: Predict<T>,
{
    type Objective = StandardizedObjective<M::Objective>;
    type Posterior = StandardizedPosterior<M::Posterior>;

    fn objective(&self, data: &Data<T>) -> Result<Self::Objective> {
        let there = self.standardization.data(data)?;
        Ok(self.in_units(self.model.objective(&there)?, data))
    }

    fn evaluate(&self, data: &Data<T>, memory: &Memory) -> Result<(Self::Objective, Vec<f64>)> {
        let (objective, gradient) = self.model.evaluate(&self.standardization.data(data)?, memory)?;
        Ok((self.in_units(objective, data), gradient))
    }

    fn condition(&self, data: &Data<T>) -> Result<Self::Posterior> {
        let posterior = self.model.condition(&self.standardization.data(data)?)?;
        StandardizedPosterior::new(posterior, Arc::clone(&self.standardization))
    }

    fn scales(&self, data: &Data<T>) -> Result<Scales> {
        self.model.scales(&self.standardization.data(data)?)
    }

    fn suggest(&self, data: &Data<T>) -> Result<Suggested> {
        self.model.suggest(&self.standardization.data(data)?)
    }

    fn degrees_of_freedom(&self, data: &Data<T>) -> Result<Option<f64>> {
        self.model.degrees_of_freedom(&self.standardization.data(data)?)
    }

    fn examine(&self, data: &Data<T>) -> Result<Vec<Warning>> {
        self.model.examine(&self.standardization.data(data)?)
    }
}

impl<M> Standardized<M> {
    fn in_units<T: Scalar, O: Objective>(&self, inner: O, data: &Data<T>) -> StandardizedObjective<O> {
        StandardizedObjective { inner, shift: -self.standardization.log_widths(data.y()) }
    }
}
