//! Entities of a blueprint.

pub(super) mod bulk;
pub(super) mod datasource;
pub(super) mod history;
pub(super) mod list;

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, JsonBody, Params};
use super::reply::{Created, Done, Json};
use super::search::query_parameter;
use super::search::shape::Shape;
use crate::app::{AccessError, App, StoreError};
use crate::catalog::{Dependents, Extent, Values, WriteOptions, Written, is_user_blueprint};
use crate::model::{
    Actor, BlueprintId, Entity, EntityDraft, EntityId, EntityJson, Permission, PrincipalKind,
    RunId, Stamped, Timestamp, WriteMode,
};

/// One entity.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct EntityReply {
    /// Always `true`.
    ok: bool,
    /// As it now is.
    entity: Stamped<Entity>,
    /// What is shown this once, after a user was made.
    #[serde(rename = "additionalData", skip_serializing_if = "Option::is_none")]
    additional_data: Option<AdditionalData>,
}

impl EntityReply {
    fn new(entity: Stamped<Entity>) -> Self {
        Self {
            ok: true,
            entity,
            additional_data: None,
        }
    }
}

/// One entity as it is read.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ShownReply {
    /// Always `true`.
    ok: bool,
    /// The entity, with what `include` and `exclude` leave of it.
    #[schema(value_type = Object)]
    entity: Box<RawValue>,
}

impl ShownReply {
    fn new(mut shown: Vec<Box<RawValue>>) -> Self {
        Self {
            ok: true,
            entity: shown.pop().unwrap_or_default(),
        }
    }
}

/// What goes with an entity, this once.
#[derive(Serialize, utoipa::ToSchema)]
struct AdditionalData {
    /// With these the user comes in.
    credentials: Credentials,
}

/// A new credential.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    /// Its public half.
    client_id: String,
    /// Its secret half; nobody can read it again.
    client_secret: String,
}

impl AdditionalData {
    fn new((client_id, client_secret): (String, String)) -> Self {
        Self {
            credentials: Credentials {
                client_id,
                client_secret,
            },
        }
    }
}

/// How many entities a blueprint has.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CountReply {
    /// Always `true`.
    ok: bool,
    /// That many.
    count: u64,
}

/// Read an entity, as it is or as it was.
#[utoipa::path(
    get, path = "/v1/blueprints/{blueprint}/entities/{entity}", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("entity" = String, Path, description = "Identifier of the entity"),
        ("exclude_calculated_properties" = Option<bool>, Query, description = "Leave out what is derived: mirrors, calculations, aggregations, scorecards"),
        ("include" = Option<Vec<String>>, Query, description = "Only these parts: `identifier`, `properties.x`, `relations.y`; repeated or separated by commas"),
        ("exclude" = Option<Vec<String>>, Query, description = "All but these parts"),
        ("attach_title_to_relation" = Option<bool>, Query, description = "Show each relation's target as `{identifier, title}`"),
        ("attach_identifier_to_title_mirror_properties" = Option<bool>, Query, description = "Show each mirror of a title as `{identifier, title}`"),
        ("at" = Option<String>, Query, description = "As it was at this time, under the identifier of then or of now"),
    ),
    responses((status = 200, body = ShownReply)),
)]
pub(super) async fn find_entity(
    State(app): State<App>,
    caller: Caller,
    InPath((blueprint, id)): InPath<(BlueprintId, EntityId)>,
    params: Params,
) -> Result<Json<ShownReply>, ApiError> {
    let shape = Shape::read_parts(&params, &Map::new())?;
    if let Some(at) = params.parsed("at")? {
        if at > Timestamp::now() {
            return Err(ApiError::bad_parameter("at", "that time is yet to come"));
        }
        let entity = app
            .history
            .find_entity_at(&caller, &blueprint, &id, at)
            .await?;
        let entity = EntityJson::write(&entity).map_err(|e| StoreError::corrupt("entity", e))?;
        let shown = shape.apply_to_json(&app, &caller, vec![entity]).await?;
        return Ok(Json(ShownReply::new(shown)));
    }
    let entity = app
        .catalog
        .show_entity_for(&caller, &blueprint, &id, values(&params))
        .await?;
    let shown = shape.apply_to_json(&app, &caller, vec![entity]).await?;
    Ok(Json(ShownReply::new(shown)))
}

