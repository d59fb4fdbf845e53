//! Matérn kernels of half-integer smoothness in one dimension, and their Hilbert spaces on an interval.

use crate::Real;

/// A Matérn kernel σ² κ(λr) of smoothness p + ½: κ is a polynomial of degree p times e^(−λr).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    /// ½
    Half,
    /// 3⁄2
    ThreeHalves,
    /// 5⁄2
    FiveHalves,
}

pub(super) const ORDERS: [Order; 3] = [Order::Half, Order::ThreeHalves, Order::FiveHalves];

/// One of the functions 1, cos ωt, sin ωt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wave {
    Constant,
    Cos(f64),
    Sin(f64),
}

impl Wave {
    /// The functions in their order, for a fundamental frequency.
    pub(super) fn of(index: usize, fundamental: f64) -> Self {
        let omega = index.div_ceil(2) as f64 * fundamental;
        match index {
            0 => Self::Constant,
            _ if index % 2 == 1 => Self::Cos(omega),
            _ => Self::Sin(omega),
        }
    }

    fn frequency(self) -> f64 {
        match self {
            Self::Constant => 0.0,
            Self::Cos(omega) | Self::Sin(omega) => omega,
        }
    }
}

impl Order {
    /// p
    pub(super) fn degree(self) -> usize {
        match self {
            Self::Half => 0,
            Self::ThreeHalves => 1,
            Self::FiveHalves => 2,
        }
    }

    /// ν
    pub(super) fn smoothness(self) -> f64 {
        self.degree() as f64 + 0.5
    }

    /// ∫ (Lφ)² dt/q over an interval of length h, for the operator L = (d/dt + λ)^(p+1) and the intensity q of the
    /// noise that drives the process, S(ω) = q/(λ² + ω²)^(p+1): h/2 · 1/S(ω) for a wave, twice that for 1. Two
    /// different waves of whole periods are orthogonal, because L turns a wave and scales it.
    pub(super) fn interior<R: Real>(self, wave: Wave, length: f64, variance: R, decay: R) -> R {
        // S(0) λ/σ²
        let constant = match self {
            Self::Half => 2.0,
            Self::ThreeHalves => 4.0,
            Self::FiveHalves => 16.0 / 3.0,
        };
        let part = if matches!(wave, Wave::Constant) { 1.0 } else { 0.5 };
        let ratio = R::from_f64(wave.frequency()) / decay;
        let growth = ratio * ratio + 1.0;
        let power = (0..self.degree()).fold(growth, |power, _| power * growth);
        decay * power / variance * (part * length / constant)
    }

