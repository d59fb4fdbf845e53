//! Gibbs's kernel: a squared exponential whose lengthscale depends on the place.

use std::fmt::{self, Debug};

use faer::Mat;

use super::dot_product::{self, DotProfile, Reads, Slopes};
use super::radial::largest;
use crate::kernel::{
    Argument, Arguments, Construct, DiagVjp, EmbedVjp, Expr, Features, FromArgument, Inputs, Kernel, List, Number,
    Pairs, Points, Properties, Psd, Scratch, TileParts, TileVjp, add_own_differences_vjp,
};
use crate::params::{Constraint, Label, Parameter, ParameterArray, Parameterized, Shape, Visitor, VisitorMut};
use crate::simd::{Lanes, One, Pass, dispatch, elementwise};
use crate::{Error, Result, Scalar, kernel_ops, parameterized};

/// A lengthscale as a function of the place, for [`Gibbs`].
///
/// # Examples
///
/// ```
/// use mercer::kernels::{Gibbs, LengthscaleFunction};
/// use mercer::prelude::*;
///
/// /// ℓ(x) = 1 + x₀²
/// #[derive(Clone, Debug)]
/// struct Widening;
/// mercer::parameterized!(Widening as "widening", parameters: []);
///
/// impl LengthscaleFunction for Widening {
///     fn value(&self, x: &[f64]) -> f64 {
///         1.0 + x[0] * x[0]
///     }
///     fn gradient(&self, x: &[f64], in_x: &mut [f64], _: &mut [f64]) {
///         in_x[0] = 2.0 * x[0];
///     }
/// }
///
/// let kernel = Gibbs::new(Widening);
/// assert_eq!(kernel.to_string(), "gibbs(widening())");
/// mercer::testkit::gradients::elementwise(
///     &(2.0 * kernel),
///     mat![[0.1], [0.5]].as_ref(),
///     mat![[0.3]].as_ref(),
/// )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LengthscaleFunction: Parameterized + dyn_clone::DynClone + Debug + Send + Sync + 'static {
    /// ℓ(x), positive. [`Gibbs`] keeps it between 10⁻¹⁵ and 10¹⁵.
    fn value(&self, x: &[f64]) -> f64;

    /// Fills in dℓ/dx and dℓ/dθ, for the parameters in visiting order. Both are 0 on entry.
    fn gradient(&self, x: &[f64], in_x: &mut [f64], in_theta: &mut [f64]);

    /// ℓ at many points, given by the columns of their coordinates: one for each dimension, all as long as
    /// `out`. The default asks for [`value`](Self::value) at each.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernels::{ExponentialLengthscale, LengthscaleFunction};
    ///
    /// let lengthscale = ExponentialLengthscale::try_new(0.5, [0.25, -1.0])?;
    /// let mut values = [0.0; 2];
    /// lengthscale.values(&[&[2.0, 0.0], &[1.0, 0.5]], &mut values);
    /// assert_eq!(values, [1.0, 1.0]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn values(&self, columns: &[&[f64]], out: &mut [f64]) {
        let mut point = vec![0.0; columns.len()];
        for (row, out) in out.iter_mut().enumerate() {
            point.iter_mut().zip(columns).for_each(|(x, column)| *x = column[row]);
            *out = self.value(&point);
        }
    }

    /// How many dimensions the points must have, if that matters.
    fn dim(&self) -> Option<usize> {
        None
    }
}

dyn_clone::clone_trait_object!(LengthscaleFunction);

/// Bounds of a lengthscale: its square is finite in `f32`, and so is the inverse.
const SMALLEST: f64 = 1e-15;
const LARGEST: f64 = 1e15;

crate::declare! {
    /// ℓ(x) = ℓ: [`Gibbs`] with it is the squared exponential.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernels::{ConstantLengthscale, Gibbs};
    /// use mercer::prelude::*;
    ///
    /// let kernel = Gibbs::new(ConstantLengthscale::try_new(0.5)?);
    /// assert_eq!(kernel.to_string(), "gibbs(constant(lengthscale=0.5))");
    /// assert_eq!(kernel.eval(&[1.0], &[2.0])?, (-2.0f64).exp());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub ConstantLengthscale as "constant" {
        /// The lengthscale.
        lengthscale: Scalar = Positive,
    }
}

impl LengthscaleFunction for ConstantLengthscale {
    fn value(&self, _: &[f64]) -> f64 {
        self.lengthscale.value()
    }

