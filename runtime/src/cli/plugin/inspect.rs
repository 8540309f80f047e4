//! `goldenpath plugin inspect`: what a reviewer needs, from the file alone.

use std::path::Path;

use serde_json::{Value, json};

use super::super::client::{list, text};
use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::build::unreadable;
use crate::config;
use crate::model::{Risk, Sbom};
use crate::plugin::{self, Inspection};

/// As much of a readme as fits a screen beside the rest.
const README_LINES: usize = 12;

pub(super) fn run(file: &Path, output: &Output) -> Result<Exit, Failure> {
    let (_, inspection) = read(file)?;
    output.result(&to_json(&inspection), |output| show(&inspection, output));
    Ok(Exit::Done)
}

/// Reads a package, running nothing.
pub(super) fn read(file: &Path) -> Result<(Vec<u8>, Inspection), Failure> {
    let package = config::read_file(file, super::MAX_PACKAGE_BYTES)
        .map_err(|error| unreadable(file, &error))?;
    let inspection = plugin::inspect(&package).map_err(|error| unreadable(file, &error))?;
    Ok((package, inspection))
}

/// The lines that a plugin asks for, each with its author's reason.
pub(in crate::cli) fn reasoned(inspection: &Inspection) -> Vec<String> {
    let lines = inspection.requested.iter();
    lines
        .map(|line| match inspection.reasons.get(line) {
            Some(reason) => format!("{line}    # {reason}"),
            None => line.clone(),
        })
        .collect()
}

/// What a package was built from, in one line; all of it is in the JSON form.
fn made_of(sbom: Option<&Sbom>) -> String {
    sbom.map_or_else(|| "what it does not say".to_owned(), ToString::to_string)
}

fn to_json(inspection: &Inspection) -> Value {
    json!({
        "name": inspection.name,
        "version": inspection.version,
        "title": inspection.title,
        "description": inspection.description,
        "digest": inspection.digest,
        "manifestHash": inspection.manifest_hash,
        "size": inspection.size,
        "requested": inspection.requested,
        "reasons": inspection.reasons,
        "risks": inspection.risks,
        "endpoints": inspection.endpoints,
        "secrets": inspection.secrets,
        "imports": inspection.imports,
        "exports": inspection.exports,
        "sbom": inspection.sbom,
        "provenance": inspection.provenance,
        "findings": inspection.findings,
        "schemas": inspection.schemas,
        "resources": inspection.resources,
        "readme": inspection.readme,
    })
}

fn show(inspection: &Inspection, output: &Output) {
    output.line(&format!(
        "{} {}  {}",
        inspection.name, inspection.version, inspection.title
    ));
    output.line(&inspection.description);
    output.line(&format!(
        "package    {}, {} bytes",
        inspection.digest, inspection.size
    ));
    output.line(&format!("manifest   {}", inspection.manifest_hash));
    output.line(&format!("made of    {}", made_of(inspection.sbom.as_ref())));
    let provenance = &inspection.provenance;
    if provenance.signatures.is_empty() {
        output.line("signed     by nobody");
    }
    for mark in &provenance.signatures {
        output.line(&format!("signed     {mark}"));
    }
    section(output, "asks for", &reasoned(inspection));
    let risks = inspection.risks.iter();
    let risks: Vec<String> = risks
        .filter(|risk| risk.risk != Risk::Low)
        .map(|risk| {
            let word = if risk.risk == Risk::High {
                "high"
            } else {
                "medium"
            };
            format!("{word:7}{}: {}", risk.line, risk.why.join("; "))
        })
        .collect();
    section(output, "look twice at", &risks);
    let endpoints = inspection.endpoints.iter().map(|(name, url)| {
        let url = url.as_deref().unwrap_or("where the reviewer says");
        format!("{name} at {url}")
    });
    section(output, "endpoints", &endpoints.collect::<Vec<_>>());
    let secrets = inspection.secrets.iter();
    let secrets = secrets.map(|(name, request)| format!("{name} {request}"));
    section(output, "secrets", &secrets.collect::<Vec<_>>());
    section(output, "imports", &inspection.imports);
    section(output, "exports", &inspection.exports);
    let findings: Vec<String> = inspection
        .findings
        .iter()
        .map(|finding| format!("{}: {}", finding.code, finding.message))
        .collect();
    section(output, "findings", &findings);
    output.line("");
    for action in list(&inspection.schemas, "actions") {
        output.line(&format!(
            "action {}: {}",
            text(action, "/name"),
            text(action, "/description")
        ));
        for (title, key) in [("input", "inputSchema"), ("output", "outputSchema")] {
            let schema = action.get(key).unwrap_or(&Value::Null);
            output.line(&format!("  {title}"));
            let pretty = serde_json::to_string_pretty(schema).unwrap_or_default();
            for line in pretty.lines() {
                output.line(&format!("    {line}"));
            }
        }
    }
    let shipped: Vec<String> = inspection.resources.keys().cloned().collect();
    section(output, "ships", &shipped);
    let readme: Vec<String> = inspection
        .readme
        .lines()
        .take(README_LINES)
        .map(str::to_owned)
        .collect();
    section(output, "readme", &readme);
}

pub(super) fn section(output: &Output, title: &str, lines: &[String]) {
    output.line("");
    output.line(title);
    if lines.is_empty() {
        output.line("  nothing");
    }
    for line in lines {
        output.line(&format!("  {line}"));
    }
}
