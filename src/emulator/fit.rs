//! Climbs to maxima, and from better starts.

use super::search::Search;
use super::{Emulator, Spectra, Structure};
use crate::gp::Model;
use crate::optim::{Minimizer, Minimum, fit};
use crate::params::{ParameterizedExt, places};
use crate::{Expr, Kernel, Result};

/// Searches for better starts, at most.
const ROUNDS: u64 = 3;

/// The gain of log evidence from which it is worth to search once more.
const GAIN: f64 = 0.01;

impl<K: Kernel<f64> + Expr + Clone> Emulator<K> {
    /// Climbs from where the parameters are alone, as a rule to the maximum that is nearest; [`fit`](Model::fit) looks for
    /// others too.
    ///
    /// # Errors
    ///
    /// As [`fit`](Model::fit).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Spectra};
    /// use mercer::optim::Lbfgs;
    /// use mercer::prelude::*;
    ///
    /// let theta = Mat::from_fn(12, 1, |j, _| 0.5 * j as f64);
    /// let fluxes = Mat::from_fn(12, 2, |j, pixel| if pixel == 0 { (0.5 * j as f64).sin() } else { 0.01 * (j % 3) as f64 });
    /// let spectra = Spectra::new(&theta, &fluxes, Basis::new(mat![[1.0, 0.0]])?)?;
    /// let start = Emulator::new(&spectra)?;
    /// let (mut near, mut best) = (start.clone(), start.clone());
    /// near.refine(&spectra, &Lbfgs::default())?;
    /// best.fit(&spectra, &Lbfgs::default())?;
    /// let value = |emulator: &Emulator| Ok::<f64, Error>(emulator.objective(&spectra)?.value);
    /// assert!(value(&start)? < value(&near)? && value(&near)? <= value(&best)?);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn refine(&mut self, spectra: &Spectra, minimizer: &dyn Minimizer) -> Result<Minimum> {
        self.with_lasting_structure(spectra, |emulator| emulator.ascend(spectra, minimizer))
    }

    /// Climbs, and again from better starts.
    pub(super) fn search(&mut self, spectra: &Spectra, minimizer: &dyn Minimizer) -> Result<Minimum> {
        self.with_lasting_structure(spectra, |emulator| {
            let mut best = emulator.ascend(spectra, minimizer)?;
            // Who takes no step at all looks on, or has nothing that is free.
            let rounds = if best.steps > 0 { ROUNDS } else { 0 };
            for round in 0..rounds {
                let Some(start) = Search::new(emulator, spectra).start(&emulator.unconstrained(), round) else { break };
                let mut other = emulator.clone();
                other.set_unconstrained(&start)?;
                let Ok(found) = other.ascend(spectra, minimizer) else { break };
                let evaluations = best.evaluations + found.evaluations;
                let gain = best.value - found.value;
                if gain > 0.0 {
                    (*emulator, best) = (other, found);
                }
                best.evaluations = evaluations;
                if gain <= GAIN {
                    break;
                }
            }
            Ok(best)
        })
    }

    fn ascend(&mut self, spectra: &Spectra, minimizer: &dyn Minimizer) -> Result<Minimum> {
        fit(self, minimizer, |emulator| {
            let (evidence, mut gradient) = emulator.gradient(spectra)?;
            gradient.iter_mut().for_each(|entry| *entry = -*entry);
            Ok((-evidence.value, gradient))
        })
    }

    /// Does something with a structure that holds for all values of the free parameters.
    fn with_lasting_structure<R>(&mut self, spectra: &Spectra, f: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let asked = self.structure;
        self.structure = Some(self.lasting_structure(spectra)?);
        let done = f(self);
        self.structure = asked;
        done
    }

    /// The structure that was asked for, or one that holds for all values of the free parameters.
    fn lasting_structure(&self, spectra: &Spectra) -> Result<Structure> {
        let problem = self.problem(spectra)?;
        if let Some(structure) = self.structure {
            return Ok(structure);
        }
        let places = places(self);
        let kernels: usize = self.kernel.0.iter().map(|kernel| kernel.num_params()).sum();
        let mut rest = &places[places.len() - kernels..];
        let of_kernel = |kernel: &K| {
            let (own, others) = rest.split_at(kernel.num_params());
            rest = others;
            own
        };
        let places: Vec<_> = self.kernel.0.iter().map(of_kernel).collect();
        Ok(problem.lasting(&places))
    }
}
