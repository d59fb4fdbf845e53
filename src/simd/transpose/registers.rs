//! Blocks of one register a side, transposed by the shuffles of AVX and AVX-512.

use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

use pulp::cast;
use pulp::x86::{V3, V4};

/// A block of one vector register a side, transposed. Closures inside would not be inlined into
/// code compiled for AVX, so there are none.
pub(in crate::simd) trait Block<T, const SIDE: usize>: Copy {
    fn transpose(self, lines: [[T; SIDE]; SIDE]) -> [[T; SIDE]; SIDE];

    /// Writes a line past the caches where a register is a whole cache line, which its place must begin
    /// with; elsewhere through them.
    #[inline(always)]
    fn stream(self, line: [T; SIDE], out: &mut [T; SIDE])
    where
        T: Copy,
    {
        *out = line;
    }
}

impl Block<f64, 4> for V3 {
    #[inline(always)]
    fn transpose(self, lines: [[f64; 4]; 4]) -> [[f64; 4]; 4] {
        let avx = self.avx;
        let [a, b, c, d]: [__m256d; 4] = cast(lines);
        let (ab_even, ab_odd) = (avx._mm256_unpacklo_pd(a, b), avx._mm256_unpackhi_pd(a, b));
        let (cd_even, cd_odd) = (avx._mm256_unpacklo_pd(c, d), avx._mm256_unpackhi_pd(c, d));
        cast([
            avx._mm256_permute2f128_pd::<0x20>(ab_even, cd_even),
            avx._mm256_permute2f128_pd::<0x20>(ab_odd, cd_odd),
            avx._mm256_permute2f128_pd::<0x31>(ab_even, cd_even),
            avx._mm256_permute2f128_pd::<0x31>(ab_odd, cd_odd),
        ])
    }
}

/// Of four lines: elements 0 and 4, 1 and 5, 2 and 6, 3 and 7 of each.
#[inline(always)]
fn quarters(simd: V3, [a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    let avx = simd.avx;
    let (ab_low, ab_high) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b));
    let (cd_low, cd_high) = (avx._mm256_unpacklo_ps(c, d), avx._mm256_unpackhi_ps(c, d));
    [
        avx._mm256_shuffle_ps::<0x44>(ab_low, cd_low),
        avx._mm256_shuffle_ps::<0xee>(ab_low, cd_low),
        avx._mm256_shuffle_ps::<0x44>(ab_high, cd_high),
        avx._mm256_shuffle_ps::<0xee>(ab_high, cd_high),
    ]
}

impl Block<f32, 8> for V3 {
    #[inline(always)]
    fn transpose(self, lines: [[f32; 8]; 8]) -> [[f32; 8]; 8] {
        let avx = self.avx;
        let [a, b, c, d, e, f, g, h]: [__m256; 8] = cast(lines);
        let [p0, p1, p2, p3] = quarters(self, [a, b, c, d]);
        let [q0, q1, q2, q3] = quarters(self, [e, f, g, h]);
        cast([
            avx._mm256_permute2f128_ps::<0x20>(p0, q0),
            avx._mm256_permute2f128_ps::<0x20>(p1, q1),
            avx._mm256_permute2f128_ps::<0x20>(p2, q2),
            avx._mm256_permute2f128_ps::<0x20>(p3, q3),
            avx._mm256_permute2f128_ps::<0x31>(p0, q0),
            avx._mm256_permute2f128_ps::<0x31>(p1, q1),
            avx._mm256_permute2f128_ps::<0x31>(p2, q2),
            avx._mm256_permute2f128_ps::<0x31>(p3, q3),
        ])
    }
}

/// The quarters of four registers as a matrix of four a side, transposed.
#[inline(always)]
fn transpose_quarters(simd: V4, [a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    let avx = simd.avx512f;
    let (ab_even, ab_odd) = (avx._mm512_shuffle_f32x4::<0x88>(a, b), avx._mm512_shuffle_f32x4::<0xdd>(a, b));
    let (cd_even, cd_odd) = (avx._mm512_shuffle_f32x4::<0x88>(c, d), avx._mm512_shuffle_f32x4::<0xdd>(c, d));
    [
        avx._mm512_shuffle_f32x4::<0x88>(ab_even, cd_even),
        avx._mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd),
        avx._mm512_shuffle_f32x4::<0xdd>(ab_even, cd_even),
        avx._mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd),
    ]
}

