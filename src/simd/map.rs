//! Functions of several slices, number by number.

use pulp::{Simd, WithSimd};

use super::lanes::{Lanes, MOST, Many};
use super::sum::by_halves;
use super::vector::Vector;
use crate::Scalar;

/// Registers at a time.
const TOGETHER: usize = 4;

/// `OUT` functions of `IN` numbers, and `SUMS` terms of sums.
pub(crate) trait Map<T: Scalar, const IN: usize, const OUT: usize, const SUMS: usize>: Copy {
    /// Whether values are added to what is in the outputs.
    const ONTO: bool = false;

    /// The values and the terms. Free of branches, and `#[inline(always)]`.
    fn map<L: Lanes<T>>(self, input: [L; IN]) -> ([L; OUT], [L; SUMS]);
}

/// Fills the outputs, each of the length of the inputs, or empty if nobody wants it, and returns the sums: the same bits
/// whatever the registers.
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
                if output.is_empty() {
                    continue;
                }
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
        for (output, last) in output.into_iter().zip(&last_out).filter(|(output, _)| !output.is_empty()) {
            for (out, &last) in output[whole..total].iter_mut().zip(last) {
                *out = if F::ONTO { *out + last } else { last };
            }
        }
        slots.map(by_halves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::under_each;

    #[derive(Clone, Copy)]
    struct Onto;

    impl<T: Scalar> Map<T, 2, 2, 2> for Onto {
        const ONTO: bool = true;

        #[inline(always)]
        fn map<L: Lanes<T>>(self, [x, y]: [L; 2]) -> ([L; 2], [L; 2]) {
            // Not 0 at 0: what fills the last step up must not reach the sums.
            ([x + y, x * y], [x + 1.0, (y + 1.0).recip()])
        }
    }

    #[derive(Clone)]
    struct Run<T>(Vec<T>, Vec<T>, bool);

    impl<T: Scalar> WithSimd for Run<T> {
        type Output = (Vec<T>, Vec<T>, [T; 2]);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let Self(x, y, wanted) = self;
            let mut first = vec![T::from_f64(0.5); x.len()];
            let mut second = if wanted { first.clone() } else { Vec::new() };
            let apply = Apply { function: Onto, input: [&x, &y], output: [&mut first, &mut second] };
            let sums = apply.with_simd(simd);
            (first, second, sums)
        }
    }

    fn check<T: Scalar>() {
        for len in [0, 1, 7, 16, 31, 32, 33, 64, 127, 128, 129, 300] {
            let x: Vec<T> = (0..len).map(|i| T::from_f64((i as f64 * 0.37).sin())).collect();
            let y: Vec<T> = (0..len).map(|i| T::from_f64((i as f64 * 0.73).cos().abs())).collect();
            for wanted in [true, false] {
                let found = under_each(Run(x.clone(), y.clone(), wanted));
                for (first, second, sums) in &found {
                    for index in 0..len {
                        assert_eq!(first[index], T::from_f64(0.5) + (x[index] + y[index]));
                        assert!(!wanted || second[index] == T::from_f64(0.5) + x[index] * y[index]);
                    }
                    let exact = [
                        x.iter().map(|x| x.as_f64() + 1.0).sum::<f64>(),
                        y.iter().map(|y| 1.0 / (y.as_f64() + 1.0)).sum::<f64>(),
                    ];
                    let epsilon = <T as num_traits::Float>::epsilon().as_f64();
                    for (sum, exact) in sums.iter().zip(exact) {
                        assert!((sum.as_f64() - exact).abs() <= 16.0 * epsilon * (1.0 + len as f64), "{len}");
                    }
                }
                assert!(found.iter().all(|(_, _, sums)| *sums == found[0].2), "{len}");
            }
        }
    }

    #[test]
    fn values_and_sums_of_any_length_under_any_instruction_set() {
        check::<f32>();
        check::<f64>();
    }
}
