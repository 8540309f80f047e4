//! Users and teams, in the list of who may come in and in the catalog at once.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::{
    Access, AccessError, NewPrincipal, audit, check_new, check_teams, distinct,
    keep_an_administrator, secret, subject,
};
use crate::catalog::{Catalog, TeamDraft, WriteOptions, Written, is_disabled, role_of};
use crate::model::{
    Actor, Entity, EntityDraft, EntityId, Principal, PrincipalKind, Role, Stamped, Timestamp,
    Violation, WriteMode,
};
use crate::store::{Credential, WriteTx};

/// What is to become of a principal; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct PrincipalChange {
    /// What they may do.
    pub role: Option<Role>,
    /// Identifiers of their teams.
    pub teams: Option<Vec<String>>,
}

/// A team and who is in it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Team {
    /// Its name, which is also the identifier of its entity.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// E-mail addresses of its members.
    #[serde(skip)]
    pub members: Vec<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// What is to become of a team; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct TeamChange {
    /// What it is for; `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// E-mail addresses of all its members.
    pub members: Option<Vec<String>>,
}

/// A user who was written as an entity.
#[derive(Clone, Debug)]
pub struct WrittenUser {
    /// The entity.
    pub written: Written,
    /// Client id and secret, shown this once, where the user had none before.
    pub credential: Option<(String, String)>,
}

/// How the transaction of a write ends.
enum Stop<T> {
    DryRun(Box<T>),
    Refused(AccessError),
}

impl<T, E: Into<AccessError>> From<E> for Stop<T> {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl Access {
    /// Puts everybody who may come in into the catalog.
    pub(super) async fn ensure_people(&self) -> Result<(), AccessError> {
        let catalog = self.inner.catalog.clone();
        self.inner
            .store
            .write(move |tx| Ok(catalog.ensure_people_in(tx)?))
            .await
    }

    /// One user or app.
    pub async fn find(&self, kind: PrincipalKind, name: &str) -> Result<Principal, AccessError> {
        let all = self.list(kind).await?;
        let found = all.into_iter().find(|principal| principal.name == name);
        found.ok_or_else(|| AccessError::NotFound(subject(kind, name)))
    }

    /// Changes what somebody may do and which teams they are in; it holds from their next request on.
    pub async fn update(
        &self,
        actor: &Actor,
        kind: PrincipalKind,
        name: &str,
        change: PrincipalChange,
    ) -> Result<Principal, AccessError> {
        let mut violations = Vec::new();
        let teams = change.teams.as_deref().unwrap_or_default();
        check_teams("/teams", teams, &mut violations);
        if !violations.is_empty() {
            return Err(AccessError::Invalid {
                subject: subject(kind, name),
                violations,
            });
        }
        let (actor, name) = (actor.clone(), name.to_owned());
        let catalog = self.inner.catalog.clone();
        let credential = self
            .inner
            .store
            .write(move |tx| {
                let found = tx.find_credential(&name)?;
                let Some(mut credential) = found.filter(|found| found.principal.kind == kind)
                else {
                    return Err(AccessError::NotFound(subject(kind, &name)));
                };
                let principal = &mut credential.principal;
                let before = principal.clone();
                principal.role = change.role.unwrap_or(principal.role);
                if let Some(teams) = change.teams {
                    principal.teams = distinct(teams);
                }
                store(tx, &actor, &before, principal)?;
                if kind == PrincipalKind::User {
                    catalog.put_user_in(tx, &actor, principal)?;
                }
                Ok::<_, AccessError>(credential)
            })
            .await?;
        let principal = credential.principal.clone();
        self.refresh([credential]);
        Ok(principal)
    }

