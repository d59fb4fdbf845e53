//! Bounds of evidences in models of any scale: never above what they bound by more than the rounding error that they
//! state, and that is not much more than the true one.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Approximation, ExactGp, ROUNDING_LIMIT, Sgpr, Svgp, Variational};
use mercer::likelihood::Gaussian;
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::twofold::{Matrix, Twofold, dot, log_normal, log_tau};

#[derive(Clone, Copy, Debug)]
enum Radial {
    Rbf,
    Matern12,
    Matern32,
}

#[derive(Debug)]
struct Problem {
    radial: Radial,
    variance: f64,
    lengthscale: f64,
    noise: f64,
    x: Mat<f64>,
    z: Mat<f64>,
    y: Vec<f64>,
    mean: Vec<f64>,
    root: Mat<f64>,
}

impl Problem {
    /// Variances 1e-6 to 1e12, noise 1e-12 to 1e6, lengthscales 0.01 to 100 spans, n to 200 (most of them small), m to n.
    fn draw(seed: u64) -> Self {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut decade = |low: f64, high: f64| 10f64.powf(rng.random_range(low..high));
        let (variance, noise, lengthscale) = (decade(-6.0, 12.0), decade(-12.0, 6.0), decade(-2.0, 2.0));
        let largest = if rng.random_range(0..50) == 0 { 200 } else { 24 };
        let n = rng.random_range(1..=largest);
        let m = rng.random_range(1..=n);
        let dim = rng.random_range(1..3);
        let x = Mat::from_fn(n, dim, |_, _| f64::from(rng.random_range(0.0f32..1.0)));
        let of_data = rng.random_range(0..2) == 0;
        let mut z = Mat::from_fn(m, dim, |i, d| if of_data { x[(i, d)] } else { rng.random_range(0.0..1.0) });
        if m > 1 && rng.random_range(0..5) == 0 {
            let shift = 10f64.powf(rng.random_range(-9.0..-1.0));
            (0..dim).for_each(|d| z[(m - 1, d)] = z[(0, d)] + shift);
        }
        let scales = [variance.sqrt(), noise.sqrt(), (variance + noise).sqrt()];
        let scale = scales[rng.random_range(0..3)];
        let rough = noise.sqrt() * f64::from(rng.random_range(0..2));
        let y = (0..n)
            .map(|i| f64::from((scale * (5.0 * x[(i, 0)]).sin() + rough * rng.random_range(-1.7..1.7)) as f32))
            .collect();
        let mean = (0..m).map(|_| rng.random_range(-2.0..2.0)).collect();
        let small = 10f64.powf(rng.random_range(-4.0..0.0));
        let root = Mat::from_fn(m, m, |i, j| match i == j {
            true => small * rng.random_range(0.1..1.0),
            false if i > j => small * rng.random_range(-0.3..0.3),
            false => 0.0,
        });
        let radial = [Radial::Rbf, Radial::Matern12, Radial::Matern32][rng.random_range(0..3)];
        Self { radial, variance, lengthscale, noise, x, z, y, mean, root }
    }

    /// The same with the points in the other order.
    fn turned(&self) -> Self {
        let turn = |a: &Mat<f64>| Mat::from_fn(a.nrows(), a.ncols(), |i, d| a[(a.nrows() - 1 - i, d)]);
        let (x, z, y) = (turn(&self.x), turn(&self.z), self.y.iter().rev().copied().collect());
        Self { x, z, y, mean: self.mean.clone(), root: self.root.clone(), ..*self }
    }

    fn kernel(&self) -> DynKernel {
        match self.radial {
            Radial::Rbf => (self.variance * Rbf::new(self.lengthscale)).dynamic(),
            Radial::Matern12 => (self.variance * Matern12::new(self.lengthscale)).dynamic(),
            Radial::Matern32 => (self.variance * Matern32::new(self.lengthscale)).dynamic(),
        }
    }

