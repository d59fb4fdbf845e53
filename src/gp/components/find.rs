//! Terms by name.

use super::Components;
use super::component::Component;
use crate::algebra::core;
use crate::kernel::text;
use crate::params::nearest;
use crate::{Error, Expr, Result, Scalar};

impl<T: Scalar> Components<T> {
    /// The term of this name: its label, its text, where it stands (`sum[1]`, `kernel.sum[1].scaled.periodic`), or the name of
    /// its kernel (`periodic`, of `2 * periodic(…)`), if there is one such term.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a name that no term has, or more than one; for what is a part of a term and adds nothing by
    /// itself, such as a factor of a product, with the term.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::gp::{Data, ExactGp};
    /// use mercer::prelude::*;
    ///
    /// let kernel = Linear::new(1.0) + Periodic::new(1.0, 1.0) * Rbf::new(9.0);
    /// let posterior = ExactGp::new(kernel).condition(&Data::new(mat![[0.0], [1.0]], [0.3, 1.0]))?;
    /// let parts = posterior.components(0)?;
    /// assert_eq!(parts.get("linear")?.path(), parts.get("sum[0]")?.path());
    /// let error = parts.get("periodic").unwrap_err().to_string();
    /// assert!(error.contains("a part of `periodic(lengthscale=1, period=1) * rbf(lengthscale=9)`"), "{error}");
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Result<&Component<T>> {
        let ways: [Way<'_, T>; 4] = [
            &|term| term.label() == name,
            &|term| term.text() == name,
            &|term| term.path() == name || is_within(term.path(), below_model(name)),
            &|term| term.kernel().is_some_and(|kernel| core(kernel).name() == name),
        ];
        for way in ways {
            let found: Vec<_> = self.iter().filter(|term| way(term)).collect();
            match found.as_slice() {
                [] => {}
                [one] => return Ok(one),
                several => {
                    let paths: Vec<&str> = several.iter().map(|term| term.path()).collect();
                    let expected = format!("names {} terms: ask for one of {}", several.len(), paths.join(", "));
                    return Err(Error::setting("the term", name, &expected));
                }
            }
        }
        if let Some(term) = self.iter().find(|term| term.kernel().is_some_and(|kernel| has_part(kernel, term, name))) {
            let expected = format!(
                "is a part of `{}`, which is no sum: it adds nothing by itself; ask for `{}`",
                term.text(),
                term.path()
            );
            return Err(Error::setting("the term", name, &expected));
        }
        Err(self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let mut names: Vec<String> = Vec::new();
        for term in self.iter() {
            names.extend([term.label().to_owned(), term.path().to_owned()]);
        }
        names.dedup();
        let close = nearest(name, &names);
        let expected = match close.as_slice() {
            [] => format!("is none of: {}", self.iter().map(Component::label).collect::<Vec<_>>().join("; ")),
            close => format!("is none of the terms: did you mean {}?", close.join(", or ")),
        };
        Error::setting("the term", name, &expected)
    }
}

/// A way to tell whether a term has a name.
type Way<'a, T> = &'a dyn Fn(&Component<T>) -> bool;

/// Without the word of a model before the path of its kernel.
fn below_model(path: &str) -> &str {
    match path.strip_prefix("kernel") {
        Some(rest) => rest.split_once('.').map_or(path, |(_, rest)| rest),
        None => path,
    }
}

/// Whether a path begins with another, at the end of a word.
fn is_within(path: &str, beginning: &str) -> bool {
    !beginning.is_empty()
        && path.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether the name is that of something in the term.
fn has_part<T: Scalar>(kernel: &dyn Expr, term: &Component<T>, name: &str) -> bool {
    fn has_node(node: &dyn Expr, name: &str) -> bool {
        node.name() == name
            || text(node).to_string() == name
            || node.children().into_iter().any(|child| has_node(child, name))
    }
    is_within(below_model(name), term.path()) || has_node(kernel, name)
}
