//! Euclidean points on a sphere.

use faer::{Mat, MatRef};

use super::{Warp, WarpExpr};
use crate::kernel::{FeatureGradients, Points, Psd};
use crate::{Error, Result, Scalar};

crate::declare! {
    /// Points lifted to the unit sphere in one dimension more: the warp behind
    /// [`sphere_lift`](crate::algebra::Compose::sphere_lift). A zonal kernel there is a kernel of Euclidean
    /// points here, and has spherical harmonics as inducing features.
    ///
    /// # Definition
    ///
    /// f(x) = (x₁, …, x_D, b)/ρ, ρ = √(‖x‖² + b²)
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `bias` | b | that of the inputs | positive |
    ///
    /// # Properties
    ///
    /// One dimension more than before; positive semi-definite where the kernel is in so many. The points lie on
    /// the half of the sphere whose last coordinate is positive: the origin on the pole, points that are far
    /// away, compared with b, near the equator, where only their direction counts. Give the inputs a lengthscale by
    /// [`ard`](crate::algebra::Compose::ard) before. Not stationary.
    ///
    /// The process that is homogeneous of degree 1, ρ(x) g(f(x)) with g on the sphere, as neural networks are, has the
    /// kernel ρ(x) κ(f(x)ᵀf(y)) ρ(y): see [`norms`](Self::norms).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// // cos θ = (xᵀy + b²)/(ρ(x) ρ(y)) = (3 · 0 + 16)/(5 · 4).
    /// let kernel = Zonal::new([0.0, 1.0]).sphere_lift(4.0);
    /// let value: f64 = kernel.eval(&[3.0], &[0.0])?;
    /// assert!((value - 0.8).abs() < 1e-15);
    /// assert_eq!(kernel.get("sphere_lift.bias")?, 4.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// V. Dutordoir, N. Durrande & J. Hensman (2020), "Sparse Gaussian processes with spherical harmonic features", *ICML*,
    /// [doi:10.48550/arXiv.2006.16649](https://doi.org/10.48550/arXiv.2006.16649).
    pub SphereLift as "sphere_lift" {
        /// The bias b.
        bias: Scalar = Positive,
    }
}

impl SphereLift {
    /// The norm ρ = √(‖x‖² + b²) of each point.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::warp::SphereLift;
    ///
    /// assert_eq!(SphereLift::new(4.0).norms(mat![[3.0], [0.0]].as_ref()), [5.0, 4.0]);
    /// ```
    pub fn norms<T: Scalar>(&self, x: MatRef<'_, T>) -> Vec<T> {
        (0..x.nrows()).map(|row| T::from_f64(self.norm(coordinates(x, row)))).collect()
    }

    /// The gradients of Σᵢ wᵢ ρ(xᵢ), for one cotangent w for each point: in the points, n × D, and in the bias.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is not one cotangent for each point.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::warp::SphereLift;
    ///
    /// let (in_x, in_bias) = SphereLift::new(4.0).norms_vjp(mat![[3.0]].as_ref(), &[10.0])?;
    /// assert_eq!((in_x, in_bias), (mat![[6.0]], 8.0));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn norms_vjp<T: Scalar>(&self, x: MatRef<'_, T>, cotangent: &[T]) -> Result<(Mat<T>, f64)> {
        if cotangent.len() != x.nrows() {
            let expected = format!("{} element(s), one for each point", x.nrows());
            return Err(Error::shape("the cotangent", expected, (cotangent.len(), 1)));
        }
        // dρ/dx = x/ρ, dρ/db = b/ρ.
        let slopes: Vec<f64> =
            cotangent.iter().zip(self.inverse_norms(x)).map(|(c, inverse)| c.as_f64() * inverse).collect();
        let in_x = Mat::from_fn(x.nrows(), x.ncols(), |row, col| T::from_f64(slopes[row] * x[(row, col)].as_f64()));
        Ok((in_x, self.bias() * slopes.iter().sum::<f64>()))
    }

    fn inverse_norms<T: Scalar>(&self, x: MatRef<'_, T>) -> Vec<f64> {
        (0..x.nrows()).map(|row| 1.0 / self.norm(coordinates(x, row))).collect()
    }

    /// ρ of one point, by way of the largest coordinate so that no square overflows or vanishes.
    fn norm(&self, x: impl Iterator<Item = f64> + Clone) -> f64 {
        let coordinates = x.chain([self.bias()]);
        // A NaN stays in the sum.
        let largest = coordinates.clone().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        largest * coordinates.map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt()
    }
}

