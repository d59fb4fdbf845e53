//! The names that text knows.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::aliases::known_as;
use crate::algebra::registry::NAMES;
use crate::combine::Vertical;
use crate::kernel::{AnyKernel, Arguments, Construct};
use crate::params::nearest;
use crate::warp::{Function, Warped};
use crate::{DynKernel, Error, Result};

/// Makes a kernel of arguments.
pub type Constructor = fn(&mut Arguments<'_>) -> Result<DynKernel>;

/// The constructor of a type, in a box.
pub(crate) fn constructor<K: Construct + AnyKernel + 'static>(arguments: &mut Arguments<'_>) -> Result<DynKernel> {
    K::construct(arguments).map(DynKernel::new)
}

/// Names that were registered while the program runs.
static REGISTERED: RwLock<BTreeMap<String, Constructor>> = RwLock::new(BTreeMap::new());

/// Makes a kernel times a function of the points, from the kernel and the function's arguments.
type VerticalConstructor = fn(DynKernel, &mut Arguments<'_>) -> Result<DynKernel>;

/// Functions that were registered while the program runs, as factors of kernels.
static FUNCTIONS: RwLock<BTreeMap<String, VerticalConstructor>> = RwLock::new(BTreeMap::new());

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
/// See [`Construct`](crate::kernel::Construct).
pub fn register<K: Construct + AnyKernel + 'static>(name: &str) -> Result<()> {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let known = built_in(name).or_else(|| registered.get(name).copied());
    let new: Constructor = constructor::<K>;
    check_name(name, known.is_some_and(|known| !std::ptr::fn_addr_eq(known, new)))?;
    registered.insert(name.to_owned(), new);
    Ok(())
}

/// Gives text a name for a function of the points, in the whole program: as a warp,
/// `name(kernel, parameter=…)`, and as a factor, `vertical(kernel, name(parameter=…))`.
///
/// # Errors
///
/// As [`register`].
///
/// # Examples
///
/// ```
/// use mercer::algebra::register_function;
/// use mercer::params::{Constraint, Parameter};
/// use mercer::prelude::*;
/// use mercer::warp::Function;
///
/// /// f(x) = exp(a x₀)
/// #[derive(Clone, Debug)]
/// struct Growth {
///     rate: Parameter,
/// }
/// mercer::parameterized!(Growth as "growth", parameters: [rate]);
/// mercer::construct!(Growth: try_new(rate: f64));
///
/// impl Growth {
///     fn try_new(rate: f64) -> mercer::Result<Self> {
///         Ok(Self { rate: Parameter::new("rate", rate, Constraint::Real)? })
///     }
/// }
/// impl Function for Growth {
///     fn output_dim(&self, _: usize) -> mercer::Result<usize> {
///         Ok(1)
///     }
///     fn apply<R: Real>(&self, theta: &[R], x: &[R], out: &mut [R]) {
///         out[0] = (theta[0] * x[0]).exp();
///     }
/// }
///
/// register_function::<Growth>("growth")?;
/// let kernel: DynKernel = "vertical(constant(value=1), growth(rate=0.5)) + growth(linear(variance=1), rate=2)".parse()?;
/// assert!((kernel.eval(&[1.0], &[3.0])? - (2.0f64.exp() + 8.0f64.exp())).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn register_function<F: Function + Construct>(name: &str) -> Result<()> {
    fn factor<F: Function + Construct>(kernel: DynKernel, arguments: &mut Arguments<'_>) -> Result<DynKernel> {
        Ok(DynKernel::new(Vertical::new(F::construct(arguments)?, kernel)))
    }
    register::<Warped<F, DynKernel>>(name)?;
    FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), factor::<F>);
    Ok(())
}

/// `vertical(kernel, function(…))`
pub(crate) fn vertical(arguments: &mut Arguments<'_>) -> Result<DynKernel> {
    arguments.check_names(&["kernel", "function"])?;
    let kernel = arguments.take("kernel")?;
    let function = arguments.take_written("function")?;
    let Some((name, mut of_function)) = function.call() else {
        return Err(function.error("expected a function of the points, as in `growth(rate=0.5)`"));
    };
    let functions = FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner);
    let Some(construct) = functions.get(name).copied() else {
        return Err(function.error(format!("no function is named `{name}`; see `mercer::algebra::register_function`")));
    };
    drop(functions);
    let kernel = construct(kernel, &mut of_function).map_err(|error| function.locate(error))?;
    of_function.finish()?;
    Ok(kernel)
}

/// Refuses names that are no words, or taken.
fn check_name(name: &str, taken: bool) -> Result<()> {
    let starts_well = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
    if !starts_well || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(Error::setting("the name", name, "must be one word of letters, digits and `_`"));
    }
    if taken {
        return Err(Error::setting("the name", name, "stands for something else already"));
    }
    Ok(())
}

fn built_in(name: &str) -> Option<Constructor> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, constructor)| *constructor)
}

/// What a name stands for; else the name that it is another one for, and those that are spelt most like it.
pub(super) fn look_up(name: &str) -> Result<Constructor, Vec<String>> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    built_in(name).or_else(|| registered.get(name).copied()).ok_or_else(|| {
        let names: Vec<String> =
            NAMES.iter().map(|(name, _)| (*name).to_owned()).chain(registered.keys().cloned()).collect();
        let known = known_as(name, &names).cloned();
        let alike = nearest(name, &names).into_iter().filter(|alike| Some(alike) != known.as_ref());
        known.iter().cloned().chain(alike).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever else is missing.
    #[test]
    fn every_name_refuses_arguments_that_it_has_not() {
        for (name, _) in NAMES {
            let error = format!("{name}(nonsense=1)").parse::<DynKernel>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}` has no argument `nonsense`; it takes `")), "{error}");
        }
    }
}
