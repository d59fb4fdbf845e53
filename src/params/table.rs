//! Parameters as a table.

use std::collections::BTreeMap;
use std::fmt;

use super::entry::entries;
use super::path::walk;
use super::{Entry, Parameterized, Shape};

/// Arrays of more values are one line: all lengthscales of most kernels have their own, but not the values of inducing
/// inputs and of q.
const MOST: usize = 16;

/// The parameters of something, one a line: what
/// [`table`](super::ParameterizedExt::table) returns, and `{}` prints.
///
/// Columns are path, value (to six digits), constraint, prior, and whether it is free or frozen. If
/// any are tied, there is one more with the number of the tie, from 1 in visiting order. An array of more than 16 values is
/// one line, with the range of its indices and of its values, and "several" in columns in which they differ;
/// [`with_every_value`](Self::with_every_value) lists them all.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    parameters: Vec<Listed>,
    every_value: bool,
}

/// A parameter with its values.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    path: String,
    shape: Shape,
    entries: Vec<Entry>,
}

impl Table {
    pub(super) fn new<P: Parameterized + ?Sized>(root: &P) -> Self {
        let (mut entries, mut parameters) = (entries(root).into_iter(), Vec::new());
        walk(root, &mut |path, parameter| {
            let of_this = entries.by_ref().take(parameter.shape.len()).collect();
            parameters.push(Listed { path: path.to_owned(), shape: parameter.shape, entries: of_this });
        });
        Self { parameters, every_value: false }
    }

    /// The same with a line for each value, of arrays of any size too.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let table = Rbf::new([0.5; 20]).table();
    /// assert_eq!(
    ///     table.to_string(),
    ///     "path                    value  constraint           prior  state\n\
    ///      rbf.lengthscale[0..20]    0.5  positive and finite         free",
    /// );
    /// assert_eq!(table.with_every_value().to_string().lines().count(), 21);
    /// ```
    #[must_use]
    pub fn with_every_value(mut self) -> Self {
        self.every_value = true;
        self
    }

    /// The headings, and the cells below them.
    fn rows(&self) -> Vec<[String; 6]> {
        let mut numbers = BTreeMap::new();
        for first in self.parameters.iter().flat_map(|parameter| &parameter.entries).filter_map(|entry| entry.tie) {
            let next = numbers.len() + 1;
            numbers.entry(first).or_insert(next);
        }
        let row = |entry: &Entry| {
            [
                entry.path.clone(),
                short(entry.value),
                entry.constraint.to_string(),
                entry.prior.map_or_else(String::new, |prior| prior.to_string()),
                if entry.free { "free" } else { "frozen" }.to_owned(),
                entry.tie.and_then(|first| numbers.get(&first)).map_or_else(String::new, usize::to_string),
            ]
        };
        let heading = if numbers.is_empty() { "" } else { "tie" };
        let mut rows = vec![["path", "value", "constraint", "prior", "state", heading].map(str::to_owned)];
        for parameter in &self.parameters {
            let each = parameter.entries.iter().map(row);
            if self.every_value || parameter.entries.len() <= MOST {
                rows.extend(each);
            } else {
                rows.extend(each.reduce(common).map(|common| parameter.summary(common)));
            }
        }
        rows
    }
}

/// The cells of two rows where they are the same.
fn common(one: [String; 6], other: [String; 6]) -> [String; 6] {
    let mut other = other.into_iter();
    one.map(|cell| if other.next().as_ref() == Some(&cell) { cell } else { "several".to_owned() })
}

impl Listed {
    /// One row for all values, from the cells that they have in common.
    fn summary(&self, [_, _, constraint, prior, state, tie]: [String; 6]) -> [String; 6] {
        let values = || self.entries.iter().map(|entry| entry.value);
        let (least, greatest) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let range = if least == greatest { short(least) } else { format!("{} to {}", short(least), short(greatest)) };
        [format!("{}{}", self.path, self.shape.indices()), range, constraint, prior, state, tie]
    }
}

/// A number to six digits, with an exponent where it is long otherwise.
fn short(value: f64) -> String {
    // The digits, without the zeros at their end, are those of the nearest number of six digits.
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if size == 0.0 || (1e-4..1e7).contains(&size) { rounded.to_string() } else { format!("{rounded:e}") }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        for (index, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate().filter(|(_, (_, width))| *width > 0) {
                if column == 1 {
                    line += &format!("{cell:>width$}  ");
                } else {
                    line += &format!("{cell:<width$}  ");
                }
            }
            write!(f, "{}{}", if index == 0 { "" } else { "\n" }, line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::short;
    use crate::prelude::*;

    #[test]
    fn numbers_have_six_digits() {
        let written = [1.0 / 3.0, 2.0, -1234567.8, 1e8, 1e-7 / 3.0, 0.0, 99999.99].map(short);
        assert_eq!(written, ["0.333333", "2", "-1234570", "1e8", "3.33333e-8", "0", "100000"]);
    }

    /// Arrays of more than 16 values are one line, with what they have in common.
    #[test]
    fn large_arrays_are_one_line() {
        let mut kernel = GpConvolution::new(vec![0.8; 9], Mat::from_fn(9, 2, |i, j| 1.0 + (i + 9 * j) as f64));
        kernel.freeze("gp_convolution.lengthscale[3, 1]").unwrap();
        kernel.tie(&["gp_convolution.amplitude[0]", "gp_convolution.amplitude[2]"]).unwrap();
        let table = kernel.table().to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 1 + 9 + 1);
        let cells: Vec<&str> = lines[10].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["gp_convolution.lengthscale[0..9, 0..2]", "1 to 18", "positive and finite", "several"]);
        assert_eq!(kernel.table().with_every_value().to_string().lines().count(), 1 + 27);
    }

    #[test]
    fn without_ties_there_is_no_column_for_them() {
        let kernel = Rbf::new([1.0, 20.5]);
        let expected = "\
path                value  constraint           prior  state
rbf.lengthscale[0]      1  positive and finite         free
rbf.lengthscale[1]   20.5  positive and finite         free";
        assert_eq!(kernel.table().to_string(), expected);
    }
}
