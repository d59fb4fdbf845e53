//! Psi statistics of any kernel, from weighted nodes of N(0, I).

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::expectations::{GaussianInputs, KernelExpectations, PsiStatistics};
use crate::kernel::{GradientRequest, Gradients, Kernel, cross_into, cross_vjp, diag_into, diag_vjp};
use crate::likelihood::GaussHermite;
use crate::params::ParameterizedExt;
use crate::tape::{KernelVar, Tape, Value, Var};
use crate::{Error, Result};

/// The most nodes of a product rule: beyond, draws are better.
const MOST: usize = 100_000;

/// Expectations of any kernel by nodes ξₛ with weights ωₛ: E g(x) ≈ Σₛ ωₛ g(μ + √S ∘ ξₛ), a quadrature or a sum over draws.
///
/// The nodes are fixed when they are made, so that bounds are smooth and reproducible, and their gradients those
/// of what is computed.
///
/// # Accuracy
///
/// A bound with expectations by nodes is one to their error only, and can exceed log p(Y); what is optimised makes use
/// of that error. To check, take the fitted model with a rule of higher order, or with other and more draws: if the values
/// differ by more than matters, fit with that. The error grows with the variances S in units of the squared
/// lengthscale, and the rougher the kernel: fitted with order 8 to 25 noisy rows of 3 outputs, a [`Matern12`](crate::kernels::Matern12)
/// has a bound that is 0.9 too high, and at order 30 one 0.1 too low; a [`Matern52`](crate::kernels::Matern52) one that is
/// off by 10⁻⁴.
///
/// ```
/// use mercer::gp::BayesianGplvm;
/// use mercer::gp::gplvm::Nodes;
/// use mercer::prelude::*;
///
/// let (y, s) = (mat![[-1.0], [0.1], [1.2]], Mat::full(3, 1, 0.5));
/// let model = BayesianGplvm::new(Matern12::new(0.5), y.as_ref(), s.as_ref(), y.as_ref())?.with_noise(0.1)?;
/// let with = |order| model.clone().with_expectations(Nodes::gauss_hermite(order, 1)?).objective(&y);
/// assert_eq!(with(8)?, model.objective(&y)?);
/// let off = |order| Ok::<f64, Error>((with(order)?.value - with(150)?.value).abs());
/// assert!(off(8)? > 0.02 && off(50)? < 0.5 * off(8)?);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # Complexity
///
/// For R nodes, R evaluations of an N × M covariance and products of O(R·N·M²); twice to three times as much for
/// gradients. O(N·M + M²) memory: nothing is kept for each node.
///
/// # Examples
///
/// Two nodes in each dimension are exact for the linear kernel, whose products are of degree 2:
///
/// ```
/// use mercer::gp::gplvm::{GaussianInputs, KernelExpectations, Nodes};
/// use mercer::prelude::*;
/// use mercer::tape::Tape;
///
/// let (kernel, nodes) = (Linear::new(1.0), Nodes::gauss_hermite(2, 1)?);
/// let tape = Tape::new(Par::Seq);
/// let inputs = GaussianInputs { mean: tape.constant_owned(mat![[3.0]]), variance: tape.constant_owned(mat![[0.25]]) };
/// let z = tape.constant_owned(mat![[2.0]]);
/// let psi = nodes.record(&tape, tape.kernel(&kernel)?, inputs, z)?;
/// assert!((tape.scalar(psi.psi0)? - (9.0 + 0.25)).abs() < 1e-14);
/// assert!((tape.scalar(psi.psi1)? - 3.0 * 2.0).abs() < 1e-14);
/// assert!((tape.scalar(psi.psi2)? - (9.0 + 0.25) * 4.0).abs() < 1e-13);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Nodes {
    /// ξ, R × Q
    pub(super) nodes: Mat<f64>,
    /// ω
    pub(super) weights: Vec<f64>,
}

