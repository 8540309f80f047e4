//! The catalog over a real store in a folder of its own.

use serde_json::{Value, json};

mod apply;
mod blueprint;
mod bulk;
mod change;
mod datasource;
mod derived;
mod derived_oracle;
mod entity;
mod history;
mod lookup;
mod oracle;
mod permission;
mod rename;
mod scope;
mod scorecard;
mod search;
mod shown;
mod underived;

use super::*;
use crate::model::WriteMode;
use crate::model::{AuditFilter, AuditRow};

/// A catalog whose jq has no workers: plain paths are all that it can calculate.
fn open_catalog(store: &Store) -> Catalog {
    let jq = crate::jq::Jq::new("/nowhere/at/all".into(), Vec::new());
    Catalog::with_jq(store.clone(), Some(jq))
}

struct Fixture {
    catalog: Catalog,
    store: Store,
    actor: Actor,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        Self {
            catalog: open_catalog(&store),
            store,
            actor: Actor::system(),
            _folder: folder,
        }
    }

    /// A service needs a system; it may use any number of services, and have one spare.
    async fn with_services() -> Self {
        let fixture = Self::new();
        let system = json!({ "identifier": "System", "title": "System", "schema": {} });
        let service = json!({
            "identifier": "Service", "title": "Service",
            "schema": {
                "properties": {
                    "tier": { "type": "number", "minimum": 1 },
                    "language": { "type": "string", "enum": ["rust", "go"] },
                    "site": { "type": "string", "format": "url" },
                },
                "required": ["language"],
            },
            "relations": {
                "system": { "target": "System", "required": true },
                "uses": { "target": "Service", "many": true },
                "spare": { "target": "Service" },
            },
        });
        for document in [system, service] {
            let blueprint = parse_blueprint(document).unwrap();
            fixture
                .catalog
                .create_blueprint(&fixture.actor, blueprint)
                .await
                .unwrap();
        }
        fixture
            .put("System", json!({ "identifier": "Cart" }))
            .await
            .unwrap();
        fixture
    }

    async fn write(
        &self,
        blueprint: &str,
        entity: Value,
        mode: WriteMode,
    ) -> Result<Written, Error> {
        self.write_with(blueprint, entity, mode, WriteOptions::default())
            .await
    }

    async fn write_with(
        &self,
        blueprint: &str,
        entity: Value,
        mode: WriteMode,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let draft = parse_draft(entity)?;
        self.catalog
            .write_entity(&self.actor, &id(blueprint), draft, mode, options)
            .await
    }

    async fn put(&self, blueprint: &str, entity: Value) -> Result<Written, Error> {
        self.write(blueprint, entity, WriteMode::Replace).await
    }

    async fn service(&self, identifier: &str) -> Written {
        let entity = json!({ "identifier": identifier, "properties": { "language": "rust" }, "relations": { "system": "Cart" } });
        self.put("Service", entity).await.unwrap()
    }

    async fn entity(&self, blueprint: &str, identifier: &str) -> Option<Value> {
        match self
            .catalog
            .find_entity(&id(blueprint), &entity_id(identifier))
            .await
        {
            Ok(entity) => Some(serde_json::to_value(entity.value).unwrap()),
            Err(Error::NotFound(_)) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn delete(
        &self,
        blueprint: &str,
        identifier: &str,
        dependents: Dependents,
    ) -> Result<(), Error> {
        self.catalog
            .delete_entity(
                &self.actor,
                &id(blueprint),
                &entity_id(identifier),
                dependents,
            )
            .await
    }

    async fn apply(&self, blueprints: Vec<Value>, entities: Vec<Value>) -> Result<Applied, Error> {
        let blueprints = blueprints
            .into_iter()
            .map(|value| parse_blueprint(value).unwrap().into())
            .collect();
        let entities = entities
            .into_iter()
            .enumerate()
            .map(|(index, value)| Placed {
                at: format!("/{index}"),
                value: (
                    id(value["blueprint"].as_str().unwrap()),
                    parse_draft(value).unwrap(),
                ),
            })
            .collect();
        let (catalog, actor) = (self.catalog.clone(), self.actor.clone());
        self.store
            .write(move |tx| catalog.apply_in(tx, &actor, blueprints, entities))
            .await
    }

    async fn patch(&self, blueprint: &str, patch: Value) -> Result<Stamped<Blueprint>, Error> {
        let Value::Object(patch) = patch else {
            panic!("{patch}")
        };
        self.catalog
            .patch_blueprint(&self.actor, &id(blueprint), patch)
            .await
    }

    async fn rename(
        &self,
        blueprint: &str,
        what: Renamed,
        from: &str,
        to: &str,
    ) -> Result<Blueprint, Error> {
        let plan = self.plan_rename(blueprint, what, from, to).await?;
        let actor = self.actor.clone();
        let renamed = self.store.write(move |tx| plan.carry_out(tx, &actor)).await;
        renamed.map(|blueprint| blueprint.value)
    }

    async fn plan_rename(
        &self,
        blueprint: &str,
        what: Renamed,
        from: &str,
        to: &str,
    ) -> Result<RenamePlan, Error> {
        let renaming = Renaming {
            blueprint: id(blueprint),
            what,
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let read = self.store.read(move |tx| RenameDraft::read(tx, renaming));
        let draft = read.await?;
        let longest = draft.longest_filter();
        crate::jq::name::apart(longest, |renamer| draft.follow(renamer))
            .await
            .unwrap()
    }

    async fn audit(&self) -> Vec<AuditRow> {
        self.store
            .read(|tx| tx.list_audit(None, 100_000))
            .await
            .unwrap()
    }
}

fn id(text: &str) -> BlueprintId {
    BlueprintId::parse(text).unwrap()
}

fn entity_id(text: &str) -> EntityId {
    EntityId::parse(text).unwrap()
}

fn violations<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Vec<(String, String)> {
    match outcome.unwrap_err() {
        Error::Invalid { violations, .. } => {
            violations.into_iter().map(|v| (v.path, v.rule)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(path, rule)| (String::from(*path), String::from(*rule)))
        .collect()
}

fn conflict<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (&'static str, String) {
    match outcome.unwrap_err() {
        Error::Conflict { code, message } => (code, message),
        other => panic!("{other:?}"),
    }
}

fn missing<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome.unwrap_err() {
        Error::NotFound(what) => what,
        other => panic!("{other:?}"),
    }
}
