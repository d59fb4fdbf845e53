//! Matrices in the order in which passes over panels read them.

use std::ops::Range;

use faer::MatRef;

use super::QUAD;
use crate::Scalar;
use crate::linalg::column;

/// Numbers of a quad on the diagonal.
const OWN: usize = QUAD * (QUAD + 1);

/// What a pass does with a matrix C.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Use {
    /// CX
    Product,
    /// C⁻¹X
    Solve,
}

/// How a matrix C is packed: for four outputs at a time, four numbers for each input that they need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    pub(crate) wanted: Use,
    /// Cᵀ in place of C.
    pub(crate) transposed: bool,
    /// Only the lower triangle of C is read. A solve needs one.
    pub(crate) triangular: bool,
    /// Rows of C, and columns.
    pub(crate) shape: (usize, usize),
}

impl Packing {
    /// That of a lower triangle with so many rows, or of its transpose.
    pub(crate) fn lower(wanted: Use, transposed: bool, rows: usize) -> Self {
        Self { wanted, transposed, triangular: true, shape: (rows, rows) }
    }

    /// That of a product with a matrix of this shape, or with its transpose.
    pub(crate) fn dense(transposed: bool, shape: (usize, usize)) -> Self {
        Self { wanted: Use::Product, transposed, triangular: false, shape }
    }

    /// Outputs and inputs, in whole quads.
    fn sides(self) -> (usize, usize) {
        let (rows, cols) = (self.shape.0.next_multiple_of(QUAD), self.shape.1.next_multiple_of(QUAD));
        if self.transposed { (cols, rows) } else { (rows, cols) }
    }

    fn quads(self) -> usize {
        self.sides().0 / QUAD
    }

    /// The inputs of a quad of outputs, in whole quads. A solve has its own quad apart.
    #[inline(always)]
    fn inputs(self, quad: usize) -> Range<usize> {
        let own = usize::from(self.wanted == Use::Product);
        match (self.triangular, self.transposed) {
            (false, _) => 0..self.sides().1,
            (true, false) => 0..QUAD * (quad + own),
            (true, true) => QUAD * (quad + 1 - own)..self.sides().1,
        }
    }

    /// Where the numbers of a quad begin.
    #[inline(always)]
    fn start(self, quad: usize) -> usize {
        let before = match (self.triangular, self.transposed) {
            (false, _) => quad * self.sides().1,
            (true, false) => QUAD * quad * (quad + 1) / 2 - self.without_own(quad),
            (true, true) => quad * self.sides().1 - QUAD * (quad * quad.saturating_sub(1) / 2) - self.without_own(quad),
        };
        QUAD * before
    }

    fn without_own(self, quads: usize) -> usize {
        if self.wanted == Use::Solve { QUAD * quads } else { 0 }
    }

    /// How many numbers there are in all.
    pub(crate) fn len(self) -> usize {
        let blocks = if self.wanted == Use::Solve { OWN * self.quads() } else { 0 };
        self.start(self.quads()) + blocks
    }

    /// Packs a matrix with contiguous columns, filled up with those of the identity for a solve and zeros otherwise.
    pub(crate) fn pack<T: Scalar>(self, matrix: MatRef<'_, T>, numbers: &mut [T]) {
        let zero = T::from_f64(0.0);
        let columns = |first: usize| -> [&[T]; QUAD] {
            std::array::from_fn(|j| if first + j < matrix.ncols() { column(matrix, first + j) } else { &[] })
        };
        for quad in 0..self.quads() {
            let (first, inputs) = (quad * QUAD, self.inputs(quad));
            let (part, _) = numbers[self.start(quad)..self.start(quad + 1)].as_chunks_mut::<QUAD>();
            if self.transposed {
                let columns = columns(first);
                for (k, part) in inputs.zip(part) {
                    for (j, (number, column)) in part.iter_mut().zip(columns).enumerate() {
                        let read = !self.triangular || k >= first + j;
                        *number = column.get(k).copied().filter(|_| read).unwrap_or(zero);
                    }
                }
            } else {
                for (k, part) in inputs.zip(part) {
                    let column = if k < matrix.ncols() { column(matrix, k) } else { &[] };
                    for (j, number) in part.iter_mut().enumerate() {
                        let read = !self.triangular || k <= first + j;
                        *number = column.get(first + j).copied().filter(|_| read).unwrap_or(zero);
                    }
                }
            }
        }
        if self.wanted == Use::Solve {
            let (blocks, _) = numbers[self.start(self.quads())..].as_chunks_mut::<OWN>();
            for (quad, block) in blocks.iter_mut().enumerate().take(self.quads()) {
                let columns = columns(quad * QUAD);
                for i in 0..QUAD {
                    for j in 0..QUAD {
                        let beyond = T::from_f64(f64::from(u8::from(i == j)));
                        block[i * QUAD + j] = columns[j].get(quad * QUAD + i).copied().unwrap_or(beyond);
                    }
                    block[QUAD * QUAD + i] = T::from_f64(1.0) / block[i * QUAD + i];
                }
            }
        }
    }

    /// The matrix that was packed into these numbers.
    pub(crate) fn read<T: Scalar>(self, numbers: &[T]) -> Coefficients<'_, T> {
        Coefficients { packing: self, numbers }
    }
}

/// A packed matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coefficients<'a, T> {
    packing: Packing,
    numbers: &'a [T],
}

impl<'a, T: Scalar> Coefficients<'a, T> {
    pub(super) fn packing(&self) -> Packing {
        self.packing
    }

    pub(super) fn quads(&self) -> usize {
        self.packing.quads()
    }

    /// Rows of the panels that are read, in whole quads.
    pub(super) fn inputs(&self) -> usize {
        self.packing.sides().1
    }

    /// The inputs of a quad of outputs, and four numbers for each.
    #[inline(always)]
    pub(super) fn quad(&self, quad: usize) -> (Range<usize>, &'a [T]) {
        let Self { packing, numbers } = self;
        (packing.inputs(quad), &numbers[packing.start(quad)..packing.start(quad + 1)])
    }

    /// Of a solve: the triangle of a quad on the diagonal, row by row, and the reciprocals of its pivots.
    #[inline(always)]
    pub(super) fn own(&self, quad: usize) -> (&'a [T], &'a [T]) {
        self.numbers[self.packing.start(self.quads()) + quad * OWN..][..OWN].split_at(QUAD * QUAD)
    }
}
