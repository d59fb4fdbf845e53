//! What is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::gp::BayesianGplvm;
use mercer::gp::gplvm::{BackConstraint, Nodes, principal_latents};
use mercer::optim::Lbfgs;
use mercer::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::Stored;

#[test]
fn bad_input_is_refused_by_name() {
    let stored = Stored::load();
    let (x, s, z, y) = (stored.mean.as_ref(), stored.variance.as_ref(), stored.z.as_ref(), stored.y.as_ref());
    let new = |x, s, z| BayesianGplvm::new(Rbf::new(1.0), x, s, z);
    assert!(matches!(new(x, s.subrows(0, 7), z), Err(Error::Shape { .. })));
    assert!(matches!(new(x, s, z.subcols(0, 1)), Err(Error::Shape { what, .. }) if what == "the inducing inputs"));
    let with = |value: f64| Mat::from_fn(8, 2, |i, q| if (i, q) == (2, 1) { value } else { stored.variance[(i, q)] });
    let (zero, bad) = (with(0.0), with(f64::NAN));
    let error = new(x, zero.as_ref(), z).unwrap_err().to_string();
    assert!(error.contains("variance[2, 1]"), "{error}");
    assert!(matches!(new(bad.as_ref(), s, z), Err(Error::NonFinite { row: 2, col: 1, .. })));
    assert!(matches!(BayesianGplvm::new(Rbf::new([1.0; 3]), x, s, z), Err(Error::Dimension { .. })));

    let model = stored.model();
    for error in [
        model.objective(&(y.subrows(0, 7)).to_owned()).unwrap_err(),
        model.gradient(&(y.subrows(0, 7)).to_owned()).unwrap_err(),
        model.condition(&(y.subrows(0, 7)).to_owned()).unwrap_err(),
        model.latents(y.subrows(0, 7)).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Shape { what, .. } if what == "y"));
    }
    assert!(matches!(model.clone().with_inducing_noise(-1e-6), Err(Error::Setting { .. })));
    assert!(matches!(model.clone().with_prior(x.subrows(0, 7), s), Err(Error::Shape { .. })));
    assert!(matches!(model.clone().with_prior(s, x), Err(Error::Parameter { .. })));
    // Its reciprocal is not a finite number.
    let tiny = with(1e-310);
    let error = model.clone().with_prior(x, tiny.as_ref()).unwrap_err().to_string();
    assert!(error.contains("prior variance[2, 1]"), "{error}");
    let indefinite = stored.with_kernel((Rbf::new(1.0) - Matern12::new(3.0)).dynamic());
    assert!(matches!(indefinite.objective(&y.to_owned()), Err(Error::Indefinite { .. })));
    let wrong = Nodes::gauss_hermite(3, 1).unwrap();
    assert!(matches!(model.clone().with_expectations(wrong).objective(&y.to_owned()), Err(Error::Setting { .. })));
    assert!(matches!(Nodes::gauss_hermite(10, 6), Err(Error::Setting { .. })));
    assert!(matches!(Nodes::gauss_hermite(3, 0), Err(Error::Setting { .. })));
    assert!(matches!(Nodes::monte_carlo(0, 2, &mut Pcg64::seed_from_u64(1)), Err(Error::Setting { .. })));

    let posterior = model.condition(&y.to_owned()).unwrap();
    assert!(matches!(posterior.predict(z.subcols(0, 1)), Err(Error::Shape { .. })));
    assert!(matches!(posterior.predict_uncertain(z, z), Err(Error::Parameter { .. })));
    assert!(matches!(posterior.predict_uncertain(z, s), Err(Error::Shape { .. })));
    assert!(matches!(posterior.infer(y.subcols(0, 3), &Lbfgs::default()), Err(Error::Shape { .. })));
    let map = BackConstraint::through(Rbf::new(1.0), y, x).unwrap();
    assert!(matches!(map.map(y.subrows(0, 4), y), Err(Error::Shape { .. })));
    assert!(matches!(map.map(y, y.subcols(0, 1)), Err(Error::Shape { .. })));
    let bad = Mat::from_fn(8, 4, |i, d| if (i, d) == (5, 1) { f64::NAN } else { y[(i, d)] });
    for error in [map.map(bad.as_ref(), y).unwrap_err(), map.map(y, bad.as_ref()).unwrap_err()] {
        assert!(matches!(error, Error::NonFinite { row: 5, col: 1, .. }), "{error}");
    }
    assert!(matches!(BackConstraint::through(Rbf::new(1.0), y, z), Err(Error::Shape { .. })));
    let narrow = BackConstraint::through(Rbf::new(1.0), y, x.subcols(0, 1)).unwrap();
    assert!(matches!(model.with_back_constraint(narrow), Err(Error::Shape { .. })));
    assert!(matches!(principal_latents(y, 5), Err(Error::Setting { .. })));
}
