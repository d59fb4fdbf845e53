//! Laws about points that are no ordinary numbers, and about columns that are not read: NaN, infinities, the largest
//! and the smallest numbers.

use faer::{Mat, MatRef, Par};

use super::bits::everything;
use super::rounding::{Rounding, row};
use super::sample::{index_counts, points_for};
use super::violation::{Law, Violation};
use crate::algebra::Compose;
use crate::combine::Missing;
use crate::combine::{Additive, BlockDiagonal, MetricRadial, Norm};
use crate::kernel::{GradientRequest, Inputs, cross_into, diag_into, diag_vjp, gram_into, gram_vjp};
use crate::kernels::{Constant, Rbf};
use crate::{DynKernel, Error, Expr, Kernel, Scalar};

type Checked = Result<(), Violation>;

/// What a coordinate may be: no number, without end, as large and as small as numbers go. Sums of a few of the
/// largest do not overflow; squares do.
fn kinds<T: Scalar>() -> [T; 8] {
    let largest = <T as num_traits::Float>::max_value() * T::from_f64(1.0 / 1024.0);
    let smallest = <T as num_traits::Float>::min_positive_value() * T::epsilon();
    let (nan, infinite) = (T::nan(), <T as num_traits::Float>::infinity());
    [nan, infinite, -infinite, largest, -largest, smallest, -smallest, -T::from_f64(0.0)]
}

/// Columns to change: in many dimensions, the first, the last and one between.
fn columns(dim: usize) -> Vec<usize> {
    let mut columns = vec![0, dim / 2, dim - 1];
    if dim <= 4 {
        columns = (0..dim).collect();
    }
    columns.dedup();
    columns
}

/// Points with every kind of coordinate in each column without index, and in all of them.
fn special_points<T: Scalar>(kernel: &dyn Expr, dim: usize) -> Mat<T> {
    let (plain, indices) = (points_for::<T>(kernel, 1 + dim, dim, 11), index_counts(kernel, dim));
    let mut rows = vec![row(plain.as_ref(), 0)];
    for kind in kinds::<T>() {
        for column in columns(dim).into_iter().filter(|&column| indices[column].is_none()) {
            let mut point = row(plain.as_ref(), 1 + column);
            point[column] = kind;
            rows.push(point);
        }
        let all = row(plain.as_ref(), 0).into_iter().zip(&indices);
        rows.push(all.map(|(x, index)| if index.is_some() { x } else { kind }).collect());
    }
    Mat::from_fn(rows.len(), dim, |i, d| rows[i][d])
}

/// Whether a kernel of this name is in the expression.
fn contains(expr: &dyn Expr, name: &str) -> bool {
    expr.name() == name || expr.children().into_iter().any(|child| contains(child, name))
}

/// Both are NaN, both are the same, or they are as close as rounding has it.
fn alike(law: Law<'_>, place: impl FnOnce() -> String, found: f64, expected: f64, unit: f64) -> Checked {
    if found.is_nan() && expected.is_nan() {
        return Ok(());
    }
    law.close(place, found, expected, unit * (1.0 + expected.abs()))
}

