//! What all models have in common.

use std::cell::RefCell;
use std::fmt::Debug;
use std::marker::PhantomData;

use faer::Par;
use rand::Rng;

use super::fit::{self, Fit, Report, Summary, Warning};
use super::rounding::loss;
use super::starts::Suggested;
use super::{NaturalStep, coincident};
use crate::optim::{History, Loss, Measures, Minimizer, Minimum, NaturalGradient, Run, Train, fit_by};
use crate::params::{Parameterized, ParameterizedExt};
use crate::scalar::ByPrecision;
use crate::tape::{Pool, Tape};
use crate::{Result, Scalar};

/// A model that learns from data of this kind: [`Data`](super::Data) of inputs and observations,
/// [`Statistics`](super::Statistics) of them, a [`Batch`](super::Batch) of more, outputs alone,
/// [spectra](crate::emulator::Spectra).
///
/// What a model maximises is its objective: the log marginal likelihood (the evidence) of an exact model, a lower bound of
/// it (ELBO) of an approximate one. Programs that work for all models name this trait.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, Sgpr};
/// use mercer::optim::Lbfgs;
/// use mercer::prelude::*;
///
/// /// The objective after a fit, and the mean at 2.
/// fn fitted<M>(mut model: M, data: &Data<f64>) -> mercer::Result<(f64, f64)>
/// where
///     M: Model<Data<f64>> + Clone,
///     M::Posterior: Predict<f64>,
/// {
///     model.fit(data, &Lbfgs::default())?;
///     let mean = model.condition(data)?.predict(mat![[2.0]].as_ref())?.mean[(0, 0)];
///     Ok((model.objective(data)?.value(), mean))
/// }
///
/// let x = Mat::from_fn(30, 1, |i, _| 0.2 * i as f64);
/// let y: Vec<f64> = (0..30).map(|i| (0.2 * i as f64).sin() + 0.1 * (40.0 * i as f64).cos()).collect();
/// let data = Data::new(&x, y);
/// let exact = fitted(ExactGp::new(1.0 * Rbf::new(1.0)).with_noise(0.1)?, &data)?;
/// let z = Mat::from_fn(8, 1, |i, _| 0.8 * i as f64);
/// let sparse = fitted(Sgpr::new(1.0 * Rbf::new(1.0), z.as_ref())?.with_noise(0.1)?, &data)?;
/// assert!(sparse.0 < exact.0 + 1e-6 && (sparse.1 - exact.1).abs() < 0.01);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// A pair of model and data that do not go together does not compile:
///
/// ```compile_fail
/// use mercer::gp::{Data, ExactGp};
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
/// let _ = ExactGp::new(Rbf::new(1.0)).objective(&data.part_of(10)); // an exact model needs all data
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not learn from `{D}`",
    note = "all regression models take `Data`; `Svgp` takes a `Batch` too; `Sgpr` and `Svgp` with Gaussian noise take `Statistics`; \
            latent-variable models take their outputs, a `Mat<f64>`; an `Emulator` takes `Spectra`"
)]
pub trait Model<D: ?Sized>: Parameterized + Debug + Send + Sync {
    /// The objective, with its parts.
    type Objective: Objective;
    /// What the model knows after it has seen data.
    type Posterior;

    /// The objective, which is to be maximised.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`](crate::Error::Empty), [`Error::NonFinite`](crate::Error::NonFinite) and
    /// [`Error::Shape`](crate::Error::Shape) for data that do not fit; [`Error::Dimension`](crate::Error::Dimension) if a kernel
    /// cannot read the points; [`Error::Indefinite`](crate::Error::Indefinite) for a kernel that is not guaranteed positive
    /// semi-definite; [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite) if no jitter that the policy allows is
    /// enough. Models say what else they refuse.
    #[doc(alias = "log_marginal_likelihood", alias = "marginal likelihood", alias = "evidence", alias = "elbo")]
    fn objective(&self, data: &D) -> Result<Self::Objective>;

    /// The objective and its gradient in all natural parameters in visiting order, with matrices from a memory that
    /// evaluations share: what a loop of one's own calls.
    ///
    /// # Errors
    ///
    /// As [`objective`](Self::objective), and [`Error::NotDifferentiable`](crate::Error::NotDifferentiable) for a kernel
    /// without gradients.
    fn evaluate(&self, data: &D, memory: &Memory) -> Result<(Self::Objective, Vec<f64>)>;

