//! One of each model and posterior, and what it predicts.

use mercer::data::{Components, Pca, PcaSettings};
use mercer::emulator::{self, Emulator, Evidence, Outside, Saved, Spectra, Structure};
use mercer::gp::gplvm::{BackConstraint, Nodes};
use mercer::gp::{
    Approximation, BatchGp, BatchPosterior, BayesianGplvm, Engine, ExactGp, Gplvm, IcmGp, IcmPosterior, MeanBasis,
    Oilmm, OilmmPosterior, Posterior, Prior, Sgpr, Standardization, Standardized, StandardizedPosterior, Svgp,
    Variational,
};
use mercer::inducing::{FourierFeatures, GraphFeatures, HilbertFeatures, InducingFeatures, SphericalHarmonicFeatures};
use mercer::kernels::Laplacian;
use mercer::likelihood::{Bernoulli, FixedNoise, Gaussian, LinearMixing, Softmax, StudentT};
use mercer::linalg::Jitter;
use mercer::mean::{ConstantMean, DynMean, LinearMean};
use mercer::optim::{Checkpoint, EarlyStop, NaturalGradient, Train};
use mercer::params;
use mercer::prelude::*;
use mercer::save::{Load, Save, from_bytes};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// What is saved, by name: how it is made, and what those numbers are that it gives before and after.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) bytes: fn() -> Vec<u8>,
    pub(crate) before: fn() -> Vec<f64>,
    pub(crate) after: fn(&[u8]) -> mercer::Result<Vec<f64>>,
    pub(crate) load: fn(&[u8]) -> mercer::Result<()>,
}

/// The cases, and a test of each in another process.
macro_rules! cases {
    ($($name:ident: $type:ty = $make:expr, $numbers:expr;)+) => {
        pub(crate) const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            bytes: || {
                let made: $type = $make;
                made.to_bytes().unwrap()
            },
            before: || numbers_of::<$type>($numbers, &$make),
            after: |bytes| from_bytes::<$type>(bytes).map(|read| numbers_of::<$type>($numbers, &read)),
            load: |bytes| from_bytes::<$type>(bytes).map(drop),
        }),+];

        mod in_another_process {
            $(
                #[test]
                fn $name() {
                    crate::processes::check(stringify!($name));
                }
            )+
        }
    };
}

fn numbers_of<M: Load>(numbers: fn(&M) -> Vec<f64>, model: &M) -> Vec<f64> {
    numbers(model)
}

