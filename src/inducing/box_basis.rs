//! Waves on intervals: the functions that Fourier and Hilbert-space features are made of.

use std::f64::consts::{PI, TAU};

use faer::{Mat, MatRef};

use crate::{Error, Result, Scalar};

/// More functions than this are a mistyped number.
const MOST_FUNCTIONS: usize = 1_000_000;

/// Functions of one coordinate on an interval from a to b of length h, at t = x − a.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Family {
    /// 1, cos ωt, sin ωt, cos 2ωt, sin 2ωt, …, ω = 2π/h: with m frequencies 2m + 1.
    Periods,
    /// √(2/h) sin ωt, √(2/h) sin 2ωt, …, ω = π/h: orthonormal, and 0 at both ends.
    Sines,
}

/// How functions of several coordinates are made of those of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Combination {
    /// Those of each coordinate, one coordinate after the other.
    Sum,
    /// The products of one of each coordinate, that of the last running fastest.
    Product,
}

/// The functions of one coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// The number of frequencies.
    pub(super) frequencies: usize,
}

impl Axis {
    pub(super) fn length(&self) -> f64 {
        self.upper - self.lower
    }
}

/// Functions on a box.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waves {
    family: Family,
    combination: Combination,
    axes: Vec<Axis>,
    len: usize,
}

impl Waves {
    pub(super) fn new(
        family: Family,
        combination: Combination,
        intervals: &[(f64, f64)],
        frequencies: &[usize],
    ) -> Result<Self> {
        if intervals.is_empty() {
            return Err(Error::Empty { what: "the list of intervals".to_owned() });
        }
        if frequencies.len() != intervals.len() {
            let expected = format!("{}, one for each interval", intervals.len());
            return Err(Error::shape("the numbers of frequencies", expected, (frequencies.len(), 1)));
        }
        let mut axes = Vec::new();
        for (&(lower, upper), &frequencies) in intervals.iter().zip(frequencies) {
            if !(lower < upper && (upper - lower).is_finite()) {
                let found = format!("from {lower} to {upper}");
                return Err(Error::setting("the interval", found, "must have finite ends, the lower first"));
            }
            axes.push(Axis { lower, upper, frequencies });
        }
        let counts = axes.iter().map(|axis| family.count(axis));
        let len =
            counts.fold(if combination == Combination::Sum { 0usize } else { 1 }, |len, count| match combination {
                Combination::Sum => len.saturating_add(count),
                Combination::Product => len.saturating_mul(count),
            });
        if !(1..=MOST_FUNCTIONS).contains(&len) {
            let expected = format!("must be from 1 to {MOST_FUNCTIONS}");
            return Err(Error::setting("the number of inducing features", len, &expected));
        }
        Ok(Self { family, combination, axes, len })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    pub(super) fn combination(&self) -> Combination {
        self.combination
    }

    /// The number of functions of one coordinate.
    pub(super) fn count(&self, axis: usize) -> usize {
        self.family.count(&self.axes[axis])
    }

    /// Which function of each coordinate a product is made of, in order.
    pub(super) fn factors(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        (0..self.len).map(|index| {
            let mut rest = index;
            let mut factors = vec![0; self.axes.len()];
            for axis in (0..self.axes.len()).rev() {
                factors[axis] = rest % self.count(axis);
                rest /= self.count(axis);
            }
            factors
        })
    }

    /// Refuses points off the box, by the first.
    pub(super) fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()> {
        for row in 0..x.nrows() {
            for (col, axis) in self.axes.iter().enumerate() {
                let value = x[(row, col)].as_f64();
                if !(axis.lower..=axis.upper).contains(&value) {
                    let expected = format!(
                        "the inducing features cover the interval from {} to {}; leave the row out, or take features on a longer one",
                        axis.lower, axis.upper
                    );
                    return Err(Error::setting(&format!("x[{row}, {col}]"), value, &expected));
                }
            }
        }
        Ok(())
    }

    /// All functions at n points of the box, M × n: O(M) sums and products a point, and one sine and cosine a coordinate.
    pub(super) fn values<T: Scalar>(&self, points: MatRef<'_, T>) -> Result<Mat<T>> {
        self.check_points(points)?;
        let mut values = Mat::zeros(self.len, points.nrows());
        for col in 0..values.ncols() {
            let tables = self.tables(points, col);
            let mut out = values.col_mut(col);
            self.each(&tables, |row, _, value, _| out[row] = T::from_f64(value));
        }
        Ok(values)
    }

    /// The gradient in the points of their sum with these weights.
    pub(super) fn points_vjp<T: Scalar>(&self, points: MatRef<'_, T>, cotangent: MatRef<'_, T>) -> Mat<T> {
        let mut gradient = Mat::zeros(points.nrows(), points.ncols());
        for col in 0..points.nrows() {
            let tables = self.tables(points, col);
            self.each(&tables, |row, axis, _, slope| {
                gradient[(col, axis)] += cotangent[(row, col)] * T::from_f64(slope);
            });
        }
        gradient
    }

    /// The functions of each coordinate of a point, with derivatives.
    fn tables<T: Scalar>(&self, points: MatRef<'_, T>, row: usize) -> Vec<Vec<[f64; 2]>> {
        let at = |(col, axis): (usize, &Axis)| self.family.table(axis, points[(row, col)].as_f64());
        self.axes.iter().enumerate().map(at).collect()
    }

    /// Calls `see` with the row of each function, a coordinate that it depends on, its value, and its
    /// derivative in that coordinate.
    fn each(&self, tables: &[Vec<[f64; 2]>], mut see: impl FnMut(usize, usize, f64, f64)) {
        if self.combination == Combination::Sum {
            let entries =
                tables.iter().enumerate().flat_map(|(axis, table)| table.iter().map(move |entry| (axis, entry)));
            entries.enumerate().for_each(|(row, (axis, &[value, slope]))| see(row, axis, value, slope));
            return;
        }
        let mut factors = vec![0; tables.len()];
        for row in 0..self.len {
            for axis in 0..tables.len() {
                let part = |other: usize| tables[other][factors[other]][usize::from(other == axis)];
                let value = (0..tables.len()).map(|other| tables[other][factors[other]][0]).product();
                see(row, axis, value, (0..tables.len()).map(part).product());
            }
            for axis in (0..tables.len()).rev() {
                factors[axis] += 1;
                if factors[axis] < tables[axis].len() {
                    break;
                }
                factors[axis] = 0;
            }
        }
    }
}

impl Family {
    fn count(self, axis: &Axis) -> usize {
        match self {
            Self::Periods => 2 * axis.frequencies + 1,
            Self::Sines => axis.frequencies,
        }
    }

