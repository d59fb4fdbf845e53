//! A kernel on points of which some are missing.

use std::fmt;
use std::sync::Arc;

use crate::kernel::present::Present;
use crate::kernel::{
    AnyKernel, Argument, Arguments, Construct, DiagVjp, EmbedVjp, Expr, Features, FromArgument, Inputs, Kernel, Pairs,
    Points, Properties, Scratch, Structure, TileParts, TileVjp, text,
};
use crate::{DynKernel, Result, Scalar, kernel_ops};

/// How the entries of missing points are filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// NaN: what is not known stays unknown.
    Propagate,
    /// In K(X, X) a row and a column of the identity, so that the point is independent of all others
    /// with variance 1 (a Cholesky factorisation gets a pivot of 1, a log-determinant gets 0); zero in
    /// K(X, Z), and in single values.
    #[default]
    Isolate,
    /// Zero, on the diagonal too.
    Zero,
}

impl Missing {
    const NAMES: [(&'static str, Self); 3] =
        [("propagate", Self::Propagate), ("isolate", Self::Isolate), ("zero", Self::Zero)];

    /// The value where one of two points is missing.
    fn value<T: Scalar>(self) -> T {
        match self {
            Self::Propagate => T::nan(),
            Self::Isolate | Self::Zero => T::from_f64(0.0),
        }
    }

    /// The value on the diagonal of a Gram matrix.
    fn on_diagonal<T: Scalar>(self) -> T {
        match self {
            Self::Isolate => T::from_f64(1.0),
            other => other.value(),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, policy)| policy == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromArgument for Missing {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let Some(word) = argument.word() else { return Ok(None) };
        Ok(Self::NAMES.iter().find(|(name, _)| *name == word).map(|(_, policy)| *policy))
    }

    fn describe() -> String {
        "`propagate`, `isolate` or `zero`".to_owned()
    }
}

/// A kernel on points of which some are missing: what
/// [`masked`](crate::algebra::Compose::masked) makes.
///
/// # Definition
///
/// A point is missing if it has a NaN in a dimension that the inner kernel reads
/// ([`Expr::inputs`]). Between points that are there, k(x, y) = inner(x, y); what stands in the place of
/// the others is a [`Missing`]. Their values are not computed, and gradients in their
/// coordinates are zero.
///
/// # In models
///
/// A model takes rows that its kernel isolates or sets to zero: they are independent of all others, with an observation of
/// N(m, 1 + σ²), or N(m, σ²). It refuses those that stay unknown.
///
/// # Properties
///
/// Positive semi-definite where the inner kernel is. White noise is only masked together with a
/// kernel that reads the points: write `(k + White::new(0.1)).masked(…)`.
///
/// # Examples
///
/// ```
/// use mercer::combine::Missing;
/// use mercer::prelude::*;
///
/// let kernel = (Rbf::new(1.0).on([0]) + White::new(0.5)).masked(Missing::Isolate);
/// // The second dimension is not read.
/// let x = mat![[0.0, f64::NAN], [f64::NAN, 1.0], [2.0, 1.0]];
/// let gram = kernel.gram(x.as_ref())?;
/// let k = (-2.0f64).exp();
/// assert_eq!(gram, mat![[1.5, 0.0, k], [0.0, 1.0, 0.0], [k, 0.0, 1.5]]);
/// assert_eq!(kernel.to_string(), "masked(on(rbf(lengthscale=1), [0]) + white(variance=0.5), isolate)");
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Masked<K> {
    kernel: K,
    missing: Missing,
}

kernel_ops!([K] Masked<K>);

impl<K> Masked<K> {
    /// The kernel, with a policy for points that are missing.
    pub fn new(kernel: K, missing: Missing) -> Self {
        Self { kernel, missing }
    }

    /// The kernel on points that are there.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// What stands in the place of the others.
    pub fn missing(&self) -> Missing {
        self.missing
    }
}

impl Construct for Masked<DynKernel> {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["kernel", "missing"])?;
        Ok(Self::new(arguments.take("kernel")?, arguments.take("missing")?))
    }
}

crate::parameterized!([K] Masked<K> as "masked", parameters: [], child: kernel);

impl<K: AnyKernel + Clone> Expr for Masked<K> {
    fn structure(&self) -> Structure<'_> {
        Structure::Same(self.kernel.node())
    }

    fn properties(&self) -> Properties {
        let inner = self.kernel.properties();
        Properties { isotropic: false, zonal: false, ..inner }
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        Ok(self.kernel.inputs(dim)?.or_missing())
    }

    fn write_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "masked({}, {})", text(&self.kernel), self.missing)
    }
}

