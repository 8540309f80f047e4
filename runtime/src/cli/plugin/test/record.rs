//! Recording: a case is tried against real endpoints, and what they answered is written into its file, without secrets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use data_encoding::BASE64;
use serde_json::{Value, json};
use ureq::tls::{Certificate, RootCerts};
use ureq::{Agent, http};
use zeroize::Zeroizing;

use super::super::super::client::agent_config;
use super::super::super::exit::{Failure, chain};
use super::case::{Case, parse};
use super::exchange::{Exchange, Received, Request, Response, pairs};
use super::report::Problem;
use super::server::Responder;
use crate::catalog::parse_yaml_value;
use crate::config;
use crate::model::SecretValue;
use crate::plugin::{Inspection, Redactor};

/// The largest body of an answer: a case is a file for people.
const MAX_BODY_BYTES: u64 = 1 << 20;

const TIMEOUT: Duration = Duration::from_secs(60);

/// What is of one connection, or would tell who asked; the header of a bound secret is left out beside these.
const DROPPED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "date",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "www-authenticate",
];

/// What recordings are made from.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Endpoint name to base URL.
    endpoints: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, SecretValue>,
    /// Headers that the host puts secrets into.
    attached: Vec<String>,
}

impl Sources {
    /// Takes what the command line names; everything that the manifest names has to be there.
    pub(super) fn read(
        endpoints: &[String],
        secrets: &[String],
        inspection: &Inspection,
    ) -> Result<Self, Failure> {
        let mut sources = Self::default();
        for given in endpoints {
            let (name, url) = pair("--endpoint", given, "URL")?;
            if !inspection.endpoints.contains_key(name) {
                let message = format!("there is no `[endpoints.{name}]` in plugin.toml");
                return Err(Failure::usage(message));
            }
            let url = url.trim_end_matches('/');
            let uri: Option<http::Uri> = url.parse().ok();
            let usable = uri.is_some_and(|uri| {
                let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
                let authority = uri.authority().map(http::uri::Authority::as_str);
                scheme && authority.is_some_and(|it| !it.contains('@')) && uri.query().is_none()
            });
            if !usable {
                return Err(Failure::usage(format!(
                    "`{url}` is not of the form https://host[:port][/path]"
                )));
            }
            sources.endpoints.insert(name.to_owned(), url.to_owned());
        }
        for given in secrets {
            let (name, value) = pair("--secret", given, "@VARIABLE")?;
            if !inspection.secrets.contains_key(name) {
                let message = format!("plugin.toml names no secret `{name}`");
                return Err(Failure::usage(message));
            }
            let Some(variable) = value.strip_prefix('@') else {
                return Err(Failure::usage(format!(
                    "write --secret {name}=@VARIABLE: others on the machine can read arguments"
                )));
            };
            let text = config::environment(variable).and_then(|text| text.into_string().ok());
            let text = text.ok_or_else(|| {
                Failure::usage(format!("the variable `{variable}` is not set to a text"))
            })?;
            let value = SecretValue::parse(Zeroizing::new(text))
                .map_err(|why| Failure::usage(format!("the variable `{variable}`: {why}")))?;
            sources.secrets.insert(name.to_owned(), value);
        }
        let mut lacking = Vec::new();
        let names = inspection.endpoints.keys();
        let endpoints = names.filter(|name| !sources.endpoints.contains_key(*name));
        lacking.extend(endpoints.map(|name| format!("--endpoint {name}=URL")));
        let names = inspection.secrets.keys();
        let secrets = names.filter(|name| !sources.secrets.contains_key(*name));
        lacking.extend(secrets.map(|name| format!("--secret {name}=@VARIABLE")));
        if !lacking.is_empty() {
            let lacking = lacking.join(" ");
            return Err(Failure::usage(format!("--record also needs {lacking}")));
        }
        let attached = inspection.secrets.values();
        sources.attached = attached
            .filter_map(|secret| secret.header.clone())
            .collect();
        Ok(sources)
    }
}

fn pair<'a>(flag: &str, given: &'a str, form: &str) -> Result<(&'a str, &'a str), Failure> {
    given
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Failure::usage(format!("write {flag} NAME={form}")))
}

/// Passes requests on to the real endpoints, and keeps what it sees without secrets.
pub(super) struct Recorder {
    agent: Agent,
    sources: Arc<Sources>,
    redactor: Redactor,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// With the batch that each is of: those that were under way at the same time.
    taken: Vec<(usize, Exchange)>,
    batch: usize,
    under_way: usize,
    failed: Vec<String>,
}

impl Recorder {
    pub(super) fn new(sources: Arc<Sources>) -> Self {
        // What this machine trusts, as it is for plugins.
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots = roots
            .iter()
            .map(|der| Certificate::from_der(der).to_owned());
        let roots = RootCerts::new_with_certs(&roots.collect::<Vec<_>>());
        // A plugin says itself what it is and what it takes; and a redirect is an answer to it.
        let config = agent_config(roots)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .timeout_global(Some(TIMEOUT))
            .build();
        let redactor = Redactor::default();
        for (name, secret) in &sources.secrets {
            redactor.add(name, secret.expose());
        }
        Self {
            agent: config.new_agent(),
            sources,
            redactor,
            state: Mutex::default(),
        }
    }

