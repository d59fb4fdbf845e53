//! Kernels whose numbers are left out.

use super::build::kernel;
use crate::algebra::Compose;
use crate::combine::{Scaled, Sum};
use crate::kernel::text::arguments::Source;
use crate::kernel::text::syntax::{self, Kind, Node};
use crate::kernel::{Expr, Limits, Structure};
use crate::params::ParameterizedExt;
use crate::{DynKernel, Result};

/// The kernel of a text in which numbers may be left out, with which of its parameters those are, in visiting order. A term
/// without a variance of its own has one that is left out.
pub(crate) fn read_template(text: &str, limits: Limits) -> Result<(DynKernel, Vec<bool>)> {
    let (node, mut source) = (syntax::read(text, limits)?, Source::new(text, limits));
    source.template = true;
    let terms: Vec<&Node> = match &node.kind {
        Kind::Sum(terms) if terms.iter().all(|(minus, _)| !minus) => terms.iter().map(|(_, term)| term).collect(),
        _ => vec![&node],
    };
    let mut kernels = Vec::new();
    for term in terms {
        let kernel = kernel(&source, term)?;
        kernels.push(if has_variance(&kernel) { kernel } else { with_variance(kernel)? });
    }
    let mut kernel = if kernels.len() == 1 { kernels.remove(0) } else { Sum::of(kernels).dynamic() };
    // Text freezes nothing: what is frozen is marked.
    let entries = kernel.parameters();
    for entry in &entries {
        kernel.unfreeze(&entry.path)?;
    }
    Ok((kernel, entries.iter().map(|entry| !entry.free).collect()))
}

/// Marks a parameter of the kernel itself as left out.
pub(super) fn mark(kernel: &mut DynKernel, parameter: &str) -> Result<()> {
    let path = format!("{}.{parameter}", crate::params::Parameterized::name(kernel));
    kernel.freeze(&path)
}

/// Whether a kernel, or a part of it, has a parameter of its own that scales it.
fn has_variance(kernel: &dyn Expr) -> bool {
    match kernel.structure() {
        Structure::Scaled(..) => true,
        Structure::Boxed(kernel) => has_variance(kernel),
        Structure::Leaf(_) => {
            ["variance", "value", "amplitude", "weights", "diagonal"].iter().any(|&name| has_own(kernel, name))
        }
        structure => structure.children().into_iter().any(|part| has_variance(part)),
    }
}

fn has_own(leaf: &dyn Expr, name: &str) -> bool {
    leaf.parameters().iter().any(|entry| {
        let last = entry.path.rsplit('.').next().unwrap_or_default();
        last.split('[').next() == Some(name)
    })
}

fn with_variance(kernel: DynKernel) -> Result<DynKernel> {
    let mut scaled = Scaled::try_new(1.0, kernel)?.dynamic();
    mark(&mut scaled, "factor")?;
    Ok(scaled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_that_are_left_out_are_known() {
        for (text, read, unset) in [
            ("rbf", "1 * rbf(lengthscale=1)", vec![true, true]),
            ("2 * rbf", "2 * rbf(lengthscale=1)", vec![false, true]),
            ("rbf(0.3)", "1 * rbf(lengthscale=0.3)", vec![true, false]),
            (
                "periodic(period=3) * rbf + linear()",
                "1 * (periodic(lengthscale=1, period=3) * rbf(lengthscale=1)) + linear(variance=1)",
                vec![true, true, false, true, true],
            ),
            ("on(rbf, [0]) + white", "1 * on(rbf(lengthscale=1), [0]) + white(variance=1)", vec![true, true, true]),
        ] {
            let (kernel, found) = read_template(text, Limits::default()).unwrap();
            assert_eq!((kernel.to_string().as_str(), &found), (read, &unset), "{text}");
            assert!(kernel.parameters().iter().all(|entry| entry.free));
        }
        for (text, told) in [
            ("rbff", "did you mean `rbf"),
            ("on(rbf)", "`dims`"),
            ("polynomial", "`degree`"),
            ("gibbs(constant())", "`lengthscale`"),
        ] {
            let error = read_template(text, Limits::default()).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
