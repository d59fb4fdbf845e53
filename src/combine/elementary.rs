//! Elementary symmetric polynomials of tiles, forward and backward.
//!
//! Several tiles of the same length stand one after the other in a slice.

use crate::Scalar;
use crate::simd::sum::lane_sum;
use crate::simd::{LANES, Pass, dispatch, elementwise};

struct Include<'a, T> {
    sums: &'a mut [T],
    lower: &'a [T],
    z: &'a [T],
}

impl<T: Scalar> Pass for Include<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((sum, &lower), &z) in self.sums.iter_mut().zip(self.lower).zip(self.z) {
            *sum += z * lower;
        }
    }
}

/// Takes one more variable, after so many, into the polynomials of the orders from 1 on:
/// e_m ← e_m + z e_{m−1}, e₀ = 1. What `sums` holds before the first is not read.
pub(super) fn include<T: Scalar>(sums: &mut [T], before: usize, z: &[T]) {
    if z.is_empty() {
        return;
    }
    let orders = sums.len() / z.len();
    if before < orders {
        sums[before * z.len()..(before + 1) * z.len()].fill(T::from_f64(0.0));
    }
    // From the highest order down, so that each step reads the polynomials without the new variable.
    for order in (1..=before.min(orders - 1)).rev() {
        let (lower, higher) = sums.split_at_mut(order * z.len());
        dispatch(Include { sums: &mut higher[..z.len()], lower: &lower[(order - 1) * z.len()..], z });
    }
    elementwise::add(&mut sums[..z.len()], z);
}

/// out = Σ_m weight_m e_m
pub(super) fn weigh<T: Scalar>(weights: &[T], sums: &[T], out: &mut [T]) {
    out.fill(T::from_f64(0.0));
    if out.is_empty() {
        return;
    }
    for (&weight, sum) in weights.iter().zip(sums.chunks_exact(out.len())) {
        elementwise::add_scaled(out, sum, weight);
    }
}

struct Backward<'a, T> {
    weights: &'a [T],
    z: &'a [T],
    cotangent: &'a [T],
    in_z: &'a mut [T],
    /// For each number of variables taken in, the polynomials of the orders from 0 on; by lanes.
    states: Vec<[T; LANES]>,
    /// Σ cotangent · e_m, by order and lane.
    in_weights: Vec<[T; LANES]>,
    /// The cotangents of the polynomials from order 0 on.
    adjoint: Vec<[T; LANES]>,
}

impl<T: Scalar> Pass for Backward<'_, T> {
    type Output = Vec<[T; LANES]>;

    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> Vec<[T; LANES]> {
        let len = self.cotangent.len();
        let (orders, dims) = (self.weights.len(), self.z.len() / len);
        let zero = T::from_f64(0.0);
        for start in (0..len).step_by(LANES) {
            let width = LANES.min(len - start);
            // Lanes beyond the end have the cotangent 0.
            let load = |from: &[T]| {
                let mut lanes = [zero; LANES];
                lanes[..width].copy_from_slice(&from[start..start + width]);
                lanes
            };

            self.states[0] = [T::from_f64(1.0); LANES];
            self.states[1..=orders].fill([zero; LANES]);
            for dim in 0..dims {
                let z = load(&self.z[dim * len..(dim + 1) * len]);
                let (before, after) = self.states.split_at_mut((dim + 1) * (orders + 1));
                let before = &before[dim * (orders + 1)..];
                after[0] = before[0];
                for order in 1..=orders {
                    for lane in 0..LANES {
                        after[order][lane] = before[order][lane] + z[lane] * before[order - 1][lane];
                    }
                }
            }

            let cotangent = load(self.cotangent);
            let last = &self.states[dims * (orders + 1)..];
            for (order, &weight) in self.weights.iter().enumerate() {
                for lane in 0..LANES {
                    self.in_weights[order][lane] += cotangent[lane] * last[order + 1][lane];
                    self.adjoint[order + 1][lane] = cotangent[lane] * weight;
                }
            }
            for dim in (0..dims).rev() {
                let z = load(&self.z[dim * len..(dim + 1) * len]);
                let before = &self.states[dim * (orders + 1)..];
                let mut in_z = [zero; LANES];
                // From order 1 up, so that each step reads the cotangent of the order above before it
                // is handed on.
                for order in 1..=orders {
                    for lane in 0..LANES {
                        let adjoint = self.adjoint[order][lane];
                        in_z[lane] += adjoint * before[order - 1][lane];
                        self.adjoint[order - 1][lane] += z[lane] * adjoint;
                    }
                }
                self.in_z[dim * len + start..dim * len + start + width].copy_from_slice(&in_z[..width]);
            }
        }
        self.in_weights
    }
}

