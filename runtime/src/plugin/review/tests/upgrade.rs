use super::*;
use crate::model::Binding;
use crate::plugin::review::upgrade::Upgrade;

const CLOCK: &str = "[capabilities.clock]\nreason = \"x\"\n";

const FOLDER: &str = "[[capabilities.files]]\nname = \"out\"\naccess = \"read\"\nreason = \"x\"\n";

const ENDPOINT: &str = "[endpoints.git]\ndefault = \"https://a.example\"\nreason = \"x\"\n[[capabilities.http]]\nendpoint = \"git\"\nmethods = [\"GET\"]\npaths = [\"/\"]\nreason = \"x\"\n";

impl Place {
    /// Installs a version as `install` does, but for the component, which has no code to be compiled; or tells why it
    /// waits.
    async fn upgrade(&self, version: &str, more: &str) -> Result<PluginVersion, Vec<String>> {
        let package = Package::read(&Self::package(version, more)).unwrap();
        let upgrade = self.host.find_upgrade(&package).await.unwrap();
        let installed = self.put_package(Self::package(version, more)).await;
        let upgrade = upgrade?;
        self.take_over(upgrade, &installed).await;
        let (name, version) = (&installed.name, &installed.version);
        Ok(self.host.find_version(name, version).await.unwrap())
    }

    async fn take_over(&self, upgrade: Upgrade, installed: &PluginVersion) {
        let (actor, installed) = (self.actor.clone(), installed.clone());
        let policy = Arc::clone(&self.host.policy);
        let applied: Result<PluginState, store::Error> = self
            .store
            .write(move |tx| {
                let confirmed = upgrade.confirm(tx, &policy, &actor, &installed)?;
                match confirmed {
                    Ok(confirmed) => confirmed.apply(tx, &actor, &installed),
                    Err(_) => Ok(PluginState::Pending),
                }
            })
            .await;
        applied.unwrap();
    }

    async fn active(&self) -> Vec<String> {
        let states = self.states().await.into_iter();
        states
            .filter(|(_, state)| *state == PluginState::Active)
            .map(|(version, _)| version)
            .collect()
    }
}

#[tokio::test]
async fn version_that_asks_for_nothing_new_takes_over_with_what_was_granted() {
    let place = Place::new();
    let one = place.put_package(Place::package("1.0.0", CLOCK)).await;
    let approval = Approval {
        deny: vec!["clock".to_owned()],
        limits: BTreeMap::from([("memory".to_owned(), "16MiB".to_owned())]),
        ..Approval::of(&place.read(&one).await)
    };
    place.approve(&one, approval).await.unwrap();
    let two = place.upgrade("1.1.0", CLOCK).await.unwrap();
    assert_eq!(two.state, PluginState::Active);
    assert_eq!(place.active().await, ["1.1.0"]);
    let granted = place.read(&two).await.granted;
    assert!(granted.contains(&"state".to_owned()));
    assert!(granted.contains(&"limit memory 16MiB".to_owned()));
    assert!(
        !granted.contains(&"clock".to_owned()),
        "what was denied stays denied"
    );
    assert_eq!(
        place.prepare("1.1.0").await,
        "denied",
        "a component without code"
    );
}

#[tokio::test]
async fn version_that_asks_for_more_waits_while_the_old_one_serves() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    place.approve_all(&one).await.unwrap();
    let waits = place.upgrade("1.1.0", CLOCK).await.unwrap_err();
    assert_eq!(waits, ["`clock` allows to tell the time"]);
    let two = semver::Version::new(1, 1, 0);
    let read = place.host.find_report(&one.name, &two).await.unwrap();
    let told: Vec<&str> = read
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    assert!(told.contains(&"asks_for_more"), "{told:?}");
    assert_eq!(place.active().await, ["1.0.0"]);
}

#[tokio::test]
async fn approval_keeps_which_secret_it_is_as_long_as_that_is_attached_in_the_same_way() {
    let attached = |header: &str| {
        format!(
            "[endpoints.git]\ndefault = \"https://a.example\"\nreason = \"x\"\n\
             [[capabilities.http]]\nendpoint = \"git\"\nmethods = [\"GET\"]\npaths = [\"/\"]\nreason = \"x\"\n\
             secret = {{ name = \"token\", header = \"{header}\" }}\n{CLOCK}"
        )
    };
    let place = Place::new();
    let one = place
        .put_package(Place::package("1.0.0", &attached("authorization")))
        .await;
    let secrets = BTreeMap::from([("token".to_owned(), "stored".to_owned())]);
    let approval = Approval {
        secrets: secrets.clone(),
        ..Approval::of(&place.read(&one).await)
    };
    place.approve(&one, approval).await.unwrap();
    for (version, header, carried) in [
        ("1.1.0", "authorization", secrets),
        ("1.2.0", "x-token", BTreeMap::new()),
    ] {
        let next = place
            .put_package(Place::package(version, &attached(header)))
            .await;
        let read = place.read(&next).await;
        assert_eq!(Approval::of(&read).secrets, carried, "{header}");
        let told = read.findings.iter().any(|f| f.code == "carried_secret");
        assert_eq!(told, !carried.is_empty(), "{:?}", read.findings);
    }
}

