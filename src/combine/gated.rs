//! Two kernels, each where a function of the points lets it through.

use std::fmt::Debug;

use faer::Mat;

use super::children::{KernelParts, Parts, each_with_theta};
use crate::kernel::point_factors::{outer_tile, outer_vjp};
use crate::kernel::{
    AnyKernel, DiagVjp, EmbedVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Scratch, Structure,
    TileParts, TileVjp, split_theta, text,
};
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::simd::elementwise::add;
use crate::simd::sum::lane_sum;
use crate::simd::{Pass, dispatch};
use crate::{Error, Result, Scalar, kernel_ops};

/// A function g of one coordinate with values between 0 and 1, which lets one kernel through where it
/// is 1 and another where it is 0: a sigmoid, a window.
///
/// Its parameters, three at most, belong to the node that it makes, [`Gated`], under the name that it gives.
pub trait Gate: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// The function at the present parameters.
    type Curve: GateCurve;

    /// The dimension of the points that it reads.
    fn dim(&self) -> usize;

    /// The function at the present parameters.
    fn curve(&self) -> Self::Curve;
}

/// The function of a [`Gate`], in `f64` at either precision of the data.
///
/// # Examples
///
/// ```
/// use mercer::combine::{Gate, GateCurve};
/// use mercer::prelude::*;
///
/// let kernel = Constant::new(1.0).change_point(Constant::new(4.0), 0.0, 0.5);
/// let curve = kernel.gate().curve();
/// assert_eq!(curve.weights::<false>(0.0), [0.5, 0.5]);
/// // The slope of the sigmoid in the middle is 1/(4 width).
/// assert_eq!(curve.slopes::<false>(0.0), (0.5, [-0.5, 0.0, 0.0]));
/// ```
///
/// It is called once for each point, in vectorised loops: mark the functions `#[inline(always)]`, and let them be free of
/// branches.
pub trait GateCurve: Copy + Send + Sync {
    /// 1 − g(x) and g(x), each without cancellation.
    fn weights<const FMA: bool>(self, x: f64) -> [f64; 2];

    /// dg/dx, and dg/dθ for the parameters in visiting order, followed by zeros.
    fn slopes<const FMA: bool>(self, x: f64) -> (f64, [f64; 3]);
}

/// Both weights of each point.
struct Weights<'a, T, C> {
    curve: C,
    x: &'a [T],
    first: &'a mut [T],
    second: &'a mut [T],
}

impl<T: Scalar, C: GateCurve> Pass for Weights<'_, T, C> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((x, first), second) in self.x.iter().zip(self.first).zip(self.second) {
            let [a, b] = self.curve.weights::<FMA>(x.as_f64());
            (*first, *second) = (T::from_f64(a), T::from_f64(b));
        }
    }
}

/// From the gradients in both weights, those in the coordinate and in the parameters.
struct Backward<'a, T, C> {
    curve: C,
    x: &'a [T],
    in_first: &'a [T],
    in_second: &'a [T],
    in_x: &'a mut [T],
    /// In each parameter, what each point adds.
    in_parameters: [&'a mut [f64]; 3],
}

impl<T: Scalar, C: GateCurve> Pass for Backward<'_, T, C> {
    type Output = [f64; 3];

    #[inline(always)]
    fn run<const FMA: bool>(self) -> [f64; 3] {
        let len = self.x.len();
        let (in_first, in_second, in_x) = (&self.in_first[..len], &self.in_second[..len], &mut self.in_x[..len]);
        let in_parameters = self.in_parameters.map(|terms| &mut terms[..len]);
        for row in 0..len {
            let cotangent = in_second[row].as_f64() - in_first[row].as_f64();
            let (slope, slopes) = self.curve.slopes::<FMA>(self.x[row].as_f64());
            in_x[row] = T::from_f64(cotangent * slope);
            for parameter in 0..3 {
                in_parameters[parameter][row] = cotangent * slopes[parameter];
            }
        }
        in_parameters.map(|terms| lane_sum([terms], |[term]| term))
    }
}

