//! Points in the order in which sweeps read them.

use crate::Scalar;

/// The coordinates of points, one dimension after the other.
#[derive(Clone, Copy)]
pub(crate) struct Coordinates<'a, T> {
    pub(crate) points: usize,
    pub(crate) dim: usize,
    /// Those in one dimension.
    pub(crate) column: &'a (dyn Fn(usize) -> &'a [T] + 'a),
}

/// Points in groups of equal size, coordinate by coordinate: filled up to whole groups with zeros.
#[derive(Debug)]
pub(super) struct Groups<T> {
    buffer: Vec<T>,
    size: usize,
    points: usize,
    dim: usize,
}

impl<T: Scalar> Groups<T> {
    /// The points in groups of so many, in a recycled buffer.
    pub(super) fn new(mut buffer: Vec<T>, size: usize, Coordinates { points, dim, column }: Coordinates<'_, T>) -> Self {
        buffer.resize(points.next_multiple_of(size) * dim, T::from_f64(0.0));
        for d in 0..dim {
            for (group, part) in buffer.chunks_exact_mut(size * dim).zip(column(d).chunks(size)) {
                let group = &mut group[d * size..][..size];
                group[..part.len()].copy_from_slice(part);
                group[part.len()..].fill(T::from_f64(0.0));
            }
        }
        Self { buffer, size, points, dim }
    }

    pub(super) fn into_buffer(self) -> Vec<T> {
        self.buffer
    }

    #[inline(always)]
    pub(super) fn points(&self) -> usize {
        self.points
    }

    #[inline(always)]
    pub(super) fn groups(&self) -> usize {
        self.points.div_ceil(self.size)
    }

    #[inline(always)]
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// The coordinates of a group.
    #[inline(always)]
    pub(super) fn group(&self, index: usize) -> &[T] {
        let len = self.size * self.dim;
        &self.buffer[index * len..][..len]
    }
}
