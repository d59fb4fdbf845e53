//! The map between an open interval and the real line.

/// Ends beyond which a side of zero counts as endless: coordinates have to stay finite up to a rounding of the end,
/// which is 37 ends away.
const FAR: f64 = 1.0715086071862673e301; // 2^1000

/// The numbers between two ends, either of which may be infinite.
///
/// Numbers on both sides of zero keep their relative accuracy only if the coordinate of 0 is 0 and its size near 0 is that
/// of the number: u = −b ln(1 − x/b) for x ≥ 0 and an upper end b, and likewise below, which are joined with the slope 1.
/// Where all are of one sign, of distances d from the end that is nearer to zero, and w of the ends from each other,
/// u = ln d − ln(w − d), the logit; where w is large or small, less the constant ln w. With it u would be as large as the
/// logarithm of the farther end at numbers of order 1, and they would lose as many digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) lower: f64,
    pub(super) upper: f64,
}

impl Interval {
    pub(super) fn admits(self, x: f64) -> bool {
        x > self.lower && x < self.upper
    }

    /// NaN if there are no numbers in between.
    pub(super) fn constrain(self, u: f64) -> f64 {
        let (least, greatest) = (self.lower.next_up(), self.upper.next_down());
        // The ends are out of the set even where rounding reaches them.
        if least <= greatest { self.approach(u).clamp(least, greatest) } else { f64::NAN }
    }

    fn approach(self, u: f64) -> f64 {
        let Self { lower, upper } = self;
        if lower < 0.0 && upper > 0.0 {
            return if u < 0.0 { -from_zero(-u, -lower) } else { from_zero(u, upper) };
        }
        if upper <= 0.0 {
            return -self.mirrored().approach(-u);
        }
        let width = upper - lower;
        let shift = shift(width);
        // d / (w − d), by the root: e^u may overflow where the quotient does not.
        let root = (0.5 * u).exp();
        let odds = if width.is_finite() { root / shift * root } else { 0.0 };
        if odds >= 1.0 {
            return upper - width / (1.0 + odds);
        }
        let distance = if shift == width { u.exp() } else { width * u.exp() };
        lower + distance / (1.0 + odds)
    }

    pub(super) fn unconstrain(self, x: f64) -> f64 {
        let Self { lower, upper } = self;
        if lower < 0.0 && upper > 0.0 {
            return if x < 0.0 { -to_zero(-x, -lower) } else { to_zero(x, upper) };
        }
        if upper <= 0.0 {
            return -self.mirrored().unconstrain(-x);
        }
        let distance = (x - lower).ln();
        if upper.is_finite() { distance - ((upper - x) / shift(upper - lower)).ln() } else { distance }
    }

    pub(super) fn slope(self, x: f64) -> f64 {
        let Self { lower, upper } = self;
        if lower < 0.0 && upper > 0.0 {
            let (size, end) = if x < 0.0 { (-x, -lower) } else { (x, upper) };
            return if end < FAR { (end - size) / end } else { 1.0 };
        }
        if upper <= 0.0 {
            return self.mirrored().slope(-x);
        }
        let distance = x - lower;
        if upper.is_finite() { distance * ((upper - x) / (upper - lower)) } else { distance }
    }

    fn mirrored(self) -> Self {
        Self { lower: -self.upper, upper: -self.lower }
    }
}

/// e^(u − logit): 1, or the width where its logarithm would cost digits.
fn shift(width: f64) -> f64 {
    if (0.125..=8.0).contains(&width) { 1.0 } else { width }
}

/// b (1 − e^(−u/b)), from 0 towards b.
fn from_zero(u: f64, end: f64) -> f64 {
    let ratio = u / end;
    // Quotients may underflow where the numbers do not.
    if end >= FAR || ratio < 0.25 * f64::EPSILON { u } else { -end * (-ratio).exp_m1() }
}

/// The inverse of [`from_zero`].
fn to_zero(x: f64, end: f64) -> f64 {
    let ratio = x / end;
    if end >= FAR || ratio < 0.25 * f64::EPSILON { x } else { -end * (-ratio).ln_1p() }
}
