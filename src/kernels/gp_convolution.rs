//! Several outputs by smoothing one process.

use faer::{Mat, MatRef};
use std::f64::consts::TAU;

use crate::kernel::index::{checked_index, index};
use crate::kernel::point_factors::{factor_gradients, multiply_outer};
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, IndexColumn, Inputs, Kernel, Pairs, Points, Properties, Psd, Scratch, TileParts,
    TileVjp, add_own_differences, add_own_differences_vjp, text,
};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::simd::sum::lane_sum;
use crate::simd::{LANES, Pass, dispatch, elementwise};
use crate::{Error, Result, Scalar};

/// The convolution of a process with one Gaussian smoothing kernel for each output: outputs that share
/// a process and differ in how smooth they are.
///
/// The points are (x, p): D coordinates, and in the last column the output p.
///
/// # Definition
///
/// k((x, p), (y, q)) = a_p a_q Π_d √(2 ℓ_pd ℓ_qd / (ℓ_pd² + ℓ_qd²)) · exp(−Σ_d (x_d − y_d)² / (ℓ_pd² + ℓ_qd²))
///
/// That is the covariance of f_p = G_p * u for Gaussians G_p and one latent process u, which is white or
/// itself of Gaussian covariance: squared widths add up under convolution. Within an output it is
/// a_p² times the squared exponential of lengthscale ℓ_p. [`from_smoothing`](Self::from_smoothing)
/// makes it of the widths of the Gaussians, and [`from_bandwidths`](Self::from_bandwidths) of halved
/// squared lengthscales.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `amplitude` | a, P | that of the outputs | finite; a sign turns an output over |
/// | `lengthscale` | ℓ, P × D, or P × 1 for all dimensions | that of the inputs | positive |
///
/// # Properties
///
/// The last column is an [index](crate::kernel::IndexColumn) below P. Not stationary in (x, p), but
/// stationary in x; infinitely differentiable in x; positive semi-definite in any dimension.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = GpConvolution::new([2.0, -0.5], mat![[1.0], [3.0]]);
/// // Within an output: the squared exponential.
/// let expected = 0.25 * (-0.5f64 / 9.0).exp();
/// assert!((kernel.eval(&[0.0, 1.0], &[1.0, 1.0])? - expected).abs() < 1e-16);
/// // Between outputs.
/// let expected = -(0.6f64).sqrt() * (-0.1f64).exp();
/// assert!((kernel.eval(&[0.0, 0.0], &[1.0, 1.0])? - expected).abs() < 1e-15);
///
/// // With a process of its own for each output.
/// let with_own = kernel + BlockDiagonal::shared(0.1 * Matern32::new(0.5), 2);
/// assert!((with_own.eval(&[0.0, 0.0], &[1.0, 1.0])? - expected).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// - Boyle & Frean (2005), Dependent Gaussian processes, NIPS 17.
/// - Álvarez & Lawrence (2011), Computationally efficient convolved multiple output Gaussian processes,
///   *Journal of Machine Learning Research* 12.
/// - Álvarez, Rosasco & Lawrence (2012), Kernels for vector-valued functions: a review, section 5,
///   <https://doi.org/10.1561/2200000036>.
#[derive(Clone, Debug, PartialEq)]
pub struct GpConvolution {
    amplitude: ParameterArray,
    lengthscale: ParameterArray,
}

crate::parameterized!(GpConvolution as "gp_convolution", parameters: [amplitude, lengthscale]);
crate::kernel_ops!(GpConvolution);
crate::construct!(GpConvolution: try_new(amplitude: Vec<f64>, lengthscale: Mat<f64>));

impl GpConvolution {
    /// The kernel with one amplitude and one row of lengthscales for each output.
    ///
    /// # Panics
    ///
    /// If [`try_new`](Self::try_new) gives an error.
    #[track_caller]
    pub fn new(amplitude: impl Into<Vec<f64>>, lengthscale: Mat<f64>) -> Self {
        crate::error::literal(Self::try_new(amplitude, lengthscale))
    }

