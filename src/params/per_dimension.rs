//! One value for all dimensions of the input, or one for each.

use super::{Constraint, Parameter, ParameterArray, ParameterMut, ParameterRef, Prior, Shape};
use crate::{Error, Result};

/// Values for a [`PerDimension`] parameter: made from an `f64`, an array, a slice or a `Vec`.
#[derive(Clone, Debug, PartialEq)]
pub enum OneOrEach {
    /// One value for all dimensions.
    One(f64),
    /// One value for each dimension.
    Each(Vec<f64>),
}

impl From<f64> for OneOrEach {
    fn from(value: f64) -> Self {
        Self::One(value)
    }
}

impl<const N: usize> From<[f64; N]> for OneOrEach {
    fn from(values: [f64; N]) -> Self {
        Self::Each(values.to_vec())
    }
}

impl From<&[f64]> for OneOrEach {
    fn from(values: &[f64]) -> Self {
        Self::Each(values.to_vec())
    }
}

impl From<Vec<f64>> for OneOrEach {
    fn from(values: Vec<f64>) -> Self {
        Self::Each(values)
    }
}

/// A parameter with one value for all dimensions of the input, or one for each: an isotropic or an
/// ARD lengthscale, a period.
///
/// # Examples
///
/// ```
/// use mercer::params::{Constraint, PerDimension};
///
/// let lengthscale = PerDimension::new("lengthscale", [0.5, 2.0], Constraint::Positive)?;
/// assert_eq!(lengthscale.values(), [0.5, 2.0]);
/// assert_eq!(lengthscale.at(1), 2.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum PerDimension {
    /// One value for all dimensions.
    One(Parameter),
    /// One value for each dimension.
    Each(ParameterArray),
}

impl PerDimension {
    /// Free parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] for a value that the constraint refuses; [`Error::Shape`] for an empty
    /// list.
    pub fn new(name: &str, values: impl Into<OneOrEach>, constraint: Constraint) -> Result<Self> {
        match values.into() {
            OneOrEach::One(value) => Parameter::new(name, value, constraint).map(Self::One),
            OneOrEach::Each(values) if values.is_empty() => {
                Err(Error::shape(name, "one value, or one for each dimension", (0, 1)))
            }
            OneOrEach::Each(values) => {
                let shape = Shape::PerDimension(values.len());
                ParameterArray::new(name, values, shape, constraint).map(Self::Each)
            }
        }
    }

    /// The values: one, or one for each dimension.
    pub fn values(&self) -> &[f64] {
        match self {
            Self::One(parameter) => parameter.values(),
            Self::Each(array) => array.values(),
        }
    }

    /// The value for a dimension.
    #[inline]
    pub fn at(&self, dim: usize) -> f64 {
        match self {
            Self::One(parameter) => parameter.value(),
            Self::Each(array) => array.values()[dim],
        }
    }

    /// The prior of the value for a dimension, if it has one.
    pub fn prior(&self, dim: usize) -> Option<Prior> {
        match self {
            Self::One(parameter) => parameter.prior(),
            Self::Each(array) => array.prior(dim),
        }
    }

    /// How many dimensions the points must have, if there is a value for each.
    pub fn dim(&self) -> Option<usize> {
        match self {
            Self::One(_) => None,
            Self::Each(array) => Some(array.values().len()),
        }
    }

    /// The view that a [`Visitor`](super::Visitor) gets, under the field's name.
    pub fn view<'a>(&'a self, name: &'a str) -> ParameterRef<'a> {
        match self {
            Self::One(parameter) => parameter.view(name),
            Self::Each(array) => array.view(name),
        }
    }

    /// The view that a [`VisitorMut`](super::VisitorMut) gets, under the field's name.
    pub fn view_mut<'a>(&'a mut self, name: &'a str) -> ParameterMut<'a> {
        match self {
            Self::One(parameter) => parameter.view_mut(name),
            Self::Each(array) => array.view_mut(name),
        }
    }
}
