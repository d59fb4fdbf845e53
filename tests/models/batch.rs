//! Independent processes for several outputs, against one `ExactGp` for each.
#![allow(clippy::unwrap_used)]

use mercer::batch::Batched;
use mercer::data::column;
use mercer::gp::{BatchGp, ExactGp, LeaveOneOut, Separate};
use mercer::mean::{ConstantMean, DynMean, LinearMean};
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::close::assert_close;
use crate::common::data::{apart, observed, single};
use crate::common::gradients::check_model;

const MISSING: f64 = f64::NAN;

fn outputs(x: &Mat<f64>) -> Mat<f64> {
    let columns = [0, 1, 2].map(|output| observed(x, output));
    Mat::from_fn(x.nrows(), 3, |row, col| columns[col][row])
}

fn with_gaps(mut y: Mat<f64>) -> Mat<f64> {
    for (row, col) in [(3, 1), (7, 1), (0, 2), (19, 2)] {
        y[(row, col)] = MISSING;
    }
    y
}

/// Everything shared; everything for each output; some of both.
fn models() -> [BatchGp<DynKernel>; 3] {
    let kernel = || (1.5 * Matern32::new([1.2, 2.0]) + 0.3 * Linear::new(0.5)).dynamic().batched(3).unwrap();
    let lengthscales = [1.2, 2.0, 0.7, 1.1, 3.0, 0.5];
    let apart = kernel()
        .per_batch("sum[0].scaled.matern32", &lengthscales)
        .unwrap()
        .per_batch("sum[0].scaled.factor", &[1.5, 0.8, 2.0])
        .unwrap()
        .per_batch("sum[1]", &[0.3, 0.5, 0.4, 0.6, 0.5, 0.7])
        .unwrap();
    let some = kernel().per_batch("sum[0].scaled.matern32", &lengthscales).unwrap();
    let mean = DynMean::new(LinearMean::new([0.1, -0.2]).with_intercept(0.5));
    let means = Batched::new(mean, 3).unwrap().per_batch("linear.intercept", &[0.5, -0.3, 0.1]).unwrap();
    [
        BatchGp::new(kernel()).with_noise(0.2).unwrap().with_mean(ConstantMean::new(0.4)),
        BatchGp::new(apart).with_noises(&[0.2, 0.3, 0.1]).unwrap().with_means(means.clone()).unwrap(),
        BatchGp::new(some).with_noise(0.2).unwrap().with_means(means).unwrap(),
    ]
}

/// The model of one output by itself.
fn alone(model: &BatchGp<DynKernel>, output: usize) -> ExactGp<DynKernel> {
    let noise = model.likelihood().members()[output].variance();
    let exact = ExactGp::new(model.kernel().members()[output].clone()).with_noise(noise).unwrap();
    if let Ok(value) = ParameterizedExt::get(model, "mean.batch.constant.value") {
        return exact.with_mean(ConstantMean::new(value));
    }
    let at = |path: &str| ParameterizedExt::get(model, path).unwrap();
    let weights = [at("mean.batch.linear.weights[0]"), at("mean.batch.linear.weights[1]")];
    let intercept = at(&format!("mean.batch[{output}].linear.intercept"));
    exact.with_mean(LinearMean::new(weights).with_intercept(intercept))
}

/// The rows that are seen of one output.
fn seen(x: &Mat<f64>, y: &Mat<f64>, output: usize) -> (Mat<f64>, Vec<f64>) {
    let rows: Vec<usize> = (0..y.nrows()).filter(|&row| !y[(row, output)].is_nan()).collect();
    let values = rows.iter().map(|&row| y[(row, output)]).collect();
    (mercer::data::rows(x.as_ref(), &rows).unwrap(), values)
}

#[test]
fn the_evidence_is_that_of_separate_processes() {
    let x = apart(20);
    for y in [outputs(&x), with_gaps(outputs(&x))] {
        for model in models() {
            let each = model.objectives(&Data::new(x.as_ref(), y.as_ref())).unwrap();
            for (output, &found) in each.iter().enumerate() {
                let (x, y) = seen(&x, &y, output);
                assert_close(found, alone(&model, output).objective(&Data::new(x.as_ref(), &y)).unwrap(), 1e-13);
            }
            let total = model.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap();
            assert_close(total, each.iter().sum(), 1e-15);
        }
    }
}

