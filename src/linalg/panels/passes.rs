//! The passes.

use std::ops::Range;

use super::{Coefficients, Layout, Pass, QUAD, Rows, RowsMut, Use};
use crate::Scalar;
use crate::simd::lanes::Lanes;

/// Σ_k in_k c_kj for four outputs j, with the coefficients of an input `stride` after those of the one before.
#[inline(always)]
pub(super) fn dots<T: Scalar, L: Lanes<T>>(zero: L, inputs: &[T], coefficients: &[T], stride: usize) -> [L; QUAD] {
    let mut sums = [zero; QUAD];
    for (input, coefficients) in inputs.chunks_exact(L::LEN).zip(coefficients.chunks(stride)) {
        let (input, coefficients) = (zero.read(input), &coefficients[..QUAD]);
        for (sum, &coefficient) in sums.iter_mut().zip(coefficients) {
            *sum = input.mul_add(zero.all(coefficient), *sum);
        }
    }
    sums
}

/// CX, or CᵀX, for the rows X of panels. Of panels that hold a square matrix the outputs above its diagonal are left as
/// they are, given the number of the first point: blocks of four rows and a panel alone are whole.
pub(crate) fn multiply<T: Scalar>(
    layout: Layout,
    c: &Coefficients<'_, T>,
    from: Rows<'_, T>,
    to: RowsMut<'_, T>,
    below: Option<usize>,
) {
    layout.run(Multiply { c, from, to, below });
}

struct Multiply<'a, 'c, T> {
    c: &'a Coefficients<'c, T>,
    from: Rows<'a, T>,
    to: RowsMut<'a, T>,
    below: Option<usize>,
}

impl<T: Scalar> Pass<T> for Multiply<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<T>>(self, zero: L) {
        let Self { c, from, to, below } = self;
        let width = L::LEN;
        // The coefficients of a quad stay in the first-level cache for all panels.
        for quad in 0..c.quads() {
            let (inputs, coefficients) = c.quad(quad);
            let inputs = (from.first + inputs.start) * width..(from.first + inputs.end) * width;
            let first = (to.first + quad * QUAD) * width;
            let panels = from.numbers.chunks_exact(from.of * width).zip(to.numbers.chunks_exact_mut(to.of * width));
            for (panel, (from, to)) in panels.enumerate() {
                if below.is_some_and(|first| first + panel * width >= (quad + 1) * QUAD) {
                    break;
                }
                let values = dots(zero, &from[inputs.clone()], coefficients, QUAD);
                for (value, out) in values.iter().zip(to[first..][..QUAD * width].chunks_exact_mut(width)) {
                    value.write(out);
                }
            }
        }
    }
}

/// L⁻¹X, or L⁻ᵀX, in place of the rows X of panels, filled up to whole quads. `below` as in [`multiply`], of L⁻ᵀX
/// alone.
pub(crate) fn solve<T: Scalar>(layout: Layout, l: &Coefficients<'_, T>, panels: RowsMut<'_, T>, below: Option<usize>) {
    debug_assert!(l.packing().wanted == Use::Solve);
    layout.run(Solve { l, panels, below });
}

struct Solve<'a, 'c, T> {
    l: &'a Coefficients<'c, T>,
    panels: RowsMut<'a, T>,
    below: Option<usize>,
}

impl<T: Scalar> Pass<T> for Solve<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<T>>(self, zero: L) {
        let Self { l, panels: RowsMut { numbers, of, first }, below } = self;
        let width = L::LEN;
        let (transposed, quads) = (l.packing().transposed, l.quads());
        for step in 0..quads {
            let quad = if transposed { quads - 1 - step } else { step };
            let ((_, coefficients), (own, reciprocals)) = (l.quad(quad), l.own(quad));
            let (above, here) = (first * width, (first + quad * QUAD) * width);
            // First what is known, for all panels. What is left takes one step after the other, of which those of several
            // panels go side by side.
            if !coefficients.is_empty() {
                for (panel, rows) in numbers.chunks_exact_mut(of * width).enumerate() {
                    if below.is_some_and(|first| first + panel * width >= (quad + 1) * QUAD) {
                        break;
                    }
                    let (before, rest) = rows.split_at_mut(here);
                    let (lines, after) = rest.split_at_mut(QUAD * width);
                    let known = if transposed { &*after } else { &before[above..] };
                    let values = dots(zero, known, coefficients, QUAD);
                    for (value, line) in values.iter().zip(lines.chunks_exact_mut(width)) {
                        (zero.read(line) - *value).write(line);
                    }
                }
            }
            for (panel, rows) in numbers.chunks_exact_mut(of * width).enumerate() {
                if below.is_some_and(|first| first + panel * width >= (quad + 1) * QUAD) {
                    break;
                }
                let lines = &mut rows[here..][..QUAD * width];
                let mut values = [zero; QUAD];
                for (value, line) in values.iter_mut().zip(lines.chunks_exact(width)) {
                    *value = zero.read(line);
                }
                if transposed {
                    eliminate::<_, _, 3, true>(zero, own, reciprocals, &mut values);
                    eliminate::<_, _, 2, true>(zero, own, reciprocals, &mut values);
                    eliminate::<_, _, 1, true>(zero, own, reciprocals, &mut values);
                    eliminate::<_, _, 0, true>(zero, own, reciprocals, &mut values);
                } else {
                    eliminate::<_, _, 0, false>(zero, own, reciprocals, &mut values);
                    eliminate::<_, _, 1, false>(zero, own, reciprocals, &mut values);
                    eliminate::<_, _, 2, false>(zero, own, reciprocals, &mut values);
                    eliminate::<_, _, 3, false>(zero, own, reciprocals, &mut values);
                }
                for (value, line) in values.iter().zip(lines.chunks_exact_mut(width)) {
                    value.write(line);
                }
            }
        }
    }
}

