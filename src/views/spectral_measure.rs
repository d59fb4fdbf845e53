//! The spectrum of a stationary kernel, to draw frequencies from.

use faer::{Mat, MatRef};
use rand::Rng;

use super::matern::of_manhattan_distance;
use super::spectral_density::has_none;
use super::{constants, of_coordinates};
use crate::kernel::{Expr, FrequencyLaw, Structure, no_spectrum};
use crate::params::ParameterizedExt;
use crate::{Error, Result};

/// Of a power and of an additive kernel, whose number of terms grows as a power.
const MAX_TERMS: usize = 1000;

/// The spectral measure of a stationary kernel k(x − y) on points of this dimension, which it can read: its spectrum, to
/// draw frequencies from.
///
/// # Errors
///
/// [`Error::NoSpectrum`] names the subexpression that has none, or for which it is not known.
///
/// # Examples
///
/// See [`SpectralMeasure`].
pub fn spectral_measure(kernel: &dyn Expr, dim: usize) -> Result<SpectralMeasure> {
    let refused = || Err(no_spectrum(kernel));
    match kernel.structure() {
        Structure::Leaf(views) if views.constant => match constants(kernel).first() {
            Some(value) if value.value >= 0.0 => Ok(SpectralMeasure::constant(dim).scaled(value.value)),
            _ => refused(),
        },
        Structure::Leaf(views) => match views.spectral.and_then(|view| view.frequencies(dim)) {
            Some((law, scales)) => Ok(SpectralMeasure::of(law, &scales)),
            None => refused(),
        },
        Structure::Same(kernel) | Structure::Boxed(kernel) => spectral_measure(kernel, dim),
        Structure::Scaled(factor, _) if factor < 0.0 => refused(),
        Structure::Scaled(factor, kernel) => Ok(spectral_measure(kernel, dim)?.scaled(factor)),
        Structure::Sum(parts) => {
            let none = SpectralMeasure::constant(dim).scaled(0.0);
            let mut terms = parts.iter().map(|term| spectral_measure(term, dim));
            let Some(first) = terms.next() else { return Ok(none) };
            terms.try_fold(first?, |sum, term| Ok(sum.plus(term?)))
        }
        Structure::Product(parts) => parts.iter().try_fold(SpectralMeasure::constant(dim), |product, factor| {
            Ok(product.times(&spectral_measure(factor, dim)?))
        }),
        Structure::Power(exponent, inner) => {
            let factor = spectral_measure(inner, dim)?;
            // Each factor multiplies the number of terms, and of frequencies in each.
            let terms = (exponent as usize).checked_mul(factor.terms()).filter(|&terms| terms <= MAX_TERMS);
            let (Some(_), true) = (terms, exponent <= 16 || factor.terms() == 1) else { return refused() };
            Ok((0..exponent).fold(SpectralMeasure::constant(dim), |product, _| product.times(&factor)))
        }
        Structure::Warped(warp, inner) => {
            let theta = constants(kernel);
            let Some(rows) = warp.matrix(&theta[..warp.num_params()], dim) else { return refused() };
            let matrix = Mat::from_fn(rows.len(), dim, |row, col| rows[row][col].value);
            let measure = spectral_measure(inner, matrix.nrows())?;
            let along_axes = warp.keeps_axes();
            Ok(if along_axes { measure.mapped_along_axes(matrix.as_ref()) } else { measure.mapped(matrix.as_ref()) })
        }
        Structure::Distance(Some(norm), inner) if dim == 1 || (norm == 2.0 && inner.properties().isotropic) => {
            spectral_measure(inner, dim)
        }
        Structure::Distance(Some(1.0), inner) if has_none(inner) => {
            let theta = constants(inner);
            let Some(axes) = of_manhattan_distance(inner, &theta, dim) else { return refused() };
            let one = SpectralMeasure::constant(dim);
            Ok(axes.enumerate().fold(one, |product, (column, (variance, lengthscale))| {
                let of_axis =
                    SpectralMeasure::of(FrequencyLaw::StudentT { degrees: 1.0 }, &[lengthscale.value.recip()]);
                product.times(&of_axis.scaled(variance.value).of_column(column, dim))
            }))
        }
        Structure::Additive(bases) => {
            let theta = constants(kernel);
            let (variances, parts) = of_coordinates(bases, &theta, dim);
            // e_m ← e_m + z_d e_{m−1}, from e_0 = 1.
            let mut sums =
                vec![SpectralMeasure { terms: Vec::new(), ..SpectralMeasure::constant(dim) }; variances.len() + 1];
            sums[0] = SpectralMeasure::constant(dim);
            for (column, (base, _)) in parts.enumerate() {
                let of_base = spectral_measure(base, 1)?.of_column(column, dim);
                for order in (1..sums.len()).rev() {
                    sums[order] = sums[order].clone().plus(sums[order - 1].clone().times(&of_base));
                }
                if sums.iter().map(SpectralMeasure::terms).sum::<usize>() > MAX_TERMS {
                    return refused();
                }
            }
            let weighted = sums.into_iter().skip(1).zip(variances).map(|(sum, variance)| sum.scaled(variance.value));
            let none = SpectralMeasure::constant(dim).scaled(0.0);
            Ok(weighted.reduce(SpectralMeasure::plus).unwrap_or(none))
        }
        _ => refused(),
    }
}

