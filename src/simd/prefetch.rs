//! Fetching memory that is about to be written.

use faer::MatRef;

use crate::Scalar;

/// Asks for the cache lines of a block, so that they are on their way while its values are computed.
/// A hint: it changes no value, and does nothing where there is no such instruction.
#[inline]
pub(crate) fn prefetch<T: Scalar>(block: MatRef<'_, T>) {
    #[cfg(target_arch = "x86_64")]
    for col in 0..block.ncols() {
        let Some(column) = block.col(col).try_as_col_major() else { return };
        for line in column.as_slice().chunks(64 / size_of::<T>()) {
            // SAFETY: a prefetch never faults and has no effect on memory; the address is that of a
            // live slice.
            #[allow(unsafe_code)]
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = block;
}