fn coordinates<T: Scalar>(x: MatRef<'_, T>, row: usize) -> impl Iterator<Item = f64> + Clone {
    (0..x.ncols()).map(move |col| x[(row, col)].as_f64())
}

impl WarpExpr for SphereLift {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        Ok(dim + 1)
    }

    fn psd(&self, kernel: Psd) -> Psd {
        match kernel {
            Psd::Always => Psd::Always,
            Psd::UpTo(most) if most >= 2 => Psd::UpTo(most - 1),
            _ => Psd::Unknown,
        }
    }

    fn differentiable(&self) -> bool {
        true
    }
}

impl<T: Scalar> Warp<T> for SphereLift {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        let (bias, inverse) = (self.bias(), self.inverse_norms(points.matrix()));
        let mut made = Mat::zeros(points.len(), points.dim() + 1);
        for dim in 0..points.dim() {
            let columns = made.col_as_slice_mut(dim).iter_mut().zip(points.column(dim));
            columns.zip(&inverse).for_each(|((out, x), inverse)| *out = T::from_f64(x.as_f64() * inverse));
        }
        let last = made.col_as_slice_mut(points.dim()).iter_mut();
        last.zip(&inverse).for_each(|(out, inverse)| *out = T::from_f64(bias * inverse));
        Points::made(made).with_gradient(true)
    }

    fn point(&self, x: &[T], out: &mut [T]) {
        let inverse = 1.0 / self.norm(x.iter().map(|x| x.as_f64()));
        let coordinates = x.iter().map(|x| x.as_f64()).chain([self.bias()]);
        out.iter_mut().zip(coordinates).for_each(|(out, x)| *out = T::from_f64(x * inverse));
    }

    // For y = (x, b)/ρ and the gradient g in y: (g − (gᵀy) y)/ρ in (x, b), of which b is the same for all points.
    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let Some(in_made) = gradients.take(made) else { return };
        let dims = points.dim();
        let mut radial = vec![0.0; points.len()];
        for dim in 0..=dims {
            let products = made.column(dim).iter().zip(in_made.col_as_slice(dim));
            radial.iter_mut().zip(products).for_each(|(sum, (y, g))| *sum += y.as_f64() * g.as_f64());
        }
        let inverse = self.inverse_norms(points.matrix());
        let tangential = |dim: usize, row: usize| {
            let (y, g) = (made.column(dim)[row].as_f64(), in_made[(row, dim)].as_f64());
            (g - radial[row] * y) * inverse[row]
        };
        theta[0] += (0..points.len()).map(|row| tangential(dims, row)).sum::<f64>();
        if let Some(in_points) = gradients.at_mut(points) {
            for dim in 0..dims {
                let column = in_points.col_as_slice_mut(dim).iter_mut().enumerate();
                column.for_each(|(row, sum)| *sum += T::from_f64(tangential(dim, row)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::warp::SphereLift;

    #[test]
    fn distances_are_chords() {
        let (x, y, b) = ([0.3, -1.2], [1.1, 0.4], 0.7);
        let dot = |x: &[f64; 2], y: &[f64; 2]| x[0] * y[0] + x[1] * y[1] + b * b;
        let cosine = dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt();
        let value: f64 = Rbf::new(0.5).sphere_lift(b).eval(&x, &y).unwrap();
        assert!((value - (-(1.0 - cosine) / 0.25).exp()).abs() < 1e-15);
    }

    #[test]
    fn extreme_points_stay_on_the_sphere() {
        let kernel = Linear::new(1.0).sphere_lift(1e-200);
        for x in [0.0, 1e-250, 1e-200, 1.0, 1e200] {
            let value: f64 = kernel.eval(&[x, -x], &[x, -x]).unwrap();
            assert!((value - 1.0).abs() < 4e-16, "{x}: {value}");
        }
        assert!(SphereLift::try_new(0.0).is_err());
        assert!(SphereLift::new(1.0).norms_vjp(mat![[1.0], [2.0]].as_ref(), &[1.0]).is_err());
    }

    #[test]
    fn guarantees_are_asked_for_one_dimension_more() {
        use crate::warp::WarpExpr;
        let lift = SphereLift::new(1.0);
        let asked = [Psd::Always, Psd::UpTo(3), Psd::UpTo(1), Psd::Unknown].map(|psd| lift.psd(psd));
        assert_eq!(asked, [Psd::Always, Psd::UpTo(2), Psd::Unknown, Psd::Unknown]);
    }
}
