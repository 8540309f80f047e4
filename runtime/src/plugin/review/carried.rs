//! What was decided about the active version, as far as it fits another one: an approval that does not repeat it would
//! undo it.

use std::collections::BTreeMap;

use super::read_grant;
use crate::model::{Binding, Carried, Finding};
use crate::plugin::budget::Budget;
use crate::plugin::capability::Capability;
use crate::plugin::capability::line::Line;
use crate::plugin::capability::within::Maximum;
use crate::plugin::grant::Grant;
use crate::plugin::package::Package;
use crate::store::StoredPlugin;

/// The version that was decided about, as far as it can be read.
pub(super) struct Decided {
    version: semver::Version,
    grant: Option<Grant>,
    package: Option<Package>,
}

impl Decided {
    /// `package` is absent where it cannot be read.
    pub(super) fn of(stored: &StoredPlugin, package: Option<Package>) -> Self {
        let version = &stored.version;
        let grant = stored
            .grant
            .as_deref()
            .and_then(|text| read_grant(text).ok())
            .filter(|grant| grant.is_for(version.digest, version.manifest_hash));
        Self {
            version: version.version.clone(),
            grant,
            package,
        }
    }

    /// What an approval of another package has to repeat so that it undoes nothing, and a finding for each part.
    pub(super) fn carried(&self, onto: &Package) -> (Option<Carried>, Vec<Finding>) {
        let grants = self.grant.as_ref();
        let grants = grants.and_then(|grant| Some((grant, grant.carried(onto)?)));
        let Some((grant, kept)) = grants else {
            let message = format!(
                "what {} was granted cannot be read: nothing of it is taken over",
                self.version
            );
            return (None, vec![finding("carried_unknown", message)]);
        };
        let mut findings = Vec::new();
        let carried = Carried {
            from: self.version.clone(),
            deny: self.denied(&kept, onto, &mut findings),
            limits: self.limits(grant, onto, &mut findings),
            bindings: self.bindings(&kept, onto, &mut findings),
            folders: self.folders(&kept, &mut findings),
            secrets: self.secrets(&kept, onto, &mut findings),
        };
        (Some(carried), findings)
    }

    /// Requested lines that the grant lacks, and that the version which was decided about asks for as well.
    fn denied(&self, kept: &Grant, onto: &Package, findings: &mut Vec<Finding>) -> Vec<String> {
        let asked_before = self.package.as_ref().map(request);
        let (mut denied, mut allowed) = (Vec::new(), Maximum::default());
        for line in request(onto).lines() {
            let asked = asked_before.as_ref();
            if kept.lines.contains(&line.to_string()) {
                allowed.take(line.clone());
            } else if asked.is_none_or(|asked| asked.holds(line)) {
                findings.push(finding(
                    "carried_denial",
                    format!(
                        "`{line}` is denied in {}; an approval that does not deny it allows it",
                        self.version
                    ),
                ));
                denied.push(line.to_string());
            } else {
                // New: it is told among what the version asks for on top.
                allowed.take(line.clone());
            }
        }
        let before = self.grant.as_ref();
        let asked = asked_before.iter().flat_map(Maximum::lines);
        let refused = asked.filter(|line| {
            let text = line.to_string();
            before.is_some_and(|grant| !grant.lines.contains(&text)) && !denied.contains(&text)
        });
        for line in refused {
            if allowed.holds(line) {
                let message = format!(
                    "`{line}` is denied in {}, and allowed by another line that this version asks for",
                    self.version
                );
                findings.push(finding("carried_denial", message));
            }
        }
        denied
    }

    fn limits(
        &self,
        grant: &Grant,
        onto: &Package,
        findings: &mut Vec<Finding>,
    ) -> BTreeMap<String, String> {
        let granted = grant.limits();
        let mut lowered = BTreeMap::new();
        for budget in Budget::ALL {
            let (value, asked) = (granted.get(budget), onto.manifest.limits.get(budget));
            let before = self.package.as_ref();
            let before = before.map(|package| package.manifest.limits.get(budget));
            // What was granted in full was not lowered by anybody.
            if value >= asked || before.is_some_and(|before| value >= before) {
                continue;
            }
            let (key, text) = (budget.key(), budget.render(value));
            findings.push(finding(
                "carried_limit",
                format!(
                    "`limit {key}` is {text} in {}; an approval that does not lower it allows {}",
                    self.version,
                    budget.render(asked)
                ),
            ));
            // An approval could not name less than the least useful value.
            if budget.check(value).is_ok() {
                lowered.insert(key.to_owned(), text);
            }
        }
        lowered
    }

    fn bindings(
        &self,
        kept: &Grant,
        onto: &Package,
        findings: &mut Vec<Finding>,
    ) -> BTreeMap<String, Binding> {
        let mut moved = BTreeMap::new();
        for (name, binding) in &kept.bindings {
            let default = onto.manifest.endpoints.get(name).and_then(Option::as_ref);
            let plain = default.map(|url| Binding {
                urls: vec![url.clone()],
                ..Binding::default()
            });
            if plain.as_ref() == Some(binding) {
                continue;
            }
            let otherwise = match default {
                Some(url) => format!("takes it to {url}"),
                None => "is refused, since it has no default".to_owned(),
            };
            let message = format!(
                "endpoint `{name}` is bound to {} in {}; an approval that does not bind it {otherwise}",
                binding.urls.join(" and "),
                self.version
            );
            findings.push(finding("carried_binding", message));
            moved.insert(name.clone(), binding.clone());
        }
        moved
    }

    fn folders(&self, kept: &Grant, findings: &mut Vec<Finding>) -> BTreeMap<String, String> {
        for (name, path) in &kept.folders {
            let message = format!(
                "folder `{name}` is at {path} in {}; an approval that does not bind it takes it to its default",
                self.version
            );
            findings.push(finding("carried_folder", message));
        }
        kept.folders.clone()
    }

    /// A secret that is used in another way, attached or read, is another decision: the reviewer has to name it again.
    fn secrets(
        &self,
        kept: &Grant,
        onto: &Package,
        findings: &mut Vec<Finding>,
    ) -> BTreeMap<String, String> {
        let before = self.package.as_ref().map(|package| &package.manifest);
        let is_as_before = |name: &str| {
            before.is_some_and(|before| {
                before.secrets.get(name) == onto.manifest.secrets.get(name)
                    && before.reads_secret(name) == onto.manifest.reads_secret(name)
            })
        };
        let mut same = BTreeMap::new();
        for (name, stored) in &kept.secrets {
            if is_as_before(name) {
                let message = format!(
                    "secret `{name}` is the stored `{stored}` in {}; an approval has to say which it is",
                    self.version
                );
                findings.push(finding("carried_secret", message));
                same.insert(name.clone(), stored.clone());
            }
        }
        same
    }
}

fn request(package: &Package) -> Maximum {
    let request: &[Capability] = &package.manifest.request;
    request.iter().cloned().map(Line::Capability).collect()
}

fn finding(code: &str, message: String) -> Finding {
    Finding {
        code: code.to_owned(),
        message,
    }
}
