//! What one call may do: what the manifest requests, cut down to what the grant allows and the host's ceilings.

mod decide;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::budget::{Budget, Limits};
use super::capability::http::{BaseUrl, BoundSecret, HttpRule, Rules};
use super::capability::line::Line;
use super::capability::within::Maximum;
use super::capability::{Capability, CatalogAccess, FilesAccess, Place, Power};
use super::ceiling::HostCeiling;
use super::manifest::Manifest;
use super::package::Package;
use crate::model::{ActionId, Binding, BlueprintId, Digest, SecretName};
pub(crate) use decide::misplaced;

/// A reviewer's decision as it is stored, bound to one digest and manifest hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    /// What was read before it was allowed; absent in grants of the first form, which only their row binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<Reviewed>,
    /// The granted lines, without budgets.
    pub(crate) lines: BTreeSet<String>,
    /// The granted budgets, by key.
    pub(crate) limits: BTreeMap<String, u64>,
    /// Folder name to an absolute path, for those that are not at their default.
    pub(crate) folders: BTreeMap<String, String>,
    /// Endpoint name to where it is, for every endpoint that a granted line names.
    pub(crate) bindings: BTreeMap<String, Binding>,
    /// Secret of the manifest to the name of a stored one, for every secret that a granted line names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) secrets: BTreeMap<String, String>,
}

/// The one package that a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reviewed {
    /// Hash of the whole file.
    pub(crate) digest: Digest,
    /// Hash of the manifest alone.
    pub(crate) manifest_hash: Digest,
}

/// The power of one call.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    /// Every capability that is both requested and granted.
    pub(crate) capabilities: Vec<Capability>,
    /// The lower of requested, granted and the host's ceiling.
    pub(crate) limits: Limits,
    /// Folders that a reviewer bound elsewhere.
    pub(crate) folders: BTreeMap<String, String>,
    /// The granted HTTP lines, each bound to a URL.
    pub(crate) http: Rules,
    /// Secrets whose text it may read, each bound to a stored one.
    pub(crate) secrets: BTreeMap<String, SecretName>,
}

/// One granted folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GrantedFolder<'a> {
    /// The place of its line.
    pub(crate) place: usize,
    /// Its name.
    pub(crate) name: &'a str,
    /// What may be done in it.
    pub(crate) access: FilesAccess,
    /// Its quotas.
    pub(crate) max_bytes: u64,
    pub(crate) max_files: u64,
}

impl GrantedFolder<'_> {
    /// Its line, for no more than one access.
    pub(crate) fn only_for(&self, access: FilesAccess) -> Capability {
        Capability::Files {
            access,
            folder: self.name.to_owned(),
            max_bytes: self.max_bytes,
            max_files: self.max_files,
        }
    }
}

impl Grant {
    /// All that was asked for, with every endpoint that has a default there.
    pub(crate) fn wholesale(manifest: &Manifest) -> Self {
        let defaults = manifest.endpoints.iter().filter_map(|(name, default)| {
            let binding = Binding {
                urls: vec![default.clone()?],
                allow_private: false,
                allow_plaintext: true,
            };
            Some((name.clone(), binding))
        });
        Self {
            of: None,
            lines: manifest.request.iter().map(ToString::to_string).collect(),
            limits: manifest.limits.by_key(),
            folders: BTreeMap::new(),
            bindings: defaults.collect(),
            secrets: manifest
                .secret_names()
                .into_iter()
                .map(|name| (name.clone(), name.clone()))
                .collect(),
        }
    }

    /// The same decision for another version of the plugin: of what that asks for, whatever was allowed already. It
    /// never allows more than this grant does. `None` where this grant cannot be read.
    pub(crate) fn carried(&self, package: &Package) -> Option<Self> {
        let granted = self.lines.iter().map(|line| Line::parse(line).ok());
        let granted = granted.collect::<Option<Maximum>>()?;
        let request = package.manifest.request.iter();
        let lines: BTreeSet<String> = request
            .filter(|capability| granted.holds(&Line::Capability((*capability).clone())))
            .map(ToString::to_string)
            .collect();
        let declared = &package.manifest;
        let keeps_folder = |folder: &&String| {
            let is_it =
                |c: &Capability| matches!(c, Capability::Files { folder: f, .. } if f == *folder);
            declared.request.iter().any(is_it)
        };
        Some(Self {
            of: Some(Reviewed {
                digest: package.digest,
                manifest_hash: package.manifest_hash,
            }),
            lines,
            limits: declared.limits.min(&self.limits()).by_key(),
            folders: self
                .folders
                .iter()
                .filter(|(folder, _)| keeps_folder(folder))
                .map(|(folder, path)| (folder.clone(), path.clone()))
                .collect(),
            bindings: self
                .bindings
                .iter()
                .filter(|(name, _)| declared.endpoints.contains_key(*name))
                .map(|(name, binding)| (name.clone(), binding.clone()))
                .collect(),
            secrets: self
                .secrets
                .iter()
                .filter(|(name, _)| declared.secret_names().contains(name))
                .map(|(name, stored)| (name.clone(), stored.clone()))
                .collect(),
        })
    }

