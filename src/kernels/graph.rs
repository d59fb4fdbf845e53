//! Kernels on the nodes of a graph.

use std::any::Any;
use std::fmt::Debug;

use faer::{Mat, MatRef};

use super::{ByIndex, IndexMatrix};
use crate::Result;
use crate::graph::Laplacian;
use crate::kernel::{Arguments, Construct, OnGraph, Psd, Variable};
use crate::params::{Constraint, Parameter, Parameterized, Visitor, VisitorMut};

/// A function of the eigenvalues of a graph's Laplacian: what makes a kernel of it.
pub trait GraphSpectrum: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// The logarithm of the weight of an eigenvalue λ ≥ 0, which is 0 at λ = 0.
    fn log_weight(&self, eigenvalue: f64) -> f64;

    /// The derivatives of [`log_weight`](Self::log_weight) in the parameters, in order. Not asked where the
    /// weight is 0.
    fn log_weight_slopes(&self, eigenvalue: f64, out: &mut [f64]);
}

/// The covariance Φ f(λ) Φᵀ of the nodes of a graph, for the eigenvalues λ and eigenvectors Φ of its
/// [`Laplacian`], scaled to a mean diagonal of 1.
#[derive(Clone, Debug)]
pub struct OfGraph<F> {
    laplacian: Laplacian,
    spectrum: F,
}

impl<F> OfGraph<F> {
    /// The covariance of a graph by a function of the eigenvalues: [`ByIndex::of`] makes a kernel of it.
    pub fn new(laplacian: Laplacian, spectrum: F) -> Self {
        Self { laplacian, spectrum }
    }

    /// The graph.
    pub fn laplacian(&self) -> &Laplacian {
        &self.laplacian
    }

    /// The function of its eigenvalues.
    pub fn spectrum(&self) -> &F {
        &self.spectrum
    }
}

impl<F: GraphSpectrum> OfGraph<F> {
    /// f(λ), scaled to a mean of 1: the mean diagonal is tr Φ f Φᵀ / n = Σ f / n.
    fn weights(&self) -> Vec<f64> {
        let log = |&eigenvalue| self.spectrum.log_weight(eigenvalue).max(-f64::MAX);
        let logs: Vec<f64> = self.laplacian.eigenvalues().iter().map(log).collect();
        // Relative to the largest, so that not all of them underflow where no eigenvalue is 0.
        let largest = logs.iter().fold(-f64::MAX, |largest, &log| largest.max(log));
        let weights: Vec<f64> = logs.into_iter().map(|log| (log - largest).exp()).collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        weights.into_iter().map(|weight| weight / mean).collect()
    }

    /// Adds to `theta` from the gradient in the weights. With g = f/mean f: dg_k = g_k (s_k − mean(g s)), for the slopes s
    /// of log f.
    fn weights_vjp(&self, in_weights: &[f64], theta: &mut [f64]) {
        let weights = self.weights();
        let common: f64 =
            in_weights.iter().zip(&weights).map(|(g, weight)| g * weight).sum::<f64>() / weights.len() as f64;
        let mut slopes = vec![0.0; theta.len()];
        for ((&weight, &g), &eigenvalue) in weights.iter().zip(in_weights).zip(self.laplacian.eigenvalues()) {
            if weight > 0.0 {
                self.spectrum.log_weight_slopes(eigenvalue, &mut slopes);
                theta.iter_mut().zip(&slopes).for_each(|(theta, slope)| *theta += weight * (g - common) * slope);
            }
        }
    }
}

impl<F: Parameterized> Parameterized for OfGraph<F> {
    fn name(&self) -> &str {
        self.spectrum.name()
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        self.spectrum.visit(visitor);
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        self.spectrum.visit_mut(visitor);
    }
}

impl<F: GraphSpectrum> IndexMatrix for OfGraph<F> {
    fn count(&self) -> usize {
        self.laplacian.nodes()
    }

    fn matrix(&self) -> Mat<f64> {
        let (vectors, weights) = (self.laplacian.eigenvectors(), self.weights());
        let weighted = Mat::from_fn(vectors.nrows(), vectors.ncols(), |i, k| vectors[(i, k)] * weights[k]);
        weighted * vectors.transpose()
    }

