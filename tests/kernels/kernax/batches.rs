//! Batches of kernels.
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::batch::{BatchMatrix, BatchPoints, Batched};
use mercer::prelude::*;
use serde_json::Value;

use super::{compare, expression, fixture, flat, points};
use crate::common::entries::by_rows;

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

    fn inputs(&self) -> BatchPoints<'_, f64> {
        match self {
            Self::One(points) => BatchPoints::Shared(points.as_ref()),
            Self::Each(parts) => BatchPoints::Each(parts.iter().map(Self::inputs).collect()),
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
            let evaluate = |x: BatchPoints<'_, f64>, z: Option<BatchPoints<'_, f64>>| -> BatchMatrix<f64> {
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
