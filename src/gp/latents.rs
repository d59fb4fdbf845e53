//! What the latent functions of a model share, or have each of their own.

use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::{Error, Result};

/// One thing for all latent functions, or one for each; never none.
///
/// In paths, one is `kernel.…`, and of several each is `kernel[i].…`.
#[derive(Clone, Debug)]
pub(super) struct PerLatent<P>(Vec<P>);

impl<P> PerLatent<P> {
    pub(super) fn one(part: P) -> Self {
        Self(vec![part])
    }

    /// One for each, of which there is at least one.
    pub(super) fn each(parts: Vec<P>) -> Self {
        Self(parts)
    }

    pub(super) fn try_new(what: &str, parts: Vec<P>) -> Result<Self> {
        if parts.is_empty() {
            return Err(Error::setting(&format!("the number of {what}"), 0, "must be at least 1"));
        }
        Ok(Self(parts))
    }

    /// That of a latent function.
    pub(super) fn of(&self, latent: usize) -> &P {
        &self.0[if self.0.len() == 1 { 0 } else { latent }]
    }

    pub(super) fn all(&self) -> &[P] {
        &self.0
    }

    pub(super) fn all_mut(&mut self) -> &mut [P] {
        &mut self.0
    }

    /// Drops those beyond `latents`, or repeats the last.
    pub(super) fn resize(&mut self, latents: usize)
    where
        P: Clone,
    {
        if let Some(last) = self.0.last().cloned() {
            self.0.resize(latents.max(1), last);
        }
    }

    /// Refuses another number than one or `latents`.
    pub(super) fn check(&self, what: &str, latents: usize) -> Result<()> {
        if self.0.len() == 1 || self.0.len() == latents {
            return Ok(());
        }
        let expected = format!("must be 1 or {latents}, as the likelihood has {latents} latent function(s)");
        Err(Error::setting(&format!("the number of {what}"), self.0.len(), &expected))
    }
}

impl<P: Parameterized> Parameterized for PerLatent<P> {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        match self.0.as_slice() {
            [one] => visitor.child(Label::Only, one),
            parts => parts.iter().enumerate().for_each(|(i, part)| visitor.child(Label::Index(i), part)),
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        match self.0.as_mut_slice() {
            [one] => visitor.child(Label::Only, one),
            parts => parts.iter_mut().enumerate().for_each(|(i, part)| visitor.child(Label::Index(i), part)),
        }
    }
}
