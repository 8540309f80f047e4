//! Who may start an action, and who may approve its runs.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Actor, Grant, Permission, Role};

/// One thing that can be done with an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionRight {
    /// Start it.
    Execute,
    /// Approve runs of it.
    Approve,
}

impl ActionRight {
    /// Every right.
    pub const ALL: [Self; 2] = [Self::Execute, Self::Approve];

    /// The right's name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Approve => "approve",
        }
    }

    /// Who has it as long as nobody has said anything: to start it whoever's role lets them start actions, to approve
    /// its runs administrators.
    pub fn default_grant(self) -> Grant {
        let roles: Vec<Role> = match self {
            Self::Execute => Permission::RunActions.roles().collect(),
            Self::Approve => vec![Role::Admin],
        };
        Grant {
            roles: roles.iter().map(|role| role.as_str().to_owned()).collect(),
            ..Grant::default()
        }
    }
}

/// Who has one right on an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionGrant {
    /// Whom the lists name. Beside a policy they only say who sees the action.
    #[serde(flatten)]
    pub grant: Grant,
    /// What decides instead, looking at the catalog and at the inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

impl ActionGrant {
    /// Whether somebody may see that there is such a thing to do, whatever it is about.
    pub fn shows(&self, actor: &Actor) -> bool {
        self.grant.includes_apart_from_owners(actor)
            || (self.grant.owned_by_team && !actor.teams.is_empty())
    }
}

/// Queries on the catalog, and jq conditions on what they find.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Policy {
    /// Searches by name: `.results.NAME.entities` in the conditions.
    #[schema(value_type = Object)]
    pub queries: IndexMap<String, Value>,
    /// For `execute` each gives `true` or `false` and one `true` is enough; for `approve` each gives a list of e-mail
    /// addresses, and those of all count.
    pub conditions: Vec<String>,
}

/// Who may start an action, and who may approve its runs. It narrows what a role allows; it never adds to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionPermissions {
    execute: Option<ActionGrant>,
    approve: Option<ActionGrant>,
}

impl ActionPermissions {
    /// What holds of a right, be it said or the default.
    pub fn grant(&self, right: ActionRight) -> ActionGrant {
        let stated = match right {
            ActionRight::Execute => &self.execute,
            ActionRight::Approve => &self.approve,
        };
        stated.clone().unwrap_or_else(|| ActionGrant {
            grant: right.default_grant(),
            policy: None,
        })
    }

    /// As it is shown: a right of which nothing was said with its default.
    pub fn complete(&self) -> Self {
        Self {
            execute: Some(self.grant(ActionRight::Execute)),
            approve: Some(self.grant(ActionRight::Approve)),
        }
    }

    /// Whether nobody has said anything.
    pub fn is_default(&self) -> bool {
        self.execute.is_none() && self.approve.is_none()
    }

    /// Puts what a patch names in the place of what was said before.
    pub fn change(&mut self, patch: ActionPermissionPatch) {
        for (right, grant) in patch.rights {
            match right {
                ActionRight::Execute => self.execute = grant,
                ActionRight::Approve => self.approve = grant,
            }
        }
    }
}

/// A change of an action's permissions: `None` goes back to the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActionPermissionPatch {
    /// The rights that it names.
    pub rights: Vec<(ActionRight, Option<ActionGrant>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_of_which_nothing_was_said_has_its_default() {
        let mut permissions = ActionPermissions::default();
        assert!(permissions.is_default());
        assert_eq!(permissions.grant(ActionRight::Execute).grant.roles.len(), 4);
        assert_eq!(
            permissions.grant(ActionRight::Approve).grant.roles,
            ["admin"]
        );
        permissions.change(ActionPermissionPatch {
            rights: vec![(ActionRight::Execute, Some(ActionGrant::default()))],
        });
        assert!(
            permissions
                .grant(ActionRight::Execute)
                .grant
                .roles
                .is_empty()
        );
        permissions.change(ActionPermissionPatch {
            rights: vec![(ActionRight::Execute, None)],
        });
        assert!(permissions.is_default());
    }

    #[test]
    fn what_was_said_is_read_back_as_it_was() {
        let said = ActionGrant {
            grant: Grant {
                users: vec!["ann@example.com".to_owned()],
                owned_by_team: true,
                ..Grant::default()
            },
            policy: Some(Policy {
                conditions: vec!["true".to_owned()],
                ..Policy::default()
            }),
        };
        let mut permissions = ActionPermissions::default();
        permissions.change(ActionPermissionPatch {
            rights: vec![(ActionRight::Execute, Some(said.clone()))],
        });
        let text = serde_json::to_string(&permissions).unwrap();
        let read: ActionPermissions = serde_json::from_str(&text).unwrap();
        assert_eq!(read.grant(ActionRight::Execute), said);
    }
}
