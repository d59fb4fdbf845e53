//! Samples of a posterior as functions.

mod random_features;

use std::sync::Arc;

use faer::{Mat, MatRef, Par};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::checks::check_inputs;
use super::posterior::Posterior;
use super::process::{CHUNK, MeanBasisWeights, Process};
use crate::kernel::{GradientRequest, Kernel, matmul_into, matmul_vjp};
use crate::mean::{DynMean, Mean};
use crate::tape::Tape;
use crate::views::spectral_measure;
use crate::{Error, Result, Scalar};
use random_features::Waves;

/// Draws of the latent functions of a posterior, each a function that can be evaluated anywhere, as often as one likes,
/// and differentiated.
///
/// # Definition
///
/// With a draw g of the process a priori, and a draw u of its values at the points Z that the posterior is stated
/// by (the data with their noise ε, or the inducing points),
///
/// f(x) = m(x) + g(x) + k(x, Z) K⁻¹ (u − g(Z) − ε)
///
/// is a draw of the posterior (Matheron's rule), and K includes the covariance of ε: of the noise, if the process is
/// exact, and of jitter. g is a sum of waves, whose frequencies are drawn from the
/// [spectrum of the kernel](crate::views::spectral_measure) anew for each draw, so that the mean and the covariance of f over draws are those
/// of the posterior for any number of frequencies; as there are more, f tends to a Gaussian process.
/// At the inducing points f is u, whatever g is.
///
/// # Complexity
///
/// O(M² · draws) once; then O((m·D + M·D) · draws) for a point, for m frequencies and M points Z.
///
/// # Examples
///
/// ```
/// use mercer::gp::ExactGp;
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let x = mat![[0.0], [1.0], [2.5]];
/// let gp = ExactGp::new(2.0 * Matern52::new(0.8)).with_noise(1e-8)?;
/// let posterior = gp.condition(&Data::new(&x, &[0.3, -0.5, 1.0]))?;
/// let samples = posterior.pathwise(4, 500, &mut rand_pcg::Pcg64::seed_from_u64(1))?;
///
/// // Each goes through what was seen, and its own way elsewhere.
/// let values = samples.values(mat![[1.0], [9.0]].as_ref())?;
/// assert!((0..4).all(|draw| (values[(0, draw)] + 0.5).abs() < 1e-3));
/// assert!((values[(1, 0)] - values[(1, 1)]).abs() > 1e-3);
///
/// let (left, right) = (samples.values(mat![[1.7 - 1e-5]].as_ref())?, samples.values(mat![[1.7 + 1e-5]].as_ref())?);
/// let slope = samples.gradient(mat![[1.7]].as_ref(), 0, 3)?[(0, 0)];
/// assert!((slope - (right[(0, 3)] - left[(0, 3)]) / 2e-5).abs() < 1e-6);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Wilson, Borovitskiy, Terenin, Mostowsky & Deisenroth (2020), *Efficiently sampling functions from Gaussian
/// process posteriors*, ICML, [arXiv:2002.09309](https://arxiv.org/abs/2002.09309).
#[derive(Clone, Debug)]
pub struct PathwiseSamples<T: Scalar> {
    paths: Vec<Paths<T>>,
    dim: usize,
    draws: usize,
    par: Par,
}

/// The draws of the latent functions of one kernel.
#[derive(Clone, Debug)]
struct Paths<T: Scalar> {
    kernel: Arc<dyn Kernel<T>>,
    points: Mat<T>,
    means: Vec<DynMean>,
    /// All draws of the first function first, as are the columns of the weights.
    waves: Vec<Waves>,
    weights: Mat<T>,
}

