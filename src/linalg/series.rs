//! The noise that a linear stochastic differential equation gathers over a short step, by powers of its length.

use crate::Scalar;

/// A polynomial without a constant, of the powers 1 to `TERMS`.
#[derive(Clone, Debug)]
pub(crate) struct Series<const TERMS: usize> {
    coefficients: [f64; TERMS],
}

impl<const TERMS: usize> Series<TERMS> {
    /// Σ_k c_k x^(k + 1)
    #[inline(always)]
    pub(crate) fn at<const FMA: bool>(&self, x: f64) -> f64 {
        let mut sum = self.coefficients[TERMS - 1];
        for k in (0..TERMS - 1).rev() {
            sum = sum.lane_mul_add::<FMA>(x, self.coefficients[k]);
        }
        sum * x
    }
}

/// scale · A B
pub(crate) fn product<const D: usize>(a: &[[f64; D]; D], b: &[[f64; D]; D], scale: f64) -> [[f64; D]; D] {
    std::array::from_fn(|row| std::array::from_fn(|col| scale * (0..D).map(|k| a[row][k] * b[k][col]).sum::<f64>()))
}

/// scale · (A B + B Aᵀ), for a symmetric B.
fn around<const D: usize>(a: &[[f64; D]; D], b: &[[f64; D]; D], scale: f64) -> [[f64; D]; D] {
    let half = product(a, b, scale);
    std::array::from_fn(|row| std::array::from_fn(|col| half[row][col] + half[col][row]))
}

/// The powers of x in the lower triangle of the Q(x) of dQ/dx = F Q + Q Fᵀ + q e eᵀ, for the last unit vector e, from Q(0) = 0.
pub(crate) fn process_noise<const D: usize, const TERMS: usize>(f: &[[f64; D]; D], q: f64) -> Vec<Series<TERMS>> {
    process_noise_with_slope(f, q, &[[0.0; D]; D], 0.0).0
}

/// The same with its derivative, given those of F and q.
pub(crate) fn process_noise_with_slope<const D: usize, const TERMS: usize>(
    f: &[[f64; D]; D],
    q: f64,
    f_slope: &[[f64; D]; D],
    q_slope: f64,
) -> (Vec<Series<TERMS>>, Vec<Series<TERMS>>) {
    let entries = D * (D + 1) / 2;
    let empty = vec![Series { coefficients: [0.0; TERMS] }; entries];
    let (mut values, mut slopes) = (empty.clone(), empty);
    let (mut c, mut d) = ([[0.0; D]; D], [[0.0; D]; D]);
    (c[D - 1][D - 1], d[D - 1][D - 1]) = (q, q_slope);
    for term in 0..TERMS {
        for row in 0..D {
            for col in 0..=row {
                let place = row * (row + 1) / 2 + col;
                values[place].coefficients[term] = c[row][col];
                slopes[place].coefficients[term] = d[row][col];
            }
        }
        let scale = 1.0 / (term as f64 + 2.0);
        let (by_f, by_slope) = (around(f, &d, scale), around(f_slope, &c, scale));
        d = std::array::from_fn(|row| std::array::from_fn(|col| by_f[row][col] + by_slope[row][col]));
        c = around(f, &c, scale);
    }
    (values, slopes)
}
