//! Evidences of sparse processes with the inducing variables integrated out.

use super::model::Objective;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat};

use super::conditional::Variances;
use super::moments::Moments;
use crate::linalg::{Jitter, column};
use crate::simd::sum::dot_in_f64;
use crate::tape::{Tape, Var};
use crate::{Error, Result, Scalar};

/// How a collapsed sparse process stands for the exact one.
///
/// # Definition
///
/// With Q = K_fu K_uu⁻¹ K_uf, K(X, Z) K(Z, Z)⁻¹ K(Z, X) for inducing inputs Z, in place of K = K(X, X), and noise variance σ², the log evidence
/// log N(y; m(X), K + σ²I) is replaced by the following, in which known noise has diag(σᵢ²) for σ²I
///
/// | | log evidence |
/// |---|---|
/// | `Vfe` | log N(y; m(X), Q + σ²I) − tr(K − Q)/2σ² |
/// | `Fitc` | log N(y; m(X), Q + diag(K − Q) + σ²I) |
/// | `Dtc` | log N(y; m(X), Q + σ²I) |
///
/// `Vfe` is a lower bound of the exact log evidence, whatever Z, so inducing inputs can be optimised
/// with it without overfitting; more of them never make it worse. `Fitc` and `Dtc` are exact
/// evidences of other models, and can exceed the exact one: `Fitc` tends to underestimate the noise,
/// `Dtc` to overfit. All three are the exact log evidence at Z = X.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Approximation, Sgpr};
/// use mercer::prelude::*;
///
/// // One inducing input at 0, one observation where k(0, x)² = ½: Q = ½, K = 1.
/// let x = mat![[2f64.ln().sqrt()]];
/// let sgpr = Sgpr::new(Rbf::new(1.0), mat![[0.0]].as_ref())?.with_noise(0.5)?;
/// let normal = |variance: f64| -0.5 * (4.0 / variance + (std::f64::consts::TAU * variance).ln());
/// for (approximation, expected) in [
///     (Approximation::Vfe, normal(0.5 + 0.5) - 0.5),
///     (Approximation::Fitc, normal(0.5 + 0.5 + 0.5)),
///     (Approximation::Dtc, normal(0.5 + 0.5)),
/// ] {
///     let found = sgpr.clone().with_approximation(approximation).objective(&Data::new(&x, &[2.0]))?;
///     assert!((found.value - expected).abs() < 1e-14);
/// }
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Titsias (2009), eq. 9, for `Vfe`; Snelson & Ghahramani (2006) for `Fitc`; Quiñonero-Candela & Rasmussen
/// (2005), sections 5 and 6, for `Dtc` and `Fitc` in one frame; Bauer, van der Wilk & Rasmussen (2016) for
/// how they behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approximation {
    /// The variational free energy: a lower bound.
    #[default]
    Vfe,
    /// Fully independent training conditional: the variances of the data are exact, their
    /// covariances of rank M.
    Fitc,
    /// Deterministic training conditional, also projected process: rank M throughout.
    Dtc,
}

/// The log evidence of a collapsed sparse process, and its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollapsedEvidence {
    /// `log_density − trace`
    pub value: f64,
    /// log N(y; m(X), Q + Λ), with Λ the part of the covariance that is diagonal.
    pub log_density: f64,
    /// tr(K − Q)/2σ², or Σᵢ (K − Q)ᵢᵢ/2σᵢ², for [`Approximation::Vfe`], 0 for the others.
    pub trace: f64,
    /// The jitter that was added to the diagonal of K_uu.
    pub jitter: f64,
    /// The jitter that was added to the diagonal of I + AΛ⁻¹Aᵀ: 0 unless the noise is as small as
    /// the rounding errors of the covariances. It lowers `log_density`, so a lower bound stays one.
    pub precision_jitter: f64,
    /// By how much rounding may have changed `value`: a lower bound exceeds the exact evidence by no more. It grows with the
    /// kernel's variance over that of the noise, and with the condition of K_uu. Where that variance is so large that the
    /// noise is below its rounding, a value may be lower still than this says.
    pub rounding: f64,
}

impl Objective for CollapsedEvidence {
    fn value(&self) -> f64 {
        self.value
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}

/// An evidence on a tape. The density lacks nothing; the trace term is there where it counts.
pub(super) struct Recorded<'t, T: Scalar> {
    pub(super) value: Var<'t, T>,
    log_density: Var<'t, T>,
    trace: Option<Var<'t, T>>,
    precision_jitter: f64,
}

impl<'t, T: Scalar> Recorded<'t, T> {
    /// A log density less the trace term.
    fn bound(log_density: Var<'t, T>, trace: Var<'t, T>, precision_jitter: f64) -> Self {
        Self { value: log_density - trace, log_density, trace: Some(trace), precision_jitter }
    }

