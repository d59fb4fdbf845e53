//! Checkpoints in files.

use faer::Mat;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::batch::Deck;
use super::checkpoint::State;
use super::patience::{Course, Plateau};
use super::{Adam, AdamState, Checkpoint, Progress};
use crate::save::{FromValue, Load, Node, Numbers, Place, Reader, Save, Value, Writer};
use crate::{Error, Result};

impl Save for Checkpoint {
    const NAME: &'static str = "checkpoint";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let State { steps, point, units, values, sound, adam, deck, plateau, records, last } = &self.state;
        to.put("steps", steps)?;
        to.put("point", point.as_slice())?;
        to.put("units", units.as_slice())?;
        to.put("values", values.as_slice())?;
        to.put("sound", sound.as_slice())?;
        to.put("adam", adam)?;
        to.put_optional("deck", deck.as_ref())?;
        to.put("plateau", plateau)?;
        to.put("records", &rows(records))?;
        to.put_optional("last", last.map(|last| rows(&[last])).as_ref())
    }
}

impl Load for Checkpoint {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (Numbers(point), Numbers(units)) = (from.take("point")?, from.take("units")?);
        let (Numbers(values), Numbers(sound)) = (from.take("values")?, from.take("sound")?);
        let last: Option<Mat<f64>> = from.take_optional("last")?;
        let state = State {
            steps: from.take("steps")?,
            point,
            units,
            values,
            sound,
            adam: from.take("adam")?,
            deck: from.take_optional("deck")?,
            plateau: from.take("plateau")?,
            records: records(&from.take("records")?)?,
            last: last.map(|last| records(&last)).transpose()?.and_then(|last| last.first().copied()),
        };
        Ok(Self { state })
    }
}

/// A checkpoint and what belongs to it, in one file: the random generator.
impl<R: Serialize> Save for (Checkpoint, R) {
    const NAME: &'static str = "checkpoint_and_generator";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("checkpoint", &self.0)?;
        // As text, as generators have numbers of 128 bits.
        let refused = |error| Error::setting("the generator to be saved", error, "must be one that JSON can have");
        to.put("generator", &serde_json::to_string(&self.1).map_err(refused)?)
    }
}

impl<R: Serialize + DeserializeOwned> Load for (Checkpoint, R) {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (checkpoint, text): (Checkpoint, String) = (from.take("checkpoint")?, from.take("generator")?);
        let generator = serde_json::from_str(&text);
        let refused = |error| from.error(format!("has a generator of another kind: {error}"));
        Ok((checkpoint, generator.map_err(refused)?))
    }
}

/// A row for each step: its number, that of all, loss, rate, and the rate of natural gradients or NaN.
fn rows(records: &[Progress]) -> Mat<f64> {
    let mut rows = Mat::zeros(records.len(), 5);
    for (row, &Progress { step, steps, loss, rate, natural }) in records.iter().enumerate() {
        let values = [step as f64, steps as f64, loss, rate, natural.unwrap_or(f64::NAN)];
        values.into_iter().enumerate().for_each(|(col, value)| rows[(row, col)] = value);
    }
    rows
}

fn records(rows: &Mat<f64>) -> Result<Vec<Progress>> {
    if rows.ncols() != 5 {
        return Err(Error::shape("the records", "5 columns", rows.shape()));
    }
    let of_row = |row: usize| {
        let [step, steps, loss, rate, natural] = std::array::from_fn(|col| rows[(row, col)]);
        let natural = (!natural.is_nan()).then_some(natural);
        Ok(Progress { step: count(step)?, steps: count(steps)?, loss, rate, natural })
    };
    (0..rows.nrows()).map(of_row).collect()
}

/// A whole number that a double has exactly.
fn count(value: f64) -> Result<usize> {
    if value >= 0.0 && value.fract() == 0.0 && value < 2f64.powi(53) {
        return Ok(value as usize);
    }
    Err(Error::setting("a count", value, "must be a whole number"))
}

impl Value for AdamState {
    fn node(&self) -> Result<Node> {
        let Self { settings: Adam { rate, beta1, beta2, epsilon, clip }, first, second, steps } = self;
        Writer::map(|to| {
            to.put("rate", rate)?;
            to.put("beta1", beta1)?;
            to.put("beta2", beta2)?;
            to.put("epsilon", epsilon)?;
            to.put_optional("clip", clip.as_ref())?;
            to.put("first", first.as_slice())?;
            to.put("second", second.as_slice())?;
            to.put("steps", steps)
        })
    }
}

impl FromValue for AdamState {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let (Numbers(first), Numbers(second)) = (from.take("first")?, from.take("second")?);
            let settings = Adam {
                rate: from.take("rate")?,
                beta1: from.take("beta1")?,
                beta2: from.take("beta2")?,
                epsilon: from.take("epsilon")?,
                clip: from.take_optional("clip")?,
            };
            Ok(Self { settings, first, second, steps: from.take("steps")? })
        })
    }
}

impl Value for Deck {
    fn node(&self) -> Result<Node> {
        let order: Vec<f64> = self.order.iter().map(|&row| row as f64).collect();
        Writer::map(|to| {
            to.put("order", order.as_slice())?;
            to.put("dealt", &self.dealt)?;
            to.put("size", &self.size)
        })
    }
}

impl FromValue for Deck {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let Numbers(order) = from.take("order")?;
            let order = order.into_iter().map(count).collect::<Result<_>>()?;
            Ok(Self { order, dealt: from.take("dealt")?, size: from.take("size")? })
        })
    }
}

impl Value for Plateau {
    fn node(&self) -> Result<Node> {
        let Self { sum, seen, course: Course { least, idle } } = self;
        Writer::map(|to| {
            to.put("sum", sum)?;
            to.put("seen", seen)?;
            to.put_optional("least", least.as_ref())?;
            to.put("idle", idle)
        })
    }
}

impl FromValue for Plateau {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let course = Course { least: from.take_optional("least")?, idle: from.take("idle")? };
            Ok(Self { sum: from.take("sum")?, seen: from.take("seen")?, course })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;

    use super::*;
    use crate::optim::{Batch, EarlyStop, Run, Train};
    use crate::params::ParameterizedExt;
    use crate::prelude::*;
    use crate::save::from_bytes;

    #[test]
    fn checkpoints_come_back() {
        let plain = Train::new(2);
        let batches = Train::new(2).with_batch(2).with_early_stop(EarlyStop::default()).with_record_every(2);
        for train in [Train::new(0), plain, batches] {
            let mut kernel = 1.5 * Rbf::new(0.7);
            let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
            let loss = |kernel: &Scaled<Rbf>, _: Batch<'_>| Ok((kernel.values().iter().sum(), vec![1.0, 1.0 / 3.0]));
            let mut run = Run::new(&mut kernel, 5, &train, loss).unwrap();
            while run.step(&mut rng).unwrap().is_some() {}
            let checkpoint = run.checkpoint();
            assert_eq!(from_bytes::<Checkpoint>(&checkpoint.to_bytes().unwrap()).unwrap(), checkpoint);
            let pair = (checkpoint, rng);
            assert_eq!(from_bytes::<(Checkpoint, rand_pcg::Pcg64)>(&pair.to_bytes().unwrap()).unwrap(), pair);
        }
    }
}
