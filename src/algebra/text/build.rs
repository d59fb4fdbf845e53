//! From a syntax tree to a kernel.

use std::str::FromStr;

use super::names::look_up;
use super::template;
use crate::algebra::Compose;
use crate::combine::{Neg, Power, Product, Scaled, Sum};
use crate::kernel::text::arguments::{Argument, Arguments, FromArgument, Source};
use crate::kernel::text::syntax::{Kind, Node, shortened};
use crate::kernel::{Limits, from_text};
use crate::kernels::Constant;
use crate::{DynKernel, Error, Result};

/// Reads what [`text`](crate::kernel::text()) prints, within [`Limits::default`]; every number comes back bit for bit.
///
/// # Errors
///
/// [`Error::Parse`], with the column and what was expected there.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let written = "0.5 * rbf(lengthscale=0.3) - periodic(lengthscale=1, period=2) * on(linear(variance=0.7), [1])";
/// let kernel: DynKernel = written.parse()?;
/// assert_eq!(kernel.to_string(), written);
///
/// let error = "rbf(lengthscale=1) + rfb(lengthscale=2)".parse::<DynKernel>().unwrap_err();
/// assert!(error.to_string().contains("column 22: no kernel is named `rfb`; did you mean `rbf`"));
/// # Ok::<(), mercer::Error>(())
/// ```
impl FromStr for DynKernel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        from_text(text, Limits::default())
    }
}

impl FromArgument for DynKernel {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        match argument.node.kind {
            Kind::List(_) | Kind::Quoted(_) => Ok(None),
            _ => kernel(argument.source, argument.node).map(Some),
        }
    }

    fn describe() -> String {
        "a kernel".to_owned()
    }
}

/// The kernel that a node of a text describes.
pub(super) fn kernel(source: &Source<'_>, node: &Node) -> Result<DynKernel> {
    match value(source, node)? {
        Value::Kernel(kernel) => Ok(kernel),
        Value::Number(number) => constant(source, node, number),
    }
}

enum Value {
    Number(f64),
    Kernel(DynKernel),
}

/// What a node describes. What is noted of the kernels that have been made is that of this one, or of one beside it.
fn value(source: &Source<'_>, node: &Node) -> Result<Value> {
    let (beside, columns) = (source.height.replace(0), source.columns.replace(1));
    let made = build(source, node)?;
    if let Value::Kernel(_) = made {
        source.enclose(node.start)?;
    }
    source.height.set(source.height.get().max(beside));
    source.columns.set(source.columns.get().max(columns));
    Ok(made)
}

fn build(source: &Source<'_>, node: &Node) -> Result<Value> {
    let kernel = match &node.kind {
        Kind::Number(number) => return Ok(Value::Number(*number)),
        Kind::Call(name, arguments) => call(source, node, name, arguments)?,
        Kind::Negated(inner) => match value(source, inner)? {
            Value::Number(number) => return Ok(Value::Number(-number)),
            Value::Kernel(kernel) => Neg::new(kernel).dynamic(),
        },
        Kind::Sum(terms) => return sum(source, terms),
        Kind::Product(factors) => return product(source, node, factors),
        Kind::Power(base, exponent) => power(source, node, base, exponent)?,
        Kind::Word(word) if source.template && look_up(word).is_ok() => call(source, node, word, &[])?,
        Kind::Word(word) => {
            let reason = match look_up(word) {
                Ok(_) => format!("`{word}` is a kernel and needs its arguments: `{word}(…)`"),
                Err(nearest) => {
                    let hint = nearest.first().map(|name| format!("; did you mean `{name}(…)`?")).unwrap_or_default();
                    format!("expected a kernel or a number, found {}{hint}", node.kind.describe())
                }
            };
            return Err(source.error(node.start, reason));
        }
        other @ (Kind::List(_) | Kind::Quoted(_)) => {
            return Err(source.error(node.start, format!("expected a kernel, found {}", other.describe())));
        }
    };
    Ok(Value::Kernel(kernel))
}

fn call(source: &Source<'_>, node: &Node, name: &str, arguments: &[(Option<String>, Node)]) -> Result<DynKernel> {
    let construct = look_up(name).map_err(|nearest| {
        let hint = match nearest.first() {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "kernels of your own need `mercer::algebra::register`".to_owned(),
        };
        source.error(node.start, format!("no kernel is named `{}`; {hint}", shortened(name)))
    })?;
    let mut arguments = Arguments::new(source, node.start, name, arguments);
    let mut kernel = construct(&mut arguments).map_err(|error| located(source, node, error))?;
    let unset = std::mem::take(&mut arguments.unset);
    arguments.finish()?;
    unset.into_iter().try_for_each(|name| template::mark(&mut kernel, name))?;
    Ok(kernel)
}

/// An error with its place in the text, if it has none yet.
fn located(source: &Source<'_>, node: &Node, error: Error) -> Error {
    match error {
        Error::Parse { .. } => error,
        other => source.error(node.start, other.to_string()),
    }
}

