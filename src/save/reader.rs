//! What a part is read from.

use std::collections::BTreeSet;

use faer::Mat;
use safetensors::SafeTensors;
use serde_json::{Map, Value as Json};

use super::numbers::{Array, from_rows};
use super::{FromValue, TENSOR, TYPE};
use crate::params::nearest;
use crate::{Error, Result, Scalar};

/// An empty matrix may have so many rows or columns: beyond, they are a mistake.
const MOST_OF_NOTHING: usize = 1 << 20;

/// A place in a file.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    json: &'a Json,
    beside: Option<&'a SafeTensors<'a>>,
    path: String,
}

impl<'a> Place<'a> {
    pub(super) fn root(json: &'a Json, beside: Option<&'a SafeTensors<'a>>) -> Self {
        Self { json, beside, path: String::new() }
    }

    pub(super) fn json(&self) -> &'a Json {
        self.json
    }

    pub(super) fn child(&self, name: &str, json: &'a Json) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { json, beside: self.beside, path }
    }

    /// An error that says where it is.
    pub(crate) fn error(&self, reason: impl Into<String>) -> Error {
        let place = if self.path.is_empty() { String::new() } else { format!("at `{}`, it ", self.path) };
        Error::Saved { file: None, reason: format!("{place}{}", reason.into()) }
    }

    pub(super) fn expected(&self, what: &str) -> Error {
        let found = match self.json {
            Json::Null => "nothing".to_owned(),
            Json::Array(_) => "a list".to_owned(),
            Json::Object(_) => "a map".to_owned(),
            other => other.to_string().chars().take(40).collect(),
        };
        self.error(format!("has {found}, but {what} was expected"))
    }

    /// The same error, with the place if it has none.
    pub(super) fn within(&self, error: Error) -> Error {
        match error {
            Error::Saved { .. } => error,
            other => self.error(format!("has what cannot be: {other}")),
        }
    }

    /// What a person writes: a number, or the name of one that JSON has not.
    pub(super) fn number(&self) -> Option<f64> {
        number(self.json)
    }

    /// The parts of a list.
    pub(super) fn items(&self) -> Result<Vec<Self>> {
        let Json::Array(items) = self.json else { return Err(self.expected("a list")) };
        let item = |(index, json)| Self { json, beside: self.beside, path: format!("{}[{index}]", self.path) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    pub(super) fn list<T: Scalar>(&self) -> Result<Vec<T>> {
        let (shape, values) = self.array()?;
        if shape.len() == 1 { Ok(values) } else { Err(self.expected("a list of numbers")) }
    }

    pub(super) fn matrix<T: Scalar>(&self) -> Result<Mat<T>> {
        let (shape, values) = self.array()?;
        match *shape.as_slice() {
            [rows, cols] if !values.is_empty() || rows.max(cols) <= MOST_OF_NOTHING => {
                Ok(from_rows(&values, rows, cols))
            }
            _ => Err(self.expected("rows of numbers")),
        }
    }

    /// Numbers with their shape, from the head or from beside it.
    fn array<T: Scalar>(&self) -> Result<(Vec<usize>, Vec<T>)> {
        let (shape, values) = match self.json {
            Json::Object(map) => match (map.get(TENSOR), map.get("shape")) {
                (Some(Json::String(name)), None) if map.len() == 1 => self.tensor(name)?,
                (None, Some(Json::Array(shape))) if map.len() == 1 => {
                    let side = |side: &Json| side.as_u64().and_then(|side| usize::try_from(side).ok());
                    let shape: Option<Vec<usize>> = shape.iter().map(side).collect();
                    let shape = shape.filter(|shape| shape.contains(&0)).ok_or_else(|| self.expected("numbers"))?;
                    (shape, Vec::new())
                }
                _ => return Err(self.expected("numbers")),
            },
            Json::Array(items) if items.first().is_some_and(Json::is_array) => {
                let rows: Option<Vec<Vec<f64>>> = items.iter().map(|row| numbers(row.as_array()?)).collect();
                let rows = rows.ok_or_else(|| self.expected("rows of numbers"))?;
                let cols = rows[0].len();
                if rows.iter().any(|row| row.len() != cols) {
                    return Err(self.expected("rows of as many numbers each"));
                }
                (vec![rows.len(), cols], rows.concat())
            }
            Json::Array(items) => {
                let values = numbers(items).ok_or_else(|| self.expected("numbers"))?;
                (vec![values.len()], values)
            }
            _ => return Err(self.expected("numbers")),
        };
        let exact = |&value: &f64| value.is_nan() || T::from_f64(value).as_f64() == value;
        if !values.iter().all(exact) {
            return Err(self.error("has numbers of another precision"));
        }
        Ok((shape, values.into_iter().map(T::from_f64).collect()))
    }

    fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f64>)> {
        let missing = || self.error(format!("names the tensor `{name}`, which is not in the file"));
        let view = self.beside.and_then(|beside| beside.tensor(name).ok()).ok_or_else(missing)?;
        let array = Array::of_bytes(view.dtype(), view.shape().to_vec(), view.data());
        let array = array.ok_or_else(|| self.error(format!("names the tensor `{name}`, which has no such numbers")))?;
        Ok((array.shape.clone(), array.into_doubles()))
    }
}

