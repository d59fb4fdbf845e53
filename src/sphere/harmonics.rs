//! Real orthonormal spherical harmonics in any dimension.

use std::ops::Range;

use faer::{Mat, MatMut, MatRef};

use super::block::{Backward, Block, Forward};
use super::level::{Level, WIDTH};
use super::measure::harmonics_of_degree;
use crate::simd::dispatch;
use crate::{Error, Result, Scalar};

/// The highest degree whose recurrences stay within the range of `f64`.
const HIGHEST_DEGREE: usize = 1000;

/// The real orthonormal spherical harmonics on the unit sphere S^{d−1} in d ≥ 2 dimensions, of some degrees.
///
/// # Definition
///
/// Functions Y_{l,i} with ∫ Y_{l,i} Y_{l',i'} dω = δ over the sphere, N(d, l) of each degree l
/// ([`harmonics_of_degree`]), eigenfunctions of the Laplacian for −l (l + d − 2). By nesting: a harmonic
/// of degree l in k dimensions is, for m ≤ l,
///
/// Y_{l,m,i}(x) = p_{l−m}^{m+α}(cos θ) sin^m θ · Y_{m,i}(ξ), x = (ξ sin θ, cos θ), α = (k − 2)/2,
///
/// with normalised Gegenbauer polynomials p and the harmonics Y_{m,i} in one dimension less; on the circle
/// they are 1/√2π, sin(mφ)/√π, cos(mφ)/√π. The polar axis is the last coordinate; φ is counted from the first
/// to the second.
///
/// # Order and signs
///
/// Rows go by degree. Within a degree:
///
/// - d = 2: sin(lφ), cos(lφ);
/// - d = 3: m = −l, …, l, where m < 0 has sin(|m|φ) and m > 0 cos(mφ), with the Condon–Shortley phase
///   (−1)^m: Y_1 = √(3/4π) (−y, z, −x);
/// - d ≥ 4: by m and within it as in one dimension less, without a phase.
///
/// # Off the sphere
///
/// Values are those of the direction x/|x|, and gradients those of this extension: orthogonal to x.
///
/// # Accuracy and cost
///
/// Recurrences in polynomials of the coordinates, without angles, in `f64` at either precision. Nothing
/// is divided by a sine: poles are no special place for values or gradients. The factor sin^m θ and the
/// polynomial, of which one underflows where the other is huge, carry opposite powers of two: degrees to
/// 1000 stay in range. The error relative to √(N(d, l)/|S|) is a few times l units of rounding, and l²/2 of
/// them within 1/l of a pole, where a unit in the last coordinate changes the value by so much. O(M) time for a point, with 8 points side by side, and O(M) scratch; on the sphere in
/// three dimensions, M = (l_max + 1)².
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
/// use mercer::sphere::SphericalHarmonics;
///
/// let harmonics = SphericalHarmonics::new(3, 8)?;
/// assert_eq!(harmonics.len(), 81);
///
/// let x = mat![[0.6, 0.0, 0.8], [0.0, 0.0, 5.0]];
/// let y = harmonics.values(x.as_ref())?;
/// // Y₁₀ = √(3/4π) z, and the addition theorem Σ_m Y_lm(x)² = (2l + 1)/4π.
/// let unit = (3.0 / (4.0 * std::f64::consts::PI)).sqrt();
/// assert!((y[(2, 0)] - unit * 0.8).abs() < 1e-15 && (y[(2, 1)] - unit).abs() < 1e-15);
/// let squares: f64 = harmonics.rows(8).map(|row| y[(row, 0)] * y[(row, 0)]).sum();
/// assert!((squares - 17.0 / (4.0 * std::f64::consts::PI)).abs() < 1e-14);
/// # Ok::<(), mercer::Error>(())
/// ```
///
/// # References
///
/// For the nested construction: J. Avery & J. S. Avery (2018), *Hyperspherical Harmonics and Their Physical
/// Applications*, World Scientific. For keeping the power of the sine apart: S. A. Holmes & W. E. Featherstone (2002),
/// "A unified approach to the Clenshaw summation and the recursive computation of very high degree and order normalised
/// associated Legendre functions", *Journal of Geodesy* 76, 279–299,
/// [doi:10.1007/s00190-002-0216-2](https://doi.org/10.1007/s00190-002-0216-2). As inducing features: V. Dutordoir, N.
/// Durrande & J. Hensman (2020), "Sparse Gaussian processes with spherical harmonic features", *ICML*,
/// [doi:10.48550/arXiv.2006.16649](https://doi.org/10.48550/arXiv.2006.16649).
#[derive(Clone, Debug)]
pub struct SphericalHarmonics {
    dim: usize,
    /// Of each degree, which functions are kept.
    kept: Vec<Range<usize>>,
    /// From three dimensions up.
    levels: Vec<Level>,
    /// The highest order on the circle.
    order: usize,
    /// Where the block has each function.
    places: Vec<usize>,
    degrees: Vec<usize>,
}

