//! What changes from one version of a plugin to another, as far as it matters for what it may do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::budget::Budget;
use super::capability::line::Line;
use super::capability::within::Maximum;
use super::error::InstallError;
use super::manifest::Manifest;
use super::package::Package;
use super::risk;
use super::signature::PublicKey;
use crate::model::{
    Change, Digest, Effects, Finding, LineRisk, SbomComponent, SbomOrigin, SbomScope, VersionDiff,
    VersionMark,
};

/// Compares two package files, running nothing.
///
/// # Errors
/// One of them is no package that could be installed.
pub fn diff(from: &[u8], to: &[u8]) -> Result<VersionDiff, InstallError> {
    // Whose a key is, only a host knows: here it goes by its own name.
    let (from, to) = (Package::read(from)?, Package::read(to)?);
    Ok(compare(&from, &to, &|_| None))
}

/// Compares what two packages ask for, and who signed them; `signer` says whose a key is.
pub(super) fn compare(
    from: &Package,
    to: &Package,
    signer: &dyn Fn(&PublicKey) -> Option<String>,
) -> VersionDiff {
    let (signed, signs) = (signers(from, signer), signers(to, signer));
    let (old, new) = (lines(&from.manifest), lines(&to.manifest));
    let budgets = changes(&budgets(&from.manifest), &budgets(&to.manifest));
    let endpoints = changes(&endpoints(&from.manifest), &endpoints(&to.manifest));
    let actions = changes(&actions(&from.manifest), &actions(&to.manifest));
    let documents = changes(&documents(from), &documents(to));
    let schemas = changes(&schemas(from), &schemas(to));
    let (tools, dependencies) = (changes(&tools(from), &tools(to)), sbom_changes(from, to));
    let imports = |package: &Package| -> BTreeMap<String, String> {
        let named = package.imports.iter();
        named
            .map(|name| (name.clone(), "imported".to_owned()))
            .collect()
    };
    let before: Maximum = all(&from.manifest).into_iter().collect();
    let mut asks_more: Vec<String> = before
        .beyond(&all(&to.manifest))
        .iter()
        .map(ToString::to_string)
        .collect();
    for (name, default) in &to.manifest.endpoints {
        // A new endpoint is of use only to a new line, which is told already.
        let before = from.manifest.endpoints.get(name);
        if let (Some(before), Some(url)) = (before, default)
            && before.as_ref() != Some(url)
        {
            asks_more.push(format!(
                "endpoint `{name}` is at {url} unless it is bound elsewhere"
            ));
        }
    }
    for (name, attachment) in &to.manifest.secrets {
        if from
            .manifest
            .secrets
            .get(name)
            .is_some_and(|before| before != attachment)
        {
            let (header, format) = (&attachment.header, &attachment.format);
            asks_more.push(format!(
                "secret `{name}` goes into header `{header}` as `{format}`"
            ));
        }
    }
    for change in documents.iter().filter(|change| change.to.is_some()) {
        let verb = if change.from.is_some() {
            "changes"
        } else {
            "ships"
        };
        asks_more.push(format!("it {verb} `{}`", change.name));
    }
    for change in actions.iter().filter(|change| change.from.is_some()) {
        if let Some(effects) = &change.to {
            let name = &change.name;
            asks_more.push(format!(
                "after a crash, function `{name}` counts as `{effects}`"
            ));
        }
    }
    for action in &to.actions {
        // What a new function takes, nobody has relied on yet.
        let before = from.actions.iter().find(|old| old.name == action.name);
        if before.is_some_and(|old| old.input_schema != action.input_schema) {
            asks_more.push(format!("function `{}` takes another input", action.name));
        }
    }
    VersionDiff {
        name: to.manifest.name.to_string(),
        from: mark(from),
        to: mark(to),
        added: new.difference(&old).cloned().collect(),
        risks: risks(&to.manifest, &old),
        removed: old.difference(&new).cloned().collect(),
        unchanged: old.intersection(&new).cloned().collect(),
        budgets,
        endpoints,
        imports: changes(&imports(from), &imports(to)),
        actions,
        schemas,
        documents,
        tools,
        dependencies,
        signers: changes(&signed, &signs),
        findings: lost(from, to, signer),
        asks_more,
    }
}

