//! Kernels of one's own, from a formula.

use std::fmt::Debug;

use super::inputs::check_per_dimension;
use super::variables::{
    CHUNK, Chunk, Variable, add_partials, hyperparameters, plain, vjp_by_points, with_buffer, zero,
};
use super::{Expr, FeatureGradients, Features, Inputs, Pairs, Psd, Scratch};
use crate::params::{Parameterized, ParameterizedExt};
use crate::{Dual, Real, Result, Scalar};

/// A kernel of one's own, written once, as a formula over [`Real`] numbers. With
/// [`formula_kernel!`](crate::formula_kernel!) the type is a [`Kernel`](crate::Kernel) that joins the
/// operators, and has exact gradients in its hyperparameters and in both points, by dual numbers.
///
/// Values are evaluated at the precision of the data; gradients are evaluated in `f64`, with eight
/// partial derivatives at a time, and cost ⌈(P + 2D)/8⌉ evaluations of the formula a pair for P
/// hyperparameters in D dimensions. A kernel that is fast because it shares work between pairs is
/// written against [`Kernel`](crate::Kernel) or [`Radial`](crate::kernels::Radial) instead.
///
/// # Examples
///
/// A squared exponential whose lengthscale grows with the distance from the origin (Gibbs 1997):
///
/// ```
/// use mercer::kernel::Formula;
/// use mercer::params::{Constraint, Parameter};
/// use mercer::prelude::*;
///
/// #[derive(Clone, Debug)]
/// struct Gibbs {
///     near: Parameter,
///     growth: Parameter,
/// }
/// mercer::parameterized!(Gibbs as "gibbs", parameters: [near, growth]);
/// mercer::formula_kernel!(Gibbs);
///
/// impl Formula for Gibbs {
///     fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R {
///         let lengthscale = |x: R| theta[0] + theta[1] * x * x;
///         let (lx, ly) = (lengthscale(x[0]), lengthscale(y[0]));
///         let sum = lx * lx + ly * ly;
///         (lx * ly * 2.0 / sum).sqrt() * (-(x[0] - y[0]).powi(2) / sum).exp()
///     }
///
///     fn psd(&self) -> Psd {
///         Psd::Always
///     }
/// }
///
/// let near = Parameter::new("near", 0.5, Constraint::Positive)?;
/// let growth = Parameter::new("growth", 0.1, Constraint::Positive)?;
/// let kernel = 2.0 * Gibbs { near, growth };
/// let sum = 0.5f64.powi(2) + 0.6f64.powi(2);
/// let expected = 2.0 * (2.0 * 0.5 * 0.6 / sum).sqrt() * (-1.0 / sum).exp();
/// assert!((kernel.eval(&[0.0], &[1.0])? - expected).abs() < 1e-15);
/// assert_eq!(kernel.to_string(), "2 * gibbs(near=0.5, growth=0.1)");
/// # Ok::<(), mercer::Error>(())
/// ```
/// One lengthscale, or one for each dimension, before another parameter; and points that it needs two coordinates of:
///
/// ```
/// use mercer::kernel::Formula;
/// use mercer::prelude::*;
///
/// mercer::declare! {
///     /// exp(−Σ_d (x_d − y_d)²/ℓ_d²) cos(ω (x₁ − y₁))
///     pub Wave as "wave" {
///         /// The lengthscale.
///         lengthscale: PerDimension = Positive,
///         /// The frequency ω in the second coordinate.
///         frequency: Scalar = Positive,
///     }
/// }
/// mercer::formula_kernel!(Wave);
///
/// impl Formula for Wave {
///     fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R {
///         let (lengthscales, frequency) = (&theta[..self.lengthscale().len()], theta[self.lengthscale().len()]);
///         let scaled = |d: usize| (x[d] - y[d]) / lengthscales[d % lengthscales.len()]; // of one, always that
///         let distance: R = (0..x.len()).map(|d| scaled(d).powi(2)).sum();
///         (-distance).exp() * (frequency * (x[1] - y[1])).cos()
///     }
///
///     fn check_dim(&self, dim: usize) -> mercer::Result<()> {
///         let needs = "reads the second coordinate".to_owned();
///         if dim >= 2 { Ok(()) } else { Err(Error::Dimension { kernel: self.to_string(), needs, found: dim }) }
///     }
/// }
///
/// let expected = (-1.25f64).exp() * 2.0f64.cos();
/// assert!((Wave::new([1.0, 2.0], 2.0).eval(&[0.0, 0.0], &[1.0, 1.0])? - expected).abs() < 1e-15);
/// assert!(Wave::new(1.0, 2.0).eval(&[0.0; 3], &[1.0; 3])? < 0.0);
///
/// // Points that it cannot read are an error.
/// let refused = Wave::new([1.0, 2.0], 2.0).eval(&[0.0; 3], &[1.0; 3]).unwrap_err();
/// assert!(refused.to_string().contains("has 2 values of `lengthscale`, one for each dimension"), "{refused}");
/// let refused = Wave::new(1.0, 2.0).eval(&[0.0], &[1.0]).unwrap_err();
/// assert!(refused.to_string().contains("reads the second coordinate"), "{refused}");
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Formula: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// k(x, y), symmetric in x and y. `theta` holds the hyperparameters in visiting order: take them
    /// from there and not from `self`, or they have no gradient. A parameter that may have one value for each dimension
    /// ([`PerDimension`](crate::params::PerDimension)) takes one place or as many as there are dimensions, and those after
    /// it stand behind: see the second example of this trait.
    fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R;

    /// In which dimensions the kernel is guaranteed positive
    /// semi-definite. A model refuses a kernel that gives no guarantee.
    fn psd(&self) -> Psd {
        Psd::Unknown
    }

    /// Whether k(x, y) depends on x − y alone.
    fn stationary(&self) -> bool {
        false
    }

    /// Refuses points that the formula cannot read. What parameters with one value for each dimension ask for is checked
    /// before; without this, a formula that indexes another coordinate which is not there panics.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`](crate::Error::Dimension), naming the kernel and what it needs.
    fn check_dim(&self, dim: usize) -> Result<()> {
        let _ = dim;
        Ok(())
    }
}

