//! `+` and `*` on mean functions.

use super::{ConstantMean, DynMean, ScaledMean, SumMean};

/// What can stand to the right of a mean function in `+` and `*`: a mean function, or an `f64`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be combined with a mean function by `+` or `*`",
    label = "neither a mean function nor an `f64`",
    note = "a number must be an `f64`: write `2.0`, not `2` or `2.0f32`",
    note = "a mean function of your own joins the operators by `mercer::mean_ops!([] YourMean);`"
)]
pub trait MeanOperand {
    /// The type of `left + self`.
    type AddTo<L>;
    /// The type of `left * self`.
    type MulWith<L>;
    /// left + self
    fn add_to<L>(self, left: L) -> Self::AddTo<L>;
    /// left · self
    fn mul_with<L>(self, left: L) -> Self::MulWith<L>;
    /// left + self, in a box.
    fn add_to_dynamic(self, left: DynMean) -> DynMean;
    /// left · self, in a box.
    fn mul_with_dynamic(self, left: DynMean) -> DynMean;
}

impl MeanOperand for f64 {
    type AddTo<L> = SumMean<L, ConstantMean>;
    type MulWith<L> = ScaledMean<L>;

    #[track_caller]
    fn add_to<L>(self, left: L) -> SumMean<L, ConstantMean> {
        SumMean::new(left, ConstantMean::new(self))
    }

    #[track_caller]
    fn mul_with<L>(self, left: L) -> ScaledMean<L> {
        ScaledMean::new(self, left)
    }

    #[track_caller]
    fn add_to_dynamic(self, left: DynMean) -> DynMean {
        DynMean::new(SumMean::new(left, ConstantMean::new(self)))
    }

    #[track_caller]
    fn mul_with_dynamic(self, left: DynMean) -> DynMean {
        DynMean::new(ScaledMean::new(self, left))
    }
}

/// Implements [`MeanOperand`](crate::mean::MeanOperand) for a type of mean functions.
#[doc(hidden)]
#[macro_export]
macro_rules! mean_operand {
    ([$($generics:ident),*] $type:ty) => {
        impl<$($generics),*> $crate::mean::MeanOperand for $type
        where
            Self: $crate::mean::AnyMean + 'static,
        {
            type AddTo<Left> = $crate::mean::SumMean<Left, Self>;
            type MulWith<Left> = $crate::mean::ProductMean<Left, Self>;

            fn add_to<Left>(self, left: Left) -> Self::AddTo<Left> {
                $crate::mean::SumMean::new(left, self)
            }

            fn mul_with<Left>(self, left: Left) -> Self::MulWith<Left> {
                $crate::mean::ProductMean::new(left, self)
            }

            fn add_to_dynamic(self, left: $crate::mean::DynMean) -> $crate::mean::DynMean {
                $crate::mean::DynMean::new($crate::mean::SumMean::new(left, $crate::mean::DynMean::new(self)))
            }

            fn mul_with_dynamic(self, left: $crate::mean::DynMean) -> $crate::mean::DynMean {
                $crate::mean::DynMean::new($crate::mean::ProductMean::new(left, $crate::mean::DynMean::new(self)))
            }
        }
    };
}

/// Gives a type of mean functions the operators: `m + m` and `m * m` with any other, boxed ones too,
/// and `+`, `*` with `f64` on either side.
///
/// Type parameters are named first: `mean_ops!([A, B] MyMean<A, B>)`, `mean_ops!([] MyMean)`.
///
/// # Examples
///
/// ```
/// use mercer::mean::{ConstantMean, DynMean, LinearMean, Mean};
/// use mercer::prelude::*;
///
/// let mean = DynMean::new(LinearMean::new([0.5])) * 2.0 + ConstantMean::new(1.0) * LinearMean::new([3.0]);
/// let mut out = [0.0];
/// mean.mean_into(mat![[2.0]].as_ref(), &mut out);
/// assert_eq!(out, [0.5 * 2.0 * 2.0 + 1.0 * 3.0 * 2.0]);
/// assert_eq!(mean.get("sum[1].product[0].constant.value")?, 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[macro_export]
macro_rules! mean_ops {
    ([$($generics:ident),*] $type:ty) => {
        $crate::mean_operand!([$($generics),*] $type);

        impl<$($generics,)* Right: $crate::mean::MeanOperand> ::std::ops::Add<Right> for $type {
            type Output = Right::AddTo<Self>;

            #[track_caller]
            fn add(self, right: Right) -> Self::Output {
                right.add_to(self)
            }
        }

        impl<$($generics,)* Right: $crate::mean::MeanOperand> ::std::ops::Mul<Right> for $type {
            type Output = Right::MulWith<Self>;

            #[track_caller]
            fn mul(self, right: Right) -> Self::Output {
                right.mul_with(self)
            }
        }

        impl<$($generics),*> ::std::ops::Add<$type> for f64 {
            type Output = $crate::mean::SumMean<$crate::mean::ConstantMean, $type>;

            #[track_caller]
            fn add(self, mean: $type) -> Self::Output {
                $crate::mean::SumMean::new($crate::mean::ConstantMean::new(self), mean)
            }
        }

        impl<$($generics),*> ::std::ops::Mul<$type> for f64 {
            type Output = $crate::mean::ScaledMean<$type>;

            #[track_caller]
            fn mul(self, mean: $type) -> Self::Output {
                $crate::mean::ScaledMean::new(self, mean)
            }
        }
    };
}

mean_operand!([] DynMean);

impl<R: MeanOperand> std::ops::Add<R> for DynMean {
    type Output = Self;

    #[track_caller]
    fn add(self, right: R) -> Self {
        right.add_to_dynamic(self)
    }
}

impl<R: MeanOperand> std::ops::Mul<R> for DynMean {
    type Output = Self;

    #[track_caller]
    fn mul(self, right: R) -> Self {
        right.mul_with_dynamic(self)
    }
}

impl std::ops::Add<DynMean> for f64 {
    type Output = DynMean;

    #[track_caller]
    fn add(self, mean: DynMean) -> DynMean {
        DynMean::new(SumMean::new(ConstantMean::new(self), mean))
    }
}

impl std::ops::Mul<DynMean> for f64 {
    type Output = DynMean;

    #[track_caller]
    fn mul(self, mean: DynMean) -> DynMean {
        DynMean::new(ScaledMean::new(self, mean))
    }
}
