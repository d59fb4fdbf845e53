//! Where a log density is not smooth.

/// Where log p(y | f), as a function of f, bends: what a rule of integration has to know of it.
///
/// Continued to complex f it is analytic but at points with |Re f − at| ≤ span and |Im f| ≥ width, or further along the
/// diagonals from there, and in the part near them as large as `size` beside 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bend {
    pub(super) at: f64,
    pub(super) span: f64,
    pub(super) width: f64,
    pub(super) size: f64,
    /// On its way to the bend from below |log p| may grow as exp(growth · f).
    pub(super) growth: f64,
}

impl Bend {
    /// Smooth everywhere.
    pub(super) const NONE: Self = Self { at: 0.0, span: 0.0, width: f64::INFINITY, size: 1.0, growth: 0.0 };

    /// That of log Φ(f), and of log Φ(−f). The zeros of Φ are 1.92 ± 2.82i and on along the diagonals.
    pub(super) const PROBIT: Self = Self { width: 2.8, ..Self::NONE };

    pub(super) fn new(at: f64, width: f64) -> Self {
        Self { at, width, ..Self::NONE }
    }

    /// Centres and scales of what there is to see near the bend.
    pub(super) fn landmarks(&self) -> [(f64, f64); 2] {
        [(self.at - self.span, self.width), (self.at + self.span, self.width)]
    }
}
