//! Writing memory past the caches.
//!
//! An ordinary store to a line that is not in a cache reads the line from memory first, only to
//! overwrite it. For a matrix that is larger than the caches, a store that goes past them moves half
//! the bytes. For one that fits, it costs more, and the reader that comes next misses the caches.

use crate::Scalar;

/// Bytes of a cache line: what a store past the caches must fill as a whole to be fast.
pub(super) const LINE: usize = 64;

/// Copies values to memory past the caches, where the machine can: whole lines of `out`, and by
/// ordinary stores what stands before the first and after the last.
///
/// Other threads see the values in order only after [`fence`].
#[inline]
pub(crate) fn copy<T: Scalar>(values: &[T], out: &mut [T]) {
    let len = values.len().min(out.len());
    let (values, out) = (&values[..len], &mut out[..len]);
    // The distance to the next line is a whole number of elements, since `T` is aligned to its size.
    let head = ((LINE - out.as_ptr().addr() % LINE) % LINE / size_of::<T>()).min(len);
    let lines = (len - head) * size_of::<T>() / LINE;
    let tail = head + lines * (LINE / size_of::<T>());
    out[..head].copy_from_slice(&values[..head]);
    copy_lines(&values[head..tail], &mut out[head..tail]);
    out[tail..].copy_from_slice(&values[tail..]);
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m512i, _mm_loadu_si128, _mm_stream_si128, _mm512_loadu_si512, _mm512_stream_si512,
    };

    use super::LINE;

    /// # Safety
    ///
    /// The machine must have AVX-512; both addresses must be valid for so many lines, and `out` be that
    /// of a line.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn copy_by_512(values: *const u8, out: *mut u8, lines: usize) {
        for line in 0..lines {
            // SAFETY: within the lines that the caller vouches for.
            unsafe {
                let value: __m512i = _mm512_loadu_si512(values.add(line * LINE).cast());
                _mm512_stream_si512(out.add(line * LINE).cast(), value);
            }
        }
    }

    /// # Safety
    ///
    /// Both addresses must be valid for so many lines, and `out` be that of a line.
    pub(super) unsafe fn copy_by_128(values: *const u8, out: *mut u8, lines: usize) {
        for part in 0..lines * (LINE / size_of::<__m128i>()) {
            // SAFETY: within the lines that the caller vouches for; SSE2 is part of the architecture.
            unsafe {
                let value = _mm_loadu_si128(values.cast::<__m128i>().add(part));
                _mm_stream_si128(out.cast::<__m128i>().add(part), value);
            }
        }
    }
}

/// Copies whole lines; `out` begins with one.
#[inline]
#[cfg(target_arch = "x86_64")]
fn copy_lines<T: Scalar>(values: &[T], out: &mut [T]) {
    let lines = size_of_val(out) / LINE;
    let (values, out) = (values.as_ptr().cast(), out.as_mut_ptr().cast());
    // SAFETY: `T` is a float of 4 or 8 bytes, and both slices hold so many lines, of which `out` is
    // aligned to them; AVX-512 is asked for.
    #[allow(unsafe_code)]
    unsafe {
        if std::arch::is_x86_feature_detected!("avx512f") {
            x86::copy_by_512(values, out, lines);
        } else {
            x86::copy_by_128(values, out, lines);
        }
    }
}

#[inline]
#[cfg(not(target_arch = "x86_64"))]
fn copy_lines<T: Scalar>(values: &[T], out: &mut [T]) {
    out.copy_from_slice(values);
}

/// Makes what this thread has copied visible to the others, in order.
#[inline]
pub(crate) fn fence() {
    // SAFETY: SSE is part of the architecture.
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Scalar>() {
        for offset in 0..17 {
            for len in [0, 1, 7, 16, 31, 64, 100] {
                let values: Vec<T> = (0..len).map(|i| T::from_f64(i as f64)).collect();
                let mut out = [T::from_f64(-1.0); 200];
                copy(&values, &mut out[offset..offset + len]);
                fence();
                assert_eq!(out[offset..offset + len], values[..]);
                assert!(out[..offset].iter().chain(&out[offset + len..]).all(|&kept| kept == T::from_f64(-1.0)));
            }
        }
    }

    #[test]
    fn every_alignment_and_length() {
        check::<f32>();
        check::<f64>();
    }
}
