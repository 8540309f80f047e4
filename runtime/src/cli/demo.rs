//! `goldenpath demo`: a portal with something in it. Builds, installs and approves the plugins of this source tree,
//! loads the example catalog, and serves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::client::text;
use super::exit::{Exit, Failure, chain};
use super::output::Output;
use super::plugin::{Built, DEMO, build};
use super::serve::memory::keep_little;
use super::serve::{Portal, Telemetry, block_on, listen, print_credential};
use crate::app::{App, ApplyMode, Documents};
use crate::catalog::{DocumentKind, parse_blueprint, parse_documents, parse_draft};
use crate::config::{self, Config, Settings};
use crate::model::{Actor, Approval, BlueprintId, PluginState};
use crate::plugin::InstallError;

/// Kept in the data folder, so that a second start can say where the credential is without a new one.
const CREDENTIALS: &str = "demo-credentials";

/// By this blueprint of the example catalog the demo knows that the catalog is loaded.
const LOADED: &str = "Component";

const AFTER_HELP: &str = "\
Needs the source tree of goldenpath and Rust, since it builds the plugins that it shows.

Examples:
  goldenpath demo
  goldenpath demo --data /tmp/portal --listen 127.0.0.1:5000";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct DemoArguments {
    /// Folder of the databases, caches and plugin files, made where missing [default: ./goldenpath-data]
    #[arg(long, env = "GOLDENPATH_DATA", value_name = "DIR")]
    data: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:4000]
    #[arg(long, env = "GOLDENPATH_LISTEN", value_name = "ADDR", value_parser = config::parse_address)]
    listen: Option<SocketAddr>,

    /// Folder with the plugins to build [default: `plugins` in the source tree around the current folder]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,

    /// What to log
    #[arg(
        long,
        env = "GOLDENPATH_LOG",
        value_name = "FILTER",
        default_value = "warn"
    )]
    log: String,
}

pub(super) fn run(arguments: DemoArguments, output: &Output) -> Result<Exit, Failure> {
    let telemetry = Telemetry::start(&arguments.log, None, output)?;
    let settings = Settings {
        data: arguments.data,
        listen: arguments.listen,
        ..Settings::default()
    };
    let config = Config::load(None, settings).map_err(|error| Failure::usage(chain(&error)))?;
    let data = config.data.clone();
    // Minutes of building for nothing would be worse; the port is taken for good only afterwards.
    drop(listen(config.listen)?);
    keep_little();
    let folders = find_plugins(arguments.plugins.as_deref())?;
    let built = folders
        .iter()
        .map(|folder| build(folder, None, output))
        .collect::<Result<Vec<_>, _>>()?;
    let served = block_on(async {
        let portal = Portal::open(config).await?;
        let credentials = data.join(CREDENTIALS);
        match portal.bootstrap().await? {
            Some((client_id, client_secret)) => {
                write_credentials(&credentials, &portal.url, &client_id, &client_secret)?;
                print_credential(output, &client_id, &client_secret);
            }
            None => move_credentials(&credentials, &portal.url, output)?,
        }
        load_catalog(&portal.app, output).await?;
        for plugin in built {
            install(&portal.app, plugin, output).await?;
        }
        print_guide(&portal.url, &data, &credentials, output);
        portal.serve(output).await
    });
    telemetry.end();
    served
}

/// The folders of the plugins to build, in the order of their names.
fn find_plugins(given: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let folder = match given {
        Some(given) => given.to_owned(),
        None => {
            let here = std::env::current_dir()
                .map_err(|error| Failure::of("find the current folder", &error))?;
            let tree = here
                .ancestors()
                .find(|folder| folder.join("plugins/hello/plugin.toml").is_file());
            let tree = tree.ok_or_else(|| {
                Failure::usage(
                    "the demo builds its plugins from source, and there is no plugins/hello/plugin.toml here or above; \
                     run it in a clone of goldenpath, or name the folder with --plugins",
                )
            })?;
            tree.join("plugins")
        }
    };
    let reading = |error| Failure::of(format!("read folder `{}`", folder.display()), &error);
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        if path.join("plugin.toml").is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Failure::usage(format!(
            "no folder in `{}` has a plugin.toml",
            folder.display()
        )));
    }
    found.sort();
    Ok(found)
}

async fn load_catalog(app: &App, output: &Output) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::of("load the example catalog", error);
    let loaded = BlueprintId::parse(LOADED).map_err(|error| failed(&error))?;
    if app.catalog.find_blueprint(&loaded).await.is_ok() {
        output.note("the catalog is loaded already; it stays as it is");
        return Ok(());
    }
    let documents = demo_documents()?;
    let applied = app
        .apply(&Actor::system(), documents, ApplyMode::Commit)
        .await
        .map_err(|error| failed(&error))?;
    output.note(&format!(
        "loaded the example catalog: {} documents",
        applied.created.len()
    ));
    Ok(())
}

fn demo_documents() -> Result<Documents, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::of("read the example catalog", error);
    let mut documents = Documents::default();
    for (path, json) in DEMO {
        for document in parse_documents(&format!("demo/{path}"), json.as_bytes())
            .map_err(|error| failed(&error))?
        {
            match document.kind {
                DocumentKind::Blueprint => documents.blueprints.push(
                    parse_blueprint(document.value)
                        .map_err(|error| failed(&error))?
                        .into(),
                ),
                DocumentKind::Entity => {
                    let blueprint = text(&document.value, "/blueprint");
                    let blueprint =
                        BlueprintId::parse(blueprint).map_err(|error| failed(&error))?;
                    let draft = parse_draft(document.value).map_err(|error| failed(&error))?;
                    documents.entities.push((blueprint, draft).into());
                }
                DocumentKind::Action | DocumentKind::Scorecard | DocumentKind::Backstage => {}
            }
        }
    }
    Ok(documents)
}

