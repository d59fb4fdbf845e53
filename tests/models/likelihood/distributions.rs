//! The distribution of new observations, of every likelihood.
#![allow(clippy::unwrap_used, clippy::panic)]

use faer::mat;
use mercer::likelihood::{
    Bernoulli, Beta, FixedNoise, Gamma, Gaussian, Heteroscedastic, Laplace, Likelihood, LinearMixing, NegativeBinomial,
    Ordinal, Poisson, RobustMax, Softmax, StudentT,
};
use mercer::testkit::likelihoods::Oracle;
use rand::SeedableRng;

/// A likelihood with three observations, and means of its latent values.
struct Case {
    likelihood: Box<dyn Likelihood>,
    y: Vec<f64>,
    mean: Vec<f64>,
}

fn case(likelihood: impl Likelihood, y: &[f64], mean: &[f64]) -> Case {
    Case { likelihood: Box::new(likelihood), y: y.to_vec(), mean: mean.to_vec() }
}

fn cases() -> Vec<Case> {
    let numbers = ([0.3, -1.2, 4.0], [0.4, 0.1, 1.3]);
    let counts = ([3.0, 0.0, 40.0], [0.4, 1.3, 3.0]);
    let outputs: Vec<Box<dyn Likelihood>> =
        vec![Box::new(Gaussian::new(0.3)), Box::new(Poisson::new()), Box::new(StudentT::new(0.8, 4.0))];
    let weights = mat![[1.0, 0.5], [-0.7, 0.3], [0.2, 2.0]];
    let mixing = LinearMixing::new(weights.as_ref(), outputs).unwrap().with_offset(&[0.1, -0.4, 2.0]).unwrap();
    vec![
        case(Gaussian::new(0.3), &numbers.0, &numbers.1),
        case(FixedNoise::new(&[1.0; 3]).unwrap().for_new(&[0.3, 2.0, 0.01]).unwrap(), &numbers.0, &numbers.1),
        case(StudentT::new(0.7, 4.0), &numbers.0, &numbers.1),
        case(StudentT::new(0.7, 1.0), &numbers.0, &numbers.1),
        case(StudentT::new(0.7, 3e4), &numbers.0, &numbers.1),
        case(Laplace::new(0.5), &numbers.0, &numbers.1),
        case(Gamma::new(0.6), &[1.3, 0.2, 4.0], &numbers.1),
        case(Gamma::new(300.0), &[1.3, 0.9, 4.0], &numbers.1),
        case(Beta::new(0.7), &[0.3, 0.02, 0.9], &numbers.1),
        case(Beta::new(50.0), &[0.6, 0.4, 0.9], &numbers.1),
        case(Poisson::new(), &counts.0, &counts.1),
        case(Poisson::new().for_new(&[1.0, 0.1, 300.0]).unwrap(), &[3.0, 0.0, 5000.0], &counts.1),
        case(NegativeBinomial::new(0.3), &counts.0, &counts.1),
        case(NegativeBinomial::new(1e-7), &counts.0, &counts.1),
        case(NegativeBinomial::new(20.0), &counts.0, &counts.1),
        case(Bernoulli::logit(), &[0.0, 1.0, 1.0], &numbers.1),
        case(Bernoulli::probit(), &[0.0, 1.0, 1.0], &numbers.1),
        case(Ordinal::new(&[-0.7, 0.1, 1.5]), &[0.0, 2.0, 3.0], &numbers.1),
        case(Heteroscedastic::new(), &numbers.0, &[0.4, 0.1, 1.3, -0.3, 0.6, -2.0]),
        case(mixing, &[1.0, -0.5, 2.0, 3.0, 0.0, 1.0, 0.1, 4.0, -1.0], &[0.4, 0.1, 0.2, -0.3, 0.6, 0.5]),
    ]
}

#[test]
fn densities_probabilities_quantiles_and_draws_agree() {
    for Case { likelihood, y, mean } in cases() {
        for variances in [[0.3, 1.2, 0.05], [0.0, 1e-9, 0.8], [4.0, 2.0, 3.0]] {
            let variance: Vec<f64> = variances.iter().cycle().take(mean.len()).copied().collect();
            let oracle = Oracle::of(&*likelihood).at(&y, &mean, &variance).within(3e-9);
            if let Err(violation) = oracle.check_distribution() {
                panic!("{likelihood:?} with {variances:?}: {violation}");
            }
        }
    }
}

