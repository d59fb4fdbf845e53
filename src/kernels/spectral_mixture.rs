//! The spectral mixture kernel.

use std::f64::consts::{PI, TAU};

use faer::Mat;

use super::rbf::RbfProfile;
use super::{cosine, radial};
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Psd, Scratch, TileParts, TileVjp,
    add_own_differences_vjp, fill_diag, text,
};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::simd::{Pass, dispatch, dot, elementwise, sum};
use crate::warp::ard::{divide_backward, scaled};
use crate::warp::circle;
use crate::{Error, Result, Scalar, construct, kernel_ops, parameterized};

/// The spectral mixture kernel: a mixture of Gaussians as spectral density, which comes near every
/// stationary covariance.
///
/// # Definition
///
/// k(x, y) = Σ_q w_q Π_d exp(−2π² Δ_d² v_qd) cos(2π Δ_d μ_qd), with Δ = x − y, for q = 1 … Q
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `weights` | w | that of the outputs squared | positive |
/// | `means` | μ | frequency: 1 over that of the inputs | finite; Q rows, D columns |
/// | `variances` | v | frequency squared | positive; Q rows, D columns |
///
/// # Properties
///
/// Stationary; infinitely differentiable samples; positive semi-definite in any dimension; k(x, x) =
/// Σ_q w_q. The sign of a mean does not matter. Exact far from the origin: angles are reduced by whole
/// turns without rounding.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = SpectralMixture::new([1.5, 0.5], mat![[0.25], [0.0]], mat![[0.01], [0.2]]);
/// let pi2 = std::f64::consts::PI.powi(2);
/// // At Δ = 1, a quarter of a turn of the first component.
/// assert!((kernel.eval(&[3.0], &[2.0])? - 0.5 * (-2.0 * pi2 * 0.2).exp()).abs() < 1e-15);
/// assert_eq!((2.0 * kernel.clone() + 1.0).eval(&[1.0], &[1.0])?, 5.0);
/// assert_eq!(kernel.to_string(), "spectral_mixture(weights=[1.5, 0.5], means=[[0.25], [0]], variances=[[0.01], [0.2]])");
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Wilson & Adams (2013), *Gaussian process kernels for pattern discovery and extrapolation*, eq. 12,
/// [doi:10.48550/arXiv.1302.4245](https://doi.org/10.48550/arXiv.1302.4245).
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "SM")]
pub struct SpectralMixture {
    weights: ParameterArray,
    means: ParameterArray,
    variances: ParameterArray,
}

parameterized!(SpectralMixture as "spectral_mixture", parameters: [weights, means, variances]);
kernel_ops!(SpectralMixture);
construct!(SpectralMixture: try_new(weights: Vec<f64>, means: Mat<f64>, variances: Mat<f64>));

impl SpectralMixture {
    /// The kernel with a weight, and a row of means and of variances, for each component.
    ///
    /// # Panics
    ///
    /// As [`try_new`](Self::try_new) has errors.
    #[track_caller]
    pub fn new(weights: impl Into<Vec<f64>>, means: Mat<f64>, variances: Mat<f64>) -> Self {
        crate::error::literal(Self::try_new(weights, means, variances))
    }

    /// The kernel with a weight, and a row of means and of variances, for each component.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without components or dimensions; [`Error::Shape`] if the means or the variances
    /// do not have a row for each weight, or differ in shape; [`Error::Parameter`] if a weight or a
    /// variance is not positive and finite, or a mean not finite.
    pub fn try_new(weights: impl Into<Vec<f64>>, means: Mat<f64>, variances: Mat<f64>) -> Result<Self> {
        let weights: Vec<f64> = weights.into();
        let (count, dim) = (weights.len(), means.ncols());
        if count == 0 || dim == 0 {
            return Err(Error::Empty { what: "the list of components of a spectral mixture".to_owned() });
        }
        let array = |name: &str, values: Mat<f64>, constraint| {
            if (values.nrows(), values.ncols()) != (count, dim) {
                let expected = format!("{count} row(s), one for each weight, and {dim} column(s)");
                return Err(Error::shape(name, expected, (values.nrows(), values.ncols())));
            }
            let by_columns = (0..dim).flat_map(|col| (0..count).map(move |row| (row, col)));
            let values = by_columns.map(|at| values[at]).collect();
            ParameterArray::new(name, values, Shape::Matrix(count, dim), constraint)
        };
        Ok(Self {
            weights: ParameterArray::new("weights", weights, Shape::Vector(count), Constraint::Positive)?,
            means: array("means", means, Constraint::Real)?,
            variances: array("variances", variances, Constraint::Positive)?,
        })
    }

