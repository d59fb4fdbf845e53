//! A kernel, part by part, with the points that each reads.

use faer::{Mat, MatRef};

use super::Suggested;
use super::distances::{distances, some_rows};
use super::period::Periods;
use super::roles::own_parameters;
use crate::gp::units::spread;
use crate::kernel::variables::Variable;
use crate::kernel::{AnyWarp, Children, Expr, Kernel, Node, Structure, diag_into};
use crate::params::{ParameterizedExt, Shape};
use crate::{Dual, Scalar};

/// For a kernel, by observations of one function at these inputs: variances share what the observations vary, lengthscales are
/// median distances of the inputs, and periods come from the spectrum of the observations. What no data tell stays as it is.
pub(super) fn of_kernel<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>, y: Option<MatRef<'_, T>>) -> Suggested {
    let read = Read::of(x);
    let diagonal = || diag(kernel, some_rows(x, TYPICAL).as_ref());
    let variance = y.map(|y| spread(y.col(0).iter().copied()).powi(2));
    let y = y.map(|y| some_rows(y, ROWS).col(0).iter().map(|y| y.as_f64()).collect());
    let mut walk = Walk { suggest: true, values: kernel.values(), y, waves: 0, lengthscales: Vec::new() };
    walk.node(kernel, &diagonal, 0, Some(&read), variance);
    let mut ranges = vec![None; walk.values.len()];
    walk.lengthscales.iter().for_each(|of| ranges[of.position] = Some([of.distances[0], of.distances[2]]));
    Suggested { values: walk.values, ranges }
}

/// Rows that are read, at most.
const ROWS: usize = 20_000;

/// Points as a node reads them.
#[derive(Clone)]
struct Read {
    points: Mat<f64>,
    /// The column of the data that each column is, or is a multiple of.
    sources: Vec<Option<usize>>,
}

impl Read {
    fn of<T: Scalar>(x: MatRef<'_, T>) -> Self {
        let some = some_rows(x, ROWS);
        let points = Mat::from_fn(some.nrows(), some.ncols(), |row, col| some[(row, col)].as_f64());
        Self { points, sources: (0..x.ncols()).map(Some).collect() }
    }

    fn columns(&self, columns: std::ops::Range<usize>) -> Self {
        let points = self.points.subcols(columns.start, columns.len()).to_owned();
        Self { points, sources: self.sources[columns].to_vec() }
    }

    /// As the children of a node read them: without the last column, if that is an index that the node takes itself.
    fn of_children(&self, node: &dyn Expr, parts: &dyn Children) -> Self {
        let last = self.points.ncols().saturating_sub(1);
        let takes_last = |expr: &dyn Expr| {
            expr.inputs(last + 1).is_ok_and(|inputs| inputs.indices().iter().any(|index| index.column() == last))
        };
        let own = takes_last(node) && parts.iter().all(|part| !takes_last(part) && part.inputs(last).is_ok());
        if own && last > 0 { self.columns(0..last) } else { self.clone() }
    }
}

/// A lengthscale, and the points that it is for.
pub(in crate::gp) struct Lengthscale {
    /// Among the parameters of the kernel.
    pub(in crate::gp) position: usize,
    /// Of neighbours, of all pairs in the middle, and the greatest.
    pub(in crate::gp) distances: [f64; 3],
    /// The least and the greatest spread of the columns that it is for, with the columns of the data.
    pub(in crate::gp) spreads: Option<[(usize, f64); 2]>,
}

/// The lengthscales of a kernel, with the points that they are for.
pub(in crate::gp) fn lengthscales<T: Scalar>(kernel: &dyn Expr, x: MatRef<'_, T>) -> Vec<Lengthscale> {
    let mut walk = Walk { suggest: false, values: kernel.values(), y: None, waves: 0, lengthscales: Vec::new() };
    walk.node(kernel, &|| None, 0, Some(&Read::of(x)), None);
    walk.lengthscales
}

/// Goes through a kernel with the points that each node reads.
struct Walk {
    /// Whether to suggest values, or to leave those that there are.
    suggest: bool,
    values: Vec<f64>,
    /// What was observed where the points are, if they are values of the function.
    y: Option<Vec<f64>>,
    /// How many waves have been given to periods.
    waves: usize,
    lengthscales: Vec<Lengthscale>,
}

/// The mean of k(x, x) of a node, where it is known.
type Typical<'k> = &'k dyn Fn() -> Option<f64>;