fn constant(source: &Source<'_>, node: &Node, number: f64) -> Result<DynKernel> {
    Constant::try_new(number).map(Compose::dynamic).map_err(|error| located(source, node, error))
}

/// Numbers are added up until the first kernel; then each is a constant kernel.
fn sum(source: &Source<'_>, terms: &[(bool, Node)]) -> Result<Value> {
    let mut number = 0.0;
    let mut kernels = Vec::new();
    for (position, (minus, term)) in terms.iter().enumerate() {
        match value(source, term)? {
            Value::Number(value) => {
                let value = if *minus { -value } else { value };
                if kernels.is_empty() {
                    number += value;
                } else {
                    kernels.push(constant(source, term, value)?);
                }
            }
            Value::Kernel(kernel) => {
                if kernels.is_empty() && position > 0 {
                    kernels.push(constant(source, &terms[0].1, number)?);
                }
                kernels.push(if *minus { Neg::new(kernel).dynamic() } else { kernel });
            }
        }
    }
    if kernels.is_empty() { Ok(Value::Number(number)) } else { Ok(Value::Kernel(Sum::of(kernels).dynamic())) }
}

/// Numbers scale the product of what stands before them, or the factor after them: `2 * a * b` is
/// `(2 * a) * b`, as in Rust. Numbers in a row are multiplied first.
fn product(source: &Source<'_>, node: &Node, factors: &[Node]) -> Result<Value> {
    let scaled = |number: f64, kernel: DynKernel| {
        source.enclose(node.start)?;
        Scaled::try_new(number, kernel).map(Compose::dynamic).map_err(|error| located(source, node, error))
    };
    let joined = |mut kernels: Vec<DynKernel>| match kernels.len() {
        1 => kernels.remove(0),
        _ => Product::of(kernels).dynamic(),
    };
    let mut number: Option<f64> = None;
    let mut kernels: Vec<DynKernel> = Vec::new();
    for factor in factors {
        match (value(source, factor)?, number.take()) {
            (Value::Number(value), before) => number = Some(before.map_or(value, |before| before * value)),
            (Value::Kernel(kernel), None) => kernels.push(kernel),
            (Value::Kernel(kernel), Some(number)) if kernels.is_empty() => kernels.push(scaled(number, kernel)?),
            (Value::Kernel(kernel), Some(number)) => {
                let before = joined(std::mem::take(&mut kernels));
                kernels.extend([scaled(number, before)?, kernel]);
            }
        }
    }
    match number {
        Some(number) if kernels.is_empty() => Ok(Value::Number(number)),
        Some(number) => Ok(Value::Kernel(scaled(number, joined(kernels))?)),
        None => Ok(Value::Kernel(joined(kernels))),
    }
}

