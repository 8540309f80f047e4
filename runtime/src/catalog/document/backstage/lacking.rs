//! What descriptors of Backstage need of the catalog's blueprints, and what of it is not there.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::{Document, DocumentKind};
use crate::catalog::json::{JsonError, parse_json};

/// The blueprints that hold everything which is taken out of a descriptor.
const BLUEPRINTS: &[&str] = &[
    include_str!("../../../../backstage/blueprints/component.json"),
    include_str!("../../../../backstage/blueprints/api.json"),
    include_str!("../../../../backstage/blueprints/resource.json"),
    include_str!("../../../../backstage/blueprints/system.json"),
    include_str!("../../../../backstage/blueprints/domain.json"),
    include_str!("../../../../backstage/blueprints/team.json"),
    include_str!("../../../../backstage/blueprints/user.json"),
];

/// What the blueprints of a catalog lack for some documents.
#[derive(Clone, Debug, Default)]
pub struct Lacking {
    /// Each thing that is missing, in words.
    pub missing: Vec<String>,
    /// The blueprints as they would have to be: those that are there with what they lack, and those that are not.
    pub blueprints: Vec<Value>,
}

/// Finds what the blueprints of a catalog lack for the documents that were descriptors. Blueprints that are among the
/// documents are taken as they stand.
///
/// # Errors
/// A blueprint of this program that cannot be read.
pub fn find_lacking(documents: &[Document], existing: &[Value]) -> Result<Lacking, JsonError> {
    let mut wanted = BTreeMap::new();
    for text in BLUEPRINTS {
        let blueprint = parse_json(text.as_bytes())?;
        wanted.insert(identifier(&blueprint).to_owned(), blueprint);
    }
    let given = |id: &str| {
        documents
            .iter()
            .any(|one| one.kind == DocumentKind::Blueprint && identifier(&one.value) == id)
    };
    let stored = |id: &str| existing.iter().find(|one| identifier(one) == id);
    let mut lacking = Lacking::default();
    // Which blueprints are to be written, and as what.
    let mut changed: BTreeMap<String, Value> = BTreeMap::new();
    for document in documents.iter().filter(|document| document.from_backstage) {
        let blueprint = document.value.get("blueprint").and_then(Value::as_str);
        let Some(id) = blueprint.filter(|id| !given(id)) else {
            continue;
        };
        let Some(ours) = wanted.get(id) else { continue };
        let Some(before) = changed.get(id).or_else(|| stored(id)) else {
            lacking.missing.push(format!("blueprint `{id}`"));
            changed.insert(id.to_owned(), ours.clone());
            continue;
        };
        let mut after = before.clone();
        for (used, declared, what) in [
            ("/properties", "/schema/properties", "property"),
            ("/relations", "/relations", "relation"),
        ] {
            for name in keys(&document.value, used) {
                if add(&mut after, ours, declared, &name) {
                    lacking
                        .missing
                        .push(format!("{what} `{name}` of blueprint `{id}`"));
                }
            }
        }
        if after != *before {
            changed.insert(id.to_owned(), after);
        }
    }
    // A blueprint needs those that its relations point at, and these need theirs.
    let mut open: Vec<Value> = changed.values().cloned().collect();
    while let Some(blueprint) = open.pop() {
        let relations = blueprint.get("relations").and_then(Value::as_object);
        for relation in relations.into_iter().flat_map(Map::values) {
            let target = relation
                .get("target")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let there = given(target) || stored(target).is_some() || changed.contains_key(target);
            if let Some(ours) = wanted.get(target).filter(|_| !there) {
                lacking.missing.push(format!("blueprint `{target}`"));
                changed.insert(target.to_owned(), ours.clone());
                open.push(ours.clone());
            }
        }
    }
    lacking.blueprints = changed.into_values().collect();
    Ok(lacking)
}

/// Adds what one blueprint declares under a name to another one that does not; whether that was so.
fn add(blueprint: &mut Value, ours: &Value, declared: &str, name: &str) -> bool {
    let Some(definition) = ours.pointer(declared).and_then(|all| all.get(name)) else {
        return false;
    };
    let mut place = blueprint;
    for step in declared.split('/').skip(1) {
        let Value::Object(fields) = place else {
            return false;
        };
        place = fields
            .entry(step)
            .or_insert_with(|| Value::Object(Map::new()));
    }
    let Value::Object(fields) = place else {
        return false;
    };
    if fields.contains_key(name) {
        return false;
    }
    fields.insert(name.to_owned(), definition.clone());
    true
}

fn identifier(value: &Value) -> &str {
    value
        .get("identifier")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn keys(value: &Value, pointer: &str) -> Vec<String> {
    let fields = value.pointer(pointer).and_then(Value::as_object);
    fields
        .into_iter()
        .flat_map(|fields| fields.keys().cloned())
        .collect()
}
