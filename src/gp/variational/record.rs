//! q on a tape.

use faer::Mat;

use super::{Covariance, Variational};
use crate::Result;
use crate::Scalar;
use crate::gp::terms::parameter_column;
use crate::inducing::InducingPrior;
use crate::linalg::Root;
use crate::params::ParameterArray;
use crate::tape::{Tape, Var};

/// What |S| is made of: S as q is parametrised, on a tape, and in `f64`.
pub(super) enum Determinant<'t, 'q, T: Scalar> {
    /// S = RRᵀ.
    Triangular(Var<'t, T>),
    /// S = diag(d²).
    Diagonal { d: Var<'t, T>, deviation: &'q ParameterArray },
    /// S = diag(d²) + VVᵀ.
    LowRank { d: Var<'t, T>, deviation: &'q ParameterArray, v: Var<'t, T>, factor: &'q ParameterArray },
}

/// q of the whitened variables, however it is parametrised, on a tape.
pub(in crate::gp) struct Recorded<'t, 'q, T: Scalar> {
    /// M × 1
    pub(in crate::gp) mean: Var<'t, T>,
    pub(in crate::gp) roots: Vec<Root<Var<'t, T>>>,
    /// What gets the gradients, in visiting order.
    pub(in crate::gp) parameters: Vec<Var<'t, T>>,
    /// S as it is parametrised.
    pub(super) determinant: Determinant<'t, 'q, T>,
    pub(super) whitened: bool,
}

impl Variational {
    /// An unwhitened q becomes q of v = L⁻¹u, so that marginals have one form.
    pub(in crate::gp) fn record<'t, T: Scalar>(
        &self,
        tape: &'t Tape<'_, T>,
        prior: &InducingPrior<'t, T>,
    ) -> Result<Recorded<'t, '_, T>> {
        let mean = parameter_column(tape, self.mean.values());
        let (own_roots, determinant, mut parameters) = self.covariance.record(tape, self.len())?;
        parameters.insert(0, mean);
        let (mut whitened, mut roots) = (mean, own_roots);
        if !self.whitened {
            whitened = prior.whiten(mean);
            roots = roots.iter().map(|root| root.whiten(tape, prior)).collect::<Result<_>>()?;
        }
        Ok(Recorded { mean: whitened, roots, parameters, determinant, whitened: self.whitened })
    }
}

/// The roots of S, what its determinant is made of, and the parameters.
type Covered<'t, 'q, T> = (Vec<Root<Var<'t, T>>>, Determinant<'t, 'q, T>, Vec<Var<'t, T>>);

impl Covariance {
    fn record<'t, T: Scalar>(&self, tape: &'t Tape<'_, T>, m: usize) -> Result<Covered<'t, '_, T>> {
        Ok(match self {
            Self::Full { factor } => {
                let packed = parameter_column(tape, factor.values());
                let r = packed.lower_triangle(m);
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

fn matrix<'t, T: Scalar>(tape: &'t Tape<'_, T>, factor: &ParameterArray, rows: usize) -> Var<'t, T> {
    let values = factor.values();
    tape.parameter(Mat::from_fn(rows, values.len() / rows, |row, col| T::from_f64(values[col * rows + row])))
}
