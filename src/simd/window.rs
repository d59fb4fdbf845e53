//! A block of a matrix that is stored by columns, to be written by parts of columns.

use std::marker::PhantomData;

use faer::{MatMut, MatRef};

use super::stream::LINE;

/// A block of a matrix whose columns are contiguous.
#[derive(Debug)]
pub struct Window<'a, T> {
    start: *mut T,
    col_stride: usize,
    rows: usize,
    cols: usize,
    matrix: PhantomData<&'a mut T>,
}

impl<'a, T> Window<'a, T> {
    /// The whole of a matrix; `None` if its columns are not contiguous.
    pub(crate) fn new(matrix: MatMut<'a, T>) -> Option<Self> {
        let (rows, cols) = matrix.shape();
        let col_stride = usize::try_from(matrix.col_stride()).ok().filter(|&stride| stride >= rows || cols <= 1)?;
        (matrix.row_stride() == 1 || rows <= 1).then(|| Self {
            start: matrix.as_ptr_mut(),
            col_stride,
            rows,
            cols,
            matrix: PhantomData,
        })
    }

    /// A tile with so many rows.
    pub(crate) fn of_tile(tile: &'a mut [T], rows: usize) -> Self {
        let cols = tile.len() / rows.max(1);
        Self { start: tile.as_mut_ptr(), col_stride: rows, rows, cols, matrix: PhantomData }
    }

    /// Asks for the memory of places in a row that will be written, of `N` columns. A hint: it does nothing where there is
    /// no such instruction, and beyond the window.
    #[inline(always)]
    pub(crate) fn prefetch<const N: usize>(&self, col: usize, row: usize) {
        #[cfg(target_arch = "x86_64")]
        if col + N <= self.cols && row < self.rows {
            for column in col..col + N {
                // SAFETY: a prefetch never faults and has no effect on memory; the address is that of an element of the
                // matrix.
                #[allow(unsafe_code)]
                unsafe {
                    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                    _mm_prefetch::<_MM_HINT_T0>(self.start.add(column * self.col_stride + row).cast());
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (col, row);
    }

    /// Whether every column begins with a cache line.
    pub(crate) fn is_aligned(&self) -> bool {
        self.start.addr().is_multiple_of(LINE) && (self.col_stride * size_of::<T>()).is_multiple_of(LINE)
    }

    /// A part of a column.
    ///
    /// # Panics
    ///
    /// If it is not within the window: a mistake in the loops of this module.
    #[inline(always)]
    pub(crate) fn part(&mut self, col: usize, row: usize, len: usize) -> &mut [T] {
        assert!(col < self.cols && row + len <= self.rows);
        // SAFETY: `start` and the strides are those of a matrix, or a tile, that is borrowed mutably for
        // `'a`, and the part is within its shape.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(col * self.col_stride + row), len)
        }
    }

    /// The same part of several columns.
    ///
    /// # Panics
    ///
    /// As [`part`](Self::part).
    #[inline(always)]
    pub(crate) fn columns<const N: usize>(&mut self, col: usize, row: usize, len: usize) -> [&mut [T]; N] {
        assert!(col + N <= self.cols && row + len <= self.rows && len <= self.col_stride);
        let (mut start, stride) = (self.start.wrapping_add(col * self.col_stride + row), self.col_stride);
        [(); N].map(|()| {
            // SAFETY: as in `part`; the parts do not overlap, because none is longer than columns are apart.
            #[allow(unsafe_code)]
            let column = unsafe { std::slice::from_raw_parts_mut(start, len) };
            start = start.wrapping_add(stride);
            column
        })
    }

    /// A part of a column of a length that is known to the compiler.
    ///
    /// # Panics
    ///
    /// As [`part`](Self::part).
    #[inline(always)]
    pub(crate) fn line<const LEN: usize>(&mut self, col: usize, row: usize) -> &mut [T; LEN] {
        assert!(col < self.cols && row + LEN <= self.rows);
        // SAFETY: as in `part`.
        #[allow(unsafe_code)]
        unsafe {
            &mut *self.start.add(col * self.col_stride + row).cast()
        }
    }

    /// Writes so many columns of as many rows.
    ///
    /// # Panics
    ///
    /// As [`part`](Self::part).
    #[inline(always)]
    pub(crate) fn set_block<const SIDE: usize>(&mut self, col: usize, row: usize, block: &[[T; SIDE]; SIDE])
    where
        T: Copy,
    {
        assert!(col + SIDE <= self.cols && row + SIDE <= self.rows);
        let mut start = self.start.wrapping_add(col * self.col_stride + row);
        for line in block {
            // SAFETY: as in `part`, for each of the columns, one after the other.
            #[allow(unsafe_code)]
            unsafe {
                *start.cast() = *line;
            }
            start = start.wrapping_add(self.col_stride);
        }
    }
}

/// A block of a matrix whose columns are contiguous, to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a, T> {
    start: *const T,
    col_stride: usize,
    rows: usize,
    cols: usize,
    matrix: PhantomData<&'a T>,
}

impl<'a, T> View<'a, T> {
    /// The whole of a matrix; `None` if its columns are not contiguous.
    pub(crate) fn new(matrix: MatRef<'a, T>) -> Option<Self> {
        let (rows, cols) = matrix.shape();
        let col_stride = usize::try_from(matrix.col_stride()).ok()?;
        (matrix.row_stride() == 1 || rows <= 1).then(|| Self {
            start: matrix.as_ptr(),
            col_stride,
            rows,
            cols,
            matrix: PhantomData,
        })
    }

