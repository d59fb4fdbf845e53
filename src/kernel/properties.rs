//! What is known of a kernel as a function of two points.

use super::Psd;

/// What holds of a kernel, at its present hyperparameters.
///
/// Nothing is taken for granted: what a kernel does not say does not hold. The laws of [`testkit`](crate::docs) try what
/// it does say.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 2.0 * Rbf::new(1.0);
/// assert_eq!(kernel.properties().psd, Psd::Always);
/// assert!(kernel.properties().isotropic);
/// assert!(!kernel.properties().zonal); // as points of another length have other values
/// assert!(mercer::views::ZonalSpectrum::new(3, 4)?.coefficients(&kernel).is_ok()); // on a sphere, there are none
/// assert_eq!((kernel - Rbf::new(1.0)).properties().psd, Psd::Unknown);
/// assert!(!Linear::new(1.0).properties().stationary);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Properties {
    /// In which dimensions of the input the kernel is positive semi-definite.
    pub psd: Psd,
    /// Whether k(x, y) depends on x − y alone. Maps of the inputs then measure points from an origin near them, or give
    /// k(x − y, 0) for k(x, y).
    pub stationary: bool,
    /// Whether k(x, y) depends on the Euclidean distance ‖x − y‖ alone.
    pub isotropic: bool,
    /// Whether k(x, y) depends on the angle between x and y alone, at points of any length, in the whole space: as
    /// [`Zonal`](crate::kernels::Zonal) does.
    ///
    /// It is false for [`Rbf`](crate::kernels::Rbf) and others that are [`isotropic`](Self::isotropic): those depend on lengths too. On a sphere,
    /// where all points have length 1, they are functions of the angle all the same. Whether a kernel is a covariance on the
    /// sphere in d dimensions is what [`Psd::holds_in(d)`](Psd::holds_in) of `psd` says, and whether it is zonal there, what
    /// [`ZonalSpectrum`](crate::views::ZonalSpectrum) says.
    pub zonal: bool,
    /// Whether the vector-Jacobian products of [`Kernel`](super::Kernel) are implemented: here and in all children.
    pub differentiable: bool,
}

impl Properties {
    /// Nothing is known.
    pub const fn unknown() -> Self {
        Self { psd: Psd::Unknown, stationary: false, isotropic: false, zonal: false, differentiable: false }
    }

    /// All of it holds: of a sum of nothing.
    pub const fn all() -> Self {
        Self { psd: Psd::Always, stationary: true, isotropic: true, zonal: true, differentiable: true }
    }

    /// Sets where the kernel is positive semi-definite.
    #[must_use]
    pub const fn psd(mut self, psd: Psd) -> Self {
        self.psd = psd;
        self
    }

    /// Says that the kernel depends on x − y alone.
    #[must_use]
    pub const fn stationary(mut self) -> Self {
        self.stationary = true;
        self
    }

    /// Says that the kernel depends on ‖x − y‖ alone.
    #[must_use]
    pub const fn isotropic(mut self) -> Self {
        self.isotropic = true;
        self.stationary()
    }

    /// Says that the kernel depends on the angle alone, at points of any length.
    #[must_use]
    pub const fn zonal(mut self) -> Self {
        self.zonal = true;
        self
    }

    /// Says that the vector-Jacobian products are implemented.
    #[must_use]
    pub const fn differentiable(mut self) -> Self {
        self.differentiable = true;
        self
    }

    /// What holds of a function of two kernels at the same points, such as their sum or product: what holds of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            psd: self.psd.min(other.psd),
            stationary: self.stationary && other.stationary,
            isotropic: self.isotropic && other.isotropic,
            zonal: self.zonal && other.zonal,
            differentiable: self.differentiable && other.differentiable,
        }
    }

    /// The same of a kernel that the points' coordinates matter to by themselves.
    #[must_use]
    pub const fn of_coordinates(self) -> Self {
        Self { stationary: false, isotropic: false, zonal: false, ..self }
    }
}
