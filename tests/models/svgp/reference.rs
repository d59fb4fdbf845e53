//! The sparse variational process against stored values of an independent implementation.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Sgpr, Svgp, Variational};
use mercer::likelihood::Gaussian;
use mercer::linalg::{Cholesky, Jitter};
use mercer::optim::{Adam, Lbfgs, NaturalGradient};
use mercer::prelude::*;
use serde_json::Value;

use crate::common::close::assert_vector_close;
use crate::common::stored::{matrix, number, read, vector};

fn fixture() -> Value {
    read("pyrox.json")
}

/// Numbers, or one.
fn numbers(value: &Value) -> Vec<f64> {
    if value.is_array() { vector(value) } else { vec![number(value)] }
}

type Model = Svgp<Scaled<Rbf>>;

/// The model of a stored parameter set: variance · RBF, Gaussian noise, a fixed jitter.
fn model(params: &Value, jitter: f64) -> Model {
    let exp = |value: &Value| -> Vec<f64> { numbers(value).iter().map(|value| value.exp()).collect() };
    let lengthscale = exp(&params["log_lengthscale"]);
    let rbf = if lengthscale.len() == 1 { Rbf::new(lengthscale[0]) } else { Rbf::new(lengthscale) };
    let kernel = exp(&params["log_variance"])[0] * rbf;
    Svgp::new(kernel, matrix(&params["Z"]).as_ref())
        .unwrap()
        .with_likelihood(Gaussian::new(exp(&params["log_noise_var"])[0]))
        .with_variational(Variational::new(&vector(&params["mean"]), matrix(&params["scale_tril"]).as_ref()).unwrap())
        .unwrap()
        .with_jitter(Jitter::Fixed(jitter))
}

/// The same model with q integrated out.
fn collapsed(model: &Model, jitter: f64) -> Sgpr<Scaled<Rbf>> {
    Sgpr::new(model.kernel().clone(), model.inducing().inputs())
        .unwrap()
        .with_noise(model.get("likelihood.gaussian.variance").unwrap())
        .unwrap()
        .with_jitter(Jitter::Fixed(jitter))
}

/// The stored gradient in the order of our unconstrained parameters: the positive ones by their
/// logarithm, the factor by the columns of its lower triangle.
fn stored_gradient(grads: &Value) -> Vec<f64> {
    let by_columns = |matrix: Mat<f64>, lower: bool| -> Vec<f64> {
        let cols = 0..matrix.ncols();
        cols.flat_map(|col| (if lower { col } else { 0 }..matrix.nrows()).map(move |row| (row, col)))
            .map(|(row, col)| matrix[(row, col)])
            .collect()
    };
    [
        numbers(&grads["log_variance"]),
        numbers(&grads["log_lengthscale"]),
        numbers(&grads["log_noise_var"]),
        by_columns(matrix(&grads["Z"]), false),
        vector(&grads["mean"]),
        by_columns(matrix(&grads["scale_tril"]), true),
    ]
    .concat()
}

fn assert_relative(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{what}: {found} is not {expected}");
}

fn assert_gradient(what: &str, model: &Model, natural: &[f64], stored: &Value) {
    let found: Vec<f64> = model.unconstrained_gradient(natural).unwrap().iter().map(|entry| -entry).collect();
    let expected = stored_gradient(stored);
    assert_eq!(found.len(), expected.len(), "{what}");
    // Each block of parameters on its own scale: those of the hyperparameters are the largest.
    let hyper = model.kernel().num_params() + 1;
    let z = hyper + model.inducing().len() * model.inducing().inputs().ncols();
    let mean = z + model.inducing().len();
    for index in 0..hyper {
        let scale = if expected[index] == 0.0 { expected[0].abs() } else { expected[index].abs() };
        assert!(
            (found[index] - expected[index]).abs() <= 1e-7 * scale,
            "{what}: hyperparameter {index}: {} is not {}",
            found[index],
            expected[index]
        );
    }
    for (name, range) in [("inducing inputs", hyper..z), ("mean", z..mean), ("factor", mean..expected.len())] {
        assert_vector_close(format!("{what}: gradient in the {name}"), &found[range.clone()], &expected[range], 1e-7);
    }
}