/// By path: what is shared has the sum of the gradients of the separate processes.
#[test]
fn gradients_are_those_of_separate_processes() {
    let x = apart(20);
    for y in [outputs(&x), with_gaps(outputs(&x))] {
        for model in models() {
            let (total, gradient) = model.gradient(&Data::new(x.as_ref(), y.as_ref())).unwrap();
            assert_close(total, model.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap(), 1e-15);
            let mut expected = vec![0.0; gradient.len()];
            let paths: Vec<String> = model.parameters().into_iter().map(|entry| entry.path).collect();
            for output in 0..3 {
                let exact = alone(&model, output);
                let (x, y) = seen(&x, &y, output);
                let (_, of_output) = exact.gradient(&Data::new(x.as_ref(), &y)).unwrap();
                for (entry, derivative) in exact.parameters().iter().zip(of_output) {
                    let (part, rest) = entry.path.split_once('.').unwrap();
                    let names = [format!("{part}.batch.{rest}"), format!("{part}.batch[{output}].{rest}")];
                    let position = paths.iter().position(|path| names.contains(path)).unwrap();
                    expected[position] += derivative;
                }
            }
            for (&found, &expected) in gradient.iter().zip(&expected) {
                assert_close(found, expected, 1e-11);
            }
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    let x = apart(20);
    for y in [outputs(&x), with_gaps(outputs(&x))] {
        for model in models() {
            let (_, gradient) = model.gradient(&Data::new(x.as_ref(), y.as_ref())).unwrap();
            let value = |model: &BatchGp<_>| model.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap();
            check_model("a batch", &model, &gradient, 1e-6, value);
        }
    }
}

#[test]
fn predictions_are_those_of_separate_processes() {
    let (x, at) = (apart(20), apart(7) + Mat::full(7, 2, 0.13));
    for y in [outputs(&x), with_gaps(outputs(&x))] {
        for model in models() {
            let posterior = model.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap();
            let (latent, observed) =
                (posterior.predict(at.as_ref()).unwrap(), posterior.predict_observations(at.as_ref()).unwrap());
            assert!((posterior.mean(at.as_ref()).unwrap() - &latent.mean).norm_max() < 1e-13);
            for output in 0..3 {
                let exact = alone(&model, output);
                let (x, y) = seen(&x, &y, output);
                let by_itself = exact.condition(&Data::new(x.as_ref(), &y)).unwrap();
                let expected = by_itself.predict(at.as_ref()).unwrap();
                let noisy = by_itself.predict_observations(at.as_ref()).unwrap();
                let (found, whole) =
                    (posterior.covariance(at.as_ref(), output).unwrap(), by_itself.covariance(at.as_ref(), 0).unwrap());
                for row in 0..7 {
                    assert_close(latent.mean[(row, output)], expected.mean[(row, 0)], 1e-12);
                    assert_close(latent.variance[(row, output)], expected.variance[(row, 0)], 1e-12);
                    assert_close(observed.variance[(row, output)], noisy.variance[(row, 0)], 1e-12);
                    (0..7).for_each(|col| assert_close(found[(row, col)], whole[(row, col)], 1e-12));
                }
            }
        }
    }
}

/// Of an observation, the prediction from the others; of what is missing, that from all.
#[test]
fn left_out_observations_are_predicted_from_the_others() {
    let x = apart(20);
    let y = with_gaps(outputs(&x));
    for model in models() {
        let left_out = model.leave_one_out(&Data::new(x.as_ref(), y.as_ref())).unwrap();
        for output in 0..3 {
            let LeaveOneOut { mean, variance, log_density } = &left_out[output];
            let exact = alone(&model, output);
            for row in 0..20 {
                let mut others = y.clone();
                others[(row, output)] = MISSING;
                let (seen_x, seen_y) = seen(&x, &others, output);
                let given = exact.condition(&Data::new(seen_x.as_ref(), &seen_y)).unwrap();
                let expected = given.predict_observations(x.subrows(row, 1)).unwrap();
                assert_close(mean[row], expected.mean[(0, 0)], 1e-11);
                assert_close(variance[row], expected.variance[(0, 0)], 1e-11);
                let density = match y[(row, output)] {
                    y if y.is_nan() => 0.0,
                    y => given.log_predictive_density(x.subrows(row, 1), column(&[y])).unwrap()[0],
                };
                assert_close(log_density[row], density, 1e-11);
            }
        }
    }
}

#[test]
fn each_output_may_have_inputs_of_its_own() {
    let sets = [0.0, 0.2, -0.1].map(|shift| apart(20) + Mat::full(20, 2, shift));
    let y = with_gaps(outputs(&sets[0]));
    for model in models() {
        let data = Separate::new(&sets, y.as_ref());
        let (evidence, gradient) = model.gradient(&data).unwrap();
        let mut expected = 0.0;
        let posterior = model.condition(&data).unwrap();
        for output in 0..3 {
            let exact = alone(&model, output);
            let (x, y) = seen(&sets[output], &y, output);
            expected += exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
            let (found, by_itself) =
                (posterior.mean(sets[1].as_ref()).unwrap(), exact.condition(&Data::new(x.as_ref(), &y)).unwrap());
            assert_close(found[(4, output)], by_itself.mean(sets[1].as_ref()).unwrap()[(4, 0)], 1e-12);
        }
        assert_close(evidence, expected, 1e-13);
        assert_eq!(gradient.len(), model.num_params());
    }
}

/// All bits of values, gradients and predictions.
#[test]
fn results_do_not_depend_on_threads() {
    let x = apart(150);
    let y = with_gaps(outputs(&x));
    let data = Data::new(x.as_ref(), y.as_ref());
    for model in models() {
        let everything = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (evidence, gradient) = model.gradient(&data).unwrap();
                let posterior = model.condition(&data).unwrap();
                let draws = posterior.sample(x.subrows(0, 5), 2, &mut Pcg64::seed_from_u64(3)).unwrap();
                (evidence, gradient, posterior.predict(x.as_ref()).unwrap(), draws)
            })
        };
        assert_eq!(everything(1), everything(3));
        let sequential = model.clone().with_par(Par::Seq).gradient(&data).unwrap();
        assert_eq!(sequential.0, everything(2).0);
    }
}

