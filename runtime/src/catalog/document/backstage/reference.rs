//! References between descriptors: `kind:namespace/name`.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use crate::catalog::schema::shorten;
use crate::model::EntityId;

/// The namespace that is meant where none is named.
const DEFAULT: &str = "default";

/// One descriptor, named. Kinds and namespaces are compared in lower case, as in Backstage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    kind: String,
    namespace: String,
    name: String,
}

impl Reference {
    pub(super) fn new(kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            kind: kind.to_ascii_lowercase(),
            namespace: namespace.unwrap_or(DEFAULT).to_ascii_lowercase(),
            name: name.to_owned(),
        }
    }

    /// Reads a reference as it stands in a descriptor: a text, or an object of the same parts.
    pub(super) fn read(value: &Value, default: &str, namespace: &str) -> Result<Self, String> {
        let (kind, own, name) = match value {
            Value::String(text) => {
                let (kind, rest) = text
                    .split_once(':')
                    .map_or((None, text.as_str()), |(kind, rest)| (Some(kind), rest));
                let (own, name) = rest
                    .split_once('/')
                    .map_or((None, rest), |(own, name)| (Some(own), name));
                (kind, own, name)
            }
            Value::Object(fields) => {
                let part = |key: &str| fields.get(key).and_then(Value::as_str);
                (
                    part("kind"),
                    part("namespace"),
                    part("name").unwrap_or_default(),
                )
            }
            other => {
                let message = format!(
                    "must be a reference like `component:default/name`, not {}",
                    shorten(&other.to_string())
                );
                return Err(message);
            }
        };
        let kind = kind.unwrap_or(default);
        let shown = || shorten(&value.to_string());
        if kind.is_empty() {
            return Err(format!(
                "{} has to name its kind: `component:name`",
                shown()
            ));
        }
        if name.is_empty() || name.contains(['/', ':']) || own.is_some_and(str::is_empty) {
            return Err(format!(
                "{} is not a reference; write `kind:namespace/name`",
                shown()
            ));
        }
        Ok(Self::new(kind, Some(own.unwrap_or(namespace)), name))
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn key(&self) -> (String, String, String) {
        let name = self.name.to_ascii_lowercase();
        (self.kind.clone(), self.namespace.clone(), name)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.kind, self.namespace, self.name)
    }
}

/// How the descriptors at hand are called in the catalog.
#[derive(Debug, Default)]
pub(super) struct Identities {
    known: HashMap<(String, String, String), String>,
}

impl Identities {
    pub(super) fn add(&mut self, reference: &Reference, descriptor: &Value) {
        let email = descriptor
            .pointer("/spec/profile/email")
            .and_then(Value::as_str)
            .filter(|email| reference.kind == "user" && EntityId::parse(*email).is_ok());
        let identifier = email.map_or_else(|| plain(reference), str::to_owned);
        self.known.insert(reference.key(), identifier);
    }

    /// The identifier of the entity that a reference names, whether or not it is at hand.
    pub(super) fn of(&self, reference: &Reference) -> String {
        let known = self.known.get(&reference.key());
        known.cloned().unwrap_or_else(|| plain(reference))
    }
}

fn plain(reference: &Reference) -> String {
    if reference.namespace == DEFAULT {
        reference.name.clone()
    } else {
        format!("{}/{}", reference.namespace, reference.name)
    }
}
