//! A draw of a stationary process, as a sum of waves.

use faer::{Mat, MatRef};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1};

use crate::simd::trig::{cos_each, sin_each};
use crate::simd::{Pass, dispatch};
use crate::views::SpectralMeasure;
use crate::{Result, Scalar};

/// f(x) = Σ_j a_j cos(ω_jᵀx + φ_j).
///
/// With w_j and ω_j of the spectral measure, and independent standard normal α and β, √w (α cos ωᵀx + β sin ωᵀx)
/// has the covariance w cos ωᵀ(x − y). It is one wave of random phase and of amplitude √(w (α² + β²)), and
/// half of α² + β² is exponential: one cosine a frequency, where random features take two or have the
/// random phase without the amplitude, and more variance.
#[derive(Clone, Debug)]
pub(super) struct Waves {
    /// D × m
    frequencies: Mat<f64>,
    phases: Vec<f64>,
    amplitudes: Vec<f64>,
}

impl Waves {
    pub(super) fn draw(measure: &SpectralMeasure, count: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Self> {
        let (frequencies, variances) = measure.draw(count, rng)?;
        let amplitude = |w: &f64| {
            let half: f64 = Exp1.sample(rng);
            (2.0 * w * half).sqrt()
        };
        let amplitudes = variances.iter().map(amplitude).collect();
        let phases = (0..count).map(|_| std::f64::consts::TAU * rng.random::<f64>()).collect();
        Ok(Self { frequencies, phases, amplitudes })
    }

    /// Adds f to a value for each point.
    pub(super) fn add_to<T: Scalar>(&self, x: MatRef<'_, f64>, out: &mut [T]) {
        let mut angles = vec![0.0; x.nrows()];
        for (wave, &amplitude) in self.amplitudes.iter().enumerate() {
            self.angles(wave, x, &mut angles);
            dispatch(AddWave { angles: &mut angles, amplitude, out });
        }
    }

    /// Adds ∇f to a row for each point.
    pub(super) fn add_gradient<T: Scalar>(&self, x: MatRef<'_, f64>, gradient: &mut Mat<T>) {
        let mut angles = vec![0.0; x.nrows()];
        for (wave, &amplitude) in self.amplitudes.iter().enumerate() {
            self.angles(wave, x, &mut angles);
            dispatch(Sines(&mut angles));
            for dim in 0..x.ncols() {
                let slope = -amplitude * self.frequencies[(dim, wave)];
                let column = gradient.col_as_slice_mut(dim).iter_mut();
                column.zip(&angles).for_each(|(out, &sine)| *out += T::from_f64(slope * sine));
            }
        }
    }

    /// ωᵀx + φ, in `f64`: far from the origin a cosine is as wrong as its argument.
    fn angles(&self, wave: usize, x: MatRef<'_, f64>, angles: &mut [f64]) {
        angles.fill(self.phases[wave]);
        for (dim, column) in x.col_iter().enumerate() {
            let frequency = self.frequencies[(dim, wave)];
            // Of a column that the kernel does not read, whatever stands there.
            if frequency == 0.0 {
                continue;
            }
            angles.iter_mut().zip(column.iter()).for_each(|(angle, &x)| *angle += frequency * x);
        }
    }
}

/// out += amplitude · cos(angles)
struct AddWave<'a, T> {
    angles: &'a mut [f64],
    amplitude: f64,
    out: &'a mut [T],
}

impl<T: Scalar> Pass for AddWave<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        cos_each::<f64, FMA>(self.angles);
        for (out, &cosine) in self.out.iter_mut().zip(self.angles.iter()) {
            *out += T::from_f64(self.amplitude * cosine);
        }
    }
}

/// Replaces angles by their sines.
struct Sines<'a>(&'a mut [f64]);

impl Pass for Sines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        sin_each::<f64, FMA>(self.0);
    }
}
