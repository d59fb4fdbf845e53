//! Gaussian processes of one dimension as Markov processes: time that grows with the number of observations, not with its cube.
//!
//! A kernel is a sum of products of leaves that have a state-space form ([`crate::views`]), which [`System`] makes one process of.
//! [`chain`] goes over the observations forward, for the log density; [`gradient`] and [`ask`] go back.

#![expect(clippy::needless_range_loop, reason = "an index runs over several small arrays at a time")]
#![expect(clippy::useless_vec, reason = "of many states, too large for the stack")]

mod ask;
mod carry;
mod chain;
mod gradient;
mod product;
mod query;
mod recursion;
mod simulate;
mod system;

use chain::{Indefinite, MOST_STATES, Observations, Passes, passes};
use faer::{Mat, MatRef};
use query::{Queries, Query};
use system::System;

use super::{Order, Weights, refusal};
use crate::kernel::{Expr, MarkovTerm};
use crate::views::{MarkovForm, NotMarkov, markov, markov_vjp};
use crate::{Error, Result, Scalar};

/// Observations of a kernel that is a Markov process.
#[derive(Debug)]
pub(crate) struct MarkovProcess {
    dim: usize,
    tolerance: Option<f64>,
    column: usize,
    /// The variance of white noise in the kernel, which observations have beside their own.
    white: f64,
    /// Whether noise is all that there is: the function is 0.
    silent: bool,
    system: System,
    passes: Box<dyn Passes>,
    order: Order,
    times: Vec<f64>,
    values: Vec<f64>,
    noise: Vec<f64>,
}

/// How much work there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) states: usize,
    /// The column of the inputs that is time.
    pub(crate) column: usize,
}

impl Size {
    fn of(form: &MarkovForm) -> Self {
        Self { states: form.states().max(1), column: form.column.unwrap_or(0) }
    }
}

/// The form of a kernel on inputs of so many columns, if it has not too many states.
fn form_of(kernel: &dyn Expr, dim: usize, tolerance: Option<f64>) -> std::result::Result<MarkovForm, NotMarkov> {
    let form = markov(kernel, dim, tolerance)?;
    let Size { states, .. } = Size::of(&form);
    if states > MOST_STATES {
        let why = format!("the kernel takes {states} states, and at most {MOST_STATES} are taken");
        return Err(NotMarkov(why));
    }
    Ok(form)
}

/// How many states a kernel takes on inputs of so many columns.
pub(crate) fn size(kernel: &dyn Expr, dim: usize, tolerance: Option<f64>) -> std::result::Result<Size, NotMarkov> {
    Ok(Size::of(&form_of(kernel, dim, tolerance)?))
}

/// How many terms the form of a kernel has, and the variance of white noise in it.
pub(crate) fn terms(kernel: &dyn Expr, dim: usize, tolerance: Option<f64>) -> Result<(usize, f64)> {
    let form = markov(kernel, dim, tolerance).map_err(refused)?;
    Ok((form.terms.len(), form.white()))
}

/// The name of the engine.
pub(crate) const NAME: &str = "Markov";

fn refused(NotMarkov(why): NotMarkov) -> Error {
    refusal(NAME, &why)
}

fn times_of<T: Scalar>(x: MatRef<'_, T>, column: usize) -> Vec<f64> {
    x.col(column).iter().map(|time| time.as_f64()).collect()
}

impl MarkovProcess {
    /// At these inputs, n × dim, with noise of these variances. Times have to be finite.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a kernel that is no such process; [`Error::NonFinite`] for a time.
    pub(crate) fn new<T: Scalar>(
        kernel: &dyn Expr,
        x: MatRef<'_, T>,
        noise: &[f64],
        tolerance: Option<f64>,
    ) -> Result<Self> {
        let form = form_of(kernel, x.ncols(), tolerance).map_err(refused)?;
        let Size { column, .. } = Size::of(&form);
        check_times(x, column)?;
        Ok(Self::of(form, x.ncols(), times_of(x, column), noise.to_vec(), tolerance))
    }

    /// The same for the times, in any order.
    pub(crate) fn at_times(
        kernel: &dyn Expr,
        dim: usize,
        times: Vec<f64>,
        noise: Vec<f64>,
        tolerance: Option<f64>,
    ) -> Result<Self> {
        Ok(Self::of(form_of(kernel, dim, tolerance).map_err(refused)?, dim, times, noise, tolerance))
    }

    fn of(form: MarkovForm, dim: usize, times: Vec<f64>, noise: Vec<f64>, tolerance: Option<f64>) -> Self {
        let (Size { column, .. }, white) = (Size::of(&form), form.white());
        let silent = form.terms.is_empty();
        let terms = if silent { vec![MarkovTerm::zero()] } else { form.terms };
        let system = System::new(&terms);
        let order = Order::of(&times);
        let (times, noise) = (order.sorted(times), order.sorted(noise));
        let passes = passes(&system);
        Self { dim, tolerance, column, white, silent, system, passes, order, times, values: Vec::new(), noise }
    }

    /// log N(values; 0, K + noise), of what was observed; NaN was not. What follows can be asked if `keep` is set.
    ///
    /// # Errors
    ///
    /// [`Error::NotPositiveDefinite`] where the variance of an observation given those before is 0 or not finite.
    pub(crate) fn density(&mut self, values: Vec<f64>, keep: bool) -> Result<f64> {
        self.values = self.order.sorted(values);
        let Self { system, passes, times, values, noise, white, .. } = self;
        let data = Observations { times, values, noise, white: *white };
        let density = passes.density(system, &data, keep);
        density.map_err(|why| self.indefinite(why))
    }

