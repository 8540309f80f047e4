//! `goldenpath plugin show`: what a version on the server asks for, what it was granted, and what is odd about it.

use serde_json::Value;

use super::super::client::{Client, list, segment, text};
use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::inspect::section;
use super::remote::version_path;
use super::terms;
use crate::config::Connection;

/// Which version.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArguments {
    /// Name of the plugin
    name: String,

    /// The version [default: the newest one that waits for a reviewer, else the active one, else the newest]
    version: Option<semver::Version>,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &ShowArguments, output: &Output) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.connection)?;
    let name = &arguments.name;
    let plugin = client.get(&format!("/v1/plugins/{}", segment(name)))?;
    let version = match &arguments.version {
        Some(version) => version.to_string(),
        None => interesting(&plugin),
    };
    let path = version_path(name, &version);
    let answer = client.get(&format!("{path}/capabilities"))?;
    let report = answer.get("capabilities").unwrap_or(&answer);
    output.result(&answer, |output| {
        output.line(&format!("{name} {version}  {}", text(report, "/state")));
        output.line(&format!("package    {}", text(report, "/digest")));
        output.line(&format!("manifest   {}", text(report, "/manifestHash")));
        output.line(&format!("made of    {}", terms::made_of(report)));
        output.line(&format!("signed by  {}", terms::signed_by(report)));
        show(report, output);
        if text(report, "/state") == "pending" {
            output.line("");
            let command = terms::command(name, &version, report);
            output.line(&format!("allow this package with: {command}"));
        }
    });
    Ok(Exit::Done)
}

/// The version that somebody looks for who names none.
fn interesting(plugin: &Value) -> String {
    let versions = plugin.get("plugin").unwrap_or(plugin);
    let versions = list(versions, "versions");
    let in_state = |state: &str| versions.iter().find(|one| text(one, "/state") == state);
    let found = in_state("pending").or_else(|| in_state("active"));
    found
        .or_else(|| versions.first())
        .map_or_else(String::new, |one| text(one, "/version"))
}

fn show(report: &Value, output: &Output) {
    section(output, "asks for", &terms::requested(report));
    let granted = list(report, "granted").iter().map(|line| text(line, ""));
    section(output, "is granted", &granted.collect::<Vec<_>>());
    let places = terms::places(report, &terms::granted(report));
    section(output, "requests go to", &places);
    section(output, "secrets", &terms::secrets(report));
    for (title, key) in [("imports", "imports"), ("exports", "exports")] {
        let names = list(report, key).iter().map(|name| text(name, ""));
        section(output, title, &names.collect::<Vec<_>>());
    }
    section(output, "puts in place", &terms::documents(report));
    let findings = list(report, "findings")
        .iter()
        .map(|finding| format!("{}: {}", text(finding, "/code"), text(finding, "/message")));
    section(output, "findings", &findings.collect::<Vec<_>>());
}
