//! Orthogonal mixtures of independent processes, exactly.

use std::sync::Arc;

use faer::{Mat, MatRef, Par};

use super::grid::{check_grid, check_means, means_at, residuals};
use super::grid_methods::{Recorded, grid_methods, grid_model};
use super::oilmm_posterior::OilmmPosterior;
use super::orthogonal::Orthogonal;
use crate::gp::checks::check_psd;
use crate::gp::data::Data;
use crate::gp::latents::PerLatent;
use crate::gp::leave_one_out::LeaveOneOut;
use crate::gp::posterior::Posterior;
use crate::gp::prior::{Observed, Prior};
use crate::gp::process::{Latent, Process};
use crate::gp::settings::model_settings;
use crate::gp::units;
use crate::kernel::DynKernel;
use crate::kernel::{Kernel, gram_into};
use crate::likelihood::Gaussian;
use crate::linalg::{Cholesky, Eigendecomposition, Jitter, cast};
use crate::mean::{DynMean, Zero};
use crate::tape::Tape;
use crate::{Error, Expr, Result, Scalar};

/// The orthogonal instantaneous linear mixing model: P outputs from m ≤ P independent processes, mixed by a matrix with
/// orthogonal columns. Inference is exact, and costs no more than m processes of one output each.
///
/// # Definition
///
/// y(x) = m(x) + H g(x) + ε, with g_i ~ GP(0, k_i) independent, H = U S^(1/2), UᵀU = I, S diagonal, and ε ~ N(0, σ² I)
///
/// The projections T r = S^(−1/2) Uᵀ r of the residuals r = y − m(x) are independent processes with noise of their own,
/// and what U does not reach is noise alone:
///
/// log p(Y) = Σᵢ log N((T R)ᵢ | 0, Kᵢ + (σ²/Sᵢ) I) − (N/2) log|S| − (N/2) (P − m) log 2πσ² − ‖(I − UUᵀ) R‖² / (2σ²)
///
/// Noise of the mixed kind, H D Hᵀ with D diagonal, is noise of the processes: add a [`White`](crate::kernels::White) to
/// their kernels. The scale of a kernel and S are one: leave the kernels without a factor.
///
/// # Parameters
///
/// `kernel[i].…` (`kernel.…` of one for all), `mean.…` or `mean[p].…`, `likelihood.gaussian.variance` (σ²),
/// `mixing.basis[p, i]` and `mixing.scale[i]` (S), in this order. The basis is W, of which U is the orthonormal basis that
/// the Gram–Schmidt process makes: free numbers, of which those that change a column by the columns before it, or its
/// length, change nothing.
///
/// # Complexity
///
/// O(m N³ + N P m) time and O(m N² + N P) memory. Each row needs all outputs.
///
/// # Examples
///
/// Three outputs of two processes:
///
/// ```
/// use mercer::gp::Oilmm;
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(30, 1, |i, _| 0.2 * i as f64);
/// let slow = |i: usize| (0.2 * i as f64).sin();
/// let fast = |i: usize| (0.7 * i as f64).sin();
/// let y = Mat::from_fn(30, 3, |i, p| [slow(i) + fast(i), slow(i) - fast(i), 2.0 * slow(i)][p]);
///
/// let start = mat![[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]];
/// let mut gp = Oilmm::new(vec![Rbf::new(1.0), Rbf::new(0.5)], start.as_ref())?.with_noise(0.1)?;
/// let data = Data::new(&x, &y);
/// let before = gp.objective(&data)?;
/// gp.fit(&data, &Lbfgs { max_steps: 60, ..Lbfgs::default() })?;
/// assert!(gp.objective(&data)? > before + 100.0);
///
/// let predicted = gp.condition(&data)?.predict(mat![[1.1]].as_ref())?;
/// assert!((predicted.mean[(0, 2)] - 2.0 * 1.1f64.sin()).abs() < 0.02);
///
/// // Columns that are not orthogonal would not fall apart.
/// assert!(Oilmm::new(vec![Rbf::new(1.0)], mat![[1.0, 1.0], [0.0, 1.0]].as_ref()).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Bruinsma, Perim, Tebbutt, Hosking, Solin & Turner (2020), *Scalable exact inference in multi-output Gaussian
/// processes*, ICML, section 3, <https://arxiv.org/abs/1911.06287>. Tipping & Bishop (1999), Probabilistic principal
/// component analysis, *Journal of the Royal Statistical Society B* 61(3), for [`principal`](Self::principal).
#[derive(Clone, Debug)]
#[doc(alias = "OILMM")]
pub struct Oilmm<K = DynKernel> {
    pub(super) kernel: PerLatent<K>,
    pub(super) mean: PerLatent<DynMean>,
    pub(super) likelihood: Gaussian,
    pub(super) mixing: Orthogonal,
    pub(super) jitter: Jitter,
    pub(super) allow_indefinite: bool,
    pub(super) par: Par,
}

