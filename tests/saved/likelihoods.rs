//! Every likelihood and every mean function, in files.

use mercer::gp::Svgp;
use mercer::likelihood::*;
use mercer::mean::{ConstantMean, DynMean, LinearMean, Zero};
use mercer::prelude::*;
use mercer::save::{Save, from_bytes};

fn all() -> Vec<Box<dyn Likelihood>> {
    let mixing: Vec<Box<dyn Likelihood>> =
        vec![Box::new(Poisson::new()), Box::new(FixedNoise::new(&[0.1, 0.2]).unwrap())];
    vec![
        Box::new(Bernoulli::logit()),
        Box::new(Bernoulli::probit().with_quadrature(9).unwrap()),
        Box::new(Beta::new(1.0 / 3.0)),
        Box::new(FixedNoise::new(&[0.1, 0.2]).unwrap()),
        Box::new(FixedNoise::new(&[0.1]).unwrap().for_new(&[0.3, 0.4]).unwrap()),
        Box::new(Gamma::new(2.5).with_quadrature(7).unwrap()),
        Box::new(Gaussian::new(0.1)),
        Box::new(Heteroscedastic::new()),
        Box::new(Laplace::new(0.7)),
        Box::new(LinearMixing::new(mat![[1.0], [-0.7]].as_ref(), mixing).unwrap().with_offset(&[0.1, -0.4]).unwrap()),
        Box::new(NegativeBinomial::new(0.3)),
        Box::new(Ordinal::new(&[-0.7, 0.1, 1.0 / 3.0])),
        Box::new(Poisson::new()),
        Box::new(Poisson::new().with_exposure(0.3).unwrap()),
        Box::new(Poisson::new().with_exposures(&[0.3, 1.7]).unwrap()),
        Box::new(RobustMax::new(3, 1e-3).with_quadrature(30).unwrap()),
        Box::new(Softmax::new(4)),
        Box::new(StudentT::new(0.3, 4.5)),
        // A box in a box.
        Box::new(Box::new(Gaussian::new(0.2)) as Box<dyn Likelihood>),
    ]
}

fn model(likelihood: Box<dyn Likelihood>, mean: DynMean) -> Svgp {
    let model = Svgp::new(Rbf::new(1.0).dynamic(), mat![[0.0], [1.0]].as_ref()).unwrap();
    model.with_likelihood(likelihood).with_mean(mean)
}

#[test]
fn likelihoods_come_back() {
    let mut names = std::collections::BTreeSet::new();
    for likelihood in all() {
        names.insert(likelihood.name().to_owned());
        let latents = likelihood.latents();
        let before = model(likelihood.clone(), DynMean::new(Zero));
        let bytes = before.to_bytes().unwrap();
        let after: Svgp = from_bytes(&bytes).unwrap();
        assert_eq!(after.parameters(), before.parameters());
        assert_eq!(after.likelihood().outputs(), likelihood.outputs());
        let (mean, variance) = (vec![0.3; 2 * latents], vec![0.7; 2 * latents]);
        for y in [[0.5, 0.25], [1.0, 0.0]] {
            let y = y.repeat(likelihood.outputs());
            let (a, b) = (&likelihood, after.likelihood());
            assert_eq!(
                a.variational_expectations(&y, &mean, &variance),
                b.variational_expectations(&y, &mean, &variance)
            );
            assert_eq!(a.log_predictive_density(&y, &mean, &variance), b.log_predictive_density(&y, &mean, &variance));
            assert_eq!(a.predict(&mean, &variance), b.predict(&mean, &variance));
        }
        // Saved again, it is the same file.
        assert_eq!(after.to_bytes().unwrap(), bytes);
    }
    assert!(names.len() >= 14, "{names:?}");
}

#[test]
fn mean_functions_come_back() {
    let linear = || LinearMean::new([1.0 / 3.0]);
    for mean in [
        DynMean::new(Zero),
        DynMean::new(ConstantMean::new(-0.1)),
        DynMean::new(linear()),
        DynMean::new(linear().with_intercept(0.7)),
        linear() * 2.0 + linear() * linear() + 1.0,
        DynMean::new(DynMean::new(linear())),
    ] {
        let before = model(Box::new(Gaussian::new(1.0)), mean);
        let after: Svgp = from_bytes(&before.to_bytes().unwrap()).unwrap();
        assert_eq!(after.parameters(), before.parameters());
        let x = mat![[0.3], [-1.7]];
        let at = |model: &Svgp| model.posterior::<f64>().unwrap().mean(x.as_ref()).unwrap();
        assert_eq!(at(&after), at(&before));
    }
}
