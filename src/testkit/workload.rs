//! Pieces of work to time a kernel on.

use faer::prelude::ReborrowMut;
use faer::{Mat, MatMut, MatRef, Par};

use super::sample::points;
use crate::kernel::{
    GradientRequest, Gradients, check_others, check_points, cross_into, cross_vjp, diag_into, gram_into, gram_vjp,
    matmul_into,
};
use crate::{Error, Kernel, Result, Scalar};

/// What a [`Workload`] computes, of a kernel and two sets of points X and Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Task {
    /// k(xᵢ, xᵢ₊₁) for neighbouring rows of X, by calls of [`Kernel::pairwise`].
    Pairwise,
    /// k(x₁, zⱼ) for the first row of X and every row of Z.
    CrossVector,
    /// K(X, Z).
    Cross,
    /// K(X, X).
    Gram,
    /// The diagonal of K(X, X).
    Diag,
    /// K(X, Z) v for one vector v, without storing K.
    Matmul,
    /// The gradient of Σ W ∘ K(X, X) in the hyperparameters.
    GramGradient,
    /// The gradient of Σ W ∘ K(X, X) in the hyperparameters and in X.
    GramGradientInputs,
    /// The gradient of Σ W ∘ K(X, Z) in the hyperparameters, in X and in Z.
    CrossGradient,
}

impl Task {
    /// Every task.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::testkit::Task;
    ///
    /// let mut names = Task::ALL.map(Task::name);
    /// names.sort_unstable();
    /// assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    /// assert_eq!(Task::ALL.into_iter().filter(|task| task.differentiates()).count(), 3);
    /// ```
    pub const ALL: [Self; 9] = [
        Self::Pairwise,
        Self::CrossVector,
        Self::Cross,
        Self::Gram,
        Self::Diag,
        Self::Matmul,
        Self::GramGradient,
        Self::GramGradientInputs,
        Self::CrossGradient,
    ];

    /// The name, as it stands in the id of a benchmark.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(mercer::testkit::Task::CrossVector.name(), "cross_vector");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Pairwise => "pairwise",
            Self::CrossVector => "cross_vector",
            Self::Cross => "cross",
            Self::Gram => "gram",
            Self::Diag => "diag",
            Self::Matmul => "matmul",
            Self::GramGradient => "gram_gradient",
            Self::GramGradientInputs => "gram_gradient_inputs",
            Self::CrossGradient => "cross_gradient",
        }
    }

    /// Whether a kernel without vector-Jacobian products refuses it.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::testkit::Task;
    ///
    /// assert!(Task::GramGradient.differentiates() && !Task::Gram.differentiates());
    /// ```
    pub fn differentiates(self) -> bool {
        matches!(self, Self::GramGradient | Self::GramGradientInputs | Self::CrossGradient)
    }
}

/// One piece of work for one kernel, with everything allocated, to be run as often as a timer likes:
/// criterion or a loop around an `Instant`.
///
/// It writes into the same output at every run, so that what is timed is the kernel and not the first
/// touch of fresh memory; gradients alone are allocated by each run, as the functions that return them do.
/// The kernel is reached through a reference to a trait object, which costs one virtual call a tile, and one a
/// value for [`Task::Pairwise`].
///
/// # Examples
///
/// A kernel on everything that it can do, timed by hand:
///
/// ```
/// use std::time::Instant;
///
/// use mercer::prelude::*;
/// use mercer::testkit::{Workload, points};
///
/// let kernel = 0.5 * Rbf::new(0.7) + Linear::new(2.0);
/// let (x, z) = (points::<f64>(50, 3, 1), points::<f64>(20, 3, 2));
/// for mut work in Workload::all(&kernel, x.as_ref(), z.as_ref())? {
///     let start = Instant::now();
///     work.run()?;
///     println!("{}: {:?} for {} values", work.name(), start.elapsed(), work.values());
/// }
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// What is timed is what the library computes:
///
/// ```
/// use mercer::prelude::*;
/// use mercer::testkit::{Task, Workload, points};
///
/// let kernel = Matern52::new(0.7);
/// let (x, z) = (points::<f64>(50, 3, 1), points::<f64>(20, 3, 2));
/// let mut gram = Workload::new(Task::Gram, &kernel, x.as_ref(), z.as_ref())?;
/// gram.run()?;
/// assert_eq!(gram.output(), kernel.gram(x.as_ref())?);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Workload<'a, T: Scalar> {
    task: Task,
    kernel: &'a dyn Kernel<T>,
    x: MatRef<'a, T>,
    z: MatRef<'a, T>,
    /// X or the first row of it, by rows, for what reads points as slices.
    rows: Vec<T>,
    /// The vector of a product, or the cotangents of a gradient.
    weights: Mat<T>,
    output: Mat<T>,
    gradients: Option<Gradients<T>>,
    par: Par,
}

