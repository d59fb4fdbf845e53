//! Latent inputs of new outputs.

use faer::{Mat, MatRef};

use super::latents::{GaussianLatents, LatentMarginals, LatentPrior};
use super::posterior::GplvmPosterior;
use crate::data::check_finite;
use crate::gp::predict::Predict;
use crate::optim::{Minimizer, fit};
use crate::tape::Tape;
use crate::{Error, Result};

/// Latent inputs found for new outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct InferredLatents {
    /// q(x), a row for each row of the outputs.
    pub latents: LatentMarginals,
    /// For each row, the lower bound of log p(y | what the model has learned): low for outputs unlike any.
    pub bound: Vec<f64>,
}

/// Starts for each row: the best of the learned latents, and the mean of the prior.
const STARTS: usize = 3;

/// The variance that a search starts from where the learned latents are known.
const KNOWN: f64 = 0.01;

impl GplvmPosterior {
    /// q(x) = N(μ, diag s) for each row of new outputs, n × D, on its own, with what the model has learned held fixed:
    /// maximises, over μ and s,
    ///
    /// −½ (D log 2πσ² + E‖y − f(x)‖²/σ²) − KL(q(x) ‖ N(0, I)), a lower bound of log p(y).
    ///
    /// The bound may have several maxima: each search starts from the learned latents that explain the row best, and from the
    /// prior, and the best result counts. O(n·M²·(Q + D)) an evaluation.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NonFinite`] and [`Error::Shape`] for outputs that do not fit;
    /// [`Error::NotDifferentiable`] for a kernel without gradients; [`Error::Setting`] if no
    /// [kernel expectations](super::KernelExpectations) are available; those of the minimiser.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Gplvm;
    /// use mercer::optim::Lbfgs;
    /// use mercer::prelude::*;
    ///
    /// let x = Mat::from_fn(9, 1, |i, _| 0.4 * i as f64 - 1.6);
    /// let curve = |x: f64| [x.sin(), (2.0 * x).cos()];
    /// let y = Mat::from_fn(9, 2, |i, d| curve(x[(i, 0)])[d]);
    /// let model = Gplvm::new(Rbf::new(0.8), x.as_ref())?.with_noise(1e-3)?;
    /// let [a, b] = curve(0.55);
    /// let found = model.condition(&y)?.infer(mat![[a, b]].as_ref(), &Lbfgs::default())?;
    /// assert!((found.latents.mean[(0, 0)] - 0.55).abs() < 0.03);
    /// assert!(found.latents.variance[(0, 0)] < 1e-3);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn infer(&self, y: MatRef<'_, f64>, minimizer: &dyn Minimizer) -> Result<InferredLatents> {
        check_finite("y", y)?;
        if y.ncols() != self.outputs() {
            let expected = format!("{} column(s), one for each output", self.outputs());
            return Err(Error::shape("y", expected, y.shape()));
        }
        let (n, dim) = (y.nrows(), self.dim());
        let mut latents = LatentMarginals { mean: Mat::zeros(n, dim), variance: Mat::zeros(n, dim) };
        let mut bound = Vec::with_capacity(n);
        // As they are predicted at the learned means.
        let learned = self.predict(self.latents.mean.as_ref())?.mean;
        for row in 0..n {
            let row_of_y = y.subrows(row, 1);
            let mut best: Option<(f64, GaussianLatents)> = None;
            for mut q in self.starts(row_of_y, learned.as_ref())? {
                let minimum = fit(&mut q, minimizer, |q| self.loss(q, row_of_y))?;
                if best.as_ref().is_none_or(|(least, _)| minimum.value < *least) {
                    best = Some((minimum.value, q));
                }
            }
            if let Some((loss, q)) = best {
                let tape = Tape::new(self.processes.par);
                let (mean, _) = q.mean.on(&tape, tape.constant(row_of_y), false)?;
                latents.mean.as_mut().subrows_mut(row, 1).copy_from(tape.value(mean)?.as_mat());
                latents.variance.as_mut().subrows_mut(row, 1).copy_from(q.variance());
                bound.push(-loss);
            }
        }
        Ok(InferredLatents { latents, bound })
    }

    fn starts(&self, y: MatRef<'_, f64>, learned: MatRef<'_, f64>) -> Result<Vec<GaussianLatents>> {
        let LatentMarginals { mean, variance } = &*self.latents;
        let misfit = |row: usize| (learned.subrows(row, 1) - y).squared_norm_l2();
        let mut order: Vec<(f64, usize)> = (0..learned.nrows()).map(|row| (misfit(row), row)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut starts = Vec::new();
        for &(_, row) in order.iter().take(STARTS) {
            let spread = Mat::from_fn(1, self.dim(), |_, q| variance[(row, q)].max(KNOWN));
            starts.push(GaussianLatents::new(mean.as_ref().subrows(row, 1), spread.as_ref())?);
        }
        let (centre, spread) = (Mat::zeros(1, self.dim()), Mat::full(1, self.dim(), 1.0));
        starts.push(GaussianLatents::new(centre.as_ref(), spread.as_ref())?);
        Ok(starts)
    }

    /// The negative bound of a row, and its gradient in the means and variances of q.
    fn loss(&self, q: &GaussianLatents, y: MatRef<'_, f64>) -> Result<(f64, Vec<f64>)> {
        let prior = LatentPrior::standard((1, self.dim()));
        let tape = Tape::new(self.processes.par);
        let y_var = tape.constant(y);
        let (inputs, parameters) = q.on(&tape, y_var, true)?;
        let process = self.process()?;
        let z = process.prior.on(&tape).parameter();
        let psi = self.expectations()?.record(&tape, tape.fixed_kernel(&*process.kernel), inputs, z)?;
        let (weights, explained) = (tape.constant(process.weights.as_ref()), tape.constant((*self.explained).as_ref()));

        // E‖y − f‖² = ‖y‖² − 2 ψ₁ᵀ(βy) + tr βᵀΨ₂β + D (ψ₀ − tr Ψ₂L⁻ᵀ(I − S)L⁻¹)
        let outputs = self.outputs() as f64;
        let along = -2.0 * psi.psi1.inner(y_var.matmul_nt(weights));
        let square = weights.inner(psi.psi2 * weights);
        let variance = outputs * (psi.psi0 - psi.psi2.inner(explained));
        let misfit = along + square + variance + y.squared_norm_l2();
        let normaliser = 0.5 * outputs * (std::f64::consts::TAU * self.noise).ln();
        let loss = 0.5 / self.noise * misfit + normaliser + prior.divergence(&tape, inputs);
        let gradients = tape.backward(loss)?;
        Ok((tape.scalar(loss)?, crate::gp::terms::gather(&gradients, &tape, &parameters)?))
    }
}
