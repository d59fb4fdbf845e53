//! Models of several outputs in files.

use std::sync::Arc;

use faer::{Mat, Par};

use super::noise::OutputNoise;
use super::orthogonal::Orthogonal;
use super::{IcmGp, IcmPosterior, Oilmm, OilmmPosterior};
use crate::gp::latents::PerLatent;
use crate::gp::saved::{check_count, fit, put_kernels};
use crate::kernel::Kernel;
use crate::kernels::Coregionalization;
use crate::linalg::{KroneckerParts, NoisyKronecker};
use crate::mean::{DynMean, MeanExpr};
use crate::params::{Constraint, ParameterArray, Shape};
use crate::save::{FromValue, Load, Node, Numbers, Place, Precision, Reader, Save, Value, Writer};
use crate::{DynKernel, Error, Expr, Result, Scalar};

impl Save for Coregionalization {
    const NAME: &'static str = "coregionalization";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("weights", &self.weights())?;
        to.put("diagonal", self.diagonal())
    }
}

impl Load for Coregionalization {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (weights, Numbers(diagonal)) = (from.take("weights")?, from.take("diagonal")?);
        Self::try_new(weights, diagonal)
    }
}

impl Value for OutputNoise {
    fn node(&self) -> Result<Node> {
        Writer::map(|to| match self {
            Self::Independent(variance) => to.put("variance", variance.values()),
            Self::Correlated(covariance) => to.put("covariance", covariance),
        })
    }
}

impl FromValue for OutputNoise {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| match from.take_optional("variance")? {
            Some(Numbers(variances)) => Self::independent(&variances, variances.len()),
            None => Ok(Self::Correlated(from.take("covariance")?)),
        })
    }
}

impl<K: Expr + Clone> Save for IcmGp<K> {
    const NAME: &'static str = "icm_gp";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Self { kernel, outputs, mean, noise, allow_indefinite, par: _ } = self;
        to.put("kernel", kernel as &dyn Expr)?;
        to.put("outputs", outputs)?;
        to.put("means", mean)?;
        to.put("noise", noise)?;
        to.put("allow_indefinite", allow_indefinite)?;
        to.put_parameters(self)
    }
}

impl Load for IcmGp<DynKernel> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let mut model = Self {
            kernel: from.take("kernel")?,
            outputs: from.take("outputs")?,
            mean: from.take("means")?,
            noise: from.take("noise")?,
            allow_indefinite: from.take("allow_indefinite")?,
            par: Par::rayon(0),
        };
        check_count("mean functions", &model.mean, model.outputs())?;
        fit("the noise covariance", model.noise.covariance().shape(), (model.outputs(), model.outputs()))?;
        from.take_parameters(&mut model)?;
        Ok(model)
    }
}

impl<T: Scalar> Save for IcmPosterior<T> {
    const NAME: &'static str = "icm_posterior";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("precision", &Precision::<T>::new())?;
        let kernel: &dyn Kernel<T> = &*self.kernel;
        to.put("kernel", kernel as &dyn Expr)?;
        to.put("means", &*self.means)?;
        to.put("points", &*self.points)?;
        to.put("weights", &*self.weights)?;
        let KroneckerParts { whitener, unwhitener, signal, values, vectors, noise_log_det } = self.covariance.parts();
        to.put("whitener", &whitener)?;
        to.put("unwhitener", &unwhitener)?;
        to.put("signal", &signal)?;
        to.put("eigenvalues", &values)?;
        to.put("eigenvectors", &vectors)?;
        to.put("noise_log_det", &noise_log_det)
    }
}

