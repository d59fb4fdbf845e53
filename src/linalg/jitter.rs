//! How much is added to the diagonal of a matrix that is nearly singular.

use crate::{Error, Result, Scalar};

/// What a Cholesky factorisation adds to the diagonal, and when: the one policy of the crate.
///
/// A covariance matrix of close points is positive definite in exact arithmetic and often not in
/// floating point. The policy works in units of the scalar's machine epsilon ε and of the mean d̄ of
/// the diagonal, so that it suits both precisions and any scale of the data. The amount that was
/// used is always reported, as an absolute number.
///
/// # Examples
///
/// ```
/// use mercer::linalg::{Cholesky, Jitter};
/// use mercer::prelude::*;
///
/// // Two equal points: singular, so a little is added.
/// let gram = mat![[4.0, 4.0], [4.0, 4.0]];
/// let cholesky = Cholesky::new(gram.as_ref(), Jitter::default(), Par::Seq)?;
/// assert_eq!(cholesky.jitter(), 64.0 * f64::EPSILON * 4.0);
///
/// let cholesky = Cholesky::new(gram.as_ref(), Jitter::Fixed(0.5), Par::Seq)?;
/// assert_eq!(cholesky.jitter(), 0.5);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[doc(alias = "nugget")]
pub enum Jitter {
    /// Nothing at first; then, as long as the factorisation fails, `first`·ε·d̄, each time `growth`
    /// times more, up to `largest`·√ε·d̄, a hundred times at most. A pivot below ε times its element of the diagonal counts as
    /// a failure: it is what rounding has left of zero, and solves with it have no digits. For the covariance of inducing
    /// variables it has to be 8 ε times its element.
    Adaptive {
        /// The first amount that is not zero, in units of ε·d̄.
        first: f64,
        /// The factor from one amount to the next, above 1.
        growth: f64,
        /// The bound, in units of √ε·d̄.
        largest: f64,
    },
    /// This absolute amount, always. Any positive pivot will do.
    Fixed(f64),
}

impl Default for Jitter {
    /// `Adaptive` with `first` 64, `growth` 10 and `largest` 64: from 1.4e-14 to 9.5e-7 of the mean
    /// diagonal for `f64`, and from 7.6e-6 to 2.2e-2 for `f32`.
    fn default() -> Self {
        Self::Adaptive { first: 64.0, growth: 10.0, largest: 64.0 }
    }
}

impl Jitter {
    /// Nothing is added, and a pivot that is what rounding has left of zero is a failure, as for `Adaptive`.
    pub(crate) const GUARD: Self = Self::Adaptive { first: 64.0, growth: 10.0, largest: 0.0 };

    /// The absolute amounts to try, in order, for a mean diagonal: those that the policy allows, or the first of them, if they
    /// are more than the bound on attempts.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for settings that would not end, or are negative or not finite.
    pub(crate) fn amounts<T: Scalar>(self, mean_diagonal: f64) -> Result<Vec<f64>> {
        match self {
            Self::Fixed(amount) => {
                if !(amount.is_finite() && amount >= 0.0) {
                    return Err(Error::setting("the fixed jitter", amount, "must be finite and not negative"));
                }
                Ok(vec![amount])
            }
            Self::Adaptive { first, growth, largest } => {
                let refuse = |name, found: f64, expected| Err(Error::setting(name, found, expected));
                if !(first.is_finite() && first > 0.0) {
                    return refuse("the jitter's `first`", first, "must be finite and positive");
                }
                if !(growth.is_finite() && growth >= 1.1) {
                    return refuse("the jitter's `growth`", growth, "must be finite and at least 1.1");
                }
                if !(largest.is_finite() && largest >= 0.0) {
                    return refuse("the jitter's `largest`", largest, "must be finite and not negative");
                }
                let epsilon = T::epsilon().as_f64();
                let bound = largest * epsilon.sqrt();
                let grown = std::iter::successors(Some(first * epsilon), |amount| Some(amount * growth));
                let relative = std::iter::once(0.0).chain(grown.take_while(|&amount| amount <= bound).take(ATTEMPTS));
                // A diagonal without a positive mean gives no scale, and no jitter would help it.
                Ok(if mean_diagonal > 0.0 { relative.map(|r| r * mean_diagonal).collect() } else { vec![0.0] })
            }
        }
    }
}

