//! Kernels, warps and factors that are stated as formulas, alone and in every composition.

#![allow(clippy::unwrap_used, clippy::panic)]

/// The example of a kernel of one's own.
#[allow(dead_code)]
#[path = "../../../examples/custom_kernel.rs"]
mod custom_kernel;

use custom_kernel::ArcSine;
use mercer::gp::Svgp;
use mercer::kernel::{Formula, GradientRequest, cross_vjp, diag_vjp, gram_vjp};
use mercer::params::{Constraint, Parameter, ParameterArray, Shape};
use mercer::prelude::*;
use mercer::testkit::{Probe, bits, conforms, keeps_fast_paths, matrices, points, with_coincident_points};
use mercer::warp::Function;

fn positive(name: &str, value: f64) -> Parameter {
    Parameter::new(name, value, Constraint::Positive).unwrap()
}

fn arcsine() -> ArcSine {
    ArcSine::new(0.4)
}

/// More hyperparameters than one chunk of derivatives holds: a weight for each of so many cosines.
#[derive(Clone, Debug)]
struct Cosines {
    weight: ParameterArray,
}
mercer::parameterized!(Cosines as "cosines", parameters: [weight]);
mercer::formula_kernel!(Cosines);

impl Formula for Cosines {
    fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R {
        let difference = x.iter().zip(y).map(|(&x, &y)| x - y).sum::<R>();
        theta.iter().enumerate().map(|(k, &weight)| weight * (difference * (0.1 * k as f64)).cos()).sum()
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }

    fn stationary(&self) -> bool {
        true
    }
}

fn cosines(count: usize) -> Cosines {
    let values = (0..count).map(|k| 0.02 + 0.01 * k as f64).collect();
    Cosines { weight: ParameterArray::new("weight", values, Shape::Vector(count), Constraint::Positive).unwrap() }
}

/// exp(−‖x − y‖/ℓ), with a square root where r = 0.
#[derive(Clone, Debug)]
struct Kinked {
    lengthscale: Parameter,
}
mercer::parameterized!(Kinked as "kinked", parameters: [lengthscale]);
mercer::formula_kernel!(Kinked);

impl Formula for Kinked {
    fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R {
        let r2: R = x.iter().zip(y).map(|(&x, &y)| (x - y) * (x - y)).sum();
        (-r2.sqrt() / theta[0]).exp()
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }

    fn stationary(&self) -> bool {
        true
    }
}

/// A kernel with a type parameter: the square of a formula.
#[derive(Clone, Debug)]
struct Squared<A> {
    inner: A,
}

impl<A: Parameterized> Parameterized for Squared<A> {
    fn name(&self) -> &str {
        "squared"
    }

    fn visit(&self, visitor: &mut dyn mercer::params::Visitor) {
        visitor.child(mercer::params::Label::Only, &self.inner);
    }

    fn visit_mut(&mut self, visitor: &mut dyn mercer::params::VisitorMut) {
        visitor.child(mercer::params::Label::Only, &mut self.inner);
    }
}

mercer::formula_kernel!([A] Squared<A>);

impl<A: Formula> Formula for Squared<A> {
    fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R {
        self.inner.formula(theta, x, y).powi(2)
    }

    fn psd(&self) -> Psd {
        Formula::psd(&self.inner)
    }

    fn stationary(&self) -> bool {
        Formula::stationary(&self.inner)
    }
}

mercer::declare! {
    /// exp(−Σ_d |x_d − y_d|²/ℓ_d²) cos(ω (x₀ − y₀)), with one lengthscale or one for each dimension.
    Waves as "waves" {
        /// The lengthscale ℓ.
        lengthscale: PerDimension = Positive,
        /// The frequency ω.
        frequency: Scalar = Positive,
    }
}
mercer::formula_kernel!(Waves);

impl Formula for Waves {
    fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R {
        let (lengthscales, frequency) = (&theta[..self.lengthscale().len()], theta[self.lengthscale().len()]);
        let scaled = |d: usize| (x[d] - y[d]) / lengthscales[d % lengthscales.len()];
        let distance: R = (0..x.len()).map(|d| scaled(d).powi(2)).sum();
        (-distance).exp() * (frequency * (x[0] - y[0])).cos()
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }

    fn stationary(&self) -> bool {
        true
    }
}

#[test]
fn one_value_for_each_dimension() {
    let shared: f64 = Waves::new(0.7, 2.0).eval(&[0.1, 0.2], &[0.4, 0.9]).unwrap();
    assert!((shared - (-(0.09 + 0.49) / 0.49f64).exp() * 0.6f64.cos()).abs() < 1e-15);
    for kernel in [Waves::new(0.7, 2.0), Waves::new([0.7, 1.3], 2.0)] {
        conforms(&kernel.dynamic(), 2).unwrap();
    }
}

/// Points of another dimension than there are values are refused by every driver, and inside a formula of formulas.
#[test]
fn too_many_dimensions_are_refused() {
    let (kernel, x) = (Waves::new([0.7, 1.3], 2.0), points::<f64>(4, 3, 1));
    let square = Mat::<f64>::zeros(4, 4);
    let told = |result: Result<(), Error>| {
        let error = result.unwrap_err().to_string();
        let expected = "has 2 values of `lengthscale`, one for each dimension, but the points have 3 dimension(s)";
        assert!(error.contains(expected), "{error}");
    };
    told(kernel.gram(&x).map(|_: Mat<f64>| ()));
    told(kernel.diag(&x).map(|_: Vec<f64>| ()));
    told(gram_vjp(&kernel, x.as_ref(), square.as_ref(), GradientRequest::ALL, Par::Seq).map(|_| ()));
    told(Squared { inner: kernel.clone() }.gram(&x).map(|_: Mat<f64>| ()));
    told((2.0 * kernel + Rbf::new(1.0)).gram(&x).map(|_: Mat<f64>| ()));
}

/// (a x₀ + …, sin(b x₀)): two outputs, whatever the dimension.
#[derive(Clone, Debug)]
struct Curve {
    slope: Parameter,
    frequency: Parameter,
}
mercer::parameterized!(Curve as "curve", parameters: [slope, frequency]);

impl Function for Curve {
    fn output_dim(&self, _: usize) -> mercer::Result<usize> {
        Ok(2)
    }

    fn apply<R: Real>(&self, theta: &[R], x: &[R], out: &mut [R]) {
        out[0] = theta[0] * x.iter().copied().sum::<R>();
        out[1] = (theta[1] * x[0]).sin();
    }
}

fn curve() -> Curve {
    Curve { slope: positive("slope", 0.6), frequency: positive("frequency", 1.3) }
}

/// 1/(a + x₀²)
#[derive(Clone, Debug)]
struct Decay {
    offset: Parameter,
}
mercer::parameterized!(Decay as "decay", parameters: [offset]);

impl Function for Decay {
    fn output_dim(&self, _: usize) -> mercer::Result<usize> {
        Ok(1)
    }

    fn apply<R: Real>(&self, theta: &[R], x: &[R], out: &mut [R]) {
        out[0] = (theta[0] + x[0] * x[0]).recip();
    }
}

fn decay() -> Decay {
    Decay { offset: positive("offset", 1.4) }
}

#[track_caller]
fn obeys(kernel: DynKernel, dims: &[usize]) {
    for &dim in dims {
        conforms(&kernel, dim).unwrap_or_else(|violation| panic!("{kernel} in {dim} dimension(s): {violation}"));
    }
}

#[test]
fn formulas_conform_alone_and_composed() {
    obeys(arcsine().dynamic(), &[1, 2, 5, 17]);
    obeys((arcsine() + Rbf::new(0.8)).dynamic(), &[1, 3]);
    obeys((2.0 * arcsine() * Linear::new(0.5) - arcsine()).dynamic(), &[2]);
    obeys(arcsine().on([2, 0]).dynamic(), &[3]);
    obeys(arcsine().ard([0.5, 2.0]).dynamic(), &[2]);
    obeys((arcsine().ard([0.5, 2.0]).on([2, 0]) * Matern52::new([0.7, 1.1, 0.9])).dynamic(), &[3]);
    obeys(cosines(5).dynamic(), &[1, 2]);
    obeys(cosines(29).dynamic(), &[1, 9]);
    obeys(Kinked { lengthscale: positive("lengthscale", 0.8) }.dynamic(), &[1, 2]);
    obeys(Squared { inner: arcsine() }.dynamic(), &[2]);
}

