//! Sealed secrets. What seals and opens them is above.

use rusqlite::{OptionalExtension as _, Row, params};

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::{SecretMark, SecretName, Timestamp};

/// A secret as it is kept.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    /// What there is to say of it.
    pub mark: SecretMark,
    /// The bytes that only the key opens.
    pub sealed: Vec<u8>,
}

const COLUMNS: &str = "name, created_at, created_by, updated_at, updated_by";

impl ReadTx<'_> {
    /// Every secret, by name.
    pub fn list_secrets(&self) -> Result<Vec<SecretMark>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM secret ORDER BY name");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| Ok(mark(row)))?;
        rows.map(|row| row?).collect()
    }

    /// How many there are.
    pub fn count_secrets(&self) -> Result<u64, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT count(*) FROM secret")?;
        let count: i64 = statement.query_row([], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// One of them.
    pub fn find_secret(&self, name: &SecretName) -> Result<Option<SealedSecret>, Error> {
        let sql = format!("SELECT {COLUMNS}, sealed FROM secret WHERE name = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement
            .query_row(params![name.as_str()], |row| {
                Ok((mark(row), row.get::<_, Vec<u8>>(5)?))
            })
            .optional()?;
        let found = found.map(|(mark, sealed)| {
            Ok(SealedSecret {
                mark: mark?,
                sealed,
            })
        });
        found.transpose()
    }
}

impl WriteTx<'_> {
    /// Sets a secret; one of that name is replaced.
    pub fn put_secret(&self, secret: &SealedSecret) -> Result<(), Error> {
        let mark = &secret.mark;
        self.connection
            .prepare_cached(
                "INSERT INTO secret (name, sealed, created_at, created_by, updated_at, updated_by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (name) DO UPDATE SET sealed = ?2, updated_at = ?5, updated_by = ?6",
            )?
            .execute(params![
                mark.name.as_str(),
                secret.sealed,
                mark.created_at.0,
                mark.created_by,
                mark.updated_at.0,
                mark.updated_by,
            ])?;
        Ok(())
    }

    /// Removes a secret.
    pub fn delete_secret(&self, name: &SecretName) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM secret WHERE name = ?1")?
            .execute(params![name.as_str()])?;
        Ok(())
    }
}

fn mark(row: &Row<'_>) -> Result<SecretMark, Error> {
    Ok(SecretMark {
        name: SecretName::parse(row.get::<_, String>(0)?)
            .map_err(|e| Error::corrupt("secret name", e))?,
        created_at: Timestamp(row.get(1)?),
        created_by: row.get(2)?,
        updated_at: Timestamp(row.get(3)?),
        updated_by: row.get(4)?,
    })
}