/// The diagonal that is computed by itself is that of K(X, X), k(x, x) is that of K(X, Z), and all are NaN together,
/// for every kind of point: NaN, infinite, largest, smallest, in each column. So are their gradients where x − x is NaN.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// mercer::testkit::special::diagonals_agree::<f32>(&(Matern32::new([1.0, 2.0]) + White::new(0.1)), 2)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn diagonals_agree<T: Scalar>(kernel: &dyn Kernel<T>, dim: usize) -> Checked {
    let law = Law { name: "one diagonal for every kind of point", kernel };
    let x = special_points::<T>(kernel, dim);
    let (x, n) = (x.as_ref(), x.nrows());
    let (mut gram, mut cross, mut diag) = (Mat::zeros(n, n), Mat::zeros(n, n), vec![T::from_f64(0.0); n]);
    law.evaluated(gram_into(kernel, x, gram.as_mut(), Par::Seq))?;
    law.evaluated(cross_into(kernel, x, x, cross.as_mut(), Par::Seq))?;
    law.evaluated(diag_into(kernel, x, &mut diag))?;
    // As many operations as there are terms in k(x, x); see `Rounding`.
    let unit = T::epsilon().as_f64() * (dim as f64 + 32.0);
    for i in 0..n {
        let (point, own) = (row(x, i), diag[i].as_f64());
        let place = |what: &str| format!("{what}, x = {point:?}");
        alike(law, || place("the diagonal"), own, gram[(i, i)].as_f64(), unit)?;
        let value = kernel.pairwise(&point, &point).as_f64();
        if value.is_nan() != own.is_nan() {
            return law.broken(place("k(x, x)"), value, format!("{own}, on the diagonal"));
        }
        // Of the largest numbers, a cosine has no digits; k(x, x) of a kernel of differences does not see them.
        let digits = |x: &T| num_traits::Float::abs(*x).as_f64() * unit < 1.0;
        let rounding = match kernel.properties().stationary || point.iter().all(digits) {
            true => {
                Rounding::new(law, kernel, x.subrows(i, 1), x.subrows(i, 1), T::epsilon().as_f64())?.at(&point, &point)
            }
            false => f64::INFINITY,
        };
        alike(law, || place("k(x, x)"), value, cross[(i, i)].as_f64(), unit.max(rounding))?;
        let none = |x: &T| x.is_nan() || kernel.properties().stationary && num_traits::Float::is_infinite(*x);
        if kernel.properties().differentiable && point.iter().any(none) {
            let one = [T::from_f64(1.0)];
            let alone = law.evaluated(diag_vjp(kernel, x.subrows(i, 1), &one, GradientRequest::ALL))?;
            let cotangent = MatRef::from_column_major_slice(&one, 1, 1);
            let square = law.evaluated(gram_vjp(kernel, x.subrows(i, 1), cotangent, GradientRequest::ALL, Par::Seq))?;
            let nans = |theta: &[f64], x: &Option<Mat<T>>| {
                let in_point = x.iter().flat_map(|x| row(x.as_ref(), 0)).map(|g| g.is_nan());
                theta.iter().map(|g| g.is_nan()).chain(in_point).collect::<Vec<bool>>()
            };
            let (found, expected) = (nans(&alone.theta, &alone.x), nans(&square.theta, &square.x));
            if found != expected {
                return law.broken(place("where its gradient is NaN"), format!("{found:?}"), format!("{expected:?}"));
            }
        }
    }
    Ok(())
}

/// Which dimensions the kernel says that it reads.
fn reads_of(kernel: &dyn Expr, dim: usize) -> Vec<bool> {
    kernel.inputs(dim).map(|inputs| inputs.reads()).unwrap_or_default()
}

/// A NaN in a column that the kernel reads makes NaN of all values of its point, unless a mask stands before it; where
/// outputs are independent, of its variance alone.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// mercer::testkit::special::nan_spreads::<f64>(&Zonal::new([0.3, 0.4]), 2)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn nan_spreads<T: Scalar>(kernel: &dyn Kernel<T>, dim: usize) -> Checked {
    let law = Law { name: "a NaN that is read gives NaN", kernel };
    if contains(kernel, "masked") {
        return Ok(());
    }
    let (reads, indices) = (reads_of(kernel, dim), index_counts(kernel, dim));
    let independent = contains(kernel, "block_diagonal");
    for column in columns(dim).into_iter().filter(|&column| reads[column] && indices[column].is_none()) {
        let mut x = points_for::<T>(kernel, 7, dim, 13);
        let gram_of = |x: &Mat<T>| {
            let mut gram = Mat::zeros(7, 7);
            law.evaluated(gram_into(kernel, x.as_ref(), gram.as_mut(), Par::Seq)).map(|()| gram)
        };
        // Maps of one's own may say that they read more than they do.
        let before = gram_of(&x)?;
        x[(3, column)] = x[(4, column)] + T::from_f64(0.3);
        let moved = gram_of(&x)?;
        x[(3, column)] = T::nan();
        let gram = gram_of(&x)?;
        if before == moved {
            continue;
        }
        for i in 0..7 {
            let value = gram[(i, 3)];
            if !(value.is_nan() || independent && i != 3) {
                return law.broken(format!("K(X, X)[{i}, 3], x[3, {column}] = NaN"), value.as_f64(), "NaN");
            }
        }
    }
    Ok(())
}

