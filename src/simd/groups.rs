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
            let column = column(d);
            // Sizes that the compiler knows: their copies are single instructions.
            match size {
                4 => copy(&mut buffer, 4, (d, dim), column),
                8 => copy(&mut buffer, 8, (d, dim), column),
                16 => copy(&mut buffer, 16, (d, dim), column),
                32 => copy(&mut buffer, 32, (d, dim), column),
                _ => copy(&mut buffer, size, (d, dim), column),
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

/// Copies the coordinates in one dimension into groups.
#[inline(always)]
fn copy<T: Scalar>(buffer: &mut [T], size: usize, (d, dim): (usize, usize), column: &[T]) {
    let parts = column.chunks_exact(size);
    let rest = parts.remainder();
    let mut groups = buffer.chunks_exact_mut(size * dim);
    for (part, group) in parts.zip(&mut groups) {
        group[d * size..][..size].copy_from_slice(part);
    }
    if let (Some(group), false) = (groups.next(), rest.is_empty()) {
        let (out, beyond) = group[d * size..][..size].split_at_mut(rest.len());
        out.copy_from_slice(rest);
        beyond.fill(T::from_f64(0.0));
    }
}
