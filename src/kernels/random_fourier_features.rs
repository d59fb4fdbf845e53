//! Random Fourier features: a stationary kernel as an inner product of finitely many features.

use faer::Mat;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::{Spectrum, radial};
use crate::kernel::{
    Arguments, Construct, DiagVjp, EmbedVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Psd, Scratch,
    TileParts, TileVjp, add_own_differences_vjp, fill_diag,
};
use crate::params::{Constraint, OneOrEach, PerDimension};
use crate::simd::sum::dot_in_f64;
use crate::simd::trig::sin_cos_each;
use crate::simd::{Pass, dispatch, elementwise};
use crate::warp::circle::in_angle;
use crate::{Error, Result, Scalar, kernel_ops, parameterized};

/// A stationary kernel through random Fourier features: its spectrum, sampled.
///
/// # Definition
///
/// k(x, y) = φ(x)ᵀφ(y) = 1/m Σⱼ cos(ωⱼᵀ(x/ℓ − y/ℓ)), with the 2m features
/// φ(x) = (cos ωⱼᵀx/ℓ, sin ωⱼᵀx/ℓ)/√m and m frequencies ωⱼ drawn from the spectrum of a stationary
/// kernel, to which k tends as 1/√m.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
///
/// The spectrum, the number m of frequencies, the dimension D of the points and the seed are part of
/// the expression: text with the same four gives the same frequencies, bit for bit. They are drawn by
/// PCG XSL 128/64 (`Pcg64`) and Marsaglia's polar method with the logarithm of the crate `libm`, none of
/// which depends on the machine.
///
/// # Properties
///
/// Stationary; infinitely differentiable; positive semi-definite, of rank at most 2m; k(x, x) = 1.
/// Features are computed once a point.
///
/// # Examples
///
/// ```
/// use mercer::kernels::{RandomFourierFeatures, Spectrum};
/// use mercer::prelude::*;
///
/// let kernel = RandomFourierFeatures::new(Spectrum::Rbf, 2000, 2, 7, 0.8);
/// let (x, y) = ([0.1, 0.4], [0.7, -0.2]);
/// let exact: f64 = Rbf::new(0.8).eval(&x, &y)?;
/// assert!((kernel.eval(&x, &y)? - exact).abs() < 3.0 / 2000f64.sqrt());
///
/// let written = (kernel.clone() + 1.0).to_string();
/// assert!(written.starts_with("random_fourier_features(spectrum=rbf, features=2000, dim=2, seed=7, lengthscale=0.8)"));
/// assert_eq!(written.parse::<DynKernel>()?.eval(&x, &y)?, kernel.eval(&x, &y)? + 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// A. Rahimi & B. Recht (2007), "Random features for large-scale kernel machines", *Advances in Neural
/// Information Processing Systems* 20.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "RFF")]
pub struct RandomFourierFeatures {
    spectrum: Spectrum,
    seed: u64,
    lengthscale: PerDimension,
    /// D × m, a frequency a column.
    frequencies: Mat<f64>,
}

parameterized!(RandomFourierFeatures as "random_fourier_features", parameters: [lengthscale]);
kernel_ops!(RandomFourierFeatures);

/// One more than the largest seed: text holds whole numbers up to here exactly.
const SEEDS: u64 = 1 << 52;

