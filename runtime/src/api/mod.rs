//! The HTTP door: the only module that knows axum and status codes.
//!
//! The table below is the whole contract. What each operation asks of its caller stands beside its handler, in the
//! `security` of its description, and is enforced from there.

mod action;
mod action_form;
mod action_permission;
mod apply;
mod audit;
mod auth;
mod backup;
mod blueprint;
mod derived;
mod edge;
mod entity;
mod error;
mod event;
mod export;
mod extract;
mod health;
mod host;
mod linger;
mod metrics;
mod openapi;
mod page;
mod plugin;
mod principal;
mod quota;
mod reply;
mod run;
mod scorecard;
mod search;
mod secret;
mod state;
mod statistics;
mod stream;
mod team;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use metrics::metrics_router;
pub use state::ApiSettings;

use crate::app::App;
use error::ApiError;
use host::Hosts;
use openapi::Rights;
use quota::Requests;
use state::{ApiState, Door};

#[rustfmt::skip]
fn table() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::base())
        // Who may come in.
        .routes(routes!(auth::create_access_token))
        .routes(routes!(principal::list_users, principal::create_user))
        .routes(routes!(principal::find_user, principal::patch_user, principal::delete_user))
        .routes(routes!(team::list_teams, team::create_team))
        .routes(routes!(team::find_team, team::replace_team, team::patch_team, team::delete_team))
        .routes(routes!(principal::list_apps, principal::create_app))
        .routes(routes!(principal::delete_app))
        // The catalog.
        .routes(routes!(blueprint::list_blueprints, blueprint::create_blueprint))
        .routes(routes!(blueprint::find_blueprint, blueprint::replace_blueprint, blueprint::patch_blueprint, blueprint::delete_blueprint))
        .routes(routes!(blueprint::find_structure))
        .routes(routes!(blueprint::rename::rename_property))
        .routes(routes!(blueprint::rename::rename_mirror))
        .routes(routes!(blueprint::rename::rename_relation))
        .routes(routes!(blueprint::permission::find_permissions, blueprint::permission::patch_permissions))
        .routes(routes!(blueprint::migration::delete_all_entities))
        .routes(routes!(blueprint::migration::find_migration))
        .routes(routes!(entity::list::list_entities, entity::create_entity))
        .routes(routes!(entity::bulk::write_entities))
        .routes(routes!(entity::bulk::delete_entities))
        .routes(routes!(entity::datasource::list_of_datasource))
        .routes(routes!(entity::count_entities))
        .routes(routes!(entity::find_entity, entity::replace_entity, entity::patch_entity, entity::delete_entity))
        .routes(routes!(entity::history::list_entity_history))
        .routes(routes!(entity::history::restore_entity))
        .routes(routes!(scorecard::list_all_scorecards))
        .routes(routes!(scorecard::list_scorecards, scorecard::create_scorecard, scorecard::put_scorecards))
        .routes(routes!(scorecard::find_scorecard, scorecard::replace_scorecard, scorecard::delete_scorecard))
        .routes(routes!(derived::find_derived_queue))
        .routes(routes!(search::search_entities))
        .routes(routes!(search::search_blueprint))
        .routes(routes!(search::text::search_text))
        .routes(routes!(search::aggregate::aggregate_entities))
        .routes(routes!(search::aggregate::aggregate_entities_over_time))
        .routes(routes!(search::aggregate::list_properties_history))
        .routes(routes!(apply::apply_documents))
        .routes(routes!(export::export_documents))
        // Actions and runs.
        .routes(routes!(action::list_actions, action::create_action))
        .routes(routes!(action::find_action, action::replace_action, action::delete_action))
        .routes(routes!(action_permission::find_permissions, action_permission::patch_permissions))
        .routes(routes!(action_form::fill_in_form))
        .routes(routes!(statistics::list_statistics))
        .routes(routes!(statistics::find_statistics))
        .routes(routes!(run::start::start_run))
        .routes(routes!(run::list_runs))
        .routes(routes!(run::find_run))
        .routes(routes!(run::control::cancel_run))
        .routes(routes!(run::control::retry_run))
        .routes(routes!(run::control::resolve_run))
        .routes(routes!(run::log::list_run_logs))
        .routes(routes!(run::event::stream_run_events))
        .routes(routes!(run::feedback::give_feedback))
        // Plugins.
        .routes(routes!(plugin::list_plugins, plugin::install_plugin))
        .routes(routes!(plugin::find_plugin))
        .routes(routes!(plugin::find_plugin_version))
        .routes(routes!(plugin::review::find_capabilities))
        .routes(routes!(plugin::review::approve_version))
        .routes(routes!(plugin::review::reject_version))
        .routes(routes!(plugin::diff::diff_versions))
        .routes(routes!(plugin::usage::find_usage))
        .routes(routes!(plugin::withdraw::revoke_version))
        .routes(routes!(plugin::withdraw::roll_back_plugin))
        .routes(routes!(plugin::withdraw::stop_plugins))
        .routes(routes!(secret::list_secrets))
        .routes(routes!(secret::put_secret, secret::delete_secret))
        // Operations.
        .routes(routes!(audit::list_audit))
        .routes(routes!(event::stream_events))
        .routes(routes!(backup::take_backup))
        .routes(routes!(health::find_health))
        .routes(routes!(metrics::find_metrics))
        .routes(routes!(page::find_contract))
        .routes(routes!(page::find_page))
}

/// The whole door. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: failed logins are counted by
/// address.
pub fn router(app: App, settings: ApiSettings) -> axum::Router {
    let (routes, state) = build(app, settings);
    guarded(routes, state)
}

fn build(app: App, settings: ApiSettings) -> (axum::Router<ApiState>, ApiState) {
    let (routes, document) = table().split_for_parts();
    let document = openapi::finish(&document);
    let door = Door {
        hosts: Hosts::new(&settings),
        rights: Rights::read(&document),
        docs: page::render(&document).into(),
        openapi: document.to_string().into(),
        streams: Mutex::new(HashMap::new()),
        requests: Requests::new(settings.request_limit),
        settings,
    };
    (
        routes,
        ApiState {
            app,
            door: Arc::new(door),
        },
    )
}

/// Puts what every request passes around the routes, the outermost layer last.
fn guarded(routes: axum::Router<ApiState>, state: ApiState) -> axum::Router {
    routes
        .layer(middleware::from_fn_with_state(
            state.clone(),
            derived::settle,
        ))
        .fallback(unknown_route)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            auth::authorize,
        ))
        .layer(middleware::from_fn_with_state(state.clone(), edge::guard))
        .with_state(state)
}

async fn unknown_route(method: Method, uri: Uri) -> ApiError {
    // The client chooses the path; the message shows only its beginning.
    let path: String = uri.path().chars().take(100).collect();
    let message = format!("there is no route `{method} {path}`; GET /docs lists them all");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_route", message)
}
