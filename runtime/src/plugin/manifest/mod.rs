//! `plugin.toml`: what a plugin's author requests. Every key is enforced by this version or refused here.

mod http;
mod key;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;

pub use self::key::MANIFEST_KEYS;

use self::http::{attached, endpoints, http};
use self::raw::{Catalog, Document, Files};
use super::budget::{Budget, Limits, parse_size};
use super::capability::http::Attachment;
use super::capability::{Capability, CatalogAccess, META, RELATION, is_name, is_writable};
use crate::model::{ActionId, BlueprintId, Effects, PluginName, SecretRequest};

/// A manifest is written by a person; a longer one is an attack on whoever has to read it.
pub(crate) const MAX_BYTES: usize = 64 << 10;

/// `/v1/plugins/stop` is a route.
const RESERVED: &str = "stop";

/// Lines that one reviewer can still read.
const MAX_LINES: usize = 500;

/// Actions of one plugin.
const MAX_ACTIONS: usize = 100;

/// The ceilings of one granted folder, whatever the manifest asks.
const MAX_FOLDER_BYTES: u64 = 16 << 30;
const MAX_FOLDER_FILES: u64 = 1_000_000;

/// A manifest that was read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// Name of the plugin.
    pub(crate) name: PluginName,
    /// Its version.
    pub(crate) version: semver::Version,
    /// Title for people; the name where absent.
    pub(crate) title: String,
    /// What it is for.
    pub(crate) description: String,
    /// Its endpoints, by name, each with the URL that it has where a reviewer says nothing else.
    pub(crate) endpoints: BTreeMap<String, Option<String>>,
    /// How each secret is attached that its lines attach, by name.
    pub(crate) secrets: BTreeMap<String, Attachment>,
    /// What it asks for, sorted by canonical line.
    pub(crate) request: Vec<Capability>,
    /// Why, by canonical line.
    pub(crate) reasons: BTreeMap<String, String>,
    /// The budgets it asks for.
    pub(crate) limits: Limits,
    /// The actions that it carries out, in the order of the file.
    pub(crate) actions: Vec<ActionDeclaration>,
}

/// One `[[actions]]` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActionDeclaration {
    /// Its name.
    pub(crate) name: String,
    /// What a crash in the middle means.
    pub(crate) effects: Effects,
}

/// Why a manifest was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plugin.toml line {line}, `{key}`: {message}")]
pub(crate) struct ManifestError {
    /// Counted from 1.
    pub(crate) line: usize,
    /// The key on that line.
    pub(crate) key: String,
    /// What is wrong with it, and what to write instead.
    pub(crate) message: String,
}

/// A problem with a place in the text.
type Problem = (Range<usize>, String);

impl Manifest {
    /// Reads and checks the text of a `plugin.toml`.
    pub(crate) fn parse(text: &str) -> Result<Self, ManifestError> {
        let located = |(span, message): Problem| locate(text, &span, message);
        if text.len() > MAX_BYTES {
            return Err(located((
                0..0,
                format!("the file is larger than {MAX_BYTES} bytes"),
            )));
        }
        let document: Document = toml::from_str(text)
            .map_err(|e| located((e.span().unwrap_or(0..0), e.message().to_owned())))?;
        build(document).map_err(located)
    }

    /// Every canonical line of the request, capabilities and budgets, sorted.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = super::capability::lines(&self.request);
        lines.extend(self.limits.lines());
        lines.sort_unstable();
        lines
    }

    /// Whether it asks for the text of a secret itself.
    pub(crate) fn reads_secret(&self, name: &str) -> bool {
        let is_it = |c: &Capability| matches!(c, Capability::Secret { name: read } if read == name);
        self.request.iter().any(is_it)
    }

    /// What it does with each of its secrets, which a reviewer has to bind.
    pub(crate) fn secret_requests(&self) -> impl Iterator<Item = (String, SecretRequest)> {
        self.secret_names().into_iter().map(|name| {
            let attached = self.secrets.get(name);
            let request = SecretRequest {
                header: attached.map(|attached| attached.header.to_string()),
                format: attached.map(|attached| attached.format.clone()),
                read: self.reads_secret(name),
                stored: None,
            };
            (name.clone(), request)
        })
    }

    /// Every secret that a reviewer has to bind: those that are attached, and those that are read.
    pub(crate) fn secret_names(&self) -> BTreeSet<&String> {
        let read = self
            .request
            .iter()
            .filter_map(|capability| match capability {
                Capability::Secret { name } => Some(name),
                _ => None,
            });
        self.secrets.keys().chain(read).collect()
    }

    /// One of its actions.
    pub(crate) fn action(&self, name: &str) -> Option<&ActionDeclaration> {
        self.actions.iter().find(|action| action.name == name)
    }
}

