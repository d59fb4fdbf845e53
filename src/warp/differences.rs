//! Maps of differences: for pairs whose points, mapped each by itself, would have lost what they differ by.
//!
//! A kernel of differences alone has k(f(x), f(y)) = k(f(x) − f(y), 0). A block of pairs is then one column of points,
//! the differences, each against 0. They are formed pair by pair, by the map itself, from what x and y differ
//! by, and any kernel takes them as it takes any points. It costs a map and an embedding a pair in place of one a
//! point, and is done where rounding leaves no choice.

use faer::Mat;

use crate::Scalar;
use crate::kernel::span::{Ranges, farthest};
use crate::kernel::tile::tile_by_pairs;
use crate::kernel::{DiagVjp, EmbedVjp, Embedding, Features, Kernel, Pairs, Points, Scratch, TileVjp};

/// How far apart the distances are at which [`loses`] looks at a kernel.
const STEP: f64 = 4.0;

/// Whether errors of this size in the coordinates of differences may change values by more than ε^(3/4)/8 of k(0), the
/// bound behind [`farthest`].
///
/// The error of a value is the slope of the kernel times that of the difference. The slope is estimated from values at
/// 0 and at distances that grow by a factor, in the direction in which all coordinates are off at once. At a distance
/// of n errors, a kernel that is at most k(0) can change by no more than 2/n of it for each error, and the search ends.
pub(crate) fn loses<T: Scalar>(kernel: &dyn Kernel<T>, errors: &[f64]) -> bool {
    if errors.iter().all(|&error| error == 0.0) {
        return false;
    }
    if !errors.iter().all(|error| error.is_finite()) {
        return true;
    }
    let bound = T::epsilon().as_f64() * farthest::<T>();
    let grows = |distance: &f64| Some(STEP * distance).filter(|distance| 2.0 / distance > 0.5 * bound);
    let distances: Vec<f64> = std::iter::once(0.0).chain(std::iter::successors(Some(1.0), grows)).collect();
    let points = Mat::from_fn(distances.len(), errors.len(), |row, dim| T::from_f64(distances[row] * errors[dim]));
    let (mut values, zero) = (vec![T::from_f64(0.0); distances.len()], Mat::zeros(1, errors.len()));
    let ranges = Ranges::of(zero.as_ref());
    let [x, y] = [&points, &zero].map(|points| Embedding::new(kernel, points.as_ref(), &ranges, false));
    let column = Pairs::new(&x.features, &y.features, 0..distances.len(), 0..1, false);
    kernel.tile(&column, &mut values, &mut Scratch::new(&x, &y));
    let height = values[0].as_f64().abs();
    let slope = |(values, distances): (&[T], &[f64])| (values[1] - values[0]).as_f64() / (distances[1] - distances[0]);
    values.windows(2).zip(distances.windows(2)).map(slope).any(|slope| slope.abs() > bound * height)
}

/// Writes f(x) − f(y).
type Difference<'a, T> = dyn Fn([&[T]; 2], &mut [T]) + 'a;

/// From the gradient in f(x) − f(y): adds to those in x, in y and in the parameters of the map.
type Backward<'a, T> = dyn Fn([&[T]; 2], &[T], [&mut [T]; 2], &mut [f64]) + 'a;

/// A kernel on differences that a map forms.
pub(crate) struct Differences<'a, T: Scalar> {
    pub(crate) kernel: &'a dyn Kernel<T>,
    /// The dimension of what the map makes.
    pub(crate) made: usize,
    pub(crate) difference: &'a Difference<'a, T>,
    pub(crate) backward: &'a Backward<'a, T>,
}

