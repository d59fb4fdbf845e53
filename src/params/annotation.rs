//! What some elements of a parameter carry beside value and freedom.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Prior;

/// Names a group of tied scalars. Only whether two are equal counts, so that nothing depends on how
/// many there have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tie(NonZeroU64);

impl Tie {
    /// One that no other group of this process has.
    pub(super) fn fresh() -> Self {
        static USED: AtomicU64 = AtomicU64::new(0);
        Self(NonZeroU64::MIN.saturating_add(USED.fetch_add(1, Ordering::Relaxed)))
    }
}

/// What is attached to one element.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Note {
    pub(super) prior: Option<Prior>,
    pub(super) tie: Option<Tie>,
}

/// The notes of a parameter, for change. Those of an array are none until the first is written, and
/// again when the last is erased: most arrays have none, and some are long.
#[derive(Debug)]
pub(super) enum NotesMut<'a> {
    One(&'a mut Note),
    Each(&'a mut Vec<Note>),
}

impl NotesMut<'_> {
    pub(super) fn as_slice(&self) -> &[Note] {
        match self {
            Self::One(note) => std::slice::from_ref(note),
            Self::Each(notes) => notes,
        }
    }

    /// Changes the note of an element, of a parameter of `len` elements.
    pub(super) fn change(&mut self, element: usize, len: usize, change: impl FnOnce(&mut Note)) {
        match self {
            Self::One(note) => change(note),
            Self::Each(notes) => {
                if notes.is_empty() {
                    notes.resize(len, Note::default());
                }
                change(&mut notes[element]);
                // From the end: whoever erases all of them does so from the start.
                if notes.iter().rev().all(|note| *note == Note::default()) {
                    **notes = Vec::new();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_without_notes_take_no_memory() {
        let mut notes = Vec::new();
        let prior = Prior::normal(0.0, 1.0).unwrap();
        NotesMut::Each(&mut notes).change(1, 3, |note| note.prior = Some(prior));
        assert_eq!(notes.iter().map(|note| note.prior).collect::<Vec<_>>(), [None, Some(prior), None]);
        NotesMut::Each(&mut notes).change(1, 3, |note| note.prior = None);
        assert_eq!(notes.capacity(), 0);
    }
}
