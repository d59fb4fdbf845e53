//! Marginals of a process given its inducing variables, in panels of points.
//!
//! With A = L⁻¹K for covariances K of the inducing variables, K_uu = LLᵀ, with f, M × B, the whitened variables v of
//! mean m and covariance S = Σ PPᵀ give f means Aᵀm and variances k(x, x) − ‖a‖² + Σ ‖Pᵀa‖². With their reverse these take
//! five passes of M²B operations, where a formula of single primitives takes six. Let g and c be the cotangents of means and of
//! Σ ‖Pᵀa‖², c₀ that of ‖a‖², by point. Then
//!
//! - Ā = m gᵀ + 2 Σ P(PᵀA) diag(c) + 2A diag(c₀) and K̄ = L⁻ᵀĀ;
//! - m̄ = Ag and P̄ = 2GP with G = A diag(c) Aᵀ;
//! - K̄_uu = −½ L⁻ᵀ S L⁻¹, where S is the lower triangle of E = ĀAᵀ, mirrored. For L̄ = −tril(L⁻ᵀE), and the reverse of
//!   a Cholesky factor reads tril(LᵀL̄) = −tril(E) alone (Murray 2016, §3): neither L̄ nor the product L⁻ᵀE is formed.
//!   E = m(Ag)ᵀ + 2 Σ P(GP)ᵀ + 2G₀ is made of M × M matrices, and where c₀ = −c, G₀ = −G.

mod backward;
mod factor;
mod forward;
mod squares;

use faer::{Accum, Mat, MatRef, Par};

use super::rounding::Slip;
use super::{Node, Pullback, Tape, Var, check_rows, check_square};
use crate::linalg::panels::{Layout, Packing, QUAD, Use, scatter};
use crate::linalg::{Root, column, column_mut};
use crate::{Result, Scalar};
use backward::Backward;
use factor::{Factor, Take};
use forward::{Block, Forward};

/// What is whitened: by L, and K_uu = LLᵀ on the tape, unless it has no gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whitening<V> {
    pub(crate) lower: V,
    pub(crate) covariance: Option<V>,
}

/// A distribution of the whitened variables, as far as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Head<V> {
    /// m, M × 1
    pub(crate) mean: Option<V>,
    /// The P of S = Σ PPᵀ.
    pub(crate) roots: Vec<Root<V>>,
}

/// What a [`Head`] gives f, each B × 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Projected<V> {
    /// Aᵀm
    pub(crate) mean: Option<V>,
    /// Σ ‖Pᵀa‖²
    pub(crate) variance: Option<V>,
}

impl<T: Scalar> Tape<'_, T> {
    /// ‖a‖² of the columns of A = L⁻¹K, or of K itself, and what distributions of the whitened variables give at the
    /// points: see the module.
    ///
    /// # Errors
    ///
    /// The tape [keeps](Var#errors) an [`Error::Shape`](crate::Error::Shape) if the matrices do not fit.
    pub(crate) fn whitened_marginals<'t>(
        &'t self,
        whitening: Option<Whitening<Var<'t, T>>>,
        k: Var<'t, T>,
        heads: &[Head<Var<'t, T>>],
    ) -> (Var<'t, T>, Vec<Projected<Var<'t, T>>>) {
        let plan = match Plan::new(self, whitening, k, heads) {
            Ok(plan) => plan,
            Err(error) => {
                let failed = self.var(self.core.keep(Err(error)));
                let none = Projected { mean: Some(failed), variance: Some(failed) };
                return (failed, vec![none; heads.len()]);
            }
        };
        let (layout, rows) = (plan.layout, plan.stats());
        let (stats, a) = plan.record(self);
        let a = plan.watch(self, a);
        let row = |row: usize| self.var(self.row_of_panels(stats, layout, rows, row));
        let heads = plan.heads.iter().enumerate().map(|(head, of)| {
            let mean = of.mean.map(|mean| {
                let product = row(1 + 2 * head);
                self.core.slips_at(product.index, || Slip::Product { a, b: mean });
                product
            });
            Projected { mean, variance: (!of.roots.is_empty()).then(|| row(2 + 2 * head)) }
        });
        (row(0), heads.collect())
    }

    /// A row of panels, by point: B × 1.
    fn row_of_panels(&self, panels: usize, layout: Layout, rows: usize, row: usize) -> usize {
        let value = self.nodes.borrow()[panels].value.clone();
        let mut out = self.core.take(layout.points(), 1);
        let parts = column_mut(out.as_mut(), 0).chunks_mut(layout.width());
        for (part, panel) in parts.zip(column(value.as_mat(), 0).chunks_exact(rows * layout.width())) {
            part.copy_from_slice(&panel[row * layout.width()..][..part.len()]);
        }
        self.record(out, &[panels], move |c, pull| {
            pull.add(panels, |mut out, accum| {
                if accum == Accum::Replace {
                    out.fill(T::from_f64(0.0));
                }
                let parts = column(c.as_ref(), 0).chunks(layout.width());
                let panels = column_mut(out, 0).chunks_exact_mut(rows * layout.width());
                for (part, panel) in parts.zip(panels) {
                    let out = &mut panel[row * layout.width()..][..part.len()];
                    crate::simd::elementwise::add(out, part);
                }
            });
            pull.recycle(c);
            Ok(())
        })
    }
}

