//! A backup is whole or refused, and so is what is restored.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _};

use super::*;
use crate::model::{SecretName, SecretValue};
use crate::plugin::Secrets;
use crate::store::{AuditOrder, Error, check_folder};

struct Fixture {
    root: tempfile::TempDir,
    store: Store,
    backups: Backups,
}

impl Fixture {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        let store = Store::open(&data).unwrap();
        let backups = Backups::open(store.clone(), &data).unwrap();
        let fixture = Self {
            root,
            store,
            backups,
        };
        for number in 0..20 {
            fixture.note(number).await;
        }
        fixture
    }

    async fn note(&self, number: usize) {
        let written: Result<(), Error> = self
            .store
            .write(move |tx| {
                tx.insert_audit(&AuditEntry {
                    actor: &Actor::system(),
                    verb: Verb::Update,
                    resource: "test",
                    identifier: number.to_string(),
                    before: None,
                    after: Some(json!("x".repeat(10_000))),
                })
            })
            .await;
        written.unwrap();
    }

    async fn take(&self) -> Vec<u8> {
        let mut backup = self.backups.take(&Actor::system()).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = backup.chunks.recv().await {
            bytes.extend(chunk.unwrap());
        }
        assert_eq!(bytes.len() as u64, backup.size);
        bytes
    }

    fn fresh(&self) -> std::path::PathBuf {
        self.root.path().join("fresh")
    }
}

fn names(folder: &Path) -> Vec<String> {
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).unwrap();
    let entries = dir.entries().unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn rows(store: &Store) -> Vec<crate::model::AuditRow> {
    let filter = crate::model::AuditFilter::default();
    let page: Result<_, Error> = store
        .read(move |tx| tx.search_audit(&filter, AuditOrder::OldestFirst(0), 1_000))
        .await;
    page.unwrap().rows
}

#[tokio::test]
async fn a_restored_backup_is_the_portal_of_that_moment_and_says_so() {
    let fixture = Fixture::new().await;
    let backup = fixture.take().await;
    fixture.note(99).await;
    let manifest = verify_archive(backup.as_slice()).unwrap();
    let restored = restore(backup.as_slice(), &fixture.fresh()).await.unwrap();
    assert_eq!(restored, manifest);
    assert_eq!(
        names(&fixture.fresh()),
        ["goldenpath.db", "goldenpath.lock", "logs.db"]
    );
    let dir = Dir::open_ambient_dir(fixture.fresh(), ambient_authority()).unwrap();
    assert_eq!(dir.dir_metadata().unwrap().mode() & 0o777, 0o700);
    for name in FILES {
        assert_eq!(dir.metadata(name).unwrap().mode() & 0o777, 0o600);
    }
    let mark = manifest.newest_audit.parse().unwrap();
    let checkup = check_folder(&fixture.fresh(), &[mark]).unwrap();
    assert!(checkup.is_healthy(), "{checkup:?}");
    let store = Store::open(&fixture.fresh()).unwrap();
    let (before, after) = (rows(&fixture.store).await, rows(&store).await);
    assert_eq!(before[..20], after[..20]);
    assert_eq!((after.len(), after[20].action), (21, Verb::Restore));
    assert_eq!((before[20].resource.as_str(), before.len()), ("backup", 22));
    assert_eq!(
        names(&fixture.root.path().join("data"))
            .iter()
            .filter(|name| name.contains("partial"))
            .count(),
        0
    );
}

#[tokio::test]
async fn a_restored_portal_opens_the_secrets_with_the_key_of_the_backup() {
    let fixture = Fixture::new().await;
    let data = fixture.root.path().join("data");
    let secrets = Secrets::open(fixture.store.clone(), &data, None)
        .await
        .unwrap();
    let name = SecretName::parse("token").unwrap();
    let value = SecretValue::parse(String::from("hunter2-hunter2").into()).unwrap();
    secrets.set(&Actor::system(), name, value).await.unwrap();
    let backup = fixture.take().await;
    let hidden = backup
        .windows(15)
        .all(|window| window != b"hunter2-hunter2");
    assert!(hidden, "the archive holds the secret in plain text");
    restore(backup.as_slice(), &fixture.fresh()).await.unwrap();
    assert_eq!(
        names(&fixture.fresh()),
        ["goldenpath.db", "goldenpath.lock", "logs.db", KEY_FILE]
    );
    let dir = Dir::open_ambient_dir(fixture.fresh(), ambient_authority()).unwrap();
    assert_eq!(dir.metadata(KEY_FILE).unwrap().mode() & 0o777, 0o600);
    let store = Store::open(&fixture.fresh()).unwrap();
    let restored = Secrets::open(store, &fixture.fresh(), None).await.unwrap();
    assert_eq!(
        restored.list().await.unwrap(),
        secrets.list().await.unwrap()
    );
}

#[tokio::test]
async fn a_backup_that_was_changed_anywhere_or_cut_is_refused_and_nothing_is_left() {
    let fixture = Fixture::new().await;
    let backup = fixture.take().await;
    let refused = async |bytes: &[u8]| {
        let error = restore(bytes, &fixture.fresh()).await.unwrap_err();
        assert_eq!(names(&fixture.fresh()), ["goldenpath.lock"], "{error}");
        error
    };
    // Within names, lengths, the manifest, the databases, and the padding between: what matters is noticed.
    for place in [0, 130, 600, 1_100, 20_000, backup.len() / 2] {
        let mut changed = backup.clone();
        changed[place] ^= 1;
        if verify_archive(changed.as_slice()).is_ok() {
            continue;
        }
        let error = refused(&changed).await;
        assert!(matches!(error, RestoreError::Damaged(_)), "{error:?}");
    }
    let mut changed = backup.clone();
    let last_page = backup.len() - 5_000;
    changed[last_page] ^= 1;
    assert!(matches!(refused(&changed).await, RestoreError::Damaged(_)));
    for length in [
        0,
        1,
        511,
        512,
        2_000,
        backup.len() / 2,
        backup.len() - 2_000,
    ] {
        let error = refused(&backup[..length]).await;
        assert!(matches!(error, RestoreError::Damaged(_)), "{error:?}");
    }
    let error = refused(b"PK\x03\x04 this is a zip").await;
    assert!(matches!(error, RestoreError::Damaged(_)));
}