/// Whose signatures of a package are good, by key.
fn signers(
    package: &Package,
    signer: &dyn Fn(&PublicKey) -> Option<String>,
) -> BTreeMap<String, String> {
    let named = |key: &PublicKey| signer(key).unwrap_or_else(|| "not known here".to_owned());
    let valid = package.signed.signatures.iter().filter(|of| of.is_valid);
    valid
        .map(|of| (of.key.id().to_string(), named(&of.key)))
        .collect()
}

/// A finding for each signer of the one that is none of the other. Who signs with another key than before is still there.
fn lost(
    from: &Package,
    to: &Package,
    signer: &dyn Fn(&PublicKey) -> Option<String>,
) -> Vec<Finding> {
    let all = |package: &Package| -> BTreeSet<String> {
        let valid = package.signed.signatures.iter().filter(|of| of.is_valid);
        valid
            .map(|of| match signer(&of.key) {
                Some(name) => format!("`{name}`"),
                None => format!("the holder of key {}", of.key.id()),
            })
            .collect()
    };
    let (before, after) = (&from.manifest.version, &to.manifest.version);
    all(from)
        .difference(&all(to))
        .map(|who| Finding {
            code: "signer_lost".to_owned(),
            message: format!(
                "{who} signed {before} and did not sign {after}; ask why before you approve it"
            ),
        })
        .collect()
}

/// The marks of the lines that were not asked for before.
fn risks(manifest: &Manifest, before: &BTreeSet<String>) -> Vec<LineRisk> {
    let request = manifest.request.iter().cloned().map(Line::Capability);
    let marked = request.filter_map(|line| risk::mark(&line));
    marked.filter(|risk| !before.contains(&risk.line)).collect()
}

fn mark(package: &Package) -> VersionMark {
    VersionMark {
        version: package.manifest.version.clone(),
        digest: package.digest,
        manifest_hash: package.manifest_hash,
    }
}

fn lines(manifest: &Manifest) -> BTreeSet<String> {
    manifest.request.iter().map(ToString::to_string).collect()
}

fn all(manifest: &Manifest) -> Vec<Line> {
    let limits = Budget::ALL.map(|budget| Line::Limit(budget, manifest.limits.get(budget)));
    let request = manifest.request.iter().cloned().map(Line::Capability);
    request.chain(limits).collect()
}

fn budgets(manifest: &Manifest) -> BTreeMap<String, String> {
    let shown = |budget: Budget| budget.render(manifest.limits.get(budget));
    let budgets = Budget::ALL.map(|budget| (budget.key().to_owned(), shown(budget)));
    budgets.into_iter().collect()
}

fn endpoints(manifest: &Manifest) -> BTreeMap<String, String> {
    let endpoints = manifest.endpoints.iter();
    endpoints
        .map(|(name, default)| {
            let url = default.clone().unwrap_or_else(|| "no default".to_owned());
            (name.clone(), url)
        })
        .collect()
}

fn actions(manifest: &Manifest) -> BTreeMap<String, String> {
    let word = |effects| match effects {
        Effects::None => "none",
        Effects::Idempotent => "idempotent",
        Effects::Once => "once",
    };
    let actions = manifest.actions.iter();
    actions
        .map(|action| (action.name.clone(), word(action.effects).to_owned()))
        .collect()
}

/// Shipped documents by a hash of what they say: they may be long.
fn documents(package: &Package) -> BTreeMap<String, String> {
    let documents = package.resources.iter();
    documents
        .map(|(path, value)| (path.clone(), hash(value)))
        .collect()
}

