//! Noise of several outputs.

use faer::Mat;

use crate::gp::terms::{Term, output_covariance, parameter_column};
use crate::kernels::Coregionalization;
use crate::params::{Constraint, Label, ParameterArray, Parameterized, Shape, Visitor, VisitorMut};
use crate::tape::Tape;
use crate::{Error, Result, Scalar};

/// The covariance Σ of the noise of P outputs at a point.
#[derive(Clone, Debug)]
pub(super) enum OutputNoise {
    /// A variance for each.
    Independent(ParameterArray),
    Correlated(Coregionalization),
}

impl OutputNoise {
    pub(super) fn independent(variances: &[f64], outputs: usize) -> Result<Self> {
        if variances.len() != outputs {
            let expected = format!("{outputs} value(s), one for each output");
            return Err(Error::shape("the noise variances", expected, (variances.len(), 1)));
        }
        let shape = Shape::Vector(outputs);
        Ok(Self::Independent(ParameterArray::new("variance", variances.to_vec(), shape, Constraint::Positive)?))
    }

    /// Σ, as a matrix.
    pub(super) fn covariance(&self) -> Mat<f64> {
        let (low_rank, own) = match self {
            Self::Independent(variances) => (Mat::zeros(variances.values().len(), 0), variances.values()),
            Self::Correlated(matrix) => (matrix.weights().to_owned(), matrix.diagonal()),
        };
        let mut covariance = &low_rank * low_rank.transpose();
        own.iter().enumerate().for_each(|(output, own)| covariance[(output, output)] += own);
        covariance
    }

    /// Σ.
    pub(super) fn record<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        differentiable: bool,
    ) -> Result<Term<'t, T>> {
        match self {
            Self::Independent(variance) => {
                let (theta, count) = (parameter_column(tape, variance.values()), variance.values().len());
                let empty = tape.constant_owned(Mat::zeros(count, count));
                Ok(Term { value: empty.add_diagonal(theta), theta })
            }
            Self::Correlated(matrix) => output_covariance(tape, matrix, differentiable),
        }
    }
}

impl Parameterized for OutputNoise {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        match self {
            Self::Independent(variance) => visitor.parameter(variance.view("variance")),
            Self::Correlated(matrix) => visitor.child(Label::Only, matrix),
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        match self {
            Self::Independent(variance) => visitor.parameter(variance.view_mut("variance")),
            Self::Correlated(matrix) => visitor.child(Label::Only, matrix),
        }
    }
}