cases! {
    exact: ExactGp = exact(), |model| of_model(model, &line::<f64>(7, 1));
    exact_of_known_noise: ExactGp<DynKernel, FixedNoise> = of_known_noise(), |model| of_model(model, &line::<f64>(4, 1));
    exact_posterior: Posterior<f64> = exact().condition(&line(7, 1)).unwrap(), |p| of_posterior(p, 2);
    large_posterior: Posterior<f64> = exact().condition(&line(47, 1)).unwrap(), |p| of_posterior(p, 2);
    markov: ExactGp = markov(), |model| of_model(model, &series());
    markov_posterior: Posterior<f64> = markov().condition(&series()).unwrap(), |p| of_posterior(p, 1);
    single_markov_posterior: Posterior<f32> = markov().condition(&evenly(9)).unwrap(), |p| of_posterior(p, 1);
    toeplitz_posterior: Posterior<f64> = toeplitz().condition(&evenly(8)).unwrap(), |p| of_posterior(p, 1);
    posterior_of_missing: Posterior<f64> = of_missing(), |p| of_posterior(p, 1);
    single_posterior: Posterior<f32> = exact().condition(&line(9, 1)).unwrap(), |p| of_posterior(p, 2);
    standardized: Standardized<ExactGp> = standardized(), |model| of_model(model, &line::<f64>(7, 1));
    standardized_posterior: StandardizedPosterior<Posterior<f64>> = standardized().condition(&line(7, 1)).unwrap(), |p| of_posterior(p, 2);
    prior: Prior<f64> = exact().prior(), |p| of_posterior(p, 2);
    sgpr: Sgpr = sgpr(), |model| of_model(model, &line::<f64>(7, 1));
    sgpr_posterior: Posterior<f64> = sgpr().condition(&line(7, 1)).unwrap(), of_paths;
    hilbert: Sgpr<DynKernel, HilbertFeatures> = hilbert(), |model| of_model(model, &line::<f64>(7, 1));
    hilbert_posterior: Posterior<f64> = hilbert().condition(&line(7, 1)).unwrap(), |p| of_posterior(p, 2);
    svgp: Svgp = svgp(), of_svgp;
    svgp_posterior: Posterior<f64> = svgp().posterior().unwrap(), |p| of_posterior(p, 2);
    single_svgp_posterior: Posterior<f32> = svgp().posterior().unwrap(), |p| of_posterior(p, 2);
    large_svgp: Svgp = large_svgp(), of_svgp;
    classes: Svgp = classes(), of_svgp;
    classes_posterior: Posterior<f64> = classes().posterior().unwrap(), |p| of_posterior(p, 2);
    mixed: Svgp = mixed(), of_svgp;
    mean_basis: Svgp = with_mean_basis(), of_svgp;
    mean_basis_posterior: Posterior<f64> = with_mean_basis().posterior().unwrap(), of_paths;
    fourier: Svgp<DynKernel, FourierFeatures> = fourier(), of_svgp;
    fourier_posterior: Posterior<f64> = fourier().posterior().unwrap(), |p| of_posterior(p, 1);
    fourier_product_posterior: Posterior<f64> = fourier_product().posterior().unwrap(), |p| of_posterior(p, 2);
    graph: Svgp<DynKernel, GraphFeatures> = graph(), of_svgp;
    graph_posterior: Posterior<f64> = graph().posterior().unwrap(), of_nodes;
    sphere: Svgp<DynKernel, SphericalHarmonicFeatures> = sphere(), of_svgp;
    sphere_posterior: Posterior<f64> = sphere().posterior().unwrap(), on_sphere;
    batch: BatchGp = batch(), |model| of_model(model, &several(6));
    batch_posterior: BatchPosterior<f64> = batch().condition(&several(6)).unwrap(), |p| of_posterior(p, 1);
    icm: IcmGp = icm(), |model| of_model(model, &grid::<f64>(6));
    icm_posterior: IcmPosterior<f64> = icm().condition(&grid(6)).unwrap(), |p| of_posterior(p, 1);
    single_icm_posterior: IcmPosterior<f32> = icm().condition(&grid(6)).unwrap(), |p| of_posterior(p, 1);
    oilmm: Oilmm = oilmm(), |model| of_model(model, &grid::<f64>(6));
    oilmm_posterior: OilmmPosterior<f64> = oilmm().condition(&grid(6)).unwrap(), |p| of_posterior(p, 1);
    gplvm: Gplvm = gplvm(), |model| of_model(model, &outputs());
    mapped_gplvm: Gplvm = mapped_gplvm(), |model| of_model(model, &outputs());
    gplvm_posterior: mercer::gp::gplvm::GplvmPosterior = gplvm().condition(&outputs()).unwrap(), of_latents;
    bayesian_gplvm: BayesianGplvm = bayesian_gplvm(), |model| of_model(model, &outputs());
    bayesian_gplvm_posterior: mercer::gp::gplvm::GplvmPosterior = bayesian_gplvm().condition(&outputs()).unwrap(), of_latents;
    emulator: Saved = saved_emulator(None), of_saved;
    emulator_posterior: emulator::Posterior = of_structure(None), of_emulator;
    dense_emulator_posterior: emulator::Posterior = of_structure(Structure::Dense.into()), of_emulator;
    iterative_emulator_posterior: emulator::Posterior = of_structure(Structure::Iterative { probes: 3, seed: 8 }.into()), of_emulator;
    checkpoint: (Checkpoint, Pcg64) = checkpoint(), resumed;
}

fn uniform(rows: usize, cols: usize, seed: u64) -> Mat<f64> {
    let mut rng = Pcg64::seed_from_u64(seed);
    Mat::from_fn(rows, cols, |_, _| rng.random_range(-1.0..1.0))
}

fn entries<T: Scalar>(matrix: &Mat<T>) -> Vec<f64> {
    matrix.col_iter().flat_map(|column| column.iter().map(|value| value.as_f64()).collect::<Vec<_>>()).collect()
}

fn cast<T: Scalar>(matrix: &Mat<f64>) -> Mat<T> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |row, col| T::from_f64(matrix[(row, col)]))
}

