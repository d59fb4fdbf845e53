//! Scalars that are one.

use std::collections::{HashMap, HashSet};

use super::Parameterized;
use super::annotation::Tie;
use super::entry::{Entry, entries, ties};
use super::select::positions;
use super::visits::{for_each, for_each_mut};
use crate::{Error, Result};

/// These positions and those of all that is tied to them, ascending.
pub(super) fn with_tied<P: Parameterized + ?Sized>(root: &P, positions: Vec<usize>) -> Vec<usize> {
    let ties = ties(root);
    let groups: HashSet<Tie> = positions.iter().filter_map(|&position| ties[position]).collect();
    if groups.is_empty() {
        return positions;
    }
    let named: HashSet<usize> = positions.into_iter().collect();
    let tied = |position: &usize| ties[*position].is_some_and(|tie| groups.contains(&tie));
    (0..ties.len()).filter(|position| named.contains(position) || tied(position)).collect()
}

/// Writes ties and, for the members of a group, value, freedom and prior of the given source.
fn write<P: Parameterized + ?Sized>(
    root: &mut P,
    ties: &[Option<Tie>],
    sources: &HashMap<Tie, usize>,
    entries: &[Entry],
) {
    let mut start = 0;
    for_each_mut(root, &mut |mut parameter| {
        for element in 0..parameter.values.len() {
            let tie = ties[start + element];
            if parameter.as_ref().tie(element) != tie {
                parameter.change_note(element, |note| note.tie = tie);
            }
            if let Some(source) = tie.and_then(|tie| sources.get(&tie)).map(|&source| &entries[source]) {
                parameter.values[element] = source.value;
                parameter.free[element] = source.free;
                parameter.change_note(element, |note| note.prior = source.prior);
            }
        }
        start += parameter.values.len();
    });
}

pub(super) fn tie<P: Parameterized + ?Sized>(root: &mut P, paths: &[&str]) -> Result<()> {
    if paths.len() < 2 {
        return Err(Error::setting("the number of paths to tie", paths.len(), "must be at least 2"));
    }
    let named = paths.iter().map(|path| positions(root, path)).collect::<Result<Vec<_>>>()?;
    let entries = entries(root);
    for (path, members) in paths.iter().zip(&named).skip(1) {
        check_match(&entries, (paths[0], &named[0]), (path, members))?;
    }
    let mut ties = ties(root);
    let mut sources = HashMap::new();
    for (index, &source) in named[0].iter().enumerate() {
        let members = || named.iter().map(|positions| positions[index]);
        let fresh = Tie::fresh();
        let merged: HashSet<Tie> = members().filter_map(|position| ties[position].replace(fresh)).collect();
        if merged.iter().any(|tie| *tie != fresh) {
            for tie in ties.iter_mut().flatten().filter(|tie| merged.contains(tie)) {
                *tie = fresh;
            }
        }
        sources.insert(fresh, source);
    }
    write(root, &ties, &sources, &entries);
    Ok(())
}

/// Refuses to tie what two paths name, if there is not one scalar for each or constraints differ.
fn check_match(entries: &[Entry], first: (&str, &[usize]), second: (&str, &[usize])) -> Result<()> {
    let spaceless = |text: &str| text.replace(' ', "");
    let below = |(path, positions): (&str, &[usize])| -> Vec<String> {
        let path = spaceless(path);
        let rest = |&position: &usize| spaceless(&entries[position].path).split_off(path.len());
        positions.iter().map(rest).collect()
    };
    if below(first) != below(second) {
        return Err(Error::Tie {
            first: first.0.to_owned(),
            second: second.0.to_owned(),
            reason: "cannot be tied: they do not have the same shape".to_owned(),
        });
    }
    for (&a, &b) in first.1.iter().zip(second.1) {
        let (a, b) = (&entries[a], &entries[b]);
        if a.constraint != b.constraint {
            return Err(Error::Tie {
                first: a.path.clone(),
                second: b.path.clone(),
                reason: format!("cannot be tied: one is {:?}, the other {:?}", a.constraint, b.constraint),
            });
        }
    }
    Ok(())
}

pub(super) fn untie<P: Parameterized + ?Sized>(root: &mut P, path: &str) -> Result<()> {
    let mut ties = ties(root);
    for position in positions(root, path)? {
        ties[position] = None;
    }
    let mut left: HashMap<Tie, usize> = HashMap::new();
    for tie in ties.iter().flatten() {
        *left.entry(*tie).or_default() += 1;
    }
    for tie in &mut ties {
        *tie = tie.filter(|tie| left.get(tie).is_some_and(|count| *count > 1));
    }
    write(root, &ties, &HashMap::new(), &[]);
    Ok(())
}

/// Refuses values of all parameters that differ within a group.
pub(super) fn check_equal<P: Parameterized + ?Sized>(root: &P, values: &[f64]) -> Result<()> {
    let mut firsts = HashMap::new();
    let mut differing = None;
    let mut start = 0;
    for_each(root, &mut |parameter| {
        for element in 0..parameter.values.len() {
            let Some(tie) = parameter.tie(element) else { continue };
            let position = start + element;
            let first = *firsts.entry(tie).or_insert(position);
            if differing.is_none() && values[first] != values[position] {
                differing = Some((first, position));
            }
        }
        start += parameter.values.len();
    });
    let Some((first, second)) = differing else { return Ok(()) };
    let reason = format!(
        "are tied, but were given {} and {}; give them one value, or untie them",
        values[first], values[second]
    );
    let mut entries = entries(root);
    let second = entries.swap_remove(second).path;
    Err(Error::Tie { first: entries.swap_remove(first).path, second, reason })
}
