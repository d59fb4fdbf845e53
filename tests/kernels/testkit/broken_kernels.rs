//! Kernels with one mistake each are refused by the law that is about it.

#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::kernel::{AnyKernel, DiagVjp, Features, Inputs, Pairs, Points, Scratch, Structure, TileParts, TileVjp};
use mercer::params::{Constraint, Parameter};
use mercer::prelude::*;
use mercer::testkit::{Probe, Violation, bits, conforms, expressions, gradients, keeps_fast_paths, matrices, points};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    None,
    Asymmetric,
    TileOff,
    DiagOff,
    Indefinite,
    NotStationary,
    NotZonal,
    NotIsotropic,
    ThetaGradient,
    InputGradient,
    DiagGradient,
    NanAtCoincidence,
    SinglePrecision,
    NoText,
    GramOff,
    NanLost,
    NanOffDiagonal,
    ReadsTooFew,
}

/// c xᵀy with a mistake.
#[derive(Clone, Debug)]
struct Flawed {
    variance: Parameter,
    mistake: Mistake,
}

mercer::parameterized!(Flawed as "flawed", parameters: [variance]);
mercer::kernel_ops!(Flawed);

fn flawed(mistake: Mistake) -> DynKernel {
    Flawed { variance: Parameter::new("variance", 0.7, Constraint::Positive).unwrap(), mistake }.dynamic()
}

impl Flawed {
    fn has(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    fn off<T: Scalar>(&self, mistake: Mistake) -> T {
        T::from_f64(if self.has(mistake) { 1e-3 } else { 0.0 })
    }

    fn linear(&self) -> Linear {
        Linear::new(self.variance.value())
    }
}

impl Expr for Flawed {
    fn properties(&self) -> Properties {
        let mut properties = Properties::unknown().psd(Psd::Always).differentiable();
        properties.stationary = self.has(Mistake::NotStationary);
        properties.isotropic = self.has(Mistake::NotIsotropic);
        properties.zonal = self.has(Mistake::NotZonal);
        properties
    }

    fn inputs(&self, dim: usize) -> mercer::Result<Inputs<'_>> {
        Ok(Inputs::these((0..dim).map(|column| column > 0 || !self.has(Mistake::ReadsTooFew)).collect()))
    }

    fn write_text(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "flawed({})", if self.has(Mistake::NoText) { "(" } else { "" })
    }
}

impl<T: Scalar> Kernel<T> for Flawed {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let value = self.linear().pairwise(x, y);
        let single = size_of::<T>() == 4;
        match self.mistake {
            Mistake::Asymmetric => value + self.off::<T>(Mistake::Asymmetric) * (x[0] - y[0]),
            Mistake::Indefinite => value - T::from_f64(0.5),
            // Inner products are the same in every rotation, until one axis counts for more.
            Mistake::NotIsotropic => value + self.off::<T>(Mistake::NotIsotropic) * x[0] * y[0],
            Mistake::NanAtCoincidence if x == y && x[0] > T::from_f64(0.0) => T::from_f64(f64::NAN),
            Mistake::NanLost if value.is_nan() => T::from_f64(0.0),
            Mistake::SinglePrecision if single => value + self.off::<T>(Mistake::SinglePrecision),
            _ => value,
        }
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let dim = pairs.dim();
        let (mut x, mut y) = (vec![T::default(); dim], vec![T::default(); dim]);
        for col in 0..pairs.ncols() {
            for row in 0..pairs.nrows() {
                for d in 0..dim {
                    (x[d], y[d]) = (pairs.x_column(d)[row], pairs.y_column(d)[col]);
                }
                out[row + col * pairs.nrows()] = self.pairwise(&x, &y) + self.off::<T>(Mistake::TileOff);
            }
        }
        let _ = scratch;
        if self.has(Mistake::GramOff) {
            let on_diagonal: Vec<usize> = pairs.diagonal().collect();
            if !on_diagonal.is_empty() {
                (0..out.len())
                    .filter(|entry| !on_diagonal.contains(entry))
                    .for_each(|entry| out[entry] = T::from_f64(9.0));
            }
        }
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        self.linear().tile_diag(features, out);
        let constant = match self.mistake {
            Mistake::Indefinite => T::from_f64(-0.5),
            _ => self.off::<T>(Mistake::DiagOff) + self.off::<T>(Mistake::TileOff),
        };
        out.iter_mut().for_each(|value| *value += constant);
        if self.has(Mistake::NanLost) || self.has(Mistake::NanOffDiagonal) {
            out.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = T::from_f64(0.0));
        }
        if self.has(Mistake::NotIsotropic) {
            for (value, &x) in out.iter_mut().zip(features.points().column(0)) {
                *value += self.off::<T>(Mistake::NotIsotropic) * x * x;
            }
        }
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, value, cotangent, theta, scratch } = to.with_value(self);
        // A factor off by a thousandth in one of the two.
        let more = |off: T| -> Vec<T> { cotangent.iter().map(|&c| c + off * c).collect() };
        let mut unread = [0.0];
        let in_theta = more(self.off::<T>(Mistake::ThetaGradient));
        self.linear().tile_vjp(TileVjp::new(pairs, value, &in_theta, theta, &mut *scratch));
        if self.has(Mistake::InputGradient) {
            let in_points = more(T::from_f64(1e-3));
            self.linear().tile_vjp(TileVjp::new(pairs, value, &in_points, &mut unread, scratch));
        }
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        if !self.has(Mistake::DiagGradient) {
            self.linear().tile_diag_vjp(to);
        }
    }
}

