//! Visits that know where they are.

use super::{Label, ParameterRef, Parameterized, Visitor};

/// The path of a child, and the index from which the child numbers its own children.
///
/// A node in a chain of the same associative kind takes over its parent's place, so that
/// `(a + b) + c` numbers a, b and c from 0 to 2 like the flat sum of the three.
struct Place {
    path: String,
    /// Number of the next part of the chain that `path` names.
    next: usize,
}

/// Whether nodes of this name, one in the other, count as one.
pub(crate) fn is_associative(name: &str) -> bool {
    matches!(name, "sum" | "product")
}

impl Place {
    fn root(name: &str) -> Self {
        Self { path: name.to_owned(), next: 0 }
    }

    /// The place of a child, or `None` if the child is part of the chain that this place names.
    fn child(&mut self, parent: &str, label: Label, child: &str) -> Option<Self> {
        let join = |path: &str, name: &str| match (path.is_empty(), name.is_empty()) {
            (_, true) => path.to_owned(),
            (true, _) => name.to_owned(),
            _ => format!("{path}.{name}"),
        };
        let path = match label {
            Label::Index(_) if parent == child && is_associative(parent) => return None,
            Label::Index(index) => {
                let index = if is_associative(parent) { self.next } else { index };
                self.next += 1;
                join(&format!("{}[{index}]", self.path), child)
            }
            Label::Only => join(&self.path, child),
            Label::Part(part) => join(&join(&self.path, part), child),
        };
        Some(Self { path, next: 0 })
    }
}

struct Walk<'f> {
    place: Place,
    parent: String,
    see: &'f mut dyn FnMut(&str, ParameterRef<'_>),
}

impl Visitor for Walk<'_> {
    fn parameter(&mut self, parameter: ParameterRef<'_>) {
        (self.see)(&parameter_path(&self.place.path, parameter.name), parameter);
    }

    fn child(&mut self, label: Label, child: &dyn Parameterized) {
        match self.place.child(&self.parent, label, child.name()) {
            None => child.visit(self),
            Some(place) => child.visit(&mut Walk { place, parent: child.name().to_owned(), see: self.see }),
        }
    }
}

fn parameter_path(node: &str, parameter: &str) -> String {
    if node.is_empty() { parameter.to_owned() } else { format!("{node}.{parameter}") }
}

/// Calls `see` with the path of every parameter (without element index), in order.
pub(super) fn walk<P: Parameterized + ?Sized>(root: &P, see: &mut dyn FnMut(&str, ParameterRef<'_>)) {
    let name = root.name().to_owned();
    root.visit(&mut Walk { place: Place::root(&name), parent: name, see });
}

/// The paths that are spelt most like the one asked for, at most three, best first.
pub(crate) fn nearest(path: &str, existing: &[String]) -> Vec<String> {
    // The measures take as long as the product of the lengths, and no slip of the finger is that long.
    if path.len() > 1000 {
        return Vec::new();
    }
    // One slip of the finger in a short name leaves less likeness than the measure asks of long ones.
    let likeness = |candidate: &String| {
        let one_slip = strsim::osa_distance(path, candidate) <= 1;
        strsim::jaro_winkler(path, candidate).max(if one_slip { 0.9 } else { 0.0 })
    };
    let mut ranked: Vec<(f64, &String)> = existing.iter().map(|candidate| (likeness(candidate), candidate)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().filter(|(likeness, _)| *likeness > 0.7).take(3).map(|(_, path)| path.clone()).collect()
}
