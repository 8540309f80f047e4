//! The small store that each plugin has for itself.

use rusqlite::{OptionalExtension as _, params};

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::PluginName;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateWrite {
    /// The value is there.
    Done,
    /// Nothing was written: the plugin has as many keys as it may have.
    Full,
}

impl ReadTx<'_> {
    /// The value under a key of a plugin.
    pub fn find_plugin_state(
        &self,
        plugin: &PluginName,
        key: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM plugin_state WHERE plugin = ?1 AND key = ?2")?;
        Ok(statement
            .query_row(params![plugin.as_str(), key], |row| row.get(0))
            .optional()?)
    }

    /// The keys of a plugin that begin with a prefix, sorted.
    pub fn list_plugin_state_keys(
        &self,
        plugin: &PluginName,
        prefix: &str,
    ) -> Result<Vec<String>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key FROM plugin_state WHERE plugin = ?1 AND substr(key, 1, length(?2)) = ?2 ORDER BY key",
        )?;
        let keys = statement.query_map(params![plugin.as_str(), prefix], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Puts a value under a key, unless a new key would make more than `most`.
    pub fn update_plugin_state(
        &self,
        plugin: &PluginName,
        key: &str,
        value: &[u8],
        most: u64,
    ) -> Result<StateWrite, Error> {
        let others: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM plugin_state WHERE plugin = ?1 AND key <> ?2")?
            .query_row(params![plugin.as_str(), key], |row| row.get(0))?;
        if others.unsigned_abs() >= most {
            return Ok(StateWrite::Full);
        }
        self.connection
            .prepare_cached(
                "INSERT INTO plugin_state (plugin, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (plugin, key) DO UPDATE SET value = excluded.value",
            )?
            .execute(params![plugin.as_str(), key, value])?;
        Ok(StateWrite::Done)
    }

    /// Removes a key of a plugin, if it is there.
    pub fn delete_plugin_state(&self, plugin: &PluginName, key: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM plugin_state WHERE plugin = ?1 AND key = ?2")?
            .execute(params![plugin.as_str(), key])?;
        Ok(())
    }
}