/// Makes a type with a [`Formula`](crate::kernel::Formula) a kernel, at both precisions, with the
/// operators of [`kernel_ops!`](crate::kernel_ops!).
///
/// For a type with type parameters, name them first: `formula_kernel!([A] Mine<A>)`.
///
/// # Examples
///
/// See [`Formula`](crate::kernel::Formula).
#[macro_export]
macro_rules! formula_kernel {
    ([$($generics:ident),*] $type:ty) => {
        $crate::kernel_ops!([$($generics),*] $type);

        impl<$($generics),*> $crate::kernel::Expr for $type
        where
            Self: $crate::kernel::Formula,
        {
            fn properties(&self) -> $crate::kernel::Properties {
                let properties =
                    $crate::kernel::Properties::unknown().psd($crate::kernel::Formula::psd(self)).differentiable();
                if $crate::kernel::Formula::stationary(self) { properties.stationary() } else { properties }
            }

            fn inputs(&self, dim: usize) -> $crate::Result<$crate::kernel::Inputs<'_>> {
                $crate::kernel::formula::inputs(self, dim)
            }
        }

        impl<Precision: $crate::Scalar, $($generics),*> $crate::kernel::Kernel<Precision> for $type
        where
            Self: $crate::kernel::Formula,
        {
            #[inline]
            fn pairwise(&self, x: &[Precision], y: &[Precision]) -> Precision {
                $crate::kernel::formula::pairwise(self, x, y)
            }

            fn tile(
                &self,
                pairs: &$crate::kernel::Pairs<'_, Precision>,
                out: &mut [Precision],
                _: &mut $crate::kernel::Scratch<Precision>,
            ) {
                $crate::kernel::formula::tile(self, pairs, out);
            }

            fn tile_diag(&self, features: &$crate::kernel::Features<'_, Precision>, out: &mut [Precision]) {
                $crate::kernel::formula::tile_diag(self, features, out);
            }

            fn tile_vjp(&self, to: $crate::kernel::TileVjp<'_, Precision>) {
                let $crate::kernel::TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
                $crate::kernel::formula::tile_vjp(self, pairs, cotangent, theta, scratch);
            }

            fn tile_diag_vjp(&self, to: $crate::kernel::DiagVjp<'_, Precision>) {
                let $crate::kernel::DiagVjp { features, cotangent, theta, gradients } = to;
                $crate::kernel::formula::tile_diag_vjp(self, features, cotangent, theta, gradients);
            }
        }
    };
    ($type:ty) => {
        $crate::formula_kernel!([] $type);
    };
}

