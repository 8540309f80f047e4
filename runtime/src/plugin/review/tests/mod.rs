mod trust;
mod upgrade;
mod withdraw;

use super::*;
use crate::catalog::Catalog;
use crate::model::{RunId, Timestamp, UnderWay, UpgradePolicy};
use crate::plugin::package::tests::{TOML, build, plugin};
use crate::plugin::{ActionCall, CallError, EventSink, InstallError, PluginSettings};
use crate::store::Store;

struct Place {
    dir: tempfile::TempDir,
    store: Store,
    host: PluginHost,
    actor: Actor,
}

struct Nowhere;

impl EventSink for Nowhere {
    fn emit(&self, _: crate::model::EventBody) {}
}

impl Place {
    fn new() -> Self {
        Self::with(&[], UpgradePolicy::Activate)
    }

    /// A host with a policy of its own.
    fn with(ceiling: &[&str], upgrades: UpgradePolicy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let settings = PluginSettings {
            data_dir: dir.path().to_owned(),
            egress: crate::plugin::EgressSettings::default(),
            ceiling: ceiling.iter().map(|line| (*line).to_owned()).collect(),
            upgrades,
            four_eyes: false,
            own_listener: None,
            compiler: None,
        };
        let host = PluginHost::new(store.clone(), Catalog::new(store.clone()), settings).unwrap();
        Self {
            dir,
            store,
            host,
            actor: Actor::system(),
        }
    }

    /// A package that keeps state, and asks for what `more` says.
    fn package(version: &str, more: &str) -> Vec<u8> {
        let manifest = format!(
            "{}[capabilities.state]\nreason = \"count\"\n{more}",
            TOML.replace("1.0.0", version)
        );
        build(&plugin(&["goldenpath:plugin/state@0.1.0"]), &manifest).unwrap()
    }

    /// Puts a version in the store as an install does. The component in it has no code, so that nothing is compiled.
    async fn put(&self, version: &str) -> PluginVersion {
        self.put_package(Self::package(version, "")).await
    }

    async fn put_package(&self, bytes: Vec<u8>) -> PluginVersion {
        let package = Package::read(&bytes).unwrap();
        let version = PluginVersion {
            name: package.manifest.name,
            title: package.manifest.title,
            version: package.manifest.version,
            digest: package.digest,
            manifest_hash: package.manifest_hash,
            state: PluginState::Pending,
            installed_at: Timestamp(0),
            installed_by: "somebody".to_owned(),
        };
        let row = version.clone();
        let put: Result<(), store::Error> = self
            .store
            .write(move |tx| tx.insert_plugin(&row, &bytes))
            .await;
        put.unwrap();
        version
    }

    /// What a reviewer reads.
    async fn read(&self, version: &PluginVersion) -> CapabilityReport {
        let read = self.host.find_report(&version.name, &version.version).await;
        read.unwrap()
    }

    /// Allows all that a version asks for, as it is now.
    async fn approve_all(&self, version: &PluginVersion) -> Result<PluginVersion, ReviewError> {
        let approval = Approval::of(&self.read(version).await);
        self.approve(version, approval).await
    }

    async fn revoke(
        &self,
        version: &PluginVersion,
        under_way: UnderWay,
    ) -> Result<PluginVersion, ReviewError> {
        let (name, version) = (&version.name, &version.version);
        self.host
            .revoke(&self.actor, name, version, "leaks", under_way)
            .await
    }

    async fn approve(
        &self,
        version: &PluginVersion,
        approval: Approval,
    ) -> Result<PluginVersion, ReviewError> {
        self.host
            .approve(&self.actor, &version.name, &version.version, approval)
            .await
    }

    /// The code that a call of an exact version would end with.
    async fn prepare(&self, version: &str) -> String {
        let name = PluginName::parse("demo").unwrap();
        let version = semver::Version::parse(version).unwrap();
        let prepared = self.host.prepare(&name, Some(&version)).await;
        prepared
            .err()
            .map_or(String::new(), |error| error.code().to_owned())
    }

    async fn states(&self) -> Vec<(String, PluginState)> {
        let listed = self.host.list_versions(None).await.unwrap();
        listed
            .into_iter()
            .map(|v| (v.version.to_string(), v.state))
            .collect()
    }

