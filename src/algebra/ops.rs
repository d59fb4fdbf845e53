//! `+`, `-`, `*` and `/` on kernels.

use super::Compose;
use crate::DynKernel;
use crate::combine::{Neg, Scaled, Sum};
use crate::kernels::Constant;

/// What can stand to the right of a kernel in `+`, `-` and `*`: a kernel, an `f64`, or an integer literal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be combined with a kernel by `+`, `-` or `*`",
    label = "neither a kernel nor an `f64`",
    note = "a number must be an `f64`, or an integer literal: write `2.5` or `2`, not `2.5f32`",
    note = "a kernel type of your own joins the operators by `mercer::kernel_ops!(YourKernel);`"
)]
pub trait Operand {
    /// The type of `left + self`.
    type AddTo<L>;
    /// The type of `left - self`.
    type SubFrom<L>;
    /// The type of `left * self`.
    type MulWith<L>;
    /// left + self
    fn add_to<L>(self, left: L) -> Self::AddTo<L>;
    /// left − self
    fn sub_from<L>(self, left: L) -> Self::SubFrom<L>;
    /// left · self
    fn mul_with<L>(self, left: L) -> Self::MulWith<L>;
    /// left + self, in a box.
    fn add_to_dynamic(self, left: DynKernel) -> DynKernel;
    /// left − self, in a box.
    fn sub_from_dynamic(self, left: DynKernel) -> DynKernel;
    /// left · self, in a box.
    fn mul_with_dynamic(self, left: DynKernel) -> DynKernel;
}

macro_rules! number {
    ($type:ty) => {
        impl Operand for $type {
            type AddTo<L> = Sum<(L, Constant)>;
            type SubFrom<L> = Sum<(L, Constant)>;
            type MulWith<L> = Scaled<L>;

            #[track_caller]
            fn add_to<L>(self, left: L) -> Sum<(L, Constant)> {
                Sum::new(left, Constant::new(f64::from(self)))
            }

            #[track_caller]
            fn sub_from<L>(self, left: L) -> Sum<(L, Constant)> {
                Sum::new(left, Constant::new(-f64::from(self)))
            }

            #[track_caller]
            fn mul_with<L>(self, left: L) -> Scaled<L> {
                Scaled::new(f64::from(self), left)
            }

            #[track_caller]
            fn add_to_dynamic(self, left: DynKernel) -> DynKernel {
                Sum::joined(left, Constant::new(f64::from(self)).dynamic())
            }

            #[track_caller]
            fn sub_from_dynamic(self, left: DynKernel) -> DynKernel {
                Sum::joined(left, Constant::new(-f64::from(self)).dynamic())
            }

            #[track_caller]
            fn mul_with_dynamic(self, left: DynKernel) -> DynKernel {
                left.scaled(f64::from(self)).dynamic()
            }
        }

        impl Divisor for $type {
            fn inverse(self) -> f64 {
                1.0 / f64::from(self)
            }
        }

        impl std::ops::Add<DynKernel> for $type {
            type Output = DynKernel;

            #[track_caller]
            fn add(self, kernel: DynKernel) -> DynKernel {
                Constant::new(f64::from(self)).dynamic() + kernel
            }
        }

        impl std::ops::Sub<DynKernel> for $type {
            type Output = DynKernel;

            #[track_caller]
            fn sub(self, kernel: DynKernel) -> DynKernel {
                Constant::new(f64::from(self)).dynamic() - kernel
            }
        }

        impl std::ops::Mul<DynKernel> for $type {
            type Output = DynKernel;

            #[track_caller]
            fn mul(self, kernel: DynKernel) -> DynKernel {
                kernel.scaled(f64::from(self)).dynamic()
            }
        }
    };
}

// Of one type of integers alone, which a literal then is.
number!(f64);
number!(i32);

/// What a kernel can be divided by: an `f64`, or an integer literal.
#[diagnostic::on_unimplemented(
    message = "a kernel cannot be divided by `{Self}`",
    label = "neither an `f64` nor an integer literal",
    note = "write `kernel / 2.0`"
)]
pub trait Divisor {
    /// 1/self
    fn inverse(self) -> f64;
}

