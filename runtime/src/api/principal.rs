//! Users and apps.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody};
use super::reply::{Created, Done, Json};
use crate::app::{App, NewPrincipal, PrincipalChange};
use crate::model::{Principal, PrincipalKind, Role, Violation};

/// A person to let in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// E-mail address.
    email: String,
    /// What they may do.
    role: Role,
    /// Identifiers of their teams.
    #[serde(default)]
    teams: Vec<String>,
}

/// A program to let in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApp {
    /// Letters, digits and `. _ : -`.
    name: String,
    /// What it may do.
    role: Role,
    /// Identifiers of its teams.
    #[serde(default)]
    teams: Vec<String>,
}

/// A user with the credential, shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewUserReply {
    /// Always `true`.
    ok: bool,
    /// The user.
    user: Principal,
    /// Public half of the credential.
    client_id: String,
    /// Secret half; nobody can read it again.
    client_secret: String,
}

/// An app with the credential, shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewAppReply {
    /// Always `true`.
    ok: bool,
    /// The app.
    app: Principal,
    /// Public half of the credential.
    client_id: String,
    /// Secret half; nobody can read it again.
    client_secret: String,
}

/// One user.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct UserReply {
    /// Always `true`.
    ok: bool,
    /// The user.
    user: ShownUser,
}

/// All users.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct UsersReply {
    /// Always `true`.
    ok: bool,
    /// By name.
    users: Vec<ShownUser>,
}

/// A user in our words, and in those of other servers of the API.
#[derive(Serialize, utoipa::ToSchema)]
struct ShownUser {
    #[serde(flatten)]
    principal: Principal,
    /// E-mail address.
    email: String,
    /// Always `ACTIVE`: whoever may not come in is not listed.
    #[schema(value_type = String)]
    status: &'static str,
    /// The one role, as an object with its `name`.
    roles: Vec<NamedRole>,
}

/// A role.
#[derive(Serialize, utoipa::ToSchema)]
struct NamedRole {
    /// Its name.
    #[schema(value_type = String)]
    name: &'static str,
}

impl ShownUser {
    fn new(principal: Principal) -> Self {
        Self {
            email: principal.name.clone(),
            status: "ACTIVE",
            roles: vec![NamedRole {
                name: principal.role.as_str(),
            }],
            principal,
        }
    }
}

/// What is to become of a user; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    /// What they may do.
    role: Option<Role>,
    /// The same in the words of other servers of the API: one of ours, `Admin`, or `Member` for a developer.
    roles: Option<Vec<String>>,
    /// Identifiers of their teams.
    teams: Option<Vec<String>>,
}

impl UserChange {
    /// Refuses what asks for nothing: whoever misspelt it should not take it for done.
    fn check(&self) -> Result<(), ApiError> {
        if self.role.is_some() || self.roles.is_some() || self.teams.is_some() {
            return Ok(());
        }
        let message = "name what is to change: `role`, `roles` or `teams`";
        let violation = Violation::new("", "minProperties", message);
        Err(ApiError::invalid("the user", vec![violation]))
    }

    fn role(&self) -> Result<Option<Role>, ApiError> {
        let Some(names) = &self.roles else {
            return Ok(self.role);
        };
        let known = |name: &str| match name {
            "Admin" => Some(Role::Admin),
            "Member" => Some(Role::Developer),
            _ => Role::ALL.into_iter().find(|role| role.as_str() == name),
        };
        let named = match names.as_slice() {
            [name] => known(name),
            _ => None,
        };
        match named {
            Some(role) if self.role.is_some_and(|other| other != role) => {
                let message = "is another role than `role`; send one of the two";
                let violation = Violation::new("/roles", "role", message);
                Err(ApiError::invalid("the user", vec![violation]))
            }
            Some(role) => Ok(Some(role)),
            None => {
                let message =
                    "name one of developer, reviewer, platform-engineer, admin, Admin, Member";
                let violation = Violation::new("/roles", "enum", message);
                Err(ApiError::invalid("the user", vec![violation]))
            }
        }
    }
}

/// All apps.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AppsReply {
    /// Always `true`.
    ok: bool,
    /// By name.
    apps: Vec<Principal>,
}