    /// The weights, one for each component.
    pub fn weights(&self) -> &[f64] {
        self.weights.values()
    }

    /// The number of components.
    pub fn components(&self) -> usize {
        self.weights().len()
    }

    /// The number of dimensions.
    pub fn dim(&self) -> usize {
        self.means.values().len() / self.components()
    }

    /// The mean frequency of a component in a dimension.
    pub fn mean(&self, component: usize, dim: usize) -> f64 {
        self.means.values()[component + dim * self.components()]
    }

    /// The variance of the frequencies of a component in a dimension.
    pub fn variance(&self, component: usize, dim: usize) -> f64 {
        self.variances.values()[component + dim * self.components()]
    }

    /// The lengthscales of a component's squared exponential: exp(−2π²Δ²v) = exp(−½Δ²/ℓ²).
    fn lengthscales(&self, component: usize) -> Vec<f64> {
        let lengthscale = |dim| 1.0 / (TAU * self.variance(component, dim).sqrt());
        (0..self.dim()).map(lengthscale).collect()
    }
}

/// 2π times what whole turns leave over of f x. What the product lost to rounding is added to its
/// fraction, so that the angle is as good far from the origin as near it.
#[inline(always)]
fn angle(x: f64, frequency: f64) -> f64 {
    let product = frequency * x;
    let lost = frequency.mul_add(x, -product);
    TAU * (product.fract() + lost)
}

struct Angles<'a> {
    frequency: f64,
    values: &'a mut [f64],
    lost: &'a [f64],
}

impl Pass for Angles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for value in &mut *self.values {
            *value = angle(*value, self.frequency);
        }
        for (value, lost) in self.values.iter_mut().zip(self.lost) {
            *value += TAU * self.frequency * lost;
        }
    }
}

impl Expr for SpectralMixture {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).stationary().differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        if dim == self.dim() {
            return Ok(Inputs::all(dim));
        }
        let needs = format!("has means and variances for {} dimension(s)", self.dim());
        Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim })
    }
}

/// The pairs of a component: scaled for the squared exponential, and on circles for the cosines.
fn parts<'a, T: Scalar>(pairs: &Pairs<'a, T>, component: usize) -> (Pairs<'a, T>, Pairs<'a, T>) {
    (pairs.child(2 * component), pairs.child(2 * component + 1))
}

impl<T: Scalar> Kernel<T> for SpectralMixture {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let component = |q: usize| {
            let (mut squared, mut product) = (0.0, T::from_f64(1.0));
            for (dim, (&x, &y)) in x.iter().zip(y).enumerate() {
                let delta = (x - y).as_f64();
                squared += delta * delta * self.variance(q, dim);
                product *= T::from_f64(angle(delta, self.mean(q, dim)).cos());
            }
            T::from_f64(self.weights()[q] * (-2.0 * PI * PI * squared).exp()) * product
        };
        (0..self.components()).map(component).sum()
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let mut children = Vec::with_capacity(2 * self.components());
        for q in 0..self.components() {
            children.push(Features::leaf(scaled(points, &self.lengthscales(q))));
            let on_circle = circle::embed_by::<T, f64>(points, |dim, values, lost| {
                dispatch(Angles { frequency: self.mean(q, dim), values, lost })
            });
            children.push(Features::leaf(on_circle));
        }
        Features::branch(children)
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let (mut decay, mut wave) = (scratch.take(pairs.len()), scratch.take(pairs.len()));
        out.fill(T::from_f64(0.0));
        for (q, &weight) in self.weights().iter().enumerate() {
            let (scaled, on_circles) = parts(pairs, q);
            radial::scaled_tile(RbfProfile, T::from_f64(1.0), &scaled, &mut decay, scratch);
            cosine::tile(&on_circles, &mut wave);
            elementwise::multiply(&mut decay, &wave);
            elementwise::add_scaled(out, &decay, T::from_f64(weight));
        }
        scratch.give(decay);
        scratch.give(wave);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        fill_diag(features.child(0).points(), self.weights().iter().map(|&weight| T::from_f64(weight)).sum(), out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let (mut decay, mut wave) = (scratch.take(pairs.len()), scratch.take(pairs.len()));
        let mut passed = scratch.take(pairs.len());
        for (q, &weight) in self.weights().iter().enumerate() {
            let (scaled, on_circles) = parts(pairs, q);
            radial::scaled_tile(RbfProfile, T::from_f64(1.0), &scaled, &mut decay, scratch);
            cosine::tile(&on_circles, &mut wave);
            passed.copy_from_slice(cotangent);
            elementwise::multiply(&mut passed, &wave);
            theta[q] += dot(&passed, &decay).as_f64();
            elementwise::scale(&mut passed, T::from_f64(weight));
            radial::scaled_tile_vjp(RbfProfile, T::from_f64(1.0), &scaled, &decay, &passed, scratch);
            passed.copy_from_slice(cotangent);
            elementwise::multiply(&mut passed, &decay);
            elementwise::scale(&mut passed, T::from_f64(weight));
            cosine::tile_vjp(&on_circles, &passed, scratch);
        }
        [decay, wave, passed].into_iter().for_each(|buffer| scratch.give(buffer));
    }

