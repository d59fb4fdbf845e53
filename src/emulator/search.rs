//! Other starts for a fit, found by one component at a time.

use faer::{Mat, Par};
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;
use rayon::prelude::*;

use super::structure::Problem;
use super::{Emulator, Evidence, Structure};
use crate::optim::{Lbfgs, Minimizer, Minimum, Objective, fit};
use crate::params::{Parameterized, ParameterizedExt, places};
use crate::{Expr, Kernel, Result};

/// Spectra that components are looked at with, which bounds the time; where there are more, these are drawn.
const SPECTRA: usize = 256;

/// Starts at random for each component at the precision that is the best so far, and at others.
const STARTS: [usize; 2] = [6, 2];

/// Their standard deviations on the real line, in turn: in logarithms, for what is positive.
const DEVIATIONS: [f64; 3] = [0.7, 1.5, 3.0];

/// Other precisions to look at, in units of the best so far, and of that of the residuals.
const PRECISIONS: [f64; 3] = [1.0, 1.0 / 50.0, 50.0];

/// A search for maxima other than the nearest.
///
/// An evidence of m components has a maximum for each combination of theirs, so that starts at random for all of them
/// together rarely help: as good ones in d places of m have the probability of all. But given the precision, the evidence of orthogonal components is
/// a sum of one term for each, with few parameters, where few starts are enough. For components that are not orthogonal,
/// or more spectra than are looked at, the sum is an approximation, which is good for a start.
pub(super) struct Search<'a, K> {
    emulator: &'a Emulator<K>,
    of: Evidence,
    theta: Mat<f64>,
    weights: Mat<f64>,
    /// Components that share no parameter but the precision, with the places of their free parameters.
    parts: Vec<Part>,
    /// The place of the precision, if it is free.
    precision: Option<usize>,
    /// What the data suggest for the free parameters, where they do.
    suggested: Vec<Option<f64>>,
}

#[derive(Default)]
struct Part {
    components: Vec<usize>,
    places: Vec<usize>,
}

impl<'a, K: Kernel<f64> + Expr + Clone> Search<'a, K> {
    pub(super) fn new(emulator: &'a Emulator<K>, of: Evidence) -> Self {
        let data = &emulator.data;
        let spectra = data.theta.nrows();
        let mut rows: Vec<usize> = (0..spectra).collect();
        if spectra > SPECTRA {
            rows = sample(&mut Pcg64::seed_from_u64(0), spectra, SPECTRA).into_vec();
        }
        let of_rows = |values: &Mat<f64>| Mat::from_fn(rows.len(), values.ncols(), |row, col| values[(rows[row], col)]);
        let places = places(emulator);
        let precision = places.first().copied().flatten();
        let mut search = Self {
            emulator,
            of,
            theta: of_rows(&data.theta),
            weights: of_rows(&data.weights),
            parts: parts(emulator, &places, precision),
            precision,
            suggested: Vec::new(),
        };
        search.suggested = search.suggest(&places);
        search
    }

    /// The start of greatest log evidence and log prior, from parameters that are the best so far, on the real line; none
    /// if there is none that is better. The first round looks at other precisions too.
    pub(super) fn start(&self, best: &[f64], round: u64) -> Option<Vec<f64>> {
        let mut greatest = (self.value(best)?, None);
        let precisions = self.precisions(best, round);
        for (turn, precision) in precisions.into_iter().enumerate() {
            let mut base = best.to_vec();
            if let Some(place) = self.precision {
                base[place] = precision;
            }
            let starts = STARTS[usize::from(turn > 0)];
            let improve = |part: &Part| self.improve(part, &base, starts, 16 * round + turn as u64);
            let found: Vec<Vec<f64>> = match self.emulator.par {
                Par::Seq => self.parts.iter().map(improve).collect(),
                _ => self.parts.par_iter().map(improve).collect(),
            };
            for (part, values) in self.parts.iter().zip(found) {
                part.places.iter().zip(values).for_each(|(&place, value)| base[place] = value);
            }
            if let Some(value) = self.value(&base).filter(|value| *value > greatest.0) {
                greatest = (value, Some(base));
            }
        }
        greatest.1
    }

