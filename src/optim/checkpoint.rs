//! Training that was stopped, to go on as if it had not been.

use super::batch::Deck;
use super::patience::Plateau;
use super::{AdamState, Progress, Train};
use crate::params::{Parameterized, ParameterizedExt, units_at};
use crate::{Error, Result};

/// Where a [`Run`](super::Run) stands: all that [`Run::resume`](super::Run::resume) needs to go on to the same bits as a run
/// that was never left.
///
/// It has the parameters of the model, in natural units and, those that are free, on the real line, with the units that they
/// are counted in; the moments of [`Adam`](super::Adam); the order of the rows and how many of them have been dealt; what the rule
/// of [`EarlyStop`](super::EarlyStop) has seen; and the history. With the feature `serde` it is saved in a file by the module `save`,
/// by itself or, as a pair, with a random generator that serde knows.
///
/// Not in it: the random generator; the settings; the data; and what the model is, beside its parameters.
///
/// # Examples
///
/// Saved after 30 of 100 steps, with the generator, and read by another program, which has the same data and
/// the same model before training:
///
/// ```
/// use mercer::gp::Svgp;
/// use mercer::likelihood::Gaussian;
/// use mercer::optim::{Checkpoint, Train};
/// use mercer::prelude::*;
/// use mercer::save::{Save, from_bytes};
/// use rand::SeedableRng;
/// use rand_pcg::Pcg64;
///
/// let x = Mat::from_fn(40, 1, |i, _| 0.1 * i as f64);
/// let data = Data::new(&x, (0..40).map(|i| (0.1 * i as f64).sin()).collect::<Vec<_>>());
/// let start = Svgp::new(1.0 * Rbf::new(1.0), mat![[0.5], [1.5], [3.0]].as_ref())?;
/// let start = start.with_likelihood(Gaussian::new(0.1));
/// let train = Train::new(100).with_batch(7);
///
/// let (mut first, mut rng) = (start.clone(), Pcg64::seed_from_u64(1));
/// let mut run = first.run(&data, &train)?;
/// while run.step(&mut rng)?.is_some_and(|progress| progress.step + 1 < 30) {}
/// let saved = (run.checkpoint(), rng).to_bytes()?; // or `save(path)`; `Pcg64` has a feature `serde`
///
/// let (checkpoint, mut rng): (Checkpoint, Pcg64) = from_bytes(&saved)?;
/// let mut second = start.clone();
/// let history = second.run(&data, &train)?.resume(&checkpoint)?.finish(&mut rng)?;
///
/// let mut whole = start.clone();
/// assert_eq!(history, whole.train(&data, &train, &mut Pcg64::seed_from_u64(1))?);
/// assert_eq!(second.values(), whole.values());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(super) state: State,
}

impl Checkpoint {
    /// The number of steps taken.
    pub fn steps(&self) -> usize {
        self.state.steps
    }
}

/// The state of training between two steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) steps: usize,
    /// The free parameters on the real line: the natural ones do not give them back to the last bit.
    pub(super) point: Vec<f64>,
    /// Their units: those of a model depend on its parameters, and it has others by now.
    pub(super) units: Vec<f64>,
    /// All parameters.
    pub(super) values: Vec<f64>,
    /// All parameters where the loss was last sound.
    pub(super) sound: Vec<f64>,
    pub(super) adam: AdamState,
    pub(super) deck: Option<Deck>,
    pub(super) plateau: Plateau,
    pub(super) records: Vec<Progress>,
    /// The last step, whether or not it is in the records.
    pub(super) last: Option<Progress>,
}

impl State {
    /// Before the first step.
    pub(super) fn start<M: Parameterized>(train: &Train, model: &M, n: usize, units: &[f64]) -> Result<Self> {
        let (point, values) = (model.unconstrained(), model.values());
        Ok(Self {
            steps: 0,
            adam: train.adam.start(point.len())?,
            units: units_at(model, units),
            point,
            sound: values.clone(),
            values,
            deck: train.batch.map(|size| Deck::new(n, size)),
            plateau: Plateau::default(),
            records: Vec::new(),
            last: None,
        })
    }

    /// Brings the model to where this state is, if it fits the model, the settings and the data.
    pub(super) fn load<M: Parameterized>(&mut self, train: &Train, model: &mut M, n: usize) -> Result<()> {
        let (scalars, free) = (model.num_params(), model.unconstrained().len());
        for (what, expected, found) in [
            ("the vector of parameters in the checkpoint", scalars, self.values.len()),
            ("the vector of sound parameters in the checkpoint", scalars, self.sound.len()),
            ("the vector of free parameters in the checkpoint", free, self.point.len()),
            ("the vector of units in the checkpoint", free, self.units.len()),
        ] {
            if found != expected {
                return Err(Error::shape(what, format!("{expected} value(s), as the model has"), (found, 1)));
            }
        }
        self.adam.resume(&train.adam, free)?;
        match (&self.deck, train.batch) {
            (None, None) => {}
            (Some(deck), Some(size)) => deck.check(n, size)?,
            (None, Some(size)) => return Err(Error::setting("batch", size, "must be none, as before")),
            (Some(_), None) => return Err(Error::setting("batch", "none", "must be what it was before")),
        }
        model.set_values(&self.values)
    }
}