    /// The kernel with one amplitude and one row of lengthscales for each output.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without lengthscales; [`Error::Shape`] if there is not one amplitude for each row
    /// of them; [`Error::Parameter`] for an amplitude that is not finite or a lengthscale that is not
    /// positive and finite.
    pub fn try_new(amplitude: impl Into<Vec<f64>>, lengthscale: Mat<f64>) -> Result<Self> {
        let ((outputs, dims), amplitude) = (lengthscale.shape(), amplitude.into());
        if outputs == 0 || dims == 0 {
            return Err(Error::Empty { what: "the matrix of lengthscales".to_owned() });
        }
        if amplitude.len() != outputs {
            let expected = format!("{outputs} element(s), one for each row of the lengthscales");
            return Err(Error::shape("the amplitudes", expected, (amplitude.len(), 1)));
        }
        let all = (0..dims).flat_map(|dim| (0..outputs).map(move |output| (output, dim)));
        let lengthscales = all.map(|place| lengthscale[place]).collect();
        let shape = Shape::Matrix(outputs, dims);
        Ok(Self {
            amplitude: ParameterArray::new("amplitude", amplitude, Shape::Vector(outputs), Constraint::Real)?,
            lengthscale: ParameterArray::new("lengthscale", lengthscales, shape, Constraint::Positive)?,
        })
    }

    /// The kernel with the variance v_p of each output and its bandwidths b = ℓ²/2, so that outputs p and
    /// q have the exponent −½ Σ_d Δ_d²/(b_pd + b_qd): the convention of Kernax.
    ///
    /// # Errors
    ///
    /// As [`try_new`](Self::try_new); [`Error::Parameter`] for a variance or a bandwidth that is not
    /// positive.
    pub fn from_bandwidths(variance: &[f64], bandwidth: MatRef<'_, f64>) -> Result<Self> {
        let root = |name: &str, value: f64, factor: f64| {
            let root = (factor * value).sqrt();
            let refused = || Error::Parameter { path: name.to_owned(), value, expected: "positive".to_owned() };
            if root > 0.0 { Ok(root) } else { Err(refused()) }
        };
        let amplitude = variance.iter().map(|&value| root("variance", value, 1.0)).collect::<Result<Vec<_>>>()?;
        let mut lengthscale = bandwidth.to_owned();
        for column in lengthscale.col_iter_mut() {
            for value in column.iter_mut() {
                *value = root("bandwidth", *value, 2.0)?;
            }
        }
        Self::try_new(amplitude, lengthscale)
    }

    /// The kernel of smoothing kernels G_p(x) = S_p N(x; 0, P_p⁻¹), with diagonal P_p⁻¹ in the rows of
    /// `width`, and a latent process of covariance N(x − y; 0, Λ⁻¹), with Λ⁻¹ in `latent` (zeros for white
    /// noise): the covariance of outputs p and q is S_p S_q N(x − y; 0, P_p⁻¹ + P_q⁻¹ + Λ⁻¹).
    ///
    /// # Errors
    ///
    /// As [`try_new`](Self::try_new); [`Error::Shape`] if `latent` has not one element for each column of
    /// the widths.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = GpConvolution::from_smoothing(&[0.7, 1.3], mat![[0.4], [1.1]].as_ref(), &[0.5])?;
    /// // 0.7 · 1.3 · N(1; 0, 0.4 + 1.1 + 0.5)
    /// let expected = 0.91 * (-0.25f64).exp() / (4.0 * std::f64::consts::PI).sqrt();
    /// assert!((kernel.eval(&[0.0, 0.0], &[1.0, 1.0])? - expected).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn from_smoothing(scale: &[f64], width: MatRef<'_, f64>, latent: &[f64]) -> Result<Self> {
        let (outputs, dims) = width.shape();
        if latent.len() != dims {
            let expected = format!("{dims} element(s), one for each column of the widths");
            return Err(Error::shape("the latent widths", expected, (latent.len(), 1)));
        }
        if scale.len() != outputs {
            let expected = format!("{outputs} element(s), one for each row of the widths");
            return Err(Error::shape("the scales", expected, (scale.len(), 1)));
        }
        // The widths of outputs p and q add up to (ℓ_p² + ℓ_q²)/2, and a_p² is the Gaussian's height.
        let lengthscale = Mat::from_fn(outputs, dims, |p, d| (2.0 * width[(p, d)] + latent[d]).sqrt());
        let height = |p: usize| (0..dims).map(|d| (TAU.sqrt() * lengthscale[(p, d)]).sqrt().recip()).product::<f64>();
        let amplitude: Vec<f64> = scale.iter().enumerate().map(|(p, scale)| scale * height(p)).collect();
        Self::try_new(amplitude, lengthscale)
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.amplitude.values().len()
    }

    /// The amplitude of each output.
    pub fn amplitudes(&self) -> &[f64] {
        self.amplitude.values()
    }

    /// The lengthscales, one row an output.
    pub fn lengthscales(&self) -> MatRef<'_, f64> {
        let (outputs, all) = (self.outputs(), self.lengthscale.values());
        MatRef::from_column_major_slice(all, outputs, all.len() / outputs)
    }

    /// Where the lengthscale of an output in a dimension stands.
    fn place(&self, output: usize, dim: usize) -> usize {
        let shared = self.lengthscale.values().len() == self.outputs();
        output + if shared { 0 } else { dim * self.outputs() }
    }

    /// A lengthscale that is neither 0 nor infinite in a smaller type.
    fn lengthscale<T: Scalar>(&self, output: usize, dim: usize) -> T {
        let lengthscale = T::from_f64(self.lengthscale.values()[self.place(output, dim)]);
        num_traits::clamp(lengthscale, T::min_positive_value(), T::max_value())
    }

    /// k without the amplitudes.
    fn correlations<T: Scalar>(&self, made: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let mut overlap = scratch.take(out.len());
        out.fill(T::from_f64(0.0));
        overlap.fill(T::from_f64(1.0));
        let dims = made.dim() / 2;
        for dim in 0..dims {
            let (x, y) = (made.x_column(dim), made.y_column(dim));
            let (x_scale, y_scale) = (made.x_column(dims + dim), made.y_column(dims + dim));
            dispatch(AddDimension { x, y, x_scale, y_scale, exponent: out, overlap: &mut overlap });
        }
        dispatch(Finish { exponent: out, overlap: &overlap });
        scratch.give(overlap);
    }
}

