//! Inputs that are not all numbers: rows that a kernel masks, columns that it does not read, and what is refused.
#![allow(clippy::unwrap_used)]

use mercer::combine::Missing;
use mercer::gp::{Approximation, BatchGp, ExactGp, IcmGp, Oilmm, Sgpr, Stacked, Svgp};
use mercer::inducing::start::greedy_variance;
use mercer::mean::{ConstantMean, DynMean, LinearMean};
use mercer::prelude::*;
use mercer::testkit::{points, points_for, seed, trials};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::common::close::{assert_close, assert_each_close};

const NOISE: f64 = 0.2;
const MEAN: f64 = 0.4;

/// Kernels in three dimensions, of which they read the first and the last: those of one column in a mask of its own too.
fn kernels() -> Vec<DynKernel> {
    let outputs = Coregionalization::new(mat![[1.0], [0.4], [-0.3]], [0.3, 0.8, 1.4]);
    let gate = Rbf::new(0.8).on([0]).change_point(Matern32::new(1.1).on([0]), 0.3, 0.6).in_dimension(2);
    vec![
        (1.3 * Matern52::new([0.9, 1.4]).on([0, 2]) + White::new(0.1)).dynamic(),
        gate.dynamic(),
        Additive::each([Rbf::new(0.9).dynamic(), Constant::new(0.3).dynamic(), Linear::new(0.4).dynamic()], [0.6, 0.3])
            .dynamic(),
        (Rbf::new(0.9).on([0]) * outputs.on([2])).dynamic(),
        (0.7 * Periodic::new(0.9, 2.3).on([0]) + ArcCosine::new(1, 0.4).on([2, 0])).dynamic(),
        mercer::combine::MetricRadial::new(mercer::combine::Norm::Manhattan, Matern12::new(1.3)).on([0, 2]).dynamic(),
    ]
}

struct Data {
    /// All rows, NaN in a column that is read in some, and anything in the column that is not.
    x: Mat<f64>,
    y: Vec<f64>,
    missing: Vec<usize>,
    there: Vec<usize>,
}

impl Data {
    fn new(kernel: &DynKernel, seed: u64) -> Self {
        let n = 14;
        let mut x = points_for::<f64>(kernel, n, 3, seed);
        let missing = vec![2, 7, 13];
        for row in 0..n {
            x[(row, 1)] = [f64::NAN, f64::INFINITY, 1e300, 0.3, f64::NEG_INFINITY][row % 5];
        }
        for (place, &row) in missing.iter().enumerate() {
            x[(row, if place == 1 { 0 } else { 2 })] = f64::NAN;
        }
        let there = (0..n).filter(|row| !missing.contains(row)).collect();
        Self { x, y: points::<f64>(n, 1, seed + 1).col_as_slice(0).to_vec(), missing, there }
    }

    /// The rows that are there, with numbers in all columns.
    fn others(&self) -> (Mat<f64>, Vec<f64>) {
        let x = Mat::from_fn(self.there.len(), 3, |i, d| if d == 1 { 0.0 } else { self.x[(self.there[i], d)] });
        (x, self.there.iter().map(|&row| self.y[row]).collect())
    }

    /// log N(y; m, variance) of the rows that are missing, and its derivatives in m and in the variance.
    fn alone(&self, variance: f64) -> [f64; 3] {
        let mut sums = [0.0; 3];
        for &row in &self.missing {
            let residual = self.y[row] - MEAN;
            sums[0] -= 0.5 * (residual * residual / variance + variance.ln() + std::f64::consts::TAU.ln());
            sums[1] += residual / variance;
            sums[2] += 0.5 * (residual * residual / variance - 1.0) / variance;
        }
        sums
    }
}

/// Calls `check` with each kernel, a masked form of it, the variance of its missing points and data.
fn each(mut check: impl FnMut(&DynKernel, &DynKernel, f64, &Data)) {
    for trial in 0..trials(2) as u64 {
        for kernel in kernels() {
            let data = Data::new(&kernel, seed(41).wrapping_add(7 * trial));
            for (missing, variance) in [(Missing::Isolate, 1.0), (Missing::Zero, 0.0)] {
                check(&kernel, &kernel.clone().masked(missing).dynamic(), variance, &data);
            }
        }
    }
}

/// Of n ε times the condition number of K + σ²: 14 · 2e-16 · some 14 · 5/0.2.
const TOLERANCE: f64 = 1e-11;

