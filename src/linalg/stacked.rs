//! I + WᵀW for W = D⁻¹V, by a QR factorisation of W over I.

use faer::{Mat, MatRef};

use super::checks::check_finite;
use super::storage::{column, column_mut, padded};
use crate::Result;
use crate::simd::dot;
use crate::simd::elementwise::{add_scaled, scale};

/// QR = (W; I)Π for W = D⁻¹V, with D = diag(d) of m positive entries and V of m × r, so that I + WᵀW = ΠRᵀRΠᵀ.
///
/// That matrix is never formed: where one dᵢ is small, a row of W is large, and the rounding errors of its squares
/// exceed all that the other rows and the identity add. Householder reflections take each column of largest norm that
/// is left, with its largest element on top, and are then stable row by row: small rows keep their digits beside large
/// ones.
///
/// With S = D² + VVᵀ, ln det S = ln det D² + ln det(I + WᵀW), of gradient 2S⁻¹V in V and 2dᵢ(S⁻¹)ᵢᵢ in dᵢ. In Q, of
/// which A are the rows of W and B those of I, S⁻¹V = D⁻¹ABᵀ and dᵢ²(S⁻¹)ᵢᵢ = 1 − ‖aᵢ‖².
///
/// O((m + r) r²) time and O((m + r) r) memory.
///
/// # References
///
/// Powell & Reid (1969), *On applying Householder transformations to linear least squares problems*; Cox & Higham
/// (1998), *Stability of Householder QR factorization for weighted least squares problems*.
#[derive(Clone, Debug)]
pub(crate) struct Stacked {
    /// d
    diagonal: Vec<f64>,
    /// R on and above the diagonal; below it the reflections I − τvvᵀ, without the leading 1 of v.
    factors: Mat<f64>,
    /// τ
    scales: Vec<f64>,
    /// Which row of (W; I) stands where.
    rows: Vec<usize>,
    /// Which column of it stands where.
    columns: Vec<usize>,
}

impl Stacked {
    /// From d and V.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`](crate::Error::NonFinite) if an element of V, or of W, is not finite.
    pub(crate) fn new(d: &[f64], v: MatRef<'_, f64>) -> Result<Self> {
        let (m, r) = (v.nrows(), v.ncols());
        let mut factors = padded(m + r, r);
        for col in 0..r {
            let out = column_mut(factors.as_mut(), col);
            for (row, d) in d.iter().enumerate() {
                out[row] = v[(row, col)] / d;
            }
            out[m + col] = 1.0;
        }
        check_finite("the low-rank factor over the deviations", factors.as_ref())?;
        let mut stacked = Self {
            diagonal: d.to_vec(),
            factors,
            scales: Vec::new(),
            rows: (0..m + r).collect(),
            columns: (0..r).collect(),
        };
        (0..r).for_each(|step| stacked.eliminate(step));
        Ok(stacked)
    }

    /// Makes the next column of R.
    fn eliminate(&mut self, step: usize) {
        let r = self.rank();
        let largest = (step..r).map(|col| (col, norm(&column(self.factors.as_ref(), col)[step..])));
        let (pivot, length) = largest.fold((step, -1.0), |best, next| if next.1 > best.1 { next } else { best });
        self.swap_columns(step, pivot);
        let heights = column(self.factors.as_ref(), step)[step..].iter().map(|x| x.abs()).enumerate();
        let (top, _) = heights.fold((0, -1.0), |best, next| if next.1 > best.1 { next } else { best });
        self.swap_rows(step, step + top);

        let own = &mut column_mut(self.factors.as_mut(), step)[step..];
        let first = own[0];
        // Of the sign that does not cancel.
        let corner = if first > 0.0 { -length } else { length };
        // Rows of the identity are left in each column, so that its length is not 0.
        let tau = (corner - first) / corner;
        own[0] = corner;
        scale(&mut own[1..], 1.0 / (first - corner));
        self.scales.push(tau);
        let reflection = own[1..].to_vec();
        for col in step + 1..r {
            reflect(&mut column_mut(self.factors.as_mut(), col)[step..], &reflection, tau);
        }
    }

