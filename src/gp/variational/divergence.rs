//! KL(q ‖ prior).

use faer::{Mat, MatRef};

use super::record::{Determinant, Recorded};
use super::unpacked;
use crate::inducing::InducingPrior;
use crate::linalg::Root;
use crate::linalg::{Stacked, column};
use crate::simd::sum::dot_in_f64;
use crate::tape::{Slope, Tape, Var};
use crate::{Error, Result, Scalar};

impl<'t, T: Scalar> Recorded<'t, '_, T> {
    /// KL(q ‖ prior) = ½ (‖m‖² + Σ ‖P‖² − M) − ½ ln|S|, for S = Σ PPᵀ, all whitened, and q of this mean m.
    ///
    /// It is added up in `f64`, of terms that are not negative where there is a triangular root P₀, whitened by a
    /// triangular L: ½ ‖m‖², half the squares below its diagonal and ½ (p² − 1 − ln p²) on it. More columns V
    /// add ½ ‖L⁻¹V‖² and take away ½ ln det(I + WᵀW), W = D⁻¹V, by [`Stacked`]: in units in which P₀P₀ᵀ is the identity, D
    /// and V whitened alike have the same W.
    pub(in crate::gp) fn divergence(
        &self,
        tape: &'t Tape<'_, T>,
        prior: &InducingPrior<'t, T>,
        mean: Var<'t, T>,
    ) -> Result<Var<'t, T>> {
        let stacked = self.determinant.stacked()?;
        let further = stacked.as_ref().map_or(0.0, Stacked::half_log_det);
        let prior_log_det = if self.whitened { None } else { Some(prior.half_log_det()) };

        let mut twice = norm(tape.value(mean)?.as_mat());
        let mut squares = vec![mean];
        // ½ ln|S| of which P₀ does not tell.
        let mut half_log_det = further;
        for (index, root) in self.roots.iter().enumerate() {
            let value = tape.value(*root.get())?;
            squares.push(*root.get());
            twice += match root {
                Root::Lower(_) => of_lower(value.as_mat())?,
                Root::Diagonal(_) => of_diagonal(value.as_mat())?,
                Root::Columns(_) => norm(value.as_mat()),
            };
            // L⁻¹P₀ of a prior whose L is not triangular.
            if index == 0 && matches!(root, Root::Columns(_)) {
                twice -= value.as_mat().nrows() as f64;
                half_log_det += self.determinant.half_log_det_of_root(tape)?;
                half_log_det -= prior_log_det.map_or(Ok(0.0), |half| tape.scalar(half))?;
            }
        }
        let value = 0.5 * twice - half_log_det;

        let mut slopes: Vec<_> = squares.into_iter().map(|var| (var, Slope::Itself)).collect();
        slopes.extend(prior_log_det.map(|half| (half, Slope::Given(Mat::full(1, 1, 1.0)))));
        self.determinant.add_slopes(tape, stacked.as_ref(), &mut slopes)?;
        // Of what is left below 0 by rounding.
        Ok(tape.evaluated(if value < 0.0 { 0.0 } else { value }, slopes))
    }
}

impl<'t, T: Scalar> Determinant<'t, '_, T> {
    fn stacked(&self) -> Result<Option<Stacked>> {
        match self {
            Self::LowRank { deviation, factor, .. } => {
                Ok(Some(Stacked::new(deviation.values(), unpacked(factor).as_ref())?))
            }
            _ => Ok(None),
        }
    }

    /// ½ ln det P₀P₀ᵀ, for the first root.
    fn half_log_det_of_root(&self, tape: &Tape<'_, T>) -> Result<f64> {
        match self {
            Self::Triangular(r) => {
                let value = tape.value(*r)?;
                check_diagonal(value.as_mat())?;
                Ok((0..value.as_mat().nrows()).map(|i| value.as_mat()[(i, i)].as_f64().abs().ln()).sum())
            }
            Self::Diagonal { deviation, .. } | Self::LowRank { deviation, .. } => {
                Ok(deviation.values().iter().map(|d| d.ln()).sum())
            }
        }
    }

    /// The gradients of −½ ln|S|.
    fn add_slopes(
        &self,
        tape: &Tape<'_, T>,
        stacked: Option<&Stacked>,
        slopes: &mut Vec<(Var<'t, T>, Slope)>,
    ) -> Result<()> {
        let column = |values: Vec<f64>| Slope::Given(Mat::from_fn(values.len(), 1, |row, _| values[row]));
        match (self, stacked) {
            (Self::Triangular(r), _) => {
                let value = tape.value(*r)?;
                let diagonal = (0..value.as_mat().nrows()).map(|i| -1.0 / value.as_mat()[(i, i)].as_f64());
                slopes.push((*r, Slope::Diagonal(diagonal.collect())));
            }
            (Self::LowRank { d, v, .. }, Some(stacked)) => {
                let (in_deviation, in_factor) = stacked.gradient();
                slopes.push((*d, column(in_deviation.iter().map(|slope| -slope).collect())));
                slopes.push((*v, Slope::Given(-in_factor)));
            }
            (Self::Diagonal { d, deviation } | Self::LowRank { d, deviation, .. }, _) => {
                slopes.push((*d, column(deviation.values().iter().map(|d| -1.0 / d).collect())));
            }
        }
        Ok(())
    }
}

/// p² − 1 − ln p², which is not negative: without cancellation about |p| = 1, and of any size.
pub(in crate::gp) fn excess(p: f64) -> f64 {
    let p = p.abs();
    let square_less_one = (p - 1.0) * (p + 1.0);
    // The logarithm of 1 + (p² − 1) has no digits where p² is small beside 1.
    let log = if p < 0.5 { 2.0 * p.ln() } else { libm::log1p(square_less_one) };
    square_less_one - log
}

/// Σ A ∘ A
fn norm<T: Scalar>(a: MatRef<'_, T>) -> f64 {
    (0..a.ncols()).map(|col| dot_in_f64(column(a, col), column(a, col))).sum()
}

/// ‖P‖² − M − ln|PPᵀ| of a lower triangular P.
fn of_lower<T: Scalar>(p: MatRef<'_, T>) -> Result<f64> {
    check_diagonal(p)?;
    let of_column = |col| {
        let below = &column(p, col)[col + 1..];
        excess(p[(col, col)].as_f64()) + dot_in_f64(below, below)
    };
    Ok((0..p.ncols()).map(of_column).sum())
}

/// The same of a diagonal, by its entries.
fn of_diagonal<T: Scalar>(d: MatRef<'_, T>) -> Result<f64> {
    Ok(column(d, 0).iter().map(|d| excess(d.as_f64())).sum())
}

/// Refuses a triangle that has no inverse.
fn check_diagonal<T: Scalar>(p: MatRef<'_, T>) -> Result<()> {
    let diagonal = || (0..p.nrows()).map(|i| p[(i, i)].as_f64());
    match diagonal().position(|entry| entry == 0.0 || !entry.is_finite()) {
        None => Ok(()),
        Some(pivot) => {
            let mean_diagonal = diagonal().sum::<f64>() / p.nrows() as f64;
            Err(Error::NotPositiveDefinite { pivot, jitter: 0.0, mean_diagonal })
        }
    }
}
