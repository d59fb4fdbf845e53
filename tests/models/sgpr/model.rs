//! Fits, and what is refused.
#![allow(clippy::unwrap_used)]

use mercer::gp::{ExactGp, Sgpr, Variational};
use mercer::mean::ConstantMean;
use mercer::optim::Lbfgs;
use mercer::prelude::*;

use super::{between, kernel};
use crate::common::data::observed_apart;

#[test]
fn a_fit_keeps_what_is_frozen_and_hands_it_over() {
    let (x, y) = observed_apart(30);
    let data = Data::new(x.as_ref(), &y);
    let mut model = Sgpr::new(kernel(), between(6).as_ref()).unwrap().with_noise(0.2).unwrap();
    model.freeze("inducing.inputs[2, 1]").unwrap();
    model.freeze("likelihood").unwrap();
    let kept = model.get("inducing.inputs[2, 1]").unwrap();
    let before = model.objective(&data).unwrap().value;
    let minimum = model.fit(&data, &Lbfgs { max_steps: 20, ..Lbfgs::default() }).unwrap();
    let after = model.objective(&data).unwrap().value;
    assert!(after > before + 1.0 && (after + minimum.value).abs() < 1e-9);
    assert_eq!(model.get("inducing.inputs[2, 1]").unwrap(), kept);

    let svgp = model.clone().with_mean(ConstantMean::new(0.1)).into_svgp(&data).unwrap();
    let frozen = |model: &dyn Parameterized| -> Vec<String> {
        model.parameters().into_iter().filter(|entry| !entry.free).map(|entry| entry.path).collect()
    };
    assert_eq!(frozen(&svgp), frozen(&model));
    assert_eq!(svgp.get("mean.constant.value").unwrap(), 0.1);
}

#[test]
fn bad_input_is_refused_by_name() {
    let (x, y) = observed_apart(10);
    let model = Sgpr::new(kernel(), between(4).as_ref()).unwrap();
    let refused = |x: &Mat<f64>, y: &[f64]| {
        let error = model.objective(&Data::new(x.as_ref(), y)).unwrap_err();
        for other in [
            model.gradient(&Data::new(x.as_ref(), y)).unwrap_err(),
            model.condition(&Data::new(x.as_ref(), y)).unwrap_err(),
            model.upper_bound(&Data::new(x.as_ref(), y)).unwrap_err(),
            model.leave_one_out(&Data::new(x.as_ref(), y)).unwrap_err(),
            model.optimal_variational(&Data::new(x.as_ref(), y)).unwrap_err(),
            model.diagnose(&Data::new(x.as_ref(), y), None).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), other.to_string());
        }
        error
    };
    let mut bad = x.clone();
    bad[(3, 1)] = f64::NAN;
    assert!(matches!(refused(&bad, &y), Error::NonFinite { what, row: 3, col: 1, .. } if what == "x"));
    let mut bad = y.clone();
    bad[4] = f64::INFINITY;
    assert!(matches!(refused(&x, &bad), Error::NonFinite { what, row: 4, .. } if what == "y"));
    assert!(matches!(refused(&x, &y[..9]), Error::Shape { what, .. } if what == "y"));
    assert!(matches!(refused(&Mat::zeros(0, 2), &[]), Error::Empty { .. }));
    assert!(matches!(refused(&x.subcols(0, 1).to_owned(), &y), Error::Shape { what, .. } if what == "x"));
    assert!(matches!(ExactGp::new(kernel()).leave_one_out(&Data::new(x.as_ref(), &y[..9])), Err(Error::Shape { .. })));

    let q = Variational::prior(5).unwrap();
    assert!(matches!(model.gap(&Data::new(x.as_ref(), &y), &q), Err(Error::Shape { .. })));
    assert!(matches!(model.clone().with_noise(0.0), Err(Error::Parameter { .. })));
    assert!(matches!(Sgpr::new(kernel(), Mat::<f64>::zeros(0, 2).as_ref()), Err(Error::Empty { .. })));
    assert!(matches!(model.with_inducing_inputs(mat![[0.0, f64::NAN]].as_ref()), Err(Error::NonFinite { .. })));
    assert!(matches!(Sgpr::new(Linear::new(1.0).on([2]), x.as_ref()), Err(Error::Dimension { .. })));
    let indefinite = Sgpr::new(Rbf::new(1.0) - Matern12::new(3.0), x.as_ref()).unwrap();
    assert!(matches!(indefinite.objective(&Data::new(x.as_ref(), &y)), Err(Error::Indefinite { .. })));
}
