//! KL(q ‖ prior) of the sparse variational process, and its gradient, against dense algebra of twice the digits.
//!
//! The law: it is not negative, and right to 1e-10 (1 + KL) in `f64` and 1e-4 (1 + KL) in `f32`, where standard
//! deviations are from 1e-12 to 1e6, whatever the form of q and of the covariance of the inducing variables. These are
//! well conditioned, for the divergence itself not to depend on the rounding of their covariance.
#![allow(clippy::unwrap_used)]

use approx::assert_abs_diff_eq;
use mercer::gp::{Elbo, MeanBasis, Sgpr, Svgp, Variational};
use mercer::inducing::{InducingFeatures, InducingPrior};
use mercer::likelihood::Gaussian;
use mercer::linalg::Jitter;
use mercer::prelude::*;
use mercer::tape::{KernelVar, Tape, Var};
use mercer::testkit::{seed, trials};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::data::uniform_from;
use crate::common::twofold::Twofold;
use crate::common::twofold::rows::{self as dd, Rows};

/// So much noise that the bound is −KL and a constant.
const NOISE: f64 = 1e200;

/// 10ᵃ for a uniform a.
fn any_size(rng: &mut Pcg64, least: f64, most: f64) -> f64 {
    10f64.powf(rng.random_range(least..most))
}

/// q of one of the forms, of rank from 0 to above M if it has one, with the B of S = BBᵀ.
fn random_q(rng: &mut Pcg64, form: usize, m: usize) -> (Variational, Rows) {
    let size = any_size(rng, -3.0, 2.0);
    let mean: Vec<f64> = (0..m).map(|_| size * rng.random_range(-1.0..1.0)).collect();
    let common = any_size(rng, -12.0, 6.0);
    let alike = rng.random_bool(0.3);
    let deviation: Vec<f64> = (0..m).map(|_| if alike { common } else { any_size(rng, -12.0, 6.0) }).collect();
    let diagonal = Mat::from_fn(m, m, |i, j| if i == j { deviation[i] } else { 0.0 });
    match form {
        0 => {
            let size = any_size(rng, -3.0, 1.0);
            let sign = |rng: &mut Pcg64| if rng.random_bool(0.5) { -1.0 } else { 1.0 };
            let factor = Mat::from_fn(m, m, |i, j| match i.cmp(&j) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => sign(rng) * deviation[i],
                std::cmp::Ordering::Greater => size * rng.random_range(-1.0..1.0),
            });
            (Variational::new(&mean, factor.as_ref()).unwrap(), dd::rows(factor.as_ref()))
        }
        1 => (Variational::diagonal(&mean, &deviation).unwrap(), dd::rows(diagonal.as_ref())),
        _ => {
            let rank = rng.random_range(0..m + 3);
            let v = uniform_from(rng, m, rank) * any_size(rng, -3.0, 3.0);
            let q = Variational::low_rank(&mean, &deviation, v.as_ref()).unwrap();
            (q, dd::beside(&dd::rows(diagonal.as_ref()), &dd::rows(v.as_ref())))
        }
    }
}

/// KL(N(m, BBᵀ) ‖ N(0, LLᵀ)).
fn right(mean: &[f64], b: &Rows, l: &Rows) -> f64 {
    let (mean, b) = (dd::solve_lower(l, &dd::column(mean)), dd::solve_lower(l, b));
    let twice = dd::squares(&mean) + dd::squares(&b) - Twofold::from(mean.len() as f64);
    0.5 * twice.value() - dd::half_log_det(&dd::lower_of(&b))
}

fn identity(m: usize) -> Rows {
    dd::rows(Mat::<f64>::identity(m, m).as_ref())
}

/// Points two lengthscales apart.
fn apart(m: usize) -> Mat<f64> {
    Mat::from_fn(m, 1, |i, _| 2.0 * i as f64)
}

fn kernel() -> Scaled<Rbf> {
    1.5 * Rbf::new(1.0)
}

