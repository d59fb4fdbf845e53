//! Scalars by path, and visits of all of them.

use super::path::{nearest, walk};
use super::{Entry, Label, ParameterMut, ParameterRef, Parameterized, ParameterizedExt, Visitor, VisitorMut};
use crate::{Error, Result};

/// Calls `see` with every parameter, in order.
pub(super) fn for_each<P: Parameterized + ?Sized>(root: &P, see: &mut dyn FnMut(ParameterRef<'_>)) {
    struct Each<'f>(&'f mut dyn FnMut(ParameterRef<'_>));
    impl Visitor for Each<'_> {
        fn parameter(&mut self, parameter: ParameterRef<'_>) {
            (self.0)(parameter);
        }
        fn child(&mut self, _: Label, child: &dyn Parameterized) {
            child.visit(self);
        }
    }
    root.visit(&mut Each(see));
}

/// Like [`for_each`], for change.
pub(super) fn for_each_mut<P: Parameterized + ?Sized>(root: &mut P, see: &mut dyn FnMut(ParameterMut<'_>)) {
    struct Each<'f>(&'f mut dyn FnMut(ParameterMut<'_>));
    impl VisitorMut for Each<'_> {
        fn parameter(&mut self, parameter: ParameterMut<'_>) {
            (self.0)(parameter);
        }
        fn child(&mut self, _: Label, child: &mut dyn Parameterized) {
            child.visit_mut(self);
        }
    }
    root.visit_mut(&mut Each(see));
}

/// Puts values back that the parameters have had before, unchecked.
pub(crate) fn restore<P: Parameterized + ?Sized>(root: &mut P, values: &[f64]) {
    let mut rest = values.iter();
    for_each_mut(root, &mut |parameter| {
        parameter.values.iter_mut().zip(&mut rest).for_each(|(slot, &value)| *slot = value);
    });
}

/// Calls `see` with the parameter and the element at each of these positions, which ascend.
pub(super) fn for_each_at<P: Parameterized + ?Sized>(
    root: &mut P,
    positions: &[usize],
    see: &mut dyn FnMut(&mut ParameterMut<'_>, usize),
) {
    let mut rest = positions.iter().copied().peekable();
    let mut start = 0;
    for_each_mut(root, &mut |mut parameter| {
        let end = start + parameter.values.len();
        while let Some(position) = rest.next_if(|&position| position < end) {
            see(&mut parameter, position - start);
        }
        start = end;
    });
}

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
    if positions.is_empty() { Err(unknown(path, &root.parameters())) } else { Ok(positions) }
}

pub(super) fn unknown(path: &str, entries: &[Entry]) -> Error {
    let existing: Vec<String> = entries.iter().map(|entry| entry.path.clone()).collect();
    Error::UnknownPath { path: path.to_owned(), nearest: nearest(path, &existing) }
}

pub(super) fn check_len(what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::shape(what, format!("{expected} value(s)"), (found, 1)))
}
