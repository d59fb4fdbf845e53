//! The covariance of inducing variables.

use std::convert::Infallible;
use std::sync::Arc;

use faer::{Mat, MatRef};

use super::basis::PartPrior;
use crate::linalg::{Jitter, LEAST_KNOWN_PIVOT};
use crate::tape::{Tape, Var, Whitening};
use crate::{Error, Result, Scalar};

/// p(u) = N(0, K_uu) on a tape, with K_uu = LLᵀ: L is a Cholesky factor, the square roots of a
/// diagonal, or a root of a diagonal plus a matrix of low rank. Then v = L⁻¹u is N(0, I): whitened.
///
/// # Examples
///
/// The same covariance in both forms:
///
/// ```
/// use mercer::inducing::InducingPrior;
/// use mercer::linalg::Jitter;
/// use mercer::prelude::*;
/// use mercer::tape::Tape;
///
/// let tape = Tape::new(Par::Seq);
/// let none = tape.parameter(Mat::<f64>::zeros(0, 1));
/// let k_uf = tape.constant_owned(mat![[6.0], [6.0]]);
///
/// let matrix = tape.parameter(mat![[4.0, 0.0], [0.0, 9.0]]);
/// let dense = InducingPrior::dense(none, matrix, Jitter::default())?;
/// let variances = tape.parameter(mat![[4.0], [9.0]]);
/// let diagonal = InducingPrior::diagonal(none, variances);
/// for prior in [dense, diagonal] {
///     assert_eq!(tape.value(prior.whiten(k_uf))?.as_mat(), mat![[3.0], [2.0]]);
///     assert!((tape.scalar(prior.half_log_det())? - 6.0f64.ln()).abs() < 1e-15);
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct InducingPrior<'t, T: Scalar>(Prior<Var<'t, T>>);

/// The same with its parts on a tape or off it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior<V> {
    pub(super) parameter: V,
    pub(super) factor: Factor<V>,
    /// c, M × 1, where K_uf = diag(c) Φ(x) in a fixed basis
    pub(super) basis_scale: Option<V>,
    /// The variance of white noise beside what u determines, 1 × 1
    pub(super) white: Option<V>,
    pub(super) jitter: f64,
    pub(super) has_remainder: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Factor<V> {
    /// L, and LLᵀ where it is known
    Lower { lower: V, covariance: Option<V> },
    /// LLᵀ, M × 1
    Diagonal(V),
    /// LLᵀ = D^½ (I + WWᵀ) D^½ by D, M × 1, W, M × r, and the Cholesky factor C of I + WᵀW, r × r.
    ///
    /// L = D^½ R with R⁻ᵀ = I − W Z Wᵀ, Z = C⁻ᵀ (I + C)⁻¹: from WᵀW = CCᵀ − I,
    /// Z + Zᵀ − Z WᵀW Zᵀ = (I + Z)(I + Z)ᵀ − I − (ZC)(ZC)ᵀ, which is C⁻ᵀC⁻¹, so that R⁻ᵀR⁻¹ is the inverse of
    /// I + WWᵀ by the inversion lemma. Nothing is inverted that can be close to singular, for W of
    /// any rank and size.
    LowRank { diagonal: V, columns: V, lower: V },
}

impl<V> Prior<V> {
    fn new(parameter: V, factor: Factor<V>, jitter: f64) -> Self {
        Self { parameter, factor, basis_scale: None, white: None, jitter, has_remainder: true }
    }

    fn try_map<'s, N, E>(&'s self, f: impl Fn(&'s V) -> Result<N, E>) -> Result<Prior<N>, E> {
        let factor = match &self.factor {
            // Off the tape, nobody asks for its gradient.
            Factor::Lower { lower, .. } => Factor::Lower { lower: f(lower)?, covariance: None },
            Factor::Diagonal(variances) => Factor::Diagonal(f(variances)?),
            Factor::LowRank { diagonal, columns, lower } => {
                Factor::LowRank { diagonal: f(diagonal)?, columns: f(columns)?, lower: f(lower)? }
            }
        };
        let optional = |v: &'s Option<V>| v.as_ref().map(&f).transpose();
        let (basis_scale, white) = (optional(&self.basis_scale)?, optional(&self.white)?);
        let (parameter, jitter, has_remainder) = (f(&self.parameter)?, self.jitter, self.has_remainder);
        Ok(Prior { parameter, factor, basis_scale, white, jitter, has_remainder })
    }
}