fn elbo<T: Scalar, F: InducingFeatures>(model: &Svgp<Scaled<Rbf>, F>) -> Elbo
where
    Scaled<Rbf>: Kernel<T>,
{
    model.objective(&Data::new(Mat::from_fn(1, 1, |_, _| T::from_f64(0.5)).as_ref(), [T::from_f64(0.1)])).unwrap()
}

fn holds<F: InducingFeatures>(what: &str, model: &Svgp<Scaled<Rbf>, F>, right: f64) {
    let (double, single) = (elbo::<f64, F>(model).kl, elbo::<f32, F>(model).kl);
    assert!(double >= 0.0 && single >= 0.0, "{what}: {double:e} {single:e}, right {right:e}");
    assert!((double - right).abs() <= 1e-10 * (1.0 + right), "{what}: {double:e} is not {right:e}");
    assert!((single - right).abs() <= 1e-4 * (1.0 + right), "{what}, f32: {single:e} is not {right:e}");
}

/// A covariance of inducing variables that is a diagonal and, with columns, a matrix of low rank. Nothing depends on them.
#[derive(Clone, Debug)]
struct Structured {
    variances: Vec<f64>,
    columns: Option<Mat<f64>>,
}

mercer::parameterized!(Structured as "structured", parameters: []);

impl Structured {
    fn random(rng: &mut Pcg64, m: usize, rank: Option<usize>) -> Self {
        let variances = (0..m).map(|_| rng.random_range(0.5..2.0)).collect();
        Self { variances, columns: rank.map(|rank| uniform_from(rng, m, rank)) }
    }

    fn lower(&self) -> Rows {
        let m = self.variances.len();
        let mut covariance = vec![vec![Twofold::ZERO; m]; m];
        if let Some(columns) = &self.columns {
            let columns = dd::rows(columns.as_ref());
            covariance = dd::product(&columns, &dd::transpose(&columns));
        }
        for (i, &variance) in self.variances.iter().enumerate() {
            covariance[i][i] = covariance[i][i] + Twofold::from(variance);
        }
        dd::cholesky(&covariance)
    }
}

impl InducingFeatures for Structured {
    fn len(&self) -> usize {
        self.variances.len()
    }

    fn dim(&self) -> usize {
        1
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<(), Error> {
        kernel.inputs(1).map(drop)
    }

    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        _: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        _: Jitter,
    ) -> Result<InducingPrior<'t, T>, Error> {
        let single = |a: &Mat<f64>| Mat::from_fn(a.nrows(), a.ncols(), |i, j| T::from_f64(a[(i, j)]));
        let variances = Mat::from_fn(self.len(), 1, |i, _| T::from_f64(self.variances[i]));
        let variances = tape.constant_owned(variances);
        match &self.columns {
            Some(columns) => InducingPrior::low_rank(parameter, variances, tape.constant_owned(single(columns))),
            None => Ok(InducingPrior::diagonal(parameter, variances)),
        }
    }

    fn cross<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        _: KernelVar<'t, 'a, T>,
        _: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>, Error> {
        Ok(tape.constant_owned(Mat::zeros(self.len(), tape.shape(x)?.0)))
    }
}

#[test]
fn the_divergence_is_right_whatever_the_sizes_of_the_parts() {
    let mut rng = Pcg64::seed_from_u64(seed(31));
    for trial in 0..trials(90) {
        let (form, m) = (trial % 3, rng.random_range(1..14));
        let (q, b) = random_q(&mut rng, form, m);
        let points = Svgp::new(kernel(), apart(m).as_ref()).unwrap().with_likelihood(Gaussian::new(NOISE));
        let expected = right(q.mean(), &b, &identity(m));
        holds(&format!("{trial}"), &points.clone().with_variational(q.clone()).unwrap(), expected);

        let q = q.unwhitened();
        let gram = dd::cholesky(&dd::rows(kernel().gram(apart(m).as_ref()).unwrap().as_ref()));
        let expected = right(q.mean(), &b, &gram);
        holds(&format!("{trial}, of the values"), &points.with_variational(q.clone()).unwrap(), expected);
        for rank in [None, Some(rng.random_range(1..4))] {
            let features = Structured::random(&mut rng, m, rank);
            let expected = right(q.mean(), &b, &features.lower());
            let model = Svgp::with_features(kernel(), features).unwrap().with_likelihood(Gaussian::new(NOISE));
            holds(&format!("{trial}, features of {rank:?}"), &model.with_variational(q.clone()).unwrap(), expected);
        }
    }
}

