//! What principal components leave of a row that they were not made from.

use faer::{Mat, MatRef};

/// Where the search for an eigenvalue ends: the largest number of steps, and the size of a step relative to the distance
/// from the pole.
const MOST_STEPS: usize = 200;
const TOLERANCE: f64 = 1e-12;

/// What is left of each row beside the first `count` principal components, and the mean, of the other rows: in the
/// coordinates of all principal components, as the rows are, with the singular values of the rows.
///
/// With D the squares of the singular values, z the coordinates of a row and x = √ρ z for ρ = n/(n − 1), the others have
/// the scatter D − x xᵀ, and the row is ρ z from their mean. The eigenvalues μ of the scatter are the roots of
/// 1 = Σᵢ xᵢ²/(dᵢ − μ), one below each dᵢ, with eigenvectors v = (D − μ)⁻¹x, for which vᵀx = 1. So what v vᵀ/vᵀv leave of
/// ρ zᵢ is ρ zᵢ (1 − Σ 1/((dᵢ − μ) vᵀv)), in O(count · rank) time for a row.
///
/// Golub (1973), "Some modified matrix eigenvalue problems", SIAM Review 15, 318–334, section 5.
pub(super) fn left_out(coordinates: MatRef<'_, f64>, singular_values: &[f64], count: usize) -> Mat<f64> {
    // Relative to the largest, so that squares neither overflow nor vanish.
    let largest = singular_values.first().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
    let squares: Vec<f64> = singular_values.iter().map(|value| (value / largest).powi(2)).collect();
    let rho = coordinates.nrows() as f64 / (coordinates.nrows() as f64 - 1.0);
    let mut left = Mat::zeros(coordinates.nrows(), coordinates.ncols());
    for row in 0..coordinates.nrows() {
        let downdate = Downdate::new(&squares, |place| rho.sqrt() * (coordinates[(row, place)] / largest));
        let explained = downdate.explained(count);
        for (place, group) in downdate.group_of.iter().enumerate() {
            let explained = group.map_or(0.0, |group| explained[group]);
            left[(row, place)] = rho * (1.0 - explained) * coordinates[(row, place)];
        }
    }
    left
}

/// diag(d) − x xᵀ, for its eigenvectors that are not orthogonal to x.
struct Downdate {
    /// The different d whose x is not 0, the largest first, with the sums of their x².
    poles: Vec<f64>,
    weights: Vec<f64>,
    /// Eigenvalues that stay, as their eigenvectors are orthogonal to x; the largest first.
    fixed: Vec<f64>,
    group_of: Vec<Option<usize>>,
}

impl Downdate {
    fn new(squares: &[f64], x: impl Fn(usize) -> f64) -> Self {
        let (mut poles, mut weights, mut fixed, mut group_of) =
            (Vec::<f64>::new(), Vec::<f64>::new(), Vec::new(), Vec::with_capacity(squares.len()));
        for (place, &square) in squares.iter().enumerate() {
            let weight = x(place) * x(place);
            let same = poles.last() == Some(&square);
            if weight == 0.0 || same {
                fixed.push(square);
            }
            if weight > 0.0 && same {
                weights.last_mut().iter_mut().for_each(|sum| **sum += weight);
            } else if weight > 0.0 {
                poles.push(square);
                weights.push(weight);
            }
            group_of.push((weight > 0.0).then_some(poles.len().wrapping_sub(1)));
        }
        Self { poles, weights, fixed, group_of }
    }

    /// How much of x the eigenvectors of the largest eigenvalues explain, for each pole.
    fn explained(&self, count: usize) -> Vec<f64> {
        let mut explained = vec![0.0; self.poles.len()];
        let rounding = f64::EPSILON * self.poles.len() as f64 * self.poles.first().copied().unwrap_or(0.0);
        let (mut fixed, mut taken) = (self.fixed.iter().peekable(), 0);
        for index in 0..self.poles.len() {
            let (origin, offset) = self.root(index);
            let eigenvalue = self.poles[origin] - offset;
            while taken < count && fixed.next_if(|other| **other >= eigenvalue).is_some() {
                taken += 1;
            }
            // The others do not vary along what has no variance.
            if taken >= count || eigenvalue <= rounding {
                break;
            }
            taken += 1;
            let differences = self.poles.iter().map(|pole| (pole - self.poles[origin]) + offset);
            let square: f64 = differences.clone().zip(&self.weights).map(|(d, weight)| weight / (d * d)).sum();
            explained.iter_mut().zip(differences).for_each(|(sum, d)| *sum += 1.0 / (d * square));
        }
        explained
    }

