//! Structured operators against the matrices that they stand for.
#![allow(clippy::unwrap_used)]

use mercer::linalg::{
    BlockDiagonal, Dense, Diagonal, Kronecker, LowRank, NoisyKronecker, NoisyKroneckerGradient, Operator,
};
use mercer::{Error, Scalar, prelude::Mat, prelude::Par};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::dense;
use crate::common::dense::log_normal;
use crate::common::entries::by_columns;

fn uniform<T: Scalar>(nrows: usize, ncols: usize, rng: &mut Pcg64) -> Mat<T> {
    Mat::from_fn(nrows, ncols, |_, _| T::from_f64(rng.random_range(-1.0..1.0)))
}

/// A Gram matrix of so many features, and so much of the identity.
fn positive<T: Scalar>(n: usize, rank: usize, ridge: f64, rng: &mut Pcg64) -> Mat<T> {
    let a = uniform::<f64>(n, rank, rng);
    let a = &a * a.transpose() + Mat::<f64>::identity(n, n) * ridge;
    Mat::from_fn(n, n, |i, j| T::from_f64(a[(i.max(j), i.min(j))]))
}

fn kron<T: Scalar>(factors: &[&Mat<T>]) -> Mat<T> {
    factors.iter().fold(Mat::identity(1, 1), |a, b| {
        let n = b.nrows();
        Mat::from_fn(a.nrows() * n, a.ncols() * n, |i, j| a[(i / n, j / n)] * b[(i % n, j % n)])
    })
}

fn close<T: Scalar>(what: &str, found: &Mat<T>, expected: &Mat<T>, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let error = (found - expected).norm_max().as_f64();
    let scale = expected.norm_max().as_f64().max(1.0);
    assert!(error <= tolerance * scale, "{what}: {error:e} on {scale:e}");
}

/// Every method, by what it means for the matrix.
fn stands_for<T: Scalar>(name: &str, a: &dyn Operator<T>, full: &Mat<T>, tolerance: f64) {
    let n = full.nrows();
    assert_eq!(a.dim(), n, "{name}");
    let mut rng = Pcg64::seed_from_u64(7);
    let (b, c) = (uniform::<T>(n, 3, &mut rng), uniform::<T>(n, 2, &mut rng));
    let product = a.matmul(b.as_ref(), Par::Seq).unwrap();
    close(&format!("{name}: product"), &product, &(full * &b), tolerance);
    let solution = a.solve(b.as_ref(), Par::Seq).unwrap();
    close(&format!("{name}: solve"), &(full * &solution), &b, tolerance);
    let half = a.solve_lower(b.as_ref(), Par::Seq).unwrap();
    close(&format!("{name}: half solve"), &(half.transpose() * &half), &(b.transpose() * &solution), tolerance);
    let transposed = a.solve_upper(c.as_ref(), Par::Seq).unwrap();
    close(&format!("{name}: adjoint"), &(transposed.transpose() * &b), &(c.transpose() * &half), tolerance);
    let log_det = dense(full).log_det();
    assert!((a.log_det() - log_det).abs() <= tolerance * (n as f64 + log_det.abs()), "{name}: determinant");
    let error = a.solve(Mat::zeros(n + 1, 1).as_ref(), Par::Seq).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{name}: {error:?}");
    let (one, two) = (a.matmul(b.as_ref(), Par::Seq).unwrap(), a.matmul(b.as_ref(), Par::rayon(2)).unwrap());
    assert_eq!(one, two, "{name}: threads");
}

