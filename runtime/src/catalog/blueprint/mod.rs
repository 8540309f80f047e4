//! The rules of blueprints: what one must be, how it may change, when it may go.

mod follow;
pub(super) mod ownership;
pub(super) mod property;
mod rename;
mod system;

use serde_json::{Map, Value};

use super::Error;
use super::derived::Before;
use super::draft::parse_blueprint;
use super::schema::{MAX_DEPTH, is_deeper, join, shorten};
use crate::model::{Actor, AuditEntry, Blueprint, BlueprintId, Stamped, Verb, Violation};
use crate::store::{self, BlueprintRow, ReadTx, WriteTx};

pub(super) use rename::RenameTold;
pub use rename::{RenameDraft, RenamePlan, Renamed, Renaming};
pub(super) use system::{TEAM, USER, structure};

/// Properties of one blueprint: far more than a page can show, few enough to compile at once.
const MAX_PROPERTIES: usize = 1_000;

/// Relations of one blueprint.
const MAX_RELATIONS: usize = 500;

/// Characters of the JSON of one blueprint.
const MAX_DOCUMENT: usize = 2 * 1024 * 1024;

/// Dependents that a refusal names.
const MAX_NAMED: usize = 5;

/// Keys of a blueprint under which names of properties stand, beside its schema.
const DERIVED: &[&str] = &[
    "mirrorProperties",
    "calculationProperties",
    "aggregationProperties",
];

/// Keys of a stored object that clients send back as they got them; the portal writes them itself.
pub(super) const STAMP: &[&str] = &["createdAt", "createdBy", "updatedAt", "updatedBy"];

/// A blueprint without what only the portal says of it.
pub(super) fn settle(mut blueprint: Blueprint) -> Blueprint {
    for key in STAMP {
        blueprint.extra.shift_remove(*key);
    }
    blueprint
}

/// A stored blueprint, as the API shows it.
pub(super) fn read(row: &BlueprintRow) -> Result<Stamped<Blueprint>, Error> {
    let value =
        serde_json::from_str(&row.document).map_err(|e| store::Error::corrupt("blueprint", e))?;
    Ok(Stamped {
        value,
        stamp: row.stamp.clone(),
    })
}

pub(super) fn find(tx: &ReadTx<'_>, id: &BlueprintId) -> Result<BlueprintRow, Error> {
    tx.find_blueprint(id)?
        .ok_or_else(|| Error::NotFound(format!("blueprint `{id}`")))
}

pub(super) fn create(
    tx: &WriteTx<'_>,
    actor: &Actor,
    blueprint: &Blueprint,
) -> Result<Stamped<Blueprint>, Error> {
    let id = &blueprint.identifier;
    if tx.find_blueprint(id)?.is_some() {
        return Err(Error::Conflict {
            code: "already_exists",
            message: format!("blueprint `{id}` exists already"),
        });
    }
    refuse(id, check(blueprint))?;
    check_targets(tx, blueprint)?;
    refuse(id, ownership::check_path(tx, blueprint)?)?;
    let before = Before::of(tx)?;
    let row = insert(tx, actor, blueprint)?;
    before.refuse_for(tx, actor, id)?;
    before.queue(tx)?;
    read(&row)
}

pub(super) fn replace(
    tx: &WriteTx<'_>,
    actor: &Actor,
    id: &BlueprintId,
    blueprint: &Blueprint,
) -> Result<Stamped<Blueprint>, Error> {
    let row = find(tx, id)?;
    let before = read(&row)?.value;
    if before == *blueprint {
        return read(&row);
    }
    let mut found = check(blueprint);
    found.extend(check_change(tx, &row, &before, blueprint)?);
    refuse(id, found)?;
    check_targets(tx, blueprint)?;
    refuse(id, ownership::check_path(tx, blueprint)?)?;
    let derived = Before::of(tx)?;
    let row = update(tx, actor, &row, &before, blueprint)?;
    derived.refuse_for(tx, actor, id)?;
    derived.queue(tx)?;
    read(&row)
}

pub(super) fn patch(
    tx: &WriteTx<'_>,
    actor: &Actor,
    id: &BlueprintId,
    patch: Map<String, Value>,
) -> Result<Stamped<Blueprint>, Error> {
    let before = read(&find(tx, id)?)?.value;
    let mut document =
        serde_json::to_value(&before).map_err(|e| store::Error::corrupt("blueprint", e))?;
    let patch = Value::Object(patch);
    if is_deeper(&patch, MAX_DEPTH) {
        let message = format!("is nested deeper than {MAX_DEPTH} levels");
        refuse(id, vec![Violation::new("", "depth", message)])?;
    }
    merge(&mut document, patch);
    replace(tx, actor, id, &parse_blueprint(document)?)
}

