//! Models, posteriors and checkpoints in files.
//!
//! [`Save::save`] writes a file, and [`load`] reads it, in this process or another one. What was saved predicts the same
//! bits after loading, on a machine with the same instructions. A posterior needs no data to predict after loading, and
//! of its model nothing else: a sparse one is as small as its inducing variables.
//!
//! | | what is saved |
//! |---|---|
//! | models | kernels as text, other parts by their names, parameters with constraints, priors, what is frozen and tied |
//! | posteriors | what predictions need: of the exact ones the points and a factor, of sparse ones the inducing variables |
//! | checkpoints | where training stands |
//!
//! The number of threads is not saved. A model loads with a [`DynKernel`](crate::DynKernel), whatever the type of
//! the kernel was. Kernels, warps, likelihoods, mean functions and inducing features of one's own have to be registered
//! under a name in the program that saves and in the one that loads: by [`algebra::register`](crate::algebra::register),
//! [`likelihood::register`](crate::likelihood::register), [`mean::register`](crate::mean::register) and
//! [`inducing::register`](crate::inducing::register). What is not is refused, by its name, when it is to be saved.
//!
//! # The format
//!
//! A file is JSON that a person can read. Where there are more than 1024 numbers in lists and matrices, those of more than
//! 16 stand behind it as [safetensors](https://github.com/huggingface/safetensors): `{"tensor": name}` in the head
//! is where one belongs.
//!
//! ```text
//! {
//!   "mercer": 1,                      the format
//!   "checksum": "0123456789abcdef",   CRC-64/XZ of all other bytes
//!   "length": 1234,                   of the file, in bytes
//!   "beside": 0,                      how many of these are safetensors, at the end
//!   "version": "0.1.0",               of this crate
//!   "content": {"type": "exact_gp", "kernel": "2 * rbf(lengthscale=0.7)", …}
//! }
//! ```
//!
//! A file that is cut short, changed, of a newer format, of something else or made up is an error that says which: nothing
//! in a file is passed over. A model that has more to say than another version knew has another entry for it, which that
//! version refuses by name.
//!
//! # Examples
//!
//! ```
//! use mercer::gp::{ExactGp, Posterior};
//! use mercer::prelude::*;
//! use mercer::save::{Save, load};
//!
//! # let folder = std::env::temp_dir().join(format!("mercer-docs-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let (x, y) = (mat![[0.0], [1.0], [2.5]], [0.3, 0.5, -0.7]);
//! let mut gp = ExactGp::new(2.0 * Rbf::new(0.7)).with_noise(0.01)?;
//! gp.freeze("likelihood")?;
//! let posterior = gp.condition(&Data::new(&x, &y))?;
//! gp.save(folder.join("model.mercer"))?;
//! posterior.save(folder.join("posterior.mercer"))?;
//!
//! let read: ExactGp = load(folder.join("model.mercer"))?;
//! assert_eq!(read.parameters(), gp.parameters());
//! let read: Posterior<f64> = load(folder.join("posterior.mercer"))?;
//! let at = mat![[0.4], [7.0]];
//! assert_eq!(read.predict(at.as_ref())?, posterior.predict(at.as_ref())?);
//!
//! let error = load::<Posterior<f64>>(folder.join("model.mercer")).unwrap_err();
//! assert!(error.to_string().contains("holds `exact_gp`, not `posterior`"));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod atomic;
mod checksum;
mod declare;
mod file;
mod json;
mod numbers;
mod parameters;
mod reader;
pub(crate) mod registry;
mod value;
mod writer;

use std::fs;
use std::path::Path;

pub(crate) use declare::saved;
#[doc(hidden)]
pub use numbers::Array;
#[doc(hidden)]
pub use reader::Place;
pub use reader::Reader;
#[doc(hidden)]
pub use value::Node;
pub use value::{FromValue, Value};
pub(crate) use value::{Lower, Numbers, Precision, named};
pub use writer::Writer;

use crate::{Error, Result};

/// What says of a part what it is.
const TYPE: &str = "type";
/// What names numbers that stand beside the head.
const TENSOR: &str = "tensor";

