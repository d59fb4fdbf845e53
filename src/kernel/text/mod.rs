//! Expressions as text: printing here, the reading of arguments in the files beside, that of kernels in
//! [`algebra`](crate::algebra), which knows them.

pub(crate) mod arguments;
mod construct;
mod foreign;
mod limits;
pub(crate) mod syntax;

pub use arguments::{Argument, Arguments, FromArgument};
pub use construct::Construct;
pub use limits::Limits;

use std::fmt::{self, Write};

use super::{Children, Expr, Node, Structure, WarpExpr};
use crate::params::{Label, ParameterRef, Parameterized, Shape, Visitor};

/// Reads a text within limits.
///
/// # Errors
///
/// [`Error::Parse`](crate::Error::Parse), with the column and what was expected there.
pub(crate) fn from_text<A: FromArgument>(text: &str, limits: Limits) -> crate::Result<A> {
    let (node, source) = (syntax::read(text, limits)?, arguments::Source::new(text, limits));
    let argument = Argument { source: &source, node: &node };
    A::from_argument(argument)?
        .ok_or_else(|| argument.error(format!("expected {}, found {}", A::describe(), node.kind.describe())))
}

/// How tightly the text of an expression binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// `a + b`, `a - b`
    Sum,
    /// `-a`
    Negation,
    /// `a * b`, `2 * a`
    Product,
    /// `a ^ 2`
    Power,
    /// `rbf(lengthscale=1)`, `on(a, [0])`
    Call,
}

/// Shows an expression as text: what `{}` prints.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    expr: &'a dyn Expr,
    at_least: Precedence,
}

impl<'a> Text<'a> {
    /// The text in a place where anything that binds less tightly than `at_least` needs parentheses.
    pub fn within(expr: &'a dyn Expr, at_least: Precedence) -> Self {
        Self { expr, at_least }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if precedence(self.expr) >= self.at_least {
            return self.expr.write_text(f);
        }
        f.write_char('(')?;
        self.expr.write_text(f)?;
        f.write_char(')')
    }
}

/// How tightly the text of an expression binds, so that a parent knows where it needs parentheses.
fn precedence(expr: &dyn Expr) -> Precedence {
    match expr.structure() {
        Structure::Sum(_) => Precedence::Sum,
        Structure::Negated(_) => Precedence::Negation,
        Structure::Product(_) | Structure::Scaled(..) => Precedence::Product,
        Structure::Power(..) => Precedence::Power,
        Structure::Boxed(kernel) => precedence(kernel),
        _ => Precedence::Call,
    }
}

/// Writes an expression as [`Expr::write_text`] says.
pub(super) fn write<E: Expr + ?Sized>(expr: &E, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match expr.structure() {
        Structure::Boxed(kernel) => kernel.write_text(f),
        // Without an operator to show that it is there, a sum or a product of one is written as a call.
        Structure::Sum(parts) if parts.count() != 1 => write_sum(parts, f),
        Structure::Product(parts) if parts.count() != 1 => {
            for (index, factor) in parts.iter().enumerate() {
                let (separator, binding) =
                    if index == 0 { ("", Precedence::Product) } else { (" * ", Precedence::Power) };
                write!(f, "{separator}{}", Text::within(factor, binding))?;
            }
            Ok(())
        }
        Structure::Scaled(factor, kernel) => {
            write!(f, "{} * {}", Number(factor), Text::within(kernel, Precedence::Power))
        }
        Structure::Negated(kernel) => write!(f, "-{}", Text::within(kernel, Precedence::Call)),
        Structure::Power(exponent, kernel) => write!(f, "{} ^ {exponent}", Text::within(kernel, Precedence::Call)),
        Structure::Warped(warp, kernel) => warp.write_text(&text(kernel), f),
        _ => write_call(expr, f),
    }
}

fn write_sum(terms: &dyn Children, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, term) in terms.iter().enumerate() {
        match (index, unboxed(term)) {
            (0, _) => write!(f, "{}", Text::within(term, Precedence::Sum))?,
            (_, Structure::Negated(inner)) => write!(f, " - {}", Text::within(inner, Precedence::Product))?,
            _ => write!(f, " + {}", Text::within(term, Precedence::Product))?,
        }
    }
    Ok(())
}

fn unboxed(kernel: &Node) -> Structure<'_> {
    match kernel.structure() {
        Structure::Boxed(inner) => unboxed(inner),
        structure => structure,
    }
}

/// An expression as text, hyperparameters at full precision.
///
/// # Examples
///
/// ```
/// use mercer::prelude::*;
///
/// let kernel = 0.5 * (Rbf::new(0.3) + Linear::new(0.7)) * Matern32::new(2.0).on([0, 2]);
/// assert_eq!(
///     mercer::kernel::text(&kernel).to_string(),
///     "0.5 * (rbf(lengthscale=0.3) + linear(variance=0.7)) * on(matern32(lengthscale=2), [0, 2])",
/// );
/// ```
pub fn text(expr: &dyn Expr) -> Text<'_> {
    Text::within(expr, Precedence::Sum)
}

