//! `goldenpath plugin usage`: used against granted.

use serde_json::Value;

use super::super::client::{Client, list, segment, text};
use super::super::exit::{Exit, Failure};
use super::super::output::{Output, Tint};
use crate::config::Connection;

const HELP: &str = "\
Runs are counted when they end. What it suggests comes from those so far: let everything that the plugin is for run once.

Examples:
  goldenpath plugin usage github-repository
  goldenpath plugin usage github-repository --version 1.2.0 --days 30";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(in crate::cli) struct UsageArguments {
    /// Name of the plugin
    name: String,

    /// Which version [default: the active one]
    #[arg(long, value_name = "VERSION")]
    version: Option<semver::Version>,

    /// After how many days without use a line is found to be unused [default: 90]
    #[arg(long)]
    days: Option<u32>,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &UsageArguments, output: &Output) -> Result<Exit, Failure> {
    let mut parameters = Vec::new();
    if let Some(version) = &arguments.version {
        parameters.push(format!("version={}", segment(&version.to_string())));
    }
    if let Some(days) = arguments.days {
        parameters.push(format!("days={days}"));
    }
    let mut path = format!("/v1/plugins/{}/usage", segment(&arguments.name));
    if !parameters.is_empty() {
        path = format!("{path}?{}", parameters.join("&"));
    }
    let answer = Client::new(&arguments.connection)?.get(&path)?;
    output.result(&answer, |output| {
        show(answer.get("usage").unwrap_or(&Value::Null), output);
    });
    Ok(Exit::Done)
}

fn show(usage: &Value, output: &Output) {
    let member = |pointer: &str| text(usage, pointer);
    let (name, version) = (member("/name"), member("/version"));
    let mut head = format!("{name} {version} {}", member("/state"));
    for (word, when) in [
        ("since", member("/since")),
        ("last run", member("/lastRun")),
    ] {
        if !when.is_empty() {
            head = format!("{head}, {word} {when}");
        }
    }
    output.line(&format!("{head}, {} run(s) counted", member("/runs")));
    show_lines(usage, output);
    let budgets: Vec<Vec<String>> = list(usage, "budgets")
        .iter()
        .map(|budget| {
            let highest = match text(budget, "/highest") {
                highest if highest.is_empty() => "-".to_owned(),
                highest => highest,
            };
            vec![highest, text(budget, "/granted"), text(budget, "/budget")]
        })
        .collect();
    output.line("");
    output.table(&["HIGHEST", "GRANTED", "BUDGET"], &budgets);
    for finding in list(usage, "findings") {
        output.tinted(Tint::Bad, &format!("! {}", text(finding, "/message")));
    }
    // Approving a version makes it the active one: no other is told how to be approved.
    let suggested = usage.get("suggested").filter(|found| found.is_object());
    if let Some(suggested) = suggested.filter(|_| member("/state") == "active") {
        show_suggested(suggested, &format!("{name} {version}"), output);
    }
}

fn show_lines(usage: &Value, output: &Output) {
    let row = |count: String, last: String, line: String| {
        let last = if last.is_empty() {
            "never".to_owned()
        } else {
            last
        };
        vec![count, last, line]
    };
    let mut used = Vec::new();
    for line in list(usage, "lines") {
        let is_granted = line.get("granted") == Some(&Value::Bool(true));
        let mut shown = text(line, "/line");
        if !is_granted {
            shown.push_str("  (not granted any more)");
        }
        used.push(row(text(line, "/uses"), text(line, "/lastUsed"), shown));
    }
    output.line("");
    output.table(&["USES", "LAST", "LINE"], &used);
    let mut denied: Vec<Vec<String>> = list(usage, "denied")
        .iter()
        .map(|one| {
            row(
                text(one, "/count"),
                text(one, "/last"),
                text(one, "/missing"),
            )
        })
        .collect();
    let beside = text(usage, "/deniedBeside");
    if beside != "0" {
        denied.push(vec![beside, String::new(), "others".to_owned()]);
    }
    if !denied.is_empty() {
        output.line("");
        output.table(&["DENIED", "LAST", "MISSING"], &denied);
    }
}

/// What an approval can say at once, as the command that says it, and what is for the plugin's author.
fn show_suggested(suggested: &Value, version: &str, output: &Output) {
    let mut options: Vec<String> = list(suggested, "deny")
        .iter()
        .map(|line| format!("--deny {}", quoted(&text(line, ""))))
        .collect();
    let limits = suggested.get("limits").and_then(Value::as_object);
    let lowered = limits.into_iter().flatten();
    options.extend(lowered.map(|(key, value)| format!("--limit {key}={}", text(value, ""))));
    output.line("");
    if suggested.get("narrows") != Some(&Value::Bool(true)) {
        output.line("no approval could allow less than these runs needed");
    } else {
        output.line("these runs would have done with less:");
        let options = options.join(" \\\n    ");
        output.block(&format!(
            "  goldenpath plugin approve {version} \\\n    {options}"
        ));
    }
    for narrower in list(suggested, "narrower") {
        output.line(&format!(
            "a next version could ask for less than `{}`:",
            text(narrower, "/line")
        ));
        for line in list(narrower, "instead") {
            output.line(&format!("  {}", text(line, "")));
        }
    }
    for line in list(suggested, "rebuild") {
        output.line(&format!(
            "a next version could do without `{}`; this one does not start without it",
            text(line, "")
        ));
    }
}

/// One argument for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
