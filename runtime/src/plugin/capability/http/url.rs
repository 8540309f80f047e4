//! Canonical origins and paths. What is matched is what is sent, byte for byte.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls::pki_types::ServerName;

/// Longer paths are no interface of anybody.
const PATH_BYTES: usize = 4 << 10;

/// Patterns are so much shorter than paths that there is always a path of a pattern's form.
const PATTERN_BYTES: usize = 2 << 10;
const PATTERN_SEGMENTS: usize = 96;

/// Of an endpoint's URL, so that a path of a manifest fits behind it.
const BASE_BYTES: usize = 1 << 10;
const BASE_SEGMENTS: usize = 32;

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// Whether it is `https`.
    pub(crate) encrypted: bool,
    /// Where to.
    pub(crate) host: Host,
    /// The port, also where it is the scheme's own.
    pub(crate) port: u16,
}

/// A name in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// To be resolved.
    Name(String),
    /// Needs no resolving.
    Address(IpAddr),
}

impl Origin {
    /// Reads scheme and authority; user information, odd spellings of addresses and anything that two readers could
    /// take for different hosts is refused.
    pub(crate) fn parse(scheme: &str, authority: &str) -> Result<Self, String> {
        let encrypted = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("the scheme is neither https nor http".to_owned()),
        };
        let (host, port) = split_port(authority)?;
        let port = match port {
            None if encrypted => 443,
            None => 80,
            Some(digits)
                if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0') =>
            {
                digits
                    .parse()
                    .map_err(|_| format!("`{digits}` is not a port"))?
            }
            Some(_) => return Err("the port is not a plain number above 0".to_owned()),
        };
        Ok(Self {
            encrypted,
            host: Host::parse(host)?,
            port,
        })
    }

    /// As it stands in a request's `Host` header.
    pub(crate) fn authority(&self) -> String {
        let default = if self.encrypted { 443 } else { 80 };
        if self.port == default {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    if authority.starts_with('[') {
        let (host, rest) = authority
            .split_once(']')
            .ok_or("the address has no closing bracket")?;
        let host = host.get(1..).unwrap_or_default();
        // Marked for `Host::parse` by its colons.
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("there is something between the address and the port".to_owned()),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("an IPv6 address stands in brackets".to_owned())
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

impl Host {
    /// The name that a server has to prove.
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        match self {
            Self::Name(name) => ServerName::try_from(name.clone()).ok(),
            Self::Address(address) => Some(ServerName::from(*address)),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.contains(':') {
            let address: Ipv6Addr = text
                .parse()
                .map_err(|_| format!("`{text}` is not an IPv6 address"))?;
            return Ok(Self::Address(address.into()));
        }
        let name = text.to_ascii_lowercase();
        let plain = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > 253 || !name.split('.').all(plain) {
            return Err("the host is not a plain ASCII name, which ends without a dot".to_owned());
        }
        // `127.1`, `0x7f.1` and `2130706433` are addresses to some readers: only the one usual spelling is.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
            let address: Ipv4Addr = name
                .parse()
                .map_err(|_| format!("`{name}` is an odd spelling of an address"))?;
            return Ok(Self::Address(address.into()));
        }
        Ok(Self::Name(name))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// The segments of a path in their canonical form. What could mean one thing here and another at the server is
/// refused, not mended.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, &'static str> {
    if path.len() > PATH_BYTES {
        return Err("the path is longer than 4 KiB");
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err("the path does not begin with a slash");
    };
    let raw: Vec<&str> = rest.split('/').collect();
    let mut segments = Vec::with_capacity(raw.len());
    for (index, segment) in raw.iter().enumerate() {
        if segment.is_empty() && index + 1 != raw.len() {
            return Err("the path has an empty segment");
        }
        let segment = canonical(segment)?;
        // `..;x` is `..` to servers that know path parameters.
        if matches!(segment.split(';').next(), Some("." | "..")) {
            return Err("the path has a segment `.` or `..`");
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// Decodes what needs no encoding, writes the rest in upper case, refuses what is not allowed in a path at all.
pub(super) fn canonical(segment: &str) -> Result<String, &'static str> {
    let mut text = String::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let (value, encoded) = match byte {
            b'%' => {
                let digit = |b: Option<u8>| {
                    b.and_then(|b| char::from(b).to_digit(16))
                        .and_then(|d| u8::try_from(d).ok())
                };
                let pair = digit(bytes.next()).zip(digit(bytes.next()));
                let (high, low) = pair.ok_or("the path has a `%` without two hex digits")?;
                (high << 4 | low, true)
            }
            other => (other, false),
        };
        let unreserved = value.is_ascii_alphanumeric() || b"-._~".contains(&value);
        match (value, encoded) {
            (b'/' | b'\\' | b'%' | 0..=0x1f | 0x7f, true) => {
                return Err("the path hides a separator or control byte");
            }
            _ if unreserved => text.push(char::from(value)),
            (_, true) => text.push_str(&format!("%{value:02X}")),
            (value, false) if b"!$&'()*+,;=:@".contains(&value) => text.push(char::from(value)),
            _ => return Err("the path has a character that has to be encoded"),
        }
    }
    Ok(text)
}

/// A path of the manifest: literal segments, `*` for exactly one, `**` at the end for any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPattern {
    segments: Vec<String>,
    open: bool,
}

impl PathPattern {
    /// Reads a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (fixed, open) = match text.strip_suffix("**") {
            Some(fixed) if fixed.ends_with('/') => (fixed, true),
            Some(_) => return Err("`**` stands for whole segments: write `/**`".to_owned()),
            None => (text, false),
        };
        let mut segments = segments(fixed)?;
        if fixed.len() > PATTERN_BYTES || segments.len() > PATTERN_SEGMENTS {
            let message =
                format!("a path has at most {PATTERN_BYTES} bytes and {PATTERN_SEGMENTS} segments");
            return Err(message);
        }
        if open {
            segments.pop();
        }
        match segments
            .iter()
            .find(|segment| segment.contains('*') && *segment != "*")
        {
            Some(odd) if odd == "**" => Err("`**` is allowed at the end only".to_owned()),
            Some(odd) => Err(format!("`{odd}`: a `*` stands for one whole segment")),
            None => Ok(Self { segments, open }),
        }
    }

    /// The same pattern below a path that all begin with.
    pub(crate) fn below(&self, prefix: &[String]) -> Self {
        Self {
            segments: prefix.iter().chain(&self.segments).cloned().collect(),
            open: self.open,
        }
    }

    /// Its segments, a `*` for each that may be any.
    pub(crate) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether any number of segments may follow.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether a path has this form.
    pub(crate) fn matches(&self, path: &[String]) -> bool {
        let enough = if self.open {
            path.len() >= self.segments.len()
        } else {
            path.len() == self.segments.len()
        };
        enough
            && self.segments.iter().zip(path).all(|(wanted, found)| {
                if wanted == "*" {
                    !found.is_empty()
                } else {
                    wanted == found
                }
            })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            write!(f, "/{segment}")?;
        }
        if self.open {
            f.write_str("/**")
        } else {
            Ok(())
        }
    }
}

