//! q on a tape.

use faer::Mat;

use super::{Covariance, Root, Variational};
use crate::Result;
use crate::Scalar;
use crate::gp::terms::parameter_column;
use crate::inducing::InducingPrior;
use crate::params::ParameterArray;
use crate::tape::{Tape, Var};

/// What |S| is made of: S as q is parametrised, on a tape, and in `f64`.
pub(super) enum Determinant<'q> {
    /// S = RRᵀ.
    Triangular(Var),
    /// S = diag(d²).
    Diagonal { d: Var, deviation: &'q ParameterArray },
    /// S = diag(d²) + VVᵀ.
    LowRank { d: Var, deviation: &'q ParameterArray, v: Var, factor: &'q ParameterArray },
}

/// q of the whitened variables, however it is parametrised, on a tape.
pub(in crate::gp) struct Recorded<'q> {
    /// M × 1
    pub(in crate::gp) mean: Var,
    pub(in crate::gp) roots: Vec<Root<Var>>,
    /// What gets the gradients, in visiting order.
    pub(in crate::gp) parameters: Vec<Var>,
    /// S as it is parametrised.
    pub(super) determinant: Determinant<'q>,
    pub(super) whitened: bool,
}

impl Variational {
    /// An unwhitened q becomes q of v = L⁻¹u, so that marginals have one form.
    pub(in crate::gp) fn record<T: Scalar>(&self, tape: &Tape<'_, T>, prior: &InducingPrior) -> Result<Recorded<'_>> {
        let mean = parameter_column(tape, self.mean.values());
        let (own_roots, determinant, mut parameters) = self.covariance.record(tape, self.len())?;
        parameters.insert(0, mean);
        let (mut whitened, mut roots) = (mean, own_roots);
        if !self.whitened {
            whitened = prior.whiten(tape, mean)?;
            roots = roots.iter().map(|root| root.whiten(tape, prior)).collect::<Result<_>>()?;
        }
        Ok(Recorded { mean: whitened, roots, parameters, determinant, whitened: self.whitened })
    }
}

impl Covariance {
    /// The roots of S, what its determinant is made of, and the parameters.
    fn record<T: Scalar>(&self, tape: &Tape<'_, T>, m: usize) -> Result<(Vec<Root<Var>>, Determinant<'_>, Vec<Var>)> {
        Ok(match self {
            Self::Full { factor } => {
                let packed = parameter_column(tape, factor.values());
                let r = tape.lower_triangle(packed, m)?;
                (vec![Root::Lower(r)], Determinant::Triangular(r), vec![packed])
            }
            Self::Diagonal { deviation } => {
                let d = parameter_column(tape, deviation.values());
                (vec![Root::Diagonal(d)], Determinant::Diagonal { d, deviation }, vec![d])
            }
            Self::LowRank { deviation, factor } => {
                let d = parameter_column(tape, deviation.values());
                let v = matrix(tape, factor, m);
                let determinant = Determinant::LowRank { d, deviation, v, factor };
                (vec![Root::Diagonal(d), Root::Columns(v)], determinant, vec![d, v])
            }
        })
    }
}

fn matrix<T: Scalar>(tape: &Tape<'_, T>, factor: &ParameterArray, rows: usize) -> Var {
    let values = factor.values();
    tape.parameter(Mat::from_fn(rows, values.len() / rows, |row, col| T::from_f64(values[col * rows + row])))
}
