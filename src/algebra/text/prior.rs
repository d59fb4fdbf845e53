//! Priors in text.

use std::str::FromStr;

use crate::kernel::{Argument, FromArgument, Limits, from_text};
use crate::params::Prior;
use crate::{Error, Result};

impl FromArgument for Prior {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let Some((name, mut arguments)) = argument.call() else { return Ok(None) };
        let mut two = |names: [&'static str; 2], prior: fn(f64, f64) -> Result<Self>| {
            arguments.check_names(&names)?;
            Ok::<_, Error>(prior(arguments.take(names[0])?, arguments.take(names[1])?))
        };
        let prior = match name {
            "log_normal" => two(["mean", "deviation"], Self::log_normal)?,
            "gamma" => two(["shape", "rate"], Self::gamma)?,
            "normal" => two(["mean", "deviation"], Self::normal)?,
            "uniform" => two(["lower", "upper"], Self::uniform)?,
            "horseshoe" | "half_horseshoe" => {
                arguments.check_names(&["scale"])?;
                let scale = arguments.take("scale")?;
                if name == "horseshoe" { Self::horseshoe(scale) } else { Self::half_horseshoe(scale) }
            }
            _ => return Ok(None),
        };
        arguments.finish()?;
        prior.map(Some).map_err(|error| argument.error(error.to_string()))
    }

    fn describe() -> String {
        "a prior: `log_normal(mean=, deviation=)`, `gamma(shape=, rate=)`, `normal(mean=, deviation=)`, \
         `uniform(lower=, upper=)`, `horseshoe(scale=)` or `half_horseshoe(scale=)`"
            .to_owned()
    }
}

/// Reads what `Display` prints.
///
/// # Errors
///
/// [`Error::Parse`](crate::Error::Parse).
///
/// # Examples
///
/// ```
/// use mercer::params::Prior;
///
/// let prior = Prior::gamma(2.0, 0.5)?;
/// assert_eq!(prior.to_string().parse::<Prior>()?, prior);
/// assert!("gamma(shape=-1, rate=1)".parse::<Prior>().is_err());
/// # Ok::<(), mercer::Error>(())
/// ```
impl FromStr for Prior {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        from_text(text, Limits::default())
    }
}