    pub(super) fn evidence(&self, tape: &Tape<'_, T>, jitter: f64, rounding: f64) -> Result<CollapsedEvidence> {
        let log_density = tape.scalar(self.log_density)?;
        let trace = self.trace.map_or(Ok(0.0), |trace| tape.scalar(trace))?;
        let precision_jitter = self.precision_jitter;
        let value = log_density - trace;
        Ok(CollapsedEvidence { value, log_density, trace, jitter, precision_jitter, rounding })
    }
}

/// The log evidence of residuals r = y − m(X), N × 1, from A, diag(K − AᵀA) and σᵢ², N × 1.
///
/// With B = I + AΛ⁻¹Aᵀ,
///
/// log N(r; 0, AᵀA + Λ) = −½ (rᵀ(AᵀA + Λ)⁻¹r + log|B| + log|Λ| + N log 2π)
///
/// where log|AᵀA + Λ| = log|B| + log|Λ| by the determinant lemma, and the quadratic form is the least
/// value of
///
/// (r − Aᵀm)ᵀΛ⁻¹(r − Aᵀm) + ‖m‖², at m = B⁻¹AΛ⁻¹r,
///
/// a sum of squares rather than the difference rᵀΛ⁻¹r − ‖…‖² that the inversion lemma gives, which
/// cancels where the fit is good. An error in m enters by its square; and because the form is stationary in
/// m, its gradient is the one with m held constant, so m need not be on the tape.
pub(super) fn record_evidence<'t, T: Scalar>(
    tape: &'t Tape<'_, T>,
    approximation: Approximation,
    (a, variances): (Var<'t, T>, Variances<'t, T>),
    residual: Var<'t, T>,
    noise: Var<'t, T>,
) -> Result<Recorded<'t, T>> {
    let unexplained = variances.unexplained();
    let n = tape.shape(residual)?.0;
    let variance = if approximation == Approximation::Fitc {
        check_left(&variances.remainders(tape)?, column(tape.value(noise)?.as_mat(), 0))?;
        unexplained + noise
    } else {
        noise
    };
    check_positive(column(tape.value(variance)?.as_mat(), 0))?;

    let precision = variance.recip();
    let b = a.weighted_outer(precision).add_identity(1.0);
    let (l, precision_jitter) = b.cholesky(Jitter::default())?;
    let (m, excess) = minimiser(tape, l, a, residual, precision)?;
    let penalty = m.squared_norm_l2().as_f64();
    let misfit = residual - a.matmul_tn(tape.constant_owned(m));
    let misfit = misfit.inner(misfit.hadamard(precision));
    misfit.is_off_by(vec![excess]);

    let offset = penalty + n as f64 * std::f64::consts::TAU.ln();
    let halves = misfit + variance.ln().sum() + offset;
    let log_density = -0.5 * halves - half_log_det(tape, l, precision_jitter)?;
    if approximation != Approximation::Vfe {
        return Ok(Recorded { value: log_density, log_density, trace: None, precision_jitter });
    }
    let trace = 0.5 * unexplained.inner(precision);
    Ok(Recorded::bound(log_density, trace, precision_jitter))
}

/// The same from second moments, for Λ = σ²I.
pub(super) fn record_evidence_of<'t, 'a>(
    tape: &'t Tape<'a, f64>,
    approximation: Approximation,
    moments: &Moments<'t, 'a>,
    noise: Var<'t, f64>,
) -> Result<Recorded<'t, f64>> {
    if approximation == Approximation::Fitc {
        let expected = "needs the variance at each point: statistics give `Vfe` and `Dtc`";
        return Err(Error::setting("the approximation", "`Fitc`", expected));
    }
    let parts = (moments.outer, moments.target(tape));
    let precision = noise.recip();
    let (log_density, precision_jitter) =
        record_density(tape, parts, moments.observations(), (noise, precision), |m| moments.misfit(tape, m))?;
    if approximation == Approximation::Dtc {
        return Ok(Recorded { value: log_density, log_density, trace: None, precision_jitter });
    }
    let explained = moments.outer.trace().at_most(moments.variance);
    let unexplained = moments.variance - explained;
    let trace = 0.5 * unexplained.scale_by(precision);
    Ok(Recorded::bound(log_density, trace, precision_jitter))
}

/// The sum of log N(r; 0, AᵀA + σ²I) over residuals r of n elements, and the jitter of I + AAᵀ/σ²: from AAᵀ, M × M, and Ar, a
/// column for each; from σ² and 1/σ²; and from the sum of ‖r − Aᵀm‖² for means m, M × 1 each, which may have more in it that
/// counts by 1/σ².
pub(super) fn record_density<'t>(
    tape: &'t Tape<'_, f64>,
    (outer, target): (Var<'t, f64>, Var<'t, f64>),
    n: usize,
    (noise, precision): (Var<'t, f64>, Var<'t, f64>),
    misfit: impl FnOnce(Var<'t, f64>) -> Var<'t, f64>,
) -> Result<(Var<'t, f64>, f64)> {
    let outputs = tape.shape(target)?.1;
    let count = (n * outputs) as f64;
    let b = outer.scale_by(precision).add_identity(1.0);
    let (l, precision_jitter) = b.cholesky(Jitter::default())?;
    let target = tape.value(target.scale_by(precision))?;
    let m = solve_normal(tape, l, target.as_mat().to_owned())?;
    let penalty = m.squared_norm_l2();
    let misfit = misfit(tape.constant_owned(m)).scale_by(precision);

    let offset = penalty + count * std::f64::consts::TAU.ln();
    let halves = misfit + count * noise.ln() + offset;
    let mut log_det = half_log_det(tape, l, precision_jitter)?;
    if outputs > 1 {
        log_det = outputs as f64 * log_det;
    }
    Ok((-0.5 * halves - log_det, precision_jitter))
}

