//! Talks to a server: one agent, one token, bounded answers, and failures in the words of the exit codes.

use std::cell::OnceCell;
use std::io::BufReader;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::config::ConfigBuilder;
use ureq::http::{Method, Request, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::AgentScope;
use ureq::{Agent, Body, BodyReader};

use super::exit::{Exit, Failure, chain};
use super::output::clean;
use crate::config::{self, Connection, Endpoint};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than the longest `Prefer: wait`, so that the server's answer comes first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// How long the server may take to make a file before it sends the first byte.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// Streams have a heartbeat every 15 s; three missed ones mean that the connection is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// No answer that the commands ask for is larger: lists are paged.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// How much of a broken answer is worth showing.
const MAX_SHOWN: usize = 200;

/// A connection to one server as one principal.
pub(super) struct Client {
    agent: Agent,
    endpoint: Endpoint,
    token: OnceCell<String>,
}

/// What goes along with a request.
pub(super) enum Payload<'a> {
    Nothing,
    Json(&'a Value),
    Package(Vec<u8>),
}

/// What every client of the command line has in common; no answer is an error to it.
pub(super) fn agent_config(roots: RootCerts) -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        // A redirect could carry the credential to another server.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("goldenpath/", env!("CARGO_PKG_VERSION")))
}

impl Client {
    /// Finds server and credential; asks the server nothing yet.
    pub(super) fn new(connection: &Connection) -> Result<Self, Failure> {
        let endpoint = connection
            .resolve()
            .map_err(|error| Failure::usage(chain(&error)))?;
        Self::to(endpoint)
    }

