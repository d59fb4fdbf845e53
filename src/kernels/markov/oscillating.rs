//! The damped oscillator as a Markov process: its place and its speed.
//!
//! In x = ω₀Δ and for a state of f and its derivative in x, F = [[0, 1], [−1, −2a]] with a = 1/(2Q), and white noise of density
//! q = 4a drives the speed. With E = e^{−ax}, C = cos ηx, S = sin(ηx)/η, η² = 1 − a²,
//!
//! A = E [[C + aS, S], [−S, C − aS]], ∂A/∂x = F A, ∂Q/∂x = q v vᵀ for the last column v of A, Q₀₁ = ½ q v₀²
//!
//! The other entries of Q are series in x for small x, and P − A P Aᵀ beyond, for P = 1.

use std::f64::consts::TAU;

use crate::Scalar;
use crate::kernel::{Column, Family, STEPS, StateSpace, Steps};
use crate::linalg::series::{self, Series};
use crate::simd::{Pass, dispatch};

const TERMS: usize = 20;

/// The oscillator, whose unit of time is the period, with its quality.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oscillating;

impl Family for Oscillating {
    fn at(&self, numbers: &[f64]) -> Box<dyn StateSpace> {
        Box::new(Form::new(numbers[0], numbers[1]))
    }
}

#[derive(Clone, Debug)]
struct Form {
    period: f64,
    quality: f64,
    /// ω₀
    rate: f64,
    a: f64,
    /// Up to where the series are taken.
    near: f64,
    /// Q₀₀ and Q₁₁ by powers of x, and their derivatives in a.
    values: [Series<TERMS>; 2],
    slopes: [Series<TERMS>; 2],
}

impl Form {
    fn new(period: f64, quality: f64) -> Self {
        let a = 0.5 / quality;
        let (f, in_a) = ([[0.0, 1.0], [-1.0, -2.0 * a]], [[0.0, 0.0], [0.0, -2.0]]);
        let (values, slopes) = series::process_noise_with_slope(&f, 4.0 * a, &in_a, 4.0);
        let ends = |series: Vec<Series<TERMS>>| [series[0].clone(), series[2].clone()];
        let near = 0.3 / (2.0 * a).max(1.0);
        Self { period, quality, rate: TAU / period, a, near, values: ends(values), slopes: ends(slopes) }
    }

    /// E, C and S, and the derivatives of the last two in a. Where a > 1, E has the factor that keeps C from overflow.
    #[inline(always)]
    fn parts<const FMA: bool>(&self, x: f64) -> [f64; 5] {
        let a = self.a;
        let squared = (1.0 - a) * (1.0 + a);
        // η² small enough for both: |η²x²| matters where E does not vanish, so x is below some 40.
        if squared.abs() < 1e-6 {
            let z = squared * x * x;
            let cos = 1.0 + z * (-1.0 / 2.0 + z * (1.0 / 24.0 - z / 720.0));
            let sin = x * (1.0 + z * (-1.0 / 6.0 + z * (1.0 / 120.0 - z / 5040.0)));
            let by_a = a * x * x * x * (1.0 / 3.0 + z * (-1.0 / 30.0 + z / 840.0));
            return [(-a * x).lane_exp::<FMA>(), cos, sin, x * a * sin, by_a];
        }
        if squared > 0.0 {
            let eta = squared.sqrt();
            let (sin, cos) = (eta * x).lane_sin_cos::<FMA>();
            let sin = sin / eta;
            return [(-a * x).lane_exp::<FMA>(), cos, sin, x * a * sin, -a * (x * cos - sin) / squared];
        }
        let kappa = (-squared).sqrt();
        let rest = (-2.0 * kappa * x).lane_exp_m1::<FMA>();
        let (cos, sin) = (1.0 + 0.5 * rest, -0.5 * rest / kappa);
        [(-x / (a + kappa)).lane_exp::<FMA>(), cos, sin, x * a * sin, -a * (x * cos - sin) / squared]
    }
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
        dispatch(Fill { form: self, steps, a, q });
    }

    fn steps_vjp(&self, steps: &Steps, [a, _]: [&[Column]; 2], cotangents: [&[Column]; 2], numbers: &mut [f64]) {
        let [by_length, by_a] = dispatch(Pull { form: self, steps, a, cotangents });
        numbers[0] -= by_length * self.rate / self.period;
        numbers[1] -= by_a * self.a / self.quality;
    }
}

