//! Collapsed sparse models against dense formulas, the exact process, the variational one, and refits.
#![allow(clippy::unwrap_used)]

use faer::Side;
use mercer::gp::{Approximation, ExactGp, LeaveOneOut, Sgpr, Svgp, Variational};
use mercer::likelihood::Gaussian;
use mercer::linalg::{Cholesky, Jitter};
use mercer::mean::{ConstantMean, LinearMean};
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::data::{observed_apart, single, singles};
use crate::common::dense::{column, log_normal, projected};
use crate::common::gradients::check_model;

const ALL: [Approximation; 3] = [Approximation::Vfe, Approximation::Fitc, Approximation::Dtc];

/// Inducing inputs that are no data.
fn between(m: usize) -> Mat<f64> {
    Mat::from_fn(m, 2, |row, col| ((row * (3 + 2 * col)) % m) as f64 * 9.0 / m as f64 + 0.05 * row as f64)
}

fn kernel() -> DynKernel {
    (1.5 * Matern32::new([1.2, 2.0]) + 0.3 * Linear::new(0.5)).dynamic()
}

/// The N × N covariance that an approximation gives the data, and its trace term.
fn dense_covariance(
    approximation: Approximation,
    kernel: &DynKernel,
    z: &Mat<f64>,
    x: &Mat<f64>,
    noise: f64,
) -> (Mat<f64>, f64) {
    let (full, low) = (kernel.gram(x.as_ref()).unwrap(), projected(kernel, z, x, x));
    let n = x.nrows();
    let left = |i: usize| full[(i, i)] - low[(i, i)];
    let trace = if approximation == Approximation::Vfe { (0..n).map(left).sum::<f64>() / (2.0 * noise) } else { 0.0 };
    let covariance = Mat::from_fn(n, n, |i, j| match (i == j, approximation) {
        (true, Approximation::Fitc) => full[(i, i)] + noise,
        (true, _) => low[(i, i)] + noise,
        (false, _) => low[(i, j)],
    });
    (covariance, trace)
}

#[test]
fn evidences_are_those_of_the_dense_formulas() {
    let (x, y) = observed_apart(30);
    let residual: Vec<f64> = y.iter().map(|y| y - 0.7).collect();
    let z = between(8);
    for approximation in ALL {
        let (covariance, trace) = dense_covariance(approximation, &kernel(), &z, &x, 0.2);
        let expected = log_normal(&residual, &covariance);
        let sgpr = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.2).unwrap();
        let sgpr = sgpr.with_mean(ConstantMean::new(0.7)).with_approximation(approximation);
        let found = sgpr.log_evidence(x.as_ref(), &y).unwrap();
        assert!(
            (found.log_density - expected).abs() < 1e-11 * expected.abs(),
            "{approximation:?}: {found:?} {expected}"
        );
        assert!((found.trace - trace).abs() < 1e-11 * trace.max(1.0), "{approximation:?}: {found:?} {trace}");
        assert_eq!(found.value, found.log_density - found.trace);
        assert_eq!((found.jitter, found.precision_jitter), (0.0, 0.0));
    }
}

/// Mean q(x)ᵀ C⁻¹ r and covariance k − q(x)ᵀ C⁻¹ q(x′), with q(x) = Q(X, x) and C the data's covariance.
#[test]
fn posteriors_are_those_of_the_dense_formulas() {
    use faer::linalg::solvers::Solve;
    let (x, y) = observed_apart(30);
    let (z, at) = (between(8), between(5) * 0.8);
    for approximation in ALL {
        let (covariance, _) = dense_covariance(approximation, &kernel(), &z, &x, 0.2);
        let llt = covariance.llt(Side::Lower).unwrap();
        let cross = projected(&kernel(), &z, &x, &at);
        let mean = cross.transpose() * llt.solve(column(&y));
        let expected = kernel().gram(at.as_ref()).unwrap() - cross.transpose() * llt.solve(&cross);
        let sgpr = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.2).unwrap().with_approximation(approximation);
        let posterior = sgpr.condition(x.as_ref(), &y).unwrap();
        let (found, found_covariance) = posterior.predict_covariance(at.as_ref()).unwrap();
        assert!((column(&found) - mean).norm_max() < 1e-11, "{approximation:?}");
        assert!((found_covariance - expected).norm_max() < 1e-11, "{approximation:?}");
    }
}

