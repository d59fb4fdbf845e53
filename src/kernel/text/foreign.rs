//! What is written otherwise elsewhere, such as in Rust and in Python: for errors that say how text writes it.

/// Symbols that text has not, each with what to write instead. Longer ones stand before their beginnings; `.` is one
/// before a word only, as numbers have it too.
const FOREIGN: &[(&str, &str)] = &[
    ("::", "text has no constructors, only names with arguments: `rbf(lengthscale=1)`"),
    (":", "the name of an argument is followed by `=`: `rbf(lengthscale=1)`"),
    (
        ".",
        "text has no methods: a kernel is the first argument of what is done to it, as in `on(rbf(lengthscale=1), [0])`",
    ),
    ("**", "a power is written with `^`: `linear(variance=1) ^ 2`"),
    ("/", "text has no division: multiply by the reciprocal, as in `0.5 * rbf(lengthscale=1)`"),
    ("×", "a product is written with `*`"),
    ("·", "a product is written with `*`"),
    ("−", "minus is written `-`"),
    ("'", "quotation marks are `\"`"),
    ("{", "lists are in `[` and `]`, arguments in `(` and `)`"),
];

/// What to write instead of the symbol that a place in a text is within, if that is foreign.
pub(super) fn instead(text: &[char], at: usize) -> Option<&'static str> {
    let begins = |start: usize, symbol: &str| {
        let same =
            text.get(start..).is_some_and(|rest| symbol.chars().eq(rest.iter().copied().take(symbol.chars().count())));
        same && (symbol != "." || text.get(start + 1).is_some_and(|next| next.is_alphabetic()))
    };
    let within = |symbol: &str| {
        (0..symbol.chars().count()).any(|offset| at.checked_sub(offset).is_some_and(|start| begins(start, symbol)))
    };
    FOREIGN.iter().find(|(symbol, _)| within(symbol)).map(|(_, hint)| *hint)
}
