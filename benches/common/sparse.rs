//! Training steps and predictions of a sparse variational process.

use std::hint::black_box;

use mercer::gp::{Memory, Svgp, Variational};
use mercer::likelihood::{Bernoulli, Gaussian, Likelihood};
use mercer::linalg::Jitter;
use mercer::optim::Adam;
use mercer::prelude::*;

use super::{Work, points, uniform};

/// Observations, batch, inducing inputs, dimension.
pub(crate) const SIZES: [(usize, usize, usize, usize); 4] =
    [(500, 500, 20, 1), (1000, 1000, 81, 3), (100_000, 256, 128, 8), (100_000, 1024, 512, 8)];
/// Points that are predicted at a time.
pub(crate) const PREDICTED: usize = 10_000;

/// What is learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// Numbers with Gaussian noise, and q in full.
    Gaussian,
    /// Classes, and q in full.
    Bernoulli,
    /// Numbers with Gaussian noise, and the deviations of q alone.
    Diagonal,
}

/// A batch, and the model for it.
struct Problem<T: Scalar> {
    x: Mat<T>,
    y: Vec<T>,
    model: Svgp<Scaled<Rbf>>,
}

impl<T: Scalar> Problem<T> {
    fn new(batch: usize, inducing: usize, dim: usize, form: Form, par: Par) -> Self {
        let x = points::<T>(batch, dim);
        let wave = |row: usize| (0..dim).map(|d| x[(row, d)].as_f64()).sum::<f64>().sin();
        let target = |row: usize| match form {
            Form::Bernoulli => T::from_f64(f64::from(u8::from(wave(row) > 0.0))),
            Form::Gaussian | Form::Diagonal => T::from_f64(wave(row)),
        };
        let y = (0..batch).map(target).collect();
        let z = Mat::from_fn(inducing, dim, |row, d| x[(row, d)].as_f64());
        let jitter = if size_of::<T>() == 8 { 1e-6 } else { 1e-4 };
        let model = Svgp::new(1.0 * Rbf::new(vec![1.0; dim]), z.as_ref())
            .unwrap()
            .with_likelihood(match form {
                Form::Bernoulli => Box::new(Bernoulli::probit()) as Box<dyn Likelihood>,
                Form::Gaussian | Form::Diagonal => Box::new(Gaussian::new(0.1)),
            })
            .with_jitter(Jitter::Fixed(jitter))
            .with_par(par);
        let model = match form {
            Form::Diagonal => model.with_variational(Variational::diagonal_prior(inducing).unwrap()).unwrap(),
            Form::Gaussian | Form::Bernoulli => model,
        };
        Self { x, y, model }
    }
}

/// One step: the bound on a batch, its gradient in all parameters, inducing inputs too, and an update by Adam, with
/// the matrices of one step reused by the next.
pub(crate) fn step<'a, T: Scalar>(
    (total, batch, inducing, dim): (usize, usize, usize, usize),
    form: Form,
    par: Par,
) -> Work<'a> {
    let Problem { x, y, mut model } = Problem::<T>::new(batch, inducing, dim, form, par);
    let mut parameters = model.unconstrained();
    let mut adam = Adam::default().start(parameters.len()).unwrap();
    let (data, memory) = (Data::new(x, y).part_of(total), Memory::default().without_rounding());
    Work::new(move || {
        let (elbo, mut gradient) = model.evaluate(&data, &memory).unwrap();
        gradient.iter_mut().for_each(|entry| *entry = -*entry);
        let gradient = model.unconstrained_gradient(&gradient).unwrap();
        adam.step(&mut parameters, &gradient).unwrap();
        model.set_unconstrained(&parameters).unwrap();
        black_box(elbo.value);
    })
}

/// Means and variances at [`PREDICTED`] points, by a posterior that is made once.
pub(crate) fn prediction<'a, T: Scalar>(inducing: usize, dim: usize, par: Par) -> Work<'a> {
    let Problem { model, .. } = Problem::<T>::new(inducing, inducing, dim, Form::Gaussian, par);
    let at = uniform::<T>(PREDICTED, dim, -2.0..2.0, 2);
    // For the rest of the program: the posterior borrows the model.
    let posterior = Box::leak(Box::new(model)).posterior::<T>().unwrap();
    Work::new(move || {
        black_box(posterior.predict(black_box(at.as_ref())).unwrap());
    })
}
