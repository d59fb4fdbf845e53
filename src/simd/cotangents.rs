//! Cotangents of a block of pairs, from a matrix.

#[cfg(target_arch = "x86_64")]
use pulp::NullaryFnOnce;

#[cfg(target_arch = "x86_64")]
use super::transpose::Block;
use super::window::View;
#[cfg(target_arch = "x86_64")]
use super::window::Window;
#[cfg(target_arch = "x86_64")]
use crate::Scalar;

/// Where the cotangents of a block are.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, T> {
    pub(crate) block: View<'a, T>,
    /// Those of the mirror image, to be added.
    pub(crate) mirrored: Option<View<'a, T>>,
}

/// What will be read next: cotangents, those of the mirror image, and values that are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead<'a, T>(pub(crate) [Option<View<'a, T>>; 3]);

impl<T> Ahead<'_, T> {
    /// Asks for the memory of one of so many parts.
    #[inline(always)]
    pub(crate) fn prefetch(&self, part: usize, parts: usize) {
        for view in self.0.iter().flatten() {
            view.prefetch(part, parts);
        }
    }
}

/// Writes the valid part of a block, given as first row and height, first column and width.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn write<T: Scalar, const SIDE: usize>(
    block: &[[T; SIDE]; SIDE],
    window: &mut Window<'_, T>,
    (row, height): (usize, usize),
    (col, width): (usize, usize),
) {
    // Whole lines apart from the others: their constant length makes them single registers.
    if height == SIDE {
        for (c, values) in block.iter().enumerate().take(width) {
            let out = window.line::<SIDE>(col + c, row);
            *out = *values;
        }
    } else {
        for (c, values) in block.iter().enumerate().take(width) {
            window.part(col + c, row, height).copy_from_slice(&values[..height]);
        }
    }
}

/// A block of cotangents, given as first row and height, first column and width; zero beyond.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn read<S: Block<T, SIDE>, T: Scalar, const SIDE: usize>(
    simd: S,
    weights: &Weights<'_, T>,
    (row, height): (usize, usize),
    (col, width): (usize, usize),
) -> [[T; SIDE]; SIDE] {
    let mut block = read_lines(&weights.block, (row, height), (col, width));
    if let Some(mirrored) = &weights.mirrored {
        let image = simd.transpose(read_lines(mirrored, (col, width), (row, height)));
        for (out, image) in block.as_flattened_mut().iter_mut().zip(image.as_flattened()) {
            *out += *image;
        }
    }
    block
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn read_lines<T: Scalar, const SIDE: usize>(
    view: &View<'_, T>,
    (row, height): (usize, usize),
    (col, width): (usize, usize),
) -> [[T; SIDE]; SIDE] {
    let mut block = [[T::from_f64(0.0); SIDE]; SIDE];
    if height == SIDE {
        for (c, line) in block.iter_mut().enumerate().take(width) {
            *line = *view.line::<SIDE>(col + c, row);
        }
    } else {
        for (c, line) in block.iter_mut().enumerate().take(width) {
            line[..height].copy_from_slice(view.part(col + c, row, height));
        }
    }
    block
}

#[cfg(target_arch = "x86_64")]
struct Read<'a, 'w, S, T, const SIDE: usize> {
    simd: S,
    weights: &'a Weights<'w, T>,
    rows: usize,
    cols: usize,
    out: Window<'a, T>,
}

#[cfg(target_arch = "x86_64")]
impl<S: Block<T, SIDE>, T: Scalar, const SIDE: usize> NullaryFnOnce for Read<'_, '_, S, T, SIDE> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        for row in (0..self.rows).step_by(SIDE) {
            let height = SIDE.min(self.rows - row);
            for col in (0..self.cols).step_by(SIDE) {
                let width = SIDE.min(self.cols - col);
                let block = read(self.simd, self.weights, (row, height), (col, width));
                write(&block, &mut self.out, (row, height), (col, width));
            }
        }
    }
}

/// The functions that [`Scalar`] selects, where this machine has the registers for them; each says whether
/// it did its work.
macro_rules! read {
    ($read:ident, $type:ty, $half:literal, $whole:literal) => {
        /// Fills a tile with so many rows with the cotangents of a block.
        pub(crate) fn $read(weights: &Weights<'_, $type>, rows: usize, out: &mut [$type]) -> bool {
            #[cfg(target_arch = "x86_64")]
            {
                let cols = out.len() / rows.max(1);
                if let Some(simd) = crate::simd::level::v4() {
                    let out = Window::of_tile(out, rows);
                    simd.vectorize(Read::<_, $type, $whole> { simd, weights, rows, cols, out });
                    return true;
                }
                if let Some(simd) = crate::simd::level::v3() {
                    let out = Window::of_tile(out, rows);
                    simd.vectorize(Read::<_, $type, $half> { simd, weights, rows, cols, out });
                    return true;
                }
            }
            let _ = (weights, rows, out);
            false
        }
    };
}

read!(read_f32, f32, 8, 16);
read!(read_f64, f64, 4, 8);
