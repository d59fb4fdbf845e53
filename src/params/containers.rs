//! What a part of something may be held in.

use super::{Parameterized, Visitor, VisitorMut};

/// Nothing, or a part as if it stood alone.
impl<P: Parameterized> Parameterized for Option<P> {
    fn name(&self) -> &str {
        self.as_ref().map_or("", P::name)
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.iter().for_each(|part| part.visit(visitor));
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.iter_mut().for_each(|part| part.visit_mut(visitor));
    }
}

impl<P: Parameterized + ?Sized> Parameterized for Box<P> {
    fn name(&self) -> &str {
        P::name(self)
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        P::visit(self, visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        P::visit_mut(self, visitor);
    }
}
