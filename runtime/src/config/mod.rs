//! What an operator can set, and where it comes from: flag, then environment, then config file, then default.
//!
//! The only module that reads the environment or the config file. Each field of [`Settings`] is at once a flag, an
//! environment variable and a key of the file, so that none of the three can be forgotten.

mod connection;
mod source;
mod value;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use serde::Deserialize;

pub use connection::{Connection, ConnectionError, Credentials, Endpoint};
pub(crate) use connection::{create_private, is_loopback, read_private, write_private};
pub(crate) use source::{environment, read_file, user_folder};
pub use value::{ByteSize, CollectorUrl, PublicUrl, Secret, ValueError};

use crate::model::{Digest, SecretKey, UpgradePolicy};
use source::{parse_toml, read_settings};

/// A line has a hundred bytes, and nobody forbids more than some ten thousand plugins.
const MAX_REVOKED_BYTES: u64 = 16 << 20;

/// The settings of `serve` as one source gives them: all of them may be absent.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Folder of the databases, caches and plugin files, made where missing [default: ./goldenpath-data]
    #[arg(long, env = "GOLDENPATH_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:4000]
    #[arg(long, env = "GOLDENPATH_LISTEN", value_name = "ADDR", value_parser = parse_address)]
    pub listen: Option<SocketAddr>,

    /// PEM file with the certificate chain; turns TLS on
    #[arg(long, env = "GOLDENPATH_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the private key of --tls-cert
    #[arg(long, env = "GOLDENPATH_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// A proxy in front ends TLS: allows a non-loopback address without TLS
    #[arg(long, env = "GOLDENPATH_BEHIND_PROXY", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub behind_proxy: Option<bool>,

    /// URL under which people reach the portal; its host is the one that requests may name
    #[arg(long, env = "GOLDENPATH_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<PublicUrl>,

    /// Further name that requests may call the server by; may be repeated
    #[arg(
        long,
        env = "GOLDENPATH_ALLOWED_HOST",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub allowed_host: Vec<String>,

    /// Address of a proxy whose X-Forwarded-For is believed; may be repeated
    #[arg(
        long,
        env = "GOLDENPATH_TRUSTED_PROXY",
        value_name = "IP",
        value_delimiter = ','
    )]
    pub trusted_proxy: Vec<IpAddr>,

    /// What to log: error, warn, info, debug, trace, or a filter such as `info,goldenpath::plugin=debug` [default: info]
    #[arg(long, env = "GOLDENPATH_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    /// Runs that are carried out at the same time [default: 8]
    #[arg(long, env = "GOLDENPATH_WORKERS", value_name = "N")]
    pub workers: Option<usize>,

    /// Runs of one plugin that are carried out at the same time [default: as many as there are workers]
    #[arg(long, env = "GOLDENPATH_PLUGIN_RUNS", value_name = "N")]
    pub plugin_runs: Option<u32>,

    /// Runs that may be queued; one person has at most half of these places [default: 20000]
    #[arg(long, env = "GOLDENPATH_QUEUE_LIMIT", value_name = "N")]
    pub queue_limit: Option<u32>,

    /// Connections that are open at the same time; one address that is no proxy gets half of them [default: 1024]
    #[arg(long, env = "GOLDENPATH_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,

    /// Largest JSON body of a request [default: 8MiB]
    #[arg(long, env = "GOLDENPATH_BODY_LIMIT", value_name = "SIZE")]
    pub body_limit: Option<ByteSize>,

    /// Largest plugin package [default: 32MiB]
    #[arg(long, env = "GOLDENPATH_PLUGIN_LIMIT", value_name = "SIZE")]
    pub plugin_limit: Option<ByteSize>,

    /// Requests that one user or app may send within five minutes [default: any number]
    #[arg(long, env = "GOLDENPATH_REQUEST_LIMIT", value_name = "N")]
    pub request_limit: Option<u64>,

    /// Let grants allow plugins private, loopback and link-local addresses at all
    #[arg(long, env = "GOLDENPATH_EGRESS_ALLOW_PRIVATE", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub egress_allow_private: Option<bool>,

    /// DNS server that is asked where plugins' requests go, with port [default: whoever this machine asks]
    #[arg(long, env = "GOLDENPATH_EGRESS_RESOLVER", value_name = "ADDR", value_parser = parse_address)]
    pub egress_resolver: Option<SocketAddr>,

    /// HTTP proxy that plugins' requests go through, with port; it is told addresses, never names. `HTTP_PROXY` and its
    /// like have no say [default: none]
    #[arg(long, env = "GOLDENPATH_EGRESS_PROXY", value_name = "ADDR", value_parser = parse_address)]
    pub egress_proxy: Option<SocketAddr>,

    /// PEM file with certificate authorities that plugins' requests trust beside those of this machine
    #[arg(long, env = "GOLDENPATH_EGRESS_CA_FILE", value_name = "FILE")]
    pub egress_ca_file: Option<PathBuf>,

    /// Requests of all plugins together that may be on their way at a time; more wait, 30 seconds at most [default: 256]
    #[arg(long, env = "GOLDENPATH_EGRESS_REQUESTS", value_name = "N")]
    pub egress_requests: Option<usize>,

    /// Those of one plugin, all its runs together, so that none takes the places of the others [default: 64]
    #[arg(long, env = "GOLDENPATH_EGRESS_PLUGIN_REQUESTS", value_name = "N")]
    pub egress_plugin_requests: Option<usize>,

    /// What no grant goes beyond, as a canonical line such as `http GET https://api.github.com/**` or `limit memory
    /// 128MiB`, or `no state`; may be repeated. Kinds and budgets without a line are not limited
    #[arg(
        long,
        env = "GOLDENPATH_PLUGIN_CEILING",
        value_name = "LINE",
        value_delimiter = '\n'
    )]
    pub plugin_ceiling: Vec<String>,

    /// What becomes of a new version of a plugin that asks for nothing new: `activate` it with what the active one was
    /// granted, or let it wait for `review` [default: activate]
    #[arg(long, env = "GOLDENPATH_PLUGIN_UPGRADES", value_name = "POLICY")]
    pub plugin_upgrades: Option<UpgradePolicy>,

    /// Whose signatures of plugins count, as `name=KEY` or `name=KEY until 2027-01-31T00:00:00Z`, with the public key
    /// that `plugin keygen` printed; may be repeated. One name may have several keys, and counts once
    #[arg(
        long,
        env = "GOLDENPATH_PLUGIN_TRUSTED_KEYS",
        value_name = "NAME=KEY",
        value_delimiter = ','
    )]
    pub plugin_trusted_keys: Vec<String>,

    /// How many of them have to have signed a plugin before it is installed or runs [default: 0]
    #[arg(long, env = "GOLDENPATH_PLUGIN_SIGNATURES_REQUIRED", value_name = "N")]
    pub plugin_signatures_required: Option<usize>,

    /// What is neither installed nor runs: digest of a package, of what was signed, or of a key that signed it, whoever
    /// else did; may be repeated
    #[arg(
        long,
        env = "GOLDENPATH_PLUGIN_REVOKED",
        value_name = "DIGEST",
        value_delimiter = ','
    )]
    pub plugin_revoked: Vec<String>,

    /// File with more of those, one a line and `#` before remarks; read again when the process gets SIGHUP, unless it is
    /// empty by then: to take the last one off, leave a remark
    #[arg(long, env = "GOLDENPATH_PLUGIN_REVOKED_FILE", value_name = "FILE")]
    pub plugin_revoked_file: Option<PathBuf>,
    /// Ask for four eyes: who installed a package cannot be the one who approves it
    #[arg(long, env = "GOLDENPATH_PLUGIN_FOUR_EYES", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub plugin_four_eyes: Option<bool>,

    /// Token that shows the metrics under `/metrics`, at least 16 characters; prefer the variable [default: not shown]
    #[arg(
        long,
        env = "GOLDENPATH_METRICS_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub metrics_token: Option<Secret>,

    /// Loopback address and port that shows the metrics to this machine, without a token [default: none]
    #[arg(long, env = "GOLDENPATH_METRICS_LISTEN", value_name = "ADDR", value_parser = parse_address)]
    pub metrics_listen: Option<SocketAddr>,

    /// Collector that traces are sent to, by OTLP over HTTP; `/v1/traces` is added. `OTEL_EXPORTER_OTLP_HEADERS` adds headers
    /// [default: none]
    #[arg(long, env = "GOLDENPATH_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<CollectorUrl>,

    /// Key of the stored secrets, 64 hexadecimal digits; prefer the variable, since others on the machine can read flags
    /// [default: the file `secret.key` in the data folder, made with the first secret]
    #[arg(
        long,
        env = "GOLDENPATH_SECRET_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub secret_key: Option<Secret>,

    /// Client id of the bootstrap administrator, in force at every start
    #[arg(long, env = "GOLDENPATH_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,

    /// Secret of the bootstrap administrator; prefer the variable, since others on the machine can read flags
    #[arg(
        long,
        env = "GOLDENPATH_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub client_secret: Option<Secret>,
}

