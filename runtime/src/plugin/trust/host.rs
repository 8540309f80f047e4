//! Trust held against what a running host does: installs, decisions, calls.

use std::sync::Arc;

use serde_json::json;

use super::{Distrust, Revoked, RevokedChange};
use crate::model::{Actor, AuditEntry, PluginName, PluginVersion, RunId, Verb};
use crate::plugin::error::CallError;
use crate::plugin::package::Package;
use crate::plugin::{ActionCall, PluginHost};
use crate::store;

/// Which call was refused.
pub(in crate::plugin) struct RefusedCall {
    plugin: PluginName,
    run: RunId,
    actor: Actor,
}

impl RefusedCall {
    pub(in crate::plugin) fn of(call: &ActionCall) -> Self {
        Self {
            plugin: call.plugin.clone(),
            run: call.run.clone(),
            actor: call.actor.clone(),
        }
    }
}

impl PluginHost {
    /// Puts another revocation list in place: no call of what is on it begins any more, and those under way end.
    pub fn replace_revoked(&self, revoked: Revoked) -> RevokedChange {
        let now = Arc::new(revoked);
        let before = self.trust.replace(Arc::clone(&now));
        let ended = self
            .calls
            .sweep_ending(|package, installed_at| self.trust.admit(package, installed_at).is_err());
        RevokedChange {
            added: now.count_beyond(&before),
            removed: before.count_beyond(&now),
            total: now.len(),
            ended,
        }
    }

    /// How many entries of the revocation list another one lacks.
    pub fn lost_by(&self, revoked: &Revoked) -> usize {
        self.trust.revoked().count_beyond(revoked)
    }

    /// Whether a version may run by what is trusted now. A key has to have been valid when the version came in.
    pub(in crate::plugin) fn permit(
        &self,
        version: &PluginVersion,
        package: &Package,
    ) -> Result<(), CallError> {
        let admitted = self.trust.admit(package, version.installed_at);
        admitted.map(drop).map_err(|distrust| {
            let (name, number) = (&version.name, &version.version);
            match distrust {
                Distrust::Revoked(_) => {
                    CallError::Revoked(format!("plugin `{name}` {number} may not run: {distrust}"))
                }
                Distrust::WrongDigest { .. }
                | Distrust::Unsigned { .. }
                | Distrust::TooFew { .. } => CallError::Untrusted(format!(
                    "plugin `{name}` {number} may not run: {distrust}"
                )),
            }
        })
    }

    /// Tells the audit log of a call that did not begin for want of trust, or of what its component imports: no guest
    /// ran that could have been denied anything.
    pub(in crate::plugin) async fn audit_refusal(&self, call: RefusedCall, error: &CallError) {
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
