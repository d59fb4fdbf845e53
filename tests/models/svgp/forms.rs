//! The forms of q, inducing features and latent functions of the sparse variational process.
#![allow(clippy::unwrap_used)]

use mercer::gp::{ExactGp, Svgp, Variational};
use mercer::inducing::{InducingFeatures, InducingPoints, InducingPrior};
use mercer::likelihood::Gaussian;
use mercer::linalg::{Cholesky, Jitter};
use mercer::mean::ConstantMean;
use mercer::optim::NaturalGradient;
use mercer::params::{Constraint, ParameterArray, Shape};
use mercer::prelude::*;
use mercer::tape::{KernelVar, Tape, Var};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::common::data::{forms_of_q, full_q, plane, single, singles, uniform, uniform_from};
use crate::common::gradients::check_model;
use crate::common::kernels::Wiener;

fn kernel() -> DynKernel {
    (1.3 * Matern32::new([1.2, 0.8]) + 0.3 * Linear::new(0.5)).dynamic()
}

fn model(m: usize) -> Svgp {
    let z = uniform(m, 2, 2) * 2.0;
    let model = Svgp::new(kernel(), z.as_ref()).unwrap().with_likelihood(Gaussian::new(0.2));
    model.with_mean(ConstantMean::new(0.4)).with_par(Par::Seq)
}

