//! The part of `goldenpath plugin …` that talks to a server: install, review, list.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;

use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::super::client::{Client, Payload, list, segment, text};
use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::{inspect, oci, terms};
use crate::config::Connection;
use crate::plugin::Inspection;

const APPROVE_HELP: &str = "\
Prints what the version asks for, and asks whether to allow it; with --yes or --digest it does not ask.
What was denied, lowered or bound for the active version stays so unless it is said otherwise.

Examples:
  goldenpath plugin approve github-repository 1.2.0 --bind github=https://git.example.com/api
  goldenpath plugin approve notifier 1.0.0 --bind chat=http://10.0.0.7:8080 --private chat --plaintext chat
  goldenpath plugin approve hello 0.1.0 --digest sha256:…";

#[derive(Debug, clap::Args)]
#[command(after_help = APPROVE_HELP)]
pub(in crate::cli) struct ApproveArguments {
    /// Name of the plugin
    name: String,

    /// The version
    version: semver::Version,

    /// Digest of the package that was reviewed; any other is refused
    #[arg(long)]
    digest: Option<String>,

    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,

    /// Take over nothing of what was denied, lowered or bound for the active version
    #[arg(long)]
    pub(super) afresh: bool,

    /// Where an endpoint is; may be repeated
    #[arg(long = "bind", value_name = "ENDPOINT=URL")]
    pub(super) bindings: Vec<String>,

    /// An endpoint that may be unencrypted; may be repeated
    #[arg(long = "plaintext", value_name = "ENDPOINT")]
    pub(super) plaintext: Vec<String>,

    /// An endpoint that may have an inside address, where the server allows those at all; may be repeated
    #[arg(long = "private", value_name = "ENDPOINT")]
    pub(super) private: Vec<String>,

    /// Where a folder is; may be repeated
    #[arg(long = "folder", value_name = "NAME=PATH")]
    pub(super) folders: Vec<String>,

    /// Which stored secret to use for one that the plugin names; may be repeated
    #[arg(long = "secret", value_name = "NAME=STORED")]
    pub(super) secrets: Vec<String>,

    /// A lower budget; may be repeated
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(super) limits: Vec<String>,

    /// A line not to allow; may be repeated
    #[arg(long = "deny", value_name = "LINE")]
    pub(super) denied: Vec<String>,

    #[command(flatten)]
    connection: Connection,
}

/// The package that a command means: a file, or one in a registry.
pub(super) fn find_package(
    file: &Path,
    registry: &oci::RegistryArguments,
) -> Result<(Vec<u8>, Inspection), Failure> {
    let text = file.to_str().filter(|text| oci::Reference::is_meant(text));
    let Some(text) = text else {
        return inspect::read(file);
    };
    let place = text.parse().map_err(Failure::usage)?;
    let pulled = oci::fetch(&place, registry)?;
    Ok((pulled.package, pulled.inspection))
}

pub(super) fn install(
    (package, inspection): (Vec<u8>, Inspection),
    approve: bool,
    connection: &Connection,
    output: &Output,
) -> Result<Exit, Failure> {
    let client = Client::new(connection)?;
    let answer = client.ask(&Method::POST, "/v1/plugins", Payload::Package(package), &[])?;
    let (name, version) = (inspection.name.to_string(), inspection.version.to_string());
    let digest = inspection.digest.to_string();
    if !approve {
        output.result(&answer, |output| {
            let state = text(&answer, "/plugin/state");
            output.line(&format!("installed {name} {version} {state}"));
            output.line(&digest);
            if state == "pending" {
                output.line(&format!(
                    "it asks for these; allow it with: goldenpath plugin approve {name} {version}"
                ));
                print_lines(output, &inspect::reasoned(&inspection));
            }
        });
        return Ok(Exit::Done);
    }
    if !output.is_json() {
        output.line(&format!("{name} {version} {digest}"));
        output.line("approving what it asks for:");
        print_lines(output, &inspect::reasoned(&inspection));
    }
    let path = version_path(&name, &version);
    let report = client.get(&format!("{path}/capabilities"))?;
    let decision = terms::carried(&report);
    print_terms(output, &report, &decision);
    let answer = send_approval(&client, &path, &report, &digest, decision)?;
    output.result(&answer, |output| {
        output.line(&format!("approved {name} {version}"))
    });
    Ok(Exit::Done)
}

