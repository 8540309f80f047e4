//! A client of the portal's HTTP interface that takes every answer as it comes.

use std::io::{BufRead as _, BufReader, Read};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::{HeaderMap, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Long enough for a slow machine, short enough that a hung server fails the test and not the suite.
const PATIENCE: Duration = Duration::from_secs(120);

/// The authority that signed the certificate in `fixtures/tls`; the clients of these tests trust it alone.
const AUTHORITY: &[u8] = include_bytes!("../fixtures/tls/authority.pem");

/// Somebody who is let in.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// One server-sent event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its sequence number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What it says.
    pub data: Value,
}

impl Client {
    /// A client that has not logged in.
    pub fn stranger(url: &str) -> Self {
        let authority = Certificate::from_pem(AUTHORITY).expect("a certificate");
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[authority]))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            url: url.to_owned(),
            token: None,
        }
    }

    /// A client with a token for a credential.
    pub fn log_in(url: &str, id: &str, secret: &str) -> Self {
        let mut client = Self::stranger(url);
        let reply = client
            .post(
                "/v1/auth/access_token",
                &json!({"clientId": id, "clientSecret": secret}),
            )
            .with_status(200);
        let token = reply.json()["accessToken"].as_str().map(str::to_owned);
        assert!(token.is_some(), "the answer has a token");
        client.token = token;
        client
    }

    /// What came of a login, whatever that is; `from` is what a proxy says of the client's address.
    pub fn try_log_in(url: &str, id: &str, secret: &str, from: Option<&str>) -> Reply {
        let headers: Vec<_> = from.iter().map(|from| ("x-forwarded-for", *from)).collect();
        Self::stranger(url).send_json(
            "POST",
            "/v1/auth/access_token",
            &headers,
            &json!({"clientId": id, "clientSecret": secret}),
        )
    }

    /// A client with a token that it was given elsewhere.
    pub fn with_token(url: &str, token: &str) -> Self {
        let mut client = Self::stranger(url);
        client.token = Some(token.to_owned());
        client
    }

    /// Its token.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Reads.
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], Vec::new())
    }

    /// Deletes.
    pub fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], Vec::new())
    }

    /// Sends JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send_json("POST", path, &[], body)
    }

    /// Sends JSON to a server that may be killed meanwhile; nothing where no whole answer arrived.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Reply> {
        self.try_post_with(path, &[], body)
    }

    /// The same with further headers.
    pub fn try_post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<Reply> {
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_string()).expect("a request");
        let (parts, body) = self.agent.run(request).ok()?.into_parts();
        let mut bytes = Vec::new();
        body.into_reader().read_to_end(&mut bytes).ok()?;
        Some(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: bytes,
        })
    }

    /// Sends JSON by any method with further headers.
    pub fn send_json(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(method, path, &all, body.to_string().into_bytes())
    }

    /// Sends anything.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let (status, headers, mut reader) = self.open(method, path, headers, body);
        let mut body = Vec::new();
        reader.read_to_end(&mut body).expect("the answer arrives");
        Reply {
            status,
            headers,
            body,
        }
    }

    /// The approval of a version as it is now, with these terms.
    pub fn approval(&self, plugin: &str, version: &str, mut terms: Value) -> Value {
        let path = format!("/v1/plugins/{plugin}/versions/{version}/capabilities");
        let report = self.get(&path).with_status(200).json();
        for key in ["digest", "manifestHash", "policyRevision"] {
            terms[key] = report[key].clone();
        }
        terms
    }

    /// Approves a version as it is now, with these terms.
    pub fn approve(&self, plugin: &str, version: &str, terms: Value) -> Reply {
        let approval = self.approval(plugin, version, terms);
        let path = format!("/v1/plugins/{plugin}/versions/{version}/approve");
        self.post(&path, &approval)
    }

    /// Runs an action and waits for its end; the answer is the run.
    pub fn run(&self, action: &str, properties: &Value) -> Value {
        let reply = self.send_json(
            "POST",
            &format!("/v1/actions/{action}/runs"),
            &[("prefer", "wait=60")],
            &json!({ "properties": properties }),
        );
        reply.with_status(200).json()["run"].clone()
    }

    /// The events of a run, as they come, to their end; `after` is what `Last-Event-ID` says.
    pub fn events(&self, run: &str, after: Option<u64>) -> impl Iterator<Item = Event> + use<> {
        let after = after.map(|id| id.to_string());
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(after.iter().map(|id| ("last-event-id", id.as_str())));
        let path = format!("/v1/actions/runs/{run}/events");
        let (status, _, reader) = self.open("GET", &path, &headers, Vec::new());
        assert_eq!(status, 200, "{path}");
        Events {
            lines: BufReader::new(reader).lines(),
        }
    }

    /// The messages of a run's log, in order.
    pub fn log_of(&self, run: &Value) -> Vec<String> {
        let id = run["id"].as_str().expect("a run has an id");
        self.events(id, None)
            .filter(|event| event.name == "log")
            .map(|event| {
                event.data["message"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    }

    fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (u16, HeaderMap, impl Read + use<>) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = if body.is_empty() && matches!(method, "GET" | "DELETE") {
            self.agent.run(request.body(()).expect("a request"))
        } else {
            self.agent.run(request.body(body).expect("a request"))
        };
        let answer = answer.unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let (parts, body) = answer.into_parts();
        (parts.status.as_u16(), parts.headers, body.into_reader())
    }
}

impl Reply {
    /// The same, if it has this status; else the test fails with what was said.
    #[track_caller]
    pub fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The word of an error, after a look that it has the one form of errors.
    #[track_caller]
    pub fn error(&self) -> String {
        let json = self.json();
        assert_eq!(json["ok"], json!(false), "{json}");
        assert!(
            json["message"].as_str().is_some_and(|m| !m.is_empty()),
            "{json}"
        );
        json["error"]
            .as_str()
            .expect("an error has a word")
            .to_owned()
    }

    /// The JSON pointers of an error's details, sorted.
    #[track_caller]
    pub fn paths(&self) -> Vec<String> {
        let json = self.json();
        let details = json["details"].as_array().cloned().unwrap_or_default();
        let mut paths: Vec<String> = details
            .iter()
            .map(|detail| detail["path"].as_str().unwrap_or_default().to_owned())
            .collect();
        paths.sort();
        paths
    }
}

struct Events<R> {
    lines: std::io::Lines<BufReader<R>>,
}

impl<R: Read> Iterator for Events<R> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (mut id, mut name, mut data) = (0, String::new(), String::new());
        for line in self.lines.by_ref() {
            let line = line.expect("the stream goes on to its end");
            if line.is_empty() {
                if name.is_empty() {
                    // A comment, which only keeps the connection open.
                    continue;
                }
                let data = serde_json::from_str(&data).expect("an event carries JSON");
                return Some(Event { id, name, data });
            }
            let (key, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match key {
                "id" => id = value.parse().expect("an id is a number"),
                "event" => name = value.to_owned(),
                "data" => data.push_str(value),
                _ => {}
            }
        }
        None
    }
}
