//! All scalars, one by one.

use std::collections::HashMap;

use super::annotation::Tie;
use super::path::walk;
use super::visits::for_each;
use super::{Constraint, Parameterized, Prior};
use crate::Error;

/// One scalar in the list of parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it is: `sum[1].rbf.lengthscale`.
    pub path: String,
    /// Its value, in natural units.
    pub value: f64,
    /// The set that it lives in.
    pub constraint: Constraint,
    /// Its prior, if it has one.
    pub prior: Option<Prior>,
    /// Whether optimisers may change it.
    pub free: bool,
    /// If it is [tied](super::ParameterizedExt::tie), the position in the list of the first that it is tied to,
    /// which may be its own.
    pub tie: Option<usize>,
}

/// Every scalar, in visiting order.
pub(super) fn entries<P: Parameterized + ?Sized>(root: &P) -> Vec<Entry> {
    let mut entries = Vec::new();
    walk(root, &mut |path, parameter| {
        for (element, (&value, &free)) in parameter.values.iter().zip(parameter.free).enumerate() {
            let path = format!("{path}{}", parameter.shape.index(element));
            let prior = parameter.prior(element);
            entries.push(Entry { path, value, constraint: parameter.constraint, prior, free, tie: None });
        }
    });
    for (position, first) in firsts(root).into_iter().enumerate() {
        let Some(first) = first else { continue };
        let (prior, free) = (entries[first].prior, entries[first].free);
        entries[position] = Entry { prior, free, tie: Some(first), ..entries[position].clone() };
    }
    entries
}

/// Why a value is refused at a position.
pub(super) fn refusal<P: Parameterized + ?Sized>(root: &P, position: usize, value: f64) -> Error {
    let entry = entries(root).swap_remove(position);
    Error::Parameter { path: entry.path, value, expected: entry.constraint.to_string() }
}

/// The tie of each scalar, in visiting order.
pub(super) fn ties<P: Parameterized + ?Sized>(root: &P) -> Vec<Option<Tie>> {
    let mut ties = Vec::new();
    for_each(root, &mut |parameter| {
        ties.extend((0..parameter.values.len()).map(|element| parameter.tie(element)));
    });
    ties
}

/// For each scalar that is tied to another one of the root, the position of the first of its group.
fn firsts<P: Parameterized + ?Sized>(root: &P) -> Vec<Option<usize>> {
    let ties = ties(root);
    let mut groups: HashMap<Tie, (usize, usize)> = HashMap::new();
    for (position, tie) in ties.iter().enumerate() {
        if let Some(tie) = tie {
            groups.entry(*tie).or_insert((position, 0)).1 += 1;
        }
    }
    let first =
        |tie: Option<Tie>| tie.and_then(|tie| groups.get(&tie)).filter(|group| group.1 > 1).map(|group| group.0);
    ties.into_iter().map(first).collect()
}
