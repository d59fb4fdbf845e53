//! Kernels made of kernels.

/// Properties of a node that are those of its child, or that hold if they hold for all of its children.
mod additive;
mod block_diagonal;
mod change_point;
mod change_window;
mod children;
mod elementary;
mod exp;
mod gated;
mod log;
mod masked;
mod metric;
mod neg;
mod normalized;
mod power;
mod product;
mod scaled;
mod sum;
mod transformed;
mod vertical;

pub use additive::{Additive, Bases};
pub use block_diagonal::BlockDiagonal;
pub use change_point::{ChangePoint, Step, StepCurve};
pub use change_window::{ChangeWindow, Window, WindowCurve};
pub use children::{KernelParts, Parts};
pub use exp::{Exp, Exponential};
pub use gated::{Gate, GateCurve, Gated};
pub use log::{Log, Logarithm};
pub use masked::{Masked, Missing};
pub use metric::{Metric, MetricRadial, Norm};
pub use neg::{Neg, Negation};
pub use normalized::Normalized;
pub use power::{Power, ToPower};
pub use product::Product;
pub use scaled::Scaled;
pub use sum::Sum;
pub use transformed::{Transform, Transformed};
pub use vertical::Vertical;
