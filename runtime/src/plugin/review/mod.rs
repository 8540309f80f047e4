//! Decisions about versions: what may run, with what, and what no longer may.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::PluginHost;
use super::error::ReviewError;
use super::grant::Grant;
use super::package::Package;
use crate::model::{
    Actor, Approval, AuditEntry, CapabilityReport, Digest, PluginName, PluginState, PluginVersion,
    Verb,
};
use crate::store::{self, ReadTx, StoredPlugin, WriteTx};

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
        let stored = self.find_stored(name, version).await?;
        let package = self.find_package(&stored.version).await?;
        let plugin = name.clone();
        let policy_revision = self
            .backend
            .store
            .read(move |tx| revision(tx, &plugin))
            .await?;
        let granted = stored
            .grant
            .as_deref()
            .map(read_grant)
            .transpose()?
            .map(|grant| grant.lines(&package.manifest));
        Ok(CapabilityReport {
            digest: stored.version.digest,
            manifest_hash: stored.version.manifest_hash,
            policy_revision,
            state: stored.version.state,
            requested: package.manifest.lines(),
            granted: granted.unwrap_or_default(),
            reasons: package.manifest.reasons,
            imports: package.imports,
            findings: package.findings,
        })
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
    /// The version or any decision about its plugin changed since it was read, it was rejected or revoked, or the
    /// approval does not fit what it asks for.
    pub async fn approve(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        approval: Approval,
    ) -> Result<PluginVersion, ReviewError> {
        let stored = self.find_stored(name, version).await?;
        let package = self.find_package(&stored.version).await?;
        let grant = Grant::decide(&package.manifest, &approval).map_err(ReviewError::Invalid)?;
        let text = serde_json::to_string(&grant).map_err(|e| store::Error::corrupt("grant", e))?;
        let lines = grant.lines(&package.manifest);
        self.decide(actor, name, version, move |tx, actor, found| {
            let version = &found.version;
            if version.digest != approval.digest || version.manifest_hash != approval.manifest_hash
            {
                return Err(changed(version));
            }
            if let Some(read) = approval.policy_revision
                && read != revision(tx, &version.name)?
            {
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
                tx.update_plugin_state_of(
                    &version.name,
                    &before.version.version,
                    PluginState::Superseded,
                )?;
                tx.insert_audit(&entry(
                    actor,
                    Verb::Update,
                    &before,
                    json!({ "state": PluginState::Superseded }),
                ))?;
            }
            tx.update_plugin_grant(&version.name, &version.version, &text)?;
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

    /// Forbids a version that was approved; no call of it starts any more.
    ///
    /// # Errors
    /// There is no such version, or it was never approved.
    pub async fn revoke(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        reason: &str,
    ) -> Result<PluginVersion, ReviewError> {
        let reason = shortened(reason);
        self.decide(actor, name, version, move |tx, actor, found| {
            if !matches!(
                found.version.state,
                PluginState::Active | PluginState::Superseded
            ) {
                return Err(wrong_state(&found.version, "revoked"));
            }
            let after = json!({ "state": PluginState::Revoked, "reason": reason });
            tx.insert_audit(&entry(actor, Verb::Update, found, after))?;
            Ok(PluginState::Revoked)
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
        let decided = self.backend.store.write(move |tx| {
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

    async fn find_package(&self, version: &PluginVersion) -> Result<Package, ReviewError> {
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

/// Changes with every decision about any version of the plugin.
fn revision(tx: &ReadTx<'_>, name: &PluginName) -> Result<Digest, store::Error> {
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
    Ok(Digest::of(Value::Array(known).to_string().as_bytes()))
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
