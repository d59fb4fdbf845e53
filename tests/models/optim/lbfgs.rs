//! L-BFGS on functions that minimisers are known to find hard, and on functions that fail.
#![allow(clippy::unwrap_used)]

use mercer::Error;
use mercer::optim::{Lbfgs, Minimizer, Minimum};

/// Σ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²; least at (1, …, 1).
fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
    let mut value = 0.0;
    let mut gradient = vec![0.0; x.len()];
    for i in 0..x.len() - 1 {
        let (across, along) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
        value += 100.0 * across * across + along * along;
        gradient[i] -= 400.0 * x[i] * across + 2.0 * along;
        gradient[i + 1] += 200.0 * across;
    }
    (value, gradient)
}

/// Minimises, and checks that the result is the best point that was evaluated.
fn minimize(lbfgs: Lbfgs, start: &[f64], f: impl Fn(&[f64]) -> mercer::Result<(f64, Vec<f64>)>) -> Minimum {
    let (mut least, mut evaluations) = (f64::INFINITY, 0);
    let mut objective = |x: &[f64]| {
        evaluations += 1;
        let result = f(x);
        if let Ok((value, gradient)) = &result {
            let sound = value.is_finite() && gradient.iter().all(|g| g.is_finite());
            least = if sound { least.min(*value) } else { least };
        }
        result
    };
    let minimum = lbfgs.minimize(&mut objective, start).unwrap();
    assert_eq!((minimum.value, minimum.evaluations), (least, evaluations));
    assert_eq!(f(&minimum.x).unwrap().0, minimum.value);
    minimum
}

fn distance_to_ones(x: &[f64]) -> f64 {
    x.iter().map(|x| (x - 1.0).abs()).fold(0.0, f64::max)
}

#[test]
fn rosenbrock_in_2_and_20_dimensions() {
    for (dim, most) in [(2, 60), (20, 200)] {
        let start: Vec<f64> = (0..dim).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect();
        let minimum = minimize(Lbfgs::default(), &start, |x| Ok(rosenbrock(x)));
        assert!(minimum.converged && distance_to_ones(&minimum.x) < 1e-5, "{minimum:?}");
        assert!(minimum.evaluations <= most, "{dim}: {}", minimum.evaluations);
    }
}

#[test]
fn ill_conditioned_quadratics() {
    // Curvatures spread evenly, on a logarithmic scale, up to the condition number.
    for (condition, memory, most) in [(1e4f64, 10, 800), (1e8, 40, 2500)] {
        let scale = |i: usize| condition.powf(i as f64 / 29.0);
        let quadratic = |x: &[f64]| {
            let terms = x.iter().enumerate().map(|(i, x)| 0.5 * scale(i) * (x - 1.0) * (x - 1.0));
            Ok((terms.sum(), x.iter().enumerate().map(|(i, x)| scale(i) * (x - 1.0)).collect()))
        };
        let lbfgs = Lbfgs { memory, cost_tolerance: 0.0, gradient_tolerance: 1e-5, max_steps: 5000 };
        let minimum = minimize(lbfgs, &[0.0; 30], quadratic);
        assert!(minimum.converged && distance_to_ones(&minimum.x) < 1e-4, "{minimum:?}");
        assert!(minimum.evaluations <= most, "{condition}: {}", minimum.evaluations);
    }
}

#[test]
fn failures_bend_the_search_but_do_not_end_it() {
    type Evaluation = mercer::Result<(f64, Vec<f64>)>;
    let fails: [fn() -> Evaluation; 4] = [
        || Err(Error::NotPositiveDefinite { pivot: 0, jitter: 0.0, mean_diagonal: 1.0 }),
        || Ok((f64::NAN, vec![0.0; 2])),
        || Ok((f64::NEG_INFINITY, vec![0.0; 2])),
        || Ok((-1e9, vec![f64::NAN; 2])),
    ];
    for fail in fails {
        // A barrier: −log x − log(y − x) + x² + y², with values only where 0 < x < y.
        let barrier = |x: &[f64]| {
            let (x, y) = (x[0], x[1]);
            if !(x > 0.0 && y > x) {
                return fail();
            }
            let value = -x.ln() - (y - x).ln() + x * x + y * y;
            Ok((value, vec![-1.0 / x + 1.0 / (y - x) + 2.0 * x, -1.0 / (y - x) + 2.0 * y]))
        };
        for start in [[1e-3, 2e-3], [5.0, 5.001], [1e-6, 30.0]] {
            let minimum = minimize(Lbfgs::default(), &start, barrier);
            let (_, gradient) = barrier(&minimum.x).unwrap();
            assert!(minimum.converged && gradient.iter().all(|g| g.abs() < 1e-4), "{minimum:?}");
        }
    }
}

#[test]
fn a_wall_on_the_way_down_ends_the_search_near_it() {
    let wall = |x: &[f64]| match x[0] < 1.0 {
        true => Ok((-x[0], vec![-1.0])),
        false => Err(Error::Optimisation { step: 0, reason: "behind the wall".into() }),
    };
    let minimum = minimize(Lbfgs::default(), &[0.0], wall);
    assert!(minimum.x[0] < 1.0 && minimum.x[0] > 1.0 - 1e-6, "{minimum:?}");
    assert!(!minimum.converged && minimum.reason.contains("behind the wall"), "{minimum:?}");
}

#[test]
fn rounding_and_kinks_are_survived() {
    // Values off by up to 5e-7, as from a badly conditioned solve; gradients exact.
    let rough = |x: &[f64]| {
        let (value, gradient) = rosenbrock(x);
        Ok(((value * 1e6).round() / 1e6, gradient))
    };
    let minimum = minimize(Lbfgs::default(), &[-1.2, 1.0], rough);
    assert!(minimum.value <= 2e-6, "{minimum:?}");

    let kink = |x: &[f64]| Ok((x[0].abs() + 2.0 * x[1].abs(), vec![x[0].signum(), 2.0 * x[1].signum()]));
    let minimum = minimize(Lbfgs::default(), &[3.1, -1.7], kink);
    assert!(minimum.value < 1e-3, "{minimum:?}");
}

#[test]
fn the_number_of_steps_is_limited() {
    let start = [-1.2, 1.0];
    let minimum = minimize(Lbfgs { max_steps: 3, ..Lbfgs::default() }, &start, |x| Ok(rosenbrock(x)));
    assert!(!minimum.converged && minimum.steps == 3, "{minimum:?}");
    let minimum = minimize(Lbfgs { max_steps: 0, ..Lbfgs::default() }, &start, |x| Ok(rosenbrock(x)));
    assert_eq!((minimum.steps, minimum.x.as_slice()), (0, start.as_slice()));
}

#[test]
fn a_start_at_the_minimum_stays() {
    let minimum = minimize(Lbfgs::default(), &[1.0, 1.0], |x| Ok(rosenbrock(x)));
    assert!(minimum.converged);
    assert_eq!((minimum.steps, minimum.evaluations, minimum.gradient_norm), (0, 1, 0.0));
}

#[test]
fn functions_without_a_minimum_end() {
    let minimum = minimize(Lbfgs::default(), &[0.0], |x| Ok((-x[0], vec![-1.0])));
    assert!(minimum.value < -1e6, "{minimum:?}");
}

#[test]
fn runs_repeat_bit_by_bit() {
    let run = || minimize(Lbfgs::default(), &[-1.2, 1.0, 0.3], |x| Ok(rosenbrock(x)));
    assert_eq!(run(), run());
}