/// Where an endpoint is: an origin, and a path that all its paths begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// Scheme, host and port.
    pub(crate) origin: Origin,
    /// The beginning of every path, possibly none.
    pub(crate) prefix: Vec<String>,
}

impl BaseUrl {
    /// Reads `https://host[:port][/path]`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BASE_BYTES {
            return Err(format!("the URL is longer than {BASE_BYTES} bytes"));
        }
        let (scheme, rest) = text.split_once("://").ok_or("write `https://host`")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let origin = Origin::parse(scheme, authority)?;
        let mut prefix = if path.is_empty() {
            Vec::new()
        } else {
            segments(path)?
        };
        if prefix.last().is_some_and(String::is_empty) {
            prefix.pop();
        }
        if prefix.iter().any(|segment| segment.contains('*')) {
            return Err("the URL of an endpoint has no `*` in it".to_owned());
        }
        if prefix.len() > BASE_SEGMENTS {
            let message = format!("the URL has more than {BASE_SEGMENTS} segments");
            return Err(message);
        }
        Ok(Self { origin, prefix })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        self.prefix
            .iter()
            .try_for_each(|segment| write!(f, "/{segment}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(authority: &str) -> Result<String, String> {
        Origin::parse("https", authority).map(|origin| origin.to_string())
    }

    #[test]
    fn origins_have_one_spelling() {
        assert_eq!(
            origin("API.GitHub.com:443").unwrap(),
            "https://api.github.com"
        );
        assert_eq!(
            origin("[2001:DB8::1]:8443").unwrap(),
            "https://[2001:db8::1]:8443"
        );
        assert_eq!(origin("10.0.0.1").unwrap(), "https://10.0.0.1");
    }

    #[test]
    fn odd_authorities_are_refused() {
        for odd in [
            "",
            "user@host",
            "allowed@evil",
            "host.",
            ".host",
            "a..b",
            "host:0",
            "host:99999",
            "host:",
            "host:+80",
            "host:080",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "1.2.3.4.5",
            "::1",
            "[::1",
            "[::1]x",
            "[fe80::1%25eth0]",
            "h\\x",
            "hést",
            "h st",
            "*.example.com",
            "a:1:2",
        ] {
            assert!(origin(odd).is_err(), "{odd}");
        }
        assert!(Origin::parse("file", "host").is_err());
    }

    #[test]
    fn paths_are_canonical_or_refused() {
        assert_eq!(
            segments("/a/%62%2d/c%3ad%3A").unwrap(),
            ["a", "b-", "c%3Ad%3A"]
        );
        assert_eq!(segments("/a/").unwrap(), ["a", ""]);
        for odd in [
            "",
            "a",
            "//a",
            "/a//b",
            "/./a",
            "/a/..",
            "/%2e%2e/a",
            "/a/.%2E/b",
            "/..;/a",
            "/..;x=1/a",
            "/a%2fb",
            "/a%5Cb",
            "/a%00",
            "/a%",
            "/a%zz",
            "/a#b",
            "/é",
            "/a\\b",
            "/a%252e",
            "/a b",
        ] {
            assert!(segments(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn patterns_match_whole_segments() {
        let matches = |pattern: &str, path: &str| {
            PathPattern::parse(pattern)
                .unwrap()
                .matches(&segments(path).unwrap())
        };
        assert!(matches("/orgs/*/repos", "/orgs/acme/repos"));
        assert!(!matches("/orgs/*/repos", "/orgs/acme/x/repos"));
        assert!(!matches("/orgs/*", "/orgs/"));
        assert!(!matches("/orgs/*/repos", "/orgs/acme/repos/"));
        assert!(matches("/git/**", "/git"));
        assert!(matches("/git/**", "/git/a/b/"));
        assert!(!matches("/git/**", "/gitx"));
        assert!(matches("/**", "/"));
        for odd in ["", "x", "/a*", "/**/b", "/a**", "/a/../b", "/***"] {
            assert!(PathPattern::parse(odd).is_err(), "{odd}");
        }
        for text in ["/orgs/*/repos", "/git/**", "/**"] {
            assert_eq!(PathPattern::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn base_urls_keep_their_path() {
        assert_eq!(
            BaseUrl::parse("https://git.example.com/api/v4/")
                .unwrap()
                .to_string(),
            "https://git.example.com/api/v4"
        );
        for odd in [
            "git.example.com",
            "https://u:p@host",
            "https://host/?a",
            "https://host/#a",
            "https://host/*",
            "https://",
            "ftp://host",
        ] {
            assert!(BaseUrl::parse(odd).is_err(), "{odd}");
        }
    }
}