    /// Precisions to look at, on the real line. The evidence of the fluxes leaves little choice, as it has all pixels.
    fn precisions(&self, best: &[f64], round: u64) -> Vec<f64> {
        let current = self.precision.map_or(0.0, |place| best[place]);
        let mut precisions = vec![current];
        if self.precision.is_some() && self.of == Evidence::Weights && round == 0 {
            precisions.extend(PRECISIONS[1..].iter().map(|factor| current + factor.ln()));
            let residual = self.emulator.residual_precision().ok();
            precisions.extend(residual.iter().flat_map(|residual| PRECISIONS.map(|factor| (residual * factor).ln())));
        }
        precisions
    }

    /// The log evidence and log prior of all components and spectra.
    fn value(&self, parameters: &[f64]) -> Option<f64> {
        let mut emulator = self.emulator.clone();
        emulator.set_unconstrained(parameters).ok()?;
        let value = emulator.log_evidence(self.of).ok()? + emulator.log_prior();
        value.is_finite().then_some(value)
    }

    /// The free parameters of a part that are best, all else as in `base`.
    fn improve(&self, part: &Part, base: &[f64], random: usize, turn: u64) -> Vec<f64> {
        let mut rng = Pcg64::seed_from_u64(turn);
        let deviate = |centre: &[f64], deviation: f64, rng: &mut Pcg64| {
            let mut start = centre.to_vec();
            part.places.iter().for_each(|&place| start[place] += deviation * rng.sample::<f64, _>(StandardNormal));
            start
        };
        let mut suggested = base.to_vec();
        part.places.iter().for_each(|&place| suggested[place] = self.suggested[place].unwrap_or(base[place]));
        let mut starts = vec![base.to_vec(), suggested.clone()];
        for index in 0..random {
            let centre = if index % 2 == 0 { base } else { &suggested };
            starts.push(deviate(centre, DEVIATIONS[index % DEVIATIONS.len()], &mut rng));
        }

        let of_part = |parameters: &[f64]| part.places.iter().map(|&place| parameters[place]).collect();
        let mut best: (f64, Vec<f64>) = (f64::INFINITY, of_part(base));
        for start in starts {
            let mut trial = self.emulator.clone();
            if trial.set_unconstrained(&start).is_err() {
                continue;
            }
            let minimum = fit(&mut trial, &Within { places: &part.places }, |trial| self.loss(trial, &part.components));
            if let Ok(minimum) = minimum {
                if minimum.value < best.0 {
                    best = (minimum.value, of_part(&trial.unconstrained()));
                }
            }
        }
        best.1
    }

    /// −log p(ŵ) of these components alone, but for a constant, and its gradient in all natural parameters, that in the
    /// precision left out.
    fn loss(&self, trial: &Emulator<K>, components: &[usize]) -> Result<(f64, Vec<f64>)> {
        let (count, all) = (components.len(), trial.noise());
        let noise = |row: usize, col: usize| if row == col { all[(components[row], components[row])] } else { 0.0 };
        let problem = Problem {
            kernels: components.iter().map(|&component| &trial.kernel.0[component] as &dyn Kernel<f64>).collect(),
            theta: self.theta.as_ref(),
            noise: Mat::from_fn(count, count, noise),
            jitter: trial.jitter,
            par: Par::Seq,
        };
        let covariance = problem.factorise(Some(Structure::Independent))?;
        let weights = Mat::from_fn(self.weights.nrows(), count, |row, col| self.weights[(row, components[col])]);
        let mut solved = weights.clone();
        covariance.solve_in_place(solved.as_mut())?;
        let fit: f64 = (0..count).map(|col| weights.col(col).transpose() * solved.col(col)).sum();
        let cotangents = covariance.cotangents(solved.as_ref())?;

        let mut gradient = vec![0.0; trial.num_params()];
        let starts = kernel_starts(trial);
        for (index, &component) in components.iter().enumerate() {
            if !trial.nugget.values().is_empty() {
                gradient[1 + component] = -cotangents.noise[(index, index)];
            }
            let of_kernel = &mut gradient[starts[component]..];
            of_kernel.iter_mut().zip(&cotangents.kernels[index]).for_each(|(slot, value)| *slot = -value);
        }
        Ok((0.5 * (covariance.log_det() + fit), gradient))
    }