/// ½ ln det B of B = I + AΛ⁻¹Aᵀ = LLᵀ − jitter·I.
///
/// No pivot of B itself is below 1, but one that jitter has raised may be anything above it.
pub(super) fn half_log_det<'t, T: Scalar>(tape: &Tape<'_, T>, l: Var<'t, T>, jitter: f64) -> Result<Var<'t, T>> {
    let half = l.log_diagonal_sum();
    if jitter > 0.0 {
        let factor = tape.value(l)?;
        let pivots = (0..factor.as_mat().nrows()).map(|i| factor.as_mat()[(i, i)].as_f64().powi(2));
        // Jitter adds up along the rows that a pivot depends on.
        let hidden = |pivot: f64| 0.5 * (pivot / (pivot - 16.0 * jitter).max(1.0)).ln().max(0.0);
        half.is_off_by(vec![pivots.map(hidden).sum()]);
    }
    Ok(half)
}

/// Improvements of m at most.
const REFINEMENTS: usize = 3;

/// m = B⁻¹AΛ⁻¹r, refined where the least value of the quadratic form is not reached to rounding, and by how much the form may
/// be above it: gᵀB⁻¹g, for the gradient g = AΛ⁻¹(r − Aᵀm) − m.
fn minimiser<T: Scalar>(
    tape: &Tape<'_, T>,
    l: Var<'_, T>,
    a: Var<'_, T>,
    residual: Var<'_, T>,
    precision: Var<'_, T>,
) -> Result<(Mat<T>, f64)> {
    let (values, residual, precision) = (tape.value(a)?, tape.value(residual)?, tape.value(precision)?);
    let (a, par, one) = (values.as_mat(), tape.par(), T::from_f64(1.0));
    let weighted = |misfit: &Mat<T>| {
        let weighted = Mat::from_fn(misfit.nrows(), 1, |row, _| misfit[(row, 0)] * precision.as_mat()[(row, 0)]);
        let mut product = Mat::zeros(a.nrows(), 1);
        matmul(product.as_mut(), Accum::Replace, a, weighted.as_ref(), one, par);
        (dot_in_f64(misfit.col_as_slice(0), weighted.col_as_slice(0)), product)
    };
    let mut m = solve_normal(tape, l, weighted(&residual.as_mat().to_owned()).1)?;
    let mut excess = f64::INFINITY;
    for _ in 0..REFINEMENTS {
        let mut misfit = residual.as_mat().to_owned();
        matmul(misfit.as_mut(), Accum::Add, a.transpose(), m.as_ref(), -one, par);
        let (square, product) = weighted(&misfit);
        let gradient = product - &m;
        let step = solve_normal(tape, l, gradient.clone())?;
        let left = dot_in_f64(gradient.col_as_slice(0), step.col_as_slice(0));
        let stalls = left >= 0.25 * excess;
        excess = excess.min(left);
        if stalls || left <= T::epsilon().as_f64() * (square + m.squared_norm_l2().as_f64()) {
            break;
        }
        m += step;
    }
    Ok((m, excess))
}

/// (LLᵀ)⁻¹ m.
fn solve_normal<T: Scalar>(tape: &Tape<'_, T>, l: Var<'_, T>, mut m: Mat<T>) -> Result<Mat<T>> {
    use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
    let l = tape.value(l)?;
    solve_lower_triangular_in_place(l.as_mat(), m.as_mut(), tape.par());
    solve_upper_triangular_in_place(l.as_mat().transpose(), m.as_mut(), tape.par());
    Ok(m)
}

/// Refuses a diagonal of Λ that is zero or negative, or that is not a number.
pub(super) fn check_positive<T: Scalar>(variances: &[T]) -> Result<()> {
    match variances.iter().map(|value| value.as_f64()).enumerate().find(|(_, value)| value.is_nan() || *value <= 0.0) {
        Some((row, value)) => Err(Error::NegativeVariance { row, value }),
        None => Ok(()),
    }
}

/// Refuses noise that is less than what rounding has taken from the variances that it is added to.
pub(super) fn check_left<T: Scalar>(remainders: &[T], noise: &[T]) -> Result<()> {
    check_positive(&remainders.iter().zip(noise).map(|(&left, &noise)| left + noise).collect::<Vec<_>>())
}