#[track_caller]
fn refused(result: Result<(), Violation>, law: &str) {
    match result {
        Ok(()) => panic!("accepted, where \"{law}\" is broken"),
        Err(violation) => assert_eq!(violation.law, law, "{violation}"),
    }
}

#[test]
fn the_right_law_refuses_each_mistake() {
    conforms(&flawed(Mistake::None), 2).unwrap();
    for (mistake, law) in [
        (Mistake::Asymmetric, "symmetric"),
        (Mistake::GramOff, "the Gram matrix is a cross-covariance"),
        (Mistake::TileOff, "tiles agree with pairs"),
        (Mistake::DiagOff, "the diagonal is that of the Gram matrix"),
        (Mistake::Indefinite, "positive semi-definite"),
        (Mistake::NotStationary, "stationary"),
        (Mistake::NotZonal, "zonal"),
        (Mistake::NotIsotropic, "isotropic"),
        (Mistake::ThetaGradient, "the gradient of the Gram matrix"),
        (Mistake::InputGradient, "the gradient of the Gram matrix"),
        (Mistake::DiagGradient, "the gradient of the diagonal"),
        (Mistake::SinglePrecision, "single precision agrees with double"),
        (Mistake::NoText, "text"),
        (Mistake::NanLost, "a NaN that is read gives NaN"),
        (Mistake::NanOffDiagonal, "one diagonal for every kind of point"),
        (Mistake::ReadsTooFew, "columns that are not read change nothing"),
    ] {
        refused(conforms(&flawed(mistake), 2), law);
    }
}

#[test]
fn values_that_are_not_numbers_are_refused() {
    let x = points::<f64>(5, 1, 1);
    let kernel = flawed(Mistake::NanAtCoincidence);
    refused(matrices::finite::<f64>(&kernel, x.as_ref(), x.as_ref()), "finite");
}

#[test]
fn the_place_is_named() {
    let (x, z) = (points::<f64>(3, 1, 1), points::<f64>(2, 1, 2));
    let violation = gradients::elementwise(&flawed(Mistake::ThetaGradient), x.as_ref(), z.as_ref()).unwrap_err();
    assert_eq!(violation.place, "flawed.variance");
    assert_eq!(violation.of, "flawed()");
}

#[test]
fn other_bits_are_refused() {
    let x = points::<f64>(5, 1, 1);
    let result = bits::same_as::<f64>(&Rbf::new(1.0), &Rbf::new(1.0f64.next_up()), x.as_ref(), x.as_ref());
    refused(result, "the same bits in another form");
}

