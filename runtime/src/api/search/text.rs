//! Search by words, the best first.

use axum::extract::State;
use serde::Serialize;
use serde_json::Map;
use serde_json::value::RawValue;

use super::shape::Shape;
use super::{MOST, PAGE};
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Params;
use crate::api::reply::Json;
use crate::app::App;
use crate::catalog::{Correction, TextSearch};

/// What was found by words.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct TextReply {
    /// Always `true`.
    ok: bool,
    /// The best first.
    results: Vec<TextResult>,
    /// How many there are in all, as far as they were ranked.
    total: usize,
    /// Words that nobody uses, and what was searched for instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    corrections: Vec<Correction>,
    /// Where there were more than are ranked: what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One entity that was found by words.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct TextResult {
    /// The entity, with what `include` and `exclude` leave of it.
    #[schema(value_type = Object)]
    entity: Box<RawValue>,
    /// The parts of it in which the words stand: `title`, `identifier`, `properties.x`.
    matched: Vec<String>,
}

/// Search titles, identifiers and properties by words.
///
/// All words have to stand in an entity, in any order and case; the last may be only begun. A word that nobody uses is
/// taken for the nearest that somebody does.
#[utoipa::path(
    get, path = "/v1/search", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(
        ("q" = String, Query, description = "The words, at most 200 characters"),
        ("blueprint" = Option<String>, Query, description = "Only entities of this blueprint"),
        ("include" = Option<Vec<String>>, Query, description = "Only these parts of each entity"),
        ("exclude" = Option<Vec<String>>, Query, description = "All but these parts of each entity"),
        ("limit" = Option<u32>, Query, description = "Entities on a page, 1 to 1000"),
        ("from" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, body = TextReply)),
)]
pub(in crate::api) async fn search_text(
    State(app): State<App>,
    caller: Caller,
    params: Params,
) -> Result<Json<TextReply>, ApiError> {
    let Some(text) = params.text("q") else {
        return Err(ApiError::bad_parameter("q", "say what to search for"));
    };
    let search = TextSearch {
        text: text.to_owned(),
        blueprint: params.parsed("blueprint")?,
        offset: params.parsed("from")?.unwrap_or(0),
        limit: params.limit(PAGE, MOST)?,
    };
    let shape = Shape::read(&app, &params, &Map::new()).await?;
    let behind = search.offset.saturating_add(search.limit);
    let found = app.catalog.search_text(&caller, search).await?;
    let hits = found.hits.into_iter();
    let (entities, matched): (Vec<_>, Vec<_>) = hits.map(|hit| (hit.entity, hit.matched)).unzip();
    let shown = shape.apply_to_json(&app, &caller, entities).await?;
    let results = shown.into_iter().zip(matched);
    let note = found.cut.then(|| {
        format!(
            "more than {} entities have these words, and only so many are put in order; add a word, or name a `blueprint`",
            found.total
        )
    });
    Ok(Json(TextReply {
        ok: true,
        results: results
            .map(|(entity, matched)| TextResult { entity, matched })
            .collect(),
        total: found.total,
        corrections: found.corrections,
        note,
        next: (behind < found.total).then(|| behind.to_string()),
    }))
}
