//! Taking power away: revoking a version, going back to an earlier one, ending what runs.

use std::sync::Arc;

use serde_json::json;

use super::{entry, four_eyes, shortened, supersede, wrong_state};
use crate::model::{Actor, AuditEntry, PluginName, PluginState, PluginVersion, UnderWay, Verb};
use crate::plugin::PluginHost;
use crate::plugin::error::ReviewError;
use crate::store::{self, ReadTx, StoredPlugin};

impl PluginHost {
    /// Forbids a version that was approved; no call of it starts any more, and those under way end where that is asked.
    ///
    /// # Errors
    /// There is no such version, or it was never approved.
    pub async fn revoke(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        reason: &str,
        under_way: UnderWay,
    ) -> Result<PluginVersion, ReviewError> {
        let (host, actor, name) = (self.clone(), actor.clone(), name.clone());
        let (version, reason) = (version.clone(), shortened(reason));
        // A task of its own: whoever asked may go away between the commit and the end of the calls.
        let revoking = tokio::spawn(async move {
            let decision = host.decide(&actor, &name, &version, move |tx, actor, found| {
                if !matches!(
                    found.version.state,
                    PluginState::Active | PluginState::Superseded
                ) {
                    return Err(wrong_state(&found.version, "revoked"));
                }
                let after = json!({
                    "state": PluginState::Revoked,
                    "reason": reason,
                    "running": under_way,
                });
                tx.insert_audit(&entry(actor, Verb::Update, found, after))?;
                Ok(PluginState::Revoked)
            });
            let revoked = decision.await?;
            let ended = host.calls.revoke(revoked.digest, under_way);
            tracing::info!(plugin = %name, %version, ended, "a version was revoked");
            Ok(revoked)
        });
        let revoked = revoking.await;
        revoked.unwrap_or_else(|_| Err(store::Error::Panicked.into()))
    }

    /// Lets a version serve again that did before, with what it was granted then: the one that is named, else the
    /// latest before the active one. `from` is the active version that whoever asks has seen.
    ///
    /// # Errors
    /// There is none, or the named one was never approved, is revoked, lacks signatures or is forbidden by name, or
    /// another version than `from` is active, or somebody else has to decide it.
    pub async fn roll_back(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: Option<&semver::Version>,
        from: Option<&semver::Version>,
        reason: &str,
    ) -> Result<PluginVersion, ReviewError> {
        let target_now = self.find_roll_back(name, version, from).await?;
        let package = self.find_package(&target_now).await?;
        self.trust.admit(&package, target_now.installed_at)?;
        let (actor, name, version) = (actor.clone(), name.clone(), version.cloned());
        let (from, reason) = (from.cloned(), shortened(reason));
        let policy = Arc::clone(&self.policy);
        let rolled_back = self.settle(move |tx| {
            let active = tx.find_active_plugin(&name)?;
            seen(&name, from.as_ref(), active.as_ref())?;
            let target = target(tx, &name, version.as_ref(), active.as_ref())?;
            four_eyes::check(tx, &policy, &actor, &target.version)?;
            if let Some(active) = &active {
                supersede(tx, &actor, active)?;
            }
            tx.insert_plugin_grantor(target.version.digest, &actor.name)?;
            let state = PluginState::Active;
            let after = json!({
                "state": state,
                "digest": target.version.digest,
                "reason": reason,
                "rolledBackFrom": active.map(|active| active.version.version),
            });
            tx.insert_audit(&entry(&actor, Verb::Update, &target, after))?;
            tx.update_plugin_state_of(&name, &target.version.version, state)?;
            Ok::<_, ReviewError>(PluginVersion {
                state,
                ..target.version
            })
        });
        rolled_back.await
    }

    /// The version that a roll-back would make the active one.
    ///
    /// # Errors
    /// As [`Self::roll_back`].
    pub async fn find_roll_back(
        &self,
        name: &PluginName,
        version: Option<&semver::Version>,
        from: Option<&semver::Version>,
    ) -> Result<PluginVersion, ReviewError> {
        let (name, version, from) = (name.clone(), version.cloned(), from.cloned());
        let found = self.backend.store.read(move |tx| {
            let active = tx.find_active_plugin(&name)?;
            seen(&name, from.as_ref(), active.as_ref())?;
            let target = target(tx, &name, version.as_ref(), active.as_ref())?;
            Ok::<_, ReviewError>(target.version)
        });
        found.await
    }

    /// Ends every call that is under way, whatever it is of; how many. Later ones begin as ever: what is to begin no
    /// more is revoked.
    ///
    /// # Errors
    /// They ended, but the audit row could not be written.
    pub async fn stop_all(&self, actor: &Actor, reason: &str) -> Result<usize, store::Error> {
        let ended = self.calls.stop();
        let (actor, reason) = (actor.clone(), shortened(reason));
        let written = self.backend.store.write(move |tx| {
            tx.insert_audit(&AuditEntry {
                actor: &actor,
                verb: Verb::Update,
                resource: "plugin",
                identifier: "*".to_owned(),
                before: None,
                after: Some(json!({ "ended": ended, "reason": reason })),
            })
        });
        written.await?;
        Ok(ended)
    }
}

/// Refuses to go back from something else than what was seen: somebody else may have gone back, or on, in between.
fn seen(
    name: &PluginName,
    from: Option<&semver::Version>,
    active: Option<&StoredPlugin>,
) -> Result<(), ReviewError> {
    let active = active.map(|active| &active.version.version);
    match from {
        Some(from) if active != Some(from) => Err(ReviewError::Conflict(format!(
            "version {from} of plugin `{name}` is not the active one any more; look at it again"
        ))),
        _ => Ok(()),
    }
}

fn target(
    tx: &ReadTx<'_>,
    name: &PluginName,
    version: Option<&semver::Version>,
    active: Option<&StoredPlugin>,
) -> Result<StoredPlugin, ReviewError> {
    let known = tx.list_plugins(Some(name))?;
    if known.is_empty() {
        return Err(ReviewError::NotFound(format!("plugin `{name}`")));
    }
    if let Some(version) = version {
        let named = known
            .into_iter()
            .find(|stored| stored.version.version == *version);
        let named = named.ok_or_else(|| {
            ReviewError::NotFound(format!("version {version} of plugin `{name}`"))
        })?;
        return match named.version.state {
            PluginState::Superseded => Ok(named),
            _ => Err(wrong_state(&named.version, "rolled back to")),
        };
    }
    let before = |stored: &StoredPlugin| {
        let earlier = active.is_none_or(|active| stored.version.version < active.version.version);
        stored.version.state == PluginState::Superseded && earlier
    };
    let latest = known
        .into_iter()
        .filter(before)
        .max_by(|a, b| a.version.version.cmp(&b.version.version));
    latest.ok_or_else(|| {
        ReviewError::Conflict(format!(
            "plugin `{name}` has no earlier version that was approved and is not revoked"
        ))
    })
}
