//! Gradients.
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::kernel::{GradientRequest, gram_vjp};
use mercer::params::Constraint;
use mercer::prelude::*;
use serde_json::Value;

use super::{expression, fixture, flat, points, unmasked};
use crate::common::entries::by_rows;

/// The library's hyperparameters of an expression by their place in its tree, in the order of ours, and
/// whether they are stored as a logarithm.
fn leaves(spec: &Value, place: &str) -> Vec<String> {
    let below = |name: &str| leaves(&spec[name], &format!("{place}.{name}"));
    let own = |names: &[&str]| names.iter().map(|name| format!("{place}.{name}")).collect::<Vec<_>>();
    match spec["type"].as_str().unwrap() {
        "Sum" | "Product" => [below("left"), below("right")].concat(),
        "ARD" => [own(&["_length_scales"]), below("inner")].concat(),
        "Periodic" => own(&["_period", "_length_scale"]),
        "RationalQuadratic" => own(&["_length_scale", "_alpha"]),
        "WhiteNoise" => own(&["_noise"]),
        "Constant" => own(&["value"]),
        "Variance" => own(&["_variance"]),
        "Linear" => own(&["_slope_var"]),
        "Affine" => own(&["_slope_var", "offset"]),
        "Polynomial" => own(&["_gamma", "constant"]),
        "Sigmoid" => own(&["_alpha", "constant"]),
        _ => own(&["_length_scale"]),
    }
}

#[test]
fn gradients() {
    let fixture = fixture();
    for case in fixture["gradients"].as_array().unwrap() {
        let (id, spec) = (case["id"].as_str().unwrap(), &case["spec"]);
        let masked = id.starts_with("padded");
        let text = if masked { format!("masked({}, zero)", unmasked(spec)) } else { expression(spec) };
        let kernel: DynKernel = text.parse().unwrap();
        let input = |name: &str| points(&fixture["inputs"][case[name].as_str().unwrap()]);
        let (x, w) = (input("x"), input("weights"));
        let ours = gram_vjp(&kernel, x.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
        let mut theta = ours.theta.iter();
        for place in leaves(spec, "") {
            let found = |leaf: &&Value| leaf["path"].as_str() == Some(&place);
            let leaf = case["leaves"].as_array().unwrap().iter().find(found).unwrap_or_else(|| panic!("{id}: {place}"));
            // Underscored parameters are stored on an unconstrained scale.
            let constraint = match spec["parametrisation"].as_str() {
                _ if !place.contains("._") => Constraint::Real,
                Some("SoftPlus") => Constraint::Softplus,
                Some("Bounded(0.1,3)") => Constraint::Interval { lower: 0.1, upper: 3.0 },
                _ => Constraint::Positive,
            };
            let raw = flat(&leaf["raw"]);
            let theirs = ["grad_raw", "grad_raw_jit"]
                .map(|name| leaf.get(name).map_or_else(Vec::new, flat))
                .into_iter()
                .find(|gradient| !gradient.is_empty() && gradient.iter().all(|g| g.is_finite()));
            for (index, &raw) in raw.iter().enumerate() {
                let ours = *theta.next().unwrap();
                assert!(ours.is_finite(), "{id}: {place}");
                let slope = constraint.slope(constraint.constrain(raw));
                if let Some(theirs) = &theirs {
                    let theirs = theirs[index] / slope;
                    assert!(
                        (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-3),
                        "{id}: {place}: {ours:e}, {theirs:e}"
                    );
                }
            }
        }
        assert_eq!(theta.next(), None, "{id}");
        let ours = ours.x.unwrap();
        let Some(theirs) = case.get("grad_x").map(flat) else { continue };
        for (index, (&ours, &theirs)) in by_rows(ours.as_ref()).iter().zip(&theirs).enumerate() {
            assert!(ours.is_finite(), "{id}, x");
            // Where a point meets itself or another at the kink of a kernel, the library gives NaN; the mean of
            // both sides is what a central difference gives.
            if theirs.is_nan() {
                let loss = |step: f64| {
                    let mut moved = x.clone();
                    moved[(index / x.ncols(), index % x.ncols())] += step;
                    let gram: Mat<f64> = kernel.gram(moved.as_ref()).unwrap();
                    by_rows(gram.as_ref()).iter().zip(by_rows(w.as_ref())).map(|(k, w)| k * w).sum::<f64>()
                };
                let difference = (loss(1e-6) - loss(-1e-6)) / 2e-6;
                assert!((ours - difference).abs() <= 1e-8, "{id}, x[{index}]: {ours:e}, {difference:e}");
                continue;
            }
            assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-3), "{id}, x[{index}]: {ours:e}, {theirs:e}");
        }
    }
}
