//! The variational distribution of the inducing variables.

mod divergence;
mod record;
mod root;
#[cfg(feature = "serde")]
mod saved;

pub(super) use divergence::excess;

use faer::{Mat, MatRef};

use crate::optim::NaturalGradient;
use crate::params::{Constraint, ParameterArray, Parameterized, ParameterizedExt, Shape, Visitor, VisitorMut};
use crate::{Error, Result};

/// q = N(m, S), the distribution of M inducing variables, with S one of
///
/// | made by | S | parameters | cost for a batch of B |
/// |---|---|---|---|
/// | [`new`](Self::new) | RRᵀ, R lower triangular | M + M(M + 1)/2 | O(B·M²) |
/// | [`diagonal`](Self::diagonal) | diag(d²) | 2M | O(B·M) |
/// | [`low_rank`](Self::low_rank) | diag(d²) + VVᵀ, V of M × r | M(2 + r) | O(B·M·r) |
///
/// beside the O(B·M²) of a dense K_uu, which they all share.
///
/// The variables are the whitened v = L⁻¹u, K_uu = LLᵀ, whose prior is N(0, I); after
/// [`unwhitened`](Self::unwhitened), the inducing variables u themselves, whose prior is N(0, K_uu).
/// Either way they are those of the process less its mean function.
///
/// # Parameters
///
/// | name | symbol | constraint |
/// |---|---|---|
/// | `mean[i]` | m | any finite number |
/// | `deviation[i]` | d | positive |
/// | `factor[i, j]` | R (i ≥ j alone) or V | any finite number; the signs of the diagonal of R and of the columns of V do not matter |
///
/// # Examples
///
/// ```
/// use mercer::gp::Variational;
/// use mercer::prelude::*;
///
/// let full = Variational::new(&[0.5, -1.0], mat![[1.0, 0.0], [0.3, 2.0]].as_ref())?;
/// assert_eq!(full.get("factor[1, 0]")?, 0.3);
/// assert_eq!(full.num_params(), 5);
/// assert_eq!(full.covariance(), mat![[1.0, 0.3], [0.3, 4.09]]);
///
/// let low_rank = Variational::low_rank(&[0.5, -1.0], &[1.0, 2.0], mat![[3.0], [1.0]].as_ref())?;
/// assert_eq!(low_rank.covariance(), mat![[10.0, 3.0], [3.0, 5.0]]);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// Hensman, Matthews & Ghahramani (2015), *Scalable variational Gaussian process classification*,
/// AISTATS 18, for the whitened and the full form; Ong, Nott & Smith (2018), *Gaussian variational
/// approximation with a factor covariance structure*, Journal of Computational and Graphical
/// Statistics 27, for the low-rank one.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "variational distribution", alias = "whitening")]
pub struct Variational {
    mean: ParameterArray,
    covariance: Covariance,
    whitened: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Covariance {
    Full { factor: ParameterArray },
    Diagonal { deviation: ParameterArray },
    LowRank { deviation: ParameterArray, factor: ParameterArray },
}

impl Variational {
    /// A mean and a lower triangular factor R; what stands above its diagonal is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the factor is not square, of the mean's length; [`Error::Parameter`] for
    /// a value that is not finite; [`Error::Empty`] for no variables.
    pub fn new(mean: &[f64], factor: MatRef<'_, f64>) -> Result<Self> {
        let m = mean.len();
        check_factor(factor, m, m)?;
        let packed = (0..m).flat_map(|col| (col..m).map(move |row| factor[(row, col)])).collect();
        let factor = ParameterArray::new("factor", packed, Shape::Triangle(m), Constraint::Real)?;
        Self::with_covariance(mean, Covariance::Full { factor })
    }

    /// A mean and standard deviations d of independent variables: mean-field.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is not a deviation for each mean; [`Error::Parameter`] for a mean
    /// that is not finite or a deviation that is not positive and finite; [`Error::Empty`] for no
    /// variables.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Variational;
    /// use mercer::prelude::*;
    ///
    /// let q = Variational::diagonal(&[0.0, 1.0], &[0.5, 2.0])?;
    /// assert_eq!(q.covariance(), mat![[0.25, 0.0], [0.0, 4.0]]);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn diagonal(mean: &[f64], deviation: &[f64]) -> Result<Self> {
        let deviation = deviations(deviation, mean.len())?;
        Self::with_covariance(mean, Covariance::Diagonal { deviation })
    }

