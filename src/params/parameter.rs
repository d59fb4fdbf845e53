//! A parameter's values, constraint, freedom, priors and ties, and the views of them that visitors get.

use faer::MatRef;

use super::annotation::{Note, NotesMut, Tie};
use super::{Constraint, Prior};
use crate::{Error, Result};

/// How the elements of a parameter are arranged and written in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One number: `lengthscale`.
    Scalar,
    /// So many numbers: `weights[2]`.
    Vector(usize),
    /// One number for each of so many dimensions of the points: `lengthscale[2]`.
    PerDimension(usize),
    /// Rows and columns, stored by columns: `inputs[4, 0]`.
    Matrix(usize, usize),
    /// The lower triangle of a square matrix with so many rows, stored by columns: `factor[4, 0]`.
    Triangle(usize),
}

impl Shape {
    /// The number of elements.
    pub fn len(self) -> usize {
        match self {
            Self::Scalar => 1,
            Self::Vector(len) | Self::PerDimension(len) => len,
            Self::Matrix(rows, cols) => rows * cols,
            Self::Triangle(rows) => rows * (rows + 1) / 2,
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// What is written after the parameter's name for all elements: nothing, `[0..3]` or `[0..5, 0..2]`.
    pub(super) fn indices(self) -> String {
        match self {
            Self::Scalar => String::new(),
            Self::Vector(len) | Self::PerDimension(len) => format!("[0..{len}]"),
            Self::Matrix(rows, cols) => format!("[0..{rows}, 0..{cols}]"),
            Self::Triangle(rows) => format!("[0..{rows}, 0..{rows}]"),
        }
    }

    /// What is written after the parameter's name for an element: nothing, `[2]` or `[4, 0]`.
    pub(super) fn index(self, element: usize) -> String {
        match self {
            Self::Scalar => String::new(),
            Self::Vector(_) | Self::PerDimension(_) => format!("[{element}]"),
            Self::Matrix(rows, _) => format!("[{}, {}]", element % rows, element / rows),
            Self::Triangle(rows) => {
                let (mut row, mut col) = (element, 0);
                while row >= rows - col {
                    row -= rows - col;
                    col += 1;
                }
                format!("[{}, {}]", row + col, col)
            }
        }
    }
}

fn check(name: impl FnOnce() -> String, constraint: Constraint, value: f64) -> Result<()> {
    if constraint.admits(value) {
        return Ok(());
    }
    Err(Error::Parameter { path: name(), value, expected: constraint.to_string() })
}

/// One number that can be fitted: a value, the constraint that it obeys, and whether it is free.
///
/// # Examples
///
/// ```
/// use mercer::params::{Constraint, Parameter};
///
/// let lengthscale = Parameter::new("lengthscale", 0.7, Constraint::Positive)?;
/// assert_eq!(lengthscale.value(), 0.7);
/// assert!(Parameter::new("lengthscale", -0.7, Constraint::Positive).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    value: f64,
    constraint: Constraint,
    by_sign: bool,
    free: bool,
    note: Note,
}

impl Parameter {
    /// A free parameter.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`], under the name given, if the constraint refuses the value.
    pub fn new(name: &str, value: f64, constraint: Constraint) -> Result<Self> {
        check(|| name.to_owned(), constraint, value)?;
        Ok(Self { value, constraint, by_sign: false, free: true, note: Note::default() })
    }

    /// A free parameter that is to stay positive if it starts so, and may be any finite number else: a coefficient that keeps
    /// a kernel a covariance where it is positive.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`], under the name given, for a value that is not finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::params::{Constraint, Parameter};
    ///
    /// assert_eq!(Parameter::by_sign("factor", 0.3)?.constraint(), Constraint::Positive);
    /// assert_eq!(Parameter::by_sign("factor", -0.3)?.constraint(), Constraint::Real);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn by_sign(name: &str, value: f64) -> Result<Self> {
        Ok(Self { by_sign: true, ..Self::new(name, value, Constraint::by_sign(&[value]))? })
    }

    /// The value, in natural units.
    #[inline]
    pub fn value(&self) -> f64 {
        self.value
    }

    pub(super) fn values(&self) -> &[f64] {
        std::slice::from_ref(&self.value)
    }

    /// The constraint.
    pub fn constraint(&self) -> Constraint {
        self.constraint
    }

    /// Whether optimisers may change it.
    pub fn is_free(&self) -> bool {
        self.free
    }

    /// The prior, if it has one.
    pub fn prior(&self) -> Option<Prior> {
        self.note.prior
    }

    /// The view that a [`Visitor`](super::Visitor) gets, under the field's name.
    pub fn view<'a>(&'a self, name: &'a str) -> ParameterRef<'a> {
        ParameterRef {
            name,
            shape: Shape::Scalar,
            constraint: self.constraint,
            by_sign: self.by_sign,
            values: std::slice::from_ref(&self.value),
            free: std::slice::from_ref(&self.free),
            notes: std::slice::from_ref(&self.note),
        }
    }

