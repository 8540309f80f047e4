//! Whose documents are whose, and what becomes of an object whose document is gone.

use std::collections::HashSet;

use super::App;
use super::apply::Documents;
use crate::action::{self, Actions};
use crate::catalog::{Applied, Catalog, MAX_DOCUMENTS, TakenOver};
use crate::model::{ActionId, Actor, BlueprintId, EntityId, SourceName};
use crate::store::{Owned, SourceKey, WriteTx};

/// How much of a source's objects one apply may delete where nothing else is said, in percent.
const LIMIT: u8 = 50;

/// That what a source has no document for any more is to be deleted.
#[derive(Clone, Debug)]
pub struct Prune {
    /// Most that may be deleted, in percent of what the source had. More than that is refused: an empty folder and a
    /// wrong path look just like a catalog that was given up.
    pub limit: u8,
    /// What was shown to whoever agreed to it; where anything else would be deleted, all is refused.
    pub expected: Option<Vec<String>>,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            limit: LIMIT,
            expected: None,
        }
    }
}

/// The identifiers of the documents of one apply, which is all that is left of them once they are in place.
#[derive(Debug, Default)]
pub(super) struct Named {
    blueprints: Vec<BlueprintId>,
    entities: Vec<(BlueprintId, EntityId)>,
    actions: Vec<ActionId>,
    scorecards: Vec<(BlueprintId, String)>,
}

impl Named {
    pub(super) fn read(documents: &Documents) -> Self {
        let entities = documents
            .entities
            .iter()
            .map(|placed| &placed.value)
            .filter_map(|(blueprint, draft)| Some((blueprint.clone(), draft.identifier.clone()?)));
        Self {
            blueprints: documents
                .blueprints
                .iter()
                .map(|blueprint| blueprint.value.identifier.clone())
                .collect(),
            entities: entities.collect(),
            actions: documents
                .actions
                .iter()
                .map(|action| action.value.identifier.clone())
                .collect(),
            scorecards: documents
                .scorecards
                .iter()
                .map(|placed| &placed.value)
                .map(|card| (card.blueprint.clone(), card.identifier.clone()))
                .collect(),
        }
    }
}

/// What is settled after the documents are in place, in their transaction.
pub(super) struct Settlement<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) actions: &'a Actions,
    pub(super) actor: &'a Actor,
    pub(super) source: &'a SourceName,
    pub(super) prune: Option<&'a Prune>,
}

