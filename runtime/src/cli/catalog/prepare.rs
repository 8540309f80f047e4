//! From files to the body of an apply, and from its refusal back to the files.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::super::client::{Client, Payload, list, text};
use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::files::{Files, MAX_ERRORS};
use crate::catalog::{
    Document, DocumentKind, MAX_BYTES, MAX_DOCUMENTS, convert_backstage, find_lacking, origin,
};

/// What becomes of the blueprints that are added for descriptors of Backstage, in messages.
const ADDED: &str = "--with-blueprints";

/// Which documents are meant, and as what.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// A folder or a file
    path: PathBuf,

    /// Name of where these documents are kept; what is applied belongs to it from then on
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,

    /// Also delete what belongs to the source and has no document any more
    #[arg(long, requires = "source")]
    pub(super) prune: bool,

    /// Most that --prune may delete, in percent of what the source has
    #[arg(long, value_name = "PERCENT", requires = "prune", default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    prune_limit: u8,

    /// Add what the blueprints lack for documents of Backstage
    #[arg(long)]
    with_blueprints: bool,
}

/// Documents that are ready to be sent.
#[derive(Debug)]
pub(super) struct Prepared {
    files: Files,
    body: Value,
}

impl Selection {
    /// Reads the documents, and makes of descriptors of Backstage what the catalog holds.
    pub(super) fn prepare(&self, client: &Client, output: &Output) -> Result<Prepared, Failure> {
        let mut files = Files::read(&self.path)?;
        let documents = std::mem::take(&mut files.documents);
        let converted = convert_backstage(documents).map_err(|errors| {
            let count = errors.len();
            let told = errors.iter().take(MAX_ERRORS).map(ToString::to_string);
            Failure::failed(format!(
                "{count} thing(s) in documents of Backstage cannot be read; nothing was applied"
            ))
            .with_details(told.collect())
        })?;
        for note in &converted.notes {
            output.note(&format!("note: {note}"));
        }
        files.documents = converted.documents;
        if files
            .documents
            .iter()
            .any(|document| document.from_backstage)
        {
            self.complete(&mut files.documents, client, output)?;
        }
        if files.documents.is_empty() {
            return Err(Failure::usage(format!(
                "`{}` has nothing that the catalog holds",
                self.path.display()
            )));
        }
        if files.documents.len() > MAX_DOCUMENTS {
            return Err(Failure::failed(format!(
                "there are {} documents; one apply is one transaction and takes at most {MAX_DOCUMENTS}: apply the folders one by one",
                files.documents.len()
            )));
        }
        let documents: Vec<Value> = files
            .documents
            .iter()
            .map(|one| json!({"source": one.source, "kind": kind(one), "value": one.value}))
            .collect();
        let mut body = Map::from_iter([("documents".to_owned(), Value::Array(documents))]);
        if let Some(source) = &self.source {
            body.insert("source".to_owned(), source.as_str().into());
        }
        if self.prune {
            body.insert("prune".to_owned(), json!({"limit": self.prune_limit}));
        }
        Ok(Prepared {
            files,
            body: Value::Object(body),
        })
    }

    /// Adds the blueprints that descriptors need, or says which.
    fn complete(
        &self,
        documents: &mut Vec<Document>,
        client: &Client,
        output: &Output,
    ) -> Result<(), Failure> {
        let answer = client.get("/v1/blueprints")?;
        let lacking = find_lacking(documents, list(&answer, "blueprints"))
            .map_err(|error| Failure::of("read the blueprints for Backstage", &error))?;
        if lacking.missing.is_empty() {
            return Ok(());
        }
        if !self.with_blueprints {
            let failure = Failure::failed(format!(
                "the catalog lacks what these documents of Backstage need; {ADDED} adds it, without touching what is there"
            ));
            let missing = lacking
                .missing
                .iter()
                .map(|what| format!("missing: {what}"));
            return Err(failure.with_details(missing.collect()));
        }
        for what in &lacking.missing {
            output.note(&format!("adding {what}"));
        }
        let added = lacking.blueprints.into_iter().map(|value| Document {
            source: ADDED.to_owned(),
            number: 0,
            kind: DocumentKind::Blueprint,
            from_backstage: false,
            value,
        });
        documents.splice(0..0, added);
        Ok(())
    }
}

