//! The rounding error of a result, from the cotangents of what was rounded on the way.
//!
//! To first order a result is off by Σ c̄ δ over all that was rounded, for local errors δ whose effect the cotangents c̄
//! carry (Linnainmaa 1976; Iri, Tsuchiya & Hoshi 1988). The backward pass has all c̄, so its error costs a small part of a
//! gradient. The δ have either sign and are independent, so they add up in quadrature:
//!
//! | | \|δ\| in units of ε |
//! |---|---|
//! | a value vᵢⱼ | \|vᵢⱼ\| |
//! | A, of which the Cholesky factor is taken | (aᵢᵢ aⱼⱼ)^½ |
//! | B in L⁻¹B | \|bᵢⱼ\| and ‖lᵢ‖ ‖(L⁻¹B)ⱼ‖, for rows lᵢ |
//! | (AᵀB)ᵢⱼ | ‖aᵢ‖ ‖bⱼ‖ |
//!
//! The second and third are backward errors: what is computed belongs to an operand that is off by so much, |L||Lᵀ| and
//! |L||L⁻¹B| by the inequality of Cauchy and Schwarz (Higham 2002, theorems 8.5 and 10.3), and these products themselves
//! where the result has lost so many digits that their cost does not count. Forward errors of a factor that is nearly
//! singular would be far larger than their effect.

use faer::{Mat, MatRef};

use super::{Node, Tape, Var};
use crate::Scalar;
use crate::linalg::{clear_strict_upper, column};
use crate::simd::sum::{dot_in_f64, lane_sum};
use crate::simd::{Pass, dispatch};

/// What is rounded at a variable.
pub(super) enum Slip {
    /// A symmetric matrix, as its Cholesky factor has it, which may be on the tape.
    Factored { factor: Option<usize> },
    /// The right-hand side of a solve.
    Solved { l: usize, result: usize, transposed: bool },
    /// The elements, which are inner products of columns.
    Product { a: usize, b: usize },
    /// The elements by amounts that are known, which have one sign.
    By(Vec<f64>),
}

/// What was rounded, by the position of the variable.
#[derive(Default)]
pub(super) struct Slips(Vec<(usize, Slip)>);

impl Slips {
    pub(super) fn push(&mut self, index: usize, slip: Slip) {
        self.0.push((index, slip));
    }

    /// The square of the error that comes from a variable of this cotangent.
    pub(super) fn squared_error<T: Scalar>(&self, index: usize, c: MatRef<'_, T>, nodes: &[Node<'_, T>]) -> f64 {
        let own = nodes[index].value.as_mat();
        let elements = if nodes[index].rounded { squares(column(c, 0), column(own, 0)) } else { 0.0 };
        let here = self.0.iter().filter(|(at, _)| *at == index);
        let epsilon = T::epsilon().as_f64();
        here.map(|(_, slip)| slip.squared_error(index, c, nodes)).sum::<f64>() + elements * epsilon * epsilon
    }
}

impl Slip {
    fn squared_error<T: Scalar>(&self, index: usize, c: MatRef<'_, T>, nodes: &[Node<'_, T>]) -> f64 {
        let value = |&operand: &usize| nodes[operand].value.as_mat();
        let own = nodes[index].value.as_mat();
        let epsilon = T::epsilon().as_f64();
        let columns = 0..c.ncols();
        let relative = match self {
            Self::Factored { factor } => {
                let roots: Vec<T> = (0..own.nrows()).map(|i| num_traits::Float::sqrt(own[(i, i)])).collect();
                let squares = columns.map(|j| squares(column(c, j), &roots) * own[(j, j)].as_f64()).sum::<f64>();
                // An element and its mirror image are one number.
                2.0 * match factor {
                    Some(factor) => sharper(squares, || {
                        let factor = magnitudes(value(factor));
                        weighted(c, (&factor * factor.transpose()).as_ref())
                    }),
                    None => squares,
                }
            }
            Self::Solved { l, result, transposed } => {
                let (l, result) = (value(l), value(result));
                let rows = lower_norms(l, *transposed);
                let (narrow, wide) = (solve_errors::<T, T>, solve_errors::<T, f64>);
                let squares = Some(narrow(c, result, &rows)).filter(|squares| squares.is_finite());
                // An element of B is no larger than the product of norms, and is rounded itself.
                sharper(2.0 * squares.unwrap_or_else(|| wide(c, result, &rows)), || {
                    let (mut l, result) = (magnitudes(l), magnitudes(result));
                    clear_strict_upper(l.as_mut());
                    let product = if *transposed { l.transpose() * &result } else { &l * &result };
                    weighted(c, own) + weighted(c, product.as_ref())
                })
            }
            Self::Product { a, b } => {
                let (a, b) = (column_norms(value(a)), column_norms(value(b)));
                let entries = columns.flat_map(|j| column(c, j).iter().zip(&a).map(move |(c, a)| (c, a, j)));
                entries.map(|(c, a, j)| (c.as_f64() * a * b[j]).powi(2)).sum::<f64>()
            }
            Self::By(amounts) => {
                let amounts = amounts.iter().zip(column(c, 0));
                return amounts.map(|(amount, c)| amount * c.as_f64().abs()).sum::<f64>().powi(2);
            }
        };
        relative * epsilon * epsilon
    }
}

