//! Latent-variable models: stored values of an independent library, closed forms, and equivalences with models of
//! known inputs.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bounds;
mod expectations;
mod latents;
mod refusals;

use mercer::gp::BayesianGplvm;
use mercer::gp::gplvm::{GaussianInputs, KernelExpectations, PsiStatistics};
use mercer::linalg::Jitter;
use mercer::prelude::*;
use mercer::tape::{Tape, Var};
use serde_json::Value;

use crate::common::stored::{matrix, read, vector};

/// The stored case, with our model of it.
struct Stored {
    values: Value,
    y: Mat<f64>,
    mean: Mat<f64>,
    variance: Mat<f64>,
    z: Mat<f64>,
    kernel: DynKernel,
}

impl Stored {
    fn load() -> Self {
        let values = read("gplvm.json");
        let of = |name: &str| matrix(&values[name]);
        let (y, mean, variance, z) = (of("Y"), of("X_mean"), of("X_var"), of("Z"));
        let lengthscales = vector(&values["lengthscales"]);
        let kernel = (values["variance"].as_f64().unwrap() * Rbf::new(lengthscales)).dynamic();
        Self { y, mean, variance, z, kernel, values }
    }

    fn number(&self, name: &str) -> f64 {
        self.values[name].as_f64().unwrap()
    }

    fn with_kernel(&self, kernel: DynKernel) -> BayesianGplvm {
        BayesianGplvm::new(kernel, self.mean.as_ref(), self.variance.as_ref(), self.z.as_ref())
            .unwrap()
            .with_noise(self.number("noise_variance"))
            .unwrap()
            .with_inducing_noise(0.0)
            .unwrap()
            .with_jitter(Jitter::Fixed(self.number("jitter")))
    }

    fn model(&self) -> BayesianGplvm {
        self.with_kernel(self.kernel.clone())
    }
}

/// ψ₀, Ψ₁ and Ψ₂.
fn psi(
    way: &dyn KernelExpectations,
    kernel: &DynKernel,
    mean: &Mat<f64>,
    variance: &Mat<f64>,
    z: &Mat<f64>,
) -> (f64, Mat<f64>, Mat<f64>) {
    let tape = Tape::new(Par::Seq);
    let inputs = GaussianInputs { mean: tape.constant(mean.as_ref()), variance: tape.constant(variance.as_ref()) };
    let PsiStatistics { psi0, psi1, psi2 } =
        way.record(&tape, tape.fixed_kernel(kernel), inputs, tape.constant(z.as_ref())).unwrap();
    let value = |var: Var<'_, f64>| tape.value(var).unwrap().as_mat().to_owned();
    (tape.scalar(psi0).unwrap(), value(psi1), value(psi2))
}
