//! A Kronecker product with noise that is correlated between outputs.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::{Operator, check_rows};
use crate::linalg::axes::{along_axes, by_column, outer, product_size};
use crate::linalg::checks::check_square;
use crate::linalg::{Cholesky, Eigendecomposition, Jitter, mirror_lower, padded, transpose_into};
use crate::{Error, Result, Scalar};

/// B ⊗ K + Σ ⊗ I with K = K₁ ⊗ … ⊗ K_d: the covariance of m outputs at N common points that share the correlation
/// K, with covariances B and Σ, m × m, of signal and noise between the outputs.
///
/// A vector is vec(Y) for Y, N × m, with a column for each output; within a column, the index of the last axis
/// runs fastest.
///
/// # Definition
///
/// With Σ = LLᵀ, the eigendecompositions L⁻¹ B L⁻ᵀ = U diag(β) Uᵀ and K = V diag(κ) Vᵀ, which is one of each axis,
/// and W = L⁻ᵀ U:
///
/// (B ⊗ K + Σ ⊗ I)⁻¹ = (W ⊗ V) diag(1 + βᵢ κⱼ)⁻¹ (W ⊗ V)ᵀ
///
/// ln det (B ⊗ K + Σ ⊗ I) = N ln det Σ + Σᵢⱼ ln(1 + βᵢ κⱼ)
///
/// Eigenvalues of B and K that rounding has made negative are taken for 0. Nothing is added to any diagonal.
///
/// # Complexity
///
/// O(m³ + Σ nₖ³) to make, for axes of nₖ points; O(mN (m + Σ nₖ)) for a column of a product or a solve, and
/// for the log density with its gradient. Memory for the factors and vectors of N and mN numbers.
///
/// # Examples
///
/// Two outputs on a 2 × 2 grid, against the matrix itself:
///
/// ```
/// use mercer::linalg::{Dense, Jitter, NoisyKronecker, Operator};
/// use mercer::prelude::*;
///
/// let (b, noise) = (mat![[2.0, 0.5], [0.5, 1.0]], mat![[0.3, 0.1], [0.1, 0.2]]);
/// let axes = [mat![[1.0, 0.6], [0.6, 1.0]], mat![[1.0, 0.1], [0.1, 1.0]]];
/// let a = NoisyKronecker::new(b.as_ref(), noise.as_ref(), &[axes[0].as_ref(), axes[1].as_ref()], Par::Seq)?;
///
/// let full = Mat::from_fn(8, 8, |i, j| {
///     let k = axes[0][(i / 2 % 2, j / 2 % 2)] * axes[1][(i % 2, j % 2)];
///     b[(i / 4, j / 4)] * k + if i % 4 == j % 4 { noise[(i / 4, j / 4)] } else { 0.0 }
/// });
/// let dense = Dense::new(full.as_ref(), Jitter::Fixed(0.0), Par::Seq)?;
/// let y = Mat::from_fn(8, 1, |i, _| i as f64);
/// assert!((a.solve(y.as_ref(), Par::Seq)? - dense.solve(y.as_ref(), Par::Seq)?).norm_max() < 1e-12);
/// assert!((a.log_det() - dense.log_det()).abs() < 1e-13);
/// # Ok::<(), Error>(())
/// ```
///
/// # References
///
/// - Rakitsch, Lippert, Borgwardt & Stegle (2013), "It is all in the noise: efficient multi-task Gaussian process
///   inference with structured residuals", section 2.2.
/// - Saatçi (2011), *Scalable Inference for Structured Gaussian Process Models*, chapter 5.
#[derive(Clone, Debug)]
pub struct NoisyKronecker<T: Scalar> {
    /// W, and W⁻ᵀ = LU.
    whitener: Mat<T>,
    unwhitener: Mat<T>,
    /// β
    signal: Vec<T>,
    axes: Vec<Eigendecomposition<T>>,
    /// m, n₁, …, n_d
    sizes: Vec<usize>,
    /// 1 + βᵢ κⱼ, vec of N × m
    spectrum: Vec<T>,
    /// ln det Σ
    noise_log_det: f64,
}

