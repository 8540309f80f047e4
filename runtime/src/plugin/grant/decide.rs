//! A reviewer's decision, held against what was asked for and against the host's ceiling.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effective, Grant, Reviewed};
use crate::model::{Approval, Binding, SecretName, Violation};
use crate::plugin::budget::{Budget, Limits};
use crate::plugin::capability::files::{Folders, Misplaced};
use crate::plugin::capability::http::BaseUrl;
use crate::plugin::capability::line::Line;
use crate::plugin::capability::{Capability, Place};
use crate::plugin::ceiling::HostCeiling;
use crate::plugin::manifest::Manifest;

impl Grant {
    /// Checks a decision against the request; every problem at once. Where folders may be, the disk has to be asked
    /// beside ([`misplaced`]).
    pub(crate) fn decide(
        manifest: &Manifest,
        approval: &Approval,
        ceiling: &HostCeiling,
    ) -> Result<Self, Vec<Violation>> {
        let mut problems = Vec::new();
        let mut lines: BTreeSet<_> = manifest.request.iter().map(ToString::to_string).collect();
        for (index, line) in approval.deny.iter().enumerate() {
            if !lines.remove(line) {
                let message = "no requested line reads so; copy it from `requested`";
                problems.push(Violation::new(format!("/deny/{index}"), "unknown", message));
            }
        }
        let bindings = bound(manifest, &lines, &approval.bindings, &mut problems);
        let secrets = attached(manifest, &lines, &approval.secrets, &mut problems);
        let declared = |wanted: &str| {
            manifest
                .request
                .iter()
                .any(|c| matches!(c, Capability::Files { folder, .. } if folder == wanted))
        };
        for (name, path) in &approval.folders {
            if !declared(name) {
                problems.push(Violation::new(
                    pointer("folders", name),
                    "unknown",
                    "the manifest declares no such folder",
                ));
            } else if let Err(why) = Folders::check_form(path) {
                let place = pointer("folders", name);
                problems.push(Violation::new(place, "format", why.to_string()));
            }
        }
        let limits = lowered(manifest, &approval.limits, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let grant = Self {
            of: Some(Reviewed {
                digest: approval.digest,
                manifest_hash: approval.manifest_hash,
            }),
            lines,
            limits: limits.by_key(),
            folders: approval.folders.clone(),
            bindings,
            secrets,
        };
        // Budgets are lowered to the ceiling in silence, since the granted lines show them. A power that is missing
        // later would be a riddle.
        let asked = Effective::of(manifest, &grant, &HostCeiling::default()).lines();
        let excesses = ceiling.beyond(&asked).into_iter();
        let problems: Vec<_> = excesses
            .filter(|excess| matches!(excess.line, Line::Capability(_)))
            .map(|excess| {
                let message =
                    format!("{excess}, which this host's ceiling does not; deny the line");
                Violation::new("/deny", "ceiling", message)
            })
            .collect();
        if problems.is_empty() {
            Ok(grant)
        } else {
            Err(problems)
        }
    }
}

/// Folders that a decision would bind to where none may be. Looks at the disk.
pub(crate) fn misplaced(approval: &Approval, folders: &Folders) -> Vec<Violation> {
    let bound = approval.folders.iter();
    let refused = bound.filter_map(|(name, path)| match folders.check(path).err()? {
        // Told already, as all that can be said without the disk.
        Misplaced::Path => None,
        why => Some(Violation::new(
            pointer("folders", name),
            "place",
            why.to_string(),
        )),
    });
    refused.collect()
}

/// The most URLs of one endpoint.
const URLS: usize = 16;

/// Where the endpoints of the granted lines are: where the reviewer says, else at the manifest's default.
fn bound(
    manifest: &Manifest,
    granted: &BTreeSet<String>,
    wanted: &BTreeMap<String, Binding>,
    problems: &mut Vec<Violation>,
) -> BTreeMap<String, Binding> {
    let mut bindings = BTreeMap::new();
    for name in wanted
        .keys()
        .filter(|name| !manifest.endpoints.contains_key(*name))
    {
        let message = "the manifest declares no such endpoint";
        problems.push(Violation::new(
            pointer("bindings", name),
            "unknown",
            message,
        ));
    }
    for (name, default) in &manifest.endpoints {
        let used = manifest.request.iter().any(|capability| {
            let named = matches!(
                capability,
                Capability::Http { to: Place::Endpoint(endpoint), .. } if endpoint == name
            );
            named && granted.contains(&capability.to_string())
        });
        let default = default.as_ref().map(|url| Binding {
            urls: vec![url.clone()],
            ..Binding::default()
        });
        let Some(binding) = wanted.get(name).cloned().or(default) else {
            if used {
                let message = "this endpoint has no default; bind it to a URL, or deny its lines";
                problems.push(Violation::new(
                    pointer("bindings", name),
                    "required",
                    message,
                ));
            }
            continue;
        };
        let place = pointer("bindings", name);
        if binding.urls.is_empty() || binding.urls.len() > URLS {
            let message = format!("bind it to 1 to {URLS} URLs");
            problems.push(Violation::new(format!("{place}/urls"), "items", message));
        }
        for (index, url) in binding.urls.iter().enumerate() {
            let refused = match BaseUrl::parse(url) {
                Ok(base) if base.origin.encrypted || binding.allow_plaintext => continue,
                Ok(_) => "an unencrypted URL needs `allowPlaintext`".to_owned(),
                Err(message) => message,
            };
            problems.push(Violation::new(
                format!("{place}/urls/{index}"),
                "format",
                refused,
            ));
        }
        if used {
            bindings.insert(name.clone(), binding);
        }
    }
    bindings
}

/// Which stored secrets the granted lines attach or read. Whether there are such is not told: who reviews plugins need not know.
fn attached(
    manifest: &Manifest,
    granted: &BTreeSet<String>,
    wanted: &BTreeMap<String, String>,
    problems: &mut Vec<Violation>,
) -> BTreeMap<String, String> {
    let mut refuse = |name: &str, rule: &str, message: String| {
        problems.push(Violation::new(pointer("secrets", name), rule, message));
    };
    let declared = manifest.secret_names();
    for name in wanted.keys() {
        if !declared.contains(name) {
            let message = "the manifest declares no such secret";
            refuse(name, "unknown", message.to_owned());
        }
    }
    let mut secrets = BTreeMap::new();
    for name in declared {
        let used = manifest.request.iter().any(|capability| {
            let is_of = match capability {
                Capability::Http {
                    secret: Some(secret),
                    ..
                } => secret == name,
                Capability::Secret { name: read } => read == name,
                _ => false,
            };
            is_of && granted.contains(&capability.to_string())
        });
        match wanted.get(name) {
            Some(stored) => {
                if let Err(error) = SecretName::parse(stored) {
                    refuse(name, "format", error.to_string());
                } else if used {
                    secrets.insert(name.clone(), stored.clone());
                }
            }
            None if used => {
                let message = "say which stored secret this is, or deny its lines";
                refuse(name, "required", message.to_owned());
            }
            None => {}
        }
    }
    secrets
}

fn lowered(
    manifest: &Manifest,
    wanted: &BTreeMap<String, String>,
    problems: &mut Vec<Violation>,
) -> Limits {
    let mut limits = manifest.limits;
    for (key, text) in wanted {
        let refuse =
            |rule: &str, message: String| Violation::new(pointer("limits", key), rule, message);
        let Some(budget) = Budget::ALL.into_iter().find(|b| b.key() == key) else {
            problems.push(refuse("unknown", "there is no such budget".to_owned()));
            continue;
        };
        match budget.parse(text) {
            Ok(value) if value <= manifest.limits.get(budget) => limits.set(budget, value),
            Ok(_) => {
                let requested = budget.render(manifest.limits.get(budget));
                problems.push(refuse(
                    "maximum",
                    format!("the manifest asks for {requested}; a grant can only lower it"),
                ));
            }
            Err(message) => problems.push(refuse("format", message)),
        }
    }
    limits
}

fn pointer(key: &str, name: &str) -> String {
    format!("/{key}/{}", name.replace('~', "~0").replace('/', "~1"))
}
