//! What happens in a run, as it happens.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::json;

use crate::api::auth::{Caller, bearer};
use crate::api::error::ApiError;
use crate::api::extract::InPath;
use crate::api::state::Door;
use crate::api::stream::{HEARTBEAT, Place, end, last_event_id, send};
use crate::app::App;
use crate::model::{EventBody, RunEvent, RunId};

/// Events that are read at a time.
const CHUNK: usize = 256;

/// Follow a run as server-sent events.
///
/// The id of an event is its sequence within the run. `log {at, level, message}`, `progress {at, done, total, message}`,
/// `link {at, url, title}`, `state {at, status, state}`; a comment every 15 s. `Last-Event-ID` resumes behind that event.
/// The stream ends after the terminal state; 204 where everything was sent before.
#[utoipa::path(
    get, path = "/v1/actions/runs/{run}/events", tag = "actions", security(("bearer" = ["actions:run"])),
    params(
        ("run" = String, Path, description = "Identifier of the run"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Sequence of the last event that was received"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 204, description = "The run has ended and everything was sent before."),
    ),
)]
pub(in crate::api) async fn stream_run_events(
    State(app): State<App>,
    State(door): State<Arc<Door>>,
    caller: Caller,
    InPath(id): InPath<RunId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = last_event_id(&headers)?.unwrap_or(0);
    let run = app.actions.find_run(&caller, &id).await?;
    let waiting: VecDeque<_> = app.actions.list_events(&id, after, CHUNK).await?.into();
    if run.state.is_terminal() && waiting.is_empty() {
        // A browser reconnects for ever, unless it is told that there is no more.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = Place::open(&door, &caller.name)?;
    let token = bearer(&headers).unwrap_or_default().to_owned();
    let follower = Follower {
        app,
        token,
        caller,
        run: id,
        after,
        seen: 0,
        waiting,
        ended: false,
        _place: place,
    };
    let events = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((event, follower))
    });
    Ok(send(events))
}

/// One reader of one run.
struct Follower {
    app: App,
    token: String,
    caller: Caller,
    run: RunId,
    /// Sequence of the last event that was taken from the store.
    after: u64,
    seen: u64,
    waiting: VecDeque<RunEvent>,
    ended: bool,
    _place: Place,
}

impl Follower {
    /// The next event, or `None` at the end, be it that of the run, of the token or of the server.
    async fn next(&mut self) -> Option<Result<Event, axum::Error>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.after = event.sequence;
                return Some(to_event(&event));
            }
            if self.ended {
                return None;
            }
            // Asked before the events are read: what a run that has ended by now did is all there.
            let run = match self.app.actions.find_run(&self.caller, &self.run).await {
                Ok(run) => run,
                Err(error) => return end(error.into()),
            };
            self.ended = run.state.is_terminal();
            match self
                .app
                .actions
                .list_events(&self.run, self.after, CHUNK)
                .await
            {
                Ok(events) => self.waiting = events.into(),
                Err(error) => return end(error.into()),
            }
            if !self.waiting.is_empty() {
                // There may be more than one chunk of them.
                self.ended = false;
                continue;
            }
            if self.ended {
                return None;
            }
            let change = self.app.actions.wait_for_change(&self.run, self.seen);
            if let Ok(seen) = tokio::time::timeout(HEARTBEAT, change).await {
                self.seen = seen;
            }
            // A deleted principal or an outdated token stops reading here, too.
            self.app.access.authenticate(&self.token).await.ok()?;
        }
    }
}

fn to_event(event: &RunEvent) -> Result<Event, axum::Error> {
    let at = event.at;
    let (name, data) = match &event.body {
        EventBody::Log { level, message } => {
            ("log", json!({"at": at, "level": level, "message": message}))
        }
        EventBody::Progress {
            done,
            total,
            message,
        } => (
            "progress",
            json!({"at": at, "done": done, "total": total, "message": message}),
        ),
        EventBody::Link { url, title } => ("link", json!({"at": at, "url": url, "title": title})),
        EventBody::State { status, state } => {
            ("state", json!({"status": status, "state": state, "at": at}))
        }
    };
    Event::default()
        .id(event.sequence.to_string())
        .event(name)
        .json_data(data)
}
