//! A kernel scaled by a function of the points.

use std::fmt;

use crate::kernel::point_factors::{outer_tile, outer_vjp};
use crate::kernel::variables::with_buffer;
use crate::kernel::{
    AnyKernel, DiagVjp, EmbedVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Scratch, Structure,
    TileParts, TileVjp, split_theta, text, write_function,
};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::warp::{Function, Warp};
use crate::{Error, Result, Scalar, kernel_ops};

/// A kernel times a function of each point: what [`vertical`](crate::algebra::Compose::vertical)
/// makes. For a process g with the inner kernel, it is the covariance of f(x) g(x): an amplitude that
/// changes from place to place.
///
/// # Definition
///
/// k(x, y) = f(x) · inner(x, y) · f(y)
///
/// # Hyperparameters
///
/// Those of the function, then those of the inner kernel.
///
/// # Properties
///
/// Positive semi-definite where the inner kernel is; not stationary.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::warp::Function;
///
/// /// f(x) = exp(x₀)
/// #[derive(Clone, Debug)]
/// struct Growth;
/// mercer::parameterized!(Growth as "growth", parameters: []);
///
/// impl Function for Growth {
///     fn output_dim(&self, _: usize) -> mercer::Result<usize> {
///         Ok(1)
///     }
///
///     fn apply<R: Real>(&self, _: &[R], x: &[R], out: &mut [R]) {
///         out[0] = x[0].exp();
///     }
/// }
///
/// let kernel = Rbf::new(1.0).vertical(Growth);
/// let expected = (1.0f64 + 3.0 - 0.5 * 4.0).exp();
/// assert!((kernel.eval(&[1.0], &[3.0])? - expected).abs() < 1e-14);
/// assert_eq!((2.0 * kernel).to_string(), "2 * vertical(rbf(lengthscale=1), growth())");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # Errors
///
/// Points are refused with [`Error::Shape`] if the function has another number of outputs than one.
///
/// # References
///
/// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.4.
#[derive(Clone, Debug)]
pub struct Vertical<F, K> {
    function: F,
    kernel: K,
}

kernel_ops!([F, K] Vertical<F, K>);

impl<F, K> Vertical<F, K> {
    /// The kernel times a function of each point.
    pub fn new(function: F, kernel: K) -> Self {
        Self { function, kernel }
    }

    /// The function.
    pub fn function(&self) -> &F {
        &self.function
    }

    /// The kernel that is scaled.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }
}

impl<F: Function, K> Vertical<F, K> {
    fn factor<T: Scalar>(&self, x: &[T]) -> T {
        // One output, or more where `check_dim` has not been asked.
        let outputs = Function::output_dim(&self.function, x.len()).unwrap_or(0).max(1);
        with_buffer(outputs, T::from_f64(0.0), |out| {
            self.function.point(x, out);
            out[0]
        })
    }
}

impl<F: Parameterized, K: Parameterized> Parameterized for Vertical<F, K> {
    fn name(&self) -> &str {
        "vertical"
    }

    // The function's parameters belong to this node, as those of a warp do: `vertical.amplitude`.
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.function.visit(visitor);
        visitor.child(Label::Only, &self.kernel);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.function.visit_mut(visitor);
        visitor.child(Label::Only, &mut self.kernel);
    }
}

impl<F: Function, K: AnyKernel + Clone> Expr for Vertical<F, K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Function(self.kernel.node())
    }

    fn properties(&self) -> Properties {
        self.kernel.properties().of_coordinates()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        let outputs = Function::output_dim(&self.function, dim).map_err(|error| match error {
            Error::Dimension { needs, found, .. } => Error::Dimension { kernel: text(self).to_string(), needs, found },
            other => other,
        })?;
        if outputs != 1 {
            let what = format!("the output of `{}` in `{}`", self.function.name(), text(self));
            return Err(Error::shape(&what, "one column, the factor of the kernel,", (1, outputs)));
        }
        Ok(Inputs::all(dim).or(self.kernel.inputs(dim)?))
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vertical({}, ", text(&self.kernel))?;
        write_function(&self.function, f)?;
        f.write_str(")")
    }
}

impl<T: Scalar, F: Function, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Vertical<F, K> {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        self.kernel.pairwise(x, y) * (self.factor(x) * self.factor(y))
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        Features::mapped(self.function.forward(points), self.kernel.node().at::<T>().embed(points))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        outer_tile(&self.kernel, pairs, out, scratch);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.kernel.node().at::<T>().tile_diag(features.child(0), out);
        multiply_squares(out, features.points());
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let (_, in_kernel) = split_theta(&self.function, theta);
        outer_vjp(&self.kernel, pairs, cotangent, in_kernel, scratch);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let (_, in_kernel) = split_theta(&self.function, theta);
        let factors = features.points();
        if let Some(in_factors) = gradients.at_mut(factors) {
            let mut value = vec![T::from_f64(0.0); cotangent.len()];
            self.kernel.node().at::<T>().tile_diag(features.child(0), &mut value);
            let terms = value.iter().zip(cotangent).zip(factors.column(0));
            for (out, ((&value, &c), &f)) in in_factors.col_as_slice_mut(0).iter_mut().zip(terms) {
                *out += T::from_f64(2.0) * c * value * f;
            }
        }
        let mut weighted = cotangent.to_vec();
        multiply_squares(&mut weighted, factors);
        self.kernel.node().at::<T>().tile_diag_vjp(DiagVjp::new(features.child(0), &weighted, in_kernel, gradients));
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let (in_function, in_kernel) = split_theta(&self.function, theta);
        self.kernel.node().at::<T>().embed_vjp(EmbedVjp::new(points, features.child(0), gradients, in_kernel));
        self.function.backward(points, features.points(), gradients, in_function);
    }
}

/// out ∘= f²
fn multiply_squares<T: Scalar>(out: &mut [T], factors: &Points<'_, T>) {
    for (out, &f) in out.iter_mut().zip(factors.column(0)) {
        *out *= f * f;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// As many outputs as the points have coordinates: (x₀, …).
    #[derive(Clone, Debug)]
    struct Same;
    crate::parameterized!(Same as "same", parameters: []);

    impl Function for Same {
        fn output_dim(&self, dim: usize) -> Result<usize> {
            Ok(dim)
        }

        fn apply<R: Real>(&self, _: &[R], x: &[R], out: &mut [R]) {
            out.copy_from_slice(x);
        }
    }

    #[test]
    fn zeros_of_the_function_lose_no_gradient() {
        let kernel = Constant::new(2.0).vertical(Same);
        let (x, w) = (mat![[0.0], [3.0]], mat![[0.0, 1.0], [0.0, 0.0]]);
        let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
        assert_eq!(gram, mat![[0.0, 0.0], [0.0, 18.0]]);
        let found = kernel.gram_vjp(x.as_ref(), w.as_ref(), crate::kernel::GradientRequest::ALL).unwrap();
        assert_eq!((found.theta, found.x.unwrap()), (vec![0.0], mat![[6.0], [0.0]]));
    }

    #[test]
    fn more_than_one_factor_is_refused() {
        let kernel = (Rbf::new(1.0).vertical(Same) + 1.0).dynamic();
        assert!(kernel.inputs(1).is_ok());
        let error = kernel.eval(&[1.0, 2.0], &[3.0, 4.0]).unwrap_err().to_string();
        let expected = "the output of `same` in `vertical(rbf(lengthscale=1), same())` has shape (1, 2), but one column, \
                        the factor of the kernel, was expected";
        assert_eq!(error, expected);
    }
}