    async fn call(&self, version: &PluginVersion) -> CallError {
        let call = ActionCall {
            plugin: version.name.clone(),
            version: Some(version.version.clone()),
            action: "go".to_owned(),
            input: json!({}),
            entity: None,
            run: RunId::parse("r_1").unwrap(),
            actor: self.actor.clone(),
            at: Timestamp(0),
            sink: std::sync::Arc::new(Nowhere),
            runs: None,
            journal: None,
            interrupts: None,
        };
        self.host.call_action(call).await.unwrap_err()
    }
}

#[tokio::test]
async fn approval_activates_one_version_and_supersedes_the_one_before() {
    let place = Place::new();
    let (one, two) = (place.put("1.0.0").await, place.put("2.0.0").await);
    place.approve_all(&one).await.unwrap();
    let active = place.approve_all(&two).await.unwrap();
    assert_eq!(active.state, PluginState::Active);
    let states = place.states().await;
    assert_eq!(
        states,
        [
            ("2.0.0".to_owned(), PluginState::Active),
            ("1.0.0".to_owned(), PluginState::Superseded)
        ]
    );
    let audit: Result<_, store::Error> = place.store.read(|tx| tx.list_audit(None, 10)).await;
    let verbs: Vec<_> = audit
        .unwrap()
        .into_iter()
        .rev()
        .map(|row| (row.action, row.identifier))
        .collect();
    let row = |verb, name: &str| (verb, name.to_owned());
    assert_eq!(
        verbs,
        [
            row(Verb::Approve, "demo@1.0.0"),
            row(Verb::Update, "demo@1.0.0"),
            row(Verb::Approve, "demo@2.0.0")
        ]
    );
}

#[tokio::test]
async fn report_shows_request_and_grant_line_by_line() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    let before = place
        .host
        .find_report(&one.name, &one.version)
        .await
        .unwrap();
    assert!(before.requested.contains(&"state".to_owned()) && before.granted.is_empty());
    assert_eq!(before.reasons["state"], "count");
    let approval = Approval {
        deny: vec!["state".to_owned()],
        ..Approval::of(&before)
    };
    place.approve(&one, approval).await.unwrap();
    let after = place
        .host
        .find_report(&one.name, &one.version)
        .await
        .unwrap();
    assert!(!after.granted.contains(&"state".to_owned()));
    assert!(after.granted.contains(&"limit memory 64MiB".to_owned()));
    assert_ne!(before.policy_revision, after.policy_revision);
}

#[tokio::test]
async fn approval_of_something_else_than_what_was_read_is_a_conflict() {
    let place = Place::new();
    let (one, two) = (place.put("1.0.0").await, place.put("2.0.0").await);
    let read = place.read(&one).await;
    let stale = [
        Approval {
            digest: two.digest,
            ..Approval::of(&read)
        },
        Approval {
            manifest_hash: two.manifest_hash,
            ..Approval::of(&read)
        },
    ];
    for approval in stale {
        assert!(matches!(
            place.approve(&one, approval).await,
            Err(ReviewError::Conflict(_))
        ));
    }
    place.approve_all(&two).await.unwrap();
    assert!(matches!(
        place.approve(&one, Approval::of(&read)).await,
        Err(ReviewError::Conflict(_))
    ));
    assert_eq!(
        place.states().await[1].1,
        PluginState::Pending,
        "a refused approval changes nothing"
    );
}

#[tokio::test]
async fn version_that_is_not_approved_does_not_run() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    assert_eq!(place.call(&one).await.code(), "plugin_not_active");
    place.approve_all(&one).await.unwrap();
    assert_ne!(place.call(&one).await.code(), "plugin_not_active");
    place.revoke(&one, UnderWay::Finish).await.unwrap();
    assert_eq!(place.call(&one).await.code(), "plugin_revoked");
    let again = place.approve_all(&one).await;
    assert!(
        matches!(again, Err(ReviewError::Conflict(_))),
        "revoked is for ever"
    );
}

#[tokio::test]
async fn grant_that_cannot_be_read_stops_the_plugin() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    place.approve_all(&one).await.unwrap();
    let (name, version) = (one.name.clone(), one.version.clone());
    let broken: Result<(), store::Error> = place
        .store
        .write(move |tx| tx.update_plugin_grant(&name, &version, "{\"lines\":"))
        .await;
    broken.unwrap();
    assert_eq!(place.call(&one).await.code(), "plugin_not_active");
}

