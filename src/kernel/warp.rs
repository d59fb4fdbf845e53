//! What a map of the inputs is, free of the precision.

use std::fmt::{self, Debug};

use super::dynamic::DynKernel;
use super::text::write_warped;
use super::variables::Variable;
use super::{Expr, IndexColumn, Inputs, Node, Properties, Psd, Written, text};
use crate::params::Parameterized;
use crate::{Error, Result};

/// The part of a warp that does not depend on the scalar type.
pub trait WarpExpr: Parameterized + dyn_clone::DynClone + Debug + Send + Sync + 'static {
    /// The dimension of the points that the warp makes of points of dimension `dim`.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`](crate::Error::Dimension) if it cannot read them.
    fn output_dim(&self, dim: usize) -> Result<usize>;

    /// Where the warped kernel is positive semi-definite, given where the kernel on what the warp makes is. The
    /// default keeps only guarantees that hold in any dimension; a warp whose output dimension is
    /// fixed can do better.
    fn psd(&self, kernel: Psd) -> Psd {
        if kernel == Psd::Always { Psd::Always } else { Psd::Unknown }
    }

    /// What holds of the warped kernel, given what holds of the kernel on what the warp makes. The default knows of linear
    /// maps and stationary kernels; a map for which moving x moves f(x) by an isometry keeps that of every kernel that
    /// isometries leave alone.
    fn properties(&self, kernel: Properties) -> Properties {
        Properties {
            psd: self.psd(kernel.psd),
            stationary: self.is_linear() && kernel.stationary,
            differentiable: self.differentiable() && kernel.differentiable,
            ..Properties::unknown()
        }
    }

    /// Which dimensions of the points the warped kernel reads, if it reads these of what the warp makes.
    /// The default takes it that every coordinate depends on all dimensions.
    fn reads(&self, dim: usize, made: &[bool]) -> Vec<bool> {
        vec![made.contains(&true); dim]
    }

    /// The column of the points that a column of the new points is a copy of, if it is one: so that a
    /// kernel on the new points can read an index.
    fn source(&self, column: usize) -> Option<usize> {
        let _ = column;
        None
    }

    /// Whether f(x) − f(y) depends on x − y alone.
    fn is_linear(&self) -> bool {
        false
    }

    /// The rows of the matrix A of f(x) − f(y) = A(x − y), made × dim, if there is one, given the warp's parameters; `dim` is one that
    /// [`output_dim`](Self::output_dim) accepts.
    fn matrix(&self, theta: &[Variable], dim: usize) -> Option<Vec<Vec<Variable>>> {
        let _ = (theta, dim);
        None
    }

    /// Whether each row of the [`matrix`](Self::matrix) has at most one entry that is not 0, whatever the parameters are: a
    /// kernel along the axes stays one.
    fn keeps_axes(&self) -> bool {
        false
    }

    /// Whether [`Warp::backward`](crate::warp::Warp::backward) is implemented.
    fn differentiable(&self) -> bool {
        false
    }

    /// What the warp needs beside its parameters to be built again, as names and texts.
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Writes the warped kernel as text, given the kernel's own text. The default writes
    /// `name(kernel, setting=…, parameter=value, …)`.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    fn write_text(&self, kernel: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_warped(self, kernel, f)
    }
}

dyn_clone::clone_trait_object!(WarpExpr);

/// A warp at both precisions. Implemented for every type that is a [`Warp`](crate::warp::Warp) of `f32` and of `f64`.
pub trait AnyWarp: WarpExpr {
    /// This warp before another kernel.
    fn around(&self, kernel: DynKernel) -> DynKernel;
}

/// What a kernel reads by way of a map.
pub(super) fn inputs<'k, E: Expr + ?Sized>(
    node: &E,
    warp: &dyn WarpExpr,
    kernel: &'k Node,
    dim: usize,
) -> Result<Inputs<'k>> {
    let written = || Written(node).to_string();
    let made = warp.output_dim(dim).map_err(|error| match error {
        Error::Dimension { needs, found, .. } => Error::Dimension { kernel: written(), needs, found },
        other => other,
    })?;
    if made == 0 {
        let needs = "maps points to points without coordinates".to_owned();
        return Err(Error::Dimension { kernel: written(), needs, found: dim });
    }
    let inner = kernel.inputs(made)?;
    let reads = warp.reads(dim, &inner.reads());
    let source = |index: IndexColumn<'k>| match warp.source(index.column()) {
        Some(source) => Ok(index.at(source)),
        None => Err(Error::WarpedIndex { kernel: written(), reader: text(index.kernel()).to_string() }),
    };
    let indices: Vec<_> = inner.into_indices().into_iter().map(source).collect::<Result<_>>()?;
    Ok(Inputs::these(reads).with_indices(indices))
}