/// Implements [`AnyKernel`](crate::kernel::AnyKernel) for a kernel type. The two functions are where the type loses
/// itself: what is compiled for both precisions because of them is compiled here, and not inlined into the programs of
/// users.
#[doc(hidden)]
#[macro_export]
macro_rules! kernel_node {
    ([$($generics:ident),*] $type:ty) => {
        impl<$($generics),*> $crate::kernel::AnyKernel for $type
        where
            Self: $crate::kernel::Kernel<f32> + $crate::kernel::Kernel<f64> + 'static,
        {
            #[inline(never)]
            fn node(&self) -> &$crate::kernel::Node {
                self
            }

            #[inline(never)]
            fn into_dynamic(self) -> $crate::DynKernel {
                $crate::DynKernel::of(::std::boxed::Box::new(self))
            }
        }
    };
}

/// Implements [`Operand`] for a kernel type.
#[doc(hidden)]
#[macro_export]
macro_rules! kernel_operand {
    ([$($generics:ident),*] $type:ty) => {
        impl<$($generics),*> $crate::algebra::Operand for $type
        where
            Self: $crate::kernel::AnyKernel + 'static,
        {
            type AddTo<Left> = $crate::combine::Sum<(Left, Self)>;
            type SubFrom<Left> = $crate::combine::Sum<(Left, $crate::combine::Neg<Self>)>;
            type MulWith<Left> = $crate::combine::Product<(Left, Self)>;

            fn add_to<Left>(self, left: Left) -> Self::AddTo<Left> {
                $crate::combine::Sum::new(left, self)
            }

            fn sub_from<Left>(self, left: Left) -> Self::SubFrom<Left> {
                $crate::combine::Sum::new(left, $crate::combine::Neg::new(self))
            }

            fn mul_with<Left>(self, left: Left) -> Self::MulWith<Left> {
                $crate::combine::Product::new(left, self)
            }

            fn add_to_dynamic(self, left: $crate::DynKernel) -> $crate::DynKernel {
                $crate::combine::Sum::joined(left, $crate::kernel::AnyKernel::into_dynamic(self))
            }

            fn sub_from_dynamic(self, left: $crate::DynKernel) -> $crate::DynKernel {
                $crate::combine::Sum::joined(left, -$crate::kernel::AnyKernel::into_dynamic(self))
            }

            fn mul_with_dynamic(self, left: $crate::DynKernel) -> $crate::DynKernel {
                $crate::combine::Product::joined(left, $crate::kernel::AnyKernel::into_dynamic(self))
            }
        }

        impl<$($generics),*> ::std::fmt::Display for $type
        where
            Self: $crate::kernel::Expr,
        {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&$crate::kernel::text(self), f)
            }
        }
    };
}

/// Implements one operator between a kernel type and what stands to its right.
#[doc(hidden)]
#[macro_export]
macro_rules! kernel_operator {
    ([$($generics:ident),*] $type:ty: $trait:ident, $method:ident, $operand:ident -> $output:ty) => {
        impl<$($generics,)* Right: $crate::algebra::Operand> ::std::ops::$trait<Right> for $type {
            type Output = $output;

            #[track_caller]
            fn $method(self, right: Right) -> Self::Output {
                right.$operand(self)
            }
        }
    };
}

/// Implements the operators between a number and a kernel type to its right.
#[doc(hidden)]
#[macro_export]
macro_rules! number_operators {
    ([$($generics:ident),*] $type:ty: $number:ty) => {
        impl<$($generics),*> ::std::ops::Add<$type> for $number {
            type Output = $crate::combine::Sum<($crate::kernels::Constant, $type)>;

            #[track_caller]
            fn add(self, kernel: $type) -> Self::Output {
                $crate::combine::Sum::new($crate::kernels::Constant::new(f64::from(self)), kernel)
            }
        }

        impl<$($generics),*> ::std::ops::Sub<$type> for $number {
            type Output = $crate::combine::Sum<($crate::kernels::Constant, $crate::combine::Neg<$type>)>;

            #[track_caller]
            fn sub(self, kernel: $type) -> Self::Output {
                let kernel = $crate::combine::Neg::new(kernel);
                $crate::combine::Sum::new($crate::kernels::Constant::new(f64::from(self)), kernel)
            }
        }

        impl<$($generics),*> ::std::ops::Mul<$type> for $number {
            type Output = $crate::combine::Scaled<$type>;

            #[track_caller]
            fn mul(self, kernel: $type) -> Self::Output {
                $crate::combine::Scaled::new(f64::from(self), kernel)
            }
        }
    };
}

