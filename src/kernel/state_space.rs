//! A kernel of one dimension as what is observed of a state that moves through time.

use std::fmt::Debug;
use std::sync::Arc;

use super::variables::{CHUNK, Chunk, Variable, add_partials};
use crate::Real;

/// How many steps of time are taken at once.
pub const STEPS: usize = 64;

/// A number for each of some steps.
pub type Column = [f64; STEPS];

/// Some steps of time: where each starts and ends, and its length, which is rounded once. A step that is not there has length 0.
///
/// # Examples
///
/// ```
/// use mercer::kernel::Steps;
///
/// let mut steps = Steps::none();
/// steps.set(1, 2.5, 4.0);
/// assert_eq!((steps.length[0], steps.length[1], steps.to[1]), (0.0, 1.5, 4.0));
/// ```
#[derive(Clone, Debug)]
pub struct Steps {
    /// Where it starts.
    pub from: Column,
    /// Where it ends.
    pub to: Column,
    /// `to − from`, not negative.
    pub length: Column,
}

impl Steps {
    /// No steps.
    pub fn none() -> Self {
        Self { from: [0.0; STEPS], to: [0.0; STEPS], length: [0.0; STEPS] }
    }

    /// Sets one of them.
    pub fn set(&mut self, index: usize, from: f64, to: f64) {
        (self.from[index], self.to[index], self.length[index]) = (from, to, to - from);
    }
}

/// The state-space form of a kernel k of one dimension, for given parameters: a Gaussian state s of d numbers, whose first is the
/// function f ~ GP(0, k), and which is a Markov process:
///
/// s(t + Δ) = A s(t) + e, with e ~ N(0, Q) for A and Q that depend on the step, and s ~ N(0, P) at any one time
///
/// so that k(t, t + Δ) = (A P)₁₁. It has numbers that derivatives are taken in. The first is the *unit* of time, which what
/// stretches the inputs multiplies: a kernel reads time in this unit. Others are what its author takes.
///
/// Symmetric matrices are given by their lower triangle, row by row, and cotangents are those of the numbers that are given. A form
/// that is stationary has variance 1.
///
/// # Examples
///
/// Brownian motion, by [formulas](StepFormula): over a step of 1.5 units of 2 the variance grows by 0.75.
///
/// ```
/// use mercer::kernel::{ByFormula, Family, STEPS, StepFormula, Steps, Variable};
/// use mercer::prelude::*;
///
/// #[derive(Clone, Debug)]
/// struct Motion;
///
/// impl StepFormula for Motion {
///     fn states(&self) -> usize {
///         1
///     }
///     fn start(&self, _: &[Variable], time: Variable, covariance: &mut [Variable]) {
///         covariance[0] = time;
///     }
///     fn step(&self, _: &[Variable], [_, _, length]: [Variable; 3], a: &mut [Variable], q: &mut [Variable]) {
///         (a[0], q[0]) = (Variable::from_f64(1.0), length);
///     }
/// }
///
/// let form = ByFormula(Motion).at(&[2.0]);
/// let mut steps = Steps::none();
/// steps.set(0, 1.0, 2.5);
/// let (mut a, mut q) = ([[0.0; STEPS]], [[0.0; STEPS]]);
/// form.steps(&steps, &mut a, &mut q);
/// let [mut before, mut after] = [[0.0]; 2];
/// form.start(1.0, &mut before);
/// form.start(2.5, &mut after);
/// assert_eq!((a[0][0], q[0][0]), (1.0, 0.75));
/// assert_eq!(after[0], a[0][0] * before[0] * a[0][0] + q[0][0]);
/// ```
///
/// # References
///
/// Särkkä & Solin (2019), *Applied Stochastic Differential Equations*, chapter 12,
/// [doi:10.1017/9781108186735](https://doi.org/10.1017/9781108186735).
pub trait StateSpace: Debug + Send + Sync {
    /// d, at least 1.
    fn states(&self) -> usize;

    /// Whether P is the same at all times.
    fn is_stationary(&self) -> bool {
        false
    }

    /// P at a time, d(d + 1)/2 numbers.
    fn start(&self, time: f64, covariance: &mut [f64]);

    /// Adds to the gradient in the numbers that of [`start`](Self::start).
    fn start_vjp(&self, time: f64, cotangent: &[f64], numbers: &mut [f64]);

    /// A, row by row, d² columns, and Q, d(d + 1)/2. No digit of Q may be lost over short steps, as it is in P − A P Aᵀ. For a
    /// length of 0 they are 1 and 0.
    fn steps(&self, steps: &Steps, a: &mut [Column], q: &mut [Column]);

    /// Adds to the gradient in the numbers that of [`steps`](Self::steps), which gave these A and Q.
    fn steps_vjp(&self, steps: &Steps, given: [&[Column]; 2], cotangents: [&[Column]; 2], numbers: &mut [f64]);
}

/// A factor of a [term](MarkovTerm): what makes a [`StateSpace`] of its numbers.
#[derive(Clone, Debug)]
pub struct MarkovFactor {
    /// The unit of time and what else derivatives are taken in.
    pub(crate) numbers: Vec<Variable>,
    pub(crate) family: Arc<dyn Family>,
}

/// State-space forms of numbers.
pub trait Family: Debug + Send + Sync {
    /// The form at these numbers, the unit of time first.
    fn at(&self, numbers: &[f64]) -> Box<dyn StateSpace>;
}

impl MarkovFactor {
    /// A factor of this family, which reads time in this unit, with the numbers that follow it.
    pub fn new(family: impl Family + 'static, unit: Variable, others: &[Variable]) -> Self {
        Self { numbers: [&[unit], others].concat(), family: Arc::new(family) }
    }
}

