//! Parameters as a table.

use std::collections::BTreeMap;
use std::fmt;

use super::Entry;

/// The parameters of something, one a line: what
/// [`table`](super::ParameterizedExt::table) returns, and `{}` prints.
///
/// Columns are path, value (to six digits), constraint, prior, and whether it is free or frozen. If
/// any are tied, there is one more with the number of the tie, from 1 in visiting order.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    entries: Vec<Entry>,
}

impl Table {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The headings, and the cells below them.
    fn rows(&self) -> Vec<[String; 6]> {
        let mut numbers = BTreeMap::new();
        for first in self.entries.iter().filter_map(|entry| entry.tie) {
            let next = numbers.len() + 1;
            numbers.entry(first).or_insert(next);
        }
        let heading = if numbers.is_empty() { "" } else { "tie" };
        let mut rows = vec![["path", "value", "constraint", "prior", "state", heading].map(str::to_owned)];
        rows.extend(self.entries.iter().map(|entry| {
            [
                entry.path.clone(),
                short(entry.value),
                entry.constraint.to_string(),
                entry.prior.map_or_else(String::new, |prior| prior.to_string()),
                if entry.free { "free" } else { "frozen" }.to_owned(),
                entry.tie.and_then(|first| numbers.get(&first)).map_or_else(String::new, usize::to_string),
            ]
        }));
        rows
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
