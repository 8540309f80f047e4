//! Talks to a registry by the OCI distribution specification. What it says is not believed: every answer is bounded,
//! every digest is computed again, and a credential goes to the registry, or to where the operator said, and nowhere
//! else.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;
use ureq::http::header::{LOCATION, WWW_AUTHENTICATE};
use ureq::http::{Method, Request, Response, StatusCode, Uri};
use ureq::tls::RootCerts;
use ureq::{Agent, Body};

use super::super::super::client::{agent_config, segment, text, trusted};
use super::super::super::exit::{Exit, Failure, chain};
use super::super::super::output::clean;
use super::challenge::Challenge;
use super::manifest::{self, MANIFEST};
use super::reference::Reference;
use super::{PlainHttp, RegistryArguments};
use crate::config::{Secret, is_loopback};
use crate::model::Digest;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For one request, its body with it.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Where the content itself is, a registry may say once or twice; more is a circle.
const MAX_REDIRECTS: usize = 3;

/// A token is some kilobytes.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// How much of an error's text is worth showing.
const MAX_ERROR_BYTES: u64 = 4 << 10;

/// One repository of one registry.
pub(super) struct Registry<'a> {
    agent: Agent,
    place: &'a Reference,
    scheme: &'static str,
    plain_http: Option<PlainHttp>,
    credential: Option<(String, Secret)>,
    /// Another authority than the registry's that may see the credential, to make a token of it.
    token_host: Option<String>,
    /// What the registry asked for the last time, once it did.
    authorization: RefCell<Option<String>>,
}