fn points<T: Scalar>(dim: usize) -> Mat<T> {
    cast(&Mat::from_fn(5, dim, |row, col| 0.37 * row as f64 + 0.21 * col as f64))
}

/// All that a posterior says: means, variances, covariances, samples, densities of observations.
fn of_posterior<T: Scalar, P: Predict<T>>(posterior: &P, dim: usize) -> Vec<f64> {
    of_posterior_at(posterior, &points(dim))
}

fn of_posterior_at<T: Scalar, P: Predict<T>>(posterior: &P, at: &Mat<T>) -> Vec<f64> {
    let at = at.as_ref();
    let (latent, seen) = (posterior.predict(at).unwrap(), posterior.predict_observations(at));
    let mut all = [entries(&latent.mean), entries(&latent.variance)].concat();
    if let Ok(seen) = seen {
        all.extend([entries(&seen.mean), entries(&seen.variance)].concat());
    }
    for function in 0..posterior.functions() {
        all.extend(entries(&posterior.covariance(at, function).unwrap()));
    }
    let samples = posterior.sample(at, 2, &mut Pcg64::seed_from_u64(3)).unwrap();
    all.extend(entries(&samples.values));
    let zeros = Mat::zeros(at.nrows(), posterior.outputs());
    all.extend(posterior.log_predictive_density(at, zeros.as_ref()).unwrap_or_default());
    all
}

/// With samples that are functions.
fn of_paths(posterior: &Posterior<f64>) -> Vec<f64> {
    let paths = posterior.pathwise(2, 16, &mut Pcg64::seed_from_u64(4)).unwrap();
    [of_posterior(posterior, 2), entries(&paths.values(points(2).as_ref()).unwrap())].concat()
}

/// Parameters with all that is known of them, the objective and its gradient.
fn of_model<D, M: Model<D> + Parameterized>(model: &M, data: &D) -> Vec<f64> {
    let (objective, gradient) = model.gradient(data).unwrap();
    [vec![objective.value()], gradient, of_parameters(model)].concat()
}

fn of_parameters<P: Parameterized>(model: &P) -> Vec<f64> {
    let mut all = Vec::new();
    for entry in model.parameters() {
        let known = format!("{} {:?} {:?} {:?}", entry.path, entry.constraint, entry.prior, entry.tie);
        let told = known.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        all.extend([entry.value, f64::from(told), f64::from(u8::from(entry.free))]);
    }
    all
}

fn of_svgp<F: InducingFeatures>(model: &Svgp<DynKernel, F>) -> Vec<f64> {
    let posterior = model.posterior::<f64>().unwrap();
    let mut all = of_parameters(model);
    all.extend(entries(&posterior.predict(on(model.inducing().dim(), model).as_ref()).unwrap().variance));
    all.extend(entries(&posterior.mean(on(model.inducing().dim(), model).as_ref()).unwrap()));
    all
}

/// Points that these features cover.
fn on<F: InducingFeatures>(dim: usize, model: &Svgp<DynKernel, F>) -> Mat<f64> {
    let candidates = [points(dim), nodes(), directions()];
    let fits = |x: &Mat<f64>| x.ncols() == dim && model.inducing().check_points(x.as_ref()).is_ok();
    candidates.into_iter().find(fits).unwrap()
}

fn line<T: Scalar>(n: usize, seed: u64) -> Data<T> {
    let x = Mat::from_fn(n, 2, |row, col| 0.2 * row as f64 + 0.1 * col as f64 * (row % 3) as f64);
    let y = uniform(n, 1, seed);
    Data::new(cast::<T>(&x), cast::<T>(&y))
}

fn one_column(n: usize) -> Data<f64> {
    Data::new(Mat::from_fn(n, 1, |row, _| 0.2 * row as f64), uniform(n, 1, 1))
}

fn several(n: usize) -> Data<f64> {
    let mut y = uniform(n, 3, 4);
    y[(1, 1)] = f64::NAN;
    Data::new(Mat::from_fn(n, 1, |row, _| 0.2 * row as f64), y)
}

fn grid<T: Scalar>(n: usize) -> Data<T> {
    Data::new(cast::<T>(&Mat::from_fn(n, 1, |row, _| 0.2 * row as f64)), cast::<T>(&uniform(n, 3, 4)))
}

