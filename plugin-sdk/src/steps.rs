//! Recorded pieces of a run: what has finished is not done again when the run is carried out again.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::Request;
use crate::{Context, Denial, Failure, decode, host};

/// The header by which servers know a request that they have answered before.
const KEY_HEADER: &str = "idempotency-key";

/// Methods whose requests change nothing, so that no key is needed.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// A step that is about to be taken; from [`Context::step_with`].
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new();
/// let key = ctx.step_with("create repository").input("orders").idempotent().run(|key| Ok(key.to_owned()))?;
/// assert_eq!(key, "r_fake.1");
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
#[must_use = "a step is taken by `run`"]
pub struct Step<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) name: &'a str,
    pub(crate) input: Option<Result<String, String>>,
    pub(crate) idempotent: bool,
}

impl Step<'_> {
    /// Doing it twice is the same as doing it once, for example because the server knows the key of the step: where the
    /// portal goes down in the middle of it, it is done again whatever `effects` says.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// What the step depends on. Where it is not what it was in an earlier attempt, the run fails instead of taking another
    /// result for this one's. Only its hash is kept.
    pub fn input<T: Serialize + ?Sized>(mut self, input: &T) -> Self {
        self.input = Some(serde_json::to_string(input).map_err(|error| error.to_string()));
        self
    }

    /// Takes the step, unless it has finished in an earlier attempt: then its result comes back and `work` is not called.
    /// `work` is given the step's key, which is the same whenever this step of this run is taken.
    ///
    /// # Errors
    /// What `work` fails with, and every one of [`Error`].
    pub fn run<T: Serialize + DeserializeOwned>(
        self,
        work: impl FnOnce(&str) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Self {
            ctx,
            name,
            input,
            idempotent,
        } = self;
        let input = input.transpose().map_err(Error::Format)?;
        let key = match host::steps::begin(ctx, name, input, idempotent)? {
            Begun::Run(key) => key,
            Begun::Recorded(result) => {
                return decode::from_slice(result.as_bytes())
                    .map_err(|misfit| Error::Format(misfit.to_string()).into());
            }
        };
        ctx.open_step.replace(Some(OpenStep {
            key: key.clone(),
            requests: 0,
        }));
        let done = work(&key);
        ctx.open_step.replace(None);
        match done {
            Ok(result) => {
                let text = serde_json::to_string(&result);
                let text = text.map_err(|error| Error::Format(error.to_string()))?;
                host::steps::finish(ctx, text)?;
                Ok(result)
            }
            Err(failure) => {
                host::steps::fail(ctx, &failure)?;
                Err(failure)
            }
        }
    }
}

/// What is to be done with a step.
pub(crate) enum Begun {
    /// Do it; its key.
    Run(String),
    /// It has finished before; its result.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        expect(dead_code, reason = "a run of a test has no earlier attempt")
    )]
    Recorded(String),
}

/// The step that is being taken.
#[derive(Debug)]
pub(crate) struct OpenStep {
    key: String,
    /// Sent in it so far, without those that change nothing.
    requests: u32,
}

impl Context {
    /// Takes a step: does the work and records its result, or answers the result that an earlier attempt of this run has
    /// recorded. See [the README](crate#steps).
    ///
    /// ```
    /// use goldenpath_sdk::prelude::*;
    ///
    /// let ctx = FakeContext::new();
    /// let number = ctx.step("count", || Ok(7))?;
    /// assert_eq!((number, ctx.step_names()), (7, vec!["count".to_owned()]));
    /// # Ok::<(), Failure>(())
    /// ```
    ///
    /// # Errors
    /// What `work` fails with, and every one of [`Error`].
    pub fn step<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.step_with(name).run(|_| work())
    }

    /// A step of which there is more to say than its name.
    pub fn step_with<'a>(&'a self, name: &'a str) -> Step<'a> {
        Step {
            ctx: self,
            name,
            input: None,
            idempotent: false,
        }
    }

    /// Waits, for minutes or for years: the plugin is ended meanwhile, and called again when the time has come. It comes
    /// back here by way of its finished steps, so whatever must not be done again belongs into a step. `duration` counts from
    /// the first time that the run comes here.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use goldenpath_sdk::prelude::*;
    ///
    /// let ctx = FakeContext::new();
    /// ctx.sleep("until tomorrow", Duration::from_secs(24 * 60 * 60))?;
    /// assert_eq!(ctx.sleeps()[0].0, "until tomorrow");
    /// # Ok::<(), Failure>(())
    /// ```
    ///
    /// # Errors
    /// Every one of [`Error`].
    pub fn sleep(&self, name: &str, duration: Duration) -> Result<(), Failure> {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Ok(host::steps::sleep(self, name, millis)?)
    }

    /// A request as it is sent: within a step with the step's key, unless its author has said another one. A second request
    /// of a step is another request, and so it has another key.
    pub(crate) fn keyed<'a>(&self, request: &'a Request) -> Cow<'a, Request> {
        let mut open = self.open_step.borrow_mut();
        let Some(step) = &mut *open else {
            return Cow::Borrowed(request);
        };
        let said = |(name, _): &(String, String)| name.eq_ignore_ascii_case(KEY_HEADER);
        if SAFE.contains(&request.method()) || request.headers().iter().any(said) {
            return Cow::Borrowed(request);
        }
        step.requests += 1;
        let key = match step.requests {
            1 => step.key.clone(),
            number => format!("{}.{number}", step.key),
        };
        Cow::Owned(request.clone().header(KEY_HEADER, key))
    }
}

