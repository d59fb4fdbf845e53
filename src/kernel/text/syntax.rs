//! From text to a syntax tree, every node of which knows its column.
//!
//! ```text
//! sum     = term, { ("+" | "-"), term }
//! term    = "-", term | factor, { "*", factor }
//! factor  = "-", factor | operand, [ "^", operand ]
//! operand = number | quoted | list | word | call | "(", sum, ")"
//! call    = word, "(", [ argument, { ",", argument } ], ")"
//! argument = [ word, "=" ], sum
//! list    = "[", [ sum, { ",", sum } ], "]"
//! ```
//!
//! A minus directly before a number belongs to the number: `-2 * k` scales by −2.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Limits, foreign};
use crate::{Error, Result};

/// A piece of text with its meaning and the place where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Characters before it.
    pub(crate) start: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Number(f64),
    Word(String),
    /// In quotation marks.
    Quoted(String),
    List(Vec<Node>),
    Call(String, Vec<(Option<String>, Node)>),
    /// At least two terms, each with whether it is subtracted.
    Sum(Vec<(bool, Node)>),
    /// At least two factors.
    Product(Vec<Node>),
    Negated(Box<Node>),
    Power(Box<Node>, Box<Node>),
}

impl Kind {
    /// What an error message calls it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Number(value) => format!("the number {}", super::Number(*value)),
            Self::Word(word) => format!("the word `{}`", shortened(word)),
            Self::Quoted(text) => format!("\"{}\"", shortened(text)),
            Self::List(_) => "a list".to_owned(),
            Self::Call(name, _) => format!("`{}(…)`", shortened(name)),
            Self::Sum(_) => "a sum".to_owned(),
            Self::Product(_) => "a product".to_owned(),
            Self::Negated(_) => "a negated expression".to_owned(),
            Self::Power(..) => "a power".to_owned(),
        }
    }
}

/// The beginning of a word or a text that may be very long.
pub(crate) fn shortened(word: &str) -> Cow<'_, str> {
    const MOST: usize = 60;
    match word.char_indices().nth(MOST) {
        None => Cow::Borrowed(word),
        Some((end, _)) => Cow::Owned(format!("{}…", &word[..end])),
    }
}

/// Reads a whole text.
pub(crate) fn read(text: &str, limits: Limits) -> Result<Node> {
    let length = text.chars().count();
    Limits::check(text, 0, "the number of characters", length, ("length", limits.length))?;
    let mut reader = Reader { text, chars: text.chars().collect(), at: 0, depth: 0, deepest: limits.depth };
    let node = reader.sum()?;
    reader.skip_blanks();
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.expected("`+`, `-`, `*`, `^` or the end")),
    }
}

