//! Whether observations fall where predictions say.

use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::likelihood::check_len;
use crate::{Error, Result};

/// How the probability integral transforms of observations are spread: evenly over \[0, 1\] where predictions are right.
///
/// # Definition
///
/// Of uᵢ = P(Y ≤ yᵢ) it has, for each level, the share of observations in the central interval of that level, |uᵢ − ½| ≤ level/2, and the
/// histogram of uᵢ in ten equal bins. A histogram with a hump says that predictions are too wide, one with a hollow that they are
/// too narrow, a slope that they are too high or too low.
///
/// Of counts, u is drawn uniformly between P(Y ≤ y − 1) and P(Y ≤ y), as it is then uniform where predictions are right.
///
/// [`Predict::cumulative`](crate::gp::Predict::cumulative) gives the values; those that are NaN do not count.
///
/// # Examples
///
/// ```
/// use mercer::data::metrics::Calibration;
///
/// // A hundred values that are spread evenly.
/// let even: Vec<f64> = (0..100).map(|i| (i as f64 + 0.5) / 100.0).collect();
/// let calibration = Calibration::of(&even)?;
/// assert_eq!(calibration.histogram(), [10; 10]);
/// assert_eq!((calibration.coverage()[0], calibration.coverage()[3]), ((0.5, 0.5), (0.95, 0.96)));
///
/// // Predictions that are twice as wide as they should be.
/// let narrow: Vec<f64> = even.iter().map(|u| 0.25 + 0.5 * u).collect();
/// assert_eq!(Calibration::of(&narrow)?.coverage()[0], (0.5, 1.0));
/// assert!(calibration.to_string().starts_with("100 observations\n"));
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Dawid (1984), "Statistical theory: the prequential approach", *Journal of the Royal Statistical Society A* 147(2), 278–292,
/// <https://doi.org/10.2307/2981683>; Czado, Gneiting & Held (2009), "Predictive model assessment for count data",
/// *Biometrics* 65(4), 1254–1261, <https://doi.org/10.1111/j.1541-0420.2009.01191.x>.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    count: usize,
    shares: [f64; LEVELS.len()],
    histogram: [usize; BINS],
}

const LEVELS: [f64; 5] = [0.5, 0.8, 0.9, 0.95, 0.99];

const BINS: usize = 10;

impl Calibration {
    /// Of values of P(Y ≤ y), for continuous observations.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without values; [`Error::Parameter`] for one that is not between 0 and 1.
    pub fn of(values: &[f64]) -> Result<Self> {
        let mut calibration = Self { count: 0, shares: [0.0; LEVELS.len()], histogram: [0; BINS] };
        for (row, &value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            if !(0.0..=1.0).contains(&value) {
                let expected = "between 0 and 1".to_owned();
                return Err(Error::Parameter { path: format!("values[{row}]"), value, expected });
            }
            calibration.count += 1;
            calibration.histogram[((value * BINS as f64) as usize).min(BINS - 1)] += 1;
            let outside = (2.0 * value - 1.0).abs();
            for (share, level) in calibration.shares.iter_mut().zip(LEVELS) {
                *share += if outside <= level { 1.0 } else { 0.0 };
            }
        }
        if calibration.count == 0 {
            return Err(Error::Empty { what: "the list of values".to_owned() });
        }
        calibration.shares.iter_mut().for_each(|share| *share /= calibration.count as f64);
        Ok(calibration)
    }

