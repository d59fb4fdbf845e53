//! The one error type of the crate.

use std::borrow::Cow;
use std::fmt::{self, Debug, Display};
use std::ops::Range;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, what was expected, and what to do.
///
/// `Debug` shows the same sentence as `Display`, for it is what a `main` that returns an error and `unwrap` print.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let error = Rbf::try_new(-1.0).unwrap_err();
/// assert!(matches!(error, Error::Parameter { .. }));
/// assert_eq!(error.to_string(), "parameter `lengthscale` was given -1, but must be positive and finite");
/// assert_eq!(format!("{error:?}"), error.to_string());
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A value that a parameter's constraint refuses.
    #[error("parameter `{path}` was given {value}, but must be {expected}")]
    Parameter {
        /// The path or the name of the parameter.
        path: String,
        /// The value that was refused.
        value: f64,
        /// What the constraint asks for, in words.
        expected: String,
    },

    /// Parameters that cannot be tied, or values that a tie forbids.
    #[error("`{first}` and `{second}` {reason}")]
    Tie {
        /// The path of the first parameter.
        first: String,
        /// The path of the second parameter.
        second: String,
        /// What is wrong, as a clause: "cannot be tied: they do not have the same shape".
        reason: String,
    },

    /// A path that names no parameter.
    #[error("no parameter `{path}`{}", suggestion(nearest))]
    UnknownPath {
        /// The path that was asked for.
        path: String,
        /// The existing paths that are spelt most like it, best first.
        nearest: Vec<String>,
    },

    /// A mistake in the text of an expression.
    #[error("column {column}: {reason}, in `{}`", excerpt(text, *column))]
    Parse {
        /// The whole text.
        text: String,
        /// Where the mistake is, in characters from 1.
        column: usize,
        /// What was expected and what was found, or why the value was refused.
        reason: String,
    },

    /// An array whose shape does not fit.
    #[error("{what} has shape {found:?}, but {expected} was expected")]
    Shape {
        /// The array in question.
        what: String,
        /// What was expected, in words or numbers.
        expected: String,
        /// Rows and columns that were found.
        found: (usize, usize),
    },

    /// Points with too few or too many dimensions for a kernel.
    #[error("`{kernel}` {needs}, but the points have {found} dimension(s)")]
    Dimension {
        /// The subexpression that refuses the points, as text.
        kernel: String,
        /// What it needs, as a clause: "reads dimension 3".
        needs: String,
        /// The number of dimensions of the points that it was given.
        found: usize,
    },

    /// A coordinate that a kernel reads as an index, and that is none.
    #[error(
        "`{kernel}` reads {what}[{row}, {col}] as an index, but it is {value}; it must be a whole number, at least 0 and below {count}"
    )]
    Index {
        /// The subexpression that reads it, as text.
        kernel: String,
        /// The points in question.
        what: String,
        /// The row of the first such point.
        row: usize,
        /// The column that holds indices.
        col: usize,
        /// The coordinate.
        value: f64,
        /// One more than the largest index.
        count: usize,
    },

    /// A map of the inputs that does not leave an index as it is.
    #[error("`{kernel}` maps the column that `{reader}` reads as an index; map the other columns alone, with `on`")]
    WarpedIndex {
        /// The map with its kernel, as text.
        kernel: String,
        /// The subexpression that reads the index, as text.
        reader: String,
    },

    /// A NaN or an infinity in data.
    #[error("{what}[{row}, {col}] is {value}; remove or mask the row, or impute it")]
    NonFinite {
        /// The array in question.
        what: String,
        /// Row of the first such entry.
        row: usize,
        /// Column of the first such entry.
        col: usize,
        /// The entry.
        value: f64,
    },

    /// An array without rows or columns where at least one is needed.
    #[error("{what} is empty; at least one row and one column are needed")]
    Empty {
        /// The array in question.
        what: String,
    },

    /// A matrix that stayed indefinite with the largest jitter allowed.
    #[error(
        "the matrix is not positive definite: pivot {pivot} failed with jitter {jitter:e} on a mean diagonal of {mean_diagonal:e}; \
         look for duplicate points or a kernel that is not positive semi-definite, or allow a larger jitter"
    )]
    NotPositiveDefinite {
        /// Row of the first pivot that was not positive.
        pivot: usize,
        /// The last jitter that was tried, as an absolute amount.
        jitter: f64,
        /// The mean of the diagonal before any jitter.
        mean_diagonal: f64,
    },

    /// A kernel that is not guaranteed positive semi-definite, given to a model.
    #[error(
        "`{kernel}` is not guaranteed to be positive semi-definite in {dim} dimension(s): differences and negative multiples are not, \
         and some kernels are in few dimensions only; a kernel of your own has to say in its `psd` that it is; \
         a model with `allow_indefinite()` takes it anyway"
    )]
    Indefinite {
        /// The subexpression, as text.
        kernel: String,
        /// The dimension of the points.
        dim: usize,
    },

    /// A kernel that is not a function of the angle alone on the unit sphere.
    #[error(
        "`{kernel}` is not zonal on the unit sphere in {dim} dimensions: its values, or their gradients, change when both points are rotated; \
         use one lengthscale for all dimensions, and no active dimensions"
    )]
    NotZonal {
        /// The subexpression, as text.
        kernel: String,
        /// The dimension of the space that the sphere is in.
        dim: usize,
    },

    /// A kernel whose frequencies cannot be drawn.
    #[error(
        "`{kernel}` has no spectrum that frequencies can be drawn from; what has one is stationary: radial kernels, cosines and constants, \
         their sums, products and positive multiples, on inputs that are mapped by matrices at most"
    )]
    NoSpectrum {
        /// The subexpression, as text.
        kernel: String,
    },

    /// A gradient asked of a kernel that has none.
    #[error(
        "`{path}` has no vector-Jacobian product; implement `tile_vjp` (and `embed_vjp`, if it embeds) and say `differentiable()` in its `properties`"
    )]
    NotDifferentiable {
        /// The path of the node.
        path: String,
    },

    /// A variance that came out negative beyond rounding.
    #[error(
        "the variance at row {row} is {value:e}, below zero by more than rounding explains; the covariance matrix is too ill-conditioned: allow more jitter or noise"
    )]
    NegativeVariance {
        /// Row of the first such variance.
        row: usize,
        /// The variance.
        value: f64,
    },

    /// A setting outside what an algorithm can work with.
    #[error("{name} is {found}, but {expected}")]
    Setting {
        /// The setting's name.
        name: String,
        /// The value found.
        found: String,
        /// What is needed, as a clause: "must be at least 1".
        expected: String,
    },

    /// An iterative solver that did not reach its tolerance.
    #[error(
        "{what} did not converge: after {iterations} iteration(s) the relative residual is {residual:e}, above the tolerance {tolerance:e}; \
         allow more iterations, use a better preconditioner, or factorise the matrix"
    )]
    NotConverged {
        /// The solver.
        what: String,
        /// The iterations that were done.
        iterations: usize,
        /// The residual that is left, relative to the right-hand side.
        residual: f64,
        /// The residual that was asked for.
        tolerance: f64,
    },

    /// An optimiser that could not go on.
    #[error("optimisation stopped at step {step}: {reason}")]
    Optimisation {
        /// The step at which it stopped.
        step: usize,
        /// Why.
        reason: String,
    },

    /// A result of which rounding has left too few digits.
    #[error(
        "rounding may have changed {what} by {error:.1e} nats, more than {limit}: the variance of the kernel is too large for that of the noise, \
         or inducing inputs are too close; bound the one from above or the other from below, start elsewhere, allow more jitter, or use double precision"
    )]
    Rounding {
        /// The result.
        what: String,
        /// By how much it may be off.
        error: f64,
        /// The most that is taken.
        limit: f64,
    },

    /// An observation that a likelihood gives no density.
    #[error("y[{row}] is {value}, but {expected}")]
    Observation {
        /// The row of the first such observation.
        row: usize,
        /// The observation.
        value: f64,
        /// What the likelihood takes, as a clause: "a Bernoulli likelihood takes 0 and 1".
        expected: String,
    },

    /// A link that overflows: the expected log density of an observation, or a derivative of it, is no number.
    #[error(
        "the link of `{likelihood}` overflows at y[{row}], where the latent function has mean {mean:.2e} and variance {variance:.2e}: \
         scale the inputs or the kernel down, give the model a mean function near the data, or start from a smaller variance"
    )]
    Overflow {
        /// The name of the likelihood.
        likelihood: String,
        /// The row of the observation: the one whose expected log density is the largest.
        row: usize,
        /// The mean of the latent function there: of several, of the most extreme one.
        mean: f64,
        /// Its variance there.
        variance: f64,
    },

    /// A point outside the convex hull of those that were learned from, where that is refused.
    #[error(
        "{what}[{row}] lies outside the convex hull of the training points, where predictions are extrapolation; allow it, or add points there"
    )]
    Outside {
        /// The array in question.
        what: String,
        /// The row of the first such point.
        row: usize,
    },

    /// A file of a model that cannot be written or read.
    #[error("the saved model{} {reason}", quoted(file))]
    Saved {
        /// The path of the file, if it is of one.
        file: Option<String>,
        /// What it has or is.
        reason: String,
    },

    /// A range of rows that lies outside an array.
    #[error("rows {start}..{end} lie outside {what}, which has {len}")]
    Rows {
        /// The array in question.
        what: String,
        /// First row asked for.
        start: usize,
        /// One past the last row asked for.
        end: usize,
        /// The rows that there are.
        len: usize,
    },
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// A text, or what stands near a column of a long one.
fn excerpt(text: &str, column: usize) -> Cow<'_, str> {
    const LONG: usize = 400;
    if text.len() <= LONG {
        return Cow::Borrowed(text);
    }
    let first = column.saturating_sub(LONG / 2);
    let part: String = text.chars().skip(first).take(LONG).collect();
    let before = if first > 0 { "…" } else { "" };
    let after = if text.chars().nth(first + LONG).is_some() { "…" } else { "" };
    Cow::Owned(format!("{before}{part}{after}"))
}