#[test]
fn masked_rows_of_an_exact_process_are_independent_of_the_others() {
    each(|plain, masked, variance, data| {
        let model = |kernel: &DynKernel| {
            ExactGp::new(kernel.clone()).with_noise(NOISE).unwrap().with_mean(ConstantMean::new(MEAN))
        };
        let (others, few) = data.others();
        let [alone, in_mean, in_noise] = data.alone(variance + NOISE);
        let (all, rest) = (model(masked), model(plain));
        let (evidence, gradient) = all.gradient(&mercer::gp::Data::new(data.x.as_ref(), &data.y)).unwrap();
        let (expected, mut of_others) = rest.gradient(&mercer::gp::Data::new(others.as_ref(), &few)).unwrap();
        let last = of_others.len() - 1;
        of_others[last - 1] += in_mean;
        of_others[last] += in_noise;
        assert_close(evidence, expected + alone, TOLERANCE);
        assert_each_close("missing", &gradient, &of_others, TOLERANCE);

        let (posterior, of_rest) = (
            all.condition(&mercer::gp::Data::new(data.x.as_ref(), &data.y)).unwrap(),
            rest.condition(&mercer::gp::Data::new(others.as_ref(), &few)).unwrap(),
        );
        let found = posterior.predict(data.x.as_ref()).unwrap();
        let expected = of_rest.predict(others.as_ref()).unwrap();
        for (place, &row) in data.there.iter().enumerate() {
            assert_each_close(
                "missing",
                &[found.mean[(row, 0)], found.variance[(row, 0)]],
                &[expected.mean[(place, 0)], expected.variance[(place, 0)]],
                TOLERANCE,
            );
        }
        for &row in &data.missing {
            assert_each_close(
                "missing",
                &[found.mean[(row, 0)], found.variance[(row, 0)]],
                &[MEAN, variance],
                TOLERANCE,
            );
        }
        assert!(all.leave_one_out(&mercer::gp::Data::new(data.x.as_ref(), &data.y)).is_ok());
    });
}

#[test]
fn masked_rows_of_sparse_processes_are_independent_of_the_others() {
    each(|plain, masked, variance, data| {
        let (others, few) = data.others();
        let z = others.as_ref().subrows(0, 5);
        let collapsed = |kernel: &DynKernel, approximation| {
            let model = Sgpr::new(kernel.clone(), z).unwrap().with_noise(NOISE).unwrap();
            model.with_mean(ConstantMean::new(MEAN)).with_approximation(approximation)
        };
        // The variance of a missing point is one that no inducing point explains.
        let bound = data.alone(NOISE)[0] - 0.5 * data.missing.len() as f64 * variance / NOISE;
        let alone = [(Approximation::Vfe, bound), (Approximation::Fitc, data.alone(variance + NOISE)[0])];
        for (approximation, alone) in alone {
            let found =
                collapsed(masked, approximation).objective(&mercer::gp::Data::new(data.x.as_ref(), &data.y)).unwrap();
            let expected =
                collapsed(plain, approximation).objective(&mercer::gp::Data::new(others.as_ref(), &few)).unwrap();
            assert_close(found.value, expected.value + alone, TOLERANCE);
        }
        let variational = |kernel: &DynKernel| {
            let model = Svgp::new(kernel.clone(), z).unwrap().with_mean(ConstantMean::new(MEAN));
            model.with_likelihood(mercer::likelihood::Gaussian::try_new(NOISE).unwrap())
        };
        let (found, gradient) =
            variational(masked).gradient(&mercer::gp::Data::new(data.x.as_ref(), &data.y).part_of(14)).unwrap();
        let expected = variational(plain).objective(&mercer::gp::Data::new(others.as_ref(), &few)).unwrap();
        assert_close(found.value, expected.value + bound, TOLERANCE);
        assert!(gradient.iter().all(|g| g.is_finite()));
        let predicted = variational(masked).posterior::<f64>().unwrap().predict(data.x.as_ref()).unwrap();
        data.missing.iter().for_each(|&row| assert_close(predicted.variance[(row, 0)], variance, TOLERANCE));
    });
}

/// Of a model of two outputs with a kernel, given inputs and values.
type Evidence<'e> = dyn Fn(&DynKernel, MatRef<'_, f64>, MatRef<'_, f64>) -> f64 + 'e;

