//! Where the second set of points of a matrix lies: what differences are measured against.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use faer::MatRef;

use crate::Scalar;
use crate::simd::{Pass, dispatch};

/// The ranges of the columns of the second set of points of a matrix, or of what a map has made of them.
///
/// Every decision on how pairs are prepared is taken from these and from hyperparameters alone: a row of the
/// matrix then has the same bits whichever rows are asked for beside it.
#[derive(Debug)]
pub(crate) struct Ranges<'a, T: Scalar> {
    /// The points to look at when somebody asks, and which of their columns.
    source: Option<(MatRef<'a, T>, Option<Vec<usize>>)>,
    found: OnceLock<Vec<[f64; 2]>>,
}

impl<'a, T: Scalar> Ranges<'a, T> {
    /// Those of these points. Looked for when first asked for: most kernels never do.
    pub(crate) fn of(points: MatRef<'a, T>) -> Self {
        Self { source: Some((points, None)), found: OnceLock::new() }
    }

    fn get(&self) -> &[[f64; 2]] {
        self.found.get_or_init(|| match &self.source {
            None => Vec::new(),
            Some((points, None)) => ranges(*points, 0..points.ncols()),
            Some((points, Some(chosen))) => ranges(*points, chosen.iter().copied()),
        })
    }
}

/// What points know of the ranges: a driver's own, so that a matrix takes no memory for them, or those behind a map.
#[derive(Clone, Debug)]
pub(crate) enum Span<'a, T: Scalar> {
    Driver(&'a Ranges<'a, T>),
    Map(Arc<Ranges<'a, T>>),
}

impl<'a, T: Scalar> Span<'a, T> {
    /// Ranges that follow from others.
    pub(crate) fn known(ranges: Vec<[f64; 2]>) -> Self {
        Self::Map(Arc::new(Ranges { source: None, found: OnceLock::from(ranges) }))
    }

    /// That of some of the columns.
    pub(super) fn select(&self, columns: &[usize]) -> Self {
        let Some((points, chosen)) = &self.owner().source else {
            let ranges = self.ranges();
            return Self::known(columns.iter().map(|&column| ranges[column]).collect());
        };
        let columns = columns.iter().map(|&column| chosen.as_ref().map_or(column, |chosen| chosen[column])).collect();
        Self::Map(Arc::new(Ranges { source: Some((*points, Some(columns))), found: OnceLock::new() }))
    }

    /// The least and the greatest finite coordinate of each column; zeros where there is none.
    pub(crate) fn ranges(&self) -> &[[f64; 2]] {
        self.owner().get()
    }

    fn owner(&self) -> &Ranges<'a, T> {
        match self {
            Self::Driver(ranges) => ranges,
            Self::Map(ranges) => ranges,
        }
    }
}

const LANES: usize = 16;

/// The least and the greatest finite number of each column; the greatest and the least of all where there is none.
struct Extremes<'a, T: Scalar> {
    columns: &'a [Cow<'a, [T]>],
}

impl<T: Scalar> Pass for Extremes<'_, T> {
    type Output = Vec<[T; 2]>;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Vec<[T; 2]> {
        let largest = <T as num_traits::Float>::max_value();
        let mut found = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let (mut low, mut high) = ([largest; LANES], [-largest; LANES]);
            let (chunks, rest) = column.as_chunks::<LANES>();
            for chunk in chunks {
                widen(&mut low, &mut high, chunk);
            }
            let mut last = [T::nan(); LANES];
            last[..rest.len()].copy_from_slice(rest);
            widen(&mut low, &mut high, &last);
            let mut width = LANES / 2;
            while width > 0 {
                let (others_low, others_high) = (low, high);
                for lane in 0..width {
                    low[lane] = lesser(others_low[lane + width], low[lane]);
                    high[lane] = -lesser(-others_high[lane + width], -high[lane]);
                }
                width /= 2;
            }
            found.push([low[0], high[0]]);
        }
        found
    }
}

/// Takes numbers in, lane by lane, NaN and infinities aside.
#[inline(always)]
fn widen<T: Scalar>(low: &mut [T; LANES], high: &mut [T; LANES], numbers: &[T; LANES]) {
    let largest = <T as num_traits::Float>::max_value();
    for ((low, high), &x) in low.iter_mut().zip(high).zip(numbers) {
        // A comparison with NaN is false.
        let finite = num_traits::Float::abs(x) <= largest;
        *low = lesser(if finite { x } else { largest }, *low);
        *high = -lesser(if finite { -x } else { largest }, -*high);
    }
}

