//! What the macros refuse, and in which words: the compiler's output of each file in `refused`.
//!
//! `TRYBUILD=overwrite cargo test -p goldenpath-sdk-macros` writes the outputs anew; read them before they are kept.

#[test]
fn misuse_is_refused_with_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
