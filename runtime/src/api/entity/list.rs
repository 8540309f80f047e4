//! All entities of a blueprint, streamed, or a page of them.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Map, Value};

use super::values;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, Params};
use crate::api::reply::Json;
use crate::api::search::shape::Shape;
use crate::app::{App, StoreError};
use crate::catalog::Values;
use crate::model::{BlueprintId, Entity, EntityId, Stamped};

/// Entities that are in memory at a time while all are streamed.
const CHUNK: usize = 500;

/// Entities of a blueprint.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct EntitiesReply {
    /// Always `true`.
    ok: bool,
    /// By identifier. With what `include` and `exclude` leave of them.
    #[schema(value_type = Vec<Object>)]
    entities: Vec<Value>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List the entities of a blueprint.
///
/// All of them in one streamed answer, unless `limit` or `from` asks for a page.
#[utoipa::path(
    get, path = "/v1/blueprints/{blueprint}/entities", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("limit" = Option<u32>, Query, description = "Entities on a page, 1 to 1000"),
        ("from" = Option<String>, Query, description = "The `next` of the page before"),
        ("include" = Option<Vec<String>>, Query, description = "Only these parts: `identifier`, `properties.x`, `relations.y`; repeated or separated by commas"),
        ("exclude" = Option<Vec<String>>, Query, description = "All but these parts"),
        ("attach_title_to_relation" = Option<bool>, Query, description = "Show each relation's target as `{identifier, title}`"),
        ("attach_identifier_to_title_mirror_properties" = Option<bool>, Query, description = "Show each mirror of a title as `{identifier, title}`"),
        ("exclude_calculated_properties" = Option<bool>, Query, description = "Leave out what is derived: mirrors, calculations, aggregations, scorecards"),
    ),
    responses((status = 200, body = EntitiesReply)),
)]
pub(in crate::api) async fn list_entities(
    State(app): State<App>,
    caller: Caller,
    InPath(blueprint): InPath<BlueprintId>,
    params: Params,
) -> Result<Response, ApiError> {
    let from: Option<EntityId> = params.parsed("from")?;
    let shape = Shape::read_parts(&params, &Map::new())?;
    if from.is_none() && params.text("limit").is_none() {
        return stream_all(app, caller, blueprint, values(&params), shape).await;
    }
    let limit = params.limit(200, 1_000)?;
    let mut entities = app
        .catalog
        .list_entities_for(&caller, &blueprint, from, limit + 1, values(&params))
        .await?;
    let more = entities.len() > limit;
    entities.truncate(limit);
    let last = entities.last().filter(|_| more);
    let next = last.map(|entity| entity.value.identifier.to_string());
    Ok(Json(EntitiesReply {
        ok: true,
        entities: shape.apply(&app, &caller, &entities).await?,
        next,
    })
    .into_response())
}

/// Where a stream of entities is.
enum Place {
    /// This part is to be sent next.
    Part(Vec<Stamped<Entity>>, &'static str),
    /// Everything behind this entity is still to be read.
    Behind(EntityId),
    End,
}

async fn stream_all(
    app: App,
    caller: Caller,
    blueprint: BlueprintId,
    values: Values,
    shape: Shape,
) -> Result<Response, ApiError> {
    // The first part decides whether this is an answer or a refusal.
    let first = app
        .catalog
        .list_entities_for(&caller, &blueprint, None, CHUNK, values)
        .await?;
    let start = Place::Part(first, "{\"ok\":true,\"entities\":[");
    let parts = stream::try_unfold(start, move |place| {
        let (app, caller) = (app.clone(), caller.clone());
        let (blueprint, shape) = (blueprint.clone(), shape.clone());
        async move {
            let (part, opening) = match place {
                Place::End => return Ok(None),
                Place::Part(part, opening) => (part, opening),
                Place::Behind(id) => (
                    app.catalog
                        .list_entities_for(&caller, &blueprint, Some(id), CHUNK, values)
                        .await?,
                    ",",
                ),
            };
            let written = match shape.is_plain() {
                true => write_part(&part, &part, opening),
                false => {
                    let shown = shape.apply(&app, &caller, &part).await?;
                    write_part(&part, &shown, opening)
                }
            };
            written.map(Some).map_err(crate::catalog::Error::from)
        }
    });
    let parts = futures_util::TryStreamExt::inspect_err(parts, |error| {
        tracing::error!(error = %error, "a streamed answer broke off");
    });
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], Body::from_stream(parts)).into_response())
}

/// A part of the answer: entities as they are shown, and where to go on after them.
fn write_part<T: Serialize>(
    part: &[Stamped<Entity>],
    shown: &[T],
    opening: &str,
) -> Result<(Bytes, Place), StoreError> {
    let mut bytes = Vec::with_capacity(part.len() * 512);
    // Only a first part can be empty; a later one has nothing to separate then.
    if !(part.is_empty() && opening == ",") {
        bytes.extend_from_slice(opening.as_bytes());
    }
    for (index, entity) in shown.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        serde_json::to_writer(&mut bytes, entity)
            .map_err(|error| StoreError::corrupt("entity", error))?;
    }
    let place = match part.last() {
        Some(last) if part.len() == CHUNK => Place::Behind(last.value.identifier.clone()),
        _ => {
            bytes.extend_from_slice(b"]}");
            Place::End
        }
    };
    Ok((bytes.into(), place))
}
