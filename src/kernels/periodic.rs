//! The periodic kernel.

use std::f64::consts::{PI, TAU};

use super::markov::turning::Turning;
use super::radial;
use super::rbf::{Rbf, RbfProfile};
use crate::kernel::span::farthest;
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, Inputs, Kernel, Markov, MarkovFactor, MarkovTerm, Pairs, Points, Properties,
    Psd, Scratch, Structure, Target, TileParts, TileVjp, Variable, Views, add_own_differences_vjp, fill_diag,
};
use crate::params::PerDimension;
use crate::simd::pairs::squarable;
use crate::sphere::bessel::squared_exponential;
use crate::warp::ard::{divide, divide_backward};
use crate::warp::circle;
use crate::warp::differences::Differences;
use crate::{Result, Scalar};

crate::kernel! {
    /// The periodic kernel: a squared exponential on the circle, in each dimension.
    ///
    /// # Definition
    ///
    /// k(x, y) = exp(−2 Σ_d sin²(π (x_d − y_d)/p_d)/ℓ_d²)
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | none (of the circle of radius 1) | positive; one, or one for each dimension |
    /// | `period` | p | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary; infinitely differentiable, exactly periodic samples; positive semi-definite in any
    /// dimension, as a product over the dimensions. Exact far from the origin: inputs are reduced by the
    /// period without rounding.
    ///
    /// Other conventions in use: GPflow, GPJax and GPy write exp(−½ Σ sin²/ℓ²), whose ℓ is half of this one;
    /// GPyTorch writes exp(−2 Σ sin²/ℓ), whose ℓ is the square of this one; scikit-learn takes
    /// the sine of the Euclidean distance, which agrees in one dimension and is not positive
    /// semi-definite in more. The converters [`from_half`](Self::from_half) and
    /// [`from_squared`](Self::from_squared) take the first two.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Periodic::new(0.8, 3.0);
    /// let sine = (std::f64::consts::PI * 0.5 / 3.0).sin();
    /// let expected = (-2.0 * sine * sine / 0.64f64).exp();
    /// assert!((kernel.eval(&[1.0], &[1.5])? - expected).abs() < 1e-15);
    /// assert!((kernel.eval(&[1.0], &[31.5])? - expected).abs() < 1e-15);
    ///
    /// let quasi_periodic = 2.0 * kernel * Rbf::new(10.0);
    /// assert_eq!(quasi_periodic.eval(&[1.0], &[1.0])?, 2.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// MacKay (1998), *Introduction to Gaussian processes*, section 5.2; Rasmussen & Williams (2006),
    /// *Gaussian Processes for Machine Learning*, eq. 4.31.
    #[doc(alias = "ExpSineSquared")]
    pub Periodic as "periodic" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
        /// The period: one, or one for each dimension.
        period: PerDimension = Positive,
    }
}

impl Periodic {
    /// From the convention exp(−½ Σ sin²(π Δ/p)/ℓ²) of GPflow, GPJax and GPy.
    ///
    /// # Errors
    ///
    /// As [`try_new`](Self::try_new).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Periodic::from_half(0.5, 2.0)?;
    /// let value: f64 = kernel.eval(&[0.0], &[1.0])?;
    /// assert!((value - (-0.5f64 / 0.25).exp()).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn from_half(lengthscale: f64, period: f64) -> Result<Self> {
        Self::try_new(2.0 * lengthscale, period)
    }

    /// From the convention exp(−2 Σ sin²(π Δ/p)/ℓ) of GPyTorch.
    ///
    /// # Errors
    ///
    /// As [`try_new`](Self::try_new).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Periodic::from_squared(0.5, 2.0)?;
    /// let value: f64 = kernel.eval(&[0.0], &[1.0])?;
    /// assert!((value - (-2.0f64 / 0.5).exp()).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn from_squared(lengthscale: f64, period: f64) -> Result<Self> {
        Self::try_new(lengthscale.sqrt(), period)
    }
}

/// Each lengthscale twice: for the cosine and for the sine of a dimension.
fn twice(values: &[f64]) -> Vec<f64> {
    values.iter().flat_map(|&value| [value, value]).collect()
}

impl Expr for Periodic {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().markov(self))
    }

    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).stationary().differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        radial::check_dim(self, "lengthscale", &self.lengthscale, dim)?;
        radial::check_dim(self, "period", &self.period, dim)
    }
}

