//! A small store of the plugin's own, kept between runs and versions; no other plugin sees it.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Denial, Failure, decode, host};

/// Longest key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 256;
/// Largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;
/// Most keys of one plugin.
pub const MAX_KEYS: usize = 1_000;

/// The plugin's store; from [`Context::state`]. Needs `[capabilities.state]`. Every write is one transaction.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new();
/// let runs: u64 = ctx.state().get("runs")?.unwrap_or(0);
/// ctx.state().set("runs", &(runs + 1))?;
/// assert_eq!(ctx.state().get::<u64>("runs")?, Some(1));
/// # Ok::<(), Failure>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    pub(crate) ctx: &'a Context,
}

impl State<'_> {
    /// The value under a key, read as JSON; absent where there is none.
    ///
    /// # Errors
    /// [`Error::Format`] where the value is not of type `T`, and as [`get_bytes`](Self::get_bytes).
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.get_bytes(key)? else {
            return Ok(None);
        };
        decode::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::Format(error.to_string()))
    }

    /// Puts a value under a key, written as JSON of at most [`MAX_VALUE_BYTES`].
    ///
    /// # Errors
    /// [`Error::Format`] where the value cannot be JSON, and as [`set_bytes`](Self::set_bytes).
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value).map_err(|error| Error::Format(error.to_string()))?;
        self.set_bytes(key, &bytes)
    }

    /// The raw value under a key; absent where there is none.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::InvalidKey`], [`Error::Unavailable`].
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        host::state::get(self.ctx, key)
    }

    /// Puts raw bytes under a key, at most [`MAX_VALUE_BYTES`].
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::InvalidKey`], [`Error::Quota`], [`Error::Unavailable`].
    pub fn set_bytes(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        host::state::set(self.ctx, key, value)
    }

    /// Removes a key; no error where there is none.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::InvalidKey`], [`Error::Unavailable`].
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        host::state::delete(self.ctx, key)
    }

    /// The keys that begin with a prefix, sorted; the empty prefix lists all.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Unavailable`].
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        host::state::keys(self.ctx, prefix)
    }
}

/// Why a call had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not granted.
    Denied(Denial),
    /// The key is empty or too long; the text says which.
    InvalidKey(String),
    /// The value, or the number of keys, is over its limit; the text says which.
    Quota(String),
    /// The store cannot answer now; trying again later may help.
    Unavailable(String),
    /// The value does not fit its Rust type, or cannot be JSON.
    Format(String),
}

impl Error {
    /// The failure code that it turns into.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::InvalidKey(_) => "invalid_key",
            Self::Quota(_) => "quota",
            Self::Unavailable(_) => "unavailable",
            Self::Format(_) => "invalid_json",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied(denial) => &denial.message,
            Self::InvalidKey(text)
            | Self::Quota(text)
            | Self::Unavailable(text)
            | Self::Format(text) => text,
        })
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
