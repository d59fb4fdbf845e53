//! The vector of free unconstrained parameters, in which tied ones have one entry.

use std::collections::HashMap;
use std::ops::Range;

use super::annotation::{Note, Tie};
use super::entry::refusal;
use super::visits::{count, for_each, for_each_mut};
use super::{Constraint, ParameterMut, Parameterized};
use crate::{Error, Result};

/// Deals the places of the packed vector to the scalars of a visit.
#[derive(Default)]
struct Places {
    next: usize,
    of_groups: HashMap<Tie, Option<usize>>,
}

impl Places {
    /// The place of the next scalar; none if it is frozen. A group has the place and the freedom of
    /// its first member.
    fn of(&mut self, free: bool, tie: Option<Tie>) -> Option<usize> {
        if let Some(&place) = tie.and_then(|tie| self.of_groups.get(&tie)) {
            return place;
        }
        let place = free.then_some(self.next);
        self.next += usize::from(free);
        if let Some(tie) = tie {
            self.of_groups.insert(tie, place);
        }
        place
    }

    /// Calls `see` with runs of free scalars of the next parameter, and the place of the first; the others follow.
    fn of_runs(&mut self, free: &[bool], notes: &[Note], see: &mut dyn FnMut(Range<usize>, usize)) {
        if !notes.is_empty() {
            for (element, (&free, note)) in free.iter().zip(notes).enumerate() {
                if let Some(place) = self.of(free, note.tie) {
                    see(element..element + 1, place);
                }
            }
            return;
        }
        // None is tied: as whole arrays, of which the largest are most of a sparse model.
        let mut start = 0;
        for run in free.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            if run[0] {
                see(start..end, self.next);
                self.next += run.len();
            }
            start = end;
        }
    }
}

/// The place of each scalar, in visiting order, in the packed vector; none if it is frozen.
pub(crate) fn places<P: Parameterized + ?Sized>(root: &P) -> Vec<Option<usize>> {
    let mut places = Places::default();
    let mut of_scalars = Vec::new();
    for_each(root, &mut |parameter| {
        let of = |(element, &free): (usize, &bool)| places.of(free, parameter.tie(element));
        of_scalars.extend(parameter.free.iter().enumerate().map(of));
    });
    of_scalars
}

pub(super) fn unconstrained<P: Parameterized + ?Sized>(root: &P) -> Vec<f64> {
    let mut places = Places::default();
    let mut packed = Vec::new();
    for_each(root, &mut |parameter| {
        places.of_runs(parameter.free, parameter.notes, &mut |elements, place| {
            // The first of a group has put the value there.
            if place == packed.len() {
                packed.extend(parameter.values[elements].iter().map(|&value| parameter.constraint.unconstrain(value)));
            }
        });
    });
    packed
}

pub(super) fn set_unconstrained<P: Parameterized + ?Sized>(root: &mut P, packed: &[f64]) -> Result<()> {
    let mut places = Places::default();
    let mut refused = None;
    let mut start = 0;
    for_each(root, &mut |parameter| {
        places.of_runs(parameter.free, parameter.notes, &mut |elements, place| {
            let values = packed.get(place..place + elements.len()).unwrap_or_default();
            let constraint = parameter.constraint;
            let admits = |&value: &f64| match constraint {
                Constraint::Real => value.is_finite(),
                _ => constraint.admits(constraint.constrain(value)),
            };
            if refused.is_none()
                && let Some(bad) = values.iter().position(|value| !admits(value))
            {
                refused = Some((start + elements.start + bad, values[bad]));
            }
        });
        start += parameter.values.len();
    });
    check_len("the vector of free parameters", places.next, packed.len())?;
    if let Some((position, value)) = refused {
        return Err(refusal(root, position, value));
    }
    let mut places = Places::default();
    for_each_mut(root, &mut |parameter| {
        let ParameterMut { values, constraint, free, notes, .. } = parameter;
        places.of_runs(free, notes.as_slice(), &mut |elements, place| {
            let values = &mut values[elements];
            match constraint {
                Constraint::Real => values.copy_from_slice(&packed[place..place + values.len()]),
                _ => values.iter_mut().zip(&packed[place..]).for_each(|(value, &u)| *value = constraint.constrain(u)),
            }
        });
    });
    Ok(())
}