fn number(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(name) => match name.as_str() {
            "nan" => Some(f64::NAN),
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn numbers(items: &[Json]) -> Option<Vec<f64>> {
    items.iter().map(number).collect()
}

/// Gives what a part of a file has, each by its name.
///
/// [`Save`](super::Save) has an example.
#[derive(Debug)]
pub struct Reader<'a> {
    place: Place<'a>,
    map: &'a Map<String, Json>,
    taken: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// Of a part that is to be of this type.
    pub(super) fn of(place: &Place<'a>, name: &str) -> Result<Self> {
        let mut reader = Self::untyped(place)?;
        let found: String = reader.take(TYPE)?;
        if found == name {
            return Ok(reader);
        }
        Err(place.error(format!("holds `{found}`, not `{name}`: load it as what it is")))
    }

    pub(super) fn untyped(place: &Place<'a>) -> Result<Self> {
        let Json::Object(map) = place.json else { return Err(place.expected("a map")) };
        Ok(Self { place: place.clone(), map, taken: BTreeSet::new() })
    }

    /// Reads a map of what has no type of its own.
    pub(crate) fn map<V>(place: &Place<'a>, read: impl FnOnce(&mut Self) -> Result<V>) -> Result<V> {
        let mut reader = Self::untyped(place)?;
        let value = read(&mut reader).map_err(|error| place.within(error))?;
        reader.finish()?;
        Ok(value)
    }

    /// The value under a name.
    ///
    /// # Errors
    ///
    /// [`Error::Saved`] if there is none, or another kind of value.
    pub fn take<V: FromValue>(&mut self, name: &str) -> Result<V> {
        match self.take_optional(name)? {
            Some(value) => Ok(value),
            None => Err(self.place.error(format!("has no `{name}`"))),
        }
    }

    /// The value under a name that may be left out.
    ///
    /// # Errors
    ///
    /// [`Error::Saved`] for another kind of value.
    pub fn take_optional<V: FromValue>(&mut self, name: &str) -> Result<Option<V>> {
        self.taken.insert(name.to_owned());
        let Some(json) = self.map.get(name) else { return Ok(None) };
        let place = self.place.child(name, json);
        V::from_place(&place).map(Some).map_err(|error| place.within(error))
    }

    /// Whether there is a value under a name.
    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// An error of this part, for what does not go together.
    pub fn error(&self, reason: impl Into<String>) -> Error {
        self.place.error(reason)
    }

    pub(super) fn place(&self) -> &Place<'a> {
        &self.place
    }

    /// Refuses what is left over: nothing in a file is passed over in silence.
    pub(super) fn finish(self) -> Result<()> {
        let Some(name) = self.map.keys().find(|name| !self.taken.contains(*name)) else { return Ok(()) };
        let known: Vec<String> = self.taken.into_iter().collect();
        let hint = nearest(name, &known).first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Err(self.place.error(format!(
            "has `{name}`, which this version of mercer does not know: the file is of a newer version, or not as it was saved{hint}"
        )))
    }
}