    /// The variance of its weight for the factor of a kernel, and for lengthscales the median distance of two spectra that
    /// differ in the parameter: by place, on the real line.
    fn suggest(&self, places: &[Option<usize>]) -> Vec<Option<f64>> {
        let distances: Vec<Option<f64>> =
            (0..self.theta.ncols()).map(|col| median_distance(self.theta.col(col).iter().copied().collect())).collect();
        let overall = distances.iter().flatten().map(|distance| distance * distance).sum::<f64>().sqrt();
        let free = places.iter().flatten().max().map_or(0, |last| last + 1);
        let mut suggested = vec![None; free];
        let (entries, starts) = (self.emulator.parameters(), kernel_starts(self.emulator));
        for (component, &start) in starts.iter().enumerate().take(self.emulator.kernel.0.len()) {
            let weight = self.weights.col(component).squared_norm_l2() / self.weights.nrows() as f64;
            for position in start..starts[component + 1] {
                let (entry, Some(place)) = (&entries[position], places[position]) else { continue };
                let name = entry.path.rsplit('.').next().unwrap_or_default();
                let index = |rest: &str| rest.strip_prefix('[')?.strip_suffix(']')?.parse::<usize>().ok();
                let value = match name.strip_prefix("lengthscale") {
                    Some("") => Some(overall),
                    Some(rest) => index(rest).and_then(|col| distances.get(col).copied().flatten()),
                    None if name == "factor" => Some(weight),
                    None => None,
                };
                let admitted = value.filter(|value| entry.constraint.admits(*value));
                suggested[place] = admitted.map(|value| entry.constraint.unconstrain(value));
            }
        }
        suggested
    }
}

/// Where the parameters of each kernel begin among all, and where the last ends.
fn kernel_starts<K: Parameterized>(emulator: &Emulator<K>) -> Vec<usize> {
    let mut starts = vec![1 + emulator.nugget.values().len()];
    for kernel in &emulator.kernel.0 {
        starts.push(starts[starts.len() - 1] + kernel.num_params());
    }
    starts
}

/// Components that are tied to each other belong together. What is tied to the precision is held with it.
fn parts<K: Parameterized>(emulator: &Emulator<K>, places: &[Option<usize>], precision: Option<usize>) -> Vec<Part> {
    let starts = kernel_starts(emulator);
    let mut parts: Vec<Part> = Vec::new();
    for component in 0..emulator.kernel.0.len() {
        let nugget = if emulator.nugget.values().is_empty() { &[] } else { &places[1 + component..2 + component] };
        let own = nugget.iter().chain(&places[starts[component]..starts[component + 1]]).copied().flatten();
        let own: Vec<usize> = own.filter(|place| Some(*place) != precision).collect();
        let is_tied = |part: &mut Part| part.places.iter().any(|place| own.contains(place));
        let mut joined = Part { components: vec![component], places: own.clone() };
        for part in parts.extract_if(.., is_tied) {
            joined.components.extend(part.components);
            joined.places.extend(part.places);
        }
        joined.components.sort_unstable();
        joined.places.sort_unstable();
        joined.places.dedup();
        parts.push(joined);
    }
    parts.retain(|part| !part.places.is_empty());
    parts
}

/// The median distance of two values that differ.
fn median_distance(values: Vec<f64>) -> Option<f64> {
    let pairs = (0..values.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let mut distances: Vec<f64> =
        pairs.map(|(a, b)| (values[a] - values[b]).abs()).filter(|distance| *distance > 0.0).collect();
    let middle = distances.len() / 2;
    (!distances.is_empty()).then(|| *distances.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// L-BFGS over some coordinates, the others held.
struct Within<'a> {
    places: &'a [usize],
}

impl Minimizer for Within<'_> {
    fn minimize(&self, objective: &mut Objective<'_>, start: &[f64]) -> Result<Minimum> {
        let mut point = start.to_vec();
        let mut within = |x: &[f64]| {
            self.places.iter().zip(x).for_each(|(&place, &x)| point[place] = x);
            let (value, gradient) = objective(&point)?;
            Ok((value, self.places.iter().map(|&place| gradient[place]).collect()))
        };
        let start: Vec<f64> = self.places.iter().map(|&place| start[place]).collect();
        // The search for all components goes on from here.
        let rough = Lbfgs { max_steps: 100, cost_tolerance: 1e-8, gradient_tolerance: 1e-4, ..Lbfgs::default() };
        rough.minimize(&mut within, &start)
    }
}
