//! The general covariance of directions.

use super::gegenbauer::{self, Series, sphere_kernel};
use crate::Result;
use crate::kernel::{Expr, Inputs, OnSphere, Properties, Psd, Structure, Variable, Views};

crate::kernel! {
    /// A finite Gegenbauer series in the cosine of the angle: by Schoenberg's theorem, every covariance of
    /// directions is one, or a limit of them.
    ///
    /// # Definition
    ///
    /// k(x, y) = Σₙ bₙ Cₙ^λ(cos θ)/Cₙ^λ(1), where θ is the angle between x and y in D ≥ 2 dimensions and
    /// λ = (D − 2)/2: cos nθ on the circle, Legendre polynomials on the sphere in three dimensions.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `coefficients[n]` | bₙ | that of the outputs squared | positive if all start positive, else any finite number |
    ///
    /// # Properties
    ///
    /// Zonal, not stationary; k(x, x) = Σₙ bₙ. Positive semi-definite in any dimension from 2 if no
    /// coefficient is negative: the polynomials of each dimension are covariances in that dimension.
    /// Samples are spherical polynomials of degree at most n. The lengths of points are ignored; a zero vector counts
    /// as one in the direction of the first axis, with gradient 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Zonal::new([0.5, 0.2, 0.3]);
    /// // cos θ = 0.6 on the circle, and cos 2θ = −0.28.
    /// let value: f64 = kernel.eval(&[2.0, 0.0], &[3.0, 4.0])?;
    /// assert!((value - (0.5 + 0.2 * 0.6 - 0.3 * 0.28)).abs() < 1e-15);
    /// assert!(kernel.properties().zonal && (2.0 * kernel + 1.0).properties().zonal);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// I. J. Schoenberg (1942), "Positive definite functions on spheres", *Duke Mathematical Journal*
    /// 9(1), 96–108.
    pub Zonal as "zonal" {
        /// The coefficients b₀, b₁, ….
        coefficients: List = BySign,
    }
}

sphere_kernel!(Zonal);

impl Expr for Zonal {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().on_sphere(self))
    }

    fn properties(&self) -> Properties {
        Properties::unknown()
            .psd(if self.coefficients().iter().all(|&b| b >= 0.0) { Psd::Always } else { Psd::Unknown })
            .zonal()
            .differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        gegenbauer::check_dim(self, dim)
    }
}

impl OnSphere for Zonal {
    fn coefficients(&self, theta: &[Variable], dim: usize, l_max: usize) -> Option<Vec<Variable>> {
        Some(gegenbauer::funk_hecke(theta, dim, l_max))
    }
}

impl Series for Zonal {
    fn coefficients(&self, _: usize) -> Vec<f64> {
        self.coefficients().to_vec()
    }

    fn add_gradient(&self, _: usize, in_coefficients: &[f64], theta: &mut [f64]) {
        theta.iter_mut().zip(in_coefficients).for_each(|(sum, &g)| *sum += g);
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn first_order_is_the_cosine_in_any_dimension() {
        let (x, y) = ([1.0, -2.0, 0.5, 3.0], [0.3, 1.0, -1.0, 0.2]);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let value: f64 = Zonal::new([0.0, 1.0]).eval(&x, &y).unwrap();
        assert!((value - dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()).abs() < 1e-15);
        assert_eq!(Zonal::new([0.5, -0.1]).properties().psd, Psd::Unknown);
    }
}