impl RandomFourierFeatures {
    /// Draws `features` frequencies of a spectrum from a seed, for points of `dim` dimensions, with one lengthscale or one
    /// for each dimension.
    ///
    /// # Panics
    ///
    /// If there is no frequency or dimension, the seed is 2⁵² or more, or a lengthscale is not
    /// positive and finite; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(spectrum: Spectrum, features: usize, dim: usize, seed: u64, lengthscale: impl Into<OneOrEach>) -> Self {
        crate::error::literal(Self::try_new(spectrum, features, dim, seed, lengthscale))
    }

    /// Draws `features` frequencies of a spectrum from a seed, for points of `dim` dimensions, with one lengthscale or one
    /// for each dimension.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is no frequency or dimension, or the seed is 2⁵² or more;
    /// [`Error::Parameter`] if a lengthscale is not positive and finite.
    pub fn try_new(
        spectrum: Spectrum,
        features: usize,
        dim: usize,
        seed: u64,
        lengthscale: impl Into<OneOrEach>,
    ) -> Result<Self> {
        if features == 0 || dim == 0 {
            let found = format!("{features} for {dim} dimension(s)");
            return Err(Error::setting("the number of Fourier features", found, "both must be at least 1"));
        }
        if seed >= SEEDS {
            return Err(Error::setting(
                "the seed of Fourier features",
                seed,
                "must be below 2⁵² so that text can hold it",
            ));
        }
        let lengthscale = PerDimension::new("lengthscale", lengthscale, Constraint::Positive)?;
        let frequencies = spectrum.frequencies(dim, features, &mut Pcg64::seed_from_u64(seed));
        Ok(Self { spectrum, seed, lengthscale, frequencies })
    }

    /// The spectrum.
    pub fn spectrum(&self) -> Spectrum {
        self.spectrum
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The frequencies for ℓ = 1, one a column.
    pub fn frequencies(&self) -> faer::MatRef<'_, f64> {
        self.frequencies.as_ref()
    }

    /// The lengthscale: one, or one for each dimension.
    pub fn lengthscale(&self) -> &[f64] {
        self.lengthscale.values()
    }

    /// ω_d/ℓ_d
    fn frequency(&self, dim: usize, feature: usize) -> f64 {
        // Held where phases would be infinite, and their sines NaN.
        (self.frequencies[(dim, feature)] / self.lengthscale.at(dim)).clamp(-1e150, 1e150)
    }

    fn height<T: Scalar>(&self) -> T {
        T::from_f64(1.0 / (self.frequencies.ncols() as f64).sqrt())
    }
}

impl Construct for RandomFourierFeatures {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["spectrum", "features", "dim", "seed", "lengthscale"])?;
        let (spectrum, features) = (arguments.take("spectrum")?, arguments.take("features")?);
        let (dim, seed) = (arguments.take("dim")?, arguments.take("seed")?);
        arguments.check_entries(dim, features)?;
        Self::try_new(spectrum, features, dim, seed, arguments.take::<OneOrEach>("lengthscale")?)
    }
}

impl Expr for RandomFourierFeatures {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).stationary().differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        let expected = self.frequencies.nrows();
        if dim != expected {
            let needs = format!("has frequencies in {expected} dimension(s)");
            return Err(Error::Dimension { kernel: crate::kernel::text(self).to_string(), needs, found: dim });
        }
        radial::check_dim(self, "lengthscale", &self.lengthscale, dim)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("spectrum", self.spectrum.to_string()),
            ("features", self.frequencies.ncols().to_string()),
            ("dim", self.frequencies.nrows().to_string()),
            ("seed", self.seed.to_string()),
        ]
    }
}

/// phases += frequency · x
struct AddPhase<'a, T> {
    frequency: f64,
    x: &'a [T],
    phases: &'a mut [f64],
}

impl<T: Scalar> Pass for AddPhase<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (phase, x) in self.phases.iter_mut().zip(self.x) {
            *phase += self.frequency * x.as_f64();
        }
    }
}

/// Replaces phases by their sines.
struct SinesAndCosines<'a> {
    phases: &'a mut [f64],
    cosines: &'a mut [f64],
}

impl Pass for SinesAndCosines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        sin_cos_each::<f64, FMA>(self.phases, self.cosines);
    }
}

/// out = height · values
struct Scaled<'a, T> {
    values: &'a [f64],
    height: T,
    out: &'a mut [T],
}

impl<T: Scalar> Pass for Scaled<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, &value) in self.out.iter_mut().zip(self.values) {
            *out = self.height * T::from_f64(value);
        }
    }
}

