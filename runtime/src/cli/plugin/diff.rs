//! `goldenpath plugin diff`: what changes from one package to another, from the files alone.

use std::path::Path;

use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::super::output::{Output, Tint};
use super::build::unreadable;
use super::inspect::read;
use crate::model::{Change, Risk, VersionDiff};
use crate::plugin;

pub(super) fn run(from: &Path, to: &Path, output: &Output) -> Result<Exit, Failure> {
    let diff = compare(from, to).map_err(|failure| Failure {
        // A pipeline has to tell a difference from a file that is not there.
        exit: Exit::Usage,
        ..failure
    })?;
    let result = json!({"ok": true, "differs": !diff.is_empty(), "diff": diff});
    output.result(&result, |output| show(&diff, output));
    Ok(match diff.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

fn compare(from: &Path, to: &Path) -> Result<VersionDiff, Failure> {
    let (before, old) = read(from)?;
    let (after, new) = read(to)?;
    if old.name != new.name {
        return Err(Failure::usage(format!(
            "`{}` is plugin `{}` and `{}` is plugin `{}`: only versions of one plugin are compared",
            from.display(),
            old.name,
            to.display(),
            new.name
        )));
    }
    plugin::diff(&before, &after).map_err(|error| unreadable(to, &error))
}

fn show(diff: &VersionDiff, output: &Output) {
    for (word, mark) in [("from", &diff.from), ("to", &diff.to)] {
        let (version, digest) = (&mark.version, mark.digest);
        output.line(&format!("{word:5}{} {version} {digest}", diff.name));
    }
    output.line("");
    if diff.is_empty() {
        output.line(match diff.from.digest == diff.to.digest {
            true => "both are the same file",
            false => "both may do the same, have the same signers, and name the same dependencies; their code differs",
        });
    }
    for line in &diff.added {
        let risk = diff.risks.iter().find(|risk| risk.line == *line);
        let high = risk.is_some_and(|risk| risk.risk == Risk::High);
        let mark = if high { "   high risk" } else { "" };
        output.tinted(Tint::Bad, &format!("+ {line}{mark}"));
    }
    for line in &diff.removed {
        output.tinted(Tint::Good, &format!("- {line}"));
    }
    for (kind, changes) in [
        ("limit", &diff.budgets),
        ("endpoint", &diff.endpoints),
        ("import", &diff.imports),
        ("function", &diff.actions),
        ("schema", &diff.schemas),
        ("document", &diff.documents),
        ("tool", &diff.tools),
        ("dependency", &diff.dependencies),
        ("signer", &diff.signers),
    ] {
        for change in changes {
            output.line(&changed(kind, change));
        }
    }
    for finding in &diff.findings {
        output.tinted(
            Tint::Bad,
            &format!("! {}: {}", finding.code, finding.message),
        );
    }
    if !diff.asks_more.is_empty() {
        output.line("");
        output.line("asks for more:");
        for more in &diff.asks_more {
            output.line(&format!("  {more}"));
        }
    }
}

fn changed(kind: &str, change: &Change) -> String {
    let name = &change.name;
    match (&change.from, &change.to) {
        (None, Some(to)) => format!("+ {kind} {name}: {to}"),
        (Some(from), None) => format!("- {kind} {name}: {from}"),
        (Some(from), Some(to)) => format!("~ {kind} {name}: {from} -> {to}"),
        (None, None) => format!("  {kind} {name}"),
    }
}
