//! One step of the nested construction: the harmonics in k dimensions from those in k − 1.
//!
//! With y = (x₁, …, x_{k−1}) and ρ² = |x|², a harmonic of degree l is
//!
//! H_{l,m,i}(x) = Q_{l,m}(x_k, ρ²) H_{m,i}(y), m ≤ l,
//!
//! where H_{m,i} is one of degree m in a dimension less and Q_{l,m} = ρⁿ p_n^λ(x_k/ρ), with n = l − m and
//! λ = m + α, α = (k − 2)/2, p_n^λ being the Gegenbauer polynomial Cₙ^λ normalised to
//! ∫ p² (1 − t²)^{λ−½} dt = 1. Everything is a polynomial in the coordinates: there is no angle, no
//! division by a sine, nothing special about the poles. The recurrence is
//!
//! b_{n+1} Q_{n+1} = x_k Q_n − b_n ρ² Q_{n−1}, b_n² = n (n + 2λ − 1)/(4 (n + λ) (n + λ − 1)),
//!
//! Q₀² = Γ(λ + 1)/(√π Γ(λ + ½)), and, because (d/dt) Cₙ^λ = 2λ C_{n−1}^{λ+1},
//!
//! ∂Q_{l,m}/∂x_k = √(n (n + 2λ)) Q_{l,m+1},
//! ∂Q_{l,m}/∂ρ² = −½ √(n (n − 1) (n + λ)/(n + λ − 1)) Q_{l−1,m+1}.

use std::ops::Range;

use super::measure::{area, harmonics_of_degree};
use crate::Scalar;

/// Points that are taken through the recurrences together.
pub(super) const WIDTH: usize = 8;

/// A number for each of some points.
pub(super) type Lanes = [f64; WIDTH];

/// a · b + c
#[inline(always)]
pub(super) fn mul_add<const FMA: bool>(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane].lane_mul_add::<FMA>(b[lane], c[lane]))
}

/// a · b
#[inline(always)]
pub(super) fn times(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane] * b[lane])
}

/// A harmonic: the product of a polar factor and a harmonic of the level below.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    polar: usize,
    lower: usize,
}

/// One polar factor Q_{l,m}, with what the recurrence needs to reach it and its derivatives.
#[derive(Clone, Copy, Debug)]
struct Polar {
    /// 1/b_n; for n = 0 the value itself.
    step: f64,
    /// b_{n−1}/b_n
    back: f64,
    /// The factor of ∂/∂x_k.
    in_x: f64,
    /// The factor of ∂/∂ρ².
    in_squared: f64,
}

/// The level of k ≥ 3 dimensions.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// k
    dim: usize,
    /// The highest degree.
    degree: usize,
    /// The highest order m.
    order: usize,
    /// By order, and within it by degree.
    polars: Vec<Polar>,
    /// The harmonics kept, in order.
    pub(super) terms: Vec<Term>,
    /// How many harmonics of the level below are read, from the first on.
    lower: usize,
}

impl Level {
    /// The level of so many dimensions that keeps, of each degree, a range of its harmonics.
    pub(super) fn new(dim: usize, kept: &[Range<usize>]) -> Self {
        let highest = kept.len().saturating_sub(1);
        let mut firsts = vec![0usize];
        for order in 0..=highest {
            let count = harmonics_of_degree(dim - 1, order).unwrap_or(usize::MAX);
            firsts.push(firsts[order].saturating_add(count));
        }
        let (mut orders, mut lowers, mut terms) = (0, 0, Vec::new());
        for (degree, kept) in kept.iter().enumerate() {
            for index in kept.clone() {
                let (order, lower) = source(dim, degree, index, &firsts);
                orders = orders.max(order);
                lowers = lowers.max(lower + 1);
                terms.push(Term { polar: place(highest, order, degree), lower });
            }
        }
        // The derivatives read one order more.
        let order = (orders + 1).min(highest);
        Self { dim, degree: highest, order, polars: polars(dim, highest, order), terms, lower: lowers }
    }

    /// What the level below has to keep of each degree, for those of its harmonics that are read.
    pub(super) fn kept_below(&self) -> Vec<Range<usize>> {
        let (mut left, mut kept) = (self.lower, Vec::new());
        while left > 0 {
            let count = harmonics_of_degree(self.dim - 1, kept.len()).unwrap_or(left);
            kept.push(0..count.min(left));
            left -= count.min(left);
        }
        kept
    }

    /// The number of polar factors.
    pub(super) fn polar_len(&self) -> usize {
        self.polars.len()
    }