    /// The element of a column of U with UUᵀ = V P⁻¹ Vᵀ, for the states V = (φ, φ′, …, φ^(p)) of the functions at the lower
    /// end and the stationary covariance P of (f, f′, …, f^(p)), of which P⁻¹ is, as a quadratic form in g,
    ///
    /// | p | σ² gᵀP⁻¹g |
    /// |---|---|
    /// | 0 | g₀² |
    /// | 1 | g₀² + (g₁/λ)² |
    /// | 2 | g₀² + 3 (g₁/λ)² + 9⁄8 (g₀/3 + g₂/λ²)² |
    pub(super) fn boundary<R: Real>(self, wave: Wave, column: usize, variance: R, decay: R) -> R {
        let ratio = R::from_f64(wave.frequency()) / decay;
        let even = !matches!(wave, Wave::Sin(_));
        let entry = match (column, even) {
            (0, true) => R::from_f64(1.0),
            (1, false) if self == Self::FiveHalves => ratio * 3f64.sqrt(),
            (1, false) => ratio,
            (2, true) => (ratio * ratio * -1.0 + 1.0 / 3.0) * 1.125f64.sqrt(),
            _ => R::from_f64(0.0),
        };
        entry / variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ⟨k(s, ·), φ⟩ = φ(s), with the inner product by quadrature of its definition.
    #[test]
    fn the_inner_product_reproduces() {
        for order in ORDERS {
            let space = Space { order, length: 3.0, variance: 1.7, decay: 1.3 };
            for index in 0..5 {
                let wave = Wave::of(index, std::f64::consts::TAU / 3.0);
                for s in [0.4, 1.1, 2.9] {
                    let found = space.inner(|t| space.kernel(t, s), |t| derivatives(wave, t), s);
                    let expected = derivatives(wave, s)[0];
                    assert!((found - expected).abs() < 1e-9, "{order:?} {wave:?} {s}: {found} {expected}");
                }
            }
        }
    }

    /// Diagonal plus low rank is the matrix of all inner products.
    #[test]
    fn covariances_are_inner_products() {
        for order in ORDERS {
            let space = Space { order, length: 2.0, variance: 0.6, decay: 2.1 };
            let waves: Vec<Wave> = (0..7).map(|index| Wave::of(index, std::f64::consts::TAU / 2.0)).collect();
            for (i, &a) in waves.iter().enumerate() {
                for (j, &b) in waves.iter().enumerate() {
                    let expected = space.inner(|t| derivatives(a, t), |t| derivatives(b, t), 0.9);
                    let diagonal = if i == j { order.interior(a, 2.0, 0.6, 2.1) } else { 0.0 };
                    let column = |wave, column| order.boundary(wave, column, 0.6, 2.1);
                    let low_rank: f64 = (0..=order.degree()).map(|k| column(a, k) * column(b, k)).sum();
                    let size = space.inner(|t| derivatives(a, t), |t| derivatives(a, t), 0.9)
                        + space.inner(|t| derivatives(b, t), |t| derivatives(b, t), 0.9);
                    assert!((diagonal + low_rank - expected).abs() < 1e-8 * size, "{order:?} {a:?} {b:?}");
                }
            }
        }
    }

    /// φ and its first three derivatives.
    fn derivatives(wave: Wave, t: f64) -> [f64; 4] {
        match wave {
            Wave::Constant => [1.0, 0.0, 0.0, 0.0],
            Wave::Cos(w) => [(w * t).cos(), -w * (w * t).sin(), -w * w * (w * t).cos(), w * w * w * (w * t).sin()],
            Wave::Sin(w) => [(w * t).sin(), w * (w * t).cos(), -w * w * (w * t).sin(), -w * w * w * (w * t).cos()],
        }
    }

    struct Space {
        order: Order,
        length: f64,
        variance: f64,
        decay: f64,
    }

    impl Space {
        /// σ² κ(λ|t − s|) and its derivatives in t ≠ s: polynomial coefficients in q, differentiated by
        /// d/dq (P e^−q) = (P′ − P) e^−q.
        fn kernel(&self, t: f64, s: f64) -> [f64; 4] {
            let mut polynomial = match self.order {
                Order::Half => [1.0, 0.0, 0.0],
                Order::ThreeHalves => [1.0, 1.0, 0.0],
                Order::FiveHalves => [1.0, 1.0, 1.0 / 3.0],
            };
            let (q, rate) = (self.decay * (t - s).abs(), self.decay * (t - s).signum());
            [0, 1, 2, 3].map(|power| {
                let [a, b, c] = polynomial;
                polynomial = [b - a, 2.0 * c - b, -c];
                self.variance * (a + b * q + c * q * q) * (-q).exp() * rate.powi(power)
            })
        }

        /// (d/dt + λ)^(p+1) from derivatives.
        fn operator(&self, g: [f64; 4]) -> f64 {
            let l = self.decay;
            match self.order {
                Order::Half => g[1] + l * g[0],
                Order::ThreeHalves => g[2] + 2.0 * l * g[1] + l * l * g[0],
                Order::FiveHalves => g[3] + 3.0 * l * g[2] + 3.0 * l * l * g[1] + l.powi(3) * g[0],
            }
        }

        /// gᵀP⁻¹h, with P = σ² [[1, 0, −λ²/3], [0, λ²/3, 0], [−λ²/3, 0, λ⁴]] for p = 2 inverted by hand.
        fn at_end(&self, g: [f64; 4], h: [f64; 4]) -> f64 {
            let (l2, l4) = (self.decay.powi(2), self.decay.powi(4));
            let scaled = match self.order {
                Order::Half => g[0] * h[0],
                Order::ThreeHalves => g[0] * h[0] + g[1] * h[1] / l2,
                Order::FiveHalves => {
                    let even = g[0] * h[0] + (g[0] * h[2] + g[2] * h[0]) / (3.0 * l2) + g[2] * h[2] / l4;
                    9.0 / 8.0 * even + 3.0 * g[1] * h[1] / l2
                }
            };
            scaled / self.variance
        }

        /// 1/q ∫ Lg Lh dt + g(0)ᵀP⁻¹h(0), split at s, where a derivative may jump.
        fn inner(&self, g: impl Fn(f64) -> [f64; 4], h: impl Fn(f64) -> [f64; 4], s: f64) -> f64 {
            let integrand = |t: f64| self.operator(g(t)) * self.operator(h(t));
            let simpson = |from: f64, to: f64| {
                let n = 2000;
                let step = (to - from) / f64::from(n);
                let weight = |i: i32| if i == 0 || i == n { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
                // Just inside, where the sign of t − s is that of the piece.
                let at = |i: i32| (from + step * f64::from(i)).clamp(from + 1e-13, to - 1e-13);
                (0..=n).map(|i| weight(i) * integrand(at(i))).sum::<f64>() * step / 3.0
            };
            let degree = self.order.degree();
            let intensity = self.variance * [2.0, 4.0, 16.0 / 3.0][degree] * self.decay.powi(2 * degree as i32 + 1);
            (simpson(0.0, s) + simpson(s, self.length)) / intensity + self.at_end(g(0.0), h(0.0))
        }
    }
}
