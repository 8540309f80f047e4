//! Who may do what with the entities of one blueprint.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Actor, Role};

/// One thing that can be done with an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityRight {
    /// See it.
    Read,
    /// Add one.
    Register,
    /// Change it.
    Update,
    /// Delete it.
    Unregister,
}

impl EntityRight {
    /// Every right.
    pub const ALL: [Self; 4] = [Self::Read, Self::Register, Self::Update, Self::Unregister];

    /// The right's name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Register => "register",
            Self::Update => "update",
            Self::Unregister => "unregister",
        }
    }

    /// Who has it as long as nobody has said anything: whoever's role lets them read or write the catalog.
    fn default_grant(self) -> Grant {
        let roles: &[Role] = match self {
            Self::Read => &Role::ALL,
            Self::Register | Self::Update | Self::Unregister => {
                &[Role::PlatformEngineer, Role::Admin]
            }
        };
        Grant {
            roles: roles.iter().map(|role| role.as_str().to_owned()).collect(),
            ..Grant::default()
        }
    }
}

/// Who has one right: anybody whom one of the lists names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Grant {
    /// E-mail addresses of users, names of apps.
    pub users: Vec<String>,
    /// Roles: ours, or `Admin`, `Member` and `…-moderator` as other servers of the API call them.
    pub roles: Vec<String>,
    /// Identifiers of teams.
    pub teams: Vec<String>,
    /// Also whoever is in a team that owns the entity.
    pub owned_by_team: bool,
}

impl Grant {
    /// Whether somebody has the right on an entity that these teams own. Administrators have every right.
    pub fn includes(&self, actor: &Actor, owners: &[String]) -> bool {
        let in_team = |teams: &[String]| teams.iter().any(|team| actor.teams.contains(team));
        actor.role == Role::Admin
            || self.includes_apart_from_owners(actor)
            || (self.owned_by_team && in_team(owners))
    }

    /// Whether somebody has the right on every entity, whoever owns it.
    pub fn includes_apart_from_owners(&self, actor: &Actor) -> bool {
        actor.role == Role::Admin
            || self.users.contains(&actor.name)
            || self.teams.iter().any(|team| actor.teams.contains(team))
            || self.roles.iter().any(|name| is_role(name, actor.role))
    }
}

/// Whether a name is one of a role at all.
fn is_known_role(name: &str) -> bool {
    Role::ALL.iter().any(|role| is_role(name, *role))
}

fn is_role(name: &str, role: Role) -> bool {
    let moderator = || name.eq_ignore_ascii_case("moderator") || name.ends_with("-moderator");
    match name {
        "Admin" => role == Role::Admin,
        "Member" => true,
        _ if moderator() => role == Role::PlatformEngineer,
        _ => name == role.as_str(),
    }
}

impl Role {
    /// Whether a text names a role, in our words or in those of other servers of the API.
    pub fn is_name(text: &str) -> bool {
        is_known_role(text)
    }
}

/// Who may do what with the entities of one blueprint. It narrows what a role allows; it never adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EntityPermissions {
    read: Option<Grant>,
    register: Option<Grant>,
    update: Option<Grant>,
    unregister: Option<Grant>,
    update_properties: IndexMap<String, Grant>,
    update_relations: IndexMap<String, Grant>,
}

impl EntityPermissions {
    /// Whether nobody has said anything.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What was said of a right; nothing where the default holds.
    pub fn stated(&self, right: EntityRight) -> Option<&Grant> {
        match right {
            EntityRight::Read => self.read.as_ref(),
            EntityRight::Register => self.register.as_ref(),
            EntityRight::Update => self.update.as_ref(),
            EntityRight::Unregister => self.unregister.as_ref(),
        }
    }

    /// What was said of changing one property, or one of `$title`, `$icon`, `$team`, `$identifier`.
    pub fn stated_property(&self, name: &str) -> Option<&Grant> {
        self.update_properties.get(name)
    }

    /// What was said of changing one relation.
    pub fn stated_relation(&self, name: &str) -> Option<&Grant> {
        self.update_relations.get(name)
    }

    /// As it is shown: a right of which nothing was said with its default.
    pub fn complete(&self) -> Self {
        let grant = |right: EntityRight| {
            Some(
                self.stated(right)
                    .cloned()
                    .unwrap_or_else(|| right.default_grant()),
            )
        };
        Self {
            read: grant(EntityRight::Read),
            register: grant(EntityRight::Register),
            update: grant(EntityRight::Update),
            unregister: grant(EntityRight::Unregister),
            update_properties: self.update_properties.clone(),
            update_relations: self.update_relations.clone(),
        }
    }

