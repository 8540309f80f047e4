//! `goldenpath login`: keeps a credential for the other commands.

use std::io::{self, BufRead as _, Read as _};

use serde_json::json;
use zeroize::Zeroizing;

use super::client::Client;
use super::exit::{Exit, Failure, chain};
use super::output::Output;
use super::prompt;
use crate::config::{Connection, Credentials, Secret};

/// More than any secret has.
const MAX_SECRET_BYTES: u64 = 4096;

const AFTER_HELP: &str = "\
The secret is read from standard input when neither flag nor variable gives it.

Examples:
  goldenpath login --url https://portal.example.com --client-id c_8fk2
  goldenpath login --client-id c_8fk2 < secret.txt";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct LoginArguments {
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: LoginArguments, output: &Output) -> Result<Exit, Failure> {
    let mut connection = arguments.connection;
    if connection.client_id.is_none() {
        return Err(Failure::usage("give the client id with --client-id"));
    }
    if connection.client_secret.is_none() {
        connection.client_secret = Some(read_secret(output)?);
    }
    let endpoint = connection
        .resolve_given()
        .map_err(|error| Failure::usage(chain(&error)))?;
    let client = Client::to(endpoint.clone())?;
    client.token()?;
    let file = connection.credentials_file().ok_or_else(|| {
        Failure::usage("neither HOME nor XDG_CONFIG_HOME is set; name a file with --credentials")
    })?;
    let ca_cert = endpoint.ca_cert.map(std::path::absolute).transpose();
    let credentials = Credentials {
        url: endpoint.url,
        client_id: endpoint.client_id,
        client_secret: endpoint.client_secret,
        ca_cert: ca_cert.map_err(|error| Failure::of("find the certificate file", &error))?,
    };
    credentials
        .write(&file)
        .map_err(|error| Failure::failed(chain(&error)))?;
    let answer = json!({"ok": true, "url": credentials.url, "clientId": credentials.client_id, "file": file});
    output.result(&answer, |output| {
        output.line(&format!(
            "signed in to {} as {}; the credential is in {}",
            credentials.url,
            credentials.client_id,
            file.display()
        ));
    });
    Ok(Exit::Done)
}

fn read_secret(output: &Output) -> Result<Secret, Failure> {
    let read = if prompt::is_interactive() {
        output.note("client secret (it is not shown while you type), then Enter:");
        prompt::read_hidden_line(MAX_SECRET_BYTES)
    } else {
        let mut line = Zeroizing::new(String::new());
        let mut limited = io::stdin().lock().take(MAX_SECRET_BYTES);
        limited.read_line(&mut line).map(|_| line)
    };
    let line =
        read.map_err(|error| Failure::of("read the client secret from standard input", &error))?;
    let secret = line.trim();
    if secret.is_empty() {
        return Err(Failure::usage(
            "give the client secret on standard input or in GOLDENPATH_CLIENT_SECRET",
        ));
    }
    Ok(Secret::new(secret.to_owned()))
}
