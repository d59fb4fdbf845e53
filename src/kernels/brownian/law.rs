//! The two motions as functions of lengths and an angle, without the cancellation of |x| + |y| − |x − y|.
//!
//! Let l ≤ m be the lengths of the two points, t = l/m, θ the angle between them, C = |x − y|²/m² = 1 + q with
//! q = t (t − 2 cos θ), and v = 1 + cos θ.
//!
//! Brownian motion is σ² l v / (1 + t + √C), because (l + m)² − |x − y|² = 2 l m v.
//!
//! For fractional motion, with p = 2H and ε = p − 1, there are two forms of 2k/(σ² mᵖ):
//!
//! - tᵖ − expm1(H log C), a sum of positive terms where q < 0;
//! - t expm1(ε log t) − (1 + t) expm1(ε log(1 + t)) − (1 + t)ᵖ expm1(H log(1 − 2 t v/(1 + t)²)), of which the first two
//!   terms have one sign, that of −ε, and the third is 0 for opposite points: the sum of both is what is left of H ≠ ½.
//!
//! The second is taken for angles beyond 120°. On a line, where θ is 0° or 180°, no digit is lost for any H. mᵖ is never
//! formed, because it may overflow where k does not: its root |x|ᴴ belongs to a point, and is multiplied twice. For t so
//! small that it may have underflowed, the first order in t is all there is, and l mᵋ takes the place of t mᵖ.

use num_traits::Float;

use crate::Scalar;

/// What the formulas read of a point.
#[derive(Clone, Copy)]
pub(super) struct Point<T> {
    /// |x|
    pub(super) length: T,
    /// |x|ᴴ
    pub(super) root: T,
    /// log |x|, or 0 at the origin.
    pub(super) log: T,
}

/// What the formulas read of a pair beside its points.
#[derive(Clone, Copy)]
pub(super) struct Pair<T> {
    /// t
    ratio: T,
    /// C
    squared: T,
    /// q
    beyond: T,
    /// cos θ and 1 + cos θ
    cosine: T,
    versine: T,
}

/// The first number divided by the second, or 0 where the second is 0.
#[inline(always)]
fn over<T: Scalar>(a: T, b: T) -> T {
    let zero = T::from_f64(0.0);
    if b == zero { zero } else { a / b }
}

/// The shorter and the longer of two points. A NaN counts as both.
#[inline(always)]
pub(super) fn by_length<T: Scalar>(x: Point<T>, y: Point<T>) -> (Point<T>, Point<T>) {
    let swap = x.length < y.length;
    let choose = |a: T, b: T| if swap { b } else { a };
    let longer = Point { length: choose(x.length, y.length), root: choose(x.root, y.root), log: choose(x.log, y.log) };
    let lost = Float::is_nan(longer.length);
    let choose = |a: T, b: T, other: T| if lost { other } else { choose(a, b) };
    let shorter = Point {
        length: choose(y.length, x.length, longer.length),
        root: choose(y.root, x.root, longer.root),
        log: choose(y.log, x.log, longer.log),
    };
    (shorter, longer)
}

/// Whether two numbers are on opposite sides of the origin.
#[inline(always)]
pub(super) fn opposite<T: Scalar>(x: T, y: T) -> bool {
    let zero = T::from_f64(0.0);
    (x < zero) & (y > zero) | (x > zero) & (y < zero)
}

impl<T: Scalar> Pair<T> {
    /// Two numbers, of these sizes.
    #[inline(always)]
    pub(super) fn on_line(opposite: bool, shorter: T, longer: T) -> Self {
        let (zero, one, two) = (T::from_f64(0.0), T::from_f64(1.0), T::from_f64(2.0));
        let ratio = over(shorter, longer);
        // Exact for numbers that are close.
        let apart = if opposite { one + ratio } else { over(longer - shorter, longer) };
        Self {
            ratio,
            squared: apart * apart,
            beyond: ratio * if opposite { ratio + two } else { ratio - two },
            cosine: if opposite { -one } else { one },
            versine: if opposite { zero } else { two },
        }
    }