impl<'t, T: Scalar> InducingPrior<'t, T> {
    /// A covariance without structure, M × M, of features with these parameters.
    ///
    /// # Errors
    ///
    /// Those of [`Var::cholesky`].
    pub fn dense(parameter: Var<'t, T>, k_uu: Var<'t, T>, jitter: Jitter) -> Result<Self> {
        let (factor, jitter) = k_uu.cholesky_above(jitter, LEAST_KNOWN_PIVOT)?;
        let factor = Factor::Lower { lower: factor, covariance: Some(k_uu) };
        Ok(Self(Prior::new(parameter, factor, jitter)))
    }

    /// A diagonal covariance by its entries, M × 1, of features with these parameters.
    ///
    /// It takes no jitter: dividing by the root of an entry is as accurate for a small one as for a
    /// large one. An entry of 0, where a variance has underflowed, is a feature that nothing depends on.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::NotPositiveDefinite`] for an entry that is negative, an [`Error::NonFinite`]
    /// for a NaN or an infinity, and an [`Error::Shape`] if the entries are not a column.
    pub fn diagonal(parameter: Var<'t, T>, variances: Var<'t, T>) -> Self {
        let variances = checked(variances, |entry| entry >= T::from_f64(0.0));
        Self(Prior::new(parameter, Factor::Diagonal(variances), 0.0))
    }

