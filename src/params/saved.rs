//! What is known of parameters beside their values, to be saved.

use std::collections::BTreeMap;

use super::path::walk;
use super::visits::for_each_at;
use super::{Constraint, Parameterized, ParameterizedExt, Prior, positions};
use crate::{Error, Result};

/// Constraints that no value tells, freedom, priors and ties of the parameters of something, by path.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Paths of parameters that are positive, and may be of any sign.
    pub(crate) real: Vec<String>,
    /// Paths of parameters that optimisers may not change.
    pub(crate) frozen: Vec<String>,
    /// Priors by path, as text.
    pub(crate) priors: BTreeMap<String, String>,
    /// Groups of paths whose parameters are one.
    pub(crate) ties: Vec<Vec<String>>,
}

impl Notes {
    /// Those of this.
    pub(crate) fn of<P: Parameterized + ?Sized>(root: &P) -> Self {
        let entries = root.parameters();
        let mut frozen = Vec::new();
        walk(root, &mut |path, parameter| {
            let len = parameter.values.len();
            match parameter.free.iter().filter(|free| !**free).count() {
                0 => {}
                count if count == len => frozen.push(path.to_owned()),
                _ => {
                    let elements = (0..len).filter(|&element| !parameter.free[element]);
                    frozen.extend(elements.map(|element| format!("{path}{}", parameter.shape.index(element))));
                }
            }
        });
        let prior = |prior: Prior| prior.to_string();
        let priors = entries.iter().filter_map(|entry| Some((entry.path.clone(), entry.prior.map(prior)?))).collect();
        let mut ties: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for entry in &entries {
            if let Some(first) = entry.tie {
                ties.entry(first).or_default().push(entry.path.clone());
            }
        }
        let mut real = Vec::new();
        walk(root, &mut |path, parameter| {
            let told = Constraint::by_sign(parameter.values);
            if parameter.by_sign && parameter.constraint != told {
                real.push(path.to_owned());
            }
        });
        Self { real, frozen, priors, ties: ties.into_values().collect() }
    }

    /// Gives them to another that has none.
    pub(crate) fn give<P: Parameterized + ?Sized>(&self, root: &mut P) -> Result<()> {
        for path in &self.real {
            let mut found = true;
            for_each_at(root, &positions(root, path)?, &mut |parameter, _| found &= parameter.free_sign());
            if !found {
                let expected = "must be that of a parameter whose constraint depends on its sign";
                return Err(Error::setting("the path of a parameter of any sign", format!("`{path}`"), expected));
            }
        }
        for group in &self.ties {
            let paths: Vec<&str> = group.iter().map(String::as_str).collect();
            root.tie(&paths)?;
        }
        self.frozen.iter().try_for_each(|path| root.freeze(path))?;
        self.priors.iter().try_for_each(|(path, prior)| root.set_prior(path, prior.parse()?))
    }
}

/// The parameters by path, with their constraints as text and their values.
pub(crate) fn described<P: Parameterized + ?Sized>(root: &P) -> Vec<(String, String, Vec<f64>)> {
    let mut all = Vec::new();
    walk(root, &mut |path, parameter| {
        if !parameter.values.is_empty() {
            all.push((path.to_owned(), text(parameter.constraint), parameter.values.to_vec()));
        }
    });
    all
}

/// A constraint, told from all others.
fn text(constraint: Constraint) -> String {
    match constraint {
        Constraint::Real => "real".to_owned(),
        Constraint::Positive => "positive".to_owned(),
        Constraint::Softplus => "softplus".to_owned(),
        Constraint::UpTo { upper } => format!("positive up to {upper:?}"),
        Constraint::Interval { lower, upper } => format!("between {lower:?} and {upper:?}"),
    }
}
