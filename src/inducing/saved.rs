//! Inducing features in files.

use std::any::Any;
use std::sync::{Arc, RwLock};

use faer::Mat;

use super::box_basis::{Axis, Combination, Waves};
use super::prior::{Factor, Prior};
use super::{
    Basis, FourierFeatures, GraphFeatures, HilbertFeatures, InducingFeatures, InducingPoints,
    SphericalHarmonicFeatures, StoredPrior,
};
use crate::graph::Laplacian;
use crate::save::registry::{self, Kind, Part, PartOf};
use crate::save::{FromValue, Load, Lower, Node, Numbers, Place, Reader, Save, Value, Writer};
use crate::scalar::ByPrecision;
use crate::sphere::SphericalHarmonics;
use crate::{Error, Result, Scalar};

/// Has files know inducing features of one's own, by their [`NAME`](Save::NAME): in programs that save posteriors with them,
/// and in those that load them.
///
/// # Errors
///
/// [`Error::Setting`] for the name of other features.
///
/// # Examples
///
/// ```
/// use mercer::inducing::{InducingPoints, register};
///
/// // Those of the crate are known.
/// register::<InducingPoints>()?;
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn register<F: InducingFeatures + Load>() -> Result<()> {
    registry::register::<Arc<dyn AnyBasis>, F>()
}

/// Features at either precision.
pub(crate) trait AnyBasis: Basis<f32> + Basis<f64> {}

impl<B: Basis<f32> + Basis<f64>> AnyBasis for B {}

impl Kind for Arc<dyn AnyBasis> {
    const WHAT: &'static str = "set of inducing features";
    const REGISTER: &'static str = "mercer::inducing::register";

    fn built_in() -> Vec<Part<Self>> {
        vec![
            Part::of::<FourierFeatures>(),
            Part::of::<GraphFeatures>(),
            Part::of::<HilbertFeatures>(),
            Part::of::<InducingPoints>(),
            Part::of::<SphericalHarmonicFeatures>(),
        ]
    }

    fn registered() -> &'static RwLock<Vec<Part<Self>>> {
        static REGISTERED: RwLock<Vec<Part<Arc<dyn AnyBasis>>>> = RwLock::new(Vec::new());
        &REGISTERED
    }
}

impl<F: InducingFeatures> PartOf<Arc<dyn AnyBasis>> for F {
    fn boxed(self) -> Arc<dyn AnyBasis> {
        Arc::new(self)
    }
}

impl<T: Scalar> Value for dyn Basis<T> {
    fn node(&self) -> Result<Node> {
        let part: &dyn Any = self;
        registry::node::<Arc<dyn AnyBasis>>(part, &self.called())
    }
}

impl<T: Scalar> FromValue for Arc<dyn Basis<T>> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Ok(T::select::<At>(registry::read::<Arc<dyn AnyBasis>>(place)?))
    }
}

/// Features at one precision.
struct At;

impl ByPrecision for At {
    type Input<T: Scalar> = Arc<dyn AnyBasis>;
    type Output<T: Scalar> = Arc<dyn Basis<T>>;

    fn f32(features: Arc<dyn AnyBasis>) -> Arc<dyn Basis<f32>> {
        features
    }

    fn f64(features: Arc<dyn AnyBasis>) -> Arc<dyn Basis<f64>> {
        features
    }
}

impl Save for InducingPoints {
    const NAME: &'static str = "points";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("inputs", &self.inputs())
    }
}

impl Load for InducingPoints {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let inputs: Mat<f64> = from.take("inputs")?;
        Self::new(inputs.as_ref())
    }
}

/// More frequencies of a coordinate than this are more features than there may be.
const MOST_FREQUENCIES: f64 = 1e6;

impl Waves {
    fn write(&self, to: &mut Writer) -> Result<()> {
        let of = |get: fn(&Axis) -> f64| self.axes().iter().map(get).collect::<Vec<f64>>();
        to.put("lower", of(|axis| axis.lower).as_slice())?;
        to.put("upper", of(|axis| axis.upper).as_slice())?;
        to.put("frequencies", of(|axis| axis.frequencies as f64).as_slice())
    }
}

/// Intervals and the numbers of frequencies on them.
struct Axes {
    intervals: Vec<(f64, f64)>,
    frequencies: Vec<usize>,
}

fn read_axes(from: &mut Reader<'_>) -> Result<Axes> {
    let (Numbers(lower), Numbers(upper), Numbers(frequencies)) =
        (from.take("lower")?, from.take("upper")?, from.take("frequencies")?);
    if lower.len() != upper.len() {
        return Err(Error::shape("the upper ends", format!("{} value(s)", lower.len()), (upper.len(), 1)));
    }
    let whole = |count: f64| (0.0..=MOST_FREQUENCIES).contains(&count) && count.fract() == 0.0;
    if let Some(count) = frequencies.iter().find(|count| !whole(**count)) {
        return Err(Error::setting("the number of frequencies", count, "must be a whole number, at most 1000000"));
    }
    let frequencies = frequencies.into_iter().map(|count| count as usize).collect();
    Ok(Axes { intervals: lower.into_iter().zip(upper).collect(), frequencies })
}

impl Save for FourierFeatures {
    const NAME: &'static str = "fourier";