    /// A tile, by columns with so many rows.
    pub(crate) fn of_tile(tile: &'a [T], rows: usize) -> Self {
        let cols = tile.len() / rows.max(1);
        Self { start: tile.as_ptr(), col_stride: rows, rows, cols, matrix: PhantomData }
    }

    /// A part of a column.
    ///
    /// # Panics
    ///
    /// If it is not within the view: a mistake in the loops of this module.
    #[inline(always)]
    pub(crate) fn part(&self, col: usize, row: usize, len: usize) -> &'a [T] {
        assert!(col < self.cols && row + len <= self.rows);
        // SAFETY: `start` and the stride are those of a matrix that is borrowed for `'a`, and the part is
        // within its shape.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(self.start.add(col * self.col_stride + row), len)
        }
    }

    /// A part of a column of a length that is known to the compiler.
    ///
    /// # Panics
    ///
    /// As [`part`](Self::part).
    #[inline(always)]
    pub(crate) fn line<const LEN: usize>(&self, col: usize, row: usize) -> &'a [T; LEN] {
        assert!(col < self.cols && row + LEN <= self.rows);
        // SAFETY: as in `part`.
        #[allow(unsafe_code)]
        unsafe {
            &*self.start.add(col * self.col_stride + row).cast()
        }
    }

    /// So many columns of as many rows.
    ///
    /// # Panics
    ///
    /// As [`part`](Self::part).
    #[inline(always)]
    pub(crate) fn block<const SIDE: usize>(&self, col: usize, row: usize) -> [[T; SIDE]; SIDE]
    where
        T: Copy + Default,
    {
        assert!(col + SIDE <= self.cols && row + SIDE <= self.rows);
        let mut block = [[T::default(); SIDE]; SIDE];
        let mut start = self.start.wrapping_add(col * self.col_stride + row);
        for line in &mut block {
            // SAFETY: as in `part`, for each of the columns.
            #[allow(unsafe_code)]
            unsafe {
                *line = *start.cast();
            }
            start = start.wrapping_add(self.col_stride);
        }
        block
    }

    /// Asks for the cache lines of one of `parts` parts of the columns. A hint: it does nothing where there
    /// is no such instruction.
    #[inline(always)]
    pub(crate) fn prefetch(&self, part: usize, parts: usize) {
        #[cfg(target_arch = "x86_64")]
        for col in self.cols * part / parts..self.cols * (part + 1) / parts {
            for row in (0..self.rows).step_by(LINE / size_of::<T>()) {
                // SAFETY: a prefetch never faults and has no effect on memory; the address is that of an
                // element of the matrix.
                #[allow(unsafe_code)]
                unsafe {
                    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                    _mm_prefetch::<_MM_HINT_T0>(self.start.add(col * self.col_stride + row).cast());
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (part, parts);
    }
}
