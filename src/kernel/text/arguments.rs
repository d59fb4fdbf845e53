//! The arguments of a call in text.

use std::cell::Cell;

use faer::Mat;

use super::Limits;
use super::syntax::{Kind, Node, shortened};
use crate::params::{OneOrEach, nearest};
use crate::{Error, Result};

/// A text that is being read.
#[derive(Debug)]
pub(crate) struct Source<'t> {
    pub(crate) text: &'t str,
    pub(crate) limits: Limits,
    /// Whether numbers may be left out.
    pub(crate) template: bool,
    /// Of the kernels that have been made since this was last set back: how many are within one another at most.
    pub(crate) height: Cell<usize>,
    /// The same of the columns that their maps make of one.
    pub(crate) columns: Cell<usize>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(text: &'t str, limits: Limits) -> Self {
        Self { text, limits, template: false, height: Cell::new(0), columns: Cell::new(1) }
    }

    pub(crate) fn error(&self, start: usize, reason: impl Into<String>) -> Error {
        Error::parse(self.text, start, reason.into())
    }

    /// Notes that one more kernel is around what has been made.
    pub(crate) fn enclose(&self, start: usize) -> Result<()> {
        let height = self.height.get() + 1;
        let most = self.limits.depth.saturating_mul(5);
        if height > most {
            let reason = format!(
                "kernels are nested deeper than {most}, five for each of `Limits::depth`; raise it and read with \
                 `Limits::parse`, or build such an expression in code"
            );
            return Err(self.error(start, reason));
        }
        self.height.set(height);
        Ok(())
    }
}

/// The arguments of `name(…)` in text, to be taken out one by one.
///
/// An argument is found by its name, or else by its position among those without a name, in the
/// order in which they are taken.
///
/// # Examples
///
/// See [`Construct`](super::Construct).
#[derive(Debug)]
pub struct Arguments<'t> {
    source: &'t Source<'t>,
    /// Characters before the call.
    start: usize,
    name: &'t str,
    named: Vec<(&'t str, &'t Node)>,
    unnamed: std::collections::VecDeque<&'t Node>,
    /// The names of those that are known, in order.
    known: Vec<&'static str>,
    /// The names of numbers that were left out.
    pub(crate) unset: Vec<&'static str>,
    /// Whether these are arguments of an argument, of which nobody would know what was left out.
    nested: bool,
}

impl<'t> Arguments<'t> {
    pub(crate) fn new(source: &'t Source<'t>, start: usize, name: &'t str, all: &'t [(Option<String>, Node)]) -> Self {
        let named = all.iter().filter_map(|(name, node)| Some((name.as_deref()?, node))).collect();
        let unnamed = all.iter().filter(|(name, _)| name.is_none()).map(|(_, node)| node).collect();
        Self { source, start, name, named, unnamed, known: Vec::new(), unset: Vec::new(), nested: false }
    }

    /// Refuses a matrix of so many numbers, of which the text only states the size, if they are over the limit.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`], naming [`Limits::entries`].
    pub fn check_entries(&self, rows: usize, cols: usize) -> Result<()> {
        let what = format!("the number of entries of a matrix that `{}` needs", self.name);
        let limit = ("entries", self.source.limits.entries);
        Limits::check(self.source.text, self.start, &what, rows.saturating_mul(cols), limit)
    }

    /// Refuses a graph of more nodes than the limit.
    pub(crate) fn check_nodes(&self, nodes: usize) -> Result<()> {
        let limit = ("nodes", self.source.limits.nodes);
        Limits::check(self.source.text, self.start, "the number of nodes of the graph", nodes, limit)
    }

    /// Notes that a map of the inputs makes so many columns of one, behind which the kernel is that was taken.
    pub(crate) fn multiply_columns(&self, factor: usize) -> Result<()> {
        let columns = self.source.columns.get().saturating_mul(factor);
        let what = "the number of columns that maps of the inputs make of one";
        Limits::check(self.source.text, self.start, what, columns, ("columns", self.source.limits.columns))?;
        self.source.columns.set(columns);
        Ok(())
    }

