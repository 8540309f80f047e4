//! `goldenpath catalog diff`: what an apply would change, for people and for CI.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::client::{Client, list, text};
use super::super::exit::{Exit, Failure};
use super::super::output::{Output, Tint};
use super::apply::summary;
use super::prepare::{Prepared, Selection};
use crate::config::Connection;

/// Characters of one value that are shown.
const MAX_SHOWN: usize = 200;

const AFTER_HELP: &str = "\
The documents are read as `catalog apply` reads them, and the server says what it would do, field by field. Nothing is
changed. With --json every document is listed with its file, what would become of it, and the fields that differ.

Exit codes: 0 nothing would change, 1 something would, 2 error.

Examples:
  goldenpath catalog diff ./catalog
  goldenpath catalog diff ./catalog --source shop-repository --prune --json";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct DiffArguments {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &DiffArguments, output: &Output) -> Result<Exit, Failure> {
    compare(arguments, output).map_err(|mut failure| {
        // Whoever waits for the exit code knows three of them.
        failure.exit = Exit::Usage;
        failure
    })
}

fn compare(arguments: &DiffArguments, output: &Output) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.connection)?;
    let prepared = arguments.selection.prepare(&client, output)?;
    let answer = prepared.send(&client, true)?;
    let none = Value::Null;
    let applied = answer.get("applied").unwrap_or(&none);
    let same = ["created", "updated", "deleted"]
        .iter()
        .all(|key| list(applied, key).is_empty());
    let report = report(applied, &prepared, !same);
    output.result(&report, |output| show(&report, applied, output));
    Ok(if same { Exit::Done } else { Exit::Failed })
}

/// Every document with its file and what would become of it.
fn report(applied: &Value, prepared: &Prepared, differs: bool) -> Value {
    let fields: HashMap<String, &Value> = list(applied, "changes")
        .iter()
        .filter_map(|change| Some((text(change, "/document"), change.get("fields")?)))
        .collect();
    let mut fates = HashMap::new();
    for fate in ["created", "updated", "unchanged"] {
        for document in list(applied, fate) {
            fates.insert(text(document, ""), fate);
        }
    }
    let mut documents: Vec<Value> = prepared
        .labels()
        .map(|(label, file)| {
            let mut one = json!({
                "document": label,
                "file": file,
                "change": fates.get(&label),
            });
            if let (Some(fields), Value::Object(one)) = (fields.get(&label), &mut one) {
                one.insert("fields".to_owned(), (*fields).clone());
            }
            one
        })
        .collect();
    let deleted = list(applied, "deleted").iter();
    documents.extend(deleted.map(|label| json!({"document": label, "change": "deleted"})));
    json!({
        "ok": true,
        "differs": differs,
        "documents": documents,
        "changesCut": applied.get("changesCut"),
        "takenOver": applied.get("takenOver"),
    })
}

fn show(report: &Value, applied: &Value, output: &Output) {
    for one in list(report, "documents") {
        let (document, file) = (text(one, "/document"), text(one, "/file"));
        match text(one, "/change").as_str() {
            "created" => output.tinted(Tint::Good, &format!("+ {document} ({file})")),
            "deleted" => output.tinted(Tint::Bad, &format!("- {document}")),
            "updated" => {
                output.line(&format!("~ {document} ({file})"));
                for field in list(one, "fields") {
                    let path = text(field, "/path");
                    output.line(&format!(
                        "    {}: {} → {}",
                        if path.is_empty() { "/" } else { &path },
                        shown(field.get("before")),
                        shown(field.get("after"))
                    ));
                }
            }
            _ => {}
        }
    }
    if report.get("changesCut") == Some(&Value::Bool(true)) {
        output
            .note("note: there are more differing fields than an answer holds; not all are shown");
    }
    for one in list(report, "takenOver") {
        output.note(&format!(
            "note: {} belongs to source `{}` until then",
            text(one, "/document"),
            text(one, "/from")
        ));
    }
    output.line(&summary(applied));
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let text = value.to_string();
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    let begin: String = text.chars().take(MAX_SHOWN).collect();
    format!("{begin}…")
}