/// With a sign that is free, a tie, priors and what is frozen.
fn exact() -> ExactGp {
    let kernel = 1.3 * Matern32::new([1.2, 0.8]) + 0.3 * Rbf::new(0.5) + Constant::new(0.2) * White::new(0.1);
    let mean = LinearMean::new([0.5, -2.0]).with_intercept(1.0 / 3.0) * 2.0 + ConstantMean::new(0.7);
    let mut model = ExactGp::new(kernel.dynamic()).with_noise(0.07).unwrap().with_mean(mean);
    model.tie(&["kernel.sum[0].scaled.factor", "kernel.sum[1].scaled.factor"]).unwrap();
    model.freeze("kernel.sum[0].scaled.matern32.lengthscale[1]").unwrap();
    model.freeze("mean.sum[1]").unwrap();
    model.set_prior("likelihood.gaussian.variance", params::Prior::log_normal(0.1, 1.0 / 3.0).unwrap()).unwrap();
    model.set_prior("kernel.sum[0].scaled.matern32.lengthscale", params::Prior::gamma(2.0, 1.0).unwrap()).unwrap();
    model.with_jitter(Jitter::Fixed(1e-9))
}

fn standardized() -> Standardized<ExactGp> {
    Standardization::of(&line::<f64>(7, 1)).unwrap().without_inputs(&[1]).unwrap().around(exact())
}

fn of_known_noise() -> ExactGp<DynKernel, FixedNoise> {
    let noise = FixedNoise::new(&[0.1, 0.2, 1.0 / 3.0, 1e-3]).unwrap();
    let mut kernel = (Rbf::new(0.7) - 0.1 * Linear::new(0.2) + Constant::new(-0.2)).dynamic();
    // Of any sign, though it is positive now.
    kernel.set("sum[2].constant.value", 0.3).unwrap();
    ExactGp::new(kernel).with_likelihood(noise).allow_indefinite()
}

/// Of one column, some of it in no order and not observed.
fn series() -> Data<f64> {
    Data::new(mat![[0.3], [0.1], [2.0], [0.1], [1.7], [0.9]], [0.2, -0.3, f64::NAN, 1.0, 1.0 / 3.0, 0.4])
}

/// On a regular grid.
fn evenly<T: Scalar>(n: usize) -> Data<T> {
    Data::new(cast::<T>(&Mat::from_fn(n, 1, |row, _| 0.25 * row as f64)), cast::<T>(&uniform(n, 1, 4)))
}

fn markov() -> ExactGp {
    let kernel = 1.3 * Matern32::new(0.7) + 0.2 * Periodic::new(1.5, 1.0 / 3.0) + White::new(0.05);
    let gp = ExactGp::new(kernel.dynamic()).with_noise(0.07).unwrap().with_mean(ConstantMean::new(0.1));
    gp.with_engine(Engine::Markov { tolerance: Some(1e-6) })
}

fn toeplitz() -> ExactGp {
    ExactGp::new((1.3 * Rbf::new(0.7) + White::new(0.05)).dynamic())
        .with_noise(0.07)
        .unwrap()
        .with_engine(Engine::Toeplitz)
}

fn of_missing() -> Posterior<f64> {
    let kernel = Rbf::new(0.7).dynamic().masked(mercer::combine::Missing::Isolate).dynamic();
    let x = mat![[0.0], [f64::NAN], [0.4], [1.1]];
    ExactGp::new(kernel).with_noise(0.1).unwrap().condition(&Data::new(&x, [0.1, 0.2, 0.3, -0.2])).unwrap()
}

fn inducing() -> Mat<f64> {
    Mat::from_fn(4, 2, |row, col| 0.4 * row as f64 + 0.13 * col as f64)
}

fn sgpr() -> Sgpr {
    let model = Sgpr::new((1.1 * Rbf::new([0.8, 1.3])).dynamic(), inducing().as_ref()).unwrap();
    let mut model = model.with_noise(0.2).unwrap().with_mean(ConstantMean::new(-0.3));
    model.freeze("inducing").unwrap();
    model.with_approximation(Approximation::Fitc)
}

