//! The contract for programs and for people.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use data_encoding::BASE64;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::state::Door;

/// The page's own style, named by its hash in the policy: nothing else on the page may style or run.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
h2{margin-top:3rem;border-bottom:1px solid #d0d7de}h3{margin:2rem 0 .5rem;font-size:1rem}\
code{font:.9em ui-monospace,monospace;background:#f1f3f5;padding:.1em .3em;border-radius:3px}\
.verb{display:inline-block;min-width:4.5em;font-weight:700}.scope{color:#57606a;font-weight:400;font-size:.85em}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #eaeef2}\
nav a{display:inline-block;margin-right:1em}";

/// The contract as an OpenAPI document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, body = Object)),
)]
pub(super) async fn find_contract(State(door): State<Arc<Door>>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], door.openapi.clone()).into_response()
}

/// The contract as a page.
#[utoipa::path(
    get, path = "/docs", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/html")),
)]
pub(super) async fn find_page(State(door): State<Arc<Door>>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    let hash = BASE64.encode(&Sha256::digest(STYLE));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    (headers, door.docs.clone()).into_response()
}

/// Writes the page once, when the router is built.
pub(super) fn render(document: &Value) -> String {
    let mut html = String::with_capacity(64 * 1024);
    let title = text(document, "/info/title");
    let tags = document
        .get("tags")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    // Writing to a string cannot fail.
    _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style>\
         <h1>{title} <small>{}</small></h1><p>{}</p><nav>",
        text(document, "/info/version"),
        text(document, "/info/description"),
    );
    for tag in tags {
        let name = text(tag, "/name");
        _ = write!(html, "<a href=\"#{name}\">{name}</a>");
    }
    html.push_str("<a href=\"#refusals\">refusals</a> <a href=\"#shapes\">shapes</a> <a href=\"openapi.json\">openapi.json</a></nav>");
    for tag in tags {
        let name = text(tag, "/name");
        _ = write!(
            html,
            "<h2 id=\"{name}\">{name}</h2><p>{}</p>",
            text(tag, "/description")
        );
        for (path, method, operation) in operations(document) {
            if text(operation, "/tags/0") == name {
                write_operation(&mut html, path, method, operation);
            }
        }
    }
    html.push_str("<h2 id=\"refusals\">refusals</h2><table>");
    for (status, description) in super::openapi::refusals() {
        _ = write!(html, "<tr><td>{status}<td>{}", escape(description));
    }
    html.push_str("</table><h2 id=\"shapes\">shapes</h2>");
    let schemas = document
        .pointer("/components/schemas")
        .and_then(Value::as_object);
    for (name, schema) in schemas.into_iter().flatten() {
        let name = escape(name);
        _ = write!(
            html,
            "<h3 id=\"shape-{name}\">{name}</h3><p>{}</p>",
            text(schema, "/description")
        );
        write_shape(&mut html, schema);
    }
    html
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document
        .get("paths")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    paths.flat_map(|(path, operations)| {
        let operations = operations.as_object().into_iter().flatten();
        operations.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn write_operation(html: &mut String, path: &str, method: &str, operation: &Value) {
    let scope = text(operation, "/security/0/bearer/0");
    let scope = if scope.is_empty() {
        "no token needed".to_owned()
    } else {
        scope
    };
    _ = write!(
        html,
        "<h3><span class=\"verb\">{}</span><code>{}</code> <span class=\"scope\">{scope}</span></h3><p>{}</p>",
        escape(&method.to_ascii_uppercase()),
        escape(path),
        text(operation, "/summary"),
    );
    let details = text(operation, "/description");
    if !details.is_empty() {
        _ = write!(html, "<p>{details}</p>");
    }
    html.push_str("<table>");
    let parameters = operation.get("parameters").and_then(Value::as_array);
    for parameter in parameters.into_iter().flatten() {
        _ = write!(
            html,
            "<tr><td><code>{}</code><td>{}<td>{}",
            text(parameter, "/name"),
            text(parameter, "/in"),
            text(parameter, "/description"),
        );
    }
    for (media, content) in contents(operation.get("requestBody")) {
        let shape = shape(content.get("schema"));
        _ = write!(
            html,
            "<tr><td>body<td><code>{}</code><td>{shape}",
            escape(media)
        );
    }
    let responses = operation.get("responses").and_then(Value::as_object);
    let mut refusals = Vec::new();
    for (status, response) in responses.into_iter().flatten() {
        if response.get("$ref").is_some() {
            refusals.push(escape(status));
            continue;
        }
        let shapes: Vec<_> = contents(Some(response))
            .map(|(_, content)| shape(content.get("schema")))
            .collect();
        let description = text(response, "/description");
        _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{description}",
            escape(status),
            shapes.join(" ")
        );
    }
    if !refusals.is_empty() {
        _ = write!(
            html,
            "<tr><td>refused<td><a href=\"#shape-ErrorBody\">ErrorBody</a><td><a href=\"#refusals\">{}</a>",
            refusals.join(", ")
        );
    }
    html.push_str("</table>");
}

fn contents(holder: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let contents = holder
        .and_then(|holder| holder.get("content"))
        .and_then(Value::as_object);
    contents
        .into_iter()
        .flatten()
        .map(|(media, content)| (media.as_str(), content))
}

fn write_shape(html: &mut String, schema: &Value) {
    let parts = schema.get("allOf").and_then(Value::as_array);
    for part in parts.into_iter().flatten().chain(Some(schema)) {
        if part.get("$ref").is_some() {
            _ = write!(html, "<p>All of {}, and:</p>", shape(Some(part)));
        }
        let properties = part.get("properties").and_then(Value::as_object);
        if let Some(properties) = properties {
            html.push_str("<table>");
            for (name, property) in properties {
                let description = text(property, "/description");
                let (name, shape) = (escape(name), shape(Some(property)));
                _ = write!(
                    html,
                    "<tr><td><code>{name}</code><td>{shape}<td>{description}"
                );
            }
            html.push_str("</table>");
        }
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).map(escape).collect();
        _ = write!(
            html,
            "<p>One of <code>{}</code>.</p>",
            words.join("</code>, <code>")
        );
    }
}

/// A schema in a word or two: a link where it has a name, else its type.
fn shape(schema: Option<&Value>) -> String {
    let Some(schema) = schema else {
        return String::new();
    };
    let name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next());
    if let Some(name) = name {
        let name = escape(name);
        return format!("<a href=\"#shape-{name}\">{name}</a>");
    }
    if let Some(items) = schema.get("items") {
        return format!("list of {}", shape(Some(items)));
    }
    let options = schema
        .get("oneOf")
        .or_else(|| schema.get("anyOf"))
        .and_then(Value::as_array);
    if let Some(options) = options {
        return options
            .iter()
            .map(|option| shape(Some(option)))
            .collect::<Vec<_>>()
            .join(" or ");
    }
    match schema.get("type") {
        Some(Value::String(one)) => escape(one),
        Some(Value::Array(several)) => several
            .iter()
            .filter_map(Value::as_str)
            .map(escape)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "anything".to_owned(),
    }
}

/// The text at a pointer, safe to put into the page; empty where there is none.
fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(escape)
        .unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