/// A Gaussian log density with its gradients, from [`NoisyKronecker::log_density_gradient`].
///
/// The gradient G in a symmetric matrix A is such that a symmetric change dA changes the density by Σᵢⱼ Gᵢⱼ dAᵢⱼ.
#[derive(Clone, Debug)]
pub struct NoisyKroneckerGradient<T: Scalar> {
    /// ln N(vec(Y); 0, B ⊗ K + Σ ⊗ I).
    pub value: f64,
    /// In Y, N × m: −(B ⊗ K + Σ ⊗ I)⁻¹ vec(Y).
    pub y: Mat<T>,
    /// In B, m × m.
    pub signal: Mat<T>,
    /// In Σ, m × m.
    pub noise: Mat<T>,
    /// In K₁, …, K_d.
    pub axes: Vec<Mat<T>>,
}

impl<T: Scalar> NoisyKronecker<T> {
    /// From B and Σ, m × m, and K₁, …, K_d. All are symmetric; their lower triangles are read.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a matrix that is not square, or for B and Σ of different sizes; [`Error::Empty`] without
    /// axes, or for a matrix without rows; [`Error::NonFinite`] for a NaN or an infinity;
    /// [`Error::NotPositiveDefinite`] if Σ is not positive definite; [`Error::Setting`] if B or an axis is not
    /// positive semi-definite.
    pub fn new(signal: MatRef<'_, T>, noise: MatRef<'_, T>, axes: &[MatRef<'_, T>], par: Par) -> Result<Self> {
        check_square("the covariance between outputs", signal)?;
        let m = signal.nrows();
        if noise.shape() != (m, m) {
            let expected = format!("{m} x {m}, as the outputs' covariance");
            return Err(Error::shape("the noise covariance", expected, noise.shape()));
        }
        if axes.is_empty() {
            return Err(Error::Empty { what: "the list of axes".to_owned() });
        }
        let sizes: Vec<usize> = std::iter::once(m).chain(axes.iter().map(MatRef::nrows)).collect();
        product_size("the Kronecker product", &sizes)?;

        let factor = Cholesky::new(noise, Jitter::Fixed(0.0), par)?;
        let mut whitened = signal.to_owned();
        mirror_lower(whitened.as_mut());
        factor.half_solve_in_place(whitened.as_mut(), par)?;
        factor.half_solve_in_place(whitened.as_mut().transpose_mut(), par)?;
        let outputs = Eigendecomposition::positive_semidefinite("the covariance between outputs", whitened.as_ref())?;
        let decompose = |(axis, k): (usize, &MatRef<'_, T>)| {
            Eigendecomposition::positive_semidefinite(&format!("the covariance of axis {axis}"), *k)
        };
        let axes: Vec<_> = axes.iter().enumerate().map(decompose).collect::<Result<_>>()?;

        let mut whitener = outputs.vectors().to_owned();
        factor.half_solve_transpose_in_place(whitener.as_mut(), par)?;
        let factors: Vec<&[T]> = std::iter::once(outputs.values()).chain(axes.iter().map(|k| k.values())).collect();
        let spectrum: Vec<T> = outer(&factors).into_iter().map(|value| value + T::from_f64(1.0)).collect();
        if let Some(row) = spectrum.iter().position(|value| !value.as_f64().is_finite()) {
            let (what, value) = ("the spectrum of the Kronecker product".to_owned(), spectrum[row].as_f64());
            return Err(Error::NonFinite { what, row, col: 0, value });
        }
        Ok(Self {
            whitener,
            unwhitener: factor.factor() * outputs.vectors(),
            signal: outputs.values().to_vec(),
            axes,
            sizes,
            spectrum,
            noise_log_det: factor.log_det(),
        })
    }

    /// The number m of outputs.
    pub fn outputs(&self) -> usize {
        self.sizes[0]
    }

    /// The number N of points.
    pub fn points(&self) -> usize {
        self.spectrum.len() / self.outputs()
    }

    /// ln N(vec(Y); 0, B ⊗ K + Σ ⊗ I), for Y, N × m.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if Y is not N × m.
    pub fn log_density(&self, y: MatRef<'_, T>, par: Par) -> Result<f64> {
        self.rotated(y, par).map(|rotated| self.density(&rotated))
    }

    /// The [`log_density`](Self::log_density) with its gradients in Y, B, Σ and each axis.
    ///
    /// With Z, N × m, of elements zⱼᵢ = (VᵀYW)ⱼᵢ / (1 + βᵢ κⱼ), and sums over j:
    ///
    /// B̄ = ½ W (Zᵀ diag(κ) Z − diag(Σⱼ κⱼ / (1 + βᵢ κⱼ))) Wᵀ, Σ̄ = ½ W (ZᵀZ − diag(Σⱼ 1 / (1 + βᵢ κⱼ))) Wᵀ
    ///
    /// and likewise for each axis. No eigenvector is differentiated, so that equal eigenvalues do no harm.
    ///
    /// # Errors
    ///
    /// As [`log_density`](Self::log_density).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::linalg::NoisyKronecker;
    /// use mercer::prelude::*;
    ///
    /// // One output at one point: the variance is 2 · 3 + 4.
    /// let a = NoisyKronecker::new(mat![[2.0]].as_ref(), mat![[4.0]].as_ref(), &[mat![[3.0]].as_ref()], Par::Seq)?;
    /// let found = a.log_density_gradient(mat![[5.0]].as_ref(), Par::Seq)?;
    /// let in_variance = 0.5 * (25.0 / 100.0 - 1.0 / 10.0);
    /// assert!((found.signal[(0, 0)] - 3.0 * in_variance).abs() < 1e-15);
    /// assert!((found.noise[(0, 0)] - in_variance).abs() < 1e-15);
    /// assert!((found.axes[0][(0, 0)] - 2.0 * in_variance).abs() < 1e-15);
    /// assert!((found.y[(0, 0)] + 0.5).abs() < 1e-15);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn log_density_gradient(&self, y: MatRef<'_, T>, par: Par) -> Result<NoisyKroneckerGradient<T>> {
        let mut z = self.rotated(y, par)?;
        let value = self.density(&z);
        z.iter_mut().zip(&self.spectrum).for_each(|(z, &scale)| *z /= scale);
        let (n, m) = (self.points(), self.outputs());

        let ones = vec![T::from_f64(1.0); n];
        let correlations: Vec<&[T]> = self.axes.iter().map(Eigendecomposition::values).collect();
        let noise = self.in_factor(&z, &outer(&[&vec![T::from_f64(1.0); m], &ones]), 0, par);
        let signal = self.in_factor(&z, &outer(&[&vec![T::from_f64(1.0); m], &outer(&correlations)]), 0, par);
        let axes = (0..self.axes.len()).map(|axis| {
            let ones = vec![T::from_f64(1.0); self.sizes[axis + 1]];
            let mut others = correlations.clone();
            others[axis] = &ones;
            others.insert(0, &self.signal);
            self.in_factor(&z, &outer(&others), axis + 1, par)
        });
        let axes = axes.collect();

        along_axes(&mut z, &self.sizes, |axis, x, out| {
            matmul(out, Accum::Replace, x.transpose(), self.basis(axis).transpose(), T::from_f64(1.0), par);
            Ok(())
        })?;
        let y = Mat::from_fn(n, m, |row, col| -z[col * n + row]);
        Ok(NoisyKroneckerGradient { value, y, signal, noise, axes })
    }

