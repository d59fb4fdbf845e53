//! Gaussian-process models: construction, training, prediction.
//!
//! Each model states its objective once, forward, on a [`Tape`](crate::tape::Tape); gradients in all
//! parameters follow from there. A model holds its parameters in `f64`; the precision of a
//! computation is that of the data it is given.

mod batch;
pub(crate) mod checks;
mod coincident;
mod collapsed;
mod components;
mod conditional;
mod conformal;
mod data;
mod diagnostics;
mod engine;
mod exact;
mod few_points;
mod fit;
pub mod gplvm;
mod latents;
mod leave_one_out;
mod low_rank;
mod mean_basis;
mod model;
mod moments;
mod multioutput;
mod overflow;
mod pathwise;
mod posterior;
mod predict;
mod prediction;
mod prior;
mod process;
mod recommend;
mod rounding;
#[cfg(feature = "serde")]
mod saved;
mod seen;
pub(crate) mod settings;
mod sgpr;
mod slopes;
mod standardized;
mod starts;
mod statistics;
mod svgp;
mod terms;
mod units;
mod update;
mod variational;

pub use batch::{BatchGp, BatchPosterior};
pub use collapsed::{Approximation, CollapsedEvidence};
pub use components::{Component, Components};
pub use conformal::{Band, Conformal};
pub use data::{Batch, Data, IntoMatrix, Outputs, Separate};
pub use diagnostics::{Bounds, Diagnostics, PILE_UP, PileUp, diagnose};
pub use engine::{Engine, Explanation, Verdict};
pub use exact::ExactGp;
pub use fit::{End, Fit, Report, Restarts, Start, Summary, Warning};
pub use gplvm::{BayesianGplvm, Gplvm};
pub use leave_one_out::LeaveOneOut;
pub use mean_basis::MeanBasis;
pub use model::{Memory, Model, NaturalGradients, Objective, Scales, Trainable};
pub use multioutput::{IcmGp, IcmPosterior, JointPrediction, Oilmm, OilmmPosterior, Stacked};
pub use pathwise::PathwiseSamples;
pub use posterior::Posterior;
pub use predict::Predict;
pub(crate) use predict::{check_observations, missing_function};
pub(crate) use prediction::clamp;
pub use prediction::{Prediction, Samples};
pub use prior::Prior;
pub use recommend::{Budget, Cost, Excess, Method, Problem, Reason, Recommendation, recommend};
pub use rounding::ROUNDING_LIMIT;
pub use sgpr::Sgpr;
pub use slopes::Slopes;
pub use standardized::{Standardization, Standardized, StandardizedObjective, StandardizedPosterior};
pub use starts::{Suggested, kernel_from_data};
pub use statistics::Statistics;
pub use svgp::{BatchLoss, Elbo, NaturalStep, StatisticsLoss, Svgp};
pub use variational::Variational;
