//! What runs used of what their plugin was granted: one row for each line of a version, never one for each use.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Row, params};
use semver::Version;

use super::Error;
use super::audit::{from_word, word};
use super::connection::{ReadTx, WriteTx};
use crate::model::{Acts, CallUsage, Counted, PluginName, Timestamp, UsageKind};

/// Subjects of one kind that are told apart for a version. Lines are bounded by grants, denials by nothing that a guest
/// does not choose.
const SUBJECTS: i64 = 2_000;
const DENIALS: i64 = 200;

/// The subject of everything beyond those.
const OTHERS: &str = "";

/// How often something was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// What, and how often.
    pub counted: Counted,
    /// When a run ended that it was counted in, for the first time.
    pub first: Timestamp,
    /// The same for the last time.
    pub last: Timestamp,
}

/// The runs of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunUsage {
    /// How many ended.
    pub runs: u64,
    /// When the last one did.
    pub last: Timestamp,
    /// The most that one of them took of each budget.
    pub highest: BTreeMap<String, u64>,
}

const COLUMNS: &str = "kind, subject, count, first_at, last_at, acts";

impl ReadTx<'_> {
    /// What was counted for a version, by kind and subject; the subject of those beyond the bound is empty.
    pub fn list_plugin_usage(
        &self,
        plugin: &PluginName,
        version: &Version,
    ) -> Result<Vec<UsageRow>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM plugin_usage WHERE plugin = ?1 AND version = ?2 ORDER BY kind, subject"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![plugin.as_str(), version.to_string()], |row| {
            Ok(read(row))
        })?;
        rows.map(|row| row?).collect()
    }

    /// The runs of a version; absent before the first one ended.
    pub fn find_plugin_runs(
        &self,
        plugin: &PluginName,
        version: &Version,
    ) -> Result<Option<RunUsage>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT runs, last_at, highest FROM plugin_runs WHERE plugin = ?1 AND version = ?2",
        )?;
        let found = statement
            .query_row(params![plugin.as_str(), version.to_string()], |row| {
                let highest: String = row.get(2)?;
                Ok(RunUsage {
                    runs: row.get::<_, i64>(0)?.unsigned_abs(),
                    last: Timestamp(row.get(1)?),
                    // A run has to end whatever stands here; what cannot be read is counted anew.
                    highest: serde_json::from_str(&highest).unwrap_or_default(),
                })
            })
            .optional()?;
        Ok(found)
    }

    /// When a version last became active, or was approved again while it was.
    pub fn find_plugin_activation(
        &self,
        plugin: &PluginName,
        version: &Version,
    ) -> Result<Option<Timestamp>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT active_since FROM plugin_version WHERE name = ?1 AND version = ?2",
        )?;
        let found = statement
            .query_row(params![plugin.as_str(), version.to_string()], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .optional()?;
        Ok(found.flatten().map(Timestamp))
    }
}

impl WriteTx<'_> {
    /// Adds what one run used to what is known of its version.
    pub fn add_plugin_usage(&self, usage: &CallUsage) -> Result<(), Error> {
        let (plugin, version) = (usage.plugin.as_str(), usage.version.to_string());
        let before = self.find_plugin_runs(&usage.plugin, &usage.version)?;
        let mut highest = before.map(|runs| runs.highest).unwrap_or_default();
        for (budget, taken) in &usage.budgets {
            let most = highest.entry((*budget).to_owned()).or_default();
            *most = (*most).max(*taken);
        }
        let highest = serde_json::to_string(&highest)
            .map_err(|error| Error::corrupt("budgets of a run", error))?;
        self.connection
            .prepare_cached(
                "INSERT INTO plugin_runs (plugin, version, runs, first_at, last_at, highest) VALUES (?1, ?2, 1, ?3, ?3, ?4)
                 ON CONFLICT (plugin, version) DO UPDATE SET runs = runs + 1, last_at = ?3, highest = ?4",
            )?
            .execute(params![plugin, version, self.now.0, highest])?;
        for counted in &usage.counts {
            if !self.raise(plugin, &version, counted)? {
                let room = self.has_room(plugin, &version, counted.kind)?;
                if room {
                    self.insert_usage(plugin, &version, counted)?;
                } else {
                    let others = Counted {
                        subject: OTHERS.to_owned(),
                        acts: Acts::UNKNOWN,
                        ..counted.clone()
                    };
                    if !self.raise(plugin, &version, &others)? {
                        self.insert_usage(plugin, &version, &others)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds to the row of a subject; `false` where there is none.
    fn raise(&self, plugin: &str, version: &str, counted: &Counted) -> Result<bool, Error> {
        let kind = word(&counted.kind)?;
        let known: Option<String> = self
            .connection
            .prepare_cached(
                "SELECT acts FROM plugin_usage WHERE plugin = ?1 AND version = ?2 AND kind = ?3 AND subject = ?4",
            )?
            .query_row(params![plugin, version, kind, counted.subject], |row| row.get(0))
            .optional()?;
        let Some(known) = known else {
            return Ok(false);
        };
        let mut acts = acts(&known);
        acts.merge(&counted.acts);
        self.connection
            .prepare_cached(
                "UPDATE plugin_usage SET count = count + ?5, last_at = ?6, acts = ?7
                 WHERE plugin = ?1 AND version = ?2 AND kind = ?3 AND subject = ?4",
            )?
            .execute(params![
                plugin,
                version,
                kind,
                counted.subject,
                saturated(counted.count),
                self.now.0,
                written(&acts)?,
            ])?;
        Ok(true)
    }

    fn insert_usage(&self, plugin: &str, version: &str, counted: &Counted) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO plugin_usage (plugin, version, kind, subject, count, first_at, last_at, acts)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
            )?
            .execute(params![
                plugin,
                version,
                word(&counted.kind)?,
                counted.subject,
                saturated(counted.count),
                self.now.0,
                written(&counted.acts)?,
            ])?;
        Ok(())
    }

    fn has_room(&self, plugin: &str, version: &str, kind: UsageKind) -> Result<bool, Error> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM plugin_usage WHERE plugin = ?1 AND version = ?2 AND kind = ?3",
            )?
            .query_row(params![plugin, version, word(&kind)?], |row| row.get(0))?;
        Ok(count
            < match kind {
                UsageKind::Line | UsageKind::Endpoint => SUBJECTS,
                UsageKind::Denied => DENIALS,
            })
    }
}