impl<T: Scalar> Posterior<T> {
    /// Draws `draws` samples of the latent functions as [functions](PathwiseSamples), with `frequencies` frequencies each:
    /// O(M²) time for each draw. Equal states of the generator give the same functions, to the bit.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpectrum`] for a kernel whose frequencies cannot be drawn, with the subexpression;
    /// [`Error::Setting`] for fewer frequencies than its spectrum has terms, and for a posterior that is not
    /// stated by values at points, but by other inducing features.
    #[doc(alias = "Matheron", alias = "decoupled sampling")]
    pub fn pathwise(
        &self,
        draws: usize,
        frequencies: usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> Result<PathwiseSamples<T>> {
        let of = |process| Paths::draw(process, draws, frequencies, rng, self.par);
        let inducing = self.inducing("pathwise draws")?;
        let paths = inducing.processes.iter().map(of).collect::<Result<Vec<_>>>()?;
        Ok(PathwiseSamples { paths, dim: inducing.basis.dim(), draws, par: self.par })
    }
}

impl<T: Scalar> Paths<T> {
    fn draw(
        process: &Process<T>,
        draws: usize,
        frequencies: usize,
        rng: &mut (impl Rng + ?Sized),
        par: Par,
    ) -> Result<Self> {
        let Some(values) = &process.values else {
            let expected = "must be values of the function at points for its samples to be functions";
            return Err(Error::setting("the kind of inducing features", "another", expected));
        };
        let (m, columns) = (values.points.nrows(), draws * process.latents.len());
        let measure = spectral_measure(&*process.kernel, values.points.ncols())?;
        let at = double(values.points.as_ref());
        let deviations: Vec<T> = values.noise.iter().map(|noise| T::from_f64(noise.sqrt())).collect();

        // g(Z) + ε and the whitened u − E[u], draw by draw.
        let (mut prior, mut centred) = (Mat::zeros(m, columns), Mat::zeros(m, columns));
        let mut waves = Vec::with_capacity(columns);
        for (index, latent) in process.latents.iter().enumerate() {
            for draw in index * draws..(index + 1) * draws {
                let wave = Waves::draw(&measure, frequencies, rng)?;
                let column = prior.col_as_slice_mut(draw);
                for (value, &deviation) in column.iter_mut().zip(&deviations) {
                    *value = deviation * T::from_f64(rng.sample(StandardNormal));
                }
                wave.add_to(at.as_ref(), column);
                waves.push(wave);
            }
            for root in &*latent.roots {
                let mut normal = |rows| Mat::from_fn(rows, draws, |_, _| T::from_f64(rng.sample(StandardNormal)));
                root.add_times(centred.as_mut().subcols_mut(index * draws, draws), &mut normal, par);
            }
        }

        // K⁻¹E[u] + L⁻ᵀ(v − L⁻¹(g(Z) + ε)), with v whitened and centred.
        let tape = Tape::new(par);
        let of_prior = process.prior.on(&tape);
        let whitened = of_prior.whiten(tape.constant_owned(prior));
        let change = tape.constant_owned(centred) - whitened;
        let mut weights = tape.value(of_prior.whiten_transpose(change))?.as_mat().to_owned();
        for column in 0..columns {
            let mut column_of_weights = weights.col_mut(column);
            column_of_weights += process.weights.col(column / draws.max(1));
        }
        let means = process.latents.iter().map(|latent| latent.mean.clone()).collect();
        let mut points = values.points.clone();
        if let Some(MeanBasisWeights { points: others, weights: of_others }) = &process.further {
            points = faer::concat![[points], [others]];
            let repeated = Mat::from_fn(others.nrows(), columns, |row, col| of_others[(row, col / draws.max(1))]);
            weights = faer::concat![[weights], [repeated]];
        }
        Ok(Self { kernel: process.kernel.clone(), points, means, waves, weights })
    }
}

impl<T: Scalar> PathwiseSamples<T> {
    /// The number of draws.
    pub fn draws(&self) -> usize {
        self.draws
    }

    /// L, the number of latent functions.
    pub fn latents(&self) -> usize {
        self.paths.iter().map(|paths| paths.means.len()).sum()
    }