    fn entry(&self, i: usize, j: usize) -> f64 {
        let vectors = self.laplacian.eigenvectors();
        self.weights().into_iter().enumerate().map(|(k, weight)| weight * vectors[(i, k)] * vectors[(j, k)]).sum()
    }

    // The gradient in a weight is (Φᵀ G Φ)_kk.
    fn matrix_vjp(&self, gradient: MatRef<'_, f64>, theta: &mut [f64]) {
        let vectors = self.laplacian.eigenvectors();
        let pulled = gradient * vectors;
        let in_weight = |k: usize| -> f64 { vectors.col(k).iter().zip(pulled.col(k).iter()).map(|(a, b)| a * b).sum() };
        let in_weights: Vec<f64> = (0..vectors.ncols()).map(in_weight).collect();
        self.weights_vjp(&in_weights, theta);
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("nodes", self.laplacian.nodes().to_string()), ("laplacian", self.laplacian.entries_as_text())]
    }

    fn psd(&self) -> Psd {
        Psd::Always
    }

    fn on_graph(&self) -> Option<&dyn OnGraph> {
        Some(self)
    }
}

// The weights of the present parameters with all their derivatives, dg_k = g_k (s_k − mean(g s)), carried on by the chain rule.
impl<F: GraphSpectrum> OnGraph for OfGraph<F> {
    fn weights(&self, theta: &[Variable], laplacian: &dyn Any) -> Option<Vec<Variable>> {
        if !laplacian.downcast_ref::<Laplacian>().is_some_and(|laplacian| self.laplacian.is(laplacian)) {
            return None;
        }
        let weights = OfGraph::weights(self);
        let mut slopes = vec![vec![0.0; theta.len()]; weights.len()];
        for ((slopes, &weight), &eigenvalue) in slopes.iter_mut().zip(&weights).zip(self.laplacian.eigenvalues()) {
            if weight > 0.0 {
                self.spectrum.log_weight_slopes(eigenvalue, slopes);
            }
        }
        let count = weights.len() as f64;
        let mean =
            |p: usize| weights.iter().zip(&slopes).map(|(weight, slopes)| weight * slopes[p]).sum::<f64>() / count;
        let means: Vec<f64> = (0..theta.len()).map(mean).collect();
        let number = |(&weight, slopes): (&f64, &Vec<f64>)| {
            let slopes = slopes.iter().zip(&means).map(|(slope, mean)| weight * (slope - mean));
            Variable::with_slopes(weight, theta.iter().zip(slopes))
        };
        Some(weights.iter().zip(&slopes).map(number).collect())
    }
}

/// f(λ) = exp(−κ²λ/2)
#[derive(Clone, Debug, PartialEq)]
pub struct HeatSpectrum {
    lengthscale: Parameter,
}

crate::parameterized!(HeatSpectrum as "graph_heat", parameters: [lengthscale]);

impl GraphSpectrum for HeatSpectrum {
    fn log_weight(&self, eigenvalue: f64) -> f64 {
        let scaled = self.lengthscale.value() * eigenvalue.sqrt();
        -0.5 * scaled * scaled
    }

    fn log_weight_slopes(&self, eigenvalue: f64, out: &mut [f64]) {
        out[0] = -self.lengthscale.value() * eigenvalue;
    }
}

/// f(λ) = (1 + κ²λ/2ν)^−ν, which differs from (2ν/κ² + λ)^−ν by a factor that scaling takes out.
#[derive(Clone, Debug, PartialEq)]
pub struct MaternSpectrum {
    smoothness: Parameter,
    lengthscale: Parameter,
}

crate::parameterized!(MaternSpectrum as "graph_matern", parameters: [smoothness, lengthscale]);

impl MaternSpectrum {
    /// κ²λ/2ν
    fn ratio(&self, eigenvalue: f64) -> f64 {
        let scaled = self.lengthscale.value() * eigenvalue.sqrt();
        scaled * scaled / (2.0 * self.smoothness.value())
    }
}

impl GraphSpectrum for MaternSpectrum {
    fn log_weight(&self, eigenvalue: f64) -> f64 {
        -self.smoothness.value() * self.ratio(eigenvalue).ln_1p()
    }