impl Nodes {
    /// The Gauss–Hermite rule of an order in each of so many dimensions: `order`^`dim` nodes, exact for
    /// polynomials of degree up to 2·`order` − 1 in each coordinate.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for an order or a dimension of 0, or more than 10⁵ nodes: take [`monte_carlo`](Self::monte_carlo) then.
    pub fn gauss_hermite(order: usize, dim: usize) -> Result<Self> {
        let rule = GaussHermite::new(order)?;
        let count = u32::try_from(dim).ok().and_then(|dim| order.checked_pow(dim)).filter(|&count| count <= MOST);
        let (Some(count), true) = (count, dim > 0) else {
            let expected =
                "must have one dimension or more, and at most 100000 nodes; beyond, take `Nodes::monte_carlo`";
            return Err(Error::setting("the quadrature", format!("of order {order} in {dim} dimension(s)"), expected));
        };
        let digit = |index: usize, q: usize| index / order.pow(q as u32) % order;
        let nodes = Mat::from_fn(count, dim, |index, q| rule.nodes()[digit(index, q)]);
        let weight = |index| (0..dim).map(|q| rule.weights()[digit(index, q)]).product();
        Ok(Self { nodes, weights: (0..count).map(weight).collect() })
    }

    /// Draws from N(0, I), and their negatives: `pairs` of them, so that expectations of odd functions are exact.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for 0 pairs or a dimension of 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::gplvm::Nodes;
    /// use rand::SeedableRng;
    ///
    /// let draw = |seed| Nodes::monte_carlo(100, 2, &mut rand_pcg::Pcg64::seed_from_u64(seed));
    /// assert_eq!(draw(1)?, draw(1)?);
    /// assert_ne!(draw(1)?, draw(2)?);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn monte_carlo(pairs: usize, dim: usize, rng: &mut (impl Rng + ?Sized)) -> Result<Self> {
        if pairs == 0 || dim == 0 {
            let found = format!("{pairs} pair(s) of draws in {dim} dimension(s)");
            return Err(Error::setting("the Monte Carlo estimate", found, "must have at least one of both"));
        }
        let mut nodes = Mat::zeros(2 * pairs, dim);
        for pair in 0..pairs {
            for q in 0..dim {
                let draw: f64 = rng.sample(StandardNormal);
                (nodes[(2 * pair, q)], nodes[(2 * pair + 1, q)]) = (draw, -draw);
            }
        }
        Ok(Self { nodes, weights: vec![0.5 / pairs as f64; 2 * pairs] })
    }

    /// R, the number of nodes.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether there are none: never.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The inputs at each node, with its weight and its row.
    fn inputs<'s>(&'s self, data: &'s Data<'_>) -> impl Iterator<Item = (Mat<f64>, f64, usize)> + 's {
        let (mean, variance) = (data.mean.as_mat(), data.variance.as_mat());
        self.weights.iter().enumerate().map(move |(index, &weight)| {
            let at = |n: usize, q: usize| mean[(n, q)] + variance[(n, q)].sqrt() * self.nodes[(index, q)];
            (Mat::from_fn(mean.nrows(), mean.ncols(), at), weight, index)
        })
    }
}

/// The operands, held for the way back.
struct Data<'a> {
    kernel: &'a dyn Kernel<f64>,
    mean: Value<'a, f64>,
    variance: Value<'a, f64>,
    z: Value<'a, f64>,
    par: Par,
}

impl KernelExpectations for Nodes {
    fn record<'t, 'a>(
        &'a self,
        tape: &'t Tape<'a, f64>,
        kernel: KernelVar<'t, 'a, f64>,
        inputs: GaussianInputs<'t>,
        z: Var<'t, f64>,
    ) -> Result<PsiStatistics<'t>> {
        let (n, dim) = tape.shape(inputs.mean)?;
        if dim != self.nodes.ncols() {
            let found = format!("in {} dimension(s)", self.nodes.ncols());
            return Err(Error::setting(
                "the nodes of expectations",
                found,
                &format!("must be in {dim}, as the inputs are"),
            ));
        }
        let m = tape.shape(z)?.0;
        let data = Data {
            kernel: kernel.kernel(),
            mean: tape.value(inputs.mean)?,
            variance: tape.value(inputs.variance)?,
            z: tape.value(z)?,
            par: tape.par(),
        };
        let stacked = stacked(self, &data)?;
        let operands = [kernel.theta(), inputs.mean, inputs.variance, z];
        let stacked = tape.fallible(&operands, stacked, Box::new(move |c| pull(self, &data, c)));
        Ok(PsiStatistics {
            psi1: stacked.rows(0..n),
            psi2: stacked.rows(n..n + m),
            psi0: stacked.rows(n + m..n + m + 1).sum(),
        })
    }
}

