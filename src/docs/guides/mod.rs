//! Guides: short pages, code first.
//!
//! | page | what it shows |
//! |---|---|
//! | [`quickstart`] | data, a kernel, a fit, predictions; then many data, then draws from a prior |
//! | [`which_kernel`] | which kernel for which function; what an expression knows of itself; kernels as text |
//! | [`own_kernel`] | a kernel of your own: from a formula, from a profile, or by hand; how to test it |
//! | [`own_likelihood`] | a likelihood of your own, from its log density |
//! | [`own_warp`] | a map of the inputs of your own |
//! | [`own_inducing_features`] | inducing features of your own for sparse models |
//! | [`own_model`] | a model of your own, that is fitted like the others |
//! | [`asking`] | what a fitted model answers: terms of a sum, slopes, more data without a fit, services |
//! | [`saving`] | models, posteriors and checkpoints in files; parts of your own in them |
//! | [`classification`] | two classes, many classes, probabilities and their calibration |
//! | [`calibration`] | quantiles and draws of new observations; whether they hold; bands that hold whatever the model |
//! | [`troubleshooting`] | factorisations that fail, kernels that are refused, poor fits, compile errors |
//! | [`coming_from`] | names and conventions of GPyTorch, GPflow, GPJax, tinygp and scikit-learn |

#[doc = include_str!("quickstart.md")]
pub mod quickstart {}

#[doc = include_str!("which_kernel.md")]
pub mod which_kernel {}

#[doc = include_str!("own_kernel.md")]
pub mod own_kernel {}

#[doc = include_str!("own_likelihood.md")]
pub mod own_likelihood {}

#[doc = include_str!("own_warp.md")]
pub mod own_warp {}

#[doc = include_str!("own_inducing_features.md")]
pub mod own_inducing_features {}

#[doc = include_str!("own_model.md")]
pub mod own_model {}

#[doc = include_str!("asking.md")]
pub mod asking {}

#[doc = include_str!("saving.md")]
pub mod saving {}

#[doc = include_str!("classification.md")]
pub mod classification {}

#[doc = include_str!("calibration.md")]
pub mod calibration {}

#[doc = include_str!("troubleshooting.md")]
pub mod troubleshooting {}

#[doc = include_str!("coming_from.md")]
pub mod coming_from {}