impl<T: Scalar> Differences<'_, T> {
    /// The differences of a block, one a row, in the order of the tile.
    fn of(&self, pairs: &Pairs<'_, T>, scratch: &mut Scratch<T>) -> Mat<T> {
        let mut made = Mat::zeros(pairs.len(), self.made);
        let (mut difference, mut entry) = (vec![T::from_f64(0.0); self.made], 0);
        each_pair(pairs, scratch, |x, y| {
            (self.difference)([x, y], &mut difference);
            (0..self.made).for_each(|dim| made[(entry, dim)] = difference[dim]);
            entry += 1;
        });
        made
    }

    pub(crate) fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let (differences, zero) = (self.of(pairs, scratch), Mat::zeros(1, self.made));
        let ranges = Ranges::of(zero.as_ref());
        let [x, y] = [&differences, &zero].map(|points| Embedding::new(self.kernel, points.as_ref(), &ranges, false));
        let column = Pairs::column(&x.features, &y.features, pairs);
        self.kernel.tile(&column, out, &mut Scratch::new(&x, &y));
    }

    /// Adds to the gradients of the map and of the kernel, and to those in the points.
    pub(crate) fn tile_vjp(
        &self,
        pairs: &Pairs<'_, T>,
        cotangent: &[T],
        [in_map, in_kernel]: [&mut [f64]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let (differences, zero) = (self.of(pairs, scratch), Mat::zeros(1, self.made));
        let ranges = Ranges::of(zero.as_ref());
        let x = Embedding::new(self.kernel, differences.as_ref(), &ranges, true);
        let y = Embedding::new(self.kernel, zero.as_ref(), &ranges, false);
        let mut inner = Scratch::with_gradients(&x, &y);
        let column = Pairs::column(&x.features, &y.features, pairs);
        TileVjp::through(self.kernel, &column, cotangent, in_kernel, &mut inner);
        inner.pull_back(&x, &y);
        let Some((mut in_x, mut in_y)) = inner.into_gradients() else { return };
        self.kernel.embed_vjp(EmbedVjp::new(&x.input, &x.features, &mut in_x, in_kernel));
        self.kernel.embed_vjp(EmbedVjp::new(&y.input, &y.features, &mut in_y, in_kernel));
        let Some(in_differences) = in_x.take(&x.input) else { return };

        let (dim, rows) = (pairs.dim(), pairs.nrows());
        let [mut in_rows, mut in_cols] = [rows, pairs.ncols()].map(|points| vec![T::from_f64(0.0); points * dim]);
        let (mut in_difference, mut entry) = (vec![T::from_f64(0.0); self.made], 0);
        each_pair(pairs, scratch, |x, y| {
            (0..self.made).for_each(|dim| in_difference[dim] = in_differences[(entry, dim)]);
            let (row, col) = (entry % rows, entry / rows);
            let in_points = [&mut in_rows[row * dim..][..dim], &mut in_cols[col * dim..][..dim]];
            (self.backward)([x, y], &in_difference, in_points, in_map);
            entry += 1;
        });
        let add = |d: usize, out: &mut [T], more: &[T]| {
            out.iter_mut().zip(more.chunks_exact(dim)).for_each(|(out, more)| *out += more[d]);
        };
        scratch.add_point_gradient(pairs, |d, rows, cols| {
            add(d, rows, &in_rows);
            add(d, cols, &in_cols);
        });
    }

    /// x − x is 0, or NaN.
    fn of_points_with_themselves(&self, points: &Points<'_, T>) -> Mat<T> {
        let (mut made, mut point) = (Mat::zeros(points.len(), self.made), Vec::new());
        let mut difference = vec![T::from_f64(0.0); self.made];
        for row in 0..points.len() {
            points.copy_row(row, &mut point);
            (self.difference)([&point, &point], &mut difference);
            (0..self.made).for_each(|dim| made[(row, dim)] = difference[dim]);
        }
        made
    }

    pub(crate) fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let differences = self.of_points_with_themselves(features.points());
        let ranges = Ranges::of(differences.as_ref());
        self.kernel.tile_diag(&Embedding::new(self.kernel, differences.as_ref(), &ranges, false).features, out);
    }

    /// k(x, x) = k(0) depends on no point and on no map: adds to the gradient in the kernel, and returns what is left for the
    /// map and the points, which is 0, or NaN for a point that has no difference to itself.
    pub(crate) fn tile_diag_vjp(&self, features: &Features<'_, T>, cotangent: &[T], in_kernel: &mut [f64]) -> Vec<T> {
        let differences = self.of_points_with_themselves(features.points());
        let ranges = Ranges::of(differences.as_ref());
        let x = Embedding::new(self.kernel, differences.as_ref(), &ranges, false);
        let mut gradients = x.gradients();
        self.kernel.tile_diag_vjp(DiagVjp::new(&x.features, cotangent, in_kernel, &mut gradients));
        self.kernel.embed_vjp(EmbedVjp::new(&x.input, &x.features, &mut gradients, in_kernel));
        let mut own = vec![T::from_f64(0.0); cotangent.len()];
        self.kernel.tile_diag(&x.features, &mut own);
        own.iter().zip(cotangent).map(|(&value, &cotangent)| T::from_f64(0.0) * value * cotangent).collect()
    }
}

/// Shows every pair of a block, in the order of the tile.
fn each_pair<T: Scalar>(pairs: &Pairs<'_, T>, scratch: &mut Scratch<T>, mut see: impl FnMut(&[T], &[T])) {
    let mut unread = scratch.take(pairs.len());
    tile_by_pairs(pairs, &mut unread, scratch, |x, y| {
        see(x, y);
        T::from_f64(0.0)
    });
    scratch.give(unread);
}

/// What differences of x − o cost in digits beyond their own rounding, by coordinate: see [`farthest`]. `None` where it is
/// not known how far the points reach.
pub(crate) fn rounding<T: Scalar>(points: &Points<'_, T>) -> Option<Vec<f64>> {
    (0..points.dim()).map(|dim| Some(T::epsilon().as_f64() * points.reach(dim)?)).collect()
}
