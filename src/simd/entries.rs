//! Functions of the entries of a tile, of a number of their row and a number of their column.

use pulp::{Simd, WithSimd};

use super::lanes::{Lanes, Many};
use super::sum::by_halves;
use super::vector::Vector;
use crate::Scalar;

/// How many sums are kept apart, by the place in the line, so that they are the same whatever the registers: as many
/// as four of the widest have numbers.
const SLOTS: usize = 64;

/// A function of an entry, given `GIVEN` more numbers of its pair. It may have a term of the sum over its row and one
/// of that over its column (`MARGINS` is 1), and `SUMS` terms of sums over the tile.
pub(crate) trait OfEntry<T: Scalar, const GIVEN: usize, const MARGINS: usize, const SUMS: usize>: Copy {
    /// The value, the terms for row and column, and those for the tile, from the numbers of the row and the column.
    /// Free of branches, and `#[inline(always)]`.
    fn of<L: Lanes<T>>(self, entry: L, given: [L; GIVEN], features: [L; 2]) -> (L, [[L; 2]; MARGINS], [L; SUMS]);
}

/// A tile, by columns.
pub(crate) struct Entries<'a, T, const GIVEN: usize, const MARGINS: usize> {
    /// What the function is of, and what is replaced by its values.
    pub(crate) entries: &'a mut [T],
    /// Other tiles of the same shape.
    pub(crate) given: [&'a [T]; GIVEN],
    /// A number of each row and one of each column.
    pub(crate) features: [&'a [T]; 2],
    /// Sums over each row and over each column, to be added to.
    pub(crate) margins: [[&'a mut [T]; 2]; MARGINS],
}

impl<T: Scalar, const GIVEN: usize, const MARGINS: usize> Entries<'_, T, GIVEN, MARGINS> {
    /// Puts the values in place of the entries, and returns the sums over the tile: the same bits whatever the
    /// registers.
    pub(crate) fn replace<F, const SUMS: usize>(self, function: F) -> [T; SUMS]
    where
        F: OfEntry<T, GIVEN, MARGINS, SUMS>,
    {
        super::with_simd(Replace { function, tile: self })
    }
}

struct Replace<'a, T, F, const GIVEN: usize, const MARGINS: usize, const SUMS: usize> {
    function: F,
    tile: Entries<'a, T, GIVEN, MARGINS>,
}

impl<T: Scalar, F, const GIVEN: usize, const MARGINS: usize, const SUMS: usize> WithSimd
    for Replace<'_, T, F, GIVEN, MARGINS, SUMS>
where
    F: OfEntry<T, GIVEN, MARGINS, SUMS>,
{
    type Output = [T; SUMS];

    // Slopes keep so much that more than two registers of each number leave no room. For the rest of a line two of the
    // narrower registers are too few: numbers that go through memory (`Lanes::each`) would be computed one by one.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [T; SUMS] {
        let zero = T::Vector::<S>::splat(simd, T::from_f64(0.0));
        let (two, four) = (Many([zero; 2]), Many([zero; 4]));
        if MARGINS > 0 {
            self.run(two, two)
        } else if size_of::<T>() * T::Vector::<S>::LEN < 64 {
            self.run(four, four)
        } else {
            self.run(four, two)
        }
    }
}

impl<T: Scalar, F, const GIVEN: usize, const MARGINS: usize, const SUMS: usize> Replace<'_, T, F, GIVEN, MARGINS, SUMS>
where
    F: OfEntry<T, GIVEN, MARGINS, SUMS>,
{
    /// In steps of the lanes of `zero`, and of those of `of_rest` at the end of lines.
    #[inline(always)]
    fn run<L: Lanes<T>, R: Lanes<T>>(self, zero: L, of_rest: R) -> [T; SUMS] {
        let Self { function, tile: Entries { entries, given, features: [x, y], margins } } = self;
        // Lines are columns, or a single row: columns of one entry would fill no register.
        let is_row = x.len() == 1;
        let (along, across) = if is_row { (y, x) } else { (x, y) };
        let (len, whole) = (along.len(), along.len() - along.len() % L::LEN);
        let slots = [T::from_f64(0.0); SLOTS];
        let mut lines =
            Lines { entries, given, margins, along, is_row, in_line: [slots; MARGINS], sums: [slots; SUMS] };
        for (index, &across) in across.iter().enumerate() {
            for start in (0..whole).step_by(L::LEN) {
                lines.step(function, zero, (index, across), (start, L::LEN));
            }
            for start in (whole..len).step_by(R::LEN) {
                lines.step(function, of_rest, (index, across), (start, R::LEN.min(len - start)));
            }
            for (margin, slots) in lines.margins.iter_mut().zip(&mut lines.in_line) {
                margin[usize::from(!is_row)][index] += by_halves(std::mem::replace(slots, [T::from_f64(0.0); SLOTS]));
            }
        }
        let mut totals = [T::from_f64(0.0); SUMS];
        for (total, slots) in totals.iter_mut().zip(lines.sums) {
            *total = by_halves(slots);
        }
        totals
    }
}