    /// The eigenvalue below this pole: the nearer pole, and how far the eigenvalue is below that, which keeps its digits
    /// where it is close.
    fn root(&self, index: usize) -> (usize, f64) {
        let Some(below) = self.poles.get(index + 1) else {
            return (index, self.search(index, self.weights.iter().sum()));
        };
        let half = 0.5 * (self.poles[index] - below);
        if self.times_secular(index, half).0 >= 0.0 {
            (index, self.search(index, half))
        } else {
            (index + 1, self.search(index + 1, -half))
        }
    }

    /// τ (1 − Σ x²/(d − d₀ + τ)), which has no pole at d₀ and is negative there, and its derivative.
    fn times_secular(&self, origin: usize, offset: f64) -> (f64, f64) {
        let (mut sum, mut slope) = (0.0, 0.0);
        for (index, (pole, weight)) in self.poles.iter().zip(&self.weights).enumerate() {
            if index != origin {
                let difference = (pole - self.poles[origin]) + offset;
                let term = weight / difference;
                sum += term;
                slope += term / difference;
            }
        }
        (offset * (1.0 - sum) - self.weights[origin], 1.0 - sum + offset * slope)
    }

    /// The root between 0 and an end where the function is not negative, by Newton's steps where they stay within what
    /// holds the root, and bisection.
    fn search(&self, origin: usize, end: f64) -> f64 {
        let (mut low, mut high, mut point) = (0.0, end, end);
        for _ in 0..MOST_STEPS {
            let (value, slope) = self.times_secular(origin, point);
            *(if value < 0.0 { &mut low } else { &mut high }) = point;
            let newton = point - value / slope;
            let next = if (newton - low) * (newton - high) < 0.0 { newton } else { low + 0.5 * (high - low) };
            let step = (next - point).abs();
            point = next;
            if step <= TOLERANCE * point.abs() {
                break;
            }
        }
        point
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use approx::assert_abs_diff_eq;
    use faer::Side;
    use rand::{RngExt, SeedableRng};

    /// Eigenvalues that are equal or none, rows along the components, rows that are 0 and repeated rows included.
    #[test]
    fn rows_are_left_out_as_if_they_had_not_been_there() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(crate::testkit::seed(1));
        let (trials, mut compared) = (crate::testkit::trials(40), 0);
        for trial in 0..trials {
            let (n, r) = (rng.random_range(4..12usize), rng.random_range(2..6usize));
            let mut x = Mat::from_fn(n, r, |row, col| {
                let size = 10f64.powi(-2 * (col as i32) * (trial % 3) as i32);
                let axis = trial % 4 == 1 && row % r != col;
                if axis || (trial % 5 == 2 && row == 0) { 0.0 } else { size * rng.random_range(-1.0..1.0) }
            });
            if trial % 2 == 1 {
                let repeated = x.row(1).to_owned();
                x.row_mut(2).copy_from(repeated);
            }
            for col in 0..r {
                let mean = x.col(col).sum() / n as f64;
                x.col_mut(col).iter_mut().for_each(|entry| *entry -= mean);
            }
            let svd = x.thin_svd().unwrap();
            let values: Vec<f64> = svd.S().column_vector().iter().copied().collect();
            let rank = values.iter().take_while(|value| **value > 1e-13 * values[0]).count();
            let coordinates = &x * svd.V().subcols(0, rank);
            for count in 1..=rank.min(n - 2) {
                let left = left_out(coordinates.as_ref(), &values[..rank], count);
                for row in 0..n {
                    let others =
                        Mat::from_fn(n - 1, rank, |other, col| coordinates[(other + usize::from(other >= row), col)]);
                    let mean: Vec<f64> = others.col_iter().map(|column| column.sum() / (n - 1) as f64).collect();
                    let centred = Mat::from_fn(n - 1, rank, |other, col| others[(other, col)] - mean[col]);
                    let eigen = (centred.transpose() * &centred).self_adjoint_eigen(Side::Lower).unwrap();
                    let spectrum = eigen.S().column_vector();
                    let kept = (0..count).filter(|k| spectrum[rank - 1 - k] > 1e-13 * values[0].powi(2)).count();
                    // Where two eigenvalues meet at the cut, what is kept is not determined.
                    let next = if kept < rank { spectrum[rank - 1 - kept] } else { 0.0 };
                    if kept < count || spectrum[rank - kept] - next < 1e-6 * values[0].powi(2) {
                        continue;
                    }
                    let y = Mat::from_fn(rank, 1, |col, _| coordinates[(row, col)] - mean[col]);
                    let top = eigen.U().subcols(rank - kept, kept);
                    let expected = &y - top * (top.transpose() * &y);
                    compared += 1;
                    for col in 0..rank {
                        assert_abs_diff_eq!(left[(row, col)], expected[(col, 0)], epsilon = 1e-9 * values[0]);
                    }
                }
            }
        }
        assert!(compared > 4 * trials, "{compared} rows were compared");
    }
}
