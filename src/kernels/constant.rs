//! The constant kernel.

use crate::kernel::{
    DiagVjp, Expr, Features, Inputs, Kernel, Pairs, Points, Properties, Psd, Scratch, Structure, TileParts, TileVjp,
    Views,
};
use crate::simd::sum;
use crate::{Result, Scalar};

crate::kernel! {
    /// The constant kernel: an unknown offset. What a number becomes in `k + 0.5`.
    ///
    /// # Definition
    ///
    /// k(x, y) = c
    ///
    /// # Hyperparameters
    ///
    /// | name | symbol | unit | constraint |
    /// |---|---|---|---|
    /// | `value` | c | that of the outputs squared | positive if it starts positive, else any finite number |
    ///
    /// # Properties
    ///
    /// Stationary; positive semi-definite in any dimension if c ≥ 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::prelude::*;
    ///
    /// assert_eq!(Constant::new(0.5).eval(&[1.0], &[2.0])?, 0.5);
    /// assert_eq!((Linear::new(1.0) + 0.5).eval(&[1.0], &[2.0])?, 2.5);
    /// assert_eq!(Constant::new(-0.5).properties().psd, Psd::Unknown);
    /// # Ok::<(), mercer::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Rasmussen & Williams (2006), *Gaussian Processes for Machine Learning*, table 4.1.
    pub Constant as "constant" {
        /// The value c.
        value: Scalar = BySign,
    }
}

impl Expr for Constant {
    fn structure(&self) -> Structure<'_> {
        Structure::Leaf(Views::none().constant())
    }

    fn properties(&self) -> Properties {
        Properties::unknown()
            .psd(if self.value() >= 0.0 { Psd::Always } else { Psd::Unknown })
            .isotropic()
            .zonal()
            .differentiable()
    }

    fn inputs(&self, dim: usize) -> Result<Inputs<'_>> {
        Ok(Inputs::none(dim))
    }
}

impl<T: Scalar> Kernel<T> for Constant {
    #[inline]
    fn pairwise(&self, _: &[T], _: &[T]) -> T {
        T::from_f64(self.value())
    }

    fn embed<'a>(&self, points: &Points<'a, T>) -> Features<'a, T> {
        Features::leaf(Points::without_coordinates(points.len()))
    }

    fn tile(&self, _: &Pairs<'_, T>, out: &mut [T], _: &mut Scratch<T>) {
        out.fill(T::from_f64(self.value()));
    }

    fn tile_diag(&self, _: &Features<'_, T>, out: &mut [T]) {
        out.fill(T::from_f64(self.value()));
    }

    fn tile_vjp(&self, to: TileVjp<'_, T>) {
        let TileParts { cotangent, theta, .. } = to.dense(self);
        theta[0] += sum(cotangent).as_f64();
    }

    fn tile_diag_vjp(&self, to: DiagVjp<'_, T>) {
        let DiagVjp { cotangent, theta, .. } = to;
        theta[0] += sum(cotangent).as_f64();
    }
}
