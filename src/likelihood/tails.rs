//! P(Y ≤ y) beside P(Y > y).

use super::special::normal_cdf;

/// P(Y ≤ y) and P(Y > y). Both, since 1 minus one of them has no digits left of the other where that is small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tails {
    pub(super) below: f64,
    pub(super) above: f64,
}

impl Tails {
    /// Of a y below all that may be observed.
    pub(super) const NONE: Self = Self { below: 0.0, above: 1.0 };

    /// Of a y above all that may be observed.
    pub(super) const ALL: Self = Self { below: 1.0, above: 0.0 };

    pub(super) const NAN: Self = Self { below: f64::NAN, above: f64::NAN };

    /// Of N(0, 1).
    pub(super) fn normal(z: f64) -> Self {
        Self { below: normal_cdf(z), above: normal_cdf(-z) }
    }

    pub(super) fn of_below(below: f64) -> Self {
        Self { below, above: 1.0 - below }
    }

    pub(super) fn of_above(above: f64) -> Self {
        Self { below: 1.0 - above, above }
    }

    /// Those of −Y, at −y, where Y is continuous.
    pub(super) fn mirrored(self) -> Self {
        Self { below: self.above, above: self.below }
    }

    /// P(Y ≤ y), from the smaller of the two.
    pub(super) fn probability(self) -> f64 {
        if self.above < self.below { 1.0 - self.above } else { self.below }
    }

    /// Φ⁻¹(P(Y ≤ y)), within ±40.
    pub(super) fn score(self) -> f64 {
        let score = if self.above < self.below { -normal_quantile(self.above) } else { normal_quantile(self.below) };
        score.clamp(-40.0, 40.0)
    }
}

/// Φ(z)
pub(crate) fn normal_cumulative(z: f64) -> f64 {
    Tails::normal(z).probability()
}

/// Φ⁻¹(p): −∞ at 0 and ∞ at 1.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * statrs::function::erf::erfc_inv(2.0 * p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_at_known_points() {
        // From tables of 30 digits.
        for (p, z) in [
            (0.975, 1.959_963_984_540_054),
            (0.5, 0.0),
            (0.8, 0.841_621_233_572_914_3),
            (1e-3, -3.090_232_306_167_813_5),
            (1e-10, -6.361_340_902_404_056),
            (1e-100, -21.273_453_560_965_324),
            (1e-300, -37.047_096_299_361_2),
        ] {
            let found = normal_quantile(p);
            assert!((found - z).abs() <= 2e-15 * z.abs().max(1.0), "{p}: {found} {z}");
        }
        assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        for z in [-37.0, -8.0, -1.0, -0.1, 1e-5, 0.3, 2.0, 5.0, 8.0, 37.0] {
            assert!((Tails::normal(z).score() - z).abs() < 1e-14 * z.abs().max(1.0), "{z}");
        }
        assert!(Tails::NAN.score().is_nan());
    }
}