#[test]
fn at_all_inputs_every_model_is_the_exact_one() {
    let (x, y) = observed_apart(40);
    let noise = 0.04;
    let mean = || ConstantMean::new(0.7);
    let strict = Jitter::Fixed(0.0);
    let exact = ExactGp::new(kernel()).with_noise(noise).unwrap().with_mean(mean()).with_jitter(strict);
    let evidence = exact.log_evidence(x.as_ref(), &y).unwrap();
    let close = |what: &str, found: f64| {
        println!("{what}: off by {:e}", found - evidence);
        assert!((found - evidence).abs() < 1e-10 * evidence.abs(), "{what}: {found} is not {evidence}");
    };
    let collapsed = Sgpr::new(kernel(), x.as_ref()).unwrap().with_noise(noise).unwrap();
    let collapsed = collapsed.with_mean(mean()).with_jitter(strict);
    for approximation in ALL {
        let model = collapsed.clone().with_approximation(approximation);
        close(&format!("{approximation:?}"), model.log_evidence(x.as_ref(), &y).unwrap().value);
        // As are its gradients in what the two share.
        let (_, gradient) = model.log_evidence_gradient(x.as_ref(), &y).unwrap();
        let (_, expected) = exact.log_evidence_gradient(x.as_ref(), &y).unwrap();
        for (found, expected) in gradient.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{approximation:?}: {found} {expected}");
        }
    }
    close("the upper bound", collapsed.upper_bound(x.as_ref(), &y).unwrap());
    let svgp = collapsed.clone().into_svgp(x.as_ref(), &y).unwrap();
    close("Svgp", svgp.elbo(x.as_ref(), &y).unwrap().value);
    assert!(collapsed.gap(x.as_ref(), &y, svgp.variational()).unwrap() < 1e-20);

    let at = between(15);
    let expected = exact.condition(x.as_ref(), &y).unwrap().predict(at.as_ref()).unwrap();
    for approximation in ALL {
        let model = collapsed.clone().with_approximation(approximation);
        let found = model.condition(x.as_ref(), &y).unwrap().predict(at.as_ref()).unwrap();
        for row in 0..15 {
            assert!((found.mean[row] - expected.mean[row]).abs() < 1e-11);
            assert!((found.variance[row] - expected.variance[row]).abs() < 1e-11);
        }
        let (found, expected) =
            (model.leave_one_out(x.as_ref(), &y).unwrap(), exact.leave_one_out(x.as_ref(), &y).unwrap());
        for row in 0..40 {
            assert!((found.mean[row] - expected.mean[row]).abs() < 1e-10);
            assert!((found.variance[row] - expected.variance[row]).abs() < 1e-10);
        }
    }
}

/// A kernel of one of several kinds, with random hyperparameters.
fn random_kernel(rng: &mut impl Rng, dim: usize) -> DynKernel {
    let mut positive = |low: f64, high: f64| rng.random_range(low.ln()..high.ln()).exp();
    let (a, b, c) = (positive(0.3, 3.0), positive(0.3, 3.0), positive(0.1, 5.0));
    match rng.random_range(0..6) {
        0 => (c * Rbf::new(a)).dynamic(),
        1 => (c * Matern12::new(a)).dynamic(),
        2 => (c * Matern52::new(a) + Linear::new(b)).dynamic(),
        3 => (c * Rbf::new(a).on([dim - 1]) * Matern32::new(b)).dynamic(),
        4 => (RationalQuadratic::new(a, b) + c * Polynomial::new(2, b, 0.5)).dynamic(),
        _ => (c * Periodic::new(a, b).on([0])).dynamic(),
    }
}

