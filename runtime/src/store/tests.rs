//! The promises of the store, whatever its callers do.

use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};

use super::*;
use crate::model::{Actor, AuditEntry, Origin, RunId, Verb};

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

/// Writes something that [`count`] sees.
fn note(tx: &WriteTx<'_>, identifier: &str) -> Result<(), Error> {
    tx.insert_audit(&AuditEntry {
        actor: &Actor::system(),
        verb: Verb::Create,
        resource: "test",
        identifier: identifier.to_owned(),
        before: None,
        after: None,
    })
}

async fn noted(store: &Store) -> Vec<String> {
    let rows = store.read(|tx| tx.list_audit(None, 10_000)).await.unwrap();
    let mut noted: Vec<_> = rows.into_iter().map(|row| row.identifier).collect();
    noted.sort();
    noted
}

#[expect(
    clippy::disallowed_methods,
    reason = "looks at the file from outside the store"
)]
fn outside(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("goldenpath.db")).unwrap()
}

/// Sets a future going without waiting for it.
fn is_pending<F: Future>(future: &mut Pin<Box<F>>) -> bool {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_pending()
}

/// Keeps the writer busy until the sender is dropped, so that what is written meanwhile makes one group.
async fn hold_writer(
    store: &Store,
) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    hold_writer_and(store, Ok(())).await
}

/// As [`hold_writer`], with how the write ends that keeps it busy.
async fn hold_writer_and(
    store: &Store,
    outcome: Result<(), Error>,
) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (release, held) = mpsc::channel();
    let (began, begun) = tokio::sync::oneshot::channel();
    let store = store.clone();
    let job = tokio::spawn(async move {
        store
            .write(move |tx| {
                began.send(()).ok();
                held.recv().ok();
                note(tx, "holder")?;
                outcome
            })
            .await
    });
    begun.await.unwrap();
    (release, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_write_takes_none_of_its_group_with_it() {
    let (_folder, store) = open();
    let (release, holder) = hold_writer(&store).await;
    let writes: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |tx| {
                        note(tx, &format!("{number:02}"))?;
                        match number % 4 {
                            1 => Err(Error::Closed),
                            2 => panic!("a write panics in the middle"),
                            // A statement that the database refuses, in a write that fails for it.
                            3 => tx
                                .connection
                                .execute_batch("INSERT INTO nothing VALUES (1)")
                                .map_err(Error::from),
                            _ => Ok(()),
                        }
                    })
                    .await
            })
        })
        .collect();
    drop(release);
    holder.await.unwrap().unwrap();
    for (number, write) in writes.into_iter().enumerate() {
        let outcome = write.await.unwrap();
        match number % 4 {
            0 => outcome.unwrap(),
            1 => assert!(matches!(outcome, Err(Error::Closed))),
            2 => assert!(matches!(outcome, Err(Error::Panicked))),
            _ => assert!(matches!(outcome, Err(Error::Sqlite(_)))),
        }
    }
    assert_eq!(
        noted(&store).await,
        ["00", "04", "08", "12", "16", "holder"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_fail_before_any_other_leave_nothing_and_the_next_are_kept() {
    let (_folder, store) = open();
    let (release, holder) = hold_writer_and(&store, Err(Error::Closed)).await;
    let writes: Vec<_> = (0..4)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |tx| {
                        note(tx, &format!("{number}"))?;
                        if number == 0 {
                            Err(Error::Closed)
                        } else {
                            Ok(())
                        }
                    })
                    .await
            })
        })
        .collect();
    drop(release);
    assert!(matches!(holder.await.unwrap(), Err(Error::Closed)));
    for (number, write) in writes.into_iter().enumerate() {
        assert_eq!(write.await.unwrap().is_ok(), number > 0, "{number}");
    }
    assert_eq!(noted(&store).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_commit_that_fails_is_told_and_the_writer_goes_on() {
    let (folder, store) = open();
    // A deferred constraint fires at the commit itself, after every write of the group has said that it is done.
    outside(folder.path())
        .execute_batch("CREATE TABLE late (id INTEGER REFERENCES late_target (id) DEFERRABLE INITIALLY DEFERRED) STRICT;
                        CREATE TABLE late_target (id INTEGER PRIMARY KEY) STRICT;")
        .unwrap();
    let outcome: Result<(), Error> = store
        .write(|tx| {
            note(tx, "lost")?;
            Ok(tx.connection.execute_batch("INSERT INTO late VALUES (1)")?)
        })
        .await;
    assert!(matches!(outcome, Err(Error::Commit(_))), "{outcome:?}");
    store.write(|tx| note(tx, "kept")).await.unwrap();
    assert_eq!(noted(&store).await, ["kept"]);
}

#[tokio::test]
async fn a_full_disk_refuses_the_write_and_loses_nothing_else() {
    let (_folder, store) = open();
    store.write(|tx| note(tx, "before")).await.unwrap();
    let limit = |pages: &'static str| {
        store.write(move |tx| {
            Ok::<_, Error>(
                tx.connection
                    .execute_batch(&format!("PRAGMA max_page_count = {pages}"))?,
            )
        })
    };
    // As low as it goes: the size that the file has.
    limit("1").await.unwrap();
    let big = "x".repeat(10 * 1024 * 1024);
    let outcome = store.write(move |tx| note(tx, &big)).await;
    assert!(outcome.is_err());
    limit("1000000000").await.unwrap();
    store.write(|tx| note(tx, "later")).await.unwrap();
    assert_eq!(noted(&store).await, ["before", "later"]);
}

#[tokio::test]
async fn a_read_that_panics_leaves_a_connection_that_sees_what_is_new() {
    let (_folder, store) = open();
    for round in 0..10 {
        let outcome: Result<(), Error> = store
            .read(|tx| {
                tx.list_audit(None, 1)?;
                panic!("a read panics in the middle")
            })
            .await;
        assert!(matches!(outcome, Err(Error::Panicked)));
        store
            .write(move |tx| note(tx, &format!("{round}")))
            .await
            .unwrap();
        assert_eq!(noted(&store).await.len(), round + 1);
    }
}

#[tokio::test]
async fn a_glance_that_takes_too_long_begins_anew_elsewhere() {
    let (_folder, store) = open();
    // Opens a connection, which is then idle.
    assert!(noted(&store).await.is_empty());
    let threads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&threads);
    let glance = store.glance(move |tx| {
        let mut seen = seen.lock().unwrap();
        seen.push(std::thread::current().id());
        let rows = if seen.len() > 1 { "LIMIT 7" } else { "" };
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n";
        let sql = format!("{endless} {rows}) SELECT count(*) FROM n");
        let count: i64 = tx.connection.query_row(&sql, [], |row| row.get(0))?;
        Ok::<_, Error>(count)
    });
    assert_eq!(glance.await.unwrap(), 7);
    let threads = threads.lock().unwrap();
    let here = std::thread::current().id();
    assert_eq!(threads.len(), 2);
    assert!(threads[0] == here && threads[1] != here, "{threads:?}");
}

