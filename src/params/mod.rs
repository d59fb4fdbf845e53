//! Parameters: values with a constraint, found by path, packed into a vector for optimisers.
//!
//! Everything that is fitted is [`Parameterized`]: kernels, mean functions, likelihoods, models.
//! One visitor gives each [`Parameter`] or [`ParameterArray`] in a fixed order; reading, setting,
//! freezing and tying by path, flat packing and printing are all visits, in the blanket trait
//! [`ParameterizedExt`].
//!
//! A parameter may have a [`Prior`], a density of its natural value: what fits a model by [`optim`](crate::optim)
//! maximises the sum of its evidence, or of a bound, and of the log priors.
//!
//! A path names a scalar: `sum[1].rbf.lengthscale`, or `ard.lengthscale[2]`. Sums of sums (and
//! products of products) count as one: the parts of `(a + b) + c` are `sum[0]`, `sum[1]`, `sum[2]`.

mod annotation;
mod constraint;
mod containers;
mod density;
mod entry;
mod ext;
mod field;
mod horseshoe;
mod interval;
mod packing;
mod parameter;
mod path;
mod per_dimension;
mod prior;
#[cfg(feature = "serde")]
mod saved;
mod select;
mod table;
mod ties;
mod visits;

pub use constraint::Constraint;
pub(crate) use density::subtract_log_prior;
pub use entry::Entry;
pub use ext::ParameterizedExt;
#[doc(hidden)]
pub use field::{Field, Rule};
pub(crate) use packing::{floors_at, gradient_at, places, units_at};
pub use parameter::{Parameter, ParameterArray, ParameterMut, ParameterRef, Shape};
pub(crate) use path::{Place, is_associative, nearest};
pub use per_dimension::{OneOrEach, PerDimension};
pub use prior::Prior;
#[cfg(feature = "serde")]
pub(crate) use saved::{Notes, described};
pub(crate) use select::positions;
pub use table::Table;
pub(crate) use visits::restore;

/// How a parent refers to a child in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The only child: `parent.child.parameter`.
    Only,
    /// One of several: `parent[index].child.parameter`.
    Index(usize),
    /// A named part: `parent.part.child.parameter`, as in `kernel.rbf.lengthscale` of a model.
    Part(&'static str),
}

/// Receives the parameters and the children of a [`Parameterized`] value, in order.
pub trait Visitor {
    /// A parameter of the value itself.
    fn parameter(&mut self, parameter: ParameterRef<'_>);
    /// A child, to be visited in turn.
    fn child(&mut self, label: Label, child: &dyn Parameterized);
}

/// Receives the parameters and the children of a [`Parameterized`] value for change, in order.
pub trait VisitorMut {
    /// A parameter of the value itself.
    fn parameter(&mut self, parameter: ParameterMut<'_>);
    /// A child, to be visited in turn.
    fn child(&mut self, label: Label, child: &mut dyn Parameterized);
}

/// Something with parameters.
///
/// `visit` and `visit_mut` must give the same parameters and children in the same order: that order
/// is the layout of every flat vector of parameters and of gradients. For most types,
/// [`parameterized!`](crate::parameterized) writes the implementation.
pub trait Parameterized {
    /// The word for this node in paths and in text: `"rbf"`. Empty for a model.
    fn name(&self) -> &str;

    /// Shows each parameter, then each child.
    fn visit(&self, visitor: &mut dyn Visitor);

    /// Shows each parameter, then each child, for change.
    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut);
}

/// Implements [`Parameterized`] for a struct, from its name in paths, the fields that are
/// parameters and the fields that are children: named by their fields, or the only one, or numbered.
/// Type parameters that are parts of it stand before the type: `[K] Twice<K> as "twice", parameters: [],
/// child: kernel`. What an `inner` field has counts as its own, and comes first: `inner: points, parameters: [weights]`.
///
/// # Examples
///
/// ```
/// use mercer::params::{Constraint, Parameter, ParameterizedExt};
///
/// struct Noise {
///     variance: Parameter,
/// }
/// mercer::parameterized!(Noise as "noise", parameters: [variance]);
///
/// let noise = Noise { variance: Parameter::new("variance", 0.1, Constraint::Positive)? };
/// assert_eq!(noise.get("noise.variance")?, 0.1);
/// # Ok::<(), mercer::Error>(())
/// ```
#[macro_export]
macro_rules! parameterized {
    (
        [$($generic:ident),*] $type:ty as $name:literal, $(inner: $inner:ident,)? parameters: [$($field:ident),* $(,)?]
        $(, children: [$($child:ident),* $(,)?])? $(, child: $only:ident)? $(, numbered: [$($numbered:ident),* $(,)?])?
    ) => {
        impl<$($generic: $crate::params::Parameterized),*> $crate::params::Parameterized for $type {
            fn name(&self) -> &str {
                $name
            }

            fn visit(&self, visitor: &mut dyn $crate::params::Visitor) {
                $($crate::params::Parameterized::visit(&self.$inner, visitor);)?
                $(visitor.parameter(self.$field.view(stringify!($field)));)*
                $($(visitor.child($crate::params::Label::Part(stringify!($child)), &self.$child);)*)?
                $(visitor.child($crate::params::Label::Only, &self.$only);)?
                $(for (index, child) in [$(&self.$numbered as &dyn $crate::params::Parameterized),*].into_iter().enumerate() {
                    visitor.child($crate::params::Label::Index(index), child);
                })?
                let _ = visitor;
            }

            fn visit_mut(&mut self, visitor: &mut dyn $crate::params::VisitorMut) {
                $($crate::params::Parameterized::visit_mut(&mut self.$inner, visitor);)?
                $(visitor.parameter(self.$field.view_mut(stringify!($field)));)*
                $($(visitor.child($crate::params::Label::Part(stringify!($child)), &mut self.$child);)*)?
                $(visitor.child($crate::params::Label::Only, &mut self.$only);)?
                $(for (index, child) in
                    [$(&mut self.$numbered as &mut dyn $crate::params::Parameterized),*].into_iter().enumerate()
                {
                    visitor.child($crate::params::Label::Index(index), child);
                })?
                let _ = visitor;
            }
        }
    };
    ($type:ty as $($fields:tt)*) => {
        $crate::parameterized!([] $type as $($fields)*);
    };
}