    /// A mean, deviations d, and a factor V with a row for each variable: the diagonal takes care of
    /// what the columns of V leave, and S has an inverse whatever they are.
    ///
    /// # Errors
    ///
    /// As [`diagonal`](Self::diagonal), and [`Error::Shape`] if V does not have M rows.
    pub fn low_rank(mean: &[f64], deviation: &[f64], factor: MatRef<'_, f64>) -> Result<Self> {
        let (m, rank) = (mean.len(), factor.ncols());
        check_factor(factor, m, rank)?;
        let deviation = deviations(deviation, m)?;
        let factor = ParameterArray::of_matrix("factor", factor, Constraint::Real)?;
        Self::with_covariance(mean, Covariance::LowRank { deviation, factor })
    }

    /// The prior N(0, I) of the whitened variables, in the full form.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] for no variables.
    pub fn prior(m: usize) -> Result<Self> {
        Self::new(&vec![0.0; m], Mat::identity(m, m).as_ref())
    }

    /// The prior N(0, I) of the whitened variables, in the diagonal form.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] for no variables.
    pub fn diagonal_prior(m: usize) -> Result<Self> {
        Self::diagonal(&vec![0.0; m], &vec![1.0; m])
    }

    /// The prior N(0, I) of the whitened variables, in the form of a rank: a start from which V can
    /// move, as it cannot from 0, where the gradient in it vanishes.
    ///
    /// Each column of V has one entry, 0.6, in a row of its own whose deviation is 0.8.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] for no variables; [`Error::Setting`] for a rank of 0 or above m.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::Variational;
    /// use mercer::prelude::*;
    ///
    /// let q = Variational::low_rank_prior(5, 2)?;
    /// assert!((q.covariance() - Mat::<f64>::identity(5, 5)).norm_max() < 1e-15);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn low_rank_prior(m: usize, rank: usize) -> Result<Self> {
        if m > 0 && !(1..=m).contains(&rank) {
            return Err(Error::setting("the rank", rank, &format!("must be from 1 to the number of variables, {m}")));
        }
        let mut deviation = vec![1.0; m];
        let mut factor = Mat::zeros(m, rank);
        for col in 0..rank.min(m) {
            let row = col * m / rank;
            deviation[row] = 0.8;
            factor[(row, col)] = 0.6;
        }
        Self::low_rank(&vec![0.0; m], &deviation, factor.as_ref())
    }

    /// The same mean and covariance, now of the inducing variables u rather than the whitened ones.
    #[must_use]
    pub fn unwhitened(mut self) -> Self {
        self.whitened = false;
        self
    }

    /// Whether this is the distribution of the whitened variables.
    pub fn is_whitened(&self) -> bool {
        self.whitened
    }

    /// The number of inducing variables.
    pub fn len(&self) -> usize {
        self.mean.values().len()
    }

    /// Whether there are no variables: never, as constructed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The mean m.
    pub fn mean(&self) -> &[f64] {
        self.mean.values()
    }

    /// The covariance S, M × M.
    pub fn covariance(&self) -> Mat<f64> {
        let (deviation, factor) = match &self.covariance {
            Covariance::Full { factor } => (None, unpacked(factor)),
            Covariance::Diagonal { deviation } => (Some(deviation), Mat::zeros(self.len(), 0)),
            Covariance::LowRank { deviation, factor } => (Some(deviation), unpacked(factor)),
        };
        let mut covariance = &factor * factor.transpose();
        for (i, d) in deviation.iter().flat_map(|deviation| deviation.values()).enumerate() {
            covariance[(i, i)] += d * d;
        }
        covariance
    }

    /// A lower triangular R with S = RRᵀ.
    ///
    /// A column of V is turned into the triangle by rotations, row by row, whose errors are relative to the row: S, in
    /// which a small deviation is lost beside V, is not formed.
    pub(super) fn lower_root(&self) -> Mat<f64> {
        let deviation = match &self.covariance {
            Covariance::Full { factor } => return unpacked(factor),
            Covariance::Diagonal { deviation } | Covariance::LowRank { deviation, .. } => deviation.values(),
        };
        let m = deviation.len();
        let mut root = Mat::from_fn(m, m, |row, col| if row == col { deviation[row] } else { 0.0 });
        let Covariance::LowRank { factor, .. } = &self.covariance else { return root };
        for mut column in unpacked(factor).col_iter().map(|column| column.to_owned()) {
            for pivot in 0..m {
                let radius = root[(pivot, pivot)].hypot(column[pivot]);
                let (cos, sin) = (root[(pivot, pivot)] / radius, column[pivot] / radius);
                for row in pivot..m {
                    let (left, right) = (root[(row, pivot)], column[row]);
                    root[(row, pivot)] = cos * left + sin * right;
                    column[row] = cos * right - sin * left;
                }
            }
        }
        root
    }

    /// R, of a full covariance; `None` of another.
    pub fn factor(&self) -> Option<Mat<f64>> {
        match &self.covariance {
            Covariance::Full { factor } => Some(unpacked(factor)),
            _ => None,
        }
    }

    /// A step along the natural gradient, from the gradients of what is maximised in the parameters in
    /// visiting order; returns the rate that it was taken with.
    pub(super) fn natural_step(&mut self, rule: &NaturalGradient, number: usize, gradient: &[f64]) -> Result<f64> {
        let m = self.len();
        let Some(mut factor) = self.factor() else { return Err(self.not_full()) };
        let mut values = self.mean().to_vec();
        let (d_mean, d_factor) = gradient.split_at(m.min(gradient.len()));
        let d_factor = lower_triangle(d_factor, m);
        let rate = rule.step(number, &mut values, &mut factor, d_mean, d_factor.as_ref())?;
        (0..m).for_each(|col| values.extend_from_slice(&factor.col_as_slice(col)[col..]));
        self.set_values(&values)?;
        Ok(rate)
    }

    /// Refuses what natural gradients do not move: a q that is not full, or not all free.
    pub(super) fn check_natural(&self) -> Result<()> {
        let Covariance::Full { factor } = &self.covariance else { return Err(self.not_full()) };
        let free = |parameter: &ParameterArray, name| parameter.view(name).free().iter().all(|&free| free);
        if free(&self.mean, "mean") && free(factor, "factor") {
            return Ok(());
        }
        let expected = "natural gradients move the whole of q: unfreeze `variational`";
        Err(Error::setting("a parameter of q", "frozen", expected))
    }

    fn not_full(&self) -> Error {
        let form = if matches!(self.covariance, Covariance::Diagonal { .. }) { "diagonal" } else { "low-rank" };
        Error::setting("the covariance of q", form, "natural gradients need a full one, of `Variational::new`")
    }

    fn with_covariance(mean: &[f64], covariance: Covariance) -> Result<Self> {
        if mean.is_empty() {
            return Err(Error::Empty { what: "the variational mean".to_owned() });
        }
        let mean = ParameterArray::new("mean", mean.to_vec(), Shape::Vector(mean.len()), Constraint::Real)?;
        Ok(Self { mean, covariance, whitened: true })
    }
}

