//! Whether a point lies in the convex hull of others, without the hull.

use faer::prelude::SolveLstsq;
use faer::{Mat, MatRef};

use crate::linalg::product;

/// Distances that count as none, in units of the ranges of the points.
const TOLERANCE: f64 = 1e-9;

/// The convex hull of some points, by the points.
///
/// Membership is asked of the point of the hull that is nearest to the one in question, by Wolfe's method: a corral of
/// at most d + 1 affinely independent points whose nearest point to it is known; the point of the hull that is farthest
/// to its side joins, and those that lose their weight leave. Each round ends with a nearer point, and all take O(Md) time but for the solves of
/// d × d. Hulls without volume, of few points, or in a plane, are no special case.
///
/// Wolfe (1976), "Finding the nearest point in a polytope", Mathematical Programming 11, 128–149.
#[derive(Debug)]
pub(super) struct Hull {
    /// In units of the ranges, a column a point.
    points: Mat<f64>,
    lower: Vec<f64>,
    range: Vec<f64>,
}

/// Points of the hull and the convex combination of them that is nearest to the origin.
struct Corral {
    points: Vec<usize>,
    weights: Vec<f64>,
}

impl Hull {
    /// That of the rows.
    pub(super) fn new(points: MatRef<'_, f64>) -> Self {
        let bounds = |dim: usize| {
            let values = points.col(dim).iter();
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)))
        };
        let (mut lower, mut range) = (Vec::new(), Vec::new());
        for dim in 0..points.ncols() {
            let (low, high) = bounds(dim);
            // All the same: what counts as none is relative to the value.
            let size = if high > low { high - low } else { low.abs() };
            lower.push(low);
            range.push(if size > 0.0 { size } else { 1.0 });
        }
        let scaled =
            Mat::from_fn(points.ncols(), points.nrows(), |dim, point| (points[(point, dim)] - lower[dim]) / range[dim]);
        Self { points: scaled, lower, range }
    }

    /// Whether the point is in the hull, its boundary included, up to rounding.
    pub(super) fn contains(&self, point: impl Fn(usize) -> f64) -> bool {
        let dims = self.points.nrows();
        let centre: Vec<f64> = (0..dims).map(|dim| (point(dim) - self.lower[dim]) / self.range[dim]).collect();
        let shifted = Mat::from_fn(dims, self.points.ncols(), |dim, col| self.points[(dim, col)] - centre[dim]);
        holds_origin(shifted.as_ref())
    }
}

/// Whether the origin is in the convex hull of the columns, up to the tolerance.
fn holds_origin(points: MatRef<'_, f64>) -> bool {
    let norms = points.col_iter().map(|column| column.norm_l2());
    let Some((first, _)) = norms.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)) else { return false };
    let mut corral = Corral { points: vec![first], weights: vec![1.0] };
    let mut nearest = corral.point(points);
    // Each round comes nearer, so none returns to a corral; rounding ends it by the break.
    for _ in 0..10 * (points.ncols() + points.nrows()) {
        let distance = nearest.norm_max();
        if distance <= TOLERANCE {
            return true;
        }
        let length = nearest.norm_l2();
        let along = product(nearest.transpose(), points) * faer::Scale(1.0 / length);
        let farthest = (0..points.ncols()).min_by(|&a, &b| along[(0, a)].total_cmp(&along[(0, b)])).unwrap_or(first);
        // All points are beyond the plane across the nearest, at this distance from the origin.
        if along[(0, farthest)] > TOLERANCE || corral.points.contains(&farthest) {
            return false;
        }
        corral.points.push(farthest);
        corral.weights.push(0.0);
        corral.settle(points);
        let next = corral.point(points);
        if next.norm_l2() >= length {
            break;
        }
        nearest = next;
    }
    nearest.norm_max() <= TOLERANCE
}

impl Corral {
    fn point(&self, points: MatRef<'_, f64>) -> Mat<f64> {
        let mut sum = Mat::zeros(points.nrows(), 1);
        for (&point, &weight) in self.points.iter().zip(&self.weights) {
            sum += points.subcols(point, 1) * faer::Scale(weight);
        }
        sum
    }

