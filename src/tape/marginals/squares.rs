//! The part of the reverse pass that is M × M, in panels whose lanes are inducing variables: m̄, P̄ and K̄_uu. See the
//! [module](super).

use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatMut, Par};
use rayon::prelude::*;

use super::factor::Factor;
use super::{Head, Plan};
use crate::Scalar;
use crate::linalg::panels::{
    Coefficients, Combination, Layout, Packing, QUAD, Rows, RowsMut, Use, add_up, combine, mirror, multiply, solve,
    transpose, turn, weigh, weighted_gram,
};
use crate::linalg::{Root, column, column_mut};
use crate::tape::Pullback;

/// Rows of numbers that belong to a lane.
const ONE: usize = 0;
const MINUS_ONE: usize = 1;
/// Ag of the head that is at hand.
const SUMS: usize = 2;
const OF_LANES: usize = 3;

/// Panels of rows of a Gram matrix that are computed side by side, so that what all need is read once for them.
const SIDE_BY_SIDE: usize = 8;

pub(super) struct Squares<'a, T: Scalar> {
    plan: &'a Plan,
    /// Of points, and of inducing variables.
    points: Layout,
    lanes: Layout,
    par: Par,
    /// A by inducing variable, and times a cotangent.
    turned: Mat<T>,
    weighed: Mat<T>,
    /// G of the head that is at hand.
    gram: Mat<T>,
    of_lanes: Mat<T>,
    /// E, and whether there is anything in it.
    e: Mat<T>,
    begun: bool,
}

/// A column of the pool, as numbers.
fn numbers<T: Scalar>(matrix: &Mat<T>) -> &[T] {
    column(matrix.as_ref(), 0)
}

fn numbers_mut<T: Scalar>(matrix: &mut Mat<T>) -> &mut [T] {
    column_mut(matrix.as_mut(), 0)
}

/// Multiplications, or numbers that are moved, that are worth a second thread.
const TASK: usize = 1 << 17;

/// Calls a function with the number of each part of so many numbers, which are so much work in all.
fn for_each_part<T: Scalar>(par: Par, work: usize, numbers: &mut [T], len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    if matches!(par, Par::Seq) || work < 2 * TASK {
        numbers.chunks_mut(len).enumerate().for_each(|(part, numbers)| f(part, numbers));
    } else {
        numbers.par_chunks_mut(len).enumerate().for_each(|(part, numbers)| f(part, numbers));
    }
}

/// How many panels of M × M numbers are worked on one after the other.
fn step<T: Scalar>(par: Par, plan: &Plan, lanes: Layout) -> usize {
    let of_task = (TASK / (plan.rows * plan.rows * lanes.width() / 2).max(1)).max(1);
    if matches!(par, Par::Seq) { plan.block::<T>() } else { plan.block::<T>().min(of_task) }
}

impl<'a, T: Scalar> Squares<'a, T> {
    pub(super) fn new(plan: &'a Plan, pull: &Pullback<'_, T>) -> Self {
        let points = plan.layout;
        let lanes = points.with_points(plan.rows);
        let [turned, weighed] = [(); 2].map(|()| pull.take(points.len(lanes.len(1)), 1));
        let [gram, e] = [(); 2].map(|()| pull.take(lanes.len(plan.rows), 1));
        let mut of_lanes = pull.take(lanes.len(OF_LANES), 1);
        for panel in numbers_mut(&mut of_lanes).chunks_exact_mut(OF_LANES * lanes.width()) {
            for (row, number) in [(ONE, 1.0), (MINUS_ONE, -1.0)] {
                panel[row * lanes.width()..][..lanes.width()].fill(T::from_f64(number));
            }
        }
        Self { plan, points, lanes, par: pull.par, turned, weighed, gram, of_lanes, e, begun: false }
    }

