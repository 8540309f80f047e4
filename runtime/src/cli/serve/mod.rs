//! `goldenpath serve`: the portal as a process, from its settings to its last connection.

mod connection;
pub(in crate::cli) mod memory;
mod telemetry;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::api::{self, ApiSettings};
use crate::app::{AccessError, App, ReloadError};
use crate::config::{self, Config, Settings, TlsFiles};
use crate::plugin::RevokedChange;
use connection::{Limited, Shares};
pub(super) use telemetry::Telemetry;

/// Long enough for a slow line, short enough that idle openers do not hold connections.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long open requests may take to finish once the portal is asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A certificate chain or a key is a few kilobytes.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

const AFTER_HELP: &str = "\
Every setting is a flag, an environment variable and a key of the config file (the flag's name without the dashes);
the flag wins over the variable, the variable over the file.

Examples:
  goldenpath serve
  goldenpath serve --data /var/lib/goldenpath --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem
  goldenpath serve --listen 0.0.0.0:4000 --behind-proxy --public-url https://portal.example.com --trusted-proxy 10.0.0.1
  GOLDENPATH_CONFIG=/etc/goldenpath.toml goldenpath serve";

/// What `serve` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ServeArguments {
    /// TOML file with any of the settings below
    #[arg(long, env = "GOLDENPATH_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    #[command(flatten)]
    pub(super) settings: Settings,
}

/// An opened portal that listens but does not answer yet.
pub(super) struct Portal {
    pub(super) app: App,
    /// Where it is reached from this machine.
    pub(super) url: String,
    config: Config,
    listener: TcpListener,
    /// Where this machine reads the metrics.
    metrics: Option<(TcpListener, SocketAddr)>,
    tls: Option<RustlsConfig>,
}

pub(super) fn run(arguments: ServeArguments, output: &Output) -> Result<Exit, Failure> {
    let config = Config::load(arguments.config.as_deref(), arguments.settings)
        .map_err(|error| Failure::usage(super::exit::chain(&error)))?;
    let telemetry = Telemetry::start(&config.log, config.otlp_endpoint.as_ref(), output)?;
    memory::keep_little();
    let served = block_on(async {
        let portal = Portal::open(config).await?;
        if let Some((client_id, client_secret)) = portal.bootstrap().await? {
            print_credential(output, &client_id, &client_secret);
        }
        portal.serve(output).await
    });
    telemetry.end();
    served
}

/// Runs a future on a runtime of its own: only `serve` and its like need one.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of("start the threads of the server", &error))?;
    runtime.block_on(future)
}

pub(super) fn print_credential(output: &Output, client_id: &str, client_secret: &str) {
    if output.is_json() {
        output.json(
            &json!({"event": "credential", "clientId": client_id, "clientSecret": client_secret}),
        );
        return;
    }
    output.line("administrator credential, shown this once:");
    output.line(&format!("GOLDENPATH_CLIENT_ID={client_id}"));
    output.line(&format!("GOLDENPATH_CLIENT_SECRET={client_secret}"));
}

impl Portal {
    /// Takes the port and opens the data folder; in that order, since opening it takes up the runs of an earlier life.
    pub(super) async fn open(config: Config) -> Result<Self, Failure> {
        // Fails only where a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let tls = match &config.tls {
            Some(files) => Some(read_tls(files).await?),
            None => None,
        };
        let (listener, address) = listen(config.listen)?;
        let metrics = config.metrics_listen.map(listen).transpose()?;
        let app = App::open(&config, Some(address))
            .await
            .map_err(|error| Failure::failed(super::exit::chain(&error)))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", reachable(address));
        Ok(Self {
            app,
            url,
            config,
            listener,
            metrics,
            tls,
        })
    }

    /// Makes sure that somebody can come in; a credential that was made up comes back this once.
    pub(super) async fn bootstrap(&self) -> Result<Option<(String, String)>, Failure> {
        let given = self.config.bootstrap.as_ref().map(|bootstrap| {
            (
                bootstrap.client_id.clone(),
                bootstrap.client_secret.expose().to_owned(),
            )
        });
        self.app.access.bootstrap(given).await.map_err(|error| {
            let failure = Failure::of("make the administrator's credential", &error);
            match error {
                AccessError::Invalid { violations, .. } => {
                    failure.with_details(violations.iter().map(ToString::to_string).collect())
                }
                _ => failure,
            }
        })
    }

    /// Answers requests until a signal says to stop.
    pub(super) async fn serve(self, output: &Output) -> Result<Exit, Failure> {
        let failed = |error: io::Error| Failure::of("serve", &error);
        let metrics_url = self
            .metrics
            .as_ref()
            .map(|(_, address)| format!("http://{address}/metrics"));
        let watched = match self.metrics {
            Some((listener, address)) => {
                let router = api::metrics_router(self.app.clone(), address);
                let server = axum_server::from_tcp(listener).map_err(failed)?;
                tracing::info!(%address, "metrics are shown to this machine");
                Some(tokio::spawn(server.serve(router.into_make_service())))
            }
            None => None,
        };
        let router = api::router(self.app.clone(), api_settings(&self.config));
        let handle = Handle::new();
        let stopper = tokio::spawn(stop_on_signal(
            handle.clone(),
            Signals::new().map_err(failed)?,
        ));
        let reloader = tokio::spawn(reload_on_signal(
            self.app.clone(),
            self.config.clone(),
            signal(SignalKind::hangup()).map_err(failed)?,
        ));
        if output.is_json() {
            let mut told = json!({"event": "listening", "url": self.url});
            if let (Some(url), Some(told)) = (metrics_url, told.as_object_mut()) {
                told.insert("metricsUrl".to_owned(), url.into());
            }
            output.json(&told);
        } else {
            output.line(&format!("listening on {}", self.url));
        }
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let mut server = axum_server::from_tcp(self.listener).map_err(failed)?;
        server
            .http_builder()
            .http1()
            .header_read_timeout(HEADER_TIMEOUT);
        server
            .http_builder()
            .http2()
            .keep_alive_interval(HEADER_TIMEOUT)
            .max_concurrent_streams(100);
        let server = server.handle(handle).first_request_timeout(HEADER_TIMEOUT);
        let most = self.config.max_connections;
        let shares = shares(&self.config);
        let served = match self.tls {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls);
                server
                    .map(|inner| Limited::new(acceptor.acceptor(inner), most, shares))
                    .serve(service)
                    .await
            }
            None => {
                server
                    .map(|inner| Limited::new(inner, most, shares))
                    .serve(service)
                    .await
            }
        };
        stopper.abort();
        reloader.abort();
        if let Some(watched) = watched {
            watched.abort();
        }
        self.app.shutdown().await;
        served.map_err(failed)?;
        tracing::info!("stopped");
        Ok(Exit::Done)
    }
}

