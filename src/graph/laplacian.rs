//! The Laplacian of a graph, and its spectrum.

use std::sync::Arc;

use faer::{Mat, MatRef, Side};

use crate::kernel::{Arguments, Number};
use crate::{Error, Result};

/// The Laplacian of an undirected graph with its eigenvalues and eigenvectors, computed once and shared
/// by clones.
///
/// # Examples
///
/// A path of three nodes:
///
/// ```
/// use mercer::kernels::Laplacian;
/// use mercer::prelude::*;
///
/// let path = Laplacian::from_edges(3, &[(0, 1, 1.0), (1, 2, 1.0)])?;
/// assert_eq!(path.matrix(), mat![[1.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 1.0]]);
/// let expected = [0.0, 1.0, 3.0];
/// assert!(path.eigenvalues().iter().zip(expected).all(|(l, expected)| (l - expected).abs() < 1e-14));
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Laplacian(Arc<Decomposed>);

#[derive(Debug)]
struct Decomposed {
    matrix: Mat<f64>,
    eigenvalues: Vec<f64>,
    eigenvectors: Mat<f64>,
}

/// Eigenvalues below this times the number of nodes times the largest are taken for 0: negative ones by
/// rounding, and those of the parts that the graph falls into, which a long lengthscale must not tell
/// apart.
const ZERO: f64 = 4.0 * f64::EPSILON;

impl Laplacian {
    /// The Laplacian D − A of a graph with so many nodes and the edges (i, j, weight), where A holds the
    /// weights and D, a diagonal matrix, their sums. Edges that are named twice add up.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for an edge to a node that there is not or to itself, or whose weight is not
    /// positive and finite; as [`from_matrix`](Self::from_matrix).
    pub fn from_edges(nodes: usize, edges: &[(usize, usize, f64)]) -> Result<Self> {
        let mut matrix = Mat::zeros(nodes, nodes);
        for &(i, j, weight) in edges {
            let fits = i < nodes && j < nodes && i != j && weight > 0.0 && weight.is_finite();
            if !fits {
                let expected = format!("must join two of {nodes} nodes with a positive and finite weight");
                return Err(Error::setting("the edge", format!("({i}, {j}, {weight})"), &expected));
            }
            matrix[(i, j)] -= weight;
            matrix[(j, i)] -= weight;
            matrix[(i, i)] += weight;
            matrix[(j, j)] += weight;
        }
        Self::from_matrix(matrix)
    }

    /// The Laplacian D − A of an adjacency matrix, whose entries are the weights of edges. The diagonal is
    /// not read.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it is not square; [`Error::Setting`] if it is not symmetric or has a negative
    /// entry; as [`from_matrix`](Self::from_matrix).
    pub fn from_adjacency(adjacency: MatRef<'_, f64>) -> Result<Self> {
        let nodes = adjacency.nrows();
        if adjacency.ncols() != nodes {
            return Err(Error::shape("the adjacency matrix", format!("{nodes} x {nodes}"), adjacency.shape()));
        }
        let off_diagonal = |(i, j): (usize, usize)| if i == j { 0.0 } else { adjacency[(i, j)] };
        let negative =
            (0..nodes * nodes).map(|place| (place % nodes, place / nodes)).find(|&at| off_diagonal(at) < 0.0);
        if let Some((i, j)) = negative {
            let found = format!("{} at ({i}, {j})", adjacency[(i, j)]);
            return Err(Error::setting("the adjacency matrix", found, "must have no negative entries"));
        }
        let degree = |i: usize| (0..nodes).map(|j| off_diagonal((i, j))).sum::<f64>();
        Self::from_matrix(Mat::from_fn(nodes, nodes, |i, j| if i == j { degree(i) } else { -adjacency[(i, j)] }))
    }

    /// Any symmetric, positive semi-definite matrix in the place of a Laplacian: a normalised one, or that
    /// of a mesh.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without nodes; [`Error::Shape`] if it is not square; [`Error::Setting`] if it is not
    /// symmetric, or has a negative eigenvalue or none; [`Error::NonFinite`] for an entry that is not finite.
    pub fn from_matrix(matrix: Mat<f64>) -> Result<Self> {
        let nodes = matrix.nrows();
        let what = "the Laplacian";
        if nodes == 0 {
            return Err(Error::Empty { what: what.to_owned() });
        }
        if matrix.ncols() != nodes {
            return Err(Error::shape(what, format!("{nodes} x {nodes}"), matrix.shape()));
        }
        for col in 0..nodes {
            for row in 0..nodes {
                let value = matrix[(row, col)];
                if !value.is_finite() {
                    return Err(Error::NonFinite { what: what.to_owned(), row, col, value });
                }
                if value != matrix[(col, row)] {
                    let found = format!("{value} at ({row}, {col}) and {} at ({col}, {row})", matrix[(col, row)]);
                    return Err(Error::setting(what, found, "must be symmetric"));
                }
            }
        }
        let Ok(decomposition) = matrix.self_adjoint_eigen(Side::Lower) else {
            return Err(Error::setting(what, "a matrix whose eigenvalues do not converge", "must have eigenvalues"));
        };
        let mut eigenvalues: Vec<f64> = decomposition.S().column_vector().iter().copied().collect();
        let largest = eigenvalues.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let zero = ZERO * nodes as f64 * largest;
        if let Some(negative) = eigenvalues.iter().find(|&&value| value < -zero) {
            let found = format!("a matrix with the eigenvalue {negative:e}");
            return Err(Error::setting(what, found, "must be positive semi-definite"));
        }
        eigenvalues.iter_mut().filter(|value| **value < zero).for_each(|value| *value = 0.0);
        let eigenvectors = decomposition.U().to_owned();
        Ok(Self(Arc::new(Decomposed { matrix, eigenvalues, eigenvectors })))
    }

