//! What is known of the parameters of a model.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::numbers::Array;
use super::reader::Place;
use super::{FromValue, Node, Reader, Writer};
use crate::Result;
use crate::params::{Notes, Parameterized, described};

/// Values of more elements than this are told by their number.
const MOST: usize = 16;

impl Writer {
    /// Puts what is known of all parameters of a model: values that are few and constraints, for a person and for a check;
    /// what is frozen and tied, and priors.
    pub(crate) fn put_parameters<P: Parameterized + ?Sized>(&mut self, root: &P) -> Result<()> {
        let entries = described(root).into_iter().map(|(path, constraint, values)| {
            let value = match values.as_slice() {
                [value] => ("value".to_owned(), Node::Number(*value)),
                values if values.len() <= MOST => ("values".to_owned(), Node::Array(Array::list(values))),
                values => ("count".to_owned(), Node::Count(values.len() as u64)),
            };
            (path, Node::Map(vec![value, ("constraint".to_owned(), Node::Text(constraint))]))
        });
        let entries: Vec<_> = entries.collect();
        if !entries.is_empty() {
            self.put("parameters", &Entries(entries))?;
        }
        let Notes { real: _, frozen, priors, ties } = Notes::of(root);
        if !frozen.is_empty() {
            self.put("frozen", &frozen)?;
        }
        if !priors.is_empty() {
            self.put("priors", &Entries(priors.into_iter().map(|(path, prior)| (path, Node::Text(prior))).collect()))?;
        }
        if !ties.is_empty() {
            self.put("ties", &ties)?;
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// Gives parameters what [`Writer::put_parameters`] has put, and refuses parameters of other constraints or values than
    /// they had.
    pub(crate) fn take_parameters<P: Parameterized + ?Sized>(&mut self, root: &mut P) -> Result<()> {
        let Texts(told) = self.take_optional("parameters")?.unwrap_or_default();
        let frozen: Vec<String> = self.take_optional("frozen")?.unwrap_or_default();
        let priors: Option<Texts<String>> = self.take_optional("priors")?;
        let ties: Vec<Vec<String>> = self.take_optional("ties")?.unwrap_or_default();
        let priors = priors.unwrap_or_default().0;

        let found = described(root);
        if let Some(path) = told.keys().find(|path| !found.iter().any(|(found, ..)| found == *path)) {
            return Err(self.error(format!("tells of a parameter `{path}`, which the model has not")));
        }
        let mut real = Vec::new();
        for (path, constraint, values) in found {
            let told: &Told =
                told.get(&path).ok_or_else(|| self.error(format!("does not tell of the parameter `{path}`")))?;
            let values_are = told.values.as_ref().is_none_or(|told| {
                told.len() == values.len() && told.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits())
            });
            if !values_are || told.count.is_some_and(|count| count != values.len()) {
                return Err(self.error(format!("tells of another value of the parameter `{path}` than the model has")));
            }
            if told.constraint == constraint {
                continue;
            }
            if told.constraint != "real" {
                let told = &told.constraint;
                return Err(self.error(format!("has the parameter `{path}` as {told}, where it is {constraint} now")));
            }
            real.push(path);
        }
        let place = self.place();
        Notes { real, frozen, priors, ties }.give(root).map_err(|error| place.within(error))
    }
}

/// A map with any names.
struct Entries(Vec<(String, Node)>);

impl super::Value for Entries {
    fn node(&self) -> Result<Node> {
        Ok(Node::Map(self.0.clone()))
    }
}

/// The same, read.
struct Texts<V>(BTreeMap<String, V>);

impl<V> Default for Texts<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V: FromValue> FromValue for Texts<V> {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        let Json::Object(map) = place.json() else { return Err(place.expected("a map")) };
        let entry = |(name, json)| {
            let name: &String = name;
            Ok((name.clone(), V::from_place(&place.child(name, json))?))
        };
        map.iter().map(entry).collect::<Result<_>>().map(Self)
    }
}

/// What a file tells of a parameter.
struct Told {
    values: Option<Vec<f64>>,
    count: Option<usize>,
    constraint: String,
}

impl FromValue for Told {
    fn from_place(place: &Place<'_>) -> Result<Self> {
        Reader::map(place, |from| {
            let one: Option<f64> = from.take_optional("value")?;
            let several: Option<super::Numbers> = from.take_optional("values")?;
            let values = one.map(|value| vec![value]).or(several.map(|numbers| numbers.0));
            Ok(Self { values, count: from.take_optional("count")?, constraint: from.take("constraint")? })
        })
    }
}
