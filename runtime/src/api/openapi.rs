//! The contract: generated from the routes, served as JSON, enforced by `auth`.

use std::collections::HashMap;

use axum::http::Method;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::error::ErrorBody;
use crate::model::{Permission, Role};

/// Name of the one way to come in.
const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "goldenpath",
        description = "A self-hosted internal developer portal. Every answer is JSON with `ok`; what is refused has the form of `ErrorBody`. Each operation's security scope names the permission that the caller's role has to include, and `x-roles` the roles that do.",
    ),
    components(schemas(ErrorBody)),
    tags(
        (name = "access", description = "Tokens, users and apps."),
        (name = "catalog", description = "Blueprints, entities and their relations."),
        (name = "actions", description = "What developers may ask for, and the runs that carry it out."),
        (name = "plugins", description = "Sandboxed components: install, review, revoke."),
        (name = "operations", description = "Health, the audit log and this contract."),
    ),
)]
struct Contract;

/// The document without its paths; the router adds those.
pub(super) fn base() -> OpenApi {
    let mut document = Contract::openapi();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A token of `POST /v1/auth/access_token`."))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    document
}

/// The finished document: every operation with each answer that it may give beside its own.
pub(super) fn finish(document: &OpenApi) -> Value {
    let mut document = json!(document);
    let named: Map<String, Value> = REFUSALS
        .iter()
        .map(|refusal| (refusal.name.to_owned(), refusal.response()))
        .collect();
    if let Some(components) = document
        .get_mut("components")
        .and_then(Value::as_object_mut)
    {
        components.insert("responses".to_owned(), Value::Object(named));
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, operations) in paths.into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            let question = Question::read(path, method, operation);
            let roles = roles(right(operation));
            if let Some(operation) = operation.as_object_mut() {
                operation.insert("x-roles".to_owned(), json!(roles));
            }
            let responses = operation
                .get_mut("responses")
                .and_then(Value::as_object_mut);
            let Some(responses) = responses else { continue };
            for answer in responses.values_mut() {
                // A schema would stand for each single event, and each kind of event has one of its own.
                if let Some(stream) = answer.pointer_mut("/content/text~1event-stream") {
                    *stream = json!({});
                }
            }
            for refusal in REFUSALS.iter().filter(|refusal| (refusal.when)(&question)) {
                // What an operation says itself is more than what is true of all.
                responses.entry(refusal.status).or_insert_with(
                    || json!({"$ref": format!("#/components/responses/{}", refusal.name)}),
                );
            }
        }
    }
    document
}

/// An answer that operations have in common, and which of them have it.
struct Refusal {
    status: &'static str,
    name: &'static str,
    description: &'static str,
    when: fn(&Question) -> bool,
}

/// What of an operation decides how it can refuse.
struct Question {
    /// Whether it needs a token.
    closed: bool,
    /// Whether its path, or a parameter, names something that may not be there.
    names: bool,
    /// Whether a parameter asks a question, which has rules as a body has.
    asks: bool,
    /// Whether it takes a body.
    body: bool,
    /// Whether it may change something.
    writes: bool,
    /// Whether its answer is a stream of events.
    streams: bool,
}

impl Question {
    fn read(path: &str, method: &str, operation: &Value) -> Self {
        let answers = operation.get("responses").and_then(Value::as_object);
        let streams = answers.into_iter().flatten().any(|(_, answer)| {
            answer
                .get("content")
                .is_some_and(|content| content.get("text/event-stream").is_some())
        });
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let takes = |name: &str| {
            let mut parameters = parameters.into_iter().flatten();
            parameters.any(|parameter| parameter.get("name").is_some_and(|known| known == name))
        };
        Self {
            closed: !matches!(right(operation), Right::Public),
            names: path.contains('{') || takes("blueprint"),
            asks: takes("q") || takes("query"),
            body: operation.get("requestBody").is_some(),
            writes: method != "get",
            streams,
        }
    }
}

impl Refusal {
    fn response(&self) -> Value {
        json!({
            "description": self.description,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
        })
    }
}

