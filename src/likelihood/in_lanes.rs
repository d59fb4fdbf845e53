//! Log probabilities of two classes at many points at once, in registers.

use std::f64::consts::FRAC_2_SQRT_PI;

use super::special::HALF_LN_TAU;
use crate::simd::Lanes;

/// (1 + x) Φ(−x)/φ(x) for x ≥ 0 as a polynomial in (x − 5)/(x + 5), from the highest coefficient down: the Chebyshev series,
/// cut where what is left is below 2⁻⁵⁴ of the value.
///
/// Shepherd & Laframboise (1981), "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞", *Mathematics of
/// Computation* 36(153), 249–253.
const MILLS: [f64; 24] = [
    -9.564832934712551e-10,
    -7.073898575561589e-10,
    1.1032071151574336e-08,
    9.092476134019147e-09,
    -7.758520236786343e-08,
    -6.588974491108954e-08,
    4.91996233147834e-07,
    3.2054316652589574e-07,
    -3.277287633208865e-06,
    -1.7633239265736746e-07,
    2.270961270923768e-05,
    -2.480583845192319e-05,
    -0.0001343742785571135,
    0.00045704392357953655,
    1.9530638370790786e-05,
    -0.004201290329187307,
    0.01634823128102938,
    -0.03802659218584139,
    0.0615050458401865,
    -0.0661776007790963,
    0.0250721793016388,
    0.07778159886873769,
    -0.22948753825211315,
    1.1568486282918946,
];

/// 1/√(2π)
const DENSITY_AT_0: f64 = 0.5 * std::f64::consts::FRAC_1_SQRT_2 * FRAC_2_SQRT_PI;

/// log Φ(z) and its derivative φ(z)/Φ(z), as those of [`Normal`](super::special::Normal), for finite z and NaN.
///
/// With M = Φ(−x)/φ(x) at x = |z|, good to some roundings of its own: left of 0 log Φ = log M − x²/2 − ½ log 2π, and the
/// derivative is 1/M; right of it log Φ = log(1 − φM), and the derivative φ/(1 − φM). Left of 0 the logarithm is taken
/// of 1 + (M − 1): what M − 1 is rounded by, 2⁻⁵⁴ where M is small, comes to 2⁻⁵⁴ x in log Φ, which is larger than x²/2.
#[inline(always)]
pub(super) fn log_normal_cdf<L: Lanes<f64>>(z: L) -> [L; 2] {
    let zero = z.all(0.0);
    let x = z.if_less(zero, -z, z);
    let above = x + 1.0;
    let t = (x - 5.0) / (x + 5.0);
    let mut mills = z.all(MILLS[0]);
    // A loop that the compiler cannot unroll, as in `decay`: step by step for all registers.
    for &coefficient in std::hint::black_box(&MILLS[1..]) {
        mills = mills.mul_add(t, z.all(coefficient));
    }
    let square = x * x;
    let density = square.decay(0.5) * DENSITY_AT_0;
    let tail = density * mills;
    // At least −1 + 2⁻⁵², where M has no digits left beside 1: the logarithm has none then beside x²/2.
    let less_one = -(-(z.if_less(zero, mills - above, -tail) / above)).at_most(1.0 - f64::EPSILON);
    let log = less_one.ln_1p();
    let value = z.if_less(zero, log - (square * 0.5 + HALF_LN_TAU), log);
    let hazard = z.if_less(zero, above, density * above) / z.if_less(zero, mills, above - tail);
    [value, hazard]
}

/// log 1/(1 + e⁻ˣ) and its derivative 1/(1 + eˣ), as those of [`Logistic`](super::special::Logistic).
#[inline(always)]
pub(super) fn log_logistic<L: Lanes<f64>>(x: L) -> [L; 2] {
    let (zero, one) = (x.all(0.0), x.all(1.0));
    let e = x.if_less(zero, -x, x).decay(1.0);
    [x.if_less(zero, x, zero) - e.ln_1p(), x.if_less(zero, one, e) / (e + 1.0)]
}

#[cfg(test)]
mod tests {
    use super::super::special::{Logistic, Normal};
    use super::*;
    use crate::simd::map::{Map, map};

    #[derive(Clone, Copy)]
    struct Both;

    impl Map<f64, 1, 4, 0> for Both {
        #[inline(always)]
        fn map<L: Lanes<f64>>(self, [x]: [L; 1]) -> ([L; 4], [L; 0]) {
            let ([a, b], [c, d]) = (log_normal_cdf(x), log_logistic(x));
            ([a, b, c, d], [])
        }
    }

