//! `goldenpath catalog apply`: documents from files into the catalog, all of them or none.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use serde_json::Value;

use super::super::client::{Client, list, text};
use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::prepare::Selection;
use crate::config::Connection;

const AFTER_HELP: &str = "\
JSON and YAML files are read; a YAML file may hold several documents. A document's kind is the nearest folder named
blueprints, entities, actions, teams or users, else its shape; an entity without `blueprint` takes it from
entities/<Blueprint>/. Files of Backstage (catalog-info.yaml) are read as what they are, wherever they lie.

One apply is one transaction, in whatever order the documents stand; each document replaces what is there. With --prune
what --source put in place earlier and has no document for any more is deleted, after it was shown and agreed to.

Examples:
  goldenpath catalog apply ./catalog --dry-run
  goldenpath catalog apply ./catalog --source shop-repository --prune
  goldenpath catalog apply ./catalog-info.yaml --with-blueprints";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct ApplyArguments {
    #[command(flatten)]
    selection: Selection,

    /// Check everything, say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before something is deleted
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &ApplyArguments, output: &Output) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.connection)?;
    let mut prepared = arguments.selection.prepare(&client, output)?;
    if arguments.selection.prune && !arguments.dry_run {
        let shown = prepared.send(&client, true)?;
        let deleted = list(shown.get("applied").unwrap_or(&Value::Null), "deleted");
        if !deleted.is_empty() && !agree(deleted, arguments.yes, output)? {
            output.note("nothing was changed");
            return Ok(Exit::Failed);
        }
        prepared.expect(deleted);
    }
    let answer = prepared.send(&client, arguments.dry_run)?;
    output.result(&answer, |output| show(&answer, arguments.dry_run, output));
    Ok(Exit::Done)
}

fn show(answer: &Value, dry_run: bool, output: &Output) {
    let none = Value::Null;
    let applied = answer.get("applied").unwrap_or(&none);
    for (key, verb, planned) in [
        ("created", "created", "would create"),
        ("updated", "updated", "would update"),
        ("deleted", "deleted", "would delete"),
    ] {
        for document in list(applied, key) {
            let verb = if dry_run { planned } else { verb };
            output.line(&format!("{verb} {}", text(document, "")));
        }
    }
    for one in list(applied, "takenOver") {
        output.note(&format!(
            "note: {} belonged to source `{}` until now",
            text(one, "/document"),
            text(one, "/from")
        ));
    }
    let prefix = if dry_run {
        "dry run, nothing was changed: "
    } else {
        ""
    };
    output.line(&format!("{prefix}{}", summary(applied)));
}

/// How many documents became what.
pub(super) fn summary(applied: &Value) -> String {
    let count = |key| list(applied, key).len();
    let mut text = format!("{} created, {} updated", count("created"), count("updated"));
    if count("deleted") > 0 {
        text.push_str(&format!(", {} deleted", count("deleted")));
    }
    format!("{text}, {} unchanged", count("unchanged"))
}

/// Shows what would be deleted and asks whether that is meant.
fn agree(deleted: &[Value], yes: bool, output: &Output) -> Result<bool, Failure> {
    for document in deleted {
        output.note(&format!("delete {}", text(document, "")));
    }
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "{} object(s) would be deleted and nobody is there to agree; add --yes if that is meant",
            deleted.len()
        )));
    }
    output.note(&format!("delete these {}? [y/N]", deleted.len()));
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(16)
        .read_line(&mut line)
        .map_err(|error| Failure::of("read the answer from standard input", &error))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