    /// The gradient in B or Σ (factor 0) or an axis, from Z by columns and the products of the other factors'
    /// eigenvalues.
    fn in_factor(&self, z: &[T], weights: &[T], factor: usize, par: Par) -> Mat<T> {
        let traced: Vec<T> = weights.iter().zip(&self.spectrum).map(|(&weight, &scale)| weight / scale).collect();
        contracted(z, weights, &traced, &self.sizes, factor, self.basis(factor), par)
    }

    /// The contraction of ½ (a aᵀ − V diag(h) Vᵀ) with all axes but one, from Vᵀa and h: the gradient in
    /// that axis of a function whose gradient in K it is.
    pub(crate) fn in_axis(&self, axis: usize, rotated: &[T], inverse: &[T], par: Par) -> Mat<T> {
        let ones = vec![T::from_f64(1.0); self.sizes[axis + 1]];
        let mut others: Vec<&[T]> = self.axes.iter().map(Eigendecomposition::values).collect();
        others[axis] = &ones;
        let weights = outer(&others);
        let traced: Vec<T> = weights.iter().zip(inverse).map(|(&weight, &inverse)| weight * inverse).collect();
        contracted(rotated, &weights, &traced, &self.sizes[1..], axis, self.axes[axis].vectors(), par)
    }

