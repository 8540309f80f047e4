//! Descriptors of Backstage become documents of the catalog. No I/O here.

mod conversion;
mod inverse;
mod kind;
mod lacking;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde_json::{Map, Value};

pub use lacking::{Lacking, find_lacking};

use super::{Document, DocumentError, DocumentKind};
use crate::catalog::schema::shorten;
use conversion::Conversion;
use kind::{KINDS, Kind};
use reference::{Identities, Reference};

/// Formats of descriptors that are known.
const VERSIONS: &[&str] = &["backstage.io/v1alpha1", "backstage.io/v1beta1"];

/// What became of a set of documents.
#[derive(Clone, Debug, Default)]
pub struct Converted {
    /// The documents, those that were no descriptors as they were.
    pub documents: Vec<Document>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

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