#[test]
fn masked_rows_of_several_outputs_are_independent_of_the_others() {
    each(|plain, masked, variance, data| {
        let (others, few) = data.others();
        let both = |y: &[f64]| Mat::from_fn(y.len(), 2, |row, col| if col == 0 { y[row] } else { 0.5 - y[row] });
        let (all_y, few_y) = (both(&data.y), both(&few));
        // A row that is missing alone, under a kernel that is constant.
        let constant = Constant::new(variance).dynamic();
        let row = |row: usize| (mat![[0.0, 0.0, 0.0]], all_y.as_ref().subrows(row, 1));
        let check = |evidence: &Evidence<'_>| {
            let alone: f64 = data.missing.iter().map(|&at| evidence(&constant, row(at).0.as_ref(), row(at).1)).sum();
            let expected = evidence(plain, others.as_ref(), few_y.as_ref()) + alone;
            assert_close(evidence(masked, data.x.as_ref(), all_y.as_ref()), expected, TOLERANCE);
        };
        check(&|kernel, x, y| {
            let gp = BatchGp::new(kernel.clone().batched(2).unwrap()).with_noise(NOISE).unwrap();
            gp.with_mean(ConstantMean::new(MEAN)).objective(&mercer::gp::Data::new(x, y)).unwrap()
        });
        let outputs = Coregionalization::new(mat![[1.0], [-0.5]], [0.2, 0.1]);
        check(&|kernel, x, y| {
            let gp = IcmGp::new(kernel.clone(), outputs.clone()).with_noise(&[NOISE, 0.3]).unwrap();
            gp.with_means(vec![DynMean::new(ConstantMean::new(MEAN)); 2])
                .unwrap()
                .objective(&mercer::gp::Data::new(x, y))
                .unwrap()
        });
        check(&|kernel, x, y| {
            let gp = Oilmm::new(vec![kernel.clone()], mat![[1.0, 0.5], [0.5, -1.0]].as_ref()).unwrap();
            gp.with_noise(NOISE).unwrap().objective(&mercer::gp::Data::new(x, y)).unwrap()
        });
    });
}

/// Everything that the models say of these inputs.
fn answers(kernel: &DynKernel, x: MatRef<'_, f64>, y: &[f64], z: MatRef<'_, f64>) -> Vec<f64> {
    let mut all = Vec::new();
    let exact = ExactGp::new(kernel.clone()).with_noise(NOISE).unwrap();
    let (evidence, gradient) = exact.gradient(&mercer::gp::Data::new(x, y)).unwrap();
    all.extend([evidence].into_iter().chain(gradient));
    let posterior = exact.condition(&mercer::gp::Data::new(x, y)).unwrap();
    let predicted = posterior.predict(x).unwrap();
    all.extend(predicted.mean.col(0).iter().chain(predicted.variance.col(0).iter()));
    if let Ok(paths) = posterior.pathwise(2, 30, &mut Pcg64::seed_from_u64(3)) {
        all.extend(paths.values(x).unwrap().col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()));
        let slopes = paths.gradient(x, 0, 1).unwrap();
        all.extend(slopes.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()));
    }
    let sparse = Sgpr::new(kernel.clone(), z).unwrap().with_noise(NOISE).unwrap();
    let (evidence, gradient) = sparse.gradient(&mercer::gp::Data::new(x, y)).unwrap();
    all.extend([evidence.value].into_iter().chain(gradient));
    let (bound, gradient) =
        Svgp::new(kernel.clone(), z).unwrap().gradient(&mercer::gp::Data::new(x, y).part_of(y.len())).unwrap();
    all.extend([bound.value].into_iter().chain(gradient));
    let column = MatRef::from_column_major_slice(y, y.len(), 1);
    let outputs = Mat::from_fn(y.len(), 2, |row, col| y[row] * (1.0 + col as f64));
    all.extend(BatchGp::new(kernel.clone().batched(1).unwrap()).gradient(&mercer::gp::Data::new(x, column)).unwrap().1);
    let icm = IcmGp::new(kernel.clone(), Coregionalization::new(mat![[1.0], [-0.5]], [0.2, 0.1]));
    let (evidence, gradient) = icm.gradient(&mercer::gp::Data::new(x, outputs.as_ref())).unwrap();
    all.extend([evidence].into_iter().chain(gradient));
    let predicted = icm.condition(&mercer::gp::Data::new(x, outputs.as_ref())).unwrap().predict(x).unwrap();
    all.extend(predicted.mean.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()));
    let start = greedy_variance(kernel, x, 4).unwrap();
    all.extend((0..4).flat_map(|row| [start[(row, 0)], start[(row, 2)]]));
    all
}