/// Gives a kernel type the operators: `k + k`, `k - k`, `k * k` and `-k` with any other kernel, boxed ones too; `+`, `-`
/// and `*` with a number on either side, and `k / 2.0`; and `Display`. Numbers are `f64` or integer literals.
///
/// The type has to be a [`Kernel`](crate::kernel::Kernel) of `f32` and of `f64`. For a type with
/// type parameters, name them first: `kernel_ops!([A, B] MySum<A, B>)`. [`kernel!`](crate::kernel!) calls it.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let at_0 = |kernel: &dyn Fn() -> DynKernel| kernel().eval(&[0.0], &[0.0]);
/// assert_eq!(at_0(&|| (2 * Rbf::new(1.0) - 0.5).dynamic())?, 1.5);
/// assert_eq!(at_0(&|| (Rbf::new(1.0) / 4.0 + 1).dynamic())?, 1.25);
/// assert_eq!((Rbf::new(1.0) * 3).to_string(), "3 * rbf(lengthscale=1)");
///
/// // A kernel in a box takes others in.
/// let mut kernel = Rbf::new(1.0).dynamic();
/// kernel += Periodic::new(1.0, 7.0);
/// kernel *= 0.5;
/// assert_eq!(kernel.to_string(), "0.5 * (rbf(lengthscale=1) + periodic(lengthscale=1, period=7))");
///
/// let all: DynKernel = [1, 10, 100].map(|scale| Rbf::new(f64::from(scale)).dynamic()).into_iter().sum();
/// assert_eq!(all.to_string(), "rbf(lengthscale=1) + rbf(lengthscale=10) + rbf(lengthscale=100)");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// Other numbers are refused:
///
/// ```compile_fail
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0) * 2.0f32;
/// ```
///
/// See [`Kernel`](crate::kernel::Kernel), where a kernel of the user's own joins a sum.
#[macro_export]
macro_rules! kernel_ops {
    ([$($generics:ident),*] $type:ty) => {
        $crate::kernel_operand!([$($generics),*] $type);
        $crate::kernel_node!([$($generics),*] $type);
        $crate::kernel_operator!([$($generics),*] $type: Add, add, add_to -> Right::AddTo<Self>);
        $crate::kernel_operator!([$($generics),*] $type: Sub, sub, sub_from -> Right::SubFrom<Self>);
        $crate::kernel_operator!([$($generics),*] $type: Mul, mul, mul_with -> Right::MulWith<Self>);
        $crate::number_operators!([$($generics),*] $type: f64);
        $crate::number_operators!([$($generics),*] $type: i32);

        impl<$($generics,)* Right: $crate::algebra::Divisor> ::std::ops::Div<Right> for $type {
            type Output = $crate::combine::Scaled<Self>;

            #[track_caller]
            fn div(self, right: Right) -> Self::Output {
                $crate::combine::Scaled::new(right.inverse(), self)
            }
        }

        impl<$($generics),*> ::std::ops::Neg for $type {
            type Output = $crate::combine::Neg<Self>;

            fn neg(self) -> Self::Output {
                $crate::combine::Neg::new(self)
            }
        }
    };
    ($type:ty) => {
        $crate::kernel_ops!([] $type);
    };
}

kernel_operand!([] DynKernel);
kernel_operator!([] DynKernel: Add, add, add_to_dynamic -> Self);
kernel_operator!([] DynKernel: Sub, sub, sub_from_dynamic -> Self);
kernel_operator!([] DynKernel: Mul, mul, mul_with_dynamic -> Self);

impl<R: Divisor> std::ops::Div<R> for DynKernel {
    type Output = Self;

    #[track_caller]
    fn div(self, right: R) -> Self {
        self.scaled(right.inverse()).dynamic()
    }
}

impl std::ops::Neg for DynKernel {
    type Output = Self;

    fn neg(self) -> Self {
        Neg::new(self).dynamic()
    }
}

// Of a copy, so that a number that is refused leaves the kernel as it was.
impl<R: Operand> std::ops::AddAssign<R> for DynKernel {
    #[track_caller]
    fn add_assign(&mut self, right: R) {
        *self = self.clone() + right;
    }
}

impl<R: Operand> std::ops::MulAssign<R> for DynKernel {
    #[track_caller]
    fn mul_assign(&mut self, right: R) {
        *self = self.clone() * right;
    }
}

/// The sum of all, 0 of none.
impl std::iter::Sum for DynKernel {
    fn sum<I: Iterator<Item = Self>>(kernels: I) -> Self {
        kernels.reduce(|sum, kernel| sum + kernel).unwrap_or_else(|| Constant::new(0.0).dynamic())
    }
}

/// The product of all, 1 of none.
impl std::iter::Product for DynKernel {
    fn product<I: Iterator<Item = Self>>(kernels: I) -> Self {
        kernels.reduce(|product, kernel| product * kernel).unwrap_or_else(|| Constant::new(1.0).dynamic())
    }
}