    /// Moves to the point nearest to the origin of the affine hull, dropping points until that is in their convex hull.
    fn settle(&mut self, points: MatRef<'_, f64>) {
        while self.points.len() > 1 {
            let target = self.affine_minimum(points);
            // The first weight that comes to zero on the way there.
            let reach = |(now, then): (&f64, &f64)| if then < now { now / (now - then) } else { f64::INFINITY };
            let steps: Vec<f64> = self.weights.iter().zip(&target).map(reach).collect();
            let step = steps.iter().fold(1.0, |least: f64, &step| if step < least { step } else { least });
            for (weight, target) in self.weights.iter_mut().zip(&target) {
                *weight += step * (target - *weight);
            }
            if target.iter().all(|&weight| weight > 0.0) {
                return;
            }
            let leaving: Vec<bool> = steps.iter().zip(&target).map(|(&s, &t)| s <= step && t <= 0.0).collect();
            // Numbers that are none, of coordinates that overflow: nothing would ever leave.
            if !leaving.contains(&true) {
                return;
            }
            let mut stays = leaving.iter().map(|leaves| !leaves);
            self.points.retain(|_| stays.next().unwrap_or(true));
            let mut stays = leaving.iter().map(|leaves| !leaves);
            self.weights.retain(|_| stays.next().unwrap_or(true));
        }
        self.weights = vec![1.0];
    }