#[test]
fn functions_conform_as_warps_and_as_factors() {
    obeys(Rbf::new(0.8).warp(curve()).dynamic(), &[1, 3]);
    obeys((arcsine().warp(curve()) * Rbf::new(1.1) + Linear::new(0.3)).dynamic(), &[2]);
    obeys(Matern52::new([0.5, 1.5]).warp(curve()).on([1, 0]).dynamic(), &[2]);
    obeys(Rbf::new(0.8).vertical(decay()).dynamic(), &[1, 4]);
    obeys(arcsine().vertical(decay()).dynamic(), &[2]);
    obeys(((Rbf::new(0.8) + Linear::new(0.3).on([1])).vertical(decay()).on([1, 0]) * 0.5).dynamic(), &[2]);
    obeys(Matern32::new([0.8, 1.3]).vertical(decay()).vertical(decay()).ard([0.8, 1.2]).dynamic(), &[2]);
}

#[test]
fn normalized_kernels_conform() {
    obeys(Linear::new(0.5).normalized().dynamic(), &[1, 3]);
    obeys(arcsine().vertical(decay()).normalized().dynamic(), &[2]);
    obeys(((Rbf::new(0.8).vertical(decay()) + White::new(0.3)).normalized() * 2.0).ard([0.5, 2.0]).dynamic(), &[2]);
    obeys((Linear::new(0.5).on([1]) + 0.3).normalized().warp(curve()).dynamic(), &[2]);
}

/// The diagonal is a constant, so that its gradient asks nothing of the child.
#[test]
fn normalising_evaluates_no_pairs() {
    let probe = Probe::new(Linear::new(0.5));
    let kernel = probe.clone().normalized();
    let (x, w) = (points::<f64>(40, 2, 1), points::<f64>(40, 40, 2));
    let _: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
    kernel.gram_vjp(x.as_ref(), w.as_ref(), GradientRequest::ALL).unwrap();
    let calls = probe.calls();
    assert_eq!((calls.pairwise, calls.embed, calls.tile_diag, calls.tile_diag_vjp, calls.embed_vjp), (0, 2, 2, 1, 1));
}

#[test]
fn no_combination_loses_a_fast_path() {
    keeps_fast_paths(2, |child| child.vertical(decay()).dynamic()).unwrap();
    keeps_fast_paths(2, |child| child.warp(curve()).dynamic()).unwrap();
}

/// Static and boxed expressions in bits, and tiles and pairs too: it is the same formula.
#[test]
fn the_same_bits_in_every_form() {
    let (x, z) = (points::<f32>(70, 2, 1), points::<f32>(33, 2, 2));
    let fixed = (arcsine() + cosines(9)).vertical(decay());
    let boxed = (arcsine().dynamic() + cosines(9)).vertical(decay()).dynamic();
    bits::same_as::<f32>(&boxed, &fixed, x.as_ref(), z.as_ref()).unwrap();

    let cross = arcsine().cross(x.as_ref(), z.as_ref()).unwrap();
    let diag = arcsine().diag(x.as_ref()).unwrap();
    for row in 0..x.nrows() {
        let point = [x[(row, 0)], x[(row, 1)]];
        for col in 0..z.nrows() {
            assert_eq!(cross[(row, col)], arcsine().eval(&point, &[z[(col, 0)], z[(col, 1)]]).unwrap());
        }
        assert_eq!(diag[row], arcsine().eval(&point, &point).unwrap());
    }
}