    fn at(x: &[f64]) -> [Vec<f64>; 4] {
        let mut out = [(); 4].map(|()| vec![f64::NAN; x.len()]);
        map(Both, [x], out.each_mut().map(|out| &mut out[..]));
        out
    }

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1e-300), "{found} is not {expected}");
    }

    /// Computed with 40 digits: z, log Φ(z), φ(z)/Φ(z).
    const EXACT: [[f64; 3]; 22] = [
        [-1000.0, -500007.82669481216, 1000.000999998],
        [-40.0, -804.6084420137538, 40.02496884720726],
        [-12.5, -81.57596787074388, 12.579007304406977],
        [-7.25, -29.199385149405348, 7.383122234872753],
        [-5.0, -15.064998393988725, 5.186503967125842],
        [-3.5, -8.366065308344092, 3.7513912648576997],
        [-2.0, -3.783184333682032, 2.373215532822841],
        [-1.25, -2.247625677214318, 1.728816627331054],
        [-0.75, -1.4844482299196562, 1.328777965221207],
        [-0.375, -1.0389380477494337, 1.0509421152991767],
        [-0.0625, -0.7442671616076408, 0.8380944327550639],
        [0.0, -std::f64::consts::LN_2, 0.7978845608028654],
        [0.0625, -0.6445138495848678, 0.7585262988445942],
        [0.5, -0.3689464152886564, 0.5091604338370335],
        [1.0, -0.17275377902344988, 0.2875999709391784],
        [1.75, -0.04088361815209493, 0.08987774553340024],
        [2.5, -0.006229025485860002, 0.017637825486916735],
        [4.0, -3.167174337748927e-05, 0.00013383446446857514],
        [6.0, -9.865876455243758e-10, 6.075882855817676e-09],
        [8.25, -7.919726314642478e-17, 6.627137455968752e-16],
        [12.0, -1.776482112077679e-33, 2.1463837356630605e-32],
        [30.0, -4.906713927148187e-198, 1.4736461348785476e-196],
    ];

    #[test]
    fn log_normal_cdf_keeps_its_digits_in_both_tails() {
        let [value, hazard, ..] = at(&EXACT.map(|[z, ..]| z));
        for (index, [z, exact, exact_hazard]) in EXACT.into_iter().enumerate() {
            // To the right both are multiples of φ, whose exponent is rounded by z²/2 units.
            let tolerance = 1e-15 + if z > 0.0 { 0.5 * z * z * f64::EPSILON } else { 0.0 };
            close(value[index], exact, tolerance);
            close(hazard[index], exact_hazard, tolerance);
        }
    }

    #[test]
    fn the_same_as_one_by_one() {
        let points: Vec<f64> = (-4000..4000).map(|i| f64::from(i) * 0.00917).collect();
        let [ln_cdf, hazard, ln_right, wrong] = at(&points);
        for (index, &x) in points.iter().enumerate() {
            let (normal, logistic) = (Normal::new(x), Logistic::new(x));
            // Far to the right both round their exponents.
            let tolerance = 4e-15 + 2.0 * x * x * f64::EPSILON;
            close(ln_cdf[index], normal.ln_cdf, tolerance);
            close(hazard[index], normal.hazard, tolerance);
            close(ln_right[index], logistic.ln_right, 1e-15 + x.abs() * f64::EPSILON);
            close(wrong[index], logistic.wrong, 1e-15 + x.abs() * f64::EPSILON);
        }
    }

    #[test]
    fn far_out_and_nowhere() {
        let [ln_cdf, hazard, ln_right, wrong] = at(&[-1e9, -1e100, 1e9, f64::NAN]);
        close(ln_cdf[0], -0.5e18, 1e-15);
        close(ln_cdf[1], -0.5e200, 1e-15);
        close(hazard[0], 1e9, 1e-15);
        close(hazard[1], 1e100, 1e-15);
        assert_eq!((ln_cdf[2], hazard[2]), (0.0, 0.0));
        assert_eq!((ln_right[0], wrong[0], ln_right[2], wrong[2]), (-1e9, 1.0, 0.0, 0.0));
        assert!([ln_cdf[3], hazard[3], ln_right[3], wrong[3]].iter().all(|value| value.is_nan()));
    }
}
