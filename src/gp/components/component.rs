//! The posterior of one term.

use std::fmt;
use std::sync::Arc;

use faer::{Mat, MatRef};
use rand::Rng;

use super::Units;
use crate::algebra::terms_of;
use crate::gp::posterior::{Form, Given, Posterior};
use crate::gp::predict::{Predict, missing_function};
use crate::gp::prediction::{Prediction, Samples};
use crate::gp::process::{Latent, MeanBasisWeights, Process, Roots};
use crate::inducing::{Basis, PartPrior};
use crate::kernel::{Kernel, Structure, text};
use crate::linalg::Root;
use crate::mean::{DynMean, Mean, MeanExpr, Zero};
use crate::tape::{Tape, Var};
use crate::{Error, Expr, Result, Scalar};

/// The posterior of one term of a sum, from [`Components`](super::Components). Terms are not observed by themselves: what
/// there is are means, variances, covariances and draws of the term itself.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp};
/// use mercer::prelude::*;
///
/// let (x, y) = (mat![[0.0], [1.0], [2.0]], [0.1, 1.2, 1.9]);
/// let posterior = ExactGp::new(Linear::new(1.0) + 0.5 * Rbf::new(0.5)).condition(&Data::new(&x, &y))?;
/// let parts = posterior.components(0)?;
/// let wiggles = parts.get("rbf")?;
/// assert_eq!((wiggles.text(), wiggles.path()), ("0.5 * rbf(lengthscale=0.5)", "sum[1].scaled.rbf"));
/// // Far away nothing is known of it.
/// assert!((wiggles.predict(mat![[50.0]].as_ref())?.variance[(0, 0)] - 0.5).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Component<T: Scalar> {
    pub(super) label: String,
    path: String,
    text: String,
    of: Of<T>,
    pub(super) units: Units,
}

#[derive(Clone, Debug)]
enum Of<T: Scalar> {
    /// The process of the term alone, and the roots of the covariance of the whitened inducing variables.
    Term(Posterior<T>, Roots<T>),
    Mean(DynMean),
}

/// A = L⁻¹K(Z, x) on a tape, and the roots of S.
type Whitened<'t, 'a, T> = (Var<'t, T>, &'a [Root<Mat<T>>]);

/// The terms of a latent function, the mean function last.
pub(super) fn of_posterior<T: Scalar>(
    posterior: &Posterior<T>,
    function: usize,
    units: &Units,
) -> Result<Vec<Component<T>>> {
    if let Form::Engine(given) = &posterior.form {
        return of_engine(posterior, given, function, units);
    }
    let (process, latent) = posterior.process_of(function)?;
    let basis = &posterior.inducing("terms")?.basis;
    let terms = match terms_of(&*process.kernel, basis.dim())? {
        Some(terms) => terms.into_iter().map(|term| (term.path, Arc::new(term.kernel) as Arc<dyn Kernel<T>>)).collect(),
        None => vec![(process.kernel.name().to_owned(), process.kernel.clone())],
    };
    let mut found = Vec::new();
    for (path, kernel) in terms {
        let written = written(&*kernel)?;
        let part = basis.of_part(&*kernel, &process.prior)?;
        let of = of_part((basis, posterior.par), process, latent, kernel, part);
        found.push(Component { label: written.clone(), path, text: written, of, units: units.clone() });
    }
    found.extend(of_mean(&process.latents[latent].mean, units));
    Ok(found)
}

/// The text of a term, which has to have a distribution of its own.
fn written(kernel: &dyn Expr) -> Result<String> {
    let written = text(kernel).to_string();
    if is_negative(kernel) {
        let expected = "is taken away from the others: it has no distribution of its own";
        return Err(Error::setting("a term of the kernel", written, expected));
    }
    Ok(written)
}

/// The mean function, if it is not 0.
fn of_mean<T: Scalar>(mean: &DynMean, units: &Units) -> Option<Component<T>> {
    (!mean.is_zero() || units.offset != 0.0).then(|| {
        let name = || "mean".to_owned();
        Component { label: name(), path: name(), text: name(), of: Of::Mean(mean.clone()), units: units.clone() }
    })
}

/// The terms of a function that an engine knows.
fn of_engine<T: Scalar>(
    posterior: &Posterior<T>,
    given: &Given<T>,
    function: usize,
    units: &Units,
) -> Result<Vec<Component<T>>> {
    if function > 0 {
        return Err(missing_function("the latent function", function, 1));
    }
    let kernel = given.solution.kernel();
    let (paths, solutions) = match terms_of(&**kernel, given.solution.dim())? {
        Some(terms) => {
            let (paths, kernels): (Vec<_>, Vec<_>) = terms.into_iter().map(|term| (term.path, term.kernel)).unzip();
            (paths, given.solution.terms(&kernels)?)
        }
        None => (vec![kernel.name().to_owned()], vec![given.solution.clone()]),
    };
    let mut found = Vec::new();
    for (path, solution) in paths.into_iter().zip(solutions) {
        let text = written(&**solution.kernel())?;
        let form = Form::Engine(Given { mean: DynMean::new(Zero), solution, jitter: 0.0 });
        let term = Posterior { form, likelihood: None, par: posterior.par };
        let of = Of::Term(term, Vec::new().into());
        found.push(Component { label: text.clone(), path, text, of, units: units.clone() });
    }
    found.extend(of_mean(&given.mean, units));
    Ok(found)
}