fn full(mean: &[f64], covariance: &Mat<f64>) -> Variational {
    let root = Cholesky::new(covariance.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap();
    Variational::new(mean, root.factor()).unwrap()
}

fn assert_same_predictions<K, F, J, G>(a: &Svgp<K, F>, b: &Svgp<J, G>, tolerance: f64)
where
    K: Kernel<f64> + Clone,
    J: Kernel<f64> + Clone,
    F: InducingFeatures,
    G: InducingFeatures,
{
    let at = uniform(13, 2, 4) * 3.0;
    let (a, b) = (a.posterior().unwrap(), b.posterior().unwrap());
    let (first, second) = (a.predict(at.as_ref()).unwrap(), b.predict(at.as_ref()).unwrap());
    for row in 0..13 {
        assert!((first.mean[(row, 0)] - second.mean[(row, 0)]).abs() < tolerance);
        assert!((first.variance[(row, 0)] - second.variance[(row, 0)]).abs() < tolerance);
    }
    let (first, second) = (a.covariance(at.as_ref(), 0).unwrap(), b.covariance(at.as_ref(), 0).unwrap());
    assert!((&first - &second).norm_max() < tolerance);
}

#[test]
fn every_form_of_q_agrees_with_the_full_one_of_its_covariance() {
    let (x, y) = plane(30);
    let data = Data::new(x.as_ref(), &y);
    for q in forms_of_q(6, 3) {
        for unwhitened in [false, true] {
            let same = full(q.mean(), &q.covariance());
            let form = |q: &Variational| if unwhitened { q.clone().unwhitened() } else { q.clone() };
            let model = model(6);
            let (one, other) =
                (model.clone().with_variational(form(&q)).unwrap(), model.with_variational(form(&same)).unwrap());
            let (a, b) = (one.objective(&data).unwrap(), other.objective(&data).unwrap());
            assert!((a.value - b.value).abs() < 1e-11 * b.value.abs(), "{} {}", a.value, b.value);
            assert!((a.kl - b.kl).abs() < 1e-11 * b.kl.abs());
            assert_same_predictions(&one, &other, 1e-12);
        }
    }
}

#[test]
fn whitened_and_unwhitened_agree() {
    let (x, y) = plane(30);
    let data = Data::new(x.as_ref(), &y);
    let q = full_q(6, 3);
    let whitened = model(6).with_variational(q.clone()).unwrap();
    // u = L v, with the jitter that the model takes.
    let gram = kernel().gram(whitened.inducing().inputs()).unwrap();
    let l = Cholesky::new(gram.as_ref(), Jitter::default(), Par::Seq).unwrap().into_factor();
    let mean = &l * MatRef::from_column_major_slice(q.mean(), 6, 1);
    let root = &l * q.factor().unwrap();
    let unwhitened = Variational::new(mean.col_as_slice(0), root.as_ref()).unwrap().unwhitened();
    let unwhitened = model(6).with_variational(unwhitened).unwrap();
    let (a, b) = (whitened.objective(&data).unwrap(), unwhitened.objective(&data).unwrap());
    assert!((a.value - b.value).abs() < 1e-11 * b.value.abs());
    assert!((a.kl - b.kl).abs() < 1e-11 * b.kl);
    assert_same_predictions(&whitened, &unwhitened, 1e-12);
}

#[test]
fn gradients_of_every_form_match_finite_differences() {
    let (x, y) = plane(20);
    let data = Data::new(x.as_ref(), &y);
    for q in forms_of_q(4, 3) {
        for q in [q.clone(), q.unwhitened()] {
            let model = model(4).with_variational(q).unwrap();
            let (_, gradient) = model.gradient(&data.part_of(50)).unwrap();
            check_model(model.variational().name(), &model, &gradient, 1e-6, |model| {
                model.objective(&data.part_of(50)).unwrap().value
            });
        }
    }
}

/// No bound exceeds the evidence, whatever q, the hyperparameters and the inducing inputs are.
#[test]
fn no_bound_exceeds_the_evidence() {
    let mut rng = Pcg64::seed_from_u64(7);
    for trial in 0..60 {
        let (n, m) = (rng.random_range(1..12), rng.random_range(1..9));
        let (x, y) = plane(n);
        let noise = rng.random_range(0.01..1.0);
        let kernel = rng.random_range(0.1..3.0) * Rbf::new(rng.random_range(0.2..3.0)) + Matern12::new(1.0);
        let z = uniform_from(&mut rng, m, 2) * 3.0;
        let exact = ExactGp::new(kernel.clone()).with_noise(noise).unwrap();
        let evidence = exact.objective(&Data::new(x.as_ref(), &y)).unwrap();
        let scale = rng.random_range(0.05..1.5);
        for q in forms_of_q(m, 3) {
            let q = full(q.mean(), &(q.covariance() * scale));
            for q in [q.clone(), q.unwhitened()] {
                let sparse = Svgp::new(kernel.clone(), z.as_ref()).unwrap().with_likelihood(Gaussian::new(noise));
                let bound = sparse.with_variational(q).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap().value;
                assert!(bound < evidence, "{trial}: {bound} is above {evidence}");
            }
        }
    }
}

#[test]
fn a_low_rank_q_leaves_its_start() {
    let (x, y) = plane(30);
    let model = model(6).with_variational(Variational::low_rank_prior(6, 2).unwrap()).unwrap();
    let (elbo, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(30)).unwrap();
    assert!(elbo.kl.abs() < 1e-14);
    let columns = gradient[gradient.len() - 12..].chunks(6);
    for column in columns {
        assert!(column.iter().filter(|entry| entry.abs() > 0.01).count() >= 5, "{column:?}");
    }
}

#[test]
fn what_is_no_q_is_refused() {
    let factor = Mat::<f64>::identity(2, 2);
    assert!(matches!(Variational::new(&[], Mat::<f64>::zeros(0, 0).as_ref()), Err(Error::Empty { .. })));
    assert!(matches!(Variational::new(&[0.0], factor.as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(Variational::diagonal(&[0.0], &[1.0, 2.0]), Err(Error::Shape { .. })));
    assert!(matches!(Variational::diagonal(&[0.0], &[0.0]), Err(Error::Parameter { .. })));
    assert!(matches!(Variational::low_rank(&[0.0; 3], &[1.0; 3], factor.as_ref()), Err(Error::Shape { .. })));
    assert!(matches!(Variational::low_rank_prior(3, 4), Err(Error::Setting { .. })));
    assert!(matches!(Variational::low_rank_prior(0, 1), Err(Error::Empty { .. })));
    assert!(matches!(model(3).with_variational(Variational::prior(4).unwrap()), Err(Error::Shape { .. })));
}

#[test]
fn single_precision_agrees() {
    let (x, y) = plane(30);
    let (x32, y32) = (single(&x), singles(&y));
    for q in forms_of_q(6, 3) {
        for q in [q.clone(), q.unwhitened()] {
            let model = model(6).with_variational(q).unwrap();
            let double = model.objective(&Data::new(x.as_ref(), &y)).unwrap().value;
            let single = model.objective(&Data::new(x32.as_ref(), &y32)).unwrap().value;
            assert!((double - single).abs() < 1e-4 * double.abs(), "{double} {single}");
            let (double, single) = (model.posterior().unwrap(), model.posterior().unwrap());
            let (double, single) = (double.predict(x.as_ref()).unwrap(), single.predict(x32.as_ref()).unwrap());
            let close = |a: &Mat<f64>, b: &Mat<f32>| (0..30).all(|i| (a[(i, 0)] - f64::from(b[(i, 0)])).abs() < 1e-4);
            assert!(close(&double.mean, &single.mean) && close(&double.variance, &single.variance));
        }
    }
}

/// Bounds, natural steps and predictions need none.
#[test]
fn a_kernel_without_gradients_serves_where_none_are_asked_for() {
    let (x, y) = (mat![[0.5], [1.0], [2.5]], [0.1, 0.3, 0.2]);
    let data = Data::new(x.as_ref(), y);
    let mut sparse = Svgp::new(Wiener, x.as_ref()).unwrap().with_likelihood(Gaussian::new(0.1));
    sparse.natural_step(&data.part_of(3), &NaturalGradient::default()).unwrap();
    let exact = ExactGp::new(Wiener).with_noise(0.1).unwrap();
    let evidence = exact.objective(&data).unwrap();
    assert!((sparse.objective(&data).unwrap().value - evidence).abs() < 1e-12);
    let (exact, sparse_posterior) = (exact.condition(&data).unwrap(), sparse.posterior().unwrap());
    let (a, b) = (exact.mean(x.as_ref()).unwrap(), sparse_posterior.mean(x.as_ref()).unwrap());
    assert!((a - b).norm_max() < 1e-12);
    assert!(matches!(sparse.gradient(&data.part_of(3)), Err(Error::NotDifferentiable { .. })));
}

/// Values at points in the coordinates in which K(Z, Z) at fixed hyperparameters is diagonal, scaled by
/// parameters of their own: a diagonal operator that agrees with a dense one.
#[derive(Clone, Debug)]
struct Eigenvalues {
    /// Orthonormal columns.
    vectors: Mat<f64>,
    points: InducingPoints,
    variances: Vec<f64>,
    scales: ParameterArray,
}

mercer::parameterized!(Eigenvalues as "eigenvalues", parameters: [scales]);

impl Eigenvalues {
    fn new(kernel: &DynKernel, points: InducingPoints) -> Self {
        let gram = kernel.gram(points.inputs()).unwrap();
        let decomposition = gram.self_adjoint_eigen(faer::Side::Lower).unwrap();
        let variances = decomposition.S().column_vector().iter().copied().collect::<Vec<_>>();
        let scales = (0..variances.len()).map(|i| 1.0 + 0.1 * i as f64).collect();
        let shape = Shape::Vector(variances.len());
        let scales = ParameterArray::new("scale", scales, shape, Constraint::Positive).unwrap();
        Self { vectors: decomposition.U().to_owned(), points, variances, scales }
    }
}

impl InducingFeatures for Eigenvalues {
    fn len(&self) -> usize {
        self.variances.len()
    }

    fn dim(&self) -> usize {
        2
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<(), Error> {
        self.points.check_kernel(kernel)
    }

    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<(), Error> {
        match x.col(0).iter().position(|x| x.as_f64().abs() > 100.0) {
            None => Ok(()),
            Some(row) => Err(Error::Rows { what: "the box".to_owned(), start: row, end: row + 1, len: 0 }),
        }
    }

    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        _: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        _: Jitter,
    ) -> Result<InducingPrior<'t, T>, Error> {
        let variances = Mat::from_fn(self.len(), 1, |i, _| T::from_f64(self.variances[i]));
        let variances = tape.constant_owned(variances).hadamard(parameter.square());
        Ok(InducingPrior::diagonal(parameter, variances))
    }

    fn cross<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        prior: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>, Error> {
        let (m, z) = (self.len(), self.points.inputs());
        let z = tape.constant_owned(Mat::from_fn(m, 2, |i, j| T::from_f64(z[(i, j)])));
        let vectors = tape.constant_owned(Mat::from_fn(m, m, |i, j| T::from_f64(self.vectors[(i, j)])));
        Ok(vectors.matmul_tn(kernel.cross(z, x)?).scale_rows(prior.parameter()))
    }
}

/// A model of features sees only their span: a diagonal K_uu of turned and scaled points gives what the
/// points give, with q turned likewise.
#[test]
fn diagonal_features_agree_with_dense_ones() {
    let (x, y) = plane(30);
    let points = model(6);
    let features = Eigenvalues::new(&kernel(), points.inducing().clone());
    let q = full_q(6, 3);
    let turned = Svgp::with_features(kernel(), features.clone())
        .unwrap()
        .with_likelihood(Gaussian::new(0.2))
        .with_mean(ConstantMean::new(0.4))
        .with_variational(q.clone())
        .unwrap();
    // v' = Λ^(−½) Uᵀ u, u = L v: the whitened coordinates differ by the rotation Λ^(−½) Uᵀ L.
    let gram = kernel().gram(points.inducing().inputs()).unwrap();
    let l = Cholesky::new(gram.as_ref(), Jitter::Fixed(0.0), Par::Seq).unwrap().into_factor();
    let mut rotation = features.vectors.transpose() * &l;
    for row in 0..6 {
        rotation.row_mut(row).iter_mut().for_each(|entry| *entry /= features.variances[row].sqrt());
    }
    let mean = rotation.transpose() * MatRef::from_column_major_slice(q.mean(), 6, 1);
    let covariance = rotation.transpose() * q.covariance() * &rotation;
    let points = points.with_variational(full(mean.col_as_slice(0), &covariance)).unwrap();

    let (a, b) =
        (turned.objective(&Data::new(x.as_ref(), &y)).unwrap(), points.objective(&Data::new(x.as_ref(), &y)).unwrap());
    assert!((a.value - b.value).abs() < 1e-10 * b.value.abs(), "{} {}", a.value, b.value);
    assert_same_predictions(&turned, &points, 1e-11);
    let outside = Mat::from_fn(30, 2, |row, _| if row == 7 { 101.0 } else { 0.0 });
    assert!(matches!(turned.objective(&Data::new(outside.as_ref(), &y)), Err(Error::Rows { start: 7, .. })));
    assert!(matches!(turned.posterior().unwrap().mean(outside.as_ref()), Err(Error::Rows { start: 7, .. })));
    for q in forms_of_q(6, 3) {
        for q in [q.clone(), q.unwhitened()] {
            let model = turned.clone().with_variational(q).unwrap();
            let (_, gradient) = model.gradient(&Data::new(x.as_ref(), &y).part_of(30)).unwrap();
            // The kernel's own are those of a K_uu that does not follow it, which these features have.
            check_model("turned features", &model, &gradient, 1e-6, |model| {
                model.objective(&Data::new(x.as_ref(), &y)).unwrap().value
            });
        }
    }
}

/// Cosines of the first coordinate: K_uu is diagonal, and its smallest entries are far below the rounding
/// of the largest, or underflow to 0.
#[derive(Clone, Debug)]
struct Cosines {
    variances: Vec<f64>,
}

mercer::parameterized!(Cosines as "cosines", parameters: []);

impl InducingFeatures for Cosines {
    fn len(&self) -> usize {
        self.variances.len()
    }

    fn dim(&self) -> usize {
        2
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<(), Error> {
        kernel.inputs(2).map(drop)
    }

    /// Of the kernel's amplitude a, K_uu = a diag(variances).
    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        _: Jitter,
    ) -> Result<InducingPrior<'t, T>, Error> {
        let origin = tape.constant_owned(Mat::from_fn(1, 2, |_, _| T::from_f64(0.0)));
        let amplitude = kernel.diag(origin)?;
        let variances = Mat::from_fn(self.len(), 1, |i, _| T::from_f64(self.variances[i]));
        Ok(InducingPrior::diagonal(parameter, tape.constant_owned(variances).scale_by(amplitude)))
    }

    fn cross<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        _: KernelVar<'t, 'a, T>,
        prior: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>, Error> {
        let points = tape.value(x)?;
        let wave = |i: usize, row: usize| T::from_f64((i as f64 * points.as_mat()[(row, 0)].as_f64()).cos());
        let waves = Mat::from_fn(self.len(), points.as_mat().nrows(), wave);
        Ok(tape.constant_owned(waves).scale_rows(prior.variances().unwrap()))
    }
}

/// Features of any size count as they should: f = Σ √λᵢ cos(i x) vᵢ has the variance Σ λᵢ cos²(i x), of which
/// q at the prior changes nothing, and a feature whose variance is 0 is one that is not there.
#[test]
fn small_diagonal_entries_are_not_lost() {
    let (x, y) = plane(30);
    let model = |variances: &[f64]| {
        let features = Cosines { variances: variances.to_vec() };
        let m = variances.len();
        let mean: Vec<f64> = (0..m).map(|i| 0.3 - 0.2 * i as f64).collect();
        let q = Variational::diagonal(&mean, &vec![0.25; m]).unwrap();
        let model = Svgp::with_features(2.0 * Rbf::new(1.0), features).unwrap();
        model.with_variational(q).unwrap().with_likelihood(Gaussian::new(0.2))
    };
    let small = model(&[0.4, 1e-30, 1e-300, 0.0]);
    let posterior = small.posterior().unwrap();
    let predicted = posterior.predict(x.as_ref()).unwrap();
    for row in 0..30 {
        let expected = 2.0 - 2.0 * 0.4 * (1.0 - 0.0625);
        assert!((predicted.variance[(row, 0)] - expected).abs() < 1e-14);
        assert!((predicted.mean[(row, 0)] - 0.8f64.sqrt() * 0.3).abs() < 1e-14);
    }
    // A tiny feature is whitened to the size that it has: √λ, not 0.
    let tiny = model(&[1e-300]).posterior::<f64>().unwrap().mean(x.as_ref()).unwrap();
    assert!(tiny.col(0).iter().all(|mean| (mean / (2e-300f64.sqrt() * 0.3) - 1.0).abs() < 1e-14));

    let (_, gradient) = small.gradient(&Data::new(x.as_ref(), &y).part_of(30)).unwrap();
    check_model("small features", &small, &gradient, 1e-6, |model| {
        model.objective(&Data::new(x.as_ref(), &y)).unwrap().value
    });
    let unwhitened = small.variational().clone().unwhitened();
    let error = small.clone().with_variational(unwhitened).unwrap().objective(&Data::new(x.as_ref(), &y)).unwrap_err();
    assert!(matches!(error, Error::NotPositiveDefinite { pivot: 3, .. }), "{error}");
    for (bad, pivot) in [([1.0, -1.0], 1), ([f64::NAN, 1.0], 0)] {
        let error = model(&bad).objective(&Data::new(x.as_ref(), &y)).unwrap_err();
        let refused = match error {
            Error::NotPositiveDefinite { pivot: found, .. } => found == pivot,
            Error::NonFinite { row, .. } => row == pivot,
            _ => false,
        };
        assert!(refused);
    }
}
