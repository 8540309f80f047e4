//! What the audit log keeps of the requests of a run: one row when an attempt ends, never one for each of them.

use serde_json::json;

use super::worker::on_behalf;
use crate::model::{Actor, AuditEntry, CallUsage, Origin, Run, Verb};
use crate::store::{self, WriteTx};

/// Tells of the requests that a run sent, if it sent any, in the transaction that ends it: of a run that has ended the log
/// tells once, and of one that a crash interrupted not at all.
pub(super) fn audit(tx: &WriteTx<'_>, run: &Run, usage: &CallUsage) -> Result<(), store::Error> {
    if usage.requests.lines.is_empty() {
        return Ok(());
    }
    let actor = Actor {
        origin: Origin::Plugin,
        run: Some(run.id.clone()),
        ..on_behalf(run)
    };
    tx.insert_audit(&AuditEntry {
        actor: &actor,
        verb: Verb::Request,
        resource: "plugin",
        identifier: usage.plugin.to_string(),
        before: None,
        after: Some(json!({
            "version": usage.version,
            "digest": usage.digest,
            "requests": usage.requests,
        })),
    })
}
