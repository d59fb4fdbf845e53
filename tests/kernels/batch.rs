//! Batches against their members, one by one.

#![allow(clippy::unwrap_used)]

use mercer::batch::{BatchMatrix, Batched, InputGradients};
use mercer::combine::Missing;
use mercer::kernel::{GradientRequest, cross_vjp, gram_vjp};
use mercer::prelude::*;
use mercer::testkit::points;

type Expression = Sum<(Scaled<Periodic>, Warped<Select, Linear>)>;

/// Three members: lengthscales of their own, all else shared.
fn batch() -> Batched<Expression> {
    let kernel = 2.0 * Periodic::new([0.8, 1.1], 2.3) + Linear::new(0.5).on([1]);
    let values = [0.5, 0.7, 0.9, 1.1, 1.3, 1.5];
    kernel.batched(3).unwrap().per_batch("sum[0].scaled.periodic.lengthscale", &values).unwrap()
}

fn sets(n: usize, first_seed: u64) -> Vec<Mat<f64>> {
    (0..3).map(|b| points::<f64>(n, 2, first_seed + b)).collect()
}

fn refs(sets: &[Mat<f64>]) -> Vec<MatRef<'_, f64>> {
    sets.iter().map(Mat::as_ref).collect()
}

fn weights(sizes: &[usize], n: usize, m: usize) -> BatchMatrix<f64> {
    let mut weights = BatchMatrix::zeros(sizes, n, m);
    for b in 0..sizes[0] {
        let mut matrix = weights.get_mut(&[b]).unwrap();
        for j in 0..m {
            (0..n).for_each(|i| matrix[(i, j)] = (0.3 * i as f64 + 1.7 * j as f64 + b as f64).sin());
        }
    }
    weights
}

#[test]
fn values_are_those_of_the_members() {
    let batch = batch();
    let (shared, each, z) = (points::<f64>(40, 2, 9), sets(40, 1), sets(17, 5));
    let gram = batch.gram(shared.as_ref()).unwrap();
    let grams = batch.gram(refs(&each)).unwrap();
    let cross = batch.cross(shared.as_ref(), refs(&z)).unwrap();
    let other = batch.cross(refs(&each), z[0].as_ref()).unwrap();
    assert_eq!((gram.shape(), cross.shape()), (vec![3, 40, 40], vec![3, 40, 17]));
    for (b, member) in batch.members().iter().enumerate() {
        assert_eq!(gram.get(&[b]).unwrap(), member.gram(shared.as_ref()).unwrap());
        assert_eq!(grams.get(&[b]).unwrap(), member.gram(each[b].as_ref()).unwrap());
        assert_eq!(cross.get(&[b]).unwrap(), member.cross(shared.as_ref(), z[b].as_ref()).unwrap());
        assert_eq!(other.get(&[b]).unwrap(), member.cross(each[b].as_ref(), z[0].as_ref()).unwrap());
    }
}

#[test]
fn parameters_are_shared_or_their_own() {
    let mut batch = batch();
    let paths: Vec<String> = batch.parameters().into_iter().map(|entry| entry.path).collect();
    assert_eq!(
        paths,
        [
            "batch.sum[0].scaled.factor",
            "batch.sum[0].scaled.periodic.period",
            "batch.sum[1].on.linear.variance",
            "batch[0].sum[0].scaled.periodic.lengthscale[0]",
            "batch[0].sum[0].scaled.periodic.lengthscale[1]",
            "batch[1].sum[0].scaled.periodic.lengthscale[0]",
            "batch[1].sum[0].scaled.periodic.lengthscale[1]",
            "batch[2].sum[0].scaled.periodic.lengthscale[0]",
            "batch[2].sum[0].scaled.periodic.lengthscale[1]",
        ]
    );
    let unconstrained: Vec<f64> = batch.unconstrained().iter().map(|u| u + 0.1).collect();
    batch.set_unconstrained(&unconstrained).unwrap();
    let factor = ParameterizedExt::get(&batch, "batch.sum[0].scaled.factor").unwrap();
    assert!((factor - 2.0 * 0.1f64.exp()).abs() < 1e-15);
    for b in 0..3 {
        let member = batch.get(b).unwrap();
        assert_eq!(member.get("sum[0].scaled.factor").unwrap(), factor);
    }
    let last = ParameterizedExt::get(&batch, "batch[2].sum[0].scaled.periodic.lengthscale[1]").unwrap();
    assert!((last - 1.5 * 0.1f64.exp()).abs() < 1e-15);
}

#[test]
fn gradients_are_those_of_the_members() {
    let batch = batch();
    let (x, z) = (sets(21, 1), points::<f64>(11, 2, 7));
    let w = weights(&[3], 21, 11);
    let all = batch.cross_vjp(refs(&x), z.as_ref(), &w, GradientRequest::ALL).unwrap();
    let mut in_z = Mat::<f64>::zeros(11, 2);
    let mut shared = [0.0; 3];
    let mut own = Vec::new();
    for (b, member) in batch.members().iter().enumerate() {
        let part =
            cross_vjp(member, x[b].as_ref(), z.as_ref(), w.get(&[b]).unwrap(), GradientRequest::ALL, Par::Seq).unwrap();
        // The order of a member: factor, two lengthscales, period, variance.
        [0, 3, 4].iter().zip(&mut shared).for_each(|(&at, sum)| *sum += part.theta[at]);
        own.extend_from_slice(&part.theta[1..3]);
        in_z += part.z.unwrap();
        assert_eq!(all.x.as_ref().unwrap().each()[b], InputGradients::Shared(part.x.unwrap()));
    }
    assert_eq!(all.theta, shared.into_iter().chain(own).collect::<Vec<_>>());
    assert_eq!(all.z, Some(InputGradients::Shared(in_z)));

    let w = weights(&[3], 21, 21);
    let gram = batch.gram_vjp(x[0].as_ref(), &w, GradientRequest::ALL).unwrap();
    let mut in_x = Mat::<f64>::zeros(21, 2);
    for (b, member) in batch.members().iter().enumerate() {
        in_x +=
            gram_vjp(member, x[0].as_ref(), w.get(&[b]).unwrap(), GradientRequest::ALL, Par::Seq).unwrap().x.unwrap();
    }
    assert_eq!(gram.x.unwrap(), InputGradients::Shared(in_x));
}

