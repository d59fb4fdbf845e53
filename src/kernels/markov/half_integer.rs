//! The Matérn kernels of half-integer smoothness ν = p + ½ as Markov processes.
//!
//! In x = λΔ with λ = √(2ν)/ℓ, and for a state of f and its derivatives in x, dₓs = F s + √q e w, where F is the companion
//! matrix of (1 + D)ᵖ⁺¹. N = F + 1 is nilpotent, so that A = exp(F x) = e⁻ˣ Σ_{k ≤ p} Nᵏxᵏ/k!, and with v the last column of A
//!
//! ∂A/∂x = F A, Q = q ∫₀ˣ v vᵀ, ∂Q/∂x = q v vᵀ
//!
//! which is all that the derivative in the lengthscale takes. From dQ/dx = F Q + Q Fᵀ + q e eᵀ, Q_{i,i+1} = ½ q v_i², without a
//! subtraction; other entries are the series of the same equation for small x, and P − A P Aᵀ beyond.

use crate::Scalar;
use crate::kernel::{Column, Family, STEPS, StateSpace, Steps};
use crate::linalg::series::{self, Series};
use crate::simd::{Pass, dispatch};

/// The largest p.
pub(crate) const MOST: usize = 4;

/// The kernel of smoothness p + ½, whose unit of time is the lengthscale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfInteger(pub(crate) usize);

impl Family for HalfInteger {
    fn at(&self, numbers: &[f64]) -> Box<dyn StateSpace> {
        match self.0 {
            0 => Box::new(Form::<1, 20>::new(numbers[0])),
            1 => Box::new(Form::<2, 20>::new(numbers[0])),
            2 => Box::new(Form::<3, 20>::new(numbers[0])),
            // (2x)ᵐ/m! at the end of the series is below rounding, and the first power is 2p + 1.
            3 => Box::new(Form::<4, 34>::new(numbers[0])),
            _ => Box::new(Form::<5, 34>::new(numbers[0])),
        }
    }
}

/// D = p + 1 states.
#[derive(Clone, Debug)]
struct Form<const D: usize, const TERMS: usize> {
    unit: f64,
    /// λ
    rate: f64,
    /// The last row of F.
    last: [f64; D],
    /// Nᵏ/k!
    powers: Vec<[[f64; D]; D]>,
    p: [[f64; D]; D],
    q: f64,
    /// Q_ij by powers of x.
    series: Vec<Series<TERMS>>,
    /// Up to where the series is taken.
    near: f64,
}

impl<const D: usize, const TERMS: usize> Form<D, TERMS> {
    fn new(unit: f64) -> Self {
        let order = D as f64;
        // (1 + D)ᵖ⁺¹ = Σ binom(p + 1, k) Dᵏ
        let (mut last, mut binomial) = ([0.0; D], 1.0);
        for (k, last) in last.iter_mut().enumerate() {
            *last = -binomial;
            binomial *= (order - k as f64) / (k as f64 + 1.0);
        }
        let mut f = [[0.0; D]; D];
        (1..D).for_each(|row| f[row - 1][row] = 1.0);
        f[D - 1] = last;
        let mut nilpotent = f;
        (0..D).for_each(|row| nilpotent[row][row] += 1.0);
        let mut power = [[0.0; D]; D];
        (0..D).for_each(|row| power[row][row] = 1.0);
        let mut powers = vec![power];
        for k in 1..D {
            power = series::product(&nilpotent, &power, 1.0 / k as f64);
            powers.push(power);
        }
        // q = 2²ᵖ⁺¹ (p!)²/(2p)!, for a variance of 1.
        let q = (1..D).fold(2.0, |q, k| q * 2.0 * k as f64 / (2.0 * k as f64 - 1.0));
        let series = series::process_noise(&f, q);
        let p = stationary(&powers, q);
        let near = [0.3, 0.3, 0.3, 0.7, 1.0][D - 1];
        Self { unit, rate: (2.0 * order - 1.0).sqrt() / unit, last, powers, p, q, series, near }
    }
}

/// P = q ∫ v vᵀ from 0 to ∞, entry by entry: v_i = e⁻ˣ Σ_k (Nᵏ/k!)_{i,p} xᵏ.
fn stationary<const D: usize>(powers: &[[[f64; D]; D]], q: f64) -> [[f64; D]; D] {
    let mut p = [[0.0; D]; D];
    for (row, col) in (0..D).flat_map(|row| (0..D).map(move |col| (row, col))) {
        // Odd derivatives of k vanish at 0.
        if (row + col) % 2 == 1 {
            continue;
        }
        let mut moment = 0.5;
        let mut moments = [0.0; 2 * MOST + 1];
        for (k, of) in moments.iter_mut().enumerate().take(2 * D - 1) {
            *of = moment; // k!/2ᵏ⁺¹
            moment *= (k as f64 + 1.0) / 2.0;
        }
        for (j, of_row) in powers.iter().enumerate() {
            for (k, of_col) in powers.iter().enumerate() {
                p[row][col] += q * of_row[row][D - 1] * of_col[col][D - 1] * moments[j + k];
            }
        }
    }
    p
}

