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
/// of [`EarlyStop`](super::EarlyStop) has seen; and the history. With the feature `serde` it goes through any
/// format that gives an `f64` back to the last bit; `serde_json` needs its feature `float_roundtrip` for it. A checksum
/// goes with it, so that what was changed on the way is an error and not another training.
///
/// Not in it: the random generator, which is the caller's to save beside it; the settings; the data; and what
/// the model is, beside its parameters.
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
/// let saved = serde_json::to_string(&(run.checkpoint(), &rng))?; // `Pcg64` has a feature `serde`
///
/// let (checkpoint, mut rng): (Checkpoint, Pcg64) = serde_json::from_str(&saved)?;
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

#[cfg(feature = "serde")]
mod saved {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use super::{Checkpoint, State};
    use crate::data::checksum::{check_sum, checksum};

    #[derive(Serialize, Deserialize)]
    struct Document<S> {
        state: S,
        checksum: Option<String>,
    }

    impl Serialize for Checkpoint {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let sum = checksum(&self.state).map_err(ser::Error::custom)?;
            Document { state: &self.state, checksum: Some(sum) }.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Checkpoint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Document { state, checksum } = Document::<State>::deserialize(deserializer)?;
            check_sum("the saved checkpoint", &state, checksum.as_deref()).map_err(de::Error::custom)?;
            Ok(Self { state })
        }
    }
}

/// The state of training between two steps.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

#[cfg(all(test, feature = "serde"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;

    use super::*;
    use crate::data::checksum::assert_flips_are_found;
    use crate::optim::{Batch, EarlyStop, Run};
    use crate::prelude::*;

    fn checkpoint(train: &Train) -> Checkpoint {
        let mut kernel = 1.5 * Rbf::new(0.7);
        let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
        let loss = |kernel: &Scaled<Rbf>, _: Batch<'_>| Ok((kernel.values().iter().sum(), vec![1.0, 1.0 / 3.0]));
        let mut run = Run::new(&mut kernel, 5, train, loss).unwrap();
        while run.step(&mut rng).unwrap().is_some() {}
        run.checkpoint()
    }

    #[test]
    fn no_flipped_bit_makes_another_checkpoint() {
        let plain = Train::new(2);
        let batches = Train::new(2).with_batch(2).with_early_stop(EarlyStop::default()).with_record_every(2);
        for train in [Train::new(0), plain, batches] {
            assert_flips_are_found(&checkpoint(&train));
        }
    }

    #[test]
    fn a_checkpoint_without_a_checksum_says_what_to_do() {
        let mut saved = serde_json::to_value(checkpoint(&Train::new(1))).unwrap();
        saved.as_object_mut().unwrap().remove("checksum");
        let error = serde_json::from_value::<Checkpoint>(saved).unwrap_err().to_string();
        assert!(error.contains("the checksum of the saved checkpoint is missing") && error.contains("save it again"));
    }
}
