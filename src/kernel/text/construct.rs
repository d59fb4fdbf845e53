//! What text can make.

use super::Arguments;
use crate::Result;

/// A kernel, a warp or a function that text can make: the inverse of how it prints.
///
/// # Examples
///
/// A kernel of one's own, printed and read back:
///
/// ```
/// use mercer::algebra::register;
/// use mercer::kernel::{Arguments, Construct};
/// use mercer::prelude::*;
///
/// /// k(x, y) = max(0, min(x, y))
/// #[derive(Clone, Debug)]
/// struct Wiener;
/// mercer::parameterized!(Wiener as "wiener", parameters: []);
/// mercer::kernel_ops!(Wiener);
/// impl Expr for Wiener {}
/// impl<T: Scalar> Kernel<T> for Wiener {
///     fn pairwise(&self, x: &[T], y: &[T]) -> T {
///         let smaller = if x[0] < y[0] { x[0] } else { y[0] };
///         if smaller > T::from_f64(0.0) { smaller } else { T::from_f64(0.0) }
///     }
/// }
/// impl Construct for Wiener {
///     fn construct(_: &mut Arguments<'_>) -> mercer::Result<Self> {
///         Ok(Self)
///     }
/// }
///
/// register::<Wiener>("wiener")?;
/// let kernel: DynKernel = "2 * wiener() + rbf(lengthscale=1)".parse()?;
/// assert_eq!(kernel.eval(&[3.0], &[3.0])?, 7.0);
/// assert_eq!(kernel.to_string(), "2 * wiener() + rbf(lengthscale=1)");
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Construct: Sized {
    /// What these arguments describe; of a warp, the kernel behind it has been taken already. Take every
    /// argument that is known: what is left over becomes an error. [`Arguments::check_names`] first makes one of wrong
    /// names, whatever is missing.
    ///
    /// # Errors
    ///
    /// Those of the arguments, and of the kernel's checked constructor.
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self>;
}

/// Implements [`Construct`](crate::kernel::Construct) by a checked constructor, from the names and
/// types of its arguments in order.
///
/// # Examples
///
/// ```
/// use mercer::algebra::register;
/// use mercer::params::{Constraint, Parameter};
/// use mercer::prelude::*;
///
/// #[derive(Clone, Debug)]
/// struct Flat {
///     height: Parameter,
/// }
/// mercer::parameterized!(Flat as "flat", parameters: [height]);
/// mercer::kernel_ops!(Flat);
/// mercer::construct!(Flat: try_new(height: f64));
///
/// impl Flat {
///     fn try_new(height: f64) -> mercer::Result<Self> {
///         Ok(Self { height: Parameter::new("height", height, Constraint::Positive)? })
///     }
/// }
/// impl Expr for Flat {}
/// impl<T: Scalar> Kernel<T> for Flat {
///     fn pairwise(&self, _: &[T], _: &[T]) -> T {
///         T::from_f64(self.height.value())
///     }
/// }
///
/// register::<Flat>("flat")?;
/// assert_eq!("flat(height=3) * 2".parse::<DynKernel>()?.eval(&[0.0], &[1.0])?, 6.0);
/// assert!("flat(height=-3)".parse::<DynKernel>().is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
#[macro_export]
macro_rules! construct {
    ($type:ty: $constructor:ident($($argument:ident: $of:ty),* $(,)?)) => {
        impl $crate::kernel::Construct for $type {
            fn construct(arguments: &mut $crate::kernel::Arguments<'_>) -> $crate::Result<Self> {
                arguments.check_names(&[$(stringify!($argument)),*])?;
                $(let $argument: $of = arguments.take(stringify!($argument))?;)*
                Self::$constructor($($argument),*)
            }
        }
    };
}
