//! Visits of all parameters.

use super::{Label, ParameterMut, ParameterRef, Parameterized, Visitor, VisitorMut};

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

/// The number of scalars.
pub(super) fn count<P: Parameterized + ?Sized>(root: &P) -> usize {
    let mut count = 0;
    for_each(root, &mut |parameter| count += parameter.values.len());
    count
}