// With θ = 2πΔ/p and z = 1/ℓ², exp(−z (1 − cos θ)) = Σ_j c_j cos(jθ) with c_j = (2 − δ_j0) e^(−z) I_j(z), whose sum is 1: what is
// left out of it is the largest error, that at 0 (Solin & Särkkä 2014, Explicit link between periodic covariance functions and
// state space models, equation 27).
impl Markov for Periodic {
    fn terms(&self, theta: &[Variable], tolerance: Option<f64>) -> std::result::Result<Vec<MarkovTerm>, String> {
        let &[lengthscale, period] = theta else { return Err("reads more than one column of the inputs".to_owned()) };
        let Some(tolerance) = tolerance else {
            return Err("is a Markov process only to a tolerance, which `Engine::Markov` takes".to_owned());
        };
        let coefficients = squared_exponential(2, lengthscale.value, MOST_HARMONICS);
        let (mut terms, mut left) = (Vec::new(), 1.0);
        for (harmonic, [value, slope]) in coefficients.into_iter().enumerate() {
            let scale = if harmonic == 0 { 1.0 / TAU } else { 2.0 / TAU };
            let variance = Variable::with_slopes(scale * value, [(&lengthscale, scale * slope)]);
            left -= variance.value;
            terms.push(match harmonic {
                0 => MarkovTerm { variance, factors: Vec::new() },
                _ => MarkovTerm::of(MarkovFactor::new(Turning, period / harmonic as f64, &[])).scaled(variance),
            });
            // The next are smaller by more than half each where they are as small as rounding.
            if left <= tolerance.max(f64::EPSILON) {
                return Ok(terms);
            }
        }
        Err(format!(
            "takes more than {MOST_HARMONICS} harmonics at this tolerance, of which {left:e} would be left out"
        ))
    }
}

const MOST_HARMONICS: usize = 31;

impl<T: Scalar> Kernel<T> for Periodic {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let term = |(dim, (&x, &y)): (usize, (&T, &T))| {
            let chord: T = Chord::new(x, y, [&self.lengthscale, &self.period], dim).value();
            chord * chord
        };
        let sum: T = x.iter().zip(y).enumerate().map(term).sum();
        num_traits::Float::exp(T::from_f64(-0.5) * sum)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let short = |&lengthscale: &f64| 1.0 / lengthscale > farthest::<T>();
        if self.lengthscale.values().iter().any(short) && !points.against_zero() {
            return Features::differenced(points.clone());
        }
        // Angles that are off by 3π ε cost as much at lengthscales from 1 on as points of the circle at short ones.
        let long = self.lengthscale.values().iter().all(|&lengthscale| lengthscale >= 1.0);
        let normal = self.period.values().iter().all(|&period| num_traits::Float::is_normal(T::from_f64(period)));
        let embed = if long && normal { circle::embed_in::<T, T> } else { circle::embed };
        let circle = embed(points, &self.period);
        match &self.lengthscale {
            PerDimension::One(_) => Features::leaf(circle),
            PerDimension::Each(each) => {
                let divided = divide(&circle, &twice(each.values()));
                Features::mapped(circle, Features::leaf(divided))
            }
        }
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        if pairs.is_differenced() {
            self.with_chords(pairs.dim(), |chords| chords.tile(pairs, out, scratch));
        } else {
            radial::tile(RbfProfile, &self.lengthscale, &self.on_circle(pairs), out, scratch);
        }
    }

    fn write_block(&self, pairs: &Pairs<'_, T>, target: &mut Target<'_, T>, scratch: &mut Scratch<T>) {
        if pairs.is_differenced() {
            target.write_tile(pairs, scratch, &mut |pairs, out, scratch| self.tile(pairs, out, scratch));
        } else {
            let pairs = self.on_circle(pairs);
            radial::write_block(RbfProfile, radial::feature_scale(&self.lengthscale, &pairs), &pairs, target, scratch);
        }
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        fill_diag(features.points(), T::from_f64(1.0), out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        if to.pairs().is_differenced() {
            let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
            return self.with_chords(pairs.dim(), |chords| {
                chords.tile_vjp(pairs, cotangent, [theta, &mut [0.0]], scratch);
            });
        }
        radial::block_vjp(RbfProfile, &self.lengthscale, &self.on_circle(to.pairs()), self, to);
    }

    // k(x, x) = 1.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        add_own_differences_vjp(features.points(), cotangent, theta, gradients);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        // Tiles of differences have added to all gradients themselves.
        if features.is_differenced() {
            return;
        }
        let (in_lengthscale, in_period) = theta.split_at_mut(self.lengthscale.values().len());
        let circle = features.points();
        if let PerDimension::Each(each) = &self.lengthscale {
            let mut in_both = vec![0.0; 2 * each.values().len()];
            let divided = features.child(0).points();
            divide_backward(circle, divided, &twice(each.values()), gradients, &mut in_both);
            for (sum, both) in in_lengthscale.iter_mut().zip(in_both.chunks_exact(2)) {
                *sum += both[0] + both[1];
            }
        }
        circle::embed_backward(points, circle, &self.period, gradients, in_period);
    }
}

