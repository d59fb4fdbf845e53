//! Where a kernel is guaranteed positive semi-definite.

/// In which dimensions of the input a kernel is guaranteed positive semi-definite.
///
/// Ordered from no guarantee to all of them: a sum and a product have the guarantee of their weakest
/// part (Schur's product theorem), so they take the minimum.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = Rbf::new(1.0) + Linear::new(2.0);
/// assert_eq!(kernel.properties().psd, Psd::Always);
/// assert_eq!((-kernel).properties().psd, Psd::Unknown);
/// assert!(Psd::UpTo(1).holds_in(1) && !Psd::UpTo(1).holds_in(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Psd {
    /// Nothing is guaranteed: it may be positive semi-definite, or not.
    Unknown,
    /// On inputs with at most so many dimensions.
    UpTo(usize),
    /// On any inputs.
    Always,
}

impl Psd {
    /// Whether the guarantee covers inputs of this dimension, and so any part of that space: a kernel for which
    /// `holds_in(3)` is true is a covariance on the sphere S² of unit vectors in three dimensions.
    ///
    /// The reverse is not so: where it is false, the kernel may be a covariance on S², which is a part of the space, and
    /// in the space too, as nothing is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// // On the sphere in three dimensions:
    /// assert!(Matern52::new(0.5).properties().psd.holds_in(3));
    /// assert!(!RadialCosine::new(2.0).properties().psd.holds_in(3));
    /// ```
    pub fn holds_in(self, dim: usize) -> bool {
        match self {
            Self::Unknown => false,
            Self::UpTo(most) => dim <= most,
            Self::Always => true,
        }
    }
}
