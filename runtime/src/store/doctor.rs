//! A check of a data folder that nobody has open: whole, complete, and as it was written. Changes nothing.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _, PermissionsExt as _};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::audit::verify::{AuditMark, verify};
use super::connection::connect;
use super::lock::FolderLock;
use super::{OpenError, migrate};
use crate::model::Digest;

/// Problems of one area that are told.
const MAX_TOLD: usize = 20;

/// What a check of a data folder found.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// What was looked at, in order.
    pub areas: Vec<Area>,
    /// The newest row of the audit log: worth noting down elsewhere, and to be given to the next check.
    pub newest_audit: Option<AuditMark>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Area {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// How much there was of it.
    pub seen: String,
    /// What is wrong; empty where nothing is.
    pub problems: Vec<String>,
}

impl Checkup {
    /// Whether nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.areas.iter().all(|area| area.problems.is_empty())
    }
}

/// Checks a data folder. `marks` are rows of the audit log that were noted down earlier.
///
/// # Errors
/// There is no portal in the folder, somebody has it open, or it is of a newer version.
pub fn check_folder(folder: &Path, marks: &[AuditMark]) -> Result<Checkup, OpenError> {
    let unreadable = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).map_err(unreadable)?;
    for name in super::FILES {
        // Before the lock, which leaves a file: a wrong path stays as it is.
        dir.metadata(name).map_err(|source| OpenError::Missing {
            file: folder.join(name),
            source,
        })?;
    }
    let _lock = FolderLock::take(folder)?;
    let mut areas = vec![check_rights(folder, &dir).map_err(unreadable)?];
    let mut newest_audit = None;
    for (name, formats) in super::FILES.into_iter().zip([migrate::MAIN, migrate::LOGS]) {
        let file = folder.join(name);
        let failed = |source| OpenError::Database {
            file: file.clone(),
            source,
        };
        let connection = open(&file).map_err(failed)?;
        migrate::check(&file, &connection, formats)?;
        let format = migrate::find_format(&file, &connection)? as usize;
        let is_main = name == super::FILES[0];
        let (whole, references) = if is_main {
            ("catalog file", "references")
        } else {
            ("log file", "references of logs")
        };
        areas.push(area(whole, check_pages(&connection)));
        areas.push(area(references, check_references(&connection)));
        if format < formats.len() {
            areas.push(Area {
                name: "format",
                seen: format!(
                    "`{name}` has format {format}, this version writes {}; the next start brings it up to date, check again then",
                    formats.len()
                ),
                problems: Vec::new(),
            });
        } else if is_main {
            areas.push(area(
                "audit log",
                check_chain(&connection, marks, &mut newest_audit),
            ));
            areas.push(area("history", check_history(&connection)));
            areas.push(area("documents", check_documents(&connection)));
            areas.push(area("plugin packages", check_packages(&connection)));
        }
    }
    Ok(Checkup {
        areas,
        newest_audit,
    })
}

type Checked = Result<(String, Vec<String>), rusqlite::Error>;

/// A check that the database refuses is a problem, not an end: what comes after may say why.
fn area(name: &'static str, checked: Checked) -> Area {
    let (seen, mut problems) =
        checked.unwrap_or_else(|error| ("not readable".to_owned(), vec![error.to_string()]));
    let more = problems.len().saturating_sub(MAX_TOLD);
    problems.truncate(MAX_TOLD);
    if more > 0 {
        problems.push(format!("and {more} more problems"));
    }
    Area {
        name,
        seen,
        problems,
    }
}

fn open(file: &Path) -> Result<Connection, rusqlite::Error> {
    // Reading may have to take up a log that a crash left, which only a writer may.
    let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true)?;
    // What is on disk stays as it is, for whoever has to find out what happened.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn check_rights(folder: &Path, dir: &Dir) -> std::io::Result<Area> {
    let mut problems = Vec::new();
    let of_folder = dir.dir_metadata()?;
    let open_folder = of_folder.permissions().mode() & 0o011 != 0;
    let me = rustix::process::geteuid().as_raw();
    let mut seen = 0;
    for entry in dir.entries()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let of_file = entry.metadata()?;
        seen += 1;
        let mode = of_file.permissions().mode() & 0o777;
        let is_data = super::FILES.iter().any(|file| name.starts_with(file));
        if name.starts_with(super::KEY_FILE) && mode & 0o077 != 0 {
            problems.push(format!(
                "`{name}` can be read by others (mode {mode:o}), and it opens every secret; run `chmod 600 {}`",
                folder.join(&name).display()
            ));
        }
        if is_data && open_folder && mode & 0o044 != 0 {
            problems.push(format!(
                "`{name}` can be read by others (mode {mode:o}), and it holds the key that signs tokens; run `chmod 700 {}`",
                folder.display()
            ));
        }
        if is_data && mode & 0o022 != 0 && open_folder {
            problems.push(format!("`{name}` can be written by others (mode {mode:o})"));
        }
        if of_file.uid() != me {
            problems.push(format!(
                "`{name}` belongs to user {}, not to the one who checks ({me})",
                of_file.uid()
            ));
        }
    }
    Ok(Area {
        name: "rights",
        seen: format!("{seen} files"),
        problems,
    })
}

