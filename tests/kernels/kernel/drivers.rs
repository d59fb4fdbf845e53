//! The drivers' edges: shapes that do not fit, empty sets, views, slots of memory, far-away points.

#![allow(clippy::unwrap_used, clippy::panic)]

use faer::MatMut;
use mercer::kernel::{
    GradientRequest, Gradients, Points, cross_into, cross_vjp, diag_into, diag_vjp, gram_into, gram_vjp, matmul_into,
    matmul_vjp,
};
use mercer::prelude::*;
use mercer::testkit::{few_dims, points, points_for};
use mercer::warp::{Warp, WarpExpr};

use crate::common::examples::examples;

const ALL: GradientRequest = GradientRequest::ALL;

#[track_caller]
fn misshapen<V: std::fmt::Debug>(result: Result<V, Error>, what: &str) {
    match result {
        Err(Error::Shape { what: named, .. }) => assert_eq!(named, what),
        other => panic!("expected a shape error about {what}, found {other:?}"),
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let k = Rbf::new(1.0);
    let (x, z, z3) = (points::<f64>(4, 2, 1), points::<f64>(3, 2, 2), points::<f64>(3, 3, 2));
    let (x, z, z3) = (x.as_ref(), z.as_ref(), z3.as_ref());
    let none = Mat::<f64>::zeros(4, 0);
    let zeros = |rows, cols| Mat::<f64>::zeros(rows, cols);
    let seq = Par::Seq;

    misshapen(gram_into(&k, x, zeros(4, 3).as_mut(), seq), "the output");
    misshapen(gram_into(&k, none.as_ref(), zeros(4, 4).as_mut(), seq), "x");
    misshapen(cross_into(&k, x, z, zeros(3, 4).as_mut(), seq), "the output");
    misshapen(cross_into(&k, x, z3, zeros(4, 3).as_mut(), seq), "z");
    misshapen(cross_into(&k, none.as_ref(), none.as_ref(), zeros(4, 4).as_mut(), seq), "x");
    misshapen(diag_into(&k, x, &mut [0.0; 3]), "the output");
    misshapen(diag_into(&k, none.as_ref(), &mut [0.0; 4]), "x");
    misshapen(matmul_into(&k, x, z, zeros(4, 1).as_ref(), zeros(4, 1).as_mut(), seq), "v");
    misshapen(matmul_into(&k, x, z, zeros(3, 1).as_ref(), zeros(4, 2).as_mut(), seq), "the output");
    misshapen(matmul_into(&k, x, z3, zeros(3, 1).as_ref(), zeros(4, 1).as_mut(), seq), "z");
    misshapen(gram_vjp(&k, x, zeros(4, 3).as_ref(), ALL, seq), "the cotangent");
    misshapen(gram_vjp(&k, none.as_ref(), zeros(4, 4).as_ref(), ALL, seq), "x");
    misshapen(cross_vjp(&k, x, z, zeros(3, 4).as_ref(), ALL, seq), "the cotangent");
    misshapen(cross_vjp(&k, x, z3, zeros(4, 3).as_ref(), ALL, seq), "z");
    misshapen(diag_vjp(&k, x, &[0.0; 3], ALL), "the cotangent");
    misshapen(diag_vjp(&k, none.as_ref(), &[0.0; 4], ALL), "x");
    misshapen(matmul_vjp(&k, x, z, zeros(4, 1).as_ref(), zeros(4, 1).as_ref(), ALL, seq), "v");
    misshapen(matmul_vjp(&k, x, z, zeros(3, 2).as_ref(), zeros(4, 1).as_ref(), ALL, seq), "the cotangent");
    misshapen(matmul_vjp(&k, x, z3, zeros(3, 1).as_ref(), zeros(4, 1).as_ref(), ALL, seq), "z");
    misshapen(k.eval(&[1.0, 2.0], &[1.0]), "y");
    misshapen(k.eval(&[0.0; 0], &[]), "x");
    misshapen(k.cross_vector(&[1.0, 2.0, 3.0], z), "x");
    misshapen(k.cross_vector_into(&[1.0, 2.0], z, &mut [0.0; 2]), "the output");
}

#[test]
fn dimensions_that_a_kernel_cannot_read_are_errors() {
    let x = points::<f64>(4, 2, 1);
    let message = |kernel: &dyn Kernel<f64>| {
        let error = gram_into(kernel, x.as_ref(), Mat::zeros(4, 4).as_mut(), Par::Seq).unwrap_err();
        assert!(matches!(error, Error::Dimension { found: 2, .. } | Error::Dimension { found: 1, .. }));
        error.to_string()
    };
    assert_eq!(
        message(&(Linear::new(1.0) + 2.0 * Rbf::new(1.0).on([0, 2]))),
        "`on(rbf(lengthscale=1), [0, 2])` reads dimension 2, but the points have 2 dimension(s)"
    );
    assert_eq!(
        message(&(Linear::new(1.0) * Rbf::new([1.0, 2.0, 3.0]))),
        "`rbf(lengthscale=[1, 2, 3])` has 3 values of `lengthscale`, one for each dimension, but the points have 2 dimension(s)"
    );
    assert!(message(&Rbf::new([1.0, 2.0]).on([1])).contains("have 1 dimension(s)"));
    assert!(message(&Rbf::new(1.0).ard([1.0, 2.0, 3.0]).dynamic()).contains("3 lengthscale(s)"));
    assert!(Select::try_new([]).is_err());
}

#[test]
fn empty_sets_give_empty_results() {
    for (name, kernel) in examples() {
        let dim = few_dims(&kernel);
        let (none, x) = (Mat::<f64>::zeros(0, dim), points_for::<f64>(&kernel, 5, dim, 1));
        let (none, x) = (none.as_ref(), x.as_ref());
        for par in [Par::Seq, Par::rayon(0)] {
            gram_into(&kernel, none, Mat::zeros(0, 0).as_mut(), par).unwrap();
            cross_into(&kernel, none, x, Mat::zeros(0, 5).as_mut(), par).unwrap();
            cross_into(&kernel, x, none, Mat::zeros(5, 0).as_mut(), par).unwrap();
            let mut product = Mat::from_fn(5, 2, |_, _| 1.0);
            matmul_into(&kernel, x, none, Mat::zeros(0, 2).as_ref(), product.as_mut(), par).unwrap();
            assert_eq!(product, Mat::<f64>::zeros(5, 2), "{name}");
            matmul_into(&kernel, x, x, Mat::zeros(5, 0).as_ref(), Mat::zeros(5, 0).as_mut(), par).unwrap();

            let zero = |gradients: Gradients<f64>| {
                assert!(gradients.theta.iter().all(|value| *value == 0.0), "{name}");
                assert!(gradients.x.is_none_or(|x| x.norm_max() == 0.0), "{name}");
                assert!(gradients.z.is_none_or(|z| z.norm_max() == 0.0), "{name}");
            };
            zero(gram_vjp(&kernel, none, Mat::zeros(0, 0).as_ref(), ALL, par).unwrap());
            zero(cross_vjp(&kernel, none, x, Mat::zeros(0, 5).as_ref(), ALL, par).unwrap());
            zero(cross_vjp(&kernel, x, none, Mat::zeros(5, 0).as_ref(), ALL, par).unwrap());
            zero(matmul_vjp(&kernel, x, x, Mat::zeros(5, 0).as_ref(), Mat::zeros(5, 0).as_ref(), ALL, par).unwrap());
        }
        diag_into(&kernel, none, &mut []).unwrap();
        diag_vjp(&kernel, none, &[], ALL).unwrap();
    }
}

/// The same numbers by rows, reversed in both directions, and with gaps between columns.
struct Layouts {
    transposed: Mat<f64>,
    reversed: Mat<f64>,
    padded: Vec<f64>,
    shape: (usize, usize),
}

const GAP: usize = 3;

impl Layouts {
    fn of(matrix: MatRef<'_, f64>) -> Self {
        let (n, d) = (matrix.nrows(), matrix.ncols());
        let padded = |index: usize| {
            let (row, col) = (index % (n + GAP), index / (n + GAP));
            if row < n { matrix[(row, col)] } else { f64::NAN }
        };
        Self {
            transposed: matrix.transpose().to_owned(),
            reversed: Mat::from_fn(n, d, |i, j| matrix[(n - 1 - i, d - 1 - j)]),
            padded: (0..(n + GAP) * d).map(padded).collect(),
            shape: (n, d),
        }
    }

    fn views(&self) -> [MatRef<'_, f64>; 3] {
        let (n, d) = self.shape;
        [
            self.transposed.transpose(),
            self.reversed.as_ref().reverse_rows_and_cols(),
            MatRef::from_column_major_slice_with_stride(&self.padded, n, d, n + GAP),
        ]
    }

    fn views_mut(&mut self) -> [MatMut<'_, f64>; 3] {
        let (n, d) = self.shape;
        [
            self.transposed.transpose_mut(),
            self.reversed.as_mut().reverse_rows_and_cols_mut(),
            MatMut::from_column_major_slice_with_stride_mut(&mut self.padded, n, d, n + GAP),
        ]
    }
}

#[test]
fn any_memory_layout_gives_the_same_bits() {
    for (name, kernel) in examples() {
        let dim = few_dims(&kernel);
        let (x, z) = (points_for::<f64>(&kernel, 70, dim, 1), points_for::<f64>(&kernel, 41, dim, 2));
        let (v, w) = (points::<f64>(41, 3, 3), points::<f64>(70, 3, 4));
        let (square, rectangle) = (points::<f64>(70, 70, 5), points::<f64>(70, 41, 6));
        let layouts = [&x, &z, &v, &w, &square, &rectangle].map(|matrix| Layouts::of(matrix.as_ref()));
        let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
        let cross: Mat<f64> = kernel.cross(x.as_ref(), z.as_ref()).unwrap();
        let diag: Vec<f64> = kernel.diag(x.as_ref()).unwrap();
        let product = kernel.matmul(x.as_ref(), z.as_ref(), v.as_ref()).unwrap();
        let gradients = |x, z, v, w, square, rectangle| -> [Gradients<f64>; 3] {
            [
                gram_vjp(&kernel, x, square, ALL, Par::Seq).unwrap(),
                cross_vjp(&kernel, x, z, rectangle, ALL, Par::Seq).unwrap(),
                matmul_vjp(&kernel, x, z, v, w, ALL, Par::Seq).unwrap(),
            ]
        };
        let expected = gradients(x.as_ref(), z.as_ref(), v.as_ref(), w.as_ref(), square.as_ref(), rectangle.as_ref());
        for view in 0..3 {
            let [x, z, v, w, square, rectangle] = layouts.each_ref().map(|layout| layout.views()[view]);
            assert_eq!(KernelExt::<f64>::gram(&kernel, x).unwrap(), gram, "{name}");
            assert_eq!(kernel.cross(x, z).unwrap(), cross, "{name}");
            assert_eq!(KernelExt::<f64>::diag(&kernel, x).unwrap(), diag, "{name}");
            let found = kernel.matmul(x, z, v).unwrap();
            assert!((&found - &product).norm_max() <= 1e-14 * (1.0 + product.norm_max()), "{name}");
            for (found, expected) in gradients(x, z, v, w, square, rectangle).iter().zip(&expected) {
                let close = |a: f64, b: f64| (a - b).abs() <= 1e-11 * (1.0 + b.abs());
                assert!(found.theta.iter().zip(&expected.theta).all(|(a, b)| close(*a, *b)), "{name}");
                for (found, expected) in [(&found.x, &expected.x), (&found.z, &expected.z)] {
                    let (Some(found), Some(expected)) = (found, expected) else { continue };
                    assert!((found - expected).norm_max() <= 1e-11 * (1.0 + expected.norm_max()), "{name}");
                }
            }
            let mut out = Layouts::of(Mat::<f64>::zeros(70, 70).as_ref());
            gram_into(&kernel, x, out.views_mut().into_iter().nth(view).unwrap(), Par::Seq).unwrap();
            assert_eq!(out.views()[view], gram, "{name}");
            let mut out = Layouts::of(Mat::<f64>::zeros(70, 41).as_ref());
            cross_into(&kernel, x, z, out.views_mut().into_iter().nth(view).unwrap(), Par::rayon(0)).unwrap();
            assert_eq!(out.views()[view], cross, "{name}");
            let mut out = Layouts::of(Mat::<f64>::zeros(70, 3).as_ref());
            matmul_into(&kernel, x, z, v, out.views_mut().into_iter().nth(view).unwrap(), Par::Seq).unwrap();
            assert_eq!(out.views()[view], found, "{name}");
        }
        // The gaps of a padded output are not written.
        let mut out = vec![f64::NAN; 73 * 70];
        let view = MatMut::from_column_major_slice_with_stride_mut(&mut out, 70, 70, 73);
        gram_into(&kernel, x.as_ref(), view, Par::rayon(0)).unwrap();
        assert!((0..70).all(|col| out[73 * col + 70..73 * (col + 1)].iter().all(|value| value.is_nan())));
    }
}

#[test]
fn columns_that_share_memory_are_told_apart() {
    // One column seen twice: its two coordinates lie at the same address.
    let column = points::<f64>(5, 1, 1);
    let twice = MatRef::from_repeated_col(column.col(0), 2);
    let w = points::<f64>(5, 5, 2);
    let kernel = Rbf::new(0.7).on([0]) + Linear::new(2.0).on([1]);
    let shared = gram_vjp(&kernel, twice, w.as_ref(), ALL, Par::Seq).unwrap();
    let apart = gram_vjp(&kernel, twice.to_owned().as_ref(), w.as_ref(), ALL, Par::Seq).unwrap();
    assert_eq!(shared.theta, apart.theta);
    assert_eq!(shared.x.unwrap(), apart.x.unwrap());
}

#[test]
fn selections_share_slots_only_where_they_are_the_same() {
    // Each of these is the sum of what its parts give alone, whatever memory they share.
    let (a, b) = (|| Rbf::new(0.7), || Matern52::new(1.3));
    let (one, two) = (points::<f64>(6, 1, 1), points::<f64>(6, 2, 1));
    let pairs: [(DynKernel, DynKernel, &Mat<f64>); 7] = [
        (a().on([0]).dynamic(), b().dynamic(), &one),
        (a().on([0]).dynamic(), b().on([0]).dynamic(), &one),
        (a().on([0]).dynamic(), b().on([0]).dynamic(), &two),
        (a().on([0]).dynamic(), b().on([0, 1]).dynamic(), &two),
        (a().on([0]).on([0]).dynamic(), b().on([1]).dynamic(), &two),
        (a().ard([0.5, 2.0]).on([0, 1]).dynamic(), b().on([0, 1]).dynamic(), &two),
        (a().on([1]).ard([0.5, 2.0]).dynamic(), b().ard([0.5, 2.0]).on([1, 0]).dynamic(), &two),
    ];
    for (a, b, x) in pairs {
        let w = points::<f64>(6, 6, 2);
        let gradients =
            |kernel: &DynKernel, x: MatRef<'_, f64>| gram_vjp(kernel, x, w.as_ref(), ALL, Par::Seq).unwrap();
        let by_rows = x.transpose().to_owned();
        for x in [x.as_ref(), by_rows.transpose()] {
            let together = gradients(&(a.clone() + b.clone()), x);
            let (alone_a, alone_b) = (gradients(&a, x), gradients(&b, x));
            let theta: Vec<f64> = alone_a.theta.into_iter().chain(alone_b.theta).collect();
            assert!(theta.iter().zip(&together.theta).all(|(a, b)| (a - b).abs() < 1e-13));
            let inputs = alone_a.x.unwrap() + alone_b.x.unwrap();
            assert!((inputs - together.x.unwrap()).norm_max() < 1e-13);
        }
    }
}

#[test]
fn unwanted_gradients_are_not_given() {
    let (x, z, w) = (points::<f64>(5, 2, 1), points::<f64>(3, 2, 2), points::<f64>(5, 3, 3));
    let kernel = Rbf::new([0.7, 1.2]) + Periodic::new([0.7, 1.2], 2.0).ard([1.0, 2.0]);
    let all = cross_vjp(&kernel, x.as_ref(), z.as_ref(), w.as_ref(), ALL, Par::Seq).unwrap();
    for wanted in
        [GradientRequest { x: true, z: false }, GradientRequest { x: false, z: true }, GradientRequest::PARAMETERS]
    {
        let some = cross_vjp(&kernel, x.as_ref(), z.as_ref(), w.as_ref(), wanted, Par::Seq).unwrap();
        // Without gradients in the points, those in lengthscales are summed in another order.
        assert!(some.theta.iter().zip(&all.theta).all(|(some, all)| (some - all).abs() <= 1e-14 * all.abs()));
        assert_eq!(some.x, if wanted.x { all.x.clone() } else { None });
        assert_eq!(some.z, if wanted.z { all.z.clone() } else { None });
    }
}

#[test]
fn white_noise_stands_on_the_diagonal_alone() {
    let x = mat![[1.0], [1.0], [2.0]];
    let x = x.as_ref();
    let w = mat![[1.0, 2.0, 4.0], [8.0, 16.0, 32.0], [64.0, 128.0, 256.0]];
    let kernel = White::new(0.5);
    assert_eq!(kernel.gram(x).unwrap(), mat![[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5]]);
    assert_eq!(kernel.cross(x, x).unwrap(), Mat::<f64>::zeros(3, 3));
    assert_eq!(KernelExt::<f64>::diag(&kernel, x).unwrap(), [0.5; 3]);
    assert_eq!(gram_vjp(&kernel, x, w.as_ref(), ALL, Par::Seq).unwrap().theta, [273.0]);
    assert_eq!(cross_vjp(&kernel, x, x, w.as_ref(), ALL, Par::Seq).unwrap().theta, [0.0]);
    assert_eq!(diag_vjp(&kernel, x, &[1.0, 2.0, 3.0], ALL).unwrap().theta, [6.0]);
    // Also where a tile stands on the diagonal but does not begin there.
    let many = points::<f64>(130, 1, 1);
    let gram: Mat<f64> = kernel.gram(many.as_ref()).unwrap();
    assert_eq!(gram, Mat::from_fn(130, 130, |i, j| if i == j { 0.5 } else { 0.0 }));
}

#[test]
fn one_point_against_many() {
    let z = points::<f64>(50, 3, 1);
    let kernel = Rbf::new(1.0) + Linear::new(0.5);
    let x = [0.1, 0.2, -0.3];
    let vector = kernel.cross_vector(&x, z.as_ref()).unwrap();
    let cross = kernel.cross(MatRef::from_row_major_slice(&x, 1, 3), z.as_ref()).unwrap();
    assert!((0..50).all(|j| vector[j] == cross[(0, j)]));
}

#[test]
fn periodic_is_exact_far_from_the_origin_by_every_way() {
    let kernel = Periodic::new(0.7, 0.5);
    let (x, near, far) = ([0.25], [0.125], [1e12 + 0.125]);
    let expected: f64 = kernel.eval(&near, &x).unwrap();
    let found: f64 = kernel.eval(&far, &x).unwrap();
    assert!((found - expected).abs() < 1e-15);
    // Near another large number, where the difference itself is rounded.
    let (x, y) = ([1e15 + 0.25], [0.1]);
    let by_tile: Mat<f64> =
        kernel.cross(MatRef::from_row_major_slice(&x, 1, 1), MatRef::from_row_major_slice(&y, 1, 1)).unwrap();
    let by_pair: f64 = kernel.eval(&x, &y).unwrap();
    assert!((by_tile[(0, 0)] - by_pair).abs() < 1e-14);
}

#[test]
fn the_extremes_of_single_precision_are_finite() {
    let x = mat![[0.0f32], [0.0], [1.0], [1e10]];
    let w = Mat::from_fn(4, 4, |_, _| 10.0f32);
    for kernel in [
        Rbf::new(1e-30).dynamic(),
        Rbf::new(1e30).dynamic(),
        Matern12::new(1e-30).dynamic(),
        Matern52::new(1e-30).dynamic(),
        Matern52::new(1e30).dynamic(),
        RationalQuadratic::new(1e-30, 0.5).dynamic(),
        RationalQuadratic::new(1.0, 1e45).dynamic(),
        RationalQuadratic::new(1.0, 1e-45).dynamic(),
        Rbf::new(1e-30).dynamic() + Matern32::new(1e-25),
    ] {
        let gram: Mat<f32> = kernel.gram(x.as_ref()).unwrap();
        let finite = |matrix: &Mat<f32>| matrix.col_iter().all(|column| column.iter().all(|value| value.is_finite()));
        assert!(finite(&gram), "{kernel}: {gram:?}");
        let gradients = gram_vjp(&kernel, x.as_ref(), w.as_ref(), ALL, Par::Seq).unwrap();
        assert!(gradients.theta.iter().all(|value| value.is_finite()), "{kernel}: {:?}", gradients.theta);
        assert!(finite(gradients.x.as_ref().unwrap()), "{kernel}: {:?}", gradients.x);
    }
}

/// A map that forgets everything.
#[derive(Clone, Debug)]
struct Nowhere;

mercer::parameterized!(Nowhere as "nowhere", parameters: []);

impl WarpExpr for Nowhere {
    fn output_dim(&self, _: usize) -> Result<usize, Error> {
        Ok(0)
    }

    fn write_text(&self, kernel: &dyn std::fmt::Display, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nowhere({kernel})")
    }
}

impl<T: Scalar> Warp<T> for Nowhere {
    fn forward<'a>(&self, points: &Points<'a, T>) -> Points<'a, T> {
        Points::made(Mat::zeros(points.len(), 0))
    }

    fn point(&self, _: &[T], _: &mut [T]) {}
}

#[test]
fn points_without_coordinates_are_refused_behind_a_warp_too() {
    let kernel = Warped::new(Nowhere, Rbf::new(1.0));
    let error = kernel.gram(points::<f64>(3, 2, 1).as_ref()).unwrap_err();
    assert!(matches!(error, Error::Dimension { found: 2, .. }), "{error}");
}

#[test]
fn thousands_of_levels_do_not_exhaust_the_stack() {
    let mut kernel = Rbf::new(1.0).dynamic();
    for _ in 0..1000 {
        kernel = -kernel + 1.0;
    }
    let x = points::<f64>(3, 1, 1);
    let gram: Mat<f64> = kernel.gram(x.as_ref()).unwrap();
    assert_eq!(gram[(0, 0)], 1.0);
    assert_eq!(kernel.num_params(), 1001);
    let gradients = gram_vjp(&kernel, x.as_ref(), gram.as_ref(), ALL, Par::rayon(0)).unwrap();
    assert!(gradients.theta.iter().all(|value| value.is_finite()));
    drop(kernel.to_string());
}
