//! The audit log as it grows.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::{History, sight};
use crate::catalog::Error;
use crate::model::{Actor, AuditFilter, AuditRow};
use crate::store::{self, AuditOrder};

/// Rows that are read at a time. A reader that is slow holds no more than these; all else stays on disk.
const CHUNK: usize = 256;

/// Why a feed does not go on.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// What follows the asked sequence is not there: it is no longer kept, or the log is shorter than the reader
    /// remembers because an older backup was put in place.
    #[error("the change feed cannot go on after {asked}: it has {} to {newest}; read what you need anew, then follow from {newest}", oldest.saturating_add(1))]
    Gone {
        /// The sequence to go on after.
        asked: u64,
        /// The sequence before the oldest that is kept.
        oldest: u64,
        /// The newest sequence.
        newest: u64,
    },
    /// The store failed.
    #[error("read the change feed")]
    Catalog(#[from] Error),
}

/// One reader of what is appended to the audit log. It misses nothing and keeps nothing waiting: what it has not taken
/// yet is on disk.
#[derive(Debug)]
pub struct Changes {
    history: History,
    actor: Actor,
    filter: AuditFilter,
    /// All up to here has been looked at.
    after: u64,
    waiting: VecDeque<AuditRow>,
    appended: watch::Receiver<u64>,
}

impl Changes {
    pub(super) async fn open(
        history: History,
        actor: Actor,
        filter: AuditFilter,
        after: Option<u64>,
    ) -> Result<Self, FeedError> {
        let store = &history.store;
        let ends = store.read(|tx| tx.find_audit_ends()).await;
        let (oldest, newest) = ends.map_err(Error::from)?;
        let after = after.unwrap_or(newest);
        if after < oldest || after > newest {
            return Err(FeedError::Gone {
                asked: after,
                oldest,
                newest,
            });
        }
        Ok(Self {
            appended: store.appended(),
            history,
            actor,
            filter,
            after,
            waiting: VecDeque::new(),
        })
    }

    /// The next row that fits; waits for it. May be dropped while it waits, without losing anything.
    pub async fn next(&mut self) -> Result<AuditRow, FeedError> {
        loop {
            if let Some(row) = self.waiting.pop_front() {
                return Ok(row);
            }
            // Before the rows are read, so that what comes meanwhile wakes.
            self.appended.borrow_and_update();
            let (filter, after) = (self.filter.clone(), self.after);
            let (kinds, actor) = (self.history.kinds.clone(), self.actor.clone());
            let (oldest, newest, page) = self
                .history
                .store
                .read(move |tx| {
                    let (oldest, newest) = tx.find_audit_ends()?;
                    let page = tx.search_audit(&filter, AuditOrder::OldestFirst(after), CHUNK)?;
                    let page = sight::of_page(tx, &kinds, &actor, page)?;
                    Ok::<_, Error>((oldest, newest, page))
                })
                .await?;
            if after < oldest {
                return Err(FeedError::Gone {
                    asked: after,
                    oldest,
                    newest,
                });
            }
            let all_read = page.next.is_none();
            self.after = page.next.unwrap_or(newest);
            self.waiting = page.rows.into();
            if self.waiting.is_empty() && all_read {
                self.appended
                    .changed()
                    .await
                    .map_err(|_| Error::from(store::Error::Closed))?;
            }
        }
    }
}
