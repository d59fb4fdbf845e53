//! Random Fourier features.

use std::f64::consts::TAU;

use faer::{Mat, MatRef};
use rand::{Rng, RngExt};

use super::dense::Weights;
use super::linear_map::matrix_parameter;
use super::{Warp, WarpExpr};
use crate::kernel::Spectrum;
use crate::kernel::{FeatureGradients, Points, Psd};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::simd::trig::{cos_each, sin_each};
use crate::simd::{Pass, dispatch};
use crate::{Result, Scalar};

/// Random Fourier features: the warp behind
/// [`random_features`](crate::algebra::Compose::random_features). The linear kernel on them
/// approximates a stationary kernel by one of rank m.
///
/// # Definition
///
/// f(x)_j = √(2/m) cos(ω_jᵀ x + b_j), j = 1, …, m
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `frequencies[j, d]` | ω_jd | one over that of input dimension d | any finite number |
/// | `phases[j]` | b_j | radians | any finite number |
///
/// # Properties
///
/// Positive semi-definite where the kernel is in m dimensions; not stationary. The error of the
/// approximated kernel falls as 1/√m. Frequencies are drawn for the lengthscale 1: a
/// [`Stretch`](super::Stretch) or an [`Ard`](super::Ard) before the features gives another, with
/// gradients; freeze the features themselves, unless they are to be fitted.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::kernels::Spectrum;
/// use mercer::warp::RandomFeatures;
/// use rand::SeedableRng;
///
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let features = RandomFeatures::draw(2, 4000, Spectrum::Rbf, &mut rng)?;
/// let mut kernel = Linear::new(1.0).random_features(features).stretch(0.7);
/// kernel.freeze("stretch.random_features.frequencies")?;
///
/// let (x, y) = ([0.3, -0.2], [0.8, 0.1]);
/// let (value, exact): (f64, f64) = (kernel.eval(&x, &y)?, Rbf::new(0.7).eval(&x, &y)?);
/// assert!((value - exact).abs() < 0.05);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Rahimi & Recht (2007), "Random features for large-scale kernel machines", NeurIPS 20, algorithm 1.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFeatures {
    frequencies: ParameterArray,
    phases: ParameterArray,
}

crate::parameterized!(RandomFeatures as "random_features", parameters: [frequencies, phases]);

impl RandomFeatures {
    /// The features with these frequencies, a row for each, and these phases.
    ///
    /// # Panics
    ///
    /// If there are no frequencies, there is not a phase for each, or a number is not finite; the
    /// checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(frequencies: Mat<f64>, phases: impl Into<Vec<f64>>) -> Self {
        crate::error::literal(Self::try_new(frequencies, phases))
    }

    /// The features with these frequencies, a row for each, and these phases.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) if there are no frequencies; [`Error::Shape`](crate::Error::Shape) if there
    /// is not a phase for each;
    /// [`Error::Parameter`](crate::Error::Parameter) if a number is not finite.
    pub fn try_new(frequencies: Mat<f64>, phases: impl Into<Vec<f64>>) -> Result<Self> {
        let shape = Shape::Vector(frequencies.nrows());
        let phases = ParameterArray::new("phases", phases.into(), shape, Constraint::Real)?;
        Ok(Self { frequencies: matrix_parameter("frequencies", &frequencies)?, phases })
    }

    /// So many features of points of a dimension, with random frequencies, and phases uniform between
    /// 0 and 2π. Equal states of the generator give equal features.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty) for no features or no dimensions.
    pub fn draw(dim: usize, count: usize, spectrum: Spectrum, rng: &mut (impl Rng + ?Sized)) -> Result<Self> {
        let frequencies = spectrum.frequencies(dim, count, rng);
        let phases: Vec<f64> = (0..count).map(|_| TAU * rng.random::<f64>()).collect();
        Self::try_new(frequencies.transpose().to_owned(), phases)
    }

    /// The number m of features.
    pub fn count(&self) -> usize {
        self.phases.values().len()
    }

    fn weights(&self) -> Weights<'_> {
        Weights { values: self.frequencies.values(), rows: self.count() }
    }

    fn amplitude<T: Scalar>(&self) -> T {
        T::from_f64((2.0 / self.count() as f64).sqrt())
    }

    /// ω_jᵀ x + b_j for each point, a row of a matrix, and each j.
    fn angles<T: Scalar>(&self, points: MatRef<'_, T>) -> Mat<T> {
        let mut angles = self.weights().apply(points);
        for (feature, &phase) in self.phases.values().iter().enumerate() {
            angles.col_as_slice_mut(feature).iter_mut().for_each(|angle| *angle += T::from_f64(phase));
        }
        angles
    }
}

