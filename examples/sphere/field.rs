//! The fields, what is seen of them, and the truth.

use std::error::Error;
use std::f64::consts::PI;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use clap::ValueEnum;
use mercer::data::{rows, split};
use mercer::inducing::SphericalHarmonicFeatures;
use mercer::linalg::{Cholesky, Jitter};
use mercer::prelude::*;
use mercer::sphere::SphericalHarmonics;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;

use super::support::{Table, read_csv};

const STATIONS: usize = 400;
/// Standard deviation of the noise of the stations, µT.
const NOISE: f64 = 0.5;
/// Latitude, longitude and radius of the part of the sphere without stations, degrees.
const GAP: [f64; 3] = [-25.0, -125.0, 30.0];
/// The highest degree of the IGRF.
const IGRF_DEGREE: usize = 13;

/// Height, centre and κ of w exp(κ(c·x − 1)), which is a squared exponential of lengthscale κ^−½.
const BUMPS: [(f64, [f64; 3], f64); 3] =
    [(1.0, [0.0, 0.0, 1.0], 8.0), (0.8, [1.0, 0.0, 0.0], 15.0), (-0.7, [-1.0, 0.0, 0.0], 15.0)];
/// The degree beyond which nothing is left of the bumps.
const BUMPS_DEGREE: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// The Earth's radial magnetic field
    Igrf,
    /// Three bumps
    Bumps,
}

pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// With a space before it, if there is one.
    pub(crate) unit: &'static str,
    /// The highest degree of the features, in a quick run and in another.
    pub(crate) degrees: [usize; 2],
    /// Variance and lengthscale of the kernel, and standard deviation of the noise, that fits start from.
    pub(crate) start: [f64; 3],
    /// Mean squares of a degree worth showing.
    pub(crate) powers: Range<f64>,
    /// On the unit sphere.
    pub(crate) x: Mat<f64>,
    pub(crate) y: Vec<f64>,
    pub(crate) x_test: Mat<f64>,
    /// Without noise.
    pub(crate) y_test: Vec<f64>,
    pub(crate) truth: Truth,
}

/// A field as a sum of harmonics.
pub(crate) struct Truth {
    harmonics: SphericalHarmonics,
    coefficients: Mat<f64>,
}

pub(crate) fn on_sphere(latitude: f64, longitude: f64) -> [f64; 3] {
    [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
}

fn table(name: &str) -> Result<Table, Box<dyn Error>> {
    read_csv(File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name))?)
}

impl Field {
    pub(crate) fn load(name: Name) -> Result<Self, Box<dyn Error>> {
        match name {
            Name::Igrf => Self::igrf(),
            Name::Bumps => Self::bumps(),
        }
    }

    fn igrf() -> Result<Self, Box<dyn Error>> {
        // The last column, of which the table makes its target, is the eastward field.
        let Table { x: columns, .. } = table("igrf14_2025_fibonacci2000.csv")?;
        let n = columns.nrows();
        let place = |row: usize| on_sphere(columns[(row, 0)].to_radians(), columns[(row, 1)].to_radians());
        let x = Mat::from_fn(n, 3, |row, d| place(row)[d]);
        let field = Mat::from_fn(n, 1, |row, _| 1e-3 * columns[(row, 2)]);

        let gap = on_sphere(GAP[0].to_radians(), GAP[1].to_radians());
        let cosine = |row: usize| (0..3).map(|d| x[(row, d)] * gap[d]).sum::<f64>();
        let outside: Vec<usize> = (0..n).filter(|&row| cosine(row) < GAP[2].to_radians().cos()).collect();
        let mut rng = Pcg64::seed_from_u64(0);
        let parts = split(outside.len(), STATIONS, &mut rng)?;
        let stations: Vec<usize> = parts.test.iter().map(|&index| outside[index]).collect();
        let others: Vec<usize> = (0..n).filter(|row| !stations.contains(row)).collect();
        let y = stations.iter().map(|&row| field[(row, 0)] + NOISE * rng.sample::<f64, _>(StandardNormal)).collect();
        Ok(Self {
            name: "igrf",
            title: "Radial field, outward",
            unit: " µT",
            degrees: [10, 20],
            start: [1000.0, 1.0, 1.0],
            powers: 1e-7..1e4,
            y,
            y_test: others.iter().map(|&row| field[(row, 0)]).collect(),
            truth: Truth::through(&x, &field)?,
            x_test: rows(x.as_ref(), &others)?,
            x: rows(x.as_ref(), &stations)?,
        })
    }