/// What each function takes and gives, by a hash of its schema.
fn schemas(package: &Package) -> BTreeMap<String, String> {
    let actions = package.actions.iter();
    let both = actions.flat_map(|action| {
        let name = &action.name;
        [
            (format!("{name} input"), hash(&action.input_schema)),
            (format!("{name} output"), hash(&action.output_schema)),
        ]
    });
    both.collect()
}

fn tools(package: &Package) -> BTreeMap<String, String> {
    let tools = package.sbom.iter().flat_map(|sbom| &sbom.tools);
    by_name(tools.map(|tool| (&tool.name, tool.version.clone())))
}

/// Libraries by their versions, and by all that is known of them where the versions are the same.
fn sbom_changes(from: &Package, to: &Package) -> Vec<Change> {
    let exact = changes(&dependencies(from, exactly), &dependencies(to, exactly));
    let (before, after) = (dependencies(from, briefly), dependencies(to, briefly));
    let brief = exact.into_iter().map(|change| {
        let (old, new) = (before.get(&change.name), after.get(&change.name));
        if old == new {
            return change;
        }
        Change {
            from: old.cloned(),
            to: new.cloned(),
            name: change.name,
        }
    });
    brief.collect()
}

fn dependencies(
    package: &Package,
    shown: fn(&SbomComponent) -> String,
) -> BTreeMap<String, String> {
    let components = package.sbom.iter().flat_map(|sbom| &sbom.components);
    by_name(components.map(|component| (&component.name, shown(component))))
}

/// Several versions of one name in one text.
fn by_name<'a>(parts: impl Iterator<Item = (&'a String, String)>) -> BTreeMap<String, String> {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (name, version) in parts {
        let versions = named.entry(name.clone()).or_default();
        if !versions.is_empty() {
            versions.push_str(", ");
        }
        versions.push_str(&version);
    }
    named
}

fn briefly(component: &SbomComponent) -> String {
    match component.scope {
        SbomScope::Required => component.version.clone(),
        SbomScope::Excluded => format!("{} for the build", component.version),
    }
}

fn exactly(component: &SbomComponent) -> String {
    let origin = component.origin.map(SbomOrigin::as_str);
    let more = [
        origin,
        component.checksum.as_deref(),
        component.purl.as_deref(),
        component.license.as_deref(),
    ];
    let more: Vec<&str> = more.into_iter().flatten().collect();
    format!("{} ({})", briefly(component), more.join(" "))
}

fn hash(value: &Value) -> String {
    Digest::of(value.to_string().as_bytes()).to_string()
}

