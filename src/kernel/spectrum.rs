//! Where random frequencies are drawn from.

use std::fmt;

use faer::Mat;
use rand::Rng;

use super::{Argument, FromArgument};
use crate::Result;

/// The distribution of frequencies, by the kernel whose spectrum it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spectrum {
    /// Of [`Rbf`](crate::kernels::Rbf): normal.
    Rbf,
    /// Of [`Matern12`](crate::kernels::Matern12): Student's t with 1 degree of freedom.
    Matern12,
    /// Of [`Matern32`](crate::kernels::Matern32): Student's t with 3 degrees of freedom.
    Matern32,
    /// Of [`Matern52`](crate::kernels::Matern52): Student's t with 5 degrees of freedom.
    Matern52,
}

/// The spectra by their words in text.
pub(crate) const SPECTRA: [(&str, Spectrum); 4] = [
    ("rbf", Spectrum::Rbf),
    ("matern12", Spectrum::Matern12),
    ("matern32", Spectrum::Matern32),
    ("matern52", Spectrum::Matern52),
];

impl Spectrum {
    /// The degrees of freedom of Student's t; none for the normal distribution.
    fn degrees(self) -> Option<u32> {
        match self {
            Self::Rbf => None,
            Self::Matern12 => Some(1),
            Self::Matern32 => Some(3),
            Self::Matern52 => Some(5),
        }
    }

    /// So many random frequencies for points of a dimension and the lengthscale 1, one a column. Equal
    /// states of the generator give equal frequencies, on any machine.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernels::Spectrum;
    /// use rand::SeedableRng;
    ///
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    /// let frequencies = Spectrum::Rbf.frequencies(2, 5000, &mut rng);
    /// let squares: f64 = (0..5000).map(|j| frequencies[(0, j)].powi(2)).sum();
    /// assert!((squares / 5000.0 - 1.0).abs() < 0.1);
    /// ```
    pub fn frequencies(self, dim: usize, count: usize, rng: &mut (impl Rng + ?Sized)) -> Mat<f64> {
        let mut normal = Normal { source: rng, spare: None };
        let mut frequencies = Mat::zeros(dim, count);
        for frequency in frequencies.col_iter_mut() {
            // Student's t is normal over the root of an independent mean of squared normals.
            let scale = self.degrees().map_or(1.0, |degrees| {
                let chi: f64 = (0..degrees).map(|_| normal.next()).map(|z| z * z).sum();
                (chi / f64::from(degrees)).sqrt()
            });
            frequency.iter_mut().for_each(|omega| *omega = normal.next() / scale);
        }
        frequencies
    }
}

impl fmt::Display for Spectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = SPECTRA.iter().find(|(_, spectrum)| spectrum == self).map_or("", |(word, _)| word);
        f.write_str(word)
    }
}

impl FromArgument for Spectrum {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let found = |word: &str| SPECTRA.iter().find(|(known, _)| *known == word);
        Ok(argument.word().and_then(found).map(|(_, spectrum)| *spectrum))
    }

    fn describe() -> String {
        "a spectrum, `rbf`, `matern12`, `matern32` or `matern52`,".to_owned()
    }
}

/// Standard normal numbers, in pairs (Marsaglia & Bray 1964).
struct Normal<'r, R: ?Sized> {
    source: &'r mut R,
    spare: Option<f64>,
}

impl<R: Rng + ?Sized> Normal<'_, R> {
    /// Uniform between −1 and 1.
    fn uniform(&mut self) -> f64 {
        (self.source.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (self.uniform(), self.uniform());
            let square = a * a + b * b;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * libm::log(square) / square).sqrt();
                self.spare = Some(b * factor);
                return a * factor;
            }
        }
    }
}