impl Error {
    /// An [`Error::Shape`].
    pub(crate) fn shape(what: &str, expected: impl Into<String>, found: (usize, usize)) -> Self {
        Self::Shape { what: what.to_owned(), expected: expected.into(), found }
    }

    /// An [`Error::Parse`], after so many characters.
    pub(crate) fn parse(text: &str, start: usize, reason: String) -> Self {
        Self::Parse { text: text.to_owned(), column: start + 1, reason }
    }

    /// An [`Error::Setting`].
    pub(crate) fn setting(name: &str, found: impl ToString, expected: &str) -> Self {
        Self::Setting { name: name.to_owned(), found: found.to_string(), expected: expected.to_owned() }
    }

    /// An [`Error::Rows`].
    pub(crate) fn rows(what: &str, rows: Range<usize>, len: usize) -> Self {
        Self::Rows { what: what.to_owned(), start: rows.start, end: rows.end, len }
    }
}

fn quoted(file: &Option<String>) -> String {
    file.as_ref().map(|file| format!(" `{file}`")).unwrap_or_default()
}

fn suggestion(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = nearest.iter().map(|path| format!("`{path}`")).collect();
    format!("; did you mean {}?", quoted.join(" or "))
}

/// The value of a constructor that a literal mistake makes panic, at the caller's line.
#[track_caller]
pub fn literal<V>(result: Result<V>) -> V {
    match result {
        Ok(value) => value,
        // A documented panic of the constructors named `new`, which are for literals; data goes
        // through `try_new`.
        #[allow(clippy::panic)]
        Err(error) => panic!("{error}"),
    }
}