    fn covariance(&self, a: &Mat<f64>, b: &Mat<f64>) -> Matrix {
        let lengthscale = Twofold::from(self.lengthscale);
        Matrix::from_fn(a.nrows(), b.nrows(), |i, j| {
            let difference = |d| Twofold::from(a[(i, d)]) - b[(j, d)].into();
            let squared: Twofold = (0..a.ncols()).map(|d| difference(d) * difference(d)).sum();
            let squared = squared / (lengthscale * lengthscale);
            let correlation = match self.radial {
                Radial::Rbf => (squared * (-0.5).into()).exp(),
                Radial::Matern12 => (-squared.sqrt()).exp(),
                Radial::Matern32 => {
                    let scaled = (squared * 3.0.into()).sqrt();
                    (Twofold::from(1.0) + scaled) * (-scaled).exp()
                }
            };
            correlation * self.variance.into()
        })
    }

    fn exact(&self) -> Option<f64> {
        let mut covariance = self.covariance(&self.x, &self.x);
        (0..self.y.len()).for_each(|i| covariance.columns[i][i] = covariance.columns[i][i] + self.noise.into());
        Some(log_normal(&self.y, covariance)?.value())
    }

    /// A = L⁻¹K_uf by its columns.
    fn projection(&self, jitter: f64) -> Option<Matrix> {
        let mut k_uu = self.covariance(&self.z, &self.z);
        (0..k_uu.rows).for_each(|i| k_uu.columns[i][i] = k_uu.columns[i][i] + jitter.into());
        let l = k_uu.cholesky()?;
        let k_uf = self.covariance(&self.z, &self.x);
        Some(Matrix { rows: l.rows, columns: k_uf.columns.into_iter().map(|column| l.solve(column)).collect() })
    }

    /// The evidence of an approximation.
    fn collapsed(&self, approximation: Approximation, jitter: f64) -> Option<f64> {
        let (a, n) = (self.projection(jitter)?, self.y.len());
        let half = Twofold::from(0.5);
        let left: Vec<Twofold> = a.columns.iter().map(|a| Twofold::from(self.variance) - dot(a, a)).collect();
        let fitc = approximation == Approximation::Fitc;
        let lambda: Vec<Twofold> =
            left.iter().map(|&left| if fitc { left + self.noise.into() } else { self.noise.into() }).collect();
        let mut b = Matrix::from_fn(a.rows, a.rows, |i, j| {
            a.columns.iter().zip(&lambda).map(|(a, &lambda)| a[i] * a[j] / lambda).sum()
        });
        (0..a.rows).for_each(|i| b.columns[i][i] = b.columns[i][i] + 1.0.into());
        let l = b.cholesky()?;
        let target =
            (0..a.rows).map(|i| (0..n).map(|j| a.columns[j][i] * self.y[j].into() / lambda[j]).sum()).collect();
        let m = l.solve_transposed(l.solve(target));
        let misfit = |j: usize| Twofold::from(self.y[j]) - dot(&a.columns[j], &m);
        let quadratic: Twofold = (0..n).map(|j| misfit(j) * misfit(j) / lambda[j]).sum();
        let log_det: Twofold = lambda.iter().map(|lambda| lambda.ln()).sum();
        let density = -(half * (quadratic + dot(&m, &m) + log_det + log_tau(n)) + l.half_log_det());
        let trace: Twofold = left.iter().copied().sum::<Twofold>() * half / self.noise.into();
        Some(if approximation == Approximation::Vfe { (density - trace).value() } else { density.value() })
    }

