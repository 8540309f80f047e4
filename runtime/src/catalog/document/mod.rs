//! From files to documents: what a file holds is told by the folder it lies in, else by its shape. No I/O here.

mod backstage;
mod locate;
mod write;

use serde_json::Value;

pub use backstage::{Converted, Lacking, convert_backstage, find_lacking, origin};
pub use locate::locate;
pub use write::write_document;

use super::json::{JsonError, JsonErrorKind, is_typographic, parse_json};
use super::schema::{MAX_DEPTH, is_deeper, shorten};

/// Bytes of one file.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Documents of one YAML file.
const MAX_DOCUMENTS: usize = 10_000;

/// Parts that the anchors of one YAML file may unfold to beyond what stands in it.
const MAX_REPLAYED: usize = 10_000;

/// Folders whose documents a later version takes.
const LATER: &[&str] = &["integrations", "webhooks"];

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// See [`super::parse_blueprint`].
    Blueprint,
    /// See [`super::parse_draft`]; `blueprint` is always there.
    Entity,
    /// A self-service action.
    Action,
    /// A descriptor as Backstage has them; see [`convert_backstage`].
    Backstage,
    /// See [`super::parse_scorecard`]; `blueprint` is always there.
    Scorecard,
}

/// One document out of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file's path as it was given, with the number of the document where a file has several.
    pub source: String,
    /// Its number in the file, the first one is 0.
    pub number: usize,
    /// What it is.
    pub kind: DocumentKind,
    /// Whether it was a descriptor of Backstage before it became what it is.
    pub from_backstage: bool,
    /// Its content: always an object.
    pub value: Value,
}

/// Why a file is not a document.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// It is not the JSON that its name promises.
    #[error("`{source_path}`, {error}")]
    Json {
        /// The file's path as it was given.
        source_path: String,
        /// What is wrong, and where.
        error: JsonError,
    },
    /// It is not the YAML that its name promises, or more than the portal takes.
    #[error("`{source_path}`, line {line}, column {column}: {message}")]
    Yaml {
        /// The file's path as it was given.
        source_path: String,
        /// Line, the first one is 1.
        line: u64,
        /// Column, the first one is 1.
        column: u64,
        /// What is wrong there.
        message: String,
    },
    /// It can be read, but is nothing that the catalog holds.
    #[error("`{source_path}`: {message}")]
    Content {
        /// The file's path as it was given.
        source_path: String,
        /// What is wrong, and what to do about it.
        message: String,
    },
}

/// Whether a file's name says that it holds documents.
pub fn is_document(path: &str) -> bool {
    Format::of(path).is_some()
}

/// Reads the documents of one file.
///
/// The path is that below the folder which was asked for, that folder's own name included, with `/` between its parts.
///
/// # Errors
/// The first fault, with the file's path, and line and column where there are any.
pub fn parse_documents(path: &str, text: &[u8]) -> Result<Vec<Document>, DocumentError> {
    let content = |message: String| DocumentError::Content {
        source_path: path.to_owned(),
        message,
    };
    let Some(format) = Format::of(path) else {
        return Err(content("is neither .json nor .yaml".to_owned()));
    };
    if text.len() > MAX_BYTES {
        return Err(content(format!(
            "has {} bytes; at most {MAX_BYTES} are read",
            text.len()
        )));
    }
    let values = match format {
        Format::Json => vec![parse_json(text).map_err(|error| DocumentError::Json {
            source_path: path.to_owned(),
            error,
        })?],
        Format::Yaml => parse_yaml(path, text)?,
    };
    let place = Place::of(path);
    if let Place::Later(folder) = place
        && !values.iter().all(backstage::is_descriptor)
    {
        return Err(content(format!(
            "lies in `{folder}/`, whose documents this version does not know yet; leave that folder out"
        )));
    }
    let count = values.len();
    let sourced = |index: usize| {
        if count > 1 {
            format!("{path} (document {})", index + 1)
        } else {
            path.to_owned()
        }
    };
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| document(sourced(index), index, place, value))
        .collect()
}

/// Reads a file of one YAML or JSON value that need not be a document, within the bounds that hold for documents.
///
/// # Errors
/// The first fault, with the file's path, and line and column.
pub fn parse_yaml_value(path: &str, text: &[u8]) -> Result<Value, DocumentError> {
    let content = |message: String| DocumentError::Content {
        source_path: path.to_owned(),
        message,
    };
    if text.len() > MAX_BYTES {
        return Err(content(format!(
            "has {} bytes; at most {MAX_BYTES} are read",
            text.len()
        )));
    }
    let mut values = parse_yaml(path, text)?;
    match (values.pop(), values.len()) {
        (Some(value), 0) => Ok(value),
        (None, _) => Err(content("is empty".to_owned())),
        (Some(_), more) => Err(content(format!("holds {} documents, not one", more + 1))),
    }
}

/// Tells what a value is that stands in no file of its own, by its shape.
///
/// # Errors
/// It is nothing that the catalog holds.
pub fn read_document(source: &str, value: Value) -> Result<Document, DocumentError> {
    document(source.to_owned(), 0, Place::Nowhere, value)
}