fn read(row: &Row<'_>) -> Result<UsageRow, Error> {
    Ok(UsageRow {
        counted: Counted {
            kind: from_word(row.get(0)?)?,
            subject: row.get(1)?,
            count: row.get::<_, i64>(2)?.unsigned_abs(),
            acts: acts(&row.get::<_, String>(5)?),
        },
        first: Timestamp(row.get(3)?),
        last: Timestamp(row.get(4)?),
    })
}

/// What cannot be read is not known: nothing is concluded from it.
fn acts(text: &str) -> Acts {
    serde_json::from_str(text).unwrap_or(Acts::UNKNOWN)
}

fn written(acts: &Acts) -> Result<String, Error> {
    serde_json::to_string(acts).map_err(|error| Error::corrupt("acts of a line", error))
}

fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, PluginState, PluginVersion};
    use crate::store::Store;

    fn counted(kind: UsageKind, subject: &str, act: Option<&str>) -> Counted {
        let mut acts = Acts::default();
        if let Some(act) = act {
            acts.take(Some(act.to_owned()));
        }
        Counted {
            kind,
            subject: subject.to_owned(),
            count: 2,
            acts,
        }
    }

    async fn add(store: &Store, memory: u64, counts: Vec<Counted>) {
        let usage = CallUsage {
            plugin: PluginName::parse("demo").unwrap(),
            version: Version::new(1, 0, 0),
            digest: Digest::of(b"demo"),
            counts,
            budgets: vec![("memory", memory)],
            requests: crate::model::RequestTrail::default(),
        };
        let added: Result<(), Error> = store.write(move |tx| tx.add_plugin_usage(&usage)).await;
        added.unwrap();
    }

    async fn open() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let version = PluginVersion {
            name: PluginName::parse("demo").unwrap(),
            title: "demo".to_owned(),
            version: Version::new(1, 0, 0),
            digest: Digest::of(b"demo"),
            manifest_hash: Digest::of(b"demo"),
            state: PluginState::Pending,
            installed_at: Timestamp(0),
            installed_by: "somebody".to_owned(),
        };
        let put: Result<(), Error> = store
            .write(move |tx| tx.insert_plugin(&version, b"demo"))
            .await;
        put.unwrap();
        (dir, store)
    }

    async fn rows(store: &Store) -> (Vec<UsageRow>, RunUsage) {
        let name = PluginName::parse("demo").unwrap();
        let version = Version::new(1, 0, 0);
        let read: Result<_, Error> = store
            .read(move |tx| {
                let runs = tx.find_plugin_runs(&name, &version)?;
                Ok((tx.list_plugin_usage(&name, &version)?, runs))
            })
            .await;
        let (rows, runs) = read.unwrap();
        (rows, runs.unwrap())
    }

    #[tokio::test]
    async fn runs_add_up_to_one_row_for_each_line() {
        let (_dir, store) = open().await;
        let line = |act| counted(UsageKind::Line, "clock", Some(act));
        add(
            &store,
            7,
            vec![line("a"), counted(UsageKind::Denied, "random", None)],
        )
        .await;
        add(&store, 5, vec![line("b")]).await;
        let (rows, runs) = rows(&store).await;
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (row.counted.subject.as_str(), row.counted.count))
            .collect();
        assert_eq!(shown, [("random", 2), ("clock", 4)]);
        let acts = rows[1].counted.acts.known().unwrap();
        assert_eq!(acts.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(rows[1].first <= rows[1].last);
        assert_eq!((runs.runs, runs.highest["memory"]), (2, 7));
    }

    #[tokio::test]
    async fn what_a_guest_chooses_does_not_make_rows_without_end() {
        let (_dir, store) = open().await;
        for run in 0..5 {
            let denied = (0..50).map(|line| format!("http GET https://{run}.example.com/{line}"));
            let denied = denied.map(|line| counted(UsageKind::Denied, &line, None));
            add(&store, 1, denied.collect()).await;
        }
        let (rows, _) = rows(&store).await;
        assert_eq!(rows.len() as i64, DENIALS + 1);
        assert_eq!(rows[0].counted.subject, OTHERS);
        let all: u64 = rows.iter().map(|row| row.counted.count).sum();
        assert_eq!(all, 5 * 50 * 2, "none is lost");
    }
}
