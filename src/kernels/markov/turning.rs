//! The cosine kernel as a Markov process: a point that turns at a constant rate.

use std::f64::consts::TAU;

use crate::Scalar;
use crate::kernel::{Column, Family, STEPS, StateSpace, Steps};
use crate::simd::{Pass, dispatch};

/// cos(2πΔ/p), whose unit of time is the period.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turning;

impl Family for Turning {
    fn at(&self, numbers: &[f64]) -> Box<dyn StateSpace> {
        Box::new(Form { period: numbers[0] })
    }
}

#[derive(Clone, Copy, Debug)]
struct Form {
    period: f64,
}

impl StateSpace for Form {
    fn states(&self) -> usize {
        2
    }

    fn is_stationary(&self) -> bool {
        true
    }

    fn start(&self, _: f64, covariance: &mut [f64]) {
        covariance.copy_from_slice(&[1.0, 0.0, 1.0]);
    }

    fn start_vjp(&self, _: f64, _: &[f64], _: &mut [f64]) {}

    fn steps(&self, steps: &Steps, a: &mut [Column], q: &mut [Column]) {
        dispatch(Fill { period: self.period, steps, a });
        q.fill([0.0; STEPS]);
    }

    // The derivative in the angle 2πΔ/p, which is −angle/p in the period.
    fn steps_vjp(&self, steps: &Steps, [a, _]: [&[Column]; 2], [in_a, _]: [&[Column]; 2], numbers: &mut [f64]) {
        let mut sum = 0.0;
        for step in 0..STEPS {
            let [cos, sin] = [a[0][step], a[1][step]];
            let slope = cos * (in_a[1][step] - in_a[2][step]) - sin * (in_a[0][step] + in_a[3][step]);
            sum += slope * steps.length[step];
        }
        numbers[0] -= sum * TAU / (self.period * self.period);
    }
}

struct Fill<'a> {
    period: f64,
    steps: &'a Steps,
    a: &'a mut [Column],
}

impl Pass for Fill<'_> {
    type Output = ();

    // Whole turns are taken off before anything is rounded.
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { period, steps, a } = self;
        let [cos, sin, minus_sin, again] = a else { return };
        for step in 0..STEPS {
            let turns = (steps.length[step] / period).round();
            let rest = (-turns).lane_mul_add::<FMA>(period, steps.length[step]);
            let (s, c) = (rest / period * TAU).lane_sin_cos::<FMA>();
            (cos[step], sin[step], minus_sin[step], again[step]) = (c, s, -s, c);
        }
    }
}
