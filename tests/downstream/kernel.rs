//! Ten lines of a program that composes a kernel and takes its Gram matrix and gradient: what it costs to compile is what
//! users wait for.
use mercer::kernel::{GradientRequest, gram_vjp};
use mercer::prelude::*;

fn main() -> mercer::Result<()> {
    let kernel: DynKernel = (0.5 * Rbf::new(0.3) + Periodic::new(1.0, 2.0) * Linear::new(0.7)).dynamic();
    let x: Mat<f64> = Mat::from_fn(50, 1, |row, _| 0.1 * row as f64);
    let gram = kernel.gram(x.as_ref())?;
    let gradient = gram_vjp(&kernel, x.as_ref(), gram.as_ref(), GradientRequest::PARAMETERS, Par::Seq)?;
    println!("{:?}", gradient.theta);
    Ok(())
}