async fn install(app: &App, plugin: Built, output: &Output) -> Result<(), Failure> {
    let name = plugin.inspection.name.clone();
    let failed =
        |error: &dyn std::error::Error| Failure::of(format!("install plugin `{name}`"), error);
    let actor = Actor::system();
    let version = match app.plugins.install(&actor, plugin.package).await {
        Ok(installed) => installed.version,
        // The sources changed since the first start: no reason not to start at all.
        Err(InstallError::Conflict(why)) => {
            output.note(&format!(
                "{why}, or start with another --data; until then the installed one runs"
            ));
            return Ok(());
        }
        Err(error) => return Err(failed(&error)),
    };
    if version.state == PluginState::Active {
        output.note(&format!("{name} {} is active already", version.version));
        return Ok(());
    }
    output.note(&format!(
        "{name} {} {} asks for:",
        version.version, version.digest
    ));
    for line in super::plugin::reasoned(&plugin.inspection) {
        output.note(&format!("  {line}"));
    }
    let read = app
        .plugins
        .find_report(&name, &version.version)
        .await
        .map_err(|error| failed(&error))?;
    app.approve_plugin(&actor, &name, &version.version, Approval::of(&read))
        .await
        .map_err(|error| failed(&error))?;
    output.note(&format!(
        "the demo approves that; elsewhere a reviewer would: goldenpath plugin approve {name} {}",
        version.version
    ));
    Ok(())
}

fn write_credentials(
    file: &Path,
    url: &str,
    client_id: &str,
    client_secret: &str,
) -> Result<(), Failure> {
    let text = format!(
        "GOLDENPATH_URL={url}\nGOLDENPATH_CLIENT_ID={client_id}\nGOLDENPATH_CLIENT_SECRET={client_secret}\n"
    );
    config::write_private(file, &text).map_err(|error| Failure::failed(chain(&error)))
}

/// After a restart the credential is the same, but the port may be another.
fn move_credentials(file: &Path, url: &str, output: &Output) -> Result<(), Failure> {
    if !file.is_file() {
        output.note("this data folder has its own credentials; the demo made none");
        return Ok(());
    }
    let text = config::read_private(file).map_err(|error| Failure::failed(chain(&error)))?;
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    if let (Some(id), Some(secret)) = (
        value("GOLDENPATH_CLIENT_ID"),
        value("GOLDENPATH_CLIENT_SECRET"),
    ) {
        write_credentials(file, url, id, secret)?;
    }
    Ok(())
}

fn print_guide(url: &str, data: &Path, credentials: &Path, output: &Output) {
    if output.is_json() {
        return;
    }
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("goldenpath"));
    let here = std::env::current_dir().unwrap_or_default();
    let program = match program.strip_prefix(&here) {
        Ok(below) => Path::new(".").join(below),
        Err(_) => program,
    };
    let program = shell(&program);
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let credentials =
        shell(&std::path::absolute(credentials).unwrap_or_else(|_| credentials.to_owned()));
    output.block(&format!(
        "
The demo's credential is in {credentials}. In another terminal, here:

  set -a; . {credentials}; set +a

  {program} actions list
  {program} run hello --input name=Ada --follow
  {program} run scaffold-service --input name=orders-api --input system=Cart --input owner=orders --follow
  {program} entity get Component orders-api
  {program} entity get Component CartService

The same with curl:

  token=$(curl -s {url}/v1/auth/access_token -H 'content-type: application/json' \\
    -d \"{{\\\"clientId\\\":\\\"$GOLDENPATH_CLIENT_ID\\\",\\\"clientSecret\\\":\\\"$GOLDENPATH_CLIENT_SECRET\\\"}}\" \\
    | sed 's/.*\"accessToken\":\"\\([^\"]*\\)\".*/\\1/')
  curl -s {url}/v1/actions/scaffold-service/runs -H \"authorization: Bearer $token\" -H 'prefer: wait=30' \\
    -H 'content-type: application/json' -d '{{\"properties\":{{\"name\":\"invoices\",\"system\":\"Cart\"}}}}'
  curl -s {url}/v1/blueprints/Component/entities/invoices -H \"authorization: Bearer $token\"

Every route: {url}/docs
New services' files: {}
",
        shell(&data.join("files"))
    ));
}

/// A path as a shell takes it.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    if text
        .chars()
        .all(|c| c.is_alphanumeric() || "/._-+".contains(c))
    {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_catalog_is_whole_and_everything_has_an_owner() {
        let documents = demo_documents().unwrap();
        assert_eq!(documents.blueprints.len(), 6);
        for placed in &documents.entities {
            let (blueprint, entity) = &placed.value;
            let owned = entity.team.as_ref().is_some_and(|team| !team.is_empty());
            assert!(owned || blueprint.as_str() == "_team", "{entity:?}");
        }
        assert_eq!(documents.entities.len(), 12);
    }

    #[test]
    fn a_path_with_odd_characters_is_quoted() {
        assert_eq!(shell(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(shell(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
