//! The chain holds, and what breaks it is found.

use rusqlite::Connection;
use serde_json::json;

use super::verify::{AuditMark, verify};
use crate::model::{Actor, AuditEntry, AuditFilter, Timestamp, Verb};
use crate::store::{AuditOrder, Error, Store, WriteTx};

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn note(tx: &WriteTx<'_>, identifier: &str) -> Result<(), Error> {
    tx.insert_audit(&AuditEntry {
        actor: &Actor::system(),
        verb: Verb::Update,
        resource: "test",
        identifier: identifier.to_owned(),
        before: Some(json!({ "a": 1 })),
        after: Some(json!({ "a": 2 })),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "does to the file what only somebody else would do"
)]
fn outside(folder: &tempfile::TempDir) -> Connection {
    Connection::open(folder.path().join("goldenpath.db")).unwrap()
}

fn problems(folder: &tempfile::TempDir) -> Vec<String> {
    verify(&outside(folder), &[]).unwrap().problems
}

/// A log of five rows, closed.
async fn five() -> tempfile::TempDir {
    let (folder, store) = open();
    for identifier in ["a", "b", "c", "d", "e"] {
        store.write(move |tx| note(tx, identifier)).await.unwrap();
    }
    drop(store);
    folder
}

#[tokio::test]
async fn undone_writes_leave_no_gap_in_the_chain() {
    let (folder, store) = open();
    for round in 0..3 {
        store.write(|tx| note(tx, "kept")).await.unwrap();
        let undone = store.write(move |tx| {
            note(tx, "undone")?;
            note(tx, "undone too")?;
            if round == 1 {
                panic!("as a bug would");
            }
            Err::<(), _>(Error::corrupt("test", "undo"))
        });
        undone.await.unwrap_err();
    }
    drop(store);
    assert_eq!(problems(&folder), Vec::<String>::new());
    let reopened = Store::open(folder.path()).unwrap();
    reopened.write(|tx| note(tx, "later")).await.unwrap();
    drop(reopened);
    let verified = verify(&outside(&folder), &[]).unwrap();
    assert_eq!((verified.rows, verified.problems.len()), (4, 0));
}

#[tokio::test]
async fn every_change_of_a_written_row_is_found() {
    for (column, value) in [
        ("at", "at + 1"),
        ("actor", "'somebody else'"),
        ("origin", "'API'"),
        ("run_id", "'r_1'"),
        ("verb", "'DELETE'"),
        ("resource", "'toast'"),
        ("blueprint", "''"),
        ("identifier", "'C'"),
        ("object_id", "0"),
        ("was", "''"),
        ("before", "NULL"),
        ("after", "'{\"a\":3}'"),
        ("hash", "zeroblob(32)"),
    ] {
        let folder = five().await;
        let sql = format!("UPDATE audit SET {column} = {value} WHERE sequence = 3");
        assert_eq!(outside(&folder).execute(&sql, []).unwrap(), 1);
        let found = problems(&folder);
        assert!(
            found.iter().any(|told| told.contains("row 3")),
            "{column}: {found:?}"
        );
        assert!(found.len() <= 2, "{column}: {found:?}");
    }
}

#[tokio::test]
async fn missing_added_and_cut_rows_are_found() {
    for (sql, told) in [
        ("DELETE FROM audit WHERE sequence = 1", "row 1 is missing"),
        ("DELETE FROM audit WHERE sequence IN (2, 3)", "rows 2 to 3 are missing"),
        ("DELETE FROM audit WHERE sequence = 5", "row 5, the last one, is missing"),
        ("DELETE FROM audit WHERE sequence > 2", "rows 3 to 5, the last ones, are missing"),
        ("DELETE FROM audit", "rows 1 to 5, the last ones, are missing"),
        (
            "INSERT INTO audit SELECT 6, at, actor, origin, run_id, verb, resource, blueprint, identifier,
               object_id, was, before, after, hash FROM audit WHERE sequence = 5",
            "rows 6 to 6 were appended from outside",
        ),
        (
            "UPDATE audit SET sequence = 9 WHERE sequence = 3; UPDATE audit SET sequence = 3 WHERE sequence = 4;
             UPDATE audit SET sequence = 4 WHERE sequence = 9",
            "row 3 is not what was written",
        ),
        ("DELETE FROM audit_head", "both ends"),
    ] {
        let folder = five().await;
        outside(&folder).execute_batch(sql).unwrap();
        let found = problems(&folder);
        assert!(found.iter().any(|problem| problem.contains(told)), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn a_chain_made_anew_is_found_by_a_row_that_was_noted_down() {
    let folder = five().await;
    let whole = verify(&outside(&folder), &[]).unwrap();
    let mark = whole.newest.unwrap();
    assert_eq!(mark.to_string().parse::<AuditMark>(), Ok(mark));
    let connection = outside(&folder);
    connection
        .execute_batch("UPDATE audit SET actor = 'x' WHERE sequence = 2; DELETE FROM audit_head")
        .unwrap();
    super::chain::chain_existing(&connection).unwrap();
    assert_eq!(problems(&folder), Vec::<String>::new());
    let found = verify(&connection, &[mark]).unwrap().problems;
    assert!(
        found[0].contains("another one than was noted down"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_log_whose_oldest_rows_were_dropped_in_order_is_whole() {
    let folder = five().await;
    outside(&folder)
        .execute_batch(
            "UPDATE audit_head SET base = 3, base_hash = (SELECT hash FROM audit WHERE sequence = 3);
             DELETE FROM audit WHERE sequence <= 3",
        )
        .unwrap();
    assert_eq!(problems(&folder), Vec::<String>::new());
    let store = Store::open(folder.path()).unwrap();
    store.write(|tx| note(tx, "f")).await.unwrap();
    let found: Result<_, Error> = store
        .read(|tx| Ok((tx.find_audit_ends()?, tx.list_audit(None, 10)?)))
        .await;
    let (ends, rows) = found.unwrap();
    assert_eq!((ends, rows.len()), ((3, 6), 3));
}

#[tokio::test]
async fn a_log_without_its_head_is_not_appended_to() {
    let folder = five().await;
    outside(&folder)
        .execute_batch("DELETE FROM audit_head")
        .unwrap();
    let store = Store::open(folder.path()).unwrap();
    let refused = store.write(|tx| note(tx, "f")).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn times_are_found_by_halving_also_where_the_clock_was_put_back() {
    let folder = five().await;
    let connection = outside(&folder);
    for (sequence, at) in [(1, 100), (2, 200), (3, 150), (4, 160), (5, 300)] {
        connection
            .execute(
                "UPDATE audit SET at = ?2 WHERE sequence = ?1",
                (sequence, at),
            )
            .unwrap();
    }
    connection
        .execute_batch("DELETE FROM audit_head; DELETE FROM audit_leap")
        .unwrap();
    super::chain::chain_existing(&connection).unwrap();
    drop(connection);
    let store = Store::open(folder.path()).unwrap();
    for (from, to, expected) in [
        (None, None, "edcba"),
        (Some(150), None, "edcb"),
        (Some(155), Some(200), "db"),
        (None, Some(100), "a"),
        (Some(100), Some(100), "a"),
        (None, Some(99), ""),
        (Some(301), None, ""),
        (Some(161), Some(199), ""),
    ] {
        let filter = AuditFilter {
            from: from.map(Timestamp),
            to: to.map(Timestamp),
            ..AuditFilter::default()
        };
        let page = store
            .read(move |tx| tx.search_audit(&filter, AuditOrder::NewestFirst(None), 10))
            .await;
        let page: Result<_, Error> = page;
        let names: String = page
            .unwrap()
            .rows
            .into_iter()
            .map(|row| row.identifier)
            .collect();
        assert_eq!(names, expected, "{from:?} to {to:?}");
    }
}

#[tokio::test]
async fn rows_of_an_older_format_are_numbered_and_chained_at_open() {
    let folder = tempfile::tempdir().unwrap();
    let old = &crate::store::migrate::MAIN[..4];
    let connection = outside(&folder);
    connection.execute_batch(&old.concat()).unwrap();
    connection.pragma_update(None, "user_version", 4).unwrap();
    let entity = |name: &str| {
        json!({ "identifier": name, "blueprint": "S/x", "properties": {} }).to_string()
    };
    for (sequence, resource, identifier, before, after) in [
        (3, "entity", "S/x/a", None, Some(entity("a"))),
        (7, "user", "ann", None, Some("{}".to_owned())),
        (8, "entity", "S/x/a", Some(entity("a")), None),
    ] {
        let verb = if after.is_some() { "CREATE" } else { "DELETE" };
        connection
            .execute(
                "INSERT INTO audit VALUES (?1, 5, 'ann', 'API', NULL, ?2, ?3, ?4, ?5, ?6)",
                (sequence, verb, resource, identifier, before, after),
            )
            .unwrap();
    }
    drop(connection);
    let store = Store::open(folder.path()).unwrap();
    let filter = AuditFilter {
        entity: Some("a".to_owned()),
        ..AuditFilter::default()
    };
    let page = store
        .read(move |tx| tx.search_audit(&filter, AuditOrder::OldestFirst(0), 10))
        .await;
    let page: Result<_, Error> = page;
    let rows = page.unwrap().rows;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.sequence,
                row.identifier.as_str(),
                row.blueprint.as_deref(),
            )
        })
        .collect();
    assert_eq!(told, [(1, "S/x/a", Some("S/x")), (3, "S/x/a", Some("S/x"))]);
    drop(store);
    assert_eq!(problems(&folder), Vec::<String>::new());
}
