//! One case, from its stage to what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::super::super::exit::{Failure, chain};
use super::case::{Case, Content, ExpectedText};
use super::compare::{Extent, brief, differences, text_difference};
use super::record::{Recorder, Sources};
use super::replay::Replay;
use super::report::{Outcome, Problem};
use super::server::{Responder, Servers};
use crate::action;
use crate::app::{ApproveError, Part, Performed, Stage, Trial, TrialError, Trials};
use crate::catalog;
use crate::model::{EventBody, Violation};
use crate::plugin::{CallError, Inspection, ReviewError};

/// Tries a case. What does not come out as expected is an outcome; a case that nobody could try is a failure.
pub(super) async fn perform(
    trials: &mut Trials,
    inspection: &Inspection,
    case: &Case,
    sources: Option<&Arc<Sources>>,
) -> Result<Outcome, Failure> {
    let content = &case.content;
    check_endpoints(case, inspection)?;
    let recorder = sources.map(|sources| Arc::new(Recorder::new(Arc::clone(sources))));
    let responder: Arc<dyn Responder> = match &recorder {
        Some(recorder) => Arc::clone(recorder) as _,
        None => Arc::new(Replay::of(&content.http)),
    };
    let servers = Servers::start(inspection.endpoints.keys(), &responder).await;
    let servers = servers.map_err(|error| Failure::of("listen on this machine", &error))?;
    let stage = Stage {
        documents: case.documents.clone(),
        files: files(content),
        endpoints: servers.urls().clone(),
        secrets: sources.map_or_else(BTreeMap::new, |sources| sources.secrets.clone()),
    };
    let trial = trials.open(stage).await;
    let trial = trial.map_err(|error| refused(case, &error))?;
    let outcome = judge(&trial, case, responder.as_ref()).await;
    trial.close().await;
    drop(servers);
    let mut outcome = outcome.map_err(|error| refused(case, &error))?;
    // Half of a recording is worth less than the one that stands there.
    if let Some(recorder) = recorder.filter(|recorder| recorder.is_whole()) {
        outcome.recorded = Some(recorder.write(case)?);
    }
    Ok(outcome)
}

async fn judge(
    trial: &Trial,
    case: &Case,
    responder: &dyn Responder,
) -> Result<Outcome, TrialError> {
    let content = &case.content;
    let entity = content.entity.as_ref();
    let performed = trial
        .call(Part {
            action: content.action.clone(),
            input: Value::Object(content.input.clone()),
            entity: entity.map(|named| (named.blueprint.clone(), named.identifier.clone())),
            requested_by: content.requested_by.clone(),
            at: content.at,
        })
        .await?;
    let mut problems = denied(content, &performed);
    problems.extend(responder.problems());
    problems.extend(result(content, &performed));
    problems.extend(said(content, &performed.events));
    problems.extend(entities(content, trial).await?);
    problems.extend(written(content, trial)?);
    let log = performed.events.iter().filter_map(logged);
    Ok(Outcome {
        name: case.name.clone(),
        file: case.file.clone(),
        problems,
        recorded: None,
        log: log.map(str::to_owned).collect(),
    })
}

/// An exchange of an endpoint that nobody can talk to would never be used.
fn check_endpoints(case: &Case, inspection: &Inspection) -> Result<(), Failure> {
    let named = case.content.http.iter().enumerate();
    let mut named = named.map(|(index, exchange)| (index, exchange.request.endpoint.as_str()));
    let unknown = named.find(|(_, name)| !inspection.endpoints.contains_key(*name));
    match unknown {
        None => Ok(()),
        Some((index, name)) => Err(Failure::usage(format!(
            "`{}`: /http/{index}: there is no `[endpoints.{name}]` in plugin.toml",
            case.file.display()
        ))),
    }
}

fn files(content: &Content) -> BTreeMap<String, BTreeMap<String, Vec<u8>>> {
    let bytes = |files: &BTreeMap<String, String>| {
        let files = files.iter();
        files
            .map(|(path, text)| (path.clone(), text.clone().into_bytes()))
            .collect()
    };
    let folders = content.files.iter();
    folders
        .map(|(folder, files)| (folder.clone(), bytes(files)))
        .collect()
}

fn denied(content: &Content, performed: &Performed) -> Vec<Problem> {
    let expected = &content.expect.denied;
    let denied = &performed.denied;
    let beyond = denied.iter().filter(|line| !expected.contains(line));
    let beyond = beyond.map(|line| {
        let kind = line.split_once(' ').map_or(line.as_str(), |(kind, _)| kind);
        let message = match kind {
            "clock" | "random" | "state" => {
                format!(
                    "was denied `{line}`; request it under `[capabilities.{kind}]` in plugin.toml"
                )
            }
            "catalog" | "files" | "http" => {
                format!(
                    "was denied `{line}`; request it under `[[capabilities.{kind}]]` in plugin.toml"
                )
            }
            _ => format!("was denied: {line}"),
        };
        Problem::new("denied", message)
    });
    let lacking = expected.iter().filter(|line| !denied.contains(line));
    let lacking = lacking.map(|line| {
        let message = format!("expected that `{line}` is denied; it was not");
        Problem::new("denied", message)
    });
    beyond.chain(lacking).collect()
}