/// What two lengthscales and a difference make: u = Δ/√(ℓ_x² + ℓ_y²), √(ℓ_x² + ℓ_y²), and
/// 2 ℓ_x ℓ_y/(ℓ_x² + ℓ_y²). By the ratio of the lengthscales, whose squares may overflow. A u so large
/// that its square would, and exp(−u²) is 0 long before, is cut off.
#[inline(always)]
fn joint<T: Scalar>(difference: T, x_scale: T, y_scale: T) -> (T, T, T) {
    let (small, large) = if x_scale < y_scale { (x_scale, y_scale) } else { (y_scale, x_scale) };
    let ratio = small / large;
    let squares = T::from_f64(1.0) + ratio * ratio;
    let width = large * num_traits::Float::sqrt(squares);
    let (u, most) = (difference / width, T::from_f64(1e18));
    let u = if u > most { most } else { u };
    let u = if u < -most { -most } else { u };
    (u, width, (ratio + ratio) / squares)
}

struct AddDimension<'a, T> {
    x: &'a [T],
    y: &'a [T],
    x_scale: &'a [T],
    y_scale: &'a [T],
    exponent: &'a mut [T],
    overlap: &'a mut [T],
}

impl<T: Scalar> Pass for AddDimension<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let rows = self.x.len();
        let columns = self.exponent.chunks_exact_mut(rows).zip(self.overlap.chunks_exact_mut(rows));
        for ((exponent, overlap), (&y, &y_scale)) in columns.zip(self.y.iter().zip(self.y_scale)) {
            let rows = self.x.iter().zip(self.x_scale);
            for ((exponent, overlap), (&x, &x_scale)) in exponent.iter_mut().zip(overlap).zip(rows) {
                let (u, _, factor) = joint(x - y, x_scale, y_scale);
                *exponent -= u * u;
                *overlap *= factor;
            }
        }
    }
}

struct Finish<'a, T> {
    /// The exponent on entry, the correlation on return.
    exponent: &'a mut [T],
    overlap: &'a [T],
}

impl<T: Scalar> Pass for Finish<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, &overlap) in self.exponent.iter_mut().zip(self.overlap) {
            *out = num_traits::Float::sqrt(overlap) * out.lane_exp::<FMA>();
        }
    }
}

/// The gradients in one dimension: in the coordinates, or in the logarithms of the lengthscales.
struct InDimension<'a, T> {
    x: &'a [T],
    y: &'a [T],
    x_scale: &'a [T],
    y_scale: &'a [T],
    /// Cotangent times value.
    weights: &'a [T],
    in_scales: bool,
    in_rows: &'a mut [T],
    in_cols: &'a mut [T],
}

