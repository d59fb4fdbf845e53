//! Functions of the distances of one leaf, and their gradients, without a tile of distances.

use super::{Scratch, moments_mut};
use crate::Scalar;
use crate::kernel::tile::Pairs;
use crate::simd::cotangents::Ahead;
use crate::simd::elementwise::add_scaled;
use crate::simd::groups::Coordinates;
use crate::simd::sum::by_halves;
use crate::simd::sweep::{OfSquaredDistance, Order, sweep};
use crate::simd::sweep_gradient::{Gradient, GradientInSquaredDistance, Known, SLOTS, Sink};
use crate::simd::window::{View, Window};

impl<T: Scalar> Scratch<T> {
    /// Writes a function of the squared distances of a leaf's points straight into a matrix, or into its transpose,
    /// unless others ask for the distances too, or differences have weights; says whether it did.
    pub(crate) fn sweep<F: OfSquaredDistance<T>>(
        &mut self,
        pairs: &Pairs<'_, T>,
        function: F,
        out: &mut Window<'_, T>,
        (transposed, order): (bool, Order),
    ) -> bool {
        if self.shares_squared_distances(pairs) || pairs.weights().is_some() {
            return false;
        }
        let (x, y) = (|dim| pairs.x_column(dim), |dim| pairs.y_column(dim));
        let x = Coordinates { points: pairs.nrows(), dim: pairs.dim(), column: &x };
        let y = Coordinates { points: pairs.ncols(), dim: pairs.dim(), column: &y };
        let (rows, cols) = if transposed { (y, x) } else { (x, y) };
        let buffers = self.take_two();
        self.pool.extend(sweep(function, rows, cols, out, order, buffers));
        true
    }

    /// The gradient of a function of the squared distances of a leaf's points, from the cotangents of a block that no other
    /// leaf is part of: returns what it sums, the first if `in_argument`, and keeps that in the distances, or its moments, if
    /// they are wanted. For differences without weights.
    pub(crate) fn sweep_gradient<F: GradientInSquaredDistance<T>>(
        &mut self,
        pairs: &Pairs<'_, T>,
        (function, in_argument): (F, bool),
        (cotangent, known): (View<'_, T>, Option<Known<'_, T>>),
        next: Option<&Ahead<'_, T>>,
    ) -> [T; 2] {
        let (x, y) = (|dim| pairs.x_column(dim), |dim| pairs.y_column(dim));
        let rows = Coordinates { points: pairs.nrows(), dim: pairs.dim(), column: &x };
        let cols = Coordinates { points: pairs.ncols(), dim: pairs.dim(), column: &y };
        let [in_rows, in_cols] = self.take_two();
        let buffers = [in_rows, in_cols, std::mem::take(&mut self.room)];
        let (key, slots) = (self.key(pairs), (pairs.x.slot(), pairs.y.slot()));
        let Some((in_x, in_y)) = self
            .gradients
            .as_mut()
            .filter(|(x, y)| x.has_moments(slots.0) == y.has_moments(slots.1) && !y.wants_points(slots.1))
        else {
            let shared = self.shared[key].of_block(pairs);
            let sink = match shared.wants_gradient {
                true => Sink::Tile(shared.squared_gradient.unfilled(pairs.len())),
                false => Sink::Nowhere,
            };
            let gradient = Gradient { function, rows, cols, cotangent, known, next, in_argument, sink, buffers };
            let (sums, [in_rows, in_cols, room]) = gradient.run();
            self.pool.extend([in_rows, in_cols]);
            self.room = room;
            return sums;
        };
        // Nobody wants the gradient in the second set: no tile of it is needed.
        let zero = T::from_f64(0.0);
        let (dims, stride) = (pairs.dim(), pairs.nrows().next_multiple_of(SLOTS));
        let by_pairs = in_x.has_moments(slots.0);
        let [mut lanes, mut of_rows] =
            [(by_pairs, SLOTS), (in_x.wants_points(slots.0), stride)].map(|(wanted, len)| {
                let mut buffer = self.pool.pop().unwrap_or_default();
                buffer.clear();
                buffer.resize(if wanted { dims * len } else { 0 }, zero);
                buffer
            });
        let sink = Sink::Sums { moments: lanes.as_chunks_mut().0, rows: &mut of_rows };
        let gradient = Gradient { function, rows, cols, cotangent, known, next, in_argument, sink, buffers };
        let (sums, [in_rows, in_cols, room]) = gradient.run();
        self.room = room;
        let twice = T::from_f64(2.0) * function.unit();
        if let Some(moments) = moments_mut(in_x, in_y, slots) {
            for (moment, lanes) in moments.iter_mut().zip(lanes.as_chunks().0) {
                *moment += twice.as_f64() * by_halves::<T, SLOTS>(*lanes).as_f64();
            }
        }
        let out = if by_pairs { in_x.by_pairs_mut(slots.0) } else { in_x.slot_mut(slots.0) };
        if let Some(out) = out.filter(|_| !of_rows.is_empty()) {
            for (dim, amounts) in of_rows.chunks_exact(stride).enumerate() {
                add_scaled(&mut out.col_as_slice_mut(dim)[pairs.rows.clone()], amounts, twice);
            }
        }
        self.pool.extend([in_rows, in_cols, of_rows, lanes]);
        sums
    }

    /// Two buffers of any length, in the order in which they were given back: each finds the one of its size again.
    fn take_two(&mut self) -> [Vec<T>; 2] {
        let second = self.pool.pop().unwrap_or_default();
        [self.pool.pop().unwrap_or_default(), second]
    }
}