fn assert_case(case: &Value, x: &Mat<f64>, y: &[f64], x_test: Option<&Mat<f64>>, jitter: f64) {
    let model = model(&case["params"], jitter);
    let (elbo, gradient) = model.gradient(&Data::new(x.as_ref(), y).part_of(y.len())).unwrap();
    assert_relative("-ELBO", -elbo.value, number(&case["neg_elbo"]), 1e-10);
    assert!((elbo.kl - number(&case["kl"])).abs() <= 1e-10 * number(&case["kl"]).max(1.0));
    assert_relative("expected log-likelihood", elbo.expected_log_likelihood, number(&case["expected_loglik"]), 1e-10);
    assert_gradient("full batch", &model, &gradient, &case["grads"]);

    let collapsed = collapsed(&model, jitter);
    let (best, stored) =
        (collapsed.objective(&Data::new(x.as_ref(), y)).unwrap(), number(&case["collapsed_elbo_same_hypers"]));
    assert_relative("collapsed ELBO", best.value, stored, 1e-10);
    let gap = collapsed.gap(&Data::new(x.as_ref(), y), model.variational()).unwrap();
    assert_relative("gap to the collapsed ELBO", gap, stored + number(&case["neg_elbo"]), 1e-10);
    assert_eq!(best.jitter, jitter);

    let posterior = model.posterior().unwrap();
    for (points, set) in [(Some(x), "train"), (x_test, "test")] {
        let Some(points) = points else { continue };
        let prediction = posterior.predict(points.as_ref()).unwrap();
        assert_vector_close(set, prediction.mean.col_as_slice(0), &vector(&case[format!("{set}_f_mean")]), 1e-9);
        assert_vector_close(set, prediction.variance.col_as_slice(0), &vector(&case[format!("{set}_f_var")]), 1e-9);
    }
}

#[test]
fn bound_gradients_and_predictions_match() {
    let fixture = fixture();
    let notebook = &fixture["notebook1"];
    let (x, y, x_test) = (matrix(&notebook["X"]), vector(&notebook["y"]), matrix(&notebook["X_test"]));
    for case in ["at_init", "at_random_point"] {
        assert_case(&notebook[case], &x, &y, Some(&x_test), number(&notebook["jitter"]));
    }
    let ard = &fixture["rbf_ard_D3"];
    assert_case(ard, &matrix(&ard["X"]), &vector(&ard["y"]), None, number(&ard["jitter"]));
}