    /// Gives all cotangents but that of K, from A in panels and the cotangents of its sums.
    pub(super) fn give(mut self, pull: &mut Pullback<'_, T>, a: usize, cotangents: &[T]) {
        let plan = self.plan;
        let a = Rows::all(column(pull.value(a), 0), plan.rows);
        let of_points = Rows::all(cotangents, plan.stats());
        let (points, rows) = (self.points, plan.rows);
        let moved = 4 * self.turned.nrows();
        for_each_part(self.par, moved, numbers_mut(&mut self.turned), points.len(self.lanes.width()), |panel, out| {
            turn(points, a, rows, panel, out);
        });
        let covariance = plan.whitening.and_then(|of| Some((of.lower, of.covariance.filter(|&k| pull.wants(k))?)));
        for (number, head) in plan.heads.iter().enumerate() {
            self.give_head(pull, head, (of_points, 1 + 2 * number), covariance.is_some());
        }
        if let Some((lower, covariance)) = covariance {
            self.add_rest(of_points, pull);
            self.give_covariance(pull, lower, covariance);
        }
        let Self { turned, weighed, gram, of_lanes, e, .. } = self;
        [turned, weighed, gram, of_lanes, e].into_iter().for_each(|buffer| pull.recycle(buffer));
    }

    /// m̄ and P̄, and what they are of E. The row is that of the cotangents of Aᵀm, and before that of ‖Pᵀa‖².
    fn give_head(
        &mut self,
        pull: &mut Pullback<'_, T>,
        head: &Head<usize>,
        (of_points, row): (Rows<'_, T>, usize),
        wants_e: bool,
    ) {
        let plan = self.plan;
        let take = |len| pull.take(len, 1);
        let mean = head.mean.map(|mean| Factor::column(pull.value(mean), plan.rows, &take));
        if let Some(mean) = head.mean {
            self.add_up(of_points, row);
            let (width, sums) = (self.lanes.width(), numbers(&self.of_lanes));
            let sums = sums.chunks_exact(OF_LANES * width).flat_map(|panel| &panel[SUMS * width..][..width]);
            pull.add(mean, |out, accum| {
                for (out, &sum) in column_mut(out, 0).iter_mut().zip(sums) {
                    *out = if accum == Accum::Add { *out + sum } else { sum };
                }
            });
        }
        let has_roots = !head.roots.is_empty() && (wants_e || head.roots.iter().any(|root| pull.wants(*root.get())));
        if has_roots {
            self.fill_gram(of_points, row + 1);
        }
        if wants_e {
            let of_lanes = Rows::all(numbers(&self.of_lanes), OF_LANES);
            let combination = Combination {
                onto: self.begun,
                x: None,
                // Where all is as it is expected, c₀ = −c.
                a: has_roots.then_some((Rows::all(numbers(&self.gram), plan.rows), None, MINUS_ONE)),
                outer: mean.as_ref().map(|mean| (mean.numbers(), SUMS)),
                of_points: of_lanes,
            };
            self.begun = true;
            add(self.par, self.lanes, plan, combination, numbers_mut(&mut self.e));
        }
        for &root in head.roots.iter().filter(|_| has_roots) {
            self.give_root(pull, root, wants_e);
        }
        mean.into_iter().for_each(|mean| pull.recycle(mean.into_buffer()));
    }

    /// Ag
    fn add_up(&mut self, of_points: Rows<'_, T>, row: usize) {
        let (points, width) = (self.points, self.lanes.width());
        let turned = numbers(&self.turned);
        let len = points.len(width);
        let work = 2 * turned.len();
        for_each_part(self.par, work, numbers_mut(&mut self.of_lanes), OF_LANES * width, |panel, out| {
            let out = &mut out[SUMS * width..][..width];
            add_up(points, &turned[panel * len..][..len], (of_points, row), out);
        });
    }

    /// G = A diag(c) Aᵀ
    fn fill_gram(&mut self, of_points: Rows<'_, T>, row: usize) {
        let (points, lanes, rows) = (self.points, self.lanes, self.plan.rows);
        let len = points.len(lanes.width());
        let turned = numbers(&self.turned);
        for_each_part(self.par, 2 * turned.len(), numbers_mut(&mut self.weighed), len, |panel, out| {
            weigh(points, &turned[panel * len..][..len], (of_points, row), out);
        });
        let weighed = numbers(&self.weighed);
        // On several threads in smaller parts, so that all have some.
        let together = if matches!(self.par, Par::Seq) { SIDE_BY_SIDE } else { SIDE_BY_SIDE / 4 };
        let (work, each) = (turned.len() * rows / 2, together * rows * lanes.width());
        for_each_part(self.par, work, numbers_mut(&mut self.gram), each, |part, out| {
            weighted_gram(points, (turned, weighed), part * together, rows, out);
        });
        mirror(lanes, rows, numbers_mut(&mut self.gram));
    }

    /// P̄ = 2GP, of which a triangle or a diagonal may be read alone, and 2P(GP)ᵀ.
    fn give_root(&mut self, pull: &mut Pullback<'_, T>, root: Root<usize>, wants_e: bool) {
        let (plan, par, lanes) = (self.plan, self.par, self.lanes);
        let (rows, width) = (plan.rows, lanes.width());
        let p = root.with(pull.value(*root.get()));
        let take = |len| pull.take(len, 1);
        let gram = Rows::all(numbers(&self.gram), rows);
        let of_points = Rows::all(numbers(&self.of_lanes), OF_LANES);
        let nothing = Combination { onto: self.begun, x: None, a: None, outer: None, of_points };
        if let Root::Diagonal(d) = p {
            let factors = Factor::column(d, rows, &take);
            pull.add(*root.get(), |out, accum| {
                for (j, (out, &d)) in column_mut(out, 0).iter_mut().zip(factors.numbers()).enumerate() {
                    let slope = (d + d) * gram.numbers[(j / width * rows + j) * width + j % width];
                    *out = if accum == Accum::Add { *out + slope } else { slope };
                }
            });
            if wants_e {
                let combination = Combination { a: Some((gram, Some(factors.numbers()), ONE)), ..nothing };
                add(par, lanes, plan, combination, numbers_mut(&mut self.e));
            }
            pull.recycle(factors.into_buffer());
            return;
        }
        let columns = p.get().ncols().next_multiple_of(QUAD);
        if columns == 0 {
            return;
        }
        let triangular = matches!(p, Root::Lower(_));
        let factors = [true, false].map(|transposed| Factor::root(p, transposed, rows, &take));
        let mut products = [columns, rows].map(|rows| pull.take(lanes.len(rows), 1));
        let [product, again] = &mut products;
        if let Some(p) = factors[0].coefficients() {
            times(par, lanes, plan, &p, gram, (numbers_mut(product), columns), false);
        }
        let product = Rows::all(numbers(product), columns);
        pull.add(*root.get(), |out, accum| {
            let twice = |once: T| once + once;
            write_columns(out, accum, (product.numbers, columns, width), triangular, twice);
        });
        if let Some(p) = factors[1].coefficients().filter(|_| wants_e) {
            times(par, lanes, plan, &p, product, (numbers_mut(again), rows), true);
            let combination = Combination { x: Some((Rows::all(numbers(again), rows), ONE)), ..nothing };
            add(par, lanes, plan, combination, numbers_mut(&mut self.e));
        }
        factors.into_iter().for_each(|factor| pull.recycle(factor.into_buffer()));
        products.into_iter().for_each(|product| pull.recycle(product));
    }

    /// Adds 2A diag(c₀ + Σ c) Aᵀ to E, which is 0 unless something else depends on ‖a‖².
    fn add_rest(&mut self, of_points: Rows<'_, T>, pull: &Pullback<'_, T>) {
        let (plan, width) = (self.plan, self.points.width());
        let mut rest = pull.take(self.points.len(1), 1);
        let (heads, mut left) = (plan.heads.iter().enumerate().filter(|(_, head)| !head.roots.is_empty()), false);
        let panels = numbers_mut(&mut rest).chunks_exact_mut(width);
        for (rest, of_points) in panels.zip(of_points.numbers.chunks_exact(plan.stats() * width)) {
            rest.fill(T::from_f64(0.0));
            for (head, _) in heads.clone() {
                rest.iter_mut().zip(&of_points[(2 + 2 * head) * width..]).for_each(|(rest, &c)| *rest += c);
            }
            rest.iter_mut().zip(of_points).for_each(|(rest, &c)| *rest = c + *rest);
            left |= rest.iter().fold(false, |left, &rest| left | (rest != T::from_f64(0.0)));
        }
        if left {
            self.fill_gram(Rows::all(numbers(&rest), 1), 0);
            let combination = Combination {
                onto: self.begun,
                x: None,
                a: Some((Rows::all(numbers(&self.gram), plan.rows), None, ONE)),
                outer: None,
                of_points: Rows::all(numbers(&self.of_lanes), OF_LANES),
            };
            self.begun = true;
            add(self.par, self.lanes, plan, combination, numbers_mut(&mut self.e));
        }
        pull.recycle(rest);
    }

    /// K̄_uu = −½ L⁻ᵀ S L⁻¹, for E's lower triangle S, mirrored.
    fn give_covariance(&mut self, pull: &mut Pullback<'_, T>, lower: usize, covariance: usize) {
        let (plan, par, lanes) = (self.plan, self.par, self.lanes);
        let (rows, width) = (plan.rows, lanes.width());
        if !self.begun {
            return;
        }
        let take = |len| pull.take(len, 1);
        let l = Factor::pack(Packing::lower(Use::Solve, true, plan.inducing), pull.value(lower), &take);
        let (e, turned) = (numbers_mut(&mut self.e), numbers_mut(&mut self.gram));
        mirror(lanes, rows, e);
        if let Some(l) = l.coefficients() {
            solved(par, lanes, plan, &l, e, false);
            transpose(lanes, rows, e, turned);
            solved(par, lanes, plan, &l, turned, true);
        }
        // A panel holds columns, of which what is below the diagonal.
        mirror(lanes, rows, turned);
        pull.add(covariance, |out, accum| {
            write_columns(out, accum, (turned, rows, width), false, |twice| T::from_f64(-0.5) * twice);
        });
        pull.recycle(l.into_buffer());
    }
}

/// Writes the columns of a matrix, or what of them is below the diagonal, from panels whose lanes are its rows, as a
/// function of what stands there.
fn write_columns<T: Scalar>(
    mut out: MatMut<'_, T>,
    accum: Accum,
    (panels, lines, width): (&[T], usize, usize),
    below: bool,
    function: impl Fn(T) -> T,
) {
    for col in 0..out.ncols() {
        let (out, first) = (column_mut(out.rb_mut(), col), if below { col } else { 0 });
        if accum == Accum::Replace {
            out[..first].fill(T::from_f64(0.0));
        }
        let parts = out.chunks_mut(width).zip(panels.chunks_exact(lines * width)).enumerate();
        for (panel, (out, numbers)) in parts.skip(first / width) {
            let above = first.saturating_sub(panel * width);
            let numbers = &numbers[col * width..][..width];
            for (out, &number) in out.iter_mut().zip(numbers).skip(above) {
                let value = function(number);
                *out = if accum == Accum::Add { *out + value } else { value };
            }
        }
    }
}

/// Fills panels of inducing variables with a combination, or adds it.
fn add<T: Scalar>(par: Par, lanes: Layout, plan: &Plan, combination: Combination<'_, T>, out: &mut [T]) {
    let (rows, step) = (plan.rows, step::<T>(par, plan, lanes));
    for_each_part(par, 4 * rows * rows, out, step * rows * lanes.width(), |part, out| {
        let panels = part * step..lanes.panels().min((part + 1) * step);
        combine(lanes, combination.of_panels(lanes, panels), rows, RowsMut::all(out, rows));
    });
}

/// PX of such panels.
fn times<T: Scalar>(
    par: Par,
    lanes: Layout,
    plan: &Plan,
    p: &Coefficients<'_, T>,
    x: Rows<'_, T>,
    (out, rows): (&mut [T], usize),
    below: bool,
) {
    let step = step::<T>(par, plan, lanes);
    for_each_part(par, plan.rows * plan.rows * rows / 2, out, step * rows * lanes.width(), |part, out| {
        let panels = part * step..lanes.panels().min((part + 1) * step);
        let first = below.then_some(panels.start * lanes.width());
        multiply(lanes, p, x.of_panels(lanes, panels), RowsMut::all(out, rows), first);
    });
}

/// L⁻ᵀX in place of such panels X.
fn solved<T: Scalar>(par: Par, lanes: Layout, plan: &Plan, l: &Coefficients<'_, T>, x: &mut [T], below: bool) {
    let (rows, step) = (plan.rows, step::<T>(par, plan, lanes));
    for_each_part(par, rows * rows * rows / 2, x, step * rows * lanes.width(), |part, x| {
        let first = below.then_some(part * step * lanes.width());
        solve(lanes, l, RowsMut::all(x, rows), first);
    });
}