impl<T: Scalar> Load for IcmPosterior<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let _: Precision<T> = from.take("precision")?;
        let kernel: DynKernel = from.take("kernel")?;
        let means: PerLatent<DynMean> = from.take("means")?;
        let (points, weights): (Mat<T>, Mat<T>) = (from.take("points")?, from.take("weights")?);
        let covariance = NoisyKronecker::of_parts(KroneckerParts {
            whitener: from.take("whitener")?,
            unwhitener: from.take("unwhitener")?,
            signal: from.take("signal")?,
            values: from.take("eigenvalues")?,
            vectors: from.take("eigenvectors")?,
            noise_log_det: from.take("noise_log_det")?,
        })?;
        let (n, outputs) = (covariance.points(), covariance.outputs());
        fit("the points", (points.nrows(), 1), (n, 1))?;
        fit("the weights", weights.shape(), (n, outputs))?;
        kernel.inputs(points.ncols())?;
        check_count("mean functions", &means, outputs)?;
        means.all().iter().try_for_each(|mean| mean.check_dim(points.ncols()))?;
        Ok(Self {
            kernel: Arc::new(kernel),
            means: means.into(),
            points: points.into(),
            covariance: covariance.into(),
            weights: weights.into(),
            par: Par::rayon(0),
        })
    }
}

impl Save for Orthogonal {
    const NAME: &'static str = "orthogonal";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("basis", &self.basis.as_matrix())?;
        to.put("scale", self.scale.values())
    }
}

impl Load for Orthogonal {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (basis, Numbers(scale)): (Mat<f64>, _) = (from.take("basis")?, from.take("scale")?);
        let functions = scale.len();
        fit("the basis", (1, basis.ncols()), (1, functions))?;
        if functions == 0 || basis.nrows() < functions {
            let expected = format!("from 1 to {} column(s)", basis.nrows());
            return Err(Error::shape("the basis", expected, basis.shape()));
        }
        Ok(Self {
            basis: ParameterArray::of_matrix("basis", basis.as_ref(), Constraint::Real)?,
            scale: ParameterArray::new("scale", scale, Shape::Vector(functions), Constraint::Positive)?,
        })
    }
}

impl<K: Expr + Clone> Save for Oilmm<K> {
    const NAME: &'static str = "oilmm";

    fn write(&self, to: &mut Writer) -> Result<()> {
        let Self { kernel, mean, likelihood, mixing, jitter, allow_indefinite, par: _ } = self;
        put_kernels(to, kernel.all())?;
        to.put("means", mean)?;
        to.put("likelihood", likelihood)?;
        to.put("mixing", mixing)?;
        to.put("jitter", jitter)?;
        to.put("allow_indefinite", allow_indefinite)?;
        to.put_parameters(self)
    }
}

impl Load for Oilmm<DynKernel> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let mut model = Self {
            kernel: from.take("kernels")?,
            mean: from.take("means")?,
            likelihood: from.take("likelihood")?,
            mixing: from.take("mixing")?,
            jitter: from.take("jitter")?,
            allow_indefinite: from.take("allow_indefinite")?,
            par: Par::rayon(0),
        };
        check_count("kernels", &model.kernel, model.mixing.functions())?;
        check_count("mean functions", &model.mean, model.outputs())?;
        from.take_parameters(&mut model)?;
        Ok(model)
    }
}

impl<T: Scalar> Save for OilmmPosterior<T> {
    const NAME: &'static str = "oilmm_posterior";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("latents", &self.latents)?;
        to.put("mixing", &*self.mixing)?;
        to.put("noise", &self.noise)?;
        to.put("means", &*self.means)
    }
}

impl<T: Scalar> Load for OilmmPosterior<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let mut posterior = Self {
            latents: from.take("latents")?,
            mixing: Arc::new(from.take("mixing")?),
            noise: from.take("noise")?,
            means: Arc::new(PerLatent::one(DynMean::new(crate::mean::Zero))),
        };
        let means: PerLatent<DynMean> = from.take("means")?;
        let (outputs, functions) = posterior.mixing.shape();
        fit("the mixing matrix", (1, functions), (1, posterior.latents.latents()))?;
        check_count("mean functions", &means, outputs)?;
        posterior.means = means.into();
        Ok(posterior)
    }
}