    /// Writes a user as an entity: role, teams and whether they may come in follow it. Who has no credential gets one
    /// only where the draft says so, with nothing but what it says: what was stored before may be anybody's word.
    pub async fn write_user(
        &self,
        actor: &Actor,
        id: EntityId,
        draft: EntityDraft,
        mode: WriteMode,
        options: WriteOptions,
    ) -> Result<WrittenUser, AccessError> {
        let kind = PrincipalKind::User;
        let known = self.find(kind, id.as_str()).await.is_ok();
        let said = Said::new(&draft, mode);
        let mut fresh = None;
        if !known && said.login != Login::Never {
            let new = NewPrincipal {
                kind,
                name: id.to_string(),
                role: Role::Developer,
                teams: Vec::new(),
            };
            check_new(&new)?;
            let secret = secret::random_text::<32>()?;
            let principal = Principal {
                client_id: format!("gp_{}", secret::random_text::<16>()?),
                kind,
                name: new.name,
                role: new.role,
                teams: new.teams,
                created_at: Timestamp::now(),
            };
            fresh = Some((self.credential(principal, secret.clone()).await?, secret));
        }
        let (catalog, actor) = (self.inner.catalog.clone(), actor.clone());
        let outcome = self
            .inner
            .store
            .write(move |tx| {
                let mut written = catalog.write_user_in(tx, &actor, &id, draft, mode)?;
                let follow = follow(&catalog, tx, &actor, &mut written, said, fresh)?;
                if options.validation_only {
                    return Err(Stop::DryRun(Box::new(written)));
                }
                Ok((written, follow))
            })
            .await;
        match outcome {
            Ok((written, follow)) => {
                if let Some(gone) = follow.gone {
                    self.forget(&gone);
                }
                let credential = follow.secret.zip(follow.now.as_ref());
                let credential =
                    credential.map(|(secret, now)| (now.principal.client_id.clone(), secret));
                self.refresh(follow.now);
                Ok(WrittenUser {
                    written,
                    credential,
                })
            }
            Err(Stop::DryRun(written)) => Ok(WrittenUser {
                written: *written,
                credential: None,
            }),
            Err(Stop::Refused(error)) => Err(error),
        }
    }

    /// Every team, by name.
    pub async fn list_teams(&self) -> Result<Vec<Team>, AccessError> {
        let teams = self.inner.catalog.list_teams().await?;
        Ok(teams.into_iter().map(|team| self.team(team)).collect())
    }

    /// One team.
    pub async fn find_team(&self, name: &str) -> Result<Team, AccessError> {
        let teams = self.list_teams().await?;
        let found = teams.into_iter().find(|team| team.name == name);
        found.ok_or_else(|| AccessError::NotFound(team_subject(name)))
    }

    /// Makes or changes a team, and who is in it.
    pub async fn write_team(
        &self,
        actor: &Actor,
        name: &str,
        change: TeamChange,
        mode: WriteMode,
    ) -> Result<Team, AccessError> {
        let id = EntityId::parse(name)
            .ok()
            .filter(|id| id.as_str().chars().count() <= 100);
        let Some(id) = id else {
            let message = "use 1 to 100 letters, digits and @ _ . + : \\ / = -";
            return Err(refused(name, "/name", "identifier", message.to_owned()));
        };
        let (catalog, actor) = (self.inner.catalog.clone(), actor.clone());
        let (team, changed) = self
            .inner
            .store
            .write(move |tx| {
                let draft = TeamDraft {
                    description: change.description,
                };
                let team = catalog.write_team_in(tx, &actor, &id, draft, mode)?;
                let mut changed = Vec::new();
                if let Some(members) = change.members {
                    for credential in set_members(tx, &actor, id.as_str(), members)? {
                        catalog.put_user_in(tx, &actor, &credential.principal)?;
                        changed.push(credential);
                    }
                }
                Ok::<_, AccessError>((team, changed))
            })
            .await?;
        self.refresh(changed);
        Ok(self.team(team))
    }

