//! The Gaussian distribution of a spectrum, its covariance by a factor of few columns and a diagonal.

use std::f64::consts::TAU;

use faer::{Mat, MatRef, Par};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::data::check_finite;
use crate::linalg::{Diagonal, LowRank, Operator, product};
use crate::{Error, Result};

/// A spectrum of P pixels that is known up to a Gaussian error: N(μ, AAᵀ + diag(d)), with a factor A of P × m.
///
/// # Definition
///
/// A carries the covariance of the components' weights to the pixels; d is the variance that each pixel has of its own:
/// what the components leave, and [noise](Self::with_noise). Solves and densities are those of [`LowRank`].
///
/// Everything takes O(Pm²) time and O(Pm) memory, but for [`covariance`](Self::covariance).
///
/// # Examples
///
/// ```
/// use mercer::emulator::FluxDistribution;
/// use mercer::prelude::*;
///
/// // Covariance [[1.5, 2], [2, 4.5]].
/// let flux = FluxDistribution::new(vec![3.0, 1.0], mat![[1.0], [2.0]], vec![0.5, 0.5])?;
/// assert_eq!(flux.variance(), [1.5, 4.5]);
/// let det: f64 = 1.5 * 4.5 - 2.0 * 2.0;
/// let solved = flux.solve(mat![[1.0], [0.0]].as_ref())?;
/// assert!((solved - mat![[4.5 / det], [-2.0 / det]]).norm_max() < 1e-14);
///
/// // A residual of (1, 0) has the square 4.5 / det.
/// let expected = -0.5 * (4.5 / det + det.ln()) - (2.0 * std::f64::consts::PI).ln();
/// assert!((flux.log_density(&[4.0, 1.0])? - expected).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FluxDistribution {
    mean: Vec<f64>,
    factor: Mat<f64>,
    own: Vec<f64>,
    outside: bool,
}

impl FluxDistribution {
    /// The distribution of this mean, factor A (P × m) and diagonal d.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for such a mean or factor; [`Error::Shape`] if the three do not fit
    /// each other; [`Error::Parameter`] for a variance that is negative or not finite.
    pub fn new(mean: Vec<f64>, factor: Mat<f64>, own: Vec<f64>) -> Result<Self> {
        let pixels = mean.len();
        check_finite("the mean", MatRef::from_column_major_slice(&mean, pixels, 1))?;
        if factor.nrows() != pixels {
            let expected = format!("{pixels} row(s), one for each pixel");
            return Err(Error::shape("the factor", expected, (factor.nrows(), factor.ncols())));
        }
        check_finite("the factor", factor.as_ref())?;
        check_variances(&own, pixels)?;
        Ok(Self { mean, factor, own, outside: false })
    }

    /// The same, said to be of parameters outside the convex hull of those of the training spectra, or not.
    pub(super) fn flagged(mut self, outside: bool) -> Self {
        self.outside = outside;
        self
    }

