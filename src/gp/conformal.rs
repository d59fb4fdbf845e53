//! Bands that hold a stated share of new observations whatever the model.

use faer::{Mat, MatRef};

use super::predict::{Predict, check_observations};
use crate::{Error, Result, Scalar};

/// Split-conformal bands about the quantiles of a model: at least a stated share of new observations falls within them, whether the
/// model is right or not, if new observations and those held out for calibration are exchangeable.
///
/// # Definition
///
/// With the quantiles q₋ and q₊ of the levels (1 ∓ level)/2, held-out observations have the scores
/// Eᵢ = max(q₋(xᵢ) − yᵢ, yᵢ − q₊(xᵢ)), negative inside. Of n of them the margin Q is the ⌈(n + 1) level⌉-th smallest, and the band is from
/// q₋(x) − Q to q₊(x) + Q: it holds a new observation with a probability of at least the level, and of at most
/// level + 1/(n + 1) if scores are all different. Where a negative margin leaves nothing between the two it is their midpoint.
///
/// The probability is over calibration and new data together and over all of x: a band may hold more observations at some x and fewer
/// at others. Each output has a margin of its own; observations that are NaN do not count. The model must not have seen the
/// observations that calibrate it.
///
/// # Examples
///
/// A model that takes its noise for a hundredth of what it is:
///
/// ```
/// use mercer::data::metrics::interval_coverage;
/// use mercer::gp::{Conformal, ExactGp};
/// use mercer::prelude::*;
/// use rand::{RngExt, SeedableRng};
/// use rand_distr::StandardNormal;
///
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let x = Mat::from_fn(600, 1, |_, _| rng.random_range(0.0..9.0));
/// let y = Mat::from_fn(600, 1, |row, _| x[(row, 0)].sin() + 0.3 * rng.sample::<f64, _>(StandardNormal));
/// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(9e-4)?;
/// let posterior = gp.condition(&Data::new(x.subrows(0, 100), y.col_as_slice(0)[..100].to_vec()))?;
///
/// let bands = Conformal::new(posterior, x.subrows(100, 199), y.subrows(100, 199), 0.9)?;
/// let band = bands.band(x.subrows(299, 301))?;
/// let held = y.col_as_slice(0)[299..].to_vec();
/// let share = interval_coverage(&held, band.lower.col_as_slice(0), band.upper.col_as_slice(0))?;
/// // Three standard errors of a share of 301 and of a margin from 199.
/// assert!((share - 0.9).abs() < 3.0 * (0.9f64 * 0.1 * (1.0 / 301.0 + 1.0 / 199.0)).sqrt());
/// assert!(bands.margins()[0] > 0.1);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Romano, Patterson & Candès (2019), "Conformalized quantile regression", *Advances in Neural Information Processing
/// Systems* 32, theorem 1, <https://arxiv.org/abs/1905.03222>.
#[derive(Clone, Debug)]
pub struct Conformal<P> {
    model: P,
    level: f64,
    margins: Vec<f64>,
}

/// A lower and an upper bound at some points.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Band<T: Scalar> {
    /// The lower bounds: a row for each point, a column for each output.
    pub lower: Mat<T>,
    /// The upper bounds, in the same shape.
    pub upper: Mat<T>,
}

