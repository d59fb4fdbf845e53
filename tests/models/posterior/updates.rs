//! Posteriors given more data, or less: the same as of all that is left at once.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Approximation, ExactGp, MeanBasis, Posterior, Sgpr, Standardization, Svgp};
use mercer::inducing::HilbertFeatures;
use mercer::likelihood::{Bernoulli, FixedNoise};
use mercer::mean::ConstantMean;
use mercer::optim::NaturalGradient;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::data::{plane, single, uniform};

fn rows(x: &Mat<f64>, y: &[f64], rows: &[usize]) -> Data<f64> {
    let x = Mat::from_fn(rows.len(), x.ncols(), |row, col| x[(rows[row], col)]);
    Data::new(x, rows.iter().map(|&row| y[row]).collect::<Vec<_>>())
}

fn assert_same(a: &Posterior<f64>, b: &Posterior<f64>, within: f64) {
    let at = 3.0 * uniform(9, 2, 3);
    let (p, q) = (a.predict(at.as_ref()).unwrap(), b.predict(at.as_ref()).unwrap());
    let (c, d) = (a.covariance(at.as_ref(), 0).unwrap(), b.covariance(at.as_ref(), 0).unwrap());
    assert!((&p.mean - &q.mean).norm_max() < within, "{:?} {:?}", p.mean, q.mean);
    assert!((&p.variance - &q.variance).norm_max() < within, "{:?} {:?}", p.variance, q.variance);
    assert!((c - d).norm_max() < within);
}

fn kernel() -> DynKernel {
    (1.5 * Rbf::new(0.8) + 0.1 * Linear::new(1.0)).dynamic()
}

