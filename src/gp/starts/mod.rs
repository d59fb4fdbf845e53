//! Where a fit may start, by what the data are.

mod distances;
mod period;

use faer::{Mat, MatRef};

use distances::{distances, some_rows};
use period::Periods;

use super::data::Data;
use super::units::spread;
use crate::algebra::read_template;
use crate::kernel::variables::Variable;
use crate::kernel::{AnyWarp, Children, Expr, Limits, Node, Structure, diag_into};
use crate::params::{Constraint, Label, ParameterRef, Parameterized, ParameterizedExt, Shape, Visitor};
use crate::{Dual, DynKernel, Result, Scalar};

/// The part of the variance of what was observed that noise starts with.
const NOISE: f64 = 0.1;

/// Reads a kernel as text in which numbers may be left out: they come from the data. So do the variances of terms that have
/// none of their own.
///
/// Variances share what the observations vary, lengthscales are the median distance of the inputs that they are for, and
/// periods are those of the strongest waves along the first input that varies. What data do not tell is 1.
///
/// # Errors
///
/// [`Error::Parse`](crate::Error::Parse) as for any text; [`Error::Dimension`](crate::Error::Dimension) if the kernel cannot
/// read the inputs.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, kernel_from_data};
/// use mercer::prelude::*;
///
/// let x = Mat::from_fn(60, 1, |i, _| 0.5 * i as f64);
/// let data = Data::new(&x, (0..60).map(|i| (std::f64::consts::TAU * 0.5 * i as f64 / 6.0).sin()).collect::<Vec<_>>());
/// let kernel = kernel_from_data("periodic + rbf(lengthscale=40)", &data)?;
/// assert!((kernel.get("sum[0].scaled.periodic.period")? - 6.0).abs() < 0.3);
/// assert_eq!(kernel.get("sum[1].scaled.rbf.lengthscale")?, 40.0);
/// assert!((kernel.get("sum[1].scaled.factor")? - 0.25).abs() < 0.01); // half of the variance
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn kernel_from_data<T: Scalar>(text: &str, data: &Data<T>) -> Result<DynKernel> {
    let (mut kernel, unset) = read_template(text, Limits::default())?;
    kernel.inputs(data.x().ncols())?;
    let y: Vec<f64> =
        data.y().col_iter().take(1).flat_map(|column| column.iter()).map(|value| value.as_f64()).collect();
    let suggested = of_kernel(&kernel, data.x(), Some(&y));
    let mut values = kernel.values();
    for (position, entry) in kernel.parameters().iter().enumerate() {
        let value = suggested.values[position];
        if unset[position] && entry.constraint.admits(value) {
            values[position] = value;
        }
    }
    kernel.set_values(&values)?;
    Ok(kernel)
}

/// What data suggest of the parameters of a model, of all scalars in visiting order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suggested {
    /// Values to start from.
    pub values: Vec<f64>,
    /// Of lengthscales, the distance of neighbours and the range of the inputs, between which further starts are drawn; of
    /// others none.
    pub ranges: Vec<Option<[f64; 2]>>,
}

/// For a kernel, by observations of one function at these inputs: variances share what the observations vary, lengthscales are
/// median distances of the inputs, and periods come from the spectrum of the observations. What no data tell stays as it is.
fn of_kernel<T: Scalar>(kernel: &dyn Expr, x: MatRef<'_, T>, y: Option<&[f64]>) -> Suggested {
    let (read, deviation) = (Read::of(x), y.map_or(1.0, |y| spread(y.iter().copied())));
    // Waves are looked for along the first input that varies: that of a record in time.
    let varying = (0..x.ncols()).find(|&col| distances(read.points.as_ref(), &[col]).is_some());
    let column = |col: usize| x.col(col).iter().map(|value| value.as_f64());
    let periods = varying.zip(y).map(|(col, y)| Periods::new(column(col), y.iter().copied()));
    let mut walk = Walk { suggest: true, values: kernel.values(), periods, lengthscales: Vec::new() };
    walk.node(kernel, None, 0, Some(&read), deviation * deviation);
    let mut ranges = vec![None; walk.values.len()];
    walk.lengthscales.iter().for_each(|of| ranges[of.position] = Some([of.distances[0], of.distances[2]]));
    Suggested { values: walk.values, ranges }
}