    /// Two points of these lengths, |x − y|² apart.
    #[inline(always)]
    pub(super) fn in_space(squared: T, versine: T, shorter: T, longer: T) -> Self {
        let ratio = over(shorter, longer);
        let cosine = versine - T::from_f64(1.0);
        let squared = over(over(squared, longer), longer);
        Self { ratio, squared, beyond: ratio * (ratio - (cosine + cosine)), cosine, versine }
    }

    /// log C: from q where it is near 0.
    #[inline(always)]
    fn log_squared<const FMA: bool>(&self) -> T {
        let near = self.squared < T::from_f64(0.5);
        let (by_distance, by_excess) = (self.squared.lane_ln::<FMA>(), self.beyond.lane_ln_1p::<FMA>());
        if near { by_distance } else { by_excess }
    }
}

/// The derivatives of k, with those in the points on a line.
#[derive(Clone, Copy)]
pub(super) struct LineSlopes<T> {
    /// In |l| and |m|, along the side of the origin that l and m are on.
    pub(super) shorter: T,
    pub(super) longer: T,
    /// In the second parameter.
    pub(super) shape: T,
}

/// The derivatives of k in space.
#[derive(Clone, Copy)]
pub(super) struct SpaceSlopes<T> {
    /// In |x − y|² and in xᵀy, of which one is 0.
    pub(super) squared: T,
    pub(super) inner: T,
    /// In |l|² and in |m|².
    pub(super) shorter: T,
    pub(super) longer: T,
    /// In the second parameter.
    pub(super) shape: T,
}

/// A motion as a function of two points, at precision `T`.
pub(super) trait Law<T: Scalar>: Copy + Send + Sync {
    /// |x|ᴴ
    fn root(self, length: T) -> T;

    /// k; without the terms that are 0 on a line, if `LINE`.
    fn value<const FMA: bool, const LINE: bool>(self, shorter: Point<T>, longer: Point<T>, pair: Pair<T>) -> T;

    /// The derivatives on a line, given k.
    fn line_slopes<const FMA: bool>(
        self,
        shorter: Point<T>,
        longer: Point<T>,
        pair: Pair<T>,
        value: T,
    ) -> LineSlopes<T>;

    /// The derivatives in space, given k and |x − y|².
    fn space_slopes<const FMA: bool>(
        self,
        shorter: Point<T>,
        longer: Point<T>,
        pair: Pair<T>,
        squared: T,
        value: T,
    ) -> SpaceSlopes<T>;
}

/// The law of Brownian motion.
#[derive(Clone, Copy)]
pub(super) struct Plain<T> {
    pub(super) variance: T,
}

impl<T: Scalar> Law<T> for Plain<T> {
    fn root(self, length: T) -> T {
        length.sqrt()
    }

    #[inline(always)]
    fn value<const FMA: bool, const LINE: bool>(self, shorter: Point<T>, _: Point<T>, pair: Pair<T>) -> T {
        let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
        let share = if LINE {
            if pair.versine == zero { zero } else { one }
        } else {
            let share = pair.versine / (one + pair.ratio + Float::sqrt(pair.squared));
            if pair.squared == zero { one } else { share }
        };
        self.variance * (shorter.length * share)
    }

    #[inline(always)]
    fn line_slopes<const FMA: bool>(self, shorter: Point<T>, longer: Point<T>, pair: Pair<T>, _: T) -> LineSlopes<T> {
        let (zero, half) = (T::from_f64(0.0), T::from_f64(0.5) * self.variance);
        let opposite = pair.versine == zero;
        // |x − y| has no slope at 0, |x| none at the origin.
        let of_distance = if shorter.length == longer.length { zero } else { half };
        let of_length = if shorter.length == zero { zero } else { half };
        let same_side = of_length + of_distance;
        LineSlopes {
            shorter: if opposite { zero } else { same_side },
            longer: if opposite { zero } else { half - of_distance },
            shape: zero,
        }
    }

    #[inline(always)]
    fn space_slopes<const FMA: bool>(
        self,
        shorter: Point<T>,
        longer: Point<T>,
        pair: Pair<T>,
        squared: T,
        _: T,
    ) -> SpaceSlopes<T> {
        let one = T::from_f64(1.0);
        let root = Float::sqrt(pair.squared);
        let own = [over(one, shorter.length), over(one, longer.length)];
        // 1 − 1/√C
        let lost = pair.beyond / (root * (one + root));
        split(T::from_f64(0.25) * self.variance, pair, squared, own, [one / root, lost])
    }
}

