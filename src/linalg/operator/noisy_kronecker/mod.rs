//! A Kronecker product with noise that is correlated between outputs.

mod gradient;

pub use gradient::NoisyKroneckerGradient;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use super::{Operator, check_rows};
use crate::linalg::axes::{along_axes, by_column, outer, product_size};
use crate::linalg::checks::check_square;
use crate::linalg::{Cholesky, Eigendecomposition, Jitter, mirror_lower, steady};
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
///   inference with structured residuals".
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

/// See [`NoisyKronecker::parts`].
#[cfg(feature = "serde")]
#[derive(Debug)]
pub(crate) struct KroneckerParts<T: Scalar> {
    pub(crate) whitener: Mat<T>,
    pub(crate) unwhitener: Mat<T>,
    pub(crate) signal: Mat<T>,
    pub(crate) values: Mat<T>,
    pub(crate) vectors: Mat<T>,
    pub(crate) noise_log_det: f64,
}

impl<T: Scalar> NoisyKronecker<T> {
    /// From B and Σ, m × m, and K₁, …, K_d. All are symmetric; their lower triangles are read.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a matrix that is not square, or for B and Σ of different sizes; [`Error::Empty`] without
    /// axes, or for a matrix without rows; [`Error::NonFinite`] for a NaN or an infinity;
    /// [`Error::NotPositiveDefinite`] if Σ is not positive definite, or is by no more than rounding; [`Error::Setting`]
    /// if B or an axis is not positive semi-definite.
    pub fn new(signal: MatRef<'_, T>, noise: MatRef<'_, T>, axes: &[MatRef<'_, T>], par: Par) -> Result<Self> {
        Self::from_axes(signal, noise, Self::decomposed(axes)?, par)
    }

    /// K₁, …, K_d, decomposed.
    pub(crate) fn decomposed(axes: &[MatRef<'_, T>]) -> Result<Vec<Eigendecomposition<T>>> {
        let decompose = |(axis, k): (usize, &MatRef<'_, T>)| {
            Eigendecomposition::positive_semidefinite(&format!("the covariance of axis {axis}"), *k)
        };
        axes.iter().enumerate().map(decompose).collect()
    }

    /// The same from axes that are [decomposed](Self::decomposed).
    pub(crate) fn from_axes(
        signal: MatRef<'_, T>,
        noise: MatRef<'_, T>,
        axes: Vec<Eigendecomposition<T>>,
        par: Par,
    ) -> Result<Self> {
        check_square("the covariance between outputs", signal)?;
        let m = signal.nrows();
        if noise.shape() != (m, m) {
            let expected = format!("{m} x {m}, as the outputs' covariance");
            return Err(Error::shape("the noise covariance", expected, noise.shape()));
        }
        if axes.is_empty() {
            return Err(Error::Empty { what: "the list of axes".to_owned() });
        }
        let sizes: Vec<usize> = std::iter::once(m).chain(axes.iter().map(|axis| axis.values().len())).collect();
        product_size("the Kronecker product", &sizes)?;

        let factor = Cholesky::new(noise, Jitter::GUARD, par)?;
        let mut whitened = signal.to_owned();
        mirror_lower(whitened.as_mut());
        factor.solve_lower_in_place(whitened.as_mut(), par)?;
        factor.solve_lower_in_place(whitened.as_mut().transpose_mut(), par)?;
        let outputs = Eigendecomposition::positive_semidefinite("the covariance between outputs", whitened.as_ref())?;

        let mut whitener = outputs.vectors().to_owned();
        factor.solve_upper_in_place(whitener.as_mut(), par)?;
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

    /// W or V.
    fn basis(&self, factor: usize) -> MatRef<'_, T> {
        match factor {
            0 => self.whitener.as_ref(),
            axis => self.axes[axis - 1].vectors(),
        }
    }

    /// All that it is made of, for one axis.
    #[cfg(feature = "serde")]
    pub(crate) fn parts(&self) -> KroneckerParts<T> {
        let column = |values: &[T]| Mat::from_fn(values.len(), 1, |row, _| values[row]);
        KroneckerParts {
            whitener: self.whitener.clone(),
            unwhitener: self.unwhitener.clone(),
            signal: column(&self.signal),
            values: column(self.axes[0].values()),
            vectors: self.axes[0].vectors().to_owned(),
            noise_log_det: self.noise_log_det,
        }
    }

    /// One that was made before.
    #[cfg(feature = "serde")]
    pub(crate) fn of_parts(parts: KroneckerParts<T>) -> Result<Self> {
        let KroneckerParts { whitener, unwhitener, signal, values, vectors, noise_log_det } = parts;
        let (m, n) = (signal.nrows(), values.nrows());
        let shapes = [
            ("the whitener", whitener.shape(), (m, m)),
            ("the inverse of the whitener", unwhitener.shape(), (m, m)),
            ("the variances between outputs", signal.shape(), (m, 1)),
            ("the eigenvalues", values.shape(), (n, 1)),
        ];
        if let Some((what, found, (rows, cols))) = shapes.into_iter().find(|(_, found, expected)| found != expected) {
            return Err(Error::shape(what, format!("{rows} x {cols}"), found));
        }
        if m == 0 || n == 0 {
            return Err(Error::Empty { what: "the Kronecker product".to_owned() });
        }
        let list = |column: &Mat<T>| column.col(0).iter().copied().collect::<Vec<T>>();
        let (signal, values) = (list(&signal), list(&values));
        let spectrum = outer(&[&signal, &values]).into_iter().map(|value| value + T::from_f64(1.0)).collect();
        let axes = vec![Eigendecomposition::of_parts(values, vectors)?];
        Ok(Self { whitener, unwhitener, signal, axes, sizes: vec![m, n], spectrum, noise_log_det })
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
            let par = steady(x.ncols(), par);
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
                        matmul(out, Accum::Replace, x.transpose(), e, one, steady(x.ncols(), par));
                        Ok(())
                    })?,
                }
            }
            Ok(())
        })
    }
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

    fn solve_lower(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.spectral(b, &[Step::Rotate { inverse: false, transpose: true }, Step::Scale(-1)], par)
    }

    fn solve_upper(&self, b: MatRef<'_, T>, par: Par) -> Result<Mat<T>> {
        self.spectral(b, &[Step::Scale(-1), Step::Rotate { inverse: false, transpose: false }], par)
    }

    fn log_det(&self) -> f64 {
        let spectrum: f64 = self.spectrum.iter().map(|&value| value.as_f64().ln()).sum();
        self.points() as f64 * self.noise_log_det + spectrum
    }
}