impl<T: Scalar> Pass for InDimension<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let columns = self.weights.chunks_exact(self.x.len()).zip(self.y.iter().zip(self.y_scale));
        for ((weights, (&y, &y_scale)), in_col) in columns.zip(self.in_cols) {
            let mut in_column = [T::from_f64(0.0); LANES];
            let parts = self.x.chunks(LANES).zip(self.x_scale.chunks(LANES)).zip(weights.chunks(LANES));
            for (((x, x_scale), weights), in_rows) in parts.zip(self.in_rows.chunks_mut(LANES)) {
                let rows = x.iter().zip(x_scale).zip(weights).zip(in_rows).zip(&mut in_column);
                if self.in_scales {
                    for ((((&x, &x_scale), &weight), in_row), in_lane) in rows {
                        let (by_x, by_y) = by_scales(x - y, x_scale, y_scale, weight);
                        *in_row += by_x;
                        *in_lane += by_y;
                    }
                } else {
                    for ((((&x, &x_scale), &weight), in_row), in_lane) in rows {
                        let (u, width, _) = joint(x - y, x_scale, y_scale);
                        let amount = T::from_f64(2.0) * (weight * u) / width;
                        *in_row -= amount;
                        *in_lane += amount;
                    }
                }
            }
            *in_col += lane_sum([&in_column], |[sum]| sum);
        }
    }
}

/// Weighted derivatives of a pair in the logarithms of both lengthscales.
#[inline(always)]
fn by_scales<T: Scalar>(difference: T, x_scale: T, y_scale: T, weight: T) -> (T, T) {
    let (half, two) = (T::from_f64(0.5), T::from_f64(2.0));
    let (u, width, _) = joint(difference, x_scale, y_scale);
    // d ln k/d ln ℓ_x = ½ (ℓ_y² − ℓ_x²)/(ℓ_x² + ℓ_y²) + 2 u² ℓ_x²/(ℓ_x² + ℓ_y²)
    let (in_x, in_y) = (x_scale / width, y_scale / width);
    let (in_x, in_y) = (in_x * in_x, in_y * in_y);
    let by_x = weight * half * (in_y - in_x) + two * (weight * u) * u * in_x;
    (by_x, weight * half * (in_x - in_y) + two * (weight * u) * u * in_y)
}

impl Expr for GpConvolution {
    fn properties(&self) -> Properties {
        Properties::unknown().psd(Psd::Always).differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        let scales = self.lengthscales().ncols();
        if dim >= 2 && (scales == 1 || scales == dim - 1) {
            return Ok(Inputs::all(dim).with_indices([IndexColumn::new(self, dim - 1, self.outputs())]));
        }
        let needs = match scales {
            1 => "reads at least one coordinate and the output in the last column".to_owned(),
            _ => format!("reads {scales} coordinates and the output in the last column"),
        };
        Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim })
    }
}