/// [`Expr::inputs`] of a formula.
#[doc(hidden)]
pub fn inputs<F: Formula + Expr>(kernel: &F, dim: usize) -> Result<Inputs<'static>> {
    check_per_dimension(kernel, dim)?;
    kernel.check_dim(dim).map(|()| Inputs::all(dim))
}

/// [`Kernel::pairwise`](crate::Kernel::pairwise) of a formula.
#[doc(hidden)]
#[inline]
pub fn pairwise<T: Scalar, F: Formula>(kernel: &F, x: &[T], y: &[T]) -> T {
    let params = kernel.num_params();
    with_buffer(params + x.len() + y.len(), zero::<T>(), |numbers| {
        let (theta, points) = numbers.split_at_mut(params);
        let (in_x, in_y) = points.split_at_mut(x.len());
        hyperparameters(kernel, theta, |_, value| Dual::from_f64(value));
        in_x.iter_mut().zip(x).for_each(|(number, &coordinate)| *number = plain(coordinate));
        in_y.iter_mut().zip(y).for_each(|(number, &coordinate)| *number = plain(coordinate));
        kernel.formula(theta, in_x, in_y).value
    })
}

/// [`Kernel::tile`](crate::Kernel::tile) of a formula.
#[doc(hidden)]
pub fn tile<T: Scalar, F: Formula>(kernel: &F, pairs: &Pairs<'_, T>, out: &mut [T]) {
    let (params, dim) = (kernel.num_params(), pairs.dim());
    let mut numbers = vec![zero::<T>(); params + dim * (pairs.nrows() + pairs.ncols())];
    let (theta, points) = numbers.split_at_mut(params);
    let (x, y) = points.split_at_mut(dim * pairs.nrows());
    hyperparameters(kernel, theta, |_, value| Dual::from_f64(value));
    for d in 0..dim {
        x[d..].iter_mut().step_by(dim).zip(pairs.x_column(d)).for_each(|(number, &x)| *number = plain(x));
        y[d..].iter_mut().step_by(dim).zip(pairs.y_column(d)).for_each(|(number, &y)| *number = plain(y));
    }
    for (column, y) in out.chunks_exact_mut(pairs.nrows()).zip(y.chunks_exact(dim)) {
        for (out, x) in column.iter_mut().zip(x.chunks_exact(dim)) {
            *out = kernel.formula(theta, x, y).value;
        }
    }
}

/// [`Kernel::tile_diag`](crate::Kernel::tile_diag) of a formula.
#[doc(hidden)]
pub fn tile_diag<T: Scalar, F: Formula>(kernel: &F, features: &Features<'_, T>, out: &mut [T]) {
    let (params, points) = (kernel.num_params(), features.points());
    let mut numbers = vec![zero::<T>(); params + points.dim()];
    let (theta, x) = numbers.split_at_mut(params);
    hyperparameters(kernel, theta, |_, value| Dual::from_f64(value));
    for (row, out) in out.iter_mut().enumerate() {
        x.iter_mut().enumerate().for_each(|(d, number)| *number = plain(points.column(d)[row]));
        *out = kernel.formula(theta, x, x).value;
    }
}

