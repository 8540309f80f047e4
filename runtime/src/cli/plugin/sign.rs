//! `goldenpath plugin keygen|sign|verify`: who stands for a package, on this machine alone.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::exit::{Exit, Failure, chain};
use super::super::output::Output;
use super::build::{unreadable, write_package};
use crate::config;
use crate::model::Timestamp;
use crate::plugin::{self, InstallError, PublicKey, SigningKey, TrustPolicy};

/// What `verify` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  goldenpath plugin verify greeter.wasm --trusted-key alice=KEY --trusted-key bob=KEY --required 2"
)]
pub(in crate::cli) struct VerifyArguments {
    /// The package
    file: PathBuf,

    /// Whose signature counts, as `name=KEY` or `name=KEY until 2027-01-31T00:00:00Z`; may be repeated
    #[arg(long = "trusted-key", value_name = "NAME=KEY", required = true)]
    trusted: Vec<String>,

    /// How many signers it takes
    #[arg(long, default_value_t = 1)]
    required: usize,
}

pub(super) fn make_key(file: &Path, output: &Output) -> Result<Exit, Failure> {
    let (key, text) = SigningKey::generate().map_err(|error| Failure::of("make a key", &error))?;
    config::create_private(file, &text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(
            Exit::Conflict,
            format!("`{}` exists; a key is never written over", file.display()),
        ),
        _ => Failure::of(format!("write `{}`", file.display()), &error),
    })?;
    print_key(&key.public(), output);
    Ok(Exit::Done)
}

fn print_key(key: &PublicKey, output: &Output) {
    let (text, id) = (key.to_string(), key.id());
    output.result(
        &json!({"ok": true, "publicKey": text, "keyId": id}),
        |output| {
            output.line(&format!("public key  {text}"));
            output.line(&format!("key id      {id}"));
        },
    );
}

pub(super) fn sign(
    file: &Path,
    key: &Path,
    to: Option<&Path>,
    output: &Output,
) -> Result<Exit, Failure> {
    let text = config::read_private(key).map_err(|error| Failure::usage(chain(&error)))?;
    let key = SigningKey::parse(&text)
        .map_err(|error| Failure::usage(format!("`{}`: {error}", key.display())))?;
    let package = config::read_file(file, super::MAX_PACKAGE_BYTES)
        .map_err(|error| unreadable(file, &error))?;
    let signed = plugin::sign(&package, &key).map_err(|error| unreadable(file, &error))?;
    let read = plugin::inspect(&signed).map_err(|error| unreadable(file, &error))?;
    let to = to.unwrap_or(file);
    write_package(to, &signed)
        .map_err(|error| Failure::of(format!("write `{}`", to.display()), &error))?;
    let (digest, of) = (read.digest, read.provenance.signed_digest);
    let id = key.public().id();
    let result = json!({"ok": true, "file": to, "digest": digest, "signedDigest": of, "keyId": id});
    output.result(&result, |output| {
        output.line(&format!("{}", to.display()));
        output.line(&format!("package  {digest}"));
        output.line(&format!("signed   {of}"));
        output.line(&format!("by key   {id}"));
    });
    Ok(Exit::Done)
}

pub(super) fn verify(arguments: &VerifyArguments, output: &Output) -> Result<Exit, Failure> {
    let policy = TrustPolicy::parse(&arguments.trusted, arguments.required)
        .map_err(|why| Failure::usage(format!("--trusted-key: {why}")))?;
    let file = &arguments.file;
    let package = config::read_file(file, super::MAX_PACKAGE_BYTES)
        .map_err(|error| unreadable(file, &error))?;
    let verified = plugin::verify(&package, &policy, Timestamp::now());
    let found = verified.map_err(|error| {
        let mut failure = unreadable(file, &error);
        if matches!(error, InstallError::Untrusted(_)) {
            "untrusted_package".clone_into(&mut failure.code);
        }
        failure
    })?;
    let result = json!({"ok": true, "provenance": found});
    output.result(&result, |output| {
        let signers: Vec<&str> = found.signers.iter().map(String::as_str).collect();
        output.line(&format!("signed by {}", signers.join(", ")));
        output.line(&format!("signed    {}", found.signed_digest));
    });
    Ok(Exit::Done)
}
