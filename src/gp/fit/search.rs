//! From starts to a report.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::examine::SHORT;
use super::{End, Fit, Report, Start, Warning};
use crate::Result;
use crate::gp::Model;
use crate::gp::starts::Suggested;
use crate::optim::{Lbfgs, Minimizer, Minimum};
use crate::params::{Constraint, Parameterized, ParameterizedExt};

/// See [`Model::fit`].
pub(in crate::gp) fn fit<D: Sync + ?Sized, M: Model<D> + Clone>(
    model: &mut M,
    data: &D,
    fit: &Fit<'_>,
) -> Result<Report> {
    let others = fit.restarts.count.saturating_sub(1);
    let noise = model.scales(data)?.noise;
    let suggested = if fit.from_data || others > 0 { Some(model.suggest(data)?) } else { None };
    let starts = fit.starts(suggested.as_ref().is_some_and(|suggested| suggested.values != model.values()))?;
    let lbfgs = Lbfgs::default();
    let climb = Climb { minimizer: fit.minimizer(&lbfgs), floor: fit.noise_floor };
    let mut candidates: Vec<_> = starts.iter().map(|_| Of { model: model.clone(), data }).collect();
    let erased = candidates.iter_mut().map(|candidate| candidate as &mut dyn Candidate).collect();
    let (ends, best) = climb.all(fit, (&starts, suggested.as_ref(), &noise), erased);
    // As far as it came, also where it failed.
    *model = candidates.swap_remove(best).model;
    let mut report = reported(ends, best)?;
    report.objective = -report.value - model.log_prior();
    let floors = noise.iter().map(|unit| fit.noise_floor * unit).collect::<Vec<_>>();
    report.warnings.extend(of_parameters(model, &floors));
    // What cannot be examined is fitted all the same.
    report.warnings.extend(model.examine(data).unwrap_or_default());
    Ok(report)
}

/// A model and its data, whose types are lost: searches are compiled once.
trait Candidate: Send {
    fn parameters(&mut self) -> &mut dyn Parameterized;
    fn climb(&mut self, minimizer: &dyn Minimizer, floor: f64) -> Result<Minimum>;
}

struct Of<'d, M, D: ?Sized> {
    model: M,
    data: &'d D,
}

impl<D: Sync + ?Sized, M: Model<D> + Clone> Candidate for Of<'_, M, D> {
    fn parameters(&mut self) -> &mut dyn Parameterized {
        &mut self.model
    }

    fn climb(&mut self, minimizer: &dyn Minimizer, floor: f64) -> Result<Minimum> {
        self.model.climb(self.data, minimizer, floor)
    }
}

impl Fit<'_> {
    fn starts(&self, others_suggested: bool) -> Result<Vec<Start>> {
        self.restarts.check()?;
        let first = if self.from_data { Start::FromData } else { Start::AsGiven };
        // What the data do not suggest would be the first again.
        let second = if self.from_data || !others_suggested { Start::Drawn } else { Start::FromData };
        let start = |index| match index {
            0 => first,
            1 => second,
            _ => Start::Drawn,
        };
        Ok((0..self.restarts.count).map(start).collect())
    }
}

/// What an end has to be better by for each lengthscale below the distances of the inputs: by that much, noise is explained by
/// chance where few points are near each other.
const OF_CHANCE: f64 = 2.0;

/// How many lengthscales are below the distances of the inputs.
fn short(parameters: &dyn Parameterized, ranges: &[Option<[f64; 2]>]) -> usize {
    let below = |(value, range): &(f64, &Option<[f64; 2]>)| range.is_some_and(|[near, _]| *value < SHORT * near);
    parameters.values().into_iter().zip(ranges).filter(below).count()
}

struct Climb<'m> {
    minimizer: &'m dyn Minimizer,
    floor: f64,
}

