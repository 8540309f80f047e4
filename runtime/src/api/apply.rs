//! Many documents, one transaction.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{LargeJsonBody, Params};
use super::reply::Json;
use crate::action::{self, parse_action};
use crate::app::{App, ApplyMode, Documents, Prune};
use crate::catalog::{
    self, Applied, Placed, asks, check_entity_keys, parse_blueprint, parse_draft, parse_scorecard,
};
use crate::model::{BlueprintId, EntityDraft, Scorecard, SourceName, Violation};

/// Violations that one answer tells.
const MAX_VIOLATIONS: usize = 1_000;

/// Documents to put in place.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Apply {
    /// In whatever order, at most 50,000.
    documents: Vec<Document>,
    /// Where the documents are kept: a name of your own choice. They belong to it from then on.
    #[schema(value_type = Option<String>, max_length = 100)]
    source: Option<SourceName>,
    /// Delete what belongs to the source and has no document any more.
    prune: Option<PruneRequest>,
}

/// What may be deleted.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PruneRequest {
    /// Most that may be deleted, in percent of what the source had; 50 where it is absent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    limit: Option<u8>,
    /// What a dry run listed as `deleted`: where anything else would be deleted, nothing is done.
    #[serde(default)]
    expected: Option<Vec<String>>,
}

/// One document.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Where it came from, for messages: a file's path.
    source: String,
    /// What it is.
    kind: Kind,
    /// The document itself, as the route of its kind takes it; an entity names its `blueprint`. What an entity asks for
    /// by a query is looked for among what is there before all of the documents.
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
    /// The quality rules of a kind of entity.
    Scorecard,
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
///
/// Each document replaces what is there whole. The path of what is refused begins with `/documents/` and the place of
/// the document; a whole body may be larger than that of other routes, 32 MiB.
#[utoipa::path(
    post, path = "/v1/catalog/apply", tag = "catalog", security(("bearer" = ["catalog:write"])),
    params(("dry_run" = Option<bool>, Query, description = "Say what would be done and change nothing")),
    request_body = Apply, responses((status = 200, body = ApplyReply)),
)]
pub(super) async fn apply_documents(
    State(app): State<App>,
    caller: Caller,
    params: Params,
    LargeJsonBody(apply): LargeJsonBody<Apply>,
) -> Result<Json<ApplyReply>, ApiError> {
    let dry_run = params.switch("dry_run");
    let mode = if dry_run {
        ApplyMode::DryRun
    } else {
        ApplyMode::Commit
    };
    let (source, prune) = (apply.source, read_prune(apply.prune)?);
    if prune.is_some() && source.is_none() {
        let message = "what is to be deleted is told by `source`; name it";
        let violation = Violation::new("/source", "required", message);
        return Err(ApiError::invalid("the apply", vec![violation]));
    }
    let sources: Vec<String> = apply
        .documents
        .iter()
        // The client chooses the name; the message shows only its beginning.
        .map(|document| document.source.chars().take(200).collect())
        .collect();
    let parsed = parse(apply.documents).map_err(|refusal| name_sources(refusal, &sources))?;
    let documents = Documents {
        source,
        prune,
        ..parsed
    };
    let applied = app
        .apply(&caller, documents, mode)
        .await
        .map_err(|error| name_sources(error.into(), &sources))?;
    Ok(Json(ApplyReply {
        ok: true,
        dry_run,
        applied,
    }))
}

fn read_prune(request: Option<PruneRequest>) -> Result<Option<Prune>, ApiError> {
    let Some(PruneRequest { limit, expected }) = request else {
        return Ok(None);
    };
    let limit = limit.unwrap_or(Prune::default().limit);
    if limit > 100 {
        let violation = Violation::new("/prune/limit", "maximum", "is in percent: 0 to 100");
        return Err(ApiError::invalid("the apply", vec![violation]));
    }
    Ok(Some(Prune { limit, expected }))
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
                .map_err(action::Error::from),
            Kind::Action => {
                parse_action(value).map(|value| parsed.actions.push(placed(&at, value)))
            }
            Kind::Scorecard => parse_owned_scorecard(value)
                .map(|value| parsed.scorecards.push(placed(&at, value)))
                .map_err(action::Error::from),
            Kind::Entity if asks(&value) => parse_queried(&value)
                .map(|blueprint| parsed.queried.push(placed(&at, (blueprint, value))))
                .map_err(action::Error::from),
            Kind::Entity => parse_entity(value)
                .map(|value| parsed.entities.push(placed(&at, value)))
                .map_err(action::Error::from),
        };
        let Err(error) = taken else { continue };
        let (action::Error::Invalid {
            subject,
            violations: broken,
        }
        | action::Error::Catalog(catalog::Error::Invalid {
            subject,
            violations: broken,
        })) = error
        else {
            return Err(error.into());
        };
        violations.extend(broken.into_iter().map(|violation| Violation {
            path: format!("{at}{}", violation.path),
            message: format!("{subject}: {}", violation.message),
            ..violation
        }));
        if violations.len() >= MAX_VIOLATIONS {
            violations.truncate(MAX_VIOLATIONS);
            break;
        }
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

fn parse_owned_scorecard(value: Value) -> Result<Scorecard, catalog::Error> {
    let named = value.get("blueprint").and_then(Value::as_str);
    let violation = match named.map(BlueprintId::parse) {
        Some(Ok(blueprint)) => return parse_scorecard(value, &blueprint),
        Some(Err(error)) => Violation::new("/blueprint", "pattern", error.to_string()),
        None => {
            let message =
                "name the scorecard's blueprint, or put the file under `scorecards/<Blueprint>/`";
            Violation::new("/blueprint", "required", message)
        }
    };
    Err(catalog::Error::Invalid {
        subject: "the scorecard".to_owned(),
        violations: vec![violation],
    })
}

/// The blueprint of an entity of which more can be told only once its queries are answered.
fn parse_queried(value: &Value) -> Result<BlueprintId, catalog::Error> {
    let (blueprint, violations) = parse_blueprint_of(value);
    match blueprint {
        Some(blueprint) if violations.is_empty() => Ok(blueprint),
        _ => Err(catalog::Error::Invalid {
            subject: "entity".to_owned(),
            violations,
        }),
    }
}

fn parse_blueprint_of(value: &Value) -> (Option<BlueprintId>, Vec<Violation>) {
    let mut violations = check_entity_keys(value);
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
    (blueprint, violations)
}

fn parse_entity(value: Value) -> Result<(BlueprintId, EntityDraft), catalog::Error> {
    let (blueprint, mut violations) = parse_blueprint_of(&value);
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