    fn gradient(&self, _: &[f64], _: &mut [f64], in_theta: &mut [f64]) {
        in_theta.fill(1.0);
    }
}

/// ℓ(x) = exp(a + bᵀx)
///
/// # Examples
///
/// ```
/// use mercer::kernels::{ExponentialLengthscale, LengthscaleFunction};
///
/// let lengthscale = ExponentialLengthscale::try_new(0.5, [0.25, -1.0])?;
/// assert_eq!(lengthscale.value(&[2.0, 1.0]), 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialLengthscale {
    offset: Parameter,
    slope: ParameterArray,
}

parameterized!(ExponentialLengthscale as "exponential", parameters: [offset, slope]);

impl ExponentialLengthscale {
    /// The exponential of a + bᵀx, from a and b.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if b has no elements; [`Error::Parameter`] if one is not finite.
    pub fn try_new(offset: f64, slope: impl Into<Vec<f64>>) -> Result<Self> {
        let slope: Vec<f64> = slope.into();
        if slope.is_empty() {
            return Err(Error::Empty { what: "the slope of a lengthscale".to_owned() });
        }
        let shape = Shape::Vector(slope.len());
        Ok(Self {
            offset: Parameter::new("offset", offset, Constraint::Real)?,
            slope: ParameterArray::new("slope", slope, shape, Constraint::Real)?,
        })
    }
}

struct Exponentials<'a>(&'a mut [f64]);

impl Pass for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for value in self.0 {
            *value = value.lane_exp::<FMA>();
        }
    }
}

impl LengthscaleFunction for ExponentialLengthscale {
    fn value(&self, x: &[f64]) -> f64 {
        let linear: f64 = x.iter().zip(self.slope.values()).map(|(x, b)| x * b).sum();
        (self.offset.value() + linear).exp()
    }

    fn values(&self, columns: &[&[f64]], out: &mut [f64]) {
        out.fill(self.offset.value());
        for (column, &slope) in columns.iter().zip(self.slope.values()) {
            elementwise::add_scaled(out, column, slope);
        }
        dispatch(Exponentials(out));
    }

    fn gradient(&self, x: &[f64], in_x: &mut [f64], in_theta: &mut [f64]) {
        let value = self.value(x);
        in_x.iter_mut().zip(self.slope.values()).for_each(|(out, b)| *out = value * b);
        let factors = std::iter::once(&1.0).chain(x);
        in_theta.iter_mut().zip(factors).for_each(|(out, factor)| *out = value * factor);
    }

    fn dim(&self) -> Option<usize> {
        Some(self.slope.values().len())
    }
}

/// Any lengthscale function, in a box: what text makes.
#[derive(Clone, Debug)]
pub struct DynLengthscale(Box<dyn LengthscaleFunction>);

impl DynLengthscale {
    /// Boxes a function.
    pub fn new(function: impl LengthscaleFunction + 'static) -> Self {
        Self(Box::new(function))
    }
}

impl Parameterized for DynLengthscale {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.0.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.0.visit_mut(visitor);
    }
}

impl LengthscaleFunction for DynLengthscale {
    fn value(&self, x: &[f64]) -> f64 {
        self.0.value(x)
    }

    fn gradient(&self, x: &[f64], in_x: &mut [f64], in_theta: &mut [f64]) {
        self.0.gradient(x, in_x, in_theta);
    }

    fn values(&self, columns: &[&[f64]], out: &mut [f64]) {
        self.0.values(columns, out);
    }

    fn dim(&self) -> Option<usize> {
        self.0.dim()
    }
}

impl FromArgument for DynLengthscale {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let Some((name, mut arguments)) = argument.call() else { return Ok(None) };
        let function = match name {
            "constant" => {
                arguments.check_names(&["lengthscale"])?;
                Self::new(ConstantLengthscale::try_new(arguments.take("lengthscale")?)?)
            }
            "exponential" => {
                arguments.check_names(&["offset", "slope"])?;
                let offset = arguments.take("offset")?;
                Self::new(ExponentialLengthscale::try_new(offset, arguments.take::<Vec<f64>>("slope")?)?)
            }
            _ => return Ok(None),
        };
        arguments.finish()?;
        Ok(Some(function))
    }

    fn describe() -> String {
        "a lengthscale, `constant(…)` or `exponential(…)`,".to_owned()
    }
}

