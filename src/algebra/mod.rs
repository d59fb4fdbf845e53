//! What knows all kernels: the operators, kernels from kernels, names and text.

mod compose;
mod declare;
mod multi_output;
pub mod ops;
pub mod registry;
mod terms;
mod text;

pub use compose::Compose;
pub use multi_output::{icm, lcm};
pub use ops::{Divisor, Operand};
pub use terms::{Term, terms};
pub(crate) use terms::{core, terms_of};
pub(crate) use text::read_template;
pub use text::{Constructor, register, register_function};
