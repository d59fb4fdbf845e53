//! What a model asks of inducing variables.

use std::fmt::Debug;

use faer::{Mat, MatRef, Par};

use super::InducingPrior;
use crate::kernel::{Expr, Kernel};
use crate::linalg::{Jitter, cast_column};
use crate::params::{Parameterized, ParameterizedExt};
use crate::tape::{KernelVar, Tape, Var};
use crate::{Error, Result, Scalar};

/// M linear functionals u = φ(f) of a process f of zero mean, by their covariances: values at points,
/// coefficients of a basis, or whatever else has K_uu = cov(u, u) and K_uf = cov(u, f(x)).
///
/// A model is written once against this trait. Both covariances are recorded on its tape, from the
/// kernel and the features' own parameters, so that gradients follow; [`InducingPrior`] says in what
/// form K_uu is, and no dense M × M matrix is made for one that is diagonal.
///
/// # Examples
///
/// One feature, the mean value of the process at a few places:
///
/// ```
/// use mercer::gp::{ExactGp, Svgp};
/// use mercer::inducing::{InducingFeatures, InducingPrior};
/// use mercer::linalg::Jitter;
/// use mercer::prelude::*;
/// use mercer::tape::{KernelVar, Tape, Var};
/// use mercer::{Expr, Scalar};
///
/// #[derive(Clone, Debug)]
/// struct Average {
///     places: Vec<f64>,
/// }
/// mercer::parameterized!(Average as "average", parameters: []);
///
/// impl Average {
///     fn places<'t, T: Scalar>(&self, tape: &'t Tape<'_, T>) -> (Var<'t, T>, Var<'t, T>) {
///         let n = self.places.len();
///         let places = Mat::from_fn(n, 1, |row, _| T::from_f64(self.places[row]));
///         let weights = Mat::from_fn(n, 1, |_, _| T::from_f64(1.0 / n as f64));
///         (tape.constant_owned(places), tape.constant_owned(weights))
///     }
/// }
///
/// impl InducingFeatures for Average {
///     fn len(&self) -> usize {
///         1
///     }
///     fn dim(&self) -> usize {
///         1
///     }
///     fn check_kernel(&self, kernel: &dyn Expr) -> Result<(), Error> {
///         kernel.inputs(1).map(drop)
///     }
///     fn prior<'t, 'a, T: Scalar>(
///         &'a self,
///         tape: &'t Tape<'a, T>,
///         kernel: KernelVar<'t, 'a, T>,
///         parameter: Var<'t, T>,
///         _: Jitter,
///     ) -> Result<InducingPrior<'t, T>, Error> {
///         let (places, weights) = self.places(tape);
///         let variance = weights.matmul_tn(kernel.gram(places)? * weights);
///         Ok(InducingPrior::diagonal(parameter, variance))
///     }
///     fn cross<'t, 'a, T: Scalar>(
///         &'a self,
///         tape: &'t Tape<'a, T>,
///         kernel: KernelVar<'t, 'a, T>,
///         _: &InducingPrior<'t, T>,
///         x: Var<'t, T>,
///     ) -> Result<Var<'t, T>, Error> {
///         let (places, weights) = self.places(tape);
///         Ok(weights.matmul_tn(kernel.cross(places, x)?))
///     }
/// }
///
/// // Any model of features takes it, and its bound holds.
/// let average = Average { places: vec![0.0, 1.0, 2.0] };
/// let sparse = Svgp::with_features(Rbf::new(1.0), average)?;
/// let (x, y) = (mat![[0.0], [1.0], [2.0]], [0.3, 0.5, 0.4]);
/// let data = Data::new(&x, &y);
/// let evidence = ExactGp::new(Rbf::new(1.0)).objective(&data)?;
/// assert!(sparse.objective(&data)?.value < evidence);
/// # Ok::<(), Error>(())
/// ```
///
/// # References
///
/// Lázaro-Gredilla & Figueiras-Vidal (2009), *Inter-domain Gaussian processes for sparse inference using
/// inducing features*, NIPS 22.
pub trait InducingFeatures: Parameterized + Clone + Debug + Send + Sync + 'static {
    /// M, the number of features: at least 1.
    fn len(&self) -> usize;

    /// Whether there are none: never.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of columns of the points x.
    fn dim(&self) -> usize;

    /// Refuses kernels that the features have no covariances for.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`](crate::Error::Dimension) for a kernel that cannot read points of
    /// [`dim`](Self::dim) columns; [`Error::Setting`](crate::Error::Setting) for another that does not fit.
    fn check_kernel(&self, kernel: &dyn Expr) -> Result<()>;

    /// Refuses points, of [`dim`](Self::dim) columns, that the features do not cover: outside an
    /// interval, or off a sphere. By default none.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) with the first point that does not fit.
    fn check_points<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<()> {
        let _ = x;
        Ok(())
    }

    /// The features' own parameters as a parameter of the tape, whose elements by columns are the
    /// natural values in visiting order: p × 1 unless they are better held as a matrix.
    fn parameter<'t, 'a, T: Scalar>(&'a self, tape: &'t Tape<'a, T>) -> Var<'t, T> {
        tape.parameter(cast_column(&self.values()))
    }

    /// K_uu, factorised, from the features' [parameters](Self::parameter), with or without gradient.
    ///
    /// # Errors
    ///
    /// [`Error::NotPositiveDefinite`](crate::Error::NotPositiveDefinite) if no jitter that the policy
    /// allows is enough, and those of the kernel.
    fn prior<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        parameter: Var<'t, T>,
        jitter: Jitter,
    ) -> Result<InducingPrior<'t, T>>;

    /// K_uf for n points x, one a row: M × n. The prior is that of [`prior`](Self::prior) for the same
    /// kernel: what was computed for it need not be computed again. By default from the [`basis`](Self::basis).
    ///
    /// # Errors
    ///
    /// Those of the kernel; [`Error::Setting`] by default without a basis.
    fn cross<'t, 'a, T: Scalar>(
        &'a self,
        tape: &'t Tape<'a, T>,
        kernel: KernelVar<'t, 'a, T>,
        prior: &InducingPrior<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Var<'t, T>> {
        let (_, points) = (kernel, tape.value(x)?);
        let Some(values) = self.basis(points.as_mat())? else {
            let expected = "must have `cross`, or `basis` for it to follow from";
            return Err(Error::setting("the inducing features", format!("{self:?}"), expected));
        };
        let backward = move |c: MatRef<'_, T>| Ok(vec![self.basis_vjp(points.as_mat(), c)?]);
        let values = tape.fallible(&[x], values, Box::new(backward));
        Ok(prior.basis_scale().map_or(values, |scale| values.scale_rows(scale)))
    }

    /// Φ(x), M × n, for n points x, one a row, if K_uf = diag(c) Φ(x) with a Φ that depends on no hyperparameter
    /// and no parameter, and the c of the [prior](InducingPrior::with_basis_scale); `None`, the default, from others. With
    /// it, and [`basis_vjp`](Self::basis_vjp), there is nothing else to say of K_uf.
    ///
    /// # Errors
    ///
    /// As [`check_points`](Self::check_points).
    ///
    /// # Examples
    ///
    /// The function x ↦ √3 x on \[−1, 1\], of coefficients of variance ⅓, for the kernel xy:
    ///
    /// ```
    /// use mercer::gp::{ExactGp, Svgp};
    /// use mercer::inducing::{InducingFeatures, InducingPrior};
    /// use mercer::linalg::Jitter;
    /// use mercer::optim::NaturalGradient;
    /// use mercer::prelude::*;
    /// use mercer::tape::{KernelVar, Tape, Var};
    /// use mercer::{Expr, Scalar};
    ///
    /// #[derive(Clone, Debug)]
    /// struct Slope;
    /// mercer::parameterized!(Slope as "slope", parameters: []);
    ///
    /// impl InducingFeatures for Slope {
    ///     fn len(&self) -> usize {
    ///         1
    ///     }
    ///     fn dim(&self) -> usize {
    ///         1
    ///     }
    ///     fn check_kernel(&self, kernel: &dyn Expr) -> Result<(), Error> {
    ///         kernel.inputs(1).map(drop)
    ///     }
    ///     fn prior<'t, 'a, T: Scalar>(
    ///         &'a self,
    ///         _: &'t Tape<'a, T>,
    ///         kernel: KernelVar<'t, 'a, T>,
    ///         parameter: Var<'t, T>,
    ///         _: Jitter,
    ///     ) -> Result<InducingPrior<'t, T>, Error> {
    ///         let variance = 1.0 / 3.0 * kernel.theta();
    ///         Ok(InducingPrior::diagonal(parameter, variance).with_basis_scale(variance))
    ///     }
    ///     fn basis<T: Scalar>(&self, x: faer::MatRef<'_, T>) -> Result<Option<Mat<T>>, Error> {
    ///         Ok(Some(Mat::from_fn(1, x.nrows(), |_, row| T::from_f64(3f64.sqrt()) * x[(row, 0)])))
    ///     }
    ///     fn is_homogeneous(&self) -> bool {
    ///         false
    ///     }
    /// }
    ///
    /// let (x, y) = (mat![[0.3], [0.9]], [0.5, 1.0]);
    /// let mut sparse = Svgp::with_features(Linear::new(1.0), Slope)?;
    /// sparse.natural_step(&Data::new(&x, &y).part_of(2), &NaturalGradient::default())?;
    /// let data = Data::new(&x, &y);
    /// let evidence = ExactGp::new(Linear::new(1.0)).objective(&data)?;
    /// assert!((sparse.objective(&data)?.value - evidence).abs() < 1e-14);
    /// # Ok::<(), Error>(())
    /// ```
    fn basis<T: Scalar>(&self, x: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        let _ = x;
        Ok(None)
    }

    /// The gradient of Σ C ∘ Φ(x) in the points, n × D, for a cotangent C of the [`basis`](Self::basis); `None`, the default,
    /// where points do not move, such as indices.
    ///
    /// # Errors
    ///
    /// As [`basis`](Self::basis).
    fn basis_vjp<T: Scalar>(&self, x: MatRef<'_, T>, cotangent: MatRef<'_, T>) -> Result<Option<Mat<T>>> {
        let _ = (x, cotangent);
        Ok(None)
    }

    /// Whether k(x, x) is the same at all points that the features cover, for every kernel that fits: by default. A model of
    /// a [`basis`](Self::basis) with it, or without a [remainder](InducingPrior::without_remainder), is a regression on
    /// fixed functions, whose [statistics](crate::gp::Statistics) are computed once.
    fn is_homogeneous(&self) -> bool {
        true
    }

    /// K_fu W for n points x and M × c weights W, without K_fu being stored, by features that can do
    /// it; `None`, the default, from others.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    fn cross_times<T: Scalar>(
        &self,
        kernel: &dyn Kernel<T>,
        x: MatRef<'_, T>,
        weights: MatRef<'_, T>,
        par: Par,
    ) -> Result<Option<Mat<T>>> {
        let _ = (kernel, x, weights, par);
        Ok(None)
    }

    /// The points, one a row, if the features are the values of the function there; `None`, the default, if they
    /// are anything else.
    fn points(&self) -> Option<MatRef<'_, f64>> {
        None
    }
}