    /// Says the names of all arguments that are to be taken, and refuses others. Before the first is taken, so that a
    /// wrong name is the mistake that is told, and not that the argument is missing which it stands for.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`], at the first other one.
    pub fn check_names(&mut self, names: &[&'static str]) -> Result<()> {
        names.iter().for_each(|name| self.know(name));
        match self.named.iter().find(|(given, _)| !self.known.contains(given)) {
            Some((given, node)) => Err(self.source.error(node.start, self.no_argument(given))),
            None => Ok(()),
        }
    }

    fn know(&mut self, name: &'static str) {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
    }

    /// That there is no argument of a name, which there are, and which was meant.
    fn no_argument(&self, given: &str) -> String {
        let known: Vec<String> = self.known.iter().map(|&name| name.to_owned()).collect();
        let meant = nearest(given, &known).into_iter().next().or_else(|| {
            let mut long = known.iter().filter(|name| abbreviates(given, name));
            long.next().filter(|_| long.next().is_none()).cloned()
        });
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
        format!("`{}` has no argument `{}`; {}{meant}", self.name, shortened(given), self.takes())
    }

    /// Which arguments there are.
    fn takes(&self) -> String {
        match &self.known[..] {
            [] => "it takes none".to_owned(),
            names => format!("it takes `{}`", names.join("`, `")),
        }
    }

    /// Takes an argument.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if it is missing or something else than an `A`.
    pub fn take<A: FromArgument>(&mut self, name: &'static str) -> Result<A> {
        if let Some(value) = self.take_optional(name)? {
            return Ok(value);
        }
        let may_be_left_out = self.source.template && !self.nested;
        let Some(value) = A::unset().filter(|_| may_be_left_out) else { return Err(self.missing::<A>(name)) };
        self.unset.push(name);
        Ok(value)
    }

    /// Takes an argument as it was written.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if it is missing.
    pub fn take_written(&mut self, name: &'static str) -> Result<Argument<'t>> {
        match self.find(name) {
            Some(node) => Ok(Argument { source: self.source, node }),
            None => {
                let reason = format!("`{}` needs something as its argument `{name}`", self.name);
                Err(self.source.error(self.start, reason))
            }
        }
    }

    /// Takes an argument if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if it is something else than an `A`.
    pub fn take_optional<A: FromArgument>(&mut self, name: &'static str) -> Result<Option<A>> {
        let Some(node) = self.find(name) else { return Ok(None) };
        match A::from_argument(Argument { source: self.source, node })? {
            Some(value) => Ok(Some(value)),
            None => {
                let (expected, found) = (A::describe(), node.kind.describe());
                let reason = format!("expected {expected} as the argument `{name}` of `{}`, found {found}", self.name);
                Err(self.source.error(node.start, reason))
            }
        }
    }

    fn find(&mut self, name: &'static str) -> Option<&'t Node> {
        self.know(name);
        match self.named.iter().position(|(given, _)| *given == name) {
            Some(position) => Some(self.named.remove(position).1),
            None => self.unnamed.pop_front(),
        }
    }

    /// That an argument is missing.
    pub(crate) fn missing<A: FromArgument>(&self, name: &str) -> Error {
        let (of, expected) = (self.name, A::describe());
        self.source.error(self.start, format!("`{of}` needs {expected} as its argument `{name}`"))
    }

    /// Refuses arguments that nobody took: to be called at the end for calls within an argument.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`], at the first of them.
    pub fn finish(self) -> Result<()> {
        let named = self.named.first().map(|&(given, node)| (Some(given), node));
        let unnamed = self.unnamed.front().map(|&node| (None, node));
        let first = named.into_iter().chain(unnamed).min_by_key(|(_, node)| node.start);
        let Some((given, node)) = first else { return Ok(()) };
        let reason = match given {
            Some(given) => self.no_argument(given),
            None => format!("`{}` has too many arguments; {}", self.name, self.takes()),
        };
        Err(self.source.error(node.start, reason))
    }
}

/// Whether a name begins as a longer one does, and goes on with letters of it in their order: `l`, `len` and `ls` for
/// `lengthscale`.
fn abbreviates(short: &str, long: &str) -> bool {
    let mut rest = long.chars();
    short.chars().next() == long.chars().next() && short.chars().all(|letter| rest.any(|next| next == letter))
}

/// One argument, as it was written.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'t> {
    pub(crate) source: &'t Source<'t>,
    pub(crate) node: &'t Node,
}

/// What can be an argument in text.
pub trait FromArgument: Sized {
    /// The value, or `None` if the argument is something else.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] where the argument is of the right kind and has a mistake in it.
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>>;

    /// What it is, with its article: "a number".
    fn describe() -> String;

    /// What stands for one that is left out, where data tell it later; by default none may be.
    fn unset() -> Option<Self> {
        None
    }
}

impl<'t> Argument<'t> {
    /// The number that the argument is.
    pub fn number(self) -> Option<f64> {
        match self.node.kind {
            Kind::Number(value) => Some(value),
            _ => None,
        }
    }

    /// The word that the argument is.
    pub fn word(self) -> Option<&'t str> {
        match &self.node.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The items of the list that the argument is.
    pub fn list(self) -> Option<impl ExactSizeIterator<Item = Argument<'t>>> {
        match &self.node.kind {
            Kind::List(items) => Some(items.iter().map(move |node| Argument { source: self.source, node })),
            _ => None,
        }
    }

    /// The name and the arguments of the call that the argument is.
    pub fn call(self) -> Option<(&'t str, Arguments<'t>)> {
        match &self.node.kind {
            Kind::Call(name, arguments) => {
                let arguments = Arguments::new(self.source, self.node.start, name, arguments);
                Some((name, Arguments { nested: true, ..arguments }))
            }
            _ => None,
        }
    }

    /// An error with the place of this argument, if it has none yet.
    pub(crate) fn locate(self, error: Error) -> Error {
        match error {
            Error::Parse { .. } => error,
            other => self.error(other.to_string()),
        }
    }

    /// An error at the place of this argument.
    pub fn error(self, reason: impl Into<String>) -> Error {
        self.source.error(self.node.start, reason)
    }
}

impl FromArgument for String {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        match &argument.node.kind {
            Kind::Quoted(text) => Ok(Some(text.clone())),
            _ => Ok(None),
        }
    }

