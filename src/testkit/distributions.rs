//! The distribution of new observations: that densities, probabilities, quantiles and draws are of one.

use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

use super::Violation;
use super::likelihoods::{Checked, Oracle, moved};

/// From one end to the other, with tails.
const PROBABILITIES: [f64; 13] =
    [1e-9, 1e-4, 0.025, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.975, 1.0 - 1e-4, 1.0 - 1e-9];

/// So many observations are drawn.
const DRAWS: usize = 2000;

impl Oracle<'_> {
    /// Probabilities of new observations, their quantiles and draws, against each other and against the density: for counts,
    /// P(Y ≤ y) − P(Y ≤ y − 1) is the probability of y, and otherwise the derivative of P(Y ≤ y) its density; the quantile of P(Y ≤ y) is y,
    /// and quantiles rise with the probability and have it; of 2000 draws as many fall below quantiles as should, within
    /// four and a half standard errors.
    ///
    /// # Errors
    ///
    /// The first [`Violation`], also if something is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::likelihood::{NegativeBinomial, Softmax};
    /// use mercer::testkit::likelihoods::Oracle;
    ///
    /// let counts = NegativeBinomial::new(0.3);
    /// Oracle::of(&counts).at(&[3.0, 0.0, 40.0], &[0.4, 1.3, 2.0], &[0.3, 0.0, 1.2]).check_distribution()?;
    /// let classes = Softmax::new(2);
    /// assert!(Oracle::of(&classes).at(&[0.0], &[0.4, 1.3], &[0.3, 0.2]).check_distribution().is_err());
    /// # Ok::<(), mercer::testkit::Violation>(())
    /// ```
    pub fn check_distribution(&self) -> Checked {
        let quantiles: Vec<Vec<f64>> = PROBABILITIES.iter().map(|&p| self.quantiles(p)).collect::<Result<_, _>>()?;
        for index in 0..self.y.len() {
            let whole = self.y[index].fract() == 0.0 && self.density(index, self.y[index] + 0.5).is_err();
            self.check_density(index, whole)?;
            let of_each: Vec<f64> = quantiles.iter().map(|all| all[index]).collect();
            self.check_quantiles(index, whole, &of_each)?;
        }
        self.check_draws(&quantiles)
    }

    fn cumulative(&self, index: usize, y: f64) -> Result<f64, Violation> {
        let found = self.likelihood.cumulative(&moved(&self.y, index, y), &self.mean, &self.variance);
        let found = self.evaluated("`cumulative`", found)?;
        self.same_number("the number of probabilities", found.len(), self.y.len())?;
        Ok(found[index])
    }

    fn density(&self, index: usize, y: f64) -> Result<f64, Violation> {
        let found = self.likelihood.log_predictive_density(&moved(&self.y, index, y), &self.mean, &self.variance);
        Ok(self.evaluated("`log_predictive_density`", found)?[index].exp())
    }

    fn quantiles(&self, p: f64) -> Result<Vec<f64>, Violation> {
        let found = self.evaluated("`quantile`", self.likelihood.quantile(p, &self.mean, &self.variance))?;
        self.same_number("the number of quantiles", found.len(), self.y.len())?;
        Ok(found)
    }

    fn check_density(&self, index: usize, whole: bool) -> Checked {
        let (law, y) = ("probabilities are those of the density", self.y[index]);
        let density = self.density(index, y)?;
        if whole {
            let mass = self.cumulative(index, y)? - self.cumulative(index, y - 1.0)?;
            return self.close(law, format!("y[{index}] = {y}"), mass, density, self.tolerance);
        }
        // Differences of two steps, whose error of second order cancels.
        let spread = self.quantiles(0.84)?[index] - self.quantiles(0.16)?[index];
        let slope = |step: f64| -> Result<f64, Violation> {
            Ok((self.cumulative(index, y + step)? - self.cumulative(index, y - step)?) / (2.0 * step))
        };
        let step = 1e-3 * spread.min(y.abs().max(1e-3 * spread));
        let found = (4.0 * slope(0.5 * step)? - slope(step)?) / 3.0;
        self.close(law, format!("y[{index}] = {y}"), found * spread, density * spread, self.tolerance.max(1e-7))
    }

    fn check_quantiles(&self, index: usize, whole: bool, quantiles: &[f64]) -> Checked {
        let place = |p: f64| format!("p = {p:e} of observation {index}");
        for ((&p, &quantile), pair) in PROBABILITIES.iter().zip(quantiles).zip(quantiles.windows(2)) {
            if pair[0] > pair[1] || quantile.is_nan() {
                return self.broken("quantiles rise", place(p), format!("{pair:?}"), "ascending".to_owned());
            }
            let reached = self.cumulative(index, quantile)?;
            let law = "quantiles have their probability";
            if !whole {
                // Between two neighbouring numbers there may be more: near 1, beside what is still smaller.
                if self.close(law, place(p), reached / p, 1.0, 1e-9).is_err() {
                    let before = self.cumulative(index, quantile.next_down())?;
                    if reached < p || before >= p {
                        return self.close(law, place(p), reached / p, 1.0, 1e-9);
                    }
                }
                continue;
            }
            let before = self.cumulative(index, quantile - 1.0)?;
            if reached < p || before >= p {
                return self.broken(law, place(p), format!("{before:e} to {reached:e}"), "p between them".to_owned());
            }
        }
        let y = self.y[index];
        let p = self.cumulative(index, y)?;
        // Of what is next to certain nothing comes back.
        if !(1e-12..=1.0 - 1e-4).contains(&p) {
            return Ok(());
        }
        let back = self.quantiles(p)?[index];
        let spread = if whole { 0.0 } else { self.quantiles(0.84)?[index] - self.quantiles(0.16)?[index] };
        if (back - y).abs() <= 1e-8 * spread {
            return Ok(());
        }
        self.broken("the quantile of P(Y ≤ y) is y", format!("y[{index}]"), format!("{back:e}"), format!("{y:e}"))
    }

    fn check_draws(&self, quantiles: &[Vec<f64>]) -> Checked {
        let mut rng = Pcg64::seed_from_u64(71);
        let mut below = vec![vec![0usize; self.y.len()]; quantiles.len()];
        for _ in 0..DRAWS {
            let latent = |(mean, variance): (&f64, &f64)| mean + variance.sqrt() * rng.sample::<f64, _>(StandardNormal);
            let f: Vec<f64> = self.mean.iter().zip(&self.variance).map(latent).collect();
            let drawn = self.evaluated("`draw`", self.likelihood.draw(&f, &mut rng))?;
            self.same_number("the number of draws", drawn.len(), self.y.len())?;
            for (counts, quantiles) in below.iter_mut().zip(quantiles) {
                counts.iter_mut().zip(quantiles).zip(&drawn).for_each(|((count, q), y)| *count += usize::from(y <= q));
            }
        }
        for (counts, quantiles) in below.iter().zip(quantiles) {
            for (index, (&count, &quantile)) in counts.iter().zip(quantiles).enumerate() {
                let p = self.cumulative(index, quantile)?;
                let share = count as f64 / DRAWS as f64;
                // At least one draw more or less.
                let error = (p * (1.0 - p) / DRAWS as f64).sqrt().max(1.0 / DRAWS as f64);
                if (share - p).abs() > 4.5 * error {
                    let place = format!("observation {index}, up to {quantile:e}");
                    let expected = format!("{p:e}, to within {:e}", 4.5 * error);
                    return self.broken("draws are of the distribution", place, format!("{share:e}"), expected);
                }
            }
        }
        Ok(())
    }
}
