//! The Matérn kernels of half-integer smoothness.

use crate::Scalar;

use crate::kernel::{FrequencyLaw, Markov, MarkovFactor, MarkovTerm, Variable};
use crate::kernels::Profile;
use crate::kernels::markov::half_integer::HalfInteger;
use crate::kernels::radial::radial;
use crate::simd::Lanes;

crate::kernel! {
    /// The Matérn kernel of smoothness ½: the exponential kernel, the Ornstein–Uhlenbeck covariance.
    ///
    /// # Definition
    ///
    /// k(x, y) = exp(−r), with r² = Σ_d (x_d − y_d)²/ℓ_d²
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary; continuous samples without derivatives; positive semi-definite in any dimension. At
    /// coincident points, where k has a kink, the gradient in the inputs is given as 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Matern12::new(2.0);
    /// assert!((kernel.eval(&[0.0], &[3.0])? - (-1.5f64).exp()).abs() < 1e-16);
    /// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.18.
    #[doc(alias = "exponential kernel", alias = "Ornstein-Uhlenbeck", alias = "OU")]
    pub Matern12 as "matern12" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
    }
}

radial!(Matern12, Matern12Profile, Always, markov);

/// exp(−√s)
#[derive(Clone, Copy, Debug)]
pub struct Matern12Profile;

impl<T: Scalar> Profile<T> for Matern12Profile {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        s.sqrt().decay(1.0)
    }

    // −k/(2√s) has no limit at 0; what it is multiplied by there, s or x − y, is 0.
    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, value: L) -> L {
        let zero = s.all(T::from_f64(0.0));
        s.if_equal(zero, zero, value * -0.5 / s.sqrt())
    }

    fn spectral_density(self, dim: usize, squared_frequency: f64) -> Option<[f64; 2]> {
        Some(spectral_density(1.0 / 2.0, dim, squared_frequency))
    }

    fn frequency_law(self) -> Option<FrequencyLaw> {
        Some(FrequencyLaw::StudentT { degrees: 1.0 })
    }
}

crate::kernel! {
    /// The Matérn kernel of smoothness 3⁄2.
    ///
    /// # Definition
    ///
    /// k(x, y) = (1 + q) exp(−q), with q² = 3 Σ_d (x_d − y_d)²/ℓ_d²
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary; once differentiable samples; positive semi-definite in any dimension.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Matern32::new(2.0);
    /// let q = 3.0f64.sqrt() * 1.5;
    /// assert!((kernel.eval(&[0.0], &[3.0])? - (1.0 + q) * (-q).exp()).abs() < 1e-16);
    /// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.17.
    #[doc(alias = "Matern 3/2")]
    pub Matern32 as "matern32" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
    }
}

radial!(Matern32, Matern32Profile, Always, markov);

/// (1 + q) exp(−q), q = √(3s)
#[derive(Clone, Copy, Debug)]
pub struct Matern32Profile;

impl<T: Scalar> Profile<T> for Matern32Profile {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        let q = (s * 3.0).sqrt();
        (q + 1.0) * q.decay(1.0)
    }

    #[inline(always)]
    fn value_and_slope<L: Lanes<T>>(self, s: L) -> (L, L) {
        let q = (s * 3.0).sqrt();
        let decay = q.decay(1.0);
        ((q + 1.0) * decay, decay * -1.5)
    }

    // −3/2 exp(−q)
    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, value: L) -> L {
        value * -1.5 / ((s * 3.0).sqrt() + 1.0)
    }

    fn spectral_density(self, dim: usize, squared_frequency: f64) -> Option<[f64; 2]> {
        Some(spectral_density(3.0 / 2.0, dim, squared_frequency))
    }

    fn frequency_law(self) -> Option<FrequencyLaw> {
        Some(FrequencyLaw::StudentT { degrees: 3.0 })
    }
}

crate::kernel! {
    /// The Matérn kernel of smoothness 5⁄2.
    ///
    /// # Definition
    ///
    /// k(x, y) = (1 + q + q²/3) exp(−q), with q² = 5 Σ_d (x_d − y_d)²/ℓ_d²
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `lengthscale` | ℓ | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Stationary; twice differentiable samples; positive semi-definite in any dimension.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Matern52::new(2.0);
    /// let q = 5.0f64.sqrt() * 1.5;
    /// assert!((kernel.eval(&[0.0], &[3.0])? - (1.0 + q + q * q / 3.0) * (-q).exp()).abs() < 1e-16);
    /// assert_eq!((2.0 * kernel + 1.0).eval(&[1.0], &[1.0])?, 3.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, eq. 4.17.
    #[doc(alias = "Matern 5/2")]
    pub Matern52 as "matern52" {
        /// The lengthscale: one, or one for each dimension.
        lengthscale: PerDimension = Positive,
    }
}