/// Why a step was not taken, or its result not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The step of this name is being taken: steps and sleeps do not go into each other.
    Nested(String),
    /// No step is being taken.
    NoneOpen,
    /// The name, the input, the result or the time is not of the right form; the text says which.
    Invalid(String),
    /// The run has as many steps as it may have.
    TooMany(String),
    /// The result, or all of them together, is too large; the text says which.
    TooLarge(String),
    /// Something was done outside of a step that would be done again after the sleep and must not be.
    Unrepeatable(String),
    /// It holds a secret.
    Denied(Denial),
    /// The host cannot write it down now; trying again later may help.
    Unavailable(String),
    /// The input or the result cannot be JSON, or the recorded result is not of its type.
    Format(String),
}

impl Error {
    /// The failure code that it turns into.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Nested(_) => "nested_step",
            Self::NoneOpen => "no_step",
            Self::Invalid(_) => "invalid_step",
            Self::TooMany(_) => "too_many_steps",
            Self::TooLarge(_) => "step_too_large",
            Self::Unrepeatable(_) => "unrepeatable",
            Self::Denied(_) => "denied",
            Self::Unavailable(_) => "unavailable",
            Self::Format(_) => "invalid_json",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nested(name) => write!(
                f,
                "step `{name}` is being taken; steps and sleeps do not go into each other"
            ),
            Self::NoneOpen => f.write_str("no step is being taken"),
            Self::Denied(denial) => f.write_str(&denial.message),
            Self::Format(text) => write!(f, "the step: {text}"),
            Self::Invalid(text)
            | Self::TooMany(text)
            | Self::TooLarge(text)
            | Self::Unrepeatable(text)
            | Self::Unavailable(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FakeContext;
    use crate::http::Response;

    #[test]
    fn requests_of_a_step_carry_its_key_and_no_other_ones_do() {
        let answers = (0..6).map(|_| Response::new(200));
        let ctx = answers.fold(FakeContext::new(), FakeContext::with_response);
        let url = "https://a.example/";
        let send = |request: &Request| ctx.http().send(request).map(drop);
        ctx.step("send", || {
            send(&Request::get(url))?;
            send(&Request::post(url))?;
            send(&Request::post(url).header("Idempotency-Key", "mine"))?;
            Ok(send(&Request::put(url))?)
        })
        .unwrap();
        send(&Request::post(url)).unwrap();
        ctx.step("again", || Ok(send(&Request::post(url))?))
            .unwrap();
        let key = |request: &Request| {
            let of = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(KEY_HEADER);
            let header = request.headers().iter().find(of);
            header.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let keys: Vec<_> = ctx.requests().iter().map(key).collect();
        assert_eq!(keys, ["", "r_fake.1", "mine", "r_fake.1.2", "", "r_fake.2"]);
    }

    #[test]
    fn steps_do_not_go_into_each_other() {
        let ctx = FakeContext::new();
        let nested = ctx.step("outer", || ctx.step("inner", || Ok(())));
        assert_eq!(nested.unwrap_err().code(), "nested_step");
        let asleep = ctx.step("outer", || ctx.sleep("nap", Duration::from_secs(1)));
        assert_eq!(asleep.unwrap_err().code(), "nested_step");
        // What failed is over.
        assert_eq!(ctx.step("next", || Ok(1)), Ok(1));
    }
}
