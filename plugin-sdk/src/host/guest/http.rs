//! HTTP requests, sent through the component's imports.

use std::collections::VecDeque;

use crate::bindings::goldenpath::plugin::endpoints;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use crate::bindings::wasi::io::streams::{OutputStream, StreamError};
use crate::http::{Error, Request, Response};
use crate::{Context, Denial};

/// How many bytes are asked for in one read of a response's body.
const READ_BYTES: u64 = 64 * 1024;

/// How many requests are on their way at a time: half of what the host carries for one call.
const AT_A_TIME: usize = 8;

/// Methods whose requests need not say that they have no body. Of others some servers want to know its length.
const WITHOUT_BODY: [&str; 2] = ["GET", "HEAD"];

pub(crate) fn urls(_: &Context, endpoint: &str) -> Result<Vec<String>, Error> {
    endpoints::urls(endpoint)
        .map_err(|endpoints::Error::Denied(denial)| Error::Denied(super::denial(denial)))
}

pub(crate) fn send(_: &Context, request: &Request) -> Result<Response, Error> {
    start(request).and_then(|waiting| finish(request, &waiting))
}

pub(crate) fn send_all(_: &Context, requests: &[Request]) -> Vec<Result<Response, Error>> {
    let mut responses = Vec::with_capacity(requests.len());
    let mut waiting = VecDeque::with_capacity(AT_A_TIME);
    for request in requests {
        // Started before the oldest is waited for; the host receives them side by side.
        if waiting.len() == AT_A_TIME {
            responses.extend(waiting.pop_front().map(taken_in));
        }
        waiting.push_back((request, start(request)));
    }
    responses.extend(waiting.into_iter().map(taken_in));
    responses
}

/// A request that was started, or could not be.
type Started<'a> = (&'a Request, Result<FutureIncomingResponse, Error>);

fn taken_in((request, waiting): Started<'_>) -> Result<Response, Error> {
    finish(request, &waiting?)
}

fn start(request: &Request) -> Result<FutureIncomingResponse, Error> {
    let target = request.target()?;
    let invalid = |what: &str| {
        Error::InvalidRequest(format!(
            "{what} of `{} {}` is not valid",
            request.method(),
            request.url()
        ))
    };

    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into_bytes()));
    let mut headers: Vec<_> = headers.collect();
    if !request.body_bytes().is_empty() || !WITHOUT_BODY.contains(&request.method()) {
        headers.push((
            "content-length".to_owned(),
            request.body_bytes().len().to_string().into_bytes(),
        ));
    }
    let headers = Fields::from_list(&headers).map_err(|_| invalid("a header"))?;

    let outgoing = OutgoingRequest::new(headers);
    outgoing
        .set_method(&method(request.method()))
        .map_err(|()| invalid("the method"))?;
    let scheme = if target.https {
        Scheme::Https
    } else {
        Scheme::Http
    };
    outgoing
        .set_scheme(Some(&scheme))
        .map_err(|()| invalid("the scheme"))?;
    outgoing
        .set_authority(Some(target.authority))
        .map_err(|()| invalid("the host"))?;
    outgoing
        .set_path_with_query(Some(&target.path))
        .map_err(|()| invalid("the path"))?;

    let options = RequestOptions::new();
    let timeout = Some(request.timeout_nanos());
    options
        .set_connect_timeout(timeout)
        .map_err(|()| invalid("the timeout"))?;
    options
        .set_first_byte_timeout(timeout)
        .map_err(|()| invalid("the timeout"))?;
    options
        .set_between_bytes_timeout(timeout)
        .map_err(|()| invalid("the timeout"))?;

    let body = outgoing.body().map_err(|()| invalid("the body"))?;
    let waiting =
        outgoing_handler::handle(outgoing, Some(options)).map_err(|code| error(request, code))?;
    write_body(request, body)?;
    Ok(waiting)
}

fn write_body(request: &Request, body: OutgoingBody) -> Result<(), Error> {
    let broken = |()| Error::Broken("the request's body cannot be written".to_owned());
    let stream = body.write().map_err(broken)?;
    let written = write_all(&stream, request.body_bytes());
    drop(stream);
    match written {
        Ok(()) => OutgoingBody::finish(body, None).map_err(|code| error(request, code)),
        // The server may have answered without reading all of it: the response decides, not this.
        Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => Ok(()),
    }
}

fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        stream.subscribe().block();
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    stream.blocking_flush()
}

fn finish(request: &Request, waiting: &FutureIncomingResponse) -> Result<Response, Error> {
    waiting.subscribe().block();
    let broken = || Error::Broken("the host gave no response".to_owned());
    let incoming = waiting
        .get()
        .ok_or_else(broken)?
        .map_err(|()| broken())?
        .map_err(|code| error(request, code))?;
    let mut response = Response::new(incoming.status());
    for (name, value) in incoming.headers().entries() {
        response = response.with_header(name, value);
    }
    let body = incoming.consume().map_err(|()| broken())?;
    let bytes = read_body(request, &body)?;
    Ok(response.with_body(bytes))
}

fn read_body(request: &Request, body: &IncomingBody) -> Result<Vec<u8>, Error> {
    let stream = body
        .stream()
        .map_err(|()| Error::Broken("the response's body cannot be read".to_owned()))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(chunk) if bytes.len() + chunk.len() > request.body_limit() => {
                return Err(Error::TooLarge {
                    limit: request.body_limit(),
                });
            }
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(failed)) => {
                let code = crate::bindings::wasi::http::types::http_error_code(&failed);
                return Err(code.map_or_else(
                    || Error::Broken("the response broke off".to_owned()),
                    |code| error(request, code),
                ));
            }
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn error(request: &Request, code: ErrorCode) -> Error {
    let to = |what: &str| format!("`{} {}`: {what}", request.method(), request.url());
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            // Without the query, which may hold what must not be kept. The host knows the endpoint's name, and says the
            // line itself in the run's log and failure.
            let url = request.url().split(['?', '#']).next().unwrap_or_default();
            Error::Denied(Denial {
                missing: format!("http {} {url}", request.method()),
                message: format!(
                    "`{} {url}`: refused by the host, whose log of this run names the capability line to ask for",
                    request.method()
                ),
            })
        }
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout
        | ErrorCode::DnsTimeout => Error::Timeout,
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            Error::Connect(to("the host's name is not known"))
        }
        ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused => Error::Connect(to("no connection")),
        // The host says these two for its budgets, and without a size.
        ErrorCode::ConnectionLimitReached => Error::OverBudget("http-requests"),
        ErrorCode::HttpRequestBodySize(None) | ErrorCode::HttpResponseBodySize(None) => {
            Error::OverBudget("http-bytes")
        }
        ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => Error::Connect(to("no trusted TLS connection")),
        ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => {
            Error::InvalidRequest(to("the host cannot send such a request"))
        }
        ErrorCode::HttpResponseBodySize(_) => Error::TooLarge {
            limit: request.body_limit(),
        },
        ErrorCode::InternalError(Some(text)) => Error::Broken(to(&text)),
        _ => Error::Broken(to(
            "the connection broke, or the server does not speak HTTP",
        )),
    }
}
