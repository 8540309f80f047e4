//! Decisions about versions beside an approval: refuse, forbid, go back, stop.

use serde_json::{Value, json};

use super::super::client::{Client, segment, text};
use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::remote::version_path;
use crate::config::Connection;
use crate::model::UnderWay;

/// Which version, and why.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DecisionArguments {
    /// Name of the plugin
    name: String,

    /// The version
    version: semver::Version,

    /// Why, for the audit log
    #[arg(long, default_value = "")]
    reason: String,

    #[command(flatten)]
    connection: Connection,
}

impl DecisionArguments {
    fn send(&self, verb: &str, body: &Value) -> Result<Value, Failure> {
        let path = version_path(&self.name, &self.version.to_string());
        Client::new(&self.connection)?.post(&format!("{path}/{verb}"), body)
    }
}

pub(super) fn reject(arguments: &DecisionArguments, output: &Output) -> Result<Exit, Failure> {
    let answer = arguments.send("reject", &json!({"reason": arguments.reason}))?;
    let (name, version) = (&arguments.name, &arguments.version);
    output.result(&answer, |output| {
        output.line(&format!("rejected {name} {version}"));
    });
    Ok(Exit::Done)
}

pub(super) fn revoke(
    arguments: &DecisionArguments,
    running: UnderWay,
    output: &Output,
) -> Result<Exit, Failure> {
    let body = json!({"reason": arguments.reason, "running": running});
    let answer = arguments.send("revoke", &body)?;
    let (name, version) = (&arguments.name, &arguments.version);
    output.result(&answer, |output| {
        output.line(&format!("revoked {name} {version}"));
    });
    Ok(Exit::Done)
}

pub(super) fn roll_back(
    name: &str,
    to: Option<&semver::Version>,
    reason: &str,
    connection: &Connection,
    output: &Output,
) -> Result<Exit, Failure> {
    let client = Client::new(connection)?;
    let path = format!("/v1/plugins/{}", segment(name));
    let seen = client.get(&path)?;
    // Whoever else goes back at the same time does not make it two versions.
    let from = seen.pointer("/plugin/activeVersion");
    let body = json!({"version": to, "from": from, "reason": reason});
    let answer = client.post(&format!("{path}/rollback"), &body)?;
    output.result(&answer, |output| {
        let version = text(&answer, "/plugin/version");
        output.line(&format!("{name} {version} serves again"));
    });
    Ok(Exit::Done)
}

pub(super) fn stop(
    reason: &str,
    connection: &Connection,
    output: &Output,
) -> Result<Exit, Failure> {
    let body = json!({"reason": reason});
    let answer = Client::new(connection)?.post("/v1/plugins/stop", &body)?;
    output.result(&answer, |output| {
        output.line(&format!("ended {} call(s)", text(&answer, "/ended")));
    });
    Ok(Exit::Done)
}
