use super::*;
use crate::plugin::package::tests::{TOML, build, plugin};
use crate::plugin::signature::{SigningKey, sign};

const NOW: Timestamp = Timestamp(1_000);

fn key() -> SigningKey {
    SigningKey::generate().unwrap().0
}

fn named(name: &str, key: &SigningKey) -> String {
    format!("{name}={}", key.public())
}

fn signed(keys: &[&SigningKey]) -> Package {
    let plain = build(&plugin(&[]), TOML).unwrap();
    let signed = keys
        .iter()
        .fold(plain, |package, key| sign(&package, key).unwrap());
    Package::read(&signed).unwrap()
}

fn admitted(policy: &TrustPolicy, package: &Package) -> Result<Provenance, Distrust> {
    policy.admit(package, NOW, &Revoked::default())
}

fn refused(policy: &TrustPolicy, package: &Package) -> String {
    admitted(policy, package).unwrap_err().to_string()
}

#[test]
fn it_takes_as_many_signers_as_are_asked_for() {
    let (alice, bob, eve) = (key(), key(), key());
    let texts = [named("alice", &alice), named("bob", &bob)];
    let policy = TrustPolicy::parse(&texts, 2).unwrap();
    let both = admitted(&policy, &signed(&[&alice, &eve, &bob])).unwrap();
    assert_eq!(both.signers, ["alice", "bob"].map(str::to_owned).into());
    assert_eq!(both.signatures[1].verdict, SignatureVerdict::UnknownKey);
    assert_eq!(
        refused(&policy, &signed(&[])),
        "the package has no signature; this host asks for 2, of alice, bob"
    );
    let one = refused(&policy, &signed(&[&alice, &eve]));
    let unknown = eve.public().id().to_string();
    for part in [
        "of 1 trusted signer(s)",
        "asks for 2",
        &unknown,
        "not trusted here",
    ] {
        assert!(one.contains(part), "`{part}`: {one}");
    }
}

#[test]
fn one_signer_counts_once_however_often_and_with_however_many_keys() {
    let (old, new, bob) = (key(), key(), key());
    let texts = [
        named("alice", &old),
        named("alice", &new),
        named("bob", &bob),
    ];
    let policy = TrustPolicy::parse(&texts, 2).unwrap();
    let twice = refused(&policy, &signed(&[&old, &new]));
    assert!(twice.contains("of 1 trusted signer(s)"), "{twice}");
    // The same signature once more, as only somebody else than `plugin sign` appends it.
    let plain = build(&plugin(&[]), TOML).unwrap();
    let once = sign(&plain, &old).unwrap();
    let repeated = [&once[..], &once[plain.len()..]].concat();
    let repeated = refused(&policy, &Package::read(&repeated).unwrap());
    assert!(repeated.contains("counts once"), "{repeated}");
    assert!(admitted(&policy, &signed(&[&new, &bob])).is_ok());
}

#[test]
fn key_speaks_for_what_came_in_before_it_expired() {
    let alice = key();
    let until = |time: &str| {
        let text = format!("{} until {time}", named("alice", &alice));
        TrustPolicy::parse(&[text], 1).unwrap()
    };
    let package = signed(&[&alice]);
    assert!(admitted(&until("1970-01-01T00:00:01.001Z"), &package).is_ok());
    let expired = refused(&until("1970-01-01T00:00:01Z"), &package);
    assert!(expired.contains("expired"), "{expired}");
}

#[test]
fn signature_of_other_bytes_is_refused_also_where_nobody_has_to_sign() {
    let alice = key();
    let plain = build(&plugin(&[]), TOML).unwrap();
    let section = sign(&plain, &alice).unwrap()[plain.len()..].to_vec();
    let other = build(&plugin(&[]), &TOML.replace("1.0.0", "1.0.1")).unwrap();
    let moved = Package::read(&[other, section].concat()).unwrap();
    let refusal = admitted(&TrustPolicy::default(), &moved).unwrap_err();
    assert!(matches!(refusal, Distrust::WrongDigest { .. }), "{refusal}");
    assert!(admitted(&TrustPolicy::default(), &signed(&[&alice])).is_ok());
    assert!(admitted(&TrustPolicy::default(), &signed(&[])).is_ok());
}

#[test]
fn what_is_listed_is_refused_by_file_by_content_and_by_key() {
    let (alice, bob) = (key(), key());
    let package = signed(&[&alice, &bob]);
    let anybody = TrustPolicy::default();
    let texts = [named("alice", &alice), named("bob", &bob)];
    let one = TrustPolicy::parse(&texts, 1).unwrap();
    let both = TrustPolicy::parse(&texts, 2).unwrap();
    let verdict = |policy: &TrustPolicy, digest: Digest| {
        let line = format!("{digest}  # leaks");
        let revoked = Revoked::parse(["# list", "", &line]).unwrap();
        policy.admit(&package, NOW, &revoked).map(drop)
    };
    for digest in [package.digest, package.signed.digest] {
        assert_eq!(verdict(&one, digest), Err(Distrust::Revoked(digest)));
        assert_eq!(verdict(&anybody, digest), Err(Distrust::Revoked(digest)));
    }
    // A good signer beside it does not make up for a key.
    let key = alice.public().id();
    for policy in [&anybody, &one, &both] {
        assert_eq!(verdict(policy, key), Err(Distrust::Revoked(key)));
    }
    assert_eq!(verdict(&one, Digest::of(b"another")), Ok(()));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_entry() {
    let alice = key();
    let text = named("alice", &alice);
    for (texts, required, part) in [
        (vec!["alice".to_owned()], 0, "`alice`: write"),
        (vec!["alice=AAAA".to_owned()], 0, "base64"),
        (vec![format!("{text} until soon")], 0, "until"),
        (
            vec![format!(" x={}", alice.public()), text.clone()],
            0,
            "`x`'s already",
        ),
        (vec![text.clone()], 2, "nothing could be installed"),
        (vec![text.replace("alice", "a b")], 0, "name"),
    ] {
        let refused = TrustPolicy::parse(&texts, required).unwrap_err();
        assert!(refused.contains(part), "`{part}`: {refused}");
    }
    let refused = Revoked::parse(["sha256:abc"]).unwrap_err();
    assert!(refused.contains("`sha256:abc`"), "{refused}");
}
