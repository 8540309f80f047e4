//! Starting other actions, each granted by a line of its own, on behalf of whoever asked for this run.

use super::{kept, plain};
use crate::model::{ActionId, EntityId, RunId, RunOrigin, RunStatus, Violation};
use crate::plugin::bindings::actions;
use crate::plugin::denial::Beyond;
use crate::plugin::instance::Guest;
use crate::plugin::{NotStarted, StartRun, json};

const TABLE: &str = "[[capabilities.run-action]]";

type Answer<T> = Result<T, actions::Error>;

impl actions::Host for Guest {
    async fn start(
        &mut self,
        action: String,
        properties: String,
        entity: Option<String>,
    ) -> wasmtime::Result<Answer<String>> {
        self.spend_call()?;
        let Some((granted, action)) = self.power.startable(&action) else {
            let missing = match ActionId::parse(action) {
                Ok(action) => format!("run-action {action}"),
                Err(_) => "run-action ACTION".to_owned(),
            };
            let denial = self.deny(missing, TABLE).await;
            return Ok(Err(actions::Error::Denied(denial)));
        };
        let mut violations = Vec::new();
        let properties = json::parse_object(&properties).map_err(|error| {
            let message = format!("the properties are not a JSON object: {error}");
            violations.push(Violation::new("/properties", "json", message));
        });
        let entity = entity.map(EntityId::parse).transpose().map_err(|error| {
            violations.push(Violation::new("/entity", "identifier", error.to_string()));
        });
        let (Ok(properties), Ok(entity)) = (properties, entity) else {
            return Ok(Err(actions::Error::Invalid(plain(violations))));
        };
        // The run is a row of its own, with a log of its own, and knows no secrets of this one.
        let held = kept::find_in_members(self.book.redactor(), &properties);
        let place = format!("the inputs of a run of `{action}`");
        if let Some(denial) = self.refuse_secret(&place, held).await {
            return Ok(Err(actions::Error::Denied(denial)));
        }
        let Some(starter) = self.runs.clone() else {
            return Ok(Err(unavailable()));
        };
        if self.pages.effect().await.is_err() {
            return Ok(Err(unavailable()));
        }
        let line = format!("run-action {action}");
        let origin = RunOrigin {
            parent: self.caller.run.clone(),
            plugin: self.caller.plugin.clone(),
            digest: self.caller.digest,
        };
        let wanted = StartRun {
            action,
            properties,
            entity,
            origin,
        };
        let refused = match starter.start(wanted).await {
            Ok(run) => {
                self.tally.line(granted);
                return Ok(Ok(run.to_string()));
            }
            Err(refused) => refused,
        };
        Ok(Err(match refused {
            NotStarted::Forbidden(message) => {
                self.audit_beyond(&line, Beyond::Person(&message)).await;
                actions::Error::Forbidden(message)
            }
            NotStarted::Refused(message) => {
                self.audit_beyond(&line, Beyond::Bound(&message)).await;
                actions::Error::Refused(message)
            }
            NotStarted::NotFound(what) => actions::Error::NotFound(what),
            NotStarted::Invalid(violations) => actions::Error::Invalid(plain(violations)),
            NotStarted::Unavailable => unavailable(),
        }))
    }

    async fn status(&mut self, run_id: String) -> wasmtime::Result<Answer<actions::RunStatus>> {
        self.spend_call()?;
        // Started by the run, not by the call: who slept asks in another call than the one that started it.
        let status = match (RunId::parse(run_id).ok(), self.runs.clone()) {
            (Some(run), Some(starter)) => starter.status(run).await,
            _ => None,
        };
        Ok(status.map(shown).ok_or_else(|| {
            let message = "a run that this run started and that has this identifier".to_owned();
            actions::Error::NotFound(message)
        }))
    }
}

fn shown(status: RunStatus) -> actions::RunStatus {
    match status {
        RunStatus::InProgress => actions::RunStatus::InProgress,
        RunStatus::Success => actions::RunStatus::Succeeded,
        RunStatus::Failure => actions::RunStatus::Failed,
        RunStatus::WaitingForApproval => actions::RunStatus::WaitingForApproval,
        RunStatus::Declined => actions::RunStatus::Declined,
    }
}

fn unavailable() -> actions::Error {
    actions::Error::Unavailable("the portal cannot start runs now".to_owned())
}