    /// What the model knows after it has seen data, ready to predict.
    ///
    /// # Errors
    ///
    /// As [`objective`](Self::objective).
    fn condition(&self, data: &D) -> Result<Self::Posterior>;

    /// The objective, and its gradient in all natural parameters in visiting order.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate).
    fn gradient(&self, data: &D) -> Result<(Self::Objective, Vec<f64>)> {
        self.evaluate(data, &Memory::default())
    }

    /// The scales that a fit counts parameters in. By default 1 for all.
    ///
    /// # Errors
    ///
    /// As [`objective`](Self::objective).
    fn scales(&self, data: &D) -> Result<Scales> {
        let _ = data;
        Ok(Scales::default())
    }

    /// What the data suggest for starts: variances share what the observations vary, lengthscales are the median distance of
    /// the inputs, periods are those of the strongest waves, a constant mean is that of the observations, and noise is a tenth
    /// of their variance. By default, the values that there are.
    ///
    /// # Errors
    ///
    /// As [`objective`](Self::objective).
    fn suggest(&self, data: &D) -> Result<Suggested> {
        let _ = data;
        Ok(Suggested { values: self.values(), ranges: Vec::new() })
    }

    /// What to doubt of the model on these data: of their inputs, lengthscales, and the factorisation. By default nothing.
    /// [`Warning`] has an example.
    ///
    /// # Errors
    ///
    /// As [`objective`](Self::objective).
    fn examine(&self, data: &D) -> Result<Vec<Warning>> {
        let _ = data;
        Ok(Vec::new())
    }

    /// The effective degrees of freedom of the model on these data, for Gaussian noise: tr K (K + Σ)⁻¹. By default none.
    ///
    /// # Errors
    ///
    /// As [`condition`](Self::condition).
    fn degrees_of_freedom(&self, data: &D) -> Result<Option<f64>> {
        let _ = data;
        Ok(None)
    }

    /// The model on a page: objective, degrees of freedom, parameters, and what to doubt.
    ///
    /// # Errors
    ///
    /// As [`objective`](Self::objective) and [`condition`](Self::condition).
    fn summary(&self, data: &D) -> Result<Summary>
    where
        Self: Sized,
    {
        Ok(Summary {
            objective: self.objective(data)?.value(),
            log_prior: self.log_prior(),
            degrees_of_freedom: self.degrees_of_freedom(data)?,
            parameters: self.table(),
            warnings: self.examine(data)?,
        })
    }

    /// Maximises the objective over the free parameters; with [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior).
    ///
    /// `how` is a minimiser, or a [`Fit`] with starts and a noise floor.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate) at the start, and [`Error::Rounding`](crate::Error::Rounding) where
    /// [`Objective::rounding`] is above [`ROUNDING_LIMIT`](super::ROUNDING_LIMIT); later failures end the search at the best
    /// parameters found. Of several starts, those of the first if all fail.
    fn fit<'f>(&mut self, data: &D, how: impl Into<Fit<'f>>) -> Result<Report>
    where
        Self: Clone,
        D: Sync,
    {
        fit::fit(self, data, &how.into())
    }

    /// One search, from where the parameters are: what [`fit`](Self::fit) does from each start. A noise variance does not
    /// fall below this part of the variance of the observations.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    fn climb(&mut self, data: &D, minimizer: &dyn Minimizer, noise_floor: f64) -> Result<Minimum>
    where
        Self: Clone,
    {
        let Scales { parameters, columns, noise } = self.scales(data)?;
        let memory = Memory::default();
        let mut negative = |model: &Self| {
            let (objective, gradient) = model.evaluate(data, &memory)?;
            loss("the objective", objective.value(), objective.rounding(), gradient)
        };
        if !columns.is_empty() {
            coincident::part(self, &columns, &mut negative);
        }
        let floors: Vec<f64> = noise.iter().map(|unit| noise_floor * unit).collect();
        fit_by(self, Measures { units: &parameters, floors: &floors }, minimizer, negative)
    }
}

