//! A line search that survives failures of the objective.

use argmin::core::{
    ArgminError, CostFunction, Error, Gradient, IterState, KV, LineSearch, Problem, Solver, State as _,
};
use argmin::core::{TerminationReason, TerminationStatus};

use super::dot;

/// The state that argmin's solvers pass on: point, gradient and value.
pub(super) type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Sufficient decrease and curvature: the usual pair for quasi-Newton methods.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Trials after which the search gives up: enough to halve a step down to rounding.
const TRIALS: usize = 60;

/// Finds a step t with the weak Wolfe conditions φ(t) ≤ φ(0) + δ t φ′(0) and φ′(t) ≥ σ φ′(0).
///
/// A trial without sufficient decrease, of infinite value in particular, is an upper end of the
/// bracket, and one without the curvature is a lower end: no finite value is ever needed at the upper
/// end. (The searches that argmin has interpolate through it, and end with an error.) Between two
/// finite ends the trial is the minimum of the cubic through them, kept off the ends.
///
/// Near a minimum, differences of φ are rounding; there, Hager and Zhang's form of the decrease,
/// φ′(t) ≤ (2δ − 1) φ′(0), stands in for the first condition.
///
/// # References
///
/// - Lewis & Overton (2013), "Nonsmooth optimization via quasi-Newton methods", Mathematical
///   Programming 141, algorithm 2.6, <https://doi.org/10.1007/s10107-012-0514-2>.
/// - Hager & Zhang (2005), SIAM Journal on Optimization 16(1), equation 4.1,
///   <https://doi.org/10.1137/030601880>.
#[derive(Clone, Debug, Default)]
pub(super) struct WeakWolfe {
    direction: Vec<f64>,
    origin: Vec<f64>,
    /// φ at 0.
    start: Trial,
    /// The ends of the bracket.
    lower: Trial,
    upper: Option<Trial>,
    step: f64,
    trials: usize,
}

/// φ and its derivative at a step.
#[derive(Clone, Copy, Debug, Default)]
struct Trial {
    step: f64,
    value: f64,
    slope: f64,
}

impl WeakWolfe {
    fn decreases(&self, trial: Trial) -> bool {
        let start = self.start;
        let rounding = 8.0 * f64::EPSILON * start.value.abs();
        trial.value <= start.value + DECREASE * trial.step * start.slope
            || (trial.value <= start.value + rounding && trial.slope <= (2.0 * DECREASE - 1.0) * start.slope)
    }

    /// The next trial inside the bracket.
    fn refine(&self) -> f64 {
        let lower = self.lower;
        let Some(upper) = self.upper else {
            return 2.0 * self.step;
        };
        let width = upper.step - lower.step;
        let middle = lower.step + 0.5 * width;
        // Nocedal & Wright (2006), equation 3.59. Whatever is not finite ends up in the middle.
        let d1 = lower.slope + upper.slope - 3.0 * (upper.value - lower.value) / width;
        let d2 = (d1 * d1 - lower.slope * upper.slope).sqrt();
        let cubic = upper.step - width * (upper.slope + d2 - d1) / (upper.slope - lower.slope + 2.0 * d2);
        if cubic.is_finite() { cubic.clamp(lower.step + 0.1 * width, upper.step - 0.1 * width) } else { middle }
    }
}

fn failure(text: &str) -> Error {
    ArgminError::ConditionViolated { text: text.to_owned() }.into()
}

impl LineSearch<Vec<f64>, f64> for WeakWolfe {
    fn search_direction(&mut self, direction: Vec<f64>) {
        self.direction = direction;
    }

    fn initial_step_length(&mut self, step: f64) -> Result<(), Error> {
        self.step = step;
        Ok(())
    }
}

impl<O> Solver<O, State> for WeakWolfe
where
    O: CostFunction<Param = Vec<f64>, Output = f64> + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>,
{
    fn name(&self) -> &str {
        "weak Wolfe line search"
    }

    fn init(&mut self, _: &mut Problem<O>, mut state: State) -> Result<(State, Option<KV>), Error> {
        let (Some(origin), Some(gradient)) = (state.take_param(), state.take_gradient()) else {
            return Err(failure("no point to search from"));
        };
        let slope = dot(&gradient, &self.direction);
        if slope.is_nan() || slope >= 0.0 {
            return Err(failure("the direction does not descend"));
        }
        self.start = Trial { step: 0.0, value: state.get_cost(), slope };
        self.lower = self.start;
        self.upper = None;
        self.trials = 0;
        // Without memory the direction is the gradient, which has the wrong length: try a unit step.
        let steepest = self.direction.iter().zip(&gradient).all(|(d, g)| *d == -*g);
        self.step = if steepest { (1.0 / super::norm(&gradient)).min(1.0) } else { 1.0 };
        self.origin = origin;
        Ok((state, None))
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, state: State) -> Result<(State, Option<KV>), Error> {
        self.trials += 1;
        if self.trials > TRIALS {
            return Err(failure("no acceptable step"));
        }
        let point: Vec<f64> = self.origin.iter().zip(&self.direction).map(|(x, d)| x + self.step * d).collect();
        if point == self.origin {
            return Err(failure("the step is lost in rounding"));
        }
        let value = problem.cost(&point)?;
        let gradient = problem.gradient(&point)?;
        let trial = Trial { step: self.step, value, slope: dot(&gradient, &self.direction) };
        if !self.decreases(trial) {
            self.upper = Some(trial);
        } else if trial.slope < CURVATURE * self.start.slope {
            self.lower = trial;
        } else {
            let found = state.param(point).cost(value).gradient(gradient);
            return Ok((found.terminate_with(TerminationReason::SolverConverged), None));
        }
        self.step = self.refine();
        Ok((state, None))
    }

    fn terminate(&mut self, _: &State) -> TerminationStatus {
        TerminationStatus::NotTerminated
    }
}
