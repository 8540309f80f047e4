//! Four eyes: who installed a package does not give it power. Taking power away needs nobody else.

use super::HostPolicy;
use crate::model::{Actor, Finding, Origin, Permission, PluginVersion};
use crate::plugin::error::ReviewError;
use crate::store::{self, ReadTx};

/// Installers that a text names.
const SHOWN: usize = 5;

/// Refuses to let somebody give power to a package that they installed themselves, be it the first time or again. Names
/// are compared, since those are the people's: a new credential of the same person is the same person.
pub(super) fn check(
    tx: &ReadTx<'_>,
    policy: &HostPolicy,
    actor: &Actor,
    version: &PluginVersion,
) -> Result<(), ReviewError> {
    // The portal itself is nobody: it installs its own demo.
    if !policy.four_eyes || actor.origin == Origin::System {
        return Ok(());
    }
    let installers = tx.list_plugin_installers(version.digest)?;
    if !installers.contains(&actor.name) {
        return Ok(());
    }
    Err(ReviewError::Forbidden(format!(
        "the setting `plugin-four-eyes` asks for somebody else: plugin `{}` {} was installed by you; ask anybody whose role includes `{}`, other than {}",
        version.name,
        version.version,
        Permission::ReviewPlugins.as_str(),
        listed(&installers)
    )))
}

/// Why a version may not take over what its predecessor was granted: where nobody but those who installed it gave that
/// power, it is theirs, whatever package it was given to first.
pub(super) fn find_self_granted(
    tx: &ReadTx<'_>,
    policy: &HostPolicy,
    actor: &Actor,
    before: &PluginVersion,
    installed: &PluginVersion,
) -> Result<Option<String>, store::Error> {
    if !policy.four_eyes || actor.origin == Origin::System {
        return Ok(None);
    }
    let installers = tx.list_plugin_installers(installed.digest)?;
    let grantors = tx.list_plugin_grantors(before.digest)?;
    if grantors.iter().any(|person| !installers.contains(person)) {
        return Ok(None);
    }
    let version = &before.version;
    Ok(Some(if grantors.is_empty() {
        format!(
            "the setting `plugin-four-eyes` asks for somebody else, and who approved version {version} is not known"
        )
    } else {
        format!(
            "the setting `plugin-four-eyes` asks for somebody else: what version {version} was granted was granted by {}, who installed this one",
            listed(&grantors)
        )
    }))
}

/// Tells whom an approval cannot come from.
pub(super) fn find(
    tx: &ReadTx<'_>,
    policy: &HostPolicy,
    version: &PluginVersion,
) -> Result<Option<Finding>, store::Error> {
    if !policy.four_eyes {
        return Ok(None);
    }
    let installers = tx.list_plugin_installers(version.digest)?;
    Ok(Some(Finding {
        code: "four_eyes".to_owned(),
        message: format!(
            "it was installed by {}; somebody else has to approve it",
            listed(&installers)
        ),
    }))
}

fn listed(installers: &[String]) -> String {
    let shown = installers.iter().take(SHOWN);
    let shown: Vec<String> = shown.map(|person| format!("`{person}`")).collect();
    match installers.len().checked_sub(SHOWN) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}
