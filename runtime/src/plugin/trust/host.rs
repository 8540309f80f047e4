//! Trust held against the calls of a running host.

use std::sync::Arc;

use super::{Distrust, Revoked, RevokedChange};
use crate::model::PluginVersion;
use crate::plugin::PluginHost;
use crate::plugin::error::CallError;
use crate::plugin::package::Package;

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
}
