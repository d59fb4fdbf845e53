//! Kernels and models of `tests/data/pyro_kernels.json`, an independent library's, against ours.

#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::algebra::register_function;
use mercer::data::column;
use mercer::gp::{ExactGp, Posterior, Sgpr, Svgp, Variational};
use mercer::likelihood::Gaussian;
use mercer::linalg::Jitter;
use mercer::prelude::*;
use mercer::warp::Function;
use serde_json::Value;

use crate::common::close::{assert_close, assert_each_close};
use crate::common::entries::{by_columns, by_rows};
use crate::common::stored::{matrix, number, read, vector};

/// g(x) = (tanh x₀, x₁ + 0.3 x₂, x₂²/4), the map of the stored values.
#[derive(Clone, Debug)]
struct Bent;
mercer::parameterized!(Bent as "bent", parameters: []);
mercer::construct!(Bent: try_new());

impl Bent {
    fn try_new() -> mercer::Result<Self> {
        Ok(Self)
    }
}

impl Function for Bent {
    fn output_dim(&self, _: usize) -> mercer::Result<usize> {
        Ok(3)
    }

    fn apply<R: Real>(&self, _: &[R], x: &[R], out: &mut [R]) {
        out[0] = x[0].tanh();
        out[1] = x[1] + x[2] * 0.3;
        out[2] = x[2] * x[2] * 0.25;
    }
}

/// Their expression as ours, and the relative tolerance.
fn expressions(weights: &str, diagonal: &str) -> Vec<(&'static str, String, f64)> {
    let rbf = "1.7 * rbf([0.7, 1.3, 2.1])";
    let exact = 1e-12;
    vec![
        ("RBF", rbf.to_owned(), exact),
        // The library adds 1e-12 to r² under the root, which shows at this size.
        ("Matern52", "1.7 * matern52([0.7, 1.3, 2.1])".to_owned(), 1e-11),
        ("RationalQuadratic", "1.7 * rational_quadratic([0.7, 1.3, 2.1], alpha=0.8)".to_owned(), exact),
        ("Polynomial_deg3_bias0.6", "1.7 * polynomial(degree=3, scale=1, offset=0.6)".to_owned(), exact),
        ("Periodic_p1.9", "1.7 * periodic([0.7, 1.3, 2.1], period=1.9)".to_owned(), exact),
        ("WhiteNoise", "white(1.7)".to_owned(), exact),
        ("Coregionalize", format!("low_rank_linear({weights}, {diagonal})"), exact),
        ("RBF_dims02", "1.7 * on(rbf([0.7, 1.3]), [0, 2])".to_owned(), exact),
        ("Sum(RBF,2.5)", format!("{rbf} + 2.5"), exact),
        ("Product(RBF,0.3)", format!("{rbf} * 0.3"), exact),
        ("Exponent(RBF)", format!("exp({rbf})"), exact),
        ("Warping(RBF,i=g)", format!("bent({rbf})"), exact),
        ("Warping(RBF,i=g,o=[1,2])", format!("1 + 2 * bent({rbf})"), exact),
    ]
}

#[test]
fn kernels() {
    register_function::<Bent>("bent").unwrap();
    let fixture = read("pyro_kernels.json");
    let (x, z) = (matrix(&fixture["X"]), matrix(&fixture["Z"]));
    let expressions = expressions(&fixture["meta"]["W"].to_string(), &fixture["meta"]["D"].to_string());
    assert_eq!(expressions.len(), fixture["kernels"].as_object().unwrap().len());
    for (name, text, tolerance) in expressions {
        let kernel: DynKernel = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let stored = &fixture["kernels"][name];
        let compare = |what: &str, ours: &Mat<f64>| {
            let theirs = matrix(&stored[what]);
            for col in 0..theirs.ncols() {
                for row in 0..theirs.nrows() {
                    let (ours, theirs) = (ours[(row, col)], theirs[(row, col)]);
                    let close = (ours - theirs).abs() <= tolerance * theirs.abs();
                    assert!(close, "{name} as {text}, {what}[{row}, {col}]: {ours:e}, but {theirs:e} is stored");
                }
            }
        };
        compare("XX", &kernel.gram(x.as_ref()).unwrap());
        compare("XZ", &kernel.cross(x.as_ref(), z.as_ref()).unwrap());
        let diag: Vec<f64> = kernel.diag(x.as_ref()).unwrap();
        for (ours, theirs) in diag.iter().zip(stored["diag"].as_array().unwrap()) {
            assert!((ours - theirs.as_f64().unwrap()).abs() <= tolerance * ours.abs(), "{name}, diagonal");
        }
    }
}

/// Of the models: those of the kernels are with their expressions.
const TOLERANCE: f64 = 1e-9;

/// The models of the file: their data, kernel, noise and jitter.
struct Models {
    stored: Value,
    x: Mat<f64>,
    y: Vec<f64>,
    inducing: Mat<f64>,
    z: Mat<f64>,
}

