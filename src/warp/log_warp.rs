//! The logarithm of the points.

use super::coordinate::{Coordinate, coordinate_warp};
use crate::Scalar;

crate::declare! {
    /// The logarithm of the points: the warp behind [`log_warp`](crate::algebra::Compose::log_warp).
    /// For inputs that count in ratios: prices, sizes, frequencies.
    ///
    /// # Definition
    ///
    /// f(x)_d = log(1 + x_d/c_d)
    ///
    /// With c = 1 this is log(1 + x). For x much larger than c it is log x up to a constant, which a
    /// stationary kernel does not see; for x much smaller it is x/c.
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `scale` | c | that of the inputs | positive; one, or one for each dimension |
    ///
    /// # Properties
    ///
    /// Defined for x > −c: the value is −∞ at x = −c and NaN below, and so are the kernel's values there.
    /// Not stationary. Positive semi-definite where the kernel is.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Rbf::new(1.0).log_warp(1.0);
    /// let ratio = (4.0f64 / 2.0).ln();
    /// let value = |x: f64, y: f64| kernel.eval(&[x], &[y]);
    /// assert!((value(1.0, 3.0)? - (-0.5 * ratio * ratio).exp()).abs() < 1e-15);
    /// assert!(value(-2.0, 3.0)?.is_nan());
    /// assert_eq!((kernel + 0.5).to_string(), "log_warp(rbf(lengthscale=1), scale=1) + constant(value=0.5)");
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Snelson, Rasmussen & Ghahramani (2004), "Warped Gaussian processes", NeurIPS 16, warps outputs;
    /// Snoek, Swersky, Zemel & Adams (2014), "Input warping for Bayesian optimization of non-stationary
    /// functions", ICML, warps inputs.
    pub LogWarp as "log_warp" {
        /// The scale: one, or one for each dimension.
        scale: PerDimension = Positive,
    }
}

coordinate_warp!(LogWarp, [scale]);

impl LogWarp {
    fn at(&self, dim: usize) -> Logarithm {
        let scale = self.scale.at(dim);
        Logarithm { scale, log_scale: scale.ln() }
    }
}

/// The map of one dimension.
#[derive(Clone, Copy)]
struct Logarithm {
    scale: f64,
    log_scale: f64,
}

impl Coordinate<1> for Logarithm {
    #[inline(always)]
    fn value<const FMA: bool>(self, x: f64) -> f64 {
        let ratio = x / self.scale;
        let (value, far) = (ratio.lane_ln_1p::<FMA>(), x.lane_ln::<FMA>() - self.log_scale);
        if ratio == f64::INFINITY { far } else { value }
    }

    /// df/dx and df/dc.
    #[inline(always)]
    fn slopes<const FMA: bool>(self, x: f64) -> (f64, [f64; 1]) {
        let slope = if self.scale + x < 0.0 { f64::NAN } else { 1.0 / (self.scale + x) };
        (slope, [-x / self.scale * slope])
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use crate::warp::LogWarp;
    use crate::warp::coordinate::Coordinate;

    #[test]
    fn small_and_large_inputs_keep_their_digits() {
        let warp = LogWarp::new(1.0);
        assert_eq!(warp.at(0).value::<false>(1e-20), 1e-20);
        assert!((LogWarp::new(1e-300).at(0).value::<false>(1e100) - 400.0 * 10.0f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_scale_for_each_dimension_needs_as_many() {
        let error = Rbf::new(1.0).log_warp([1.0, 2.0]).eval(&[1.0], &[1.0]).unwrap_err().to_string();
        assert!(error.contains("2 value(s) of `scale`"), "{error}");
    }
}
