//! The text of secrets, for what no header can carry.

use std::fmt;

use crate::{Context, Denial, Failure, host};

/// The secrets that the plugin may read; from [`Context::secrets`]. Needs `[[capabilities.secret]]`.
///
/// A reviewer is shown such a line as a high risk: where a header is enough, let the host attach the secret instead.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new().with_secret("signing-key", "correct horse battery");
/// let key = ctx.secrets().get("signing-key")?;
/// assert_eq!(key.expose().len(), 21);
/// assert_eq!(format!("{key:?}"), "***");
/// # Ok::<(), Failure>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Secrets<'a> {
    pub(crate) ctx: &'a Context,
}

impl Secrets<'_> {
    /// The text of a secret, by its name in `plugin.toml`. The host audits that it was read, and writes `***` for it, for
    /// each of its lines and for each text in it where it is JSON, where the plugin says one of them in its log or its
    /// output. A smaller part within a text it does not know.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Unset`], [`Error::Unfit`], [`Error::Unavailable`].
    pub fn get(&self, name: &str) -> Result<Secret, Error> {
        host::secrets::get(self.ctx, name).map(Secret)
    }
}

/// The text of a secret. It cannot be printed by accident: `Debug` shows `***`, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not granted.
    Denied(Denial),
    /// Nobody has set it, or it cannot be opened; the text says what to ask an administrator for.
    Unset(String),
    /// It is too long to be kept out of what the plugin says; the text names the limit.
    Unfit(String),
    /// The host cannot answer now; trying again later may help.
    Unavailable(String),
}

impl Error {
    /// The failure code that it turns into.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Unset(_) => "secret_unset",
            Self::Unfit(_) => "secret_unfit",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied(denial) => &denial.message,
            Self::Unset(text) | Self::Unfit(text) | Self::Unavailable(text) => text,
        })
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
