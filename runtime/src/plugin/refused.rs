//! Calls that did not begin, for want of trust or of what their component imports: no guest ran that could have been
//! denied anything, and the audit log has to hear of them all the same.

use serde_json::json;

use super::error::CallError;
use super::{ActionCall, PluginHost};
use crate::model::{Actor, AuditEntry, PluginName, RunId, Verb};
use crate::store;

/// Which call was refused.
pub(super) struct RefusedCall {
    plugin: PluginName,
    run: RunId,
    actor: Actor,
}

impl RefusedCall {
    pub(super) fn of(call: &ActionCall) -> Self {
        Self {
            plugin: call.plugin.clone(),
            run: call.run.clone(),
            actor: call.actor.clone(),
        }
    }
}

impl PluginHost {
    /// Tells the audit log of a call that did not begin, where its error is one of those.
    pub(super) async fn audit_refusal(&self, call: RefusedCall, error: &CallError) {
        let decision = match error {
            CallError::Revoked(_) | CallError::Untrusted(_) => {
                json!({ "refused": error.code(), "because": error.to_string() })
            }
            CallError::Unlinked {
                digest, missing, ..
            } => json!({ "missing": missing.join(", "), "digest": digest }),
            _ => return,
        };
        let actor = Actor {
            run: Some(call.run),
            ..call.actor
        };
        let identifier = call.plugin.to_string();
        let written: Result<(), store::Error> = self
            .backend
            .store
            .write(move |tx| {
                tx.insert_audit(&AuditEntry {
                    actor: &actor,
                    verb: Verb::Deny,
                    resource: "plugin",
                    identifier,
                    before: None,
                    after: Some(decision),
                })
            })
            .await;
        if let Err(error) = written {
            tracing::error!(%error, plugin = %call.plugin, "a refused call could not be audited");
        }
    }
}
