//! What a text may ask for.

use super::arguments::FromArgument;
use super::from_text;
use crate::{Error, Result};

/// What a text may ask for, so that none takes the machine by accident or on purpose: every reader of kernels has these
/// limits, and each error that comes of one names it.
///
/// [`parse`](Self::parse) reads a text within other limits than the default, which `str::parse` has. With the feature
/// `serde`, `Limits` is a `serde::de::DeserializeSeed` of [`DynKernel`](crate::DynKernel), for
/// documents. What is built in code has no limits.
///
/// # Examples
///
/// ```
/// use mercer::kernel::Limits;
/// use mercer::prelude::*;
///
/// let text = "random_fourier_features(rbf, features=2000000, dim=1, seed=1, lengthscale=1)";
/// let error = text.parse::<DynKernel>().unwrap_err();
/// assert!(error.to_string().contains("`Limits::size`"));
///
/// let limits = Limits { size: 3_000_000, ..Limits::default() };
/// let kernel: DynKernel = limits.parse(text)?;
/// assert_eq!(kernel.eval(&[0.3], &[0.3])?, 1.0);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Characters of the text; 2²² by default. In memory, a text is up to 40 times as long.
    pub length: usize,
    /// Levels of parentheses, brackets, calls and signs within one another; 100 by default. Kernels within one another,
    /// which sums, products and powers make without a level of the text, may be five times as many. A thread with the
    /// usual stack of 2 MiB is safe with the default.
    pub depth: usize,
    /// The largest whole number that counts something: features, outputs, categories, dimensions; 2²⁰ by default.
    pub size: usize,
    /// Numbers in a matrix whose size the text only states: features times dimensions, the covariances of all pairs of
    /// categories; 2²⁴ by default, 128 MiB.
    pub entries: usize,
    /// Nodes of a graph, whose eigenvectors take a time of their third power; 2000 by default, which take seconds.
    pub nodes: usize,
    /// Columns that maps of the inputs, one behind the other, make of one column, as the circle makes two; 2¹² by
    /// default.
    pub columns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { length: 1 << 22, depth: 100, size: 1 << 20, entries: 1 << 24, nodes: 2000, columns: 1 << 12 }
    }
}

impl Limits {
    /// No limits: for texts of one's own making.
    ///
    /// # Examples
    ///
    /// ```
    /// use mercer::kernel::Limits;
    /// use mercer::prelude::*;
    ///
    /// let deep = format!("{}rbf(1){}", "(".repeat(200), ")".repeat(200));
    /// assert!(deep.parse::<DynKernel>().is_err());
    /// assert_eq!(Limits::NONE.parse::<DynKernel>(&deep)?.to_string(), "rbf(lengthscale=1)");
    /// # Ok::<(), mercer::Error>(())
    /// ```
    pub const NONE: Self = Self {
        length: usize::MAX,
        depth: usize::MAX,
        size: usize::MAX,
        entries: usize::MAX,
        nodes: usize::MAX,
        columns: usize::MAX,
    };

    /// Reads a kernel, or what else [`FromArgument`] is implemented for, within these limits.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`], with the column and what was expected there, or the limit that the text passes.
    ///
    /// # Examples
    ///
    /// See [`Limits`].
    pub fn parse<A: FromArgument>(self, text: &str) -> Result<A> {
        from_text(text, self)
    }