crate::parameterized!([K] Oilmm<K> as "", parameters: [], children: [kernel, mean, likelihood, mixing]);

grid_model!(Oilmm, OilmmPosterior, seen: false);

impl<K: Expr + Clone> Oilmm<K> {
    model_settings!();
    grid_methods!();

    /// Zero-mean GP regression of several outputs, which are mixed from these processes by a matrix H, P × m, with Gaussian
    /// noise of variance 1: one kernel for all processes, or one for each.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for another number of kernels than 1 or m, and for columns of H that are 0 or not orthogonal to
    /// 1e-8, by their numbers; [`Error::Shape`] for more columns than rows; [`Error::Empty`] and [`Error::NonFinite`] for
    /// a matrix without elements, or with some that are not finite.
    pub fn new(kernels: Vec<K>, mixing: MatRef<'_, f64>) -> Result<Self> {
        let mixing = Orthogonal::new(mixing)?;
        let (kernel, count) = (PerLatent::try_new("kernels", kernels)?, mixing.functions());
        if kernel.all().len() != 1 && kernel.all().len() != count {
            let expected = format!("must be 1 or {count}, the number of columns of the mixing matrix");
            return Err(Error::setting("the number of kernels", kernel.all().len(), &expected));
        }
        Ok(Self {
            kernel,
            mean: PerLatent::one(DynMean::new(Zero)),
            likelihood: Gaussian::new(1.0),
            mixing,
            jitter: Jitter::default(),
            allow_indefinite: false,
            par: Par::rayon(0),
        })
    }

