//! The catalog as documents: one consistent snapshot, streamed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::App;
use crate::action::{self, Actions};
use crate::catalog::{self, Catalog, ReadScope, blueprint_document, entity_document};
use crate::model::{Actor, BlueprintId};
use crate::store::{self, ReadTx};

/// Exports at a time. Each holds one of the few readers, and a snapshot that keeps the log of writes from being cut.
pub(super) const AT_ONCE: usize = 1;

/// How long an export waits for the one before it: long enough for one that nobody reads any more to notice that.
const WAIT: Duration = Duration::from_secs(2);

/// How long whoever reads an export may pause before it is given up.
const PAUSE: Duration = Duration::from_secs(30);

/// Bytes that are collected before they are handed on.
const PART: usize = 64 * 1024;

/// Parts that wait to be read.
const PARTS: usize = 4;

/// Entities that one statement reads.
const CHUNK: usize = 500;

/// An export that has begun: lines of JSON, in parts of whole lines.
///
/// The first line is `{"ok":true}`; each further one is a document, `{"kind":…,"value":…}`; the last is
/// `{"end":true,"documents":COUNT}`, with `"partial":true` where entities were left out. An export without that line
/// broke off.
#[derive(Debug)]
pub struct Export {
    parts: mpsc::Receiver<Part>,
}

/// Some lines. The last ones bring the permit along: whoever has read them may begin the next export at once.
#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Export {
    /// The next part; none after the last, and none after a failure, which is logged.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.parts.recv().await.map(|part| part.bytes)
    }
}

/// Why an export does not begin.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Another one is under way.
    #[error("another export is under way; try again when it is done")]
    Busy,
    /// It names a blueprint that does not exist, or the store failed.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
}

/// Why an export ends early.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("nobody reads it any more")]
    Unread,
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    #[error(transparent)]
    Action(#[from] action::Error),
}

impl From<store::Error> for Broken {
    fn from(error: store::Error) -> Self {
        Self::Catalog(error.into())
    }
}

impl App {
    /// Begins an export: blueprints, then actions, then scorecards and entities, each by identifier. With a scope, only
    /// these blueprints, their scorecards and their entities. Entities that `actor` may not see are left out, and the last
    /// line says so.
    pub async fn export(
        &self,
        actor: &Actor,
        scope: Vec<BlueprintId>,
    ) -> Result<Export, ExportError> {
        let permit = tokio::time::timeout(WAIT, self.exports.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(ExportError::Busy);
        };
        let (begun, beginning) = oneshot::channel();
        let (sender, parts) = mpsc::channel(PARTS);
        let (catalog, actions) = self.parts();
        let store = self.store.clone();
        let (actor, runtime) = (actor.clone(), Handle::current());
        tokio::spawn(async move {
            let work = move |tx: &ReadTx<'_>| {
                let blueprints = match select(&catalog, tx, &scope) {
                    Ok(blueprints) => blueprints,
                    Err(error) => {
                        drop(begun.send(Err(error)));
                        return Ok(());
                    }
                };
                drop(begun.send(Ok(())));
                let mut out = Out {
                    sender,
                    runtime,
                    bytes: Vec::with_capacity(PART),
                };
                let from = Source {
                    catalog: &catalog,
                    actions: &actions,
                    tx,
                    actor: &actor,
                };
                write(&mut out, from, &scope, &blueprints)?;
                out.flush(Some(permit))
            };
            match store.read::<(), Broken, _>(work).await {
                Ok(()) => {}
                Err(Broken::Unread) => tracing::info!("an export was given up: nobody reads it"),
                Err(error) => tracing::error!(error = %error, "an export broke off"),
            }
        });
        beginning
            .await
            .unwrap_or_else(|_| Err(store::Error::Closed.into()))?;
        Ok(Export { parts })
    }
}

