//! Many entities in one request, each on its own.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{during_run, mode, options};
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody, Params};
use crate::api::reply::Json;
use crate::app::App;
use crate::catalog::parse_draft;
use crate::model::{BlueprintId, Violation};

/// Entities in one request.
const MOST: usize = 1_000;

/// Entities to write.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::api) struct Bulk {
    /// At most 1,000, each as for the single route.
    #[schema(value_type = Vec<Object>)]
    entities: Vec<Value>,
}

/// What became of each entity.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct BulkReply {
    /// Always `true`: the request was carried out, whatever became of the single entities.
    ok: bool,
    /// Those that were written.
    entities: Vec<BulkWritten>,
    /// Those that were not.
    errors: Vec<BulkError>,
}

/// One entity that was written.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct BulkWritten {
    /// Its identifier.
    identifier: String,
    /// Its place in the request, from 0.
    index: usize,
    /// Whether it was not there before.
    created: bool,
}

/// One entity that was not written.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct BulkError {
    /// Its identifier, `unknown` where it has none.
    identifier: String,
    /// Its place in the request, from 0.
    index: usize,
    /// The status that the single route would have answered.
    status_code: u16,
    /// The word that the single route would have answered.
    error: String,
    /// One sentence for a person.
    message: String,
    /// Every broken rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Violation>,
}

/// Write many entities, each on its own: 207 where some were refused.
#[utoipa::path(
    post, path = "/v1/blueprints/{blueprint}/entities/bulk", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("upsert" = Option<bool>, Query, description = "Replace entities that exist"),
        ("merge" = Option<bool>, Query, description = "With `upsert`: change only what the body names"),
        ("create_missing_related_entities" = Option<bool>, Query, description = "Create relation targets that do not exist"),
        ("validation_only" = Option<bool>, Query, description = "Check everything and change nothing"),
        ("run_id" = Option<String>, Query, description = "The run during which this happens"),
    ),
    request_body = Bulk,
    responses((status = 200, body = BulkReply), (status = 207, body = BulkReply)),
)]
pub(in crate::api) async fn write_entities(
    State(app): State<App>,
    caller: Caller,
    InPath(blueprint): InPath<BlueprintId>,
    params: Params,
    JsonBody(bulk): JsonBody<Bulk>,
) -> Result<Response, ApiError> {
    if bulk.entities.len() > MOST {
        let message = format!(
            "it has {} entities; send at most {MOST}",
            bulk.entities.len()
        );
        let violation = Violation::new("/entities", "maxItems", message);
        return Err(ApiError::invalid("the body", vec![violation]));
    }
    let actor = during_run(&app, &caller, &params).await?;
    let (mode, options) = (mode(&params), options(&params));
    // All are queued at once and in order, so that the store commits many of them together, and an entity may point at
    // one that stands before it.
    let writes = bulk.entities.into_iter().map(async |body| {
        let named = body.get("identifier").and_then(Value::as_str);
        let identifier = named.unwrap_or("unknown").to_owned();
        let draft = match parse_draft(body) {
            Ok(draft) => draft,
            Err(error) => return Err((identifier, ApiError::from(error))),
        };
        let written = app
            .catalog
            .write_entity(&actor, &blueprint, draft, mode, options)
            .await;
        written.map_err(|error| (identifier, ApiError::from(error)))
    });
    let mut reply = BulkReply {
        ok: true,
        entities: Vec::new(),
        errors: Vec::new(),
    };
    for (index, outcome) in join_all(writes).await.into_iter().enumerate() {
        match outcome {
            Ok(written) => reply.entities.push(BulkWritten {
                identifier: written.entity.value.identifier.into(),
                index,
                created: written.created,
            }),
            Err((identifier, error)) => reply.errors.push(BulkError {
                identifier,
                index,
                status_code: error.status.as_u16(),
                error: error.code.to_owned(),
                message: error.message,
                details: error.details,
            }),
        }
    }
    let status = if reply.errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::MULTI_STATUS
    };
    Ok((status, Json(reply)).into_response())
}