fn hilbert() -> Sgpr<DynKernel, HilbertFeatures> {
    let features = HilbertFeatures::new(&[(-1.0, 4.0), (-1.5, 2.0)], &[3, 2]).unwrap();
    let kernel = (1.1 * Rbf::new(0.8) + White::new(0.1)).dynamic();
    Sgpr::with_features(kernel, features).unwrap().with_noise(0.2).unwrap()
}

fn q(m: usize, seed: u64) -> Variational {
    let factor = uniform(m, m, seed);
    let entry = |row: usize, col: usize| {
        if row == col {
            1.0
        } else if row > col {
            0.1 * factor[(row, col)]
        } else {
            0.0
        }
    };
    Variational::new(&entries(&uniform(m, 1, seed + 1)), Mat::from_fn(m, m, entry).as_ref()).unwrap()
}

fn svgp() -> Svgp {
    let model = Svgp::new((1.1 * Matern52::new([0.8, 1.3])).dynamic(), inducing().as_ref()).unwrap();
    let likelihood = StudentT::new(0.3, 4.0).with_quadrature(12).unwrap();
    let mut model = model.with_likelihood(likelihood).with_variational(q(4, 5).unwhitened()).unwrap();
    model.freeze("variational.mean").unwrap();
    model.with_mean(ConstantMean::new(-0.3))
}

fn large_svgp() -> Svgp {
    let z = Mat::from_fn(45, 2, |row, col| 0.1 * row as f64 + 0.13 * col as f64);
    Svgp::new(Matern12::new(0.5).dynamic(), z.as_ref()).unwrap().with_variational(q(45, 2)).unwrap()
}

fn classes() -> Svgp {
    let kernels = [0.5, 0.8, 1.3].map(|lengthscale| Rbf::new(lengthscale).dynamic()).to_vec();
    let model = Svgp::new(kernels[0].clone(), inducing().as_ref()).unwrap().with_likelihood(Softmax::new(3));
    let means = [0.1, 0.2, -0.3].map(|level| DynMean::new(ConstantMean::new(level))).to_vec();
    let diagonal = |seed| {
        let deviation: Vec<f64> = entries(&uniform(4, 1, seed)).iter().map(|x| 0.2 + x.abs()).collect();
        Variational::diagonal(&entries(&uniform(4, 1, seed + 9)), &deviation).unwrap()
    };
    let model = model.with_kernels(kernels).unwrap().with_means(means).unwrap();
    model.with_variationals(vec![diagonal(1), diagonal(2), diagonal(3)]).unwrap()
}

fn mixed() -> Svgp {
    let outputs: Vec<Box<dyn mercer::likelihood::Likelihood>> =
        vec![Box::new(Gaussian::new(0.3)), Box::new(Bernoulli::probit()), Box::new(StudentT::new(0.8, 4.0))];
    let weights = mat![[1.0, 0.5], [-0.7, 0.3], [0.2, 2.0]];
    let likelihood = LinearMixing::new(weights.as_ref(), outputs).unwrap().with_offset(&[0.1, -0.4, 2.0]).unwrap();
    Svgp::new(Rbf::new(0.9).dynamic(), inducing().as_ref()).unwrap().with_likelihood(likelihood)
}

fn with_mean_basis() -> Svgp {
    let gamma = Mat::from_fn(5, 2, |row, col| 0.3 * row as f64 - 0.1 * col as f64);
    let basis = MeanBasis::orthogonal(gamma.as_ref()).unwrap().with_weights(uniform(5, 1, 8).as_ref()).unwrap();
    let factor = uniform(4, 2, 3);
    let low_rank = Variational::low_rank(&[0.1, 0.2, 0.3, 0.4], &[0.5, 0.6, 0.7, 0.8], factor.as_ref()).unwrap();
    let model = Svgp::new(Rbf::new(0.9).dynamic(), inducing().as_ref()).unwrap();
    model.with_mean_basis(basis).unwrap().with_variational(low_rank).unwrap()
}

fn fourier() -> Svgp<DynKernel, FourierFeatures> {
    let features = FourierFeatures::new(-1.0, 4.0, 3).unwrap();
    let m = features.len();
    Svgp::with_features((0.8 * Matern32::new(0.7)).dynamic(), features).unwrap().with_variational(q(m, 4)).unwrap()
}

