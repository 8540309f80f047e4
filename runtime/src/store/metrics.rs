//! How the writers of the databases do, for whoever watches the portal.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::{Error, Store};

type Label = [(&'static str, &'static str); 1];
type Histograms = Family<Label, Histogram, fn() -> Histogram>;

/// Commits of both databases.
#[derive(Clone, Debug)]
pub(super) struct StoreMetrics {
    commits: Family<Label, Counter>,
    writes: Histograms,
    seconds: Histograms,
}

/// Commits of one database.
#[derive(Clone, Debug)]
pub(super) struct CommitMetrics {
    commits: Counter,
    writes: Histogram,
    seconds: Histogram,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            commits: Family::default(),
            // Up to as many writes as share one commit.
            writes: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(1.0, 2.0, 9))
            }),
            // From a tenth of a millisecond to six seconds.
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.0001, 4.0, 9))
            }),
        }
    }
}

impl StoreMetrics {
    pub(super) fn of(&self, database: &'static str) -> CommitMetrics {
        let label = [("database", database)];
        CommitMetrics {
            commits: self.commits.get_or_create_owned(&label),
            writes: self.writes.get_or_create_owned(&label),
            seconds: self.seconds.get_or_create_owned(&label),
        }
    }
}

impl CommitMetrics {
    /// So many writes were committed together, and the commit itself took so long.
    pub(super) fn committed(&self, writes: usize, took: Duration) {
        self.commits.inc();
        // At most a few hundred: exact.
        self.writes
            .observe(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)));
        self.seconds.observe(took.as_secs_f64());
    }
}

impl Store {
    /// Names what the store counts.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let metrics = &self.metrics;
        registry.register(
            "store_commits",
            "Transactions that were committed",
            metrics.commits.clone(),
        );
        registry.register(
            "store_commit_writes",
            "Writes that shared one commit",
            metrics.writes.clone(),
        );
        registry.register(
            "store_commit_duration_seconds",
            "How long commits took, the work in them not counted",
            metrics.seconds.clone(),
        );
    }

    /// The bytes of each database, the unused ones in its file with them, by its name.
    pub async fn measure(&self) -> Result<[(&'static str, u64); 2], Error> {
        let measure = |tx: &super::ReadTx<'_>| {
            let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
            let bytes: i64 = tx
                .connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?;
            Ok::<_, Error>(bytes.unsigned_abs())
        };
        let main = self.main.read(measure).await?;
        Ok([(MAIN, main), (LOGS, self.logs.read(measure).await?)])
    }
}

/// What must survive, as it is called here.
pub(super) const MAIN: &str = "main";

/// What runs print, as it is called here.
pub(super) const LOGS: &str = "logs";