/// Let a person in.
#[utoipa::path(
    post, path = "/v1/users", tag = "access", security(("bearer" = ["users:manage"])),
    request_body = NewUser, responses((status = 201, body = NewUserReply)),
)]
pub(super) async fn create_user(
    State(app): State<App>,
    caller: Caller,
    JsonBody(user): JsonBody<NewUser>,
) -> Result<Created<NewUserReply>, ApiError> {
    let NewUser { email, role, teams } = user;
    let new = NewPrincipal {
        kind: PrincipalKind::User,
        name: email,
        role,
        teams,
    };
    let (user, client_secret) = app.access.create(&caller, new).await?;
    let client_id = user.client_id.clone();
    Ok(Created(
        true,
        NewUserReply {
            ok: true,
            user,
            client_id,
            client_secret,
        },
    ))
}

/// List the users.
#[utoipa::path(
    get, path = "/v1/users", tag = "access", security(("bearer" = ["users:manage"])),
    responses((status = 200, body = UsersReply)),
)]
pub(super) async fn list_users(State(app): State<App>) -> Result<Json<UsersReply>, ApiError> {
    let users = app.access.list(PrincipalKind::User).await?;
    Ok(Json(UsersReply {
        ok: true,
        users: users.into_iter().map(ShownUser::new).collect(),
    }))
}

/// Read a user.
#[utoipa::path(
    get, path = "/v1/users/{name}", tag = "access", security(("bearer" = ["users:manage"])),
    params(("name" = String, Path, description = "E-mail address")),
    responses((status = 200, body = UserReply)),
)]
pub(super) async fn find_user(
    State(app): State<App>,
    InPath(name): InPath<String>,
) -> Result<Json<UserReply>, ApiError> {
    let user = app.access.find(PrincipalKind::User, &name).await?;
    Ok(Json(UserReply {
        ok: true,
        user: ShownUser::new(user),
    }))
}

/// Change what a person may do and which teams they are in; it holds from their next request on.
#[utoipa::path(
    patch, path = "/v1/users/{name}", tag = "access", security(("bearer" = ["users:manage"])),
    params(("name" = String, Path, description = "E-mail address")),
    request_body = UserChange, responses((status = 200, body = UserReply)),
)]
pub(super) async fn patch_user(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<String>,
    JsonBody(body): JsonBody<UserChange>,
) -> Result<Json<UserReply>, ApiError> {
    body.check()?;
    let change = PrincipalChange {
        role: body.role()?,
        teams: body.teams,
    };
    let kind = PrincipalKind::User;
    let user = app.access.update(&caller, kind, &name, change).await?;
    Ok(Json(UserReply {
        ok: true,
        user: ShownUser::new(user),
    }))
}

/// Shut a person out; their tokens stop working at once.
#[utoipa::path(
    delete, path = "/v1/users/{name}", tag = "access", security(("bearer" = ["users:manage"])),
    params(("name" = String, Path, description = "E-mail address")),
    responses((status = 200, body = Done)),
)]
pub(super) async fn delete_user(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<String>,
) -> Result<Json<Done>, ApiError> {
    app.access
        .delete(&caller, PrincipalKind::User, &name)
        .await?;
    Ok(Done::OK)
}

/// Let a program in.
#[utoipa::path(
    post, path = "/v1/apps", tag = "access", security(("bearer" = ["users:manage"])),
    request_body = NewApp, responses((status = 201, body = NewAppReply)),
)]
pub(super) async fn create_app(
    State(app): State<App>,
    caller: Caller,
    JsonBody(new): JsonBody<NewApp>,
) -> Result<Created<NewAppReply>, ApiError> {
    let NewApp { name, role, teams } = new;
    let new = NewPrincipal {
        kind: PrincipalKind::App,
        name,
        role,
        teams,
    };
    let (app, client_secret) = app.access.create(&caller, new).await?;
    let client_id = app.client_id.clone();
    Ok(Created(
        true,
        NewAppReply {
            ok: true,
            app,
            client_id,
            client_secret,
        },
    ))
}

/// List the apps.
#[utoipa::path(
    get, path = "/v1/apps", tag = "access", security(("bearer" = ["users:manage"])),
    responses((status = 200, body = AppsReply)),
)]
pub(super) async fn list_apps(State(app): State<App>) -> Result<Json<AppsReply>, ApiError> {
    Ok(Json(AppsReply {
        ok: true,
        apps: app.access.list(PrincipalKind::App).await?,
    }))
}

/// Shut a program out; its tokens stop working at once.
#[utoipa::path(
    delete, path = "/v1/apps/{name}", tag = "access", security(("bearer" = ["users:manage"])),
    params(("name" = String, Path, description = "Name of the app")),
    responses((status = 200, body = Done)),
)]
pub(super) async fn delete_app(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<String>,
) -> Result<Json<Done>, ApiError> {
    app.access
        .delete(&caller, PrincipalKind::App, &name)
        .await?;
    Ok(Done::OK)
}