pub(super) fn delete(tx: &WriteTx<'_>, actor: &Actor, id: &BlueprintId) -> Result<(), Error> {
    let row = find(tx, id)?;
    if structure(id).is_some() {
        let message = format!("blueprint `{id}` is part of the portal and stays");
        return Err(Error::Conflict {
            code: "system_blueprint",
            message,
        });
    }
    let conflict = |message| {
        Err(Error::Conflict {
            code: "has_dependents",
            message,
        })
    };
    let entities = tx.count_entities(row.key)?;
    if entities > 0 {
        return conflict(format!(
            "blueprint `{id}` has {entities} entities; delete them first, or all at once with \
             DELETE /v1/blueprints/{id}/all-entities"
        ));
    }
    let pointing = tx.list_blueprints_pointing_at(id, MAX_NAMED)?;
    if !pointing.is_empty() {
        return conflict(format!(
            "blueprint `{id}` is the target of relations of {}; remove those first",
            pointing.join(", ")
        ));
    }
    let before = Before::of(tx)?;
    tx.delete_blueprint(row.key)?;
    if let Some(message) = before.needs(tx)? {
        return conflict(message);
    }
    audit(tx, actor, Verb::Delete, id, Some(&read(&row)?.value), None)
}

/// Adds a blueprint that has been checked.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    actor: &Actor,
    blueprint: &Blueprint,
) -> Result<BlueprintRow, Error> {
    let row = tx.insert_blueprint(blueprint, &actor.name)?;
    audit(
        tx,
        actor,
        Verb::Create,
        &blueprint.identifier,
        None,
        Some(blueprint),
    )?;
    Ok(row)
}

/// Changes a blueprint that has been checked. What is no longer in it goes from its entities too: a later property of
/// the same name and another type must not find values of the old one.
pub(super) fn update(
    tx: &WriteTx<'_>,
    actor: &Actor,
    row: &BlueprintRow,
    before: &Blueprint,
    after: &Blueprint,
) -> Result<BlueprintRow, Error> {
    for name in before.schema.properties.keys() {
        if !after.schema.properties.contains_key(name) {
            tx.delete_property(row.key, name)?;
            tx.forget_values(row.key, name)?;
        }
    }
    for name in derived_names(before) {
        if derived_names(after).all(|known| known != name) {
            tx.delete_derived(row.key, name)?;
        }
    }
    for name in before.relations.keys() {
        if !after.relations.contains_key(name) {
            tx.delete_relation(row.key, name)?;
        }
    }
    let row = tx.update_blueprint(row.key, after, &actor.name)?;
    audit(
        tx,
        actor,
        Verb::Update,
        &after.identifier,
        Some(before),
        Some(after),
    )?;
    Ok(row)
}

/// The names of what a blueprint derives.
fn derived_names(blueprint: &Blueprint) -> impl Iterator<Item = &String> {
    DERIVED.iter().flat_map(|key| {
        let entries = blueprint.extra.get(*key).and_then(Value::as_object);
        entries.into_iter().flat_map(Map::keys)
    })
}

/// Every rule that a blueprint breaks on its own, whatever else is in the catalog.
pub(super) fn check(blueprint: &Blueprint) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut add =
        |path: &str, rule: &str, message: String| found.push(Violation::new(path, rule, message));
    if !(1..=100).contains(&blueprint.title.chars().count()) {
        add(
            "/title",
            "length",
            "must have 1 to 100 characters".to_owned(),
        );
    }
    if blueprint
        .description
        .as_ref()
        .is_some_and(|text| text.chars().count() > 200)
    {
        add(
            "/description",
            "length",
            "must have at most 200 characters".to_owned(),
        );
    }
    if blueprint
        .icon
        .as_ref()
        .is_some_and(|text| text.chars().count() > 100)
    {
        add(
            "/icon",
            "length",
            "must have at most 100 characters".to_owned(),
        );
    }
    let texts = found.len();
    let mut add =
        |path: &str, rule: &str, message: String| found.push(Violation::new(path, rule, message));
    let counts = [
        (
            "/schema/properties",
            blueprint.schema.properties.len(),
            MAX_PROPERTIES,
        ),
        ("/relations", blueprint.relations.len(), MAX_RELATIONS),
    ];
    for (path, count, most) in counts {
        if count > most {
            add(
                path,
                "maxProperties",
                format!("must have at most {most} entries, not {count}"),
            );
        }
    }
    let extra = blueprint.extra.values().chain(
        blueprint
            .relations
            .values()
            .flat_map(|edge| edge.extra.values()),
    );
    if blueprint
        .schema
        .properties
        .values()
        .chain(extra)
        .any(|value| is_deeper(value, MAX_DEPTH))
    {
        add(
            "",
            "depth",
            format!("is nested deeper than {MAX_DEPTH} levels"),
        );
    }
    // Too much of it, or too deep: not to be looked through.
    if found.len() > texts {
        return found;
    }
    match serde_json::to_string(blueprint) {
        Ok(text) if text.len() <= MAX_DOCUMENT => {}
        _ => {
            return vec![Violation::new(
                "",
                "size",
                format!("must have at most {MAX_DOCUMENT} bytes of JSON"),
            )];
        }
    }
    ownership::check(blueprint, &mut found);
    for (name, schema) in &blueprint.schema.properties {
        property::check(name, schema, &mut found);
    }
    for (index, name) in blueprint.schema.required.iter().enumerate() {
        if !blueprint.schema.properties.contains_key(name) {
            let message = format!("`{}` is not a property of this blueprint", shorten(name));
            found.push(Violation::new(
                format!("/schema/required/{index}"),
                "required",
                message,
            ));
        }
    }
    for (name, relation) in &blueprint.relations {
        let path = join("/relations", name);
        property::check_name(&path, name, &mut found);
        if relation.required && relation.many {
            let message =
                "a relation to many entities cannot be required; drop `required` or `many`";
            found.push(Violation::new(path, "required", message));
        }
    }
    found
}