    /// VᵀX, for X with N rows.
    pub(crate) fn rotate_points(&self, x: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        if let [axis] = &self.axes[..] {
            let mut out = padded(x.nrows(), x.ncols());
            matmul(out.as_mut(), Accum::Replace, axis.vectors().transpose(), x, T::from_f64(1.0), par);
            return Ok(out);
        }
        by_column(x, |x| {
            along_axes(x, &self.sizes[1..], |axis, x, out| {
                matmul(out, Accum::Replace, x.transpose(), self.axes[axis].vectors(), T::from_f64(1.0), par);
                Ok(())
            })
        })
    }

    /// κ.
    pub(crate) fn correlation_spectrum(&self) -> Vec<T> {
        let axes: Vec<&[T]> = self.axes.iter().map(Eigendecomposition::values).collect();
        outer(&axes)
    }

    /// W, with which the blocks of the inverse are V diag(Σ_l W_il W_jl / (1 + β_l κ)) Vᵀ.
    pub(crate) fn whitener(&self) -> MatRef<'_, T> {
        self.whitener.as_ref()
    }

    /// 1 + βᵢ κ, of N elements.
    pub(crate) fn spectrum(&self, output: usize) -> &[T] {
        &self.spectrum[output * self.points()..][..self.points()]
    }

    /// W or V.
    fn basis(&self, factor: usize) -> MatRef<'_, T> {
        match factor {
            0 => self.whitener.as_ref(),
            axis => self.axes[axis - 1].vectors(),
        }
    }

    /// LU and β: outputs LU g, of independent g_i with the covariance βᵢ K + I.
    pub(crate) fn mixing(&self) -> (MatRef<'_, T>, &[T]) {
        (self.unwhitener.as_ref(), &self.signal)
    }

    /// vec(VᵀYW).
    pub(crate) fn rotated(&self, y: MatRef<'_, T>, par: Par) -> Result<Vec<T>> {
        let (n, m) = (self.points(), self.outputs());
        if y.shape() != (n, m) {
            let expected = format!("{n} x {m}, points by outputs");
            return Err(Error::shape("the outputs", expected, y.shape()));
        }
        let mut x: Vec<T> = (0..m).flat_map(|col| y.col(col).iter().copied()).collect();
        along_axes(&mut x, &self.sizes, |axis, x, out| {
            matmul(out, Accum::Replace, x.transpose(), self.basis(axis), T::from_f64(1.0), par);
            Ok(())
        })?;
        Ok(x)
    }

    fn density(&self, rotated: &[T]) -> f64 {
        let terms = rotated.iter().zip(&self.spectrum);
        let quadratic: f64 = terms.map(|(&y, &scale)| y.as_f64() * y.as_f64() / scale.as_f64()).sum();
        -0.5 * (quadratic + self.log_det() + rotated.len() as f64 * std::f64::consts::TAU.ln())
    }

    /// B multiplied by E D^(power/2) Fᵀ, for bases E and F that are identities where they are not wanted.
    fn spectral(&self, b: MatRef<'_, T>, steps: &[Step], par: Par) -> Result<Mat<T>> {
        check_rows(self.spectrum.len(), b)?;
        let one = T::from_f64(1.0);
        by_column(b, |x| {
            for &step in steps {
                match step {
                    Step::Scale(power) => {
                        let terms = x.iter_mut().zip(&self.spectrum);
                        terms.for_each(|(x, &scale)| *x *= power_of(scale, power));
                    }
                    Step::Rotate { inverse, transpose } => along_axes(x, &self.sizes, |axis, x, out| {
                        let e = if axis == 0 && inverse { self.unwhitener.as_ref() } else { self.basis(axis) };
                        let e = if transpose { e } else { e.transpose() };
                        matmul(out, Accum::Replace, x.transpose(), e, one, par);
                        Ok(())
                    })?,
                }
            }
            Ok(())
        })
    }
}

