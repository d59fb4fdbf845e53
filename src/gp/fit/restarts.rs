//! Starts that are drawn.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use crate::params::{Constraint, Parameterized, ParameterizedExt};
use crate::{Error, Result};

/// How often a fit starts, and the seed of the starts that are drawn: the same seed gives the same fit.
///
/// Drawn starts go from short to long lengthscales, between the distance of neighbours and the range of the inputs; other
/// positive parameters are drawn about what the data suggest, and those with a prior from it.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, Fit, Restarts, Start};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(20, 1, |i, _| i as f64);
/// let data = Data::new(&x, (0..20).map(|i| (0.7 * i as f64).sin()).collect::<Vec<_>>());
/// let fitted = |seed| {
///     let mut gp = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1)?;
///     let report = gp.fit(&data, Fit::default().with_restarts(Restarts { count: 4, seed }))?;
///     Ok::<_, Error>((gp.values(), report.ends))
/// };
/// let (values, ends) = fitted(1)?;
/// assert_eq!((values, &ends), (fitted(1)?.0, &fitted(1)?.1)); // to the bit
/// let starts: Vec<Start> = ends.iter().map(|end| end.start).collect();
/// assert_eq!(starts, [Start::AsGiven, Start::FromData, Start::Drawn, Start::Drawn]);
/// assert_ne!(ends[2..], fitted(2)?.1[2..]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restarts {
    /// The number of starts in all; at least 1.
    pub count: usize,
    /// The seed.
    pub seed: u64,
}

/// How far starts are drawn from what the data suggest, on the line of their constraints: by factors of e, for what is
/// positive.
const SPREAD: f64 = 1.2;

/// The same of noise variances, of which data tell less.
const SPREAD_OF_NOISE: f64 = 2.5;

/// The same of lengthscales about their part of the range.
const SPREAD_OF_LENGTHSCALES: f64 = 0.5;

impl Restarts {
    pub(super) fn check(self) -> Result<()> {
        if self.count == 0 {
            return Err(Error::setting("the number of starts", 0, "must be at least 1"));
        }
        Ok(())
    }

    /// Moves parameters to one of so many drawn starts: those with a prior to a draw from it, lengthscales to somewhere between
    /// the distance of neighbours and the range of the inputs, others that have a scale about where they are. What may be of any
    /// sign stays, as all that q and inducing inputs are.
    pub(super) fn draw(
        self,
        (number, count): (usize, usize),
        (noise, ranges): (&[f64], &[Option<[f64; 2]>]),
        parameters: &mut dyn Parameterized,
    ) -> Result<()> {
        // A generator for each: searches run side by side.
        let mut rng = Pcg64::new(u128::from(self.seed), number as u128);
        // Together from short to long, as there are too few starts for every combination.
        let part = (number as f64 + rng.random::<f64>()) / count as f64;
        let entries = parameters.parameters();
        let mut values = parameters.values();
        for (position, entry) in entries.iter().enumerate() {
            if let Some(first) = entry.tie.filter(|&first| first < position) {
                values[position] = values[first];
                continue;
            }
            let learned = ["inducing.", "variational", "latents.", "mean_basis."];
            let fixed = entry.constraint == Constraint::Real || learned.iter().any(|part| entry.path.starts_with(part));
            if !entry.free || (fixed && entry.prior.is_none()) {
                continue;
            }
            let of_noise = noise.get(position).is_some_and(|unit| *unit > 0.0);
            let spread = if of_noise { SPREAD_OF_NOISE } else { SPREAD };
            let normal: f64 = StandardNormal.sample(&mut rng);
            let range = ranges.get(position).copied().flatten();
            let drawn = match (entry.prior, range) {
                (Some(prior), _) => prior.sample(&mut rng),
                (None, Some([near, far])) => near * (far / near).powf(part) * (SPREAD_OF_LENGTHSCALES * normal).exp(),
                (None, None) => {
                    entry.constraint.constrain(entry.constraint.unconstrain(values[position]) + spread * normal)
                }
            };
            if entry.constraint.admits(drawn) {
                values[position] = drawn;
            }
        }
        parameters.set_values(&values)
    }
}
