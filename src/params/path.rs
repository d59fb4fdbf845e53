//! Visits that know where they are.

use super::{Label, ParameterRef, Parameterized, Visitor};

/// The path of a child, and the index from which the child numbers its own children.
///
/// A node in a chain of the same associative kind takes over its parent's place, so that
/// `(a + b) + c` numbers a, b and c from 0 to 2 like the flat sum of the three.
#[derive(Clone)]
pub(crate) struct Place {
    path: String,
    /// Number of the next part of the chain that `path` names.
    next: usize,
}

/// Whether nodes of this name, one in the other, count as one.
pub(crate) fn is_associative(name: &str) -> bool {
    matches!(name, "sum" | "product")
}

impl Place {
    pub(crate) fn root(name: &str) -> Self {
        Self { path: name.to_owned(), next: 0 }
    }

    /// The path of the node itself.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The place of a child, or `None` if the child is part of the chain that this place names.
    pub(crate) fn child(&mut self, parent: &str, label: Label, child: &str) -> Option<Self> {
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

/// The paths that are most like the one asked for, at most three, best first: those that end so, or have it within; and
/// those that are spelt like it.
pub(crate) fn nearest(path: &str, existing: &[String]) -> Vec<String> {
    // The measures take as long as the product of the lengths, and no slip of the finger is that long.
    if path.len() > 1000 {
        return Vec::new();
    }
    let likeness = |candidate: &String| spelt_like(path, candidate).max(likeness_of_a_part(path, candidate));
    let mut ranked: Vec<(f64, &String)> = existing.iter().map(|candidate| (likeness(candidate), candidate)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().filter(|(likeness, _)| *likeness > 0.7).take(3).map(|(_, path)| path.clone()).collect()
}

/// From 0 to 1.
fn spelt_like(a: &str, b: &str) -> f64 {
    // One slip of the finger in a short name leaves less likeness than the measure asks of long ones.
    let one_slip = strsim::osa_distance(a, b) <= 1;
    strsim::jaro_winkler(a, b).max(if one_slip { 0.9 } else { 0.0 })
}

/// How much the part of a longer path that has as many words is like what was asked for: the end of it most of all. Without
/// indices, where none were asked for.
fn likeness_of_a_part(path: &str, candidate: &str) -> f64 {
    let without_index = |word: &str| match path.contains('[') {
        true => word.to_owned(),
        false => word.split('[').next().unwrap_or_default().to_owned(),
    };
    let words: Vec<String> = candidate.split('.').map(without_index).collect();
    let count = path.split('.').count();
    let of_part = |part: &[String]| match spelt_like(path, &part.join(".")) {
        // A short word is like many others by chance.
        likeness if likeness < 0.85 => 0.0,
        likeness => likeness,
    };
    let last = words.len().saturating_sub(count);
    let parts = words.windows(count).enumerate();
    parts.map(|(at, part)| of_part(part) * if at == last { 1.0 } else { 0.9 }).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    fn paths() -> Vec<String> {
        [
            "kernel.sum[0].scaled.factor",
            "kernel.sum[0].scaled.rbf.lengthscale[0]",
            "kernel.sum[0].scaled.rbf.lengthscale[1]",
            "kernel.sum[1].periodic.period",
            "likelihood.gaussian.variance",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    #[test]
    fn the_end_of_a_path_suggests_it() {
        let (all, lengthscales) = (paths(), [1, 2]);
        let found = |path: &str| nearest(path, &all);
        assert_eq!(found("lengthscale"), lengthscales.map(|index| all[index].clone()));
        assert_eq!(found("rbf.lengthscale"), lengthscales.map(|index| all[index].clone()));
        assert_eq!(found("lengthscale[1]")[0], all[2]);
        assert_eq!(found("lenghtscale"), lengthscales.map(|index| all[index].clone()));
        assert_eq!(found("period")[0], all[3]);
        assert_eq!(found("variance"), [all[4].clone()]);
        assert_eq!(found("gaussian.variance"), [all[4].clone()]);
        assert_eq!(found("rbf")[..2], all[1..3]);
    }

    #[test]
    fn nothing_is_suggested_for_what_is_like_nothing() {
        assert!(nearest("frobnicate", &paths()).is_empty());
        assert!(nearest("", &paths()).is_empty());
        assert!(nearest("a.b.c.d.e.f.g", &["kernel.rbf.lengthscale".to_owned()]).is_empty());
    }

    #[test]
    fn a_slip_of_the_finger_is_found_in_a_whole_path() {
        assert_eq!(nearest("kernel.sum[1].periodic.perid", &paths())[0], paths()[3]);
        assert_eq!(nearest("likelihod.gaussian.variance", &paths())[0], paths()[4]);
    }
}
