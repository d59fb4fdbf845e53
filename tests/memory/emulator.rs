//! What an emulator allocates: nothing of the square of the number of pixels, nor, for orthogonal components, of the
//! square of the number of weights.

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{Emulator, Spectra, Structure};
use mercer::optim::Lbfgs;
use mercer::prelude::*;

use crate::peak;

const SPECTRA: usize = 80;
const PIXELS: usize = 3000;
const COMPONENTS: usize = 8;
/// Of a number.
const BYTES_EACH: usize = 8;

pub(crate) fn no_square_of_pixels_or_weights() {
    let theta = Mat::from_fn(SPECTRA, 2, |j, dim| (j / [1, 10][dim] % 10) as f64);
    let flux =
        |j: usize, p: usize| ((1.0 + 0.1 * theta[(j, 0)]) * p as f64 * 0.01).sin() + 0.01 * p as f64 * theta[(j, 1)];
    let fluxes = Mat::from_fn(SPECTRA, PIXELS, flux);
    let data = SPECTRA * PIXELS * BYTES_EACH;
    assert!(PIXELS * PIXELS * BYTES_EACH > 37 * data);

    // Matrix products take their buffers, of a fixed size, at the first call, and keep them.
    drop(Pca::fit(fluxes.as_ref(), &PcaSettings::default()).unwrap());
    let settings = PcaSettings { components: Components::Count(COMPONENTS), scale: true, normalise: false };
    let (of_pca, pca) = peak(|| Pca::fit(fluxes.as_ref(), &settings).unwrap());
    assert!(of_pca < 4 * data, "{of_pca}");
    let (of_new, spectra) = peak(|| Spectra::new(&theta, &fluxes, &pca).unwrap());
    assert!(of_new < 3 * data, "{of_new}");

    let mut emulator = Emulator::new(&spectra).unwrap().with_par(Par::Seq);
    let blocks = COMPONENTS * SPECTRA * SPECTRA * BYTES_EACH;
    let (of_gradient, _) = peak(|| emulator.gradient(&spectra).unwrap());
    assert!(of_gradient > blocks && of_gradient < 2 * blocks, "{of_gradient}");
    let few = Lbfgs { max_steps: 3, ..Lbfgs::default() };
    let (of_training, _) = peak(|| emulator.fit(&spectra, &few).unwrap());
    assert!(of_training < 2 * blocks, "{of_training}");
    let (of_prediction, _) =
        peak(|| emulator.condition(&spectra).unwrap().fluxes(theta.as_ref().subrows(3, 5)).unwrap());
    assert!(of_prediction < 2 * blocks + 20 * COMPONENTS * PIXELS * BYTES_EACH, "{of_prediction}");

    // What the bounds above would have missed.
    let dense = emulator.with_structure(Structure::Dense);
    let (of_dense, _) = peak(|| dense.objective(&spectra).unwrap());
    assert!(of_dense > COMPONENTS * blocks, "{of_dense}");
}
