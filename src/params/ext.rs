//! What can be done with anything that has parameters.

use rand::Rng;

use super::path::walk;
use super::select::{for_each, for_each_at, for_each_mut, positions, same_path, unknown};
use super::{Constraint, Label, ParameterRef, Parameterized, Prior, Visitor, density};
use crate::{Error, Result};

/// One scalar in the list of parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it is: `sum[1].rbf.lengthscale`.
    pub path: String,
    /// Its value, in natural units.
    pub value: f64,
    /// The set that it lives in.
    pub constraint: Constraint,
    /// Its prior, if it has one.
    pub prior: Option<Prior>,
    /// Whether optimisers may change it.
    pub free: bool,
}

/// Reading, setting, freezing and packing parameters, and their priors, for every [`Parameterized`] type.
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
        struct Count(usize);
        impl Visitor for Count {
            fn parameter(&mut self, parameter: ParameterRef<'_>) {
                self.0 += parameter.values.len();
            }
            fn child(&mut self, _: Label, child: &dyn Parameterized) {
                child.visit(self);
            }
        }
        let mut count = Count(0);
        self.visit(&mut count);
        count.0
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
    /// [`Error::Shape`] for the wrong number of values; [`Error::Parameter`] for one that its
    /// constraint refuses. Nothing is changed then.
    fn set_values(&mut self, values: &[f64]) -> Result<()> {
        check_len("the vector of parameters", self.num_params(), values.len())?;
        let mut rest = values.iter();
        let mut refused = None;
        let mut position = 0;
        for_each(self, &mut |parameter| {
            for (&value, _) in rest.by_ref().zip(parameter.values) {
                if refused.is_none() && !parameter.constraint.admits(value) {
                    refused = Some((position, value));
                }
                position += 1;
            }
        });
        if let Some((position, value)) = refused {
            return Err(refusal(self.parameters().swap_remove(position), value));
        }
        let mut rest = values.iter();
        for_each_mut(self, &mut |parameter| {
            parameter.values.iter_mut().zip(&mut rest).for_each(|(slot, &value)| *slot = value);
        });
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
        let mut entries = Vec::new();
        walk(self, &mut |path, parameter| {
            for (element, (&value, &free)) in parameter.values.iter().zip(parameter.free).enumerate() {
                let path = format!("{path}{}", parameter.shape.index(element));
                let prior = parameter.prior(element);
                entries.push(Entry { path, value, constraint: parameter.constraint, prior, free });
            }
        });
        entries
    }

    /// The value at a path, in natural units.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`], with the nearest names.
    fn get(&self, path: &str) -> Result<f64> {
        let entries = self.parameters();
        match entries.iter().find(|entry| same_path(&entry.path, path)) {
            Some(entry) => Ok(entry.value),
            None => Err(unknown(path, &entries)),
        }
    }

    /// Sets the value at a path, in natural units.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`], with the nearest names; [`Error::Parameter`] if the constraint
    /// refuses the value. Nothing is changed then.
    fn set(&mut self, path: &str, value: f64) -> Result<()> {
        let entries = self.parameters();
        let Some(position) = entries.iter().position(|entry| same_path(&entry.path, path)) else {
            return Err(unknown(path, &entries));
        };
        let entry = &entries[position];
        if !entry.constraint.admits(value) {
            return Err(refusal(entry.clone(), value));
        }
        for_each_at(self, &[position], &mut |parameter, element| parameter.values[element] = value);
        Ok(())
    }

    /// Keeps optimisers from a parameter, from one element of it, or from everything below a node.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`], with the nearest names.
    fn freeze(&mut self, path: &str) -> Result<()> {
        set_free(self, path, false)
    }

    /// Undoes [`freeze`](Self::freeze).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`], with the nearest names.
    fn unfreeze(&mut self, path: &str) -> Result<()> {
        set_free(self, path, true)
    }

    /// Gives a prior to a parameter, to one element of it, or to everything below a node; it replaces
    /// the one that was there.
    ///
    /// [`optim::fit`](crate::optim::fit) and [`Train`](crate::optim::Train), and so all models, subtract
    /// [`log_prior`](Self::log_prior) from the loss that they minimise.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPath`], with the nearest names.
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
    /// [`Error::UnknownPath`], with the nearest names.
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
    /// [`Error::Parameter`] if the constraint refuses all these draws. Nothing is changed then.
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

    /// The free parameters, mapped to the real line by their constraints.
    fn unconstrained(&self) -> Vec<f64> {
        let mut packed = Vec::new();
        for_each(self, &mut |parameter| {
            for (&value, &free) in parameter.values.iter().zip(parameter.free) {
                if free {
                    packed.push(parameter.constraint.unconstrain(value));
                }
            }
        });
        packed
    }

    /// Sets the free parameters from the real line.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for the wrong number of values; [`Error::Parameter`] for a NaN. Nothing is
    /// changed then.
    fn set_unconstrained(&mut self, packed: &[f64]) -> Result<()> {
        let mut rest = packed.iter();
        let mut refused = None;
        let (mut position, mut free) = (0, 0);
        for_each(self, &mut |parameter| {
            for &is_free in parameter.free {
                if is_free {
                    free += 1;
                    let value = rest.next().copied().unwrap_or_default();
                    if refused.is_none() && !parameter.constraint.admits(parameter.constraint.constrain(value)) {
                        refused = Some((position, value));
                    }
                }
                position += 1;
            }
        });
        check_len("the vector of free parameters", free, packed.len())?;
        if let Some((position, value)) = refused {
            return Err(refusal(self.parameters().swap_remove(position), value));
        }
        let mut rest = packed.iter();
        for_each_mut(self, &mut |parameter| {
            let constraint = parameter.constraint;
            for (slot, _) in parameter.values.iter_mut().zip(&*parameter.free).filter(|(_, free)| **free) {
                if let Some(&value) = rest.next() {
                    *slot = constraint.constrain(value);
                }
            }
        });
        Ok(())
    }

    /// The gradient in the free unconstrained parameters, from that in all natural ones.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for the wrong number of values.
    fn unconstrained_gradient(&self, natural: &[f64]) -> Result<Vec<f64>> {
        check_len("the gradient", self.num_params(), natural.len())?;
        let mut packed = Vec::new();
        let mut rest = natural.iter();
        for_each(self, &mut |parameter| {
            for ((&value, &free), &gradient) in parameter.values.iter().zip(parameter.free).zip(&mut rest) {
                if free {
                    packed.push(gradient * parameter.constraint.slope(value));
                }
            }
        });
        Ok(packed)
    }
}

impl<P: Parameterized + ?Sized> ParameterizedExt for P {}

fn refusal(entry: Entry, value: f64) -> Error {
    Error::Parameter { path: entry.path, value, expected: entry.constraint.to_string() }
}

fn check_len(what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::shape(what, format!("{expected} value(s)"), (found, 1)))
}

fn set_free<P: Parameterized + ?Sized>(root: &mut P, path: &str, free: bool) -> Result<()> {
    let positions = positions(root, path)?;
    for_each_at(root, &positions, &mut |parameter, element| parameter.free[element] = free);
    Ok(())
}

fn set_prior<P: Parameterized + ?Sized>(root: &mut P, path: &str, prior: Option<Prior>) -> Result<()> {
    let positions = positions(root, path)?;
    for_each_at(root, &positions, &mut |parameter, element| parameter.change_note(element, |note| note.prior = prior));
    Ok(())
}
