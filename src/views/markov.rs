//! Kernels of one dimension as Markov processes.
//!
//! A kernel is brought into a sum of products of leaves: products are multiplied out, which leaves the number of states as it is
//! and makes blocks small, and what stretches the inputs multiplies the unit of time of each leaf.

use super::{constants, of_coordinates, pull_back, with_theta};
use crate::Real;
use crate::kernel::{Expr, MarkovFactor, MarkovTerm, Node, Structure, Variable, text};
use crate::params::ParameterizedExt;

/// So many terms are taken.
const MOST_TERMS: usize = 256;

/// Why a kernel is no Markov process, with the subexpression that is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotMarkov(pub(crate) String);

type Result<T> = std::result::Result<T, NotMarkov>;

/// A kernel of one dimension as a sum of Markov processes and white noise.
#[derive(Clone, Debug)]
pub(crate) struct MarkovForm {
    /// The column of the inputs that is time; none of a kernel that is the same everywhere.
    pub(crate) column: Option<usize>,
    /// The terms.
    pub(crate) terms: Vec<MarkovTerm>,
    /// The variance of white noise.
    white: Option<Variable>,
}

impl MarkovForm {
    fn terms(column: Option<usize>, terms: Vec<MarkovTerm>) -> Self {
        Self { column, terms, white: None }
    }

    /// The variance of the white noise.
    pub(crate) fn white(&self) -> f64 {
        self.white.map_or(0.0, |white| white.value)
    }

    /// All numbers: for each term the variance and the numbers of the factors, and the variance of white noise.
    fn numbers(&self) -> Vec<Variable> {
        let of_term = |term: &MarkovTerm| {
            std::iter::once(term.variance)
                .chain(term.factors.iter().flat_map(|factor| factor.numbers.clone()))
                .collect()
        };
        let of_terms = self.terms.iter().flat_map(|term| -> Vec<Variable> { of_term(term) });
        of_terms.chain([self.white.unwrap_or(Variable::from_f64(0.0))]).collect()
    }

    /// Whether every term is.
    pub(crate) fn is_stationary(&self) -> bool {
        self.terms.iter().all(|term| term.factors.iter().all(is_stationary))
    }

    /// The number of states.
    pub(crate) fn states(&self) -> usize {
        let of = |factor: &MarkovFactor| at_numbers(factor).states();
        let product = |term: &MarkovTerm| term.factors.iter().map(of).fold(1, usize::saturating_mul);
        self.terms.iter().map(product).fold(0, usize::saturating_add)
    }

    fn plus(mut self, other: Self, kernel: &dyn Expr) -> Result<Self> {
        self.column = self.one_column(&other, kernel)?;
        self.terms.extend(other.terms);
        self.white = match (self.white, other.white) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        Ok(self)
    }

    fn times(self, other: &Self, kernel: &dyn Expr) -> Result<Self> {
        let column = self.one_column(other, kernel)?;
        if self.terms.len() * other.terms.len() > MOST_TERMS {
            return Err(NotMarkov(format!("`{}` has more than {MOST_TERMS} terms", text(kernel))));
        }
        let terms = self.terms.iter().flat_map(|a| {
            other.terms.iter().map(|b| MarkovTerm {
                variance: a.variance * b.variance,
                factors: [a.factors.clone(), b.factors.clone()].concat(),
            })
        });
        // What is multiplied by noise is noise, of the variance that it has at one time.
        let mut white = None;
        let mut add = |of: Option<Variable>, by: Option<Variable>| {
            if let (Some(of), Some(by)) = (of, by) {
                white = Some(white.map_or(of * by, |white: Variable| white + of * by));
            }
        };
        add(self.white, other.white);
        for (noise, process) in [(self.white, other), (other.white, &self)] {
            if noise.is_some() && !process.terms.is_empty() {
                if !process.is_stationary() {
                    let why = format!("`{}` is noise whose variance changes with time", text(kernel));
                    return Err(NotMarkov(why));
                }
                let total = process.terms.iter().fold(Variable::from_f64(0.0), |sum, term| sum + term.variance);
                add(noise, Some(total));
            }
        }
        Ok(Self { column, terms: terms.collect(), white })
    }

    fn scaled(mut self, by: Variable) -> Self {
        self.terms.iter_mut().for_each(|term| term.variance *= by);
        self.white = self.white.map(|white| white * by);
        self
    }

    fn one_column(&self, other: &Self, kernel: &dyn Expr) -> Result<Option<usize>> {
        match (self.column, other.column) {
            (Some(a), Some(b)) if a != b => {
                Err(NotMarkov(format!("`{}` reads more than one column of the inputs", text(kernel))))
            }
            (a, b) => Ok(a.or(b)),
        }
    }
}

fn at_numbers(factor: &MarkovFactor) -> Box<dyn crate::kernel::StateSpace> {
    factor.family.at(&factor.numbers.iter().map(|number| number.value).collect::<Vec<_>>())
}

fn is_stationary(factor: &MarkovFactor) -> bool {
    at_numbers(factor).is_stationary()
}

