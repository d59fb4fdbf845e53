//! Where inducing points start from: data points at random or where the process is the least known, or
//! centres of clusters of them.

use faer::{Mat, MatRef};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

pub use super::greedy::greedy_variance;
use crate::data::check_finite;
use crate::{Error, Result};

/// `m` centres of the rows of an N × D array: k-means++ seeding, then at most so many of Lloyd's
/// iterations. O(N m D) for the seeding and for each iteration.
///
/// A seed is drawn with probability proportional to its squared distance from the nearest earlier
/// one. An iteration assigns each point to its nearest centre, of lower index on a tie, and moves
/// each centre to the mean of its points; a centre without points stays. No two centres are equal:
/// an iteration that would make them so is not done.
///
/// # Errors
///
/// [`Error::Empty`] and [`Error::NonFinite`] for such data; [`Error::Setting`] if `m` is 0 or more
/// than the number of distinct points (nearer ones than 1e-160 of the largest coordinate count as one).
///
/// # Examples
///
/// ```
/// use mercer::inducing::start::kmeans_plus_plus;
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let x = mat![[0.0], [100.0], [1.0], [102.0]];
/// let centres = kmeans_plus_plus(x.as_ref(), 2, 10, &mut rand_pcg::Pcg64::seed_from_u64(0))?;
/// assert_eq!(centres[(0, 0)].min(centres[(1, 0)]), 0.5);
/// assert_eq!(centres[(0, 0)].max(centres[(1, 0)]), 101.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// - Arthur & Vassilvitskii (2007), "k-means++: the advantages of careful seeding", SODA, section 2.2.
/// - Lloyd (1982), "Least squares quantization in PCM", IEEE Transactions on Information Theory 28,
///   <https://doi.org/10.1109/TIT.1982.1056489>.
pub fn kmeans_plus_plus(
    x: MatRef<'_, f64>,
    m: usize,
    lloyd_iterations: usize,
    rng: &mut (impl Rng + ?Sized),
) -> Result<Mat<f64>> {
    let mut points = Points::new(x, m)?;
    let unit = points.unit();
    points.rows.iter_mut().flatten().for_each(|x| *x /= unit);
    let mut centres = seed(&points, m, rng)?;
    for _ in 0..lloyd_iterations {
        let moved = points.lloyd(&centres);
        if moved == centres || !all_distinct(&moved) {
            break;
        }
        centres = moved;
    }
    Ok(Mat::from_fn(m, x.ncols(), |row, col| centres[row][col] * unit))
}

/// `m` rows of an N × D array, drawn without replacement. Rows that repeat an earlier one are taken
/// only when the distinct ones are used up. O(N log N).
///
/// # Errors
///
/// [`Error::Empty`] and [`Error::NonFinite`] for such data; [`Error::Setting`] if `m` is 0 or more
/// than the number of rows.
///
/// # Examples
///
/// ```
/// use mercer::inducing::start::subset;
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let x = mat![[5.0], [5.0], [5.0], [7.0]];
/// let points = subset(x.as_ref(), 2, &mut rand_pcg::Pcg64::seed_from_u64(0))?;
/// assert_eq!(points.sum(), 12.0);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn subset(x: MatRef<'_, f64>, m: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Mat<f64>> {
    let Points { rows } = Points::new(x, m)?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.shuffle(rng);
    // The sort is stable, so the first of equal rows is the first in the shuffle.
    let mut ranks: Vec<usize> = (0..order.len()).collect();
    ranks.sort_by(|&a, &b| compare(&rows[order[a]], &rows[order[b]]));
    let mut repeats = vec![false; order.len()];
    for pair in ranks.windows(2) {
        repeats[pair[1]] = compare(&rows[order[pair[0]]], &rows[order[pair[1]]]).is_eq();
    }
    let mut chosen: Vec<usize> = (0..order.len()).collect();
    chosen.sort_by_key(|&rank| repeats[rank]);
    Ok(Mat::from_fn(m, x.ncols(), |row, col| rows[order[chosen[row]]][col]))
}

/// The points, row by row.
struct Points {
    rows: Vec<Vec<f64>>,
}

