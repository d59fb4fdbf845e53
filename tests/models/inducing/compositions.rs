//! What composition does to a kernel does to its features.
#![allow(clippy::unwrap_used)]

use approx::assert_relative_eq;
use mercer::gp::{Sgpr, Svgp};
use mercer::inducing::{GraphFeatures, HilbertFeatures, InducingFeatures};
use mercer::kernels::{Laplacian, Matern};
use mercer::prelude::*;

use crate::common::data::wave;

/// The bound on given data, and whether features take the kernel.
fn bound<F: InducingFeatures + Clone>(
    kernel: &DynKernel,
    features: &F,
    noise: f64,
    (x, y): (&Mat<f64>, &[f64]),
) -> mercer::Result<f64> {
    let model = Sgpr::with_features(kernel.clone(), features.clone())?.with_noise(noise)?;
    Ok(model.objective(&Data::new(x.as_ref(), y))?.value)
}

#[test]
fn hilbert_features_take_what_composition_makes() {
    let (x, y) = wave(15, 1, 4);
    let features = HilbertFeatures::new(&[(-4.0, 4.0)], &[20]).unwrap();
    let bound = |kernel: DynKernel, noise: f64| bound(&kernel, &features, noise, (&x, &y)).unwrap();
    let rbf = || Rbf::new(0.8);
    let plain = bound(rbf().dynamic(), 0.1);
    let double = bound((2.0 * rbf()).dynamic(), 0.1);
    for (kernel, noise, expected) in [
        (Rbf::new(1.0).ard([0.8]).dynamic(), 0.1, plain),
        (Rbf::new(0.4).stretch(2.0).dynamic(), 0.1, plain),
        (Rbf::new(1.6).linear_map(mat![[-2.0]]).dynamic(), 0.1, plain),
        (rbf().pow(1).dynamic(), 0.1, plain),
        (rbf().masked(mercer::combine::Missing::Isolate).dynamic(), 0.1, plain),
        ((rbf() * Constant::new(2.0)).dynamic(), 0.1, double),
        ((0.5 * rbf() + 1.5 * rbf()).dynamic(), 0.1, double),
        // White noise of the process is as good as noise of the observations.
        ((rbf() + White::new(0.04)).dynamic(), 0.06, plain),
        ((2.0 * (rbf() + White::new(0.01)).stretch(1.0)).dynamic(), 0.08, double),
        (Matern::new(0.8, 1.5).dynamic(), 0.1, bound(Matern32::new(0.8).dynamic(), 0.1)),
        (Matern::new(0.8, 0.5).dynamic(), 0.1, bound(Matern12::new(0.8).dynamic(), 0.1)),
    ] {
        // A white part is in the trace of a bound beside the noise: only the evidence of the exact process is the same.
        let found = bound(kernel.clone(), noise);
        if noise == 0.1 {
            assert_relative_eq!(found, expected, max_relative = 1e-11);
        } else {
            assert!(found < expected, "{kernel}: {found} {expected}");
        }
    }
    // Between ν = ½ and 3⁄2.
    assert!(bound(Matern::new(0.8, 1.0).dynamic(), 0.1).is_finite());
}

#[test]
fn products_over_disjoint_columns_have_features() {
    let (x, y) = wave(15, 2, 5);
    let features = HilbertFeatures::new(&[(-4.0, 4.0), (-4.0, 4.0)], &[8, 8]).unwrap();
    let bound = |kernel: DynKernel| bound(&kernel, &features, 0.1, (&x, &y));
    let expected = bound(Rbf::new([0.8, 1.7]).dynamic()).unwrap();
    let product = bound((Rbf::new(1.7).on([1]) * Rbf::new(0.8).on([0])).dynamic()).unwrap();
    assert_relative_eq!(product, expected, max_relative = 1e-11);
    let turned = bound(Rbf::new(1.0).linear_map(mat![[0.0, 1.0 / 1.7], [1.0 / 0.8, 0.0]]).dynamic()).unwrap();
    assert_relative_eq!(turned, expected, max_relative = 1e-11);
    for refused in [
        (Rbf::new(1.0).on([0]) * Rbf::new(1.0)).dynamic(),
        (Rbf::new(1.0) + 0.5).dynamic(),
        Rbf::new(1.0).on([0]).dynamic(),
        Rbf::new(1.0).on([0, 0]).dynamic(),
        (Rbf::new(1.0) * White::new(1.0) + Periodic::new(1.0, 2.0)).dynamic(),
    ] {
        let error = bound(refused.clone()).unwrap_err().to_string();
        assert!(error.contains("must have a spectral density"), "{refused}: {error}");
    }
}

#[test]
fn graph_features_take_what_composition_makes() {
    let graph = Laplacian::from_edges(5, &[(0, 1, 1.0), (1, 2, 0.4), (2, 3, 1.7), (3, 4, 0.9)]).unwrap();
    let features = GraphFeatures::new(&graph, 4).unwrap();
    let heat = || GraphHeat::new(graph.clone(), 0.7);
    let (x, y) = (mat![[0.0], [1.0], [3.0], [3.0], [4.0]], [0.1, 0.3, -0.2, 0.4, 0.0]);
    let elbo = |kernel: DynKernel| {
        Svgp::with_features(kernel, features.clone()).unwrap().objective(&Data::new(x.as_ref(), y)).unwrap().value
    };
    let expected = elbo((2.0 * heat()).dynamic());
    for kernel in [
        (2.0 * heat()).on([0]).dynamic(),
        (heat() * Constant::new(2.0)).dynamic(),
        (0.5 * heat() + 1.5 * heat().on([0])).dynamic(),
        (2.0 * heat().pow(1)).dynamic(),
    ] {
        assert_relative_eq!(elbo(kernel), expected, max_relative = 1e-13);
    }
    // k(x, x), and so the bound, has the noise.
    assert!(elbo((2.0 * heat() + White::new(0.1)).dynamic()) < expected);
}