impl<'a> Registry<'a> {
    pub(super) fn new(
        place: &'a Reference,
        arguments: &RegistryArguments,
    ) -> Result<Self, Failure> {
        let roots = match &arguments.registry_ca {
            Some(file) => trusted(file)?,
            None => RootCerts::WebPki,
        };
        let config = agent_config(roots)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(TIMEOUT))
            .build();
        let for_here = arguments
            .registry_host
            .as_ref()
            .is_some_and(|host| host.eq_ignore_ascii_case(&place.registry));
        let credential = credential(arguments)?.filter(|_| for_here);
        let registry = Self {
            agent: config.new_agent(),
            place,
            scheme: if arguments.plain_http.is_some() {
                "http"
            } else {
                "https"
            },
            plain_http: arguments.plain_http,
            credential,
            token_host: arguments.token_host.clone(),
            authorization: RefCell::new(None),
        };
        let own: Uri = registry
            .url("")
            .parse()
            .map_err(|error| Failure::usage(format!("`{place}` names no registry: {error}")))?;
        registry.check(&own).map_err(Failure::usage)?;
        Ok(registry)
    }

    /// The manifest of the place, and its digest as it is.
    pub(super) fn manifest(&self) -> Result<Option<(Vec<u8>, Digest)>, Failure> {
        let digest = self.place.digest.map(|digest| digest.to_string());
        // Where both are given the tag is asked, to see whether it was moved.
        let reference = self.place.tag.clone().or(digest);
        let reference = reference.unwrap_or_else(|| "latest".to_owned());
        let url = self.url(&format!("/manifests/{reference}"));
        let response = self.ask(&Method::GET, &url, &[("accept", MANIFEST)], &[])?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::OK => {}
            _ => return Err(self.refused("read the manifest", response)),
        }
        let kind = response.headers().get("content-type").cloned();
        if kind.as_ref().and_then(|kind| kind.to_str().ok()) != Some(MANIFEST) {
            let shown = kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
            return Err(self.odd(&format!(
                "its manifest is `{}`; that of one image is `{MANIFEST}`",
                shown.unwrap_or_default()
            )));
        }
        let bytes = self.body(response, manifest::MAX_BYTES, "the manifest")?;
        let digest = Digest::of(&bytes);
        Ok(Some((bytes, digest)))
    }

    /// The content of a layer. It may be elsewhere: then whoever has it sees no credential.
    pub(super) fn blob(&self, layer: manifest::Layer) -> Result<Vec<u8>, Failure> {
        let url = self.url(&format!("/blobs/{}", layer.digest));
        let mut response = self.ask(&Method::GET, &url, &[], &[])?;
        let mut from: Uri = url.parse().map_err(|_| self.odd("its address is none"))?;
        for _ in 0..MAX_REDIRECTS {
            if !response.status().is_redirection() {
                break;
            }
            from = self.target(&from, &response)?;
            response = self.send(&Method::GET, &from.to_string(), &[], &[])?;
        }
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(self.odd(&format!("it sent us on more than {MAX_REDIRECTS} times")));
            }
            _ => return Err(self.refused("read the layer", response)),
        }
        let bytes = self.body(response, layer.size, "the layer")?;
        if bytes.len() as u64 != layer.size || Digest::of(&bytes) != layer.digest {
            return Err(self.odd(&format!(
                "the layer that it sent is not the one of the manifest ({})",
                layer.digest
            )));
        }
        Ok(bytes)
    }

    /// Puts content where it is not there yet.
    pub(super) fn push_blob(&self, content: &[u8]) -> Result<(), Failure> {
        let digest = Digest::of(content);
        let url = self.url(&format!("/blobs/{digest}"));
        if self.ask(&Method::HEAD, &url, &[], &[])?.status() == StatusCode::OK {
            return Ok(());
        }
        let begin = self.url("/blobs/uploads/");
        let response = self.ask(&Method::POST, &begin, &[], &[])?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(self.refused("begin an upload", response));
        }
        let from = begin.parse().map_err(|_| self.odd("its address is none"))?;
        let target = self.target(&from, &response)?;
        // What follows carries the credential, and the package.
        if !self.is_registry(&target) {
            return Err(self.odd("it wants the upload to go to another host"));
        }
        let joined = if target.query().is_some() { '&' } else { '?' };
        let url = format!("{target}{joined}digest={digest}");
        let octets = [("content-type", "application/octet-stream")];
        let response = self.ask(&Method::PUT, &url, &octets, content)?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(self.refused("upload a layer", response)),
        }
    }

    pub(super) fn push_manifest(&self, tag: &str, manifest: &[u8]) -> Result<(), Failure> {
        let url = self.url(&format!("/manifests/{tag}"));
        let response = self.ask(&Method::PUT, &url, &[("content-type", MANIFEST)], manifest)?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(self.refused("put the manifest", response)),
        }
    }

    fn url(&self, path: &str) -> String {
        let (scheme, place) = (self.scheme, self.place);
        format!(
            "{scheme}://{}/v2/{}{path}",
            place.registry, place.repository
        )
    }

    /// Asks the registry itself, once more with what it asks for where it asks.
    fn ask(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>, Failure> {
        let with = |authorization: Option<&str>| {
            let mut all = headers.to_vec();
            all.extend(authorization.map(|value| ("authorization", value)));
            self.send(method, url, &all, body)
        };
        let known = self.authorization.borrow().clone();
        let response = with(known.as_deref())?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let asked = response.headers().get(WWW_AUTHENTICATE);
        let challenge = asked
            .and_then(|value| value.to_str().ok())
            .and_then(Challenge::parse);
        let answer = match challenge {
            Some(Challenge::Basic) => self.basic(),
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => Some(self.token(&realm, service.as_deref(), scope.as_deref())?),
            None => None,
        };
        let Some(answer) = answer else {
            return Err(Failure::new(
                Exit::NotPermitted,
                format!(
                    "{0} asks who you are; give --registry-user, GOLDENPATH_REGISTRY_PASSWORD and --registry-host {0}",
                    self.place.registry
                ),
            ));
        };
        let response = with(Some(&answer))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.refused("answer", response));
        }
        *self.authorization.borrow_mut() = Some(answer);
        Ok(response)
    }

    fn basic(&self) -> Option<String> {
        let (user, password) = self.credential.as_ref()?;
        let pair = format!("{user}:{}", password.expose());
        Some(format!(
            "Basic {}",
            data_encoding::BASE64.encode(pair.as_bytes())
        ))
    }

    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<String, Failure> {
        let uri: Uri = realm
            .parse()
            .map_err(|_| self.odd("the address of its tokens is none"))?;
        self.check(&uri).map_err(|why| self.odd(&why))?;
        if self.credential.is_some() && !self.is_registry(&uri) && !self.is_token_host(&uri) {
            let host = clean(uri.authority().map_or("", |authority| authority.as_str()));
            return Err(Failure::new(
                Exit::NotPermitted,
                format!(
                    "{} wants the credential to go to `{host}`; if that is right, say --token-host {host}",
                    self.place.registry,
                ),
            ));
        }
        self.may_go_on(&uri)?;
        let mut url = realm.to_owned();
        for (key, value) in [("service", service), ("scope", scope)] {
            if let Some(value) = value {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str(&format!("{key}={}", segment(value)));
            }
        }
        let basic = self.basic();
        let headers: Vec<(&str, &str)> = basic
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        let response = self.send(&Method::GET, &url, &headers, &[])?;
        if response.status() != StatusCode::OK {
            return Err(self.refused("make a token", response));
        }
        let body = self.body(response, MAX_TOKEN_BYTES, "the token")?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = match text(&body, "/token") {
            token if token.is_empty() => text(&body, "/access_token"),
            token => token,
        };
        if token.is_empty() {
            return Err(self.odd("it made no token"));
        }
        Ok(format!("Bearer {token}"))
    }

    fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>, Failure> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let malformed = |error: ureq::http::Error| Failure::of("build the request", &error);
        let sent = if *method == Method::POST || *method == Method::PUT {
            self.agent.run(request.body(body).map_err(malformed)?)
        } else {
            self.agent.run(request.body(()).map_err(malformed)?)
        };
        sent.map_err(|error| self.unreachable(&error))
    }

    /// Where an answer sends us on to.
    fn target(&self, from: &Uri, response: &Response<Body>) -> Result<Uri, Failure> {
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let location =
            location.ok_or_else(|| self.odd("it sends us on, and does not say where"))?;
        let absolute = if location.starts_with('/') && !location.starts_with("//") {
            let authority = from.authority().map_or("", |authority| authority.as_str());
            format!(
                "{}://{authority}{location}",
                from.scheme_str().unwrap_or("https")
            )
        } else {
            location.to_owned()
        };
        let target: Uri = absolute
            .parse()
            .map_err(|_| self.odd("the address that it sends us on to is none"))?;
        self.may_go_on(&target)?;
        Ok(target)
    }

    fn is_registry(&self, uri: &Uri) -> bool {
        uri.authority()
            .is_some_and(|of| of.as_str() == self.place.registry)
            && uri.scheme_str() == Some(self.scheme)
    }

    /// Whether it is where the operator lets tokens be made.
    fn is_token_host(&self, uri: &Uri) -> bool {
        let (host, of) = (self.token_host.as_deref(), uri.authority());
        host.zip(of)
            .is_some_and(|(host, of)| of.as_str().eq_ignore_ascii_case(host))
    }

    /// Whether something may be sent there at all; else why not. Whose mistake that is depends on who named it.
    fn check(&self, uri: &Uri) -> Result<(), String> {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let plain = match (uri.scheme_str(), self.plain_http) {
            (Some("https"), _) => return Ok(()),
            (Some("http"), Some(PlainHttp::Anywhere)) => true,
            (Some("http"), Some(PlainHttp::Loopback)) => is_loopback(authority),
            _ => false,
        };
        if plain && !authority.contains('@') {
            return Ok(());
        }
        Err(format!(
            "refuse to talk to `{}` in clear text; --plain-http allows this machine, --plain-http=anywhere all others",
            clean(&uri.to_string())
        ))
    }

    /// Whether we go where the registry sends us, for content or for a token. What it means to reach by an address, or on
    /// this machine, is inside: it may see that with our eyes only where the operator named it.
    fn may_go_on(&self, uri: &Uri) -> Result<(), Failure> {
        self.check(uri).map_err(|why| self.odd(&why))?;
        let host = uri.host().unwrap_or_default();
        if is_inside(host) && !self.is_registry(uri) && !self.is_token_host(uri) {
            return Err(self.odd(&format!("it sends us on to the bare address {host}")));
        }
        Ok(())
    }

    fn body(&self, response: Response<Body>, most: u64, what: &str) -> Result<Vec<u8>, Failure> {
        let mut body = response.into_body();
        let read = body.with_config().limit(most).read_to_vec();
        read.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => {
                self.odd(&format!("{what} that it sent has more than {most} bytes"))
            }
            error => self.unreachable(&error),
        })
    }

    fn refused(&self, doing: &str, response: Response<Body>) -> Failure {
        let status = response.status();
        let exit = match status.as_u16() {
            401 | 403 => Exit::NotPermitted,
            404 => Exit::NotFound,
            _ => Exit::Failed,
        };
        let mut body = response.into_body();
        let said = body.with_config().limit(MAX_ERROR_BYTES).lossy_utf8(true);
        let said: String = said.read_to_string().unwrap_or_default();
        let said: String = said.chars().take(200).collect();
        let registry = &self.place.registry;
        Failure::new(
            exit,
            format!(
                "{doing}: {registry} answered {}: {}",
                status.as_u16(),
                clean(&said)
            ),
        )
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let registry = &self.place.registry;
        Failure::new(
            Exit::Unreachable,
            format!("reach {registry}: {}", chain(error)),
        )
    }

    /// What a registry did that it should not do.
    pub(super) fn odd(&self, what: &str) -> Failure {
        Failure::failed(format!("`{}`: {}", self.place, clean(what)))
    }
}