    /// diag(d) + UUᵀ by d, M × 1, and U, M × r, of features with these parameters: what it is asked for
    /// costs O(M·r) a column, and no M × M matrix is made.
    ///
    /// # Errors
    ///
    /// Those of [`Var::cholesky`] for I + WᵀW with W = diag(d)^(−½) U. The tape [keeps](Var#errors) those of
    /// [`diagonal`](Self::diagonal) for d, of which no entry may be 0, and an [`Error::Shape`] if U does not have a row for
    /// each, which are then given here.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::inducing::InducingPrior;
    /// use mercer::linalg::Jitter;
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let none = tape.parameter(Mat::<f64>::zeros(0, 1));
    /// let (d, u) = (mat![[4.0], [9.0], [1.0]], mat![[2.0, 0.0], [-1.0, 1.0], [3.0, 0.5]]);
    /// let matrix = tape.parameter(mat![[8.0, -2.0, 6.0], [-2.0, 11.0, -2.5], [6.0, -2.5, 10.25]]);
    /// let structured = InducingPrior::low_rank(none, tape.parameter(d), tape.parameter(u))?;
    /// let dense = InducingPrior::dense(none, matrix, Jitter::default())?;
    ///
    /// // The roots differ by a rotation: bᵀK⁻¹b and ln det K do not.
    /// let b = tape.constant_owned(mat![[1.0], [5.0], [-2.0]]);
    /// let squares = |prior: &InducingPrior<'_, f64>| tape.scalar(prior.whiten(b).sum_of_squares());
    /// let log_det = |prior: &InducingPrior<'_, f64>| tape.scalar(prior.half_log_det());
    /// assert!((squares(&structured)? - squares(&dense)?).abs() < 1e-15);
    /// assert!((log_det(&structured)? - log_det(&dense)?).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn low_rank(parameter: Var<'t, T>, d: Var<'t, T>, u: Var<'t, T>) -> Result<Self> {
        let d = checked(d, |entry| entry > T::from_f64(0.0));
        let columns = u.divide_rows_by_root(d);
        let gram = columns.matmul_tn(columns).add_identity(1.0);
        let (lower, _) = gram.cholesky(Jitter::Fixed(0.0))?;
        Ok(Self(Prior::new(parameter, Factor::LowRank { diagonal: d, columns, lower }, 0.0)))
    }

    /// The same for features that f is a function of: f(x) = K_fu K_uu⁻¹ u, and no more.
    ///
    /// By default there is a remainder of variance k(x, x) − k_fu K_uu⁻¹ k_uf, independent of u, and at
    /// least 0 where u is a function of f. Features whose covariances are those of an approximation of
    /// the kernel do without: then the model's process is the approximation.
    #[must_use]
    pub fn without_remainder(self) -> Self {
        Self(Prior { has_remainder: false, ..self.0 })
    }

    /// The same of features with K_uf = diag(c) Φ(x) in a [fixed basis](super::InducingFeatures::basis), by c, M × 1; c is 1
    /// by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::inducing::InducingPrior;
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// // Coefficients of orthonormal functions: cov(u, f(x)) is their variance times Φ(x).
    /// let tape = Tape::new(Par::Seq);
    /// let none = tape.parameter(Mat::<f64>::zeros(0, 1));
    /// let variances = tape.parameter(mat![[4.0], [9.0]]);
    /// let prior = InducingPrior::diagonal(none, variances).with_basis_scale(variances);
    /// let scale = prior.basis_scale().expect("it was given");
    /// assert_eq!(tape.value(scale)?.as_mat(), mat![[4.0], [9.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn with_basis_scale(self, scale: Var<'t, T>) -> Self {
        Self(Prior { basis_scale: Some(scale), ..self.0 })
    }

    /// c of K_uf = diag(c) Φ(x), M × 1, where it was given.
    pub fn basis_scale(&self) -> Option<Var<'t, T>> {
        self.0.basis_scale
    }

    /// The same, [without remainder](Self::without_remainder), of a process with white noise of this variance, 1 × 1,
    /// beside what the features determine.
    #[must_use]
    pub(crate) fn with_white(self, variance: Var<'t, T>) -> Self {
        Self(Prior { white: Some(variance), ..self.0 })
    }

    /// The variance of white noise beside what the features determine, 1 × 1.
    pub(crate) fn white(&self) -> Option<Var<'t, T>> {
        self.0.white
    }

    /// Whether f has a part that u does not determine.
    pub fn has_remainder(&self) -> bool {
        self.0.has_remainder
    }

    /// The features' parameters: the variable that gets their gradient.
    pub fn parameter(&self) -> Var<'t, T> {
        self.0.parameter
    }

    /// The entries of a diagonal covariance, M × 1; `None` for another.
    pub fn variances(&self) -> Option<Var<'t, T>> {
        match self.0.factor {
            Factor::Diagonal(variances) => Some(variances),
            _ => None,
        }
    }

    /// Whether L is lower triangular.
    pub(crate) fn is_triangular(&self) -> bool {
        !matches!(self.0.factor, Factor::LowRank { .. })
    }

    /// The jitter that was added to the diagonal.
    pub fn jitter(&self) -> f64 {
        self.0.jitter
    }

    /// L⁻¹B, for B of M rows: M² operations for each column, M for a diagonal covariance, and 4·M·r for
    /// one of rank r beside it.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if B does not have M rows.
    pub fn whiten(&self, b: Var<'t, T>) -> Var<'t, T> {
        match self.0.factor {
            Factor::Lower { lower, .. } => lower.solve_lower(b),
            Factor::Diagonal(variances) => b.divide_rows_by_root(variances),
            Factor::LowRank { diagonal, columns, lower } => {
                let b = b.divide_rows_by_root(diagonal);
                let inner = lower.solve_lower(columns.matmul_tn(b));
                let inner = lower.add_identity(1.0).solve_lower_transpose(inner);
                b - columns * inner
            }
        }
    }

    /// What a triangular L is, and K_uf; or no L, and L⁻¹K_uf.
    pub(crate) fn whitening(&self, k_uf: Var<'t, T>) -> (Option<Whitening<Var<'t, T>>>, Var<'t, T>) {
        match self.0.factor {
            Factor::Lower { lower, covariance } => (Some(Whitening { lower, covariance }), k_uf),
            _ => (None, self.whiten(k_uf)),
        }
    }

    /// L⁻ᵀB, for B of M rows: weights on K_uf from weights on the whitened L⁻¹K_uf.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`] if B does not have M rows.
    pub fn whiten_transpose(&self, b: Var<'t, T>) -> Var<'t, T> {
        match self.0.factor {
            Factor::Lower { lower, .. } => lower.solve_lower_transpose(b),
            Factor::Diagonal(variances) => b.divide_rows_by_root(variances),
            Factor::LowRank { diagonal, columns, lower } => {
                let inner = lower.add_identity(1.0).solve_lower(columns.matmul_tn(b));
                let inner = lower.solve_lower_transpose(inner);
                (b - columns * inner).divide_rows_by_root(diagonal)
            }
        }
    }

    /// ½ ln det K_uu: 1 × 1.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::NotPositiveDefinite`] if an entry of a diagonal covariance is 0.
    pub fn half_log_det(&self) -> Var<'t, T> {
        match self.0.factor {
            Factor::Lower { lower, .. } => lower.log_diagonal_sum(),
            Factor::Diagonal(variances) => 0.5 * checked(variances, |entry| entry > T::from_f64(0.0)).ln().sum(),
            Factor::LowRank { diagonal, lower, .. } => 0.5 * diagonal.ln().sum() + lower.log_diagonal_sum(),
        }
    }

    /// The same off the tape.
    pub(crate) fn store(&self, tape: &Tape<'_, T>) -> Result<StoredPrior<T>> {
        let owned = |var: &Var<'t, T>| -> Result<Mat<T>> { Ok(tape.value(*var)?.as_mat().to_owned()) };
        Ok(StoredPrior(self.0.try_map(owned)?))
    }
}

