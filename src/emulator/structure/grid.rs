//! Points that are a Cartesian grid.

use faer::{Mat, MatRef};

use super::form::refused;
use crate::Result;

/// The rows of a Cartesian grid, the index of the last axis fastest; or of a single axis of any points.
#[derive(Debug)]
pub(super) struct Grid {
    /// The dimensions with more than one value, one for each axis; none for an axis of any points.
    dims: Vec<usize>,
    /// The row of each point of the grid.
    rows: Vec<usize>,
    sizes: Vec<usize>,
}

impl Grid {
    /// All points as one axis, in their order.
    pub(super) fn single(points: usize) -> Self {
        Self { dims: Vec::new(), rows: (0..points).collect(), sizes: vec![points] }
    }

    /// The grid that the points are, in any order of rows. Coordinates are compared exactly.
    pub(super) fn detect(points: MatRef<'_, f64>) -> Result<Self> {
        let values: Vec<Vec<f64>> = points.col_iter().map(|column| distinct(column.iter())).collect();
        let dims: Vec<usize> = (0..values.len()).filter(|&dim| values[dim].len() > 1).collect();
        let sizes: Vec<usize> = dims.iter().map(|&dim| values[dim].len()).collect();
        let sides = sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        let count = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        if dims.is_empty() || count != Some(points.nrows()) {
            let reason = format!("the {} parameters take {sides} values in their dimensions", points.nrows());
            return Err(refused("grid", &reason));
        }
        let mut rows = vec![None; points.nrows()];
        for row in 0..points.nrows() {
            let index = dims.iter().zip(&sizes).fold(0, |index, (&dim, &size)| {
                index * size + values[dim].partition_point(|&value| value < points[(row, dim)])
            });
            if let Some(first) = rows[index].replace(row) {
                return Err(refused("grid", &format!("rows {first} and {row} of the parameters are equal")));
            }
        }
        // As many points as places, and none twice: no place is left.
        Ok(Self { dims, rows: rows.into_iter().flatten().collect(), sizes })
    }

    /// The number of points of each axis.
    pub(super) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Whether each dimension is an axis.
    pub(super) fn varying(&self, dims: usize) -> Vec<bool> {
        (0..dims).map(|dim| self.dims.contains(&dim)).collect()
    }

    /// Values by rows, in the order of the grid.
    pub(super) fn ordered(&self, x: MatRef<'_, f64>) -> Mat<f64> {
        Mat::from_fn(x.nrows(), x.ncols(), |place, col| x[(self.rows[place], col)])
    }

    /// Values in the order of the grid, by rows.
    pub(super) fn by_rows(&self, x: MatRef<'_, f64>) -> Mat<f64> {
        let mut out = Mat::zeros(x.nrows(), x.ncols());
        for col in 0..x.ncols() {
            self.rows.iter().enumerate().for_each(|(place, &row)| out[(row, col)] = x[(place, col)]);
        }
        out
    }

    /// The indices, one for each axis, of a place in the order of the grid.
    pub(super) fn indices(&self, place: usize) -> Vec<usize> {
        let mut rest = place;
        let mut indices: Vec<usize> = self
            .sizes
            .iter()
            .rev()
            .map(|&size| {
                let index = rest % size;
                rest /= size;
                index
            })
            .collect();
        indices.reverse();
        indices
    }

    /// The points along one axis through the place with these indices, with all their coordinates.
    pub(super) fn line(&self, points: MatRef<'_, f64>, through: &[usize], axis: usize) -> Mat<f64> {
        let stride: usize = self.sizes[axis + 1..].iter().product();
        let place = through.iter().zip(&self.sizes).fold(0, |place, (&index, &size)| place * size + index);
        let first = place - through[axis] * stride;
        Mat::from_fn(self.sizes[axis], points.ncols(), |index, dim| points[(self.rows[first + index * stride], dim)])
    }
}

/// The different values, in ascending order.
fn distinct<'a>(values: impl Iterator<Item = &'a f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    sorted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_grid_is_found_in_any_order() {
        let place = |row: usize| (5 * row + 2) % 12;
        let points = Mat::from_fn(12, 3, |row, dim| match dim {
            0 => (place(row) / 4) as f64 - 1.0,
            1 => 7.0,
            _ => 0.1 * (place(row) % 4) as f64,
        });
        let grid = Grid::detect(points.as_ref()).unwrap();
        assert_eq!((grid.sizes(), grid.varying(3)), (&[3, 4][..], vec![true, false, true]));
        let ordered = grid.ordered(points.as_ref());
        assert!(
            (0..12).all(|at| ordered[(at, 0)] == (at / 4) as f64 - 1.0 && ordered[(at, 2)] == 0.1 * (at % 4) as f64)
        );
        assert_eq!(grid.by_rows(ordered.as_ref()), points);
        assert_eq!(grid.indices(7), [1, 3]);
        let line = grid.line(points.as_ref(), &[1, 3], 0);
        assert_eq!(line, Mat::from_fn(3, 3, |i, dim| [i as f64 - 1.0, 7.0, 0.1 * 3.0][dim]));
    }

    #[test]
    fn what_is_no_grid_is_refused_with_a_reason() {
        let reason = |points: Mat<f64>| Grid::detect(points.as_ref()).unwrap_err().to_string();
        let square = Mat::from_fn(4, 2, |row, dim| if dim == 0 { row / 2 } else { row % 2 } as f64);
        assert!(reason(square.as_ref().subrows(0, 3).to_owned()).contains("the 3 parameters take 2 x 2 values"));
        let mut twice = square.clone();
        twice[(3, 1)] = 0.0;
        assert!(reason(twice).contains("rows 2 and 3"));
        let mut moved = square;
        moved[(3, 1)] += 1e-15;
        assert!(reason(moved).contains("2 x 3"));
    }
}