/// Whether a host is this machine, or an address in one of the ways that resolvers take: `10.1`, `0x7f.1` and
/// `2130706433` are some. No domain at the top is a number.
fn is_inside(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let top = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal = top.strip_prefix("0x");
    let is_number = top.chars().all(|c| c.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
    host.starts_with('[') || is_number || top == "localhost"
}

/// What was given, as a whole. Of the environment every command knows it, whatever registry is named to that: it has to
/// say itself which one it is for.
fn credential(arguments: &RegistryArguments) -> Result<Option<(String, Secret)>, Failure> {
    let (user, password) = match (&arguments.registry_user, &arguments.registry_password) {
        (Some(user), Some(password)) => (user, password),
        (None, None) => return Ok(None),
        _ => {
            return Err(Failure::usage(
                "a registry's credential is a user and a password; only one of them was given",
            ));
        }
    };
    if arguments.registry_host.is_none() {
        return Err(Failure::usage(
            "a user and a password were given, and not for which registry; say --registry-host HOST, or set GOLDENPATH_REGISTRY_HOST",
        ));
    }
    Ok(Some((user.clone(), password.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_this_machine_are_inside_however_they_are_written() {
        for inside in [
            "127.0.0.1",
            "10.1",
            "0x7f.1",
            "0X7F000001",
            "127.0.0.0x1",
            "2130706433",
            "169.254.169.254.",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "localhost",
            "LocalHost.",
            "tokens.localhost",
            "",
        ] {
            assert!(is_inside(inside), "{inside}");
        }
        for name in [
            "auth.example.com",
            "10.example",
            "cafe.de",
            "0x.example.com.",
        ] {
            assert!(!is_inside(name), "{name}");
        }
    }
}