/// Certificate and key for TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// The administrator that the operator brings along.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Public half.
    pub client_id: String,
    /// Secret half.
    pub client_secret: Secret,
}

/// How plugins' requests leave the house.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Whether a grant may allow private addresses.
    pub allow_private: bool,
    /// The DNS server to ask; absent: whoever this machine asks.
    pub resolver: Option<SocketAddr>,
    /// The HTTP proxy to go through.
    pub proxy: Option<SocketAddr>,
    /// PEM file with further authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Requests at a time.
    pub requests: Option<usize>,
    /// Those of one plugin.
    pub plugin_requests: Option<usize>,
}

/// How this portal is to run: complete and consistent.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Absent: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Whether a proxy in front ends TLS.
    pub behind_proxy: bool,
    /// URL under which people reach the portal.
    pub public_url: Option<PublicUrl>,
    /// Further names that requests may call the server by.
    pub allowed_hosts: Vec<String>,
    /// Proxies whose word about the client's address is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// What to log.
    pub log: String,
    /// Runs at the same time.
    pub workers: usize,
    /// Runs of one plugin at the same time; absent: any number.
    pub plugin_runs: Option<u32>,
    /// Runs that may be queued.
    pub queue_limit: u32,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Largest JSON body in bytes.
    pub body_limit: usize,
    /// Largest plugin package in bytes.
    pub plugin_limit: usize,
    /// Requests of one principal within five minutes; absent: any number.
    pub request_limit: Option<u64>,
    /// How plugins' requests leave the house.
    pub egress: Egress,
    /// What no grant goes beyond.
    pub plugin_ceiling: Vec<String>,
    /// What becomes of versions of plugins that ask for nothing new.
    pub plugin_upgrades: UpgradePolicy,
    /// Whose signatures of plugins count.
    pub plugin_trusted_keys: Vec<String>,
    /// How many of them it takes.
    pub plugin_signatures_required: usize,
    /// Digests that are forbidden.
    pub plugin_revoked: Vec<String>,
    /// File with more of those.
    pub plugin_revoked_file: Option<PathBuf>,
    /// Whether who installed a package cannot approve it.
    pub plugin_four_eyes: bool,
    /// Hash of the token that shows the metrics.
    pub metrics_token: Option<Digest>,
    /// Where this machine reads the metrics without a token.
    pub metrics_listen: Option<SocketAddr>,
    /// Where traces are sent.
    pub otlp_endpoint: Option<CollectorUrl>,
    /// The key of the stored secrets; absent: that of the data folder.
    pub secret_key: Option<SecretKey>,
    /// The administrator that the operator brings along.
    pub bootstrap: Option<Bootstrap>,
    /// This program, which starts itself to evaluate jq and to compile: never a setting, but a test that embeds the
    /// portal has to name it.
    pub program: PathBuf,
}