/// Ψ₁ above Ψ₂ above a row of ψ₀ and zeros: one value, so that a node is evaluated once for all three.
fn stacked(nodes: &Nodes, data: &Data<'_>) -> Result<Mat<f64>> {
    let (n, m) = (data.mean.as_mat().nrows(), data.z.as_mat().nrows());
    let mut stacked = Mat::zeros(n + m + 1, m);
    let (mut cross, mut diag) = (Mat::zeros(n, m), vec![0.0; n]);
    for (x, weight, _) in nodes.inputs(data) {
        cross_into(data.kernel, x.as_ref(), data.z.as_mat(), cross.as_mut(), data.par)?;
        diag_into(data.kernel, x.as_ref(), &mut diag)?;
        let mut psi1 = stacked.as_mut().subrows_mut(0, n);
        psi1 += faer::Scale(weight) * &cross;
        let psi2 = stacked.as_mut().subrows_mut(n, m);
        matmul(psi2, Accum::Add, cross.transpose(), cross.as_ref(), weight, data.par);
        stacked[(n + m, 0)] += weight * diag.iter().sum::<f64>();
    }
    Ok(stacked)
}

/// For each operand, what the statistics' cotangents give it: dL/dK = ω (C₁ + K (C₂ + C₂ᵀ)) at each node.
fn pull(nodes: &Nodes, data: &Data<'_>, c: MatRef<'_, f64>) -> Result<Vec<Option<Mat<f64>>>> {
    let (mean, variance, z) = (data.mean.as_mat(), data.variance.as_mat(), data.z.as_mat());
    let ((n, dim), m) = ((mean.nrows(), mean.ncols()), z.nrows());
    let (in_psi1, in_psi2) = (c.subrows(0, n), c.subrows(n, m));
    let in_psi2 = in_psi2 + in_psi2.transpose();
    let mut theta = vec![0.0; data.kernel.num_params()];
    let (mut in_mean, mut in_variance, mut in_z) = (Mat::zeros(n, dim), Mat::zeros(n, dim), Mat::zeros(m, dim));
    let (mut cross, mut cotangent) = (Mat::zeros(n, m), Mat::zeros(n, m));
    let wanted = GradientRequest { x: true, z: false };
    for (x, weight, index) in nodes.inputs(data) {
        cross_into(data.kernel, x.as_ref(), z, cross.as_mut(), data.par)?;
        cotangent.copy_from(faer::Scale(weight) * in_psi1);
        matmul(cotangent.as_mut(), Accum::Add, cross.as_ref(), in_psi2.as_ref(), weight, data.par);
        let of_cross = cross_vjp(data.kernel, x.as_ref(), z, cotangent.as_ref(), GradientRequest::ALL, data.par)?;
        let of_diag = diag_vjp(data.kernel, x.as_ref(), &vec![weight * c[(n + m, 0)]; n], wanted)?;
        in_z += of_cross.z.as_ref().unwrap_or(&Mat::zeros(m, dim));
        for Gradients { theta: in_theta, x: in_x, .. } in [of_cross, of_diag] {
            theta.iter_mut().zip(in_theta).for_each(|(sum, amount)| *sum += amount);
            let Some(in_x) = in_x else { continue };
            for q in 0..dim {
                for row in 0..n {
                    in_mean[(row, q)] += in_x[(row, q)];
                    in_variance[(row, q)] += 0.5 * in_x[(row, q)] * nodes.nodes[(index, q)] / variance[(row, q)].sqrt();
                }
            }
        }
    }
    let theta = Mat::from_fn(theta.len(), 1, |row, _| theta[row]);
    Ok(vec![Some(theta), Some(in_mean), Some(in_variance), Some(in_z)])
}
