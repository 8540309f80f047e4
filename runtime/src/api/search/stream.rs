//! A whole search in one answer, read and sent part by part.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{TryStreamExt as _, stream};

use super::shape::Shape;
use super::{MOST, ending};
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::app::App;
use crate::catalog::{Error, Found, Search};
use crate::model::Timestamp;

/// Where an answer is.
struct Place {
    app: App,
    caller: Caller,
    search: Search,
    shape: Shape,
    /// When the request came: what `today` is does not change in the middle of an answer.
    now: Timestamp,
    /// What is to be sent next; absent where it is still to be read.
    part: Option<Found>,
    matching: Vec<String>,
    failed: Vec<String>,
    is_over: bool,
    is_first: bool,
}

/// Answers with everything that is found.
pub(super) async fn all(
    app: App,
    caller: Caller,
    search: Search,
    shape: Shape,
) -> Result<Response, ApiError> {
    let now = Timestamp::now();
    let search = Search {
        limit: MOST,
        ..search
    };
    // The first part decides whether this is an answer or a refusal.
    let first = app.catalog.search(&caller, search.clone(), now).await?;
    let place = Place {
        app,
        caller,
        search,
        shape,
        now,
        part: Some(first),
        matching: Vec::new(),
        failed: Vec::new(),
        is_over: false,
        is_first: true,
    };
    let parts = stream::try_unfold(place, next).inspect_err(|error| {
        tracing::error!(error = %error, "a streamed search broke off");
    });
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], Body::from_stream(parts)).into_response())
}

async fn next(mut place: Place) -> Result<Option<(Bytes, Place)>, Error> {
    if place.is_over {
        return Ok(None);
    }
    let found = match place.part.take() {
        Some(found) => found,
        None => {
            let search = place.search.clone();
            place
                .app
                .catalog
                .search(&place.caller, search, place.now)
                .await?
        }
    };
    let mut bytes = Vec::with_capacity(found.entities.len() * 512);
    let mut comma = !place.is_first;
    if place.is_first {
        bytes.extend_from_slice(b"{\"ok\":true,\"entities\":[");
        place.is_first = false;
    }
    for blueprint in found.matching {
        if place
            .matching
            .last()
            .is_none_or(|last| last != blueprint.as_str())
        {
            place.matching.push(blueprint.into());
        }
    }
    let shown = place
        .shape
        .apply_to_json(&place.app, &place.caller, found.entities)
        .await?;
    for entity in shown {
        if std::mem::replace(&mut comma, true) {
            bytes.push(b',');
        }
        bytes.extend_from_slice(entity.get().as_bytes());
    }
    for blueprint in found.failed {
        if !place.failed.iter().any(|known| known == blueprint.as_str()) {
            place.failed.push(blueprint.into());
        }
    }
    place.search.after = found.next;
    if found.next.is_none() {
        place.is_over = true;
        bytes.extend_from_slice(ending(&place.matching, &place.failed).as_bytes());
    }
    Ok(Some((bytes.into(), place)))
}
