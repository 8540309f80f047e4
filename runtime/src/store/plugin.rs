//! Installed plugin versions, their package files and grants.

use rusqlite::{OptionalExtension as _, Row, params};
use semver::Version;

use super::Error;
use super::audit::{from_word, word};
use super::connection::{ReadTx, WriteTx};
use crate::model::{Digest, PluginName, PluginState, PluginVersion, Timestamp};

/// A version with the grant that was stored for it, as JSON; the floor above knows its form.
#[derive(Clone, Debug)]
pub struct StoredPlugin {
    /// The version.
    pub version: PluginVersion,
    /// The grant; absent before an approval.
    pub grant: Option<String>,
}

const COLUMNS: &str =
    "name, version, title, digest, manifest_hash, state, installed_at, installed_by, permitted";

impl ReadTx<'_> {
    /// One version of a plugin.
    pub fn find_plugin(
        &self,
        name: &PluginName,
        version: &Version,
    ) -> Result<Option<StoredPlugin>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM plugin_version WHERE name = ?1 AND version = ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let row = statement
            .query_row(params![name.as_str(), version.to_string()], |row| {
                Ok(read(row))
            })
            .optional()?;
        row.transpose()
    }

    /// The version of a plugin that serves runs.
    pub fn find_active_plugin(&self, name: &PluginName) -> Result<Option<StoredPlugin>, Error> {
        let sql =
            format!("SELECT {COLUMNS} FROM plugin_version WHERE name = ?1 AND state = 'active'");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let row = statement
            .query_row(params![name.as_str()], |row| Ok(read(row)))
            .optional()?;
        row.transpose()
    }

    /// All versions, or those of one plugin: by name, the last installed first within a name.
    pub fn list_plugins(&self, name: Option<&PluginName>) -> Result<Vec<StoredPlugin>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM plugin_version WHERE ?1 IS NULL OR name = ?1 ORDER BY name, sequence DESC"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows =
            statement.query_map(params![name.map(PluginName::as_str)], |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }

    /// Everybody who installed a package, the first time and again, by name.
    pub fn list_plugin_installers(&self, digest: Digest) -> Result<Vec<String>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT person FROM plugin_installer WHERE digest = ?1 ORDER BY person",
        )?;
        let rows = statement.query_map(params![digest.to_string()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Everybody who gave a package the power that it has, by name.
    pub fn list_plugin_grantors(&self, digest: Digest) -> Result<Vec<String>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT person FROM plugin_grantor WHERE digest = ?1 ORDER BY person",
        )?;
        let rows = statement.query_map(params![digest.to_string()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The bytes of a package.
    pub fn find_plugin_package(&self, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT content FROM plugin_package WHERE digest = ?1")?;
        Ok(statement
            .query_row(params![digest.to_string()], |row| row.get(0))
            .optional()?)
    }
}

impl WriteTx<'_> {
    /// Adds a version, waiting for a reviewer, with its package.
    pub fn insert_plugin(&self, version: &PluginVersion, package: &[u8]) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT INTO plugin_package (digest, content) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![version.digest.to_string(), package])?;
        self.connection
            .prepare_cached(
                "INSERT INTO plugin_version (name, version, title, digest, manifest_hash, state, installed_at, installed_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                version.name.as_str(),
                version.version.to_string(),
                version.title,
                version.digest.to_string(),
                version.manifest_hash.to_string(),
                word(&version.state)?,
                version.installed_at.0,
                version.installed_by,
            ])?;
        Ok(())
    }

    /// Notes who installed a package; says whether that is new.
    pub fn insert_plugin_installer(&self, digest: Digest, person: &str) -> Result<bool, Error> {
        let inserted = self
            .connection
            .prepare_cached(
                "INSERT INTO plugin_installer (digest, person, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![digest.to_string(), person, self.now.0])?;
        Ok(inserted > 0)
    }

    /// Notes who let a package have the power that it has, beside whoever did before.
    pub fn insert_plugin_grantor(&self, digest: Digest, person: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO plugin_grantor (digest, person, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![digest.to_string(), person, self.now.0])?;
        Ok(())
    }

    /// Forgets who let a package have its power: it is given anew.
    pub fn delete_plugin_grantors(&self, digest: Digest) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM plugin_grantor WHERE digest = ?1")?
            .execute(params![digest.to_string()])?;
        Ok(())
    }

    /// Lets a package have its power from the same people as another one.
    pub fn copy_plugin_grantors(&self, from: Digest, to: Digest) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO plugin_grantor (digest, person, at)
                 SELECT ?2, person, ?3 FROM plugin_grantor WHERE digest = ?1 ON CONFLICT DO NOTHING",
            )?
            .execute(params![from.to_string(), to.to_string(), self.now.0])?;
        Ok(())
    }

    /// Moves a version to another state; its grant stays. One that becomes active is so from now on.
    pub fn update_plugin_state_of(
        &self,
        name: &PluginName,
        version: &Version,
        state: PluginState,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE plugin_version SET state = ?3, active_since = CASE ?3 WHEN 'active' THEN ?4 ELSE active_since END
                 WHERE name = ?1 AND version = ?2",
            )?
            .execute(params![
                name.as_str(),
                version.to_string(),
                word(&state)?,
                self.now.0
            ])?;
        Ok(())
    }

    /// Stores what a version was granted.
    pub fn update_plugin_grant(
        &self,
        name: &PluginName,
        version: &Version,
        grant: &str,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE plugin_version SET permitted = ?3 WHERE name = ?1 AND version = ?2",
            )?
            .execute(params![name.as_str(), version.to_string(), grant])?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> Result<StoredPlugin, Error> {
    let digest = |column: usize| -> Result<Digest, Error> {
        let text: String = row.get(column)?;
        Digest::parse(&text).ok_or_else(|| Error::corrupt("digest", format!("`{text}` is none")))
    };
    let version: String = row.get(1)?;
    Ok(StoredPlugin {
        version: PluginVersion {
            name: PluginName::parse(row.get::<_, String>(0)?)
                .map_err(|e| Error::corrupt("plugin name", e))?,
            version: Version::parse(&version).map_err(|e| Error::corrupt("plugin version", e))?,
            title: row.get(2)?,
            digest: digest(3)?,
            manifest_hash: digest(4)?,
            state: from_word(row.get(5)?)?,
            installed_at: Timestamp(row.get(6)?),
            installed_by: row.get(7)?,
        },
        grant: row.get(8)?,
    })
}