    fn log_weight_slopes(&self, eigenvalue: f64, out: &mut [f64]) {
        let ratio = self.ratio(eigenvalue);
        out[0] = ratio / (1.0 + ratio) - ratio.ln_1p();
        out[1] = -self.lengthscale.value() * eigenvalue / (1.0 + ratio);
    }
}

/// The heat kernel, or diffusion kernel, on the nodes of a graph: the squared exponential of graphs.
///
/// # Definition
///
/// k(i, j) = c (exp(−κ²L/2))ᵢⱼ, for the [`Laplacian`] L and nodes i, j = 0, 1, …; c makes the mean of
/// k(i, i) over all nodes 1
///
/// In terms of a diffusion time, exp(−t L) has κ = √(2t).
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `lengthscale` | κ | steps between nodes | positive |
///
/// # Properties
///
/// Reads one column, an [index](crate::kernel::IndexColumn) of nodes. Not stationary: k(i, i) depends on
/// the node; positive semi-definite, which exp(−d²) of the distance of nodes is not. The eigenvalues
/// and eigenvectors of L are computed once, in O(n³) for n nodes; a Gram matrix then costs O(n³) once
/// and one look-up a pair.
///
/// # Examples
///
/// ```
/// use mercer::kernels::Laplacian;
/// use mercer::prelude::*;
///
/// // Two nodes and one edge: L has the eigenvalues 0 and 2.
/// let kernel = GraphHeat::new(Laplacian::from_edges(2, &[(0, 1, 1.0)])?, 0.5);
/// let decayed = (-0.25f64).exp();
/// let expected = (1.0 - decayed) / (1.0 + decayed);
/// assert!((kernel.eval(&[0.0], &[1.0])? - expected).abs() < 1e-15);
///
/// let of_time_and_node = Rbf::new(1.0).on([0]) * kernel.on([1]);
/// let value: f64 = of_time_and_node.eval(&[0.3, 1.0], &[0.3, 1.0])?;
/// assert!((value - 1.0).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// - Kondor & Lafferty (2002), Diffusion kernels on graphs and other discrete input spaces, ICML.
/// - Borovitskiy et al. (2021), Matérn Gaussian processes on graphs, AISTATS,
///   <https://arxiv.org/abs/2010.15538>.
pub type GraphHeat = ByIndex<OfGraph<HeatSpectrum>>;

impl GraphHeat {
    /// The kernel on the nodes of a graph, with a lengthscale.
    ///
    /// # Panics
    ///
    /// If the lengthscale is not positive and finite; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(laplacian: Laplacian, lengthscale: f64) -> Self {
        crate::error::literal(Self::try_new(laplacian, lengthscale))
    }

    /// The kernel on the nodes of a graph, with a lengthscale.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the lengthscale is not positive and finite.
    pub fn try_new(laplacian: Laplacian, lengthscale: f64) -> Result<Self> {
        let lengthscale = Parameter::new("lengthscale", lengthscale, Constraint::Positive)?;
        Ok(Self::of(OfGraph::new(laplacian, HeatSpectrum { lengthscale })))
    }
}

impl Construct for GraphHeat {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["nodes", "laplacian", "lengthscale"])?;
        Self::try_new(Laplacian::construct(arguments)?, arguments.take("lengthscale")?)
    }
}

/// The Matérn kernel on the nodes of a graph.
///
/// # Definition
///
/// k(i, j) = c ((2ν/κ² + L)^−ν)ᵢⱼ, for the [`Laplacian`] L and nodes i, j = 0, 1, …; c makes the mean of
/// k(i, i) over all nodes 1
///
/// With growing ν it becomes [`GraphHeat`] of the same κ.
///
/// # Hyperparameters
///
/// | name | symbol | unit | constraint |
/// |---|---|---|---|
/// | `smoothness` | ν | 1 | positive |
/// | `lengthscale` | κ | steps between nodes | positive |
///
/// # Properties
///
/// As [`GraphHeat`]. On a grid in d dimensions, ν stands for ν + d/2 of a Matérn kernel of distances.
///
/// # Examples
///
/// ```
/// use mercer::kernels::Laplacian;
/// use mercer::prelude::*;
///
/// // Two nodes and one edge: L has the eigenvalues 0 and 2.
/// let kernel = GraphMatern::new(Laplacian::from_edges(2, &[(0, 1, 1.0)])?, 1.5, 0.5);
/// let (first, second) = (12.0f64.powf(-1.5), 14.0f64.powf(-1.5));
/// let expected = (first - second) / (first + second);
/// assert!((kernel.eval(&[0.0], &[1.0])? - expected).abs() < 1e-15);
/// let value: f64 = (2.0 * kernel).eval(&[0.0], &[0.0])?;
/// assert!((value - 2.0).abs() < 1e-15);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Borovitskiy et al. (2021), Matérn Gaussian processes on graphs, AISTATS,
/// <https://arxiv.org/abs/2010.15538>.
pub type GraphMatern = ByIndex<OfGraph<MaternSpectrum>>;

