//! Where a package is in a registry: `oci://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.

use std::fmt;
use std::str::FromStr;

use crate::model::Digest;

/// What the distribution specification allows a tag.
const MAX_TAG: usize = 128;

/// What registries allow a name, host included.
const MAX_REPOSITORY: usize = 255;

/// A package in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Reference {
    /// `host` or `host:port`.
    pub(super) registry: String,
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    /// Digest of the manifest: what a reader gets is this or nothing.
    pub(super) digest: Option<Digest>,
}

impl Reference {
    /// Whether a text means a registry, and no file.
    pub(in crate::cli) fn is_meant(text: &str) -> bool {
        text.starts_with("oci://")
    }

    /// The same place, by what is in it.
    pub(super) fn pinned(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = |what: &str| {
            Err(format!(
                "`{text}` {what}; it looks like oci://registry.example.com/team/plugin:1.0.0 or …@sha256:…"
            ))
        };
        let Some((registry, rest)) = text
            .strip_prefix("oci://")
            .and_then(|rest| rest.split_once('/'))
        else {
            return refused("is no place in a registry");
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        if registry.is_empty() || !registry.chars().all(plain) {
            return refused("names no registry");
        }
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => match Digest::parse(digest) {
                Some(digest) => (rest, Some(digest)),
                None => {
                    return refused("has a digest that is not `sha256:` and 64 hexadecimal digits");
                }
            },
        };
        let (repository, tag) = match rest.split_once(':') {
            None => (rest, None),
            Some((repository, tag)) => (repository, Some(tag)),
        };
        if !tag.is_none_or(is_tag) {
            return refused(
                "has a tag with other characters than letters, digits, `.`, `_` and `-`",
            );
        }
        if repository.len() > MAX_REPOSITORY || !repository.split('/').all(is_component) {
            return refused(
                "has a repository with other characters than a-z, digits, `.`, `_`, `-` and `/`",
            );
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= MAX_TAG
        && text.starts_with(word)
        && text.chars().all(|c| word(c) || ".-".contains(c))
}

/// One part of a repository's path; it neither begins nor ends with what separates words, so none is `..`.
fn is_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(word)
        && text.ends_with(word)
        && text.chars().all(|c| word(c) || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written_in_one_way() {
        let digest = Digest::of(b"x");
        for text in [
            "oci://registry.example.com/hello",
            "oci://127.0.0.1:5000/team/my-plugin:1.0.0",
            "oci://[::1]:5000/a/b/c:latest",
            &format!("oci://registry.example.com/hello@{digest}"),
            &format!("oci://registry.example.com/hello:1.0.0@{digest}"),
        ] {
            let read: Reference = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for text in [
            "hello.wasm",
            "oci://registry.example.com",
            "oci:///hello",
            "oci://user@registry.example.com/hello",
            "oci://registry.example.com/../v2",
            "oci://registry.example.com/a//b",
            "oci://registry.example.com/Hello",
            "oci://registry.example.com/a?b",
            "oci://registry.example.com/a:b/c",
            "oci://registry.example.com/a:-x",
            "oci://registry.example.com/a@sha256:abc",
            "oci://registry.example.com/a@md5:abc",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