impl Points {
    fn new(x: MatRef<'_, f64>, m: usize) -> Result<Self> {
        check_finite("the points", x)?;
        let n = x.nrows();
        if m == 0 || m > n {
            return Err(Error::setting("m", m, &format!("must be at least 1 and at most the number of points, {n}")));
        }
        // Adding 0 makes -0 a 0, so that equal rows have equal bits.
        Ok(Self { rows: (0..n).map(|row| x.row(row).iter().map(|x| x + 0.0).collect()).collect() })
    }

    /// The power of two next below the largest coordinate: in this unit no distance overflows, and
    /// changing to it and back is exact.
    fn unit(&self) -> f64 {
        let largest = self.rows.iter().flatten().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        if largest > 0.0 { largest.log2().floor().min(1023.0).exp2() } else { 1.0 }
    }

    /// The means of the points nearest to each centre.
    fn lloyd(&self, centres: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let dim = centres[0].len();
        let mut sums = vec![vec![0.0; dim]; centres.len()];
        let mut counts = vec![0usize; centres.len()];
        for point in &self.rows {
            let nearest = nearest(point, centres);
            counts[nearest] += 1;
            // Offsets from the centre: the mean then loses no digits far from the origin.
            for ((sum, x), c) in sums[nearest].iter_mut().zip(point).zip(&centres[nearest]) {
                *sum += x - c;
            }
        }
        let mean = |(centre, (sum, count)): (&Vec<f64>, (Vec<f64>, usize))| {
            centre.iter().zip(sum).map(|(c, sum)| c + sum / count.max(1) as f64).collect()
        };
        centres.iter().zip(sums.into_iter().zip(counts)).map(mean).collect()
    }
}