#[tokio::test]
async fn archives_that_were_made_up_are_refused() {
    let fixture = Fixture::new().await;
    let manifest = |change: &dyn Fn(&mut serde_json::Value)| {
        let entry = FileEntry {
            name: String::new(),
            size: 0,
            sha256: String::new(),
        };
        let files = FILES.map(|name| FileEntry {
            name: name.to_owned(),
            ..entry.clone()
        });
        let manifest = Manifest::new(Timestamp(0), "a".to_owned(), String::new(), files.to_vec());
        let mut manifest = serde_json::to_value(manifest).unwrap();
        change(&mut manifest);
        manifest.to_string()
    };
    let archive = |entries: &[(&str, &str, tar::EntryType)]| {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, text, kind) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(text.len() as u64);
            header.set_cksum();
            archive.append(&header, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    };
    let file = tar::EntryType::Regular;
    let plain = manifest(&|_| {});
    let newer = manifest(&|manifest| manifest["formats"]["main"] = json!(9_999));
    let other = manifest(&|manifest| manifest["files"][0]["name"] = json!("../../etc/passwd"));
    for (entries, told) in [
        (vec![("goldenpath.db", "", file)], "does not begin with"),
        (
            vec![("manifest.json", "{}", file)],
            "manifest cannot be read",
        ),
        (
            vec![("manifest.json", plain.as_str(), file)],
            "`goldenpath.db` is missing",
        ),
        (
            vec![
                ("manifest.json", &plain, file),
                ("../goldenpath.db", "", file),
            ],
            "should follow, not `../goldenpath.db`",
        ),
        (
            vec![
                ("manifest.json", &plain, file),
                ("goldenpath.db", "", tar::EntryType::Symlink),
            ],
            "something else than files",
        ),
        (
            vec![("manifest.json", &newer, file)],
            "use that version or a newer one",
        ),
        (
            vec![("manifest.json", &other, file)],
            "instead of goldenpath.db, logs.db",
        ),
    ] {
        let error = restore(archive(&entries).as_slice(), &fixture.fresh()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        assert_eq!(names(&fixture.fresh()), ["goldenpath.lock"]);
    }
}

#[tokio::test]
async fn only_an_empty_folder_is_restored_into() {
    let fixture = Fixture::new().await;
    let backup = fixture.take().await;
    let data = fixture.root.path().join("data");
    let held = restore(backup.as_slice(), &data).await;
    assert!(matches!(
        held,
        Err(RestoreError::Folder(store::OpenError::Held { .. }))
    ));
    let outer = Dir::open_ambient_dir(fixture.root.path(), ambient_authority()).unwrap();
    outer.create_dir("fresh").unwrap();
    let fresh = outer.open_dir("fresh").unwrap();
    fresh.write("notes.txt", "mine").unwrap();
    let refused = restore(backup.as_slice(), &fixture.fresh()).await;
    assert!(
        matches!(refused, Err(RestoreError::NotEmpty { .. })),
        "{refused:?}"
    );
    assert_eq!(fresh.read_to_string("notes.txt").unwrap(), "mine");
    fresh.remove_file("notes.txt").unwrap();
    // A log without a catalog is somebody's, unless it is what a restore left that was interrupted.
    fresh.write("logs.db", "half").unwrap();
    let refused = restore(backup.as_slice(), &fixture.fresh()).await;
    assert!(matches!(refused, Err(RestoreError::NotEmpty { .. })));
    fresh.create_dir("restore.partial").unwrap();
    fresh
        .write("restore.partial/goldenpath.db", "half")
        .unwrap();
    restore(backup.as_slice(), &fixture.fresh()).await.unwrap();
    let again = restore(backup.as_slice(), &fixture.fresh()).await;
    assert!(matches!(again, Err(RestoreError::NotEmpty { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_taken_one_at_a_time_and_what_one_left_is_removed_at_start() {
    let fixture = Fixture::new().await;
    let big: Vec<_> = (0..400).map(|number| fixture.note(number)).collect();
    futures_util::future::join_all(big).await;
    let mut first = fixture.backups.take(&Actor::system()).await.unwrap();
    let second = fixture.backups.take(&Actor::system()).await;
    assert!(matches!(second, Err(BackupError::Busy)));
    // Writers are not held up by a reader that takes its time.
    fixture.note(1).await;
    first.chunks.recv().await.unwrap().unwrap();
    drop(first);
    let data = fixture.root.path().join("data");
    let dir = Dir::open_ambient_dir(&data, ambient_authority()).unwrap();
    let third = loop {
        match fixture.backups.take(&Actor::system()).await {
            Err(BackupError::Busy) => tokio::task::yield_now().await,
            taken => break taken.unwrap(),
        }
    };
    assert!(third.size > 4_000_000);
    dir.create_dir_all("backup.partial").unwrap();
    dir.write("backup.partial/goldenpath.db", "half").unwrap();
    Backups::open(fixture.store.clone(), &data).unwrap();
    assert!(!dir.exists("backup.partial"));
}
