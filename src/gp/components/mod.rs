//! Posteriors of the terms of a sum.

mod component;
mod find;
mod units;

use faer::{Accum, Mat, MatRef, Par, linalg::matmul::matmul};
use rand::Rng;

pub use component::Component;
use units::Units;

use super::batch::BatchPosterior;
use super::posterior::Posterior;
use super::predict::{Predict, missing_function};
use super::prediction::{Prediction, Samples};
use super::standardized::StandardizedPosterior;
use crate::tape::{Tape, Var};
use crate::{Error, Result, Scalar};

/// What each term of a sum contributes to a function: for f = m + Σ_j f_j with f_j ~ GP(0, k_j), the posterior of every f_j, and
/// of all together.
///
/// # Definition
///
/// With the weights α and the whitened cross-covariances A_j = L⁻¹ K_j(Z, x) of the [`Posterior`] of the whole, whose inducing
/// variables Z are the data for an exact process:
///
/// mean_j(x) = K_j(x, Z) α
///
/// cov(f_i(x), f_j(x′)) = δ_ij k_j(x, x′) − A_iᵀA′_j + A_iᵀSA′_j
///
/// Means add up to that of the function, and covariances over all pairs of terms to its covariance. The mean function, where
/// there is one, is a term that is certain. Terms are found [by name](Self::get).
///
/// As [`Predict`], its functions are the terms, which are drawn jointly: the draws of one column add up to a draw of the
/// function. Time is that of as many predictions as there are terms.
///
/// From [`Posterior::components`], and that of the other posteriors.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(40, 1, |row, _| 0.1 * row as f64);
/// let y: Vec<f64> = (0..40).map(|row| 0.3 * x[(row, 0)] + (6.28 * x[(row, 0)]).sin()).collect();
/// let kernel = 4.0 * Linear::new(1.0) + Periodic::new(1.0, 1.0);
/// let posterior = ExactGp::new(kernel).with_noise(1e-2)?.condition(&Data::new(&x, &y))?;
///
/// let parts = posterior.components(0)?.labelled(["trend", "season"])?;
/// let at = mat![[1.25], [7.25]];
/// let trend = parts.get("trend")?.predict(at.as_ref())?;
/// assert!((trend.mean[(1, 0)] - 0.3 * 7.25).abs() < 0.1);
///
/// // They add up.
/// let (whole, each) = (posterior.predict(at.as_ref())?, parts.predict(at.as_ref())?);
/// assert!((each.mean[(0, 0)] + each.mean[(0, 1)] - whole.mean[(0, 0)]).abs() < 1e-12);
/// let both = parts.covariance_between(at.as_ref(), 0, 1)?[(0, 0)];
/// assert!((each.variance[(0, 0)] + 2.0 * both + each.variance[(0, 1)] - whole.variance[(0, 0)]).abs() < 1e-12);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Duvenaud (2014), *Automatic Model Construction with Gaussian Processes*, section 2.4.5.
#[derive(Clone, Debug)]
#[doc(alias = "decomposition", alias = "additive components")]
pub struct Components<T: Scalar> {
    terms: Vec<Component<T>>,
    par: Par,
}

impl<T: Scalar> Posterior<T> {
    /// What each term of the kernel contributes to a latent function, for a kernel that is a sum at any depth: see
    /// [`terms`](crate::algebra::terms). Of a kernel that is no sum, one term, and the mean function.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a function that there is not; for a term that is no covariance, such as −k, by its text; and for
    /// inducing features whose covariances with a term are not known.
    pub fn components(&self, function: usize) -> Result<Components<T>> {
        Ok(Components { terms: component::of_posterior(self, function, &Units::none())?, par: self.par })
    }
}

impl<T: Scalar> BatchPosterior<T> {
    /// What each term of its kernel contributes to an output: see [`Posterior::components`].
    ///
    /// # Errors
    ///
    /// As [`Posterior::components`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{BatchGp, Data};
    /// use mercer::prelude::*;
    ///
    /// let (x, y) = (mat![[0.0], [1.0], [2.0]], mat![[0.1, 1.0], [1.2, 1.1], [1.9, 0.9]]);
    /// let gp = BatchGp::new((Linear::new(1.0) + Rbf::new(0.5)).batched(2)?);
    /// let posterior = gp.condition(&Data::new(&x, &y))?;
    /// let each = posterior.components(1)?.predict(x.as_ref())?;
    /// let whole = posterior.predict(x.as_ref())?;
    /// assert!((each.mean[(2, 0)] + each.mean[(2, 1)] - whole.mean[(2, 1)]).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn components(&self, output: usize) -> Result<Components<T>> {
        let (posterior, latent) = self.of_output(output)?;
        posterior.components(latent)
    }
}

impl<T: Scalar> StandardizedPosterior<Posterior<T>> {
    /// What each term of the kernel contributes to a function, in the units of the data: see [`Posterior::components`]. The
    /// mean of the data is a part of the mean function.
    ///
    /// # Errors
    ///
    /// As [`Posterior::components`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Standardization};
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.0], [1.0], [2.0]], [90.0, 110.0, 100.0]);
    /// let gp = Standardization::of(&data)?.around(ExactGp::new(Rbf::new(1.0) + Linear::new(1.0)).with_noise(0.1)?);
    /// let posterior = gp.condition(&data)?;
    /// let parts = posterior.components(0)?;
    /// let (each, whole) = (parts.predict(data.x())?, posterior.predict(data.x())?);
    /// assert_eq!(each.mean[(0, 2)], 100.0); // the mean function
    /// assert!(((0..3).map(|term| each.mean[(1, term)]).sum::<f64>() - whole.mean[(1, 0)]).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn components(&self, function: usize) -> Result<Components<T>> {
        let units = Units::of(self, function);
        let terms = component::of_posterior(self.posterior(), function, &units)?;
        Ok(Components { terms, par: self.posterior().par })
    }
}