fn all_operators<T: Scalar>(tolerance: f64) {
    let rng = &mut Pcg64::seed_from_u64(1);
    let (a, b, c) = (positive(4, 4, 0.5, rng), positive(1, 1, 0.5, rng), positive(5, 5, 0.5, rng));
    let entries: Vec<T> = (0..3).map(|i| T::from_f64(0.5 + i as f64)).collect();
    let diagonal = Mat::from_fn(3, 3, |i, j| if i == j { entries[i] } else { T::from_f64(0.0) });
    let of_entries = Diagonal::new(entries.clone()).unwrap();
    stands_for("diagonal", &of_entries, &diagonal, tolerance);

    let mixed = |a: &Mat<T>| -> Vec<Box<dyn Operator<T>>> {
        vec![Box::new(dense(a)), Box::new(of_entries.clone()), Box::new(dense(&c)), Box::new(dense(&b))]
    };
    let mut blocks = Mat::zeros(13, 13);
    for (at, block) in [(0, &a), (4, &diagonal), (7, &c), (12, &b)] {
        blocks.as_mut().submatrix_mut(at, at, block.nrows(), block.ncols()).copy_from(block);
    }
    stands_for("blocks", &BlockDiagonal::new(mixed(&a)), &blocks, tolerance);
    let product = Kronecker::new(mixed(&a)).unwrap();
    stands_for("Kronecker", &product, &kron(&[&a, &diagonal, &c, &b]), tolerance);
    stands_for("Kronecker of one", &Kronecker::new(vec![dense(&c)]).unwrap(), &c, tolerance);

    for rank in [0, 1, 3, 7] {
        let u = uniform(3, rank, rng);
        let operator = LowRank::new(of_entries.clone(), u.clone(), Par::Seq).unwrap();
        stands_for(&format!("rank {rank}"), &operator, &(&diagonal + &u * u.transpose()), tolerance);
    }

    let (signal, noise) = (positive::<T>(3, 2, 0.0, rng), positive::<T>(3, 3, 0.3, rng));
    let (first, second) = (positive::<T>(4, 4, 0.0, rng), positive::<T>(5, 2, 0.0, rng));
    let full = kron(&[&signal, &first, &second]) + kron(&[&noise, &Mat::identity(20, 20)]);
    let axes = [first.as_ref(), second.as_ref()];
    let operator = NoisyKronecker::new(signal.as_ref(), noise.as_ref(), &axes, Par::Seq).unwrap();
    assert_eq!((operator.outputs(), operator.points()), (3, 20));
    stands_for("noisy Kronecker", &operator, &full, tolerance);
}

#[test]
fn operators_stand_for_their_matrices() {
    all_operators::<f64>(1e-13);
    all_operators::<f32>(1e-4);
}

struct Case {
    y: Mat<f64>,
    signal: Mat<f64>,
    noise: Mat<f64>,
    axes: Vec<Mat<f64>>,
}

impl Case {
    fn full(&self) -> Mat<f64> {
        let n = self.axes.iter().map(Mat::nrows).product();
        let factors: Vec<_> = std::iter::once(&self.signal).chain(&self.axes).collect();
        kron(&factors) + kron(&[&self.noise, &Mat::identity(n, n)])
    }

    fn operator(&self) -> NoisyKronecker<f64> {
        let axes: Vec<_> = self.axes.iter().map(Mat::as_ref).collect();
        NoisyKronecker::new(self.signal.as_ref(), self.noise.as_ref(), &axes, Par::Seq).unwrap()
    }

    fn gradient(&self) -> NoisyKroneckerGradient<f64> {
        self.operator().log_density_gradient(self.y.as_ref(), Par::Seq).unwrap()
    }

    /// Q = ½ (ααᵀ − A⁻¹), the gradient in the whole matrix, summed into that of one factor by the chain rule.
    fn dense_gradient(&self, place: impl Fn(&Self, usize, usize) -> Mat<f64>, size: usize) -> Mat<f64> {
        let operator = dense(&self.full());
        let n = operator.dim();
        let y = Mat::from_fn(n, 1, |i, _| self.y[(i % self.y.nrows(), i / self.y.nrows())]);
        let alpha = operator.solve(y.as_ref(), Par::Seq).unwrap();
        let q = (&alpha * alpha.transpose() - operator.cholesky().inverse(Par::Seq)) * 0.5;
        Mat::from_fn(size, size, |i, j| {
            let changed = place(self, i, j);
            (0..n).map(|col| (0..n).map(|row| q[(row, col)] * changed[(row, col)]).sum::<f64>()).sum()
        })
    }

