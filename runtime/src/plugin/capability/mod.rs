//! Every power that a plugin can have, each as one canonical line of text.

pub(super) mod catalog;
pub(super) mod files;
pub(super) mod http;
mod kept;
pub(super) mod line;
pub(super) mod log;
pub(super) mod run_action;
pub(super) mod secret;
pub(super) mod state;
pub(super) mod step;
pub(super) mod within;

use std::fmt;

use self::http::Origin;
use super::bindings::types;
use super::budget::render_size;
use crate::model::{ActionId, BlueprintId, Violation};

/// Broken rules in the words of the contract.
fn plain(violations: Vec<Violation>) -> Vec<types::Violation> {
    let violation = |v: Violation| types::Violation {
        path: v.path,
        rule: v.rule,
        message: v.message,
    };
    violations.into_iter().map(violation).collect()
}

/// What may be done with the entities of a blueprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CatalogAccess {
    /// Read them.
    Read,
    /// Create and change them.
    Upsert,
    /// Delete them.
    Delete,
}

/// What may be done in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FilesAccess {
    /// Read and list.
    Read,
    /// Read, list, write, remove and rename.
    ReadWrite,
}

/// One line of power. `Display` is the canonical text: equal powers have equal lines, and the lines of a manifest
/// are compared, stored, shown and diffed as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// Entities of one blueprint.
    Catalog {
        /// What may be done.
        access: CatalogAccess,
        /// With the entities of which blueprint.
        blueprint: BlueprintId,
        /// Only these may be written, sorted: properties, and `$icon`, `$team`, `$title` and `$relations.NAME`; absent:
        /// all of it.
        properties: Option<Vec<String>>,
    },
    /// The real time instead of the run's start.
    Clock,
    /// One named folder.
    Files {
        /// What may be done.
        access: FilesAccess,
        /// Its name in the manifest.
        folder: String,
        /// Bytes of all files in it together.
        max_bytes: u64,
        /// Files and folders in it.
        max_files: u64,
    },
    /// Requests of one method to one form of path.
    Http {
        /// The method, in upper case.
        method: String,
        /// Where to.
        to: Place,
        /// Which paths there.
        path: http::PathPattern,
        /// Only these keys in the query, sorted; none: no query; absent: any.
        query: Option<Vec<String>>,
        /// Which secret the host attaches.
        secret: Option<String>,
        /// Whether the place may have an inside address.
        private: bool,
    },
    /// Real randomness.
    Random,
    /// Start runs of one action.
    RunAction {
        /// Which.
        action: ActionId,
    },
    /// The text of one secret itself.
    Secret {
        /// Its name in the manifest.
        name: String,
    },
    /// The plugin's own small store.
    State,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An endpoint, by its name in the manifest: what an author asks for.
    Endpoint(String),
    /// Scheme, host and port: what a reviewer grants.
    Origin(Origin),
}

/// An interface, or a part of one, that is linked only where the grant holds a line for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Power {
    /// `goldenpath:plugin/catalog`.
    Catalog,
    /// Live `wasi:clocks`.
    Clock,
    /// `goldenpath:plugin/files`.
    Files,
    /// `wasi:http`.
    Http,
    /// Live `wasi:random/random`.
    Random,
    /// `goldenpath:plugin/actions`.
    RunAction,
    /// `goldenpath:plugin/secrets`.
    Secret,
    /// `goldenpath:plugin/state`.
    State,
}

impl Capability {
    /// What has to be linked for it.
    pub(crate) fn power(&self) -> Power {
        match self {
            Self::Catalog { .. } => Power::Catalog,
            Self::Clock => Power::Clock,
            Self::Files { .. } => Power::Files,
            Self::Http { .. } => Power::Http,
            Self::Random => Power::Random,
            Self::RunAction { .. } => Power::RunAction,
            Self::Secret { .. } => Power::Secret,
            Self::State => Power::State,
        }
    }
}

impl Power {
    /// Every power.
    pub(crate) const ALL: [Self; 8] = [
        Self::Catalog,
        Self::Clock,
        Self::Files,
        Self::Http,
        Self::Random,
        Self::RunAction,
        Self::Secret,
        Self::State,
    ];

    /// The word that its lines begin with.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Clock => "clock",
            Self::Files => "files",
            Self::Http => "http",
            Self::Random => "random",
            Self::RunAction => "run-action",
            Self::Secret => "secret",
            Self::State => "state",
        }
    }
}

impl CatalogAccess {
    /// The word in manifests and lines.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

impl FilesAccess {
    /// The word in manifests and lines.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog {
                access,
                blueprint,
                properties,
            } => {
                write!(f, "catalog {} {blueprint}", access.as_str())?;
                match properties {
                    Some(names) => write!(f, " properties {}", names.join(",")),
                    None => Ok(()),
                }
            }
            Self::Clock => f.write_str("clock"),
            Self::Files {
                access,
                folder,
                max_bytes,
                max_files,
            } => {
                let (access, max_bytes) = (access.as_str(), render_size(*max_bytes));
                write!(
                    f,
                    "files {access} {folder} max-bytes {max_bytes} max-files {max_files}"
                )
            }
            Self::Http {
                method,
                to,
                path,
                query,
                secret,
                private,
            } => {
                write!(f, "http {method} {to}{path}")?;
                match query.as_deref() {
                    None => {}
                    Some([]) => f.write_str(" no-query")?,
                    Some(keys) => write!(f, " query {}", keys.join(","))?,
                }
                if let Some(secret) = secret {
                    write!(f, " using {secret}")?;
                }
                f.write_str(if *private { " allow-private" } else { "" })
            }
            Self::Random => f.write_str("random"),
            Self::RunAction { action } => write!(f, "run-action {action}"),
            Self::Secret { name } => write!(f, "secret {name}"),
            Self::State => f.write_str("state"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A path follows, which begins with a slash: behind a name it is a word of its own.
            Self::Endpoint(name) => write!(f, "{name} "),
            Self::Origin(origin) => write!(f, "{origin}"),
        }
    }
}

/// Whether a text can name a folder, an endpoint, a secret or a function.
pub(crate) fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|c| c.is_ascii_lowercase());
    let rest = text
        .bytes()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    first && rest && text.len() <= 63
}

/// Whether a text can name a property of a blueprint in a line.
pub(crate) fn is_property(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "@_.+:=-".contains(c);
    !text.is_empty() && text.len() <= 100 && text.chars().all(allowed)
}

/// What of an entity can be listed in a line beside its properties.
pub(crate) const META: [&str; 3] = ["$icon", "$team", "$title"];

/// Before the name of a relation in such a list.
pub(crate) const RELATION: &str = "$relations.";

/// Whether a text names something of an entity that can be written: a property, a relation, or one of [`META`]. No name
/// of a property in a line begins with `$`, so that they cannot be mistaken for each other.
pub(crate) fn is_writable(text: &str) -> bool {
    match text.strip_prefix(RELATION) {
        Some(relation) => is_property(relation),
        None => META.contains(&text) || is_property(text),
    }
}

/// The lines of some capabilities, sorted.
pub(crate) fn lines(capabilities: &[Capability]) -> Vec<String> {
    let mut lines: Vec<_> = capabilities.iter().map(ToString::to_string).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}