/// Other forms of q at the hyperparameters of the random point, with its mean and factor for the
/// inducing values themselves.
#[test]
fn other_forms_of_q_match() {
    let fixture = fixture();
    let notebook = &fixture["notebook1"];
    let (x, y) = (matrix(&notebook["X"]), vector(&notebook["y"]));
    let (params, stored) = (&notebook["at_random_point"]["params"], &notebook["other_guides_neg_elbo"]);
    let (mean, factor) = (vector(&params["mean"]), matrix(&params["scale_tril"]));
    let diagonal: Vec<f64> = (0..20).map(|i| factor[(i, i)]).collect();
    let elbo = |q: Variational| {
        let model = model(params, number(&notebook["jitter"])).with_variational(q.unwhitened()).unwrap();
        model.objective(&Data::new(x.as_ref(), &y)).unwrap()
    };
    let full = -elbo(Variational::new(&mean, factor.as_ref()).unwrap()).value;
    assert_relative("full", full, number(&stored["fullrank_unwhitened_same_m_L"]), 1e-10);
    let covariance = &factor * factor.transpose();
    let refactored = Cholesky::new(covariance.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
    let moments = -elbo(Variational::new(&mean, refactored.factor()).unwrap()).value;
    assert_relative("by its covariance", moments, number(&stored["natural_from_m_S"]), 1e-10);
    let independent = -elbo(Variational::diagonal(&mean, &diagonal).unwrap()).value;
    assert_relative("diagonal", independent, number(&stored["meanfield_unwhitened_m_scale_diagL"]), 1e-10);

    // A point mass has no entropy: its loss is −log p(y | u) − log N(u; 0, K_uu) at u = m.
    let deviation = 1e-200f64;
    let point = elbo(Variational::diagonal(&mean, &[deviation; 20]).unwrap());
    let cross_entropy = point.kl + 20.0 * (0.5 + deviation.ln()) + 10.0 * std::f64::consts::TAU.ln();
    let loss = cross_entropy - point.expected_log_likelihood;
    assert_relative("point mass", loss, number(&stored["delta_loc_m"]), 1e-10);
}

/// One step of rate 1 from the prior, at the hyperparameters of the random point: the collapsed bound.
#[test]
fn one_natural_step_matches() {
    let fixture = fixture();
    let notebook = &fixture["notebook1"];
    let (x, y) = (matrix(&notebook["X"]), vector(&notebook["y"]));
    let data = Data::new(x.as_ref(), &y);
    let prior = Variational::prior(20).unwrap();
    let mut model = model(&notebook["at_random_point"]["params"], number(&notebook["jitter"]));
    model = model.with_variational(prior).unwrap();
    model.natural_step(&data.part_of(y.len()), &NaturalGradient::default()).unwrap();
    let bound = model.objective(&data).unwrap().value;
    let stored = number(&notebook["other_guides_neg_elbo"]["conjugateVI_rho1_one_step_from_init"]);
    assert_relative("after one step", -bound, stored, 1e-8);
    assert_relative("collapsed", bound, number(&notebook["at_random_point"]["collapsed_elbo_same_hypers"]), 1e-8);
}

/// At q = N(0, I) the marginals are the prior's whatever the lengthscale and the inducing inputs: the
/// gradients in them are 0, not rounding.
#[test]
fn gradients_that_vanish_at_the_prior_are_exactly_zero() {
    let fixture = fixture();
    let notebook = &fixture["notebook1"];
    let (x, y) = (matrix(&notebook["X"]), vector(&notebook["y"]));
    let model = model(&notebook["at_init"]["params"], number(&notebook["jitter"]));
    let forms = [
        Variational::prior(20).unwrap(),
        Variational::diagonal_prior(20).unwrap(),
        Variational::prior(20).unwrap().unwhitened(),
    ];
    for (form, q) in forms.into_iter().enumerate() {
        let (_, gradient) =
            model.clone().with_variational(q).unwrap().gradient(&Data::new(x.as_ref(), &y).part_of(500)).unwrap();
        let vanish = std::iter::once(&gradient[1]).chain(&gradient[3..23]);
        // Unwhitened, N(0, I) is not the prior.
        assert_eq!(vanish.clone().all(|&entry| entry == 0.0), form < 2, "{form}: {:?}", vanish.collect::<Vec<_>>());
    }
}

#[test]
fn minibatch_matches() {
    let fixture = fixture();
    let notebook = &fixture["notebook1"];
    let (x, y) = (matrix(&notebook["X"]), vector(&notebook["y"]));
    let stored = &notebook["minibatch_rows_0_63"];
    let model = model(&notebook["at_random_point"]["params"], number(&notebook["jitter"]));
    let (elbo, gradient) = model.gradient(&Data::new(x.subrows(0, 64), &y[..64]).part_of(y.len())).unwrap();
    assert_relative("-ELBO", -elbo.value, number(&stored["neg_elbo"]), 1e-10);
    assert_gradient("minibatch", &model, &gradient, &stored["grads"]);
}

/// The rate of the stored trajectories.
const RATE: f64 = 0.05;

/// Full-batch Adam; `see` gets −ELBO before each step.
fn adam_steps(model: &mut Model, x: &Mat<f64>, y: &[f64], steps: usize, mut see: impl FnMut(usize, f64)) {
    let mut parameters = model.unconstrained();
    let mut adam = Adam { rate: RATE, ..Adam::default() }.start(parameters.len()).unwrap();
    for step in 0..steps {
        let (elbo, natural) = model.gradient(&Data::new(x.as_ref(), y).part_of(y.len())).unwrap();
        see(step, -elbo.value);
        let gradient: Vec<f64> = model.unconstrained_gradient(&natural).unwrap().iter().map(|g| -g).collect();
        adam.step(&mut parameters, &gradient).unwrap();
        model.set_unconstrained(&parameters).unwrap();
    }
}

/// Adam's steps are reproduced as far as rounding lets them be: within ten times what a change of
/// the data by one unit in the last place does, or 1e-8, for the first 150 steps.
#[test]
fn training_follows_the_stored_trajectory() {
    let fixture = fixture();
    let notebook = &fixture["notebook1"];
    let (x, y) = (matrix(&notebook["X"]), vector(&notebook["y"]));
    let stored = &notebook["trajectory"];
    let (steps, bounds) = (vector(&stored["steps"]), vector(&stored["neg_elbo"]));
    let sensitivity = vector(&stored["sensitivity"]);

    let mean: Vec<f64> = (0..20).map(|i| 0.1 * f64::from(i).cos()).collect();
    let factor = Mat::from_fn(20, 20, |row, col| if row == col { 0.5 } else { 0.0 });
    let mut model = model(&notebook["at_init"]["params"], number(&notebook["jitter"]))
        .with_variational(Variational::new(&mean, factor.as_ref()).unwrap())
        .unwrap();
    let mut compared = 0;
    adam_steps(&mut model, &x, &y, 151, |step, bound| {
        if let Some(index) = steps.iter().position(|&stored| stored == step as f64) {
            let allowed = (10.0 * sensitivity[index]).max(1e-8);
            assert!((bound - bounds[index]).abs() <= allowed, "step {step}: {bound} is not {}", bounds[index]);
            compared += 1;
        }
    });
    assert_eq!(compared, 53);
}

/// L-BFGS on the collapsed bound, in hyperparameters and inducing inputs, finds its optimum within 150
/// evaluations of the notebook's start; 800 steps of Adam from q = N(0, I) come near it, and do not pass it.
#[test]
fn the_notebook_bound_and_its_optimum() {
    let fixture = fixture();
    let notebook = &fixture["notebook1"];
    let (x, y, jitter) = (matrix(&notebook["X"]), vector(&notebook["y"]), number(&notebook["jitter"]));
    let data = Data::new(x.as_ref(), &y);
    let mut model = model(&notebook["at_init"]["params"], jitter);
    let mut collapsed = collapsed(&model, jitter);
    let minimizer = Lbfgs { memory: 40, ..Lbfgs::default() };
    let optimum = collapsed.fit(&data, &minimizer).unwrap();

    adam_steps(&mut model, &x, &y, 800, |_, _| ());
    let after_800 = -model.objective(&data).unwrap().value;
    let (best, evaluations) = (optimum.value, optimum.evaluations);
    println!("-ELBO after 800 steps of Adam: {after_800:.4}; collapsed, after {evaluations} evaluations: {best:.6}");
    assert!(optimum.converged && (best - -187.914748).abs() < 1e-5, "{best}");
    assert!(evaluations <= 150, "{evaluations}");
    // Rounding makes the late trajectory chaotic: the stored sensitivity at its end is 0.5.
    assert!((after_800 - number(&notebook["trajectory_notebook"]["after_800"])).abs() < 2.5, "{after_800}");
    assert!(after_800 > optimum.value);
}

/// With q at its best for each of them, the hyperparameters and inducing inputs are found by a
/// quasi-Newton search: the notebook's optimum from the notebook's start.
#[test]
fn natural_gradients_reach_the_notebook_s_optimum() {
    let fixture = fixture();
    let notebook = &fixture["notebook1"];
    let (x, y) = (matrix(&notebook["X"]), vector(&notebook["y"]));
    let data = Data::new(x.as_ref(), &y);
    let mut model = model(&notebook["at_init"]["params"], number(&notebook["jitter"]));
    let minimizer = Lbfgs { max_steps: 150, ..Lbfgs::default() };
    let minimum = model.fit_profiled(&data, &minimizer, &NaturalGradient::default()).unwrap();
    println!("-ELBO {:.5} after {} steps, {} evaluations", minimum.value, minimum.steps, minimum.evaluations);
    assert!((minimum.value - -187.9147).abs() < 0.05, "{}", minimum.value);
    assert!((model.objective(&data).unwrap().value + minimum.value).abs() < 1e-8);
}
