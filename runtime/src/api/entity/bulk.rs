//! Many entities in one request, each on its own.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{dependents, during_run, mode, options};
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody, Params};
use crate::api::reply::Json;
use crate::app::App;
use crate::catalog::BatchError;
use crate::model::{BlueprintId, EntityId, Violation};

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

/// Write many entities in one transaction, each on its own: 207 where some were refused.
///
/// They may point at each other in whatever order they stand.
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
    check_count(bulk.entities.len())?;
    let actor = during_run(&app, &caller, &params).await?;
    let (mode, options) = (mode(&params), options(&params));
    let outcomes = app
        .catalog
        .write_entities(&actor, &blueprint, bulk.entities, mode, options)
        .await?;
    let mut reply = BulkReply {
        ok: true,
        entities: Vec::new(),
        errors: Vec::new(),
    };
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(written) => reply.entities.push(BulkWritten {
                identifier: written.entity.value.identifier.into(),
                index,
                created: written.created,
            }),
            Err(refused) => reply.errors.push(BulkError::new(index, refused)),
        }
    }
    let status = status(&reply.errors);
    Ok((status, Json(reply)).into_response())
}

/// Entities to delete.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::api) struct BulkDelete {
    /// At most 1,000 identifiers.
    entities: Vec<String>,
}

/// What became of each entity.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct BulkDeleteReply {
    /// Always `true`: the request was carried out, whatever became of the single entities.
    ok: bool,
    /// Those that were there and are gone.
    deleted_entities: Vec<String>,
    /// Those that had to stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<BulkError>,
}

/// Delete many entities in one transaction: 207 where some had to stay.
///
/// Those that do not exist are passed over, so that the request may be sent again. Relations that point at what goes are
/// cleared, also of entities that the caller may not update. What depends on all of them together is limited: beyond it
/// some have to stay, and go with a later request.
#[utoipa::path(
    post, path = "/v1/blueprints/{blueprint}/bulk/entities/delete", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("delete_dependents" = Option<bool>, Query, description = "Also delete the entities that point at them"),
        ("run_id" = Option<String>, Query, description = "The run during which this happens"),
    ),
    request_body = BulkDelete,
    responses((status = 200, body = BulkDeleteReply), (status = 207, body = BulkDeleteReply)),
)]
pub(in crate::api) async fn delete_entities(
    State(app): State<App>,
    caller: Caller,
    InPath(blueprint): InPath<BlueprintId>,
    params: Params,
    JsonBody(bulk): JsonBody<BulkDelete>,
) -> Result<Response, ApiError> {
    check_count(bulk.entities.len())?;
    let actor = during_run(&app, &caller, &params).await?;
    let mut places = HashMap::new();
    for (index, identifier) in bulk.entities.iter().enumerate() {
        places.entry(identifier.clone()).or_insert(index);
    }
    // What cannot be an identifier is none of an entity.
    let ids = bulk.entities.into_iter().map(EntityId::parse);
    let outcomes = app
        .catalog
        .delete_entities(
            &actor,
            &blueprint,
            ids.filter_map(Result::ok).collect(),
            dependents(&params),
        )
        .await?;
    let mut reply = BulkDeleteReply {
        ok: true,
        deleted_entities: Vec::new(),
        errors: Vec::new(),
    };
    for outcome in outcomes {
        match outcome {
            Ok(id) => reply.deleted_entities.push(id.into()),
            Err(refused) => {
                let index = places.get(&refused.identifier).copied().unwrap_or(0);
                reply.errors.push(BulkError::new(index, refused));
            }
        }
    }
    let status = status(&reply.errors);
    Ok((status, Json(reply)).into_response())
}

impl BulkError {
    fn new(index: usize, refused: BatchError) -> Self {
        let error = ApiError::from(refused.error);
        Self {
            identifier: refused.identifier,
            index,
            status_code: error.status.as_u16(),
            error: error.code.to_owned(),
            message: error.message,
            details: error.details,
        }
    }
}

fn check_count(count: usize) -> Result<(), ApiError> {
    if count <= MOST {
        return Ok(());
    }
    let message = format!("it has {count} entities; send at most {MOST}");
    let violation = Violation::new("/entities", "maxItems", message);
    Err(ApiError::invalid("the body", vec![violation]))
}

fn status(errors: &[BulkError]) -> StatusCode {
    if errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::MULTI_STATUS
    }
}
