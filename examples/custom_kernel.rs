//! A kernel of one's own, with gradients, in the algebra and in a sparse process.
//!
//! `cargo run --release --example custom_kernel`

use std::error::Error;

use mercer::gp::Svgp;
use mercer::inducing::start::kmeans_plus_plus;
use mercer::kernel::{FeatureGradients, Features, Pairs, Scratch};
use mercer::likelihood::Gaussian;
use mercer::optim::{Adam, Train};
use mercer::prelude::*;
use mercer::simd::dot;
use rand::{RngExt, SeedableRng};

// k(x, y) = exp(xᵀy): every monomial at once, not stationary. It has no hyperparameters of its own,
// because the algebra gives it some: lengthscales by `ard`, a variance by `2.0 *`. Both products pull
// back to the inputs: ∂k/∂(xᵀy) = k, and on the diagonal ∂ exp(xᵀx)/∂x = 2 k x.
#[rustfmt::skip]
mod exp_dot {
    use super::*;
    #[derive(Clone, Debug)] pub(super) struct ExpDot;
    mercer::parameterized!(ExpDot as "exp_dot", parameters: []);
    mercer::kernel_ops!(ExpDot);
    impl Expr for ExpDot {
        fn psd(&self) -> Psd { Psd::Always }
        fn differentiable(&self) -> bool { true }
    }
    impl<T: Scalar> Kernel<T> for ExpDot {
        fn pairwise(&self, x: &[T], y: &[T]) -> T { num_traits::Float::exp(dot(x, y)) }
        fn tile_vjp(&self, at: &Pairs<'_, T>, k: &[T], c: &[T], _: &mut [f64], scratch: &mut Scratch<T>) {
            scratch.add_inner_product_gradient(at, |g| (0..g.len()).for_each(|i| g[i] += c[i] * k[i]));
        }
        fn tile_diag_vjp(&self, at: &Features<'_, T>, c: &[T], _: &mut [f64], gradients: &mut FeatureGradients<T>) {
            let (x, mut k) = (at.points(), c.to_vec());
            self.tile_diag(at, &mut k);
            let Some(g) = gradients.at_mut(x) else { return };
            (0..x.dim()).for_each(|d| (0..x.len()).for_each(|i| g[(i, d)] += (k[i] + k[i]) * c[i] * x.column(d)[i]));
        }
    }
}
use exp_dot::ExpDot;

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
    let kernel = 0.5 * ExpDot.ard([1.0, 1.0]) + ExpDot.on([0]) * Rbf::new(0.5).on([1]);
    println!("{kernel}");
    let z = kmeans_plus_plus(x.as_ref(), 30, 10, &mut rng)?;
    let mut model = Svgp::new(kernel, z.as_ref())?.with_likelihood(Gaussian::new(0.1));

    let before = model.elbo(x.as_ref(), &y)?.value;
    let train =
        Train { steps: 400, batch: Some(100), adam: Adam { rate: 0.02, ..Adam::default() }, ..Train::default() };
    model.train(x.as_ref(), &y, &train, &mut rng)?;
    let after = model.elbo(x.as_ref(), &y)?.value;

    println!("{}", model.kernel());
    println!("bound before {before:.1}, after {} steps {after:.1}", train.steps);
    if after.partial_cmp(&(before + 100.0)) != Some(std::cmp::Ordering::Greater) {
        return Err("training did not raise the bound".into());
    }
    Ok(())
}