/// How requests are refused, and which. Whatever is not here and not with the operation itself is a fault of the
/// server: an answer with 500 is one, always.
const REFUSALS: &[Refusal] = &[
    Refusal {
        status: "400",
        name: "Unreadable",
        description: "A parameter, a header or the JSON of the body cannot be read.",
        when: |_| true,
    },
    Refusal {
        status: "401",
        name: "Unauthorized",
        description: "No token, or one that is not valid, or a credential that is wrong.",
        when: |operation| operation.closed || (operation.writes && operation.body),
    },
    Refusal {
        status: "403",
        name: "Forbidden",
        description: "The caller's role does not include the permission that the operation needs, or a rule of the catalog or of four eyes keeps them from it; the message says which, and who may.",
        when: |operation| operation.closed,
    },
    Refusal {
        status: "404",
        name: "NotFound",
        description: "Something that the path, a parameter or the body names does not exist.",
        when: |operation| operation.names || (operation.closed && operation.body),
    },
    Refusal {
        status: "408",
        name: "TooSlow",
        description: "The body stopped arriving.",
        when: |operation| operation.body,
    },
    Refusal {
        status: "409",
        name: "Conflict",
        description: "It exists already, was changed meanwhile, is in use, or is in the wrong state.",
        when: |operation| operation.closed && operation.writes,
    },
    Refusal {
        status: "413",
        name: "TooLarge",
        description: "The body is larger than the server takes.",
        when: |operation| operation.body,
    },
    Refusal {
        status: "415",
        name: "UnsupportedMediaType",
        description: "The body's `Content-Type` is not the one that the operation takes.",
        when: |operation| operation.body,
    },
    Refusal {
        status: "421",
        name: "Misdirected",
        description: "The server does not go by the name in `Host`.",
        when: |_| true,
    },
    Refusal {
        status: "422",
        name: "Invalid",
        description: "It can be read, but breaks rules; `details` lists every broken one.",
        when: |operation| operation.body || operation.asks,
    },
    Refusal {
        status: "429",
        name: "TooMany",
        description: "Too many failed logins from this address, or too many open streams; see `Retry-After`.",
        when: |operation| operation.streams || (!operation.closed && operation.body),
    },
    Refusal {
        status: "503",
        name: "Unavailable",
        description: "The server is stopping, or the request took too long.",
        when: |_| true,
    },
];

/// Status and meaning of every refusal that operations have in common.
pub(super) fn refusals() -> impl Iterator<Item = (&'static str, &'static str)> {
    REFUSALS
        .iter()
        .map(|refusal| (refusal.status, refusal.description))
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Nothing.
    Public,
    /// That their role includes a permission.
    Needs(Permission),
}

/// What each operation of the contract asks of its caller.
pub(super) struct Rights {
    by_path: HashMap<String, Vec<(Method, Right)>>,
}

impl Rights {
    /// Reads them out of the finished document.
    ///
    /// An operation that does not say plainly what it asks for asks for the most there is.
    pub(super) fn read(document: &Value) -> Self {
        let mut by_path = HashMap::new();
        for (path, operations) in document
            .get("paths")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let rights =
                operations
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter_map(|(method, operation)| {
                        let method =
                            Method::from_bytes(method.to_ascii_uppercase().as_bytes()).ok()?;
                        Some((method, right(operation)))
                    });
            by_path.insert(path.clone(), rights.collect());
        }
        Self { by_path }
    }

    /// What an operation asks for, or else the methods that its path has.
    pub(super) fn find(&self, path: &str, method: &Method) -> Result<Right, String> {
        let operations = self.by_path.get(path).map_or(&[][..], Vec::as_slice);
        // The router answers HEAD by GET without its body.
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        if let Some((_, right)) = operations.iter().find(|(known, _)| known == method) {
            return Ok(*right);
        }
        let known: Vec<_> = operations.iter().map(|(known, _)| known.as_str()).collect();
        Err(known.join(", "))
    }
}

/// The roles that may call an operation, from least to most; none where nobody has to come in.
fn roles(right: Right) -> Vec<&'static str> {
    match right {
        Right::Public => Vec::new(),
        Right::Needs(permission) => permission.roles().map(Role::as_str).collect(),
    }
}

fn right(operation: &Value) -> Right {
    let security = operation.get("security").and_then(Value::as_array);
    let [only] = security.map_or(&[][..], Vec::as_slice) else {
        return Right::Needs(Permission::ManageUsers);
    };
    if only.as_object().is_some_and(serde_json::Map::is_empty) {
        return Right::Public;
    }
    let scope = only
        .get(BEARER)
        .and_then(|scopes| scopes.get(0))
        .and_then(Value::as_str);
    let permission = Permission::ALL
        .into_iter()
        .find(|known| Some(known.as_str()) == scope);
    Right::Needs(permission.unwrap_or(Permission::ManageUsers))
}