radial!(Matern52, Matern52Profile, Always, markov);

/// (1 + q + q²/3) exp(−q), q = √(5s)
#[derive(Clone, Copy, Debug)]
pub struct Matern52Profile;

impl<T: Scalar> Profile<T> for Matern52Profile {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, s: L) -> L {
        let five_s = s * 5.0;
        let q = five_s.sqrt();
        five_s.mul_add(s.all(T::from_f64(1.0 / 3.0)), q + 1.0) * q.decay(1.0)
    }

    #[inline(always)]
    fn value_and_slope<L: Lanes<T>>(self, s: L) -> (L, L) {
        let five_s = s * 5.0;
        let q = five_s.sqrt();
        let decay = q.decay(1.0);
        let value = five_s.mul_add(s.all(T::from_f64(1.0 / 3.0)), q + 1.0) * decay;
        (value, (q + 1.0) * decay * (-5.0 / 6.0))
    }

    // −5/6 (1 + q) exp(−q)
    #[inline(always)]
    fn slope<L: Lanes<T>>(self, s: L, value: L) -> L {
        let five_s = s * 5.0;
        let q = five_s.sqrt();
        let polynomial = five_s.mul_add(s.all(T::from_f64(1.0 / 3.0)), q + 1.0);
        value * (-5.0 / 6.0) * ((q + 1.0) / polynomial)
    }

    fn spectral_density(self, dim: usize, squared_frequency: f64) -> Option<[f64; 2]> {
        Some(spectral_density(5.0 / 2.0, dim, squared_frequency))
    }

    fn frequency_law(self) -> Option<FrequencyLaw> {
        Some(FrequencyLaw::StudentT { degrees: 5.0 })
    }
}

/// 2ᴰ π^(D/2) Γ(ν + D/2) (2ν)^ν / Γ(ν) · (2ν + ω²)^(−ν − D/2), and its derivative in ω²: Rasmussen & Williams (2006),
/// eq. 4.15, in angular frequencies.
fn spectral_density(nu: f64, dim: usize, squared_frequency: f64) -> [f64; 2] {
    let half = 0.5 * dim as f64;
    let constant = half * (4.0 * std::f64::consts::PI).ln() + libm::lgamma(nu + half) - libm::lgamma(nu);
    let ratio = squared_frequency / (2.0 * nu);
    // (2ν)^ν (2ν + ω²)^(−ν − D/2) = (2ν)^(−D/2) (1 + ω²/2ν)^(−ν − D/2)
    let value = (constant - half * (2.0 * nu).ln() - (nu + half) * ratio.ln_1p()).exp();
    [value, -(nu + half) * value / (2.0 * nu + squared_frequency)]
}

/// The Markov processes of some derivatives.
macro_rules! markov {
    ($($type:ident: $derivatives:literal),+) => {
        $(impl Markov for $type {
            fn terms(&self, theta: &[Variable], _: Option<f64>) -> Result<Vec<MarkovTerm>, String> {
                Ok(vec![MarkovTerm::of(MarkovFactor::new(HalfInteger($derivatives), theta[0], &[]))])
            }
        })+
    };
}

markov!(Matern12: 0, Matern32: 1, Matern52: 2);

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    /// At distance r = 0.3 ℓ, from the definitions.
    #[test]
    fn closed_forms() {
        let (r, x, y) = (0.3f64, [0.0], [0.6]);
        let (q3, q5) = (3.0f64.sqrt() * r, 5.0f64.sqrt() * r);
        let value = |kernel: DynKernel| -> f64 { kernel.eval(&x, &y).unwrap() };
        assert!((value(Matern12::new(2.0).dynamic()) - (-r).exp()).abs() < 2e-16);
        assert!((value(Matern32::new(2.0).dynamic()) - (1.0 + q3) * (-q3).exp()).abs() < 2e-16);
        let matern52 = (1.0 + q5 + q5 * q5 / 3.0) * (-q5).exp();
        assert!((value(Matern52::new(2.0).dynamic()) - matern52).abs() < 2e-16);
    }

    #[test]
    fn smoother_kernels_approach_the_squared_exponential() {
        let at = |kernel: DynKernel| -> f64 { kernel.eval(&[0.0], &[0.5]).unwrap() };
        let target = at(Rbf::new(1.0).dynamic());
        let errors = [Matern12::new(1.0).dynamic(), Matern32::new(1.0).dynamic(), Matern52::new(1.0).dynamic()]
            .map(|kernel| (at(kernel) - target).abs());
        assert!(errors[0] > errors[1] && errors[1] > errors[2]);
    }
}
