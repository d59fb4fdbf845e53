//! The polynomial kernel.

use super::markov::powers;
use super::{DotProduct, DotProfile, Slopes};
use crate::kernel::{Markov, MarkovTerm, Psd, Variable, Views};
use crate::simd::{Lanes, power};
use crate::{Error, Real, Result, Scalar, dot_product_kernel};

crate::kernel! {
    /// The polynomial kernel: Bayesian regression on all monomials up to a degree.
    ///
    /// # Definition
    ///
    /// k(x, y) = (γ xᵀy + c)ⁿ
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `scale` | γ | one over that of the inputs squared | positive |
    /// | `offset` | c | none | positive if it starts positive, else any finite number |
    ///
    /// The degree n is part of the expression, not a hyperparameter.
    ///
    /// # Properties
    ///
    /// Not stationary; samples are polynomials of degree n; positive semi-definite in any dimension if
    /// c ≥ 0. With c = 0 it has the monomials of degree n alone.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Polynomial::new(3, 0.5, 1.0);
    /// assert_eq!(kernel.eval(&[2.0], &[3.0])?, 64.0);
    /// assert_eq!(kernel.to_string(), "polynomial(degree=3, scale=0.5, offset=1)");
    /// assert_eq!((kernel + 1.0).eval(&[2.0], &[3.0])?, 65.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, section 4.2.2.
    pub Polynomial as "polynomial" {
        /// The degree n.
        setting degree: u32,
        /// The scale γ.
        scale: Scalar = Positive,
        /// The offset c.
        offset: Scalar = BySign,
    }
    check = check_degree;
}

dot_product_kernel!(Polynomial);

fn check_degree(degree: u32) -> Result<()> {
    if (1..=1000).contains(&degree) {
        return Ok(());
    }
    Err(Error::setting("the degree of a polynomial kernel", degree, "must be between 1 and 1000"))
}

impl DotProduct for Polynomial {
    type Profile<T: Scalar> = PolynomialProfile<T>;

    fn profile<T: Scalar>(&self) -> PolynomialProfile<T> {
        let (scale, offset) = (T::from_f64(self.scale()), T::from_f64(self.offset()));
        PolynomialProfile { degree: self.degree, scale, offset }
    }

    fn psd(&self) -> Psd {
        if self.offset() >= 0.0 { Psd::Always } else { Psd::Unknown }
    }

    fn views(&self) -> Views<'_> {
        Views::none().markov(self)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        self.settings()
    }
}

// (γ t u + c)ⁿ = Σ_m binom(n, m) γᵐ cⁿ⁻ᵐ (t u)ᵐ
impl Markov for Polynomial {
    fn terms(&self, theta: &[Variable], _: Option<f64>) -> std::result::Result<Vec<MarkovTerm>, String> {
        let [scale, offset] = [theta[0], theta[1]];
        if offset.value < 0.0 {
            return Err("is no covariance".to_owned());
        }
        if self.degree > MOST_DEGREES {
            return Err(format!("is taken as a Markov process up to degree {MOST_DEGREES}"));
        }
        let degree = self.degree as usize;
        let mut variances = Vec::with_capacity(degree + 1);
        let mut binomial = 1.0;
        for m in 0..=degree {
            let factors = std::iter::repeat_n(scale, m).chain(std::iter::repeat_n(offset, degree - m));
            variances.push(factors.fold(Variable::from_f64(binomial), |product, factor| product * factor));
            binomial *= (degree - m) as f64 / (m + 1) as f64;
        }
        Ok(vec![MarkovTerm::of(powers::polynomial(&variances))])
    }
}

/// Of higher degrees the state, whose entries are as far apart as powers of time, has no digits left.
const MOST_DEGREES: u32 = 6;

/// The polynomial kernel as a function of xᵀy.
#[derive(Clone, Copy, Debug)]
pub struct PolynomialProfile<T> {
    degree: u32,
    scale: T,
    offset: T,
}

impl<T: Scalar> PolynomialProfile<T> {
    /// γ xᵀy + c
    #[inline(always)]
    fn base<L: Lanes<T>>(self, pair: L) -> L {
        pair.mul_add(pair.all(self.scale), pair.all(self.offset))
    }
}

impl<T: Scalar> DotProfile<T> for PolynomialProfile<T> {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, pair: L, _: L, _: L) -> L {
        power(self.base(pair), self.degree)
    }

    #[inline(always)]
    fn slopes<L: Lanes<T>>(self, pair: L, _: L, _: L, _: L) -> Slopes<L> {
        let zero = pair.all(T::from_f64(0.0));
        let slope = power(self.base(pair), self.degree - 1) * f64::from(self.degree);
        Slopes { pair: slope * pair.all(self.scale), x: zero, y: zero, theta: [slope * pair, slope, zero] }
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn is_a_power_of_the_linear_kernel_and_a_constant() {
        let x = mat![[1.0, 2.0], [-1.0, 0.5], [3.0, 0.0]];
        let gram: Mat<f64> = Polynomial::new(5, 0.3, 0.2).gram(x.as_ref()).unwrap();
        let power: Mat<f64> = (Linear::new(0.3) + 0.2).pow(5).gram(x.as_ref()).unwrap();
        assert!((&gram - &power).norm_max() < 1e-14 * power.norm_max());
        assert!(Polynomial::try_new(0, 1.0, 1.0).is_err());
    }
}
