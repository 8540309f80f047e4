//! Every power that a plugin can have, each as one canonical line of text.

pub(super) mod catalog;
pub(super) mod files;
pub(super) mod http;
pub(super) mod log;
pub(super) mod state;

use std::fmt;

use super::budget::render_size;
use crate::model::BlueprintId;

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
        /// Only these properties may be written, sorted; absent: all.
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
    /// Requests of one method to one form of path of an endpoint.
    Http {
        /// The method, in upper case.
        method: String,
        /// The endpoint's name in the manifest.
        endpoint: String,
        /// Which paths.
        path: http::PathPattern,
    },
    /// Real randomness.
    Random,
    /// The plugin's own small store.
    State,
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
            Self::State => Power::State,
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
                endpoint,
                path,
            } => write!(f, "http {method} {endpoint} {path}"),
            Self::Random => f.write_str("random"),
            Self::State => f.write_str("state"),
        }
    }
}

/// The lines of some capabilities, sorted.
pub(crate) fn lines(capabilities: &[Capability]) -> Vec<String> {
    let mut lines: Vec<_> = capabilities.iter().map(ToString::to_string).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}
