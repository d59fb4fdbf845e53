//! `+` and `*` on mean functions.

use super::{ConstantMean, DynMean};

impl From<f64> for DynMean {
    #[track_caller]
    fn from(value: f64) -> Self {
        Self::new(ConstantMean::new(value))
    }
}

impl From<i32> for DynMean {
    fn from(value: i32) -> Self {
        f64::from(value).into()
    }
}

/// Gives a type of mean functions the operators: `m + m` and `m * m` with any other mean function or number on either side.
/// What they make is a [`DynMean`](crate::mean::DynMean); a number is a [`ConstantMean`](crate::mean::ConstantMean).
///
/// # Examples
///
/// ```
/// use mercer::mean::{ConstantMean, LinearMean, Mean};
/// use mercer::prelude::*;
///
/// let mean = LinearMean::new([0.5]) * 2.0 + ConstantMean::new(1.0) * LinearMean::new([3.0]);
/// let mut out = [0.0];
/// mean.mean_into(mat![[2.0]].as_ref(), &mut out);
/// assert_eq!(out, [0.5 * 2.0 * 2.0 + 1.0 * 3.0 * 2.0]);
/// assert_eq!(mean.get("sum[1].product[0].constant.value")?, 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[macro_export]
macro_rules! mean_ops {
    ($type:ty) => {
        impl From<$type> for $crate::mean::DynMean {
            fn from(mean: $type) -> Self {
                Self::new(mean)
            }
        }

        $crate::mean_ops!(@operators $type);
        $crate::mean_ops!(@number f64, $type);
        $crate::mean_ops!(@number i32, $type);
    };
    (@operators $type:ty) => {
        impl<Right: Into<$crate::mean::DynMean>> ::std::ops::Add<Right> for $type {
            type Output = $crate::mean::DynMean;

            #[track_caller]
            fn add(self, right: Right) -> Self::Output {
                $crate::mean::DynMean::new($crate::mean::SumMean::new(self, right))
            }
        }

        impl<Right: Into<$crate::mean::DynMean>> ::std::ops::Mul<Right> for $type {
            type Output = $crate::mean::DynMean;

            #[track_caller]
            fn mul(self, right: Right) -> Self::Output {
                $crate::mean::DynMean::new($crate::mean::ProductMean::new(self, right))
            }
        }
    };
    (@number $number:ty, $type:ty) => {
        impl ::std::ops::Add<$type> for $number {
            type Output = $crate::mean::DynMean;

            #[track_caller]
            fn add(self, mean: $type) -> Self::Output {
                $crate::mean::DynMean::from(self) + mean
            }
        }

        impl ::std::ops::Mul<$type> for $number {
            type Output = $crate::mean::DynMean;

            #[track_caller]
            fn mul(self, mean: $type) -> Self::Output {
                $crate::mean::DynMean::from(self) * mean
            }
        }
    };
}

crate::mean_ops!(@operators DynMean);
crate::mean_ops!(@number f64, DynMean);
crate::mean_ops!(@number i32, DynMean);
