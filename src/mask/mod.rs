//! Missing points: rows with a NaN in a dimension that the kernel reads.
//!
//! Sets of points of different lengths are padded with NaN rows to one shape; data have gaps. A
//! [`Masked`] kernel leaves such rows out of the computation and says what stands in their place.

mod masked;
mod present;

pub use masked::{Masked, Missing};
pub(crate) use present::Present;
