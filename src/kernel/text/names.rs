//! The names that text knows.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::Arguments;
use crate::kernel::dynamic::{AnyKernel, DynKernel};
use crate::kernels::registry::NAMES;
use crate::params::nearest;
use crate::{Error, Result};

/// A kernel that text can make: the inverse of how it prints.
///
/// # Examples
///
/// A kernel of one's own, printed and read back:
///
/// ```
/// use mercer::kernel::{Arguments, Construct, register};
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
    /// The kernel that these arguments describe. Take every argument that the kernel knows; what is
    /// left over becomes an error.
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
/// use mercer::kernel::register;
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
                $(let $argument: $of = arguments.take(stringify!($argument))?;)*
                let _ = arguments;
                Self::$constructor($($argument),*)
            }
        }
    };
}

/// Makes a kernel of arguments.
pub type Constructor = fn(&mut Arguments<'_>) -> Result<DynKernel>;

/// The constructor of a type, in a box.
pub(crate) fn constructor<K: Construct + AnyKernel + 'static>(arguments: &mut Arguments<'_>) -> Result<DynKernel> {
    K::construct(arguments).map(DynKernel::boxed)
}

/// Names that were registered while the program runs.
static REGISTERED: RwLock<BTreeMap<String, Constructor>> = RwLock::new(BTreeMap::new());

/// Gives text a name for a kernel type, in the whole program. Registering the same type under the
/// same name again does nothing.
///
/// # Errors
///
/// [`Error::Setting`] if the name stands for something else already, or is no word (letters, digits
/// and `_`, not beginning with a digit).
///
/// # Examples
///
/// See [`Construct`].
pub fn register<K: Construct + AnyKernel + 'static>(name: &str) -> Result<()> {
    let starts_well = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
    if !starts_well || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(Error::setting("the name of a kernel", name, "must be one word of letters, digits and `_`"));
    }
    let new: Constructor = constructor::<K>;
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let known = built_in(name).or_else(|| registered.get(name).copied());
    match known {
        Some(known) if !std::ptr::fn_addr_eq(known, new) => {
            Err(Error::setting("the name of a kernel", name, "stands for another kernel already"))
        }
        _ => {
            registered.insert(name.to_owned(), new);
            Ok(())
        }
    }
}

fn built_in(name: &str) -> Option<Constructor> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, constructor)| *constructor)
}

/// What a name stands for; else the names that are spelt most like it.
pub(super) fn look_up(name: &str) -> Result<Constructor, Vec<String>> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    built_in(name).or_else(|| registered.get(name).copied()).ok_or_else(|| {
        let names: Vec<String> =
            NAMES.iter().map(|(name, _)| (*name).to_owned()).chain(registered.keys().cloned()).collect();
        nearest(name, &names)
    })
}
