//! Laws in bits: what may not change a result at all.

use faer::{Mat, MatRef, Par};

use super::sample::Stream;
use super::violation::{Law, Violation};
use crate::kernel::{
    GradientRequest, Gradients, cross_into, cross_vjp, diag_into, diag_vjp, gram_into, gram_vjp, matmul_into,
    matmul_vjp,
};
use crate::{Kernel, Scalar};

/// The results of all drivers by name, flat and as `f64`, which holds an `f32` exactly.
pub(super) fn everything<T: Scalar>(
    law: Law<'_>,
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
    par: Par,
) -> Result<Vec<(&'static str, Vec<f64>)>, Violation> {
    let (n, m, columns) = (x.nrows(), z.nrows(), 3);
    let mut stream = Stream::new(5);
    let (v, w) = (stream.matrix::<T>(m, columns), stream.matrix::<T>(n, columns));
    let mut results = Vec::new();

    let mut gram = Mat::zeros(n, n);
    law.evaluated(gram_into(kernel, x, gram.as_mut(), par))?;
    results.push(("K(X, X)", flat(&gram)));
    let mut cross = Mat::zeros(n, m);
    law.evaluated(cross_into(kernel, x, z, cross.as_mut(), par))?;
    results.push(("K(X, Z)", flat(&cross)));
    let mut diag = vec![T::from_f64(0.0); n];
    law.evaluated(diag_into(kernel, x, &mut diag))?;
    results.push(("diag K(X, X)", diag.iter().map(|&value| value.as_f64()).collect()));
    let mut product = Mat::zeros(n, columns);
    law.evaluated(matmul_into(kernel, x, z, v.as_ref(), product.as_mut(), par))?;
    results.push(("K(X, Z) V", flat(&product)));

    if kernel.properties().differentiable {
        let (square, rectangle) = (stream.matrix::<T>(n, n), stream.matrix::<T>(n, m));
        let along = stream.matrix::<T>(n, 1);
        let mut keep = |name, gradients: crate::Result<Gradients<T>>| {
            let Gradients { theta, x, z } = law.evaluated(gradients)?;
            let inputs = [x, z].into_iter().flatten();
            results.push((name, theta.into_iter().chain(inputs.flat_map(|matrix| flat(&matrix))).collect()));
            Ok(())
        };
        let all = GradientRequest::ALL;
        keep("the gradient of K(X, X)", gram_vjp(kernel, x, square.as_ref(), all, par))?;
        keep("the gradient of K(X, Z)", cross_vjp(kernel, x, z, rectangle.as_ref(), all, par))?;
        keep("the gradient of diag K(X, X)", diag_vjp(kernel, x, along.col_as_slice(0), all))?;
        keep("the gradient of K(X, Z) V", matmul_vjp(kernel, x, z, v.as_ref(), w.as_ref(), all, par))?;
    }
    Ok(results)
}

fn flat<T: Scalar>(matrix: &Mat<T>) -> Vec<f64> {
    matrix.col_iter().flat_map(|column| column.iter().map(|&value| value.as_f64()).collect::<Vec<_>>()).collect()
}

fn same(
    law: Law<'_>,
    found: &[(&'static str, Vec<f64>)],
    expected: &[(&'static str, Vec<f64>)],
) -> Result<(), Violation> {
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        if found.len() != expected.len() {
            return law.broken(*name, format!("{} values", found.len()), format!("{} values", expected.len()));
        }
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            if found.to_bits() != expected.to_bits() {
                return law.broken(format!("{name}, element {index}"), found, format!("{expected}, in every bit"));
            }
        }
    }
    Ok(())
}

/// Two forms of a kernel, as one that is boxed and one that is not, give the same bits in values and
/// gradients.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{bits, points};
///
/// let (x, z) = (points::<f64>(40, 2, 1), points::<f64>(20, 2, 2));
/// let fixed = Rbf::new(1.0) + Linear::new(0.5);
/// let boxed = Rbf::new(1.0).dynamic() + Linear::new(0.5);
/// bits::same_as::<f64>(&boxed, &fixed, x.as_ref(), z.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn same_as<T: Scalar>(
    kernel: &dyn Kernel<T>,
    other: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
) -> Result<(), Violation> {
    let law = Law { name: "the same bits in another form", kernel };
    let found = everything(law, kernel, x, z, Par::Seq)?;
    same(law, &found, &everything(law, other, x, z, Par::Seq)?)
}

/// The bits of values and gradients do not depend on the number of threads.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{bits, points};
///
/// let (x, z) = (points::<f64>(300, 2, 1), points::<f64>(20, 2, 2));
/// bits::thread_independent::<f64>(&Rbf::new(1.0), x.as_ref(), z.as_ref())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn thread_independent<T: Scalar>(
    kernel: &dyn Kernel<T>,
    x: MatRef<'_, T>,
    z: MatRef<'_, T>,
) -> Result<(), Violation> {
    let law = Law { name: "the same bits for any number of threads", kernel };
    let found = everything(law, kernel, x, z, Par::rayon(0))?;
    same(law, &found, &everything(law, kernel, x, z, Par::Seq)?)
}
