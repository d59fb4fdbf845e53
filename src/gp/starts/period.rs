//! Periods of what was observed.

use std::f64::consts::TAU;

/// Rows that periods are told from, at most: the first, as others would be too far apart to see them.
const ROWS: usize = 1024;

/// Periods that are looked for in as many steps as this for each that the range holds.
const OVERSAMPLING: usize = 4;

/// The periods of the strongest waves in observations at these inputs, of any spacing, the strongest first: each is taken
/// out before the next is looked for.
///
/// The spectrum is that of least squares, with a constant and a slope taken out first: Lomb (1976), "Least-squares
/// frequency analysis of unequally spaced data", Astrophysics and Space Science 39, <https://doi.org/10.1007/BF00648343>.
/// O(n²) time for the first thousand rows.
pub(super) struct Periods {
    x: Vec<f64>,
    y: Vec<f64>,
    range: f64,
    /// A gain that rounding may make.
    rounding: f64,
}

impl Periods {
    pub(super) fn new(x: impl Iterator<Item = f64>, y: impl Iterator<Item = f64>) -> Self {
        let mut seen: Vec<(f64, f64)> = x.zip(y).filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        seen.truncate(ROWS);
        let (mut x, mut y): (Vec<f64>, Vec<f64>) = seen.into_iter().unzip();
        let range = x.last().zip(x.first()).map_or(0.0, |(last, first)| last - first);
        let first = x.first().copied().unwrap_or(0.0);
        x.iter_mut().for_each(|x| *x = (*x - first) / range);
        let rows = x.len() as f64;
        let largest = y.iter().fold(0.0, |largest: f64, y| largest.max(y.abs()));
        let [centre, mean] = [&x, &y].map(|values| values.iter().map(|value| value / rows).sum::<f64>());
        let about = |sum: f64, (x, y): (&f64, &f64)| sum + (x - centre) * (y - mean);
        let slope =
            x.iter().zip(&y).fold(0.0, about) / x.iter().zip(&x).map(|(x, _)| (x - centre).powi(2)).sum::<f64>();
        x.iter().zip(&mut y).for_each(|(x, y)| *y -= mean + slope * (x - centre));
        Self { x, y, range, rounding: rows * (64.0 * f64::EPSILON * largest).powi(2) }
    }

    /// The coefficients of the cosine and the sine of a frequency, in waves over the range, and by how much they lower the sum
    /// of squares.
    fn wave(&self, frequency: f64) -> ([f64; 2], f64) {
        let (mut squares, mut products) = ([0.0; 3], [0.0; 2]);
        for (x, y) in self.x.iter().zip(&self.y) {
            let (sin, cos) = (TAU * frequency * x).sin_cos();
            squares[0] += cos * cos;
            squares[1] += cos * sin;
            squares[2] += sin * sin;
            products[0] += cos * y;
            products[1] += sin * y;
        }
        let determinant = squares[0] * squares[2] - squares[1] * squares[1];
        if determinant <= 1e-9 * (squares[0] * squares[2]).max(f64::MIN_POSITIVE) {
            return ([0.0; 2], 0.0);
        }
        let a = (squares[2] * products[0] - squares[1] * products[1]) / determinant;
        let b = (squares[0] * products[1] - squares[1] * products[0]) / determinant;
        ([a, b], a * products[0] + b * products[1])
    }
}

impl Iterator for Periods {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        if self.x.len() < 4 || self.range.is_nan() || self.range <= 0.0 || !self.range.is_finite() {
            return None;
        }
        // From one and a half waves to what two inputs a wave can tell.
        let steps = 3 * OVERSAMPLING / 2..=OVERSAMPLING * self.x.len() / 2;
        let frequencies = steps.map(|step| step as f64 / OVERSAMPLING as f64);
        let (frequency, wave) = frequencies
            .map(|frequency| (frequency, self.wave(frequency)))
            .max_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b))?;
        let ([a, b], gain) = wave;
        if gain <= self.rounding {
            return None;
        }
        for (x, y) in self.x.iter().zip(&mut self.y) {
            let (sin, cos) = (TAU * frequency * x).sin_cos();
            *y -= a * cos + b * sin;
        }
        Some(self.range / frequency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two waves on a slope, at uneven times, in any units.
    #[test]
    fn waves_are_found_the_strongest_first() {
        for unit in [1.0, 1e-6, 1e6] {
            let at = |i: usize| unit * (0.1 * i as f64 + 0.03 * ((i * i) % 7) as f64);
            let wave = |x: f64, period: f64| (TAU * x / (unit * period)).sin();
            let seen = |x: f64| 3.0 * wave(x, 2.5) + wave(x, 0.7) + 0.8 * x / unit + 1e3;
            let periods = Periods::new((0..200).map(at), (0..200).map(|i| seen(at(i))));
            let found: Vec<f64> = periods.take(2).map(|period| period / unit).collect();
            assert!((found[0] / 2.5 - 1.0).abs() < 0.03 && (found[1] / 0.7 - 1.0).abs() < 0.03, "{found:?}");
        }
        assert_eq!(Periods::new([1.0, 1.0].into_iter(), [0.0, 1.0].into_iter()).next(), None);
        assert_eq!(Periods::new((0..9).map(f64::from), (0..9).map(|_| 2.0)).next(), None);
    }
}