impl Settlement<'_> {
    /// Gives the documents to their source, and deletes what it has none for any more where that is asked for.
    pub(super) fn settle(
        &self,
        tx: &WriteTx<'_>,
        named: &Named,
        applied: &mut Applied,
    ) -> Result<(), action::Error> {
        let source = tx.ensure_source(self.source)?;
        let owned = self.prune.is_some().then(|| tx.list_owned(source));
        let owned = owned.transpose()?.unwrap_or_default();
        self.claim(tx, source, named, applied)?;
        let Some(prune) = self.prune else {
            return Ok(());
        };
        let before = owned.count();
        let doomed = without(owned, named);
        applied.deleted = labels(&doomed);
        self.guard(prune, before, &applied.deleted)?;
        for action in &doomed.actions {
            self.actions.delete_in(tx, self.actor, action)?;
        }
        self.catalog
            .prune_scorecards_in(tx, self.actor, &doomed.scorecards)?;
        self.catalog
            .prune_in(tx, self.actor, &doomed.blueprints, &doomed.entities)?;
        Ok(())
    }

    fn claim(
        &self,
        tx: &WriteTx<'_>,
        source: SourceKey,
        named: &Named,
        applied: &mut Applied,
    ) -> Result<(), action::Error> {
        let mut note = |document: String, from: Option<String>| {
            applied
                .taken_over
                .extend(from.map(|from| TakenOver { document, from }));
        };
        for id in &named.blueprints {
            if let Some(row) = tx.find_blueprint(id)? {
                note(blueprint_label(id), tx.claim_blueprint(source, row.key)?);
            }
        }
        let mut last = None;
        for (blueprint, id) in &named.entities {
            let row = match last.take() {
                Some((known, row)) if known == blueprint => row,
                _ => tx.find_blueprint(blueprint)?.map(|row| row.key),
            };
            last = Some((blueprint, row));
            let Some(row) = row else { continue };
            if let Some(key) = tx.find_entity_key(row, id)? {
                note(entity_label(blueprint, id), tx.claim_entity(source, key)?);
            }
        }
        for id in &named.actions {
            note(action_label(id), tx.claim_action(source, id)?);
        }
        for (blueprint, identifier) in &named.scorecards {
            let row = tx.find_blueprint(blueprint)?;
            let key = row
                .map(|row| tx.find_scorecard(row.key, identifier))
                .transpose()?;
            if let Some(card) = key.flatten() {
                let label = scorecard_label(blueprint, identifier);
                note(label, tx.claim_scorecard(source, card.key)?);
            }
        }
        Ok(())
    }

    fn guard(&self, prune: &Prune, before: usize, doomed: &[String]) -> Result<(), action::Error> {
        let conflict = |code, message| Err(action::Error::Conflict { code, message });
        if doomed.len() > MAX_DOCUMENTS {
            return conflict(
                "prune_guard",
                format!(
                    "{} objects of source `{}` have no document any more; at most {MAX_DOCUMENTS} are deleted at once",
                    doomed.len(),
                    self.source
                ),
            );
        }
        if doomed.len() * 100 > before * usize::from(prune.limit) {
            return conflict(
                "prune_guard",
                format!(
                    "{} of the {before} objects of source `{}` would be deleted, more than {} %; if that is meant, raise the limit of the prune",
                    doomed.len(),
                    self.source,
                    prune.limit
                ),
            );
        }
        match &prune.expected {
            Some(expected) if expected != doomed => conflict(
                "changed",
                format!(
                    "the catalog changed meanwhile: {} objects of source `{}` would be deleted now, not the {} that were shown; look again",
                    doomed.len(),
                    self.source,
                    expected.len()
                ),
            ),
            _ => Ok(()),
        }
    }
}

impl App {
    /// The catalog and the actions, for what needs both within one transaction.
    pub(super) fn parts(&self) -> (Catalog, Actions) {
        (self.catalog.clone(), self.actions.clone())
    }
}

fn without(mut owned: Owned, named: &Named) -> Owned {
    let blueprints: HashSet<&BlueprintId> = named.blueprints.iter().collect();
    owned.blueprints.retain(|id| !blueprints.contains(id));
    let entities: HashSet<&(BlueprintId, EntityId)> = named.entities.iter().collect();
    owned.entities.retain(|id| !entities.contains(id));
    let actions: HashSet<&ActionId> = named.actions.iter().collect();
    owned.actions.retain(|id| !actions.contains(id));
    let scorecards: HashSet<&(BlueprintId, String)> = named.scorecards.iter().collect();
    owned.scorecards.retain(|id| !scorecards.contains(id));
    owned
}

fn labels(doomed: &Owned) -> Vec<String> {
    let actions = doomed.actions.iter().map(action_label);
    let entities = doomed
        .entities
        .iter()
        .map(|(blueprint, id)| entity_label(blueprint, id));
    let scorecards = doomed
        .scorecards
        .iter()
        .map(|(blueprint, id)| scorecard_label(blueprint, id));
    let blueprints = doomed.blueprints.iter().map(blueprint_label);
    actions
        .chain(scorecards)
        .chain(entities)
        .chain(blueprints)
        .collect()
}

fn blueprint_label(id: &BlueprintId) -> String {
    format!("blueprint {id}")
}

fn entity_label(blueprint: &BlueprintId, id: &EntityId) -> String {
    format!("entity {blueprint}/{id}")
}

fn scorecard_label(blueprint: &BlueprintId, id: &str) -> String {
    format!("scorecard {blueprint}/{id}")
}

fn action_label(id: &ActionId) -> String {
    format!("action {id}")
}
