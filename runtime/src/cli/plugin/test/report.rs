//! What came of the cases, for people and for programs.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::super::output::{Output, Tint};
use crate::plugin::Inspection;

/// The last lines of a plugin's log that are shown beside what went wrong.
const LOG_LINES: usize = 20;

/// One thing that did not come out as expected.
#[derive(Debug)]
pub(super) struct Problem {
    /// One `snake_case` word for programs.
    code: &'static str,
    message: String,
}

/// What came of one case.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) problems: Vec<Problem>,
    pub(super) log: Vec<String>,
    /// How many exchanges were written into its file.
    pub(super) recorded: Option<usize>,
}

/// What came of all of them.
#[derive(Debug, Default)]
pub(super) struct Report {
    outcomes: Vec<Outcome>,
}

impl Problem {
    pub(super) fn new(code: &'static str, message: String) -> Self {
        Self { code, message }
    }
}

impl Outcome {
    fn passed(&self) -> bool {
        self.problems.is_empty()
    }

    /// One line, and what is wrong.
    pub(super) fn show(&self, output: &Output) {
        if let Some(count) = self.recorded {
            output.note(&format!(
                "recorded {count} exchanges in {}",
                self.file.display()
            ));
        }
        if self.passed() {
            output.tinted(Tint::Good, &format!("ok      {}", self.name));
            return;
        }
        let line = format!("FAILED  {} ({})", self.name, self.file.display());
        output.tinted(Tint::Bad, &line);
        for problem in &self.problems {
            output.line(&format!("  {}", problem.message));
        }
        let first = self.log.len().saturating_sub(LOG_LINES);
        for line in self.log.iter().skip(first) {
            output.tinted(Tint::Faint, &format!("  log: {line}"));
        }
    }

    fn to_json(&self) -> Value {
        let problems = self.problems.iter();
        let problems: Vec<Value> = problems
            .map(|problem| json!({"code": problem.code, "message": problem.message}))
            .collect();
        json!({
            "name": self.name,
            "file": self.file,
            "passed": self.passed(),
            "problems": problems,
            "log": self.log,
            "recorded": self.recorded,
        })
    }
}

impl Report {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// Whether nothing is wrong.
    pub(super) fn passed(&self) -> bool {
        self.failed() == 0
    }

    fn failed(&self) -> usize {
        let outcomes = self.outcomes.iter();
        outcomes.filter(|outcome| !outcome.passed()).count()
    }

    pub(super) fn sum_up(&self, output: &Output) {
        let (all, failed) = (self.outcomes.len(), self.failed());
        let word = if all == 1 { "case" } else { "cases" };
        output.line(&format!(
            "{all} {word}: {} passed, {failed} failed",
            all - failed
        ));
    }

    pub(super) fn to_json(&self, inspection: &Inspection) -> Value {
        let failed = self.failed();
        let cases: Vec<Value> = self.outcomes.iter().map(Outcome::to_json).collect();
        json!({
            "ok": self.passed(),
            "plugin": inspection.name,
            "version": inspection.version,
            "digest": inspection.digest,
            "passed": self.outcomes.len() - failed,
            "failed": failed,
            "cases": cases,
        })
    }
}
