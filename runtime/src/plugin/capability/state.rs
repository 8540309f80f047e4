//! The plugin's own small store.

use super::Power;
use crate::plugin::bindings::state;
use crate::plugin::instance::Guest;
use crate::store::{self, StateWrite};

/// The limits that `state.wit` promises.
const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 64 << 10;
const KEYS: u64 = 1_000;

type Answer<T> = Result<T, state::Error>;

impl state::Host for Guest {
    async fn get(&mut self, key: String) -> wasmtime::Result<Answer<Option<Vec<u8>>>> {
        self.spend_call()?;
        self.tally.power(Power::State);
        if let Err(refusal) = check_key(&key) {
            return Ok(Err(refusal));
        }
        let plugin = self.caller.plugin.clone();
        let found = self
            .backend()?
            .store
            .read(move |tx| tx.find_plugin_state(&plugin, &key))
            .await;
        Ok(found.map_err(|e| unavailable(&e)))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        self.tally.power(Power::State);
        if let Err(refusal) = check_key(&key) {
            return Ok(Err(refusal));
        }
        if value.len() > VALUE_BYTES {
            return Ok(Err(state::Error::Quota(format!(
                "the value has {} bytes; at most {VALUE_BYTES} are kept",
                value.len()
            ))));
        }
        let texts = [key.as_bytes(), value.as_slice()];
        if let Some(denial) = self.refuse_secrets("the plugin's state", texts).await {
            return Ok(Err(state::Error::Denied(denial)));
        }
        if self.pages.effect().await.is_err() {
            return Ok(Err(unjournalled()));
        }
        let plugin = self.caller.plugin.clone();
        let written = self
            .backend()?
            .store
            .write(move |tx| tx.update_plugin_state(&plugin, &key, &value, KEYS))
            .await;
        Ok(match written {
            Ok(StateWrite::Done) => Ok(()),
            Ok(StateWrite::Full) => Err(state::Error::Quota(format!(
                "there are {KEYS} keys already; delete one first"
            ))),
            Err(error) => Err(unavailable(&error)),
        })
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        self.tally.power(Power::State);
        if let Err(refusal) = check_key(&key) {
            return Ok(Err(refusal));
        }
        if self.pages.effect().await.is_err() {
            return Ok(Err(unjournalled()));
        }
        let plugin = self.caller.plugin.clone();
        let deleted = self
            .backend()?
            .store
            .write(move |tx| tx.delete_plugin_state(&plugin, &key))
            .await;
        Ok(deleted.map_err(|e| unavailable(&e)))
    }

    async fn keys(&mut self, prefix: String) -> wasmtime::Result<Answer<Vec<String>>> {
        self.spend_call()?;
        self.tally.power(Power::State);
        let plugin = self.caller.plugin.clone();
        let listed = self
            .backend()?
            .store
            .read(move |tx| tx.list_plugin_state_keys(&plugin, &prefix))
            .await;
        Ok(listed.map_err(|e| unavailable(&e)))
    }
}

fn check_key(key: &str) -> Answer<()> {
    match key.len() {
        0 => Err(state::Error::InvalidKey("the key is empty".to_owned())),
        length if length > KEY_BYTES => Err(state::Error::InvalidKey(format!(
            "the key has {length} bytes; at most {KEY_BYTES} are allowed"
        ))),
        _ => Ok(()),
    }
}

fn unjournalled() -> state::Error {
    state::Error::Unavailable("the run's journal cannot be written now".to_owned())
}

fn unavailable(error: &store::Error) -> state::Error {
    tracing::error!(%error, "the store could not serve a plugin");
    state::Error::Unavailable("the store cannot answer now".to_owned())
}