fn document(
    source: String,
    number: usize,
    place: Place<'_>,
    mut value: Value,
) -> Result<Document, DocumentError> {
    let refused = |message: String| {
        Err(DocumentError::Content {
            source_path: source.clone(),
            message,
        })
    };
    if backstage::is_descriptor(&value) {
        return Ok(Document {
            source,
            number,
            kind: DocumentKind::Backstage,
            from_backstage: true,
            value,
        });
    }
    let Value::Object(fields) = &mut value else {
        return refused("must be an object with an `identifier`".to_owned());
    };
    // In YAML such a mark is an ordinary letter, and the key another one than was meant.
    if let Some((key, mark)) = fields.keys().find_map(|key| {
        let mark = key.chars().next().filter(|c| is_typographic(*c))?;
        Some((shorten(key), mark))
    }) {
        let kind = JsonErrorKind::TypographicQuote(mark);
        return refused(format!("the key `{key}`: {kind}"));
    }
    let kind = match place {
        Place::Kind(kind) => kind,
        Place::Entities(_) => DocumentKind::Entity,
        Place::Scorecards(_) => DocumentKind::Scorecard,
        Place::Nowhere | Place::Later(_) if fields.contains_key("schema") => {
            DocumentKind::Blueprint
        }
        Place::Nowhere | Place::Later(_)
            if fields.contains_key("trigger") && fields.contains_key("invocationMethod") =>
        {
            DocumentKind::Action
        }
        Place::Nowhere | Place::Later(_) if fields.contains_key("rules") => DocumentKind::Scorecard,
        Place::Nowhere | Place::Later(_) => DocumentKind::Entity,
    };
    let belongs = match kind {
        DocumentKind::Entity => Some(("an entity", "entities")),
        DocumentKind::Scorecard => Some(("a scorecard", "scorecards")),
        DocumentKind::Blueprint | DocumentKind::Action | DocumentKind::Backstage => None,
    };
    if let Some((what, home)) = belongs
        && fields.get("blueprint").is_none_or(Value::is_null)
    {
        let (Place::Entities(Some(folder)) | Place::Scorecards(Some(folder))) = place else {
            return refused(format!(
                "{what} needs a `blueprint`: name it in the document or put the file under `{home}/<Blueprint>/`"
            ));
        };
        fields.insert("blueprint".to_owned(), Value::String(folder.to_owned()));
    }
    Ok(Document {
        source,
        number,
        kind,
        from_backstage: false,
        value,
    })
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Yaml,
}