fn check_pages(connection: &Connection) -> Checked {
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut problems = found.collect::<Result<Vec<_>, _>>()?;
    problems.retain(|problem| problem != "ok");
    Ok((format!("{pages} pages"), problems))
}

fn check_references(connection: &Connection) -> Checked {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let found = statement.query_map([], |row| {
        let (table, id, parent): (String, Option<i64>, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let id = id.map_or_else(String::new, |id| format!(" {id}"));
        Ok(format!(
            "`{table}`{id} points at a `{parent}` that is not there"
        ))
    })?;
    Ok(("all".to_owned(), found.collect::<Result<_, _>>()?))
}

fn check_chain(
    connection: &Connection,
    marks: &[AuditMark],
    newest: &mut Option<AuditMark>,
) -> Checked {
    let verified = verify(connection, marks)?;
    *newest = verified.newest;
    Ok((format!("{} rows", verified.rows), verified.problems))
}

/// Holds the entities that are there against those that the audit log knows of.
fn check_history(connection: &Connection) -> Checked {
    let count: i64 = connection.query_row("SELECT count(*) FROM entity", [], |row| row.get(0))?;
    let mut problems = Vec::new();
    let mut collect = |sql: &str, told: &str| -> Result<(), rusqlite::Error> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (blueprint, identifier): (String, String) = (row.get(0)?, row.get(1)?);
            problems.push(format!(
                "entity `{identifier}` of blueprint `{blueprint}` {told}"
            ));
        }
        Ok(())
    };
    collect(
        "SELECT blueprint.identifier, entity.identifier FROM entity
         JOIN blueprint ON blueprint.id = entity.blueprint_id
         WHERE (SELECT base FROM audit_head) = 0
           AND coalesce((SELECT verb FROM audit WHERE object_id = entity.id ORDER BY sequence DESC LIMIT 1), 'DELETE') = 'DELETE'",
        "is there, but the audit log does not know that it was made",
    )?;
    collect(
        "SELECT audit.blueprint, audit.identifier
         FROM (SELECT object_id, max(sequence) AS newest FROM audit
               WHERE object_id IS NOT NULL GROUP BY object_id) AS life
         JOIN audit ON audit.sequence = life.newest
         WHERE audit.verb <> 'DELETE' AND NOT EXISTS (SELECT 1 FROM entity WHERE entity.id = life.object_id)",
        "is gone, but the audit log does not know that it was deleted",
    )?;
    Ok((format!("{count} entities"), problems))
}

fn check_documents(connection: &Connection) -> Checked {
    let mut problems = Vec::new();
    let mut count = 0;
    for (table, column, name) in [
        ("blueprint", "document", "identifier"),
        ("entity", "properties", "identifier"),
        ("entity", "team", "identifier"),
        ("action", "document", "identifier"),
    ] {
        count += connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get::<_, i64>(0)
        })?;
        let mut statement = connection.prepare(&format!(
            "SELECT {name} FROM {table} WHERE NOT json_valid({column})"
        ))?;
        let broken = statement.query_map([], |row| row.get::<_, String>(0))?;
        for broken in broken {
            problems.push(format!(
                "{table} `{}`: its {column} cannot be read",
                broken?
            ));
        }
    }
    Ok((format!("{count} documents"), problems))
}