/// The form of a kernel on points of this dimension. Forms that are not exact are taken where there is a tolerance: the largest
/// error of a correlation.
pub(crate) fn markov(kernel: &dyn Expr, dim: usize, tolerance: Option<f64>) -> Result<MarkovForm> {
    of(kernel, &constants(kernel), &start(dim), tolerance)
}

/// Adds to `theta` the gradient in the parameters, given that in the numbers of the form: for each term the variance and the
/// numbers of its factors, then the variance of white noise.
pub(crate) fn markov_vjp(kernel: &dyn Expr, dim: usize, tolerance: Option<f64>, cotangents: &[f64], theta: &mut [f64]) {
    pull_back(kernel, cotangents, theta, |theta| {
        of(kernel, theta, &start(dim), tolerance).ok().map(|form| form.numbers())
    });
}

/// A coordinate that a node reads: the column of the inputs that it is, in this unit.
#[derive(Clone, Copy)]
struct Axis {
    column: usize,
    unit: Variable,
}

fn start(dim: usize) -> Vec<Axis> {
    (0..dim).map(|column| Axis { column, unit: Variable::from_f64(1.0) }).collect()
}

fn of(kernel: &dyn Expr, theta: &[Variable], axes: &[Axis], tolerance: Option<f64>) -> Result<MarkovForm> {
    let why = |why: &str| NotMarkov(format!("`{}` {why}", text(kernel)));
    let no = |reason: &str| Err(why(reason));
    let inner = |part: &Node, own: &[Variable]| of(part, own, axes, tolerance);
    let not_negative = |value: f64| {
        if value >= 0.0 { Ok(()) } else { Err(why("is no covariance")) }
    };
    match kernel.structure() {
        Structure::Leaf(views) if views.constant => {
            not_negative(theta[0].value)?;
            Ok(MarkovForm::terms(None, vec![MarkovTerm { variance: theta[0], factors: Vec::new() }]))
        }
        Structure::Leaf(views) if views.white => {
            Ok(MarkovForm { column: None, terms: Vec::new(), white: Some(theta[0]) })
        }
        Structure::Leaf(views) => {
            let Some(view) = views.markov else { return no("is not known to be a Markov process") };
            let [axis] = axes else { return no("reads more than one column of the inputs") };
            let mut terms =
                view.terms(theta, tolerance).map_err(|why| NotMarkov(format!("`{}` {why}", text(kernel))))?;
            for factor in terms.iter_mut().flat_map(|term| &mut term.factors) {
                factor.numbers[0] *= axis.unit;
            }
            Ok(MarkovForm::terms(Some(axis.column), terms))
        }
        Structure::Same(part) | Structure::Boxed(part) => inner(part, theta),
        Structure::Scaled(factor, part) => {
            not_negative(factor)?;
            Ok(inner(part, &theta[1..])?.scaled(theta[0]))
        }
        Structure::Sum(parts) => {
            let mut all = MarkovForm::terms(None, Vec::new());
            for (part, own) in with_theta(parts, theta) {
                all = all.plus(inner(part, own)?, kernel)?;
            }
            if all.terms.len() > MOST_TERMS { no(&format!("has more than {MOST_TERMS} terms")) } else { Ok(all) }
        }
        Structure::Product(parts) => {
            let mut all = one();
            for (part, own) in with_theta(parts, theta) {
                all = all.times(&inner(part, own)?, kernel)?;
            }
            Ok(all)
        }
        Structure::Power(exponent, part) => {
            let base = inner(part, theta)?;
            (0..exponent).try_fold(one(), |all, _| all.times(&base, kernel))
        }
        Structure::Warped(warp, part) if warp.keeps_axes() => {
            let (of_warp, of_part) = theta.split_at(warp.num_params());
            let Some(rows) = warp.matrix(of_warp, axes.len()) else {
                return no("maps its inputs in a way that is not known");
            };
            let mut made = Vec::with_capacity(rows.len());
            for row in &rows {
                match row.iter().position(|entry| entry.value != 0.0) {
                    Some(at) if row[at].value > 0.0 => {
                        made.push(Axis { column: axes[at].column, unit: axes[at].unit / row[at] });
                    }
                    _ => return no("reverses or forgets a coordinate"),
                }
            }
            of(part, of_part, &made, tolerance)
        }
        Structure::Distance(Some(_), part) if axes.len() == 1 && part.properties().stationary => inner(part, theta),
        Structure::Additive(bases) if axes.len() == 1 => {
            let (variances, mut parts) = of_coordinates(bases, theta, 1);
            match (variances, parts.next()) {
                ([variance, ..], Some((part, own))) => Ok(inner(part, own)?.scaled(*variance)),
                _ => no("is not known to be a Markov process"),
            }
        }
        _ => no("is not known to be a Markov process"),
    }
}

/// 1, the empty product.
fn one() -> MarkovForm {
    MarkovForm::terms(None, vec![MarkovTerm { variance: Variable::from_f64(1.0), factors: Vec::new() }])
}