fn fourier_product() -> Svgp<DynKernel, FourierFeatures> {
    let features = FourierFeatures::product(&[(-1.0, 4.0), (-1.0, 3.0)], &[2, 1]).unwrap();
    let kernel = (Matern12::new(0.7).on([0]) * Matern32::new(0.9).on([1])).dynamic();
    Svgp::with_features(kernel, features).unwrap()
}

fn nodes() -> Mat<f64> {
    mat![[0.0], [3.0], [5.0]]
}

fn graph() -> Svgp<DynKernel, GraphFeatures> {
    let mut edges: Vec<_> = (0..6).map(|i| (i, (i + 1) % 6, 1.0)).collect();
    edges.push((0, 3, 0.3));
    let laplacian = Laplacian::from_edges(6, &edges).unwrap();
    let features = GraphFeatures::new(&laplacian, 4).unwrap();
    let kernel = (1.5 * GraphHeat::new(laplacian, 1.2)).dynamic();
    Svgp::with_features(kernel, features).unwrap().with_variational(q(4, 4)).unwrap()
}

fn of_nodes(posterior: &Posterior<f64>) -> Vec<f64> {
    of_posterior_at(posterior, &nodes())
}

fn directions() -> Mat<f64> {
    mat![[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, -0.8]]
}

fn sphere() -> Svgp<DynKernel, SphericalHarmonicFeatures> {
    let features = SphericalHarmonicFeatures::new(3, 2).unwrap().with_nugget(1e-3).unwrap();
    let m = features.len();
    Svgp::with_features(Matern52::new(0.7).dynamic(), features).unwrap().with_variational(q(m, 4)).unwrap()
}

fn on_sphere(posterior: &Posterior<f64>) -> Vec<f64> {
    of_posterior_at(posterior, &directions())
}

fn batch() -> BatchGp {
    let kernel = (1.2 * Rbf::new(0.8)).dynamic().batched(3).unwrap();
    let kernel = kernel.per_batch("scaled.factor", &[1.0, 2.0, 1.0]).unwrap();
    let mut model = BatchGp::new(kernel).with_noises(&[0.1, 0.2, 0.1]).unwrap().with_mean(ConstantMean::new(0.4));
    model.freeze("mean").unwrap();
    model
}

fn weights() -> Coregionalization {
    Coregionalization::new(mat![[1.0], [0.4], [-0.3]], [0.3, 0.8, 0.4])
}

fn icm() -> IcmGp {
    let noise = Coregionalization::new(mat![[0.1], [0.2], [-0.1]], [0.1, 0.2, 0.3]);
    let mut model = IcmGp::new(Rbf::new(0.7).dynamic(), weights()).with_correlated_noise(noise).unwrap();
    model.freeze("outputs").unwrap();
    model.with_mean(ConstantMean::new(0.2))
}

fn oilmm() -> Oilmm {
    let mixing = mat![[2.0, 1.0], [-2.0, 2.0], [1.0, 2.0]];
    let kernels = vec![Rbf::new(1.3).dynamic(), Matern32::new(0.8).dynamic()];
    let means = [0.3, -0.2, 0.1].map(|level| DynMean::new(ConstantMean::new(level)));
    Oilmm::new(kernels, mixing.as_ref()).unwrap().with_noise(0.2).unwrap().with_means(means.to_vec()).unwrap()
}

fn outputs() -> Mat<f64> {
    uniform(6, 3, 2)
}

fn gplvm() -> Gplvm {
    let model = Gplvm::new((1.3 * Rbf::new([0.8, 1.1])).dynamic(), uniform(6, 2, 3).as_ref()).unwrap();
    let prior = (uniform(6, 2, 9), Mat::full(6, 2, 0.7));
    model.with_noise(0.1).unwrap().with_prior(prior.0.as_ref(), prior.1.as_ref()).unwrap()
}

fn mapped_gplvm() -> Gplvm {
    let latents = uniform(6, 2, 3);
    let map = BackConstraint::through(Matern32::new(0.3), outputs().as_ref(), latents.as_ref()).unwrap();
    let model = Gplvm::new(Matern52::new(0.9).dynamic(), latents.as_ref()).unwrap().with_back_constraint(map).unwrap();
    model.with_noise(0.1).unwrap().with_inducing_inputs(uniform(3, 2, 5).as_ref()).unwrap()
}

