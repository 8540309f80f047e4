//! What a component can do, as its imports and exports show it, held against what its manifest asks for.

use std::collections::BTreeSet;

use super::{shown, unusable};
use crate::model::Finding;
use crate::plugin::capability::{Capability, Power};
use crate::plugin::error::InstallError;
use crate::plugin::manifest::Manifest;

/// The track of `goldenpath:plugin` that this host serves.
const TRACK: &str = "0.1";

/// Interfaces that every std program imports; they are linked inert and need no line.
const BASELINE: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:random/random",
];

/// The rest of the baseline: harmless, and seldom imported.
const BASELINE_RANDOM: [&str; 2] = ["wasi:random/insecure", "wasi:random/insecure-seed"];

/// Tells where the places are that a plugin may send requests to.
const ENDPOINTS: &str = "goldenpath:plugin/endpoints";

/// Powers that are visible as an import, with the manifest table that asks for them.
const OUR_POWERS: [(Power, &str, &str); 6] = [
    (
        Power::Catalog,
        "goldenpath:plugin/catalog",
        "[[capabilities.catalog]]",
    ),
    (
        Power::Files,
        "goldenpath:plugin/files",
        "[[capabilities.files]]",
    ),
    (
        Power::Http,
        "wasi:http/outgoing-handler",
        "[[capabilities.http]]",
    ),
    (
        Power::RunAction,
        "goldenpath:plugin/actions",
        "[[capabilities.run-action]]",
    ),
    (
        Power::Secret,
        "goldenpath:plugin/secrets",
        "[[capabilities.secret]]",
    ),
    (
        Power::State,
        "goldenpath:plugin/state",
        "[capabilities.state]",
    ),
];

/// Holds imports and exports against the manifest.
pub(super) fn check(
    imports: &BTreeSet<String>,
    exports: &BTreeSet<String>,
    manifest: &Manifest,
) -> Result<Vec<Finding>, InstallError> {
    let mut used = BTreeSet::new();
    let declared: BTreeSet<_> = manifest.request.iter().map(Capability::power).collect();
    for import in imports {
        let Some(power) = power_of(import)? else {
            continue;
        };
        let table = OUR_POWERS.iter().find(|(of, ..)| *of == power);
        if let Some((_, _, table)) = table
            && !declared.contains(&power)
        {
            let (interface, _) = split(import).unwrap_or((import, ""));
            return Err(unusable(format!(
                "the component imports `{interface}`, but its manifest has no `{table}`; declare what it needs there"
            )));
        }
        // Who only asks where an endpoint is sends nothing to it.
        if split(import).is_none_or(|(interface, _)| interface != ENDPOINTS) {
            used.insert(power);
        }
    }
    for name in ["action", "descriptor"] {
        let exported = exports
            .iter()
            .filter_map(|e| split(e))
            .any(|(interface, version)| {
                interface.strip_prefix("goldenpath:plugin/") == Some(name) && on_track(version)
            });
        if !exported {
            return Err(unusable(format!(
                "the component does not export `goldenpath:plugin/{name}@{TRACK}`; write the plugin with `goldenpath-sdk`"
            )));
        }
    }
    Ok(findings(manifest, &used, imports))
}

/// The powers of which an import needs at least one line: without, the component cannot be linked.
pub(super) fn needed(imports: &[String]) -> BTreeSet<Power> {
    let powers = imports.iter().map(|import| power_of(import));
    powers.filter_map(|power| power.ok().flatten()).collect()
}

/// The power that an import stands for, `None` for the baseline; anything unknown is refused by name.
fn power_of(import: &str) -> Result<Option<Power>, InstallError> {
    let Some((interface, version)) = split(import) else {
        return Err(unusable(format!(
            "the component imports `{}`, which this host does not know",
            shown(import)
        )));
    };
    if let Some(ours) = interface.strip_prefix("goldenpath:plugin/") {
        if !on_track(version) {
            return Err(unusable(format!(
                "the plugin was built for `goldenpath:plugin@{}`; this host knows {TRACK}.x: rebuild it with the SDK of that version",
                shown(version)
            )));
        }
        return match ours {
            "types" | "log" | "steps" => Ok(None),
            "actions" => Ok(Some(Power::RunAction)),
            "catalog" => Ok(Some(Power::Catalog)),
            "endpoints" => Ok(Some(Power::Http)),
            "files" => Ok(Some(Power::Files)),
            "secrets" => Ok(Some(Power::Secret)),
            "state" => Ok(Some(Power::State)),
            _ => Err(unusable(format!(
                "the component imports `{}`, which this host does not know",
                shown(import)
            ))),
        };
    }
    if interface.starts_with("wasi:sockets/") {
        return Err(unusable(format!(
            "the component imports `{}`; plugins have no sockets, they send requests through `wasi:http`",
            shown(import)
        )));
    }
    if ["wasi:http/types", "wasi:http/outgoing-handler"].contains(&interface)
        && version.starts_with("0.2.")
    {
        return Ok(Some(Power::Http));
    }
    let baseline = BASELINE.contains(&interface) || BASELINE_RANDOM.contains(&interface);
    if baseline && version.starts_with("0.2.") {
        return Ok(None);
    }
    Err(unusable(format!(
        "the component imports `{}`, which this host does not know",
        shown(import)
    )))
}

fn findings(
    manifest: &Manifest,
    used: &BTreeSet<Power>,
    imports: &BTreeSet<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (power, interface, _) in OUR_POWERS {
        if used.contains(&power) {
            continue;
        }
        for capability in manifest.request.iter().filter(|c| c.power() == power) {
            findings.push(Finding {
                code: "unused_capability".to_owned(),
                message: format!(
                    "`{capability}` is asked for, but the component never imports `{interface}`"
                ),
            });
        }
    }
    let random = imports
        .iter()
        .any(|import| import.starts_with("wasi:random/random@"));
    if !random && manifest.request.contains(&Capability::Random) {
        findings.push(Finding {
            code: "unused_capability".to_owned(),
            message: "`random` is asked for, but the component never imports `wasi:random/random`"
                .to_owned(),
        });
    }
    findings
}

/// `ns:package/interface` and its version.
fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once('@')
        .filter(|(interface, _)| interface.contains(':') && interface.contains('/'))
}

fn on_track(version: &str) -> bool {
    version == TRACK
        || version
            .strip_prefix(TRACK)
            .is_some_and(|rest| rest.starts_with('.') && !rest.contains('-'))
}
