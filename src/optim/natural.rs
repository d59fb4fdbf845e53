//! Steps along the natural gradient of a Gaussian.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef, Par};

use super::Schedule;
use crate::data::check_finite;
use crate::linalg::{Cholesky, Jitter, mirror_lower};
use crate::{Error, Result};

/// A step that is refused is tried again at half the rate, so many times.
const HALVINGS: usize = 30;

/// Where an element of γG is larger, rounding may make B indefinite that is not.
const LARGEST_ELEMENT: f64 = 1e8;

/// The least pivot of B that is accepted, beside 1 for no step: √ε.
const LEAST_PIVOT: f64 = 1.5e-8;

/// Natural gradient ascent for a Gaussian q = N(m, RRᵀ): in the metric of the Fisher information, the
/// steepest direction whatever q is parametrised by.
///
/// # Definition
///
/// With S = RRᵀ, natural parameters θ = (S⁻¹m, −½S⁻¹) and expectation parameters
/// η = (m, S + mmᵀ), a step of rate γ on an objective F is θ ← θ + γ ∂F/∂η: in the moments,
///
/// S⁻¹ ← S⁻¹ − 2γ ∂F/∂S, then m ← m + γ S ∂F/∂m
///
/// For a bound with Gaussian likelihood a step with γ = 1 from anywhere is the optimum. For others a
/// rate below 1 damps: a Tikhonov damping λ of the Fisher information is the rate γ/(1 + λ).
///
/// # The rule for steps that go too far
///
/// Where the likelihood is not log-concave, or a minibatch is unlucky, S⁻¹ may come out indefinite.
/// The rate of such a step is halved until it does not. Exactly: with G = Rᵀ ∂F/∂R, its lower triangle
/// mirrored, S⁻¹ becomes R⁻ᵀ B R⁻¹ for B = I − γG, and a step is taken if the Cholesky factorisation of B,
/// from its last row to its first, has no pivot below √ε. Where γG is so large that rounding decides, the rate is first
/// reduced to where it does not. No inverse of S is formed, so that S may be as good
/// as singular. A gradient that is not finite, or for which thirty halvings do not help, is an error, and q
/// stays.
///
/// # Examples
///
/// The optimum of F = E\[−½ a x² + b x\] + entropy is N(b/a, 1/a):
///
/// ```
/// use mercer::optim::NaturalGradient;
/// use mercer::prelude::*;
///
/// let (a, b) = (4.0, 6.0);
/// let (mut mean, mut factor) = (vec![10.0], mat![[3.0f64]]);
/// // ∂F/∂m = b − a m, ∂F/∂R = −a R + 1/R
/// let d_factor = mat![[-a * factor[(0, 0)] + 1.0 / factor[(0, 0)]]];
/// let rate = NaturalGradient::default().step(0, &mut mean, &mut factor, &[b - a * 10.0], d_factor.as_ref())?;
/// assert_eq!(rate, 1.0);
/// assert!((mean[0] - 1.5).abs() < 1e-14 && (factor[(0, 0)] - 0.5).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Salimbeni, Eleftheriadis & Hensman (2018), *Natural gradients in practice: non-conjugate variational
/// inference in Gaussian process models*, AISTATS 21, section 3; Hensman, Fusi & Lawrence (2013),
/// *Gaussian processes for big data*, UAI, section 3.1.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "NatGrad")]
pub struct NaturalGradient {
    /// γ, in (0, 1]. By default 1.
    pub rate: f64,
    /// The factor on the rate at each step. By default 1; a [warm-up](Schedule::warm_up) suits
    /// likelihoods that are not Gaussian.
    pub schedule: Schedule,
}

impl Default for NaturalGradient {
    fn default() -> Self {
        Self { rate: 1.0, schedule: Schedule::Constant }
    }
}

impl NaturalGradient {
    /// Refuses settings outside their ranges.
    pub(crate) fn check(&self) -> Result<()> {
        self.schedule.check()?;
        if self.rate > 0.0 && self.rate <= 1.0 {
            return Ok(());
        }
        Err(Error::setting("the rate of the natural gradient", self.rate, "must be above 0 and at most 1"))
    }

