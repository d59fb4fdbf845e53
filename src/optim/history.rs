//! The course of a training.

/// A step of a [`Run`](super::Run).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Progress {
    /// The step, from 0.
    pub step: usize,
    /// The number of steps that training may take.
    pub steps: usize,
    /// The loss before the step, of the step's batch, less the log prior.
    pub loss: f64,
    /// The learning rate of the step, of all that has no rate of its own.
    pub rate: f64,
    /// The rate of the natural gradient step beside it, 0 if it was not taken; `None` without natural gradients.
    #[cfg_attr(feature = "serde", serde(default))]
    pub natural: Option<f64>,
}

/// What ended the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All steps were taken.
    Finished,
    /// The loss stopped to fall: see [`EarlyStop`](super::EarlyStop).
    Early,
    /// The caller took no more.
    Caller,
}

/// The course of the training.
///
/// # Examples
///
/// ```
/// use mercer::optim::{Batch, Run, Stopped, Train};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let mut kernel = Rbf::new(1.0);
/// let loss = |kernel: &Rbf, _: Batch<'_>| Ok((kernel.lengthscale()[0], vec![1.0]));
/// let train = Train::new(7).with_rate(0.5).with_record_every(3);
/// let history = Run::new(&mut kernel, 1, &train, loss)?.finish(&mut rand_pcg::Pcg64::seed_from_u64(0))?;
/// assert_eq!((history.steps, history.stopped), (7, Stopped::Finished));
/// let recorded: Vec<usize> = history.records.iter().map(|progress| progress.step).collect();
/// assert_eq!(recorded, [0, 3, 6]);
/// assert_eq!(history.records[0].loss, 1.0); // before the step
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Every so many steps, and the last step.
    pub records: Vec<Progress>,
    /// The number of steps taken.
    pub steps: usize,
    /// Why there are no more.
    pub stopped: Stopped,
}