/// Count the entities of a blueprint.
#[utoipa::path(
    get, path = "/v1/blueprints/{blueprint}/entities-count", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("query" = Option<String>, Query, description = "Only those for which this query holds, as JSON"),
    ),
    responses((status = 200, body = CountReply)),
)]
pub(super) async fn count_entities(
    State(app): State<App>,
    caller: Caller,
    InPath(blueprint): InPath<BlueprintId>,
    params: Params,
) -> Result<Json<CountReply>, ApiError> {
    if let Some(query) = query_parameter(&params)? {
        let now = Timestamp::now();
        let counts = app
            .catalog
            .count(&caller, query, Some(blueprint), now)
            .await?;
        return Ok(Json(CountReply {
            ok: true,
            count: counts.iter().map(|(_, count)| count).sum(),
        }));
    }
    let count = app.catalog.count_entities_for(&caller, &blueprint).await?;
    Ok(Json(CountReply { ok: true, count }))
}

/// Create an entity, or with `upsert` create or change it.
///
/// In place of `identifier`, `team` or the value of a relation the body may have a query, such as
/// `{"combinator": "and", "rules": [{"property": "email", "operator": "=", "value": "ann@example.com"}]}`: its operators
/// are `=`, `in` and, but for `identifier`, `contains`. 404 where one entity has to be found and none is, 422 where several
/// are.
#[utoipa::path(
    post, path = "/v1/blueprints/{blueprint}/entities", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("upsert" = Option<bool>, Query, description = "Replace the entity where it exists"),
        ("merge" = Option<bool>, Query, description = "With `upsert`: change only what the body names"),
        ("create_missing_related_entities" = Option<bool>, Query, description = "Create relation targets that do not exist"),
        ("validation_only" = Option<bool>, Query, description = "Check everything and change nothing"),
        ("run_id" = Option<String>, Query, description = "The run during which this happens"),
    ),
    request_body = Object,
    responses((status = 201, body = EntityReply), (status = 200, body = EntityReply)),
)]
pub(super) async fn create_entity(
    State(app): State<App>,
    caller: Caller,
    InPath(blueprint): InPath<BlueprintId>,
    params: Params,
    JsonBody(body): JsonBody<Value>,
) -> Result<Created<EntityReply>, ApiError> {
    let actor = during_run(&app, &caller, &params).await?;
    let mut draft = app.catalog.read_draft(&caller, &blueprint, body).await?;
    let options = options(&params);
    let mut additional_data = None;
    let written = match draft.identifier.clone() {
        Some(id) if manages_users(&caller, &blueprint) => {
            draft.identifier = None;
            let user = app
                .access
                .write_user(&actor, id, draft, mode(&params), options)
                .await?;
            additional_data = user.credential.map(AdditionalData::new);
            user.written
        }
        _ => {
            app.catalog
                .write_entity(&actor, &blueprint, draft, mode(&params), options)
                .await?
        }
    };
    let written = settle(&app, written, options).await?;
    let Written { entity, created } = written;
    Ok(Created(
        created && !options.validation_only,
        EntityReply {
            ok: true,
            entity,
            additional_data,
        },
    ))
}

/// Whether a write is about who may come in, by somebody who may decide that.
fn manages_users(caller: &Caller, blueprint: &BlueprintId) -> bool {
    is_user_blueprint(blueprint) && caller.may(Permission::ManageUsers)
}

/// Replace an entity: what the body leaves out is cleared.
///
/// Another `identifier` in the body renames it; whatever points at it goes on to.
#[utoipa::path(
    put, path = "/v1/blueprints/{blueprint}/entities/{entity}", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("entity" = String, Path, description = "Identifier of the entity"),
        ("create_missing_related_entities" = Option<bool>, Query, description = "Create relation targets that do not exist"),
        ("validation_only" = Option<bool>, Query, description = "Check everything and change nothing"),
        ("run_id" = Option<String>, Query, description = "The run during which this happens"),
    ),
    request_body = Object,
    responses((status = 200, body = EntityReply)),
)]
pub(super) async fn replace_entity(
    State(app): State<App>,
    caller: Caller,
    InPath(ids): InPath<(BlueprintId, EntityId)>,
    params: Params,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<EntityReply>, ApiError> {
    let draft = app.catalog.read_draft(&caller, &ids.0, body).await?;
    change(&app, &caller, ids, &params, draft, Extent::Whole).await
}

/// Change parts of an entity.
///
/// Another `identifier` in the body renames it; whatever points at it goes on to.
#[utoipa::path(
    patch, path = "/v1/blueprints/{blueprint}/entities/{entity}", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("entity" = String, Path, description = "Identifier of the entity"),
        ("create_missing_related_entities" = Option<bool>, Query, description = "Create relation targets that do not exist"),
        ("validation_only" = Option<bool>, Query, description = "Check everything and change nothing"),
        ("run_id" = Option<String>, Query, description = "The run during which this happens"),
    ),
    request_body = Object,
    responses((status = 200, body = EntityReply)),
)]
pub(super) async fn patch_entity(
    State(app): State<App>,
    caller: Caller,
    InPath(ids): InPath<(BlueprintId, EntityId)>,
    params: Params,
    JsonBody(body): JsonBody<Value>,
) -> Result<Json<EntityReply>, ApiError> {
    let draft = app.catalog.read_draft(&caller, &ids.0, body).await?;
    change(&app, &caller, ids, &params, draft, Extent::Parts).await
}

