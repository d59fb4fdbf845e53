//! A kernel of one's own, with gradients, in the algebra and in a sparse process.
//!
//! `cargo run --release --example custom_kernel`

use std::error::Error;

use mercer::gp::Svgp;
use mercer::inducing::start::kmeans_plus_plus;
use mercer::kernel::Formula;
use mercer::likelihood::Gaussian;
use mercer::optim::Train;
use mercer::prelude::*;
use rand::{RngExt, SeedableRng};

mercer::declare! {
    /// The covariance of an infinitely wide neural network with error-function units (Williams 1998): not
    /// stationary. k(x, y) = asin(s(x, y)/√((1 + s(x, x)) (1 + s(y, y)))) with s(x, y) = 2 w (1 + xᵀy).
    pub(crate) ArcSine as "arcsine" {
        /// The prior variance w of the weights and of the bias.
        weight: Scalar = Positive,
    }
}
mercer::formula_kernel!(ArcSine);

impl Formula for ArcSine {
    fn formula<R: Real>(&self, theta: &[R], x: &[R], y: &[R]) -> R {
        let s = |x: &[R], y: &[R]| theta[0] * 2.0 * (x.iter().zip(y).map(|(&x, &y)| x * y).sum::<R>() + 1.0);
        let ratio = s(x, y) / ((s(x, x) + 1.0) * (s(y, y) + 1.0)).sqrt();
        ratio.max(R::from_f64(-1.0)).min(R::from_f64(1.0)).asin()
    }
    fn psd(&self) -> Psd {
        Psd::Always
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Growth along the first input, and a wave along the second that grows with it.
    let mut rng = rand_pcg::Pcg64::seed_from_u64(7);
    let n = 400;
    let x = Mat::<f64>::from_fn(n, 2, |_, _| rng.random_range(-1.0..1.0));
    let y: Vec<f64> = (0..n)
        .map(|row| {
            let (a, b) = (x[(row, 0)], x[(row, 1)]);
            (1.5 * a).exp() * (1.0 + 0.3 * (5.0 * b).sin()) + rng.random_range(-0.1..0.1)
        })
        .collect();

    // The new kernel beside built-in ones: a sum, a product, lengthscales, active dimensions.
    let network = ArcSine::new(2.0);
    let kernel = 2.0 * network.clone().ard([1.0, 1.0]) + network.on([0]) * Rbf::new(0.5).on([1]);
    println!("{kernel}");
    let z = kmeans_plus_plus(x.as_ref(), 30, 10, &mut rng)?;
    let mut model = Svgp::new(kernel, z.as_ref())?.with_likelihood(Gaussian::new(0.1));

    let data = Data::new(x, y);
    let before = model.objective(&data)?.value;
    let train = Train::new(400).with_batch(100).with_rate(0.02);
    let history = model.train(&data, &train, &mut rng)?;
    let after = model.objective(&data)?.value;

    println!("{}", model.kernel());
    println!("bound before {before:.1}, after {} steps {after:.1}", history.steps);
    if after.partial_cmp(&(before + 100.0)) != Some(std::cmp::Ordering::Greater) {
        return Err("training did not raise the bound".into());
    }
    Ok(())
}
