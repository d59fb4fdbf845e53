//! Active dimensions.

use std::fmt;

use super::{Warp, WarpExpr};
use crate::kernel::{FeatureGradients, Points, Psd, Variable};
use crate::{Error, Real, Result, Scalar};

/// Some dimensions of the points, in the order given and as often as given: the warp behind
/// [`on`](crate::algebra::Compose::on).
///
/// # Definition
///
/// f(x) = (x_{i₁}, …, x_{iₘ})
///
/// Dimensions that are not named are never read: a NaN in them changes nothing.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Linear::new(1.0).on([2, 0]);
/// assert_eq!(kernel.eval(&[1.0, f64::NAN, 3.0], &[5.0, 0.0, 7.0])?, 26.0);
/// assert_eq!(Linear::new(1.0).on(1..3).to_string(), "on(linear(variance=1), [1, 2])");
///
/// let error = kernel.eval(&[1.0], &[2.0]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`on(linear(variance=1), [2, 0])` reads dimension 2, but the points have 1 dimension(s)",
/// );
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "active_dims", alias = "active dimensions")]
pub struct Select {
    dims: Vec<usize>,
}

crate::parameterized!(Select as "on", parameters: []);

impl Select {
    /// The dimensions named, counted from 0.
    ///
    /// # Panics
    ///
    /// If there are none; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(dims: impl IntoIterator<Item = usize>) -> Self {
        crate::error::literal(Self::try_new(dims))
    }

    /// The dimensions named, counted from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there are none.
    pub fn try_new(dims: impl IntoIterator<Item = usize>) -> Result<Self> {
        let dims: Vec<usize> = dims.into_iter().collect();
        if dims.is_empty() {
            return Err(Error::Empty { what: "the list of dimensions".to_owned() });
        }
        Ok(Self { dims })
    }

    /// The first dimensions, at least one.
    pub(crate) fn first(count: usize) -> Self {
        Self { dims: (0..count).collect() }
    }

    /// The dimensions, in order.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }
}

crate::construct!(Select: try_new(dims: Vec<usize>));

impl WarpExpr for Select {
    fn output_dim(&self, dim: usize) -> Result<usize> {
        match self.dims.iter().find(|&&selected| selected >= dim) {
            None => Ok(self.dims.len()),
            Some(missing) => Err(Error::Dimension {
                kernel: format!("on(…, {:?})", self.dims),
                needs: format!("reads dimension {missing}"),
                found: dim,
            }),
        }
    }

    fn psd(&self, kernel: Psd) -> Psd {
        if kernel.holds_in(self.dims.len()) { Psd::Always } else { Psd::Unknown }
    }

    fn reads(&self, dim: usize, made: &[bool]) -> Vec<bool> {
        let mut reads = vec![false; dim];
        for (&selected, &read) in self.dims.iter().zip(made) {
            reads[selected] |= read;
        }
        reads
    }

    fn source(&self, column: usize) -> Option<usize> {
        self.dims.get(column).copied()
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn matrix(&self, _: &[Variable], dim: usize) -> Option<Vec<Vec<Variable>>> {
        let row = |&selected| (0..dim).map(|col| Variable::from_f64(f64::from(u8::from(selected == col)))).collect();
        Some(self.dims.iter().map(row).collect())
    }

    fn keeps_axes(&self) -> bool {
        true
    }

    fn differentiable(&self) -> bool {
        true
    }

    fn write_text(&self, kernel: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on({kernel}, {:?})", self.dims)
    }
}

impl<T: Scalar> Warp<T> for Select {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        points.select(&self.dims)
    }

    #[inline]
    fn point(&self, x: &[T], out: &mut [T]) {
        for (out, &dim) in out.iter_mut().zip(&self.dims) {
            *out = x[dim];
        }
    }

    fn backward(
        &self,
        points: &Points<'_, T>,
        made: &Points<'_, T>,
        gradients: &mut FeatureGradients<T>,
        _: &mut [f64],
    ) {
        if points.is_same_memory(made) {
            return;
        }
        let Some(in_made) = gradients.take(made) else { return };
        let Some(in_points) = gradients.at_mut(points) else { return };
        for (col, &dim) in self.dims.iter().enumerate() {
            for row in 0..in_made.nrows() {
                in_points[(row, dim)] += in_made[(row, col)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::GradientRequest;
    use crate::prelude::*;

    #[test]
    fn a_dimension_counts_as_often_as_it_is_named() {
        assert!(Select::try_new([]).is_err());
        let kernel = Linear::new(0.5).on([1, 0, 1]);
        assert_eq!(kernel.eval(&[2.0, 3.0], &[5.0, 7.0]).unwrap(), 0.5 * (10.0 + 2.0 * 21.0));
        let w = mat![[1.0]];
        let (x, y) = (mat![[2.0, 3.0]], mat![[5.0, 7.0]]);
        let gradients = kernel.cross_vjp(x.as_ref(), y.as_ref(), w.as_ref(), GradientRequest::ALL).unwrap();
        assert_eq!(gradients.x.unwrap(), mat![[2.5, 7.0]]);
        assert!(Select::try_new(3..3).is_err());
        assert_eq!(Select::new(0..3), Select::new(vec![0, 1, 2]));
    }
}
