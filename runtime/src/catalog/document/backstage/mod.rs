//! Descriptors of Backstage become documents of the catalog. No I/O here.

mod lacking;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde_json::{Map, Value};

pub use lacking::{Lacking, find_lacking};

use super::{Document, DocumentError, DocumentKind};
use crate::catalog::schema::shorten;
use reference::{Identities, Reference};

/// Formats of descriptors that are known.
const VERSIONS: &[&str] = &["backstage.io/v1alpha1", "backstage.io/v1beta1"];

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

/// What became of a set of documents.
#[derive(Clone, Debug, Default)]
pub struct Converted {
    /// The documents, those that were no descriptors as they were.
    pub documents: Vec<Document>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// What a key of `spec` becomes.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    /// A property of the same name.
    Property,
    /// The text of an interface description.
    Definition,
    /// The owning team, or the owning person.
    Owner,
    /// A relation of the same name to one entity; the kind is what a reference without one means.
    One(&'static str),
    /// A relation of the same name to several.
    Many(&'static str),
    /// Relations to components and to resources.
    DependsOn,
    /// The same, seen from the other end.
    DependencyOf,
    /// Name, address and picture.
    Profile,
    /// The teams of a person.
    MemberOf,
    /// The same, seen from the team.
    Members,
    /// The teams below a team.
    Children,
}

struct Kind {
    word: &'static str,
    blueprint: &'static str,
    spec: &'static [(&'static str, Becomes)],
}

const KINDS: &[Kind] = &[
    Kind {
        word: "component",
        blueprint: "Component",
        spec: &[
            ("type", Becomes::Property),
            ("lifecycle", Becomes::Property),
            ("owner", Becomes::Owner),
            ("system", Becomes::One("system")),
            ("subcomponentOf", Becomes::One("component")),
            ("providesApis", Becomes::Many("api")),
            ("consumesApis", Becomes::Many("api")),
            ("dependsOn", Becomes::DependsOn),
            ("dependencyOf", Becomes::DependencyOf),
        ],
    },
    Kind {
        word: "api",
        blueprint: "API",
        spec: &[
            ("type", Becomes::Property),
            ("lifecycle", Becomes::Property),
            ("owner", Becomes::Owner),
            ("system", Becomes::One("system")),
            ("definition", Becomes::Definition),
        ],
    },
    Kind {
        word: "resource",
        blueprint: "Resource",
        spec: &[
            ("type", Becomes::Property),
            ("lifecycle", Becomes::Property),
            ("owner", Becomes::Owner),
            ("system", Becomes::One("system")),
            ("dependsOn", Becomes::DependsOn),
            ("dependencyOf", Becomes::DependencyOf),
        ],
    },
    Kind {
        word: "system",
        blueprint: "System",
        spec: &[
            ("type", Becomes::Property),
            ("owner", Becomes::Owner),
            ("domain", Becomes::One("domain")),
        ],
    },
    Kind {
        word: "domain",
        blueprint: "Domain",
        spec: &[
            ("type", Becomes::Property),
            ("owner", Becomes::Owner),
            ("subdomainOf", Becomes::One("domain")),
        ],
    },
    Kind {
        word: "group",
        blueprint: "_team",
        spec: &[
            ("type", Becomes::Property),
            ("profile", Becomes::Profile),
            ("parent", Becomes::One("group")),
            ("children", Becomes::Children),
            ("members", Becomes::Members),
        ],
    },
    Kind {
        word: "user",
        blueprint: "_user",
        spec: &[
            ("profile", Becomes::Profile),
            ("memberOf", Becomes::MemberOf),
        ],
    },
];

/// Whether a document says of itself that it is a descriptor.
pub(super) fn is_descriptor(value: &Value) -> bool {
    let version = value.get("apiVersion").and_then(Value::as_str);
    version.is_some_and(|version| version.starts_with("backstage.io/"))
        && value.get("kind").is_some()
}

/// The place in a descriptor from which a place in the entity that was made of it comes.
pub fn origin(pointer: &str) -> String {
    const METADATA: &[&str] = &["description", "tags", "labels", "annotations", "links"];
    const PROFILE: &[&str] = &["email", "picture"];
    let mut parts = pointer.splitn(4, '/').skip(1);
    let (part, name, rest) = (parts.next(), parts.next(), parts.next());
    let rest = rest.map_or_else(String::new, |rest| format!("/{rest}"));
    match (part, name) {
        (Some("identifier"), _) => "/metadata/name".to_owned(),
        (Some("title"), _) => "/metadata/title".to_owned(),
        (Some("team"), _) => "/spec/owner".to_owned(),
        (Some("relations"), Some("dependsOn" | "dependsOnResources")) => {
            "/spec/dependsOn".to_owned()
        }
        (Some("properties"), Some(name)) if METADATA.contains(&name) => {
            format!("/metadata/{name}{rest}")
        }
        (Some("properties"), Some(name)) if PROFILE.contains(&name) => {
            format!("/spec/profile/{name}{rest}")
        }
        (Some("properties" | "relations"), Some(name)) => format!("/spec/{name}{rest}"),
        _ => pointer.to_owned(),
    }
}

