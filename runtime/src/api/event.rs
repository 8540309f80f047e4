//! What changes, as it changes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use serde_json::json;

use super::audit::read_verbs;
use super::auth::{Caller, bearer};
use super::error::ApiError;
use super::extract::Params;
use super::state::Door;
use super::stream::{HEARTBEAT, Place, end, last_event_id, send};
use crate::app::App;
use crate::catalog::{Changes, FeedError, readable};
use crate::model::{AuditFilter, Permission};

/// Follow the changes of all objects as server-sent events.
///
/// Each row of the audit log is one event as soon as it is committed: its `id` is the row's sequence, which counts up
/// by one over the whole portal, its `event` the kind of the object, its data the row with the object before and after
/// the change, as far as the caller may see it. Without `Last-Event-ID` and `after` it begins now. `Last-Event-ID` resumes behind that event, however
/// long ago it was: the audit log is kept for ever. 410 `gone` where it cannot go on, because the portal was put back
/// to an older backup or the rows in question were removed: read the catalog anew and follow from there. A comment
/// every 15 s. Whoever may not read the whole audit log gets blueprints, entities, scorecards and actions.
#[utoipa::path(
    get, path = "/v1/events", tag = "operations", security(("bearer" = ["catalog:read"])),
    params(
        ("resource" = Option<Vec<String>>, Query, description = "Kinds of objects: `blueprint`, `entity` and so on; may be repeated"),
        ("blueprint" = Option<String>, Query, description = "A blueprint and what belongs to it"),
        ("entity" = Option<String>, Query, description = "Entities that are or were called so when the stream begins"),
        ("action" = Option<Vec<crate::model::Verb>>, Query, description = "What was done; may be repeated"),
        ("after" = Option<u64>, Query, description = "As `Last-Event-ID`, which comes first; 0 for everything"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Sequence of the last event that was received"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 410, body = super::error::ErrorBody, description = "What follows that event is not there."),
    ),
)]
pub(super) async fn stream_events(
    State(app): State<App>,
    State(door): State<Arc<Door>>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = match last_event_id(&headers)? {
        Some(after) => Some(after),
        None => params.parsed("after")?,
    };
    let mut resources = params.list("resource");
    resources.extend(params.list("resources"));
    let filter = AuditFilter {
        resources,
        verbs: read_verbs(&params)?,
        blueprint: params.text("blueprint").map(str::to_owned),
        entity: params.text("entity").map(str::to_owned),
        ..AuditFilter::default()
    };
    let filter = readable(&caller, filter)
        .ok_or_else(|| ApiError::forbidden(caller.role, Permission::ReadPlugins))?;
    let place = Place::open(&door, &caller.name)?;
    let changes = app.history.follow(&caller, filter, after).await?;
    let token = bearer(&headers).unwrap_or_default().to_owned();
    let reader = Reader {
        app,
        token,
        reads_all: caller.may(Permission::ReadPlugins),
        caller,
        changes,
        _place: place,
    };
    let events = stream::unfold(reader, |mut reader| async {
        let event = reader.next().await?;
        Some((event, reader))
    });
    Ok(send(events))
}

/// One reader of the feed.
struct Reader {
    app: App,
    token: String,
    reads_all: bool,
    caller: Caller,
    changes: Changes,
    _place: Place,
}

impl Reader {
    /// The next event, or `None` at the end, be it that of the token or of the server.
    async fn next(&mut self) -> Option<Result<Event, axum::Error>> {
        loop {
            let next = tokio::time::timeout(HEARTBEAT, self.changes.next()).await;
            // Before every row, and after every silence.
            if !self.may_read_on().await {
                return None;
            }
            match next {
                Ok(Ok(row)) => {
                    return Some(
                        Event::default()
                            .id(row.sequence.to_string())
                            .event(row.resource.as_str())
                            .json_data(json!(row)),
                    );
                }
                Ok(Err(error)) => return end(error.into()),
                Err(_) => {}
            }
        }
    }

    /// Whether whoever reads may still do so: a deleted principal or an outdated token may not, and what a smaller role
    /// or other teams may see is for a new reader to ask.
    async fn may_read_on(&self) -> bool {
        let Ok(actor) = self.app.access.authenticate(&self.token).await else {
            return false;
        };
        let is_less = self.reads_all && !actor.may(Permission::ReadPlugins);
        !is_less && actor.role == self.caller.role && actor.teams == self.caller.teams
    }
}

impl From<FeedError> for ApiError {
    fn from(error: FeedError) -> Self {
        let message = error.to_string();
        match error {
            FeedError::Gone { .. } => Self::new(StatusCode::GONE, "gone", message),
            FeedError::Catalog(error) => error.into(),
        }
    }
}
