//! Inducing inputs that start where others are.
#![allow(clippy::unwrap_used)]

use mercer::gp::{ExactGp, Sgpr, Svgp};
use mercer::likelihood::Gaussian;
use mercer::optim::Lbfgs;
use mercer::prelude::*;

/// Five categories as one-hot columns, whose first rows repeat some of them and leave one out.
fn one_hot() -> (Mat<f64>, Vec<f64>) {
    let category = |i: usize| (7 * i + i / 3) % 5;
    let x = Mat::from_fn(60, 5, |i, d| f64::from(u8::from(category(i) == d)));
    let y = |i: usize| [0.3, -1.2, 2.0, 0.7, -0.5][category(i)] + 0.1 * (37.0 * i as f64).sin();
    (x, (0..60).map(y).collect())
}

fn kernel() -> Scaled<Rbf> {
    1.0 * Rbf::new([1.0; 5])
}

/// Eight inputs are enough for five categories: a fit gets as far as the exact one, whatever the jitter. Where two stay
/// together it misses 70 nats.
#[test]
fn fits_part_them() {
    let (x, y) = one_hot();
    let data = Data::new(x.as_ref(), &y);
    let z = Mat::from_fn(8, 5, |i, d| x[(i, d)]);
    let steps = Lbfgs { max_steps: 200, ..Lbfgs::default() };
    let mut exact = ExactGp::new(kernel()).with_noise(0.1).unwrap();
    exact.fit(&data, &steps).unwrap();
    let best = exact.objective(&data).unwrap();

    let mut collapsed = Sgpr::new(kernel(), z.as_ref()).unwrap().with_noise(0.1).unwrap();
    let found = -collapsed.fit(&data, &steps).unwrap().value;
    assert!((best - found).abs() < 3.0, "{found} against {best}");

    let mut variational = Svgp::new(kernel(), z.as_ref()).unwrap().with_likelihood(Gaussian::new(0.1));
    let found = -variational.fit(&data, &steps).unwrap().value;
    assert!(best - found < 10.0, "{found} against {best}");
}

/// Inputs that are not free stay, and so do those that are apart.
#[test]
fn others_stay() {
    let (x, y) = one_hot();
    let z = Mat::from_fn(8, 5, |i, d| x[(i, d)]);
    let none = Lbfgs { max_steps: 0, ..Lbfgs::default() };
    let fitted = |mut model: Sgpr<Scaled<Rbf>>| {
        model.fit(&Data::new(x.as_ref(), &y), &none).unwrap();
        model.inducing().inputs().to_owned()
    };
    let mut frozen = Sgpr::new(kernel(), z.as_ref()).unwrap();
    frozen.freeze("inducing").unwrap();
    assert_eq!(fitted(frozen), z);
    let apart = Mat::from_fn(8, 5, |i, d| z[(i, d)] + 1e-3 * (3 * i + d) as f64);
    assert_eq!(fitted(Sgpr::new(kernel(), apart.as_ref()).unwrap()), apart);
    let parted = fitted(Sgpr::new(kernel(), z.as_ref()).unwrap());
    assert!((0..8).all(|a| (0..a).all(|b| parted.row(a) != parted.row(b))));
}