#[test]
fn columns_that_a_kernel_does_not_read_may_be_anything() {
    for kernel in kernels() {
        let data = Data::new(&kernel, seed(43));
        let (good, y) = data.others();
        let other =
            Mat::from_fn(good.nrows(), 3, |i, d| if d == 1 { data.x[(data.there[i], 1)] } else { good[(i, d)] });
        let z = good.as_ref().subrows(0, 4);
        assert_eq!(answers(&kernel, other.as_ref(), &y, z), answers(&kernel, good.as_ref(), &y, z), "{kernel}");
    }
}

#[test]
fn rows_without_a_value_are_refused_by_their_cause() {
    let (x, y) = (mat![[0.0, 1.0], [f64::NAN, 2.0], [1.0, 3.0]], [0.3, 1.0, -0.2]);
    let said = |gp: ExactGp<DynKernel>| gp.objective(&mercer::gp::Data::new(x.as_ref(), y)).unwrap_err().to_string();
    let rbf = || Rbf::new(1.0).on([0]);
    // Not masked; masked to stay unknown; one of two that read the column masked.
    assert!(said(ExactGp::new(rbf().dynamic())).starts_with("x[1, 0] is NaN; remove or mask the row"));
    for kernel in [rbf().masked(Missing::Propagate).dynamic(), rbf().masked(Missing::Isolate).dynamic() + rbf()] {
        let error = said(ExactGp::new(kernel));
        assert!(error.starts_with("x[1, 0] is NaN, but `") && error.contains("`isolate`"), "{error}");
    }
    // Masked, but read by the mean.
    let masked = || rbf().masked(Missing::Isolate).dynamic();
    let error = said(ExactGp::new(masked()).with_mean(LinearMean::new([1.0, 0.0])));
    assert!(error.starts_with("the mean at row 1 of x is NaN"), "{error}");
    // An infinity is no missing value; an observation that is missing takes no part.
    let infinite = mat![[0.0, 1.0], [f64::INFINITY, 2.0], [1.0, 3.0]];
    let error = ExactGp::new(masked()).objective(&mercer::gp::Data::new(infinite.as_ref(), y)).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 1, col: 0, .. }), "{error}");
    let gp = ExactGp::new(masked());
    let without = gp.objective(&mercer::gp::Data::new(mat![[0.0, 1.0], [1.0, 3.0]], [0.3, 0.1])).unwrap();
    assert_eq!(gp.objective(&mercer::gp::Data::new(x.as_ref(), [0.3, f64::NAN, 0.1])).unwrap(), without);
    let error = gp.objective(&mercer::gp::Data::new(x.as_ref(), [0.3, f64::INFINITY, 0.1])).unwrap_err();
    assert!(matches!(error, Error::NonFinite { ref what, row: 1, .. } if what == "y"), "{error}");
    // No inducing input, and no start for one.
    assert!(Sgpr::new(masked(), x.as_ref()).is_err());
    assert_eq!(greedy_variance(&masked(), x.as_ref(), 2).unwrap().nrows(), 2);
    assert!(matches!(greedy_variance(&masked(), x.as_ref().subrows(1, 1), 1), Err(Error::Empty { .. })));
    assert!(matches!(greedy_variance(&rbf(), x.as_ref(), 1), Err(Error::NonFinite { row: 1, .. })));
}

#[test]
fn stacked_outputs_hand_missing_inputs_on() {
    let x = mat![[0.0], [f64::NAN], [1.0]];
    let stacked = Stacked::with_missing(x.as_ref(), mat![[0.3, 0.1], [1.0, f64::NAN], [-0.2, 0.4]].as_ref()).unwrap();
    let outputs = Coregionalization::new(mat![[1.0], [0.4]], [0.3, 0.8]).on([1]);
    let plain = Rbf::new(1.0).on([0]) * outputs.clone();
    let gp = ExactGp::new(plain.clone().masked(Missing::Isolate));
    let (few_x, few_y) = (mat![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.3, -0.2, 0.1, 0.4]);
    let expected = ExactGp::new(plain).objective(&mercer::gp::Data::new(few_x.as_ref(), few_y)).unwrap();
    let alone = -0.5 * (1.0 / 2.0 + 2f64.ln() + std::f64::consts::TAU.ln());
    assert_close(gp.objective(&mercer::gp::Data::new(stacked.x(), stacked.y())).unwrap(), expected + alone, TOLERANCE);
}
