//! L-BFGS.

use std::cell::RefCell;
use std::collections::VecDeque;

use argmin::core::{CostFunction, Executor, Gradient, KV, Problem, Solver, State as _, TerminationReason};
use argmin::core::{Error as ArgminError, TerminationStatus};
use argmin::solver::quasinewton::LBFGS;

use super::line_search::{State, WeakWolfe};
use super::resolution::{Trial, is_exhausted};
use super::{Minimized, Minimizer, Minimum, largest, norm};
use crate::{Error, Result};

/// The limited-memory BFGS method, with a weak Wolfe line search.
///
/// Each point is evaluated once, value and gradient together. Where the objective fails (a matrix
/// that is not positive definite, say) or is not finite, it counts as infinite, and the line search
/// takes shorter steps; only a failure at the start is an error. When a search fails, the method
/// starts again from the best point without memory, as long as that brings anything.
///
/// It goes no further than to where the objective fails by [`Error::Rounding`], and says so if that is what ends it.
///
/// It stops as converged when the largest element of the gradient is at most
/// [`gradient_tolerance`](Self::gradient_tolerance), or when a step changes the value f by at most
/// [`cost_tolerance`](Self::cost_tolerance) · max(d, 1), where d is the fall in the last ten steps: a constant that is added to
/// f, such as that of the unit of the data in a log density, does not matter; or by at most 16 ε |f|, which is rounding. The result is the best point seen. With no
/// coordinates at all, the objective is evaluated once, at the empty point.
///
/// # Examples
///
/// ```
/// use mercer::optim::{Lbfgs, Minimizer};
///
/// // log(x) has no value at x ≤ 0, where the objective says so.
/// let mut objective = |x: &[f64]| match x[0] > 0.0 {
///     true => Ok((x[0] - 2.0 * x[0].ln(), vec![1.0 - 2.0 / x[0]])),
///     false => Err(mercer::Error::Optimisation { step: 0, reason: "x must be positive".into() }),
/// };
/// let minimum = Lbfgs::default().minimize(&mut objective, &[0.01])?;
/// assert!(minimum.converged);
/// assert!((minimum.x[0] - 2.0).abs() < 1e-6);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Liu & Nocedal (1989), "On the limited memory BFGS method for large scale optimization",
/// Mathematical Programming 45, <https://doi.org/10.1007/BF01589116>. A step costs O(m n) beside the
/// evaluation, for memory m and n coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
#[doc(alias = "L-BFGS")]
pub struct Lbfgs {
    /// Pairs of steps and changes of gradient that are remembered; at least 1. By default 10.
    pub memory: usize,
    /// The largest number of steps. By default 1000.
    pub max_steps: usize,
    /// Largest element of the gradient at which the method stops. By default 1e-6.
    pub gradient_tolerance: f64,
    /// Change of the value at which the method stops, relative to that in ten steps. By default 1e-12.
    pub cost_tolerance: f64,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self { memory: 10, max_steps: 1000, gradient_tolerance: 1e-6, cost_tolerance: 1e-12 }
    }
}

impl Lbfgs {
    fn check(&self) -> Result<()> {
        if self.memory == 0 {
            return Err(Error::setting("memory", 0, "must be at least 1"));
        }
        for (name, value) in [("gradient_tolerance", self.gradient_tolerance), ("cost_tolerance", self.cost_tolerance)]
        {
            if value.is_nan() || value < 0.0 {
                return Err(Error::setting(name, value, "must not be negative"));
            }
        }
        Ok(())
    }

    /// Whether a fall of the value is too small to count, after an earlier value.
    fn is_stalled(&self, earlier: f64, before: f64, after: f64) -> bool {
        let rounding = self.cost_tolerance.min(16.0 * f64::EPSILON) * before.abs().max(after.abs());
        (before - after).abs() <= rounding.max(self.cost_tolerance * (earlier - after).max(1.0))
    }

