//! Reverse-mode differentiation of matrix formulas.
//!
//! A [`Tape`] records a formula as it is evaluated, and [`Tape::backward`] gives the gradient of a
//! scalar result in every parameter, at a small multiple of the cost of the evaluation. Every value
//! is a matrix: a vector is n × 1, a scalar 1 × 1. Models are written forward, once, from the
//! primitives of this module; their hyperparameters, inputs and variational parameters get
//! gradients without a line of calculus. A formula of [variables](Var) reads as on paper: their sums, differences and
//! products are operators, all else are methods.
//!
//! Below, C̄ stands for the cotangent of C, the gradient of the final scalar in the elements of C;
//! the documentation of each primitive says what it adds to the cotangents of its operands, where
//! that is not obvious.
//!
//! Products, triangular solves and Cholesky factors run on faer with the parallelism given to the
//! tape; elementwise work under SIMD dispatch. Cotangents are accumulated in place, nothing is
//! computed for operands that lead to no parameter, and the matrices of one tape serve the next
//! through its [`Pool`].
//!
//! # Examples
//!
//! The log evidence of a Gaussian process, ln N(y; 0, K + σ²I), with its gradient in the
//! hyperparameters and the noise variance:
//!
//! ```
//! use mercer::linalg::Jitter;
//! use mercer::prelude::*;
//! use mercer::tape::Tape;
//!
//! fn log_marginal_likelihood(lengthscale: f64, noise: f64) -> Result<(f64, [f64; 2]), Error> {
//!     let (x, y) = (mat![[0.0], [0.7], [2.0]], mat![[0.3], [0.9], [-0.5]]);
//!     let kernel = Rbf::new(lengthscale);
//!
//!     let tape = Tape::new(Par::Seq);
//!     let (x, y) = (tape.constant(x.as_ref()), tape.constant(y.as_ref()));
//!     let noise = tape.scalar_parameter(noise);
//!     let kernel = tape.kernel(&kernel)?;
//!
//!     let covariance = kernel.gram(x)?.add_to_diagonal(noise);
//!     let (l, _) = covariance.cholesky(Jitter::default())?;
//!     let fit = l.solve_lower(y).sum_of_squares();
//!     let half_log_det = l.log_diagonal_sum();
//!     let loss = -0.5 * fit - half_log_det;
//!
//!     let value = tape.scalar(loss)? - 1.5 * std::f64::consts::TAU.ln();
//!     let gradients = tape.backward(loss)?;
//!     Ok((value, [gradients.scalar(kernel.theta()).unwrap(), gradients.scalar(noise).unwrap()]))
//! }
//!
//! let (_, gradient) = log_marginal_likelihood(0.8, 0.1)?;
//! let h = 1e-6;
//! let difference = |up: f64, down: f64| (up - down) / (2.0 * h);
//! let in_lengthscale = difference(log_marginal_likelihood(0.8 + h, 0.1)?.0, log_marginal_likelihood(0.8 - h, 0.1)?.0);
//! let in_noise = difference(log_marginal_likelihood(0.8, 0.1 + h)?.0, log_marginal_likelihood(0.8, 0.1 - h)?.0);
//! assert!((gradient[0] - in_lengthscale).abs() < 1e-8);
//! assert!((gradient[1] - in_noise).abs() < 1e-8);
//! # Ok::<(), Error>(())
//! ```
//!
//! # References
//!
//! M. B. Giles, *Collected matrix derivative results for forward and reverse mode algorithmic
//! differentiation*, 2008, [doi:10.1007/978-3-540-68942-3_4](https://doi.org/10.1007/978-3-540-68942-3_4);
//! I. Murray, *Differentiation of the Cholesky decomposition*, 2016, [arXiv:1602.07527](https://arxiv.org/abs/1602.07527).

mod cholesky;
mod columns;
mod custom;
mod elementwise;
mod evaluated;
mod gaussian;
mod inputs;
mod kernels;
mod kronecker;
mod marginals;
mod operators;
mod outer;
mod pool;
mod products;
mod pullback;
mod recorder;
mod reductions;
mod rounding;
mod scalars;
mod structure;
mod triangular;
mod value;
mod var;

pub use custom::CustomReverse;
pub(crate) use evaluated::{Slope, Slopes};
pub use kernels::KernelVar;
pub(crate) use marginals::{Head, Whitening};
pub use pool::Pool;
pub use pullback::Adjoints;
pub use value::Value;
pub use var::Var;

use std::cell::{Ref, RefCell};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use faer::{Mat, MatRef, Par};

use crate::{Error, Result, Scalar};
use pullback::Pullback;
use recorder::{Core, Recorder};