    fn agrees(&self, name: &str, tolerance: f64) {
        let found = self.gradient();
        let expected = log_normal(&by_columns(self.y.as_ref()), &self.full());
        assert!((found.value - expected).abs() < tolerance * expected.abs().max(1.0), "{name}");
        assert_eq!(self.operator().log_density(self.y.as_ref(), Par::Seq).unwrap(), found.value);
        let n = self.y.nrows();
        let unit = |size: usize, i, j| Mat::from_fn(size, size, |a, b| f64::from((a, b) == (i, j)));
        let m = self.signal.nrows();
        let in_signal = self.dense_gradient(
            |case, i, j| {
                let unit = unit(m, i, j);
                let factors: Vec<_> = std::iter::once(&unit).chain(&case.axes).collect();
                kron(&factors)
            },
            m,
        );
        close(&format!("{name}: signal"), &found.signal, &in_signal, tolerance);
        let in_noise = self.dense_gradient(|_, i, j| kron(&[&unit(m, i, j), &Mat::identity(n, n)]), m);
        close(&format!("{name}: noise"), &found.noise, &in_noise, tolerance);
        for (axis, gradient) in found.axes.iter().enumerate() {
            let size = self.axes[axis].nrows();
            let expected = self.dense_gradient(
                |case, i, j| {
                    let unit = unit(size, i, j);
                    let mut factors: Vec<_> = std::iter::once(&case.signal).chain(&case.axes).collect();
                    factors[axis + 1] = &unit;
                    kron(&factors)
                },
                size,
            );
            close(&format!("{name}: axis {axis}"), gradient, &expected, tolerance);
        }
        let flat = Mat::from_fn(m * n, 1, |i, _| -self.y[(i % n, i / n)]);
        let solved = dense(&self.full()).solve(flat.as_ref(), Par::Seq).unwrap();
        let solved = Mat::from_fn(n, m, |i, j| solved[(j * n + i, 0)]);
        close(&format!("{name}: outputs"), &found.y, &solved, tolerance);
    }
}

#[test]
fn gradients_of_the_density_are_those_of_the_dense_matrix() {
    let rng = &mut Pcg64::seed_from_u64(2);
    for (m, rank, sizes) in [(3, 2, vec![4, 2, 3]), (2, 2, vec![7]), (1, 1, vec![3, 1, 4]), (4, 1, vec![2, 3])] {
        let n: usize = sizes.iter().product();
        Case {
            y: uniform(n, m, rng),
            signal: positive(m, rank, 0.0, rng),
            noise: positive(m, m, 0.2, rng),
            axes: sizes.iter().map(|&size| positive(size, size, 0.1, rng)).collect(),
        }
        .agrees(&format!("{m} outputs on {sizes:?}"), 1e-11);
    }
}

/// Where all eigenvalues are equal, any eigenvectors will do, and the gradient does not depend on the choice.
#[test]
fn equal_eigenvalues_do_no_harm() {
    let rng = &mut Pcg64::seed_from_u64(3);
    Case {
        y: uniform(6, 3, rng),
        signal: Mat::identity(3, 3),
        noise: Mat::<f64>::identity(3, 3) * 0.5,
        axes: vec![Mat::identity(2, 2), Mat::full(3, 3, 1.0)],
    }
    .agrees("degenerate", 1e-13);
}

