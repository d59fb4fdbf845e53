//! Products of Markov processes.
//!
//! The covariance of a product is that of the product of independent states, s = s₁ ⊗ s₂, whose first is f₁ f₂:
//!
//! A = A₁ ⊗ A₂, P = P₁ ⊗ P₂, Q = P⁺ − A P Aᵀ = (P₁⁺ − Q₁) ⊗ Q₂ + Q₁ ⊗ P₂⁺
//!
//! for the P⁺ at the end of the step: without a difference over short steps, since P₁⁺ − Q₁ = A₁P₁A₁ᵀ is not small there.

use super::system::lower;
use crate::kernel::{Column, Family, MarkovFactor, STEPS, StateSpace, Steps};

/// Two factors, the second of which may be a product.
#[derive(Debug)]
pub(super) struct Product {
    factors: [Box<dyn StateSpace>; 2],
    /// How many numbers the first has.
    numbers: usize,
}

/// A process that stays what it is, of variance 1.
#[derive(Debug)]
struct Constant;

impl Product {
    /// The process of some factors.
    pub(super) fn of(factors: &[MarkovFactor]) -> Box<dyn StateSpace> {
        let at = |factor: &MarkovFactor| {
            let numbers: Vec<f64> = factor.numbers.iter().map(|number| number.value).collect();
            Family::at(&*factor.family, &numbers)
        };
        match factors {
            [] => Box::new(Constant),
            [one] => at(one),
            [first, rest @ ..] => Box::new(Self { factors: [at(first), Self::of(rest)], numbers: first.numbers.len() }),
        }
    }

    fn sizes(&self) -> [usize; 2] {
        [self.factors[0].states(), self.factors[1].states()]
    }

    /// P of each factor at a time.
    fn starts(&self, time: f64) -> [Vec<f64>; 2] {
        [0, 1].map(|which| {
            let d = self.factors[which].states();
            let mut p = vec![0.0; d * (d + 1) / 2];
            self.factors[which].start(time, &mut p);
            p
        })
    }

    /// P of each factor at the end of each step.
    fn ends(&self, steps: &Steps) -> [Vec<Column>; 2] {
        let mut ends = self.sizes().map(|d| vec![[0.0; STEPS]; d * (d + 1) / 2]);
        for (process, ends) in self.factors.iter().zip(&mut ends) {
            let mut start = vec![0.0; ends.len()];
            for step in 0..STEPS {
                if step == 0 || !process.is_stationary() {
                    process.start(steps.to[step], &mut start);
                }
                ends.iter_mut().zip(&start).for_each(|(column, &start)| column[step] = start);
            }
        }
        ends
    }

    fn matrices(&self, steps: &Steps) -> [[Vec<Column>; 2]; 2] {
        [0, 1].map(|which| {
            let d = self.factors[which].states();
            let (mut a, mut q) = (vec![[0.0; STEPS]; d * d], vec![[0.0; STEPS]; d * (d + 1) / 2]);
            self.factors[which].steps(steps, &mut a, &mut q);
            [a, q]
        })
    }

    /// The entries of the lower triangle of the product: their place, and those in the triangles of the factors.
    fn entries(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [d, e] = self.sizes();
        (0..d * e).flat_map(move |row| {
            (0..=row).map(move |col| [lower(row, col), lower(row / e, col / e), lower(row % e, col % e)])
        })
    }
}

impl StateSpace for Product {
    fn states(&self) -> usize {
        self.sizes().iter().product()
    }

    fn is_stationary(&self) -> bool {
        self.factors.iter().all(|factor| factor.is_stationary())
    }

    fn start(&self, time: f64, covariance: &mut [f64]) {
        let [p, q] = self.starts(time);
        self.entries().for_each(|[at, one, two]| covariance[at] = p[one] * q[two]);
    }

    fn start_vjp(&self, time: f64, cotangent: &[f64], numbers: &mut [f64]) {
        let [p, q] = self.starts(time);
        let (mut in_p, mut in_q) = (vec![0.0; p.len()], vec![0.0; q.len()]);
        for [at, one, two] in self.entries() {
            in_p[one] += cotangent[at] * q[two];
            in_q[two] += cotangent[at] * p[one];
        }
        let (first, second) = numbers.split_at_mut(self.numbers);
        self.factors[0].start_vjp(time, &in_p, first);
        self.factors[1].start_vjp(time, &in_q, second);
    }