    /// The values at n points, a column for each draw, all points of the first latent function first: n·L × draws.
    ///
    /// # Errors
    ///
    /// As [`Posterior::mean`].
    pub fn values(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        self.check(x)?;
        let n = x.nrows();
        let mut values = Mat::zeros(n * self.latents(), self.draws);
        let (mut first, mut mean) = (0, vec![T::from_f64(0.0); n]);
        for paths in &self.paths {
            let mut updates = Mat::zeros(n, paths.weights.ncols());
            matmul_into(&*paths.kernel, x, paths.points.as_ref(), paths.weights.as_ref(), updates.as_mut(), self.par)?;
            for (latent, function) in paths.means.iter().enumerate() {
                function.mean_into(x, &mut mean);
                for draw in 0..self.draws {
                    let column = latent * self.draws + draw;
                    let out = &mut values.col_as_slice_mut(draw)[(first + latent) * n..][..n];
                    out.iter_mut().zip(&mean).for_each(|(out, &mean)| *out = mean);
                    out.iter_mut().zip(updates.col_as_slice(column)).for_each(|(out, &update)| *out += update);
                    for start in (0..n).step_by(CHUNK) {
                        let rows = CHUNK.min(n - start);
                        let chunk = double(x.subrows(start, rows));
                        paths.waves[column].add_to(chunk.as_ref(), &mut out[start..start + rows]);
                    }
                }
            }
            first += paths.means.len();
        }
        Ok(values)
    }

    /// The gradient of one draw of one latent function in each of n points: n × D.
    ///
    /// # Errors
    ///
    /// As [`Posterior::mean`]; [`Error::NotDifferentiable`] for a kernel without gradients;
    /// [`Error::Setting`] for a latent function or a draw that there is not.
    pub fn gradient(&self, x: MatRef<'_, T>, latent: usize, draw: usize) -> Result<Mat<T>> {
        self.check(x)?;
        for (name, found, count) in [("the latent function", latent, self.latents()), ("the draw", draw, self.draws)] {
            if found >= count {
                return Err(Error::setting(name, found, &format!("there are {count}, counted from 0")));
            }
        }
        let mut index = latent;
        let Some(paths) = self.paths.iter().find(|paths| {
            let here = index < paths.means.len();
            index -= if here { 0 } else { paths.means.len() };
            here
        }) else {
            return Ok(Mat::zeros(x.nrows(), self.dim));
        };
        let column = index * self.draws + draw;
        let (z, weights) = (paths.points.as_ref(), paths.weights.subcols(column, 1));
        let ones = Mat::full(x.nrows(), 1, T::from_f64(1.0));
        let wanted = GradientRequest { x: true, z: false };
        let gradients = matmul_vjp(&*paths.kernel, x, z, weights, ones.as_ref(), wanted, self.par)?;
        // None for a kernel that reads no coordinate.
        let mut gradient = gradients.x.unwrap_or_else(|| Mat::zeros(x.nrows(), self.dim));
        paths.means[index].points_vjp(x, ones.col_as_slice(0), gradient.as_mut());
        paths.waves[column].add_gradient(double(x).as_ref(), &mut gradient);
        Ok(gradient)
    }

    fn check(&self, x: MatRef<'_, T>) -> Result<()> {
        let means = self.paths.iter().flat_map(|paths| paths.means.iter());
        check_inputs(x, self.paths.iter().map(|paths| &*paths.kernel), means)?;
        if x.ncols() != self.dim {
            let expected = format!("{} column(s), as the model's inputs have", self.dim);
            return Err(Error::shape("x", expected, (x.nrows(), x.ncols())));
        }
        Ok(())
    }
}

fn double<T: Scalar>(x: MatRef<'_, T>) -> Mat<f64> {
    Mat::from_fn(x.nrows(), x.ncols(), |row, col| x[(row, col)].as_f64())
}
