//! What a kernel reads of its points.

use super::{Expr, IndexColumn, text};
use crate::params::{Label, ParameterRef, Parameterized, Shape, Visitor};
use crate::{Error, Result};

/// Which dimensions of the points the values of a kernel depend on, and which of these hold an index.
///
/// What stands in the others changes no value, a NaN neither; a NaN in one of these makes NaN of k(x, x). Masks and models
/// go by it, and the laws of the test kit check it.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0).on([2]).change_point(Constant::new(1.0), 0.0, 1.0);
/// assert_eq!(kernel.inputs(4)?.reads(), [true, false, true, false]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inputs<'k> {
    dim: usize,
    read: Read,
    indices: Vec<IndexColumn<'k>>,
}

/// Most kernels read all or nothing, and then nothing is allocated for it.
#[derive(Clone, Debug)]
enum Read {
    All,
    Nothing,
    Some(Vec<bool>),
}

impl<'k> Inputs<'k> {
    /// All dimensions.
    pub fn all(dim: usize) -> Self {
        Self { dim, read: Read::All, indices: Vec::new() }
    }

    /// No dimension.
    pub fn none(dim: usize) -> Self {
        Self { dim, read: Read::Nothing, indices: Vec::new() }
    }

    /// Those that are marked.
    pub fn these(reads: Vec<bool>) -> Self {
        Self { dim: reads.len(), read: Read::Some(reads), indices: Vec::new() }
    }

    /// Adds columns that hold an index.
    #[must_use]
    pub fn with_indices(mut self, indices: impl IntoIterator<Item = IndexColumn<'k>>) -> Self {
        self.indices.extend(indices);
        self
    }

    /// What either of two reads.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.read = match (self.read, other.read) {
            (Read::All, _) | (_, Read::All) => Read::All,
            (Read::Nothing, read) | (read, Read::Nothing) => read,
            (Read::Some(mut a), Read::Some(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                Read::Some(a)
            }
        };
        self.indices.extend(other.indices);
        self
    }

    /// The same where a NaN stands for a point that is missing.
    #[must_use]
    pub fn or_missing(mut self) -> Self {
        self.indices = self.indices.into_iter().map(IndexColumn::or_missing).collect();
        self
    }

    /// Whether one dimension is read.
    pub fn read(&self, dim: usize) -> bool {
        match &self.read {
            Read::All => dim < self.dim,
            Read::Nothing => false,
            Read::Some(reads) => reads.get(dim).copied().unwrap_or(false),
        }
    }

    /// The dimensions that are read.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        (0..self.dim).filter(|&dim| self.read(dim))
    }

    /// Whether each dimension is read.
    pub fn reads(&self) -> Vec<bool> {
        (0..self.dim).map(|dim| self.read(dim)).collect()
    }

    /// The columns that hold an index.
    pub fn indices(&self) -> &[IndexColumn<'k>] {
        &self.indices
    }

    /// The columns that hold an index, taken out.
    pub fn into_indices(self) -> Vec<IndexColumn<'k>> {
        self.indices
    }
}

/// Refuses points of another dimension than that of a parameter with so many values, one for each.
pub(crate) fn check_values(kernel: &dyn Expr, name: &str, values: usize, dim: usize) -> Result<()> {
    if values == dim {
        return Ok(());
    }
    let needs = format!("has {values} values of `{name}`, one for each dimension");
    Err(Error::Dimension { kernel: text(kernel).to_string(), needs, found: dim })
}

/// The same for all parameters that have one value for each dimension.
pub(super) fn check_per_dimension(kernel: &dyn Expr, dim: usize) -> Result<()> {
    struct Check<'k> {
        kernel: &'k dyn Expr,
        dim: usize,
        result: Result<()>,
    }
    impl Visitor for Check<'_> {
        fn parameter(&mut self, parameter: ParameterRef<'_>) {
            if let (Shape::PerDimension(values), Ok(())) = (parameter.shape(), &self.result) {
                self.result = check_values(self.kernel, parameter.name(), values, self.dim);
            }
        }

        fn child(&mut self, _: Label, child: &dyn Parameterized) {
            child.visit(self);
        }
    }
    let mut check = Check { kernel, dim, result: Ok(()) };
    kernel.visit(&mut check);
    check.result
}
