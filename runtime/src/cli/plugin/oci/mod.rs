//! `goldenpath plugin push|pull`, and `install oci://…`: packages in a registry, in the layout that other WebAssembly
//! tools read and write.

mod challenge;
mod manifest;
mod reference;
mod registry;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::build::write_package;
use super::inspect;
use crate::config::Secret;
use crate::model::Digest;
use crate::plugin::{self, Inspection};
use manifest::Artifact;
pub(in crate::cli) use reference::Reference;
use registry::Registry;

/// What a portal takes by default.
const MAX_PACKAGE_BYTES: u64 = 32 << 20;

/// How a registry is reached, and as whom.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Registry")]
pub(in crate::cli) struct RegistryArguments {
    /// Who you are at the registry
    #[arg(long, env = "GOLDENPATH_REGISTRY_USER", value_name = "USER")]
    registry_user: Option<String>,

    /// Your password or token there; prefer the variable, since others on the machine can read flags
    #[arg(
        long,
        env = "GOLDENPATH_REGISTRY_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    registry_password: Option<Secret>,

    /// The registry that these are for, as in its `oci://…`; no other one is told them
    #[arg(long, env = "GOLDENPATH_REGISTRY_HOST", value_name = "HOST[:PORT]")]
    registry_host: Option<String>,

    /// PEM file with the certificate authorities to trust, instead of the public ones
    #[arg(long, env = "GOLDENPATH_REGISTRY_CA", value_name = "FILE")]
    registry_ca: Option<PathBuf>,

    /// Another host that may see the password, since the registry has its tokens made there
    #[arg(long, value_name = "HOST[:PORT]")]
    token_host: Option<String>,

    /// Talk without TLS: to this machine, or `anywhere` if nobody can listen on the way
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "loopback")]
    plain_http: Option<PlainHttp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PlainHttp {
    /// This machine.
    Loopback,
    /// Any host.
    Anywhere,
}

/// A package that came from a registry.
pub(in crate::cli) struct Pulled {
    pub(in crate::cli) package: Vec<u8>,
    pub(in crate::cli) inspection: Inspection,
    /// The place by its digest: what a later pull gets from it is this or nothing.
    pinned: Reference,
}

pub(super) fn push(
    place: &Reference,
    file: &Path,
    move_tag: Moved,
    arguments: &RegistryArguments,
    output: &Output,
) -> Result<Exit, Failure> {
    let (package, inspection) = inspect::read(file)?;
    let tagged = Reference {
        // What a version is called in a registry cannot have a plus sign.
        tag: Some(
            place
                .tag
                .clone()
                .unwrap_or_else(|| inspection.version.to_string().replace('+', "_")),
        ),
        digest: None,
        ..place.clone()
    };
    if place.digest.is_some() {
        return Err(Failure::usage(
            "a digest is what a push ends with; name a tag, or nothing for the version",
        ));
    }
    let artifact = Artifact::of(&package, &inspection);
    let digest = Digest::of(&artifact.manifest);
    let registry = Registry::new(&tagged, arguments)?;
    if let Some((_, there)) = registry.manifest()?
        && there != digest
        && move_tag == Moved::Refused
    {
        return Err(Failure::new(
            Exit::Conflict,
            format!(
                "`{tagged}` is another package ({there}); say --move-tag if it shall be this one"
            ),
        ));
    }
    registry.push_blob(&artifact.config)?;
    registry.push_blob(&package)?;
    let tag = tagged.tag.as_deref().unwrap_or_default();
    registry.push_manifest(tag, &artifact.manifest)?;
    let pinned = tagged.pinned(digest).to_string();
    let result = json!({
        "ok": true, "pushed": tagged.to_string(), "pinned": pinned, "manifestDigest": digest,
        "digest": inspection.digest,
    });
    output.result(&result, |output| {
        output.line(&format!("pushed  {tagged}"));
        output.line(&format!("pin it  {pinned}"));
    });
    Ok(Exit::Done)
}

/// What becomes of a tag that is another package's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Refused,
    Allowed,
}

pub(super) fn pull(
    place: &Reference,
    to: Option<&Path>,
    arguments: &RegistryArguments,
    output: &Output,
) -> Result<Exit, Failure> {
    let pulled = fetch(place, arguments)?;
    let Inspection {
        name,
        version,
        digest,
        ..
    } = &pulled.inspection;
    let usual = PathBuf::from(format!("{name}-{version}.wasm"));
    let to = to.unwrap_or(&usual);
    write_package(to, &pulled.package)
        .map_err(|error| Failure::of(format!("write `{}`", to.display()), &error))?;
    let pinned = pulled.pinned.to_string();
    let result = json!({
        "ok": true, "file": to, "name": name, "version": version, "digest": digest, "pinned": pinned,
    });
    output.result(&result, |output| {
        output.line(&format!("{}", to.display()));
        output.line(&format!("{name} {version} {digest}"));
        output.line(&format!("pin it  {pinned}"));
    });
    Ok(Exit::Done)
}

/// Gets a package, and believes no part of what comes: not the manifest, not the layer, not the package in it.
pub(in crate::cli) fn fetch(
    place: &Reference,
    arguments: &RegistryArguments,
) -> Result<Pulled, Failure> {
    let registry = Registry::new(place, arguments)?;
    let found = registry.manifest()?;
    let (manifest, digest) =
        found.ok_or_else(|| Failure::new(Exit::NotFound, format!("`{place}` is not there")))?;
    if let Some(wanted) = place.digest
        && wanted != digest
    {
        return Err(match &place.tag {
            Some(tag) => Failure::new(
                Exit::Conflict,
                format!("tag `{tag}` was moved: `{place}` is {digest} now"),
            ),
            None => registry.odd(&format!("the manifest that it sent is {digest}")),
        });
    }
    let layer = manifest::read(&manifest, MAX_PACKAGE_BYTES).map_err(|why| registry.odd(&why))?;
    let package = registry.blob(layer)?;
    let inspection =
        plugin::inspect(&package).map_err(|error| Failure::of(format!("`{place}`"), &error))?;
    Ok(Pulled {
        package,
        inspection,
        pinned: place.pinned(digest),
    })
}
