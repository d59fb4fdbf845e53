//! Areas of spheres, and how many harmonics there are.

use std::f64::consts::{PI, TAU};

/// |S^{d−1}|, the area of the unit sphere in d dimensions: 2 for d = 1, 2π for d = 2, 4π for d = 3; 0 for d = 0.
///
/// # Examples
///
/// ```
/// use mercer::sphere::area;
///
/// assert!((area(3) - 4.0 * std::f64::consts::PI).abs() < 1e-14);
/// assert!((area(4) - 2.0 * std::f64::consts::PI.powi(2)).abs() < 1e-14);
/// ```
pub fn area(dim: usize) -> f64 {
    match dim {
        0 => 0.0,
        1 => 2.0,
        2 => TAU,
        // |S^{d−1}| = 2π^{d/2}/Γ(d/2), from one parity to the next.
        _ => 2.0 * PI / (dim - 2) as f64 * area(dim - 2),
    }
}

/// N(d, l), the number of linearly independent spherical harmonics of degree l on S^{d−1}, d ≥ 2; `None` if
/// it overflows.
///
/// # Definition
///
/// N(d, l) = C(l + d − 1, d − 1) − C(l + d − 3, d − 1): polynomials homogeneous of degree l, without the
/// multiples of |x|². 2l + 1 on the sphere in three dimensions, (l + 1)² in four.
///
/// # Examples
///
/// ```
/// use mercer::sphere::harmonics_of_degree;
///
/// assert_eq!(harmonics_of_degree(3, 7), Some(15));
/// assert_eq!(harmonics_of_degree(9, 2), Some(44)); // 45 quadratic forms, without |x|²
/// assert_eq!(harmonics_of_degree(2, 0), Some(1));
/// ```
pub fn harmonics_of_degree(dim: usize, degree: usize) -> Option<usize> {
    let monomials = |degree: usize| binomial(degree.checked_add(dim.checked_sub(1)?)?, dim - 1);
    match degree {
        0 | 1 => monomials(degree),
        _ => monomials(degree)?.checked_sub(monomials(degree - 2)?),
    }
}

/// n over k.
fn binomial(n: usize, k: usize) -> Option<usize> {
    let mut value = 1u128;
    for step in 1..=k.min(n.checked_sub(k)?) {
        // Whole after every step: the product of so many successive numbers over the factorial.
        value = value.checked_mul((n - step + 1) as u128)? / step as u128;
    }
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for degree in 0..30 {
            assert_eq!(harmonics_of_degree(2, degree), Some(if degree == 0 { 1 } else { 2 }));
            assert_eq!(harmonics_of_degree(3, degree), Some(2 * degree + 1));
            assert_eq!(harmonics_of_degree(4, degree), Some((degree + 1) * (degree + 1)));
            // Those of one dimension more, of a degree, are those of all degrees up to it.
            for dim in 2..9 {
                let below: usize = (0..=degree).filter_map(|d| harmonics_of_degree(dim, d)).sum();
                assert_eq!(harmonics_of_degree(dim + 1, degree), Some(below));
            }
        }
        assert_eq!(harmonics_of_degree(40, 1000), None);
    }
}
