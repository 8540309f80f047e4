//! Under which names the server may be called, and from where a request really comes.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, Uri, header};

use super::state::ApiSettings;

/// Names of this machine for itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names that a `Host` header may hold. Any other is a web page that had its own name resolve to us.
pub(super) struct Hosts {
    allowed: HashSet<String>,
}

impl Hosts {
    pub(super) fn new(settings: &ApiSettings) -> Self {
        let mut allowed: HashSet<String> = LOOPBACK.map(str::to_owned).into();
        allowed.extend(
            settings
                .allowed_hosts
                .iter()
                .map(|host| host.to_ascii_lowercase()),
        );
        let public = settings
            .public_url
            .as_deref()
            .and_then(|url| url.parse::<Uri>().ok());
        allowed.extend(
            public
                .as_ref()
                .and_then(Uri::host)
                .map(str::to_ascii_lowercase),
        );
        match settings.listen.map(|address| address.ip()) {
            Some(IpAddr::V4(ip)) if !ip.is_unspecified() => _ = allowed.insert(ip.to_string()),
            Some(IpAddr::V6(ip)) if !ip.is_unspecified() => _ = allowed.insert(format!("[{ip}]")),
            _ => {}
        }
        Self { allowed }
    }

    /// Whether a request was sent to a name of ours. `None`: it names no host at all, or several.
    ///
    /// What stands in the URI is meant where it differs from the header, so both have to be names of ours.
    pub(super) fn allow(&self, uri: &Uri, headers: &HeaderMap) -> Option<bool> {
        let mut values = headers.get_all(header::HOST).iter();
        let header = match (values.next(), values.next()) {
            // HTTP/2 has the host in the URI instead.
            (None, _) => None,
            (Some(value), None) => Some(value.to_str().ok()?.parse::<Authority>().ok()?),
            // Two readers could take different ones for the name that was meant.
            (Some(_), Some(_)) => return None,
        };
        let named = [header.as_ref().map(Authority::host), uri.host()];
        let mut named = named.into_iter().flatten().peekable();
        named.peek()?;
        Some(named.all(|host| self.allowed.contains(&host.to_ascii_lowercase())))
    }
}

/// The address that failed logins are counted for.
pub(super) fn client_address(
    settings: &ApiSettings,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    // Without a peer (a socket that has none) all clients share one count.
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| {
        peer.0.ip().to_canonical()
    });
    if !settings.trusted_proxies.contains(&peer) {
        return peer;
    }
    // The right end was written by our own proxy; what stands before the first stranger is the stranger's word.
    let chain = headers.get_all("x-forwarded-for").iter().rev();
    let hops = chain
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','));
    for hop in hops {
        match hop.trim().parse::<IpAddr>() {
            Ok(hop) if settings.trusted_proxies.contains(&hop.to_canonical()) => {}
            Ok(hop) => return hop.to_canonical(),
            Err(_) => return peer,
        }
    }
    peer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(settings: &ApiSettings, value: &'static str) -> Option<bool> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, value.parse().unwrap());
        Hosts::new(settings).allow(&Uri::from_static("/health"), &headers)
    }

    #[test]
    fn only_names_of_ours_are_allowed_whatever_the_port() {
        let settings = ApiSettings {
            listen: Some("192.0.2.7:4000".parse().unwrap()),
            public_url: Some("https://Portal.example.com/base".to_owned()),
            allowed_hosts: vec!["portal.internal".to_owned()],
            ..ApiSettings::default()
        };
        for allowed in [
            "localhost:4000",
            "LOCALHOST",
            "127.0.0.1:1",
            "[::1]:4000",
            "192.0.2.7:4000",
            "portal.example.com",
            "portal.internal:80",
        ] {
            assert_eq!(host(&settings, allowed), Some(true), "{allowed}");
        }
        for other in [
            "evil.example.com",
            "localhost.evil.com",
            "0.0.0.0:4000",
            "192.0.2.8",
        ] {
            assert_eq!(host(&settings, other), Some(false), "{other}");
        }
        assert_eq!(host(&settings, ""), None);
    }

    #[test]
    fn two_names_are_as_bad_as_none_and_the_uri_counts_beside_the_header() {
        let hosts = Hosts::new(&ApiSettings::default());
        let (mut headers, here) = (HeaderMap::new(), Uri::from_static("/health"));
        headers.insert(header::HOST, "localhost".parse().unwrap());
        assert_eq!(hosts.allow(&here, &headers), Some(true));
        let whole = Uri::from_static("http://localhost/health");
        assert_eq!(hosts.allow(&whole, &headers), Some(true));
        let elsewhere = Uri::from_static("http://evil.example.com/health");
        assert_eq!(hosts.allow(&elsewhere, &headers), Some(false));
        headers.append(header::HOST, "localhost".parse().unwrap());
        assert_eq!(hosts.allow(&here, &headers), None);
        assert_eq!(hosts.allow(&elsewhere, &HeaderMap::new()), Some(false));
    }

    #[test]
    fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
        let proxy: IpAddr = [10, 0, 0, 1].into();
        let settings = ApiSettings {
            trusted_proxies: vec![proxy],
            ..ApiSettings::default()
        };
        let seen = |peer: IpAddr, forwarded: &str| {
            let (mut headers, mut extensions) = (HeaderMap::new(), Extensions::new());
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            extensions.insert(ConnectInfo(SocketAddr::from((peer, 1))));
            client_address(&settings, &headers, &extensions)
        };
        let stranger: IpAddr = [192, 0, 2, 9].into();
        assert_eq!(seen(stranger, "198.51.100.1"), stranger);
        assert_eq!(seen(proxy, "198.51.100.1, 192.0.2.9"), stranger);
        assert_eq!(seen(proxy, "198.51.100.1, 192.0.2.9, 10.0.0.1"), stranger);
        assert_eq!(seen(proxy, "nonsense"), proxy);
    }
}
