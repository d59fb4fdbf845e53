//! What can be done with anything that has parameters.

use rand::Rng;

use super::entry::{Entry, entries, refusal};
use super::packing::check_len;
use super::select::{positions, same_path, unknown};
use super::ties::{self, with_tied};
use super::visits::{count, for_each, for_each_at, restore};
use super::{Parameterized, Prior, Table, density, packing};
use crate::Result;

/// Reading, setting, freezing, tying and packing parameters, and their priors, for every
/// [`Parameterized`] type.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let mut kernel = 2.0 * Rbf::new(0.7) + Periodic::new(1.0, 3.0);
/// kernel.set("sum[0].scaled.rbf.lengthscale", 0.5)?;
/// kernel.freeze("sum[1].periodic.period")?;
///
/// assert_eq!(kernel.values(), [2.0, 0.5, 1.0, 3.0]);
/// assert_eq!(kernel.unconstrained().len(), 3);
/// assert!(kernel.set("sum[0].scaled.rbf.lenghtscale", 1.0).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait ParameterizedExt: Parameterized {
    /// The number of scalars, frozen ones included.
    fn num_params(&self) -> usize {
        count(self)
    }

    /// All values, in natural units, in visiting order.
    fn values(&self) -> Vec<f64> {
        let mut values = Vec::new();
        for_each(self, &mut |parameter| values.extend_from_slice(parameter.values));
        values
    }

    /// Sets all values, in natural units, in visiting order.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) for the wrong number of values; [`Error::Parameter`](crate::Error::Parameter) for one that its
    /// constraint refuses; [`Error::Tie`](crate::Error::Tie) for two of tied parameters that differ. Nothing is changed
    /// then.
    fn set_values(&mut self, values: &[f64]) -> Result<()> {
        check_len("the vector of parameters", self.num_params(), values.len())?;
        let mut rest = values.iter();
        let mut refused = None;
        let mut position = 0;
        for_each(self, &mut |parameter| {
            // The values first: a zip takes from its first iterator even where the second has ended.
            for (_, &value) in parameter.values.iter().zip(rest.by_ref()) {
                if refused.is_none() && !parameter.constraint.admits(value) {
                    refused = Some((position, value));
                }
                position += 1;
            }
        });
        if let Some((position, value)) = refused {
            return Err(refusal(self, position, value));
        }
        ties::check_equal(self, values)?;
        restore(self, values);
        Ok(())
    }

    /// A copy with other values: the form for those who keep hyperparameters in a vector.
    ///
    /// # Errors
    ///
    /// As [`set_values`](Self::set_values).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let kernel = Rbf::new(1.0).with_params(&[0.5])?;
    /// assert_eq!(kernel.lengthscale(), [0.5]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn with_params(&self, values: &[f64]) -> Result<Self>
    where
        Self: Clone,
    {
        let mut copy = self.clone();
        copy.set_values(values)?;
        Ok(copy)
    }

    /// Every scalar with its path, constraint and freedom, in visiting order.
    fn parameters(&self) -> Vec<Entry> {
        entries(self)
    }

    /// [`parameters`](Self::parameters) as a table to print, with one line for a large array.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::params::Prior;
    /// use mercer::prelude::*;
    ///
    /// let mut kernel = 2.0 * Rbf::new(0.7) + Periodic::new(1.5, 12.0);
    /// kernel.freeze("sum[1].periodic.period")?;
    /// kernel.tie(&["sum[0].scaled.rbf.lengthscale", "sum[1].periodic.lengthscale"])?;
    /// kernel.set_prior("sum[0].scaled.factor", Prior::log_normal(0.0, 1.0)?)?;
    /// let expected = "\
    /// path                           value  constraint           prior                            state   tie
    /// sum[0].scaled.factor               2  positive and finite  log_normal(mean=0, deviation=1)  free
    /// sum[0].scaled.rbf.lengthscale    0.7  positive and finite                                   free    1
    /// sum[1].periodic.lengthscale      0.7  positive and finite                                   free    1
    /// sum[1].periodic.period            12  positive and finite                                   frozen";
    /// assert_eq!(kernel.table().to_string(), expected);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn table(&self) -> Table {
        Table::new(self)
    }

    /// The value at a path, in natural units.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`](crate::Error::UnknownPath), with the nearest names.
    fn get(&self, path: &str) -> Result<f64> {
        let entries = entries(self);
        match entries.iter().find(|entry| same_path(&entry.path, path)) {
            Some(entry) => Ok(entry.value),
            None => Err(unknown(path, &entries)),
        }
    }

    /// Sets the value at a path, and at all that is tied to it, in natural units.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`](crate::Error::UnknownPath), with the nearest names; [`Error::Parameter`](crate::Error::Parameter) if the constraint
    /// refuses the value. Nothing is changed then.
    fn set(&mut self, path: &str, value: f64) -> Result<()> {
        let entries = entries(self);
        let Some(position) = entries.iter().position(|entry| same_path(&entry.path, path)) else {
            return Err(unknown(path, &entries));
        };
        if !entries[position].constraint.admits(value) {
            return Err(refusal(self, position, value));
        }
        let positions = with_tied(self, vec![position]);
        for_each_at(self, &positions, &mut |parameter, element| parameter.values[element] = value);
        Ok(())
    }

    /// Keeps optimisers from a parameter, from one element of it, or from everything below a node; and
    /// from all that is tied to it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`](crate::Error::UnknownPath), with the nearest names.
    fn freeze(&mut self, path: &str) -> Result<()> {
        set_free(self, path, false)
    }

    /// Undoes [`freeze`](Self::freeze).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`](crate::Error::UnknownPath), with the nearest names.
    fn unfreeze(&mut self, path: &str) -> Result<()> {
        set_free(self, path, true)
    }

    /// Makes several parameters one.
    ///
    /// Each path names a scalar, a whole parameter or everything below a node, all of one shape; the
    /// scalars are tied one by one. They take value, freedom and prior of those of the first path. From
    /// then on, [`set`](Self::set), [`freeze`](Self::freeze) and [`set_prior`](Self::set_prior) on one are
    /// on all; in the vectors of [`unconstrained`](Self::unconstrained) parameters they have one entry,
    /// and in [`values`](Self::values) still one each. Whatever was tied to one of them joins.
    ///
    /// Copies keep their ties, also to each other: if copies of a tied expression meet in one
    /// expression, then what was tied in one is tied across all. Value, freedom and prior of the first
    /// then hold for the optimiser; the other values change at the next
    /// [`set_unconstrained`](Self::set_unconstrained) or [`set`](Self::set).
    /// [`untie`](Self::untie) separates them.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`](crate::Error::UnknownPath), with the nearest names; [`Error::Tie`](crate::Error::Tie) for parameters of different shapes
    /// or constraints; [`Error::Setting`](crate::Error::Setting) for less than two paths. Nothing is changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// let mut kernel = 2.0 * Rbf::new(0.7) + 3.0 * Matern32::new(1.5);
    /// kernel.tie(&["sum[0].scaled.rbf.lengthscale", "sum[1].scaled.matern32.lengthscale"])?;
    /// assert_eq!(kernel.values(), [2.0, 0.7, 3.0, 0.7]);
    ///
    /// kernel.set_unconstrained(&[0.0, -1.0, 0.0])?;
    /// assert_eq!(kernel.values(), [1.0, (-1f64).exp(), 1.0, (-1f64).exp()]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn tie(&mut self, paths: &[&str]) -> Result<()> {
        ties::tie(self, paths)
    }

    /// Takes a parameter, one element of it, or each one below a node out of its
    /// [tie](Self::tie). Those that are left stay tied; values, freedom and priors stay.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`](crate::Error::UnknownPath), with the nearest names.
    fn untie(&mut self, path: &str) -> Result<()> {
        ties::untie(self, path)
    }

    /// Gives a prior to a parameter, to one element of it, or to everything below a node; it replaces
    /// the one that was there. Parameters that are tied are one, with one prior, which counts once.
    ///
    /// [`optim::fit`](crate::optim::fit) and [`Train`](crate::optim::Train), and so all models, subtract
    /// [`log_prior`](Self::log_prior) from the loss that they minimise.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`](crate::Error::UnknownPath), with the nearest names.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::params::Prior;
    /// use mercer::prelude::*;
    ///
    /// let mut kernel = 2.0 * Rbf::new([0.7, 1.5]);
    /// let prior = Prior::gamma(2.0, 1.0)?;
    /// kernel.set_prior("scaled.rbf.lengthscale", prior)?;
    ///
    /// // p(x) = x exp(−x) for each of the two.
    /// let expected = (0.7f64.ln() - 0.7) + (1.5f64.ln() - 1.5);
    /// assert!((kernel.log_prior() - expected).abs() < 1e-14);
    /// assert_eq!(kernel.log_prior_gradient(), [0.0, 1.0 / 0.7 - 1.0, 1.0 / 1.5 - 1.0]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn set_prior(&mut self, path: &str, prior: Prior) -> Result<()> {
        set_prior(self, path, Some(prior))
    }

    /// Undoes [`set_prior`](Self::set_prior).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`](crate::Error::UnknownPath), with the nearest names.
    fn clear_prior(&mut self, path: &str) -> Result<()> {
        set_prior(self, path, None)
    }

    /// The sum of the log densities of the parameters that have a prior, frozen ones included.
    ///
    /// It is the density of the natural values: no Jacobian of the map to the real line is added, so
    /// the maximum does not depend on the constraint.
    fn log_prior(&self) -> f64 {
        density::log_prior(self, &mut |_, _| {})
    }

    /// The gradient of [`log_prior`](Self::log_prior) in all natural parameters in visiting order.
    fn log_prior_gradient(&self) -> Vec<f64> {
        let mut gradient = vec![0.0; self.num_params()];
        density::log_prior(self, &mut |position, derivative| gradient[position] = derivative);
        gradient
    }

    /// Sets each free parameter that has a prior to a draw, in visiting order.
    ///
    /// A draw that the constraint refuses is drawn again, a thousand times at most: where the
    /// support is wider than the constraint, draws come from the prior within the constraint.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the constraint refuses all these draws. Nothing is changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::params::Prior;
    /// use mercer::prelude::*;
    /// use rand::SeedableRng;
    ///
    /// let mut kernel = 2.0 * Rbf::new(0.7);
    /// kernel.set_prior("scaled.rbf.lengthscale", Prior::uniform(3.0, 4.0)?)?;
    /// kernel.sample_priors(&mut rand_pcg::Pcg64::seed_from_u64(1))?;
    /// assert_eq!(kernel.values()[0], 2.0);
    /// assert!((3.0..=4.0).contains(&kernel.values()[1]));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn sample_priors(&mut self, rng: &mut (impl Rng + ?Sized)) -> Result<()> {
        density::sample_priors(self, rng)
    }

    /// The free parameters, mapped to the real line by their constraints. Those that are tied are one,
    /// in the place of the first.
    fn unconstrained(&self) -> Vec<f64> {
        packing::unconstrained(self)
    }

    /// Sets the free parameters from the real line, all those that are tied alike.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) for the wrong number of values; [`Error::Parameter`](crate::Error::Parameter) for a NaN. Nothing is
    /// changed then.
    fn set_unconstrained(&mut self, packed: &[f64]) -> Result<()> {
        packing::set_unconstrained(self, packed)
    }

    /// The gradient in the free unconstrained parameters, at the point that
    /// [`unconstrained`](Self::unconstrained) gives, from that in all natural ones. It is summed over those that are tied.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) for the wrong number of values.
    fn unconstrained_gradient(&self, natural: &[f64]) -> Result<Vec<f64>> {
        packing::unconstrained_gradient(self, natural)
    }
}

impl<P: Parameterized + ?Sized> ParameterizedExt for P {}

fn set_free<P: Parameterized + ?Sized>(root: &mut P, path: &str, free: bool) -> Result<()> {
    let positions = with_tied(root, positions(root, path)?);
    for_each_at(root, &positions, &mut |parameter, element| parameter.free[element] = free);
    Ok(())
}

fn set_prior<P: Parameterized + ?Sized>(root: &mut P, path: &str, prior: Option<Prior>) -> Result<()> {
    let positions = with_tied(root, positions(root, path)?);
    for_each_at(root, &positions, &mut |parameter, element| parameter.change_note(element, |note| note.prior = prior));
    Ok(())
}
