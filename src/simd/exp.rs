//! Exponentials for vectorised loops.

/// placeholder
#[inline(always)]
pub fn exp_f64(x: f64) -> f64 {
    x.exp()
}

/// placeholder
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    x.exp()
}
