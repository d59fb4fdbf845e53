//! Part of the parameters of a member: those that a batch shares, or those that it does not.

use crate::params::{Label, ParameterMut, ParameterRef, Parameterized, ParameterizedExt, Visitor, VisitorMut};

/// A node with only some of its parameters.
pub(super) struct Part<'a> {
    pub(super) of: &'a dyn Parameterized,
    /// Which scalars of the member are kept, in visiting order.
    pub(super) keep: &'a [bool],
    /// Scalars of the member before this node.
    pub(super) start: usize,
}

/// As [`Part`], for change.
pub(super) struct PartMut<'a> {
    pub(super) of: &'a mut dyn Parameterized,
    pub(super) keep: &'a [bool],
    pub(super) start: usize,
}

struct Filter<'v, 'k> {
    visitor: &'v mut dyn Visitor,
    keep: &'k [bool],
    at: usize,
}

impl Visitor for Filter<'_, '_> {
    fn parameter(&mut self, parameter: ParameterRef<'_>) {
        let len = parameter.values().len();
        if self.keep.get(self.at).is_some_and(|keep| *keep) {
            self.visitor.parameter(parameter);
        }
        self.at += len;
    }

    fn child(&mut self, label: Label, child: &dyn Parameterized) {
        self.visitor.child(label, &Part { of: child, keep: self.keep, start: self.at });
        self.at += child.num_params();
    }
}

struct FilterMut<'v, 'k> {
    visitor: &'v mut dyn VisitorMut,
    keep: &'k [bool],
    at: usize,
}

impl VisitorMut for FilterMut<'_, '_> {
    fn parameter(&mut self, parameter: ParameterMut<'_>) {
        let len = parameter.as_ref().values().len();
        if self.keep.get(self.at).is_some_and(|keep| *keep) {
            self.visitor.parameter(parameter);
        }
        self.at += len;
    }

    fn child(&mut self, label: Label, child: &mut dyn Parameterized) {
        let len = child.num_params();
        self.visitor.child(label, &mut PartMut { of: child, keep: self.keep, start: self.at });
        self.at += len;
    }
}

impl Parameterized for Part<'_> {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.of.visit(&mut Filter { visitor, keep: self.keep, at: self.start });
    }

    // Only ever lent out by shared reference, through which nothing can be changed.
    fn visit_mut(&mut self, _: &mut dyn VisitorMut) {}
}

impl Parameterized for PartMut<'_> {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.of.visit(&mut Filter { visitor, keep: self.keep, at: self.start });
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.of.visit_mut(&mut FilterMut { visitor, keep: self.keep, at: self.start });
    }
}