    /// The view that a [`VisitorMut`](super::VisitorMut) gets, under the field's name.
    pub fn view_mut<'a>(&'a mut self, name: &'a str) -> ParameterMut<'a> {
        ParameterMut {
            name,
            shape: Shape::Scalar,
            constraint: self.constraint,
            of_sign: self.by_sign.then_some(&mut self.constraint),
            values: std::slice::from_mut(&mut self.value),
            free: std::slice::from_mut(&mut self.free),
            notes: NotesMut::One(&mut self.note),
        }
    }
}

/// Several numbers that share a name and a constraint: a vector, a matrix or a triangle.
///
/// # Examples
///
/// ```
/// use mercer::params::{Constraint, ParameterArray, Shape};
///
/// let lengthscales = ParameterArray::new("lengthscale", vec![0.3, 2.0], Shape::Vector(2), Constraint::Positive)?;
/// assert_eq!(lengthscales.values(), [0.3, 2.0]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterArray {
    values: Vec<f64>,
    shape: Shape,
    constraint: Constraint,
    by_sign: bool,
    free: Vec<bool>,
    /// Empty if there are none.
    notes: Vec<Note>,
}

impl ParameterArray {
    /// Free parameters, one for each value.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the number of values is not that of the shape, and
    /// [`Error::Parameter`] for the first value that the constraint refuses.
    pub fn new(name: &str, values: Vec<f64>, shape: Shape, constraint: Constraint) -> Result<Self> {
        if values.len() != shape.len() {
            return Err(Error::shape(name, format!("{} value(s)", shape.len()), (values.len(), 1)));
        }
        for (element, &value) in values.iter().enumerate() {
            check(|| format!("{name}{}", shape.index(element)), constraint, value)?;
        }
        let free = vec![true; values.len()];
        Ok(Self { values, shape, constraint, by_sign: false, free, notes: Vec::new() })
    }

    /// Free parameters that are to stay positive if all start so, and may be any finite numbers else.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), for values that are not finite.
    pub fn by_sign(name: &str, values: Vec<f64>, shape: Shape) -> Result<Self> {
        let constraint = Constraint::by_sign(&values);
        Ok(Self { by_sign: true, ..Self::new(name, values, shape, constraint)? })
    }

    /// Free parameters in the places of a matrix.
    pub(crate) fn of_matrix(name: &str, values: MatRef<'_, f64>, constraint: Constraint) -> Result<Self> {
        let in_order = values.col_iter().flat_map(|col| col.iter().copied()).collect();
        Self::new(name, in_order, Shape::Matrix(values.nrows(), values.ncols()), constraint)
    }

    /// The values of a matrix; those of another shape as one column.
    pub(crate) fn as_matrix(&self) -> MatRef<'_, f64> {
        let (rows, cols) = match self.shape {
            Shape::Matrix(rows, cols) => (rows, cols),
            other => (other.len(), 1),
        };
        MatRef::from_column_major_slice(&self.values, rows, cols)
    }

    /// Drops columns of a matrix of so many rows beyond `cols`, or repeats the last, with all that its elements carry;
    /// one column is a vector.
    pub(crate) fn resize_columns(&mut self, rows: usize, cols: usize) {
        let last = (self.values.len() / rows.max(1)).saturating_sub(1);
        let sources: Vec<usize> =
            (0..cols).flat_map(|col| (0..rows).map(move |row| col.min(last) * rows + row)).collect();
        self.values = sources.iter().map(|&source| self.values[source]).collect();
        self.free = sources.iter().map(|&source| self.free[source]).collect();
        if !self.notes.is_empty() {
            self.notes = sources.iter().map(|&source| self.notes[source]).collect();
        }
        self.shape = if cols == 1 { Shape::Vector(rows) } else { Shape::Matrix(rows, cols) };
    }

    /// The values, in natural units, in the order of the shape.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The arrangement.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The prior of an element, if it has one.
    pub fn prior(&self, element: usize) -> Option<Prior> {
        self.notes.get(element).and_then(|note| note.prior)
    }

    /// The view that a [`Visitor`](super::Visitor) gets, under the field's name.
    pub fn view<'a>(&'a self, name: &'a str) -> ParameterRef<'a> {
        ParameterRef {
            name,
            shape: self.shape,
            constraint: self.constraint,
            by_sign: self.by_sign,
            values: &self.values,
            free: &self.free,
            notes: &self.notes,
        }
    }

    /// The view that a [`VisitorMut`](super::VisitorMut) gets, under the field's name.
    pub fn view_mut<'a>(&'a mut self, name: &'a str) -> ParameterMut<'a> {
        ParameterMut {
            name,
            shape: self.shape,
            constraint: self.constraint,
            of_sign: self.by_sign.then_some(&mut self.constraint),
            values: &mut self.values,
            free: &mut self.free,
            notes: NotesMut::Each(&mut self.notes),
        }
    }
}