/// A model that learns by stochastic gradients, and by natural gradients of the parameters of its q.
///
/// # Examples
///
/// Minibatches, q by natural gradients; and the same training in two parts:
///
/// ```
/// use mercer::gp::{Data, Svgp};
/// use mercer::inducing::start::subset;
/// use mercer::likelihood::Gaussian;
/// use mercer::optim::{NaturalGradient, Train};
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let x = Mat::from_fn(200, 1, |i, _| 0.03 * i as f64);
/// let data = Data::new(&x, (0..200).map(|i| (0.03 * i as f64).sin()).collect::<Vec<_>>());
///
/// let z = subset(x.as_ref(), 12, &mut rng)?;
/// let start = Svgp::new(1.0 * Rbf::new(1.0), z.as_ref())?.with_likelihood(Gaussian::new(0.1));
/// let natural = NaturalGradient { rate: 0.2, ..NaturalGradient::default() };
/// let train = Train::new(100).with_batch(50).with_rate(0.03).with_natural_gradients(natural);
/// let (mut gp, mut same) = (start.clone(), rng.clone());
/// let history = gp.train(&data, &train, &mut rng)?;
/// assert!(history.records[99].loss < history.records[0].loss - 100.0);
///
/// let mut again = start;
/// let mut run = again.run(&data, &train)?;
/// while let Some(progress) = run.step(&mut same)? {
///     if progress.step == 29 {
///         break;
///     }
/// }
/// let checkpoint = run.checkpoint();
/// again.run(&data, &train)?.resume(&checkpoint)?.finish(&mut same)?;
/// assert_eq!(again.values(), gp.values()); // to the bit
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// An exact model has a fit and no training:
///
/// ```compile_fail
/// use mercer::gp::{Data, ExactGp};
/// use mercer::optim::Train;
/// use mercer::prelude::*;
/// use rand::SeedableRng;
///
/// let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
/// let _ = ExactGp::new(Rbf::new(1.0)).train(&data, &Train::default(), &mut rand_pcg::Pcg64::seed_from_u64(0));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not trained on `{D}` by stochastic gradients",
    note = "`Svgp` is, on `Data` and on `Statistics`; other models have `fit`"
)]
pub trait Trainable<D: ?Sized>: Model<D> {
    /// What it is trained by: minus the objective of a batch.
    type Loss<'r>: Loss<Self>
    where
        Self: Sized + 'r,
        D: 'r;

    /// A training before its first step, for loops that look at the model, stop it, or save it.
    ///
    /// # Errors
    ///
    /// As [`Run::new`], [`Model::evaluate`] and, with natural gradients, [`natural_step`](NaturalGradients::natural_step).
    fn run<'r>(&'r mut self, data: &'r D, train: &Train) -> Result<Run<'r, Self, Self::Loss<'r>>>
    where
        Self: Sized;

    /// Maximises the objective by the steps of `train`; with [priors](crate::params::Prior), its sum with their
    /// [`log_prior`](crate::params::ParameterizedExt::log_prior), of which each step takes the whole.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run) and [`Run::step`]; [`Error::Overflow`](crate::Error::Overflow) where the link of the
    /// likelihood overflows.
    fn train(&mut self, data: &D, train: &Train, rng: &mut dyn Rng) -> Result<History>
    where
        Self: Sized,
    {
        self.run(data, train)?.finish(rng)
    }
}

/// A model with a q that moves along natural gradients.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no natural gradients on `{D}`",
    note = "`Svgp` has, on `Data`, a `Batch` and `Statistics`"
)]
pub trait NaturalGradients<D: ?Sized>: Model<D> {
    /// Moves q along the natural gradient of the objective: whitened or not, the step is the same. For a Gaussian
    /// likelihood and all data, one step of rate 1 from anywhere leads to the best q, at which the bound is the collapsed one.
    ///
    /// From all data, a step raises the bound: the rate is halved until it does, thirty times at most, and then
    /// the step is not taken, and its [`rate`](NaturalStep::rate) is 0. A batch says too little of the bound for that.
    ///
    /// Gradients in q alone are computed: the kernel need not have any.
    ///
    /// # Errors
    ///
    /// As [`Model::objective`] and [`NaturalGradient::step`]; [`Error::Overflow`](crate::Error::Overflow) where the link of
    /// the likelihood overflows; [`Error::Setting`](crate::Error::Setting) for a q that is not full, or not all free.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp, Svgp};
    /// use mercer::likelihood::Gaussian;
    /// use mercer::optim::NaturalGradient;
    /// use mercer::prelude::*;
    ///
    /// // All inputs are inducing ones: the best bound is the log marginal likelihood.
    /// let data = Data::new(mat![[0.0], [1.0], [2.5]], [0.3, 1.0, -0.4]);
    /// let mut gp = Svgp::new(Rbf::new(1.0), data.x())?.with_likelihood(Gaussian::new(0.1));
    /// gp.natural_step(&data, &NaturalGradient::default())?;
    /// let exact = ExactGp::new(Rbf::new(1.0)).with_noise(0.1)?.objective(&data)?;
    /// assert!((gp.objective(&data)?.value - exact).abs() < 1e-12);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    fn natural_step(&mut self, data: &D, rule: &NaturalGradient) -> Result<NaturalStep>;
}

