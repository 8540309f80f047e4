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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    async fn set(store: &Store, plugin: &str, key: &str, most: u64) -> StateWrite {
        let (plugin, key) = (PluginName::parse(plugin).unwrap(), key.to_owned());
        let written = store
            .write(move |tx| tx.update_plugin_state(&plugin, &key, key.as_bytes(), most))
            .await;
        written.map_err(|e: Error| e).unwrap()
    }

    async fn keys(store: &Store, plugin: &str, prefix: &str) -> Vec<String> {
        let (plugin, prefix) = (PluginName::parse(plugin).unwrap(), prefix.to_owned());
        let listed = store
            .read(move |tx| tx.list_plugin_state_keys(&plugin, &prefix))
            .await;
        listed.map_err(|e: Error| e).unwrap()
    }

    #[tokio::test]
    async fn plugins_do_not_see_each_other_and_keep_to_their_number_of_keys() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for key in ["b", "a%", "ab"] {
            assert_eq!(set(&store, "one", key, 3).await, StateWrite::Done);
        }
        assert_eq!(set(&store, "one", "c", 3).await, StateWrite::Full);
        assert_eq!(
            set(&store, "one", "b", 3).await,
            StateWrite::Done,
            "a key that is there can always be set"
        );
        assert_eq!(set(&store, "two", "c", 3).await, StateWrite::Done);
        assert_eq!(keys(&store, "one", "").await, ["a%", "ab", "b"]);
        assert_eq!(
            keys(&store, "one", "a%").await,
            ["a%"],
            "a prefix is no pattern"
        );
        assert_eq!(keys(&store, "two", "").await, ["c"]);
    }
}
