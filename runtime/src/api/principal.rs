//! Users and apps.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody};
use super::reply::{Created, Done, Json};
use crate::app::{App, NewPrincipal};
use crate::model::{Principal, PrincipalKind, Role};

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

/// All users.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct UsersReply {
    /// Always `true`.
    ok: bool,
    /// By name.
    users: Vec<Principal>,
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
    Ok(Json(UsersReply {
        ok: true,
        users: app.access.list(PrincipalKind::User).await?,
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
