//! Recorded pieces of a run: part of the baseline, every guest may take steps.

use super::kept;
use crate::model::{Digest, LogLevel};
use crate::plugin::bindings::steps;
use crate::plugin::instance::Guest;
use crate::plugin::limits::Stop;
use crate::plugin::{BeginStep, Begun, Slept, StepRefusal, json};

/// Where a secret may not be written, in refusals.
const PLACE: &str = "the run's journal";

/// Length of what a guest says of a step that failed.
const MESSAGE_CHARS: usize = 1_000;

type Answer<T> = Result<T, steps::Error>;

impl Guest {
    /// Refuses a text that holds a secret, and JSON that does so behind its escapes.
    async fn refuse_in_journal(
        &mut self,
        name: &str,
        value: Option<&serde_json::Value>,
    ) -> Answer<()> {
        let redactor = self.book.redactor();
        let found = redactor
            .find(name.as_bytes())
            .or_else(|| value.and_then(|value| kept::find_in(redactor, value)));
        match self.refuse_secret(PLACE, found).await {
            Some(denial) => Err(steps::Error::Denied(denial)),
            None => Ok(()),
        }
    }
}

impl steps::Host for Guest {
    async fn begin(
        &mut self,
        name: String,
        input: Option<String>,
        idempotent: bool,
    ) -> wasmtime::Result<Answer<steps::Begun>> {
        self.spend_call()?;
        let input = match input.as_deref().map(json::parse).transpose() {
            Ok(input) => input,
            Err(error) => return Ok(Err(no_json("input", &error))),
        };
        if let Err(refusal) = self.refuse_in_journal(&name, input.as_ref()).await {
            return Ok(Err(refusal));
        }
        // As it was read: white space makes no other input.
        let input = input.map_or_else(String::new, |input| input.to_string());
        let step = BeginStep {
            name,
            input: Digest::of(input.as_bytes()),
            idempotent,
            start_first: self.pages.starts_first(idempotent),
        };
        let journal = match self.pages.journal() {
            Ok(journal) => journal,
            Err(why) => return refused(why),
        };
        match journal.begin(step).await {
            Ok(Begun::Run(key)) => Ok(Ok(steps::Begun::Run(key))),
            Ok(Begun::Recorded(result)) => Ok(Ok(steps::Begun::Recorded(result))),
            Err(why) => refused(why),
        }
    }

    async fn finish(&mut self, result: String) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        let value = match json::parse(&result) {
            Ok(value) => value,
            Err(error) => {
                self.pages.in_doubt().await;
                return Ok(Err(no_json("result", &error)));
            }
        };
        if let Err(refusal) = self.refuse_in_journal("", Some(&value)).await {
            self.pages.in_doubt().await;
            return Ok(Err(refusal));
        }
        let journal = match self.pages.journal() {
            Ok(journal) => journal,
            Err(why) => return refused(why),
        };
        match journal.finish(result).await {
            Ok(()) => Ok(Ok(())),
            Err(why) => refused(why),
        }
    }

    async fn fail(&mut self, code: String, message: String) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        let journal = match self.pages.journal() {
            Ok(journal) => journal,
            Err(why) => return refused(why),
        };
        match journal.fail().await {
            Ok(name) => {
                let said: String = format!("step `{name}` failed: {code}: {message}");
                let said: String = said.chars().take(MESSAGE_CHARS).collect();
                self.book.write(LogLevel::Warn, &said);
                Ok(Ok(()))
            }
            Err(why) => refused(why),
        }
    }

    async fn sleep(&mut self, name: String, millis: u64) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        if let Err(refusal) = self.refuse_in_journal(&name, None).await {
            return Ok(Err(refusal));
        }
        let journal = match self.pages.journal() {
            Ok(journal) => journal,
            Err(why) => return refused(why),
        };
        match journal.sleep(name, millis).await {
            Ok(Slept::Passed) => Ok(Ok(())),
            Ok(Slept::Until(until)) => Err(Stop::Sleeping(until).into()),
            Err(why) => refused(why),
        }
    }
}

/// What a guest is told. A step that is not the recorded one it is not told of, but ended: it may do nothing more.
fn refused<T>(why: StepRefusal) -> wasmtime::Result<Answer<T>> {
    Ok(Err(match why {
        StepRefusal::Mismatch(text) => return Err(Stop::StepMismatch(text).into()),
        StepRefusal::Nested(text) => steps::Error::Nested(text),
        StepRefusal::NoneOpen => steps::Error::NoneOpen,
        StepRefusal::Invalid(text) => steps::Error::Invalid(text),
        StepRefusal::TooMany(text) => steps::Error::TooMany(text),
        StepRefusal::TooLarge(text) => steps::Error::TooLarge(text),
        StepRefusal::Unrepeatable(text) => steps::Error::Unrepeatable(text),
        StepRefusal::Unavailable => {
            steps::Error::Unavailable("the run's journal cannot be written now".to_owned())
        }
    }))
}

fn no_json(what: &str, error: &serde_json::Error) -> steps::Error {
    steps::Error::Invalid(format!("the {what} of the step is not JSON: {error}"))
}
