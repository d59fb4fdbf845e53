//! Functions of several slices, number by number.

use pulp::{Simd, WithSimd};

use super::lanes::{Lanes, MOST, Many};
use super::vector::Vector;
use crate::Scalar;

/// Registers at a time.
const TOGETHER: usize = 8;

/// `OUT` functions of `IN` numbers, and `SUMS` terms of sums.
pub(crate) trait Map<T: Scalar, const IN: usize, const OUT: usize, const SUMS: usize>: Copy {
    /// Whether values are added to what is in the outputs.
    const ONTO: bool = false;

    /// The values and the terms. Free of branches, and `#[inline(always)]`.
    fn map<L: Lanes<T>>(self, input: [L; IN]) -> ([L; OUT], [L; SUMS]);
}

/// Fills the outputs, all of the length of the inputs, and returns the sums: the same bits whatever the registers.
pub(crate) fn map<T: Scalar, F, const IN: usize, const OUT: usize, const SUMS: usize>(
    function: F,
    input: [&[T]; IN],
    output: [&mut [T]; OUT],
) -> [T; SUMS]
where
    F: Map<T, IN, OUT, SUMS>,
{
    super::with_simd(Apply { function, input, output })
}

struct Apply<'a, T, F, const IN: usize, const OUT: usize, const SUMS: usize> {
    function: F,
    input: [&'a [T]; IN],
    output: [&'a mut [T]; OUT],
}

impl<T: Scalar, F, const IN: usize, const OUT: usize, const SUMS: usize> WithSimd for Apply<'_, T, F, IN, OUT, SUMS>
where
    F: Map<T, IN, OUT, SUMS>,
{
    type Output = [T; SUMS];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [T; SUMS] {
        let Self { function, input, mut output } = self;
        let zero = T::from_f64(0.0);
        let lanes = Many([T::Vector::<S>::splat(simd, zero); TOGETHER]);
        let len = Many::<T::Vector<S>, TOGETHER>::LEN;
        let (total, rest) = (input[0].len(), input[0].len() % len);
        let whole = total - rest;
        // The rest is filled up to a whole step.
        let (mut last_in, mut last_out) = ([[zero; MOST]; IN], [[zero; MOST]; OUT]);
        for (last, input) in last_in.iter_mut().zip(&input) {
            last[..rest].copy_from_slice(&input[whole..total]);
        }
        let mut slots = [[zero; MOST]; SUMS];
        for start in (0..total).step_by(len) {
            let mut arguments = [lanes; IN];
            for (argument, (input, last)) in arguments.iter_mut().zip(input.iter().zip(&last_in)) {
                *argument = argument.read(if start < whole { &input[start..start + len] } else { &last[..len] });
            }
            let (values, terms) = function.map(arguments);
            for (value, (output, last)) in values.into_iter().zip(output.iter_mut().zip(&mut last_out)) {
                let out = if start < whole { &mut output[start..start + len] } else { &mut last[..len] };
                (if F::ONTO { value + value.read(out) } else { value }).write(out);
            }
            // In slots that do not depend on the width of the registers.
            for (term, slots) in terms.into_iter().zip(&mut slots) {
                let slots = &mut slots[start % MOST..][..len];
                if start < whole {
                    (term + term.read(slots)).write(slots);
                } else {
                    let mut terms = [zero; MOST];
                    term.write(&mut terms[..len]);
                    slots.iter_mut().zip(&terms[..rest]).for_each(|(slot, term)| *slot += *term);
                }
            }
        }
        for (output, last) in output.into_iter().zip(&last_out) {
            for (out, &last) in output[whole..total].iter_mut().zip(last) {
                *out = if F::ONTO { *out + last } else { last };
            }
        }
        let mut sums = [zero; SUMS];
        for (sum, slots) in sums.iter_mut().zip(&slots) {
            *sum = pairwise(slots);
        }
        sums
    }
}

/// Sums halves until one number is left.
#[inline(always)]
fn pairwise<T: Scalar>(slots: &[T; MOST]) -> T {
    let (mut slots, mut len) = (*slots, MOST);
    while len > 1 {
        len /= 2;
        for index in 0..len {
            slots[index] += slots[index + len];
        }
    }
    slots[0]
}
