//! What a manifest says of the places that a plugin talks to: endpoints, requests and the secrets that go with them.

use std::collections::BTreeMap;

use toml::Spanned;

use super::raw::{self, Document};
use super::{Collected, Problem, prose, shown, word};
use crate::plugin::capability::http::{
    Attachment, BaseUrl, METHODS, PathPattern, QUERY_KEYS, is_query_key,
};
use crate::plugin::capability::{Capability, Place};

/// A path that a reviewer still reads, and that fits behind the URL of an endpoint.
const MAX_PATH_BYTES: usize = 1 << 10;

const MAX_PATH_SEGMENTS: usize = 64;

pub(super) fn endpoints(document: &Document) -> Result<BTreeMap<String, Option<String>>, Problem> {
    let mut endpoints = BTreeMap::new();
    for (name, entry) in &document.endpoints {
        prose(&entry.reason, 500)?;
        if !document
            .capabilities
            .http
            .iter()
            .any(|http| http.endpoint.as_ref() == name.as_ref())
        {
            return Err((
                name.span(),
                "no `[[capabilities.http]]` uses this endpoint; remove it".to_owned(),
            ));
        }
        if let Some(url) = &entry.default {
            BaseUrl::parse(url.as_ref()).map_err(|message| (url.span(), message))?;
        }
        endpoints.insert(
            word(name, "an endpoint")?,
            entry.default.as_ref().map(|url| url.as_ref().clone()),
        );
    }
    Ok(endpoints)
}

pub(super) fn http(
    entry: &raw::Http,
    endpoints: &BTreeMap<String, Option<String>>,
    secret: Option<String>,
    lines: &mut Collected,
) -> Result<(), Problem> {
    let endpoint = entry.endpoint.as_ref();
    if !endpoints.contains_key(endpoint) {
        let message = format!("there is no `[endpoints.{}]`", shown(endpoint));
        return Err((entry.endpoint.span(), message));
    }
    if entry.methods.as_ref().is_empty() {
        return Err((
            entry.methods.span(),
            format!("name at least one of {}", METHODS.join(", ")),
        ));
    }
    if entry.paths.as_ref().is_empty() {
        return Err((
            entry.paths.span(),
            "name at least one path; `/**` stands for all of them".to_owned(),
        ));
    }
    let query = entry.query.as_ref().map(query_keys).transpose()?;
    for method in entry.methods.as_ref() {
        if !METHODS.contains(&method.as_str()) {
            let message = format!("`{}` is none of {}", shown(method), METHODS.join(", "));
            return Err((entry.methods.span(), message));
        }
        for text in entry.paths.as_ref() {
            let path =
                PathPattern::parse(text.as_ref()).map_err(|message| (text.span(), message))?;
            if text.as_ref().len() > MAX_PATH_BYTES || path.segments().len() > MAX_PATH_SEGMENTS {
                let message = format!(
                    "a path has at most {MAX_PATH_BYTES} bytes and {MAX_PATH_SEGMENTS} segments"
                );
                return Err((text.span(), message));
            }
            let capability = Capability::Http {
                method: method.clone(),
                to: Place::Endpoint(endpoint.clone()),
                path,
                query: query.clone(),
                secret: secret.clone(),
                private: false,
            };
            lines.add(capability, &entry.reason, text.span())?;
        }
    }
    Ok(())
}

/// Reads how a secret is attached; under one name it is the same everywhere, so that a reviewer reads it once.
pub(super) fn attached(
    declared: &Spanned<raw::Secret>,
    secrets: &mut BTreeMap<String, Attachment>,
) -> Result<String, Problem> {
    let raw::Secret {
        name,
        header,
        format,
    } = declared.as_ref();
    let place = format.as_ref().map_or(header.span(), Spanned::span);
    let format = format.as_ref().map_or("{}", |format| format.as_ref());
    let attachment = Attachment::parse(header.as_ref(), format).map_err(|why| (place, why))?;
    let name = word(name, "a secret")?;
    match secrets.insert(name.clone(), attachment.clone()) {
        Some(other) if other != attachment => Err((
            declared.span(),
            format!("`{name}` is attached in another way above; give this one a name of its own"),
        )),
        _ => Ok(name),
    }
}

fn query_keys(listed: &Spanned<Vec<String>>) -> Result<Vec<String>, Problem> {
    let mut keys = listed.as_ref().clone();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() != listed.as_ref().len() || keys.len() > QUERY_KEYS {
        let message = format!(
            "name each key once, at most {QUERY_KEYS}; leave `query` out to allow any of them"
        );
        return Err((listed.span(), message));
    }
    match keys.iter().find(|key| !is_query_key(key)) {
        Some(odd) => Err((
            listed.span(),
            format!(
                "`{}` cannot be a key: use 1 to 64 letters, digits and - . _ ~",
                shown(odd)
            ),
        )),
        None => Ok(keys),
    }
}
