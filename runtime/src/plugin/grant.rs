//! What one call may do: what the manifest requests, cut down to what the grant allows and the host's ceilings.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::budget::{Budget, Limits};
use super::capability::{Capability, CatalogAccess, FilesAccess, Power};
use super::manifest::Manifest;
use crate::model::{Approval, BlueprintId, Violation};

/// A reviewer's decision as it is stored, bound to one digest and manifest hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    /// The granted lines, without budgets.
    pub(crate) lines: BTreeSet<String>,
    /// The granted budgets, by key.
    pub(crate) limits: BTreeMap<String, u64>,
    /// Folder name to an absolute path, for those that are not at their default.
    pub(crate) folders: BTreeMap<String, String>,
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
}

impl Grant {
    /// Checks a decision against the request; every problem at once.
    pub(crate) fn decide(manifest: &Manifest, approval: &Approval) -> Result<Self, Vec<Violation>> {
        let mut problems = Vec::new();
        let mut lines: BTreeSet<_> = manifest.request.iter().map(ToString::to_string).collect();
        for (index, line) in approval.deny.iter().enumerate() {
            if !lines.remove(line) {
                let message = "no requested line reads so; copy it from `requested`";
                problems.push(Violation::new(format!("/deny/{index}"), "unknown", message));
            }
        }
        for name in approval.bindings.keys() {
            problems.push(Violation::new(
                pointer("bindings", name),
                "unknown",
                "the manifest declares no such endpoint",
            ));
        }
        for name in approval.secrets.keys() {
            problems.push(Violation::new(
                pointer("secrets", name),
                "unknown",
                "the manifest declares no such secret",
            ));
        }
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
            } else if !std::path::Path::new(path).is_absolute() || path.contains('\0') {
                problems.push(Violation::new(
                    pointer("folders", name),
                    "format",
                    "write an absolute path",
                ));
            }
        }
        let limits = lowered(manifest, &approval.limits, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let limits = Budget::ALL
            .iter()
            .map(|b| (b.key().to_owned(), limits.get(*b)))
            .collect();
        Ok(Self {
            lines,
            limits,
            folders: approval.folders.clone(),
        })
    }

    /// The canonical lines that a reviewer granted, capabilities and budgets, sorted.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.lines.iter().cloned().collect();
        lines.extend(self.limits().lines());
        lines.sort_unstable();
        lines
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for budget in Budget::ALL {
            // A budget that the stored grant does not name was never granted.
            let granted = self.limits.get(budget.key()).copied().unwrap_or(0);
            limits.set(budget, granted.min(budget.most()));
        }
        limits
    }
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

impl Effective {
    /// Request ∩ grant ∩ ceiling.
    pub(crate) fn of(manifest: &Manifest, grant: &Grant) -> Self {
        let granted = |capability: &&Capability| grant.lines.contains(&capability.to_string());
        Self {
            capabilities: manifest.request.iter().filter(granted).cloned().collect(),
            limits: manifest.limits.min(&grant.limits()),
            folders: grant.folders.clone(),
        }
    }

    /// Nothing but the baseline.
    pub(crate) fn nothing() -> Self {
        Self {
            capabilities: Vec::new(),
            limits: Limits::default(),
            folders: BTreeMap::new(),
        }
    }

    /// What has to be linked.
    pub(crate) fn powers(&self) -> BTreeSet<Power> {
        self.capabilities.iter().map(Capability::power).collect()
    }

    /// Whether an access to a blueprint's entities was granted; for `upsert` with which properties (`None`: all).
    pub(crate) fn catalog(
        &self,
        wanted: CatalogAccess,
        on: &BlueprintId,
    ) -> Option<Option<&[String]>> {
        self.capabilities
            .iter()
            .find_map(|capability| match capability {
                Capability::Catalog {
                    access,
                    blueprint,
                    properties,
                } if *access == wanted && blueprint == on => Some(properties.as_deref()),
                _ => None,
            })
    }