/// The spectral measure of a stationary kernel, as a sum of terms whose frequencies can be drawn.
///
/// # Definition
///
/// k(x − y) = Σ_t v_t E cos(ω_tᵀ(x − y)), with variances v_t ≥ 0 and random angular frequencies ω_t: Bochner's
/// theorem. A sum of kernels has the terms of each; a product has, for each pair of terms, the product of
/// their variances and the sum of their independent frequencies; and k(Ax − Ay) has the frequencies Aᵀω.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::views::spectral_measure;
/// use rand::SeedableRng;
///
/// let kernel = 2.0 * Rbf::new([0.5, 2.0]) * Matern32::new(1.0).on([0]) + 0.5;
/// let measure = spectral_measure(&kernel, 2)?;
/// assert_eq!((measure.terms(), measure.variance()), (2, 2.5));
///
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let (frequencies, variances) = measure.draw(4000, &mut rng)?;
/// let wave = |j: usize| (0.3 * frequencies[(0, j)] - 0.4 * frequencies[(1, j)]).cos();
/// let found: f64 = (0..4000).map(|j| variances[j] * wave(j)).sum();
/// let exact: f64 = kernel.eval(&[0.3, 0.0], &[0.0, 0.4])?;
/// assert!((found - exact).abs() < 3.0 * 2.0 / 4000f64.sqrt());
///
/// let error = spectral_measure(&(Rbf::new(1.0) + Linear::new(2.0)), 2).unwrap_err();
/// assert!(error.to_string().contains("`linear(variance=2)`"));
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// A. Rahimi & B. Recht (2007), "Random features for large-scale kernel machines", *Advances in Neural
/// Information Processing Systems* 20; Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*,
/// section 4.2.1.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralMeasure {
    dim: usize,
    terms: Vec<Term>,
    /// Whether all maps have columns along an axis, whatever the parameters are.
    along_axes: bool,
}

/// v and what ω is the sum of.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    variance: f64,
    parts: Vec<Part>,
}

/// A map of random frequencies: Bz, with B of one row for each dimension of the points.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    law: FrequencyLaw,
    map: Mat<f64>,
}

impl SpectralMeasure {
    /// That of a constant 1: the frequency 0.
    pub fn constant(dim: usize) -> Self {
        Self { dim, terms: vec![Term { variance: 1.0, parts: Vec::new() }], along_axes: true }
    }

    /// That of a kernel of variance 1 with frequencies z_d · scale_d.
    pub fn of(law: FrequencyLaw, scales: &[f64]) -> Self {
        let dim = scales.len();
        let map = Mat::from_fn(dim, dim, |row, col| if row == col { scales[row] } else { 0.0 });
        Self { dim, terms: vec![Term { variance: 1.0, parts: vec![Part { law, map }] }], along_axes: true }
    }

