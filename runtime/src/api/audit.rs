//! The audit log.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::Params;
use super::reply::Json;
use crate::app::{App, AuditOrder};
use crate::model::{AuditFilter, AuditPage, AuditRow, AuditStatus, Verb};

/// Rows of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditReply {
    /// Always `true`.
    ok: bool,
    /// Newest first. Each row has the members of a row of the history, and the same in the words of the Port API:
    /// `resourceType`, `trigger`, `context` and `diff`. With `includes` it has what was asked for, and its `sequence`.
    #[schema(value_type = Vec<Object>)]
    audits: Vec<Value>,
    /// The `next` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Read the audit log, newest first.
///
/// All conditions hold at once. Changes of entities that the caller may not see are left out. A page may be shorter than `limit` and still name a `next`: what one look costs is
/// bounded.
#[utoipa::path(
    get, path = "/v1/audit-log", tag = "operations", security(("bearer" = ["plugins:read"])),
    params(
        ("identifier" = Option<String>, Query, description = "Of an object that is or was called so"),
        ("entity" = Option<String>, Query, description = "Of an entity that is or was called so"),
        ("blueprint" = Option<String>, Query, description = "Of a blueprint and what belongs to it"),
        ("run_id" = Option<String>, Query, description = "During a run"),
        ("webhookId" = Option<String>, Query, description = "Of a webhook"),
        ("InstallationId" = Option<String>, Query, description = "Of an integration"),
        ("origin" = Option<Vec<String>>, Query, description = "`API`, `PLUGIN` or `SYSTEM`; may be repeated"),
        ("resources" = Option<Vec<String>>, Query, description = "Kinds of objects; may be repeated"),
        ("includes" = Option<Vec<String>>, Query, description = "Members that rows shall have; all where absent"),
        ("action" = Option<Vec<Verb>>, Query, description = "What was done; may be repeated"),
        ("status" = Option<AuditStatus>, Query, description = "Whether it was done or refused"),
        ("from" = Option<String>, Query, description = "Not before this time"),
        ("to" = Option<String>, Query, description = "Not after this time"),
        ("limit" = Option<u32>, Query, description = "Rows on a page, 1 to 1000; 200 where absent"),
        ("next" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, body = AuditReply)),
)]
pub(super) async fn list_audit(
    State(app): State<App>,
    caller: Caller,
    params: Params,
) -> Result<Json<AuditReply>, ApiError> {
    let limit = params.limit(200, 1_000)?;
    let before = params.parsed("next")?;
    let includes = params.list("includes");
    let page = match read_filter(&params)? {
        Some(filter) => {
            app.history
                .list(&caller, filter, AuditOrder::NewestFirst(before), limit)
                .await?
        }
        None => AuditPage {
            rows: Vec::new(),
            next: None,
        },
    };
    let audits = page
        .rows
        .iter()
        .map(|row| narrow(show(row), &includes))
        .collect();
    Ok(Json(AuditReply {
        ok: true,
        audits,
        next: page.next.map(|next| next.to_string()),
    }))
}

/// Reads the filters of the route; absent where they contradict each other.
fn read_filter(params: &Params) -> Result<Option<AuditFilter>, ApiError> {
    let text = |name: &str| params.text(name).map(str::to_owned);
    let mut filter = AuditFilter {
        resources: params.list("resources"),
        verbs: read_verbs(params)?,
        origins: params.list("origin"),
        run: params.parsed("run_id")?,
        blueprint: text("blueprint"),
        entity: text("entity"),
        identifier: text("identifier"),
        from: params.parsed("from")?,
        to: params.parsed("to")?,
    };
    for origin in &mut filter.origins {
        origin.make_ascii_uppercase();
    }
    // Webhooks and integrations are objects as all others.
    for (name, resource) in [("webhookId", "webhook"), ("InstallationId", "integration")] {
        let Some(id) = text(name) else { continue };
        let fits = filter.identifier.as_ref().is_none_or(|known| *known == id);
        let wanted =
            filter.resources.is_empty() || filter.resources.iter().any(|known| known == resource);
        if !fits || !wanted {
            return Ok(None);
        }
        filter.identifier = Some(id);
        filter.resources = vec![resource.to_owned()];
    }
    if let Some(status) = params.text("status") {
        let status = [AuditStatus::Success, AuditStatus::Failure]
            .into_iter()
            .find(|known| json!(known) == json!(status.to_ascii_uppercase()));
        let status =
            status.ok_or_else(|| ApiError::bad_parameter("status", "use SUCCESS or FAILURE"))?;
        let all = filter.verbs.is_empty();
        let fits = |verb: &Verb| verb.status() == status && (all || filter.verbs.contains(verb));
        filter.verbs = Verb::ALL.into_iter().filter(fits).collect();
        if filter.verbs.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(filter))
}

/// The verbs under `action`.
pub(super) fn read_verbs(params: &Params) -> Result<Vec<Verb>, ApiError> {
    let read = |text: String| {
        let known = Verb::ALL
            .into_iter()
            .find(|verb| verb.as_str().eq_ignore_ascii_case(&text));
        let names = Verb::ALL.map(Verb::as_str).join(", ");
        known.ok_or_else(|| ApiError::bad_parameter("action", format!("use one of {names}")))
    };
    params.list("action").into_iter().map(read).collect()
}

/// A row in our words, and in those that clients of the Port API know.
pub(super) fn show(row: &AuditRow) -> Value {
    let mut shown = json!(row);
    let Value::Object(members) = &mut shown else {
        return shown;
    };
    let take =
        |members: &Map<String, Value>, name: &str| members.get(name).cloned().unwrap_or_default();
    let diff = json!({"before": take(members, "before"), "after": take(members, "after")});
    let trigger = json!({"by": {"userId": row.actor}, "origin": row.origin, "at": row.at});
    let context = json!({"blueprint": row.blueprint, "entity": row.entity, "runId": row.run_id});
    members.insert("resourceType".to_owned(), json!(row.resource));
    members.insert("trigger".to_owned(), trigger);
    members.insert("context".to_owned(), context);
    members.insert("diff".to_owned(), diff);
    shown
}

/// Leaves of a row what was asked for, and its sequence.
fn narrow(mut row: Value, includes: &[String]) -> Value {
    if let Value::Object(members) = &mut row
        && !includes.is_empty()
    {
        members.retain(|name, _| name == "sequence" || includes.contains(name));
    }
    row
}