/// For a model, by its kernels in visiting order and by observations, a column for each output; of what is seen of the functions
/// through no Gaussian noise, by the inputs alone.
pub(super) fn suggested<T: Scalar>(
    model: &dyn Parameterized,
    kernels: &[&dyn Expr],
    x: MatRef<'_, T>,
    y: Option<MatRef<'_, T>>,
) -> Suggested {
    let column = |output: usize| -> Option<Vec<f64>> {
        let y = y?;
        let col = if y.ncols() > output { output } else { 0 };
        Some(y.col(col).iter().map(|value| value.as_f64()).collect())
    };
    let mut values = model.values();
    let mut ranges = vec![None; values.len()];
    let roles = roles(model);
    if let Some(mut first) = roles.iter().find(|role| role.part == "kernel").map(|role| role.position) {
        for (index, kernel) in kernels.iter().enumerate() {
            let own = of_kernel(*kernel, x, column(index).as_deref());
            let positions = first..first + own.values.len();
            first = positions.end;
            values[positions.clone()].copy_from_slice(&own.values);
            ranges[positions].copy_from_slice(&own.ranges);
        }
    }
    let everywhere = |role: &&Role| role.part == "mean" && ["value", "intercept"].contains(&role.name.as_str());
    for (output, role) in roles.iter().filter(everywhere).enumerate() {
        if let Some(y) = column(output) {
            let seen = || y.iter().filter(|value| value.is_finite());
            values[role.position] = seen().map(|value| value / seen().count() as f64).sum();
        }
    }
    let variances: Vec<f64> = y.map(variances).unwrap_or_default();
    for (value, unit) in values.iter_mut().zip(noise_units(model, &variances)) {
        if unit > 0.0 {
            *value = NOISE * unit;
        }
    }
    Suggested { values, ranges }
}

/// The variance of each column, as a unit.
pub(super) fn variances<T: Scalar>(y: MatRef<'_, T>) -> Vec<f64> {
    y.col_iter().map(|column| spread(column.iter().copied()).powi(2)).collect()
}

/// Of all scalars of a model, the variance of the output for those that are its noise, and 0 for others; none if there are none.
/// One for several outputs has the least of theirs.
pub(super) fn noise_units(model: &dyn Parameterized, variances: &[f64]) -> Vec<f64> {
    let mut roles = roles(model);
    roles.retain(|role| ["likelihood", "noise"].contains(&role.part) && role.name == "variance" && role.positive);
    let (count, least) =
        (roles.iter().map(|role| role.len).sum::<usize>(), variances.iter().copied().fold(f64::INFINITY, f64::min));
    if count == 0 || variances.is_empty() {
        return Vec::new();
    }
    let mut units = vec![0.0; model.num_params()];
    let each = roles.iter().flat_map(|role| role.position..role.position + role.len);
    for (output, position) in each.enumerate() {
        units[position] = if count == variances.len() { variances[output] } else { least };
    }
    units
}

/// A parameter of a model, by where it is.
struct Role {
    /// The part of the model that it belongs to.
    part: &'static str,
    name: String,
    position: usize,
    len: usize,
    positive: bool,
}

fn roles(model: &dyn Parameterized) -> Vec<Role> {
    struct Roles {
        found: Vec<Role>,
        part: Option<&'static str>,
        position: usize,
    }
    impl Visitor for Roles {
        fn parameter(&mut self, parameter: ParameterRef<'_>) {
            let (position, len, part) = (self.position, parameter.shape().len(), self.part.unwrap_or(""));
            let positive = parameter.constraint() == Constraint::Positive;
            self.found.push(Role { part, name: parameter.name().to_owned(), position, len, positive });
            self.position += len;
        }

        fn child(&mut self, label: Label, child: &dyn Parameterized) {
            let outside = self.part;
            if let (None, Label::Part(part)) = (outside, label) {
                self.part = Some(part);
            }
            child.visit(self);
            self.part = outside;
        }
    }
    let mut roles = Roles { found: Vec::new(), part: None, position: 0 };
    model.visit(&mut roles);
    roles.found
}

/// The parameters of something that are not those of its parts: names, shapes, and the first position.
fn own_parameters<P: Parameterized + ?Sized>(of: &P) -> Vec<(String, Shape, usize)> {
    struct Own {
        found: Vec<(String, Shape, usize)>,
        position: usize,
    }
    impl Visitor for Own {
        fn parameter(&mut self, parameter: ParameterRef<'_>) {
            self.found.push((parameter.name().to_owned(), parameter.shape(), self.position));
            self.position += parameter.shape().len();
        }

        fn child(&mut self, _: Label, child: &dyn Parameterized) {
            self.position += child.num_params();
        }
    }
    let mut own = Own { found: Vec::new(), position: 0 };
    of.visit(&mut own);
    own.found
}

/// Points as a node reads them.
#[derive(Clone)]
struct Read {
    points: Mat<f64>,
    /// The column of the data that each column is, or is a multiple of.
    sources: Vec<Option<usize>>,
}

impl Read {
    fn of<T: Scalar>(x: MatRef<'_, T>) -> Self {
        Self { points: some_rows(x), sources: (0..x.ncols()).map(Some).collect() }
    }

    fn column(&self, col: usize) -> Self {
        let points = Mat::from_fn(self.points.nrows(), 1, |row, _| self.points[(row, col)]);
        Self { points, sources: vec![self.sources[col]] }
    }
}

/// A lengthscale, and the points that it is for.
pub(super) struct Lengthscale {
    /// Among the parameters of the kernel.
    pub(super) position: usize,
    /// Of neighbours, of all pairs in the middle, and the greatest.
    pub(super) distances: [f64; 3],
    /// The least and the greatest spread of the columns that it is for, with the columns of the data.
    pub(super) spreads: Option<[(usize, f64); 2]>,
}