impl Jitter {
    /// The error after all amounts have failed: this one, or what the policy would have to be to go on.
    pub(crate) fn exhausted<T: Scalar>(self, error: Error) -> Error {
        let Self::Adaptive { first, growth, largest } = self else { return error };
        let next = first * T::epsilon().as_f64().sqrt() * growth.powi(ATTEMPTS as i32);
        if next > largest {
            return error;
        }
        let expected = format!(
            "must lead from `first`, {first:e}, to `largest`, {largest:e}, in {ATTEMPTS} amounts: none of these made the \
             matrix positive definite"
        );
        Error::setting("the jitter's `growth`", growth, &expected)
    }
}

/// Amounts that are tried at most: more are a search that does not end, as with a first one that underflows.
const ATTEMPTS: usize = 100;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn amounts_start_at_zero_grow_and_end() {
        let amounts = Jitter::default().amounts::<f64>(2.0).unwrap();
        assert_eq!(amounts[0], 0.0);
        assert_eq!(amounts[1], 128.0 * f64::EPSILON);
        assert!(amounts.windows(2).skip(1).all(|pair| (pair[1] / pair[0] - 10.0).abs() < 1e-12));
        let bound = 128.0 * f64::EPSILON.sqrt();
        let last = *amounts.last().unwrap();
        assert!(last <= bound && last * 10.0 > bound, "{last:e} against {bound:e}");
        let single = Jitter::default().amounts::<f32>(1.0).unwrap();
        assert_eq!(single[1], 64.0 * f64::from(f32::EPSILON));
        assert_eq!(Jitter::default().amounts::<f64>(0.0).unwrap(), [0.0]);
    }

    /// Steps that are lost in an underflow never reach the bound.
    #[test]
    fn attempts_are_bounded() {
        use crate::linalg::Cholesky;
        use faer::{Par, mat};
        let singular = mat![[1.0, 1.0], [1.0, 1.0]];
        for (first, growth) in [(1e-307, 1.1), (5e-324, 1.5), (1e-300, 10.0), (1e-12, 1.1)] {
            let jitter = Jitter::Adaptive { first, growth, largest: 64.0 };
            assert_eq!(jitter.amounts::<f64>(1.0).unwrap().len(), 1 + ATTEMPTS, "{jitter:?}");
            let whole = Cholesky::new(mat![[2.0, 1.0], [1.0, 2.0]].as_ref(), jitter, Par::Seq).unwrap();
            assert_eq!(whole.jitter(), 0.0);
            if first < 1e-100 {
                let error = Cholesky::new(singular.as_ref(), jitter, Par::Seq).unwrap_err().to_string();
                assert!(error.contains("in 100 amounts"), "{error}");
            }
        }
        let error = Cholesky::new(mat![[-1.0]].as_ref(), Jitter::default(), Par::Seq).unwrap_err();
        assert!(matches!(error, Error::NotPositiveDefinite { .. }), "{error}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let adaptive = |first, growth, largest| Jitter::Adaptive { first, growth, largest };
        for jitter in [
            Jitter::Fixed(-1.0),
            Jitter::Fixed(f64::NAN),
            adaptive(0.0, 10.0, 1.0),
            adaptive(1.0, 1.0, 1.0),
            adaptive(1.0, 10.0, f64::INFINITY),
        ] {
            assert!(matches!(jitter.amounts::<f64>(1.0), Err(Error::Setting { .. })), "{jitter:?}");
        }
    }
}