    fn describe() -> String {
        "a text in quotation marks".to_owned()
    }
}

impl FromArgument for f64 {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        Ok(argument.number())
    }

    fn describe() -> String {
        "a number".to_owned()
    }

    fn unset() -> Option<Self> {
        Some(1.0)
    }
}

/// A whole number that stands for itself, such as a seed.
impl FromArgument for u64 {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        // Beyond 2⁵³, a number in text may not be the integer that was meant.
        let whole = |value: &f64| value.fract() == 0.0 && (0.0..9e15).contains(value);
        Ok(argument.number().filter(whole).map(|value| value as Self))
    }

    fn describe() -> String {
        "a whole number".to_owned()
    }
}

/// A whole number that counts something, within [`Limits::size`].
impl FromArgument for usize {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let number = u64::from_argument(argument)?.map(|value| Self::try_from(value).unwrap_or(Self::MAX));
        let Source { text, limits, .. } = argument.source;
        let check =
            |&found: &Self| Limits::check(text, argument.node.start, "this number", found, ("size", limits.size));
        number.as_ref().map_or(Ok(()), check)?;
        Ok(number)
    }

    fn describe() -> String {
        u64::describe()
    }
}

impl FromArgument for u32 {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        Ok(usize::from_argument(argument)?.and_then(|value| value.try_into().ok()))
    }

    fn describe() -> String {
        u64::describe()
    }
}

impl<A: FromArgument> FromArgument for Vec<A> {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let Some(items) = argument.list() else { return Ok(None) };
        let item = |item: Argument<'_>| {
            A::from_argument(item)?
                .ok_or_else(|| item.error(format!("expected {}, found {}", A::describe(), item.node.kind.describe())))
        };
        items.map(item).collect::<Result<Self>>().map(Some)
    }

    fn describe() -> String {
        format!("a list, each item {},", A::describe())
    }
}

impl FromArgument for OneOrEach {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        match argument.number() {
            Some(value) => Ok(Some(Self::One(value))),
            None => Ok(Vec::from_argument(argument)?.map(Self::Each)),
        }
    }

    fn describe() -> String {
        "a number, or a list with one for each dimension,".to_owned()
    }

    fn unset() -> Option<Self> {
        Some(Self::One(1.0))
    }
}

impl FromArgument for Mat<f64> {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        let Some(rows) = Vec::<Vec<f64>>::from_argument(argument)? else { return Ok(None) };
        let cols = rows.first().map_or(0, Vec::len);
        if let Some(row) = rows.iter().position(|row| row.len() != cols) {
            let (found, first) = (rows[row].len(), cols);
            return Err(argument.error(format!("row {row} of the matrix has {found} entries, but row 0 has {first}")));
        }
        Ok(Some(Self::from_fn(rows.len(), cols, |row, col| rows[row][col])))
    }

    fn describe() -> String {
        "a matrix, as a list of rows,".to_owned()
    }
}