    /// The bound of q(v) = N(m, RRᵀ).
    fn uncollapsed(&self, jitter: f64) -> Option<f64> {
        let a = self.projection(jitter)?;
        let m: Vec<Twofold> = self.mean.iter().map(|&mean| mean.into()).collect();
        let half = Twofold::from(0.5);
        let roots: Vec<Vec<Twofold>> =
            (0..m.len()).map(|j| (0..m.len()).map(|i| self.root[(i, j)].into()).collect()).collect();
        let expected: Twofold = a
            .columns
            .iter()
            .zip(&self.y)
            .map(|(a, &y)| {
                let miss = Twofold::from(y) - dot(a, &m);
                let spread: Twofold = roots.iter().map(|root| dot(root, a) * dot(root, a)).sum();
                miss * miss + Twofold::from(self.variance) - dot(a, a) + spread
            })
            .sum();
        let log_noise = Twofold::from(self.noise).ln() * (self.y.len() as f64).into();
        let expected = half * (expected / self.noise.into() + log_noise + log_tau(self.y.len()));
        let squares: Twofold = roots.iter().map(|root| dot(root, root)).sum();
        let logs: Twofold = (0..m.len()).map(|i| roots[i][i].ln()).sum();
        let kl = half * (squares + dot(&m, &m) - (m.len() as f64).into()) - logs;
        Some(-(expected + kl).value())
    }
}

/// A result, what it states of its rounding error, and what it has to be.
struct Found {
    value: f64,
    rounding: f64,
    right: f64,
}

/// Of the collapsed approximations and of the bound of a q, where neither precision has to give up.
fn evaluate<T: Scalar>(problem: &Problem, exact: f64) -> [Option<Found>; 4] {
    let x = Mat::from_fn(problem.x.nrows(), problem.x.ncols(), |i, d| T::from_f64(problem.x[(i, d)]));
    let y: Vec<T> = problem.y.iter().map(|&y| T::from_f64(y)).collect();
    let below = |value: f64, rounding: f64| {
        assert!(value <= exact + rounding, "{value} is above {exact} by more than {rounding}: {problem:?}");
    };
    let collapsed = [Approximation::Vfe, Approximation::Fitc, Approximation::Dtc].map(|approximation| {
        let model = Sgpr::new(problem.kernel(), problem.z.as_ref()).unwrap().with_noise(problem.noise).unwrap();
        let model = model.with_approximation(approximation).with_par(Par::Seq);
        let evidence = model.objective(&Data::new(x.as_ref(), &y)).ok()?;
        if approximation == Approximation::Vfe {
            assert!(evidence.trace >= 0.0);
            below(evidence.value, evidence.rounding);
        }
        let right = problem.collapsed(approximation, evidence.jitter)?;
        Some(Found { value: evidence.value, rounding: evidence.rounding, right })
    });
    let q = Variational::new(&problem.mean, problem.root.as_ref()).unwrap();
    let model = Svgp::new(problem.kernel(), problem.z.as_ref()).unwrap();
    let model = model.with_likelihood(Gaussian::new(problem.noise)).with_variational(q).unwrap().with_par(Par::Seq);
    let uncollapsed = model.objective(&Data::new(x.as_ref(), &y)).ok().and_then(|elbo| {
        below(elbo.value, elbo.rounding);
        Some(Found { value: elbo.value, rounding: elbo.rounding, right: problem.uncollapsed(elbo.jitter)? })
    });
    let [vfe, fitc, dtc] = collapsed;
    [vfe, fitc, dtc, uncollapsed]
}

