//! Scalars by path.

use super::Parameterized;
use super::entry::{Entry, entries};
use super::path::{nearest, walk};
use crate::{Error, Result};

/// Paths are compared without spaces: `inputs[4,0]` is `inputs[4, 0]`.
pub(super) fn same_path(a: &str, b: &str) -> bool {
    a.chars().filter(|c| *c != ' ').eq(b.chars().filter(|c| *c != ' '))
}

/// Whether `path` lies at or below the node or parameter that `prefix` names.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The positions, ascending, of the scalars that a path names: one element of a parameter, a whole
/// parameter, or everything below a node.
pub(crate) fn positions<P: Parameterized + ?Sized>(root: &P, path: &str) -> Result<Vec<usize>> {
    let mut positions = Vec::new();
    let mut start = 0;
    walk(root, &mut |parameter_path, parameter| {
        let whole = is_below(parameter_path, path);
        for element in 0..parameter.values.len() {
            if whole || same_path(&format!("{parameter_path}{}", parameter.shape.index(element)), path) {
                positions.push(start + element);
            }
        }
        start += parameter.values.len();
    });
    if positions.is_empty() { Err(unknown(path, &entries(root))) } else { Ok(positions) }
}

pub(super) fn unknown(path: &str, entries: &[Entry]) -> Error {
    let existing: Vec<String> = entries.iter().map(|entry| entry.path.clone()).collect();
    Error::UnknownPath { path: path.to_owned(), nearest: nearest(path, &existing) }
}
