//! Funk–Hecke coefficients of kernels against closed forms, stored values and each other.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::f64::consts::PI;

use faer::prelude::*;
use mercer::algebra::registry::{Visitor, visit};
use mercer::kernel::AnyKernel;
use mercer::prelude::*;
use mercer::sphere::{SphericalHarmonics, area, harmonics_of_degree};
use mercer::views::{ZonalCoefficients, ZonalSpectrum};
use serde_json::Value;

use crate::common::gradients::check;
use crate::common::stored::{read, vector};

fn stored() -> Value {
    read("sphere.json")
}

fn kernel(name: &str, lengthscale: f64) -> DynKernel {
    match name.to_lowercase().as_str() {
        "rbf" => Rbf::new(lengthscale).dynamic(),
        "matern12" => Matern12::new(lengthscale).dynamic(),
        "matern32" => Matern32::new(lengthscale).dynamic(),
        "matern52" => Matern52::new(lengthscale).dynamic(),
        other => panic!("{other}"),
    }
}

fn spectrum(dim: usize, l_max: usize, kernel: &dyn Kernel<f64>) -> ZonalCoefficients {
    ZonalSpectrum::new(dim, l_max).unwrap().spectrum(kernel).unwrap()
}

const ALL: [usize; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// The largest relative error, over stored coefficients of `degrees`.
fn worst(found: &[f64], degrees: &[usize], expected: &[f64]) -> f64 {
    let errors = degrees.iter().zip(expected).filter(|(_, expected)| expected.abs() > 1e-290);
    errors.map(|(&l, expected)| (found[l] / expected - 1.0).abs()).fold(0.0, f64::max)
}

#[test]
fn stored_rows() {
    for row in stored()["funk_hecke"].as_array().unwrap() {
        let (name, lengthscale) = (row["kernel"].as_str().unwrap(), row["lengthscale"].as_f64().unwrap());
        let kernel = row["variance"].as_f64().unwrap() * kernel(name, lengthscale);
        let exact = vector(&row["exact"]);
        let found = spectrum(3, 16, &kernel);
        let error = worst(&found.values, &ALL, &exact);
        println!("{name} {lengthscale}: {error:.1e}");
        assert!(error < if name == "RBF" { 1e-13 } else { 1e-10 }, "{name} {lengthscale}: off by {error:e}");
        within_bounds(&found, &exact);
    }
}

fn within_bounds(found: &ZonalCoefficients, exact: &[f64]) {
    for (l, exact) in exact.iter().enumerate() {
        // The stored values are rounded.
        let bound = found.errors[l] + f64::EPSILON * exact.abs();
        assert!((found.values[l] - exact).abs() <= bound, "degree {l}: {} {exact} {bound:e}", found.values[l]);
    }
}

#[test]
fn stored_rows_in_other_dimensions() {
    for row in stored()["more"].as_array().unwrap() {
        let (name, lengthscale) = (row["kernel"].as_str().unwrap(), row["lengthscale"].as_f64().unwrap());
        let (dim, exact) = (row["dim"].as_u64().unwrap() as usize, vector(&row["values"]));
        let degrees: Vec<usize> = match row.get("degrees") {
            Some(degrees) => serde_json::from_value(degrees.clone()).unwrap(),
            None => (0..exact.len()).collect(),
        };
        let found = spectrum(dim, *degrees.last().unwrap(), &kernel(name, lengthscale));
        for (&l, exact) in degrees.iter().zip(&exact) {
            let error = (found.values[l] - exact).abs();
            assert!(
                error <= found.errors[l] + f64::EPSILON * exact,
                "{name} in {dim} dimensions, degree {l}: {error:e}"
            );
        }
        // In nine dimensions a Matérn kernel of this smoothness falls as l⁻¹³.
        let known = degrees.iter().filter(|&&l| name == "rbf" || l <= 10).count();
        let error = worst(&found.values, &degrees[..known], &exact);
        println!("{name} {lengthscale} in {dim}: {error:.1e}");
        assert!(error < if name == "rbf" { 1e-13 } else { 1e-9 }, "{name} in {dim} dimensions: off by {error:e}");
    }
}

/// A kernel whose text and values are those of another, but which knows no closed form.
fn by_quadrature(kernel: impl Compose) -> DynKernel {
    // A product is integrated, also with a series of the one term 1.
    kernel.dynamic() * Zonal::new([1.0]).dynamic()
}

#[test]
fn closed_forms_are_the_integrals() {
    let kernels: [DynKernel; 7] = [
        Rbf::new(0.3).dynamic(),
        (Rbf::new(1.3) + 0.5 * Linear::new(0.4) - 0.1 * Rbf::new(3.0)).dynamic(),
        Zonal::new([0.5, 0.2, 0.0, 0.3]).dynamic(),
        SphereHeat::new(0.4).dynamic(),
        (2.0 * SphereHeat::new(0.7) + Constant::new(0.3)).dynamic(),
        -Rbf::new(0.8).dynamic(),
        (Rbf::new(0.2) + White::new(0.5)).dynamic(),
    ];
    for dim in 2..=9 {
        let plan = ZonalSpectrum::new(dim, 30).unwrap();
        for kernel in &kernels {
            assert!(mercer::views::funk_hecke(kernel, dim, 3).is_some());
            let (closed, integrated) = (plan.spectrum(kernel).unwrap(), by_quadrature(kernel.clone()));
            assert!(mercer::views::funk_hecke(&integrated, dim, 3).is_none());
            let integrated = plan.spectrum(&integrated).unwrap();
            for l in 0..=30 {
                let difference = (closed.values[l] - integrated.values[l]).abs();
                let bound = integrated.errors[l];
                assert!(difference <= bound, "{kernel}, {dim} dimensions, degree {l}: {difference:e} > {bound:e}");
                assert!(bound < 1e-13 * area(dim), "{kernel}: {bound:e}");
            }
        }
    }
}

/// Σ_l N(d, l) a_l = |S| κ(1), for spectra that have fallen off by l_max.
#[test]
fn coefficients_sum_to_the_variance() {
    let kernels: [DynKernel; 5] = [
        Rbf::new(0.4).dynamic(),
        (Rbf::new(0.9) * RationalQuadratic::new(2.0, 3.0)).dynamic(),
        (RationalQuadratic::new(1.5, 1.5) * (Linear::new(0.5) + 0.3)).dynamic(),
        Polynomial::new(5, 0.3, 0.6).dynamic(),
        (0.3 * SphereHeat::new(0.5) * Zonal::new([0.2, 0.4, 0.1])).exp().dynamic(),
    ];
    for dim in 2..=9 {
        let point: Vec<f64> = (0..dim).map(|d| if d == 0 { 1.0 } else { 0.0 }).collect();
        for kernel in &kernels {
            let found = spectrum(dim, 60, kernel);
            let terms = found.values.iter().enumerate();
            let total: f64 = terms.map(|(l, a)| harmonics_of_degree(dim, l).unwrap() as f64 * a / area(dim)).sum();
            let variance: f64 = kernel.eval(&point, &point).unwrap();
            assert!((total / variance - 1.0).abs() < 1e-10, "{kernel}, {dim} dimensions: {total} for {variance}");
            assert!(found.values.iter().all(|&a| a >= 0.0));
        }
    }
}

/// (b + v xᵀy)³ in three dimensions: t = P₁, t² = (1 + 2 P₂)/3, t³ = (3 P₁ + 2 P₃)/5, and ∫ P_l² = 2/(2l + 1).
#[test]
fn polynomial_in_closed_form() {
    let (variance, offset) = (0.7, 0.4);
    let kernel = Polynomial::new(3, variance, offset);
    let at = |t: f64| -> f64 { kernel.eval(&[1.0, 0.0, 0.0], &[t, (1.0 - t * t).sqrt(), 0.0]).unwrap() };
    // The cubic through four of its values, in Legendre polynomials.
    let (even, odd) = (|t: f64| 0.5 * (at(t) + at(-t)), |t: f64| 0.5 * (at(t) - at(-t)));
    let (c0, c2) = (at(0.0), even(1.0) - at(0.0));
    let c3 = (odd(1.0) - 2.0 * odd(0.5)) / 0.75;
    let c1 = odd(1.0) - c3;
    let legendre = [c0 + c2 / 3.0, c1 + 0.6 * c3, 2.0 * c2 / 3.0, 0.4 * c3];
    let found = spectrum(3, 8, &kernel);
    for (l, legendre) in legendre.into_iter().enumerate() {
        let expected = 4.0 * PI * legendre / (2 * l + 1) as f64;
        assert!((found.values[l] - expected).abs() < 3e-15 * found.values[0], "degree {l}");
    }
    assert_eq!(found.values[4..], [0.0; 5], "degrees that it does not have drown and are 0");
}

/// On the circle the coefficients are those of the cosine series: here of a kernel stated as one.
#[test]
fn cosine_series_on_the_circle() {
    // Matérn 1/2 in the distance of directions has no closed form, exp(−θ/ℓ) would: exp(cos θ) has, 2π I_l(1).
    let kernel = Linear::new(1.0).exp();
    let bessel = [1.266_065_877_752_008_3, 0.565_159_103_992_485, 0.135_747_669_767_038_28, 0.022_168_424_924_331_902];
    let found = spectrum(2, 3, &kernel);
    for (l, bessel) in bessel.into_iter().enumerate() {
        assert!((found.values[l] / (2.0 * PI * bessel) - 1.0).abs() < 1e-13, "degree {l}");
    }
}

#[test]
fn spectrum_and_harmonics_give_the_kernel_back() {
    for (dim, l_max) in [(2, 40), (3, 30), (5, 10)] {
        let kernel = 1.7 * RationalQuadratic::new(2.0, 2.5) * Rbf::new(1.9);
        let harmonics = SphericalHarmonics::new(dim, l_max).unwrap();
        let a = spectrum(dim, l_max, &kernel).values;
        let mut x = Mat::from_fn(12, dim, |row, col| ((row * 13 + col * 29) % 17) as f64 - 8.3);
        for row in 0..12 {
            let norm = (0..dim).map(|col| x[(row, col)].powi(2)).sum::<f64>().sqrt();
            (0..dim).for_each(|col| x[(row, col)] /= norm);
        }
        let y = harmonics.values(x.as_ref()).unwrap();
        let scaled = Mat::from_fn(harmonics.len(), 12, |row, col| a[harmonics.degrees()[row]] * y[(row, col)]);
        let error: f64 = (y.transpose() * scaled - kernel.gram(x.as_ref()).unwrap()).norm_max();
        assert!(error < 1e-8, "{dim} dimensions: {error:e}");
    }
}

#[test]
fn gradients_against_central_differences() {
    let kernels: [DynKernel; 8] = [
        (1.3 * Rbf::new(0.6)).dynamic(),
        (0.8 * Matern12::new(0.4) + 0.3).dynamic(),
        (Matern32::new(0.9) + 2.0 * Rbf::new(0.3)).dynamic(),
        (Matern52::new(0.9) * Polynomial::new(2, 0.3, 0.8)).dynamic(),
        (2.0 * SphereHeat::new(0.5) + Zonal::new([0.5, 0.2, 0.3]) + White::new(0.2)).dynamic(),
        (Rbf::new(1.4) + 0.7 * Linear::new(0.3)).dynamic(),
        -(0.5 * Rbf::new(0.5)).dynamic(),
        (RationalQuadratic::new(0.8, 1.4) * ArcCosine::new(1, 0.5)).dynamic(),
    ];
    for (dim, l_max) in [(2, 12), (3, 12), (4, 8), (9, 5)] {
        let plan = ZonalSpectrum::new(dim, l_max).unwrap();
        // Weights that make every degree count.
        for kernel in &kernels {
            let a = plan.coefficients(kernel).unwrap();
            let weight = |(l, value): (usize, &f64)| ((l * 7 % 5) as f64 - 1.5) / (value.abs() + 1e-3 * a[0].abs());
            let c: Vec<f64> = a.iter().enumerate().map(weight).collect();
            let loss = |kernel: &DynKernel| -> f64 {
                plan.coefficients(kernel).unwrap().iter().zip(&c).map(|(a, c)| a * c).sum()
            };
            let gradient = plan.vjp(kernel, &c).unwrap();
            // In units of the parameters and of the loss, as some derivatives are next to nothing.
            let (values, size) = (kernel.values(), loss(kernel).abs());
            let found: Vec<f64> = gradient.iter().zip(&values).map(|(slope, value)| slope * value / size).collect();
            check(format!("{kernel}, {dim} dimensions"), &vec![1.0; values.len()], &found, 1e-7, |ratios| {
                let moved: Vec<f64> = values.iter().zip(ratios).map(|(value, ratio)| value * ratio).collect();
                loss(&kernel.with_params(&moved).unwrap()) / size
            });
        }
    }
}

#[test]
fn what_is_not_zonal_is_named() {
    let plan = ZonalSpectrum::new(3, 4).unwrap();
    let message = |kernel: DynKernel| plan.coefficients(&kernel).unwrap_err().to_string();
    let named = |kernel: DynKernel, part: &str| {
        let message = message(kernel);
        assert!(message.starts_with(&format!("`{part}` is not zonal")), "{message}");
    };
    named(Rbf::new([1.0, 1.0, 1.2]).dynamic(), "rbf(lengthscale=[1, 1, 1.2])");
    named((Rbf::new(1.0) + 2.0 * Linear::new(1.0).on([0, 1])).dynamic(), "on(linear(variance=1), [0, 1])");
    named((Matern32::new(1.0) * Periodic::new(1.0, 2.0)).dynamic(), "periodic(lengthscale=1, period=2)");
    named((Rbf::new(1.0) * Rbf::new(0.5).ard([1.0, 2.0, 3.0])).dynamic(), "ard(rbf(lengthscale=0.5), [1, 2, 3])");
    // Together they are the inner product.
    let whole = Linear::new(0.5).on([0]) + Linear::new(0.5).on([1, 2]);
    let a = plan.coefficients(&whole).unwrap();
    assert!((a[1] - 2.0 * PI / 3.0).abs() < 1e-14);
    // Their variances are not.
    assert!(matches!(plan.vjp(&whole, &[0.0, 1.0, 0.0, 0.0, 0.0]), Err(Error::NotZonal { .. })));
    let equal = plan.vjp(&Rbf::new([1.0, 1.0, 1.0]), &[1.0; 5]);
    assert!(matches!(equal, Err(Error::NotZonal { .. })));
    assert!(matches!(plan.coefficients(&Rbf::new(1.0).on([3])), Err(Error::Dimension { .. })));
    assert!(plan.vjp(&Rbf::new(1.0), &[1.0]).is_err());
    assert!(ZonalSpectrum::new(1, 4).is_err() && ZonalSpectrum::new(3, 1001).is_err());
}

/// Every kernel either has a spectrum, without negative coefficients if it is positive semi-definite and the same as
/// by integration, or is refused.
#[test]
fn every_kernel_has_a_spectrum_or_is_refused() {
    struct Every(ZonalSpectrum, usize);

    impl Visitor for Every {
        fn example<K: AnyKernel + Clone + 'static>(&mut self, name: &'static str, _: K, kernel: DynKernel) {
            let Ok(found) = self.0.spectrum(&kernel) else { return };
            self.1 += 1;
            let closed = mercer::views::funk_hecke(&kernel, 3, 6);
            assert_eq!(found.values.len(), 7, "{name}");
            if kernel.properties().psd.holds_in(3) {
                assert!(found.values.iter().all(|&a| a >= 0.0), "{name}: {:?}", found.values);
            }
            if closed.is_some() {
                let integrated = self.0.spectrum(&by_quadrature(kernel)).unwrap();
                for l in 0..=6 {
                    let difference = (found.values[l] - integrated.values[l]).abs();
                    assert!(difference <= integrated.errors[l], "{name}, degree {l}: {difference:e}");
                }
            }
        }
    }

    let mut every = Every(ZonalSpectrum::new(3, 6).unwrap(), 0);
    visit(&mut every);
    assert!(every.1 > 40, "{}", every.1);
}