/// Why the settings do not make a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The config file, or one that it names, cannot be read.
    #[error("read `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The config file is not TOML or has a key that does not exist.
    #[error("config file `{}`, line {line}: {message}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, naming the key.
        message: String,
    },
    /// The settings contradict each other; the text says which and what to do.
    #[error("{0}")]
    Contradiction(String),
}

/// The revocation list of plugins, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedLines {
    /// Of the setting and of the file.
    pub lines: Vec<String>,
    /// Whether the file has no byte: one that is being written anew looks like that for a moment.
    pub is_file_empty: bool,
}

impl Config {
    /// Puts flags (and environment) over the config file over the defaults.
    pub fn load(file: Option<&Path>, flags: Settings) -> Result<Self, ConfigError> {
        let file = file.map_or_else(|| Ok(Settings::default()), read_settings)?;
        Self::resolve(flags.over(file))
    }

    /// The revocation list of plugins as it is now: the setting, and the lines of the file.
    pub fn read_revoked(&self) -> Result<RevokedLines, ConfigError> {
        let mut lines = self.plugin_revoked.clone();
        let mut is_file_empty = false;
        if let Some(file) = &self.plugin_revoked_file {
            let failed = |source| ConfigError::Read {
                file: file.clone(),
                source,
            };
            let bytes = read_file(file, MAX_REVOKED_BYTES).map_err(failed)?;
            is_file_empty = bytes.is_empty();
            let text = String::from_utf8(bytes)
                .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
            lines.extend(text.lines().map(str::to_owned));
        }
        Ok(RevokedLines {
            lines,
            is_file_empty,
        })
    }

