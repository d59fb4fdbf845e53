//! The same expressions in every form: as nested generics, boxed as a whole, boxed at every node, and as a
//! scalar loop written by hand.

use std::cell::RefCell;
use std::hint::black_box;

use mercer::kernel::gram_into;
use mercer::prelude::*;

use super::{Work, points, rows};

/// Points of every task.
pub(crate) const N: usize = 1000;
/// Their dimensions.
pub(crate) const DIMS: [usize; 2] = [1, 4];

/// One task on one expression, in all its forms: to be timed in turn.
pub(crate) struct Forms<'a> {
    pub(crate) task: &'static str,
    pub(crate) expression: &'static str,
    pub(crate) works: Vec<(&'static str, Work<'a>)>,
}

/// Points in both layouts, and memory for a matrix.
pub(crate) struct Points {
    matrix: Mat<f64>,
    rows: Vec<Vec<f64>>,
    /// One for all kernels: which pages a buffer lies in matters more than the form.
    gram: RefCell<Mat<f64>>,
}

impl Points {
    pub(crate) fn new(dim: usize) -> Self {
        let matrix = points(N, dim);
        Self { rows: rows(&matrix), matrix, gram: RefCell::new(Mat::zeros(N, N)) }
    }
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

fn inner(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn leaf(x: &[f64], y: &[f64]) -> f64 {
    (-0.5 * squared_distance(x, y)).exp()
}

fn cheap(x: &[f64], y: &[f64]) -> f64 {
    let squared = inner(x, y);
    0.6 * squared + 0.3
}

fn tree(x: &[f64], y: &[f64]) -> f64 {
    let squared = squared_distance(x, y);
    let root = (3.0 * squared).sqrt();
    0.5 * (-0.5 * squared).exp() + (1.0 + root) * (-root).exp() * inner(x, y)
}

fn heavy(x: &[f64], y: &[f64]) -> f64 {
    let squared = squared_distance(x, y);
    let sines: f64 = x.iter().zip(y).map(|(x, y)| (std::f64::consts::PI * (x - y) / 1.5).sin().powi(2)).sum();
    let rational = (1.0 + squared / (2.0 * 1.4)).powf(-1.4);
    let root = (5.0 * squared).sqrt();
    let matern = (1.0 + root + root * root / 3.0) * (-root).exp();
    (-2.0 * sines / (1.2 * 1.2) - 0.5 * squared).exp() + rational * matern + 0.3 * inner(x, y)
}

/// Every expression with every task.
pub(crate) fn all(points: &Points) -> Vec<Forms<'_>> {
    let rbf = || Rbf::new(1.0);
    let (linear, constant) = (|| Linear::new(0.6), || Constant::new(0.3));
    let (matern32, unit) = (|| Matern32::new(1.0), || Linear::new(1.0));
    let (periodic, rational) = (|| Periodic::new(1.2, 1.5), || RationalQuadratic::new(1.0, 1.4));
    let matern52 = || Matern52::new(1.0);

    let mut all = Vec::new();
    let node = rbf().dynamic();
    all.extend(forms("leaf", points, rbf(), node, leaf));
    let node = linear().dynamic() + constant().dynamic();
    all.extend(forms("cheap", points, linear() + constant(), node, cheap));
    let node = (0.5 * rbf().dynamic()).dynamic() + (matern32().dynamic() * unit().dynamic()).dynamic();
    all.extend(forms("tree", points, 0.5 * rbf() + matern32() * unit(), node, tree));
    let node = (periodic().dynamic() * rbf().dynamic()).dynamic()
        + (rational().dynamic() * matern52().dynamic()).dynamic()
        + (0.3 * unit().dynamic()).dynamic();
    let fixed = periodic() * rbf() + rational() * matern52() + 0.3 * unit();
    all.extend(forms("heavy", points, fixed, node, heavy));
    all
}

/// All tasks on one expression.
fn forms<'a, K: Kernel<f64> + Kernel<f32> + Compose + Clone + 'static>(
    expression: &'static str,
    points: &'a Points,
    fixed: K,
    boxed_nodes: DynKernel,
    by_hand: impl Fn(&[f64], &[f64]) -> f64 + Copy + 'a,
) -> [Forms<'a>; 3] {
    for xy in points.rows.windows(2) {
        let (found, expected): (f64, f64) = (by_hand(&xy[0], &xy[1]), fixed.pairwise(&xy[0], &xy[1]));
        assert!((found - expected).abs() < 1e-12, "{expression} by hand gives {found}, not {expected}");
    }
    let boxed = fixed.clone().dynamic();
    let mut all = [("pairwise", Vec::new()), ("cross_vector", Vec::new()), ("gram", Vec::new())];
    let mut add = |form, works: [Work<'a>; 3]| {
        all.iter_mut().zip(works).for_each(|((_, all), work)| all.push((form, work)));
    };
    add("static", of_kernel(points, fixed));
    add("boxed", of_kernel(points, boxed));
    add("boxed_nodes", of_kernel(points, boxed_nodes));
    add("by_hand", of_function(points, by_hand));
    all.map(|(task, works)| Forms { task, expression, works })
}

/// Generic, so that a kernel of known type is inlined where that is possible.
fn of_kernel<'a, K: Kernel<f64> + Clone + 'static>(points: &'a Points, kernel: K) -> [Work<'a>; 3] {
    let (x, first) = (points.matrix.as_ref(), &points.rows[0]);
    let (of_pairs, of_vector) = (kernel.clone(), kernel.clone());
    let mut vector = vec![0.0; N];
    [
        Work::pairs(&points.rows, move |x, y| of_pairs.pairwise(x, y)),
        Work::new(move || of_vector.cross_vector_into(first, black_box(x), &mut vector).unwrap()),
        Work::new(move || gram_into(&kernel, black_box(x), points.gram.borrow_mut().as_mut(), Par::Seq).unwrap()),
    ]
}

fn of_function<'a>(points: &'a Points, k: impl Fn(&[f64], &[f64]) -> f64 + Copy + 'a) -> [Work<'a>; 3] {
    let rows = &points.rows;
    let (mut vector, mut gram) = (vec![0.0; N], vec![0.0; N * N]);
    let by_vector = move || {
        vector.iter_mut().zip(black_box(rows)).for_each(|(out, x)| *out = k(x, &rows[0]));
        black_box(&vector);
    };
    let by_matrix = move || {
        for (j, y) in black_box(rows).iter().enumerate() {
            for (i, x) in rows.iter().enumerate().skip(j) {
                let value = k(x, y);
                gram[i + j * N] = value;
                gram[j + i * N] = value;
            }
        }
        black_box(&gram);
    };
    [Work::pairs(rows, k), Work::new(by_vector), Work::new(by_matrix)]
}
