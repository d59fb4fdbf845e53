//! Fits: from several starts, with a floor under the noise, and with a report of what to doubt.

mod examine;
mod report;
mod restarts;
mod search;
mod summary;
mod warning;

use std::fmt;

pub(super) use examine::{Examined, examine_one};
pub use report::{End, Report, Start};
pub use restarts::Restarts;
pub(super) use search::fit;
pub use summary::Summary;
pub use warning::Warning;

use crate::optim::{Lbfgs, Minimizer};
use crate::{Error, Result};

/// The part of the variance of the observations below which noise does not fall by default.
pub(super) const NOISE_FLOOR: f64 = 1e-6;

/// How a model is fitted: by which minimiser, from which starts, and how small its noise may become.
///
/// [`Model::fit`](super::Model::fit) takes it, and a minimiser alone for the defaults of everything else.
///
/// # Noise floor
///
/// A noise variance that is free stays above a part of the variance of the observations (of the mean of their squares, if
/// they do not vary, and of 1, if they are 0): 10⁻⁶, unless [`with_noise_floor`](Self::with_noise_floor) sets another. Data
/// without noise would else be fitted with one that ends anywhere below rounding, where the objective has no digits. A variance
/// that starts below starts at twice the floor. A fit that ends at it says so in its [warnings](Report::warnings).
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, Fit, Restarts};
/// use mercer::prelude::*;
///
/// // A wave that is short against the lengthscale that the search starts from, in units of its own.
/// let x = Mat::from_fn(60, 1, |i, _| 0.1 * i as f64);
/// let y: Vec<f64> = (0..60).map(|i| 5000.0 * (0.6 * i as f64).sin() + 300.0 * (17.0 * i as f64).cos()).collect();
/// let data = Data::new(&x, y);
///
/// let mut gp = ExactGp::new(1.0 * Rbf::new(30.0));
/// let report = gp.fit(&data, Fit::default().with_restarts(Restarts { count: 5, seed: 0 }))?;
/// assert!(report.converged && report.ends.len() == 5);
/// let lengthscale = gp.get("kernel.scaled.rbf.lengthscale")?;
/// assert!((0.1..0.6).contains(&lengthscale), "{lengthscale}");
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone)]
pub struct Fit<'m> {
    minimizer: Option<&'m dyn Minimizer>,
    restarts: Restarts,
    from_data: bool,
    noise_floor: f64,
}

impl Default for Fit<'_> {
    /// L-BFGS with its [defaults](Lbfgs), from where the parameters are, with a noise floor of 10⁻⁶.
    fn default() -> Self {
        Self { minimizer: None, restarts: Restarts { count: 1, seed: 0 }, from_data: false, noise_floor: NOISE_FLOOR }
    }
}

impl<'m> Fit<'m> {
    /// Sets the minimiser.
    #[must_use]
    pub fn with_minimizer(mut self, minimizer: &'m dyn Minimizer) -> Self {
        self.minimizer = Some(minimizer);
        self
    }

    /// Sets from how many starts the search goes, of which the best end is kept: the first is where the parameters are, the
    /// second [what the data suggest](super::Model::suggest), if they do, and the others are drawn about that.
    ///
    /// An end with a lengthscale below the distances of the inputs explains noise by chance, where few of them are near each
    /// other: it is kept only if it is better by 2 for each. Searches run side by side on the threads of rayon, each with
    /// matrices of its own.
    #[must_use]
    pub fn with_restarts(mut self, restarts: Restarts) -> Self {
        self.restarts = restarts;
        self
    }

    /// Starts from [what the data suggest](super::Model::suggest) in place of where the parameters are.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Fit};
    /// use mercer::prelude::*;
    ///
    /// let x = Mat::from_fn(80, 1, |i, _| 1950.0 + 0.25 * i as f64);
    /// let y: Vec<f64> = (0..80).map(|i| (std::f64::consts::TAU * 0.25 * i as f64 / 3.0).sin()).collect();
    /// let mut gp = ExactGp::new(1.0 * Periodic::new(1.0, 500.0)).with_noise(0.1)?;
    /// gp.fit(&Data::new(&x, y), Fit::default().from_data())?;
    /// assert!((gp.get("kernel.scaled.periodic.period")? - 3.0).abs() < 1e-3);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn from_data(mut self) -> Self {
        self.from_data = true;
        self
    }

    /// Sets the part of the variance of the observations below which no noise variance falls; 0 for none.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is negative or not finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Fit, Warning};
    /// use mercer::prelude::*;
    ///
    /// // No noise, and a deviation of about 1.
    /// let x = Mat::from_fn(40, 1, |i, _| 0.2 * i as f64);
    /// let data = Data::new(&x, (0..40).map(|i| 2f64.sqrt() * (0.2 * i as f64).sin()).collect::<Vec<_>>());
    /// let mut gp = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1)?;
    /// let report = gp.fit(&data, Fit::default().with_noise_floor(1e-4)?)?;
    /// assert!((0.5e-4..2e-4).contains(&gp.likelihood().variance()));
    /// assert!(report.warnings.iter().any(|warning| matches!(warning, Warning::NoiseAtFloor { .. })));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_noise_floor(mut self, part: f64) -> Result<Self> {
        if !(part.is_finite() && part >= 0.0) {
            return Err(Error::setting("the noise floor", part, "must be finite and not negative"));
        }
        self.noise_floor = part;
        Ok(self)
    }

    fn minimizer<'s>(&self, otherwise: &'s Lbfgs) -> &'s dyn Minimizer
    where
        'm: 's,
    {
        self.minimizer.unwrap_or(otherwise)
    }
}

impl fmt::Debug for Fit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minimizer: _, restarts, from_data, noise_floor } = self;
        f.debug_struct("Fit")
            .field("restarts", restarts)
            .field("from_data", from_data)
            .field("noise_floor", noise_floor)
            .finish_non_exhaustive()
    }
}

impl<'m, M: Minimizer> From<&'m M> for Fit<'m> {
    fn from(minimizer: &'m M) -> Self {
        Self::default().with_minimizer(minimizer)
    }
}

impl<'m> From<&'m dyn Minimizer> for Fit<'m> {
    fn from(minimizer: &'m dyn Minimizer) -> Self {
        Self::default().with_minimizer(minimizer)
    }
}

impl<'m> From<&Fit<'m>> for Fit<'m> {
    fn from(fit: &Fit<'m>) -> Self {
        fit.clone()
    }
}