    fn steps(&self, steps: &Steps, a: &mut [Column], q: &mut [Column]) {
        let [d, e] = self.sizes();
        let ([[a1, q1], [a2, q2]], [p1, p2]) = (self.matrices(steps), self.ends(steps));
        for (row, col) in (0..d * e).flat_map(|row| (0..d * e).map(move |col| (row, col))) {
            let (one, two) = (&a1[row / e * d + col / e], &a2[row % e * e + col % e]);
            let out = &mut a[row * d * e + col];
            for step in 0..STEPS {
                out[step] = one[step] * two[step];
            }
        }
        for [at, one, two] in self.entries() {
            let (p1, p2, q1, q2) = (&p1[one], &p2[two], &q1[one], &q2[two]);
            let out = &mut q[at];
            for step in 0..STEPS {
                out[step] = (p1[step] - q1[step]) * q2[step] + q1[step] * p2[step];
            }
        }
    }

    fn steps_vjp(&self, steps: &Steps, _: [&[Column]; 2], [in_a, in_q]: [&[Column]; 2], numbers: &mut [f64]) {
        let [d, e] = self.sizes();
        let ([[a1, q1], [a2, q2]], [p1, p2]) = (self.matrices(steps), self.ends(steps));
        let zeros = |like: &[Column]| vec![[0.0; STEPS]; like.len()];
        let (mut in_a1, mut in_a2) = (zeros(&a1), zeros(&a2));
        for (row, col) in (0..d * e).flat_map(|row| (0..d * e).map(move |col| (row, col))) {
            let (one, two) = (row / e * d + col / e, row % e * e + col % e);
            let (c, a1, a2) = (&in_a[row * d * e + col], &a1[one], &a2[two]);
            let (out1, out2) = (&mut in_a1[one], &mut in_a2[two]);
            for step in 0..STEPS {
                out1[step] += c[step] * a2[step];
                out2[step] += c[step] * a1[step];
            }
        }
        let [mut in_q1, mut in_q2, mut in_p1, mut in_p2] = [zeros(&q1), zeros(&q2), zeros(&q1), zeros(&q2)];
        for [at, one, two] in self.entries() {
            let c = &in_q[at];
            for step in 0..STEPS {
                in_q1[one][step] += c[step] * (p2[two][step] - q2[two][step]);
                in_q2[two][step] += c[step] * (p1[one][step] - q1[one][step]);
                in_p1[one][step] += c[step] * q2[two][step];
                in_p2[two][step] += c[step] * q1[one][step];
            }
        }
        let (first, second) = numbers.split_at_mut(self.numbers);
        let all = [(first, [&a1, &q1], [&in_a1, &in_q1], in_p1), (second, [&a2, &q2], [&in_a2, &in_q2], in_p2)];
        for (process, (numbers, [a, q], [in_a, in_q], in_p)) in self.factors.iter().zip(all) {
            process.steps_vjp(steps, [a, q], [in_a, in_q], numbers);
            if process.is_stationary() {
                let cotangent: Vec<f64> = in_p.iter().map(|column| column.iter().sum()).collect();
                process.start_vjp(0.0, &cotangent, numbers);
                continue;
            }
            for step in 0..STEPS {
                let cotangent: Vec<f64> = in_p.iter().map(|column| column[step]).collect();
                process.start_vjp(steps.to[step], &cotangent, numbers);
            }
        }
    }
}

impl StateSpace for Constant {
    fn states(&self) -> usize {
        1
    }

    fn is_stationary(&self) -> bool {
        true
    }

    fn start(&self, _: f64, covariance: &mut [f64]) {
        covariance[0] = 1.0;
    }

    fn start_vjp(&self, _: f64, _: &[f64], _: &mut [f64]) {}

    fn steps(&self, _: &Steps, a: &mut [Column], q: &mut [Column]) {
        a[0] = [1.0; STEPS];
        q[0] = [0.0; STEPS];
    }

    fn steps_vjp(&self, _: &Steps, _: [&[Column]; 2], _: [&[Column]; 2], _: &mut [f64]) {}
}