#[tokio::test]
async fn a_glance_that_fails_or_panics_is_not_tried_again() {
    let (_folder, store) = open();
    assert!(noted(&store).await.is_empty());
    let failed: Result<(), Error> = store.glance(|_| Err(Error::Closed)).await;
    assert!(matches!(failed, Err(Error::Closed)));
    let panicked: Result<(), Error> = store.glance(|_| panic!("a glance panics")).await;
    assert!(matches!(panicked, Err(Error::Panicked)));
    store.write(|tx| note(tx, "later")).await.unwrap();
    let count = store.glance(|tx| Ok::<_, Error>(tx.list_audit(None, 9)?.len()));
    assert_eq!(count.await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_whose_callers_went_away_do_not_starve_the_others() {
    let (_folder, store) = open();
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    for _ in 0..10 {
        let held = Arc::clone(&held);
        let mut read = Box::pin(store.read(move |_| {
            held.lock().unwrap().recv().ok();
            Ok::<_, Error>(())
        }));
        assert!(is_pending(&mut read));
    }
    let mut patient = Box::pin(noted(&store));
    assert!(is_pending(&mut patient));
    drop(release);
    assert!(patient.await.is_empty());
}

#[tokio::test]
async fn what_a_plugin_does_is_audited_with_its_run_or_not_done() {
    let (_folder, store) = open();
    let write = |run: Option<RunId>| {
        store.write(move |tx| {
            let actor = Actor {
                origin: Origin::Plugin,
                run,
                ..Actor::system()
            };
            tx.insert_audit(&AuditEntry {
                actor: &actor,
                verb: Verb::Update,
                resource: "test",
                identifier: "a".to_owned(),
                before: None,
                after: Some(serde_json::json!({})),
            })
        })
    };
    assert!(matches!(write(None).await, Err(Error::Corrupt { .. })));
    write(Some(RunId::parse("r_1").unwrap())).await.unwrap();
    let rows = store.read(|tx| tx.list_audit(None, 10)).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].origin, rows[0].actor.as_str()),
        (Origin::Plugin, "goldenpath")
    );
    assert_eq!(rows[0].run_id.as_ref().unwrap().as_str(), "r_1");
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_folder, store) = open();
    let outcome = store
        .read(|tx| Ok::<_, Error>(tx.connection.execute_batch("DELETE FROM audit")?))
        .await;
    assert!(matches!(outcome, Err(Error::Sqlite(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_may_own_the_last_handle() {
    let (folder, store) = open();
    let (release, holder) = hold_writer(&store).await;
    let owner = store.clone();
    // Dropping the future does not call the write back: it is in the queue.
    let mut write = Box::pin(async move {
        let inner = owner.clone();
        let work = move |tx: &WriteTx<'_>| {
            note(tx, "last")?;
            drop(inner);
            Ok::<_, Error>(())
        };
        owner.write(work).await
    });
    assert!(is_pending(&mut write));
    drop(write);
    drop(store);
    holder.abort();
    drop(holder.await);
    drop(release);
    // The folder becomes free when the writer is done, and what it wrote is there.
    let store = loop {
        match Store::open(folder.path()) {
            Ok(store) => break store,
            Err(OpenError::Held { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(noted(&store).await, ["holder", "last"]);
}

#[tokio::test]
async fn closing_waits_for_what_was_queued() {
    let (folder, store) = open();
    for number in 0..100 {
        let (owner, identifier) = (store.clone(), format!("{number:02}"));
        let mut write = Box::pin(async move { owner.write(move |tx| note(tx, &identifier)).await });
        assert!(is_pending(&mut write));
    }
    drop(store);
    assert_eq!(noted(&Store::open(folder.path()).unwrap()).await.len(), 100);
}

#[test]
fn a_folder_that_is_held_is_refused_with_its_holder() {
    let (folder, store) = open();
    let error = Store::open(folder.path()).unwrap_err();
    let OpenError::Held { holder, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*holder, std::process::id().to_string());
    assert!(error.to_string().contains(holder.as_str()));
    let clone = store.clone();
    drop(store);
    assert!(matches!(
        Store::open(folder.path()),
        Err(OpenError::Held { .. })
    ));
    drop(clone);
    Store::open(folder.path()).unwrap();
}

#[test]
fn a_folder_of_a_newer_version_is_refused_and_left_as_it_is() {
    let (folder, store) = open();
    drop(store);
    outside(folder.path())
        .execute_batch("PRAGMA journal_mode = delete; PRAGMA user_version = 4711")
        .unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 4711, .. }),
        "{error}"
    );
    let mode: String = outside(folder.path())
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir =
        cap_std::fs::Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
    dir.write(
        "goldenpath.db",
        "not a database, but long enough to be looked at ".repeat(100),
    )
    .unwrap();
    assert!(matches!(
        Store::open(folder.path()),
        Err(OpenError::Database { .. })
    ));
}

#[tokio::test]
async fn the_promised_modes_are_on() {
    let (_folder, store) = open();
    let pragma = |name: &'static str| {
        store.write(move |tx| {
            let value: rusqlite::types::Value =
                tx.connection
                    .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
            Ok::<_, Error>(value)
        })
    };
    assert_eq!(
        pragma("journal_mode").await.unwrap(),
        "wal".to_owned().into()
    );
    assert_eq!(pragma("synchronous").await.unwrap(), 2_i64.into());
    assert_eq!(pragma("foreign_keys").await.unwrap(), 1_i64.into());
    // SQLite takes a setting that it does not know, or a wrong one, without a word.
    for (name, value) in [
        ("cache_size", -65_536_i64),
        ("wal_autocheckpoint", 8_192),
        ("journal_size_limit", 64 << 20),
        ("temp_store", 2),
    ] {
        assert_eq!(pragma(name).await.unwrap(), value.into(), "{name}");
    }
    let read: Result<i64, Error> = store
        .read(|tx| {
            Ok(tx
                .connection
                .query_row("PRAGMA cache_size", [], |row| row.get(0))?)
        })
        .await;
    assert_eq!(read.unwrap(), -4_096);
}

#[test]
fn a_new_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b");
    drop(Store::open(&folder).unwrap());
    assert_eq!(
        folder.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
}
