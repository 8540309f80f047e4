//! The journal of a run: what has finished is on disk and comes back, what must not be done twice is on disk before it
//! begins.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use crate::model::{Digest, Run, RunId, RunStep, StepKind, StepState, Timestamp};
use crate::plugin::{BeginStep, Begun, Journal, Slept, StepRefusal};
use crate::store::{self, Store};

/// The limits that `steps.wit` promises.
const STEPS: u32 = 1_000;
const NAME_CHARS: usize = 100;
const RESULT_BYTES: usize = 64 << 10;
const ALL_RESULTS_BYTES: usize = 4 << 20;
const LONGEST_SLEEP_MILLIS: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;

/// How long the end of a step waits for the start of the next one, to be written together with it.
const TOGETHER: Duration = Duration::from_millis(2);

/// What is done outside of steps, in lists of them.
const OUTSIDE: &str = "outside of steps";

/// The journal of one attempt of a run.
#[derive(Clone, Debug)]
pub struct RunJournal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    run: RunId,
    attempt: u32,
    disk: Option<Disk>,
    /// Held while it is written, so that what is written is written in order.
    book: Mutex<Book>,
}

/// Where it is written, and by what right.
#[derive(Debug)]
struct Disk {
    store: Store,
    token: u64,
}

#[derive(Debug, Default)]
struct Book {
    /// What earlier attempts have left and this one has not come to yet.
    recorded: VecDeque<RunStep>,
    /// Of the step that was begun last.
    number: u32,
    /// Of all results.
    bytes: usize,
    open: Option<RunStep>,
    /// Whether nobody knows what the open step has done.
    is_in_doubt: bool,
    /// What this attempt did outside of steps, if anything.
    effect: Option<RunStep>,
    /// What is not on disk yet.
    unwritten: Vec<RunStep>,
    /// Whether a task will write it.
    is_awaited: bool,
}

impl RunJournal {
    /// Of an attempt.
    pub(super) fn new(store: Store, run: &Run, token: u64) -> Self {
        Self::build(run.id.clone(), run.attempts, Some(Disk { store, token }))
    }

    /// Of a run that nobody will carry out again: nothing is written, and sleeps are over at once.
    pub fn in_memory(run: RunId) -> Self {
        Self::build(run, 1, None)
    }