fn check_factor(factor: MatRef<'_, f64>, rows: usize, cols: usize) -> Result<()> {
    let found = (factor.nrows(), factor.ncols());
    if found == (rows, cols) {
        return Ok(());
    }
    Err(Error::shape("the variational factor", format!("{rows} x {cols}"), found))
}

fn deviations(values: &[f64], m: usize) -> Result<ParameterArray> {
    if values.len() != m {
        return Err(Error::shape("the variational deviation", format!("{m} value(s)"), (values.len(), 1)));
    }
    ParameterArray::new("deviation", values.to_vec(), Shape::Vector(m), Constraint::Positive)
}

/// The matrix of a factor.
fn unpacked(factor: &ParameterArray) -> Mat<f64> {
    match factor.shape() {
        Shape::Triangle(m) => lower_triangle(factor.values(), m),
        _ => factor.as_matrix().to_owned(),
    }
}

/// The m × m matrix with these entries of its lower triangle, by columns.
fn lower_triangle(packed: &[f64], m: usize) -> Mat<f64> {
    let mut matrix = Mat::zeros(m, m);
    let mut rest = packed.iter();
    for col in 0..m {
        matrix.col_as_slice_mut(col)[col..].iter_mut().zip(&mut rest).for_each(|(entry, &value)| *entry = value);
    }
    matrix
}

impl Parameterized for Variational {
    fn name(&self) -> &str {
        ""
    }

    fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.parameter(self.mean.view("mean"));
        match &self.covariance {
            Covariance::Full { factor } => visitor.parameter(factor.view("factor")),
            Covariance::Diagonal { deviation } => visitor.parameter(deviation.view("deviation")),
            Covariance::LowRank { deviation, factor } => {
                visitor.parameter(deviation.view("deviation"));
                visitor.parameter(factor.view("factor"));
            }
        }
    }

    fn visit_mut(&mut self, visitor: &mut dyn VisitorMut) {
        visitor.parameter(self.mean.view_mut("mean"));
        match &mut self.covariance {
            Covariance::Full { factor } => visitor.parameter(factor.view_mut("factor")),
            Covariance::Diagonal { deviation } => visitor.parameter(deviation.view_mut("deviation")),
            Covariance::LowRank { deviation, factor } => {
                visitor.parameter(deviation.view_mut("deviation"));
                visitor.parameter(factor.view_mut("factor"));
            }
        }
    }
}