    /// Refuses what is over a limit, by what it is and the limit's name.
    pub(crate) fn check(
        text: &str,
        start: usize,
        what: &str,
        found: usize,
        (limit, most): (&str, usize),
    ) -> Result<()> {
        if found <= most {
            return Ok(());
        }
        let reason = format!(
            "{what} is {found}, over the limit of {most} for texts; raise `Limits::{limit}` and read with \
             `Limits::parse`, or build it in code"
        );
        Err(Error::parse(text, start, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// `times` times `before`, then `middle`, then as many times `after`.
    fn repeated(before: &str, times: usize, middle: &str, after: &str) -> String {
        format!("{}{middle}{}", before.repeat(times), after.repeat(times))
    }

    #[test]
    fn texts_that_ask_for_too_much_are_refused_by_the_limit() {
        for (text, told) in [
            ("random_fourier_features(rbf, 4294967295, 2, 1, 1)".to_owned(), "`Limits::size`"),
            ("random_fourier_features(rbf, 1000000, 1000000, 1, 1)".to_owned(), "`Limits::entries`"),
            ("block_diagonal(rbf(1), outputs=5000000000)".to_owned(), "`Limits::size`"),
            ("categorical(1e12, 0.4)".to_owned(), "`Limits::size`"),
            ("on(rbf(1), [4000000000])".to_owned(), "`Limits::size`"),
            ("rbf(1) ^ 4000000000".to_owned(), "`Limits::size`"),
            ("graph_heat(nodes=20000, laplacian=[[0,0,1]], lengthscale=1)".to_owned(), "`Limits::nodes`"),
            ("graph_matern(20000, [[0,0,1]], 1, 1)".to_owned(), "`Limits::nodes`"),
            (format!("coregionalization([{}], [1])", "[1],".repeat(4999) + "[1]"), "`Limits::entries`"),
            (repeated("circle(", 26, "rbf(1)", ", 2)"), "`Limits::columns`"),
            (repeated("circle(stretch(", 30, "rbf(1)", ", 2), 2)"), "`Limits::columns`"),
            (repeated("(", 100_000, "rbf(1)", ")"), "`Limits::depth`"),
            (repeated("-", 100_000, "rbf(1)", ""), "`Limits::depth`"),
            (repeated("2 * -(", 100_000, "rbf(1)", ")"), "`Limits::depth`"),
            (repeated("exp(", 100_000, "rbf(1)", ")"), "`Limits::depth`"),
            (repeated("(", 100_000, "rbf(1)", " ^ 2)"), "`Limits::depth`"),
            (repeated("[", 100_000, "", "]"), "`Limits::depth`"),
            (format!("rbf(1){}", " * 2 * rbf(1)".repeat(10_000)), "`Limits::depth`"),
            // Each product alone is allowed.
            (repeated("(", 80, "rbf(1)", &format!("{})", " * 2 * rbf(1)".repeat(90))), "`Limits::depth`"),
            (format!("rbf(1){}", " + 1".repeat(1_200_000)), "`Limits::length`"),
            (format!("{}(1)", "a".repeat(1_000_000)), "no kernel is named `aaa"),
            (format!("rbf({}=1)", "a".repeat(1_000_000)), "`rbf` has no argument `aaa"),
            ("b".repeat(1_000_000), "found the word `bbb"),
            (format!("rbf({}", "1".repeat(1_000_000)), "too large"),
            (format!("rbf(1, {})", vec!["1"; 200_000].join(", ")), "too many arguments"),
            ("rbf(lengthscale=1, lengthscale=2)".to_owned(), "`lengthscale` is given twice"),
            ("matern(lengthscale=1, lengthscale=2)".to_owned(), "`lengthscale` is given twice"),
            ("sum(kernel=rbf(1), kernel=rbf(2))".to_owned(), "`kernel` is given twice"),
            ("foo(bar=1, bar=2)".to_owned(), "`bar` is given twice"),
        ] {
            let error = text.parse::<DynKernel>().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
            assert!(error.len() < 2000, "an error of {} bytes", error.len());
        }
    }

    #[test]
    fn long_texts_are_read_where_nothing_is_deep() {
        for (text, expected) in [
            (format!("rbf(1){}", "*1".repeat(200_000)), 1.0),
            (format!("{}rbf(1)", "1*".repeat(200_000)), 1.0),
            (format!("rbf(1){}", "+ 1".repeat(20_000)), 20_001.0),
            (format!("rbf(1){}", "* rbf(1)".repeat(20_000)), 1.0),
            (format!("sum({})", vec!["rbf(1)"; 20_000].join(", ")), 20_000.0),
            (repeated("-", 41, "rbf(1)", ""), -1.0),
            (repeated("sphere_lift(", 40, "rbf(1)", ", 2)"), 1.0),
            (repeated("stretch(", 40, "rbf(1)", ", 2)"), 1.0),
        ] {
            let kernel: DynKernel = text.parse().unwrap();
            let value: f64 = kernel.clone().eval(&[0.3], &[0.3]).unwrap();
            assert!((value - expected).abs() < 1e-9, "{value} {expected}");
            assert_eq!(kernel.to_string().parse::<DynKernel>().unwrap().num_params(), kernel.num_params());
        }
    }

    #[test]
    fn each_limit_can_be_raised_and_lowered() {
        let read = |limits: Limits, text: &str| limits.parse::<DynKernel>(text);
        let base = Limits::default();
        for (text, lower, named) in [
            ("rbf(1) + rbf(2)", Limits { length: 14, ..base }, "`Limits::length`"),
            ("((rbf(1)))", Limits { depth: 2, ..base }, "`Limits::depth`"),
            ("categorical(20, 0.4)", Limits { size: 19, ..base }, "`Limits::size`"),
            ("random_fourier_features(rbf, 5, 2, 1, 1)", Limits { entries: 9, ..base }, "`Limits::entries`"),
            ("graph_heat(3, [[0, 0, 1]], 1)", Limits { nodes: 2, ..base }, "`Limits::nodes`"),
            ("circle(circle(rbf(1), 2), 2)", Limits { columns: 3, ..base }, "`Limits::columns`"),
        ] {
            let error = read(lower, text).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("Limits::parse"), "{error}");
            assert!(read(base, text).is_ok());
        }
        let deep = repeated("(", 150, "rbf(1)", ")");
        assert!(read(base, &deep).is_err() && read(Limits { depth: 151, ..base }, &deep).is_ok());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn documents_are_read_within_limits() {
        use serde::de::DeserializeSeed;

        let json = r#"{"kernel":"graph_heat(nodes=2001, laplacian=[], lengthscale=1)"}"#;
        let error = serde_json::from_str::<DynKernel>(json).unwrap_err().to_string();
        assert!(error.contains("`Limits::nodes`"), "{error}");
        let json = r#"{"kernel":"categorical(2000000, 0.4)"}"#;
        assert!(serde_json::from_str::<DynKernel>(json).is_err());
        let limits = Limits { size: 2_000_000, ..Limits::default() };
        let read = limits.deserialize(&mut serde_json::Deserializer::from_str(json)).unwrap();
        assert_eq!(read.to_string(), "categorical(count=2000000, correlation=0.4)");
    }
}
