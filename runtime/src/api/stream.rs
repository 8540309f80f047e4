//! What server-sent streams share: a place for each, a heartbeat, where a reader left off.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::Stream;

use super::error::ApiError;
use super::state::Door;

/// How often a silent stream says that it lives, and checks that its reader may still read.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// Open streams in all, whoever reads them.
const MOST_STREAMS: usize = 2_000;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The last event that a reader has received, where it names one.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    match headers.get(&LAST_EVENT_ID).map(|value| value.to_str()) {
        None | Some(Ok("")) => Ok(None),
        Some(text) => {
            let id = text.ok().and_then(|text| text.trim().parse().ok());
            let refusal =
                || ApiError::bad_parameter("Last-Event-ID", "it is the number of an event");
            id.map(Some).ok_or_else(refusal)
        }
    }
}

/// Sends events as they come.
pub(super) fn send(
    events: impl Stream<Item = Result<Event, axum::Error>> + Send + 'static,
) -> Response {
    let beat = KeepAlive::new().interval(HEARTBEAT);
    Sse::new(events).keep_alive(beat).into_response()
}

/// A stream has no status code left to answer with: it ends, the reason was logged, the reader resumes.
pub(super) fn end(_: ApiError) -> Option<Result<Event, axum::Error>> {
    None
}

/// One of the streams that a principal may hold open; given back when it is dropped.
pub(super) struct Place {
    door: Arc<Door>,
    name: String,
}

impl Place {
    /// Takes a place; refused where a principal, or all of them together, hold too many.
    pub(super) fn open(door: &Arc<Door>, name: &str) -> Result<Self, ApiError> {
        let mut streams = door.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let open: usize = streams.values().sum();
        let mine = streams.entry(name.to_owned()).or_insert(0);
        if *mine >= door.settings.streams_per_principal || open >= MOST_STREAMS {
            let message = format!("`{name}` has {mine} event streams open; close one first");
            return Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_streams",
                message,
            ));
        }
        *mine += 1;
        Ok(Place {
            door: Arc::clone(door),
            name: name.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut streams = self
            .door
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = streams.get_mut(&self.name) {
            *mine -= 1;
            if *mine == 0 {
                streams.remove(&self.name);
            }
        }
    }
}