    /// The same from values N × P, which start H and the noise: the columns of H are the m leading eigenvectors of the
    /// values' covariance times the roots of their eigenvalues, less the mean of the others, which is σ². That is the most
    /// likely H for temporally white latents (Tipping & Bishop 1999), and a start for all others. The values are centred
    /// for this; the mean functions of the model stay 0.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for m of 0 or not below P, for another number of kernels than 1 or m, and where the others have no
    /// variance beyond rounding, or the leading ones no more than they; [`Error::Empty`] and [`Error::NonFinite`] for values
    /// that cannot work.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Oilmm;
    /// use mercer::prelude::*;
    ///
    /// // Along (3, 4)/5 the values have the variance 25/2; across, 1/2.
    /// let y = mat![[3.0, 4.0], [-3.0, -4.0], [0.8, -0.6], [-0.8, 0.6]];
    /// let gp = Oilmm::principal(vec![Rbf::new(1.0)], y.as_ref(), 1)?;
    /// assert!((gp.likelihood().variance() - 0.5).abs() < 1e-14);
    /// let h = gp.mixing()?;
    /// assert!((h[(0, 0)].abs() - 0.6 * 12f64.sqrt()).abs() < 1e-14 && (h[(1, 0)] / h[(0, 0)] - 4.0 / 3.0).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn principal(kernels: Vec<K>, y: MatRef<'_, f64>, processes: usize) -> Result<Self> {
        crate::data::check_finite("y", y)?;
        let (n, outputs) = y.shape();
        if processes == 0 || processes >= outputs {
            let expected = format!("must be from 1 to {}, below the number of outputs", outputs.saturating_sub(1));
            return Err(Error::setting("the number of processes", processes, &expected));
        }
        let mean = |col: usize| y.col(col).sum() / n as f64;
        let means: Vec<f64> = (0..outputs).map(mean).collect();
        let centred = Mat::from_fn(n, outputs, |row, col| (y[(row, col)] - means[col]) / (n as f64).sqrt());
        let covariance = Eigendecomposition::positive_semidefinite(
            "the covariance of the outputs",
            (centred.transpose() * &centred).as_ref(),
        )?;
        let (left, leading) = covariance.values().split_at(outputs - processes);
        let noise = left.iter().sum::<f64>() / left.len() as f64;
        // An eigenvalue that is 0 comes out as the rounding of the largest.
        let rounding = f64::EPSILON * outputs as f64 * leading[processes - 1];
        if noise <= rounding || leading[0] <= noise {
            let found = format!("{noise:e}, beside {:e} of the last that is kept", leading[0]);
            let expected = "must be above 0, beyond rounding, and less: choose another number of processes";
            return Err(Error::setting("the variance that is left out", found, expected));
        }
        let mixing = Mat::from_fn(outputs, processes, |row, col| {
            let at = outputs - 1 - col;
            covariance.vectors()[(row, at)] * (covariance.values()[at] - noise).sqrt()
        });
        Self::new(kernels, mixing.as_ref())?.with_noise(noise)
    }

    crate::gp::settings::noise_setting!();

    /// The kernel of all processes, or those of each.
    pub fn kernels(&self) -> &[K] {
        self.kernel.all()
    }

    /// The likelihood, which holds the noise variance.
    pub fn likelihood(&self) -> &Gaussian {
        &self.likelihood
    }

    /// P, the number of outputs.
    pub fn outputs(&self) -> usize {
        self.mixing.outputs()
    }

    /// The mixing matrix H, P × m.
    ///
    /// # Errors
    ///
    /// [`Error::NotPositiveDefinite`] if the columns of the basis have become linearly dependent.
    pub fn mixing(&self) -> Result<Mat<f64>> {
        self.mixing.matrix()
    }

    /// The prior of the model: predictions and draws before data.
    ///
    /// # Errors
    ///
    /// As [`mixing`](Self::mixing).
    pub fn prior<T: Scalar>(&self) -> Result<Prior<T>>
    where
        K: Kernel<T>,
    {
        let mixing = cast(self.mixing.matrix()?.as_ref());
        let seen = Observed::with(vec![self.likelihood.variance(); self.outputs()]);
        Ok(Prior::mixed(self.kernel.all(), self.mean.clone(), mixing, seen, self.par)
            .allowing_indefinite(self.allow_indefinite))
    }

    /// Predictions of each observation from all others, those of the other outputs at the same inputs among them, in closed
    /// form: for each output. O(m·N³) once.
    ///
    /// # Errors
    ///
    /// As [`objective`](crate::gp::Model::objective).
    ///
    /// # Examples
    ///
    /// Outputs that have nothing to do with each other are as two models:
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Oilmm};
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.0], [0.5], [2.0]], mat![[0.3, 1.0], [0.4, 1.1], [-0.7, 0.2]]);
    /// let gp = Oilmm::new(vec![Rbf::new(0.8)], mat![[1.0, 0.0], [0.0, 1.0]].as_ref())?.with_noise(0.5)?;
    /// let left_out = gp.leave_one_out(&Data::new(&x, &y))?;
    /// let alone = ExactGp::new(Rbf::new(0.8)).with_noise(0.5)?.leave_one_out(&Data::new(&x, [1.0, 1.1, 0.2]))?;
    /// assert!((left_out[1].mean[2] - alone.mean[2]).abs() < 1e-14);
    /// assert!((left_out[1].variance[0] - alone.variance[0]).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn leave_one_out<T: Scalar>(&self, data: &Data<T>) -> Result<Vec<LeaveOneOut<T>>>
    where
        K: Kernel<T>,
    {
        self.posterior(data.x(), data.y())?.left_out(data.x(), data.y())
    }

    fn posterior<T: Scalar>(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<OilmmPosterior<T>>
    where
        K: Kernel<T>,
    {
        self.check(x, y)?;
        let (n, outputs, noise) = (x.nrows(), self.mixing.outputs(), self.likelihood.variance());
        let matrix = self.mixing.matrix()?;
        let residual = y - means_at(&self.mean, x, outputs);
        let (mut bases, mut processes) = (Vec::new(), Vec::new());
        for (index, &scale) in self.mixing.scale().iter().enumerate() {
            // S^(−1/2) Uᵀ = S⁻¹ Hᵀ
            let direction = Mat::from_fn(outputs, 1, |row, _| T::from_f64(matrix[(row, index)] / scale));
            let mut weights = &residual * direction;
            let mut covariance = Mat::zeros(n, n);
            gram_into(self.kernel.of(index), x, covariance.as_mut(), self.par)?;
            (0..n).for_each(|i| covariance[(i, i)] += T::from_f64(noise / scale));
            let factor = Cholesky::new(covariance.as_ref(), self.jitter, self.par)?;
            factor.solve_in_place(weights.as_mut(), self.par)?;
            let (kernel, latents) = (Arc::new(self.kernel.of(index).clone()), vec![Latent::known(DynMean::new(Zero))]);
            let (basis, mut process) = Process::on_data(kernel, latents, x, factor, weights);
            if let Some(values) = &mut process.values {
                values.noise.iter_mut().for_each(|value| *value += noise / scale);
            }
            bases.push(basis);
            processes.push(process);
        }
        let basis = bases.swap_remove(0);
        let latents = Posterior::of(basis, processes, None, self.par);
        Ok(OilmmPosterior { latents, mixing: matrix.into(), noise, means: self.mean.clone().into() })
    }

    fn check<T: Scalar>(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Result<()>
    where
        K: Kernel<T>,
    {
        let outputs = self.outputs();
        let kernels = self.kernel.all().iter().map(|kernel| kernel as &dyn Kernel<T>);
        check_grid(x, y, kernels, &self.mean, outputs)?;
        check_means(&self.mean, outputs, x.ncols())?;
        for kernel in self.kernel.all() {
            kernel.inputs(x.ncols())?;
            check_psd(kernel, x.ncols(), self.allow_indefinite)?;
        }
        Ok(())
    }

    fn kernels_at<T: Scalar>(&self) -> Vec<&dyn Kernel<T>>
    where
        K: Kernel<T>,
    {
        self.kernel.all().iter().map(|kernel| kernel as &dyn Kernel<T>).collect()
    }

    fn expressions(&self) -> Vec<&dyn Expr> {
        self.kernel.all().iter().map(|kernel| kernel as &dyn Expr).collect()
    }

    /// The units of the parameters that may be any finite number, in visiting order of all scalars.
    fn units<T: Scalar>(&self, x: MatRef<'_, T>, y: MatRef<'_, T>) -> Vec<f64> {
        let means = units::of_means(&self.mean, x, &units::of_columns(y));
        [units::ones(&self.kernel), means, units::ones(&self.likelihood), units::ones(&self.mixing)].concat()
    }

    fn record<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        x: MatRef<'a, T>,
        y: MatRef<'_, T>,
        differentiable: bool,
    ) -> Result<Recorded<'t, T>>
    where
        K: Kernel<T>,
    {
        let (n, outputs, functions) = (y.nrows() as f64, y.ncols(), self.mixing.functions());
        let x = tape.constant(x);
        let mut kernels = Vec::new();
        for kernel in self.kernel.all() {
            kernels.push(tape.kernel_var(kernel, differentiable)?);
        }
        let grams = kernels.iter().map(|&kernel| kernel.gram(x)).collect::<Result<Vec<_>>>()?;
        let (residual, means) = residuals(tape, &self.mean, x, y)?;
        let noise = tape.scalar_parameter(self.likelihood.variance());
        let mixing = self.mixing.record(tape)?;

        let reached = mixing.basis.matmul_nt(residual);
        let left = residual.transpose() - mixing.basis.matmul_tn(reached);
        let projected = reached.divide_rows_by_root(mixing.scale);
        let noises = mixing.scale.recip().scale_by(noise);

        // Of what U does not reach, and of the change of variables.
        let misfit = left.sum_of_squares().hadamard(noise.recip());
        let ln_noise = noise.ln() + std::f64::consts::TAU.ln();
        let unreached = n * (outputs - functions) as f64 * ln_noise;
        let volume = n * mixing.scale.ln().sum();
        let mut evidence = -0.5 * (misfit + (unreached + volume));
        for index in 0..functions {
            let values = projected.rows(index..index + 1).transpose();
            let gram = grams[if grams.len() == 1 { 0 } else { index }];
            let covariance = gram.add_to_diagonal(noises.rows(index..index + 1));
            let (density, _) = values.gaussian_log_density(covariance, self.jitter)?;
            evidence = evidence + density;
        }
        let before = kernels.iter().map(|kernel| kernel.theta()).chain(means).chain([noise]);
        Ok(Recorded { evidence, parameters: before.chain(mixing.parameters).collect() })
    }
}
