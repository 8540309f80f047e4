use super::*;
use crate::plugin::signature::{SigningKey, sign};
use crate::plugin::{Revoked, TrustPolicy};

/// What becomes of a call that may begin: the component of these tests exports nothing that could be called.
const LET_THROUGH: &str = "denied";

/// The host of a place, after its operator wrote other settings.
fn restarted(place: Place, keys: &[String], required: usize) -> Place {
    let policy = TrustPolicy::parse(keys, required).unwrap();
    Place {
        host: place.host.clone().with_trust(policy, Revoked::default()),
        ..place
    }
}

async fn denials(place: &Place) -> Vec<Value> {
    let audit: Result<_, store::Error> = place.store.read(|tx| tx.list_audit(None, 50)).await;
    let rows = audit.unwrap().into_iter();
    let denied = rows.filter(|row| row.action == Verb::Deny);
    denied.filter_map(|row| row.after).collect()
}

#[tokio::test]
async fn version_whose_signers_are_not_trusted_any_more_neither_runs_nor_is_approved() {
    let place = Place::new();
    let (alice, _) = SigningKey::generate().unwrap();
    let one = place
        .put_package(sign(&Place::package("1.0.0", ""), &alice).unwrap())
        .await;
    let place = restarted(place, &[format!("alice={}", alice.public())], 1);
    place.approve_all(&one).await.unwrap();
    assert_eq!(place.prepare("1.0.0").await, LET_THROUGH);
    let before = place.read(&one).await;
    assert_eq!(before.provenance.signers, ["alice".to_owned()].into());

    let (bob, _) = SigningKey::generate().unwrap();
    let place = restarted(place, &[format!("bob={}", bob.public())], 1);
    assert_eq!(place.call(&one).await.code(), "plugin_untrusted");
    let [denied] = &denials(&place).await[..] else {
        panic!("one refused call has one row");
    };
    assert_eq!(denied["refused"], "plugin_untrusted");
    let after = place.read(&one).await;
    assert!(after.findings.iter().any(|of| of.code == "untrusted"));
    assert_ne!(before.policy_revision, after.policy_revision);
    let refused = place.approve(&one, Approval::of(&after)).await.unwrap_err();
    assert!(matches!(refused, ReviewError::Untrusted(_)), "{refused}");
}

#[tokio::test]
async fn key_that_expired_after_a_version_came_in_does_not_stop_it() {
    let place = Place::new();
    let (alice, _) = SigningKey::generate().unwrap();
    // It came in at zero.
    let one = place
        .put_package(sign(&Place::package("1.0.0", ""), &alice).unwrap())
        .await;
    let expired = format!("alice={} until 1970-01-01T00:00:01Z", alice.public());
    let place = restarted(place, &[expired], 1);
    place.approve_all(&one).await.unwrap();
    assert_eq!(place.prepare("1.0.0").await, LET_THROUGH);
    let later = sign(&Place::package("1.0.1", ""), &alice).unwrap();
    let refused = place.host.install(&place.actor, later).await.unwrap_err();
    assert!(matches!(refused, InstallError::Untrusted(_)), "{refused}");
}

#[tokio::test]
async fn unsigned_version_does_not_take_over_from_a_signed_one_by_itself() {
    let place = Place::new();
    let key = || SigningKey::generate().unwrap().0;
    let (alice, stranger) = (key(), key());
    let signed = |version: &str, key| sign(&Place::package(version, ""), key).unwrap();
    // Nobody has to sign here, and whoever does is known.
    let place = restarted(place, &[format!("alice={}", alice.public())], 0);
    let one = place.put_package(signed("1.0.0", &alice)).await;
    place.approve_all(&one).await.unwrap();
    let takes_over = async |bytes: &[u8]| {
        let package = Package::read(bytes).unwrap();
        let found = place.host.find_upgrade(&package).await.unwrap();
        found.map(drop)
    };
    let lacks = "it lacks the signature of `alice`, which the active version has";
    let unsigned = Place::package("1.0.1", "");
    for without in [&unsigned, &signed("1.0.1", &stranger)] {
        assert_eq!(takes_over(without).await, Err(vec![lacks.to_owned()]));
    }
    assert_eq!(takes_over(&signed("1.0.1", &alice)).await, Ok(()));
    let waits = place.put_package(unsigned).await;
    let findings = place.read(&waits).await.findings;
    let told = findings.iter().any(|finding| {
        (finding.code.as_str(), finding.message.as_str()) == ("lacks_signature", lacks)
    });
    assert!(told, "{findings:?}");
}

#[tokio::test]
async fn call_under_way_of_what_comes_onto_the_list_ends_though_its_package_has_left_memory() {
    let place = Place::new();
    // Nothing but the calls themselves holds them.
    let load = async |version| {
        let loaded = place.host.compile(Place::package(version, "")).await;
        Arc::new(loaded.unwrap())
    };
    let (one, two) = (load("1.0.0").await, load("2.0.0").await);
    let line = one.package.digest.to_string();
    let (of_one, of_two) = (
        place.host.calls.begin(one, Timestamp(0)),
        place.host.calls.begin(two, Timestamp(0)),
    );
    let list = Revoked::parse([line.as_str()]).unwrap();
    let change = place.host.replace_revoked(list);
    assert_eq!((change.added, change.removed, change.total), (1, 0, 1));
    assert_eq!(change.ended, 1);
    assert!(of_one.halted.borrow().is_some());
    assert!(of_two.halted.borrow().is_none());
}

#[tokio::test]
async fn nobody_goes_back_to_a_version_on_the_revocation_list() {
    let place = Place::new();
    let (one, two) = (place.put("1.0.0").await, place.put("2.0.0").await);
    place.approve_all(&one).await.unwrap();
    place.approve_all(&two).await.unwrap();
    let line = one.digest.to_string();
    place
        .host
        .replace_revoked(Revoked::parse([line.as_str()]).unwrap());
    let back = place
        .host
        .roll_back(&place.actor, &one.name, None, None, "slow")
        .await;
    assert!(matches!(back, Err(ReviewError::Untrusted(_))), "{back:?}");
    assert_eq!(place.prepare("1.0.0").await, "plugin_revoked");
    assert_eq!(place.prepare("2.0.0").await, LET_THROUGH);
}
