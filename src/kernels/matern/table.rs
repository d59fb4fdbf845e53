//! Functions of s by piecewise polynomials, for the Matérn kernel of any smoothness.
//!
//! The kernel falls off as exp(−ν (w − 1 − log((1 + w)/2))), w = √(1 + 2s/ν), uniformly in ν (Debye's expansion of the
//! Bessel function): [`decay`]. Divided by that, the kernel and its derivatives are analytic and vary slowly, up to the
//! branch point s = 0. On an eighth of an octave of s, whose ends lie 17 times as far from 0 as from its middle,
//! polynomials of degree 11 leave an error of 34⁻¹²: less than rounding. They are made from sums that are as good
//! relative to the function where it is 10⁻³⁰⁰, so that entries are, too.

use std::sync::{Arc, Mutex, PoisonError};

use super::mixture::decay;
use crate::Scalar;
use crate::simd::{LANES, Pass, dispatch};

/// Coefficients of a polynomial.
const TERMS: usize = 12;
/// Elements that are looked up together.
const BLOCK: usize = 64;
/// Pieces of an octave, by the first bits of the fraction.
const PIECES: usize = 8;
/// Fraction bits of `f64` that are left to the place within a piece.
const WITHIN: u32 = 49;
/// The octaves that pieces are made for: beyond, there are few entries, or the kernel has vanished.
const OCTAVES: std::ops::Range<i32> = -100..40;

/// Whether s has a piece, or is 0, which has none but a known value.
#[inline(always)]
fn is_covered(s: f64) -> bool {
    // NaN has every value.
    !(s > 0.0 && s < 2f64.powi(OCTAVES.start) || s >= 2f64.powi(OCTAVES.end))
}

/// N functions of s for one ν.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    nu: f64,
    /// The first octave, and the pieces of all that follow.
    first: i32,
    pieces: Vec<[[f64; TERMS]; N]>,
}

impl<const N: usize> Table<N> {
    fn octaves(&self) -> std::ops::Range<i32> {
        self.first..self.first + (self.pieces.len() / PIECES) as i32
    }