/// Replaces angles by their cosines times a factor.
struct Cosines<'a, T> {
    angles: &'a mut [T],
    amplitude: T,
}

impl<T: Scalar> Pass for Cosines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        cos_each::<T, FMA>(self.angles);
        for value in self.angles {
            *value *= self.amplitude;
        }
    }
}

/// Replaces angles by the gradient in them.
struct InAngles<'a, T> {
    angles: &'a mut [T],
    amplitude: T,
    in_made: &'a [T],
}

impl<T: Scalar> Pass for InAngles<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        sin_each::<T, FMA>(self.angles);
        for (value, &in_made) in self.angles.iter_mut().zip(self.in_made) {
            *value = -self.amplitude * *value * in_made;
        }
    }
}

crate::construct!(RandomFeatures: try_new(frequencies: Mat<f64>, phases: Vec<f64>));

impl WarpExpr for RandomFeatures {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        self.weights().output_dim(dim, "random_features(…)")
    }

    fn psd(&self, kernel: Psd) -> Psd {
        if kernel.holds_in(self.count()) { Psd::Always } else { Psd::Unknown }
    }

    fn differentiable(&self) -> bool {
        true
    }
}

impl<T: Scalar> Warp<T> for RandomFeatures {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        let (mut made, amplitude) = (self.angles(points.matrix()), self.amplitude::<T>());
        for feature in 0..self.count() {
            dispatch(Cosines { angles: made.col_as_slice_mut(feature), amplitude });
        }
        Points::made(made).with_gradient(true)
    }

    fn point(&self, x: &[T], out: &mut [T]) {
        self.weights().apply_point(x, out);
        for (out, &phase) in out.iter_mut().zip(self.phases.values()) {
            *out = self.amplitude::<T>() * num_traits::Float::cos(*out + T::from_f64(phase));
        }
    }

    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let Some(in_made) = gradients.take(made) else { return };
        let (mut in_angles, amplitude) = (self.angles(points.matrix()), self.amplitude::<T>());
        for feature in 0..self.count() {
            let (angles, in_made) = (in_angles.col_as_slice_mut(feature), in_made.col_as_slice(feature));
            dispatch(InAngles { angles, amplitude, in_made });
        }
        let (in_frequencies, in_phases) = theta.split_at_mut(self.frequencies.values().len());
        self.weights().gradient(points.matrix(), in_angles.as_ref(), in_frequencies);
        for (feature, slot) in in_phases.iter_mut().enumerate() {
            *slot += in_angles.col_as_slice(feature).iter().map(|g| g.as_f64()).sum::<f64>();
        }
        if let Some(in_points) = gradients.at_mut(points) {
            *in_points += self.weights().apply_transposed(in_angles.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use rand::SeedableRng;

    #[test]
    fn each_spectrum_is_that_of_its_kernel() {
        let kernels = [
            (Spectrum::Rbf, Rbf::new(1.0).dynamic()),
            (Spectrum::Matern12, Matern12::new(1.0).dynamic()),
            (Spectrum::Matern32, Matern32::new(1.0).dynamic()),
            (Spectrum::Matern52, Matern52::new(1.0).dynamic()),
        ];
        let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
        for (spectrum, kernel) in kernels {
            let count = 20_000;
            let features = RandomFeatures::draw(2, count, spectrum, &mut rng).unwrap();
            let approximation = Linear::new(1.0).random_features(features);
            for (x, y) in [([0.0, 0.0], [0.5, 0.0]), ([0.3, -0.2], [1.1, 0.9]), ([0.0, 1.0], [2.0, 0.0])] {
                let (found, expected): (f64, f64) = (approximation.eval(&x, &y).unwrap(), kernel.eval(&x, &y).unwrap());
                // Five standard errors: a term 2 cos cos has at most the variance 3/2.
                assert!((found - expected).abs() < 5.0 * (1.5 / count as f64).sqrt(), "{spectrum:?}");
            }
        }
    }

    #[test]
    fn equal_seeds_give_equal_features() {
        let draw = |seed| {
            let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
            RandomFeatures::draw(3, 5, Spectrum::Matern32, &mut rng).unwrap()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
        assert!(RandomFeatures::draw(3, 0, Spectrum::Rbf, &mut rng).is_err());
    }
}
