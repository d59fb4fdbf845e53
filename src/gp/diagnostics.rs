//! Diagnostics of sparse models: conditioning, inducing inputs that nearly coincide, bounds.

use std::fmt;

use faer::{MatRef, Par};

use crate::kernel::{Kernel, gram_into};
use crate::linalg::{Cholesky, Jitter, LEAST_KNOWN_PIVOT, padded};
use crate::{Error, Result};

/// Two inducing inputs pile up where the standard deviation of f(z) − f(z′) is below this fraction
/// of that of f(z) or f(z′), whichever is larger: for a squared exponential, where they are closer
/// than about this fraction of a lengthscale.
pub const PILE_UP: f64 = 0.01;

/// The state of the inducing inputs, and of the bounds if they were asked for.
///
/// From [`diagnose`] for any sparse model, and [`Sgpr::diagnose`](super::Sgpr::diagnose) with
/// bounds. Prints as a report, a line for each finding.
///
/// # Examples
///
/// ```
/// use mercer::gp::Sgpr;
/// use mercer::prelude::*;
///
/// let x = mat![[0.0], [0.7], [1.9], [3.1]];
/// let z = mat![[0.0], [2.0], [0.001]];
/// let sgpr = Sgpr::new(Rbf::new(1.0), z.as_ref())?.with_noise(0.1)?;
/// let found = sgpr.diagnose(&Data::new(&x, &[0.2, 0.9, 0.3, -0.8]), None)?;
/// assert_eq!((found.pile_ups[0].first, found.pile_ups[0].second), (0, 2));
/// assert!((found.pile_ups[0].distance - 0.001).abs() < 1e-9);
/// assert!(found.to_string().contains("inputs 0 and 2 pile up"));
/// assert!(found.effective_rank > 1.5 && found.effective_rank < 2.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostics {
    /// The number of inducing inputs, M.
    pub inducing: usize,
    /// The condition number of K(Z, Z) before any jitter: the largest eigenvalue by the least, and
    /// infinite if rounding leaves that not positive.
    pub condition: f64,
    /// How many inducing variables the prior sees as different: exp(−Σ pᵢ ln pᵢ), where pᵢ are the
    /// eigenvalues of K(Z, Z) by their sum; between 1 and M (Roy & Vetterli 2007).
    pub effective_rank: f64,
    /// The jitter that was added to the diagonal of K(Z, Z).
    pub jitter: f64,
    /// The mean of the diagonal of K(Z, Z): what the jitter is to be compared with.
    pub mean_diagonal: f64,
    /// The pairs that say almost the same, closest first; see [`PILE_UP`].
    pub pile_ups: Vec<PileUp>,
    /// The bounds on the log evidence, if data was given.
    pub bounds: Option<Bounds>,
}

/// Two inducing inputs that say almost the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PileUp {
    /// The row of the first.
    pub first: usize,
    /// The row of the second, larger than that of the first.
    pub second: usize,
    /// The standard deviation of f(z) − f(z′) by the larger of those of f(z) and f(z′); 0 for equal
    /// inputs, and within some 10⁻⁸ of rounding.
    pub distance: f64,
}

/// Bounds on the exact log evidence of a regression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The collapsed variational bound, from below.
    pub lower: f64,
    /// [`Sgpr::upper_bound`](super::Sgpr::upper_bound).
    pub upper: f64,
    /// tr(K − Q)/2σ², the part of the lower bound that more inducing inputs would reduce.
    pub trace: f64,
    /// By how much rounding may have changed `lower`; what it does to `upper` is of that order.
    pub rounding: f64,
    /// How far the bound of a given q lies below `lower`; see [`Sgpr::gap`](super::Sgpr::gap).
    pub gap: Option<f64>,
}