fn changes(from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    names
        .into_iter()
        .map(|name| Change {
            name: name.clone(),
            from: from.get(name).cloned(),
            to: to.get(name).cloned(),
        })
        .filter(|change| change.from != change.to)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Risk;
    use crate::plugin::package::tests::{TOML, build, plugin};

    const STATE: &str = "[capabilities.state]\nreason = \"count\"\n";

    fn package(manifest: &str) -> Vec<u8> {
        build(&plugin(&["goldenpath:plugin/state@0.1.0"]), manifest).unwrap()
    }

    #[test]
    fn same_requests_differ_in_nothing_whatever_the_bytes_are() {
        let one = package(&format!("{TOML}{STATE}"));
        let other = package(&format!("{}{STATE}", TOML.replace("1.0.0", "1.0.1")));
        let diff = diff(&one, &other).unwrap();
        assert!(diff.is_empty() && diff.asks_more.is_empty(), "{diff:?}");
        assert_ne!(diff.from.digest, diff.to.digest);
        assert_eq!(diff.unchanged, ["state"]);
    }

    #[test]
    fn more_power_is_told_with_an_example() {
        let one = package(&format!("{TOML}{STATE}[limits]\nmemory = \"32MiB\"\n"));
        let other = package(&format!(
            "{TOML}{STATE}[capabilities.clock]\nreason = \"x\"\n"
        ));
        let more = diff(&one, &other).unwrap();
        assert_eq!(more.added, ["clock"]);
        let [change] = &more.budgets[..] else {
            panic!("{more:?}");
        };
        assert_eq!(
            (change.name.as_str(), change.to.as_deref()),
            ("memory", Some("64MiB"))
        );
        assert_eq!(
            more.asks_more,
            [
                "`clock` allows to tell the time",
                "`limit memory 64MiB` allows to use 64MiB of `memory`",
            ]
        );
        let less = diff(&other, &one).unwrap();
        assert_eq!(less.removed, ["clock"]);
        assert!(less.asks_more.is_empty() && !less.is_empty());
    }

    #[test]
    fn a_signer_that_is_lost_is_a_finding_and_one_with_another_key_is_not() {
        use crate::plugin::signature::{SigningKey, sign};

        let key = || SigningKey::generate().unwrap().0;
        let (alice, new_key, bob) = (key(), key(), key());
        let package = |version: &str, keys: &[&SigningKey]| {
            let unsigned = package(&format!("{}{STATE}", TOML.replace("1.0.0", version)));
            keys.iter()
                .fold(unsigned, |signed, key| sign(&signed, key).unwrap())
        };
        let one = package("1.0.0", &[&alice, &bob]);
        let less = diff(&one, &package("1.0.1", &[&bob])).unwrap();
        assert!(!less.is_empty() && less.asks_more.is_empty());
        let [change] = &less.signers[..] else {
            panic!("{less:?}");
        };
        let id = alice.public().id().to_string();
        assert_eq!((&change.name, &change.to), (&id, &None));
        let [finding] = &less.findings[..] else {
            panic!("{less:?}");
        };
        assert_eq!(finding.code, "signer_lost");
        assert!(finding.message.contains(&id), "{}", finding.message);
        assert!(
            diff(&one, &package("1.0.1", &[&bob, &alice]))
                .unwrap()
                .is_empty()
        );

        let renewed = package("1.0.1", &[&new_key, &bob]);
        let named = |of: &PublicKey| {
            let alices = [alice.public(), new_key.public()];
            alices.contains(of).then(|| "alice".to_owned())
        };
        let (one, renewed) = (
            Package::read(&one).unwrap(),
            Package::read(&renewed).unwrap(),
        );
        let told = compare(&one, &renewed, &named);
        assert!(told.findings.is_empty(), "{told:?}");
        assert_eq!(told.signers.len(), 2, "another key is told");
        let without = Package::read(&package("1.0.1", &[&bob])).unwrap();
        let gone = compare(&one, &without, &named).findings;
        assert!(
            gone[0].message.starts_with("`alice` signed 1.0.0"),
            "{gone:?}"
        );
    }

    #[test]
    fn new_lines_are_marked() {
        let secret = "[[capabilities.secret]]\nname = \"key\"\nreason = \"sign\"\n";
        let one = package(&format!("{TOML}{STATE}"));
        let other = package(&format!("{TOML}{STATE}{secret}"));
        let risks = diff(&one, &other).unwrap().risks;
        let [risk] = &risks[..] else {
            panic!("{risks:?}");
        };
        assert_eq!((risk.line.as_str(), risk.risk), ("secret key", Risk::High));
        assert!(diff(&other, &one).unwrap().risks.is_empty());
    }

    const HTTP: &str = "[[capabilities.http]]\nendpoint = \"git\"\nmethods = [\"GET\"]\npaths = [\"/\"]\nreason = \"x\"\n";

    #[test]
    fn endpoint_that_moved_is_more_and_one_without_a_default_is_not() {
        let at = |default: &str| {
            let endpoint = format!("[endpoints.git]\n{default}reason = \"x\"\n");
            package(&format!("{TOML}{STATE}{endpoint}{HTTP}"))
        };
        let (here, nowhere) = (at("default = \"https://a.example\"\n"), at(""));
        let moved = at("default = \"https://b.example\"\n");
        let told = diff(&here, &moved).unwrap().asks_more;
        assert_eq!(
            told,
            ["endpoint `git` is at https://b.example unless it is bound elsewhere"]
        );
        let less = diff(&here, &nowhere).unwrap();
        assert!(
            less.asks_more.is_empty() && less.endpoints.len() == 1,
            "{less:?}"
        );
    }

    #[test]
    fn shipped_documents_and_other_effects_are_more() {
        let with = |effects: &str, document: &str| {
            let manifest = format!("{TOML}{STATE}").replace("\"none\"", &format!("\"{effects}\""));
            let documents = BTreeMap::from([("actions/go.json".to_owned(), document.to_owned())]);
            let component = plugin(&["goldenpath:plugin/state@0.1.0"]);
            let schemas = serde_json::json!({"sdk": "test 0", "actions": [
                {"name": "go", "description": "", "inputSchema": {}, "outputSchema": {}}
            ]});
            crate::plugin::assemble(&component, &manifest, &schemas, "", &documents).unwrap()
        };
        let one = with("once", "{}");
        let told = diff(&one, &with("none", "{\"title\": \"Go\"}"))
            .unwrap()
            .asks_more;
        assert_eq!(
            told,
            [
                "it changes `actions/go.json`",
                "after a crash, function `go` counts as `none`",
            ]
        );
        assert!(diff(&one, &with("once", "{}")).unwrap().is_empty());
    }

    #[test]
    fn other_dependencies_are_told_and_are_not_more() {
        let with = |version: &str, checksum: &str| {
            let library = crate::model::SbomComponent {
                name: "lib".to_owned(),
                version: version.to_owned(),
                purl: None,
                license: None,
                checksum: Some(checksum.repeat(32)),
                origin: None,
                scope: SbomScope::Required,
            };
            let sbom = crate::model::Sbom {
                tools: Vec::new(),
                components: vec![library],
            };
            let package = package(&format!("{TOML}{STATE}"));
            crate::plugin::embed_sbom(&package, &sbom).unwrap()
        };
        let change = |from: &[u8], to: &[u8]| {
            let diff = diff(from, to).unwrap();
            assert!(diff.asks_more.is_empty());
            let [change] = &diff.dependencies[..] else {
                assert!(diff.is_empty());
                return None;
            };
            assert!(!diff.is_empty());
            Some((change.from.clone()?, change.to.clone()?))
        };
        let one = with("1.0.0", "ab");
        assert_eq!(change(&one, &with("1.0.0", "ab")), None);
        let (from, to) = change(&one, &with("1.0.1", "cd")).unwrap();
        assert_eq!((from.as_str(), to.as_str()), ("1.0.0", "1.0.1"));
        // The same version of other bytes is what nobody expects.
        let (_, to) = change(&one, &with("1.0.0", "cd")).unwrap();
        assert!(to.contains("cdcd"), "{to}");
    }

    #[test]
    fn other_input_of_a_function_is_more_and_other_output_is_told() {
        let with = |input: &str, output: &str| {
            let schemas = serde_json::json!({"sdk": "test 0", "actions": [
                {"name": "go", "description": "", "inputSchema": {"title": input}, "outputSchema": {"title": output}}
            ]});
            let component = plugin(&["goldenpath:plugin/state@0.1.0"]);
            let manifest = format!("{TOML}{STATE}");
            crate::plugin::assemble(&component, &manifest, &schemas, "", &BTreeMap::new()).unwrap()
        };
        let one = with("a", "a");
        let input = diff(&one, &with("b", "a")).unwrap();
        assert_eq!(input.asks_more, ["function `go` takes another input"]);
        let output = diff(&one, &with("a", "b")).unwrap();
        assert!(output.asks_more.is_empty() && !output.is_empty());
        let [change] = &output.schemas[..] else {
            panic!("{output:?}");
        };
        assert_eq!(change.name, "go output");
    }
}