/// How a node hands the cotangent of its value on to its operands.
type Reverse<'a, T> = Box<dyn Fn(Mat<T>, &mut Pullback<'_, T>) -> Result<()> + 'a>;

struct Node<'a, T: Scalar> {
    value: Value<'a, T>,
    /// Whether a parameter lies on some path into this node.
    needs_gradient: bool,
    /// `None` for inputs, which keep their cotangents, and where no gradient is needed.
    reverse: Option<Reverse<'a, T>>,
    /// Whether its elements are rounded, each by itself.
    rounded: bool,
    /// Whether it is symmetric, and its reverse takes the lower triangle of a symmetric cotangent for the whole.
    takes_half: bool,
}

/// A record of a formula, for its gradient. See the [module](self) for an example.
///
/// Recording takes `&self`, so that formulas nest. Each primitive evaluates at once. `'a` is the lifetime of the data and
/// kernels that the tape borrows.
///
/// # Errors
///
/// Operators cannot return errors, so the tape keeps the first: see [`Var`]. From then on it records nothing, and whatever
/// asks it for a value or a gradient has that error.
pub struct Tape<'a, T: Scalar> {
    core: Core<T>,
    nodes: RefCell<Vec<Node<'a, T>>>,
}

impl<T: Scalar> fmt::Debug for Tape<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("id", &self.core.id).field("nodes", &self.len()).finish_non_exhaustive()
    }
}

impl<'a, T: Scalar> Tape<'a, T> {
    /// An empty tape, whose primitives run with this parallelism.
    pub fn new(par: Par) -> Self {
        Self::with_pool(par, Pool::new())
    }

    /// An empty tape that takes its matrices from a pool first. For loops: see [`Pool`].
    pub fn with_pool(par: Par, pool: Pool<T>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let nodes = RefCell::new(Vec::with_capacity(pool.expected()));
        Self { core: Core::new(id, pool, par), nodes }
    }

    /// Ends the tape, and gives its matrices to the pool, for the next.
    ///
    /// Those that a [`Value`] still shows stay with it.
    pub fn into_pool(self) -> Pool<T> {
        let (mut pool, nodes) = (self.core.pool.into_inner(), self.nodes.into_inner());
        let recorded = nodes.len();
        for node in nodes {
            if let Some(matrix) = node.value.into_owned() {
                pool.give(matrix);
            }
        }
        pool.settle(recorded);
        pool
    }

    /// The number of values recorded.
    pub fn len(&self) -> usize {
        self.nodes.borrow().len()
    }

    /// Whether nothing has been recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parallelism that the primitives run with.
    pub fn par(&self) -> Par {
        self.core.par
    }

