//! Other names for parts of a blueprint.

use axum::extract::State;
use serde::Deserialize;

use super::BlueprintReply;
use crate::action;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{InPath, JsonBody};
use crate::api::reply::Json;
use crate::app::App;
use crate::catalog::{self, Renamed};
use crate::model::{BlueprintId, Violation};

/// The new name of a property.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NewPropertyName {
    /// 1 to 100 of `A-Z a-z 0-9 @ _ = -`.
    new_property_name: String,
}

/// The new name of a mirror property.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NewMirrorName {
    /// 1 to 100 of `A-Z a-z 0-9 @ _ = -`.
    new_mirror_name: String,
}

/// The new name of a relation.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct NewRelationName {
    /// 1 to 100 of `A-Z a-z 0-9 @ _ = -`.
    new_relation_identifier: String,
}

/// Rename a property: values, `required`, mirror paths, calculations, aggregations and templates of actions follow.
///
/// Refused where a filter or a template may read it in a way that cannot be followed; the message names the place.
#[utoipa::path(
    patch, path = "/v1/blueprints/{blueprint}/properties/{property}/rename", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("property" = String, Path, description = "Its name until now"),
    ),
    request_body = NewPropertyName, responses((status = 200, body = BlueprintReply)),
)]
pub(in crate::api) async fn rename_property(
    State(app): State<App>,
    caller: Caller,
    InPath(path): InPath<(BlueprintId, String)>,
    JsonBody(body): JsonBody<NewPropertyName>,
) -> Result<Json<BlueprintReply>, ApiError> {
    let (what, key) = (Renamed::Property, "/newPropertyName");
    rename(&app, &caller, path, what, &body.new_property_name, key).await
}

/// Rename a mirror property.
#[utoipa::path(
    patch, path = "/v1/blueprints/{blueprint}/mirror/{property}/rename", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("property" = String, Path, description = "Its name until now"),
    ),
    request_body = NewMirrorName, responses((status = 200, body = BlueprintReply)),
)]
pub(in crate::api) async fn rename_mirror(
    State(app): State<App>,
    caller: Caller,
    InPath(path): InPath<(BlueprintId, String)>,
    JsonBody(body): JsonBody<NewMirrorName>,
) -> Result<Json<BlueprintReply>, ApiError> {
    let (what, key) = (Renamed::Mirror, "/newMirrorName");
    rename(&app, &caller, path, what, &body.new_mirror_name, key).await
}

/// Rename a relation: edges and every path that leads over it follow.
#[utoipa::path(
    patch, path = "/v1/blueprints/{blueprint}/relations/{relation}/rename", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("relation" = String, Path, description = "Its name until now"),
    ),
    request_body = NewRelationName, responses((status = 200, body = BlueprintReply)),
)]
pub(in crate::api) async fn rename_relation(
    State(app): State<App>,
    caller: Caller,
    InPath(path): InPath<(BlueprintId, String)>,
    JsonBody(body): JsonBody<NewRelationName>,
) -> Result<Json<BlueprintReply>, ApiError> {
    let (what, key) = (Renamed::Relation, "/newRelationIdentifier");
    rename(
        &app,
        &caller,
        path,
        what,
        &body.new_relation_identifier,
        key,
    )
    .await
}

async fn rename(
    app: &App,
    caller: &Caller,
    (blueprint, from): (BlueprintId, String),
    what: Renamed,
    to: &str,
    key: &str,
) -> Result<Json<BlueprintReply>, ApiError> {
    let renamed = app
        .rename_in_blueprint(caller, &blueprint, what, &from, to)
        .await;
    match renamed {
        Ok(blueprint) => Ok(Json(BlueprintReply {
            ok: true,
            blueprint,
        })),
        // The catalog knows the name only; here it stands under a key of the body.
        Err(action::Error::Catalog(catalog::Error::Invalid {
            subject,
            violations,
        })) => {
            let at_key = violations.into_iter().map(|violation| Violation {
                path: format!("{key}{}", violation.path),
                ..violation
            });
            Err(ApiError::invalid(&subject, at_key.collect()))
        }
        Err(error) => Err(error.into()),
    }
}
