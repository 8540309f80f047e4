use super::*;
use crate::plugin::review::upgrade::Upgrade;

const CLOCK: &str = "[capabilities.clock]\nreason = \"x\"\n";

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
        let applied: Result<PluginState, store::Error> = self
            .store
            .write(move |tx| upgrade.apply(tx, &actor, &installed))
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