/// Twice a kernel, without forwarding what makes it fast.
#[derive(Clone, Debug)]
struct Twice<K>(K);
mercer::kernel_ops!([K] Twice<K>);

impl<K: Parameterized> Parameterized for Twice<K> {
    fn name(&self) -> &str {
        "twice"
    }

    fn visit(&self, visitor: &mut dyn mercer::params::Visitor) {
        visitor.child(mercer::params::Label::Only, &self.0);
    }

    fn visit_mut(&mut self, visitor: &mut dyn mercer::params::VisitorMut) {
        visitor.child(mercer::params::Label::Only, &mut self.0);
    }
}

impl<K: AnyKernel + Clone> Expr for Twice<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Function(self.0.node())
    }
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Twice<K> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        T::from_f64(2.0) * self.0.pairwise(x, y)
    }
}

#[test]
fn a_combinator_that_forwards_nothing_is_refused() {
    refused(keeps_fast_paths(1, |child| Twice(child).dynamic()), "keeps fast paths");
}

/// Two parameters under one name.
#[derive(Clone, Debug)]
struct Homonyms(Parameter, Parameter);
mercer::kernel_ops!(Homonyms);

impl Parameterized for Homonyms {
    fn name(&self) -> &str {
        "homonyms"
    }

    fn visit(&self, visitor: &mut dyn mercer::params::Visitor) {
        visitor.parameter(self.0.view("value"));
        visitor.parameter(self.1.view("value"));
    }

    fn visit_mut(&mut self, visitor: &mut dyn mercer::params::VisitorMut) {
        visitor.parameter(self.0.view_mut("value"));
        visitor.parameter(self.1.view_mut("value"));
    }
}

impl Expr for Homonyms {}

impl<T: Scalar> Kernel<T> for Homonyms {
    fn pairwise(&self, _: &[T], _: &[T]) -> T {
        T::from_f64(self.0.value() + self.1.value())
    }
}

#[test]
fn parameters_with_one_path_are_refused() {
    let parameter = Parameter::new("value", 1.0, Constraint::Positive).unwrap();
    refused(expressions::parameters(&Homonyms(parameter, parameter).dynamic()), "parameters");
}

#[test]
fn a_kernel_without_gradients_cannot_be_checked_for_them() {
    let x = points::<f64>(3, 1, 1);
    let parameter = Parameter::new("value", 1.0, Constraint::Positive).unwrap();
    refused(gradients::directional(&Homonyms(parameter, parameter), x.as_ref(), x.as_ref()), "can be evaluated");
    let probe = Probe::new(Homonyms(parameter, parameter));
    assert!(!probe.properties().differentiable);
}

/// exp(−r²/2) at x/2, which does not pull its gradient back to x.
#[derive(Clone, Debug)]
struct Halved;
mercer::parameterized!(Halved as "halved", parameters: []);
mercer::kernel_ops!(Halved);

impl Expr for Halved {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).isotropic().differentiable()
    }
}

impl<T: Scalar> Kernel<T> for Halved {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        Rbf::new(2.0).pairwise(x, y)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let half = |row, dim: usize| points.column(dim)[row] * T::from_f64(0.5);
        Features::leaf(
            Points::made(Mat::from_fn(points.len(), points.dim(), half)).with_gradient(points.needs_gradient()),
        )
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        Rbf::new(1.0).tile(pairs, out, scratch);
    }

    fn tile_diag(&self, _: &Features<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(1.0));
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let pairs = to.pairs();
        to.hand_on(&Rbf::new(1.0), pairs, 0);
    }

    fn tile_diag_vjp(&self, _: DiagVjp<'_, T>) {}
}

#[test]
fn a_gradient_that_does_not_reach_the_points_is_refused() {
    let x = points(6, 1, 1);
    let violation = gradients::elementwise(&Halved, x.as_ref(), x.as_ref()).unwrap_err();
    assert!(violation.law.contains("gradient"), "{violation}");
}
