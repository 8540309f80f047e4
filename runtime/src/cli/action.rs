//! `goldenpath actions …`: what may be asked for.

use clap::Subcommand;
use serde_json::Value;

use super::client::{Client, list, segment, text};
use super::exit::{Exit, Failure};
use super::output::Output;
use crate::config::Connection;

#[derive(Debug, Subcommand)]
pub(super) enum ActionCommand {
    /// List what may be asked for
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one action and its inputs
    Show {
        /// Its identifier
        action: String,

        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) fn run(command: ActionCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        ActionCommand::List { connection } => {
            let answer = Client::new(&connection)?.get("/v1/actions")?;
            let row = |action| {
                vec![
                    text(action, "/identifier"),
                    text(action, "/title"),
                    text(action, "/description"),
                ]
            };
            let rows: Vec<_> = list(&answer, "actions").iter().map(row).collect();
            output.result(&answer, |output| {
                output.table(&["ACTION", "TITLE", "DESCRIPTION"], &rows);
            });
        }
        ActionCommand::Show { action, connection } => {
            let answer =
                Client::new(&connection)?.get(&format!("/v1/actions/{}", segment(&action)))?;
            let action = answer.get("action").unwrap_or(&Value::Null);
            output.result(&answer, |output| show(action, output));
        }
    }
    Ok(Exit::Done)
}

/// The inputs of an action's form.
pub(super) fn form(action: &Value) -> Option<&serde_json::Map<String, Value>> {
    action
        .pointer("/trigger/userInputs/properties")?
        .as_object()
}

fn show(action: &Value, output: &Output) {
    let identifier = text(action, "/identifier");
    output.line(&format!("{identifier}  {}", text(action, "/title")));
    output.line(&text(action, "/description"));
    let required = action
        .pointer("/trigger/userInputs/required")
        .and_then(Value::as_array);
    let is_required = |name: &str| {
        required.is_some_and(|required| required.iter().any(|one| one.as_str() == Some(name)))
    };
    let rows: Vec<Vec<String>> = form(action)
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let needed = if is_required(name) {
                "required".to_owned()
            } else {
                text(schema, "/default")
            };
            let values = text(schema, "/enum") + &text(schema, "/pattern");
            vec![
                name.clone(),
                text(schema, "/type"),
                needed,
                values,
                text(schema, "/description"),
            ]
        })
        .collect();
    if rows.is_empty() {
        output.line("it has no inputs");
        return;
    }
    output.table(
        &["INPUT", "TYPE", "DEFAULT", "VALUES", "DESCRIPTION"],
        &rows,
    );
    let inputs: Vec<String> = form(action)
        .into_iter()
        .flatten()
        .filter(|(name, _)| is_required(name))
        .map(|(name, _)| format!(" --input {name}=…"))
        .collect();
    output.line(&format!(
        "try: goldenpath run {identifier}{} --follow",
        inputs.concat()
    ));
}