/// Writes items with commas between.
struct Items<'f, 'g> {
    f: &'f mut fmt::Formatter<'g>,
    first: bool,
    /// The names of parameters that are not written now.
    skipped: &'f dyn Fn(&str) -> bool,
    result: fmt::Result,
}

impl<'f, 'g> Items<'f, 'g> {
    fn new(f: &'f mut fmt::Formatter<'g>, first: bool) -> Self {
        Self { f, first, skipped: &|_| false, result: Ok(()) }
    }

    fn write(&mut self, item: fmt::Arguments<'_>) {
        let separator = if std::mem::take(&mut self.first) { "" } else { ", " };
        self.result = self.result.and_then(|()| write!(self.f, "{separator}{item}"));
    }
}

impl Visitor for Items<'_, '_> {
    fn parameter(&mut self, parameter: ParameterRef<'_>) {
        let (name, values) = (parameter.name(), parameter.values());
        if (self.skipped)(name) {
            return;
        }
        match (values, parameter.shape()) {
            (&[value], Shape::Scalar) => self.write(format_args!("{name}={}", Number(value))),
            (values, Shape::Matrix(rows, _)) => self.write(format_args!("{name}={}", Rows { values, rows })),
            (values, _) => self.write(format_args!("{name}={}", List(values))),
        }
    }

    fn child(&mut self, _: Label, _: &dyn Parameterized) {}
}

/// A number with as many digits as tell it from its neighbours, and an exponent where it is short.
pub(crate) struct Number(pub(crate) f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size == 0.0 || (1e-5..1e16).contains(&size) { write!(f, "{}", self.0) } else { write!(f, "{:e}", self.0) }
    }
}

/// Numbers in brackets.
pub(crate) struct List<'a>(pub(crate) &'a [f64]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, &value) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, Number(value))?;
        }
        f.write_char(']')
    }
}

/// The rows of a matrix that is stored by columns.
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f64],
    pub(crate) rows: usize,
}

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for row in 0..self.rows {
            let entries: Vec<f64> = self.values.iter().skip(row).step_by(self.rows).copied().collect();
            write!(f, "{}{}", if row == 0 { "" } else { ", " }, List(&entries))?;
        }
        f.write_char(']')
    }
}

/// Writes `name(child, …, setting=…, parameter=value, …)`.
fn write_call<E: Expr + ?Sized>(expr: &E, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}(", expr.name())?;
    let (settings, last) = (expr.settings(), expr.written_last());
    let passes: [&dyn Fn(&str) -> bool; 2] = [&|name| last.contains(&name), &|name| !last.contains(&name)];
    let mut items = Items::new(f, true);
    expr.children().into_iter().for_each(|child| items.write(format_args!("{}", text(child))));
    for skipped in passes {
        items.skipped = skipped;
        let now = settings.iter().filter(|(name, _)| !skipped(name));
        now.for_each(|(name, value)| items.write(format_args!("{name}={value}")));
        expr.visit(&mut items);
    }
    items.result?;
    f.write_char(')')
}

/// Writes `name(parameter=value, …)` for what is no expression: a function of the points.
pub(crate) fn write_function<P: Parameterized + ?Sized>(of: &P, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}(", of.name())?;
    write_arguments(of, true, f)?;
    f.write_char(')')
}

/// Writes `parameter=value, …`, and a comma before it if these are not the first arguments.
pub(crate) fn write_arguments<P: Parameterized + ?Sized>(
    of: &P,
    first: bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let mut items = Items::new(f, first);
    of.visit(&mut items);
    items.result
}

/// Writes `name(kernel, setting=…, parameter=value, …)`, for a warp and the text of the kernel behind it.
pub(super) fn write_warped<W: WarpExpr + ?Sized>(
    warp: &W,
    kernel: &dyn fmt::Display,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "{}({kernel}", warp.name())?;
    let mut items = Items::new(f, false);
    warp.settings().iter().for_each(|(name, value)| items.write(format_args!("{name}={value}")));
    warp.visit(&mut items);
    items.result?;
    f.write_char(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_come_back_the_same() {
        assert_eq!(Number(1.0).to_string(), "1");
        assert_eq!(Number(1e-30).to_string(), "1e-30");
        for value in [0.1, -2.5e-7, 1.0 / 3.0, 1e16, 123456.789, f64::MIN_POSITIVE, -f64::MAX] {
            assert_eq!(Number(value).to_string().parse::<f64>(), Ok(value));
        }
    }
}
