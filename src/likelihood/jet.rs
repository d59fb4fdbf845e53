//! Functions with derivatives.

use super::special::Logistic;

/// A function with its first and second derivative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jet {
    pub(super) value: f64,
    pub(super) slope: f64,
    pub(super) curvature: f64,
}

impl Jet {
    /// That of f(−x), from the one of f at −x.
    pub(super) fn mirrored(self) -> Self {
        Self { slope: -self.slope, ..self }
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self { value: factor * self.value, slope: factor * self.slope, curvature: factor * self.curvature }
    }
}

impl std::ops::Add for Jet {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            slope: self.slope + other.slope,
            curvature: self.curvature + other.curvature,
        }
    }
}

/// log 1 / (1 + e⁻ˣ)
pub(super) fn log_logistic(x: f64) -> Jet {
    let Logistic { right, wrong, ln_right } = Logistic::new(x);
    Jet { value: ln_right, slope: wrong, curvature: -right * wrong }
}
