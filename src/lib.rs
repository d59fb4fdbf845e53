//! A composable algebra of covariance kernels, and Gaussian-process models that take any kernel
//! through one trait.
//!
//! New here? The [quickstart](docs::guides::quickstart) goes from data to predictions; the [guides](docs::guides) say
//! [which kernel](docs::guides::which_kernel) for which function, how to add parts of your own, and what to do when
//! [something goes wrong](docs::guides::troubleshooting).
//!
//! # Three ideas
//!
//! - **Points first, pairs second.** A kernel turns points into features, once, and then blocks of
//!   pairs of features into blocks of values. Work that depends on one point alone is done n times,
//!   not n².
//! - **Tiles cross the dispatch boundary.** Matrices are cut into tiles, and a node of an expression is
//!   called once a tile. A boxed expression costs what one of known type costs, and gives the same bits.
//! - **One place for derivatives.** A kernel states its own vector-Jacobian products. Models are
//!   written forward on a matrix-level tape, and get gradients in every parameter from there.
//!
//! The [design page](docs::design) says why.
//!
//! # What is where
//!
//! | module | what it holds |
//! |---|---|
//! | [`kernel`](mod@kernel) | what a kernel is ([`Kernel`], [`Expr`]); Gram matrices, cross-covariances, diagonals, products and their gradients; operators; [`DynKernel`] |
//! | [`kernels`] | the leaves: stationary, of inner products, on spheres, of indices, of several outputs |
//! | [`combine`] | sums, products, scaling by numbers and by functions of the points, negation, powers; normalisation; change points, additive kernels; several outputs |
//! | [`warp`] | maps of the inputs: active dimensions, lengthscales, matrices, circles, logarithms, networks, random features, one's own |
//! | [`batch`] | many kernels of one structure, on many sets of points |
//! | [`algebra`] | operators, kernels from kernels, names and text |
//! | [`views`] | spectral densities and measures, coefficients on spheres, weights on graphs |
//! | [`params`] | values with constraints and priors, found by path, frozen, tied, packed for optimisers |
//! | [`mean`], [`likelihood`], [`inducing`] | the other parts of a model |
//! | [`gp`] | models: [exact regression](gp::ExactGp), [collapsed sparse regression](gp::Sgpr), [sparse variational processes](gp::Svgp), [batches](gp::BatchGp), [several outputs](gp::IcmGp) ([orthogonal](gp::Oilmm)), [latent-variable models](gp::gplvm), their [posterior](gp::Posterior); [which for how much data](gp::recommend) |
//! | [`emulator`] | [emulation of spectra](emulator::Emulator): a linear basis, and a process for each of its weights |
//! | [`optim`] | L-BFGS, Adam, natural gradients, schedules, the training loop |
//! | [`tape`] | reverse-mode differentiation of matrix formulas, for models of one's own |
//! | [`linalg`] | Cholesky factorisation with one jitter policy; operators |
//! | [`simd`] | loops under run-time dispatch; elementary functions for them |
//! | [`data`] | checks, standardisation, principal components, splits, scores |
//! | `save` | models, posteriors and checkpoints in files, with the feature `serde` |
//! | [`docs`] | [guides](docs::guides), design, notation, measured times, references |
//!
//! [`prelude`] has the names that most programs need.
//!
//! # A tour
//!
//! Compose a kernel, evaluate it, change it by path, and differentiate through it:
//!
//! ```
//! use mercer::kernel::{GradientRequest, gram_vjp};
//! use mercer::prelude::*;
//!
//! let mut kernel = 2.0 * Rbf::new(0.7) + Periodic::new(1.0, 3.0) * Linear::new(0.5).on([1]);
//! let x = mat![[0.0, 1.0], [1.0, 2.0], [2.5, 0.0]];
//!
//! let gram = kernel.gram(x.as_ref())?;
//! assert_eq!(gram[(0, 0)], 2.0 + 0.5);
//!
//! kernel.set("sum[0].scaled.rbf.lengthscale", 0.5)?;
//! kernel.freeze("sum[1].product[0].periodic.period")?;
//! let paths: Vec<String> = kernel.parameters().into_iter().map(|entry| entry.path).collect();
//! assert_eq!(paths[..2], ["sum[0].scaled.factor", "sum[0].scaled.rbf.lengthscale"]);
//!
//! // The gradients of Σ W ∘ K(X, X), here of the sum of all entries.
//! let w = Mat::full(3, 3, 1.0);
//! let gradients = gram_vjp(&kernel, x.as_ref(), w.as_ref(), GradientRequest::ALL, Par::Seq)?;
//! assert_eq!(gradients.theta.len(), paths.len());
//! assert_eq!(gradients.x.map(|x| (x.nrows(), x.ncols())), Some((3, 2)));
//!
//! // The same in a box, with the same bits.
//! let boxed = kernel.clone().dynamic();
//! assert_eq!(boxed.gram(x.as_ref())?, kernel.gram(x.as_ref())?);
//! assert_eq!(boxed.to_string(), kernel.to_string());
//! # Ok::<(), mercer::Error>(())
//! ```
//!
//! Exact regression: fit the hyperparameters and the noise, then predict.
//!
//! ```
//! use mercer::gp::ExactGp;
//! use mercer::optim::Lbfgs;
//! use mercer::prelude::*;
//!
//! let x = Mat::from_fn(40, 1, |i, _| 0.15 * i as f64);
//! let y: Vec<f64> = (0..40).map(|i| (0.15 * i as f64).sin()).collect();
//!
//! let mut gp = ExactGp::new(1.0 * Matern52::new(1.0)).with_noise(0.01)?;
//! gp.freeze("likelihood.gaussian.variance")?;
//! gp.fit(&Data::new(&x, &y), &Lbfgs::default())?;
//!
//! let prediction = gp.condition(&Data::new(&x, &y))?.predict(mat![[1.0], [20.0]].as_ref())?;
//! assert!((prediction.mean[(0, 0)] - 1.0f64.sin()).abs() < 0.05);
//! assert!(prediction.variance[(1, 0)] > 100.0 * prediction.variance[(0, 0)]); // far from the data
//! # Ok::<(), mercer::Error>(())
//! ```
//!
//! A sparse variational process, trained on minibatches:
//!
//! ```
//! use mercer::gp::Svgp;
//! use mercer::inducing::start::kmeans_plus_plus;
//! use mercer::likelihood::Gaussian;
//! use mercer::optim::{Adam, Schedule, Train};
//! use mercer::prelude::*;
//! use rand::SeedableRng;
//!
//! let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
//! let x = Mat::from_fn(300, 1, |i, _| 0.02 * i as f64);
//! let y: Vec<f64> = (0..300).map(|i| (0.02 * i as f64).sin()).collect();
//!
//! let z = kmeans_plus_plus(x.as_ref(), 10, 5, &mut rng)?;
//! let mut gp = Svgp::new(1.0 * Rbf::new(1.0), z.as_ref())?.with_likelihood(Gaussian::new(0.1));
//! let train = Train::new(300).with_batch(50).with_rate(0.03).with_schedule(Schedule::Cosine { steps: 300, last: 0.1 });
//! let data = Data::new(&x, &y);
//! let before = gp.objective(&data)?.value;
//! gp.train(&data, &train, &mut rng)?;
//! assert!(gp.objective(&data)?.value > before);
//!
//! let prediction = gp.posterior()?.predict(mat![[2.0]].as_ref())?;
//! assert!((prediction.mean[(0, 0)] - 2.0f64.sin()).abs() < 0.1);
//! # Ok::<(), mercer::Error>(())
//! ```

pub mod algebra;
pub mod batch;
pub mod combine;
pub mod data;
pub mod docs;
pub mod emulator;
mod engine;
mod error;
pub mod gp;
pub mod graph;
pub mod inducing;
pub mod kernel;
pub mod kernels;
pub mod likelihood;
pub mod linalg;
pub mod mean;
pub mod optim;
pub mod params;
pub mod prelude;
#[cfg(feature = "serde")]
pub mod save;
mod scalar;
pub mod simd;
pub mod sphere;
pub mod tape;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod views;
pub mod warp;

/// The linear algebra and the random numbers whose types stand in signatures, in the versions that this crate takes: a
/// program may name them from here, and need not keep its own versions in step.
pub use {faer, rand};

/// Views of arrays and matrices of `ndarray` and `nalgebra` as those of `faer`, and back, without a copy.
#[cfg(any(feature = "nalgebra", feature = "ndarray"))]
pub use faer_ext;

#[doc(hidden)]
pub use error::literal;
pub use error::{Error, Result};
pub use kernel::DynKernel;
pub use kernel::{Expr, Kernel, KernelExt};
pub use scalar::{Dual, Real, Scalar};

/// The examples of the README, compiled with the rest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