    /// Adds an independent error of this variance to each pixel: the flux as it is observed.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] unless there is a variance for each pixel; [`Error::Parameter`] for one that is negative or not
    /// finite, or whose sum with the pixel's own is not.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::emulator::FluxDistribution;
    /// use mercer::prelude::*;
    ///
    /// let flux = FluxDistribution::new(vec![1.0], mat![[2.0]], vec![0.5])?;
    /// assert_eq!(flux.with_noise(&[0.25])?.variance(), [4.75]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_noise(mut self, variance: &[f64]) -> Result<Self> {
        check_variances(variance, self.mean.len())?;
        self.own.iter_mut().zip(variance).for_each(|(own, variance)| *own += variance);
        check_variances(&self.own, self.mean.len())?;
        Ok(self)
    }

    /// The distribution of this many times the spectrum: undoes a normalisation by a
    /// [factor](crate::data::Basis::factors).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a multiple that is not finite; [`Error::NonFinite`] and [`Error::Parameter`] if the mean,
    /// the factor or a variance overflows.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::emulator::FluxDistribution;
    /// use mercer::prelude::*;
    ///
    /// let flux = FluxDistribution::new(vec![1.0], mat![[2.0]], vec![0.5])?.scaled(10.0)?;
    /// assert_eq!((flux.mean(), flux.variance()), ([10.0].as_slice(), vec![450.0]));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn scaled(mut self, multiple: f64) -> Result<Self> {
        if !multiple.is_finite() {
            return Err(Error::setting("the multiple of the spectrum", multiple, "must be finite"));
        }
        self.mean.iter_mut().for_each(|mean| *mean *= multiple);
        self.factor *= faer::Scale(multiple);
        // The square of the multiple may overflow where the variance is none.
        self.own.iter_mut().for_each(|own| *own = *own * multiple * multiple);
        Ok(Self::new(self.mean, self.factor, self.own)?.flagged(self.outside))
    }

    /// μ, the mean of each pixel.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// A, P × m.
    pub fn factor(&self) -> MatRef<'_, f64> {
        self.factor.as_ref()
    }

    /// d, the variance that each pixel has of its own.
    pub fn own_variance(&self) -> &[f64] {
        &self.own
    }

    /// Whether the parameters are outside the convex hull of those of the training spectra.
    pub fn is_outside(&self) -> bool {
        self.outside
    }

    /// The variance of each pixel, the diagonal of AAᵀ + diag(d).
    pub fn variance(&self) -> Vec<f64> {
        let row = |(pixel, own): (usize, &f64)| own + self.factor.row(pixel).squared_norm_l2();
        self.own.iter().enumerate().map(row).collect()
    }

    /// AAᵀ + diag(d) as a matrix of P × P, for spectra of few pixels.
    pub fn covariance(&self) -> Mat<f64> {
        let mut covariance = product(self.factor.as_ref(), self.factor.transpose());
        for (pixel, own) in self.own.iter().enumerate() {
            covariance[(pixel, pixel)] += own;
        }
        covariance
    }

    /// Independent draws of the spectrum, a column each: P × draws.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::emulator::FluxDistribution;
    /// use mercer::prelude::*;
    /// use rand::SeedableRng;
    ///
    /// // Two pixels that move together.
    /// let flux = FluxDistribution::new(vec![3.0, 1.0], mat![[1.0], [2.0]], vec![0.0, 0.0])?;
    /// let draws = flux.sample(5, &mut rand_pcg::Pcg64::seed_from_u64(1));
    /// for draw in draws.col_iter() {
    ///     assert!((draw[1] - 1.0 - 2.0 * (draw[0] - 3.0)).abs() < 1e-14);
    /// }
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn sample(&self, draws: usize, rng: &mut (impl Rng + ?Sized)) -> Mat<f64> {
        let mut spectra = Mat::zeros(self.mean.len(), draws);
        for column in spectra.col_iter_mut() {
            let weights = Mat::<f64>::from_fn(self.factor.ncols(), 1, |_, _| rng.sample(StandardNormal));
            let moved = product(self.factor.as_ref(), weights.as_ref());
            for (pixel, value) in column.iter_mut().enumerate() {
                let own = self.own[pixel].sqrt() * rng.sample::<f64, _>(StandardNormal);
                *value = self.mean[pixel] + moved[(pixel, 0)] + own;
            }
        }
        spectra
    }

    /// The log density of a spectrum.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] and [`Error::NonFinite`] for a spectrum that does not fit, or whose log density overflows;
    /// [`Error::Parameter`] if a pixel has no variance of its own: [add noise](Self::with_noise); those of
    /// [`LowRank::new`] if variances are so small that AᵀD⁻¹A overflows.
    pub fn log_density(&self, spectrum: &[f64]) -> Result<f64> {
        let pixels = self.mean.len();
        if spectrum.len() != pixels {
            return Err(Error::shape("the spectrum", format!("{pixels} pixel(s)"), (spectrum.len(), 1)));
        }
        let residual = Mat::from_fn(pixels, 1, |pixel, _| spectrum[pixel] - self.mean[pixel]);
        check_finite("the spectrum", residual.as_ref())?;
        let operator = self.operator()?;
        let white = operator.solve_lower(residual.as_ref(), Par::Seq)?;
        let square: f64 = white.col(0).iter().map(|x| x * x).sum();
        let density = -0.5 * (square + operator.log_det() + pixels as f64 * TAU.ln());
        check_finite("the log density", MatRef::from_column_major_slice(&[density], 1, 1))?;
        Ok(density)
    }

    /// (AAᵀ + diag(d))⁻¹ B, for P × k.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] and [`Error::NonFinite`] for such a B, or for a result that overflows; [`Error::Shape`] for
    /// another number of rows; [`Error::Parameter`] if a pixel has no variance of its own; those of [`LowRank::new`] if
    /// variances are so small that AᵀD⁻¹A overflows.
    pub fn solve(&self, b: MatRef<'_, f64>) -> Result<Mat<f64>> {
        if b.nrows() != self.mean.len() {
            let expected = format!("{} row(s), one for each pixel", self.mean.len());
            return Err(Error::shape("the right-hand side", expected, (b.nrows(), b.ncols())));
        }
        check_finite("the right-hand side", b)?;
        let solution = self.operator()?.solve(b, Par::Seq)?;
        check_finite("the solution", solution.as_ref())?;
        Ok(solution)
    }

    /// AAᵀ + diag(d), factorised.
    fn operator(&self) -> Result<LowRank<f64>> {
        if let Some((pixel, &value)) = self.own.iter().enumerate().find(|(_, own)| **own <= 0.0) {
            let expected = "positive for a density or a solve: add noise".to_owned();
            return Err(Error::Parameter { path: format!("the own variance of pixel {pixel}"), value, expected });
        }
        LowRank::new(Diagonal::new(self.own.clone())?, self.factor.clone(), Par::Seq)
    }
}

fn check_variances(variances: &[f64], pixels: usize) -> Result<()> {
    if variances.len() != pixels {
        let expected = format!("{pixels} value(s), one for each pixel");
        return Err(Error::shape("the variances of the pixels", expected, (variances.len(), 1)));
    }
    match variances.iter().enumerate().find(|(_, v)| !(v.is_finite() && **v >= 0.0)) {
        None => Ok(()),
        Some((pixel, &value)) => {
            let expected = "finite and not negative".to_owned();
            Err(Error::Parameter { path: format!("the variance of pixel {pixel}"), value, expected })
        }
    }
}
