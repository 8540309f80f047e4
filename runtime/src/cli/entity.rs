//! `goldenpath entity …`: rows of the catalog.

use clap::Subcommand;
use serde_json::Value;

use super::client::{Client, segment, text};
use super::exit::{Exit, Failure};
use super::output::Output;
use crate::config::Connection;

#[derive(Debug, Subcommand)]
pub(super) enum EntityCommand {
    /// Show one entity
    #[command(after_help = "Example:\n  goldenpath entity get Component CartService")]
    Get {
        /// Identifier of its blueprint
        blueprint: String,

        /// Its identifier
        identifier: String,

        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) fn run(command: EntityCommand, output: &Output) -> Result<Exit, Failure> {
    let EntityCommand::Get {
        blueprint,
        identifier,
        connection,
    } = command;
    let path = format!(
        "/v1/blueprints/{}/entities/{}",
        segment(&blueprint),
        segment(&identifier)
    );
    let answer = Client::new(&connection)?.get(&path)?;
    output.result(&answer, |output| {
        show(answer.get("entity").unwrap_or(&Value::Null), output)
    });
    Ok(Exit::Done)
}

fn show(entity: &Value, output: &Output) {
    let member = |pointer| text(entity, pointer);
    output.line(&format!(
        "{} {} {}",
        member("/blueprint"),
        member("/identifier"),
        member("/title")
    ));
    let teams = entity.get("team").and_then(Value::as_array);
    let teams: Vec<String> = teams
        .into_iter()
        .flatten()
        .map(|team| text(team, ""))
        .collect();
    if !teams.is_empty() {
        output.line(&format!("owned by {}", teams.join(", ")));
    }
    for part in ["properties", "relations"] {
        let members = entity.get(part).and_then(Value::as_object);
        for (name, value) in members
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
        {
            output.line(&format!("  {name}: {}", text(value, "")));
        }
    }
    output.line(&format!(
        "created {} by {}, changed {} by {}",
        member("/createdAt"),
        member("/createdBy"),
        member("/updatedAt"),
        member("/updatedBy")
    ));
}