fn check_packages(connection: &Connection) -> Checked {
    let mut problems = Vec::new();
    let mut count = 0;
    let mut statement = connection.prepare(
        "SELECT digest, content, EXISTS (SELECT 1 FROM plugin_version WHERE plugin_version.digest = plugin_package.digest)
         FROM plugin_package",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        count += 1;
        let digest: String = row.get(0)?;
        if Digest::of(row.get_ref(1)?.as_blob()?).to_string() != digest {
            problems.push(format!("package {digest} is not what was installed"));
        }
        if !row.get::<_, bool>(2)? {
            problems.push(format!("package {digest} belongs to no version"));
        }
    }
    Ok((format!("{count} packages"), problems))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, AuditEntry, Verb};
    use crate::store::{Error, Store};

    /// The data folder of a portal that was used and stopped.
    async fn used() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(&root.path().join("data")).unwrap();
        store
            .write(|tx| {
                tx.insert_audit(&AuditEntry {
                    actor: &Actor::system(),
                    verb: Verb::Create,
                    resource: "test",
                    identifier: "a".to_owned(),
                    before: None,
                    after: None,
                })
            })
            .await
            .map_err(|error: Error| error)
            .unwrap();
        root
    }

    fn problems(root: &tempfile::TempDir) -> Vec<String> {
        let checkup = check_folder(&root.path().join("data"), &[]).unwrap();
        checkup
            .areas
            .into_iter()
            .flat_map(|area| area.problems)
            .collect()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "does to the file what only somebody else would do"
    )]
    fn meddle(root: &tempfile::TempDir, sql: &str) {
        let connection = Connection::open(root.path().join("data/goldenpath.db")).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    #[tokio::test]
    async fn a_folder_that_was_left_alone_is_healthy_and_stays_as_it_is() {
        let root = used().await;
        let checkup = check_folder(&root.path().join("data"), &[]).unwrap();
        assert!(checkup.is_healthy(), "{checkup:?}");
        assert_eq!(checkup.newest_audit.unwrap().sequence, 1);
        let again = check_folder(&root.path().join("data"), &[checkup.newest_audit.unwrap()]);
        assert!(again.unwrap().is_healthy());
    }

    #[tokio::test]
    async fn a_folder_that_is_held_or_holds_no_portal_is_not_checked() {
        let root = used().await;
        let store = Store::open(&root.path().join("data")).unwrap();
        let held = check_folder(&root.path().join("data"), &[]).unwrap_err();
        assert!(matches!(held, OpenError::Held { .. }));
        drop(store);
        let missing = check_folder(root.path(), &[]).unwrap_err();
        assert!(matches!(missing, OpenError::Missing { .. }));
        assert!(!root.path().join("goldenpath.lock").exists());
        let absent = check_folder(&root.path().join("absent"), &[]).unwrap_err();
        assert!(matches!(absent, OpenError::Folder { .. }));
        meddle(&root, "PRAGMA user_version = 9999");
        let newer = check_folder(&root.path().join("data"), &[]).unwrap_err();
        assert!(matches!(newer, OpenError::Newer { .. }));
    }

    #[tokio::test]
    async fn whatever_was_done_from_outside_is_told() {
        let blueprint = "INSERT INTO blueprint (id, identifier, document, created_at, created_by, updated_at, updated_by)
                         VALUES (1, 'S', '{}', 0, '', 0, '');";
        let entity = "INSERT INTO entity (id, blueprint_id, identifier, team, properties,
                                          created_at, created_by, updated_at, updated_by)
                      VALUES (1, 1, 'e', '[]', '{}', 0, '', 0, '');";
        for (sql, told) in [
            ("DELETE FROM audit".to_owned(), "row 1, the last one, is missing"),
            (
                format!("{blueprint}{entity}"),
                "entity `e` of blueprint `S` is there, but the audit log does not know",
            ),
            (
                "INSERT INTO audit SELECT 2, at, actor, origin, run_id, 'CREATE', 'entity', 'S', 'e', 7, NULL, NULL, NULL, hash FROM audit".to_owned(),
                "entity `e` of blueprint `S` is gone, but",
            ),
            (format!("{blueprint} UPDATE blueprint SET document = '{{'"), "blueprint `S`: its document cannot be read"),
            (
                "INSERT INTO plugin_package VALUES ('sha256:00', x'00')".to_owned(),
                "package sha256:00 is not what was installed",
            ),
            (
                "PRAGMA foreign_keys = OFF; INSERT INTO relation VALUES (1, 'r', 0, 2)".to_owned(),
                "points at a `entity` that is not there",
            ),
            (
                "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'audit_leap'".to_owned(),
                "",
            ),
        ] {
            let root = used().await;
            meddle(&root, &sql);
            let found = problems(&root);
            assert!(found.iter().any(|problem| problem.contains(told)), "{sql}: {found:?}");
        }
    }

    #[tokio::test]
    async fn files_that_others_can_read_are_told() {
        let root = used().await;
        let dir = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
        let mode = |mode| {
            let rights: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            cap_std::fs::Permissions::from_std(rights)
        };
        dir.set_permissions("data", mode(0o755)).unwrap();
        dir.set_permissions("data/goldenpath.db", mode(0o644))
            .unwrap();
        let found = problems(&root);
        assert!(
            found[0].contains("can be read by others (mode 644)"),
            "{found:?}"
        );
    }
}