impl Climb<'_> {
    /// The ends of all, and which is the best.
    fn all(
        &self,
        fit: &Fit<'_>,
        (starts, suggested, noise): (&[Start], Option<&Suggested>, &[f64]),
        candidates: Vec<&mut dyn Candidate>,
    ) -> (Vec<End>, usize) {
        let from = |(number, candidate): (usize, &mut dyn Candidate)| {
            let start = starts[number];
            let drawn = starts.iter().filter(|start| **start == Start::Drawn).count();
            let number = number.saturating_sub(starts.len() - drawn);
            let outcome = self.one(fit, (start, number, drawn), suggested, noise, candidate);
            let short = suggested.map_or(0, |suggested| short(candidate.parameters(), &suggested.ranges));
            (End { start, outcome }, short)
        };
        let numbered: Vec<_> = candidates.into_iter().enumerate().collect();
        let ends: Vec<(End, usize)> = match numbered.len() {
            1 => numbered.into_iter().map(from).collect(),
            _ => numbered.into_par_iter().map(from).collect(),
        };
        let value = |(end, short): &(End, usize)| {
            end.outcome.as_ref().map_or(f64::INFINITY, |minimum| minimum.value + OF_CHANCE * *short as f64)
        };
        // The first of the best: `min_by` gives the first of equal ones.
        let best = (0..ends.len()).min_by(|&a, &b| value(&ends[a]).total_cmp(&value(&ends[b]))).unwrap_or(0);
        (ends.into_iter().map(|(end, _)| end).collect(), best)
    }

    fn one(
        &self,
        fit: &Fit<'_>,
        (start, number, drawn): (Start, usize, usize),
        suggested: Option<&Suggested>,
        noise: &[f64],
        candidate: &mut dyn Candidate,
    ) -> Result<Minimum> {
        let parameters = candidate.parameters();
        if let Some(suggested) = suggested.filter(|_| start != Start::AsGiven) {
            move_free(parameters, &suggested.values)?;
            if start == Start::Drawn {
                fit.restarts.draw((number, drawn), (noise, &suggested.ranges), parameters)?;
            }
        }
        candidate.climb(self.minimizer, self.floor)
    }
}

/// Sets what is free.
fn move_free(parameters: &mut dyn Parameterized, suggested: &[f64]) -> Result<()> {
    let mut values = parameters.values();
    for (position, entry) in parameters.parameters().iter().enumerate() {
        let first = entry.tie.unwrap_or(position);
        let fits = |value: &f64| {
            entry.constraint.admits(*value) && entry.prior.is_none_or(|prior| prior.log_density(*value).is_finite())
        };
        if entry.free && suggested.get(first).is_some_and(fits) {
            values[position] = suggested[first];
        }
    }
    parameters.set_values(&values)
}

/// How far below the best an end is another.
const ELSEWHERE: f64 = 0.1;

fn reported(ends: Vec<End>, best: usize) -> Result<Report> {
    let Minimum { value, gradient_norm, steps, converged, reason, .. } = ends[best].outcome.clone()?;
    let mut warnings = Vec::new();
    if !converged {
        warnings.push(Warning::NotConverged { reason: reason.clone() });
    }
    let elsewhere = |end: &&End| !end.outcome.as_ref().is_ok_and(|minimum| minimum.value <= value + ELSEWHERE);
    let poor = ends.iter().filter(elsewhere).count();
    // One of several that nobody else came near is no proof.
    if ends.len() > 2 && poor + 1 >= ends.len() {
        warnings.push(Warning::PoorStarts { poor, starts: ends.len() });
    }
    let evaluations = ends.iter().flat_map(|end| &end.outcome).map(|minimum| minimum.evaluations).sum();
    Ok(Report { objective: -value, value, gradient_norm, steps, evaluations, converged, reason, best, ends, warnings })
}

/// How near a floor or a bound counts as at it.
const AT_FLOOR: f64 = 1.5;
const AT_BOUND: f64 = 1e-4;

/// What the parameters of a fitted model tell without data, by the floors of the fit.
fn of_parameters(model: &dyn Parameterized, floors: &[f64]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (position, entry) in model.parameters().into_iter().enumerate().filter(|(_, entry)| entry.free) {
        let floor = floors.get(position).copied().unwrap_or(0.0);
        let near = |bound: f64, other: f64| {
            let scale = if other.is_finite() { (other - bound).abs() } else { bound.abs() };
            bound.is_finite() && (entry.value - bound).abs() <= AT_BOUND * scale
        };
        let at_bound = match entry.constraint {
            Constraint::UpTo { upper } => near(upper, 0.0),
            Constraint::Interval { lower, upper } => near(lower, upper) || near(upper, lower),
            _ => false,
        };
        if floor > 0.0 && entry.value <= AT_FLOOR * floor {
            warnings.push(Warning::NoiseAtFloor { path: entry.path, floor });
        } else if at_bound {
            let (value, constraint) = (entry.value, entry.constraint.to_string());
            warnings.push(Warning::AtBound { path: entry.path, value, constraint });
        }
    }
    warnings
}