pub(super) fn approve(arguments: &ApproveArguments, output: &Output) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.connection)?;
    let (name, version) = (&arguments.name, &arguments.version);
    let path = version_path(name, &version.to_string());
    let report = client.get(&format!("{path}/capabilities"))?;
    let report = report.get("capabilities").unwrap_or(&report);
    let digest = text(report, "/digest");
    if !output.is_json() {
        output.line(&format!("{name} {version} {digest} asks for:"));
        print_lines(output, &terms::requested(report));
        for secret in terms::secrets(report) {
            output.line(&format!("  secret {secret}"));
        }
        output.line(&format!("  made of {}", terms::made_of(report)));
        output.line(&format!("  signed by {}", terms::signed_by(report)));
        for finding in list(report, "findings") {
            output.line(&format!("  ! {}", text(finding, "/message")));
        }
    }
    let decision = terms::decided(arguments, report)?;
    print_terms(output, report, &decision);
    if arguments.digest.is_none() && !arguments.yes {
        confirm(output)?;
    }
    let reviewed = arguments.digest.clone().unwrap_or(digest);
    let answer = send_approval(&client, &path, report, &reviewed, decision)?;
    output.result(&answer, |output| {
        output.line(&format!("approved {name} {version}"))
    });
    Ok(Exit::Done)
}

pub(super) fn list_plugins(connection: &Connection, output: &Output) -> Result<Exit, Failure> {
    let answer = Client::new(connection)?.get("/v1/plugins")?;
    let row = |plugin| {
        let member = |pointer| text(plugin, pointer);
        vec![
            member("/name"),
            member("/activeVersion"),
            member("/state"),
            member("/title"),
        ]
    };
    let rows: Vec<_> = list(&answer, "plugins").iter().map(row).collect();
    output.result(&answer, |output| {
        output.table(&["PLUGIN", "ACTIVE", "STATE", "TITLE"], &rows);
    });
    Ok(Exit::Done)
}

pub(super) fn version_path(name: &str, version: &str) -> String {
    format!(
        "/v1/plugins/{}/versions/{}",
        segment(name),
        segment(version)
    )
}

/// Approves exactly the package of a digest, as it was when its report was read.
fn send_approval(
    client: &Client,
    path: &str,
    report: &Value,
    digest: &str,
    mut decision: Map<String, Value>,
) -> Result<Value, Failure> {
    let report = report.get("capabilities").unwrap_or(report);
    decision.insert("digest".to_owned(), json!(digest));
    for key in ["manifestHash", "policyRevision"] {
        decision.insert(
            key.to_owned(),
            report.get(key).cloned().unwrap_or(Value::Null),
        );
    }
    client.post(&format!("{path}/approve"), &Value::Object(decision))
}

/// What the decision says beside the request, where it lets requests go, and what it puts in place.
fn print_terms(output: &Output, report: &Value, decision: &Map<String, Value>) {
    for (title, lines) in [
        ("with:", terms::shown(decision)),
        ("requests go to:", terms::places(report, decision)),
        ("puts in place:", terms::documents(report)),
    ] {
        if !output.is_json() && !lines.is_empty() {
            output.line(title);
            print_lines(output, &lines);
        }
    }
}

fn print_lines(output: &Output, lines: &[String]) {
    if lines.is_empty() {
        output.line("  nothing");
    }
    for line in lines {
        output.line(&format!("  {line}"));
    }
}

fn confirm(output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::usage(
            "with --json nothing is shown to say yes to; give --digest with the digest that was reviewed, or --yes",
        ));
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "nobody is there to ask; give --digest with the digest that was reviewed, or --yes",
        ));
    }
    output.note("allow all of this? [y/N]");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .take(64)
        .read_line(&mut answer)
        .map_err(|error| Failure::of("read the answer", &error))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::failed("not approved"))
    }
}