// The features are, for each point, D coordinates, the D lengthscales of its output, and its amplitude:
// the coordinates and the lengthscales in one set of points, the amplitudes in another.
impl<T: Scalar> Kernel<T> for GpConvolution {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let (Some((&p, x)), Some((&q, y))) = (x.split_last(), y.split_last()) else { return T::nan() };
        let (Some(p), Some(q)) = (index(p, self.outputs()), index(q, self.outputs())) else { return T::nan() };
        let (mut exponent, mut overlap) = (T::from_f64(0.0), T::from_f64(1.0));
        for (dim, (&x, &y)) in x.iter().zip(y).enumerate() {
            let (u, _, factor) = joint(x - y, self.lengthscale(p, dim), self.lengthscale(q, dim));
            exponent -= u * u;
            overlap *= factor;
        }
        let correlation = num_traits::Float::sqrt(overlap) * num_traits::Float::exp(exponent);
        T::from_f64(self.amplitudes()[p]) * T::from_f64(self.amplitudes()[q]) * correlation
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let (matrix, dims) = (points.matrix(), points.dim() - 1);
        let output = |row: usize| checked_index(matrix[(row, dims)]);
        let made = Mat::from_fn(points.len(), 2 * dims, |row, col| {
            if col < dims { matrix[(row, col)] } else { self.lengthscale(output(row), col - dims) }
        });
        let amplitudes = Mat::from_fn(points.len(), 1, |row, _| T::from_f64(self.amplitudes()[output(row)]));
        let leaf = |matrix| Features::leaf(Points::made(matrix).with_gradient(true));
        Features::branch(vec![leaf(made), leaf(amplitudes)])
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        self.correlations(&pairs.child(0), out, scratch);
        let amplitudes = pairs.child(1);
        multiply_outer(out, amplitudes.x_column(0), amplitudes.y_column(0));
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let made = features.child(0).points();
        out.iter_mut().zip(features.child(1).points().column(0)).for_each(|(out, &a)| *out = a * a);
        add_own_differences(made, out);
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, scratch, .. } = to.dense(self);
        let (made, amplitudes) = (pairs.child(0), pairs.child(1));
        let mut weights = scratch.take(pairs.len());
        self.correlations(&made, &mut weights, scratch);
        elementwise::multiply(&mut weights, cotangent);
        let (a, b) = (amplitudes.x_column(0), amplitudes.y_column(0));
        scratch.add_point_gradient(&amplitudes, |_, in_rows, in_cols| {
            factor_gradients(&weights, a, b, in_rows, in_cols);
        });
        multiply_outer(&mut weights, a, b);
        let dims = made.dim() / 2;
        scratch.add_point_gradient(&made, |col, in_rows, in_cols| {
            let (in_scales, dim) = (col >= dims, col % dims);
            let (x, y) = (made.x_column(dim), made.y_column(dim));
            let (x_scale, y_scale) = (made.x_column(dims + dim), made.y_column(dims + dim));
            dispatch(InDimension { x, y, x_scale, y_scale, weights: &weights, in_scales, in_rows, in_cols });
        });
        scratch.give(weights);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, gradients, .. } = to;
        let (made, amplitudes) = (features.child(0).points(), features.child(1).points());
        add_own_differences_vjp(made, cotangent, &mut [], gradients);
        let mut weights = vec![T::from_f64(1.0); cotangent.len()];
        add_own_differences(made, &mut weights);
        let Some(gradient) = gradients.at_mut(amplitudes) else { return };
        let terms = amplitudes.column(0).iter().zip(cotangent).zip(weights);
        gradient.col_as_slice_mut(0).iter_mut().zip(terms).for_each(|(out, ((&a, &c), w))| *out += (a + a) * c * w);
    }

    // The gradient in the lengthscales that tiles gather is that in their logarithms.
    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let made = features.child(0).points();
        let (Some(in_made), Some(in_amplitudes)) = (gradients.take(made), gradients.take(features.child(1).points()))
        else {
            return;
        };
        let (outputs, dims) = (points.column(points.dim() - 1), made.dim() / 2);
        for (row, &output) in outputs.iter().enumerate() {
            let output = checked_index(output);
            theta[output] += in_amplitudes[(row, 0)].as_f64();
            for dim in 0..dims {
                let place = self.place(output, dim);
                let lengthscale = self.lengthscale.values()[place];
                theta[self.outputs() + place] += in_made[(row, dims + dim)].as_f64() / lengthscale;
            }
        }
        if let Some(in_points) = gradients.at_mut(points) {
            for dim in 0..dims {
                let terms = in_made.col_as_slice(dim);
                in_points.col_as_slice_mut(dim).iter_mut().zip(terms).for_each(|(out, &g)| *out += g);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn is_the_covariance_of_smoothed_white_noise() {
        // ∫ G_0(s) G_1(s − t) ds for Gaussians, by the trapezoidal rule, which is exact for them.
        let (scale, width, t) = ([0.7, 1.3], [0.4, 1.1], 0.6);
        let gaussian = |p: usize, s: f64| scale[p] * (-0.5 * s * s / width[p]).exp() / (TAU * width[p]).sqrt();
        let step = 0.05;
        let expected: f64 =
            (-400..400).map(|i| f64::from(i) * step).map(|s| step * gaussian(0, s) * gaussian(1, s - t)).sum();
        let kernel = GpConvolution::from_smoothing(&scale, mat![[0.4], [1.1]].as_ref(), &[0.0]).unwrap();
        let found = kernel.eval(&[0.0, 0.0], &[t, 1.0]).unwrap();
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }

    #[test]
    fn one_lengthscale_stands_for_all_dimensions() {
        let (one, each) = (mat![[0.5], [2.0]], mat![[0.5, 0.5], [2.0, 2.0]]);
        let (one, each) = (GpConvolution::new([1.0, 0.3], one), GpConvolution::new([1.0, 0.3], each));
        let (x, y) = ([0.3, -0.4, 1.0], [1.0, 0.2, 0.0]);
        assert_eq!(one.eval(&x, &y).unwrap(), each.eval(&x, &y).unwrap());
        assert!(each.eval(&[0.0, 1.0], &[0.0, 1.0]).is_err());
    }

    #[test]
    fn nothing_overflows() {
        for scale in [1e-150, 1e-30, 1e30, 1e150] {
            let kernel = GpConvolution::new([1.0, 1.0], mat![[scale], [2.0 * scale]]);
            let x = mat![[0.0f32, 0.0], [1.0, 1.0], [1.0, 0.0]];
            let value: Mat<f32> = kernel.gram(x.as_ref()).unwrap();
            assert!(value.col_iter().all(|column| column.iter().all(|value| value.is_finite())), "{scale}");
        }
    }
}