/// A formula beside the built-in kernel that it restates: values to rounding, gradients exact.
#[test]
fn gradients_are_those_of_the_built_in_kernel() {
    let formula = Kinked { lengthscale: positive("lengthscale", 0.8) };
    let built_in = Matern12::new(0.8);
    let x = with_coincident_points(points::<f64>(40, 3, 1), 0.0);
    let z = points::<f64>(20, 3, 2);
    let w = points::<f64>(40, 20, 3);
    let gradients = |kernel: &dyn Kernel<f64>| {
        cross_vjp(kernel, x.as_ref(), z.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap()
    };
    let (found, expected) = (gradients(&formula), gradients(&built_in));
    assert!((found.theta[0] - expected.theta[0]).abs() < 1e-12 * (1.0 + expected.theta[0].abs()));
    assert!((found.x.unwrap() - expected.x.unwrap()).norm_max() < 1e-12);
    assert!((found.z.unwrap() - expected.z.unwrap()).norm_max() < 1e-12);
}

#[test]
fn coincident_points_give_finite_gradients() {
    let kernel = Kinked { lengthscale: positive("lengthscale", 0.8) };
    for offset in [0.0, 1e8] {
        let x = with_coincident_points(points::<f64>(30, 2, 1), offset);
        matrices::finite::<f64>(&kernel, x.as_ref(), x.as_ref()).unwrap();
        let x = with_coincident_points(points::<f32>(30, 2, 1), offset);
        matrices::finite::<f32>(&kernel, x.as_ref(), x.as_ref()).unwrap();
    }
    for lengthscale in [1e-150, 1e150] {
        let kernel = Kinked { lengthscale: positive("lengthscale", lengthscale) };
        let x = with_coincident_points(points::<f64>(30, 2, 1), 0.0);
        matrices::finite::<f64>(&kernel, x.as_ref(), x.as_ref()).unwrap();
    }
}

#[test]
fn gradients_in_hyperparameters_do_not_need_those_in_points() {
    let (kernel, x) = (arcsine().vertical(decay()), points::<f64>(50, 3, 1));
    let w = points::<f64>(50, 50, 2);
    let gradients = |wanted| gram_vjp(&kernel, x.as_ref(), w.as_ref(), wanted, Par::Seq).unwrap();
    let (alone, all) = (gradients(GradientRequest::PARAMETERS), gradients(GradientRequest::ALL));
    assert!(alone.x.is_none() && all.x.is_some());
    for (alone, all) in alone.theta.iter().zip(&all.theta) {
        assert!((alone - all).abs() <= 1e-13 * (1.0 + all.abs()), "{alone} and {all}");
    }
    let diag = diag_vjp(&kernel, x.as_ref(), w.col_as_slice(0), GradientRequest::PARAMETERS).unwrap();
    assert!(diag.x.is_none() && diag.theta.iter().all(|value| *value != 0.0));
}

#[test]
fn a_nan_gives_nan() {
    let x = mat![[f64::NAN, 1.0], [0.5, 1.0]];
    let gram: Mat<f64> = (arcsine().vertical(decay()) + arcsine().warp(curve())).gram(x.as_ref()).unwrap();
    assert!(gram[(0, 0)].is_nan() && gram[(1, 0)].is_nan() && gram[(1, 1)].is_finite());
}

#[test]
fn text_and_paths_name_the_function() {
    let kernel = (arcsine() + Rbf::new(0.5).warp(curve())).vertical(decay());
    let expected = "vertical(arcsine(weight=0.4) + curve(rbf(lengthscale=0.5), slope=0.6, frequency=1.3), \
                    decay(offset=1.4))";
    assert_eq!(kernel.to_string(), expected);
    let paths: Vec<String> = kernel.parameters().into_iter().map(|entry| entry.path).collect();
    let expected = [
        "vertical.offset",
        "vertical.sum[0].arcsine.weight",
        "vertical.sum[1].curve.slope",
        "vertical.sum[1].curve.frequency",
        "vertical.sum[1].curve.rbf.lengthscale",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_sparse_process_trains_a_formula() {
    use rand::SeedableRng;

    let x = points::<f64>(60, 1, 1);
    let y: Vec<f64> = x.col_as_slice(0).iter().map(|x| (1.5 * x).sin()).collect();
    let z = x.as_ref().subrows(0, 12);
    let kernel = arcsine() + cosines(12).vertical(decay());
    let mut model = Svgp::new(kernel, z).unwrap();
    let before = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
    let train = mercer::optim::Train::new(100);
    model.train(&Data::new(x.as_ref(), &y), &train, &mut rand_pcg::Pcg64::seed_from_u64(1)).unwrap();
    assert!(model.objective(&Data::new(x.as_ref(), &y)).unwrap().value > before + 10.0);
}