#[test]
fn of_exact_processes() {
    let (x, y) = plane(40);
    let gp = ExactGp::new(kernel()).with_noise(0.05).unwrap().with_mean(ConstantMean::new(0.3));
    let (first, last): (Vec<usize>, Vec<usize>) = (0..40).partition(|row| *row < 25);
    let posterior = gp.condition(&rows(&x, &y, &first)).unwrap().observe(&rows(&x, &y, &last)).unwrap();
    assert_same(&posterior, &gp.condition(&Data::new(&x, &y)).unwrap(), 1e-12);

    // Rows one after the other, first and last among them, and back.
    let forgotten = [39, 0, 7, 8, 30];
    let left: Vec<usize> = (0..40).filter(|row| !forgotten.contains(row)).collect();
    let without = posterior.forget_rows(&forgotten).unwrap();
    assert_same(&without, &gp.condition(&rows(&x, &y, &left)).unwrap(), 1e-12);
    assert_same(&without.observe(&rows(&x, &y, &forgotten)).unwrap(), &posterior, 1e-12);

    // Draws go by what was seen, too.
    let gp = ExactGp::new(Rbf::new(0.8)).with_noise(0.05).unwrap();
    let without = gp.condition(&Data::new(&x, &y)).unwrap().forget_rows(&forgotten).unwrap();
    let mut rng = Pcg64::seed_from_u64(1);
    let paths = without.pathwise(400, 200, &mut rng).unwrap().values(x.as_ref()).unwrap();
    let expected = without.mean(x.as_ref()).unwrap();
    let miss = |row: usize| (0..400).map(|draw| paths[(row, draw)]).sum::<f64>() / 400.0 - expected[(row, 0)];
    assert!((0..40).all(|row| miss(row).abs() < 0.15));

    for (rows, says) in [(vec![40], "there are 40"), (vec![3, 3], "named twice"), ((0..40).collect(), "what is left")] {
        let error = posterior.forget_rows(&rows).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(posterior.forget(&rows(&x, &y, &[1])).unwrap_err().to_string().contains("forget_rows"));
}

/// Known noise, which is that of the rows; single precision; the same point again and again.
#[test]
fn of_exact_processes_with_noise_of_their_own() {
    let (x, y) = plane(20);
    let noise: Vec<f64> = (0..20).map(|row| 0.05 + 0.02 * row as f64).collect();
    let of = |rows: &[usize]| FixedNoise::new(&rows.iter().map(|&row| noise[row]).collect::<Vec<_>>()).unwrap();
    let (first, last): (Vec<usize>, Vec<usize>) = (0..20).partition(|row| *row < 12);
    let gp = |rows: &[usize]| ExactGp::new(kernel()).with_likelihood(of(rows));
    let begun = gp(&first).condition(&rows(&x, &y, &first)).unwrap();
    assert!(begun.observe(&rows(&x, &y, &last)).is_err());
    let posterior = begun.with_likelihood(of(&last)).unwrap().observe(&rows(&x, &y, &last)).unwrap();
    let whole = gp(&(0..20).collect::<Vec<_>>());
    assert_same(&posterior, &whole.condition(&Data::new(&x, &y)).unwrap(), 1e-12);

    let gp = ExactGp::new(Rbf::new(1.0)).with_noise(0.1).unwrap();
    let (z, mut v) = (mat![[0.5f32]], vec![1.0f32]);
    let mut posterior = gp.condition(&Data::new(&z, &v)).unwrap();
    for i in 1..30 {
        v.push(1.0 + 0.1 * (i % 3) as f32);
        posterior = posterior.observe(&Data::new(&z, &v[i..=i])).unwrap();
    }
    let mean: f64 = v.iter().map(|&v| f64::from(v)).sum::<f64>() / (30.0 + 0.1);
    let found = posterior.predict(z.as_ref()).unwrap();
    assert!((f64::from(found.mean[(0, 0)]) - mean).abs() < 1e-5, "{found:?}");
    assert!((f64::from(found.variance[(0, 0)]) - 0.1 / 30.1).abs() < 1e-6, "{found:?}");
}

#[test]
fn of_sparse_processes() {
    let (x, y) = plane(60);
    let z = 2.0 * uniform(12, 2, 4);
    let (first, last): (Vec<usize>, Vec<usize>) = (0..60).partition(|row| *row < 45);
    let all: Vec<usize> = (0..60).collect();
    for approximation in [Approximation::Vfe, Approximation::Fitc] {
        let gp = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.1).unwrap().with_mean(ConstantMean::new(0.3));
        let gp = gp.with_approximation(approximation);
        let of = |which: &[usize]| gp.condition(&rows(&x, &y, which)).unwrap();
        let posterior = of(&first).observe(&rows(&x, &y, &last)).unwrap();
        assert_same(&posterior, &of(&all), 1e-10);
        assert_same(&of(&all).forget(&rows(&x, &y, &last)).unwrap(), &of(&first), 1e-9);
        let error = of(&last).forget(&rows(&x, &y, &first)).unwrap_err().to_string();
        assert!(error.contains("has not seen them"), "{error}");
        assert!(of(&all).forget_rows(&[1]).is_err());
    }

    let features = HilbertFeatures::new(&[(-4.0, 4.0), (-4.0, 4.0)], &[6, 6]).unwrap();
    let gp = Sgpr::with_features(1.5 * Rbf::new(1.8), features).unwrap().with_noise(0.1).unwrap();
    let of = |which: &[usize]| gp.condition(&rows(&x, &y, which)).unwrap();
    assert_same(&of(&first).observe(&rows(&x, &y, &last)).unwrap(), &of(&all), 1e-10);
}

/// q at its optimum for a part of the data, and for all.
#[test]
fn of_variational_processes() {
    let (x, y) = plane(50);
    let (first, last): (Vec<usize>, Vec<usize>) = (0..50).partition(|row| *row < 30);
    let z = 2.0 * uniform(10, 2, 5);
    let basis = || MeanBasis::new(uniform(4, 2, 7).as_ref()).unwrap();
    for with_basis in [false, true] {
        let of = |data: &Data<f64>| {
            let mut gp = Svgp::new(kernel(), z.as_ref()).unwrap();
            if with_basis {
                gp = gp.with_mean_basis(basis()).unwrap();
            }
            gp.natural_step(&data.part_of(data.x().nrows()), &NaturalGradient::default()).unwrap();
            gp.posterior().unwrap()
        };
        let posterior = of(&rows(&x, &y, &first)).observe(&rows(&x, &y, &last)).unwrap();
        assert_same(&posterior, &of(&Data::new(&x, &y)), 1e-10);
    }
    let classes = Svgp::new(kernel(), z.as_ref()).unwrap().with_likelihood(Bernoulli::probit());
    let error = classes.posterior::<f64>().unwrap().observe(&rows(&x, &y, &last)).unwrap_err().to_string();
    assert!(error.contains("bernoulli") && error.contains("Gaussian"), "{error}");
}

