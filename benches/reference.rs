//! Times the work of the reference programs (Gram matrices, batches, K·v) in their output format: one JSON line each.
//!
//! `cargo bench --bench reference`, pinned to one core for one thread: `taskset -c 0 …`. Compare only
//! figures of the same session.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use mercer::kernel::{Wanted, gram_into, gram_vjp};
use mercer::prelude::*;

fn report<T: Scalar>(work: &str, mut run: impl FnMut()) {
    for _ in 0..2 {
        run();
    }
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let dtype = if size_of::<T>() == 4 { "f32" } else { "f64" };
    println!(
        "{{\"work\":\"{work}\",\"impl\":\"mercer\",\"dtype\":\"{dtype}\",\"threads\":1,\"min_s\":{:.6e},\"median_s\":{:.6e},\"reps\":9}}",
        times[0], times[4]
    );
}

fn points<T: Scalar>(n: usize, d: usize) -> Mat<T> {
    let mut state = 1u64;
    Mat::from_fn(n, d, |_, _| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        T::from_f64(4.0 * (state >> 11) as f64 / (1u64 << 53) as f64 - 2.0)
    })
}

fn gram_and_gradient<T: Scalar>() {
    for n in [100, 500, 2000, 4000] {
        for d in [1, 4, 16] {
            let x = points::<T>(n, d);
            let w = points::<T>(n, n);
            let lengthscale = 0.8 * (d as f64).sqrt();
            let (rbf, matern52) = (Rbf::new(lengthscale), Matern52::new(lengthscale));
            let composite = 0.5 * Rbf::new(lengthscale)
                + Matern32::new(lengthscale) * Linear::new(0.7)
                + Periodic::new(1.2, 1.5) * Rbf::new(lengthscale);
            let kernels: [(&str, &dyn Kernel<T>); 4] = [
                ("rbf", &rbf),
                ("matern52", &matern52),
                ("rbf_dyn", &rbf.clone().dynamic()),
                ("composite", &composite),
            ];
            let mut out = Mat::<T>::zeros(n, n);
            for (name, kernel) in kernels {
                report::<T>(&format!("W1_gram_{name}_n{n}_D{d}"), || {
                    gram_into(kernel, x.as_ref(), out.as_mut(), Par::Seq).unwrap();
                    black_box(&out);
                });
                if n == 2000 {
                    report::<T>(&format!("W2_{name}_hyp_n{n}_D{d}"), || {
                        black_box(gram_vjp(kernel, x.as_ref(), w.as_ref(), Wanted::PARAMETERS, Par::Seq).unwrap());
                    });
                }
            }
            if n == 2000 {
                let ard = Rbf::new(vec![lengthscale; d]);
                report::<T>(&format!("W1_gram_rbf_ard_n{n}_D{d}"), || {
                    gram_into(&ard, x.as_ref(), out.as_mut(), Par::Seq).unwrap();
                });
                report::<T>(&format!("W2_rbf_ard_hyp_n{n}_D{d}"), || {
                    black_box(gram_vjp(&ard, x.as_ref(), w.as_ref(), Wanted::PARAMETERS, Par::Seq).unwrap());
                });
            }
        }
    }
}

fn main() {
    gram_and_gradient::<f64>();
    gram_and_gradient::<f32>();
}