#[test]
fn batches_nest() {
    let inner = Rbf::new(1.0).batched(3).unwrap().per_batch("rbf.lengthscale", &[0.5, 1.1, 2.4]).unwrap();
    // The outer members share the first lengthscale, and have others of their own.
    let mut outer = inner.batched(2).unwrap();
    outer = outer.per_batch("batch[1].rbf.lengthscale", &[0.3, 0.9]).unwrap();
    assert_eq!(outer.num_params(), 2 + 2);
    let x = points::<f64>(9, 1, 1);
    let grams = outer.gram(x.as_ref()).unwrap();
    assert_eq!(grams.shape(), [2, 3, 9, 9]);
    assert_eq!(grams.get(&[1, 1]).unwrap(), Rbf::new(0.9).gram(x.as_ref()).unwrap());
    assert_eq!(grams.get(&[0, 2]).unwrap(), Rbf::new(2.4).gram(x.as_ref()).unwrap());

    // Points for each outer member, shared by its inner ones.
    let each = sets(9, 4);
    let cross = outer.cross(refs(&each[..2]), vec![refs(&each), refs(&each)]).unwrap();
    assert_eq!(cross.shape(), [2, 3, 9, 9]);
    let expected: Mat<f64> = Rbf::new(0.9).cross(each[1].as_ref(), each[1].as_ref()).unwrap();
    assert_eq!(cross.get(&[1, 1]).unwrap(), expected);

    let mut w = BatchMatrix::zeros(&[2, 3], 9, 9);
    w.get_mut(&[1, 2]).unwrap()[(3, 4)] = 1.0;
    let gradients = outer.gram_vjp(x.as_ref(), &w, GradientRequest::PARAMETERS).unwrap();
    let single = Rbf::new(2.4).gram_vjp(x.as_ref(), w.get(&[1, 2]).unwrap(), GradientRequest::PARAMETERS).unwrap();
    assert_eq!(gradients.theta, [0.0, single.theta[0], 0.0, 0.0]);
    let read: Batched<Batched<DynKernel>> = outer.to_string().parse().unwrap();
    assert_eq!(read.to_string(), outer.to_string());
}

#[test]
fn padded_sets_of_different_lengths() {
    let batch = (Rbf::new(0.8) + White::new(0.1)).masked(Missing::Isolate).batched(2).unwrap();
    let (mut long, mut short) = (points::<f64>(6, 1, 1), points::<f64>(6, 1, 2));
    long[(5, 0)] = f64::NAN;
    (3..6).for_each(|row| short[(row, 0)] = f64::NAN);
    let grams = batch.gram(vec![long.as_ref(), short.as_ref()]).unwrap();
    let few: Mat<f64> = (Rbf::new(0.8) + White::new(0.1)).gram(short.as_ref().subrows(0, 3)).unwrap();
    assert_eq!(grams.get(&[1]).unwrap().submatrix(0, 0, 3, 3), few);
    assert_eq!(grams.get(&[1]).unwrap()[(4, 4)], 1.0);
    assert_eq!(grams.get(&[0]).unwrap()[(5, 1)], 0.0);
}

#[test]
fn what_does_not_fit_is_named() {
    let batch = Rbf::new(1.0).batched(3).unwrap();
    let (a, b) = (points::<f64>(4, 1, 1), points::<f64>(5, 1, 1));
    let told = |error: Error| error.to_string();
    let error = told(batch.gram(vec![a.as_ref(), a.as_ref()]).unwrap_err());
    assert!(error.contains("one for each of 3"), "{error}");
    let error = told(batch.gram(vec![a.as_ref(), a.as_ref(), b.as_ref()]).unwrap_err());
    assert!(error.contains("x of member 2") && error.contains("pad with NaN"), "{error}");
    let error = told(batch.gram(vec![vec![a.as_ref()]; 3]).unwrap_err());
    assert!(error.contains("no further level"), "{error}");
    let error = told(batch.clone().per_batch("rbf.lengthscale", &[1.0, 2.0]).unwrap_err());
    assert!(error.contains("3 value(s): 1 for each of 3 members"), "{error}");
    let error = told(batch.clone().per_batch("rbf.lenghtscale", &[1.0; 3]).unwrap_err());
    assert!(error.contains("did you mean `rbf.lengthscale`"), "{error}");
    let error = told(batch.clone().per_batch("rbf.lengthscale", &[1.0, -1.0, 1.0]).unwrap_err());
    assert!(error.contains("positive"), "{error}");
    assert!(Rbf::new(1.0).batched(0).is_err());
    let error = told(batch.gram_vjp(a.as_ref(), &BatchMatrix::zeros(&[2], 4, 4), GradientRequest::ALL).unwrap_err());
    assert!(error.contains("[3, 4, 4]"), "{error}");
    let error = told("batched([rbf(1), matern32(1)])".parse::<Batched<DynKernel>>().unwrap_err());
    assert!(error.contains("structure"), "{error}");
}