impl<const D: usize, const TERMS: usize> StateSpace for Form<D, TERMS> {
    fn states(&self) -> usize {
        D
    }

    fn is_stationary(&self) -> bool {
        true
    }

    fn start(&self, _: f64, covariance: &mut [f64]) {
        let entries = (0..D).flat_map(|row| (0..=row).map(move |col| (row, col)));
        covariance.iter_mut().zip(entries).for_each(|(out, (row, col))| *out = self.p[row][col]);
    }

    // Stationary, and in units of its own.
    fn start_vjp(&self, _: f64, _: &[f64], _: &mut [f64]) {}

    fn steps(&self, steps: &Steps, a: &mut [Column], q: &mut [Column]) {
        dispatch(Fill { form: self, steps, a, q });
    }

    fn steps_vjp(&self, steps: &Steps, [a, _]: [&[Column]; 2], cotangents: [&[Column]; 2], numbers: &mut [f64]) {
        numbers[0] -= dispatch(Pull { form: self, steps, a, cotangents }) * self.rate / self.unit;
    }
}

struct Fill<'a, const D: usize, const TERMS: usize> {
    form: &'a Form<D, TERMS>,
    steps: &'a Steps,
    a: &'a mut [Column],
    q: &'a mut [Column],
}

impl<const D: usize, const TERMS: usize> Pass for Fill<'_, D, TERMS> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { form, steps, a, q } = self;
        let mut x = [0.0; STEPS];
        let mut decay = [0.0; STEPS];
        let (mut any_near, mut any_far) = (false, false);
        for i in 0..STEPS {
            x[i] = form.rate * steps.length[i];
            any_near |= x[i] <= form.near;
            any_far |= x[i] > form.near;
            decay[i] = (-x[i]).lane_exp::<FMA>();
        }
        for row in 0..D {
            for col in 0..D {
                let out = &mut a[row * D + col];
                for i in 0..STEPS {
                    let mut sum = form.powers[D - 1][row][col];
                    for k in (0..D - 1).rev() {
                        sum = sum.lane_mul_add::<FMA>(x[i], form.powers[k][row][col]);
                    }
                    // So far away that x is infinite.
                    out[i] = if decay[i] > 0.0 { decay[i] * sum } else { 0.0 };
                }
            }
        }
        for row in 0..D {
            for col in 0..=row {
                let place = row * (row + 1) / 2 + col;
                let out = &mut q[place];
                if row == col + 1 {
                    let v = &a[col * D + D - 1];
                    for i in 0..STEPS {
                        out[i] = 0.5 * form.q * v[i] * v[i];
                    }
                    continue;
                }
                if any_near {
                    let series = &form.series[place];
                    for i in 0..STEPS {
                        out[i] = series.at::<FMA>(x[i]);
                    }
                }
                if any_far {
                    for i in 0..STEPS {
                        let mut sum = form.p[row][col];
                        for j in 0..D {
                            let mut part = 0.0;
                            for k in 0..D {
                                part = form.p[j][k].lane_mul_add::<FMA>(a[col * D + k][i], part);
                            }
                            sum = (-a[row * D + j][i]).lane_mul_add::<FMA>(part, sum);
                        }
                        out[i] = if x[i] > form.near { sum } else { out[i] };
                    }
                }
            }
        }
    }
}

/// Σ Δ (∂A/∂x · Ā + ∂Q/∂x · Q̄)
struct Pull<'a, const D: usize, const TERMS: usize> {
    form: &'a Form<D, TERMS>,
    steps: &'a Steps,
    a: &'a [Column],
    cotangents: [&'a [Column]; 2],
}

impl<const D: usize, const TERMS: usize> Pass for Pull<'_, D, TERMS> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let Self { form, steps, a, cotangents: [in_a, in_q] } = self;
        let mut sums = [0.0; STEPS];
        for row in 0..D {
            for col in 0..D {
                let cotangent = &in_a[row * D + col];
                if row + 1 < D {
                    let slope = &a[(row + 1) * D + col];
                    for i in 0..STEPS {
                        sums[i] = cotangent[i].lane_mul_add::<FMA>(slope[i], sums[i]);
                    }
                } else {
                    for i in 0..STEPS {
                        let mut slope = 0.0;
                        for k in 0..D {
                            slope = form.last[k].lane_mul_add::<FMA>(a[k * D + col][i], slope);
                        }
                        sums[i] = cotangent[i].lane_mul_add::<FMA>(slope, sums[i]);
                    }
                }
            }
            for col in 0..=row {
                let cotangent = &in_q[row * (row + 1) / 2 + col];
                let (v, w) = (&a[row * D + D - 1], &a[col * D + D - 1]);
                for i in 0..STEPS {
                    sums[i] = (form.q * cotangent[i]).lane_mul_add::<FMA>(v[i] * w[i], sums[i]);
                }
            }
        }
        let mut total = 0.0;
        for (sum, length) in sums.iter().zip(&steps.length) {
            total += sum * length;
        }
        total
    }
}