/// Inspects the inducing inputs Z of any sparse model, an [`Svgp`](super::Svgp) with any likelihood
/// included. O(M³).
///
/// # Errors
///
/// Those of [`gram_into`] and [`Cholesky::new`].
///
/// # Examples
///
/// Two inputs with correlation ½: the eigenvalues of K(Z, Z) are 1.5 and 0.5.
///
/// ```
/// use mercer::gp::diagnose;
/// use mercer::linalg::Jitter;
/// use mercer::prelude::*;
///
/// let z = mat![[0.0], [(2.0 * 2f64.ln()).sqrt()]];
/// let found = diagnose(&Rbf::new(1.0), z.as_ref(), Jitter::default(), Par::Seq)?;
/// assert!((found.condition - 3.0).abs() < 1e-14);
/// let entropy = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
/// assert!((found.effective_rank - entropy.exp()).abs() < 1e-14);
/// assert!(found.pile_ups.is_empty() && found.jitter == 0.0);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn diagnose(kernel: &dyn Kernel<f64>, z: MatRef<'_, f64>, jitter: Jitter, par: Par) -> Result<Diagnostics> {
    let m = z.nrows();
    let mut gram = padded(m, m);
    gram_into(kernel, z, gram.as_mut(), par)?;
    let gram = gram.as_ref();
    let factor = Cholesky::above(gram, jitter, LEAST_KNOWN_PIVOT, par)?;
    // Ascending.
    let Ok(spectrum) = gram.self_adjoint_eigenvalues(faer::Side::Lower) else {
        return Err(Error::setting("K(Z, Z)", "a matrix whose eigenvalues do not converge", "must have eigenvalues"));
    };
    let (least, largest) = (spectrum.first().copied().unwrap_or(0.0), spectrum.last().copied().unwrap_or(0.0));
    Ok(Diagnostics {
        inducing: m,
        condition: if least > 0.0 { largest / least } else { f64::INFINITY },
        effective_rank: effective_rank(&spectrum),
        jitter: factor.jitter(),
        mean_diagonal: (0..m).map(|i| gram[(i, i)]).sum::<f64>() / m as f64,
        pile_ups: pile_ups(gram),
        bounds: None,
    })
}

fn effective_rank(spectrum: &[f64]) -> f64 {
    let positive = || spectrum.iter().copied().filter(|&value| value > 0.0);
    let total: f64 = positive().sum();
    positive().map(|value| value / total).map(|p| -p * p.ln()).sum::<f64>().exp()
}

fn pile_ups(gram: MatRef<'_, f64>) -> Vec<PileUp> {
    let mut found = Vec::new();
    for first in 0..gram.nrows() {
        for second in first + 1..gram.nrows() {
            let (a, b) = (gram[(first, first)], gram[(second, second)]);
            let squared = ((a + b) - 2.0 * gram[(second, first)]).max(0.0) / a.max(b);
            // At a point where the process is fixed, as Brownian motion at 0, nothing is to be
            // learned, and the ratio of two such is not a number.
            let distance = if squared.is_nan() { 0.0 } else { squared.sqrt() };
            if distance < PILE_UP {
                found.push(PileUp { first, second, distance });
            }
        }
    }
    found.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    found
}

/// Pairs that a report lists before it counts.
const LISTED: usize = 5;

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inducing, condition, effective_rank, jitter, mean_diagonal, pile_ups, bounds } = self;
        writeln!(f, "{inducing} inducing inputs, effective rank {effective_rank:.1}")?;
        write!(f, "condition of K(Z, Z) {condition:.1e}, jitter ")?;
        match *jitter {
            0.0 => writeln!(f, "none")?,
            jitter => writeln!(f, "{jitter:.1e} on a mean diagonal of {mean_diagonal:.3e}")?,
        }
        for PileUp { first, second, distance } in pile_ups.iter().take(LISTED) {
            writeln!(f, "inputs {first} and {second} pile up: they differ by {distance:.1e} standard deviations")?;
        }
        if pile_ups.len() > LISTED {
            writeln!(f, "and {} more pairs do", pile_ups.len() - LISTED)?;
        }
        let Some(Bounds { lower, upper, trace, rounding, gap }) = bounds else { return Ok(()) };
        writeln!(f, "log evidence between {lower:.4} and {upper:.4}; the trace term takes {trace:.4}")?;
        writeln!(f, "rounding may have changed them by {rounding:.1e}")?;
        match gap {
            Some(gap) => writeln!(f, "q lies {gap:.4e} nats below the best for these inducing inputs"),
            None => Ok(()),
        }
    }
}
