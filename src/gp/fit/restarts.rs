//! Starts that are drawn.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use crate::params::{Constraint, Parameterized, ParameterizedExt};
use crate::{Error, Result};

/// How often a fit starts, and the seed of the starts that are drawn: the same seed gives the same fit.
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
