//! The file of a case: what there is, what is asked, what is answered, and what has to come of it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::super::exit::{Failure, chain};
use super::exchange::Exchange;
use crate::app::Documents;
use crate::catalog::{
    self, Document, DocumentKind, locate, parse_blueprint, parse_documents, parse_draft,
    parse_yaml_value, read_document,
};
use crate::model::{BlueprintId, EntityId, Timestamp};

/// Bytes of one case and of one file of documents beside it: pages of text, with recorded answers.
const MAX_BYTES: u64 = 4 << 20;

/// Exchanges of one case; no manifest asks for more requests in one call.
const MAX_EXCHANGES: usize = 1_000;

/// 2026-01-01T00:00:00Z: the same on every day.
const DEFAULT_TIME: Timestamp = Timestamp(1_767_225_600_000);

/// A case, and where it was read.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) text: String,
    pub(super) content: Content,
    /// What the catalog holds before.
    pub(super) documents: Documents,
}

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Content {
    /// For whoever reads it.
    #[serde(default)]
    #[expect(dead_code, reason = "for whoever reads the file")]
    pub(super) description: Option<String>,
    pub(super) action: String,
    #[serde(default)]
    pub(super) input: Map<String, Value>,
    pub(super) entity: Option<EntityName>,
    #[serde(default = "default_person")]
    pub(super) requested_by: String,
    #[serde(default = "default_time")]
    pub(super) at: Timestamp,
    /// Documents, or names of files of such beside the case.
    #[serde(default)]
    catalog: Vec<Value>,
    /// By folder and path.
    #[serde(default)]
    pub(super) files: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) http: Vec<Exchange>,
    #[serde(default)]
    pub(super) expect: Expectations,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntityName {
    pub(super) blueprint: BlueprintId,
    pub(super) identifier: EntityId,
}

/// What has to come of the call.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Expectations {
    /// All of the output.
    pub(super) output: Option<Value>,
    /// Some of its members.
    pub(super) output_includes: Option<Value>,
    /// That it fails; without it, it has to succeed.
    pub(super) failure: Option<ExpectedFailure>,
    /// Entities with some of their members.
    pub(super) catalog: Vec<ExpectedEntity>,
    /// By folder and path; `null` where there has to be nothing.
    pub(super) files: BTreeMap<String, BTreeMap<String, Option<ExpectedText>>>,
    /// Parts of lines of the log.
    pub(super) log: Vec<String>,
    /// Exactly the lines that are denied.
    pub(super) denied: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedFailure {
    pub(super) code: String,
    /// A part of it.
    pub(super) message: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExpectedEntity {
    pub(super) blueprint: BlueprintId,
    pub(super) identifier: EntityId,
    /// That there is none.
    #[serde(default)]
    pub(super) absent: bool,
    /// Its members, as the API shows them.
    #[serde(flatten)]
    pub(super) members: Map<String, Value>,
}

/// What a file has to hold.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ExpectedText {
    /// All of it.
    Whole(String),
    /// Some of it.
    Parts { includes: Vec<String> },
}

fn default_person() -> String {
    "dev@example.com".to_owned()
}

fn default_time() -> Timestamp {
    DEFAULT_TIME
}

/// The name of a case by that of its file; absent where the file is none.
pub(super) fn name_of(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".yaml").or(file.strip_suffix(".yml"))?;
    Some(name).filter(|name| !name.starts_with('.') && !name.is_empty())
}

impl Case {
    pub(super) fn read(dir: &Dir, folder: &Path, name: &str) -> Result<Self, Failure> {
        let file = folder.join(name);
        let text = read_text(dir, name, &file)?;
        let content = parse(&file, &text)?;
        let documents = read_documents(dir, &file, &content.catalog)?;
        Ok(Self {
            name: name_of(name).unwrap_or(name).to_owned(),
            file,
            text,
            content,
            documents,
        })
    }
}

