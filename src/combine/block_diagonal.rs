//! Independent outputs.

use crate::kernel::index::index;
use crate::kernel::{
    AnyKernel, Arguments, Construct, DiagVjp, EmbedVjp, Expr, Features, IndexColumn, Inputs, Kernel, Pairs, Points,
    Properties, Psd, Scratch, Structure, TileParts, TileVjp, split_theta, text,
};
use crate::params::{Label, Parameterized, Visitor, VisitorMut};
use crate::warp::{Select, Warp};
use crate::{DynKernel, Error, Result, Scalar, kernel_ops};

/// Independent outputs: within an output its kernel, between outputs 0.
///
/// The points are (x, p): what the kernels read, and in the last column the output p. The kernels may
/// be of one type `K`, or of any types in boxes.
///
/// # Definition
///
/// k((x, p), (y, q)) = k_p(x, y) if p = q, else 0
///
/// # Hyperparameters
///
/// Those of the kernels; of one kernel, if [`shared`](Self::shared).
///
/// # Properties
///
/// The last column is an [index](crate::kernel::IndexColumn) of outputs. Not stationary; positive
/// semi-definite where all kernels are. A tile in which no two points have the same output costs
/// nothing: sort the points by output.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = BlockDiagonal::new(vec![Rbf::new(1.0).dynamic(), Linear::new(2.0).dynamic()]);
/// assert_eq!(kernel.eval(&[3.0, 1.0], &[4.0, 1.0])?, 24.0);
/// assert_eq!(kernel.eval(&[3.0, 1.0], &[4.0, 0.0])?, 0.0);
///
/// // The same kernel for each of three outputs, and noise that they share.
/// let kernel = BlockDiagonal::shared(Rbf::new(1.0), 3) + 0.5;
/// assert_eq!(kernel.eval(&[3.0, 2.0], &[3.0, 2.0])?, 1.5);
/// assert_eq!(kernel.eval(&[3.0, 2.0], &[3.0, 0.0])?, 0.5);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Álvarez, Rosasco & Lawrence (2012), Kernels for vector-valued functions: a review, section 4,
/// <https://doi.org/10.1561/2200000036>.
#[derive(Clone, Debug)]
pub struct BlockDiagonal<K> {
    /// One for all outputs, or one for each.
    kernels: Vec<K>,
    outputs: usize,
}

kernel_ops!([K] BlockDiagonal<K>);

impl<K> BlockDiagonal<K> {
    /// A kernel for each output.
    ///
    /// # Panics
    ///
    /// If there are none; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(kernels: impl Into<Vec<K>>) -> Self {
        crate::error::literal(Self::try_new(kernels))
    }

    /// A kernel for each output.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there are none.
    pub fn try_new(kernels: impl Into<Vec<K>>) -> Result<Self> {
        let kernels = kernels.into();
        match kernels.len() {
            0 => Err(Error::Empty { what: "the list of kernels, one for each output,".to_owned() }),
            outputs => Ok(Self { kernels, outputs }),
        }
    }

    /// One kernel, with the same hyperparameters for each of so many outputs.
    ///
    /// # Panics
    ///
    /// If there are no outputs; the checked form is [`try_shared`](Self::try_shared).
    #[track_caller]
    pub fn shared(kernel: K, outputs: usize) -> Self {
        crate::error::literal(Self::try_shared(kernel, outputs))
    }

    /// One kernel, with the same hyperparameters for each of so many outputs.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there are no outputs.
    pub fn try_shared(kernel: K, outputs: usize) -> Result<Self> {
        if outputs == 0 {
            return Err(Error::setting("the number of outputs", outputs, "must be at least 1"));
        }
        Ok(Self { kernels: vec![kernel], outputs })
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The kernels: one for all outputs, or one for each.
    pub fn kernels(&self) -> &[K] {
        &self.kernels
    }

    fn is_shared(&self) -> bool {
        self.kernels.len() < self.outputs
    }
}

impl Construct for BlockDiagonal<DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["kernel", "outputs"])?;
        let mut kernels = super::children::construct(arguments)?;
        let outputs = arguments.take_optional::<usize>("outputs")?;
        match (outputs, kernels.pop()) {
            (Some(outputs), Some(only)) if kernels.is_empty() => Self::try_shared(only, outputs),
            (None, Some(last)) => {
                kernels.push(last);
                Self::try_new(kernels)
            }
            (None, None) => Self::try_new(kernels),
            (Some(outputs), _) => {
                Err(Error::setting("`outputs`", outputs, "goes with one kernel, which all outputs share"))
            }
        }
    }
}