    /// As [`Self::new`], with everything known already.
    pub(super) fn to(endpoint: Endpoint) -> Result<Self, Failure> {
        let roots = match &endpoint.ca_cert {
            Some(file) => trusted(file)?,
            None => RootCerts::WebPki,
        };
        let config = agent_config(roots)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            endpoint,
            token: OnceCell::new(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.endpoint.url
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Method::GET, path, Payload::Nothing, &[])
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(&Method::POST, path, Payload::Json(body), &[])
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Method::DELETE, path, Payload::Nothing, &[])
    }

    /// Sends a request and reads its JSON answer; every answer that is not a success is a failure.
    pub(super) fn ask(
        &self,
        method: &Method,
        path: &str,
        payload: Payload<'_>,
        headers: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let bearer = format!("Bearer {}", self.token()?);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        let response = self.send(method, path, payload, &all)?;
        self.read(response)
    }

    /// Opens an event stream after an id.
    pub(super) fn stream(
        &self,
        path: &str,
        last_id: &str,
    ) -> Result<BufReader<BodyReader<'static>>, Failure> {
        let mut headers = vec![("accept", "text/event-stream")];
        if !last_id.is_empty() {
            headers.push(("last-event-id", last_id));
        }
        self.open(path, &headers)
    }

    /// Opens an answer that is read as it comes; what is bounded is each part, where it is read.
    pub(super) fn open(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<BufReader<BodyReader<'static>>, Failure> {
        let bearer = format!("Bearer {}", self.token()?);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        let response = self.send(&Method::GET, path, Payload::Nothing, &all)?;
        if !response.status().is_success() {
            return Err(self.read(response).err().unwrap_or_else(|| {
                Failure::failed(format!("{} did not open the stream", self.url()))
            }));
        }
        // A run may go on for hours, and a catalog has no size that is too large.
        let body = response.into_body().into_with_config().limit(u64::MAX);
        Ok(BufReader::new(body.reader()))
    }

    /// Opens what a route sends as a file.
    pub(super) fn download(&self, path: &str) -> Result<BodyReader<'static>, Failure> {
        let bearer = format!("Bearer {}", self.token()?);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.endpoint.url))
            .header("authorization", bearer)
            // Of known length: an empty one in chunks may still be on its way when the answer has been sent.
            .body("")
            .map_err(|error| Failure::of("build the request", &error))?;
        // The server makes the file before it answers.
        let request = self
            .agent
            .configure_request(request)
            .timeout_recv_response(Some(DOWNLOAD_TIMEOUT))
            .timeout_per_read(Some(DOWNLOAD_TIMEOUT))
            .build();
        let response = self
            .agent
            .run(request)
            .map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self
                .read(response)
                .err()
                .unwrap_or_else(|| Failure::failed(format!("{} sent no file", self.url()))));
        }
        let body = response.into_body().into_with_config().limit(u64::MAX);
        Ok(body.reader())
    }

    /// Signs in, unless that was done.
    pub(super) fn token(&self) -> Result<&str, Failure> {
        if let Some(token) = self.token.get() {
            return Ok(token);
        }
        let credential = json!({
            "clientId": self.endpoint.client_id,
            "clientSecret": self.endpoint.client_secret.expose(),
        });
        let response = self.send(
            &Method::POST,
            "/v1/auth/access_token",
            Payload::Json(&credential),
            &[],
        )?;
        let answer = self.read(response)?;
        let token = answer.get("accessToken").and_then(Value::as_str);
        let token = token.ok_or_else(|| self.strange("a sign-in without `accessToken`"))?;
        Ok(self.token.get_or_init(|| token.to_owned()))
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        payload: Payload<'_>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let malformed = |error: ureq::http::Error| Failure::of("build the request", &error);
        let sent = match payload {
            Payload::Nothing => self.agent.run(request.body(()).map_err(malformed)?),
            Payload::Json(value) => {
                let request = request.header("content-type", "application/json");
                self.agent
                    .run(request.body(value.to_string()).map_err(malformed)?)
            }
            Payload::Package(bytes) => {
                let request = request.header("content-type", "application/wasm");
                self.agent.run(request.body(bytes).map_err(malformed)?)
            }
        };
        sent.map_err(|error| self.unreachable(&error))
    }

    fn read(&self, mut response: Response<Body>) -> Result<Value, Failure> {
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .lossy_utf8(true)
            .read_to_string()
            .map_err(|error| self.unreachable(&error))?;
        if status == 204 {
            return Ok(Value::Null);
        }
        let answer: Option<Value> = serde_json::from_str(&text).ok();
        match answer {
            Some(answer) if (200..300).contains(&status) => Ok(answer),
            answer => Err(self.refused(status, answer, &text)),
        }
    }

    fn refused(&self, status: u16, answer: Option<Value>, text: &str) -> Failure {
        let exit = match status {
            401 | 403 => Exit::NotPermitted,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            _ => Exit::Failed,
        };
        let Some(answer) = answer.filter(|answer| answer.get("message").is_some()) else {
            let hint = if (300..400).contains(&status) {
                "; redirects are not followed, check --url"
            } else {
                ""
            };
            let shown: String = text.chars().take(MAX_SHOWN).collect();
            return Failure::new(
                exit,
                format!("{} answered {status}{hint}: {}", self.url(), clean(&shown)),
            );
        };
        let member = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut failure = Failure::new(exit, member("message"));
        failure.code = member("error").to_owned();
        failure.violations = list(&answer, "details").to_vec();
        failure.details = failure.violations.iter().map(detail).collect();
        failure
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        if matches!(error, ureq::Error::BodyExceedsLimit(_)) {
            return self.strange("more than a command can use");
        }
        Failure::new(
            Exit::Unreachable,
            format!(
                "reach {}: {}; is the server running, and is --url right?",
                self.url(),
                chain(error)
            ),
        )
    }

    fn strange(&self, what: &str) -> Failure {
        Failure::failed(format!(
            "{} answered {what}; is it a goldenpath server?",
            self.url()
        ))
    }
}

/// One entry of an error's `details`, in one line.
fn detail(detail: &Value) -> String {
    let member = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let parts = [member("file"), member("path"), member("message")];
    let shown: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if shown.is_empty() {
        detail.to_string()
    } else {
        shown.join(": ")
    }
}

/// The certificate authorities in a PEM file.
pub(super) fn trusted(file: &std::path::Path) -> Result<RootCerts, Failure> {
    let reading = format!("read certificate authorities from `{}`", file.display());
    let pem =
        config::read_file(file, 1024 * 1024).map_err(|error| Failure::of(&reading, &error))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| Failure::of(&reading, &error))?
        {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(Failure::usage(format!(
            "{reading}: it has none; it must be a PEM file"
        )));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// One segment of a URL's path.
pub(super) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A member of an answer as text: strings as they are, nothing for null and absent ones, the rest as JSON.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A list in an answer; empty where it is absent.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_become_one_segment_of_a_path() {
        assert_eq!(segment("a/b c%?ü"), "a%2Fb%20c%25%3F%C3%BC");
        assert_eq!(segment("Component-1.x_y@z~"), "Component-1.x_y@z~");
    }

    #[test]
    fn details_name_file_pointer_and_message() {
        let value = json!({"file": "a.json", "path": "/properties/type", "rule": "enum", "message": "is not one of"});
        assert_eq!(detail(&value), "a.json: /properties/type: is not one of");
        assert_eq!(detail(&json!(7)), "7");
    }
}
