//! `goldenpath run …` and `goldenpath runs …`: asking for something and watching it happen.

use std::time::{Duration, Instant};

use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;

use super::client::{Client, Payload, list, segment, text};
use super::exit::{Exit, Failure};
use super::output::{Output, Tint};
use super::sse::{ServerEvent, ServerEvents};
use super::{action, input};
use crate::config::Connection;

/// The longest that one request may wait.
const LONGEST_PREFER: u64 = 60;

const POLL: Duration = Duration::from_secs(1);

/// Connections in a row that may fail before a server counts as gone: about half a minute.
const MAX_RECONNECTS: u32 = 8;

const RUN_HELP: &str = "\
Values are read as the action's form asks: text, numbers, true or false, JSON for objects; repeat --input for a list.

Examples:
  goldenpath run hello --input name=Ada --follow
  goldenpath run scaffold-service --input name=orders-api --input system=Cart --wait 30 --json";

#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub(super) struct RunArguments {
    /// Identifier of the action
    action: String,

    /// One input; may be repeated
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    inputs: Vec<String>,

    /// Identifier of the entity to work on
    #[arg(long, value_name = "ID")]
    entity: Option<String>,

    /// Show what happens as it happens, until the run ends
    #[arg(long, short = 'f')]
    follow: bool,

    /// Wait so many seconds at most for the run to end
    #[arg(long, value_name = "SECONDS", conflicts_with = "follow")]
    wait: Option<u64>,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(super) enum RunsCommand {
    /// List runs, the newest first
    List {
        /// Only runs of this action
        #[arg(long, value_name = "ID")]
        action: Option<String>,

        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,

        #[command(flatten)]
        connection: Connection,
    },
    /// Show one run
    Show {
        /// Its identifier
        run: String,

        #[command(flatten)]
        connection: Connection,
    },
    /// Show what a run has logged, and with --follow what it goes on to log
    Logs {
        /// Its identifier
        run: String,

        /// Go on until the run ends
        #[arg(long, short = 'f')]
        follow: bool,

        #[command(flatten)]
        connection: Connection,
    },
    #[command(flatten)]
    Control(ControlCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum ControlCommand {
    /// End a run: at once where it waits, within moments where a plugin is at work
    Cancel {
        /// Its identifier
        run: String,

        #[command(flatten)]
        connection: Connection,
    },
    /// Start a run once more that ended badly, with the same inputs
    Retry {
        /// Its identifier
        run: String,

        /// Show what happens as it happens, until the new run ends
        #[arg(long, short = 'f')]
        follow: bool,

        #[command(flatten)]
        connection: Connection,
    },
    /// Say what became of a run that is `outcome_unknown`, after having looked
    Resolve {
        /// Its identifier
        run: String,

        /// done: it had been done; retry: it had not, do it with a new run; abandon: it is not to be done any more
        #[arg(value_parser = ["done", "retry", "abandon"])]
        outcome: String,

        /// What came of it, as JSON, with `done`
        #[arg(long, value_name = "JSON")]
        output: Option<String>,

        #[command(flatten)]
        connection: Connection,
    },
}

/// Changes what becomes of a run.
fn control(command: ControlCommand, output: &Output) -> Result<Exit, Failure> {
    let route = |run: &str, what: &str| format!("/v1/actions/runs/{}/{what}", segment(run));
    match command {
        ControlCommand::Cancel { run, connection } => {
            let client = Client::new(&connection)?;
            let answer =
                client.ask(&Method::POST, &route(&run, "cancel"), Payload::Nothing, &[])?;
            output.result(&answer, |output| {
                show(&answer, output);
                if text(&answer, "/run/state") == "running" {
                    output.line("  the plugin at work is being ended");
                }
            });
            Ok(Exit::Done)
        }
        ControlCommand::Retry {
            run,
            follow: follows,
            connection,
        } => {
            let client = Client::new(&connection)?;
            let answer = client.ask(&Method::POST, &route(&run, "retry"), Payload::Nothing, &[])?;
            let id = text(&answer, "/run/id");
            if follows {
                output_started(output, &id);
                return follow(&client, &id, output);
            }
            output.result(&answer, |output| {
                output.line(&format!(
                    "run {id} does it once more; watch it with: goldenpath runs logs {id} --follow"
                ));
            });
            Ok(Exit::Done)
        }
        ControlCommand::Resolve {
            run,
            outcome,
            output: given,
            connection,
        } => {
            let mut body = json!({ "outcome": outcome });
            if let Some(given) = given {
                let value: Value = serde_json::from_str(&given).map_err(|error| {
                    Failure::new(Exit::Usage, format!("--output is not JSON: {error}"))
                })?;
                if let Some(body) = body.as_object_mut() {
                    body.insert("output".to_owned(), value);
                }
            }
            let client = Client::new(&connection)?;
            let payload = Payload::Json(&body);
            let answer = client.ask(&Method::POST, &route(&run, "resolve"), payload, &[])?;
            output.result(&answer, |output| {
                show(&answer, output);
                let again = text(&answer, "/retry/id");
                if !again.is_empty() {
                    output.line(&format!("  run {again} does it once more"));
                }
            });
            Ok(Exit::Done)
        }
    }
}

pub(super) fn start(arguments: &RunArguments, output: &Output) -> Result<Exit, Failure> {
    let started = Instant::now();
    let client = Client::new(&arguments.connection)?;
    let path = format!("/v1/actions/{}", segment(&arguments.action));
    let answer = client.get(&path)?;
    let properties = input::parse_inputs(
        &arguments.inputs,
        answer.get("action").and_then(action::form),
    )?;
    let mut body = json!({ "properties": properties });
    if let (Some(entity), Some(body)) = (&arguments.entity, body.as_object_mut()) {
        body.insert("entity".to_owned(), json!(entity));
    }
    let prefer = arguments
        .wait
        .map(|wait| format!("wait={}", wait.min(LONGEST_PREFER)));
    let headers: Vec<(&str, &str)> = prefer
        .iter()
        .map(|prefer| ("prefer", prefer.as_str()))
        .collect();
    let answer = client.ask(
        &Method::POST,
        &format!("{path}/runs"),
        Payload::Json(&body),
        &headers,
    )?;
    let id = text(&answer, "/run/id");
    if arguments.follow {
        output_started(output, &id);
        return follow(&client, &id, output);
    }
    let Some(wait) = arguments.wait else {
        output.result(&answer, |output| {
            output.line(&format!(
                "run {id} is accepted; watch it with: goldenpath runs logs {id} --follow"
            ));
        });
        return Ok(Exit::Done);
    };
    let mut answer = answer;
    while !has_ended(&answer) {
        if started.elapsed() >= Duration::from_secs(wait) {
            output.result(&answer, |output| show(&answer, output));
            return Err(Failure::new(
                Exit::TimedOut,
                format!(
                    "run {id} has not ended within {wait} s; it goes on: goldenpath runs show {id}"
                ),
            ));
        }
        std::thread::sleep(POLL.min(Duration::from_secs(wait).saturating_sub(started.elapsed())));
        answer = client.get(&format!("/v1/actions/runs/{}", segment(&id)))?;
    }
    Ok(finish(&answer, output))
}

pub(super) fn run(command: RunsCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        RunsCommand::List {
            action,
            limit,
            connection,
        } => {
            let mut path = format!("/v1/actions/runs?limit={limit}");
            if let Some(action) = action {
                path.push_str(&format!("&action={}", segment(&action)));
            }
            let answer = Client::new(&connection)?.get(&path)?;
            let row = |run: &Value| {
                let action = text(run, "/action/identifier");
                let action = if action.is_empty() {
                    text(run, "/action")
                } else {
                    action
                };
                vec![
                    text(run, "/id"),
                    action,
                    text(run, "/state"),
                    text(run, "/createdAt"),
                    text(run, "/createdBy"),
                ]
            };
            let rows: Vec<_> = list(&answer, "runs").iter().map(row).collect();
            output.result(&answer, |output| {
                output.table(&["RUN", "ACTION", "STATE", "CREATED", "BY"], &rows);
            });
            Ok(Exit::Done)
        }
        RunsCommand::Show { run, connection } => {
            let answer =
                Client::new(&connection)?.get(&format!("/v1/actions/runs/{}", segment(&run)))?;
            output.result(&answer, |output| show(&answer, output));
            Ok(Exit::Done)
        }
        RunsCommand::Logs {
            run,
            follow: true,
            connection,
        } => follow(&Client::new(&connection)?, &run, output),
        RunsCommand::Control(command) => control(command, output),
        RunsCommand::Logs {
            run, connection, ..
        } => logs(&Client::new(&connection)?, &run, output),
    }
}

fn output_started(output: &Output, id: &str) {
    if output.is_json() {
        output.json(&json!({"event": "started", "data": {"id": id}}));
    } else {
        output.line(&format!("run {id}"));
    }
}

/// Prints the events of a run until it ends, through broken connections; the run decides the exit code.
fn follow(client: &Client, id: &str, output: &Output) -> Result<Exit, Failure> {
    let path = format!("/v1/actions/runs/{}/events", segment(id));
    let mut last_id = String::new();
    let mut failures = 0;
    loop {
        let broken = match client.stream(&path, &last_id) {
            Ok(stream) => {
                let mut events = ServerEvents::new(stream, last_id.clone());
                loop {
                    match events.next() {
                        Ok(Some(event)) => {
                            failures = 0;
                            last_id.clone_from(&event.id);
                            if print_event(&event, output) {
                                let run =
                                    client.get(&format!("/v1/actions/runs/{}", segment(id)))?;
                                return Ok(finish(&run, output));
                            }
                        }
                        Ok(None) => break "the stream ended early".to_owned(),
                        Err(error) => break error.to_string(),
                    }
                }
            }
            Err(failure) if failure.exit == Exit::Unreachable => failure.message,
            Err(failure) => return Err(failure),
        };
        failures += 1;
        if failures > MAX_RECONNECTS {
            return Err(Failure::new(
                Exit::Unreachable,
                format!(
                    "lost {}: {broken}; the run goes on, watch it again with: goldenpath runs logs {id} --follow",
                    client.url()
                ),
            ));
        }
        std::thread::sleep(Duration::from_millis(200 << failures.min(5)));
    }
}

/// Prints one event; whether it is the last one of its run.
fn print_event(event: &ServerEvent, output: &Output) -> bool {
    let data: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
    if output.is_json() {
        output.json(&json!({"id": event.id, "event": event.event, "data": data}));
    } else {
        match event.event.as_str() {
            "log" => log_line(&data, output),
            "progress" => {
                let total = text(&data, "/total");
                let of = if total.is_empty() {
                    String::new()
                } else {
                    format!("/{total}")
                };
                let (done, message) = (text(&data, "/done"), text(&data, "/message"));
                output.tinted(Tint::Faint, &format!("[{done}{of}] {message}"));
            }
            "link" => output.line(&format!(
                "link   {}  {}",
                text(&data, "/url"),
                text(&data, "/title")
            )),
            "state" => output.tinted(Tint::Faint, &format!("state  {}", text(&data, "/state"))),
            // A later server may send more.
            _ => {}
        }
    }
    event.event == "state" && is_final(&text(&data, "/status"))
}

fn log_line(data: &Value, output: &Output) {
    let (level, message) = (text(data, "/level"), text(data, "/message"));
    let line = format!("{level:5}  {message}");
    match level.as_str() {
        "error" => output.tinted(Tint::Bad, &line),
        "trace" | "debug" => output.tinted(Tint::Faint, &line),
        _ => output.line(&line),
    }
}

fn logs(client: &Client, id: &str, output: &Output) -> Result<Exit, Failure> {
    let mut offset = 0;
    loop {
        let path = format!(
            "/v1/actions/runs/{}/logs?limit=50&offset={offset}",
            segment(id)
        );
        let answer = client.get(&path)?;
        let page = list(&answer, "runLogs");
        for line in page {
            if output.is_json() {
                output.json(line);
            } else {
                log_line(line, output);
            }
        }
        if page.len() < 50 {
            return Ok(Exit::Done);
        }
        offset += page.len();
    }
}

fn has_ended(answer: &Value) -> bool {
    is_final(&text(answer, "/run/status"))
}

fn is_final(status: &str) -> bool {
    !matches!(status, "" | "IN_PROGRESS" | "WAITING_FOR_APPROVAL")
}

/// Prints how a run ended; the exit code says so too.
fn finish(answer: &Value, output: &Output) -> Exit {
    output.result(answer, |output| show(answer, output));
    if text(answer, "/run/status") == "SUCCESS" {
        Exit::Done
    } else {
        Exit::Failed
    }
}

fn show(answer: &Value, output: &Output) {
    let run = answer.get("run").unwrap_or(&Value::Null);
    let state = text(run, "/state");
    let tint = match text(run, "/status").as_str() {
        "SUCCESS" => Tint::Good,
        "FAILURE" | "DECLINED" => Tint::Bad,
        _ => Tint::Faint,
    };
    output.tinted(tint, &format!("run {} {state}", text(run, "/id")));
    if let Some(failure) = run.get("failure").filter(|failure| !failure.is_null()) {
        output.line(&format!(
            "  {}: {}",
            text(failure, "/code"),
            text(failure, "/message")
        ));
    }
    for step in list(run, "steps") {
        let ended = text(step, "/endedAt");
        let until = if ended.is_empty() {
            String::new()
        } else {
            format!(" to {ended}")
        };
        output.line(&format!(
            "  {} {}: {} in attempt {}, {}{until}",
            text(step, "/kind"),
            text(step, "/name"),
            text(step, "/state"),
            text(step, "/attempt"),
            text(step, "/startedAt"),
        ));
    }
    for link in list(run, "link") {
        output.line(&format!("  link: {}", text(link, "")));
    }
    if let Some(result) = run.get("output").filter(|result| !result.is_null()) {
        output.line(&format!("  output: {result}"));
    }
}
