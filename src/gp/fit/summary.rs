//! A fitted model on a page.

use std::fmt;

use super::Warning;
use crate::params::Table;

/// What [`Model::summary`](crate::gp::Model::summary) tells of a model on data. It prints as a few lines and a table.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp};
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[0.0], [0.0], [9.0]], [0.3, 1.0, -0.4]);
/// let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.5)?;
/// let summary = gp.summary(&data)?;
/// assert_eq!(summary.objective, gp.objective(&data)?);
/// // Two of one value, 2/(2 + σ²), and one by itself, 1/(1 + σ²), as 9 is far away.
/// assert!((summary.degrees_of_freedom.unwrap() - (2.0 / 2.5 + 1.0 / 1.5)).abs() < 1e-12);
///
/// let printed = summary.to_string();
/// assert!(printed.contains("degrees of freedom 1.46667") && printed.contains("likelihood.gaussian.variance"), "{printed}");
/// assert!(printed.contains("row 1"), "{printed}"); // is as row 0
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The log marginal likelihood, or a bound.
    pub objective: f64,
    /// The log prior of the parameters: 0 without priors.
    pub log_prior: f64,
    /// tr K (K + Σ)⁻¹ for Gaussian noise: how many parameters a linear model would have that follows the observations as closely.
    /// Of a sparse model, with K of its inducing features, M − tr S for the covariance S of the whitened ones. None for other
    /// likelihoods and for models of several outputs.
    pub degrees_of_freedom: Option<f64>,
    /// The parameters, with constraints and priors.
    pub parameters: Table,
    /// What to doubt.
    pub warnings: Vec<Warning>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objective {:.6}", self.objective)?;
        if self.log_prior != 0.0 {
            write!(f, ", log prior {:.6}", self.log_prior)?;
        }
        if let Some(freedom) = self.degrees_of_freedom {
            write!(f, ", effective degrees of freedom {freedom:.5}")?;
        }
        write!(f, "\n{}", self.parameters)?;
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}
