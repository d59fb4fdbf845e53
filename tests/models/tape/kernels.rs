//! Kernels on the tape.
#![allow(clippy::unwrap_used)]

use mercer::prelude::*;
use mercer::tape::Tape;

use crate::common::data::uniform;
use crate::common::gradients::check_matrix;
use crate::common::kernels::Wiener;

/// A loss through all three drivers, with its gradients in hyperparameters, X and Z.
fn through_a_kernel(theta: &[f64], x: &Mat<f64>, z: &Mat<f64>) -> (f64, [Mat<f64>; 3]) {
    let kernel = (2.0 * Matern52::new(1.0) + Linear::new(1.0) + White::new(1.0)).with_params(theta).unwrap();
    let tape = Tape::new(Par::Seq);
    let k = tape.kernel(&kernel).unwrap();
    let (x, z) = (tape.parameter(x.clone()), tape.parameter(z.clone()));
    let parts = [k.gram(x), k.cross(x, z), k.cross(z, z), k.diag(x)];
    let parts = parts.map(|part| part.unwrap().sum_of_squares());
    let loss = parts.into_iter().reduce(|a, b| a + b).unwrap();
    let gradients = tape.backward(loss).unwrap();
    (tape.scalar(loss).unwrap(), [k.theta(), x, z].map(|var| gradients.get(var).unwrap().to_owned()))
}

#[test]
fn kernels() {
    let operands = [mat![[1.5], [0.8], [0.4], [0.3]], uniform(9, 2, 1), uniform(5, 2, 2)];
    let evaluate = |operands: &[Mat<f64>; 3]| {
        let [theta, x, z] = operands;
        through_a_kernel(theta.col_as_slice(0), x, z)
    };
    let (_, gradients) = evaluate(&operands);
    for (index, gradient) in gradients.iter().enumerate() {
        let mut moved = operands.clone();
        check_matrix(format!("operand {index}"), &operands[index], gradient, 1e-7, |operand| {
            moved[index].copy_from(operand);
            evaluate(&moved).0
        });
    }
}

#[test]
fn kernels_without_gradients_are_refused_where_one_is_needed() {
    let kernel = Wiener + Rbf::new(1.0);
    let tape = Tape::<f64>::new(Par::Seq);
    match tape.kernel(&kernel) {
        Err(Error::NotDifferentiable { path }) => assert_eq!(path, "sum[0].wiener"),
        other => unreachable!("{other:?}"),
    }
    let fixed = tape.fixed_kernel(&kernel);
    let (x, moving) = (tape.constant_owned(mat![[1.0], [2.0]]), tape.parameter(mat![[1.0]]));
    let gram = fixed.gram(x).unwrap();
    assert!(!tape.needs_gradient(gram).unwrap());
    for refusal in [fixed.gram(moving), fixed.cross(x, moving), fixed.diag(moving)] {
        assert!(matches!(refusal, Err(Error::NotDifferentiable { .. })), "{refusal:?}");
    }
}
