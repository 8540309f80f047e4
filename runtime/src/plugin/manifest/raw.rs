//! The keys of `plugin.toml` as they are written. What is not listed here is an error at load.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::model::Effects;
use crate::plugin::capability::{CatalogAccess, FilesAccess};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) plugin: Plugin,
    #[serde(default)]
    pub(super) endpoints: BTreeMap<Spanned<String>, Endpoint>,
    #[serde(default)]
    pub(super) capabilities: Capabilities,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) actions: Vec<Action>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) name: Spanned<String>,
    pub(super) version: Spanned<String>,
    pub(super) title: Option<Spanned<String>>,
    pub(super) description: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    pub(super) default: Option<Spanned<String>>,
    pub(super) reason: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Capabilities {
    #[serde(default)]
    pub(super) catalog: Vec<Catalog>,
    #[serde(default)]
    pub(super) files: Vec<Files>,
    pub(super) state: Option<Switch>,
    pub(super) clock: Option<Switch>,
    pub(super) random: Option<Switch>,
    #[serde(default)]
    pub(super) http: Vec<Http>,
    #[serde(default)]
    pub(super) secret: Vec<ReadSecret>,
    #[serde(default)]
    pub(super) run_action: Vec<RunAction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalog {
    pub(super) blueprint: Spanned<String>,
    pub(super) access: Spanned<Vec<CatalogAccess>>,
    pub(super) properties: Option<Spanned<Vec<String>>>,
    pub(super) reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Files {
    pub(super) name: Spanned<String>,
    pub(super) access: FilesAccess,
    pub(super) max_bytes: Option<Spanned<String>>,
    pub(super) max_files: Option<Spanned<u64>>,
    pub(super) reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    pub(super) endpoint: Spanned<String>,
    pub(super) methods: Spanned<Vec<String>>,
    pub(super) paths: Spanned<Vec<Spanned<String>>>,
    pub(super) query: Option<Spanned<Vec<String>>>,
    pub(super) secret: Option<Spanned<Secret>>,
    pub(super) reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunAction {
    pub(super) action: Spanned<String>,
    pub(super) reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadSecret {
    pub(super) name: Spanned<String>,
    pub(super) reason: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Secret {
    pub(super) name: Spanned<String>,
    pub(super) header: Spanned<String>,
    pub(super) format: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    pub(super) reason: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    pub(super) wall_time: Option<Spanned<String>>,
    pub(super) cpu_time: Option<Spanned<String>>,
    pub(super) memory: Option<Spanned<String>>,
    pub(super) log: Option<Spanned<String>>,
    pub(super) output: Option<Spanned<String>>,
    pub(super) http_requests: Option<Spanned<u64>>,
    pub(super) http_bytes: Option<Spanned<String>>,
    pub(super) host_calls: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub(super) name: Spanned<String>,
    pub(super) effects: Effects,
}