/// What rounding errors of K(Z, Z) without jitter, E of size M·ε·k, do to a bound: Q(x, x) moves by wᵀEw with
/// w = K(Z, Z)⁻¹k(Z, x), the trace term by the sum of these by 2σ², and the density by at most
/// (1/σ² + ‖y‖²/σ⁴)/2 times as much.
fn rounding(kernel: &DynKernel, z: &Mat<f64>, x: MatRef<'_, f64>, y: &[f64], noise: f64) -> f64 {
    let gram = kernel.gram(z.as_ref()).unwrap();
    let mut w = kernel.cross(z.as_ref(), x).unwrap();
    Cholesky::new(gram.as_ref(), Jitter::default(), Par::Seq).unwrap().solve_in_place(w.as_mut(), Par::Seq).unwrap();
    let error = z.nrows() as f64 * f64::EPSILON * gram.diagonal().column_vector().norm_max();
    let moved = error * w.squared_norm_l2();
    moved * (2.0 / noise + y.iter().map(|y| y * y).sum::<f64>() / (noise * noise)) / 2.0
}

/// A kernel, data, inducing inputs of which some are data and some each other, and any q.
fn random_problem(
    rng: &mut impl Rng,
    n: usize,
    m: usize,
    dim: usize,
) -> (DynKernel, Mat<f64>, Vec<f64>, Mat<f64>, Variational) {
    let kernel = random_kernel(rng, dim);
    let mut points = |rows| Mat::from_fn(rows, dim, |_, _| rng.random_range(-2.0..2.0));
    let (x, mut z) = (points(n), points(m));
    let y = (0..n).map(|_| rng.random_range(-3.0..3.0)).collect();
    for row in 0..m {
        let known = match rng.random_range(0..12) {
            0..3 => x.row(rng.random_range(0..n)).to_owned(),
            3 if row > 0 => z.row(row - 1).to_owned(),
            _ => continue,
        };
        z.row_mut(row).copy_from(known);
    }
    let mean: Vec<f64> = (0..m).map(|_| rng.random_range(-2.0..2.0)).collect();
    let factor = Mat::from_fn(m, m, |row, col| match row == col {
        true => rng.random_range(0.05..2.0),
        false => rng.random_range(-0.5..0.5),
    });
    (kernel, x, y, z, Variational::new(&mean, factor.as_ref()).unwrap())
}

