//! A neural network in front of a kernel.

use std::fmt;

use faer::{Mat, MatRef};
use rand::{Rng, RngExt};

use super::{Activation, Layer, Warp, WarpExpr};
use crate::kernel::{Arguments, Construct, FeatureGradients, Points, Psd};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::simd::elementwise;
use crate::{Error, Result, Scalar};

/// A neural network of full layers (multilayer perceptron) in front of a kernel: the warp behind
/// [`mlp`](crate::algebra::Compose::mlp). The kernel with it is called a deep kernel.
///
/// # Definition
///
/// f(x) = W_L h(… h(W₂ h(W₁ x + b₁) + b₂) …) + b_L, with the [`Activation`] h between layers and none
/// after the last
///
/// # Hyperparameters
///
/// | name | symbol | constraint |
/// |---|---|---|
/// | `[l].layer.weights[q, d]` | W_l | any finite number |
/// | `[l].layer.bias[q]` | b_l | any finite number |
///
/// # Properties
///
/// Positive semi-definite where the kernel is in as many dimensions as the last layer has outputs; not
/// stationary. The network sees each point once, in blocks of points that are multiplied as matrices.
/// The text has every weight.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::warp::{Activation, Layer, Mlp};
/// use rand::SeedableRng;
///
/// let layers = [Layer::new(mat![[1.0], [-2.0]], [0.0, 0.5]), Layer::new(mat![[1.0, 1.0]], [0.0])];
/// let kernel = Linear::new(1.0).mlp(Mlp::new(layers, Activation::Tanh));
/// let f = |x: f64| x.tanh() + (0.5 - 2.0 * x).tanh();
/// assert!((kernel.eval(&[0.3], &[0.9])? - f(0.3) * f(0.9)).abs() < 1e-15);
/// assert_eq!(kernel.get("mlp[0].layer.weights[1, 0]")?, -2.0);
///
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let deep = Rbf::new(1.0).mlp(Mlp::random(&[3, 16, 2], Activation::Relu, &mut rng)?);
/// assert_eq!(deep.num_params(), (3 + 1) * 16 + (16 + 1) * 2 + 1);
/// assert_eq!(deep.to_string().parse::<DynKernel>()?.values(), deep.values());
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Wilson, Hu, Salakhutdinov & Xing (2016), "Deep kernel learning", AISTATS.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    layers: Vec<Layer>,
    activation: Activation,
}

impl Mlp {
    /// The network of these layers.
    ///
    /// # Panics
    ///
    /// If there are no layers, or one has not as many inputs as the one before has outputs; the checked
    /// form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(layers: impl Into<Vec<Layer>>, activation: Activation) -> Self {
        crate::error::literal(Self::try_new(layers, activation))
    }

    /// The network of these layers.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there are no layers; [`Error::Shape`] if one has not as many inputs as the
    /// one before has outputs.
    pub fn try_new(layers: impl Into<Vec<Layer>>, activation: Activation) -> Result<Self> {
        let layers: Vec<Layer> = layers.into();
        if layers.is_empty() {
            return Err(Error::Empty { what: "the list of layers".to_owned() });
        }
        for (index, pair) in layers.windows(2).enumerate() {
            if pair[0].outputs() != pair[1].inputs() {
                let what = format!("the matrix of weights of layer {}", index + 1);
                let expected = format!("a column for each of {} output(s) of the layer before", pair[0].outputs());
                return Err(Error::shape(&what, expected, (pair[1].outputs(), pair[1].inputs())));
            }
        }
        Ok(Self { layers, activation })
    }

    /// A network with random weights, from the widths: inputs, hidden layers, outputs.
    ///
    /// Weights are uniform, with the variance 2/(inputs + outputs) of the layer (Glorot & Bengio 2010),
    /// or 2/inputs before [`Activation::Relu`] and [`Activation::Silu`] (He et al. 2015). Biases are 0.
    /// Equal states of the generator give equal weights.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for fewer than two widths, or one of 0.
    pub fn random(widths: &[usize], activation: Activation, rng: &mut (impl Rng + ?Sized)) -> Result<Self> {
        if widths.len() < 2 || widths.contains(&0) {
            let expected = "must be at least the number of inputs and that of outputs, each at least 1";
            return Err(Error::setting("the list of widths", format!("{widths:?}"), expected));
        }
        let layer = |pair: &[usize]| {
            let (inputs, outputs) = (pair[0], pair[1]);
            let rectified = matches!(activation, Activation::Relu | Activation::Silu);
            let variance = if rectified { 2.0 / inputs as f64 } else { 2.0 / (inputs + outputs) as f64 };
            // Uniform between −a and a has the variance a²/3.
            let bound = (3.0 * variance).sqrt();
            let weights = Mat::from_fn(outputs, inputs, |_, _| bound * (2.0 * rng.random::<f64>() - 1.0));
            Layer::try_new(weights, vec![0.0; outputs])
        };
        Self::try_new(widths.windows(2).map(layer).collect::<Result<Vec<Layer>>>()?, activation)
    }

    /// The layers, from the inputs on.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The function between layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Layer::outputs)
    }

    /// What goes into the layers after the first, and what they see it made of: h(u) and u.
    fn hidden<T: Scalar>(&self, points: MatRef<'_, T>) -> Vec<(Mat<T>, Mat<T>)> {
        let mut hidden: Vec<(Mat<T>, Mat<T>)> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers[..self.layers.len() - 1] {
            let made = layer.apply(hidden.last().map_or(points, |(activated, _)| activated.as_ref()));
            hidden.push((self.activated(&made), made));
        }
        hidden
    }

    fn activated<T: Scalar>(&self, made: &Mat<T>) -> Mat<T> {
        let mut activated = made.clone();
        self.activation.apply(&mut activated);
        activated
    }
}

