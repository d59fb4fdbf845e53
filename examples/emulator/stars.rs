//! Model stars and their spectra.

use std::error::Error;
use std::path::Path;

use mercer::data::rows;
use mercer::prelude::*;

/// The file has six decimals: the variance of the rounding.
pub(crate) const ROUNDING: f64 = 1e-12 / 12.0;

/// Stars of known parameters.
pub(crate) struct Stars {
    /// In nm.
    pub(crate) wavelengths: Vec<f64>,
    /// Effective temperature in K, logarithm of the surface gravity in cm/s², metallicity: n × 3.
    pub(crate) labels: Mat<f64>,
    /// The flux in units of the continuum: n × P.
    pub(crate) flux: Mat<f64>,
}

impl Stars {
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/stellar_li_balder.csv");
        let mut reader = csv::Reader::from_path(path)?;
        let wavelengths =
            reader.headers()?.iter().skip(3).map(|name| name[1..].parse()).collect::<Result<Vec<f64>, _>>()?;
        let stars = reader.deserialize().collect::<Result<Vec<Vec<f64>>, _>>()?;
        let labels = Mat::from_fn(stars.len(), 3, |star, dim| stars[star][dim]);
        let flux = Mat::from_fn(stars.len(), wavelengths.len(), |star, pixel| stars[star][3 + pixel]);
        Ok(Self { wavelengths, labels, flux })
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.nrows()
    }

    /// All but every `step`-th star, and every `step`-th, from that of this number on.
    pub(crate) fn split(&self, first: usize, step: usize) -> mercer::Result<(Self, Self)> {
        let (out, kept): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(|star| star % step == first);
        Ok((self.of(&kept)?, self.of(&out)?))
    }

    fn of(&self, stars: &[usize]) -> mercer::Result<Self> {
        let (labels, flux) = (rows(self.labels.as_ref(), stars)?, rows(self.flux.as_ref(), stars)?);
        Ok(Self { wavelengths: self.wavelengths.clone(), labels, flux })
    }

    /// What kernels read. Strengths of lines go with 1/T, the exponent of Boltzmann's factors; 5040 K/T is the usual
    /// unit.
    pub(crate) fn theta(&self, inverse_temperature: bool) -> Mat<f64> {
        Mat::from_fn(self.len(), 3, |star, dim| match (dim, self.labels[(star, dim)]) {
            (0, teff) if inverse_temperature => 5040.0 / teff,
            (0, teff) => teff / 5040.0,
            (_, label) => label,
        })
    }

    /// The spectrum of the nearest of these stars, in parameters of unit variance.
    pub(crate) fn nearest(&self, others: &Self) -> mercer::Result<Mat<f64>> {
        let scale = mercer::data::Standardizer::fit(self.labels.as_ref(), 0)?;
        let (here, there) = (scale.transform(self.labels.as_ref())?, scale.transform(others.labels.as_ref())?);
        let nearest = |star: usize| {
            let distance = |of: usize| (0..3).map(|dim| (here[(of, dim)] - there[(star, dim)]).powi(2)).sum::<f64>();
            (0..self.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
        };
        rows(self.flux.as_ref(), &(0..others.len()).map(nearest).collect::<Vec<_>>())
    }

    /// The mean spectrum of these stars, as often as there are others.
    pub(crate) fn mean(&self, others: &Self) -> Mat<f64> {
        let mean = |pixel: usize| self.flux.col(pixel).sum() / self.len() as f64;
        let mean: Vec<f64> = (0..self.wavelengths.len()).map(mean).collect();
        Mat::from_fn(others.len(), mean.len(), |_, pixel| mean[pixel])
    }
}