/// The derivatives in space of s (|x|²)ᴴ + s (|y|²)ᴴ − s (|x − y|²)ᴴ, given H s, the powers |x|^(p−2) of the lengths, and
/// C^(H−1) and 1 − C^(H−1).
///
/// Where the points are close, |x − y|² takes its own share, because differences of points are exact. Elsewhere that is
/// shared out to |x|², |y|² and xᵀy, so that little is left to cancel for a far point.
#[inline(always)]
fn split<T: Scalar>(
    scale: T,
    pair: Pair<T>,
    squared: T,
    [of_shorter, of_longer]: [T; 2],
    [by_distance, lost]: [T; 2],
) -> SpaceSlopes<T> {
    let zero = T::from_f64(0.0);
    let close = pair.squared < T::from_f64(0.5);
    let of_distance = if squared == zero { zero } else { of_longer * by_distance };
    SpaceSlopes {
        squared: if close { -scale * of_distance } else { zero },
        inner: if close { zero } else { scale * (of_distance + of_distance) },
        shorter: scale * if close { of_shorter } else { of_shorter - of_distance },
        longer: scale * of_longer * if close { T::from_f64(1.0) } else { lost },
        shape: zero,
    }
}

/// The law of fractional Brownian motion.
#[derive(Clone, Copy)]
pub(super) struct Fractional<T> {
    variance: T,
    hurst: T,
    /// p
    twice: T,
    /// ε
    excess: T,
    /// H − 1
    less_one: T,
    in_double: f64,
}

impl<T: Scalar> Fractional<T> {
    pub(super) fn new(variance: f64, hurst: f64) -> Self {
        Self {
            variance: T::from_f64(variance),
            hurst: T::from_f64(hurst),
            twice: T::from_f64(2.0 * hurst),
            excess: T::from_f64(2.0 * hurst - 1.0),
            less_one: T::from_f64(hurst - 1.0),
            in_double: hurst,
        }
    }

    /// Whether t is so small that t² is nothing beside it.
    #[inline(always)]
    fn is_tiny(ratio: T) -> bool {
        ratio < T::epsilon() * T::from_f64(1.0 / 256.0)
    }

    /// t mᵖ = l mᵋ
    #[inline(always)]
    fn base(shorter: Point<T>, longer: Point<T>, pair: Pair<T>) -> T {
        if Self::is_tiny(pair.ratio) {
            shorter.length * (over(longer.root, longer.length) * longer.root)
        } else {
            (pair.ratio * longer.root) * longer.root
        }
    }

    /// log t, for ε log t and expm1 of it.
    #[inline(always)]
    fn log_ratio<const FMA: bool>(shorter: Point<T>, longer: Point<T>, pair: Pair<T>) -> T {
        if Self::is_tiny(pair.ratio) { shorter.log - longer.log } else { pair.ratio.lane_ln::<FMA>() }
    }
}

impl<T: Scalar> Law<T> for Fractional<T> {
    fn root(self, length: T) -> T {
        T::from_f64(length.as_f64().powf(self.in_double))
    }

    #[inline(always)]
    fn value<const FMA: bool, const LINE: bool>(self, shorter: Point<T>, longer: Point<T>, pair: Pair<T>) -> T {
        let (one, half) = (T::from_f64(1.0), T::from_f64(0.5));
        let (tiny, wide) = (Self::is_tiny(pair.ratio), pair.versine < half);
        let base = Self::base(shorter, longer, pair);
        let power = shorter.root * shorter.root;
        // By mᵖ, in two steps.
        let scaled = |factor: T| (factor * longer.root) * longer.root;

        let log_outer = pair.ratio.lane_ln_1p::<FMA>();
        let exponent = if wide { self.excess * log_outer } else { self.hurst * pair.log_squared::<FMA>() };
        let change = exponent.lane_exp_m1::<FMA>();

        let lost = if tiny { -self.twice * pair.cosine * base } else { scaled(change) };
        let narrow = power - lost;

        let rise = self.excess * Self::log_ratio::<FMA>(shorter, longer, pair);
        let apart = Float::abs(rise) > half;
        let inner = if apart { power - base } else { base * rise.lane_exp_m1::<FMA>() };
        let outer = if tiny { self.excess * base } else { scaled((one + pair.ratio) * change) };
        let opened = if LINE {
            inner - outer
        } else {
            let sum = one + pair.ratio;
            let angle = (pair.ratio + pair.ratio) * pair.versine / (sum * sum);
            let bend = (self.hurst * (-angle).lane_ln_1p::<FMA>()).lane_exp_m1::<FMA>();
            let bent = if tiny { -self.twice * pair.versine * base } else { scaled(sum * (one + change) * bend) };
            inner - outer - bent
        };
        half * self.variance * if wide { opened } else { narrow }
    }

