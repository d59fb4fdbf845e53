//! Where rows are in the latent space.
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::gp::BayesianGplvm;
use mercer::gp::gplvm::{BackConstraint, principal_latents};
use mercer::optim::Lbfgs;
use mercer::prelude::*;

#[test]
fn equal_outputs_have_equal_latents() {
    let y = mat![[0.0, 1.0], [1.0, 0.0], [3.0, 1.0], [1.0, 0.0]];
    let through = |last: f64| {
        let x = mat![[-1.0], [0.2], [1.0], [last]];
        BackConstraint::through(Rbf::new(1.0), y.as_ref(), x.as_ref()).map(|map| (map, x))
    };
    let (map, x) = through(0.2).unwrap();
    assert!((map.map(y.as_ref(), y.as_ref()).unwrap() - x).norm_max() < 1e-13);
    assert!(map.jitter() > 0.0 && map.jitter() < 1e-13, "{}", map.jitter());
    let error = through(0.3).unwrap_err().to_string();
    assert!(error.contains("rows 1 and 3"), "{error}");

    // Rows that are nearly equal are no obstacle to latents that are too.
    let y = Mat::from_fn(60, 3, |i, d| (0.05 * i as f64 + d as f64).sin());
    let x = principal_latents(y.as_ref(), 2).unwrap();
    let map = BackConstraint::through(Rbf::new(2.0), y.as_ref(), x.as_ref()).unwrap();
    assert!(map.jitter() > 0.0);
    assert!((map.map(y.as_ref(), y.as_ref()).unwrap() - &x).norm_max() < f64::EPSILON.sqrt() * x.norm_max());
}

#[test]
fn new_rows_find_their_place() {
    let curve = |t: f64| [t.sin(), t.cos(), (0.5 * t).sin()];
    let y = Mat::from_fn(25, 3, |i, d| curve(0.1 * i as f64)[d] + 0.01 * ((7 * i + 3 * d) as f64).cos());
    let x = principal_latents(y.as_ref(), 1).unwrap();
    let z = Mat::from_fn(8, 1, |j, _| x[(3 * j, 0)]);
    let mut model =
        BayesianGplvm::new(1.0 * Rbf::new(1.0), x.as_ref(), Mat::full(25, 1, 0.1).as_ref(), z.as_ref()).unwrap();
    model = model.with_noise(0.01).unwrap();
    model.fit(&y, &Lbfgs { max_steps: 60, ..Lbfgs::default() }).unwrap();
    let posterior = model.condition(&y).unwrap();
    let new = Mat::from_fn(2, 3, |i, d| curve(0.75 + 0.8 * i as f64)[d]);
    let found = posterior.infer(new.as_ref(), &Lbfgs::default()).unwrap();
    let latents = model.latents(y.as_ref()).unwrap().mean;
    for (i, (before, after)) in [(7, 8), (15, 16)].into_iter().enumerate() {
        let (a, b, at) = (latents[(before, 0)], latents[(after, 0)], found.latents.mean[(i, 0)]);
        assert!((at - a) * (b - at) > 0.0, "{at} is not between {a} and {b}");
    }
    let again = posterior.predict_uncertain(found.latents.mean.as_ref(), found.latents.variance.as_ref()).unwrap();
    assert!((again.mean - &new).norm_max() < 0.05);
    let odd = posterior.infer(mat![[2.0, 2.0, -2.0]].as_ref(), &Lbfgs::default()).unwrap();
    assert!(odd.bound[0] < found.bound[0] - 10.0);
}
