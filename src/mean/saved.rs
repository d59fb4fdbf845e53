//! Mean functions in files.

use std::any::Any;
use std::sync::RwLock;

use super::{AnyMean, ConstantMean, DynMean, LinearMean, ProductMean, SumMean, Zero};
use crate::Result;
use crate::params::Parameterized;
use crate::save::registry::{self, Kind, Part, PartOf};
use crate::save::{FromValue, Load, Node, Numbers, Place, Reader, Save, Value, Writer, saved};

/// Has files know a mean function of one's own, by its [`NAME`](Save::NAME): in programs that save models with it, and in
/// those that load them. A [`FunctionMean`](super::FunctionMean) is made of code that no file can have; a type of its own, with
/// the code in it, can be registered.
///
/// # Errors
///
/// [`Error::Setting`](crate::Error::Setting) for the name of another mean function.
///
/// # Examples
///
/// ```
/// use faer::{MatMut, MatRef};
/// use mercer::gp::ExactGp;
/// use mercer::mean::{Mean, MeanExpr, register};
/// use mercer::prelude::*;
/// use mercer::save::{Load, Reader, Save, Writer, from_bytes};
///
/// /// m(x) = x₀²
/// #[derive(Clone, Debug)]
/// struct Square;
/// mercer::parameterized!(Square as "square", parameters: []);
/// impl MeanExpr for Square {
///     fn check_dim(&self, _: usize) -> mercer::Result<()> {
///         Ok(())
///     }
/// }
/// impl<T: Scalar> Mean<T> for Square {
///     fn mean_into(&self, x: MatRef<'_, T>, out: &mut [T]) {
///         out.iter_mut().enumerate().for_each(|(row, out)| *out = x[(row, 0)] * x[(row, 0)]);
///     }
///     fn vjp(&self, _: MatRef<'_, T>, _: &[T], _: &mut [f64]) {}
///     fn points_vjp(&self, x: MatRef<'_, T>, cotangent: &[T], mut gradient: MatMut<'_, T>) {
///         for (row, &c) in cotangent.iter().enumerate() {
///             gradient[(row, 0)] += c * (x[(row, 0)] + x[(row, 0)]);
///         }
///     }
/// }
/// impl Save for Square {
///     const NAME: &'static str = "square";
///     fn write(&self, _: &mut Writer) -> mercer::Result<()> {
///         Ok(())
///     }
/// }
/// impl Load for Square {
///     fn read(_: &mut Reader<'_>) -> mercer::Result<Self> {
///         Ok(Self)
///     }
/// }
///
/// let gp = ExactGp::new(Rbf::new(1.0)).with_mean(Square);
/// assert!(gp.to_bytes().unwrap_err().to_string().starts_with("the mean function is `square`, but must be known"));
/// register::<Square>()?;
/// let read: ExactGp = from_bytes(&gp.to_bytes()?)?;
/// let data = Data::new(mat![[1.0], [2.0]], [0.9, 4.1]);
/// assert_eq!(read.objective(&data)?, gp.objective(&data)?);
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn register<M: AnyMean + Load>() -> Result<()> {
    registry::register::<DynMean, M>()
}

impl Kind for DynMean {
    const WHAT: &'static str = "mean function";
    const REGISTER: &'static str = "mercer::mean::register";

    fn built_in() -> Vec<Part<Self>> {
        vec![
            Part::of::<ConstantMean>(),
            Part::of::<LinearMean>(),
            Part::of::<ProductMean>(),
            Part::of::<SumMean>(),
            Part::of::<Zero>(),
        ]
    }

    fn registered() -> &'static RwLock<Vec<Part<Self>>> {
        static REGISTERED: RwLock<Vec<Part<DynMean>>> = RwLock::new(Vec::new());
        &REGISTERED
    }
}

impl<M: AnyMean> PartOf<DynMean> for M {
    fn boxed(self) -> DynMean {
        DynMean::new(self)
    }
}

impl Value for DynMean {
    fn node(&self) -> Result<Node> {
        let part: &dyn Any = &*self.0;
        match part.downcast_ref::<Self>() {
            Some(inner) => inner.node(),
            None => registry::node::<Self>(part, self.name()),
        }
    }
}

impl FromValue for DynMean {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        registry::read(place)
    }
}

saved!(ConstantMean as "constant": try_new(value));

impl Save for LinearMean {
    const NAME: &'static str = "linear";

    fn write(&self, to: &mut Writer) -> Result<()> {
        to.put("weights", self.weights())?;
        to.put_optional("intercept", self.intercept().as_ref())
    }
}

impl Load for LinearMean {
    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let Numbers(weights) = from.take("weights")?;
        let mean = Self::try_new(weights)?;
        match from.take_optional("intercept")? {
            Some(intercept) => mean.try_with_intercept(intercept),
            None => Ok(mean),
        }
    }
}

/// Of two functions each.
macro_rules! pair {
    ($type:ident as $name:literal) => {
        impl Save for $type {
            const NAME: &'static str = $name;

            fn write(&self, to: &mut Writer) -> Result<()> {
                let (left, right) = self.parts();
                to.put("left", left)?;
                to.put("right", right)
            }
        }

        impl Load for $type {
            fn read(from: &mut Reader<'_>) -> Result<Self> {
                let (left, right): (DynMean, DynMean) = (from.take("left")?, from.take("right")?);
                Ok(Self::new(left, right))
            }
        }
    };
}

pair!(ProductMean as "product");
pair!(SumMean as "sum");

impl Save for Zero {
    const NAME: &'static str = "zero";

    fn write(&self, _: &mut Writer) -> Result<()> {
        Ok(())
    }
}

impl Load for Zero {
    fn read(_: &mut Reader<'_>) -> Result<Self> {
        Ok(Self)
    }
}