fn seed(points: &Points, m: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Vec<Vec<f64>>> {
    let rows = &points.rows;
    let mut centres = vec![rows[rng.random_range(0..rows.len())].clone()];
    let mut nearest: Vec<f64> = rows.iter().map(|row| squared_distance(row, &centres[0])).collect();
    while centres.len() < m {
        let total: f64 = nearest.iter().sum();
        if total == 0.0 {
            let found = format!("must be at most the number of distinct points, {}", centres.len());
            return Err(Error::setting("m", m, &found));
        }
        let mut left = rng.random::<f64>() * total;
        let mut chosen = None;
        for (row, &d) in nearest.iter().enumerate().filter(|(_, d)| **d > 0.0) {
            chosen = Some(row);
            left -= d;
            if left < 0.0 {
                break;
            }
        }
        let Some(row) = chosen else { break };
        let centre = rows[row].clone();
        for (d, point) in nearest.iter_mut().zip(rows) {
            *d = d.min(squared_distance(point, &centre));
        }
        centres.push(centre);
    }
    Ok(centres)
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn nearest(point: &[f64], centres: &[Vec<f64>]) -> usize {
    let mut best = (0, f64::INFINITY);
    for (index, centre) in centres.iter().enumerate() {
        let distance = squared_distance(point, centre);
        if distance < best.1 {
            best = (index, distance);
        }
    }
    best.0
}

fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    let order = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
    order.into_iter().find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

fn all_distinct(rows: &[Vec<f64>]) -> bool {
    let mut sorted: Vec<&Vec<f64>> = rows.iter().collect();
    sorted.sort_by(|a, b| compare(a, b));
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::SeedableRng;
    use rand_distr::StandardNormal;
    use rand_pcg::Pcg64;

    fn rows(x: &Mat<f64>) -> Vec<Vec<f64>> {
        Points::new(x.as_ref(), 1).unwrap().rows
    }

    /// Mean squared distance to the nearest centre.
    fn spread(x: &Mat<f64>, centres: &Mat<f64>) -> f64 {
        let centres = rows(centres);
        let distance = |point: Vec<f64>| squared_distance(&point, &centres[nearest(&point, &centres)]);
        rows(x).into_iter().map(distance).sum::<f64>() / x.nrows() as f64
    }

    #[test]
    fn separate_clusters_are_found() {
        for seed in 0..20 {
            let mut rng = Pcg64::seed_from_u64(seed);
            let x = Mat::from_fn(200, 2, |row, _| (row % 5) as f64 * 100.0 + rng.sample::<f64, _>(StandardNormal));
            let centres = kmeans_plus_plus(x.as_ref(), 5, 10, &mut rng).unwrap();
            assert!(spread(&x, &centres) < 3.0, "{seed}: {centres:?}");
        }
    }

    #[test]
    fn iterations_bring_centres_closer() {
        let mut rng = Pcg64::seed_from_u64(3);
        let x = Mat::from_fn(300, 3, |_, _| rng.sample::<f64, _>(StandardNormal));
        let spreads: Vec<f64> = [0, 1, 3, 10]
            .iter()
            .map(|&iterations| {
                let mut rng = Pcg64::seed_from_u64(7);
                spread(&x, &kmeans_plus_plus(x.as_ref(), 12, iterations, &mut rng).unwrap())
            })
            .collect();
        assert!(spreads.windows(2).all(|pair| pair[1] < pair[0]), "{spreads:?}");
    }

    #[test]
    fn seeds_are_drawn_by_squared_distance() {
        // From 0: 1 with probability 1/10, 3 with 9/10. From 1: 1/5, 4/5. From 3: 9/13, 4/13.
        let x = faer::mat![[0.0], [1.0], [3.0]];
        let mut rng = Pcg64::seed_from_u64(11);
        let mut pairs = [[0usize; 4]; 4];
        for _ in 0..6000 {
            let centres = kmeans_plus_plus(x.as_ref(), 2, 0, &mut rng).unwrap();
            pairs[centres[(0, 0)] as usize][centres[(1, 0)] as usize] += 1;
        }
        for (first, second, probability) in [(0, 3, 0.9), (1, 3, 0.8), (3, 0, 9.0 / 13.0)] {
            let draws = pairs[first].iter().sum::<usize>() as f64;
            let fraction = pairs[first][second] as f64 / draws;
            assert!((fraction - probability).abs() < 3.0 * (0.25 / draws).sqrt());
        }
    }

    #[test]
    fn repeated_points_give_distinct_centres() {
        for seed in 0..50 {
            let mut rng = Pcg64::seed_from_u64(seed);
            let x = Mat::from_fn(40, 2, |_, _| f64::from(rng.random_range(-1i32..3)) * -0.5);
            let distinct = {
                let mut all = rows(&x);
                all.sort_by(|a, b| compare(a, b));
                all.dedup();
                all.len()
            };
            for iterations in [0, 5] {
                let centres = kmeans_plus_plus(x.as_ref(), distinct, iterations, &mut rng).unwrap();
                assert!(all_distinct(&rows(&centres)));
                let result = kmeans_plus_plus(x.as_ref(), distinct + 1, iterations, &mut rng);
                assert!(matches!(result, Err(Error::Setting { .. })));
            }
            assert!(all_distinct(&rows(&subset(x.as_ref(), distinct, &mut rng).unwrap())));
        }
    }

    #[test]
    fn subsets_take_each_row_once() {
        let x = faer::mat![[1.0], [2.0], [2.0], [3.0]];
        let all = subset(x.as_ref(), 4, &mut Pcg64::seed_from_u64(0)).unwrap();
        let mut values: Vec<f64> = all.col(0).iter().copied().collect();
        // The repeat comes last.
        assert_eq!(values[3], 2.0);
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [1.0, 2.0, 2.0, 3.0]);
    }

    #[test]
    fn extreme_scales() {
        for size in [1e-300, 1.0, 1e307] {
            let x = Mat::from_fn(10, 1, |row, _| size * row as f64);
            let centres = kmeans_plus_plus(x.as_ref(), 4, 3, &mut Pcg64::seed_from_u64(0)).unwrap();
            assert!(all_distinct(&rows(&centres)) && check_finite("centres", centres.as_ref()).is_ok());
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        let mut rng = Pcg64::seed_from_u64(3);
        let x = Mat::from_fn(50, 2, |_, _| rng.sample::<f64, _>(StandardNormal));
        let run = |seed| kmeans_plus_plus(x.as_ref(), 5, 3, &mut Pcg64::seed_from_u64(seed)).unwrap();
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn arguments_are_checked() {
        let x = faer::mat![[1.0], [2.0]];
        let rng = &mut Pcg64::seed_from_u64(0);
        for m in [0, 3] {
            assert!(matches!(kmeans_plus_plus(x.as_ref(), m, 1, rng), Err(Error::Setting { .. })));
            assert!(matches!(subset(x.as_ref(), m, rng), Err(Error::Setting { .. })));
        }
        let bad = faer::mat![[1.0], [f64::NAN]];
        assert!(matches!(subset(bad.as_ref(), 1, rng), Err(Error::NonFinite { row: 1, .. })));
    }
}
