//! What a part writes into.

use super::{Node, Value};
use crate::{Error, Result};

/// Takes what a part of a file has, each under a name.
///
/// # Examples
///
/// ```
/// use mercer::save::{Save, Writer};
///
/// struct Line {
///     slope: f64,
///     points: Vec<f64>,
/// }
/// impl Save for Line {
///     const NAME: &'static str = "line";
///     fn write(&self, to: &mut Writer) -> mercer::Result<()> {
///         to.put("slope", &self.slope)?;
///         to.put("points", self.points.as_slice())
///     }
/// }
///
/// let bytes = Line { slope: 0.5, points: vec![1.0, 2.0] }.to_bytes()?;
/// let text = String::from_utf8_lossy(&bytes);
/// assert!(text.contains("\"content\": {\"type\": \"line\", \"slope\": 0.5, \"points\": [1.0, 2.0]}"));
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    entries: Vec<(String, Node)>,
}

impl Writer {
    pub(super) fn new(name: &str) -> Self {
        Self { entries: vec![(super::TYPE.to_owned(), Node::Text(name.to_owned()))] }
    }

    /// A map of what has no type of its own.
    pub(crate) fn map(write: impl FnOnce(&mut Self) -> Result<()>) -> Result<Node> {
        let mut writer = Self { entries: Vec::new() };
        write(&mut writer)?;
        Ok(writer.into_node())
    }

    pub(super) fn into_node(self) -> Node {
        Node::Map(self.entries)
    }

    /// Puts a value under a name, which the part has not used yet.
    ///
    /// # Errors
    ///
    /// Those of a value that cannot be saved: a part of one's own that is not registered.
    pub fn put<V: Value + ?Sized>(&mut self, name: &str, value: &V) -> Result<()> {
        self.push(name, value.node()?)
    }

    fn push(&mut self, name: &str, node: Node) -> Result<()> {
        if self.entries.iter().any(|(known, _)| known == name) {
            return Err(Error::setting("the name of what is saved", format!("`{name}`"), "is taken already"));
        }
        self.entries.push((name.to_owned(), node));
        Ok(())
    }

    /// Puts several values of one kind.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn put_each<'v, V: Value + ?Sized + 'v>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'v V>,
    ) -> Result<()> {
        let list = values.into_iter().map(V::node).collect::<Result<_>>()?;
        self.push(name, Node::List(list))
    }

    /// The same for a value that is left out where there is none.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn put_optional<V: Value + ?Sized>(&mut self, name: &str, value: Option<&V>) -> Result<()> {
        value.map_or(Ok(()), |value| self.put(name, value))
    }
}
