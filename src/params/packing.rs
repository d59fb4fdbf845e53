//! The vector of free unconstrained parameters, in which tied ones have one entry.

use std::collections::HashMap;

use super::ext::refusal;
use super::select::{check_len, for_each, for_each_mut};
use super::ties::Tie;
use super::{ParameterRef, Parameterized, ParameterizedExt};
use crate::Result;

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

    /// Calls `see` with the element and the place of each free scalar of the next parameter.
    fn of_each(&mut self, parameter: ParameterRef<'_>, see: &mut dyn FnMut(usize, usize)) {
        for (element, &free) in parameter.free.iter().enumerate() {
            if let Some(place) = self.of(free, parameter.tie(element)) {
                see(element, place);
            }
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
        places.of_each(parameter, &mut |element, place| {
            if place == packed.len() {
                packed.push(parameter.constraint.unconstrain(parameter.values[element]));
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
        places.of_each(parameter, &mut |element, place| {
            let value = packed.get(place).copied().unwrap_or_default();
            if refused.is_none() && !parameter.constraint.admits(parameter.constraint.constrain(value)) {
                refused = Some((start + element, value));
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
        for element in 0..parameter.values.len() {
            if let Some(place) = places.of(parameter.free[element], parameter.as_ref().tie(element)) {
                parameter.values[element] = parameter.constraint.constrain(packed[place]);
            }
        }
    });
    Ok(())
}

pub(super) fn unconstrained_gradient<P: Parameterized + ?Sized>(root: &P, natural: &[f64]) -> Result<Vec<f64>> {
    check_len("the gradient", root.num_params(), natural.len())?;
    let mut places = Places::default();
    let mut packed = Vec::new();
    let mut rest = natural;
    for_each(root, &mut |parameter| {
        let (gradient, after) = rest.split_at(parameter.values.len());
        rest = after;
        places.of_each(parameter, &mut |element, place| {
            let entry = gradient[element] * parameter.constraint.slope(parameter.values[element]);
            if place == packed.len() {
                packed.push(entry);
            } else {
                packed[place] += entry;
            }
        });
    });
    Ok(packed)
}