/// A tile by its lines, and what has been summed.
struct Lines<'a, T, const GIVEN: usize, const MARGINS: usize, const SUMS: usize> {
    entries: &'a mut [T],
    given: [&'a [T]; GIVEN],
    margins: [[&'a mut [T]; 2]; MARGINS],
    /// The features along lines.
    along: &'a [T],
    is_row: bool,
    in_line: [[T; SLOTS]; MARGINS],
    sums: [[T; SLOTS]; SUMS],
}

impl<T: Scalar, const GIVEN: usize, const MARGINS: usize, const SUMS: usize> Lines<'_, T, GIVEN, MARGINS, SUMS> {
    /// So many entries of a line from one on: as many as `zero` has lanes, or less. `across` is the feature of the line.
    #[inline(always)]
    fn step<L: Lanes<T>, F: OfEntry<T, GIVEN, MARGINS, SUMS>>(
        &mut self,
        function: F,
        zero: L,
        (index, across): (usize, T),
        (start, count): (usize, usize),
    ) {
        let (first, slot, is_row) = (index * self.along.len() + start, start % SLOTS, self.is_row);
        let entries = &mut self.entries[first..][..count];
        let mut given = [zero; GIVEN];
        for (given, from) in given.iter_mut().zip(self.given) {
            *given = zero.read(&from[first..][..count]);
        }
        let (along, across) = (zero.read(&self.along[start..][..count]), zero.all(across));
        let features = if is_row { [across, along] } else { [along, across] };
        let (value, terms, of_tile) = function.of(zero.read(entries), given, features);
        value.write(entries);
        for (([of_row, of_col], margin), slots) in terms.into_iter().zip(&mut self.margins).zip(&mut self.in_line) {
            let (of_place, of_line) = if is_row { (of_col, of_row) } else { (of_row, of_col) };
            add(of_place, &mut margin[usize::from(is_row)][start..][..count]);
            add(of_line, &mut slots[slot..][..count]);
        }
        for (term, slots) in of_tile.into_iter().zip(&mut self.sums) {
            add(term, &mut slots[slot..][..count]);
        }
    }
}

/// Adds the first lanes to a slice, as many as it has room for.
#[inline(always)]
fn add<T: Scalar, L: Lanes<T>>(term: L, to: &mut [T]) {
    (term.read(to) + term).write(to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::under_each;

    /// Not 0 where all is 0: what fills a register up must not reach the sums.
    #[derive(Clone, Copy)]
    struct Sum;

    impl<T: Scalar> OfEntry<T, 1, 1, 2> for Sum {
        #[inline(always)]
        fn of<L: Lanes<T>>(self, entry: L, [given]: [L; 1], [x, y]: [L; 2]) -> (L, [[L; 2]; 1], [L; 2]) {
            let value = (entry + given) + (x + y * 2.0);
            (value, [[value * x + 1.0, value * y + 1.0]], [value + 1.0, (x + 2.0).recip()])
        }
    }

    #[derive(Clone)]
    struct Run<T> {
        entries: Vec<T>,
        given: Vec<T>,
        x: Vec<T>,
        y: Vec<T>,
    }

    impl<T: Scalar> WithSimd for Run<T> {
        /// The values, the sums over rows and columns, and those over the tile.
        type Output = (Vec<T>, [Vec<T>; 2], [T; 2]);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let Self { mut entries, given, x, y } = self;
            let half = |of: &[T]| vec![T::from_f64(0.5); of.len()];
            let [mut in_x, mut in_y] = [half(&x), half(&y)];
            let tile = Entries {
                entries: &mut entries,
                given: [&given],
                features: [&x, &y],
                margins: [[&mut in_x, &mut in_y]],
            };
            let sums = Replace { function: Sum, tile }.with_simd(simd);
            (entries, [in_x, in_y], sums)
        }
    }

    fn check<T: Scalar>() {
        let epsilon = <T as num_traits::Float>::epsilon().as_f64();
        for (n, m) in [(0, 3), (3, 0), (1, 1), (1, 40), (7, 2), (16, 3), (31, 5), (32, 4), (37, 3), (100, 9)] {
            let numbers = |count: usize, rate: f64| -> Vec<T> {
                (0..count).map(|i| T::from_f64((rate * (i + 1) as f64).sin())).collect()
            };
            let run = Run {
                entries: numbers(n * m, 0.37),
                given: numbers(n * m, 0.7),
                x: numbers(n, 1.3),
                y: numbers(m, 2.1),
            };
            let (mut in_x, mut in_y, mut sums) = (vec![0.5; n], vec![0.5; m], [0.0; 2]);
            let found = under_each(run.clone());
            for pair in 0..n * m {
                let (x, y) = (run.x[pair % n], run.y[pair / n]);
                let value = (run.entries[pair] + run.given[pair]) + (x + y * T::from_f64(2.0));
                assert!(found.iter().all(|(values, ..)| values[pair] == value), "{n} x {m}");
                let (value, x, y) = (value.as_f64(), x.as_f64(), y.as_f64());
                in_x[pair % n] += value * x + 1.0;
                in_y[pair / n] += value * y + 1.0;
                sums = [sums[0] + value + 1.0, sums[1] + 1.0 / (x + 2.0)];
            }
            for (_, margins, totals) in &found {
                let exact = in_x.iter().chain(&in_y).chain(&sums);
                let bound = 8.0 * epsilon * (1.0 + (n * m) as f64);
                for (found, exact) in margins.iter().flatten().chain(totals).zip(exact) {
                    assert!((found.as_f64() - exact).abs() <= bound, "{n} x {m}: {found}, not {exact}");
                }
            }
            assert!(found.iter().all(|all| *all == found[0]), "{n} x {m}");
        }
    }

    #[test]
    fn values_and_sums_of_any_shape_under_any_instruction_set() {
        check::<f32>();
        check::<f64>();
    }
}
