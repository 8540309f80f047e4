//! Teams and users, which the catalog shares with the list of who may come in.
//!
//! A team is an entity of `_team`, and a user one of `_user`. Who is in which team, and what role somebody has, decides
//! what they may do: that part of a `_user` is the credential's, and changes together with it or not at all. A `_user`
//! without a credential is somebody whom the catalog knows and who may not come in; of those everything may be written,
//! but for the role and the status by those who do not manage users.

use serde_json::{Map, Value, json};

use super::blueprint::{self, TEAM, USER, structure};
use super::entity::{self, People, Request, Write};
use super::relation::Missing;
use super::{Catalog, Dependents, Error, Values, Written};
use crate::model::{
    Actor, BlueprintId, Entity, EntityDraft, EntityId, Origin, Permission, Principal,
    PrincipalKind, Role, Stamped, WriteMode,
};
use crate::store::{self, ReadTx, WriteTx};

/// Properties of a `_user` that follow the credential.
const CREDENTIAL: &[&str] = &["port_role", "status"];

/// What is to be said of a team.
#[derive(Clone, Debug, Default)]
pub struct TeamDraft {
    /// What it is for; `Some(None)` clears it.
    pub description: Option<Option<String>>,
}

impl Catalog {
    /// Puts the blueprints of teams and users in place, and everybody who may come in into the catalog. An `Err` must
    /// undo it.
    pub fn ensure_people_in(&self, tx: &WriteTx<'_>) -> Result<(), Error> {
        let system = Actor::system();
        self.ensure_blueprints_in(tx)?;
        for credential in tx.list_credentials()? {
            let principal = credential.principal;
            // Somebody from before such names were refused has no place in the catalog.
            if principal.kind == PrincipalKind::User && EntityId::parse(&*principal.name).is_ok() {
                self.put_user_in(tx, &system, &principal)?;
            }
        }
        Ok(())
    }

    /// Makes the entity of a user what their credential says, and their teams exist. An `Err` must undo it.
    pub fn put_user_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        user: &Principal,
    ) -> Result<Written, Error> {
        self.ensure_blueprints_in(tx)?;
        let properties = json!({ "status": "Active", "port_role": user.role.as_str() });
        let draft = EntityDraft {
            team: Some(user.teams.clone()),
            properties: properties.as_object().cloned(),
            ..EntityDraft::default()
        };
        let written = self.write_person(tx, actor, USER, &user.name, draft, WriteMode::Merge)?;
        self.put_teams_in(tx, actor, &user.teams)?;
        Ok(written)
    }

    /// Writes the entity of a user, with what follows the credential; that is the caller's to change along. An `Err`
    /// must undo it.
    pub fn write_user_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        id: &EntityId,
        draft: EntityDraft,
        mode: WriteMode,
    ) -> Result<Written, Error> {
        self.ensure_blueprints_in(tx)?;
        let written = self.write_person(tx, actor, USER, id.as_str(), draft, mode)?;
        self.put_teams_in(tx, actor, &written.entity.value.team)?;
        Ok(written)
    }

    /// Takes somebody out of the catalog who may come in no more. Where something has to point at them, they stay as
    /// somebody who is disabled. An `Err` must undo it.
    pub fn remove_user_in(&self, tx: &WriteTx<'_>, actor: &Actor, name: &str) -> Result<(), Error> {
        let (blueprint, Ok(id)) = (parse(USER)?, EntityId::parse(name)) else {
            return Ok(());
        };
        if tx.find_blueprint(&blueprint)?.is_none() {
            return Ok(());
        }
        let kinds = &self.kinds;
        let keep = Dependents::Keep;
        match entity::delete_person(tx, kinds, actor, &blueprint, &id, keep) {
            Err(Error::Conflict { .. }) => {
                let properties = json!({ "status": "Disabled" });
                let draft = EntityDraft {
                    properties: properties.as_object().cloned(),
                    team: Some(Vec::new()),
                    ..EntityDraft::default()
                };
                self.write_person(tx, actor, USER, name, draft, WriteMode::Merge)?;
                Ok(())
            }
            Err(Error::NotFound(_)) => Ok(()),
            outcome => outcome,
        }
    }

    /// Writes a team. An `Err` must undo it.
    pub fn write_team_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        name: &EntityId,
        draft: TeamDraft,
        mode: WriteMode,
    ) -> Result<Stamped<Entity>, Error> {
        self.ensure_blueprints_in(tx)?;
        let properties = draft.description.map(|description| {
            let value = description.map_or(Value::Null, Value::String);
            Map::from_iter([("description".to_owned(), value)])
        });
        let draft = EntityDraft {
            properties,
            ..EntityDraft::default()
        };
        let written = self.write_person(tx, actor, TEAM, name.as_str(), draft, mode)?;
        Ok(written.entity)
    }

    /// Removes a team. That nobody is in it any more is the caller's to see to. An `Err` must undo it.
    pub fn remove_team_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        name: &EntityId,
    ) -> Result<(), Error> {
        let (kinds, blueprint) = (&self.kinds, parse(TEAM)?);
        if tx.find_blueprint(&blueprint)?.is_none() {
            return Err(Error::NotFound(entity::name(&blueprint, name)));
        }
        entity::delete_person(tx, kinds, actor, &blueprint, name, Dependents::Keep)
    }

    /// Every team.
    pub async fn list_teams(&self) -> Result<Vec<Stamped<Entity>>, Error> {
        let (kinds, blueprint) = (self.kinds.clone(), parse(TEAM)?);
        self.store
            .read(move |tx| match tx.find_blueprint_revision(&blueprint)? {
                Some(_) => {
                    let kind = kinds.load(tx, &blueprint)?;
                    entity::list(tx, &kind, None, usize::MAX, Values::Own)
                }
                None => Ok(Vec::new()),
            })
            .await
    }

    fn ensure_blueprints_in(&self, tx: &WriteTx<'_>) -> Result<(), Error> {
        for id in [TEAM, USER] {
            blueprint::ensure_system(tx, &parse(id)?)?;
        }
        Ok(())
    }

    fn put_teams_in(&self, tx: &WriteTx<'_>, actor: &Actor, teams: &[String]) -> Result<(), Error> {
        for team in teams {
            // What cannot be an identifier was the name of a team before teams were entities.
            if EntityId::parse(&**team).is_ok() {
                let draft = EntityDraft::default();
                self.write_person(tx, actor, TEAM, team, draft, WriteMode::Merge)?;
            }
        }
        Ok(())
    }

    fn write_person(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        blueprint: &str,
        name: &str,
        mut draft: EntityDraft,
        mode: WriteMode,
    ) -> Result<Written, Error> {
        let blueprint = parse(blueprint)?;
        let id = EntityId::parse(name).map_err(|e| store::Error::corrupt("name", e))?;
        let write = Write::new(tx, &self.kinds, actor, Missing::Refuse);
        let kind = write.kind(&blueprint)?;
        // A blueprint from before this one was part of the portal may lack what only shows.
        if let Some(properties) = &mut draft.properties {
            properties.retain(|name, _| kind.blueprint().schema.properties.contains_key(name));
        }
        let request = Request {
            id,
            draft,
            mode,
            people: People::Managed,
        };
        write.write(&kind, request)
    }
}

