//! Where the log and the spans of the process go.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts};

use crate::cli::client::agent_config;
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::config::CollectorUrl;
use crate::trace;

/// How long a collector may take to take a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the last spans may take at the stop.
const LAST_BATCH: Duration = Duration::from_secs(5);

/// An answer of a collector is a few bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// What has to be told of the end of the process.
#[derive(Debug, Default)]
pub(in crate::cli) struct Telemetry {
    spans: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Writes the log to stderr, and sends spans to a collector where one is named.
    pub(in crate::cli) fn start(
        filter: &str,
        collector: Option<&CollectorUrl>,
        output: &Output,
    ) -> Result<Self, Failure> {
        let filter = EnvFilter::try_new(filter)
            .map_err(|error| Failure::usage(format!("`{filter}` is not a log filter: {error}")))?;
        let log = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(output.colours_logs())
            .with_filter(filter);
        let spans = collector.map(collect).transpose()?;
        let started = tracing_subscriber::registry()
            .with(log)
            .with(spans.as_ref().map(sent_by))
            .try_init();
        // Only a program that embeds this library can have set one before; then its own stays in force.
        if started.is_ok() && spans.is_some() {
            trace::collect();
        }
        Ok(Self { spans })
    }

    /// Sends what was not sent yet.
    pub(in crate::cli) fn end(self) {
        if let Some(spans) = self.spans
            && let Err(error) = spans.shutdown_with_timeout(LAST_BATCH)
        {
            tracing::warn!(%error, "the last spans did not reach their collector");
        }
    }
}

/// What is sent: spans of ours, whatever the log shows, and no lines of the log: those stay in this house.
fn sent_by<S>(spans: &SdkTracerProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(spans.tracer("goldenpath"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|of| {
            of.is_span() && of.target().starts_with("goldenpath")
        }))
}

/// Sends spans in batches, on a thread of its own. Where the collector is slow or away, spans are dropped: nothing waits
/// for it, and no more than two thousand wait for it.
fn collect(collector: &CollectorUrl) -> Result<SdkTracerProvider, Failure> {
    let endpoint = format!("{}/v1/traces", collector.as_str());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new())
        .with_endpoint(endpoint)
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| Failure::of("prepare the sending of traces", &error))?;
    let resource = Resource::builder()
        .with_service_name("goldenpath")
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

/// The client of the program's own commands, which blocks: it is used on the thread of the batches alone.
struct Collector(Agent);

impl Collector {
    fn new() -> Self {
        // A collector is in the house: what this machine trusts counts.
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots = roots
            .iter()
            .map(|der| Certificate::from_der(der).to_owned());
        let roots = RootCerts::new_with_certs(&roots.collect::<Vec<_>>());
        let config = agent_config(roots).timeout_global(Some(PATIENCE)).build();
        Self(config.new_agent())
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let (head, mut body) = self
                .0
                .run(request.map(|bytes| bytes.to_vec()))?
                .into_parts();
            let bytes = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
            Ok(Response::from_parts(head, bytes.into()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::{self, Receiver};

    use http_body_util::Full;
    use hyper::Request as HttpRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message as _;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use crate::api::{ApiSettings, router};
    use crate::app::{App, NewPrincipal};
    use crate::config::{Config, Settings};
    use crate::model::{Actor, PrincipalKind, Role};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// A collector on loopback that hands on what it is sent.
    fn collector() -> (CollectorUrl, Receiver<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, taken) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut lines = Vec::new();
                while lines.last().is_none_or(|line: &String| line != "\r\n") {
                    let mut line = String::new();
                    assert!(reader.read_line(&mut line).unwrap() > 0);
                    lines.push(line);
                }
                let length = lines.iter().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.trim().parse::<usize>().unwrap())
                });
                let mut body = vec![0; length.unwrap()];
                reader.read_exact(&mut body).unwrap();
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
                if told.send((lines[0].clone(), body)).is_err() {
                    return;
                }
            }
        });
        (url.parse().unwrap(), taken)
    }

    async fn portal() -> (tempfile::TempDir, App, String) {
        let folder = tempfile::tempdir().unwrap();
        let flags = Settings {
            data: Some(folder.path().to_owned()),
            ..Settings::default()
        };
        let app = App::open(&Config::load(None, flags).unwrap(), None)
            .await
            .unwrap();
        let new = NewPrincipal {
            kind: PrincipalKind::App,
            name: "ada".to_owned(),
            role: Role::Admin,
            teams: Vec::new(),
        };
        let (principal, secret) = app.access.create(&Actor::system(), new).await.unwrap();
        let address = [127, 0, 0, 1].into();
        let token = app
            .access
            .issue_token(&principal.client_id, &secret, address)
            .await
            .unwrap();
        (folder, app, token.token)
    }

    #[tokio::test]
    async fn one_trace_goes_from_the_request_over_the_run_to_the_call_of_the_plugin() {
        let (url, taken) = collector();
        // A lone subscriber is asked of what it wants on whatever thread comes first, which may be another test's.
        let _beside = tracing::Dispatch::new(tracing_subscriber::registry());
        let spans = collect(&url).unwrap();
        let subscriber = tracing_subscriber::registry().with(sent_by(&spans));
        let _here = tracing::subscriber::set_default(subscriber);
        trace::collect();
        let (_folder, app, token) = portal().await;
        let router = router(app, ApiSettings::default());
        let post = async |path: &str, body: Value| {
            let request = HttpRequest::post(path)
                .header("host", "localhost")
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json")
                .header("prefer", "wait=30")
                .header("traceparent", PARENT)
                .body(Full::new(Bytes::from(body.to_string())))
                .unwrap();
            router.clone().oneshot(request).await.unwrap()
        };
        let action = json!({
            "identifier": "greet",
            "trigger": {"type": "self-service", "operation": "CREATE", "userInputs": {"properties": {}}},
            "invocationMethod": {"type": "PLUGIN", "plugin": "absent", "action": "greet"},
        });
        assert_eq!(post("/v1/actions", action).await.status(), 201);
        let answer = post("/v1/actions/greet/runs", json!({})).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.headers()["x-trace-id"],
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        let provider = spans.clone();
        tokio::task::spawn_blocking(move || provider.force_flush())
            .await
            .unwrap()
            .unwrap();

        let mut found: HashMap<String, Vec<Span>> = HashMap::new();
        for (line, body) in taken.try_iter() {
            assert!(line.starts_with("POST /v1/traces "), "{line}");
            let sent = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            let scopes = sent.resource_spans.into_iter().flat_map(|r| r.scope_spans);
            for span in scopes.flat_map(|scope| scope.spans) {
                found.entry(span.name.clone()).or_default().push(span);
            }
        }
        let call = &found["plugin call"][0];
        let run = &found["run"][0];
        assert_eq!(call.parent_span_id, run.span_id);
        let request = found["request"]
            .iter()
            .find(|request| request.span_id == run.parent_span_id)
            .unwrap();
        for span in [call, run, request] {
            let trace: String = span.trace_id.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(trace, "4bf92f3577b34da6a3ce929d0e0e4736");
        }
        let parent: String = request
            .parent_span_id
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(parent, "00f067aa0ba902b7");
    }
}
