#![doc = include_str!("../README.md")]

mod template;

use goldenpath_sdk::catalog::Error as CatalogError;
use goldenpath_sdk::files::{Error as FileError, Folder};
use goldenpath_sdk::prelude::*;

/// The folder of `plugin.toml` that holds every service.
const SERVICES: &str = "services";

/// What the developer asks for.
#[input]
pub struct ScaffoldService {
    /// Name of the service: lower-case letters, digits and dashes.
    #[field(pattern = r"^[a-z][a-z0-9-]*[a-z0-9]$", length = 3..=40)]
    pub name: String,
    /// The system that the service belongs to.
    #[field(entity = "System")]
    pub system: String,
    /// The programming language.
    #[serde(default)]
    pub language: Language,
    /// The team that owns the service, by its identifier.
    #[field(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$", length = ..=100)]
    pub owner: Option<String>,
    /// What the service is for, in one line.
    #[field(pattern = r"^[^\x00-\x1f\x7f]*$", length = ..=200)]
    pub description: Option<String>,
    /// Where people reach the portal, for the links; without it they are relative to it.
    #[serde(rename = "portalUrl")]
    #[field(pattern = r"^https?://[^\s/]+$", length = ..=200)]
    pub portal_url: Option<String>,
}

/// The languages that there is a template for.
#[input]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    Rust,
    Go,
    Python,
    TypeScript,
}

/// What was made.
#[output]
pub struct Scaffolded {
    /// The service's folder, inside the folder `services`.
    pub path: String,
    /// How many files it holds.
    pub files: usize,
    /// Identifier of the new entity of blueprint `Component`.
    pub entity: String,
    /// Where to look next.
    pub links: Vec<Link>,
}

/// One place to look at.
#[output]
pub struct Link {
    /// What is there.
    pub title: String,
    /// Its URL; relative to the portal where that is not known.
    pub url: String,
}

/// Writes the files of a new microservice and registers it in the catalog.
#[action]
pub fn scaffold_service(input: ScaffoldService, ctx: &Context) -> Result<Scaffolded, Failure> {
    let services = ctx.folder(SERVICES);
    check_is_free(&input, ctx)?;

    let files = template::render(&input);
    // Whoever looks into the folder sees a whole service or none.
    let staging = format!(".partial-{}", ctx.run_id());
    let written =
        write_files(&files, &staging, ctx).and_then(|()| publish(services, &staging, &input.name));
    if let Err(failure) = written {
        discard(services, &staging, ctx);
        return Err(failure);
    }
    if let Err(failure) = register(&input, ctx) {
        discard(services, &input.name, ctx);
        return Err(failure);
    }

    let base = input.portal_url.unwrap_or_default();
    let url = format!("{base}/v1/blueprints/Component/entities/{}", input.name);
    if !base.is_empty() {
        ctx.log().link(&url, "Catalog entity");
    }
    ctx.log()
        .info(format!("the service `{}` is ready", input.name));
    Ok(Scaffolded {
        path: input.name.clone(),
        files: files.len(),
        entity: input.name,
        links: vec![Link {
            title: "Catalog entity".to_owned(),
            url,
        }],
    })
}

/// Refuses before anything is written, so that the usual mistakes cost nothing.
fn check_is_free(input: &ScaffoldService, ctx: &Context) -> Result<(), Failure> {
    let ScaffoldService { name, system, .. } = input;
    if ctx.catalog().find("System", system)?.is_none() {
        return Err(Failure::new(
            "unknown_system",
            format!("there is no system `{system}` in the catalog"),
        ));
    }
    if ctx.catalog().find("Component", name)?.is_some() {
        return Err(Failure::new(
            "service_exists",
            format!("the catalog has a component `{name}` already"),
        ));
    }
    if ctx.folder(SERVICES).exists(name)? {
        return Err(folder_taken(name));
    }
    ctx.log().info(format!(
        "`{name}` is free, and the system `{system}` exists"
    ));
    Ok(())
}

fn write_files(files: &[(String, String)], staging: &str, ctx: &Context) -> Result<(), Failure> {
    let total = files.len() as u64;
    for (done, (path, text)) in (1..).zip(files) {
        ctx.folder(SERVICES)
            .create(&format!("{staging}/{path}"), text)?;
        ctx.log().info(format!("wrote {path}"));
        ctx.log().progress(done, total, path);
    }
    Ok(())
}

/// Gives the finished folder its name, in one step.
fn publish(services: Folder<'_>, staging: &str, name: &str) -> Result<(), Failure> {
    services.rename(staging, name).map_err(|error| match error {
        FileError::AlreadyExists(_) => folder_taken(name),
        other => other.into(),
    })
}

fn register(input: &ScaffoldService, ctx: &Context) -> Result<(), Failure> {
    let mut service = Entity::new("Component", &input.name)
        .title(&input.name)
        .property("type", "service")
        .property("language", input.language.as_str())
        .relation("system", &input.system);
    if let Some(owner) = &input.owner {
        service = service.team(owner);
    }
    ctx.catalog()
        .create(&service)
        .map_err(|error| match error {
            CatalogError::Conflict(_) => Failure::new(
                "service_exists",
                format!(
                    "somebody registered the component `{}` meanwhile",
                    input.name
                ),
            ),
            other => other.into(),
        })?;
    ctx.log().info(format!(
        "registered the component `{}` in the system `{}`",
        input.name, input.system
    ));
    Ok(())
}

/// Takes back what this run wrote. The run has failed already: what is left is said, not returned.
fn discard(services: Folder<'_>, path: &str, ctx: &Context) {
    match services.remove_all(path) {
        Ok(()) => ctx.log().info(format!("removed `{path}` again")),
        Err(FileError::NotFound(_)) => {}
        Err(error) => ctx.log().error(format!(
            "`{path}` in the folder `{SERVICES}` has to be removed by hand: {error}"
        )),
    }
}

fn folder_taken(name: &str) -> Failure {
    Failure::new(
        "service_exists",
        format!("the folder `{SERVICES}` has a `{name}` already"),
    )
}

goldenpath_sdk::plugin!(scaffold_service);