impl<T: Scalar> Kernel<T> for RandomFourierFeatures {
    // The difference first, so that close points keep their digits far from the origin.
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let cosine = |feature: usize| {
            let terms = x.iter().zip(y).enumerate();
            let phase: f64 = terms.map(|(d, (&x, &y))| self.frequency(d, feature) * (x - y).as_f64()).sum();
            T::from_f64(phase.cos())
        };
        let features = self.frequencies.ncols();
        (0..features).map(cosine).sum::<T>() / T::from_f64(features as f64)
    }

    // The cosines of all frequencies, then the sines. Phases are summed in `f64`, from the origin of the points: a cosine
    // is as wrong as its argument.
    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let (features, height) = (self.frequencies.ncols(), self.height::<T>());
        let mut made = Mat::zeros(points.len(), 2 * features);
        let (mut phases, mut cosines) = (vec![0.0; points.len()], vec![0.0; points.len()]);
        let coordinates: Vec<_> = (0..points.dim()).map(|dim| points.shifted(dim)).collect();
        for feature in 0..features {
            phases.fill(0.0);
            for (dim, x) in coordinates.iter().enumerate() {
                dispatch(AddPhase { frequency: self.frequency(dim, feature), x, phases: &mut phases });
            }
            dispatch(SinesAndCosines { phases: &mut phases, cosines: &mut cosines });
            dispatch(Scaled { values: &cosines, height, out: made.col_as_slice_mut(feature) });
            dispatch(Scaled { values: &phases, height, out: made.col_as_slice_mut(features + feature) });
        }
        Features::leaf(Points::made(made).with_gradient(true))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        scratch.inner_products(pairs, out);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        fill_diag(features.points(), T::from_f64(1.0), out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, scratch, .. } = to.dense(self);
        scratch.add_inner_product_gradient(pairs, |gradient| elementwise::add(gradient, cotangent));
    }

    // cos² + sin² = 1 whatever the phase.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        add_own_differences_vjp(features.points(), cotangent, theta, gradients);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let made = features.points();
        let Some(in_made) = gradients.take(made) else { return };
        let count = self.frequencies.ncols();
        let mut in_points = gradients.at_mut(points);
        let coordinates: Vec<_> = (0..points.dim()).map(|dim| points.shifted(dim)).collect();
        for feature in 0..count {
            let (cos, sin) = (made.column(feature), made.column(count + feature));
            let (in_cos, in_sin) = (in_made.col_as_slice(feature), in_made.col_as_slice(count + feature));
            let in_phase = in_angle([cos, sin], [in_cos, in_sin]);
            for (dim, x) in coordinates.iter().enumerate() {
                let frequency = self.frequency(dim, feature);
                let in_frequency = dot_in_f64(&in_phase, x);
                theta[if self.lengthscale.dim().is_some() { dim } else { 0 }] -=
                    in_frequency * frequency / self.lengthscale.at(dim);
                if let Some(in_points) = &mut in_points {
                    elementwise::add_scaled(in_points.col_as_slice_mut(dim), &in_phase, T::from_f64(frequency));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::spectrum::SPECTRA;
    use crate::prelude::*;

    /// The mean over 4000 frequencies has a standard error below 1/√8000 for values of cos.
    #[test]
    fn tends_to_the_kernel_of_its_spectrum() {
        let exact = [
            Rbf::new([0.8, 1.5]).dynamic(),
            Matern12::new([0.8, 1.5]).dynamic(),
            Matern32::new([0.8, 1.5]).dynamic(),
            Matern52::new([0.8, 1.5]).dynamic(),
        ];
        for ((_, spectrum), exact) in SPECTRA.into_iter().zip(exact) {
            let kernel = RandomFourierFeatures::new(spectrum, 4000, 2, 3, [0.8, 1.5]);
            for y in [[0.3, 0.1], [1.0, -1.0], [0.0, 2.0]] {
                let (found, expected): (f64, f64) =
                    (kernel.eval(&[0.0, 0.0], &y).unwrap(), exact.eval(&[0.0, 0.0], &y).unwrap());
                assert!((found - expected).abs() < 4.0 / 8000f64.sqrt(), "{spectrum}: {found} {expected}");
            }
        }
    }
}