/// Smooth kernels fall below rounding: coefficients are then 0, not noise.
#[test]
fn what_drowns_is_zero() {
    let smooth = by_quadrature(Rbf::new(1.0));
    let (found, exact) = (spectrum(3, 40, &smooth), spectrum(3, 40, &Rbf::new(1.0)));
    within_bounds(&found, &exact.values);
    let last = found.values.iter().rposition(|&a| a > 0.0).unwrap();
    assert!((8..=14).contains(&last), "{last}");
    assert!(found.values[last + 1..].iter().all(|&a| a == 0.0));
    assert!(exact.values.iter().all(|&a| a > 0.0));
    // The closed form knows every degree.
    let error = exact.errors[40] / exact.values[40];
    assert!(error < 1e-13);
}

/// Lengthscales far below the spacing of a uniform rule are integrated as well.
#[test]
fn short_lengthscales() {
    for lengthscale in [1e-1, 1e-2, 1e-3, 1e-4] {
        let (found, exact) =
            (spectrum(3, 16, &by_quadrature(Rbf::new(lengthscale))), spectrum(3, 16, &Rbf::new(lengthscale)));
        let error = worst(&found.values, &ALL, &exact.values);
        assert!(error < 1e-12, "{lengthscale}: {error:e}");
    }
    // 2π ∫ exp(−r/ℓ) r dr over the tangent plane, up to ℓ².
    let found = spectrum(3, 2, &Matern12::new(1e-4));
    assert!((found.values[0] / (2.0 * PI * 1e-8) - 1.0).abs() < 1e-12);
}