/// Delete an entity.
///
/// Refused where a required relation points at it, unless `delete_dependents` takes those along. Other relations that
/// point at it are cleared, also of entities that the caller may not update: what is gone cannot be pointed at.
#[utoipa::path(
    delete, path = "/v1/blueprints/{blueprint}/entities/{entity}", tag = "catalog",
    security(("bearer" = ["catalog:write"])),
    params(
        ("blueprint" = String, Path, description = "Identifier of the blueprint"),
        ("entity" = String, Path, description = "Identifier of the entity"),
        ("delete_dependents" = Option<bool>, Query, description = "Also delete the entities that point at it"),
        ("run_id" = Option<String>, Query, description = "The run during which this happens"),
    ),
    responses((status = 200, body = Done)),
)]
pub(super) async fn delete_entity(
    State(app): State<App>,
    caller: Caller,
    InPath((blueprint, id)): InPath<(BlueprintId, EntityId)>,
    params: Params,
) -> Result<Json<Done>, ApiError> {
    let actor = during_run(&app, &caller, &params).await?;
    if manages_users(&caller, &blueprint) {
        let kind = PrincipalKind::User;
        match app.access.delete(&actor, kind, id.as_str()).await {
            // Somebody whom only the catalog knows goes like any other entity.
            Err(AccessError::NotFound(_)) => {}
            outcome => return Ok(outcome.map(|()| Done::OK)?),
        }
    }
    app.catalog
        .delete_entity(&actor, &blueprint, &id, dependents(&params))
        .await?;
    Ok(Done::OK)
}

fn dependents(params: &Params) -> Dependents {
    match params.switch("delete_dependents") {
        true => Dependents::Delete,
        false => Dependents::Keep,
    }
}

async fn change(
    app: &App,
    caller: &Caller,
    (blueprint, id): (BlueprintId, EntityId),
    params: &Params,
    draft: EntityDraft,
    extent: Extent,
) -> Result<Json<EntityReply>, ApiError> {
    let actor = during_run(app, caller, params).await?;
    let options = options(params);
    let same = draft.identifier.as_ref().is_none_or(|named| *named == id);
    if same && manages_users(caller, &blueprint) {
        let mode = match extent {
            Extent::Parts => WriteMode::Update,
            Extent::Whole => WriteMode::Overwrite,
        };
        let draft = EntityDraft {
            identifier: None,
            ..draft
        };
        let user = app
            .access
            .write_user(&actor, id, draft, mode, options)
            .await?;
        let written = settle(app, user.written, options).await?;
        return Ok(Json(EntityReply {
            ok: true,
            entity: written.entity,
            additional_data: user.credential.map(AdditionalData::new),
        }));
    }
    let written = app
        .catalog
        .change_entity(&actor, &blueprint, &id, draft, extent, options)
        .await?;
    let written = settle(app, written, options).await?;
    Ok(Json(EntityReply::new(written.entity)))
}

/// What was written, with what follows from it.
async fn settle(app: &App, written: Written, options: WriteOptions) -> Result<Written, ApiError> {
    if options.validation_only {
        return Ok(written);
    }
    Ok(app.catalog.settled(written).await?)
}

/// Which values whoever reads asks for.
fn values(params: &Params) -> Values {
    match params.switch("exclude_calculated_properties") {
        true => Values::Own,
        false => Values::All,
    }
}

/// What a write does where the entity exists already, from the parameters of the Port API.
fn mode(params: &Params) -> WriteMode {
    match (params.switch("upsert"), params.switch("merge")) {
        (false, _) => WriteMode::Create,
        (true, false) => WriteMode::Replace,
        (true, true) => WriteMode::Merge,
    }
}

fn options(params: &Params) -> WriteOptions {
    WriteOptions {
        create_missing_targets: params.switch("create_missing_related_entities"),
        validation_only: params.switch("validation_only"),
    }
}

/// The caller, acting during the run that they name; only a run that they may see counts.
async fn during_run(app: &App, caller: &Caller, params: &Params) -> Result<Actor, ApiError> {
    let mut actor = Actor::clone(caller);
    if let Some(id) = params.parsed::<RunId>("run_id")? {
        actor.run = Some(app.actions.find_run(caller, &id).await?.id);
    }
    Ok(actor)
}
