//! The order of all bounds, of random problems.
#![allow(clippy::unwrap_used)]

use mercer::gp::{ExactGp, Sgpr, Svgp, Variational};
use mercer::likelihood::Gaussian;
use mercer::linalg::{Cholesky, Jitter};
use mercer::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

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
    let exact =
        ExactGp::new(kernel.clone()).with_par(par).with_noise(noise).unwrap().objective(&Data::new(x, &y)).unwrap();
    let scale = kernel.diag(z.as_ref()).unwrap().iter().sum::<f64>() / m as f64;
    for jitter in [Jitter::Fixed(1e-9 * scale), Jitter::default()] {
        let sgpr = Sgpr::new(kernel.clone(), z.as_ref()).unwrap().with_noise(noise).unwrap();
        let sgpr = sgpr.with_jitter(jitter).with_par(par);
        let svgp = Svgp::new(kernel.clone(), z.as_ref()).unwrap().with_likelihood(Gaussian::new(noise));
        let svgp = svgp.with_variational(q.clone()).unwrap().with_jitter(jitter).with_par(par);
        let elbo = svgp.objective(&Data::new(x, &y)).unwrap().value;
        let lower = sgpr.objective(&Data::new(x, &y)).unwrap();
        let upper = sgpr.upper_bound(&Data::new(x, &y)).unwrap();
        let gap = sgpr.gap(&Data::new(x, &y), &q).unwrap();
        let best = sgpr.into_svgp(&Data::new(x, &y)).unwrap().objective(&Data::new(x, &y)).unwrap().value;

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
