//! Kernels, means, distances, densities and constraints.
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::combine::{Metric, Norm};
use mercer::mean::{ConstantMean, LinearMean, Mean, Zero};
use mercer::params::Constraint;
use mercer::prelude::*;
use serde_json::Value;

use super::{compare, expression, fixture, flat, points, skipped};
use crate::common::entries::by_rows;
use crate::common::stored::number;

#[test]
fn kernels() {
    let fixture = fixture();
    let inputs = &fixture["inputs"];
    let mut compared = 0;
    for case in fixture["cases"].as_array().unwrap() {
        let (id, group) = (case["id"].as_str().unwrap(), case["group"].as_str().unwrap());
        if ["batch", "mean", "multioutput"].contains(&group) || skipped(case).is_some() {
            continue;
        }
        let mut spec = case["spec"].clone();
        if let Some(engine) = case["engine"].as_str() {
            spec["engine"] = engine.into();
        }
        let text = expression(&spec);
        let kernel: DynKernel = text.parse().unwrap_or_else(|error| panic!("{id}: {error}"));
        for call in case["calls"].as_array().unwrap() {
            assert!(call.get("value").is_some(), "{id}");
            let sets: Vec<Mat<f64>> =
                call["args"].as_array().unwrap().iter().map(|name| points(&inputs[name.as_str().unwrap()])).collect();
            let ours: Mat<f64> = match &sets[..] {
                [x] => kernel.gram(x.as_ref()),
                // For us, rows of the identity stand in the matrix of one set with itself, not between two.
                [x, _] if id.starts_with("MaskedNaN") => kernel.gram(x.as_ref()),
                [x, y] => kernel.cross(x.as_ref(), y.as_ref()),
                _ => unreachable!(),
            }
            .unwrap_or_else(|error| panic!("{id}: {error}"));
            compare(
                &format!("{id} as {text} of {}", call["args"]),
                &by_rows(ours.as_ref()),
                &flat(&call["value"]),
                1e-12,
            );
            compared += 1;
        }
    }
    assert!(compared > 700, "{compared}");
}

#[test]
fn what_is_out_of_range_is_an_error() {
    let fixture = fixture();
    let x = points(&fixture["inputs"]["X1"]);
    let error = "on(rbf(0.7), [3])".parse::<DynKernel>().unwrap().gram(x.as_ref()).unwrap_err();
    assert!(error.to_string().contains("reads dimension 3"), "{error}");
}

/// Points with the index of an output in a last column: all points for each output, or one output each.
fn with_outputs(x: &Mat<f64>, outputs: Option<&Value>, count: usize) -> Mat<f64> {
    let (n, d) = (x.nrows(), x.ncols());
    let each: Option<Vec<f64>> = outputs.map(flat);
    let rows = if each.is_some() { n } else { n * count };
    Mat::from_fn(rows, d + 1, |row, col| match (&each, col == d) {
        (_, false) => x[(row % n, col)],
        (Some(each), true) => each[row],
        (None, true) => (row / n) as f64,
    })
}

#[test]
fn several_outputs() {
    let fixture = fixture();
    let inputs = &fixture["inputs"];
    let mut compared = 0;
    for case in fixture["cases"].as_array().unwrap() {
        if case["group"] != "multioutput" {
            continue;
        }
        let mut spec = case["spec"].clone();
        if spec["type"] == "ConvolutionPaper" {
            // The library's own conversion to variances and bandwidths.
            spec = serde_json::json!({ "type": "Convolution", "params": case["effective"] });
        }
        let text = expression(&spec);
        let kernel: DynKernel = text.parse().unwrap_or_else(|error| panic!("{}: {error}", case["id"]));
        for call in case["calls"].as_array().unwrap() {
            let set = |index: usize, ids: &str| {
                let name = call["args"].get(index)?.as_str()?;
                let outputs = call["kwargs"][ids].as_str().map(|name| &inputs[name]);
                Some(with_outputs(&points(&inputs[name]), outputs, 3))
            };
            let (x, z) = (set(0, "output_ids").unwrap(), set(1, "output_ids2"));
            let ours: Mat<f64> = match &z {
                None => kernel.gram(x.as_ref()).unwrap(),
                Some(z) => kernel.cross(x.as_ref(), z.as_ref()).unwrap(),
            };
            compare(&format!("{} as {text}", case["id"]), &by_rows(ours.as_ref()), &flat(&call["value"]), 1e-12);
            compared += 1;
        }
    }
    assert_eq!(compared, 16);
}

