//! One descriptor becomes one entity.

use serde_json::{Map, Value};

use super::inverse::Inverse;
use super::kind::{Becomes, KINDS, Kind};
use super::reference::{Identities, Reference};
use crate::catalog::schema::shorten;

/// Keys of `metadata` that Backstage writes itself, or that are read elsewhere.
const METADATA: &[&str] = &[
    "name",
    "namespace",
    "title",
    "description",
    "labels",
    "annotations",
    "tags",
    "links",
    "uid",
    "etag",
    "generation",
];

/// One descriptor on its way.
pub(super) struct Conversion<'a> {
    pub(super) identities: &'a Identities,
    pub(super) reference: &'a Reference,
    pub(super) source: &'a str,
    pub(super) entity: Map<String, Value>,
    pub(super) properties: Map<String, Value>,
    pub(super) relations: Map<String, Value>,
    pub(super) team: Vec<Value>,
    pub(super) inverse: &'a mut Vec<Inverse>,
    pub(super) notes: &'a mut Vec<String>,
    pub(super) errors: Vec<String>,
}

impl Conversion<'_> {
    pub(super) fn convert(&mut self, kind: &'static Kind, value: &Value) {
        self.entity
            .insert("blueprint".to_owned(), kind.blueprint.into());
        let metadata = value.get("metadata").and_then(Value::as_object);
        if let Some(title) = metadata.and_then(|metadata| metadata.get("title")) {
            self.entity.insert("title".to_owned(), title.clone());
        }
        for key in ["description", "tags", "labels", "annotations", "links"] {
            let value = metadata.and_then(|metadata| metadata.get(key));
            if let Some(value) = value.filter(|value| !is_empty(value)) {
                self.properties.insert(key.to_owned(), value.clone());
            }
        }
        let unknown = metadata.into_iter().flat_map(|metadata| metadata.keys());
        for key in unknown.filter(|key| !METADATA.contains(&key.as_str())) {
            self.left_out("metadata", key);
        }
        match value.get("spec") {
            None | Some(Value::Null) => {}
            Some(Value::Object(spec)) => {
                for (key, value) in spec.iter().filter(|(_, value)| !value.is_null()) {
                    match kind.spec.iter().find(|(known, _)| known == key) {
                        Some((key, becomes)) => self.take(key, *becomes, value),
                        None => self.left_out("spec", key),
                    }
                }
            }
            Some(_) => self.errors.push("/spec: must be an object".to_owned()),
        }
    }

    fn left_out(&mut self, part: &str, key: &str) {
        self.notes.push(format!(
            "{}: `{part}.{}` has no place in the catalog; it is left out",
            self.source,
            shorten(key)
        ));
    }

    fn take(&mut self, key: &'static str, becomes: Becomes, value: &Value) {
        let own = self.identities.of(self.reference);
        match becomes {
            Becomes::Property => {
                self.properties.insert(key.to_owned(), value.clone());
            }
            Becomes::Definition if value.is_object() => self.notes.push(format!(
                "{}: `spec.definition` names another file, which is not read; it is left out",
                self.source
            )),
            Becomes::Definition => {
                self.properties.insert(key.to_owned(), value.clone());
            }
            Becomes::Owner => {
                for owner in self.references(key, value, "group", &["group", "user"]) {
                    let identifier = self.identities.of(&owner).into();
                    if owner.kind() == "user" {
                        self.properties.insert("owner".to_owned(), identifier);
                    } else {
                        self.team.push(identifier);
                    }
                }
            }
            Becomes::One(kind) => {
                for target in self.references(key, value, kind, &[kind]) {
                    let identifier = self.identities.of(&target).into();
                    self.relations.insert(key.to_owned(), identifier);
                }
            }
            Becomes::Many(kind) => {
                for target in self.references(key, value, kind, &[kind]) {
                    self.point(key, &target);
                }
            }
            Becomes::DependsOn => {
                for target in self.references(key, value, "", &["component", "resource"]) {
                    self.point(depends_on(target.kind()), &target);
                }
            }
            Becomes::DependencyOf => {
                for other in self.references(key, value, "", &["component", "resource"]) {
                    let relation = depends_on(self.reference.kind());
                    self.turn(key, &other, Some(relation), true, own.clone());
                }
            }
            Becomes::Profile => self.take_profile(value),
            Becomes::MemberOf => {
                for team in self.references(key, value, "group", &["group"]) {
                    let identifier = self.identities.of(&team).into();
                    self.team.push(identifier);
                }
            }
            Becomes::Members => {
                for person in self.references(key, value, "user", &["user"]) {
                    self.turn(key, &person, None, true, own.clone());
                }
            }
            Becomes::Children => {
                for team in self.references(key, value, "group", &["group"]) {
                    self.turn(key, &team, Some("parent"), false, own.clone());
                }
            }
        }
    }

    fn take_profile(&mut self, value: &Value) {
        let Value::Object(profile) = value else {
            self.errors
                .push("/spec/profile: must be an object".to_owned());
            return;
        };
        for (key, value) in profile {
            match key.as_str() {
                "displayName" => {
                    self.entity.entry("title").or_insert_with(|| value.clone());
                }
                "email" | "picture" => {
                    self.properties.insert(key.clone(), value.clone());
                }
                _ => self.left_out("spec.profile", key),
            }
        }
    }

    fn point(&mut self, relation: &str, target: &Reference) {
        let identifier = Value::String(self.identities.of(target));
        let targets = self
            .relations
            .entry(relation)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(targets) = targets {
            targets.push(identifier);
        }
    }

    fn turn(
        &mut self,
        key: &'static str,
        other: &Reference,
        relation: Option<&'static str>,
        many: bool,
        value: String,
    ) {
        let kind = KINDS.iter().find(|kind| kind.word == other.kind());
        self.inverse.push(Inverse {
            source: self.source.to_owned(),
            key,
            blueprint: kind.map_or("", |kind| kind.blueprint),
            of: self.identities.of(other),
            relation,
            many,
            value,
        });
    }

    /// One reference or a list of them.
    fn references(
        &mut self,
        key: &str,
        value: &Value,
        default: &str,
        allowed: &[&str],
    ) -> Vec<Reference> {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut found = Vec::with_capacity(values.len());
        for value in values {
            match Reference::read(value, default, self.reference.namespace()) {
                Ok(reference) if allowed.contains(&reference.kind()) => found.push(reference),
                Ok(reference) => self.errors.push(format!(
                    "/spec/{key}: `{reference}` is a {}; it has to be a {}",
                    reference.kind(),
                    allowed.join(" or a ")
                )),
                Err(message) => self.errors.push(format!("/spec/{key}: {message}")),
            }
        }
        found
    }

    pub(super) fn finish(mut self) -> Value {
        let mut put = |key: &str, value: Value| self.entity.insert(key.to_owned(), value);
        put("identifier", self.identities.of(self.reference).into());
        if !self.team.is_empty() {
            put("team", Value::Array(self.team));
        }
        put("properties", Value::Object(self.properties));
        put("relations", Value::Object(self.relations));
        Value::Object(self.entity)
    }
}

fn depends_on(kind: &str) -> &'static str {
    if kind == "resource" {
        "dependsOnResources"
    } else {
        "dependsOn"
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
