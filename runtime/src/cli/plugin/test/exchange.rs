//! One request and what is answered to it; whether a request that came in is the one that was meant.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compare::{Extent, brief, differences};

/// A request that is expected, and its answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    /// That the request need not come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) optional: bool,
    pub(super) request: Request,
    pub(super) response: Response,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) method: String,
    /// The endpoint's name in the manifest.
    pub(super) endpoint: String,
    /// Below the endpoint, as it is sent.
    pub(super) path: String,
    /// Every key and value, decoded; without it there is none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) query: BTreeMap<String, Value>,
    /// Those that matter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    /// A text as it is, all else as JSON; without it any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_base64: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Response {
    #[serde(default = "success")]
    pub(super) status: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    /// A text as it is, all else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_base64: Option<String>,
}

fn success() -> u16 {
    200
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) endpoint: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Received {
    /// As people write it.
    pub(super) fn line(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        let Self {
            method,
            endpoint,
            path,
            query,
            ..
        } = self;
        brief(&format!("{method} {endpoint} {path}{mark}{query}"))
    }
}

impl Exchange {
    /// What cannot be answered, or can be nobody's request.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self {
            request, response, ..
        } = self;
        for (body, base64, place) in [
            (&request.body, &request.body_base64, "request"),
            (&response.body, &response.body_base64, "response"),
        ] {
            if body.is_some() && base64.is_some() {
                return Err(format!("{place}: has `body` or `bodyBase64`, not both"));
            }
            if let Some(text) = base64
                && BASE64.decode(text.as_bytes()).is_err()
            {
                return Err(format!("{place}: `bodyBase64` is not base64"));
            }
        }
        if !(200..=599).contains(&response.status) {
            return Err("response: a status is a number from 200 to 599".to_owned());
        }
        if !request.path.starts_with('/') || request.path.contains(['?', '#']) {
            return Err(
                "request: a path begins with a slash; what follows a `?` stands in `query`"
                    .to_owned(),
            );
        }
        for (name, value) in &response.headers {
            let name = hyper::header::HeaderName::try_from(name.as_str());
            if name.is_err() || hyper::header::HeaderValue::try_from(value.as_str()).is_err() {
                return Err("response: a header cannot be sent".to_owned());
            }
        }
        Ok(())
    }

    /// In what a request is another one than this; nothing where it is this one.
    pub(super) fn differs(&self, received: &Received) -> Vec<String> {
        let wanted = &self.request;
        let mut found = Vec::new();
        let mut hold = |what: &str, wanted: &str, is: &str| {
            if wanted != is {
                found.push(format!(
                    "{what}: expected `{}`, was `{}`",
                    brief(wanted),
                    brief(is)
                ));
            }
        };
        hold(
            "method",
            &wanted.method.to_ascii_uppercase(),
            &received.method,
        );
        hold("endpoint", &wanted.endpoint, &received.endpoint);
        hold("path", &wanted.path, &received.path);
        let (asked, sent) = (written(&wanted.query), pairs(&received.query));
        hold("query", &joined(&asked), &joined(&sent));
        for (name, value) in &wanted.headers {
            let name = name.to_ascii_lowercase();
            let sent = received.headers.iter().filter(|(known, _)| *known == name);
            let sent: Vec<&str> = sent.map(|(_, value)| value.as_str()).collect();
            hold(&format!("header {name}"), value, &sent.join(", "));
        }
        if let Some(body) = &wanted.body {
            found.extend(body_differs(body, &received.body));
        }
        if let Some(text) = &wanted.body_base64
            && *text != BASE64.encode(&received.body)
        {
            found.push("bodyBase64: other bytes were sent".to_owned());
        }
        found
    }
}

impl Request {
    /// As people write it.
    pub(super) fn line(&self) -> String {
        let Self {
            method,
            endpoint,
            path,
            ..
        } = self;
        brief(&format!("{method} {endpoint} {path}"))
    }
}

impl Response {
    /// The bytes of the body, and whether they are JSON that was written as YAML.
    pub(super) fn bytes(&self) -> (Vec<u8>, bool) {
        match (&self.body, &self.body_base64) {
            (Some(Value::String(text)), _) => (text.clone().into_bytes(), false),
            (Some(value), _) => (value.to_string().into_bytes(), true),
            (None, Some(text)) => (BASE64.decode(text.as_bytes()).unwrap_or_default(), false),
            (None, None) => (Vec::new(), false),
        }
    }
}

fn body_differs(wanted: &Value, sent: &[u8]) -> Vec<String> {
    if let Value::String(text) = wanted {
        return differences("body", wanted, &text_of(sent), Extent::Whole)
            .into_iter()
            .filter(|_| text.as_bytes() != sent)
            .collect();
    }
    match serde_json::from_slice::<Value>(sent) {
        Ok(sent) => differences("body", wanted, &sent, Extent::Whole),
        Err(_) => vec![format!(
            "body: expected JSON, was `{}`",
            brief(&String::from_utf8_lossy(sent))
        )],
    }
}

fn text_of(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// Keys and values of a query of a case, sorted; a list stands for the key as often.
fn written(query: &BTreeMap<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut pairs = Vec::new();
    for (key, value) in query {
        match value {
            Value::Array(values) => {
                pairs.extend(values.iter().map(|value| (key.clone(), text(value))));
            }
            value => pairs.push((key.clone(), text(value))),
        }
    }
    pairs.sort_unstable();
    pairs
}

/// Keys and values of a query that was sent, decoded and sorted.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let mut pairs: Vec<_> = parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(key), decoded(value))
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

fn joined(pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// As forms write texts into queries. What is no encoding stays as it is.
fn decoded(text: &str) -> String {
    let hex = |byte: Option<&u8>| (*byte? as char).to_digit(16);
    let (bytes, mut plain, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let pair = (hex(bytes.get(at + 1)), hex(bytes.get(at + 2)));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                plain.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
                continue;
            }
            (b'+', _) => plain.push(b' '),
            (byte, _) => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}
