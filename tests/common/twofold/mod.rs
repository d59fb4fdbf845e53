//! Sums of two `f64`, some 32 digits: what bounds are compared with where `f64` has lost its own.
//!
//! Error-free sums and products by Knuth (1969) and by fused multiply-add; the algorithms of Hida, Li & Bailey (2001).

pub(crate) mod rows;

use std::ops::{Add, Div, Mul, Neg, Sub};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Twofold(pub(crate) f64, pub(crate) f64);

fn quick_sum(a: f64, b: f64) -> Twofold {
    let sum = a + b;
    Twofold(sum, b - (sum - a))
}

fn two_sum(a: f64, b: f64) -> Twofold {
    let sum = a + b;
    let part = sum - a;
    Twofold(sum, (a - (sum - part)) + (b - part))
}

impl From<f64> for Twofold {
    fn from(value: f64) -> Self {
        Self(value, 0.0)
    }
}

impl Add for Twofold {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (high, low) = (two_sum(self.0, other.0), two_sum(self.1, other.1));
        let first = quick_sum(high.0, high.1 + low.0);
        quick_sum(first.0, first.1 + low.1)
    }
}

impl Neg for Twofold {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0, -self.1)
    }
}

impl Sub for Twofold {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Twofold {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let product = self.0 * other.0;
        let error = self.0.mul_add(other.0, -product);
        quick_sum(product, error + (self.0 * other.1 + self.1 * other.0))
    }
}

impl Div for Twofold {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.0 / other.0;
        let left = self - other * first.into();
        let second = left.0 / other.0;
        let third = (left - other * second.into()).0 / other.0;
        quick_sum(first, second) + third.into()
    }
}

impl std::iter::Sum for Twofold {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(0.0.into(), Add::add)
    }
}

const LN_2: Twofold = Twofold(std::f64::consts::LN_2, 2.3190468138462996e-17);
const TAU: Twofold = Twofold(std::f64::consts::TAU, 2.4492935982947064e-16);

impl Twofold {
    pub(crate) const ZERO: Self = Self(0.0, 0.0);

    pub(crate) fn sqrt(self) -> Self {
        if self.0 == 0.0 {
            return self;
        }
        let root = self.0.sqrt();
        quick_sum(root, (self - Self::from(root) * root.into()).0 / (2.0 * root))
    }

    pub(crate) fn exp(self) -> Self {
        if self.0 < -600.0 {
            return 0.0.into();
        }
        // By 2ᵏ and the 512th part of what is left, which has 9 terms, and is squared 9 times.
        let k = (self.0 / LN_2.0).round();
        let rest = self - LN_2 * k.into();
        let small = Self(rest.0 / 512.0, rest.1 / 512.0);
        // e^x − 1, which keeps its digits: (1 + s)² − 1 = 2s + s².
        let mut sum = Self::from(0.0);
        for n in (1..=9).rev() {
            sum = (sum + 1.0.into()) * small / f64::from(n).into();
        }
        for _ in 0..9 {
            sum = sum + sum + sum * sum;
        }
        let result = sum + 1.0.into();
        let scale = k.exp2();
        Self(result.0 * scale, result.1 * scale)
    }

    pub(crate) fn ln(self) -> Self {
        let first = Self::from(self.0.ln());
        first + (self * (-first).exp() - 1.0.into())
    }

    pub(crate) fn value(self) -> f64 {
        self.0
    }
}

/// n × m, by columns.
#[derive(Clone)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: Vec<Vec<Twofold>>,
}

impl Matrix {
    pub(crate) fn from_fn(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> Twofold) -> Self {
        Self { rows, columns: (0..columns).map(|j| (0..rows).map(|i| entry(i, j)).collect()).collect() }
    }

    /// The lower Cholesky factor; `None` where a pivot is not positive.
    pub(crate) fn cholesky(mut self) -> Option<Self> {
        for j in 0..self.rows {
            let (done, rest) = self.columns.split_at_mut(j);
            let column = &mut rest[0];
            for before in done {
                let factor = before[j];
                for i in j..column.len() {
                    column[i] = column[i] - before[i] * factor;
                }
            }
            if column[j].0.is_nan() || column[j].0 <= 0.0 {
                return None;
            }
            let root = column[j].sqrt();
            column[j..].iter_mut().for_each(|entry| *entry = *entry / root);
            column[..j].fill(0.0.into());
        }
        Some(self)
    }

    /// L⁻¹b
    pub(crate) fn solve(&self, mut b: Vec<Twofold>) -> Vec<Twofold> {
        for j in 0..self.rows {
            b[j] = b[j] / self.columns[j][j];
            for i in j + 1..self.rows {
                b[i] = b[i] - self.columns[j][i] * b[j];
            }
        }
        b
    }

    /// L⁻ᵀb
    pub(crate) fn solve_transposed(&self, mut b: Vec<Twofold>) -> Vec<Twofold> {
        for j in (0..self.rows).rev() {
            let below: Twofold = (j + 1..self.rows).map(|i| self.columns[j][i] * b[i]).sum();
            b[j] = (b[j] - below) / self.columns[j][j];
        }
        b
    }

    /// ½ ln det LLᵀ
    pub(crate) fn half_log_det(&self) -> Twofold {
        (0..self.rows).map(|i| self.columns[i][i].ln()).sum()
    }
}

pub(crate) fn dot(a: &[Twofold], b: &[Twofold]) -> Twofold {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// ln N(r; 0, C)
pub(crate) fn log_normal(r: &[f64], covariance: Matrix) -> Option<Twofold> {
    let l = covariance.cholesky()?;
    let half = l.solve(r.iter().map(|&r| r.into()).collect());
    Some(-(l.half_log_det() + Twofold::from(0.5) * (dot(&half, &half) + log_tau(r.len()))))
}

/// n ln 2π
pub(crate) fn log_tau(n: usize) -> Twofold {
    Twofold::from(n as f64) * TAU.ln()
}

#[test]
fn functions_have_thirty_digits() {
    // e, √2, ln 10 by their first 32 digits, as sums of two numbers.
    for (found, high, low) in [
        (Twofold::from(1.0).exp(), std::f64::consts::E, 1.4456468917292502e-16),
        (Twofold::from(2.0).sqrt(), std::f64::consts::SQRT_2, -9.667293313452913e-17),
        (Twofold::from(10.0).ln(), std::f64::consts::LN_10, -2.1707562233822494e-16),
    ] {
        let error = found - Twofold(high, low);
        assert!(error.0.abs() < 1e-30 * high, "{found:?}");
    }
}