    /// Sends a request on; the answer is as it came but for what is of one connection.
    fn pass_on(&self, request: &Received) -> Result<Response, String> {
        let base = self.sources.endpoints.get(&request.endpoint);
        let base = base.map(String::as_str).unwrap_or_default();
        let mark = if request.query.is_empty() { "" } else { "?" };
        let url = format!("{base}{}{mark}{}", request.path, request.query);
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(url);
        for (name, value) in &request.headers {
            // What comes compressed could not be searched for secrets.
            let own = [
                "accept-encoding",
                "connection",
                "content-length",
                "host",
                "transfer-encoding",
            ];
            if !own.contains(&name.as_str()) {
                builder = builder.header(name, value);
            }
        }
        let answered = if request.body.is_empty() {
            let request = builder.body(()).map_err(|error| chain(&error))?;
            self.agent.run(request)
        } else {
            let request = builder.body(request.body.clone());
            self.agent.run(request.map_err(|error| chain(&error))?)
        };
        let answered = answered.map_err(|error| chain(&error))?;
        let (head, body) = answered.into_parts();
        let mut bytes = Vec::new();
        body.into_reader()
            .take(MAX_BODY_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| chain(&error))?;
        if bytes.len() as u64 > MAX_BODY_BYTES {
            return Err(format!("the answer has more than {MAX_BODY_BYTES} bytes"));
        }
        let headers = head.headers.iter().filter_map(|(name, value)| {
            let kept = !DROPPED.contains(&name.as_str());
            let text = value.to_str().ok().filter(|_| kept)?;
            Some((name.to_string(), text.to_owned()))
        });
        Ok(Response {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: None,
            body_base64: Some(BASE64.encode(&bytes)).filter(|text| !text.is_empty()),
        })
    }

    /// An exchange as it is kept, or why it cannot be: every text without secrets.
    fn keep(&self, received: &Received, answered: &Response) -> Result<Exchange, String> {
        let clean = |text: &str| self.redactor.clean(text).into_owned();
        let mut query: BTreeMap<String, Value> = BTreeMap::new();
        for (key, value) in pairs(&received.query) {
            let value = Value::String(clean(&value));
            match query.get_mut(&clean(&key)) {
                None => drop(query.insert(clean(&key), value)),
                Some(Value::Array(values)) => values.push(value),
                Some(one) => *one = Value::Array(vec![one.take(), value]),
            }
        }
        let sent = received.headers.iter();
        let sent = sent.filter(|(name, _)| !DROPPED.contains(&name.as_str()));
        let sent = sent.filter(|(name, _)| !self.sources.attached.contains(name));
        let headers = |name: &String, value: &String| (clean(name), clean(value));
        let is_packed = |(name, value): (&String, &String)| {
            name == "content-encoding" && !value.eq_ignore_ascii_case("identity")
        };
        let sent_packed = received
            .headers
            .iter()
            .any(|(name, value)| is_packed((name, value)));
        if sent_packed || answered.headers.iter().any(is_packed) {
            return Err("a body is compressed, and cannot be searched for secrets".to_owned());
        }
        let (body, body_base64) = self.body(&received.body)?;
        let request = Request {
            method: received.method.clone(),
            endpoint: received.endpoint.clone(),
            path: clean(&received.path),
            query,
            headers: sent.map(|(name, value)| headers(name, value)).collect(),
            body,
            body_base64,
        };
        let (bytes, _) = answered.bytes();
        let (body, body_base64) = self.body(&bytes)?;
        let response = Response {
            status: answered.status,
            headers: answered
                .headers
                .iter()
                .filter(|(name, _)| !self.sources.attached.contains(name))
                .map(|(name, value)| headers(name, value))
                .collect(),
            body,
            body_base64,
        };
        Ok(Exchange {
            optional: false,
            request,
            response,
        })
    }

    /// A body as people read it: lists and objects of JSON as such, other texts as they are, bytes in base64.
    fn body(&self, bytes: &[u8]) -> Result<(Option<Value>, Option<String>), String> {
        if bytes.is_empty() {
            return Ok((None, None));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            if self.redactor.find(bytes).is_some() {
                return Err("a body that is no text holds a secret".to_owned());
            }
            return Ok((None, Some(BASE64.encode(bytes))));
        };
        let json = serde_json::from_str(text).ok();
        let value = match json {
            Some(value @ (Value::Array(_) | Value::Object(_))) => self.redactor.clean_value(value),
            _ => Value::String(self.redactor.clean(text).into_owned()),
        };
        Ok((Some(value), None))
    }

