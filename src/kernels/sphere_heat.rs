//! The heat kernel on the sphere.

use super::gegenbauer::{self, Series, sphere_kernel};
use crate::Result;
use crate::kernel::{Expr, Inputs, OnSphere, Properties, Psd, Structure, Variable, Views};

crate::kernel! {
    /// The heat kernel on the sphere of directions: what the squared exponential is in flat space.
    ///
    /// # Definition
    ///
    /// k(x, y) = 1/Z Σₙ N(D, n) exp(−n (n + D − 2) ℓ²/2) Cₙ^λ(cos θ)/Cₙ^λ(1), where θ is the angle between x
    /// and y, λ = (D − 2)/2, N(D, n) the number of spherical harmonics of degree n, and Z such that
    /// k(x, x) = 1. Heat has spread for the time ℓ²/2, so that k ≈ exp(−θ²/(2ℓ²)) for small ℓ.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | none (radians) | positive |
    ///
    /// # Properties
    ///
    /// Zonal, not stationary; infinitely differentiable; positive semi-definite in any dimension from 2.
    /// exp(−θ²/(2ℓ²)) itself is no covariance on the sphere. The lengths of points are ignored; a zero vector counts as one
    /// in the direction of the first axis, with gradient 0.
    ///
    /// The series goes on until its terms are below 10⁻¹⁷ of the largest, and to degree 511 at most:
    /// for ℓ below about 0.02 it is cut off, and remains a covariance with k(x, x) = 1, smoother than the heat
    /// kernel. A value costs one multiplication and a few additions a term.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = SphereHeat::new(0.1);
    /// let flat = (-0.5 * 0.05f64 * 0.05 / 0.01).exp();
    /// let value: f64 = kernel.eval(&[3.0, 0.0], &[0.05f64.cos(), 0.05f64.sin()])?;
    /// assert!((value - flat).abs() < 1e-12); // on the circle, until heat meets itself on the other side
    /// assert_eq!((2.0 * kernel).eval(&[3.0, 0.0], &[1.0, 0.0])?, 2.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// I. J. Schoenberg (1942), "Positive definite functions on spheres", *Duke Mathematical Journal*
    /// 9(1), 96–108, for the form of the series.
    pub SphereHeat as "sphere_heat" {
        /// The lengthscale ℓ.
        lengthscale: Scalar = Positive,
    }
}

sphere_kernel!(SphereHeat);

/// Terms of the series, at most.
const TERMS: usize = 512;

/// n (n + D − 2): minus the eigenvalue of the Laplacian for spherical harmonics of degree n.
fn eigenvalue(dim: usize, n: usize) -> f64 {
    n as f64 * (n + dim - 2) as f64
}

impl Expr for SphereHeat {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().on_sphere(self))
    }

    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).zonal().differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        gegenbauer::check_dim(self, dim)
    }
}

impl OnSphere for SphereHeat {
    fn coefficients(&self, theta: &[Variable], dim: usize, l_max: usize) -> Option<Vec<Variable>> {
        let b = Series::coefficients(self, dim);
        let mean: f64 = b.iter().enumerate().map(|(n, b)| b * eigenvalue(dim, n)).sum();
        let slope = |(n, b): (usize, &f64)| self.lengthscale() * b * (mean - eigenvalue(dim, n));
        let number = |(n, b): (usize, &f64)| Variable::with_slopes(*b, theta.iter().zip([slope((n, b))]));
        Some(gegenbauer::funk_hecke(&b.iter().enumerate().map(number).collect::<Vec<_>>(), dim, l_max))
    }
}

impl Series for SphereHeat {
    // In logarithms, because N(D, n) overflows where the exponential vanishes. N(D, n) is
    // (2n + D − 2)/(D − 2) times the binomial of n + D − 3 over n, and 2 on the circle.
    fn coefficients(&self, dim: usize) -> Vec<f64> {
        let time = 0.5 * self.lengthscale() * self.lengthscale();
        let (mut logs, mut binomial) = (vec![0.0f64], 0.0f64);
        let mut largest = 0.0f64;
        for n in 1..TERMS {
            let harmonics = if dim == 2 {
                2f64.ln()
            } else {
                binomial += ((n + dim - 3) as f64 / n as f64).ln();
                binomial + ((2 * n + dim - 2) as f64 / (dim - 2) as f64).ln()
            };
            let log = harmonics - eigenvalue(dim, n) * time;
            // They grow to a mode and fall from there.
            if log < largest - 40.0 {
                break;
            }
            largest = largest.max(log);
            logs.push(log);
        }
        let terms: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
        let total: f64 = terms.iter().sum();
        terms.iter().map(|term| term / total).collect()
    }

    // dbₙ/dℓ = ℓ bₙ (Σₘ μₘ bₘ − μₙ), with the eigenvalues μ: the normalisation takes the mean off.
    fn add_gradient(&self, dim: usize, in_coefficients: &[f64], theta: &mut [f64]) {
        let b = Series::coefficients(self, dim);
        let mean: f64 = b.iter().enumerate().map(|(n, b)| b * eigenvalue(dim, n)).sum();
        let terms = b.iter().zip(in_coefficients).enumerate();
        let slope: f64 = terms.map(|(n, (b, g))| g * b * (mean - eigenvalue(dim, n))).sum();
        theta.iter_mut().take(1).for_each(|sum| *sum += self.lengthscale() * slope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// On the circle the heat kernel is the Gaussian wrapped around it (Poisson's summation formula).
    #[test]
    fn is_the_wrapped_gaussian_on_the_circle() {
        for (lengthscale, angle) in [(0.3, 0.5), (1.2, 2.0), (0.7, 3.0)] {
            let wrapped = |angle: f64| {
                let turns = (-6..=6).map(|turn| angle + std::f64::consts::TAU * f64::from(turn));
                turns.map(|a| (-0.5 * a * a / (lengthscale * lengthscale)).exp()).sum::<f64>()
            };
            let y = [f64::cos(angle), f64::sin(angle)];
            let value: f64 = SphereHeat::new(lengthscale).eval(&[2.0, 0.0], &y).unwrap();
            assert!((value - wrapped(angle) / wrapped(0.0)).abs() < 1e-14, "{lengthscale} {angle}");
        }
    }

    #[test]
    fn counts_the_harmonics() {
        // A lengthscale of 10⁻⁹ leaves the multiplicities: 2n + 1 in three dimensions, (n + 1)² in four.
        for (dim, count) in [(3, [1.0, 3.0, 5.0, 7.0]), (4, [1.0, 4.0, 9.0, 16.0])] {
            let b = Series::coefficients(&SphereHeat::new(1e-9), dim);
            for (n, count) in count.into_iter().enumerate() {
                assert!((b[n] / b[0] / count - 1.0).abs() < 1e-12);
            }
        }
    }
}