/// Svgp at any q ≤ VFE ≤ exact evidence ≤ upper bound; and the first gap is KL(q ‖ best q). A jitter
/// above the rounding errors of K(Z, Z) can only lower Q; without one, they may raise it.
fn check_bounds(seed: u64, n: usize, m: usize, dim: usize, noise: f64) -> Result<(), TestCaseError> {
    let (kernel, x, y, z, q) = random_problem(&mut Pcg64::seed_from_u64(seed), n, m, dim);
    let (x, par) = (x.as_ref(), Par::Seq);
    let exact = ExactGp::new(kernel.clone()).with_par(par).with_noise(noise).unwrap().log_evidence(x, &y).unwrap();
    let scale = kernel.diag(z.as_ref()).unwrap().iter().sum::<f64>() / m as f64;
    for jitter in [Jitter::Fixed(1e-9 * scale), Jitter::default()] {
        let sgpr = Sgpr::new(kernel.clone(), z.as_ref()).unwrap().with_noise(noise).unwrap();
        let sgpr = sgpr.with_jitter(jitter).with_par(par);
        let svgp = Svgp::new(kernel.clone(), z.as_ref()).unwrap().with_likelihood(Gaussian::new(noise));
        let svgp = svgp.with_variational(q.clone()).unwrap().with_jitter(jitter).with_par(par);
        let elbo = svgp.elbo(x, &y).unwrap().value;
        let lower = sgpr.log_evidence(x, &y).unwrap();
        let upper = sgpr.upper_bound(x, &y).unwrap();
        let gap = sgpr.gap(x, &y, &q).unwrap();
        let best = sgpr.into_svgp(x, &y).unwrap().elbo(x, &y).unwrap().value;

        let slack = 1e-9 * (1.0 + exact.abs());
        prop_assert!(gap >= 0.0 && (lower.value - elbo - gap).abs() <= 1e-9 * (1.0 + elbo.abs()), "{gap} {elbo}");
        prop_assert!((best - lower.value).abs() <= slack * (1.0 + lower.trace), "{best} {}", lower.value);
        let slack = slack
            + match jitter {
                Jitter::Fixed(_) => 0.0,
                Jitter::Adaptive { .. } => rounding(&kernel, &z, x, &y, noise),
            };
        prop_assert!(elbo <= lower.value + slack, "{elbo} {}", lower.value);
        prop_assert!(lower.value <= exact + slack, "{} {exact}", lower.value);
        prop_assert!(exact <= upper + slack, "{exact} {upper}");
        prop_assert!(lower.trace >= -slack);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: mercer::testkit::trials(256) as u32,
        rng_seed: RngSeed::Fixed(mercer::testkit::seed(21)),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn bounds_are_in_order(
        seed in any::<u64>(), n in 1usize..25, m in 1usize..25, dim in 1usize..4, log_noise in -7.0..1.0,
    ) {
        check_bounds(seed, n, m, dim, f64::exp(log_noise))?;
    }
}

#[test]
fn gradients_match_central_differences() {
    let (x, y) = observed_apart(25);
    let z = between(5);
    for approximation in ALL {
        let model = Sgpr::new(kernel() * Periodic::new([0.9, 1.1], [3.0, 4.0]), z.as_ref())
            .unwrap()
            .with_noise(0.3)
            .unwrap()
            .with_mean(LinearMean::new([0.1, -0.2]).with_intercept(0.5))
            .with_approximation(approximation);
        let (evidence, gradient) = model.log_evidence_gradient(x.as_ref(), &y).unwrap();
        assert_eq!(evidence, model.log_evidence(x.as_ref(), &y).unwrap());
        let value = |model: &Sgpr<_>| model.log_evidence(x.as_ref(), &y).unwrap().value;
        check_model(format!("{approximation:?}"), &model, &gradient, 1e-7, value);
    }
}

fn assert_left_out(found: &LeaveOneOut<f64>, row: usize, mean: f64, variance: f64, log_density: f64) {
    for (found, expected) in
        [(found.mean[row], mean), (found.variance[row], variance), (found.log_density[row], log_density)]
    {
        assert!((found - expected).abs() < 1e-10 * expected.abs().max(1.0), "row {row}: {found} is not {expected}");
    }
}

#[test]
fn leaving_one_out_is_conditioning_on_the_others() {
    let (x, y) = observed_apart(20);
    let exact = ExactGp::new(kernel()).with_noise(0.2).unwrap().with_mean(ConstantMean::new(0.7));
    let sparse = Sgpr::new(kernel(), between(6).as_ref()).unwrap().with_noise(0.2).unwrap();
    let sparse = sparse.with_mean(ConstantMean::new(0.7));
    let by_exact = exact.leave_one_out(x.as_ref(), &y).unwrap();
    assert_eq!(by_exact.log_pseudo_likelihood(), by_exact.log_density.iter().sum::<f64>());
    let by_sparse = ALL.map(|approximation| {
        let model = sparse.clone().with_approximation(approximation);
        let found = model.leave_one_out(x.as_ref(), &y).unwrap();
        (model, found)
    });
    for row in 0..20 {
        let others: Vec<usize> = (0..20).filter(|&other| other != row).collect();
        let (x_others, y_others) =
            (mercer::data::rows(x.as_ref(), &others).unwrap(), others.iter().map(|&o| y[o]).collect::<Vec<_>>());
        let check = |posterior: mercer::gp::Posterior<'_, f64>, found: &LeaveOneOut<f64>| {
            let at = x.subrows(row, 1);
            let seen = posterior.predict_observations(at).unwrap();
            let density = posterior.log_predictive_density(at, &y[row..=row]).unwrap();
            assert_left_out(found, row, seen.mean[0], seen.variance[0], density[0]);
        };
        check(exact.condition(x_others.as_ref(), &y_others).unwrap(), &by_exact);
        for (model, found) in &by_sparse {
            check(model.condition(x_others.as_ref(), &y_others).unwrap(), found);
        }
    }
}