    fn resolve(settings: Settings) -> Result<Self, ConfigError> {
        let contradiction = |text: &str| Err(ConfigError::Contradiction(text.to_owned()));
        let listen = settings
            .listen
            .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000));
        let tls = match (settings.tls_cert, settings.tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            _ => return contradiction("TLS needs both --tls-cert and --tls-key"),
        };
        let behind_proxy = settings.behind_proxy.unwrap_or(false);
        if !listen.ip().is_loopback() && tls.is_none() && !behind_proxy {
            return Err(ConfigError::Contradiction(format!(
                "refuse to listen on {listen} without TLS, since credentials would cross the network in clear text; \
                 give --tls-cert and --tls-key, or --behind-proxy when a proxy in front ends TLS"
            )));
        }
        let bootstrap = match (settings.client_id, settings.client_secret) {
            (Some(client_id), Some(client_secret)) => Some(Bootstrap {
                client_id,
                client_secret,
            }),
            (None, None) => None,
            _ => {
                return contradiction(
                    "the bootstrap administrator needs both GOLDENPATH_CLIENT_ID and GOLDENPATH_CLIENT_SECRET",
                );
            }
        };
        // The text is not shown: it may be a key with a digit too many.
        let secret_key = match settings.secret_key.as_ref().map(Secret::expose) {
            None => None,
            Some(text) => match SecretKey::parse(text) {
                Some(key) => Some(key),
                None => {
                    return contradiction(
                        "GOLDENPATH_SECRET_KEY has to be 64 hexadecimal digits, as `openssl rand -hex 32` makes them",
                    );
                }
            },
        };
        let (workers, max_connections) = (
            settings.workers.unwrap_or(8),
            settings.max_connections.unwrap_or(1024),
        );
        if workers == 0
            || max_connections == 0
            || settings.plugin_runs == Some(0)
            || settings.queue_limit == Some(0)
        {
            return contradiction(
                "--workers, --plugin-runs, --queue-limit and --max-connections must be at least 1",
            );
        }
        if settings.egress_requests == Some(0) || settings.egress_plugin_requests == Some(0) {
            return contradiction(
                "--egress-requests and --egress-plugin-requests must be at least 1; `no http` in --plugin-ceiling \
                 is how no plugin sends any",
            );
        }
        if settings.request_limit == Some(0) {
            return contradiction(
                "--request-limit must be at least 1; leave it out to set no limit",
            );
        }
        // Whoever guesses it reads what everybody does here, though not what it is about.
        if let Some(token) = &settings.metrics_token
            && token.expose().chars().count() < 16
        {
            return contradiction(
                "GOLDENPATH_METRICS_TOKEN has to be at least 16 characters; `openssl rand -hex 16` makes 32",
            );
        }
        if settings
            .metrics_listen
            .is_some_and(|listen| !listen.ip().is_loopback())
        {
            return contradiction(
                "--metrics-listen shows the metrics to whoever reaches it, so it has to be a loopback address; \
                 use --metrics-token to read them from elsewhere",
            );
        }
        Ok(Self {
            data: settings
                .data
                .unwrap_or_else(|| PathBuf::from("goldenpath-data")),
            listen,
            tls,
            behind_proxy,
            public_url: settings.public_url,
            allowed_hosts: settings.allowed_host,
            trusted_proxies: settings.trusted_proxy,
            log: settings.log.unwrap_or_else(|| "info".to_owned()),
            workers,
            plugin_runs: settings.plugin_runs,
            queue_limit: settings.queue_limit.unwrap_or(20_000),
            max_connections,
            body_limit: settings.body_limit.map_or(8 << 20, ByteSize::bytes),
            plugin_limit: settings.plugin_limit.map_or(32 << 20, ByteSize::bytes),
            request_limit: settings.request_limit,
            egress: Egress {
                allow_private: settings.egress_allow_private.unwrap_or(false),
                resolver: settings.egress_resolver,
                proxy: settings.egress_proxy,
                ca_file: settings.egress_ca_file,
                requests: settings.egress_requests,
                plugin_requests: settings.egress_plugin_requests,
            },
            plugin_ceiling: settings.plugin_ceiling,
            plugin_upgrades: settings.plugin_upgrades.unwrap_or_default(),
            plugin_trusted_keys: settings.plugin_trusted_keys,
            plugin_signatures_required: settings.plugin_signatures_required.unwrap_or(0),
            plugin_revoked: settings.plugin_revoked,
            plugin_revoked_file: settings.plugin_revoked_file,
            plugin_four_eyes: settings.plugin_four_eyes.unwrap_or(false),
            metrics_token: settings
                .metrics_token
                .map(|token| Digest::of(token.expose().as_bytes())),
            metrics_listen: settings.metrics_listen,
            otlp_endpoint: settings.otlp_endpoint,
            secret_key,
            bootstrap,
            program: own_program(),
        })
    }
}