    /// The symmetrically normalised Laplacian D^−½ L D^−½, with the diagonal D of this one. A node
    /// without edges stays without.
    ///
    /// # Errors
    ///
    /// As [`from_matrix`](Self::from_matrix).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernels::Laplacian;
    ///
    /// let star = Laplacian::from_edges(3, &[(0, 1, 2.0), (0, 2, 2.0)])?.normalized()?;
    /// assert!((star.matrix()[(1, 0)] + 0.5f64.sqrt()).abs() < 1e-15);
    /// assert!((star.matrix()[(0, 0)] - 1.0).abs() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn normalized(&self) -> Result<Self> {
        let matrix = self.matrix();
        let root = |i: usize| if matrix[(i, i)] > 0.0 { matrix[(i, i)].sqrt() } else { 1.0 };
        let entry = |i, j| matrix[(i, j)] / (root(i) * root(j));
        Self::from_matrix(Mat::from_fn(self.nodes(), self.nodes(), entry))
    }

    /// Whether this is the same matrix.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.matrix() == other.matrix()
    }

    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.0.matrix.nrows()
    }

    /// The matrix itself.
    pub fn matrix(&self) -> MatRef<'_, f64> {
        self.0.matrix.as_ref()
    }

    /// The eigenvalues, smallest first.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.0.eigenvalues
    }

    /// The eigenvectors, one a column, in the order of the eigenvalues.
    pub fn eigenvectors(&self) -> MatRef<'_, f64> {
        self.0.eigenvectors.as_ref()
    }

    /// The entries on and below the diagonal that are not 0, as `[[row, column, value], …]`.
    pub(crate) fn entries_as_text(&self) -> String {
        let places = (0..self.nodes()).flat_map(|row| (0..=row).map(move |col| (row, col)));
        let entries = places.filter(|&place| self.matrix()[place] != 0.0);
        let entries = entries.map(|(row, col)| format!("[{row}, {col}, {}]", Number(self.matrix()[(row, col)])));
        format!("[{}]", entries.collect::<Vec<_>>().join(", "))
    }

    /// What [`entries_as_text`](Self::entries_as_text) wrote, after the number of nodes.
    pub(crate) fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        let nodes: usize = arguments.take("nodes")?;
        let entries: Vec<Vec<f64>> = arguments.take("laplacian")?;
        arguments.check_nodes(nodes)?;
        let mut matrix = Mat::zeros(nodes, nodes);
        for entry in &entries {
            let index = |value: f64| crate::kernel::index::index(value, nodes);
            let place = match entry[..] {
                [row, col, value] => index(row).zip(index(col)).map(|place| (place, value)),
                _ => None,
            };
            let Some(((row, col), value)) = place else {
                let expected = format!("must be [row, column, value] of a matrix of {nodes} nodes");
                return Err(Error::setting("the entry of the Laplacian", format!("{entry:?}"), &expected));
            };
            matrix[(row, col)] = value;
            matrix[(col, row)] = value;
        }
        Self::from_matrix(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    #[test]
    fn edges_and_adjacency_agree() {
        let edges = Laplacian::from_edges(3, &[(0, 1, 0.5), (2, 1, 2.0), (1, 0, 0.5)]).unwrap();
        let adjacency = mat![[9.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]];
        assert_eq!(edges.matrix(), Laplacian::from_adjacency(adjacency.as_ref()).unwrap().matrix());
    }

    #[test]
    fn parts_of_a_graph_have_eigenvalues_of_exactly_zero() {
        let two = Laplacian::from_edges(5, &[(0, 1, 0.3), (1, 2, 0.7), (3, 4, 0.9)]).unwrap();
        assert_eq!(two.eigenvalues()[..2], [0.0, 0.0]);
        assert!(two.eigenvalues()[2] > 0.1);
    }

    #[test]
    fn mistakes_are_refused() {
        assert!(Laplacian::from_edges(0, &[]).is_err());
        for edge in [(0, 2, 1.0), (1, 1, 1.0), (0, 1, -1.0), (0, 1, f64::NAN)] {
            assert!(Laplacian::from_edges(2, &[edge]).is_err());
        }
        assert!(Laplacian::from_matrix(mat![[1.0, 0.5], [0.4, 1.0]]).is_err());
        assert!(Laplacian::from_matrix(mat![[1.0, 2.0], [2.0, 1.0]]).is_err());
        assert!(Laplacian::from_adjacency(mat![[0.0, -1.0], [-1.0, 0.0]].as_ref()).is_err());
    }
}
