//! What a reviewer reads of a version beside its lines: marks, and what changed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Binding, Digest, Finding};

/// How much harm a line could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nothing that leaves the run, or only reading what most people may read.
    Low,
    /// Changes of a bounded kind.
    Medium,
    /// To be looked at twice.
    High,
}

/// A line with its mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LineRisk {
    /// The line, as it was asked for or granted.
    pub line: String,
    /// The mark.
    pub risk: Risk,
    /// What for, one sentence each.
    pub why: Vec<String>,
}

/// One version of two that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionMark {
    /// The version.
    #[schema(value_type = String)]
    pub version: semver::Version,
    /// Hash of the whole file.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Hash of the manifest alone.
    #[schema(value_type = String)]
    pub manifest_hash: Digest,
}

/// Something that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What it was; absent where it is new.
    pub from: Option<String>,
    /// What it is; absent where it is gone.
    pub to: Option<String>,
}

/// What changes from one version of a plugin to another. Lines and budgets are those that the manifests ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionDiff {
    /// Name of the plugin.
    pub name: String,
    /// The one version.
    pub from: VersionMark,
    /// The other.
    pub to: VersionMark,
    /// Canonical lines that are new.
    pub added: Vec<String>,
    /// How much harm each of the new lines could do.
    pub risks: Vec<LineRisk>,
    /// Canonical lines that are gone.
    pub removed: Vec<String>,
    /// Canonical lines in both.
    pub unchanged: Vec<String>,
    /// Budgets with another value.
    pub budgets: Vec<Change>,
    /// Endpoints that are somewhere else unless a reviewer binds them.
    pub endpoints: Vec<Change>,
    /// Interfaces that only one component imports.
    pub imports: Vec<Change>,
    /// Functions, by what a crash of them means.
    pub actions: Vec<Change>,
    /// Schemas of functions (`NAME input`, `NAME output`), by their hash.
    pub schemas: Vec<Change>,
    /// Shipped documents, by their hash.
    pub documents: Vec<Change>,
    /// Tools that built them, by their versions.
    pub tools: Vec<Change>,
    /// Libraries that they say they were built from, by their versions.
    pub dependencies: Vec<Change>,
    /// Keys that signed only one of them, by whose they are, as far as that is known here.
    pub signers: Vec<Change>,
    /// What a reviewer should look at that is no line: a signer that signed `from` and not `to`.
    pub findings: Vec<Finding>,
    /// One sentence for each thing that `to` asks for and `from` does not, with something that it would allow; where
    /// there is none, all that `to` asks for was asked for before.
    pub asks_more: Vec<String>,
}

/// What was decided about a plugin before, as far as it fits the version that is read. An approval that repeats it undoes
/// nothing of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// The version that it was decided about.
    #[schema(value_type = String)]
    pub from: semver::Version,
    /// Requested lines that are denied there.
    pub deny: Vec<String>,
    /// Budgets that were lowered there.
    pub limits: BTreeMap<String, String>,
    /// Endpoints that are not at their default there.
    pub bindings: BTreeMap<String, Binding>,
    /// Folders that are not at their default there.
    pub folders: BTreeMap<String, String>,
    /// Which stored secret each of the manifest's secrets is there, of those that are attached in the same way.
    pub secrets: BTreeMap<String, String>,
}

impl VersionDiff {
    /// Whether both may do the same, have the same signers, and name the same tools and dependencies. Their own code may differ all the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && [
                &self.budgets,
                &self.endpoints,
                &self.imports,
                &self.actions,
                &self.schemas,
                &self.documents,
                &self.tools,
                &self.dependencies,
                &self.signers,
            ]
            .into_iter()
            .all(Vec::is_empty)
    }
}