    /// Hands on the functions at every element of s that is covered, by its place; what they are at others, and at 0,
    /// is undefined.
    #[inline(always)]
    pub(super) fn each<T: Scalar, const FMA: bool>(&self, s: &[T], mut out: [&mut [T]; N]) {
        let first = ((self.first + 1023) as u64) << (52 - WITHIN);
        let (mut indices, mut places, mut factors) = ([0u64; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
        for (block, s) in s.chunks(BLOCK).enumerate() {
            let lanes = indices.iter_mut().zip(&mut places).zip(&mut factors);
            for (((index, place), factor), s) in lanes.zip(s) {
                let bits = s.as_f64().to_bits();
                *index = (bits >> WITHIN).wrapping_sub(first);
                let fraction = f64::from_bits((bits << (52 - WITHIN)) & 0x000F_FFFF_FFFF_FFFF | 1023 << 52);
                *place = fraction.lane_mul_add::<FMA>(2.0, -3.0);
                *factor = (-decay::<FMA>(s.as_f64(), self.nu)).lane_exp::<FMA>();
            }
            // By itself, because the coefficients are all over the table.
            for row in 0..s.len() {
                let Some(piece) = self.pieces.get(indices[row] as usize) else { continue };
                let (t, square) = (places[row], places[row] * places[row]);
                for (out, c) in out.iter_mut().zip(piece) {
                    let mut sum = c[TERMS - 1].lane_mul_add::<FMA>(t, c[TERMS - 2]);
                    for pair in (0..TERMS / 2 - 1).rev() {
                        sum = sum.lane_mul_add::<FMA>(square, c[2 * pair + 1].lane_mul_add::<FMA>(t, c[2 * pair]));
                    }
                    out[block * BLOCK + row] = T::from_f64(factors[row] * sum);
                }
            }
        }
    }
}

/// The polynomial through the values at the Chebyshev points, of which the first belongs to the largest
/// argument.
fn interpolate(values: &[f64]) -> [f64; TERMS] {
    let count = TERMS as f64;
    let chebyshev = |k: usize| {
        let angle = |j: usize| std::f64::consts::PI * k as f64 * (j as f64 + 0.5) / count;
        let sum: f64 = values.iter().enumerate().map(|(j, value)| value * angle(j).cos()).sum();
        sum * if k == 0 { 1.0 } else { 2.0 } / count
    };
    // Σ c_k T_k by T_{k+1} = 2 t T_k − T_{k−1}.
    let (mut before, mut this) = ([0.0; TERMS], [0.0; TERMS]);
    this[0] = 1.0;
    let mut made = [0.0; TERMS];
    for k in 0..TERMS {
        let c = chebyshev(k);
        made.iter_mut().zip(this).for_each(|(sum, coefficient)| *sum += c * coefficient);
        let factor = if k == 0 { 1.0 } else { 2.0 };
        let mut next = before.map(|coefficient: f64| -coefficient);
        for power in 1..TERMS {
            next[power] += factor * this[power - 1];
        }
        (before, this) = (this, next);
    }
    made
}

/// A table that grows by the octaves that are asked for. A clone shares what has been made.
#[derive(Debug, Default)]
pub(super) struct Cache<const N: usize>(Mutex<Option<Arc<Table<N>>>>);

impl<const N: usize> Clone for Cache<N> {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

/// What has been made is no part of a kernel's value.
impl<const N: usize> PartialEq for Cache<N> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<const N: usize> Cache<N> {
    /// A table for all elements of s that are covered, given what computes the functions, times exp(decay), on an octave.
    ///
    /// A piece depends on ν alone: in which order they are made, and on how many threads, changes no bit.
    pub(super) fn table<T: Scalar>(
        &self,
        nu: f64,
        s: &[T],
        compute: impl Fn(&[f64], [&mut [f64]; N]),
    ) -> Arc<Table<N>> {
        let needed = needed_octaves(s);
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = slot.take().filter(|table| table.nu == nu);
        let table = match old {
            Some(table) if table.octaves().start <= needed.start && needed.end <= table.octaves().end => table,
            Some(table) => {
                let (start, end) = (table.octaves().start, table.octaves().end);
                let mut pieces = make(needed.start..start.max(needed.start), &compute);
                pieces.extend_from_slice(&table.pieces);
                pieces.extend(make(end..needed.end.max(end), &compute));
                Arc::new(Table { nu, first: start.min(needed.start), pieces })
            }
            None => Arc::new(Table { nu, first: needed.start, pieces: make(needed, &compute) }),
        };
        *slot = Some(Arc::clone(&table));
        table
    }
}

/// The octaves with elements of s; at least one.
fn needed_octaves<T: Scalar>(s: &[T]) -> std::ops::Range<i32> {
    let (lowest, highest) = dispatch(Extent(s));
    let octave = |s: f64| ((s.to_bits() >> 52) as i32 - 1023).clamp(OCTAVES.start, OCTAVES.end - 1);
    if lowest > highest {
        return 0..1;
    }
    octave(lowest)..octave(highest) + 1
}

/// The smallest and the largest positive element.
struct Extent<'a, T>(&'a [T]);

impl<T: Scalar> Pass for Extent<'_, T> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run<const FMA: bool>(self) -> (f64, f64) {
        let zero = T::from_f64(0.0);
        let (mut lowest, mut highest) = ([<T as num_traits::Float>::max_value(); LANES], [zero; LANES]);
        let (whole, rest) = self.0.as_chunks::<LANES>();
        for part in whole {
            for lane in 0..LANES {
                let s = part[lane];
                lowest[lane] = if s > zero && s < lowest[lane] { s } else { lowest[lane] };
                highest[lane] = if s > highest[lane] { s } else { highest[lane] };
            }
        }
        for &s in rest {
            lowest[0] = if s > zero && s < lowest[0] { s } else { lowest[0] };
            highest[0] = if s > highest[0] { s } else { highest[0] };
        }
        let lowest = lowest.into_iter().reduce(|a, b| if b < a { b } else { a }).unwrap_or(zero);
        let highest = highest.into_iter().reduce(|a, b| if b > a { b } else { a }).unwrap_or(zero);
        (lowest.as_f64(), highest.as_f64())
    }
}

/// The pieces of some octaves, which may be none.
fn make<const N: usize>(
    octaves: std::ops::Range<i32>,
    compute: &impl Fn(&[f64], [&mut [f64]; N]),
) -> Vec<[[f64; TERMS]; N]> {
    let mut pieces = Vec::with_capacity(octaves.len() * PIECES);
    let mut values = [(); N].map(|()| vec![0.0; PIECES * TERMS]);
    for octave in octaves {
        let place = |at: usize| {
            let (piece, point) = ((at / TERMS) as f64, (at % TERMS) as f64);
            let t = (std::f64::consts::PI * (point + 0.5) / TERMS as f64).cos();
            2f64.powi(octave) * (1.0 + (piece + 0.5 * (t + 1.0)) / PIECES as f64)
        };
        let s: Vec<f64> = (0..PIECES * TERMS).map(place).collect();
        compute(&s, values.each_mut().map(Vec::as_mut_slice));
        for piece in 0..PIECES {
            pieces.push(values.each_ref().map(|values| interpolate(&values[piece * TERMS..][..TERMS])));
        }
    }
    pieces
}

/// The places of the elements that have no piece.
pub(super) fn uncovered<T: Scalar>(s: &[T]) -> impl Iterator<Item = usize> {
    let (lowest, highest) = dispatch(Extent(s));
    let all = lowest > highest || is_covered(lowest) && is_covered(highest);
    let searched = if all { 0 } else { s.len() };
    s[..searched].iter().enumerate().filter(|(_, s)| !is_covered(s.as_f64())).map(|(place, _)| place)
}
