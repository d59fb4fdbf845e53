//! Latent inputs and their priors.

use faer::{Mat, MatRef};

use super::back_constraint::BackConstraint;
use super::expectations::GaussianInputs;
use crate::data::check_finite;
use crate::gp::terms::matrix_on;
use crate::gp::units;
use crate::params::{Constraint, Label, ParameterArray, Parameterized, Visitor, VisitorMut};
use crate::tape::{Tape, Var};
use crate::{Error, Result};

/// N × Q locations: free, or a function of the outputs.
#[derive(Clone, Debug)]
pub(super) struct Locations {
    name: &'static str,
    pub(super) source: Source,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Free(ParameterArray),
    Mapped(BackConstraint),
}

impl Locations {
    pub(super) fn free(name: &'static str, locations: MatRef<'_, f64>) -> Result<Self> {
        check_finite(&format!("the latent {name}"), locations)?;
        let array = ParameterArray::of_matrix(name, locations, Constraint::Real)?;
        Ok(Self { name, source: Source::Free(array) })
    }

    pub(super) fn mapped(&self, map: BackConstraint) -> Result<Self> {
        let (expected, found) = (self.shape(), map.shape());
        if found != expected {
            let expected = format!("{} x {}, as the latent inputs have", expected.0, expected.1);
            return Err(Error::shape("the weights of the back-constraint", expected, found));
        }
        Ok(Self { name: self.name, source: Source::Mapped(map) })
    }

    /// N and Q.
    pub(super) fn shape(&self) -> (usize, usize) {
        match &self.source {
            Source::Free(array) => array.as_matrix().shape(),
            Source::Mapped(map) => map.shape(),
        }
    }

    /// The units of the parameters, in visiting order: those of free locations by the prior.
    pub(super) fn units(&self, prior: &LatentPrior) -> Vec<f64> {
        match &self.source {
            Source::Free(_) => prior.units(),
            Source::Mapped(map) => units::ones(map),
        }
    }

    /// The locations and their parameters, in visiting order.
    pub(super) fn on<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        y: Var<'t, f64>,
        differentiable: bool,
    ) -> Result<(Var<'t, f64>, Vec<Var<'t, f64>>)> {
        match &self.source {
            Source::Free(array) => {
                let locations = matrix_on(tape, array, differentiable);
                Ok((locations, vec![locations]))
            }
            Source::Mapped(map) => map.on(tape, y, differentiable),
        }
    }
}

impl Parameterized for Locations {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        match &self.source {
            Source::Free(array) => visitor.parameter(array.view(self.name)),
            Source::Mapped(map) => visitor.child(Label::Part("map"), map),
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        match &mut self.source {
            Source::Free(array) => visitor.parameter(array.view_mut(self.name)),
            Source::Mapped(map) => visitor.child(Label::Part("map"), map),
        }
    }
}

/// Means and variances of latent inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentMarginals {
    /// N × Q
    pub mean: Mat<f64>,
    /// N × Q
    pub variance: Mat<f64>,
}

/// q(X) = Π N(xₙ_q; μₙ_q, Sₙ_q).
#[derive(Clone, Debug)]
pub(super) struct GaussianLatents {
    pub(super) mean: Locations,
    pub(super) variance: ParameterArray,
}

impl GaussianLatents {
    pub(super) fn new(mean: MatRef<'_, f64>, variance: MatRef<'_, f64>) -> Result<Self> {
        let mean = Locations::free("mean", mean)?;
        let (rows, cols) = mean.shape();
        if variance.shape() != (rows, cols) {
            let expected = format!("{rows} x {cols}, as the means have");
            return Err(Error::shape("the latent variances", expected, variance.shape()));
        }
        let variance = ParameterArray::of_matrix("variance", variance, Constraint::Positive)?;
        Ok(Self { mean, variance })
    }

    /// The units of the parameters, in visiting order; variances have none, on a logarithmic scale.
    pub(super) fn units(&self, prior: &LatentPrior) -> Vec<f64> {
        [self.mean.units(prior), vec![1.0; self.variance.values().len()]].concat()
    }

    pub(super) fn variance(&self) -> Mat<f64> {
        self.variance.as_matrix().to_owned()
    }