/// Makes documents of the descriptors among some documents; the others stay as they are.
///
/// References are resolved among all of them, as Backstage does: whatever their case, and to a person by e-mail
/// address, which is what people are called here.
///
/// # Errors
/// Everything that no document can be made of.
pub fn convert_backstage(documents: Vec<Document>) -> Result<Converted, Vec<DocumentError>> {
    let mut converted = Converted::default();
    let mut errors = Vec::new();
    let mut heads = Vec::new();
    let mut identities = Identities::default();
    for document in documents {
        if document.kind != DocumentKind::Backstage {
            converted.documents.push(document);
            continue;
        }
        match read_head(&document) {
            Ok(Some((kind, reference))) => {
                identities.add(&reference, &document.value);
                heads.push((document, kind, reference));
            }
            Ok(None) => converted.notes.push(skipped(&document)),
            Err(message) => errors.push(content(&document, message)),
        }
    }
    let mut inverse = Vec::new();
    let mut made = HashMap::new();
    for (document, kind, reference) in heads {
        let mut conversion = Conversion {
            identities: &identities,
            reference: &reference,
            source: &document.source,
            entity: Map::new(),
            properties: Map::new(),
            relations: Map::new(),
            team: Vec::new(),
            inverse: &mut inverse,
            notes: &mut converted.notes,
            errors: Vec::new(),
        };
        conversion.convert(kind, &document.value);
        errors.extend(
            std::mem::take(&mut conversion.errors)
                .into_iter()
                .map(|message| content(&document, message)),
        );
        let value = conversion.finish();
        made.insert(
            (kind.blueprint, identities.of(&reference)),
            converted.documents.len(),
        );
        converted.documents.push(Document {
            kind: DocumentKind::Entity,
            value,
            ..document
        });
    }
    for edge in inverse {
        let found = made.get(&(edge.blueprint, edge.of.clone()));
        let document = found.and_then(|index| converted.documents.get_mut(*index));
        match document {
            Some(document) => edge.put(&mut document.value),
            None => converted.notes.push(format!(
                "{}: `{}` of `{}` is not among these documents; name it there",
                edge.source, edge.key, edge.of
            )),
        }
    }
    if errors.is_empty() {
        Ok(converted)
    } else {
        Err(errors)
    }
}

fn content(document: &Document, message: String) -> DocumentError {
    DocumentError::Content {
        source_path: document.source.clone(),
        message,
    }
}

fn skipped(document: &Document) -> String {
    let kind = document.value.get("kind").and_then(Value::as_str);
    let (kind, source) = (shorten(kind.unwrap_or_default()), &document.source);
    if kind.eq_ignore_ascii_case("location") {
        format!("{source}: a Location is skipped; apply the files that it points at")
    } else {
        format!("{source}: the catalog holds nothing of kind `{kind}`; it is skipped")
    }
}

/// The kind and the name of a descriptor; nothing where it is of a kind that the catalog does not hold.
fn read_head(document: &Document) -> Result<Option<(&'static Kind, Reference)>, String> {
    let value = &document.value;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap_or_default();
    if !VERSIONS.contains(&version) {
        return Err(format!(
            "/apiVersion: `{}` is not known; {} are",
            shorten(version),
            VERSIONS.join(" and ")
        ));
    }
    let word = text("/kind").ok_or("/kind: must be a string")?;
    let Some(kind) = KINDS
        .iter()
        .find(|kind| kind.word.eq_ignore_ascii_case(word))
    else {
        return Ok(None);
    };
    let name = text("/metadata/name").ok_or("/metadata/name: is required, a string")?;
    let reference = Reference::new(kind.word, text("/metadata/namespace"), name);
    Ok(Some((kind, reference)))
}

/// One descriptor on its way.
struct Conversion<'a> {
    identities: &'a Identities,
    reference: &'a Reference,
    source: &'a str,
    entity: Map<String, Value>,
    properties: Map<String, Value>,
    relations: Map<String, Value>,
    team: Vec<Value>,
    inverse: &'a mut Vec<Inverse>,
    notes: &'a mut Vec<String>,
    errors: Vec<String>,
}

/// What one descriptor says of another one.
struct Inverse {
    source: String,
    /// The key of `spec` that says it.
    key: &'static str,
    blueprint: &'static str,
    of: String,
    /// The relation that it is for the other one; for the teams of a person none.
    relation: Option<&'static str>,
    many: bool,
    value: String,
}

impl Inverse {
    fn put(self, entity: &mut Value) {
        let Value::Object(fields) = entity else {
            return;
        };
        let value = Value::String(self.value);
        let slot = match self.relation {
            None => fields.entry("team").or_insert(Value::Null),
            Some(relation) => {
                let relations = fields
                    .entry("relations")
                    .or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(relations) = relations else {
                    return;
                };
                relations.entry(relation).or_insert(Value::Null)
            }
        };
        match slot {
            Value::Array(values) if values.contains(&value) => {}
            Value::Array(values) => values.push(value),
            slot if self.many => *slot = Value::Array(vec![value]),
            // What an entity says of itself counts more than what another one says of it.
            slot if slot.is_null() => *slot = value,
            _ => {}
        }
    }
}

impl Conversion<'_> {
    fn convert(&mut self, kind: &'static Kind, value: &Value) {
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

    fn finish(mut self) -> Value {
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