/// ½ E (Z'ᵀ diag(w) Z' − diag(t)) Eᵀ for one factor of a product and its basis E, where Z' has a column for each index of
/// the factor, w are weights, and t the sums over the other factors of what is traced.
fn contracted<T: Scalar>(
    z: &[T],
    weights: &[T],
    traced: &[T],
    sizes: &[usize],
    factor: usize,
    basis: MatRef<'_, T>,
    par: Par,
) -> Mat<T> {
    let (size, half) = (sizes[factor], T::from_f64(0.5));
    let right: usize = sizes[factor + 1..].iter().product();
    let left = z.len() / (size * right);
    let scaled: Vec<T> = z.iter().zip(weights).map(|(&z, &weight)| z * num_traits::Float::sqrt(weight)).collect();
    // The indices of the other factors before those of this one, which then runs slowest.
    let mut rows = vec![T::from_f64(0.0); z.len()];
    let target = MatMut::from_column_major_slice_mut(&mut rows, left, size * right);
    transpose_into(target, MatRef::from_column_major_slice(&scaled, size * right, left));
    let rows = MatRef::from_column_major_slice(&rows, left * right, size);

    let mut inner = Mat::zeros(size, size);
    matmul(inner.as_mut(), Accum::Replace, rows.transpose(), rows, half, par);
    let mut traces = vec![0.0; size];
    traced.iter().enumerate().for_each(|(at, &value)| traces[at / right % size] += value.as_f64());
    traces.iter().enumerate().for_each(|(i, &trace)| inner[(i, i)] -= half * T::from_f64(trace));

    let mut half = padded(size, size);
    matmul(half.as_mut(), Accum::Replace, basis, inner.as_ref(), T::from_f64(1.0), par);
    let mut gradient = padded(size, size);
    matmul(gradient.as_mut(), Accum::Replace, half.as_ref(), basis.transpose(), T::from_f64(1.0), par);
    mirror_lower(gradient.as_mut());
    gradient
}

/// A factor of an operator in terms of E = W ⊗ V, E⁻ᵀ = LU ⊗ V and D = diag(1 + βᵢ κⱼ).
#[derive(Clone, Copy)]
enum Step {
    /// D^(½ of this)
    Scale(i8),
    /// E, or E⁻ᵀ if `inverse`, or the transpose of one.
    Rotate { inverse: bool, transpose: bool },
}

fn power_of<T: Scalar>(value: T, halves: i8) -> T {
    let root = if halves % 2 == 0 { value } else { num_traits::Float::sqrt(value) };
    if halves < 0 { T::from_f64(1.0) / root } else { root }
}

impl<T: Scalar> Operator<T> for NoisyKronecker<T> {
    fn dim(&self) -> usize {
        self.spectrum.len()
    }

    fn matmul(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        let rotate = |transpose| Step::Rotate { inverse: true, transpose };
        self.spectral(b, &[rotate(true), Step::Scale(2), rotate(false)], par)
    }

    fn solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        let rotate = |transpose| Step::Rotate { inverse: false, transpose };
        self.spectral(b, &[rotate(true), Step::Scale(-2), rotate(false)], par)
    }

    fn half_solve(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.spectral(b, &[Step::Rotate { inverse: false, transpose: true }, Step::Scale(-1)], par)
    }

    fn half_solve_transpose(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.spectral(b, &[Step::Scale(-1), Step::Rotate { inverse: false, transpose: false }], par)
    }

    fn log_det(&self) -> f64 {
        let spectrum: f64 = self.spectrum.iter().map(|&value| value.as_f64().ln()).sum();
        self.points() as f64 * self.noise_log_det + spectrum
    }
}
