//! `goldenpath entity …`: rows of the catalog.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, list, segment, text};
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

    /// Find entities
    #[command(
        after_help = "Examples:\n  goldenpath entity search --blueprint Component language=rust '$team=payments'\n  \
                      goldenpath entity search --text checkout\n  \
                      goldenpath entity search '{\"combinator\": \"and\", \"rules\": [{\"property\": \"tier\", \"operator\": \"<\", \"value\": 2}]}'"
    )]
    Search {
        /// What has to hold: PROPERTY=VALUE or PROPERTY!=VALUE, `$team` and the like too, or one query as JSON
        #[arg(value_name = "RULE")]
        rules: Vec<String>,

        /// Only entities of this blueprint
        #[arg(long)]
        blueprint: Option<String>,

        /// Words that have to stand in the title, the identifier or a property
        #[arg(long)]
        text: Option<String>,

        /// Entities to show at most, 1 to 1000
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,

        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) fn run(command: EntityCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        EntityCommand::Get {
            blueprint,
            identifier,
            connection,
        } => get(&blueprint, &identifier, &connection, output),
        EntityCommand::Search {
            rules,
            blueprint,
            text,
            limit,
            connection,
        } => {
            let mut query = query(&rules)?;
            if let Some(blueprint) = blueprint {
                let of = json!({"property": "$blueprint", "operator": "=", "value": blueprint});
                query = json!({"combinator": "and", "rules": [of, query]});
            }
            if let (Some(text), Some(query)) = (text, query.as_object_mut()) {
                query.insert("text".to_owned(), Value::from(text));
            }
            let path = format!("/v1/entities/search?limit={limit}");
            let answer = Client::new(&connection)?.post(&path, &query)?;
            output.result(&answer, |output| found(&answer, output));
            Ok(Exit::Done)
        }
    }
}

/// The query of the command line.
fn query(rules: &[String]) -> Result<Value, Failure> {
    if let [only] = rules
        && only.trim_start().starts_with('{')
    {
        return serde_json::from_str(only)
            .map_err(|error| Failure::usage(format!("read the query as JSON: {error}")));
    }
    let parsed: Result<Vec<Value>, Failure> = rules.iter().map(|rule| compare(rule)).collect();
    Ok(json!({"combinator": "and", "rules": parsed?}))
}

/// `PROPERTY=VALUE` as a rule. What looks like a number or a yes or no may be that or a text.
fn compare(rule: &str) -> Result<Value, Failure> {
    let Some((property, value)) = rule.split_once('=') else {
        let message = format!("`{rule}` is not a rule; write PROPERTY=VALUE, or one query as JSON");
        return Err(Failure::usage(message));
    };
    let (property, operator) = match property.strip_suffix('!') {
        Some(property) => (property, "notIn"),
        None => (property, "in"),
    };
    let mut values = vec![Value::from(value)];
    if let Ok(scalar @ (Value::Number(_) | Value::Bool(_))) = serde_json::from_str(value) {
        values.push(scalar);
    }
    Ok(json!({"property": property, "operator": operator, "value": values}))
}

fn found(answer: &Value, output: &Output) {
    let rows: Vec<Vec<String>> = list(answer, "entities")
        .iter()
        .map(|entity| {
            ["/blueprint", "/identifier", "/title"]
                .iter()
                .map(|pointer| text(entity, pointer))
                .collect()
        })
        .collect();
    if rows.is_empty() {
        return output.note("nothing found");
    }
    output.table(&["BLUEPRINT", "IDENTIFIER", "TITLE"], &rows);
    if answer.get("next").is_some_and(|next| !next.is_null()) {
        output.note("there are more; add a rule, or raise --limit");
    }
}

fn get(
    blueprint: &str,
    identifier: &str,
    connection: &Connection,
    output: &Output,
) -> Result<Exit, Failure> {
    let path = format!(
        "/v1/blueprints/{}/entities/{}",
        segment(blueprint),
        segment(identifier)
    );
    let answer = Client::new(connection)?.get(&path)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_the_command_line_become_a_query() {
        let rules = ["tier=1", "$team!=a=b"].map(String::from);
        assert_eq!(
            query(&rules).unwrap(),
            json!({"combinator": "and", "rules": [
                {"property": "tier", "operator": "in", "value": ["1", 1]},
                {"property": "$team", "operator": "notIn", "value": ["a=b"]},
            ]})
        );
        let raw = [r#"{"combinator": "or", "rules": []}"#.to_owned()];
        assert_eq!(query(&raw).unwrap()["combinator"], "or");
        assert!(query(&["language".to_owned()]).is_err());
        assert!(query(&["{".to_owned()]).is_err());
    }
}