    /// That of the kernel times a factor, which is not negative.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        self.terms.iter_mut().for_each(|term| term.variance *= factor);
        self
    }

    /// That of the sum of two kernels on points of the same dimension.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.terms.extend(other.terms);
        self.along_axes &= other.along_axes;
        self
    }

    /// That of the product of two kernels on points of the same dimension.
    #[must_use]
    pub fn times(self, other: &Self) -> Self {
        let product = |a: &Term, b: &Term| Term {
            variance: a.variance * b.variance,
            parts: a.parts.iter().chain(&b.parts).cloned().collect(),
        };
        let terms = self.terms.iter().flat_map(|a| other.terms.iter().map(move |b| product(a, b))).collect();
        Self { dim: self.dim, terms, along_axes: self.along_axes && other.along_axes }
    }

    /// That of k(Ax, Ay), for a matrix with as many rows as the kernel's points have dimensions.
    #[must_use]
    pub fn mapped(self, a: MatRef<'_, f64>) -> Self {
        Self { along_axes: false, ..self.mapped_along_axes(a) }
    }

    /// The same for a matrix that [keeps axes](crate::warp::WarpExpr::keeps_axes).
    pub(crate) fn mapped_along_axes(mut self, a: MatRef<'_, f64>) -> Self {
        self.dim = a.ncols();
        let parts = self.terms.iter_mut().flat_map(|term| &mut term.parts);
        parts.for_each(|part| part.map = a.transpose() * &part.map);
        self
    }

    /// That of a kernel on one coordinate, on points of this dimension.
    fn of_column(self, column: usize, dim: usize) -> Self {
        self.mapped_along_axes(Mat::from_fn(1, dim, |_, col| if col == column { 1.0 } else { 0.0 }).as_ref())
    }

    /// The dimension D of the points.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The number of terms.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// k(0) = Σ v_t
    pub fn variance(&self) -> f64 {
        self.terms.iter().map(|term| term.variance).sum()
    }

    /// v and w of k(r) = v exp(−½ Σ_d w_d r_d²), if that is what the kernel is whatever its parameters are: one term, of
    /// normal frequencies, along the axes. A kernel that could turn has gradients that w does not.
    pub(crate) fn squared_exponential(&self) -> Option<(f64, Vec<f64>)> {
        let [Term { variance, parts }] = &self.terms[..] else { return None };
        let along_axes = self.along_axes || self.dim == 1;
        if !along_axes || parts.iter().any(|part| part.law != FrequencyLaw::Normal) {
            return None;
        }
        let precision = |d| parts.iter().map(|part| part.map.row(d).squared_norm_l2()).sum();
        Some((*variance, (0..self.dim).map(precision).collect()))
    }

    /// So many frequencies ω_j, one a column of a D × count matrix, and variances w_j with
    /// E Σ_j w_j cos(ω_jᵀr) = k(r), exactly, and Σ_j w_j = k(0). Each term gets a share of them by its variance, and
    /// at least one.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for fewer frequencies than there are terms of positive variance.
    pub fn draw(&self, count: usize, rng: &mut (impl Rng + ?Sized)) -> Result<(Mat<f64>, Vec<f64>)> {
        let terms: Vec<&Term> = self.terms.iter().filter(|term| term.variance > 0.0).collect();
        if count < terms.len().max(1) {
            let expected = format!("must be at least {}, one for each term of the spectrum", terms.len().max(1));
            return Err(Error::setting("the number of frequencies", count, &expected));
        }
        let (mut frequencies, mut variances) = (Mat::zeros(self.dim, count), vec![0.0; count]);
        let (mut start, mut left) = (0, self.variance());
        for (index, term) in terms.iter().enumerate() {
            // What later terms need at least stays for them.
            let (rest, later) = (count - start, terms.len() - index - 1);
            let share = (rest as f64 * term.variance / left).round() as usize;
            let share = if later == 0 { rest } else { share.clamp(1, rest - later) };
            variances[start..start + share].fill(term.variance / share as f64);
            for part in &term.parts {
                let mut z = Mat::zeros(part.map.ncols(), share);
                (0..share).try_for_each(|col| part.law.draw(z.col_as_slice_mut(col), rng))?;
                let mut of_term = frequencies.as_mut().subcols_mut(start, share);
                of_term += &part.map * z;
            }
            start += share;
            left -= term.variance;
        }
        Ok((frequencies, variances))
    }
}

