//! Decisions about versions: what may run, with what, and what no longer may.

mod carried;
mod four_eyes;
#[cfg(test)]
mod tests;
mod upgrade;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::capability::files::Folders;
use super::capability::line::Line;
use super::ceiling::HostCeiling;
use super::error::ReviewError;
use super::grant::{Effective, Grant, misplaced};
use super::manifest::Manifest;
use super::package::Package;
use super::risk::mark;
use super::trust::Trust;
use super::{HostPolicy, PluginHost, apart};
use crate::model::{
    Actor, Approval, AuditEntry, CapabilityReport, Digest, Finding, LineRisk, PluginName,
    PluginState, PluginVersion, Provenance, SecretRequest, Verb, Violation,
};
use crate::store::{self, ReadTx, StoredPlugin, WriteTx};
use upgrade::Before;

/// The longest reason that is kept with a decision.
const REASON_CHARS: usize = 1_000;

impl PluginHost {
    /// What a version asks for, what it was granted, and what its component imports.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn find_report(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<CapabilityReport, ReviewError> {
        let (plugin, wanted) = (name.clone(), version.clone());
        let (policy, trust) = (Arc::clone(&self.policy), self.trust.clone());
        let found = self.backend.store.read(move |tx| {
            let stored = tx.find_plugin(&plugin, &wanted)?.ok_or_else(|| {
                ReviewError::NotFound(format!("version {wanted} of plugin `{plugin}`"))
            })?;
            let active = tx.find_active_plugin(&plugin)?;
            // Of the same moment as what it is about: an approval is refused after any decision since then.
            let eyes = four_eyes::find(tx, &policy, &stored.version)?;
            let revision = revision(tx, &plugin, &policy, &trust)?;
            Ok::<_, ReviewError>((stored, active, revision, eyes))
        });
        let (stored, active, policy_revision, eyes) = found.await?;
        let package = self.find_package(&stored.version).await?;
        let before = self.find_before(&stored, active).await;
        let policy = Arc::clone(&self.policy);
        let came_in = stored.version.installed_at;
        let distrust = self.trust.admit(&package, came_in).err();
        let provenance = self.trust.judge(&package, came_in);
        let read = apart(move || {
            let mut read = report(
                stored,
                package,
                before,
                (policy_revision, provenance),
                &policy,
            );
            let distrust = distrust.map(|distrust| Finding {
                code: "untrusted".to_owned(),
                message: format!("{distrust}; none of it runs"),
            });
            read.findings.extend(distrust.into_iter().chain(eyes));
            read
        });
        Ok(read.await?)
    }

    /// Documents that the package ships, path (`actions/x.json`, `blueprints/…`, `scorecards/…`) to JSON.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn find_resources(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<BTreeMap<String, Value>, ReviewError> {
        let stored = self.find_stored(name, version).await?;
        Ok(self.find_package(&stored.version).await?.resources)
    }

    /// Lets a version run, with what was granted; the version that ran before is superseded.
    ///
    /// # Errors
    /// The version or any decision about its plugin changed since it was read, it was rejected or revoked, lacks
    /// signatures or is forbidden by name, the approval does not fit what it asks for, or somebody else has to approve
    /// it.
    pub async fn approve(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        approval: Approval,
    ) -> Result<PluginVersion, ReviewError> {
        let stored = self.find_stored(name, version).await?;
        let package = self.find_package(&stored.version).await?;
        self.trust.admit(&package, stored.version.installed_at)?;
        let (policy, trust) = (Arc::clone(&self.policy), self.trust.clone());
        let (folders, asked) = (Arc::clone(&self.backend.folders), approval.clone());
        let held = Arc::clone(&policy);
        let decided = apart(move || {
            let grant = allow(&package.manifest, &asked, &held.ceiling, &folders)?;
            let lines = grant.lines(&package.manifest, &held.ceiling);
            Ok((grant, lines))
        });
        let (grant, lines) = decided.await?.map_err(ReviewError::Invalid)?;
        let text = serde_json::to_string(&grant).map_err(|e| store::Error::corrupt("grant", e))?;
        self.decide(actor, name, version, move |tx, actor, found| {
            let version = &found.version;
            four_eyes::check(tx, &policy, actor, version)?;
            if version.digest != approval.digest || version.manifest_hash != approval.manifest_hash
            {
                return Err(changed(version));
            }
            if approval.policy_revision != revision(tx, &version.name, &policy, &trust)? {
                return Err(changed(version));
            }
            match version.state {
                PluginState::Pending | PluginState::Active | PluginState::Superseded => {}
                PluginState::Rejected | PluginState::Revoked => {
                    return Err(wrong_state(version, "approved"));
                }
            }
            if let Some(before) = tx.find_active_plugin(&version.name)?
                && before.version.version != version.version
            {
                supersede(tx, actor, &before)?;
            }
            tx.update_plugin_grant(&version.name, &version.version, &text)?;
            // What they grant now is theirs alone, whoever granted it something else before.
            tx.delete_plugin_grantors(version.digest)?;
            tx.insert_plugin_grantor(version.digest, &actor.name)?;
            let after = json!({
                "state": PluginState::Active,
                "digest": version.digest,
                "manifestHash": version.manifest_hash,
                "granted": lines,
                "folders": grant.folders,
                "bindings": grant.bindings,
            });
            tx.insert_audit(&entry(actor, Verb::Approve, found, after))?;
            Ok(PluginState::Active)
        })
        .await
    }

    /// Refuses a pending version.
    ///
    /// # Errors
    /// There is no such version, or it is not pending.
    pub async fn reject(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        reason: &str,
    ) -> Result<PluginVersion, ReviewError> {
        let reason = shortened(reason);
        self.decide(actor, name, version, move |tx, actor, found| {
            if found.version.state != PluginState::Pending {
                return Err(wrong_state(&found.version, "rejected"));
            }
            let after = json!({ "state": PluginState::Rejected, "reason": reason });
            tx.insert_audit(&entry(actor, Verb::Update, found, after))?;
            Ok(PluginState::Rejected)
        })
        .await
    }

    /// Takes a decision on what the version is at that moment, in one transaction.
    async fn decide(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        decision: impl FnOnce(&WriteTx<'_>, &Actor, &StoredPlugin) -> Result<PluginState, ReviewError>
        + Send
        + 'static,
    ) -> Result<PluginVersion, ReviewError> {
        let (actor, name, version) = (actor.clone(), name.clone(), version.clone());
        let decided = self.settle(move |tx| {
            let found = tx.find_plugin(&name, &version)?.ok_or_else(|| {
                ReviewError::NotFound(format!("version {version} of plugin `{name}`"))
            })?;
            let state = decision(tx, &actor, &found)?;
            tx.update_plugin_state_of(&name, &version, state)?;
            Ok(PluginVersion {
                state,
                ..found.version
            })
        });
        decided.await
    }

    /// Puts a decision on disk, and lets calls that have not begun know.
    async fn settle<T: Send + 'static>(
        &self,
        decision: impl FnOnce(&WriteTx<'_>) -> Result<T, ReviewError> + Send + 'static,
    ) -> Result<T, ReviewError> {
        let host = self.clone();
        // A task of its own: whoever asked may go away between the commit and the count.
        let settling = tokio::spawn(async move {
            let settled = host.backend.store.write(decision).await;
            host.calls.sweep();
            settled
        });
        let settled = settling.await;
        settled.unwrap_or_else(|_| Err(store::Error::Panicked.into()))
    }

    pub(super) async fn find_package(
        &self,
        version: &PluginVersion,
    ) -> Result<Package, ReviewError> {
        let digest = version.digest;
        if let Some(loaded) = self.shelf.find(digest) {
            return Ok(loaded.package.clone());
        }
        let bytes = self
            .backend
            .store
            .read(move |tx| tx.find_plugin_package(digest))
            .await?;
        let bytes = bytes
            .ok_or_else(|| store::Error::corrupt("package", format!("{digest} is missing")))?;
        let read = Package::read_blocking(bytes).await;
        read.map(|(package, _)| package)
            .map_err(|e| ReviewError::Store(store::Error::corrupt("package", e.to_string())))
    }
}

