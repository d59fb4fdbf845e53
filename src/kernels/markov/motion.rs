//! Brownian motion and its integral, from 0 at the origin to both sides.
//!
//! To the right of the origin they go on from where they are. To the left, time runs towards it, and the motion is one that ends
//! at 0: a bridge. At the origin the two sides are independent, so a step that reaches or crosses it starts anew.

use crate::Real;
use crate::kernel::{ByFormula, MarkovFactor, StepFormula, Variable};

/// Brownian motion of variance |t|.
#[derive(Clone, Copy, Debug)]
struct Brownian;

/// Its integral, of variance |t|³/3: the state is the integral and the motion.
#[derive(Clone, Copy, Debug)]
struct Integrated;

/// Brownian motion in this unit of time.
pub(crate) fn brownian(unit: Variable) -> MarkovFactor {
    MarkovFactor::new(ByFormula(Brownian), unit, &[])
}

/// The integral of Brownian motion in this unit of time.
pub(crate) fn integrated_brownian(unit: Variable) -> MarkovFactor {
    MarkovFactor::new(ByFormula(Integrated), unit, &[])
}

/// Where a step is.
enum Side {
    Right,
    Left,
    Across,
}

impl Side {
    fn of(from: Variable, to: Variable) -> Self {
        if from.value >= 0.0 {
            Self::Right
        } else if to.value < 0.0 {
            Self::Left
        } else {
            Self::Across
        }
    }
}

fn one() -> Variable {
    Variable::from_f64(1.0)
}

/// The covariance of the integral and the motion after a time.
fn gathered(time: Variable) -> [Variable; 3] {
    let squared = time * time;
    [squared * time / 3.0, squared / 2.0, time]
}

impl StepFormula for Brownian {
    fn states(&self) -> usize {
        1
    }

    fn start(&self, _: &[Variable], time: Variable, covariance: &mut [Variable]) {
        covariance[0] = time.abs();
    }

    fn step(&self, _: &[Variable], [from, to, length]: [Variable; 3], a: &mut [Variable], q: &mut [Variable]) {
        match Side::of(from, to) {
            Side::Right => (a[0], q[0]) = (one(), length),
            Side::Left => (a[0], q[0]) = (to / from, length * (to / from)),
            Side::Across => q[0] = to,
        }
    }
}

impl StepFormula for Integrated {
    fn states(&self) -> usize {
        2
    }

    fn start(&self, _: &[Variable], time: Variable, covariance: &mut [Variable]) {
        covariance.copy_from_slice(&gathered(time.abs()));
    }

    fn step(&self, _: &[Variable], [from, to, length]: [Variable; 3], a: &mut [Variable], q: &mut [Variable]) {
        match Side::of(from, to) {
            Side::Right => {
                (a[0], a[1], a[3]) = (one(), length, one());
                q.copy_from_slice(&gathered(length));
            }
            Side::Left => bridge(-to, length, a, q),
            Side::Across => q.copy_from_slice(&gathered(to)),
        }
    }
}

/// The state at distance t from the origin given that at t + Δ. Going away from the origin it is P(t) before, and
/// F = [[1, Δ], [0, 1]] with noise R = P(Δ) leads on: so it has precision P(t)⁻¹ + FᵀR⁻¹F, and Q is its inverse, A = Q FᵀR⁻¹.
fn bridge(time: Variable, length: Variable, a: &mut [Variable], q: &mut [Variable]) {
    if length.value == 0.0 {
        (a[0], a[3]) = (one(), one());
        return;
    }
    // P⁻¹ = [[12/t³, −6/t²], [−6/t², 4/t]], and FᵀR⁻¹ and FᵀR⁻¹F in the same terms.
    let precision = |t: Variable| [(t * t * t).recip() * 12.0, (t * t).recip() * -6.0, t.recip() * 4.0];
    let ([p0, p1, p2], [r0, r1, r2]) = (precision(time), precision(length));
    let (f0, f1, f2, f3) = (r0, r1, r0 * length + r1, r1 * length + r2);
    let (s0, s1, s2) = (p0 + f0, p1 + f2, p2 + f2 * length + f3);
    let determinant = s0 * s2 - s1 * s1;
    let (q0, q1, q2) = (s2 / determinant, -s1 / determinant, s0 / determinant);
    (a[0], a[1]) = (q0 * f0 + q1 * f2, q0 * f1 + q1 * f3);
    (a[2], a[3]) = (q1 * f0 + q2 * f2, q1 * f1 + q2 * f3);
    (q[0], q[1], q[2]) = (q0, q1, q2);
}
