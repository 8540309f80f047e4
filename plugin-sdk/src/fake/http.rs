//! Answers to HTTP requests that a test laid ready.

use crate::Context;
use crate::http::{Error, Request, Response};

pub(crate) fn urls(ctx: &Context, endpoint: &str) -> Result<Vec<String>, Error> {
    let world = ctx.world.borrow();
    let known = world.endpoints.get(endpoint).cloned();
    known.ok_or_else(|| {
        let missing = format!("any http line of endpoint {endpoint}");
        Error::Denied(super::denial(missing))
    })
}

pub(crate) fn send(ctx: &Context, request: &Request) -> Result<Response, Error> {
    request.target()?;
    let mut world = ctx.world.borrow_mut();
    world.requests.push(request.clone());
    let Some(answer) = world.responses.pop_front() else {
        let missing = format!("http {} {}", request.method(), request.url());
        return Err(Error::Denied(crate::Denial {
            message: format!(
                "the fake context has no response left for `{missing}`: add one with `with_response`"
            ),
            missing,
        }));
    };
    let response = answer?;
    if response.bytes().len() > request.body_limit() {
        return Err(Error::TooLarge {
            limit: request.body_limit(),
        });
    }
    Ok(response)
}

pub(crate) fn send_all(ctx: &Context, requests: &[Request]) -> Vec<Result<Response, Error>> {
    requests.iter().map(|request| send(ctx, request)).collect()
}