fn select(
    catalog: &Catalog,
    tx: &ReadTx<'_>,
    scope: &[BlueprintId],
) -> Result<Vec<crate::model::Blueprint>, catalog::Error> {
    let mut all = catalog.list_blueprints_in(tx)?;
    for wanted in scope {
        if !all.iter().any(|blueprint| blueprint.identifier == *wanted) {
            return Err(catalog::Error::NotFound(format!("blueprint `{wanted}`")));
        }
    }
    if !scope.is_empty() {
        all.retain(|blueprint| scope.contains(&blueprint.identifier));
    }
    Ok(all)
}

/// What an export is made of, and for whom.
#[derive(Clone, Copy)]
struct Source<'a, 'tx> {
    catalog: &'a Catalog,
    actions: &'a Actions,
    tx: &'a ReadTx<'tx>,
    actor: &'a Actor,
}

fn write(
    out: &mut Out,
    from: Source<'_, '_>,
    scope: &[BlueprintId],
    blueprints: &[crate::model::Blueprint],
) -> Result<(), Broken> {
    let Source {
        catalog,
        actions,
        tx,
        actor,
    } = from;
    let mut documents = 0_u64;
    out.line(&json!({"ok": true}))?;
    for blueprint in blueprints {
        // Every portal has these; only what was made of them is worth a document.
        let untouched =
            catalog.find_structure(&blueprint.identifier).ok().as_ref() == Some(blueprint);
        if untouched && scope.is_empty() {
            continue;
        }
        out.document("blueprint", blueprint_document(blueprint.clone())?)?;
        documents += 1;
    }
    let mut partial = false;
    if scope.is_empty() {
        let (shown, are_all) = actions.list_visible_in(tx, actor)?;
        partial = !are_all;
        for action in shown {
            let document = serde_json::to_value(action.value)
                .map_err(|error| store::Error::corrupt("action", error))?;
            out.document("action", document)?;
            documents += 1;
        }
    }
    for blueprint in blueprints {
        let mut scorecards = catalog.list_scorecards_in(tx, &blueprint.identifier)?;
        scorecards.sort_by(|one, other| one.identifier.cmp(&other.identifier));
        for scorecard in scorecards {
            let document = serde_json::to_value(scorecard)
                .map_err(|error| store::Error::corrupt("scorecard", error))?;
            out.document("scorecard", document)?;
            documents += 1;
        }
    }
    for blueprint in blueprints {
        let id = &blueprint.identifier;
        let visible = catalog.find_read_scope_in(tx, actor, id)?;
        partial |= visible != ReadScope::All;
        if visible == ReadScope::Nothing {
            continue;
        }
        let mut after = None;
        loop {
            let entities = catalog.list_entities_in(tx, actor, id, after, CHUNK)?;
            let more = entities.len() == CHUNK;
            after = entities.last().map(|last| last.identifier.clone());
            for entity in entities {
                out.document("entity", entity_document(blueprint, entity))?;
                documents += 1;
            }
            if !more {
                break;
            }
        }
    }
    if partial {
        return out.line(&json!({"end": true, "documents": documents, "partial": true}));
    }
    out.line(&json!({"end": true, "documents": documents}))
}

/// Hands lines on in parts, and waits for whoever reads them, though not for ever.
struct Out {
    sender: mpsc::Sender<Part>,
    runtime: Handle,
    bytes: Vec<u8>,
}

impl Out {
    fn document(&mut self, kind: &str, value: Value) -> Result<(), Broken> {
        self.line(&json!({"kind": kind, "value": value}))
    }

    fn line(&mut self, line: &Value) -> Result<(), Broken> {
        serde_json::to_writer(&mut self.bytes, line)
            .map_err(|error| store::Error::corrupt("document", error))?;
        self.bytes.push(b'\n');
        if self.bytes.len() >= PART {
            self.flush(None)?;
        }
        Ok(())
    }

    fn flush(&mut self, permit: Option<OwnedSemaphorePermit>) -> Result<(), Broken> {
        let part = Part {
            bytes: std::mem::replace(&mut self.bytes, Vec::with_capacity(PART)),
            _permit: permit,
        };
        // Within the runtime: a timer is made where it is waited for.
        let sent = async { tokio::time::timeout(PAUSE, self.sender.send(part)).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Broken::Unread),
        }
    }
}