/// Whether a term has a factor below 0.
fn is_negative(kernel: &dyn Expr) -> bool {
    match kernel.structure() {
        Structure::Negated(inner) => !is_negative(inner),
        Structure::Scaled(factor, inner) => (factor < 0.0) != is_negative(inner),
        Structure::Boxed(inner) | Structure::Warped(_, inner) => is_negative(inner),
        Structure::Product(factors) => factors.iter().filter(|factor| is_negative(*factor)).count() % 2 == 1,
        _ => false,
    }
}

fn of_part<T: Scalar>(
    (basis, par): (&Arc<dyn Basis<T>>, faer::Par),
    process: &Process<T>,
    latent: usize,
    kernel: Arc<dyn Kernel<T>>,
    PartPrior { prior, remainder }: PartPrior<T>,
) -> Of<T> {
    let column = |matrix: &Mat<T>| matrix.subcols(latent, 1).to_owned();
    let of_whole = process.latents[latent].roots.clone();
    let roots: Roots<T> = match remainder {
        None => of_whole.clone(),
        Some(left) => of_whole.iter().cloned().chain([Root::Diagonal(left)]).collect(),
    };
    let further = process.further.as_ref().map(|MeanBasisWeights { points, weights }| MeanBasisWeights {
        points: points.clone(),
        weights: column(weights),
    });
    let term = Process {
        kernel,
        prior,
        latents: vec![Latent { mean: DynMean::new(Zero), roots }],
        weights: column(&process.weights),
        further,
        values: None,
        fitc: process.fitc,
    };
    Of::Term(Posterior::of(basis.clone(), [term], None, par), of_whole)
}

/// The error for observations of terms.
pub(super) fn unobserved() -> Error {
    let expected = "is not observed by itself: ask the posterior of the whole for observations";
    Error::setting("one term of a sum", "asked for observations", expected)
}

impl<T: Scalar> Component<T> {
    /// What it is called: its text, unless [labelled](super::Components::labelled).
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where it stands in the kernel, as in the paths of parameters, or `mean`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The kernel of the term as text, or `mean`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The kernel of the term, if it is one.
    pub(super) fn kernel(&self) -> Option<&dyn Expr> {
        match &self.of {
            Of::Term(posterior, _) => {
                let kernel: &dyn Kernel<T> = match &posterior.form {
                    Form::Inducing(inducing) => &*inducing.processes.first()?.kernel,
                    Form::Engine(given) => &**given.solution.kernel(),
                };
                Some(kernel)
            }
            Of::Mean(_) => None,
        }
    }

    /// A, and the roots of S, at inputs of the model; `None` of the mean function.
    pub(super) fn whitened<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, T>,
        x: MatRef<'a, T>,
    ) -> Result<Option<Whitened<'t, 'a, T>>> {
        let Of::Term(posterior, roots) = &self.of else { return Ok(None) };
        posterior.check(x)?;
        let basis = &*posterior.inducing("covariances between terms")?.basis;
        Ok(Some((posterior.process_of(0)?.0.whitened(tape, basis, x)?, roots)))
    }

    /// The covariance, and the variances a priori.
    pub(super) fn covariance_with_prior(&self, x: MatRef<'_, T>) -> Result<(Mat<T>, Vec<T>)> {
        let inputs = self.units.inputs(x)?;
        let x = inputs.as_ref().map_or(x, Mat::as_ref);
        let Of::Term(posterior, _) = &self.of else {
            return Ok((Mat::zeros(x.nrows(), x.nrows()), vec![T::from_f64(0.0); x.nrows()]));
        };
        posterior.check(x)?;
        let (covariance, prior) = posterior.covariance_of(x, 0)?;
        let prior = self.units.widen(Mat::from_fn(prior.len(), 1, |row, _| prior[row]));
        Ok((self.units.widen(covariance), prior.col_as_slice(0).to_vec()))
    }
}

impl<T: Scalar> fmt::Display for Component<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl<T: Scalar> Predict<T> for Component<T> {
    fn functions(&self) -> usize {
        1
    }

    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let inputs = self.units.inputs(x)?;
        let x = inputs.as_ref().map_or(x, Mat::as_ref);
        let Prediction { mut mean, variance, clamped, .. } = match &self.of {
            Of::Term(posterior, _) => posterior.predict(x)?,
            Of::Mean(mean) => {
                let mut prediction = Prediction::zeros(x.nrows(), 1);
                mean.check_dim(x.ncols())?;
                mean.mean_into(x, prediction.mean.col_as_slice_mut(0));
                prediction
            }
        };
        let offset = if self.kernel().is_none() { self.units.offset } else { 0.0 };
        if self.units.scale != 1.0 || offset != 0.0 {
            let back = |value: &mut T| *value = T::from_f64(offset + self.units.scale * value.as_f64());
            mean.col_as_slice_mut(0).iter_mut().for_each(back);
        }
        Ok(Prediction::new(mean, self.units.widen(variance), clamped))
    }

    /// Terms are not observed by themselves: an error.
    fn predict_observations(&self, _: MatRef<'_, T>) -> Result<Prediction<T>> {
        Err(unobserved())
    }

    /// Terms are not observed by themselves: an error.
    fn sample_observations(&self, _: MatRef<'_, T>, _: usize, _: &mut dyn Rng) -> Result<Samples<T>> {
        Err(unobserved())
    }

    fn covariance(&self, x: MatRef<'_, T>, function: usize) -> Result<Mat<T>> {
        if function > 0 {
            return Err(missing_function("the function", function, 1));
        }
        Ok(self.covariance_with_prior(x)?.0)
    }

    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let mean = self.predict(x)?.mean;
        Samples::draw(mean.as_ref(), draws, rng, faer::Par::Seq, |_| self.covariance_with_prior(x))
    }
}