#[test]
fn a_fit_keeps_what_is_frozen_and_hands_it_over() {
    let (x, y) = observed_apart(30);
    let mut model = Sgpr::new(kernel(), between(6).as_ref()).unwrap().with_noise(0.2).unwrap();
    model.freeze("inducing.inputs[2, 1]").unwrap();
    model.freeze("likelihood").unwrap();
    let kept = model.get("inducing.inputs[2, 1]").unwrap();
    let before = model.log_evidence(x.as_ref(), &y).unwrap().value;
    let minimum = model.fit(x.as_ref(), &y, &Lbfgs { max_steps: 20, ..Lbfgs::default() }).unwrap();
    let after = model.log_evidence(x.as_ref(), &y).unwrap().value;
    assert!(after > before + 1.0 && (after + minimum.value).abs() < 1e-9);
    assert_eq!(model.get("inducing.inputs[2, 1]").unwrap(), kept);

    let svgp = model.clone().with_mean(ConstantMean::new(0.1)).into_svgp(x.as_ref(), &y).unwrap();
    let frozen = |model: &dyn Parameterized| -> Vec<String> {
        model.parameters().into_iter().filter(|entry| !entry.free).map(|entry| entry.path).collect()
    };
    assert_eq!(frozen(&svgp), frozen(&model));
    assert_eq!(svgp.get("mean.constant.value").unwrap(), 0.1);
}

#[test]
fn single_precision_agrees() {
    let (x, y) = observed_apart(40);
    let (x32, y32) = (single(&x), singles(&y));
    for approximation in ALL {
        let model = Sgpr::new(kernel(), between(9).as_ref()).unwrap().with_noise(0.2).unwrap();
        let model = model.with_approximation(approximation);
        let double = model.log_evidence(x.as_ref(), &y).unwrap().value;
        let single = model.log_evidence(x32.as_ref(), &y32).unwrap().value;
        assert!((double - single).abs() < 1e-4 * double.abs(), "{double} {single}");
        let double = model.condition(x.as_ref(), &y).unwrap().predict(x.as_ref()).unwrap();
        let single = model.condition(x32.as_ref(), &y32).unwrap().predict(x32.as_ref()).unwrap();
        for row in 0..40 {
            assert!((double.mean[row] - f64::from(single.mean[row])).abs() < 1e-3);
            assert!((double.variance[row] - f64::from(single.variance[row])).abs() < 1e-3);
        }
    }
}