    fn swap_columns(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        self.columns.swap(a, b);
        for row in 0..self.factors.nrows() {
            let (left, right) = (self.factors[(row, a)], self.factors[(row, b)]);
            (self.factors[(row, a)], self.factors[(row, b)]) = (right, left);
        }
    }

    /// Of what is left and of the reflections that there are, which act on the rows in their new order.
    fn swap_rows(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        self.rows.swap(a, b);
        for col in 0..self.factors.ncols() {
            column_mut(self.factors.as_mut(), col).swap(a, b);
        }
    }

    /// r, the number of columns.
    fn rank(&self) -> usize {
        self.columns.len()
    }

    /// v of a reflection, without its leading 1.
    fn reflection(&self, step: usize) -> &[f64] {
        &column(self.factors.as_ref(), step)[step + 1..]
    }

    /// ½ ln det(I + WᵀW)
    pub(crate) fn half_log_det(&self) -> f64 {
        (0..self.rank()).map(|i| self.factors[(i, i)].abs().ln()).sum()
    }

    /// The gradient of ½ ln det(D² + VVᵀ) in d and in V.
    pub(crate) fn gradient(&self) -> (Vec<f64>, Mat<f64>) {
        let (m, r) = (self.diagonal.len(), self.rank());
        let q = self.orthonormal();
        let mut in_factor = q.subrows(0, m) * q.subrows(m, r).transpose();
        for col in 0..r {
            let entries = column_mut(in_factor.as_mut(), col);
            entries.iter_mut().zip(&self.diagonal).for_each(|(entry, d)| *entry /= d);
        }
        let mut place = vec![0; m + r];
        self.rows.iter().enumerate().for_each(|(at, &row)| place[row] = at);
        let in_diagonal = (0..m).map(|row| {
            let leverage: f64 = (0..r).map(|col| q[(row, col)] * q[(row, col)]).sum();
            // The leverages add up to at most r: few can be so large that the difference loses digits.
            let rest = if leverage < 0.5 { 1.0 - leverage } else { self.beyond(place[row]) };
            rest / self.diagonal[row]
        });
        (in_diagonal.collect(), in_factor)
    }

    /// Q, in the order of the rows of (W; I).
    fn orthonormal(&self) -> Mat<f64> {
        let (n, r) = (self.factors.nrows(), self.rank());
        let mut q = padded(n, r);
        let mut image = vec![0.0; n];
        for col in 0..r {
            image.fill(0.0);
            image[col] = 1.0;
            for step in (0..=col).rev() {
                reflect(&mut image[step..], self.reflection(step), self.scales[step]);
            }
            let out = column_mut(q.as_mut(), col);
            self.rows.iter().zip(&image).for_each(|(&row, &value)| out[row] = value);
        }
        q
    }

    /// The squared norm of the part of a unit vector, by its place, that is orthogonal to the columns: 1 − its leverage,
    /// as a sum of squares.
    fn beyond(&self, place: usize) -> f64 {
        let mut image = vec![0.0; self.factors.nrows()];
        image[place] = 1.0;
        for (step, &tau) in self.scales.iter().enumerate() {
            reflect(&mut image[step..], self.reflection(step), tau);
        }
        let rest = &image[self.rank()..];
        dot(rest, rest)
    }
}

/// x −= τ (vᵀx) v, for v = (1, tail).
fn reflect(x: &mut [f64], tail: &[f64], tau: f64) {
    let Some((first, rest)) = x.split_first_mut() else { return };
    let along = tau * (*first + dot(tail, rest));
    *first -= along;
    add_scaled(rest, tail, -along);
}

/// The Euclidean norm; also of numbers whose squares overflow.
fn norm(x: &[f64]) -> f64 {
    let square = dot(x, x);
    if square < 1e300 {
        return square.sqrt();
    }
    let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    largest * x.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
}