/// One step of a substitution within a quad. The compiler knows which: values that are looked up by a number stay in
/// memory.
#[inline(always)]
fn eliminate<T: Scalar, L: Lanes<T>, const AT: usize, const TRANSPOSED: bool>(
    zero: L,
    own: &[T],
    reciprocals: &[T],
    values: &mut [L; QUAD],
) {
    // A quotient to its last digit but one, which waits for less than a division.
    let (pivot, reciprocal) = (zero.all(-own[AT * QUAD + AT]), zero.all(reciprocals[AT]));
    let near = values[AT] * reciprocal;
    let value = near.mul_add(pivot, values[AT]).mul_add(reciprocal, near);
    values[AT] = value;
    for other in 0..QUAD {
        if if TRANSPOSED { other < AT } else { other > AT } {
            let entry = if TRANSPOSED { own[AT * QUAD + other] } else { own[other * QUAD + AT] };
            values[other] = value.mul_add(zero.all(-entry), values[other]);
        }
    }
}

/// A sum over rows j, for every point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sum<'a, T> {
    /// Σ x_j m_j
    Dots(&'a [T]),
    /// Σ (s_j x_j)², where factors s are given.
    Squares(Option<&'a [T]>),
}

/// Adds a sum over rows, which are whole quads, to a row of other panels.
pub(crate) fn add_sum<T: Scalar>(
    layout: Layout,
    sum: Sum<'_, T>,
    x: Rows<'_, T>,
    rows: usize,
    (out, row): (RowsMut<'_, T>, usize),
) {
    layout.run(AddSum { sum, x, rows, out, row });
}

struct AddSum<'a, T> {
    sum: Sum<'a, T>,
    x: Rows<'a, T>,
    rows: usize,
    out: RowsMut<'a, T>,
    row: usize,
}

impl<T: Scalar> AddSum<'_, T> {
    /// Σ_j term(x_j, j) of every panel: four sums in turn, so that none waits for the one before.
    #[inline(always)]
    fn each<L: Lanes<T>>(self, zero: L, term: impl Fn(L, usize, L) -> L) {
        let width = L::LEN;
        let Self { x, rows, out, row, .. } = self;
        for (numbers, out) in x.numbers.chunks_exact(x.of * width).zip(out.numbers.chunks_exact_mut(out.of * width)) {
            let mut sums = [zero; QUAD];
            let lines = &numbers[x.first * width..][..rows * width];
            for (quad, lines) in lines.chunks_exact(QUAD * width).enumerate() {
                for (n, (sum, line)) in sums.iter_mut().zip(lines.chunks_exact(width)).enumerate() {
                    *sum = term(zero.read(line), quad * QUAD + n, *sum);
                }
            }
            let out = &mut out[row * width..][..width];
            (zero.read(out) + ((sums[0] + sums[1]) + (sums[2] + sums[3]))).write(out);
        }
    }
}

impl<T: Scalar> Pass<T> for AddSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<T>>(self, zero: L) {
        match self.sum {
            Sum::Dots(weights) => self.each(zero, |x, j, sum| x.mul_add(zero.all(weights[j]), sum)),
            Sum::Squares(None) => self.each(zero, |x, _, sum| x.mul_add(x, sum)),
            Sum::Squares(Some(factors)) => self.each(zero, |x, j, sum| {
                let x = x * zero.all(factors[j]);
                x.mul_add(x, sum)
            }),
        }
    }
}

/// Rows, factors of them, and the row of what belongs to points.
type Scaled<'a, T> = (Rows<'a, T>, Option<&'a [T]>, usize);