/// σ² some 10⁻¹³ of the covariances: I + AAᵀ/σ² has a condition of 10¹⁵, and the fit is still a sum of squares.
#[test]
fn tiny_noise_loses_no_digits_of_a_good_fit() {
    let x = Mat::from_fn(12, 1, |row, _| row as f64);
    let kernel = Matern12::new(1.0).dynamic();
    // Targets in the span of the inducing variables: what noise there is, is all there is to the misfit.
    let z = x.subrows(0, 4).to_owned();
    let y: Vec<f64> = kernel
        .cross(x.as_ref(), z.as_ref())
        .unwrap()
        .col_iter()
        .fold(vec![0.0; 12], |sum, column| sum.iter().zip(column.iter()).map(|(sum, value)| sum + value).collect());
    let model = |noise| {
        Sgpr::new(kernel.clone(), z.as_ref()).unwrap().with_noise(noise).unwrap().with_approximation(Approximation::Dtc)
    };
    // As σ² → 0, yᵀ(Q + σ²I)⁻¹y → wᵀK(Z, Z)w = 1ᵀK(Z, Z)1, and |Q + σ²I| → σ^2(N − M) |AAᵀ|.
    let limit = |noise: f64| {
        let gram = kernel.gram(z.as_ref()).unwrap();
        let cross = kernel.cross(z.as_ref(), x.as_ref()).unwrap();
        let log_det = |matrix: &Mat<f64>| -> f64 {
            let llt = matrix.llt(Side::Lower).unwrap();
            (0..matrix.nrows()).map(|i| 2.0 * llt.L()[(i, i)].ln()).sum()
        };
        let volume = log_det(&(&cross * cross.transpose())) - log_det(&gram) + 8.0 * noise.ln();
        -0.5 * (gram.sum() + volume + 12.0 * std::f64::consts::TAU.ln())
    };
    let noise = 1e-13;
    let found = model(noise).log_evidence(x.as_ref(), &y).unwrap();
    assert!((found.value - limit(noise)).abs() < 1e-3, "{} is not {}", found.value, limit(noise));
}

/// Where rounding leaves nothing of the noise, there is an error and no number.
#[test]
fn noise_below_rounding_is_refused_where_it_counts() {
    let (x, y) = observed_apart(12);
    let model = Sgpr::new(kernel(), x.as_ref()).unwrap().with_noise(1e-20).unwrap();
    assert!(matches!(model.leave_one_out(x.as_ref(), &y), Err(Error::NegativeVariance { .. })));
    let fitc = model.with_approximation(Approximation::Fitc);
    assert!(matches!(fitc.log_evidence(x.as_ref(), &y), Err(Error::NegativeVariance { .. })));
    assert!(matches!(fitc.condition(x.as_ref(), &y), Err(Error::NegativeVariance { .. })));
}

/// With fewer data than inducing inputs, I + AAᵀ/σ² is 1 in some directions and k/σ² in others: in single
/// precision it soon takes jitter, which is reported, and the bound stays one.
#[test]
fn jitter_of_the_precision_is_reported() {
    let (x, y) = (mat![[0.0], [1.0], [2.5]], [0.3, -0.5, 0.8]);
    let z = Mat::from_fn(6, 1, |row, _| row as f64 * 0.5 - 0.2);
    let model = Sgpr::new(Matern12::new(1.0), z.as_ref()).unwrap().with_noise(1e-9).unwrap();
    let (x32, y32) = (single(&x), singles(&y));
    let found = model.log_evidence(x32.as_ref(), &y32).unwrap();
    assert!(found.precision_jitter > 0.0 && found.jitter == 0.0, "{found:?}");
    let exact = ExactGp::new(Matern12::new(1.0)).with_noise(1e-9).unwrap().log_evidence(x.as_ref(), &y).unwrap();
    assert!(found.value.is_finite() && found.value < exact, "{found:?} {exact}");
    assert_eq!(model.log_evidence(x.as_ref(), &y).unwrap().precision_jitter, 0.0);
}

