//! Eigenvectors of a graph as inducing features, against exact processes on its nodes.
#![allow(clippy::unwrap_used)]

use mercer::gp::{ExactGp, Svgp, Variational};
use mercer::inducing::GraphFeatures;
use mercer::kernels::Laplacian;
use mercer::likelihood::Gaussian;
use mercer::optim::NaturalGradient;
use mercer::prelude::*;

use crate::common::gradients::check_model;

/// Twelve nodes with a part of its own and eigenvalues that coincide.
fn graph() -> Laplacian {
    let mut edges: Vec<_> = (0..8).map(|i| (i, (i + 1) % 8, 1.0)).collect();
    edges.extend([(8, 9, 0.3), (9, 10, 1.2), (10, 11, 0.7), (0, 4, 0.5)]);
    Laplacian::from_edges(12, &edges).unwrap()
}

fn kernels() -> Vec<DynKernel> {
    let (heat, matern) = (GraphHeat::new(graph(), 1.2), GraphMatern::new(graph(), 1.7, 0.9));
    let parsed = (1.5 * heat.clone()).to_string().parse().unwrap();
    vec![heat.clone().dynamic(), (2.0 * matern.clone()).dynamic(), (0.4 * heat + 1.3 * matern).dynamic(), parsed]
}

fn data() -> (Mat<f64>, Vec<f64>) {
    let nodes = [0.0, 3.0, 3.0, 5.0, 7.0, 9.0, 11.0];
    (Mat::from_fn(7, 1, |row, _| nodes[row]), vec![0.3, -0.5, -0.2, 0.9, 0.1, 1.4, -0.7])
}

fn best(kernel: &DynKernel, features: usize) -> Svgp<DynKernel, GraphFeatures> {
    let (x, y) = data();
    let features = GraphFeatures::new(&graph(), features).unwrap();
    let mut model = Svgp::with_features(kernel.clone(), features).unwrap().with_likelihood(Gaussian::new(0.2));
    model.natural_step(&Data::new(x.as_ref(), &y).part_of(7), &NaturalGradient::default()).unwrap();
    model
}

#[test]
fn all_eigenvectors_give_the_exact_process() {
    let (x, y) = data();
    let all = Mat::from_fn(12, 1, |row, _| row as f64);
    for kernel in kernels() {
        let exact = ExactGp::new(kernel.clone()).with_noise(0.2).unwrap();
        let evidence = exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
        let model = best(&kernel, 12);
        let bound = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
        assert!((bound - evidence).abs() < 1e-12 * evidence.abs().max(1.0), "{bound} {evidence}");
        let (a, b) = (exact.condition(&Data::new(x.as_ref(), &y)).unwrap(), model.posterior().unwrap());
        let (mean, other) = (a.mean(all.as_ref()).unwrap(), b.mean(all.as_ref()).unwrap());
        assert!((mean - other).norm_max() < 1e-12);
        let (a, b) = (a.covariance(all.as_ref(), 0).unwrap(), b.covariance(all.as_ref(), 0).unwrap());
        assert!((&a - &b).norm_max() < 1e-12);
    }
}

#[test]
fn bounds_rise_to_the_evidence() {
    let (x, y) = data();
    for kernel in kernels() {
        let bounds: Vec<f64> = (1..=12)
            .map(|features| best(&kernel, features).objective(&Data::new(x.as_ref(), &y)).unwrap().value)
            .collect();
        assert!(bounds.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12), "{bounds:?}");
        let evidence = ExactGp::new(kernel).with_noise(0.2).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap();
        assert!(bounds[5] < evidence - 1e-6);
    }
}

#[test]
fn gradients_match_finite_differences() {
    let (x, y) = data();
    for kernel in kernels() {
        for q in [
            Variational::diagonal(&[0.3, -0.4, 0.8, 0.1], &[0.7, 0.5, 0.9, 1.1]).unwrap(),
            Variational::prior(4).unwrap(),
        ] {
            for q in [q.clone(), q.unwhitened()] {
                let features = GraphFeatures::new(&graph(), 4).unwrap();
                let model = Svgp::with_features(kernel.clone(), features).unwrap().with_variational(q).unwrap();
                let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(20)).unwrap();
                let value = |model: &Svgp<_, _>| model.objective(&Data::new(x.as_ref(), &y).part_of(20)).unwrap().value;
                check_model(&kernel, &model, &gradient, 1e-6, value);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let features = GraphFeatures::new(&graph(), 4).unwrap();
    let other = Laplacian::from_edges(12, &[(0, 1, 1.0)]).unwrap();
    for kernel in
        [Rbf::new(1.0).dynamic(), GraphHeat::new(other, 1.0).dynamic(), (kernels()[0].clone() + 0.5).dynamic()]
    {
        let error = Svgp::with_features(kernel, features.clone()).unwrap_err();
        assert!(error.to_string().contains("on the Laplacian of the features"), "{error}");
    }
    let model = Svgp::with_features(kernels()[0].clone(), features).unwrap();
    let error = model.objective(&Data::new(mat![[0.0], [12.0]].as_ref(), [0.0; 2])).unwrap_err().to_string();
    assert!(error.starts_with("x[1, 0] is 12"), "{error}");
    assert!(GraphFeatures::new(&graph(), 0).is_err() && GraphFeatures::new(&graph(), 13).is_err());
}
