//! What an emulator is trained on.

use std::f64::consts::TAU;

use super::search::Search;
use super::{Emulator, Structure};
use crate::kernel::check_differentiable;
use crate::optim::{Minimizer, Minimum, fit};
use crate::params::{ParameterizedExt, places};
use crate::{Expr, Kernel, Result};

/// Searches for better starts, at most.
const ROUNDS: u64 = 3;

/// The gain of log evidence from which it is worth to search once more.
const GAIN: f64 = 0.01;

/// The objectives of an [`Emulator`]: M spectra of P pixels, m components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// How probable the weights ŵ are, but for the constant −(mM/2) log 2π:
    ///
    /// −½ (log|V| + ŵᵀV⁻¹ŵ)
    Weights,
    /// How probable the standardised spectra F are, that is how well they are reconstructed, constants included:
    ///
    /// log N(ŵ; 0, V) + (M(P − m)/2) log(λ/2π) − (M/2) log|G| − (λ/2) ‖F − Φŵ‖²
    ///
    /// It is the density of N(0, Φ blockdiag(K₁ + ν₁I, …) Φᵀ + λ⁻¹ I) at F, without a matrix of pixels.
    Fluxes,
}

impl<K: Kernel<f64> + Expr + Clone> Emulator<K> {
    /// The log evidence.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`](crate::Error::Dimension) if a kernel cannot read the parameters;
    /// [`Error::Indefinite`](crate::Error::Indefinite) for a kernel that is not guaranteed positive semi-definite;
    /// [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite) if no jitter that the policy allows is enough;
    /// [`Error::Setting`](crate::Error::Setting) for a structure that was asked for and does not hold;
    /// [`Error::NotConverged`](crate::Error::NotConverged) from [`Structure::Iterative`].
    ///
    /// # Examples
    ///
    /// One spectrum of two pixels: the density of N(0, 3 EEᵀ + I/λ) at the spectrum.
    ///
    /// ```
    /// use mercer::data::Basis;
    /// use mercer::emulator::{Emulator, Evidence};
    /// use mercer::prelude::*;
    ///
    /// let basis = Basis::new(mat![[1.0, 0.0]])?;
    /// let emulator = Emulator::new(mat![[0.5]].as_ref(), mat![[2.0, 0.1]].as_ref(), basis)?;
    /// let emulator = emulator.with_kernels(vec![3.0 * Rbf::new(1.0)])?.with_precision(4.0)?;
    ///
    /// let log_normal = |x: f64, v: f64| -0.5 * (x * x / v + (2.0 * std::f64::consts::PI * v).ln());
    /// let expected = log_normal(2.0, 3.25) + log_normal(0.1, 0.25);
    /// assert!((emulator.log_marginal_likelihood(Evidence::Fluxes)? - expected).abs() < 1e-14);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn log_marginal_likelihood(&self, of: Evidence) -> Result<f64> {
        let covariance = self.covariance()?;
        let mut a = self.data.weights.clone();
        covariance.solve_in_place(a.as_mut())?;
        Ok(self.value(of, covariance.log_det(), &a))
    }

    /// The log evidence, and its gradient in all natural parameters in visiting order.
    ///
    /// # Errors
    ///
    /// As [`log_marginal_likelihood`](Self::log_marginal_likelihood), and
    /// [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) for a kernel without gradients.
    pub fn log_marginal_likelihood_gradient(&self, of: Evidence) -> Result<(f64, Vec<f64>)> {
        self.kernel.0.iter().try_for_each(|kernel| check_differentiable(kernel))?;
        let covariance = self.covariance()?;
        let mut a = self.data.weights.clone();
        covariance.solve_in_place(a.as_mut())?;
        let cotangents = covariance.cotangents(a.as_ref())?;

        let precision = self.precision.value();
        let inverse_gram = &self.data.inverse_gram;
        let along: f64 =
            (0..inverse_gram.ncols()).map(|col| cotangents.noise.col(col).transpose() * inverse_gram.col(col)).sum();
        // N = G⁻¹/λ + diag(ν)
        let mut gradient = vec![-along / (precision * precision)];
        if of == Evidence::Fluxes {
            gradient[0] += 0.5 * (self.residual_freedom() / precision - self.data.residual);
        }
        gradient.extend((0..self.nugget.values().len()).map(|component| cotangents.noise[(component, component)]));
        gradient.extend(cotangents.kernels.into_iter().flatten());
        Ok((self.value(of, covariance.log_det(), &a), gradient))
    }

    /// Maximises a log evidence over the free parameters; with [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// An evidence has many maxima, some far below others. This looks for the best: it climbs [from where the parameters
    /// are](Self::refine), then searches for better parameters of each component alone, from where it is, from what the data
    /// suggest (the variance of the weight for the factor of a kernel, the median distances of the θ for lengthscales) and from
    /// random places about both, and climbs from the best. That is repeated as long as it brings anything, three times at
    /// most. The random places are the same each time. In all, it takes some three times as long as
    /// [`refine`](Self::refine), than whose its result is never worse. Where the first climb takes no step, there is no search.
    ///
    /// A [structure](Self::with_structure) that was not asked for is chosen once, before the search, and holds throughout:
    /// kernels are multiples of one for it only if what they have in common is
    /// [tied](crate::params::ParameterizedExt::tie), or frozen at equal values. Kernels that only start out equal are
    /// factorised as different ones.
    ///
    /// The result is that of the climb to the parameters that are left, with the evaluations of all climbs.
    ///
    /// # Errors
    ///
    /// As [`log_marginal_likelihood_gradient`](Self::log_marginal_likelihood_gradient) at the start; later failures end the search at the
    /// best parameters found.
    pub fn fit(&mut self, of: Evidence, minimizer: &dyn Minimizer) -> Result<Minimum> {
        self.with_lasting_structure(|emulator| {
            let mut best = emulator.climb(of, minimizer)?;
            // Who takes no step at all looks on, or has nothing that is free.
            let rounds = if best.steps > 0 { ROUNDS } else { 0 };
            for round in 0..rounds {
                let Some(start) = Search::new(emulator, of).start(&emulator.unconstrained(), round) else { break };
                let mut other = emulator.clone();
                other.set_unconstrained(&start)?;
                let Ok(found) = other.climb(of, minimizer) else { break };
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

    /// The same from where the parameters are alone: to the maximum that is nearest, as a rule.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub fn refine(&mut self, of: Evidence, minimizer: &dyn Minimizer) -> Result<Minimum> {
        self.with_lasting_structure(|emulator| emulator.climb(of, minimizer))
    }

    fn climb(&mut self, of: Evidence, minimizer: &dyn Minimizer) -> Result<Minimum> {
        fit(self, minimizer, |emulator| {
            let (evidence, mut gradient) = emulator.log_marginal_likelihood_gradient(of)?;
            gradient.iter_mut().for_each(|entry| *entry = -*entry);
            Ok((-evidence, gradient))
        })
    }

    /// Does something with a structure that holds for all values of the free parameters.
    fn with_lasting_structure<R>(&mut self, f: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let asked = self.structure;
        self.structure = Some(self.lasting_structure()?);
        let done = f(self);
        self.structure = asked;
        done
    }

    /// The structure that was asked for, or one that holds for all values of the free parameters.
    fn lasting_structure(&self) -> Result<Structure> {
        let problem = self.problem()?;
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

    /// The log evidence from log|V| and a = V⁻¹ŵ.
    fn value(&self, of: Evidence, log_det: f64, a: &faer::Mat<f64>) -> f64 {
        let weights = &self.data.weights;
        let fit: f64 = (0..a.ncols()).map(|col| weights.col(col).transpose() * a.col(col)).sum();
        let of_weights = -0.5 * (log_det + fit);
        if of == Evidence::Weights {
            return of_weights;
        }
        let (spectra, components) = (weights.nrows() as f64, weights.ncols() as f64);
        let precision = self.precision.value();
        let of_gram = spectra * self.data.basis.gram_factor().log_det();
        let of_residual = self.residual_freedom() * (precision / TAU).ln() - precision * self.data.residual;
        of_weights + 0.5 * (of_residual - of_gram - spectra * components * TAU.ln())
    }
}