/// More inducing inputs than data, and equal ones, are legal; the jitter is reported, and the equal
/// ones by name.
#[test]
fn duplicate_and_many_inducing_inputs_work() {
    let (x, y) = observed_apart(10);
    let z = Mat::from_fn(25, 2, |row, col| x[(row % 10, col)]);
    let exact = ExactGp::new(kernel()).with_noise(0.1).unwrap().log_evidence(x.as_ref(), &y).unwrap();
    for approximation in ALL {
        let model = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.1).unwrap().with_approximation(approximation);
        let (evidence, gradient) = model.log_evidence_gradient(x.as_ref(), &y).unwrap();
        assert!(evidence.jitter > 0.0 && (evidence.value - exact).abs() < 1e-8, "{evidence:?} {exact}");
        assert!(gradient.iter().all(|entry| entry.is_finite()));
        assert!(model.condition(x.as_ref(), &y).unwrap().jitter() > 0.0);
    }
    let model = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.1).unwrap();
    let q = Variational::prior(25).unwrap();
    let found = model.diagnose(x.as_ref(), &y, Some(&q)).unwrap();
    assert_eq!((found.inducing, found.pile_ups.len()), (25, 20));
    assert!(found.pile_ups.iter().all(|pair| pair.second % 10 == pair.first % 10 && pair.distance == 0.0));
    assert!(found.jitter > 0.0 && found.condition > 1e14 && found.effective_rank < 10.0);
    let bounds = found.bounds.unwrap();
    assert!(bounds.lower <= exact + 1e-8 && exact <= bounds.upper + 1e-8 && bounds.gap.unwrap() > 1.0);
    let report = found.to_string();
    assert!(report.contains("inputs 0 and 10 pile up") && report.contains("and 15 more pairs do"), "{report}");

    let strict = model.with_jitter(Jitter::Fixed(0.0));
    assert!(matches!(strict.log_evidence(x.as_ref(), &y), Err(Error::NotPositiveDefinite { .. })));
    assert!(matches!(strict.condition(x.as_ref(), &y), Err(Error::NotPositiveDefinite { .. })));
}

#[test]
fn bad_input_is_refused_by_name() {
    let (x, y) = observed_apart(10);
    let model = Sgpr::new(kernel(), between(4).as_ref()).unwrap();
    let refused = |x: &Mat<f64>, y: &[f64]| {
        let error = model.log_evidence(x.as_ref(), y).unwrap_err();
        for other in [
            model.log_evidence_gradient(x.as_ref(), y).unwrap_err(),
            model.condition(x.as_ref(), y).unwrap_err(),
            model.upper_bound(x.as_ref(), y).unwrap_err(),
            model.leave_one_out(x.as_ref(), y).unwrap_err(),
            model.optimal_variational(x.as_ref(), y).unwrap_err(),
            model.diagnose(x.as_ref(), y, None).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), other.to_string());
        }
        error
    };
    let mut bad = x.clone();
    bad[(3, 1)] = f64::NAN;
    assert!(matches!(refused(&bad, &y), Error::NonFinite { what, row: 3, col: 1, .. } if what == "x"));
    let mut bad = y.clone();
    bad[4] = f64::INFINITY;
    assert!(matches!(refused(&x, &bad), Error::NonFinite { what, row: 4, .. } if what == "y"));
    assert!(matches!(refused(&x, &y[..9]), Error::Shape { what, .. } if what == "y"));
    assert!(matches!(refused(&Mat::zeros(0, 2), &[]), Error::Empty { .. }));
    assert!(matches!(refused(&x.subcols(0, 1).to_owned(), &y), Error::Shape { what, .. } if what == "x"));
    assert!(matches!(ExactGp::new(kernel()).leave_one_out(x.as_ref(), &y[..9]), Err(Error::Shape { .. })));

    let q = Variational::prior(5).unwrap();
    assert!(matches!(model.gap(x.as_ref(), &y, &q), Err(Error::Shape { .. })));
    assert!(matches!(model.clone().with_noise(0.0), Err(Error::Parameter { .. })));
    assert!(matches!(Sgpr::new(kernel(), Mat::<f64>::zeros(0, 2).as_ref()), Err(Error::Empty { .. })));
    assert!(matches!(model.with_inducing_inputs(mat![[0.0, f64::NAN]].as_ref()), Err(Error::NonFinite { .. })));
    assert!(matches!(Sgpr::new(Linear::new(1.0).on([2]), x.as_ref()), Err(Error::Dimension { .. })));
    let indefinite = Sgpr::new(Rbf::new(1.0) - Matern12::new(3.0), x.as_ref()).unwrap();
    assert!(matches!(indefinite.log_evidence(x.as_ref(), &y), Err(Error::Indefinite { .. })));
}