/// At the prior it is 0 to the last digit that there is, in every form, and not below.
#[test]
fn the_prior_does_not_diverge_from_itself() {
    for m in [1, 2, 7, 40, 150] {
        let low_rank = |rank| Variational::low_rank_prior(m, rank).unwrap();
        for q in [Variational::prior(m).unwrap(), Variational::diagonal_prior(m).unwrap(), low_rank(1), low_rank(m)] {
            let model = Svgp::new(kernel(), apart(m).as_ref()).unwrap().with_variational(q).unwrap();
            let (double, single) = (elbo::<f64, _>(&model).kl, elbo::<f32, _>(&model).kl);
            assert!((0.0..1e-13).contains(&double) && (0.0..1e-5).contains(&single), "{m}: {double:e} {single:e}");
        }
    }
}

/// −∂KL in the mean, and in the deviations and V, or in R. An error of a few units in the last place of each row of D
/// and V moves S⁻¹V and D S⁻¹ by as much of their rows' sizes, which are at most 1/d: the tolerance is relative to the
/// element and to 1e-12 of that.
#[test]
fn gradients_are_right_whatever_the_sizes_of_the_parts() {
    let mut rng = Pcg64::seed_from_u64(seed(32));
    for trial in 0..trials(90) {
        let (form, m) = (trial % 3, rng.random_range(1..14));
        let (q, b) = random_q(&mut rng, form, m);
        let model = Svgp::new(kernel(), apart(m).as_ref()).unwrap().with_likelihood(Gaussian::new(NOISE));
        let model = model.with_variational(q.clone()).unwrap();
        let (_, gradient) = model.gradient(&Data::new(mat![[0.5]].as_ref(), [0.1]).part_of(1)).unwrap();
        let found = &gradient[gradient.len() - q.num_params()..];

        // S⁻¹B, of which the first M columns are those of D or R.
        let root = dd::lower_of(&b);
        let solved = dd::solve_lower_transpose(&root, &dd::solve_lower(&root, &b));
        let slope = |i: usize, j: usize| (solved[i][j] - b[i][j]).value();
        let mut expected: Vec<(f64, f64)> = q.mean().iter().map(|mean| (-mean, 0.0)).collect();
        let size = |i: usize| 1e-12 / b[i][i].value().abs();
        match form {
            0 => (0..m).for_each(|j| {
                expected.extend((j..m).map(|i| {
                    // Of R⁻ᵀ the lower triangle is its diagonal.
                    let inverse = if i == j { 1.0 / b[i][i].value() } else { 0.0 };
                    (inverse - b[i][j].value(), 0.0)
                }))
            }),
            _ => {
                expected.extend((0..m).map(|i| (slope(i, i), size(i))));
                (m..b[0].len()).for_each(|j| expected.extend((0..m).map(|i| (slope(i, j), size(i)))));
            }
        }
        assert_eq!(found.len(), expected.len());
        for (index, (&found, (right, size))) in found.iter().zip(expected).enumerate() {
            let allowed = 1e-10 * (1.0 + right.abs()) + size;
            assert!((found - right).abs() <= allowed, "{trial}, {index}: {found:e} is not {right:e}");
        }
    }
}

/// The gap of a collapsed bound is a divergence too.
#[test]
fn gaps_are_right_whatever_the_sizes_of_the_parts() {
    let mut rng = Pcg64::seed_from_u64(seed(33));
    let (x, y) = (Mat::from_fn(9, 1, |i, _| 0.9 * i as f64), [0.1, 0.8, 1.1, 0.4, -0.3, -0.9, -1.0, -0.2, 0.5]);
    let sgpr = Sgpr::new(kernel(), apart(5).as_ref()).unwrap().with_noise(0.3).unwrap();
    let best = sgpr.optimal_variational(&Data::new(x.as_ref(), y)).unwrap();
    let root = dd::rows(best.factor().unwrap().as_ref());
    for trial in 0..trials(60) {
        let (q, b) = random_q(&mut rng, trial % 3, 5);
        let shift: Vec<f64> = q.mean().iter().zip(best.mean()).map(|(a, b)| a - b).collect();
        let (expected, found) = (right(&shift, &b, &root), sgpr.gap(&Data::new(x.as_ref(), y), &q).unwrap());
        assert!((found - expected).abs() <= 1e-10 * (1.0 + expected), "{trial}: {found:e} is not {expected:e}");
    }
}