fn build(document: Document) -> Result<Manifest, Problem> {
    let plugin = &document.plugin;
    let name = PluginName::parse(plugin.name.as_ref().as_str())
        .map_err(|e| (plugin.name.span(), e.to_string()))?;
    if name.as_str() == RESERVED {
        let message = format!("`{RESERVED}` is a word in the portal's own URLs; take another name");
        return Err((plugin.name.span(), message));
    }
    let version = semver::Version::parse(plugin.version.as_ref()).map_err(|e| {
        (
            plugin.version.span(),
            format!("not a semantic version such as `1.2.0`: {e}"),
        )
    })?;
    let title = match &plugin.title {
        Some(title) => prose(title, 100)?,
        None => name.to_string(),
    };
    let description = plugin
        .description
        .as_ref()
        .map(|text| prose(text, 2_000))
        .transpose()?
        .unwrap_or_default();

    let mut lines = Collected::default();
    for entry in &document.capabilities.catalog {
        catalog(entry, &mut lines)?;
    }
    let mut folders = BTreeSet::new();
    for entry in &document.capabilities.files {
        if !folders.insert(entry.name.as_ref().clone()) {
            return Err((
                entry.name.span(),
                format!("folder `{}` is declared twice", entry.name.as_ref()),
            ));
        }
        files(entry, &mut lines)?;
    }
    let endpoints = endpoints(&document)?;
    let mut secrets = BTreeMap::new();
    for entry in &document.capabilities.http {
        let secret = entry.secret.as_ref();
        let secret = secret.map(|declared| attached(declared, &mut secrets));
        http(entry, &endpoints, secret.transpose()?, &mut lines)?;
    }
    for entry in &document.capabilities.secret {
        let name = word(&entry.name, "a secret")?;
        let place = entry.name.span();
        lines.add(Capability::Secret { name }, &entry.reason, place)?;
    }
    for entry in &document.capabilities.run_action {
        let place = entry.action.span();
        let action = ActionId::parse(entry.action.as_ref().as_str());
        let action = action.map_err(|error| (place.clone(), error.to_string()))?;
        lines.add(Capability::RunAction { action }, &entry.reason, place)?;
    }
    let switches = [
        (&document.capabilities.state, Capability::State),
        (&document.capabilities.clock, Capability::Clock),
        (&document.capabilities.random, Capability::Random),
    ];
    for (entry, capability) in switches {
        if let Some(entry) = entry {
            lines.add(capability, &entry.reason, entry.reason.span())?;
        }
    }
    let (request, reasons) = lines.finish();
    Ok(Manifest {
        name,
        version,
        title,
        description,
        endpoints,
        secrets,
        request,
        reasons,
        limits: document.limits.check()?,
        actions: actions(&document.actions)?,
    })
}

/// The capabilities read so far.
#[derive(Default)]
struct Collected {
    by_line: BTreeMap<String, (Capability, String)>,
}

impl Collected {
    fn add(
        &mut self,
        capability: Capability,
        reason: &Spanned<String>,
        place: Range<usize>,
    ) -> Result<(), Problem> {
        let line = capability.to_string();
        let reason = prose(reason, 500)?;
        if self.by_line.len() >= MAX_LINES {
            return Err((
                place,
                format!("more than {MAX_LINES} capability lines; no reviewer reads that many"),
            ));
        }
        match self.by_line.insert(line, (capability, reason)) {
            None => Ok(()),
            Some((twice, _)) => Err((place, format!("`{twice}` is asked for twice"))),
        }
    }

    fn finish(self) -> (Vec<Capability>, BTreeMap<String, String>) {
        let reasons = self
            .by_line
            .iter()
            .map(|(line, (_, reason))| (line.clone(), reason.clone()))
            .collect();
        (
            self.by_line
                .into_values()
                .map(|(capability, _)| capability)
                .collect(),
            reasons,
        )
    }
}

fn catalog(entry: &Catalog, lines: &mut Collected) -> Result<(), Problem> {
    let place = entry.blueprint.span();
    let blueprint = BlueprintId::parse(entry.blueprint.as_ref().as_str())
        .map_err(|e| (place.clone(), e.to_string()))?;
    let access = entry.access.as_ref();
    if access.is_empty() {
        return Err((
            entry.access.span(),
            "name at least one of `read`, `upsert`, `delete`".to_owned(),
        ));
    }
    let properties = match &entry.properties {
        None => None,
        Some(listed) => Some(property_names(listed)?),
    };
    if let (Some(listed), false) = (&entry.properties, access.contains(&CatalogAccess::Upsert)) {
        return Err((
            listed.span(),
            "an allow-list of properties only limits `upsert`, which is not asked for".to_owned(),
        ));
    }
    for &access in access {
        let properties = properties
            .clone()
            .filter(|_| access == CatalogAccess::Upsert);
        let twice = lines.by_line.values().any(|(known, _)| {
            matches!(known, Capability::Catalog { access: a, blueprint: b, .. } if *a == access && *b == blueprint)
        });
        if twice {
            return Err((
                place,
                format!("`{}` on `{blueprint}` is asked for twice", access.as_str()),
            ));
        }
        let capability = Capability::Catalog {
            access,
            blueprint: blueprint.clone(),
            properties,
        };
        lines.add(capability, &entry.reason, place.clone())?;
    }
    Ok(())
}