pub(super) fn unconstrained_gradient<P: Parameterized + ?Sized>(root: &P, natural: &[f64]) -> Result<Vec<f64>> {
    pulled(root, natural, &|_, constraint, value, gradient| gradient * constraint.slope(value))
}

/// The units of the packed vector, from those of all scalars in visiting order, or none. On a logarithmic scale there is nothing
/// to choose: only what may be of any sign has them.
pub(crate) fn units_at<P: Parameterized + ?Sized>(root: &P, units: &[f64]) -> Vec<f64> {
    at_places(root, units, Constraint::Real, 1.0, |first, _| first)
}

/// The floors of the packed vector, from those of all positive scalars in visiting order, 0 for none; of tied ones, the least that
/// there is.
pub(crate) fn floors_at<P: Parameterized + ?Sized>(root: &P, floors: &[f64]) -> Vec<f64> {
    let least = |one: f64, other: f64| if one == 0.0 || other == 0.0 { one.max(other) } else { one.min(other) };
    at_places(root, floors, Constraint::Positive, 0.0, least)
}

/// Something of scalars under one constraint, or `otherwise`, at their places; of tied ones, together.
fn at_places<P: Parameterized + ?Sized>(
    root: &P,
    scalars: &[f64],
    under: Constraint,
    otherwise: f64,
    together: impl Fn(f64, f64) -> f64,
) -> Vec<f64> {
    let mut places = Places::default();
    let mut packed: Vec<f64> = Vec::new();
    let mut start = 0;
    for_each(root, &mut |parameter| {
        places.of_runs(parameter.free, parameter.notes, &mut |elements, place| {
            let takes = parameter.constraint == under;
            let of = |element| scalars.get(start + element).copied().filter(|_| takes).unwrap_or(otherwise);
            if place == packed.len() {
                packed.extend(elements.map(of));
            } else {
                packed[place..].iter_mut().zip(elements.map(of)).for_each(|(one, other)| *one = together(*one, other));
            }
        });
        start += parameter.values.len();
    });
    packed
}

/// The gradient of a loss for a search that is at this point, to which the parameters were set.
pub(crate) fn gradient_at<P: Parameterized + ?Sized>(root: &P, point: &[f64], natural: &[f64]) -> Result<Vec<f64>> {
    let at = |place: usize| point.get(place).copied().unwrap_or(f64::NAN);
    pulled(root, natural, &|place, constraint, value, gradient| constraint.pull(at(place), value, gradient))
}

/// Entries by place, constraint, value and natural gradient, summed over those that are tied.
fn pulled<P: Parameterized + ?Sized>(
    root: &P,
    natural: &[f64],
    pull: &dyn Fn(usize, Constraint, f64, f64) -> f64,
) -> Result<Vec<f64>> {
    check_len("the gradient", count(root), natural.len())?;
    let mut places = Places::default();
    let mut packed: Vec<f64> = Vec::with_capacity(natural.len());
    let mut rest = natural;
    for_each(root, &mut |parameter| {
        let (gradient, after) = rest.split_at(parameter.values.len());
        rest = after;
        places.of_runs(parameter.free, parameter.notes, &mut |elements, place| {
            let entries = gradient[elements.clone()].iter().zip(&parameter.values[elements]).enumerate();
            let constraint = parameter.constraint;
            let entries = entries.map(|(offset, (&gradient, &value))| match constraint {
                Constraint::Real => gradient,
                _ => pull(place + offset, constraint, value, gradient),
            });
            if place == packed.len() {
                packed.extend(entries);
            } else {
                packed[place..].iter_mut().zip(entries).for_each(|(sum, entry)| *sum += entry);
            }
        });
    });
    Ok(packed)
}

pub(super) fn check_len(what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::shape(what, format!("{expected} value(s)"), (found, 1)))
}
