//! Saying no: a typed answer for the guest, an audit row for the reviewer, a sentence that names the missing line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::bindings::types::Denial;
use super::instance::Caller;
use super::secret::Redactor;
use crate::model::{Actor, AuditEntry, Origin, PluginName, Verb};
use crate::store::{self, Store};

/// Denials of one call that get an audit row each. More lines than this is a probe, which the first ones show.
const AUDITED: usize = 50;

/// Characters of a missing line that are kept and told.
const LONGEST: usize = 500;

/// The denials of one call.
pub(super) struct Denials {
    caller: Caller,
    /// `None`: there is nowhere to write to, and nothing to deny that matters.
    store: Option<Store>,
    /// A guest chooses a part of what is told.
    redactor: Arc<Redactor>,
    counts: Mutex<Counts>,
}

/// Why something is refused that a granted line allows, in a sentence: no other line would help.
#[derive(Clone, Copy, Debug)]
pub(super) enum Beyond<'a> {
    /// The person who asked for the run may not do it.
    Person(&'a str),
    /// It is beyond a bound that holds for everybody.
    Bound(&'a str),
}

#[derive(Default)]
struct Counts {
    /// By line, and by whether it is missing: one that was granted may be of no use.
    audited: BTreeMap<(String, bool), u64>,
    /// Denials of further lines.
    others: u64,
}

impl Denials {
    pub(super) fn new(caller: Caller, store: Option<Store>, redactor: Arc<Redactor>) -> Self {
        Self {
            caller,
            store,
            redactor,
            counts: Mutex::default(),
        }
    }

    /// Records a denial and words it. `table` is where the line would stand in `plugin.toml`.
    ///
    /// What the guest is told has its own words as it said them: were a secret taken out of them, it could find one out
    /// by guessing.
    pub(super) async fn deny(&self, missing: String, table: &str) -> Denial {
        self.audit(&missing).await;
        let missing = shortened(&missing);
        let message = not_granted(&self.caller.plugin, &missing, table);
        Denial { missing, message }
    }

    /// Records that something was refused which no line allows, in words of its own.
    pub(super) async fn prohibit(&self, missing: String, message: String) -> Denial {
        self.audit(&missing).await;
        Denial { missing, message }
    }

    /// What was denied so far, sorted.
    pub(super) fn missing(&self) -> Vec<String> {
        let counts = self.lock();
        let lines = counts.audited.keys().map(|(line, _)| line.clone());
        // Sorted already: the two of one line stand beside each other.
        let mut lines: Vec<String> = lines.collect();
        lines.dedup();
        lines
    }

    /// How often each line was missing, apart from those that were granted and of no use: to ask for them is no help. The
    /// empty one stands for those that got no audit row.
    pub(super) fn counts(&self) -> Vec<(String, u64)> {
        let counts = self.lock();
        let others = (counts.others > 0).then(|| (String::new(), counts.others));
        let audited = counts.audited.iter();
        let missing = audited.filter(|((_, is_missing), _)| *is_missing);
        let missing = missing.map(|((line, _), count)| (line.clone(), *count));
        missing.chain(others).collect()
    }

    /// How often anything was denied.
    pub(super) fn total(&self) -> u64 {
        let counts = self.lock();
        counts.audited.values().sum::<u64>() + counts.others
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes that something was asked for which was not granted; once for each line, so that a loop of denied calls
    /// does not become a loop of commits.
    pub(super) async fn audit(&self, missing: &str) {
        self.record(missing, None).await;
    }

    /// Writes that something was refused although `line` was granted, and why; once for each line.
    pub(super) async fn audit_beyond(&self, line: &str, beyond: Beyond<'_>) {
        self.record(line, Some(beyond)).await;
    }

    async fn record(&self, line: &str, beyond: Option<Beyond<'_>>) {
        let Some(store) = &self.store else { return };
        let missing = &*shortened(&self.redactor.clean(line));
        {
            let mut counts = self.lock();
            let key = (missing.to_owned(), beyond.is_none());
            if let Some(count) = counts.audited.get_mut(&key) {
                *count += 1;
                return;
            }
            if counts.audited.len() >= AUDITED {
                counts.others += u64::from(beyond.is_none());
                return;
            }
            counts.audited.insert(key, 1);
        }
        let caller = &self.caller;
        let actor = Actor {
            origin: Origin::Plugin,
            run: Some(caller.run.clone()),
            ..caller.actor.clone()
        };
        let identifier = caller.plugin.to_string();
        let mut decision = json!({ "missing": missing, "digest": caller.digest });
        if let (Some(beyond), Some(told)) = (beyond, decision.as_object_mut()) {
            let (person, reason) = match beyond {
                Beyond::Person(reason) => (Some(caller.actor.name.as_str()), reason),
                Beyond::Bound(reason) => (None, reason),
            };
            told.extend(person.map(|person| ("person".to_owned(), json!(person))));
            told.insert("reason".to_owned(), json!(self.redactor.clean(reason)));
        }
        let written: Result<(), store::Error> = store
            .write(move |tx| {
                tx.insert_audit(&AuditEntry {
                    actor: &actor,
                    verb: Verb::Deny,
                    resource: "plugin",
                    identifier,
                    before: None,
                    after: Some(decision),
                })
            })
            .await;
        if let Err(error) = written {
            tracing::error!(%error, plugin = %caller.plugin, run = %caller.run, missing, "a denial could not be audited");
        }
    }
}

/// As much of a line as is kept: a guest chooses names in it, of any length.
fn shortened(missing: &str) -> String {
    match missing.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", missing.get(..end).unwrap_or_default()),
        None => missing.to_owned(),
    }
}

/// The sentence of every denial.
pub(super) fn not_granted(plugin: &PluginName, missing: &str, table: &str) -> String {
    format!(
        "plugin `{plugin}` was not granted `{missing}`; declare it under `{table}` in plugin.toml and have the new version approved"
    )
}