/// The kernel (1 − g(x)) a(x, y) (1 − g(y)) + g(x) b(x, y) g(y), for a [`Gate`] g: a
/// [`ChangePoint`](super::ChangePoint) or a [`ChangeWindow`](super::ChangeWindow).
///
/// For independent processes with the kernels a and b, it is the covariance of
/// (1 − g(x)) f_a(x) + g(x) f_b(x): positive semi-definite where both are, and not stationary.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Constant::new(1.0).change_point(Constant::new(4.0), 0.0, 0.5);
/// assert_eq!(kernel.eval(&[0.0], &[0.0])?, 0.25 * 1.0 + 0.25 * 4.0);
/// assert_eq!(kernel.first().eval(&[0.0], &[0.0])?, 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gated<G, A, B> {
    gate: G,
    parts: (A, B),
}

kernel_ops!([G, A, B] Gated<G, A, B>);

impl<G, A, B> Gated<G, A, B> {
    /// The first kernel where the gate g is 0, the second where it is 1: the process (1 − g) f₁ + g f₂.
    /// [`ChangePoint`](super::ChangePoint) and [`ChangeWindow`](super::ChangeWindow) are made so.
    pub fn of(gate: G, first: A, second: B) -> Self {
        Self { gate, parts: (first, second) }
    }

    /// The function g.
    pub fn gate(&self) -> &G {
        &self.gate
    }

    pub(super) fn gate_mut(&mut self) -> &mut G {
        &mut self.gate
    }

    /// The kernel where g is 0.
    pub fn first(&self) -> &A {
        &self.parts.0
    }

    /// The kernel where g is 1.
    pub fn second(&self) -> &B {
        &self.parts.1
    }
}

impl<G: Gate, A: AnyKernel + Clone, B: AnyKernel + Clone> Parameterized for Gated<G, A, B> {
    fn name(&self) -> &str {
        self.gate.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.gate.visit(visitor);
        self.parts.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.gate.visit_mut(visitor);
        self.parts.visit_mut(visitor);
    }
}

impl<G: Gate, A: AnyKernel + Clone, B: AnyKernel + Clone> Expr for Gated<G, A, B> {
    fn structure(&self) -> Structure<'_> {
        Structure::Of(&self.parts)
    }

    fn properties(&self) -> Properties {
        self.first().properties().and(self.second().properties()).of_coordinates()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        let read = self.gate.dim();
        if read >= dim {
            let needs = format!("reads dimension {read}");
            return Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim });
        }
        let gate = Inputs::these((0..dim).map(|dim| dim == read).collect());
        Ok(gate.or(self.first().inputs(dim)?).or(self.second().inputs(dim)?))
    }

    // The first dimension is what is meant where none is named.
    fn settings(&self) -> Vec<(&'static str, String)> {
        match self.gate.dim() {
            0 => Vec::new(),
            dim => vec![("dim", dim.to_string())],
        }
    }

    fn written_last(&self) -> &'static [&'static str] {
        &["dim"]
    }
}

