//! Upgrades: a version that asks for nothing new takes over what its predecessor was granted.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::carried::Decided;
use super::{entry, four_eyes, read_grant, supersede};
use crate::model::{
    Actor, Carried, Finding, PluginState, PluginVersion, Timestamp, UpgradePolicy, Verb,
    VersionDiff,
};
use crate::plugin::diff::compare;
use crate::plugin::error::ReviewError;
use crate::plugin::grant::Grant;
use crate::plugin::package::Package;
use crate::plugin::{HostPolicy, PluginHost, apart};
use crate::store::{self, ReadTx, StoredPlugin, WriteTx};

/// What a new version takes over from the active one, once that is still what it was.
#[derive(Clone, Debug)]
pub(in crate::plugin) struct Upgrade {
    before: StoredPlugin,
    grant: Grant,
    lines: Vec<String>,
}

/// An upgrade that holds in this transaction.
pub(in crate::plugin) struct Confirmed(Upgrade);

/// The version that was decided about before another one is.
pub(super) struct Before {
    stored: StoredPlugin,
    package: Result<Package, ReviewError>,
    /// Who of those that are trusted here signed it.
    signers: BTreeSet<String>,
}

impl Before {
    /// What a version that waits asks for on top, whose signature it lacks, and what an approval would undo of what was
    /// granted before: all that a reviewer has to look at.
    pub(super) fn find_more(
        self,
        stored: &StoredPlugin,
        package: &Package,
        signers: &BTreeSet<String>,
    ) -> (Option<Carried>, Vec<Finding>) {
        let version = self.stored.version.version.clone();
        let (predecessor, more) = match self.package {
            Ok(predecessor) => {
                let more = compare(&predecessor, package, &|_| None).asks_more;
                (Some(predecessor), more)
            }
            Err(error) => {
                let told = format!("version {version} cannot be compared: {error}");
                (None, vec![told])
            }
        };
        let finding = |more: String| Finding {
            code: "asks_for_more".to_owned(),
            message: format!("{more}; the active version {version} does not ask for that"),
        };
        let waits = stored.version.state == PluginState::Pending;
        let more = more.into_iter().map(finding);
        let lacks = lacking(&self.signers, signers);
        let lacks = lacks.into_iter().map(|message| Finding {
            code: "lacks_signature".to_owned(),
            message,
        });
        let mut findings: Vec<Finding> = more.chain(lacks).filter(|_| waits).collect();
        let (carried, told) = Decided::of(&self.stored, predecessor).carried(package);
        findings.extend(told);
        (carried, findings)
    }
}

impl PluginHost {
    /// What a new version takes over, where policy and its request let it; else why a reviewer has to look at it.
    pub(in crate::plugin) async fn find_upgrade(
        &self,
        package: &Package,
    ) -> Result<Result<Upgrade, Vec<String>>, ReviewError> {
        let waits = |why: &str| Ok(Err(vec![why.to_owned()]));
        let name = package.manifest.name.clone();
        let found = self.backend.store.read(move |tx| {
            let active = tx.find_active_plugin(&name)?;
            let turned_down = active.as_ref().map(|active| turned_down(tx, active));
            Ok::<_, store::Error>((active, turned_down.transpose()?.flatten()))
        });
        let (active, turned_down) = found.await?;
        let Some(before) = active else {
            return waits("no version of it is active");
        };
        if let Some(later) = turned_down {
            return waits(&format!(
                "version {later}, which is later than the active one, serves no more: somebody decided so"
            ));
        }
        if self.policy.upgrades == UpgradePolicy::Review {
            return waits("every version waits for a reviewer here");
        }
        let version = &package.manifest.version;
        if *version <= before.version.version || !version.pre.is_empty() {
            return waits("it is no later release than the active one");
        }
        // A predecessor that cannot be read is a reason to look at the new version, not one to refuse it.
        let predecessor = match self.find_package(&before.version).await {
            Ok(predecessor) => predecessor,
            Err(error) => return waits(&format!("the active version cannot be read: {error}")),
        };
        let signed = |package, at| self.trust.judge(package, at).signers;
        let lacks = lacking(
            &signed(&predecessor, before.version.installed_at),
            &signed(package, Timestamp::now()),
        );
        let (package, policy) = (package.clone(), Arc::clone(&self.policy));
        let found = apart(move || take_over(before, &predecessor, &package, &policy)).await?;
        Ok(match found {
            Ok(upgrade) if lacks.is_empty() => Ok(upgrade),
            Ok(_) => Err(lacks),
            Err(more) => Err(lacks.into_iter().chain(more).collect()),
        })
    }

    /// What was decided about before a version that may still be approved: the active one, or where none is, itself.
    pub(super) async fn find_before(
        &self,
        stored: &StoredPlugin,
        active: Option<StoredPlugin>,
    ) -> Option<Before> {
        if matches!(
            stored.version.state,
            PluginState::Rejected | PluginState::Revoked
        ) {
            return None;
        }
        let before = active.or_else(|| stored.grant.is_some().then(|| stored.clone()))?;
        let package = self.find_package(&before.version).await;
        let read = package.as_ref().ok();
        let judged = read.map(|package| self.trust.judge(package, before.version.installed_at));
        Some(Before {
            stored: before,
            package,
            signers: judged.map(|found| found.signers).unwrap_or_default(),
        })
    }

