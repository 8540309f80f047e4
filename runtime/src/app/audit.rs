//! Reading the audit log.

use super::App;
use crate::model::AuditRow;
use crate::store;

impl App {
    /// Rows with a sequence below `before` (absent: from the newest), newest first.
    pub async fn list_audit(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, store::Error> {
        self.store
            .read(move |tx| tx.list_audit(before, limit))
            .await
    }
}
