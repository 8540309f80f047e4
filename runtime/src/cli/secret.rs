//! `goldenpath secret …`: what plugins use without seeing it.

use std::io::{self, Read as _};

use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;
use zeroize::Zeroizing;

use super::client::{Client, Payload, list, segment, text};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::prompt;
use crate::config::Connection;

/// One byte more than a secret and the end of its line have: what is longer is refused, not cut.
const MAX_BYTES: u64 = (64 << 10) + 3;

const AFTER_HELP: &str = "\
The value is read from standard input, without the end of its last line; at a terminal it is asked for, and not shown.
Never from an argument, which others on the machine can read.

Examples:
  goldenpath secret set github-token < token.txt
  pass show github | goldenpath secret set github-token";

#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Set a secret, or give it another value
    #[command(after_help = AFTER_HELP)]
    Set {
        /// Letters, digits, - and _
        name: String,

        #[command(flatten)]
        connection: Connection,
    },
    /// List the secrets; never what they are
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Delete a secret
    Rm {
        /// Its name
        name: String,

        /// Also where a version of a plugin is granted it; what asks for it then is denied
        #[arg(long)]
        force: bool,

        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) fn run(command: SecretCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        SecretCommand::Set { name, connection } => {
            let value = read_value(output)?;
            let body = json!({"value": *value});
            let path = format!("/v1/secrets/{}", segment(&name));
            let client = Client::new(&connection)?;
            let answer = client.ask(&Method::PUT, &path, Payload::Json(&body), &[])?;
            output.result(&answer, |output| output.line(&format!("{name} is set")));
        }
        SecretCommand::List { connection } => {
            let answer = Client::new(&connection)?.get("/v1/secrets")?;
            let row = |one| {
                let member = |pointer| text(one, pointer);
                let used = |by: &Value| format!("{} {}", text(by, "/plugin"), text(by, "/version"));
                let used: Vec<String> = list(one, "usedBy").iter().map(used).collect();
                vec![
                    member("/name"),
                    member("/updatedAt"),
                    member("/updatedBy"),
                    used.join(", "),
                ]
            };
            let rows: Vec<_> = list(&answer, "secrets").iter().map(row).collect();
            output.result(&answer, |output| {
                output.table(&["NAME", "SET", "BY", "USED BY"], &rows);
            });
        }
        SecretCommand::Rm {
            name,
            force,
            connection,
        } => {
            let query = if force { "?force=true" } else { "" };
            let path = format!("/v1/secrets/{}{query}", segment(&name));
            let answer = Client::new(&connection)?.delete(&path)?;
            output.result(&answer, |output| output.line(&format!("{name} is deleted")));
        }
    }
    Ok(Exit::Done)
}

fn read_value(output: &Output) -> Result<Zeroizing<String>, Failure> {
    let read = if prompt::is_interactive() {
        output.note("value (it is not shown while you type), then Enter:");
        prompt::read_hidden_line(MAX_BYTES)
    } else {
        let mut value = Zeroizing::new(String::new());
        let read = io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_string(&mut value);
        read.map(|_| value)
    };
    let mut value =
        read.map_err(|error| Failure::of("read the value from standard input", &error))?;
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    if value.is_empty() {
        return Err(Failure::usage("give the value on standard input"));
    }
    Ok(value)
}