/// One address gets half of all connections. Behind a proxy all of them come from its address.
fn shares(config: &Config) -> Shares {
    let most = if config.behind_proxy {
        config.max_connections
    } else {
        config.max_connections.div_ceil(2)
    };
    Shares::new(most, &config.trusted_proxies)
}

fn api_settings(config: &Config) -> ApiSettings {
    ApiSettings {
        listen: Some(config.listen),
        public_url: config
            .public_url
            .as_ref()
            .map(|url| url.as_str().to_owned()),
        allowed_hosts: config.allowed_hosts.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        body_limit: config.body_limit,
        package_limit: config.plugin_limit,
        request_limit: config.request_limit,
        metrics_token: config.metrics_token,
        ..ApiSettings::default()
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn stop_on_signal(handle: Handle<SocketAddr>, mut signals: Signals) {
    signals.next().await;
    tracing::info!(
        "stopping: open requests have {} s to finish",
        DRAIN.as_secs()
    );
    handle.graceful_shutdown(Some(DRAIN));
    signals.next().await;
    handle.shutdown();
}

/// Reads again what can change while the portal runs.
async fn reload_on_signal(app: App, config: Config, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        let (app, config) = (app.clone(), config.clone());
        let reloaded = tokio::task::spawn_blocking(move || app.reload_revoked(&config)).await;
        match reloaded {
            Ok(Ok(RevokedChange {
                added,
                removed,
                total,
                ended,
            })) => tracing::info!(
                added,
                removed,
                total,
                ended,
                "the revocation list of plugins was read again"
            ),
            Ok(Err(error @ ReloadError::Emptied(_))) => {
                tracing::warn!(%error, "the revocation list of plugins was not taken; the one before stays in force");
            }
            Ok(Err(error)) => {
                let why = super::exit::chain(&error);
                tracing::error!(%why, "the revocation list of plugins could not be read; the one before stays in force");
            }
            Err(error) => {
                tracing::error!(%error, "the revocation list of plugins could not be read")
            }
        }
    }
}

/// The address under which this machine reaches its own listener.
fn reachable(mut listener: SocketAddr) -> SocketAddr {
    if listener.ip().is_unspecified() {
        let loopback: IpAddr = match listener.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        listener.set_ip(loopback);
    }
    listener
}

pub(super) fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::failed(format!(
            "listen on {address}: another process has that address; stop it, or choose another with --listen \
             (port 0 takes a free one)"
        )),
        io::ErrorKind::PermissionDenied => Failure::failed(format!(
            "listen on {address}: not permitted; ports below 1024 need a privilege, choose a higher one with --listen"
        )),
        io::ErrorKind::AddrNotAvailable => Failure::failed(format!(
            "listen on {address}: this machine does not have that address; choose another with --listen"
        )),
        _ => Failure::of(format!("listen on {address}"), &error),
    })?;
    let actual = listener
        .local_addr()
        .map_err(|error| Failure::of(format!("listen on {address}"), &error))?;
    Ok((listener, actual))
}

async fn read_tls(files: &TlsFiles) -> Result<RustlsConfig, Failure> {
    let read = |file: &Path| {
        config::read_file(file, MAX_PEM_BYTES)
            .map_err(|error| Failure::of(format!("read `{}`", file.display()), &error))
    };
    RustlsConfig::from_pem(read(&files.cert)?, read(&files.key)?)
        .await
        .map_err(|error| {
            let (cert, key) = (files.cert.display(), files.key.display());
            Failure::of(format!("use certificate `{cert}` with key `{key}`"), &error)
        })
}