impl<'a, T: Scalar> Workload<'a, T> {
    /// Allocates what a task needs and runs it once: what the kernel refuses, it refuses here. On one
    /// thread, unless [`with_par`](Self::with_par) says otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if a set has no points; otherwise those of [`cross_into`], and of
    /// [`gram_vjp`] where the task is a gradient.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::testkit::{Task, Workload};
    ///
    /// let (kernel, x) = (Linear::new(1.0), mat![[1.0], [3.0], [5.0]]);
    /// let work = Workload::new(Task::Pairwise, &kernel, x.as_ref(), x.as_ref())?;
    /// assert_eq!(work.output(), mat![[3.0], [15.0]]);
    ///
    /// let (wide, narrow) = (Rbf::new([1.0, 2.0]), x.as_ref());
    /// assert!(Workload::new(Task::Pairwise, &wide, narrow, narrow).is_err());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn new(task: Task, kernel: &'a dyn Kernel<T>, x: MatRef<'a, T>, z: MatRef<'a, T>) -> Result<Self> {
        let (n, m) = (x.nrows(), z.nrows());
        for (what, len) in [("x", n), ("z", m)] {
            if len == 0 {
                return Err(Error::Empty { what: what.to_owned() });
            }
        }
        // `pairwise` checks nothing.
        check_points(kernel, "x", x)?;
        check_others(kernel, z, x.ncols())?;
        let (rows, output) = match task {
            Task::Pairwise => (n, (n - 1, 1)),
            Task::CrossVector => (1, (m, 1)),
            Task::Cross => (0, (n, m)),
            Task::Gram => (0, (n, n)),
            Task::Diag | Task::Matmul => (0, (n, 1)),
            Task::GramGradient | Task::GramGradientInputs | Task::CrossGradient => (0, (0, 0)),
        };
        let weights = match task {
            Task::Matmul => points(m, 1, 1),
            Task::GramGradient | Task::GramGradientInputs => points(n, n, 1),
            Task::CrossGradient => points(n, m, 1),
            _ => Mat::new(),
        };
        let rows = (0..rows).flat_map(|row| x.row(row).iter().copied()).collect();
        let output = Mat::zeros(output.0, output.1);
        let mut work = Self { task, kernel, x, z, rows, weights, output, gradients: None, par: Par::Seq };
        work.run()?;
        Ok(work)
    }

    /// A workload for each task that the kernel can do: gradients only where it has them.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::testkit::{Workload, points};
    ///
    /// let (kernel, x) = (Rbf::new(1.0), points::<f32>(10, 2, 1));
    /// let work = Workload::all(&kernel, x.as_ref(), x.as_ref())?;
    /// let names: Vec<&str> = work.iter().map(|work| work.name()).collect();
    /// assert_eq!(names[..4], ["pairwise", "cross_vector", "cross", "gram"]);
    /// assert_eq!(names.len(), 9);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn all(kernel: &'a dyn Kernel<T>, x: MatRef<'a, T>, z: MatRef<'a, T>) -> Result<Vec<Self>> {
        let able = |task: &Task| kernel.properties().differentiable || !task.differentiates();
        Task::ALL.into_iter().filter(able).map(|task| Self::new(task, kernel, x, z)).collect()
    }

    /// Sets the number of threads, for what can be divided.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::testkit::{Task, Workload, points};
    ///
    /// let (kernel, x) = (Rbf::new(1.0), points::<f64>(600, 2, 1));
    /// let one = Workload::new(Task::Gram, &kernel, x.as_ref(), x.as_ref())?;
    /// let mut all = one.clone().with_par(Par::rayon(0));
    /// all.run()?;
    /// assert_eq!(all.output(), one.output());
    /// # Ok::<(), mercer::Error>(())
    /// ```
    #[must_use]
    pub fn with_par(mut self, par: Par) -> Self {
        self.par = par;
        self
    }

    /// The task.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::testkit::{Task, Workload};
    ///
    /// let (kernel, x) = (Linear::new(2.0), mat![[1.0], [3.0]]);
    /// let mut work = Workload::new(Task::Diag, &kernel, x.as_ref(), x.as_ref())?;
    /// assert_eq!((work.task(), work.name()), (Task::Diag, "diag"));
    /// work.run()?;
    /// assert_eq!(work.output(), mat![[2.0], [18.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn task(&self) -> Task {
        self.task
    }

    /// The name of the task.
    pub fn name(&self) -> &'static str {
        self.task.name()
    }

    /// How many values of the kernel, or derivatives of such, a run covers: what a throughput counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::testkit::{Task, Workload, points};
    ///
    /// let (kernel, x) = (Rbf::new(1.0), points::<f64>(10, 2, 1));
    /// let values = |task| Workload::new(task, &kernel, x.as_ref(), x.as_ref().subrows(0, 4)).map(|work| work.values());
    /// assert_eq!([values(Task::Cross)?, values(Task::Gram)?, values(Task::Diag)?], [40, 100, 10]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn values(&self) -> usize {
        let (n, m) = (self.x.nrows(), self.z.nrows());
        match self.task {
            Task::Pairwise => n - 1,
            Task::CrossVector => m,
            Task::Cross | Task::Matmul | Task::CrossGradient => n * m,
            Task::Gram | Task::GramGradient | Task::GramGradientInputs => n * n,
            Task::Diag => n,
        }
    }

    /// Does the work, once.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), which has run it once already: none, if the kernel has not changed.
    pub fn run(&mut self) -> Result<()> {
        let (kernel, par, mut out) = (self.kernel, self.par, self.output.as_mut());
        // What is timed must not be computed in advance, nor left out because nobody looks at it.
        let (x, z) = (std::hint::black_box(self.x), std::hint::black_box(self.z));
        match self.task {
            Task::Pairwise => {
                let dim = x.ncols();
                let (first, second) = (self.rows.chunks_exact(dim), self.rows.chunks_exact(dim).skip(1));
                for (out, (x, y)) in out.rb_mut().col_mut(0).iter_mut().zip(first.zip(second)) {
                    *out = kernel.pairwise(x, y);
                }
            }
            Task::CrossVector => {
                // A kernel is symmetric: as a column, the vector lies along the direction of the SIMD lanes.
                cross_into(kernel, z, MatRef::from_row_major_slice(&self.rows, 1, x.ncols()), out.rb_mut(), par)?;
            }
            Task::Cross => cross_into(kernel, x, z, out.rb_mut(), par)?,
            Task::Gram => gram_into(kernel, x, out.rb_mut(), par)?,
            Task::Diag => diag_into(kernel, x, column(out.rb_mut()))?,
            Task::Matmul => matmul_into(kernel, x, z, self.weights.as_ref(), out.rb_mut(), par)?,
            Task::GramGradient => {
                self.gradients = Some(gram_vjp(kernel, x, self.weights.as_ref(), GradientRequest::PARAMETERS, par)?);
            }
            Task::GramGradientInputs => {
                self.gradients = Some(gram_vjp(kernel, x, self.weights.as_ref(), GradientRequest::ALL, par)?);
            }
            Task::CrossGradient => {
                self.gradients = Some(cross_vjp(kernel, x, z, self.weights.as_ref(), GradientRequest::ALL, par)?);
            }
        }
        std::hint::black_box((out, &self.gradients));
        Ok(())
    }

    /// What the last run has written: a matrix, or a vector as a column; empty for gradients.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::testkit::{Task, Workload};
    ///
    /// let (kernel, x) = (Linear::new(2.0), mat![[1.0], [3.0]]);
    /// let cross = Workload::new(Task::Cross, &kernel, x.as_ref(), x.as_ref().subrows(1, 1))?;
    /// assert_eq!(cross.output(), mat![[6.0], [18.0]]);
    /// let gradient = Workload::new(Task::GramGradient, &kernel, x.as_ref(), x.as_ref())?;
    /// assert_eq!(gradient.output().nrows(), 0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn output(&self) -> MatRef<'_, T> {
        self.output.as_ref()
    }

    /// The gradients of the last run, where the task is a gradient.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::testkit::{Task, Workload, points};
    ///
    /// let (kernel, x) = (2.0 * Rbf::new(1.0), points::<f64>(10, 3, 1));
    /// let work = Workload::new(Task::GramGradientInputs, &kernel, x.as_ref(), x.as_ref())?;
    /// let gradients = work.gradients().unwrap();
    /// assert_eq!(gradients.theta.len(), 2);
    /// assert_eq!(gradients.x.as_ref().map(|x| x.shape()), Some((10, 3)));
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn gradients(&self) -> Option<&Gradients<T>> {
        self.gradients.as_ref()
    }
}

