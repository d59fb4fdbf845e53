//! One declaration that makes a kernel.

/// Declares a kernel: a struct, and all that follows from what its fields are.
///
/// It gives the struct (`Clone`, `Debug`, `PartialEq`), a constructor `new` that panics on values that are refused and
/// a checked one, `try_new`, with the fields as arguments in the order in which they are declared; a getter for each
/// field; [`Parameterized`](crate::params::Parameterized); the operators and `Display`, as
/// [`kernel_ops!`](crate::kernel_ops!) does; and [`Construct`](crate::kernel::Construct), so that text can make it.
/// What is left to write is what the kernel is: [`Expr`](crate::Expr) with [`Kernel`](crate::Kernel), or
/// [`Radial`](crate::kernels::Radial) and others that imply the two.
///
/// A field is a hyperparameter of one of three kinds, with the [`Constraint`](crate::params::Constraint) on its values,
/// or a setting:
///
/// | declared | argument | getter |
/// |---|---|---|
/// | `name: Scalar = Positive` | a number: `f64` | `f64` |
/// | `name: PerDimension = Positive` | one number, or one for each dimension: `impl Into<OneOrEach>` | `&[f64]` |
/// | `name: List = Positive` | one number at least: `impl Into<Vec<f64>>` | `&[f64]` |
/// | `setting name: u32` | `u32`, or another type that is `Copy` and [in text](crate::kernel::FromArgument) | `u32` |
///
/// The fields of the struct have the types [`Parameter`](crate::params::Parameter),
/// [`PerDimension`](crate::params::PerDimension), [`ParameterArray`](crate::params::ParameterArray) and that of the
/// setting. A constraint is an expression; the variants of the type and the settings are in scope. `BySign` is one
/// more: positive if the value starts so, else any finite number. The documentation of a field is that of its getter,
/// and stands in that of `new`.
///
/// A setting is not fitted. With settings there is a function `settings`, which gives them as
/// [`Expr::settings`](crate::Expr::settings) does. After the fields, `check = path;` names a function that gets the
/// settings and may refuse them. Text writes settings before parameters: declare them first, or name them in
/// [`Expr::written_last`](crate::Expr::written_last), so that text without names is read in the order that is printed.
///
/// `state name: Type` is a field that is no argument and has no getter: it starts with its default.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// mercer::kernel! {
///     /// (1 + c xᵀy)ⁿ
///     pub Biased as "biased" {
///         /// The degree n, at most 9.
///         setting degree: u32,
///         /// The factor c.
///         factor: Scalar = Positive,
///     }
///     check = check_degree;
/// }
///
/// fn check_degree(degree: u32) -> mercer::Result<()> {
///     let (name, expected) = ("the degree".to_owned(), "must be at most 9".to_owned());
///     if degree <= 9 { Ok(()) } else { Err(Error::Setting { name, found: degree.to_string(), expected }) }
/// }
///
/// impl Expr for Biased {
///     fn settings(&self) -> Vec<(&'static str, String)> {
///         self.settings()
///     }
/// }
///
/// impl<T: Scalar> Kernel<T> for Biased {
///     fn pairwise(&self, x: &[T], y: &[T]) -> T {
///         let product: T = x.iter().zip(y).map(|(&x, &y)| x * y).sum();
///         (T::from_f64(1.0) + T::from_f64(self.factor()) * product).powi(self.degree() as i32)
///     }
/// }
///
/// let kernel = 2.0 * Biased::new(2, 0.5) + Rbf::new(1.0);
/// assert_eq!(kernel.eval(&[1.0], &[4.0])?, 18.0 + (-4.5f64).exp());
/// assert_eq!(kernel.to_string(), "2 * biased(degree=2, factor=0.5) + rbf(lengthscale=1)");
/// assert_eq!(Biased::try_new(10, 0.5).unwrap_err().to_string(), "the degree is 10, but must be at most 9");
///
/// mercer::algebra::register::<Biased>("biased")?;
/// assert_eq!("biased(3, factor=1)".parse::<DynKernel>()?.eval(&[1.0], &[1.0])?, 8.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// Another kind of field is an error that names the three:
///
/// ```compile_fail
/// mercer::kernel! {
///     pub Wave as "wave" {
///         period: f64 = Positive,
///     }
/// }
/// ```
#[macro_export]
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis $type:ident as $($declared:tt)*) => {
        $crate::declare! { $(#[$meta])* $vis $type as $($declared)* }
        $crate::kernel_ops!($type);
    };
}

/// Declares a struct of hyperparameters that is no kernel, such as a warp: as [`kernel!`](crate::kernel!) does, without
/// the operators.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// mercer::declare! {
///     /// A law of noise.
///     pub Noise as "noise" {
///         /// The variance.
///         variance: Scalar = Positive,
///     }
/// }
///
/// assert_eq!(Noise::new(0.1).get("noise.variance")?, 0.1);
/// assert!(Noise::try_new(-0.1).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
#[macro_export]
macro_rules! declare {
    (
        @fields $head:tt [$($all:tt)*] [$($parameters:tt)*] $settings:tt $states:tt
        $(#[$doc:meta])* $field:ident: Scalar = $rule:expr $(, $($rest:tt)*)?
    ) => {
        $crate::declare! {
            @fields $head
            [$($all)* { $(#[$doc])* $field ($crate::params::Parameter) (f64) (f64) (f64) [value] }]
            [$($parameters)* $field ($crate::params::Parameter) = $rule;]
            $settings $states $($($rest)*)?
        }
    };
    (
        @fields $head:tt [$($all:tt)*] [$($parameters:tt)*] $settings:tt $states:tt
        $(#[$doc:meta])* $field:ident: PerDimension = $rule:expr $(, $($rest:tt)*)?
    ) => {
        $crate::declare! {
            @fields $head
            [$($all)* {
                $(#[$doc])* $field ($crate::params::PerDimension) ($crate::params::OneOrEach)
                (impl Into<$crate::params::OneOrEach>) (&[f64]) [values]
            }]
            [$($parameters)* $field ($crate::params::PerDimension) = $rule;]
            $settings $states $($($rest)*)?
        }
    };
    (
        @fields $head:tt [$($all:tt)*] [$($parameters:tt)*] $settings:tt $states:tt
        $(#[$doc:meta])* $field:ident: List = $rule:expr $(, $($rest:tt)*)?
    ) => {
        $crate::declare! {
            @fields $head
            [$($all)* {
                $(#[$doc])* $field ($crate::params::ParameterArray) (Vec<f64>)
                (impl Into<Vec<f64>>) (&[f64]) [values]
            }]
            [$($parameters)* $field ($crate::params::ParameterArray) = $rule;]
            $settings $states $($($rest)*)?
        }
    };
    (
        @fields $head:tt [$($all:tt)*] $parameters:tt ($($settings:tt)*) $states:tt
        $(#[$doc:meta])* setting $field:ident: $of:ty $(, $($rest:tt)*)?
    ) => {
        $crate::declare! {
            @fields $head
            [$($all)* { $(#[$doc])* $field ($of) ($of) ($of) ($of) [] }]
            $parameters ($($settings)* $field,) $states $($($rest)*)?
        }
    };
    (
        @fields $head:tt $all:tt $parameters:tt $settings:tt [$($states:tt)*]
        state $field:ident: $of:ty $(, $($rest:tt)*)?
    ) => {
        $crate::declare! {
            @fields $head $all $parameters $settings [$($states)* $field ($of)] $($($rest)*)?
        }
    };
    // Goes on as if it were right, so that this is the only error.
    (
        @fields $head:tt $all:tt $parameters:tt $settings:tt $states:tt
        $(#[$doc:meta])* $field:ident: $kind:ident $(= $rule:expr)? $(, $($rest:tt)*)?
    ) => {
        ::std::compile_error! {
            ::std::concat!(
                "`", ::std::stringify!($field: $kind $(= $rule)?), "` declares no field: write `",
                ::std::stringify!($field), ": Scalar = Positive` for one number that is fitted, `PerDimension` for one ",
                "or one for each dimension, `List` for any number of them, each with its `Constraint`; and `setting ",
                ::std::stringify!($field), ": u32` for what is not fitted"
            )
        }
        $crate::declare! {
            @fields $head $all $parameters $settings $states $(#[$doc])* $field: Scalar = Real, $($($rest)*)?
        }
    };
    (
        @fields [$(#[$meta:meta])* $vis:vis $type:ident $name:literal $($check:path)?]
        [$({
            $(#[$doc:meta])* $field:ident
            ($($kept:tt)+) ($($argument:tt)+) ($($given:tt)+) ($($got:tt)+) [$($get:ident)?]
        })*]
        [$($parameter:ident ($($kind:tt)+) = $rule:expr;)*] $settings:tt [$($state:ident ($of_state:ty))*]
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $type {
            $($field: $($kept)+,)*
            $($state: $of_state,)*
        }

        $crate::parameterized!($type as $name, parameters: [$($parameter),*]);
        $crate::construct!($type: try_new($($field: $($argument)+),*));
        $crate::declare!(@settings $type $settings);

        impl $type {
            /// Makes one of:
            ///
            $(
                #[doc = ::std::concat!("- `", ::std::stringify!($field), "`:")]
                $(#[$doc])*
            )*
            ///
            /// # Panics
            ///
            /// On what [`try_new`](Self::try_new), the checked form, refuses.
            #[track_caller]
            $vis fn new($($field: $($given)+),*) -> Self {
                $crate::literal(Self::try_new($($field),*))
            }

            /// Makes one of the arguments that [`new`](Self::new) lists.
            ///
            /// # Errors
            ///
            $(
                #[doc = ::std::concat!(
                    "- `Error::Parameter` for a `", ::std::stringify!($parameter), "` that its constraint, `",
                    ::std::stringify!($rule), "`, refuses."
                )]
            )*
            /// - `Error::Shape` or `Error::Empty` for a list without numbers.
            $(#[doc = ::std::concat!("- Those of `", ::std::stringify!($check), "`.")])?
            $vis fn try_new($($field: $($given)+),*) -> $crate::Result<Self> {
                #[allow(unused_imports, reason = "a declaration names the constraints that it needs, or none")]
                use $crate::params::{Constraint::*, Rule::BySign};
                $($check $settings?;)?
                $(let $parameter = <$($kind)+ as $crate::params::Field>::declared(
                    ::std::stringify!($parameter), $parameter.into(), $rule,
                )?;)*
                Ok(Self { $($field,)* $($state: ::std::default::Default::default()),* })
            }

            $(
                $(#[$doc])*
                $vis fn $field(&self) -> $($got)+ {
                    self.$field$(.$get())?
                }
            )*
        }
    };
    (@settings $type:ident ()) => {};
    (@settings $type:ident ($($setting:ident,)+)) => {
        impl $type {
            /// What is not fitted, as names and texts.
            fn settings(&self) -> Vec<(&'static str, String)> {
                vec![$((::std::stringify!($setting), self.$setting.to_string())),+]
            }
        }
    };
    (
        $(#[$meta:meta])* $vis:vis $type:ident as $name:literal { $($fields:tt)* } $(check = $check:path;)?
    ) => {
        $crate::declare! { @fields [$(#[$meta])* $vis $type $name $($check)?] [] [] () [] $($fields)* }
    };
}
