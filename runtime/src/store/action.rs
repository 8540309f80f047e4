//! Actions, one document each.

use rusqlite::{OptionalExtension as _, Row, params};

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::{Action, ActionId, Actor, Stamp, Stamped, Timestamp};

const COLUMNS: &str = "document, created_at, created_by, updated_at, updated_by";

impl ReadTx<'_> {
    /// One action, if it is there.
    pub fn find_action(&self, id: &ActionId) -> Result<Option<Stamped<Action>>, Error> {
        self.connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM action WHERE identifier = ?1"
            ))?
            .query_row([id.as_str()], |row| Ok(read(row)))
            .optional()?
            .transpose()
    }

    /// Every action by identifier.
    pub fn list_actions(&self) -> Result<Vec<Stamped<Action>>, Error> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM action ORDER BY identifier"))?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}

impl WriteTx<'_> {
    /// Puts a new action in place.
    pub fn insert_action(&self, actor: &Actor, action: &Action) -> Result<Stamped<Action>, Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO action (identifier, document, created_at, created_by, updated_at, updated_by)
                 VALUES (?1, ?2, ?3, ?4, ?3, ?4)",
            )?
            .execute(params![action.identifier.as_str(), document(action)?, self.now.0, actor.name])?;
        let stamp = Stamp {
            created_at: self.now,
            created_by: actor.name.clone(),
            updated_at: self.now,
            updated_by: actor.name.clone(),
            datasource: None,
        };
        Ok(Stamped {
            value: action.clone(),
            stamp,
        })
    }

    /// Replaces an action that is there.
    pub fn update_action(
        &self,
        actor: &Actor,
        before: &Stamped<Action>,
        action: &Action,
    ) -> Result<Stamped<Action>, Error> {
        self.connection
            .prepare_cached("UPDATE action SET document = ?2, updated_at = ?3, updated_by = ?4 WHERE identifier = ?1")?
            .execute(params![before.value.identifier.as_str(), document(action)?, self.now.0, actor.name])?;
        let stamp = Stamp {
            updated_at: self.now,
            updated_by: actor.name.clone(),
            ..before.stamp.clone()
        };
        Ok(Stamped {
            value: action.clone(),
            stamp,
        })
    }

    /// Removes an action; its runs stay.
    pub fn delete_action(&self, id: &ActionId) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM action WHERE identifier = ?1")?
            .execute([id.as_str()])?;
        Ok(())
    }
}

fn document(action: &Action) -> Result<String, Error> {
    serde_json::to_string(action).map_err(|error| Error::corrupt("action", error))
}

fn read(row: &Row<'_>) -> Result<Stamped<Action>, Error> {
    let document: String = row.get(0)?;
    Ok(Stamped {
        value: serde_json::from_str(&document).map_err(|error| Error::corrupt("action", error))?,
        stamp: Stamp {
            created_at: Timestamp(row.get(1)?),
            created_by: row.get(2)?,
            updated_at: Timestamp(row.get(3)?),
            updated_by: row.get(4)?,
            datasource: None,
        },
    })
}
