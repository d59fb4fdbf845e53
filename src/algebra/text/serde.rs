//! Kernels in the formats of serde: their text, and what is known of their parameters.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kernel::Limits;
use crate::params::Notes;
use crate::{DynKernel, Result};

/// What the text of an expression does not say is left out where there is none of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    kernel: String,
    /// Paths of parameters that are positive, and may be of any sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    real: Vec<String>,
    /// Paths of parameters that optimisers may not change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    frozen: Vec<String>,
    /// Priors by path, as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    priors: BTreeMap<String, String>,
    /// Groups of paths whose parameters are one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ties: Vec<Vec<String>>,
}

impl Document {
    fn of(kernel: &DynKernel) -> Self {
        let Notes { real, frozen, priors, ties } = Notes::of(kernel);
        Self { kernel: kernel.to_string(), real, frozen, priors, ties }
    }

    fn kernel(self, limits: Limits) -> Result<DynKernel> {
        let mut kernel: DynKernel = limits.parse(&self.kernel)?;
        Notes { real: self.real, frozen: self.frozen, priors: self.priors, ties: self.ties }.give(&mut kernel)?;
        Ok(kernel)
    }
}

/// As a map with the text of the expression as `kernel`, and, where there are any, `real` (paths of positive
/// parameters that may be of any sign, as they started with another), `frozen` (paths), `priors` (by path, as text) and `ties` (groups of paths).
///
/// # Examples
///
/// ```
/// use mercer::params::Prior;
/// use mercer::prelude::*;
///
/// let mut kernel = (0.5 * Rbf::new([0.3, 2.0]) + Linear::new(1.0 / 3.0)).dynamic();
/// kernel.freeze("sum[0].scaled.factor")?;
/// kernel.set_prior("sum[1].linear.variance", Prior::gamma(2.0, 1.0)?)?;
///
/// let json = serde_json::to_string(&kernel)?;
/// assert_eq!(
///     json,
///     "{\"kernel\":\"0.5 * rbf(lengthscale=[0.3, 2]) + linear(variance=0.3333333333333333)\",\
///      \"frozen\":[\"sum[0].scaled.factor\"],\
///      \"priors\":{\"sum[1].linear.variance\":\"gamma(shape=2, rate=1)\"}}",
/// );
/// let read: DynKernel = serde_json::from_str(&json)?;
/// assert_eq!(read.parameters(), kernel.parameters());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Serialize for DynKernel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Document::of(self).serialize(serializer)
    }
}

/// Reads what [`Serialize`] writes, within the default [`Limits`]; as a `DeserializeSeed`, other limits read it too.
/// Kernels of one's own need their names: [`register`](crate::algebra::register).
impl<'de> Deserialize<'de> for DynKernel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        within(Limits::default(), deserializer)
    }
}

/// Reads a document within limits.
pub(super) fn within<'de, D: Deserializer<'de>>(limits: Limits, deserializer: D) -> Result<DynKernel, D::Error> {
    Document::deserialize(deserializer)?.kernel(limits).map_err(D::Error::custom)
}

impl<'de> serde::de::DeserializeSeed<'de> for Limits {
    type Value = crate::DynKernel;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        within(self, deserializer)
    }
}

#[cfg(test)]
mod tests {
    use crate::params::Prior;
    use crate::prelude::*;

    #[test]
    fn everything_comes_back() {
        let mut kernel = (2.0 * Rbf::new(0.7).on([0]) + Periodic::new([0.1, 0.2], 3.0) - 0.1 * Rbf::new(0.9)).dynamic();
        kernel.tie(&["sum[0].scaled.on.rbf.lengthscale", "sum[2].neg.scaled.rbf.lengthscale"]).unwrap();
        kernel.freeze("sum[1].periodic.lengthscale[1]").unwrap();
        kernel.set_prior("sum[1].periodic.period", Prior::log_normal(0.1, 1.0 / 3.0).unwrap()).unwrap();
        let read: DynKernel = serde_json::from_str(&serde_json::to_string(&kernel).unwrap()).unwrap();
        assert_eq!(read.parameters(), kernel.parameters());
        assert_eq!(read.to_string(), kernel.to_string());
    }

    /// A coefficient that started below zero may be of any sign, also where it is positive when it is saved.
    #[test]
    fn constraints_come_back() {
        let mut kernel =
            (Constant::new(-0.8).dynamic() + Tanh::new(0.3, -0.2) + Scaled::new(-2.0, Rbf::new(0.7))).dynamic();
        kernel.tie(&["sum[0].constant.value", "sum[1].tanh.offset"]).unwrap();
        kernel.set("sum[0].constant.value", 0.3).unwrap();
        kernel.set("sum[2].scaled.factor", 1.5).unwrap();
        let json = serde_json::to_string(&kernel).unwrap();
        let mut read: DynKernel = serde_json::from_str(&json).unwrap();
        assert_eq!(read.parameters(), kernel.parameters());
        read.set("sum[0].constant.value", -0.1).unwrap();

        let error = serde_json::from_str::<DynKernel>(r#"{"kernel":"rbf(1)","real":["rbf.lengthscale"]}"#).unwrap_err();
        assert!(error.to_string().contains("depends on its sign"), "{error}");
    }

    /// Every kernel of the registry with each value that may be so of another sign, saved before and after it is positive
    /// again.
    #[test]
    fn constraints_of_every_kernel_come_back() {
        let mut tried = 0;
        for (name, kernel) in crate::algebra::registry::all() {
            for entry in kernel.parameters() {
                let Ok(text) = kernel.to_string().parse::<DynKernel>() else { continue };
                for sign in [-1.0, 1.0] {
                    let mut changed = text.clone();
                    if changed.set(&entry.path, sign * 0.3).is_err() {
                        continue;
                    }
                    let Ok(started) = changed.to_string().parse::<DynKernel>() else { continue };
                    for value in [0.3, -0.3] {
                        let mut kernel = started.clone();
                        if kernel.set(&entry.path, value).is_err() {
                            continue;
                        }
                        let json = serde_json::to_string(&kernel).unwrap();
                        let read: DynKernel = serde_json::from_str(&json).unwrap();
                        assert_eq!(read.parameters(), kernel.parameters(), "{name}: {json}");
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 200, "{tried}");
    }

    #[test]
    fn mistakes_are_told() {
        for (json, told) in [
            (r#"{"kernel":"rfb(lengthscale=1)"}"#, "did you mean `rbf`"),
            (r#"{"kernel":"rbf(1)","frozen":["rbf.lenghtscale"]}"#, "did you mean `rbf.lengthscale`"),
            (r#"{"kernel":"rbf(1)","priors":{"rbf.lengthscale":"gama(1, 2)"}}"#, "expected a prior"),
            (r#"{"kernel":"rbf(1)","freezed":[]}"#, "unknown field `freezed`"),
            (r#"{"frozen":[]}"#, "missing field `kernel`"),
        ] {
            let error = serde_json::from_str::<DynKernel>(json).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
