//! Which model for how much data.

use std::fmt;

use crate::{Error, Result};

/// A regression or classification to choose a model for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem {
    /// The number of observations, N.
    pub points: usize,
    /// The number of inducing inputs that a sparse model would have, M.
    pub inducing: usize,
    /// Whether the noise is Gaussian of one variance. Otherwise nothing can be integrated out in
    /// closed form.
    pub gaussian: bool,
    /// What an evaluation of the exact model costs, where an [engine](super::Engine) does better than dense matrices: the
    /// [`cost`](super::Explanation::cost) that [`ExactGp::explain`](super::ExactGp::explain) finds. `None` for those.
    pub exact: Option<Cost>,
}

/// What an evaluation of the objective with its gradient may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Floating-point operations. By default 10¹¹: some ten seconds of one core, of which an L-BFGS fit
    /// takes about a hundred.
    pub flops: f64,
    /// Bytes of matrices. By default 4 · 10⁹.
    pub bytes: f64,
    /// The rows of a minibatch. By default 1024.
    pub batch: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { flops: 1e11, bytes: 4e9, batch: 1024 }
    }
}

/// What an evaluation of an objective with its gradient takes, in double precision, to leading
/// order. Evaluations of the kernel, O(N²) or O(N·M), come on top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes of matrices held at once.
    pub bytes: f64,
}

impl Cost {
    const fn new(flops: f64, scalars: f64) -> Self {
        Self { flops, bytes: 8.0 * scalars }
    }

    /// Of an engine.
    pub(super) const fn of_engine(flops: f64, bytes: f64) -> Self {
        Self { flops, bytes }
    }

    /// What of a budget this does not fit, operations first.
    fn excess(&self, budget: &Budget) -> Option<Excess> {
        if self.flops > budget.flops {
            return Some(Excess::Flops { needed: self.flops, allowed: budget.flops });
        }
        (self.bytes > budget.bytes).then_some(Excess::Bytes { needed: self.bytes, allowed: budget.bytes })
    }
}

/// A model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// [`ExactGp`](super::ExactGp), with a deterministic minimiser.
    Exact,
    /// [`Sgpr`](super::Sgpr), with a deterministic minimiser.
    Collapsed,
    /// [`Svgp`](super::Svgp), in minibatches of so many rows; of all rows, where they are no more.
    Stochastic {
        /// The rows.
        batch: usize,
    },
}

/// What a model would need, and the budget does not allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Excess {
    /// Too many floating-point operations an evaluation.
    Flops {
        /// What it needs.
        needed: f64,
        /// The budget.
        allowed: f64,
    },
    /// Too much memory.
    Bytes {
        /// What it needs.
        needed: f64,
        /// The budget.
        allowed: f64,
    },
}

/// Why a model is recommended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// The exact model fits the budget, and approximates nothing.
    ExactFits,
    /// There are as many inducing inputs as observations: the exact model is cheaper than any
    /// sparse one.
    NothingToSave,
    /// The exact model does not fit the budget, and the collapsed one does: it is the best sparse
    /// model for its inducing inputs, and has no q to optimise.
    ExactExceeds(Excess),
    /// Neither fits the budget: a step on a minibatch does not depend on N.
    BothExceed {
        /// Of the exact model.
        exact: Excess,
        /// Of the collapsed model.
        collapsed: Excess,
    },
    /// The noise is not Gaussian, so the function cannot be integrated out.
    NotGaussian,
}

/// A model, why, and what each would cost. Prints as a sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommendation {
    /// The model.
    pub method: Method,
    /// Why.
    pub reason: Reason,
    /// Of an evaluation of [`ExactGp`](super::ExactGp): 7N³/3 operations, for a Cholesky factor and an
    /// inverse, and 4N² numbers, unless the problem has that of an engine.
    pub exact: Cost,
    /// Of an evaluation of [`Sgpr`](super::Sgpr): 6N·M² + 6M³ operations and 5N·M + 8M² numbers.
    pub collapsed: Cost,
    /// Of a step of [`Svgp`](super::Svgp) with minibatches of B: 6B·M² + 3M³ operations and
    /// 7B·M + 8M² numbers. A fit takes some thousand steps.
    pub stochastic: Cost,
}