    fn build(run: RunId, attempt: u32, disk: Option<Disk>) -> Self {
        let inner = Inner {
            run,
            attempt,
            disk,
            book: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Reads what earlier attempts have left. The first one has none.
    pub(super) async fn open(&self) -> Result<(), store::Error> {
        let Some(disk) = self.inner.disk.as_ref().filter(|_| self.inner.attempt > 1) else {
            return Ok(());
        };
        let run = self.inner.run.clone();
        let steps = disk.store.read(move |tx| tx.list_steps(&run)).await?;
        let mut book = self.inner.book.lock().await;
        book.bytes = steps.iter().map(result_bytes).sum();
        let named = |step: &RunStep| matches!(step.kind, StepKind::Step | StepKind::Sleep);
        book.recorded = steps.into_iter().filter(named).collect();
        Ok(())
    }

    /// Writes what is left to be written, once the guest is gone. `did_all`: it did what was asked.
    pub(super) async fn settle(&self, did_all: bool) -> Result<(), store::Error> {
        let mut book = self.inner.book.lock().await;
        if did_all && let Some(effect) = book.effect.take() {
            book.unwritten.push(RunStep {
                state: StepState::Finished,
                ended_at: Some(Timestamp::now()),
                ..effect
            });
        }
        // Where a newer attempt has the run, or none any more, nothing of it counts.
        self.inner.write(&mut book, None).await.map(drop)
    }
}

impl Inner {
    /// Writes what is not on disk yet, and one step with it. `false` where this attempt does not have the run any more.
    async fn write(&self, book: &mut Book, with: Option<&RunStep>) -> Result<bool, store::Error> {
        let Some(disk) = &self.disk else {
            book.unwritten.clear();
            return Ok(true);
        };
        let mut steps = book.unwritten.clone();
        steps.extend(with.cloned());
        if steps.is_empty() {
            return Ok(true);
        }
        let (run, token) = (self.run.clone(), disk.token);
        let write = disk
            .store
            .write(move |tx| tx.upsert_steps(&run, token, &steps));
        let written = write.await?;
        book.unwritten.clear();
        Ok(written)
    }

    /// As [`Self::write`], for a guest that waits for it.
    async fn put(&self, book: &mut Book, with: Option<&RunStep>) -> Result<(), StepRefusal> {
        match self.write(book, with).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(StepRefusal::Unavailable),
            Err(error) => {
                tracing::error!(run.id = %self.run, error = &error as &dyn std::error::Error, "a run's journal cannot be written");
                Err(StepRefusal::Unavailable)
            }
        }
    }

    /// Keeps a step that has ended, for the next write, or a short while later.
    fn keep(self: &Arc<Self>, book: &mut Book, step: RunStep) {
        book.unwritten.push(step);
        if std::mem::replace(&mut book.is_awaited, true) || self.disk.is_none() {
            return;
        }
        let inner = Arc::clone(self);
        drop(tokio::spawn(async move {
            tokio::time::sleep(TOGETHER).await;
            let mut book = inner.book.lock().await;
            book.is_awaited = false;
            // What could not be written is kept, and its failure told to whoever waits for it.
            drop(inner.put(&mut book, None).await);
        }));
    }

    fn step(&self, kind: StepKind, number: u32, name: String, input: Digest) -> RunStep {
        RunStep {
            kind,
            number,
            name,
            input,
            state: StepState::Started,
            idempotent: false,
            result: None,
            attempt: self.attempt,
            started_at: Timestamp::now(),
            ended_at: None,
        }
    }

    async fn begin(&self, wanted: BeginStep) -> Result<Begun, StepRefusal> {
        let mut book = self.book.lock().await;
        let number = book.next(&wanted.name)?;
        let known = book.recorded(StepKind::Step, &wanted.name, wanted.input)?;
        if let Some((StepState::Finished, result)) = known {
            book.recorded.pop_front();
            book.number = number;
            return Ok(Begun::Recorded(result.unwrap_or_else(|| "null".to_owned())));
        }
        let step = RunStep {
            idempotent: wanted.idempotent,
            ..self.step(StepKind::Step, number, wanted.name, wanted.input)
        };
        // Whatever ended before is on disk before anything begins.
        self.put(&mut book, wanted.start_first.then_some(&step))
            .await?;
        book.recorded.pop_front();
        book.number = number;
        book.open = Some(step);
        book.is_in_doubt = false;
        Ok(Begun::Run(format!("{}.{number}", self.run)))
    }

    async fn finish(self: &Arc<Self>, result: String) -> Result<(), StepRefusal> {
        let mut book = self.book.lock().await;
        if book.open.is_none() {
            return Err(StepRefusal::NoneOpen);
        }
        let bytes = result.len();
        if bytes > RESULT_BYTES {
            book.is_in_doubt = true;
            return Err(StepRefusal::TooLarge(format!(
                "the result of the step has {bytes} bytes; at most {RESULT_BYTES} are kept"
            )));
        }
        let all = book.bytes.saturating_add(bytes);
        if all > ALL_RESULTS_BYTES {
            book.is_in_doubt = true;
            return Err(StepRefusal::TooLarge(format!(
                "the results of all steps have {all} bytes together; at most {ALL_RESULTS_BYTES} are kept"
            )));
        }
        book.bytes = all;
        if let Some(step) = book.open.take() {
            let finished = RunStep {
                state: StepState::Finished,
                result: Some(result),
                ended_at: Some(Timestamp::now()),
                ..step
            };
            self.keep(&mut book, finished);
        }
        Ok(())
    }

    async fn fail(self: &Arc<Self>) -> Result<String, StepRefusal> {
        let mut book = self.book.lock().await;
        let step = book.open.take().ok_or(StepRefusal::NoneOpen)?;
        let name = step.name.clone();
        if book.is_in_doubt && !step.idempotent {
            // It stays on disk as one that was begun, where that had to be there first.
            return Ok(name);
        }
        let failed = RunStep {
            state: StepState::Failed,
            ended_at: Some(Timestamp::now()),
            ..step
        };
        self.keep(&mut book, failed);
        Ok(name)
    }

    async fn in_doubt(&self) {
        self.book.lock().await.is_in_doubt = true;
    }

    async fn sleep(self: &Arc<Self>, name: String, millis: u64) -> Result<Slept, StepRefusal> {
        let mut book = self.book.lock().await;
        let number = book.next(&name)?;
        if millis > LONGEST_SLEEP_MILLIS {
            return Err(StepRefusal::Invalid(format!(
                "`{name}` would sleep for more than ten years"
            )));
        }
        // By its name alone: how long it is to "tomorrow" is another number each time, and the first one counts.
        let input = Digest::of(b"");
        let known = book.recorded(StepKind::Sleep, &name, input)?;
        if let Some((StepState::Finished, _)) = known {
            book.recorded.pop_front();
            book.number = number;
            return Ok(Slept::Passed);
        }
        let mut step = RunStep {
            // To wait once more does no harm.
            idempotent: true,
            ..self.step(StepKind::Sleep, number, name, input)
        };
        let recorded = known.and_then(|(_, due)| due?.parse().ok());
        let later = i64::try_from(millis).unwrap_or(i64::MAX);
        let due = recorded.unwrap_or(step.started_at.0.saturating_add(later));
        step.result = Some(due.to_string());
        if step.started_at.0 >= due || self.disk.is_none() {
            let over = RunStep {
                state: StepState::Finished,
                ended_at: Some(step.started_at),
                ..step
            };
            book.recorded.pop_front();
            book.number = number;
            self.keep(&mut book, over);
            return Ok(Slept::Passed);
        }
        if book.effect.is_some() {
            return Err(StepRefusal::Unrepeatable(format!(
                "what this attempt did outside of steps would be done again after `{}`, and must not be; do it in a step",
                step.name
            )));
        }
        self.put(&mut book, Some(&step)).await?;
        Ok(Slept::Until(Timestamp(due)))
    }

    async fn effect(&self) -> Result<(), StepRefusal> {
        let mut book = self.book.lock().await;
        // A step covers what is done in it; and what is done outside is written down once for the attempt.
        if book.open.is_some() || book.effect.is_some() {
            return Ok(());
        }
        let input = Digest::of(b"");
        let step = self.step(StepKind::Effect, self.attempt, OUTSIDE.to_owned(), input);
        self.put(&mut book, Some(&step)).await?;
        book.effect = Some(step);
        Ok(())
    }
}

impl Book {
    /// The number of the next step, where one may begin.
    fn next(&self, name: &str) -> Result<u32, StepRefusal> {
        if let Some(open) = &self.open {
            return Err(StepRefusal::Nested(open.name.clone()));
        }
        let chars = name.chars().count();
        if !(1..=NAME_CHARS).contains(&chars) || name.chars().any(char::is_control) {
            return Err(StepRefusal::Invalid(format!(
                "the name of a step has 1 to {NAME_CHARS} characters and no control characters"
            )));
        }
        if self.number >= STEPS {
            return Err(StepRefusal::TooMany(format!(
                "a run has at most {STEPS} steps"
            )));
        }
        Ok(self.number + 1)
    }