    /// Takes a step, the one with this number on the schedule, on a mean of M values and a lower
    /// triangular factor R, from the gradients of what is maximised in both; returns the rate that it
    /// was taken with. O(M³).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a rate or a schedule outside its range; [`Error::Shape`] for arrays that
    /// do not fit together; [`Error::NonFinite`] for a gradient that is not finite;
    /// [`Error::NotPositiveDefinite`] if no rate helps. Nothing is changed then.
    pub fn step(
        &self,
        number: usize,
        mean: &mut [f64],
        factor: &mut Mat<f64>,
        d_mean: &[f64],
        d_factor: MatRef<'_, f64>,
    ) -> Result<f64> {
        self.check()?;
        let m = mean.len();
        let of_vector = |what, len| Err(Error::shape(what, format!("{m} value(s)"), (len, 1)));
        if d_mean.len() != m {
            return of_vector("the gradient in the mean", d_mean.len());
        }
        for (what, found) in [("the factor", factor.as_ref()), ("the gradient in the factor", d_factor)] {
            if (found.nrows(), found.ncols()) != (m, m) {
                return Err(Error::shape(what, format!("{m} x {m}"), (found.nrows(), found.ncols())));
            }
        }
        let d_mean = MatRef::from_column_major_slice(d_mean, m, 1);
        check_finite("the gradient in the mean", d_mean)?;

        let slope = slope(factor.as_ref(), d_factor);
        check_finite("the gradient in the factor", slope.as_ref())?;
        let (root, rate) = accepted(slope.as_ref(), self.rate * self.schedule.factor(number))?;
        *factor = times_inverse_transpose(factor.as_ref(), &root)?;
        let shift = &*factor * (factor.transpose() * d_mean);
        mean.iter_mut().zip(shift.col_as_slice(0)).for_each(|(mean, shift)| *mean += rate * shift);
        Ok(rate)
    }
}

/// G: the lower triangle of Rᵀ ∂F/∂R, mirrored. 2 Rᵀ (∂F/∂S) R, by the reverse of S = RRᵀ.
fn slope(factor: MatRef<'_, f64>, d_factor: MatRef<'_, f64>) -> Mat<f64> {
    use BlockStructure::{TriangularLower, TriangularUpper};
    let mut slope = Mat::zeros(factor.nrows(), factor.ncols());
    let (out, transposed) = (slope.as_mut(), factor.transpose());
    triangular::matmul(
        out,
        TriangularLower,
        Accum::Replace,
        transposed,
        TriangularUpper,
        d_factor,
        TriangularLower,
        1.0,
        Par::Seq,
    );
    mirror_lower(slope.as_mut());
    slope
}

/// The factor of B = I − γG, its rows and columns in reverse, and the γ at which it exists.
fn accepted(slope: MatRef<'_, f64>, rate: f64) -> Result<(Cholesky<f64>, f64)> {
    let m = slope.nrows();
    let largest = slope.norm_max();
    // With a diagonal of B that is positive, to rounding, it may be rounding alone, at a start from which all is far.
    let positive = 1.0 + f64::EPSILON.sqrt() * largest;
    let reduced = |rate: f64, bound: f64| {
        let rounding = rate * largest > bound && (0..m).all(|i| slope[(i, i)] < positive);
        rounding.then_some(LARGEST_ELEMENT / largest)
    };
    // Beside such elements the identity is lost, and what passes for a factor is none of B.
    let mut rate = reduced(rate, f64::EPSILON.recip()).unwrap_or(rate);
    let mut refusal = Error::NotPositiveDefinite { pivot: 0, jitter: 0.0, mean_diagonal: 0.0 };
    for _ in 0..=HALVINGS {
        let reversed =
            Mat::from_fn(m, m, |row, col| f64::from(u8::from(row == col)) - rate * slope[(m - 1 - row, m - 1 - col)]);
        match Cholesky::new(reversed.as_ref(), Jitter::Fixed(0.0), Par::Seq) {
            Ok(root) if (0..m).all(|i| root.factor()[(i, i)].powi(2) >= LEAST_PIVOT) => return Ok((root, rate)),
            Ok(_) => {}
            Err(error) => refusal = error,
        }
        rate = reduced(rate, 2.0 * LARGEST_ELEMENT).unwrap_or(0.5 * rate);
    }
    Err(refusal)
}

