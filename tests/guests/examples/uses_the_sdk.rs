//! Uses the SDK's wrappers of `http` and `state` as their documentation says, and answers what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use goldenpath_sdk::http::{Error, Response};
use goldenpath_sdk::prelude::*;

/// A request to send.
#[input]
pub struct Send {
    /// Its method.
    pub method: String,
    /// Its absolute URL.
    pub url: String,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Option<String>,
    /// How long to wait for the server, in milliseconds.
    pub patience: Option<u32>,
    /// Most bytes of the response's body.
    pub max_body_bytes: Option<u32>,
}

/// What came of a request.
#[output]
pub struct Outcome {
    /// The response's status.
    pub status: Option<u16>,
    /// The response's headers.
    pub headers: BTreeMap<String, String>,
    /// The response's body.
    pub body: Option<String>,
    /// The code of the error, where there was no response.
    pub error: Option<String>,
    /// The text of the error.
    pub message: Option<String>,
}

impl Send {
    fn request(&self) -> Request {
        let mut request = Request::new(&self.method, &self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &self.body {
            request = request.body(body.as_bytes());
        }
        if let Some(patience) = self.patience {
            request = request.timeout(Duration::from_millis(patience.into()));
        }
        match self.max_body_bytes {
            Some(most) => request.max_body_bytes(most as usize),
            None => request,
        }
    }
}

fn outcome(answer: Result<Response, Error>) -> Outcome {
    match answer {
        Ok(response) => Outcome {
            status: Some(response.status()),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
                .collect(),
            body: Some(String::from_utf8_lossy(response.bytes()).into_owned()),
            error: None,
            message: None,
        },
        Err(error) => Outcome {
            status: None,
            headers: BTreeMap::new(),
            body: None,
            error: Some(error.code().to_owned()),
            message: Some(error.to_string()),
        },
    }
}

/// Sends one request; an error is an answer too.
#[action]
pub fn sends(input: Send, ctx: &Context) -> Result<Outcome, Failure> {
    Ok(outcome(ctx.http().send(&input.request())))
}

/// Sends one request and says everywhere what it was answered: in the log as it is and in hexadecimal digits, on stdout
/// in two pieces, and as its own answer.
#[action]
#[expect(clippy::print_stdout, reason = "stdout is one of the places")]
pub fn repeats(input: Send, ctx: &Context) -> Result<Outcome, Failure> {
    let answer = outcome(ctx.http().send(&input.request()));
    let body = answer.body.clone().unwrap_or_default();
    ctx.log().info(&body);
    let digits: String = body.bytes().map(|byte| format!("{byte:02x}")).collect();
    ctx.log().info(digits);
    let (one, other) = body.split_at(body.len() / 2);
    print!("{one}");
    println!("{other}");
    Ok(answer)
}

/// Sends one request and expects success.
#[action]
pub fn expects_success(input: Send, ctx: &Context) -> Result<Outcome, Failure> {
    let response = ctx.http().send(&input.request())?.error_for_status()?;
    Ok(outcome(Ok(response)))
}

/// How many to hoard.
#[input]
pub struct Hoard {
    /// So many.
    pub many: u32,
}

/// Makes sets of headers and gives none of them back.
#[action]
pub fn hoards(input: Hoard) -> Result<Counted, Failure> {
    #[cfg(target_arch = "wasm32")]
    for _ in 0..input.many {
        let headers = goldenpath_sdk::__private::bindings::wasi::http::types::Fields::new();
        std::mem::forget(headers);
    }
    Ok(Counted {
        calls: input.many.into(),
    })
}

/// A place by its name, and a path there.
#[input]
pub struct Call {
    /// The endpoint's name in the manifest.
    pub endpoint: String,
    /// The path.
    pub path: String,
}

/// Sends a request to an endpoint without knowing where that is.
#[action]
pub fn calls_by_name(input: Call, ctx: &Context) -> Result<Outcome, Failure> {
    let endpoint = ctx.http().endpoint(&input.endpoint)?;
    let mut answer = outcome(ctx.http().send(&endpoint.get(&input.path)));
    answer.message = answer.message.or(Some(endpoint.urls().join(" ")));
    Ok(answer)
}

/// Requests to send at once.
#[input]
pub struct SendAll {
    /// All of them.
    pub requests: Vec<Send>,
}

/// What came of them.
#[output]
pub struct Outcomes {
    /// In the order of the requests.
    pub outcomes: Vec<Outcome>,
}

/// Sends many requests at once.
#[action]
pub fn sends_all(input: SendAll, ctx: &Context) -> Result<Outcomes, Failure> {
    let requests: Vec<Request> = input.requests.iter().map(Send::request).collect();
    let outcomes = ctx.http().send_all(&requests).into_iter().map(outcome);
    Ok(Outcomes {
        outcomes: outcomes.collect(),
    })
}

/// Nothing to say.
#[input]
pub struct Nothing {}

/// How often it was called.
#[output]
pub struct Counted {
    /// This call included.
    pub calls: u64,
}

/// Counts its calls, in a value of its own type.
#[action]
pub fn counts(_: Nothing, ctx: &Context) -> Result<Counted, Failure> {
    let calls = ctx.state().get::<u64>("calls")?.unwrap_or(0) + 1;
    ctx.state().set("calls", &calls)?;
    Ok(Counted { calls })
}

/// Something to do with the store.
#[input]
pub enum Deed {
    /// Read the value of a key.
    Get,
    /// Put a value under a key.
    Set,
    /// Remove a key.
    Delete,
    /// List the keys that begin so.
    Keys,
}

/// One use of the store.
#[input]
pub struct Use {
    /// What to do.
    pub deed: Deed,
    /// With which key.
    pub key: String,
    /// With which value.
    pub value: Option<String>,
    /// The value's text so many times.
    pub times: Option<u32>,
}

/// What the store answered.
#[output]
pub struct Answered {
    /// The value, or the keys.
    pub found: Vec<String>,
}

/// Uses the store as it is told.
#[action]
pub fn uses_state(input: Use, ctx: &Context) -> Result<Answered, Failure> {
    let state = ctx.state();
    let found = match input.deed {
        Deed::Get => state.get_bytes(&input.key)?.into_iter().collect(),
        Deed::Set => {
            let value = input.value.unwrap_or_default();
            state.set_bytes(
                &input.key,
                value.repeat(input.times.unwrap_or(1) as usize).as_bytes(),
            )?;
            Vec::new()
        }
        Deed::Delete => {
            state.delete(&input.key)?;
            Vec::new()
        }
        Deed::Keys => state
            .keys(&input.key)?
            .into_iter()
            .map(String::into_bytes)
            .collect(),
    };
    Ok(Answered {
        found: found
            .into_iter()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect(),
    })
}

goldenpath_sdk::plugin!(
    calls_by_name,
    counts,
    expects_success,
    hoards,
    repeats,
    sends,
    sends_all,
    uses_state
);
