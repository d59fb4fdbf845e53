//! Columns that hold an index: what the drivers refuse, and how columns are traced through an expression.

#![allow(clippy::unwrap_used, clippy::panic)]

use mercer::algebra::icm;
use mercer::kernel::{GradientRequest, cross_vjp, diag_vjp, gram_vjp, matmul_into, matmul_vjp};
use mercer::prelude::*;
use mercer::testkit::{Probe, gradients, points_for};

fn outputs() -> Coregionalization {
    Coregionalization::new(mat![[1.0], [0.4], [-0.3]], [0.3, 0.8, 1.4])
}

#[track_caller]
fn refused<V>(result: mercer::Result<V>, set: &str, place: (usize, usize)) {
    match result.err() {
        Some(Error::Index { kernel, what, row, col, count, .. }) => {
            assert_eq!((what.as_str(), row, col, count), (set, place.0, place.1, 3));
            assert!(kernel.starts_with("coregionalization("), "{kernel}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_driver_refuses_what_is_no_index() {
    let kernel = icm(Rbf::new(0.7), 1, outputs());
    let good = mat![[0.1, 0.0], [0.5, 2.0]];
    for wrong in [3.0, -1.0, 0.5, f64::NAN, f64::INFINITY] {
        let bad = mat![[0.1, 0.0], [0.5, wrong]];
        let (good, bad, w) = (good.as_ref(), bad.as_ref(), Mat::<f64>::zeros(2, 2));
        let w = w.as_ref();
        refused(kernel.gram(bad), "x", (1, 1));
        refused(kernel.diag(bad), "x", (1, 1));
        refused(kernel.cross(bad, good), "x", (1, 1));
        refused(kernel.cross(good, bad), "z", (1, 1));
        refused(kernel.eval(&[0.1, wrong], &[0.1, 0.0]), "x", (0, 1));
        refused(kernel.eval(&[0.1, 0.0], &[0.1, wrong]), "y", (0, 1));
        refused(matmul_into(&kernel, good, bad, w, Mat::zeros(2, 2).as_mut(), Par::Seq), "z", (1, 1));
        refused(gram_vjp(&kernel, bad, w, GradientRequest::ALL, Par::Seq), "x", (1, 1));
        refused(cross_vjp(&kernel, good, bad, w, GradientRequest::ALL, Par::Seq), "z", (1, 1));
        refused(matmul_vjp(&kernel, good, bad, w, w, GradientRequest::ALL, Par::Seq), "z", (1, 1));
        refused(diag_vjp(&kernel, bad, &[1.0, 1.0], GradientRequest::ALL), "x", (1, 1));
        assert!(kernel.pairwise(&[0.1, wrong], &[0.1, 0.0]).is_nan());
    }
}

#[test]
fn columns_are_traced_through_every_form() {
    let columns = |kernel: &dyn Expr, dim| -> Vec<usize> {
        kernel.inputs(dim).unwrap().indices().iter().map(mercer::kernel::IndexColumn::column).collect()
    };
    let leaf = outputs().on([1]).on([2, 0]);
    assert_eq!(columns(&leaf, 3), [0]);
    assert_eq!(columns(&leaf.clone().dynamic(), 3), [0]);
    assert_eq!(columns(&Probe::new(leaf.clone()), 3), [0]);
    assert_eq!(columns(&(2.0 * leaf.clone() + Rbf::new(1.0)).pow(2), 3), [0]);
    assert_eq!(columns(&BlockDiagonal::shared(leaf, 2), 4), [0, 3]);
    assert_eq!(columns(&Rbf::new(1.0), 3), [0usize; 0]);
}

#[test]
fn a_map_of_an_index_is_refused() {
    let kernel = (Rbf::new(1.0).on([0]) * outputs().on([1])).ard([0.5, 2.0]);
    let error = kernel.gram(mat![[0.1, 0.0]].as_ref()).unwrap_err();
    assert!(matches!(&error, Error::WarpedIndex { reader, .. } if reader.starts_with("coregionalization(")), "{error}");
    let aside = Rbf::new(1.0).ard([0.5]).on([0]) * outputs().on([1]);
    assert!(aside.gram(mat![[0.1, 0.0]].as_ref()).is_ok());
}

#[test]
fn a_column_may_be_read_as_index_and_as_number() {
    let kernel = Rbf::new(1.0) * outputs().on([1]);
    let (x, z) = (points_for::<f64>(&kernel, 7, 2, 1), points_for::<f64>(&kernel, 5, 2, 2));
    gradients::elementwise(&kernel, x.as_ref(), z.as_ref()).unwrap();
}

#[test]
fn block_diagonals_keep_fast_paths() {
    let probe = Probe::new(Matern32::new([0.8]));
    for kernel in [BlockDiagonal::shared(probe.clone(), 2), BlockDiagonal::new([probe.clone(), probe.clone()])] {
        let (x, z) = (points_for::<f64>(&kernel, 7, 2, 1), points_for::<f64>(&kernel, 5, 2, 2));
        let (x, z, w) = (x.as_ref(), z.as_ref(), Mat::<f64>::ones(7, 5));
        probe.reset();
        kernel.cross(x, z).unwrap();
        kernel.diag(x).unwrap();
        cross_vjp(&kernel, x, z, w.as_ref(), GradientRequest::ALL, Par::Seq).unwrap();
        diag_vjp(&kernel, x, &[1.0; 7], GradientRequest::ALL).unwrap();
        let calls = probe.calls();
        assert_eq!(calls.pairwise, 0);
        for count in [calls.embed, calls.tile, calls.tile_diag, calls.tile_vjp, calls.tile_diag_vjp, calls.embed_vjp] {
            assert!(count > 0, "{calls:?}");
        }
    }
}

#[test]
fn several_outputs_come_back_from_text() {
    let kernel = icm(Rbf::new(0.7), 1, outputs()) + BlockDiagonal::new([0.1, 0.2, 0.3].map(White::new));
    let read: DynKernel = kernel.clone().dynamic().to_string().parse().unwrap();
    assert_eq!(read.to_string(), kernel.dynamic().to_string());
    for mistake in [
        "block_diagonal()",
        "block_diagonal(rbf(1), rbf(2), outputs=3)",
        "block_diagonal(rbf(1), outputs=0)",
        "categorical(count=1, correlation=0.5)",
        "graph_heat(nodes=2, laplacian=[[0, 2, 1]], lengthscale=1)",
        "graph_heat(nodes=1e12, laplacian=[], lengthscale=1)",
    ] {
        assert!(matches!(mistake.parse::<DynKernel>(), Err(Error::Parse { .. })), "{mistake}");
    }
}

#[test]
fn an_additive_kernel_reads_an_index_in_each_of_its_columns() {
    let kernel = |text: &str| text.parse::<DynKernel>().unwrap();
    let outputs = kernel("additive(coregionalization([[1],[0.5]],[0.1,0.2]), variances=[1])");
    let error = outputs.gram(mat![[0.0, 7.0], [1.0, 0.0]].as_ref()).unwrap_err().to_string();
    assert!(error.contains("x[0, 1]") && error.contains("it is 7"), "{error}");

    // 1 + 1, and exp(−½) + 0.4.
    let mixed = kernel("additive([rbf(1), categorical(3,0.4)], variances=[1])");
    let gram: Mat<f64> = mixed.gram(mat![[0.5, 1.0], [1.5, 0.0]].as_ref()).unwrap();
    assert_eq!((gram[(0, 0)], gram[(1, 1)]), (2.0, 2.0));
    approx::assert_relative_eq!(gram[(1, 0)], 1.0065306597126336, max_relative = 1e-15);
    let error = mixed.gram(mat![[0.5, 3.0]].as_ref()).unwrap_err();
    assert!(matches!(error, Error::Index { row: 0, col: 1, count: 3, .. }), "{error}");

    // A distance is no index.
    let error = kernel("metric_radial(categorical(3, 0.4), manhattan)").gram(mat![[2.0, 2.0], [0.0, 1.0]].as_ref());
    assert!(matches!(&error, Err(Error::WarpedIndex { reader, .. }) if reader.starts_with("categorical")), "{error:?}");
}