    // σ²H (sgn x |x|ᵋ − sgn(x − y) |x − y|ᵋ), with the part of |x − y|ᵋ that differs from mᵋ apart.
    #[inline(always)]
    fn line_slopes<const FMA: bool>(
        self,
        shorter: Point<T>,
        longer: Point<T>,
        pair: Pair<T>,
        value: T,
    ) -> LineSlopes<T> {
        let (zero, one, half) = (T::from_f64(0.0), T::from_f64(1.0), T::from_f64(0.5));
        let (tiny, opposite) = (Self::is_tiny(pair.ratio), pair.versine == zero);
        let inverse = over(longer.root, longer.length);
        let (of_longer, of_shorter) = (inverse * longer.root, over(shorter.root, shorter.length) * shorter.root);

        // log(|x − y|/m), which is −∞ for equal points.
        let log = half * pair.log_squared::<FMA>();
        let change = (self.excess * log).lane_exp_m1::<FMA>();
        let change = if pair.squared == zero { -one } else { change };
        // In this order nothing on the way is smaller than the result.
        let first_order = self.excess * (inverse * (inverse * shorter.length));
        let first_order = if opposite { first_order } else { -first_order };
        let drift = if tiny { first_order } else { of_longer * change };

        let log_ratio = Self::log_ratio::<FMA>(shorter, longer, pair);
        let rise = self.excess * log_ratio;
        let near = of_longer * rise.lane_exp_m1::<FMA>() - drift;
        let across = if Float::abs(rise) > half { of_shorter - (of_longer + drift) } else { near };
        let same_side = of_shorter + (of_longer + drift);

        let scale = self.variance * self.hurst;
        LineSlopes {
            shorter: scale * if opposite { across } else { same_side },
            longer: -scale * drift,
            shape: self.in_hurst::<FMA>(shorter, longer, pair, log, value),
        }
    }

    #[inline(always)]
    fn space_slopes<const FMA: bool>(
        self,
        shorter: Point<T>,
        longer: Point<T>,
        pair: Pair<T>,
        squared: T,
        value: T,
    ) -> SpaceSlopes<T> {
        let (one, half) = (T::from_f64(1.0), T::from_f64(0.5));
        let log = pair.log_squared::<FMA>();
        let change = (self.less_one * log).lane_exp_m1::<FMA>();
        let own = [shorter, longer].map(|point| {
            let inverse = over(point.root, point.length);
            inverse * inverse
        });
        let slopes = split(half * self.variance * self.hurst, pair, squared, own, [one + change, -change]);
        SpaceSlopes { shape: self.in_hurst::<FMA>(shorter, longer, pair, half * log, value), ..slopes }
    }
}

impl<T: Scalar> Fractional<T> {
    /// dk/dH = 2k log m + σ² (lᵖ log t − |x − y|ᵖ log(|x − y|/m)), given the last logarithm.
    #[inline(always)]
    fn in_hurst<const FMA: bool>(self, shorter: Point<T>, longer: Point<T>, pair: Pair<T>, log: T, value: T) -> T {
        let zero = T::from_f64(0.0);
        let power = (self.twice * log).lane_exp::<FMA>();
        let of_distance = if Self::is_tiny(pair.ratio) {
            -pair.cosine * Self::base(shorter, longer, pair)
        } else {
            (power * log * longer.root) * longer.root
        };
        let of_distance = if pair.squared == zero { zero } else { of_distance };
        let of_shorter = shorter.root * shorter.root * (shorter.log - longer.log);
        (value + value) * longer.log + self.variance * (of_shorter - of_distance)
    }
}
