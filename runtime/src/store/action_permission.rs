//! Permissions of actions, one document each, where somebody has said who may do what.

use std::collections::HashMap;

use rusqlite::OptionalExtension as _;

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::{ActionId, ActionPermissions};

/// What a document is called where it cannot be read.
const WHAT: &str = "action's permissions";

impl ReadTx<'_> {
    /// What was said of one action; the default where nothing was.
    pub fn find_action_permissions(&self, id: &ActionId) -> Result<ActionPermissions, Error> {
        let found: Option<String> = self
            .connection
            .prepare_cached("SELECT document FROM action_permission WHERE action = ?1")?
            .query_row([id.as_str()], |row| row.get(0))
            .optional()?;
        found.map_or_else(
            || Ok(ActionPermissions::default()),
            |text| serde_json::from_str(&text).map_err(|error| Error::corrupt(WHAT, error)),
        )
    }

    /// What was said, by the identifier of the action. Some of the actions may be gone.
    pub fn list_action_permissions(&self) -> Result<HashMap<String, ActionPermissions>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT action, document FROM action_permission")?;
        let mut rows = statement.query([])?;
        let mut found = HashMap::new();
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            let permissions =
                serde_json::from_str(&text).map_err(|error| Error::corrupt(WHAT, error))?;
            found.insert(row.get(0)?, permissions);
        }
        Ok(found)
    }
}

impl WriteTx<'_> {
    /// Keeps what was said of an action.
    pub fn put_action_permissions(
        &self,
        id: &ActionId,
        permissions: &ActionPermissions,
    ) -> Result<(), Error> {
        if permissions.is_default() {
            self.connection
                .prepare_cached("DELETE FROM action_permission WHERE action = ?1")?
                .execute([id.as_str()])?;
            return Ok(());
        }
        let document =
            serde_json::to_string(permissions).map_err(|error| Error::corrupt(WHAT, error))?;
        self.connection
            .prepare_cached(
                "INSERT INTO action_permission (action, document) VALUES (?1, ?2)
                 ON CONFLICT (action) DO UPDATE SET document = excluded.document",
            )?
            .execute([id.as_str(), document.as_str()])?;
        Ok(())
    }
}