impl GraphMatern {
    /// The kernel on the nodes of a graph, with a smoothness and a lengthscale.
    ///
    /// # Panics
    ///
    /// If one of the two is not positive and finite; the checked form is [`try_new`](Self::try_new).
    #[track_caller]
    pub fn new(laplacian: Laplacian, smoothness: f64, lengthscale: f64) -> Self {
        crate::error::literal(Self::try_new(laplacian, smoothness, lengthscale))
    }

    /// The kernel on the nodes of a graph, with a smoothness and a lengthscale.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if one of the two is not positive and finite.
    pub fn try_new(laplacian: Laplacian, smoothness: f64, lengthscale: f64) -> Result<Self> {
        let smoothness = Parameter::new("smoothness", smoothness, Constraint::Positive)?;
        let lengthscale = Parameter::new("lengthscale", lengthscale, Constraint::Positive)?;
        Ok(Self::of(OfGraph::new(laplacian, MaternSpectrum { smoothness, lengthscale })))
    }
}

impl Construct for GraphMatern {
    fn construct(arguments: &mut Arguments<'_>) -> Result<Self> {
        arguments.check_names(&["nodes", "laplacian", "smoothness", "lengthscale"])?;
        let laplacian = Laplacian::construct(arguments)?;
        Self::try_new(laplacian, arguments.take("smoothness")?, arguments.take("lengthscale")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn on_a_cycle_the_eigenvectors_are_waves() {
        let n = 7;
        let edges: Vec<_> = (0..n).map(|i| (i, (i + 1) % n, 1.0)).collect();
        let cycle = Laplacian::from_edges(n, &edges).unwrap();
        let angle = |i: usize, k: usize| std::f64::consts::TAU * (i * k) as f64 / n as f64;
        let eigenvalue = |k: usize| 2.0 - 2.0 * angle(1, k).cos();
        let nodes = Mat::from_fn(n, 1, |i, _| i as f64);
        let check = |kernel: DynKernel, f: &dyn Fn(f64) -> f64| {
            let found: Mat<f64> = kernel.gram(nodes.as_ref()).unwrap();
            let total: f64 = (0..n).map(|k| f(eigenvalue(k))).sum();
            for i in 0..n {
                let expected: f64 = (0..n).map(|k| f(eigenvalue(k)) * angle(i, k).cos()).sum::<f64>() / total;
                assert!((found[(i, 0)] - expected).abs() < 1e-14, "{kernel:?} {i}");
            }
        };
        check(GraphHeat::new(cycle.clone(), 1.3).dynamic(), &|l| (-0.5 * 1.69 * l).exp());
        check(GraphMatern::new(cycle, 1.5, 1.3).dynamic(), &|l| (3.0 / 1.69 + l).powf(-1.5));
    }

    #[test]
    fn the_mean_diagonal_is_one() {
        let star = Laplacian::from_edges(4, &[(0, 1, 0.5), (0, 2, 1.0), (0, 3, 2.0)]).unwrap();
        let nodes = mat![[0.0], [1.0], [2.0], [3.0]];
        for lengthscale in [1e-150, 1e-6, 0.7, 1e6, 1e150] {
            let diag: Vec<f64> = GraphMatern::new(star.clone(), 0.8, lengthscale).diag(nodes.as_ref()).unwrap();
            assert!((diag.iter().sum::<f64>() - 4.0).abs() < 1e-14, "{lengthscale}");
        }
    }
}
