//! Mixtures with orthogonal columns.

use faer::{Mat, MatRef};

use crate::gp::terms::parameter_column;
use crate::linalg::{Cholesky, Jitter, cast};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::tape::{Tape, Var};
use crate::{Error, Result, Scalar};

/// Columns count as orthogonal if the cosine of their angle is below this: what rounding leaves of a decomposition.
const LARGEST_COSINE: f64 = 1e-8;

/// A Cholesky decomposition of WᵀW leaves UᵀU = I to ε κ(W)², which the evidence would not forgive; a second one, of UᵀU,
/// to ε.
const PASSES: usize = 2;

/// A P × m matrix H = U S^(1/2) with orthonormal columns in U, and S diagonal and positive.
///
/// The parameter is W, P × m, of which U is the orthonormal basis that the Gram–Schmidt process gives, U = W R⁻¹ with R
/// upper triangular: every U is reached, without constraints, and W counts up to a triangular factor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Orthogonal {
    pub(super) basis: ParameterArray,
    pub(super) scale: ParameterArray,
}

crate::parameterized!(Orthogonal as "", parameters: [basis, scale]);

/// Uᵀ, m × P, and S, m × 1, with what gets the gradients.
pub(super) struct Recorded<'t, T: Scalar> {
    pub(super) basis: Var<'t, T>,
    pub(super) scale: Var<'t, T>,
    pub(super) parameters: [Var<'t, T>; 2],
}

impl Orthogonal {
    pub(super) fn new(mixing: MatRef<'_, f64>) -> Result<Self> {
        crate::data::check_finite("the mixing matrix", mixing)?;
        let (outputs, functions) = mixing.shape();
        if functions > outputs {
            let expected = format!("at most {outputs} column(s), as many as it has rows: more cannot be orthogonal");
            return Err(Error::shape("the mixing matrix", expected, mixing.shape()));
        }
        let scale: Vec<f64> = (0..functions).map(|col| mixing.col(col).squared_norm_l2()).collect();
        if let Some(col) = scale.iter().position(|&square| square == 0.0) {
            let expected = "must have a norm above 0";
            return Err(Error::setting(&format!("column {col} of the mixing matrix"), 0, expected));
        }
        for (i, j) in (0..functions).flat_map(|i| (0..i).map(move |j| (i, j))) {
            let cosine = mixing.col(i).transpose() * mixing.col(j) / (scale[i] * scale[j]).sqrt();
            if cosine.abs() > LARGEST_COSINE {
                let name = format!("the cosine of columns {j} and {i} of the mixing matrix");
                let expected = "must be 0: outputs of a mixture that is not orthogonal do not fall apart into independent \
                                problems; give them, as `Stacked`, to an `ExactGp`";
                return Err(Error::setting(&name, cosine, expected));
            }
        }
        let basis = Mat::from_fn(outputs, functions, |row, col| mixing[(row, col)] / scale[col].sqrt());
        Ok(Self {
            basis: ParameterArray::of_matrix("basis", basis.as_ref(), Constraint::Real)?,
            scale: ParameterArray::new("scale", scale, Shape::Vector(functions), Constraint::Positive)?,
        })
    }

    /// P.
    pub(super) fn outputs(&self) -> usize {
        self.basis.values().len() / self.functions()
    }

    /// m.
    pub(super) fn functions(&self) -> usize {
        self.scale.values().len()
    }

    /// S.
    pub(super) fn scale(&self) -> &[f64] {
        self.scale.values()
    }

    /// U.
    pub(super) fn basis(&self) -> Result<Mat<f64>> {
        let mut transposed = self.basis.as_matrix().transpose().to_owned();
        for _ in 0..PASSES {
            let gram =
                Cholesky::new((&transposed * transposed.transpose()).as_ref(), Jitter::Fixed(0.0), faer::Par::Seq)?;
            gram.solve_lower_in_place(transposed.as_mut(), faer::Par::Seq)?;
        }
        Ok(transposed.transpose().to_owned())
    }

    /// H.
    pub(super) fn matrix(&self) -> Result<Mat<f64>> {
        let mut matrix = self.basis()?;
        for (col, scale) in self.scale().iter().enumerate() {
            matrix.col_as_slice_mut(col).iter_mut().for_each(|entry| *entry *= scale.sqrt());
        }
        Ok(matrix)
    }

    pub(super) fn record<'t, T: Scalar>(&self, tape: &'t Tape<'_, T>) -> Result<Recorded<'t, T>> {
        let parameter = tape.parameter(cast(self.basis.as_matrix()));
        let scale = parameter_column(tape, self.scale());
        let mut basis = parameter.transpose();
        for _ in 0..PASSES {
            let (l, _) = basis.matmul_nt(basis).cholesky(Jitter::Fixed(0.0))?;
            basis = l.solve_lower(basis);
        }
        Ok(Recorded { basis, scale, parameters: [parameter, scale] })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::params::ParameterizedExt;
    use faer::mat;

    #[test]
    fn any_parameter_is_an_orthonormal_basis() {
        let mixing = mat![[2.0, 0.0], [0.0, 3.0], [0.0, 4.0]];
        let mut orthogonal = Orthogonal::new(mixing.as_ref()).unwrap();
        assert!((orthogonal.matrix().unwrap() - &mixing).norm_max() < 1e-15);
        orthogonal.set_values(&[0.3, -1.0, 2.0, 0.4, 0.5, 0.1, 4.0, 9.0]).unwrap();
        let basis = orthogonal.basis().unwrap();
        assert!((basis.transpose() * &basis - Mat::<f64>::identity(2, 2)).norm_max() < 1e-15);
        let matrix = orthogonal.matrix().unwrap();
        assert!((matrix.transpose() * &matrix - mat![[4.0, 0.0], [0.0, 9.0]]).norm_max() < 1e-14);
        // The first column keeps its direction.
        assert!((basis[(2, 0)] / basis[(0, 0)] - 2.0 / 0.3).abs() < 1e-13);
    }

    #[test]
    fn what_is_not_orthogonal_is_refused() {
        let refused = |mixing: Mat<f64>| Orthogonal::new(mixing.as_ref()).unwrap_err();
        let skew = refused(mat![[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        assert!(skew.to_string().starts_with("the cosine of columns 0 and 2"), "{skew}");
        assert!(matches!(refused(mat![[1.0, 0.0]]), Error::Shape { .. }));
        assert!(matches!(refused(mat![[1.0, 0.0], [1.0, 0.0]]), Error::Setting { .. }));
        assert!(matches!(refused(mat![[f64::NAN]]), Error::NonFinite { .. }));
    }
}
