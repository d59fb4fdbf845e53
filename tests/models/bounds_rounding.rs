//! Bounds of evidences in models of any scale: never above what they bound by more than the rounding error that they
//! state, and that is not much more than the true one.
#![allow(clippy::unwrap_used)]

use mercer::gp::{Approximation, Sgpr, Svgp, Variational};
use mercer::likelihood::Gaussian;
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::twofold::{Matrix, Twofold, dot, log_normal, log_tau};

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

/// What is found, what it states, and what it has to be.
struct Found {
    value: f64,
    rounding: f64,
    right: f64,
}

fn check<T: Scalar>(name: &str, seed: u64, ratios: &mut Vec<f64>) {
    let problem = Problem::draw(seed);
    let Some(exact) = problem.exact() else { return };
    let x = Mat::from_fn(problem.x.nrows(), problem.x.ncols(), |i, d| T::from_f64(problem.x[(i, d)]));
    let y: Vec<T> = problem.y.iter().map(|&y| T::from_f64(y)).collect();
    let mut found = Vec::new();
    for approximation in [Approximation::Vfe, Approximation::Fitc, Approximation::Dtc] {
        let model = Sgpr::new(problem.kernel(), problem.z.as_ref()).unwrap().with_noise(problem.noise).unwrap();
        let model = model.with_approximation(approximation).with_par(Par::Seq);
        let Ok(evidence) = model.log_evidence(x.as_ref(), &y) else { continue };
        let Some(right) = problem.collapsed(approximation, evidence.jitter) else { continue };
        if approximation == Approximation::Vfe {
            assert!(evidence.trace >= 0.0);
        }
        found.push((format!("{approximation:?}"), Found { value: evidence.value, rounding: evidence.rounding, right }));
    }
    let q = Variational::new(&problem.mean, problem.root.as_ref()).unwrap();
    let model = Svgp::new(problem.kernel(), problem.z.as_ref()).unwrap();
    let model = model.with_likelihood(Gaussian::new(problem.noise)).with_variational(q).unwrap().with_par(Par::Seq);
    if let Ok(elbo) = model.elbo(x.as_ref(), &y)
        && let Some(right) = problem.uncollapsed(elbo.jitter)
    {
        found.push(("q".to_owned(), Found { value: elbo.value, rounding: elbo.rounding, right }));
    }
    for (what, Found { value, rounding, right }) in found {
        let error = (value - right).abs();
        println!(
            "DATA {name} {what} {seed} {value:e} {right:e} {exact:e} {rounding:e} {error:e} {:e} {:e} {:e} {} {} {:?}",
            problem.variance,
            problem.noise,
            problem.lengthscale,
            problem.y.len(),
            problem.z.nrows(),
            problem.radial
        );
        ratios.push(rounding / error.max(T::epsilon().as_f64() * value.abs()));
    }
}

fn many<T: Scalar>(name: &str, count: usize) {
    let first = mercer::testkit::seed(7);
    let mut ratios = Vec::new();
    for seed in 0..mercer::testkit::trials(count) as u64 {
        check::<T>(name, first.wrapping_mul(1_000_003).wrapping_add(seed), &mut ratios);
    }
    let loose = ratios.iter().filter(|ratio| **ratio > 100.0).count();
    println!("{name}: {loose} of {} loose", ratios.len());
}

#[test]
fn bounds_are_below_to_what_they_state() {
    many::<f64>("double", 200);
    many::<f32>("single", 100);
}
