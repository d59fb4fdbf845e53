//! What a fit came to.

use std::fmt;

use super::Warning;
use crate::Error;
use crate::optim::Minimum;

/// What a fit came to: where its best search ended, where all of them did, and what to doubt.
///
/// It prints as a few lines.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, Fit};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(30, 2, |i, col| if col == 0 { 0.2 * i as f64 } else { 7.0 });
/// let y: Vec<f64> = (0..30).map(|i| (0.2 * i as f64).sin() + 0.1 * (40.0 * i as f64).cos()).collect();
/// let report = ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1)?.fit(&Data::new(&x, y), Fit::default())?;
/// let printed = report.to_string();
/// assert!(printed.contains("converged") && printed.contains("column 1 of x is constant"), "{printed}");
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The objective of the fitted model: its log marginal likelihood, or a bound.
    pub objective: f64,
    /// What was minimised: minus the objective, less the log prior.
    pub value: f64,
    /// The Euclidean norm of the gradient there, in the coordinates of the search.
    pub gradient_norm: f64,
    /// Steps of the best search.
    pub steps: usize,
    /// How often all searches evaluated the objective.
    pub evaluations: usize,
    /// Whether the best search ended at a minimum, as far as the digits of the objective tell, rather than at a limit.
    pub converged: bool,
    /// Why the best search ended, in words.
    pub reason: String,
    /// Which of the ends was kept: see [`Fit::with_restarts`](super::Fit::with_restarts).
    pub best: usize,
    /// How each search ended, by its start.
    pub ends: Vec<End>,
    /// What to doubt.
    pub warnings: Vec<Warning>,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Where it started.
    pub start: Start,
    /// Where it ended, or why it did not start.
    pub outcome: Result<Minimum, Error>,
}

/// Where a search started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// Where the parameters were.
    AsGiven,
    /// What the data suggest.
    FromData,
    /// A draw about that.
    Drawn,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsGiven => "as given",
            Self::FromData => "from the data",
            Self::Drawn => "drawn",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { objective, steps, evaluations, reason, .. } = self;
        let converged = if self.converged { "converged" } else { "not converged" };
        write!(f, "objective {objective:.6}")?;
        // What searches compare.
        if (-self.value - objective).abs() > 1e-9 * objective.abs().max(1.0) {
            write!(f, " ({:.6} with the log prior)", -self.value)?;
        }
        write!(f, ", {steps} steps, {evaluations} evaluations; {converged}: {reason}")?;
        if self.ends.len() > 1 {
            for (index, End { start, outcome }) in self.ends.iter().enumerate() {
                write!(f, "\nstart {index}, {start}: ")?;
                match outcome {
                    Ok(minimum) => write!(f, "{:.6}", -minimum.value)?,
                    Err(error) => write!(f, "failed, {error}")?,
                }
                f.write_str(if index == self.best { ", kept" } else { "" })?;
            }
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}