/// The role that a `_user` entity says; a developer's where it says none.
pub fn role_of(user: &Entity) -> Role {
    let said = user.properties.get("port_role").and_then(Value::as_str);
    Role::ALL
        .into_iter()
        .find(|role| Some(role.as_str()) == said)
        .unwrap_or(Role::Developer)
}

/// Whether a `_user` entity says that its user may not come in.
pub fn is_disabled(user: &Entity) -> bool {
    user.properties.get("status").and_then(Value::as_str) == Some("Disabled")
}

/// Whether a blueprint is that of users.
pub fn is_user_blueprint(blueprint: &BlueprintId) -> bool {
    blueprint.as_str() == USER
}

/// Whether the entities of a blueprint are tied to credentials.
pub(super) fn is_synced(blueprint: &BlueprintId) -> bool {
    structure(blueprint).is_some()
}

/// The refusal of a change that would part the two.
pub(super) fn refuse_unsynced(blueprint: &BlueprintId) -> Error {
    Error::Conflict {
        code: "system_blueprint",
        message: format!(
            "entities of `{blueprint}` are tied to who may come in; use /v1/users and /v1/teams for this"
        ),
    }
}

/// Refuses a write that would part an entity from the credential that it stands for, or that says who may do what
/// without the right to decide that.
pub(super) fn check_write(
    tx: &ReadTx<'_>,
    actor: &Actor,
    before: Option<&Entity>,
    after: &Entity,
) -> Result<(), Error> {
    if !is_synced(&after.blueprint) {
        return Ok(());
    }
    let differs = |name: &&&str| {
        let had = before.and_then(|before| before.properties.get(**name));
        had != after.properties.get(**name)
    };
    let changed = CREDENTIAL
        .iter()
        .filter(|_| is_user_blueprint(&after.blueprint))
        .find(differs);
    if let Some(before) = before {
        let renamed = before.identifier != after.identifier;
        let moved = is_user_blueprint(&after.blueprint) && before.team != after.team;
        if (renamed || moved || changed.is_some()) && is_tied(tx, before)? {
            return Err(refuse_unsynced(&after.blueprint));
        }
    }
    match changed {
        Some(property) if !manages_users(actor) => Err(Error::Forbidden(format!(
            "you may not say the `{property}` of {}: it is for those who manage users; leave it out or ask an administrator",
            entity::name(&after.blueprint, &after.identifier)
        ))),
        _ => Ok(()),
    }
}

/// Whether somebody decides who may come in. A plugin never does, whoever started it.
fn manages_users(actor: &Actor) -> bool {
    actor.may(Permission::ManageUsers) && actor.origin != Origin::Plugin
}

/// Refuses the deletion of an entity that stands for a credential.
pub(super) fn check_delete(tx: &ReadTx<'_>, entity: &Entity) -> Result<(), Error> {
    if is_synced(&entity.blueprint) && is_tied(tx, entity)? {
        return Err(refuse_unsynced(&entity.blueprint));
    }
    Ok(())
}

/// Whether somebody who may come in is this user, or is in this team.
fn is_tied(tx: &ReadTx<'_>, entity: &Entity) -> Result<bool, Error> {
    let name = entity.identifier.as_str();
    if is_user_blueprint(&entity.blueprint) {
        let found = tx.find_credential(name)?;
        return Ok(found.is_some_and(|found| found.principal.kind == PrincipalKind::User));
    }
    let all = tx.list_credentials()?;
    Ok(all
        .iter()
        .any(|found| found.principal.teams.iter().any(|team| team == name)))
}

fn parse(id: &str) -> Result<BlueprintId, Error> {
    Ok(BlueprintId::parse(id).map_err(|e| store::Error::corrupt("blueprint", e))?)
}