/// Changes with every decision about any version of the plugin, and with what the operator says about grants.
fn revision(
    tx: &ReadTx<'_>,
    name: &PluginName,
    policy: &HostPolicy,
    trust: &Trust,
) -> Result<Digest, store::Error> {
    let known: Vec<_> = tx
        .list_plugins(Some(name))?
        .into_iter()
        .map(|stored| {
            json!([
                stored.version.version,
                stored.version.digest,
                stored.version.state,
                stored.grant
            ])
        })
        .collect();
    let host = json!({
        "ceiling": policy.ceiling.texts(),
        "allowPrivate": policy.allow_private,
        "upgrades": policy.upgrades.as_str(),
        "trust": trust.policy().texts(),
    });
    Ok(Digest::of(json!([host, known]).to_string().as_bytes()))
}

/// Checks a decision by itself, and against the disk.
fn allow(
    manifest: &Manifest,
    approval: &Approval,
    ceiling: &HostCeiling,
    folders: &Folders,
) -> Result<Grant, Vec<Violation>> {
    let misplaced = misplaced(approval, folders);
    match Grant::decide(manifest, approval, ceiling) {
        Ok(grant) if misplaced.is_empty() => Ok(grant),
        Ok(_) => Err(misplaced),
        Err(problems) => Err([problems, misplaced].concat()),
    }
}

