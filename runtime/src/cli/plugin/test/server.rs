//! What the endpoints of a plugin are bound to while a case is tried: servers on this machine, one for each, so that a
//! request goes the whole way out.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::exchange::{Received, Response};
use super::report::Problem;

/// The largest body of a request that is taken in; the manifest's own budget is lower.
const MAX_BODY_BYTES: usize = 64 << 20;

/// Decides what is answered.
pub(super) trait Responder: Send + Sync {
    /// The answer to one request. May block: it is asked on a thread of its own.
    fn answer(&self, request: Received) -> Response;

    /// What was wrong with the requests, once no more come.
    fn problems(&self) -> Vec<Problem>;
}

/// Servers that stop when this is dropped.
#[derive(Debug)]
pub(super) struct Servers {
    urls: BTreeMap<String, String>,
    _running: JoinSet<()>,
}

impl Servers {
    /// One server for each endpoint.
    pub(super) async fn start<'a>(
        endpoints: impl Iterator<Item = &'a String>,
        responder: &Arc<dyn Responder>,
    ) -> io::Result<Self> {
        let (mut urls, mut running) = (BTreeMap::new(), JoinSet::new());
        for endpoint in endpoints {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let url = format!("http://{}", listener.local_addr()?);
            urls.insert(endpoint.clone(), url);
            running.spawn(accept(listener, endpoint.clone(), Arc::clone(responder)));
        }
        Ok(Self {
            urls,
            _running: running,
        })
    }

    /// Where each endpoint is.
    pub(super) fn urls(&self) -> &BTreeMap<String, String> {
        &self.urls
    }
}

async fn accept(listener: TcpListener, endpoint: String, responder: Arc<dyn Responder>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, endpoint.clone(), Arc::clone(&responder)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, endpoint: String, responder: Arc<dyn Responder>) {
    let service = service_fn(|request| {
        let (endpoint, responder) = (endpoint.clone(), Arc::clone(&responder));
        async move {
            let received = receive(request, endpoint).await?;
            let answered = tokio::task::spawn_blocking(move || responder.answer(received)).await;
            response(&answered.map_err(io::Error::other)?)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    let served = connection.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        // A plugin that breaks off is told of elsewhere.
        tracing::debug!(%error, "a request of a plugin was not answered");
    }
}

async fn receive(request: hyper::Request<Incoming>, endpoint: String) -> io::Result<Received> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    Ok(Received {
        endpoint,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: body.map_err(io::Error::other)?.to_bytes().to_vec(),
    })
}

fn response(answer: &Response) -> io::Result<hyper::Response<Full<Bytes>>> {
    let (bytes, is_json) = answer.bytes();
    let mut response = hyper::Response::builder().status(answer.status);
    let typed = answer
        .headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("content-type"));
    if is_json && !typed {
        response = response.header("content-type", "application/json");
    }
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let response = response.body(Full::new(Bytes::from(bytes)));
    response.map_err(io::Error::other)
}