impl Parameterized for Mlp {
    fn name(&self) -> &str {
        "mlp"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.layers.iter().enumerate().for_each(|(index, layer)| visitor.child(Label::Index(index), layer));
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.layers.iter_mut().enumerate().for_each(|(index, layer)| visitor.child(Label::Index(index), layer));
    }
}

impl Construct for Mlp {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["activation", "layers"])?;
        let activation = arguments.take("activation")?;
        Self::try_new(arguments.take::<Vec<Layer>>("layers")?, activation)
    }
}

impl WarpExpr for Mlp {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        let inputs = self.layers[0].inputs();
        if dim == inputs {
            return Ok(self.outputs());
        }
        let needs = format!("has a first layer with {inputs} input(s), one for each dimension");
        Err(Error::Dimension { kernel: "mlp(…)".to_owned(), needs, found: dim })
    }

    fn psd(&self, kernel: Psd) -> Psd {
        if kernel.holds_in(self.outputs()) { Psd::Always } else { Psd::Unknown }
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn write_text(&self, kernel: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mlp({kernel}, activation={}, layers=[", self.activation)?;
        for (index, layer) in self.layers.iter().enumerate() {
            write!(f, "{}{layer}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("])")
    }
}

/// Points go through layers of up to so many outputs without allocation.
const ON_STACK: usize = 64;

impl<T: Scalar> Warp<T> for Mlp {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        let mut made = self.layers[0].apply(points.matrix());
        for layer in &self.layers[1..] {
            made = layer.apply(self.activated(&made).as_ref());
        }
        Points::made(made).with_gradient(true)
    }

    fn point(&self, x: &[T], out: &mut [T]) {
        let widest = self.layers.iter().map(Layer::outputs).max().unwrap_or(0);
        let zero = T::from_f64(0.0);
        let (mut stack, mut heap) = ([[zero; ON_STACK]; 2], Vec::new());
        let (mut from, mut to) = if widest <= ON_STACK {
            let [a, b] = &mut stack;
            (&mut a[..], &mut b[..])
        } else {
            heap.resize(2 * widest, zero);
            heap.split_at_mut(widest)
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let input = if index == 0 { x } else { &from[..layer.inputs()] };
            let made = &mut to[..layer.outputs()];
            layer.apply_point(input, made);
            if index + 1 < self.layers.len() {
                made.iter_mut().for_each(|made| *made = self.activation.value(*made));
            }
            std::mem::swap(&mut from, &mut to);
        }
        out.copy_from_slice(&from[..out.len()]);
    }

    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        theta: &mut [f64],
    ) {
        let Some(mut cotangent) = gradients.take(made) else { return };
        let hidden = self.hidden(points.matrix());
        let mut end = self.layers.iter().map(Layer::num_params).sum();
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let start = end - layer.num_params();
            let below = index.checked_sub(1).map(|below| &hidden[below]);
            let input = below.map_or(points.matrix(), |(activated, _)| activated.as_ref());
            layer.gradient(input, &cotangent, &mut theta[start..end]);
            end = start;
            if let Some((_, made)) = below {
                let mut slopes = made.clone();
                self.activation.apply_slope(&mut slopes);
                cotangent = layer.apply_transposed(&cotangent);
                for column in 0..slopes.ncols() {
                    elementwise::multiply(cotangent.col_as_slice_mut(column), slopes.col_as_slice(column));
                }
            } else if let Some(in_points) = gradients.at_mut(points) {
                *in_points += layer.apply_transposed(&cotangent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use crate::testkit::{gradients, matrices, points};
    use rand::SeedableRng;

    #[test]
    fn layers_must_fit_each_other() {
        let layer = |outputs, inputs| Layer::new(Mat::<f64>::zeros(outputs, inputs), vec![0.0; outputs]);
        let error = Mlp::try_new([layer(3, 2), layer(1, 4)], Activation::Tanh).unwrap_err().to_string();
        assert!(error.contains("layer 1") && error.contains("3 output(s)"), "{error}");
        assert!(Mlp::try_new([], Activation::Tanh).is_err());
        assert!(Layer::try_new(Mat::zeros(2, 2), [0.0]).is_err());
    }

    #[test]
    fn random_networks_repeat_and_differentiate() {
        let mlp = |seed, activation| {
            let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
            Mlp::random(&[2, 70, 3], activation, &mut rng).unwrap()
        };
        assert_eq!(mlp(1, Activation::Tanh), mlp(1, Activation::Tanh));
        assert_ne!(mlp(1, Activation::Tanh), mlp(2, Activation::Tanh));
        let (x, z) = (points(90, 2, 1), points(40, 2, 2));
        for activation in [Activation::Tanh, Activation::Silu, Activation::Sine, Activation::Softplus] {
            // Wider than the stack has room for.
            let kernel = Rbf::new(1.0).mlp(mlp(3, activation));
            gradients::directional(&kernel, x.as_ref(), z.as_ref()).unwrap();
            matrices::tile_is_pairwise::<f64>(&kernel, x.as_ref().subrows(0, 5), z.as_ref()).unwrap();
        }
    }

    #[test]
    fn weights_have_the_variance_that_they_should() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(4);
        let mlp = Mlp::random(&[100, 200], Activation::Relu, &mut rng).unwrap();
        let weights = &mlp.values()[..20_000];
        let variance = weights.iter().map(|w| w * w).sum::<f64>() / 20_000.0;
        // The standard error of the variance is √(4/5/20000) = 0.6 percent of it.
        assert!((variance / 0.02 - 1.0).abs() < 0.03, "{variance}");
    }
}