impl Walk {
    /// A node whose parameters start at a position, with its points, where they are known, and the variance that it is to
    /// have, if data tell it.
    fn node(&mut self, expr: &dyn Expr, typical: Typical<'_>, first: usize, x: Option<&Read>, variance: Option<f64>) {
        // Of the node itself, before those of its children.
        let own = |children: usize| expr.num_params().saturating_sub(children);
        let of_all = |parts: &dyn Children| parts.iter().map(|part| part.num_params()).sum::<usize>();
        let one = variance.map(|_| 1.0);
        match expr.structure() {
            Structure::Leaf(_) => self.leaf(expr, typical, first, x, variance),
            Structure::Sum(parts) => {
                let share = variance.map(|variance| variance / parts.count() as f64);
                self.parts(parts, first, x, |_| share);
            }
            Structure::Product(parts) => self.parts(parts, first, x, |index| if index == 0 { variance } else { one }),
            Structure::Scaled(factor, kernel) => {
                if let Some(variance) = variance.filter(|_| factor > 0.0) {
                    self.set(first, variance);
                }
                self.inner(kernel, first + 1, x, one);
            }
            Structure::Power(degree, kernel) => {
                let root = variance.map(|variance| variance.powf(1.0 / f64::from(degree)));
                self.inner(kernel, first, x, root);
            }
            Structure::Warped(warp, kernel) => {
                let made = x.and_then(|x| self.warp(warp, first, x));
                self.inner(kernel, first + warp.num_params(), made.as_ref(), variance);
            }
            Structure::Negated(kernel) | Structure::Same(kernel) | Structure::Boxed(kernel) => {
                self.inner(kernel, first, x, variance);
            }
            Structure::Distance(_, kernel) => self.inner(kernel, first + own(kernel.num_params()), x, variance),
            // Exponentials and the like are of numbers without a unit.
            Structure::Function(kernel) => self.inner(kernel, first + own(kernel.num_params()), x, one),
            Structure::Additive(parts) => self.additive(expr, parts, first, x, variance),
            Structure::Of(parts) => {
                let read = x.map(|x| x.of_children(expr, parts));
                self.parts(parts, first + own(of_all(parts)), read.as_ref(), |_| variance);
            }
        }
    }

    /// Orders share a variance, each among all its products.
    fn additive(
        &mut self,
        expr: &dyn Expr,
        parts: &dyn Children,
        first: usize,
        x: Option<&Read>,
        variance: Option<f64>,
    ) {
        let orders = expr.num_params() - parts.iter().map(|part| part.num_params()).sum::<usize>();
        let dim = if parts.count() > 1 { parts.count() } else { x.map_or(1, |x| x.points.ncols()) };
        let mut products = 1.0;
        for order in 0..orders {
            products *= (dim as f64 - order as f64) / (order + 1) as f64;
            if let Some(variance) = variance.filter(|_| products > 0.0) {
                self.set(first + order, variance / (orders as f64 * products));
            }
        }
        let mut position = first + orders;
        for (index, part) in parts.iter().enumerate() {
            // Each reads one column; one for all is told by the first.
            let column = x.filter(|x| index < x.points.ncols()).map(|x| x.columns(index..index + 1));
            self.inner(part, position, column.as_ref(), variance.map(|_| 1.0));
            position += part.num_params();
        }
    }

    fn inner(&mut self, kernel: &Node, first: usize, x: Option<&Read>, variance: Option<f64>) {
        let typical = || diag(kernel.at::<f64>(), some_rows(x?.points.as_ref(), TYPICAL).as_ref());
        self.node(kernel, &typical, first, x, variance);
    }

    fn parts(
        &mut self,
        parts: &dyn Children,
        mut first: usize,
        x: Option<&Read>,
        variance: impl Fn(usize) -> Option<f64>,
    ) {
        for (index, part) in parts.iter().enumerate() {
            self.inner(part, first, x, variance(index));
            first += part.num_params();
        }
    }

    fn set(&mut self, position: usize, value: f64) {
        if self.suggest {
            self.values[position] = value;
        }
    }

    /// Lengthscales of a warp, and what a linear one makes of the points.
    fn warp(&mut self, warp: &dyn AnyWarp, first: usize, x: &Read) -> Option<Read> {
        let columns: Vec<usize> = (0..x.points.ncols()).collect();
        for (name, shape, start) in own_parameters(warp) {
            if name == "lengthscale" {
                self.of_lengthscale(first + start, shape, x, &columns);
            }
        }
        let theta = self.values[first..first + warp.num_params()].iter();
        let theta: Vec<Variable> = theta.map(|&value| Dual::constant(value)).collect();
        let matrix = warp.matrix(&theta, columns.len())?;
        let weights = |made: usize| {
            let weights = matrix[made].iter().map(|weight| weight.value).enumerate();
            // What is not read may be anything.
            weights.filter(|(_, weight)| *weight != 0.0)
        };
        let entry = |row: usize, made: usize| weights(made).map(|(col, weight)| weight * x.points[(row, col)]).sum();
        let source = |made: usize| {
            let mut read = weights(made);
            read.next().filter(|_| read.next().is_none()).and_then(|(col, _)| x.sources[col])
        };
        let points = Mat::from_fn(x.points.nrows(), matrix.len(), entry);
        Some(Read { points, sources: (0..matrix.len()).map(source).collect() })
    }