/// R U⁻ᵀ, lower triangular, for the upper triangular U that is the factor with rows and columns in
/// reverse, UUᵀ = B: then (R U⁻ᵀ)(R U⁻ᵀ)ᵀ = R B⁻¹ Rᵀ.
fn times_inverse_transpose(factor: MatRef<'_, f64>, root: &Cholesky<f64>) -> Result<Mat<f64>> {
    let m = factor.nrows();
    let mut reversed = Mat::from_fn(m, m, |row, col| factor[(col, m - 1 - row)]);
    root.solve_lower_in_place(reversed.as_mut(), Par::Seq)?;
    Ok(Mat::from_fn(m, m, |row, col| if col <= row { reversed[(m - 1 - col, row)] } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The moments of E[−½ xᵀAx + bᵀx] + entropy: its gradients in m and R.
    fn gradients(a: &Mat<f64>, b: &Mat<f64>, mean: &[f64], factor: &Mat<f64>) -> (Vec<f64>, Mat<f64>) {
        let m = mean.len();
        let d_mean = b - a * MatRef::from_column_major_slice(mean, m, 1);
        let mut d_factor = -(a * factor);
        for i in 0..m {
            d_factor[(i, i)] += 1.0 / factor[(i, i)];
        }
        (d_mean.col_as_slice(0).to_vec(), d_factor)
    }

    fn problem(m: usize) -> (Mat<f64>, Mat<f64>, Vec<f64>, Mat<f64>) {
        let wave = |i: usize, j: usize| ((i * 7 + j * 5) % 11) as f64 / 11.0 - 0.5;
        let half = Mat::from_fn(m, m, wave);
        let a = &half * half.transpose() + Mat::<f64>::identity(m, m) * 0.1;
        let b = Mat::from_fn(m, 1, |i, _| wave(i, 3));
        // The sign of a diagonal entry does not matter.
        let sign = |i: usize| if i == 1 { -1.0 } else { 1.0 };
        let factor = Mat::from_fn(m, m, |i, j| if i > j { wave(j, i) } else { f64::from(u8::from(i == j)) * sign(i) });
        (a, b, (0..m).map(|i| wave(2, i)).collect(), factor)
    }

    #[test]
    fn a_step_is_that_of_the_natural_parameters() {
        let (a, b, mean, factor) = problem(5);
        for rate in [1.0, 0.3, 1e-3] {
            let (d_mean, d_factor) = gradients(&a, &b, &mean, &factor);
            let (mut mean, mut factor) = (mean.clone(), factor.clone());
            let inverse = |factor: &Mat<f64>| {
                let covariance = factor * factor.transpose();
                Cholesky::new(covariance.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap().inverse(Par::Seq)
            };
            let first = |precision: &Mat<f64>, mean: &[f64]| precision * MatRef::from_column_major_slice(mean, 5, 1);
            let before = inverse(&factor);
            // θ moves on the line to that of the optimum: (b, −½A).
            let expected_precision = &before * (1.0 - rate) + &a * rate;
            let expected_first = first(&before, &mean) * (1.0 - rate) + &b * rate;

            let rule = NaturalGradient { rate, ..NaturalGradient::default() };
            assert_eq!(rule.step(0, &mut mean, &mut factor, &d_mean, d_factor.as_ref()).unwrap(), rate);
            let after = inverse(&factor);
            assert!((&after - expected_precision).norm_max() < 1e-11, "{rate}");
            assert!((first(&after, &mean) - expected_first).norm_max() < 1e-11, "{rate}");
            assert!((0..5).all(|col| (0..col).all(|row| factor[(row, col)] == 0.0)));
        }
    }

    #[test]
    fn steps_beyond_the_cone_are_shortened_and_sick_ones_refused() {
        // −2 ∂F/∂S = −0.75: B = 1 − 0.75·4 γ is positive from γ = ¼ on.
        let (mut mean, mut factor) = (vec![0.0], faer::mat![[2.0]]);
        let rule = NaturalGradient::default();
        let d_factor = faer::mat![[0.75 * 2.0]];
        let rate = rule.step(0, &mut mean, &mut factor, &[1.0], d_factor.as_ref()).unwrap();
        assert_eq!((rate, factor[(0, 0)]), (0.25, 4.0));
        assert_eq!(mean, [0.25 * 16.0]);
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            let error = rule.step(0, &mut mean, &mut factor, &[1.0], faer::mat![[bad]].as_ref()).unwrap_err();
            assert!(matches!(error, Error::NonFinite { .. } | Error::NotPositiveDefinite { .. }), "{error}");
            assert_eq!((mean[0], factor[(0, 0)]), (4.0, 4.0));
        }
        for rate in [0.0, 1.5, f64::NAN] {
            let rule = NaturalGradient { rate, ..NaturalGradient::default() };
            let error = rule.step(0, &mut mean, &mut factor, &[1.0], faer::mat![[1.0]].as_ref()).unwrap_err();
            assert!(matches!(error, Error::Setting { .. }));
        }
        assert!(matches!(rule.step(0, &mut mean, &mut factor, &[], d_factor.as_ref()), Err(Error::Shape { .. })));
    }
}
