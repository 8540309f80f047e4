//! The insides of the sandbox that every request and every line of a log passes, as `cargo bench` measures them. Nothing
//! else uses this.

use std::borrow::Cow;

use hyper::{Method, Uri};

use super::capability::http::{BaseUrl, HttpRule};
use super::capability::line::Line;
use super::capability::{Capability, CatalogAccess, Place};
use super::grant::Effective;
use super::secret::Redactor;
use crate::model::BlueprintId;

/// A grant.
#[derive(Debug)]
pub struct Policy {
    power: Effective,
}

/// A request of a guest, as the host has it.
#[derive(Debug)]
pub struct Request {
    method: Method,
    uri: Uri,
}

impl Request {
    /// A `GET` to a URL; `None` where it is no URL.
    pub fn get(url: &str) -> Option<Self> {
        Some(Self {
            method: Method::GET,
            uri: url.parse().ok()?,
        })
    }
}

impl Policy {
    /// A grant of these lines, written as grants are shown; `None` where one cannot be read.
    pub fn of(lines: &[String]) -> Option<Self> {
        let mut power = Effective::nothing();
        let mut rules = Vec::new();
        for line in lines {
            match Line::parse(line).ok()? {
                Line::Capability(Capability::Http {
                    method,
                    to: Place::Origin(origin),
                    path,
                    query,
                    private,
                    ..
                }) => rules.push(HttpRule {
                    method,
                    endpoint: "measured".to_owned(),
                    base: BaseUrl {
                        origin,
                        prefix: Vec::new(),
                    },
                    path,
                    query,
                    secret: None,
                    private,
                }),
                Line::Capability(capability) => power.capabilities.push(capability),
                Line::Limit(..) => {}
            }
        }
        power.http = rules.into();
        Some(Self { power })
    }

    /// Whether a request may be sent.
    pub fn allows(&self, request: &Request) -> bool {
        self.power.http.judge(&request.method, &request.uri).is_ok()
    }

    /// Whether entities of a blueprint may be read.
    pub fn may_read(&self, blueprint: &BlueprintId) -> bool {
        self.power.touches(CatalogAccess::Read, blueprint)
    }
}

/// What keeps secrets out of a log.
#[derive(Default)]
pub struct Cleaner {
    redactor: Redactor,
}

impl std::fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cleaner").finish_non_exhaustive()
    }
}

impl Cleaner {
    /// Keeps one more secret out.
    pub fn add(&self, secret: &str) {
        self.redactor.add("secret", secret);
    }

    /// A text without secrets.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redactor.clean(text)
    }
}