#[test]
fn of_bad_data() {
    let (x, y) = plane(10);
    let posterior = ExactGp::new(kernel()).condition(&Data::new(&x, &y)).unwrap();
    let with = |x: Mat<f64>, y: &[f64]| posterior.observe(&Data::new(&x, y)).unwrap_err().to_string();
    assert!(with(mat![[0.0, f64::NAN]], &[1.0]).contains("x"));
    assert!(with(mat![[0.0, 1.0]], &[f64::INFINITY]).contains("y"));
    assert!(with(mat![[0.0, 1.0]], &[1.0, 2.0]).contains("y"));
    assert!(with(mat![[0.0]], &[1.0]).contains("column"));
    let narrow =
        ExactGp::new(kernel()).condition(&Data::new(single(&x), y.iter().map(|&y| y as f32).collect::<Vec<_>>()));
    assert!(narrow.unwrap().observe(&Data::new(single(&x), vec![0.5f32; 10])).is_ok());
}

/// In the units of the data, which stay those of the first part.
#[test]
fn of_standardised_processes() {
    let (x, y) = plane(30);
    let (x, y) = (
        Mat::from_fn(30, 2, |row, col| 1e3 * x[(row, col)] + 5.0),
        y.iter().map(|y| 40.0 * y - 7.0).collect::<Vec<_>>(),
    );
    let (first, last): (Vec<usize>, Vec<usize>) = (0..30).partition(|row| *row < 20);
    let (begun, all) = (rows(&x, &y, &first), Data::new(&x, &y));
    let units = Standardization::of(&begun).unwrap();
    let exact = units.clone().around(ExactGp::new(Rbf::new(0.9)).with_noise(0.1).unwrap());
    let z = units.inputs(x.subrows(0, 9)).unwrap();
    let sparse = units.around(Sgpr::new(Rbf::new(0.9), z.as_ref()).unwrap().with_noise(0.1).unwrap());
    let at = Mat::from_fn(4, 2, |row, col| 700.0 * (row as f64 - 1.3) + 90.0 * col as f64);
    let whole = [exact.condition(&all).unwrap(), sparse.condition(&all).unwrap()];
    let part = [exact.condition(&begun).unwrap(), sparse.condition(&begun).unwrap()];
    let less = [whole[0].forget_rows(&last).unwrap(), whole[1].forget(&rows(&x, &y, &last)).unwrap()];
    for ((whole, part), less) in whole.iter().zip(&part).zip(&less) {
        let more = part.observe(&rows(&x, &y, &last)).unwrap();
        for (found, expected) in [(&more, whole), (less, part)] {
            let (found, expected) = (found.predict(at.as_ref()).unwrap(), expected.predict(at.as_ref()).unwrap());
            assert!(
                (&found.mean - &expected.mean).norm_max() < 1e-9
                    && (found.variance - expected.variance).norm_max() < 1e-8
            );
        }
        let slopes = whole.slopes(at.as_ref(), 0).unwrap();
        let h = 1e-2;
        for (row, col) in (0..4).flat_map(|row| [(row, 0), (row, 1)]) {
            let moved = |h: f64| {
                let at = Mat::from_fn(1, 2, |_, c| at[(row, c)] + if c == col { h } else { 0.0 });
                whole.predict(at.as_ref()).unwrap()
            };
            let (above, below) = (moved(h), moved(-h));
            let mean = (above.mean[(0, 0)] - below.mean[(0, 0)]) / (2.0 * h);
            let variance = (above.variance[(0, 0)] - below.variance[(0, 0)]) / (2.0 * h);
            assert!((slopes.mean[(row, col)] - mean).abs() < 1e-7, "{slopes:?} {mean}");
            assert!((slopes.variance[(row, col)] - variance).abs() < 1e-6, "{slopes:?} {variance}");
        }
    }
}