impl Block<f64, 8> for V4 {
    #[inline(always)]
    fn stream(self, line: [f64; 8], out: &mut [f64; 8]) {
        assert!(out.as_ptr().addr().is_multiple_of(size_of_val(out)));
        // SAFETY: `out` is borrowed mutably, has the size of a register, and is aligned to it.
        #[allow(unsafe_code)]
        unsafe {
            self.avx512f._mm512_stream_pd(out.as_mut_ptr().cast(), cast(line));
        }
    }

    #[inline(always)]
    fn transpose(self, lines: [[f64; 8]; 8]) -> [[f64; 8]; 8] {
        let avx = self.avx512f;
        let [a, b, c, d, e, f, g, h]: [__m512d; 8] = cast(lines);
        let even = [
            avx._mm512_unpacklo_pd(a, b),
            avx._mm512_unpacklo_pd(c, d),
            avx._mm512_unpacklo_pd(e, f),
            avx._mm512_unpacklo_pd(g, h),
        ];
        let odd = [
            avx._mm512_unpackhi_pd(a, b),
            avx._mm512_unpackhi_pd(c, d),
            avx._mm512_unpackhi_pd(e, f),
            avx._mm512_unpackhi_pd(g, h),
        ];
        let [l0, l2, l4, l6] = transpose_quarters(self, cast(even));
        let [l1, l3, l5, l7] = transpose_quarters(self, cast(odd));
        cast([l0, l1, l2, l3, l4, l5, l6, l7])
    }
}

/// Of four lines: in each quarter, elements 0, 1, 2 and 3 of each.
#[inline(always)]
fn interleave(simd: V4, [a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    let avx = simd.avx512f;
    let low: [__m512d; 2] = cast([avx._mm512_unpacklo_ps(a, b), avx._mm512_unpacklo_ps(c, d)]);
    let high: [__m512d; 2] = cast([avx._mm512_unpackhi_ps(a, b), avx._mm512_unpackhi_ps(c, d)]);
    cast([
        avx._mm512_unpacklo_pd(low[0], low[1]),
        avx._mm512_unpackhi_pd(low[0], low[1]),
        avx._mm512_unpacklo_pd(high[0], high[1]),
        avx._mm512_unpackhi_pd(high[0], high[1]),
    ])
}

impl Block<f32, 16> for V4 {
    #[inline(always)]
    fn stream(self, line: [f32; 16], out: &mut [f32; 16]) {
        assert!(out.as_ptr().addr().is_multiple_of(size_of_val(out)));
        // SAFETY: `out` is borrowed mutably, has the size of a register, and is aligned to it.
        #[allow(unsafe_code)]
        unsafe {
            self.avx512f._mm512_stream_ps(out.as_mut_ptr().cast(), cast(line));
        }
    }

    #[inline(always)]
    fn transpose(self, lines: [[f32; 16]; 16]) -> [[f32; 16]; 16] {
        let [a, b, c, d]: [[__m512; 4]; 4] = cast(lines);
        let [a, b, c, d] = [interleave(self, a), interleave(self, b), interleave(self, c), interleave(self, d)];
        let [l0, l4, l8, l12] = transpose_quarters(self, [a[0], b[0], c[0], d[0]]);
        let [l1, l5, l9, l13] = transpose_quarters(self, [a[1], b[1], c[1], d[1]]);
        let [l2, l6, l10, l14] = transpose_quarters(self, [a[2], b[2], c[2], d[2]]);
        let [l3, l7, l11, l15] = transpose_quarters(self, [a[3], b[3], c[3], d[3]]);
        cast([l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13, l14, l15])
    }
}