/// [`Kernel::tile_vjp`](crate::Kernel::tile_vjp) of a formula, in the variables (θ, x, y).
#[doc(hidden)]
pub fn tile_vjp<T: Scalar, F: Formula>(
    kernel: &F,
    pairs: &Pairs<'_, T>,
    cotangent: &[T],
    in_theta: &mut [f64],
    scratch: &mut Scratch<T>,
) {
    let (params, dim) = (kernel.num_params(), pairs.dim());
    let (rows, cols) = (pairs.nrows(), pairs.ncols());
    let variables = params + if scratch.wants_feature_gradient(pairs) { 2 * dim } else { 0 };
    let mut numbers = vec![Variable::from_f64(0.0); params + dim * (rows + cols)];
    let (theta, points) = numbers.split_at_mut(params);
    let (x, y) = points.split_at_mut(dim * rows);
    // Each derivative is summed over columns and over rows; which of the sums is a gradient depends on
    // the variable.
    let (mut by_row, mut by_col) = (vec![[0.0; CHUNK]; rows], vec![[0.0; CHUNK]; cols]);
    for chunk in Chunk::all(variables) {
        hyperparameters(kernel, theta, |index, value| chunk.number(index, value));
        for (row, x) in x.chunks_exact_mut(dim).enumerate() {
            chunk.point(params, (0..dim).map(|d| pairs.x_column(d)[row]), x);
        }
        for (col, y) in y.chunks_exact_mut(dim).enumerate() {
            chunk.point(params + dim, (0..dim).map(|d| pairs.y_column(d)[col]), y);
        }
        by_row.fill([0.0; CHUNK]);
        by_col.fill([0.0; CHUNK]);
        for ((cotangent, y), in_col) in cotangent.chunks_exact(rows).zip(y.chunks_exact(dim)).zip(&mut by_col) {
            for ((&cotangent, x), in_row) in cotangent.iter().zip(x.chunks_exact(dim)).zip(&mut by_row) {
                let value = kernel.formula(theta, x, y);
                add_partials(in_row, cotangent.as_f64(), &value);
                add_partials(in_col, cotangent.as_f64(), &value);
            }
        }
        for (index, in_theta) in in_theta.iter_mut().enumerate().take(params) {
            if let Some(lane) = chunk.lane(index) {
                *in_theta += by_row.iter().map(|sums| sums[lane]).sum::<f64>();
            }
        }
        scratch.add_point_gradient(pairs, |d, in_rows, in_cols| {
            add_lane(in_rows, &by_row, chunk.lane(params + d));
            add_lane(in_cols, &by_col, chunk.lane(params + dim + d));
        });
    }
}

fn add_lane<T: Scalar>(out: &mut [T], sums: &[[f64; CHUNK]], lane: Option<usize>) {
    if let Some(lane) = lane {
        out.iter_mut().zip(sums).for_each(|(out, sums)| *out += T::from_f64(sums[lane]));
    }
}

/// [`Kernel::tile_diag_vjp`](crate::Kernel::tile_diag_vjp) of a formula, in the variables (θ, x), y being
/// the same as x.
#[doc(hidden)]
pub fn tile_diag_vjp<T: Scalar, F: Formula>(
    kernel: &F,
    features: &Features<'_, T>,
    cotangent: &[T],
    in_theta: &mut [f64],
    gradients: &mut FeatureGradients<T>,
) {
    let points = features.points();
    let formula = |theta: &[Variable], x: &[Variable], out: &mut [Variable]| out[0] = kernel.formula(theta, x, x);
    let cotangent = |row: usize, _| cotangent[row].as_f64();
    vjp_by_points(kernel, formula, points, 1, cotangent, in_theta, gradients.at_mut(points));
}