/// The gradients of Σ cotangent ∘ Σ_m weight_m e_m(z): adds to that in the weights, and writes that in
/// each z. The derivative of e_m in z_d is e_{m−1} of the other variables, which the recursion run
/// backwards gives without a division by z_d or a subtraction.
pub(super) fn backward<T: Scalar>(weights: &[T], z: &[T], cotangent: &[T], in_z: &mut [T], in_weights: &mut [f64]) {
    if cotangent.is_empty() {
        return;
    }
    let zero = [T::from_f64(0.0); LANES];
    let (orders, dims) = (weights.len(), z.len() / cotangent.len());
    let sums = dispatch(Backward {
        weights,
        z,
        cotangent,
        in_z,
        states: vec![zero; (dims + 1) * (orders + 1)],
        in_weights: vec![zero; orders],
        adjoint: vec![zero; orders + 1],
    });
    for (out, sum) in in_weights.iter_mut().zip(sums) {
        *out += lane_sum([&sum], |[sum]| sum).as_f64();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// e_m of some of the variables, by all subsets.
    fn polynomial(z: &[f64], order: usize) -> f64 {
        let subsets = (0u32..1 << z.len()).filter(|subset| subset.count_ones() as usize == order);
        let product = |subset: u32| -> f64 { (0..z.len()).filter(|d| subset >> d & 1 == 1).map(|d| z[d]).product() };
        subsets.map(product).sum()
    }

    #[test]
    fn against_all_subsets() {
        // One zero, and signs of both kinds: nothing is divided by.
        let (len, dims, weights) = (19, 5, [0.7, 0.0, 1.3]);
        let value = |i: usize| if i == 3 { 0.0 } else { ((i * 37 % 101) as f64) / 50.0 - 1.0 };
        let z: Vec<f64> = (0..dims * len).map(value).collect();
        let cotangent: Vec<f64> = (0..len).map(|i| value(i + 7)).collect();
        let at = |entry: usize| (0..dims).map(|dim| z[dim * len + entry]).collect::<Vec<f64>>();

        let mut sums = vec![f64::NAN; weights.len() * len];
        z.chunks_exact(len).enumerate().for_each(|(dim, z)| include(&mut sums, dim, z));
        let (mut in_z, mut in_weights) = (vec![f64::NAN; dims * len], vec![0.5; 3]);
        backward(&weights, &z, &cotangent, &mut in_z, &mut in_weights);

        let mut expected = vec![0.5; 3];
        for entry in 0..len {
            let z = at(entry);
            for order in 0..3 {
                let polynomial = polynomial(&z, order + 1);
                assert!((sums[order * len + entry] - polynomial).abs() < 1e-14);
                expected[order] += cotangent[entry] * polynomial;
            }
            for dim in 0..dims {
                let mut others = z.clone();
                others.remove(dim);
                let slope: f64 = (0..3).map(|order| weights[order] * polynomial(&others, order)).sum();
                assert!((in_z[dim * len + entry] - cotangent[entry] * slope).abs() < 1e-14);
            }
        }
        in_weights.iter().zip(expected).for_each(|(found, expected)| assert!((found - expected).abs() < 1e-13));
    }
}
