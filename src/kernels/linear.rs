//! The linear kernel.

use super::gegenbauer;
use super::markov::powers;
use crate::kernel::{
    DiagVjp, Expr, Features, Kernel, Markov, MarkovTerm, OnSphere, Pairs, Properties, Psd, Scratch, Structure,
    TileParts, TileVjp, Variable, Views,
};
use crate::params::Parameter;
use crate::simd::{dot, elementwise};
use crate::{Real, Scalar};

crate::kernel! {
    /// The linear kernel: Bayesian linear regression without intercept.
    ///
    /// # Definition
    ///
    /// k(x, y) = σ² xᵀy
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `variance` | σ² | that of the outputs squared, over that of the inputs squared | positive |
    ///
    /// # Properties
    ///
    /// Not stationary; positive semi-definite in any dimension, of rank D. Add a constant for an
    /// intercept: `Linear::new(1.0) + 0.5`.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Linear::new(0.5);
    /// assert_eq!(kernel.eval(&[1.0, 2.0], &[3.0, 4.0])?, 5.5);
    /// assert_eq!((kernel + 0.5).eval(&[1.0, 2.0], &[3.0, 4.0])?, 6.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.2.
    pub Linear as "linear" {
        /// The variance σ².
        variance: Scalar = Positive,
    }
}

impl Linear {
    pub(super) fn of(variance: Parameter) -> Self {
        Self { variance }
    }

    fn scale<T: Scalar>(&self) -> T {
        T::from_f64(self.variance())
    }
}

impl Expr for Linear {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().on_sphere(self).markov(self))
    }

    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).differentiable()
    }
}

impl OnSphere for Linear {
    fn coefficients(&self, theta: &[Variable], dim: usize, l_max: usize) -> Option<Vec<Variable>> {
        Some(gegenbauer::funk_hecke(&[Variable::from_f64(0.0), *theta.first()?], dim, l_max))
    }
}

impl Markov for Linear {
    fn terms(&self, theta: &[Variable], _: Option<f64>) -> Result<Vec<MarkovTerm>, String> {
        let coefficients = [Variable::from_f64(0.0), Variable::from_f64(1.0)];
        Ok(vec![MarkovTerm::of(powers::polynomial(&coefficients)).scaled(theta[0])])
    }
}

impl<T: Scalar> Kernel<T> for Linear {
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let product: T = x.iter().zip(y).map(|(&x, &y)| x * y).sum();
        self.scale::<T>() * product
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        scratch.inner_products(pairs, out);
        elementwise::scale(out, self.scale());
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let points = features.points();
        out.fill(T::from_f64(0.0));
        for dim in 0..points.dim() {
            for (out, &x) in out.iter_mut().zip(points.column(dim)) {
                *out += x * x;
            }
        }
        elementwise::scale(out, self.scale());
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, value, cotangent, theta, scratch } = to.with_value(self);
        // dk/dσ² = xᵀy = k/σ²
        theta[0] += dot(cotangent, value).as_f64() / self.variance();
        scratch.add_inner_product_gradient(pairs, |gradient| {
            elementwise::add_scaled(gradient, cotangent, self.scale());
        });
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let points = features.points();
        for dim in 0..points.dim() {
            let x = points.column(dim);
            let terms = x.iter().zip(cotangent).map(|(&x, &c)| x.as_f64() * x.as_f64() * c.as_f64());
            theta[0] += terms.sum::<f64>();
            if let Some(in_points) = gradients.at_mut(points) {
                let twice = T::from_f64(2.0 * self.variance());
                for ((out, &x), &c) in in_points.col_as_slice_mut(dim).iter_mut().zip(x).zip(cotangent) {
                    *out += twice * c * x;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn gram_is_the_product() {
        let x = mat![[1.0, 2.0], [-1.0, 0.5], [3.0, 0.0]];
        let gram = Linear::new(2.0).gram(x.as_ref()).unwrap();
        assert_eq!(gram, &x * x.transpose() * faer::Scale(2.0));
    }
}
