//! Kernels that look up an entry of a covariance matrix.

use std::fmt::Debug;

use faer::{Mat, MatRef};

use crate::kernel::index::{checked_index, index};
use crate::kernel::{
    DiagVjp, EmbedVjp, Expr, Features, IndexColumn, Inputs, Kernel, OnGraph, Pairs, Points, Properties, Psd, Scratch,
    Structure, TileParts, TileVjp, Views, text,
};
use crate::params::{Parameterized, Visitor, VisitorMut};
use crate::{Error, Result, Scalar, kernel_ops};

/// A covariance matrix between the values of an index, as a function of hyperparameters: what makes a
/// kernel of [`ByIndex`].
///
/// # Examples
///
/// ```
/// use faer::MatRef;
/// use mercer::kernels::{ByIndex, IndexMatrix};
/// use mercer::params::{Constraint, Parameter};
/// use mercer::prelude::*;
///
/// /// Two classes with correlation ρ.
/// #[derive(Clone, Debug)]
/// struct TwoClasses {
///     correlation: Parameter,
/// }
/// mercer::parameterized!(TwoClasses as "two_classes", parameters: [correlation]);
///
/// impl IndexMatrix for TwoClasses {
///     fn count(&self) -> usize {
///         2
///     }
///     fn psd(&self) -> Psd {
///         Psd::Always
///     }
///     fn matrix(&self) -> Mat<f64> {
///         Mat::from_fn(2, 2, |i, j| self.entry(i, j))
///     }
///     fn entry(&self, i: usize, j: usize) -> f64 {
///         if i == j { 1.0 } else { self.correlation.value() }
///     }
///     fn matrix_vjp(&self, gradient: MatRef<'_, f64>, theta: &mut [f64]) {
///         theta[0] += gradient[(0, 1)] + gradient[(1, 0)];
///     }
/// }
///
/// let interval = Constraint::Interval { lower: -1.0, upper: 1.0 };
/// let classes = TwoClasses { correlation: Parameter::new("correlation", 0.4, interval)? };
/// let kernel = ByIndex::of(classes);
/// assert_eq!(kernel.gram(mat![[1.0], [0.0]].as_ref())?, mat![[1.0, 0.4], [0.4, 1.0]]);
/// mercer::testkit::conforms(&kernel.dynamic(), 1)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait IndexMatrix: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// How many values the index has.
    fn count(&self) -> usize;

    /// The matrix, with a row and a column for each value of the index.
    fn matrix(&self) -> Mat<f64>;

    /// One entry of the matrix, for two values below [`count`](Self::count).
    fn entry(&self, i: usize, j: usize) -> f64;

    /// Adds to `theta`, in the order of the parameters, from the gradient in the entries. That is not
    /// symmetric in general: each entry counts as a number of its own.
    fn matrix_vjp(&self, gradient: MatRef<'_, f64>, theta: &mut [f64]);

    /// Whether the matrix is guaranteed positive semi-definite. Say [`Psd::Unknown`], the default, unless you know.
    fn psd(&self) -> Psd {
        Psd::Unknown
    }

    /// The weights of the matrix on the eigenvectors of a graph, if it has them.
    fn on_graph(&self) -> Option<&dyn OnGraph> {
        None
    }

    /// What text needs beside the parameters: see [`Expr::settings`].
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The kernel k(i, j) = Bᵢⱼ on an index, for an [`IndexMatrix`] B: what
/// [`Coregionalization`](super::Coregionalization) and the kernels on graphs are.
///
/// The matrix is made once for a set of points, and each pair costs one look-up. It reads points of one
/// dimension; use [`on`](crate::algebra::Compose::on) to name the column.
#[derive(Clone, Debug)]
pub struct ByIndex<M> {
    matrix: M,
}

kernel_ops!([M] ByIndex<M>);

impl<M> ByIndex<M> {
    /// The kernel with a covariance matrix.
    pub fn of(matrix: M) -> Self {
        Self { matrix }
    }

    /// What makes the covariance matrix.
    pub fn index_matrix(&self) -> &M {
        &self.matrix
    }
}

impl<M: Parameterized> Parameterized for ByIndex<M> {
    fn name(&self) -> &str {
        self.matrix.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.matrix.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.matrix.visit_mut(visitor);
    }
}

impl<M: IndexMatrix> Expr for ByIndex<M> {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(self.matrix.on_graph().map_or(Views::none(), |view| Views::none().on_graph(view)))
    }

    fn properties(&self) -> Properties {
        Properties::unknown().psd(self.matrix.psd()).differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        if dim == 1 {
            return Ok(Inputs::all(1).with_indices([IndexColumn::new(self, 0, self.matrix.count())]));
        }
        let needs = "reads one column, an index; name it with `on`".to_owned();
        Err(Error::Dimension { kernel: text(self).to_string(), needs, found: dim })
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        self.matrix.settings()
    }
}

// The features are the points and, as the points of a child, the matrix: whose gradient then comes back
// as that of any feature does, summed over all pairs of points.
impl<T: Scalar, M: IndexMatrix> Kernel<T> for ByIndex<M> {
    fn pairwise(&self, x: &[T], y: &[T]) -> T {
        let count = self.matrix.count();
        match (index(x[0], count), index(y[0], count)) {
            (Some(i), Some(j)) => T::from_f64(self.matrix.entry(i, j)),
            _ => T::nan(),
        }
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        let matrix = self.matrix.matrix();
        let table = Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| T::from_f64(matrix[(i, j)]));
        Features::mapped(points.clone(), Features::leaf(Points::made(table).with_gradient(true)))
    }

    fn tile(&self, pairs: &Pairs<'_, T>, out: &mut [T], _: &mut Scratch<T>) {
        let table = pairs.child(0).x_points();
        for (column, &j) in out.chunks_exact_mut(pairs.nrows()).zip(pairs.y_column(0)) {
            let entries = table.column(checked_index(j));
            for (out, &i) in column.iter_mut().zip(pairs.x_column(0)) {
                *out = entries[checked_index(i)];
            }
        }
    }

    fn tile_diag(&self, features: &Features<'_, T>, out: &mut [T]) {
        let table = features.child(0).points();
        for (out, &i) in out.iter_mut().zip(features.points().column(0)) {
            *out = table.column(checked_index(i))[checked_index(i)];
        }
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { pairs, cotangent, scratch, .. } = to.dense(self);
        scratch.add_table_gradient(&pairs.child(0), |gradient| {
            for (column, &j) in cotangent.chunks_exact(pairs.nrows()).zip(pairs.y_column(0)) {
                let entries = gradient.col_as_slice_mut(checked_index(j));
                for (&c, &i) in column.iter().zip(pairs.x_column(0)) {
                    entries[checked_index(i)] += c;
                }
            }
        });
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { features, cotangent, gradients, .. } = to;
        let Some(gradient) = gradients.at_mut(features.child(0).points()) else { return };
        for (&c, &i) in cotangent.iter().zip(features.points().column(0)) {
            gradient[(checked_index(i), checked_index(i))] += c;
        }
    }

    fn embed_vjp(&self, to: EmbedVjp<'_, T>) {
        let EmbedVjp { features, gradients, theta, .. } = to;
        let Some(gradient) = gradients.take(features.child(0).points()) else { return };
        let gradient = Mat::from_fn(gradient.nrows(), gradient.ncols(), |i, j| gradient[(i, j)].as_f64());
        self.matrix.matrix_vjp(gradient.as_ref(), theta);
    }
}
