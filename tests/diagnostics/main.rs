//! What the compiler says of models and data that do not go together.
//!
//! The crate is compiled once more for it, and the words of the compiler change from one version to the next:
//! `cargo test --test diagnostics -- --ignored`, with `TRYBUILD=overwrite` to write them anew.

#[test]
#[ignore = "compiles the crate once more, and compares with the words of one compiler"]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/diagnostics/cases/*.rs");
}