impl<T: Scalar> Components<T> {
    /// How many terms there are, the mean function among them.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether there are none: never.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms, in the order of the kernel; the mean function last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Component<T>> {
        self.terms.iter()
    }

    /// Sets a label for each term, in the order of the kernel: what to [ask](Self::get) for it by, and what to write beside it.
    /// The mean function, which comes last, keeps the label `mean` where there is none for it.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of labels than there are terms.
    pub fn labelled<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Result<Self> {
        let labels: Vec<String> = labels.into_iter().map(L::into).collect();
        let of_kernel = self.terms.iter().filter(|term| term.path() != "mean").count();
        if labels.len() != of_kernel && labels.len() != self.len() {
            let names: Vec<&str> = self.terms.iter().map(Component::text).collect();
            let expected = format!("{of_kernel} label(s), one for each of: {}", names.join("; "));
            return Err(Error::shape("the labels of the terms", expected, (labels.len(), 1)));
        }
        self.terms.iter_mut().zip(labels).for_each(|(term, label)| term.label = label);
        Ok(self)
    }

    /// The covariance between two terms at all pairs of the points, n × n, the first of which is in the rows. Given data, terms
    /// are not independent: what one explains the other need not.
    ///
    /// # Errors
    ///
    /// As [`Predict::predict`]; [`Error::Setting`] for a term that there is not.
    pub fn covariance_between(&self, x: MatRef<'_, T>, first: usize, second: usize) -> Result<Mat<T>> {
        let (a, b) = (self.at(first)?, self.at(second)?);
        if first == second {
            return a.covariance(x, 0);
        }
        let mut covariance = Mat::zeros(x.nrows(), x.nrows());
        let inputs = a.units.inputs(x)?;
        let at = inputs.as_ref().map_or(x, Mat::as_ref);
        let tape = Tape::new(self.par);
        if let (Some((of_a, roots)), Some((of_b, _))) = (a.whitened(&tape, at)?, b.whitened(&tape, at)?) {
            let scale = a.units.scale * b.units.scale;
            let mut add = |a: Var<'_, T>, b: Var<'_, T>, sign: f64| -> Result<()> {
                let (a, b) = (tape.value(a)?, tape.value(b)?);
                let (out, scale) = (covariance.as_mut(), T::from_f64(sign * scale));
                matmul(out, Accum::Add, a.as_mat().transpose(), b.as_mat(), scale, self.par);
                Ok(())
            };
            add(of_a, of_b, -1.0)?;
            for root in roots {
                let root = root.on(&tape);
                add(root.project(of_a), root.project(of_b), 1.0)?;
            }
        }
        Ok(covariance)
    }

    fn at(&self, term: usize) -> Result<&Component<T>> {
        self.terms.get(term).ok_or_else(|| missing_function("the term", term, self.len()))
    }
}

impl<T: Scalar> Predict<T> for Components<T> {
    fn functions(&self) -> usize {
        self.len()
    }

    fn predict(&self, x: MatRef<'_, T>) -> Result<Prediction<T>> {
        let mut all = Prediction::zeros(x.nrows(), self.len());
        for (col, term) in self.terms.iter().enumerate() {
            let one = term.predict(x)?;
            all.mean.col_as_slice_mut(col).copy_from_slice(one.mean.col_as_slice(0));
            all.variance.col_as_slice_mut(col).copy_from_slice(one.variance.col_as_slice(0));
            all.clamped += one.clamped;
        }
        Ok(all)
    }

    /// Terms are not observed by themselves: an error.
    fn predict_observations(&self, _: MatRef<'_, T>) -> Result<Prediction<T>> {
        Err(component::unobserved())
    }

    /// Terms are not observed by themselves: an error.
    fn sample_observations(&self, _: MatRef<'_, T>, _: usize, _: &mut dyn Rng) -> Result<Samples<T>> {
        Err(component::unobserved())
    }

    fn covariance(&self, x: MatRef<'_, T>, term: usize) -> Result<Mat<T>> {
        self.at(term)?.covariance(x, 0)
    }

    fn sample(&self, x: MatRef<'_, T>, draws: usize, rng: &mut dyn Rng) -> Result<Samples<T>> {
        let (n, terms) = (x.nrows(), self.len());
        let mean = self.predict(x)?.mean;
        let mut joint = Mat::zeros(n * terms, n * terms);
        let mut units = Vec::with_capacity(n * terms);
        for (col, term) in self.terms.iter().enumerate() {
            let (own, prior) = term.covariance_with_prior(x)?;
            joint.as_mut().submatrix_mut(col * n, col * n, n, n).copy_from(&own);
            units.extend(prior);
            for row in col + 1..terms {
                let between = self.covariance_between(x, row, col)?;
                joint.as_mut().submatrix_mut(row * n, col * n, n, n).copy_from(&between);
                joint.as_mut().submatrix_mut(col * n, row * n, n, n).copy_from(between.transpose());
            }
        }
        let stacked = Mat::from_fn(n * terms, 1, |row, _| mean[(row % n, row / n)]);
        Samples::draw(stacked.as_ref(), draws, rng, self.par, |_| Ok((joint.clone(), units.clone())))
    }
}