    /// Of values of P(Y ≤ y − 1) and of P(Y ≤ y), for counts, with draws of a generator of this seed.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of); [`Error::Shape`] for slices of different lengths; [`Error::Setting`] where the first is above the second.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::metrics::Calibration;
    ///
    /// // A coin that falls as it should: P(Y ≤ −1) = 0, P(Y ≤ 0) = ½, P(Y ≤ 1) = 1.
    /// let (below, at): (Vec<f64>, Vec<f64>) = (0..1000).map(|i| if i % 2 == 0 { (0.0, 0.5) } else { (0.5, 1.0) }).unzip();
    /// let calibration = Calibration::of_counts(&below, &at, 1)?;
    /// let (level, share) = calibration.coverage()[2];
    /// assert!(level == 0.9 && (share - 0.9).abs() < 3.0 * (0.9f64 * 0.1 / 1000.0).sqrt());
    /// // As they are, the values are ½ and 1, and half of all lie outside.
    /// assert_eq!(Calibration::of(&at)?.coverage()[2].1, 0.5);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn of_counts(below: &[f64], at: &[f64], seed: u64) -> Result<Self> {
        check_len(at.len(), &[("the values of P(Y ≤ y − 1)", below)])?;
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut values = Vec::with_capacity(at.len());
        for (row, (&below, &at)) in below.iter().zip(at).enumerate() {
            if below > at {
                let what = format!("P(Y ≤ y − 1) of row {row}");
                return Err(Error::setting(&what, below, &format!("must be at most P(Y ≤ y), which is {at}")));
            }
            // A draw for each row, so that one that is NaN does not move the others.
            let share: f64 = rng.random();
            values.push(below + share * (at - below));
        }
        Self::of(&values)
    }

    /// The number of observations that count.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Levels 0.5, 0.8, 0.9, 0.95 and 0.99, and the share of observations in the central interval of each.
    pub fn coverage(&self) -> [(f64, f64); 5] {
        std::array::from_fn(|index| (LEVELS[index], self.shares[index]))
    }

    /// The number of values in each tenth of \[0, 1\].
    pub fn histogram(&self) -> &[usize] {
        &self.histogram
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} observations", self.count)?;
        writeln!(f, "central interval  found  standard error")?;
        for (level, share) in self.coverage() {
            let error = (level * (1.0 - level) / self.count as f64).sqrt();
            writeln!(f, "{:>15} %  {:>5.1}  {:>14.1}", 100.0 * level, 100.0 * share, 100.0 * error)?;
        }
        writeln!(f, "P(Y ≤ y)      count  even: {}", self.count as f64 / BINS as f64)?;
        let most = self.histogram.iter().copied().max().unwrap_or(0).max(1);
        for (bin, count) in self.histogram.iter().enumerate() {
            let (from, to) = (bin as f64 / BINS as f64, (bin + 1) as f64 / BINS as f64);
            let bar = "#".repeat(40 * count / most);
            writeln!(f, "{}", format!("{from:.1} to {to:.1}  {count:>9}  {bar}").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_page_of_it() {
        let shown = Calibration::of(&[0.05, 0.5, 0.5, 0.95, f64::NAN, 1.0]).unwrap().to_string();
        let expected = "5 observations
central interval  found  standard error
             50 %   40.0            22.4
             80 %   40.0            17.9
             90 %   80.0            13.4
             95 %   80.0             9.7
             99 %   80.0             4.4
P(Y ≤ y)      count  even: 0.5
0.0 to 0.1          1  ####################
0.1 to 0.2          0
0.2 to 0.3          0
0.3 to 0.4          0
0.4 to 0.5          0
0.5 to 0.6          2  ########################################
0.6 to 0.7          0
0.7 to 0.8          0
0.8 to 0.9          0
0.9 to 1.0          2  ########################################
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn arguments_are_checked() {
        assert!(matches!(Calibration::of(&[]), Err(Error::Empty { .. })));
        assert!(matches!(Calibration::of(&[f64::NAN]), Err(Error::Empty { .. })));
        assert!(matches!(Calibration::of(&[0.5, 1.1]), Err(Error::Parameter { path, .. }) if path == "values[1]"));
        assert!(matches!(Calibration::of_counts(&[0.1], &[0.1, 0.2], 0), Err(Error::Shape { .. })));
        assert!(matches!(Calibration::of_counts(&[0.2], &[0.1], 0), Err(Error::Setting { .. })));
        let same = |seed| Calibration::of_counts(&[0.0; 50], &[1.0; 50], seed).unwrap();
        assert!(same(3) == same(3) && same(3) != same(4));
    }
}
