//! Whose eyes the past is for: whoever may not see an entity may not see what it was either.

use std::collections::HashMap;

use serde_json::Value;

use crate::catalog::kind::Kinds;
use crate::catalog::permission::{self, ReadScope};
use crate::catalog::{Error, entity};
use crate::model::{Actor, AuditPage, AuditRow, BlueprintId, Entity, EntityId};
use crate::store::{self, ReadTx};

/// Kind of the object in rows that tell of an entity.
const ENTITY: &str = "entity";

/// Refuses to tell of an entity that there is and that somebody may not see.
pub(super) fn check(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    blueprint: &BlueprintId,
    id: &EntityId,
) -> Result<(), Error> {
    if !permission::is_bound(actor) {
        return Ok(());
    }
    let kind = match kinds.load(tx, blueprint) {
        Ok(kind) => kind,
        Err(Error::NotFound(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    match entity::find(tx, &kind, id)? {
        Some(found) => permission::check_read(actor, &kind, &found.entity.value),
        None => Ok(()),
    }
}

/// Refuses to show an entity of the past that somebody could not see.
pub(super) fn check_past(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    entity: &Entity,
) -> Result<(), Error> {
    let scope = ReadScope::of_named(tx, kinds, actor, &entity.blueprint)?;
    permission::check_scope(scope, actor, entity)
}

/// Leaves of some rows what somebody may see.
pub(super) fn of_page(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    mut page: AuditPage,
) -> Result<AuditPage, Error> {
    if !permission::is_bound(actor) {
        return Ok(page);
    }
    let mut scopes: HashMap<String, ReadScope> = HashMap::new();
    let mut rows = Vec::with_capacity(page.rows.len());
    for row in page.rows {
        let scope = match &row.blueprint {
            Some(blueprint) if row.resource == ENTITY => match scopes.get(blueprint) {
                Some(scope) => *scope,
                None => {
                    let id = BlueprintId::parse(blueprint.as_str())
                        .map_err(|e| store::Error::corrupt("audit row", e))?;
                    let scope = ReadScope::of_named(tx, kinds, actor, &id)?;
                    scopes.insert(blueprint.clone(), scope);
                    scope
                }
            },
            _ => ReadScope::All,
        };
        rows.extend(of_row(scope, actor, row));
    }
    page.rows = rows;
    Ok(page)
}

/// What is to be seen of a row: nothing where the entity is out of sight after the change, and not what it was where it
/// came into sight by it.
fn of_row(scope: ReadScope, actor: &Actor, mut row: AuditRow) -> Option<AuditRow> {
    let is_hidden = |document: &Option<Value>| {
        document
            .as_ref()
            .map(|document| !scope.includes(actor, &owners(document)))
    };
    match (is_hidden(&row.before), is_hidden(&row.after)) {
        (_, Some(true)) | (Some(true), None) => return None,
        (Some(true), Some(false)) => row.before = None,
        (None, None) if scope != ReadScope::All => return None,
        _ => {}
    }
    Some(row)
}

fn owners(document: &Value) -> Vec<String> {
    let teams = document.get("team").and_then(Value::as_array);
    let names = teams.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}