/// A variance times a product of factors, all of one dimension.
#[derive(Clone, Debug)]
pub struct MarkovTerm {
    /// σ²
    pub variance: Variable,
    /// The factors; none for a constant.
    pub factors: Vec<MarkovFactor>,
}

impl MarkovTerm {
    /// A factor by itself, of variance 1.
    pub fn of(factor: MarkovFactor) -> Self {
        Self { variance: Variable::from_f64(1.0), factors: vec![factor] }
    }

    /// A function that is 0.
    pub(crate) fn zero() -> Self {
        Self { variance: Variable::from_f64(0.0), factors: Vec::new() }
    }

    /// This times a variance.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernel::{MarkovTerm, Variable};
    ///
    /// let [two, three] = [2.0, 3.0].map(Variable::constant);
    /// let constant = MarkovTerm { variance: two, factors: Vec::new() };
    /// assert_eq!(constant.scaled(three).variance.value, 6.0);
    /// ```
    #[must_use]
    pub fn scaled(self, by: Variable) -> Self {
        Self { variance: self.variance * by, ..self }
    }
}

/// A state-space form by formulas of one step, whose derivatives go through the arithmetic: for forms that are rare.
pub trait StepFormula: Clone + Debug + Send + Sync + 'static {
    /// d
    fn states(&self) -> usize;

    /// P at a time, in the unit, as a lower triangle. `numbers` are those behind the unit.
    fn start(&self, numbers: &[Variable], time: Variable, covariance: &mut [Variable]);

    /// A and Q of a step, in the unit: where it starts and ends, and its length.
    fn step(&self, numbers: &[Variable], step: [Variable; 3], a: &mut [Variable], q: &mut [Variable]);
}

/// The family of a [`StepFormula`].
#[derive(Clone, Debug)]
pub struct ByFormula<F>(pub F);

impl<F: StepFormula> Family for ByFormula<F> {
    fn at(&self, numbers: &[f64]) -> Box<dyn StateSpace> {
        Box::new(AtNumbers { formula: self.0.clone(), numbers: numbers.to_vec() })
    }
}

#[derive(Debug)]
struct AtNumbers<F> {
    formula: F,
    numbers: Vec<f64>,
}

impl<F: StepFormula> AtNumbers<F> {
    fn constants(&self) -> Vec<Variable> {
        self.numbers.iter().map(|&number| Variable::constant(number)).collect()
    }

    /// Calls `act` with the numbers as variables, some at a time, and adds to the gradient the partials that it returns.
    fn each_chunk(&self, gradient: &mut [f64], mut act: impl FnMut(&[Variable]) -> [f64; CHUNK]) {
        for chunk in Chunk::all(self.numbers.len()) {
            let numbers: Vec<_> = self.numbers.iter().enumerate().map(|(index, &n)| chunk.number(index, n)).collect();
            let sums = act(&numbers);
            for (index, out) in gradient.iter_mut().enumerate() {
                *out += chunk.lane(index).map_or(0.0, |lane| sums[lane]);
            }
        }
    }
}

/// A step in the unit.
fn in_unit(steps: &Steps, index: usize, unit: Variable) -> [Variable; 3] {
    [steps.from[index], steps.to[index], steps.length[index]].map(|time| Variable::constant(time) / unit)
}

impl<F: StepFormula> StateSpace for AtNumbers<F> {
    fn states(&self) -> usize {
        self.formula.states()
    }

    fn start(&self, time: f64, covariance: &mut [f64]) {
        let numbers = self.constants();
        let mut out = vec![Variable::from_f64(0.0); covariance.len()];
        self.formula.start(&numbers[1..], Variable::constant(time) / numbers[0], &mut out);
        covariance.iter_mut().zip(&out).for_each(|(entry, out)| *entry = out.value);
    }

    fn start_vjp(&self, time: f64, cotangent: &[f64], gradient: &mut [f64]) {
        let mut out = vec![Variable::from_f64(0.0); cotangent.len()];
        self.each_chunk(gradient, |numbers| {
            let mut sums = [0.0; CHUNK];
            out.fill(Variable::from_f64(0.0));
            self.formula.start(&numbers[1..], Variable::constant(time) / numbers[0], &mut out);
            out.iter().zip(cotangent).for_each(|(out, &c)| add_partials(&mut sums, c, out));
            sums
        });
    }

    fn steps(&self, steps: &Steps, a: &mut [Column], q: &mut [Column]) {
        let numbers = self.constants();
        let mut out = vec![Variable::from_f64(0.0); a.len() + q.len()];
        for index in 0..STEPS {
            out.fill(Variable::from_f64(0.0));
            let (of_a, of_q) = out.split_at_mut(a.len());
            self.formula.step(&numbers[1..], in_unit(steps, index, numbers[0]), of_a, of_q);
            a.iter_mut().zip(of_a).for_each(|(column, out)| column[index] = out.value);
            q.iter_mut().zip(of_q).for_each(|(column, out)| column[index] = out.value);
        }
    }

    fn steps_vjp(&self, steps: &Steps, _: [&[Column]; 2], [in_a, in_q]: [&[Column]; 2], gradient: &mut [f64]) {
        let mut out = vec![Variable::from_f64(0.0); in_a.len() + in_q.len()];
        self.each_chunk(gradient, |numbers| {
            let mut sums = [0.0; CHUNK];
            for index in 0..STEPS {
                out.fill(Variable::from_f64(0.0));
                let (of_a, of_q) = out.split_at_mut(in_a.len());
                self.formula.step(&numbers[1..], in_unit(steps, index, numbers[0]), of_a, of_q);
                for (column, out) in in_a.iter().zip(of_a).chain(in_q.iter().zip(of_q)) {
                    add_partials(&mut sums, column[index], out);
                }
            }
            sums
        });
    }
}