#[test]
fn what_does_not_fit_is_refused() {
    let one = Mat::<f64>::identity(2, 2);
    let new = |b: &Mat<f64>, s: &Mat<f64>, k: &Mat<f64>| {
        NoisyKronecker::new(b.as_ref(), s.as_ref(), &[k.as_ref()], Par::Seq).unwrap_err()
    };
    let negative = Mat::from_fn(2, 2, |i, j| f64::from(i != j));
    let refused = |error: Error, named: &str| {
        assert!(matches!(error, Error::Setting { .. }) && error.to_string().contains(named), "{error}");
    };
    refused(new(&negative, &one, &one), "between outputs");
    refused(new(&one, &one, &negative), "axis 0");
    assert!(matches!(new(&one, &Mat::zeros(2, 2), &one), Error::NotPositiveDefinite { .. }));
    assert!(matches!(new(&one, &Mat::identity(3, 3), &one), Error::Shape { found: (3, 3), .. }));
    assert!(matches!(new(&one, &one, &Mat::full(2, 2, f64::NAN)), Error::NonFinite { .. }));
    assert!(matches!(new(&one, &one, &Mat::zeros(0, 0)), Error::Empty { .. }));
    let none = NoisyKronecker::new(one.as_ref(), one.as_ref(), &[], Par::Seq);
    assert!(matches!(none, Err(Error::Empty { .. })));
    let operator = NoisyKronecker::new(one.as_ref(), one.as_ref(), &[one.as_ref()], Par::Seq).unwrap();
    assert!(matches!(operator.log_density(Mat::zeros(4, 1).as_ref(), Par::Seq), Err(Error::Shape { .. })));

    assert!(matches!(Kronecker::new(Vec::<Dense<f64>>::new()), Err(Error::Empty { .. })));
    let long = vec![Diagonal::new(vec![1.0f64; 1 << 16]).unwrap(); 4];
    assert!(matches!(Kronecker::new(long), Err(Error::Setting { .. })));
    let diagonal = Diagonal::new(vec![1.0, 2.0]).unwrap();
    let shape = LowRank::new(diagonal.clone(), Mat::zeros(3, 1), Par::Seq);
    assert!(matches!(shape, Err(Error::Shape { .. })));
    let infinite = LowRank::new(diagonal, Mat::full(2, 1, f64::INFINITY), Par::Seq);
    assert!(matches!(infinite, Err(Error::NonFinite { row: 0, col: 0, .. })));
}

#[test]
fn the_tape_scales_the_gradients() {
    use mercer::tape::Tape;
    let rng = &mut Pcg64::seed_from_u64(4);
    let case = Case {
        y: uniform(6, 2, rng),
        signal: positive(2, 2, 0.1, rng),
        noise: positive(2, 2, 0.2, rng),
        axes: vec![positive(2, 2, 0.1, rng), positive(3, 3, 0.1, rng)],
    };
    let tape = Tape::new(Par::Seq);
    let [y, signal, noise] = [&case.y, &case.signal, &case.noise].map(|matrix| tape.parameter(matrix.clone()));
    let axes: Vec<_> = case.axes.iter().map(|k| tape.parameter(k.clone())).collect();
    let density = y.kronecker_log_density(signal, noise, &axes).unwrap();
    let gradients = tape.backward(-2.0 * density).unwrap();
    let expected = case.gradient();
    let expected = [expected.y, expected.signal, expected.noise].into_iter().chain(expected.axes);
    for (var, expected) in [y, signal, noise].into_iter().chain(axes).zip(expected) {
        assert_eq!(gradients.get(var).unwrap().to_owned(), expected * -2.0);
    }
}

/// A pivot that rounding has left of zero is positive at times.
#[test]
fn noise_that_is_singular_up_to_rounding_is_refused() {
    let noise = faer::mat![[1.0, 1.3], [1.3, 1.3 * 1.3 + f64::EPSILON]];
    let one = Mat::<f64>::identity(2, 2);
    let refused = NoisyKronecker::new(one.as_ref(), noise.as_ref(), &[one.as_ref()], Par::Seq).unwrap_err();
    assert!(matches!(refused, Error::NotPositiveDefinite { pivot: 1, .. }), "{refused:?}");
}
