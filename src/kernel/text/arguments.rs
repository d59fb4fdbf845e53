//! The arguments of a call in text.

use faer::Mat;

use super::build::kernel;
use super::syntax::{Kind, Node};
use crate::params::{OneOrEach, nearest};
use crate::{DynKernel, Error, Result};

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
    text: &'t str,
    /// Characters before the call.
    start: usize,
    name: &'t str,
    rest: Vec<(Option<&'t str>, &'t Node)>,
    taken: Vec<&'static str>,
}

impl<'t> Arguments<'t> {
    pub(super) fn new(text: &'t str, start: usize, name: &'t str, all: &'t [(Option<String>, Node)]) -> Self {
        let rest = all.iter().map(|(name, node)| (name.as_deref(), node)).collect();
        Self { text, start, name, rest, taken: Vec::new() }
    }

    /// Takes an argument.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if it is missing or something else than an `A`.
    pub fn take<A: FromArgument>(&mut self, name: &'static str) -> Result<A> {
        match self.take_optional(name)? {
            Some(value) => Ok(value),
            None => {
                // A name that is spelt almost like the missing one is the mistake to point at.
                let near = |given: &str| !nearest(given, &[name.to_owned()]).is_empty();
                if let Some((Some(given), node)) = self.rest.iter().find(|(given, _)| given.is_some_and(near)) {
                    let reason = format!("`{}` has no argument `{given}`; did you mean `{name}`?", self.name);
                    return Err(Error::parse(self.text, node.start, reason));
                }
                let reason = format!("`{}` needs {} as its argument `{name}`", self.name, A::describe());
                Err(Error::parse(self.text, self.start, reason))
            }
        }
    }

    /// Takes an argument if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if it is something else than an `A`.
    pub fn take_optional<A: FromArgument>(&mut self, name: &'static str) -> Result<Option<A>> {
        self.taken.push(name);
        let position = self.rest.iter().position(|(given, _)| *given == Some(name));
        let Some(position) = position.or_else(|| self.rest.iter().position(|(given, _)| given.is_none())) else {
            return Ok(None);
        };
        let (_, node) = self.rest.remove(position);
        match A::from_argument(Argument { text: self.text, node })? {
            Some(value) => Ok(Some(value)),
            None => {
                let (expected, found) = (A::describe(), node.kind.describe());
                let reason = format!("expected {expected} as the argument `{name}` of `{}`, found {found}", self.name);
                Err(Error::parse(self.text, node.start, reason))
            }
        }
    }

    /// Refuses arguments that nobody took.
    pub(crate) fn finish(self) -> Result<()> {
        let Some((given, node)) = self.rest.first() else { return Ok(()) };
        let known: Vec<String> = self.taken.iter().map(|&name| name.to_owned()).collect();
        let takes = match &known[..] {
            [] => "it takes none".to_owned(),
            names => format!("it takes `{}`", names.join("`, `")),
        };
        let reason = match given {
            Some(given) => match nearest(given, &known).first() {
                Some(meant) => format!("`{}` has no argument `{given}`; did you mean `{meant}`?", self.name),
                None => format!("`{}` has no argument `{given}`; {takes}", self.name),
            },
            None => format!("`{}` has too many arguments; {takes}", self.name),
        };
        Err(Error::parse(self.text, node.start, reason))
    }
}

/// One argument, as it was written.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'t> {
    pub(super) text: &'t str,
    pub(super) node: &'t Node,
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
            Kind::List(items) => Some(items.iter().map(move |node| Argument { text: self.text, node })),
            _ => None,
        }
    }

    /// The name and the arguments of the call that the argument is.
    pub fn call(self) -> Option<(&'t str, Arguments<'t>)> {
        match &self.node.kind {
            Kind::Call(name, arguments) => Some((name, Arguments::new(self.text, self.node.start, name, arguments))),
            _ => None,
        }
    }

    /// An error at the place of this argument.
    pub fn error(self, reason: impl Into<String>) -> Error {
        Error::parse(self.text, self.node.start, reason.into())
    }
}

impl FromArgument for f64 {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        Ok(argument.number())
    }

    fn describe() -> String {
        "a number".to_owned()
    }
}

impl FromArgument for usize {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        // Beyond 2⁵³, a number in text may not be the integer that was meant.
        let whole = |value: &f64| value.fract() == 0.0 && (0.0..9e15).contains(value);
        Ok(argument.number().filter(whole).map(|value| value as Self))
    }

    fn describe() -> String {
        "a whole number".to_owned()
    }
}

impl FromArgument for u32 {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        Ok(usize::from_argument(argument)?.and_then(|value| value.try_into().ok()))
    }

    fn describe() -> String {
        usize::describe()
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

impl FromArgument for DynKernel {
    fn from_argument(argument: Argument<'_>) -> Result<Option<Self>> {
        match argument.node.kind {
            Kind::List(_) => Ok(None),
            _ => kernel(argument.text, argument.node).map(Some),
        }
    }

    fn describe() -> String {
        "a kernel".to_owned()
    }
}