/// Gibbs's non-stationary kernel: a squared exponential whose lengthscale is a function of the place.
///
/// # Definition
///
/// k(x, y) = (2 ℓ(x) ℓ(y)/(ℓ(x)² + ℓ(y)²))^(D/2) exp(−|x − y|²/(ℓ(x)² + ℓ(y)²))
///
/// # Hyperparameters
///
/// Those of the [`LengthscaleFunction`]: of [`ConstantLengthscale`] and [`ExponentialLengthscale`]
/// (`offset` a and `slope` b in ℓ(x) = exp(a + bᵀx)), which text can name, or of one's own.
///
/// # Properties
///
/// Not stationary; as smooth as the lengthscale function; positive semi-definite in any dimension,
/// whatever the function; k(x, x) = 1. ℓ is evaluated once a point, in `f64`, and kept between 10⁻¹⁵ and 10¹⁵.
///
/// # Examples
///
/// ```
/// use mercer::kernels::{ExponentialLengthscale, Gibbs};
/// use mercer::prelude::*;
///
/// let kernel = Gibbs::new(ExponentialLengthscale::try_new(0.0, [1.0])?);
/// let (a, b) = (1.0f64, 1f64.exp());
/// let expected = (2.0 * a * b / (a * a + b * b)).sqrt() * (-1.0 / (a * a + b * b)).exp();
/// assert!((kernel.eval(&[0.0], &[1.0])? - expected).abs() < 1e-15);
///
/// let written = "2 * gibbs(exponential(offset=0, slope=[1]))";
/// assert_eq!((2.0 * kernel).to_string(), written);
/// assert!((written.parse::<DynKernel>()?.eval(&[0.0], &[1.0])? - 2.0 * expected).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// M. N. Gibbs (1997), *Bayesian Gaussian processes for regression and classification*, PhD thesis,
/// University of Cambridge; Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*,
/// eq. 4.32.
#[derive(Clone, Debug)]
pub struct Gibbs<F = DynLengthscale> {
    lengthscale: F,
}

kernel_ops!([F] Gibbs<F>);

impl<F> Gibbs<F> {
    /// The kernel with a lengthscale function.
    pub fn new(lengthscale: F) -> Self {
        Self { lengthscale }
    }

    /// The lengthscale function.
    pub fn lengthscale(&self) -> &F {
        &self.lengthscale
    }
}

impl Construct for Gibbs {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["lengthscale"])?;
        Ok(Self::new(arguments.take("lengthscale")?))
    }
}

crate::parameterized!([F] Gibbs<F> as "gibbs", parameters: [], child: lengthscale);

/// Collects parameters as `name=value`.
struct Named(Vec<String>);

impl Visitor for Named {
    fn parameter(&mut self, parameter: crate::params::ParameterRef<'_>) {
        let value = match (parameter.shape(), parameter.values()) {
            (Shape::Scalar, &[value]) => Number(value).to_string(),
            (_, values) => List(values).to_string(),
        };
        self.0.push(format!("{}={value}", parameter.name()));
    }

    fn child(&mut self, _: Label, _: &dyn Parameterized) {}
}

impl<F: LengthscaleFunction + Clone> Expr for Gibbs<F> {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        match self.lengthscale.dim() {
            Some(expected) if expected != dim => {
                let needs = format!("has a lengthscale in {expected} dimension(s)");
                Err(Error::Dimension { kernel: crate::kernel::text(self).to_string(), needs, found: dim })
            }
            _ => Ok(Inputs::all(dim)),
        }
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut named = Named(Vec::new());
        self.lengthscale.visit(&mut named);
        write!(f, "gibbs({}({}))", self.lengthscale.name(), named.0.join(", "))
    }
}

/// The kernel as a function of r² and the two lengthscales, in so many dimensions.
#[derive(Clone, Copy)]
struct GibbsProfile {
    dim: u32,
}

impl GibbsProfile {
    fn half_dim(self) -> f64 {
        0.5 * f64::from(self.dim)
    }
}

impl<T: Scalar> DotProfile<T> for GibbsProfile {
    #[inline(always)]
    fn value<L: Lanes<T>>(self, pair: L, x: L, y: L) -> L {
        let sum = x * x + y * y;
        // 1 exactly for x = y. Its power D/2 is in the exponential: in many dimensions it is as small as that.
        let ratio = x * 2.0 * y / sum;
        (ratio.ln() * self.half_dim() - (pair / sum).at_most(largest())).exp()
    }

