//! What a program has written.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::JsonBody;
use crate::api::reply::Json;
use crate::app::App;
use crate::catalog::{DatasourceEntity, DatasourceQuery};
use crate::model::{Timestamp, Violation};

/// Entities of one answer at most: some clients ask for 5,000 at a time, others for all and never read on.
const MOST: usize = 100_000;

/// Which entities are meant.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::api) struct DatasourceBody {
    /// How the program's name (its `User-Agent`) begins.
    datasource_prefix: String,
    /// How it ends.
    #[serde(default)]
    datasource_suffix: String,
    /// At most that many, 1 to 100,000, which is also what is meant where nothing is said.
    limit: Option<usize>,
    /// Only those last changed before.
    #[schema(value_type = Option<String>, format = DateTime)]
    before: Option<Moment>,
    /// The `next` of the page before.
    from: Option<String>,
}

/// A point in time as clients write it: RFC 3339, or milliseconds since the epoch.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(Timestamp),
    Milliseconds(i64),
}

/// Entities of a program.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct DatasourceReply {
    /// Always `true`.
    ok: bool,
    /// In the order in which they were made.
    entities: Vec<DatasourceEntity>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List the entities that a program wrote last.
#[utoipa::path(
    post, path = "/v1/blueprints/entities/datasource-entities", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    request_body = DatasourceBody, responses((status = 200, body = DatasourceReply)),
)]
pub(in crate::api) async fn list_of_datasource(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<DatasourceBody>,
) -> Result<Json<DatasourceReply>, ApiError> {
    let refuse = |path: &str, rule: &str, message: String| {
        ApiError::invalid("the body", vec![Violation::new(path, rule, message)])
    };
    if body.datasource_prefix.is_empty() {
        let message = "name how the program begins".to_owned();
        return Err(refuse("/datasource_prefix", "minLength", message));
    }
    let limit = body.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(refuse("/limit", "range", format!("use 1 to {MOST}")));
    }
    let from = body.from.filter(|from| !from.is_empty());
    let from = from.map(|from| from.parse::<i64>()).transpose();
    let from = from.map_err(|_| {
        let message = "use the `next` of the page before".to_owned();
        refuse("/from", "cursor", message)
    })?;
    let (entities, next) = app
        .catalog
        .list_of_datasource(
            &caller,
            DatasourceQuery {
                prefix: body.datasource_prefix,
                suffix: body.datasource_suffix,
                before: body.before.map(|before| match before {
                    Moment::Text(at) => at,
                    Moment::Milliseconds(at) => Timestamp(at),
                }),
                from,
                limit,
            },
        )
        .await?;
    Ok(Json(DatasourceReply {
        ok: true,
        entities,
        next: next.map(|mark| mark.to_string()),
    }))
}
