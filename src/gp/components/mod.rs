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
use crate::tape::Tape;
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
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp};
    /// use mercer::mean::ConstantMean;
    /// use mercer::prelude::*;
    ///
    /// let gp = ExactGp::new(Linear::new(1.0) + Rbf::new(0.5)).with_mean(ConstantMean::new(3.0));
    /// let posterior = gp.condition(&Data::new(mat![[0.0], [1.0]], [3.1, 4.2]))?;
    /// let parts = posterior.components(0)?.labelled(["slope", "wiggles"])?;
    /// assert_eq!(parts.iter().map(|term| term.label()).collect::<Vec<_>>(), ["slope", "wiggles", "mean"]);
    /// assert!(parts.labelled(["slope"]).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn labelled<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Result<Self> {
        let labels: Vec<String> = labels.into_iter().map(L::into).collect();
        let of_kernel = self.terms.iter().filter(|term| term.kernel().is_some()).count();
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
        let (a, b) = (self.projections(x, &[a])?, self.projections(x, &[b])?);
        Ok(self.covariances(&a, &b, (x.nrows(), x.nrows())))
    }

    /// A and PᵀA of each root P of S, in the units of the data: n columns for each term, of 0 for the mean function.
    fn projections(&self, x: MatRef<'_, T>, terms: &[&Component<T>]) -> Result<Vec<Mat<T>>> {
        let mut all: Vec<Mat<T>> = Vec::new();
        for (index, term) in terms.iter().enumerate() {
            let inputs = term.units.inputs(x)?;
            let tape = Tape::new(self.par);
            let Some((a, roots)) = term.whitened(&tape, inputs.as_ref().map_or(x, Mat::as_ref))? else { continue };
            let of_roots = roots.iter().map(|root| root.on(&tape).project(a));
            for (place, part) in std::iter::once(a).chain(of_roots).enumerate() {
                let part = tape.value(part)?;
                if place == all.len() {
                    all.push(Mat::zeros(part.as_mat().nrows(), x.nrows() * terms.len()));
                }
                let scaled = faer::Scale(T::from_f64(term.units.scale)) * part.as_mat();
                all[place].as_mut().subcols_mut(index * x.nrows(), x.nrows()).copy_from(&scaled);
            }
        }
        Ok(all)
    }

    /// −AᵀB + AᵀSB, from the projections of A and B; 0 where either is of the mean function alone.
    fn covariances(&self, a: &[Mat<T>], b: &[Mat<T>], shape: (usize, usize)) -> Mat<T> {
        let mut out = Mat::zeros(shape.0, shape.1);
        for (place, (a, b)) in a.iter().zip(b).enumerate() {
            let sign = T::from_f64(if place == 0 { -1.0 } else { 1.0 });
            matmul(out.as_mut(), Accum::Add, a.transpose(), b.as_ref(), sign, self.par);
        }
        out
    }

    /// The covariance of all terms at all points, and the variances a priori: all points of the first term first.
    fn joint(&self, x: MatRef<'_, T>) -> Result<(Mat<T>, Vec<T>)> {
        let (n, size) = (x.nrows(), x.nrows() * self.len());
        let projections = self.projections(x, &self.terms.iter().collect::<Vec<_>>())?;
        let mut joint = self.covariances(&projections, &projections, (size, size));
        let mut units = Vec::with_capacity(size);
        for (index, term) in self.terms.iter().enumerate() {
            let (own, prior) = term.covariance_with_prior(x)?;
            joint.as_mut().submatrix_mut(index * n, index * n, n, n).copy_from(&own);
            units.extend(prior);
        }
        Ok((joint, units))
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
        let (n, mean) = (x.nrows(), self.predict(x)?.mean);
        let stacked = Mat::from_fn(n * self.len(), 1, |row, _| mean[(row % n, row / n)]);
        Samples::draw(stacked.as_ref(), draws, rng, self.par, |_| self.joint(x))
    }
}
