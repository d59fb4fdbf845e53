//! Other starts for a fit, found by one component at a time.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;
use rayon::prelude::*;

use super::structure::{Covariance, Problem};
use super::{Emulator, Evidence, Spectra, Structure};
use crate::gp::Model;
use crate::optim::{Lbfgs, Minimized, Minimizer, Minimum, fit};
use crate::params::{Constraint, Parameterized, ParameterizedExt, places};
use crate::{Expr, Kernel, Result};

/// Spectra that components are looked at with, which bounds the time; where there are more, these are drawn.
const SPECTRA: usize = 256;

/// Places at random that are looked at for each component, and the number of the best that are climbed from: at the
/// precision that is the best so far, and at others.
const PLACES: usize = 48;
const CLIMBS: [usize; 2] = [4, 2];

/// Their standard deviations on the real line, in turn: in logarithms, for what is positive.
const DEVIATIONS: [f64; 3] = [0.7, 1.5, 3.0];

/// Other precisions to look at beside that of the residuals, as what the smallest weight's variance is to its noise.
const PRECISIONS: [f64; 5] = [1.0, 1e2, 1e4, 1e6, 1e8];

/// A search for maxima other than the nearest.
///
/// An evidence of m components has a maximum for each combination of theirs. Starts at random for all of them together
/// rarely help, as they would have to be good for each at once. But given the precision, the evidence of orthogonal
/// components is a sum of one term for each, with few parameters, where few starts are enough. For components that are not
/// orthogonal, or more spectra than are looked at, the sum is an approximation, which is good for a start.
pub(super) struct Search<'a, K> {
    emulator: &'a Emulator<K>,
    spectra: &'a Spectra,
    /// Those of the spectra that are looked at.
    theta: Arc<Mat<f64>>,
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
    pub(super) fn new(emulator: &'a Emulator<K>, spectra: &'a Spectra) -> Self {
        let count = spectra.theta().nrows();
        let mut rows: Vec<usize> = (0..count).collect();
        if count > SPECTRA {
            rows = sample(&mut Pcg64::seed_from_u64(0), count, SPECTRA).into_vec();
        }
        let of_rows =
            |values: MatRef<'_, f64>| Mat::from_fn(rows.len(), values.ncols(), |row, col| values[(rows[row], col)]);
        let places = places(emulator);
        let precision = places.first().copied().flatten();
        let mut search = Self {
            emulator,
            spectra,
            theta: Arc::new(of_rows(spectra.theta())),
            weights: of_rows(spectra.weights()),
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
            let climbs = CLIMBS[usize::from(turn > 0)];
            let improve = |part: &Part| self.improve(part, &base, climbs, 16 * round + turn as u64);
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

    /// Precisions to look at, on the real line; one of any value where it is frozen. The evidence of the fluxes leaves little choice, as it has all pixels.
    fn precisions(&self, best: &[f64], round: u64) -> Vec<f64> {
        let Some(place) = self.precision else { return vec![0.0] };
        let mut precisions = vec![best[place]];
        if self.emulator.evidence == Evidence::Weights && round == 0 {
            let inverse_gram = self.spectra.inverse_gram();
            let sizes = (0..self.weights.ncols()).map(|i| self.mean_square(i) / inverse_gram[(i, i)]);
            let smallest = sizes.fold(f64::INFINITY, f64::min);
            let others = PRECISIONS.iter().map(|ratio| ratio / smallest).chain(self.spectra.residual_precision());
            let others = others.filter(|precision| Constraint::Positive.admits(*precision));
            precisions.extend(others.map(|precision| Constraint::Positive.unconstrain(precision)));
        }
        precisions
    }

    fn mean_square(&self, component: usize) -> f64 {
        self.weights.col(component).squared_norm_l2() / self.weights.nrows() as f64
    }

    /// The log evidence and log prior of all components and spectra.
    fn value(&self, parameters: &[f64]) -> Option<f64> {
        let mut emulator = self.emulator.clone();
        emulator.set_unconstrained(parameters).ok()?;
        let value = emulator.objective(self.spectra).ok()?.value + emulator.log_prior();
        value.is_finite().then_some(value)
    }

    /// The free parameters of a part that are best, all else as in `base`.
    fn improve(&self, part: &Part, base: &[f64], climbs: usize, turn: u64) -> Vec<f64> {
        let mut rng = Pcg64::seed_from_u64(turn);
        let mut suggested = base.to_vec();
        part.places.iter().for_each(|&place| suggested[place] = self.suggested[place].unwrap_or(base[place]));
        let draw = |index: usize| {
            let mut start = if index.is_multiple_of(2) { base } else { &suggested }.to_vec();
            let deviation = DEVIATIONS[index % DEVIATIONS.len()];
            part.places.iter().for_each(|&place| start[place] += deviation * rng.sample::<f64, _>(StandardNormal));
            let mut trial = self.emulator.clone();
            trial.set_unconstrained(&start).ok()?;
            let covariance = self.covariance(&trial, &part.components).ok()?;
            let (value, _) = self.negative_log_density(&*covariance, &part.components).ok()?;
            Some((value - trial.log_prior(), start)).filter(|(value, _)| value.is_finite())
        };
        let mut drawn: Vec<(f64, Vec<f64>)> = (0..PLACES).filter_map(draw).collect();
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        let starts = [base.to_vec(), suggested.clone()].into_iter().chain(drawn.into_iter().map(|(_, start)| start));

        let of_part = |parameters: &[f64]| part.places.iter().map(|&place| parameters[place]).collect();
        let mut best: (f64, Vec<f64>) = (f64::INFINITY, of_part(base));
        for start in starts.take(2 + climbs) {
            let mut trial = self.emulator.clone();
            if trial.set_unconstrained(&start).is_err() {
                continue;
            }
            let minimum = fit(&mut trial, &Within { places: &part.places }, |trial| self.loss(trial, &part.components));
            if let Some(minimum) = minimum.ok().filter(|minimum| minimum.value < best.0) {
                best = (minimum.value, of_part(&trial.unconstrained()));
            }
        }
        best.1
    }

    /// The covariance of the weights of these components alone.
    fn covariance(&self, trial: &Emulator<K>, components: &[usize]) -> Result<Arc<dyn Covariance>> {
        let (count, all) = (components.len(), trial.noise(self.spectra));
        let kernel = |&component: &usize| Arc::new(trial.kernel.0[component].clone()) as Arc<dyn Kernel<f64>>;
        let noise = |row: usize, col: usize| if row == col { all[(components[row], components[row])] } else { 0.0 };
        let problem = Problem {
            kernels: components.iter().map(kernel).collect(),
            theta: self.theta.clone(),
            noise: Mat::from_fn(count, count, noise),
            jitter: trial.jitter,
            par: Par::Seq,
        };
        problem.factorise(Some(Structure::Independent))
    }

    /// −log p(ŵ) of these components, but for a constant, and V⁻¹ŵ.
    fn negative_log_density(&self, covariance: &dyn Covariance, components: &[usize]) -> Result<(f64, Mat<f64>)> {
        let weights =
            Mat::from_fn(self.weights.nrows(), components.len(), |row, col| self.weights[(row, components[col])]);
        let mut solved = weights.clone();
        covariance.solve_in_place(solved.as_mut())?;
        let fit: f64 = (0..components.len()).map(|col| weights.col(col).transpose() * solved.col(col)).sum();
        Ok((0.5 * (covariance.log_det() + fit), solved))
    }

    /// The same, and its gradient in all natural parameters, that in the precision left out.
    fn loss(&self, trial: &Emulator<K>, components: &[usize]) -> Result<(f64, Vec<f64>)> {
        let covariance = self.covariance(trial, components)?;
        let (value, solved) = self.negative_log_density(&*covariance, components)?;
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
        Ok((value, gradient))
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
            let weight = self.mean_square(component);
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
    fn minimize(&self, objective: &mut Minimized<'_>, start: &[f64]) -> Result<Minimum> {
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