impl<K: Parameterized> Parameterized for BlockDiagonal<K> {
    fn name(&self) -> &str {
        "block_diagonal"
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        let numbered = self.kernels.len() > 1;
        for (index, kernel) in self.kernels.iter().enumerate() {
            visitor.child(if numbered { Label::Index(index) } else { Label::Only }, kernel);
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        let numbered = self.kernels.len() > 1;
        for (index, kernel) in self.kernels.iter_mut().enumerate() {
            visitor.child(if numbered { Label::Index(index) } else { Label::Only }, kernel);
        }
    }
}

impl<K: AnyKernel + Clone> Expr for BlockDiagonal<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Of(&self.kernels)
    }

    fn properties(&self) -> Properties {
        let all = self.kernels.iter().map(Expr::properties).fold(Properties::all(), Properties::and);
        let psd = match all.psd {
            // The kernels do not see the last dimension.
            Psd::UpTo(dims) => Psd::UpTo(dims + 1),
            psd => psd,
        };
        all.of_coordinates().psd(psd)
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        if dim < 2 {
            let needs = "reads the output in the last column, and points in those before".to_owned();
            return Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim });
        }
        let last = dim - 1;
        let points = self
            .kernels
            .iter()
            .try_fold(Inputs::none(last), |all, kernel| kernel.inputs(last).map(|own| all.or(own)))?;
        let output = IndexColumn::new(self, last, self.outputs);
        let reads = (0..dim).map(|dim| dim == last || points.read(dim)).collect();
        Ok(Inputs::these(reads).with_indices(points.into_indices()).with_indices([output]))
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        if self.is_shared() { vec![("outputs", self.outputs.to_string())] } else { Vec::new() }
    }
}

/// The outputs that some point in the rows and some point in the columns of a block have.
fn common_outputs<T: Scalar>(rows: &[T], cols: &[T]) -> Vec<T> {
    let mut common = Vec::new();
    for (place, output) in cols.iter().enumerate() {
        // Sorted points repeat the output before.
        let known = place > 0 && (cols[place - 1] == *output || common.contains(output));
        if !known && rows.contains(output) {
            common.push(*output);
        }
    }
    common
}

/// Calls `act` for the place of every entry of a block, with whether its kernel is asked: that of one
/// output, or of any if it is shared.
fn each_entry<T: Scalar>(rows: &[T], cols: &[T], of: Option<T>, mut act: impl FnMut(usize, bool)) {
    for (col, q) in cols.iter().enumerate() {
        for (row, p) in rows.iter().enumerate() {
            act(row + col * rows.len(), p == q && of.is_none_or(|of| of == *p));
        }
    }
}

impl<K: AnyKernel> BlockDiagonal<K> {
    /// The kernels that a block needs, with their place and the output that they are of, or none if they
    /// are of all.
    fn needed<T: Scalar>(&self, rows: &[T], cols: &[T]) -> Vec<(usize, Option<T>)> {
        let common = common_outputs(rows, cols);
        if self.is_shared() {
            return if common.is_empty() { Vec::new() } else { vec![(0, None)] };
        }
        let mut needed: Vec<_> = common.into_iter().map(|output| (output.as_f64() as usize, Some(output))).collect();
        // In one order, whatever that of the points.
        needed.sort_unstable_by_key(|(place, _)| *place);
        needed
    }

    /// Calls `act` for each kernel, with the features that it made and its share of the gradient vector.
    fn each_with_theta(&self, mut theta: &mut [f64], mut act: impl FnMut(usize, &K, &mut [f64])) {
        for (place, kernel) in self.kernels.iter().enumerate() {
            let (own, rest) = split_theta(kernel, theta);
            act(place, kernel, own);
            theta = rest;
        }
    }

    /// Whether a kernel is that of an output.
    fn is_of<T: Scalar>(&self, place: usize, output: T) -> bool {
        self.is_shared() || output.as_f64() == place as f64
    }
}

