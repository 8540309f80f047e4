//! Credentials, and what the installation has made up for itself.

use rusqlite::{OptionalExtension as _, Row, params};

use super::Error;
use super::audit::{from_word, word};
use super::connection::{ReadTx, WriteTx};
use crate::model::{Principal, Timestamp};

/// Somebody who may come in, with what their secret is checked against.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Who.
    pub principal: Principal,
    /// Argon2id hash of the secret in PHC form.
    pub secret_hash: String,
    /// Names the secret without telling anything about it; changes with it.
    pub secret_id: String,
}

const COLUMNS: &str = "client_id, kind, name, role, teams, secret_hash, secret_id, created_at";

impl ReadTx<'_> {
    /// Every credential, by name.
    pub fn list_credentials(&self) -> Result<Vec<Credential>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM principal ORDER BY name");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(credential(row)?);
        }
        Ok(found)
    }

    /// The credential with a name, be it a user's or an app's.
    pub fn find_credential(&self, name: &str) -> Result<Option<Credential>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM principal WHERE name = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![name])?;
        rows.next()?.map(credential).transpose()
    }

    /// What the installation has made up under a name.
    pub fn find_setting(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
        Ok(statement
            .query_row(params![name], |row| row.get(0))
            .optional()?)
    }
}

impl WriteTx<'_> {
    /// Adds a credential. Its `created_at` is what counts, not the transaction's time.
    pub fn insert_credential(&self, credential: &Credential) -> Result<(), Error> {
        let principal = &credential.principal;
        self.connection
            .prepare_cached(
                "INSERT INTO principal (client_id, kind, name, role, teams, secret_hash, secret_id, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                principal.client_id,
                word(&principal.kind)?,
                principal.name,
                word(&principal.role)?,
                serde_json::json!(principal.teams).to_string(),
                credential.secret_hash,
                credential.secret_id,
                principal.created_at.0,
            ])?;
        Ok(())
    }

    /// Changes what somebody may do and which teams they are in.
    pub fn update_principal(&self, principal: &Principal) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE principal SET role = ?2, teams = ?3 WHERE client_id = ?1")?
            .execute(params![
                principal.client_id,
                word(&principal.role)?,
                serde_json::json!(principal.teams).to_string(),
            ])?;
        Ok(())
    }

    /// Removes a credential.
    pub fn delete_credential(&self, client_id: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM principal WHERE client_id = ?1")?
            .execute(params![client_id])?;
        Ok(())
    }

    /// Keeps something that the installation has made up, in place of what was kept under that name.
    pub fn put_setting(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
            )?
            .execute(params![name, value])?;
        Ok(())
    }

    /// Keeps something that the installation has made up, unless there is such a thing already.
    pub fn insert_setting(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute(params![name, value])?;
        Ok(())
    }
}

fn credential(row: &Row<'_>) -> Result<Credential, Error> {
    let teams: String = row.get(4)?;
    Ok(Credential {
        principal: Principal {
            client_id: row.get(0)?,
            kind: from_word(row.get(1)?)?,
            name: row.get(2)?,
            role: from_word(row.get(3)?)?,
            teams: serde_json::from_str(&teams).map_err(|e| Error::corrupt("credential", e))?,
            created_at: Timestamp(row.get(7)?),
        },
        secret_hash: row.get(5)?,
        secret_id: row.get(6)?,
    })
}