    /// The access to a folder and its quotas of bytes and files.
    pub(crate) fn folder(&self, name: &str) -> Option<(FilesAccess, u64, u64)> {
        self.capabilities
            .iter()
            .find_map(|capability| match capability {
                Capability::Files {
                    access,
                    folder,
                    max_bytes,
                    max_files,
                } if folder == name => Some((*access, *max_bytes, *max_files)),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    fn manifest() -> Manifest {
        let text = r#"
[plugin]
name = "demo"
version = "1.0.0"
[[capabilities.catalog]]
blueprint = "Component"
access = ["read", "upsert"]
properties = ["url"]
reason = "x"
[[capabilities.files]]
name = "out"
access = "read"
reason = "x"
[capabilities.clock]
reason = "x"
[limits]
memory = "32MiB"
[[actions]]
name = "go"
effects = "none"
"#;
        Manifest::parse(text).unwrap()
    }

    fn approval() -> Approval {
        Approval {
            digest: Digest::of(b"package"),
            manifest_hash: Digest::of(b"manifest"),
            policy_revision: None,
            bindings: BTreeMap::new(),
            folders: BTreeMap::new(),
            secrets: BTreeMap::new(),
            deny: Vec::new(),
            limits: BTreeMap::new(),
        }
    }

    #[test]
    fn power_is_what_is_both_requested_and_granted() {
        let manifest = manifest();
        let mut approval = approval();
        approval.deny = vec!["clock".to_owned()];
        approval.limits = BTreeMap::from([("memory".to_owned(), "16MiB".to_owned())]);
        let grant = Grant::decide(&manifest, &approval).unwrap();
        let stored: Grant = serde_json::from_str(&serde_json::to_string(&grant).unwrap()).unwrap();
        let power = Effective::of(&manifest, &stored);
        let component = BlueprintId::parse("Component").unwrap();
        assert_eq!(
            power.powers(),
            BTreeSet::from([Power::Catalog, Power::Files])
        );
        assert_eq!(power.limits.get(Budget::Memory), 16 << 20);
        assert!(power.catalog(CatalogAccess::Read, &component).is_some());
        assert_eq!(
            power.catalog(CatalogAccess::Upsert, &component),
            Some(Some(&["url".to_owned()][..]))
        );
        assert!(power.catalog(CatalogAccess::Delete, &component).is_none());
        assert!(
            power
                .catalog(CatalogAccess::Read, &BlueprintId::parse("System").unwrap())
                .is_none()
        );
        assert_eq!(
            power.folder("out").map(|(access, ..)| access),
            Some(FilesAccess::Read)
        );
        assert!(power.folder("other").is_none());
    }

    #[test]
    fn grant_of_another_manifest_gives_nothing_new() {
        let grant = Grant {
            lines: BTreeSet::from(["state".to_owned(), "catalog upsert Component".to_owned()]),
            limits: BTreeMap::from([("memory".to_owned(), u64::MAX)]),
            folders: BTreeMap::new(),
        };
        let power = Effective::of(&manifest(), &grant);
        assert!(power.capabilities.is_empty());
        assert_eq!(power.limits.get(Budget::Memory), 32 << 20);
        assert_eq!(
            power.limits.get(Budget::HostCalls),
            0,
            "what the grant does not name was not granted"
        );
    }

    #[test]
    fn decisions_that_do_not_fit_the_request_are_refused_all_at_once() {
        let mut approval = approval();
        approval.deny = vec!["clock ".to_owned()];
        approval.folders = BTreeMap::from([
            ("out".to_owned(), "relative".to_owned()),
            ("other".to_owned(), "/srv".to_owned()),
        ]);
        approval.limits = BTreeMap::from([
            ("memory".to_owned(), "64MiB".to_owned()),
            ("storage".to_owned(), "1GiB".to_owned()),
            ("cpu-time".to_owned(), "fast".to_owned()),
        ]);
        approval.secrets = BTreeMap::from([("token".to_owned(), "stored".to_owned())]);
        approval.bindings =
            BTreeMap::from([("github".to_owned(), crate::model::Binding::default())]);
        let problems = Grant::decide(&manifest(), &approval).unwrap_err();
        let mut places: Vec<_> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        places.sort_unstable();
        assert_eq!(
            places,
            [
                "/bindings/github",
                "/deny/0",
                "/folders/other",
                "/folders/out",
                "/limits/cpu-time",
                "/limits/memory",
                "/limits/storage",
                "/secrets/token",
            ]
        );
    }
}
