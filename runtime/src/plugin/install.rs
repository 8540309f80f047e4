//! Installing packages and finding them again.

use std::sync::Arc;

use serde_json::json;

use super::error::{InstallError, ReviewError};
use super::package::Package;
use super::{PluginHost, loaded::Loaded};
use crate::model::{Actor, AuditEntry, PluginName, PluginState, PluginVersion, Timestamp, Verb};
use crate::store::{self, StoredPlugin, WriteTx};

/// What became of a package.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The version that it is.
    pub version: PluginVersion,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl PluginHost {
    /// Checks a package, compiles it, and stores it as a version that waits for a reviewer, or takes over at once where
    /// it asks for nothing new and the host's policy lets it. The same bytes again change nothing and answer the
    /// version that is there.
    ///
    /// # Errors
    /// The file is no package that this host can run, lacks signatures, is forbidden by name, or its name and version exist with other bytes.
    pub async fn install(
        &self,
        actor: &Actor,
        package: Vec<u8>,
    ) -> Result<Installed, InstallError> {
        let (read, package) = Package::read_blocking(package).await?;
        let (name, version) = (read.manifest.name.clone(), read.manifest.version.clone());
        if let Some(found) = self.stored_as(&name, &version).await? {
            let found = same(found, &read)?;
            let version = self.note_installer(actor, found).await?;
            return Ok(Installed {
                version,
                is_new: false,
            });
        }
        // Before it is compiled, which costs the most.
        let provenance = self.trust.admit(&read, Timestamp::now())?;
        let component = self
            .compiler
            .load(package.clone().into(), read.digest)
            .await
            .map_err(InstallError::Unusable)?;
        let read = Loaded::new(read, component).map_err(InstallError::Unusable)?;
        // Links it with all that it asks for: a function that this host does not have is found here, not in a run.
        let asked = read
            .package
            .manifest
            .request
            .iter()
            .map(super::capability::Capability::power)
            .collect();
        read.prelinked(&asked).map_err(InstallError::Unusable)?;

        // A predecessor that cannot be compared is a reason to look at the new version, not one to refuse it.
        let upgrade = self.find_upgrade(&read.package).await.unwrap_or_else(|error| {
            tracing::error!(%error, %name, "a new version could not be compared with the active one");
            Err(vec!["it could not be compared with the active version".to_owned()])
        });
        let (actor, checked) = (actor.clone(), read.package.clone());
        let policy = Arc::clone(&self.policy);
        let installed = self.backend.store.write(move |tx| {
            if let Some(found) = tx.find_plugin(&name, &version)? {
                let found = same(found, &checked)?;
                note_installer(tx, &actor, &found)?;
                return Ok::<_, InstallError>(Installed {
                    version: found,
                    is_new: false,
                });
            }
            let installed = PluginVersion {
                name,
                title: checked.manifest.title.clone(),
                version,
                digest: checked.digest,
                manifest_hash: checked.manifest_hash,
                state: PluginState::Pending,
                installed_at: tx.now,
                installed_by: actor.name.clone(),
            };
            tx.insert_plugin(&installed, &package)?;
            tx.insert_plugin_installer(installed.digest, &actor.name)?;
            let upgrade = match upgrade {
                Ok(upgrade) => upgrade.confirm(tx, &policy, &actor, &installed)?,
                Err(waits) => Err(waits),
            };
            tx.insert_audit(&AuditEntry {
                actor: &actor,
                verb: Verb::Create,
                resource: "plugin",
                identifier: format!("{}@{}", installed.name, installed.version),
                before: None,
                after: Some(json!({
                    "version": &installed,
                    "requested": checked.manifest.lines(),
                    "signedDigest": provenance.signed_digest,
                    "signatures": provenance.signatures,
                    "waitsBecause": upgrade.as_ref().err(),
                })),
            })?;
            let state = match upgrade {
                Ok(upgrade) => upgrade.apply(tx, &actor, &installed)?,
                Err(_) => installed.state,
            };
            Ok(Installed {
                version: PluginVersion { state, ..installed },
                is_new: true,
            })
        });
        let installed: Installed = installed.await?;
        self.shelf.keep(read);
        Ok(installed)
    }

    /// Notes that somebody installed what is there already.
    async fn note_installer(
        &self,
        actor: &Actor,
        found: PluginVersion,
    ) -> Result<PluginVersion, InstallError> {
        let actor = actor.clone();
        let noted = self.backend.store.write(move |tx| {
            note_installer(tx, &actor, &found)?;
            Ok::<_, store::Error>(found)
        });
        Ok(noted.await?)
    }

    /// Every plugin's versions, by name, newest first within a name.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list_versions(
        &self,
        name: Option<&PluginName>,
    ) -> Result<Vec<PluginVersion>, store::Error> {
        let name = name.cloned();
        let listed = self
            .backend
            .store
            .read(move |tx| tx.list_plugins(name.as_ref()))
            .await?;
        Ok(listed.into_iter().map(|stored| stored.version).collect())
    }

    /// One version, whatever its state.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn find_version(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<PluginVersion, ReviewError> {
        Ok(self.find_stored(name, version).await?.version)
    }

    pub(super) async fn find_stored(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<StoredPlugin, ReviewError> {
        let found = self.stored_as(name, version).await?;
        found.ok_or_else(|| ReviewError::NotFound(format!("version {version} of plugin `{name}`")))
    }

    async fn stored_as(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<Option<StoredPlugin>, store::Error> {
        let (name, version) = (name.clone(), version.clone());
        self.backend
            .store
            .read(move |tx| tx.find_plugin(&name, &version))
            .await
    }
}

/// Who installs a package again answers for it as who did first: another pair of eyes is neither of theirs.
fn note_installer(
    tx: &WriteTx<'_>,
    actor: &Actor,
    found: &PluginVersion,
) -> Result<(), store::Error> {
    if !tx.insert_plugin_installer(found.digest, &actor.name)? {
        return Ok(());
    }
    tx.insert_audit(&AuditEntry {
        actor,
        verb: Verb::Update,
        resource: "plugin",
        identifier: format!("{}@{}", found.name, found.version),
        before: None,
        after: Some(json!({ "installedAgainBy": actor.name, "digest": found.digest })),
    })
}

/// A version is one file for ever.
fn same(found: StoredPlugin, package: &Package) -> Result<PluginVersion, InstallError> {
    let found = found.version;
    if found.digest == package.digest {
        return Ok(found);
    }
    Err(InstallError::Conflict(format!(
        "plugin `{}` {} is installed with other bytes ({}); raise the version in plugin.toml",
        found.name, found.version, found.digest
    )))
}