/// Which harmonics of a degree are kept, of so many at most; `None` if all are, and cannot be counted.
fn kept_of(dim: usize, degree: usize, most: usize) -> Option<Range<usize>> {
    let (count, capped) = match harmonics_of_degree(dim, degree) {
        Some(count) => (count, count.min(most)),
        None if most < usize::MAX => (usize::MAX, most),
        None => return None,
    };
    if capped == 0 {
        return Some(0..0);
    }
    let first = if dim == 3 { (count - capped).div_ceil(2) } else { 0 };
    Some(first..first + capped)
}

impl SphericalHarmonics {
    /// The harmonics of the degrees from 0 to `l_max` on the sphere in `dim` dimensions.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for less than 2 dimensions, a degree above 1000, or more functions than can be
    /// counted.
    pub fn new(dim: usize, l_max: usize) -> Result<Self> {
        let degrees: Vec<usize> = (0..=l_max.min(HIGHEST_DEGREE + 1)).collect();
        Self::with_degrees(dim, &degrees)
    }

    /// The harmonics of these degrees, which are taken in ascending order and once each.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`Error::Empty`] if there are no degrees.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::sphere::SphericalHarmonics;
    ///
    /// let even = SphericalHarmonics::with_degrees(4, &[0, 2, 4])?;
    /// assert_eq!(even.len(), 1 + 9 + 25);
    /// assert_eq!(even.degrees()[10], 4);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_degrees(dim: usize, degrees: &[usize]) -> Result<Self> {
        Self::with_at_most(dim, degrees, usize::MAX)
    }

    /// The harmonics of these degrees, at most so many of each: in three dimensions those of the lowest |m|,
    /// otherwise the first.
    ///
    /// Fewer than all of a degree are not closed under rotations; what is made of them depends on the
    /// axes.
    ///
    /// # Errors
    ///
    /// As [`with_degrees`](Self::with_degrees), and [`Error::Setting`] if there are to be none.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::sphere::SphericalHarmonics;
    ///
    /// let some = SphericalHarmonics::with_at_most(9, &[0, 1, 2, 3, 4, 5], 20)?;
    /// assert_eq!(some.len(), 1 + 9 + 4 * 20);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn with_at_most(dim: usize, degrees: &[usize], most: usize) -> Result<Self> {
        if dim < 2 {
            return Err(Error::setting("the dimension of the sphere's space", dim, "must be at least 2"));
        }
        if most == 0 {
            return Err(Error::setting("the most harmonics of a degree", most, "must be at least 1"));
        }
        let Some(&highest) = degrees.iter().max() else {
            return Err(Error::Empty { what: "the list of degrees".to_owned() });
        };
        if highest > HIGHEST_DEGREE {
            return Err(Error::setting("the degree", highest, "must be at most 1000"));
        }
        let uncountable = || {
            Error::setting("the degree", highest, "has more harmonics than can be counted; give a cap, or a lower one")
        };
        let mut kept = vec![0..0; highest + 1];
        for &degree in degrees {
            kept[degree] = kept_of(dim, degree, most).ok_or_else(uncountable)?;
        }
        Self::assemble(dim, kept).ok_or_else(uncountable)
    }

    /// How many harmonics of each degree there are.
    #[cfg(feature = "serde")]
    pub(crate) fn counts(&self) -> Vec<usize> {
        self.kept.iter().map(ExactSizeIterator::len).collect()
    }

    /// As many of each degree as [`counts`](Self::counts) gave.
    #[cfg(feature = "serde")]
    pub(crate) fn with_counts(dim: usize, counts: &[usize]) -> Result<Self> {
        const MOST: usize = 1_000_000;
        let total = counts.iter().try_fold(0usize, |sum, &count| sum.checked_add(count));
        let fits = (2..=10_000).contains(&dim) && total.is_some_and(|total| (1..=MOST).contains(&total));
        let each = counts.iter().enumerate().take(HIGHEST_DEGREE + 1);
        let kept: Option<Vec<Range<usize>>> =
            if fits { each.map(|(degree, &count)| kept_of(dim, degree, count)).collect() } else { None };
        let made = kept.and_then(|kept| Self::assemble(dim, kept)).filter(|made| made.counts() == counts);
        made.ok_or_else(|| {
            let expected = "must be some of those that there are, of degrees up to 1000, and 1000000 at most";
            Error::setting("the numbers of harmonics", format!("{} in {dim} dimension(s)", counts.len()), expected)
        })
    }

    fn assemble(dim: usize, kept: Vec<Range<usize>>) -> Option<Self> {
        let total = kept.iter().try_fold(0usize, |sum, range| sum.checked_add(range.len()))?;
        // A row takes a column of 8 numbers of scratch.
        total.checked_mul(8 * WIDTH).filter(|&bytes| bytes < isize::MAX as usize)?;
        let each = kept.iter().enumerate();
        let degrees = each.flat_map(|(degree, range)| std::iter::repeat_n(degree, range.len())).collect();
        let (mut levels, mut below) = (Vec::new(), kept.clone());
        for dim in (3..=dim).rev() {
            let level = Level::new(dim, &below);
            below = level.kept_below();
            levels.push(level);
        }
        levels.reverse();
        // On the circle, the block has the functions of all degrees.
        let on_circle = |(degree, range): (usize, &Range<usize>)| {
            let first = (2 * degree).saturating_sub(1);
            range.clone().map(move |index| first + index)
        };
        let places =
            if dim == 2 { kept.iter().enumerate().flat_map(on_circle).collect() } else { (0..total).collect() };
        Some(Self { dim, order: below.len() - 1, kept, levels, places, degrees })
    }

    /// M, the number of functions.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.degrees.len()
    }

    /// d, the dimension of the space that the sphere is in.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The highest degree.
    pub fn l_max(&self) -> usize {
        self.kept.len() - 1
    }

    /// The degree of each function, in order: what spreads a coefficient for each degree over the functions.
    pub fn degrees(&self) -> &[usize] {
        &self.degrees
    }

    /// The rows of a degree's functions, which are none for a degree that is not there.
    pub fn rows(&self, degree: usize) -> Range<usize> {
        let start = self.degrees.partition_point(|&other| other < degree);
        start..self.degrees.partition_point(|&other| other <= degree)
    }

    /// The M × n values for n points, the rows of an n × d matrix.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the points do not have d columns; [`Error::NonFinite`]; [`Error::Setting`] for a
    /// zero vector, which has no direction.
    pub fn values<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Mat<T>> {
        let mut out = Mat::zeros(self.len(), x.nrows());
        self.values_into(x, out.as_mut())?;
        Ok(out)
    }

    /// As [`values`](Self::values), into an M × n matrix.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values), and [`Error::Shape`] if the output does not fit; it is then untouched.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::sphere::SphericalHarmonics;
    ///
    /// let (x, mut out) = (mat![[0.0f32, 1.0]], Mat::zeros(3, 1));
    /// SphericalHarmonics::new(2, 1)?.values_into(x.as_ref(), out.as_mut())?;
    /// let height = (1.0 / std::f64::consts::PI.sqrt()) as f32;
    /// assert_eq!((out[(1, 0)], out[(2, 0)]), (height, 0.0)); // sin φ, cos φ at φ = π/2
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn values_into<T: Scalar>(&self, x: MatRef<'_, T>, mut out: MatMut<'_, T>) -> Result<()> {
        self.check_points(x)?;
        self.check_shape("the output", x.nrows(), (out.nrows(), out.ncols()))?;
        let mut block = self.block();
        for start in (0..x.nrows()).step_by(WIDTH) {
            let width = WIDTH.min(x.nrows() - start);
            block.load(x.subrows(start, width));
            dispatch(Forward(&mut block));
            for lane in 0..width {
                for (row, &place) in self.places.iter().enumerate() {
                    out[(row, start + lane)] = T::from_f64(block.values()[place][lane]);
                }
            }
        }
        Ok(())
    }

    /// The n × d gradient in the points of Σ W ∘ Y, for an M × n matrix W of cotangents.
    ///
    /// Each row is orthogonal to its point: see above, off the sphere. With the values, a primitive for
    /// [`Tape::custom`](crate::tape::Tape::custom). O(M) time for a point, about three
    /// times that of the values.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values), and [`Error::Shape`] if the cotangents are not M × n.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    /// use mercer::sphere::SphericalHarmonics;
    ///
    /// // Y₁₀ = √(3/4π) z/|x|, at x = (2, 0, 0): the derivative in z is √(3/4π)/2.
    /// let harmonics = SphericalHarmonics::new(3, 1)?;
    /// let w = mat![[0.0], [0.0], [1.0], [0.0]];
    /// let gradient = harmonics.vjp(mat![[2.0, 0.0, 0.0]].as_ref(), w.as_ref())?;
    /// let expected = 0.5 * (3.0 / (4.0 * std::f64::consts::PI)).sqrt();
    /// assert!((gradient[(0, 2)] - expected).abs() < 1e-15);
    /// assert_eq!(gradient[(0, 0)], 0.0);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn vjp<T: Scalar>(&self, x: MatRef<'_, T>, cotangent: MatRef<'_, T>) -> Result<Mat<T>> {
        self.check_points(x)?;
        self.check_shape("the cotangent", x.nrows(), (cotangent.nrows(), cotangent.ncols()))?;
        let (mut block, mut gradient) = (self.block(), Mat::zeros(x.nrows(), self.dim));
        for start in (0..x.nrows()).step_by(WIDTH) {
            let width = WIDTH.min(x.nrows() - start);
            block.load(x.subrows(start, width));
            let cotangents = block.cotangents();
            for lane in 0..width {
                for (row, &place) in self.places.iter().enumerate() {
                    cotangents[place][lane] = cotangent[(row, start + lane)].as_f64();
                }
            }
            dispatch(Backward(&mut block));
            for (dim, lanes) in block.gradient().iter().enumerate() {
                (0..width).for_each(|lane| gradient[(start + lane, dim)] = T::from_f64(lanes[lane]));
            }
        }
        Ok(gradient)
    }

    fn block(&self) -> Block<'_> {
        Block::new(self.dim, self.order, &self.levels)
    }

    fn check_shape(&self, what: &str, points: usize, found: (usize, usize)) -> Result<()> {
        if found == (self.len(), points) {
            return Ok(());
        }
        Err(Error::shape(what, format!("{} x {points}", self.len()), found))
    }

    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()> {
        if x.ncols() != self.dim {
            return Err(Error::shape("x", format!("{} column(s)", self.dim), (x.nrows(), x.ncols())));
        }
        for row in 0..x.nrows() {
            let point = (0..self.dim).map(|col| x[(row, col)].as_f64());
            if let Some((col, value)) = point.clone().enumerate().find(|(_, value)| !value.is_finite()) {
                return Err(Error::NonFinite { what: "x".to_owned(), row, col, value });
            }
            if point.into_iter().all(|value| value == 0.0) {
                let needed = "a point needs a direction; leave the row out, or lift the points to the sphere";
                return Err(Error::setting(&format!("x[{row}]"), "the zero vector", needed));
            }
        }
        Ok(())
    }
}