impl<T: Scalar, G: Gate, A: AnyKernel + Kernel<T> + Clone, B: AnyKernel + Kernel<T> + Clone> Kernel<T>
    for Gated<G, A, B>
{
    #[inline]
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let dim = self.gate.dim();
        let curve = self.gate.curve();
        let [first_x, second_x] = curve.weights::<false>(x[dim].as_f64()).map(T::from_f64);
        let [first_y, second_y] = curve.weights::<false>(y[dim].as_f64()).map(T::from_f64);
        let first = self.first().pairwise(x, y) * (first_x * first_y);
        first + self.second().pairwise(x, y) * (second_x * second_y)
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let mut weights = [Mat::zeros(points.len(), 1), Mat::zeros(points.len(), 1)];
        let [first, second] = weights.each_mut().map(|weights| weights.col_as_slice_mut(0));
        dispatch(Weights { curve: self.gate.curve(), x: points.column(self.gate.dim()), first, second });
        let weighted = |(weights, part): (Mat<T>, &dyn Kernel<T>)| {
            Features::mapped(Points::made(weights).with_gradient(true), part.embed(points))
        };
        Features::branch(weights.into_iter().zip(self.parts.kernels()).map(weighted).collect())
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let mut second = scratch.take(pairs.len());
        outer_tile(self.first(), &pairs.child(0), out, scratch);
        outer_tile(self.second(), &pairs.child(1), &mut second, scratch);
        add(out, &second);
        scratch.give(second);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let mut second = vec![T::from_f64(0.0); out.len()];
        self.first().tile_diag(features.child(0).child(0), out);
        self.second().tile_diag(features.child(1).child(0), &mut second);
        multiply_squares(out, features.child(0).points());
        multiply_squares(&mut second, features.child(1).points());
        add(out, &second);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let (_, in_parts) = split_theta(&self.gate, theta);
        each_with_theta(&self.parts, in_parts, |index, part, theta| {
            outer_vjp(part, &pairs.child(index), cotangent, theta, scratch);
        });
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let (_, in_parts) = split_theta(&self.gate, theta);
        let mut value = vec![T::from_f64(0.0); cotangent.len()];
        each_with_theta(&self.parts, in_parts, |index, part, theta| {
            let (weights, child) = (features.child(index).points(), features.child(index).child(0));
            if let Some(in_weights) = gradients.at_mut(weights) {
                part.tile_diag(child, &mut value);
                let terms = value.iter().zip(cotangent).zip(weights.column(0));
                for (out, ((&value, &c), &weight)) in in_weights.col_as_slice_mut(0).iter_mut().zip(terms) {
                    *out += T::from_f64(2.0) * c * value * weight;
                }
            }
            value.copy_from_slice(cotangent);
            multiply_squares(&mut value, weights);
            part.tile_diag_vjp(DiagVjp::new(child, &value, theta, gradients));
        });
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let (in_gate, in_parts) = split_theta(&self.gate, theta);
        each_with_theta(&self.parts, in_parts, |index, part, theta| {
            part.embed_vjp(EmbedVjp::new(points, features.child(index).child(0), gradients, theta));
        });
        let [first, second] = [0, 1].map(|index| gradients.take(features.child(index).points()));
        let (Some(in_first), Some(in_second)) = (first, second) else { return };
        let (curve, x) = (self.gate.curve(), points.column(self.gate.dim()));
        let (in_first, in_second) = (in_first.col_as_slice(0), in_second.col_as_slice(0));
        let mut in_x = vec![T::from_f64(0.0); points.len()];
        let mut terms = [(); 3].map(|()| vec![0.0; points.len()]);
        let in_parameters = terms.each_mut().map(Vec::as_mut_slice);
        let sums = dispatch(Backward { curve, x, in_first, in_second, in_x: &mut in_x, in_parameters });
        in_gate.iter_mut().zip(sums).for_each(|(slot, sum)| *slot += sum);
        if let Some(in_points) = gradients.at_mut(points) {
            add(in_points.col_as_slice_mut(self.gate.dim()), &in_x);
        }
    }
}

/// out ∘= weight²
fn multiply_squares<T: Scalar>(out: &mut [T], weights: &Points<'_, T>) {
    for (out, &weight) in out.iter_mut().zip(weights.column(0)) {
        *out *= weight * weight;
    }
}

/// A logistic sigmoid, s(x) = 1/(1 + exp(−(x − location)/width)), at one point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sigmoid {
    /// (x − location)/width
    argument: f64,
    width: f64,
}

impl Sigmoid {
    #[inline(always)]
    pub(super) fn at(x: f64, location: f64, width: f64) -> Self {
        // Beyond ±1000, s and its derivatives have long come to 0 or 1; NaN stays.
        Self { argument: ((x - location) / width).clamp(-1e3, 1e3), width }
    }

    /// s(x)
    #[inline(always)]
    pub(super) fn value<const FMA: bool>(self) -> f64 {
        1.0 / (1.0 + (-self.argument).lane_exp::<FMA>())
    }

    /// 1 − s(x), without cancellation.
    #[inline(always)]
    pub(super) fn complement<const FMA: bool>(self) -> f64 {
        1.0 / (1.0 + self.argument.lane_exp::<FMA>())
    }

    /// ds/dx, which is −ds/dlocation.
    #[inline(always)]
    pub(super) fn slope<const FMA: bool>(self) -> f64 {
        self.value::<FMA>() * self.complement::<FMA>() / self.width
    }

    /// ds/dwidth
    #[inline(always)]
    pub(super) fn in_width<const FMA: bool>(self) -> f64 {
        -self.argument * self.slope::<FMA>()
    }
}