    /// The weights, of sum 1 and any sign, of the nearest point of the affine hull.
    fn affine_minimum(&self, points: MatRef<'_, f64>) -> Vec<f64> {
        let first = points.subcols(self.points[0], 1);
        let others = &self.points[1..];
        let edges =
            Mat::from_fn(points.nrows(), others.len(), |dim, edge| points[(dim, others[edge])] - first[(dim, 0)]);
        // More edges than dimensions cannot be independent; the extra row of zeros lets least squares go on.
        let rows = points.nrows().max(others.len());
        let mut padded = Mat::zeros(rows, others.len());
        padded.as_mut().subrows_mut(0, points.nrows()).copy_from(&edges);
        let mut along = Mat::zeros(rows, 1);
        along.as_mut().subrows_mut(0, points.nrows()).copy_from(first * faer::Scale(-1.0));
        let solved = padded.col_piv_qr().solve_lstsq(&along);
        let mut weights = vec![1.0 - solved.col(0).iter().sum::<f64>()];
        weights.extend(solved.col(0).iter());
        weights
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use faer::linalg::solvers::Solve;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    fn contains(hull: &Hull, point: &[f64]) -> bool {
        hull.contains(|dim| point[dim])
    }

    /// Whether the point is in the simplex of these rows, by its barycentric coordinates, with their least one.
    fn in_simplex(points: MatRef<'_, f64>, corners: &[usize], point: &[f64]) -> f64 {
        let d = points.ncols();
        let system = Mat::from_fn(d + 1, d + 1, |row, col| if row == d { 1.0 } else { points[(corners[col], row)] });
        let target = Mat::from_fn(d + 1, 1, |row, _| if row == d { 1.0 } else { point[row] });
        system.full_piv_lu().solve(target).col(0).iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// All choices of so many of n.
    fn subsets(n: usize, size: usize) -> Vec<Vec<usize>> {
        if size == 0 {
            return vec![Vec::new()];
        }
        let with_last =
            |last: usize| subsets(last, size - 1).into_iter().map(move |first| [first, vec![last]].concat());
        (0..n).flat_map(with_last).collect()
    }

    /// By Carathéodory, a point is in the hull if it is in a simplex of some of the points.
    #[test]
    fn membership_is_that_in_some_simplex() {
        let mut rng = Pcg64::seed_from_u64(1);
        let mut seen = [0, 0];
        for (dims, count) in [(1, 3), (2, 7), (3, 8), (4, 8)] {
            for _ in 0..20 {
                let units = [1e4, 1.0, 1e-3, 10.0];
                let points = Mat::from_fn(count, dims, |_, dim| units[dim] * rng.random_range(-1.0..1.0));
                let hull = Hull::new(points.as_ref());
                for _ in 0..20 {
                    let point: Vec<f64> = (0..dims).map(|dim| units[dim] * rng.random_range(-0.8..0.8)).collect();
                    let simplices = subsets(count, dims + 1);
                    let least = simplices.iter().map(|corners| in_simplex(points.as_ref(), corners, &point));
                    let expected = least.fold(f64::NEG_INFINITY, f64::max) >= 0.0;
                    assert_eq!(contains(&hull, &point), expected, "{points:?} {point:?}");
                    seen[usize::from(expected)] += 1;
                }
            }
        }
        assert!(seen[0] > 200 && seen[1] > 200, "{seen:?}");
    }

    /// Numbers that are none leave no point behind, and none to go to.
    #[test]
    fn a_corral_without_numbers_settles() {
        let points = Mat::from_fn(2, 3, |_, col| if col == 1 { f64::NAN } else { 1.0 + col as f64 });
        let mut corral = Corral { points: vec![0, 1, 2], weights: vec![1.0, 0.0, 0.0] };
        corral.settle(points.as_ref());
        assert!(!holds_origin(points.as_ref()));
    }

    #[test]
    fn hulls_without_volume_have_members() {
        // A triangle in a plane of three dimensions, twice.
        let corners = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let triangle = Hull::new(Mat::from_fn(6, 3, |row, dim| corners[row % 3][dim]).as_ref());
        assert!(contains(&triangle, &[0.2, 0.3, 0.5]) && contains(&triangle, &[0.5, 0.0, 0.5]));
        assert!(!contains(&triangle, &[0.2, 0.3, 0.5001]) && !contains(&triangle, &[-0.1, 0.6, 0.5]));
        // A segment; a parameter that all share.
        let segment = Hull::new(Mat::from_fn(5, 2, |row, dim| if dim == 0 { row as f64 } else { 4.5 }).as_ref());
        assert!(contains(&segment, &[3.7, 4.5]) && contains(&segment, &[0.0, 4.5]));
        assert!(!contains(&segment, &[3.7, 4.6]) && !contains(&segment, &[4.1, 4.5]));
        let point = Hull::new(Mat::from_fn(1, 2, |_, dim| dim as f64).as_ref());
        assert!(contains(&point, &[0.0, 1.0]) && !contains(&point, &[0.0, 1.1]));
    }

    /// A grid of 1000 points, most of them on faces and edges of the hull: convex combinations are in, its points and
    /// face centres too, and what is a little beyond a face is not.
    #[test]
    fn large_grids_are_exact_on_their_faces() {
        let at = |point: usize, dim: usize| (point / [1, 10, 100][dim] % 10) as f64 * [200.0, 0.5, 1.0][dim] + 3.0;
        let grid = Mat::from_fn(1000, 3, at);
        let hull = Hull::new(grid.as_ref());
        let mut rng = Pcg64::seed_from_u64(2);
        for point in (0..1000).step_by(7) {
            assert!(contains(&hull, &[grid[(point, 0)], grid[(point, 1)], grid[(point, 2)]]));
            let inner: Vec<f64> =
                [1800.0, 4.5, 9.0].iter().map(|size| 3.0 + size * rng.random_range(0.0..1.0)).collect();
            assert!(contains(&hull, &inner));
            let mut face = inner.clone();
            face[point % 3] = grid[(0, point % 3)];
            assert!(contains(&hull, &face));
            face[point % 3] -= 1e-6;
            assert!(!contains(&hull, &face) || point % 3 == 0, "{face:?}");
            face[point % 3] -= 1e-2;
            assert!(!contains(&hull, &face));
        }
    }

    /// Combinations of points on a sphere, where every point is a corner.
    #[test]
    fn combinations_of_corners_are_inside() {
        let mut rng = Pcg64::seed_from_u64(3);
        for dims in [2, 5, 8] {
            let mut points = Mat::from_fn(300, dims, |_, _| rng.random_range(-1.0..1.0f64));
            for row in 0..300 {
                let norm = points.row(row).norm_l2();
                points.row_mut(row).iter_mut().for_each(|x| *x /= norm);
            }
            let hull = Hull::new(points.as_ref());
            for row in 0..100 {
                let share = rng.random_range(0.0..1.0);
                let chord = |dim: usize| share * points[(row, dim)] + (1.0 - share) * points[(row + 1, dim)];
                assert!(hull.contains(chord));
                assert!(!hull.contains(|dim| 1.0001 * points[(row, dim)]));
            }
        }
    }
}