/// What there is to be computed, by positions on the tape.
#[derive(Clone)]
struct Plan {
    layout: Layout,
    /// M, and in whole quads.
    inducing: usize,
    rows: usize,
    whitening: Option<Whitening<usize>>,
    k: usize,
    heads: Vec<Head<usize>>,
    /// Rows of PᵀA for all roots.
    projections: usize,
}

/// The value at a position.
type Values<'a, 'v, T> = &'a dyn Fn(usize) -> MatRef<'v, T>;

/// A root, the number of its head, and its PᵀA: the first row and how many there are.
struct Projection {
    head: usize,
    root: Root<usize>,
    first: usize,
    count: usize,
}

impl Projection {
    /// A matrix without columns adds nothing.
    fn has_columns(&self) -> bool {
        self.count > 0 || matches!(self.root, Root::Diagonal(_))
    }
}

impl Plan {
    fn new<'t, T: Scalar>(
        tape: &'t Tape<'_, T>,
        whitening: Option<Whitening<Var<'t, T>>>,
        k: Var<'t, T>,
        heads: &[Head<Var<'t, T>>],
    ) -> Result<Self> {
        let on = |var: &Var<'t, T>| var.on(tape);
        let k = k.on(tape)?;
        let (inducing, points) = tape.shape(tape.var(k))?;
        let check = |what: &str, var: &Var<'t, T>| {
            let value = tape.value(*var)?;
            check_rows(what, value.as_mat(), inducing).map(|()| value)
        };
        let whitening = match whitening {
            Some(Whitening { lower, covariance }) => {
                check_square("the factor of a covariance", check("the factor of a covariance", &lower)?.as_mat())?;
                Some(Whitening { lower: lower.on(tape)?, covariance: covariance.as_ref().map(on).transpose()? })
            }
            None => None,
        };
        let mut placed = Vec::new();
        for Head { mean, roots } in heads {
            mean.as_ref().map(|mean| check("the mean of inducing variables", mean)).transpose()?;
            for root in roots {
                let value = check("the root of a covariance", root.get())?;
                if let Root::Lower(_) = root {
                    check_square("the root of a covariance", value.as_mat())?;
                }
            }
            let roots = roots.iter().map(|root| root.try_map(on)).collect::<Result<_>>()?;
            placed.push(Head { mean: mean.as_ref().map(on).transpose()?, roots });
        }
        let layout = Layout::of::<T>(points);
        let rows = inducing.next_multiple_of(QUAD);
        let mut plan = Self { layout, inducing, rows, whitening, k, heads: placed, projections: 0 };
        let columns = |root: usize| tape.nodes.borrow()[root].value.as_mat().ncols();
        plan.projections = plan.projections(columns).map(|projection| projection.count).sum();
        Ok(plan)
    }

    /// Rows of sums: ‖a‖², and for each head Aᵀm and Σ ‖Pᵀa‖².
    fn stats(&self) -> usize {
        1 + 2 * self.heads.len()
    }

    /// The roots in order, given how many columns each has.
    fn projections(&self, columns: impl Fn(usize) -> usize) -> impl Iterator<Item = Projection> {
        let mut first = 0;
        let roots = self.heads.iter().enumerate().flat_map(|(head, of)| of.roots.iter().map(move |root| (head, root)));
        roots.map(move |(head, &root)| {
            let count = match root {
                Root::Lower(_) => self.rows,
                Root::Diagonal(_) => 0,
                Root::Columns(v) => columns(v).next_multiple_of(QUAD),
            };
            first += count;
            Projection { head, root, first: first - count, count }
        })
    }

    /// A as a matrix, where rounding is watched, and what is rounded in it.
    fn watch<T: Scalar>(&self, tape: &Tape<'_, T>, panels: usize) -> usize {
        if tape.core.slips.borrow().is_none() {
            return panels;
        }
        let Some(Whitening { lower, .. }) = self.whitening else { return self.k };
        let value = tape.nodes.borrow()[panels].value.clone();
        let mut a = tape.core.take(self.inducing, self.layout.points());
        scatter(self.layout, column(value.as_mat(), 0), self.rows, a.as_mut(), Accum::Replace);
        let result = tape.constant_owned(a).index;
        tape.core.slips_at(self.k, || Slip::Solved { l: lower, result, transposed: false });
        result
    }

    /// Computes the panels of sums, and those of A: their positions.
    fn record<T: Scalar>(&self, tape: &Tape<'_, T>) -> (usize, usize) {
        let core = &tape.core;
        let take: Take<'_, T> = &|len| core.take(len, 1);
        let nodes = tape.nodes.borrow();
        let value: Values<'_, '_, T> = &|index| nodes[index].value.as_mat();
        let operands = self.operands();
        let has_gradient = operands.iter().any(|&operand| nodes[operand].needs_gradient);
        let keeps = has_gradient || core.slips.borrow().is_some() || !matches!(core.par, Par::Seq);
        let panels = if keeps { self.layout.panels() } else { self.layout.room::<T>(self.rows, core.par) };
        let [mut a, mut projections] =
            [self.rows, self.projections].map(|rows| take(panels * self.layout.width() * rows));
        let mut stats = take(self.layout.len(self.stats()));
        let pack = |lower: usize| Factor::pack(Packing::lower(Use::Solve, false, self.inducing), value(lower), take);
        let forward = Forward {
            plan: self,
            k: value(self.k),
            l: self.whitening.map(|whitening| pack(whitening.lower)),
            means: self.means(value, take),
            roots: self.roots(value, true, take),
            par: tape.par(),
            keeps,
        };
        forward.run(Block {
            first: 0,
            panels: self.layout.panels(),
            a: column_mut(a.as_mut(), 0),
            projections: column_mut(projections.as_mut(), 0),
            stats: column_mut(stats.as_mut(), 0),
        });
        let Forward { l, means, roots, .. } = forward;
        drop(nodes);
        let factors =
            l.into_iter().chain(means.into_iter().flatten()).chain(roots.into_iter().map(|(_, factor)| factor));
        factors.for_each(|factor| core.pool.borrow_mut().give(factor.into_buffer()));

        let (a, projections) = (tape.constant_owned(a).index, tape.constant_owned(projections).index);
        let plan = self.clone();
        let reverse = move |c: Mat<T>, pull: &mut Pullback<'_, T>| {
            let backward = Backward { plan: &plan, a, projections, stats: column(c.as_ref(), 0) };
            backward.run(pull);
            pull.recycle(c);
            Ok(())
        };
        let mut node = Node::result(&tape.nodes.borrow(), stats, &operands, reverse);
        // Each sum is, where it is read.
        node.rounded = false;
        (tape.push_node(node), a)
    }

    /// m of each head.
    fn means<T: Scalar>(&self, value: Values<'_, '_, T>, take: Take<'_, T>) -> Vec<Option<Factor<T>>> {
        let mean = |head: &Head<usize>| head.mean.map(|mean| Factor::column(value(mean), self.rows, take));
        self.heads.iter().map(mean).collect()
    }

    /// The P in order, for PX or PᵀX.
    fn roots<T: Scalar>(
        &self,
        value: Values<'_, '_, T>,
        transposed: bool,
        take: Take<'_, T>,
    ) -> Vec<(Projection, Factor<T>)> {
        let projections = self.projections(|root| value(root).ncols());
        let factor = |of: Projection| {
            let factor = Factor::root(of.root.with(value(*of.root.get())), transposed, self.rows, take);
            (of, factor)
        };
        projections.map(factor).collect()
    }

    /// Positions of what there may be gradients in.
    fn operands(&self) -> Vec<usize> {
        let mut operands = vec![self.k];
        operands.extend(self.whitening.and_then(|whitening| whitening.covariance));
        for Head { mean, roots } in &self.heads {
            operands.extend(mean);
            operands.extend(roots.iter().map(|root| *root.get()));
        }
        operands
    }

    /// Panels in a block.
    fn block<T>(&self) -> usize {
        self.layout.block::<T>(self.rows)
    }
}