impl Prepared {
    /// Sends the documents; a refusal names files.
    pub(super) fn send(&self, client: &Client, dry_run: bool) -> Result<Value, Failure> {
        let size = self.body.to_string().len();
        if size > MAX_BYTES {
            return Err(Failure::failed(format!(
                "the documents have {size} bytes; one apply is one transaction and takes at most {MAX_BYTES}: apply the folders one by one"
            )));
        }
        let path = format!("/v1/catalog/apply?dry_run={dry_run}");
        client
            .ask(&Method::POST, &path, Payload::Json(&self.body), &[])
            .map_err(|failure| self.name_files(failure))
    }

    /// From now on nothing else may be deleted than this.
    pub(super) fn expect(&mut self, deleted: &[Value]) {
        if let Some(Value::Object(prune)) = self.body.get_mut("prune") {
            prune.insert("expected".to_owned(), deleted.into());
        }
    }

    /// Every document in the words of the server, with its file.
    pub(super) fn labels(&self) -> impl Iterator<Item = (String, &str)> {
        self.files
            .documents
            .iter()
            .map(|document| (label(document), document.source.as_str()))
    }

    /// Puts file and line where the server names a document by its number.
    fn name_files(&self, mut failure: Failure) -> Failure {
        if failure.exit == Exit::NotFound {
            // Not the command's own object: one of the documents points at nothing.
            failure.exit = Exit::Failed;
        }
        failure.details = failure
            .violations
            .iter()
            .map(|violation| self.name_file(violation))
            .collect();
        if !failure.details.is_empty() {
            failure.message = format!(
                "the documents break {} rule(s); nothing was applied",
                failure.details.len()
            );
        }
        failure
    }

    fn name_file(&self, violation: &Value) -> String {
        let (path, message) = (text(violation, "/path"), text(violation, "/message"));
        let place = path
            .strip_prefix("/documents/")
            .map(|rest| rest.split_once('/').unwrap_or((rest, "")));
        let found = place.and_then(|(number, rest)| {
            let document = self.files.documents.get(number.parse::<usize>().ok()?)?;
            Some((document, rest.strip_prefix("value").unwrap_or(rest)))
        });
        let Some((document, pointer)) = found else {
            return if path.is_empty() {
                message
            } else {
                format!("{path}: {message}")
            };
        };
        let pointer = if document.from_backstage {
            origin(pointer)
        } else {
            pointer.to_owned()
        };
        let line = self.files.line(document, &pointer);
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        let pointer = if pointer.is_empty() { "/" } else { &pointer };
        // It names the source too, which stands in front already.
        let message = message
            .strip_prefix(&format!("{}: ", document.source))
            .unwrap_or(&message);
        format!("{}{line}: {pointer}: {message}", document.source)
    }
}

fn kind(document: &Document) -> &'static str {
    match document.kind {
        DocumentKind::Blueprint => "blueprint",
        DocumentKind::Action => "action",
        DocumentKind::Scorecard => "scorecard",
        DocumentKind::Entity | DocumentKind::Backstage => "entity",
    }
}

/// A document in the words of the server.
fn label(document: &Document) -> String {
    let member = |name: &str| {
        let value = document.value.get(name).and_then(Value::as_str);
        value.unwrap_or_default()
    };
    match document.kind {
        DocumentKind::Entity | DocumentKind::Backstage | DocumentKind::Scorecard => {
            let kind = kind(document);
            format!("{kind} {}/{}", member("blueprint"), member("identifier"))
        }
        _ => format!("{} {}", kind(document), member("identifier")),
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test makes its files as any other program would"
)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_file_line_pointer_and_document() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("all.yaml"),
            "blueprint: A\nidentifier: a\n---\nblueprint: A\nidentifier: b\nproperties:\n  type: x\n",
        )
        .unwrap();
        let files = Files::read(folder.path()).unwrap();
        let prepared = Prepared {
            files,
            body: Value::Null,
        };
        let source = prepared.files.documents[1].source.clone();
        let told = |path: &str, message: &str| {
            prepared.name_file(&json!({"path": path, "rule": "enum", "message": message}))
        };
        assert_eq!(
            told(
                "/documents/1/value/properties/type",
                &format!("{source}: entity `b`: is not one of")
            ),
            format!("{source}:7: /properties/type: entity `b`: is not one of")
        );
        assert_eq!(
            told("/documents/1/value", "entity `b` of blueprint `A`: has no"),
            format!("{source}:4: /: entity `b` of blueprint `A`: has no")
        );
        assert_eq!(
            told("/prune/limit", "is in percent"),
            "/prune/limit: is in percent"
        );
        assert_eq!(
            told("/documents/9/value", "strange"),
            "/documents/9/value: strange"
        );
    }
}
