//! What models learn from.

mod matrix;

use std::borrow::Cow;
use std::sync::Arc;

use faer::{Mat, MatRef};

pub use matrix::IntoMatrix;

use crate::batch::BatchPoints;
use crate::{Error, Result, Scalar};

/// Inputs and observations: points in the rows of X, n × D, and what was seen there in those of Y, n × P, a column for each
/// output. What was not observed is NaN, in models that take several outputs.
///
/// A slice is one column. Matrices are shared and not copied when data are cloned; a view or a slice is copied once. Models
/// check what they are given, and name what does not fit.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, IcmGp};
/// use mercer::prelude::*;
///
/// let x = mat![[0.0], [1.0], [2.5]];
/// let one = Data::new(&x, [0.3, 1.0, -0.4]);
/// let value = ExactGp::new(Rbf::new(1.0)).objective(&one)?;
///
/// let two = Data::new(&x, mat![[0.3, 0.3], [1.0, 1.0], [-0.4, -0.4]]);
/// let outputs = Coregionalization::new(mat![[0.0], [0.0]], [1.0, 1.0]); // which have nothing to do with each other
/// assert!((IcmGp::new(Rbf::new(1.0), outputs).objective(&two)? - 2.0 * value).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Data<T: Scalar> {
    x: Arc<Mat<T>>,
    y: Arc<Mat<T>>,
}

impl<T: Scalar> Data<T> {
    /// Points and observations: matrices, views, or slices, which are one column.
    pub fn new(x: impl IntoMatrix<T>, y: impl IntoMatrix<T>) -> Self {
        Self { x: x.into_matrix(), y: y.into_matrix() }
    }

    /// X, n × D.
    pub fn x(&self) -> MatRef<'_, T> {
        (*self.x).as_ref()
    }

    /// Y, n × P.
    pub fn y(&self) -> MatRef<'_, T> {
        (*self.y).as_ref()
    }

    /// These data as a sample of so many observations: a bound on all of them is estimated from these.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, Svgp};
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
    /// let gp = Svgp::new(Rbf::new(1.0), data.x())?;
    /// let (all, sample) = (gp.objective(&data)?, gp.objective(&data.part_of(6))?);
    /// assert!((sample.expected_log_likelihood - 3.0 * all.expected_log_likelihood).abs() < 1e-13);
    /// assert_eq!(sample.kl, all.kl);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn part_of(&self, total: usize) -> Batch<T> {
        Batch { data: self.clone(), total }
    }

    /// The observations of a model of so many outputs, all rows of the first output first.
    pub(super) fn stacked(&self, outputs: usize) -> Result<Cow<'_, [T]>> {
        if self.y.shape() != (self.x.nrows(), outputs) {
            let rows = self.x.nrows();
            let expected = format!("{rows} x {outputs}: a row for each of x, and {outputs} output(s)");
            return Err(Error::shape("y", expected, self.y.shape()));
        }
        Ok(match outputs {
            1 => Cow::Borrowed(self.y.col_as_slice(0)),
            _ => self.y.col_iter().flat_map(|column| column.iter().copied()).collect::<Vec<T>>().into(),
        })
    }
}

/// Some of more observations: see [`Data::part_of`].
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<T: Scalar> {
    pub(super) data: Data<T>,
    pub(super) total: usize,
}

impl<T: Scalar> Batch<T> {
    /// What was observed.
    pub fn data(&self) -> &Data<T> {
        &self.data
    }

    /// The number of all observations.
    pub fn total(&self) -> usize {
        self.total
    }
}

/// Observations of several outputs, each at points of its own: for [`BatchGp`](super::BatchGp).
///
/// # Examples
///
/// ```
/// use mercer::gp::{BatchGp, Data, ExactGp, Separate};
/// use mercer::prelude::*;
///
/// let (a, b, y) = (mat![[0.0], [1.0]], mat![[2.0], [5.0]], mat![[0.3, 1.0], [0.7, -0.2]]);
/// let batch = BatchGp::new(Rbf::new(1.0).batched(2)?);
/// let each = ExactGp::new(Rbf::new(1.0));
/// let expected = each.objective(&Data::new(&a, [0.3, 0.7]))? + each.objective(&Data::new(&b, [1.0, -0.2]))?;
/// assert!((batch.objective(&Separate::new([a, b], y))? - expected).abs() < 1e-13);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Separate<T: Scalar> {
    x: Vec<Arc<Mat<T>>>,
    y: Arc<Mat<T>>,
}

impl<T: Scalar> Separate<T> {
    /// The points of each output, and observations n × P.
    pub fn new<X: IntoMatrix<T>>(x: impl IntoIterator<Item = X>, y: impl IntoMatrix<T>) -> Self {
        Self { x: x.into_iter().map(IntoMatrix::into_matrix).collect(), y: y.into_matrix() }
    }
}

/// Observations of several outputs, at points that they share or at points of their own: [`Data`] and [`Separate`].
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, Outputs, Separate};
/// use mercer::prelude::*;
///
/// let (x, y) = (mat![[0.0], [1.0]], mat![[0.3, 1.0], [0.7, -0.2]]);
/// assert_eq!(Data::new(&x, &y).values(), y);
/// assert_eq!(Separate::new([&x, &x], &y).values(), y);
/// ```
pub trait Outputs<T: Scalar> {
    /// The points, of all outputs or of each.
    fn points(&self) -> BatchPoints<'_, T>;

    /// A column for each output.
    fn values(&self) -> MatRef<'_, T>;
}

impl<T: Scalar> Outputs<T> for Data<T> {
    fn points(&self) -> BatchPoints<'_, T> {
        self.x().into()
    }

    fn values(&self) -> MatRef<'_, T> {
        self.y()
    }
}

impl<T: Scalar> Outputs<T> for Separate<T> {
    fn points(&self) -> BatchPoints<'_, T> {
        self.x.iter().map(|x| (**x).as_ref()).collect::<Vec<_>>().into()
    }

    fn values(&self) -> MatRef<'_, T> {
        (*self.y).as_ref()
    }
}
