//! Many documents, one transaction.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{JsonBody, Params};
use super::reply::Json;
use crate::action::parse_action;
use crate::app::{App, ApplyMode, Documents};
use crate::catalog::{self, Applied, Placed, check_entity_keys, parse_blueprint, parse_draft};
use crate::model::{BlueprintId, EntityDraft, Violation};

/// Documents to put in place.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Apply {
    /// In whatever order.
    documents: Vec<Document>,
}

/// One document.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Where it came from, for messages: a file's path.
    source: String,
    /// What it is.
    kind: Kind,
    /// The document itself, as the route of its kind takes it; an entity names its `blueprint`.
    #[schema(value_type = Object)]
    value: Value,
}

/// What a document is.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// A kind of entity.
    Blueprint,
    /// A row of the catalog.
    Entity,
    /// What a developer may ask for.
    Action,
}

/// What was done, or would be.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApplyReply {
    /// Always `true`.
    ok: bool,
    /// Whether nothing was changed.
    dry_run: bool,
    /// Which documents were created, updated, or just so already.
    applied: Applied,
}

/// Put many documents in place, all of them or none.
#[utoipa::path(
    post, path = "/v1/catalog/apply", tag = "catalog", security(("bearer" = ["catalog:write"])),
    params(("dry_run" = Option<bool>, Query, description = "Say what would be done and change nothing")),
    request_body = Apply, responses((status = 200, body = ApplyReply)),
)]
pub(super) async fn apply_documents(
    State(app): State<App>,
    caller: Caller,
    params: Params,
    JsonBody(apply): JsonBody<Apply>,
) -> Result<Json<ApplyReply>, ApiError> {
    let dry_run = params.switch("dry_run");
    let mode = if dry_run {
        ApplyMode::DryRun
    } else {
        ApplyMode::Commit
    };
    let sources: Vec<String> = apply
        .documents
        .iter()
        // The client chooses the name; the message shows only its beginning.
        .map(|document| document.source.chars().take(200).collect())
        .collect();
    let parsed = parse(apply.documents).map_err(|refusal| name_sources(refusal, &sources))?;
    let applied = app
        .apply(&caller, parsed, mode)
        .await
        .map_err(|error| name_sources(error.into(), &sources))?;
    Ok(Json(ApplyReply {
        ok: true,
        dry_run,
        applied,
    }))
}

/// Reads all documents before any of them is looked at further, so that every misspelt one is named at once.
fn parse(documents: Vec<Document>) -> Result<Documents, ApiError> {
    let mut parsed = Documents::default();
    let mut violations = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let Document { kind, value, .. } = document;
        let at = format!("/documents/{index}/value");
        let taken = match kind {
            Kind::Blueprint => parse_blueprint(value)
                .map(|value| parsed.blueprints.push(placed(&at, value)))
                .map_err(ApiError::from),
            Kind::Action => parse_action(value)
                .map(|value| parsed.actions.push(placed(&at, value)))
                .map_err(ApiError::from),
            Kind::Entity => parse_entity(value)
                .map(|value| parsed.entities.push(placed(&at, value)))
                .map_err(ApiError::from),
        };
        let Err(refusal) = taken else { continue };
        violations.extend(refusal.details.into_iter().map(|violation| Violation {
            path: format!("{at}{}", violation.path),
            ..violation
        }));
    }
    if violations.is_empty() {
        return Ok(parsed);
    }
    Err(ApiError::invalid("the apply", violations))
}

fn placed<T>(at: &str, value: T) -> Placed<T> {
    Placed {
        at: at.to_owned(),
        value,
    }
}

/// Puts the name of each document's source before what is wrong with it.
fn name_sources(mut refusal: ApiError, sources: &[String]) -> ApiError {
    for violation in &mut refusal.details {
        let rest = violation.path.strip_prefix("/documents/");
        let index = rest.and_then(|rest| rest.split('/').next()?.parse::<usize>().ok());
        if let Some(source) = index.and_then(|index| sources.get(index)) {
            violation.message = format!("{source}: {}", violation.message);
        }
    }
    refusal
}

fn parse_entity(value: Value) -> Result<(BlueprintId, EntityDraft), catalog::Error> {
    let mut violations = check_entity_keys(&value);
    let named = value
        .get("blueprint")
        .and_then(Value::as_str)
        .map(BlueprintId::parse);
    let blueprint = match named {
        Some(Ok(blueprint)) => Some(blueprint),
        Some(Err(error)) => {
            violations.push(Violation::new("/blueprint", "pattern", error.to_string()));
            None
        }
        None => {
            let message =
                "name the entity's blueprint, or put the file under `entities/<Blueprint>/`";
            violations.push(Violation::new("/blueprint", "required", message));
            None
        }
    };
    let (subject, draft) = match parse_draft(value) {
        Ok(draft) => {
            let identifier = draft.identifier.as_ref().map_or("", |id| id.as_str());
            (format!("entity `{identifier}`"), Some(draft))
        }
        Err(catalog::Error::Invalid {
            subject,
            violations: more,
        }) => {
            violations.extend(more);
            (subject, None)
        }
        Err(other) => return Err(other),
    };
    match (blueprint, draft) {
        (Some(blueprint), Some(draft)) if violations.is_empty() => Ok((blueprint, draft)),
        _ => Err(catalog::Error::Invalid {
            subject,
            violations,
        }),
    }
}
