//! Functions of the distances of one leaf, and their gradients, without a tile of distances.

use super::{Scratch, moments_mut};
use crate::Scalar;
use crate::kernel::tile::Pairs;
use crate::simd::cotangents::Weights;
use crate::simd::groups::Coordinates;
use crate::simd::sum::by_halves;
use crate::simd::sweep::{OfSquaredDistance, Order, sweep};
use crate::simd::sweep_gradient::{Gradient, GradientInSquaredDistance, SLOTS, Sink};
use crate::simd::window::Window;

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
    /// leaf is part of: returns what it sums, and keeps that in the distances, or its moments, if they are
    /// wanted. For differences without weights.
    pub(crate) fn sweep_gradient<F: GradientInSquaredDistance<T>>(
        &mut self,
        pairs: &Pairs<'_, T>,
        function: F,
        cotangent: &[T],
        next: Option<&Weights<'_, T>>,
    ) -> [T; 2] {
        let (x, y) = (|dim| pairs.x_column(dim), |dim| pairs.y_column(dim));
        let rows = Coordinates { points: pairs.nrows(), dim: pairs.dim(), column: &x };
        let cols = Coordinates { points: pairs.ncols(), dim: pairs.dim(), column: &y };
        let buffers = self.take_two();
        let (key, slots) = (self.key(pairs), (pairs.x.slot(), pairs.y.slot()));
        let mut lanes = self.take(pairs.dim() * SLOTS);
        let (sums, buffers) = if let Some(moments) = self.gradients.as_mut().and_then(|(x, y)| moments_mut(x, y, slots))
        {
            lanes.fill(T::from_f64(0.0));
            let (lanes, _) = lanes.as_chunks_mut();
            let sink = Sink::Moments(lanes);
            let found = Gradient { function, rows, cols, cotangent, next, sink, buffers }.run();
            for (moment, lanes) in moments.iter_mut().zip(lanes) {
                *moment += 2.0 * by_halves(*lanes).as_f64();
            }
            found
        } else {
            let shared = self.shared[key].of_block(pairs);
            let sink = match shared.wants_gradient {
                true => Sink::Tile(shared.squared_gradient.unfilled(pairs.len())),
                false => Sink::Nowhere,
            };
            Gradient { function, rows, cols, cotangent, next, sink, buffers }.run()
        };
        self.give(lanes);
        self.pool.extend(buffers);
        sums
    }

    /// Two buffers of any length, in the order in which they were given back: each finds the one of its size again.
    fn take_two(&mut self) -> [Vec<T>; 2] {
        let second = self.pool.pop().unwrap_or_default();
        [self.pool.pop().unwrap_or_default(), second]
    }
}
