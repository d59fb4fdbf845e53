//! The head of a file, as a person reads it.

use std::fmt::Write;

use super::TENSOR;
use super::numbers::Array;
use super::value::Node;

/// Arrays of more numbers than this stand beside the head, where there are more than [`INLINE`] in all.
const SHORT: usize = 16;
/// The most numbers in arrays of a file that has all of them in the head.
const INLINE: usize = 1024;
/// The most characters of a map or a list on one line, and the most numbers and texts that may be so short.
const LINE: usize = 100;
const FEW: usize = 16;

/// The text of a node, and what stands beside it, by name.
#[derive(Debug)]
pub(super) struct Head<'n> {
    pub(super) text: String,
    pub(super) beside: Vec<(String, &'n Array)>,
}

impl<'n> Head<'n> {
    pub(super) fn of(node: &'n Node) -> Self {
        let mut head = Self { text: String::new(), beside: Vec::new() };
        let longest = if numbers_in(node) <= INLINE { INLINE } else { SHORT };
        head.node(node, "", 1, longest);
        head
    }

    fn node(&mut self, node: &'n Node, path: &str, depth: usize, longest: usize) {
        match node {
            Node::Map(entries) => {
                let parts = entries.iter().map(|(name, node)| {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    (format!("{}: ", quoted(name)), path, node)
                });
                self.group(['{', '}'], parts.collect(), depth, longest);
            }
            Node::List(items) => {
                let parts =
                    items.iter().enumerate().map(|(index, node)| (String::new(), format!("{path}[{index}]"), node));
                self.group(['[', ']'], parts.collect(), depth, longest);
            }
            Node::Array(array) if array.len() > longest => {
                self.text += &format!("{{{}: {}}}", quoted(TENSOR), quoted(path));
                self.beside.push((path.to_owned(), array));
            }
            Node::Array(array) => self.array(array),
            Node::None => self.text += "null",
            Node::Flag(flag) => self.text += if *flag { "true" } else { "false" },
            Node::Count(count) => self.text += &count.to_string(),
            Node::Number(value) => self.number(*value),
            Node::Text(text) => self.text += &quoted(text),
        }
    }

    fn group(
        &mut self,
        [open, close]: [char; 2],
        parts: Vec<(String, String, &'n Node)>,
        depth: usize,
        longest: usize,
    ) {
        if parts.iter().map(|(_, _, node)| leaves(node)).sum::<usize>() <= FEW {
            let start = (self.text.len(), self.beside.len());
            self.text.push(open);
            for (index, (name, path, node)) in parts.iter().enumerate() {
                self.text += if index == 0 { "" } else { ", " };
                self.text += name;
                self.node(node, path, depth + 1, longest);
            }
            self.text.push(close);
            let written = &self.text[start.0..];
            if (written.len() <= LINE && !written.contains('\n')) || parts.is_empty() {
                return;
            }
            self.text.truncate(start.0);
            self.beside.truncate(start.1);
        }
        self.text.push(open);
        for (index, (name, path, node)) in parts.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            // A formatter of a `String` has no errors.
            let _ = write!(self.text, "{separator}\n{:1$}{name}", "", 2 * (depth + 1));
            self.node(node, path, depth + 1, longest);
        }
        let _ = write!(self.text, "\n{:1$}{close}", "", 2 * depth);
    }

    fn array(&mut self, array: &Array) {
        let values = array.doubles();
        match *array.shape.as_slice() {
            [_] => self.row(&values),
            [rows, cols] if rows > 0 && cols > 0 => {
                for (row, values) in values.chunks_exact(cols).enumerate() {
                    self.text += if row == 0 { "[" } else { ", " };
                    self.row(values);
                }
                self.text.push(']');
            }
            _ => self.text += &format!("{{\"shape\": {:?}}}", array.shape),
        }
    }

    fn row(&mut self, values: &[f64]) {
        self.text.push('[');
        for (index, &value) in values.iter().enumerate() {
            self.text += if index == 0 { "" } else { ", " };
            self.number(value);
        }
        self.text.push(']');
    }

    /// With as many digits as give it back; what JSON has no number for by its name.
    fn number(&mut self, value: f64) {
        self.text += &match value {
            _ if value.is_finite() => format!("{value:?}"),
            _ if value.is_nan() => quoted("nan"),
            _ if value > 0.0 => quoted("inf"),
            _ => quoted("-inf"),
        };
    }
}

fn leaves(node: &Node) -> usize {
    match node {
        Node::Map(entries) => entries.iter().map(|(_, node)| leaves(node)).sum(),
        Node::List(items) => items.iter().map(leaves).sum(),
        Node::Array(array) => array.len(),
        _ => 1,
    }
}

fn numbers_in(node: &Node) -> usize {
    match node {
        Node::Map(entries) => entries.iter().map(|(_, node)| numbers_in(node)).sum(),
        Node::List(items) => items.iter().map(numbers_in).sum(),
        Node::Array(array) => array.len(),
        _ => 0,
    }
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