    // With S = x² + y², log k = D/2 log(2xy/S) − r²/S, so that dk/dx = k (D/2 (1/x − 2x/S) + 2x r²/S²).
    #[inline(always)]
    fn slopes<L: Lanes<T>>(self, pair: L, x: L, y: L, value: L) -> Slopes<L> {
        let inverse = (x * x + y * y).recip();
        // k first: it is 0 where the distance is too large for the products with it.
        let weighted = value * (pair * inverse).at_most(largest());
        let (from_x, from_y) = (x * 2.0 * inverse, y * 2.0 * inverse);
        let scaled = value * self.half_dim();
        Slopes {
            pair: -value * inverse,
            x: scaled * (x.recip() - from_x) + weighted * from_x,
            y: scaled * (y.recip() - from_y) + weighted * from_y,
            theta: [pair.all(T::from_f64(0.0)); 3],
        }
    }
}

impl<F: LengthscaleFunction> Gibbs<F> {
    fn bounded_value(&self, x: &[f64]) -> f64 {
        self.lengthscale.value(x).clamp(SMALLEST, LARGEST)
    }

    /// Calls `act` with every point, in `f64`.
    fn each_point<T: Scalar>(points: &Points<'_, T>, mut act: impl FnMut(usize, &[f64])) {
        let mut point = vec![0.0; points.dim()];
        for row in 0..points.len() {
            point.iter_mut().enumerate().for_each(|(d, out)| *out = points.matrix()[(row, d)].as_f64());
            act(row, &point);
        }
    }
}

fn profile(dim: usize) -> GibbsProfile {
    GibbsProfile { dim: dim as u32 }
}

impl<T: Scalar, F: LengthscaleFunction + Clone> Kernel<T> for Gibbs<F> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let length = |x: &[T]| {
            let x: Vec<f64> = x.iter().map(|x| x.as_f64()).collect();
            T::from_f64(self.bounded_value(&x))
        };
        let squared = x.iter().zip(y).map(|(&x, &y)| (x - y) * (x - y)).sum();
        profile(x.len()).value(One::<T, false>(squared), One(length(x)), One(length(y))).0
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let column = |dim| points.column(dim).iter().map(|x| x.as_f64()).collect();
        let columns: Vec<Vec<f64>> = (0..points.dim()).map(column).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let mut values = vec![0.0; points.len()];
        self.lengthscale.values(&columns, &mut values);
        let lengths = Mat::from_fn(points.len(), 1, |row, _| T::from_f64(values[row].clamp(SMALLEST, LARGEST)));
        Features::mapped(Points::made(lengths).with_gradient(true), Features::leaf(points.clone()))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        dot_product::tile(profile(pairs.child(0).dim()), Reads::SquaredDistance, pairs, out, scratch);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let profile = profile(features.child(0).points().dim());
        dot_product::tile_diag(profile, Reads::SquaredDistance, features, out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, value, cotangent, scratch, .. } = to.with_value(self);
        let profile = profile(pairs.child(0).dim());
        dot_product::tile_vjp(profile, Reads::SquaredDistance, pairs, value, cotangent, &mut [], scratch);
    }

    // k(x, x) = 1 wherever x is, and whatever the lengthscale.
    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        add_own_differences_vjp(features.child(0).points(), cotangent, theta, gradients);
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let Some(in_lengths) = gradients.take(features.points()) else { return };
        let (mut in_x, mut in_theta) = (vec![0.0; points.dim()], vec![0.0; theta.len()]);
        let mut in_points = gradients.at_mut(points);
        Self::each_point(points, |row, x| {
            let g = in_lengths[(row, 0)].as_f64();
            let value = self.lengthscale.value(x);
            if !(value.is_nan() || (SMALLEST..=LARGEST).contains(&value)) {
                return;
            }
            in_x.fill(0.0);
            in_theta.fill(0.0);
            self.lengthscale.gradient(x, &mut in_x, &mut in_theta);
            theta.iter_mut().zip(&in_theta).for_each(|(sum, slope)| *sum += g * slope);
            if let Some(in_points) = &mut in_points {
                in_x.iter().enumerate().for_each(|(d, slope)| in_points[(row, d)] += T::from_f64(g * slope));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn with_a_constant_lengthscale_is_the_squared_exponential() {
        let x = mat![[0.1, 2.0], [-0.7, 0.3], [1.4, 1.0]];
        let gibbs: Mat<f64> = Gibbs::new(ConstantLengthscale::try_new(0.8).unwrap()).gram(x.as_ref()).unwrap();
        let rbf: Mat<f64> = Rbf::new(0.8).gram(x.as_ref()).unwrap();
        assert!((&gibbs - &rbf).norm_max() < 1e-15);
    }
}
