//! Gaussian processes of one dimension as Markov processes: time that grows with the number of observations, not with its cube.
//!
//! A kernel is a sum of products of leaves that have a state-space form ([`crate::views`]), which [`System`] makes one process of.
//! [`chain`] goes over the observations, forward for the log density, and backward for its gradient and for predictions.

#![expect(clippy::needless_range_loop, reason = "an index runs over several small arrays at a time")]
#![expect(clippy::useless_vec, reason = "of many states, too large for the stack")]

mod chain;
mod product;
mod query;
mod recursion;
mod simulate;
mod system;

use chain::{Indefinite, MOST_STATES, Observations, Passes, Weights, passes};
use faer::{Mat, MatRef};
use query::{Queries, Query};
use system::System;

use crate::kernel::Expr;
use crate::views::{NotMarkov, markov, markov_vjp};
use crate::{Error, Result, Scalar};

/// Observations of a kernel that is a Markov process.
#[derive(Debug)]
pub(crate) struct MarkovProcess {
    dim: usize,
    tolerance: Option<f64>,
    column: usize,
    /// The variance of white noise in the kernel, which observations have beside their own.
    white: f64,
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

/// How many states a kernel takes on inputs of so many columns.
pub(crate) fn size(kernel: &dyn Expr, dim: usize, tolerance: Option<f64>) -> std::result::Result<Size, NotMarkov> {
    let form = markov(kernel, dim, tolerance)?;
    let states = form.states().max(1);
    if states > MOST_STATES {
        let why = format!("the kernel takes {states} states, and at most {MOST_STATES} are taken");
        return Err(NotMarkov(why));
    }
    Ok(Size { states, column: form.column.unwrap_or(0) })
}

/// How many terms the form of a kernel has, and the variance of white noise in it.
pub(crate) fn terms(kernel: &dyn Expr, dim: usize, tolerance: Option<f64>) -> Result<(usize, f64)> {
    let form = markov(kernel, dim, tolerance).map_err(|why| refusal(&why))?;
    Ok((form.terms.len(), form.white()))
}

/// Why a kernel of this process cannot be taken, as an error.
pub(crate) fn refusal(NotMarkov(why): &NotMarkov) -> Error {
    let expected = format!("does not apply: {why}; take `Engine::Dense` or `Engine::Auto`");
    Error::setting("the engine", "Markov", &expected)
}

/// The order of some times, where it is not that in which they are given.
#[derive(Debug)]
struct Order(Option<Vec<usize>>);

impl Order {
    fn of(times: &[f64]) -> Self {
        if times.is_sorted() {
            return Self(None);
        }
        let mut order: Vec<usize> = (0..times.len()).collect();
        order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
        Self(Some(order))
    }

    /// In order.
    fn sorted(&self, of: Vec<f64>) -> Vec<f64> {
        match &self.0 {
            None => of,
            Some(order) => order.iter().map(|&index| of[index]).collect(),
        }
    }

    /// What is in order, as it was given.
    fn given(&self, of: Vec<f64>) -> Vec<f64> {
        let Some(order) = &self.0 else { return of };
        let mut given = vec![0.0; of.len()];
        order.iter().zip(of).for_each(|(&index, value)| given[index] = value);
        given
    }

    fn place(&self, index: usize) -> usize {
        self.0.as_ref().map_or(index, |order| order[index])
    }
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
        let dim = x.ncols();
        let column = size(kernel, dim, tolerance).map_err(|why| refusal(&why))?.column;
        check_times(x, column)?;
        Self::at_times(kernel, dim, times_of(x, column), noise.to_vec(), tolerance)
    }

    /// The same for the times, in any order.
    pub(crate) fn at_times(
        kernel: &dyn Expr,
        dim: usize,
        times: Vec<f64>,
        noise: Vec<f64>,
        tolerance: Option<f64>,
    ) -> Result<Self> {
        let size = size(kernel, dim, tolerance).map_err(|why| refusal(&why))?;
        let mut form = markov(kernel, dim, tolerance).map_err(|why| refusal(&why))?;
        let white = form.white();
        if form.terms.is_empty() {
            // Noise alone: a function that is 0.
            form = markov(&crate::kernels::Constant::new(0.0), dim, None).map_err(|why| refusal(&why))?;
        }
        let system = System::new(&form.terms);
        let order = Order::of(&times);
        let (times, noise) = (order.sorted(times), order.sorted(noise));
        let (passes, column) = (passes(&system), size.column);
        Ok(Self { dim, tolerance, column, white, system, passes, order, times, values: Vec::new(), noise })
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

    /// After [`density`](Self::density): (K + noise)⁻¹ times the values, and the diagonal of the inverse, in the order of the
    /// inputs, 0 where nothing was observed; adds to `theta` the gradient in the parameters of the kernel.
    pub(crate) fn gradient(&self, kernel: &dyn Expr, theta: &mut [f64]) -> Result<[Vec<f64>; 2]> {
        let mut numbers = vec![0.0; self.system.numbers()];
        let weights: Weights = self.passes.gradient(&self.system, &self.data(), &mut numbers);
        // Noise of the kernel is noise.
        let in_white: f64 = weights.u.iter().zip(&weights.d).map(|(u, d)| 0.5 * (u * u - d)).sum();
        let form = markov(kernel, self.dim, self.tolerance).map_err(|why| refusal(&why))?;
        if form.terms.is_empty() {
            numbers.clear();
        }
        numbers.push(in_white);
        markov_vjp(kernel, self.dim, self.tolerance, &numbers, theta);
        Ok([weights.u, weights.d].map(|of| self.order.given(of)))
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
        let mut places = vec![0; queries.len()];
        (0..queries.len()).for_each(|index| places[order.place(index)] = index);
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