    /// Runs from a point until a tolerance, the limit or a failed search: the steps taken, and the
    /// reason if it is final.
    fn run(&self, recorder: &RefCell<Recorder<'_, '_>>, steps: usize) -> (usize, Option<(bool, String)>) {
        let Evaluation { x, value, gradient } = recorder.borrow().best.clone();
        let solver = Stopping {
            solver: LBFGS::new(WeakWolfe::default(), self.memory),
            rule: *self,
            recorder,
            values: VecDeque::from([value]),
        };
        let outcome = Executor::new(Recorded(recorder), solver)
            .configure(|state| state.param(x).cost(value).gradient(gradient).max_iters(steps as u64))
            .ctrlc(false)
            .run();
        let state = match outcome {
            Ok(outcome) => outcome.state,
            Err(error) => return (1, Some((false, error.to_string()))),
        };
        let taken = state.get_iter() as usize;
        let ended = match state.get_termination_reason() {
            Some(TerminationReason::SolverExit(_)) => None,
            Some(TerminationReason::SolverConverged) if self.is_flat(state.get_gradient()) => {
                Some((true, "the gradient is within its tolerance".to_owned()))
            }
            Some(TerminationReason::SolverConverged) => Some(match &recorder.borrow().failure {
                // It would go on, where the objective has no digits.
                Some(error @ Error::Rounding { .. }) => (false, error.to_string()),
                _ => (true, "the value changed by less than its tolerance".to_owned()),
            }),
            _ => Some((false, "the largest number of steps was reached".to_owned())),
        };
        (taken, ended)
    }

    fn is_flat(&self, gradient: Option<&Vec<f64>>) -> bool {
        gradient.is_some_and(|gradient| largest(gradient) <= self.gradient_tolerance)
    }
}

impl Minimizer for Lbfgs {
    fn minimize(&self, objective: &mut Minimized<'_>, start: &[f64]) -> Result<Minimum> {
        self.check()?;
        let recorder = RefCell::new(Recorder::start(objective, start)?);
        let mut steps = 0;
        let (converged, reason) = loop {
            if start.is_empty() {
                break (true, "there is nothing to minimise over".to_owned());
            }
            let before = recorder.borrow().best.value;
            let (taken, ended) = self.run(&recorder, self.max_steps - steps);
            steps += taken;
            if let Some(ended) = ended {
                break ended;
            }
            let recorder = recorder.borrow();
            if self.is_flat(Some(&recorder.best.gradient)) {
                break (true, "the gradient is within its tolerance".to_owned());
            }
            if self.is_stalled(before, before, recorder.best.value) {
                if recorder.failure.is_none() && is_exhausted(recorder.best.value, &recorder.trials) {
                    break (true, "what the gradient promises is lost in the rounding of the value".to_owned());
                }
                break (false, recorder.no_decrease());
            }
        };
        let recorder = recorder.into_inner();
        let Evaluation { x, value, gradient } = recorder.best;
        let evaluations = recorder.evaluations;
        Ok(Minimum { x, value, gradient_norm: norm(&gradient), steps, evaluations, converged, reason })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Evaluation {
    pub(super) x: Vec<f64>,
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
}

/// The objective, its last evaluation and its best one.
struct Recorder<'o, 'f> {
    objective: &'o mut Minimized<'f>,
    last: Evaluation,
    best: Evaluation,
    /// Those that came after it, along its gradient.
    trials: Vec<Trial>,
    evaluations: usize,
    /// That of the present step.
    failure: Option<Error>,
}

impl<'o, 'f> Recorder<'o, 'f> {
    fn start(objective: &'o mut Minimized<'f>, start: &[f64]) -> Result<Self> {
        let first = evaluate(objective, start)?;
        Ok(Self { objective, last: first.clone(), best: first, trials: Vec::new(), evaluations: 1, failure: None })
    }

    /// The evaluation at a point; of infinite value where the objective fails.
    fn at(&mut self, x: &[f64]) -> &Evaluation {
        // argmin asks for the value and for the gradient apart, one after the other.
        if self.last.x != x {
            self.evaluations += 1;
            self.last = evaluate(self.objective, x).unwrap_or_else(|error| {
                self.failure = Some(error);
                Evaluation { x: x.to_vec(), value: f64::INFINITY, gradient: vec![0.0; x.len()] }
            });
            if self.last.value < self.best.value {
                self.best = self.last.clone();
                self.trials.clear();
            } else {
                self.trials.extend(Trial::new(&self.best, &self.last));
            }
        }
        &self.last
    }

    fn no_decrease(&self) -> String {
        let failure = self.failure.as_ref().map(|error| format!("; the objective last failed with: {error}"));
        format!("no step along the gradient decreases the value{}", failure.unwrap_or_default())
    }
}

fn evaluate(objective: &mut Minimized<'_>, x: &[f64]) -> Result<Evaluation> {
    let (value, gradient) = objective(x)?;
    if gradient.len() != x.len() {
        return Err(Error::shape("the gradient", format!("{} value(s)", x.len()), (gradient.len(), 1)));
    }
    if !value.is_finite() {
        return Err(Error::Optimisation { step: 0, reason: format!("the objective is {value}") });
    }
    if let Some(position) = gradient.iter().position(|g| !g.is_finite()) {
        let reason = format!("element {position} of the gradient is {}", gradient[position]);
        return Err(Error::Optimisation { step: 0, reason });
    }
    Ok(Evaluation { x: x.to_vec(), value, gradient })
}

/// The problem as argmin sees it. It is lost when a line search fails, so it holds no more than a
/// reference.
struct Recorded<'r, 'o, 'f>(&'r RefCell<Recorder<'o, 'f>>);

impl CostFunction for Recorded<'_, '_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, ArgminError> {
        Ok(self.0.borrow_mut().at(x).value)
    }
}