/// What can be saved: models, posteriors, checkpoints, and the parts that models are made of.
///
/// # Examples
///
/// A likelihood of one's own:
///
/// ```
/// use mercer::gp::Svgp;
/// use mercer::likelihood::{self, Pointwise};
/// use mercer::prelude::*;
/// use mercer::save::{Load, Reader, Save, Writer, from_bytes};
///
/// mercer::declare! {
///     /// y = f + ε, with ε of the logistic distribution.
///     Logistic as "logistic" {
///         /// The scale s.
///         scale: Scalar = Positive,
///     }
/// }
///
/// impl Pointwise for Logistic {
///     fn log_p<R: Real>(&self, theta: &[R], y: f64, f: R) -> R {
///         let z = (f - y) / theta[0];
///         -z - (-z).exp().ln_1p() * 2.0 - theta[0].ln()
///     }
/// }
///
/// impl Save for Logistic {
///     const NAME: &'static str = "logistic";
///
///     fn write(&self, to: &mut Writer) -> mercer::Result<()> {
///         to.put("scale", &self.scale())
///     }
/// }
///
/// impl Load for Logistic {
///     fn read(from: &mut Reader<'_>) -> mercer::Result<Self> {
///         Self::try_new(from.take("scale")?)
///     }
/// }
///
/// let own = Logistic::new(0.3);
/// let gp = Svgp::new(Rbf::new(1.0), mat![[0.0], [1.0]].as_ref())?.with_likelihood(own);
/// let error = gp.to_bytes().unwrap_err();
/// assert!(error.to_string().starts_with("the likelihood is `logistic`, but must be known to files"));
///
/// likelihood::register::<Logistic>()?;
/// let read: Svgp = from_bytes(&gp.to_bytes()?)?;
/// assert_eq!(read.parameters(), gp.parameters());
/// # Ok::<(), mercer::Error>(())
/// ```
pub trait Save {
    /// What files call it: one word.
    const NAME: &'static str;

    /// Puts all that it is into a file.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a part that files do not know.
    fn write(&self, to: &mut Writer) -> Result<()>;

    /// A file of it, as bytes.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new(Self::NAME);
        self.write(&mut writer)?;
        file::encode(&writer.into_node())
    }

    /// Saves it in a file, which is replaced if it is there.
    ///
    /// Whoever reads the file, and whatever ends this process, finds the old file or the new one, whole: it is written
    /// beside, brought to the disk and renamed. A process that is killed meanwhile may leave a file `.name.….part`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); [`Error::Saved`] if the file cannot be written.
    fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let (path, bytes) = (path.as_ref(), self.to_bytes()?);
        let refused = |error| Error::Saved { file: Some(name(path)), reason: format!("cannot be written: {error}") };
        atomic::replace(path, &bytes).map_err(refused)
    }
}

/// What can be loaded.
///
/// [`Save`] has an example.
pub trait Load: Save + Sized {
    /// Takes out of a file what [`Save::write`] has put there. What it does not take is refused.
    ///
    /// # Errors
    ///
    /// [`Error::Saved`] for what is missing, and those of constructors.
    fn read(from: &mut Reader<'_>) -> Result<Self>;
}

/// What a file has, as the type that it was saved as.
///
/// # Errors
///
/// [`Error::Saved`] for a file that cannot be read, was cut short or changed, is of a newer format, holds something
/// else, or has in it what cannot be.
pub fn load<M: Load>(path: impl AsRef<Path>) -> Result<M> {
    let path = path.as_ref();
    let of_file = |error| match error {
        Error::Saved { file: None, reason } => Error::Saved { file: Some(name(path)), reason },
        other => other,
    };
    let refused = |error| Error::Saved { file: Some(name(path)), reason: format!("cannot be read: {error}") };
    from_bytes(&fs::read(path).map_err(refused)?).map_err(of_file)
}

/// The same from the bytes of a file.
///
/// # Errors
///
/// As [`load`].
///
/// # Examples
///
/// ```
/// use mercer::likelihood::Gaussian;
/// use mercer::save::{Save, from_bytes};
///
/// let mut bytes = Gaussian::new(0.25).to_bytes()?;
/// assert_eq!(from_bytes::<Gaussian>(&bytes)?, Gaussian::new(0.25));
/// let digit = bytes.windows(4).position(|window| window == b"0.25").unwrap() + 2;
/// bytes[digit] = b'3';
/// assert!(from_bytes::<Gaussian>(&bytes).unwrap_err().to_string().contains("was changed since it was saved"));
/// assert!(from_bytes::<Gaussian>(&bytes[..digit]).unwrap_err().to_string().contains("was cut short"));
/// # Ok::<(), mercer::Error>(())
/// ```
pub fn from_bytes<M: Load>(bytes: &[u8]) -> Result<M> {
    file::decode(bytes, M::from_place)
}

fn name(path: &Path) -> String {
    path.display().to_string()
}
