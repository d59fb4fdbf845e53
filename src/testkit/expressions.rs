//! Laws about expressions as data: their parameters and their text.

use super::violation::{Law, Violation};
use crate::kernel::text as as_text;
use crate::params::ParameterizedExt;
use crate::{DynKernel, Expr};

/// The text is not empty, its brackets are balanced, and it holds no newline.
///
/// # Errors
///
/// A [`Violation`] with the text.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// mercer::testkit::expressions::text(&(Rbf::new([1.0, 2.0]) - Linear::new(1.0)))?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn text(kernel: &dyn Expr) -> Result<(), Violation> {
    let law = Law { name: "text", kernel };
    let text = as_text(kernel).to_string();
    let mut open = Vec::new();
    for (at, character) in text.char_indices() {
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            ')' | ']' if open.pop() != Some(character) => {
                return law.broken(format!("character {at}"), format!("`{character}`"), "balanced brackets");
            }
            '\n' => return law.broken(format!("character {at}"), "a newline", "one line"),
            _ => {}
        }
    }
    if text.trim().is_empty() || !open.is_empty() {
        return law.broken("the end", format!("`{text}`"), "balanced text");
    }
    Ok(())
}

/// Parameters have distinct paths, by which they can be read, set and frozen; the flat vector of
/// values is read and set in the same order; unconstrained values give the values back; what a
/// constraint refuses changes nothing.
///
/// # Errors
///
/// The first [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 2.0 * Rbf::new([1.0, 2.0]) + Linear::new(1.0);
/// mercer::testkit::expressions::parameters(&kernel.dynamic())?;
/// # Ok::<(), mercer::testkit::Violation>(())
/// ```
pub fn parameters(kernel: &DynKernel) -> Result<(), Violation> {
    let law = Law { name: "parameters", kernel };
    let entries = kernel.parameters();
    let values = kernel.values();
    if entries.len() != kernel.num_params() || values.len() != entries.len() {
        return law.broken("the number of parameters", values.len(), kernel.num_params());
    }
    let mut changed = kernel.clone();
    for (index, entry) in entries.iter().enumerate() {
        if let Some(twin) = entries[..index].iter().position(|other| other.path == entry.path) {
            return law.broken(&entry.path, format!("parameters {twin} and {index}"), "distinct paths");
        }
        let by_path = law.evaluated(kernel.get(&entry.path))?;
        law.close(|| entry.path.clone(), by_path, values[index], 0.0)?;

        law.evaluated(changed.set(&entry.path, other_value(entry.value)))?;
        law.close(|| entry.path.clone(), changed.values()[index], other_value(entry.value), 0.0)?;
        law.evaluated(changed.freeze(&entry.path))?;
        if changed.parameters()[index].free || changed.set(&entry.path, f64::NAN).is_ok() {
            return law.broken(&entry.path, "free, or NaN", "frozen, and NaN refused");
        }
    }
    if !changed.unconstrained().is_empty() {
        return law.broken("the unconstrained vector", changed.unconstrained().len(), "all frozen");
    }
    let expected: Vec<f64> = values.iter().map(|&value| other_value(value)).collect();
    let together = law.evaluated(kernel.with_params(&expected))?;
    if together.values() != expected || changed.values() != expected {
        return law.broken("all values", format!("{:?}", together.values()), format!("{expected:?}"));
    }
    let mut back = together;
    law.evaluated(back.set_unconstrained(&kernel.unconstrained()))?;
    for ((entry, found), expected) in entries.iter().zip(back.values()).zip(values) {
        // exp(ln x): the logarithm's rounding comes back multiplied by |ln x|.
        let tolerance = 4.0 * f64::EPSILON * expected.abs() * (1.0 + expected.abs().max(1e-300).ln().abs());
        law.close(|| entry.path.clone(), found, expected, if entry.free { tolerance } else { f64::INFINITY })?;
    }
    Ok(())
}

/// A value that the constraint of this one also admits, if it is positive, negative or any.
fn other_value(value: f64) -> f64 {
    if value == 0.0 { 0.25 } else { value * 1.25 }
}

/// The text is read back as the same expression: same text, same parameters in all bits, same
/// properties. For kernels whose names are known to text: see [`register`](crate::algebra::register).
///
/// # Errors
///
/// The [`Violation`].
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 0.1 * Rbf::new([0.5, 2.0]).on([0, 2]) - Linear::new(1.0 / 3.0);
/// mercer::testkit::expressions::reads_back(&kernel.dynamic())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reads_back(kernel: &DynKernel) -> Result<(), Violation> {
    let law = Law { name: "text is read back", kernel };
    let written = kernel.to_string();
    let read: DynKernel = match written.parse() {
        Ok(read) => read,
        Err(error) => return law.broken("the text", error, "an expression"),
    };
    if read.to_string() != written {
        return law.broken("the text", read, written);
    }
    let bits = |kernel: &DynKernel| {
        kernel.parameters().into_iter().map(|entry| (entry.path, entry.value.to_bits())).collect::<Vec<_>>()
    };
    if bits(&read) != bits(kernel) {
        return law.broken("the parameters", format!("{:?}", bits(&read)), format!("{:?}", bits(kernel)));
    }
    let properties = |kernel: &DynKernel| {
        (
            kernel.properties().psd,
            kernel.properties().stationary,
            kernel.properties().isotropic,
            kernel.properties().zonal,
            kernel.properties().differentiable,
        )
    };
    if properties(&read) != properties(kernel) {
        return law.broken("the properties", format!("{:?}", properties(&read)), format!("{:?}", properties(kernel)));
    }
    Ok(())
}