impl<P> Conformal<P> {
    /// Bands of a level, by observations that the model has not seen.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a level that is not between 0 and 1, and for fewer observations of an output than the level needs, with
    /// their number; as [`Predict::quantiles`]; [`Error::Shape`] and [`Error::NonFinite`] for observations that do not fit.
    pub fn new<T: Scalar>(model: P, x: MatRef<'_, T>, y: MatRef<'_, T>, level: f64) -> Result<Self>
    where
        P: Predict<T>,
    {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::setting("the level of the band", level, "must be between 0 and 1"));
        }
        check_observations(x, y, model.outputs())?;
        let [lower, upper] = bounds(&model, x, level)?;
        let margin = |output: usize| {
            let score = |row: usize| {
                let y = y[(row, output)].as_f64();
                (lower[(row, output)].as_f64() - y).max(y - upper[(row, output)].as_f64())
            };
            let seen = (0..y.nrows()).filter(|&row| !y[(row, output)].is_nan());
            let mut scores: Vec<f64> = seen.map(score).collect();
            let (count, rank) = (scores.len(), rank(scores.len(), level));
            if rank > count {
                let name = format!("the number of observations of output {output} to calibrate by");
                let expected = format!("must be at least {} for the level {level}", fewest(level));
                return Err(Error::setting(&name, count, &expected));
            }
            scores.sort_by(f64::total_cmp);
            Ok(scores[rank - 1])
        };
        let margins = (0..y.ncols()).map(margin).collect::<Result<_>>()?;
        Ok(Self { model, level, margins })
    }

    /// The band at some points.
    ///
    /// # Errors
    ///
    /// As [`Predict::quantiles`].
    pub fn band<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Band<T>>
    where
        P: Predict<T>,
    {
        let [mut lower, mut upper] = bounds(&self.model, x, self.level)?;
        for (output, &margin) in self.margins.iter().enumerate() {
            let ends = lower.col_as_slice_mut(output).iter_mut().zip(upper.col_as_slice_mut(output));
            for (lower, upper) in ends {
                let (from, to) = (lower.as_f64() - margin, upper.as_f64() + margin);
                let middle = 0.5 * (from + to);
                (*lower, *upper) = (T::from_f64(from.min(middle)), T::from_f64(to.max(middle)));
            }
        }
        Ok(Band { lower, upper })
    }

    /// Q of each output: by how much the model's own interval is widened on either side.
    pub fn margins(&self) -> &[f64] {
        &self.margins
    }

    /// The share of observations that bands hold at least.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// The model whose quantiles they are about.
    pub fn model(&self) -> &P {
        &self.model
    }
}

/// The model's own interval.
fn bounds<T: Scalar>(model: &impl Predict<T>, x: MatRef<'_, T>, level: f64) -> Result<[Mat<T>; 2]> {
    let found = model.quantiles(x, &[0.5 * (1.0 - level), 0.5 * (1.0 + level)])?;
    let count = found.len();
    found.try_into().map_err(|_| Error::shape("the quantiles of the model", "2 matrices", (count, 1)))
}

/// ⌈(n + 1) level⌉, of the decimal fraction that the level is rounded from: the product has two roundings.
fn rank(count: usize, level: f64) -> usize {
    let exact = (count as f64 + 1.0) * level * (1.0 - 2.0 * f64::EPSILON);
    exact.ceil() as usize
}