    // k(x, x) = Σ_q w_q
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        add_own_differences_vjp(features.child(0).points(), cotangent, theta, gradients);
        let total = sum(cotangent).as_f64();
        theta[..self.components()].iter_mut().for_each(|in_weight| *in_weight += total);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let (count, dims) = (self.components(), self.dim());
        let (in_means, in_variances) = theta[count..].split_at_mut(count * dims);
        for q in 0..count {
            let (scaled, on_circles) = (features.child(2 * q).points(), features.child(2 * q + 1).points());
            let lengthscales = self.lengthscales(q);
            let mut in_lengthscales = vec![0.0; dims];
            divide_backward(points, scaled, &lengthscales, gradients, &mut in_lengthscales);
            let in_circles = gradients.take(on_circles);
            for (dim, in_lengthscale) in in_lengthscales.into_iter().enumerate() {
                // ℓ = 1/(2π√v): dℓ/dv = −ℓ/(2v).
                in_variances[q + dim * count] -= in_lengthscale * lengthscales[dim] / (2.0 * self.variance(q, dim));
                if let Some(in_circles) = &in_circles {
                    let turns = self.mean(q, dim);
                    in_means[q + dim * count] +=
                        circle::backward_by(points, on_circles, in_circles, dim, turns, gradients);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn example() -> SpectralMixture {
        SpectralMixture::new([0.7, 0.4], mat![[0.3, 0.1], [0.05, -0.4]], mat![[0.02, 0.01], [0.05, 0.03]])
    }

    /// From the definition, by loops.
    #[test]
    fn closed_form() {
        let (x, y) = ([0.3, -1.0], [1.5, 0.4]);
        let (means, variances) = ([[0.3, 0.1], [0.05, -0.4]], [[0.02, 0.01], [0.05, 0.03]]);
        let mut expected = 0.0;
        for (q, weight) in [0.7, 0.4].into_iter().enumerate() {
            let mut product = weight;
            for d in 0..2 {
                let delta: f64 = x[d] - y[d];
                product *= (-2.0 * std::f64::consts::PI.powi(2) * delta * delta * variances[q][d]).exp();
                product *= (std::f64::consts::TAU * delta * means[q][d]).cos();
            }
            expected += product;
        }
        let value: f64 = example().eval(&x, &y).unwrap();
        assert!((value - expected).abs() < 1e-15);
        let cross: Mat<f64> =
            example().cross(MatRef::from_row_major_slice(&x, 1, 2), MatRef::from_row_major_slice(&y, 1, 2)).unwrap();
        assert!((cross[(0, 0)] - expected).abs() < 1e-15);
    }

    #[test]
    fn exact_far_from_the_origin() {
        // Differences that are exact, with frequencies that are no round numbers.
        let kernel = SpectralMixture::new([1.0], mat![[0.3]], mat![[0.02]]);
        let near: Mat<f64> = kernel.gram(mat![[0.0], [0.75]].as_ref()).unwrap();
        let far: Mat<f64> = kernel.gram(mat![[1e9], [1e9 + 0.75]].as_ref()).unwrap();
        // The squared exponential is that of scaled points, with the rounding of their product by 1/ℓ.
        let scale = std::f64::consts::TAU * 0.02f64.sqrt();
        let rounding = 2.0 * f64::EPSILON * 1e9 * scale * scale * 0.75;
        assert!((near[(1, 0)] - far[(1, 0)]).abs() < rounding);
    }

    #[test]
    fn refuses_shapes_that_do_not_fit() {
        assert!(SpectralMixture::try_new([1.0], mat![[0.3], [0.1]], mat![[0.02]]).is_err());
        assert!(SpectralMixture::try_new([1.0], mat![[0.3]], mat![[0.02, 0.1]]).is_err());
        assert!(SpectralMixture::try_new([], Mat::zeros(0, 1), Mat::zeros(0, 1)).is_err());
        assert!(example().inputs(1).is_err());
    }
}