    /// The value of a variable. It stays valid while more is recorded.
    ///
    /// # Errors
    ///
    /// The one that the tape [keeps](Var#errors); [`Error::Setting`] for a variable of another tape.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let a = tape.parameter(mat![[1.0, 2.0]]);
    /// let value = tape.value(a.square())?;
    /// assert_eq!(value.as_mat(), mat![[1.0, 4.0]]);
    ///
    /// let other = Tape::<f64>::new(Par::Seq);
    /// assert!(other.value(a).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn value(&self, var: Var<'_, T>) -> Result<Value<'a, T>> {
        Ok(self.nodes.borrow()[var.on(self)?].value.clone())
    }

    /// The value of a 1 × 1 variable.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it is not 1 × 1; otherwise as [`value`](Self::value).
    pub fn scalar(&self, var: Var<'_, T>) -> Result<f64> {
        let value = self.value(var)?;
        check_scalar("the variable", value.as_mat())?;
        Ok(value.as_mat()[(0, 0)].as_f64())
    }

    /// Rows and columns of a variable.
    ///
    /// # Errors
    ///
    /// As [`value`](Self::value).
    pub fn shape(&self, var: Var<'_, T>) -> Result<(usize, usize)> {
        Ok(shape(self.value(var)?.as_mat()))
    }

    /// Whether a parameter lies on some path into this variable, so that it has a cotangent.
    ///
    /// # Errors
    ///
    /// As [`value`](Self::value).
    pub fn needs_gradient(&self, var: Var<'_, T>) -> Result<bool> {
        Ok(self.nodes.borrow()[var.on(self)?].needs_gradient)
    }

    /// The gradient of a 1 × 1 variable in every parameter.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if `loss` is not 1 × 1; whatever the reverse of a [`custom`](Self::custom) primitive gives;
    /// otherwise as [`value`](Self::value).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let a = tape.parameter(mat![[1.0, 2.0], [3.0, 4.0]]);
    /// let loss = a.sum_of_squares();
    /// assert_eq!(tape.scalar(loss)?, 30.0);
    /// let gradients = tape.backward(loss)?;
    /// assert_eq!(gradients.get(a).unwrap(), mat![[2.0, 4.0], [6.0, 8.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn backward(&self, loss: Var<'_, T>) -> Result<Adjoints<T>> {
        check_scalar("the loss", self.value(loss)?.as_mat())?;
        self.pull_back(loss, MatRef::from_column_major_slice(&[T::from_f64(1.0)], 1, 1))
    }

    /// The gradient of Σ W ∘ C in every parameter, for a variable C and a matrix W of its shape: the
    /// vector-Jacobian product of a formula with several results.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the shapes differ; otherwise as [`backward`](Self::backward).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::tape::Tape;
    ///
    /// let tape = Tape::new(Par::Seq);
    /// let a = tape.parameter(mat![[1.0, 3.0]]);
    /// let gradients = tape.pull_back(a.square(), mat![[10.0, 1.0]].as_ref())?;
    /// assert_eq!(gradients.get(a).unwrap(), mat![[20.0, 6.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn pull_back(&self, result: Var<'_, T>, cotangent: MatRef<'_, T>) -> Result<Adjoints<T>> {
        let found = self.shape(result)?;
        if shape(cotangent) != found {
            return Err(Error::shape("the cotangent", format!("{} x {}", found.0, found.1), shape(cotangent)));
        }
        let result = result.on(self)?;
        let nodes = self.nodes.borrow();
        let slips = self.core.slips.borrow();
        let mut pullback = Pullback::new(&nodes[..=result], &self.core.pool, slips.as_ref(), self.core.par);
        if nodes[result].needs_gradient {
            let mut seed = pullback.take(found.0, found.1);
            seed.copy_from(cotangent);
            pullback.give(result, seed);
        }
        let (cotangents, squared_rounding) = pullback.run()?;
        Ok(Adjoints::new(self.core.id, cotangents, squared_rounding))
    }

    /// Makes the matrices of a gradient available to the tape again, and to its pool.
    pub fn recycle(&self, adjoints: Adjoints<T>) {
        self.core.pool.borrow_mut().recycle(adjoints);
    }

    /// Records an input.
    fn input(&self, value: Value<'a, T>, needs_gradient: bool) -> Var<'_, T> {
        self.var(self.push_node(Node { value, needs_gradient, reverse: None, rounded: false, takes_half: false }))
    }

    /// Records the result of a primitive that borrows what the tape does.
    fn record(
        &self,
        value: Mat<T>,
        operands: &[usize],
        reverse: impl Fn(Mat<T>, &mut Pullback<'_, T>) -> Result<()> + 'a,
    ) -> usize {
        let node = Node::result(&self.nodes.borrow(), value, operands, reverse);
        self.push_node(node)
    }

    fn push_node(&self, node: Node<'a, T>) -> usize {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(node);
        nodes.len() - 1
    }

    fn var(&self, index: usize) -> Var<'_, T> {
        Var { tape: self, index }
    }
}

impl<T: Scalar> Recorder<T> for Tape<'_, T> {
    fn core(&self) -> &Core<T> {
        &self.core
    }

    fn nodes(&self) -> Ref<'_, [Node<'_, T>]> {
        Ref::map(self.nodes.borrow(), Vec::as_slice)
    }

    fn push(&self, node: Node<'static, T>) -> usize {
        self.push_node(node)
    }
}

fn shape<T: Scalar>(matrix: MatRef<'_, T>) -> (usize, usize) {
    (matrix.nrows(), matrix.ncols())
}

fn check_scalar<T: Scalar>(what: &str, matrix: MatRef<'_, T>) -> Result<()> {
    if shape(matrix) == (1, 1) { Ok(()) } else { Err(Error::shape(what, "1 x 1", shape(matrix))) }
}

fn check_square<T: Scalar>(what: &str, matrix: MatRef<'_, T>) -> Result<()> {
    if matrix.nrows() == matrix.ncols() { Ok(()) } else { Err(Error::shape(what, "a square matrix", shape(matrix))) }
}

fn check_rows<T: Scalar>(what: &str, matrix: MatRef<'_, T>, rows: usize) -> Result<()> {
    if matrix.nrows() == rows { Ok(()) } else { Err(Error::shape(what, format!("{rows} row(s)"), shape(matrix))) }
}

fn check_same<T: Scalar>(what: &str, a: MatRef<'_, T>, b: MatRef<'_, T>) -> Result<()> {
    if shape(a) == shape(b) {
        return Ok(());
    }
    Err(Error::shape(what, format!("{} x {}, as the first operand has", a.nrows(), a.ncols()), shape(b)))
}
