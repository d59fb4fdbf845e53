//! Every kernel value and gradient of `tests/data/kernax.json`, an independent library's, against ours.
//!
//! [`expression`] is the table of its conventions; [`skipped`] lists what is not compared, and why.
#![allow(clippy::unwrap_used, clippy::panic)]

mod batches;
mod gradients;
mod values;

use mercer::prelude::*;
use serde_json::Value;

use crate::common::stored::{matrix, number, read};

fn fixture() -> Value {
    read("kernax.json")
}

/// All numbers, in the order in which they are written.
fn flat(value: &Value) -> Vec<f64> {
    match value.as_array() {
        Some(items) => items.iter().flat_map(flat).collect(),
        None => vec![number(value)],
    }
}

/// A number, a point or a set of points as a set of points.
fn points(value: &Value) -> Mat<f64> {
    match value.as_array() {
        Some(items) if items.first().is_some_and(Value::is_array) => matrix(value),
        _ => {
            let point = flat(value);
            Mat::from_fn(1, point.len(), |_, col| point[col])
        }
    }
}

/// A number, or numbers in brackets.
fn written(value: &Value) -> String {
    match value.as_array() {
        None => format!("{:e}", number(value)),
        Some(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
    }
}

/// Their expression as ours.
///
/// | theirs | ours |
/// |---|---|
/// | `SE(length_scale)` | `rbf(lengthscale)` |
/// | `Matern12`, `Matern32`, `Matern52` | `matern12`, `matern32`, `matern52` |
/// | `Periodic` of the Euclidean distance | `radial_periodic` |
/// | `RationalQuadratic(length_scale, alpha)` | `rational_quadratic(lengthscale, alpha)` |
/// | `WhiteNoise`, by equality of values | `white_by_value`, `masked(…, zero)`
/// | `Constant`, `Variance` | `constant` |
/// | `Linear(slope_var)` | `linear(variance)` |
/// | `Affine(slope_var, offset)`: v (x − c)ᵀ(y − c) | `affine(variance, offset)` |
/// | `Polynomial(degree, gamma, constant)` | `polynomial(degree, scale, offset)` |
/// | `Sigmoid(alpha, constant)`: tanh(α xᵀy + c) | `tanh(scale, offset)` |
/// | `ActiveDims`, `ARD` | `on`, `ard` |
/// | `SE` of a distance d in the place of r² | `metric_radial(matern12(2 ℓ²), d)` |
/// | engine `NaNDense` | `masked(…, propagate)`, of a sum with a kernel that reads all dimensions |
/// | engine `MaskedNaN` | `masked(…, isolate)` |
/// | `ICM` | a kernel of the inputs times `coregionalization` of the output, which is the last column |
/// | `Convolution(variance, bandwidth)` | `gp_convolution(√variance, √(2 bandwidth))` |
/// | `BlockDiag` | `block_diagonal` |
fn expression(spec: &Value) -> String {
    let plain = unmasked(spec);
    match spec["engine"].as_str() {
        None | Some("Dense") => plain,
        Some("NaNDense") => format!("masked({plain} + 0 * linear(1), propagate)"),
        Some("MaskedNaN") => format!("masked({plain}, isolate)"),
        Some(other) => panic!("{other}"),
    }
}

fn unmasked(spec: &Value) -> String {
    let of = |name: &str| written(&spec["params"][name]);
    let inner = || expression(&spec["inner"]);
    let both = || (expression(&spec["left"]), expression(&spec["right"]));
    if let Some(distance) = spec["distance_function"].as_str() {
        // The distance stands in the place of r²: exp(−d/2ℓ²).
        let lengthscale = number(&spec["params"]["length_scale"]);
        let metric = distance.trim_end_matches("_distance");
        return format!("metric_radial(matern12({:e}), {metric})", 2.0 * lengthscale * lengthscale);
    }
    match spec["type"].as_str().unwrap() {
        "SE" => format!("rbf({})", of("length_scale")),
        name @ ("Matern12" | "Matern32" | "Matern52") => format!("{}({})", name.to_lowercase(), of("length_scale")),
        "Periodic" => format!("radial_periodic({}, {})", of("length_scale"), of("period")),
        "RationalQuadratic" => format!("rational_quadratic({}, {})", of("length_scale"), of("alpha")),
        // Between NaNs nothing is equal.
        "WhiteNoise" => format!("masked(white_by_value({}), zero)", of("noise")),
        "Constant" => format!("constant({})", of("value")),
        "Variance" => format!("constant({})", of("variance")),
        "Linear" => format!("linear({})", of("slope_var")),
        "Affine" => format!("affine({}, {})", of("slope_var"), of("offset")),
        "Polynomial" => format!("polynomial({}, {}, {})", of("degree"), of("gamma"), of("constant")),
        "Sigmoid" => format!("tanh({}, {})", of("alpha"), of("constant")),
        "Sum" => format!("({}) + ({})", both().0, both().1),
        "Product" => format!("({}) * ({})", both().0, both().1),
        "Neg" => format!("-({})", inner()),
        "Exp" => format!("exp({})", inner()),
        "Log" => format!("log({})", inner()),
        "ActiveDims" => format!("on({}, {})", inner(), of("active_dims")),
        "ARD" => format!("ard({}, {})", inner(), of("length_scales")),
        "ICM" => {
            let outputs = format!("coregionalization({}, {})", of("W"), of("kappa"));
            format!("on({}, [0, 1, 2]) * on({outputs}, [3])", inner())
        }
        "Convolution" => {
            let amplitudes: Vec<f64> = flat(&spec["params"]["variance"]).iter().map(|v| v.sqrt()).collect();
            let rows = spec["params"]["bandwidth"].as_array().unwrap().iter();
            let lengthscales: Vec<Vec<f64>> =
                rows.map(|row| flat(row).iter().map(|width| (2.0 * width).sqrt()).collect()).collect();
            format!("gp_convolution({amplitudes:?}, {lengthscales:?})")
        }
        "BlockDiag" => {
            format!("block_diagonal({})", vec![inner(); spec["n_outputs"].as_u64().unwrap() as usize].join(", "))
        }
        other => panic!("{other}"),
    }
}

/// What is not compared, and why.
fn skipped(case: &Value) -> Option<&'static str> {
    let id = case["id"].as_str().unwrap();
    match id {
        "InputSpecific7(WhiteNoise)" => {
            Some("not symmetric between equal points, and defined on one set of seven points only")
        }
        "ActiveDims[3](SE) out of bounds by one" => Some("the library reads another dimension; ours is an error"),
        _ => None,
    }
}

fn compare(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    // What is left after cancellation has the rounding errors of what it is left from.
    let largest =
        theirs.iter().filter(|value| value.is_finite()).fold(0.0f64, |largest, value| largest.max(value.abs()));
    let rounding = 4.0 * f64::EPSILON * largest;
    for (index, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
        let same = ours == theirs || (ours.is_nan() && theirs.is_nan());
        let close = (ours - theirs).abs() <= tolerance * theirs.abs() + rounding;
        assert!(same || close, "{what}, entry {index}: {ours:e}, but {theirs:e} in the fixture");
    }
}