    /// Whether all that was asked could be recorded.
    pub(super) fn is_whole(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed.is_empty()
    }

    /// Puts what was taken into the file of its case, in place of the exchanges that stand there. How many those are.
    pub(super) fn write(&self, case: &Case) -> Result<usize, Failure> {
        let taken = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.taken.clone()
        };
        let exchanges = in_order(taken);
        let failed =
            |why: &str| Failure::failed(format!("`{}` stays as it is: {why}", case.file.display()));
        let yaml = serde_saphyr::to_string(&json!({"http": exchanges}));
        let yaml = yaml.map_err(|error| failed(&chain(&error)))?;
        let text = spliced(&case.text, &yaml);
        let (before, after) = (rest(case, &case.text)?, rest(case, &text)?);
        let read = parse(&case.file, &text)?;
        if read.http != exchanges || before != after {
            return Err(failed(
                "the recording would be read as something else; write `http:` at the beginning of a line",
            ));
        }
        if self.redactor.find(text.as_bytes()).is_some() {
            return Err(failed("it would hold a secret"));
        }
        replace(&case.file, &text).map_err(|error| failed(&chain(&error)))?;
        Ok(exchanges.len())
    }
}

impl Responder for Recorder {
    fn answer(&self, request: Received) -> Response {
        let batch = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.under_way == 0 {
                state.batch += 1;
            }
            state.under_way += 1;
            state.batch
        };
        let passed = self.pass_on(&request);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way -= 1;
        let kept = passed.and_then(|answer| Ok((self.keep(&request, &answer)?, answer)));
        match kept {
            Ok((exchange, answer)) => {
                state.taken.push((batch, exchange));
                answer
            }
            Err(why) => {
                let told = format!("`{}` was not recorded: {why}", request.line());
                state.failed.push(self.redactor.clean(&told).into_owned());
                Response {
                    status: 502,
                    headers: BTreeMap::new(),
                    body: Some(Value::String("the endpoint did not answer".to_owned())),
                    body_base64: None,
                }
            }
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = state.failed.iter();
        failed
            .map(|told| Problem::new("not_recorded", told.clone()))
            .collect()
    }
}

/// Requests that were under way together come in any order: those are sorted by what they are.
fn in_order(mut taken: Vec<(usize, Exchange)>) -> Vec<Exchange> {
    taken.sort_by_cached_key(|(batch, exchange)| (*batch, json!(exchange.request).to_string()));
    taken.into_iter().map(|(_, exchange)| exchange).collect()
}

/// What a text says beside its exchanges.
fn rest(case: &Case, text: &str) -> Result<Value, Failure> {
    let value = parse_yaml_value(&case.file.display().to_string(), text.as_bytes());
    let mut value = value.map_err(|error| Failure::usage(chain(&error)))?;
    if let Value::Object(members) = &mut value {
        members.remove("http");
    }
    Ok(value)
}

/// The text with other lines for its key `http`, wherever that is; all else stays as its author wrote it.
fn spliced(text: &str, http: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_key = |line: &&str| line.trim_end() == "http:" || line.starts_with("http: ");
    let start = lines.iter().position(is_key);
    let mut before = Cow::Borrowed(text);
    let mut after = String::new();
    if let Some(start) = start {
        let inside = |line: &&str| line.starts_with([' ', '-', '\n', '\r', '#']);
        let rest = lines.get(start + 1..).unwrap_or_default();
        let mut end = start + 1 + rest.iter().take_while(|line| inside(line)).count();
        // Comments and space before the next key are that key's.
        let beside = |line: &&str| line.trim().is_empty() || line.starts_with('#');
        while end > start + 1 && lines.get(end - 1).is_some_and(&beside) {
            end -= 1;
        }
        before = Cow::Owned(lines.get(..start).unwrap_or_default().concat());
        after = lines.get(end..).unwrap_or_default().concat();
    }
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{before}{gap}{http}{after}")
}

/// Writes a file anew; whoever reads it meanwhile reads the old one.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let none = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(none)?;
    let folder = file.parent().ok_or_else(none)?;
    let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
    let partial = format!(".{name}.partial");
    dir.create(&partial)?.write_all(text.as_bytes())?;
    dir.rename(&partial, &dir, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_takes_the_place_of_the_one_before_and_nothing_else() {
        let http = "http:\n  - new\n";
        for (before, after) in [
            ("a: 1\n", "a: 1\nhttp:\n  - new\n"),
            ("a: 1", "a: 1\nhttp:\n  - new\n"),
            ("http: []\nb: 2\n", "http:\n  - new\nb: 2\n"),
            (
                "a: 1\nhttp:\n- x: 1\n  # y\n\n  z: 2\n\n# of b\nb: 2 # c\n",
                "a: 1\nhttp:\n  - new\n\n# of b\nb: 2 # c\n",
            ),
        ] {
            assert_eq!(spliced(before, http), after, "{before}");
        }
    }
}
