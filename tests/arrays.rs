//! Arrays and matrices of other libraries as data, and views of predictions as theirs.
#![allow(clippy::unwrap_used)]

use mercer::faer_ext::{IntoFaer, IntoNalgebra, IntoNdarray};
use mercer::gp::ExactGp;
use mercer::prelude::*;
use nalgebra::{DMatrix, DVector, Dyn};
use ndarray::{Array1, Array2, s};

#[test]
fn they_are_taken_whatever_their_layout() {
    let (x, y) = (mat![[0.0, 1.0], [1.0, 3.0], [2.5, -1.0]], [0.3, 1.0, -0.4]);
    let expected = Data::new(&x, y);

    let rows = Array2::from_shape_fn((3, 2), |(row, col)| x[(row, col)]);
    let columns = rows.t().as_standard_layout().into_owned();
    let wide =
        Array2::from_shape_fn((6, 4), |(row, col)| if row % 2 == 0 && col < 2 { x[(row / 2, col)] } else { f64::NAN });
    let values = Array1::from(y.to_vec());
    assert_eq!(Data::new(&rows, &values), expected);
    assert_eq!(Data::new(columns.t(), values.view()), expected);
    assert_eq!(Data::new(wide.slice(s![..;2, ..2]), &values), expected);

    let matrix = DMatrix::from_fn(3, 2, |row, col| x[(row, col)]);
    let vector = DVector::from_row_slice(&y);
    assert_eq!(Data::new(&matrix, &vector), expected);
    assert_eq!(Data::new(&matrix.transpose().transpose(), &vector), expected);
    assert_eq!(Data::new(&matrix.rows(0, 2), &vector.rows(0, 2)), Data::new(x.subrows(0, 2), &y[..2]));
}

#[test]
fn predictions_are_views_of_theirs() {
    let data = Data::new(mat![[0.0, 1.0], [1.0, 3.0], [2.5, -1.0]], [0.3, 1.0, -0.4]);
    let posterior = ExactGp::new(Rbf::new(1.0)).condition(&data).unwrap();
    let expected = posterior.predict(data.x()).unwrap();

    let rows = Array2::from_shape_fn((3, 2), |(row, col)| data.x()[(row, col)]);
    let found = posterior.predict(rows.view().into_faer()).unwrap();
    assert_eq!(found, expected);
    let mean: ndarray::ArrayView2<'_, f64> = found.mean.as_ref().into_ndarray();
    assert_eq!(mean[[2, 0]], expected.mean[(2, 0)]);

    let matrix = DMatrix::from_fn(3, 2, |row, col| data.x()[(row, col)]);
    let found = posterior.predict(matrix.view_range(.., ..).into_faer()).unwrap();
    assert_eq!(found, expected);
    let variance: nalgebra::DMatrixView<'_, f64, Dyn, Dyn> = found.variance.as_ref().into_nalgebra();
    assert_eq!(variance[(1, 0)], expected.variance[(1, 0)]);
}