    /// Whether it is for this very package.
    pub(crate) fn is_for(&self, digest: Digest, manifest_hash: Digest) -> bool {
        self.of
            .is_none_or(|of| of.digest == digest && of.manifest_hash == manifest_hash)
    }

    /// The canonical lines that a reviewer granted, capabilities and budgets, sorted. Where the request names an
    /// endpoint, the grant shows its URL.
    pub(crate) fn lines(&self, manifest: &Manifest, ceiling: &HostCeiling) -> Vec<String> {
        let power = Effective::of(manifest, self, ceiling);
        let mut lines: Vec<_> = power.lines().iter().map(ToString::to_string).collect();
        lines.sort_unstable();
        lines
    }

    /// The granted budgets.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for budget in Budget::ALL {
            // A budget that the stored grant does not name was never granted.
            let granted = self.limits.get(budget.key()).copied().unwrap_or(0);
            limits.set(budget, granted.min(budget.most()));
        }
        limits
    }
}

/// A secret of the manifest as the grant binds it.
fn bound_secret(name: &str, manifest: &Manifest, grant: &Grant) -> Option<BoundSecret> {
    Some(BoundSecret {
        name: name.to_owned(),
        stored: SecretName::parse(grant.secrets.get(name)?).ok()?,
        attachment: manifest.secrets.get(name)?.clone(),
    })
}

/// One line for every URL that its endpoint is bound to. A binding that cannot be read allows nothing.
fn rules(capability: &Capability, manifest: &Manifest, grant: &Grant) -> Vec<HttpRule> {
    let Capability::Http {
        method,
        to: Place::Endpoint(endpoint),
        path,
        query,
        secret,
        private: false,
    } = capability
    else {
        return Vec::new();
    };
    let Some(binding) = grant.bindings.get(endpoint.as_str()) else {
        return Vec::new();
    };
    let secret = match secret {
        None => None,
        Some(name) => match bound_secret(name, manifest, grant) {
            Some(secret) => Some(secret),
            // Without it, it would be another power than the one that was granted.
            None => return Vec::new(),
        },
    };
    let bases = binding
        .urls
        .iter()
        .filter_map(|url| BaseUrl::parse(url).ok());
    let bases = bases.filter(|base| base.origin.encrypted || binding.allow_plaintext);
    bases
        .map(|base| HttpRule {
            method: method.clone(),
            endpoint: endpoint.clone(),
            base,
            path: path.clone(),
            query: query.clone(),
            secret: secret.clone(),
            private: binding.allow_private,
        })
        .collect()
}

impl Effective {
    /// Request ∩ grant ∩ ceiling.
    pub(crate) fn of(manifest: &Manifest, grant: &Grant, ceiling: &HostCeiling) -> Self {
        let mut power = Self {
            capabilities: Vec::new(),
            limits: ceiling.lower(manifest.limits.min(&grant.limits())),
            folders: grant.folders.clone(),
            http: Rules::default(),
            secrets: BTreeMap::new(),
        };
        let mut http = Vec::new();
        for capability in &manifest.request {
            if !grant.lines.contains(&capability.to_string()) {
                continue;
            }
            let below = |line: Capability| ceiling.holds(&Line::Capability(line));
            let allowed = match capability {
                Capability::Http { .. } => {
                    let mut rules = rules(capability, manifest, grant);
                    rules.retain(|rule| below(rule.line()));
                    let bound = !rules.is_empty();
                    http.extend(rules);
                    bound
                }
                Capability::Secret { name } => {
                    let stored = grant.secrets.get(name);
                    let stored = stored.and_then(|stored| SecretName::parse(stored).ok());
                    let bound = stored.filter(|_| below(capability.clone()));
                    bound.is_some_and(|stored| {
                        power.secrets.insert(name.clone(), stored);
                        true
                    })
                }
                _ => below(capability.clone()),
            };
            if allowed {
                power.capabilities.push(capability.clone());
            }
        }
        power.http = http.into();
        power
    }

    /// Nothing but the baseline.
    pub(crate) fn nothing() -> Self {
        Self {
            capabilities: Vec::new(),
            limits: Limits::default(),
            folders: BTreeMap::new(),
            http: Rules::default(),
            secrets: BTreeMap::new(),
        }
    }

