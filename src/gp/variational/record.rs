//! q on a tape.

use faer::Mat;

use super::{Covariance, Root, Variational};
use crate::gp::terms::parameter_column;
use crate::inducing::InducingPrior;
use crate::linalg::Jitter;
use crate::params::ParameterArray;
use crate::tape::{Tape, Var};
use crate::{Result, Scalar};

/// q of the whitened variables, however it is parametrised, on a tape.
pub(in crate::gp) struct Recorded {
    /// M × 1
    pub(in crate::gp) mean: Var,
    pub(in crate::gp) roots: Vec<Root<Var>>,
    /// KL(q ‖ prior) + M/2
    pub(in crate::gp) kl: Var,
    /// What gets the gradients, in visiting order.
    pub(in crate::gp) parameters: Vec<Var>,
}

impl Variational {
    /// An unwhitened q becomes q of v = L⁻¹u, so that marginals and KL have one form:
    ///
    /// KL = ½ (‖m‖² + Σ ‖P‖² − M) − ½ log|S| for S = Σ PPᵀ, all whitened; there, log|S| is that of the
    /// parameters less log|K_uu|.
    pub(in crate::gp) fn record<T: Scalar>(&self, tape: &Tape<'_, T>, prior: &InducingPrior) -> Result<Recorded> {
        let mean = parameter_column(tape, self.mean.values());
        let (own_roots, mut half_log_det, mut parameters) = self.covariance.record(tape, self.len())?;
        parameters.insert(0, mean);
        let (mut whitened, mut roots) = (mean, own_roots);
        if !self.whitened {
            whitened = prior.whiten(tape, mean)?;
            roots = roots.iter().map(|root| root.whiten(tape, prior)).collect::<Result<_>>()?;
            half_log_det = tape.sub(half_log_det, prior.half_log_det(tape)?)?;
        }
        let mut norms = tape.sum_of_squares(whitened)?;
        for root in &roots {
            norms = tape.add(norms, tape.sum_of_squares(root.var())?)?;
        }
        let kl = tape.sub(tape.scale(norms, 0.5)?, half_log_det)?;
        Ok(Recorded { mean: whitened, roots, kl, parameters })
    }
}

impl Covariance {
    /// The roots of S, ½ log|S|, and the parameters.
    fn record<T: Scalar>(&self, tape: &Tape<'_, T>, m: usize) -> Result<(Vec<Root<Var>>, Var, Vec<Var>)> {
        match self {
            Self::Full { factor } => {
                let packed = parameter_column(tape, factor.values());
                let r = tape.lower_triangle(packed, m)?;
                Ok((vec![Root::Lower(r)], tape.log_diagonal_sum(r)?, vec![packed]))
            }
            Self::Diagonal { deviation } => {
                let d = parameter_column(tape, deviation.values());
                Ok((vec![Root::Diagonal(d)], tape.sum(tape.ln(d)?)?, vec![d]))
            }
            Self::LowRank { deviation, factor } => {
                let d = parameter_column(tape, deviation.values());
                let v = matrix(tape, factor, m);
                // |D² + VVᵀ| = |D|² |I + WᵀW|, W = D⁻¹V.
                let w = tape.scale_rows(v, tape.recip(d)?)?;
                let inner = tape.add_to_diagonal(tape.matmul_tn(w, w)?, tape.scalar_constant(1.0))?;
                let (l, _) = tape.cholesky(inner, Jitter::Fixed(0.0))?;
                let half_log_det = tape.add(tape.sum(tape.ln(d)?)?, tape.log_diagonal_sum(l)?)?;
                Ok((vec![Root::Diagonal(d), Root::Columns(v)], half_log_det, vec![d, v]))
            }
        }
    }
}

fn matrix<T: Scalar>(tape: &Tape<'_, T>, factor: &ParameterArray, rows: usize) -> Var {
    let values = factor.values();
    tape.parameter(Mat::from_fn(rows, values.len() / rows, |row, col| T::from_f64(values[col * rows + row])))
}