/// Every rule that a change breaks: types stay, and so does what edges in use depend on.
pub(super) fn check_change(
    tx: &ReadTx<'_>,
    row: &BlueprintRow,
    before: &Blueprint,
    after: &Blueprint,
) -> Result<Vec<Violation>, Error> {
    let mut found = Vec::new();
    if before.identifier != after.identifier {
        let message = format!("cannot change; it is `{}`", before.identifier);
        found.push(Violation::new("/identifier", "immutable", message));
    }
    for (name, schema) in &before.schema.properties {
        let (was, is) = (
            schema.get("type"),
            after
                .schema
                .properties
                .get(name)
                .map(|schema| schema.get("type")),
        );
        if let Some(is) = is
            && was != is
        {
            let was = was.map(ToString::to_string).unwrap_or_default();
            let message = format!(
                "cannot change; it is {was}. Add a property of another name, move the values, delete this one"
            );
            let path = join(&join("/schema/properties", name), "type");
            found.push(Violation::new(path, "immutable", message));
        }
    }
    for (name, was) in &before.relations {
        let Some(is) = after.relations.get(name) else {
            continue;
        };
        let path = join("/relations", name);
        if was.target == is.target && (was.many == is.many || is.many) {
            continue;
        }
        let (users, most) = tx.measure_relation(row.key, name)?;
        if was.target != is.target && users > 0 {
            let message = format!(
                "cannot change while {users} entities point at `{}` with it; clear them first",
                was.target
            );
            found.push(Violation::new(join(&path, "target"), "immutable", message));
        }
        if was.many && !is.many && most > 1 {
            let message =
                format!("cannot become false while an entity points at {most} others with it");
            found.push(Violation::new(join(&path, "many"), "immutable", message));
        }
    }
    Ok(found)
}

fn check_targets(tx: &WriteTx<'_>, blueprint: &Blueprint) -> Result<(), Error> {
    for relation in blueprint.relations.values() {
        ensure_system(tx, &relation.target)?;
        if relation.target != blueprint.identifier && tx.find_blueprint(&relation.target)?.is_none()
        {
            return Err(Error::NotFound(format!("blueprint `{}`", relation.target)));
        }
    }
    Ok(())
}

/// Puts a blueprint that is part of the portal in place, once somebody has a use for it.
pub(super) fn ensure_system(tx: &WriteTx<'_>, id: &BlueprintId) -> Result<(), Error> {
    if let Some(blueprint) = structure(id)
        && tx.find_blueprint_revision(id)?.is_none()
    {
        insert(tx, &Actor::system(), &blueprint)?;
    }
    Ok(())
}

pub(super) fn refuse(
    id: &BlueprintId,
    violations: impl IntoIterator<Item = Violation>,
) -> Result<(), Error> {
    let violations: Vec<_> = violations.into_iter().collect();
    if violations.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid {
        subject: format!("blueprint `{id}`"),
        violations,
    })
}

/// Objects merge key by key, `null` removes, anything else replaces.
fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(fields) = into else { return };
    for (key, value) in patch {
        if value.is_null() {
            fields.shift_remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

pub(super) fn audit(
    tx: &WriteTx<'_>,
    actor: &Actor,
    verb: Verb,
    id: &BlueprintId,
    before: Option<&Blueprint>,
    after: Option<&Blueprint>,
) -> Result<(), Error> {
    let json = |blueprint: Option<&Blueprint>| {
        blueprint
            .map(serde_json::to_value)
            .transpose()
            .map_err(|e| store::Error::corrupt("blueprint", e))
    };
    let entry = AuditEntry {
        actor,
        verb,
        resource: "blueprint",
        identifier: id.to_string(),
        before: json(before)?,
        after: json(after)?,
    };
    Ok(tx.insert_audit(&entry)?)
}
