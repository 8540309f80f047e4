//! Searches for entities: over the whole catalog, or within a blueprint.

pub(super) mod aggregate;
pub(super) mod shape;
mod stream;
pub(super) mod text;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody, Params};
use super::reply::Json;
use crate::app::{App, SearchCursor};
use crate::catalog::{Search, parse_query};
use crate::model::{BlueprintId, Permission, Query, Timestamp, Violation};
use shape::Shape;

/// Entities on a page where nobody says how many.
const PAGE: usize = 200;

/// Entities on a page at most.
const MOST: usize = 1_000;

/// What was found.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchReply {
    /// Always `true`.
    ok: bool,
    /// By blueprint, then in the order in which they were made. With what `include` and `exclude` leave of them.
    #[schema(value_type = Vec<Object>)]
    entities: Vec<Box<RawValue>>,
    /// Blueprints of the entities.
    matching_blueprints: Vec<String>,
    /// Blueprints that could not be searched, with `allow_partial_results`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_blueprints: Vec<String>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How each blueprint was searched, with `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    explain: Option<Vec<Value>>,
}

/// Search the whole catalog.
///
/// The body is a query: `{"combinator": "and", "rules": [{"property": "$team", "operator": "=", "value": "payments"}]}`.
/// All entities in one streamed answer, unless `limit` or `from` asks for a page.
#[utoipa::path(
    post, path = "/v1/entities/search", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(
        ("include" = Option<Vec<String>>, Query, description = "Only these parts of each entity: `identifier`, `properties.x`, `relations.y`; repeated or separated by commas"),
        ("exclude" = Option<Vec<String>>, Query, description = "All but these parts of each entity"),
        ("exclude_calculated_properties" = Option<bool>, Query, description = "Leave out mirror and calculation properties"),
        ("attach_title_to_relation" = Option<bool>, Query, description = "Show each relation's target as `{identifier, title}`"),
        ("attach_identifier_to_title_mirror_properties" = Option<bool>, Query, description = "Show each mirror of a title as `{identifier, title}`"),
        ("allow_partial_results" = Option<bool>, Query, description = "Leave out blueprints that would take too long, and name them"),
        ("limit" = Option<u32>, Query, description = "Entities on a page, 1 to 1000"),
        ("from" = Option<String>, Query, description = "The `next` of the page before"),
        ("explain" = Option<bool>, Query, description = "For administrators: tell how each blueprint is searched"),
    ),
    request_body = Object,
    responses((status = 200, body = SearchReply)),
)]
pub(super) async fn search_entities(
    State(app): State<App>,
    caller: Caller,
    params: Params,
    JsonBody(body): JsonBody<Value>,
) -> Result<Response, ApiError> {
    let query = parse(&body, "")?;
    let shape = Shape::read(&app, &params, &Map::new()).await?;
    let explain = explain(&caller, &params)?;
    let search = Search {
        query,
        blueprint: None,
        text: body.get("text").and_then(Value::as_str).map(str::to_owned),
        after: params.parsed("from")?,
        limit: params.limit(PAGE, MOST)?,
        explain,
        partial: params.switch("allow_partial_results"),
    };
    if !explain && search.after.is_none() && params.text("limit").is_none() {
        return stream::all(app, caller, search, shape).await;
    }
    page(&app, &caller, search, &shape).await
}

/// Search within a blueprint.
///
/// The body is `{query, include, exclude, limit, from}`, all of which may be left out.
#[utoipa::path(
    post, path = "/v1/blueprints/{blueprint}/entities/search", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("exclude_calculated_properties" = Option<bool>, Query, description = "Leave out mirror and calculation properties"),
        ("attach_title_to_relation" = Option<bool>, Query, description = "Show each relation's target as `{identifier, title}`"),
        ("attach_identifier_to_title_mirror_properties" = Option<bool>, Query, description = "Show each mirror of a title as `{identifier, title}`"),
        ("explain" = Option<bool>, Query, description = "For administrators: tell how the blueprint is searched"),
    ),
    request_body = Object,
    responses((status = 200, body = SearchReply)),
)]
pub(super) async fn search_blueprint(
    State(app): State<App>,
    caller: Caller,
    InPath(blueprint): InPath<BlueprintId>,
    params: Params,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    let query = match given("query") {
        Some(query) => parse(query, "/query")?,
        None => Query::everything(),
    };
    let refuse = |path: &str, message: String| {
        ApiError::invalid("the body", vec![Violation::new(path, "type", message)])
    };
    let limit = match given("limit") {
        None => params.limit(PAGE, MOST)?,
        Some(limit) => limit
            .as_u64()
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| refuse("/limit", format!("use a whole number from 1 to {MOST}")))?,
    };
    let after = match given("from") {
        None => params.parsed("from")?,
        Some(from) => {
            let parsed = from.as_str().unwrap_or_default().parse::<SearchCursor>();
            Some(parsed.map_err(|error| refuse("/from", error.to_string()))?)
        }
    };
    let shape = Shape::read(&app, &params, &body).await?;
    let search = Search {
        query,
        blueprint: Some(blueprint),
        text: given("text").and_then(Value::as_str).map(str::to_owned),
        after,
        limit,
        explain: explain(&caller, &params)?,
        partial: false,
    };
    page(&app, &caller, search, &shape).await
}

async fn page(
    app: &App,
    caller: &Caller,
    search: Search,
    shape: &Shape,
) -> Result<Response, ApiError> {
    let explain = search.explain;
    let found = app.catalog.search(caller, search, Timestamp::now()).await?;
    let reply = SearchReply {
        ok: true,
        entities: shape.apply_to_json(app, caller, found.entities).await?,
        matching_blueprints: found.matching.into_iter().map(String::from).collect(),
        failed_blueprints: found.failed.into_iter().map(String::from).collect(),
        next: found.next.map(|cursor| cursor.to_string()),
        explain: explain.then_some(found.plans),
    };
    Ok(Json(reply).into_response())
}

/// A query in a body; the pointers of its violations begin at the body.
pub(super) fn parse(query: &Value, path: &str) -> Result<Query, ApiError> {
    parse_query(query, path).map_err(|violations| ApiError::invalid("the query", violations))
}

/// Whether the plan is asked for, which says more of the catalog than everybody may know.
fn explain(caller: &Caller, params: &Params) -> Result<bool, ApiError> {
    let wanted = params.switch("explain");
    if wanted && !caller.may(Permission::ManageUsers) {
        return Err(ApiError::forbidden(caller.role, Permission::ManageUsers));
    }
    Ok(wanted)
}

/// Reads a query that may stand in a parameter, as JSON.
pub(super) fn query_parameter(params: &Params) -> Result<Option<Query>, ApiError> {
    let Some(text) = params.text("query") else {
        return Ok(None);
    };
    let value = crate::catalog::parse_json(text.as_bytes())
        .map_err(|error| ApiError::bad_parameter("query", error.to_string()))?;
    parse(&value, "").map(Some)
}

/// The end of a streamed answer.
fn ending(matching: &[String], failed: &[String]) -> String {
    let matching = json!(matching);
    if failed.is_empty() {
        return format!("],\"matchingBlueprints\":{matching}}}");
    }
    let failed = json!(failed);
    format!("],\"matchingBlueprints\":{matching},\"failedBlueprints\":{failed}}}")
}
