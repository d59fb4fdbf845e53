//! The gradients of the log density.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::NoisyKronecker;
use crate::linalg::axes::{along_axes, by_column, outer};
use crate::linalg::{Eigendecomposition, mirror_lower, padded, steady, transpose_into};
use crate::{Result, Scalar};

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
            let par = steady(x.ncols(), par);
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
            let par = steady(x.ncols(), par);
            matmul(out.as_mut(), Accum::Replace, axis.vectors().transpose(), x, T::from_f64(1.0), par);
            return Ok(out);
        }
        by_column(x, |x| {
            along_axes(x, &self.sizes[1..], |axis, x, out| {
                let par = steady(x.ncols(), par);
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
    let par = steady(size, par);
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
