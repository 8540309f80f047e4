//! `goldenpath catalog apply`: documents from files into the catalog, all of them or none.

mod files;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;

use super::client::{Client, Payload, list, text};
use super::exit::{Exit, Failure};
use super::output::Output;
use crate::config::Connection;

const APPLY_HELP: &str = "\
JSON and YAML files are read. A document's kind is the nearest folder named blueprints, entities or actions, else its
shape; an entity without `blueprint` takes it from entities/<Blueprint>/. One apply is one transaction.

Examples:
  goldenpath catalog apply ./catalog --dry-run
  goldenpath catalog apply ./catalog/entities";

#[derive(Debug, Subcommand)]
pub(super) enum CatalogCommand {
    /// Put all documents of a folder, or of one file, in place
    #[command(after_help = APPLY_HELP)]
    Apply {
        /// A folder or a file
        path: PathBuf,

        /// Check everything, say what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,

        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) fn run(command: CatalogCommand, output: &Output) -> Result<Exit, Failure> {
    let CatalogCommand::Apply {
        path,
        dry_run,
        connection,
    } = command;
    let documents = files::read_documents(&path)?;
    let client = Client::new(&connection)?;
    let sources: Vec<String> = documents
        .iter()
        .map(|document| text(document, "/source"))
        .collect();
    let body = json!({ "documents": documents });
    let path = format!("/v1/catalog/apply?dry_run={dry_run}");
    let answer = client
        .ask(&Method::POST, &path, Payload::Json(&body), &[])
        .map_err(|failure| name_files(failure, &sources))?;
    let applied = answer.get("applied").unwrap_or(&Value::Null);
    output.result(&answer, |output| {
        for (key, verb, planned) in [
            ("created", "created", "would create"),
            ("updated", "updated", "would update"),
        ] {
            for document in list(applied, key) {
                output.line(&format!(
                    "{} {}",
                    if dry_run { planned } else { verb },
                    text(document, "")
                ));
            }
        }
        let count = |key| list(applied, key).len();
        output.line(&format!(
            "{}{} created, {} updated, {} unchanged",
            if dry_run {
                "dry run, nothing was changed: "
            } else {
                ""
            },
            count("created"),
            count("updated"),
            count("unchanged")
        ));
    });
    Ok(Exit::Done)
}

/// Puts the file's name where the server names a document by its number.
fn name_files(mut failure: Failure, sources: &[String]) -> Failure {
    if failure.violations.is_empty() {
        return failure;
    }
    failure.message = format!(
        "{} rule(s) are broken; nothing was applied",
        failure.violations.len()
    );
    failure.details = failure
        .violations
        .iter()
        .map(|violation| {
            let (path, message) = (text(violation, "/path"), text(violation, "/message"));
            let place = path
                .strip_prefix("/documents/")
                .map(|rest| rest.split_once('/').unwrap_or((rest, "")));
            let named = place
                .and_then(|(index, rest)| Some((sources.get(index.parse::<usize>().ok()?)?, rest)));
            match named {
                Some((source, rest)) => {
                    let pointer = rest.strip_prefix("value").unwrap_or(rest);
                    let message = message
                        .strip_prefix(&format!("{source}: "))
                        .unwrap_or(&message);
                    if pointer.is_empty() {
                        format!("{source}: {message}")
                    } else {
                        format!("{source}: {pointer}: {message}")
                    }
                }
                None if path.is_empty() => message,
                None => format!("{path}: {message}"),
            }
        })
        .collect();
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_its_file_and_the_place_in_it() {
        let mut failure = Failure::failed("the apply breaks 2 rule(s)");
        failure.violations = vec![
            json!({"path": "/documents/1/value/properties/type", "rule": "enum", "message": "b.json: is not one of"}),
            json!({"path": "/relations/system", "rule": "relation", "message": "there is no such entity"}),
        ];
        let failure = name_files(failure, &["a.json".to_owned(), "b.json".to_owned()]);
        assert_eq!(
            failure.details,
            [
                "b.json: /properties/type: is not one of",
                "/relations/system: there is no such entity"
            ]
        );
        assert_eq!(failure.message, "2 rule(s) are broken; nothing was applied");
    }
}