struct Reader<'t> {
    text: &'t str,
    chars: Vec<char>,
    at: usize,
    depth: usize,
    deepest: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes a symbol if it comes next.
    fn take(&mut self, symbol: char) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(symbol);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, symbol: char, or: &str) -> Result<()> {
        if self.take(symbol) { Ok(()) } else { Err(self.expected(&format!("{or}`{symbol}`"))) }
    }

    fn expected(&self, what: &str) -> Error {
        let found = self.peek().map_or("the end".to_owned(), |found| format!("`{found}`"));
        let hint = foreign::instead(&self.chars, self.at).map_or_else(String::new, |hint| format!("; {hint}"));
        Error::parse(self.text, self.at, format!("expected {what}, found {found}{hint}"))
    }

    /// Reads one level deeper.
    fn nested<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        if self.depth == self.deepest {
            let reason = format!(
                "nested deeper than {}; raise `Limits::depth` and read with `Limits::parse`, or build such an expression \
                 in code",
                self.deepest
            );
            return Err(Error::parse(self.text, self.at, reason));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn sum(&mut self) -> Result<Node> {
        self.skip_blanks();
        let start = self.at;
        let mut terms = vec![(false, self.term()?)];
        loop {
            let minus = if self.take('+') {
                false
            } else if self.take('-') {
                true
            } else {
                break;
            };
            terms.push((minus, self.term()?));
        }
        match <[_; 1]>::try_from(terms) {
            Ok([(_, term)]) => Ok(term),
            Err(terms) => Ok(Node { start, kind: Kind::Sum(terms) }),
        }
    }

    fn term(&mut self) -> Result<Node> {
        self.skip_blanks();
        let start = self.at;
        if self.minus() {
            let negated = self.nested(Self::term)?;
            return Ok(Node { start, kind: Kind::Negated(Box::new(negated)) });
        }
        let mut factors = vec![self.factor()?];
        while self.take('*') {
            factors.push(self.factor()?);
        }
        match <[_; 1]>::try_from(factors) {
            Ok([factor]) => Ok(factor),
            Err(factors) => Ok(Node { start, kind: Kind::Product(factors) }),
        }
    }

    /// Takes a minus that does not belong to a number.
    fn minus(&mut self) -> bool {
        self.skip_blanks();
        let of_number = self.chars.get(self.at + 1).is_some_and(|next| next.is_ascii_digit() || *next == '.');
        !of_number && self.take('-')
    }

    fn factor(&mut self) -> Result<Node> {
        self.skip_blanks();
        let start = self.at;
        if self.minus() {
            let negated = self.nested(Self::factor)?;
            return Ok(Node { start, kind: Kind::Negated(Box::new(negated)) });
        }
        let base = self.operand()?;
        if !self.take('^') {
            return Ok(base);
        }
        let exponent = self.operand()?;
        Ok(Node { start, kind: Kind::Power(Box::new(base), Box::new(exponent)) })
    }

    fn operand(&mut self) -> Result<Node> {
        self.skip_blanks();
        let start = self.at;
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.nested(Self::sum)?;
                self.need(')', "`+`, `-`, `*`, `^` or ")?;
                // A sum in parentheses stays a node of its own: regrouping would change its rounding.
                Ok(inner)
            }
            Some('[') => {
                self.at += 1;
                let items = self.nested(|reader| reader.separated(']', Self::sum))?;
                Ok(Node { start, kind: Kind::List(items) })
            }
            Some('"') => {
                let end = self.chars[start + 1..].iter().position(|&next| next == '"');
                let Some(end) = end.map(|length| start + 1 + length) else {
                    self.at = self.chars.len();
                    return Err(self.expected("`\"`"));
                };
                self.at = end + 1;
                let quoted = self.chars[start + 1..end].iter().collect();
                Ok(Node { start, kind: Kind::Quoted(quoted) })
            }
            Some(first) if first.is_ascii_digit() || first == '.' || first == '-' => self.number(),
            Some(first) if first.is_alphabetic() || first == '_' => {
                let word = self.word();
                if !self.take('(') {
                    return Ok(Node { start, kind: Kind::Word(word) });
                }
                let arguments = self.nested(|reader| reader.separated(')', Self::argument))?;
                self.check_names(&arguments)?;
                Ok(Node { start, kind: Kind::Call(word, arguments) })
            }
            _ => Err(self.expected("a kernel, a number, `[` or `(`")),
        }
    }

    /// Refuses an argument that is named twice.
    fn check_names(&self, arguments: &[(Option<String>, Node)]) -> Result<()> {
        let mut names = HashSet::new();
        let mut named = arguments.iter().filter_map(|(name, node)| Some((name.as_deref()?, node)));
        match named.find(|(name, _)| !names.insert(*name)) {
            None => Ok(()),
            Some((name, node)) => {
                let reason = format!("the argument `{}` is given twice", shortened(name));
                Err(Error::parse(self.text, node.start, reason))
            }
        }
    }

    fn argument(&mut self) -> Result<(Option<String>, Node)> {
        self.skip_blanks();
        let start = self.at;
        if self.peek().is_some_and(|first| first.is_alphabetic() || first == '_') {
            let word = self.word();
            if self.take('=') {
                return Ok((Some(word), self.sum()?));
            }
            self.at = start;
        }
        Ok((None, self.sum()?))
    }

    /// Items between commas, up to and with the closing symbol.
    fn separated<I>(&mut self, close: char, item: impl Fn(&mut Self) -> Result<I>) -> Result<Vec<I>> {
        let mut items = Vec::new();
        if self.take(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.take(',') {
                self.need(close, "`,` or ")?;
                return Ok(items);
            }
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|next| next.is_alphanumeric() || next == '_') {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn number(&mut self) -> Result<Node> {
        let start = self.at;
        let sign = |at: usize| matches!(self.chars.get(at), Some('+' | '-'));
        let mut end = start + usize::from(sign(start));
        let digits = |mut end: usize| {
            while self.chars.get(end).is_some_and(char::is_ascii_digit) {
                end += 1;
            }
            end
        };
        end = digits(end);
        if self.chars.get(end) == Some(&'.') {
            end = digits(end + 1);
        }
        if matches!(self.chars.get(end), Some('e' | 'E')) {
            let exponent = end + 1 + usize::from(sign(end + 1));
            if digits(exponent) > exponent {
                end = digits(exponent);
            }
        }
        let written: String = self.chars[start..end].iter().collect();
        match written.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                self.at = end;
                Ok(Node { start, kind: Kind::Number(value) })
            }
            Ok(_) => {
                Err(Error::parse(self.text, start, format!("`{}` is too large for a number", shortened(&written))))
            }
            Err(_) => Err(self.expected("a number")),
        }
    }
}
