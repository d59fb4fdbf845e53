//! The variables that a formula is differentiated in, some at a time.

use faer::Mat;

use super::Points;
use crate::params::{Label, ParameterRef, Parameterized, ParameterizedExt, Visitor};
use crate::scalar::dual::times;
use crate::{Dual, Real, Scalar};

/// How many derivatives are carried through a formula at once: a register or two of doubles.
pub(crate) const CHUNK: usize = 8;

/// A number with its derivatives in some of the variables of a formula: in `f64` also for data in `f32`, where derivatives
/// cost more digits than values do.
pub type Variable = Dual<f64, CHUNK>;

/// Writes all hyperparameters, in visiting order, by a function of their index and value.
pub(crate) fn hyperparameters<R>(of: &dyn Parameterized, out: &mut [R], number: impl FnMut(usize, f64) -> R) {
    struct Fill<'a, R, F> {
        out: std::iter::Enumerate<std::slice::IterMut<'a, R>>,
        number: F,
    }
    impl<R, F: FnMut(usize, f64) -> R> Visitor for Fill<'_, R, F> {
        fn parameter(&mut self, parameter: ParameterRef<'_>) {
            for &value in parameter.values() {
                if let Some((index, out)) = self.out.next() {
                    *out = (self.number)(index, value);
                }
            }
        }

        fn child(&mut self, _: Label, child: &dyn Parameterized) {
            child.visit(self);
        }
    }
    of.visit(&mut Fill { out: out.iter_mut().enumerate(), number });
}

/// Some [`CHUNK`] of consecutive variables, from the first on.
#[derive(Clone, Copy)]
pub(crate) struct Chunk {
    first: usize,
}

impl Chunk {
    /// The chunks that make up so many variables.
    pub(crate) fn all(variables: usize) -> impl Iterator<Item = Self> {
        (0..variables).step_by(CHUNK).map(|first| Self { first })
    }

    /// Which of the partial derivatives belongs to a variable.
    pub(crate) fn lane(self, variable: usize) -> Option<usize> {
        variable.checked_sub(self.first).filter(|&lane| lane < CHUNK)
    }

    /// A value as a variable, if it is in the chunk, or else as a constant.
    pub(crate) fn number(self, variable: usize, value: f64) -> Variable {
        self.lane(variable).map_or_else(|| Dual::constant(value), |lane| Dual::variable(value, lane))
    }

    /// Writes coordinates as the variables from `variable` on.
    pub(crate) fn point<T: Scalar>(self, variable: usize, values: impl Iterator<Item = T>, out: &mut [Variable]) {
        for (dim, (out, value)) in out.iter_mut().zip(values).enumerate() {
            *out = self.number(variable + dim, value.as_f64());
        }
    }
}

/// sums += cotangent · partials
#[inline(always)]
pub(crate) fn add_partials(sums: &mut [f64; CHUNK], cotangent: f64, number: &Variable) {
    for (sum, &partial) in sums.iter_mut().zip(&number.partials) {
        *sum += times(cotangent, partial);
    }
}

/// Calls `act` with so many numbers, on the stack if they are few.
#[inline]
pub(crate) fn with_buffer<R: Copy, O>(len: usize, fill: R, act: impl FnOnce(&mut [R]) -> O) -> O {
    const ON_STACK: usize = 32;
    if len <= ON_STACK { act(&mut [fill; ON_STACK][..len]) } else { act(&mut vec![fill; len]) }
}

/// A scalar as the plainest [`Real`].
#[inline(always)]
pub(crate) fn plain<T: Scalar>(value: T) -> Dual<T, 0> {
    Dual::constant(value)
}

/// Zero, as the plainest [`Real`].
#[inline(always)]
pub(crate) fn zero<T: Scalar>() -> Dual<T, 0> {
    Dual::from_f64(0.0)
}

/// Gradients of Σ cotangent(row, output) · f(θ, x_row)[output], for a function of one point at a time
/// with so many outputs: adds to those in θ and, if they are wanted, in the points.
pub(crate) fn vjp_by_points<T: Scalar>(
    of: &dyn Parameterized,
    function: impl Fn(&[Variable], &[Variable], &mut [Variable]),
    points: &Points<'_, T>,
    outputs: usize,
    cotangent: impl Fn(usize, usize) -> f64,
    in_theta: &mut [f64],
    mut in_points: Option<&mut Mat<T>>,
) {
    let (params, dim) = (of.num_params(), points.dim());
    let variables = params + if in_points.is_some() { dim } else { 0 };
    let mut numbers = vec![Variable::from_f64(0.0); params + dim + outputs];
    let (theta, numbers) = numbers.split_at_mut(params);
    let (x, out) = numbers.split_at_mut(dim);
    for chunk in Chunk::all(variables) {
        hyperparameters(of, theta, |index, value| chunk.number(index, value));
        let mut total = [0.0; CHUNK];
        for row in 0..points.len() {
            chunk.point(params, (0..dim).map(|d| points.column(d)[row]), x);
            out.fill(Variable::from_f64(0.0));
            function(theta, x, out);
            let mut sums = [0.0; CHUNK];
            for (output, number) in out.iter().enumerate() {
                add_partials(&mut sums, cotangent(row, output), number);
            }
            for (lane, (total, &sum)) in total.iter_mut().zip(&sums).enumerate() {
                match (chunk.first + lane).checked_sub(params) {
                    None => *total += sum,
                    Some(d) if d < dim => {
                        if let Some(in_points) = &mut in_points {
                            in_points[(row, d)] += T::from_f64(sum);
                        }
                    }
                    Some(_) => {}
                }
            }
        }
        for (index, in_theta) in in_theta.iter_mut().enumerate().take(params) {
            *in_theta += chunk.lane(index).map_or(0.0, |lane| total[lane]);
        }
    }
}
