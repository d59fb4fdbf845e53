//! Polynomials of time: the state is the value and the derivatives, f⁽ⁱ⁾/i!.

use crate::Real;
use crate::kernel::{ByFormula, MarkovFactor, StepFormula, Variable};

/// f(t) = Σ_m ξ_m t^m for independent ξ_m of variance w_m, by the w_m, whose number is the number of states.
#[derive(Clone, Copy, Debug)]
struct Polynomial {
    states: usize,
}

/// The process of these variances of the coefficients, of time in units of 1.
pub(crate) fn polynomial(variances: &[Variable]) -> MarkovFactor {
    MarkovFactor::new(ByFormula(Polynomial { states: variances.len() }), Variable::from_f64(1.0), variances)
}

/// n over k, which is exact for the degrees that have so few states.
fn binomial(n: usize, k: usize) -> f64 {
    (0..k.min(n - k)).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
}

fn power(base: Variable, exponent: usize) -> Variable {
    (0..exponent).fold(Variable::from_f64(1.0), |product, _| product * base)
}

impl StepFormula for Polynomial {
    fn states(&self) -> usize {
        self.states
    }

    // Σ_m w_m binom(m, i) binom(m, j) t^(2m − i − j)
    fn start(&self, variances: &[Variable], time: Variable, covariance: &mut [Variable]) {
        let places = (0..self.states).flat_map(|row| (0..=row).map(move |col| (row, col)));
        for ((row, col), out) in places.zip(covariance) {
            for (m, &variance) in variances.iter().enumerate().skip(row) {
                *out += variance * power(time, 2 * m - row - col) * (binomial(m, row) * binomial(m, col));
            }
        }
    }

    // Taylor's expansion about the start, which ends.
    fn step(&self, _: &[Variable], [_, _, length]: [Variable; 3], a: &mut [Variable], _: &mut [Variable]) {
        for row in 0..self.states {
            for col in row..self.states {
                a[row * self.states + col] = power(length, col - row) * binomial(col, row);
            }
        }
    }
}