#[test]
fn means() {
    let fixture = fixture();
    for case in fixture["cases"].as_array().unwrap() {
        if case["group"] != "mean" {
            continue;
        }
        let (id, params) = (case["id"].as_str().unwrap(), &case["spec"]["params"]);
        for call in case["calls"].as_array().unwrap() {
            let x = points(&fixture["inputs"][call["args"][0].as_str().unwrap()]);
            let evaluate = |mean: &dyn Mean<f64>| {
                let mut out = vec![0.0; x.nrows()];
                mean.mean_into(x.as_ref(), &mut out);
                out
            };
            let ours = match id {
                "ZeroMean" => evaluate(&Zero),
                "LinearMean scalar slope" => evaluate(&LinearMean::new([number(&params["slope"]); 3])),
                "AffineMean" => evaluate(
                    &(LinearMean::new(flat(&params["slope"])) + ConstantMean::new(number(&params["intercept"]))),
                ),
                // Means of several outputs are lists of means there, which models of several outputs will need.
                "BlockMean(Affine)" => continue,
                other => panic!("{other}"),
            };
            compare(id, &ours, &flat(&call["value"]), 1e-12);
        }
    }
}

/// Not compared: `Variance` and `ActiveDims`, which have no density on all frequencies (the library gives the
/// variance, and the density in the active dimensions alone).
#[test]
fn spectral_densities() {
    let fixture = fixture();
    let mut compared = 0;
    for case in fixture["spectral"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let kernel: DynKernel = expression(&case["spec"]).parse().unwrap();
        let frequencies = &fixture["inputs"]["omega"];
        let ours: Option<Vec<f64>> = frequencies
            .as_array()
            .unwrap()
            .iter()
            .map(|omega| mercer::views::spectral_density(&kernel, &flat(omega)))
            .collect();
        match ours {
            Some(ours) => compare(id, &ours, &flat(&case["value"]), 1e-12),
            None => assert!(id == "Variance" || id.starts_with("ActiveDims"), "{id}"),
        }
        compared += 1;
    }
    assert_eq!(compared, 5);
}

/// The distances that kernels of ours are built on. The others of the fixture (cosine, Hamming, Jaccard,
/// Canberra, Bray–Curtis, correlation, Mahalanobis, …) are a `Metric` of the user's, or no metric.
#[test]
fn distances() {
    let fixture = fixture();
    let (x, y) = (flat(&fixture["inputs"]["x1"]), flat(&fixture["inputs"]["x2"]));
    for (name, norm) in [
        ("euclidean_distance", Norm::Euclidean),
        ("manhattan_distance", Norm::Manhattan),
        ("chebyshev_distance", Norm::Chebyshev),
        ("minkowski_distance(p=3)", Norm::minkowski(3.0).unwrap()),
    ] {
        compare(name, &[norm.distance(&x, &y)], &[number(&fixture["distances"]["values"][name])], 1e-12);
    }
}

#[test]
fn constraints() {
    for case in fixture()["parametrisations"].as_array().unwrap() {
        let constraint = match case["type"].as_str().unwrap() {
            "Identity" | "NonTrainable" => Constraint::Real,
            "LogExp" => Constraint::Positive,
            "SoftPlus" => Constraint::Softplus,
            "Bounded" => Constraint::Interval { lower: 0.5, upper: 3.0 },
            other => panic!("{other}"),
        };
        let pairs = |from: &str, to: &str| flat(&case[from]).into_iter().zip(flat(&case[to])).collect::<Vec<_>>();
        for (value, stored) in pairs("wrap_in", "wrap_out") {
            let ours = constraint.unconstrain(value);
            // Their softplus overflows; near its bound, the interval has lost digits of what is stored.
            if stored.is_finite() {
                let tolerance =
                    1e-12 * stored.abs().max(1.0) + 4.0 * f64::EPSILON * value.abs() / constraint.slope(value);
                assert!((ours - stored).abs() <= tolerance, "{constraint:?}: {ours:e} and {stored:e}");
            }
        }
        for (stored, value) in pairs("unwrap_in", "unwrap_out") {
            let ours = constraint.constrain(stored);
            assert!(constraint.admits(ours), "{constraint:?}");
            // Theirs leave the set at the far ends, where ours stop inside.
            if constraint.admits(value) && stored.abs() < 100.0 {
                assert!((ours - value).abs() <= 1e-12 * value.abs(), "{constraint:?}: {ours:e} and {value:e}");
            }
        }
    }
}