/// What stands in a column that the kernel says it does not read changes no bit of any value or gradient, and the
/// gradient there is 0.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0).on([2]) + Linear::new(0.5).on([0]);
/// mercer::testkit::special::unread_columns_change_nothing::<f64>(&kernel, 4)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn unread_columns_change_nothing<T: Scalar>(kernel: &dyn Kernel<T>, dim: usize) -> Checked {
    let law = Law { name: "columns that are not read change nothing", kernel };
    let (reads, indices) = (reads_of(kernel, dim), index_counts(kernel, dim));
    if reads.len() != dim {
        return law.broken("the columns that it reads", format!("{} answers", reads.len()), dim);
    }
    let unread: Vec<usize> = (0..dim).filter(|&column| !reads[column] && indices[column].is_none()).collect();
    if unread.is_empty() {
        return Ok(());
    }
    let (x, z) = (points_for::<T>(kernel, 11, dim, 17), points_for::<T>(kernel, 6, dim, 18));
    let expected = everything(law, kernel, x.as_ref(), z.as_ref(), Par::Seq)?;
    let (mut other_x, mut other_z) = (x.clone(), z.clone());
    let kinds = kinds::<T>();
    for &column in &unread {
        (0..11).for_each(|i| other_x[(i, column)] = kinds[(i + column) % kinds.len()]);
        (0..6).for_each(|i| other_z[(i, column)] = kinds[(i + column + 3) % kinds.len()]);
    }
    let found = everything(law, kernel, other_x.as_ref(), other_z.as_ref(), Par::Seq)?;
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        let differs = |(a, b): (&f64, &f64)| a != b && !(a.is_nan() && b.is_nan());
        if let Some(at) = found.iter().zip(expected).position(differs) {
            return law.broken(format!("{name}, element {at}"), found[at], expected[at]);
        }
    }
    for i in 0..6 {
        let value = |x: &Mat<T>, z: &Mat<T>| kernel.pairwise(&row(x.as_ref(), i), &row(z.as_ref(), i)).as_f64();
        alike(law, || format!("k(x, z), row {i}"), value(&other_x, &other_z), value(&x, &z), 0.0)?;
    }
    if kernel.properties().differentiable {
        let ones = Mat::<T>::from_fn(11, 11, |i, j| T::from_f64(1.0 + (i + 2 * j) as f64));
        let gradients =
            law.evaluated(gram_vjp(kernel, other_x.as_ref(), ones.as_ref(), GradientRequest::ALL, Par::Seq))?;
        for (&column, in_x) in unread.iter().flat_map(|column| gradients.x.iter().map(move |in_x| (column, in_x))) {
            for i in 0..11 {
                law.close(|| format!("the gradient in x[{i}, {column}]"), in_x[(i, column)].as_f64(), 0.0, 0.0)?;
            }
        }
    }
    Ok(())
}

/// A mask leaves points with a NaN out, whatever column that is read it stands in, an index too: their rows and columns
/// hold what the policy says, in Gram matrices, cross-covariances, diagonals and single values, and the others are those
/// of the points that are there.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0).change_point(Linear::new(1.0), 0.0, 1.0).in_dimension(1).on([2, 0]);
/// mercer::testkit::special::masks::<f64>(&kernel.dynamic(), 3)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn masks<T: Scalar>(kernel: &DynKernel, dim: usize) -> Checked {
    let reads = reads_of(kernel, dim);
    for missing in [Missing::Propagate, Missing::Isolate, Missing::Zero] {
        let masked = kernel.clone().masked(missing).dynamic();
        let law = Law { name: "a mask leaves points out", kernel: &masked };
        let off: f64 = if missing == Missing::Propagate { f64::NAN } else { 0.0 };
        let on = if missing == Missing::Isolate { 1.0 } else { off };
        for column in columns(dim).into_iter().filter(|&column| reads[column]) {
            let (mut x, there) = (points_for::<T>(kernel, 7, dim, 19), [0, 1, 3, 4, 6]);
            x[(2, column)] = T::nan();
            x[(5, column)] = T::nan();
            let few = Mat::from_fn(5, dim, |i, d| x[(there[i], d)]);
            let [mut gram, mut cross] = [(); 2].map(|()| Mat::zeros(7, 7));
            let [mut few_gram, mut few_cross] = [(); 2].map(|()| Mat::zeros(5, 5));
            law.evaluated(gram_into::<T>(&masked, x.as_ref(), gram.as_mut(), Par::Seq))?;
            law.evaluated(cross_into::<T>(&masked, x.as_ref(), x.as_ref(), cross.as_mut(), Par::Seq))?;
            law.evaluated(gram_into::<T>(kernel, few.as_ref(), few_gram.as_mut(), Par::Seq))?;
            law.evaluated(cross_into::<T>(kernel, few.as_ref(), few.as_ref(), few_cross.as_mut(), Par::Seq))?;
            let [mut diag, mut few_diag] = [vec![T::from_f64(0.0); 7], vec![T::from_f64(0.0); 5]];
            law.evaluated(diag_into::<T>(&masked, x.as_ref(), &mut diag))?;
            law.evaluated(diag_into::<T>(kernel, few.as_ref(), &mut few_diag))?;
            let place = |what: &str, i: usize, j: usize| format!("{what}[{i}, {j}], NaN in column {column}");
            for i in 0..7 {
                let at_i = there.iter().position(|&row| row == i);
                let own = at_i.map_or(on, |i| few_diag[i].as_f64());
                alike(law, || place("the diagonal", i, i), diag[i].as_f64(), own, 0.0)?;
                for j in 0..7 {
                    let at = at_i.zip(there.iter().position(|&row| row == j));
                    let in_gram = at.map_or(if i == j { on } else { off }, |(i, j)| few_gram[(i, j)].as_f64());
                    alike(law, || place("K(X, X)", i, j), gram[(i, j)].as_f64(), in_gram, 0.0)?;
                    let in_cross = at.map_or(off, |(i, j)| few_cross[(i, j)].as_f64());
                    alike(law, || place("K(X, Z)", i, j), cross[(i, j)].as_f64(), in_cross, 0.0)?;
                    let (a, b) = (row(x.as_ref(), i), row(x.as_ref(), j));
                    let value = at.map_or(off, |_| Kernel::<T>::pairwise(kernel, &a, &b).as_f64());
                    let found = Kernel::<T>::pairwise(&masked, &a, &b).as_f64();
                    alike(law, || place("k(x, z)", i, j), found, value, 0.0)?;
                }
            }
        }
    }
    Ok(())
}