fn power(source: &Source<'_>, node: &Node, base: &Node, exponent: &Node) -> Result<DynKernel> {
    let Value::Kernel(base) = value(source, base)? else {
        let reason = "expected a kernel to the left of `^`, found a number; write its value".to_owned();
        return Err(source.error(base.start, reason));
    };
    let degree = Argument { source, node: exponent };
    let whole = u32::from_argument(degree)?;
    let degree = whole.ok_or_else(|| degree.error("expected a whole number to the right of `^`"))?;
    Power::try_new(base, degree).map(Compose::dynamic).map_err(|error| located(source, node, error))
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[track_caller]
    fn comes_back(written: &str) {
        let kernel: DynKernel = written.parse().unwrap();
        assert_eq!(kernel.to_string(), written);
    }

    #[test]
    fn what_is_printed_is_read() {
        for written in [
            "rbf(lengthscale=0.7)",
            "matern52(lengthscale=[0.3, 2])",
            "-rbf(lengthscale=1)",
            "-(2 * rbf(lengthscale=1))",
            "-2 * rbf(lengthscale=1)",
            "2 * (3 * rbf(lengthscale=1))",
            "rbf(lengthscale=1) - 2 * rbf(lengthscale=2)",
            "rbf(lengthscale=1) + -2 * rbf(lengthscale=2)",
            "rbf(lengthscale=1) - -2 * rbf(lengthscale=2)",
            "rbf(lengthscale=1) - (-rbf(lengthscale=2))",
            "rbf(lengthscale=1) + (rbf(lengthscale=2) + rbf(lengthscale=3))",
            "rbf(lengthscale=1) - (rbf(lengthscale=2) + rbf(lengthscale=3))",
            "(rbf(lengthscale=1) + rbf(lengthscale=2)) * rbf(lengthscale=3)",
            "(-rbf(lengthscale=1)) * rbf(lengthscale=3)",
            "-(rbf(lengthscale=1) * rbf(lengthscale=3))",
            "2 * rbf(lengthscale=1) * (3 * rbf(lengthscale=3))",
            "rbf(lengthscale=1) * (rbf(lengthscale=2) * rbf(lengthscale=3))",
            "(rbf(lengthscale=1) + constant(value=-0.5)) ^ 3",
            "(2 * rbf(lengthscale=1)) ^ 2",
            "2 * rbf(lengthscale=1) ^ 2",
            "on(rbf(lengthscale=1) + white(variance=1e-300), [2, 0])",
            "ard(linear(variance=0.1), [0.30000000000000004, 5e-324])",
            "sum(rbf(lengthscale=1))",
        ] {
            comes_back(written);
        }
    }

    #[test]
    fn what_people_write_is_read() {
        for (written, printed) in [
            ("  2*rbf( 0.7 )  ", "2 * rbf(lengthscale=0.7)"),
            ("rbf(0.7) * 2", "2 * rbf(lengthscale=0.7)"),
            ("rbf(.5) + 0.1", "rbf(lengthscale=0.5) + constant(value=0.1)"),
            ("0.1 + 2 - rbf(1)", "constant(value=2.1) - rbf(lengthscale=1)"),
            ("2 * 3 * rbf(1e0)", "6 * rbf(lengthscale=1)"),
            ("rbf(1) * 2 * 3 * rbf(2) * 4", "4 * (6 * rbf(lengthscale=1) * rbf(lengthscale=2))"),
            ("-3", "constant(value=-3)"),
            ("2 * -rbf(1)", "2 * (-rbf(lengthscale=1))"),
            ("-rbf(1) * rbf(2)", "-(rbf(lengthscale=1) * rbf(lengthscale=2))"),
            ("periodic(period=[2, 3], lengthscale=1)", "periodic(lengthscale=1, period=[2, 3])"),
            ("on(dims=[1], kernel=rbf(1))", "on(rbf(lengthscale=1), [1])"),
        ] {
            assert_eq!(written.parse::<DynKernel>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn mistakes_are_pointed_at() {
        for (written, column, told) in [
            ("", 1, "expected a kernel"),
            ("rbf(lengthscale=1", 18, "expected `,` or `)`, found the end"),
            ("rbf(lengthscale=1))", 19, "or the end, found `)`"),
            ("rbf(lengthscale=)", 17, "expected a kernel, a number"),
            ("rbf()", 1, "`rbf` needs a number, or a list"),
            ("rbf(lenghtscale=1)", 17, "did you mean `lengthscale`"),
            ("rbf(1, 2)", 8, "too many arguments"),
            ("rbf(lengthscale=-1)", 1, "must be positive"),
            ("rbf(lengthscale=rbf(1))", 17, "found `rbf(…)`"),
            ("rbf(lengthscale=1e999)", 17, "too large"),
            ("matern32(1) * rfb(1)", 15, "no kernel is named `rfb`"),
            ("rbf", 1, "needs its arguments"),
            ("rbf(1) rbf(2)", 8, "found `r`"),
            ("rbf(1) ^ 0.5", 10, "whole number"),
            ("2 ^ 3", 1, "write its value"),
            ("on(rbf(1), [0, 1.5])", 16, "whole number"),
            ("on(rbf(1), [])", 1, "is empty"),
            ("masked(rbf(1), drop)", 16, "`propagate`, `isolate` or `zero`"),
            ("on(rbf(1), 0)", 12, "found the number 0"),
            ("rbf(l=1)", 7, "`rbf` has no argument `l`; it takes `lengthscale`; did you mean `lengthscale`?"),
            ("periodic(1, p=2)", 15, "it takes `lengthscale`, `period`; did you mean `period`?"),
            ("rbf(frequency=2)", 15, "`rbf` has no argument `frequency`; it takes `lengthscale`"),
            ("on(rbf(1), columns=[0])", 20, "`on` has no argument `columns`; it takes `kernel`, `dims`"),
            ("on(k=rbf(1), dims=[0])", 6, "it takes `kernel`, `dims`; did you mean `kernel`?"),
            ("on(dims=[0])", 1, "`on` needs a kernel as its argument `kernel`"),
            ("metric_radial(rbf(1), minkowski(p=3, q=2))", 40, "`minkowski` has no argument `q`; it takes `p`"),
            ("rbf(1).on([0])", 7, "found `.`; text has no methods: a kernel is the first argument"),
            ("2 * (rbf(1).pow(2))", 12, "text has no methods"),
            ("rbf(1.2.3)", 8, "expected `,` or `)`, found `.`, in"),
            ("Rbf::new(1.0)", 4, "text has no constructors, only names with arguments"),
            ("linear(1)**2", 11, "a power is written with `^`"),
            ("rbf(1) / 2", 8, "multiply by the reciprocal"),
            ("rbf(lengthscale: 1)", 16, "followed by `=`"),
            ("2 × rbf(1)", 3, "a product is written with `*`"),
            ("é + rfb(1)", 1, "the word `é`"),
            ("rbf(1) + ärger(2)", 10, "no kernel is named"),
        ] {
            let error = written.parse::<DynKernel>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("column {column}: ")), "{written}: {error}");
            assert!(error.contains(told), "{written}: {error}");
        }
    }
}