/// Bounds are below the exact evidence, to what they state, in every model. What is stated is more than 100 times the true
/// error in some 1 in 100, of which samples find at most 2, and less than it in no more, which are some with noise below ε times the kernel's variance.
///
/// One error may be 0 by chance, so that the true one of a model is the larger of those that it has with its points in one
/// order and in the other. Tens of roundings of numbers of the result's size are not known better than to some ε each; and of
/// one or two points, all roundings are none in one of a few models.
fn many<T: Scalar>(count: usize) {
    let first = mercer::testkit::seed(7).wrapping_mul(1_000_003);
    let (mut all, mut loose, mut exceeded) = (0, 0, 0);
    let count = mercer::testkit::trials(count);
    for seed in 0..count as u64 {
        let problem = Problem::draw(first.wrapping_add(seed));
        let Some(exact) = problem.exact() else { continue };
        let there = evaluate::<T>(&problem, exact);
        let back = evaluate::<T>(&problem.turned(), exact);
        if problem.y.len() < 3 {
            continue;
        }
        for (there, back) in there.into_iter().zip(back) {
            let (Some(there), Some(back)) = (there, back) else { continue };
            let error = |found: &Found| (found.value - found.right).abs();
            let floor = 10.0 * T::epsilon().as_f64() * (1.0 + there.value.abs());
            all += 1;
            loose += usize::from(there.rounding > 100.0 * error(&there).max(error(&back)).max(floor));
            exceeded += usize::from(error(&there) > there.rounding + floor);
        }
    }
    println!("of {all}, {loose} state more than 100 times their error, and {exceeded} less than it");
    assert!(all > count && 50 * loose <= all && 50 * exceeded <= all, "of {all}: {loose} loose, {exceeded} exceeded");
}

#[test]
fn bounds_are_what_they_are_to_the_error_that_they_state() {
    many::<f64>(200);
}

#[test]
fn bounds_are_what_they_are_to_the_error_that_they_state_in_single_precision() {
    many::<f32>(100);
}

/// The optimum is where the kernel's variance is so large that K − Q is rounding: an optimiser must not take what it finds there.
#[test]
fn a_fit_ends_before_rounding_counts() {
    let fraction = |i: usize, step: f64| (0.5 + step * (i + 1) as f64).fract();
    let n = 400;
    let x = Mat::from_fn(n, 2, |i, d| 6.0 * fraction(i, [0.7548776662466927, 0.5698402909980532][d]));
    for scale in [1e-3, 1.0] {
        let y: Vec<f64> = (0..n)
            .map(|i| scale * (x[(i, 0)].sin() + x[(i, 1)].cos() + 0.1 * (fraction(i, 0.6180339887498949) - 0.5)))
            .collect();
        let z = Mat::from_fn(20, 2, |i, d| x[(i * (n / 20), d)]);
        let mut model = Sgpr::new(1.0 * Rbf::new([1.0, 1.0]), z.as_ref()).unwrap();
        model.freeze("inducing").unwrap();
        let fit = model.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()).unwrap();
        let bound = model.objective(&Data::new(x.as_ref(), &y)).unwrap();
        let noise = model.likelihood().variance();
        let exact = ExactGp::new(model.kernel().clone()).with_noise(noise).unwrap();
        let exact = exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
        println!("{bound:?} {exact} {}: {} {noise:e}", fit.reason, model.kernel());
        assert!(bound.rounding <= ROUNDING_LIMIT && bound.value + fit.value == 0.0);
        assert!(bound.value <= exact + bound.rounding && bound.trace >= 0.0, "{bound:?} {exact}");
        let ends = fit.reason.contains("rounding may have changed the objective");
        assert!(scale == 1.0 || (ends && !fit.converged), "{}", fit.reason);
    }
}

/// The start of a fit without digits is an error that says what to do.
#[test]
fn a_fit_that_starts_without_digits_is_refused() {
    let x = Mat::from_fn(40, 1, |i, _| 0.1 * i as f64);
    let y: Vec<f64> = (0..40).map(|i| (0.1 * i as f64).sin()).collect();
    let mut model = Sgpr::new(1e12 * Rbf::new(1.0), x.subrows(0, 20)).unwrap().with_noise(1e-4).unwrap();
    let rounding = model.objective(&Data::new(x.as_ref(), &y)).unwrap().rounding;
    match model.fit(&Data::new(x.as_ref(), &y), &Lbfgs::default()) {
        Err(Error::Rounding { error, limit, .. }) => assert!(error > limit && rounding > limit),
        other => unreachable!("{other:?}"),
    }
}