#[cfg(test)]
mod tests {
    use faer::Par;

    use super::*;
    use crate::linalg::Jitter;
    use crate::testkit::points;

    /// Which roots the heads have.
    const HEADS: [&[&str]; 4] = [&["lower"], &["diagonal"], &["diagonal", "columns"], &["lower", "diagonal"]];

    struct Problem {
        covariance: Mat<f64>,
        k: Mat<f64>,
        means: Vec<Mat<f64>>,
        roots: Vec<Vec<(&'static str, Mat<f64>)>>,
        weights: Mat<f64>,
    }

    impl Problem {
        fn new(inducing: usize, count: usize, heads: &[&[&'static str]], seed: u64) -> Self {
            let mut seed = 1000 * seed;
            let mut matrix = |rows: usize, cols: usize| -> Mat<f64> {
                seed += 1;
                points(rows, cols, seed)
            };
            let root = matrix(inducing, inducing);
            let covariance = &root * root.transpose() + Mat::<f64>::identity(inducing, inducing) * inducing as f64;
            let of_root = |matrix: &mut dyn FnMut(usize, usize) -> Mat<f64>, kind: &'static str| {
                let columns = match kind {
                    "lower" => inducing,
                    "diagonal" => 1,
                    _ => inducing.div_ceil(3),
                };
                (kind, matrix(inducing, columns))
            };
            let k = matrix(inducing, count);
            let means = heads.iter().map(|_| matrix(inducing, 1)).collect();
            let roots = heads.iter().map(|head| head.iter().map(|kind| of_root(&mut matrix, kind)).collect()).collect();
            Self { covariance, k, means, roots, weights: matrix(count, 1 + 2 * heads.len()) }
        }

        /// A weighted sum of all that there is, and its gradient in all that it is made of.
        fn run<T: Scalar>(&self, par: Par, panels: bool) -> Vec<Mat<T>> {
            let cast = crate::linalg::cast::<T>;
            let tape = Tape::new(par);
            let covariance = tape.parameter(cast(self.covariance.as_ref()));
            let k = tape.parameter(cast(self.k.as_ref()));
            let (lower, _) = covariance.cholesky(Jitter::Fixed(0.0)).unwrap();
            let mut parameters = vec![covariance, k];
            let mut heads = Vec::new();
            for (mean, roots) in self.means.iter().zip(&self.roots) {
                let mean = tape.parameter(cast(mean.as_ref()));
                parameters.push(mean);
                let mut of_head = Vec::new();
                for (kind, root) in roots {
                    let root = tape.parameter(cast(root.as_ref()));
                    parameters.push(root);
                    of_head.push(match *kind {
                        "lower" => Root::Lower(root),
                        "diagonal" => Root::Diagonal(root),
                        _ => Root::Columns(root),
                    });
                }
                heads.push(Head { mean: Some(mean), roots: of_head });
            }
            let mut sums = Vec::new();
            if panels {
                let whitening = Whitening { lower, covariance: Some(covariance) };
                let (norms, projected) = tape.whitened_marginals(Some(whitening), k, &heads);
                sums.push(norms);
                for of in projected {
                    sums.extend([of.mean.unwrap(), of.variance.unwrap()]);
                }
            } else {
                let a = lower.solve_lower(k);
                sums.push(a.column_sums_of_squares());
                for Head { mean, roots } in &heads {
                    sums.push(a.matmul_tn(mean.unwrap()));
                    let squares = roots.iter().map(|root| match *root {
                        Root::Lower(p) => p.lower_matmul_tn(a).column_sums_of_squares(),
                        Root::Diagonal(p) => a.scale_rows(p).column_sums_of_squares(),
                        Root::Columns(p) => p.matmul_tn(a).column_sums_of_squares(),
                    });
                    sums.push(squares.reduce(|sum, part| sum + part).unwrap());
                }
            }
            let weigh = |(column, sum): (usize, &Var<'_, T>)| {
                let weights = cast(self.weights.as_ref().subcols(column, 1));
                sum.inner(tape.constant_owned(weights)).index
            };
            let terms: Vec<_> = sums.iter().enumerate().map(weigh).collect();
            let loss = terms.iter().map(|&term| tape.var(term)).reduce(|sum, term| sum + term).unwrap();
            let gradients = tape.backward(loss).unwrap();
            let values = sums.iter().map(|&sum| tape.value(sum).unwrap().as_mat().to_owned());
            values.chain(parameters.iter().map(|&of| gradients.get(of).unwrap().to_owned())).collect()
        }
    }