/// From one point with all to the ends of what floating point holds: no panic, nothing but probabilities.
#[test]
fn huge_uncertainty_leaves_probabilities() {
    for Case { likelihood, y, mean } in cases() {
        for variance in [1e4, 1e10, 1e100, 1e300] {
            let variances = vec![variance; mean.len()];
            let found = likelihood.cumulative(&y, &mean, &variances).unwrap();
            assert!(found.iter().all(|p| (0.0..=1.0).contains(p)), "{likelihood:?} {variance}: {found:?}");
            let quantiles = likelihood.quantile(0.3, &mean, &variances).unwrap();
            assert!(quantiles.iter().all(|q| !q.is_nan()), "{likelihood:?} {variance}: {quantiles:?}");
        }
        let ends = [0.0, 1.0].map(|p| likelihood.quantile(p, &mean, &vec![1.0; mean.len()]).unwrap()[0]);
        let below = likelihood.cumulative(&vec![f64::NEG_INFINITY; y.len()], &mean, &vec![1.0; mean.len()]).unwrap();
        let all = likelihood.cumulative(&vec![f64::INFINITY; y.len()], &mean, &vec![1.0; mean.len()]).unwrap();
        assert!(
            ends[0] < ends[1] && below.iter().all(|&p| p == 0.0) && all.iter().all(|&p| p == 1.0),
            "{likelihood:?}"
        );
        let missing = likelihood.cumulative(&vec![f64::NAN; y.len()], &mean, &vec![1.0; mean.len()]).unwrap();
        assert!(missing.iter().all(|p| p.is_nan()), "{likelihood:?}");
        for p in [-0.1, 1.1, f64::NAN] {
            let error = likelihood.quantile(p, &mean, &vec![1.0; mean.len()]).unwrap_err().to_string();
            assert!(error.contains("must be between 0 and 1"), "{likelihood:?}: {error}");
        }
        assert!(likelihood.cumulative(&y[1..], &mean, &vec![1.0; mean.len()]).is_err(), "{likelihood:?}");
        let mut rng = rand_pcg::Pcg64::seed_from_u64(3);
        assert!(likelihood.draw(&vec![f64::NAN; mean.len()], &mut rng).is_err(), "{likelihood:?}");
    }
}

/// At v → ∞, f is −∞ or ∞: what is positive is 0 or ∞, each with the probability ½.
#[test]
fn limits_of_huge_uncertainty() {
    let half: [Box<dyn Likelihood>; 5] = [
        Box::new(Poisson::new()),
        Box::new(NegativeBinomial::new(0.5)),
        Box::new(Gamma::new(2.0)),
        Box::new(Bernoulli::logit()),
        Box::new(StudentT::new(1.0, 3.0)),
    ];
    for likelihood in half {
        let found = likelihood.cumulative(&[1e-3f64.max(0.0)], &[0.0], &[1e30]).unwrap()[0];
        assert!((found - 0.5).abs() < 1e-10, "{likelihood:?}: {found}");
    }
}

/// Classes have no order: draws alone.
#[test]
fn draws_of_classes_are_by_their_probabilities() {
    let (f, n) = ([0.4, -0.3, 1.2], 4000);
    let certain: [Box<dyn Likelihood>; 2] = [Box::new(Softmax::new(3)), Box::new(RobustMax::new(3, 0.2))];
    for likelihood in certain {
        let all: Vec<f64> = f.iter().flat_map(|&f| vec![f; n]).collect();
        let draws = likelihood.draw(&all, &mut rand_pcg::Pcg64::seed_from_u64(5)).unwrap();
        assert_eq!(draws.len(), n);
        for class in 0..3 {
            let p = likelihood.log_density(&[f64::from(class)], &f).unwrap()[0].exp();
            let share = draws.iter().filter(|&&y| y == f64::from(class)).count() as f64 / n as f64;
            assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / n as f64).sqrt(), "{likelihood:?}: {share} {p}");
        }
        for error in [likelihood.cumulative(&[0.0], &f, &f), likelihood.quantile(0.5, &f, &f)] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("no order") && error.contains("Ordinal"), "{error}");
        }
        assert!(likelihood.draw(&f[..2], &mut rand_pcg::Pcg64::seed_from_u64(5)).is_err());
    }
}

