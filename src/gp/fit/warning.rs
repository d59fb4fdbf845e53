//! What to doubt of a fit.

use std::fmt;

/// Something of a fit that a person should look at. It prints as a sentence that says what to do.
///
/// # Examples
///
/// ```
/// use mercer::gp::{Data, ExactGp, Warning};
/// use mercer::prelude::*;
///
/// let data = Data::new(mat![[0.0], [1.0], [1.0]], [0.3, 1.0, 0.9]);
/// let warnings = ExactGp::new(Rbf::new(500.0)).examine(&data)?;
/// assert!(matches!(warnings[0], Warning::DuplicateRows { count: 1, row: 2 }));
/// assert!(warnings[1].to_string().contains("500 times the range of the inputs"), "{}", warnings[1]);
/// # Ok::<(), mercer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The search ended before a minimum.
    NotConverged {
        /// Why it ended.
        reason: String,
    },
    /// A noise variance is at the floor of the fit.
    NoiseAtFloor {
        /// The path of the parameter.
        path: String,
        /// The floor.
        floor: f64,
    },
    /// A parameter is at a bound of its constraint.
    AtBound {
        /// The path of the parameter.
        path: String,
        /// Its value.
        value: f64,
        /// The constraint.
        constraint: String,
    },
    /// A lengthscale is far above the distances of the inputs: the function does not change with them, or is next to linear.
    LongLengthscale {
        /// The path of the parameter.
        path: String,
        /// Its value.
        value: f64,
        /// The greatest distance of two inputs.
        range: f64,
    },
    /// A lengthscale is below the distance of neighbours: the inputs say nothing of each other.
    ShortLengthscale {
        /// The path of the parameter.
        path: String,
        /// Its value.
        value: f64,
        /// A distance within which nine in ten inputs have a neighbour.
        spacing: f64,
    },
    /// One lengthscale is for columns of very different spread.
    Unscaled {
        /// The path of the lengthscale.
        path: String,
        /// The columns of least and of greatest spread.
        columns: [usize; 2],
        /// How many times as great that is.
        ratio: f64,
    },
    /// A column of the inputs that the kernel reads does not vary.
    ConstantColumn {
        /// The column.
        column: usize,
    },
    /// Some inputs are there more than once.
    DuplicateRows {
        /// How many rows are as an earlier one.
        count: usize,
        /// The first of them.
        row: usize,
    },
    /// Observations are far from zero against how much they vary, and the mean function is zero.
    Offset {
        /// Their mean.
        mean: f64,
        /// Their standard deviation.
        deviation: f64,
    },
    /// The jitter that a factorisation needed is above the noise.
    Jitter {
        /// The jitter.
        jitter: f64,
        /// The noise variance.
        noise: f64,
    },
    /// Other starts than the best ended elsewhere.
    PoorStarts {
        /// How many ended lower by more than 0.1, or failed.
        poor: usize,
        /// The number of starts.
        starts: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConverged { reason } => write!(f, "the search has not converged: {reason}"),
            Self::NoiseAtFloor { path, floor } => write!(
                f,
                "`{path}` is at its floor, {floor:.3e}: the data show no noise, or the kernel explains it; set another floor with \
                 `Fit::with_noise_floor`, or freeze the noise at what is known of it"
            ),
            Self::AtBound { path, value, constraint } => write!(
                f,
                "`{path}` is {value:.6e}, at a bound of its constraint ({constraint}): the best value may be beyond"
            ),
            Self::LongLengthscale { path, value, range } => write!(
                f,
                "`{path}` is {value:.3e}, {:.0} times the range of the inputs, {range:.3e}: the function hardly changes with \
                 them, or is next to a polynomial; a kernel without them, or a linear one, may do",
                value / range
            ),
            Self::ShortLengthscale { path, value, spacing } => write!(
                f,
                "`{path}` is {value:.3e}, where neighbours are {spacing:.3e} apart as a rule: the inputs say nothing of each \
                 other; start it on the scale of the data, or add restarts"
            ),
            Self::Unscaled { path, columns: [least, greatest], ratio } => write!(
                f,
                "`{path}` is one lengthscale for all columns, and column {greatest} of x varies {ratio:.0} times as much as \
                 column {least}: standardise the inputs, or give each column a lengthscale"
            ),
            Self::ConstantColumn { column } => {
                write!(f, "column {column} of x is constant: predictions at other values of it are guesses")
            }
            Self::DuplicateRows { count, row } => write!(
                f,
                "{count} row(s) of x are as an earlier one, the first is row {row}: between them, only noise explains \
                 different observations"
            ),
            Self::Offset { mean, deviation } => write!(
                f,
                "the mean of the observations is {mean:.3e}, {:.0} times their deviation, and the mean function is zero: \
                 give the model a `ConstantMean`, or standardise",
                (mean / deviation).abs()
            ),
            Self::Jitter { jitter, noise } => write!(
                f,
                "a factorisation needed a jitter of {jitter:.3e} on its diagonal, above the noise variance, {noise:.3e}: \
                 predictions are those of that much noise; look for inputs that nearly coincide"
            ),
            Self::PoorStarts { poor, starts } => write!(
                f,
                "{poor} of {starts} starts ended lower than the best by more than 0.1, or failed: there are several maxima, and \
                 more restarts may find a better one"
            ),
        }
    }
}