/// The fewest observations that a level can do with.
fn fewest(level: f64) -> usize {
    let about = (level / (1.0 - level)).floor() as usize;
    (about.max(1)..).find(|&count| rank(count, level) <= count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::gp::{ExactGp, Svgp};
    use crate::kernels::Rbf;
    use crate::likelihood::{Poisson, Softmax};
    use faer::mat;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;

    #[test]
    fn ranks_are_those_of_the_decimal_fraction() {
        for (count, level, expected) in
            [(9, 0.9, 9), (19, 0.95, 19), (99, 0.07, 7), (1, 0.5, 1), (9, 0.91, 10), (4, 0.8, 4)]
        {
            assert_eq!(rank(count, level), expected, "{count} {level}");
        }
        let needed = [0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999].map(fewest);
        assert_eq!(needed, [1, 1, 4, 9, 19, 99, 999]);
    }

    /// With 9 scores and a level of 0.8 the coverage is 8/10 exactly, for a model that is off by a factor of 2.
    #[test]
    fn coverage_is_that_of_the_rank() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(7);
        let prior = ExactGp::new(Rbf::new(1.0)).with_noise(3.0).unwrap().prior();
        let x = Mat::<f64>::zeros(9, 1);
        let (trials, mut held) = (4000, 0);
        for _ in 0..trials {
            let y = Mat::from_fn(9, 1, |_, _| 1.0 + 4.0 * rng.sample::<f64, _>(StandardNormal));
            let bands = Conformal::new(prior.clone(), x.as_ref(), y.as_ref(), 0.8).unwrap();
            let band = bands.band(x.subrows(0, 1)).unwrap();
            let new = 1.0 + 4.0 * rng.sample::<f64, _>(StandardNormal);
            held += usize::from(band.lower[(0, 0)] <= new && new <= band.upper[(0, 0)]);
        }
        let share = f64::from(u32::try_from(held).unwrap()) / f64::from(trials);
        assert!((share - 0.8).abs() < 3.0 * (0.16 / f64::from(trials)).sqrt(), "{share}");
    }

    /// One observation, equal ones, missing ones, and bands that are narrower than the model's.
    #[test]
    fn few_and_equal_observations() {
        let prior = ExactGp::new(Rbf::new(1.0)).with_noise(3.0).unwrap().prior();
        let at = mat![[0.0], [1.0]];
        let half = 0.674_489_750_196_081_7 * 2.0;
        let one = Conformal::new(prior.clone(), at.subrows(0, 1), mat![[5.0]].as_ref(), 0.5).unwrap();
        assert!((one.margins()[0] - (5.0 - half)).abs() < 1e-14 && one.level() == 0.5);
        let band = one.band(at.as_ref()).unwrap();
        assert!((band.upper[(1, 0)] - 5.0f64).abs() < 1e-14 && (band.lower[(1, 0)] + 5.0f64).abs() < 1e-14);
        let equal = Mat::from_fn(20, 1, |row, _| if row == 7 { f64::NAN } else { 0.0 });
        let bands = Conformal::new(prior.clone(), Mat::zeros(20, 1).as_ref(), equal.as_ref(), 0.95).unwrap();
        let band = bands.band(at.as_ref()).unwrap();
        assert_eq!((band.lower[(0, 0)], band.upper[(0, 0)]), (0.0, 0.0));
        let error = Conformal::new(prior, Mat::zeros(18, 1).as_ref(), Mat::zeros(18, 1).as_ref(), 0.95).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the number of observations of output 0 to calibrate by is 18, but must be at least 19 for the level 0.95"
        );
    }

    #[test]
    fn every_likelihood_with_quantiles_has_bands() {
        let z = mat![[0.0], [1.0]];
        let counts = Svgp::new(Rbf::new(1.0), z.as_ref()).unwrap().with_likelihood(Poisson::new()).posterior().unwrap();
        let (x, y) = (Mat::from_fn(9, 1, |i, _| i as f64), Mat::from_fn(9, 1, |i, _| (7 * i % 5) as f64));
        let bands = Conformal::new(counts, x.as_ref(), y.as_ref(), 0.9).unwrap();
        let band = bands.band(x.as_ref()).unwrap();
        assert!((0..9).all(|i| band.lower[(i, 0)] <= y[(i, 0)] && y[(i, 0)] <= band.upper[(i, 0)]));
        assert!(bands.margins()[0].fract() == 0.0 && bands.model().outputs() == 1);
        let classes =
            Svgp::new(Rbf::new(1.0), z.as_ref()).unwrap().with_likelihood(Softmax::new(3)).posterior().unwrap();
        let error = Conformal::new(classes, x.as_ref(), y.as_ref(), 0.9).unwrap_err();
        assert!(error.to_string().contains("no order"), "{error}");
        let prior = ExactGp::new(Rbf::new(1.0)).prior::<f64>();
        for level in [0.0, 1.0, -0.5, f64::NAN] {
            let refused = Conformal::new(prior.clone(), x.as_ref(), y.as_ref(), level);
            assert!(matches!(refused, Err(Error::Setting { .. })));
        }
        assert!(matches!(Conformal::new(prior, x.as_ref(), z.as_ref(), 0.5), Err(Error::Shape { .. })));
    }
}