/// A number that is no index is refused by its place and value, in every column where the kernel reads one, by every
/// driver.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Additive::each([Rbf::new(1.0).dynamic(), Categorical::new(3, 0.4).dynamic()], [1.0]);
/// mercer::testkit::special::indices_are_checked::<f64>(&kernel, 2)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn indices_are_checked<T: Scalar>(kernel: &dyn Kernel<T>, dim: usize) -> Checked {
    let law = Law { name: "what is no index is refused", kernel };
    for read in kernel.inputs(dim).map(Inputs::into_indices).unwrap_or_default() {
        for wrong in [read.count() as f64, -1.0, 0.5, f64::INFINITY] {
            let good = points_for::<T>(kernel, 3, dim, 23);
            let mut bad = good.clone();
            bad[(1, read.column())] = T::from_f64(wrong);
            let [mut square, mut other] = [(); 2].map(|()| Mat::zeros(3, 3));
            let results = [
                gram_into(kernel, bad.as_ref(), square.as_mut(), Par::Seq),
                cross_into(kernel, good.as_ref(), bad.as_ref(), other.as_mut(), Par::Seq),
                diag_into(kernel, bad.as_ref(), &mut [T::from_f64(0.0); 3]),
            ];
            for result in results {
                let refused = matches!(
                    &result,
                    Err(Error::Index { row: 1, col, value, .. }) if *col == read.column() && *value == wrong
                );
                if !refused {
                    return law.broken(format!("[1, {}] = {wrong}", read.column()), format!("{result:?}"), "an error");
                }
            }
        }
    }
    Ok(())
}

/// Every law of this module for combinators over the kernel, where it reads only some of the columns and others stand
/// beside it: what a combinator reads is what it and its children read, no more and no less. Combinators that refuse the
/// kernel must say so before they compute.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// mercer::testkit::special::within_combinators(&Categorical::new(3, 0.4).dynamic(), 1)?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn within_combinators(kernel: &DynKernel, dim: usize) -> Checked {
    // Columns 0 and dim + 1 stand around those of the kernel.
    let (first, last) = (0, dim + 1);
    let part = || kernel.clone().on(1..=dim).dynamic();
    let beside = |column: usize| Rbf::new(0.9).on([column]).dynamic();
    let mut combined = vec![
        part(),
        part() + beside(first),
        part() * beside(last),
        part().change_point(beside(first), 0.2, 0.7).in_dimension(last).dynamic(),
        Constant::new(0.7).change_window(part(), -0.5, 0.5, 0.3).in_dimension(first).dynamic(),
        BlockDiagonal::new([part(), 0.4 * part()]).dynamic(),
        BlockDiagonal::shared(part(), 2).dynamic(),
        part().normalized().dynamic(),
        (0.3 * part()).exp().dynamic(),
        part().pow(2).dynamic(),
        part().pow(0).dynamic(),
        part().stretch(1.3).dynamic(),
        part().log_warp(4.0).dynamic(),
        part().kumaraswamy(1.2, 1.4).dynamic(),
        part().ard(vec![1.3; dim + 2]).dynamic(),
    ];
    if kernel.inputs(1).is_ok() {
        let bases = [Constant::new(0.4).dynamic(), kernel.clone(), Rbf::new(1.1).dynamic()];
        combined.push(Additive::each(bases, [0.5, 0.2]).dynamic());
        combined.push(kernel.clone().additive([0.5, 0.2]).dynamic());
        combined.push(MetricRadial::new(Norm::Manhattan, kernel.clone()).on([1, 2]).dynamic());
    }
    for kernel in &combined {
        let dim = [dim + 2, dim + 3, 3].into_iter().find(|&dim| kernel.inputs(dim).is_ok());
        // A kernel that maps an index is refused whole.
        let Some(dim) = dim else { continue };
        diagonals_agree::<f64>(kernel, dim)?;
        nan_spreads::<f64>(kernel, dim)?;
        unread_columns_change_nothing::<f64>(kernel, dim)?;
        masks::<f64>(kernel, dim)?;
        indices_are_checked::<f64>(kernel, dim)?;
    }
    Ok(())
}