fn outputs_of<'f, T: Scalar>(features: &'f Features<'_, T>) -> &'f [T] {
    let points = features.points();
    points.column(points.dim() - 1)
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for BlockDiagonal<K> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let (Some((&p, x)), Some((&q, y))) = (x.split_last(), y.split_last()) else { return T::nan() };
        match (index(p, self.outputs), index(q, self.outputs)) {
            (Some(p), Some(q)) if p != q => T::from_f64(0.0),
            (Some(p), Some(_)) => self.kernels[if self.is_shared() { 0 } else { p }].pairwise(x, y),
            _ => T::nan(),
        }
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let inputs = Select::first(points.dim() - 1).forward(points);
        let children = self.kernels.iter().map(|kernel| kernel.embed(&inputs)).collect();
        Features::mapped(points.clone(), Features::mapped(inputs, Features::branch(children)))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let last = pairs.dim() - 1;
        let (rows, cols) = (pairs.x_column(last), pairs.y_column(last));
        let (inputs, mut value) = (pairs.child(0).child(0), scratch.take(pairs.len()));
        out.fill(T::from_f64(0.0));
        for (place, of) in self.needed(rows, cols) {
            self.kernels[place].tile(&inputs.child(place), &mut value, scratch);
            each_entry(rows, cols, of, |entry, asked| {
                if asked {
                    out[entry] = value[entry];
                }
            });
        }
        scratch.give(value);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let (outputs, inputs) = (outputs_of(features), features.child(0).child(0));
        let mut value = vec![T::from_f64(0.0); out.len()];
        for (place, kernel) in self.kernels.iter().enumerate() {
            kernel.tile_diag(inputs.child(place), &mut value);
            for ((out, &value), &output) in out.iter_mut().zip(&value).zip(outputs) {
                if self.is_of(place, output) {
                    *out = value;
                }
            }
        }
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        let last = pairs.dim() - 1;
        let (rows, cols) = (pairs.x_column(last), pairs.y_column(last));
        let (inputs, mut masked) = (pairs.child(0).child(0), scratch.take(pairs.len()));
        let needed = self.needed(rows, cols);
        self.each_with_theta(theta, |place, kernel, theta| {
            let Some((_, of)) = needed.iter().find(|(needed, _)| *needed == place) else { return };
            each_entry(rows, cols, *of, |entry, asked| {
                masked[entry] = if asked { cotangent[entry] } else { T::from_f64(0.0) };
            });
            TileVjp::through(kernel, &inputs.child(place), &masked, theta, scratch);
        });
        scratch.give(masked);
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        let (outputs, inputs) = (outputs_of(features), features.child(0).child(0));
        self.each_with_theta(theta, |place, kernel, theta| {
            let masked = |(&c, &output)| if self.is_of(place, output) { c } else { T::from_f64(0.0) };
            // No point of this output, and no share in the gradient: not NaN for those of others, either.
            if !outputs.iter().any(|&output| self.is_of(place, output)) {
                return;
            }
            let masked: Vec<T> = cotangent.iter().zip(outputs).map(masked).collect();
            kernel.tile_diag_vjp(DiagVjp::new(inputs.child(place), &masked, theta, gradients));
        });
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let inputs = features.child(0);
        self.each_with_theta(theta, |place, kernel, theta| {
            kernel.embed_vjp(EmbedVjp::new(inputs.points(), inputs.child(0).child(place), gradients, theta));
        });
        Select::first(points.dim() - 1).backward(points, inputs.points(), gradients, &mut []);
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn is_a_sum_of_products_with_indicators() {
        // k_p on one output is k_p times a matrix with a single entry; a rank-one matrix is one, up to the
        // diagonal that has to be positive.
        let tiny = [1e-300, 1e-300];
        let only = |output: usize| {
            let weights = Mat::from_fn(2, 1, |row, _| if row == output { 1.0 } else { 0.0 });
            Coregionalization::new(weights, tiny).on([2])
        };
        let kernels = [Rbf::new([0.7, 1.2]).dynamic(), (2.0 * Matern32::new(0.5)).dynamic()];
        let expected = kernels[0].clone().on([0, 1]) * only(0) + kernels[1].clone().on([0, 1]) * only(1);
        let x = mat![[0.1, 0.2, 1.0], [0.5, -0.3, 0.0], [0.4, 0.9, 0.0], [-0.2, 0.3, 1.0]];
        let found: Mat<f64> = BlockDiagonal::new(kernels).gram(x.as_ref()).unwrap();
        let expected: Mat<f64> = expected.gram(x.as_ref()).unwrap();
        assert!((found - expected).norm_max() < 1e-15);
    }

    #[test]
    fn blocks_of_different_outputs_are_not_evaluated() {
        let probe = crate::testkit::Probe::new(Rbf::new(1.0));
        let kernel = BlockDiagonal::shared(probe.clone(), 2);
        let x = Mat::from_fn(128, 2, |row, col| if col == 0 { row as f64 } else { (row / 64) as f64 });
        let _: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
        // Two diagonal blocks of three tiles each; the block between them is skipped.
        assert_eq!(probe.calls().tile, 6);
    }
}
