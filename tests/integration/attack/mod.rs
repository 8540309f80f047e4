//! The table of attacks, carried out: `tests/ATTACKS.md` is what it looked like when a person last read it.

mod client;
mod guest;
mod network;
mod package;

use std::path::{Path, PathBuf};

use goldenpath_tests::attack::{Attack, carry_out, missing};
use goldenpath_tests::rewrite;

/// Rows, one statement each: number, what is tried, what has to become of it, how that is shown.
macro_rules! attacks {
    ($($number:literal $tried:literal => $expected:literal, $proof:ident$of:tt;)*) => {
        &[$(::goldenpath_tests::attack::Attack {
            number: $number,
            tried: $tried,
            expected: $expected,
            proof: $crate::attack::attacks!(@$proof $of),
        }),*]
    };
    (@test ($test:path)) => {
        ::goldenpath_tests::attack::Proof::Test(stringify!($test), $test)
    };
    (@unit ($file:literal, $test:ident)) => {
        ::goldenpath_tests::attack::Proof::Unit($file, stringify!($test))
    };
    (@not_yet ($why:literal)) => {
        ::goldenpath_tests::attack::Proof::NotYet($why)
    };
}

use attacks;

const HEAD: &str = "# Attacks and what becomes of them\n\n\
    Written by `cargo test -- attack::every_attack_ends_as_expected`, which carries out every row of this suite once\n\
    more, and held against this file: with `GOLDENPATH_TEST_REWRITE=1` it writes the file anew, for a person to read\n\
    what changed. A row of the suite says how the attack is known to have taken place, then what came of it. A row that\n\
    names a file below `runtime/src` is shown by that test beside the code.\n";

fn rows() -> Vec<Attack> {
    [guest::ROWS, network::ROWS, package::ROWS, client::ROWS].concat()
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the project's folder").to_owned()
}

#[test]
fn every_number_of_the_catalogue_has_a_row() {
    assert!(missing(&rows()).is_empty(), "{:?}", missing(&rows()));
    let numbers: Vec<u8> = rows().iter().map(|attack| attack.number).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the reviewed file is the project's own"
)]
fn every_attack_ends_as_expected() {
    let table = carry_out(&rows(), &root())
        .unwrap_or_else(|failed| panic!("did not end as expected:\n{}", failed.join("\n")));
    let table = format!("{HEAD}{table}");
    println!("{table}");
    let file = root().join("tests/ATTACKS.md");
    if rewrite() {
        std::fs::write(&file, &table).expect("the file can be written");
    }
    let reviewed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        reviewed == table,
        "tests/ATTACKS.md is of another suite; write it anew with GOLDENPATH_TEST_REWRITE=1 and read what changed"
    );
}