#[tokio::test]
async fn approval_of_a_waiting_version_keeps_what_was_decided_about_the_active_one() {
    const MORE: &str = "[capabilities.random]\nreason = \"x\"\n";
    let place = Place::new();
    let power = format!("{CLOCK}{FOLDER}{ENDPOINT}");
    let one = place.put_package(Place::package("1.0.0", &power)).await;
    let binding = Binding {
        urls: vec!["https://b.example".to_owned()],
        ..Binding::default()
    };
    let approval = Approval {
        deny: vec!["clock".to_owned()],
        limits: BTreeMap::from([("memory".to_owned(), "16MiB".to_owned())]),
        bindings: BTreeMap::from([("git".to_owned(), binding.clone())]),
        folders: BTreeMap::from([("out".to_owned(), "/srv/out".to_owned())]),
        ..Approval::of(&place.read(&one).await)
    };
    place.approve(&one, approval.clone()).await.unwrap();
    let wider = Place::package("1.1.0", &format!("{power}{MORE}"));
    let two = place.put_package(wider).await;
    let read = place.read(&two).await;
    let carried = read.carried.clone().unwrap();
    assert_eq!(carried.from, one.version);
    assert_eq!(carried.deny, approval.deny);
    assert_eq!(carried.limits, approval.limits);
    assert_eq!(carried.bindings, approval.bindings);
    assert_eq!(carried.folders, approval.folders);
    let told = |code: &str| read.findings.iter().filter(|f| f.code == code).count();
    for code in [
        "asks_for_more",
        "carried_denial",
        "carried_limit",
        "carried_binding",
        "carried_folder",
    ] {
        assert_eq!(told(code), 1, "{code}: {:?}", read.findings);
    }
    place.approve_all(&two).await.unwrap();
    let granted = place.read(&two).await.granted;
    for line in [
        "random",
        "limit memory 16MiB",
        "http GET https://b.example/",
    ] {
        assert!(granted.contains(&line.to_owned()), "{line}: {granted:?}");
    }
    assert!(!granted.contains(&"clock".to_owned()), "{granted:?}");
}

#[tokio::test]
async fn folder_in_the_data_folder_is_refused_and_granted_ones_are_shown() {
    let place = Place::new();
    let one = place.put_package(Place::package("1.0.0", FOLDER)).await;
    let read = place.read(&one).await;
    let at = |path: &std::path::Path| Approval {
        folders: BTreeMap::from([("out".to_owned(), path.to_str().unwrap().to_owned())]),
        ..Approval::of(&read)
    };
    let refused = place.approve(&one, at(place.dir.path())).await;
    let Err(ReviewError::Invalid(problems)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problems[0].path, "/folders/out");
    let elsewhere = tempfile::tempdir().unwrap();
    place.approve(&one, at(elsewhere.path())).await.unwrap();
    let shown = place.read(&one).await.folders;
    assert_eq!(shown, at(elsewhere.path()).folders);
    place.upgrade("1.1.0", FOLDER).await.unwrap();
    let audit: Result<_, store::Error> = place.store.read(|tx| tx.list_audit(None, 10)).await;
    let row = audit.unwrap().into_iter().next().unwrap();
    assert_eq!(row.after.unwrap()["folders"], json!(shown));
}

#[tokio::test]
async fn denied_line_that_returns_within_a_wider_one_is_told() {
    let at = |path: &str| ENDPOINT.replace("[\"/\"]", &format!("[\"/a\", \"{path}\"]"));
    let place = Place::new();
    let one = place.put_package(Place::package("1.0.0", &at("/b"))).await;
    let approval = Approval {
        deny: vec!["http GET git /b".to_owned()],
        ..Approval::of(&place.read(&one).await)
    };
    place.approve(&one, approval).await.unwrap();
    let two = place.put_package(Place::package("1.1.0", &at("/**"))).await;
    let read = place.read(&two).await;
    assert!(read.carried.unwrap().deny.is_empty());
    let told = |f: &&Finding| f.code == "carried_denial" && f.message.contains("`http GET git /b`");
    assert_eq!(read.findings.iter().filter(told).count(), 1);
}

