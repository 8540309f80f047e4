//! What is at rest, and what a start makes of it.

use std::path::Path;

use cap_std::fs::{MetadataExt as _, PermissionsExt as _};
use zeroize::Zeroizing;

use super::*;

const TEXT: &str = "hunter2-hunter2-hunter2";

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn value(text: &str) -> SecretValue {
    SecretValue::parse(Zeroizing::new(text.to_owned())).unwrap()
}

async fn open(folder: &Path, key: Option<u8>) -> Result<Secrets, SecretKeyError> {
    let store = Store::open(folder).unwrap();
    let key = key.map(|byte| SecretKey::new([byte; 32]));
    Secrets::open(store, folder, key).await
}

fn dir(folder: &Path) -> cap_std::fs::Dir {
    cap_std::fs::Dir::open_ambient_dir(folder, cap_std::ambient_authority()).unwrap()
}

#[tokio::test]
async fn the_first_secret_makes_a_key_that_only_its_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = open(folder.path(), None).await.unwrap();
    assert!(!dir(folder.path()).exists(KEY_FILE));
    let actor = Actor::system();
    let set = |text: &'static str| secrets.set(&actor, name("a"), value(text));
    assert!(set(TEXT).await.unwrap().1);
    let key = dir(folder.path()).read(KEY_FILE).unwrap();
    assert!(!set("another-another").await.unwrap().1);
    assert_eq!(dir(folder.path()).read(KEY_FILE).unwrap(), key);
    assert_eq!(
        dir(folder.path()).metadata(KEY_FILE).unwrap().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn no_file_of_the_folder_holds_a_secret_in_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = open(folder.path(), None).await.unwrap();
    secrets
        .set(&Actor::system(), name("a"), value(TEXT))
        .await
        .unwrap();
    secrets
        .delete(&Actor::system(), name("a"), false)
        .await
        .unwrap();
    let dir = dir(folder.path());
    for entry in dir.entries().unwrap() {
        let file = entry.unwrap().file_name();
        let bytes = dir.read(&file).unwrap();
        let found = bytes
            .windows(TEXT.len())
            .any(|window| window == TEXT.as_bytes());
        assert!(!found, "{file:?}");
    }
}

#[tokio::test]
async fn a_start_with_another_key_is_refused_and_the_right_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = open(folder.path(), Some(1)).await.unwrap();
    secrets
        .set(&Actor::system(), name("a"), value(TEXT))
        .await
        .unwrap();
    drop(secrets);
    let wrong = open(folder.path(), Some(2)).await.unwrap_err();
    assert!(matches!(wrong, SecretKeyError::Wrong { .. }), "{wrong}");
    assert!(
        wrong.to_string().contains("GOLDENPATH_SECRET_KEY"),
        "{wrong}"
    );
    let missing = open(folder.path(), None).await.unwrap_err();
    assert!(
        matches!(missing, SecretKeyError::Missing { .. }),
        "{missing}"
    );
    let secrets = open(folder.path(), Some(1)).await.unwrap();
    assert_eq!(secrets.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_secrets_any_key_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = open(folder.path(), Some(1)).await.unwrap();
    secrets
        .set(&Actor::system(), name("a"), value(TEXT))
        .await
        .unwrap();
    secrets
        .delete(&Actor::system(), name("a"), false)
        .await
        .unwrap();
    drop(secrets);
    let secrets = open(folder.path(), Some(2)).await.unwrap();
    secrets
        .set(&Actor::system(), name("b"), value(TEXT))
        .await
        .unwrap();
    drop(secrets);
    assert!(open(folder.path(), Some(1)).await.is_err());
    assert!(open(folder.path(), Some(2)).await.is_ok());
}

#[tokio::test]
async fn a_key_file_that_others_read_or_that_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = open(folder.path(), None).await.unwrap();
    secrets
        .set(&Actor::system(), name("a"), value(TEXT))
        .await
        .unwrap();
    drop(secrets);
    let dir = dir(folder.path());
    let mode = |mode| {
        let permissions = cap_std::fs::Permissions::from_mode(mode);
        dir.set_permissions(KEY_FILE, permissions).unwrap();
    };
    mode(0o640);
    let exposed = open(folder.path(), None).await.unwrap_err();
    assert!(
        matches!(exposed, SecretKeyError::Exposed { .. }),
        "{exposed}"
    );
    mode(0o600);
    assert!(open(folder.path(), None).await.is_ok());
    dir.write(KEY_FILE, "not a key").unwrap();
    let damaged = open(folder.path(), None).await.unwrap_err();
    assert!(
        matches!(damaged, SecretKeyError::Damaged { .. }),
        "{damaged}"
    );
    dir.remove_file(KEY_FILE).unwrap();
    let missing = open(folder.path(), None).await.unwrap_err();
    assert!(missing.to_string().contains("put `"), "{missing}");
}

#[tokio::test]
async fn there_is_an_end_to_how_many_there_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = open(folder.path(), Some(1)).await.unwrap();
    let sealed = vec![0; 32];
    let filled: Result<(), store::Error> = secrets
        .inner
        .store
        .write(move |tx| {
            for number in 0..MOST {
                let mark = SecretMark {
                    name: name(&format!("s{number}")),
                    created_at: tx.now,
                    created_by: String::new(),
                    updated_at: tx.now,
                    updated_by: String::new(),
                };
                tx.put_secret(&SealedSecret {
                    mark,
                    sealed: sealed.clone(),
                })?;
            }
            Ok(())
        })
        .await;
    filled.unwrap();
    let actor = Actor::system();
    let more = secrets.set(&actor, name("more"), value(TEXT)).await;
    assert!(matches!(more, Err(SecretError::TooMany)));
    assert!(secrets.set(&actor, name("s1"), value(TEXT)).await.is_ok());
}

#[tokio::test]
async fn deleting_what_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = open(folder.path(), Some(1)).await.unwrap();
    let gone = secrets.delete(&Actor::system(), name("a"), false).await;
    assert!(matches!(gone, Err(SecretError::NotFound(_))));
}

#[tokio::test]
async fn a_secret_opens_with_its_newest_value_until_it_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = open(folder.path(), None).await.unwrap();
    let unset = secrets.reveal(&name("a")).await;
    assert!(matches!(unset, Err(SecretError::NotFound(_))));
    for text in [TEXT, "another-another"] {
        secrets
            .set(&Actor::system(), name("a"), value(text))
            .await
            .unwrap();
        assert_eq!(secrets.reveal(&name("a")).await.unwrap(), value(text));
    }
    secrets
        .delete(&Actor::system(), name("a"), false)
        .await
        .unwrap();
    let gone = secrets.reveal(&name("a")).await;
    assert!(matches!(gone, Err(SecretError::NotFound(_))));
}