    fn write(&self, to: &mut Writer) -> Result<()> {
        self.waves.write(to)?;
        to.put("product", &(self.waves.combination() == Combination::Product))
    }
}

impl Load for FourierFeatures {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let Axes { intervals, frequencies } = read_axes(from)?;
        let of = if from.take("product")? { Self::product } else { Self::additive };
        of(&intervals, &frequencies)
    }
}

impl Save for HilbertFeatures {
    const NAME: &'static str = "hilbert";

    fn write(&self, to: &mut Writer) -> Result<()> {
        self.waves.write(to)
    }
}

impl Load for HilbertFeatures {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let Axes { intervals, frequencies } = read_axes(from)?;
        Self::new(&intervals, &frequencies)
    }
}

impl Save for GraphFeatures {
    const NAME: &'static str = "graph";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("laplacian", &self.laplacian.matrix())?;
        to.put("eigenvectors", &self.len)
    }
}

impl Load for GraphFeatures {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Self::new(&Laplacian::from_matrix(from.take("laplacian")?)?, from.take("eigenvectors")?)
    }
}

impl Save for SphericalHarmonicFeatures {
    const NAME: &'static str = "spherical_harmonics";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("dim", &self.harmonics().dim())?;
        to.put("harmonics", &self.harmonics().counts())?;
        to.put("nugget", &self.nugget())
    }
}

impl Load for SphericalHarmonicFeatures {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let counts: Vec<usize> = from.take("harmonics")?;
        Self::of(SphericalHarmonics::with_counts(from.take("dim")?, &counts)?)?.with_nugget(from.take("nugget")?)
    }
}

impl<T: Scalar> Value for StoredPrior<T> {
    fn node(&self) -> Result<Node> {
        let Prior { parameter, factor, basis_scale, white, jitter, has_remainder } = &self.0;
        Writer::map(|to| {
            to.put("parameter", parameter)?;
            match factor {
                Factor::Lower { lower, .. } => to.put("lower", &Lower(lower))?,
                Factor::Diagonal(variances) => to.put("diagonal", variances)?,
                Factor::LowRank { diagonal, columns, lower } => {
                    to.put("diagonal", diagonal)?;
                    to.put("columns", columns)?;
                    to.put("lower", &Lower(lower))?;
                }
            }
            to.put_optional("basis_scale", basis_scale.as_ref())?;
            to.put_optional("white", white.as_ref())?;
            to.put("jitter", jitter)?;
            to.put("has_remainder", has_remainder)
        })
    }
}

impl<T: Scalar> FromValue for StoredPrior<T> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let lower: Option<Lower<Mat<T>>> = from.take_optional("lower")?;
            let diagonal: Option<Mat<T>> = from.take_optional("diagonal")?;
            let columns: Option<Mat<T>> = from.take_optional("columns")?;
            let factor = match (lower, diagonal, columns) {
                (Some(Lower(lower)), None, None) => Factor::Lower { lower, covariance: None },
                (None, Some(variances), None) => Factor::Diagonal(variances),
                (Some(Lower(lower)), Some(diagonal), Some(columns)) => Factor::LowRank { diagonal, columns, lower },
                _ => return Err(from.error("has no factor of a covariance that is known")),
            };
            let prior = Prior {
                parameter: from.take("parameter")?,
                factor,
                basis_scale: from.take_optional("basis_scale")?,
                white: from.take_optional("white")?,
                jitter: from.take("jitter")?,
                has_remainder: from.take("has_remainder")?,
            };
            check(&prior)?;
            Ok(Self(prior))
        })
    }
}

/// Refuses matrices that do not go together.
fn check<T: Scalar>(prior: &Prior<Mat<T>>) -> Result<()> {
    let m = len(prior);
    let fit = |what: &str, found: (usize, usize), expected: (usize, usize)| {
        let is = || format!("{} x {}", expected.0, expected.1);
        if found == expected { Ok(()) } else { Err(Error::shape(what, is(), found)) }
    };
    match &prior.factor {
        Factor::Lower { .. } => {}
        Factor::Diagonal(variances) => fit("the diagonal", variances.shape(), (m, 1))?,
        Factor::LowRank { diagonal, columns, lower } => {
            fit("the diagonal", diagonal.shape(), (m, 1))?;
            fit("the columns", columns.shape(), (m, lower.nrows()))?;
        }
    }
    if let Some(scale) = &prior.basis_scale {
        fit("the scale of the basis", scale.shape(), (m, 1))?;
    }
    if let Some(white) = &prior.white {
        fit("the variance of white noise", white.shape(), (1, 1))?;
    }
    if m == 0 { Err(Error::Empty { what: "the list of inducing features".to_owned() }) } else { Ok(()) }
}

/// M.
fn len<T: Scalar>(prior: &Prior<Mat<T>>) -> usize {
    match &prior.factor {
        Factor::Lower { lower, .. } => lower.nrows(),
        Factor::Diagonal(variances) => variances.nrows(),
        Factor::LowRank { diagonal, .. } => diagonal.nrows(),
    }
}

impl<T: Scalar> StoredPrior<T> {
    /// M.
    pub(crate) fn len(&self) -> usize {
        len(&self.0)
    }
}