    fn check<T: Scalar>(tolerance: f64) {
        for (seed, (inducing, points)) in
            [(1, 1), (3, 5), (4, 8), (13, 40), (20, 129), (37, 300)].into_iter().enumerate()
        {
            for heads in [&HEADS[..1], &HEADS[1..2], &HEADS[2..3], &HEADS[..]] {
                let problem = Problem::new(inducing, points, heads, seed as u64);
                let (found, expected) = (problem.run::<T>(Par::Seq, true), problem.run::<f64>(Par::Seq, false));
                for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let scale = expected.norm_max();
                    for (i, j) in (0..expected.nrows()).flat_map(|i| (0..expected.ncols()).map(move |j| (i, j))) {
                        let off = (found[(i, j)].as_f64() - expected[(i, j)]).abs();
                        assert!(off <= tolerance * scale, "{inducing} {points} {number} {i} {j}: {off} of {scale}");
                    }
                }
            }
        }
    }

    #[test]
    fn panels_are_the_formula_of_single_primitives() {
        check::<f64>(1e-12);
        check::<f32>(2e-4);
    }

    #[test]
    fn the_bits_are_those_of_one_thread() {
        let problem = Problem::new(37, 1200, &HEADS, 7);
        assert_eq!(problem.run::<f64>(Par::rayon(3), true), problem.run::<f64>(Par::Seq, true));
    }
}
