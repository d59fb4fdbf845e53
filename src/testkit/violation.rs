//! How a law was broken.

/// A law that a kernel, or a likelihood, does not obey: which law, what breaks it, where, and what was found in place of
/// what.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{gradients, points};
///
/// let x = points(5, 2, 1);
/// let violation = gradients::elementwise(&Matern32::new([1.0]), x.as_ref(), x.as_ref()).unwrap_err();
/// assert_eq!(violation.law, "can be evaluated");
/// assert!(violation.to_string().contains("matern32(lengthscale=[1])"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{of}` breaks the law \"{law}\" at {place}: found {found}, expected {expected}")]
pub struct Violation {
    /// The law, in words.
    pub law: &'static str,
    /// What breaks it: a kernel as text, a likelihood by its name.
    pub of: String,
    /// Where: an entry of a matrix, a parameter, a point.
    pub place: String,
    /// What was found there.
    pub found: String,
    /// What the law asks for.
    pub expected: String,
}

/// What a law is checked on, to be named in its violations.
#[derive(Clone, Copy)]
pub(super) struct Law<'k> {
    pub(super) name: &'static str,
    pub(super) kernel: &'k dyn crate::Expr,
}

impl Law<'_> {
    pub(super) fn broken(
        self,
        place: impl Into<String>,
        found: impl ToString,
        expected: impl ToString,
    ) -> Result<(), Violation> {
        Err(Violation {
            law: self.name,
            of: crate::kernel::text(self.kernel).to_string(),
            place: place.into(),
            found: found.to_string(),
            expected: expected.to_string(),
        })
    }

    /// The value of a driver, whose refusal breaks a law of its own.
    pub(super) fn evaluated<V>(self, result: crate::Result<V>) -> Result<V, Violation> {
        result.map_err(|error| Violation {
            law: "can be evaluated",
            of: crate::kernel::text(self.kernel).to_string(),
            place: format!("the law \"{}\"", self.name),
            found: error.to_string(),
            expected: "no error".to_owned(),
        })
    }

    /// Both are the same up to an error.
    pub(super) fn close(
        self,
        place: impl FnOnce() -> String,
        found: f64,
        expected: f64,
        tolerance: f64,
    ) -> Result<(), Violation> {
        // Written so that a NaN on either side breaks the law.
        if found == expected || (found - expected).abs() <= tolerance {
            return Ok(());
        }
        self.broken(place(), format!("{found:e}"), format!("{expected:e}, to within {tolerance:e}"))
    }
}
