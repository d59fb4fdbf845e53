//! Transposed copies of many blocks of one matrix into another.

#[cfg(target_arch = "x86_64")]
use super::registers::Block;
use crate::Scalar;
#[cfg(target_arch = "x86_64")]
use crate::simd::cotangents::{read_lines, write};
use crate::simd::window::{View, Window};

/// Blocks of one matrix whose transposes are blocks of another.
#[derive(Debug)]
pub struct Series<'a, 'w, T> {
    pub(crate) from: View<'a, T>,
    pub(crate) to: Window<'w, T>,
    /// Where the first block begins, and its transpose.
    pub(crate) first: (Place, Place),
    /// How far the next is from it.
    pub(crate) step: (Place, Place),
    pub(crate) count: usize,
    /// Rows and columns of a block.
    pub(crate) shape: (usize, usize),
}

/// A row and a column.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl Place {
    /// In the first row.
    pub(crate) fn column(col: usize) -> Self {
        Self { row: 0, col }
    }

    #[inline(always)]
    fn after(self, steps: usize, step: Self) -> Self {
        Self { row: self.row + steps * step.row, col: self.col + steps * step.col }
    }
}

/// Writes the transposes of blocks.
pub(crate) fn transpose_series<T: Scalar>(series: Series<'_, '_, T>) {
    if let Some(Series { from, mut to, first, step, count, shape }) = T::transpose_series(series) {
        for index in 0..count {
            let (source, target) = (first.0.after(index, step.0), first.1.after(index, step.1));
            for col in 0..shape.1 {
                let column = from.part(source.col + col, source.row, shape.0);
                for (row, &value) in column.iter().enumerate() {
                    to.part(target.col + row, target.row + col, 1)[0] = value;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
/// All blocks of a series.
pub(super) struct All<'a, 'w, S, T, const SIDE: usize> {
    pub(super) simd: S,
    pub(super) series: Series<'a, 'w, T>,
}

#[cfg(target_arch = "x86_64")]
impl<S: Block<T, SIDE>, T: Scalar, const SIDE: usize> pulp::NullaryFnOnce for All<'_, '_, S, T, SIDE> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Series { from, mut to, first, step, count, shape } = self.series;
        for index in 0..count {
            let (source, target) = (first.0.after(index, step.0), first.1.after(index, step.1));
            for row in (0..shape.0).step_by(SIDE) {
                let height = SIDE.min(shape.0 - row);
                for col in (0..shape.1).step_by(SIDE) {
                    let width = SIDE.min(shape.1 - col);
                    let (from_row, from_col) = (source.row + row, source.col + col);
                    let (to_row, to_col) = (target.row + col, target.col + row);
                    if height == SIDE && width == SIDE {
                        // Apart from the others: the compiler knows how many lines there are.
                        let block = self.simd.transpose(from.block::<SIDE>(from_col, from_row));
                        to.set_block(to_col, to_row, &block);
                    } else {
                        let block = read_lines(&from, (from_row, height), (from_col, width));
                        let block = self.simd.transpose(block);
                        write(&block, &mut to, (to_row, width), (to_col, height));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks side by side, each from below a line that is not read into one that has a line to spare.
    fn check_series<T: Scalar>() {
        for (rows, cols, count) in [(1, 1, 1), (8, 20, 3), (16, 16, 2), (3, 9, 4), (17, 5, 2), (32, 33, 3), (4, 8, 0)] {
            let from: Vec<T> = (0..(rows + 1) * cols * count).map(|entry| T::from_f64(entry as f64)).collect();
            let mut to = vec![T::from_f64(-1.0); (cols + 1) * rows * count];
            transpose_series(Series {
                from: View::of_tile(&from, rows + 1),
                to: Window::of_tile(&mut to, cols + 1),
                first: (Place { row: 1, col: 0 }, Place::default()),
                step: (Place::column(cols), Place::column(rows)),
                count,
                shape: (rows, cols),
            });
            for index in 0..count {
                for (row, line) in to.chunks_exact(cols + 1).skip(index * rows).take(rows).enumerate() {
                    for col in 0..cols {
                        assert_eq!(line[col], from[(index * cols + col) * (rows + 1) + row + 1], "{rows} x {cols}");
                    }
                    assert_eq!(line[cols], T::from_f64(-1.0));
                }
            }
        }
    }

    #[test]
    fn blocks_of_a_series_land_where_they_should() {
        check_series::<f32>();
        check_series::<f64>();
    }
}