/// Recommends an exact, a collapsed or a stochastic model: the first of them that can take the noise
/// and fits the budget.
///
/// # Errors
///
/// [`Error::Setting`] for no observations, inducing inputs or rows in a minibatch, and for a budget
/// that is not positive.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Budget, Excess, Method, Problem, Reason, recommend};
///
/// let problem = |points| Problem { points, inducing: 300, gaussian: true, exact: None };
/// let of = |points| recommend(&problem(points), &Budget::default());
/// assert_eq!(of(2_000)?.method, Method::Exact);
/// assert_eq!(of(20_000)?.method, Method::Collapsed);
/// assert_eq!(of(1_000_000)?.method, Method::Stochastic { batch: 1024 });
///
/// let collapsed = of(20_000)?;
/// assert!(matches!(collapsed.reason, Reason::ExactExceeds(Excess::Flops { .. })));
/// assert!(collapsed.to_string().contains("the exact model would take 1.9e13 operations"));
///
/// // An engine that knows the structure of kernel and points makes it the exact one.
/// use mercer::gp::{Data, ExactGp};
/// use mercer::prelude::*;
/// let data = Data::new((0..20_000).map(f64::from).collect::<Vec<_>>(), vec![0.3; 20_000]);
/// let exact = ExactGp::new(Matern32::new(9.0)).explain(&data)?.cost();
/// assert_eq!(recommend(&Problem { exact, ..problem(20_000) }, &Budget::default())?.method, Method::Exact);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn recommend(problem: &Problem, budget: &Budget) -> Result<Recommendation> {
    let Problem { points, inducing, gaussian, exact } = *problem;
    for (name, found) in [("points", points), ("inducing", inducing), ("batch", budget.batch)] {
        if found == 0 {
            return Err(Error::setting(name, found, "must be at least 1"));
        }
    }
    for (name, found) in [("flops", budget.flops), ("bytes", budget.bytes)] {
        if found.is_nan() || found <= 0.0 {
            return Err(Error::setting(name, found, "must be positive"));
        }
    }
    let batch = budget.batch.min(points);
    let (n, m, b) = (points as f64, inducing as f64, batch as f64);
    let exact = exact.unwrap_or(Cost::new(7.0 / 3.0 * n.powi(3), 4.0 * n * n));
    let collapsed = Cost::new(6.0 * n * m * m + 6.0 * m.powi(3), 5.0 * n * m + 8.0 * m * m);
    let stochastic = Cost::new(6.0 * b * m * m + 3.0 * m.powi(3), 7.0 * b * m + 8.0 * m * m);
    let (method, reason) = match (exact.excess(budget), collapsed.excess(budget)) {
        _ if !gaussian => (Method::Stochastic { batch }, Reason::NotGaussian),
        (None, _) => (Method::Exact, Reason::ExactFits),
        _ if inducing >= points => (Method::Exact, Reason::NothingToSave),
        (Some(exact), None) => (Method::Collapsed, Reason::ExactExceeds(exact)),
        (Some(exact), Some(collapsed)) => (Method::Stochastic { batch }, Reason::BothExceed { exact, collapsed }),
    };
    Ok(Recommendation { method, reason, exact, collapsed, stochastic })
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact (ExactGp)"),
            Self::Collapsed => f.write_str("collapsed (Sgpr)"),
            Self::Stochastic { batch } => write!(f, "stochastic (Svgp, minibatches of {batch})"),
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flops { needed, allowed } => write!(f, "{needed:.1e} operations an evaluation, of {allowed:.1e}"),
            Self::Bytes { needed, allowed } => write!(f, "{needed:.1e} bytes, of {allowed:.1e}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExactFits => f.write_str("the exact model fits the budget, and approximates nothing"),
            Self::NothingToSave => f.write_str("with as many inducing inputs as observations nothing is cheaper"),
            Self::ExactExceeds(exact) => write!(f, "the exact model would take {exact}"),
            Self::BothExceed { exact, collapsed } => {
                write!(f, "the exact model would take {exact}, and the collapsed one {collapsed}")
            }
            Self::NotGaussian => f.write_str("the noise is not Gaussian, so the function cannot be integrated out"),
        }
    }
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.method, self.reason)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(points: usize, inducing: usize, gaussian: bool, budget: Budget) -> Recommendation {
        recommend(&Problem { points, inducing, gaussian, exact: None }, &budget).unwrap()
    }

    #[test]
    fn memory_counts_as_operations_do() {
        let small = Budget { flops: f64::INFINITY, bytes: 1e6, ..Budget::default() };
        // 32 N² bytes: N = 176 fits into a megabyte, N = 177 does not.
        assert_eq!(of(176, 5, true, small).method, Method::Exact);
        let collapsed = of(177, 5, true, small);
        let excess = Excess::Bytes { needed: 32.0 * 177.0 * 177.0, allowed: 1e6 };
        assert_eq!((collapsed.method, collapsed.reason), (Method::Collapsed, Reason::ExactExceeds(excess)));
        let stochastic = of(100_000, 5, true, small);
        assert_eq!(stochastic.method, Method::Stochastic { batch: 1024 });
        assert!(matches!(stochastic.reason, Reason::BothExceed { collapsed: Excess::Bytes { .. }, .. }));
    }

    #[test]
    fn other_noise_needs_a_variational_model() {
        let found = of(500, 20, false, Budget::default());
        assert_eq!((found.method, found.reason), (Method::Stochastic { batch: 500 }, Reason::NotGaussian));
    }

    #[test]
    fn many_inducing_inputs_save_nothing() {
        assert_eq!(of(50_000, 50_000, true, Budget::default()).reason, Reason::NothingToSave);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let problem = Problem { points: 10, inducing: 3, gaussian: true, exact: None };
        for budget in [Budget { batch: 0, ..Budget::default() }, Budget { flops: f64::NAN, ..Budget::default() }] {
            assert!(matches!(recommend(&problem, &budget), Err(Error::Setting { .. })));
        }
        let nothing = Problem { points: 0, ..problem };
        assert!(
            matches!(recommend(&nothing, &Budget::default()), Err(Error::Setting { name, .. }) if name == "points")
        );
    }
}