    fn data(&self) -> Observations<'_> {
        Observations { times: &self.times, values: &self.values, noise: &self.noise, white: self.white }
    }

    /// After [`density`](Self::density): weights in the order of the inputs; adds to `theta` the gradient in the parameters of the
    /// kernel.
    pub(crate) fn gradient(&self, kernel: &dyn Expr, theta: &mut [f64]) -> Weights {
        let mut numbers = vec![0.0; self.system.numbers()];
        let Weights { solved, precisions } = self.passes.gradient(&self.system, &self.data(), &mut numbers);
        if self.silent {
            numbers.clear();
        }
        // Noise of the kernel is noise.
        numbers.push(solved.iter().zip(&precisions).map(|(u, d)| 0.5 * (u * u - d)).sum());
        markov_vjp(kernel, self.dim, self.tolerance, &numbers, theta);
        Weights { solved: self.order.given(solved), precisions: self.order.given(precisions) }
    }

    /// The column of the inputs that is time.
    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// How many observations there are, with those that are missing.
    pub(crate) fn observed(&self) -> usize {
        self.times.len()
    }

    /// How many columns the inputs have.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// The observations as they were given: times, values and variances of the noise.
    pub(crate) fn observations(&self) -> [Vec<f64>; 3] {
        [&self.times, &self.values, &self.noise].map(|of| self.order.given(of.clone()))
    }

    /// The means and variances given the observations at other inputs, of the sum of some terms, and their variances a priori,
    /// all without white noise.
    pub(crate) fn moments<T: Scalar>(&self, x: MatRef<'_, T>, wanted: Wanted<'_>) -> [Vec<f64>; 3] {
        let (order, queries, functional) = self.queries(x, wanted);
        let asked = Queries { all: &queries, functional: &functional, joint: false };
        let found = self.passes.ask(&self.system, &self.data(), &asked);
        let prior = self.prior(&queries, &functional);
        [found.mean, found.variance, prior].map(|of| order.given(of))
    }

    /// The covariance given the observations at other inputs, of the sum of some terms, and the variances a priori.
    pub(crate) fn covariance<T: Scalar>(&self, x: MatRef<'_, T>, wanted: Wanted<'_>) -> (Mat<f64>, Vec<f64>) {
        let (order, queries, functional) = self.queries(x, wanted);
        let asked = Queries { all: &queries, functional: &functional, joint: true };
        let found = self.passes.ask(&self.system, &self.data(), &asked);
        let transitions = self.passes.transitions(&self.system, &self.data(), &queries);
        let sorted = found.covariance(&transitions);
        let places = order.places(queries.len());
        let covariance = Mat::from_fn(places.len(), places.len(), |row, col| sorted[(places[row], places[col])]);
        (covariance, order.given(self.prior(&queries, &functional)))
    }

    /// A draw given the observations at other inputs, of the sum of some terms.
    ///
    /// # Errors
    ///
    /// [`Error::NotPositiveDefinite`] as [`density`](Self::density).
    pub(crate) fn draw<T: Scalar>(
        &self,
        x: MatRef<'_, T>,
        wanted: Wanted<'_>,
        rng: &mut dyn rand::Rng,
    ) -> Result<Vec<f64>> {
        let (order, queries, functional) = self.queries(x, wanted);
        let asked = Queries { all: &queries, functional: &functional, joint: false };
        let drawn = simulate::draw(&self.system, &self.data(), &asked, rng).map_err(|why| self.indefinite(why))?;
        Ok(order.given(drawn))
    }

    fn indefinite(&self, Indefinite(index): Indefinite) -> Error {
        let mean_diagonal = self.white + self.noise.iter().sum::<f64>() / self.noise.len() as f64;
        Error::NotPositiveDefinite { pivot: self.order.place(index), jitter: 0.0, mean_diagonal }
    }

    fn queries<T: Scalar>(&self, x: MatRef<'_, T>, wanted: Wanted<'_>) -> (Order, Vec<Query>, Vec<f64>) {
        let times = times_of(x, self.column);
        let order = Order::of(&times);
        let queries = Query::all(&order.sorted(times), &self.times);
        let functional = self.system.functional(|term| wanted.is_none_or(|wanted| wanted.contains(&term)));
        (order, queries, functional)
    }

    fn prior(&self, queries: &[Query], functional: &[f64]) -> Vec<f64> {
        let variance = |covariance: &[f64]| {
            let mut sum = 0.0;
            for (row, &a) in functional.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                for (col, &b) in functional.iter().enumerate().filter(|(_, b)| **b != 0.0) {
                    sum += a * b * covariance[system::lower(row, col)];
                }
            }
            sum
        };
        if self.system.is_stationary() {
            return vec![variance(&self.system.start(0.0)); queries.len()];
        }
        queries.iter().map(|query| variance(&self.system.start(query.time))).collect()
    }

    /// The variance of the white noise in the kernel.
    pub(crate) fn white(&self) -> f64 {
        self.white
    }

    /// The tolerance of forms that are not exact.
    pub(crate) fn tolerance(&self) -> Option<f64> {
        self.tolerance
    }
}

/// Which terms of the form of a kernel are asked about; all, where there are none.
pub(crate) type Wanted<'a> = Option<&'a [usize]>;

/// Refuses times that are not finite.
pub(crate) fn check_times<T: Scalar>(x: MatRef<'_, T>, column: usize) -> Result<()> {
    match x.col(column).iter().position(|time| !time.as_f64().is_finite()) {
        None => Ok(()),
        Some(row) => {
            let value = x[(row, column)].as_f64();
            Err(Error::NonFinite { what: "x".to_owned(), row, col: column, value })
        }
    }
}