/// The one column of a matrix that was allocated by columns.
fn column<T: Scalar>(out: MatMut<'_, T>) -> &mut [T] {
    match out.col_mut(0).try_as_col_major_mut() {
        Some(column) => column.as_slice_mut(),
        None => &mut [],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algebra::registry;
    use crate::testkit::{few_dims, points_for};
    use crate::{Expr, KernelExt};

    #[test]
    fn every_example_of_the_registry_has_its_workloads() {
        for (name, kernel) in registry::all() {
            let dim = few_dims(&kernel);
            let (x, z) = (points_for::<f64>(&kernel, 9, dim, 1), points_for::<f64>(&kernel, 5, dim, 2));
            let (x, z) = (x.as_ref(), z.as_ref());
            let all = Workload::all(&kernel, x, z).unwrap();
            assert_eq!(all.len(), if kernel.properties().differentiable { 9 } else { 6 }, "{name}");
        }
    }

    #[test]
    fn tasks_compute_what_they_say() {
        let kernel = crate::kernels::Matern52::new(0.9);
        let (x, z) = (points::<f64>(9, 2, 1), points::<f64>(5, 2, 2));
        let (x, z) = (x.as_ref(), z.as_ref());
        let of = |task| Workload::new(task, &kernel, x, z).unwrap();
        let cross = kernel.cross(x, z).unwrap();
        assert_eq!(of(Task::Cross).output(), cross);
        let vector = kernel.cross_vector(&[x[(0, 0)], x[(0, 1)]], z).unwrap();
        assert_eq!(of(Task::CrossVector).output().col(0).iter().copied().collect::<Vec<_>>(), vector);
        let diag = kernel.diag(x).unwrap();
        assert_eq!(of(Task::Diag).output().col(0).iter().copied().collect::<Vec<_>>(), diag);
        let product = of(Task::Matmul);
        assert_eq!(product.output(), kernel.matmul(x, z, product.weights.as_ref()).unwrap());
        let gradient = of(Task::CrossGradient);
        let expected = kernel.cross_vjp(x, z, gradient.weights.as_ref(), GradientRequest::ALL).unwrap();
        assert_eq!(gradient.gradients().unwrap().z, expected.z);
        assert!(Workload::new(Task::Gram, &kernel, x.subrows(0, 0), z).is_err());
    }
}