    fn leaf(&mut self, leaf: &dyn Expr, typical: Typical<'_>, first: usize, x: Option<&Read>, variance: Option<f64>) {
        let own = own_parameters(leaf);
        let periodic = own.iter().any(|(name, ..)| name == "period");
        let columns = x.map(|x| distance_columns(leaf, x.points.ncols())).unwrap_or_default();
        for (name, shape, start) in own {
            let positions = first + start..first + start + shape.len();
            match (name.as_str(), x) {
                // That of a periodic kernel is on a circle of radius 1.
                ("lengthscale", _) if periodic => positions.for_each(|position| self.set(position, 1.0)),
                ("lengthscale" | "decay", Some(x)) => self.of_lengthscale(positions.start, shape, x, &columns),
                ("period", Some(x)) => {
                    if let Some(period) = self.period(x, &columns) {
                        positions.for_each(|position| self.set(position, period));
                    }
                }
                ("variance" | "value", _) if shape.len() == 1 && self.values[positions.start] > 0.0 => {
                    if let Some((variance, typical)) = variance.zip(typical()) {
                        self.set(positions.start, self.values[positions.start] * variance / typical);
                    }
                }
                _ => {}
            }
        }
    }

    /// The period of the next of the strongest waves, along the first column that varies.
    fn period(&mut self, x: &Read, columns: &[usize]) -> Option<f64> {
        let y = self.y.as_ref()?;
        let column = columns.iter().map(|&col| x.points.col(col)).find(|column| range_of(*column) > 0.0)?;
        let period = Periods::new(column.iter().copied(), y.iter().copied()).nth(self.waves)?;
        self.waves += 1;
        Some(period)
    }

    /// Median distances: of all columns together, or of each, so that those of all together are as far.
    fn of_lengthscale(&mut self, start: usize, shape: Shape, x: &Read, columns: &[usize]) {
        let each = shape.len();
        if each == 1 {
            let Some(distances) = distances(x.points.as_ref(), columns) else { return };
            self.set(start, distances[1]);
            let spread = |&col: &usize| Some((x.sources[col]?, spread(x.points.col(col).iter().copied())));
            let spreads: Option<Vec<(usize, f64)>> = columns.iter().map(spread).collect();
            let spreads = spreads.and_then(|mut spreads| {
                spreads.sort_by(|a, b| a.1.total_cmp(&b.1));
                Some([*spreads.first()?, *spreads.last()?])
            });
            self.lengthscales.push(Lengthscale { position: start, distances, spreads });
        } else if each == x.points.ncols() {
            for &col in columns {
                if let Some(distances) = distances(x.points.as_ref(), &[col]) {
                    self.set(start + col, distances[1] * (columns.len() as f64).sqrt());
                    self.lengthscales.push(Lengthscale { position: start + col, distances, spreads: None });
                }
            }
        }
    }
}

/// The columns that a leaf reads, but for indices.
fn distance_columns(leaf: &dyn Expr, dim: usize) -> Vec<usize> {
    let Ok(inputs) = leaf.inputs(dim) else { return Vec::new() };
    let is_index = |&col: &usize| inputs.indices().iter().any(|index| index.column() == col);
    inputs.columns().filter(|col| !is_index(col)).collect()
}

/// From the least to the greatest of a column.
fn range_of(column: faer::ColRef<'_, f64>) -> f64 {
    let finite = || column.iter().copied().filter(|value| value.is_finite());
    finite().fold(f64::NEG_INFINITY, f64::max) - finite().fold(f64::INFINITY, f64::min)
}

/// Rows that tell a variance.
const TYPICAL: usize = 300;

/// The mean of k(x, x), where it is a variance.
fn diag<T: Scalar>(kernel: &dyn Kernel<T>, x: MatRef<'_, T>) -> Option<f64> {
    let mut diagonal = vec![T::from_f64(0.0); x.nrows()];
    diag_into(kernel, x, &mut diagonal).ok()?;
    let mean = diagonal.iter().map(|value| value.as_f64() / x.nrows() as f64).sum::<f64>();
    (mean > 0.0 && mean.is_finite()).then_some(mean)
}
