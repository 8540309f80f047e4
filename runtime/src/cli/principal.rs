//! `goldenpath user …` and `goldenpath app …`: who may come in.

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::client::{Client, list, segment, text};
use super::exit::{Exit, Failure};
use super::output::Output;
use crate::config::Connection;
use crate::model::{PrincipalKind, Role};

#[derive(Debug, Subcommand)]
pub(super) enum PrincipalCommand {
    /// Let somebody in; prints the credential, this once
    Add {
        /// E-mail address of a user, name of an app
        name: String,

        /// What they may do
        #[arg(long, value_parser = role(), default_value = "developer")]
        role: Role,

        /// Identifier of a team of theirs; may be repeated
        #[arg(long = "team", value_name = "TEAM")]
        teams: Vec<String>,

        #[command(flatten)]
        connection: Connection,
    },
    /// List who may come in
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Shut somebody out; their tokens stop working at once
    Rm {
        /// E-mail address of a user, name of an app
        name: String,

        #[command(flatten)]
        connection: Connection,
    },
}

/// Reads a role from its word; `--help` lists the words.
fn role() -> impl TypedValueParser<Value = Role> {
    let words = PossibleValuesParser::new(Role::ALL.map(Role::as_str));
    words.map(|word| {
        let known = Role::ALL.into_iter().find(|role| role.as_str() == word);
        // The parser has refused every other word already.
        known.unwrap_or(Role::Developer)
    })
}

pub(super) fn run(
    kind: PrincipalKind,
    command: PrincipalCommand,
    output: &Output,
) -> Result<Exit, Failure> {
    let (path, plural, name_key) = match kind {
        PrincipalKind::User => ("/v1/users", "users", "email"),
        PrincipalKind::App => ("/v1/apps", "apps", "name"),
    };
    match command {
        PrincipalCommand::Add {
            name,
            role,
            teams,
            connection,
        } => {
            let body = json!({name_key: name, "role": role.as_str(), "teams": teams});
            let answer = Client::new(&connection)?.post(path, &body)?;
            output.result(&answer, |output| {
                output.line(&format!(
                    "{name} may come in as {}; the credential, shown this once:",
                    role.as_str()
                ));
                output.line(&format!(
                    "GOLDENPATH_CLIENT_ID={}",
                    text(&answer, "/clientId")
                ));
                output.line(&format!(
                    "GOLDENPATH_CLIENT_SECRET={}",
                    text(&answer, "/clientSecret")
                ));
            });
        }
        PrincipalCommand::List { connection } => {
            let answer = Client::new(&connection)?.get(path)?;
            let row = |one| {
                let teams: Vec<String> = list(one, "teams")
                    .iter()
                    .map(|team| text(team, ""))
                    .collect();
                let member = |pointer| text(one, pointer);
                vec![
                    member("/name"),
                    member("/role"),
                    teams.join(", "),
                    member("/clientId"),
                    member("/createdAt"),
                ]
            };
            let rows: Vec<_> = list(&answer, plural).iter().map(row).collect();
            output.result(&answer, |output| {
                output.table(&["NAME", "ROLE", "TEAMS", "CLIENT ID", "CREATED"], &rows);
            });
        }
        PrincipalCommand::Rm { name, connection } => {
            let answer = Client::new(&connection)?.delete(&format!("{path}/{}", segment(&name)))?;
            output.result(&answer, |output| {
                output.line(&format!("{name} is shut out"))
            });
        }
    }
    Ok(Exit::Done)
}