    /// Puts what a patch names in the place of what was said before.
    pub fn change(&mut self, patch: PermissionPatch) {
        for (right, grant) in patch.rights {
            let place = match right {
                EntityRight::Read => &mut self.read,
                EntityRight::Register => &mut self.register,
                EntityRight::Update => &mut self.update,
                EntityRight::Unregister => &mut self.unregister,
            };
            *place = grant;
        }
        for (into, named) in [
            (&mut self.update_properties, patch.properties),
            (&mut self.update_relations, patch.relations),
        ] {
            for (name, grant) in named {
                match grant {
                    Some(grant) => {
                        into.insert(name, grant);
                    }
                    None => {
                        into.shift_remove(&name);
                    }
                }
            }
        }
    }

    /// Gives a property its new name.
    pub fn rename_property(&mut self, from: &str, to: &str) {
        rename(&mut self.update_properties, from, to);
    }

    /// Gives a relation its new name.
    pub fn rename_relation(&mut self, from: &str, to: &str) {
        rename(&mut self.update_relations, from, to);
    }
}

fn rename(grants: &mut IndexMap<String, Grant>, from: &str, to: &str) {
    if let Some(grant) = grants.shift_remove(from) {
        grants.insert(to.to_owned(), grant);
    }
}

/// A change of permissions: `None` goes back to the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionPatch {
    /// Rights of the whole entity.
    pub rights: Vec<(EntityRight, Option<Grant>)>,
    /// Rights to change single properties.
    pub properties: Vec<(String, Option<Grant>)>,
    /// Rights to change single relations.
    pub relations: Vec<(String, Option<Grant>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(name: &str, role: Role, teams: &[&str]) -> Actor {
        Actor {
            name: name.to_owned(),
            role,
            teams: teams.iter().map(|team| (*team).to_owned()).collect(),
            ..Actor::system()
        }
    }

    fn texts(of: &[&str]) -> Vec<String> {
        of.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_grant_includes_whom_one_of_its_lists_names_and_every_administrator() {
        let grant = Grant {
            users: texts(&["ann@example.com"]),
            roles: texts(&["reviewer"]),
            teams: texts(&["platform"]),
            owned_by_team: true,
        };
        let owners = texts(&["payments"]);
        let developer = |name, teams| actor(name, Role::Developer, teams);
        assert!(grant.includes(&developer("ann@example.com", &[]), &owners));
        assert!(grant.includes(&developer("bob", &["platform"]), &owners));
        assert!(grant.includes(&developer("bob", &["payments"]), &owners));
        assert!(grant.includes(&actor("bob", Role::Reviewer, &[]), &owners));
        assert!(grant.includes(&actor("bob", Role::Admin, &[]), &[]));
        assert!(!grant.includes(&developer("bob", &["orders"]), &owners));
        assert!(!grant.includes_apart_from_owners(&developer("bob", &["payments"])));
        assert!(!Grant::default().includes(&developer("bob", &[]), &[]));
        assert!(Grant::default().includes(&actor("bob", Role::Admin, &[]), &[]));
    }

    #[test]
    fn the_role_names_of_other_servers_are_understood() {
        for (name, role, included) in [
            ("Admin", Role::Admin, true),
            ("Admin", Role::PlatformEngineer, false),
            ("Member", Role::Developer, true),
            ("service-moderator", Role::PlatformEngineer, true),
            ("service-moderator", Role::Developer, false),
            ("platform-engineer", Role::PlatformEngineer, true),
        ] {
            assert_eq!(is_role(name, role), included, "{name} {role:?}");
            assert!(Role::is_name(name));
        }
        assert!(!Role::is_name("Owner") && !Role::is_name(""));
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_goes_back_to_the_default() {
        let mut permissions = EntityPermissions::default();
        assert!(permissions.is_default());
        let nobody = Grant::default();
        permissions.change(PermissionPatch {
            rights: vec![(EntityRight::Update, Some(nobody.clone()))],
            properties: vec![("tier".to_owned(), Some(nobody.clone()))],
            relations: vec![("system".to_owned(), Some(nobody.clone()))],
        });
        assert_eq!(permissions.stated(EntityRight::Update), Some(&nobody));
        assert_eq!(permissions.stated(EntityRight::Read), None);
        assert_eq!(permissions.complete().read.unwrap().roles.len(), 4);
        permissions.rename_property("tier", "level");
        permissions.rename_relation("system", "part-of");
        assert!(permissions.stated_property("level").is_some());
        assert!(permissions.stated_relation("part-of").is_some());
        permissions.change(PermissionPatch {
            rights: vec![(EntityRight::Update, None)],
            properties: vec![("level".to_owned(), None)],
            relations: vec![("part-of".to_owned(), None)],
        });
        assert!(permissions.is_default());
    }
}
