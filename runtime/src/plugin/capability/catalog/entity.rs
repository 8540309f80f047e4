//! Entities in the words of the contract: read into drafts, and shown.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::model::{Entity, EntityDraft, EntityId, IdentError, RelationValue, Violation};
use crate::plugin::bindings::catalog;
use crate::plugin::capability::{META, RELATION};
use crate::plugin::json;

/// What a write names of an entity, as lines list it. An empty list of teams is how the contract says nothing of them.
pub(super) fn written_parts(draft: &EntityDraft, queries: &Queries) -> Vec<String> {
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
pub(super) struct Queries {
    pub(super) identifier: Option<Value>,
    pub(super) relations: Map<String, Value>,
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

    pub(super) fn is_empty(&self) -> bool {
        self.identifier.is_none() && self.relations.is_empty()
    }

    /// As a client of the API would ask.
    pub(super) fn body(&self) -> Value {
        json!({ "identifier": self.identifier, "relations": self.relations })
    }

    /// Puts what was found into the draft.
    pub(super) fn fill_in(draft: &mut EntityDraft, found: EntityDraft) {
        if let Some(identifier) = found.identifier {
            draft.identifier = Some(identifier);
        }
        let relations = found.relations.unwrap_or_default();
        draft.relations.get_or_insert_default().extend(relations);
    }
}

/// Reads an entity of the contract, and what of it is still to be found. What a `merge` does not name stays as it is;
/// elsewhere it is cleared.
pub(super) fn draft(
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
pub(super) fn own_texts(entity: &catalog::Entity) -> Vec<&[u8]> {
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
pub(super) fn shown(entity: &Entity, named: Option<&EntityDraft>) -> catalog::Entity {
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

pub(super) fn odd(place: &str, error: &IdentError) -> Violation {
    Violation::new(place, "identifier", error.to_string())
}
