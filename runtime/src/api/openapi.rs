//! The contract: generated from the routes, served as JSON, enforced by `auth`.

use std::collections::HashMap;

use axum::http::Method;
use serde_json::{Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::error::ErrorBody;
use crate::model::Permission;

/// Name of the one way to come in.
const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "goldenpath",
        description = "A self-hosted internal developer portal. Every answer is JSON with `ok`; what is refused has the form of `ErrorBody`. Each operation's security scope names the permission that the caller's role has to include.",
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

/// The finished document: every operation can be refused in the one error form.
pub(super) fn finish(document: &OpenApi) -> Value {
    let mut document = json!(document);
    let refusal = json!({
        "description": "Refused.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
    });
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for operations in paths.into_iter().flat_map(|paths| paths.values_mut()) {
        for operation in operations
            .as_object_mut()
            .into_iter()
            .flat_map(|all| all.values_mut())
        {
            if let Some(responses) = operation
                .get_mut("responses")
                .and_then(Value::as_object_mut)
            {
                responses.insert("default".to_owned(), refusal.clone());
            }
        }
    }
    document
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
