//! Which engines apply, why not, and what they cost.

use std::fmt;

use crate::gp::recommend::Cost;

/// What is said of one engine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// Its name.
    pub engine: &'static str,
    /// What the log marginal likelihood and its gradient cost, about, or why it does not apply.
    pub cost: Result<Cost, String>,
    /// Whether its results are those of dense matrices, to rounding.
    pub exact: bool,
}

/// Which engines apply to a kernel and data, and which is taken: from [`ExactGp::explain`](crate::gp::ExactGp::explain). It
/// prints as a table.
///
/// # Examples
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[0.0], [0.3], [2.0]], [0.1, 0.4, -1.0]);
/// let found = ExactGp::new(Matern32::new(1.0) + Rbf::new(2.0)).explain(&data)?;
/// assert_eq!(found.chosen(), "Dense");
/// let markov = found.verdicts().iter().find(|verdict| verdict.engine == "Markov");
/// let why = markov.and_then(|verdict| verdict.cost.clone().err());
/// assert_eq!(why.as_deref(), Some("`rbf(lengthscale=2)` is not known to be a Markov process"));
/// assert!(found.to_string().starts_with("3 observations: Dense"));
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    observations: usize,
    verdicts: Vec<Verdict>,
    chosen: &'static str,
}

impl Explanation {
    pub(super) fn new(observations: usize, verdicts: Vec<Verdict>, chosen: &'static str) -> Self {
        Self { observations, verdicts, chosen }
    }

    /// The name of the engine that is taken.
    pub fn chosen(&self) -> &'static str {
        self.chosen
    }

    /// What the engine that is taken costs: for [`recommend`](crate::gp::recommend).
    pub fn cost(&self) -> Option<Cost> {
        let chosen = self.verdicts.iter().find(|verdict| verdict.engine == self.chosen);
        chosen.and_then(|verdict| verdict.cost.clone().ok())
    }

    /// What is said of each engine.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} observations: {}", self.observations, self.chosen)?;
        for Verdict { engine, cost, exact } in &self.verdicts {
            match cost {
                Ok(Cost { flops, bytes }) => {
                    let kind = if *exact { "exact" } else { "to a tolerance" };
                    writeln!(f, "  {engine:<9} {flops:.0e} operations, {:.0e} bytes, {kind}", bytes)?;
                }
                Err(why) => writeln!(f, "  {engine:<9} does not apply: {why}")?,
            }
        }
        Ok(())
    }
}
