//! Who asks, as queries see them.

use serde_json::{Value, json};

use super::Error;
use super::entity;
use super::kind::Kinds;
use super::query::Asker;
use crate::model::{Actor, BlueprintId, EntityId, Timestamp};
use crate::store::{self, ReadTx};

/// Blueprint of the people.
const USERS: &str = "_user";

/// Blueprint of the teams.
const TEAMS: &str = "_team";

/// The person and their teams: as entities where the catalog has them, else by what is known of them.
pub(super) fn asker(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    now: Timestamp,
) -> Result<Asker, Error> {
    let user = match find(tx, kinds, USERS, &actor.name)? {
        Some(user) => user,
        None => json!({
            "identifier": actor.name,
            "title": actor.name,
            "team": actor.teams,
            "properties": {"email": actor.name, "role": actor.role.as_str()},
        }),
    };
    let mut teams = Vec::with_capacity(actor.teams.len());
    for team in &actor.teams {
        let known = find(tx, kinds, TEAMS, team)?;
        teams.push(known.unwrap_or_else(|| json!({"identifier": team, "title": team})));
    }
    Ok(Asker { now, user, teams })
}

fn find(tx: &ReadTx<'_>, kinds: &Kinds, blueprint: &str, id: &str) -> Result<Option<Value>, Error> {
    let (Ok(blueprint), Ok(id)) = (BlueprintId::parse(blueprint), EntityId::parse(id)) else {
        return Ok(None);
    };
    let Some(row) = tx.find_blueprint(&blueprint)? else {
        return Ok(None);
    };
    let found = entity::find(tx, &kinds.ready(&row)?, &id)?;
    let json = found
        .map(|found| serde_json::to_value(found.entity))
        .transpose();
    Ok(json.map_err(|e| store::Error::corrupt("entity", e))?)
}