struct Fill<'a> {
    form: &'a Form,
    steps: &'a Steps,
    a: &'a mut [Column],
    q: &'a mut [Column],
}

impl Pass for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { form, steps, a, q } = self;
        let ([a00, a01, a10, a11], [q00, q01, q11]) = (a, q) else { return };
        for step in 0..STEPS {
            let x = form.rate * steps.length[step];
            let [decay, cos, sin, ..] = form.parts::<FMA>(x);
            // So far away that x or its square is infinite.
            let gone = decay == 0.0;
            let (cos, sin) = if gone { (0.0, 0.0) } else { (decay * cos, decay * sin) };
            (a00[step], a01[step]) = (cos + form.a * sin, sin);
            (a10[step], a11[step]) = (-sin, cos - form.a * sin);
            q01[step] = 2.0 * form.a * sin * sin;
        }
        for step in 0..STEPS {
            let x = form.rate * steps.length[step];
            let near = if x <= form.near { x } else { 0.0 };
            let (by_series0, by_series1) = (form.values[0].at::<FMA>(near), form.values[1].at::<FMA>(near));
            let far0 = 1.0 - a00[step] * a00[step] - a01[step] * a01[step];
            let far1 = 1.0 - a10[step] * a10[step] - a11[step] * a11[step];
            q00[step] = if x <= form.near { by_series0 } else { far0 };
            q11[step] = if x <= form.near { by_series1 } else { far1 };
        }
    }
}

/// Σ Δ (∂A/∂x · Ā + ∂Q/∂x · Q̄) and the derivative in a.
struct Pull<'a> {
    form: &'a Form,
    steps: &'a Steps,
    a: &'a [Column],
    cotangents: [&'a [Column]; 2],
}

impl Pass for Pull<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run<const FMA: bool>(self) -> [f64; 2] {
        let Self { form, steps, a, cotangents: [in_a, in_q] } = self;
        let ([a00, a01, a10, a11], [c00, c01, c10, c11], [d00, d01, d11]) = (a, in_a, in_q) else { return [0.0; 2] };
        let (twice, q) = (2.0 * form.a, 4.0 * form.a);
        let (mut by_length, mut by_a) = ([0.0; STEPS], [0.0; STEPS]);
        for i in 0..STEPS {
            let x = form.rate * steps.length[i];
            let (v, w) = (a01[i], a11[i]);
            let in_transition = c00[i] * a10[i] + c01[i] * a11[i]
                - c10[i] * (a00[i] + twice * a10[i])
                - c11[i] * (a01[i] + twice * a11[i]);
            let in_noise = q * (d00[i] * v * v + d01[i] * v * w + d11[i] * w * w);
            by_length[i] = (in_transition + in_noise) * steps.length[i];

            let [decay, cos, sin, cos_by_a, sin_by_a] = form.parts::<FMA>(x);
            // ∂/∂a of E f is E (f′ − x f); the factor that E has beyond e^{−ax} is one of C and S in both.
            let gone = decay == 0.0;
            let s = if gone { 0.0 } else { decay * (sin_by_a - x * sin) };
            let c = if gone { 0.0 } else { decay * (cos_by_a - x * cos) };
            let own = if gone { 0.0 } else { decay * sin };
            let (by00, by11) = (c + own + form.a * s, c - own - form.a * s);
            let near = if x <= form.near { x } else { 0.0 };
            let (series0, series1) = (form.slopes[0].at::<FMA>(near), form.slopes[1].at::<FMA>(near));
            let far0 = -2.0 * (a00[i] * by00 + v * s);
            let far1 = -2.0 * (w * by11 + v * s);
            let (q00, q11) = if x <= form.near { (series0, series1) } else { (far0, far1) };
            let q01 = 2.0 * v * v + 4.0 * form.a * v * s;
            by_a[i] =
                c00[i] * by00 + (c01[i] - c10[i]) * s + c11[i] * by11 + d00[i] * q00 + d01[i] * q01 + d11[i] * q11;
        }
        let mut sums = [0.0; 2];
        for i in 0..STEPS {
            sums[0] += by_length[i];
            sums[1] += by_a[i];
        }
        sums
    }
}