/// A look at a parameter during a visit.
#[derive(Clone, Copy, Debug)]
pub struct ParameterRef<'a> {
    pub(super) name: &'a str,
    pub(super) shape: Shape,
    pub(super) constraint: Constraint,
    /// Whether the constraint is that of the sign which the values had at first.
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "what is saved reads it"))]
    pub(super) by_sign: bool,
    pub(super) values: &'a [f64],
    pub(super) free: &'a [bool],
    /// One for each element, or none.
    pub(super) notes: &'a [Note],
}

impl<'a> ParameterRef<'a> {
    /// The field's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The values, in natural units.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// The arrangement of the values.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The constraint that all of them obey.
    pub fn constraint(&self) -> Constraint {
        self.constraint
    }

    /// Which of them optimisers may change.
    pub fn free(&self) -> &'a [bool] {
        self.free
    }

    /// The prior of an element, if it has one.
    pub fn prior(&self, element: usize) -> Option<Prior> {
        self.notes.get(element).and_then(|note| note.prior)
    }

    pub(super) fn tie(&self, element: usize) -> Option<Tie> {
        self.notes.get(element).and_then(|note| note.tie)
    }
}

/// A parameter that a visit may change; values only within the constraint.
///
/// What is changed here is one element, and nothing that is
/// [tied](super::ParameterizedExt::tie) to it.
#[derive(Debug)]
pub struct ParameterMut<'a> {
    pub(super) name: &'a str,
    pub(super) shape: Shape,
    pub(super) constraint: Constraint,
    /// The constraint, if it is that of the sign which the values had at first.
    pub(super) of_sign: Option<&'a mut Constraint>,
    pub(super) values: &'a mut [f64],
    pub(super) free: &'a mut [bool],
    pub(super) notes: NotesMut<'a>,
}

impl ParameterMut<'_> {
    /// The same parameter, to look at.
    pub fn as_ref(&self) -> ParameterRef<'_> {
        ParameterRef {
            name: self.name,
            shape: self.shape,
            constraint: self.constraint,
            by_sign: self.of_sign.is_some(),
            values: self.values,
            free: self.free,
            notes: self.notes.as_slice(),
        }
    }

    /// Sets one element.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the constraint refuses the value, [`Error::Rows`] if there is no such
    /// element; the parameter is then unchanged.
    pub fn set(&mut self, element: usize, value: f64) -> Result<()> {
        let len = self.values.len();
        let Some(slot) = self.values.get_mut(element) else {
            return Err(Error::rows(self.name, element..element + 1, len));
        };
        check(|| format!("{}{}", self.name, self.shape.index(element)), self.constraint, value)?;
        *slot = value;
        Ok(())
    }

    /// Lets optimisers change an element, or keeps them from it.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] if there is no such element.
    pub fn set_free(&mut self, element: usize, free: bool) -> Result<()> {
        let len = self.free.len();
        let Some(slot) = self.free.get_mut(element) else {
            return Err(Error::rows(self.name, element..element + 1, len));
        };
        *slot = free;
        Ok(())
    }

    /// Gives an element a prior, or takes it away.
    ///
    /// # Errors
    ///
    /// [`Error::Rows`] if there is no such element.
    pub fn set_prior(&mut self, element: usize, prior: Option<Prior>) -> Result<()> {
        let len = self.values.len();
        if element >= len {
            return Err(Error::rows(self.name, element..element + 1, len));
        }
        self.change_note(element, |note| note.prior = prior);
        Ok(())
    }

    /// Lets values be of any sign whose constraint is that of the sign which they had at first; whether there was anything to
    /// let.
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "what is saved reads it"))]
    pub(super) fn free_sign(&mut self) -> bool {
        let Some(constraint) = &mut self.of_sign else { return false };
        **constraint = Constraint::Real;
        true
    }

    pub(super) fn change_note(&mut self, element: usize, change: impl FnOnce(&mut Note)) {
        self.notes.change(element, self.values.len(), change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triangle_elements_are_written_by_row_and_column() {
        let shape = Shape::Triangle(3);
        let written: Vec<String> = (0..shape.len()).map(|element| shape.index(element)).collect();
        assert_eq!(written, ["[0, 0]", "[1, 0]", "[2, 0]", "[1, 1]", "[2, 1]", "[2, 2]"]);
    }

    #[test]
    fn refused_values_change_nothing() {
        let mut parameter = Parameter::new("lengthscale", 2.0, Constraint::Positive).unwrap();
        let mut view = parameter.view_mut("lengthscale");
        assert!(view.set(0, f64::NAN).is_err());
        assert!(view.set(1, 1.0).is_err());
        assert_eq!(parameter.value(), 2.0);
    }
}