/// In units of ε nats: where an error is larger, what it is is worth a matrix product.
const SHARP: f64 = 1e8;

fn sharper(squares: f64, product: impl FnOnce() -> f64) -> f64 {
    if squares > SHARP * SHARP { product() } else { squares }
}

fn magnitudes<T: Scalar>(a: MatRef<'_, T>) -> Mat<T> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| num_traits::Float::abs(a[(i, j)]))
}

/// Σ (C ∘ A)²
fn weighted<T: Scalar>(c: MatRef<'_, T>, a: MatRef<'_, T>) -> f64 {
    (0..c.ncols()).map(|j| squares(column(c, j), column(a, j))).sum()
}

struct Squares<'a, T>(&'a [T], &'a [T]);

impl<T: Scalar> Pass for Squares<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        lane_sum([self.0, self.1], |[a, b]| {
            let product = a.as_f64() * b.as_f64();
            product * product
        })
    }
}

/// Σ (ab)²: the product of single numbers may be as large as 10³⁰ here, so its square is not single.
fn squares<T: Scalar>(a: &[T], b: &[T]) -> f64 {
    dispatch(Squares(a, b))
}

/// Σ B̄ᵢⱼ² ‖lᵢ‖² ‖cⱼ‖² for right-hand sides B, a result C and norms of the rows of L, with numbers of type A: single ones are
/// twice as fast, and overflow.
fn solve_errors<T: Scalar, A: Scalar>(cotangent: MatRef<'_, T>, result: MatRef<'_, T>, rows: &[f64]) -> f64 {
    let rows: Vec<A> = rows.iter().map(|&row| A::from_f64(row)).collect();
    let mut sums = vec![A::from_f64(0.0); rows.len()];
    dispatch(SolveErrors { cotangent, result, rows: &rows, sums: &mut sums });
    sums.iter().map(|sum| sum.as_f64()).sum()
}

struct SolveErrors<'a, T: Scalar, A> {
    cotangent: MatRef<'a, T>,
    result: MatRef<'a, T>,
    rows: &'a [A],
    /// By the row of B.
    sums: &'a mut [A],
}

impl<T: Scalar, A: Scalar> Pass for SolveErrors<'_, T, A> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for j in 0..self.cotangent.ncols() {
            let square = lane_sum([column(self.result, j)], |[entry]| {
                let entry = A::from_f64(entry.as_f64());
                entry * entry
            });
            for ((sum, &c), &row) in self.sums.iter_mut().zip(column(self.cotangent, j)).zip(self.rows) {
                let product = A::from_f64(c.as_f64()) * row;
                *sum += product * product * square;
            }
        }
    }
}

fn column_norms<T: Scalar>(a: MatRef<'_, T>) -> Vec<f64> {
    (0..a.ncols()).map(|j| dot_in_f64(column(a, j), column(a, j)).sqrt()).collect()
}

/// Of the rows of a lower triangular matrix or its transpose.
fn lower_norms<T: Scalar>(l: MatRef<'_, T>, transposed: bool) -> Vec<f64> {
    let mut squares = vec![0.0; l.nrows()];
    for j in 0..l.ncols() {
        for (offset, entry) in column(l, j)[j..].iter().enumerate() {
            squares[if transposed { j } else { j + offset }] += entry.as_f64() * entry.as_f64();
        }
    }
    squares.into_iter().map(f64::sqrt).collect()
}

impl<T: Scalar> Tape<'_, T> {
    /// From here on, what is rounded is noted, so that the [`Adjoints`](super::Adjoints) tell what it does to
    /// the result. To be called before anything is recorded.
    pub(crate) fn watch_rounding(&self) {
        *self.core.slips.borrow_mut() = Some(Slips::default());
    }

    /// A covariance matrix: rounded where it leads to the result, whether or not anyone wants its gradient.
    pub(super) fn rounded_input(&self, index: usize) -> usize {
        if self.core.slips.borrow().is_some() {
            self.nodes.borrow_mut()[index].needs_gradient = true;
        }
        index
    }
}

impl<T: Scalar> Var<'_, T> {
    /// Elements that are off by so much, all to the same side. n × 1.
    pub(crate) fn is_off_by(self, amounts: Vec<f64>) {
        self.unary(|tape, a| {
            tape.core().slips_at(a, || Slip::By(amounts));
            Ok(a)
        });
    }
}