    /// Removes a team; nobody is in it any more.
    pub async fn delete_team(&self, actor: &Actor, name: &str) -> Result<(), AccessError> {
        let Ok(id) = EntityId::parse(name) else {
            return Err(AccessError::NotFound(team_subject(name)));
        };
        let (catalog, actor) = (self.inner.catalog.clone(), actor.clone());
        let changed = self
            .inner
            .store
            .write(move |tx| {
                catalog.remove_team_in(tx, &actor, &id)?;
                let mut changed = Vec::new();
                for mut credential in tx.list_credentials()? {
                    let principal = &mut credential.principal;
                    let before = principal.clone();
                    principal.teams.retain(|team| team != id.as_str());
                    if *principal == before {
                        continue;
                    }
                    store(tx, &actor, &before, principal)?;
                    if principal.kind == PrincipalKind::User {
                        catalog.put_user_in(tx, &actor, principal)?;
                    }
                    changed.push(credential);
                }
                Ok::<_, AccessError>(changed)
            })
            .await?;
        self.refresh(changed);
        Ok(())
    }

    fn team(&self, team: Stamped<Entity>) -> Team {
        let name = team.value.identifier.to_string();
        let live = self.live();
        let of_users = live
            .values()
            .map(|credential| &credential.principal)
            .filter(|principal| principal.kind == PrincipalKind::User);
        let members: BTreeSet<_> = of_users
            .filter(|principal| principal.teams.contains(&name))
            .map(|principal| principal.name.clone())
            .collect();
        let description = team.value.properties.get("description");
        Team {
            description: description
                .and_then(serde_json::Value::as_str)
                .map(str::to_owned),
            name,
            members: members.into_iter().collect(),
            created_at: team.stamp.created_at,
            updated_at: team.stamp.updated_at,
        }
    }

    /// Takes over what is in the store now.
    fn refresh(&self, changed: impl IntoIterator<Item = Credential>) {
        let mut live = self
            .inner
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for credential in changed {
            live.insert(credential.principal.client_id.clone(), Arc::new(credential));
        }
    }

    fn forget(&self, client_id: &str) {
        self.inner
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(client_id);
    }
}

/// What became of the credential of a user whose entity was written.
#[derive(Default)]
struct Follow {
    now: Option<Credential>,
    gone: Option<String>,
    secret: Option<String>,
}

/// Whether a draft of a user asks for a credential where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    Never,
    /// Only along with the entity itself.
    WhenNew,
    Always,
}

/// What a draft says of a user, apart from all that was stored before.
#[derive(Clone, Copy, Debug)]
struct Said {
    login: Login,
    role: bool,
    teams: bool,
    /// What it leaves out is cleared.
    whole: bool,
}

impl Said {
    fn new(draft: &EntityDraft, mode: WriteMode) -> Self {
        let said = |property| said_of(draft, property);
        let login = match (said("status"), said("port_role"), said("port_type")) {
            (Some("Active"), ..) | (None, Some(_), _) => Login::Always,
            (None, None, Some("Service Account")) => Login::WhenNew,
            _ => Login::Never,
        };
        Self {
            login,
            role: said("port_role").is_some(),
            teams: draft.team.is_some(),
            whole: !matches!(mode, WriteMode::Merge | WriteMode::Update),
        }
    }

    /// Role and teams of a user who was just written: those of the draft, then those of the credential. Nobody loses a
    /// role because a draft says nothing of it.
    fn settle(
        self,
        user: &Entity,
        known: Option<&Principal>,
    ) -> Result<(Role, Vec<String>), AccessError> {
        let role = match known {
            _ if self.role => role_of(user),
            Some(known) => known.role,
            None => Role::Developer,
        };
        if !self.teams {
            let kept = known.filter(|_| !self.whole);
            return Ok((
                role,
                kept.map(|known| known.teams.clone()).unwrap_or_default(),
            ));
        }
        // The catalog takes any text for a team; of somebody who may come in it says what they may do.
        let mut violations = Vec::new();
        check_teams("/team", &user.team, &mut violations);
        if violations.is_empty() {
            return Ok((role, user.team.clone()));
        }
        Err(AccessError::Invalid {
            subject: subject(PrincipalKind::User, user.identifier.as_str()),
            violations,
        })
    }
}

/// What a draft of a `_user` says of a property, where that is a word.
fn said_of<'a>(draft: &'a EntityDraft, property: &str) -> Option<&'a str> {
    draft.properties.as_ref()?.get(property)?.as_str()
}

