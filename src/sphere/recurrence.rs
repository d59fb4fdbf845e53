//! Gegenbauer polynomials, one after the other.

use crate::Scalar;
use crate::simd::LANES;

/// Gₙ for some pairs at once, from one n to the next.
pub(crate) struct Recurrence<T> {
    /// 2λ
    twice: T,
    h: [T; LANES],
    pub(crate) value: [T; LANES],
    /// Gₙ − Gₙ₋₁
    difference: [T; LANES],
}

impl<T: Scalar> Recurrence<T> {
    /// G₀, for λ from 2λ, at 1 − t = h.
    #[inline(always)]
    pub(crate) fn new(twice: T, h: [T; LANES]) -> Self {
        // 0 · h, not 0: NaN has to give NaN.
        let zero = h.map(|h| h * T::from_f64(0.0));
        Self { twice, h, value: zero.map(|zero| zero + T::from_f64(1.0)), difference: zero }
    }

    /// From Gₙ to Gₙ₊₁.
    #[inline(always)]
    pub(crate) fn step(&mut self, n: usize) {
        let order = T::from_f64(n as f64);
        let scale = order + self.twice;
        // For n = 0 the limit is G₁ − G₀ = −h, also where λ = 0.
        let (keep, turn) = if n == 0 { (order, T::from_f64(1.0)) } else { (order / scale, (order + scale) / scale) };
        for lane in 0..LANES {
            self.difference[lane] = keep * self.difference[lane] - turn * self.h[lane] * self.value[lane];
            self.value[lane] += self.difference[lane];
        }
    }
}