/// What outputs share is fitted to all of them; what is frozen stays.
#[test]
fn a_fit_maximises_the_sum() {
    let x = apart(20);
    let y = with_gaps(outputs(&x));
    let data = Data::new(x.as_ref(), y.as_ref());
    let mut model = models()[2].clone();
    model.freeze("likelihood.batch.gaussian.variance").unwrap();
    let before = model.objective(&data).unwrap();
    let minimum = model.fit(&data, &Lbfgs { max_steps: 30, ..Lbfgs::default() }).unwrap();
    let after = model.objective(&data).unwrap();
    assert!(after > before + 1.0);
    assert_close(-minimum.value, after, 1e-12);
    assert_eq!(ParameterizedExt::get(&model, "likelihood.batch.gaussian.variance").unwrap(), 0.2);
    let factors: Vec<f64> =
        model.kernel().members().iter().map(|member| member.get("sum[0].scaled.factor").unwrap()).collect();
    assert!(factors[0] != 1.5 && factors.iter().all(|&factor| factor == factors[0]));
}

#[test]
fn single_precision_agrees() {
    let x = apart(20);
    let y = with_gaps(outputs(&x));
    let (x32, y32) = (single(&x), single(&y));
    for model in models() {
        let double = model.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap();
        assert_close(model.objective(&Data::new(x32.as_ref(), y32.as_ref())).unwrap(), double, 1e-4);
    }
}

#[test]
fn bad_input_is_refused_by_name() {
    let x = apart(20);
    let y = outputs(&x);
    let [model, ..] = models();
    let refused = |x: &Mat<f64>, y: &Mat<f64>| model.objective(&Data::new(x.as_ref(), y.as_ref())).unwrap_err();
    let mut bad = x.clone();
    bad[(3, 1)] = MISSING;
    assert!(matches!(refused(&bad, &y), Error::NonFinite { what, row: 3, col: 1, .. } if what == "x"));
    let mut bad = y.clone();
    bad[(4, 2)] = f64::INFINITY;
    assert!(matches!(refused(&x, &bad), Error::NonFinite { what, row: 4, col: 2, .. } if what == "y"));
    bad.col_as_slice_mut(2).fill(MISSING);
    let error = refused(&x, &bad);
    assert!(matches!(&error, Error::Empty { what } if what.contains("output 2")), "{error}");
    assert!(matches!(refused(&x, &y.subcols(0, 2).to_owned()), Error::Shape { .. }));
    assert!(matches!(refused(&x, &y.subrows(0, 19).to_owned()), Error::Shape { .. }));
    assert!(matches!(refused(&x.subcols(0, 1).to_owned(), &y), Error::Dimension { .. }));
    let two = Separate::new([&x, &x], y.as_ref());
    assert!(matches!(model.objective(&two), Err(Error::Shape { .. })));
    assert!(matches!(model.clone().with_noises(&[0.1, 0.2]), Err(Error::Shape { .. })));
    assert!(matches!(model.clone().with_noise(-1.0), Err(Error::Parameter { .. })));
    let posterior = model.condition(&Data::new(x.as_ref(), y.as_ref())).unwrap();
    assert!(matches!(posterior.covariance(x.as_ref(), 3), Err(Error::Setting { .. })));
    assert!(matches!(posterior.mean(x.subcols(0, 1)), Err(Error::Shape { .. })));

    let indefinite = BatchGp::new((-Rbf::new(1.0)).batched(3).unwrap());
    assert!(matches!(indefinite.objective(&Data::new(x.as_ref(), y.as_ref())), Err(Error::Indefinite { .. })));
}