impl Gradient for Recorded<'_, '_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, ArgminError> {
        Ok(self.0.borrow_mut().at(x).gradient.clone())
    }
}

/// A solver with our rule for stopping: argmin's tolerance on the value is absolute.
struct Stopping<'r, 'o, 'f, S> {
    solver: S,
    rule: Lbfgs,
    recorder: &'r RefCell<Recorder<'o, 'f>>,
    /// After the last steps, the latest at the end.
    values: VecDeque<f64>,
}

/// The steps over which a fall of the value is compared with that of one.
const STRETCH: usize = 10;

impl<O, S: Solver<O, State>> Solver<O, State> for Stopping<'_, '_, '_, S> {
    fn name(&self) -> &str {
        self.solver.name()
    }

    fn init(&mut self, problem: &mut Problem<O>, state: State) -> Result<(State, Option<KV>), ArgminError> {
        self.solver.init(problem, state)
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, state: State) -> Result<(State, Option<KV>), ArgminError> {
        self.recorder.borrow_mut().failure = None;
        self.solver.next_iter(problem, state)
    }

    fn terminate(&mut self, state: &State) -> TerminationStatus {
        self.values.push_back(state.get_cost());
        if self.values.len() > STRETCH + 1 {
            self.values.pop_front();
        }
        let (before, after) = (state.get_prev_cost(), state.get_cost());
        let stalled = state.get_iter() > 0 && self.rule.is_stalled(self.values[0], before, after);
        if stalled || self.rule.is_flat(state.get_gradient()) {
            return TerminationStatus::Terminated(TerminationReason::SolverConverged);
        }
        TerminationStatus::NotTerminated
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parabola(x: &[f64]) -> Result<(f64, Vec<f64>)> {
        Ok((x.iter().map(|x| x * x).sum(), x.iter().map(|x| 2.0 * x).collect()))
    }

    #[test]
    fn each_point_is_evaluated_once() {
        let mut seen: Vec<Vec<f64>> = Vec::new();
        let minimum = Lbfgs::default()
            .minimize(
                &mut |x| {
                    assert!(!seen.contains(&x.to_vec()));
                    seen.push(x.to_vec());
                    parabola(x)
                },
                &[3.0, -4.0],
            )
            .unwrap();
        assert_eq!(minimum.evaluations, seen.len());
        assert!(minimum.converged && minimum.evaluations <= 8);
    }

    #[test]
    fn nothing_to_minimise_over() {
        let minimum = Lbfgs::default().minimize(&mut |_| Ok((3.0, Vec::new())), &[]).unwrap();
        assert!(minimum.converged);
        assert_eq!((minimum.value, minimum.gradient_norm, minimum.steps, minimum.evaluations), (3.0, 0.0, 0, 1));
    }

    #[test]
    fn failures_at_the_start_are_errors() {
        let lbfgs = Lbfgs::default();
        let error = lbfgs.minimize(&mut |_| Err(Error::Empty { what: "x".into() }), &[1.0]).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }));
        let error = lbfgs.minimize(&mut |_| Ok((f64::NAN, vec![1.0])), &[1.0]).unwrap_err();
        assert!(matches!(error, Error::Optimisation { .. }));
        let error = lbfgs.minimize(&mut |_| Ok((1.0, vec![1.0, 2.0])), &[1.0]).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }));
    }

    #[test]
    fn settings_are_checked() {
        for lbfgs in [Lbfgs { memory: 0, ..Lbfgs::default() }, Lbfgs { cost_tolerance: f64::NAN, ..Lbfgs::default() }] {
            assert!(matches!(lbfgs.minimize(&mut parabola, &[1.0]), Err(Error::Setting { .. })));
        }
    }

    #[test]
    fn a_wrong_gradient_ends_with_the_best_point() {
        // It points uphill, so no search can succeed.
        let mut uphill = |x: &[f64]| Ok((x[0] * x[0], vec![-2.0 * x[0]]));
        let minimum = Lbfgs::default().minimize(&mut uphill, &[1.0]).unwrap();
        assert!(!minimum.converged);
        assert_eq!(minimum.x, [1.0]);
    }
}
