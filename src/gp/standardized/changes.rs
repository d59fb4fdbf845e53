//! Slopes, and more data or less, in the units of the data.

use faer::MatRef;

use super::StandardizedPosterior;
use crate::gp::data::Data;
use crate::gp::posterior::Posterior;
use crate::gp::slopes::Slopes;
use crate::{Result, Scalar};

impl<T: Scalar> StandardizedPosterior<Posterior<T>> {
    /// The posterior given these observations too, in the units of the data: see [`Posterior::observe`]. Units stay what
    /// they are.
    ///
    /// # Errors
    ///
    /// As [`Posterior::observe`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Standardization};
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.0], [1.0], [2.0]], [90.0, 110.0, 100.0]);
    /// let gp = Standardization::of(&data)?.around(ExactGp::new(Rbf::new(1.0)).with_noise(1e-6)?);
    /// let more = gp.condition(&data)?.observe(&Data::new(mat![[3.0]], [70.0]))?;
    /// assert!((more.predict(mat![[3.0]].as_ref())?.mean[(0, 0)] - 70.0).abs() < 1e-3);
    /// let slope = more.slopes(mat![[2.5]].as_ref(), 0)?.mean[(0, 0)];
    /// assert!((-45.0..-25.0).contains(&slope), "{slope}"); // in units of y over those of x
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn observe(&self, data: &Data<T>) -> Result<Self> {
        Ok(self.with(self.posterior.observe(&self.standardization.data(data)?)?))
    }

    /// The posterior of a sparse process without these observations: see [`Posterior::forget`].
    ///
    /// # Errors
    ///
    /// As [`Posterior::forget`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, Sgpr, Standardization};
    /// use mercer::prelude::*;
    ///
    /// let (all, last) = (Data::new(mat![[0.0], [1.0], [2.0]], [90.0, 110.0, 100.0]), Data::new(mat![[2.0]], [100.0]));
    /// let gp = Standardization::of(&all)?.around(Sgpr::new(Rbf::new(1.0), mat![[-1.0], [1.0]].as_ref())?);
    /// let same = gp.condition(&all)?.forget(&last)?.observe(&last)?;
    /// let (at, expected) = (mat![[1.5]], gp.condition(&all)?);
    /// let miss = same.predict(at.as_ref())?.mean[(0, 0)] - expected.predict(at.as_ref())?.mean[(0, 0)];
    /// assert!(miss.abs() < 1e-11);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn forget(&self, data: &Data<T>) -> Result<Self> {
        Ok(self.with(self.posterior.forget(&self.standardization.data(data)?)?))
    }

    /// The posterior of an exact process without these rows of its data: see [`Posterior::forget_rows`].
    ///
    /// # Errors
    ///
    /// As [`Posterior::forget_rows`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Standardization};
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.0], [1.0], [2.0]], [90.0, 500.0, 100.0]);
    /// let gp = Standardization::of(&data)?.around(ExactGp::new(Rbf::new(1.0)).with_noise(1e-3)?);
    /// let (with, at) = (gp.condition(&data)?, mat![[1.0]]);
    /// assert!(with.predict(at.as_ref())?.mean[(0, 0)] > 450.0);
    /// assert!(with.forget_rows(&[1])?.predict(at.as_ref())?.mean[(0, 0)] < 250.0); // towards the mean
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn forget_rows(&self, rows: &[usize]) -> Result<Self> {
        Ok(self.with(self.posterior.forget_rows(rows)?))
    }

    /// The gradients of the mean and of the variance of a function in the point, in the units of the data: see
    /// [`Posterior::slopes`].
    ///
    /// # Errors
    ///
    /// As [`Posterior::slopes`].
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Standardization};
    /// use mercer::prelude::*;
    ///
    /// let data = Data::new(mat![[0.0], [10.0], [20.0]], [90.0, 110.0, 100.0]);
    /// let posterior = Standardization::of(&data)?.around(ExactGp::new(Rbf::new(1.0))).condition(&data)?;
    /// let at = |x: f64| posterior.predict(mat![[x]].as_ref()).map(|found| found.mean[(0, 0)]);
    /// let slope = posterior.slopes(mat![[4.0]].as_ref(), 0)?.mean[(0, 0)];
    /// assert!((slope - (at(4.0 + 1e-4)? - at(4.0 - 1e-4)?) / 2e-4).abs() < 1e-7);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn slopes(&self, x: MatRef<'_, T>, function: usize) -> Result<Slopes<T>> {
        let mut found = self.posterior.slopes(self.standardization.inputs(x)?.as_ref(), function)?;
        let (_, scale) = self.units(function);
        for (col, &width) in self.standardization.of_inputs().scale().iter().enumerate() {
            let by = |factor: f64| move |value: &mut T| *value = T::from_f64(value.as_f64() * factor / width);
            found.mean.col_as_slice_mut(col).iter_mut().for_each(by(scale));
            found.variance.col_as_slice_mut(col).iter_mut().for_each(by(scale * scale));
        }
        Ok(found)
    }

    fn with(&self, posterior: Posterior<T>) -> Self {
        Self { posterior, standardization: self.standardization.clone() }
    }
}