/// A sum of products of what belongs to a row j and to a point b, times numbers of both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Combination<'a, T> {
    /// Whether it is added to what is there.
    pub(crate) onto: bool,
    /// 2 p_b x_jb, with a row of other panels for p.
    pub(crate) x: Option<(Rows<'a, T>, usize)>,
    /// 2 s_j² q_b a_jb, where factors s are given.
    pub(crate) a: Option<Scaled<'a, T>>,
    /// m_j g_b
    pub(crate) outer: Option<(&'a [T], usize)>,
    /// The panels of p, q and g.
    pub(crate) of_points: Rows<'a, T>,
}

impl<T> Combination<'_, T> {
    /// That of some panels.
    pub(crate) fn of_panels(self, layout: Layout, panels: Range<usize>) -> Self {
        Self {
            x: self.x.map(|(x, row)| (x.of_panels(layout, panels.clone()), row)),
            a: self.a.map(|(a, factors, row)| (a.of_panels(layout, panels.clone()), factors, row)),
            of_points: self.of_points.of_panels(layout, panels),
            ..self
        }
    }
}

/// Fills rows of panels with a combination.
pub(crate) fn combine<T: Scalar>(layout: Layout, combination: Combination<'_, T>, rows: usize, out: RowsMut<'_, T>) {
    layout.run(Combine { combination, rows, out });
}

struct Combine<'a, T> {
    combination: Combination<'a, T>,
    rows: usize,
    out: RowsMut<'a, T>,
}

/// The terms of a line of one panel: their numbers, and what belongs to the points.
struct Terms<'a, T, L> {
    x: (&'a [T], L),
    a: (&'a [T], Option<&'a [T]>, L),
    outer: (&'a [T], L),
}

impl<T: Scalar, L: Lanes<T>> Terms<'_, T, L> {
    /// Fills the lines of a panel. The compiler knows which terms there are: to ask at each line takes as long as the line.
    #[inline(always)]
    fn fill<const X: bool, const A: bool, const OUTER: bool>(&self, zero: L, onto: bool, out: &mut [T]) {
        let width = L::LEN;
        let Self { x: (x, p), a: (a, factors, q), outer: (m, g) } = *self;
        for (j, out) in out.chunks_exact_mut(width).enumerate() {
            let mut sum = if onto { zero.read(out) } else { zero };
            let mut of_a = zero;
            if A {
                let q = match factors {
                    Some(factors) => q * zero.all(factors[j]) * zero.all(factors[j]),
                    None => q,
                };
                of_a = zero.read(&a[j * width..][..width]) * q;
            }
            if X {
                // Each product is rounded, so that px − pa is 0 where x = a.
                let of_x = zero.read(&x[j * width..][..width]) * p;
                sum = sum + if A { of_x + of_a } else { of_x };
            } else if A {
                sum = sum + of_a;
            }
            if OUTER {
                sum = g.mul_add(zero.all(m[j]), sum);
            }
            sum.write(out);
        }
    }
}

impl<T: Scalar> Pass<T> for Combine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<T>>(self, zero: L) {
        let Self {
            combination: Combination { onto, x, a, outer, of_points },
            rows,
            out: RowsMut { numbers, of, first },
        } = self;
        let width = L::LEN;
        for (panel, out) in numbers.chunks_exact_mut(of * width).enumerate() {
            let out = &mut out[first * width..][..rows * width];
            let of_points = &of_points.numbers[panel * of_points.of * width..][..of_points.of * width];
            let mut terms = Terms { x: (&[], zero), a: (&[], None, zero), outer: (&[], zero) };
            if let Some((x, row)) = x {
                let once = zero.read(&of_points[row * width..][..width]);
                terms.x = (&x.numbers[(panel * x.of + x.first) * width..][..rows * width], once + once);
            }
            if let Some((a, factors, row)) = a {
                let once = zero.read(&of_points[row * width..][..width]);
                terms.a = (&a.numbers[(panel * a.of + a.first) * width..][..rows * width], factors, once + once);
            }
            if let Some((m, row)) = outer {
                terms.outer = (&m[..rows], zero.read(&of_points[row * width..][..width]));
            }
            match (x.is_some(), a.is_some(), outer.is_some()) {
                (true, true, true) => terms.fill::<true, true, true>(zero, onto, out),
                (true, true, false) => terms.fill::<true, true, false>(zero, onto, out),
                (true, false, true) => terms.fill::<true, false, true>(zero, onto, out),
                (true, false, false) => terms.fill::<true, false, false>(zero, onto, out),
                (false, true, true) => terms.fill::<false, true, true>(zero, onto, out),
                (false, true, false) => terms.fill::<false, true, false>(zero, onto, out),
                (false, false, true) => terms.fill::<false, false, true>(zero, onto, out),
                (false, false, false) => terms.fill::<false, false, false>(zero, onto, out),
            }
        }
    }
}
