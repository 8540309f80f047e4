//! The text of a secret itself: granted by a line of its own, audited, and kept out of what the call says from then on.

use serde_json::json;

use super::is_name;
use crate::model::{Actor, AuditEntry, Origin, SecretName, SecretValue, Verb};
use crate::plugin::bindings::secrets;
use crate::plugin::instance::Guest;
use crate::plugin::secret::SecretError;
use crate::store;

/// The longest secret that can be read, and its longest line: each form of a line fits into one line of a log, where it
/// is searched for.
const LONGEST: usize = 8 << 10;
const LONGEST_LINE: usize = 2 << 10;

impl secrets::Host for Guest {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<String, secrets::Error>> {
        self.spend_call()?;
        let Some((place, stored)) = self.power.readable(&name) else {
            let missing = match is_name(&name) {
                true => format!("secret {name}"),
                false => "secret NAME".to_owned(),
            };
            let denial = self.deny(missing, "[[capabilities.secret]]").await;
            return Ok(Err(secrets::Error::Denied(denial)));
        };
        if let Some(read) = self.read_secrets.get(&name) {
            self.tally.line(place);
            return Ok(Ok(read.expose().to_owned()));
        }
        let value = match self.reveal(&name, &stored).await? {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // Told before it is given: what cannot be audited is not read.
        if let Err(error) = self.audit_read(&name, &stored).await? {
            tracing::error!(%error, secret = %stored, "the reading of a secret could not be audited");
            let message = "the host cannot write that the secret is read".to_owned();
            return Ok(Err(secrets::Error::Unavailable(message)));
        }
        self.book.redactor().add_text(&name, value.expose());
        self.tally.line(place);
        let text = value.expose().to_owned();
        self.read_secrets.insert(name, value);
        Ok(Ok(text))
    }
}

impl Guest {
    /// Opens a secret, where it is one that can be hidden.
    async fn reveal(
        &mut self,
        name: &str,
        stored: &SecretName,
    ) -> wasmtime::Result<Result<SecretValue, secrets::Error>> {
        let unset = || {
            let message = format!("secret `{name}` is not set; ask an administrator to set it");
            Err(secrets::Error::Unset(message))
        };
        let Some(secrets) = &self.backend()?.secrets else {
            return Ok(unset());
        };
        let value = match secrets.reveal(stored).await {
            Ok(value) => value,
            Err(SecretError::NotFound(_)) => return Ok(unset()),
            Err(error @ SecretError::Damaged(_)) => {
                tracing::error!(%error, secret = %stored, "a secret could not be opened");
                let message = format!(
                    "secret `{name}` cannot be opened; ask an administrator to set it again"
                );
                return Ok(Err(secrets::Error::Unset(message)));
            }
            Err(error) => {
                tracing::error!(%error, secret = %stored, "a secret could not be read");
                let message = "the host cannot read secrets now".to_owned();
                return Ok(Err(secrets::Error::Unavailable(message)));
            }
        };
        let text = value.expose();
        let line = text.lines().map(str::len).max().unwrap_or_default();
        if text.len() > LONGEST || line > LONGEST_LINE {
            let message = format!(
                "secret `{name}` has more than {LONGEST} bytes, or a line of more than {LONGEST_LINE}: it could not be kept out of logs"
            );
            return Ok(Err(secrets::Error::Unfit(message)));
        }
        Ok(Ok(value))
    }

    /// Writes who read which secret, in which run; never what it is.
    async fn audit_read(
        &mut self,
        name: &str,
        stored: &SecretName,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let caller = &self.caller;
        let actor = Actor {
            origin: Origin::Plugin,
            run: Some(caller.run.clone()),
            ..caller.actor.clone()
        };
        let told = json!({ "plugin": caller.plugin, "digest": caller.digest, "name": name });
        let identifier = stored.to_string();
        let written = self.backend()?.store.write(move |tx| {
            tx.insert_audit(&AuditEntry {
                actor: &actor,
                verb: Verb::Read,
                resource: "secret",
                identifier,
                before: None,
                after: Some(told),
            })
        });
        Ok(written.await)
    }
}
