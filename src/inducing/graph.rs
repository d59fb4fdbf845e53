//! Eigenvectors of the Laplacian of a graph.

use faer::{Mat, MatRef};

use super::variances::Variances;
use super::{InducingFeatures, InducingPrior};
use crate::graph::Laplacian;
use crate::kernel::index::{checked_index, index};
use crate::kernel::{Expr, text};
use crate::linalg::Jitter;
use crate::params::ParameterizedExt;
use crate::tape::{KernelVar, Tape, Var};
use crate::views::{graph_weights, graph_weights_vjp};
use crate::{Error, Result, Scalar};

/// The smoothest eigenvectors of a graph's Laplacian: u_k = φ_kᵀ f, for f on its nodes and the M smallest eigenvalues.
///
/// # Definition
///
/// For a kernel on the nodes that is diagonal in the eigenvectors, K = Σ_k w_k φ_k φ_kᵀ
/// ([`graph_weights`]), K_uu = diag(w_0, …, w_{M−1}) and K_uf = w_k φ_k(i) at node i. These are
/// coefficients of f, so what is left of the variance is that of the other eigenvectors, and bounds hold; with all of
/// them the process is exact.
///
/// # Which kernels
///
/// [`GraphHeat`](crate::kernels::GraphHeat) and [`GraphMatern`](crate::kernels::GraphMatern) on the same Laplacian,
/// times numbers, and sums of them.
///
/// # Complexity
///
/// Beside what q costs, O(n) for the weights of n nodes and O(M·B) for a batch of B a step, and the variances of the
/// kernel at the batch: those kernels make their matrix of all nodes for them, in O(n³).
///
/// # Examples
///
/// ```
/// use mercer::gp::{ExactGp, Svgp};
/// use mercer::inducing::GraphFeatures;
/// use mercer::kernels::Laplacian;
/// use mercer::optim::NaturalGradient;
/// use mercer::prelude::*;
///
/// let edges: Vec<_> = (0..19).map(|i| (i, i + 1, 1.0)).collect();
/// let path = Laplacian::from_edges(20, &edges)?;
/// let kernel = GraphMatern::new(path.clone(), 1.5, 3.0);
/// let (x, y) = (mat![[2.0], [7.0], [15.0]], [0.5, 1.0, -0.3]);
/// let data = Data::new(&x, &y);
/// let evidence = ExactGp::new(kernel.clone()).objective(&data)?;
///
/// let bound = |features: usize| {
///     let mut sparse = Svgp::with_features(kernel.clone(), GraphFeatures::new(&path, features)?)?;
///     sparse.natural_step(&data.part_of(3), &NaturalGradient::default())?;
///     Ok::<_, Error>(sparse.objective(&data)?.value)
/// };
/// assert!(bound(5)? < evidence);
/// assert!((bound(20)? - evidence).abs() < 1e-12);
///
/// let other = Laplacian::from_edges(2, &[(0, 1, 1.0)])?;
/// assert!(Svgp::with_features(kernel.clone(), GraphFeatures::new(&other, 2)?).is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// V. Borovitskiy et al. (2021), "Matérn Gaussian processes on graphs", *AISTATS*, <https://arxiv.org/abs/2010.15538>.
#[derive(Clone, Debug)]
pub struct GraphFeatures {
    pub(super) laplacian: Laplacian,
    pub(super) len: usize,
}

crate::parameterized!(GraphFeatures as "graph", parameters: []);

impl GraphFeatures {
    /// So many eigenvectors of a Laplacian, those of the smallest eigenvalues.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for none, or more than there are nodes.
    pub fn new(laplacian: &Laplacian, features: usize) -> Result<Self> {
        let nodes = laplacian.nodes();
        if !(1..=nodes).contains(&features) {
            let expected = format!("must be from 1 to the number of nodes, {nodes}");
            return Err(Error::setting("the number of eigenvectors", features, &expected));
        }
        Ok(Self { laplacian: laplacian.clone(), len: features })
    }

    /// The graph.
    pub fn laplacian(&self) -> &Laplacian {
        &self.laplacian
    }

    /// w of the eigenvectors.
    fn variances<'a>(&'a self, kernel: &'a dyn Expr) -> Result<Variances<'a>> {
        let mut values = graph_weights(kernel, &self.laplacian).ok_or_else(|| {
            let expected = "must be `GraphHeat` or `GraphMatern` on the Laplacian of the features, times numbers, or a sum of such";
            Error::setting("the kernel of graph features", text(kernel), expected)
        })?;
        values.truncate(self.len);
        let vjp = |cotangent: &[f64]| {
            let (mut all, mut theta) = (cotangent.to_vec(), vec![0.0; kernel.num_params()]);
            all.resize(self.laplacian.nodes(), 0.0);
            graph_weights_vjp(kernel, &self.laplacian, &all, &mut theta);
            Ok(theta)
        };
        Ok(Variances { values, vjp: Box::new(vjp) })
    }
}

impl InducingFeatures for GraphFeatures {
    fn len(&self) -> usize {
        self.len
    }

    fn dim(&self) -> usize {
        1
    }

    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()> {
        kernel.inputs(1)?;
        self.variances(kernel).map(drop)
    }

    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()> {
        let nodes = self.laplacian.nodes();
        match (0..x.nrows()).find(|&row| index(x[(row, 0)], nodes).is_none()) {
            None => Ok(()),
            Some(row) => {
                let expected = format!("it is the index of a node: a whole number, at least 0 and below {nodes}");
                Err(Error::setting(&format!("x[{row}, 0]"), x[(row, 0)].as_f64(), &expected))
            }
        }
    }

    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        _: Jitter,
    ) -> Result<InducingPrior<'t, T>> {
        let variances = self.variances(kernel.kernel())?.record(tape, kernel);
        Ok(InducingPrior::diagonal(parameter, variances).with_basis_scale(variances))
    }

    fn basis<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        self.check_points(x)?;
        let vectors = self.laplacian.eigenvectors();
        let entry = |k, row| T::from_f64(vectors[(checked_index(x[(row, 0)]), k)]);
        Ok(Some(Mat::from_fn(self.len, x.nrows(), entry)))
    }

    /// Nodes differ in their neighbours.
    fn is_homogeneous(&self) -> bool {
        false
    }
}