    /// What an earlier attempt left of the next step, where that is the same one.
    fn recorded(
        &self,
        kind: StepKind,
        name: &str,
        input: Digest,
    ) -> Result<Option<(StepState, Option<String>)>, StepRefusal> {
        let Some(known) = self.recorded.front() else {
            return Ok(None);
        };
        if known.kind == kind && known.name == name && known.input == input {
            return Ok(Some((known.state, known.result.clone())));
        }
        let differs = if known.name == name {
            "with another input, or in another way".to_owned()
        } else {
            format!("and now it is `{name}`")
        };
        Err(StepRefusal::Mismatch(format!(
            "step {} of the run was `{}` in an earlier attempt, {differs}; a plugin has to take the same steps each time",
            known.number, known.name
        )))
    }
}

fn result_bytes(step: &RunStep) -> usize {
    step.result.as_ref().map_or(0, String::len)
}

impl Journal for RunJournal {
    fn begin(&self, step: BeginStep) -> BoxFuture<'_, Result<Begun, StepRefusal>> {
        Box::pin(self.inner.begin(step))
    }

    fn finish(&self, result: String) -> BoxFuture<'_, Result<(), StepRefusal>> {
        Box::pin(self.inner.finish(result))
    }

    fn fail(&self) -> BoxFuture<'_, Result<String, StepRefusal>> {
        Box::pin(self.inner.fail())
    }

    fn in_doubt(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.inner.in_doubt())
    }

    fn sleep(&self, name: String, millis: u64) -> BoxFuture<'_, Result<Slept, StepRefusal>> {
        Box::pin(self.inner.sleep(name, millis))
    }

    fn effect(&self) -> BoxFuture<'_, Result<(), StepRefusal>> {
        Box::pin(self.inner.effect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, input: &[u8]) -> BeginStep {
        BeginStep {
            name: name.to_owned(),
            input: Digest::of(input),
            idempotent: false,
            start_first: true,
        }
    }

    /// A journal in which an earlier attempt left one step.
    async fn journal(state: StepState) -> RunJournal {
        let journal = RunJournal::in_memory(RunId::parse("r_1").unwrap());
        let inner = &journal.inner;
        let left = RunStep {
            state,
            result: (state == StepState::Finished).then(|| "7".to_owned()),
            ..inner.step(StepKind::Step, 1, "a".to_owned(), Digest::of(b"x"))
        };
        inner.book.lock().await.recorded.push_back(left);
        journal
    }

    #[tokio::test]
    async fn what_has_finished_comes_back_and_what_has_not_is_done_again_under_its_key() {
        let finished = journal(StepState::Finished).await;
        let begun = finished.begin(wanted("a", b"x")).await;
        assert_eq!(begun, Ok(Begun::Recorded("7".to_owned())));
        let next = finished.begin(wanted("b", b"")).await;
        assert_eq!(next, Ok(Begun::Run("r_1.2".to_owned())));
        for state in [StepState::Started, StepState::Failed] {
            let again = journal(state).await;
            let begun = again.begin(wanted("a", b"x")).await;
            assert_eq!(begun, Ok(Begun::Run("r_1.1".to_owned())));
            again.finish("8".to_owned()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn another_name_another_input_and_another_kind_are_another_step() {
        let journal = journal(StepState::Finished).await;
        let is_mismatch = |refusal| matches!(refusal, StepRefusal::Mismatch(_));
        for step in [wanted("b", b"x"), wanted("a", b"y")] {
            assert!(journal.begin(step).await.is_err_and(is_mismatch));
        }
        let slept = journal.sleep("a".to_owned(), 1).await;
        assert!(slept.is_err_and(is_mismatch));
    }

    #[tokio::test]
    async fn nothing_begins_or_ends_inside_of_what_is_open() {
        let journal = RunJournal::in_memory(RunId::parse("r_1").unwrap());
        let ended = journal.finish("1".to_owned()).await;
        assert_eq!(ended, Err(StepRefusal::NoneOpen));
        journal.begin(wanted("a", b"")).await.unwrap();
        let nested = Err(StepRefusal::Nested("a".to_owned()));
        assert_eq!(journal.begin(wanted("b", b"")).await, nested);
        let large = journal.finish("x".repeat(RESULT_BYTES + 1)).await;
        assert!(matches!(large, Err(StepRefusal::TooLarge(_))));
        assert_eq!(journal.fail().await, Ok("a".to_owned()));
    }
}