/// Reads the text of a case; what is wrong is told with file, line and key.
pub(super) fn parse(file: &Path, text: &str) -> Result<Content, Failure> {
    let shown = file.display().to_string();
    let value =
        parse_yaml_value(&shown, text.as_bytes()).map_err(|error| Failure::usage(chain(&error)))?;
    let content: Content = serde_path_to_error::deserialize(&value).map_err(|error| {
        let pointer: String = error.path().iter().fold(String::new(), |mut at, step| {
            at.push('/');
            at.push_str(&step.to_string().replace(['[', ']'], ""));
            at
        });
        let line = locate(text, 0, &pointer).map_or_else(String::new, |line| format!(":{line}"));
        Failure::usage(format!("`{shown}`{line}: {pointer}: {}", error.inner()))
    })?;
    if content.http.len() > MAX_EXCHANGES {
        return Err(Failure::usage(format!(
            "`{shown}` has {} exchanges; at most {MAX_EXCHANGES} are read",
            content.http.len()
        )));
    }
    for (index, exchange) in content.http.iter().enumerate() {
        let checked = exchange.check();
        checked.map_err(|why| Failure::usage(format!("`{shown}`: /http/{index}: {why}")))?;
    }
    Ok(content)
}

fn read_text(dir: &Dir, name: &str, shown: &Path) -> Result<String, Failure> {
    let failed =
        |why: &dyn std::fmt::Display| Failure::usage(format!("read `{}`: {why}", shown.display()));
    let mut text = String::new();
    let opened = dir.open(name).map_err(|error| failed(&error))?;
    let read = opened.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| failed(&error))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(&format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(text)
}

/// Documents that stand in the case, and those of files beside it.
fn read_documents(dir: &Dir, file: &Path, listed: &[Value]) -> Result<Documents, Failure> {
    let refused = |error: &dyn std::error::Error| {
        Failure::usage(format!("`{}`: {}", file.display(), chain(error)))
    };
    let mut documents = Documents::default();
    for (index, value) in listed.iter().enumerate() {
        let read = match value {
            Value::String(beside) => {
                let path = file.with_file_name(beside);
                let text = read_text(dir, beside, &path)?;
                parse_documents(beside, text.as_bytes()).map_err(|error| refused(&error))?
            }
            value => {
                let place = format!("/catalog/{index}");
                vec![read_document(&place, value.clone()).map_err(|error| refused(&error))?]
            }
        };
        for document in read {
            add(&mut documents, document).map_err(|error| match error {
                Unplaced::Refused(error) => refused_by(file, &error),
                Unplaced::Name(error) => refused(&error),
                Unplaced::Kind(source) => Failure::usage(format!(
                    "`{}`: {source}: a case takes blueprints and entities",
                    file.display()
                )),
            })?;
        }
    }
    Ok(documents)
}

enum Unplaced {
    Refused(catalog::Error),
    Name(crate::model::IdentError),
    Kind(String),
}

fn add(documents: &mut Documents, document: Document) -> Result<(), Unplaced> {
    match document.kind {
        DocumentKind::Blueprint => {
            let blueprint = parse_blueprint(document.value).map_err(Unplaced::Refused)?;
            documents.blueprints.push(blueprint.into());
        }
        DocumentKind::Entity => {
            let blueprint = document.value.get("blueprint").and_then(Value::as_str);
            let blueprint =
                BlueprintId::parse(blueprint.unwrap_or_default()).map_err(Unplaced::Name)?;
            let draft = parse_draft(document.value).map_err(Unplaced::Refused)?;
            documents.entities.push((blueprint, draft).into());
        }
        DocumentKind::Action | DocumentKind::Scorecard | DocumentKind::Backstage => {
            return Err(Unplaced::Kind(document.source));
        }
    }
    Ok(())
}

fn refused_by(file: &Path, error: &catalog::Error) -> Failure {
    let failure = Failure::usage(format!("`{}`: {}", file.display(), chain(error)));
    match error {
        catalog::Error::Invalid { violations, .. } => {
            failure.with_details(violations.iter().map(ToString::to_string).collect())
        }
        _ => failure,
    }
}
