//! Random tests with recorded seeds, and more of them on request.
//!
//! A plain `cargo test` makes the same few trials everywhere. `MERCER_TRIALS=20 cargo test` makes twenty times as many,
//! `MERCER_SEED=7 cargo test` makes others.

/// How many trials a random test makes: `few`, times the environment variable `MERCER_TRIALS`.
///
/// A variable that is not a whole number counts as absent.
///
/// # Examples
///
/// ```
/// if std::env::var_os("MERCER_TRIALS").is_none() {
///     assert_eq!(mercer::testkit::trials(300), 300);
/// }
/// ```
pub fn trials(few: usize) -> usize {
    few.saturating_mul(variable("MERCER_TRIALS").map_or(1, |factor| usize::try_from(factor).unwrap_or(usize::MAX)))
}

/// The seed of a random test: the recorded one, moved by the environment variable `MERCER_SEED`.
///
/// A variable that is not a whole number counts as absent.
///
/// # Examples
///
/// ```
/// if std::env::var_os("MERCER_SEED").is_none() {
///     assert_eq!(mercer::testkit::seed(2024), 2024);
/// }
/// ```
pub fn seed(recorded: u64) -> u64 {
    // Recorded seeds are small and close together: seeds that were moved should not meet them again.
    recorded.wrapping_add(variable("MERCER_SEED").unwrap_or(0).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.trim().parse().ok()
}