/// What is known of a version at one moment.
fn report(
    stored: StoredPlugin,
    package: Package,
    before: Option<Before>,
    (policy_revision, provenance): (Digest, Provenance),
    policy: &HostPolicy,
) -> CapabilityReport {
    let manifest = &package.manifest;
    let ceiling = &policy.ceiling;
    let mut findings = package.findings.clone();
    findings.extend(beyond_ceiling(manifest, ceiling));
    let more = before.map(|before| before.find_more(&stored, &package, &provenance.signers));
    let (carried, more) = more.unwrap_or_default();
    findings.extend(more);
    let grant = stored.grant.as_deref().map(read_grant).transpose();
    // Told, not refused: whoever is to approve it again has to read it first.
    let grant = grant.unwrap_or_else(|error| {
        tracing::error!(%error, plugin = %stored.version.name, version = %stored.version.version, "a grant cannot be read");
        findings.push(Finding {
            code: "grant_unreadable".to_owned(),
            message:
                "what was granted cannot be read; nothing of it runs until it is approved again"
                    .to_owned(),
        });
        None
    });
    let grant = grant.filter(|grant| {
        let is_for = grant.is_for(package.digest, package.manifest_hash);
        findings.extend((!is_for).then(|| Finding {
            code: "drift".to_owned(),
            message: "what was approved is another package; none of it runs".to_owned(),
        }));
        is_for
    });
    let stored_as = |name: &str| grant.as_ref()?.secrets.get(name).cloned();
    let secrets = manifest.secret_requests().map(|(name, request)| {
        let stored = stored_as(&name);
        (name, SecretRequest { stored, ..request })
    });
    let secrets = secrets.collect();
    let power = grant
        .as_ref()
        .map(|grant| Effective::of(manifest, grant, ceiling));
    let granted = power.map(|power| power.lines()).unwrap_or_default();
    let grant = grant.unwrap_or_default();
    let asked = manifest.request.iter().cloned().map(Line::Capability);
    let risks = asked
        .chain(granted.iter().cloned())
        .filter_map(|line| mark(&line));
    let risks: BTreeMap<String, LineRisk> = risks.map(|risk| (risk.line.clone(), risk)).collect();
    let granted: BTreeSet<String> = granted.iter().map(ToString::to_string).collect();
    CapabilityReport {
        digest: stored.version.digest,
        manifest_hash: stored.version.manifest_hash,
        policy_revision,
        state: stored.version.state,
        requested: manifest.lines(),
        granted: granted.into_iter().collect(),
        bindings: grant.bindings,
        folders: grant.folders,
        risks: risks.into_values().collect(),
        secrets,
        endpoints: package.manifest.endpoints,
        reasons: package.manifest.reasons,
        imports: package.imports,
        exports: package.exports,
        sbom: package.sbom,
        provenance,
        documents: package.resources.keys().cloned().collect(),
        shipped: package.resources,
        carried,
        findings,
    }
}

/// Lines that an approval would be refused for, each endpoint at its default.
fn beyond_ceiling(manifest: &Manifest, ceiling: &HostCeiling) -> Vec<Finding> {
    let all = Effective::of(
        manifest,
        &Grant::wholesale(manifest),
        &HostCeiling::default(),
    );
    let excesses = ceiling.beyond(&all.lines()).into_iter();
    excesses
        .map(|excess| Finding {
            code: "beyond_ceiling".to_owned(),
            message: format!("{excess}, which this host's ceiling does not"),
        })
        .collect()
}

/// Another version takes over from this one; runs that have begun go on, and actions that pin it still reach it.
fn supersede(tx: &WriteTx<'_>, actor: &Actor, before: &StoredPlugin) -> Result<(), store::Error> {
    let (version, state) = (&before.version, PluginState::Superseded);
    tx.update_plugin_state_of(&version.name, &version.version, state)?;
    tx.insert_audit(&entry(
        actor,
        Verb::Update,
        before,
        json!({ "state": state }),
    ))
}

fn read_grant(text: &str) -> Result<Grant, store::Error> {
    serde_json::from_str(text).map_err(|e| store::Error::corrupt("grant", e))
}

fn entry<'a>(actor: &'a Actor, verb: Verb, found: &StoredPlugin, after: Value) -> AuditEntry<'a> {
    let version = &found.version;
    AuditEntry {
        actor,
        verb,
        resource: "plugin",
        identifier: format!("{}@{}", version.name, version.version),
        before: Some(json!({ "state": version.state })),
        after: Some(after),
    }
}

fn changed(version: &PluginVersion) -> ReviewError {
    ReviewError::Conflict(format!(
        "plugin `{}` {} is not what was read, or a decision about it was taken since; read its capabilities again",
        version.name, version.version
    ))
}

fn wrong_state(version: &PluginVersion, wanted: &str) -> ReviewError {
    let state = serde_json::to_value(version.state)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default();
    ReviewError::Conflict(format!(
        "plugin `{}` {} is {state} and cannot be {wanted}",
        version.name, version.version
    ))
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_CHARS).collect()
}