    /// The inputs and their parameters, in visiting order.
    pub(super) fn on<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        y: Var<'t, f64>,
        differentiable: bool,
    ) -> Result<(GaussianInputs<'t>, Vec<Var<'t, f64>>)> {
        let (mean, mut parameters) = self.mean.on(tape, y, differentiable)?;
        let variance = matrix_on(tape, &self.variance, differentiable);
        parameters.push(variance);
        Ok((GaussianInputs { mean, variance }, parameters))
    }
}

crate::parameterized!(GaussianLatents as "", inner: mean, parameters: [variance]);

/// p(X) = Π N(xₙ_q; m₀, v₀), each entry on its own.
#[derive(Clone, Debug)]
pub(super) struct LatentPrior {
    pub(super) mean: Mat<f64>,
    pub(super) variance: Mat<f64>,
}

impl LatentPrior {
    pub(super) fn standard((n, q): (usize, usize)) -> Self {
        Self { mean: Mat::zeros(n, q), variance: Mat::full(n, q, 1.0) }
    }

    pub(super) fn new(mean: MatRef<'_, f64>, variance: MatRef<'_, f64>, shape: (usize, usize)) -> Result<Self> {
        for (what, array) in [("the latent prior means", mean), ("the latent prior variances", variance)] {
            if array.shape() != shape {
                let expected = format!("{} x {}, as the latent inputs have", shape.0, shape.1);
                return Err(Error::shape(what, expected, array.shape()));
            }
            check_finite(what, array)?;
        }
        for row in 0..shape.0 {
            for col in 0..shape.1 {
                let value = variance[(row, col)];
                if value <= 0.0 || !value.recip().is_finite() {
                    let path = format!("prior variance[{row}, {col}]");
                    let expected = "positive, with a finite reciprocal".to_owned();
                    return Err(Error::Parameter { path, value, expected });
                }
            }
        }
        Ok(Self { mean: mean.to_owned(), variance: variance.to_owned() })
    }

    /// The units of locations of this shape, column by column: their deviations.
    pub(super) fn units(&self) -> Vec<f64> {
        self.variance.col_iter().flat_map(|column| column.iter().map(|variance| variance.sqrt())).collect()
    }

    /// The deviations of a location in each column, whichever row it is of.
    pub(super) fn spreads(&self) -> Vec<f64> {
        let of = |col: usize| {
            let (mean, variance) = (self.mean.col(col), self.variance.col(col));
            let count = mean.nrows() as f64;
            let centre = mean.sum() / count;
            let squares = mean.iter().zip(variance.iter()).map(|(mean, v)| (mean - centre).powi(2) + v);
            (squares.sum::<f64>() / count).sqrt()
        };
        (0..self.mean.ncols()).map(of).collect()
    }

    /// log p(X), 1 × 1.
    pub(super) fn log_density<'t, 'a>(&'a self, tape: &'t Tape<'a, f64>, x: Var<'t, f64>) -> Var<'t, f64> {
        let squares = self.scaled(tape, self.apart(tape, x).square());
        let offset = self.log_variances() + self.len() * std::f64::consts::TAU.ln();
        -0.5 * (squares.sum() + offset)
    }

    /// KL(q ‖ p) = ½ Σ (S/v₀ + (μ − m₀)²/v₀ − 1 − log(S/v₀)), 1 × 1.
    pub(super) fn divergence<'t, 'a>(&'a self, tape: &'t Tape<'a, f64>, q: GaussianInputs<'t>) -> Var<'t, f64> {
        let squares = self.apart(tape, q.mean).square();
        let ratios = self.scaled(tape, squares + q.variance);
        0.5 * (ratios.sum() - q.variance.ln().sum() + (self.log_variances() - self.len()))
    }

    fn apart<'t, 'a>(&'a self, tape: &'t Tape<'a, f64>, x: Var<'t, f64>) -> Var<'t, f64> {
        x - tape.constant(self.mean.as_ref())
    }

    fn scaled<'t>(&self, tape: &'t Tape<'_, f64>, squares: Var<'t, f64>) -> Var<'t, f64> {
        let (rows, cols) = self.variance.shape();
        let inverse = Mat::from_fn(rows, cols, |row, col| 1.0 / self.variance[(row, col)]);
        squares.hadamard(tape.constant_owned(inverse))
    }

    fn log_variances(&self) -> f64 {
        self.variance.col_iter().flat_map(|col| col.iter()).map(|value| value.ln()).sum()
    }

    fn len(&self) -> f64 {
        (self.variance.nrows() * self.variance.ncols()) as f64
    }
}
