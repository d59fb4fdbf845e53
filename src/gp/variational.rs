//! The variational distribution of the inducing variables.

use faer::{Mat, MatRef};

use crate::params::{Constraint, ParameterArray, Shape};
use crate::{Error, Result};

/// q(v) = N(m, RRᵀ), the distribution of M whitened inducing variables, R lower triangular.
///
/// # Parameters
///
/// | name | symbol | constraint |
/// |---|---|---|
/// | `mean[i]` | m | any finite number |
/// | `factor[i, j]`, i ≥ j | R | any finite number; the signs of the diagonal do not matter |
///
/// Only the lower triangle is a parameter.
///
/// # Examples
///
/// ```
/// use mercer::gp::Variational;
/// use mercer::prelude::*;
///
/// let q = Variational::new(&[0.5, -1.0], mat![[1.0, 0.0], [0.3, 2.0]].as_ref())?;
/// assert_eq!(q.get("factor[1, 0]")?, 0.3);
/// assert_eq!(q.num_params(), 5);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Variational {
    mean: ParameterArray,
    factor: ParameterArray,
}

crate::parameterized!(Variational as "", parameters: [mean, factor]);

impl Variational {
    /// A mean and a lower triangular factor; what stands above its diagonal is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the factor is not square, of the mean's length; [`Error::Parameter`] for
    /// a value that is not finite; [`Error::Empty`] for no variables.
    pub fn new(mean: &[f64], factor: MatRef<'_, f64>) -> Result<Self> {
        let m = mean.len();
        if m == 0 {
            return Err(Error::Empty { what: "the variational mean".to_owned() });
        }
        if (factor.nrows(), factor.ncols()) != (m, m) {
            return Err(Error::shape("the variational factor", format!("{m} x {m}"), (factor.nrows(), factor.ncols())));
        }
        let packed = (0..m).flat_map(|col| (col..m).map(move |row| factor[(row, col)])).collect();
        Ok(Self {
            mean: ParameterArray::new("mean", mean.to_vec(), Shape::Vector(m), Constraint::Real)?,
            factor: ParameterArray::new("factor", packed, Shape::Triangle(m), Constraint::Real)?,
        })
    }

    /// The prior N(0, I) of the whitened variables.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] for no variables.
    pub fn prior(m: usize) -> Result<Self> {
        Self::new(&vec![0.0; m], Mat::identity(m, m).as_ref())
    }

    /// The number of inducing variables.
    pub fn len(&self) -> usize {
        self.mean.values().len()
    }

    /// Whether there are no variables: never, as constructed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The mean m.
    pub fn mean(&self) -> &[f64] {
        self.mean.values()
    }

    /// The lower triangle of R, by columns.
    pub fn packed_factor(&self) -> &[f64] {
        self.factor.values()
    }
}