impl Models {
    const NOISE: f64 = 0.1;
    /// Added to K_uu; by their exact regression, to the covariance of the observations.
    const JITTER: Jitter = Jitter::Fixed(1e-6);

    fn read() -> Self {
        let fixture = read("pyro_kernels.json");
        let [x, inducing, z] = ["X", "Xu", "Z"].map(|name| matrix(&fixture[name]));
        let y = vector(&fixture["y"]);
        Self { stored: fixture["models"].clone(), x, y, inducing, z }
    }

    fn kernel() -> Scaled<Rbf> {
        1.7 * Rbf::new([0.7, 1.3, 2.1])
    }

    fn assert_predictions(&self, name: &str, posterior: &Posterior<f64>) {
        let stored = &self.stored[name];
        let (mean, covariance) =
            (posterior.mean(self.z.as_ref()).unwrap(), posterior.covariance(self.z.as_ref(), 0).unwrap());
        assert_each_close(format!("{name}, mean"), mean.col_as_slice(0), &vector(&stored["mean"]), TOLERANCE);
        assert_each_close(
            format!("{name}, variance"),
            posterior.predict(self.z.as_ref()).unwrap().variance.col_as_slice(0),
            &vector(&stored["var"]),
            TOLERANCE,
        );
        let theirs = by_rows(matrix(&stored["cov"]).as_ref());
        assert_each_close(format!("{name}, covariance"), &by_columns(covariance.as_ref()), &theirs, TOLERANCE);
    }
}

#[test]
fn exact_regression() {
    let models = Models::read();
    let name = "GPRegression_noise0.1_jitter1e-6";
    let gp = ExactGp::new(Models::kernel()).with_noise(Models::NOISE).unwrap().with_jitter(Models::JITTER);
    let loss = -gp.objective(&Data::new(models.x.as_ref(), &models.y)).unwrap();
    assert_close(loss, number(&models.stored[name]["loss"]), TOLERANCE);
    models.assert_predictions(name, &gp.condition(&Data::new(models.x.as_ref(), &models.y)).unwrap());
}

#[test]
fn collapsed_sparse_regression() {
    let models = Models::read();
    let name = "SparseGPRegression_VFE_noise0.1_jitter1e-6";
    let gp = Sgpr::new(Models::kernel(), models.inducing.as_ref()).unwrap();
    let gp = gp.with_noise(Models::NOISE).unwrap().with_jitter(Models::JITTER);
    let loss = -gp.objective(&Data::new(models.x.as_ref(), &models.y)).unwrap().value;
    assert_close(loss, number(&models.stored[name]["loss"]), TOLERANCE);
    models.assert_predictions(name, &gp.condition(&Data::new(models.x.as_ref(), &models.y)).unwrap());
}

/// Their loss has log N(y; E f, Var f + σ²) where the bound has the expected log density. Both are stored.
#[test]
fn variational_sparse_regression() {
    let models = Models::read();
    let mean = vector(&models.stored["VSGP_u_loc"]);
    let factor = matrix(&models.stored["VSGP_u_scale_tril"]);
    let whitened = Variational::new(&mean, factor.as_ref()).unwrap();
    for (name, q) in [
        ("VariationalSparseGP_whitenTrue", whitened.clone()),
        ("VariationalSparseGP_whitenFalse", whitened.unwhitened()),
    ] {
        let stored = &models.stored[name];
        let gp = Svgp::new(Models::kernel(), models.inducing.as_ref()).unwrap().with_jitter(Models::JITTER);
        let gp = gp.with_likelihood(Gaussian::new(Models::NOISE)).with_variational(q).unwrap();
        let elbo = gp.objective(&Data::new(models.x.as_ref(), &models.y)).unwrap();
        let posterior = gp.posterior().unwrap();
        let density: f64 = posterior.log_predictive_density(models.x.as_ref(), column(&models.y)).unwrap().iter().sum();
        for (what, ours) in [
            ("minus_true_ELBO", -elbo.value),
            ("KL", elbo.kl),
            ("minus_predictive_loglik_plus_KL", elbo.kl - density),
            ("loss", elbo.kl - density),
        ] {
            assert_each_close(format!("{name}, {what}"), &[ours], &[stored[what].as_f64().unwrap()], TOLERANCE);
        }
        let latent = posterior.predict(models.x.as_ref()).unwrap();
        assert_each_close(
            format!("{name}, f_mean_X"),
            latent.mean.col_as_slice(0),
            &vector(&stored["f_mean_X"]),
            TOLERANCE,
        );
        assert_each_close(
            format!("{name}, f_var_X"),
            latent.variance.col_as_slice(0),
            &vector(&stored["f_var_X"]),
            TOLERANCE,
        );
        models.assert_predictions(name, &posterior);
    }
}
