//! A covariance by roots: S = Σ PPᵀ.

/// One P of S = Σ PPᵀ, as whatever stands for a matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Root<V> {
    /// Lower triangular, M × M.
    Lower(V),
    /// Diagonal, by its entries, M × 1.
    Diagonal(V),
    /// M × r
    Columns(V),
}

impl<V> Root<V> {
    /// What stands for the matrix.
    pub(crate) fn get(&self) -> &V {
        match self {
            Self::Lower(v) | Self::Diagonal(v) | Self::Columns(v) => v,
        }
    }

    /// The same, as something else.
    pub(crate) fn with<W>(&self, other: W) -> Root<W> {
        match self {
            Self::Lower(_) => Root::Lower(other),
            Self::Diagonal(_) => Root::Diagonal(other),
            Self::Columns(_) => Root::Columns(other),
        }
    }

    pub(crate) fn try_map<'s, W, E>(&'s self, f: impl FnOnce(&'s V) -> Result<W, E>) -> Result<Root<W>, E> {
        f(self.get()).map(|other| self.with(other))
    }
}
