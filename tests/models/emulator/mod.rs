//! The emulator of spectra against stored values of an independent implementation, brute force and itself.
#![allow(clippy::unwrap_used)]

mod construction;
mod evidence;
mod flux;
mod posterior;
mod search;
mod stored;
mod structures;
mod truncation;

use mercer::data::{Basis, Components, Pca, PcaSettings};
use mercer::prelude::*;
use rand::SeedableRng;
use serde_json::Value;

use crate::common::stored::{matrix, read};

fn fixture() -> Value {
    read("starfish.json")
}

fn pca(fixture: &Value) -> Pca {
    let settings = PcaSettings { components: Components::Count(3), scale: true, normalise: true };
    Pca::fit(matrix(&fixture["raw_fluxes"]).as_ref(), &settings).unwrap()
}

/// Spectra of one line of changing depth, width and place, at irregular parameters.
fn spectra(count: usize, pixels: usize, seed: u64) -> (Mat<f64>, Mat<f64>) {
    use rand::RngExt;
    let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
    let theta = Mat::from_fn(count, 2, |_, dim| rng.random_range(0.0..1.0) * [2.0, 500.0][dim]);
    let flux = |row: usize, pixel: usize| {
        let (depth, width) = (0.3 + 0.2 * theta[(row, 0)], 2.0 + theta[(row, 1)] / 250.0);
        let x = (pixel as f64 - 0.5 * pixels as f64 - theta[(row, 0)]) / width;
        10.0 * (1.0 - depth * (-0.5 * x * x).exp())
    };
    let fluxes = Mat::from_fn(count, pixels, flux);
    (theta, fluxes)
}

/// A basis that is not orthogonal, of bumps, in units of scales that differ.
fn bumps(pixels: usize) -> Basis {
    let bump = |i: usize, pixel: usize| {
        let x = (pixel as f64 - [0.3, 0.5, 0.6][i] * pixels as f64) / 2.0;
        (-0.5 * x * x).exp()
    };
    let scale = (0..pixels).map(|pixel| 1.0 + 0.1 * pixel as f64).collect();
    let standardizer = mercer::data::Standardizer::new(vec![9.0; pixels], scale).unwrap();
    Basis::new(Mat::from_fn(3, pixels, bump)).unwrap().with_standardizer(standardizer).unwrap()
}

/// Stars, three parameters and the flux of 418 pixels each: those of this remainder by three, and the others.
fn stars(remainder: usize) -> [(Mat<f64>, Mat<f64>); 2] {
    let text = include_str!("../../../examples/data/stellar_li_balder.csv");
    let numbers = |line: &str| line.split(',').map(|number| number.parse().unwrap()).collect();
    let stars: Vec<Vec<f64>> = text.lines().skip(1).map(numbers).collect();
    [true, false].map(|held_out| {
        let chosen: Vec<&Vec<f64>> =
            (0..stars.len()).filter(|star| (star % 3 == remainder) == held_out).map(|star| &stars[star]).collect();
        let part = |first: usize, count: usize| Mat::from_fn(chosen.len(), count, |row, col| chosen[row][first + col]);
        (part(0, 3), part(3, stars[0].len() - 3))
    })
}