/// A number that a model maximises, with what is known beside it.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, Sgpr};
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[0.0], [1.0], [2.5]], [0.3, 1.0, -0.4]);
/// let bound = Sgpr::new(Rbf::new(1.0), data.x().subrows(0, 2))?.objective(&data)?;
/// assert!(bound.value() == bound.value && bound.rounding() < 1e-12); // with parts: `bound.trace`
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Objective: Copy + Debug {
    /// The number.
    fn value(&self) -> f64;

    /// By how much rounding may have changed it: 0 where that is not known.
    fn rounding(&self) -> f64 {
        0.0
    }
}

impl Objective for f64 {
    fn value(&self) -> f64 {
        *self
    }
}

/// The scales that a fit counts parameters in, so that its steps do not depend on the units of the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scales {
    /// Of all scalars in visiting order, for those that may be any finite number; none for 1.
    pub parameters: Vec<f64>,
    /// Of the columns of the inducing inputs, of which those that coincide are parted before a fit; none to leave them.
    pub columns: Vec<f64>,
    /// Of all scalars in visiting order, the variance of what was observed for those that are noise variances, and 0 for all
    /// others; none for no floor under any.
    pub noise: Vec<f64>,
}

/// Matrices that evaluations leave to the next, so that a loop allocates once.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, Memory};
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
/// let (gp, memory) = (ExactGp::new(Rbf::new(1.0)), Memory::default());
/// let first = gp.evaluate(&data, &memory)?;
/// assert_eq!(gp.evaluate(&data, &memory)?, first);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Memory {
    single: RefCell<Pool<f32>>,
    double: RefCell<Pool<f64>>,
    unwatched: bool,
}

impl Memory {
    /// For evaluations that do not look at rounding errors, as those of a training loop: their
    /// [`Objective::rounding`] is infinite.
    #[must_use]
    pub fn without_rounding(self) -> Self {
        Self { unwatched: true, ..self }
    }

    /// Evaluates on a tape that takes its matrices from here, and leaves them: for [`Model::evaluate`] of a model of one's
    /// own.
    ///
    /// # Errors
    ///
    /// Those of what is evaluated.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Memory;
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let memory = Memory::default();
    /// let squared = |x: f64| {
    ///     memory.on_tape(Par::Seq, |tape: &Tape<'_, f64>| {
    ///         let x = tape.scalar_parameter(x);
    ///         let gradients = tape.backward(x.square())?;
    ///         Ok(gradients.scalar(x))
    ///     })
    /// };
    /// assert_eq!((squared(3.0)?, squared(0.5)?), (Some(6.0), Some(1.0)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_tape<'a, T: Scalar, R>(&self, par: Par, evaluate: impl FnOnce(&Tape<'a, T>) -> Result<R>) -> Result<R> {
        self.on_tape_that_watches(!self.unwatched, par, evaluate)
    }

    /// The same, with rounding errors watched or not.
    pub(super) fn on_tape_that_watches<'a, T: Scalar, R>(
        &self,
        rounding: bool,
        par: Par,
        evaluate: impl FnOnce(&Tape<'a, T>) -> Result<R>,
    ) -> Result<R> {
        let pool = T::select::<Of<'_>>(self);
        let tape = Tape::with_pool(par, pool.take());
        if rounding {
            tape.watch_rounding();
        }
        let found = evaluate(&tape)?;
        pool.replace(tape.into_pool());
        Ok(found)
    }
}

struct Of<'m>(PhantomData<&'m ()>);

impl<'m> ByPrecision for Of<'m> {
    type Input<T: Scalar> = &'m Memory;
    type Output<T: Scalar> = &'m RefCell<Pool<T>>;

    fn f32(memory: &'m Memory) -> &'m RefCell<Pool<f32>> {
        &memory.single
    }

    fn f64(memory: &'m Memory) -> &'m RefCell<Pool<f64>> {
        &memory.double
    }
}