impl Periodic {
    /// The pairs of points on the circle, divided by the lengthscales if there is one for each.
    fn on_circle<'a, T: Scalar>(&self, pairs: &Pairs<'a, T>) -> Pairs<'a, T> {
        match &self.lengthscale {
            PerDimension::One(_) => pairs.clone(),
            PerDimension::Each(_) => pairs.child(0),
        }
    }

    /// Shows the kernel as a squared exponential of scaled chords, 2 sin(π Δ/p)/ℓ, formed from differences.
    fn with_chords<T: Scalar>(&self, dims: usize, see: impl FnOnce(Differences<'_, T>)) {
        let chord = |dim, [x, y]: [&[T]; 2]| Chord::new(x[dim], y[dim], [&self.lengthscale, &self.period], dim);
        see(Differences {
            kernel: &Rbf::new(1.0),
            made: dims,
            difference: &|points, out| {
                out.iter_mut().enumerate().for_each(|(dim, out)| *out = chord(dim, points).value());
            },
            backward: &|points, in_chords, in_points, theta| {
                let (in_lengthscale, in_period) = theta.split_at_mut(self.lengthscale.values().len());
                let [in_x, in_y] = in_points;
                for (dim, &gradient) in in_chords.iter().enumerate() {
                    let in_points = [&mut in_x[dim], &mut in_y[dim]];
                    chord(dim, points).backward(gradient, in_points, [&mut *in_lengthscale, &mut *in_period]);
                }
            },
        });
    }
}

/// 2 sin(π (x − y)/p)/ℓ in one dimension, in `f64` at either precision.
pub(super) struct Chord<'a> {
    difference: f64,
    /// π (x − y)/p, less whole turns.
    half: f64,
    parameters: [&'a PerDimension; 2],
    dim: usize,
}

impl<'a> Chord<'a> {
    /// The parameters are the lengthscale and the period.
    pub(super) fn new<T: Scalar>(x: T, y: T, parameters: [&'a PerDimension; 2], dim: usize) -> Self {
        let half = PI * circle::turn(x, y, parameters[1].at(dim));
        Self { difference: x.as_f64() - y.as_f64(), half, parameters, dim }
    }

    pub(super) fn value<T: Scalar>(&self) -> T {
        squarable(T::from_f64(2.0 * self.half.sin() / self.parameters[0].at(self.dim)))
    }

    /// Adds to the gradients in both points, in the lengthscale and in the period. Factors are applied one after
    /// the other to a gradient that may be 0: their product may not be finite.
    pub(super) fn backward<T: Scalar>(&self, gradient: T, in_points: [&mut T; 2], in_parameters: [&mut [f64]; 2]) {
        let [lengthscale, period] = self.parameters.map(|values| values.at(self.dim));
        let [in_lengthscale, in_period] = in_parameters;
        let [place, place_of_period] = self.parameters.map(|values| if values.dim().is_some() { self.dim } else { 0 });
        let in_turns = 2.0 * PI * self.half.cos() * gradient.as_f64() / lengthscale / period;
        let [in_x, in_y] = in_points;
        *in_x += T::from_f64(in_turns);
        *in_y -= T::from_f64(in_turns);
        in_lengthscale[place] -= gradient.as_f64() * self.value::<T>().as_f64() / lengthscale;
        in_period[place_of_period] -= in_turns * self.difference / period;
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn closed_form_in_two_dimensions() {
        let kernel = Periodic::new([0.5, 2.0], [3.0, 4.0]);
        let (x, y) = ([0.2, 1.0], [1.0, -3.5]);
        let sine = |delta: f64, period: f64| (std::f64::consts::PI * delta / period).sin();
        let expected = (-2.0 * (sine(0.8, 3.0).powi(2) / 0.25 + sine(4.5, 4.0).powi(2) / 4.0)).exp();
        let value: f64 = kernel.eval(&x, &y).unwrap();
        assert!((value - expected).abs() < 1e-16);
        let cross: Mat<f64> =
            kernel.cross(MatRef::from_row_major_slice(&x, 1, 2), MatRef::from_row_major_slice(&y, 1, 2)).unwrap();
        assert!((cross[(0, 0)] - expected).abs() < 1e-15);
    }

    #[test]
    fn exact_far_from_the_origin() {
        let kernel = Periodic::new(1.0, 0.5);
        let near = kernel.gram(mat![[0.125], [0.25]].as_ref()).unwrap();
        let far = kernel.gram(mat![[1e12 + 0.125], [0.25]].as_ref()).unwrap();
        let difference: f64 = near[(1, 0)] - far[(1, 0)];
        assert!(difference.abs() < 1e-15);
    }
}