    /// What changes from one version to another.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn diff_versions(
        &self,
        name: &crate::model::PluginName,
        from: &semver::Version,
        to: &semver::Version,
    ) -> Result<VersionDiff, ReviewError> {
        let from = self.find_stored(name, from).await?;
        let to = self.find_stored(name, to).await?;
        let from = self.find_package(&from.version).await?;
        let to = self.find_package(&to.version).await?;
        let trust = self.trust.clone();
        Ok(apart(move || {
            let policy = trust.policy();
            compare(&from, &to, &|key| policy.signer(key).map(str::to_owned))
        })
        .await?)
    }
}

impl Upgrade {
    /// Looks once more, in the transaction that installs the version: whether a decision about the plugin was taken
    /// meanwhile, and whether somebody else than who installed it gave the power that it would take over.
    pub(in crate::plugin) fn confirm(
        self,
        tx: &ReadTx<'_>,
        policy: &HostPolicy,
        actor: &Actor,
        installed: &PluginVersion,
    ) -> Result<Result<Confirmed, Vec<String>>, store::Error> {
        let before = &self.before;
        let unchanged = tx
            .find_active_plugin(&installed.name)?
            .is_some_and(|now| now.version == before.version && now.grant == before.grant);
        if !unchanged || turned_down(tx, before)?.is_some() {
            let why = "a decision about the plugin was taken while it was installed";
            return Ok(Err(vec![why.to_owned()]));
        }
        let theirs = four_eyes::find_self_granted(tx, policy, actor, &before.version, installed)?;
        Ok(match theirs {
            Some(why) => Err(vec![why]),
            None => Ok(Confirmed(self)),
        })
    }
}

impl Confirmed {
    /// Makes the new version the active one, in the transaction that confirmed it.
    pub(in crate::plugin) fn apply(
        self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        installed: &PluginVersion,
    ) -> Result<PluginState, store::Error> {
        let Upgrade {
            before,
            grant,
            lines,
        } = self.0;
        let text =
            serde_json::to_string(&grant).map_err(|error| store::Error::corrupt("grant", error))?;
        supersede(tx, actor, &before)?;
        tx.update_plugin_grant(&installed.name, &installed.version, &text)?;
        // Nobody gave it anything: what it has is from those who gave it to its predecessor.
        tx.copy_plugin_grantors(before.version.digest, installed.digest)?;
        let found = StoredPlugin {
            version: installed.clone(),
            grant: None,
        };
        let after: Value = json!({
            "state": PluginState::Active,
            "digest": installed.digest,
            "manifestHash": installed.manifest_hash,
            "granted": lines,
            "folders": grant.folders,
            "bindings": grant.bindings,
            "policy": "it asks for nothing that the active version did not ask for",
            "grantOf": before.version.version,
        });
        tx.insert_audit(&entry(actor, Verb::Approve, &found, after))?;
        tx.update_plugin_state_of(&installed.name, &installed.version, PluginState::Active)?;
        Ok(PluginState::Active)
    }
}

/// Whose signature the active version has and another one lacks, a sentence for each. Whoever can replace a package, and
/// has no key, would only have to leave the signatures out otherwise.
fn lacking(before: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<String> {
    let lacking = before.difference(now);
    lacking
        .map(|signer| format!("it lacks the signature of `{signer}`, which the active version has"))
        .collect()
}

/// What a package takes over from its predecessor, or why not.
fn take_over(
    before: StoredPlugin,
    predecessor: &Package,
    package: &Package,
    policy: &HostPolicy,
) -> Result<Upgrade, Vec<String>> {
    let diff = compare(predecessor, package, &|_| None);
    if !diff.asks_more.is_empty() {
        return Err(diff.asks_more);
    }
    let granted = before.grant.as_deref();
    let granted = granted
        .and_then(|text| read_grant(text).ok())
        .filter(|grant| grant.is_for(before.version.digest, before.version.manifest_hash));
    let Some(grant) = granted.and_then(|grant| grant.carried(package)) else {
        return Err(vec![
            "the grant of the active version cannot be read".to_owned(),
        ]);
    };
    let lines = grant.lines(&package.manifest, &policy.ceiling);
    Ok(Upgrade {
        before,
        grant,
        lines,
    })
}

/// The latest version after the active one that a person decided against: went back from, refused or forbade. The same
/// code may come again under a later number; that is for a person to let serve.
fn turned_down(
    tx: &ReadTx<'_>,
    active: &StoredPlugin,
) -> Result<Option<semver::Version>, store::Error> {
    let known = tx.list_plugins(Some(&active.version.name))?.into_iter();
    let against = known.filter(|stored| match stored.version.state {
        PluginState::Superseded | PluginState::Rejected | PluginState::Revoked => {
            stored.version.version > active.version.version
        }
        PluginState::Pending | PluginState::Active => false,
    });
    Ok(against.map(|stored| stored.version.version).max())
}