#[cfg(test)]
mod tests {
    use super::spectral_measure;
    use crate::prelude::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    /// Σ w cos(ωᵀr) over many frequencies. Its standard error is at most k(0)/√(2·count)·√(1 + …) < k(0)/√count.
    fn check(kernel: &DynKernel, dim: usize) {
        let count = 20_000;
        let measure = spectral_measure(kernel, dim).unwrap();
        let (frequencies, variances) = measure.draw(count, &mut Pcg64::seed_from_u64(3)).unwrap();
        let height: f64 = kernel.eval(&vec![0.0; dim], &vec![0.0; dim]).unwrap();
        assert!((variances.iter().sum::<f64>() - height).abs() < 1e-12 * height);
        for far in [0.2, 0.7, 2.0] {
            let r: Vec<f64> = (0..dim).map(|d| far * (1.0 - 0.6 * d as f64) / (dim as f64).sqrt()).collect();
            let wave = |j: usize| (0..dim).map(|d| frequencies[(d, j)] * r[d]).sum::<f64>().cos();
            let found: f64 = (0..count).map(|j| variances[j] * wave(j)).sum();
            let expected: f64 = kernel.eval(&r, &vec![0.0; dim]).unwrap();
            assert!(
                (found - expected).abs() < 4.0 * height / (count as f64).sqrt(),
                "{kernel}, {dim}: {found} {expected}"
            );
        }
    }

    /// For the Matérn kernels, a t of independent coordinates would be off by more than ten errors in 2 dimensions.
    #[test]
    fn frequencies_have_the_kernel_in_any_dimension() {
        for dim in [1, 2, 5] {
            for kernel in [
                Rbf::new(0.8).dynamic(),
                Matern12::new(0.9).dynamic(),
                Matern32::new(0.7).dynamic(),
                Matern52::new(0.7).dynamic(),
                Matern::new(1.1, 0.8).dynamic(),
                RationalQuadratic::new(0.6, 0.4).dynamic(),
                Cosine::new(2.5).dynamic(),
            ] {
                check(&kernel, dim);
            }
        }
    }

    #[test]
    fn expressions_have_the_spectrum_of_their_structure() {
        check(&(0.3 * Rbf::new([0.5, 1.5]) + 2.0 * Matern32::new(0.7) + 0.2).dynamic(), 2);
        check(&(2.0 * Rbf::new(0.8).on([1]) * Cosine::new(1.5).on([0]) * Matern12::new(3.0)).dynamic(), 2);
        check(&(Matern52::new(1.0).ard([0.4, 0.9]).linear_map(mat![[1.0, 0.5], [0.0, 2.0]]).stretch(1.3)).dynamic(), 2);
    }

    #[test]
    fn distances_and_additive_kernels_have_those_of_their_coordinates() {
        use crate::combine::{MetricRadial, Norm};
        let distance = |norm| 1.3 * MetricRadial::new(norm, 0.5 * Matern12::new(0.9));
        check(&distance(Norm::Manhattan).dynamic(), 3);
        check(&distance(Norm::Euclidean).dynamic(), 3);
        check(&distance(Norm::Chebyshev).dynamic(), 1);
        check(&(0.3 * Rbf::new(0.7) + 0.1).additive([0.5, 0.2, 1.5]).dynamic(), 3);
        assert!(spectral_measure(&distance(Norm::Chebyshev), 2).is_err());
        let noisy = MetricRadial::new(Norm::Manhattan, Matern12::new(0.9) + White::new(0.3));
        assert!(spectral_measure(&noisy, 2).is_err());
        let far = spectral_measure(&Rbf::new(0.7).additive([0.5, 0.2]), 60).unwrap_err().to_string();
        assert!(far.contains("`additive(rbf(lengthscale=0.7), "), "{far}");
    }

    #[test]
    fn what_has_none_is_named() {
        let told = |kernel: DynKernel, count| {
            let measure = spectral_measure(&kernel, 1);
            measure.and_then(|m| m.draw(count, &mut Pcg64::seed_from_u64(0))).unwrap_err().to_string()
        };
        assert!(told((Rbf::new(1.0) + 2.0 * Periodic::new(1.0, 3.0)).dynamic(), 9).contains("`periodic("));
        assert!(told((Rbf::new(1.0) * White::new(0.1)).dynamic(), 9).contains("`white("));
        assert!(told(Rbf::new(1.0).log_warp(0.5).dynamic(), 9).contains("`log_warp("));
        assert!(told((Rbf::new(1.0) - Rbf::new(2.0)).dynamic(), 9).contains("rbf(lengthscale=2)"));
        assert!(told((Rbf::new(1.0) + Rbf::new(2.0)).dynamic(), 1).contains("at least 2"));
    }
}