    /// Fills `out` with the polar factors Q_{l,m}, times a scale.
    #[inline(always)]
    pub(super) fn polar_factors<const FMA: bool>(&self, x: Lanes, squared: Lanes, scale: f64, out: &mut [Lanes]) {
        let mut first = 0;
        for order in 0..=self.order {
            let len = self.degree + 1 - order;
            let (mut before, mut value) = ([0.0; WIDTH], [self.polars[first].step * scale; WIDTH]);
            out[first] = value;
            for (polar, out) in self.polars[first + 1..first + len].iter().zip(&mut out[first + 1..first + len]) {
                let turned = x.map(|x| x * polar.step);
                let damped = squared.map(|squared| -polar.back * squared);
                (before, value) = (value, mul_add::<FMA>(turned, value, times(damped, before)));
                *out = value;
            }
            first += len;
        }
    }

    /// Fills `out` with the harmonics, from the polar factors and the harmonics of the level below.
    #[inline(always)]
    pub(super) fn values(&self, polar: &[Lanes], lower: &[Lanes], out: &mut [Lanes]) {
        for (term, out) in self.terms.iter().zip(out) {
            *out = times(polar[term.polar], lower[term.lower]);
        }
    }

    /// From the cotangents of the harmonics: adds to those of the level below, and returns the gradients in
    /// x_k and in ρ².
    #[inline(always)]
    pub(super) fn backward<const FMA: bool>(
        &self,
        polar: &[Lanes],
        lower: &[Lanes],
        cotangent: &[Lanes],
        in_polar: &mut [Lanes],
        in_lower: &mut [Lanes],
    ) -> (Lanes, Lanes) {
        in_polar.fill([0.0; WIDTH]);
        for (term, &c) in self.terms.iter().zip(cotangent) {
            in_lower[term.lower] = mul_add::<FMA>(c, polar[term.polar], in_lower[term.lower]);
            in_polar[term.polar] = mul_add::<FMA>(c, lower[term.lower], in_polar[term.polar]);
        }
        let (mut in_x, mut in_squared) = ([0.0; WIDTH], [0.0; WIDTH]);
        let mut first = 0;
        for order in 0..self.order {
            let len = self.degree + 1 - order;
            // Q_{l,m+1}, from l = m + 1 on.
            let next = &polar[first + len..first + 2 * len - 1];
            for index in 1..len {
                let (of, c) = (self.polars[first + index], in_polar[first + index]);
                in_x = mul_add::<FMA>(c, next[index - 1].map(|q| q * of.in_x), in_x);
                if index > 1 {
                    in_squared = mul_add::<FMA>(c, next[index - 2].map(|q| q * of.in_squared), in_squared);
                }
            }
            first += len;
        }
        (in_x, in_squared)
    }
}

/// Where Q_{l,m} is kept.
fn place(highest: usize, order: usize, degree: usize) -> usize {
    // Σ (highest + 1 − m) over the orders before.
    order * (highest + 1) - order * order.saturating_sub(1) / 2 + degree - order
}

/// The order m, and the index in the level below, of a harmonic given by its degree and its index within the
/// degree. On the sphere in three dimensions they stand by m = −l, …, l, the sines first; above, as those
/// of the level below, of which a degree takes all up to its own.
fn source(dim: usize, degree: usize, index: usize, firsts: &[usize]) -> (usize, usize) {
    if dim == 3 {
        let order = index.abs_diff(degree);
        let lower = if index < degree { 2 * order - 1 } else { 2 * order };
        return (order, lower);
    }
    (firsts.partition_point(|&first| first <= index) - 1, index)
}

fn polars(dim: usize, highest: usize, orders: usize) -> Vec<Polar> {
    let alpha = (dim as f64 - 2.0) / 2.0;
    let squared_coefficient =
        |n: f64, lambda: f64| n * (n + 2.0 * lambda - 1.0) / (4.0 * (n + lambda) * (n + lambda - 1.0));
    let mut polars = Vec::new();
    // For m = 0, Γ(λ + 1)/(√π Γ(λ + ½)) is the ratio of two areas.
    let mut start = area(dim - 1) / area(dim);
    for order in 0..=orders {
        let lambda = order as f64 + alpha;
        for degree in order..=highest {
            let n = (degree - order) as f64;
            let (step, back) = match degree - order {
                0 => (start.sqrt(), 0.0),
                1 => (1.0 / squared_coefficient(n, lambda).sqrt(), 0.0),
                _ => {
                    let now = squared_coefficient(n, lambda);
                    (1.0 / now.sqrt(), (squared_coefficient(n - 1.0, lambda) / now).sqrt())
                }
            };
            let in_x = (n * (n + 2.0 * lambda)).sqrt();
            let in_squared =
                if n > 1.0 { -0.5 * (n * (n - 1.0) * (n + lambda) / (n + lambda - 1.0)).sqrt() } else { 0.0 };
            polars.push(Polar { step, back, in_x, in_squared });
        }
        start *= (lambda + 1.0) / (lambda + 0.5);
    }
    polars
}
