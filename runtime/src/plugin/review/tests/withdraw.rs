use super::*;

impl Place {
    async fn roll_back(&self, version: Option<&PluginVersion>) -> Result<String, ReviewError> {
        let name = PluginName::parse("demo").unwrap();
        let version = version.map(|version| &version.version);
        let rolled = self
            .host
            .roll_back(&self.actor, &name, version, None, "slow")
            .await;
        rolled.map(|version| version.version.to_string())
    }

    /// The code that a call which names no version would end with.
    async fn call_active(&self) -> String {
        let name = PluginName::parse("demo").unwrap();
        let prepared = self.host.prepare(&name, None).await;
        prepared
            .err()
            .map_or(String::new(), |error| error.code().to_owned())
    }
}

#[tokio::test]
async fn rollback_goes_to_the_latest_earlier_version_that_may_still_run() {
    let place = Place::new();
    let mut versions = Vec::new();
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        let put = place.put(version).await;
        place.approve_all(&put).await.unwrap();
        versions.push(put);
    }
    place.revoke(&versions[1], UnderWay::Finish).await.unwrap();
    assert_eq!(place.roll_back(None).await.unwrap(), "1.0.0");
    assert_eq!(
        place.states().await,
        [
            ("3.0.0".to_owned(), PluginState::Superseded),
            ("2.0.0".to_owned(), PluginState::Revoked),
            ("1.0.0".to_owned(), PluginState::Active),
        ]
    );
    let nothing = place.roll_back(None).await;
    assert!(
        matches!(nothing, Err(ReviewError::Conflict(_))),
        "{nothing:?}"
    );
    let revoked = place.roll_back(Some(&versions[1])).await;
    assert!(
        matches!(revoked, Err(ReviewError::Conflict(_))),
        "{revoked:?}"
    );
    assert_eq!(place.roll_back(Some(&versions[2])).await.unwrap(), "3.0.0");
}

#[tokio::test]
async fn rollback_keeps_the_grant_of_then() {
    let place = Place::new();
    let (one, two) = (place.put("1.0.0").await, place.put("2.0.0").await);
    let approval = Approval {
        deny: vec!["state".to_owned()],
        ..Approval::of(&place.read(&one).await)
    };
    place.approve(&one, approval).await.unwrap();
    place.approve_all(&two).await.unwrap();
    place.roll_back(None).await.unwrap();
    let granted = place.read(&one).await.granted;
    assert!(!granted.contains(&"state".to_owned()), "{granted:?}");
}

#[tokio::test]
async fn calls_of_a_plugin_whose_only_version_was_revoked_say_so() {
    let place = Place::new();
    assert_eq!(place.call_active().await, "plugin_not_active");
    let one = place.put("1.0.0").await;
    assert_eq!(place.call_active().await, "plugin_not_active");
    place.approve_all(&one).await.unwrap();
    place.revoke(&one, UnderWay::Cancel).await.unwrap();
    assert_eq!(place.call_active().await, "plugin_revoked");
}

#[tokio::test]
async fn stop_is_audited_even_when_nothing_runs() {
    let place = Place::new();
    let ended = place.host.stop_all(&place.actor, "incident").await.unwrap();
    assert_eq!(ended, 0);
    let audit: Result<_, store::Error> = place.store.read(|tx| tx.list_audit(None, 10)).await;
    let row = &audit.unwrap()[0];
    assert_eq!(row.after.as_ref().unwrap()["reason"], "incident");
}

#[tokio::test]
async fn rollback_from_another_version_than_was_seen_changes_nothing() {
    let place = Place::new();
    let (one, two) = (place.put("1.0.0").await, place.put("2.0.0").await);
    place.approve_all(&one).await.unwrap();
    place.approve_all(&two).await.unwrap();
    let back = |seen: &PluginVersion| {
        let (host, actor) = (place.host.clone(), place.actor.clone());
        let (name, seen) = (seen.name.clone(), seen.version.clone());
        async move {
            let rolled = host.roll_back(&actor, &name, None, Some(&seen), "slow");
            rolled.await.map(|version| version.version.to_string())
        }
    };
    let stale = back(&one).await;
    assert!(matches!(stale, Err(ReviewError::Conflict(_))), "{stale:?}");
    assert_eq!(back(&two).await.unwrap(), "1.0.0");
    let again = back(&two).await;
    assert!(matches!(again, Err(ReviewError::Conflict(_))), "{again:?}");
}