    /// All functions at a coordinate, with their derivatives. Multiples of an angle by rotation, which loses one
    /// unit of rounding a step.
    fn table(self, axis: &Axis, x: f64) -> Vec<[f64; 2]> {
        let length = axis.length();
        let fraction = (x - axis.lower) / length;
        let (omega, scale) = match self {
            Self::Periods => (TAU / length, 1.0),
            Self::Sines => (PI / length, (2.0 / length).sqrt()),
        };
        let (sin, cos) = libm::sincos(omega * length * fraction);
        let mut table = Vec::with_capacity(self.count(axis));
        if self == Self::Periods {
            table.push([1.0, 0.0]);
        }
        let (mut wave, mut rate) = ([cos, sin], omega);
        for _ in 0..axis.frequencies {
            if self == Self::Periods {
                table.push([wave[0], -rate * wave[1]]);
            }
            table.push([scale * wave[1], scale * rate * wave[0]]);
            wave = [wave[0] * cos - wave[1] * sin, wave[0] * sin + wave[1] * cos];
            rate += omega;
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    #[test]
    fn rotations_are_sines_and_cosines() {
        let axis = Axis { lower: -1.0, upper: 2.0, frequencies: 300 };
        for x in [-1.0, -0.3, 0.5, 1.999, 2.0] {
            let (periods, sines) = (Family::Periods.table(&axis, x), Family::Sines.table(&axis, x));
            for m in 1..=300usize {
                let angle = m as f64 * PI * (x + 1.0) / 3.0;
                let error = |found: f64, expected: f64| (found - expected).abs() / m as f64;
                assert!(error(sines[m - 1][0], (2.0f64 / 3.0).sqrt() * angle.sin()) < 1e-15);
                assert!(error(periods[2 * m - 1][0], (2.0 * angle).cos()) < 2e-15);
                assert!(error(periods[2 * m][0], (2.0 * angle).sin()) < 2e-15);
            }
        }
    }

    #[test]
    fn gradients_in_the_points() {
        for (family, combination) in [
            (Family::Periods, Combination::Sum),
            (Family::Periods, Combination::Product),
            (Family::Sines, Combination::Product),
        ] {
            let waves = Waves::new(family, combination, &[(0.0, 2.0), (-1.0, 1.0)], &[2, 3]).unwrap();
            let weights = Mat::from_fn(waves.len(), 1, |row, _| (row as f64 * 1.7).sin());
            let total = |x: Mat<f64>| waves.values(x.as_ref()).unwrap().col(0).transpose() * weights.col(0);
            let gradient = waves.points_vjp(mat![[0.7, 0.2]].as_ref(), weights.as_ref());
            let h = 1e-6;
            let first = (total(mat![[0.7 + h, 0.2]]) - total(mat![[0.7 - h, 0.2]])) / (2.0 * h);
            let second = (total(mat![[0.7, 0.2 + h]]) - total(mat![[0.7, 0.2 - h]])) / (2.0 * h);
            assert!((gradient[(0, 0)] - first).abs() < 1e-7 && (gradient[(0, 1)] - second).abs() < 1e-7);
        }
    }
}
