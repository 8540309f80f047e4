//! Plugins and their versions.

pub(super) mod diff;
pub(super) mod review;
pub(super) mod usage;
pub(super) mod withdraw;

use axum::extract::State;
use serde::Serialize;

use super::auth::Caller;
use super::error::ApiError;
use super::extract::{InPath, Package};
use super::reply::{Created, Json};
use crate::app::App;
use crate::model::{PluginName, PluginState, PluginVersion};

/// One plugin, as the list shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PluginSummary {
    /// Its name.
    #[schema(value_type = String)]
    name: PluginName,
    /// Title of the active version, or else of the newest.
    title: String,
    /// The version that serves runs.
    #[schema(value_type = Option<String>)]
    active_version: Option<semver::Version>,
    /// State of the active version, or else of the newest.
    state: PluginState,
}

/// One plugin with all its versions.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PluginView {
    /// What the list shows.
    #[serde(flatten)]
    summary: PluginSummary,
    /// Newest first.
    versions: Vec<PluginVersion>,
}

/// One version of a plugin.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionView {
    /// The plugin's name.
    #[schema(value_type = String)]
    name: PluginName,
    /// The version's title.
    title: String,
    /// The version.
    #[serde(flatten)]
    version: PluginVersion,
}

/// All plugins.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PluginsReply {
    /// Always `true`.
    ok: bool,
    /// By name.
    plugins: Vec<PluginSummary>,
}

/// One plugin.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PluginReply {
    /// Always `true`.
    ok: bool,
    /// The plugin.
    plugin: PluginView,
}

/// One version of a plugin.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct VersionReply {
    /// Always `true`.
    ok: bool,
    /// The version, with the plugin's name.
    plugin: VersionView,
}

impl VersionReply {
    pub(super) fn of(version: PluginVersion) -> Self {
        let (name, title) = (version.name.clone(), version.title.clone());
        Self {
            ok: true,
            plugin: VersionView {
                name,
                title,
                version,
            },
        }
    }
}

/// Install a plugin version: it waits for a reviewer where it asks for anything that the active one does not.
#[utoipa::path(
    post, path = "/v1/plugins", tag = "plugins", security(("bearer" = ["plugins:install"])),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The package, at most 32 MiB"),
    responses(
        (status = 201, body = VersionReply),
        (status = 200, description = "The same package was there already", body = VersionReply),
    ),
)]
pub(super) async fn install_plugin(
    State(app): State<App>,
    caller: Caller,
    Package(package): Package,
) -> Result<Created<VersionReply>, ApiError> {
    let installed = app.plugins.install(&caller, package.into()).await?;
    Ok(Created(
        installed.is_new,
        VersionReply::of(installed.version),
    ))
}

/// List the plugins.
#[utoipa::path(
    get, path = "/v1/plugins", tag = "plugins", security(("bearer" = ["plugins:read"])),
    responses((status = 200, body = PluginsReply)),
)]
pub(super) async fn list_plugins(State(app): State<App>) -> Result<Json<PluginsReply>, ApiError> {
    let versions = app.plugins.list_versions(None).await?;
    let plugins = versions
        .chunk_by(|a, b| a.name == b.name)
        .filter_map(summarize)
        .collect();
    Ok(Json(PluginsReply { ok: true, plugins }))
}

/// Read a plugin with its versions.
#[utoipa::path(
    get, path = "/v1/plugins/{name}", tag = "plugins", security(("bearer" = ["plugins:read"])),
    params(("name" = String, Path, description = "Name of the plugin")),
    responses((status = 200, body = PluginReply)),
)]
pub(super) async fn find_plugin(
    State(app): State<App>,
    InPath(name): InPath<PluginName>,
) -> Result<Json<PluginReply>, ApiError> {
    let versions = app.plugins.list_versions(Some(&name)).await?;
    let missing = || ApiError::not_found(format_args!("plugin `{name}`"));
    let summary = summarize(&versions).ok_or_else(missing)?;
    Ok(Json(PluginReply {
        ok: true,
        plugin: PluginView { summary, versions },
    }))
}

/// Read one version of a plugin.
#[utoipa::path(
    get, path = "/v1/plugins/{name}/versions/{version}", tag = "plugins", security(("bearer" = ["plugins:read"])),
    params(
        ("name" = String, Path, description = "Name of the plugin"),
        ("version" = String, Path, description = "Its version"),
    ),
    responses((status = 200, body = VersionReply)),
)]
pub(super) async fn find_plugin_version(
    State(app): State<App>,
    InPath((name, version)): InPath<(PluginName, semver::Version)>,
) -> Result<Json<VersionReply>, ApiError> {
    Ok(Json(VersionReply::of(
        app.plugins.find_version(&name, &version).await?,
    )))
}

/// The line of the list for the versions of one plugin, newest first.
fn summarize(versions: &[PluginVersion]) -> Option<PluginSummary> {
    let active = versions
        .iter()
        .find(|version| version.state == PluginState::Active);
    let shown = active.or_else(|| versions.first())?;
    Some(PluginSummary {
        name: shown.name.clone(),
        title: shown.title.clone(),
        active_version: active.map(|version| version.version.clone()),
        state: shown.state,
    })
}