fn property_names(listed: &Spanned<Vec<String>>) -> Result<Vec<String>, Problem> {
    let mut names = listed.as_ref().clone();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() || names.len() != listed.as_ref().len() {
        return Err((
            listed.span(),
            "name each property once; leave the key out to allow all of them".to_owned(),
        ));
    }
    match names.iter().find(|name| !is_writable(name)) {
        Some(odd) => Err((
            listed.span(),
            format!(
                "`{}` is neither the name of a property nor one of {}, {RELATION}NAME",
                shown(odd),
                META.join(", ")
            ),
        )),
        None => Ok(names),
    }
}

fn files(entry: &Files, lines: &mut Collected) -> Result<(), Problem> {
    let folder = word(&entry.name, "a folder")?;
    let max_bytes = match &entry.max_bytes {
        Some(text) => parse_size(text.as_ref()).map_err(|message| (text.span(), message))?,
        None => 64 << 20,
    };
    let max_files = entry
        .max_files
        .as_ref()
        .map_or(10_000, |count| *count.as_ref());
    let bound = |value: u64, most: u64, place: Range<usize>| match value {
        0 => Err((place, "0 allows nothing; leave the folder out".to_owned())),
        value if value > most => Err((
            place,
            format!("{value} is above this host's ceiling {most}"),
        )),
        _ => Ok(()),
    };
    bound(
        max_bytes,
        MAX_FOLDER_BYTES,
        entry
            .max_bytes
            .as_ref()
            .map_or(entry.name.span(), Spanned::span),
    )?;
    bound(
        max_files,
        MAX_FOLDER_FILES,
        entry
            .max_files
            .as_ref()
            .map_or(entry.name.span(), Spanned::span),
    )?;
    let capability = Capability::Files {
        access: entry.access,
        folder,
        max_bytes,
        max_files,
    };
    lines.add(capability, &entry.reason, entry.name.span())
}

fn actions(entries: &[raw::Action]) -> Result<Vec<ActionDeclaration>, Problem> {
    let mut known = BTreeSet::new();
    let mut actions = Vec::new();
    for entry in entries {
        let name = word(&entry.name, "an action")?;
        if actions.len() >= MAX_ACTIONS {
            return Err((
                entry.name.span(),
                format!("a plugin has at most {MAX_ACTIONS} actions"),
            ));
        }
        if !known.insert(name.clone()) {
            return Err((
                entry.name.span(),
                format!("action `{name}` is declared twice"),
            ));
        }
        actions.push(ActionDeclaration {
            name,
            effects: entry.effects,
        });
    }
    if actions.is_empty() {
        return Err((
            0..0,
            "declare at least one `[[actions]]` with `name` and `effects`".to_owned(),
        ));
    }
    Ok(actions)
}

impl raw::Limits {
    fn check(&self) -> Result<Limits, Problem> {
        let mut limits = Limits::default();
        let texts = [
            (Budget::WallTime, &self.wall_time),
            (Budget::CpuTime, &self.cpu_time),
            (Budget::Memory, &self.memory),
            (Budget::Log, &self.log),
            (Budget::Output, &self.output),
            (Budget::HttpBytes, &self.http_bytes),
        ];
        for (budget, text) in texts {
            if let Some(text) = text {
                limits.set(
                    budget,
                    budget
                        .parse(text.as_ref())
                        .map_err(|message| (text.span(), message))?,
                );
            }
        }
        for (budget, count) in [
            (Budget::HttpRequests, &self.http_requests),
            (Budget::HostCalls, &self.host_calls),
        ] {
            if let Some(count) = count {
                limits.set(
                    budget,
                    budget
                        .check(*count.as_ref())
                        .map_err(|message| (count.span(), message))?,
                );
            }
        }
        Ok(limits)
    }
}

/// A short name of a folder, an endpoint or an action.
fn word(text: &Spanned<String>, what: &str) -> Result<String, Problem> {
    let name = text.as_ref();
    if is_name(name) {
        return Ok(name.clone());
    }
    let rule = "1 to 63 lower-case letters, digits and -, a letter first";
    Err((
        text.span(),
        format!("`{}` cannot be the name of {what}: use {rule}", shown(name)),
    ))
}

/// Text for people: bounded, not blank, without control characters that could forge a line of a report.
fn prose(text: &Spanned<String>, longest: usize) -> Result<String, Problem> {
    let value = text.as_ref().trim();
    if value.is_empty() || value.chars().count() > longest {
        return Err((text.span(), format!("write 1 to {longest} characters")));
    }
    if value.chars().any(|c| c.is_control() && c != '\n') {
        return Err((text.span(), "control characters are not allowed".to_owned()));
    }
    Ok(value.to_owned())
}

/// The beginning of a text that somebody else chose, for a message.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// Turns a place in the text into a line and the key that stands on it.
fn locate(text: &str, span: &Range<usize>, message: String) -> ManifestError {
    let start = span.start.min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let content = text.lines().nth(line - 1).unwrap_or_default().trim();
    let key = match content.split_once('=') {
        Some((key, _)) => key.trim(),
        None => content.trim_matches(['[', ']', ' ']),
    };
    ManifestError {
        line,
        key: shown(key),
        message,
    }
}
