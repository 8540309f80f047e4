//! Teams and who is in them.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody};
use super::reply::{Created, Done, Json};
use crate::app::{App, Team, TeamChange};
use crate::model::{Violation, WriteMode};

/// A team to be made.
#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct TeamBody {
    /// 1 to 100 letters, digits and `@ _ . + : \\ / = -`.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// E-mail addresses of its members.
    #[serde(default)]
    users: Vec<String>,
}

/// A team as it was written.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WrittenTeamReply {
    /// Always `true`.
    ok: bool,
    /// As it now is.
    team: WrittenTeam,
}

/// A team with the addresses of its members.
#[derive(Serialize, utoipa::ToSchema)]
struct WrittenTeam {
    #[serde(flatten)]
    team: Team,
    /// Always `port`: it is kept here and comes from nowhere else.
    #[schema(value_type = String)]
    provider: &'static str,
    /// E-mail addresses of its members.
    users: Vec<String>,
}

/// One team.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TeamReply {
    /// Always `true`.
    ok: bool,
    /// The team.
    team: ShownTeam,
}

/// All teams.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TeamsReply {
    /// Always `true`.
    ok: bool,
    /// By name.
    teams: Vec<ShownTeam>,
}

/// A team with its members.
#[derive(Serialize, utoipa::ToSchema)]
struct ShownTeam {
    #[serde(flatten)]
    team: Team,
    /// Always `port`: it is kept here and comes from nowhere else.
    #[schema(value_type = String)]
    provider: &'static str,
    /// Its members.
    users: Vec<Member>,
}

/// A member of a team.
#[derive(Serialize, utoipa::ToSchema)]
struct Member {
    /// E-mail address.
    email: String,
    /// Always `ACTIVE`: whoever may not come in is a member of nothing.
    #[schema(value_type = String)]
    status: &'static str,
}

impl WrittenTeamReply {
    fn new(mut team: Team) -> Self {
        let users = std::mem::take(&mut team.members);
        let team = WrittenTeam {
            team,
            provider: "port",
            users,
        };
        Self { ok: true, team }
    }
}

impl ShownTeam {
    fn new(mut team: Team) -> Self {
        let members = std::mem::take(&mut team.members).into_iter();
        Self {
            team,
            provider: "port",
            users: members
                .map(|email| Member {
                    email,
                    status: "ACTIVE",
                })
                .collect(),
        }
    }
}

/// List the teams.
#[utoipa::path(
    get, path = "/v1/teams", tag = "access", security(("bearer" = ["catalog:read"])),
    responses((status = 200, body = TeamsReply)),
)]
pub(super) async fn list_teams(State(app): State<App>) -> Result<Json<TeamsReply>, ApiError> {
    let teams = app.access.list_teams().await?;
    Ok(Json(TeamsReply {
        ok: true,
        teams: teams.into_iter().map(ShownTeam::new).collect(),
    }))
}

/// Read a team.
#[utoipa::path(
    get, path = "/v1/teams/{name}", tag = "access", security(("bearer" = ["catalog:read"])),
    params(("name" = String, Path, description = "Name of the team")),
    responses((status = 200, body = TeamReply)),
)]
pub(super) async fn find_team(
    State(app): State<App>,
    InPath(name): InPath<String>,
) -> Result<Json<TeamReply>, ApiError> {
    Ok(Json(TeamReply {
        ok: true,
        team: ShownTeam::new(app.access.find_team(&name).await?),
    }))
}

/// Make a team. It is an entity of `_team` at once.
#[utoipa::path(
    post, path = "/v1/teams", tag = "access", security(("bearer" = ["users:manage"])),
    request_body = TeamBody, responses((status = 201, body = WrittenTeamReply)),
)]
pub(super) async fn create_team(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<TeamBody>,
) -> Result<Created<WrittenTeamReply>, ApiError> {
    let change = TeamChange {
        description: Some(body.description),
        members: Some(body.users),
    };
    let mode = WriteMode::Create;
    let team = app
        .access
        .write_team(&caller, &body.name, change, mode)
        .await?;
    Ok(Created(true, WrittenTeamReply::new(team)))
}

/// Replace a team: what the body leaves out is cleared.
#[utoipa::path(
    put, path = "/v1/teams/{name}", tag = "access", security(("bearer" = ["users:manage"])),
    params(("name" = String, Path, description = "Name of the team")),
    request_body = TeamBody, responses((status = 200, body = WrittenTeamReply)),
)]
pub(super) async fn replace_team(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<String>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<WrittenTeamReply>, ApiError> {
    let mut change = change(&name, body)?;
    change.description.get_or_insert(None);
    change.members.get_or_insert_default();
    update(&app, &caller, &name, change).await
}

/// Change parts of a team.
#[utoipa::path(
    patch, path = "/v1/teams/{name}", tag = "access", security(("bearer" = ["users:manage"])),
    params(("name" = String, Path, description = "Name of the team")),
    request_body = Object, responses((status = 200, body = WrittenTeamReply)),
)]
pub(super) async fn patch_team(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<String>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<WrittenTeamReply>, ApiError> {
    let change = change(&name, body)?;
    update(&app, &caller, &name, change).await
}

/// Delete a team; nobody is in it any more.
#[utoipa::path(
    delete, path = "/v1/teams/{name}", tag = "access", security(("bearer" = ["users:manage"])),
    params(("name" = String, Path, description = "Name of the team")),
    responses((status = 200, body = Done)),
)]
pub(super) async fn delete_team(
    State(app): State<App>,
    caller: Caller,
    InPath(name): InPath<String>,
) -> Result<Json<Done>, ApiError> {
    app.access.delete_team(&caller, &name).await?;
    Ok(Done::OK)
}

async fn update(
    app: &App,
    caller: &Caller,
    name: &str,
    change: TeamChange,
) -> Result<Json<WrittenTeamReply>, ApiError> {
    let mode = WriteMode::Update;
    let team = app.access.write_team(caller, name, change, mode).await?;
    Ok(Json(WrittenTeamReply::new(team)))
}

/// What a body asks to become of a team. Keys that are not a team's are nobody's business.
fn change(name: &str, mut body: Map<String, Value>) -> Result<TeamChange, ApiError> {
    let mut violations = Vec::new();
    if body
        .shift_remove("name")
        .is_some_and(|named| named.as_str() != Some(name))
    {
        let message = format!("it has to be `{name}`, as in the path: a team keeps its name");
        violations.push(Violation::new("/name", "const", message));
    }
    let description = body.shift_remove("description").map(|value| match value {
        Value::String(text) => Some(text),
        Value::Null => None,
        _ => {
            violations.push(Violation::new("/description", "type", "must be a string"));
            None
        }
    });
    let members = body.shift_remove("users").and_then(|value| {
        let users = serde_json::from_value(value);
        users
            .map_err(|_| {
                let message = "must be a list of e-mail addresses";
                violations.push(Violation::new("/users", "type", message));
            })
            .ok()
    });
    if violations.is_empty() {
        return Ok(TeamChange {
            description,
            members,
        });
    }
    Err(ApiError::invalid("the team", violations))
}
