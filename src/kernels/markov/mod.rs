//! State-space forms that kernels are made of.

pub(super) mod half_integer;
pub(super) mod motion;
pub(super) mod oscillating;
pub(super) mod powers;
pub(super) mod turning;