/// The lengthscales of a kernel, with the points that they are for.
pub(super) fn lengthscales<T: Scalar>(kernel: &dyn Expr, x: MatRef<'_, T>) -> Vec<Lengthscale> {
    let mut walk = Walk { suggest: false, values: kernel.values(), periods: None, lengthscales: Vec::new() };
    walk.node(kernel, None, 0, Some(&Read::of(x)), 1.0);
    walk.lengthscales
}

/// Goes through a kernel with the points that each node reads.
struct Walk {
    /// Whether to suggest values, or to leave those that there are.
    suggest: bool,
    values: Vec<f64>,
    periods: Option<Periods>,
    lengthscales: Vec<Lengthscale>,
}

impl Walk {
    /// A node whose parameters start at a position, with its points, where they are known, and the variance that it is to
    /// have. As a node of an expression it can be evaluated.
    fn node(&mut self, expr: &dyn Expr, node: Option<&Node>, first: usize, x: Option<&Read>, variance: f64) {
        // Of the node itself, before those of its children.
        let own = |children: usize| expr.num_params().saturating_sub(children);
        let of_all = |parts: &dyn Children| parts.iter().map(|part| part.num_params()).sum::<usize>();
        match expr.structure() {
            Structure::Leaf(_) => self.leaf(expr, node, first, x, variance),
            Structure::Sum(parts) => self.parts(parts, first, x, |_| variance / parts.count() as f64),
            Structure::Product(parts) => self.parts(parts, first, x, |index| if index == 0 { variance } else { 1.0 }),
            Structure::Scaled(factor, kernel) => {
                if factor > 0.0 {
                    self.set(first, variance);
                }
                self.inner(kernel, first + 1, x, 1.0);
            }
            Structure::Power(degree, kernel) => self.inner(kernel, first, x, variance.powf(1.0 / f64::from(degree))),
            Structure::Warped(warp, kernel) => {
                let made = x.and_then(|x| self.warp(warp, first, x));
                self.inner(kernel, first + warp.num_params(), made.as_ref(), variance);
            }
            Structure::Negated(kernel) | Structure::Same(kernel) | Structure::Boxed(kernel) => {
                self.inner(kernel, first, x, variance);
            }
            Structure::Distance(_, kernel) | Structure::Function(kernel) => {
                self.inner(kernel, first + own(kernel.num_params()), x, variance);
            }
            Structure::Additive(parts) => {
                let orders = own(of_all(parts));
                (0..orders).for_each(|order| self.set(first + order, variance / orders as f64));
                let mut position = first + orders;
                for (index, part) in parts.iter().enumerate() {
                    // One for each column, or one for all of them.
                    let each = x.filter(|x| x.points.ncols() == parts.count()).map(|x| x.column(index));
                    self.inner(part, position, each.as_ref().or(x), 1.0);
                    position += part.num_params();
                }
            }
            Structure::Of(parts) => self.parts(parts, first + own(of_all(parts)), x, |_| variance),
        }
    }

    fn inner(&mut self, kernel: &Node, first: usize, x: Option<&Read>, variance: f64) {
        self.node(kernel, Some(kernel), first, x, variance);
    }

    fn parts(&mut self, parts: &dyn Children, mut first: usize, x: Option<&Read>, variance: impl Fn(usize) -> f64) {
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

    fn leaf(&mut self, leaf: &dyn Expr, node: Option<&Node>, first: usize, x: Option<&Read>, variance: f64) {
        let own = own_parameters(leaf);
        let periodic = own.iter().any(|(name, ..)| name == "period");
        let columns = x.map(|x| distance_columns(leaf, x.points.ncols())).unwrap_or_default();
        for (name, shape, start) in own {
            let positions = first + start..first + start + shape.len();
            match (name.as_str(), x) {
                // That of a periodic kernel is on a circle of radius 1.
                ("lengthscale", _) if periodic => positions.for_each(|position| self.set(position, 1.0)),
                ("lengthscale" | "decay", Some(x)) => self.of_lengthscale(positions.start, shape, x, &columns),
                ("period", Some(_)) => {
                    if let Some(period) = self.periods.as_mut().and_then(Iterator::next) {
                        positions.for_each(|position| self.set(position, period));
                    }
                }
                ("variance" | "value", _) if shape.len() == 1 && self.values[positions.start] > 0.0 => {
                    let value = self.values[positions.start];
                    let typical = node.zip(x).and_then(|(node, x)| typical(node, &x.points)).unwrap_or(value);
                    self.set(positions.start, value * variance / typical);
                }
                _ => {}
            }
        }
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

/// The mean of k(x, x), where it is a variance.
fn typical(node: &Node, x: &Mat<f64>) -> Option<f64> {
    let kernel: &dyn crate::Kernel<f64> = node;
    let mut diagonal = vec![0.0; x.nrows()];
    diag_into(kernel, x.as_ref(), &mut diagonal).ok()?;
    let mean = diagonal.iter().map(|value| value / x.nrows() as f64).sum::<f64>();
    (mean > 0.0 && mean.is_finite()).then_some(mean)
}
