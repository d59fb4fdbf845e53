//! The distribution function of Kumaraswamy, as a map of the unit interval to itself.

use super::coordinate::{Coordinate, coordinate_warp};
use crate::Scalar;

crate::declare! {
    /// The unit interval mapped to itself, stretched in some places and pressed in others: the warp behind
    /// [`kumaraswamy`](crate::algebra::Compose::kumaraswamy). For inputs that were scaled to [0, 1],
    /// when it is not known whether they count in logarithms, in powers, or as they are.
    ///
    /// # Definition
    ///
    /// f(x)_d = 1 − (1 − x_d^a)^b
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `a` | a | none | positive; one, or one for each dimension |
    /// | `b` | b | none | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// The identity for a = b = 1, monotonous always; close to the distribution function of the beta
    /// distribution, without its special functions. Not stationary; positive semi-definite where the
    /// kernel is. Coordinates below 0 count as 0 and above 1 as 1, with the derivative 0. At the ends
    /// themselves, where df/dx may be infinite, it is taken 10⁻⁹ inside.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Linear::new(1.0).kumaraswamy(2.0, 1.0);
    /// let value: f64 = kernel.eval(&[0.5], &[0.8])?;
    /// assert!((value - 0.25 * 0.64).abs() < 1e-15);
    /// assert_eq!(kernel.eval(&[1.0], &[7.0])?, 1.0);
    /// assert_eq!((kernel * 3.0).to_string(), "3 * kumaraswamy(linear(variance=1), a=2, b=1)");
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Kumaraswamy (1980), "A generalized probability density function for double-bounded random
    /// processes", Journal of Hydrology 46, 79–88,
    /// [doi:10.1016/0022-1694(80)90036-0](https://doi.org/10.1016/0022-1694(80)90036-0); Snoek, Swersky,
    /// Zemel & Adams (2014), "Input warping for Bayesian optimization of non-stationary functions", ICML,
    /// section 3, with the beta distribution.
    pub Kumaraswamy as "kumaraswamy" {
        /// The inner exponent: one, or one for each dimension.
        a: PerDimension = Positive,
        /// The outer exponent: one, or one for each dimension.
        b: PerDimension = Positive,
    }
}

/// How far inside the interval the slope at an end is taken.
const INSIDE: f64 = 1e-9;

coordinate_warp!(Kumaraswamy, [a, b]);

impl Kumaraswamy {
    fn at(&self, dim: usize) -> Distribution {
        Distribution { a: self.a.at(dim), b: self.b.at(dim) }
    }
}

/// The map of one dimension.
#[derive(Clone, Copy)]
struct Distribution {
    a: f64,
    b: f64,
}

impl Distribution {
    /// a log x, and log(1 − x^a).
    #[inline(always)]
    fn logarithms<const FMA: bool>(self, x: f64) -> (f64, f64) {
        let log_power = self.a * x.lane_ln::<FMA>();
        // log(1 − e^u): by expm1 where e^u is near 1, by log1p where it is small.
        let near = (-log_power.lane_exp_m1::<FMA>()).lane_ln::<FMA>();
        let far = (-log_power.lane_exp::<FMA>()).lane_ln_1p::<FMA>();
        (log_power, if log_power > -std::f64::consts::LN_2 { near } else { far })
    }
}

impl Coordinate<2> for Distribution {
    #[inline(always)]
    fn value<const FMA: bool>(self, x: f64) -> f64 {
        let (_, log_rest) = self.logarithms::<FMA>(x.clamp(0.0, 1.0));
        -(self.b * log_rest).lane_exp_m1::<FMA>()
    }

    /// df/dx, and df/da, df/db.
    #[inline(always)]
    fn slopes<const FMA: bool>(self, x: f64) -> (f64, [f64; 2]) {
        let (a, b) = (self.a, self.b);
        let nearest = x.clamp(0.0, 1.0);
        // 0 outside the interval, NaN for NaN.
        let (outside, flat) = (nearest != x, 0.0 * nearest);
        let x = x.clamp(INSIDE, 1.0 - INSIDE);
        let (log_power, log_rest) = self.logarithms::<FMA>(x);
        // d(x^a)/da = x^a log x and d(x^a)/dx = a x^a/x, times df/d(x^a) = b (1 − x^a)^(b−1).
        let outer = b * (log_power + (b - 1.0) * log_rest).lane_exp::<FMA>();
        let in_b = -(b * log_rest).lane_exp::<FMA>() * log_rest;
        let (in_x, in_a) = (a * outer / x, outer * (log_power / a));
        (if outside { flat } else { in_x }, [if outside { flat } else { in_a }, if outside { flat } else { in_b }])
    }
}

#[cfg(test)]
mod tests {
    use super::{Coordinate, Kumaraswamy};

    #[test]
    fn closed_form_and_slopes_inside() {
        for (a, b) in [(1.0, 1.0), (0.4, 2.0), (3.0, 0.5), (0.7, 0.6)] {
            let warp = Kumaraswamy::new(a, b);
            for x in [1e-4, 0.2, 0.5, 0.9, 0.9999] {
                let power = f64::powf(x, a);
                assert!((warp.at(0).value::<false>(x) - (1.0 - (1.0 - power).powf(b))).abs() < 4e-15, "{a} {b} {x}");
                let (in_x, [in_a, in_b]) = warp.at(0).slopes::<false>(x);
                let rest = 1.0 - power;
                let expected = [
                    a * b * power / x * rest.powf(b - 1.0),
                    b * rest.powf(b - 1.0) * power * x.ln(),
                    -rest.powf(b) * rest.ln(),
                ];
                for (found, expected) in [in_x, in_a, in_b].into_iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-10 * (1.0 + expected.abs()), "{a} {b} {x}");
                }
            }
        }
    }

    #[test]
    fn finite_at_and_beyond_the_ends() {
        for (a, b) in [(0.01, 0.01), (0.4, 2.0), (100.0, 100.0)] {
            let warp = Kumaraswamy::new(a, b);
            assert_eq!([-3.0, 0.0, 1.0, 1e300].map(|x| warp.at(0).value::<false>(x)), [0.0, 0.0, 1.0, 1.0]);
            for x in [-3.0, 0.0, 1e-300, 1.0, f64::INFINITY] {
                let (in_x, in_exponents) = warp.at(0).slopes::<false>(x);
                assert!(in_x.is_finite() && in_exponents.iter().all(|slope| slope.is_finite()), "{a} {b} {x}");
            }
        }
        assert!(Kumaraswamy::new(2.0, 3.0).at(0).value::<false>(f64::NAN).is_nan());
        assert!(Kumaraswamy::new(2.0, 3.0).at(0).slopes::<false>(f64::NAN).0.is_nan());
    }
}