#[tokio::test]
async fn approval_is_consumed_once() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    let approval = Approval::of(&place.read(&one).await);
    let (first, second) = tokio::join!(
        place.approve(&one, approval.clone()),
        place.approve(&one, approval)
    );
    let won = [first.is_ok(), second.is_ok()];
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(place.states().await[0].1, PluginState::Active);
}

#[tokio::test]
async fn grant_for_other_bytes_stops_the_plugin() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    place.approve_all(&one).await.unwrap();
    let (name, version, shown) = (one.name.clone(), one.version.clone(), one.clone());
    let swapped: Result<(), store::Error> = place
        .store
        .write(move |tx| {
            let found = tx.find_plugin(&name, &version)?.unwrap();
            let other = Digest::of(b"other").to_string();
            let grant = found
                .grant
                .unwrap()
                .replace(&one.digest.to_string(), &other);
            tx.update_plugin_grant(&name, &version, &grant)
        })
        .await;
    swapped.unwrap();
    assert_eq!(place.prepare("1.0.0").await, "plugin_not_active");
    let read = place.read(&shown).await;
    assert!(read.granted.is_empty());
    assert_eq!(read.findings.last().unwrap().code, "drift");
}

#[tokio::test]
async fn another_policy_of_the_host_is_another_revision() {
    let (free, strict) = (
        Place::new(),
        Place::with(&["no state"], UpgradePolicy::Activate),
    );
    let (one, other) = (free.put("1.0.0").await, strict.put("1.0.0").await);
    assert_eq!(one, other);
    let (read, held) = (free.read(&one).await, strict.read(&other).await);
    assert_ne!(read.policy_revision, held.policy_revision);
    let finding = &held.findings.last().unwrap();
    assert_eq!(finding.code, "beyond_ceiling");
    assert!(finding.message.contains("keep values between runs"));
    let refused = strict.approve_all(&other).await;
    assert!(
        matches!(refused, Err(ReviewError::Invalid(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn only_pending_versions_are_rejected_and_only_approved_ones_revoked() {
    let place = Place::new();
    let (one, two) = (place.put("1.0.0").await, place.put("2.0.0").await);
    let revoked = place.revoke(&one, UnderWay::Finish).await;
    assert!(matches!(revoked, Err(ReviewError::Conflict(_))));
    place
        .host
        .reject(&place.actor, &one.name, &one.version, "no")
        .await
        .unwrap();
    assert!(matches!(
        place.approve_all(&one).await,
        Err(ReviewError::Conflict(_))
    ));
    place.approve_all(&two).await.unwrap();
    let rejected = place
        .host
        .reject(&place.actor, &two.name, &two.version, "no")
        .await;
    assert!(matches!(rejected, Err(ReviewError::Conflict(_))));
    let missing = place
        .host
        .find_version(&two.name, &semver::Version::new(9, 0, 0))
        .await;
    assert!(matches!(missing, Err(ReviewError::NotFound(_))));
}

#[tokio::test]
async fn version_is_one_file_for_ever() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    let manifest = format!("{TOML}[capabilities.state]\nreason = \"count\"\n");
    let same = build(&plugin(&["goldenpath:plugin/state@0.1.0"]), &manifest).unwrap();
    let again = place.host.install(&place.actor, same).await.unwrap();
    assert_eq!((again.version, again.is_new), (one, false));
    let other = build(
        &plugin(&["goldenpath:plugin/state@0.1.0"]),
        &manifest.replace("count", "spy"),
    )
    .unwrap();
    let refused = place.host.install(&place.actor, other).await;
    assert!(
        matches!(refused, Err(InstallError::Conflict(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn component_that_cannot_be_linked_is_not_installed() {
    let place = Place::new();
    let hollow = build(&plugin(&[]), TOML).unwrap();
    let refused = place.host.install(&place.actor, hollow).await;
    assert!(
        matches!(refused, Err(InstallError::Unusable(_))),
        "{refused:?}"
    );
    assert!(place.states().await.is_empty());
}
