//! Who acts, and what their role lets them do.

use serde::{Deserialize, Serialize};

use super::{RunId, Timestamp};

/// What somebody may do in the portal, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads the catalog, runs permitted actions, sees their own runs.
    Developer,
    /// Reads everything; approves, rejects and revokes plugin versions.
    Reviewer,
    /// Installs plugins; writes blueprints, entities and actions.
    PlatformEngineer,
    /// All of it, and who may do what.
    Admin,
}

/// One thing that a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read blueprints, entities and actions.
    ReadCatalog,
    /// Write blueprints, entities and actions.
    WriteCatalog,
    /// Start actions and see one's own runs.
    RunActions,
    /// See everybody's runs.
    ReadAllRuns,
    /// Cancel, resolve and retry everybody's runs.
    ManageRuns,
    /// Read plugins, their capabilities and the audit log.
    ReadPlugins,
    /// Install plugin versions.
    InstallPlugins,
    /// Approve, reject and revoke plugin versions.
    ReviewPlugins,
    /// Manage users and apps.
    ManageUsers,
    /// See the names of secrets, set and delete them. Nobody reads them.
    ManageSecrets,
    /// Take backups, which hold everything, the keys too.
    TakeBackups,
}

impl Role {
    /// Every role, from least to most.
    pub const ALL: [Self; 4] = [
        Self::Developer,
        Self::Reviewer,
        Self::PlatformEngineer,
        Self::Admin,
    ];

    /// Whether the role includes a permission.
    pub fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Developer => matches!(permission, P::ReadCatalog | P::RunActions),
            Self::Reviewer => matches!(
                permission,
                P::ReadCatalog | P::RunActions | P::ReadAllRuns | P::ReadPlugins | P::ReviewPlugins
            ),
            Self::PlatformEngineer => matches!(
                permission,
                P::ReadCatalog
                    | P::WriteCatalog
                    | P::RunActions
                    | P::ReadAllRuns
                    | P::ManageRuns
                    | P::ReadPlugins
                    | P::InstallPlugins
            ),
            Self::Admin => true,
        }
    }

    /// The role's name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Reviewer => "reviewer",
            Self::PlatformEngineer => "platform-engineer",
            Self::Admin => "admin",
        }
    }
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 11] = [
        Self::ReadCatalog,
        Self::WriteCatalog,
        Self::RunActions,
        Self::ReadAllRuns,
        Self::ManageRuns,
        Self::ReadPlugins,
        Self::InstallPlugins,
        Self::ReviewPlugins,
        Self::ManageUsers,
        Self::ManageSecrets,
        Self::TakeBackups,
    ];

    /// What it lets somebody do, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::ReadCatalog => "read blueprints, entities, scorecards and actions",
            Self::WriteCatalog => "write blueprints, entities, scorecards and actions",
            Self::RunActions => "start actions and see one's own runs",
            Self::ReadAllRuns => "see everybody's runs",
            Self::ManageRuns => "cancel, resolve and retry everybody's runs",
            Self::ReadPlugins => "read plugins, their capabilities and the audit log",
            Self::InstallPlugins => "install plugin versions",
            Self::ReviewPlugins => "approve, reject, revoke and roll back plugin versions",
            Self::ManageUsers => "manage users, apps and teams",
            Self::ManageSecrets => "see the names of secrets, set and delete them",
            Self::TakeBackups => "take backups, which hold everything",
        }
    }

    /// The roles that include it, from least to most.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| role.allows(self))
    }

    /// The permission's name in the `OpenAPI` document and in refusals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadCatalog => "catalog:read",
            Self::WriteCatalog => "catalog:write",
            Self::RunActions => "actions:run",
            Self::ReadAllRuns => "runs:read-all",
            Self::ManageRuns => "runs:manage",
            Self::ReadPlugins => "plugins:read",
            Self::InstallPlugins => "plugins:install",
            Self::ReviewPlugins => "plugins:review",
            Self::ManageUsers => "users:manage",
            Self::ManageSecrets => "secrets:manage",
            Self::TakeBackups => "backups:take",
        }
    }
}

/// Whether a credential belongs to a person or to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A person, named by e-mail address.
    User,
    /// A program, named freely.
    App,
}

/// Somebody with a credential. The secret itself is never here, only its hash is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// Public half of the credential.
    pub client_id: String,
    /// Person or program.
    pub kind: PrincipalKind,
    /// E-mail address of a user, name of an app; unique among its kind.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Identifiers of their teams.
    pub teams: Vec<String>,
    /// When the credential was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Through which door a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Origin {
    /// HTTP, whoever the client was.
    Api,
    /// A plugin, on behalf of whoever started its run.
    Plugin,
    /// The portal itself: start-up, demo data.
    System,
}

impl Origin {
    /// The origin as the store and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Plugin => "PLUGIN",
            Self::System => "SYSTEM",
        }
    }
}

/// On whose behalf something happens, and how it came to be. Every change in the catalog names one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// E-mail address of a user, name of an app, `goldenpath` for the portal itself.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Identifiers of their teams.
    pub teams: Vec<String>,
    /// Through which door.
    pub origin: Origin,
    /// The run during which it happens.
    pub run: Option<RunId>,
    /// The program that asks, by its own words (`User-Agent`): what it writes, it finds again by this.
    pub client: Option<String>,
    /// Whether a plugin that acts for them keeps to their own rights in the catalog as well (`runAs: user`).
    #[serde(default)]
    pub bound: bool,
}

impl Actor {
    /// The portal acting for itself.
    pub fn system() -> Self {
        Self {
            name: "goldenpath".to_owned(),
            role: Role::Admin,
            teams: Vec::new(),
            origin: Origin::System,
            run: None,
            client: None,
            bound: false,
        }
    }

    /// Whether the actor's role includes a permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.role.allows(permission)
    }
}