#[inline(always)]
fn lesser<T: Scalar>(a: T, b: T) -> T {
    if a < b { a } else { b }
}

fn ranges<T: Scalar>(points: MatRef<'_, T>, columns: impl Iterator<Item = usize>) -> Vec<[f64; 2]> {
    let of_column = |column| match points.col(column).try_as_col_major() {
        Some(contiguous) => Cow::Borrowed(contiguous.as_slice()),
        None => Cow::Owned(points.col(column).iter().copied().collect()),
    };
    let columns: Vec<Cow<'_, [T]>> = columns.map(of_column).collect();
    let range = |[low, high]: [T; 2]| if low <= high { [low.as_f64(), high.as_f64()] } else { [0.0; 2] };
    dispatch(Extremes { columns: &columns }).into_iter().map(range).collect()
}

/// The number to subtract from the coordinates of a column, given its range, and how far from it the second set
/// reaches.
///
/// A range [a, b] with 0 < a and b ≤ 2a has its middle o, and a ≤ o ≤ b in floating point too: z − o is exact for
/// every z in it (Sterbenz). In any other range, numbers differ by as much as they are long, to a factor of 2, and
/// there is nothing to gain: the origin is 0. Of the first set, x − o need not be exact. It loses at most a
/// rounding unit of |x − o| ≤ |x − z| + |z − o|, as does the division by a lengthscale.
pub(super) fn frame<T: Scalar>([low, high]: [f64; 2]) -> (T, f64) {
    let far = (low > 0.0 && 0.5 * high <= low) || (high < 0.0 && 0.5 * low >= high);
    let origin = T::from_f64(if far { low + 0.5 * (high - low) } else { 0.0 });
    (origin, (high - origin.as_f64()).max(origin.as_f64() - low))
}

/// How far the second set may reach from the origin, in lengthscales, where scaled coordinates are subtracted.
///
/// A scaled coordinate f is off by ε|f|/2, and a difference by ε(|Δ| + reach): relative to Δ as much as
/// its own rounding, and in exp(−Δ²/2), whose slope is at most 0.61, by 0.61 ε reach. With a reach of
/// ε^(−1/4)/8, 7 in single precision and 1024 in double, a value loses 5·10⁻⁷ and 2·10⁻¹³. What reaches further is
/// differenced first.
pub(crate) fn farthest<T: Scalar>() -> f64 {
    T::epsilon().as_f64().powf(-0.25) / 8.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn ranges_are_of_finite_numbers() {
        let column = |row: usize| [3.0, f64::NAN, -1.0, f64::INFINITY][row % 4] + row as f64;
        let x = Mat::from_fn(70, 2, |row, col| if col == 0 { column(row) } else { f64::NAN });
        let ranges = Ranges::of(x.as_ref());
        assert_eq!(ranges.get(), [[1.0, 71.0], [0.0, 0.0]]);
        assert_eq!(Span::Driver(&ranges).select(&[1, 0, 0]).select(&[2]).ranges(), [[1.0, 71.0]]);
        let by_rows = x.as_ref().submatrix(0, 0, 3, 2).transpose();
        assert_eq!(Ranges::of(by_rows).get()[0], [3.0, 3.0]);
    }

    #[test]
    fn subtracting_the_origin_is_exact() {
        for [low, high] in [[1958.0, 2021.3], [-3.0, -1.6], [1.0, 2.0], [1.7e9, 1.7e9 + 0.3]] {
            let (origin, reach) = frame::<f64>([low, high]);
            assert!(low <= origin && origin <= high);
            assert!(reach <= 0.5 * (high - low) + f64::EPSILON * origin.abs());
            for x in [low, high, low.next_up(), high.next_down()] {
                assert_eq!((x - origin) + origin, x);
            }
        }
        assert_eq!(frame::<f32>([-1.0, 3.0]), (0.0, 3.0));
        assert_eq!(frame::<f32>([0.0, 0.0]), (0.0, 0.0));
    }
}
