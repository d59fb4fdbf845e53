//! Functions of the entries of a tile, of a number of their row and a number of their column.

use pulp::{Simd, WithSimd};

use super::lanes::{Lanes, Many};
use super::sum::by_halves;
use super::vector::Vector;
use crate::Scalar;

/// How many sums are kept apart, by the row, so that they are the same whatever the registers: as many as four of the
/// widest have numbers.
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
    /// registers. So many are computed at a time, up to four: as many as leave room for what the function keeps.
    pub(crate) fn replace<const TOGETHER: usize, F, const SUMS: usize>(self, function: F) -> [T; SUMS]
    where
        F: OfEntry<T, GIVEN, MARGINS, SUMS>,
    {
        super::with_simd(Replace::<_, _, TOGETHER, _, _, _> { function, tile: self })
    }
}

struct Replace<'a, T, F, const TOGETHER: usize, const GIVEN: usize, const MARGINS: usize, const SUMS: usize> {
    function: F,
    tile: Entries<'a, T, GIVEN, MARGINS>,
}

impl<T: Scalar, F, const TOGETHER: usize, const GIVEN: usize, const MARGINS: usize, const SUMS: usize> WithSimd
    for Replace<'_, T, F, TOGETHER, GIVEN, MARGINS, SUMS>
where
    F: OfEntry<T, GIVEN, MARGINS, SUMS>,
{
    type Output = [T; SUMS];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [T; SUMS] {
        let Self { function, tile: Entries { entries, given, features: [x, y], mut margins } } = self;
        let zero = T::from_f64(0.0);
        let one = T::Vector::<S>::splat(simd, zero);
        let several = Many([one; TOGETHER]);
        let rows = x.len();
        let whole = rows - rows % Many::<T::Vector<S>, TOGETHER>::LEN;
        let mut sums = [[zero; SLOTS]; SUMS];
        for (col, &y) in y.iter().enumerate() {
            let first = col * rows;
            let mut given_column = given;
            for given in &mut given_column {
                *given = &given[first..][..rows];
            }
            let mut column = Column {
                entries: &mut entries[first..][..rows],
                given: given_column,
                x,
                y,
                in_column: [[zero; SLOTS]; MARGINS],
            };
            for start in (0..whole).step_by(Many::<T::Vector<S>, TOGETHER>::LEN) {
                let len = Many::<T::Vector<S>, TOGETHER>::LEN;
                column.step(function, several, (start, len), &mut margins, &mut sums);
            }
            // One register at a time, since columns may be short.
            for start in (whole..rows).step_by(T::Vector::<S>::LEN) {
                let len = T::Vector::<S>::LEN.min(rows - start);
                column.step(function, one, (start, len), &mut margins, &mut sums);
            }
            for ([_, in_cols], slots) in margins.iter_mut().zip(column.in_column) {
                in_cols[col] += by_halves(slots);
            }
        }
        let mut totals = [zero; SUMS];
        for (total, slots) in totals.iter_mut().zip(sums) {
            *total = by_halves(slots);
        }
        totals
    }
}

/// A column of a tile.
struct Column<'a, T, const GIVEN: usize, const MARGINS: usize> {
    entries: &'a mut [T],
    given: [&'a [T]; GIVEN],
    x: &'a [T],
    y: T,
    in_column: [[T; SLOTS]; MARGINS],
}

impl<T: Scalar, const GIVEN: usize, const MARGINS: usize> Column<'_, T, GIVEN, MARGINS> {
    /// So many rows from a first one on: as many as `zero` has lanes, or less.
    #[inline(always)]
    fn step<L: Lanes<T>, F, const SUMS: usize>(
        &mut self,
        function: F,
        zero: L,
        (start, len): (usize, usize),
        margins: &mut [[&mut [T]; 2]; MARGINS],
        sums: &mut [[T; SLOTS]; SUMS],
    ) where
        F: OfEntry<T, GIVEN, MARGINS, SUMS>,
    {
        let entries = &mut self.entries[start..][..len];
        let mut given = [zero; GIVEN];
        for (given, from) in given.iter_mut().zip(self.given) {
            *given = zero.read(&from[start..][..len]);
        }
        let features = [zero.read(&self.x[start..][..len]), zero.all(self.y)];
        let (value, terms, of_tile) = function.of(zero.read(entries), given, features);
        value.write(entries);
        let slot = start % SLOTS;
        for (([in_row, in_col], [in_rows, _]), slots) in terms.into_iter().zip(margins).zip(&mut self.in_column) {
            add(in_row, &mut in_rows[start..][..len]);
            add(in_col, &mut slots[slot..][..len]);
        }
        for (term, slots) in of_tile.into_iter().zip(sums) {
            add(term, &mut slots[slot..][..len]);
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
            let sums = Replace::<_, _, 4, _, _, _> { function: Sum, tile }.with_simd(simd);
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
