//! Scorecards.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody};
use super::reply::{Created, Done, Json};
use crate::app::App;
use crate::catalog::parse_scorecard;
use crate::model::{BlueprintId, Scorecard, Stamped, Violation};

/// Scorecards in one request.
const MOST: usize = 100;

/// One scorecard.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ScorecardReply {
    /// Always `true`.
    ok: bool,
    /// As it now is.
    scorecard: Stamped<Scorecard>,
}

/// Several scorecards.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ScorecardsReply {
    /// Always `true`.
    ok: bool,
    /// In the order in which they were made.
    scorecards: Vec<Stamped<Scorecard>>,
}

/// List the scorecards of all blueprints.
#[utoipa::path(
    get, path = "/v1/scorecards", tag = "catalog", security(("bearer" = ["catalog:read"])),
    responses((status = 200, body = ScorecardsReply)),
)]
pub(super) async fn list_all_scorecards(
    State(app): State<App>,
) -> Result<Json<ScorecardsReply>, ApiError> {
    let scorecards = app.catalog.list_scorecards(None).await?;
    Ok(Json(ScorecardsReply {
        ok: true,
        scorecards,
    }))
}

/// List the scorecards of a blueprint.
#[utoipa::path(
    get, path = "/v1/blueprints/{blueprint}/scorecards", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    responses((status = 200, body = ScorecardsReply)),
)]
pub(super) async fn list_scorecards(
    State(app): State<App>,
    InPath(blueprint): InPath<BlueprintId>,
) -> Result<Json<ScorecardsReply>, ApiError> {
    let scorecards = app.catalog.list_scorecards(Some(&blueprint)).await?;
    Ok(Json(ScorecardsReply {
        ok: true,
        scorecards,
    }))
}

/// Create a scorecard.
///
/// The results of all entities of the blueprint follow in the background.
#[utoipa::path(
    post, path = "/v1/blueprints/{blueprint}/scorecards", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    request_body = Scorecard, responses((status = 201, body = ScorecardReply)),
)]
pub(super) async fn create_scorecard(
    State(app): State<App>,
    caller: Caller,
    InPath(blueprint): InPath<BlueprintId>,
    JsonBody(body): JsonBody<Value>,
) -> Result<Created<ScorecardReply>, ApiError> {
    let scorecard = parse_scorecard(body, &blueprint)?;
    let scorecard = app.catalog.create_scorecard(&caller, scorecard).await?;
    Ok(Created(
        true,
        ScorecardReply {
            ok: true,
            scorecard,
        },
    ))
}

/// Create or replace several scorecards of a blueprint, all of them or none.
///
/// The body is a list, or an object with the list as `scorecards`. Scorecards that it does not name stay.
#[utoipa::path(
    put, path = "/v1/blueprints/{blueprint}/scorecards", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(("blueprint" = String, Path, description = "Identifier of the blueprint")),
    request_body = Vec<Scorecard>, responses((status = 200, body = ScorecardsReply)),
)]
pub(super) async fn put_scorecards(
    State(app): State<App>,
    caller: Caller,
    InPath(blueprint): InPath<BlueprintId>,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<ScorecardsReply>, ApiError> {
    let refused = |path: &str, rule: &str, message: String| {
        let violation = Violation::new(path, rule, message);
        ApiError::invalid("the scorecards", vec![violation])
    };
    let list = match body {
        Value::Object(mut fields) => fields.shift_remove("scorecards"),
        other => Some(other),
    };
    let Some(Value::Array(list)) = list else {
        let message = "must be a list of scorecards, or an object with `scorecards`";
        return Err(refused("", "type", message.to_owned()));
    };
    if list.len() > MOST {
        let message = format!("must have at most {MOST} scorecards, not {}", list.len());
        return Err(refused("", "maxItems", message));
    }
    let mut scorecards = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let parsed = parse_scorecard(value, &blueprint).map_err(ApiError::from);
        scorecards.push(parsed.map_err(|mut error| {
            for violation in &mut error.details {
                violation.path = format!("/{index}{}", violation.path);
            }
            error
        })?);
    }
    let scorecards = app
        .catalog
        .put_scorecards(&caller, &blueprint, scorecards)
        .await?;
    Ok(Json(ScorecardsReply {
        ok: true,
        scorecards,
    }))
}

/// Read a scorecard.
#[utoipa::path(
    get, path = "/v1/blueprints/{blueprint}/scorecards/{scorecard}", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("scorecard" = String, Path, description = "Identifier of the scorecard"),
    ),
    responses((status = 200, body = ScorecardReply)),
)]
pub(super) async fn find_scorecard(
    State(app): State<App>,
    InPath((blueprint, scorecard)): InPath<(BlueprintId, String)>,
) -> Result<Json<ScorecardReply>, ApiError> {
    let scorecard = app.catalog.find_scorecard(&blueprint, &scorecard).await?;
    Ok(Json(ScorecardReply {
        ok: true,
        scorecard,
    }))
}

/// Replace a scorecard.
#[utoipa::path(
    put, path = "/v1/blueprints/{blueprint}/scorecards/{scorecard}", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("scorecard" = String, Path, description = "Identifier of the scorecard"),
    ),
    request_body = Scorecard, responses((status = 200, body = ScorecardReply)),
)]
pub(super) async fn replace_scorecard(
    State(app): State<App>,
    caller: Caller,
    InPath((blueprint, identifier)): InPath<(BlueprintId, String)>,
    JsonBody(mut body): JsonBody<Value>,
) -> Result<Json<ScorecardReply>, ApiError> {
    if let Value::Object(fields) = &mut body {
        let named = fields
            .entry("identifier")
            .or_insert_with(|| identifier.clone().into());
        if *named != Value::String(identifier.clone()) {
            let message = format!(
                "it has to be `{identifier}`, as in the path: a scorecard keeps its identifier"
            );
            let violation = Violation::new("/identifier", "const", message);
            return Err(ApiError::invalid("the scorecard", vec![violation]));
        }
    }
    let scorecard = parse_scorecard(body, &blueprint)?;
    let scorecard = app.catalog.replace_scorecard(&caller, scorecard).await?;
    Ok(Json(ScorecardReply {
        ok: true,
        scorecard,
    }))
}

/// Delete a scorecard, and its results from the entities.
#[utoipa::path(
    delete, path = "/v1/blueprints/{blueprint}/scorecards/{scorecard}", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("scorecard" = String, Path, description = "Identifier of the scorecard"),
    ),
    responses((status = 200, body = Done)),
)]
pub(super) async fn delete_scorecard(
    State(app): State<App>,
    caller: Caller,
    InPath((blueprint, scorecard)): InPath<(BlueprintId, String)>,
) -> Result<Json<Done>, ApiError> {
    app.catalog
        .delete_scorecard(&caller, &blueprint, &scorecard)
        .await?;
    Ok(Done::OK)
}