    /// What has to be linked.
    pub(crate) fn powers(&self) -> BTreeSet<Power> {
        self.capabilities.iter().map(Capability::power).collect()
    }

    /// All of it as lines, endpoints as the URLs that they are bound to.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let unbound = self.capabilities.iter();
        let unbound = unbound.filter(|capability| capability.power() != Power::Http);
        let bound = self.http.iter().map(HttpRule::line);
        let limits = Budget::ALL.map(|budget| Line::Limit(budget, self.limits.get(budget)));
        let capabilities = unbound.cloned().chain(bound).map(Line::Capability);
        capabilities.chain(limits).collect()
    }

    /// The same without budgets.
    pub(crate) fn capability_lines(&self) -> Vec<Line> {
        let mut lines = self.lines();
        lines.retain(|line| matches!(line, Line::Capability(_)));
        lines
    }

    /// Whether an access to a blueprint's entities was granted at all.
    pub(crate) fn touches(&self, wanted: CatalogAccess, on: &BlueprintId) -> bool {
        self.find_access(wanted, on).is_some()
    }

    /// The first line for an access to a blueprint's entities.
    pub(crate) fn find_access(&self, wanted: CatalogAccess, on: &BlueprintId) -> Option<usize> {
        self.catalog(wanted, on).next().map(|(place, _)| place)
    }

    /// The line that allows to write a blueprint's entities with these properties and what else of them a line can list;
    /// where `replaces` is set all others are cleared, which is a write of them as well. Of several the one that lists the
    /// fewest, then the first.
    pub(crate) fn find_write(
        &self,
        on: &BlueprintId,
        properties: &[&str],
        replaces: bool,
    ) -> Option<usize> {
        let listed = |listed: &[String]| {
            !replaces
                && properties
                    .iter()
                    .all(|name| listed.iter().any(|listed| listed == name))
        };
        self.catalog(CatalogAccess::Upsert, on)
            .filter(|(_, line)| line.is_none_or(listed))
            .min_by_key(|(place, line)| (line.map_or(usize::MAX, <[String]>::len), *place))
            .map(|(place, _)| place)
    }

    /// What may be written of a blueprint's entities, as far as lines list it.
    pub(crate) fn writable(&self, on: &BlueprintId) -> BTreeSet<String> {
        let lines = self.catalog(CatalogAccess::Upsert, on);
        lines
            .filter_map(|(_, line)| line)
            .flatten()
            .cloned()
            .collect()
    }

    /// The lines for an access to a blueprint's entities, each with its place: with which properties (`None`: all).
    fn catalog<'a>(
        &'a self,
        wanted: CatalogAccess,
        on: &'a BlueprintId,
    ) -> impl Iterator<Item = (usize, Option<&'a [String]>)> {
        let lines = self.capabilities.iter().enumerate();
        lines.filter_map(move |(place, capability)| match capability {
            Capability::Catalog {
                access,
                blueprint,
                properties,
            } if *access == wanted && blueprint == on => Some((place, properties.as_deref())),
            _ => None,
        })
    }

    /// The action, where its runs may be started, and the place of the line.
    pub(crate) fn startable(&self, name: &str) -> Option<(usize, ActionId)> {
        let mut lines = self.capabilities.iter().enumerate();
        lines.find_map(|(place, capability)| match capability {
            Capability::RunAction { action } if action.as_str() == name => {
                Some((place, action.clone()))
            }
            _ => None,
        })
    }

    /// The stored secret behind one whose text may be read, and the place of the line.
    pub(crate) fn readable(&self, wanted: &str) -> Option<(usize, SecretName)> {
        let stored = self.secrets.get(wanted)?;
        let is_it = |c: &Capability| matches!(c, Capability::Secret { name } if name == wanted);
        Some((self.capabilities.iter().position(is_it)?, stored.clone()))
    }

    /// The line of a folder.
    pub(crate) fn folder(&self, wanted: &str) -> Option<GrantedFolder<'_>> {
        let mut lines = self.capabilities.iter().enumerate();
        lines.find_map(|(place, capability)| match capability {
            Capability::Files {
                access,
                folder,
                max_bytes,
                max_files,
            } if folder == wanted => Some(GrantedFolder {
                place,
                name: folder,
                access: *access,
                max_bytes: *max_bytes,
                max_files: *max_files,
            }),
            _ => None,
        })
    }

    /// The first line of a power.
    pub(crate) fn position(&self, power: Power) -> Option<usize> {
        self.capabilities
            .iter()
            .position(|line| line.power() == power)
    }
}