impl Format {
    fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// What the folders of a file say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'a> {
    Kind(DocumentKind),
    /// Under `entities/`, and the folder right below that, if any; or under `teams/` or `users/`.
    Entities(Option<&'a str>),
    /// Under `scorecards/`, and the folder right below that, if any.
    Scorecards(Option<&'a str>),
    Later(&'a str),
    Nowhere,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Self {
        let mut folders: Vec<&str> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        folders.pop();
        for (index, folder) in folders.iter().enumerate().rev() {
            match *folder {
                "blueprints" => return Self::Kind(DocumentKind::Blueprint),
                "actions" => return Self::Kind(DocumentKind::Action),
                "entities" => return Self::Entities(folders.get(index + 1).copied()),
                "teams" => return Self::Entities(Some("_team")),
                "users" => return Self::Entities(Some("_user")),
                "scorecards" => return Self::Scorecards(folders.get(index + 1).copied()),
                later if LATER.contains(&later) => return Self::Later(later),
                _ => {}
            }
        }
        Self::Nowhere
    }
}

fn parse_yaml(path: &str, text: &[u8]) -> Result<Vec<Value>, DocumentError> {
    let refused = |line: u64, column: u64, message: String| DocumentError::Yaml {
        source_path: path.to_owned(),
        line,
        column,
        message,
    };
    let text = std::str::from_utf8(text)
        .map_err(|_| refused(1, 1, "not UTF-8; save the file in that encoding".to_owned()))?;
    let values: Vec<Value> = serde_saphyr::from_multiple_with_options(text, yaml_options())
        .map_err(|error| {
            let (line, column) = error
                .location()
                .map_or((1, 1), |location| (location.line(), location.column()));
            refused(line, column, yaml_message(&error))
        })?;
    if values.iter().any(|value| is_deeper(value, MAX_DEPTH)) {
        return Err(refused(
            1,
            1,
            format!("nested deeper than {MAX_DEPTH} levels"),
        ));
    }
    Ok(values)
}

/// Whether a text is YAML, of any number of documents, within the bounds that hold for files too.
pub(super) fn is_yaml(text: &str) -> bool {
    text.len() <= MAX_BYTES
        && serde_saphyr::from_multiple_with_options::<serde::de::IgnoredAny>(text, yaml_options())
            .is_ok()
}

fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: MAX_DOCUMENTS,
            max_aliases: MAX_REPLAYED,
            max_anchors: MAX_REPLAYED,
            max_total_scalar_bytes: 2 * MAX_BYTES,
            max_recorded_anchor_bytes: 2 * MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        strict_booleans: true,
        with_snippet: false,
    }
}

fn yaml_message(error: &serde_saphyr::Error) -> String {
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        let key = key.as_deref().unwrap_or_default();
        return shorten(&format!(
            "the key `{key}` stands twice in one object; remove one"
        ));
    }
    let told = error.to_string();
    // The place is told already, in front.
    let place = error
        .location()
        .map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    let told = place
        .and_then(|place| told.strip_suffix(&place))
        .unwrap_or(&told);
    shorten(told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(path: &str, text: &str) -> Document {
        let mut documents = parse_documents(path, text.as_bytes()).unwrap();
        assert_eq!(documents.len(), 1);
        documents.remove(0)
    }

    fn refusal(path: &str, text: &str) -> String {
        parse_documents(path, text.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_nearest_known_folder_tells_the_kind() {
        assert_eq!(
            one("seed/blueprints/a.json", "{}").kind,
            DocumentKind::Blueprint
        );
        assert_eq!(one("actions/x/a.yml", "a: 1").kind, DocumentKind::Action);
        let entity = one(
            "blueprints/entities/Service/deep/a.json",
            r#"{"schema": {}}"#,
        );
        assert_eq!(
            (entity.kind, &entity.value["blueprint"]),
            (DocumentKind::Entity, &json!("Service"))
        );
        let named = one("entities/Service/a.json", r#"{"blueprint": "Own"}"#);
        assert_eq!(named.value["blueprint"], json!("Own"));
    }

    #[test]
    fn the_shape_tells_the_kind_where_no_folder_does() {
        assert_eq!(
            one("a.json", r#"{"schema": {}}"#).kind,
            DocumentKind::Blueprint
        );
        assert_eq!(
            one("x/a.json", r#"{"trigger": {}, "invocationMethod": {}}"#).kind,
            DocumentKind::Action
        );
        assert_eq!(
            one("x/a.json", r#"{"blueprint": "A"}"#).kind,
            DocumentKind::Entity
        );
        assert!(refusal("x/a.json", "{}").contains("entities/<Blueprint>/"));
        assert!(refusal("entities/a.json", "{}").contains("entities/<Blueprint>/"));
        assert!(refusal("blueprints/a.json", "[]").contains("object"));
        assert!(refusal("x/webhooks/a.json", "{}").contains("`webhooks/`"));
    }

    #[test]
    fn a_json_fault_names_file_line_and_column() {
        let told = refusal("blueprints/resource.json", "{\n “identifier”: 1}");
        assert_eq!(
            told,
            "`blueprints/resource.json`, line 2, column 2: `“` (U+201C) is a typographic quotation mark; \
             use the plain `\"` (U+0022)"
        );
    }

    #[test]
    fn one_yaml_file_holds_many_documents() {
        let text = "identifier: a\nready: no\n---\n# nothing\n---\nidentifier: b\ncount: 3\n";
        let documents = parse_documents("entities/S/all.yaml", text.as_bytes()).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(
            documents[0].value,
            json!({ "identifier": "a", "ready": "no", "blueprint": "S" })
        );
        assert_eq!(documents[1].source, "entities/S/all.yaml (document 2)");
        assert_eq!(documents[1].value["count"], json!(3));
    }

    #[test]
    fn a_yaml_fault_names_file_line_and_column() {
        let told = refusal("blueprints/a.yaml", "a: 1\nb: [1\n");
        assert!(told.starts_with("`blueprints/a.yaml`, line "), "{told}");
        let told = refusal("blueprints/a.yaml", "a: 1\nb: 2\na: 3\n");
        assert_eq!(
            told,
            "`blueprints/a.yaml`, line 3, column 1: the key `a` stands twice in one object; remove one"
        );
        let told = refusal("blueprints/a.yaml", "a: *x");
        assert_eq!(told.matches("line").count(), 1, "{told}");
        let told = refusal("blueprints/a.yaml", "“identifier”: a");
        assert!(told.contains("U+201C"), "{told}");
    }

    #[test]
    fn yaml_that_unfolds_without_end_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..30 {
            let before = format!("*a{}", level - 1);
            bomb.push_str(&format!(
                "a{level}: &a{level} [{}]\n",
                vec![before; 10].join(", ")
            ));
        }
        assert!(matches!(
            parse_documents("blueprints/a.yaml", bomb.as_bytes()),
            Err(DocumentError::Yaml { .. })
        ));
        // Few events, but each of them large.
        let large = format!(
            "a: &a \"{}\"\nb: [{}]\n",
            "x".repeat(1 << 20),
            vec!["*a"; 5_000].join(", ")
        );
        assert!(matches!(
            parse_documents("blueprints/a.yaml", large.as_bytes()),
            Err(DocumentError::Yaml { .. })
        ));
        for deep in [
            "[".repeat(100_000),
            "- ".repeat(100_000),
            "{a: ".repeat(100_000),
        ] {
            let refused = parse_documents("blueprints/a.yaml", format!("a:\n  {deep}").as_bytes());
            assert!(matches!(refused, Err(DocumentError::Yaml { .. })));
        }
    }
}
