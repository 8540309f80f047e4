//! The catalog, within the granted blueprints, accesses and properties.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{CatalogAccess, META, RELATION, kept};
use crate::catalog::{Dependents, Error, Values, WriteOptions};
use crate::model::{
    Actor, BlueprintId, Entity, EntityDraft, EntityId, IdentError, Origin, Permission,
    RelationValue, Violation, WriteMode,
};
use crate::plugin::bindings::{catalog, types};
use crate::plugin::denial::Beyond;
use crate::plugin::instance::Guest;
use crate::plugin::json;

type Answer<T> = Result<T, catalog::Error>;

impl catalog::Host for Guest {
    async fn get(
        &mut self,
        blueprint: String,
        identifier: String,
    ) -> wasmtime::Result<Answer<catalog::Entity>> {
        self.spend_call()?;
        let backend = self.backend()?.clone();
        let blueprint = match self.may(CatalogAccess::Read, &blueprint).await {
            Ok(blueprint) => blueprint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Ok(identifier) = EntityId::parse(identifier.as_str()) else {
            return Ok(Err(not_found(&blueprint, &identifier)));
        };
        let access = CatalogAccess::Read;
        if let Err(refusal) = self.person_may(access, &blueprint).await {
            return Ok(Err(refusal));
        }
        let actor = self.catalog_actor();
        let found = backend
            .catalog
            .find_entity_for(&actor, &blueprint, &identifier, Values::All);
        match found.await {
            Ok(entity) => Ok(Ok(shown(&entity.value, None))),
            Err(error) => Ok(Err(self.refused(access, &blueprint, error).await)),
        }
    }

    async fn write(
        &mut self,
        entity: catalog::Entity,
        mode: catalog::WriteMode,
    ) -> wasmtime::Result<Answer<catalog::Entity>> {
        self.spend_call()?;
        let backend = self.backend()?.clone();
        let blueprint = match self.may(CatalogAccess::Upsert, &entity.blueprint).await {
            Ok(blueprint) => blueprint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let access = CatalogAccess::Upsert;
        if let Err(refusal) = self.person_may(access, &blueprint).await {
            return Ok(Err(refusal));
        }
        let texts = own_texts(&entity);
        let place = format!("the catalog's `{blueprint}`");
        if let Some(denial) = self.refuse_secrets(&place, texts).await {
            return Ok(Err(catalog::Error::Denied(denial)));
        }
        let (mut draft, queries) = match draft(entity, mode) {
            Ok(read) => read,
            Err(violations) => return Ok(Err(catalog::Error::Invalid(plain(violations)))),
        };
        if let Some(refusal) = self
            .refuse_unlisted(&blueprint, &draft, &queries, mode)
            .await
        {
            return Ok(Err(refusal));
        }
        // Read, not as text: an escape hides nothing.
        let properties = draft.properties.iter().flatten();
        let found = kept::find_in_members(self.book.redactor(), properties);
        if let Some(denial) = self.refuse_secret(&place, found).await {
            return Ok(Err(catalog::Error::Denied(denial)));
        }
        if let Some(refusal) = self.refuse_hidden_targets(&blueprint, &draft).await? {
            return Ok(Err(refusal));
        }
        let actor = self.catalog_actor();
        if !queries.is_empty() {
            if let Some(refusal) = self.refuse_queries(&blueprint, &queries).await? {
                return Ok(Err(refusal));
            }
            let found = backend
                .catalog
                .read_draft(&actor, &blueprint, queries.body());
            match found.await {
                Ok(found) => Queries::fill_in(&mut draft, found),
                Err(error) => return Ok(Err(self.refused(access, &blueprint, error).await)),
            }
        }
        // Who may not read the blueprint gets back only what it wrote.
        let reads = self.power.touches(CatalogAccess::Read, &blueprint);
        let named = (!reads).then(|| draft.clone());
        let mode = match mode {
            catalog::WriteMode::Create => WriteMode::Create,
            catalog::WriteMode::Replace => WriteMode::Replace,
            catalog::WriteMode::Merge => WriteMode::Merge,
        };
        let written = backend
            .catalog
            .write_entity(&actor, &blueprint, draft, mode, WriteOptions::default())
            .await;
        match written {
            Ok(written) => Ok(Ok(shown(&written.entity.value, named.as_ref()))),
            Err(error) => Ok(Err(self.refused(access, &blueprint, error).await)),
        }
    }

    async fn delete(
        &mut self,
        blueprint: String,
        identifier: String,
    ) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        let backend = self.backend()?.clone();
        let blueprint = match self.may(CatalogAccess::Delete, &blueprint).await {
            Ok(blueprint) => blueprint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Ok(identifier) = EntityId::parse(identifier.as_str()) else {
            return Ok(Err(not_found(&blueprint, &identifier)));
        };
        let access = CatalogAccess::Delete;
        if let Err(refusal) = self.person_may(access, &blueprint).await {
            return Ok(Err(refusal));
        }
        let actor = self.catalog_actor();
        let deleted = backend
            .catalog
            .delete_entity(&actor, &blueprint, &identifier, Dependents::Keep)
            .await;
        match deleted {
            Ok(()) => Ok(Ok(())),
            Err(error) => Ok(Err(self.refused(access, &blueprint, error).await)),
        }
    }
}

impl Guest {
    /// The person who asked, through the door of a plugin.
    fn catalog_actor(&self) -> Actor {
        Actor {
            origin: Origin::Plugin,
            run: Some(self.caller.run.clone()),
            ..self.caller.actor.clone()
        }
    }

    /// The blueprint, if the access to it was granted; what cannot be a blueprint was never granted.
    async fn may(&mut self, access: CatalogAccess, blueprint: &str) -> Answer<BlueprintId> {
        let id = match BlueprintId::parse(blueprint) {
            Ok(id) => id,
            Err(error) => {
                return Err(catalog::Error::Invalid(plain(vec![odd(
                    "/blueprint",
                    &error,
                )])));
            }
        };
        if let Some(place) = self.power.find_access(access, &id) {
            // Which line allows a write depends on what is written.
            if access != CatalogAccess::Upsert {
                self.tally.line(place);
            }
            return Ok(id);
        }
        let missing = format!("catalog {} {id}", access.as_str());
        Err(catalog::Error::Denied(
            self.deny(missing, "[[capabilities.catalog]]").await,
        ))
    }

    /// Where the person's own rights count as well, refuses what their role does not include: over HTTP the door would
    /// have asked for it.
    async fn person_may(&mut self, access: CatalogAccess, blueprint: &BlueprintId) -> Answer<()> {
        let permission = match access {
            CatalogAccess::Read => Permission::ReadCatalog,
            CatalogAccess::Upsert | CatalogAccess::Delete => Permission::WriteCatalog,
        };
        let actor = &self.caller.actor;
        if !actor.bound || actor.may(permission) {
            return Ok(());
        }
        let message = format!(
            "this action works with the rights of `{}` (`runAs: user`), and role `{}` does not include `{}`; ask an administrator",
            actor.name,
            actor.role.as_str(),
            permission.as_str()
        );
        Err(self.not_theirs(access, blueprint, message).await)
    }

    /// Why the catalog refused; what a person may not do is a denial where their rights count.
    async fn refused(
        &mut self,
        access: CatalogAccess,
        blueprint: &BlueprintId,
        error: Error,
    ) -> catalog::Error {
        match error {
            Error::Forbidden(message) if self.caller.actor.bound => {
                let person = &self.caller.actor.name;
                let message = format!(
                    "this action works with the rights of `{person}` (`runAs: user`): {message}"
                );
                self.not_theirs(access, blueprint, message).await
            }
            error => refusal(error),
        }
    }

    async fn not_theirs(
        &mut self,
        access: CatalogAccess,
        blueprint: &BlueprintId,
        message: String,
    ) -> catalog::Error {
        let missing = format!("catalog {} {blueprint}", access.as_str());
        self.audit_beyond(&missing, Beyond::Person(&message)).await;
        let message = format!("`{missing}` was granted, but {message}");
        catalog::Error::Denied(types::Denial { missing, message })
    }

    /// Refuses what the granted lines do not list.
    async fn refuse_unlisted(
        &mut self,
        blueprint: &BlueprintId,
        draft: &EntityDraft,
        queries: &Queries,
        mode: catalog::WriteMode,
    ) -> Option<catalog::Error> {
        let named = written_parts(draft, queries);
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let replaces = matches!(mode, catalog::WriteMode::Replace);
        if let Some(place) = self.power.find_write(blueprint, &named, replaces) {
            self.tally.line(place);
            return None;
        }
        let missing = if replaces {
            format!("catalog upsert {blueprint}")
        } else {
            let mut wanted = self.power.writable(blueprint);
            wanted.extend(named.into_iter().map(str::to_owned));
            let wanted = Vec::from_iter(wanted).join(",");
            format!("catalog upsert {blueprint} properties {wanted}")
        };
        Some(catalog::Error::Denied(
            self.deny(missing, "[[capabilities.catalog]]").await,
        ))
    }

    /// Refuses relations to entities that the plugin may not read: the answer would tell which of them exist.
    async fn refuse_hidden_targets(
        &mut self,
        blueprint: &BlueprintId,
        draft: &EntityDraft,
    ) -> wasmtime::Result<Option<catalog::Error>> {
        let relations = draft
            .relations
            .iter()
            .flatten()
            .filter(|(_, value)| !value.targets().is_empty());
        let names: Vec<String> = relations.map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let definition = match self.backend()?.catalog.find_blueprint(blueprint).await {
            Ok(found) => found.value,
            Err(error) => return Ok(Some(refusal(error))),
        };
        for name in names {
            // A relation that the blueprint does not have is for the catalog to refuse, with all else that is wrong.
            let Some(target) = definition
                .relations
                .get(&name)
                .map(|relation| relation.target.clone())
            else {
                continue;
            };
            let seen = [CatalogAccess::Read, CatalogAccess::Upsert];
            let mut seen = seen.iter();
            if let Some(place) = seen.find_map(|access| self.power.find_access(*access, &target)) {
                self.tally.line(place);
            } else {
                let denial = self
                    .deny(format!("catalog read {target}"), "[[capabilities.catalog]]")
                    .await;
                return Ok(Some(catalog::Error::Denied(denial)));
            }
        }
        Ok(None)
    }

    /// Refuses queries over entities that the plugin may not read: what is found tells what they have.
    async fn refuse_queries(
        &mut self,
        blueprint: &BlueprintId,
        queries: &Queries,
    ) -> wasmtime::Result<Option<catalog::Error>> {
        let definition = match self.backend()?.catalog.find_blueprint(blueprint).await {
            Ok(found) => found.value,
            Err(error) => return Ok(Some(refusal(error))),
        };
        let own = queries.identifier.iter().map(|_| blueprint);
        let targets = queries.relations.keys().filter_map(|name| {
            let relation = definition.relations.get(name)?;
            Some(&relation.target)
        });
        for searched in own.chain(targets) {
            if let Err(refusal) = self.may(CatalogAccess::Read, searched.as_str()).await {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }
}

/// What a write names of an entity, as lines list it. An empty list of teams is how the contract says nothing of them.
fn written_parts(draft: &EntityDraft, queries: &Queries) -> Vec<String> {
    let properties = draft.properties.iter().flat_map(Map::keys).cloned();
    let relations = draft.relations.iter().flat_map(IndexMap::keys);
    let relations = relations.chain(queries.relations.keys());
    let relations = relations.map(|name| format!("{RELATION}{name}"));
    let team = draft.team.as_ref().is_some_and(|team| !team.is_empty());
    let [icon_key, team_key, title_key] = META;
    let meta = [
        (icon_key, draft.icon.is_some()),
        (team_key, team),
        (title_key, draft.title.is_some()),
    ];
    let meta = meta.into_iter().filter(|(_, named)| *named);
    let meta = meta.map(|(key, _)| key.to_owned());
    properties.chain(relations).chain(meta).collect()
}

/// What stands in an entity of the contract by a query instead of by name.
#[derive(Debug, Default)]
struct Queries {
    identifier: Option<Value>,
    relations: Map<String, Value>,
}

impl Queries {
    /// The query that a text is; no identifier begins so.
    fn read(text: &str, place: &str, violations: &mut Vec<Violation>) -> Option<Value> {
        if !text.starts_with('{') {
            return None;
        }
        match json::parse_object(text) {
            Ok(query) if query.contains_key("rules") => Some(Value::Object(query)),
            Ok(_) => {
                let message = "is neither an identifier nor a query with `rules`";
                violations.push(Violation::new(place, "query", message));
                Some(Value::Null)
            }
            Err(error) => {
                let message = format!("the query is not a JSON object: {error}");
                violations.push(Violation::new(place, "json", message));
                Some(Value::Null)
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.identifier.is_none() && self.relations.is_empty()
    }

    /// As a client of the API would ask.
    fn body(&self) -> Value {
        json!({ "identifier": self.identifier, "relations": self.relations })
    }

    /// Puts what was found into the draft.
    fn fill_in(draft: &mut EntityDraft, found: EntityDraft) {
        if let Some(identifier) = found.identifier {
            draft.identifier = Some(identifier);
        }
        let relations = found.relations.unwrap_or_default();
        draft.relations.get_or_insert_default().extend(relations);
    }
}

/// Reads an entity of the contract, and what of it is still to be found. What a `merge` does not name stays as it is;
/// elsewhere it is cleared.
fn draft(
    entity: catalog::Entity,
    mode: catalog::WriteMode,
) -> Result<(EntityDraft, Queries), Vec<Violation>> {
    let mut violations = Vec::new();
    let mut queries = Queries {
        identifier: Queries::read(&entity.identifier, "/identifier", &mut violations),
        ..Queries::default()
    };
    let identifier = match queries.identifier {
        Some(_) => None,
        None => EntityId::parse(entity.identifier)
            .map_err(|e| violations.push(odd("/identifier", &e)))
            .ok(),
    };
    let properties = json::parse_object(&entity.properties)
        .map_err(|e| {
            violations.push(Violation::new(
                "/properties",
                "json",
                format!("the properties are not a JSON object: {e}"),
            ))
        })
        .ok();
    let mut relations = IndexMap::new();
    for relation in entity.relations {
        let name = relation.name.replace('~', "~0").replace('/', "~1");
        let place = format!("/relations/{name}");
        if let catalog::Target::One(text) = &relation.target
            && let Some(query) = Queries::read(text, &place, &mut violations)
        {
            if relations.contains_key(&relation.name)
                || queries.relations.insert(relation.name, query).is_some()
            {
                violations.push(named_twice());
            }
            continue;
        }
        let mut target = |text: String| {
            EntityId::parse(text)
                .map_err(|e| violations.push(odd(&place, &e)))
                .ok()
        };
        let value = match relation.target {
            catalog::Target::None => RelationValue::None,
            catalog::Target::One(text) => {
                target(text).map_or(RelationValue::None, RelationValue::One)
            }
            catalog::Target::Many(texts) => {
                RelationValue::Many(texts.into_iter().filter_map(target).collect())
            }
        };
        if queries.relations.contains_key(&relation.name)
            || relations.insert(relation.name, value).is_some()
        {
            violations.push(named_twice());
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    let merge = matches!(mode, catalog::WriteMode::Merge);
    let draft = EntityDraft {
        identifier,
        title: entity.title.map(Some),
        icon: entity.icon.map(Some),
        team: Some(entity.team).filter(|team| !(merge && team.is_empty())),
        properties,
        relations: Some(relations),
    };
    Ok((draft, queries))
}

/// The texts of an entity beside its properties.
fn own_texts(entity: &catalog::Entity) -> Vec<&[u8]> {
    let mut texts = vec![entity.identifier.as_bytes()];
    texts.extend(entity.title.as_deref().map(str::as_bytes));
    texts.extend(entity.icon.as_deref().map(str::as_bytes));
    texts.extend(entity.team.iter().map(String::as_bytes));
    for relation in &entity.relations {
        match &relation.target {
            catalog::Target::None => {}
            catalog::Target::One(text) => texts.push(text.as_bytes()),
            catalog::Target::Many(ids) => texts.extend(ids.iter().map(String::as_bytes)),
        }
    }
    texts
}

fn named_twice() -> Violation {
    Violation::new("/relations", "unique", "a relation is named twice")
}

/// An entity in the words of the contract; only what a draft names where one is given.
fn shown(entity: &Entity, named: Option<&EntityDraft>) -> catalog::Entity {
    let property = |name: &str| {
        named.is_none_or(|d| d.properties.as_ref().is_some_and(|p| p.contains_key(name)))
    };
    let relation = |name: &str| {
        named.is_none_or(|d| d.relations.as_ref().is_some_and(|r| r.contains_key(name)))
    };
    let properties: Map<_, _> = entity
        .properties
        .iter()
        .filter(|(name, _)| property(name))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    catalog::Entity {
        blueprint: entity.blueprint.to_string(),
        identifier: entity.identifier.to_string(),
        title: entity
            .title
            .clone()
            .filter(|_| named.is_none_or(|d| d.title.is_some())),
        icon: entity
            .icon
            .clone()
            .filter(|_| named.is_none_or(|d| d.icon.is_some())),
        team: if named.is_none_or(|d| d.team.is_some()) {
            entity.team.clone()
        } else {
            Vec::new()
        },
        properties: serde_json::Value::Object(properties).to_string(),
        relations: entity
            .relations
            .iter()
            .filter(|(name, _)| relation(name))
            .map(|(name, value)| catalog::Relation {
                name: name.clone(),
                target: target(value),
            })
            .collect(),
    }
}

fn target(value: &RelationValue) -> catalog::Target {
    match value {
        RelationValue::None => catalog::Target::None,
        RelationValue::One(id) => catalog::Target::One(id.to_string()),
        RelationValue::Many(ids) => {
            catalog::Target::Many(ids.iter().map(ToString::to_string).collect())
        }
    }
}

fn refusal(error: Error) -> catalog::Error {
    match error {
        Error::NotFound(what) => catalog::Error::NotFound(what),
        Error::Conflict { message, .. } | Error::Forbidden(message) => {
            catalog::Error::Conflict(message)
        }
        Error::Invalid { violations, .. } => catalog::Error::Invalid(plain(violations)),
        Error::TooExpensive(message) => catalog::Error::Unavailable(message),
        error @ (Error::Store(_) | Error::Random(_) | Error::NoJq(_)) => {
            tracing::error!(%error, "the catalog could not serve a plugin");
            catalog::Error::Unavailable("the catalog cannot answer now".to_owned())
        }
    }
}

fn not_found(blueprint: &BlueprintId, identifier: &str) -> catalog::Error {
    let shown: String = identifier.chars().take(64).collect();
    catalog::Error::NotFound(format!("entity `{shown}` of blueprint `{blueprint}`"))
}

fn odd(place: &str, error: &IdentError) -> Violation {
    Violation::new(place, "identifier", error.to_string())
}

fn plain(violations: Vec<Violation>) -> Vec<types::Violation> {
    let violation = |v: Violation| types::Violation {
        path: v.path,
        rule: v.rule,
        message: v.message,
    };
    violations.into_iter().map(violation).collect()
}
