//! Every kernel value and gradient of `tests/data/kernax.json`, an independent library's, against ours.
//!
//! [`expression`] is the table of its conventions; [`skipped`] lists what is not compared, and why.

#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::batch::{BatchMatrix, Batched, Inputs};
use mercer::combine::{Metric, Norm};
use mercer::kernel::{Wanted, gram_vjp};
use mercer::mean::{ConstantMean, LinearMean, Mean, Zero};
use mercer::params::Constraint;
use mercer::prelude::*;
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../data/kernax.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    match value.as_str() {
        None => value.as_f64().unwrap(),
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some(other) => panic!("{other}"),
    }
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
    let is_list = |value: &Value| value.is_array();
    let rows: Vec<Vec<f64>> = match value.as_array() {
        Some(items) if items.first().is_some_and(is_list) => items.iter().map(flat).collect(),
        _ => vec![flat(value)],
    };
    Mat::from_fn(rows.len(), rows[0].len(), |row, col| rows[row][col])
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

fn by_rows(matrix: MatRef<'_, f64>) -> Vec<f64> {
    matrix.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect()
}

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

/// The inner expression of one member: the hyperparameters that are batched, at an index.
fn member(spec: &Value, axes: &Value, index: usize) -> Value {
    let mut spec = spec.clone();
    if let Some(params) = spec["params"].as_object_mut() {
        for (name, value) in params {
            let batched = match axes {
                Value::Null => false,
                Value::Object(axes) => axes.get(name).is_some_and(|axis| !axis.is_null()),
                _ => value.is_array(),
            };
            if batched {
                *value = value[index].clone();
            }
        }
    }
    if spec["inner"].is_object() {
        spec["inner"] = member(&spec["inner"], axes, index);
    }
    spec
}

/// The kernels of a batch, in order, and its sizes.
fn members(spec: &Value) -> (Vec<DynKernel>, Vec<usize>) {
    if spec["type"] == "Sum" {
        let ((left, sizes), (right, _)) = (members(&spec["left"]), members(&spec["right"]));
        return (left.into_iter().zip(right).map(|(left, right)| left + right).collect(), sizes);
    }
    if spec["type"] != "Batch" {
        return (vec![expression(spec).parse().unwrap()], Vec::new());
    }
    let size = spec["batch_size"].as_u64().unwrap() as usize;
    let of_members: Vec<_> =
        (0..size).map(|index| members(&member(&spec["inner"], &spec["batch_in_axes"], index))).collect();
    let sizes = [size].into_iter().chain(of_members[0].1.iter().copied()).collect();
    (of_members.into_iter().flat_map(|(kernels, _)| kernels).collect(), sizes)
}

/// Owned sets of points, arranged as a batch takes them.
enum Sets {
    One(Mat<f64>),
    Each(Vec<Sets>),
}

impl Sets {
    fn read(value: &Value, levels: usize) -> Self {
        match levels {
            0 => Self::One(points(value)),
            _ => Self::Each(value.as_array().unwrap().iter().map(|part| Self::read(part, levels - 1)).collect()),
        }
    }

    fn inputs(&self) -> Inputs<'_, f64> {
        match self {
            Self::One(points) => Inputs::Shared(points.as_ref()),
            Self::Each(parts) => Inputs::Each(parts.iter().map(Self::inputs).collect()),
        }
    }
}

#[test]
fn batches() {
    let fixture = fixture();
    let mut compared = 0;
    for case in fixture["cases"].as_array().unwrap() {
        if case["group"] != "batch" {
            continue;
        }
        let (id, spec) = (case["id"].as_str().unwrap(), &case["spec"]);
        let (kernels, sizes) = members(spec);
        let over_inputs = spec["batch_over_inputs"].as_bool().or(spec["left"]["batch_over_inputs"].as_bool()).unwrap();
        for call in case["calls"].as_array().unwrap() {
            // What the library refuses are mistakes of its mask.
            let Some(value) = call.get("value") else {
                assert!(id.contains("MaskedNaN"));
                continue;
            };
            let sets: Vec<Sets> = call["args"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| {
                    Sets::read(&fixture["inputs"][name.as_str().unwrap()], if over_inputs { sizes.len() } else { 0 })
                })
                .collect();
            let evaluate = |x: Inputs<'_, f64>, z: Option<Inputs<'_, f64>>| -> BatchMatrix<f64> {
                if let [outer, inner] = sizes[..] {
                    let inner: Vec<_> =
                        kernels.chunks(inner).map(|part| Batched::of(part.to_vec(), &[]).unwrap()).collect();
                    assert_eq!(inner.len(), outer);
                    let batch = Batched::of(inner, &[]).unwrap();
                    return if let Some(z) = z { batch.cross(x, z) } else { batch.gram(x) }.unwrap();
                }
                let batch = Batched::of(kernels.clone(), &[]).unwrap();
                if let Some(z) = z { batch.cross(x, z) } else { batch.gram(x) }.unwrap()
            };
            let ours = evaluate(sets[0].inputs(), sets.get(1).map(Sets::inputs));
            let mut entries: Vec<f64> = ours.iter().flat_map(by_rows).collect();
            if spec["batch_out_axes"] == -1 {
                let (members, size) = (sizes[0], entries.len() / sizes[0]);
                entries = (0..size)
                    .flat_map(|at| (0..members).map(move |b| (b, at)))
                    .map(|(b, at)| entries[b * size + at])
                    .collect();
            }
            compare(&format!("{id} of {}", call["args"]), &entries, &flat(value), 1e-12);
            compared += 1;
        }
    }
    assert!(compared > 90, "{compared}");
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
        let ours = gram_vjp(&kernel, x.as_ref(), w.as_ref(), Wanted::ALL, Par::Seq).unwrap();
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
