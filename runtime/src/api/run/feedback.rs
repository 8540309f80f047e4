//! What people say of a run.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody};
use crate::api::reply::Json;
use crate::app::App;
use crate::model::{Feedback, RunId};

/// How a run was.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewFeedback {
    /// From 1, bad, to 5, good.
    score: i64,
    /// In one's own words, at most 2000 characters.
    #[serde(default)]
    comment: Option<String>,
}

/// What was said.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct FeedbackReply {
    /// Always `true`.
    ok: bool,
    /// As it is kept.
    feedback: Feedback,
}

/// Say how a run was, once it has ended: for whoever asked for it. Saying it again replaces what was said.
#[utoipa::path(
    post, path = "/v1/actions/runs/{run}/feedback", tag = "actions", security(("bearer" = ["actions:run"])),
    params(("run" = String, Path, description = "Identifier of the run")),
    request_body = NewFeedback,
    responses(
        (status = 200, body = FeedbackReply),
        (status = 409, body = crate::api::error::ErrorBody, description = "It has not ended, or somebody else asked for it."),
    ),
)]
pub(in crate::api) async fn give_feedback(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<RunId>,
    JsonBody(new): JsonBody<NewFeedback>,
) -> Result<Json<FeedbackReply>, ApiError> {
    let feedback = app
        .actions
        .give_feedback(&caller, &id, new.score, new.comment)
        .await?;
    Ok(Json(FeedbackReply { ok: true, feedback }))
}
