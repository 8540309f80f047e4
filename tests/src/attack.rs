//! The table of attacks: what is tried, what has to become of it, and which test shows it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{ExitCode, Termination};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a test saw of an attack. There is none without a word on how the attack is known to have taken place.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    fired: String,
    seen: Vec<String>,
}

impl Evidence {
    /// The attack took place; this shows it.
    pub fn fired(how: impl Into<String>) -> Self {
        Self {
            fired: how.into(),
            seen: Vec::new(),
        }
    }

    /// And this came of it: the same in every run on every machine.
    pub fn seen(mut self, what: impl Into<String>) -> Self {
        self.seen.push(what.into());
        self
    }
}

impl Termination for Evidence {
    fn report(self) -> ExitCode {
        // A test that saw nothing has shown nothing.
        if self.fired.is_empty() || self.seen.is_empty() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// How a verdict is shown.
#[derive(Clone, Copy, Debug)]
pub enum Proof {
    /// By a test of this suite, which is run again for the table.
    Test(&'static str, fn() -> Evidence),
    /// By a test beside the code, in this file below `runtime/src`; it runs with all others.
    Unit(&'static str, &'static str),
    /// Not yet, for this reason.
    NotYet(&'static str),
}

/// One attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its number in the catalogue; variants share one.
    pub number: u8,
    /// What is tried.
    pub tried: &'static str,
    /// What has to become of it.
    pub expected: &'static str,
    /// How that is shown.
    pub proof: Proof,
}

/// The kinds of attackers, and the last number of each.
const PARTS: [(&str, u8); 6] = [
    ("A guest against the host", 24),
    ("A guest on the network", 38),
    ("A guest after secrets", 44),
    ("A guest on the disk", 49),
    ("A hostile package", 60),
    ("A hostile client or hostile data", 70),
];

/// The numbers that have no row.
pub fn missing(attacks: &[Attack]) -> Vec<u8> {
    let had: BTreeSet<u8> = attacks.iter().map(|attack| attack.number).collect();
    let last = PARTS.last().map_or(0, |(_, last)| *last);
    (1..=last).filter(|number| !had.contains(number)).collect()
}

/// Carries out all attacks, two at a time, and writes the table, or says which did not end as expected.
///
/// # Errors
/// The rows whose test failed, or does not exist.
pub fn carry_out(attacks: &[Attack], root: &Path) -> Result<String, Vec<String>> {
    let next = AtomicUsize::new(0);
    let cells = Mutex::new(vec![None; attacks.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((index, attack)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    attacks.get(index).map(|attack| (index, attack))
                } {
                    let shown = show(attack, root);
                    let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
                    cells[index] = Some(shown);
                }
            });
        }
    });
    let cells = cells.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut failed = Vec::new();
    let mut table = String::new();
    let mut first = 1;
    for (title, last) in PARTS {
        let _ = write!(
            table,
            "\n## {title}\n\n| # | attack | verdict | evidence |\n|---|---|---|---|\n"
        );
        for (attack, cell) in attacks.iter().zip(&cells) {
            if !(first..=last).contains(&attack.number) {
                continue;
            }
            let (number, tried) = (attack.number, attack.tried);
            match cell {
                Some(Ok(cell)) => {
                    let _ = writeln!(
                        table,
                        "| {number} | {tried} | {} | {cell} |",
                        attack.expected
                    );
                }
                Some(Err(why)) => failed.push(format!("{number}, {tried}: {why}")),
                None => failed.push(format!("{number}, {tried}: was not carried out")),
            }
        }
        first = last + 1;
    }
    if failed.is_empty() {
        Ok(table)
    } else {
        Err(failed)
    }
}

/// The last cell of a row.
fn show(attack: &Attack, root: &Path) -> Result<String, String> {
    match attack.proof {
        Proof::NotYet(why) => Ok(format!("not yet: {why}")),
        Proof::Unit(file, test) if is_test(&root.join("runtime/src").join(file), test) => {
            Ok(format!("`{file}`: {}", sentence(test)))
        }
        Proof::Unit(file, test) => Err(format!("`{file}` has no test `{test}`")),
        Proof::Test(path, test) => {
            let evidence = catch_unwind(AssertUnwindSafe(test))
                .map_err(|_| format!("the test {path} failed"))?;
            if evidence.seen.is_empty() {
                return Err(format!("the test {path} saw nothing"));
            }
            let seen = evidence.seen.join("; ");
            let test = sentence(path.rsplit("::").next().unwrap_or(path).trim());
            Ok(format!("{test}. {}: {seen}", evidence.fired))
        }
    }
}

fn sentence(test: &str) -> String {
    test.replace('_', " ")
}

/// Whether a file has a test of this name that is not left out.
#[expect(clippy::disallowed_methods, reason = "the project's own source")]
fn is_test(file: &Path, name: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(file) else {
        return false;
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = |line: &str| {
        let function = line.strip_prefix("async ").unwrap_or(line);
        let rest = function
            .strip_prefix("fn ")
            .and_then(|f| f.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    let Some(at) = lines.iter().position(|line| begins(line)) else {
        return false;
    };
    let attributes = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with('#'));
    let attributes: Vec<&&str> = attributes.collect();
    let tests = |line: &&&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    // Tests that proptest writes have the attribute inside its macro as well.
    attributes.iter().any(tests) && !attributes.iter().any(|line| line.starts_with("#[ignore"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attack(number: u8, proof: Proof) -> Attack {
        Attack {
            number,
            tried: "something",
            expected: "nothing",
            proof,
        }
    }

    #[test]
    fn a_row_whose_test_fails_sees_nothing_or_is_missing_fails_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let fails: [Proof; 4] = [
            Proof::Test("fails", || panic!("as it should")),
            Proof::Test("saw_nothing", || Evidence::fired("it began")),
            Proof::Unit("plugin/limits.rs", "is_no_test_at_all"),
            Proof::Unit("plugin/no_file.rs", "is_no_test_at_all"),
        ];
        for proof in fails {
            let failed = carry_out(&[attack(1, proof)], &root).unwrap_err();
            assert_eq!(failed.len(), 1, "{failed:?}");
        }
        let good = Proof::Test("it_holds", || Evidence::fired("it began").seen("`ended`"));
        let table = carry_out(&[attack(1, good)], &root).unwrap();
        assert!(table.contains("it holds. it began: `ended`"), "{table}");
    }

    #[test]
    fn numbers_without_a_row_are_named() {
        let attacks = [attack(2, Proof::NotYet("nothing there"))];
        let missing = missing(&attacks);
        assert_eq!((missing.len(), missing[0]), (69, 1));
    }
}
