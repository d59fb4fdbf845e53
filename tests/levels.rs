//! The same bits on AVX2 and AVX-512 and for any number of threads; close values without fused
//! multiply-add. A test program of its own, with one test, since the level is one for the whole program.

#![allow(clippy::unwrap_used)]

use mercer::algebra::registry;
use mercer::gp::Svgp;
use mercer::kernel::{GradientRequest, Gradients, cross_into, cross_vjp, gram_into, gram_vjp};
use mercer::linalg::Jitter;
use mercer::prelude::*;
use mercer::simd::{Level, restrict};
use mercer::testkit::points_for;

struct Everything<T: Scalar> {
    gram: Mat<T>,
    cross: Mat<T>,
    gradients: Vec<Gradients<T>>,
}

impl<T: Scalar> Everything<T> {
    fn of(kernel: &DynKernel, x: &Mat<T>, z: &Mat<T>, par: Par) -> Self {
        let (n, m) = (x.nrows(), z.nrows());
        let (x, z) = (x.as_ref(), z.as_ref());
        let (mut gram, mut cross) = (Mat::zeros(n, n), Mat::zeros(n, m));
        gram_into(kernel, x, gram.as_mut(), par).unwrap();
        cross_into(kernel, x, z, cross.as_mut(), par).unwrap();
        let mut gradients = Vec::new();
        if kernel.properties().differentiable {
            let w = Mat::from_fn(n, n, |i, j| T::from_f64(((7 * i + 3 * j) % 11) as f64 - 5.0));
            for wanted in [GradientRequest::PARAMETERS, GradientRequest::ALL] {
                gradients.push(gram_vjp(kernel, x, w.as_ref(), wanted, par).unwrap());
                gradients.push(cross_vjp(kernel, x, z, w.as_ref().subcols(0, m), wanted, par).unwrap());
            }
        }
        Self { gram, cross, gradients }
    }

    fn assert_same(&self, other: &Self, what: &str) {
        let same = |a: &Mat<T>, b: &Mat<T>| {
            let bits = |value: &T| value.as_f64().to_bits();
            (0..a.ncols()).all(|col| a.col_as_slice(col).iter().map(bits).eq(b.col_as_slice(col).iter().map(bits)))
        };
        assert!(same(&self.gram, &other.gram), "the Gram matrix of {what}");
        assert!(same(&self.cross, &other.cross), "the cross-covariance of {what}");
        for (mine, theirs) in self.gradients.iter().zip(&other.gradients) {
            let bits = |theta: &[f64]| theta.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&mine.theta), bits(&theirs.theta), "the gradient of {what}");
            for (mine, theirs) in [(&mine.x, &theirs.x), (&mine.z, &theirs.z)] {
                assert_eq!(mine.is_some(), theirs.is_some());
                assert!(mine.iter().zip(theirs).all(|(a, b)| same(a, b)), "the gradient in the points of {what}");
            }
        }
    }
}

fn check<T: Scalar>(bound: f64) {
    // More than a tile, and neither a multiple of a vector nor of a block.
    for (name, kernel) in registry::all() {
        for dim in [1, 3].into_iter().filter(|&dim| kernel.inputs(dim).is_ok()) {
            let (x, z) = (points_for::<T>(&kernel, 83, dim, 1), points_for::<T>(&kernel, 37, dim, 2));
            let widest = Everything::of(&kernel, &x, &z, Par::Seq);
            widest.assert_same(&Everything::of(&kernel, &x, &z, Par::rayon(0)), &format!("{name} on more threads"));
            restrict(Level::Avx2);
            let narrower = Everything::of(&kernel, &x, &z, Par::Seq);
            restrict(Level::Baseline);
            let baseline = Everything::of(&kernel, &x, &z, Par::Seq);
            restrict(Level::Avx512);
            widest.assert_same(&narrower, &format!("{name} on AVX2"));
            let scale = widest.gram.norm_max().as_f64();
            let difference = (&widest.gram - &baseline.gram).norm_max().as_f64();
            assert!(difference <= bound * scale, "{name} without fused multiply-add: {difference:e} of {scale:e}");
        }
    }
}

/// The bound of a sparse process and its gradient, in several panels and blocks of points.
fn bound<T: Scalar>(par: Par) -> (f64, Vec<f64>) {
    let (x, z) = (mercer::testkit::points::<T>(1500, 2, 3), mercer::testkit::points::<f64>(37, 2, 4));
    let y: Vec<T> = (0..1500).map(|row| T::from_f64(x[(row, 0)].as_f64().sin())).collect();
    let mut model =
        Svgp::new(1.3 * Rbf::new([0.7, 1.9]), z.as_ref()).unwrap().with_jitter(Jitter::Fixed(1e-4)).with_par(par);
    let moved = model.unconstrained().into_iter().enumerate().map(|(i, value)| value + 0.1 * (i as f64).sin());
    model.set_unconstrained(&moved.collect::<Vec<_>>()).unwrap();
    let (bound, gradient) = model.gradient(&Data::new(x, y)).unwrap();
    (bound.value, gradient)
}

fn check_bounds<T: Scalar>(tolerance: f64) {
    let mut results = Vec::new();
    for level in [Level::Avx512, Level::Avx2] {
        restrict(level);
        results.extend([bound::<T>(Par::Seq), bound::<T>(Par::rayon(2)), bound::<T>(Par::rayon(3))]);
    }
    restrict(Level::Baseline);
    let (baseline, slopes) = bound::<T>(Par::Seq);
    restrict(Level::Avx512);
    assert!((baseline / results[0].0 - 1.0).abs() <= tolerance, "{baseline} {}", results[0].0);
    let largest = slopes.iter().fold(0.0, |largest: f64, slope| largest.max(slope.abs()));
    assert!(slopes.iter().zip(&results[0].1).all(|(a, b)| (a - b).abs() <= tolerance * largest));
    let bits = |(bound, gradient): &(f64, Vec<f64>)| -> Vec<u64> {
        std::iter::once(bound).chain(gradient).map(|value| value.to_bits()).collect()
    };
    assert!(results.windows(2).all(|pair| bits(&pair[0]) == bits(&pair[1])));
}

#[test]
fn every_level_gives_the_same_bits() {
    check::<f64>(1e-12);
    check::<f32>(5e-4);
    // Large enough for several tasks, and for writing past the caches.
    let x = mercer::testkit::points::<f64>(1100, 3, 5);
    let kernel = 1.3 * Matern52::new([0.5, 0.9, 1.4]);
    let mut results = Vec::new();
    for level in [Level::Avx512, Level::Avx2] {
        restrict(level);
        for par in [Par::Seq, Par::rayon(0)] {
            let mut gram = Mat::zeros(1100, 1100);
            gram_into(&kernel, x.as_ref(), gram.as_mut(), par).unwrap();
            results.push(gram);
        }
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(results[0] == results[0].transpose());
    restrict(Level::Avx512);
    check_bounds::<f64>(1e-9);
    check_bounds::<f32>(1e-3);
}