/// An address and a port. Names are not looked up: they can stand for several addresses, and change.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "write an address and a port, such as 127.0.0.1:4000 or [::1]:4000 (a name does not do)"
            .to_owned()
    })
}

/// This very program, also after another version was put in its place.
fn own_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return running;
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("goldenpath"))
}

impl Settings {
    /// What `self` leaves out is taken from `other`.
    fn over(self, other: Self) -> Self {
        // Halves of a pair come from one source, so that an old secret is never tried with a new id.
        let (client_id, client_secret) = if self.client_id.is_some() || self.client_secret.is_some()
        {
            (self.client_id, self.client_secret)
        } else {
            (other.client_id, other.client_secret)
        };
        Self {
            data: self.data.or(other.data),
            listen: self.listen.or(other.listen),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            behind_proxy: self.behind_proxy.or(other.behind_proxy),
            public_url: self.public_url.or(other.public_url),
            allowed_host: if self.allowed_host.is_empty() {
                other.allowed_host
            } else {
                self.allowed_host
            },
            trusted_proxy: if self.trusted_proxy.is_empty() {
                other.trusted_proxy
            } else {
                self.trusted_proxy
            },
            log: self.log.or(other.log),
            workers: self.workers.or(other.workers),
            plugin_runs: self.plugin_runs.or(other.plugin_runs),
            queue_limit: self.queue_limit.or(other.queue_limit),
            max_connections: self.max_connections.or(other.max_connections),
            body_limit: self.body_limit.or(other.body_limit),
            plugin_limit: self.plugin_limit.or(other.plugin_limit),
            request_limit: self.request_limit.or(other.request_limit),
            egress_allow_private: self.egress_allow_private.or(other.egress_allow_private),
            egress_resolver: self.egress_resolver.or(other.egress_resolver),
            egress_proxy: self.egress_proxy.or(other.egress_proxy),
            egress_ca_file: self.egress_ca_file.or(other.egress_ca_file),
            egress_requests: self.egress_requests.or(other.egress_requests),
            egress_plugin_requests: self.egress_plugin_requests.or(other.egress_plugin_requests),
            plugin_ceiling: if self.plugin_ceiling.is_empty() {
                other.plugin_ceiling
            } else {
                self.plugin_ceiling
            },
            plugin_upgrades: self.plugin_upgrades.or(other.plugin_upgrades),
            plugin_trusted_keys: first(self.plugin_trusted_keys, other.plugin_trusted_keys),
            plugin_signatures_required: self
                .plugin_signatures_required
                .or(other.plugin_signatures_required),
            plugin_revoked: first(self.plugin_revoked, other.plugin_revoked),
            plugin_revoked_file: self.plugin_revoked_file.or(other.plugin_revoked_file),
            plugin_four_eyes: self.plugin_four_eyes.or(other.plugin_four_eyes),
            metrics_token: self.metrics_token.or(other.metrics_token),
            metrics_listen: self.metrics_listen.or(other.metrics_listen),
            otlp_endpoint: self.otlp_endpoint.or(other.otlp_endpoint),
            secret_key: self.secret_key.or(other.secret_key),
            client_id,
            client_secret,
        }
    }
}

/// A list comes from one source.
fn first(list: Vec<String>, other: Vec<String>) -> Vec<String> {
    if list.is_empty() { other } else { list }
}

#[cfg(test)]
mod tests;