#[tokio::test]
async fn first_versions_older_ones_and_previews_wait() {
    let place = Place::new();
    let first = Package::read(&Place::package("1.0.0", "")).unwrap();
    assert!(place.host.find_upgrade(&first).await.unwrap().is_err());
    let one = place.put("1.0.0").await;
    place.approve_all(&one).await.unwrap();
    for version in ["0.9.0", "1.1.0-rc.1"] {
        assert!(place.upgrade(version, "").await.is_err(), "{version}");
    }
    assert_eq!(place.active().await, ["1.0.0"]);
}

#[tokio::test]
async fn every_version_waits_where_the_policy_is_to_review() {
    let place = Place::with(&[], UpgradePolicy::Review);
    let one = place.put("1.0.0").await;
    place.approve_all(&one).await.unwrap();
    assert!(place.upgrade("1.1.0", "").await.is_err());
}

#[tokio::test]
async fn decision_in_between_lets_the_new_version_wait() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    place.approve_all(&one).await.unwrap();
    let package = Package::read(&Place::package("1.1.0", "")).unwrap();
    let upgrade = place.host.find_upgrade(&package).await.unwrap().unwrap();
    place.revoke(&one, UnderWay::Finish).await.unwrap();
    let two = place.put("1.1.0").await;
    place.take_over(upgrade, &two).await;
    assert_eq!(place.active().await, [""; 0]);
}

#[tokio::test]
async fn nothing_takes_over_by_itself_after_a_later_version_was_turned_down() {
    for turn_down in ["rollback", "reject", "revoke and rollback"] {
        let place = Place::new();
        let one = place.put("1.0.0").await;
        place.approve_all(&one).await.unwrap();
        let two = place.put("1.1.0").await;
        let package = Package::read(&Place::package("1.2.0", "")).unwrap();
        let early = place.host.find_upgrade(&package).await.unwrap().unwrap();
        if turn_down == "reject" {
            let rejected = place
                .host
                .reject(&place.actor, &two.name, &two.version, "no");
            rejected.await.unwrap();
        } else {
            place.approve_all(&two).await.unwrap();
            if turn_down == "revoke and rollback" {
                place.revoke(&two, UnderWay::Finish).await.unwrap();
            }
            let rolled =
                place
                    .host
                    .roll_back(&place.actor, &two.name, Some(&one.version), None, "no");
            rolled.await.unwrap();
        }
        let waits = place.upgrade("1.3.0", "").await.unwrap_err();
        assert!(waits[0].contains("1.1.0"), "{turn_down}: {waits:?}");
        let late = place.put("1.2.0").await;
        place.take_over(early, &late).await;
        assert_eq!(place.active().await, ["1.0.0"], "{turn_down}");
    }
}

#[tokio::test]
async fn active_version_that_cannot_be_read_is_replaced_by_a_reviewer() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    place.approve_all(&one).await.unwrap();
    let (name, version) = (one.name.clone(), one.version.clone());
    let broken: Result<(), store::Error> = place
        .store
        .write(move |tx| tx.update_plugin_grant(&name, &version, "{"))
        .await;
    broken.unwrap();
    let told = |read: CapabilityReport, code: &str| read.findings.iter().any(|f| f.code == code);
    assert!(told(place.read(&one).await, "grant_unreadable"));
    place.upgrade("1.1.0", "").await.unwrap_err();
    let version = semver::Version::new(1, 1, 0);
    let two = place.host.find_version(&one.name, &version);
    let two = two.await.unwrap();
    assert!(told(place.read(&two).await, "carried_unknown"));
    place.approve_all(&two).await.unwrap();
    assert_eq!(place.active().await, ["1.1.0"]);
}

#[tokio::test]
async fn two_versions_are_compared_by_what_they_ask_for() {
    let place = Place::new();
    let one = place.put("1.0.0").await;
    let two = place.put_package(Place::package("1.1.0", CLOCK)).await;
    let compare = |from: &semver::Version, to: &semver::Version| {
        let (from, to) = (from.clone(), to.clone());
        let host = place.host.clone();
        let name = one.name.clone();
        async move { host.diff_versions(&name, &from, &to).await.unwrap() }
    };
    let diff = compare(&one.version, &two.version).await;
    assert_eq!(
        (diff.added, diff.removed),
        (vec!["clock".to_owned()], Vec::new())
    );
    let same = compare(&one.version, &one.version).await;
    assert!(same.is_empty());
}