impl<K> Masked<K> {
    /// Puts the values of the points that are there in their places.
    fn scatter<T: Scalar>(&self, pairs: &Pairs<'_, T>, values: &[T], out: &mut [T]) {
        let (rows, cols) = pairs.present();
        out.fill(self.missing.value());
        for (values, &col) in values.chunks_exact(rows.len().max(1)).zip(&cols) {
            let column = &mut out[col * pairs.nrows()..][..pairs.nrows()];
            values.iter().zip(&rows).for_each(|(&value, &row)| column[row] = value);
        }
        for entry in pairs.diagonal() {
            if rows.binary_search(&(entry % pairs.nrows())).is_err() {
                out[entry] = self.missing.on_diagonal();
            }
        }
    }

    /// The entries of a tile that belong to points that are there.
    fn gather<T: Scalar>(pairs: &Pairs<'_, T>, tile: &[T], out: &mut [T]) {
        let (rows, cols) = pairs.present();
        for (out, &col) in out.chunks_exact_mut(rows.len().max(1)).zip(&cols) {
            let column = &tile[col * pairs.nrows()..][..pairs.nrows()];
            out.iter_mut().zip(&rows).for_each(|(out, &row)| *out = column[row]);
        }
    }
}

impl<K: AnyKernel> Masked<K> {
    /// What the kernel reads of points whose dimension has been checked.
    fn reads(&self, dim: usize) -> Inputs<'_> {
        self.kernel.inputs(dim).unwrap_or_else(|_| Inputs::all(dim))
    }
}

impl<T: Scalar, K: AnyKernel + Kernel<T> + Clone> Kernel<T> for Masked<K> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let missing = self.reads(x.len()).columns().any(|dim| x[dim].is_nan() || y[dim].is_nan());
        if missing { self.missing.value() } else { self.kernel.pairwise(x, y) }
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        match Present::of(points, self.reads(points.dim()).columns()) {
            None => Features::branch(vec![self.kernel.node().at::<T>().embed(points)]),
            Some(present) => {
                let there = present.compact(points);
                let child = self.kernel.node().at::<T>().embed(&there);
                Features::mapped(there, child).with_present(Arc::new(present))
            }
        }
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], scratch: &mut Scratch<T>) {
        let inner = pairs.child(0);
        if inner.len() == pairs.len() {
            self.kernel.node().at::<T>().tile(&inner, out, scratch);
            return;
        }
        let mut values = scratch.take(inner.len());
        if !inner.is_empty() {
            self.kernel.node().at::<T>().tile(&inner, &mut values, scratch);
        }
        self.scatter(pairs, &values, out);
        scratch.give(values);
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let Some(present) = features.present() else {
            self.kernel.node().at::<T>().tile_diag(features.child(0), out);
            return;
        };
        let mut values = vec![T::from_f64(0.0); present.within(0..out.len()).len()];
        self.kernel.node().at::<T>().tile_diag(features.child(0), &mut values);
        out.fill(self.missing.on_diagonal());
        for (point, value) in present.indices(0..out.len()).zip(values) {
            out[point] = value;
        }
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let inner = to.pairs().child(0);
        if inner.len() == to.pairs().len() {
            return to.hand_on(self.kernel.node().at(), &inner, 0);
        }
        let TileParts { pairs, cotangent, theta, scratch, .. } = to.dense(self);
        if !inner.is_empty() {
            let mut few = scratch.take(inner.len());
            Self::gather(pairs, cotangent, &mut few);
            TileVjp::through(self.kernel.node().at(), &inner, &few, theta, scratch);
            scratch.give(few);
        }
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, theta, gradients } = to;
        match features.present() {
            None => {
                self.kernel.node().at::<T>().tile_diag_vjp(DiagVjp::new(features.child(0), cotangent, theta, gradients))
            }
            Some(present) => {
                let few: Vec<T> = present.indices(0..cotangent.len()).map(|point| cotangent[point]).collect();
                self.kernel.node().at::<T>().tile_diag_vjp(DiagVjp::new(features.child(0), &few, theta, gradients));
            }
        }
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { points, features, gradients, theta } = to;
        let Some(present) = features.present() else {
            self.kernel.node().at::<T>().embed_vjp(EmbedVjp::new(points, features.child(0), gradients, theta));
            return;
        };
        let there = features.points();
        self.kernel.node().at::<T>().embed_vjp(EmbedVjp::new(there, features.child(0), gradients, theta));
        let Some(in_there) = gradients.take(there) else { return };
        let Some(in_points) = gradients.at_mut(points) else { return };
        for (row, point) in present.indices(0..points.len()).enumerate() {
            for dim in 0..points.dim() {
                in_points[(point, dim)] += in_there[(row, dim)];
            }
        }
    }
}