/// What new observations need is asked for, as predictions ask for it.
#[test]
fn what_is_unknown_of_new_observations_is_asked_for() {
    let known: [Box<dyn Likelihood>; 2] =
        [Box::new(FixedNoise::new(&[0.1]).unwrap()), Box::new(Poisson::new().with_exposures(&[2.0]).unwrap())];
    for likelihood in known {
        let expected = likelihood.predict(&[0.0], &[1.0]).unwrap_err();
        assert_eq!(likelihood.cumulative(&[0.0], &[0.0], &[1.0]).unwrap_err(), expected);
        assert_eq!(likelihood.quantile(0.5, &[0.0], &[1.0]).unwrap_err(), expected);
        assert_eq!(likelihood.draw(&[0.0], &mut rand_pcg::Pcg64::seed_from_u64(1)).unwrap_err(), expected);
    }
}

/// P(Y ≤ y) of counts is the sum of their probabilities.
#[test]
fn counts_are_sums_of_densities() {
    let counts: [Box<dyn Likelihood>; 4] = [
        Box::new(Poisson::new().with_exposure(2.0).unwrap()),
        Box::new(NegativeBinomial::new(0.4)),
        Box::new(NegativeBinomial::new(3.0)),
        Box::new(Bernoulli::logit()),
    ];
    for likelihood in counts {
        let last = if likelihood.name() == "bernoulli" { 2 } else { 60 };
        for (mean, variance) in [(1.3, 0.5), (-2.0, 2.0), (2.0, 0.0)] {
            let y: Vec<f64> = (0..last).map(f64::from).collect();
            let (means, variances) = (vec![mean; y.len()], vec![variance; y.len()]);
            let densities = likelihood.log_predictive_density(&y, &means, &variances).unwrap();
            let found = likelihood.cumulative(&y, &means, &variances).unwrap();
            let mut sum = 0.0;
            for ((y, density), found) in y.iter().zip(densities).zip(&found) {
                sum += density.exp();
                // Densities of new observations are within 1e-9 of themselves.
                assert!((found - sum).abs() < 1e-9 * sum, "{likelihood:?} {mean} {variance}, {y}: {found} {sum}");
            }
            // The smallest count that reaches p, by search.
            for p in [0.025, 0.3, 0.5, 0.9, 0.975] {
                let quantile = likelihood.quantile(p, &[mean], &[variance]).unwrap()[0];
                let expected = found.iter().position(|&found| found >= p);
                assert!(expected.is_none_or(|expected| quantile == expected as f64), "{likelihood:?} {p}: {quantile}");
            }
        }
    }
}

/// Of a million and more, a normal variable with the moments of the count: its distribution function is off by the skewness, 1/√m.
#[test]
fn counts_of_a_million() {
    for mean in [1e6f64, 1e9, 1e12] {
        let likelihood = Poisson::new();
        let f = mean.ln();
        for z in [-3.0, -0.5, 0.0, 2.0] {
            let y = (mean + z * mean.sqrt()).floor();
            let found = likelihood.cumulative(&[y], &[f], &[0.0]).unwrap()[0];
            // The first term of the Edgeworth series, with the correction for whole numbers.
            let x = (y + 0.5 - mean) / mean.sqrt();
            let phi = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            let normal = 0.5 * libm_erfc(-x / 2f64.sqrt());
            let edgeworth = normal - phi * (x * x - 1.0) / (6.0 * mean.sqrt());
            // exp(log m) is off by ε log m, in deviations times √m.
            let rounding = 2.0 * f64::EPSILON * f * mean.sqrt();
            assert!((found - edgeworth).abs() < 0.1 / mean + rounding, "{mean} {z}: {found} {edgeworth}");
            assert_eq!(likelihood.quantile(found, &[f], &[0.0]).unwrap()[0], y);
        }
        let spread = likelihood.quantile(0.975, &[f], &[1e-8]).unwrap()[0] - mean;
        let expected = 1.959_963_984_540_054 * (mean + 1e-8 * mean * mean).sqrt();
        assert!((spread / expected - 1.0).abs() < 2e-3, "{spread} {expected}");
    }
}

/// By the distribution function of N(0, 1) that the Gaussian likelihood has.
fn libm_erfc(x: f64) -> f64 {
    2.0 * Gaussian::new(1.0).cumulative(&[-x * 2f64.sqrt()], &[0.0], &[0.0]).unwrap()[0]
}