/// Makes the credential of a user what was said of them, and the entity what the credential says.
fn follow(
    catalog: &Catalog,
    tx: &WriteTx<'_>,
    actor: &Actor,
    written: &mut Written,
    said: Said,
    fresh: Option<(Credential, String)>,
) -> Result<Follow, AccessError> {
    let user = &written.entity.value;
    let known = tx.find_credential(user.identifier.as_str())?;
    // An app may be called like somebody whom only the catalog knows.
    let known = known.filter(|known| known.principal.kind == PrincipalKind::User);
    let mut follow = Follow::default();
    match (known, is_disabled(user)) {
        (Some(mut credential), false) => {
            let before = credential.principal.clone();
            let principal = &mut credential.principal;
            (principal.role, principal.teams) = said.settle(user, Some(&before))?;
            store(tx, actor, &before, principal)?;
            follow.now = Some(credential);
        }
        (Some(credential), true) => {
            keep_an_administrator(tx, &credential.principal)?;
            tx.delete_credential(&credential.principal.client_id)?;
            audit(tx, actor, Some(&credential.principal), None)?;
            follow.gone = Some(credential.principal.client_id);
        }
        (None, false) if said.login == Login::Always || written.created => {
            if let Some((mut credential, secret)) = fresh {
                let principal = &mut credential.principal;
                (principal.role, principal.teams) = said.settle(user, None)?;
                tx.insert_credential(&credential)?;
                audit(tx, actor, None, Some(&credential.principal))?;
                follow.now = Some(credential);
                follow.secret = Some(secret);
            }
        }
        (None, _) => {}
    }
    let said = |now: &Principal| {
        let role = user.properties.get("port_role");
        role.and_then(Value::as_str) == Some(now.role.as_str()) && now.teams == user.team
    };
    if let Some(now) = &follow.now
        && !said(&now.principal)
    {
        written.entity = catalog.put_user_in(tx, actor, &now.principal)?.entity;
    }
    Ok(follow)
}

/// Writes a changed principal, and the audit row that tells of it.
fn store(
    tx: &WriteTx<'_>,
    actor: &Actor,
    before: &Principal,
    after: &Principal,
) -> Result<(), AccessError> {
    if before == after {
        return Ok(());
    }
    if after.role != Role::Admin {
        keep_an_administrator(tx, before)?;
    }
    tx.update_principal(after)?;
    Ok(audit(tx, actor, Some(before), Some(after))?)
}

/// Makes exactly these users the members of a team. Gives back those for whom that is a change.
fn set_members(
    tx: &WriteTx<'_>,
    actor: &Actor,
    team: &str,
    members: Vec<String>,
) -> Result<Vec<Credential>, AccessError> {
    let mut unknown: BTreeSet<String> = members.iter().cloned().collect();
    let mut changed = Vec::new();
    for mut credential in tx.list_credentials()? {
        let principal = &mut credential.principal;
        if principal.kind != PrincipalKind::User {
            continue;
        }
        let wanted = unknown.remove(&principal.name);
        let is_member = principal.teams.iter().any(|known| known == team);
        let before = principal.clone();
        match (wanted, is_member) {
            (true, false) => principal.teams.push(team.to_owned()),
            (false, true) => principal.teams.retain(|known| known != team),
            _ => continue,
        }
        store(tx, actor, &before, principal)?;
        changed.push(credential);
    }
    if let Some(name) = unknown.first() {
        let shown: String = name.chars().take(64).collect();
        let index = members.iter().position(|member| member == name);
        let path = format!("/users/{}", index.unwrap_or(0));
        let message = format!("`{shown}` is not a user; POST /v1/users lets people in");
        return Err(refused(team, &path, "user", message));
    }
    Ok(changed)
}

fn refused(team: &str, path: &str, rule: &str, message: String) -> AccessError {
    AccessError::Invalid {
        subject: team_subject(team),
        violations: vec![Violation::new(path, rule, message)],
    }
}

fn team_subject(name: &str) -> String {
    // A client chooses the name; the message shows only its beginning.
    format!("team `{}`", name.chars().take(64).collect::<String>())
}