fn result(content: &Content, performed: &Performed) -> Vec<Problem> {
    let expect = &content.expect;
    match (&performed.result, &expect.failure) {
        (Ok(output), None) => {
            let whole = expect.output.iter();
            let whole = whole.flat_map(|it| differences("output", it, output, Extent::Whole));
            let part = expect.output_includes.iter();
            let part = part.flat_map(|it| differences("output", it, output, Extent::Part));
            let all = whole.chain(part);
            all.map(|message| Problem::new("output", message)).collect()
        }
        (Ok(output), Some(failure)) => vec![Problem::new(
            "failure",
            format!(
                "expected failure `{}`; it answered `{}`",
                failure.code,
                brief(&output.to_string())
            ),
        )],
        (Err(error), None) => vec![Problem::new(
            "failure",
            format!("failed with `{}`: {}", error.code(), told(error)),
        )],
        (Err(error), Some(failure)) => {
            let mut problems = Vec::new();
            if error.code() != failure.code {
                problems.push(format!(
                    "expected failure `{}`, was `{}`: {}",
                    failure.code,
                    error.code(),
                    told(error)
                ));
            }
            if let Some(part) = &failure.message
                && !told(error).contains(part.as_str())
            {
                problems.push(format!(
                    "expected a failure that says `{part}`, was: {}",
                    told(error)
                ));
            }
            let problems = problems.into_iter();
            problems.map(|it| Problem::new("failure", it)).collect()
        }
    }
}

/// How a call ended, with the rules that were broken.
fn told(error: &CallError) -> String {
    match error {
        CallError::InvalidInput(broken) | CallError::InvalidOutput(broken) => {
            format!("{error}: {}", listed(broken))
        }
        other => chain(other),
    }
}

fn listed(violations: &[Violation]) -> String {
    let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
    brief(&violations.join("; "))
}

fn logged(event: &EventBody) -> Option<&str> {
    match event {
        EventBody::Log { message, .. } => Some(message),
        _ => None,
    }
}

fn said(content: &Content, events: &[EventBody]) -> Vec<Problem> {
    let lines: Vec<&str> = events.iter().filter_map(logged).collect();
    let expected = content.expect.log.iter();
    let lacking = expected.filter(|part| !lines.iter().any(|line| line.contains(part.as_str())));
    lacking
        .map(|part| Problem::new("log", format!("no line of the log contains `{part}`")))
        .collect()
}

async fn entities(content: &Content, trial: &Trial) -> Result<Vec<Problem>, TrialError> {
    let mut problems = Vec::new();
    for expected in &content.expect.catalog {
        let (blueprint, id) = (&expected.blueprint, &expected.identifier);
        let at = format!("catalog {blueprint}/{id}");
        match (trial.find_entity(blueprint, id).await?, expected.absent) {
            (Some(_), true) => problems.push(format!("{at}: is there, and should not be")),
            (None, false) => problems.push(format!("{at}: is not there")),
            (None, true) => {}
            (Some(entity), false) => {
                let members = Value::Object(expected.members.clone());
                problems.extend(differences(&at, &members, &entity, Extent::Part));
            }
        }
    }
    let problems = problems.into_iter();
    Ok(problems.map(|it| Problem::new("catalog", it)).collect())
}

fn written(content: &Content, trial: &Trial) -> Result<Vec<Problem>, TrialError> {
    let mut problems = Vec::new();
    for (folder, files) in &content.expect.files {
        for (path, expected) in files {
            let at = format!("file {folder}/{path}");
            let bytes = trial.read_file(folder, path)?;
            let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            match (text, expected) {
                (None, None) => {}
                (Some(_), None) => problems.push(format!("{at}: is there, and should not be")),
                (None, Some(_)) => problems.push(format!("{at}: is not there")),
                (Some(text), Some(ExpectedText::Whole(whole))) => {
                    problems.extend(text_difference(&at, whole, &text));
                }
                (Some(text), Some(ExpectedText::Parts { includes })) => {
                    let lacking = includes.iter().filter(|part| !text.contains(part.as_str()));
                    problems.extend(lacking.map(|part| {
                        let part = brief(part);
                        format!("{at}: does not contain `{part}`")
                    }));
                }
            }
        }
    }
    let problems = problems.into_iter();
    Ok(problems.map(|it| Problem::new("files", it)).collect())
}

/// Why a case could not be tried, with every rule that it breaks.
fn refused(case: &Case, error: &TrialError) -> Failure {
    let failure = Failure::usage(format!("case `{}`: {}", case.name, chain(error)));
    let broken = match error {
        TrialError::Documents(refused) | TrialError::Approve(ApproveError::Documents(refused)) => {
            match refused {
                action::Error::Invalid { violations, .. }
                | action::Error::Catalog(catalog::Error::Invalid { violations, .. }) => violations,
                _ => return failure,
            }
        }
        TrialError::Approve(ApproveError::Review(ReviewError::Invalid(violations))) => violations,
        _ => return failure,
    };
    failure.with_details(broken.iter().map(ToString::to_string).collect())
}