    /// Held out are the points of a grid of ten degrees, with all of those that meet at a pole.
    fn bumps() -> Result<Self, Box<dyn Error>> {
        let Table { x, y } = table("three_bumps_1000.csv")?;
        let grid = |cell: usize| [10.0 * (cell / 37) as f64 - 90.0, 10.0 * (cell % 37) as f64 - 180.0];
        let place = |cell: usize| on_sphere(grid(cell)[0].to_radians(), grid(cell)[1].to_radians());
        let x_test = Mat::from_fn(19 * 37, 3, |cell, d| place(cell)[d]);
        let truth = Truth::bumps()?;
        let bump = |(height, centre, kappa): (f64, [f64; 3], f64), row: usize| {
            let cosine = (0..3).map(|d| centre[d] * x_test[(row, d)]).sum::<f64>();
            height * (kappa * (cosine - 1.0)).exp()
        };
        let y_test: Vec<f64> = (0..x_test.nrows()).map(|row| BUMPS.map(|one| bump(one, row)).iter().sum()).collect();
        let left = truth.at(&x_test)?.iter().zip(&y_test).map(|(sum, y)| (sum - y).abs()).fold(0.0, f64::max);
        println!("the field is a sum of harmonics to degree {BUMPS_DEGREE}, to {left:.0e}");
        Ok(Self {
            name: "bumps",
            title: "Three bumps",
            unit: "",
            degrees: [8, 16],
            start: [1.0, 0.8, 0.05],
            powers: 1e-7..1e0,
            x,
            y,
            x_test,
            y_test,
            truth,
        })
    }
}

impl Truth {
    /// By least squares: to the digits of the table, as a sum of harmonics is what the IGRF is.
    fn through(x: &Mat<f64>, field: &Mat<f64>) -> Result<Self, Box<dyn Error>> {
        let harmonics = SphericalHarmonics::new(3, IGRF_DEGREE)?;
        let values = harmonics.values(x.as_ref())?;
        let mut coefficients = &values * field;
        let normal = Cholesky::new((&values * values.transpose()).as_ref(), Jitter::Fixed(0.0), Par::Seq)?;
        normal.solve_in_place(coefficients.as_mut(), Par::Seq)?;
        let left = (values.transpose() * &coefficients - field).norm_max();
        println!("the field is a sum of harmonics to degree {IGRF_DEGREE}, to {:.0e} nT", 1e3 * left);
        Ok(Self { harmonics, coefficients })
    }

    /// Σ w a_l Y(c), with a_l of the squared exponential that a bump is.
    fn bumps() -> mercer::Result<Self> {
        let features = SphericalHarmonicFeatures::new(3, BUMPS_DEGREE)?;
        let harmonics = features.harmonics().clone();
        let mut coefficients = Mat::zeros(harmonics.len(), 1);
        for (height, centre, kappa) in BUMPS {
            let by_degree = features.coefficients(&Rbf::new(1.0 / kappa.sqrt()))?;
            let at_centre = harmonics.values(Mat::from_fn(1, 3, |_, d| centre[d]).as_ref())?;
            for (row, &degree) in harmonics.degrees().iter().enumerate() {
                coefficients[(row, 0)] += height * by_degree[degree] * at_centre[(row, 0)];
            }
        }
        Ok(Self { harmonics, coefficients })
    }

    pub(crate) fn at(&self, x: &Mat<f64>) -> mercer::Result<Vec<f64>> {
        let field = self.harmonics.values(x.as_ref())?.transpose() * &self.coefficients;
        Ok(field.col_as_slice(0).to_vec())
    }

    /// The mean square over the sphere, by degree.
    pub(crate) fn power(&self) -> Vec<f64> {
        let square = |row: usize| self.coefficients[(row, 0)].powi(2) / (4.0 * PI);
        (0..=self.harmonics.l_max()).map(|l| self.harmonics.rows(l).map(square).sum()).collect()
    }
}
