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
    pub(super) fn new(
        mut buffer: Vec<T>,
        size: usize,
        Coordinates { points, dim, column }: Coordinates<'_, T>,
    ) -> Self {
        buffer.resize(points.next_multiple_of(size) * dim, T::from_f64(0.0));
        for d in 0..dim {
            let copy = match size {
                2 => copy::<T, 2>,
                4 => copy::<T, 4>,
                8 => copy::<T, 8>,
                16 => copy::<T, 16>,
                _ => copy::<T, 32>,
            };
            copy(&mut buffer, dim, d, column(d));
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

/// Copies the coordinates in one dimension into groups of `SIZE`: by copies of constant length.
fn copy<T: Scalar, const SIZE: usize>(buffer: &mut [T], dim: usize, d: usize, column: &[T]) {
    let (whole, rest) = column.as_chunks::<SIZE>();
    let mut groups = buffer.chunks_exact_mut(SIZE * dim);
    for (part, group) in whole.iter().zip(&mut groups) {
        if let Some(out) = group[d * SIZE..].first_chunk_mut() {
            *out = *part;
        }
    }
    if let (Some(group), false) = (groups.next(), rest.is_empty()) {
        let out = &mut group[d * SIZE..][..SIZE];
        out.fill(T::from_f64(0.0));
        for (out, coordinate) in out.iter_mut().zip(rest) {
            *out = *coordinate;
        }
    }
}