fn bayesian_gplvm() -> BayesianGplvm {
    let (mean, variance, z) = (uniform(6, 1, 3), Mat::full(6, 1, 0.3), uniform(3, 1, 5));
    let model = BayesianGplvm::new(Matern52::new(0.9).dynamic(), mean.as_ref(), variance.as_ref(), z.as_ref()).unwrap();
    model.with_noise(0.1).unwrap().with_expectations(Nodes::gauss_hermite(6, 1).unwrap())
}

fn of_latents(posterior: &mercer::gp::gplvm::GplvmPosterior) -> Vec<f64> {
    let dim = posterior.dim();
    let mut all = of_posterior(posterior, dim);
    let at = points::<f64>(dim);
    let uncertain = posterior.predict_uncertain(at.as_ref(), Mat::full(5, dim, 0.1).as_ref()).unwrap();
    all.extend([entries(&uncertain.mean), entries(&uncertain.variance)].concat());
    all
}

fn spectra() -> Spectra {
    let theta = Mat::from_fn(6, 1, |j, _| j as f64);
    let fluxes = Mat::from_fn(6, 9, |j, pixel| 2.0 + (0.1 * (j * pixel) as f64).sin());
    let settings = PcaSettings { components: Components::Count(2), scale: true, normalise: true };
    Spectra::new(&theta, &fluxes, &Pca::fit(fluxes.as_ref(), &settings).unwrap()).unwrap()
}

fn saved_emulator(structure: Option<Structure>) -> Saved {
    let spectra = spectra();
    let emulator = Emulator::new(&spectra).unwrap().with_evidence(Evidence::Weights).with_outside(Outside::Refuse);
    let kernels = vec![(2.0 * Rbf::new(0.7)).dynamic(), (3.0 * Matern32::new(1.3)).dynamic()];
    let mut emulator = emulator.with_kernels(kernels).unwrap().with_nugget(&[0.1, 1.0 / 3.0]).unwrap();
    emulator.freeze("nugget[1]").unwrap();
    emulator.set_prior("precision", params::Prior::gamma(2.0, 1.0 / 3.0).unwrap()).unwrap();
    Saved { emulator: emulator.with_structure(structure), spectra }
}

fn of_structure(structure: Option<Structure>) -> emulator::Posterior {
    let Saved { emulator, spectra } = saved_emulator(structure);
    emulator.condition(&spectra).unwrap()
}

fn of_saved(Saved { emulator, spectra }: &Saved) -> Vec<f64> {
    let posterior = emulator.condition(spectra).unwrap();
    [of_model(emulator, spectra), of_emulator(&posterior)].concat()
}

fn of_emulator(posterior: &emulator::Posterior) -> Vec<f64> {
    let at = mat![[0.3], [2.5], [4.9]];
    assert!(posterior.predict(mat![[9.0]].as_ref()).is_err());
    let mut all = of_posterior_at(posterior, &at);
    for flux in posterior.fluxes(at.as_ref()).unwrap() {
        all.extend([flux.mean().to_vec(), flux.variance()].concat());
    }
    all
}

fn training() -> Train {
    Train::new(12)
        .with_batch(3)
        .with_early_stop(EarlyStop::default())
        .with_natural_gradients(NaturalGradient::default())
}

fn start() -> Svgp {
    Svgp::new((1.1 * Matern52::new(0.8)).dynamic(), mat![[0.0], [0.5], [1.0]].as_ref()).unwrap()
}

fn checkpoint() -> (Checkpoint, Pcg64) {
    let (mut model, mut rng, data, train) = (start(), Pcg64::seed_from_u64(1), one_column(8), training());
    let mut run = model.run(&data, &train).unwrap();
    (0..5).for_each(|_| assert!(run.step(&mut rng).unwrap().is_some()));
    (run.checkpoint(), rng)
}

fn resumed((checkpoint, rng): &(Checkpoint, Pcg64)) -> Vec<f64> {
    let (mut model, mut rng, data, train) = (start(), rng.clone(), one_column(8), training());
    let history = model.run(&data, &train).unwrap().resume(checkpoint).unwrap().finish(&mut rng).unwrap();
    [model.values(), history.records.iter().map(|record| record.loss).collect()].concat()
}