/// The values at Z and at the further inputs Γ of the mean together, also where the weights undo the mean of u.
#[test]
fn a_basis_of_the_mean_has_the_divergence_of_the_joint_values() {
    let mut rng = Pcg64::seed_from_u64(seed(34));
    for trial in 0..trials(60) {
        let (m, further) = (rng.random_range(1..6), rng.random_range(1..6));
        let gamma = Mat::from_fn(further, 1, |_, _| rng.random_range(-1.0..11.0));
        let size = any_size(&mut rng, -3.0, 2.0);
        let weights = uniform_from(&mut rng, further, 1) * size;
        let (mut q, b) = random_q(&mut rng, trial % 3, m);

        let l = dd::cholesky(&dd::rows(kernel().gram(apart(m).as_ref()).unwrap().as_ref()));
        let cross = dd::rows(kernel().cross(apart(m).as_ref(), gamma.as_ref()).unwrap().as_ref());
        let whitened = dd::solve_lower(&l, &cross);
        let a = dd::rows(weights.as_ref());
        let seen = dd::product(&whitened, &a);
        if trial % 2 == 0 {
            let undone: Vec<f64> = seen.iter().map(|row| -row[0].value()).collect();
            q = with_mean(&q, &undone, &b);
        }
        let gram = dd::rows(kernel().gram(gamma.as_ref()).unwrap().as_ref());
        let norm = dd::product(&dd::transpose(&a), &dd::product(&gram, &a))[0][0] - dd::squares(&seen);
        for orthogonal in [false, true] {
            let basis = if orthogonal { MeanBasis::orthogonal(gamma.as_ref()) } else { MeanBasis::new(gamma.as_ref()) };
            let basis = basis.unwrap().with_weights(weights.as_ref()).unwrap();
            let mean: Vec<f64> = (0..m)
                .map(|i| if orthogonal { q.mean()[i] } else { (Twofold::from(q.mean()[i]) + seen[i][0]).value() })
                .collect();
            let expected = right(&mean, &b, &identity(m)) + 0.5 * norm.value().max(0.0);
            let model = Svgp::new(kernel(), apart(m).as_ref()).unwrap().with_likelihood(Gaussian::new(NOISE));
            let model = model.with_variational(q.clone()).unwrap().with_mean_basis(basis).unwrap();
            let (double, single) = (elbo::<f64, _>(&model).kl, elbo::<f32, _>(&model).kl);
            assert!(double >= 0.0 && single >= 0.0, "{trial}: {double:e} {single:e}");
            // What the weights add is a difference of squares of this size, of which rounding is that of K(Γ, Γ).
            let lost = dd::squares(&a).value() * further as f64;
            assert_abs_diff_eq!(double, expected, epsilon = 1e-10 * (1.0 + expected) + 1e-14 * lost);
            assert_abs_diff_eq!(single, expected, epsilon = 1e-4 * (1.0 + expected) + 1e-5 * lost);
        }
    }
}

/// The same covariance BBᵀ, of another mean.
fn with_mean(q: &Variational, mean: &[f64], b: &Rows) -> Variational {
    let (m, b) = (mean.len(), dd::to_f64(b));
    if q.factor().is_some() {
        return Variational::new(mean, b.as_ref()).unwrap();
    }
    let deviation: Vec<f64> = (0..m).map(|i| b[(i, i)]).collect();
    if b.ncols() == m && q.num_params() == 2 * m {
        return Variational::diagonal(mean, &deviation).unwrap();
    }
    Variational::low_rank(mean, &deviation, b.subcols(m, b.ncols() - m)).unwrap()
}