/// Variances, if they are a column of finite numbers that are as they have to be.
fn checked<T: Scalar>(variances: Var<'_, T>, fits: impl Fn(T) -> bool) -> Var<'_, T> {
    let what = "the variances of the inducing features";
    variances.checked(|entries| {
        if entries.ncols() != 1 {
            return Err(Error::shape(what, "one column", (entries.nrows(), entries.ncols())));
        }
        crate::data::check_finite(what, entries)?;
        match entries.col(0).iter().position(|&entry| !fits(entry)) {
            Some(pivot) => Err(not_positive(entries, pivot)),
            None => Ok(()),
        }
    })
}

fn not_positive<T: Scalar>(entries: MatRef<'_, T>, pivot: usize) -> Error {
    let sum: f64 = entries.col(0).iter().map(|&entry| entry.as_f64()).sum();
    Error::NotPositiveDefinite { pivot, jitter: 0.0, mean_diagonal: sum / entries.nrows() as f64 }
}

/// An [`InducingPrior`] that has outlived its tape.
#[derive(Clone, Debug)]
pub(crate) struct StoredPrior<T: Scalar>(pub(super) Prior<Mat<T>>);

impl<T: Scalar> StoredPrior<T> {
    /// With a Cholesky factor from elsewhere.
    pub(crate) fn dense(parameter: Mat<T>, factor: Mat<T>, jitter: f64) -> Self {
        Self(Prior::new(parameter, Factor::Lower { lower: factor, covariance: None }, jitter))
    }

    /// On another tape, as constants.
    pub(crate) fn on<'t, 'a>(&'a self, tape: &'t Tape<'a, T>) -> InducingPrior<'t, T> {
        let Ok(prior) = self.0.try_map(|matrix| Ok::<_, Infallible>(tape.constant(matrix.as_ref())));
        InducingPrior(prior)
    }

    pub(crate) fn jitter(&self) -> f64 {
        self.0.jitter
    }

    /// L, if it is a Cholesky factor.
    pub(crate) fn lower(&self) -> Option<MatRef<'_, T>> {
        match &self.0.factor {
            Factor::Lower { lower, .. } => Some(lower.as_ref()),
            _ => None,
        }
    }

    /// What [`InducingPrior::parameter`] is: of values at points, the points.
    pub(crate) fn parameter(&self) -> &Mat<T> {
        &self.0.parameter
    }

    pub(crate) fn white(&self) -> Option<T> {
        self.0.white.as_ref().map(|variance| variance[(0, 0)])
    }

    pub(crate) fn has_remainder(&self) -> bool {
        self.0.has_remainder
    }

    /// With the covariances of the same features with a part of the process, whose prior `own` is, if they are coefficients u
    /// of a fixed basis: K_uu = diag(d) and K_uf = diag(c) Φ, with c the variances of the coefficients in f. Those with the
    /// part are diag(c′) Φ then. Whitened by d, c′²/d of its variance c′²/d′ is explained. `None` of other features.
    pub(super) fn of_part(&self, own: &Self) -> Option<PartPrior<T>> {
        let (Factor::Diagonal(d), Factor::Diagonal(d_own)) = (&self.0.factor, &own.0.factor) else { return None };
        let (Some(_), Some(scale)) = (&self.0.basis_scale, &own.0.basis_scale) else { return None };
        let left = |row: usize| {
            let (more, own) = (d[(row, 0)] - d_own[(row, 0)], d_own[(row, 0)]);
            // A coefficient that the part does not have, or has alone, to rounding.
            let zero = T::from_f64(0.0);
            if more > zero && own > zero { num_traits::Float::sqrt(more / own) } else { zero }
        };
        let left = Mat::from_fn(d.nrows(), 1, |row, _| left(row));
        let Prior { white, has_remainder, .. } = own.0.clone();
        let prior = Self(Prior { basis_scale: Some(scale.clone()), white, has_remainder, ..self.0.clone() });
        Some(PartPrior { prior: Arc::new(prior), remainder: (!has_remainder).then_some(left) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::{Par, mat};

    /// diag(d) + UUᵀ in both forms: whitening, its transpose and their gradients. L⁻ᵀL⁻¹ is the same for every root L.
    #[test]
    fn low_rank_is_dense() {
        let d = mat![[0.4], [9.0], [1e-2], [2.0]];
        for u in [
            mat![[2.0, 0.3], [-1.0, 1.0], [3.0, 0.5], [0.0, -7.0]],
            mat![[1.0, 1.0], [1.0, 1.0], [10.0, 10.0], [0.0, 0.0]],
        ] {
            let outcome = |structured: bool| {
                let tape = Tape::new(Par::Seq);
                let none = tape.parameter(Mat::<f64>::zeros(0, 1));
                let (d, u) = (tape.parameter(d.clone()), tape.parameter(u.clone()));
                let prior = if structured {
                    InducingPrior::low_rank(none, d, u).unwrap()
                } else {
                    let k = u.matmul_nt(u).add_diagonal(d);
                    InducingPrior::dense(none, k, Jitter::default()).unwrap()
                };
                let b = tape.constant_owned(mat![[1.0, 0.2], [5.0, 0.0], [-2.0, 0.7], [0.3, 1.0]]);
                let solved = prior.whiten_transpose(prior.whiten(b));
                let squares = solved.inner(b);
                let total = squares + prior.half_log_det();
                let gradients = tape.backward(total).unwrap();
                let (in_d, in_u) = (gradients.get(d).unwrap().to_owned(), gradients.get(u).unwrap().to_owned());
                [tape.value(solved).unwrap().as_mat().to_owned(), in_d, in_u]
            };
            let (found, expected) = (outcome(true), outcome(false));
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((&found - &expected).norm_max() < 1e-10 * expected.norm_max(), "{found:?} {expected:?}");
            }
        }
    }
}
