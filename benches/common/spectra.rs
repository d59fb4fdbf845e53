//! Spectra that nobody has observed: Planck continua and Voigt lines.

use faer::c64;
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};

/// An absorption line.
struct Line {
    /// Its centre, in nm.
    centre: f64,
    /// The optical depth at its centre at 5800 K, logg = 4.5 and the Sun's metallicity, were it without damping.
    depth: f64,
    /// The excitation energy of its lower level, in eV.
    excitation: f64,
    /// Its damping at logg = 4.5, in units of the Doppler width.
    damping: f64,
}

/// Boltzmann's constant, in eV/K.
const BOLTZMANN: f64 = 8.617_333e-5;

/// Of all lines, in nm: rotation and turbulence, much more than the heat of the atoms.
const DOPPLER_WIDTH: f64 = 0.06;

/// The parameters Teff in K, logg and metallicity on a grid, the last the fastest: n × 3.
pub(crate) fn grid(counts: [usize; 3]) -> Mat<f64> {
    let [_, gravities, metallicities] = counts;
    let at = |from: f64, to: f64, index: usize, count: usize| from + (to - from) * index as f64 / (count - 1) as f64;
    Mat::from_fn(counts.iter().product(), 3, |row, dim| match dim {
        0 => at(5000.0, 6600.0, row / (gravities * metallicities), counts[0]),
        1 => at(3.5, 5.0, row / metallicities % gravities, gravities),
        _ => at(-1.0, 0.5, row % metallicities, metallicities),
    })
}

/// A spectrum for each row of the parameters, of so many pixels from 516 to 520 nm, in W/(m² sr m).
pub(crate) fn spectra(theta: MatRef<'_, f64>, pixels: usize) -> Mat<f64> {
    let lines = lines(60);
    let wavelengths: Vec<f64> = (0..pixels).map(|pixel| 516.0 + 4.0 * pixel as f64 / pixels as f64).collect();
    let mut out = Mat::zeros(theta.nrows(), pixels);
    for row in 0..theta.nrows() {
        let [temperature, gravity, metallicity] = [0, 1, 2].map(|dim| theta[(row, dim)]);
        let strengths: Vec<(f64, f64, f64)> = lines
            .iter()
            .map(|line| {
                let excited = line.excitation / BOLTZMANN * (1.0 / 5800.0 - 1.0 / temperature);
                let damping = line.damping * 10f64.powf(0.4 * (gravity - 4.5));
                (line.centre, line.depth * 10f64.powf(metallicity) * excited.exp(), damping)
            })
            .collect();
        for (pixel, &wavelength) in wavelengths.iter().enumerate() {
            let depth: f64 = strengths
                .iter()
                .map(|&(centre, depth, damping)| depth * voigt((wavelength - centre) / DOPPLER_WIDTH, damping))
                .sum();
            out[(row, pixel)] = planck(1e-9 * wavelength, temperature) * (-depth).exp();
        }
    }
    out
}

fn lines(count: usize) -> Vec<Line> {
    let mut rng = rand_pcg::Pcg64::seed_from_u64(7);
    let mut between = |from: f64, to: f64| rng.random_range(from..to);
    (0..count)
        .map(|_| Line {
            centre: between(515.9, 520.1),
            depth: 10f64.powf(between(-1.5, 0.3)),
            excitation: between(0.5, 4.0),
            damping: between(0.02, 0.2),
        })
        .collect()
}

/// The radiance of a black body at a wavelength in m.
fn planck(wavelength: f64, temperature: f64) -> f64 {
    const FIRST: f64 = 1.191_042_97e-16;
    const SECOND: f64 = 1.438_776_88e-2;
    FIRST / (wavelength.powi(5) * (SECOND / (wavelength * temperature)).exp_m1())
}

/// The Voigt function H(a, u): the real part of the Faddeeva function at u + ia, to some 10⁻⁴ of it, by the rational
/// approximations of Humlíček (1982), Journal of Quantitative Spectroscopy and Radiative Transfer 27, 437.
pub(crate) fn voigt(u: f64, a: f64) -> f64 {
    let polynomial = |coefficients: &[f64], z: c64| coefficients.iter().fold(c64::new(0.0, 0.0), |sum, &c| sum * z + c);
    let t = c64::new(a, -u);
    let (square, reach) = (t * t, u.abs() + a);
    let value = if reach >= 15.0 {
        t * 0.564_189_6 / (square + 0.5)
    } else if reach >= 5.5 {
        t * polynomial(&[0.564_189_6, 1.410_474], square) / polynomial(&[1.0, 3.0, 0.75], square)
    } else if a >= 0.195 * u.abs() - 0.176 {
        polynomial(&[0.564_223_6, 3.778_987, 11.964_82, 20.209_33, 16.495_5], t)
            / polynomial(&[1.0, 6.699_398, 21.692_74, 39.271_21, 38.823_63, 16.495_5], t)
    } else {
        let above = [0.564_19, -1.320_522, 35.766_83, -219.031_3, 1_540.787, -3_321.990_5, 36_183.31];
        let below = [-1.0, 1.841_439, -61.570_37, 364.219_1, -2_186.181, 9_022.228, -24_322.84, 32_066.6];
        square.exp() - t * polynomial(&above, square) / polynomial(&below, square)
    };
    value.re
}
